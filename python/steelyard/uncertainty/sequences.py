"""Confidence sequences: intervals of a mean that hold at all times, for scores that come in one after another."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any, Literal, Self, get_args

import numpy as np
from numpy.typing import NDArray

from .. import _core
from .._arrays import aligned, integers
from .._columns import one_column
from .._estimate import Estimate
from .._intervals import turned
from .._intervals import verdict as verdict_of
from .._mode import standard_mode, standard_mode_methods
from .._options import NanPolicy, at_least_zero, choice, confidence_of, flag, number
from .._progress import Progress, reporter
from .._rows import Selection, nonzero, nothing_counts
from .._state import State
from ..errors import keyword, shown, type_error, value_error
from ._sequence import ANSWERS, METHODS, add, bounds_of, estimate_of, looks
from .sequence_path import SequencePath

__all__ = ["ConfidenceSequenceState", "confidence_sequence"]

Method = Literal["betting", "empirical-bernstein", "beta-binomial"]
VERDICTS = ("better", "not_worse", "worse")


@standard_mode_methods
class ConfidenceSequenceState(State):
    """The confidence sequence of a mean, for scores that come in one after another: update, look, stop or go on.

    The interval of :meth:`compute` holds at all times at once: with a probability of at least ``confidence_level`` the
    mean lies within it after every value. So the scores may be looked at as often as one likes, and collection may stop
    because of what was seen, which an interval for a fixed number of values does not allow.
    ``ConfidenceSequenceState(**o).update(x).compute()`` is ``confidence_sequence(x, **o)``, bit for bit, and every
    split of the same values into updates has the same bits. :func:`confidence_sequence` has the formulas.

    ``"beta-binomial"`` keeps the counts of 0 and 1 and merges in any order. The limits of the other methods depend on
    the order of the values, since each bet is made by what was seen before, and so does the intersection of all times:
    their states keep the values and refuse to merge with another that holds some.

    Parameters
    ----------
    bounds, method, nan_policy, confidence_level
        As in :func:`confidence_sequence`.

    Notes
    -----
    With values v in [0, 1], or differences scaled to it, a state takes 8 bytes of memory, and on the wire, for each of
    them, whatever its type was; ``"beta-binomial"`` takes about 150 bytes altogether. :meth:`compute` goes over all
    values again: about 200 ns a value (betting) or 40 ns.

    Merged counts are those of all rows together. That holds as long as what is merged was not chosen by its answers,
    such as leaving out the worker with the worst share.

    Examples
    --------
    >>> import steelyard as sy
    >>> state = sy.uncertainty.ConfidenceSequenceState()
    >>> for batch in ([1, 1, 0, 1, 1], [0, 1, 1, 1, 1], [1, 1, 1, 1, 1, 1, 0, 1]):
    ...     if state.update(batch).stop_when(width=0.5):
    ...         break
    >>> print(state.compute())
    0.83 [0.53, 1.00] (95 %, always-valid betting, n = 18)
    """

    _CORE = _core.SequenceTotals

    def __init__(
        self,
        *,
        bounds: tuple[float, float] = (0.0, 1.0),
        method: Method = "betting",
        nan_policy: NanPolicy = "raise",
        confidence_level: float = 0.95,
    ) -> None:
        self._method = choice(method, "method", tuple(METHODS))
        self._bounds = bounds_of(bounds, self._method)
        self._nan_policy = choice(nan_policy, "nan_policy", get_args(NanPolicy))
        self._level = confidence_of(confidence_level, "two-sided").level
        super().__init__()

    def _empty(self) -> _core.SequenceTotals:
        return _core.SequenceTotals(self._method != ANSWERS)

    def _options(self) -> dict[str, Any]:
        return {
            "bounds": list(self._bounds),
            "method": self._method,
            "nan_policy": self._nan_policy,
            "confidence_level": self._level,
        }

    @classmethod
    def _read(cls, totals: Any, header: dict[str, Any]) -> Self:
        state = super()._read(totals, header)
        if totals.size()["ordered"] != (state._method != ANSWERS):
            raise ValueError("values of another method")  # from_bytes words it
        return state

    def update(self, x: Any, baseline: Any = None, *, where: Any = None, progress: Progress = False) -> Self:
        """Add scores, in their order, and return the state; with ``baseline`` their differences from its scores.

        A state holds scores or differences, not both. Where the call raises, nothing has been added.

        Parameters
        ----------
        x : array [n]
            Scores within ``bounds``, in the order in which they were seen.
        baseline : array [n], optional
            The scores of the baseline on the same items.
        where : boolean array [n], optional
            The rows that count; default: all.
        progress : bool or callable
            ``True`` draws a progress bar on standard error; a callable is called with ``(done, total)``.
        """
        if isinstance(x, tuple):
            raise type_error("x", "an array or a list", "a tuple")
        aligned(x=x, baseline=baseline, where=where)
        columns = [("x", one_column(x, "x"))]
        if baseline is not None:
            if self._method == ANSWERS:
                expected = f"None with {keyword('method', ANSWERS)}, since differences of 0/1 scores are -1, 0 or 1"
                raise value_error("baseline", expected, "scores", f"pass {keyword('method', 'betting')}")
            columns.append(("baseline", one_column(baseline, "baseline")))
        lengths = [len(values) for _, values in columns]
        if len(set(lengths)) > 1:
            raise value_error("baseline", f"{lengths[0]} scores, one for each of x", str(lengths[1]))
        if lengths[0]:
            rows = Selection(where, None, self._nan_policy).rows("x", *(values for _, values in columns), some=False)
            add(self._totals, columns, rows, self._bounds, reporter(progress))
        return self

    def compute(self) -> Estimate:
        """The mean of all values so far, and the interval that holds at all times.

        Returns
        -------
        Estimate
            Without a standard error. ``value`` is the mean so far, which may lie outside the limits: these are the
            tightest of all times, for the mean that the values have in expectation. Where no mean lies within the
            limits of all times, ``low`` and ``high`` are None and ``reason`` says so.

        Raises
        ------
        ValueError
            If no value counts.
        """
        size = self._totals.size()
        left_out = nonzero({"where": size["excluded"], "nan": size["nan"]})
        if not size["values"]:
            raise nothing_counts("x", "value", left_out)
        return estimate_of(self._totals, self._bounds, left_out, method=self._method, confidence_level=self._level)

    def path(self, times: Any = None, *, progress: Progress = False) -> SequencePath:
        """The limits over time, as arrays that can be drawn.

        Parameters
        ----------
        times : array of ints, optional
            Numbers of values, ascending, from 1 to all; default: about ten for each factor of e, and all.
        progress : bool or callable
            As in :meth:`update`.

        Raises
        ------
        ValueError
            For ``"beta-binomial"``, which keeps counts without their order: update it in parts and compute in between.
        """
        n = self._totals.size()["values"]
        if self._method == ANSWERS:
            fix = "update in parts and compute in between"
            expected = f"{keyword('method', 'betting')}, or another that keeps the order of the values"
            raise value_error("method", expected, repr(ANSWERS), fix)
        if not n:
            raise nothing_counts("x", "value", {})
        at = _spread(n) if times is None else _times(times, n)
        found = looks(
            self._totals, at, self._bounds, method=self._method, confidence_level=self._level,
            progress=reporter(progress),
        )  # fmt: skip
        return SequencePath(
            n=at, value=found.mean, low=found.low, high=found.high, confidence_level=self._level,
            method=f"always-valid {METHODS[self._method]}",
        )  # fmt: skip

    def stop_when(
        self,
        *,
        width: float | None = None,
        verdict: str | Collection[str] | None = None,
        margin: float = 0.0,
        higher_is_better: bool = True,
    ) -> bool:
        """Whether collection may stop: the interval is narrow enough, or has decided.

        Stopping at the first time at which this is true leaves the interval valid: that is what it is made for. False
        where there are no values or no interval.

        Parameters
        ----------
        width : float, optional
            Stop where high - low is at most this.
        verdict : {"better", "not_worse", "worse"} or a collection of these, optional
            Stop where the verdict on the mean is one of them: ``"better"`` where low > 0, else ``"not_worse"`` where
            low > -margin, else ``"worse"`` where high < -margin (see :meth:`Comparison.verdict`). Of differences, or of
            scores with bounds on both sides of 0.
        margin : float
            The largest loss that is acceptable, at least 0.
        higher_is_better : bool
            False where lower scores are better.

        Examples
        --------
        >>> import steelyard as sy
        >>> state = sy.uncertainty.ConfidenceSequenceState()
        >>> state = state.update([0.9, 0.8, 1.0, 0.7] * 20, baseline=[0.5, 0.6, 0.4, 0.6] * 20)
        >>> state.stop_when(verdict=("better", "worse"))
        True
        """
        if width is None and verdict is None:
            raise type_error("width", f"a number, or {keyword('verdict')}", "neither")
        narrow = None if width is None else number(width, "width")
        if narrow is not None and not narrow > 0.0:
            raise value_error("width", "a number above 0", f"{narrow:g}")
        wanted = None if verdict is None else self._verdicts(verdict)
        loss = at_least_zero("margin", margin)
        higher = flag(higher_is_better, "higher_is_better")
        if not self._totals.size()["values"]:
            return False
        found = self.compute()
        if found.low is None or found.high is None:
            return False
        low, high = float(found.low), float(found.high)
        if narrow is not None and high - low <= narrow:
            return True
        return wanted is not None and verdict_of(*turned(low, high, higher_is_better=higher), loss) in wanted

    def _verdicts(self, verdict: Any) -> tuple[str, ...]:
        """The verdicts at which to stop."""
        many = isinstance(verdict, tuple | list | set | frozenset)
        names = tuple(choice(one, "verdict", VERDICTS) for one in (verdict if many else (verdict,)))
        if not names:
            raise value_error("verdict", f"one of {', '.join(VERDICTS)}, or several", shown(verdict))
        size = self._totals.size()
        if size["values"] and not size["differences"] and not self._bounds.low < 0.0 < self._bounds.high:
            got = f"scores from {self._bounds.low:g} to {self._bounds.high:g}"
            raise value_error("verdict", f"differences: update with {keyword('baseline')}", got)
        return names

    def __repr__(self) -> str:
        size = self._totals.size()
        what = "differences" if size["differences"] else "values"
        return f"<ConfidenceSequenceState: {size['values']} {what}, {METHODS[self._method]}>"


def _spread(n: int) -> NDArray[np.int64]:
    """Times up to n: all up to ten, then each about a tenth later."""
    times, time = [], 0
    while time < n:
        time = min(n, max(time + 1, time * 11 // 10))
        times.append(time)
    return np.array(times, np.int64)


def _times(times: Any, n: int) -> NDArray[np.int64]:
    """The times that were asked for, checked."""
    found: NDArray[np.int64] = integers(times, "times", ndim=1)
    if len(found) and not (found[0] >= 1 and found[-1] <= n and (found[1:] >= found[:-1]).all()):
        raise value_error("times", f"ascending numbers of values from 1 to {n}", shown(found.tolist()))
    return found


@standard_mode
def confidence_sequence(
    x: Any,
    baseline: Any = None,
    *,
    bounds: tuple[float, float] = (0.0, 1.0),
    method: Method = "betting",
    where: Any = None,
    nan_policy: NanPolicy = "raise",
    confidence_level: float = 0.95,
    progress: Progress = False,
) -> Estimate:
    """Estimate a mean of bounded scores with an interval that holds at all times, however often it is looked at.

    With a probability of at least ``confidence_level`` = 1 - alpha the mean lies within the interval after every value:
    it may be computed again as scores come in, and collection may stop because of it. It needs no more than that each
    score lies within ``bounds`` and has the same mean given the scores before it. With y the scores scaled to [0, 1],
    l_i = sqrt(2 log(2/alpha)/(v_i i log(i + 1))), and m_i and v_i mean and variance of the i - 1 values before (each
    with one value of 1/2, and a squared deviation of 1/4, added):

    - ``"betting"`` (hedged): the means m for which neither prod (1 + min(l_i, 1/(2 m)) (y_i - m)) nor
      prod (1 - min(l_i, 1/(2 (1 - m))) (y_i - m)) has ever reached 2/alpha;
    - ``"empirical-bernstein"`` (predictable plug-in): with l_i of at most 1/2, the intersection over time of
      sum l_i y_i / sum l_i -+ (log(2/alpha) + sum (y_i - m_i)^2 (-log(1 - l_i) - l_i)) / sum l_i; wider, and computed
      in one pass;
    - ``"beta-binomial"``, for 0/1 scores: with k ones of n, the m with
      B(k + 1/2, n - k + 1/2)/(pi m^k (1 - m)^(n - k)) < 1/alpha. It follows from the counts alone, now (no
      intersection over time), so that its state merges in any order.

    Parameters
    ----------
    x : array [n]
        Scores, in the order in which they were seen.
    baseline : array [n], optional
        Scores of a baseline on the same items: the mean of x - baseline is estimated, which lies between minus and plus
        the distance of the bounds. Not for ``"beta-binomial"``.
    bounds : tuple of two floats
        The least and the largest score that is possible (not: that was seen).
    method : {"betting", "empirical-bernstein", "beta-binomial"}
        See above.
    where : boolean array [n], optional
        The rows that count; default: all.
    nan_policy : {"raise", "omit"}
        ``"omit"`` leaves out a row where a score is NaN or null, and counts it in ``left_out``.
    confidence_level : float
        Inside (0, 1).
    progress : bool or callable
        ``True`` draws a progress bar on standard error; a callable is called with ``(done, total)``.

    Returns
    -------
    Estimate
        As :meth:`ConfidenceSequenceState.compute` returns it.

    Raises
    ------
    TypeError, ValueError
        For scores outside the bounds (with the index of the first), bounds that are none, and unknown options.

    Notes
    -----
    For a fixed number of values the intervals of :func:`steelyard.estimate` and :func:`steelyard.compare` are
    narrower, by 29 % or more for a hundred values, and by a third to a half for a thousand (``docs/coverage.md``):
    the price of looking at any time. Betting's limits are multiples of 2^-48 of the range, rounded outwards (by the
    rounding of the products, which moves them by less than 1e-11); a bet that has fallen below 2^-600 of its stake
    is given up.

    The package ``confseq`` of the first paper's authors has these sequences as ``betting_cs``, on a grid of means, and
    ``predmix_empbern_twosided_cs``. There the mean before the first value is 0 rather than 1/2 in the deviations of the
    second, 1 - y is bet on with variances of its own (the same but for rounding), and limits are not intersected over
    time by default.

    Sources: Waudby-Smith and Ramdas, Journal of the Royal Statistical Society B 86 (2024); Robbins, Annals of
    Mathematical Statistics 41 (1970); Howard, Ramdas, McAuliffe and Sekhon, Annals of Statistics 49 (2021).

    Examples
    --------
    >>> import steelyard as sy
    >>> scores = [1, 1, 0, 1, 1, 1, 0, 1, 1, 1] * 20
    >>> print(sy.uncertainty.confidence_sequence(scores))
    0.800 [0.703, 0.883] (95 %, always-valid betting, n = 200)
    >>> print(sy.uncertainty.confidence_sequence(scores, method="beta-binomial"))
    0.800 [0.693, 0.884] (95 %, always-valid beta-binomial, n = 200)
    """
    state = ConfidenceSequenceState(
        bounds=bounds, method=method, nan_policy=nan_policy, confidence_level=confidence_level
    )
    return state.update(x, baseline, where=where, progress=progress).compute()

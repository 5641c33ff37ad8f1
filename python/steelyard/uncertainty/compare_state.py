"""The state of a paired comparison: totals of differences and of answers that can be updated, merged and saved."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import replace
from typing import Any, NamedTuple, Self

import numpy as np
from numpy.typing import NDArray

from .. import _core, _intervals
from .._arrays import aligned
from .._clusters import codes_and_names
from .._column_totals import PairedTotals
from .._columns import one_column
from .._estimate import Estimate
from .._intervals import Column, Sums, ValueFacts
from .._mode import standard_mode_methods
from .._options import Alternative, Confidence, NanPolicy, confidence_of, flag, omits_nan
from .._progress import Progress, reporter
from .._rows import Rows, Selection, nonzero, nothing_counts
from .._state import State
from ..errors import value_error
from ._answers import asked_of
from ._comparisons import comparison_of
from ._shares import difference as of_counts
from ._student import student_p
from .comparison import LEAST, Comparison, Pair
from .items import apart

__all__ = ["CompareState"]

Array = NDArray[Any]
WHAT = "new - baseline"


def _number(column: Array) -> Array:
    """A column with numbers in place of truth values."""
    return column.astype(np.float64) if column.dtype == np.bool_ else column


def _check_finite(column: Array, name: str, rows: Rows) -> None:
    """Refuse a NaN or an infinity by the caller's name and index of it."""
    if len(column):
        found = _core.column_moments(np.ascontiguousarray(_number(column)))
        if "bad" in found:
            raise _intervals.not_finite(column, found["bad"], name, rows)


def _columns(new: Array, base: Array) -> list[Array]:
    """The differences, both sides, and 1 for each win and for each loss."""
    difference, wins, losses = (np.empty(len(new)) for _ in range(3))
    for step, values in apart(new, base):
        if not np.isfinite(values).all():
            raise _intervals.too_large(WHAT, "differences beyond float64")
        difference[step], wins[step], losses[step] = values, values > 0.0, values < 0.0
    return [difference, _number(new), _number(base), wins, losses]


class _Read(NamedTuple):
    """The totals of a state: the moments of the differences and of both sides, and who is larger how often."""

    rows: int
    difference: Column
    new: Column
    base: Column
    wins: int
    losses: int
    left_out: dict[str, int]

    @property
    def binary(self) -> bool:
        return self.new.ones is not None and self.base.ones is not None

    @property
    def shares(self) -> bool:
        return self.new.shares and self.base.shares

    @property
    def facts(self) -> ValueFacts:
        step = max(self.new.step, self.base.step)
        return ValueFacts(
            low=self.difference.low, high=self.difference.high, step=step, rows=float(self.rows),
            range="difference" if self.shares else "unknown",
        )  # fmt: skip


@standard_mode_methods
class CompareState(State):
    """The totals behind a paired comparison of two columns, for data that come in parts: update, merge and save.

    ``CompareState(**o).update(new, baseline, clusters=c).compute()`` is ``compare(new, baseline=baseline, clusters=c,
    **o)`` as far as totals know it:

    - 0/1 answers without clusters: all of it but ``items``, bit for bit, since it follows from four counts;
    - graded scores, and clusters: the same difference, standard error and interval (up to the rounding of sums in
      ``compare``), wins, losses and ties, and so the same verdict. The sign-flip p needs every difference, which no
      state keeps; p is that of Student's t of the interval, t = d/sqrt(V), and ``test`` says so. Where there is no
      spread, p is the sign flips' of G equal differences, 2**(1 - G), and the interval is that of values without
      spread, also for 0/1 answers in clusters, where ``compare`` has that of the answers.

    The sums are exact, so every split of the rows, every order and every merge gives the same bits. With ``clusters``
    the state keeps one sum for each id, whose rows may be spread over several updates.

    Parameters
    ----------
    method, test
        The interval and the test of 0/1 answers without clusters, as in :func:`steelyard.compare` (paired).
    nan_policy, confidence_level, alternative
        As in :func:`steelyard.compare`.
    higher_is_better : bool
        False where lower is better, as for losses.

    Examples
    --------
    >>> import steelyard as sy
    >>> first = sy.uncertainty.CompareState().update([1, 1, 0, 1, 1], [0, 1, 0, 0, 1])
    >>> rest = sy.uncertainty.CompareState().update([1, 0, 1], [0, 1, 0])
    >>> print((first + rest).compute())
    new - baseline: 0.38 [-0.18, 0.74] (95 %, Tango, n = 8)
      p = 0.219 (McNemar mid-p), 4 wins, 1 losses, 3 ties
    >>> graded = sy.uncertainty.CompareState().update([0.9, 0.7, 0.8, 0.4], [0.5, 0.6, 0.8, 0.1], clusters=[1, 1, 2, 3])
    >>> graded.compute().test
    't'
    """

    _CORE = PairedTotals

    def __init__(
        self,
        *,
        method: str | None = None,
        test: str | None = None,
        nan_policy: NanPolicy = "raise",
        confidence_level: float = 0.95,
        alternative: Alternative = "two-sided",
        higher_is_better: bool = True,
    ) -> None:
        self._asked = asked_of(method, test, paired=True, other_rows={})
        omits_nan(nan_policy)
        self._nan_policy = nan_policy
        self._confidence = confidence_of(confidence_level, alternative)
        self._higher = flag(higher_is_better, "higher_is_better")
        super().__init__()

    def _empty(self) -> PairedTotals:
        return PairedTotals()

    def _options(self) -> dict[str, Any]:
        return {
            "method": self._asked.method, "test": self._asked.test, "nan_policy": self._nan_policy,
            **self._confidence.keywords, "higher_is_better": self._higher,
        }  # fmt: skip

    def update(
        self, new: Any, baseline: Any, *, where: Any = None, clusters: Any = None, progress: Progress = False
    ) -> Self:
        """Add the scores of the same rows by both models and return the state; as in :func:`steelyard.compare`.

        Where the call raises, nothing has been added.
        """
        aligned(new=new, baseline=baseline, where=where, clusters=clusters)
        scores = one_column(new, "new"), one_column(baseline, "baseline")
        n = len(scores[0])
        if len(scores[1]) != n:
            raise value_error("baseline", f"{n} rows, as new has", str(len(scores[1])))
        if not n:
            return self
        rows = Selection(where, None, self._nan_policy).rows("new", *scores, some=False)
        codes, names = None, None
        if clusters is not None and (rows.keep is None or rows.keep.any()):
            of_all, names = codes_and_names(clusters, "clusters", n, rows.keep)
            codes = rows.of(of_all)
        a, b = (rows.of(column) for column in scores)
        for name, column in (("new", a), ("baseline", b)):
            _check_finite(column, name, rows)
        self._totals.update(
            _columns(a, b), codes, names, excluded=rows.left_out.get("where", 0), nan=rows.left_out.get("nan", 0),
            progress=reporter(progress),
        )  # fmt: skip
        return self

    def compute(self) -> Comparison:
        """The comparison of all rows added so far.

        Raises
        ------
        ValueError
            Where no row counts, or where ``method`` or ``test`` name one of 0/1 answers and others were added.
        """
        return comparison_of([self._pair(1)], None, None, higher=self._higher, adjust="holm", many=False)

    @classmethod
    def _together(cls, states: Mapping[str, CompareState], nameless: int) -> Comparison:
        """The comparison of each of several groups; ``nameless`` rows of all data have none."""
        lost = {"no group": nameless} if nameless else {}
        pairs = [state._pair(len(states), lost) for state in states.values()]
        higher = next(iter(states.values()))._higher
        return comparison_of(pairs, tuple(states), None, higher=higher, adjust="holm", many=True, model="new")

    def _pair(self, problems: int, lost: Mapping[str, int] | None = None) -> Pair:
        """The comparison as one of several ``problems``, with limits that hold for all of them at once."""
        of = self._moments(lost or {})
        self._asked.fits("Student's interval and its t", binary=of.binary and not self._totals.clustered)
        shown, *strict = [self._estimate(of, level) for level in _intervals.levels(self._confidence, problems)]
        difference, p, test = shown
        for other, _, _ in strict:
            difference = _intervals.simultaneous(difference, other)
        return Pair(difference, p, test, of.wins, of.losses, of.shares)

    def _moments(self, lost: Mapping[str, int]) -> _Read:
        size = self._totals.size()
        left_out = nonzero({"where": size.excluded, "nan": size.nan, **lost})
        if not size.rows:
            raise nothing_counts("new", "row", left_out)
        difference, new, base, wins, losses = (
            _intervals.whole_column(size.rows, part.moments(), name)
            for part, name in zip(self._totals.parts, (WHAT, "new", "baseline", "wins", "losses"), strict=True)
        )
        assert wins.ones is not None
        assert losses.ones is not None
        return _Read(size.rows, difference, new, base, wins.ones, losses.ones, left_out)

    def _estimate(self, of: _Read, confidence: Confidence) -> tuple[Estimate, float, str]:
        """The difference, its p-value and the name of the test."""
        if of.binary and not self._totals.clustered:
            assert of.new.ones is not None
            both = of.new.ones - of.wins
            found = of_counts(
                of.new.ones, of.rows, (of.base.ones, of.rows), both, confidence, method=self._asked.method,
                test=self._asked.test,
            )  # fmt: skip
            p, test = found.detail["p_value"], found.detail["test"]
            return replace(found, detail={}, left_out=of.left_out), p, test
        found = _intervals.mean_of(
            of.difference, confidence, self._sums, name=WHAT, grouped="clusters" if self._totals.clustered else None,
            values=of.facts, kind="graded", left_out=of.left_out,
        )  # fmt: skip
        if not found.standard_error or "no spread" in found.method:
            return found, self._equal_p(of, float(found), confidence), "sign flips: no spread"
        return found, student_p(float(found) / float(found.standard_error), found.detail["df"], confidence), "t"

    def _equal_p(self, of: _Read, difference: float, confidence: Confidence) -> float:
        """The sign-flip p of G equal differences: of the 2^G patterns one has their sum, and one its opposite."""
        if difference == 0.0:
            return 1.0
        units = self._totals.size().clusters or of.rows
        beyond = max(math.ldexp(1.0, -min(units, 1000)), LEAST)
        if confidence.alternative == "two-sided":
            return min(2.0 * beyond, 1.0)
        expected = (difference > 0.0) == (confidence.alternative == "greater")
        return beyond if expected else 1.0

    def _sums(self, shift: float) -> Sums:
        sums, sizes = self._totals.parts[0].cluster_sums(shift)
        return Sums(sums, sizes, shift)

    def __repr__(self) -> str:
        size = self._totals.size()
        clusters = f" in {size.clusters} clusters" if size.clusters else ""
        return f"<CompareState: {size.rows} rows{clusters}>"

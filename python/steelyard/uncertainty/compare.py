"""Two or more models on the same rows."""

from __future__ import annotations

import sys
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, NamedTuple, NoReturn

import numpy as np
from numpy.typing import NDArray

from .. import _core, _intervals
from .._arrays import aligned
from .._columns import columns, frame, one_column
from .._mode import standard_mode, standard_mode_methods
from .._options import Alternative, Confidence, NanPolicy, at_least_zero, choice, confidence, flag
from .._progress import Progress, reporter
from .._result import Result
from .._rows import Clusters, Rows, Selection
from .._text import printable
from ..errors import type_error, value_error
from ..estimate import Estimate, json_ready

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["Comparison", "compare"]

Array = NDArray[Any]
Number = float | NDArray[np.float64]
Count = int | NDArray[np.int64]
Watch = _intervals.Watch
# Below so many signs to flip it is said which p is the smallest that is possible.
FEW_SIGNS = 10

LEAST = sys.float_info.min  # what a smaller p is given as: the smallest float64 in full precision
AT_MOST = 2.23e-308  # LEAST to three digits, rounded up
EXACT = 1e-6  # the relative error of a sign-flip p that is called exact


@standard_mode_methods
@dataclass(frozen=True, kw_only=True, eq=False, repr=False)
class Comparison(Result):
    """The paired comparison of one model, or several, with a baseline.

    One pair of arrays has plain numbers; a mapping or ``[n, M]`` has arrays, one entry a model.

    Attributes
    ----------
    difference : Estimate
        Mean of new - base, with its interval. With fewer than 10 differences (or cluster sums) that are not 0, a
        sign-flip test has few patterns: ``detail["signs"]`` is their number, ``detail["smallest_p"]`` the smallest p
        possible.
    p_value, p_adjusted : float or ndarray
        Of the hypothesis that the mean difference is zero; adjusted for the number of models.
    wins, losses, ties : int or ndarray
        Rows where the new model is better, worse, the same (to 2^-49 of the score: less is rounding).
    names : tuple of str or None
        The models compared.
    baseline : str or None
        Its name, where it has one.
    test : str or tuple of str
        The test behind the p-value.
    higher_is_better : bool
        Whether a larger value is better.

    Examples
    --------
    >>> import steelyard as sy
    >>> new, base = [1, 1, 1, 1, 0, 1, 1, 1], [1, 0, 1, 0, 0, 1, 1, 0]
    >>> diff = sy.compare(new, baseline=base)
    >>> diff.wins, diff.losses, diff.ties, diff.verdict()
    (3, 0, 5, 'undecided')
    """

    difference: Estimate
    p_value: Number
    p_adjusted: Number
    wins: Count
    losses: Count
    ties: Count
    names: tuple[str, ...] | None
    baseline: str | None
    test: str | tuple[str, ...]
    higher_is_better: bool
    _shares: bool = False
    """Whether every score of every model lies in [0, 1]."""

    def verdict(self, margin: float = 0.0) -> str | tuple[str, ...]:
        """Decide from the interval alone whether the new model is better, or worse by more than ``margin``.

        With differences turned so that higher is better: ``"better"`` where low > 0, else ``"not_worse"`` where
        low > -margin, else ``"worse"`` where high < -margin, else ``"undecided"``, as where there is no interval.
        Several models are judged by intervals at 1 - alpha/m each, so that all verdicts hold together.

        Parameters
        ----------
        margin : float
            The loss that does not matter, in units of the score, at least 0; below 1 where all scores lie in [0, 1].

        Returns
        -------
        str or tuple of str
            One verdict a model.

        Raises
        ------
        ValueError
            For a negative or non-finite margin, and for one that no score could lose.

        Examples
        --------
        >>> import steelyard as sy
        >>> sy.compare([1.0, 1.0, 0.9, 0.8], baseline=[0.2, 0.1, 0.3, 0.2]).verdict(margin=0.01)
        'better'
        """
        smallest = at_least_zero("margin", margin)
        if smallest >= 1.0 and self._shares:
            fix = f"{smallest:g} % is {smallest / 100:g}"
            raise value_error("margin", "less than 1, since scores in [0, 1] cannot lose more", f"{smallest:g}", fix)
        low, high = self._limits()
        verdicts = tuple(map(_verdict, low, high, [smallest] * len(low)))
        return verdicts if isinstance(self.p_value, np.ndarray) else verdicts[0]

    def _limits(self) -> tuple[list[float], list[float]]:
        """The limits that decide, turned so that higher is better; NaN where there are none."""
        detail = self.difference.detail
        low = _row(detail.get("simultaneous_low", self.difference.low)).tolist()
        high = _row(detail.get("simultaneous_high", self.difference.high)).tolist()
        return (low, high) if self.higher_is_better else ([-v for v in high], [-v for v in low])

    @property
    def table(self) -> dict[str, Any]:
        """One row a model, as ``{column: array}``."""
        numbers = {
            "difference": self.difference.value,
            "standard_error": self.difference.standard_error,
            "low": self.difference.low,
            "high": self.difference.high,
            "p_value": self.p_value,
            "p_adjusted": self.p_adjusted,
        }
        counts = {"wins": self.wins, "losses": self.losses, "ties": self.ties, "n": self.difference.n}
        rows = {key: _row(value) for key, value in numbers.items()}
        whole = {key: _row(value).astype(np.int64) for key, value in counts.items()}
        return {"name": np.array(self._labels()), **rows, **whole}

    def _labels(self) -> list[str]:
        if self.names is not None:
            return list(self.names)
        many = isinstance(self.p_value, np.ndarray)
        return [str(i) for i in range(len(self.difference))] if many else ["new"]

    def to_dict(self) -> dict[str, Any]:
        """Return every field in types that JSON has."""
        plain = {
            "p_value": self.p_value, "p_adjusted": self.p_adjusted, "wins": self.wins, "losses": self.losses,
            "ties": self.ties, "names": self.names, "baseline": self.baseline, "test": self.test,
            "higher_is_better": self.higher_is_better,
        }  # fmt: skip
        return {"difference": self.difference.to_dict(), **{key: json_ready(value) for key, value in plain.items()}}

    def _tests(self) -> list[str]:
        """The test of each model, with the smallest p that it can give where there are few signs to flip."""
        tests = self.test if isinstance(self.test, tuple) else (self.test,)
        least = np.broadcast_to(_row(self.difference.detail.get("smallest_p")), (len(tests),))
        few = [f"; no p below {p:.3g} is possible" if p == p else "" for p in least.tolist()]
        return [test + said for test, said in zip(tests, few, strict=True)]

    def _lines(self) -> list[str]:
        base = printable(self.baseline or "baseline")
        many = isinstance(self.p_value, np.ndarray)
        parts = list(self.difference) if many else [self.difference]
        table, tests = self.table, self._tests()
        labels = map(printable, self._labels())
        several = many and len(parts) > 1
        adjusted = [
            f", adjusted {_p(p, len(parts)).removeprefix('= ')}" if several else "" for p in table["p_adjusted"]
        ]
        return [
            f"{label} - {base}: {part}\n  p {_p(p)}{more} ({test}), {wins} wins, {losses} losses, {ties} ties"
            for label, part, p, more, test, wins, losses, ties in zip(
                labels, parts, table["p_value"], adjusted, tests, table["wins"], table["losses"],
                table["ties"], strict=True,
            )
        ]  # fmt: skip

    def __str__(self) -> str:
        return "\n".join(self._lines())

    def __repr__(self) -> str:
        return f"<Comparison {self}>"

    def __bool__(self) -> NoReturn:
        raise TypeError("a Comparison is neither true nor false; ask its verdict(margin)")

    def _repr_html_(self) -> str:
        """Render as the table a notebook shows."""
        from html import escape

        table = self.table
        head = "".join(f"<th>{escape(title.replace('_', ' '))}</th>" for title in table)
        rows = zip(*(column.tolist() for column in table.values()), strict=True)
        cells = (
            [_cell(cell, title, len(table["name"])) for title, cell in zip(table, row, strict=True)] for row in rows
        )
        body = "".join("<tr>" + "".join(f"<td>{escape(cell)}</td>" for cell in row) + "</tr>" for row in cells)
        caption = escape(f"difference from {printable(self.baseline or 'the baseline')}")
        return f"<table><caption>{caption}</caption><tr>{head}</tr>{body}</table>"

    def plot(self, ax: Axes | None = None) -> Axes:
        """Draw the differences with their intervals, and a line at zero.

        Parameters
        ----------
        ax : matplotlib Axes, optional
            Where to draw; a new one without it.

        Returns
        -------
        matplotlib Axes
        """
        import matplotlib.pyplot as plt

        axes = plt.subplots(figsize=(6.4, 1.2 + 0.4 * len(self._labels())))[1] if ax is None else ax
        table, labels = self.table, self._labels()
        place = np.arange(len(labels))
        for y, value, low, high in zip(place, table["difference"], table["low"], table["high"], strict=True):
            axes.plot([low, high], [y, y], color="#4c72b0", linewidth=2, solid_capstyle="butt")
            axes.plot([value], [y], "o", color="#4c72b0")
        axes.axvline(0.0, color="#444444", linewidth=1, linestyle="--")
        axes.set_yticks(place, [printable(label) for label in labels], parse_math=False)
        axes.set_ylim(len(labels) - 0.5, -0.5)
        axes.set_xlabel(f"difference from {printable(self.baseline or 'the baseline')}", parse_math=False)
        return axes


def _row(value: Any) -> NDArray[np.float64]:
    """One entry a model; NaN where there is none."""
    return np.atleast_1d(np.asarray(np.nan if value is None else value, np.float64))


def _p(p: float, models: int = 1) -> str:
    """A p-value and its relation, "= 0.012": "<=" where it stands for everything below, times so many ``models``."""
    return f"= {p:.3g}" if p > models * LEAST else f"<= {models * AT_MOST:.3g}"


def _cell(value: Any, title: str, models: int) -> str:
    at_most = {"p_value": 1, "p_adjusted": models}.get(title)
    if at_most and value <= at_most * LEAST:
        return _p(value, at_most)
    return f"{value:.4g}" if isinstance(value, float) else printable(value)


def _verdict(low: float, high: float, margin: float) -> str:
    """NaN limits decide nothing."""
    if low > 0.0:
        return "better"
    if low > -margin:
        return "not_worse"
    return "worse" if high < -margin else "undecided"


@standard_mode
def compare(
    new: Any,
    baseline: Any = None,
    *,
    where: Any = None,
    clusters: Any = None,
    nan_policy: NanPolicy = "raise",
    confidence_level: float = 0.95,
    alternative: Alternative = "two-sided",
    higher_is_better: bool = True,
    adjust: str | None = "holm",
    progress: Progress = False,
) -> Comparison:
    """Compare models with a baseline on the same rows: the mean of the paired differences d = new - base.

    - 0/1 answers, independent rows: Tango's score interval and McNemar's mid-p. With b wins and c losses of n the
      interval holds the D with abs(b - c - n D) <= z sqrt(n (2 q + D (1 - D))), q the likelihood estimate of a loss
      given D.
    - Graded scores: Student's interval of the differences, and the exact sign-flip p: the share of all 2^m sign
      patterns of the m non-zero differences whose sum is at least as far from zero. Nothing is drawn; no floor.
    - With ``clusters`` (either kind): the clustered (CR2) interval of the differences (see
      :func:`steelyard.estimate`), and the sign-flip test of the cluster sums.

    Parameters
    ----------
    new : array [n] or [n, M], mapping from name to array [n], or frame
        Scores; row i of every model is the same item. Records matched by id come from ``records``. Where the two sides
        have different float types, scores within one step of the coarser type are ties.
    baseline : array [n], or str
        The scores to compare with, or the name of one of the mapping's models.
    where : boolean array [n], optional
        Rows that count.
    clusters : array of ids [n], optional
        What rows have in common: rows of one cluster are not independent.
    nan_policy : {"raise", "omit"}
        ``"omit"`` leaves out a row where either score is NaN or null, and counts it in ``difference.left_out``.
    confidence_level : float
        Inside (0, 1).
    alternative : {"two-sided", "less", "greater"}
        What is claimed of new - base; one-sided p-values and intervals.
    higher_is_better : bool
        ``False`` for losses: ``wins`` are then rows where new is lower, and ``verdict`` turns the difference.
    adjust : {"holm"} or None
        How p-values of several models are adjusted.
    progress : bool or callable
        ``True`` draws a line; a callable is given ``(done, total)``.

    Returns
    -------
    Comparison

    Raises
    ------
    TypeError, ValueError
        As :func:`steelyard.estimate`; and where rows of new and baseline are not equally many.

    Notes
    -----
    The p-value and the interval may disagree at the very edge (mid-p and Tango in 14 of 7,260 tables of 200 pairs);
    ``verdict`` reads the interval alone. Where clusters of 0/1 pairs show no spread at all, the interval is Tango's
    with as many pairs as there are clusters. An unpaired test (two intervals side by side) is much weaker: it ignores
    that both models find the same items hard.

    A right answer turned wrong never improves the verdict of independent 0/1 answers. With graded scores, means over
    epochs or clusters it can: the mean falls, but where the answer was the odd one out the spread falls more.

    The sign-flip p takes milliseconds, for a million rows as well. Few patterns are counted one by one (up to 40
    non-zero differences, or wherever few patterns are as far out); else the characteristic function
    prod cos(t abs(d_i)) is inverted along a line on which a p of 1e-300 keeps its digits. Differences that are
    multiples of one step (scores in tenths, counts; but for rounding to float64 or, from 12 on, to float32) count as
    those multiples, so that sums tie as they should. ``test`` is "sign-flip, exact" where p is right to a millionth of
    itself, else it says how far. A p below 2.2e-308, the smallest that a float64 holds in full, is given as that and
    printed with "<=".

    Tango, Statistics in Medicine 17 (1998); Fagerland, Lydersen and Laake, BMC Medical Research Methodology 13 (2013);
    Holm, Scandinavian Journal of Statistics 6 (1979); Lugannani and Rice, Advances in Applied Probability 12 (1980).

    Examples
    --------
    >>> import steelyard as sy
    >>> base = [1] * 100 + [0] * 100
    >>> new = [0] * 10 + [1] * 102 + [0] * 88
    >>> diff = sy.compare(new, baseline=base)
    >>> print(diff)
    new - baseline: 0.010 [-0.038, 0.059] (95 %, Tango, n = 200)
      p = 0.678 (McNemar mid-p), 12 wins, 10 losses, 178 ties
    >>> diff.verdict(margin=0.02)
    'undecided'
    """
    how = confidence(confidence_level, alternative)
    if adjust is not None:
        choice(adjust, "adjust", ("holm",))
    flag(higher_is_better, "higher_is_better")
    aligned(new=new, baseline=baseline, where=where, clusters=clusters)
    models, base_name, base = _split(new, baseline)
    found = columns(models, "new")
    selection = Selection(where, clusters, nan_policy, found.left_out or dict(getattr(new, "left_out", {})))
    base_label = "baseline" if base_name is None else f"new[{base_name!r}]"
    names, pairs, watch = found.names, [], reporter(progress)
    count = len(names) if names is not None else (np.shape(models)[1] if found.many else 1)
    for name, values in found.items:
        if len(values) != len(base):
            fix = "pair them by id first (steelyard.records does)"
            raise value_error(name, f"{len(base)} rows, as {base_label} has", str(len(values)), fix)
        rows = selection.rows(name, values, base)
        pairs.append(_pair((name, values), (base_label, base), rows, how, models=count, watch=watch))
    return _gather(pairs, names, base_name, higher=bool(higher_is_better), adjust=adjust, many=found.many)


def _split(new: Any, baseline: Any) -> tuple[Any, str | None, Array]:
    """The models, the baseline's name where it is one of them, and its column."""
    named = frame(new)
    if baseline is None:
        given = f", one of {list(map(str, named))}" if named is not None else ""
        raise type_error("baseline", f"an array of scores, or a model's name{given}", "None")
    if not isinstance(baseline, str):
        return new, None, one_column(baseline, "baseline")
    if named is None:
        raise type_error("baseline", "an array of scores, since new is not a mapping of names", repr(baseline))
    if baseline not in named:
        raise value_error("baseline", f"one of {list(map(str, named))}", repr(baseline))
    others = {name: scores for name, scores in named.items() if name != baseline}
    if not others:
        raise value_error("new", f"at least one model beside {baseline!r}", "none")
    return others, baseline, one_column(named[baseline], f"new[{baseline!r}]")


class _Pair(NamedTuple):
    difference: Estimate
    p: float
    test: str
    wins: int
    losses: int
    shares: bool
    """Whether the scores of both lie in [0, 1]."""


def _pair(
    new: tuple[str, Array], base: tuple[str, Array], rows: Rows, how: Confidence, *, models: int, watch: Watch
) -> _Pair:
    """Compare one model with the baseline on the rows that count."""
    sides = [(name, rows.of(values)) for name, values in (new, base)]
    found = [_intervals.column(x, name, rows=rows) for name, x in sides]
    binary = all(side.ones is not None for side in found)
    a, b = (x.astype(np.float32) if x.dtype == np.bool_ else x for _, x in sides)
    d, wins, losses = _core.paired_differences(a, b, watch, coarse=_coarse(*(x.dtype for _, x in sides)))
    few: dict[str, float] = {}
    # All verdicts hold together at the stricter level.
    levels = [how] if models == 1 else [how, _intervals.stricter(how, models)]
    if rows.clusters is None and binary:
        made = [_binary(wins, losses, len(d), level) for level in levels]
        p, test = made[0][1], "McNemar mid-p"
        estimates = [estimate for estimate, _ in made]
    else:
        flips, off, estimates = _graded(d, new[0], found, rows.clusters, levels, binary=binary, watch=watch)
        p, signs, error = _core.sign_flip(flips, how.alternative, watch, resolution=off)
        test = "sign-flip, exact" if error <= EXACT else f"sign-flip, p within {100 * error:.2g} %"
        few = _smallest_p(signs, how)
    shown = replace(estimates[0], left_out=rows.left_out, detail=estimates[0].detail | few)
    if models > 1:
        shown = _intervals.simultaneous(shown, estimates[1])
    shares = all(side.shares for side in found)
    return _Pair(shown, p, test, wins, losses, shares)


def _coarse(*types: np.dtype[Any]) -> tuple[float, float]:
    """The step of 1 and the smallest number of the coarser float type, where the scores came in different ones.

    Equal scores then differ by the rounding to that type, which is no difference between models.
    """
    different = {dtype for dtype in types if dtype != np.bool_}
    if len(different) < 2:
        return 0.0, 0.0
    return max((1 / 128, 1 / (1 << 133)) if t == np.uint16 else _limits(t) for t in different)


def _limits(dtype: np.dtype[Any]) -> tuple[float, float]:
    limits = np.finfo(dtype)
    return float(limits.eps), float(limits.smallest_subnormal)


def _smallest_p(signs: int, how: Confidence) -> dict[str, float]:
    """The smallest p where ``signs`` differences or cluster sums are flipped: all one way, or all the other."""
    if signs >= FEW_SIGNS:
        return {}
    patterns = 2 if how.alternative == "two-sided" and signs else 1
    return {"signs": float(signs), "smallest_p": patterns / (1 << signs)}


def _binary(wins: int, losses: int, n: int, how: Confidence) -> tuple[Estimate, float]:
    value, error, low, high, p, _ = _core.paired_binary(wins, losses, n, *how)
    reason = "pairs of 0/1 values"
    if n in (wins, losses) or wins + losses == 0:
        reason += "; all differences are equal: the standard error is the width of the interval over 2z"
    made = Estimate(
        value=value, standard_error=error, low=low, high=high, confidence_level=how.level, n=n, method="Tango",
        reason=reason,
    )  # fmt: skip
    return made, p


def _graded(
    d: Array,
    name: str,
    sides: list[_intervals.Column],
    clusters: Clusters | None,
    levels: list[Confidence],
    *,
    binary: bool,
    watch: Watch,
) -> tuple[Array, Array, list[Estimate]]:
    """What the sign-flip test flips, how far it may be off, and an Estimate of the mean difference a level."""
    what = f"{name} - baseline"
    if clusters is None:
        made = [_intervals.mean(d, how, name=what, sides=sides, kind="graded", progress=watch) for how in levels]
        return d, _off(d, np.array([_intervals.STEPS * max(side.step for side in sides)])), made
    values = _intervals.value_facts(_intervals.column(d, what, progress=watch), sides)
    sums, sizes = _core.cluster_sums(d, clusters.codes, clusters.total, 0.0, watch)
    made = [_intervals.ratio(sums, sizes, how, name=what, n=len(d), values=values) for how in levels]
    if binary and _intervals.one_share(sums, sizes) and made[0].detail:
        made = [_unspread(one, how) for one, how in zip(made, levels, strict=True)]
    return sums, np.zeros(1) if binary else _off(d, _intervals.sums_off(values, sizes)), made


def _off(d: Array, off: Array) -> Array:
    """How far what is flipped may be off: not at all where the differences are whole numbers, and so are their sums."""
    return np.zeros(1) if off.max() >= 0.5 and bool((d == np.floor(d)).all()) else off


def _unspread(found: Estimate, how: Confidence) -> Estimate:
    """0/1 pairs whose clusters all show the same difference: no spread, yet not certain."""
    error, low, high = _core.unspread_difference(float(found), int(found.n_clusters or 0), found.detail["df"], *how)
    reason = "clusters of 0/1 pairs without spread: Tango's interval with their number as the number of pairs"
    return replace(found, standard_error=error, low=low, high=high, method="clustered Tango", reason=reason)


def _gather(
    pairs: list[_Pair],
    names: tuple[str, ...] | None,
    baseline: str | None,
    *,
    higher: bool,
    adjust: str | None,
    many: bool,
) -> Comparison:
    p = np.array([pair.p for pair in pairs], np.float64)
    adjusted = p if adjust is None else _intervals.holm(p)
    won, lost = (np.array([getattr(pair, side) for pair in pairs], np.int64) for side in ("wins", "losses"))
    wins, losses = (won, lost) if higher else (lost, won)
    if many:
        difference = _intervals.stack([pair.difference for pair in pairs], names)
        return Comparison(
            difference=difference, p_value=p, p_adjusted=adjusted, wins=wins, losses=losses,
            ties=difference.n - wins - losses, names=names, baseline=baseline,
            test=tuple(pair.test for pair in pairs), higher_is_better=higher,
            _shares=all(pair.shares for pair in pairs),
        )  # fmt: skip
    (pair,) = pairs
    n = int(pair.difference.n)
    return Comparison(
        difference=pair.difference, p_value=pair.p, p_adjusted=float(adjusted[0]), wins=int(wins[0]),
        losses=int(losses[0]), ties=n - pair.wins - pair.losses, names=None, baseline=None, test=pair.test,
        higher_is_better=higher, _shares=pair.shares,
    )  # fmt: skip

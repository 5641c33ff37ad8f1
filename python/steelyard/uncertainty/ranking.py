"""Many models compared with each other: their ranks, and which of them cannot be told from the best."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, NamedTuple, NoReturn

import numpy as np
from numpy.typing import NDArray

from .. import _core, _intervals
from .._arrays import to_float64
from .._columns import Array, Columns
from .._estimate import Estimate, json_ready
from .._forest import axes_for, forest
from .._mode import standard_mode_methods
from .._numbers import percent
from .._options import Confidence
from .._progress import OnProgress
from .._result import Result
from .._rows import Rows, Selection
from .._text import html_table, printable
from ..errors import value_error

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["Ranking", "Whole", "ranking", "units"]

Whole = NDArray[np.int64]
MOST_MODELS = 2048
# Scores that differ by at most 2^-49 of the larger one differ by rounding.
TIE = 8.0 * float(np.finfo(np.float64).eps)
SEED = 0


@standard_mode_methods
@dataclass(frozen=True, kw_only=True, eq=False, repr=False)
class Ranking(Result):
    """Models ordered by their score on the same rows, the best first, with the range of ranks that each may have.

    All pairs of models are tested together, so that with probability ``confidence_level`` no pair is put into the wrong
    order. A model's rank is at least 1 + the number of models that are surely better, and at most the number of all
    models - the number that are surely worse.

    Attributes
    ----------
    score : Estimate
        The mean score of each model with its own interval; ``score.names`` are the models in this order. Whether the
        intervals of two models overlap does not say whether one of them is better: the rank ranges do.
    rank : ndarray
        1 + the number of models with a better score.
    rank_low, rank_high : ndarray
        The best and the worst rank that the tests leave open.
    p_value : ndarray [M, M]
        For each pair, the p of the test whether the better one is better, adjusted for all pairs.
    n : int
        The rows that count, the same for all models.
    test : str
        How the p-values were computed.
    higher_is_better : bool
        Whether a larger score is better.

    Examples
    --------
    >>> import steelyard as sy
    >>> scores = {"a": [1, 1, 1, 0] * 25, "b": [1, 1, 0, 1] * 25, "c": [0, 1, 0, 0] * 25}
    >>> ranks = sy.compare(scores)
    >>> ranks.names, ranks.rank_low.tolist(), ranks.rank_high.tolist(), ranks.best.tolist()
    (('a', 'b', 'c'), [1, 1, 3], [2, 2, 3], [True, True, False])
    """

    _axis: ClassVar[str] = "score"

    score: Estimate
    rank: Whole
    rank_low: Whole
    rank_high: Whole
    p_value: NDArray[np.float64]
    n: int
    test: str
    higher_is_better: bool

    @property
    def names(self) -> tuple[str, ...]:
        """The models, the best first."""
        assert self.score.names is not None
        return self.score.names

    @property
    def best(self) -> NDArray[np.bool_]:
        """Which models cannot be told from the best: no other is surely better."""
        best: NDArray[np.bool_] = self.rank_low == 1
        return best

    @property
    def table(self) -> dict[str, Any]:
        """One row per model, as ``{column: array}``."""
        missing = np.full(len(self.names), np.nan)
        limits = {side: getattr(self.score, side) for side in ("low", "high")}
        return {
            "name": np.array(self.names),
            "rank": self.rank,
            "rank_low": self.rank_low,
            "rank_high": self.rank_high,
            "best": self.best,
            self._axis: self.score.value,
            **{side: missing if limit is None else limit for side, limit in limits.items()},
            "n": self.score.n,
        }

    def to_dict(self) -> dict[str, Any]:
        """Return every field in types that JSON has."""
        plain = {
            "rank": self.rank, "rank_low": self.rank_low, "rank_high": self.rank_high, "p_value": self.p_value,
            "n": self.n, "test": self.test, "higher_is_better": self.higher_is_better,
        }  # fmt: skip
        return {"score": self.score.to_dict(), **{key: json_ready(value) for key, value in plain.items()}}

    @property
    def ranges(self) -> list[str]:
        """The ranks that each model may have as text, such as ``1-5``; ``3`` where there is one alone."""
        ends = zip(self.rank_low.tolist(), self.rank_high.tolist(), strict=True)
        return [str(low) if low == high else f"{low}-{high}" for low, high in ends]

    def __str__(self) -> str:
        ranges, names = self.ranges, [printable(name) for name in self.names]
        wide, long = max(map(len, ranges)), max(map(len, names))
        lines = [
            f"{ranks:>{wide}}  {name:<{long}}  {one}{'  *' if best else ''}"
            for ranks, name, one, best in zip(ranges, names, self.score, self.best.tolist(), strict=True)
        ]
        level = percent(self.score.confidence_level)
        return "\n".join([*lines, f"* cannot be told from the best ({level} for all pairs, {self.test})"])

    def __repr__(self) -> str:
        return f"<{type(self).__name__}\n{self}>"

    def __bool__(self) -> NoReturn:
        name = type(self).__name__
        raise TypeError(f"a {name} is neither true nor false; .best says which models cannot be told from the best")

    def _repr_html_(self) -> str:
        """Render as the table a notebook shows."""
        cells = [
            [ranks, printable(name), f"{one:{one._spec()}}", "yes" if best else ""]
            for ranks, name, one, best in zip(self.ranges, self.names, self.score, self.best.tolist(), strict=True)
        ]
        caption = f"{percent(self.score.confidence_level)} for all pairs, {self.test}"
        return html_table(cells, ["ranks", "model", self._axis, "as good as the best"], caption)

    def plot(self, ax: Axes | None = None, *, label: str | None = None) -> Axes:
        """Draw the scores with their intervals, the best model at the top.

        Parameters
        ----------
        ax : matplotlib Axes, optional
            The axes to draw on; new ones are made where it is not given.
        label : str, optional
            The name of this ranking in a legend; a second ranking on the same axes joins the legend.

        Returns
        -------
        matplotlib Axes
        """
        table = self.table
        axes = axes_for(ax, len(self.names))
        named = [f"{name}  {ranks}" for name, ranks in zip(self.names, self.ranges, strict=True)]
        return forest(axes, named, table[self._axis], table["low"], table["high"], axis=self._axis, label=label)


class _Claims(NamedTuple):
    """What the tests of all pairs found, in the order of the columns."""

    surely_better: NDArray[np.bool_]
    """[i, j]: whether model i is surely better than model j."""
    p: NDArray[np.float64]
    test: str


def ranking(
    found: Columns, selection: Selection, confidence: Confidence, *, higher: bool, progress: OnProgress
) -> Ranking:
    """Rank the columns on the rows on which all of them count."""
    items = list(found.items)
    if len(items) > MOST_MODELS:
        expected = f"at most {MOST_MODELS:,} models to rank"
        raise value_error("new", expected, f"{len(items):,}", "name a baseline to compare with it alone")
    names = found.names or tuple(map(str, range(len(items))))
    first, length = items[0][0], len(items[0][1])
    for name, values in items:
        if len(values) != length:
            fix = "pair them by id first (steelyard.records does)"
            raise value_error(name, f"{length} rows, as {first} has", str(len(values)), fix)
    rows = selection.rows("new", *(values for _, values in items))
    scores = [_intervals.mean(values, confidence, rows, name=name) for name, values in items]
    claims = _claims([values for _, values in items], rows, 1.0 - confidence.level, higher=higher, progress=progress)
    means = np.array([float(one) for one in scores])
    turned = means if higher else -means
    order = np.argsort(-turned, kind="stable")
    surely = claims.surely_better
    return Ranking(
        score=_intervals.stack([scores[i] for i in order], tuple(names[i] for i in order)),
        rank=1 + np.array([np.count_nonzero(turned > turned[i]) for i in order], np.int64),
        rank_low=1 + np.count_nonzero(surely, axis=0)[order],
        rank_high=len(items) - np.count_nonzero(surely, axis=1)[order],
        p_value=claims.p[np.ix_(order, order)],
        n=int(scores[0].n),
        test=claims.test,
        higher_is_better=higher,
    )


def _claims(columns: Sequence[Array], rows: Rows, alpha: float, *, higher: bool, progress: OnProgress) -> _Claims:
    """Test all pairs together."""
    models = len(columns)
    table, tie, unit = units(columns, rows)
    found = _core.max_t(table, models=models, tie=tie, seed=SEED, progress=progress)
    better = found["statistics"].reshape(models, models) * (1.0 if higher else -1.0) > 0.0
    p = found["p"].reshape(models, models)
    flips = f"all {found['patterns']:,}" if found["all"] else f"{found['patterns'] - 1:,} random"
    return _Claims(better & (p <= alpha), p, f"step-down max-t over {flips} sign flips, one sign per {unit}")


def units(columns: Sequence[Array], rows: Rows) -> tuple[NDArray[np.float64], float, str]:
    """The scores of the rows that count, or their sums by cluster, unit by unit; the tie of scores; what a unit is."""
    kept = [rows.of(values) for values in columns]
    tie = _tie(kept)
    if rows.clusters is None:
        of_units, unit = [to_float64(values) for values in kept], "row"
    else:
        codes, total = rows.clusters
        floats = [values.astype(np.float64) if values.dtype == np.bool_ else values for values in kept]
        of_units = [_core.cluster_sums(values, codes, clusters=total)[0] for values in floats]
        tie, unit = tie * int(np.bincount(codes).max()), "cluster"
    return np.ascontiguousarray(np.stack(of_units, axis=1)), tie, unit


def _tie(columns: Sequence[Array]) -> float:
    """The share of a score that rounding may make up: where models have different types, that of the coarsest."""
    kinds = {values.dtype for values in columns if values.dtype != np.bool_}
    return max(map(_step, kinds)) if len(kinds) > 1 else TIE


def _step(dtype: np.dtype[Any]) -> float:
    """One step of a type, as a share of the number; uint16 is bfloat16."""
    if dtype == np.uint16:
        return 2.0 / 256.0
    return TIE if dtype == np.float64 else float(np.finfo(dtype).eps)

"""The result of a comparison: its numbers, its verdict, and how they are printed and drawn."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple, NoReturn

import numpy as np
from numpy.typing import NDArray

from .._estimate import Estimate, json_ready
from .._forest import axes_for, forest
from .._intervals import equivalence as equivalence_verdict
from .._intervals import turned, verdict
from .._lazy import lazy
from .._mode import standard_mode_methods
from .._numbers import as_share, count, plural
from .._options import at_least_zero, flag
from .._result import Result
from .._text import html_table, printable
from ..errors import value_error
from .items import Compared, flipped

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["Comparison"]

Number = float | NDArray[np.float64]
Count = int | NDArray[np.int64]
LEAST = sys.float_info.min  # the smallest p that is returned: the smallest normal float64
AT_MOST = 2.23e-308  # LEAST to three digits, rounded up


class Pair(NamedTuple):
    """One model compared with the baseline: what becomes an entry of a :class:`Comparison`."""

    difference: Estimate
    p: float
    test: str
    wins: int | None
    """Rows where the new model's score is larger; None for two samples of different rows."""
    losses: int | None
    shares: bool
    """Whether the scores of both models lie in [0, 1]."""
    units: int | None = None
    """How many units win, lose or tie, where these are not the rows but clusters."""


@standard_mode_methods
@dataclass(frozen=True, kw_only=True, eq=False, repr=False)
class Comparison(Result):
    """The comparison of one model, or several, with a baseline: on the same rows, or as two samples (``paired``).

    For one pair of arrays the fields are plain numbers; for a mapping or ``[n, M]`` arrays with one entry per model.

    Attributes
    ----------
    difference : Estimate
        Mean of new - base, with its interval. Unpaired, ``n`` and ``n_clusters`` count both sides together, and
        ``detail`` holds each: ``n_new``, ``n_baseline``, ``clusters_new``, ``clusters_baseline``. A sign-flip test of
        fewer than 10 differences (or cluster sums) that are not 0 cannot give a small p: ``detail["signs"]`` is how
        many there are, ``detail["smallest_p"]`` the smallest p possible.
    p_value, p_adjusted : float or ndarray
        For the hypothesis that the mean difference is zero; ``p_adjusted`` is adjusted for the number of models
        or groups.
    wins, losses, ties : int or ndarray or None
        The numbers of rows where the new model is better, worse and equal; None where the rows are not paired, and for
        statistics that rows have no score in.
        Differences of at most 2^-49 of the larger score are rounding and count as ties.
    names : tuple of str or None
        The names of the models compared; with ``by`` those of the groups in which one model was compared.
    baseline : str or None
        The name of the baseline, where it has one.
    test : str or tuple of str
        The test behind the p-value.
    higher_is_better : bool
        Whether a larger value is better.
    paired : bool
        Whether both sides are scores of the same rows.
    ratio : Estimate or None
        With ``statistic="perplexity"`` the ratio of the perplexities, exp(difference); ``difference`` is then in nats
        per token, and ``wins``, ``losses`` and ``ties`` count clusters.

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
    wins: Count | None
    losses: Count | None
    ties: Count | None
    names: tuple[str, ...] | None
    baseline: str | None
    test: str | tuple[str, ...]
    higher_is_better: bool
    paired: bool = True
    ratio: Estimate | None = None
    _shares: bool = False
    """Whether every score of every model lies in [0, 1]."""
    _model: str | None = None
    """The name of the model that was compared, where ``names`` are those of groups."""

    @lazy
    def items(self) -> dict[str, Any] | None:
        """The rows that flipped, as ``{column: array}``: where new is worse, then where it is better, largest first.

        ``index`` is the row, ``new``, ``baseline`` and ``difference`` are its scores; ``id`` is there for records that
        :func:`steelyard.records.read` has matched, and ``name`` for several models. Ties are not in it. The rows are
        looked up when they are first asked for, in the arrays that were compared, of which no copy is kept: scores that
        have changed meanwhile are an error. None where no scores are known.

        Examples
        --------
        >>> import steelyard as sy
        >>> found = sy.compare([1.0, 0.5, 0.2, 0.9], baseline=[1.0, 0.75, 0.7, 0.8]).items
        >>> found["index"].tolist(), found["new"].tolist(), found["baseline"].tolist()
        ([2, 1, 3], [0.2, 0.5, 0.9], [0.7, 0.75, 0.8])
        """
        compared: Compared | None = vars(self).get("_compared")
        return None if compared is None else flipped(compared)

    def _compared_from(self, compared: Compared) -> Comparison:
        """Attach the scores behind the comparison. They are no field, since ``==`` is about the results."""
        vars(self)["_compared"] = compared
        return self

    def __getstate__(self) -> dict[str, Any]:
        """A pickle holds the rows that flipped instead of all scores."""
        return {name: value for name, value in (vars(self) | {"items": self.items}).items() if name != "_compared"}

    def verdict(self, margin: float = 0.0, *, equivalence: bool = False) -> str | tuple[str, ...]:
        """Decide from the interval alone whether the new model is better, or worse by more than ``margin``.

        The limits are those of new - base, with the sign changed where lower is better. The verdict is ``"better"``
        where low > 0; else ``"not_worse"`` where low > -margin; else ``"worse"`` where high < -margin; else
        ``"undecided"``, also where there is no interval. Verdicts on m models use intervals at 1 - alpha/m each
        (Bonferroni), so that all of them hold at once. ``"not_worse"`` is what is called non-inferiority.

        Parameters
        ----------
        margin : float
            The largest loss that is acceptable, in units of the score: at least 0, and below 1 where all scores lie in
            [0, 1].
        equivalence : bool
            True asks whether the difference is smaller than ``margin`` in either direction: ``"equivalent"`` where both
            limits are inside (-margin, margin), ``"different"`` where the whole interval is outside of it, else
            ``"undecided"``. These are two one-sided tests at half of alpha each; for two at 5 % compare with
            ``confidence_level=0.9``. ``margin`` must be above 0.

        Returns
        -------
        str or tuple of str
            One verdict per model.

        Raises
        ------
        ValueError
            For a negative or infinite margin, for a margin of 1 or more where all scores lie in [0, 1], and for a
            margin of 0 with ``equivalence``.

        Examples
        --------
        >>> import steelyard as sy
        >>> sy.compare([1.0, 1.0, 0.9, 0.8], baseline=[0.2, 0.1, 0.3, 0.2]).verdict(margin=0.01)
        'better'
        >>> same = sy.compare([1] * 450 + [0] * 50, baseline=[1] * 449 + [0] * 51)
        >>> same.verdict(margin=0.02, equivalence=True)
        'equivalent'
        """
        smallest = at_least_zero("margin", margin)
        if smallest >= 1.0 and self._shares:
            expected = "less than 1, since scores in [0, 1] cannot lose more"
            raise value_error("margin", expected, f"{smallest:g}", as_share(smallest))
        if flag(equivalence, "equivalence") and smallest == 0.0:
            raise value_error(
                "margin", "above 0 with equivalence=True", "0", "say how large a difference is negligible"
            )
        of = equivalence_verdict if equivalence else verdict
        verdicts = tuple(of(low, high, smallest) for low, high in self._limits())
        return verdicts if isinstance(self.p_value, np.ndarray) else verdicts[0]

    def _limits(self) -> list[tuple[float, float]]:
        """The limits that decide each model's verdict, turned so that higher is better; NaN for a missing limit."""
        detail = self.difference.detail
        low = _row(detail.get("simultaneous_low", self.difference.low))
        high = _row(detail.get("simultaneous_high", self.difference.high))
        worst, best = turned(low, high, higher_is_better=self.higher_is_better)
        return list(zip(worst.tolist(), best.tolist(), strict=True))

    @property
    def table(self) -> dict[str, Any]:
        """One row per model, as ``{column: array}``; rows that are not paired have no wins, losses and ties."""
        numbers = {
            "difference": self.difference.value,
            "standard_error": self.difference.standard_error,
            "low": self.difference.low,
            "high": self.difference.high,
            "p_value": self.p_value,
            "p_adjusted": self.p_adjusted,
        }
        counts: dict[str, Any] = {"n": self.difference.n}
        if self.wins is not None:
            counts = {"wins": self.wins, "losses": self.losses, "ties": self.ties} | counts
        elif not self.paired:
            counts |= {side: self.difference.detail[side] for side in ("n_new", "n_baseline")}
        if self.ratio is not None:
            numbers |= {"ratio": self.ratio.value, "ratio_low": self.ratio.low, "ratio_high": self.ratio.high}
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
            "higher_is_better": self.higher_is_better, "paired": self.paired,
            "ratio": None if self.ratio is None else self.ratio.to_dict(),
        }  # fmt: skip
        return {"difference": self.difference.to_dict(), **{key: json_ready(value) for key, value in plain.items()}}

    def _tests(self) -> list[str]:
        """The name of the test for each model; with few signs to flip it includes the smallest possible p."""
        tests = self.test if isinstance(self.test, tuple) else (self.test,)
        least = np.broadcast_to(_row(self.difference.detail.get("smallest_p")), (len(tests),))
        few = [f"; no p below {p:.3g} is possible" if p == p else "" for p in least.tolist()]
        return [test + said for test, said in zip(tests, few, strict=True)]

    def _lines(self) -> list[str]:
        base = printable(self.baseline or "baseline")
        many = isinstance(self.p_value, np.ndarray)
        parts = list(self.difference) if many else [self.difference]
        table, tests = self.table, self._tests()
        labels = [printable(label) for label in self._labels()]
        if self._model is not None:
            labels = [f"{label}: {printable(self._model)}" for label in labels]
        several = many and len(parts) > 1
        adjusted = [
            f", adjusted {_p(p, len(parts)).removeprefix('= ')}" if several else "" for p in table["p_adjusted"]
        ]
        ratios = [""] * len(parts)
        if self.ratio is not None:
            found = list(self.ratio) if many else [self.ratio]
            ratios = [f"perplexity {one:{one._spec()}} of the baseline's\n  " for one in found]
        return [
            f"{label} - {base}: {part}\n  {ratio}p {_p(p)}{more} ({test}), {rows}"
            for label, part, ratio, p, more, test, rows in zip(
                labels, parts, ratios, table["p_value"], adjusted, tests, self._rows(table), strict=True
            )
        ]

    def _rows(self, table: dict[str, Any]) -> list[str]:
        """For each model, what is said of its rows."""
        if "wins" in table:
            counts = zip(table["wins"], table["losses"], table["ties"], strict=True)
            of = "" if self.ratio is None else " of clusters"
            return [f"{wins} wins, {losses} losses, {ties} ties{of}" for wins, losses, ties in counts]
        if self.paired:
            return [f"paired: {plural(int(n), 'row')}" for n in table["n"]]
        sizes = zip(table["n_new"], table["n_baseline"], strict=True)
        return [f"unpaired: {plural(int(new), 'row')} against {count(int(base))}" for new, base in sizes]

    def __str__(self) -> str:
        return "\n".join(self._lines())

    def __repr__(self) -> str:
        return f"<Comparison {self}>"

    def __bool__(self) -> NoReturn:
        raise TypeError("a Comparison is neither true nor false; ask its verdict(margin)")

    def _repr_html_(self) -> str:
        """Render as the table a notebook shows."""
        table = self.table
        models, head = len(table["name"]), [title.replace("_", " ") for title in table]
        rows = zip(*(column.tolist() for column in table.values()), strict=True)
        cells = ([_cell(cell, title, models) for title, cell in zip(table, row, strict=True)] for row in rows)
        return html_table(cells, head, f"difference from {printable(self.baseline or 'the baseline')}")

    def plot(self, ax: Axes | None = None, *, label: str | None = None) -> Axes:
        """Draw the differences with their intervals, and a line at zero.

        Parameters
        ----------
        ax : matplotlib Axes, optional
            The axes to draw on; new ones are made where it is not given.
        label : str, optional
            The name of this result in a legend; a second result on the same axes joins the legend.

        Returns
        -------
        matplotlib Axes
        """
        table, labels = self.table, self._labels()
        axes = axes_for(ax, len(labels))
        against = f"difference from {self.baseline or 'the baseline'}"
        values = (table[column] for column in ("difference", "low", "high"))
        return forest(axes, labels, *values, axis=against, label=label, zero=True)


def _row(value: Any) -> NDArray[np.float64]:
    """A field as an array with one entry per model; NaN where there is no number."""
    return np.atleast_1d(np.asarray(np.nan if value is None else value, np.float64))


def _p(p: float, models: int = 1) -> str:
    """A p-value with its relation, as in "= 0.012".

    The relation is "<=" for the smallest p that is returned, which stands for all smaller ones. Holm's adjustment may
    have multiplied it by up to the number of ``models``.
    """
    return f"= {p:.3g}" if p > models * LEAST else f"<= {models * AT_MOST:.3g}"


def _cell(value: Any, title: str, models: int) -> str:
    at_most = {"p_value": 1, "p_adjusted": models}.get(title)
    if at_most and value <= at_most * LEAST:
        return _p(value, at_most)
    return f"{value:.4g}" if isinstance(value, float) else printable(value)

"""The result of ``reliability``: calibration errors with their intervals, the table of the bins, and the diagram."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from numpy.typing import NDArray

from .._estimate import Estimate, json_ready
from .._forest import legend
from .._mode import standard_mode_methods
from .._numbers import percent
from .._result import Result
from .._text import html_table, printable

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["Reliability"]

Array = NDArray[Any]
# The height of the diagram's axes, and where the counts begin: they stand above 1, inside the axes.
HEIGHT, PLACE = 1.24, 1.05
COUNTS = "steelyard.counts"  # marks the axes of the counts for a second result
Form = Literal["probabilities", "top labels", "answers"]
Verdict = Literal["overconfident", "underconfident", "miscalibrated", "undecided"]


@standard_mode_methods
@dataclass(frozen=True, eq=False, kw_only=True, repr=False)
class Reliability(Result):
    """How far predicted probabilities lie from observed frequencies.

    Attributes
    ----------
    ece, rmsce, mce : Estimate
        Expected (mean absolute), root mean squared and maximum calibration error over the filled bins, in
        probability units, each with its interval; ``mce.detail["bin_n"]`` is the number of rows in the bin of the
        largest gap.
    gap : Estimate
        Mean probability minus the share of rows that came true, over all rows: positive means overconfident. Gaps of
        different bins may have different signs and then cancel.
    noise_floor : float or None
        The mean ``ece`` of a calibrated model with these probabilities (and clusters), which is not 0. An ``ece`` near
        it is no evidence against the model. None with fewer than two clusters.
    frequency : Estimate
        The share of rows that came true. It is also called ``accuracy`` where each row holds class probabilities, and
        ``base_rate`` where each row holds one probability.
    table : dict of str to ndarray
        One entry per bin: ``bin_low``, ``bin_high``, ``count``, ``correct``, ``mean_probability``,
        ``accuracy``, ``gap`` (mean probability minus accuracy: positive means overconfident) and the Wilson
        limits ``low``, ``high`` of the accuracy (clustered where rows have clusters); NaN in empty bins. If rows have
        weights, ``count`` and ``correct`` still count rows, ``weight`` is the share of the bin in the sum of all
        weights, and the columns after it are weighted.
    n : int
        The number of rows that count.
    n_clusters : int or None
        The number of clusters with rows that count; None where rows have no clusters.
    left_out : dict of str to int
        ``"where"``: rows that ``where`` excluded; ``"zero weight"``: rows of weight 0; ``"nan"``: rows omitted because
        of a NaN; ``"clamped"``: probabilities in (1, 1 + 1e-6], which were taken as 1; ``"rounded"``: rows of class
        probabilities that were accepted although they sum to 1 only with the accuracy of 16-bit floats. Counts of 0
        are not listed.
    kind : {"probabilities", "top labels", "answers"}
        What each probability refers to: an event, the likeliest of several classes, or the answer that was given.

    Examples
    --------
    >>> import steelyard as sy
    >>> rel = sy.reliability([0.1, 0.3, 0.8, 0.9], [0, 1, 1, 1], n_bins=2)
    >>> rel.table["count"].tolist(), rel.table["gap"].round(3).tolist()
    ([2, 2], [-0.3, -0.15])
    >>> rel.base_rate.value, rel.verdict()
    (0.75, 'undecided')
    """

    ece: Estimate
    rmsce: Estimate
    mce: Estimate
    gap: Estimate
    noise_floor: float | None
    frequency: Estimate
    table: dict[str, Array]
    n: int
    n_clusters: int | None
    left_out: dict[str, int]
    kind: Form

    @property
    def accuracy(self) -> Estimate:
        """The share of rows whose likeliest class came true."""
        if self.kind == "probabilities":
            raise AttributeError(
                "accuracy: expected class probabilities, shape [n, K]; got one probability per row, shape [n]; the "
                "share of rows that came true is base_rate"
            )
        return self.frequency

    @property
    def base_rate(self) -> Estimate:
        """The share of rows that came true, where each row holds the probability of one event."""
        if self.kind != "probabilities":
            raise AttributeError(
                f"base_rate: expected one probability per row, shape [n]; got {self.kind}; the share of rows that came "
                "true is accuracy"
            )
        return self.frequency

    def verdict(self) -> Verdict:
        """Say in one word what the intervals show.

        Returns
        -------
        {"overconfident", "underconfident", "miscalibrated", "undecided"}
            ``"undecided"`` where the interval of ``ece`` contains 0 (a calibrated model gets this verdict in 95 of 100
            cases) or does not exist, with fewer than two clusters. Otherwise ``gap`` decides: over- or underconfident
            where its interval lies above or below 0, miscalibrated where it contains 0.
        """
        if self.ece.low is None or not self.ece.low > 0 or self.gap.low is None or self.gap.high is None:
            return "undecided"
        if self.gap.low > 0:
            return "overconfident"
        return "underconfident" if self.gap.high < 0 else "miscalibrated"

    def _lines(self) -> list[tuple[str, str]]:
        """The names and values that ``print`` and notebooks show."""
        share = "base rate" if self.kind == "probabilities" else "accuracy"
        return [
            ("ece", str(self.ece)),
            ("noise floor", self._floor()),
            ("rmsce", str(self.rmsce)),
            ("mce", f"{self.mce}, in a bin of {self.mce.detail['bin_n']}"),
            ("gap", str(self.gap)),
            (share, str(self.frequency)),
            ("verdict", self.verdict()),
        ]

    def __str__(self) -> str:
        return "\n".join(f"{name:<13}{text}" for name, text in self._lines())

    def __repr__(self) -> str:
        return f"<Reliability ece {self.ece}, noise floor {self._floor()}, {self.verdict()}>"

    def _floor(self) -> str:
        return "none" if self.noise_floor is None else f"{self.noise_floor:.3g}"

    def _repr_html_(self) -> str:
        """Return the two tables that a notebook shows, the errors and the bins."""
        rows = zip(*(column.tolist() for column in self.table.values()), strict=True)
        bins = (map(_cell, row) for row in rows)
        return html_table(self._lines()) + html_table(bins, [name.replace("_", " ") for name in self.table])

    def to_dict(self) -> dict[str, Any]:
        """Return everything as types that JSON has (NaN as null)."""
        return {
            "kind": self.kind,
            "ece": self.ece.to_dict(),
            "rmsce": self.rmsce.to_dict(),
            "mce": self.mce.to_dict(),
            "gap": self.gap.to_dict(),
            "noise_floor": self.noise_floor,
            "base_rate" if self.kind == "probabilities" else "accuracy": self.frequency.to_dict(),
            "verdict": self.verdict(),
            "table": json_ready(self.table),
            "n": self.n,
            "n_clusters": self.n_clusters,
            "left_out": dict(self.left_out),
        }

    def plot(self, ax: Axes | None = None, *, label: str | None = None) -> Axes:
        """Draw the reliability diagram: accuracy against mean probability with Wilson limits, and the counts above.

        Parameters
        ----------
        ax : matplotlib.axes.Axes, optional
            Where to draw; by default a new figure is made.
        label : str, optional
            The name of this result in the legend, beside its ECE. A second result on the same axes joins the legend.

        Returns
        -------
        matplotlib.axes.Axes
        """
        if ax is None:
            import matplotlib.pyplot as plt

            ax = plt.subplots(figsize=(5, 5.6), layout="constrained")[1]
        first = _counts_of(ax) is None
        if first:
            ax.plot([0, 1], [0, 1], color="0.6", linewidth=1, linestyle="--", zorder=1, label="calibrated")
            ax.axhline(1, color="0.85", linewidth=0.8, zorder=0)
            ax.set(xlim=(0, 1), ylim=(0, HEIGHT), xlabel="mean probability", ylabel="observed frequency")
            ax.set_yticks(np.arange(6) / 5)
        table = {name: column[self.table["count"] > 0] for name, column in self.table.items()}
        x, y = table["mean_probability"], table["accuracy"]
        # Rounding may put a limit on the wrong side of its frequency.
        bars = np.maximum([y - table["low"], table["high"] - y], 0.0)
        level = f"{percent(self.ece.confidence_level)} limits"
        named = f"observed, {level}" if label is None else f"{printable(label)}: ECE {self.ece.value:.2%}"
        style: dict[str, Any] = {"fmt": "o", "markersize": 4.5, "capsize": 2, "linewidth": 1.2, "zorder": 3}
        drawn = ax.errorbar(x, y, yerr=bars, label=named, clip_on=False, **style)
        legend(ax, loc="upper left", frameon=False, bbox_to_anchor=(0, 1 / HEIGHT))
        self._draw_counts(ax, None if first and label is None else drawn[0].get_color())
        if label is None:
            ax.set_title(self._title(), fontsize="medium")
        return ax

    def _draw_counts(self, ax: Axes, colour: Any) -> None:
        """The rows of each bin, as bars above the diagram or, with a colour, as a line among those of other results."""
        counts = _counts_of(ax)
        shown = "weight" if "weight" in self.table else "count"
        if counts is None:
            place = (0, PLACE, 1, HEIGHT - PLACE)
            counts = ax.inset_axes(place, transform=ax.transData, sharex=ax, label=COUNTS)
            counts.tick_params(labelbottom=False, bottom=False)
            counts.patch.set_visible(False)
            counts.spines[["top", "right"]].set_visible(False)
            counts.set_ylabel("rows" if shown == "count" else shown, fontsize="small")
            counts.locator_params(axis="y", nbins=2)
        low, high = self.table["bin_low"], self.table["bin_high"]
        if colour is None:
            counts.bar(low, self.table[shown], high - low, align="edge", color="0.75", edgecolor="white")
        else:
            counts.stairs(self.table[shown], np.append(low, high[-1]), color=colour, linewidth=1.2)

    def _title(self) -> str:
        """The title of the diagram: the ECE, the noise floor to compare it with, the number of rows, the verdict."""
        floor = [] if self.noise_floor is None else [f"noise floor {self.noise_floor:.2%}"]
        clusters = "" if self.n_clusters is None else f" in {self.n_clusters} clusters"
        shown = [] if (verdict := self.verdict()) == "undecided" else [verdict]
        return ", ".join([f"ECE {self.ece:.2%}", *floor, f"n = {self.n}{clusters}", *shown])


def _counts_of(ax: Axes) -> Any:
    """The axes of the counts of a diagram that was drawn here before, if there is one."""
    return next((child for child in ax.child_axes if child.get_label() == COUNTS), None)


def _cell(value: float) -> str:
    if isinstance(value, int):
        return str(value)
    return "" if value != value else f"{value:.4f}"

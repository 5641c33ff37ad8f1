"""The reliability diagram: errors, their intervals and the table of the bins."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .._mode import standard_mode_methods
from .._result import Result
from ..estimate import Estimate, json_ready, percent

__all__ = ["Reliability"]

Array = NDArray[Any]


@standard_mode_methods
@dataclass(frozen=True, eq=False, kw_only=True, repr=False)
class Reliability(Result):
    """How far predicted probabilities lie from observed frequencies.

    Attributes
    ----------
    ece, rmsce, mce : Estimate
        Expected (mean absolute), root mean squared and maximum calibration error over the filled bins, in
        probability units, each with its interval.
    noise_floor : float
        What ``ece`` is expected to be for a calibrated model with these probabilities: not 0. An ``ece``
        near it says nothing against the model.
    accuracy : Estimate
        The share of predictions that came true.
    table : dict of str to ndarray
        One entry a bin: ``bin_low``, ``bin_high``, ``count``, ``correct``, ``mean_probability``,
        ``accuracy``, ``gap`` (mean probability less accuracy: positive is overconfident) and the Wilson
        limits ``low``, ``high`` of the accuracy; NaN in empty bins.
    n : int
        Rows that count.
    left_out : dict of str to int
        ``"where"``: rows that ``where`` excluded; ``"nan"``: rows omitted for a NaN; ``"clamped"``:
        probabilities in (1, 1 + 1e-6], which counted as 1. Only what happened is listed.

    Examples
    --------
    >>> import steelyard as sy
    >>> rel = sy.reliability([0.1, 0.3, 0.8, 0.9], [0, 1, 1, 1], n_bins=2)
    >>> rel.table["count"].tolist(), rel.table["gap"].round(3).tolist()
    ([2, 2], [-0.3, -0.15])
    """

    ece: Estimate
    rmsce: Estimate
    mce: Estimate
    noise_floor: float
    accuracy: Estimate
    table: dict[str, Array]
    n: int
    left_out: dict[str, int]

    def _lines(self) -> list[tuple[str, str]]:
        errors = {"ece": self.ece, "rmsce": self.rmsce, "mce": self.mce, "accuracy": self.accuracy}
        lines = [(name, str(error)) for name, error in errors.items()]
        return [*lines[:1], ("noise floor", f"{self.noise_floor:.3g}"), *lines[1:]]

    def __str__(self) -> str:
        return "\n".join(f"{name:<13}{text}" for name, text in self._lines())

    def __repr__(self) -> str:
        return f"<Reliability ece {self.ece}, noise floor {self.noise_floor:.3g}>"

    def _repr_html_(self) -> str:
        """Render as the tables a notebook shows: the errors, and the bins."""
        from html import escape  # loaded by a notebook, not by every import

        errors = "".join(f"<tr><td>{escape(a)}</td><td>{escape(b)}</td></tr>" for a, b in self._lines())
        head = "".join(f"<th>{escape(name.replace('_', ' '))}</th>" for name in self.table)
        rows = zip(*(column.tolist() for column in self.table.values()), strict=True)
        cells = ["".join(f"<td>{_cell(value)}</td>" for value in row) for row in rows]
        body = "".join(f"<tr>{row}</tr>" for row in cells)
        return f"<table>{errors}</table><table><tr>{head}</tr>{body}</table>"

    def to_dict(self) -> dict[str, Any]:
        """Return everything in types that JSON has (NaN as null)."""
        return {
            "ece": self.ece.to_dict(),
            "rmsce": self.rmsce.to_dict(),
            "mce": self.mce.to_dict(),
            "noise_floor": self.noise_floor,
            "accuracy": self.accuracy.to_dict(),
            "table": json_ready(self.table),
            "n": self.n,
            "left_out": dict(self.left_out),
        }

    def plot(self, ax: Any = None) -> Any:
        """Draw the reliability diagram: accuracy against mean probability with Wilson limits, counts above.

        Parameters
        ----------
        ax : matplotlib.axes.Axes, optional
            Where to draw; a new figure without it.

        Returns
        -------
        matplotlib.axes.Axes
        """
        if ax is None:
            import matplotlib.pyplot as plt

            _, ax = plt.subplots(figsize=(5, 5.6), layout="constrained")
        table = {name: column[self.table["count"] > 0] for name, column in self.table.items()}
        x, y = table["mean_probability"], table["accuracy"]
        ax.plot([0, 1], [0, 1], color="0.6", linewidth=1, linestyle="--", zorder=1, label="calibrated")
        # A limit may lie a rounding beyond the frequency it belongs to.
        bars = np.maximum([y - table["low"], table["high"] - y], 0.0)
        label = f"observed, {percent(self.ece.confidence_level)} limits"
        style = {"fmt": "o", "markersize": 4.5, "capsize": 2, "linewidth": 1.2, "zorder": 3, "clip_on": False}
        ax.errorbar(x, y, yerr=bars, label=label, **style)
        ax.set(xlim=(0, 1), ylim=(0, 1), xlabel="mean probability", ylabel="observed frequency")
        ax.legend(loc="upper left", frameon=False)
        counts = ax.inset_axes((0, 1.05, 1, 0.16), sharex=ax)
        width = self.table["bin_high"] - self.table["bin_low"]
        counts.bar(self.table["bin_low"], self.table["count"], width, align="edge", color="0.75", edgecolor="white")
        counts.tick_params(labelbottom=False)
        counts.set_ylabel("rows")
        counts.spines[["top", "right"]].set_visible(False)
        counts.set_title(f"ECE {self.ece:.2%}, noise floor {self.noise_floor:.2%}, n = {self.n}", fontsize="medium")
        return ax


def _cell(value: float) -> str:
    if isinstance(value, int):
        return str(value)
    return "" if value != value else f"{value:.4f}"

"""The result type of the path of a confidence sequence: its limits over time, as arrays, and drawn."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from .._estimate import json_ready
from .._forest import legend
from .._mode import standard_mode_methods
from .._numbers import decimals, percent, plural
from .._result import Result
from .._text import html_table, printable

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["SequencePath"]

Floats = NDArray[np.float64]


@standard_mode_methods
@dataclass(frozen=True, kw_only=True, eq=False, repr=False)
class SequencePath(Result):
    """The limits of a confidence sequence over time; :meth:`ConfidenceSequenceState.path` makes it.

    Attributes
    ----------
    n : int ndarray
        The times: numbers of values, ascending.
    value, low, high : ndarray
        The mean of the first n values and the limits then, each the tightest of all times up to n. Both limits are NaN
        where those of different times leave no mean.
    confidence_level : float
        The probability that the mean lies within the limits at all times.
    method : str
        How the limits were computed.

    Examples
    --------
    >>> import steelyard as sy
    >>> state = sy.uncertainty.ConfidenceSequenceState().update([1, 0, 1, 1, 1, 0, 1, 1] * 25)
    >>> path = state.path([20, 200])
    >>> path.low.round(3).tolist(), path.high.round(3).tolist()
    ([0.441, 0.645], [0.953, 0.843])
    """

    n: NDArray[np.int64]
    value: Floats
    low: Floats
    high: Floats
    confidence_level: float
    method: str

    def __len__(self) -> int:
        return len(self.n)

    @property
    def table(self) -> dict[str, NDArray[Any]]:
        """One row per time, as ``{column: array}``."""
        return {"n": self.n, "value": self.value, "low": self.low, "high": self.high}

    def to_dict(self) -> dict[str, Any]:
        """Return every field in types that JSON has."""
        fields = {"confidence_level": self.confidence_level, "method": self.method}
        return {name: json_ready(value) for name, value in {**self.table, **fields}.items()}

    def __str__(self) -> str:
        half = (float(self.high[-1]) - float(self.low[-1])) / 2
        places = decimals(half) if half > 0 else 3
        rows = zip(*(column.tolist() for column in self.table.values()), strict=True)
        lines = [f"n = {n}: {value:.{places}f} [{low:.{places}f}, {high:.{places}f}]" for n, value, low, high in rows]
        shown = lines if len(lines) <= 5 else [*lines[:2], "...", *lines[-2:]]
        return "\n".join([*shown, f"({percent(self.confidence_level)}, {self.method}, {plural(len(self), 'time')})"])

    def __repr__(self) -> str:
        return f"<SequencePath\n{self}>"

    def _repr_html_(self) -> str:
        """Render as the table a notebook shows."""
        cells = [
            [f"{x:.4g}" if isinstance(x, float) else str(x) for x in row]
            for row in zip(*map(np.ndarray.tolist, self.table.values()), strict=True)
        ]
        return html_table(cells, list(self.table), f"{percent(self.confidence_level)}, {self.method}")

    def plot(self, ax: Axes | None = None, *, label: str | None = None) -> Axes:
        """Draw the mean against the number of values, with the limits as a band.

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
        if ax is None:
            import matplotlib.pyplot as plt

            ax = plt.subplots(layout="constrained")[1]
        assert ax is not None
        (line,) = ax.plot(self.n, self.value, label=label and printable(label))
        ax.fill_between(self.n, self.low, self.high, color=line.get_color(), alpha=0.2, linewidth=0)
        ax.set(xlabel="values", ylabel=f"mean with {percent(self.confidence_level)} limits at all times", xscale="log")
        if label is not None:
            legend(ax)
        return ax

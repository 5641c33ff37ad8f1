"""Intervals drawn one below the other, as the plots of several results show them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from ._text import printable

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["axes_for", "forest", "legend"]

Floats = NDArray[np.float64]
# What marks the points of a series on its axes, so that a second series finds the first one.
SERIES = "steelyard.forest"
# How far below its row each further series stands.
STEP = 0.2
# The height of a row, and of everything else, of a figure that is made for the rows.
ROW, REST = 0.4, 1.2


def axes_for(ax: Axes | None, rows: int) -> Axes:
    """The axes given, or new ones of a height that suits the number of rows."""
    if ax is not None:
        return ax
    import matplotlib.pyplot as plt

    axes: Axes = plt.subplots(figsize=(6.4, REST + ROW * rows), layout="constrained")[1]
    return axes


def forest(
    ax: Axes,
    names: Sequence[str],
    values: Floats,
    lows: Floats,
    highs: Floats,
    *,
    axis: str,
    label: str | None = None,
    zero: bool = False,
) -> Axes:
    """Draw a point and its interval for each name, the first at the top; without limits (NaN) the point is hollow.

    A limit that is infinite ends at the edge of the axes. ``zero`` draws a line at "no difference".
    A second call on the same axes places equal names on the same row, and further names below.
    """
    series = sum(line.get_gid() == SERIES for line in ax.lines)
    known = [text.get_text() for text in ax.get_yticklabels()] if series else []
    shown = [printable(name) for name in names]
    rows = list(dict.fromkeys([*known, *shown])) if series else shown
    place = np.array([rows.index(name) for name in shown] if series else np.arange(len(shown)), np.float64)
    place = place + STEP * series
    (points,) = ax.plot(values, place, "o", gid=SERIES, label=label and printable(label))
    colour = points.get_color()
    hollow = np.isnan(lows) | np.isnan(highs)
    if hollow.any():
        ax.plot(values[hollow], place[hollow], "o", markerfacecolor="white", markeredgecolor=colour)
    if zero and not series:
        ax.axvline(0.0, color="#444444", linewidth=1, linestyle="--", zorder=1)
    edges = ax.get_xlim() if np.isinf([lows, highs]).any() else (0.0, 0.0)
    left, right = (np.where(np.isinf(ends), edge, ends) for ends, edge in zip((lows, highs), edges, strict=True))
    ax.hlines(place[~hollow], left[~hollow], right[~hollow], colors=colour, linewidth=2)
    ax.set_yticks(range(len(rows)), rows, parse_math=False)
    ax.set_ylim(len(rows) - 0.5 + STEP * series, -0.5)
    ax.set_xlabel(printable(axis), parse_math=False)
    if label is not None:
        legend(ax)
    return ax


def legend(ax: Axes, **options: Any) -> None:
    """One legend of everything on the axes that has a label; a second call replaces it."""
    ax.legend(**options)
    if (made := ax.get_legend()) is not None:
        for text in made.get_texts():
            text.set_parse_math(False)

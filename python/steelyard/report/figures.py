"""The report's pictures: Matplotlib figures as SVG inside the page.

They load nothing, run no scripts and hold no date: the same numbers give the same bytes.
"""

from __future__ import annotations

import io
import re
import warnings
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any, NamedTuple
from xml.etree import ElementTree

from .._text import printable
from .words import limits

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from .._estimate import Estimate
    from ..calibration import Reliability

# Okabe and Ito's palette (Color Universal Design, 2008): told apart with every common form of colour blindness.
BLUE, ORANGE, GREEN, GREY = "#0072B2", "#D55E00", "#009E73", "#5F6B76"
INK = "#1B2733"

STYLE: dict[str, Any] = {
    "font.family": "DejaVu Sans",  # ships with Matplotlib: the layout is the same on every machine
    "font.size": 10.0,
    "text.color": INK,
    "text.parse_math": False,  # a model may be called "$x$"
    "axes.labelcolor": INK,
    "axes.edgecolor": "#9AA5B1",
    "axes.titlesize": 10.5,
    "axes.titleweight": "bold",
    "axes.titlelocation": "left",
    "axes.labelsize": 9.5,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.axisbelow": True,
    "axes.prop_cycle": f"cycler('color', {[BLUE, ORANGE, GREEN]})",
    "axes.formatter.use_mathtext": False,
    "xtick.color": "#52606D",
    "ytick.color": "#52606D",
    "xtick.labelsize": 9.0,
    "ytick.labelsize": 9.0,
    "grid.color": "#E4E7EB",
    "figure.facecolor": "none",
    "axes.facecolor": "none",
    "savefig.facecolor": "none",
    "svg.fonttype": "none",  # text stays text: it can be searched, copied and read aloud
    "svg.hashsalt": "steelyard",
}


@contextmanager
def style(math: bool = False) -> Iterator[None]:
    """Set the report's Matplotlib style inside a ``with`` block, and the caller's settings again after it."""
    import matplotlib as mpl

    with mpl.rc_context(), warnings.catch_warnings():
        warnings.filterwarnings("ignore", message=r"Glyph .* missing", category=UserWarning)
        mpl.rcdefaults()
        mpl.rcParams.update(STYLE | {"text.parse_math": math})
        yield


@dataclass(frozen=True)
class Picture:
    """A picture of the page that has not been drawn yet, so that text needs no Matplotlib."""

    size: tuple[float, float]
    """Width and height in inches."""
    paint: Callable[[Figure], object]
    """Draws it on an empty figure of that size."""
    prefix: str
    """What the ids of its elements begin with, so that those of two pictures differ."""
    label: str
    """What a screen reader says of it."""
    narrow: Picture | None = None
    """The same picture for a screen that is too narrow for it."""
    math: bool = False
    """Whether text between dollar signs is a formula, as the labels of a logarithmic axis need."""


def drawn(picture: Picture) -> list[str]:
    """The picture as SVG and, where it has one, its form for narrow screens."""
    return [svg(picture)] + ([] if picture.narrow is None else [svg(picture.narrow)])


def svg(picture: Picture) -> str:
    """The picture as SVG for the page."""
    from matplotlib.backends.backend_svg import FigureCanvasSVG
    from matplotlib.figure import Figure

    with style(picture.math):
        figure = Figure(figsize=picture.size, layout="constrained")  # no pyplot: no window, no global state
        FigureCanvasSVG(figure)
        picture.paint(figure)
        out = io.StringIO()
        figure.savefig(out, format="svg", metadata={"Date": None, "Creator": None})
    return inline(out.getvalue(), picture.prefix, picture.label)


def inline(svg: str, prefix: str, label: str) -> str:
    """SVG that can stand inside an HTML page.

    Its ids begin with ``prefix``, so that those of two pictures differ; namespaces, metadata and the style sheet, which
    would apply to the whole page, are taken out; ``label`` is for screen readers.
    """
    root = ElementTree.fromstring(svg)
    for parent in list(root.iter()):
        for child in list(parent):
            if child.tag.rpartition("}")[2] in {"metadata", "style"}:
                parent.remove(child)
    for element in root.iter():
        element.tag = element.tag.rpartition("}")[2]
        for key, value in list(element.attrib.items()):
            del element.attrib[key]
            name = key.rpartition("}")[2]
            element.set(name, _own(name, value, prefix))
    for name in ("version", "width", "height"):  # the page scales it by its viewBox
        root.attrib.pop(name, None)
    root.set("role", "img")
    root.set("aria-label", label)
    root.set("style", f"max-width:{float(root.get('viewBox', '0 0 600 0').split()[2]):.0f}pt")
    return ElementTree.tostring(root, encoding="unicode")


def _own(name: str, value: str, prefix: str) -> str:
    """The value of an attribute, with the prefix before every id in it."""
    if name == "id":
        return f"{prefix}-{value}"
    if name == "href":
        return f"#{prefix}-{value.removeprefix('#')}"
    return re.sub(r"url\(#([^)]+)\)", rf"url(#{prefix}-\1)", value)


class Bar(NamedTuple):
    """A row of a picture: a dot for the value, a bar for its interval, a thin line for the interval of the verdict."""

    name: str
    value: float
    interval: tuple[float, float] | None
    simultaneous: tuple[float, float] | None
    verdict: str
    """The verdict gives the colour."""

    @classmethod
    def of(cls, name: str, e: Estimate, simultaneous: tuple[float, float] | None = None, verdict: str = "") -> Bar:
        """The row of an Estimate of one problem."""
        return cls(name, float(e), limits(e), simultaneous, verdict)


FOREST_COLUMNS = 3  # panels side by side: more would leave no room for the intervals
MANY_ROWS = 20  # a picture of more rows has narrower rows, and its axis at the top and at the bottom
LONGEST_NAME, NARROW_NAME = 48, 22  # characters of a name on an axis, on wide and on narrow screens
ROW, NARROW_ROW = 0.38, 0.21  # the height of a row in inches

# The page (page.css) has the same colours for these words.
VERDICTS = {"": BLUE, "better": GREEN, "not_worse": GREEN, "worse": ORANGE, "undecided": GREY}


def intervals(
    rows: Sequence[Bar],
    prefix: str,
    label: str,
    *,
    axis: str,
    zero: bool = False,
    loss: float = 0.0,
    half: bool = False,
) -> tuple[Picture, ...]:
    """A picture of the rows, one below the other; none where there are no rows.

    ``zero`` draws a line at "no difference", ``half`` one at one half, which a coin would reach, and ``loss``, if it is
    not 0, one at the largest loss that is accepted.
    """

    def paint(figure: Figure, narrow: bool = False) -> None:
        ax = figure.add_subplot()
        _interval_rows(ax, rows, room=zero, longest=NARROW_NAME if narrow else LONGEST_NAME)
        if narrow:
            ax.locator_params(axis="x", nbins=4)
        if len(rows) > MANY_ROWS:
            ax.tick_params(axis="x", top=True, labeltop=True)
            ax.tick_params(axis="y", labelsize=7.5)
            ax.spines["top"].set_visible(True)
        if zero or half:
            ax.axvline(0.5 if half else 0, color=INK, linewidth=1, zorder=1)
        if loss:
            ax.axvline(loss, color=ORANGE, linewidth=1, linestyle=(0, (4, 3)), zorder=1)
            beside: dict[str, Any] = {"xytext": (-4, 0), "textcoords": "offset points", "ha": "right", "va": "center"}
            ax.annotate("margin", (loss, -0.55), color=ORANGE, fontsize=8.5, **beside)
        ax.set_xlabel(printable(axis))

    height = ROW * len(rows) if len(rows) <= MANY_ROWS else 0.3 + NARROW_ROW * len(rows)
    if not rows:
        return ()
    narrow = Picture((4.0, 0.78 + height), partial(paint, narrow=True), f"{prefix}-narrow", label)
    return (Picture((8.9, 0.78 + height), paint, prefix, label, narrow),)


def forest(
    panels: Sequence[tuple[str, Sequence[Bar]]], prefix: str, label: str, *, axis: str, loss: float = 0.0
) -> tuple[Picture, ...]:
    """Panels side by side, up to three in a row, which share the names of their rows and the scale.

    All panels have the same rows. A row without an interval is a hollow dot; one whose value is NaN is left empty.
    """
    if not panels:
        return ()
    wide = min(len(panels), FOREST_COLUMNS)
    high = -(-len(panels) // wide)

    def paint(figure: Figure) -> None:
        axes = figure.subplots(high, wide, sharex=True, sharey=True, squeeze=False).ravel()
        for ax, (title, rows) in zip(axes[: len(panels)], panels, strict=True):
            _interval_rows(ax, rows, room=False)
            ax.axvline(0, color=INK, linewidth=1, zorder=1)
            if loss:
                ax.axvline(loss, color=ORANGE, linewidth=1, linestyle=(0, (4, 3)), zorder=1)
            ax.locator_params(axis="x", nbins=5)
            ax.set_title(shortened(printable(title), 64 // wide))
        for ax in axes[len(panels) :]:
            ax.set_visible(False)
        figure.supxlabel(printable(axis), fontsize=9.5, color=INK)

    height = (0.75 + 0.27 * len(panels[0][1])) * high + 0.3
    return (Picture((8.9, height), paint, prefix, label),)


def _interval_rows(ax: Axes, rows: Sequence[Bar], *, room: bool, longest: int = LONGEST_NAME) -> None:
    """Draw the rows from top to bottom; ``room``: leave some above them for the word "margin".

    Names of more than ``longest`` characters lose their middle.
    """
    size = 1.0 if len(rows) <= MANY_ROWS else 0.7
    for colour in dict.fromkeys(VERDICTS[bar.verdict] for bar in rows):
        own = [(y, bar) for y, bar in enumerate(rows) if VERDICTS[bar.verdict] == colour]
        known = [(y, bar.interval) for y, bar in own if bar.interval is not None]
        wider = [(y, bar.simultaneous) for y, bar in own if bar.simultaneous is not None]
        ax.plot(*_segments(known), color=colour, linewidth=5 * size, alpha=0.35, solid_capstyle="round")
        ax.plot(*_segments(wider), color=colour, linewidth=1.2, marker="|", markersize=6 * size)
        for hollow in (False, True):  # a point without an interval
            points = [(bar.value, y) for y, bar in own if (bar.interval is None) == hollow]
            face, edge = ("white", colour) if hollow else (colour, "white")
            dots: dict[str, Any] = {"markersize": 6.5 * size, "markerfacecolor": face, "markeredgecolor": edge}
            ax.plot(*zip(*points, strict=True), "o", **dots) if points else None
    ax.set_yticks(range(len(rows)), [shortened(printable(bar.name), longest) for bar in rows])
    ax.set_ylim(len(rows) - 0.4, -0.8 if room else -0.6)
    ax.tick_params(axis="y", length=0, labelcolor=INK)
    ax.spines["left"].set_visible(False)
    ax.grid(axis="x")


def _segments(rows: Sequence[tuple[int, tuple[float, float]]]) -> tuple[list[float], list[float]]:
    """The coordinates of a line that is broken between the rows, as one artist of all of them."""
    gap = float("nan")
    x = [value for _, (low, high) in rows for value in (low, high, gap)]
    return x, [place for y, _ in rows for place in (float(y), float(y), gap)]


def shortened(name: str, limit: int) -> str:
    """A name that fits on an axis: a long one loses its middle, and the table has it in full."""
    if len(name) <= limit:
        return name
    half = (limit - 1) // 2
    return f"{name[:half]}…{name[-half:]}"


def without_owner(names: Iterable[str]) -> dict[str, str]:
    """Every name without what all of them begin with, up to a ``/`` or ``__``: ``org/a`` and ``org/b`` are a and b.

    It is for the axes of pairs, where two names share little room; tables have the whole names.
    """
    every = list(dict.fromkeys(names))
    first, last = min(every), max(every)  # what these two share, all share
    length = next((i for i, one in enumerate(first) if last[i : i + 1] != one), len(first))
    start = first[:length] if len(every) > 1 else ""
    end = max(start.rfind("/") + 1, start.rfind("__") + 2 if "__" in start else 0)
    return {name: name[end:] or name for name in every}


def reliability(result: Reliability, name: str, prefix: str, label: str) -> Picture:
    """The diagram that ``Reliability.plot`` draws, small: the model's name and its ECE replace title and legend."""

    def paint(figure: Figure) -> None:
        from matplotlib.ticker import MaxNLocator

        ax = result.plot(figure.add_subplot())
        ax.set_title("")
        if (legend := ax.get_legend()) is not None:
            legend.remove()
        for counts in ax.child_axes:
            counts.yaxis.set_major_locator(MaxNLocator(nbins=2, prune="lower"))
        verdict = result.verdict()
        ece = f"ECE {result.ece:.2%}" + ("" if verdict == "undecided" else f", {verdict}")
        heading: dict[str, Any] = {"x": 0.02, "ha": "left", "in_layout": False}
        figure.suptitle(shortened(printable(name), 40), y=0.985, va="top", fontsize=10.5, fontweight="bold", **heading)
        figure.text(y=0.925, va="top", s=ece, fontsize=9.5, **heading)
        figure.set_layout_engine("constrained", rect=(0, 0, 1, 0.87))

    return Picture((3.9, 4.5), paint, prefix, label)

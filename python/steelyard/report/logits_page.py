"""What the report on two models' logits says: its tables, its pictures and the sentences around them."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import TYPE_CHECKING, Any

from .._estimate import Estimate
from .._numbers import count, percent, plural
from .._text import printable
from ..config import show_config
from .figures import BLUE, GREY, INK, ORANGE, Picture, shortened
from .html import rendered
from .logits_results import Band, LogitsContents
from .sections import Block, Finding
from .tables import Column, Table
from .words import MISSING, digits_of, interval, limits, number, places, rows, verdict, with_interval

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure


WORDS = {"perplexity": "perplexity", "kl": "mean KL", "flips": "flips"}
MOST_DOCUMENTS = 50  # in the table of the page
NAMED = 3  # documents that the picture names
SIZE = (4.4, 3.3)


def headline(report: LogitsContents) -> str:
    """One line: which models, how many tokens, which level."""
    names = f"{printable(report.new)} against {printable(report.baseline)}"
    return f"{names}, {plural(rows(report.flips), 'token')}, {percent(report.confidence_level)} intervals"


def cautions(report: LogitsContents) -> list[str]:
    """What would be misread otherwise."""
    found = []
    if not report.unit:
        found.append(
            "the intervals take tokens as independent, which tokens of one text are not, and are too narrow; name "
            "their documents"
        )
    if report.infinite:
        found.append(
            f"at {plural(report.infinite, 'token')} a class lost all of its probability: the KL is infinite there, and "
            "not in the mean"
        )
    return found


def _value(e: Estimate, unit: str) -> str:
    """A value with its interval, if it has one, and the unit."""
    digits = digits_of([e])
    return f"{with_interval(e, digits)} {unit}" if limits(e) else f"{number(float(e), digits)} {unit} (no interval)"


def findings(report: LogitsContents) -> list[Finding]:
    """The report in sentences."""
    new, base = printable(report.new), printable(report.baseline)
    said = [Finding("caution", f"Caution: {text}.") for text in cautions(report)]
    of = {margin.name: margin for margin in report.margins}
    ratio = _value(report.ratio, f"times that of {base}")
    said.append(
        Finding(
            verdict(of["perplexity"].verdict),
            f"The perplexity of {new} is {ratio}{_up_to(of, 'perplexity')}.",
        )
    )
    kl = _value(report.kl, "nats a token")
    word = verdict(of["kl"].verdict) if "kl" in of else "more"
    said.append(Finding(word, f"The mean KL divergence is {kl}{_up_to(of, 'kl')}."))
    share = _percents(report.flips)
    word = verdict(of["flips"].verdict) if "flips" in of else "more"
    said.append(Finding(word, f"{share} of the tokens flipped between right and wrong{_up_to(of, 'flips')}."))
    return said


def _up_to(of: dict[str, Any], name: str) -> str:
    """The margin in words, where there is one."""
    if name not in of or of[name].margin == 0.0:
        return ""
    margin = of[name].margin
    shown = f"{1.0 + margin:g}" if name == "perplexity" else f"{margin:g} nats" if name == "kl" else f"{margin:.2%}"
    return f" (up to {shown} is accepted)"


def _percents(e: Estimate) -> str:
    """An Estimate of a share in per cent."""
    found = limits(e)
    return f"{float(e):.2%}" + ("" if found is None else f" [{found[0]:.2%}, {found[1]:.2%}]")


def page(report: LogitsContents) -> str:
    """The whole page."""
    return rendered(
        title="Two models' logits" if report.title is None else printable(report.title),
        headline=headline(report),
        findings=findings(report),
        asked=_asked(report),
        blocks=blocks(report),
        remarks=[printable(note) for note in report.notes],
    )


def _asked(report: LogitsContents) -> list[tuple[str, str]]:
    config = show_config(mode="dicts")
    margins = ", ".join(f"{WORDS[margin.name]} {margin.margin:g}" for margin in report.margins)
    said = {
        "files": ", ".join(map(printable, report.sources)),
        "baseline": printable(report.baseline),
        "model": printable(report.new),
        "margins": margins,
        "made by": f"steelyard {config['version']}, numerics {config['numerics']}",
    }
    return [(term, text) for term, text in said.items() if text]


def blocks(report: LogitsContents) -> list[Block]:
    """The sections in their order."""
    found = [
        Block("Verdicts", "The new model against what may get worse, and by how much.", (_margins(report),)),
        _summary(report),
        Block(
            "By position", "Where in the sequence the models differ.",
            (_bands(report.positions, "position", "position"),), pictures=_of_positions(report), page_only=True,
        ),
        _by_entropy(report),
    ]  # fmt: skip
    if report.documents:
        found.append(_by_document(report))
    return [*found, _changed(report)]


def _margins(report: LogitsContents) -> Table:
    cells = []
    for margin in report.margins:
        e, name = margin.estimate, margin.name
        shown = _percents(e) if name == "flips" else with_interval(e, digits_of([e]))
        largest = f"{1.0 + margin.margin:g}" if name == "perplexity" else f"{margin.margin:g}"
        largest = f"{margin.margin:.2%}" if name == "flips" else largest
        cells.append(
            (WORDS[name] + (" ratio" if name == "perplexity" else ""), shown, largest, verdict(margin.verdict))
        )
    columns = (Column("measure"), Column("value", number=True), Column("up to", number=True), Column("verdict"))
    notes = []
    if len(report.margins) > 1 and any(limits(margin.estimate) for margin in report.margins):
        level = percent(round(float(report.margins[0].estimate.confidence_level), 4))
        notes.append(f"The intervals here are at {level}, so that all verdicts hold together.")
    return Table("Verdicts", columns, tuple(cells), tuple(notes))


def _summary(report: LogitsContents) -> Block:
    """What the numbers are; beside llama.cpp's, where the baseline is one of its files."""
    found: list[tuple[str, Estimate | float, str, float]] = [
        ("perplexity of the model", report.perplexity, "Mean PPL(Q)", 1.0),
        ("perplexity of the baseline", report.baseline_perplexity, "Mean PPL(base)", 1.0),
        ("ratio of perplexities", report.ratio, "Mean PPL(Q)/PPL(base)", 1.0),
        ("ln of the ratio", report.difference, "Mean ln(PPL(Q)/PPL(base))", 1.0),
        ("KL, mean", report.kl, "Mean KLD", 1.0),
        *((f"KL, {name}", e, _theirs(name), 1.0) for name, e in report.kl_quantiles.items()),
        ("KL, largest", report.kl_largest, "Maximum KLD", 1.0),
        ("same top, %", report.same_top, "Same top p", 100.0),
        ("flips, %", report.flips, "", 100.0),
        ("change of p, mean, %", report.delta_p, "Mean Δp", 100.0),
        ("change of p, RMS, %", report.delta_p_rms, "RMS Δp", 100.0),
    ]
    cells = []
    for name, e, theirs, unit in found:
        cells.append((name, *_cells(e, unit), *([] if report.figures is None else [_figure(report, theirs)])))
    columns = [Column("measure"), Column("value", number=True), Column("interval", number=True)]
    notes = ["KL is of the model from the baseline, in nats; p is the probability of the target."]
    if report.figures is not None:
        columns.append(Column("llama.cpp ± error", number=True))
        notes.append("llama.cpp's errors take tokens as independent.")
        notes.append(f"{report.figures.cost()}.")
    title = "How far the models lie apart"
    return Block(
        title, "Perplexity, divergence and flips.", (Table(title, tuple(columns), tuple(cells), tuple(notes)),)
    )


def _theirs(name: str) -> str:
    """llama.cpp's name of a quantile of KL."""
    return {"median": "Median KLD", "99 %": "99.0% KLD", "99.9 %": "99.9% KLD"}[name]


def _cells(e: Estimate | float, unit: float) -> tuple[str, str]:
    """A value and its interval, in that unit."""
    if not isinstance(e, Estimate):
        return number(unit * e, places([], [unit * e])), MISSING
    error = e.standard_error
    digits = places([None if error is None else unit * float(error)], [unit * float(e)])
    found = limits(e)
    shown = MISSING if found is None else f"[{number(unit * found[0], digits)}, {number(unit * found[1], digits)}]"
    return number(unit * float(e), digits), shown


def _figure(report: LogitsContents, name: str) -> str:
    """What llama.cpp prints under a name."""
    if not name or report.figures is None:
        return MISSING
    value, error = report.figures[name]
    digits = places([error], [value])
    return number(value, digits) + ("" if error is None else f" ± {number(error, digits)}")


def _bands(bands: Sequence[Band], title: str, kind: str) -> Table:
    columns = (
        Column(title), Column("tokens", number=True), Column("mean KL", number=True), Column("interval", number=True),
        Column("change of NLL", number=True), Column("flips", number=True),
    )  # fmt: skip
    digits = digits_of([band.kl for band in bands])
    whole = kind == "position"
    spread = 0 if whole else 2
    cells = []
    for band in bands:
        label = (
            f"{number(band.low, spread)} to {number(band.high, spread)}"
            if band.low < band.high
            else number(band.low, spread)
        )
        cells.append((
            label, count(band.n), number(float(band.kl), digits), interval(band.kl, digits),
            number(band.difference, digits, signed=True), f"{band.flips:.2%}",
        ))  # fmt: skip
    return Table(f"By {kind}", columns, tuple(cells))


def _of_positions(report: LogitsContents) -> tuple[Picture, ...]:
    if len(report.positions) < 2:
        return ()
    places_of = [(band.low + band.high) / 2 for band in report.positions]
    paint = partial(_line, bands=report.positions, x=places_of, axis="position in the sequence")
    label = "Mean KL by position with its intervals; the table has the numbers"
    return (Picture((8.9, 3.0), paint, "positions", label, Picture((4.0, 3.0), paint, "positions-narrow", label)),)


def _line(
    figure: Figure, *, bands: Sequence[Band], x: Sequence[float], axis: str, points: Any = None, log: bool = False
) -> None:
    """The mean KL of bands with its intervals, and the tokens themselves behind it."""
    ax = figure.add_subplot()
    if points is not None:
        ax.plot(*points, ".", color=GREY, markersize=4.5, alpha=0.4, markeredgewidth=0, zorder=1)
    known = [(at, found) for at, band in zip(x, bands, strict=True) if (found := limits(band.kl)) is not None]
    for at, (low, high) in known:
        ax.plot([at, at], [low, high], color=BLUE, linewidth=4, alpha=0.35, solid_capstyle="round", zorder=2)
    ax.plot(
        x, [float(band.kl) for band in bands], "o-", color=BLUE, linewidth=1.4, markersize=5, markeredgecolor="white"
    )
    if log:
        ax.set_yscale("log")
    else:
        ax.set_ylim(bottom=0)
    _plain(ax, log)
    ax.set_xlabel(axis)
    ax.set_ylabel("KL, nats")


def _plain(ax: Axes, log: bool) -> None:
    """Numbers as they are said, and lines to read them by."""
    if log:
        from matplotlib.ticker import FuncFormatter, NullFormatter

        ax.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
        ax.yaxis.set_minor_formatter(NullFormatter())
    ax.grid(axis="y")


def _by_entropy(report: LogitsContents) -> Block:
    table = _bands(report.entropies, "entropy, nats", "entropy of the baseline")
    entropy, kl = report.sample["entropy"], report.sample["kl"]
    shown = kl > 0
    pictures: tuple[Picture, ...] = ()
    if len(report.entropies) > 1 and shown.any() and all(float(band.kl) > 0 for band in report.entropies):
        middle = [(band.low + band.high) / 2 for band in report.entropies]
        floor = max(float(kl[shown].min()), float(kl.max()) * 1e-7)
        shown &= kl >= floor
        paint = partial(
            _line, bands=report.entropies, x=middle, axis="entropy of the baseline, nats", log=True,
            points=(entropy[shown], kl[shown]),
        )  # fmt: skip
        label = "KL of tokens against the entropy of the baseline, with the means of tenths; the table has the numbers"
        pictures = (Picture((8.9, 3.4), paint, "entropy", label, Picture((4.0, 3.4), paint, "entropy-narrow", label)),)
    lead = (
        "Whether the models differ where the baseline was sure (left) or not; a dot is a token, the line their tenths."
    )
    return Block("KL against entropy", lead, (table,), pictures=pictures, page_only=True)


def _by_document(report: LogitsContents) -> Block:
    found = report.documents
    columns = (
        Column(report.unit), Column("tokens", number=True), Column("mean KL", number=True),
        Column("change of NLL", number=True), Column("NLL of the baseline", number=True),
    )  # fmt: skip
    digits = places([], [float(found["kl"].max())]) + 1
    shown = ("id", "tokens", "kl", "difference", "nll")
    cells = [
        (printable(name), count(n), number(kl, digits), number(change, digits, signed=True), number(nll, 3))
        for name, n, kl, change, nll in zip(*(found[key][:MOST_DOCUMENTS].tolist() for key in shown), strict=True)
    ]  # fmt: skip
    left = len(found["id"]) - len(cells)
    notes = (f"The {MOST_DOCUMENTS} with the largest KL; JSON has {count(left)} more.",) if left else ()
    table = Table(f"By {report.unit}, the largest KL first", columns, tuple(cells[:10]), notes, tuple(cells[10:]))
    label = f"Mean KL and change of NLL of each {report.unit}; the table has the numbers"
    pictures: tuple[Picture, ...] = ()
    if len(found["id"]) > 1:
        paint = partial(_documents, found=dict(found))
        pictures = (
            Picture((8.9, 3.4), paint, "documents", label, Picture((4.0, 3.4), paint, "documents-narrow", label)),
        )
    return Block(f"By {report.unit}", f"A dot is a {report.unit}.", (table,), pictures=pictures, page_only=True)


def _documents(figure: Figure, *, found: dict[str, Any]) -> None:
    """The documents by their KL and their change of NLL; the farthest are named."""
    ax = figure.add_subplot()
    ax.axhline(0, color=INK, linewidth=1, zorder=1)
    worse = found["difference"] > 0
    for mask, colour in ((worse, ORANGE), (~worse, BLUE)):
        ax.plot(
            found["kl"][mask],
            found["difference"][mask],
            "o",
            color=colour,
            markersize=5,
            alpha=0.7,
            markeredgecolor="white",
        )
    right = float(found["kl"].max())
    for name, kl, change in zip(*(found[key][:NAMED].tolist() for key in ("id", "kl", "difference")), strict=True):
        beside = "right" if kl > 0.6 * right else "left"
        ax.annotate(
            shortened(printable(name), 22), (kl, change), xytext=(-6 if beside == "right" else 6, 5),
            textcoords="offset points", ha=beside, fontsize=8.5, color=INK,
        )  # fmt: skip
    ax.grid(axis="both")
    ax.set_xlabel("mean KL, nats")
    ax.set_ylabel("change of NLL, nats")
    ax.margins(y=0.12)
    ax.set_xlim(left=0)


def _changed(report: LogitsContents) -> Block:
    """The tokens with the largest KL."""
    context = any(token.context for token in report.changed)
    columns = [
        Column("place"), *([Column(report.unit, brief=False)] if report.documents else []),
        *([Column("text before", brief=False, wraps=True)] if context else []),
        Column("token"), Column("baseline's top"), Column("model's top"),
        Column("p of the token", number=True), Column("KL", number=True),
    ]  # fmt: skip
    digits = places([], [token.kl for token in report.changed])
    cells = [
        (
            ", ".join(map(str, token.place)), *([printable(token.document)] if report.documents else []),
            *([f"…{printable(token.context.strip())}"] if context else []),
            _shown(token.target), _shown(token.baseline_top), _shown(token.top),
            f"{token.baseline_probability:.2g} → {token.probability:.2g}", number(token.kl, digits),
        )
        for token in report.changed
    ]  # fmt: skip
    title = "Tokens that changed most"
    return Block(
        title,
        "The tokens with the largest KL.",
        (Table(title, tuple(columns), tuple(cells[:10]), (), tuple(cells[10:])),),
    )


def _shown(text: str) -> str:
    """A token's text in a cell: what cannot be seen is escaped, and a blank token is quoted."""
    shown = printable(text)
    return repr(shown) if shown != shown.strip() or not shown else shown

"""The report as one page: a Jinja template with autoescape, and figures inside it."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

from .._text import printable
from ..config import show_config
from . import figures, sections
from .results import Contents
from .sections import one
from .tables import Table


@dataclass(frozen=True)
class Block:
    """A section of the page: its tables, and its pictures as SVG."""

    title: str
    lead: str
    tables: tuple[Table, ...]
    pictures: tuple[str, ...]


def check_needs() -> None:
    """Raise ModuleNotFoundError where a package that the page is made with is not installed."""
    try:
        import jinja2  # noqa: F401
        import markupsafe  # noqa: F401
        import matplotlib  # noqa: F401 - the figures need it
    except ModuleNotFoundError as error:
        raise ModuleNotFoundError(f"to_html needs {error.name}; install with: pip install 'steelyard[cli]'") from None


def page(report: Contents) -> str:
    """The whole page as a string."""
    check_needs()
    from jinja2 import Environment, PackageLoader, StrictUndefined
    from markupsafe import Markup

    environment = Environment(
        loader=PackageLoader("steelyard.report", "."),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["unbroken"] = _unbroken
    environment.filters["svg"] = Markup  # our own figures, made by figures.inline
    config = show_config(mode="dicts")
    return environment.get_template("page.html.jinja").render(
        headline=sections.headline(report),
        findings=sections.findings(report),
        blocks=list(blocks(report)),
        remarks=sections.remarks(report),
        margin=report.options.margin,
        version=config["version"],
        numerics=config["numerics"],
    )


def _unbroken(text: str) -> str:
    """Intervals, per cents and p-values do not end up on two lines."""
    text = re.sub(r"\[(\S+), (\S+)\]", "[\\1,\u00a0\\2]", text)
    text = re.sub(r"(?<=\d) (?=%)", "\u00a0", text)
    return re.sub(r"\bp ([=<]) ([\d.]+e-)(?=\d)", "p \\1\u00a0\\2\u2060", text)  # the joiner: no break after "-"


def blocks(report: Contents) -> Iterator[Block]:
    """The sections that the records have data for, then the caller's own."""
    if found := tuple(sections.scores(report)):
        lead = "The share of right answers, or the mean score, of each model on its own records."
        yield Block("Scores", lead, found, tuple(_scores(report)))
    if found := tuple(sections.comparisons(report)):
        lead = (
            "Every difference is taken id by id on the records that both models answered. "
            "That is the comparison to read: two intervals side by side do not answer which model is better."
        )
        if len(report.pairs) > 1:
            lead += " The thin line is the wider interval that the verdict reads, so that all verdicts hold together."
        yield Block("Comparisons", lead, found, tuple(_differences(report)))
    if found := tuple(sections.calibration(report)):
        lead = (
            "A model is calibrated when, of the answers it gives with 80 % confidence, 80 % are right. "
            "Points below the diagonal are overconfident."
        )
        yield Block("Calibration", lead, found, tuple(_reliability(report)))
    if found := tuple(sections.perplexity(report)):
        lead = "The exponential of the mean negative log-likelihood of a token; lower is better."
        yield Block("Perplexity", lead, found, tuple(_perplexity(report)))
    for k, section in enumerate(report.sections):
        label = f"{printable(section.title)}: picture"
        drawn = (figures.draw(section.size, section.draw, f"supplied{k}", label, math=True),) if section.draw else ()
        title, *text = sections.words(section)
        yield Block(title, " ".join(text), tuple(sections.supplied(section)), drawn)


def _scores(report: Contents) -> Iterator[str]:
    known = [(m.name, m.score) for m in report.models if m.score is not None]
    rows = [figures.Bar(name, float(e), one(e.low), one(e.high)) for name, e in known]
    yield figures.intervals(
        rows, prefix="scores", axis="score", label="Scores with their intervals; the table has the numbers"
    )


def _differences(report: Contents) -> Iterator[str]:
    single = len({pair.baseline for pair in report.pairs}) == 1
    rows = []
    for pair in report.pairs:
        name = pair.model if single else f"{figures.shortened(pair.model, 22)} − {figures.shortened(pair.baseline, 22)}"
        e = pair.difference
        low, high = one(pair.simultaneous.low), one(pair.simultaneous.high)
        simultaneous = (low, high) if len(report.pairs) > 1 and low is not None and high is not None else None
        rows.append(figures.Bar(name, float(e), one(e.low), one(e.high), simultaneous, pair.verdict))
    against = f" (model − {printable(report.pairs[0].baseline)})" if single else ""
    margin = report.options.margin if report.options.higher_is_better else -report.options.margin
    yield figures.intervals(
        rows,
        prefix="differences",
        axis=f"difference in score{against}",
        label="Paired differences with their intervals; the tables have the numbers",
        zero=True,
        margin=margin,
    )


def _reliability(report: Contents) -> Iterator[str]:
    for k, model in enumerate(report.models):
        if model.reliability is not None:
            label = f"Reliability diagram of {printable(model.name)}; the table has the numbers"
            yield figures.reliability(model.reliability, model.name, prefix=f"reliability{k}", label=label)


def _perplexity(report: Contents) -> Iterator[str]:
    known = [(m.name, m.perplexity) for m in report.models if m.perplexity is not None]
    rows = [figures.Bar(name, float(e), one(e.low), one(e.high)) for name, e in known if float(e) < float("inf")]
    if rows:
        yield figures.intervals(
            rows,
            prefix="perplexity",
            axis="perplexity per token",
            label="Perplexity with its intervals; the table has the numbers",
        )

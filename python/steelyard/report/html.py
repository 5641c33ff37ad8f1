"""The report as an HTML page: a Jinja template that escapes all text, with the pictures as SVG inside it."""

from __future__ import annotations

import re
from collections.abc import Sequence

from .._text import printable
from ..config import show_config
from . import figures, sections
from .results import Contents


def check_needs() -> None:
    """Raise ModuleNotFoundError if a package that the page needs is not installed."""
    try:
        import jinja2  # noqa: F401
        import markupsafe  # noqa: F401
        import matplotlib  # noqa: F401 - the figures need it
    except ModuleNotFoundError as error:
        raise ModuleNotFoundError(f"to_html needs {error.name}; install with: pip install 'steelyard[cli]'") from None


def page(report: Contents) -> str:
    """The whole page of a report on records as a string."""
    return rendered(
        title="Evaluation report" if report.options.title is None else printable(report.options.title),
        headline=sections.headline(report),
        findings=sections.findings(report),
        asked=sections.asked(report),
        blocks=sections.blocks(report),
        remarks=sections.remarks(report),
    )


def rendered(
    *,
    title: str,
    headline: str,
    findings: Sequence[sections.Finding],
    asked: Sequence[tuple[str, str]],
    blocks: Sequence[sections.Block],
    remarks: Sequence[str],
) -> str:
    """A page of these sections, with their pictures drawn."""
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
    config = show_config(mode="dicts")
    return environment.get_template("page.html.jinja").render(
        title=title,
        headline=headline,
        findings=findings,
        asked=asked,
        blocks=[(block, [[Markup(svg) for svg in figures.drawn(one)] for one in block.pictures]) for block in blocks],
        remarks=remarks,
        version=config["version"],
        numerics=config["numerics"],
    )


def _unbroken(text: str) -> str:
    """The text with no-break spaces inside intervals, percentages and p-values, so that none ends up on two lines."""
    text = re.sub(r"\[(\S+), (\S+)\]", "[\\1,\u00a0\\2]", text)
    text = re.sub(r"(?<=\d) (?=%)", "\u00a0", text)
    return re.sub(r"\bp ([=<]) ([\d.]+e-)(?=\d)", "p \\1\u00a0\\2\u2060", text)  # the joiner: no break after "-"

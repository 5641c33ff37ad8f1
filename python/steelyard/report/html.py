"""The report as an HTML page: a Jinja template that escapes all text, with the pictures as SVG inside it."""

from __future__ import annotations

import re

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
    config, blocks = show_config(mode="dicts"), sections.blocks(report)
    return environment.get_template("page.html.jinja").render(
        title="Evaluation report" if report.options.title is None else printable(report.options.title),
        headline=sections.headline(report),
        findings=sections.findings(report),
        asked=sections.asked(report),
        blocks=[(block, [[Markup(svg) for svg in figures.drawn(one)] for one in block.pictures]) for block in blocks],
        remarks=sections.remarks(report),
        version=config["version"],
        numerics=config["numerics"],
    )


def _unbroken(text: str) -> str:
    """The text with no-break spaces inside intervals, percentages and p-values, so that none ends up on two lines."""
    text = re.sub(r"\[(\S+), (\S+)\]", "[\\1,\u00a0\\2]", text)
    text = re.sub(r"(?<=\d) (?=%)", "\u00a0", text)
    return re.sub(r"\bp ([=<]) ([\d.]+e-)(?=\d)", "p \\1\u00a0\\2\u2060", text)  # the joiner: no break after "-"

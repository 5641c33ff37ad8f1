"""What a report says, as data: its sections in the order in which they are read, and the sentences around them.

Every form of the report (terminal, page, Markdown) shows these blocks. A section that the records give is a file here
and an entry of ``SECTIONS``: a function that makes the :class:`Block`, or None where the records have no data for it.
"""

from __future__ import annotations

from collections.abc import Callable

from ..._numbers import percent, plural
from ..results import Contents
from ..words import span
from . import calibration, comparisons, groups, perplexity, proper, repeats, scores, supplied
from .block import Block, Finding
from .notices import cautions, remarks

__all__ = ["SECTIONS", "Block", "Finding", "blocks", "cautions", "findings", "headline", "remarks"]

SECTIONS: tuple[Callable[[Contents], Block | None], ...] = (
    scores.block,
    comparisons.block,
    groups.block,
    repeats.block,
    calibration.block,
    proper.block,
    perplexity.block,
)


def blocks(report: Contents) -> list[Block]:
    """The sections that the records have data for, then the caller's own."""
    found = [made for section in SECTIONS if (made := section(report)) is not None]
    return found + [supplied.block(section, k) for k, section in enumerate(report.sections)]


def headline(report: Contents) -> str:
    """One line: how many models, how many records, which level."""
    models = plural(len(report.models), "model")
    records = span([model.n for model in report.models])
    noun = "record" if records == "1" else "records"
    each = " each" if len(report.models) > 1 else ""
    return f"{models}, {records} {noun}{each}, {percent(report.options.confidence_level)} intervals"


def findings(report: Contents) -> list[Finding]:
    """The report in sentences, for someone who reads nothing else."""
    cautious = [Finding("caution", text) for text in cautions(report)]
    return cautious + [finding for block in blocks(report) for finding in block.findings]

"""Further metrics, each with its scores and its differences."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from ..results import Contents, Metric, Options
from ..tables import Table
from ..words import capital, digits_of
from . import comparisons, estimates
from .block import Block

LEAD = (
    "Other columns of the same records as scores. The verdicts on one metric hold together; those on different metrics "
    "are separate answers."
)


def block(report: Contents) -> Block | None:
    """The metrics that were asked for beside the score."""
    if not report.metrics:
        return None
    of_all = [table for metric in report.metrics for table in tables(report, metric, report.options, "mean")]
    return Block("Further metrics", LEAD, tuple(of_all))


def tables(report: Contents, metric: Metric, options: Options, value: str) -> Iterator[Table]:
    """Each model's mean of a metric, under the title ``value``, and the differences of the pairs.

    Notes that stand under the comparisons of the scores are not repeated.
    """
    finite = [e for e in metric.models.values() if float(e) < float("inf")]
    digits = digits_of(finite) if finite else 4
    entries = [(name, e, digits) for name, e in metric.models.items()]
    yield estimates.table(f"{capital(metric.name)} of each model", estimates.NAME, value, entries)
    said = {note for table in _of_pairs(report) for note in table.notes}
    for table in _of_pairs(replace(report, pairs=metric.pairs, options=options)):
        notes = tuple(note for note in table.notes if note not in said)
        title = f"{capital(metric.name)}: {table.title[:1].lower()}{table.title[1:]}"
        yield replace(table, title=title, notes=notes)


def _of_pairs(report: Contents) -> tuple[Table, ...]:
    made = comparisons.block(report)
    return () if made is None else made.tables

"""Brier score and log loss of the confidences."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from .. import figures
from ..results import Contents, ProperScore
from ..tables import Table
from ..words import digits_of
from . import comparisons, estimates
from .block import Block

LEAD = (
    "How close the confidences are to what happened, as mean losses: lower is better. Brier score: the squared "
    "distance. Log loss: the negative logarithm of the probability that was given to what happened. Both are smallest "
    "for the true probabilities, so a model gains nothing by stating others."
)


def block(report: Contents) -> Block | None:
    """Each model's proper scores, and their paired differences."""
    if not report.proper:
        return None
    tables = [table for score in report.proper for table in _tables(report, score)]
    bars = [figures.Bar.of(name, e) for name, e in report.proper[0].models.items()]
    folded = report.leaderboard is not None
    pictures = (
        ()
        if folded
        else figures.intervals(bars, "brier", "Brier scores with their intervals", axis=report.proper[0].name.lower())
    )
    return Block("Proper scores", LEAD, tuple(tables), pictures=pictures, folded=folded)


def _tables(report: Contents, score: ProperScore) -> list[Table]:
    finite = [e for e in score.models.values() if float(e) < float("inf")]
    digits = digits_of(finite) if finite else 4
    entries = [(name, e, digits) for name, e in score.models.items()]
    found = [estimates.table(f"{score.name} of each model", estimates.NAME, "mean loss", entries)]
    return [*found, *_differences(report, score)]


def _differences(report: Contents, score: ProperScore) -> Iterator[Table]:
    """The pairs, as those of the scores are shown; notes that stand there are not repeated."""
    lower = replace(report, pairs=score.pairs, options=replace(report.options, higher_is_better=False, margin=0.0))
    said = {note for table in _of_pairs(report) for note in table.notes}
    for table in _of_pairs(lower):
        notes = tuple(note for note in table.notes if note not in said)
        yield replace(table, title=f"{score.name}: {table.title[:1].lower()}{table.title[1:]}", notes=notes)


def _of_pairs(report: Contents) -> tuple[Table, ...]:
    made = comparisons.block(report)
    return () if made is None else made.tables

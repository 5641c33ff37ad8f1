"""Each model's score on its own records."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace

from ..._numbers import count
from ..._text import printable
from ...records.roles import ROLES
from ...records.run import of_ids
from .. import figures
from ..results import MOST_LOST, Contents, ModelResult
from ..tables import Column, Table
from ..words import digits_of, listed, lost
from . import estimates
from .block import Block
from .notices import other_case

LEAD = "The share of right answers, or the mean score, of each model on its own records."


def block(report: Contents) -> Block | None:
    """Each model's score, and what is missing beside it; a model none of whose records counts has a row too."""
    models = [m for m in report.models if m.score is not None or _nothing_counts(m)]
    if not models:
        return None
    bars = [figures.Bar.of(m.name, m.score) for m in models if m.score is not None]
    label = "Scores with their intervals; the table has the numbers"
    folded = report.leaderboard is not None  # which shows the same picture
    pictures = () if folded else figures.intervals(bars, "scores", label, axis="score")
    return Block("Scores", LEAD, (_table(models),), pictures=pictures, folded=folded)


def _nothing_counts(model: ModelResult) -> bool:
    """Whether a model should have a score and has no record for one."""
    return model.n == 0 and ROLES["loglikelihood"].absent not in model.left_out


def _table(models: Sequence[ModelResult]) -> Table:
    digits = digits_of([m.score for m in models if m.score is not None])
    table = estimates.table("Score of each model", estimates.NAME, "score", [(m.name, m.score, digits) for m in models])
    for title, counts in (("no answer", [m.no_answer for m in models]), ("no score", [m.no_score for m in models])):
        if any(counts):
            table = _beside(table, title, [count(n) for n in counts])
    cases = [other_case(m) for m in models if 0 < m.other_case <= MOST_LOST * m.n]  # more than that is a caution
    empty = [f"No record of {printable(m.name)} counts{lost(m.left_out)}." for m in models if m.score is None]
    return replace(table, notes=(*table.notes, *empty, *_missing(models), *cases, *_merged(models)))


def _beside(table: Table, title: str, cells: Sequence[str]) -> Table:
    """The table with another column of numbers, before the two that say how the interval was made."""
    rows = tuple((*row[:-2], cell, *row[-2:]) for row, cell in zip(table.rows, cells, strict=True))
    columns = (*table.columns[:-2], Column(title, number=True), *table.columns[-2:])
    return replace(table, rows=rows, columns=columns)


def _missing(models: Sequence[ModelResult]) -> Iterator[str]:
    """How missing answers and scores are counted."""
    if any(m.no_answer for m in models):
        yield "No answer: a wrong answer, 0."
    if any(m.no_score for m in models):
        filled = {m.filled for m in models if m.no_score}
        yield "No score: " + " or ".join("left out" if one is None else f"counts as {one:g}" for one in filled) + "."


def _merged(models: Sequence[ModelResult]) -> Iterator[str]:
    """Which models have several records of an id, and that these count once."""
    of: dict[str, list[str]] = {}
    for m in models:
        if m.merged:
            records = f"{count(m.merged['records'])} records {of_ids(m.merged)}"
            of.setdefault(records, []).append(printable(m.name))
    for records, names in of.items():
        yield f"Every id counts once: {listed(names)} {'has' if len(names) == 1 else 'have'} {records}."

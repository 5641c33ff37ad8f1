"""Scores and differences by group of the records: a subject, a language, a difficulty."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from math import isnan
from typing import NamedTuple

from ..._estimate import Estimate
from ..._numbers import count, percent, plural
from ..._text import printable
from .. import figures
from ..group_results import GroupDifferences, Grouping, GroupScores
from ..results import Contents
from ..tables import Column, Table
from ..words import (
    MISSING,
    clusters,
    digits_of,
    interval,
    limits,
    listed,
    number,
    one,
    probability,
    rows,
    span,
    verdict,
    with_interval,
)
from .block import Block, Finding

LEAD = (
    "Each group on its own records. The intervals are wider than those of one group alone, "
    "so that those of all groups hold together."
)
MOST_ROWS = 15  # of more groups the page folds the others
FEW_ROWS = 10  # groups of fewer records are named
MOST_MODELS = 3  # so many models have intervals in one table of scores
MOST_TABLES = 2  # so many tables of scores; of more models one table has the lowest and the highest of each group
MOST_PAIRS = 4  # of more pairs all differences stand in one table, the largest losses first
MOST_FOLDED = 185  # so many rows are folded below the others; JSON has the rest


class Row(NamedTuple):
    """One pair in one group."""

    pair: GroupDifferences
    at: int
    """The place of the group in the pair's arrays."""

    @property
    def name(self) -> str:
        """The group's name."""
        return str((self.pair.difference.names or ())[self.at])

    @property
    def difference(self) -> Estimate:
        """The pair's difference in the group."""
        return self.pair.difference[self.at]

    @property
    def verdict(self) -> str:
        """The verdict on it, which holds together with all others."""
        return self.pair.verdicts[self.at]


def block(report: Contents) -> Block | None:
    """A table of scores and a table of differences for each grouping, and a picture of the differences."""
    if not report.groups:
        return None
    tables = [table for grouping in report.groups for table in _tables(grouping, report)]
    pictures = [
        picture for k, grouping in enumerate(report.groups) for picture in _picture(grouping, report, f"groups{k}")
    ]
    findings = [_finding(pair, grouping, report) for grouping in report.groups[:1] for pair in grouping.pairs]
    title = f"By {listed([printable(column) for column in report.options.by])}"
    return Block(title, LEAD, tuple(tables), findings=tuple(findings), pictures=tuple(pictures))


def _by(grouping: Grouping) -> str:
    return listed([printable(column) for column in grouping.columns])


def _tables(grouping: Grouping, report: Contents) -> Iterator[Table]:
    scores = [one for one in grouping.scores if one.score is not None]
    order = _order(grouping, report)
    if not scores:
        yield Table(f"Score by {_by(grouping)}", (Column("no record has a group"),), (), tuple(_score_notes(grouping)))
    if len(scores) > MOST_TABLES * MOST_MODELS:
        yield _extremes(grouping, scores, order)
        scores = []
    for first in range(0, len(scores), MOST_MODELS):
        some = scores[first : first + MOST_MODELS]
        yield _scores(grouping, some, order, report, last=some[-1] is scores[-1])
    if len(grouping.pairs) <= MOST_PAIRS:
        for k, pair in enumerate(grouping.pairs):
            yield _differences(grouping, pair, order, report, last=k == len(grouping.pairs) - 1)
    else:
        yield _all_differences(grouping, report)


def _order(grouping: Grouping, report: Contents) -> list[str]:
    """The groups as they come, or, where there are many, those with the largest loss of any model first."""
    names = list(grouping.groups)
    if len(names) <= MOST_ROWS:
        return names
    worst = dict.fromkeys(names, 0.0)
    for row in _rows(grouping):
        worst[row.name] = min(worst[row.name], _gain(row, report))
    return sorted(names, key=lambda name: worst[name])


def _rows(grouping: Grouping) -> list[Row]:
    return [Row(pair, at) for pair in grouping.pairs for at in range(len(pair.p_value))]


def _gain(row: Row, report: Contents) -> float:
    """The difference, turned so that more is better."""
    value = float(row.difference)
    return value if report.options.higher_is_better else -value


# -- scores ---------------------------------------------------------------------------------------------


def _scores(
    grouping: Grouping, models: Sequence[GroupScores], order: Sequence[str], report: Contents, *, last: bool
) -> Table:
    """A row for each group, with each model's score and its simultaneous interval."""
    known = [model.score for model in models if model.score is not None]
    of = [(score, {name: at for at, name in enumerate(score.names or ())}) for score in known]
    digits = digits_of([part for score, _ in of for part in score])
    cells = []
    for name in order:
        parts = [score[at[name]] if name in at else None for score, at in of]
        sizes = [rows(part) for part in parts if part is not None]
        values = [MISSING if part is None else number(float(part), digits) for part in parts]
        intervals = [MISSING if part is None else _interval(part, digits) for part in parts]
        together = [cell for pair in zip(values, intervals, strict=True) for cell in pair]
        cells.append((printable(name), span(sizes) if sizes else count(0), *together))
    totals = _totals(models, report, digits)
    columns = [Column(" / ".join(map(printable, grouping.columns))), Column("n", number=True)]
    for model in models:
        columns += [
            Column(printable(model.model), number=True),
            Column("interval", number=True, brief=len(models) == 1),
        ]
    notes = tuple(_score_notes(grouping)) if last else ()
    table = _table(f"Score by {_by(grouping)}", columns, cells, notes)
    return replace(table, rows=(*table.rows, *totals))


def _extremes(grouping: Grouping, models: Sequence[GroupScores], order: Sequence[str]) -> Table:
    """The lowest and the highest score of each group, and whose they are."""
    of: dict[str, list[tuple[float, int, str]]] = {name: [] for name in order}
    for model in models:
        for name, e in _parts(model):
            of[name].append((float(e), rows(e), printable(model.model)))
    digits = digits_of([e for model in models for _, e in _parts(model)])
    cells = []
    for name, known in of.items():
        (low, _, lowest), (high, _, highest) = min(known), max(known)
        sizes = span([n for _, n, _ in known])
        cells.append((printable(name), sizes, number(low, digits), lowest, number(high, digits), highest))
    columns = [Column(" / ".join(map(printable, grouping.columns))), Column("n", number=True)]
    columns += [Column("lowest", number=True), Column("of"), Column("highest", number=True), Column("of")]
    notes = ("The scores of all models with their intervals are in JSON.", *_score_notes(grouping))
    return _table(f"Lowest and highest score by {_by(grouping)}, of {len(models)} models", columns, cells, notes)


def _parts(model: GroupScores) -> list[tuple[str, Estimate]]:
    """The score of each group that a model has records of."""
    return [] if model.score is None else list(zip(model.score.names or (), model.score, strict=True))


def _value(e: Estimate | None, digits: int) -> tuple[str, str]:
    """The value and the interval of an Estimate, dashes where there is none."""
    return (MISSING, MISSING) if e is None else (number(float(e), digits), interval(e, digits))


def _totals(models: Sequence[GroupScores], report: Contents, digits: int) -> list[tuple[str, ...]]:
    """The scores of all records and the means of the groups' scores, with intervals at the level that was asked for."""
    of_all = {model.name: model.score for model in report.models}
    lines = {
        "all records (micro)": [of_all.get(model.model) for model in models],
        "mean of groups (macro)": [model.macro for model in models],
    }
    found = []
    for name, parts in lines.items():
        if sizes := [rows(part) for part in parts if part is not None]:
            cells = [cell for e in parts for cell in _value(e, digits)]
            found.append((name, span(sizes), *cells))
    return found if len(found) == len(lines) else []


def _table(title: str, columns: Sequence[Column], cells: Sequence[tuple[str, ...]], notes: tuple[str, ...]) -> Table:
    return Table(title, tuple(columns), tuple(cells[:MOST_ROWS]), notes, tuple(cells[MOST_ROWS:]))


def _interval(e: Estimate, digits: int) -> str:
    """The limits of one group that hold together with those of the others."""
    if (found := _limits(e)) is None:
        return MISSING
    return f"[{number(found[0], digits)}, {number(found[1], digits)}]"


def _limits(e: Estimate) -> tuple[float, float] | None:
    low, high = one(e.detail.get("simultaneous_low")), one(e.detail.get("simultaneous_high"))
    if low is None or high is None:
        return limits(e)  # the only group
    return None if isnan(low) or isnan(high) else (low, high)


def _score_notes(grouping: Grouping) -> Iterator[str]:
    """Which level the intervals have, which groups a model lacks or has few records of, and what has no group."""
    scored = [(model, model.score) for model in grouping.scores if model.score is not None]
    level = scored[0][1].confidence_level if scored else 0.0
    if scored:
        yield f"Intervals: {_together(level, len(grouping.groups))}."
    if any(model.macro is not None for model, _ in scored):
        own = f"Their own intervals are at {percent(level)}."
        yield f"Micro: every record counts the same; macro: every group does. {own}"
    yield from _single([(model.model, model.single) for model in grouping.scores])
    if any(model.macro is None and not model.single and len(score) > 1 for model, score in scored):
        yield "A cluster reaches over several groups: no mean of groups (macro)."
    for model in grouping.scores:
        has = set(() if model.score is None else model.score.names or ())
        if lacking := [printable(name) for name in grouping.groups if name not in has]:
            yield f"{printable(model.model)} has no record in {_some(lacking)}."
    small: dict[str, None] = {}
    for model, _ in scored:
        for name, part in _parts(model):
            if rows(part) < FEW_ROWS:
                small.setdefault(printable(name))
    if small:
        yield f"Fewer than {FEW_ROWS} records, which say little: {_some(list(small))}."
    yield from _no_group([(printable(model.model), model.no_group) for model in grouping.scores], "record")


def _single(of: Sequence[tuple[str, tuple[str, ...]]]) -> Iterator[str]:
    """Why there is no interval of the groups' mean: which groups have no variance."""
    for groups in dict.fromkeys(groups for _, groups in of if groups):
        names = [printable(name) for name, those in of if those == groups]
        which = _some([printable(group) for group in groups])
        why = f"the variance of one record or cluster is unknown ({which})"
        yield f"No mean of groups (macro) of {_some(names)}: {why}."


def _no_group(lost: Sequence[tuple[str, int]], unit: str) -> Iterator[str]:
    """What is in no group, of models or pairs; those with the same number in one sentence."""
    for number_of in dict.fromkeys(n for _, n in lost if n):
        names = [name for name, n in lost if n == number_of]
        yield f"No group: {plural(number_of, unit)} of {_some(names)}, not in this table."


def _some(names: Sequence[str]) -> str:
    shown = list(names[:8])
    return listed(shown) if len(names) == len(shown) else f"{', '.join(shown)} and {len(names) - len(shown)} more"


def _together(level: float, number_of: int) -> str:
    if number_of <= 1:
        return percent(level)
    strict = percent(round(1 - (1 - level) / number_of, 4))
    return f"at {strict}, so that all {number_of} hold together at {percent(level)}"


# -- differences ----------------------------------------------------------------------------------------


def _differences(
    grouping: Grouping, pair: GroupDifferences, order: Sequence[str], report: Contents, *, last: bool
) -> Table:
    """One pair: a row for each group."""
    at = {row.name: row for row in _rows(grouping) if row.pair is pair}
    digits = digits_of([row.difference for row in at.values()])
    cells = [(printable(name), *_cells(at[name], digits)) for name in order if name in at]
    columns = [Column(" / ".join(map(printable, grouping.columns))), *_columns()]
    notes = tuple(_difference_notes(grouping, report)) if last else ()
    title = f"{printable(pair.model)} - {printable(pair.baseline)} by {_by(grouping)}, paired by id"
    return _table(title, columns, cells, notes)


def _all_differences(grouping: Grouping, report: Contents) -> Table:
    """All pairs in one table, the largest losses first."""
    of = sorted(_rows(grouping), key=lambda row: _gain(row, report))
    shown = of[: MOST_ROWS + MOST_FOLDED]
    digits = digits_of([row.difference for row in shown])
    cells = [(f"{printable(row.pair.model)}: {printable(row.name)}", *_cells(row, digits)) for row in shown]
    notes = list(_difference_notes(grouping, report))
    if len(of) > len(shown):
        notes.append(f"{count(len(of) - len(shown))} smaller losses and gains are in JSON alone.")
    single = {pair.baseline for pair in grouping.pairs}
    against = f" from {printable(*single)}" if len(single) == 1 else "s"
    columns = [Column("model: group"), *_columns()]
    return _table(f"Difference{against} by {_by(grouping)}, largest losses first", columns, cells, tuple(notes))


def _columns() -> list[Column]:
    return [
        Column("n", number=True),
        Column("diff", number=True),
        Column("interval", number=True),
        Column("p", number=True, brief=False),
        Column("p (Holm)", number=True),
        Column("won/lost", number=True, brief=False),
        Column("adds", number=True),
        Column("verdict"),
    ]


def _cells(row: Row, digits: int) -> tuple[str, ...]:
    e, pair, at = row.difference, row.pair, row.at
    found = clusters(e)
    return (
        count(rows(e)) if found is None else f"{count(rows(e))} in {count(found)}",
        number(float(e), digits, signed=True),
        _interval(e, digits),
        probability(pair.p_value[at]),
        probability(pair.p_adjusted[at]),
        f"{count(pair.wins[at])}/{count(pair.losses[at])}",
        number(pair.contributions[at], digits, signed=True),
        verdict(row.verdict),
    )


def _difference_notes(grouping: Grouping, report: Contents) -> Iterator[str]:
    some = grouping.pairs[0].difference
    yield f"Intervals and verdicts: {_together(some.confidence_level, grouping.differences)}; p by Holm for as many."
    yield "Adds: the group's part of the difference of all ids, its share of the ids times its difference."
    for pair in grouping.pairs:
        if pair.macro is not None and len(grouping.pairs) <= MOST_PAIRS:
            yield _macro(pair, report)
    yield from _single([(f"{pair.model} - {pair.baseline}", pair.single) for pair in grouping.pairs])
    lost = [(f"{printable(pair.model)} - {printable(pair.baseline)}", pair.no_group) for pair in grouping.pairs]
    yield from _no_group(lost, "id")
    if any(_limits(row.difference) is None for row in _rows(grouping)):
        yield "Without an interval a verdict is undecided."


def _macro(pair: GroupDifferences, report: Contents) -> str:
    """The mean of the groups' differences beside the difference of all ids, both at the level that was asked for."""
    assert pair.macro is not None
    (all_,) = (one.difference for one in report.pairs if (one.model, one.baseline) == (pair.model, pair.baseline))
    digits = digits_of([pair.macro, all_])
    macro, micro = (with_interval(e, digits, signed=True) for e in (pair.macro, all_))
    level = percent(pair.macro.confidence_level)
    of = f"{printable(pair.model)} - {printable(pair.baseline)}"
    return f"{of}, mean of groups (macro): {macro}; all ids (micro): {micro}; at {level}."


# -- in sentences, and the picture ----------------------------------------------------------------------


def _finding(pair: GroupDifferences, grouping: Grouping, report: Contents) -> Finding:
    """Where one model is surely worse or better than another; the group that adds most where it is nowhere."""
    of = [row for row in _rows(grouping) if row.pair is pair]
    against = f"{printable(pair.model)} against {printable(pair.baseline)} by {_by(grouping)}"
    words = []
    for word in ("worse", "better"):
        if those := [row for row in of if row.verdict == word]:
            those.sort(key=lambda row: _gain(row, report), reverse=word == "better")
            words.append(f"{word} in {_some([_with_value(row) for row in those])}")
    if words:
        first = "worse" if words[0].startswith("worse") else "better"
        return Finding(first, f"{against}: {'; '.join(words)}; of {plural(len(of), 'group')}.")
    most = min(of, key=lambda row: _gain(row, report))
    return Finding("undecided", f"{against}: no group is surely worse or better; the lowest is {_with_value(most)}.")


def _with_value(row: Row) -> str:
    e = row.difference
    digits = digits_of([e])
    return f"{printable(row.name)} ({number(float(e), digits, signed=True)} {_interval(e, digits)})"


def _picture(grouping: Grouping, report: Contents, prefix: str) -> tuple[figures.Picture, ...]:
    """A forest plot of the differences: a panel for each pair, a row for each group."""
    if not grouping.pairs or len(report.models) > MOST_PAIRS:
        return ()
    order = _order(grouping, report)[:MOST_ROWS]
    short = figures.without_owner(one for pair in grouping.pairs for one in (pair.model, pair.baseline))
    panels = []
    for pair in grouping.pairs:
        at = {row.name: row for row in _rows(grouping) if row.pair is pair}
        bars = [_bar(name, at.get(name)) for name in order]
        title = " − ".join(figures.shortened(short[one], 18) for one in (pair.model, pair.baseline))
        panels.append((title, bars))
    options = report.options
    margin = -options.margin if options.higher_is_better else options.margin
    label = f"Differences by {_by(grouping)} with their intervals; the tables have the numbers"
    return figures.forest(panels, prefix, label, axis=f"difference in score by {_by(grouping)}", loss=margin)


def _bar(name: str, row: Row | None) -> figures.Bar:
    if row is None:
        return figures.Bar(name, float("nan"), None, None, "")
    return figures.Bar.of(name, row.difference, _limits(row.difference), row.verdict)

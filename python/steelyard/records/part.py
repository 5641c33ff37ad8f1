"""The rows of one file that belong to one run, checked and turned into arrays."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from ..errors import RecordError, keyword, while_at
from . import choices
from . import values as convert
from .columns import Resolved, Unusable
from .labels import Classes, Sides, agreement, classes_among, compared, says, words_for_nothing
from .lm_eval import TASK
from .roles import NO_SCORE, NO_TARGET, NUMBERS, ROLES, ROW, SHARES, TEXTS, Floats, Role, Rows
from .table import LIST, Table, record_error
from .words import UNKNOWN, ScoreText, Words


@dataclass(frozen=True)
class Part:
    """The rows of one file that belong to one run, and which column means what there."""

    table: Table
    rows: Sequence[int]
    roles: Resolved
    by_task: bool = False
    """Whether an id counts within its task, the value of the column ``task``."""

    def values(self, column: str) -> list[Any]:
        """One column at these rows."""
        with while_at(f"{self.table.file}, column {column!r}"):
            whole = self.table.columns[column]  # of Parquet, a column is read here
        return whole if len(self.rows) == len(whole) else [whole[row] for row in self.rows]

    @property
    def sides(self) -> Sides | None:
        """The two columns that the score compares; None where it is a column, or there is none."""
        return compared(self.roles["score"], self.table.columns)

    def score_text(self, score: str | None) -> ScoreText | None:
        """The column of the score, or the one that ``score`` names; None where the score is no column of its own."""
        name = self.roles["score"] if score is None else score
        if score is not None and self.roles.of_wide is not None:
            own = f"{self.roles.of_wide}.{score}"
            name = own if own in self.table.columns else score
        if name is None or name not in self.table.columns:
            return None
        return ScoreText(name, self.values(name), self.table.columns)

    def targets(self) -> list[str | None] | None:
        """What is right in each row, where the score compares two columns."""
        return None if self.sides is None else says(self.values(self.sides.target))

    def predictions(self) -> list[str | None] | None:
        """What was answered in each row, where the score compares two columns."""
        return None if self.sides is None else says(self.values(self.sides.prediction))

    def other_case(self) -> int:
        """How many predictions are no target, and would be their row's target in another case of their letters."""
        if self.sides is None:
            return 0
        targets, predictions = says(self.values(self.sides.target)), says(self.values(self.sides.prediction))
        known = {None, *targets}
        pairs = zip(targets, predictions, strict=True)
        return sum(b not in known and f"{a}".casefold() == f"{b}".casefold() for a, b in pairs)

    def where(self, index: int) -> str:
        """The file and line of the index-th of these rows."""
        return self.table.where(self.rows[index])

    @contextmanager
    def reading(self, role: str) -> Iterator[None]:
        """Inside the block an error about the column of a role that was only guessed becomes :class:`Unusable`.

        The file is then read again without that guess. It stays an error where the role may not be dropped, or where it
        is all that the file is read for.
        """
        try:
            yield
        except RecordError as error:
            if ROLES[role].needed_beside and role in self.roles.guessed:
                role = ROLES[role].beside
            column = self.roles[role]
            needed = self.roles["score"] is None and ROLES[role].of_answer
            if role not in self.roles.guessed or column is None or needed or not ROLES[role].droppable:
                raise
            raise Unusable(role, column, str(error)) from error

    def kept(self, keep: Rows) -> Part:
        """Only the rows where ``keep`` is true."""
        if keep.all():
            return self
        rows = np.asarray(self.rows)[keep].tolist()
        return Part(self.table, rows, self.roles, self.by_task)


@dataclass(frozen=True)
class Block:
    """One part, read: the values of its kept rows by role, None where the part has no such column."""

    part: Part
    numbers: dict[str, Floats | None]
    texts: dict[str, list[str] | None]
    no_answer: Rows
    no_score: Rows
    left_out: dict[str, int]

    def __len__(self) -> int:
        return len(self.part.rows)


@dataclass(frozen=True)
class Graded:
    """The scores of a part's rows.

    ``gone`` are the rows that are left out, for ``reason``. ``no_answer`` are those whose answer is missing, which have
    a score of 0; ``no_score`` those without a score, which have the one of ``missing=`` instead.
    """

    score: Floats | None
    gone: Rows
    reason: str
    no_answer: Rows
    no_score: Rows


class Column(NamedTuple):
    """The numbers of a column, None where there is no column; ``none``: the rows without one."""

    values: Floats | None
    none: Rows


class RowsKept:
    """Which rows of a part are kept, and how many are left out for which reason."""

    def __init__(self, n: int) -> None:
        self.kept: Rows = np.ones(n, dtype=bool)
        self.left_out: dict[str, int] = {}

    def leave_out(self, reason: str, gone: Rows) -> None:
        """Leave out the rows where ``gone`` is true; those that were left out before keep their first reason."""
        if count := int(np.count_nonzero(self.kept & gone)):
            self.left_out[reason] = count
        self.kept = self.kept & ~gone


def read_part(
    part: Part,
    words: Words,
    missing: float | None = None,
    ids: list[str | None] | None = None,
    classes: Classes = frozenset,
) -> Block:
    """Check and convert the columns that have a role; leave out, and count, the rows without a score or an id.

    ``words`` reads the text of scores. ``missing`` is the score of rows without one; None leaves them out. ``ids`` are
    those of :func:`read_ids`, and ``classes`` gives what :func:`target_classes` does, of all parts of the run.
    """
    with part.reading("score"):
        graded = _graded(part, words, missing, classes)
    with part.reading("loglikelihood"):
        loglikelihood = _numbers(part, ROLES["loglikelihood"])
    rows = RowsKept(len(part.rows))
    if part.roles["score"] is not None:
        rows.leave_out(graded.reason, graded.gone)
    else:
        rows.leave_out(ROLES["loglikelihood"].absent, loglikelihood.none)
    if ids is not None:
        rows.leave_out(ROLES["id"].absent, np.array([one is None for one in ids], dtype=bool))
    keep = rows.kept
    if graded.score is not None:
        with part.reading("score"):
            _check_score(part, keep, graded.score)
    numbers = {"score": graded.score, **_beside_score(part, keep, loglikelihood)}
    remaining = part.kept(keep)
    return Block(
        part=remaining,
        numbers={name: None if values is None else values[keep] for name, values in numbers.items()},
        texts={"id": _of_rows(ids, keep), **_texts(remaining)},
        no_answer=graded.no_answer[keep],
        no_score=graded.no_score[keep],
        left_out=rows.left_out,
    )


def _of_rows(ids: list[str | None] | None, keep: Rows) -> list[str] | None:
    """The ids of the rows that are kept; each of them has one."""
    if ids is None or keep.all():
        return ids  # type: ignore[return-value]  # a row without an id is not kept
    return [one for one, kept in zip(ids, keep.tolist(), strict=True) if kept and one]


def _texts(part: Part) -> dict[str, list[str] | None]:
    """The text of each role that every row has to have."""
    found: dict[str, list[str] | None] = {}
    for role in TEXTS:
        with part.reading(role.name):
            found[role.name] = _required_texts(part, role)
    return found


def _beside_score(part: Part, keep: Rows, loglikelihood: Column) -> dict[str, Floats | None]:
    """The numbers of each role but the score, checked in the rows that are kept."""
    found: dict[str, Floats | None] = {}
    there: dict[str, Rows] = {}
    for role in NUMBERS:
        with part.reading(role.name):
            values, none = loglikelihood if role.name == "loglikelihood" else _numbers(part, role)
            found[role.name] = values
            if values is None:
                continue
            there[role.name] = keep & ~none
            needed = there.get(role.beside, keep) if role.needed_beside else there[role.name]
            _check(part, role, needed & ~role.allowed(values), values)
            found[role.name] = np.where(none, role.default, np.minimum(values, role.most))
    return found


def target_classes(parts: Sequence[Part]) -> frozenset[str]:
    """The words for nothing (``none``, ``n/a``) that are targets in a run, whichever of its files they are in."""
    targets = [part.values(part.sides.target) for part in parts if part.sides is not None]
    return frozenset().union(*map(classes_among, targets))


def _graded(part: Part, words: Words, missing: float | None, classes: Classes) -> Graded:
    """The scores of a part: of its column, or of the two columns that it compares."""
    name = part.roles["score"]
    none = np.zeros(len(part.rows), dtype=bool)
    if part.sides is not None:
        targets, predictions = _labels(part, part.sides.target), _labels(part, part.sides.prediction)
        found = agreement(targets, predictions, classes, words_for_nothing(has_null=part.table.has_null))
        return Graded(found.score, found.no_target, NO_TARGET, found.no_answer, none)
    score: Floats | None
    if name is not None and part.roles.of_wide is not None and part.table.kind(name) == "list":
        score, no_score, reason = np.zeros(none.shape), ~none, f"with a list as {name!r}"  # a model of lists alone
    else:
        score, no_score, reason = *_scores(part, words), NO_SCORE
    if score is None or missing is None:
        return Graded(score, no_score, reason, none, none)
    return Graded(np.where(no_score, missing, score), none, "", none, no_score)


def _check_score(part: Part, keep: Rows, score: Floats) -> None:
    bad = keep & ~ROLES["score"].allowed(score)
    if bad.any():
        worth = keyword("values", f"{float(score[int(np.argmax(bad))])!r}={UNKNOWN}")
        fix = f"say what it is worth with {worth}, or {ROLES['score'].how_to_fix()}"
        _check(part, ROLES["score"], bad, score, fix=fix)
    name = part.roles["score"] or ""
    if "score" in part.roles.guessed and name.rpartition(".")[2].casefold() in SHARES:
        # It may hold the number of the correct choice, and no score.
        expected = "0, 1 or a share, as the score was guessed by its name"
        fix = f"name the score with {keyword('score')}, or two columns to compare with {keyword('score', 'a==b')}"
        _check(part, ROLES["score"], keep & ~((score >= 0) & (score <= 1)), score, expected=expected, fix=fix)


def _labels(part: Part, column: str) -> list[Any]:
    values = part.values(column)
    if LIST in values:
        where = f"{part.where(values.index(LIST))}: score column {column!r}"
        raise record_error(where, "a label", "a list", "choose columns with one value per record")
    return values


def _numbers(part: Part, role: Role) -> Column:
    column = part.roles[role.name]
    if column is None:
        return Column(None, np.ones(len(part.rows), dtype=bool))
    if role.name == "confidence" and choices.are_lists(part.table, column):
        return Column(*choices.confidences(part.table, column, part.rows))
    values = part.values(column)
    with while_at(f"{part.table.file}, column {column!r}"):
        return Column(*convert.numbers(values, repr(column), part.where, role.name_another()))


def _scores(part: Part, words: Words) -> Column:
    column = part.roles["score"]
    if column is None:
        return Column(None, np.ones(len(part.rows), dtype=bool))
    values = part.values(column)
    with while_at(f"{part.table.file}, column {column!r}"):
        found, none = words.numbers(values, repr(column), part.where, ROLES["score"].how_to_fix())
        # Only of scores: differences are taken of them, and a difference by rounding would look like evidence.
        return Column(convert.shortest(found, part.table.columns.narrow(column)), none)


def read_ids(part: Part) -> list[str | None] | None:
    """The rows' ids as text, None where a row has none; None where the part has no id column."""
    ids = own_ids(part)
    if ids is None or not part.by_task:
        return ids
    tasks = map(convert.text, part.values(TASK))
    return [None if one is None else f"{task}/{one}" for task, one in zip(tasks, ids, strict=True)]


def own_ids(part: Part) -> list[str | None] | None:
    """The rows' ids as the file has them, without their tasks."""
    column = part.roles["id"]
    if column is None:
        return None
    if column == ROW and ROW not in part.table.columns:
        return _row_numbers(part)
    with part.reading("id"):
        return convert.texts(part.values(column), f"id {column!r}", part.where)


def _row_numbers(part: Part) -> list[str | None]:
    """The number of each row among those of its model, before any were selected: what is left of two files pairs."""
    if part.table.numbers is None:
        return [str(row) for row in range(1, len(part.rows) + 1)]
    if part.roles["model"] is not None:
        expected = f"a column for {keyword('id')} where {keyword('where')} selects rows of several models"
        raise record_error(part.table.file, expected, keyword("id", ROW), "name one")
    return [str(part.table.numbers[row]) for row in part.rows]


def _required_texts(part: Part, role: Role) -> list[str] | None:
    column = part.roles[role.name]
    if column is None:
        return None
    name = f"{role.name} {column!r}"
    found = convert.texts(part.values(column), name, part.where, role.choose_another())
    complete = [value for value in found if value is not None]
    if missing := len(found) - len(complete):
        where = f"{part.where(found.index(None))}: {name}"
        raise record_error(where, "a value in every row", f"none in {missing:,} of {len(found):,}", role.how_to_fix())
    return complete


def _check(part: Part, role: Role, bad: Rows, values: Floats, *, expected: str = "", fix: str = "") -> None:
    """Raise the error for the first bad value of a role's column, if there is any."""
    if bad.any():
        row = int(np.argmax(bad))
        where = f"{part.where(row)}: {role.name} {part.roles[role.name]!r}"
        raise record_error(where, expected or role.expected, f"{float(values[row])!r}", fix or role.how_to_fix())

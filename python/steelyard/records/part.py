"""The rows of one file that belong to one run, checked and turned into arrays."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..errors import RecordError, keyword, while_at
from . import values as convert
from .columns import MOST_CONFIDENCE, NONE, ROW, SHARES, Roles, Unusable
from .labels import Classes, agreement, classes_among, says, sides, words_for_nothing
from .table import LIST, Table, record_error

Floats = NDArray[np.float64]
Rows = NDArray[np.bool_]

NO_SCORE = "no score"  # why a row is left out


@dataclass(frozen=True)
class Part:
    """The rows of one file that belong to one run, and which column means what there."""

    table: Table
    rows: Sequence[int]
    roles: Roles
    id_prefix: str = ""

    def values(self, column: str) -> list[Any]:
        """One column at these rows."""
        with while_at(f"{self.table.file}, column {column!r}"):
            whole = self.table.columns[column]  # of Parquet, a column is read here
        return whole if len(self.rows) == len(whole) else [whole[row] for row in self.rows]

    def targets(self) -> list[str | None] | None:
        """What is right in each row, where the score compares two columns."""
        return says(self.values(sides(self.roles.score or "").target)) if _is_pair(self) else None

    def other_case(self) -> int:
        """Rows whose prediction is no target, and would be the row's if it were written in another case."""
        if (targets := self.targets()) is None:
            return 0
        known = {None, *targets}
        pairs = zip(targets, says(self.values(sides(self.roles.score or "").prediction)), strict=True)
        return sum(b not in known and f"{a}".casefold() == f"{b}".casefold() for a, b in pairs)

    def where(self, index: int) -> str:
        """The file and line of the index-th of these rows."""
        return self.table.where(self.rows[index])

    @contextmanager
    def reading(self, role: str) -> Iterator[None]:
        """What is wrong with a column that was only guessed makes it unusable, and the file is read without it."""
        try:
            yield
        except RecordError as error:
            guessed = self.roles.guessed
            if role == "n_tokens" and role in guessed:
                role = "loglikelihood"  # it cannot be weighed without
            column = getattr(self.roles, role)
            needed = self.roles.score is None and role not in ("id", "model", "cluster", "epoch")
            if role not in guessed or column is None or needed:
                raise
            raise Unusable(role, column, str(error)) from error

    def kept(self, keep: Rows) -> Part:
        """Only the rows where ``keep`` is true."""
        rows = np.asarray(self.rows)[keep].tolist()
        return Part(self.table, rows, self.roles, self.id_prefix)


@dataclass(frozen=True)
class Block:
    """One part, read: its kept rows as arrays."""

    part: Part
    ids: list[str] | None
    score: Floats | None
    confidence: Floats | None
    loglikelihood: Floats | None
    n_tokens: Floats
    cluster: list[str] | None
    epoch: list[str] | None
    no_answer: Rows
    no_score: Rows
    left_out: dict[str, int]


@dataclass(frozen=True)
class Graded:
    """The scores of a part's rows; those ``gone`` for a reason; those that are 0 or filled for want of an answer."""

    score: Floats | None
    gone: Rows
    reason: str
    no_answer: Rows
    no_score: Rows


def read_part(
    part: Part,
    missing: float | None = None,
    ids: list[str | None] | None = None,
    classes: Classes = frozenset,
) -> Block:
    """Check and convert the columns that have a role; leave out, and count, the rows that cannot be weighed.

    ``missing`` is the score of rows without one; None leaves them out. ``ids`` are those of :func:`read_ids`, and
    ``classes`` gives what :func:`target_classes` does, of all parts of the run.
    """
    roles, n = part.roles, len(part.rows)
    keep = np.ones(n, dtype=bool)
    left_out: dict[str, int] = {}

    def leave_out(reason: str, gone: Rows) -> None:
        nonlocal keep
        if count := int(np.count_nonzero(keep & gone)):
            left_out[reason] = count
        keep = keep & ~gone

    with part.reading("score"):
        graded = _graded(part, missing, classes)
    score = graded.score
    with part.reading("loglikelihood"):
        loglikelihood, no_loglikelihood = _numbers(part, roles.loglikelihood, "loglikelihood")
    if roles.score is not None:
        leave_out(graded.reason, graded.gone)
    else:
        leave_out("no loglikelihood", no_loglikelihood)
    if ids is not None:
        leave_out("no id", np.array([one is None for one in ids], dtype=bool))
    if score is not None:
        with part.reading("score"):
            _require(part, keep & ~np.isfinite(score), score, f"score {roles.score!r}", expected="a finite number")
            _require_shares(part, keep, score)
    with part.reading("confidence"):
        confidence = _confidence(part, keep)
    if loglikelihood is not None:
        with part.reading("loglikelihood"):
            loglikelihood = _at_most_0(part, loglikelihood, keep & ~no_loglikelihood)
    with part.reading("n_tokens"):
        n_tokens = _n_tokens(part, keep if loglikelihood is None else keep & ~no_loglikelihood)
    kept = part.kept(keep)
    cluster = _required_texts(kept, roles.cluster, "cluster")  # never dropped: intervals would be too narrow
    with part.reading("epoch"):
        epoch = _required_texts(kept, roles.epoch, "epoch")

    def cut(values: Floats | None) -> Floats | None:
        return None if values is None else values[keep]

    return Block(
        part=kept,
        ids=None
        if ids is None
        else [one for one, kept_row in zip(ids, keep.tolist(), strict=True) if kept_row and one],
        score=cut(score),
        confidence=cut(confidence),
        loglikelihood=cut(loglikelihood),
        n_tokens=n_tokens[keep],
        cluster=cluster,
        epoch=epoch,
        no_answer=graded.no_answer[keep],
        no_score=graded.no_score[keep],
        left_out=left_out,
    )


def target_classes(parts: Sequence[Part]) -> frozenset[str]:
    """The words for nothing that are targets in a run, whichever of its files they are in."""
    pairs = [(part, part.roles.score) for part in parts if _is_pair(part)]
    return frozenset().union(*(classes_among(part.values(sides(score or "")[0])) for part, score in pairs))


def _is_pair(part: Part) -> bool:
    name = part.roles.score
    return name is not None and "==" in name and name not in part.table.columns


def _graded(part: Part, missing: float | None, classes: Classes) -> Graded:
    name = part.roles.score
    none = np.zeros(len(part.rows), dtype=bool)
    if name is not None and _is_pair(part):
        target, prediction, _ = sides(name)
        found = agreement(
            _labels(part, target), _labels(part, prediction), classes, words_for_nothing(has_null=part.table.has_null)
        )
        return Graded(found.score, found.no_target, "no target", found.no_answer, none)
    score: Floats | None
    if name is not None and part.roles.of_wide is not None and part.table.kind(name) == "list":
        score, no_score, reason = np.zeros(none.shape), ~none, f"with a list as {name!r}"  # a model of lists alone
    else:
        score, no_score, reason = *_numbers(part, name, "score"), NO_SCORE
    if score is None or missing is None:
        return Graded(score, no_score, reason, none, none)
    return Graded(np.where(no_score, missing, score), none, "", none, no_score)


def _require_shares(part: Part, keep: Rows, score: Floats) -> None:
    """A column that was guessed by the name ``correct`` may hold the correct choice, and no score."""
    name = part.roles.score or ""
    if "score" in part.roles.guessed and name.rpartition(".")[2] in SHARES:
        expected = "0, 1 or a share, as the score was guessed by its name"
        fix = f"name the score with {keyword('score')}, or two columns to compare with {keyword('score', 'a==b')}"
        _require(part, keep & ~((score >= 0) & (score <= 1)), score, f"score {name!r}", expected=expected, fix=fix)


def _labels(part: Part, column: str) -> list[Any]:
    values = part.values(column)
    if LIST in values:
        where = f"{part.where(values.index(LIST))}: score column {column!r}"
        raise record_error(where, "a label", "a list", "choose columns with one value a record")
    return values


def _confidence(part: Part, keep: Rows) -> Floats | None:
    confidence, none = _numbers(part, part.roles.confidence, "confidence")
    if confidence is None:
        return None
    bad = keep & ~none & ~((confidence >= 0) & (confidence <= MOST_CONFIDENCE))
    fix = f"pass a probability, or {keyword('confidence', NONE)}"
    name = f"confidence {part.roles.confidence!r}"
    _require(part, bad, confidence, name, expected="a probability from 0 to 1", fix=fix)
    return np.where(none, np.nan, confidence)


def _at_most_0(part: Part, loglikelihood: Floats, known: Rows) -> Floats:
    fix = f"pass log-likelihoods in nats, not their negatives, or {keyword('loglikelihood', NONE)}"
    name = f"loglikelihood {part.roles.loglikelihood!r}"
    _require(part, known & ~(loglikelihood <= 1e-6), loglikelihood, name, expected="at most 0", fix=fix)
    return np.where(known, np.minimum(loglikelihood, 0.0), np.nan)


def _n_tokens(part: Part, needed: Rows) -> Floats:
    n_tokens, none = _numbers(part, part.roles.n_tokens, "n_tokens")
    if n_tokens is None:
        return np.ones(len(part.rows))
    good = ~none & (n_tokens > 0) & (n_tokens < 2**53) & (n_tokens == np.floor(n_tokens))
    fix = f"correct the value, or pass {keyword('n_tokens', NONE)}"
    name = f"n_tokens {part.roles.n_tokens!r}"
    _require(part, needed & ~good, n_tokens, name, expected="a whole number from 1 on", fix=fix)
    return n_tokens


def _numbers(part: Part, column: str | None, role: str) -> tuple[Floats | None, Rows]:
    if column is None:
        return None, np.ones(len(part.rows), dtype=bool)
    fix = "correct the value" + (f", or pass {keyword(role, NONE)}" if role != "score" else "")
    values = part.values(column)
    if role == "score" and convert.graded_by_letters(values):
        fix = f"{convert.LETTERS}: {convert.grades_fix()}"
    with while_at(f"{part.table.file}, column {column!r}"):
        found, none = convert.numbers(values, repr(column), part.where, fix)
        # Of scores alone: differences are taken of them, and a width of rounding is no evidence.
        return (convert.shortest(found, part.table.columns.narrow(column)) if role == "score" else found), none


def read_ids(part: Part) -> list[str | None] | None:
    """The rows' ids as text, None where a row has none; None where the part has no id column."""
    column, prefix = part.roles.id, part.id_prefix
    if column is None:
        return None
    if column == ROW and ROW not in part.table.columns:
        return [f"{prefix}{row}" for row in range(1, len(part.rows) + 1)]
    with part.reading("id"):
        ids = convert.texts(part.values(column), f"id {column!r}", part.where)
    return [None if one is None else prefix + one for one in ids] if prefix else ids


def _required_texts(part: Part, column: str | None, role: str) -> list[str] | None:
    if column is None:
        return None
    of_lists = "choose another column" + (f", or {_unclustered()}" if role == "cluster" else "")
    found = convert.texts(part.values(column), f"{role} {column!r}", part.where, of_lists)
    complete = [value for value in found if value is not None]
    if missing := len(found) - len(complete):
        where = f"{part.where(found.index(None))}: {role} {column!r}"
        fix = f"complete the column, or pass {keyword(role, NONE)}"
        if role == "cluster":
            fix = f"give each row that belongs to no other a value of its own, or {_unclustered()}"
        raise record_error(where, "a value in every row", f"none in {missing:,} of {len(found):,}", fix)
    return complete


def _unclustered() -> str:
    return f"pass {keyword('cluster', NONE)} to count all records as independent"


def _require(
    part: Part,
    bad: Rows,
    values: Floats,
    name: str,
    *,
    expected: str,
    fix: str = "correct the value",
) -> None:
    if bad.any():
        row = int(np.argmax(bad))
        raise record_error(f"{part.where(row)}: {name}", expected, f"{float(values[row])!r}", fix)

"""Runs: the records of one model, as aligned arrays, and all runs of one reading."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from . import columns
from .columns import ROW, Roles
from .scores import Scores, match
from .table import LIST, Table, record_error

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Part:
    """The rows of one file that belong to one run, and which column means what there."""

    table: Table
    rows: Sequence[int]
    roles: Roles
    id_prefix: str = ""

    def values(self, column: str) -> list[Any]:
        """One column at these rows."""
        whole = self.table.columns[column]
        return whole if len(self.rows) == len(whole) else [whole[row] for row in self.rows]

    def where(self, index: int) -> str:
        """The file and line of the index-th of these rows."""
        return self.table.where(self.rows[index])

    def kept(self, keep: NDArray[np.bool_]) -> Part:
        """Only the rows where ``keep`` is true."""
        rows = np.asarray(self.rows)[keep].tolist()
        return Part(self.table, rows, self.roles, self.id_prefix)


@dataclass(frozen=True, eq=False)
class Run:
    """The records of one model, in the order of the files.

    Rows without a score (without a loglikelihood, where the file has no score) are left out and counted.
    ``confidence`` and ``loglikelihood`` are NaN in rows without one; ``known`` gives the rows that have them.
    """

    name: str
    files: tuple[str, ...]
    ids: NDArray[np.str_] | None
    """The records' ids as text, or None where the file has no id column."""
    score: Floats | None
    confidence: Floats | None
    loglikelihood: Floats | None
    """Log-likelihood of the record's tokens, in nats."""
    n_tokens: Floats
    """Tokens of each record; 1 where the file does not say."""
    cluster: NDArray[Any] | None
    """The cluster column; without one the ids, where an id has several epochs; else None."""
    epoch: NDArray[np.str_] | None
    left_out: Mapping[str, int]
    """Rows of this run that were read but are not in it, by reason."""
    _parts: tuple[Part, ...] = field(repr=False)
    _source: _Source = field(repr=False)

    def __len__(self) -> int:
        return len(self.n_tokens)

    def column(self, name: str) -> NDArray[Any]:
        """Any other column of the records, by dotted path, aligned with the rows of this run.

        Numbers come as numbers, all else as text (CSV knows only text). Text beyond 200 characters comes as its
        beginning and a digest: enough to group and compare by.

        Raises
        ------
        RecordError
            If a file has no such column, or a row has no value or a list in it.
        """
        values: list[Any] = []
        for part in self._parts:
            if name not in part.table.columns:
                raise columns.missing_column(part.table, "column()", name)
            found = part.values(name)
            for row, value in enumerate(found):
                if value is None or value is LIST:
                    got = "a list" if value is LIST else "none"
                    where = f"{part.where(row)}: {name}"
                    raise record_error(where, "one value in every row", got, "choose another column, or complete it")
            values += found
        return _array(values)

    def known(self, *names: str) -> Run:
        """The rows in which every one of ``names`` (``"confidence"``, ``"loglikelihood"``) has a value."""
        keep = np.ones(len(self), dtype=bool)
        left_out = dict(self.left_out)
        for name in names:
            values = getattr(self, name)
            has = np.zeros(len(self), dtype=bool) if values is None else ~np.isnan(values)
            if count := int(np.count_nonzero(keep & ~has)):
                left_out[f"no {name}"] = left_out.get(f"no {name}", 0) + count
            keep &= has
        return self._kept(keep, left_out)

    def graded_by(self, name: str) -> Run:
        """The same records with another column (or ``a==b``) as their score; ``confidence`` is not about it."""
        return self._source.run(score=name)

    def document_hashes(self) -> list[str | None] | None:
        """The documents' hashes, where ids were guessed to be lm-evaluation-harness's numbers."""
        hashes: list[str | None] = []
        for part in self._parts:
            if not (part.roles.id == "doc_id" and part.roles.id_is_guessed and "doc_hash" in part.table.columns):
                return None
            hashes += [columns.text(value) for value in part.values("doc_hash")]
        return hashes

    def _kept(self, keep: NDArray[np.bool_], left_out: dict[str, int]) -> Run:
        def cut(values: Any) -> Any:
            return None if values is None else values[keep]

        parts, start = [], 0
        for part in self._parts:
            parts.append(part.kept(keep[start : start + len(part.rows)]))
            start += len(part.rows)
        return Run(
            name=self.name,
            files=self.files,
            ids=cut(self.ids),
            score=cut(self.score),
            confidence=cut(self.confidence),
            loglikelihood=cut(self.loglikelihood),
            n_tokens=cut(self.n_tokens),
            cluster=cut(self.cluster),
            epoch=cut(self.epoch),
            left_out=left_out,
            _parts=tuple(parts),
            _source=self._source,
        )


@dataclass(frozen=True, eq=False)
class Runs:
    """All runs of one reading, one a model: iterate over them, or pick one by name."""

    runs: tuple[Run, ...]
    left_out: Mapping[str, Mapping[str, int]]
    """For every file from which something was left out: the number of records by reason."""
    guesses: tuple[str, ...]
    """What was guessed because no option said it, such as ``score = acc``."""

    def __iter__(self) -> Iterator[Run]:
        return iter(self.runs)

    def __len__(self) -> int:
        return len(self.runs)

    def __getitem__(self, name: str) -> Run:
        for run in self.runs:
            if run.name == name:
                return run
        raise KeyError(f"no run {name!r}; the runs are {', '.join(map(repr, self.names))}")

    @property
    def names(self) -> tuple[str, ...]:
        """The models' names."""
        return tuple(run.name for run in self.runs)

    def scores(self, name: str | None = None, *, models: Sequence[str] | None = None) -> Scores:
        """Every model's scores on the records that all of them have, matched by id.

        An id with several epochs counts once, with the mean over its epochs. The ids are sorted, so that the
        order of the rows in the files does not matter.

        Parameters
        ----------
        name
            Column of the score, by dotted path, or ``a==b``; without it the one that was read.
        models
            Only these models; ids that others lack then match too.

        Raises
        ------
        RecordError
            If there is no id to match by, no id in common, or no such score.
        """
        runs = self.runs if models is None else tuple(self[model] for model in models)
        return match([run if name is None else run.graded_by(name) for run in runs])

    def __repr__(self) -> str:
        lines = [f"{run.name}: {len(run):,} records" + _reasons(run.left_out) for run in self.runs]
        return "\n".join(lines + [f"guessed: {guess}" for guess in self.guesses])


def _reasons(left_out: Mapping[str, int]) -> str:
    shown = ", ".join(f"{count:,} {reason}" for reason, count in left_out.items())
    return f" (left out: {shown})" if shown else ""


@dataclass(frozen=True, eq=False)
class _Source:
    """What a run is made from: all its rows, so that it can be graded by another column."""

    name: str
    parts: tuple[Part, ...]
    models: tuple[str | None, ...]  # of a wide file: the model before each column
    repeats: str | None

    def run(self, score: str | None = None) -> Run:
        return self.read(score)[0]

    def read(self, score: str | None = None) -> tuple[Run, list[_Block]]:
        blocks = [
            _read_part(part if score is None else _regraded(part, model, score))
            for part, model in zip(self.parts, self.models, strict=True)
        ]
        left_out: Counter[str] = Counter()
        for block in blocks:
            left_out.update(block.left_out)
        ids = _joined(blocks, "id", [block.ids for block in blocks])
        epoch = _joined(blocks, "epoch", [block.epoch for block in blocks])
        cluster = _joined(blocks, "cluster", [block.cluster for block in blocks])
        parts = tuple(block.part for block in blocks)
        if _check_repeats(self.name, parts, ids, epoch, self.repeats) and cluster is None:
            cluster = ids
        run = Run(
            name=self.name,
            files=tuple(dict.fromkeys(part.table.file for part in parts)),
            ids=_text_array(ids),
            score=_stacked(blocks, [block.score for block in blocks]),
            confidence=_stacked(blocks, [block.confidence for block in blocks]),
            loglikelihood=_stacked(blocks, [block.loglikelihood for block in blocks]),
            n_tokens=np.concatenate([block.n_tokens for block in blocks]),
            cluster=_text_array(cluster),
            epoch=_text_array(epoch),
            left_out=dict(left_out),
            _parts=parts,
            _source=self,
        )
        return run, blocks


def make_run(
    name: str, parts: Sequence[Part], models: Sequence[str | None], repeats: str | None
) -> tuple[Run, list[tuple[str, Mapping[str, int]]]]:
    """A run from its rows, and what was left out from each file."""
    run, blocks = _Source(name, tuple(parts), tuple(models), repeats).read()
    return run, [(block.part.table.file, block.left_out) for block in blocks]


def _regraded(part: Part, model: str | None, score: str) -> Part:
    table = part.table
    options: dict[str, str | None] = dict.fromkeys(columns.ROLES, columns.NONE)
    own = f"{model}.{score}"
    found = (
        own if model is not None and own in table.columns else columns.resolve(table, options | {"score": score}).score
    )
    roles = part.roles
    return Part(
        table,
        part.rows,
        Roles(id=roles.id, score=found, cluster=roles.cluster, epoch=roles.epoch, id_is_guessed=roles.id_is_guessed),
        part.id_prefix,
    )


# ---- from rows to arrays


@dataclass(frozen=True)
class _Block:
    """One part, read: its kept rows as arrays."""

    part: Part
    ids: list[str] | None
    score: Floats | None
    confidence: Floats | None
    loglikelihood: Floats | None
    n_tokens: Floats
    cluster: list[str] | None
    epoch: list[str] | None
    left_out: dict[str, int]


def _read_part(part: Part) -> _Block:
    roles, n = part.roles, len(part.rows)
    keep = np.ones(n, dtype=bool)
    left_out: dict[str, int] = {}

    def leave_out(reason: str, gone: NDArray[np.bool_]) -> None:
        nonlocal keep
        if count := int(np.count_nonzero(keep & gone)):
            left_out[reason] = count
        keep = keep & ~gone

    score, no_score = _score(part)
    loglikelihood, no_loglikelihood = _numbers(part, roles.loglikelihood)
    if roles.score is not None:
        leave_out("no score", no_score)
    else:
        leave_out("no loglikelihood", no_loglikelihood)
    ids = _ids(part)
    if ids is not None:
        leave_out("no id", np.array([one is None for one in ids], dtype=bool))
    confidence, no_confidence = _numbers(part, roles.confidence)
    n_tokens, no_n_tokens = _numbers(part, roles.n_tokens)

    if score is not None:
        _require(part, keep & ~np.isfinite(score), score, f"score {roles.score!r}", expected="a finite number")
    if confidence is not None:
        inside = (confidence >= 0) & (confidence <= 1 + 1e-6)
        name = f"confidence {roles.confidence!r}"
        fix = "pass a probability, or confidence='none'"
        _require(part, keep & ~no_confidence & ~inside, confidence, name, expected="a probability from 0 to 1", fix=fix)
        confidence = np.where(no_confidence, np.nan, confidence)
    if loglikelihood is not None:
        name = f"loglikelihood {roles.loglikelihood!r}"
        fix = "pass log-likelihoods in nats, not their negatives, or loglikelihood='none'"
        _require(
            part,
            keep & ~no_loglikelihood & ~(loglikelihood <= 1e-6),
            loglikelihood,
            name,
            expected="at most 0",
            fix=fix,
        )
        loglikelihood = np.where(no_loglikelihood, np.nan, np.minimum(loglikelihood, 0.0))
    if n_tokens is None:
        n_tokens = np.ones(n)
    else:
        good = (n_tokens > 0) & (n_tokens < 2**53) & (n_tokens == np.floor(n_tokens))
        name = f"n_tokens {roles.n_tokens!r}"
        counts = keep & ~no_loglikelihood if loglikelihood is not None else keep
        _require(part, counts & (no_n_tokens | ~good), n_tokens, name, expected="a whole number from 1 on")

    def cut(values: Floats | None) -> Floats | None:
        return None if values is None else values[keep]

    kept = part.kept(keep)
    return _Block(
        part=kept,
        ids=None
        if ids is None
        else [one for one, kept_row in zip(ids, keep.tolist(), strict=True) if kept_row and one],
        score=cut(score),
        confidence=cut(confidence),
        loglikelihood=cut(loglikelihood),
        n_tokens=n_tokens[keep],
        cluster=_required_texts(kept, roles.cluster, "cluster"),
        epoch=_required_texts(kept, roles.epoch, "epoch"),
        left_out=left_out,
    )


def _score(part: Part) -> tuple[Floats | None, NDArray[np.bool_]]:
    name = part.roles.score
    if name is None or "==" not in name or name in part.table.columns:
        return _numbers(part, name)
    first, second = name.split("==")
    sides = [part.values(first), part.values(second)]
    for side, column in zip(sides, (first, second), strict=True):
        if LIST in side:
            where = f"{part.where(side.index(LIST))}: score column {column!r}"
            raise record_error(where, "a label", "a list", "choose columns with one value a record")
    agree = columns.equal(*sides)
    return columns.numbers(agree, f"score {name!r}", part.where)


def _numbers(part: Part, column: str | None) -> tuple[Floats | None, NDArray[np.bool_]]:
    if column is None:
        return None, np.ones(len(part.rows), dtype=bool)
    return columns.numbers(part.values(column), repr(column), part.where)


def _ids(part: Part) -> list[str | None] | None:
    column, prefix = part.roles.id, part.id_prefix
    if column is None:
        return None
    if column == ROW and ROW not in part.table.columns:
        return [f"{prefix}{row}" for row in range(1, len(part.rows) + 1)]
    ids = columns.texts(part.values(column), f"id {column!r}", part.where)
    return [None if one is None else prefix + one for one in ids] if prefix else ids


def _required_texts(part: Part, column: str | None, role: str) -> list[str] | None:
    if column is None:
        return None
    found = columns.texts(part.values(column), f"{role} {column!r}", part.where)
    for row, value in enumerate(found):
        if value is None:
            where = f"{part.where(row)}: {role} {column!r}"
            raise record_error(where, "a value in every row", "none", f"complete the column, or pass {role}='none'")
    return [value for value in found if value is not None]


def _require(
    part: Part,
    bad: NDArray[np.bool_],
    values: Floats,
    name: str,
    *,
    expected: str,
    fix: str = "correct the value",
) -> None:
    if bad.any():
        row = int(np.argmax(bad))
        raise record_error(f"{part.where(row)}: {name}", expected, f"{float(values[row])!r}", fix)


def _check_repeats(
    name: str, parts: Sequence[Part], ids: list[str] | None, epoch: list[str] | None, repeats: str | None
) -> bool:
    """Whether ids repeat; an error unless they are epochs."""
    if ids is None or len(set(ids)) == len(ids):
        return False
    if repeats == "epochs":
        return True
    keys: Sequence[Any] = ids if epoch is None else list(zip(ids, epoch, strict=True))
    if epoch is not None and len(set(keys)) == len(keys):
        return True
    seen: dict[Any, int] = {}
    places = [part.where(row) for part in parts for row in range(len(part.rows))]
    for row, key in enumerate(keys):
        if key in seen:
            once = f"each id once in run {name!r}" if epoch is None else f"each id once an epoch in run {name!r}"
            found = f"id {ids[row]!r} there and on {places[seen[key]]}"
            fix = "name the epoch's column with epoch=, the model's with model=, or pass repeats='epochs'"
            raise record_error(places[row], once, found, fix)
        seen[key] = row
    return True


def _joined(blocks: Sequence[_Block], role: str, lists: Sequence[list[str] | None]) -> list[str] | None:
    """Several files' text as one column; None where no file has it."""
    if all(one is None for one in lists):
        return None
    for block, one in zip(blocks, lists, strict=True):
        if one is None:
            file = block.part.table.file
            got = "none, though other files of the run have one"
            raise record_error(file, f"a column for {role}", got, f"name it with {role}=, or pass {role}='none'")
    return [value for one in lists for value in one or ()]


def _stacked(blocks: Sequence[_Block], arrays: Sequence[Floats | None]) -> Floats | None:
    """Several files' numbers as one array, NaN for a file without them; None where no file has any."""
    if all(array is None for array in arrays):
        return None
    lengths = [len(block.n_tokens) for block in blocks]
    return np.concatenate(
        [np.full(n, np.nan) if array is None else array for n, array in zip(lengths, arrays, strict=True)]
    )


def _text_array(values: list[str] | None) -> NDArray[np.str_] | None:
    return None if values is None else np.array(values, dtype=np.str_)


def _array(values: list[Any]) -> NDArray[Any]:
    kinds = set(map(type, values))
    if kinds == {bool}:
        return np.array(values, dtype=np.bool_)
    if kinds == {int} and all(-(2**63) <= value < 2**63 for value in values):
        return np.array(values, dtype=np.int64)
    if kinds and kinds <= {int, float}:
        try:
            return np.array(values, dtype=np.float64)
        except OverflowError:
            pass  # kept as text below
    return np.array([columns.text(value) or "" for value in values], dtype=np.str_)

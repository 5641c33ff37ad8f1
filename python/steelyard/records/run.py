"""A run: the records of one model, as aligned arrays."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, field, replace
from functools import cache
from itertools import accumulate, chain
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .._lazy import lazy
from .._mode import standard_mode_methods
from .._text import listed_counts, printable
from ..errors import keyword
from . import columns
from .finder import missing_column
from .lm_eval import TASK
from .part import Block, Part, read_ids, read_part, target_classes
from .roles import NO_SCORE, NONE, NUMBERS, ROLES, TEXTS, Floats, Role, Rows
from .table import LIST, plain, record_error
from .values import text, texts
from .words import Words

# The fields of a run that have a value for each of its records.
_ALIGNED = ("ids", "score", *(role.name for role in (*NUMBERS, *TEXTS)), "_no_answer", "_no_score")


@standard_mode_methods
@dataclass(frozen=True, eq=False)
class Run:
    """The records of one model, in the order of the files.

    Rows without a score (without a loglikelihood, where the file has no score) are left out and counted.
    ``confidence`` and ``loglikelihood`` are NaN in rows without one; ``known`` gives the rows that have them.
    Where ids repeat, every id counts once: ``weights`` says how much each record counts, ``merged`` how many there are.
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
    n_words: Floats | None
    """Words of each record's text; NaN in rows that do not say, None where no file has the column."""
    n_bytes: Floats | None
    """Bytes of each record's text; NaN in rows that do not say, None where no file has the column."""
    cluster: NDArray[Any] | None
    """The cluster column; without one the ids, where an id has several epochs; else None."""
    epoch: NDArray[np.str_] | None
    left_out: Mapping[str, int]
    """Rows of this run that were read but are not in it, by reason."""
    _no_answer: Rows = field(repr=False)
    _no_score: Rows = field(repr=False)
    _parts: tuple[Part, ...] = field(repr=False)
    _words: Words = field(repr=False)
    _source: _Source = field(repr=False)

    def __len__(self) -> int:
        return len(self.n_tokens)

    @property
    def no_answer(self) -> int:
        """Records whose prediction is missing beside a target: their score is 0."""
        return int(np.count_nonzero(self._no_answer))

    @property
    def no_score(self) -> int:
        """Records without a score: left out, or, by ``missing=``, with the score that it gives them."""
        return int(np.count_nonzero(self._no_score)) + self.left_out.get(NO_SCORE, 0)

    @property
    def missing(self) -> float | None:
        """The score of records that have none, by ``missing=``; None where they are left out."""
        return self._source.missing

    def __repr__(self) -> str:
        said = [f"{printable(self.name)}: {len(self):,} records"]
        said += [of_ids(self.merged)] if self.merged else []
        said += [f"({self.no_answer:,} without an answer: 0)"] if self.no_answer else []
        if self.missing is not None and self.no_score:
            said += [f"({self.no_score:,} without a score: {self.missing:g})"]
        said += [f"(left out: {listed_counts(self.left_out)})"] if self.left_out else []
        return " ".join(said)

    @lazy
    def weights(self) -> Floats | None:
        """For each record, 1 over the number of records of its id; None where all ids have equally many."""
        if (counts := self._counts) is None or len(set(counts.values())) <= 1 or self.ids is None:
            return None
        return 1.0 / np.array([counts[one] for one in self.ids.tolist()], dtype=np.float64)

    @lazy
    def merged(self) -> Mapping[str, int]:
        """Where ids repeat: how many ``ids`` and ``records``, and the ``fewest`` and ``most`` records of one id."""
        if (counts := self._counts) is None:
            return {}
        return merged(counts.values())

    @lazy
    def _counts(self) -> Counter[str] | None:
        """How many records every id has; None where none has several."""
        ids: list[str] = [] if self.ids is None else self.ids.tolist()
        return Counter(ids) if len(set(ids)) < len(ids) else None

    @property
    def columns(self) -> tuple[tuple[str, str], ...]:
        """Which column of the files was read as what: pairs of a role, such as ``score``, and a column."""
        pairs = (pair for part in self._parts for pair in part.roles.columns.items())
        return tuple(dict.fromkeys((role, column) for role, column in pairs if column is not None))

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
                raise missing_column(part.table, "column()", name)
            found = part.values(name)
            for row, value in enumerate(found):
                if value is None or value is LIST:
                    got = "a list" if value is LIST else "none"
                    where = f"{part.where(row)}: {name}"
                    raise record_error(where, "one value in every row", got, "choose another column, or complete it")
            values += found
        return _array(values)

    def labels(self, name: str, asked: str = "labels()") -> NDArray[np.str_]:
        """Any column of the records as text: numbers too, and an empty text in rows without a value.

        ``asked`` is what the column is for, in the error about a file that does not have it.

        Raises
        ------
        RecordError
            If a file has no such column, or a row has a list in it.
        """
        labels: list[str | None] = []
        for part in self._parts:
            if name not in part.table.columns:
                raise missing_column(part.table, asked, name)
            labels += texts(part.values(name), repr(name), part.where)
        return np.array([one or "" for one in labels], dtype=np.str_)

    def texts_at(self, name: str, rows: NDArray[np.int64]) -> NDArray[np.str_] | None:
        """Any column of the records as text, in some rows alone; None where a file has no such column."""
        if any(name not in part.table.columns for part in self._parts):
            return None
        values: list[Any] = []
        for part in self._parts:
            values += part.values(name)
        found = (values[row] for row in rows.tolist())
        return np.array([repr(one) if one is LIST else text(one) or "" for one in found], dtype=np.str_)

    def known(self, *names: str) -> Run:
        """The rows in which every one of ``names`` (``"confidence"``, ``"loglikelihood"``) has a value."""
        keep = np.ones(len(self), dtype=bool)
        left_out = dict(self.left_out)
        for name in names:
            values = getattr(self, name)
            has = np.zeros(len(self), dtype=bool) if values is None else ~np.isnan(values)
            if count := int(np.count_nonzero(keep & ~has)):
                absent = ROLES[name].absent
                left_out[absent] = left_out.get(absent, 0) + count
            keep &= has
        return self._kept(keep, left_out)

    def graded_by(self, name: str) -> Run:
        """The same records with another column (or ``a==b``) as their score; ``confidence`` is not about it."""
        return self._source.run(score=name)

    def document_hashes(self) -> list[str | None] | None:
        """The documents' hashes, where ids were guessed to be lm-evaluation-harness's numbers."""
        for part in self._parts:
            if not (part.roles["id"] == "doc_id" and "id" in part.roles.guessed and "doc_hash" in part.table.columns):
                return None
        return [text(value) for part in self._parts for value in part.values("doc_hash")]

    @property
    def tokens_known(self) -> bool:
        """Whether a column says how many tokens each record has."""
        return all(part.roles["n_tokens"] is not None for part in self._parts)

    @lazy
    def other_case(self) -> int:
        """Records whose prediction differs from its target in upper and lower case alone: their score is 0."""
        return sum(part.other_case() for part in self._parts)

    def targets(self) -> list[str | None] | None:
        """What was right for each record, where the score compares two columns."""
        of_parts = [own for part in self._parts if (own := part.targets()) is not None]
        return list(chain.from_iterable(of_parts)) if len(of_parts) == len(self._parts) else None

    def predictions(self) -> list[str | None] | None:
        """What the model answered in each record, where the score compares two columns."""
        of_parts = [own for part in self._parts if (own := part.predictions()) is not None]
        return list(chain.from_iterable(of_parts)) if len(of_parts) == len(self._parts) else None

    def _kept(self, keep: Rows, left_out: dict[str, int]) -> Run:
        aligned: dict[str, Any] = {name: getattr(self, name) for name in _ALIGNED}
        cut: dict[str, Any] = {name: None if values is None else values[keep] for name, values in aligned.items()}
        ends = accumulate(len(part.rows) for part in self._parts)
        parts = tuple(part.kept(keep[end - len(part.rows) : end]) for part, end in zip(self._parts, ends, strict=True))
        return replace(self, **cut, left_out=left_out, _parts=parts)


def merged(of_id: Collection[int]) -> dict[str, int]:
    """How many ids and records count, and the fewest and most records of one id."""
    return {"ids": len(of_id), "records": sum(of_id), "fewest": min(of_id), "most": max(of_id)}


def of_ids(merged: Mapping[str, int]) -> str:
    """In words: ``of 40 ids (2 to 3 per id)``."""
    ids, fewest, most = merged["ids"], merged["fewest"], merged["most"]
    return f"of {ids:,} id{'s' * (ids != 1)} ({fewest}{f' to {most}' if most > fewest else ''} per id)"


@dataclass(frozen=True, eq=False)
class _Source:
    """What a run is made from: all its rows, so that it can be graded by another column."""

    name: str
    parts: tuple[Part, ...]
    repeats: str | None
    missing: float | None
    words: Words

    def run(self, score: str | None = None) -> Run:
        return self.read(score)[0]

    def read(self, score: str | None = None) -> tuple[Run, list[Block]]:
        graded = self.parts if score is None else tuple(_regraded(part, score) for part in self.parts)
        classes = cache(lambda: target_classes(graded))
        ids_of = zip(graded, _known_ids(graded), strict=True)
        words = self.words if score is None else self.words.of_score(score)
        blocks = [read_part(part, words, self.missing, ids, classes) for part, ids in ids_of]
        left_out: Counter[str] = Counter()
        for block in blocks:
            left_out.update(block.left_out)
        ids = _joined(blocks, ROLES["id"])
        texts = {role.name: _joined(blocks, role) for role in TEXTS}
        parts = tuple(block.part for block in blocks)
        if ids is not None and _check_repeats(self.name, parts, ids, texts["epoch"], self.repeats):
            clusters = texts["cluster"] = ids if texts["cluster"] is None else texts["cluster"]
            fix = f"pass {keyword('cluster', NONE)} to group the records by their id"
            _check_clusters(self.name, parts, ids, clusters, fix)
        of_roles: dict[str, Any] = {name: _text_array(values) for name, values in texts.items()}
        of_roles |= {role.name: _stacked(blocks, role) for role in (ROLES["score"], *NUMBERS)}
        run = Run(
            name=self.name,
            files=tuple(dict.fromkeys(part.table.file for part in parts)),
            ids=_text_array(ids),
            **of_roles,
            left_out=dict(left_out),
            _no_answer=np.concatenate([block.no_answer for block in blocks]),
            _no_score=np.concatenate([block.no_score for block in blocks]),
            _parts=parts,
            _words=words,
            _source=self,
        )
        return run, blocks


def make_run(
    name: str, parts: Sequence[Part], repeats: str | None, missing: float | None, words: Words
) -> tuple[Run, list[Mapping[str, int]]]:
    """A run from its rows, and what was left out from each part, by reason."""
    run, blocks = _Source(name, tuple(parts), repeats, missing, words).read()
    return run, [block.left_out for block in blocks]


def _known_ids(parts: Sequence[Part]) -> list[list[str | None] | None]:
    """The ids of every part; None for all parts where no record has an id."""
    ids = [read_ids(part) for part in parts]
    if all(one is None for of_part in ids for one in of_part or ()):
        return [None] * len(ids)
    return ids


def _regraded(part: Part, score: str) -> Part:
    """The part with another column as its score; of models side by side, the model's own where it has one."""
    column: str | None = f"{part.roles.of_wide}.{score}"
    if part.roles.of_wide is None or column not in part.table.columns:
        column = columns.resolve(part.table, dict.fromkeys(ROLES, NONE) | {"score": score})["score"]
    return replace(part, roles=part.roles.with_score(column))


def _check_repeats(
    name: str, parts: Sequence[Part], ids: list[str], epoch: list[str] | None, repeats: str | None
) -> bool:
    """Whether ids repeat; an error unless they are epochs."""
    if len(set(ids)) == len(ids):
        return False
    keys: Sequence[Any] = ids if epoch is None else list(zip(ids, epoch, strict=True))
    if repeats == "epochs" or len(set(keys)) == len(keys):
        return True
    first: dict[Any, int] = {}
    row, before = next((row, first[key]) for row, key in enumerate(keys) if first.setdefault(key, row) != row)
    once = f"each id once{'' if epoch is None else ' an epoch'} in run {name!r}"
    fix = f"name the epoch's column with {keyword('epoch')}, the model's with {keyword('model')}"
    if len({part.table.file for part in parts}) > 1:
        fix = f"leave one of the files out, give each file its own run with {keyword('names')}"
    places = _places(parts)
    found = f"id {ids[row]!r} there and on {places[before]}"
    raise record_error(places[row], once, found, f"{fix}, or pass {keyword('repeats', 'epochs')}")


def _places(parts: Sequence[Part]) -> list[str]:
    """The file and line of each row of a run."""
    return [part.where(row) for part in parts for row in range(len(part.rows))]


def clusters_by(run: Run, name: str) -> NDArray[Any]:
    """A column of a run as its clusters."""
    values = run.column(name)
    if run.ids is not None and run.merged:
        fix = "choose a column with one value for all records of an id"
        _check_clusters(run.name, run._parts, run.ids.tolist(), values.tolist(), fix)
    return values


def tasks_of(run: Run, file: str | None = None) -> list[str]:
    """The tasks of a run, or of one of its files, where ids count within them; none where ids stand alone."""
    parts = [part for part in run._parts if part.by_task and file in (None, part.table.file)]
    tasks = (value for part in parts for value in part.values(TASK))
    return [one for value in dict.fromkeys(tasks) if (one := text(value)) is not None]


def _check_clusters(name: str, parts: Sequence[Part], ids: Sequence[str], cluster: Sequence[Any], fix: str) -> None:
    """Records of one id depend on each other: in two clusters they would count as independent."""
    first: dict[str, int] = {}
    for row, (one, of) in enumerate(zip(ids, cluster, strict=True)):
        before = first.setdefault(one, row)
        if cluster[before] != of:
            places = _places(parts)
            got = f"id {one!r} in cluster {of!r} there and in {cluster[before]!r} on {places[before]}"
            raise record_error(places[row], f"one cluster for all records of an id in run {name!r}", got, fix)


def look_alikes(run: Run) -> list[str]:
    """A note about ids that differ only by the blanks around them or by 1.0 for 1: they count as different ids."""
    ids = {} if run.ids is None else dict.fromkeys(run.ids.tolist())
    written = "".join(ids)
    if written.split(maxsplit=1) in ([], [written]) and ".0" not in written and "-0" not in written:
        return []  # no blanks and no ".0" in any of them: much faster than to look at each
    of_plain: dict[str, str] = {}
    pairs = [(first, one) for one in ids if (first := of_plain.setdefault(plain(one), one)) != one]
    if not pairs:
        return []
    shown = " and ".join(map(repr, pairs[0])) + (f" (and {len(pairs) - 1:,} more)" if len(pairs) > 1 else "")
    why = "though they differ only by blanks or by 1.0 for 1"
    return [f"{', '.join(run.files)}: {shown} count as different ids, {why}"]


def _joined(blocks: Sequence[Block], role: Role) -> list[str] | None:
    """Several files' texts as one column; None where no file has it."""
    lists = [block.texts[role.name] for block in blocks]
    if all(one is None for one in lists):
        return None
    with_it = next(block.part for block, one in zip(blocks, lists, strict=True) if one is not None)
    for block, one in zip(blocks, lists, strict=True):
        if one is None:
            got = "none, though other files of the run have one"
            fix = f"name it with {keyword(role.name)}, or pass {keyword(role.name, NONE)}"
            # Without ids nothing could be compared: they are not given up because one file lacks them.
            with nullcontext() if role.name == "id" else with_it.reading(role.name):
                raise record_error(block.part.table.file, f"a column for {role.name}", got, fix)
    return [value for one in lists for value in one or ()]


def _stacked(blocks: Sequence[Block], role: Role) -> Floats | None:
    """Several files' numbers as one array, the default for a file without them; None where no file has any."""
    arrays = [block.numbers[role.name] for block in blocks]
    if math.isnan(role.default) and all(array is None for array in arrays):
        return None
    return np.concatenate(
        [
            np.full(len(block), role.default) if array is None else array
            for block, array in zip(blocks, arrays, strict=True)
        ]
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
    return np.array([text(value) or "" for value in values], dtype=np.str_)

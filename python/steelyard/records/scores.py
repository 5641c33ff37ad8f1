"""Scores of several models on the same records, matched by id."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .._mode import standard_mode_methods
from .._text import printable
from ..errors import keyword
from .run import Run
from .table import record_error

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class _Matched:
    """One run's rows in the order of the matched ids: the first row of each id, and all of them where some repeat."""

    run: Run
    first: NDArray[np.int64]
    epochs: list[list[int]] | None = None

    def means(self) -> Floats:
        """The score of each id: its mean over epochs, by an exact sum, so that their order does not matter."""
        score = self.run.score
        if score is None:
            raise no_score(self.run)
        if self.epochs is None:
            return score[self.first]
        values = score.tolist()
        return np.array([math.fsum(values[row] for row in rows) / len(rows) for rows in self.epochs])

    def total(self, marked: NDArray[np.bool_]) -> int:
        """How many of the records that count are marked."""
        rows = self.first if self.epochs is None else [row for rows in self.epochs for row in rows]
        return int(np.count_nonzero(marked[rows]))

    def merged(self) -> dict[str, int]:
        """How many ids and records count, and the fewest and most records of one id."""
        of_id = [len(rows) for rows in self.epochs or ()]
        return {"ids": len(of_id), "records": sum(of_id), "fewest": min(of_id), "most": max(of_id)}

    def differing(self, values: NDArray[Any]) -> int | None:
        """The first id whose epochs do not have the same value."""
        for index, rows in enumerate(self.epochs or ()):
            if any(values[row] != values[rows[0]] for row in rows):
                return index
        return None


@standard_mode_methods
class Scores(Mapping[str, Floats]):
    """A mapping from model to scores; every array has one value an id, in the same order.

    Attributes
    ----------
    ids : array of str, or None
        The records, sorted: as numbers where all are whole numbers, else as text. None for one model without ids.
    left_out : mapping
        ``unmatched``: ids that not every model has; other reasons, such as ``no score``: records of the files.
    unmatched : mapping
        For every model, how many of its ids another model lacks.
    no_answer, no_score : mapping
        For every model, how many of the records that count have no answer (0), or the score that ``missing=`` gives.
    merged : mapping
        For every model of which ids repeat: how many ``ids`` and ``records``, and the ``fewest`` and ``most`` records
        of one id.
    """

    def __init__(
        self,
        matched: Sequence[_Matched],
        ids: NDArray[np.str_] | None,
        left_out: Mapping[str, int],
        unmatched: Mapping[str, int],
    ) -> None:
        self._matched = tuple(matched)
        self._values = {one.run.name: one.means() for one in matched}
        self.ids = ids
        self.left_out = dict(left_out)
        self.unmatched = dict(unmatched)
        self.no_answer = {one.run.name: one.total(one.run._no_answer) for one in matched}
        self.no_score = {one.run.name: one.total(one.run._no_score) for one in matched}
        counted = {one.run.name: one.merged() for one in matched if one.epochs}
        self.merged = {name: many for name, many in counted.items() if many["most"] > 1}

    def __getitem__(self, name: str) -> Floats:
        return self._values[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._values)

    def __len__(self) -> int:
        return len(self._values)

    def __repr__(self) -> str:
        n = len(next(iter(self._values.values()), ()))
        said = [f"{', '.join(map(printable, self))}: {n:,} {'ids' if self.merged else 'records'}"]
        said += [f"{printable(name)}: {many['records']:,} records {of_ids(many)}" for name, many in self.merged.items()]
        said += [f"{printable(name)}: {count:,} without an answer" for name, count in self.no_answer.items() if count]
        said += [f"{printable(name)}: {count:,} without a score" for name, count in self.no_score.items() if count]
        shown = ", ".join(f"{count:,} {printable(reason)}" for reason, count in self.left_out.items())
        return f"Scores({'; '.join([*said, *([f'left out: {shown}'] if shown else [])])})"

    @property
    def epochs(self) -> Mapping[str, NDArray[np.int64]]:
        """For every model, how many records of each id were averaged."""
        return {
            one.run.name: np.ones(len(one.first), dtype=np.int64)
            if one.epochs is None
            else np.array([len(rows) for rows in one.epochs], dtype=np.int64)
            for one in self._matched
        }

    def column(self, name: str) -> NDArray[Any]:
        """Another column of the records, by dotted path, aligned with the scores: a subject, a document.

        Raises
        ------
        RecordError
            If there is no such column, or the records of one id differ in it.
        """
        first: NDArray[Any] | None = None
        for one in self._matched:
            values = one.run.column(name)
            if (index := one.differing(values)) is not None:
                raise self._differs(name, index, f"different ones in {one.run.name!r}")
            here = values[one.first]
            if first is None:
                first = here
            elif not np.array_equal(first, here):
                index = next(i for i, (a, b) in enumerate(zip(first, here, strict=True)) if a != b)
                got = f"{first[index].item()!r} and, in {one.run.name!r}, {here[index].item()!r}"
                raise self._differs(name, index, got)
        return np.array([]) if first is None else first

    def _differs(self, name: str, index: int, got: str) -> Exception:
        where = f"column {name!r}" if self.ids is None else f"column {name!r}, id {str(self.ids[index])!r}"
        return record_error(where, "one value for all records of an id", got, "take it from one run with run.column()")


def of_ids(merged: Mapping[str, int]) -> str:
    """``of 40 ids (2 to 3 an id)``."""
    fewest, most = merged["fewest"], merged["most"]
    return f"of {merged['ids']:,} ids ({fewest}{f' to {most}' if most > fewest else ''} an id)"


def match(runs: Sequence[Run]) -> Scores:
    """Pair runs by id: the ids that all have, sorted, each with its mean over epochs."""
    left_out: dict[str, int] = {}
    for run in runs:
        if run.score is None:
            raise no_score(run)
        for reason, count in run.left_out.items():
            left_out[reason] = left_out.get(reason, 0) + count
    if len(runs) == 1 and runs[0].ids is None:
        run = runs[0]
        return Scores([_Matched(run, np.arange(len(run)))], None, left_out, {run.name: 0})
    first_rows = [_first_rows(run) for run in runs]
    common = set(first_rows[0]).intersection(*first_rows[1:])
    if not common:
        raise _nothing_in_common(runs)
    unmatched = {run.name: len(rows) - len(common) for run, rows in zip(runs, first_rows, strict=True)}
    if missing := len(set().union(*first_rows)) - len(common):
        left_out = {"unmatched": missing, **left_out}
    ids = _sorted(common)
    matched = [_matched(run, rows, ids) for run, rows in zip(runs, first_rows, strict=True)]
    _check_documents(matched, ids)
    return Scores(matched, np.array(ids, dtype=np.str_), left_out, unmatched)


def no_score(run: Run) -> Exception:
    """The error for a run that has only log-likelihoods."""
    fix = f"name one with {keyword('score')}"
    return record_error(", ".join(run.files), f"scores of {run.name!r}", "no score column", fix)


def _first_rows(run: Run) -> dict[str, int]:
    """The first row of every id."""
    if run.ids is None:
        raise record_error(
            ", ".join(run.files),
            f"an id column to match {run.name!r} by",
            "none",
            f"name it with {keyword('id')}, or pass {keyword('id', 'row')} if the files have the same records in the "
            "same order",
        )
    ids = run.ids.tolist()
    return dict(zip(reversed(ids), range(len(ids) - 1, -1, -1), strict=True))


def _matched(run: Run, first_rows: Mapping[str, int], ids: Sequence[str]) -> _Matched:
    first = np.array([first_rows[one] for one in ids], dtype=np.int64)
    if run.ids is None or len(first_rows) == len(run):
        return _Matched(run, first)
    epochs: dict[str, list[int]] = {}
    for row, one in enumerate(run.ids.tolist()):
        epochs.setdefault(one, []).append(row)
    return _Matched(run, first, [epochs[one] for one in ids])


def _sorted(ids: set[str]) -> list[str]:
    """An order of the ids that does not depend on the order of the files."""
    if all(one.isascii() and one.isdigit() for one in ids):
        return sorted(ids, key=lambda one: (int(one), one))
    return sorted(ids)


def _nothing_in_common(runs: Sequence[Run]) -> Exception:
    shown = "; ".join(
        f"{run.name!r} has {', '.join(map(repr, run.ids[:3].tolist())) or 'none'}"
        for run in runs
        if run.ids is not None
    )
    return record_error(
        ", ".join(dict.fromkeys(file for run in runs for file in run.files)),
        "ids that all models have",
        shown,
        f"name the column that they share with {keyword('id')}",
    )


def _check_documents(matched: Sequence[_Matched], ids: Sequence[str]) -> None:
    """Where lm-evaluation-harness wrote a hash of each document, equal ids must be equal documents."""
    hashes = [one.run.document_hashes() for one in matched]
    if len(matched) < 2 or any(one is None for one in hashes):
        return
    aligned = [[own[row] for row in one.first] for one, own in zip(matched, hashes, strict=True) if own is not None]
    for one, own in zip(matched[1:], aligned[1:], strict=True):
        for index, (first, here) in enumerate(zip(aligned[0], own, strict=True)):
            if first != here:
                raise record_error(
                    f"{one.run.files[0]}: doc_id {ids[index]!r}",
                    f"the document that {matched[0].run.name!r} has under that id",
                    "one with another doc_hash",
                    f"match by content with {keyword('id', 'doc_hash')}, or pass {keyword('id', 'doc_id')} to trust "
                    "the numbers",
                )

"""Scores of several models on the same records, matched by id."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from .table import record_error

if TYPE_CHECKING:
    from .runs import Run

Floats = NDArray[np.float64]


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
    epochs : mapping
        For every model, how many records (epochs) of each id were averaged.
    """

    def __init__(
        self,
        *,
        values: Mapping[str, Floats],
        ids: NDArray[np.str_] | None,
        rows: Mapping[str, Sequence[Sequence[int]]],
        runs: Sequence[Run],
        left_out: Mapping[str, int],
        unmatched: Mapping[str, int],
    ) -> None:
        self._values = dict(values)
        self._rows = rows
        self._runs = tuple(runs)
        self.ids = ids
        self.left_out = dict(left_out)
        self.unmatched = dict(unmatched)

    def __getitem__(self, name: str) -> Floats:
        return self._values[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._values)

    def __len__(self) -> int:
        return len(self._values)

    def __repr__(self) -> str:
        n = len(next(iter(self._values.values()), ()))
        shown = ", ".join(f"{count:,} {reason}" for reason, count in self.left_out.items())
        return f"Scores({', '.join(self)}: {n:,} records" + (f"; left out: {shown})" if shown else ")")

    @property
    def epochs(self) -> Mapping[str, NDArray[np.int64]]:
        """For every model, how many records of each id were averaged."""
        return {name: np.array([len(rows) for rows in of_id], dtype=np.int64) for name, of_id in self._rows.items()}

    def column(self, name: str) -> NDArray[Any]:
        """Another column of the records, by dotted path, aligned with the scores: a subject, a document.

        Raises
        ------
        RecordError
            If there is no such column, or the records of one id differ in it.
        """
        first: NDArray[Any] | None = None
        for run in self._runs:
            values = run.column(name)
            of_id = self._rows[run.name]
            here = values[[rows[0] for rows in of_id]]
            for index, rows in enumerate(of_id):
                if len(rows) > 1 and any(values[row] != here[index] for row in rows):
                    raise self._differs(name, index, f"the records of model {run.name!r} differ")
            if first is None:
                first = here
            elif not np.array_equal(first, here):
                index = int(np.argmax(first != here)) if first.dtype.kind == here.dtype.kind else 0
                raise self._differs(name, index, f"{first[index].item()!r} and {here[index].item()!r}")
        return np.array([]) if first is None else first

    def _differs(self, name: str, index: int, got: str) -> Exception:
        where = f"column {name!r}, id {'' if self.ids is None else str(self.ids[index])!r}"
        return record_error(where, "one value for all records of an id", got, "take it from one run with run.column()")


def match(runs: Sequence[Run]) -> Scores:
    """Pair runs by id: the ids that all have, sorted, each with its mean over epochs."""
    left_out: dict[str, int] = {}
    for run in runs:
        if run.score is None:
            where = ", ".join(run.files)
            raise record_error(where, f"scores of {run.name!r}", "no score column", "name one with score=")
        for reason, count in run.left_out.items():
            left_out[reason] = left_out.get(reason, 0) + count
    if len(runs) == 1 and runs[0].ids is None:
        return _unpaired(runs[0], left_out)
    tables = [_rows_of_ids(run) for run in runs]
    common = set(tables[0]).intersection(*tables[1:])
    unmatched = {run.name: len(table) - len(common) for run, table in zip(runs, tables, strict=True)}
    if missing := len(set().union(*tables)) - len(common):
        left_out = {"unmatched": missing, **left_out}
    if not common:
        raise _nothing_in_common(runs, tables)
    ids = _sorted(common)
    rows = {run.name: [table[one] for one in ids] for run, table in zip(runs, tables, strict=True)}
    values = {run.name: _means(run, rows[run.name]) for run in runs}
    _check_documents(runs, ids, rows)
    return Scores(
        values=values,
        ids=np.array(ids, dtype=np.str_),
        rows=rows,
        runs=runs,
        left_out=left_out,
        unmatched=unmatched,
    )


def _unpaired(run: Run, left_out: Mapping[str, int]) -> Scores:
    rows = {run.name: [(row,) for row in range(len(run))]}
    values = {} if run.score is None else {run.name: run.score}
    return Scores(values=values, ids=None, rows=rows, runs=[run], left_out=left_out, unmatched={run.name: 0})


def _rows_of_ids(run: Run) -> dict[str, list[int]]:
    if run.ids is None:
        raise record_error(
            ", ".join(run.files),
            f"an id column to match {run.name!r} by",
            "none",
            "name it with id=, or pass id='row' if the files have the same records in the same order",
        )
    found: dict[str, list[int]] = {}
    for row, one in enumerate(run.ids.tolist()):
        found.setdefault(one, []).append(row)
    return found


def _sorted(ids: set[str]) -> list[str]:
    """An order of the ids that does not depend on the order of the files."""
    if all(one.isascii() and one.isdigit() for one in ids):
        return sorted(ids, key=lambda one: (int(one), one))
    return sorted(ids)


def _means(run: Run, rows: Sequence[Sequence[int]]) -> Floats:
    """Mean over the epochs of each id; the sum is exact, so their order does not matter."""
    score = run.score
    if score is None:
        return np.array([])
    if all(len(epochs) == 1 for epochs in rows):
        return score[[epochs[0] for epochs in rows]]
    values = score.tolist()
    return np.array([math.fsum(values[row] for row in epochs) / len(epochs) for epochs in rows])


def _nothing_in_common(runs: Sequence[Run], tables: Sequence[Mapping[str, list[int]]]) -> Exception:
    shown = "; ".join(
        f"{run.name!r} has {', '.join(map(repr, list(table)[:3])) or 'none'}"
        for run, table in zip(runs, tables, strict=True)
    )
    return record_error(
        ", ".join(dict.fromkeys(file for run in runs for file in run.files)),
        "ids that all models have",
        shown,
        "name the column that they share with id=",
    )


def _check_documents(runs: Sequence[Run], ids: Sequence[str], rows: Mapping[str, Sequence[Sequence[int]]]) -> None:
    """Where lm-evaluation-harness wrote a hash of each document, equal ids must be equal documents."""
    hashes = [run.document_hashes() for run in runs]
    if len(runs) < 2 or any(one is None for one in hashes):
        return
    known = [one for one in hashes if one is not None]
    for index, one in enumerate(ids):
        first = known[0][rows[runs[0].name][index][0]]
        for run, own in zip(runs[1:], known[1:], strict=True):
            row = rows[run.name][index][0]
            if own[row] != first:
                raise record_error(
                    f"{run.files[0]}: doc_id {one!r}",
                    f"the document that {runs[0].name!r} has under that id",
                    "one with another doc_hash",
                    "match by content with id='doc_hash', or pass id='doc_id' to trust the numbers",
                )

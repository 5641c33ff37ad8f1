"""Scores of several models on the same records, matched by id."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .._mode import standard_mode_methods
from .._text import listed_counts, printable
from ..errors import keyword
from .finder import missing_column
from .roles import NO_SCORE, NO_TARGET, NONE, ROLES, Floats
from .run import Run, merged, of_ids
from .table import record_error


@dataclass(frozen=True)
class Matched:
    """The rows of one run in the order of the matched ids: the first row of each, and all of them where ids repeat."""

    run: Run
    first: NDArray[np.int64]
    epochs: list[list[int]] | None = None

    def aligned(self, values: Sequence[Any]) -> list[Any]:
        """The value of each id, of values that are the same in all records of an id."""
        return [values[row] for row in self.first]

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
        return merged([len(rows) for rows in self.epochs or ()])

    def label(self, labels: NDArray[np.str_]) -> NDArray[np.str_] | int:
        """The label of each id, empty where a record of it has none; or the first id whose records have two."""
        found = labels[self.first]
        if self.epochs is None or len(labels) == len(found):
            return found
        for index, rows in enumerate(self.epochs):
            of_id = set(labels[rows].tolist())
            if len(of_id - {""}) > 1:
                return index
            if "" in of_id:
                found[index] = ""
        return found

    def differing(self, values: NDArray[Any]) -> int | None:
        """The first id whose epochs do not have the same value."""
        for index, rows in enumerate(self.epochs or ()):
            if any(values[row] != values[rows[0]] for row in rows):
                return index
        return None


@standard_mode_methods
class Scores(Mapping[str, Floats]):
    """A mapping from model to scores; every array has one value per id, in the same order.

    Attributes
    ----------
    ids : array of str, or None
        The records as the first model writes them, sorted: as numbers where all are whole numbers, else as text.
        None for one model without ids.
    left_out : mapping
        ``unmatched``: ids that not every model has; other reasons, such as ``no score``: records of the files.
    unmatched : mapping
        For every model, how many of its ids another model lacks.
    no_answer : mapping
        For every model, how many of the records that count have no answer (0).
    no_score : mapping
        For every model, how many records have no score: left out, or, of those that count, given one by ``missing=``.
    merged : mapping
        For every model of which ids repeat: how many ``ids`` and ``records``, and the ``fewest`` and ``most`` records
        of one id.
    notes : tuple of str
        What was done to match ids that are written differently, and whether their targets differ.
    other_targets : int
        Ids for which the models have different targets, where the score compares two columns.
    """

    def __init__(
        self,
        matched: Sequence[Matched],
        ids: NDArray[np.str_] | None,
        left_out: Mapping[str, int],
        unmatched: Mapping[str, int],
        notes: tuple[str, ...] = (),
    ) -> None:
        self._matched = tuple(matched)
        self._how_matched = notes
        self._values = {one.run.name: one.means() for one in matched}
        self.ids = ids
        self.left_out = dict(left_out)
        self.unmatched = dict(unmatched)
        self.other_targets, said = _other_targets(matched, ids)
        self.notes = (*notes, *said)
        self.no_answer = {one.run.name: one.total(one.run._no_answer) for one in matched}
        self._filled = {one.run.name: one.total(one.run._no_score) for one in matched}
        self.no_score = {
            one.run.name: self._filled[one.run.name] + one.run.left_out.get(NO_SCORE, 0) for one in matched
        }
        counted = {one.run.name: one.merged() for one in matched if one.epochs}
        self.merged = {name: many for name, many in counted.items() if many["most"] > 1}

    def graded(self, runs: Sequence[Run]) -> Scores:
        """Other scores of the same records: ``runs`` are those that were matched, with the same rows."""
        matched = [replace(one, run=run) for one, run in zip(self._matched, runs, strict=True)]
        return Scores(matched, self.ids, self.left_out, self.unmatched, self._how_matched)

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
        said += [f"{printable(name)}: {count:,} without a score" for name, count in self._filled.items() if count]
        said += [f"left out: {listed_counts(self.left_out)}"] if self.left_out else []
        return f"Scores({'; '.join([*said, *map(printable, self.notes)])})"

    @property
    def epochs(self) -> Mapping[str, NDArray[np.int64]]:
        """For every model, how many records of each id were averaged."""
        return {
            one.run.name: np.ones(len(one.first), dtype=np.int64)
            if one.epochs is None
            else np.array([len(rows) for rows in one.epochs], dtype=np.int64)
            for one in self._matched
        }

    def in_order(self, name: str) -> NDArray[np.int64]:
        """The places of the ids in the order in which a model's records first have them."""
        (one,) = (one for one in self._matched if one.run.name == name)
        return np.argsort(one.first, kind="stable").astype(np.int64, copy=False)

    def repeated(self, name: str) -> Floats | None:
        """The scores of a model as ``[ids, K]``; None where not every id has the same number of records, K > 1."""
        (one,) = (one for one in self._matched if one.run.name == name)
        if one.epochs is None or one.run.score is None or len({len(rows) for rows in one.epochs}) != 1:
            return None
        found: Floats = one.run.score[np.array(one.epochs)]
        return found if found.shape[1] > 1 else None

    @property
    def cluster(self) -> NDArray[Any] | None:
        """The clusters of the ids, by all models whose records have any; None where every id is its own.

        Raises
        ------
        RecordError
            If two models, or two records of one, put an id into different clusters.
        """
        known = [(one, one.run.cluster) for one in self._matched if _own_cluster(one.run)]
        fix = f"name another column with {keyword('cluster')}, or pass {keyword('cluster', NONE)}"
        return self._of_ids("cluster", [(one, values) for one, values in known if values is not None], fix)

    def column(self, name: str) -> NDArray[Any]:
        """Another column of the records, by dotted path, aligned with the scores: a subject, a document.

        Raises
        ------
        RecordError
            If there is no such column, or the records of one id differ in it.
        """
        values = [(one, one.run.column(name)) for one in self._matched]
        found = self._of_ids(f"column {name!r}", values, "take it from one run with run.column()")
        return np.array([]) if found is None else found

    def labels(self, of_runs: Mapping[str, NDArray[np.str_]], what: str) -> NDArray[np.str_]:
        """One label per id, from the labels of every model's records (:meth:`Run.labels`).

        It is empty where a record of the id has none.

        Raises
        ------
        RecordError
            If the records of one id have different labels; ``what`` says whose they are.
        """
        found: NDArray[np.str_] | None = None
        for one in self._matched:
            here = one.label(of_runs[one.run.name])
            if isinstance(here, int):
                raise self._differs(what, here, f"different ones in {one.run.name!r}", "choose another column")
            if found is None:
                found = here
            known = (found != "") & (here != "")
            if (differs := known & (found != here)).any():
                index = int(np.argmax(differs))
                first = self._matched[0].run.name
                got = f"{str(found[index])!r} in {first!r} and {str(here[index])!r} in {one.run.name!r}"
                raise self._differs(what, index, got, "choose another column, or correct a file")
            found = np.where(known, found, "")
        return np.array([], dtype=np.str_) if found is None else found

    def texts(self, name: str, rows: NDArray[np.int64], asked: str = "texts()") -> dict[str, NDArray[np.str_]]:
        """What a column says of some of the ids, in the first record of each.

        It is one column where all models that have it say the same, else one per model: ``"answer (base)"``. ``asked``
        is what the column is for, in the error where no model has it.

        Raises
        ------
        RecordError
            If no model has such a column.
        """
        found = {one.run.name: one.run.texts_at(name, one.first[rows]) for one in self._matched}
        known = {model: texts for model, texts in found.items() if texts is not None}
        if not known:
            raise missing_column(self._matched[0].run._parts[0].table, asked, name)
        first = next(iter(known.values()))
        if all(np.array_equal(first, texts) for texts in known.values()):
            return {name: first}
        return {f"{name} ({model})": texts for model, texts in known.items()}

    def _of_ids(self, what: str, values: Sequence[tuple[Matched, NDArray[Any]]], fix: str) -> NDArray[Any] | None:
        """One value per id. All records of an id, of every model, have to agree on it."""
        first: NDArray[Any] | None = None
        for one, column in values:
            if (index := one.differing(column)) is not None:
                raise self._differs(what, index, f"different ones in {one.run.name!r}", fix)
            here = column[one.first]
            if first is None:
                first = here
            elif not np.array_equal(first, here):
                index = next(i for i, (a, b) in enumerate(zip(first, here, strict=True)) if a != b)
                got = f"{first[index].item()!r} and, in {one.run.name!r}, {here[index].item()!r}"
                raise self._differs(what, index, got, fix)
        return first

    def _differs(self, what: str, index: int, got: str, fix: str) -> Exception:
        where = what if self.ids is None else f"{what}, id {str(self.ids[index])!r}"
        return record_error(where, "one value for all records of an id", got, fix)


def _other_targets(matched: Sequence[Matched], ids: NDArray[np.str_] | None) -> tuple[int, list[str]]:
    """On how many ids some model has another target than the first one, and what is said of it."""
    if ids is None or len(matched) < 2:
        return 0, []
    targets = [one.run.targets() for one in matched]
    aligned = [one.aligned(own) for one, own in zip(matched, targets, strict=True) if own is not None]
    if len(aligned) < len(matched):
        return 0, []
    differing = [index for index, of_id in enumerate(zip(*aligned, strict=True)) if len(set(of_id)) > 1]
    if not differing:
        return 0, []
    first = differing[0]
    shown = " and ".join(dict.fromkeys(repr(own[first]) for own in aligned))
    some = f"{len(differing):,} of {len(ids):,} ids have different targets"
    return len(differing), [f"{some}, such as {str(ids[first])!r} ({shown}): they may be different questions"]


def _own_cluster(run: Run) -> bool:
    """Whether the records have clusters of their own; those of repeated ids are the ids."""
    return run.cluster is not None and run.ids is not None and not np.array_equal(run.cluster, run.ids)


def no_score(run: Run) -> Exception:
    """The error for a run that has only log-likelihoods."""
    fix = f"name one with {keyword('score')}"
    return record_error(", ".join(run.files), f"scores of {run.name!r}", "no score column", fix)


def nothing_scored(run: Run) -> Exception:
    """The error for a run none of whose records has a score."""
    why = listed_counts(run.left_out) or "no records"
    fix = f"leave it out with {keyword('models')}"
    if {ROLES["id"].absent, NO_TARGET}.isdisjoint(run.left_out):
        fix += f", or give such records a score with {keyword('missing')}"
    return record_error(", ".join(run.files), f"scores of {run.name!r}", f"none (left out: {why})", fix)

"""The rows of all files become runs, one for each model."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from ..errors import keyword, value_error
from . import lm_eval, tasks
from .columns import Resolved
from .finder import missing_column, some_of
from .naming import near
from .part import Part
from .roles import NONE, ROLES
from .run import look_alikes, make_run
from .runs import Runs
from .table import Table, first_of, record_error
from .values import text, texts
from .words import Words, Worth

NOT_ASKED_FOR = "of a model not asked for"


@dataclass(frozen=True)
class Choice:
    """Which of the rows the caller wants, and what becomes of those that repeat or lack something."""

    models: Sequence[str] | None
    filter: str | None
    repeats: str | None
    missing: float | None
    values: Worth | None = None


class Assembly:
    """Sorts the rows of all files into runs, and counts what is left out.

    ``found`` are the roles of each file's columns, None for a file that is not read; ``inside`` gives the models that
    the files name, which an error tells.
    """

    def __init__(
        self,
        tables: Sequence[Table],
        names: Sequence[str],
        found: Sequence[Resolved | None],
        choice: Choice,
        inside: Callable[[], list[list[str]]],
    ) -> None:
        self.tables = tables
        self.names = names
        self.found = found
        self.choice = choice
        self.inside = inside
        self.parts: dict[str, list[Part]] = {}
        self.left_out: defaultdict[str, Counter[str]] = defaultdict(Counter)

    def runs(self) -> Runs:
        """The runs that were asked for, in that order."""
        by_task = tasks.count_ids(self.tables, self.found)
        for table, roles, name in zip(self.tables, self.found, self.names, strict=True):
            if roles is None:
                self._leave_out(table, NOT_ASKED_FOR, len(table))
            else:
                self._sort(table, roles, name, by_task)
        names = self._chosen(self.choice.models)
        words = self._words([part for name in names for part in self.parts[name]])
        runs = []
        for name in names:
            run, left_out = make_run(name, self.parts[name], self.choice.repeats, self.choice.missing, words)
            runs.append(run)
            for part, counts in zip(self.parts[name], left_out, strict=True):
                which = "" if part.roles.of_wide is None else f" ({name})"
                for reason, count in counts.items():
                    self._leave_out(part.table, reason + which, count)
        words.check_scale()
        read: Counter[str] = Counter()
        for table in self.tables:
            read[table.file] += table.whole or len(table)
        notes = dict.fromkeys(note for run in runs for note in look_alikes(run))
        left = {file: dict(counts) for file, counts in self.left_out.items()}
        guesses = (*self._guesses(), *([f"values = {words.said}"] if words.said else []))
        return Runs(tuple(runs), left, guesses, dict(read), (*tasks.notes(runs), *_alike(names), *words.unmet, *notes))

    def _words(self, parts: Sequence[Part]) -> Words:
        """How words are read as scores, in all rows of the runs."""
        pair = next((part.roles["score"] for part in parts if part.sides is not None), None)
        if self.choice.values is not None and pair is not None:
            fix = f"name the column of these words with {keyword('score')}"
            raise value_error("values", "a score that is one column", repr(pair), fix)
        return Words(self.choice.values, parts)

    def _sort(self, table: Table, roles: Resolved, name: str, by_task: bool) -> None:
        """Give the rows of one file to their models; ``name`` is the model's where the file does not say."""
        models, column = self.choice.models, roles["model"]
        not_asked_for = column is None and not roles.wide and models is not None and name not in models
        rows = range(len(table)) if not_asked_for else self._filtered(table)
        for apart in () if not_asked_for else table.apart:
            _check_one_kind(table, rows, apart)
        for reason, count in table.left_out.items():
            self._leave_out(table, reason, count)
        self._leave_out_lists(table, guessed="score" in roles.guessed)
        if roles.wide:
            for model in roles.wide:
                self._add(model, Part(table, rows, roles.of_model(table, model), by_task))
            if models is not None and roles.wide.keys().isdisjoint(models):
                self._leave_out(table, NOT_ASKED_FOR, len(rows))
        elif column is None:
            self._add(name, Part(table, rows, roles, by_task))
        else:
            self._sort_by_model(Part(table, rows, roles, by_task), column)

    def _sort_by_model(self, part: Part, column: str) -> None:
        table = part.table
        with part.reading("model"):
            names = texts(table.columns[column], f"model {column!r}", table.where)
        of_model: dict[str | None, Sequence[int]] = _rows_by(names, part.rows)
        self._leave_out(table, ROLES["model"].absent, len(of_model.pop(None, ())))
        for model, rows in of_model.items():
            if model is not None:
                self._add(model, Part(table, rows, part.roles, part.by_task))

    def _filtered(self, table: Table) -> Sequence[int]:
        """The rows with the filter that was asked for; an error where the file has several and none was."""
        rows, wanted = range(len(table)), self.choice.filter
        if wanted is None and not lm_eval.is_samples(table):
            return rows
        values = table.columns.get("filter")
        if values is None:
            if wanted is not None:
                raise missing_column(table, keyword("filter", wanted), "filter")
            return rows
        kinds = sorted({text(value) or "none" for value in values})
        if wanted is None and len(kinds) > 1:
            fix = f"choose with {keyword('filter')}"
            raise record_error(table.file, "one filter", f"{len(kinds)}: {', '.join(kinds)}", fix)
        if wanted is None:
            return rows
        if wanted not in kinds and len(kinds) == 1 and self._of_another_task(wanted, table):
            return rows
        if wanted not in kinds:
            alike = near(wanted, kinds)
            fix = f"did you mean {keyword('filter', alike[0])}?" if alike else "choose one of them"
            raise record_error(table.file, f"records with filter {wanted!r}", ", ".join(kinds), fix)
        chosen = [row for row, value in enumerate(values) if text(value) == wanted]
        self._leave_out(table, "with another filter", len(values) - len(chosen))
        return chosen

    def _of_another_task(self, wanted: str, table: Table) -> bool:
        """Whether a filter is one of other tasks, and no file of this table's task has it: lm-eval's tasks differ."""
        with_it = [one for one in self.tables if any(text(value) == wanted for value in one.columns.get("filter", ()))]
        of = [lm_eval.task(one.file) for one in with_it]
        return bool(of) and None not in of and lm_eval.task(table.file) not in {None, *of}

    def _leave_out_lists(self, table: Table, *, guessed: bool) -> None:
        """Count the lists in columns that hold metrics by their names (beside a ``guessed`` score): none is a score."""
        lists = {}
        if lm_eval.is_samples(table):
            lists = lm_eval.lists(table)
        elif guessed:
            lists = {name: table.lists(name) for name in ROLES["score"].usual if name in table.columns}
        for metric, count in lists.items():
            self._leave_out(table, f"with a list as {metric!r}", count)

    def _add(self, name: str, part: Part) -> None:
        self.parts.setdefault(name, []).append(part)

    def _leave_out(self, table: Table, reason: str, count: int) -> None:
        if count:
            self.left_out[table.file][reason] += count

    def _chosen(self, models: Sequence[str] | None) -> list[str]:
        """The names of the runs to make; the rows of all others are left out."""
        if models is None:
            if not self.parts:
                raise record_error(self.tables[0].file, "records", "none", "check how the file was written")
            return list(self.parts)
        for name in models:
            if name not in self.parts:
                raise self._no_such_model(name)
        for name, parts in self.parts.items():
            for part in parts if name not in models else ():
                if part.roles.of_wide is None:
                    self._leave_out(part.table, NOT_ASKED_FOR, len(part.rows))
        return list(dict.fromkeys(models))

    def _no_such_model(self, name: str) -> Exception:
        there = dict.fromkeys(one for names in self.inside() for one in names)
        if name in there:  # the file names it, and none of its rows is read
            why = {reason for counts in self.left_out.values() for reason in counts}
            got = f"none of {name!r} (left out: {', '.join(sorted(why)) or 'all'})"
            return value_error("models", f"models with records, of {', '.join(map(repr, self.parts)) or 'none'}", got)
        alike = near(name, there)
        fix = f"did you mean {alike[0]!r}?" if alike else ""
        return value_error("models", f"some of {', '.join(map(repr, there))}", repr(name), fix)

    def _guesses(self) -> tuple[str, ...]:
        """Each guess once; with the names of its files where files differ."""
        per_file = {table.file: of.guesses for table, of in zip(self.tables, self.found, strict=True) if of is not None}
        files: dict[str, list[str]] = {}
        for file, guesses in per_file.items():
            for guess in guesses:
                files.setdefault(guess, []).append(file)
        return tuple(guess if len(of) == len(per_file) else f"{first_of(of)}: {guess}" for guess, of in files.items())


def _check_one_kind(table: Table, rows: Sequence[int], column: str) -> None:
    """Raise where rows of several kinds (splits) would be mixed that have to stay apart."""
    values = table.columns[column]
    kinds = sorted({text(values[row]) or NONE for row in rows})
    if len(kinds) > 1:
        fix = f"choose with {keyword('where', f'{column}=={kinds[0]}')}"
        raise record_error(table.file, f"one {column}", f"{len(kinds)}: {some_of(kinds)}", fix)


def _rows_by(names: Sequence[str | None], rows: Sequence[int]) -> dict[str | None, Sequence[int]]:
    """The rows of each name, in the order in which the names come."""
    here = names if len(rows) == len(names) else [names[row] for row in rows]
    code = {name: number for number, name in enumerate(dict.fromkeys(here))}
    if len(code) <= 1:
        return dict.fromkeys(code, rows)
    codes = np.fromiter(map(code.__getitem__, here), dtype=np.int64, count=len(here))
    order = np.argsort(codes, kind="stable")
    ends = np.cumsum(np.bincount(codes, minlength=len(code)))
    pieces = np.split(np.asarray(rows, dtype=np.int64)[order], ends[:-1])
    return {name: piece.tolist() for name, piece in zip(code, pieces, strict=True)}


def _alike(names: Sequence[str]) -> tuple[str, ...]:
    """What is said of names that differ only in the blanks around them and look alike wherever they are printed."""
    of: dict[str, list[str]] = {}
    for name in names:
        of.setdefault(name.strip(), []).append(name)
    alike = [" and ".join(map(repr, several)) for several in of.values() if len(several) > 1]
    return tuple(f"{several} are different models: their names differ in the blanks around them" for several in alike)

"""All files of one reading: which columns have which roles, without the guesses that turn out not to fit."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

from ..errors import RecordError, keyword, while_at
from . import columns, tasks
from .assembly import Assembly, Choice
from .columns import Resolved, Unusable
from .likely import likely_scores, offered
from .places import Places
from .runs import Runs
from .table import Table, find_name, record_error
from .values import text


class Offered(list[str]):
    """Columns that may be models, one each, in a file without a score; ``why``: the error if none is chosen."""

    def __init__(self, names: Sequence[str], why: RecordError) -> None:
        super().__init__(names)
        self.why = why


@dataclass(frozen=True)
class Reading:
    """Tables and what the caller asked for.

    Whether a guess fits is only known once the values are read. Where one does not, it goes into ``unusable`` and all
    files are read again without it.
    """

    tables: Sequence[Table]
    options: Mapping[str, str | None]
    names: Sequence[str]
    choice: Choice
    places: Places
    read: Sequence[int]
    """For each table, the place of its file among all files."""
    unusable: dict[tuple[str, str], Unusable] = field(default_factory=dict)

    def runs(self) -> Runs:
        """All runs that were asked for."""
        while True:
            roles = self._roles()
            try:
                made = Assembly(self.tables, self.names, roles, self.choice, self.inside).runs()
            except Unusable as error:
                if (error.role, error.column) in self.unusable:
                    raise
                self.unusable[error.role, error.column] = error
                continue
            notes = [note for table in self.tables for note in table.notes]
            notes += [error.note() for error in self.unusable.values()]
            notes += [note for one in roles if one is not None for note in one.notes]
            notes += tasks.scores_note(self.tables, roles)
            return replace(made, notes=(*dict.fromkeys(notes), *made.notes))

    def _roles(self) -> list[Resolved | None]:
        """The roles of every file's columns, None for a file that holds none of the models that were asked for."""
        try:
            roles = [self._resolved(*one) for one in zip(self.tables, self.names, self.read, strict=True)]
            self._check_same_guess(roles)
        except RecordError:
            for (role, _), error in self.unusable.items():
                if role == "score":  # no other column can be it: what was wrong with the guess says more
                    raise RecordError(str(error)) from error
            raise
        return roles

    def _resolved(self, table: Table, name: str, index: int) -> Resolved | None:
        models = self.choice.models
        with while_at(table.file), self.places.resolving(index):
            if models is not None and {*self._inside(table, name), *_possible_models(table)}.isdisjoint(models):
                return None
            return columns.resolve(table, self.options, models, self.unusable, self.choice.values)

    def _check_same_guess(self, found: Sequence[Resolved | None]) -> None:
        """Two files of one task whose guessed scores differ would compare two different things."""
        pairs = [(one, roles) for one, roles in zip(self.tables, found, strict=True) if roles is not None]
        unscored = [table.file for table, roles in pairs if roles["score"] is None and not roles.wide]
        if 0 < len(unscored) < len(pairs):
            fix = f"read it by itself, or leave it out with {keyword('exclude', os.path.basename(unscored[0]))}"
            raise record_error(unscored[0], "a score, as other files have", "log-likelihoods alone", fix)
        scores = {roles["score"]: table.file for table, roles in pairs}
        if len(scores) > 1 and not tasks.scores(self.tables, found):
            shown = ", ".join(f"{score!r} in {file}" for score, file in scores.items())
            fix = self._shared_scores() or f"name it with {keyword('score')}"
            raise record_error(self.tables[0].file, "the same score column in every file", shown, fix)

    def _shared_scores(self) -> str:
        """The columns of every file that may be the score, as they are typed."""
        likely = likely_scores(self.tables[0], self.tables[0].columns)
        shared = [one for one in likely if all(one.column in table.columns for table in self.tables)]
        return f"all have {offered(shared)}" if shared else ""

    def inside(self) -> list[list[str]]:
        """The models of every file, whatever else is wrong with it."""
        return [self._inside(*one) for one in zip(self.tables, self.names, strict=True)]

    def _inside(self, table: Table, name: str) -> list[str]:
        try:
            with while_at(table.file):
                roles = columns.resolve(table, self.options, worth=self.choice.values)
            column = roles["model"]
        except RecordError as error:
            roles, column = Resolved(), columns.model_column(table, self.options)
            alone = len(self.tables) == 1 and column is None
            if alone and (offered := columns.models_by_column(table, self.options, self.choice.values)):
                return Offered(offered, error)
        if roles.wide:
            return list(roles.wide)
        if column is None:
            return [name]
        return list(dict.fromkeys(one for value in table.columns[column] if (one := text(value)) is not None))

    def as_written(self, models: Sequence[str] | None) -> list[str] | None:
        """The models that were asked for, each once and with the blanks that the files have around it."""
        if models is None:
            return None
        there = {name for names in self.inside() for name in names}.union(*map(_possible_models, self.tables))
        return list(dict.fromkeys(find_name(name, there) or name for name in models))


def _possible_models(table: Table) -> set[str]:
    """Names that a file may have for a model if it is asked for: its columns, and what stands before their last dot."""
    return {*table.columns, *(column.rpartition(".")[0] for column in table.columns)}

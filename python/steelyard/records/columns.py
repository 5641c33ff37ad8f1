"""Which column of a file has which role: the one that an option names, else a guess by the usual names."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace

from ..errors import RecordError, keyword
from . import choices, labels
from .finder import Finder, some_of
from .roles import ROLES
from .score_column import find_score, numeric_columns
from .table import Table, record_error
from .words import Worth


@dataclass(frozen=True)
class Resolved:
    """Which column of one file has which role, and what of that was guessed; ``resolved[role]`` is a column or None."""

    columns: Mapping[str, str | None] = field(default_factory=dict)  # of a score, also ``a==b``
    wide: Mapping[str, str] = field(default_factory=dict)  # a wide file's models, and the column of each one's score
    of_wide: str | None = None  # the model of a wide file whose roles these are
    guessed: frozenset[str] = frozenset()  # the roles that no option names
    guesses: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()

    def __getitem__(self, role: str) -> str | None:
        return self.columns.get(role)

    def of_model(self, table: Table, model: str) -> Resolved:
        """The roles of one model of a wide file: ``<model>.<column>`` where the file has it."""
        of_answer: dict[str, str | None] = {}
        for name, column in self.columns.items():
            if ROLES[name].of_answer and column is not None:
                of_answer[name] = next((one for one in (f"{model}.{column}", column) if one in table.columns), None)
        return replace(
            self,
            guessed=self.guessed - {"score"},  # a model whose scores are bad is not left out in silence
            wide={},
            of_wide=model,
            columns={**self.columns, **of_answer, "score": self.wide[model]},
        )

    def with_score(self, score: str | None) -> Resolved:
        """The roles with another score; what was about the answers that the old one grades is left out."""
        kept = {name: column for name, column in self.columns.items() if not ROLES[name].of_answer}
        return Resolved({**kept, "score": score}, guessed=self.guessed - {"score"})


class Unusable(RecordError):
    """The values of a guessed column do not fit its role; the file is read again without the guess."""

    def __init__(self, role: str, column: str, said: str) -> None:
        super().__init__(said)
        self.role = role
        self.column = column

    def note(self) -> str:
        """The sentence about it beside the results."""
        said = f"{self.column!r} is not read as the {self.role}, which was only guessed"
        return f"{said} (a column is named with {keyword(self.role)}): {self}"


def resolve(
    table: Table,
    options: Mapping[str, str | None],
    models: Sequence[str] | None = None,
    unusable: Collection[tuple[str, str]] = (),
    worth: Worth | None = None,
) -> Resolved:
    """Find every role's column in a file, by option or by guess; ``unusable``: roles and columns not to guess.

    ``models``: those that were asked for. Whatever a wide file holds of others does not matter. ``worth``: what words
    of the score are worth, where the caller says it.
    """
    if not len(table):
        raise record_error(table.file, "at least one record", "none", "check how the file was written")
    finder = Finder(table, options, models, unusable, worth)
    found: dict[str, str | None] = {}
    others = [role for role in ROLES.values() if role.name not in ("id", "score")]
    for role in sorted(others, key=lambda role: bool(role.beside)):
        needed = not role.beside or found[role.beside] or options[role.name]
        found[role.name] = finder.column(role.name) if needed else None
    if (confidence := found["confidence"]) is not None and choices.are_lists(table, confidence):
        finder.note(choices.said(table, confidence))
    score, wide = find_score(finder, found)
    if wide:
        found |= finder.inside_models(wide)
    elif score is not None:
        _note_classes(finder, score)
    guesses, finder.guesses = finder.guesses, []
    identity = finder.identity(wide=bool(wide))
    return Resolved(
        {"id": identity, "score": score, **found},
        wide=wide,
        guessed=frozenset(role for role in ROLES if options[role] is None),
        guesses=(*finder.guesses, *guesses),
        notes=tuple(finder.notes),
    )


def _note_classes(finder: Finder, score: str) -> None:
    """Say that targets such as ``NA`` count, as a class, in a file that cannot say null."""
    table = finder.table
    sides = labels.compared(score, table.columns)
    if table.has_null or sides is None:
        return
    target = sides.target
    words = sorted(one for one in set(table.columns[target]) if labels.classes_among([one]))
    if words:
        read = "is read as a class" if len(words) == 1 else "are read as classes"
        said = f"{some_of(words)} among the targets in {target!r} {read}"
        finder.note(f"{said}; a field is empty where there is no target")


def model_column(table: Table, options: Mapping[str, str | None]) -> str | None:
    """The column of the model's name alone, whatever is wrong with the others."""
    return Finder(table, options).column("model") if len(table) else None


def models_by_column(table: Table, options: Mapping[str, str | None], worth: Worth | None = None) -> list[str]:
    """The columns that a caller may name as models where a file has no score: numbers without another role."""
    return numeric_columns(Finder(table, options, worth=worth)) if len(table) and options["score"] is None else []

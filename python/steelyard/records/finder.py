"""The column of one role in one file: the one that an option names, else one with a usual name."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence

from .._lazy import lazy
from ..errors import RecordError, keyword
from .likely import MOST_OFFERED, likely_scores
from .naming import near
from .roles import NONE, ROLES, ROW, SHARES, Floats, Rows, share
from .table import LIST, Table, record_error, shorten
from .values import numbers
from .words import ScoreText, Worth, guess, mapped

MOST_NAMED = 12  # columns that one message lists


class Finder:
    """Finds columns in one file; ``guesses`` and ``notes`` hold what is said of them afterwards.

    Parameters
    ----------
    table : the file
    options : for each role the option that names its column, or None
    models : those that were asked for, None for all: what a file of models side by side holds of others does not matter
    unusable : roles and columns that were guessed before and turned out not to fit
    worth : what the caller says that words of the score are worth
    """

    def __init__(
        self,
        table: Table,
        options: Mapping[str, str | None],
        models: Sequence[str] | None = None,
        unusable: Collection[tuple[str, str]] = (),
        worth: Worth | None = None,
    ) -> None:
        self.table = table
        self.options = options
        self.models = models
        self.unusable = unusable
        self.worth = worth
        self.guesses: list[str] = []
        self.notes: list[str] = []

    def column(self, role: str) -> str | None:
        """The column of a role, None where the file has none."""
        option = self.options[role]
        if option is not None:
            return self.named(role, option)
        found = self.fitting(role, ROLES[role].usual)
        if len(found) > 1 and not ROLES[role].asked:
            which = " and ".join(map(repr, found))
            self.note(f"{which} can be the {role}: none is read; choose with {keyword(role)}")
            return None
        return self.one_of(role, found)

    def identity(self, *, wide: bool) -> str | None:
        """The column of the ids. In a file of models side by side (``wide``) the row number is one."""
        option = self.options["id"]
        if option is not None:
            return ROW if option == ROW and ROW not in self.table.columns else self.named("id", option)
        usual = self.table.ids or ROLES["id"].usual
        there = [name for name in usual if name in self.table.columns] or self.in_any_case(usual)
        there = [name for name in there if ("id", name) not in self.unusable]
        names = [name for name in there if self.scalar(name)] or there
        found = self.one_of("id", [name for name in names if name.casefold() == "id"] or names)
        if found is None and wide:
            self.guesses.append("id = the row number")
            return ROW
        return found

    def inside_models(self, wide: Mapping[str, str]) -> dict[str, str | None]:
        """The roles that a file of models side by side has for each model with scores, as ``<model>.confidence``.

        ``wide`` gives each model's column of scores.
        """
        found: dict[str, str | None] = {}
        models = [model for model, column in wide.items() if self.scalar(column)]
        for role in ROLES.values():
            if not role.of_answer or role.name == "score" or not models:
                continue
            if role.beside and not found.get(role.beside) and not self._possible(role.beside):
                continue
            if self.options[role.name] is None and not self._possible(role.name):
                names = [*role.usual, *self._last_in_any_case(models[0], role.usual)]
                columns = {name: [f"{model}.{name}" for model in models] for name in names}
                last = next((name for name, all_ in columns.items() if self._all_usable(role.name, all_)), None)
                if last is not None:
                    found[role.name] = self.guessed(role.name, last, shown=f"*.{last}")
        return found

    def _last_in_any_case(self, model: str, names: Sequence[str]) -> list[str]:
        columns = self.in_any_case([f"{model}.{name}" for name in names])
        return [column.removeprefix(f"{model}.") for column in columns if column.startswith(f"{model}.")]

    def _all_usable(self, role: str, columns: Sequence[str]) -> bool:
        return all(name in self.table.columns and (role, name) not in self.unusable for name in columns)

    def _possible(self, role: str) -> list[str]:
        """The columns with a usual name of a role that may be guessed to have it."""
        return self._usable(role, ROLES[role].usual)

    def can_be(self, role: str, name: str) -> bool:
        """Whether a column may be guessed to have a role."""
        return self.scalar(name) and (role, name) not in self.unusable

    def fitting(self, role: str, names: Sequence[str]) -> list[str]:
        """The columns of these names that can have a role. Of several, those whose values fit, if any do.

        As the score, numbers are taken before words.
        """
        possible = self._usable(role, names)
        if len(possible) < 2:
            return possible
        fit = [name for name in possible if self.fits(role, name)]
        if role == "score" and not fit:
            fit = [name for name in possible if self.words(name)]
        return fit or possible

    def _usable(self, role: str, names: Sequence[str]) -> list[str]:
        """The columns of these names that may be guessed to have a role: as they are written, else in any case."""
        there = [name for name in names if self.can_be(role, name)]
        return there or [name for name in self.in_any_case(names) if self.can_be(role, name)]

    def in_any_case(self, names: Sequence[str]) -> list[str]:
        """The columns whose names differ from these in upper and lower case at most."""
        return [column for name in names for column in self._of_case.get(name.casefold(), ())]

    @lazy
    def _of_case(self) -> dict[str, list[str]]:
        found: dict[str, list[str]] = {}
        for column in self.table.columns:
            found.setdefault(column.casefold(), []).append(column)
        return found

    def words(self, name: str) -> Worth | None:
        """What the words of a column are worth as scores, by the caller or by a known set; None where they are none."""
        text = ScoreText(name, self.table.columns[name], self.table.columns)
        return mapped(text, self.worth) if self.worth is not None else guess([text])

    def fits(self, role: str, name: str) -> bool:
        """Whether the values of a column are possible values of a role."""
        if role == "model":
            return LIST not in self.table.columns[name]
        if (found := self.numbers(name)) is None:
            return False
        values, missing = found
        allowed = share if name.rpartition(".")[2].casefold() in SHARES else ROLES[role].allowed
        return bool((allowed(values) | missing).all())

    def numbers(self, name: str) -> tuple[Floats, Rows] | None:
        """A column as numbers, and where it has none; None where it holds anything else."""
        try:
            return numbers(self.table.columns[name], name, self.table.where)
        except RecordError:
            return None

    def scalar(self, name: str) -> bool:
        """Whether there is such a column, and it has a value that is not a list."""
        return name in self.table.columns and self.table.kind(name) == "scalar"

    def named(self, role: str, option: str, typed: Callable[[str], str] | None = None) -> str | None:
        """The column that an option names; an error where there is none.

        ``typed`` says how the name of another column is typed, where it is not the value of the role's option.
        """
        if option in self.table.columns:
            return option
        if option == NONE:
            return None
        if option.strip() in self.table.columns:
            return option.strip()  # the caller copied the blanks of a CSV header
        raise missing_column(self.table, keyword(role), option, typed or (lambda name: keyword(role, name)))

    def one_of(self, role: str, names: Sequence[str]) -> str | None:
        """The guess, where there is one candidate; an error where there are several."""
        if len(names) > 1:
            raise self.ask(role, names)
        return self.guessed(role, names[0]) if names else None

    def ask(self, role: str, names: Sequence[str]) -> Exception:
        """The error for several candidates."""
        got = f"{len(names)}: {some_of(names)}"
        likely = likely_scores(self.table, names) if role == "score" and self.worth is None else []
        typed = {name: keyword(role, name) for name in names} | {one.column: one.option() for one in likely}
        fix = " or ".join(list(typed.values())[:MOST_OFFERED])
        return record_error(self.table.file, f"one column that can be the {role}", got, f"choose with {fix}")

    def guessed(self, role: str, column: str, shown: str = "") -> str:
        """Remember a guess, ``shown`` as it is told if that is not the column's name."""
        self.guesses.append(f"{role} = {shown or column}")
        return column

    def note(self, said: str) -> None:
        """Remember what is said about the file beside the results."""
        self.notes.append(f"{self.table.file}: {said}")


def missing_column(table: Table, asked: str, name: str, typed: Callable[[str], str] = repr) -> Exception:
    """The error for a column that a file does not have, with names that are near; ``typed``: how one is typed."""
    alike = near(name, table.columns)
    fix = f"did you mean {typed(alike[0])}?" if alike else "name one of them"
    got = f"the columns {some_of(alike or list(table.columns))}"
    return record_error(table.file, f"a column {name!r} for {asked}", got, fix)


def some_of(names: Sequence[str]) -> str:
    """The first of these names, and how many more there are."""
    shown = ", ".join(repr(shorten(name)) for name in names[:MOST_NAMED])
    return shown + (f" and {len(names) - MOST_NAMED} more" if len(names) > MOST_NAMED else "")

"""Which column means what: options by name, guesses where there is no option."""

from __future__ import annotations

import difflib
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace

from ..errors import RecordError, keyword
from . import labels, lm_eval
from .roles import NONE, ROLES, ROW, SCORE_PAIRS, SHARES, share
from .table import LIST, Table, record_error, shorten
from .values import LETTERS, graded_by_letters, grades_fix, number, numbers


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
    """A column that was only guessed cannot be what its name says: it is read without."""

    def __init__(self, role: str, column: str, said: str) -> None:
        super().__init__(said)
        self.role = role
        self.column = column

    def note(self) -> str:
        """What is said of it beside the results."""
        said = f"{self.column!r} is not read as the {self.role}, which was only guessed"
        return f"{said} (a column is named with {keyword(self.role)}): {self}"


def resolve(
    table: Table,
    options: Mapping[str, str | None],
    models: Sequence[str] | None = None,
    unusable: Collection[tuple[str, str]] = (),
) -> Resolved:
    """Find every role's column in a file, by option or by guess; ``unusable``: roles and columns not to guess.

    ``models``: those that were asked for. Whatever a wide file holds of others does not matter.
    """
    if not len(table):
        raise record_error(table.file, "at least one record", "none", "check how the file was written")
    finder = _Finder(table, options, models, unusable)
    found: dict[str, str | None] = {}
    plain = [role for role in ROLES.values() if role.name not in ("id", "score")]
    for role in sorted(plain, key=lambda role: bool(role.beside)):
        needed = not role.beside or found[role.beside] or options[role.name]
        found[role.name] = finder.column(role.name) if needed else None
    score, wide = finder.score(found)
    if wide:
        found |= finder.inside_models(wide)
    if score is not None and not wide:
        finder.note_targets_like_nothing(score)
    others, finder.guesses = finder.guesses, []
    identity = finder.identity(wide=bool(wide))
    return Resolved(
        {"id": identity, "score": score, **found},
        wide=wide,
        guessed=frozenset(role for role in ROLES if options[role] is None),
        guesses=(*finder.guesses, *others),
        notes=tuple(finder.notes),
    )


def model_column(
    table: Table, options: Mapping[str, str | None], unusable: Collection[tuple[str, str]] = ()
) -> str | None:
    """The column of the model's name alone, whatever the others are."""
    return _Finder(table, options, None, unusable).column("model") if len(table) else None


def models_by_column(table: Table, options: Mapping[str, str | None]) -> list[str]:
    """The columns that may be named as models where a file has no score: those of numbers without another role."""
    if not len(table) or options["score"] is not None:
        return []
    return _Finder(table, options, None, ()).numeric()


class _Finder:
    def __init__(
        self,
        table: Table,
        options: Mapping[str, str | None],
        models: Sequence[str] | None,
        unusable: Collection[tuple[str, str]],
    ) -> None:
        self.table = table
        self.options = options
        self.models = models
        self.unusable = unusable
        self.guesses: list[str] = []
        self.notes: list[str] = []

    def column(self, role: str) -> str | None:
        """A role with one column: the named one, or the one with a usual name."""
        option = self.options[role]
        if option is not None:
            return self._named(role, option)
        found = self._fitting(role, [name for name in ROLES[role].usual if self._can_be(role, name)])
        if len(found) > 1 and not ROLES[role].asked:
            which = " and ".join(map(repr, found))
            self.notes.append(
                f"{self.table.file}: {which} can be the {role}: none is read; choose with {keyword(role)}"
            )
            return None
        return self._one_of(role, found)

    def identity(self, *, wide: bool) -> str | None:
        option = self.options["id"]
        if option is not None:
            return ROW if option == ROW and ROW not in self.table.columns else self._named("id", option)
        there = [name for name in ROLES["id"].usual if name in self.table.columns and ("id", name) not in self.unusable]
        filled = [name for name in there if self.table.kind(name) == "scalar"]
        names = filled or there
        found = self._one_of("id", ["id"] if "id" in names else names)
        if found is None and wide:
            self.guesses.append("id = the row number")
            return ROW
        return found

    def score(self, found: Mapping[str, str | None]) -> tuple[str | None, dict[str, str]]:
        """The score's column and, in a wide file, the models, each with its own."""
        option = self.options["score"]
        if option is not None:
            return self._named_score(option)
        top = self._fitting("score", [name for name in ROLES["score"].usual if self._can_be("score", name)])
        if len(top) == 1:
            return self._guessed("score", top[0]), {}
        if top:
            raise self._ask("score", top)
        nested = self._nested_scores()
        of_nested = [f"{model}.{last}" for last, models in nested.items() for model in models]
        if len(nested) > 1 or (len(of_nested) > 1 and found["model"] is not None):
            raise self._ask("score", of_nested)
        if nested:
            return self._nested_score(*nested.popitem())
        if lm_eval.is_samples(self.table):
            metrics = self._fitting(
                "score", [name for name in lm_eval.metrics(self.table) if self._can_be("score", name)]
            )
            if len(metrics) == 1:
                return self._guessed("score", metrics[0]), {}
            if metrics:
                raise self._ask("score", metrics)
        pairs = [
            pair for pair in SCORE_PAIRS if self._graded_by(*pair) and ("score", "==".join(pair)) not in self.unusable
        ]
        if len(pairs) == 1:
            return self._guessed("score", f"{pairs[0][0]}=={pairs[0][1]}"), {}
        if pairs:
            raise self._ask("score", [f"{a}=={b}" for a, b in pairs])
        if found["loglikelihood"] is not None:
            return None, {}
        if found["model"] is None and (models := self._models_by_column(found)):
            return None, {name: name for name in models}
        raise record_error(
            self.table.file,
            f"a score column ({', '.join(ROLES['score'].usual)}, or a pair such as true_label and pred_label)",
            self._columns(),
            f"name the score's column with {keyword('score')}, or {keyword('score', 'a==b')} to compare two, "
            f"or a column for each model with {keyword('models')}{self._letters()}{self._no_models(found)}",
        )

    def inside_models(self, wide: Mapping[str, str]) -> dict[str, str | None]:
        """Roles that a wide file gives for each model that has scores, such as ``<model>.confidence``."""
        found: dict[str, str | None] = {}
        models = [model for model, column in wide.items() if self._scalar(column)]
        for role in ROLES.values():
            if not role.of_answer or role.name == "score":
                continue
            if role.beside and not found.get(role.beside) and self._plain(role.beside) is None:
                continue
            if self.options[role.name] is None and self._plain(role.name) is None:
                names = [
                    name
                    for name in role.usual
                    if models
                    and all(f"{model}.{name}" in self.table.columns for model in models)
                    and not any((role.name, f"{model}.{name}") in self.unusable for model in models)
                ]
                if names:
                    found[role.name] = self._guessed(role.name, names[0], shown=f"*.{names[0]}")
        return found

    def note_targets_like_nothing(self, score: str) -> None:
        """Say that targets such as ``NA`` count, as a class, in a file that cannot say null."""
        if self.table.has_null or "==" not in score or score in self.table.columns:
            return
        target = labels.sides(score).target
        words = sorted(one for one in set(self.table.columns[target]) if labels.classes_among([one]))
        if words:
            read = "is read as a class" if len(words) == 1 else "are read as classes"
            self.notes.append(
                f"{self.table.file}: {_some(words)} among the targets in {target!r} {read}; a field is empty where "
                "there is no target"
            )

    # ---- pieces

    def _plain(self, role: str) -> str | None:
        return next((name for name in ROLES[role].usual if self._can_be(role, name)), None)

    def _can_be(self, role: str, name: str) -> bool:
        """Whether a column may be guessed to have a role."""
        return self._scalar(name) and (role, name) not in self.unusable

    def _fitting(self, role: str, names: Sequence[str]) -> list[str]:
        """Where several columns can be one: those whose values fit, if any."""
        return (len(names) > 1 and [name for name in names if self._fits(role, name)]) or list(names)

    def _fits(self, role: str, name: str) -> bool:
        if role == "model":
            return LIST not in self.table.columns[name]
        try:
            found, missing = numbers(self.table.columns[name], name, self.table.where)
        except RecordError:
            return False
        allowed = share if name.rpartition(".")[2] in SHARES else ROLES[role].allowed
        return bool((allowed(found) | missing).all())

    def _models_by_column(self, found: Mapping[str, str | None]) -> list[str]:
        """A plain wide file's models: the columns that were asked for, or all, where all but roles are 0 or 1."""
        there = [name for name in self.models or () if name in self.table.columns]
        asked = [name for name in there if not self._scalar(name) or self._fits("score", name)]
        if asked:
            self.guesses.append(f"models = {', '.join(asked)} (the columns of these names)")
            return list(dict.fromkeys(asked))
        names = self._zeros_and_ones(found)
        if self.models is not None or len(names) < 2 or len(self.table) < 2 or any(map(labels.is_no_model, names)):
            return []
        self.guesses.append(f"models = {', '.join(names)} (every column is 0 or 1)")
        return names

    def _zeros_and_ones(self, found: Mapping[str, str | None]) -> list[str]:
        """The columns without a role, where all of them hold zeros and ones."""
        names = self._free(found)
        return names if all(map(self._zero_or_one, names)) else []

    def numeric(self) -> list[str]:
        """The columns of numbers that have no role."""
        return [name for name in self._free(self.options) if self._scalar(name) and self._fits("score", name)]

    def _free(self, found: Mapping[str, str | None]) -> list[str]:
        """The columns that have no role, by option or by a usual name."""
        usual = {name for role in ROLES.values() if role.name != "score" for name in role.usual}
        return [name for name in self.table.columns if name not in {*usual, *found.values(), self.options["id"]}]

    def _zero_or_one(self, name: str) -> bool:
        if not self._scalar(name):
            return False
        try:
            found, missing = numbers(self.table.columns[name], name, self.table.where)
        except RecordError:
            return False
        return bool((missing | (found == 0) | (found == 1)).all()) and not missing.all()

    def _scalar(self, name: str) -> bool:
        """Whether there is such a column, of values that are not all lists or missing."""
        return name in self.table.columns and self.table.kind(name) == "scalar"

    def _graded_by(self, target: str, prediction: str) -> bool:
        """Whether two columns make a score; a model may have answered nothing."""
        return self._scalar(target) and prediction in self.table.columns and self.table.kind(prediction) != "list"

    def _nested_scores(self) -> dict[str, list[str]]:
        nested: dict[str, list[str]] = {}
        without: dict[str, list[str]] = {}
        found = [name for name in self.table.columns if name.rpartition(".")[2] in ROLES["score"].usual and "." in name]
        for name in lm_eval.answers(self.table, found):
            model, _, last = name.rpartition(".")
            if ("score", name) in self.unusable:
                continue
            if not self._scalar(name):
                without.setdefault(last, []).append(model)
            elif any(number(value) is not None for value in self.table.columns.values_of(name)):
                nested.setdefault(last, []).append(model)
            elif self.models is None or model in self.models:
                self.notes.append(f"{self.table.file}: {name!r} is not read as a score: no value in it is a number")
        for last, models in without.items():
            self._add_without_scores(nested, last, models)
        chosen = {last: self._asked_for(models) for last, models in nested.items()}
        return {last: models for last, models in chosen.items() if models} or nested

    def _add_without_scores(self, nested: dict[str, list[str]], last: str, models: Sequence[str]) -> None:
        """Models whose scores are all missing or lists, beside others that have some: they stay models."""
        scored = nested.get(last, [])
        if scored and (len(scored) > 1 or any(model in (self.models or ()) for model in models)):
            order = [name.removesuffix(f".{last}") for name in self.table.columns if name.endswith(f".{last}")]
            nested[last] = [model for model in order if model in {*scored, *models}]
        elif scored:
            self.notes += [
                f"{self.table.file}: {f'{model}.{last}'!r} is not read as a score: no value in it is a number"
                for model in models
                if self.models is None or model in self.models
            ]

    def _asked_for(self, models: Sequence[str]) -> list[str]:
        return [model for model in models if self.models is None or model in self.models]

    def _nested_score(self, last: str, models: list[str]) -> tuple[str, dict[str, str]]:
        models = self._asked_for(models) or models
        if len(models) == 1 and models[0] not in (self.models or ()):
            return self._guessed("score", f"{models[0]}.{last}"), {}
        if len(self.table) == 1 and self.options["score"] is None:
            raise record_error(
                self.table.file,
                "one record for each answer",
                f"a single one, with scores at {_some([f'{model}.{last}' for model in models])}",
                f"write one record a line, or name one of them with {keyword('score')}",
            )
        self.guesses.append(f"models = {', '.join(models)} (the columns *.{last})")
        return last, {model: f"{model}.{last}" for model in models}

    def _named_score(self, option: str) -> tuple[str | None, dict[str, str]]:
        if "==" in option and option not in self.table.columns:
            sides = [side.strip() for side in option.split("==")]
            if len(sides) != 2 or not all(sides):
                raise record_error(
                    self.table.file,
                    f"two columns in {keyword('score', 'a==b')}",
                    repr(option),
                    "name one on each side",
                )
            score = "==".join(str(self._named("score", side)) for side in sides)
            target, _, said = labels.sides(score)
            if not said:
                self.guesses.append(f"target = {target}")
            return score, {}
        last = option.removeprefix("*.")
        if option not in self.table.columns:
            models = [name.removesuffix(f".{last}") for name in self.table.columns if name.endswith(f".{last}")]
            if models and lm_eval.answers(self.table, models) == models:
                return self._nested_score(last, models)
        return self._named("score", option), {}

    def _named(self, role: str, option: str) -> str | None:
        if option in self.table.columns:
            return option
        if option == NONE:
            return None
        if option.strip() in self.table.columns:
            return option.strip()  # as a CSV header writes it, blanks and all
        raise missing_column(self.table, keyword(role), option)

    def _one_of(self, role: str, names: Sequence[str]) -> str | None:
        found = [name for name in names if name in self.table.columns]
        if len(found) > 1:
            raise self._ask(role, found)
        return self._guessed(role, found[0]) if found else None

    def _guessed(self, role: str, column: str, shown: str = "") -> str:
        self.guesses.append(f"{role} = {shown or column}")
        return column

    def _ask(self, role: str, candidates: Sequence[str]) -> Exception:
        return record_error(
            self.table.file,
            f"one column that can be the {role}",
            f"{len(candidates)}: {_some(candidates)}",
            f"choose with {keyword(role)}",
        )

    def _letters(self) -> str:
        """What to do about columns of grades, which are no scores."""
        columns = self.table.columns
        found = [name for name in columns if graded_by_letters(columns.values_of(name)) and "I" in columns[name]]
        return f"; {_some(found)}: {LETTERS}; {grades_fix()}" if found else ""

    def _no_models(self, found: Mapping[str, str | None]) -> str:
        """Which of the columns of zeros and ones sound like something else than a model."""
        odd = [name for name in self._zeros_and_ones(found) if labels.is_no_model(name)]
        return f"; by its name {odd[0]!r} is no model's score" if odd else ""

    def _columns(self) -> str:
        of_kind: dict[str, list[str]] = {"scalar": [], "list": [], "empty": []}
        for name in self.table.columns:
            of_kind[self.table.kind(name)].append(name)
        said = zip(("the columns", "lists in", "no values in"), of_kind.values(), strict=True)
        found = [f"{kind} {_some(names)}" for kind, names in said if names]
        return " and ".join(found) or "no columns"


def missing_column(table: Table, asked: str, name: str) -> Exception:
    """The error for a column that a file does not have, with what is near it."""
    inside = [column for column in table.columns if column.startswith(f"{name}.")]
    near = inside or difflib.get_close_matches(name, table.columns, n=5, cutoff=0.6) or list(table.columns)
    return record_error(table.file, f"a column {name!r} for {asked}", f"the columns {_some(near)}", "name one of them")


def _some(names: Sequence[str], most: int = 12) -> str:
    shown = ", ".join(repr(shorten(name)) for name in names[:most])
    return shown + (f" and {len(names) - most} more" if len(names) > most else "")

"""Which column of a file is the score, or, where models stand side by side, which column is each model's score.

Without an option it is guessed, in this order: a column that the reader of a log names; a column with a usual name
(``correct``); such names one level down, which are one model each if there are several (``a.correct``, ``b.correct``);
the only column of the words that the caller gave; the only metric of an evaluation (``scores.match.value``); the metric
of an lm-evaluation-harness file; two columns that can be compared (``target==prediction``). A file with log-likelihoods
needs no score. Where all columns without another role hold zeros and ones they are models. Several candidates are
asked about, and where there is none the likely columns are told.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import product
from typing import NamedTuple

from ..errors import keyword
from . import keys, labels, lm_eval
from .finder import MOST_NAMED, Finder, some_of
from .likely import likely_pair, likely_scores, offered
from .naming import is_metric, is_no_model, is_quantity, says_grade, sounds_like_answer
from .roles import NONE, ROLES, SCORE_PAIRS
from .table import record_error
from .values import number


class ScoreColumn(NamedTuple):
    """The column, or ``a==b``; None where a file has log-likelihoods alone, or where its columns are models."""

    column: str | None
    of_models: Mapping[str, str]
    """Of models side by side, the column of each one's score."""


def find_score(finder: Finder, found: Mapping[str, str | None]) -> ScoreColumn:
    """Find the score of a file, the columns of whose other roles are known: by its option, or by a guess."""
    return _ScoreFinder(finder, found).find()


def numeric_columns(finder: Finder) -> list[str]:
    """The columns of numbers that have no role: where a file has no score, a caller may name them as models."""
    free = _ScoreFinder(finder, finder.options).free()
    return [name for name in free if finder.scalar(name) and (finder.fits("score", name) or finder.words(name))]


class _ScoreFinder:
    def __init__(self, finder: Finder, found: Mapping[str, str | None]) -> None:
        self.finder = finder
        self.table = finder.table
        self.models = finder.models
        self.found = found

    def find(self) -> ScoreColumn:
        finder, option = self.finder, self.finder.options["score"]
        if option is not None:
            return self._named(option)
        if self.table.scores:
            return ScoreColumn(self._of_log(), {})
        if top := finder.one_of("score", finder.fitting("score", ROLES["score"].usual)):
            return ScoreColumn(top, {})
        nested = self._nested()
        columns = [f"{model}.{last}" for last, models in nested.items() for model in models]
        if len(nested) > 1 or (len(columns) > 1 and self.found["model"] is not None):
            raise finder.ask("score", columns)
        if nested:
            return self._one_level_down(*nested.popitem())
        if finder.worth is not None and (column := finder.one_of("score", self._of_given_words())):
            return ScoreColumn(column, {})
        if len(evaluated := self._evaluated()) == 1:
            return ScoreColumn(finder.guessed("score", evaluated[0]), {})
        if other := finder.one_of("score", self._metrics()) or finder.one_of("score", self._pairs()):
            return ScoreColumn(other, {})
        if self.found["loglikelihood"] is not None:
            return ScoreColumn(None, {})
        if self.found["model"] is None and (models := self._columns_that_are_models()):
            return ScoreColumn(None, {name: name for name in models})
        raise finder.ask("score", evaluated) if evaluated else self._no_score()

    def _of_log(self) -> str:
        """The score of a log that says which columns can be it: one with a usual name, else the only one."""
        there = [name for name in self.table.scores if self.finder.can_be("score", name)]
        usual = [name for name in there if name in ROLES["score"].usual]
        found = self.finder.one_of("score", usual or there)
        if found is None:
            raise self._no_score()
        return found

    # ---- named by the option

    def _named(self, option: str) -> ScoreColumn:
        there = option in self.table.columns
        if "==" in option and not there:
            return ScoreColumn(self._named_pair(option), {})
        last = option.removeprefix("*.")
        models = [] if there else self._models_with(last)
        if models and lm_eval.answers(self.table, models) == models:
            return self._one_level_down(last, models)
        return ScoreColumn(self.finder.named("score", option), {})

    def _named_pair(self, option: str) -> str:
        sides = [side.strip() for side in option.split("==")]
        if len(sides) != 2 or not all(sides):
            expected = f"two columns in {keyword('score', 'a==b')}"
            raise record_error(self.table.file, expected, repr(option), "name one on each side")
        score = "==".join(str(self.finder.named("score", side, repr)) for side in sides)
        target, _, said = labels.sides(score)
        if not said:
            self.finder.guesses.append(f"target = {target}")
        return score

    # ---- one level down

    def _nested(self) -> dict[str, list[str]]:
        """The models before each usual name of a score: ``{"correct": ["a", "b"]}`` of ``a.correct``, ``b.correct``."""
        nested: dict[str, list[str]] = {}
        without: dict[str, list[str]] = {}
        usual = ROLES["score"].usual
        inside = {name: name.rpartition(".")[2] for name in self.table.columns if "." in name}
        columns = [name for name, last in inside.items() if last in usual]
        columns = columns or [name for name, last in inside.items() if last.casefold() in usual]
        for name in lm_eval.answers(self.table, columns):
            model, _, last = name.rpartition(".")
            if ("score", name) in self.finder.unusable:
                continue
            if not self.finder.scalar(name):
                without.setdefault(last, []).append(model)
            elif self._has_scores(name):
                nested.setdefault(last, []).append(model)
            else:
                self._note_no_number([model], last)
        for last, models in without.items():
            self._add_without_scores(nested, last, models)
        asked_for = {last: self._asked_for(models) for last, models in nested.items()}
        return {last: models for last, models in asked_for.items() if models} or nested

    def _has_scores(self, name: str) -> bool:
        """Whether a column holds numbers, or words that are worth something."""
        if any(number(value) is not None for value in self.table.columns.values_of(name)):
            return True
        return bool(self.finder.words(name))

    def _add_without_scores(self, nested: dict[str, list[str]], last: str, models: Sequence[str]) -> None:
        """Models whose scores are all missing or lists stay models, if there are several or they were asked for."""
        scored = nested.get(last, [])
        if scored and (len(scored) > 1 or any(model in (self.models or ()) for model in models)):
            nested[last] = [model for model in self._models_with(last) if model in {*scored, *models}]
        elif scored:
            self._note_no_number(models, last)

    def _note_no_number(self, models: Sequence[str], last: str) -> None:
        for model in self._asked_for(models):
            self.finder.note(f"{f'{model}.{last}'!r} is not read as a score: no value in it is a number")

    def _models_with(self, last: str) -> list[str]:
        """What stands before ``.<last>`` in the names of columns."""
        return [name.removesuffix(f".{last}") for name in self.table.columns if name.endswith(f".{last}")]

    def _asked_for(self, models: Sequence[str]) -> list[str]:
        return [model for model in models if self.models is None or model in self.models]

    def _one_level_down(self, last: str, models: list[str]) -> ScoreColumn:
        models = self._asked_for(models) or models
        columns = {model: f"{model}.{last}" for model in models}
        if len(models) == 1 and models[0] not in (self.models or ()):
            return ScoreColumn(self.finder.guessed("score", columns[models[0]]), {})
        if len(self.table) == 1 and self.finder.options["score"] is None:
            raise record_error(
                self.table.file,
                "one record for each answer",
                f"a single one, with scores at {some_of([*columns.values()])}",
                f"write one record per line, or name one of them with {keyword('score')}",
            )
        self.finder.guesses.append(f"models = {', '.join(models)} (the columns *.{last})")
        return ScoreColumn(last, columns)

    # ---- other guesses

    def _of_given_words(self) -> list[str]:
        """The columns that hold words that the caller says are worth something, and no others."""
        names = [name for name in self.free() if self.finder.can_be("score", name) and not sounds_like_answer(name)]
        return [name for name in names if self.finder.words(name)]

    def _evaluated(self) -> list[str]:
        """Where evaluations keep their metrics (``metrics.em``, ``scores.match.value``): those that can be a score."""
        if lm_eval.is_samples(self.table):
            return []
        names = [name for name in self.table.columns if is_metric(name) and not is_quantity(name)]
        possible = [name for name in names if self.finder.can_be("score", name)]
        return [name for name in possible if self.finder.fits("score", name) or self.finder.words(name)]

    def _metrics(self) -> list[str]:
        """The metrics of an lm-evaluation-harness file."""
        return self.finder.fitting("score", lm_eval.metrics(self.table)) if lm_eval.is_samples(self.table) else []

    def _pairs(self) -> list[str]:
        """Two columns of usual names that make a score, as ``a==b``."""
        pairs = ["==".join(pair) for pair in SCORE_PAIRS if self._comparable(*pair)]
        if not pairs:
            of = self.finder.in_any_case
            sides = [pair for a, b in SCORE_PAIRS for pair in product(of([a]), of([b]))]
            pairs = ["==".join(pair) for pair in sides if self._comparable(*pair)]
        return [pair for pair in pairs if ("score", pair) not in self.finder.unusable]

    def _comparable(self, target: str, prediction: str) -> bool:
        """Whether two columns make a score. A model may have answered nothing: that is a column without values."""
        there = prediction in self.table.columns and self.table.kind(prediction) != "list"
        return self.finder.scalar(target) and there

    def _columns_that_are_models(self) -> list[str]:
        """The columns that were asked for as models; else all without a role, if each holds zeros and ones."""
        there = [name for name in self.models or () if name in self.table.columns]
        asked = [name for name in there if not self.finder.scalar(name) or self._can_be_model(name)]
        if asked:
            self.finder.guesses.append(f"models = {', '.join(asked)} (the columns of these names)")
            return list(dict.fromkeys(asked))
        names = self._zeros_and_ones()
        if self.models is not None or len(names) < 2 or len(self.table) < 2 or any(map(is_no_model, names)):
            return []
        self.finder.guesses.append(f"models = {', '.join(names)} (every column is 0 or 1)")
        return names

    def _can_be_model(self, name: str) -> bool:
        return self.finder.fits("score", name) or bool(self.finder.words(name))

    def _zeros_and_ones(self) -> list[str]:
        """The columns without a role, if each of them holds zeros and ones."""
        names = self.free()
        return names if all(map(self._zero_or_one, names)) else []

    def _zero_or_one(self, name: str) -> bool:
        if not self.finder.scalar(name) or (found := self.finder.numbers(name)) is None:
            return False
        values, missing = found
        return bool((missing | (values == 0) | (values == 1)).all()) and not missing.all()

    def free(self) -> list[str]:
        """The columns that have no role, by option or by a usual name."""
        usual = {name for role in ROLES.values() if role.name != "score" for name in role.usual}
        named = [keys.named(self.finder.options[role]) for role in keys.JOINED]
        taken = {*self.found.values()}.union(*named)
        return [name for name in self.table.columns if name not in taken and name.casefold() not in usual]

    # ---- no score

    def _no_score(self) -> Exception:
        return record_error(
            self.table.file,
            f"a score column ({', '.join(ROLES['score'].usual)}, or a pair such as true_label and pred_label)",
            self._columns(),
            f"{self._next_steps()}, or a column for each model with {self._models_to_name()}{self._no_models()}"
            f"{self._loglikelihood()}",
        )

    def _loglikelihood(self) -> str:
        """What to type where the file has log-likelihoods, which were not looked for."""
        role = ROLES["loglikelihood"]
        there = [name for name in role.usual if name in self.table.columns]
        if self.finder.options[role.name] != NONE or not there:
            return ""
        return f"; perplexities are compared with {keyword(role.name, there[0])}"

    def _models_to_name(self) -> str:
        """How to say that columns of numbers are a model each: all of them, ready to be typed, where they are few."""
        names = [name for name in numeric_columns(self.finder) if not (says_grade(name) or is_quantity(name))]
        several = 1 < len(names) <= MOST_NAMED and not any("," in name for name in names)
        return keyword("models", names) if several else keyword("models")

    def _columns(self) -> str:
        """The columns of the file, by what they hold."""
        of_kind: dict[str, list[str]] = {"scalar": [], "list": [], "empty": []}
        for name in self.table.columns:
            of_kind[self.table.kind(name)].append(name)
        said = zip(("the columns", "lists in", "no values in"), of_kind.values(), strict=True)
        found = [f"{kind} {some_of(names)}" for kind, names in said if names]
        return " and ".join(found) or "no columns"

    def _next_steps(self) -> str:
        """What to type: the likely columns, and two that can be compared."""
        free = self.free()
        likely, pair = likely_scores(self.table, free), likely_pair(self.table, free)
        if not likely and not pair:
            return f"name the score's column with {keyword('score')}, or {keyword('score', 'a==b')} to compare two"
        compare = f"{keyword('score', pair or 'a==b')} to compare two"
        if pair and (not likely or likely[0].place > 1):
            return f"likely {compare}" + (f", or {offered(likely)}" if likely else "")
        return f"likely {offered(likely)}, or {compare}"

    def _no_models(self) -> str:
        """The first column of zeros and ones whose name says that it is something else than a model."""
        odd = [name for name in self._zeros_and_ones() if is_no_model(name)]
        return f"; by its name {odd[0]!r} is no model's score" if odd else ""

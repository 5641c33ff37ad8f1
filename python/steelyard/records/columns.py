"""Which column means what: options by name, guesses where there is no option."""

from __future__ import annotations

import difflib
from collections.abc import Sequence
from dataclasses import dataclass, replace

from ..errors import keyword
from . import labels, lm_eval
from .table import Table, record_error, shorten

SCORE_NAMES = ("correct", "is_correct", "acc", "exact_match", "score")
SCORE_PAIRS = (
    ("true_label", "pred_label"),
    ("target", "prediction"),
    ("label", "prediction"),
    ("y_true", "y_pred"),
)
ID_NAMES = ("id", "doc_id", "question_id", "sample_id", "example_id", "instance_id", "item_id", "task_id")
OTHER_NAMES = {
    "model": ("model", "model_name"),
    "confidence": ("confidence", "prob"),
    "loglikelihood": ("loglikelihood",),
    "n_tokens": ("n_tokens",),
    "cluster": ("cluster",),
    "epoch": ("epoch",),
}
ROLES = ("id", *OTHER_NAMES, "score")
ROW = "row"  # id="row": the row number is the id
NONE = "none"  # switches a guess off


@dataclass(frozen=True)
class Roles:
    """The column of each role in one file (None: there is none), and what of that was guessed."""

    id: str | None = None
    model: str | None = None
    score: str | None = None  # a column, or ``a==b``
    confidence: str | None = None
    loglikelihood: str | None = None
    n_tokens: str | None = None
    cluster: str | None = None
    epoch: str | None = None
    wide: tuple[str, ...] = ()  # a wide file's models: the score is ``<model>.<score>``
    guesses: tuple[str, ...] = ()
    id_is_guessed: bool = False

    def of_model(self, table: Table, model: str) -> Roles:
        """The roles of one model of a wide file: ``<model>.<column>`` where the file has it."""

        def inside(column: str | None) -> str | None:
            own = f"{model}.{column}"
            return own if own in table.columns else column

        return replace(
            self,
            wide=(),
            score=inside(self.score),
            confidence=inside(self.confidence),
            loglikelihood=inside(self.loglikelihood),
            n_tokens=inside(self.n_tokens),
        )


def resolve(table: Table, options: dict[str, str | None]) -> Roles:
    """Find every role's column in a file, by option or by guess."""
    if not len(table):
        raise record_error(table.file, "at least one record", "none", "check how the file was written")
    finder = _Finder(table, options)
    found = {role: finder.column(role) for role in ROLES if role not in ("score", "id", "n_tokens")}
    found["n_tokens"] = finder.column("n_tokens") if found["loglikelihood"] or options["n_tokens"] else None
    score, wide = finder.score(has_loglikelihood=found["loglikelihood"] is not None)
    if wide:
        found |= finder.inside_models(wide)
    others, finder.guesses = finder.guesses, []
    identity = finder.identity(wide=bool(wide))
    return Roles(
        **found,
        id=identity,
        score=score,
        wide=wide,
        guesses=(*finder.guesses, *others),
        id_is_guessed=options["id"] is None,
    )


class _Finder:
    def __init__(self, table: Table, options: dict[str, str | None]) -> None:
        self.table = table
        self.options = options
        self.guesses: list[str] = []

    def column(self, role: str) -> str | None:
        """A role with one column: the named one, or the one with a usual name."""
        option = self.options[role]
        if option is not None:
            return self._named(role, option)
        return self._one_of(role, [name for name in OTHER_NAMES[role] if self._scalar(name)])

    def identity(self, *, wide: bool) -> str | None:
        option = self.options["id"]
        if option is not None:
            return ROW if option == ROW and ROW not in self.table.columns else self._named("id", option)
        names = ("id",) if "id" in self.table.columns else ID_NAMES
        found = self._one_of("id", names)
        if found is None and wide:
            self.guesses.append("id = the row number")
            return ROW
        return found

    def score(self, *, has_loglikelihood: bool) -> tuple[str | None, tuple[str, ...]]:
        """The score's column and, in a wide file, the models before it."""
        option = self.options["score"]
        if option is not None:
            return self._named_score(option)
        top = [name for name in SCORE_NAMES if self._scalar(name)]
        if len(top) == 1:
            return self._guessed("score", top[0]), ()
        if top:
            raise self._ask("score", top)
        nested = self._nested_scores()
        if len(nested) == 1:
            return self._nested_score(*nested.popitem())
        if nested:
            raise self._ask("score", [f"{model}.{last}" for last, models in nested.items() for model in models])
        if lm_eval.is_samples(self.table):
            metrics = lm_eval.metrics(self.table)
            if len(metrics) == 1:
                return self._guessed("score", metrics[0]), ()
            if metrics:
                raise self._ask("score", metrics)
        pairs = [pair for pair in SCORE_PAIRS if self._graded_by(*pair)]
        if len(pairs) == 1:
            return self._guessed("score", f"{pairs[0][0]}=={pairs[0][1]}"), ()
        if pairs:
            raise self._ask("score", [f"{a}=={b}" for a, b in pairs])
        if has_loglikelihood:
            return None, ()
        raise record_error(
            self.table.file,
            f"a score column ({', '.join(SCORE_NAMES)}, or a pair such as true_label and pred_label)",
            self._columns(),
            f"name the score's column with {keyword('score')}, or {keyword('score', 'a==b')} to compare two",
        )

    def inside_models(self, models: tuple[str, ...]) -> dict[str, str | None]:
        """Roles that a wide file gives for each model, such as ``<model>.confidence``."""
        found: dict[str, str | None] = {}
        for role in ("confidence", "loglikelihood", "n_tokens"):
            if role == "n_tokens" and not found.get("loglikelihood") and self._plain("loglikelihood") is None:
                continue
            if self.options[role] is None and self._plain(role) is None:
                names = [n for n in OTHER_NAMES[role] if all(f"{m}.{n}" in self.table.columns for m in models)]
                if names:
                    found[role] = self._guessed(role, names[0], shown=f"*.{names[0]}")
        return found

    # ---- pieces

    def _plain(self, role: str) -> str | None:
        return next((name for name in OTHER_NAMES[role] if name in self.table.columns), None)

    def _scalar(self, name: str) -> bool:
        """Whether there is such a column, of values that are not all lists or missing."""
        return name in self.table.columns and self.table.kind(name) == "scalar"

    def _graded_by(self, target: str, prediction: str) -> bool:
        """Whether two columns make a score; a model may have answered nothing."""
        return self._scalar(target) and prediction in self.table.columns and self.table.kind(prediction) != "list"

    def _nested_scores(self) -> dict[str, list[str]]:
        nested: dict[str, list[str]] = {}
        found = [name for name in self.table.columns if name.rpartition(".")[2] in SCORE_NAMES and "." in name]
        for name in lm_eval.answers(self.table, found):
            if self._scalar(name):
                model, _, last = name.rpartition(".")
                nested.setdefault(last, []).append(model)
        return nested

    def _nested_score(self, last: str, models: list[str]) -> tuple[str, tuple[str, ...]]:
        if len(models) == 1:
            return self._guessed("score", f"{models[0]}.{last}"), ()
        if len(self.table) == 1 and self.options["score"] is None:
            raise record_error(
                self.table.file,
                "one record for each answer",
                f"a single one, with scores at {_some([f'{model}.{last}' for model in models])}",
                f"write one record a line, or name one of them with {keyword('score')}",
            )
        self.guesses.append(f"models = {', '.join(models)} (the columns *.{last})")
        return last, tuple(models)

    def _named_score(self, option: str) -> tuple[str | None, tuple[str, ...]]:
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
            return score, ()
        last = option.removeprefix("*.")
        if option not in self.table.columns:
            models = [name.removesuffix(f".{last}") for name in self.table.columns if name.endswith(f".{last}")]
            if models and lm_eval.answers(self.table, models) == models:
                return self._nested_score(last, models)
        return self._named("score", option), ()

    def _named(self, role: str, option: str) -> str | None:
        if option in self.table.columns:
            return option
        if option == NONE:
            return None
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

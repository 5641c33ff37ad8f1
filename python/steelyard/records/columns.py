"""Which column means what: options by name, guesses where there is no option, and values as numbers or text."""

from __future__ import annotations

import difflib
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..errors import keyword
from . import lm_eval
from .table import LIST, Table, record_error, shorten

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
_MISSING = frozenset({"", "n/a", "na", "null", "none"})
_WHOLE_FLOAT = re.compile(r"-?\d+\.0+")


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
        pairs = [pair for pair in SCORE_PAIRS if all(map(self._scalar, pair))]
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
            return "==".join(str(self._named("score", side)) for side in sides), ()
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


# ---- values


def numbers(
    values: Sequence[Any], name: str, where: Callable[[int], str], fix: str = "correct the value"
) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
    """A column as float64, and where it has no value: null, empty, ``N/A``."""
    if {float, int, bool}.issuperset(map(type, values)):
        try:
            return np.array(values, dtype=np.float64), np.zeros(len(values), dtype=bool)
        except OverflowError:
            pass  # an integer beyond float64: the loop below names its row
    out = np.zeros(len(values))
    missing = np.zeros(len(values), dtype=bool)
    for row, value in enumerate(values):
        number = _number(value)
        if number is not None:
            out[row] = number
        elif value is None or (isinstance(value, str) and value.strip().lower() in _MISSING):
            missing[row] = True
        else:
            raise not_a_number(value, name, where(row), fix)
    return out, missing


def _number(value: Any) -> float | None:
    try:
        if isinstance(value, str):
            text = value.strip().lower()
            if text in ("true", "false"):
                return float(text == "true")
            return None if "_" in text else float(text)
        return None if value is None or value is LIST else float(value)
    except (ValueError, OverflowError):
        return None


def not_a_number(value: Any, name: str, where: str, fix: str) -> Exception:
    """The error for a value that should have been a number."""
    if value is LIST:
        return record_error(
            f"{where}: {name}",
            "a number",
            "a list, as corpus metrics log it",
            "choose a metric with one number a record",
        )
    shown = ascii(shorten(value)) if isinstance(value, str) else "an integer beyond float64"
    return record_error(f"{where}: {name}", "a number, true or false (null or 'N/A' where there is none)", shown, fix)


def text(value: Any) -> str | None:
    """An id, a model or a cluster as text: 7, 7.0 and "7" are one id; None where there is none."""
    kind = type(value)
    if kind is str:
        return _printable(value) if value else None
    if kind is int:
        return str(value)
    if kind is bool:
        return "true" if value else "false"
    if kind is float:
        return str(int(value)) if value.is_integer() and abs(value) < 2**53 else repr(value)
    return None


def _printable(value: str) -> str:
    """Text that every terminal and file takes: a lone surrogate becomes its escape."""
    return value if value.isascii() else value.encode("utf-8", "backslashreplace").decode()


def texts(values: Sequence[Any], name: str, where: Callable[[int], str]) -> list[str | None]:
    """A column as text; a list is an error."""
    for row, value in enumerate(values):
        if value is LIST:
            raise record_error(f"{where(row)}: {name}", "a number or text", "a list", "choose another column")
    return [text(value) for value in values]


def equal(first: Sequence[Any], second: Sequence[Any]) -> list[bool | None]:
    """Whether two columns agree, row by row; None where either has no value."""
    label = _Labels()
    pairs = zip(first, second, strict=True)
    return [None if (x := label[a]) is None or (y := label[b]) is None else x == y for a, b in pairs]


class _Labels(dict[Any, str | None]):
    """Remembers the plain form of every label: 3, 3.0, "3" and "3.0" are one class, True and "true" too."""

    def __getitem__(self, value: Any) -> str | None:
        key = (type(value), value)
        if key not in self:
            plain = text(value)
            if plain is not None:
                plain = plain.strip()
                if plain.lower() in ("true", "false"):
                    plain = plain.lower()
                elif _WHOLE_FLOAT.fullmatch(plain):
                    plain = plain.partition(".")[0]
            self[key] = plain
        return super().__getitem__(key)

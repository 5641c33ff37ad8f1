"""A score made of two columns, ``a==b``: which of them is the target, what is no answer, and when they agree."""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterable, Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from .table import plain
from .values import MISSING, text

Classes = Callable[[], frozenset[str]]

_WORD = re.compile(r"[A-Z]?[a-z]+|[A-Z]+(?![a-z])")
_TRUTH = frozenset(
    {"true", "truth", "target", "gold", "golden", "reference", "ref", "expected", "correct", "ground", "groundtruth"}
    | {"ideal", "solution"}
)
_CLASS = frozenset({"label", "answer", "category", "class"})
_ANSWER = frozenset(
    {"pred", "predicted", "predict", "prediction", "response", "resp", "reply", "output", "out", "completion"}
    | {"generated", "generation", "hypothesis", "hyp", "hat", "model", "extracted", "parsed", "guess", "chosen"}
)
_NOTHING = MISSING | {"nan"}  # as a score, NaN is refused; as an answer its text says that there was none
_NULL_OF_CSV = frozenset({"na"})  # as R writes it and pandas reads it; elsewhere Namibia, sodium or North America


class Sides(NamedTuple):
    """The two columns of ``a==b``; ``said``: whether their names say which is which."""

    target: str
    prediction: str
    said: bool


def sides(score: str) -> Sides:
    """Which side of ``a==b`` is the target. Where the names do not say, it is the first."""
    first, second = score.split("==")
    ranks = [(_rank(name.rpartition(".")[2]), _rank(name)) for name in (first, second)]
    if ranks[0] < ranks[1]:
        return Sides(second, first, True)
    return Sides(first, second, ranks[0] > ranks[1])


def compared(score: str | None, columns: Collection[str]) -> Sides | None:
    """The two columns that a score compares, in a file of these columns; None where it is a column itself, or none."""
    return sides(score) if score is not None and "==" in score and score not in columns else None


def _rank(name: str) -> int:
    """How much a name sounds like a target: from 2 (``gold``) over 1 (``label``) to -2 (``response``)."""
    words = {word.lower() for word in _WORD.findall(name)}
    words |= {word.removesuffix("s") for word in words}
    return (2 if words & _TRUTH else 1 if words & _CLASS else 0) - (2 if words & _ANSWER else 0)


def is_no_model(name: str) -> bool:
    """Whether a column of zeros and ones sounds like the truth (``label``) or a property (``is_math``), not a model."""
    return _rank(name) > 0 or name.lower().startswith(("is_", "has_"))


class Agreement(NamedTuple):
    """Row by row: 1 where target and prediction agree, else 0; where there is no target; where there is no answer."""

    score: NDArray[np.float64]
    no_target: NDArray[np.bool_]
    no_answer: NDArray[np.bool_]


def words_for_nothing(*, has_null: bool) -> frozenset[str]:
    """How text says that there is no answer. ``NA`` says so in CSV alone: other formats have null for it."""
    return _NOTHING - _NULL_OF_CSV if has_null else _NOTHING


def agreement(
    targets: Sequence[Any],
    predictions: Sequence[Any],
    classes: Classes = frozenset,
    nothing: frozenset[str] = _NOTHING,
) -> Agreement:
    """Compare two columns by what they say. No answer (null, blanks, ``n/a``, ``None``) beside a target is a wrong one.

    ``classes`` gives the words for nothing that are targets themselves, and so answers: see :func:`classes_among`.
    ``nothing`` are those words: see :func:`words_for_nothing`.
    """
    truth, answers = says(targets), says(predictions)
    agree = np.array([a == b for a, b in zip(truth, answers, strict=True)], dtype=bool)
    words = {answer for answer in set(answers) if answer is not None and answer.lower() in nothing}
    of_targets = classes() if words else frozenset()
    none = {None, *(word for word in words if word.lower() not in of_targets)}
    no_target = np.array([value is None for value in truth], dtype=bool)
    no_answer = np.array([answer in none for answer in answers], dtype=bool) & ~agree & ~no_target
    return Agreement((agree & ~no_target).astype(np.float64), no_target, no_answer)


def says(values: Sequence[Any]) -> list[str | None]:
    """What each value says, as it is compared."""
    label = _Labels()
    return [label[value] for value in values]


def classes_among(targets: Iterable[Any]) -> frozenset[str]:
    """The words for nothing that are among the targets: a class ``none`` is an answer like any other."""
    said = {text(value) for value in set(targets)}
    return frozenset(word for one in said if one is not None and (word := plain(one).lower()) in _NOTHING)


class _Labels(dict[Any, str | None]):
    """Remembers what every value says. Values that are equal in Python (1, 1.0, True) say the same."""

    def __missing__(self, value: Any) -> str | None:
        said = text(value)
        label = None if said is None else _label(plain(said))
        self[value] = label
        return label


def _label(said: str) -> str:
    """Right and wrong by one name, whether they were written as 1, true or True."""
    return {"true": "1", "false": "0"}.get(said.lower(), said) if len(said) <= 5 else said

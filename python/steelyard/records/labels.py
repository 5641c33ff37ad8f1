"""A score made of two columns, ``a==b``: which of them is the target, what is no answer, and when they agree."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from .naming import rank
from .table import plain
from .values import MISSING, text

Classes = Callable[[], frozenset[str]]

_NOTHING = MISSING | {"nan"}  # a score of NaN is refused, but the word as an answer means that there was none
_NULL_OF_CSV = frozenset({"na"})  # as R writes it and pandas reads it; elsewhere Namibia, sodium or North America


class Sides(NamedTuple):
    """The two columns of ``a==b``; ``said``: whether their names say which is which."""

    target: str
    prediction: str
    said: bool


def sides(score: str) -> Sides:
    """Which side of ``a==b`` is the target: the one whose name sounds more like it, else the first."""
    first, second = score.split("==")
    ranks = [(rank(name.rpartition(".")[2]), rank(name)) for name in (first, second)]
    if ranks[0] < ranks[1]:
        return Sides(second, first, True)
    return Sides(first, second, ranks[0] > ranks[1])


def compared(score: str | None, columns: Collection[str]) -> Sides | None:
    """The two columns that a score compares, in a file of these columns; None where it is a column itself, or none."""
    return sides(score) if score is not None and "==" in score and score not in columns else None


class Agreement(NamedTuple):
    """Row by row: the score (1 where target and prediction agree, else 0), and whether target or answer is missing."""

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
    """Compare two columns as text. A missing answer (null, blanks, ``n/a``, ``None``) beside a target is a wrong one.

    ``nothing`` are the words that mean a missing answer: see :func:`words_for_nothing`. ``classes`` gives those of them
    that are targets themselves, and so are answers: see :func:`classes_among`.
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
    """Each value as the text by which it is compared; None where there is none."""
    label = _Labels()
    return [label[value] for value in values]


def classes_among(targets: Iterable[Any]) -> frozenset[str]:
    """The words for nothing that are among the targets: a class ``none`` is an answer like any other."""
    said = {text(value) for value in set(targets)}
    return frozenset(word for one in said if one is not None and (word := plain(one).lower()) in _NOTHING)


class _Labels(dict[Any, str | None]):
    """Remembers the text of every value. Values that are equal in Python (1, 1.0, True) have the same."""

    def __missing__(self, value: Any) -> str | None:
        said = text(value)
        label = None if said is None else _label(plain(said))
        self[value] = label
        return label


def _label(said: str) -> str:
    """1 for ``true`` and 0 for ``false``, however they are written; other text as it is."""
    return {"true": "1", "false": "0"}.get(said.lower(), said) if len(said) <= 5 else said

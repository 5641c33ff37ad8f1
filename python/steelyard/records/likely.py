"""Which columns of a file its caller may have meant: told where no column is read as the score."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

from ..errors import RecordError, keyword, keywords
from . import labels
from . import values as convert
from .naming import is_against, is_identity, is_quantity, rank, says_grade, sounds_like_answer
from .table import LIST, Table
from .words import MOST_WORDS, UNKNOWN, ScoreText, guess, suggestion, typed, words_of

ROWS = 5_000  # that are looked at: enough to tell what a column holds
MOST_OFFERED = 4


class Likely(NamedTuple):
    """A column that may be the score, how likely, and what it holds."""

    place: int
    column: str
    holds: str
    values: str = ""
    """What has to be said of its words, if anything."""
    lower_is_better: bool = False

    def option(self) -> str:
        """What to type."""
        option = keywords(score=self.column, **({"values": self.values} if self.values else {}))
        turned = keyword("higher_is_better")  # an option of the command; records.read has no such argument
        if self.lower_is_better and turned.startswith("--"):
            option += f" {turned}"
        return f"{option} ({self.holds})" if self.holds else option


def likely_scores(table: Table, names: Iterable[str]) -> list[Likely]:
    """Those of the columns that may be scores, the likeliest first."""
    found = [likely for name in names if (likely := _likely(table, name)) is not None]
    return sorted(found, key=lambda one: one.place)


def offered(likely: Sequence[Likely]) -> str:
    """What to type for the likeliest of the columns: those whose words nobody knows only where there are no others."""
    likely = [one for one in likely if UNKNOWN not in one.values or one.holds] or likely
    return " or ".join(one.option() for one in likely[:MOST_OFFERED])


def likely_pair(table: Table, names: Iterable[str]) -> str | None:
    """Two columns whose names say that one is the target of the other, and that share values, as ``target==answer``."""
    scalar = [name for name in names if table.kind(name) == "scalar" and sounds_like_answer(name)]
    targets = [name for name in scalar if rank(_last(name)) > 0]
    answers = [name for name in scalar if rank(_last(name)) < 0] or targets[1:]
    for target in targets:
        said = _said(table, target)
        for answer in answers:
            if answer != target and said & _said(table, answer):
                return f"{target}=={answer}"
    return None


def likely_ids(table: Table) -> list[str]:
    """The columns that have a value of its own in every record, those first that are called after it."""
    found = [name for name in table.columns if _tells_apart(table, name)]
    return sorted(found, key=lambda name: (not is_identity(name), is_quantity(name)))


def _tells_apart(table: Table, name: str) -> bool:
    """Whether a column has another text in every record, or numbers by which its name says that records are counted."""
    values = _beginning(table, name)
    if None in values or LIST in values or len(set(values)) < len(values) or len(values) < 2:
        return False
    return is_identity(name) or all(isinstance(one, str) and convert.number(one) is None for one in values)


def _said(table: Table, name: str) -> set[str]:
    return {one for one in labels.says(_beginning(table, name)) if one is not None}


def _last(name: str) -> str:
    return name.rpartition(".")[2]


def _beginning(table: Table, name: str) -> list[Any]:
    return list(table.columns[name][:ROWS])


def _likely(table: Table, name: str) -> Likely | None:
    """What a column holds, if it may be a score."""
    if is_quantity(name):
        return None
    graded, of_answer = says_grade(name), sounds_like_answer(name)
    values = [value for value in _beginning(table, name) if value is not None]
    if not values or LIST in values:
        return None
    try:
        numbers, missing = convert.numbers(values, name, str)
    except RecordError:
        return None if of_answer else _likely_words(table, name, values, graded)
    there = numbers[~missing].tolist()
    infinite = sorted({repr(one) for one in there if not math.isfinite(one)})
    distinct = sorted({one for one in there if math.isfinite(one)})
    whole = all(one.is_integer() for one in distinct)
    if not distinct or (of_answer and whole):
        return None
    if not graded and (len(distinct) + len(infinite) == 1 or (len(distinct) == len(there) > 2 and whole)):
        return None  # a setting, or numbers of the records
    lower, values_to_say = is_against(name), typed(infinite, {})
    if {*distinct} <= {0.0, 1.0}:
        kind = "true or false" if set(map(type, values)) == {bool} else "0 or 1"
        holds = kind if len(distinct) > 1 else f"every value {values[0]}"
        return Likely(0 if graded else 2, name, holds, values_to_say, lower)
    place = 1 if graded else 3 if distinct[0] >= 0 and distinct[-1] <= 1 else 4
    return Likely(place, name, f"{distinct[0]:.3g} to {distinct[-1]:.3g}", values_to_say, lower)


def _likely_words(table: Table, name: str, values: Sequence[Any], graded: bool) -> Likely | None:
    """A column of few words, if its name says that it is a grade, or if it is known what all of them are worth."""
    words = words_of(values)
    if not 0 < len(words) <= MOST_WORDS:
        return None
    if guess([ScoreText(name, values, table.columns)]) is not None:
        return Likely(0 if graded else 2, name, ", ".join(sorted(words)))
    to_type = suggestion([name], words)
    if not graded and UNKNOWN in to_type:
        return None
    known = to_type.count(UNKNOWN) < len(words)
    return Likely((1 if known else 2) if graded else 2, name, "", to_type)

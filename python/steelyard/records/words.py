"""Words as scores: what ``values=`` says they are worth, else one of the known sets of words."""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from types import MappingProxyType
from typing import Any, NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

from .._lazy import lazy
from ..errors import RecordError, keyword, shown, type_error, value_error
from . import values as convert
from .known_words import KNOWN, WordSet
from .naming import is_against, is_metric, rank, says_grade, sounds_like_answer
from .table import LIST, record_error, shorten

Worth = Mapping[str, float]

MOST_WORDS = 12  # a column of more different words holds text, and no grades
UNKNOWN = "NUMBER"  # stands in a message for what only the caller knows
_PAIR = re.compile(r"\s*(?P<word>.*?)\s*=\s*(?P<number>[^=,]*?)\s*(?:,|$)")  # the word itself may hold "," and "="


# ---- values=


def parsed(values: Mapping[str, float] | str | None) -> dict[str, float] | None:
    """What the caller says that words are worth: a mapping, or text such as ``C=1,I=0``."""
    if values is None:
        return None
    if not isinstance(values, str | Mapping):
        expected = "a mapping from words to numbers, or text such as 'C=1,I=0'"
        raise type_error("values", expected, shown(values))
    pairs = _pairs(values) if isinstance(values, str) else [_pair(*one) for one in values.items()]
    for word, times in Counter(word for word, _ in pairs).items():
        if times > 1:
            raise value_error("values", "each word once", f"{word!r} twice")
        if not word:
            fix = f"pass {keyword('missing')} for records without a score"
            raise value_error("values", "a word before =0", "nothing", fix)
        if (number := convert.number(word)) is not None and math.isfinite(number) and not _is_bool(word):
            raise value_error("values", "words", f"the number {word!r}", "numbers stay as they are")
    if not pairs:
        raise value_error("values", "at least one word", "none")
    return dict(pairs)


def _pairs(text: str) -> list[tuple[str, float]]:
    pairs: list[tuple[str, float]] = []
    at = 0
    while at < len(text) or not pairs:
        found = _PAIR.match(text, at)
        if found is None or found.end() == at:
            raise value_error("values", "WORD=NUMBER, separated by commas, such as 'C=1,I=0'", repr(text))
        pairs.append((_key(found["word"]), _number_of(found["word"], found["number"])))
        at = found.end()
    return pairs


def _number_of(word: str, text: str) -> float:
    number = None if _is_bool(text) else convert.number(text)
    if number is None or not math.isfinite(number):
        raise value_error("values", f"a finite number for {word!r}", repr(text))
    return number


def _pair(word: object, number: object) -> tuple[str, float]:
    if not isinstance(word, str):
        raise type_error("values", "words", f"{shown(word)} among them")
    if not isinstance(number, int | float | np.number):
        raise type_error("values", f"a number for {word!r}", shown(number))
    if not math.isfinite(number):
        raise value_error("values", f"a finite number for {word!r}", repr(number))
    return _key(word), float(number)


def _is_bool(text: str) -> bool:
    return text.strip().lower() in ("true", "false")


def _key(word: str) -> str:
    """A word as it is compared: without the blanks around it; infinity and NaN have one name each."""
    word = shorten(word.strip())
    number = None if _is_bool(word) else convert.number(word)
    return word if number is None or math.isfinite(number) else repr(number)


# ---- the scores of one reading


class ScoreText(NamedTuple):
    """A column of scores, as far as words matter."""

    name: str
    values: Sequence[Any]
    beside: Mapping[str, Sequence[Any]]
    """All columns of the file."""


class Scored(Protocol):
    """Rows that have a score."""

    def score_text(self, score: str | None) -> ScoreText | None:
        """The column of scores, or the one that ``score`` names; None where there is no such column."""
        ...


class Words:
    """How the words of one score are read in all files of a reading.

    A known set of words is looked for in all of them together: what a word is worth does not depend on which other
    words stand in the same file.
    """

    def __init__(self, given: Worth | None, parts: Sequence[Scored], score: str | None = None) -> None:
        self.given = given
        self._parts = parts
        self._score = score
        self._met = False
        self._scales: list[_Scale] = []

    def of_score(self, score: str) -> Words:
        """The same for another score of the same rows."""
        return Words(self.given, self._parts, score)

    def numbers(
        self, values: Sequence[Any], name: str, where: Callable[[int], str], fix: str
    ) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
        """A column of scores as float64, and where it has none."""
        try:
            found, missing = convert.numbers(self._replaced(values, self.given), name, where, fix)
        except RecordError:
            if self.given is None and self.guessed:
                return convert.numbers(self._replaced(values, self.guessed), name, where, fix)
            if LIST in values:
                raise
            return convert.numbers(self._replaced(values, self.given), name, where, self.advice() or fix)
        self._remember_scale(values, found, where)
        return found, missing

    def _replaced(self, values: Sequence[Any], worth: Worth | None) -> Sequence[Any]:
        if worth is None:
            return values
        replaced = {key: _worth(key[1], worth) for key in set(map(_typed, values))}
        self._met |= any(new is not old for (_, old), new in replaced.items())
        return [replaced[_typed(value)] for value in values]

    def _remember_scale(self, values: Sequence[Any], found: NDArray[np.float64], where: Callable[[int], str]) -> None:
        if found.size:
            row = int(np.argmax(np.abs(found)))
            self._scales.append(_Scale(where(row), values[row], float(found[row])))

    def check_scale(self) -> None:
        """Refuse scores in per cent in one file beside numbers beyond 1 in another: those may be per cent too."""
        per_cent = next((one for one in self._scales if one.per_cent), None)
        beyond = next((one for one in self._scales if not one.per_cent and abs(one.number) > 1), None)
        if per_cent and beyond:
            got = f"{per_cent.value!r} on {per_cent.where}"
            fix = f"choose columns of one scale with {keyword('score')}"
            raise record_error(
                beyond.where, f"a score of at most 1 or in per cent, beside {got}", repr(beyond.value), fix
            )

    @lazy
    def _texts(self) -> list[ScoreText]:
        return [text for part in self._parts if (text := part.score_text(self._score)) is not None]

    @lazy
    def guessed(self) -> Worth | None:
        """The known set that the words are, or None."""
        return guess(self._texts)

    @property
    def said(self) -> str | None:
        """What words or per cent were read as, where nobody said it."""
        if self.given is None and self._met and self.guessed:
            return typed(self.guessed, self.guessed, ", ")
        return "per cent (100% is 1)" if any(one.per_cent for one in self._scales) else None

    @property
    def unmet(self) -> list[str]:
        """What is said where no score is one of the words that the caller gave."""
        if self.given is None or self._met:
            return []
        return [f"no score is one of the words {', '.join(map(repr, self.given))} of {keyword('values')}"]

    def advice(self) -> str:
        """What to do about a word that is no score."""
        return advice(self._texts, self.given or {})


class _Scale(NamedTuple):
    """The largest score of a column, as it is written and as a number."""

    where: str
    value: Any
    number: float

    @property
    def per_cent(self) -> bool:
        return isinstance(self.value, str) and self.value.rstrip().endswith("%")


def _typed(value: Any) -> tuple[type, Any]:
    """A value with its type: True and 1 are equal, and not the same word."""
    return (type(value), value)


def _worth(value: Any, worth: Worth) -> Any:
    """The number of a word that is worth something; any other value as it is."""
    if type(value) is bool:
        names = ["true", "True"] if value else ["false", "False"]
        return next((worth[name] for name in names if name in worth), value)
    if type(value) is str or (type(value) is float and not math.isfinite(value)):
        return worth.get(_key(value) if type(value) is str else repr(value), value)
    return value


# ---- known sets


def guess(texts: Sequence[ScoreText]) -> Worth | None:
    """What the words of these columns are worth, if all of their values are of one known set."""
    words = _all_words(texts)
    if words is None or not 0 < len(words) <= MOST_WORDS:
        return None
    found = [worth for known in KNOWN if known.guessed and (worth := _worth_by(known, words, texts)) is not None]
    return found[0] if found and all(one == found[0] for one in found) else None


def _worth_by(known: WordSet, words: Collection[str], texts: Sequence[ScoreText]) -> Worth | None:
    """What a known set says that the words are worth; None where they are not of it, or may be something else."""
    form: Callable[[str], str] = str.lower if known.any_case else str
    worth = {word: known.worth.get(form(word)) for word in words}
    metrics = all(is_metric(text.name) for text in texts)
    needs = (metrics and known.needs_as_metric) or known.needs
    if None in worth.values() or (needs and needs.isdisjoint(map(form, words))):
        return None
    if known.answers and not metrics:
        if not all(says_grade(text.name) for text in texts):
            return None
        if any(_answers_in(text, {form(word) for word in known.worth}, form) for text in texts):
            return None
    return {word: number for word, number in worth.items() if number is not None}


def _answers_in(text: ScoreText, words: Collection[str], form: Callable[[str], str]) -> list[str]:
    """The columns beside that hold answers in these words: the score may then be an answer too."""
    found = []
    for name, values in text.beside.items():
        if name != text.name and sounds_like_answer(name):
            there = _words_alone(values)
            if there and {form(word) for word in there} <= {*words}:
                found.append(name)
    return found


def _all_words(texts: Iterable[ScoreText]) -> set[str] | None:
    """The words of all columns, without those for nothing; None where anything else is among them."""
    words: set[str] = set()
    for text in texts:
        found = _words_alone(text.values)
        if found is None:
            return None
        words |= found
    return words


def _words_alone(values: Iterable[Any]) -> set[str] | None:
    """The words of a column; None where numbers or lists are among them."""
    words = set()
    for value in set(values):
        if type(value) is str and convert.number(value) is None:
            if not convert.is_missing(value):
                words.add(_key(value))
        elif value is not None:
            return None
    return words


def mapped(text: ScoreText, worth: Worth) -> Worth | None:
    """What the words of a column are worth to the caller; None where it has none, or others too."""
    there = words_of(text.values)
    others = (value for value in set(text.values) if value is LIST)
    return {word: worth[word] for word in there} if there and there <= worth.keys() and not any(others) else None


# ---- what to type


def typed(words: Collection[str], worth: Worth, separator: str = ",") -> str:
    """The words as ``values=`` takes them: what is worth most first, what nobody knows last."""
    known = sorted((word for word in words if word in worth), key=lambda word: (-worth[word], word))
    unknown = sorted(word for word in words if word not in worth)
    return separator.join([*(f"{word}={worth[word]:g}" for word in known), *(f"{word}={UNKNOWN}" for word in unknown)])


def advice(texts: Sequence[ScoreText], given: Worth) -> str:
    """What to type about words that are no scores; empty where a column holds text and no grades."""
    words = {word for text in texts for word in words_of(text.values)}
    if not texts or not 0 < len(words) <= MOST_WORDS:
        return f"choose a column of numbers with {keyword('score')}, or compare two with {keyword('score', 'a==b')}"
    shown = ", ".join(map(repr, sorted(words)))
    to_type = suggestion([text.name for text in texts], words, given)
    fix = f"say what each is worth, as in {keyword('values', to_type)}"
    pair = _pair_of(texts[0])
    if pair:
        fix = f"compare the answer with {keyword('score', pair)}, or {fix}"
    return f"its words are {shown}: {fix}"


def words_of(values: Iterable[Any]) -> set[str]:
    """The words of a column, whatever else is in it."""
    strings = {value for value in set(values) if type(value) is str}
    return {_key(value) for value in strings if convert.number(value) is None and not convert.is_missing(value)}


def suggestion(columns: Iterable[str], words: Collection[str], given: Worth = MappingProxyType({})) -> str:
    """The words and those of the caller as ``values=`` takes them, with what they are usually worth."""
    usual = {} if any(map(is_against, columns)) else _usual(words)
    return typed({*given, *words}, {**usual, **given})


def _usual(words: Collection[str]) -> dict[str, float]:
    """What known sets say that each word is worth, where they agree.

    Letters are taken from a set of letters only if it has all of the words: ``C`` among A to D is an option.
    """
    worth = {}
    for word in words:
        numbers = {number for row in KNOWN if (number := _number_in(row, word, words)) is not None}
        if len(numbers) == 1:
            worth[word] = numbers.pop() or 0.0
    return worth


def _number_in(row: WordSet, word: str, words: Collection[str]) -> float | None:
    form: Callable[[str], str] = str.lower if row.any_case else str
    of_letters = max(map(len, row.worth)) == 1
    if of_letters and not {form(one) for one in words} <= row.worth.keys():
        return None
    return row.worth.get(form(word))


def _pair_of(text: ScoreText) -> str | None:
    """The column and another one that holds answers in the same words, as ``target==answer``."""
    words = {word.lower() for word in words_of(text.values)}
    for name in text.beside:
        if name != text.name and sounds_like_answer(name):
            there = {word.lower() for word in words_of(text.beside[name])}
            if there & words and len(there) <= MOST_WORDS:
                return "==".join(sorted((text.name, name), key=lambda one: -rank(one.rpartition(".")[2])))
    return None

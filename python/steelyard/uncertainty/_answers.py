"""The interval and the test of independent rows that the caller of a comparison named."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple, TypedDict

from .._options import choice
from .._registries import names
from ..errors import value_error

__all__ = ["Asked", "asked_of"]


class AnswersKeywords(TypedDict, total=False):
    """The names as keywords of the core, without those that were not given."""

    method: str
    test: str


ANSWERS, SCORES = names("answers.test"), names("scores.test")


class Asked(NamedTuple):
    """The names that were given; None where the data decide."""

    method: str | None
    test: str | None

    @property
    def of_answers(self) -> AnswersKeywords:
        """The names of 0/1 answers."""
        keywords = AnswersKeywords()
        if self.method is not None:
            keywords["method"] = self.method
        if self.test in ANSWERS:
            keywords["test"] = self.test
        return keywords

    @property
    def of_scores(self) -> str:
        """The test of two samples of graded scores."""
        return self.test if self.test in SCORES else SCORES[0]

    def refuse(self, where: str, fix: str = "leave it out") -> None:
        """Refuse names where rows are no independent 0/1 answers: ignored, they would seem to have had an effect."""
        for name, value in self._asdict().items():
            if value is not None:
                expected = f"None {where}, since it chooses what independent rows have"
                raise value_error(name, expected, repr(value), fix)

    def fits(self, instead: str, *, binary: bool) -> None:
        """Refuse names of 0/1 answers for graded scores, which have ``instead``, and the other way round."""
        if binary and self.test in SCORES:
            raise value_error("test", f"one of {', '.join(ANSWERS)} for 0/1 answers", repr(self.test))
        of_answers = self._replace(test=None) if self.test in SCORES else self
        for name, value in of_answers._asdict().items():
            if value is not None and not binary:
                expected = "None for graded scores, since it is a name for 0/1 answers"
                raise value_error(name, expected, repr(value), f"leave it out: they have {instead}")


def asked_of(method: object, test: object, *, paired: bool, other_rows: Mapping[str, bool]) -> Asked:
    """Check the two names, and refuse them where one of ``other_rows`` is the case, by its words."""
    methods = names("paired.method" if paired else "unpaired.method")
    asked = Asked(
        None if method is None else choice(method, "method", methods),
        None if test is None else choice(test, "test", ANSWERS if paired else ANSWERS + SCORES),
    )
    for where, is_so in other_rows.items():
        if is_so:
            asked.refuse(where)
    return asked

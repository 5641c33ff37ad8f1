"""The interval and the test of 0/1 answers that the caller of a comparison named."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple, TypedDict

from .._options import choice
from .._registries import names
from ..errors import value_error

__all__ = ["Asked", "asked_of"]


class AskedKeywords(TypedDict, total=False):
    """The names as keywords of the core, without those that were not given."""

    method: str
    test: str


class Asked(NamedTuple):
    """The names that were given; None where the data decide."""

    method: str | None
    test: str | None

    @property
    def keywords(self) -> AskedKeywords:
        keywords = AskedKeywords()
        if self.method is not None:
            keywords["method"] = self.method
        if self.test is not None:
            keywords["test"] = self.test
        return keywords

    def refuse(self, where: str, fix: str = "leave it out") -> None:
        """Refuse names where rows are no independent 0/1 answers: ignored, they would seem to have had an effect."""
        for name, value in self._asdict().items():
            if value is not None:
                expected = f"None {where}, since it chooses what independent 0/1 answers have"
                raise value_error(name, expected, repr(value), fix)

    def refuse_graded(self, instead: str) -> None:
        """Refuse names for graded scores, which have an interval and a test of their own."""
        self.refuse("for graded scores", f"leave it out: they have {instead}")


def asked_of(method: object, test: object, *, paired: bool, other_rows: Mapping[str, bool]) -> Asked:
    """Check the two names, and refuse them where one of ``other_rows`` is the case, by its words."""
    methods = names("paired.method" if paired else "unpaired.method")
    asked = Asked(
        None if method is None else choice(method, "method", methods),
        None if test is None else choice(test, "test", names("answers.test")),
    )
    for where, is_so in other_rows.items():
        if is_so:
            asked.refuse(where)
    return asked

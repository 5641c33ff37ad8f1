"""The words by which evaluations write a score: one row for each set that is known."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True)
class WordSet:
    """Words that mean a score where a column holds nothing else."""

    worth: Mapping[str, float]
    """The words, and the number that each is read as."""
    guessed: bool = True
    """Whether the words are read without being asked for; of the others a message only says what they may be worth."""
    answers: bool = False
    """Whether they may be answers to a question: they are then read only where the column's name says that it is a
    grade."""
    needs: frozenset[str] = frozenset()
    """If not empty, one of these words has to be in the column: the others alone may mean something else."""
    needs_as_metric: frozenset[str] = frozenset()
    """The same where the column is one of the metrics of an evaluation, such as ``scores.match.value``."""
    any_case: bool = True
    """Whether the words are the same in upper and lower case."""


KNOWN = (
    # Inspect's letters: correct, incorrect, partly correct, no answer. C alone may be a school's grade.
    WordSet(
        {"C": 1, "I": 0, "P": 0.5, "N": 0},
        answers=True,
        needs=frozenset({"I"}),
        needs_as_metric=frozenset({"C", "I"}),
        any_case=False,
    ),
    WordSet({"pass": 1, "fail": 0}),
    WordSet({"passed": 1, "failed": 0}),
    WordSet({"correct": 1, "incorrect": 0}),
    WordSet({"correct": 1, "wrong": 0}),
    WordSet({"right": 1, "wrong": 0}),
    WordSet({"success": 1, "failure": 0}),
    WordSet({"yes": 1, "no": 0}, answers=True),
    WordSet({"y": 1, "n": 0}, answers=True, needs=frozenset({"y"})),
    WordSet({"t": 1, "f": 0}, answers=True, needs=frozenset({"t"})),
    # What often stands beside the words above, but need not be worth the same to everybody.
    WordSet({"partial": 0.5, "partially correct": 0.5, "partially_correct": 0.5}, guessed=False),
    WordSet({"not_attempted": 0, "not attempted": 0, "no answer": 0, "no_answer": 0}, guessed=False),
    WordSet({"timeout": 0, "timed out": 0, "error": 0, "crash": 0, "invalid": 0}, guessed=False),
    WordSet({"good": 1, "bad": 0}, guessed=False),
    WordSet({"win": 1, "tie": 0.5, "loss": 0, "lose": 0}, guessed=False),
)

"""Rows that repeat: the same pair again, in the same order or the other way round."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from .answers import Pair

__all__ = ["Copies", "copies_of", "copies_of_answers", "prompt_codes"]

Orders = dict[tuple[str | None, str, str], tuple[list[int], list[int]]]


@dataclass(frozen=True)
class Copies:
    """How often pairs repeat, and which of them contradict each other."""

    duplicates: int
    """Rows whose prompt, chosen and rejected answers an earlier row has too."""
    repeated: int
    """Pairs of answers to one prompt that more than one row has, in whichever order."""
    repeated_rows: int
    contradictions: int
    """Those that occur in both orders."""
    contradicting: list[int] = field(default_factory=list)
    """The places of their rows, pair by pair."""
    disagreement: list[float] = field(default_factory=list)
    """For each repeated pair the share of the pairs of its rows that disagree."""
    of: list[int] = field(default_factory=list)
    """For each repeated pair the place of its first row."""


def copies_of(pairs: Sequence[Pair]) -> Copies:
    """Find the pairs that repeat; pairs of two identical answers have no order and are not looked at."""
    orders: Orders = {}
    seen: set[tuple[str | None, str, str]] = set()
    duplicates = 0
    for place, pair in enumerate(pairs):
        texts = pair.chosen.strip(), pair.rejected.strip()
        key = (pair.prompt, *texts)
        duplicates += key in seen
        seen.add(key)
        if texts[0] != texts[1]:
            turned = texts[0] > texts[1]
            first, second = texts[::-1] if turned else texts
            orders.setdefault((pair.prompt, first, second), ([], []))[turned].append(place)
    return _counted(orders, duplicates)


def copies_of_answers(prompts: Sequence[str | None], texts: Sequence[str], labels: Sequence[bool]) -> Copies:
    """Find the single answers that repeat, with either label; those without a prompt are not compared."""
    orders: Orders = {}
    duplicates = 0
    for place, (prompt, text, good) in enumerate(zip(prompts, texts, labels, strict=True)):
        if prompt is not None:
            same = orders.setdefault((prompt, text.strip(), ""), ([], []))[good]
            duplicates += bool(same)
            same.append(place)
    return _counted(orders, duplicates)


def _counted(orders: Orders, duplicates: int) -> Copies:
    """The counts, from the places of the rows of each pair in one order and in the other."""
    repeated = [found for found in orders.values() if len(found[0]) + len(found[1]) > 1]
    against = [found for found in repeated if found[0] and found[1]]
    return Copies(
        duplicates=duplicates,
        repeated=len(repeated),
        repeated_rows=sum(len(a) + len(b) for a, b in repeated),
        contradictions=len(against),
        contradicting=[place for a, b in against for place in sorted(a + b)],
        disagreement=[_disagreement(len(a), len(b)) for a, b in repeated],
        of=[min(a + b) for a, b in repeated],
    )


def _disagreement(k: int, j: int) -> float:
    """The share of the pairs of k + j judgements, k one way and j the other, that disagree."""
    m = k + j
    return 2.0 * k * j / (m * (m - 1))


def prompt_codes(prompts: Iterable[str | None]) -> list[int]:
    """A number for each prompt; one that is not known has a number of its own."""
    numbers: dict[str, int] = {}
    found, lone = [], 0
    for prompt in prompts:
        if prompt is None:
            lone -= 1
            found.append(lone)
        else:
            found.append(numbers.setdefault(prompt, len(numbers)))
    return found

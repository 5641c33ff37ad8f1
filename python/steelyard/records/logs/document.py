"""What a kind of log is, and the file that its reader works on."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from .archive import Archive

Object = Mapping[str, Any]


@dataclass
class Document:
    """One file that is being read as a log: what it holds, and what its reader says about it."""

    name: str
    """What messages call the file."""
    objects: Iterable[tuple[Object, int]]
    """The JSON objects of the file with the line of each: one alone, one per line, or the elements of an array."""
    unit: str = "line"
    """What the numbers beside the records count, as errors name them: lines, or ``sample`` for a reader's own count."""
    scores: dict[str, None] = field(default_factory=dict)
    """The columns that can be the score, in order. Without any, a score is guessed by the usual names."""
    apart: tuple[str, ...] = ()
    """Columns whose values are never mixed in one result: the caller has to choose where there are several."""
    notes: list[str] = field(default_factory=list)
    """Sentences that a reader of the results has to know."""
    left_out: Counter[str] = field(default_factory=Counter)
    """How many records were left out, by reason."""

    def note(self, said: str) -> None:
        """Remember a sentence about the file that stands beside the results."""
        self.notes.append(f"{self.name}: {said}")


@dataclass(frozen=True)
class Log:
    """One kind of log."""

    name: str
    """What it is called in a sentence, with its article."""
    recognised: Callable[[Object, bool], bool]
    """Whether a file whose first JSON object this is is such a log; the bool says that it is the only object."""
    records: Callable[[Document], Iterator[tuple[Object, int]]] | None = None
    """Yields the records, each with its number in ``document.unit``; None for a log that holds no graded answers."""
    instead: str = ""
    """What to do about a log without graded answers: in which file they are."""
    unpacked: Callable[[Archive], Object | None] | None = None
    """The same document from a zip archive, None where the archive is something else; for logs that come as zips."""

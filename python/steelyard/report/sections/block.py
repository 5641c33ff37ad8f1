"""What a section of the report consists of, whatever form the report takes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

from ..figures import Picture
from ..tables import Table

MOST_FINDINGS = 10  # what stands in short where there are many models


class Finding(NamedTuple):
    """A sentence for someone who reads nothing else, and the word that says what it amounts to."""

    word: str
    text: str


@dataclass(frozen=True)
class Block:
    """One section: what it says in text, and the pictures that the page draws beside it."""

    title: str
    text: str
    tables: tuple[Table, ...]
    findings: tuple[Finding, ...] = ()
    pictures: tuple[Picture, ...] = ()
    page_only: bool = False
    """Whether the page alone shows it: tables that are folded there and too long for other forms."""
    supplied: bool = False
    """The caller's own: its title and text stand in every form. Those of the others introduce pictures on the page;
    elsewhere their tables have titles enough."""
    folded: bool = False
    """On the page the section is closed until it is opened: what many readers do not need, since a shorter section says
    the main thing."""

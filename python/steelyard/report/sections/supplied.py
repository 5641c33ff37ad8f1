"""A section of the caller's own."""

from __future__ import annotations

from ..._text import printable
from ..figures import Picture
from ..section import Section
from ..tables import Column
from ..words import digits_of
from . import estimates
from .block import Block


def block(section: Section, k: int) -> Block:
    """Section ``k`` of the caller's: each Estimate is shown with the decimal places that its own error allows."""
    title = printable(section.title)
    entries = [(name, e, digits_of([e])) for name, e in section.estimates.items()]
    table = estimates.table(f"{title}: estimates", Column("estimate"), "value", entries)
    label = f"{title}: picture"
    pictures = (Picture(section.size, section.draw, f"supplied{k}", label, math=True),) if section.draw else ()
    return Block(title, printable(section.text), (table,) if entries else (), pictures=pictures, supplied=True)

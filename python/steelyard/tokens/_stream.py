"""Batches that an iterator brings, added to a state one after the other."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from operator import length_hint
from typing import Any

from .._progress import Progress, batch_reporter
from ..errors import shown, type_error, value_error

__all__ = ["add_all", "is_stream"]

# What stands in a batch that is a tuple, by position.
PLACES = ("logits", "targets", "clusters")


def is_stream(x: Any) -> bool:
    """Whether ``x`` is an iterator, whose items are batches: a generator, ``zip(...)``, ``iter(loader)``."""
    return isinstance(x, Iterator)


def add_all(
    batches: Iterator[Any], add: Callable[..., object], progress: Progress, *, first: str, **beside: Any
) -> None:
    """Call ``add`` with each batch in turn.

    ``first`` is the name of the first argument, and ``beside`` are all others by name, None where they were not given:
    each batch brings its own. Where a batch is refused, those before it have been added.
    """
    for name, value in beside.items():
        if value is not None:
            fix = f"let the iterator make mappings with the key {name!r}"
            raise value_error(name, "None beside an iterator of batches", shown(value), fix)
    total = length_hint(batches)
    tell = batch_reporter(progress, total)
    done = 0
    for batch in batches:
        try:
            add(**_arguments(batch, first, (first, *beside)))
        except Exception as error:
            error.add_note(f"in the batch of index {done}; those before it have been added")
            raise
        done += 1
        if tell is not None:
            tell(done, total)
    if tell is not None and done != total:
        tell(done, done)


def _arguments(batch: Any, first: str, known: tuple[str, ...]) -> dict[str, Any]:
    """The arguments that a batch is: a mapping of them by name, a tuple of them by position, or the first one."""
    if isinstance(batch, Mapping):
        named = {first if key == PLACES[0] else key: value for key, value in batch.items()}
        unknown = [key for key in named if key not in known]
        if unknown or first not in named or len(named) < len(batch):
            expected = f"batches with the key {first}, and no others than {', '.join(known[1:])}"
            raise value_error(first, expected, ", ".join(map(repr, batch)) or "none")
        return named
    if isinstance(batch, tuple):
        if not 1 <= len(batch) <= len(PLACES):
            fix = "a mapping names what else there is"
            raise type_error(first, f"batches ({', '.join(PLACES)})", f"a tuple of {len(batch)}", fix)
        return dict(zip((first, *PLACES[1 : len(batch)]), batch, strict=True))
    return {first: batch}

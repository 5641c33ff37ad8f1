"""The states of a pass over a table, and how the rows of a batch are added to them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any, NamedTuple

from .._state import State
from .._text import printable
from ..errors import called, is_ours, shown, type_error, value_error
from .asked import Asked, asked_of
from .batch import Batch
from .parts import Part
from .values import Kinds, values_of

__all__ = ["Work", "add_to", "each_batch", "in_place", "wanted_by", "works_of"]


class Work(NamedTuple):
    """A state, an empty one of the same options that the rows are added to first, and the columns it takes."""

    whole: Any
    part: Any
    asked: Asked


def works_of(columns: Any, state: Any) -> list[Work]:
    """The works of one state, or of several in the order of their names."""
    if isinstance(state, State):
        return [_work(columns, state, "columns")]
    if not isinstance(state, Mapping) or not state or not all(isinstance(one, State) for one in state.values()):
        raise type_error("state", "a state such as uncertainty.EstimateState(), or a mapping of some", shown(state))
    if len({id(one) for one in state.values()}) < len(state):
        raise value_error("state", "a state of its own under each name", "one state under two names")
    if not isinstance(columns, Mapping) or set(columns) != set(state):
        got = f"those of {', '.join(map(repr, columns))}" if isinstance(columns, Mapping) else shown(columns)
        raise value_error("columns", f"a mapping with the names of the states, {', '.join(map(repr, state))}", got)
    return [_work(columns[name], one, f"columns[{name!r}]") for name, one in state.items()]


def _work(columns: Any, state: State, name: str) -> Work:
    return Work(state, state.copy().reset(), asked_of(columns, state, name))


def wanted_by(works: Iterable[Work]) -> list[str]:
    """The columns that the works read, each once."""
    return list(dict.fromkeys(name for work in works for name in work.asked.names))


def each_batch(
    parts: Iterable[Part],
    size: int,
    kinds: Kinds,
    works: list[Work],
    add: Callable[[list[Work], Batch], None] | None = None,
) -> Iterator[Batch]:
    """Add the rows of all parts to the works, at most ``size`` at a time, and give each batch that was added.

    ``add`` is what adds a batch, where that is not each work's update with all of its rows.
    """
    before = 0
    for part in parts:
        start = 0
        for batch in part.batches(size):
            rows = len(batch)
            place = f"rows {start:,} to {start + rows - 1:,} of {part.name}; an index counts from the first of them"
            with in_place(place):
                kinds.check(batch, part.name)
                read = batch.read(values_of)
                if add is not None:
                    add(works, read)
                else:
                    for work in works:
                        # The numbers go on where an earlier scan into the same state has ended.
                        first = work.whole.rows_seen + before if work.asked.numbered else None
                        add_to(work.part, work.asked, read, first)
            start += rows
            before += rows
            yield batch


def add_to(state: Any, asked: Asked, batch: Batch, first_row: int | None = None) -> None:
    """Update a state with the columns of a batch that it takes; messages name the columns.

    ``first_row`` is the number of the batch's first row, for a state that takes one.
    """
    arguments, names = asked.arguments(batch), asked.called
    if first_row is not None:
        arguments["first_row"] = first_row
    try:
        with called(names):
            state._check_batch(arguments)
            state.update(**arguments)
    except (TypeError, ValueError) as error:  # the core's messages have the names of its own arguments
        said = str(error)
        argument = said.partition(":")[0]
        raise type(error)(names[argument] + said.removeprefix(argument) if argument in names else said) from error


@contextmanager
def in_place(place: str) -> Iterator[None]:
    """Add to an error of ours where in the data it arose."""
    try:
        yield
    except (TypeError, ValueError) as error:
        if not is_ours(error):
            raise
        raise type(error)(f"{error} (in {printable(place)})") from error

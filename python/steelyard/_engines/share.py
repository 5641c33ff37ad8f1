"""What one or several partitions have given: the states of each group, as bytes that are merged in any order."""

from __future__ import annotations

import json
import struct
from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple

from .._mode import standard_mode
from .._scan.work import in_place
from .._state import State
from ..errors import value_error

__all__ = ["Ends", "Key", "Share", "ends_of", "merged"]

Key = int | str | None  # the id of a group; None where there are no groups
Ends = tuple[int, int]  # the first and the last of some partitions
LENGTH = struct.Struct("<Q")


class Share(NamedTuple):
    """The states of each group in some partitions."""

    partitions: Ends
    kinds: dict[str, tuple[str, int]]
    """For each column what it holds (numbers, texts) and in which partition that was seen."""
    groups: dict[Key, tuple[int, list[State]]]
    """For each group how many of its rows ``where`` lets count, and its states."""
    nameless: int
    """Rows that would count but have no group."""

    @property
    def place(self) -> str:
        first, last = self.partitions
        return f"partition {first:,}" if first == last else f"partitions {first:,} to {last:,}"

    def to_bytes(self) -> bytes:
        """A head in JSON, and behind it the bytes of the states, which have checksums of their own."""
        groups = [[key, present] for key, (present, _) in self.groups.items()]
        head = json.dumps([self.partitions, self.kinds, groups, self.nameless]).encode()
        states = [state.to_bytes() for _, some in self.groups.values() for state in some]
        return b"".join(piece for written in (head, *states) for piece in (LENGTH.pack(len(written)), written))

    @classmethod
    def from_bytes(cls, data: bytes, states: Sequence[State]) -> Share:
        """The share that these bytes hold, of states of the same classes and options as the empty ``states``."""
        pieces = _pieces(data)
        ends, kinds, listed, nameless = json.loads(next(pieces))
        share = cls((ends[0], ends[1]), {column: (kind, at) for column, (kind, at) in kinds.items()}, {}, nameless)
        with in_place(share.place):
            for key, present in listed:
                share.groups[key] = (present, [type(state).from_bytes(next(pieces)) for state in states])
        return share


def ends_of(at: int) -> Ends:
    """One partition."""
    return at, at


def _pieces(data: bytes) -> Iterator[bytes]:
    at = 0
    while at < len(data):
        (length,) = LENGTH.unpack_from(data, at)
        at += LENGTH.size + length
        yield data[at - length : at]


@standard_mode
def merged(states: Sequence[State], shares: Iterable[bytes]) -> bytes:
    """The share of all partitions of several shares; ``states`` are the empty states that they began with."""
    return joined(states, shares).to_bytes()


def joined(states: Sequence[State], shares: Iterable[bytes]) -> Share:
    """The share of all partitions of several shares, read; that of none is empty."""
    whole = Share(ends_of(0), {}, {}, 0)
    for count, data in enumerate(shares):
        part = Share.from_bytes(data, states)
        whole = _plus(whole if count else whole._replace(partitions=part.partitions), part, states)
    return whole


def _plus(whole: Share, part: Share, states: Sequence[State]) -> Share:
    """Add a share to another, in whose place the result stands."""
    for column, (kind, at) in part.kinds.items():
        seen, where = whole.kinds.setdefault(column, (kind, at))
        if kind != seen:
            raise value_error(f"column {column!r}", f"{seen}, as in partition {where:,}", f"{kind} in partition {at:,}")
    for key, (present, some) in part.groups.items():
        before, totals = whole.groups.get(key) or (0, [state.copy() for state in states])
        with in_place(part.place):
            for total, one in zip(totals, some, strict=True):
                total.merge(one)
        whole.groups[key] = (before + present, totals)
    first, last = (side(whole.partitions + part.partitions) for side in (min, max))
    return Share((first, last), whole.kinds, whole.groups, whole.nameless + part.nameless)

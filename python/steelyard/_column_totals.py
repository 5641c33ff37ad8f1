"""The sums of several columns of the same rows (tokens, pairs), changed, merged and saved together.

Each column has an ``EstimateTotals`` of the core, whose sums are exact. This class keeps them in step: a change makes
new totals from copies (which share memory with the old ones) and puts all of them in place by one assignment, so that
an interrupt leaves the state as it was, and a child that is forked meanwhile has the totals of the last whole change.
Where another thread or a signal handler has changed the state meanwhile, the change is made again from its totals.

The bytes have the envelope that the core writes around every state (``rust/kernels/src/state/bytes.rs``), with a kind
of :data:`KINDS`, and as rows the bytes of each column's state, each behind its length.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Callable, Sequence
from typing import ClassVar, NamedTuple, Self

import numpy as np
from numpy.typing import NDArray

from . import _core
from ._clusters import Names
from ._progress import OnProgress
from .errors import value_error

__all__ = ["ColumnTotals", "PairTotals", "PairedTotals", "Sizes", "TokenTotals"]

Parts = tuple[_core.EstimateTotals, ...]

MAGIC, LAYOUT = b"SYST", 1
# The states of several columns by the number that stands in their bytes; those of the core have the numbers below.
# The kinds of state whose bytes the core writes.
OF_CORE = {
    1: "PerplexityState", 2: "ReliabilityState", 3: "GlobalNormState", 4: "EstimateState", 7: "ConfidenceSequenceState",
    8: "EstimateState", 10: "BootstrapState", 11: "QuantileState",
}  # fmt: skip
KINDS = {5: "TokenState", 6: "PreferenceState", 9: "CompareState"}
HEAD, COUNT, LENGTH, CHECKSUM = (struct.Struct(form) for form in ("<4sBBH", "<I", "<Q", "<I"))
SHORTEST = HEAD.size + 2 * COUNT.size + CHECKSUM.size
# Bytes added to a checksum at once: a few milliseconds.
STRIDE = 1 << 22


class Sizes(NamedTuple):
    """How many rows count and in how many clusters, and how many do not count and why."""

    rows: int
    clusters: int
    excluded: int
    nan: int


class ColumnTotals:
    """The totals of a number of columns."""

    KIND: ClassVar[int]
    CLUSTERED: ClassVar[bool]
    """Whether the rows are always in clusters."""
    ALONE: ClassVar[bool] = False
    """Whether the first column alone is kept by clusters."""

    def __init__(self, columns: int) -> None:
        self._parts: Parts = tuple(_core.EstimateTotals() for _ in range(columns))

    @property
    def parts(self) -> Parts:
        """The totals of each column after the last whole change; not to be changed."""
        return self._parts

    def update(
        self,
        columns: Sequence[NDArray[np.float64]],
        codes: NDArray[np.int64] | None,
        names: Names | None,
        *,
        excluded: int,
        nan: int,
        progress: OnProgress = None,
    ) -> None:
        """Add rows: for each column their values, and the cluster of each row as a position in ``names``, if any."""

        def add(parts: Parts) -> None:
            for at, (part, values) in enumerate(zip(parts, columns, strict=True)):
                of = (None, None) if at and self.ALONE else (codes, names)
                part.update(
                    values, codes=of[0], names=of[1], excluded=excluded, nan=nan,
                    progress=None if progress is None else _share(progress, at, len(parts)),
                )  # fmt: skip

        fresh = type(self)(len(self._parts))
        add(fresh._parts)
        self.merge(fresh)

    def merge(self, other: Self) -> None:
        """Add the totals of another state of the same columns."""
        added = other._parts
        while True:
            old = self._parts
            new = tuple(part.copy() for part in old)
            for part, more in zip(new, added, strict=True):
                part.merge(more)
            # Between these two lines Python lets no other thread and no signal handler run: it does so only at calls
            # and where a loop jumps back.
            if self._parts is old:
                self._parts = new
                return

    def size(self) -> Sizes:
        """The number of rows and clusters; of all columns the same."""
        found = self._parts[0].size()
        return Sizes(found["values"], found["clusters"], found["excluded"], found["nan"])

    def copy(self) -> Self:
        """An independent copy."""
        return self._of(tuple(part.copy() for part in self._parts))

    @classmethod
    def _of(cls, parts: Parts) -> Self:
        made = cls(0)
        made._parts = parts
        return made

    def to_bytes(self, config: bytes) -> bytes:
        """The bytes of the totals, with the caller's configuration."""
        pieces = [HEAD.pack(MAGIC, self.KIND, LAYOUT, _numerics()), COUNT.pack(len(config)), config]
        parts = self._parts
        pieces.append(COUNT.pack(len(parts)))
        for part in parts:
            written = part.to_bytes(b"")
            pieces += [LENGTH.pack(len(written)), written]
        whole = b"".join(pieces)
        return whole + CHECKSUM.pack(_checksum(whole))

    @classmethod
    def from_bytes(cls, data: bytes) -> tuple[Self, bytes]:
        """The totals that these bytes hold, and the caller's configuration."""
        _check_envelope(data, cls.KIND)
        body = data[HEAD.size : -CHECKSUM.size]
        try:
            config, body = _cut(body, COUNT)
            count, body = COUNT.unpack_from(body)[0], body[COUNT.size :]
            written = []
            while body:
                part, body = _cut(body, LENGTH)
                written.append(part)
        except struct.error:
            raise _malformed() from None
        if len(written) != count or not count:
            raise _malformed()
        found = [_core.EstimateTotals.from_bytes(part) for part in written]
        if any(own for _, own in found) or not _in_step(
            [part for part, _ in found], clustered=cls.CLUSTERED, alone=cls.ALONE
        ):
            raise value_error("data", "columns of the same rows", "others")
        return cls._of(tuple(part for part, _ in found)), config


class TokenTotals(ColumnTotals):
    """The totals of columns of tokens, which are always in documents."""

    KIND = 5
    CLUSTERED = True


class PairTotals(ColumnTotals):
    """The totals of columns of preference pairs."""

    KIND = 6
    CLUSTERED = False


class PairedTotals(ColumnTotals):
    """The totals of a paired comparison: differences, both sides, and 0 or 1 for a win and for a loss of each row."""

    KIND = 9
    CLUSTERED = False
    ALONE = True

    def __init__(self, columns: int = 5) -> None:
        super().__init__(columns)

    @property
    def clustered(self) -> bool:
        """Whether the rows are in clusters."""
        return self._parts[0].clustered()


def _share(progress: Callable[[int, int], object], at: int, of: int) -> Callable[[int, int], object]:
    """What the update of one column tells, as a part of the whole."""
    return lambda done, total: progress(at * total + done, of * total)


def _numerics() -> int:
    """The arithmetic of the sums, which are those of an EstimateState."""
    return _core.state_numerics()["EstimateState"]


def _checksum(data: bytes) -> int:
    found = 0
    for first in range(0, len(data), STRIDE):
        found = zlib.crc32(memoryview(data)[first : first + STRIDE], found)
    return found


def _check_envelope(data: bytes, wanted: int) -> None:
    """Refuse bytes that are damaged, hold another kind of state or were written by another version."""
    intact = len(data) >= SHORTEST and data.startswith(MAGIC)
    if not intact or CHECKSUM.unpack(data[-CHECKSUM.size :])[0] != _checksum(data[: -CHECKSUM.size]):
        _core.EstimateTotals.from_bytes(data)  # raises: it says of any bytes what is wrong with them
    _, kind, layout, numerics = HEAD.unpack_from(data)
    what = KINDS[wanted]
    if kind != wanted:
        kinds = OF_CORE | KINDS
        got = f"a {kinds[kind]}" if kind in kinds else f"an unknown kind ({kind})"
        raise value_error("data", f"a {what}", got)
    if layout != LAYOUT:
        fix = "another version of steelyard wrote this state"
        raise value_error("data", f"layout {LAYOUT} of a {what}", str(layout), fix)
    if numerics != _numerics():
        fix = "sums of two arithmetics are not mixed: compute it again from the data"
        raise value_error("data", f"numerics {_numerics()} of a {what}", str(numerics), fix)


def _cut(body: bytes, size: struct.Struct) -> tuple[bytes, bytes]:
    """The piece at the beginning of ``body``, which stands behind its length, and the rest."""
    (length,) = size.unpack_from(body)
    if length > len(body) - size.size:
        raise struct.error
    end = size.size + length
    return body[size.size : end], body[end:]


def _malformed() -> ValueError:
    return value_error("data", "rows that fill the state", "counts that disagree with its length")


def _in_step(parts: Sequence[_core.EstimateTotals], *, clustered: bool, alone: bool) -> bool:
    """Whether all columns are of the same rows, in the same clusters."""
    first = parts[0]
    size, sizes = first.size(), first.cluster_sums(0.0)[1]
    if clustered and size["values"] and not first.clustered():
        return False
    if alone:
        counts = [{**part.size(), "clusters": 0} for part in parts]
        return all(one == counts[0] for one in counts) and not any(part.clustered() for part in parts[1:])
    for part in parts[1:]:
        if part.size() != size or not np.array_equal(part.cluster_sums(0.0)[1], sizes):
            return False
        together = first.copy()
        try:
            together.merge(part)
        except (TypeError, ValueError):  # one has no clusters, or more values than any data has
            return False
        if together.size()["clusters"] != size["clusters"]:  # merging adds the ids that are not there yet
            return False
    return True

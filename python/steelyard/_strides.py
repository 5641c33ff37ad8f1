"""NumPy operations on long arrays, split into steps.

Python handles signals such as Ctrl-C between two calls, but not inside a NumPy call; with short steps it answers soon.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from . import _core

__all__ = [
    "STRIDE", "coded", "coded_objects", "converted", "kept", "listed", "near", "rows_by_part", "side_by_side",
    "strides",
]  # fmt: skip

Array = NDArray[Any]

# Rows per step. The slowest operation, sorting texts, takes a few milliseconds for so many.
STRIDE = 1 << 16
# Sampled ids per splitter (see _parted): enough that the parts have about equal sizes.
DRAWN = 32
# The fractional part of the golden ratio times 2^64. Multiplying by it scatters the sample positions, so that a pattern
# in the data does not bias the sample.
SCATTER = np.uint64(0x9E3779B97F4A7C15)


def strides(n: int) -> Iterator[slice]:
    """Slices of at most ``STRIDE`` entries that together cover ``range(n)``, in order."""
    return (slice(first, min(first + STRIDE, n)) for first in range(0, n, STRIDE))


def listed(items: Sequence[Any]) -> Array:
    """``numpy.asarray`` of a list or tuple; a long plain one in steps."""
    if len(items) <= STRIDE or not isinstance(items[0], bool | int | float | str | bytes):
        return np.asarray(items)
    parts = [np.asarray(items[step]) for step in strides(len(items))]
    dtypes = {part.dtype for part in parts}
    texts = all(dtype.kind == "U" for dtype in dtypes) or all(dtype.kind == "S" for dtype in dtypes)
    if any(part.ndim != 1 for part in parts) or not (texts or len(dtypes) == 1):
        return np.asarray(items)  # the dtype of a mixture depends on all items together
    return _joined(parts, max(dtypes, key=lambda dtype: dtype.itemsize))


def converted(array: Array, dtype: np.dtype[Any] | type[np.generic]) -> Array:
    """``array.astype(dtype)`` in steps; texts get the width of the longest one."""
    parts = [array[step].astype(dtype) for step in strides(len(array))]
    dtypes = [part.dtype for part in parts] or [np.dtype(dtype)]
    return _joined(parts, max(dtypes, key=lambda dtype: dtype.itemsize))


def kept(array: Array, keep: NDArray[np.bool_]) -> Array:
    """``array[keep]`` in steps."""
    return _joined([array[step][keep[step]] for step in strides(len(array))], array.dtype)


def side_by_side(columns: Sequence[Array]) -> Array:
    """``numpy.stack(columns, axis=1)`` in steps."""
    table = np.empty((len(columns[0]), len(columns)), columns[0].dtype)
    for step in strides(len(table)):
        for j, column in enumerate(columns):
            table[step, j] = column[step]
    return table


def _joined(parts: Sequence[Array], dtype: np.dtype[Any]) -> Array:
    whole = np.empty(sum(map(len, parts)), dtype)
    first = 0
    for part in parts:
        whole[first : first + len(part)] = part
        first += len(part)
    return whole


def near(ids: Array) -> tuple[NDArray[np.int64], Array] | None:
    """As :func:`coded`, for a plain int64 array of numbers near each other, in the core; None for any other.

    The array may be the caller's: where another thread writes to it meanwhile, there are no codes.
    """
    plain = type(ids) is np.ndarray and ids.ndim == 1 and ids.dtype == np.int64
    if not (plain and ids.flags.c_contiguous and ids.flags.aligned) or (found := _core.near_codes(ids)) is None:
        return None
    return found["codes"], found["above"] + np.int64(found["low"])


def coded(ids: Array) -> tuple[NDArray[np.int64], Array]:
    """Encode ids without NaN as integers: codes and the sorted unique ids, with ``ids == unique[codes]``."""
    if (found := near(ids)) is not None:
        return found
    if ids.dtype.kind in "iu" and ids.size:
        low, span = int(ids.min()), int(ids.max()) - int(ids.min())
        if span < 4 * ids.size + 1024:
            return _near(ids, low, span)
    return _sorted(ids) if ids.size <= STRIDE else _parted(ids)


def coded_objects(ids: Array) -> tuple[NDArray[np.int64], Array]:
    """As :func:`coded`, for Python objects, by their own ``==`` and ``<``."""
    found: dict[Any, int] = {}
    codes = np.empty(len(ids), np.int64)
    for step in strides(len(ids)):
        codes[step] = [found.setdefault(item, len(found)) for item in ids[step].tolist()]
    unique = np.fromiter(sorted(found), object, len(found))
    rank = np.empty(len(found), np.int64)
    rank[[found[item] for item in unique.tolist()]] = np.arange(len(found))
    for step in strides(len(ids)):
        codes[step] = rank[codes[step]]
    return codes, unique


def _sorted(ids: Array) -> tuple[NDArray[np.int64], Array]:
    unique, inverse = np.unique(ids, return_inverse=True)
    return inverse.ravel().astype(np.int64, copy=False), unique


def _near(ids: Array, low: int, span: int) -> tuple[NDArray[np.int64], Array]:
    """Encode whole numbers of a small range by a table of that range, without sorting."""

    def offsets(step: slice) -> NDArray[np.int64]:
        # The subtraction could overflow a small signed type, so it is done in int64; uint64 might not fit int64.
        wide = ids[step].astype(np.int64) if ids.dtype.kind == "i" else ids[step]
        return (wide - wide.dtype.type(low)).astype(np.int64)

    present = np.zeros(span + 1, np.bool_)
    for step in strides(ids.size):
        present[offsets(step)] = True
    rank, found = np.empty(span + 1, np.int64), 0
    unique = []
    for step in strides(span + 1):
        rank[step] = np.cumsum(present[step], dtype=np.int64) + (found - 1)
        found = int(rank[step.stop - 1]) + 1
        kind = np.int64 if ids.dtype.kind == "i" else ids.dtype.type
        unique.append((np.flatnonzero(present[step]) + step.start).astype(kind) + kind(low))
    codes = np.empty(ids.size, np.int64)
    for step in strides(ids.size):
        codes[step] = rank[offsets(step)]
    return codes, _joined(unique, ids.dtype)


def _parted(ids: Array) -> tuple[NDArray[np.int64], Array]:
    """Encode many ids by sample sort: split them by values sampled from them, then sort each part."""
    n = ids.size
    places = np.arange(DRAWN * 4 * n // STRIDE, dtype=np.uint64) * SCATTER % np.uint64(n)
    between = np.unique(ids[places])[::DRAWN]
    # Part 2k holds the ids below the k-th splitter (and above the one before), part 2k + 1 those equal to it.
    parts = np.empty(n, np.uint16 if 2 * len(between) < 2**16 else np.int64)
    sizes = np.zeros(2 * len(between) + 1, np.int64)
    for step in strides(n):
        before = np.searchsorted(between, ids[step])
        equal = between[np.minimum(before, len(between) - 1)] == ids[step]
        parts[step] = 2 * before + equal
        sizes += np.bincount(parts[step], minlength=len(sizes))
    ends = np.cumsum(sizes)
    rows = rows_by_part(parts, ends - sizes)
    codes, unique, found = np.empty(n, np.int64), [], 0
    for part in np.flatnonzero(sizes).tolist():
        here = rows[ends[part] - sizes[part] : ends[part]]
        if part % 2:
            few = between[part // 2 : part // 2 + 1]
            for step in strides(len(here)):
                codes[here[step]] = found
        else:
            # A part is seldom longer than a step; where it is, it is split again.
            inner, few = coded(ids[here]) if len(here) < n else _sorted(ids)
            codes[here] = inner + found
        unique.append(few)
        found += len(few)
    return codes, _joined(unique, ids.dtype)


def rows_by_part(parts: Array, starts: NDArray[np.int64]) -> NDArray[np.int64]:
    """The row numbers sorted by part, in their original order within each part (a stable counting sort)."""
    rows, next_place = np.empty(len(parts), np.int64), starts.copy()
    for step in strides(len(parts)):
        order = np.argsort(parts[step], kind="stable")
        of = parts[step][order]
        sizes = np.bincount(of, minlength=len(starts))
        rows[next_place[of] + np.arange(len(of)) - (np.cumsum(sizes) - sizes)[of]] = order + step.start
        next_place += sizes
    return rows

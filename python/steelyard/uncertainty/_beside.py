"""Columns that are resampled beside each other, so that they share the random numbers."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import numpy as np

from .._columns import Array
from .._rows import Rows

__all__ = ["alike"]

# Numbers of the columns that are resampled together: 128 MiB, of which the core makes a second copy.
NUMBERS = 1 << 24
FEWEST, MOST = 16, 128


def alike(columns: Iterable[tuple[str, Array, Rows]]) -> Iterator[list[tuple[str, Array, Rows]]]:
    """Neighbouring columns of which the same rows count, as many together as the memory allows."""
    same: list[tuple[str, Array, Rows]] = []
    for name, x, rows in columns:
        if same:
            _, first, before = same[0]
            most = min(MOST, max(FEWEST, NUMBERS // len(first)))
            if len(same) == most or len(x) != len(first) or not _same_rows(rows, before):
                yield same
                same = []
        same.append((name, x, rows))
    yield same


def _same_rows(one: Rows, other: Rows) -> bool:
    if one.keep is None or other.keep is None:
        return one.keep is other.keep
    return bool(np.array_equal(one.keep, other.keep))

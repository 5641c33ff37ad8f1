"""What calls on the tokens of answers are given: tables ``[n, T]``, and which of their tokens count."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from .._arrays import booleans, floats, integers, to_float64
from ..errors import value_error

__all__ = ["Counted", "counted_of", "in_one_type", "table"]


class Counted(NamedTuple):
    """Which tokens of ``[n, T]`` count: under a mask, and within the lengths of the answers."""

    where: NDArray[np.bool_] | None
    lengths: NDArray[np.int64] | None
    shape: tuple[int, ...]

    @property
    def for_core(self) -> tuple[Any, Any]:
        """The two as the core takes them."""
        return self.where, self.lengths

    def mask(self) -> NDArray[np.bool_]:
        """The tokens that count."""
        if self.lengths is None:
            return np.ones(self.shape, np.bool_) if self.where is None else self.where
        inside: NDArray[np.bool_] = np.arange(self.shape[1]) < self.lengths[:, None]
        return inside if self.where is None else inside & self.where

    def lowest(self, x: NDArray[Any]) -> float:
        """The smallest number of ``x`` that counts, at most 0; without a mask where lengths alone say what counts."""
        if self.where is not None:
            return float(np.minimum.reduce(x, axis=None, where=self.mask(), initial=0.0))
        if self.lengths is None:
            return min(float(x.min()), 0.0)
        rows = np.flatnonzero(self.lengths)
        ends = np.stack([rows * self.shape[1], rows * self.shape[1] + self.lengths[rows]], axis=1).reshape(-1)
        of_rows = np.minimum.reduceat(x.reshape(-1), ends[:-1] if ends[-1] == x.size else ends)[::2]
        return min(float(of_rows.min()), 0.0)


def counted_of(where: Any, lengths: Any, shape: tuple[int, ...]) -> Counted:
    """Check a mask of the shape of the tokens, and lengths of the answers, either of which may be None."""
    keep = None if where is None else booleans(where, "where", shape)
    if lengths is None:
        return Counted(keep, None, shape)
    numbers = integers(lengths, "lengths", ndim=1)
    if numbers.shape != shape[:1]:
        raise value_error("lengths", f"{shape[0]} numbers, one per answer", str(len(numbers)))
    bad = (numbers < 0) | (numbers > shape[1])
    if bad.any():
        i = int(np.argmax(bad))
        raise value_error("lengths", f"whole numbers from 0 to {shape[1]}", f"{numbers[i]} at index {i}")
    return Counted(keep, numbers, shape)


def table(x: Any, name: str, shape: tuple[int, ...] | None = None, like: str = "") -> NDArray[Any]:
    """Numbers ``[n, T]`` in a floating type, of the ``shape`` of the argument ``like`` where that is given."""
    array = floats(x, name, numbers=True)
    if shape is not None and array.shape != shape:
        raise value_error(name, f"the shape of {like}, {shape}", f"shape {array.shape}")
    if array.ndim != 2:
        raise value_error(name, "tokens of answers, [n, T]", f"shape {array.shape}")
    if not array.size:
        raise value_error(name, "at least one token", f"shape {array.shape}")
    return array


def in_one_type(tables: list[NDArray[Any]], double: bool) -> list[NDArray[Any]]:
    """The tables in float32 if all of them are in float32 or 16 bits (which is exact), else in float64."""
    if double or any(x.dtype.itemsize > 4 for x in tables):
        return [to_float64(x) for x in tables]
    return [(to_float64(x) if x.dtype == np.uint16 else x).astype(np.float32, copy=False) for x in tables]

"""The arguments of ``reliability`` as arrays that the kernel reads: probabilities, and labels as column numbers."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from .._arrays import codes, describe, floats, items, labels
from .._rows import is_nan
from ..errors import type_error, value_error

Array = NDArray[Any]
Mask = NDArray[np.bool_]
BF16_NAN = np.uint16(0x7FC0)


def class_labels(classes: Any) -> list[Any] | None:
    """Class labels as Python values, in column order."""
    if classes is None:
        return None
    listed = items(classes, "classes", "labels")
    if not isinstance(listed, list) or not all(isinstance(item, str | int | float) for item in listed):
        raise type_error("classes", "one axis of integers, strings or numbers", describe(classes))
    if len(set(listed)) != len(listed):
        raise value_error("classes", "distinct labels", repr(listed))
    return listed


def columns_of(
    targets: Any, classes: list[Any], n: int, keep: Mask | None, omit: bool
) -> tuple[NDArray[np.int64], Mask | None]:
    """The column number of each label, and which rows have no label (None: all rows have one)."""
    given, missing = labels(targets, "targets", keep, omit)
    if missing is not None and given.shape == (n,):
        keep = ~missing if keep is None else keep & ~missing
    code = np.zeros(n, np.int64)
    found, unique = codes(given, "targets", n, keep)
    code[slice(None) if keep is None else keep] = found
    column = {label: k for k, label in enumerate(classes)}
    at = np.array([column.get(label, -1) for label in unique.tolist()], dtype=np.int64)
    columns = at[code] if len(at) else code
    unknown = columns < 0 if keep is None else (columns < 0) & keep
    if unknown.any():
        first = int(np.flatnonzero(unknown)[0])
        raise value_error("targets", "labels in classes", f"{unique.tolist()[code[first]]!r} at index {first}")
    return columns, missing


def without(probs: Array, rows: Mask) -> Array:
    """A copy of ``probs`` with NaN in these rows, which have no label to compare the probabilities with."""
    blank = np.array(probs)  # keeps its dtype, to which the edges of the bins are rounded
    blank[rows] = BF16_NAN if blank.dtype == np.uint16 else np.nan
    return blank


def rows_of_nan(probs: Array) -> Mask:
    """Which rows contain a NaN."""
    nan = is_nan(probs)
    return np.logical_or.reduce(nan, axis=1) if nan.ndim == 2 else nan


def probabilities(probs: Any) -> Array:
    """``probs`` as an array of one axis that is contiguous, or of rows whose last axis is contiguous."""
    array = floats(probs, "probs", ndim=(1, 2), contiguous=False, numbers=True, table=True)
    rows_lie_whole = array.ndim == 2 and (array.shape[1] <= 1 or array.strides[1] == array.itemsize)
    return array if rows_lie_whole else np.ascontiguousarray(array)

"""What a caller passes, as arrays that the kernel reads: probabilities, and labels as column numbers."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from .._arrays import codes, describe, floats, plain
from ..errors import type_error, value_error

Array = NDArray[Any]


def class_labels(classes: Any) -> list[Any] | None:
    """Class labels as Python values, in column order."""
    if classes is None:
        return None
    listed = classes if isinstance(classes, list) else plain(classes, "classes").tolist()
    if not isinstance(listed, list) or not all(isinstance(item, str | int | float) for item in listed):
        raise type_error("classes", "one axis of integers, strings or numbers", describe(classes))
    if any(item != item for item in listed):
        raise value_error("classes", "labels", "NaN")
    if len(set(listed)) != len(listed):
        raise value_error("classes", "distinct labels", repr(listed))
    return listed


def columns_of(targets: Any, classes: list[Any], n: int, keep: NDArray[np.bool_] | None) -> NDArray[np.int64]:
    """Column of each label."""
    code, unique = codes(targets, "targets", n)
    column = {label: k for k, label in enumerate(classes)}
    found = np.array([column.get(label, -1) for label in unique.tolist()], dtype=np.int64)
    labels = found[code] if n else code
    unknown = labels < 0 if keep is None else (labels < 0) & keep
    if unknown.any():
        first = int(np.flatnonzero(unknown)[0])
        raise value_error("targets", "labels in classes", f"{unique[code[first]].item()!r} at index {first}")
    return labels


def probabilities(probs: Any) -> Array:
    """One axis in one piece, or rows whose last axis is."""
    array = floats(probs, "probs", ndim=(1, 2), contiguous=False, numbers=True)
    rows_lie_whole = array.ndim == 2 and (array.shape[1] <= 1 or array.strides[1] == array.itemsize)
    return array if rows_lie_whole else np.ascontiguousarray(array)

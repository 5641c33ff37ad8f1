"""Ids of clusters that last across updates: codes for the rows of a batch, and the names that a state keeps."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from ._arrays import codes
from ._strides import strides
from .errors import type_error, value_error

__all__ = ["Names", "codes_and_names"]

Array = NDArray[Any]
Names = NDArray[np.int64] | list[str]


def codes_and_names(
    ids: Any, name: str, n: int, keep: NDArray[np.bool_] | None = None
) -> tuple[NDArray[np.int64], Names]:
    """A code for each of ``n`` rows, and the name of each code: whole numbers, or texts.

    Parameters
    ----------
    keep : boolean array, shape [n], optional
        Rows that count; the others may lack an id, and their code says nothing.
    """
    if isinstance(ids, tuple):
        raise type_error(name, "an array or a list of ids", "a tuple")
    if keep is None:
        numbers, unique = codes(ids, name, n)
    else:
        numbers = np.zeros(n, np.int64)
        numbers[keep], unique = codes(ids, name, n, keep)
    return numbers, _names(unique, name)


def _names(unique: Array, name: str) -> Names:
    """Ids as whole numbers or texts: what a state can tell apart on any machine."""
    kind = unique.dtype.kind
    if kind == "f" and (np.abs(unique.astype(np.longdouble)) < 2**63).all() and (unique == np.floor(unique)).all():
        kind = "i"  # a frame column that had gaps
    if kind in "iub":
        whole = unique.astype(np.int64)
        if (whole == unique).all():
            return whole
    elif kind in "US":
        return [_text(text, name) for step in strides(len(unique)) for text in unique[step].tolist()]
    elif kind == "M":  # a day is one id in whatever unit it comes
        steps = strides(len(unique))
        return [text for step in steps for text in np.datetime_as_string(unique[step], unit="auto").tolist()]
    elif kind == "O" and all(isinstance(text, str | bytes) for text in unique):
        return [_text(text, name) for text in unique]
    raise type_error(name, "ids that are whole numbers below 2**63 or texts", f"{unique.dtype} ids")


def _text(of: str | bytes, name: str) -> str:
    """An id as text that every machine can write."""
    try:
        text = of.decode() if isinstance(of, bytes) else of
        text.encode()
    except UnicodeError:
        raise value_error(name, "ids of valid Unicode", repr(of)) from None
    return text

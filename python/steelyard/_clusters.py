"""Ids of clusters and groups, encoded as integers for the core, and written as names for results and saved states."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from ._arrays import codes
from ._strides import coded, kept, strides
from .errors import type_error, value_error

__all__ = ["Names", "by_weight", "codes_and_names", "codes_of_all", "names_of", "taken", "texts"]

Array = NDArray[Any]
Names = NDArray[np.int64] | list[str]


def codes_and_names(
    ids: Any, name: str, n: int, keep: NDArray[np.bool_] | None = None
) -> tuple[NDArray[np.int64], Names]:
    """An integer code for each of ``n`` rows, and the name of each code: a whole number or a text.

    Parameters
    ----------
    keep : boolean array, shape [n], optional
        Rows that count; the others may lack an id, and their codes are meaningless.
    """
    if isinstance(ids, tuple):
        raise type_error(name, "an array or a list of ids", "a tuple")
    numbers, unique = codes_of_all(ids, name, n, keep)
    return numbers, names_of(unique, name)


def by_weight(
    numbers: NDArray[np.int64], names: Names, weights: NDArray[np.float64], keep: NDArray[np.bool_] | None
) -> tuple[NDArray[np.int64], Names, NDArray[np.float64]]:
    """Split clusters by the weights of their rows, so that all rows of one code have one weight.

    Returns a code for each row, and the name of the cluster and the weight of each code.

    Parameters
    ----------
    numbers, names
        What :func:`codes_and_names` returned.
    weights : float64, one per row
        Finite in the rows that count.
    keep : boolean array, shape [n], optional
        Rows that count; the codes of the others are meaningless.
    """
    clusters = numbers if keep is None else kept(numbers, keep)
    of_weight, unique = coded(weights if keep is None else kept(weights, keep))
    found, pairs = coded(clusters * len(unique) + of_weight)
    if keep is None:
        numbers = found
    else:
        numbers = np.zeros(len(keep), np.int64)
        numbers[keep] = found
    cluster, weight = np.divmod(pairs, max(len(unique), 1))
    return numbers, taken(names, cluster), unique[weight]


def taken(names: Names, of: NDArray[np.int64]) -> Names:
    """Some of the names, by their codes."""
    if isinstance(names, list):
        return [names[i] for step in strides(len(of)) for i in of[step].tolist()]
    return names[of]


def codes_of_all(
    ids: Any, name: str, n: int, keep: NDArray[np.bool_] | None = None, blank: int = 0
) -> tuple[NDArray[np.int64], Array]:
    """As :func:`~steelyard._arrays.codes`, but with a code for each of ``n`` rows: ``blank`` where one is not kept."""
    found, unique = codes(ids, name, n, keep)
    if keep is None:
        return found, unique
    numbers = np.full(n, blank, np.int64)
    numbers[keep] = found
    return numbers, unique


def texts(unique: Array, name: str) -> list[str]:
    """Ids as text: whole numbers without a decimal point, days as ``2026-01-31``."""
    kind, steps = unique.dtype.kind, strides(len(unique))
    if kind == "M":  # "auto" writes a day the same way whatever the unit of the dtype
        return [text for step in steps for text in np.datetime_as_string(unique[step], unit="auto").tolist()]
    if _are_texts(unique):
        return [_text(text, name) for step in steps for text in unique[step].tolist()]
    whole = unique.astype(np.int64) if kind == "f" and _are_whole(unique) else unique
    return [str(number) for step in steps for number in whole[step].tolist()]


def names_of(unique: Array, name: str) -> Names:
    """Ids as whole numbers or texts, the two kinds that a saved state can store and compare on any machine."""
    kind = unique.dtype.kind
    if kind in "iub" or (kind == "f" and _are_whole(unique)):
        whole = unique.astype(np.int64)
        if (whole == unique).all():
            return whole
    elif kind == "M" or _are_texts(unique):
        return texts(unique, name)
    raise type_error(name, "ids that are whole numbers below 2**63 or texts", f"{unique.dtype} ids")


def _are_whole(floats: Array) -> bool:
    """Whether all are whole numbers that fit int64: pandas turns an integer column with gaps into floats."""
    return bool((np.abs(floats.astype(np.longdouble)) < 2**63).all() and (floats == np.floor(floats)).all())


def _are_texts(unique: Array) -> bool:
    kind = unique.dtype.kind
    return kind in "US" or (kind == "O" and all(isinstance(text, str | bytes) for text in unique))


def _text(of: str | bytes, name: str) -> str:
    """An id as valid Unicode text."""
    try:
        text = of.decode() if isinstance(of, bytes) else of
        text.encode()
    except UnicodeError:
        raise value_error(name, "ids of valid Unicode", repr(of)) from None
    return text

"""Python objects (of a list, of an object column) as numbers, texts or dates of NumPy's, and which of them are missing.

A place is missing where it holds None, NaN, ``pandas.NA`` or NaT: one rule, whatever container it came in.
"""

from __future__ import annotations

import datetime
from numbers import Rational
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ._strides import converted, strides

__all__ = ["comparable", "kinds_of", "numbers_alone", "typed"]

Array = NDArray[Any]
Mask = NDArray[np.bool_]

WHOLE = (int, np.integer)
REAL = (float, np.floating)
TRUTH = (bool, np.bool_)
MOMENT = (datetime.date, np.datetime64)
# Kinds whose values are never missing: most columns hold nothing else, and are not looked at one by one.
WHOLLY = {str, bytes, bool, int}


def _is_missing(item: Any) -> bool:
    kind = type(item)
    if item is None or kind.__name__ in ("NAType", "NaTType"):
        return True
    if kind.__name__ == "Decimal":
        return bool(item.is_nan())
    return isinstance(item, (*REAL, np.datetime64)) and bool(item != item)


def _missing_in(objects: Array) -> Mask:
    """Where a one-dimensional object array holds nothing."""
    missing = np.zeros(len(objects), np.bool_)
    for step in strides(len(objects)):
        items = objects[step].tolist()
        if not set(map(type, items)) <= WHOLLY:
            missing[step] = [_is_missing(item) for item in items]
    return missing


def kinds_of(objects: Array) -> set[type]:
    """The types of what a one-dimensional object array holds."""
    return {kind for step in strides(len(objects)) for kind in map(type, objects[step].tolist())}


def _all(kinds: set[type], *allowed: type) -> bool:
    return all(issubclass(kind, allowed) for kind in kinds)


def _number(kind: type) -> bool:
    return issubclass(kind, (*TRUTH, *WHOLE, *REAL, Rational)) or kind.__name__ == "Decimal"


def numbers_alone(objects: Array) -> bool:
    """Whether a one-dimensional object array holds real numbers and nothing else."""
    return all(map(_number, kinds_of(objects)))


def comparable(objects: Array) -> bool:
    """Whether objects can be told apart and sorted: all numbers, all texts or all bytes."""
    kinds = kinds_of(objects)
    return all(map(_number, kinds)) or _all(kinds, str) or _all(kinds, bytes)


def typed(objects: Array, missing: Mask | None = None, *, exact: bool = False) -> tuple[Array, Mask | None]:
    """An object array of any shape as an array of what it holds, and where it holds nothing (None: nowhere).

    Whole numbers become int64 or uint64, other numbers and numbers of several kinds float64; texts, bytes, dates and
    moments NumPy's. What is of mixed kinds stays as it is, and so does what NumPy's type would change: texts that end
    in a NUL, whole numbers of more than 64 bits; with ``exact`` numbers that float64 would round too.
    """
    flat = objects.reshape(-1)
    gone = _missing_in(flat) if missing is None else missing.reshape(-1) | _missing_in(flat)
    some = bool(gone.any())
    present = flat[~gone] if some else flat
    made = _made(present, kinds_of(present), exact)
    if some:
        whole = np.zeros(len(flat), made.dtype)
        whole[~gone] = made
        made = whole
    return made.reshape(objects.shape), gone.reshape(objects.shape) if some else None


def _made(objects: Array, kinds: set[type], exact: bool) -> Array:
    if not kinds:
        return np.zeros(len(objects))
    if _all(kinds, *TRUTH):
        return converted(objects, np.bool_)
    if _all(kinds, *TRUTH, *WHOLE):
        return _whole(objects)
    if all(map(_number, kinds)):
        return _real(objects, kinds, exact)
    if _all(kinds, str):
        return objects if _ends_in_nul(objects, "") else converted(objects, np.str_)
    if _all(kinds, bytes):
        return objects if _ends_in_nul(objects, b"") else converted(objects, np.bytes_)
    if _all(kinds, *MOMENT):
        return _moments(objects, kinds)
    return objects


def _whole(objects: Array) -> Array:
    for kind in (np.int64, np.uint64):
        try:
            return converted(objects, kind)
        except OverflowError:
            continue
    return objects


def _real(objects: Array, kinds: set[type], exact: bool) -> Array:
    try:
        made = converted(objects, np.float64)
    except OverflowError:
        return objects
    if exact and not _all(kinds, *REAL):
        for step in strides(len(objects)):
            if any(a != b for a, b in zip(objects[step].tolist(), made[step].tolist(), strict=True)):
                return objects
    return made


def _ends_in_nul(objects: Array, empty: Any) -> bool:
    """Whether a text ends in a NUL, which NumPy's texts drop."""
    nul = "\0" if isinstance(empty, str) else b"\0"
    for step in strides(len(objects)):
        items = objects[step].tolist()
        if nul in empty.join(items) and any(item.endswith(nul) for item in items):
            return True
    return False


def _moments(objects: Array, kinds: set[type]) -> Array:
    """Dates as days; moments as moments: with a zone in UTC, which is not mixed with moments without one."""
    days = {kind for kind in kinds if kind is datetime.date}
    if days:
        return converted(objects, np.dtype("M8[D]")) if days == kinds else objects
    if _all(kinds, np.datetime64):
        units = {item.dtype for step in strides(len(objects)) for item in objects[step]}
        return converted(objects, np.result_type(*units))
    zoned = {getattr(item, "tzinfo", None) is not None for step in strides(len(objects)) for item in objects[step]}
    if len(zoned) > 1:
        return objects
    fine = "M8[ns]" if any(hasattr(kind, "to_datetime64") for kind in kinds) else "M8[us]"
    moments = np.empty(len(objects), fine)
    for step in strides(len(objects)):
        moments[step] = [_moment(item) for item in objects[step].tolist()]
    return moments


def _moment(item: Any) -> Any:
    if item.tzinfo is not None:
        item = item.astimezone(datetime.UTC).replace(tzinfo=None)
    return item.to_datetime64() if hasattr(item, "to_datetime64") else item

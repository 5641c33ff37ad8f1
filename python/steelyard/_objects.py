"""Conversion of Python objects (from a list or an object column) to NumPy's numbers, texts or dates.

A value is missing where it is None, NaN, ``pandas.NA`` or NaT, whatever container it came in.
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
# Types whose values are never missing. Most columns hold nothing else, and then need no test of each value.
WHOLLY = {str, bytes, bool, int}


def _is_missing(item: Any) -> bool:
    kind = type(item)
    if item is None or kind.__name__ in ("NAType", "NaTType"):
        return True
    if kind.__name__ == "Decimal":
        return bool(item.is_nan())
    return isinstance(item, (*REAL, np.datetime64)) and bool(item != item)


def _missing_in(objects: Array) -> Mask:
    """The mask of the missing values of a one-dimensional object array."""
    missing = np.zeros(len(objects), np.bool_)
    for step in strides(len(objects)):
        items = objects[step].tolist()
        if not set(map(type, items)) <= WHOLLY:
            missing[step] = [_is_missing(item) for item in items]
    return missing


def kinds_of(objects: Array) -> set[type]:
    """The types of the objects in a one-dimensional object array."""
    return {kind for step in strides(len(objects)) for kind in map(type, objects[step].tolist())}


def _all(kinds: set[type], *allowed: type) -> bool:
    return all(issubclass(kind, allowed) for kind in kinds)


def _number(kind: type) -> bool:
    return issubclass(kind, (*TRUTH, *WHOLE, *REAL, Rational)) or kind.__name__ == "Decimal"


def numbers_alone(objects: Array) -> bool:
    """Whether a one-dimensional object array holds real numbers and nothing else."""
    return all(map(_number, kinds_of(objects)))


def comparable(objects: Array) -> bool:
    """Whether the objects can be compared and sorted: all are numbers, all texts or all bytes."""
    kinds = kinds_of(objects)
    return all(map(_number, kinds)) or _all(kinds, str) or _all(kinds, bytes)


def typed(objects: Array, missing: Mask | None = None, *, exact: bool = False) -> tuple[Array, Mask | None]:
    """Convert an object array of any shape to a NumPy type, and return it with the mask of its missing values.

    The mask is None where nothing is missing. Whole numbers become int64 or uint64; other numbers, and mixtures of
    numbers, float64; texts, bytes, dates and datetimes NumPy's types of these. The array is returned unchanged where
    its objects are of mixed kinds or where the NumPy type would alter a value: texts that end in a NUL character, and
    whole numbers of more than 64 bits. With ``exact``, numbers that float64 would round are left unchanged too.
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
    """Whether a text ends in a NUL character, which NumPy's fixed-width texts would drop."""
    nul = "\0" if isinstance(empty, str) else b"\0"
    for step in strides(len(objects)):
        items = objects[step].tolist()
        if nul in empty.join(items) and any(item.endswith(nul) for item in items):
            return True
    return False


def _moments(objects: Array, kinds: set[type]) -> Array:
    """Convert dates to days and datetimes to points in time.

    Datetimes with a time zone are converted to UTC. A mixture of dates and datetimes, or of datetimes with and without
    a zone, is returned unchanged.
    """
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

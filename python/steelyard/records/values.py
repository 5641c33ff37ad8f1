"""The values of a column as numbers or as text."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .table import LIST, record_error, shorten

MISSING = frozenset({"", "n/a", "na", "null", "none"})  # how text says that there is no value
SCALES = (1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9, 1e10, 1e11, 1e12)  # for decimals of that many digits

_PER_CENT = re.compile(r"(?P<number>[+-]?(?:[0-9]+\.?[0-9]*|\.[0-9]+))\s*%")


def numbers(
    values: Sequence[Any], name: str, where: Callable[[int], str], fix: str = "choose another column"
) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
    """A column as float64, and where it has no value: null, empty, ``N/A``.

    ``87%`` is 0.87 where every value has the sign.
    """
    if {float, int, bool}.issuperset(map(type, values)):
        try:
            return np.array(values, dtype=np.float64), np.zeros(len(values), dtype=bool)
        except OverflowError:
            pass  # an integer beyond float64: the loop below names its row
    out = np.zeros(len(values))
    missing = np.zeros(len(values), dtype=bool)
    for row, value in enumerate(values):
        found = number(value)
        if found is not None:
            out[row] = found
        elif value is None or (isinstance(value, str) and is_missing(value)):
            missing[row] = True
        elif (shares := _per_cent(values)) is not None:
            return numbers(shares, name, where, fix)
        else:
            raise not_a_number(value, name, where(row), fix)
    return out, missing


def is_missing(text: str) -> bool:
    """Whether text says that there is no value."""
    return text.strip().lower() in MISSING


def _per_cent(values: Sequence[Any]) -> list[float | None] | None:
    """A column in per cent as shares; None where a value has no sign."""
    shares: list[float | None] = []
    for value in values:
        if value is None or (isinstance(value, str) and is_missing(value)):
            shares.append(None)
            continue
        found = _PER_CENT.fullmatch(value.strip()) if isinstance(value, str) else None
        if found is None:
            return None
        shares.append(float(f"{found['number']}e-2"))  # read as a decimal: 33.3 / 100 would be rounded twice
    return shares


def shortest(values: NDArray[np.float64], kind: type[np.floating[Any]] = np.float32) -> NDArray[np.float64]:
    """Numbers that a narrower type has held, as the shortest decimals that it reads back as the same ones.

    So 0.1 is 0.1 whatever type a file keeps its numbers in. Numbers that are not all of that type stay as they are,
    and so do coarse binary fractions (averages over 2, 4, ... 4096): those are exact in every type.
    """
    broken = values != np.rint(values)
    if not broken.any():
        return values
    finite = np.isfinite(values)
    broken &= finite
    with np.errstate(over="ignore"):
        narrow = values.astype(kind)
    if not np.array_equal(narrow[finite], values[finite]) or (kind is np.float32 and _coarse(values[broken])):
        return values
    wide, narrow = values[broken], narrow[broken]
    left = np.arange(len(wide))
    for scale in SCALES:
        decimal = np.rint(wide[left] * scale) / scale
        same = decimal.astype(kind) == narrow[left]
        wide[left[same]] = decimal[same]
        left = left[~same]
    # What is left is small: one by one.
    wide[left] = [float(str(one)) for one in narrow[left]]
    values = values.copy()
    values[broken] = wide
    return values


def _coarse(values: NDArray[np.float64]) -> bool:
    """Whether all are multiples of 1/4096, where float32 has at least 256 numbers between two of those."""
    return bool((np.abs(values) < 16).all() and (values * 4096 == np.rint(values * 4096)).all())


def number(value: Any) -> float | None:
    """A value as a number; None where it is none, or missing."""
    try:
        if isinstance(value, str):
            text = value.strip().lower()
            if text in ("true", "false"):
                return float(text == "true")
            return None if "_" in text else float(text)
        return None if value is None or value is LIST else float(value)
    except (ValueError, OverflowError):
        return None


def not_a_number(value: Any, name: str, where: str, fix: str) -> Exception:
    """The error for a value that should have been a number."""
    if value is LIST:
        return record_error(
            f"{where}: {name}",
            "a number",
            "a list, as corpus metrics log it",
            "choose a metric with one number per record",
        )
    shown = ascii(shorten(value)) if isinstance(value, str) else "an integer beyond float64"
    return record_error(f"{where}: {name}", "a number, true or false (null or 'N/A' where there is none)", shown, fix)


def text(value: Any) -> str | None:
    """An id, a model or a cluster as text: 7, 7.0 and "7" are one id; None where there is none (null, blanks, NaN)."""
    kind = type(value)
    if kind is str:
        return _printable(value) if value and not value.isspace() else None
    if kind is int:
        return str(value)
    if kind is bool:
        return "true" if value else "false"
    if kind is float:
        if value.is_integer() and abs(value) < 2**53:
            return str(int(value))
        return repr(value) if value == value else None
    return None


def _printable(value: str) -> str:
    """Text that every terminal, file and array takes: a lone surrogate and NUL, which NumPy cuts off, are escaped."""
    if "\0" in value:
        value = value.replace("\0", "\\x00")
    return value if value.isascii() else value.encode("utf-8", "backslashreplace").decode()


def texts(
    values: Sequence[Any], name: str, where: Callable[[int], str], fix: str = "choose another column"
) -> list[str | None]:
    """A column as text; a list is an error."""
    kinds = set(map(type, values))
    if type(LIST) in kinds:
        row = next(row for row, value in enumerate(values) if value is LIST)
        raise record_error(f"{where(row)}: {name}", "a number or text", "a list", fix)
    if kinds == {int}:
        return list(map(str, values))
    if kinds <= {str, type(None)} and len(different := set(values)) < len(values) // 2:
        of = {value: text(value) for value in different}  # of text alone: 1 and True are one key
        return list(map(of.__getitem__, values))
    return [text(value) for value in values]

"""What steelyard says when something is wrong.

Every message is one sentence with the same parts: the argument as the caller wrote it, what was expected,
what came, and what to do.
"""

from __future__ import annotations

import sys
import warnings
from typing import Any

from ._foreign import is_refusal
from ._text import printable

__all__ = ["RecordError", "SteelyardWarning"]


class SteelyardWarning(UserWarning):
    """A result that is right as computed but easily misread, such as a Wald interval near 0 or 1."""


class RecordError(ValueError):
    """An evaluation record, or a file of them, that cannot be read as asked."""


# What came is named, not printed out: a list of a million items makes no sentence.
LONGEST = 160


def shown(value: Any) -> str:
    """Say what came, in one short line, whatever it is: ``str 'x'``, ``float64 array of shape (3,)``."""
    if value is None:
        return "None"
    kind = type(value).__name__
    shape = getattr(value, "shape", None)
    if isinstance(shape, tuple) and shape and hasattr(value, "dtype"):  # a tensor's shape is a tuple too
        return f"{value.dtype} {'tensor' if kind == 'Tensor' else 'array'} of shape {tuple(shape)}"
    if isinstance(value, dict | list | tuple | set | bytes | bytearray) and len(value) > 4:
        return f"{kind} of {len(value)}"
    try:
        return f"{kind} {value!r}"
    except Exception as error:  # an object may refuse to be shown; the sentence is about the argument
        if not is_refusal(error):
            raise
        return kind


def _one_line(text: str) -> str:
    line = " ".join(text.split())
    return line if len(line) <= LONGEST else f"{line[: LONGEST - 4]} ..."


def sentence(name: str, expected: str, got: str, fix: str = "") -> str:
    """``name: expected ...; got ...; fix``, with the empty parts left out."""
    parts = [f"{name}: expected {expected}"]
    parts += [f"got {_one_line(got)}"] if got else []
    parts += [fix] if fix else []
    return printable("; ".join(parts))


def type_error(name: str, expected: str, got: str, fix: str = "") -> TypeError:
    """The error for the wrong kind of thing: a type, a dtype, a device."""
    return TypeError(sentence(name, expected, got, fix))


def value_error(name: str, expected: str, got: str, fix: str = "") -> ValueError:
    """The error for the wrong content: a shape, a range, a value."""
    return ValueError(sentence(name, expected, got, fix))


def memory_error(name: str, expected: str, got: str, fix: str = "") -> MemoryError:
    """The error for what there is no memory for."""
    return MemoryError(sentence(name, expected, got, fix))


def warn(message: str) -> None:
    """Raise a :class:`SteelyardWarning` that points at the caller's line, not into this package."""
    level, frame = 1, sys._getframe(0)
    while frame.f_back is not None and frame.f_globals.get("__name__", "").partition(".")[0] == "steelyard":
        level, frame = level + 1, frame.f_back
    warnings.warn(printable(message), SteelyardWarning, stacklevel=level)

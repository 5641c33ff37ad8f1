"""What steelyard says when something is wrong.

Every message is one sentence with the same parts: the argument as the caller wrote it, what was expected,
what came, and what to do.
"""

from __future__ import annotations

import sys
import warnings

__all__ = ["RecordError", "SteelyardWarning"]


class SteelyardWarning(UserWarning):
    """A result that is right as computed but easily misread, such as a Wald interval near 0 or 1."""


class RecordError(ValueError):
    """An evaluation record, or a file of them, that cannot be read as asked."""


def sentence(name: str, expected: str, got: str, fix: str = "") -> str:
    """``name: expected ...; got ...; fix``, with the empty parts left out."""
    parts = [f"{name}: expected {expected}"]
    parts += [f"got {got}"] if got else []
    parts += [fix] if fix else []
    return "; ".join(parts)


def type_error(name: str, expected: str, got: str, fix: str = "") -> TypeError:
    """The error for the wrong kind of thing: a type, a dtype, a device."""
    return TypeError(sentence(name, expected, got, fix))


def value_error(name: str, expected: str, got: str, fix: str = "") -> ValueError:
    """The error for the wrong content: a shape, a range, a value."""
    return ValueError(sentence(name, expected, got, fix))


def warn(message: str) -> None:
    """Raise a :class:`SteelyardWarning` that points at the caller's line, not into this package."""
    level, frame = 1, sys._getframe(0)
    while frame.f_back is not None and frame.f_globals.get("__name__", "").partition(".")[0] == "steelyard":
        level, frame = level + 1, frame.f_back
    warnings.warn(message, SteelyardWarning, stacklevel=level)

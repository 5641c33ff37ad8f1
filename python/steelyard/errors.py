"""What steelyard says when something is wrong.

Every message is one sentence with the same parts: the argument as the caller wrote it, what was expected,
what came, and what to do.
"""

from __future__ import annotations

import re
import sys
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from types import MappingProxyType
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

_PLAIN = re.compile(r"[\w.=-]+")
# What the caller calls an argument, where that is not the argument's name: an option of the command, say.
_NAMES: ContextVar[Mapping[str, str]] = ContextVar("_NAMES", default=MappingProxyType({}))


@contextmanager
def called(names: Mapping[str, str]) -> Iterator[None]:
    """Inside the block, sentences name arguments as the caller does: ``{"n_tokens": "--n-tokens"}``.

    A sentence is written in the caller's words from the start. It is never rewritten: it holds the caller's text too.
    """
    token = _NAMES.set({**_NAMES.get(), **names})
    try:
        yield
    finally:
        _NAMES.reset(token)


def keyword(name: str, value: str | float | None = None) -> str:
    """An argument inside a sentence, as the caller writes it: ``id=`` or ``id='row'``; ``--id row`` in the command."""
    option = _NAMES.get().get(name)
    if option is None:
        return f"{name}=" if value is None else f"{name}={value!r}"
    return option if value is None else f"{option} {value if _PLAIN.fullmatch(str(value)) else repr(value)}"


@contextmanager
def while_at(place: str) -> Iterator[None]:
    """Note on an unexpected exception which file, column or model was worked on; our own sentences say it already."""
    try:
        yield
    except Exception as error:
        if not is_ours(error):
            error.add_note(f"while at {printable(place)}")
        raise


def is_ours(error: BaseException) -> bool:
    """Whether an error is a sentence of this package about what was given, and not a failure on the way."""
    return isinstance(error, RecordError) or (
        isinstance(error, ValueError | TypeError) and ": expected " in str(error)  # the core writes its own
    )


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
    line = re.sub(r"\s*[\r\n]\s*", " ", text.strip())  # an array's lines; blanks in the caller's text stay
    return line if len(line) <= LONGEST else f"{line[: LONGEST - 4]} ..."


def sentence(name: str, expected: str, got: str, fix: str = "") -> str:
    """``name: expected ...; got ...; fix``, with the empty parts left out."""
    parts = [f"{name}: expected {expected}"]
    parts += [f"got {_one_line(got)}"] if got else []
    parts += [fix] if fix else []
    return printable("; ".join(parts))


def _argument(name: str) -> str:
    return _NAMES.get().get(name, name)


def type_error(name: str, expected: str, got: str, fix: str = "") -> TypeError:
    """The error for the wrong kind of thing: a type, a dtype, a device."""
    return TypeError(sentence(_argument(name), expected, got, fix))


def value_error(name: str, expected: str, got: str, fix: str = "") -> ValueError:
    """The error for the wrong content: a shape, a range, a value."""
    return ValueError(sentence(_argument(name), expected, got, fix))


def memory_error(name: str, expected: str, got: str, fix: str = "") -> MemoryError:
    """The error for what there is no memory for."""
    return MemoryError(sentence(_argument(name), expected, got, fix))


def warn(message: str) -> None:
    """Raise a :class:`SteelyardWarning` that points at the caller's line, not into this package."""
    level, frame = 1, sys._getframe(0)
    while frame.f_back is not None and frame.f_globals.get("__name__", "").partition(".")[0] == "steelyard":
        level, frame = level + 1, frame.f_back
    warnings.warn(printable(message), SteelyardWarning, stacklevel=level)

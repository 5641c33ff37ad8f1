"""The exceptions and warnings of this package, and the form of their messages.

Every message is one sentence with the same parts: the argument as the caller wrote it, what was expected, what was
given, and what to do about it.
"""

from __future__ import annotations

import re
import sys
import warnings
from collections.abc import Iterable, Iterator, Mapping
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


# Longer descriptions of what was given are cut off, so that a large object does not fill the message.
LONGEST = 160

_PLAIN = re.compile(r"[\w.,=-]+")
# The caller's names of arguments where they differ from those of the Python call, such as options of the command.
_NAMES: ContextVar[Mapping[str, str]] = ContextVar("_NAMES", default=MappingProxyType({}))


@contextmanager
def called(names: Mapping[str, str]) -> Iterator[None]:
    """Inside the block, messages use the caller's names of arguments: ``{"n_tokens": "--n-tokens"}``.

    The names are put in when a message is written. Replacing them afterwards could change text that comes from the
    caller's data.
    """
    token = _NAMES.set({**_NAMES.get(), **names})
    try:
        yield
    finally:
        _NAMES.reset(token)


def keyword(name: str, value: str | float | list[str] | None = None) -> str:
    """An argument as the caller would write it: ``id=`` or ``id='row'`` in Python, ``--id row`` in the command.

    A list is written with commas in the command: ``models=['a', 'b']`` is ``--models a,b``.
    """
    option = _NAMES.get().get(name)
    if option is None:
        return f"{name}=" if value is None else f"{name}={value!r}"
    if isinstance(value, list):
        value = ",".join(value)
    if value is None:
        return option
    return f"{option} {_for_shell(str(value))}"


def _for_shell(value: str) -> str:
    """A value as it is typed into a shell."""
    if _PLAIN.fullmatch(value):
        return value
    if "'" in value and not {*value} & {*'"$`!'} and "\\" not in value:
        return f'"{value}"'
    from shlex import quote

    return quote(value)


def keywords(**values: str) -> str:
    """Several arguments as the caller would write them beside each other: ``score='a', values='b=1'``."""
    separator = " " if _NAMES.get().get(next(iter(values))) else ", "
    return separator.join(keyword(name, value) for name, value in values.items())


@contextmanager
def while_at(place: str) -> Iterator[None]:
    """Add to an unexpected exception a note with the file, column or model at hand.

    Messages of this package already say it and get no note.
    """
    try:
        yield
    except Exception as error:
        if not is_ours(error):
            error.add_note(f"while at {printable(place)}")
        raise


def is_ours(error: BaseException) -> bool:
    """Whether an exception is this package's own message about an argument, rather than an unexpected failure."""
    return isinstance(error, RecordError) or (
        isinstance(error, ValueError | TypeError) and ": expected " in str(error)  # also recognises the core's messages
    )


def shown(value: Any) -> str:
    """Describe any object in one short line: ``str 'x'``, ``float64 array of shape (3,)``."""
    if value is None:
        return "None"
    kind = type(value).__name__
    shape = getattr(value, "shape", None)
    if isinstance(shape, tuple) and shape and hasattr(value, "dtype"):  # torch.Size is a tuple
        return f"{value.dtype} {'tensor' if kind == 'Tensor' else 'array'} of shape {tuple(shape)}"
    if isinstance(value, dict | list | tuple | set | bytes | bytearray) and len(value) > 4:
        return f"{kind} of {len(value)}"
    try:
        return f"{kind} {value!r}"
    except Exception as error:  # the object's __repr__ failed; its type is enough for the message
        if not is_refusal(error):
            raise
        return kind


def _one_line(text: str) -> str:
    line = re.sub(r"\s*[\r\n]\s*", " ", text.strip())  # joins the lines of a printed array; other blanks stay
    return line if len(line) <= LONGEST else f"{line[: LONGEST - 4]} ..."


def sentence(name: str, expected: str, got: str, fix: str = "") -> str:
    """``name: expected ...; got ...; fix``, with the empty parts left out."""
    parts = [f"{name}: expected {expected}"]
    parts += [f"got {_one_line(got)}"] if got else []
    parts += [fix] if fix else []
    return printable("; ".join(parts))


def argument(name: str) -> str:
    """What the caller calls an argument: its name, or an option of the command."""
    return _NAMES.get().get(name, name)


def did_you_mean(name: str, known: Iterable[str], alike: float = 0.6) -> str:
    """What to do about a name that is not known: the one that is most like it, by difflib's ratio; or nothing."""
    from difflib import get_close_matches

    near = get_close_matches(name, list(known), 1, alike)
    return f"did you mean {near[0]!r}?" if near else ""


def type_error(name: str, expected: str, got: str, fix: str = "") -> TypeError:
    """The error for the wrong kind of thing: a type, a dtype, a device."""
    return TypeError(sentence(argument(name), expected, got, fix))


def value_error(name: str, expected: str, got: str, fix: str = "") -> ValueError:
    """The error for the wrong content: a shape, a range, a value."""
    return ValueError(sentence(argument(name), expected, got, fix))


def memory_error(name: str, expected: str, got: str, fix: str = "") -> MemoryError:
    """The error where memory does not suffice."""
    return MemoryError(sentence(argument(name), expected, got, fix))


def warn(message: str) -> None:
    """Issue a :class:`SteelyardWarning` that points at the caller's line rather than into this package."""
    level, frame = 1, sys._getframe(0)
    while frame.f_back is not None and frame.f_globals.get("__name__", "").partition(".")[0] == "steelyard":
        level, frame = level + 1, frame.f_back
    warnings.warn(printable(message), SteelyardWarning, stacklevel=level)

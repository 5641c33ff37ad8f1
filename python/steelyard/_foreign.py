"""Exceptions that come out of foreign code: which are about what it was given, and which are not."""

from __future__ import annotations

from functools import partial
from types import CodeType
from typing import Any

__all__ = ["is_refusal"]

# How NumPy, torch, JAX or an object's own method says that something cannot be converted or shown.
REFUSALS = (
    TypeError,
    ValueError,
    RuntimeError,
    AttributeError,
    LookupError,
    ArithmeticError,
    AssertionError,
    BufferError,
)


def is_refusal(error: Exception) -> bool:
    """Whether foreign code has refused what it was given, which a sentence about the argument may then say.

    False where the argument is not to blame: for want of memory or stack, for an exception that a signal handler of
    the caller's raised meanwhile, and for one whose kind is not known here. Those keep their type.
    """
    if isinstance(error, RecursionError) or not isinstance(error, REFUSALS):
        return False
    import signal

    handlers = {_code(signal.getsignal(number)) for number in signal.valid_signals()}
    place = error.__traceback__
    while place is not None:
        if place.tb_frame.f_code in handlers:
            return False
        place = place.tb_next
    return True


def _code(handler: Any) -> CodeType | None:
    """What runs when a handler is called, where that is Python."""
    while isinstance(handler, partial):
        handler = handler.func
    code = getattr(getattr(handler, "__func__", handler), "__code__", None)
    if code is None and callable(handler):
        code = getattr(type(handler).__call__, "__code__", None)
    return code if isinstance(code, CodeType) else None

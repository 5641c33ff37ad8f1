"""Exceptions raised by other libraries: telling a refusal of the argument from an unrelated failure."""

from __future__ import annotations

from functools import partial
from types import CodeType
from typing import Any

__all__ = ["is_refusal"]

# The exceptions by which NumPy, torch, JAX or an object's own method says that it cannot be converted or shown.
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
    """Whether an exception of other code means that it refused the argument, so that our message may say so.

    False where the argument is not the cause: the process ran out of memory or stack, one of the caller's signal
    handlers raised meanwhile, or the type of the exception is not listed above. The callers re-raise such exceptions.
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
    """The Python code that runs when a signal handler is called; None where it is not Python code."""
    while isinstance(handler, partial):
        handler = handler.func
    code = getattr(getattr(handler, "__func__", handler), "__code__", None)
    if code is None and callable(handler):
        code = getattr(type(handler).__call__, "__code__", None)
    return code if isinstance(code, CodeType) else None

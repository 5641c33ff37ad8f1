"""Decorators that run the public calls in the standard floating-point mode.

The rounding mode and flush-to-zero are state of the thread. If a caller has changed them (``torch.set_flush_denormal``,
``fesetround``), they affect Python's own ``+ - * /``, NumPy's casts and comparisons, ``float(text)`` and
``f"{x:.1%}"`` as much as a compiled kernel. See ``docs/decisions/0007-floating-point-modes.md``.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from types import FunctionType
from typing import ParamSpec, TypeVar

from . import _core
from ._lazy import lazy

__all__ = ["Number", "standard_mode", "standard_mode_methods"]

P = ParamSpec("P")
R = TypeVar("R")
C = TypeVar("C", bound=type)
# Special methods that handle no numbers and so need no guard.
MACHINERY = {"__new__", "__setattr__", "__delattr__", "__getattr__", "__getattribute__", "__init_subclass__"}


def standard_mode(function: Callable[P, R]) -> Callable[P, R]:
    """Run ``function`` in the standard mode, and restore the caller's mode afterwards, also after an exception."""

    @wraps(function)
    def guarded(*args: P.args, **kwargs: P.kwargs) -> R:
        return _core.in_standard_mode(function, args, kwargs)  # type: ignore[no-any-return]

    return guarded


def standard_mode_methods(cls: C) -> C:
    """Decorate a class so that its public methods, operators and properties run in the standard mode."""
    for name, member in list(vars(cls).items()):
        if name in MACHINERY or (name.startswith("_") and not name.endswith("_")):
            continue
        if isinstance(member, FunctionType):
            setattr(cls, name, standard_mode(member))
        elif isinstance(member, classmethod):
            setattr(cls, name, classmethod(standard_mode(member.__func__)))
        elif isinstance(member, property) and member.fget is not None:
            setattr(cls, name, property(standard_mode(member.fget), member.fset, member.fdel, member.__doc__))
        elif isinstance(member, lazy):
            member.compute = standard_mode(member.compute)
    return cls


class Number(float):
    """A float, as returned by calls whose result is one number, that is also printed in the standard mode.

    Python prints a float in the mode of the thread: under flush-to-zero a norm of 5e-310 would print as 0.0. In all
    other respects it is a float; arithmetic, copies and pickles give plain floats.
    """

    __slots__ = ()

    def __repr__(self) -> str:
        return _core.in_standard_mode(float.__repr__, (self,), {})  # type: ignore[no-any-return]

    def __format__(self, spec: str) -> str:
        return _core.in_standard_mode(float.__format__, (self, spec), {})  # type: ignore[no-any-return]

    def __reduce__(self) -> tuple[type[float], tuple[float]]:
        return float, (float(self),)

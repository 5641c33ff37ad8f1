"""The guard of the public calls: they compute, read and print in the standard floating-point mode.

Rounding and flush-to-zero belong to the thread: what a caller has set (``torch.set_flush_denormal``, ``fesetround``)
reaches Python's own ``+ - * /``, NumPy's casts and comparisons, ``float(text)`` and ``f"{x:.1%}"`` as it reaches a
kernel. See ``docs/decisions/0007-floating-point-modes.md``.
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
# Python's own machinery, which no number passes through.
MACHINERY = {"__new__", "__setattr__", "__delattr__", "__getattr__", "__getattribute__", "__init_subclass__"}


def standard_mode(function: Callable[P, R]) -> Callable[P, R]:
    """``function``, run in the standard mode; the caller's comes back however it ends."""

    @wraps(function)
    def guarded(*args: P.args, **kwargs: P.kwargs) -> R:
        return _core.in_standard_mode(function, args, kwargs)  # type: ignore[no-any-return]

    return guarded


def standard_mode_methods(cls: C) -> C:
    """The class, with its public methods and properties in the standard mode."""
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
    """A call's result that is one bare number. It prints in the standard mode, too.

    Python shows a float by the mode of the thread: under flush-to-zero a norm of 5e-310 would print as 0.0. In all else
    it is the float: arithmetic, copies and pickles give plain ones.
    """

    __slots__ = ()

    def __repr__(self) -> str:
        return _core.in_standard_mode(float.__repr__, (self,), {})  # type: ignore[no-any-return]

    def __format__(self, spec: str) -> str:
        return _core.in_standard_mode(float.__format__, (self, spec), {})  # type: ignore[no-any-return]

    def __reduce__(self) -> tuple[type[float], tuple[float]]:
        return float, (float(self),)

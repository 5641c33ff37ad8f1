"""Attributes that are computed when they are first read, without holding a lock."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Generic, Self, TypeVar, overload

__all__ = ["lazy"]

T = TypeVar("T")


class lazy(Generic[T]):
    """``functools.cached_property`` as it is from Python 3.12 on, for Python 3.11 too.

    In 3.11 the property holds a lock of the whole class while it computes: all other objects of the class wait, and a
    child process forked meanwhile waits for ever. Without the lock two threads may both compute the value; both get
    the same.
    """

    def __init__(self, compute: Callable[[Any], T]) -> None:
        self.compute = compute
        self.__doc__ = compute.__doc__

    def __set_name__(self, owner: type, name: str) -> None:
        self.name = name

    @overload
    def __get__(self, instance: None, owner: type) -> Self: ...

    @overload
    def __get__(self, instance: object, owner: type) -> T: ...

    def __get__(self, instance: object | None, owner: type) -> Self | T:
        if instance is None:
            return self
        # This class has no __set__, so the next time Python finds the value in the instance and does not call this.
        return vars(instance).setdefault(self.name, self.compute(instance))  # type: ignore[no-any-return]

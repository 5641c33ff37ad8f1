"""Attributes that are computed when first read, without a lock."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Generic, Self, TypeVar, overload

__all__ = ["lazy"]

T = TypeVar("T")


class lazy(Generic[T]):
    """``functools.cached_property`` as it is from Python 3.12 on.

    That of 3.11 holds a lock of the whole class while it computes: every other object waits, and a child forked
    meanwhile waits for ever. Without it two threads may both compute, and get the same value.
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
        # Not a data descriptor: the next time Python finds the value and does not come here.
        return vars(instance).setdefault(self.name, self.compute(instance))  # type: ignore[no-any-return]

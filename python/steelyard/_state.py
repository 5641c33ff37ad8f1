"""The base class of accumulating states: merging, copying, serialising, equality and pickling.

A subclass adds ``update`` and ``compute``.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import Any, ClassVar, Self

from ._mode import standard_mode_methods
from ._options import foreign_options, read_options, state_bytes, written_options
from .errors import type_error, value_error

__all__ = ["State"]


@standard_mode_methods
class State(ABC):
    """A state that adds up data over several updates; the core holds the totals and this object the options.

    A subclass sets ``_CORE`` to the class of the core that holds the totals, takes its options as keywords, returns
    them from ``_options`` and defines ``update`` and ``compute``. Where the core's class takes arguments, it
    overrides ``_empty``; where there are several such classes,
    ``_core_of``; where a state has something beside totals and options, ``_header`` and ``_read``.
    """

    _CORE: ClassVar[Any]
    _totals: Any

    __hash__ = None  # type: ignore[assignment]

    def __init__(self) -> None:
        self._totals = self._empty()

    def _empty(self) -> Any:
        """Totals to which nothing has been added."""
        return self._CORE()

    @classmethod
    def _core_of(cls, data: bytes) -> Any:
        """The class of the core whose totals these bytes hold."""
        del data
        return cls._CORE

    @abstractmethod
    def _options(self) -> dict[str, Any]:
        """The keyword arguments that construct a state with the same options."""

    def _header(self) -> dict[str, Any]:
        """What is written beside the totals: the options, and what else two states may differ in."""
        return self._options()

    @classmethod
    def _read(cls, totals: Any, header: dict[str, Any]) -> Self:
        """The state of totals and a header; ``TypeError`` or ``ValueError`` where no state has both."""
        state = cls(**header)
        state._totals = totals
        return state

    def _check_batch(self, arguments: Mapping[str, Any]) -> None:
        """Refuse arguments of ``update`` that mean something else where rows come in batches, as in ``scan``."""
        del arguments

    def _with(self, **options: Any) -> Self:
        """A state of the same data with some other options."""
        return self._read(self._totals.copy(), {**self._header(), **options})

    def merge(self, other: Self) -> Self:
        """Add another state's totals to this one; the options must be the same. ``a + b`` makes a new state."""
        if not isinstance(other, type(self)):
            raise type_error("other", f"a {type(self).__name__}", type(other).__name__)
        its = other._options()
        for option, value in self._options().items():
            if its[option] != value:
                raise value_error("other", f"a state with {option} = {value!r}", repr(its[option]))
        self._totals.merge(other._totals)
        return self

    def __add__(self, other: Self) -> Self:
        return self.copy().merge(other) if isinstance(other, type(self)) else NotImplemented

    def __radd__(self, other: object) -> Self:
        # sum(states) starts from the integer 0.
        return self.copy() if isinstance(other, int) and other == 0 else NotImplemented

    def copy(self) -> Self:
        """Make an independent copy."""
        state = type(self)(**self._options())
        state._totals = self._totals.copy()
        return state

    def reset(self) -> Self:
        """Remove all data that was added; keep the options."""
        self._totals = self._empty()
        return self

    def to_bytes(self) -> bytes:
        """Return the state as bytes that :meth:`from_bytes` reads, with a checksum; equal states give equal bytes."""
        written: bytes = self._totals.to_bytes(written_options(self._header()))
        return written

    @classmethod
    def from_bytes(cls, data: bytes) -> Self:
        """Return the state that :meth:`to_bytes` wrote.

        Raises
        ------
        TypeError
            Where ``data`` is not bytes.
        ValueError
            For bytes that are truncated or altered, that hold another kind of state or were written with another
            version of the arithmetic, and for counts, sums or options that no state can have.
        """
        written_state = state_bytes(data)
        totals, written = cls._core_of(written_state).from_bytes(written_state)
        try:
            state = cls._read(totals, read_options(written, cls.__name__))
        except (TypeError, ValueError):
            raise foreign_options(written, cls.__name__) from None
        if written_options(state._header()) != written:
            raise foreign_options(written, cls.__name__)
        return state

    def __eq__(self, other: object) -> bool:
        return self.to_bytes() == other.to_bytes() if isinstance(other, type(self)) else NotImplemented

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self).from_bytes, (self.to_bytes(),)

"""The base class of all results: their arrays are read-only, and ``==`` compares bits."""

from __future__ import annotations

from dataclasses import Field, fields
from typing import Any, ClassVar

import numpy as np

__all__ = ["Result"]


class Result:
    """Base of frozen dataclasses (``eq=False``): arrays are read-only, ``==`` compares every field bit for bit."""

    # Only declared for the type checker: making this class a dataclass would add 0.2 ms to every import.
    __dataclass_fields__: ClassVar[dict[str, Field[Any]]]

    def __post_init__(self) -> None:
        for item in fields(self):
            object.__setattr__(self, item.name, _frozen(getattr(self, item.name)))

    def __setstate__(self, state: dict[str, Any]) -> None:
        """Restore from a pickle, with arrays read-only again."""
        self.__dict__.update({name: _frozen(value) for name, value in state.items()})

    def __eq__(self, other: object) -> bool:
        if type(other) is not type(self):
            return NotImplemented
        return all(_bits(getattr(self, item.name)) == _bits(getattr(other, item.name)) for item in fields(self))

    def __hash__(self) -> int:
        return hash(tuple(_bits(getattr(self, item.name)) for item in fields(self)))


def _frozen(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _frozen(item) for key, item in value.items()}
    if isinstance(value, np.ndarray) and value.flags.writeable:
        value = value.copy()
        value.setflags(write=False)
    return value


def _bits(value: Any) -> Any:
    """Return an object that compares equal exactly if the bits of ``value`` are equal (so NaN equals NaN)."""
    if isinstance(value, float | np.ndarray):
        array = np.asarray(value)
        return array.dtype.str, array.shape, array.tobytes()
    if isinstance(value, dict):
        return tuple((key, _bits(item)) for key, item in value.items())
    if isinstance(value, list | tuple):
        return tuple(_bits(item) for item in value)
    return value

"""What is saved of an optimizer, key by key: what the core takes for it, and what messages say of it."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from .._arrays import BF16, floats
from ..errors import value_error
from .options import Options

__all__ = ["kept_shown", "moment_of", "read_only", "refuse_collisions"]

Array = NDArray[Any]


def moment_of(value: Any, name: str) -> Array:
    """A saved moment, as the core takes it; uint16 are the bits of bfloat16, as :meth:`Optimizer.state_dict` has it."""
    if isinstance(value, np.ndarray) and value.dtype == np.uint8:
        return np.ascontiguousarray(value)
    if isinstance(value, np.ndarray) and value.dtype.newbyteorder("=") == np.uint16:
        value = value.astype(np.uint16, copy=False).view(BF16)
    return floats(value, name, weights=True)


def kept_shown(options: Options) -> str:
    moments, state_dtype, master = options.kept()
    return f"{moments} with state_dtype={state_dtype!r} and master={master!r}"


def read_only(array: Array) -> Array:
    """A view that cannot be made writeable or be resized."""
    return np.asarray(array.data.toreadonly())


def refuse_collisions(saved: list[str]) -> None:
    """Refuse keys that would be equal in a saved file, since ``numpy.load`` removes a final ".npy" from names."""
    seen = set(saved)
    if len(seen) < len(saved):
        twice = next(key for key in saved if saved.count(key) > 1)
        raise value_error("params", "paths that stay apart in a saved state", f"{twice!r} twice")
    for key in saved:
        if "\0" in key or any("\ud800" <= character <= "\udfff" for character in key):
            raise value_error("params", "keys that a file can hold", repr(key), "rename it")
        if key.endswith(".npy") and key.removesuffix(".npy") in seen:
            got = f"{key.removesuffix('.npy')!r} and {key!r}"
            raise value_error("params", "paths that numpy.load can tell apart", got, "rename one of them")

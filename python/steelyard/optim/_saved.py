"""What is saved of an optimizer, key by key: what the core takes for it, and what messages say of it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .._arrays import BF16, floats
from ..errors import value_error
from .options import Options

__all__ = ["made_with", "moment_of", "read_only", "refuse_collisions"]

Array = NDArray[Any]


def moment_of(value: Any, name: str) -> Array:
    """A saved moment, as the core takes it; uint16 are the bits of bfloat16, as :meth:`Optimizer.state_dict` has it."""
    if isinstance(value, np.ndarray) and value.dtype == np.uint8:
        return np.ascontiguousarray(value)
    if isinstance(value, np.ndarray) and value.dtype.newbyteorder("=") == np.uint16:
        value = value.astype(np.uint16, copy=False).view(BF16)
    return floats(value, name, weights=True)


# The options that decide which arrays are kept.
_KEEPING = ("amsgrad", "momentum", "state_dtype", "master")


def made_with(state: Mapping[str, Any], own: Options) -> str:
    """What to do where the state is of an optimizer that keeps other arrays: its options, as far as they say why."""
    try:
        saved = json.loads(str(np.asarray(state["options"]).item()))
        theirs, ours = set(saved), set(json.loads(own.to_json()))
    except (TypeError, ValueError, AttributeError, RecursionError):
        return ""
    if theirs != ours:
        return "the state is of an optimizer of another class or version"
    told = [(name, saved[name], getattr(own, name)) for name in _KEEPING if name in ours]
    # Of the momentum only whether there is one.
    given = [(name, a, b) for name, a, b in told if (bool(a) != bool(b) if name == "momentum" else a != b)]
    if not given:
        return "the state is of other parameters"
    theirs_shown, ours_shown = (", ".join(f"{item[0]}={item[i]!r}" for item in given) for i in (1, 2))
    return f"the state was saved with {theirs_shown}, where this optimizer has {ours_shown}: make it with the former"


def read_only(array: Array) -> Array:
    """A view that cannot be made writeable or be resized."""
    # One axis, since NumPy copies a buffer that has none.
    return np.asarray(array.reshape(-1).data.toreadonly()).reshape(array.shape)


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

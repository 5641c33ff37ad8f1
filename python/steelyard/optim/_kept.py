"""What an optimizer keeps of each parameter: its moments, in several types, and what a parameter in 16 bits lacks."""

from __future__ import annotations

from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from .._arrays import to_float64
from .._descent import BESIDE, BLOCK, SCALE, SMALLEST, no_upper_half, nothing_to_keep
from .options import Options

__all__ = ["Kept", "check_master", "fresh", "names"]

Array = NDArray[Any]
# For each name one array per parameter, or None where a parameter has none of this name.
Kept = list[list[Array | None]]

# The core takes uint16 for the bits of bfloat16.
_TYPES: dict[str, np.dtype[Any]] = {"float32": np.dtype(np.float32), "bfloat16": np.dtype(np.uint16)}
_CODES: np.dtype[Any] = np.dtype(np.uint8)


def names(options: Options, params: tuple[Array, ...]) -> tuple[str, ...]:
    """The names of what is kept, in the order of :func:`fresh`."""
    moments = options.moments()
    coded = any(_moment_type(options, param) == _CODES for param in params)
    scales = tuple(f"{moment}{SCALE}" for moment in moments) if coded else ()
    return (*moments, *scales, *((BESIDE[options.master],) if options.master else ()))


def fresh(options: Options, params: tuple[Array, ...]) -> Kept:
    """What is kept before the first step: moments of 0, and parameters that lack nothing."""
    moments = options.moments()
    found: dict[str, list[Array | None]] = {name: [] for name in names(options, params)}
    for param in params:
        dtype = _moment_type(options, param)
        for index, moment in enumerate(moments):
            found[moment].append(_zeros(param, dtype, index))
            if moment + SCALE in found:
                coded = dtype == _CODES
                found[moment + SCALE].append(np.zeros(-(-param.size // BLOCK), np.float32) if coded else None)
        if options.master:
            found[BESIDE[options.master]].append(_beside(options.master, param) if _is_narrow(param) else None)
    return list(found.values())


def check_master(options: Options, params: tuple[Array, ...], paths: list[str]) -> None:
    """Raise where no parameter, or not every one of 16 bits, can keep more in the way that is asked for."""
    if options.master is None:
        return
    if not any(map(_is_narrow, params)):
        raise nothing_to_keep(options.master, {str(param.dtype) for param in params})
    for param, path in zip(params, paths, strict=True):
        if options.master == "split" and param.dtype == np.float16:
            raise no_upper_half(f"params{path}")


def _is_narrow(param: Array) -> bool:
    return param.dtype.itemsize == 2


def _moment_type(options: Options, param: Array) -> np.dtype[Any]:
    """The type in which the moments of a parameter are kept."""
    own: np.dtype[Any] = param.dtype
    if own == np.float64:
        return own
    if options.state_dtype is None:
        # With these two the parameter is one of float32, of which the array holds a part or a copy.
        return _TYPES["float32"] if options.master in {"split", "float32"} else own
    if options.state_dtype == "8bit":
        return _CODES if param.size >= SMALLEST else _TYPES["float32"]
    return _TYPES[options.state_dtype]


def _zeros(param: Array, dtype: np.dtype[Any], index: int) -> Array:
    """A moment of 0, by its index: the codes of the first one may stand for numbers below 0."""
    return np.full(param.shape, 127 if dtype == _CODES and index == 0 else 0, dtype)


def _beside(master: Literal["split", "kahan", "float32"], param: Array) -> Array:
    if master == "float32":
        return np.array(to_float64(param), np.float32)
    return np.zeros(param.shape, param.dtype)

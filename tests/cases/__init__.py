"""The shared test table, with one row per kernel.

A row says how to make inputs, how to run the compiled path and the reference, and how close they must be.
``tests/test_reference.py`` runs every row over dtypes, lengths, instruction-set levels, thread counts, batch
splits and the caller's floating-point modes. A new kernel joins by one ``Case`` in the file of its room.
"""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

Inputs = Mapping[str, Any]
Outputs = Mapping[str, Any]


def words(n: int, stream: int) -> np.ndarray:
    """``n`` test words that no NumPy version changes: a raw bit stream, never a distribution."""
    return np.random.Philox(key=stream).random_raw(n)


def uniform(n: int, stream: int) -> np.ndarray:
    """``n`` float64 in [0, 1), multiples of 2**-53."""
    return (words(n, stream) >> np.uint64(11)).astype(np.float64) * 2.0**-53


def normalish(n: int, stream: int) -> np.ndarray:
    """``n`` float64, bell-shaped, by adding uniforms: exact arithmetic, the same everywhere."""
    return sum(uniform(n, stream * 12 + i) for i in range(12)) - 6.0


def as_dtype(x: np.ndarray, dtype: str) -> np.ndarray:
    """``x`` rounded to a floating dtype; bfloat16 as an ml_dtypes array."""
    if dtype == "bfloat16":
        import ml_dtypes

        return x.astype(np.float32).astype(ml_dtypes.bfloat16)
    return x.astype(dtype)


class Share(float):
    """A largest allowed error, as a share of the value."""


@dataclass(frozen=True)
class Case:
    """One kernel's row.

    Attributes
    ----------
    name : "room.kernel"
    covers : the ``_core`` functions and classes it runs
    dtypes : of the main input; ``("",)`` where there is none
    lengths : sizes that cover 0 (or the smallest legal), 1, tails, and more than one chunk
    make : (dtype, length) -> inputs, deterministic
    run : inputs -> outputs of the compiled path, name -> array, number or bytes
    reference : inputs -> the same from ``steelyard.reference``
    bound : None: equal bit for bit. Else name -> largest allowed absolute error (a float, a callable of inputs, or a
        Share of what the reference says), and every output not named is compared bit for bit.
    split : (inputs, cut in [0, 1]) -> the outputs when the data arrive in two parts; None where there is no state
    """

    name: str
    covers: tuple[str, ...]
    make: Callable[[str, int], Inputs]
    run: Callable[[Inputs], Outputs]
    reference: Callable[[Inputs], Outputs]
    dtypes: tuple[str, ...] = ("float32", "float64", "bfloat16", "float16")
    lengths: tuple[int, ...] = (1, 2, 15, 16, 17, 1000)
    bound: Mapping[str, Any] | None = None
    split: Callable[[Inputs, float], Outputs] | None = None


def all_cases() -> list[Case]:
    """Every row of every room."""
    rooms = [importlib.import_module(f"{__name__}.{m.name}") for m in pkgutil.iter_modules(__path__)]
    return [case for room in rooms for case in room.CASES]

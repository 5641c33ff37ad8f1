"""The preference room's rows of the shared test table."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np

import steelyard as sy
import steelyard.reference.preference
from steelyard import reference
from steelyard._registries import REGISTRIES

from . import Case, Inputs, Outputs, as_dtype, normalish

BOUNDED = ("losses", "grad_chosen", "grad_rejected")


def variants() -> list[dict[str, Any]]:
    """Options of every loss: without label smoothing, and with it where the loss takes it."""
    found: list[dict[str, Any]] = []
    for loss, row in REGISTRIES["preference.loss"].items():
        found.append({"loss": loss})
        found += [{"loss": loss, "label_smoothing": 0.1} for name in row.parameters if name == "label_smoothing"]
    return found


VARIANTS = [options | {"beta": (0.1, 0.7, 0.25)[i % 3]} for i, options in enumerate(variants())]


def _make(dtype: str, n: int) -> Inputs:
    spread = np.where(np.arange(n) % 5 == 0, 400.0, 5.0)
    columns = [as_dtype(-np.abs(normalish(n, 70 + i) * spread - 40.0), dtype) for i in range(4)]
    return {"columns": columns}


def ratios(columns: list[np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
    """The policy's log-probabilities less the reference's, of the chosen and of the rejected answers."""
    pc, pr, rc, rr = (np.asarray(column, np.float64) for column in columns)
    return pc - rc, pr - rr


def _run(inputs: Inputs) -> Outputs:
    out: dict[str, Any] = {}
    for i, variant in enumerate(VARIANTS):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", sy.errors.SteelyardWarning)  # of 16 bits
            scored = sy.preference_loss(*inputs["columns"], **variant)
        out |= {f"{i} {name}": getattr(scored, name) for name in (*BOUNDED, "saturated")}
    return out


def _exact(inputs: Inputs, i: int) -> Outputs:
    return reference.preference.preference_loss(*ratios(inputs["columns"]), **VARIANTS[i])


def _reference(inputs: Inputs) -> Outputs:
    out: dict[str, Any] = {}
    for i in range(len(VARIANTS)):
        exact = _exact(inputs, i)
        out |= {f"{i} {name}": exact[name] for name in BOUNDED}
        out[f"{i} saturated"] = int(np.count_nonzero(exact["extents"] > 700))
    return out


def _four_ulp(i: int, name: str) -> Any:
    """4 ulp of the exact value for gradients; for losses of the larger term, which the extent + 1 bounds."""

    def bound(inputs: Inputs) -> np.ndarray:
        exact = _exact(inputs, i)
        size, extents = np.abs(exact[name]), exact["extents"]
        if name == "losses":
            return 4 * np.spacing(size + (extents + 1 if "label_smoothing" in VARIANTS[i] else 0.0))
        return np.where(extents <= 700, 4 * np.spacing(size), 1e-300)

    return bound


CASES = [
    Case(
        name="preference.preference_loss",
        covers=("preference_loss", "preference_steepest"),
        make=_make,
        run=_run,
        reference=_reference,
        lengths=(1, 3, 8, 33, 257),
        bound={f"{i} {name}": _four_ulp(i, name) for i in range(len(VARIANTS)) for name in BOUNDED},
    )
]

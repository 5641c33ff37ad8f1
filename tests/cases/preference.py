"""The preference room's rows of the shared test table."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np

import steelyard as sy
import steelyard.reference.preference
from steelyard import reference

from . import Case, Inputs, Outputs, as_dtype, normalish

VARIANTS: list[dict[str, Any]] = [
    {"loss": "dpo", "beta": 0.1},
    {"loss": "dpo", "beta": 0.7, "label_smoothing": 0.1},
    {"loss": "robust", "beta": 0.3, "label_smoothing": 0.2},
    {"loss": "hinge", "beta": 0.1},
    {"loss": "ipo", "beta": 0.25},
]


def _make(dtype: str, n: int) -> Inputs:
    spread = np.where(np.arange(n) % 5 == 0, 400.0, 5.0)
    columns = [as_dtype(-np.abs(normalish(n, 70 + i) * spread - 40.0), dtype) for i in range(4)]
    return {"columns": columns}


def margins(columns: list[np.ndarray], beta: float) -> np.ndarray:
    pc, pr, rc, rr = (np.asarray(column, np.float64) for column in columns)
    return beta * ((pc - rc) - (pr - rr))


def _run(inputs: Inputs) -> Outputs:
    out: dict[str, Any] = {}
    for i, variant in enumerate(VARIANTS):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", sy.errors.SteelyardWarning)  # of 16 bits
            scored = sy.preference_loss(*inputs["columns"], **variant)
        out |= {f"{i} {name}": getattr(scored, name) for name in ("losses", "grad_chosen", "grad_rejected")}
        out[f"{i} saturated"] = scored.saturated
    return out


def _reference(inputs: Inputs) -> Outputs:
    out: dict[str, Any] = {}
    for i, variant in enumerate(VARIANTS):
        z = margins(inputs["columns"], variant["beta"])
        scored = reference.preference.preference_loss(z, **variant)
        out |= {f"{i} {name}": value for name, value in scored.items()}
        out[f"{i} saturated"] = int((np.abs(z) > 700).sum())
    return out


def _four_ulp(i: int, name: str) -> Any:
    """4 ulp of the exact value for gradients; for losses of the larger term, which |z| + 1 bounds."""

    def bound(inputs: Inputs) -> np.ndarray:
        z = margins(inputs["columns"], VARIANTS[i]["beta"])
        if name == "losses":
            size = np.abs(_reference(inputs)[f"{i} losses"])
            return 4 * np.spacing(size + (np.abs(z) + 1 if "label_smoothing" in VARIANTS[i] else 0.0))
        slope = np.abs(_reference(inputs)[f"{i} {name}"])
        return np.where(np.abs(z) <= 700, 4 * np.spacing(slope), 1e-300)

    return bound


CASES = [
    Case(
        name="preference.preference_loss",
        covers=("preference_loss",),
        make=_make,
        run=_run,
        reference=_reference,
        lengths=(1, 3, 8, 33, 257),
        bound={
            f"{i} {name}": _four_ulp(i, name)
            for i in range(len(VARIANTS))
            for name in ("losses", "grad_chosen", "grad_rejected")
        },
    )
]

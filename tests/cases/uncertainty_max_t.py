"""The tests of all pairs of many models."""

from __future__ import annotations

import numpy as np

from steelyard import _core, reference

from . import Case, Inputs, Outputs, normalish, words

MODELS = 4


def _graded(_: str, n: int) -> Inputs:
    x = normalish(n * MODELS, 31).reshape(n, MODELS) + normalish(n, 32)[:, None]
    return {"x": x + np.arange(MODELS) * (1.2 / max(n, 1) ** 0.5)}


def _answers(_: str, n: int) -> Inputs:
    """Right and wrong answers, with many ties between patterns."""
    hard = (words(n, 33) % np.uint64(8))[:, None]
    luck = words(n * MODELS, 34).reshape(n, MODELS) % np.uint64(8)
    return {"x": (luck + np.arange(MODELS, dtype=np.uint64) > hard).astype(np.float64)}


def _run(inputs: Inputs) -> Outputs:
    found = _core.max_t(np.ascontiguousarray(inputs["x"]), models=MODELS, tie=0.0, seed=7)
    return {"r": found["statistics"].reshape(MODELS, MODELS), "p": found["p"].reshape(MODELS, MODELS)}


def _reference(inputs: Inputs) -> Outputs:
    r, p = reference.max_t.max_t(inputs["x"], seed=7)
    return {"r": r, "p": p}


CASES = [
    Case(
        name=f"uncertainty.max_t_{kind}", covers=("max_t",), make=make, run=_run, reference=_reference, dtypes=("",),
        lengths=(1, 2, 5, 13, 14, 60, 2100), bound={"r": 1e-12},
    )
    for kind, make in (("graded", _graded), ("answers", _answers))
]  # fmt: skip

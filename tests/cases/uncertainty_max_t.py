"""The tests of many models together: all pairs, or against a baseline; and that of two columns' independence."""

from __future__ import annotations

import numpy as np

from steelyard import _core, reference
from steelyard._registries import names

from . import Case, Inputs, Outputs, normalish, words

MODELS = 4
SIDES = names("interval.alternative")


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


def _against(inputs: Inputs) -> Outputs:
    x, of = np.ascontiguousarray(inputs["x"]), {"columns": MODELS, "tie": 0.0, "seed": 7}
    found = {side: _core.max_t_baseline(x, **of, alternative=side) for side in SIDES}
    return {f"{side} {key}": found[side][key] for side in SIDES for key in ("statistics", "single", "step_down")}


def _against_reference(inputs: Inputs) -> Outputs:
    out = {}
    for side in SIDES:
        names_of = (f"{side} {key}" for key in ("statistics", "single", "step_down"))
        out |= dict(zip(names_of, reference.max_t.against_baseline(inputs["x"], 7, side), strict=True))
    return out


def _columns(_: str, n: int) -> Inputs:
    return {"x": normalish(n, 35), "y": np.round(2 * normalish(n, 36))}


def _independent(test: str):
    def run(inputs: Inputs) -> Outputs:
        return {side: _core.independence(**inputs, test=test, alternative=side, seed=7)["p"] for side in SIDES}

    return run


def _independent_reference(test: str):
    def run(inputs: Inputs) -> Outputs:
        of = reference.shuffles.independence
        ranks = test == "rank-permutation"
        return {side: of(inputs["x"], inputs["y"], 7, of_ranks=ranks, alternative=side) for side in SIDES}

    return run


CASES = [
    *(
        Case(
            name=f"uncertainty.independence_{test}", covers=("independence",), make=_columns, run=_independent(test),
            reference=_independent_reference(test), dtypes=("",), lengths=(1, 2, 5, 8, 23),
        )
        for test in names("independence.test")
    ),
    *(
        Case(
            name=f"uncertainty.max_t_baseline_{kind}", covers=("max_t_baseline",), make=make, run=_against,
            reference=_against_reference, dtypes=("",), lengths=(1, 2, 5, 13, 14, 60),
            bound={f"{side} statistics": 1e-12 for side in SIDES},
        )
        for kind, make in (("graded", _graded), ("answers", _answers))
    ),
    *(
        Case(
            name=f"uncertainty.max_t_{kind}", covers=("max_t",), make=make, run=_run, reference=_reference, dtypes=("",),
            lengths=(1, 2, 5, 13, 14, 60, 2100), bound={"r": 1e-12},
        )
        for kind, make in (("graded", _graded), ("answers", _answers))
    ),
]  # fmt: skip

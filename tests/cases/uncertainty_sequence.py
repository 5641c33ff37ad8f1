"""Rows of confidence sequences: their limits, p-values and bytes."""

from __future__ import annotations

import numpy as np

from steelyard import _core
from steelyard._registries import names
from steelyard.reference import sequences as reference

from . import Case, Inputs, Outputs, Share, words

BOUNDS = (-1.0, 3.0)
LEVEL = 0.9
ALPHA = 1.0 - LEVEL
COUNTED = "beta-binomial"


def _scores(dtype: str, n: int) -> Inputs:
    """Scores of two models between the bounds, some of which stand at one; and 0/1 answers."""
    share = [(words(n, stream) % np.uint64(1001)).astype(np.float64) / 1000.0 for stream in (7, 8)]
    new, base = (BOUNDS[0] + 4.0 * np.maximum(0.0, y - 0.1) / 0.9 for y in share)
    return {"new": new, "base": base, "answers": (share[0] > 0.3).astype(np.float64)}


def _said(totals: _core.SequenceTotals, method: str) -> Outputs:
    n = totals.size()["values"]
    times = np.array([n]) if method == COUNTED else np.array([(n + 1) // 2, n])
    found = totals.looks(times, method=method, confidence_level=LEVEL)
    return {**found, "p": totals.p_value(0.5, confidence_level=LEVEL), "bytes": totals.to_bytes(b"{}")}


def _added(totals: _core.SequenceTotals, inputs: Inputs, rows: slice, *, method: str, differences: bool) -> None:
    if method == COUNTED:
        assert totals.update(inputs["answers"][rows], bounds=(0.0, 1.0)) is None
    else:
        base = (inputs["base"][rows],) if differences else ()
        assert totals.update(inputs["new"][rows], *base, bounds=BOUNDS) is None


def _case(method: str, *, differences: bool) -> Case:
    def run(inputs: Inputs) -> Outputs:
        totals = _core.SequenceTotals(method != COUNTED)
        _added(totals, inputs, slice(None), method=method, differences=differences)
        return _said(totals, method)

    def in_two(inputs: Inputs, cut: float) -> Outputs:
        at, totals = int(cut * len(inputs["new"])), _core.SequenceTotals(method != COUNTED)
        for rows in (slice(0, at), slice(at, None)):
            _added(totals, inputs, rows, method=method, differences=differences)
        return _said(totals, method)

    def by_formula(inputs: Inputs) -> Outputs:
        whole = run(inputs)["bytes"]
        if method == COUNTED:
            k, n = int(inputs["answers"].sum()), len(inputs["answers"])
            low, high = reference.beta_binomial(k, n, ALPHA)
            return {
                "mean": np.array([k / n]),
                "low": np.array([low]),
                "high": np.array([high]),
                "p": 1.0,
                "bytes": whole,
            }
        y = reference.values(inputs["new"], inputs["base"] if differences else None, BOUNDS)
        of = reference.betting if method == "betting" else reference.bernstein
        parts = [y[: (len(y) + 1) // 2], y]
        low, high = (np.array(side) for side in zip(*(of(part, ALPHA) for part in parts), strict=True))
        mean = np.array([part.mean() for part in parts])
        return {"mean": mean, "low": low, "high": high, "p": reference.p_value(y, ALPHA, 0.5), "bytes": whole}

    return Case(
        name=f"uncertainty.sequence_{method}{'_differences' if differences else ''}",
        covers=("SequenceTotals",),
        make=_scores,
        run=run,
        reference=by_formula,
        dtypes=("float64",),
        lengths=(1, 2, 17, 1000, 4097),
        bound={"mean": 1e-14, "low": 1e-10, "high": 1e-10, "p": Share(1e-9)},
        split=in_two,
    )


CASES = [
    *(
        _case(method, differences=differences)
        for method in names("sequence.method")
        for differences in ((False, True) if method != COUNTED else (False,))
    )
]

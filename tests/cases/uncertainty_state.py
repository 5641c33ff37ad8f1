"""Rows of the states of the uncertainty room."""

from __future__ import annotations

import numpy as np

from steelyard import _core
from steelyard.reference import intervals as reference

from . import Case, Inputs, Outputs, as_dtype, normalish, words

SHIFT = 2.5


def _values(dtype: str, n: int) -> Inputs:
    """Numbers of both signs whose sizes cover the range of the type, and ids that occur several times."""
    spread = {"float16": 10, "bfloat16": 60, "float32": 60, "float64": 500}[dtype]
    powers = np.exp2((words(n, 3) % np.uint64(spread)).astype(np.float64) - spread // 2)
    return {"x": as_dtype(normalish(n, n) * powers, dtype), "ids": (words(n, 4) % np.uint64(11)).astype(np.int64) - 5}


def _added(totals: _core.EstimateTotals, inputs: Inputs, rows: slice) -> None:
    x, ids = inputs["x"][rows], inputs["ids"][rows]
    names, codes = np.unique(ids, return_inverse=True)
    bits = np.ascontiguousarray(x.view(np.uint16) if x.dtype.name == "bfloat16" else x)
    totals.update(bits, codes=codes.astype(np.int64), names=names)


def _said(totals: _core.EstimateTotals) -> Outputs:
    moments = totals.moments()
    sums, sizes = totals.cluster_sums(SHIFT)
    return {"mean": moments["mean"], "squares": moments["squares"], "sums": sums, "sizes": sizes}


def _run(inputs: Inputs) -> Outputs:
    totals = _core.EstimateTotals()
    _added(totals, inputs, slice(None))
    return _said(totals)


def _in_two(inputs: Inputs, cut: float) -> Outputs:
    """Both parts in states of their own, the later one first."""
    at = int(cut * len(inputs["x"]))
    parts = _core.EstimateTotals(), _core.EstimateTotals()
    for totals, rows in zip(parts, (slice(0, at), slice(at, None)), strict=True):
        if len(inputs["x"][rows]):
            _added(totals, inputs, rows)
    parts[1].merge(parts[0])
    return _said(parts[1])


def _reference(inputs: Inputs) -> Outputs:
    x = inputs["x"].astype(np.float64)
    mean, squares = reference.exact_moments(x)
    sums, sizes = reference.exact_cluster_sums(x, inputs["ids"], SHIFT)
    return {"mean": mean, "squares": squares, "sums": sums, "sizes": sizes}


CASES = [
    Case(
        name="uncertainty.estimate_state",
        covers=("EstimateTotals",),
        make=_values,
        run=_run,
        reference=_reference,
        lengths=(1, 2, 17, 1000, 20_000),
        split=_in_two,
    )
]

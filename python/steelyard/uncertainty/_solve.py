"""Planning solved: the number of rows, the difference or the power, from the other two."""

from __future__ import annotations

from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from ._planned import Planned
from ._search import least_difference, least_rows
from ._study import Floats, Study
from ._words import decision, design, how
from .power_analysis import PowerAnalysis

__all__ = ["Solved", "analysed"]

Solved = Literal["power", "n", "difference"]
# Clusters of 3.5 rows: 21 of them have 73.5 rows, rounded up to 74, and 74 rows are 21 clusters.
WHOLE = 1.0 - 1e-9


def analysed(planned: Planned, solved: Solved) -> PowerAnalysis:
    """Solve for what was asked."""
    found = _solve(planned, planned.study)
    settings = np.arange(len(found["n"]))
    sign = -1.0 if planned.mirrored else 1.0
    study = planned.study
    clusters = study.of["cluster_size"]
    grouped = bool((clusters != 1.0).any())
    sides = study.kind in ("samples", "two scores")

    def shaped(column: NDArray[Any], whole: bool = False) -> Any:
        typed = column.astype(np.int64) if whole else column
        return typed.reshape(planned.shape) if planned.shape else typed.item()

    low, high = None, None
    if planned.limits:
        ends = _limits(planned, solved, found[solved], sign if solved == "difference" else 1.0)
        low, high = (shaped(end, solved == "n") for end in ends)
    return PowerAnalysis(
        solved=solved, n=shaped(found["n"], True), difference=shaped(sign * found["difference"]),
        power=shaped(found["power"]), low=low, high=high,
        n_baseline=shaped(study.beside(settings, found["n"]), True) if sides else None,
        n_clusters=shaped(np.ceil((found["n"] - WHOLE) / clusters), True) if grouped else None,
        decision=decision(planned), design=design(planned), method=how(planned, found["n"]),
        margin=shaped(study.of["margin"]),
        confidence_level=planned.confidence.level, alternative=planned.confidence.alternative,
        comparisons=planned.comparisons, assumed=planned.assumed,
    )._planned_as(planned)  # fmt: skip


def _solve(planned: Planned, study: Study) -> dict[Solved, Floats]:
    """n, the difference and the power that they have; NaN where no difference reaches the power."""
    n, difference = planned.n, planned.difference
    if n is None:
        assert difference is not None
        assert planned.power is not None
        n = least_rows(study, difference, planned.power)
    elif difference is None:
        assert planned.power is not None
        difference = least_difference(study, n, planned.power)
    assert difference is not None
    seen = np.flatnonzero(difference == difference)
    power = np.full(len(n), np.nan)
    power[seen] = study.chance(seen, n[seen], difference[seen])
    return {"n": n, "difference": difference, "power": power}


def _limits(planned: Planned, solved: Solved, value: Floats, sign: float) -> tuple[Floats, Floats]:
    """The least and the largest of the answers at the pilot's value and limits, as far as these have answers."""
    others = [_solve(planned, study)[solved] for study in planned.limits]
    every = sign * np.stack([value, *others])
    return np.fmin.reduce(every), np.fmax.reduce(every)

"""Two models compared on the same rows by a statistic of sums, such as the BLEU of both or the F1 of both."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np

from .. import _core, _intervals
from .._columns import Array, one_column
from .._options import Confidence
from .._progress import OnProgress
from .._rows import Rows, Selection
from .._strata import told
from ..errors import type_error, value_error
from ._statistics import column_names, for_core, of_sums_by_name, refusal, several_columns
from ._sums import of_sums
from .comparison import Pair

__all__ = ["COMPARED", "LOWER_IS_BETTER", "baseline_of", "compared"]

# Those with a comparison of their own are left out.
COMPARED = tuple(name for name in of_sums_by_name() if name not in ("mean", "ratio", "perplexity"))
LOWER_IS_BETTER = ("perplexity", "rmse", "brier", "log_loss")
RESAMPLES, SEED = 9_999, 0
TEST = f"centred paired bootstrap, {RESAMPLES:,} resamples"
ROUNDING = 1e-12
EQUAL = ("equal values", "equal means", "equal replicates")


def compared(
    new: tuple[str, Any],
    base: tuple[str, Any],
    selection: Selection,
    *,
    statistic: str,
    confidence: Confidence,
    problems: int,
    progress: OnProgress,
) -> Pair:
    """The statistic of one model minus that of the baseline, as one of several ``problems``."""
    sides = [_columns(*side, statistic) for side in (new, base)]
    lengths = [len(next(iter(side.values()))) for side in sides]
    if lengths[0] != lengths[1]:
        raise value_error(new[0], f"{lengths[1]} rows, as {base[0]} has", str(lengths[0]), "compare the same rows")
    both = sides[0] | sides[1]
    rows = selection.rows(new[0], *both.values())
    levels = _intervals.levels(confidence, problems)
    estimates = [of_sums(both, rows, level, statistic=statistic, difference=True) for level in levels]
    detail = estimates[0].detail | {"n_resamples": RESAMPLES, "seed": SEED}
    shown = replace(estimates[0], detail=detail)
    if problems > 1:
        shown = _intervals.simultaneous(shown, estimates[1])
    return Pair(shown, _p(both, rows, statistic, confidence, progress), TEST, None, None, shares=False)


def _columns(name: str, x: Any, statistic: str) -> dict[str, Array]:
    """The columns of one side."""
    if len(column_names(statistic)) > 1:
        return several_columns(x, statistic, name)
    return {name: one_column(x, name)}


def _p(columns: dict[str, Array], rows: Rows, statistic: str, confidence: Confidence, progress: OnProgress) -> float:
    """How often the differences of resamples are as far from the difference as that is from 0."""
    codes, total = rows.clusters or (None, 0)
    strata = rows.strata
    found = _core.bootstrap(
        for_core(map(rows.of, columns.values())), f"difference of {statistic}", codes=codes, clusters=total,
        **told(strata, rows.clusters),
        method="percentile", n_resamples=RESAMPLES, seed=SEED, confidence_level=0.5, alternative="two-sided",
        progress=progress,
    )  # fmt: skip
    if found.get("refused") in EQUAL:
        return 1.0
    if "refused" in found:
        raise refusal(found, statistic, columns, rows)
    value, least = found["value"], 1 - ROUNDING
    away = found["replicates"] - value
    far: dict[str, Callable[[], Any]] = {
        "two-sided": lambda: abs(away) >= least * abs(value),
        "greater": lambda: away >= value - ROUNDING * abs(value),
        "less": lambda: away <= value + ROUNDING * abs(value),
    }
    return (1 + int(np.count_nonzero(far[confidence.alternative]()))) / (RESAMPLES + 1)


def baseline_of(statistic: str, baseline: Any) -> None:
    """Refuse a comparison without a baseline: models are ranked by means alone."""
    if baseline is None:
        raise type_error("baseline", f"the columns of another model with statistic={statistic!r}", "None")

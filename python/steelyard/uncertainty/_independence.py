"""The permutation test that two columns are independent, beside the estimate of their correlation."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from .. import _core
from .._arrays import to_float64
from .._columns import Array
from .._estimate import Estimate
from .._options import Confidence
from .._progress import OnProgress
from .._registries import titles
from .._rows import Rows
from ..errors import value_error

__all__ = ["TESTED", "TESTS", "independent"]

TESTS = titles("independence.test")
# The statistics whose hypothesis of 0 is that of independence.
TESTED = ("correlation", "slope")
SEED = 0


def independent(
    found: Estimate,
    columns: Mapping[str, Array],
    rows: Rows,
    confidence: Confidence,
    *,
    test: str,
    progress: OnProgress,
) -> Estimate:
    """The estimate with the p-value of the test in its detail."""
    x, y = (to_float64(rows.of(column)) for column in columns.values())
    if len(x) > _core.SHUFFLED_ROWS:
        expected = f"None for more than {_core.SHUFFLED_ROWS:,} rows, which are too many to shuffle"
        raise value_error("test", expected, f"{test!r} for {len(x):,} rows")
    of = _core.independence(x, y, test=test, alternative=confidence.alternative, seed=SEED, progress=progress)
    how = f"{of['drawn']:,} random orders" if of["drawn"] else "exact"
    return replace(found, detail=found.detail | {"p_value": of["p"], "test": f"{TESTS[test]}, {how}"})

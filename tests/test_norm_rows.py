"""Sums of squares by rows: the same bits however the rows of an array are spread over states."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest

from steelyard import _core


def totals(*parts: tuple[np.ndarray[Any, Any], int]) -> _core.GlobalNormTotals:
    whole = _core.GlobalNormTotals()
    for array, length in parts:
        assert whole.add_rows((array,), [length])
    return whole


def drawn(rows: int, length: int, dtype: str = "float32") -> np.ndarray[Any, Any]:
    values = np.random.default_rng(rows * 7 + length).standard_normal((rows, length))
    return (values * 10.0 ** np.arange(-3, 4)[np.arange(rows) % 7, None]).astype(dtype)


@pytest.mark.parametrize("dtype", ["float32", "float64", "float16"])
@pytest.mark.parametrize(("rows", "length"), [(1, 1), (7, 33), (300, 17), (3, 70_001), (500, 1)])
def test_rows_may_be_spread_in_any_way(rows: int, length: int, dtype: str) -> None:
    x = drawn(rows, length, dtype)
    whole = totals((x, length))
    for cut in {0, rows // 3, rows // 2, rows}:
        merged = totals((x[cut:], length))
        merged.merge(totals((x[:cut], length)))
        assert merged.to_bytes(b"") == whole.to_bytes(b"")
    exact = math.fsum(float(v) ** 2 for v in x.ravel())
    assert whole.norm() == pytest.approx(math.sqrt(exact), rel=1e-14)


def test_rows_of_one_element_are_added_exactly() -> None:
    x = drawn(2_000, 1)
    exact = math.sqrt(math.fsum(float(v) ** 2 for v in x.ravel()))  # rounded twice
    assert totals((x, 1)).norm() == pytest.approx(exact, rel=2.3e-16)
    big = np.array([1e200, 1e-200, 3e200])
    assert totals((big, 1)).norm() == pytest.approx(math.sqrt(10) * 1e200, rel=1e-15)


def test_what_is_not_finite_is_not_added() -> None:
    for bad in (np.nan, np.inf):
        state = totals((np.array([3.0, 4.0]), 2))
        assert not state.add_rows((np.array([1.0, bad]), np.array([2.0])), [1, 1])
        assert state.norm() == 5.0


@pytest.mark.parametrize("lengths", [[], [0], [1, 1]])
def test_lengths_that_do_not_fit(lengths: list[int]) -> None:
    with pytest.raises(ValueError, match="lengths: expected one per array, at least 1"):
        _core.GlobalNormTotals().add_rows((np.ones(3),), lengths)

"""Norms of any order, and clipping by norm, by array, by unit and by value, against exact numbers."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import ml_dtypes
import mpmath
import numpy as np
import pytest

import steelyard as sy

DTYPES: list[Any] = [np.float32, np.float64, np.float16, ml_dtypes.bfloat16]


def exact(values: list[float], p: float) -> mpmath.mpf:
    """The norm with 60 digits."""
    with mpmath.workdps(60):
        if p == math.inf:
            return mpmath.mpf(max(abs(x) for x in values))
        return mpmath.fsum(abs(mpmath.mpf(x)) ** p for x in values) ** (1 / mpmath.mpf(p))


@pytest.mark.parametrize("p", [0.1, 0.5, 1.0, 1.5, 2.0, 2.5, 3.0, 10.0, 1000.0, math.inf])
@pytest.mark.parametrize("dtype", DTYPES)
def test_norms_are_within_their_bound(p: float, dtype: Any) -> None:
    values = np.random.default_rng(0).standard_normal(3001).astype(dtype)
    want = exact(values.astype(np.float64).tolist(), p)
    assert abs(sy.global_norm([values[:7], values[7:]], p) / want - 1) <= 1e-13 / min(p, 1.0)


@pytest.mark.parametrize("p", [0.5, 1.0, 2.0, 3.0, math.inf])
@pytest.mark.parametrize("scale", [1e300, 1e-300, 5e-324, 1e-160])
def test_no_order_overflows_or_vanishes_on_the_way(p: float, scale: float) -> None:
    values = (np.array([3.0, -1.0, 2.0, 0.0]) * scale).tolist()
    want = float(exact(values, p))
    assert sy.global_norm(np.array(values), p) == pytest.approx(want, rel=1e-14)


@pytest.mark.parametrize("p", [0.5, 1.0, 2.0, 3.0, math.inf])
def test_the_norm_of_each_array_is_its_own(p: float) -> None:
    tree = {
        "a": np.arange(70_000.0),
        "b": [np.float32([3.0, -4.0]), np.zeros((0, 2))],
        "c": np.float16(2.0).reshape(()),
    }
    info = sy.global_norm(tree, p, detail=True)
    assert info.paths == ('["a"]', '["b"][0]', '["b"][1]', '["c"]')
    assert info.norms.tolist() == [sy.global_norm(x, p) for x in (tree["a"], *tree["b"], tree["c"])]
    assert info.norm == sy.global_norm(tree, p)
    assert (info.nonfinite, info.first_nonfinite, info.first_element) == (0, None, None)


@pytest.mark.parametrize("p", [0.5, 1.0, 2.0, 3.0, math.inf])
@pytest.mark.parametrize("dtype", DTYPES)
def test_a_nan_wins_over_an_infinity_and_both_over_numbers(p: float, dtype: Any) -> None:
    good, bad = np.ones(100, dtype), np.ones(100, dtype)
    bad[70] = -np.inf
    info = sy.global_norm({"good": good, "bad": bad}, p, nonfinite="propagate", detail=True)
    assert info.norm == math.inf
    assert (info.nonfinite, info.first_nonfinite, info.first_element) == (1, 'grads["bad"]', 70)
    assert math.isfinite(info.norms[0])
    bad[50] = np.nan
    assert math.isnan(sy.global_norm([bad, good], p, nonfinite="propagate"))
    assert math.isnan(sy.global_norm([good, bad], p, nonfinite="propagate"))
    with pytest.raises(ValueError, match=r'grads\["bad"\].* 2 NaN or infinite, the first at element 50'):
        sy.global_norm({"good": good, "bad": bad}, p)


@pytest.mark.parametrize("p", [0.0, -1.0, -math.inf, math.nan])
def test_orders_that_are_not_above_zero_are_refused(p: float) -> None:
    g = np.ones(2)
    for call in (sy.global_norm, lambda g, p: sy.clip_by_global_norm_(g, 1.0, p)):
        with pytest.raises(ValueError, match="norm_type: expected a number above 0"):
            call(g, p)


@pytest.mark.parametrize("p", [0.5, 1.0, 2.0, 3.0, math.inf])
@pytest.mark.parametrize("dtype", DTYPES)
def test_after_clipping_the_norm_is_the_limit(p: float, dtype: Any) -> None:
    g = np.random.default_rng(1).standard_normal(999).astype(dtype)
    before = sy.global_norm(g, p)
    assert sy.clip_by_global_norm_(g, before / 3, p) == before
    step = {2: 2.0**-8, 4: 2.0**-23, 8: 2.0**-51}[g.dtype.itemsize]
    assert sy.global_norm(g, p) == pytest.approx(before / 3, rel=step)
    again = g.copy()
    sy.clip_by_global_norm_(g, before / 2, p)
    assert g.tobytes() == again.tobytes()


def test_a_norm_that_is_known_is_not_measured_again() -> None:
    g = np.array([3.0, 4.0])
    assert sy.clip_by_global_norm_(g, 1.0, norm=10.0) == 10.0
    assert g.tolist() == [3.0 * 0.1, 4.0 * 0.1]
    for norm, message in ((-1.0, "norm: expected a finite number"), (math.nan, "norm: expected a finite number")):
        with pytest.raises(ValueError, match=message):
            sy.clip_by_global_norm_(g, 1.0, norm=norm)
    sy.clip_by_global_norm_(g, 1.0, norm=math.inf, nonfinite="propagate")
    assert g.tolist() == [0.0, 0.0]


def test_each_array_is_clipped_by_itself() -> None:
    grads = {"a": np.float32([3.0, 4.0]), "b": np.array([0.5]), "c": np.zeros(0), "d": np.array([1e300, 0.0])}
    assert sy.optim.clip_by_block_norm_(grads, 1.0) == 2
    assert [sy.global_norm(g) for g in grads.values()] == pytest.approx([1.0, 0.5, 0.0, 1.0], rel=1e-7)
    assert sy.optim.clip_by_block_norm_(grads, 1.0 + 1e-6) == 0


def test_values_are_clipped_to_the_nearest_number_of_the_type() -> None:
    for dtype in DTYPES:
        g = np.array([0.05, -0.3, np.inf, np.nan]).astype(dtype)
        assert sy.optim.clip_by_value_(g, 0.1, nonfinite="propagate") == 2
        want = np.array([0.05, -0.1, 0.1, np.nan]).astype(dtype)
        assert g.tobytes() == want.tobytes()


ORDINARY = {
    "clip_by_block_norm_": (1.0,),
    "clip_by_value_": (1.0,),
    "clip_by_global_norm_": (1.0,),
    "adaptive_clip_": (),
}


@pytest.mark.parametrize("name", ORDINARY)
def test_what_is_not_finite_is_refused_before_anything_is_written(name: str) -> None:
    call: Callable[..., Any] = getattr(sy.optim, name)
    grads = {"a": np.array([30.0, 40.0]), "b": np.array([1.0, np.nan])}
    more = ({"a": np.ones(2), "b": np.ones(2)},) if name == "adaptive_clip_" else ORDINARY[name]
    with pytest.raises(ValueError, match=r'grads\["b"\].* 1 NaN or infinite, the first at element 1.*nothing was'):
        call(grads, *more)
    call(grads, *more, nonfinite="skip")
    assert grads["a"].tolist() == [30.0, 40.0]
    call(grads, *more, nonfinite="propagate")
    assert grads["a"].tolist() != [30.0, 40.0]


@pytest.mark.parametrize("name", ["clip_by_block_norm_", "clip_by_value_", "clip_by_global_norm_"])
def test_limits_below_zero_are_refused(name: str) -> None:
    """torch turns gradients around for max_norm=-1, and sets all of them to -1 for clip_value=-1."""
    g = np.array([3.0, 4.0])
    for limit in (-1.0, math.nan):
        with pytest.raises(ValueError, match=r"(max_norm|clip_value): expected a number that is at least 0"):
            getattr(sy.optim, name)(g, limit)
    assert g.tolist() == [3.0, 4.0]


UNITS: dict[str, dict[int, tuple[int, ...]]] = {
    "timm": {1: (), 2: (0,), 3: (0,), 4: (0,), 5: (0,)},
    "optax": {1: (), 2: (1,), 3: (1, 2), 4: (3,), 5: (4,)},
}


@pytest.mark.parametrize("axes", UNITS)
@pytest.mark.parametrize("rank", [1, 2, 3, 4, 5])
def test_units_have_at_most_their_share(axes: Any, rank: int) -> None:
    draw = np.random.default_rng(rank)
    shape = (4, 3, 5, 2, 3)[:rank]
    g, w = draw.standard_normal(shape), 8 * draw.standard_normal(shape)
    before, kept = g.copy(), UNITS[axes][rank]
    clipped = sy.optim.adaptive_clip_(g, w, 0.1, axes=axes)
    others = tuple(axis for axis in range(rank) if axis not in kept)
    norms = [np.sqrt((x**2).sum(axis=others, keepdims=True)) for x in (before, w)]
    limit = 0.1 * np.maximum(norms[1], 1e-3)
    want = np.where(norms[0] > limit, before * (limit / norms[0]), before)
    np.testing.assert_allclose(g, want, rtol=1e-14)
    assert clipped == int((norms[0] > limit).sum()) > 0


def test_units_beyond_the_range_of_squares() -> None:
    g = np.array([[1e200, 1e-200], [1e200, 1e-200]])
    sy.optim.adaptive_clip_(g, np.zeros((2, 2)), 1e-201, eps=1.0, axes="optax")
    assert sy.global_norm(g[:, 0]) == pytest.approx(1e-201, rel=1e-14)
    assert sy.global_norm(g[:, 1]) == pytest.approx(1e-201, rel=1e-14)


def test_parameters_of_adaptive_clipping_are_checked() -> None:
    g = {"w": np.ones((2, 3))}
    with pytest.raises(
        ValueError, match=r'params\["w"\]: expected shape \(2, 3\), like the gradient; got shape \(3, 2\)'
    ):
        sy.optim.adaptive_clip_(g, {"w": np.ones((3, 2))})
    with pytest.raises(ValueError, match=r'params\["w"\]: expected finite values; got 1 NaN'):
        sy.optim.adaptive_clip_(g, {"w": np.full((2, 3), [[1.0, np.inf, 2.0], [1.0, 1.0, 1.0]])})
    with pytest.raises(ValueError, match="five axes"):
        sy.optim.adaptive_clip_(np.ones((2,) * 6), np.ones((2,) * 6), axes="optax")
    assert sy.optim.adaptive_clip_(np.ones((2, 0)), np.ones((2, 0))) == 0
    assert sy.optim.adaptive_clip_(np.array(1.0), np.array(1.0)) == 1

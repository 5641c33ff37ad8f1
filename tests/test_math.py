"""The foundation's mathematics: stated errors, tails, edges, NaNs, and agreement with SciPy where that is right."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import mpmath
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from mpmath import mpf

from steelyard import _core

from . import exact
from .cases import uniform

ELEMENTWISE = [_core.math_exp, _core.math_expm1, _core.math_log, _core.math_log1p]


def _worst_ulps(f: Callable[[Any], Any], oracle: Callable[[mpf], mpf], x: np.ndarray) -> float:
    """The largest error in units in the last place of the exact value."""
    worst = 0.0
    for argument, got in zip(x.tolist(), f(x).tolist(), strict=True):
        want = oracle(mpf(argument))
        worst = max(worst, float(abs(mpf(got) - want) / mpf(math.ulp(float(want)))))
    return worst


def _spread(n: int, stream: int, low: float, high: float) -> np.ndarray:
    return low + (high - low) * uniform(n, stream)


def _near_zero(n: int, stream: int) -> np.ndarray:
    """Both signs, every binade from 2**-60 to 1/2."""
    u = uniform(2 * n, stream)
    return np.ldexp(u[:n] - 0.5, (-60 * u[n:]).astype(np.int64))


@pytest.mark.parametrize(
    ("f", "oracle", "x", "bound"),
    [
        (_core.math_exp, mpmath.exp, _spread(3000, 1, -708, 709.7), 0.9),
        (_core.math_exp, mpmath.exp, _spread(3000, 2, -1, 1), 0.9),
        (_core.math_expm1, mpmath.expm1, _spread(3000, 3, -40, 709.7), 0.95),
        (_core.math_expm1, mpmath.expm1, _spread(3000, 4, -1, 1), 0.95),
        (_core.math_expm1, mpmath.expm1, _near_zero(3000, 5), 0.95),
        (_core.math_log, mpmath.log, np.exp(_spread(3000, 6, -744, 709)), 0.8),
        (_core.math_log, mpmath.log, 1.0 + _near_zero(3000, 7), 0.8),
        (_core.math_log, mpmath.log, _spread(3000, 8, 0.5, 3), 0.8),
        (_core.math_log1p, mpmath.log1p, _near_zero(3000, 9), 0.8),
        (_core.math_log1p, mpmath.log1p, _spread(3000, 10, -1, 3), 0.8),
        (_core.math_log1p, mpmath.log1p, np.exp(_spread(3000, 11, 0, 700)), 0.8),
        (_core.math_cos, mpmath.cos, _spread(3000, 12, 0, 3.2), 0.9),
        (_core.math_erfc, mpmath.erfc, _spread(3000, 13, -6, 26), 3.0),
    ],
    ids=lambda v: getattr(v, "__name__", None),
)
def test_errors_stay_below_what_is_stated(f: Any, oracle: Any, x: np.ndarray, bound: float) -> None:
    x = x[x != -1.0]
    assert _worst_ulps(f, oracle, x) < bound


def test_the_smallest_subnormals_are_right() -> None:
    x = _spread(300, 14, -745.2, -708.3)
    for argument, got in zip(x.tolist(), _core.math_exp(x).tolist(), strict=True):
        assert abs(mpf(got) - mpmath.exp(mpf(argument))) <= mpf(2) ** -1074


@pytest.mark.parametrize("f", ELEMENTWISE, ids=lambda f: f.__name__)
def test_every_class_of_nan_stays_nan(f: Any) -> None:
    prefixes = np.arange(512, dtype=np.uint64)
    high = (prefixes >> np.uint64(8) << np.uint64(63)) | np.uint64(0x7FF << 52)
    bits = high | ((prefixes & np.uint64(255)) << np.uint64(44)) | np.uint64(1)
    x = bits.view(np.float64)
    assert np.isnan(x).all()
    assert np.isnan(f(x)).all()


def test_every_class_of_nan_stays_nan_in_float32() -> None:
    prefixes = np.arange(512, dtype=np.uint32)
    high = (prefixes >> np.uint32(8) << np.uint32(31)) | np.uint32(0xFF << 23)
    bits = high | ((prefixes & np.uint32(255)) << np.uint32(15)) | np.uint32(1)
    assert np.isnan(_core.math_exp32(bits.view(np.float32))).all()


@given(st.floats(allow_nan=False), st.integers(0, 40))
def test_a_number_and_an_array_give_the_same_bits_wherever_it_stands(x: float, before: int) -> None:
    array = np.full(before + 3, 0.5)
    array[before] = x
    for f in ELEMENTWISE:
        assert np.array_equal(np.float64(f(x)), f(array)[before], equal_nan=True)


@given(st.floats(0.5, 1.0), st.integers(0, 200_000))
def test_powi_is_the_nearest_number(base: float, n: int) -> None:
    want = mpf(base) ** n
    if want > mpf(10) ** -290:
        assert _core.math_powi(base, n) == float(want)


@pytest.mark.parametrize(("low", "high"), [(-300, -3), (-3, -0.31)])
def test_normal_quantile_and_tail(low: float, high: float) -> None:
    for p in (10.0 ** _spread(300, 20, low, high)).tolist():
        x = _core.normal_quantile(p)
        want = exact.inverse(x, lambda t: exact.tail_of_normal(-t), mpmath.npdf, mpf(p))
        assert exact.relative_error(x, want) < 1e-15
        assert exact.relative_error(_core.normal_cdf(x), exact.tail_of_normal(-mpf(x))) < 1e-15
        assert exact.relative_error(_core.normal_pdf(x), mpmath.npdf(mpf(x))) < 5e-16


def _decades(stream: int, low: float, high: float, n: int) -> list[float]:
    return (10.0 ** _spread(n, stream, low, high)).tolist()


@pytest.mark.parametrize(("low", "high", "tail"), [(-1.3, 0.0, -9.0), (0.0, 2.0, -290.0), (2.0, 3.0, -290.0)])
def test_beta_tails_and_quantiles(low: float, high: float, tail: float) -> None:
    points = zip(_decades(30, low, high, 60), _decades(31, low, high, 60), _decades(32, tail, -0.31, 60), strict=True)
    tried = 0
    for a, b, p in points:
        x = _core.beta_quantile(a, b, p)
        if x < 1e-290:
            continue
        tried += 1
        lower, upper = exact.tails_of_beta(mpf(a), mpf(b), mpf(x), 1 - mpf(x))
        assert exact.relative_error(_core.beta_cdf(a, b, x), lower) < 1e-12
        assert exact.relative_error(_core.beta_sf(a, b, x), upper) < 1e-12
        # The error of x relative to x: the residual over x times the density.
        slope = exact.x_dx_of_beta(mpf(a), mpf(b), mpf(x), 1 - mpf(x)) / (1 - mpf(x))
        assert abs(lower - mpf(p)) / slope < 1e-12
        mirror = _core.beta_isf(b, a, p)
        assert abs(1.0 - x - mirror) <= 2.0**-52
    assert tried >= 45


def test_beta_of_a_thousand_million_answers_as_one_power_does() -> None:
    n = 1e9
    for p in (1e-200, 0.025, 0.5):
        # Beta(n, 1) has the distribution function x^n.
        assert exact.relative_error(_core.beta_quantile(n, 1.0, p), mpf(p) ** (1 / mpf(n))) < 1e-15
        assert exact.relative_error(_core.beta_isf(1.0, n, p), 1 - mpf(p) ** (1 / mpf(n))) < 1e-12


@pytest.mark.parametrize("df", [0.3, 1.0, 2.5, 9.3, 30.0, 400.0])
def test_t_tails_and_quantiles(df: float) -> None:
    for p in [*_decades(40, -250, -0.31, 25), 0.025, 0.4, 0.499]:
        t = _core.t_quantile(p, df)
        if not t > -1e290:
            continue
        want = exact.tail_of_t(-mpf(t), mpf(df))
        assert exact.relative_error(_core.t_cdf(t, df), want) < 1e-12
        assert abs(want - mpf(p)) / (-mpf(t) * exact.derivative_of_t(mpf(t), mpf(df))) < 1e-12


def test_t_with_many_degrees_of_freedom() -> None:
    for p in (1e-250, 0.025):
        for df in (1e4, 1e8, 1e13):
            t = _core.t_quantile(p, df)
            want = exact.inverse(
                t,
                lambda t, df=df: _t_by_integral(-t, mpf(df)),
                lambda t, df=df: exact.derivative_of_t(t, mpf(df)),
                mpf(p),
            )
            assert exact.relative_error(t, want) < 1e-12


def _t_by_integral(t: mpf, df: mpf) -> mpf:
    """P(T > t) for t >= 0 by quadrature: no series converges quickly for such df."""
    ends = [t + mpf(k) * k / 40 for k in range(25)]
    return mpmath.quad(lambda s: exact.derivative_of_t(s, df), [*ends, t + 40])


def test_a_fair_coin_counts_as_integers_do() -> None:
    for n in (1, 10, 177, 1000):
        below = 0
        for k in range(n + 1):
            ways = math.comb(n, k)
            below += ways
            for got, count in (
                (_core.binomial_pmf(k, n, 0.5), ways),
                (_core.binomial_cdf(k, n, 0.5), below),
                (_core.binomial_sf(k, n, 0.5), 2**n - below),
            ):
                assert exact.relative_error(got, mpf(count) / mpf(2) ** n) < 1e-12


def test_a_fair_coin_a_million_times() -> None:
    n, k = 10**6, 498_000
    want = mpmath.exp(mpmath.loggamma(n + 1) - mpmath.loggamma(k + 1) - mpmath.loggamma(n - k + 1)) / mpf(2) ** n
    assert exact.relative_error(_core.binomial_pmf(k, n, 0.5), want) < 1e-12
    term = total = want
    while term > total * mpf(10) ** -25:
        term *= mpf(k) / (n - k + 1)
        total += term
        k -= 1
    assert exact.relative_error(_core.binomial_cdf(498_000, n, 0.5), total) < 1e-12


@given(st.floats(0.05, 1e6), st.floats(0.05, 1e6), st.floats(1e-9, 0.5))
def test_quantiles_invert_and_mirror(a: float, b: float, p: float) -> None:
    x = _core.beta_quantile(a, b, p)
    assert 0.0 <= x <= 1.0
    assert _core.beta_cdf(a, b, x) + _core.beta_sf(a, b, x) == pytest.approx(1.0, abs=1e-15)
    if 1e-290 < x < 0.999:
        assert _core.beta_cdf(a, b, x) == pytest.approx(p, rel=1e-10)


@given(st.integers(1, 2**19), st.floats(0.05, 1e9))
def test_t_is_symmetric(k: int, df: float) -> None:
    p = k / 2**20  # 1 - p is exact
    t = _core.t_quantile(p, df)
    assert t == -_core.t_quantile(1.0 - p, df)
    assert _core.t_cdf(t, df) == _core.t_sf(-t, df) == pytest.approx(p, rel=1e-11)


@given(st.floats(0.3, 1e4), st.floats(0.3, 1e4), st.lists(st.floats(0.0, 1.0), min_size=2, max_size=6))
def test_distribution_functions_never_fall(a: float, b: float, points: list[float]) -> None:
    x = np.array(sorted(points))
    assert (np.diff(_core.beta_cdf(a, b, x)) >= -1e-13).all()
    assert (np.diff(_core.beta_sf(a, b, x)) <= 1e-13).all()


def test_agrees_with_scipy_where_scipy_is_right() -> None:
    from scipy import special, stats

    p = _spread(200, 50, 1e-6, 1 - 1e-6)
    np.testing.assert_allclose(_core.normal_quantile(p), special.ndtri(p), rtol=1e-14, atol=1e-15)
    x = _spread(200, 51, -8, 8)
    np.testing.assert_allclose(_core.normal_cdf(x), special.ndtr(x), rtol=2e-14)
    for df in (1.0, 4.7, 60.0, 1e4):
        np.testing.assert_allclose(_core.t_cdf(x, df), stats.t.cdf(x, df), rtol=1e-11)
        np.testing.assert_allclose(_core.t_quantile(p, df), stats.t.ppf(p, df), rtol=1e-11, atol=1e-12)
    for a, b in ((0.5, 0.5), (870.5, 130.5), (21.0, 0.7)):
        np.testing.assert_allclose(_core.beta_cdf(a, b, p), stats.beta.cdf(p, a, b), rtol=1e-11, atol=1e-300)
        np.testing.assert_allclose(_core.beta_quantile(a, b, p), stats.beta.ppf(p, a, b), rtol=1e-11)
    np.testing.assert_allclose(_core.math_lgamma(x + 9.0), special.gammaln(x + 9.0), rtol=1e-14)


def test_outside_the_domain_is_nan_not_an_answer() -> None:
    nan = float("nan")
    answers = [
        _core.math_log(-1.0), _core.math_log1p(-1.5), _core.math_lgamma(-2.5), _core.math_cos(math.inf),
        _core.normal_quantile(-0.1), _core.normal_quantile(1.5), _core.normal_cdf(nan),
        _core.t_quantile(0.5, 0.0), _core.t_quantile(2.0, 3.0), _core.t_cdf(1.0, -1.0), _core.t_sf(nan, 3.0),
        _core.beta_cdf(0.0, 1.0, 0.5), _core.beta_sf(1.0, math.inf, 0.5), _core.beta_quantile(1.0, 1.0, -0.1),
        _core.beta_isf(nan, 1.0, 0.5), _core.binomial_pmf(1, 2, 1.5), _core.binomial_cdf(1, 2, nan),
    ]  # fmt: skip
    assert all(math.isnan(answer) for answer in answers)


def test_ends_of_the_domain() -> None:
    inf = math.inf
    assert [_core.math_exp(v) for v in (inf, -inf, 710.0, -746.0)] == [inf, 0.0, inf, 0.0]
    assert [_core.math_log(v) for v in (0.0, -0.0, inf)] == [-inf, -inf, inf]
    assert [_core.normal_quantile(v) for v in (0.0, 0.5, 1.0)] == [-inf, 0.0, inf]
    assert [_core.t_quantile(v, 3.0) for v in (0.0, 0.5, 1.0)] == [-inf, 0.0, inf]
    assert [_core.t_cdf(v, 3.0) for v in (-inf, 0.0, inf)] == [0.0, 0.5, 1.0]
    assert [_core.beta_quantile(2.0, 3.0, v) for v in (0.0, 1.0)] == [0.0, 1.0]
    assert [_core.beta_cdf(2.0, 3.0, v) for v in (-1.0, 0.0, 1.0, 2.0)] == [0.0, 0.0, 1.0, 1.0]
    assert math.copysign(1.0, _core.math_expm1(-0.0)) == math.copysign(1.0, _core.math_log1p(-0.0)) == -1.0


def test_arrays_keep_their_shape_and_mix_with_numbers() -> None:
    p = np.array([[0.1, 0.2, 0.3], [0.4, 0.5, 0.6]])
    t = _core.t_quantile(p, 5.0)
    assert t.shape == (2, 3)
    assert t[1, 0] == _core.t_quantile(0.4, 5.0)
    assert _core.math_exp(np.empty((0, 4))).shape == (0, 4)


def test_what_does_not_fit_is_refused_with_a_sentence() -> None:
    with pytest.raises(ValueError, match=r"^df: expected the shape of the arrays before it, \[3\]; got \[2\]$"):
        _core.t_cdf(np.zeros(3), np.ones(2))
    with pytest.raises(TypeError, match=r"^x: expected float64; got dtype float32$"):
        _core.math_exp(np.zeros(3, np.float32))

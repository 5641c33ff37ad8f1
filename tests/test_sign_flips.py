"""The exact sign-flip p: against enumeration, whole-number counts, mpmath and random patterns."""

from __future__ import annotations

import itertools
import math

import mpmath
import numpy as np
import pytest

import steelyard as sy
from steelyard import _core
from steelyard._registries import names
from steelyard.reference import intervals as reference

LEAST = 2.2250738585072014e-308


def flip(x: np.ndarray, alternative: str = "two-sided") -> tuple[float, float]:
    found = _core.sign_flip(np.ascontiguousarray(x, np.float64), alternative=alternative)
    assert found["nonzero"] == np.count_nonzero(x)
    return found["p"], found["error"]


def kinds(m: int, seed: int) -> dict[str, np.ndarray]:
    rng = np.random.default_rng([seed, m])
    sizes = {
        "normal": rng.normal(size=m),
        "heavy": rng.standard_cauchy(m),
        "spread": np.exp(3 * rng.normal(size=m)),
        "tenths": rng.integers(-10, 11, m) / 10,
        "shares": rng.integers(0, 4, m) / 3 - rng.integers(0, 5, m) / 4,
        "equal": np.full(m, 0.3),
        "one huge": np.where(np.arange(m) == 0, 1e6, rng.normal(size=m)),
        "cluster sums": rng.poisson(20, m) - rng.poisson(20, m),
        "tiny": rng.normal(size=m) * 1e-300,
        "large": rng.normal(size=m) * 1e300,
        "halves of one": 0.5 ** np.arange(m),
    }
    return {kind: np.abs(x) * np.where(rng.random(m) < 0.3, -1.0, 1.0) for kind, x in sizes.items()}


def enumerated(x: np.ndarray, alternative: str) -> float:
    """All patterns; sums closer than 2^-40 of sum |x| count as equal."""
    x = x[x != 0] / np.abs(x).max(initial=1e-320)
    sums = np.zeros(1)
    for v in x:
        sums = np.concatenate([sums + v, sums - v])
    s, slack = math.fsum(x), np.abs(x).sum() * 2.0**-40
    far = {"two-sided": np.abs(sums) >= abs(s) - slack, "greater": sums >= s - slack, "less": sums <= s + slack}
    return float(far[alternative].mean())


@pytest.mark.parametrize("m", [1, 2, 3, 8, 16, 17, 19])
def test_every_pattern_of_few(m: int) -> None:
    for (kind, x), side in itertools.product(kinds(m, 1).items(), names("interval.alternative")):
        p, error = flip(x, side)
        # Within 1e-14 on a lattice, to the last bit elsewhere.
        assert p == pytest.approx(enumerated(x, side), rel=max(error, 1e-15)), (kind, side)
        assert error < 1e-12


@pytest.mark.parametrize("n", [41, 200, 2000])
def test_whole_numbers_are_counted_with_their_ties(n: int) -> None:
    rng = np.random.default_rng(n)
    for shift in (0.0, 0.6, 4.0):
        x = np.round(rng.normal(shift, 3, n)) * (rng.random(n) < 200 / n)
        for side in names("interval.alternative"):
            want = reference.sign_flip(x, side)
            for step in (1.0, 0.1, 1 / 3):
                p, error = flip(x * step, side)
                assert p == pytest.approx(want, rel=max(2 * error, 1e-13)), (shift, side, step)
                assert error < 1e-11


def test_far_tails_of_smooth_data_keep_their_digits() -> None:
    """The same integral in forty digits, at another tilt and with a finer step."""
    rng = np.random.default_rng(5)
    for m, shift in ((120, 0.1), (200, 0.5), (200, 1.0), (200, 1.5)):
        x = rng.normal(shift, 1, m)
        p, error = flip(x)
        want = 2 * by_mpmath(x)
        assert abs(p / want - 1) < max(error, 1e-11), (m, shift, p, want)
        assert error < 1e-7


def by_mpmath(x: np.ndarray) -> float:
    with mpmath.workdps(40):
        a, s = [mpmath.mpf(abs(v)) for v in x.tolist()], abs(mpmath.fsum(x.tolist()))
        deviation = mpmath.sqrt(mpmath.fsum(v * v for v in a))
        theta = mpmath.findroot(lambda u: mpmath.fsum(v * mpmath.tanh(u * v) for v in a) - s, s / deviation**2) * 1.1
        sech = mpmath.fsum((v / mpmath.cosh(theta * v)) ** 2 for v in a)
        period = 60 * mpmath.sqrt(sech)
        total = mpmath.mpf(0)
        for k in range(400):
            z = mpmath.mpc(theta, (k + mpmath.mpf(1) / 2) * 2 * mpmath.pi / period)
            value = mpmath.fprod(mpmath.cosh(v * z) for v in a) * mpmath.exp(-z * s) / z
            total += value.real
        return float(total * 2 / period)


def test_random_patterns_agree() -> None:
    rng = np.random.default_rng(6)
    for kind, values in kinds(60, 2).items():
        x = values / np.abs(values).max()
        signs = rng.choice([-1.0, 1.0], size=(100_000, 60))
        drawn = (np.abs(signs @ x) >= abs(x.sum()) * (1 - 1e-12)).mean()
        p, error = flip(x)
        assert error < 1e-5, kind
        assert abs(p - drawn) < 5 * math.sqrt(p * (1 - p) / 100_000) + 1e-4, (kind, p, drawn)


@pytest.mark.parametrize("n", [25, 60, 300, 9000])
def test_order_and_signs_do_not_matter(n: int) -> None:
    for kind, x in kinds(n, 3).items():
        p, error = flip(x)
        mixed = np.random.default_rng(7).permutation(x)
        assert flip(mixed)[0] == pytest.approx(p, rel=max(error, 1e-11)), kind
        assert flip(-x)[0] == p, kind
        assert flip(x * 2.0**-7)[0] == p, kind


def test_a_p_that_no_number_holds_is_printed_as_at_most() -> None:
    many = sy.compare(np.linspace(1, 2, 3000), baseline=np.zeros(3000))
    assert (many.p_value, many.test) == (LEAST, "sign-flip, exact")
    assert "p <= 2.23e-308 (sign-flip, exact)" in str(many)
    answers = sy.compare(np.ones(5000), baseline=np.zeros(5000))
    assert "p <= 2.23e-308 (McNemar mid-p)" in str(answers)
    several = sy.compare({"a": np.linspace(1, 2, 3000), "b": np.linspace(0, 1, 3000)}, baseline=np.zeros(3000))
    assert "p <= 2.23e-308, adjusted <= 4.46e-308" in str(several)
    assert "<td>&lt;= 2.23e-308</td>" in several._repr_html_()
    few = sy.compare(np.linspace(1, 2, 1000), baseline=np.zeros(1000))
    assert few.p_value == 2.0**-999
    assert "p = 1.87e-301" in str(few)


def test_a_few_values_off_the_lattice_keep_its_ties() -> None:
    """One odd score among tenths: half the sums on the lattice moved by it, half moved back."""
    rng = np.random.default_rng(8)
    tenths = rng.integers(0, 11, 6000) - rng.integers(0, 11, 6000)
    odd = 1.234567
    p, error = flip(np.concatenate([tenths / 10, [odd / 10]]), "greater")
    s = tenths.sum() + odd
    # What the tenths must come to at least, the odd one being with them or against them.
    ends = [math.ceil(s - odd), math.ceil(s + odd)]
    assert p == pytest.approx(np.mean([at_least(tenths, end) for end in ends]), rel=1e-12)
    assert error < 1e-12


def at_least(x: np.ndarray, end: int) -> float:
    """P(T >= end) for whole numbers, by doubling back in floating point: one value at a time."""
    sizes = np.abs(x[x != 0])
    p = np.zeros(2 * int(sizes.sum()) + 1)
    middle = len(p) // 2
    p[middle] = 1.0
    reach = 0
    for size in sizes.tolist():
        low, high = middle - reach, middle + reach + 1
        old = p[low:high] / 2
        p[low:high] = 0.0
        p[low - size : high - size] += old
        p[low + size : high + size] += old
        reach += size
    return float(p[middle + end :].sum())


def test_the_error_that_is_told_covers_what_is_missing() -> None:
    """Just beyond what is always counted, where generic angles leave most."""
    rng = np.random.default_rng(43)
    for kind in range(12):
        x = rng.normal(size=41)
        x[0] *= 10.0 ** (kind // 2)
        p, error = flip(x)
        sums = [np.sort(subset_sums(np.abs(half))) for half in (x[::2], x[1::2])]
        less = min(x[x > 0].sum(), -x[x < 0].sum()) + 2.0**-41 * np.abs(x).sum()
        count = np.searchsorted(sums[0], less - sums[1], side="right").sum()
        assert abs(p / math.ldexp(2.0 * float(count), -41) - 1) <= error + 1e-15, kind


def subset_sums(values: np.ndarray) -> np.ndarray:
    sums = np.zeros(1)
    for value in values:
        sums = np.concatenate([sums, sums + value])
    return sums


# -- what rounding leaves ------------------------------------------------------------------------------------

NEW = np.array([80, 7, 3, 83, 20, 3, 31, 7, 98, 96, 98, 79, 68, 40])
BASE = np.array([79, 8, 5, 80, 17, 1, 32, 5, 95, 95, 100, 78, 65, 37])


def by_patterns(whole: np.ndarray) -> float:
    """Two-sided, over all patterns of whole numbers."""
    signs = np.array(list(itertools.product([-1, 1], repeat=len(whole))))
    return float((np.abs(signs @ whole) >= abs(whole.sum())).mean())


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("rows", [8, 11, 14])
@pytest.mark.parametrize("offset", [0, 500, 10**8, 10**12])
def test_ties_of_sums_survive_the_rounding_of_scores(offset: int, rows: int, dtype: type) -> None:
    if dtype == np.float32 and offset > 500:
        pytest.skip("hundredths are below the step there")
    new, base = ((offset + x[:rows] / 100).astype(dtype) for x in (NEW, BASE))
    assert sy.compare(new, baseline=base).p_value == by_patterns((NEW - BASE)[:rows])


@pytest.mark.parametrize("n", [41, 300, 6000])
def test_more_scores_in_float32_have_the_p_of_the_whole_numbers(n: int) -> None:
    rng = np.random.default_rng(n)
    base = rng.integers(3, 96, n)
    new = base + rng.integers(-3, 4, n)
    want = reference.sign_flip(new - base)
    for dtype in (np.float32, np.float64):
        got = sy.compare((new / 100).astype(dtype), baseline=(base / 100).astype(dtype)).p_value
        assert got == pytest.approx(want, rel=1e-10), dtype


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_cluster_sums_that_cancel_are_zero(dtype: type) -> None:
    """.6 + .7 + .2 is 1.5 but for rounding: nothing is left to flip."""
    new, base = np.tile(np.array([0.6, 0.7, 0.2], dtype), 60), np.full(180, 0.5, dtype)
    c = sy.compare(new, baseline=base, clusters=np.arange(180) // 3)
    assert (c.p_value, c.difference.detail["signs"], c.difference.detail["smallest_p"]) == (1.0, 0.0, 1.0)


def test_noise_is_no_sign_beside_a_cluster_that_differs() -> None:
    new, base = np.tile([0.6, 0.7, 0.2], 10), np.full(30, 0.5)
    new[:3] = 0.9
    c = sy.compare(new, baseline=base, clusters=np.arange(30) // 3)
    assert (c.p_value, c.difference.detail["signs"], c.difference.detail["smallest_p"]) == (1.0, 1.0, 1.0)


def test_a_large_cluster_does_not_hide_small_ones() -> None:
    """What is rounding in the sum of 30,000 rows counts where it is the sum of one."""
    x = np.concatenate([np.tile([0.6, 0.7, 0.2], 10_000), 0.5 + np.full(6, 1e-6)])
    codes = np.concatenate([np.zeros(30_000, int), np.arange(1, 7)])
    c = sy.compare(x, baseline=np.full(len(x), 0.5), clusters=codes)
    assert (c.p_value, c.difference.detail["signs"]) == (2 / 64, 6.0)


@pytest.mark.parametrize("narrow", [np.float16, np.float32])
@pytest.mark.parametrize("scale", [1.0, 1e-6, 1e4])
def test_a_model_in_two_types_is_no_better_than_itself(narrow: type, scale: float) -> None:
    x = np.tile([0.1, 0.2, 0.4, 0.8], 10) * scale
    for new, base in ((x, x.astype(narrow)), (x.astype(narrow), x)):
        c = sy.compare(new, baseline=base)
        assert (c.p_value, c.wins, c.losses, c.ties) == (1.0, 0, 0, 40)


def test_whole_numbers_in_float32_are_exact() -> None:
    base = np.arange(5_000_000, 5_000_020, dtype=np.float32)
    assert sy.compare(base + 1, baseline=base).p_value == 2.0**-19
    assert sy.compare(base + 1, baseline=base, clusters=np.arange(20) // 2).p_value == 2.0**-9


def test_types_decide_ties_only_where_they_differ() -> None:
    x = np.linspace(0.3, 0.4, 20, dtype=np.float32)
    above = (x * np.float32(1.00001)).astype(np.float32)
    assert sy.compare(above, baseline=x).wins == 20
    assert sy.compare(above.astype(np.float64), baseline=x).wins == 20
    step = np.nextafter(x, np.float32(1))
    assert sy.compare(step, baseline=x).wins == 20
    assert sy.compare(step.astype(np.float64), baseline=x).ties == 20
    answers = np.arange(20) % 2 == 0
    assert sy.compare(answers, baseline=answers + 1e-9).losses == 20

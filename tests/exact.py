"""Elementary functions and distributions to forty digits: the oracle of ``_core``'s mathematics."""

from __future__ import annotations

from collections.abc import Callable

import mpmath
import numpy as np
from mpmath import mpf

mpmath.mp.dps = 40


def tail_of_normal(x: mpf) -> mpf:
    """P(X > x)."""
    return mpmath.erfc(x / mpmath.sqrt(2)) / 2


def tails_of_beta(a: mpf, b: mpf, x: mpf, y: mpf) -> tuple[mpf, mpf]:
    """I_x(a, b) and its complement, by x^a y^b / (a B(a, b)) 2F1(a + b, 1; a + 1; x), all terms positive."""
    if x * b > y * a:
        upper, lower = tails_of_beta(b, a, y, x)
        return lower, upper
    if x == 0:
        return mpf(0), mpf(1)
    term = total = mpf(1)
    n = 0
    while term > total * mpf(10) ** -30:
        term *= x * (a + b + n) / (a + 1 + n)
        total += term
        n += 1
    lower = x_dx_of_beta(a, b, x, y) / a * total
    return lower, 1 - lower


def x_dx_of_beta(a: mpf, b: mpf, x: mpf, y: mpf) -> mpf:
    """x^a y^b / B(a, b): the derivative of I_x(a, b) with respect to log(x / y)."""
    log_beta = mpmath.loggamma(a) + mpmath.loggamma(b) - mpmath.loggamma(a + b)
    return mpmath.exp(a * mpmath.log(x) + b * mpmath.log(y) - log_beta)


def tail_of_t(t: mpf, df: mpf) -> mpf:
    """P(T > t)."""
    if t < 0:
        return 1 - tail_of_t(-t, df)
    square = df + t * t
    return tails_of_beta(df / 2, mpf(1) / 2, df / square, t * t / square)[0] / 2


def tail_of_noncentral_t(t: mpf, df: mpf, delta: mpf) -> mpf:
    """P(T > t), by Lenth's series (Applied Statistics 38, 1989): Poisson weights of incomplete beta functions."""
    if t < 0:
        return 1 - tail_of_noncentral_t(-t, df, -delta)
    square = t * t + df
    x, y, half = t * t / square, df / square, delta * delta / 2
    even, odd = tails_of_beta(mpf(1) / 2, df / 2, x, y)[0], tails_of_beta(mpf(1), df / 2, x, y)[0]
    p, q = mpmath.exp(-half), delta * mpmath.exp(-half) / mpmath.sqrt(2) / mpmath.gamma(mpf(3) / 2)
    total, j = mpf(0), 0
    while j < half + 10 or abs(p * even) + abs(q * odd) > mpf(10) ** -30:
        total += p * even + q * odd
        even -= x_dx_of_beta(j + mpf(1) / 2, df / 2, x, y) / (j + mpf(1) / 2)
        odd -= x_dx_of_beta(mpf(j + 1), df / 2, x, y) / (j + 1)
        j += 1
        p, q = p * half / j, q * half / (j + mpf(1) / 2)
    return 1 - (tail_of_normal(delta) + total / 2)


def derivative_of_t(t: mpf, df: mpf) -> mpf:
    """The density of T."""
    log_beta = mpmath.loggamma(df / 2) + mpmath.loggamma(mpf(1) / 2) - mpmath.loggamma((df + 1) / 2)
    return mpmath.exp(-(df + 1) / 2 * mpmath.log1p(t * t / df) - log_beta) / mpmath.sqrt(df)


def inverse(value: float, f: Callable[[mpf], mpf], derivative: Callable[[mpf], mpf], target: mpf) -> mpf:
    """The root of f(x) = target next to ``value``: two Newton steps."""
    x = mpf(value)
    for _ in range(2):
        x -= (f(x) - target) / derivative(x)
    return x


def relative_error(got: float, want: mpf) -> float:
    """|got / want - 1|, or the error in smallest subnormals where ``want`` is below the normal numbers."""
    return float(abs(mpf(float(got)) - want) / max(abs(want), mpf(2) ** -1022))


def each(f: Callable[..., mpf], *arrays: np.ndarray) -> np.ndarray:
    """``f`` of every element in forty digits, rounded to float64; NaN where an argument is."""
    out = [
        float("nan") if any(v != v for v in values) else float(f(*(mpf(float(v)) for v in values)))
        for values in zip(*(a.ravel() for a in arrays), strict=True)
    ]
    return np.array(out, np.float64).reshape(arrays[0].shape)

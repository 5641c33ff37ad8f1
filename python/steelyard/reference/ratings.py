"""Ratings from battles: Bradley and Terry's model with ties, its sandwich covariance and its multinomial bootstrap.

A table [2, K, K] has the battles that model i won against j, and those that they tied (in either order).
"""

from __future__ import annotations

import itertools

import numpy as np
from numpy.typing import NDArray

from .max_t import step_down
from .random import BATTLES, NORMALS, At, counts, numbers

__all__ = ["by_draws", "covariance", "draw", "fit", "replicates"]

Floats = NDArray[np.float64]
Fit = tuple[Floats, float]
PIECE, SMALLEST, GAP = 1 << 16, 1e-22, 2.5


def fit(table: Floats, *, davidson: bool, prior: float) -> Fit:
    """The ratings, whose sum is 0, and log nu: Newton's method on the logarithm of the likelihood, from 0 on."""
    wins, ties = _pairs(table, davidson=davidson, prior=prior)
    x, log_nu = np.zeros(len(wins)), 0.0 if ties.any() else -np.inf
    for _ in range(200):
        gradient, curvature = _derivatives(wins, ties, x, log_nu)
        step = np.linalg.pinv(curvature, hermitian=True) @ gradient
        size = np.abs(step).max()
        step = step / max(size, 1.0)
        x, log_nu = x + step[:-1], log_nu + step[-1]
        if size < 1e-13:
            break
    return x - x.mean(), float(log_nu)


def _pairs(table: Floats, *, davidson: bool, prior: float) -> tuple[Floats, Floats]:
    """Wins with those of the prior, and symmetric ties; without a probability of their own, these are half wins."""
    models = table.shape[1]
    ties = table[1] + table[1].T
    wins = table[0] + prior / (models - 1) / 2.0 * (1.0 - np.eye(models))
    return (wins, ties) if davidson else (wins + ties / 2.0, np.zeros_like(ties))


def chances(x: Floats, log_nu: float) -> tuple[Floats, Floats]:
    """P(i beats j), P(tie) [K, K]."""
    up, nu = np.exp((x[:, None] - x) / 2.0), np.exp(log_nu)
    d = up + up.T + nu
    return up / d, nu / d


def _derivatives(wins: Floats, ties: Floats, x: Floats, log_nu: float) -> tuple[Floats, Floats]:
    """The gradient of the log-likelihood by the ratings and log nu, and its second derivative with the sign changed."""
    n = wins + wins.T + ties
    p, t = chances(x, log_nu)
    m = p + t / 2.0
    models = len(x)
    gradient, curvature = np.zeros(models + 1), np.zeros((models + 1, models + 1))
    gradient[:-1] = (wins + ties / 2.0 - n * m).sum(1)
    gradient[-1] = (ties - n * t).sum() / 2.0
    variance = n * (p + t / 4.0 - m * m)
    np.fill_diagonal(variance, 0.0)
    curvature[:-1, :-1] = np.diag(variance.sum(1)) - variance
    curvature[:-1, -1] = curvature[-1, :-1] = (n * t * (0.5 - m)).sum(1)
    curvature[-1, -1] = (n * t * (1.0 - t)).sum() / 2.0
    if not np.isfinite(log_nu):
        gradient[-1], curvature[-1, -1] = 0.0, 1.0
    return gradient, curvature


def scores(models: int, x: Floats, log_nu: float) -> Floats:
    """The gradient of the logarithm of one battle's probability, for each entry of a table [2 K^2, K + 1]."""
    p, t = chances(x, log_nu)
    out = np.zeros((2, models, models, models + 1))
    for kind, i, j in itertools.product(range(2), range(models), range(models)):
        by = (0.5 if kind else 1.0) - p[i, j] - t[i, j] / 2.0
        out[kind, i, j, i] += by
        out[kind, i, j, j] -= by
        out[kind, i, j, -1] = kind - t[i, j] if np.isfinite(log_nu) else 0.0
    return out.reshape(2 * models * models, models + 1)


def covariance(
    table: Floats,
    found: Fit,
    *,
    davidson: bool,
    prior: float,
    squares: Floats | None = None,
    rows: tuple[NDArray[np.int64], NDArray[np.int64], Floats] | None = None,
) -> Floats:
    """The sandwich [K, K], of battles or of ``rows``: the entry of each in the table, its cluster and its weight."""
    x, log_nu = found
    _, curvature = _derivatives(*_pairs(table, davidson=davidson, prior=prior), x, log_nu)
    each = scores(len(x), x, log_nu)
    if rows is None:
        scatter = each.T @ ((table if squares is None else squares).reshape(-1, 1) * each)
    else:
        places, codes, weights = rows
        clusters = int(codes.max()) + 1
        sums = np.zeros((clusters, len(x) + 1))
        np.add.at(sums, codes, weights[:, None] * each[places])
        scatter = sums.T @ sums * clusters / (clusters - 1)
    bread = np.linalg.pinv(curvature, hermitian=True)
    return (bread @ scatter @ bread)[:-1, :-1]


def _poisson(mean: float) -> tuple[int, list[float]]:
    """The smallest whole number of a Poisson law, and the probabilities from there on that at most so much occurs."""
    top = k = int(mean)
    below, term = [], 1.0
    while k > 0 and (term := term * (k / mean)) >= SMALLEST:
        k -= 1
        below.append(term)
    shares, above, term = [*below[::-1], 1.0], top, 1.0
    while term >= SMALLEST:
        above += 1
        term *= mean / above
        shares.append(term)
    total = sum(shares)
    return k, [share / total for share in itertools.accumulate(shares)]


def draw(sizes: list[int], seed: int, replicate: int) -> NDArray[np.int64]:
    """Multinomial counts of cells of these sizes, all above 0, in as many draws as their sum.

    Every cell counts by a Poisson law whose mean is a little less than its size. Given their total N, these are the
    counts of N draws; as many more, of any cell each, complete them. Where N is too large, all count anew.
    """
    total = sum(sizes)
    share = max(1.0 - GAP / total**0.5, 0.5)
    pieces = [(PIECE, cell) for cell, size in enumerate(sizes) for _ in range(size // PIECE)]
    pieces += [(size % PIECE, cell) for cell, size in enumerate(sizes) if size % PIECE]
    at = At(seed, BATTLES, replicate=replicate)
    for turn in itertools.count(1):
        found, bits = np.zeros(len(sizes), np.int64), numbers(at._replace(place=turn))
        for size, cell in sorted(pieces):
            first, law = _poisson(size * share)
            number = next(bits)
            found[cell] += first + sum(number >= int(bound * 2.0**64) for bound in law[:-1])
        if found.sum() <= total:
            break
    rest, bounds = numbers(at), [(ahead << 64) // total for ahead in itertools.accumulate(sizes)]
    for _ in range(total - int(found.sum())):
        number = next(rest)
        found[sum(number >= bound for bound in bounds[:-1])] += 1
    return found


def replicates(
    table: Floats,
    *,
    davidson: bool,
    prior: float,
    count: int,
    seed: int,
    rows: tuple[NDArray[np.int64], NDArray[np.int64], Floats] | None = None,
) -> Floats:
    """The ratings and log nu of resamples [count, K + 1] of the battles, or of the clusters of ``rows``."""
    models, out = table.shape[1], []
    for replicate in range(count):
        drawn = np.zeros(table.size)
        if rows is None:
            used = np.flatnonzero(table)
            drawn[used] = draw(table.ravel()[used].astype(int).tolist(), seed, replicate)
        else:
            places, codes, weights = rows
            often = counts(int(codes.max()) + 1, seed, replicate, domain=BATTLES)
            np.add.at(drawn, places, often[codes] * weights)
        x, log_nu = fit(drawn.reshape(2, models, models), davidson=davidson, prior=prior)
        out.append([*x, log_nu])
    return np.array(out)


def by_draws(x: Floats, cov: Floats, *, made: Floats | None = None, count: int = 0, df: int | None = None) -> Floats:
    """The step-down max-t p of all pairs of estimates, over draws of their errors: made ones, or normal (Student's)."""
    if made is None:
        from statistics import NormalDist

        root, scale = _root(cov), np.ones(count)
        errors = np.zeros((count, len(x)))
        for r in range(count):
            bits = numbers(At(0, NORMALS, replicate=r))
            deviates = [NormalDist().inv_cdf(((next(bits) >> 11) + 0.5) / 2.0**53) for _ in range(len(x) + (df or 0))]
            if df is not None:
                scale[r] = np.sqrt(df / np.square(deviates[len(x) :]).sum())
            errors[r] = scale[r] * np.array(deviates[: len(x)])
        errors = errors @ root
    else:
        errors = made - x
    return step_down(x, errors, cov)


def _root(cov: Floats) -> Floats:
    """U with U' U = cov, of any rank."""
    u, n = cov.copy(), len(cov)
    for k in range(n):
        row = u[k, k:] / np.sqrt(u[k, k]) if u[k, k] > 1e-10 * cov[k, k] else np.zeros(n - k)
        u[k, k:], u[k, :k] = row, 0.0
        u[k + 1 :, k + 1 :] -= np.outer(row[1:], row[1:])
    return u

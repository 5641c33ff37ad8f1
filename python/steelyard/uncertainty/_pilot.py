"""What a pilot says about the spread of differences: a value, and limits that its size leaves."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from .. import _arrays, _core
from .._estimate import Estimate
from ..errors import shown, type_error, value_error
from ._study import Floats, Kind
from .compare import compare
from .mean import estimate
from .proportion import proportion

__all__ = ["Pilot", "pilot_of"]

# A chi-squared variable is F with so many degrees of freedom below, to nine digits.
ENDLESS = 1e9
# Means of clusters that differ by less, as a share of the largest difference, are equal but for rounding.
ROUNDING = 1.0 / (1 << 44)


@dataclass(frozen=True)
class Pilot:
    """The columns of a study as a pilot shows them, at its value and at both limits of its spread."""

    kind: Kind
    value: dict[str, Floats]
    limits: tuple[dict[str, Floats], ...]
    said: dict[str, Any]
    """What is assumed, in the words of the result."""


def pilot_of(pilot: Any, clusters: Any, answers: Floats, *, paired: bool, level: float) -> Pilot:
    """Read a pilot, for a study with so many ``answers`` to an item in each setting."""
    if paired:
        if isinstance(pilot, tuple):
            fix = "two samples of different rows have paired=False"
            raise type_error("pilot", "an array of the differences new - base of the pilot's rows", shown(pilot), fix)
        return _of_pairs(_table(pilot, "pilot"), clusters, answers, level)
    if not isinstance(pilot, tuple) or len(pilot) != 2:
        raise type_error("pilot", "the scores (new, base) of two samples with paired=False", shown(pilot))
    if clusters is not None:
        raise value_error("clusters", "None with paired=False", shown(clusters), "say cluster_size= and icc= instead")
    sides = [_table(side, f"pilot[{i}]") for i, side in enumerate(pilot)]
    return _of_samples(sides, answers, level)


def _table(x: Any, name: str) -> Floats:
    """A pilot as ``[n, K]``, without NaN."""
    table = _arrays.to_float64(_arrays.floats(x, name, ndim=(1, 2), numbers=True))
    table = table.reshape(len(table), -1)
    bad = ~np.isfinite(table)
    if bad.any():
        i = _arrays.first_index(bad)
        raise value_error(name, "finite numbers", f"{table[i]} at index {i[0] if table.shape[1] == 1 else i}")
    if len(table) < 2 or table.shape[1] < 1:
        raise value_error(name, "at least two rows, whose spread tells what to plan for", f"shape {np.shape(x)}")
    return table


def _of_pairs(table: Floats, clusters: Any, answers: Floats, level: float) -> Pilot:
    n, repeats = table.shape
    _check_answers(repeats, answers)
    if clusters is None and repeats == 1 and np.isin(table, (-1.0, 0.0, 1.0)).all():
        differ = int(np.count_nonzero(table))
        if differ == 0:
            raise value_error("pilot", "rows on which the two differ", "none", "plan from an assumed discordance=")
        found = proportion(differ, n, confidence_level=level)
        shares = [float(x) for x in (found.value, found.low, found.high)]  # type: ignore[arg-type]
        columns = [{"discordance": np.full(len(answers), x)} for x in shares]
        return Pilot("pairs", columns[0], tuple(columns[1:]), {"discordance": shares[0], "pilot": n})
    if clusters is not None:
        return _of_clusters(table, clusters, answers, level)
    parts = {k: _variance(table, k, level, "pilot") for k in set(answers.tolist())}
    value, low, high = (np.array([parts[k][i] for k in answers.tolist()]) for i in range(3))
    said = {"sd": _root(value), "pilot": n}
    return Pilot("scores", {"variance": value}, ({"variance": low}, {"variance": high}), said)


def _check_answers(repeats: int, answers: Floats) -> None:
    if repeats == 1 and (answers != 1.0).any():
        fix = "an array [n, K] of K answers to each item says how they vary"
        raise value_error("answers", "1 with a pilot of one answer to each item", f"{answers.max():g}", fix)


def _of_clusters(table: Floats, clusters: Any, answers: Floats, level: float) -> Pilot:
    """The variance of the clustered interval, n times its squared error, for clusters of the pilot's size."""
    n, repeats = table.shape
    if (answers != repeats).any():
        expected = f"{repeats}, as the pilot has, with clusters"
        raise value_error("answers", expected, f"{answers[answers != repeats][0]:g}")
    differences = _mean(table)
    codes, ids = _arrays.codes(clusters, "clusters", n)
    groups = len(ids)
    if groups < 2:
        raise value_error("clusters", "at least two clusters in the pilot, whose spread tells what to plan for", "one")
    sums, sizes = _core.cluster_sums(differences, codes, clusters=groups)
    if (abs(sums / sizes - sums[0] / sizes[0]) <= ROUNDING * abs(differences).max()).all():
        raise value_error("pilot", "clusters whose mean differences vary", f"{groups:,} equal ones")
    found = compare(differences, baseline=np.zeros(n), clusters=codes).difference
    variance = n * float(found.standard_error) * float(found.standard_error)  # type: ignore[arg-type]
    df = float(found.detail["df"])
    value = {
        "variance": np.full(len(answers), variance),
        "cluster_size": np.full(len(answers), n / groups),
        "known": np.full(len(answers), (df + 1.0) / groups),
    }
    limits = [value | {"variance": np.full(len(answers), x)} for x in _chi_squared(variance, df, level)]
    plain = _variance(differences[:, None], 1.0, level, "pilot")[0]
    said = {
        "sd": _root(np.array([plain])),
        "cluster_size": n / groups,
        "design_effect": variance / plain,
        "pilot": n,
    }
    return Pilot("scores", value, tuple(limits), said)


def _of_samples(sides: list[Floats], answers: Floats, level: float) -> Pilot:
    for side in sides:
        _check_answers(side.shape[1], answers)
    many = len(answers)
    if all(side.shape[1] == 1 and np.isin(side, (0.0, 1.0)).all() for side in sides):
        base = sides[1]
        found = proportion(int(base.sum()), len(base), confidence_level=level)
        shares = [float(x) for x in (found.value, found.low, found.high)]  # type: ignore[arg-type]
        columns = [{"baseline": np.full(many, x)} for x in shares]
        return Pilot("samples", columns[0], tuple(columns[1:]), {"baseline": shares[0], "pilot": len(base)})
    names = ("variance", "variance_base")
    columns = [{}, {}, {}]
    for name, side, what in zip(names, sides, ("pilot[0]", "pilot[1]"), strict=True):
        parts = {k: _variance(side, k, level, what) for k in set(answers.tolist())}
        for i, column in enumerate(columns):
            column[name] = np.array([parts[k][i] for k in answers.tolist()])
    said = {"sd": tuple(_root(columns[0][name]) for name in names), "pilot": min(map(len, sides))}
    return Pilot("two scores", columns[0], tuple(columns[1:]), said)


def _root(variance: Floats) -> Any:
    """The standard deviation: one number where all settings have the same."""
    roots = np.sqrt(variance)
    return float(roots[0]) if (roots == roots[0]).all() else roots


def _mean(table: Floats) -> Floats:
    """The mean of each row, added up from left to right."""
    total = table[:, 0].copy()
    for k in range(1, table.shape[1]):
        total += table[:, k]
    mean: Floats = total / table.shape[1]
    return mean


def _variance(table: Floats, answers: float, level: float, name: str) -> tuple[float, float, float]:
    """The variance of an item's mean over so many answers, and its limits.

    With m the means of the K answers and w their variances within items, each divided by n - 1 or K - 1, the estimate
    is the mean of (m - mean)^2 n/(n - 1) + w (1/answers - 1/K): of all items, what does not shrink, and what does.
    """
    n, repeats = table.shape
    means = _mean(table)
    centre = float(estimate(means))
    parts = (means - centre) * (means - centre) * (n / (n - 1.0))
    if repeats > 1:
        away = table - means[:, None]
        within = _mean(away * away) * (repeats / (repeats - 1.0))
        parts = parts + within * (1.0 / answers - 1.0 / repeats)
        # Between items the variance is at least 0, even where the means differ less than their answers let expect.
        least = float(estimate(within)) / answers
    else:
        least = 0.0
    if not parts.any() or (least == 0.0 and float(estimate(parts)) <= 0.0):
        expected = (
            "differences that vary, whose spread tells what to plan for" if name == "pilot" else "scores that vary"
        )
        raise value_error(name, expected, f"{n:,} equal ones")
    found: Estimate = estimate(parts)
    variance = max(float(found), least)
    error = float(found.standard_error) if found.standard_error is not None else variance
    df = max(2.0 * variance * variance / (error * error), 1.0) if error > 0.0 else n - 1.0
    return (variance, *_chi_squared(variance, df, level))


def _chi_squared(variance: float, df: float, level: float) -> tuple[float, float]:
    """The limits of a variance whose estimate is a multiple of chi-squared with ``df`` degrees of freedom."""
    tail = (1.0 - level) / 2.0

    def quantile(share: float) -> float:
        upper = _core.beta_quantile(0.5 * ENDLESS, 0.5 * df, 1.0 - share)
        lower = _core.beta_quantile(0.5 * df, 0.5 * ENDLESS, share)
        return ENDLESS * lower / upper

    return variance * df / quantile(1.0 - tail), variance * df / quantile(tail)

"""How often the intervals contain the true value: by exact enumeration, and by simulation where there is no other way."""

from __future__ import annotations

from collections.abc import Iterable
from importlib import import_module
from itertools import pairwise
from typing import Any

import numpy as np
import pytest
from scipy import stats

import steelyard as sy
from steelyard import _core

from .answers import compared
from .coverage import no_spread, proportion
from .coverage.__main__ import NAMES, PAGE

# Mean and smallest coverage of 95 % intervals over 397 equally spaced p from .005 to .995.
P = np.linspace(0.005, 0.995, 397)
TABLE = {
    "wald": ((0.775, 0.049), (0.852, 0.095), (0.907, 0.222), (0.928, 0.394), (0.939, 0.633), (0.945, 0.871)),
    "wilson": ((0.953, 0.838), (0.953, 0.860), (0.952, 0.911), (0.950, 0.910), (0.951, 0.920), (0.951, 0.939)),
    "agresti-coull": ((0.965, 0.925), (0.962, 0.929), (0.958, 0.935), (0.955, 0.939), (0.953, 0.942), (0.952, 0.945)),
    "clopper-pearson": ((0.984, 0.961), (0.977, 0.958), (0.969, 0.953), (0.965, 0.952), (0.961, 0.952), (0.957, 0.951)),
    "jeffreys": ((0.953, 0.868), (0.951, 0.894), (0.950, 0.885), (0.950, 0.881), (0.950, 0.878), (0.950, 0.929)),
    "mid-p": ((0.968, 0.927), (0.961, 0.929), (0.955, 0.925), (0.953, 0.921), (0.951, 0.919), (0.951, 0.929)),
}  # fmt: skip


@pytest.mark.parametrize("method", TABLE)
def test_exact_coverage_of_a_proportion(method: str) -> None:
    for n, (mean, smallest) in zip(proportion.SIZES, TABLE[method], strict=True):
        found = proportion.coverage(method, n)
        assert found.mean() == pytest.approx(mean, abs=1e-3), (method, n)
        assert found.min() == pytest.approx(smallest, abs=1e-3), (method, n)


@pytest.mark.parametrize("name", NAMES)
def test_every_table_stands_on_the_page_of_coverage(name: str) -> None:
    """Drawn anew with few sets: the same headings and columns; what is drawn in full is `make coverage`'s."""
    fresh = import_module(f"{__package__}.coverage.{name}").section(scale=0.02).splitlines()
    heads = [line for before, line in pairwise(["", *fresh]) if line.startswith("#") or not before]
    page = PAGE.read_text(encoding="utf-8").splitlines()
    missing = [line for line in heads if line.startswith(("#", "|")) and line not in page]
    assert not missing, f"make coverage; {missing}"


def test_the_exact_table_is_that_of_the_page() -> None:
    assert proportion.section() in PAGE.read_text(encoding="utf-8")


@pytest.mark.parametrize("method", ["clopper-pearson", "blaker"])
def test_exact_intervals_never_cover_less_than_they_say(method: str) -> None:
    for n in (7, 23, 60):
        k = np.arange(n + 1)
        for level in (0.8, 0.95, 0.99):
            e = sy.proportion(k, n, method=method, confidence_level=level)
            held = (e.low <= P[:, None]) & (P[:, None] <= e.high)
            assert (stats.binom.pmf(k, n, P[:, None]) * held).sum(1).min() >= level


TWO_SIDED: Any = {"confidence_level": 0.95, "alternative": "two-sided"}


def ends(found: Iterable[Any]) -> np.ndarray:
    """Both limits of each interval."""
    return np.array([[of["low"], of["high"]] for of in found])


@pytest.mark.parametrize(("n", "losses"), [(30, 0.1), (60, 0.05), (60, 0.2)])
def test_exact_coverage_of_tangos_interval(n: int, losses: float) -> None:
    """Over every table of n pairs: near 95 % where Wald's interval of a paired difference falls short."""
    b, c = np.meshgrid(np.arange(n + 1), np.arange(n + 1))
    inside = (b + c <= n).ravel()
    b, c = b.ravel()[inside], c.ravel()[inside]
    limits = ends(compared(i, j, n) for i, j in zip(b, c, strict=True))
    tables = np.column_stack([b, c, n - b - c])
    for difference in (0.0, 0.05, 0.1, 0.2):
        chance = stats.multinomial.pmf(tables, n, [losses + difference, losses, 1 - 2 * losses - difference])
        held = (limits[:, 0] <= difference) & (difference <= limits[:, 1])
        assert 0.93 <= (chance * held).sum() <= 0.985


def test_midp_holds_its_level() -> None:
    """Exact type I error of McNemar's mid-p at .05: never far above it, over the share of discordant pairs."""
    n = 40
    p = np.array(
        [[compared(b, m - b, n)["mid_p"] if b <= m else 1.0
          for b in range(n + 1)] for m in range(n + 1)]
    )  # fmt: skip
    rejected = [(stats.binom.pmf(np.arange(m + 1), m, 0.5) * (p[m, : m + 1] <= 0.05)).sum() for m in range(n + 1)]
    for share in (0.05, 0.1, 0.2, 0.4, 0.8):
        assert (stats.binom.pmf(np.arange(n + 1), n, share) * rejected).sum() <= 0.0525


def test_midp_and_tango_disagree_at_the_very_edge_only() -> None:
    """About zero, in 14 of the 7,260 tables with fewer than 120 discordant of 200 pairs."""
    tables = [(b, c) for b in range(120) for c in range(120 - b)]
    found = [compared(b, c, 200) for b, c in tables]
    apart = [(of["low"] > 0 or of["high"] < 0) != (of["mid_p"] < 0.05) for of in found]
    assert (len(tables), sum(apart)) == (7260, 14)


def _clustered(trials: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Ten clusters of log-normal size with a shared effect each: sums and sizes of every trial; the truth is 0."""
    rng = np.random.default_rng(seed)
    sizes = np.ceil(np.exp(rng.normal(2.0, 1.0, (trials, 10))))
    return sizes * rng.normal(0.0, 0.5, (trials, 10)) + np.sqrt(sizes) * rng.normal(size=(trials, 10)), sizes


def test_coverage_of_few_clusters_of_unequal_size() -> None:
    """CR2 with Satterthwaite's degrees of freedom; CR0 with z and CR1 with t fall far short."""
    trials = 6000
    sums, sizes = _clustered(trials, 1)
    cr2 = ends(_core.clustered_interval(sums=s, sizes=n, **TWO_SIDED) for s, n in zip(sums, sizes, strict=True))
    total = sizes.sum(1)
    mean = sums.sum(1) / total
    cr0 = np.sqrt(np.square(sums - mean[:, None] * sizes).sum(1)) / total
    covered = {
        "CR2": ((cr2[:, 0] <= 0) & (cr2[:, 1] >= 0)).mean(),
        "CR0": (np.abs(mean) <= 1.96 * cr0).mean(),
        "CR1": (np.abs(mean) <= stats.t.isf(0.025, 9) * cr0 * np.sqrt(10 / 9)).mean(),
    }
    error = np.sqrt(0.05 * 0.95 / trials)
    assert covered["CR2"] == pytest.approx(0.944, abs=4 * error), covered
    assert covered["CR0"] < 0.87, covered
    assert covered["CR1"] < 0.92, covered


def test_coverage_of_clustered_answers() -> None:
    """0/1 answers whose clusters differ in difficulty: Wilson with the effective number of rows."""
    rng = np.random.default_rng(2)
    trials, held, naive = 3000, 0, 0
    for _ in range(trials):
        sizes = rng.integers(2, 30, 20)
        ones = rng.binomial(sizes, rng.beta(2.4, 0.6, 20)).astype(np.float64)
        found = _core.clustered_interval(sums=ones, sizes=sizes.astype(np.float64), score="answers", **TWO_SIDED)
        held += found["low"] <= 0.8 <= found["high"]
        plain = sy.proportion(int(ones.sum()), int(sizes.sum()))
        naive += bool(plain.low <= 0.8 <= plain.high)  # type: ignore[operator]
    assert 0.93 <= held / trials <= 0.975, held / trials
    assert naive / trials < 0.8, naive / trials


def test_coverage_of_the_mean_of_graded_values() -> None:
    rng = np.random.default_rng(3)
    x = rng.normal(size=(12, 4000))
    e = sy.estimate(x)
    assert ((e.low <= 0) & (e.high >= 0)).mean() == pytest.approx(0.95, abs=4 * np.sqrt(0.05 * 0.95 / 4000))


def test_level_of_the_sign_flip_test() -> None:
    """Exact over all patterns of equal differences; near its level for clusters of 0/1 pairs.

    sacreBLEU's paired bootstrap rejects 11 % of true nulls at a level of 5 %.
    """
    rng = np.random.default_rng(4)
    trials = 1500
    p = [_core.sign_flip(rng.normal(size=12), alternative="two-sided")["p"] for _ in range(trials)]
    assert np.mean(np.array(p) <= 0.05) == pytest.approx(0.05, abs=4 * np.sqrt(0.05 * 0.95 / trials))


@pytest.mark.parametrize("n", [2, 5, 20])
def test_values_without_spread_are_held(n: int) -> None:
    """By enumeration: what misses is as rare as for 0 of n by Wilson's interval, and a width of 0 would hold never."""
    for make, pair in ((no_spread.scores, (0.5, 1.0)), (no_spread.differences, (0.0, -1.0))):
        still, held, both = no_spread.coverage(make, n, *pair)
        assert both.sum() / still.sum() > 0.97
        assert (still - both).max() < (1 - 1.96**2 / (n + 1.96**2)) ** n + 1e-3
        assert held.min() > 0.84

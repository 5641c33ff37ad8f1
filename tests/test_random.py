"""Random numbers: published vectors, exactness, and that no two places share numbers."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
from scipy import stats

from steelyard import _core
from steelyard.reference import random

# Deterministic tests of a random hypothesis: each would fail by chance once in 10,000 choices of the seed.
SURE = 1e-4


@pytest.mark.parametrize(
    ("key", "counter", "expected"),
    [
        ((0, 0), (0, 0, 0, 0), (0x6627E8D5, 0xE169C58D, 0xBC57AC4C, 0x9B00DBD8)),
        ((2**32 - 1,) * 2, (2**32 - 1,) * 4, (0x408F276D, 0x41C83B0E, 0xA20BC7C6, 0x6D5451FD)),
        (
            (0xA4093822, 0x299F31D0),
            (0x243F6A88, 0x85A308D3, 0x13198A2E, 0x03707344),
            (0xD16CFE09, 0x94FDCCEB, 0x5001E420, 0x24126EA1),
        ),
    ],
    ids=["zero", "ones", "pi"],
)
def test_the_reference_has_the_published_vectors(
    key: tuple[int, int], counter: tuple[int, ...], expected: tuple[int, ...]
) -> None:
    assert tuple(random.philox(key, np.array(counter, np.uint64)[:, None])[:, 0].tolist()) == expected


def test_philox_equals_numpys() -> None:
    # NumPy's is Philox4x64: another function. Its counter-based design is the same; this asserts that ours is not it.
    theirs = np.random.Philox(key=0, counter=0).random_raw(2)
    ours = random.words(random.At(0), 2)
    assert not np.array_equal(theirs, ours)


@pytest.mark.parametrize("n", [1, 2, 5, 100, 1000, 1024, 1025, 2049, 4096, 10_000, 123_457])
def test_every_replicate_has_n_draws(n: int) -> None:
    for r in range(3):
        counts = _core.resampling_counts(n, 1, r)
        assert counts.shape == (n,)
        assert int(counts.sum()) == n


@pytest.mark.parametrize("n", [3, 4, 5])
def test_the_joint_distribution_is_multinomial(n: int) -> None:
    replicates = 20_000
    seen: dict[tuple[int, ...], int] = {}
    for r in range(replicates):
        key = tuple(_core.resampling_counts(n, 2, r).tolist())
        seen[key] = seen.get(key, 0) + 1
    outcomes = [c for c in itertools.product(range(n + 1), repeat=n) if sum(c) == n]
    assert set(seen) <= set(outcomes)
    weights = [math.factorial(n) / math.prod(map(math.factorial, c)) / n**n for c in outcomes]
    observed = [seen.get(c, 0) for c in outcomes]
    assert stats.chisquare(observed, np.array(weights) * replicates).pvalue > SURE


@pytest.mark.parametrize("n", [7, 257, 300, 1000, 1100, 3000])
def test_the_marginals_are_binomial(n: int) -> None:
    replicates = 400_000 // n
    counts = np.array([_core.resampling_counts(n, 3, r) for r in range(replicates)])
    expected = np.full(n, float(replicates))
    assert stats.chisquare(counts.sum(axis=0), expected).pvalue > SURE
    # One row's count is Binomial(n, 1/n); distant rows are all but independent, so that all cells may be pooled.
    top = 5
    observed = np.bincount(np.minimum(counts, top).ravel(), minlength=top + 1)
    share = stats.binom.pmf(np.arange(top), n, 1 / n)
    share = np.append(share, 1 - share.sum())
    # n counts that add up to n vary a little less than n independent ones: the statistic is conservative.
    assert stats.chisquare(observed, share * observed.sum()).pvalue > SURE


def test_rows_far_apart_are_negatively_correlated_as_they_must_be() -> None:
    # Cov(c_i, c_j) = -1/n: halves of the rows split n balls as Bin(n, 1/2).
    n, replicates = 2050, 2000
    left = np.array([int(_core.resampling_counts(n, 4, r)[: n // 2].sum()) for r in range(replicates)])
    z = (left - n / 2) / math.sqrt(n / 4)
    assert stats.kstest(z, "norm").pvalue > SURE
    assert abs(float(z.var()) - 1) < 4 * math.sqrt(2 / replicates)


def test_seeds_and_replicates_never_share_counts() -> None:
    # rapidstats seeds replicate i with seed + i: seeds 1, 2 and 3 then share all replicates but two.
    seen = {
        _core.resampling_counts(50, seed, r).tobytes() for seed in (0, 1, 2, 3, 2**32, 2**64 - 1) for r in range(200)
    }
    assert len(seen) == 6 * 200


def test_strata_share_no_numbers_with_each_other_and_are_checked() -> None:
    counts = {_core.resampling_counts(50, 1, 0, stratum).tobytes() for stratum in (0, 1, 2, 2**20 - 1)}
    assert len(counts) == 4
    with pytest.raises(ValueError, match="stratum: expected"):
        _core.resampling_counts(50, 1, 0, 2**20)


def test_the_largest_seed_and_replicate_work_and_larger_ones_are_refused() -> None:
    assert int(_core.resampling_counts(10, 2**64 - 1, 2**32 - 1).sum()) == 10
    with pytest.raises(OverflowError):
        _core.resampling_counts(10, 2**64, 0)
    assert _core.resampling_counts(0, 0, 0).shape == (0,)

"""The bootstrap beside SciPy's (with the batch size that is fastest for it), arch's, rapidstats' and loops by hand."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

import steelyard as sy

from .harness import THREADS, Call, Growth, Row, need, seconds

N, B = 100_000, 1_000
BATCHES = (1, 2, 3, 5)


def _column(n: int) -> np.ndarray:
    return np.random.Generator(np.random.Philox(1)).gamma(2.0, 1.0, n)


def _scipy(stats: Any, x: np.ndarray, batch: int, b: int) -> Any:
    return stats.bootstrap((x,), np.mean, method="percentile", n_resamples=b, batch=batch, vectorized=True, rng=1)


def mean() -> Row:
    """Bootstrap of the mean, n = 1e5, B = 1,000"""
    (stats,) = need("scipy.stats")
    x = _column(N)
    # SciPy's time depends on how well a batch fits the cache: the peer is the fastest of several.
    batch = min(BATCHES, key=lambda batch: min(seconds(lambda: _scipy(stats, x, batch, 100)) for _ in range(3)))

    def agree(ours: Any, peer: Any) -> None:
        low, high = peer.confidence_interval
        slack = 5 * (ours.low_error + ours.high_error)
        assert abs(ours.low - low) < slack
        assert abs(ours.high - high) < slack

    return Row(
        work=f"bootstrap mean, n = {N}, B = {B}",
        ours=lambda: sy.bootstrap(x, method="percentile", n_resamples=B),
        peer=lambda: _scipy(stats, x, batch, B),
        against=f'scipy `stats.bootstrap(method="percentile", batch={batch})`',
        package="scipy",
        at_least=5.0,
        agree=agree,
    )


def small() -> Row:
    """Bootstrap of the mean by BCa, n = 1,000, B = 9,999: the defaults of both"""
    (stats,) = need("scipy.stats")
    x = _column(1_000)
    return Row(
        work="bootstrap mean, BCa, n = 1000, B = 9999",
        ours=lambda: sy.bootstrap(x),
        peer=lambda: stats.bootstrap((x,), np.mean, n_resamples=9999, batch=100, vectorized=True, rng=1),
        against="scipy `stats.bootstrap(batch=100)`",
        package="scipy",
    )


def growth() -> Growth:
    """Rows"""

    def make(n: int) -> Call:
        x = _column(n)
        return lambda: sy.bootstrap(x, method="percentile", n_resamples=199)

    return Growth("bootstrap mean, B = 199", unit="row", sizes=(10**3, 10**4, 10**5, 10**6, 10**7), make=make)


def _inside(ours: Any, peer: Any) -> None:
    """Two intervals from different random numbers agree within a fifth of their width."""
    low, high = peer
    slack = (ours.high - ours.low) / 5
    assert abs(ours.low - low) < slack, (ours.low, low)
    assert abs(ours.high - high) < slack, (ours.high, high)


def _limits(replicates: Any) -> tuple[float, float]:
    low, high = np.quantile(replicates, [0.025, 0.975])
    return float(low), float(high)


def by_arch() -> Row:
    """The same against arch, which calls the statistic for each resample"""
    (arch,) = need("arch.bootstrap")
    x = _column(N)
    return Row(
        work=f"bootstrap mean, n = {N}, B = {B}, arch",
        ours=lambda: sy.bootstrap(x, method="percentile", n_resamples=B),
        peer=lambda: _limits(arch.IIDBootstrap(x, seed=1).apply(np.mean, B)),
        against="arch `IIDBootstrap(x).apply(np.mean)`",
        package="arch",
        at_least=25.0,
        agree=_inside,
    )


def by_rapidstats() -> Row:
    """The same against rapidstats, in Rust on all cores"""
    (rapidstats,) = need("rapidstats")
    x = _column(N)
    peer = rapidstats.Bootstrap(iterations=B, seed=1)
    return Row(
        work=f"bootstrap mean, n = {N}, B = {B}, rapidstats",
        ours=lambda: sy.bootstrap(x, method="percentile", n_resamples=B),
        peer=lambda: peer.mean(x)[::2],
        against="`rapidstats.Bootstrap().mean(x)`",
        package="rapidstats",
        at_least=5.0,
        agree=_inside,
    )


def by_hand() -> Row:
    """The same against a loop in numba on two threads, with the fastest usual generator (xorshift)"""
    (numba,) = need("numba")
    numba.set_num_threads(THREADS)

    @numba.njit(parallel=True, fastmath=True)
    def loop(x, replicates, seed):  # type: ignore[no-untyped-def]
        n, means = len(x), np.empty(replicates)
        for r in numba.prange(replicates):
            state = np.uint64(seed + r) * np.uint64(0x9E3779B97F4A7C15) + np.uint64(1)
            total = 0.0
            for _ in range(n):
                state ^= state >> np.uint64(12)
                state ^= state << np.uint64(25)
                state ^= state >> np.uint64(27)
                total += x[np.uint64(((state >> np.uint64(32)) * np.uint64(n)) >> np.uint64(32))]
            means[r] = total / n
        return means

    x = _column(N)
    return Row(
        work=f"bootstrap mean, n = {N}, B = {B}, numba",
        ours=lambda: sy.bootstrap(x, method="percentile", n_resamples=B),
        peer=lambda: _limits(loop(x, B, 1)),
        against="a numba loop over xorshift draws",
        package="numba",
        at_least=1.5,
        agree=_inside,
    )


def median() -> Row:
    """The median, n = 1e5: sorted once, counts scanned"""
    (stats,) = need("scipy.stats")
    x = _column(N)
    return Row(
        work=f"bootstrap median, n = {N}, B = 99",
        ours=lambda: sy.bootstrap(x, "median", method="percentile", n_resamples=99),
        peer=lambda: (
            stats.bootstrap((x,), np.median, method="percentile", n_resamples=99, batch=2, rng=1).confidence_interval
        ),
        against='scipy `stats.bootstrap(np.median, method="percentile", batch=2)`',
        package="scipy",
        at_least=50.0,
    )


def ideal_median() -> Row:
    """The median by the limits of infinitely many resamples, against 99 of SciPy's"""
    (stats,) = need("scipy.stats")
    x = _column(N)
    return Row(
        work=f"ideal bootstrap median, n = {N}",
        ours=lambda: sy.bootstrap(x, "median", method="percentile", n_resamples=math.inf),
        peer=lambda: (
            stats.bootstrap((x,), np.median, method="percentile", n_resamples=99, batch=2, rng=1).confidence_interval
        ),
        against='scipy `stats.bootstrap(np.median, method="percentile", n_resamples=99, batch=2)`',
        package="scipy",
    )


def _scores(n: int) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(2)
    y = (rng.random(n) < 0.3).astype(np.float64)
    return rng.normal(size=n) + y, y


def auc() -> Row:
    """The area under the ROC curve, n = 2e4, against scikit-learn's in a loop"""
    (metrics,) = need("sklearn.metrics")
    scores, y = _scores(20_000)

    def loop() -> tuple[float, float]:
        rng = np.random.default_rng(1)
        drawn = (rng.integers(0, len(y), len(y)) for _ in range(199))
        return _limits([metrics.roc_auc_score(y[i], scores[i]) for i in drawn])

    return Row(
        work="bootstrap AUC, n = 20000, B = 199",
        ours=lambda: sy.bootstrap((scores, y), "auc", method="percentile", n_resamples=199),
        peer=loop,
        against="`roc_auc_score` of rows drawn by NumPy",
        package="scikit-learn",
        at_least=100.0,
        agree=_inside,
    )


def auc_by_rapidstats() -> Row:
    """The same against rapidstats"""
    (rapidstats,) = need("rapidstats")
    scores, y = _scores(20_000)
    peer = rapidstats.Bootstrap(iterations=199, seed=1)
    return Row(
        work="bootstrap AUC, n = 20000, B = 199, rapidstats",
        ours=lambda: sy.bootstrap((scores, y), "auc", method="percentile", n_resamples=199),
        peer=lambda: peer.roc_auc(y.astype(bool), scores)[::2],
        against="`rapidstats.Bootstrap().roc_auc(y, scores)`",
        package="rapidstats",
        at_least=30.0,
        agree=_inside,
    )


def f1() -> Row:
    """F1, n = 1e5, against rapidstats' bootstrap of the whole confusion matrix"""
    (rapidstats,) = need("rapidstats")
    rng = np.random.default_rng(3)
    y = rng.random(N) < 0.3
    predicted = np.where(rng.random(N) < 0.8, y, ~y)
    peer = rapidstats.Bootstrap(iterations=199, seed=1)
    return Row(
        work=f"bootstrap F1, n = {N}, B = 199",
        ours=lambda: sy.bootstrap((predicted, y), "f1", method="percentile", n_resamples=199),
        peer=lambda: peer.confusion_matrix(y, predicted),
        against="`rapidstats.Bootstrap().confusion_matrix(y, predictions)`",
        package="rapidstats",
        at_least=10.0,
    )


def clustered_ratio() -> Row:
    """A ratio of 1e7 rows in 1e5 clusters, against sums of groups and a loop in NumPy"""
    n, groups = 10_000_000, 100_000
    rng = np.random.default_rng(4)
    users = rng.integers(0, groups, n)
    x, y = rng.normal(size=n) + 3, rng.random(n) + 1

    def loop() -> tuple[float, float]:
        _, codes = np.unique(users, return_inverse=True)
        sums, sizes = np.bincount(codes, x), np.bincount(codes, y)
        drawn = (rng.integers(0, len(sums), len(sums)) for _ in range(999))
        return _limits([sums[i].sum() / sizes[i].sum() for i in drawn])

    return Row(
        work="bootstrap ratio, 1e7 rows in 1e5 clusters, B = 999",
        ours=lambda: sy.bootstrap((x, y), "ratio", clusters=users, method="percentile", n_resamples=999),
        peer=loop,
        against="`np.unique`, `np.bincount` and a loop",
        package="numpy",
        at_least=20.0,
        agree=_inside,
    )


def many_models() -> Row:
    """100 models on 1e4 rows with shared resamples, against the product of counts and scores"""
    n, models, replicates = 10_000, 100, 1_000
    scores = np.random.default_rng(5).normal(size=(n, models))
    rng = np.random.default_rng(6)

    def product() -> Any:
        drawn = rng.multinomial(n, np.full(n, 1 / n), size=replicates).astype(np.float64)
        return np.quantile(drawn @ scores / n, [0.025, 0.975], axis=0)

    return Row(
        work="bootstrap of 100 models, n = 10000, B = 1000",
        ours=lambda: sy.bootstrap(scores, method="percentile", n_resamples=replicates),
        peer=product,
        against="`rng.multinomial(...) @ scores`",
        package="numpy",
        at_least=10.0,
    )


def function() -> Row:
    """A Python function with an axis, n = 1e4"""
    (stats,) = need("scipy.stats")
    x = _column(10_000)
    return Row(
        work="bootstrap of np.mean as a function, n = 10000, B = 999",
        ours=lambda: sy.bootstrap(x, np.mean, method="percentile", n_resamples=999),
        peer=lambda: stats.bootstrap((x,), np.mean, method="percentile", n_resamples=999, batch=100, rng=1),
        against='scipy `stats.bootstrap(np.mean, method="percentile", batch=100)`',
        package="scipy",
        at_least=1.0,
    )


def stationary() -> Row:
    """The stationary block bootstrap of a mean, n = 1e5, against arch"""
    (arch,) = need("arch.bootstrap")
    x = _column(N)
    blocks = sy.uncertainty.blocks("stationary", 50)
    return Row(
        work=f"stationary block bootstrap of a mean, n = {N}, B = 99",
        ours=lambda: sy.bootstrap(x, method="percentile", n_resamples=99, blocks=blocks),
        peer=lambda: _limits(arch.StationaryBootstrap(50, x, seed=1).apply(np.mean, 99)),
        against="arch `StationaryBootstrap(50, x).apply(np.mean)`",
        package="arch",
        at_least=10.0,
    )


def _sentences(seed: int, n: int = 2_000) -> np.ndarray:
    """The counts of BLEU of n sentences of 5 to 39 words."""
    rng = np.random.default_rng(seed)
    lengths, share = rng.integers(5, 40, n), rng.uniform(0.3, 0.9, n)
    totals = [lengths - k for k in range(4)]
    matches = [rng.binomial(total, share ** (k + 1)) for k, total in enumerate(totals)]
    return np.stack([lengths, lengths + rng.integers(0, 4, n), *matches, *totals], axis=1)


def bleu() -> Row:
    """The difference of two systems' BLEU, 2,000 sentences, 1,000 shared resamples, against sacreBLEU's own"""
    sacrebleu, significance = need("sacrebleu", "sacrebleu.significance")
    new, base, metric = _sentences(7), _sentences(8), sacrebleu.BLEU()
    as_lists = [new.tolist(), base.tolist()]

    def ours() -> tuple[float, float]:
        found = [sy.bootstrap(counts, "bleu", method="percentile", n_resamples=1_000) for counts in (new, base)]
        return _limits(found[0].replicates - found[1].replicates)

    def peer() -> tuple[float, float]:
        found = [significance._bootstrap_resample(stats, metric, 1_000)[1] for stats in as_lists]
        return _limits([a.score - b.score for a, b in zip(*found, strict=True)])

    def agree(ours: Any, peer: Any) -> None:
        slack = (ours[1] - ours[0]) / 5
        assert abs(ours[0] - peer[0]) < slack, (ours, peer)
        assert abs(ours[1] - peer[1]) < slack, (ours, peer)

    return Row(
        work="paired bootstrap of BLEU, 2000 sentences, B = 1000",
        ours=ours,
        peer=peer,
        against="sacrebleu's resampling of the same counts (`--paired-bs`)",
        package="sacrebleu",
        at_least=10.0,
        agree=agree,
    )


ROWS = [
    mean, small, by_arch, by_rapidstats, by_hand, median, ideal_median, auc, auc_by_rapidstats, f1, clustered_ratio,
    many_models, function, stationary, bleu,
]  # fmt: skip
GROWTH = [growth]

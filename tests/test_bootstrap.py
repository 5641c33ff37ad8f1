"""The bootstrap: exact answers by enumeration, published figures, peers' defects, refusals."""

from __future__ import annotations

import itertools
import math
import threading

import numpy as np
import pytest
from scipy import stats

import steelyard as sy
from steelyard import _core
from steelyard._registries import names
from steelyard.reference import random

METHODS = names("bootstrap.method")
MOUSE = np.array([94, 197, 16, 38, 99, 141, 23.0])
CITY_U = np.array([138, 93, 61, 179, 48, 37, 29, 23, 30, 2.0])
CITY_X = np.array([143, 104, 69, 260, 75, 63, 50, 48, 111, 50.0])
R_DATA = np.array([10, 12, 12.5, 12.5, 13.9, 15, 21, 22, 23, 34, 50, 81, 89, 121, 134, 213])


def multisets(n: int) -> tuple[np.ndarray, np.ndarray]:
    """Every resample of n rows as counts, and its probability."""
    counts = [np.bincount(c, minlength=n) for c in itertools.combinations_with_replacement(range(n), n)]
    weight = [math.factorial(n) / math.prod(math.factorial(k) for k in c.tolist()) / n**n for c in counts]
    return np.array(counts), np.array(weight)


def quantile(values: np.ndarray, weight: np.ndarray, p: float) -> float:
    order = np.argsort(values, kind="stable")
    return float(values[order][np.searchsorted(np.cumsum(weight[order]), p - 1e-12)])


def inside_band(limit: float, values: np.ndarray, weight: np.ndarray, p: float, b: int) -> bool:
    """Whether a limit from b replicates lies where the exact distribution puts it, within 4.5 deviations."""
    slack = 4.5 * math.sqrt(p * (1 - p) / b)
    return quantile(values, weight, p - slack) <= limit <= quantile(values, weight, p + slack)


# -- exact answers ----------------------------------------------------------------------------------------


def test_the_mouse_mean_has_its_exact_distribution() -> None:
    counts, weight = multisets(7)
    assert len(counts) == 1716
    means = counts @ MOUSE / 7
    exact = {0.025: 43.428571, 0.05: 49.428571, 0.95: 126.714286, 0.975: 134.428571}
    for p, value in exact.items():
        assert quantile(means, weight, p) == pytest.approx(value, abs=1e-6)
    b = 99_999
    for level in (0.95, 0.90):
        boot = sy.bootstrap(MOUSE, method="percentile", n_resamples=b, confidence_level=level)
        assert inside_band(boot.low, means, weight, (1 - level) / 2, b)
        assert inside_band(boot.high, means, weight, (1 + level) / 2, b)
    assert boot.standard_error == pytest.approx(23.3635234, rel=0.01)
    # All of the distribution, not its quantiles alone.
    places, total = np.unique(np.round(means * 7)), b
    share = np.array([weight[np.round(means * 7) == place].sum() for place in places])
    seen = np.array([np.count_nonzero(np.round(boot.replicates * 7) == place) for place in places])
    assert seen.sum() == total
    common = share * total >= 5
    observed = np.append(seen[common], seen[~common].sum())
    expected = np.append(share[common], share[~common].sum()) * total
    assert stats.chisquare(observed, expected * (observed.sum() / expected.sum())).pvalue > 1e-4


@pytest.fixture(scope="module")
def city() -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Rows whose clusters have the sums x and sizes u, and the exact distribution of the resampled ratio."""
    clusters = np.repeat(np.arange(10), CITY_U.astype(int))
    rows = np.repeat(CITY_X / CITY_U, CITY_U.astype(int))
    counts, weight = multisets(10)
    assert len(counts) == 92_378
    return rows, clusters, np.stack([counts @ CITY_X / (counts @ CITY_U), weight])


def test_the_city_ratio_by_clusters_has_its_exact_distribution(city: tuple[np.ndarray, ...]) -> None:
    rows, clusters, (ratios, weight) = city
    for p, value in {0.025: 1.2511161, 0.05: 1.2857143, 0.5: 1.5198864, 0.95: 1.9680451, 0.975: 2.1069767}.items():
        assert quantile(ratios, weight, p) == pytest.approx(value, abs=1e-6)
    b = 99_999
    boot = sy.bootstrap(rows, method="percentile", clusters=clusters, n_resamples=b)
    assert boot.value == pytest.approx(1.5203125, abs=1e-12)
    assert boot.n_clusters == 10
    assert boot.n == 640
    assert inside_band(boot.low, ratios, weight, 0.025, b)
    assert inside_band(boot.high, ratios, weight, 0.975, b)
    assert boot.standard_error == pytest.approx(0.2214980531, rel=0.02)
    assert float(boot.replicates.mean()) - 1.5203125 == pytest.approx(0.0394736, abs=0.003)


def test_the_city_ratio_by_bca_counts_ties_half(city: tuple[np.ndarray, ...]) -> None:
    """BCa with the exact z0 and this package's acceleration; R's jackknife acceleration is -0.0112031940."""
    rows, clusters, (ratios, weight) = city
    influence = CITY_X - 1.5203125 * CITY_U
    a = float((influence**3).sum() / (6 * (influence**2).sum() ** 1.5))
    share = weight[ratios < 1.5203125 - 1e-12].sum() + weight[abs(ratios - 1.5203125) <= 1e-12].sum() / 2
    z0 = stats.norm.ppf(share)
    level = [stats.norm.cdf(z0 + (z0 + z) / (1 - a * (z0 + z))) for z in stats.norm.ppf([0.025, 0.975])]
    b = 99_999
    boot = sy.bootstrap(rows, clusters=clusters, method="bca", n_resamples=b)
    assert boot.detail["acceleration"] == pytest.approx(a, abs=1e-12)
    # z0 of the replicates is itself random: about 1/2 of a binomial deviation more.
    assert inside_band(boot.low, ratios, weight, level[0], b // 4)
    assert inside_band(boot.high, ratios, weight, level[1], b // 4)
    # The exact interval with the jackknife's acceleration is near: [1.246819, 2.088957].
    assert boot.low == pytest.approx(1.2468, abs=0.01)
    assert boot.high == pytest.approx(2.089, abs=0.04)


@pytest.mark.parametrize(
    ("method", "low", "high"), [("basic", 23.77, 79.12), ("percentile", 28.86, 84.21), ("bca", 32.31, 91.43)]
)
def test_rs_boot_with_a_million_replicates(method: str, low: float, high: float) -> None:
    boot = sy.bootstrap(R_DATA, method=method, n_resamples=999_999)  # type: ignore[arg-type]
    assert boot.low == pytest.approx(low, rel=0.005)
    assert boot.high == pytest.approx(high, rel=0.005)


def test_replicates_are_the_counts_applied() -> None:
    boot = sy.bootstrap(R_DATA, method="percentile", n_resamples=99, seed=5)
    for r, replicate in enumerate(boot.replicates.tolist()):
        counts = _core.resampling_counts(16, 5, r).tolist()
        assert replicate == pytest.approx(math.fsum(c * x for c, x in zip(counts, R_DATA.tolist(), strict=True)) / 16)


# -- the stated Monte-Carlo error -------------------------------------------------------------------------


@pytest.mark.parametrize("method", [method for method in METHODS if method != "abc"])
def test_the_stated_error_of_the_limits_is_their_spread_over_seeds(method: str) -> None:
    x = np.sqrt(np.arange(1.0, 60.0))
    boots = [sy.bootstrap(x, method=method, n_resamples=999, seed=s) for s in range(200)]  # type: ignore[arg-type]
    for side in ("low", "high"):
        spread = float(np.std([getattr(b, side) for b in boots]))
        stated = float(np.mean([getattr(b, f"{side}_error") for b in boots]))
        # z0 is estimated too, which the stated error leaves out.
        assert 0.8 < spread / stated < (2.0 if method in ("bc", "bca") else 1.25), (side, spread, stated)


def test_more_replicates_state_a_smaller_error() -> None:
    def error(b: int) -> float:
        return float(np.mean([sy.bootstrap(R_DATA, n_resamples=b, seed=s).low_error for s in range(10)]))

    errors = [error(b) for b in (999, 9_999, 99_999)]
    assert errors[0] > 2 * errors[1] > 4 * errors[2]


# -- coverage, the same rows as SciPy's ---------------------------------------------------------------------


@pytest.mark.parametrize("method", METHODS)
def test_ninety_percent_intervals_of_normal_data_cover(method: str) -> None:
    runs = 100 if method == "double" else 1000  # which resamples each resample
    data = np.random.Generator(np.random.Philox(7)).normal(5, 1, size=(100, runs))
    found = sy.bootstrap(data, method=method, n_resamples=999, confidence_level=0.9)  # type: ignore[arg-type]
    hits = int(((found.low <= 5) & (found.high >= 5)).sum())
    assert stats.binomtest(hits, runs, 0.9).pvalue > 1e-4, hits


# -- the same result on every machine -----------------------------------------------------------------------


def test_the_same_bits_for_threads_levels_and_companions() -> None:
    x = np.sqrt(np.arange(3000.0))
    want = sy.bootstrap(x, n_resamples=199)
    for level in _core.isa_available():
        _core.force_isa(level)
        for threads in (1, 2, 5):
            with sy.threads(threads):
                assert sy.bootstrap(x, n_resamples=199) == want
    both = sy.bootstrap(np.column_stack([x[::-1], x]), n_resamples=199)
    assert both[1].replicates.tobytes() == want.replicates.tobytes()
    fewer = sy.bootstrap(x, n_resamples=99, method="percentile")
    assert fewer.replicates.tobytes() == want.replicates[:99].tobytes()


@pytest.mark.parametrize("n", [1025, 131_072, 131_073, 1_100_000, 4_200_000])
def test_a_column_has_the_bits_that_it_has_beside_others(n: int) -> None:
    x = np.sqrt(np.arange(float(n)))
    options = {"n_resamples": 39, "method": "percentile"}
    both = sy.bootstrap(np.column_stack([x[::-1], x]), **options)
    assert both[1].replicates.tobytes() == sy.bootstrap(x, **options).replicates.tobytes()
    counted = [float((random.counts(n, 0, r) * x).sum()) / n for r in range(2)]
    np.testing.assert_allclose(both[1].replicates[:2], counted, rtol=1e-13)


def test_a_shift_and_a_scale_go_through() -> None:
    base = sy.bootstrap(R_DATA, n_resamples=999)
    moved = sy.bootstrap(R_DATA * 4.0 + 1e7, n_resamples=999)
    np.testing.assert_allclose(moved.replicates, base.replicates * 4 + 1e7, rtol=1e-15)
    assert moved.low == pytest.approx(base.low * 4 + 1e7, rel=1e-13)
    huge = sy.bootstrap(R_DATA * 2.0**500, n_resamples=999)
    assert huge.low == base.low * 2.0**500


def test_ties_hidden_by_rounding_still_count_half() -> None:
    # Tenths: replicates that equal the mean exactly differ from it by rounding.
    x = np.repeat([0.1, 0.2, 0.3, 0.4, 0.5], 2)
    whole = np.repeat([1.0, 2.0, 3.0, 4.0, 5.0], 2)
    for seed in range(5):
        tenths, exact = sy.bootstrap(x, n_resamples=999, seed=seed), sy.bootstrap(whole, n_resamples=999, seed=seed)
        assert tenths.low == pytest.approx(exact.low / 10, abs=1e-12)
        assert tenths.high == pytest.approx(exact.high / 10, abs=1e-12)


# -- peers' defects -----------------------------------------------------------------------------------------


def test_three_seeds_give_three_sets_of_replicates() -> None:
    """rapidstats 0.4 seeds replicate i with seed + i: seeds 1, 2, 3 give one interval."""
    boots = [sy.bootstrap(R_DATA, n_resamples=500, seed=s) for s in (1, 2, 3)]
    assert len({(b.low, b.high) for b in boots}) == 3
    assert set(boots[0].replicates[1:].tolist()) != set(boots[1].replicates[:-1].tolist())


def test_bca_is_made_column_by_column() -> None:
    """arch 8.0.0 centres the jackknife of all columns on one grand mean: the wrong sign at scales 1 and 1000."""
    x = -np.log1p(-np.random.Generator(np.random.Philox(3)).random(50))
    table = np.column_stack([x, 1000 * x])
    both = sy.bootstrap(table, n_resamples=1999)
    assert both.detail["acceleration"][0] > 0
    np.testing.assert_allclose(both.detail["acceleration"][0], both.detail["acceleration"][1], rtol=1e-12)
    for i in range(2):
        alone = sy.bootstrap(table[:, i], n_resamples=1999)
        assert (both[i].low, both[i].high) == (alone.low, alone.high)
        assert both[i] == alone


def test_the_standard_error_is_that_of_the_mean() -> None:
    """lighteval divides the spread of the replicates by sqrt(B) once more."""
    x = np.arange(100.0)
    want = float(x.std() / 10)
    assert sy.bootstrap(x).standard_error == pytest.approx(want, rel=0.03)


@pytest.mark.parametrize("value", [0.0, 1.0, 3.7])
@pytest.mark.parametrize("method", METHODS)
def test_constant_data_are_refused(value: float, method: str) -> None:
    """SciPy's BCa answers (nan, nan); an interval of no width would be worse."""
    with pytest.raises(
        ValueError, match=r"^x: expected values that differ; got 20 equal values.*steelyard\.proportion"
    ):
        sy.bootstrap(np.full(20, value), method=method)  # type: ignore[arg-type]


def test_clusters_of_equal_means_are_refused() -> None:
    x, clusters = np.tile([0.1, 0.2, 0.3], 4), np.repeat(np.arange(4), 3)
    with pytest.raises(ValueError, match="got 4 clusters of equal means"):
        sy.bootstrap(x, clusters=clusters)
    with pytest.raises(ValueError, match="clusters: expected at least two clusters; got one"):
        sy.bootstrap(x, clusters=np.zeros(12, int))


def test_a_limit_beyond_the_extreme_replicate_is_refused() -> None:
    sy.bootstrap(R_DATA, method="percentile", n_resamples=39)
    with pytest.raises(ValueError, match=r"^n_resamples: expected .* got 38.*raise n_resamples"):
        sy.bootstrap(R_DATA, method="percentile", n_resamples=38)
    with pytest.raises(ValueError, match=r"^n_resamples: expected "):
        sy.bootstrap(R_DATA, n_resamples=99, confidence_level=0.999)


# -- inputs -------------------------------------------------------------------------------------------------


def test_zeros_and_ones_run_and_name_proportion() -> None:
    k, n = 87, 100
    x = np.arange(n) < k
    boots = [sy.bootstrap(v) for v in (x, x.astype(int), x.astype(np.float32), x.tolist())]
    assert all(b == boots[0] for b in boots)
    assert "steelyard.proportion" in str(boots[0].reason)
    assert boots[0].value == 0.87
    exact = stats.binom.ppf([0.025, 0.975], n, 0.87) / n
    percentile = sy.bootstrap(x, method="percentile", n_resamples=99_999)
    assert abs(np.array([percentile.low, percentile.high]) - exact).max() < 0.011


@pytest.mark.parametrize("dtype", ["float32", "float16", "int8", "uint16", ">f8", ">i4"])
def test_any_dtype_of_whole_numbers_gives_the_same(dtype: str) -> None:
    x = np.arange(100) % 17
    assert sy.bootstrap(x.astype(dtype), n_resamples=199) == sy.bootstrap(x.astype(np.float64), n_resamples=199)


def test_bfloat16_is_read_as_itself() -> None:
    ml_dtypes = pytest.importorskip("ml_dtypes")
    x = np.arange(100) % 17
    assert sy.bootstrap(x.astype(ml_dtypes.bfloat16), n_resamples=199) == sy.bootstrap(x * 1.0, n_resamples=199)


def test_rows_are_left_out_and_counted() -> None:
    x = np.append(R_DATA, [np.nan, 1e9, np.nan])
    where = np.ones(19, bool)
    where[[17, 18]] = False
    boot = sy.bootstrap(x, where=where, nan_policy="omit", n_resamples=99)
    assert boot.left_out == {"where": 2, "nan": 1}
    assert boot.replicates.tobytes() == sy.bootstrap(R_DATA, n_resamples=99).replicates.tobytes()
    with pytest.raises(ValueError, match="x: expected finite values; got nan at index 16"):
        sy.bootstrap(x)


def test_order_and_names_of_clusters_do_not_matter() -> None:
    x, ids = np.arange(40.0) ** 1.5, np.arange(40) // 5
    want = sy.bootstrap(x, clusters=ids, n_resamples=199)
    assert sy.bootstrap(x, clusters=[f"doc{i}" for i in ids], n_resamples=199) == want
    assert sy.bootstrap(x, clusters=ids * 10 - 3, n_resamples=199) == want


def test_clusters_of_one_are_no_clusters() -> None:
    alone, single = sy.bootstrap(R_DATA, n_resamples=999), sy.bootstrap(R_DATA, clusters=np.arange(16), n_resamples=999)
    np.testing.assert_allclose(single.replicates, alone.replicates, rtol=1e-14)
    assert single.low == pytest.approx(alone.low, rel=1e-12)


def test_one_sided_limits() -> None:
    less = sy.bootstrap(R_DATA, method="percentile", alternative="less", n_resamples=999)
    both = sy.bootstrap(R_DATA, method="percentile", confidence_level=0.9, n_resamples=999)
    assert less.low == -math.inf
    assert less.low_error == 0.0
    assert less.high == both.high
    greater = sy.bootstrap(R_DATA, alternative="greater", n_resamples=999)
    assert greater.high == math.inf
    assert greater.high_error == 0.0
    assert greater.low == pytest.approx(sy.bootstrap(R_DATA, confidence_level=0.9, n_resamples=999).low, rel=1e-12)


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"method": "wild"}, ValueError, "method: expected one of percentile, basic, bca"),
        ({"n_resamples": 0}, ValueError, "n_resamples: expected a whole number from 1"),
        ({"n_resamples": 2**32}, ValueError, "n_resamples: expected a whole number from 1 to 4294967295"),
        ({"n_resamples": 1e4}, TypeError, "n_resamples: expected a whole number; got float 10000.0"),
        ({"seed": -1}, ValueError, "seed: expected a whole number from 0"),
        ({"seed": 2**64}, ValueError, "seed: expected a whole number from 0"),
        ({"seed": None}, TypeError, "seed: expected a whole number; got None"),
        ({"seed": True}, TypeError, "seed: expected a whole number; got bool True"),
        ({"confidence_level": 95}, ValueError, "confidence_level: expected a number inside"),
        ({"alternative": "both"}, ValueError, "alternative: expected one of"),
        ({"where": np.zeros(16, bool)}, ValueError, "x: expected at least one row that counts; got none of 16"),
        ({"progress": 3}, TypeError, "progress: expected True, False or a function"),
    ],
)
def test_bad_options_are_one_sentence(options: dict[str, object], error: type[Exception], message: str) -> None:
    with pytest.raises(error, match="^" + message.replace("(", r"\(")):
        sy.bootstrap(R_DATA, **options)  # type: ignore[arg-type]


@pytest.mark.parametrize("x", [[], np.zeros((0, 3)), "abc", None, [[["a"]]], np.array([1 + 2j])])
def test_what_is_no_column_is_refused(x: object) -> None:
    with pytest.raises((TypeError, ValueError), match=r"^x(\[:, 0\])?: expected "):
        sy.bootstrap(x)


def test_one_value_is_refused() -> None:
    with pytest.raises(ValueError, match="got 1 equal values"):
        sy.bootstrap([2.5])


# -- progress, interruption, picture -------------------------------------------------------------------------


def test_progress_is_told_and_may_stop_it() -> None:
    told: list[tuple[int, int]] = []
    sy.bootstrap(np.arange(200_000.0), n_resamples=999, progress=lambda done, total: told.append((done, total)))
    assert told[-1] == (999, 999)
    assert all(total == 999 for _, total in told)
    assert told == sorted(told)

    def stop(done: int, total: int) -> None:
        raise RuntimeError("enough")

    with pytest.raises(RuntimeError, match="enough"):
        sy.bootstrap(np.arange(200_000.0), n_resamples=100_000, progress=stop)


def test_other_python_threads_run_meanwhile() -> None:
    ticks, done = [], threading.Event()

    def tick() -> None:
        while not done.wait(0.001):
            ticks.append(1)

    thread = threading.Thread(target=tick)
    thread.start()
    sy.bootstrap(np.arange(100_000.0), n_resamples=1999)
    done.set()
    thread.join()
    assert len(ticks) > 5


def test_the_picture() -> None:
    matplotlib = pytest.importorskip("matplotlib")
    matplotlib.use("Agg")
    boot = sy.bootstrap(R_DATA, n_resamples=999)
    axes = boot.plot()
    assert sum(patch.get_height() for patch in axes.patches) == 999
    assert sorted(float(line.get_xdata()[0]) for line in axes.lines) == sorted([boot.value, boot.low, boot.high])
    one_sided = sy.bootstrap(R_DATA, n_resamples=999, alternative="less").plot()
    assert len(one_sided.lines) == 2
    matplotlib.pyplot.close("all")
    with pytest.raises(TypeError, match="pick one"):
        sy.bootstrap(np.column_stack([R_DATA, R_DATA]), n_resamples=99).plot()


def test_an_estimate_it_is() -> None:
    boot = sy.bootstrap({"a": R_DATA, "b": R_DATA * 2}, n_resamples=999)
    assert isinstance(boot, sy.Estimate)
    assert boot.replicates.shape == (999, 2)
    assert boot["b"].replicates.shape == (999,)
    assert boot["b"].low == 2 * boot["a"].low
    assert len(boot["a"].to_dict()["replicates"]) == 999
    with pytest.raises(ValueError, match="read-only"):
        boot.replicates[0, 0] = 1.0
    with pytest.raises(TypeError, match=r"steelyard\.compare"):
        boot["a"] < boot["b"]  # noqa: B015

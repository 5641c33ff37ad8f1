"""The ideal bootstrap: reference cases, enumeration, the binomial, resamples, and data that a transform misreads."""

from __future__ import annotations

import itertools
import math
from typing import Any

import numpy as np
import pytest
from scipy import stats

import steelyard as sy
from steelyard import _core
from steelyard.reference import studentized

MOUSE_T = np.array([94, 197, 16, 38, 99, 141, 23.0])
MOUSE_C = np.array([52, 104, 146, 10, 50, 31, 40, 27, 46.0])
CITY_U = np.array([138, 93, 61, 179, 48, 37, 29, 23, 30, 2.0])
CITY_X = np.array([143, 104, 69, 260, 75, 63, 50, 48, 111, 50.0])


def golden(n: int, off: int = 0) -> np.ndarray:
    """Equidistributed numbers in [0, 1) that no library changes."""
    u = np.arange(1 + off, n + 1 + off) * 0.6180339887498949
    return u - np.floor(u)


EXPONENTIAL = -np.log1p(-golden(100))
PARETO = (1 - golden(1000)) ** (-2 / 3)
CLUSTERS = np.where(np.arange(100) % 2, 1.0, -1.0) + 0.01 * np.log1p(-golden(100))
SIZES = 3.0 + (7 * np.arange(30)) % 11
SUCCESSES = np.floor(SIZES * ((5 * np.arange(30)) % 8) / 8)
WEIGHTS = 1 + golden(100, 100)
SKEWED = np.random.default_rng(7).lognormal(size=60)
TENTHS = np.round(SKEWED, 1)
LARGE = -np.log1p(-golden(100_000))
QUARTERS = np.round(100 * golden(500) ** 2) / 4


def zeros(n: int, ones: int) -> np.ndarray:
    return np.r_[np.ones(ones), np.zeros(n - ones)]


# Data, quantiles .025 .05 .95 .975, value, z0, acceleration, BCa, basic, and F at two points.
REFERENCES: dict[str, tuple[Any, str, list[float], list[float], list[float], list[float], dict[float, float]]] = {
    "R1 mouse, treated": (
        MOUSE_T, "E", [43.4285714286, 49.4285714286, 126.714285714, 134.428571429],
        [86.8571428571, 0.0306626001326, 0.0291205812628], [46.2857142857, 138.285714286],
        [39.2857142857, 130.285714286], {60: 0.127527038661, 100: 0.71581326051},
    ),
    "R2 mouse, control": (
        MOUSE_C, "E", [33.2222222222, 35.8888888889, 79.6666666667, 84.6666666667],
        [56.2222222222, 0.0657747175832, 0.0663321583426], [36.1111111111, 91.8888888889],
        [27.7777777778, 79.2222222222], {40: 0.108234680897, 70: 0.846476555348},
    ),
    "R4 city": (
        (CITY_X, CITY_U), "E", [1.25111607143, 1.28571428571, 1.96804511278, 2.10697674419],
        [1.5203125, 0.00263002885668, 0.00220876766487], [1.25255102041, 2.11280487805],
        [0.933648255814, 1.78950892857], {1.3: 0.0641252805, 1.6: 0.6572846023},
    ),
    "R5 few answers": (
        zeros(20, 7), "E", [0.15, 0.2, 0.55, 0.55], [0.35, 0.0221253347938, 0.0234403615469], [0.15, 0.6],
        [0.15, 0.55], {0.2: 0.118196559439, 0.5: 0.946833385637},
    ),
    "R6 rare answers": (
        zeros(10_000, 3), "L", [0, 0.0001, 0.0006, 0.0007], [0.0003, 0.0883334671096, 0.096181738181],
        [0.0001, 0.0008], [-0.0001, 0.0006], {0: 0.0497646647475, 0.0003: 0.647231890463, 0.0008: 0.996203082056},
    ),
    "R7 exponential": (
        EXPONENTIAL, "G", [0.80760068191, 0.834147676468, 1.14065699381, 1.17272024478],
        [0.983254554284, 0.0260602665253, 0.0259975840555], [0.819728088038, 1.18919889312],
        [0.793788863784, 1.15890842666], {0.8: 0.0201185094042, 1.2: 0.986947193219},
    ),
    "R8 Pareto": (
        PARETO, "G", [2.50984191627, 2.55772560232, 3.28617987075, 3.37742393401],
        [2.88889314189, 0.0863160822226, 0.0849233015879], [2.5760512381, 3.56191057783],
        [2.40036234977, 3.26794436751], {2.5: 0.0212968061459, 3.5: 0.990990927779},
    ),
    "R9 two clusters": (
        CLUSTERS, "G", [-0.209421892339, -0.170486537121, 0.150832766189, 0.189808460724],
        [-0.00983254554284, -0.00205763019629, -7.27708538032e-07], [-0.209478428237, 0.189748779352],
        [-0.20947355181, 0.189756801253], {-0.1: 0.184100808663, 0.1: 0.864373487963},
    ),
    "R10 ratio of counts": (
        (SUCCESSES, SIZES), "L", [0.326271186441, 0.342592592593, 0.501792114695, 0.515151515152],
        [0.425619834711, 0.0192553183619, 0.0193291709207], [0.33185840708, 0.520295202952],
        [0.33608815427, 0.524968482981], {0.35: 0.0669008295874, 0.5: 0.949647833185},
    ),
    "R11 weighted mean of pairs": (
        (WEIGHTS * EXPONENTIAL, WEIGHTS), "G", [0.825509411786, 0.855874405, 1.20487744406, 1.24106992339],
        [1.02625388822, 0.0265644927805, 0.0264674237367], [0.839626529643, 1.26000397167],
        [0.811437853044, 1.22699836465], {0.8: 0.0128901526643, 1.2: 0.945432617839},
    ),
    "R13 large": (
        LARGE, "T", [0.993806937919, 0.994799477599, 1.00520087496, 1.00620097095],
        [0.999994503489, 0.00105196046287, 0.00105195982588], [0.993826247379, 1.00622052077],
        [0.993788036027, 1.00618206906], {0.995: 0.0569141663683, 1.005: 0.943122321758},
    ),
    "R14 quarters": (
        QUARTERS, "L", [7.6715, 7.775, 8.8705, 8.9775], [8.32, 0.00477332719541, 0.00477250609004],
        [7.6805, 8.987], [7.6625, 8.9685], {8: 0.16871400612, 9: 0.978693629851},
    ),
}  # fmt: skip


# R12: shares .5, .2 and .3 of three samples, and R3: two samples. The numbers of REFERENCES.
STRATA = np.repeat([0, 1, 2], [40, 60, 50])
STRATIFIED = np.r_[EXPONENTIAL[:40], PARETO[:60], -np.log1p(-golden(50, 1000))]
SHARES = np.repeat([0.5 / 40, 0.2 / 60, 0.3 / 50], [40, 60, 50])
R12 = (
    [1.09697198491, 1.12819317839, 1.52434260649, 1.56934608876], [1.315776022, 0.0509647149875, 0.0504646911724],
    [1.12362545293, 1.61765499887], [1.06220595523, 1.53458005908], {1.3: 0.467939873369, 1.6: 0.984989405579},
)  # fmt: skip
R3 = (
    [-21, -13.0793650794, 75.4761904762, 84.0793650794], [30.6349206349, 0.0119838608371, 0.011008228344],
    [-19.380952381, 85.9206349206], [-22.8095238095, 82.2698412698], {0: 0.12805605795, 30: 0.495601373779},
)  # fmt: skip


def digits(x: float) -> Any:
    """The printed number: half a unit of its twelfth digit."""
    return pytest.approx(x, rel=6e-12, abs=3e-13)


def ideal(x: Any, method: str = "percentile", level: float = 0.95, **options: Any) -> sy.uncertainty.BootstrapEstimate:
    statistic = "ratio" if isinstance(x, tuple) else "mean"
    return sy.bootstrap(x, statistic, method=method, n_resamples=math.inf, confidence_level=level, **options)


@pytest.mark.parametrize("case", REFERENCES)
def test_reference_cases(case: str) -> None:
    x, engine, quantiles, (value, z0, acceleration), bca_limits, basic_limits, shares = REFERENCES[case]
    wide, narrow = ideal(x), ideal(x, level=0.9)
    assert [wide.low, narrow.low, narrow.high, wide.high] == [digits(q) for q in quantiles]
    bca, basic = ideal(x, "bca"), ideal(x, "basic")
    assert [bca.low, bca.high] == [digits(limit) for limit in bca_limits]
    assert [basic.low, basic.high] == [digits(limit) for limit in basic_limits]
    assert float(bca) == digits(value)
    assert bca.detail["z0"] == digits(z0)
    assert bca.detail["acceleration"] == digits(acceleration)
    assert bca.detail["engine"] == engine
    assert 0 < bca.detail["error"] < 2e-12
    columns = [np.asarray(column) for column in (x if isinstance(x, tuple) else (x,))]
    found = _core.ideal_bootstrap(
        columns, "ratio" if len(columns) > 1 else "mean", method="percentile", confidence_level=0.95,
        alternative="two-sided", at=np.array(list(shares), np.float64),
    )  # fmt: skip
    assert list(found["up_to"]) == [digits(share) for share in shares.values()]


def test_the_reference_case_of_strata() -> None:
    quantiles, (value, z0, acceleration), bca_limits, basic_limits, shares = R12
    how = {"strata": STRATA, "weights": SHARES}
    wide, narrow = ideal(STRATIFIED, **how), ideal(STRATIFIED, level=0.9, **how)
    assert [wide.low, narrow.low, narrow.high, wide.high] == [digits(q) for q in quantiles]
    bca, basic = ideal(STRATIFIED, "bca", **how), ideal(STRATIFIED, "basic", **how)
    assert [bca.low, bca.high] == [digits(limit) for limit in bca_limits]
    assert [basic.low, basic.high] == [digits(limit) for limit in basic_limits]
    assert float(bca) == digits(value)
    assert (bca.detail["z0"], bca.detail["acceleration"]) == (digits(z0), digits(acceleration))
    assert bca.detail["engine"] == "G"
    assert "ideal stratified weighted BCa bootstrap" in str(bca)
    assert "in 3 strata" in bca.reason
    found = _core.ideal_bootstrap(
        [STRATIFIED], "mean", weights=SHARES, stratum_codes=STRATA, strata=3, method="percentile",
        confidence_level=0.95, alternative="two-sided", at=np.array(list(shares)),
    )  # fmt: skip
    assert list(found["up_to"]) == [digits(share) for share in shares.values()]


def of_two(new: Any, base: Any, method: str = "bca", level: float = 0.95, **how: Any) -> Any:
    return sy.compare(
        new, baseline=base, paired=False, n_resamples=math.inf, method=method, confidence_level=level, **how
    ).difference


def test_the_reference_case_of_two_samples() -> None:
    quantiles, (value, z0, acceleration), bca_limits, basic_limits, shares = R3
    wide, narrow = (of_two(MOUSE_T, MOUSE_C, "percentile", level) for level in (0.95, 0.9))
    assert [wide.low, narrow.low, narrow.high, wide.high] == [digits(q) for q in quantiles]
    bca, basic = of_two(MOUSE_T, MOUSE_C), of_two(MOUSE_T, MOUSE_C, "basic")
    assert [bca.low, bca.high] == [digits(limit) for limit in bca_limits]
    assert [basic.low, basic.high] == [digits(limit) for limit in basic_limits]
    assert (float(bca), bca.detail["z0"], bca.detail["acceleration"]) == tuple(map(digits, (value, z0, acceleration)))
    assert set(bca.detail) == {"n_new", "n_baseline", "n_resamples", "engine", "error", "acceleration", "z0"}
    assert "ideal BCa bootstrap" in str(bca)
    found = _core.ideal_bootstrap(
        [np.r_[MOUSE_T, MOUSE_C]], "mean", stratum_codes=np.repeat([0, 1], [7, 9]), strata=2, average="difference",
        method="percentile", confidence_level=0.95, alternative="two-sided", at=np.array(list(shares), np.float64),
    )  # fmt: skip
    assert list(found["up_to"]) == [digits(share) for share in shares.values()]


def test_two_samples_turned_round_have_the_limits_turned_round() -> None:
    for new, base in ((EXPONENTIAL, PARETO), (MOUSE_T, MOUSE_C), (zeros(40, 12), zeros(30, 4))):
        one, other = of_two(new, base, "percentile"), of_two(base, new, "percentile")
        # On a lattice a limit is the smallest value that reaches its share, on either side of a step.
        step = 0.0 if one.detail["engine"] == "G" else 1 / (len(new) * len(base))
        assert [one.low, one.high] == [pytest.approx(-limit, abs=1e-9 + step) for limit in (other.high, other.low)]


def test_resamples_of_two_samples_agree_with_it() -> None:
    sizes = np.repeat(np.arange(30), 2)
    sides: list[tuple[Any, Any, dict[str, Any]]] = [
        (EXPONENTIAL, PARETO[:150], {}), (TENTHS, QUARTERS[:80], {}),
        (SKEWED, EXPONENTIAL, {"clusters": {"new": sizes}}),
    ]  # fmt: skip
    for seed, (new, base, how) in enumerate(sides):
        drawn = []
        for x, codes in ((new, sizes if how else None), (base, None)):
            found = sy.bootstrap(x, method="percentile", n_resamples=60_000, clusters=codes, seed=2 * seed + len(drawn))
            assert found.replicates is not None
            drawn.append(found.replicates)
        exact = of_two(new, base, "percentile", 0.9, **how)
        for limit, share in ((exact.low, 0.05), (exact.high, 0.95)):
            slack = 4.5 * math.sqrt(share * (1 - share) / 60_000)
            assert (drawn[0] - drawn[1] < limit - 1e-9).mean() <= share + slack
            assert (drawn[0] - drawn[1] <= limit + 1e-9).mean() >= share - slack


def test_pairs_are_resampled_by_their_differences() -> None:
    new, base = np.array([3.1, 0.2, 5.0, 4.4, 1.0]), np.array([2.0, 0.1, 5.5, 2.2, 1.7])
    drawn = [list(rows) for rows in itertools.product(range(5), repeat=5)]
    every = np.sort([new[rows].mean() - base[rows].mean() for rows in drawn])
    found = ideal(new - base, level=0.9)
    assert found.low == pytest.approx(every[math.ceil(0.05 * len(every)) - 1], rel=1e-12)
    assert found.high == pytest.approx(every[math.ceil(0.95 * len(every)) - 1], rel=1e-12)


def test_what_two_samples_are_refused_for() -> None:
    for message, options in {
        "n_resamples: expected None or math.inf; got 99": {"n_resamples": 99, "paired": False},
        "n_resamples: expected None with paired=True; got math.inf": {"n_resamples": math.inf},
        "method: expected one of percentile, basic, bca": {"n_resamples": math.inf, "paired": False, "method": "tango"},
    }.items():
        with pytest.raises(ValueError, match=message):
            sy.compare(MOUSE_T, baseline=MOUSE_C, **options)
    with pytest.raises(ValueError, match="new: expected scores that differ on one of the sides"):
        of_two([1.0, 1.0], [2.0, 2.0])
    with pytest.raises(ValueError, match="baseline: expected at least two scores of each side"):
        of_two([1.0, 1.0, 2.0], [2.0])
    with pytest.raises(ValueError, match="units of different sizes"):
        of_two(MOUSE_T, MOUSE_C, clusters={"new": [0, 0, 1, 2, 3, 4, 5]})


def every_t(sums: np.ndarray, sizes: np.ndarray) -> tuple[float, float, list[tuple[float, float]]]:
    """The ratio of the data, its error, and the t of every resample with its share, ascending."""
    n = len(sums)
    value, error = studentized.of_quotient(sums, sizes, np.ones(n))
    found = []
    for drawn in itertools.combinations_with_replacement(range(n), n):
        count = np.bincount(drawn, minlength=n)
        ways = math.factorial(n) // math.prod(math.factorial(int(k)) for k in count)
        other, own = studentized.of_quotient(sums, sizes, count.astype(float))
        found.append((studentized.t_of(other - value, own, error), ways / n**n))
    return value, error, sorted(found)


@pytest.mark.parametrize("kind", ["mean", "ties", "ratio", "clusters", "sum", "weighted_mean"])
@pytest.mark.parametrize("level", [0.8, 0.95])
def test_studentised_limits_are_those_of_every_resample(kind: str, level: float) -> None:
    x = np.array([1.0, 3, 3, 4, 4, 9, 11]) if kind == "ties" else SKEWED[:7]
    y = DENOMINATORS[:7] if kind in ("ratio", "weighted_mean") else np.ones(7)
    columns: Any = (x, y) if kind in ("ratio", "weighted_mean") else x
    sums, sizes = (x * y, y) if kind == "weighted_mean" else (x, y)
    codes, statistic = None, kind if kind in ("ratio", "sum", "weighted_mean") else "mean"
    if kind == "clusters":
        codes, columns = np.array([0, 0, 1, 2, 2, 2, 3, 4, 5]), SKEWED[:9]
        sums, sizes = np.bincount(codes, columns), np.bincount(codes).astype(float)
    value, error, found = every_t(sums, sizes)
    up_to, times = np.cumsum([share for _, share in found]), len(x) if kind == "sum" else 1
    quantile = {a: found[int(np.searchsorted(up_to, a - 1e-13))][0] for a in ((1 - level) / 2, (1 + level) / 2)}
    low, high = (times * (value - error * t) for t in reversed(quantile.values()))
    exact = sy.bootstrap(
        columns, statistic, method="studentized", n_resamples=math.inf, confidence_level=level, clusters=codes
    )
    assert [exact.low, exact.high] == [pytest.approx(limit, rel=1e-10) for limit in (low, high)]
    assert exact.standard_error == pytest.approx(times * error, rel=1e-12)
    assert exact.detail["engine"] == "E"
    assert "ideal studentized bootstrap" in str(exact)


@pytest.mark.parametrize("data", ["grades", "sevenths", "answers"])
def test_studentised_limits_on_a_lattice_agree_with_resamples(data: str) -> None:
    grades = np.floor(5 * golden(80) ** 2)
    x = {"grades": grades, "sevenths": 1e3 + grades / 7, "answers": zeros(2000, 300)}[data]
    drawn = sy.bootstrap(x, method="studentized", n_resamples=99_999)
    exact = sy.bootstrap(x, method="studentized", n_resamples=math.inf)
    assert exact.detail["engine"] == ("E" if data == "answers" else "L")
    assert exact.detail["error"] < 1e-10
    # Beside a step of t the error that the replicates tell may be too small, by as much as a step of the mean.
    step = (1 / 7 if data == "sevenths" else 1) / len(x)
    assert exact.low == pytest.approx(drawn.low, abs=5 * float(drawn.low_error) + step)
    assert exact.high == pytest.approx(drawn.high, abs=5 * float(drawn.high_error) + step)
    # Turned round, the limits are turned round, but for the side of a step on which they lie.
    turned = sy.bootstrap(-x, method="studentized", n_resamples=math.inf)
    assert [turned.low, turned.high] == [pytest.approx(-limit, abs=step) for limit in (exact.high, exact.low)]


def test_what_studentised_limits_are_refused_for() -> None:
    for x, message, options in (
        (EXPONENTIAL, "n_resamples: expected a finite number for the method studentized", {}),
        (MOUSE_T, "method: expected percentile.*with weights, strata", {"strata": [0, 0, 0, 1, 1, 1, 1]}),
        (zeros(12, 1), "method: expected resamples that show a spread.*share of 3.520e-1 of all", {}),
    ):
        with pytest.raises(ValueError, match=message):
            sy.bootstrap(x, method="studentized", n_resamples=math.inf, **options)
    with pytest.raises(ValueError, match=r"method: expected percentile.*sorted rows"):
        sy.bootstrap(MOUSE_T, "median", method="studentized", n_resamples=math.inf)


def test_what_the_result_says() -> None:
    found = ideal(EXPONENTIAL, "bca")
    assert found.replicates is None
    assert (found.low_error, found.high_error) == (0.0, 0.0)
    assert set(found.detail) == {"n_resamples", "engine", "error", "acceleration", "z0"}
    assert found.detail["n_resamples"] == math.inf
    assert "ideal BCa bootstrap" in str(found)
    assert found.standard_error == pytest.approx(EXPONENTIAL.std() / 10, rel=1e-14)
    assert found.to_dict()["replicates"] is None
    with pytest.raises(TypeError, match="no replicates to plot"):
        found.plot()
    with pytest.raises(TypeError, match="n_resamples"):
        sy.bootstrap(EXPONENTIAL, n_resamples=-math.inf)


def test_many_problems_and_one_side() -> None:
    table = np.stack([EXPONENTIAL, CLUSTERS], axis=1)
    both = ideal(table)
    assert both.replicates is None
    for i, x in enumerate((EXPONENTIAL, CLUSTERS)):
        alone = ideal(x)
        assert (both[i].low, both[i].high, both[i].replicates) == (alone.low, alone.high, None)
    less = ideal(EXPONENTIAL, alternative="less")
    assert less.low == -math.inf
    assert less.high == ideal(EXPONENTIAL, level=0.9).high


@pytest.mark.parametrize(("n", "ones"), [(20, 7), (50, 1), (1000, 413), (30_000, 29_990), (1_000_000, 10)])
def test_answers_are_binomial(n: int, ones: int) -> None:
    x = zeros(n, ones)
    for level in (0.95, 0.9, 0.99):
        tail = (1 - level) / 2
        want = stats.binom.ppf([tail, 1 - tail], n, ones / n) / n
        found = ideal(x, level=level)
        assert [found.low, found.high] == list(want)
        assert found.detail["engine"] in "EL"
        assert "proportion" in found.reason
    assert ideal(x.astype(bool)).high == ideal(x).high


def test_clusters_are_a_ratio_of_their_sums() -> None:
    rng = np.random.default_rng(0)
    sizes = np.array([3, 1, 4, 1, 5, 9, 2, 6, 5, 3, 5, 8])
    codes = np.repeat(np.arange(12), sizes)
    for x in (rng.normal(5, 1, codes.size), (rng.random(codes.size) < 0.4) * 1.0):
        sums = np.bincount(codes, x)
        clustered, pairs = ideal(x, "bca", clusters=codes), ideal((sums, sizes.astype(float)), "bca")
        assert [clustered.low, clustered.high] == [digits(limit) for limit in (pairs.low, pairs.high)]
        assert clustered.n_clusters == 12


DENOMINATORS = np.random.default_rng(8).gamma(2, size=60) + 0.2
AGREES = {
    "smooth": SKEWED,
    "few": np.random.default_rng(9).normal(size=9),
    "noisy": np.random.default_rng(10).normal(size=20),
    "lattice": np.round(SKEWED, 1),
    "answers": zeros(40, 9),
    "ratio": (2 * DENOMINATORS + SKEWED, DENOMINATORS),
    "ratio of counts": (np.floor(3 * SKEWED), np.floor(2 * DENOMINATORS) + 1),
    "outlier": np.r_[SKEWED, 1e5],
}


@pytest.mark.parametrize("data", AGREES)
def test_resamples_agree_with_it(data: str) -> None:
    """The share of resamples beyond each ideal limit, within 4.5 binomial standard deviations."""
    x, count = AGREES[data], 200_000
    resampled = sy.bootstrap(
        x, "ratio" if isinstance(x, tuple) else "mean", method="percentile", n_resamples=count, seed=3
    ).replicates
    assert resampled is not None
    for level in (0.99, 0.95, 0.5):
        tail, found = (1 - level) / 2, ideal(x, level=level)
        for limit, share in ((found.low, tail), (found.high, 1 - tail)):
            slack = 4.5 * math.sqrt(share * (1 - share) / count)
            near = 1e-9 * abs(limit)
            below, up_to = (resampled < limit - near).mean(), (resampled <= limit + near).mean()
            assert below <= share + slack
            assert up_to >= share - slack


SIDES = np.random.default_rng(11).integers(0, 3, 60)
WEIGHTED = np.random.default_rng(12).gamma(3, size=60)
GROUPS = np.r_[np.repeat(np.arange(20), 2), np.arange(20, 40)]
SIDES_OF_GROUPS = np.r_[np.repeat(SIDES[:20], 2), SIDES[40:]]
DESIGNS: dict[str, dict[str, Any]] = {
    "strata": {"strata": SIDES},
    "macro": {"strata": SIDES, "average": "macro"},
    "weights": {"weights": WEIGHTED},
    "weighted strata": {"strata": SIDES, "weights": WEIGHTED},
    "clusters in strata": {"strata": SIDES_OF_GROUPS, "clusters": GROUPS},
    "weighted clusters": {"clusters": GROUPS, "weights": WEIGHTED},
}
OF_DESIGNS = [
    *((design, "mean", SKEWED) for design in DESIGNS),
    *((design, "mean", TENTHS) for design in ("strata", "macro", "clusters in strata")),
    *((design, "sum", SKEWED) for design in ("strata", "macro", "weighted strata", "clusters in strata")),
    *((design, "ratio", (TENTHS + 1, DENOMINATORS)) for design in DESIGNS if design != "macro"),
    *((design, "ratio", (np.floor(3 * SKEWED), np.floor(2 * DENOMINATORS) + 1)) for design in ("strata", "weights")),
    *((design, "weighted_mean", (SKEWED, DENOMINATORS)) for design in ("strata", "weights")),
    ("strata", "mean", np.r_[SKEWED[:-1], 1e5]),
]


@pytest.mark.parametrize("case", range(len(OF_DESIGNS)))
def test_resamples_of_designs_agree_with_it(case: int) -> None:
    """Value, acceleration, and the share of resamples beyond each limit, within 4.5 binomial standard deviations."""
    design, statistic, x = OF_DESIGNS[case]
    how, count = DESIGNS[design], 60_000
    resampled = sy.bootstrap(x, statistic, method="bca", n_resamples=count, seed=case, **how)
    exact = sy.bootstrap(x, statistic, method="bca", n_resamples=math.inf, **how)
    assert float(exact) == pytest.approx(float(resampled), rel=1e-13)
    assert exact.detail["acceleration"] == pytest.approx(resampled.detail["acceleration"], rel=1e-9)
    assert exact.standard_error == pytest.approx(resampled.standard_error, rel=0.05)
    assert resampled.replicates is not None
    for level in (0.95, 0.5):
        tail = (1 - level) / 2
        found = sy.bootstrap(x, statistic, method="percentile", n_resamples=math.inf, confidence_level=level, **how)
        for limit, share in ((found.low, tail), (found.high, 1 - tail)):
            slack = 4.5 * math.sqrt(share * (1 - share) / count)
            near = 1e-9 * abs(limit)
            below, up_to = (resampled.replicates < limit - near).mean(), (resampled.replicates <= limit + near).mean()
            assert below <= share + slack
            assert up_to >= share - slack


@pytest.mark.parametrize("average", ["micro", "macro"])
def test_one_stratum_is_no_stratum(average: Any) -> None:
    for x in (EXPONENTIAL, QUARTERS, MOUSE_T):
        alone, one = ideal(x, "bca"), ideal(x, "bca", strata=np.zeros(len(x), int), average=average)
        assert (one.low, one.high) == (digits(alone.low), digits(alone.high))
        assert one.detail["engine"] == alone.detail["engine"]


def test_a_sum_is_so_many_means() -> None:
    for x in (EXPONENTIAL, QUARTERS, MOUSE_T):
        mean, total = ideal(x, "bca"), sy.bootstrap(x, "sum", method="bca", n_resamples=math.inf)
        assert [total.low, total.high] == [digits(len(x) * limit) for limit in (mean.low, mean.high)]


def test_many_rows_in_strata_have_power_sums() -> None:
    """Halves of one sample give the limits of the halves' variances, which are nearly those of the sample."""
    x = -np.log1p(-golden(60_000))
    codes = np.arange(60_000) % 2
    found, plain = ideal(x, "bca", strata=codes), ideal(x, "bca")
    assert found.detail["engine"] == plain.detail["engine"] == "T"
    assert found.detail["error"] < 1e-11
    assert found.low == pytest.approx(plain.low, abs=1e-3 * plain.standard_error)
    # A short stratum beside a long one, and weights that make it a ratio.
    uneven = (np.arange(60_000) < 50).astype(int)
    assert ideal(x, strata=uneven).detail["engine"] == "T"
    weighted = ideal(x, weights=1 + x, strata=codes)
    assert weighted.detail["engine"] == "T"
    drawn = sy.bootstrap(x, weights=1 + x, strata=codes, method="percentile", n_resamples=4000)
    assert drawn.replicates is not None
    assert abs((drawn.replicates <= weighted.low).mean() - 0.025) < 4.5 * math.sqrt(0.025 * 0.975 / 4000)


def test_an_outlier_in_a_stratum_is_set_apart() -> None:
    x = np.r_[np.random.default_rng(1).normal(size=200), 1e8]
    found = ideal(x, strata=np.arange(201) % 2)
    assert found.detail["engine"] == "P"
    assert found.detail["error"] < 1e-10


def test_a_second_stretch_of_the_transform_is_found() -> None:
    """Two narrow clusters: F has steps of one draw, which the first nodes alone would smooth away."""
    x = np.where(np.arange(60) % 2, 1.0, -1.0) + 4e-3 * (golden(60) - 0.5)
    found = _core.ideal_bootstrap(
        [x], "mean", method="percentile", confidence_level=0.95, alternative="two-sided",
        at=np.array([-0.018, -0.015, 0.015, 0.018]),
    )  # fmt: skip
    first, second, third, fourth = found["up_to"]
    assert second - first < 1e-9
    assert third - second == pytest.approx(stats.binom.pmf(30, 60, 0.5), rel=1e-6)
    assert fourth - third < 1e-9


def test_a_lattice_is_no_smooth_distribution() -> None:
    """Tens with three exceptions: an exact distribution by convolution of whole numbers."""
    x = 10.0 * (np.arange(400) * 37 % 200)
    x[:3] += 1
    probabilities = np.bincount(x.astype(int)) / x.size
    length = 1 << 20
    exact = np.cumsum(np.fft.irfft(np.fft.rfft(probabilities, length) ** x.size, length))
    places = np.arange(int(x.sum()) - 90_000, int(x.sum()) + 90_000, 12_345)
    found = _core.ideal_bootstrap(
        [x], "mean", method="percentile", confidence_level=0.95, alternative="two-sided", at=places / x.size
    )
    assert found["engine"] == "L"
    assert np.abs(found["up_to"] - exact[places]).max() < 1e-9


def test_giant_outliers_are_set_apart() -> None:
    x = np.r_[np.random.default_rng(1).normal(size=200), 1e8, -3e8]
    found = ideal(x)
    assert found.detail["engine"] == "P"
    assert found.detail["error"] < 1e-10
    # The lower limit has the second outlier three times (or so) and is known to the digits of the others.
    draws = stats.poisson.ppf(0.025, 1)
    assert draws == 0
    assert round(found.low * x.size / 1e8) == -9


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_tenths_are_a_lattice_in_every_type(dtype: str) -> None:
    tenths = np.round(golden(50), 1)
    found, want = ideal(tenths.astype(dtype)), ideal(tenths)
    assert found.detail["engine"] == want.detail["engine"] == "L"
    assert [found.low, found.high] == [pytest.approx(limit, abs=1e-7) for limit in (want.low, want.high)]


def test_the_bits_do_not_depend_on_threads() -> None:
    for x in (LARGE, PARETO, CLUSTERS, np.round(LARGE, 2), (SUCCESSES, SIZES)):
        with sy.threads(1):
            one = ideal(x, "bca")
        with sy.threads(2):
            two = ideal(x, "bca")
        assert one == two


def test_large_offsets_and_scales_change_the_limits_alike() -> None:
    base = ideal(EXPONENTIAL, "bca")
    for scale in (1e-100, 1e100):
        scaled = ideal(EXPONENTIAL * scale, "bca")
        assert scaled.low / scale == pytest.approx(base.low, rel=1e-11)
    moved = ideal(EXPONENTIAL + 1e6, "bca")
    assert moved.low - 1e6 == pytest.approx(base.low, abs=1e-8)


def test_what_is_refused() -> None:
    with pytest.raises(ValueError, match=r"values that differ.*3 equal"):
        ideal(np.ones(3))
    with pytest.raises(ValueError, match=r"x\[1\].*resample"):
        ideal((np.arange(6.0), np.array([0, 0, 0, 1.0, 2, 3])))
    with pytest.raises(ValueError, match=r"n_resamples.*a mean, sum, ratio or quantile.*'iqr'"):
        sy.bootstrap(np.arange(9.0), "iqr", n_resamples=math.inf)
    with pytest.raises(ValueError, match=r"n_resamples.*quantile of clustered rows.*'median'"):
        sy.bootstrap(np.arange(9.0), "median", clusters=np.arange(9) // 2, n_resamples=math.inf)
    strata, clusters = np.repeat([0, 1], [4, 5]), np.array([0, 0, 1, 2, 3, 4, 5, 6, 6])
    with pytest.raises(ValueError, match=r"n_resamples.*finite number.*units of different sizes"):
        ideal(np.arange(9.0), strata=strata, clusters=clusters, average="macro")
    with pytest.raises(ValueError, match=r"x: expected resamples that differ.*infinitely many of one value"):
        ideal(strata * 0.1 + 0.7, strata=strata)
    with pytest.raises(ValueError, match=r"x\[1\].*at least 0"):
        ideal((np.arange(4.0), np.array([1.0, 2, 3, -0.5])), weights=np.arange(4) + 1)
    with pytest.raises(ValueError, match=r"weights whose sum is above 0"):
        sy.bootstrap((np.arange(4.0), np.zeros(4)), "weighted_mean", n_resamples=math.inf)
    # Clusters so narrow that each step of F is a staircase of its own: neither enumerated nor smooth.
    with pytest.raises(ValueError, match=r"n_resamples.*finite number.*known within"):
        ideal(np.where(np.arange(60) % 2, 1.0, -1.0) + 1e-5 * golden(60))


def test_a_numerical_error_is_mentioned() -> None:
    """Five values without a common step: no lattice, too many resamples to list, and steps everywhere."""
    found = ideal(np.sqrt([2.0, 3.0, 5.0, 7.0, 11.0]).repeat(60))
    assert 1e-6 < found.detail["error"] < 1e-5
    assert f"known within {found.detail['error']:.1g}" in found.reason


def test_progress_ends_at_the_total() -> None:
    seen: list[tuple[int, int]] = []
    ideal(LARGE, progress=lambda done, total: seen.append((done, total)))
    assert seen[-1][0] == seen[-1][1]
    assert all(done <= total for done, total in seen)


def order_shares(x: np.ndarray, q: float) -> dict[float, float]:
    """The quantiles of all resamples with their shares, by enumeration of the multisets."""
    n, shares = len(x), dict[float, float]()
    for drawn in itertools.combinations_with_replacement(sorted(x), n):
        count = np.unique(drawn, return_counts=True)[1]
        ways = math.factorial(n) // math.prod(math.factorial(int(k)) for k in count)
        value = round(float(np.quantile(drawn, q)), 9)  # one value for those that differ by rounding
        shares[value] = shares.get(value, 0.0) + ways / n**n
    return shares


@pytest.mark.parametrize("q", [0.0, 0.2, 0.5, 0.61, 0.9, 1.0])
@pytest.mark.parametrize("x", [np.array([1.0, 2.5, 7.0, 7.25, 12.0]), np.array([-3.0, 0.5, 1.0, 4.0, 5.5, 9.0, 20.0])])
def test_quantiles_have_the_distribution_over_all_resamples(x: np.ndarray, q: float) -> None:
    shares = order_shares(x, q)
    values = np.array(sorted(shares))
    up_to = np.cumsum([shares[v] for v in values])
    at = values + 1e-9
    found = _core.ideal_bootstrap(
        [x], "quantile", q=q, method="percentile", confidence_level=0.8, alternative="two-sided", at=at
    )
    np.testing.assert_allclose(found["up_to"], up_to, atol=1e-12)
    low, high = (values[np.searchsorted(up_to, level - 1e-12)] for level in (0.1, 0.9))
    assert (found["low"], found["high"]) == (pytest.approx(low, abs=1e-9), pytest.approx(high, abs=1e-9))
    mean = sum(v * share for v, share in shares.items())
    spread = math.sqrt(sum((v - mean) ** 2 * share for v, share in shares.items()))
    assert found["standard_error"] == pytest.approx(spread, rel=1e-9)


@pytest.mark.parametrize("n", [11, 40, 401])
@pytest.mark.parametrize("q", [0.5, 0.25, 0.9])
def test_quantiles_of_resamples_agree_with_it(n: int, q: float) -> None:
    x = np.random.default_rng(n).lognormal(size=n)
    statistic = sy.uncertainty.quantile(q)
    drawn = sy.bootstrap(x, statistic, n_resamples=199_999)
    exact = sy.bootstrap(x, statistic, n_resamples=math.inf)
    assert exact.detail["engine"] == "O"
    assert float(exact) == float(drawn)
    assert exact.detail["acceleration"] == pytest.approx(drawn.detail["acceleration"], abs=1e-12)
    assert drawn.replicates is not None
    for share in (0.03, 0.2, 0.5, 0.8, 0.97):
        place = float(np.quantile(drawn.replicates, share)) + 1e-9
        found = _core.ideal_bootstrap(
            [x], "quantile", q=q, method="percentile", confidence_level=0.9, alternative="two-sided",
            at=np.array([place]),
        )  # fmt: skip
        seen = float((drawn.replicates <= place).mean())
        assert abs(found["up_to"][0] - seen) <= 5 * math.sqrt(seen * (1 - seen) / 199_999)


HOMES = [np.array([0, 1, 0, 0, 1, 1, 0]), np.array([0, 0, 0, 1, 1, 1, 1]), np.array([0, 1, 2, 2, 1, 0, 0])]


def order_shares_in_strata(x: np.ndarray, strata: np.ndarray, q: float) -> tuple[np.ndarray, np.ndarray]:
    """The quantiles of all resamples of each stratum within itself, ascending, with the shares up to each."""
    members = [np.flatnonzero(strata == h) for h in range(int(strata.max()) + 1)]
    each = [list(itertools.product(own, repeat=len(own))) for own in members]
    drawn = np.array([np.concatenate(one) for one in itertools.product(*each)], np.int64)
    values, times = np.unique(np.round(np.quantile(x[drawn], q, axis=1), 9), return_counts=True)
    return values, np.cumsum(times) / len(drawn)


@pytest.mark.parametrize("q", [0.0, 0.2, 0.5, 0.61, 0.9, 1.0])
@pytest.mark.parametrize("strata", HOMES, ids=str)
@pytest.mark.parametrize("x", [np.array([1.0, 2.5, 7.0, 7.25, 12.0, 12.5, 30.0]), np.array([0.0, 5, 1, 1, 9, 3, 5])])
def test_quantiles_in_strata_have_the_distribution_over_all_resamples(
    x: np.ndarray, strata: np.ndarray, q: float
) -> None:
    values, up_to = order_shares_in_strata(x, strata, q)
    found = _core.ideal_bootstrap(
        [x], "quantile", q=q, stratum_codes=strata, strata=int(strata.max()) + 1, method="percentile",
        confidence_level=0.8, alternative="two-sided", at=values + 1e-8,
    )  # fmt: skip
    np.testing.assert_allclose(found["up_to"], up_to, atol=1e-12)
    low, high = (values[np.searchsorted(up_to, level - 1e-12)] for level in (0.1, 0.9))
    assert (found["low"], found["high"]) == (pytest.approx(low, abs=1e-8), pytest.approx(high, abs=1e-8))
    shares = np.diff(up_to, prepend=0.0)
    spread = math.sqrt(shares @ (values - shares @ values) ** 2)
    assert found["standard_error"] == pytest.approx(spread, rel=1e-7)


@pytest.mark.parametrize("n", [12, 41, 400])
@pytest.mark.parametrize("q", [0.5, 0.25, 0.9])
def test_quantiles_of_resamples_in_strata_agree_with_it(n: int, q: float) -> None:
    rng = np.random.default_rng(n)
    strata = np.minimum(np.arange(n) % 6, 2)
    x = rng.lognormal(size=n) + strata
    statistic = sy.uncertainty.quantile(q)
    drawn = sy.bootstrap(x, statistic, strata=strata, n_resamples=199_999)
    exact = sy.bootstrap(x, statistic, strata=strata, n_resamples=math.inf)
    assert (exact.detail["engine"], exact.method) == ("O", "ideal stratified BCa bootstrap")
    assert float(exact) == float(drawn)
    assert exact.standard_error == pytest.approx(drawn.standard_error, rel=0.02)
    assert exact.detail["acceleration"] == pytest.approx(drawn.detail["acceleration"], abs=1e-12)
    assert drawn.replicates is not None
    for share in (0.03, 0.2, 0.5, 0.8, 0.97):
        place = float(np.quantile(drawn.replicates, share)) + 1e-9
        found = _core.ideal_bootstrap(
            [x], "quantile", q=q, stratum_codes=strata, strata=3, method="percentile", confidence_level=0.9,
            alternative="two-sided", at=np.array([place]),
        )  # fmt: skip
        seen = float((drawn.replicates <= place).mean())
        assert abs(found["up_to"][0] - seen) <= 5 * math.sqrt(seen * (1 - seen) / 199_999) + 1e-12


@pytest.mark.parametrize("n", [7, 300, 4001, 20_000])
@pytest.mark.parametrize("q", [0.5, 0.75])
def test_the_quantile_of_one_stratum_is_that_without_strata(n: int, q: float) -> None:
    x, statistic = np.random.default_rng(3).normal(size=n), sy.uncertainty.quantile(q)
    got = sy.bootstrap(x, statistic, strata=np.zeros(n), n_resamples=math.inf)
    want = sy.bootstrap(x, statistic, n_resamples=math.inf)
    assert (got.low, got.high, float(got)) == (want.low, want.high, float(want))
    assert got.standard_error == pytest.approx(want.standard_error, rel=1e-9)
    assert got.detail["z0"] == pytest.approx(want.detail["z0"], abs=1e-11)
    assert got.detail["acceleration"] == pytest.approx(want.detail["acceleration"], abs=1e-14)
    assert got.detail["error"] < 1e-11


def test_a_quantile_of_still_strata_is_refused() -> None:
    x, strata = np.repeat([1.0, 5.0], [30, 70]), np.repeat([0, 1], [30, 70])
    with pytest.raises(
        ValueError, match=r"resamples that differ in their quantile.*; got infinitely many of one value"
    ):
        sy.bootstrap(x, sy.uncertainty.quantile(0.2), strata=strata, n_resamples=math.inf)
    with pytest.raises(ValueError, match="n_resamples: expected a finite number for a quantile of clustered rows"):
        sy.bootstrap(x, "median", clusters=np.arange(100) // 2, strata=strata, n_resamples=math.inf)


def test_the_median_is_a_quantile() -> None:
    a, b = (sy.bootstrap(EXPONENTIAL, of, n_resamples=math.inf) for of in ("median", sy.uncertainty.quantile(0.5)))
    assert (a.low, a.high, a.standard_error) == (b.low, b.high, b.standard_error)
    with pytest.raises(ValueError, match="values that differ"):
        sy.bootstrap(np.ones(5), "median", n_resamples=math.inf)


def test_two_samples_of_which_too_little_is_known_say_what_to_do_instead() -> None:
    rng = np.random.default_rng(1)
    new, baseline = rng.normal(size=20), rng.normal(size=10)
    with pytest.raises(ValueError, match=r"n_resamples: expected None for these data; got infinity.*is Welch's"):
        sy.compare(new, baseline, paired=False, n_resamples=math.inf)
    with pytest.raises(
        ValueError, match="scores that differ on one of the sides; got equal ones on both; without n_resam"
    ):
        sy.compare([1.0, 1.0, 1.0], [2.0, 2.0], paired=False, n_resamples=math.inf)

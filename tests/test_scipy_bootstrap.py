"""``uncertainty.scipy_bootstrap``: SciPy's own tests of its bootstrap, run with this function in its place."""

from __future__ import annotations

import itertools
import warnings
from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from scipy import stats
from scipy._lib.array_api_compat import numpy as xp
from scipy.stats.tests import test_resampling as suite

import steelyard as sy
from steelyard.uncertainty import scipy_bootstrap

from .cases import normalish

# What of SciPy's suite is not run, and why.
NOT_OURS = "tests a private function of SciPy's, which is not replaced"
EXPLAINED = {
    "test_bootstrap_iv_other": "of other array libraries: these are NumPy arrays",
    "test_bootstrap_batch": "expects an integer and a RandomState of it to be one stream; here a generator gives a seed",
    "test_bootstrap_against_itself_1samp": "expects the exact count of one stream of random numbers; see the test below",
    "test_bootstrap_against_itself_2samp": "expects the exact count of one stream of random numbers; see the test below",
    "test_vector_valued_statistic_gh17715": "expects two streams of one generator to agree; see the test of shapes below",
    "test_jackknife_resample": NOT_OURS,
    "test_bootstrap_resample": NOT_OURS,
    "test_percentile_of_score": NOT_OURS,
    "test_vectorize_statistic": NOT_OURS,
}  # fmt: skip


def cases() -> Iterator[Any]:
    """Every test of the suite's class with each of its parameters."""
    for name, function in vars(suite.TestBootstrap).items():
        if not name.startswith("test_") or name in EXPLAINED:
            continue
        marks = [mark for mark in getattr(function, "pytestmark", []) if mark.name == "parametrize"]
        named = [mark.args[0].split(",") if isinstance(mark.args[0], str) else mark.args[0] for mark in marks]
        for values in itertools.product(*(list(mark.args[1]) for mark in marks)):
            given: dict[str, Any] = {}
            for names, value in zip(named, values, strict=True):
                given |= dict(zip(map(str.strip, names), value if len(names) > 1 else (value,), strict=True))
            yield pytest.param(name, given, id="-".join([name, *map(str, given.values())]))


@pytest.mark.parametrize(("name", "given"), list(cases()))
def test_suite_of_scipy(name: str, given: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> None:
    """Its errors are asked for without its words: the sentences here are this package's, and so are their kinds."""

    def raises(*_: Any, **__: Any) -> Any:
        return pytest.raises((TypeError, ValueError))

    monkeypatch.setattr(suite, "pytest", SimpleNamespace(raises=raises, warns=pytest.warns, mark=pytest.mark))
    monkeypatch.setattr(suite, "bootstrap", scipy_bootstrap)
    monkeypatch.setattr(stats, "bootstrap", scipy_bootstrap)
    function = getattr(suite.TestBootstrap(), name)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)
        function(**given, **({"xp": xp} if "xp" in function.__code__.co_varnames else {}))


def test_what_is_not_run_is_in_the_suite() -> None:
    names = {name for name in vars(suite.TestBootstrap) if name.startswith("test_")}
    assert set(EXPLAINED) <= names
    assert len(names) - len(EXPLAINED) > 12


@pytest.mark.parametrize("method", ["basic", "percentile", "BCa"])
def test_limits_cover_as_they_should(method: str) -> None:
    """What the suite's tests against itself test besides the stream: the coverage of 2,000 intervals."""
    data = np.random.default_rng(9123847).normal(5, 1, (2000, 100))
    found = scipy_bootstrap(
        (data,), np.mean, confidence_level=0.9, n_resamples=999, batch=50, method=method, axis=-1, rng=1
    )
    inside = int(np.count_nonzero((found.confidence_interval.low < 5) & (found.confidence_interval.high > 5)))
    assert stats.binomtest(inside, 2000, 0.9).pvalue > 0.1


def test_the_batch_does_not_matter() -> None:
    x = normalish(660, 1).reshape(10, 11, 6)
    for axis, method in itertools.product((0, 1, 2), ("basic", "percentile", "BCa")):
        one, other = (
            scipy_bootstrap((x,), np.mean, batch=batch, method=method, axis=axis, n_resamples=100, rng=0)
            for batch in (None, 10)
        )
        np.testing.assert_array_equal(one.confidence_interval, other.confidence_interval)
        np.testing.assert_array_equal(one.bootstrap_distribution, other.bootstrap_distribution)


def test_a_statistic_may_return_any_shape() -> None:
    x = normalish(60, 6).reshape(2, 30)
    found = {}
    for vectorized in (True, False):
        found[vectorized] = scipy_bootstrap(
            (x, x * 2), lambda x, y, axis=-1: np.stack([x.mean(axis), y.mean(axis), (x * y).mean(axis)]),
            axis=1, n_resamples=99, vectorized=vectorized, paired=True, rng=5,
        )  # fmt: skip
        assert found[vectorized].bootstrap_distribution.shape == (3, 2, 99)
        assert found[vectorized].confidence_interval.low.shape == (3, 2)
        alone = scipy_bootstrap((x[1],), np.mean, n_resamples=99, rng=5)
        np.testing.assert_allclose(found[vectorized].confidence_interval.high[0, 1], alone.confidence_interval.high)
    np.testing.assert_allclose(found[True].confidence_interval, found[False].confidence_interval, rtol=1e-12)


def test_the_resamples_are_those_of_bootstrap() -> None:
    x = normalish(300, 2)
    found = scipy_bootstrap((x,), np.mean, n_resamples=99, rng=7)
    want = sy.bootstrap(x, n_resamples=99, seed=7, method="percentile", confidence_level=0.5).replicates
    assert want is not None
    np.testing.assert_allclose(found.bootstrap_distribution, want, rtol=1e-12, atol=1e-14)


@pytest.mark.parametrize("alternative", ["two-sided", "less", "greater"])
@pytest.mark.parametrize("method", ["basic", "percentile", "BCa"])
@pytest.mark.parametrize("paired", [False, True])
def test_limits_are_those_of_scipy_from_the_same_replicates(alternative: Any, method: str, paired: bool) -> None:
    x, y = normalish(40, 3) ** 2, normalish(40, 4)
    options: Any = {"paired": paired, "alternative": alternative, "method": method, "confidence_level": 0.9}

    def statistic(x: np.ndarray, y: np.ndarray, axis: int) -> Any:
        return np.median(x, axis=axis) - y.mean(axis)

    ours = scipy_bootstrap((x, y), statistic, n_resamples=499, rng=1, **options)
    theirs = stats.bootstrap((x, y), statistic, n_resamples=0, bootstrap_result=ours, **options)
    np.testing.assert_allclose(ours.confidence_interval, theirs.confidence_interval, rtol=1e-12)
    np.testing.assert_allclose(ours.standard_error, theirs.standard_error, rtol=1e-12)


def test_generators_are_asked_for_a_seed() -> None:
    x = normalish(30, 5)

    def replicates(**rng: Any) -> bytes:
        return scipy_bootstrap((x,), np.mean, n_resamples=9, **rng).bootstrap_distribution.tobytes()

    assert replicates(rng=3) == replicates(random_state=3) != replicates(rng=4)
    for kind in (np.random.default_rng, np.random.RandomState):
        assert replicates(rng=kind(3)) == replicates(rng=kind(3)) != replicates(rng=kind(4))
        generator = kind(3)
        assert replicates(rng=generator) != replicates(rng=generator)
    assert replicates() != replicates()

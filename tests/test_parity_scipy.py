"""Agreement with SciPy, within Monte-Carlo error where it draws random numbers; and defects of SciPy that are avoided.

The quantiles, distributions and single intervals that SciPy also has are compared in ``test_math.py`` and
``test_uncertainty.py``.
"""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy import special, stats

import steelyard as sy

from .cases import normalish, uniform

# Limits from B replicates differ between two generators by at most this many deviations of both.
DEVIATIONS = 5.0


@pytest.mark.parametrize(("dtype", "bound"), [("float32", 1e-6), ("float64", 1e-11)])
@pytest.mark.parametrize("width", [1, 3, 1000, 40_000])
def test_log_z_is_logsumexp_in_float64(dtype: str, bound: float, width: int) -> None:
    """Of the very values that the logits hold; the bounds are those that ``token_scores`` states."""
    logits = (20 * normalish(4 * width, 1)).astype(dtype).reshape(4, width)
    targets = np.arange(4) % width
    scores = sy.token_scores(logits, targets)
    want = special.logsumexp(logits.astype(np.float64), axis=1)
    np.testing.assert_allclose(scores.log_z, want, rtol=0, atol=bound)
    nll = -special.log_softmax(logits.astype(np.float64), axis=1)[np.arange(4), targets]
    np.testing.assert_allclose(scores.nll, nll, rtol=0, atol=bound)


@pytest.mark.parametrize(("dtype", "bound"), [("float32", 1e-5), ("float64", 1e-11)])
@pytest.mark.parametrize("width", [1, 3, 1000, 40_000])
def test_entropy_is_that_of_the_softmax(dtype: str, bound: float, width: int) -> None:
    logits = (5 * normalish(4 * width, 3)).astype(dtype).reshape(4, width)
    logits[1, 1:] = -np.inf
    found = sy.token_scores(logits, np.zeros(4, int), columns=["entropy"]).entropy
    want = stats.entropy(special.softmax(logits.astype(np.float64), axis=1), axis=1)
    np.testing.assert_allclose(found, want, rtol=0, atol=bound)


def test_logsumexp_of_float32_keeps_seven_digits_and_ours_more() -> None:
    """In float32 SciPy's answer is rounded to float32: at 300 nats, to 3e-5."""
    logits = (300 + normalish(50_000, 2)).astype(np.float32).reshape(1, -1)
    exact = float(special.logsumexp(logits.astype(np.float64)))
    assert abs(float(special.logsumexp(logits)) - exact) > 1e-6
    assert abs(float(sy.token_scores(logits, np.array([0])).log_z[0]) - exact) < 1e-6


@pytest.fixture(scope="module", params=["normal", "skewed", "two values"])
def sample(request: pytest.FixtureRequest) -> np.ndarray:
    return {
        "normal": normalish(60, 3),
        "skewed": normalish(60, 4) ** 4,
        "two values": (uniform(60, 5) < 0.3).astype(np.float64),
    }[request.param]


def test_replicates_have_the_distribution_of_scipys(sample: np.ndarray) -> None:
    theirs = stats.bootstrap((sample,), np.mean, n_resamples=4999, method="percentile", rng=np.random.default_rng(1))
    ours = sy.bootstrap(sample, method="percentile", n_resamples=4999, seed=1)
    rounded = [np.round(x, 12) for x in (ours.replicates, theirs.bootstrap_distribution)]
    assert stats.ks_2samp(*rounded).pvalue > 1e-4
    assert ours.standard_error == pytest.approx(theirs.standard_error, rel=DEVIATIONS / math.sqrt(4999))


@pytest.mark.parametrize("method", ["percentile", "basic", "bca"])
@pytest.mark.parametrize("alternative", ["two-sided", "less", "greater"])
def test_limits_are_scipys_within_monte_carlo_error(sample: np.ndarray, method: str, alternative: str) -> None:
    b = 4999
    theirs = stats.bootstrap(
        (sample,), np.mean, n_resamples=b, method="BCa" if method == "bca" else method, confidence_level=0.9,
        alternative=alternative, rng=np.random.default_rng(2),
    ).confidence_interval  # fmt: skip
    ours = sy.bootstrap(sample, method=method, n_resamples=b, confidence_level=0.9, alternative=alternative, seed=2)
    # Both draw, so sqrt(2); BCa also estimates z0 from its replicates: up to twice the stated error of a limit.
    factor = DEVIATIONS * math.sqrt(2) * (2 if method == "bca" else 1)
    step = 1 / len(sample) if set(sample) == {0.0, 1.0} else 0.0  # limits of whole counts move by one count
    for limit, error, want in (
        (ours.low, ours.low_error, theirs.low),
        (ours.high, ours.high_error, theirs.high),
    ):
        if math.isinf(want):
            assert limit == want
        else:
            assert abs(limit - want) <= factor * error + step + 1e-12, (limit, error, want)


@pytest.mark.filterwarnings("ignore")
def test_scipys_bca_of_equal_values_is_nan_and_ours_is_refused() -> None:
    x = np.full(20, 0.25)
    theirs = stats.bootstrap((x,), np.mean, method="BCa", n_resamples=99).confidence_interval
    assert math.isnan(theirs.low)
    assert math.isnan(theirs.high)
    with pytest.raises(ValueError, match="equal values"):
        sy.bootstrap(x, n_resamples=99)

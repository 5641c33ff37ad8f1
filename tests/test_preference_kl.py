"""``preference.kl``: the estimators k1, k2 and k3 of a divergence, from sampled tokens."""

from __future__ import annotations

from typing import Any

import mpmath
import numpy as np
import pytest

import steelyard as sy
from steelyard.preference import kl

RNG = np.random.default_rng(8)
POLICY = -3 * RNG.random((40, 12))
REFERENCE = np.minimum(POLICY + 0.3 * RNG.standard_normal((40, 12)), 0.0)


def test_they_are_means_of_what_the_formulas_say() -> None:
    d = (REFERENCE - POLICY).ravel()
    rows = np.repeat(np.arange(40), 12)
    for name, terms in (("k1", -d), ("k2", d * d / 2), ("k3", np.expm1(d) - d)):
        got = kl(POLICY, REFERENCE, estimator=name)  # type: ignore[arg-type]
        want = sy.estimate(terms, clusters=rows)
        assert got.value == pytest.approx(want.value, rel=1e-12)
        assert (got.low, got.high) == pytest.approx((want.low, want.high), rel=1e-9)
        assert (got.n, got.n_clusters) == (480, 40)


def test_k3_has_its_digits_near_zero() -> None:
    """Written as exp(d) - 1 - d in float32 it is wrong by 4.7 % at 1e-3, and 0 from 3e-4 on."""
    for size in (1e-8, 3e-4, 1e-3, 0.1, 3.0, 50.0):
        for policy, reference in ((-64.0, -64.0 + size), (0.0, -size)):
            d = mpmath.mpf(reference - policy)
            want = mpmath.expm1(d) - d
            assert kl([policy], [reference], estimator="k3").value == pytest.approx(float(want), rel=1e-13)
    single = kl(np.full(1, -1e-3, np.float32), np.zeros(1, np.float32)).value
    assert single == pytest.approx(5.0017e-7, rel=1e-4)


def test_unbiased_where_the_divergence_is_known() -> None:
    """Tokens drawn from a policy over 30 classes: k1 and k3 hold the divergence of the logits; equal models give 0."""
    logits = RNG.standard_normal((1, 30))
    other = logits + 0.5 * RNG.standard_normal((1, 30))
    drawn = RNG.choice(30, 20_000, p=np.exp(logits[0] - np.log(np.exp(logits[0]).sum())))
    truth = float(sy.token_scores(logits, [0], baseline=other, columns="kl_reverse").kl_reverse[0])  # type: ignore[index]
    policy, reference = (np.broadcast_to(x, (20_000, 30)) for x in (logits, other))
    log_p, log_q = (-sy.token_scores(x, drawn).nll for x in (policy, reference))
    for name in ("k1", "k3"):
        got = kl(log_p, log_q, estimator=name, confidence_level=0.999)  # type: ignore[arg-type]
        assert got.low is not None
        assert got.high is not None
        assert got.low < truth < got.high
    widths = [kl(log_p, log_q, estimator=name).standard_error for name in ("k1", "k3")]  # type: ignore[arg-type]
    assert widths[1] < widths[0]  # type: ignore[operator]
    same = kl(log_p, log_p)
    assert same.value == 0.0
    assert same.low is None


def test_padding_clusters_and_nan() -> None:
    keep = np.arange(480).reshape(40, 12) % 5 > 0
    got = kl(POLICY, REFERENCE, where=keep, clusters=np.arange(40) // 2)
    d = (REFERENCE - POLICY)[keep]
    want = sy.estimate(np.expm1(d) - d, clusters=np.repeat(np.arange(40) // 2, 12).reshape(40, 12)[keep])
    assert got.value == pytest.approx(want.value, rel=1e-12)
    assert (got.n_clusters, got.left_out) == (20, {"where": 96})
    holes = REFERENCE.copy()
    holes[3, 4] = np.nan
    with pytest.raises(
        ValueError, match=r"reference: expected a finite log-probability; got nan at index \[3, 4\]; nan_policy='omit'"
    ):
        kl(POLICY, holes)
    assert kl(POLICY, holes, nan_policy="omit").left_out == {"nan": 1}
    padded = POLICY.copy()
    padded[~keep] = -np.inf  # what does not count may be anything
    both = np.where(keep, REFERENCE, -np.inf)
    assert kl(padded, both, where=keep).value == kl(POLICY, REFERENCE, where=keep).value
    tokens = np.repeat(np.arange(40), 12).reshape(40, 12)
    assert kl(POLICY, REFERENCE, clusters=tokens) == kl(POLICY, REFERENCE)
    assert kl(POLICY[0], REFERENCE[0]).n_clusters is None


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"estimator": "k4"}, "estimator: expected one of k1, k2, k3"),
        ({"reference": REFERENCE[:, :3]}, r"reference: expected the shape of policy, \(40, 12\)"),
        ({"policy": 0.0, "reference": 0.0}, "policy: expected tokens"),
        (
            {"policy": np.full((40, 12), -np.inf)},
            r"policy: expected a finite log-probability; got -inf at index \[0, 0\]",
        ),
        ({"policy": -POLICY}, "policy: expected a log-probability, at most 0; got .* turn the sign of an NLL"),
        (
            {"policy": POLICY - 1000},
            r"reference: expected a difference from policy whose term is finite; got 999\.|got 1000",
        ),
        ({"clusters": [1, 2]}, r"clusters: expected one id per token, \(40, 12\), or per row, \(40,\)"),
        ({"where": np.zeros((40, 12), bool)}, "where"),
    ],
)
def test_bad_input(change: dict[str, Any], says: str) -> None:
    with pytest.raises(ValueError, match=says):
        kl(**({"policy": POLICY, "reference": REFERENCE} | change))


def test_16_bits_warn() -> None:
    with pytest.warns(sy.errors.SteelyardWarning, match="policy: float16 log-probabilities"):
        kl(POLICY.astype(np.float16), REFERENCE.astype(np.float16))

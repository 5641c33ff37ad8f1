"""Preference losses of scores: divergences, means over tokens, and losses without a reference."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest

import steelyard as sy
import steelyard.reference.preference
from steelyard import reference
from steelyard._registries import names

from .cases import normalish
from .cases.preference import DIVERGENCES, reads, scored, tokens

FREE = [loss for loss in names("preference.loss") if not reads(loss, "reference")]


def pairs(n: int, spread: float = 5.0) -> list[np.ndarray]:
    return [normalish(n, 90 + i) * spread - 30 for i in range(4)]


def softplus(t: Any) -> Any:
    return np.logaddexp(0, t)


# -- divergences -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("options", DIVERGENCES, ids=str)
@pytest.mark.parametrize(
    "loss",
    [
        name
        for name in names("preference.loss")
        if reads(name, "reference") and not reads(name, "lengths") and name != "aot"
    ],
)
def test_at_the_reference_a_divergence_changes_nothing(loss: Any, options: dict[str, Any]) -> None:
    """Its scores are 0 there, with the derivative 1 (of the Jensen-Shannon divergence 1/2)."""
    same = [[-3.5, -7.25]] * 4
    out, plain = sy.preference_loss(*same, loss=loss, **options), sy.preference_loss(*same, loss=loss)
    assert out.losses.tolist() == plain.losses.tolist()
    assert out.grad_chosen.tolist() == (plain.grad_chosen * (0.5 if options["divergence"] == "js" else 1)).tolist()
    assert out.rewards_chosen.tolist() == [0.0, 0.0]


def test_divergences_are_those_of_trl_for_losses_of_the_difference() -> None:
    """The expressions of its f_divergence_type, whose constants drop out: -exp(-x), logsigmoid(x), exp((a-1) x)/(a-1)."""
    pc, pr, rc, rr = columns = pairs(200, 1.0)
    x, y = pc - rc, pr - rr
    for options, g in (
        ({"divergence": "forward-kl"}, lambda r: -np.exp(-r)),
        ({"divergence": "js"}, lambda r: -softplus(-r)),
        ({"divergence": "alpha", "alpha": 0.3}, lambda r: np.exp(-0.7 * r) / -0.7),
    ):
        for loss, value in (("dpo", lambda z: softplus(-z)), ("hinge", lambda z: np.maximum(0, 1 - z))):
            out = sy.preference_loss(*columns, loss=loss, beta=0.3, **options)  # type: ignore[arg-type]
            np.testing.assert_allclose(out.losses, value(0.3 * (g(x) - g(y))), rtol=1e-10, atol=1e-14)


def test_alpha_lies_between_the_two_kullback_leibler_divergences() -> None:
    columns = pairs(100, 1.0)
    forward = sy.preference_loss(*columns, divergence="forward-kl")
    ends = [sy.preference_loss(*columns, divergence="alpha", alpha=a) for a in (0.0, 1 - 2.0**-40)]
    assert ends[0].losses.tobytes() == forward.losses.tobytes()
    np.testing.assert_allclose(ends[1].losses, sy.preference_loss(*columns).losses, rtol=1e-10)


@pytest.mark.parametrize("options", DIVERGENCES, ids=str)
@pytest.mark.parametrize("loss", ["dpo", "ipo", "hinge", "apo_zero", "sppo_hard", "discopop"])
def test_divergences_are_finite_far_out_and_counted(loss: Any, options: dict[str, Any]) -> None:
    far = -np.array([1e5, 1e4, 800.0, 1e4])
    columns = (far, -np.array([1.0, 1e4, 5.0, 2e4]), np.full(4, -1.0), np.full(4, -1.0))
    out = sy.preference_loss(*columns, loss=loss, **options)
    for column in (out.losses, out.grad_chosen, out.grad_rejected, out.rewards_chosen):
        assert np.isfinite(column).all()
    if options["divergence"] == "forward-kl":
        assert out.saturated == 4  # the second pair too, whose margin is 0 since both scores lie beyond the end


@pytest.mark.parametrize("of", ["forward-kl", "js", "alpha"])
def test_the_rewards_are_the_scores(of: Any) -> None:
    r = np.concatenate([np.linspace(-30, 30, 121), [1e-9, -1e-9, -350.0, -1e4, 300.0]])
    policy, other = np.minimum(r, 0), -np.maximum(r, 0)
    out = sy.preference_loss(policy, policy, other, other, beta=1.0, divergence=of)
    want, _ = reference.preference.scores(r, of=of)
    np.testing.assert_allclose(out.rewards_chosen, want, rtol=2e-15)


# -- means over tokens -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(("mean", "total"), [("sigmoid_norm", "dpo"), ("ipo_norm", "ipo")])
def test_a_loss_of_means_is_the_loss_of_columns_that_were_divided(mean: Any, total: Any) -> None:
    columns, (chosen, rejected) = pairs(2100), tokens(2100)
    out = sy.preference_loss(*columns, loss=mean, lengths=(chosen, rejected), beta=0.5)
    x, y = (columns[0] - columns[2]) / chosen, (columns[1] - columns[3]) / rejected
    divided = sy.preference_loss(
        np.minimum(x, 0), np.minimum(y, 0), -np.maximum(x, 0), -np.maximum(y, 0), loss=total, beta=0.5
    )
    assert out.losses.tobytes() == divided.losses.tobytes()
    np.testing.assert_allclose(out.grad_chosen, divided.grad_chosen / chosen, rtol=1e-15)
    np.testing.assert_allclose(out.grad_rejected, divided.grad_rejected / rejected, rtol=1e-15)
    np.testing.assert_array_equal(out.rewards_chosen, 0.5 * x)


def test_ipo_norm_is_what_trl_computes() -> None:
    """ipo_delta = chosen_score / chosen_length - rejected_score / rejected_length; (ipo_delta - 1 / (2 beta)) ** 2."""
    out = sy.preference_loss([-10.0], [-30.0], [-12.0], [-24.0], loss="ipo_norm", lengths=([4], [3]), beta=0.1)
    assert out.losses[0] == pytest.approx((2 / 4 - -6 / 3 - 5) ** 2)


@pytest.mark.parametrize("loss", [loss for loss in names("preference.loss") if reads(loss, "lengths")])
def test_an_answer_without_tokens_has_the_mean_0_and_no_gradient(loss: Any) -> None:
    columns = ([0.0, -3.0, -3.0], [-4.0, 0.0, -4.0], [0.0, -3.5, -3.5], [-4.5, 0.0, -4.5])
    out = scored(columns, loss=loss, lengths=([0, 3, 3], [4, 0, 4]))
    assert out.empty == 2
    assert out.saturated == 0
    for column in (out.losses, out.grad_chosen, out.grad_rejected):
        assert np.isfinite(column).all()
    assert out.grad_chosen[0] == out.grad_rejected[1] == 0
    assert (out.rewards_chosen[0] == out.rewards_rejected[1] == 0) or loss == "orpo"


def test_lengths_of_pairs_that_do_not_count_are_not_looked_at() -> None:
    columns = pairs(4)
    lengths = ([3.0, math.nan, 5.0, -1.0], [1.0, 2.0, 0.0, 4.0])
    where = [True, False, False, False]
    for loss in ("sigmoid_norm", "orpo"):
        out = scored(columns, loss=loss, lengths=lengths, where=where)
        one = scored([c[:1] for c in columns], loss=loss, lengths=([3.0], [1.0]))
        assert out.losses[0] == one.losses[0]
        assert (out.empty, out.saturated, out.left_out) == (0, 0, {"where": 3})


# -- without a reference ---------------------------------------------------------------------------------------


def test_simpo_is_what_torchtune_computes() -> None:
    """-logsigmoid(beta * (chosen - rejected - gamma / beta)), of mean log-probabilities; its defaults are 2 and 0.5."""
    means = np.array([-0.5, -10.0, -1.0]), np.array([-0.1, -30.0, -21.0])
    out = sy.preference_loss(means[0] * 4, means[1] * 3, loss="simpo", lengths=([4] * 3, [3] * 3), beta=2.0, gamma=0.5)
    want = softplus(-(2.0 * (means[0] - means[1] - 0.25)))
    np.testing.assert_allclose(out.losses, want, rtol=1e-13)
    assert sy.preference_loss([-3.0], [-3.0], loss="simpo", lengths=([2], [2]), gamma=0.0).losses[0] == math.log(2)


def test_cpo_is_dpo_with_a_uniform_reference_and_the_likelihood() -> None:
    pc, pr, *_ = pairs(100)
    zero = np.zeros(100)
    dpo = sy.preference_loss(pc, pr, zero, zero, beta=0.3)
    bare = sy.preference_loss(pc, pr, loss="cpo", beta=0.3, sft=0.0)
    assert bare.losses.tobytes() == dpo.losses.tobytes()
    assert bare.grad_chosen.tobytes() == dpo.grad_chosen.tobytes()
    out = sy.preference_loss(pc, pr, loss="cpo", beta=0.3)
    np.testing.assert_allclose(out.losses, dpo.losses - pc, rtol=1e-15)
    np.testing.assert_allclose(out.grad_chosen, dpo.grad_chosen - 1, rtol=1e-15)


def test_alphapo_without_a_bend_is_simpo() -> None:
    columns = pairs(100)
    simpo = scored(columns, loss="simpo", beta=2.0)
    assert scored(columns, loss="alphapo", beta=2.0, alpha=0.0).losses.tobytes() == simpo.losses.tobytes()
    near = scored(columns, loss="alphapo", beta=2.0, alpha=1e-12)
    np.testing.assert_allclose(near.losses, simpo.losses, rtol=1e-8)


def test_alphapo_where_float32_powers_overflow() -> None:
    """TRL computes exp(l) and then its power: infinite at l = -120 in float32, with alpha 1."""
    out = sy.preference_loss([-120.0], [-119.0], loss="alphapo", lengths=([1], [1]), alpha=1.0, beta=1e-52)
    assert out.rewards_chosen[0] == pytest.approx(-1e-52 * math.expm1(120), rel=1e-15)
    assert np.isfinite([out.losses[0], out.grad_chosen[0], out.grad_rejected[0]]).all()


def test_orpo_where_the_odds_are_extreme() -> None:
    """Liger's log1p(-exp(l)) is -inf at l = -1e-8; the log-odds are 18.42 there."""
    out = sy.preference_loss([-1e-8], [-50.0], loss="orpo", lengths=([1], [1]), beta=1.0)
    assert out.rewards_chosen[0] == pytest.approx(-math.log(math.expm1(1e-8)), rel=1e-15)
    assert out.rewards_chosen[0] == pytest.approx(18.42, abs=0.01)
    assert out.rewards_rejected[0] == -50.0
    certain = sy.preference_loss([0.0, -1.0], [-1.0, 0.0], loss="orpo", lengths=([1, 1], [1, 1]), beta=1.0)
    assert np.isfinite(certain.losses).all()
    assert np.isfinite(certain.grad_chosen).all()


def test_orpo_is_what_trl_computes() -> None:
    """NLL of the chosen answer - beta * logsigmoid(log_odds), log_odds with log1p(-exp(l)), of means over tokens."""
    columns, (chosen, rejected) = pairs(200), tokens(200)
    a, b = columns[0] / chosen, columns[1] / rejected
    odds = (a - b) - (np.log1p(-np.exp(a)) - np.log1p(-np.exp(b)))
    out = scored(columns, loss="orpo", beta=0.3)
    np.testing.assert_allclose(out.losses, -a + 0.3 * softplus(-odds), rtol=1e-12)


@pytest.mark.parametrize("loss", FREE)
def test_gradients_of_log_probabilities_to_mpmath(loss: Any) -> None:
    """Of the whole function of the log-probabilities, so that the rounding of the scores counts."""
    mpmath = pytest.importorskip("mpmath", reason="mpmath is the wider oracle; it comes with the dev extra")
    rng = np.concatenate([-np.geomspace(1e-6, 300, 60), -np.linspace(1, 30, 60)])
    policy = [rng, np.roll(rng, 17)]
    n, m = tokens(len(rng)) if reads(loss, "lengths") else (np.ones(len(rng), int),) * 2
    out = scored([*policy, *policy], loss=loss, beta=0.7, lengths=(n, m))
    with mpmath.workdps(400):

        def value(a: Any, b: Any, i: int) -> Any:
            a, b = a / int(n[i]), b / int(m[i])
            sigmoid = lambda t: mpmath.log1p(mpmath.exp(-t))  # noqa: E731
            if loss == "orpo":
                gap = [t - mpmath.log1p(-mpmath.exp(t)) for t in (a, b)]
                return -a + mpmath.mpf(0.7) * sigmoid(gap[0] - gap[1])
            if loss == "alphapo":
                a, b = ((1 - mpmath.exp(-t / 4)) * 4 for t in (a, b))
            z = mpmath.mpf(0.7) * (a - b) - (mpmath.mpf("0.5") if loss != "cpo" else 0)
            return sigmoid(z) - (a if loss == "cpo" else 0)

        for i in range(len(rng)):
            a, b = mpmath.mpf(policy[0][i].item()), mpmath.mpf(policy[1][i].item())
            step = mpmath.mpf(10) ** -120 * min(1, abs(a), abs(b))
            want = (
                (value(a + step, b, i) - value(a - step, b, i)) / (2 * step),
                (value(a, b + step, i) - value(a, b - step, i)) / (2 * step),
            )
            size = 1 + 0.7 * (abs(out.rewards_chosen[i]) + abs(out.rewards_rejected[i])) / 0.7
            assert value(a, b, i) == pytest.approx(out.losses[i], rel=4e-16 * size, abs=1e-300)
            for got, exact in zip((out.grad_chosen[i], out.grad_rejected[i]), want, strict=True):
                assert float(got) == pytest.approx(float(exact), rel=1e-15 * size, abs=1e-300)


def test_what_a_loss_needs_and_what_it_would_ignore() -> None:
    x = [-1.0, -2.0]
    with pytest.raises(
        ValueError,
        match="reference_chosen: expected log-probabilities of the reference, which the loss 'dpo' needs; got None",
    ):
        sy.preference_loss(x, x)
    with pytest.raises(
        ValueError, match="reference_rejected: expected nothing: the loss 'cpo' does not use it; got list"
    ):
        sy.preference_loss(x, x, None, x, loss="cpo")
    with pytest.raises(
        ValueError, match="policy_rejected: expected finite log-probabilities; got a NaN or infinity at index 1"
    ):
        sy.preference_loss(x, [-1.0, -math.inf], loss="simpo", lengths=([1, 1], [1, 1]))
    with pytest.raises(ValueError, match=r"policy_chosen: expected log-probabilities, at most 0; got 3\.0 at index 0"):
        sy.preference_loss([3.0, -1.0], x, loss="cpo")
    with pytest.raises(ValueError, match="reference_chosen: expected finite log-probabilities; got a NaN or infinity"):
        sy.preference_loss(x, x, [math.inf, -1.0], x, divergence="forward-kl")


@pytest.mark.parametrize("loss", FREE)
def test_all_types_of_log_probabilities(loss: Any) -> None:
    columns = [(c * 4).round() / 4 for c in pairs(300)]
    wide, narrow = (
        scored(columns, loss=loss),
        scored([c.astype(np.float32) for c in columns], loss=loss, dtype="float64"),
    )
    assert wide.losses.tobytes() == narrow.losses.tobytes()
    assert wide.loss.value == narrow.loss.value


def test_a_pair_that_does_not_count_or_has_no_slope_takes_no_interval_away() -> None:
    """The largest slope of a score, times the steepest loss of another pair, would say that all losses are equal."""
    lengths = ([4] * 4, [4] * 4)
    chosen, rejected, where = [-3.0, -5, -4, -7], [-6.0, -5, -9, -8], [True, True, True, False]
    got = sy.preference_loss(chosen, rejected, loss="orpo", lengths=lengths, where=where)
    alone = sy.preference_loss(chosen[:3], rejected[:3], loss="orpo", lengths=([4] * 3, [4] * 3))
    assert (got.loss.value, got.loss.low, got.loss.high) == (alone.loss.value, alone.loss.low, alone.loss.high)
    assert got.loss.low is not None
    assert got.reward_margin.low is not None
    rng = np.random.default_rng(3)
    references = [-rng.uniform(80, 400, 2000) for _ in range(2)]
    policies = [reference + rng.normal(size=2000) for reference in references]
    policies[1][0] = references[1][0] - 12  # one rejected answer that fell, whose loss is 0
    columns = [column.astype(np.float32) for column in (*policies, *references)]
    found = sy.preference_loss(*columns, divergence="forward-kl")
    assert found.loss.low is not None
    same = sy.preference_loss(*columns, divergence="forward-kl", gradients=False)
    assert same.grad_chosen is None
    assert same.loss == found.loss

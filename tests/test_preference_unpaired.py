"""Losses of answers that are not paired: KTO, BCO and AOT."""

from __future__ import annotations

import json
import math
from itertools import pairwise
from typing import Any

import numpy as np
import pytest

import steelyard as sy
from steelyard import _core
from steelyard.errors import SteelyardWarning
from steelyard.preference import unpaired_loss

from .cases import normalish

OPTIONS: list[dict[str, Any]] = [
    {"loss": "kto", "kl": 0.5}, {"loss": "kto", "kl": 0.0, "desirable_weight": 1.25, "undesirable_weight": 0.5},
    {"loss": "bco", "shift": 0.25}, {"loss": "bco", "shift": -0.5, "desirable_weight": 0.0, "undesirable_weight": 3.0},
    {"loss": "aot_unpaired"},
]  # fmt: skip
SINGLE = OPTIONS[:4]
"""The losses of each answer by itself."""


def with_ratios(x: Any) -> list[np.ndarray]:
    """Policy and reference whose difference is x exactly."""
    x = np.asarray(x, np.float64)
    return [np.minimum(x, 0.0), -np.maximum(x, 0.0)]


def answers(n: int) -> tuple[np.ndarray, np.ndarray]:
    """Log-ratios that are multiples of 2^-10, and labels: two of five desirable."""
    return np.round(normalish(n, 61) * 8 * 1024) / 1024, np.arange(n) % 5 < 2


def s(t: Any) -> Any:
    return 1 / (1 + np.exp(-t))


def softplus(t: Any) -> Any:
    return np.logaddexp(0, t)


def test_kto_is_what_trl_computes() -> None:
    """KTOTrainer: chosen 1 - sigmoid(beta * (logratios - kl)), rejected 1 - sigmoid(beta * (kl - logratios)), weighted."""
    x, good = answers(200)
    mismatched = normalish(50, 62) + 0.75
    kl = max(mismatched.mean(), 0)
    out = unpaired_loss(*with_ratios(x), good, beta=0.3, kl=mismatched, desirable_weight=1.33, undesirable_weight=0.9)
    want = np.where(good, 1.33 * (1 - s(0.3 * (x - kl))), 0.9 * (1 - s(0.3 * (kl - x))))
    np.testing.assert_allclose(out.losses, want, rtol=1e-12)
    assert out.point == pytest.approx(0.3 * kl, rel=1e-15)
    assert out.kl is not None
    assert out.kl == sy.estimate(mismatched)
    assert out.kl.standard_error == pytest.approx(mismatched.std(ddof=1) / math.sqrt(50), rel=1e-12)


def test_the_divergence_is_cut_off_at_0_and_no_order_or_batch_changes_it() -> None:
    x, good = answers(20)
    mismatched = normalish(1000, 63)
    mismatched -= mismatched.mean() + 1
    out = unpaired_loss(*with_ratios(x), good, kl=mismatched)
    assert out.point == 0
    assert out.kl is not None
    assert out.kl.value < 0
    zero = unpaired_loss(*with_ratios(x), good, kl=0)
    assert zero.kl is None
    assert out.losses.tobytes() == zero.losses.tobytes()
    positive = np.concatenate([[1e16], mismatched + 2, [-1e16]])
    there, back = (unpaired_loss(*with_ratios(x), good, kl=kl).point for kl in (positive, positive[::-1].copy()))
    assert there == back == 0.1 * (math.fsum(positive) / len(positive))


def test_without_a_divergence_kto_is_apo_zero_by_halves() -> None:
    """TRL's "apo_zero_unpaired". A pair's loss is the sum of those of its answers, bit for bit."""
    x, y = normalish(300, 64) * 8, normalish(300, 65) * 8
    policy, reference = (np.concatenate(pair) for pair in zip(with_ratios(x), with_ratios(y), strict=True))
    out = unpaired_loss(policy, reference, np.arange(600) < 300, kl=0, beta=0.7)
    columns = (policy[:300], policy[300:], reference[:300], reference[300:])
    pairs = sy.preference_loss(*columns, loss="apo_zero", beta=0.7)
    assert (out.losses[:300] + out.losses[300:]).tobytes() == pairs.losses.tobytes()
    assert out.grad is not None
    assert out.grad[:300].tobytes() == pairs.grad_chosen.tobytes()
    assert out.grad[300:].tobytes() == pairs.grad_rejected.tobytes()


def test_bco_is_bco_pair_by_halves() -> None:
    x, y = normalish(300, 64) * 8, normalish(300, 65) * 8
    policy, reference = (np.concatenate(pair) for pair in zip(with_ratios(x), with_ratios(y), strict=True))
    out = unpaired_loss(policy, reference, np.arange(600) < 300, loss="bco", beta=0.7)
    assert out.point == pytest.approx(0.7 * np.concatenate([x, y]).mean(), abs=1e-13)
    columns = (policy[:300], policy[300:], reference[:300], reference[300:])
    pairs = sy.preference_loss(*columns, loss="bco_pair", beta=0.7, shift=out.point)
    assert (out.losses[:300] + out.losses[300:]).tobytes() == pairs.losses.tobytes()
    assert out.grad is not None
    assert out.grad[:300].tobytes() == pairs.grad_chosen.tobytes()
    assert out.grad[300:].tobytes() == pairs.grad_rejected.tobytes()


def test_the_shift_is_no_running_mean() -> None:
    """TRL's BCOTrainer keeps one over batches; here it is of all answers, from their exact sum."""
    x, good = answers(400)
    order = np.argsort(normalish(400, 66), kind="stable")
    there = unpaired_loss(*with_ratios(x), good, loss="bco", beta=0.3)
    back = unpaired_loss(*with_ratios(x[order]), good[order], loss="bco", beta=0.3)
    assert there.point == back.point == math.fsum(0.3 * x) / 400
    assert there.losses[order].tobytes() == back.losses.tobytes()


def test_weights_that_are_too_large_are_named() -> None:
    far = with_ratios([-1e3, 1e3])
    for name, side in (("desirable_weight", 0), ("undesirable_weight", 1)):
        with pytest.raises(
            ValueError, match=f"{name}: expected a weight whose products with losses and gradients float64"
        ):
            unpaired_loss(*far, [True, False], loss="bco", shift=0.0, beta=1.0, **{name: 1e306})  # type: ignore[arg-type]
        other = ("undesirable_weight", "desirable_weight")[side]
        labels = [side == 0, side == 0]
        assert np.isfinite(unpaired_loss(*far, labels, loss="bco", shift=0.0, beta=1.0, **{other: 1e306}).losses).all()  # type: ignore[arg-type]


@pytest.mark.parametrize("options", OPTIONS)
def test_no_answers(options: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="policy: expected at least one value; got none"):
        unpaired_loss([], [], [], **options)


def test_at_the_reference() -> None:
    same, good = [-3.0, -5.0, -2.0], [True, False, True]
    for loss, want in (("kto", 0.5), ("bco", math.log(2)), ("aot_unpaired", math.log(2))):
        out = unpaired_loss(same, same, good, loss=loss, **({"kl": 0} if loss == "kto" else {}))  # type: ignore[arg-type]
        assert out.losses.tolist() == [want] * 3
        assert out.reward_margin.value == 0
        assert loss == "aot_unpaired" or float(out.reward_accuracy) == 0.5  # type: ignore[arg-type]


# -- AOT -------------------------------------------------------------------------------------------------------


def test_aot_is_what_trl_computes_of_as_many_of_each_kind() -> None:
    """Both kinds sorted, -logsigmoid(beta * delta) of their differences; gradients go back to where they came from."""
    x, y = normalish(100, 67) * 8, normalish(100, 68) * 8
    out = unpaired_loss(*with_ratios(np.concatenate([x, y])), np.arange(200) < 100, loss="aot_unpaired", beta=0.3)
    delta = np.sort(x) - np.sort(y)
    np.testing.assert_allclose(out.losses[np.argsort(x)], softplus(-0.3 * delta), rtol=1e-13)
    np.testing.assert_allclose(out.losses[100 + np.argsort(y)], softplus(-0.3 * delta), rtol=1e-13)
    assert out.loss.value == pytest.approx(softplus(-0.3 * delta).mean(), rel=1e-13)
    assert out.grad is not None
    # Each pair's loss is that of two answers.
    np.testing.assert_allclose(out.grad[np.argsort(x)], -2 * 0.3 * s(-0.3 * delta), rtol=1e-12)
    np.testing.assert_allclose(out.grad[100 + np.argsort(y)], 2 * 0.3 * s(-0.3 * delta), rtol=1e-12)


@pytest.mark.parametrize("a", [100, 60])
def test_label_smoothing_of_aot_is_a_recipe(a: int) -> None:
    """-log s(-z) is -log s(z) + z, and the integral of z is beta times the difference of the mean log-ratios.

    TRL's DPOTrainer: -logsigmoid(beta * delta) * (1 - e) - logsigmoid(-beta * delta) * e, both kinds sorted.
    """
    x, y, e, beta = normalish(a, 67) * 8, normalish(100, 68) * 8, 0.2, 0.3
    out = unpaired_loss(*with_ratios(np.concatenate([x, y])), np.arange(a + 100) < a, loss="aot_unpaired", beta=beta)
    assert out.grad is not None
    slope = np.repeat([e * beta / a, -e * beta / 100], [a, 100])
    delta = np.repeat(np.sort(x), 500 // a if a == 100 else 25) - np.repeat(np.sort(y), 5 if a == 100 else 15)
    want = (1 - e) * softplus(-beta * delta) + e * softplus(beta * delta)
    assert out.loss.value + e * beta * (x.mean() - y.mean()) == pytest.approx(want.mean(), rel=1e-13)
    if a == 100:
        own = (e * s(beta * delta[::5]) - (1 - e) * s(-beta * delta[::5])) * beta / 100
        np.testing.assert_allclose((out.grad / 200 + slope)[np.argsort(x)], own, rtol=1e-10, atol=1e-15)


def test_aot_of_unlike_numbers_is_of_quantiles() -> None:
    x, good = answers(70)  # 28 and 42
    out = unpaired_loss(*with_ratios(x), good, loss="aot_unpaired", beta=0.3)
    repeated = np.repeat(np.sort(x[good]), 3) - np.repeat(np.sort(x[~good]), 2)
    assert out.loss.value == pytest.approx(softplus(-0.3 * repeated).mean(), rel=1e-13)
    for kind in (good, ~good):
        assert out.losses[kind].mean() == pytest.approx(out.loss.value, rel=1e-13)


def test_copies_of_one_kind_change_nothing_in_aot() -> None:
    x, good = answers(50)
    twice = np.concatenate([x, x[good], x[good]])
    labels = np.concatenate([good, np.ones(2 * good.sum(), bool)])
    there = unpaired_loss(*with_ratios(x), good, loss="aot_unpaired")
    back = unpaired_loss(*with_ratios(twice), labels, loss="aot_unpaired")
    assert back.loss.value == pytest.approx(there.loss.value, rel=1e-13)
    np.testing.assert_allclose(back.losses[:50][~good], there.losses[~good], rtol=1e-12)


def test_equal_log_ratios_share_their_gradient_in_aot() -> None:
    out = unpaired_loss(*with_ratios([1.0, 1.0, -2.0, 0.5]), [True, True, False, False], loss="aot_unpaired", beta=1.0)
    assert out.grad is not None
    assert out.grad[0] == out.grad[1] == pytest.approx(-(s(-3.0) + s(-0.5)))
    assert out.losses[0] == out.losses[1] == pytest.approx((softplus(-3.0) + softplus(-0.5)) / 2)


def test_no_potential_of_aot_is_above_the_loss_of_any_two_answers() -> None:
    """Kantorovich's duality: they add up to the loss of answers that share a quantile, and to no more elsewhere."""
    x, y = normalish(17, 69) * 8, normalish(40, 70) * 8
    sides = _core.sorted_losses(x, y, beta=0.3)
    sums = sides[0]["potentials"][:, None] + sides[1]["potentials"]
    losses = softplus(-0.3 * (x[:, None] - y))
    assert (sums <= losses + 1e-12).all()
    assert (np.abs(sums - losses) < 1e-12).sum() >= 17 + 40 - 1
    total = sides[0]["potentials"].mean() + sides[1]["potentials"].mean()
    assert total == pytest.approx(sides[0]["losses"].mean(), rel=1e-13)


def test_the_interval_of_aot_covers_the_loss() -> None:
    """Rewards of two normal distributions, one unit apart, of one width: the quantiles differ by 1 everywhere."""
    rng = np.random.default_rng(5)
    hits, truth = 0, math.log1p(math.exp(-1))
    for _ in range(1000):
        x = np.concatenate([rng.normal(1, 1, 150), rng.normal(0, 1, 250)])
        found = unpaired_loss(*with_ratios(x), np.arange(400) < 150, loss="aot_unpaired", beta=1.0).loss
        assert found.low is not None
        assert found.high is not None
        hits += found.low <= truth <= found.high
    assert 0.93 < hits / 1000 < 0.98


# -- gradients, digits, stability ------------------------------------------------------------------------------


@pytest.mark.parametrize("options", OPTIONS, ids=str)
def test_gradients_are_central_differences_of_the_sum_of_losses(options: dict[str, Any]) -> None:
    x, good = answers(60)
    x += np.arange(60) * 1e-3  # no ties, where "aot_unpaired" has a corner
    policy, reference = with_ratios(x)
    out = unpaired_loss(policy - 1, reference, good, beta=0.3, **options)
    assert out.grad is not None
    step = 1e-4
    for i in range(60):
        sums = []
        for sign in (1, -1):
            moved = policy - 1
            moved[i] += sign * step
            losses = unpaired_loss(moved, reference, good, beta=0.3, gradients=False, **options).losses
            sums.append(math.fsum(losses))
        assert out.grad[i] == pytest.approx((sums[0] - sums[1]) / (2 * step), rel=1e-8, abs=2e-9)


@pytest.mark.parametrize("options", SINGLE, ids=str)
def test_losses_and_gradients_to_four_ulp_of_mpmath(options: dict[str, Any]) -> None:
    mpmath = pytest.importorskip("mpmath", reason="mpmath is the wider oracle; it comes with the dev extra")
    x = np.concatenate([np.linspace(-700, 700, 57), np.linspace(-3, 3, 61)])
    x = np.round(x * 1024) / 1024
    for desirable in (True, False):
        labels = np.full(len(x) + 1, desirable)
        labels[-1] = not desirable
        out = unpaired_loss(*with_ratios(np.append(x, 0.0)), labels, beta=1.0, **options)
        assert out.grad is not None
        weight = options.get("desirable_weight" if desirable else "undesirable_weight", 1.0)
        middle = options["kl"] if options["loss"] == "kto" else options["shift"]
        with mpmath.workdps(60):
            for i, value in enumerate(x.tolist()):
                z = (value - middle) * (1 if desirable else -1)
                if abs(z) > 700:
                    continue
                wrong = 1 / (1 + mpmath.exp(mpmath.mpf(z)))
                right = 1 / (1 + mpmath.exp(-mpmath.mpf(z)))
                loss = wrong if options["loss"] == "kto" else mpmath.log1p(mpmath.exp(-mpmath.mpf(z)))
                slope = -wrong * right if options["loss"] == "kto" else -wrong
                for got, want in (
                    (out.losses[i], weight * loss),
                    (out.grad[i], weight * slope * (1 if desirable else -1)),
                ):
                    assert abs(got.item() - want) <= 4 * np.spacing(abs(float(want))), value


@pytest.mark.parametrize("options", OPTIONS, ids=str)
def test_finite_far_out_and_counted(options: dict[str, Any]) -> None:
    x = np.array([-1e4, -800.0, 800.0, 1e4, -1e4, -800.0, 800.0, 1e4])
    out = unpaired_loss(*with_ratios(x), [True, False] * 4, beta=1.0, **options)
    assert out.grad is not None
    assert np.isfinite(out.losses).all()
    assert np.isfinite(out.grad).all()
    assert out.saturated == 8
    far = unpaired_loss(*with_ratios([1e4, -1e4]), [False, True], beta=1.0, **options)
    assert far.saturated == 2


@pytest.mark.parametrize("options", OPTIONS, ids=str)
def test_better_answers_lose_less(options: dict[str, Any]) -> None:
    x = np.array([-3.0, -1.0, 0.5, 2.0])
    for good, turn in ((True, 1), (False, -1)):
        losses = [
            unpaired_loss(*with_ratios([value, 0.0]), [good, not good], beta=1.0, **options).losses[0]
            for value in x[::turn].tolist()
        ]
        weight = options.get("desirable_weight" if good else "undesirable_weight", 1.0)
        assert weight == 0 or all(a > b for a, b in pairwise(losses))


@pytest.mark.parametrize("options", OPTIONS, ids=str)
def test_the_order_of_answers_does_not_matter(options: dict[str, Any]) -> None:
    x, good = answers(100)
    x[::7] = 0.25
    order = np.argsort(normalish(100, 71), kind="stable")
    there = unpaired_loss(*with_ratios(x), good, **options)
    back = unpaired_loss(*with_ratios(x[order]), good[order], **options)
    assert there.grad is not None
    assert back.grad is not None
    assert there.losses[order].tobytes() == back.losses.tobytes()
    assert there.grad[order].tobytes() == back.grad.tobytes()
    assert there.reward_margin.value == pytest.approx(back.reward_margin.value, rel=1e-13)


@pytest.mark.parametrize("options", OPTIONS, ids=str)
def test_copies_weigh_twice_and_clusters_know_it(options: dict[str, Any]) -> None:
    """All answers twice, each copy in its answer's cluster: the means are those of one copy, and so are the errors."""
    x, good = answers(60)
    once = unpaired_loss(*with_ratios(x), good, clusters=np.arange(60), **options)
    twice = unpaired_loss(*with_ratios(np.tile(x, 2)), np.tile(good, 2), clusters=np.tile(np.arange(60), 2), **options)
    for name in ("loss", "reward_margin", "reward_desirable", "reward_undesirable"):
        one, two = getattr(once, name), getattr(twice, name)
        assert two.value == pytest.approx(one.value, rel=1e-12)
        assert two.standard_error == pytest.approx(one.standard_error, rel=1e-9)
        assert two.n_clusters == one.n_clusters


# -- metrics ---------------------------------------------------------------------------------------------------


def test_the_means_are_those_of_their_rows() -> None:
    x, good = answers(200)
    x[:20] = 0.5
    out = unpaired_loss(*with_ratios(x), good, beta=0.3, kl=0.5)
    rewards = 0.3 * x
    assert out.reward_desirable == sy.estimate(rewards[good])
    assert out.reward_undesirable == sy.estimate(rewards[~good])
    assert out.reward_margin.value == pytest.approx(rewards[good].mean() - rewards[~good].mean(), rel=1e-12)
    apart = math.hypot(*(rewards[kind].std() / math.sqrt(kind.sum()) for kind in (good, ~good)))
    assert out.reward_margin.standard_error == pytest.approx(apart * math.sqrt(200 / 199), rel=1e-9)
    right = np.where(good, (x > 0.5) + 0.5 * (x == 0.5), (x < 0.5) + 0.5 * (x == 0.5))
    assert out.reward_accuracy is not None
    assert out.reward_accuracy.value == pytest.approx(right.mean(), rel=1e-13)
    assert out.loss.value == pytest.approx(out.losses.mean(), rel=1e-13)
    assert unpaired_loss(*with_ratios(x), good, loss="aot_unpaired").reward_accuracy is None


def test_answers_that_do_not_count() -> None:
    x, good = answers(40)
    policy, reference = with_ratios(x)
    bad = policy.copy()
    bad[[3, 7]] = np.nan
    where = np.arange(40) != 5
    keep = where & ~np.isnan(bad)
    for options in OPTIONS:
        out = unpaired_loss(
            bad, reference, good, where=where, nan_policy="omit", clusters=np.arange(40) // 2, **options
        )
        alone = unpaired_loss(policy[keep], reference[keep], good[keep], clusters=(np.arange(40) // 2)[keep], **options)
        assert out.left_out == {"where": 1, "nan": 2}
        assert out.losses[keep].tobytes() == alone.losses.tobytes()
        assert np.isnan(out.losses[~keep]).all()
        assert np.isnan(out.rewards[~keep]).all()
        assert out.grad is not None
        assert (out.grad[~keep] == 0).all()
        for name in ("loss", "reward_margin", "reward_desirable"):
            assert getattr(out, name).high == getattr(alone, name).high


def test_empty_answers_and_types() -> None:
    x = np.array([-1.0, -2.5, 0.0, -3.0])
    out = unpaired_loss(x, [-1.0, -2.0, 0.0, -2.0], [True, False, True, False], kl=0)
    assert out.empty == 1
    narrow = unpaired_loss(x.astype(np.float32), np.array([-1, -2, 0, -2], np.float32), [True, False] * 2, kl=0)
    assert narrow.losses.tobytes() == out.losses.tobytes()
    with pytest.warns(SteelyardWarning, match="policy: float16 log-probabilities"):
        unpaired_loss(x.astype(np.float16), [-1.0, -2.0, 0.0, -2.0], [True, False] * 2, kl=0)
    assert unpaired_loss(x, x, [True, False] * 2, kl=0, gradients=False).grad is None


def test_the_result_as_text() -> None:
    x, good = answers(40)
    out = unpaired_loss(*with_ratios(x), good, loss="bco")
    assert repr(out).startswith("<UnpairedLoss loss ")
    assert "reward accuracy" in repr(out)
    assert "accuracy" not in repr(unpaired_loss(*with_ratios(x), good, loss="aot_unpaired"))
    plain = json.loads(json.dumps(out.to_dict(), allow_nan=False))
    assert plain["point"] == out.point
    assert plain["kl"] is None


X, Y, GOOD = [-1.0, -2.0, -3.0], [-1.5, -2.0, -2.5], [True, False, True]


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: unpaired_loss(X, Y, GOOD), "kl: expected a number of nats, or log-ratios of mismatched answers, which"),
        (lambda: unpaired_loss(X, Y, GOOD, kl=-1.0), r"kl: expected a number that is at least 0; got -1\.0"),
        (lambda: unpaired_loss(X, Y, GOOD, kl=[0.5, np.inf]), r"kl: expected log-ratios; got inf at index \[1\]"),
        (lambda: unpaired_loss(X, Y, GOOD, kl=[]), "kl: expected at least one value; got none"),
        (lambda: unpaired_loss(X, Y, GOOD, loss="bco", kl=0.5), "kl: expected nothing: the loss 'bco' does not use it"),
        (lambda: unpaired_loss(X, Y, GOOD, kl=0, shift=0.5), "shift: expected nothing: the loss 'kto' does not use it"),
        (lambda: unpaired_loss(X, Y, GOOD, loss="aot_unpaired", desirable_weight=2.0), "desirable_weight: expected nothing"),
        (lambda: unpaired_loss(X, Y, GOOD, kl=0, undesirable_weight=-1), "undesirable_weight: expected a number that is"),
        (lambda: unpaired_loss(X, Y, GOOD, kl=0, beta=0), "beta: expected a number that is above 0 and finite; got 0"),
        (
            lambda: unpaired_loss(X, Y, [True] * 3, loss="bco"),
            "labels: expected desirable and undesirable answers; got desirable ones alone; pass shift=",
        ),
        (
            lambda: unpaired_loss(X, Y, GOOD, loss="aot_unpaired", where=[False, True, False]),
            "answers; got undesirable ones alone",
        ),
        (lambda: unpaired_loss(X, Y, GOOD[:2], kl=0), r"labels: expected shape \(3,\); got shape \(2,\)"),
        (lambda: unpaired_loss(X, Y[:2], GOOD, kl=0), r"reference: expected the shape of policy, \(3,\); got shape \(2,\)"),
        (lambda: unpaired_loss([X], [Y], GOOD, kl=0), r"policy: expected one log-probability per answer, \[n\]; got shape"),
        (lambda: unpaired_loss([], [], np.zeros(0, bool), kl=0), "policy: expected at least one value; got none"),
        (lambda: unpaired_loss([-1.0, -np.inf, -2.0], Y, GOOD, kl=0), r"policy: expected a finite log-probability; got -inf"),
        (lambda: unpaired_loss([-1.0, np.nan, -2.0], Y, GOOD, kl=0), r"got nan at index \[1\]; nan_policy='omit' leaves it out"),
        (lambda: unpaired_loss([-1.0, 2.0, -2.0], Y, GOOD, kl=0), r"policy: expected a log-probability, at most 0; got 2\.0"),
        (lambda: unpaired_loss([0.1, 0.2, 0.5], Y, GOOD, kl=0), r"got 0\.1 at index \[0\]; negate it, if it is a negative"),
        (lambda: unpaired_loss(X, [-1e3] * 3, GOOD, loss="bco", beta=1e308), "beta: expected losses, rewards and gradients"),
        (lambda: unpaired_loss(X, Y, GOOD, kl=0, where=[False] * 3), "policy: expected at least one answer that counts"),
    ],
)  # fmt: skip
def test_what_is_refused(call: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        call()


def test_labels_are_booleans() -> None:
    with pytest.raises(TypeError, match="labels: expected booleans"):
        unpaired_loss(X, Y, [1, 0, 1], kl=0)


def test_one_kind_alone_has_losses_where_the_point_is_known() -> None:
    whole = unpaired_loss(X, Y, GOOD, kl=0.5)
    for kind in (True, False):
        where = np.asarray(GOOD) == kind
        found = unpaired_loss(X, Y, GOOD, kl=0.5, where=where)
        np.testing.assert_array_equal(found.losses[where], whole.losses[where])
        assert (found.reward_desirable is None) != kind
        assert (found.reward_undesirable is None) == kind
        assert found.reward_margin is None
        assert "reward margin" not in repr(found)
    assert unpaired_loss(X, Y, [True] * 3, loss="bco", shift=0.25).reward_margin is None

"""The loss of a reward model."""

from __future__ import annotations

import json
import math
from typing import Any

import numpy as np
import pytest

import steelyard as sy
from steelyard.preference import reward_loss

from .cases import normalish


def rewards(n: int) -> tuple[np.ndarray, np.ndarray]:
    """Multiples of 2^-10, with ties."""
    chosen, rejected = (np.round(normalish(n, 41 + i) * 3 * 1024) / 1024 for i in range(2))
    rejected[::10] = chosen[::10]
    return chosen, rejected


def softplus(t: Any) -> Any:
    return np.logaddexp(0, t)


def test_it_is_dpo_with_beta_1_and_no_reference() -> None:
    """Bit for bit, of rewards that are no more than 0, as log-probabilities are."""
    chosen, rejected = (x - 64 for x in rewards(500))
    chosen[0], rejected[1] = -1e4, -1e4
    out, zeros = reward_loss(chosen, rejected), np.zeros(500)
    pairs = sy.preference_loss(chosen, rejected, zeros, zeros, beta=1.0)
    for name in ("losses", "grad_chosen", "grad_rejected"):
        assert getattr(out, name).tobytes() == getattr(pairs, name).tobytes()
    assert out.reward_accuracy == pairs.reward_accuracy
    assert out.reward_margin == pairs.reward_margin
    assert out.saturated == pairs.saturated == 2


def test_it_is_what_trl_computes() -> None:
    """RewardTrainer: -logsigmoid(chosen - rejected - margin).mean() + coefficient * mean((chosen + rejected) ** 2)."""
    chosen, rejected = rewards(200)
    margin = np.abs(normalish(200, 43))
    out = reward_loss(chosen, rejected, margin=margin, center=0.01)
    want = softplus(-(chosen - rejected - margin)).mean() + 0.01 * ((chosen + rejected) ** 2).mean()
    assert out.loss.value == pytest.approx(want, rel=1e-13)
    assert out.grad_chosen is not None
    wrong = 1 / (1 + np.exp(chosen - rejected - margin))
    np.testing.assert_allclose(out.grad_chosen, -wrong + 0.02 * (chosen + rejected), rtol=1e-12, atol=1e-16)
    np.testing.assert_allclose(out.grad_rejected, wrong + 0.02 * (chosen + rejected), rtol=1e-12, atol=1e-16)


def test_openrlhf_overflows_past_88_and_ours_does_not() -> None:
    """LogExpLoss is log(1 + exp(rejected - chosen)): infinite in float32 from 88.73 on."""
    far = np.array([89.0, 1e4], np.float32)
    with np.errstate(over="ignore"):
        assert np.isinf(np.log(1 + np.exp(far))).all()
    out = reward_loss(-far, np.zeros(2, np.float32))
    assert out.losses.tolist() == [89.0, 1e4]
    assert out.grad_chosen.tolist() == [-1.0, -1.0]  # type: ignore[union-attr]
    assert out.saturated == 1


def test_openrlhf_ignores_the_margin_and_ours_does_not() -> None:
    """LogExpLoss takes the argument and leaves it unused."""
    chosen, rejected = rewards(20)
    plain, clear = reward_loss(chosen, rejected), reward_loss(chosen, rejected, margin=1.5)
    assert (clear.losses > plain.losses).all()
    np.testing.assert_allclose(clear.losses, softplus(1.5 - (chosen - rejected)), rtol=1e-14)
    assert clear.reward_accuracy == plain.reward_accuracy
    column = reward_loss(chosen, rejected, margin=np.full(20, 1.5))
    assert column.losses.tobytes() == clear.losses.tobytes()


@pytest.mark.parametrize("center", [0.0, 0.01])
def test_gradients_are_central_differences(center: float) -> None:
    chosen, rejected = rewards(200)
    out, step = reward_loss(chosen, rejected, margin=0.25, center=center), 1e-4
    for grad, moves in ((out.grad_chosen, (step, 0)), (out.grad_rejected, (0, step))):
        up, down = (
            reward_loss(
                chosen + turn * moves[0], rejected + turn * moves[1], margin=0.25, center=center, gradients=False
            )
            for turn in (1, -1)
        )
        np.testing.assert_allclose(grad, (up.losses - down.losses) / (2 * step), rtol=1e-8, atol=3e-9)


def test_losses_and_gradients_to_four_ulp_of_mpmath() -> None:
    mpmath = pytest.importorskip("mpmath", reason="mpmath is the wider oracle; it comes with the dev extra")
    chosen = np.round(np.concatenate([np.linspace(-700, 700, 141), np.linspace(-3, 3, 61)]) * 1024) / 1024
    zero = np.zeros(len(chosen))
    out, drawn = reward_loss(chosen, zero), reward_loss(chosen, zero, center=0.125)
    assert out.grad_chosen is not None
    assert drawn.grad_chosen is not None
    with mpmath.workdps(60):
        for i, z in enumerate(map(mpmath.mpf, chosen.tolist())):
            loss, slope = mpmath.log1p(mpmath.exp(-z)), -1 / (1 + mpmath.exp(z))
            assert abs(out.losses[i].item() - loss) <= 4 * np.spacing(float(loss))
            assert abs(out.grad_chosen[i].item() - slope) <= 4 * np.spacing(abs(float(slope)))
            # With the second term, of the sum of the sizes of both, which have different signs.
            assert abs(drawn.losses[i].item() - loss - z * z / 8) <= 4 * np.spacing(float(loss + z * z / 8))
            size = float(abs(slope) + abs(z) / 4)
            assert abs(drawn.grad_chosen[i].item() - slope - z / 4) <= 4 * np.spacing(size)


def test_swapping_the_answers() -> None:
    chosen, rejected = rewards(100)
    there, back = reward_loss(chosen, rejected, center=0.1), reward_loss(rejected, chosen, center=0.1)
    assert there.reward_margin.value == -back.reward_margin.value
    assert there.reward_accuracy.value + back.reward_accuracy.value == pytest.approx(1)
    np.testing.assert_allclose(there.losses - back.losses, rejected - chosen, atol=1e-13)


def test_finite_far_out() -> None:
    z = np.array([-1e4, -701.0, 701.0, 1e4])
    out = reward_loss(z, np.zeros(4))
    assert np.isfinite(out.losses).all()
    assert (np.diff(out.grad_chosen) >= 0).all()  # type: ignore[arg-type]
    assert out.saturated == 4


def test_the_order_does_not_matter_and_copies_weigh_twice() -> None:
    chosen, rejected = rewards(60)
    once = reward_loss(chosen, rejected, clusters=np.arange(60))
    back = reward_loss(chosen[::-1], rejected[::-1], clusters=np.arange(60))
    assert once.losses[::-1].tobytes() == back.losses.tobytes()
    twice = reward_loss(np.tile(chosen, 2), np.tile(rejected, 2), clusters=np.tile(np.arange(60), 2))
    for name in ("loss", "reward_accuracy", "reward_margin", "reward_chosen", "reward_rejected"):
        one, two = getattr(once, name), getattr(twice, name)
        assert two.value == pytest.approx(one.value, rel=1e-12)
        assert two.standard_error == pytest.approx(one.standard_error, rel=1e-9)
        assert (two.n, two.n_clusters) == (120, 60)


def test_metrics_are_of_pairs_and_a_tie_is_half() -> None:
    out = reward_loss([2.0, 1.0, 0.0, 5.0], [1.0, 1.0, 1.0, 0.0])
    assert out.reward_accuracy.value == 2.5 / 4
    assert out.reward_margin.value == (1 + 0 - 1 + 5) / 4
    assert (out.reward_chosen.value, out.reward_rejected.value) == (2.0, 0.75)


def test_pairs_that_do_not_count() -> None:
    chosen, rejected = rewards(30)
    margin = np.full(30, 0.5)
    bad = chosen.copy()
    bad[3], margin[4] = np.nan, np.nan
    where = np.arange(30) != 7
    keep = where & ~np.isnan(bad) & ~np.isnan(margin)
    out = reward_loss(bad, rejected, margin=margin, center=0.1, where=where, nan_policy="omit")
    alone = reward_loss(chosen[keep], rejected[keep], margin=0.5, center=0.1)
    assert out.left_out == {"where": 1, "nan": 2}
    assert out.losses[keep].tobytes() == alone.losses.tobytes()
    assert np.isnan(out.losses[~keep]).all()
    assert (out.grad_chosen[~keep] == 0).all()  # type: ignore[index]
    assert out.loss.high == alone.loss.high


def test_the_result_as_text() -> None:
    out = reward_loss(*rewards(30))
    assert repr(out).startswith("<RewardLoss loss ")
    assert json.loads(json.dumps(out.to_dict(), allow_nan=False))["reward_margin"]["value"] == out.reward_margin.value
    assert reward_loss([1.0], [0.0], gradients=False).grad_chosen is None
    assert math.isnan(reward_loss([1.0, 2.0], [0.0, 1.0], where=[True, False]).losses[1])


X = [1.0, 2.0]


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: reward_loss([], []), "chosen: expected at least one value; got none"),
        (lambda: reward_loss(X, [1.0]), r"rejected: expected the shape of chosen, \(2,\); got shape \(1,\)"),
        (lambda: reward_loss([X], [X]), r"chosen: expected one reward per pair, \[n\]; got shape \(1, 2\)"),
        (lambda: reward_loss([1.0, -np.inf], X), r"chosen: expected finite numbers; got -inf at index \[1\]"),
        (lambda: reward_loss(X, [np.nan, 1.0]), r"rejected: expected finite numbers; got nan at index \[0\]; nan_policy='omit'"),
        (lambda: reward_loss(X, X, margin=[0.5]), "margin: expected one number, or 2, one per pair; got 1"),
        (lambda: reward_loss(X, X, margin=np.inf), "margin: expected finite numbers; got inf"),
        (lambda: reward_loss(X, X, center=-1), "center: expected a number that is at least 0; got -1"),
        (lambda: reward_loss([1e200, 1.0], X, center=1.0), "chosen: expected rewards whose difference and squared sum"),
        (lambda: reward_loss([1.7e308, 1.0], [-1.7e308, 1.0]), "chosen: expected rewards whose difference"),
        (lambda: reward_loss(X, X, where=[False, False]), "chosen: expected at least one pair that counts"),
    ],
)  # fmt: skip
def test_what_is_refused(call: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        call()

"""``preference.policy_loss``: the losses of a policy, their gradients, and what is told of a step."""

from __future__ import annotations

from typing import Any

import mpmath
import numpy as np
import pytest

import steelyard as sy
from steelyard import reference
from steelyard._registries import REGISTRIES
from steelyard.preference import policy_loss

RNG = np.random.default_rng(16)
LOSSES = list(REGISTRIES["preference.policy.loss"])
N, T = 12, 40
LOGPROB = -2 * RNG.random((N, T))
OLD = np.minimum(LOGPROB + 0.2 * RNG.standard_normal((N, T)), 0.0)
REFERENCE = np.minimum(LOGPROB + 0.3 * RNG.standard_normal((N, T)), 0.0)
ADVANTAGE = RNG.standard_normal(N)
LENGTHS = RNG.integers(1, T + 1, N)
PROMPTS = np.arange(N) // 3


def gradient_of(out: sy.preference.PolicyLoss) -> np.ndarray:
    assert out.gradient is not None
    return out.gradient


def ulps(got: float, want: Any) -> float:
    return float(abs(mpmath.mpf(got) - want) / np.spacing(abs(float(want)))) if want else abs(got) / 5e-324


def test_gradients_and_losses_are_exact() -> None:
    """4 ulp of the larger term, over differences from 1e-9 to the limit of 80 and far below."""
    mpmath.mp.prec = 200
    worst = 0.0
    sizes = [1e-9, 1e-4, 0.01, 0.15, 0.5, 0.99, 1.01, 3.0, 20.0, 79.9]
    for d in [*sizes, *(-x for x in sizes), -300.0]:
        for a in (0.7, -1.3):
            for kind in ("ppo", "cispo", "gspo"):
                logprob, old = (d, 0.0) if d < 0 else (0.0, -d)
                out = policy_loss([[logprob - 1.0]], [[old - 1.0]], [a], loss=kind, clip=(0.4, 2.5))
                r = mpmath.exp(mpmath.mpf((logprob - 1.0) - (old - 1.0)))
                inside = min(max(r, mpmath.mpf(1.0 - 0.4)), mpmath.mpf(3.5))
                if kind == "cispo":
                    value, slope = -inside * a * mpmath.mpf(logprob - 1.0), -inside * a
                else:
                    clipped = inside * a < r * a
                    value, slope = -(inside if clipped else r) * a, (0 if clipped else -r * a)
                worst = max(worst, ulps(gradient_of(out)[0, 0], slope), ulps(out.losses[0], value) - 1)
    assert worst <= 4.0


@pytest.mark.parametrize("estimator", ["k1", "k2", "k3"])
def test_the_divergence_and_its_gradient_are_exact(estimator: Any) -> None:
    mpmath.mp.prec = 200
    for size in (1e-9, 3e-4, 1e-3, 0.3, 0.9, 1.1, 5.0, 60.0):
        for e in (size, -size):
            logprob, other = (-e, 0.0) if e > 0 else (0.0, e)
            out = policy_loss(
                [[logprob]], [[logprob]], [0.0], reference_logprob=[[other]], kl_weight=1.0, kl_estimator=estimator
            )
            d = mpmath.mpf(other - logprob)
            value, slope = {
                "k1": (-d, mpmath.mpf(1)), "k2": (d * d / 2, -d), "k3": (mpmath.expm1(d) - d, -mpmath.expm1(d)),
            }[estimator]  # fmt: skip
            assert out.losses[0] == pytest.approx(float(value), rel=2e-14)
            assert ulps(gradient_of(out)[0, 0], slope) <= 4


@pytest.mark.parametrize("loss", LOSSES)
@pytest.mark.parametrize("weight", [None, 0.7])
def test_central_differences(loss: Any, weight: float | None) -> None:
    """Of the whole loss. The weight of "cispo" is held: both log-probabilities move."""
    options: dict[str, Any] = {"loss": loss, "clip": (0.1, 0.15) if loss != "cispo" else (0.2, 0.3)}
    options |= {"lengths": LENGTHS}
    if weight is not None:
        options |= {"reference_logprob": REFERENCE, "kl_weight": weight}
    base = policy_loss(LOGPROB, OLD, ADVANTAGE, **options)
    for i, t in ((0, 0), (3, 0), (5, 0), (11, 0), (7, 1)):
        if t >= LENGTHS[i]:
            continue
        step = np.zeros((N, T))
        step[i, t] = 2.0**-16
        moved = [
            policy_loss(LOGPROB + s * step, OLD + (s * step if loss == "cispo" else 0), ADVANTAGE, **options)
            for s in (1, -1)
        ]
        numeric = (moved[0].losses.mean() - moved[1].losses.mean()) / 2.0**-15
        assert gradient_of(base)[i, t] == pytest.approx(numeric, rel=1e-8, abs=1e-10)
    assert (gradient_of(base)[np.arange(T) >= LENGTHS[:, None]] == 0).all()


def test_a_ratio_at_a_limit_is_not_clipped() -> None:
    """In torch 2.15 autograd of the formula gives half of the gradient there, even where the objective has no kink."""
    at = policy_loss([[-1.0, -2.0]], [[-1.0, -2.0]], [[2.0, -3.0]], clip=0.0)
    assert gradient_of(at).tolist() == [[-1.0, 1.5]]
    assert at.clip_share.value == 0.0
    # At the upper limit of 1 the objective of A < 0 is smooth, and this is its derivative.
    smooth = [policy_loss([[-1.0 + h]], [[-1.0]], [-3.0], clip=(0.2, 0.0)).losses[0] for h in (2.0**-16, -(2.0**-16))]
    numeric = (smooth[0] - smooth[1]) / 2.0**-15
    here = gradient_of(policy_loss([[-1.0]], [[-1.0]], [-3.0], clip=(0.2, 0.0)))[0, 0]
    assert here == 3.0
    assert numeric == pytest.approx(here, rel=1e-8)
    beyond = policy_loss([[-1.0, -2.0]], [[-1.0 - 1e-9, -2.0 + 1e-9]], [[2.0, -3.0]], clip=0.0)
    assert gradient_of(beyond).tolist() == [[0.0, 0.0]]
    assert (beyond.clip_share_low.value, beyond.clip_share_high.value) == (0.5, 0.5)
    other = policy_loss([[-1.0, -2.0]], [[-1.0 - 1e-9, -2.0 + 1e-9]], [[-2.0, 3.0]], clip=0.0)
    assert other.clip_share.value == 0.0
    assert (gradient_of(other) != 0).all()


def test_the_divisors() -> None:
    """One token of loss -1 each, and three of loss -4 in an answer that could have had four."""
    zeros = np.zeros((2, 4)) - 1.0
    options: dict[str, Any] = {"lengths": [1, 3]}
    want = {
        "ppo": -13 / 4, "bnpo": -13 / 4, "dapo": -13 / 4, "grpo": -(1 + 4) / 2, "gspo": -(1 + 4) / 2, "dr_grpo": -13 / 8,
        "cispo": -13 / 4,
    }  # fmt: skip
    assert set(want) == set(LOSSES)
    for loss, value in want.items():
        sign = -1 if loss == "cispo" else 1  # its value is the log-probability, -1, weighted by -A
        out = policy_loss(zeros, zeros, [1.0, 4.0], loss=loss, **options)  # type: ignore[arg-type]
        assert out.loss.value == pytest.approx(sign * value)
        assert out.losses.mean() == pytest.approx(sign * value)
        assert gradient_of(out).sum() == pytest.approx(value)
        if loss not in ("grpo", "gspo"):
            half = policy_loss(zeros, zeros, [1.0, 4.0], loss=loss, divisor=26.0, **options)  # type: ignore[arg-type]
            assert half.loss.value == pytest.approx(sign * -0.5)
            assert gradient_of(half).sum() == pytest.approx(-0.5)


def test_means_over_micro_batches_are_not_means_of_means() -> None:
    """OpenRLHF #1336 (0.50 for 2/3) and the like: parts of a batch with the batch's tokens as divisor add up to it."""
    lengths = np.array([1, 40])
    whole = policy_loss(LOGPROB[:2], OLD[:2], [1.0, -1.0], lengths=lengths)
    parts = [
        policy_loss(LOGPROB[i : i + 1], OLD[i : i + 1], [[1.0, -1.0][i]], lengths=lengths[i : i + 1], divisor=41.0)
        for i in (0, 1)
    ]
    assert sum(float(part.loss) for part in parts) == pytest.approx(whole.loss.value, rel=1e-14)
    stacked = np.concatenate([gradient_of(part) for part in parts])
    np.testing.assert_allclose(stacked, gradient_of(whole), rtol=1e-15)
    alone = [
        policy_loss(LOGPROB[i : i + 1], OLD[i : i + 1], [[1.0, -1.0][i]], lengths=lengths[i : i + 1]) for i in (0, 1)
    ]
    assert abs(sum(float(part.loss) for part in alone) / 2 - whole.loss.value) > 0.1


def test_k3_has_its_digits_where_float32_has_none() -> None:
    """TRL and verl write exp(d) - d - 1 in float32: 4.7 % off at 1e-3, and 0 from 3e-4 on."""
    for d, naive_error in ((1e-3, 0.03), (3e-4, 0.9), (1e-4, 0.9)):
        single = np.float32(d)
        naive = float(np.exp(single) - single - np.float32(1))
        want = float(mpmath.expm1(float(single)) - float(single))
        assert abs(naive / want - 1) > naive_error
        columns = [np.full((1, 8), -single), np.zeros((1, 8), np.float32)]
        out = policy_loss(columns[0], columns[0], [1.0], reference_logprob=columns[1])
        assert out.reference_kl is not None
        assert out.reference_kl.value == pytest.approx(want, rel=1e-12)
        assert policy_loss(columns[1], columns[0], [1.0]).kl.value == pytest.approx(want, rel=1e-12)


def test_far_ratios_are_finite_and_counted() -> None:
    """``exp`` of a difference above 88 is infinite in float32, as trainers without a clamp have it."""
    logprob, old = np.full((1, 4), -1.0, np.float32), np.array([[-1.0, -82.0, -200.0, -1e4]], np.float32)
    for advantage in (1.0, -1.0):
        for loss in LOSSES:
            out = policy_loss(logprob, old, [advantage], loss=loss)  # type: ignore[arg-type]
            assert np.isfinite(out.losses).all()
            assert np.isfinite(gradient_of(out)).all()
            assert out.saturated == (1 if loss == "gspo" else 3)
            assert np.isfinite(out.ratio.value)
    slopes = gradient_of(policy_loss(logprob, old, [-1.0]))[0]
    assert (slopes[1:] == slopes[1]).all()
    low = policy_loss(old, logprob, [-1.0])
    assert low.saturated == 0
    assert low.kl.value == pytest.approx((81 - 1 + 199 - 1 + 9999 - 1) / 4, rel=1e-12)
    far = policy_loss(old, old, [0.0], reference_logprob=logprob, kl_weight=1.0)
    assert far.saturated == 3
    assert np.isfinite(gradient_of(far)).all()


def test_what_does_not_count_may_be_anything() -> None:
    keep = np.arange(T) < LENGTHS[:, None]
    keep[2, ::2] = False
    plain = policy_loss(LOGPROB, OLD, ADVANTAGE, where=keep, reference_logprob=REFERENCE, kl_weight=0.2)
    spoilt = [np.where(keep, x, bad) for x, bad in ((LOGPROB, np.nan), (OLD, np.inf), (REFERENCE, 7.0))]
    worth = np.where(keep, ADVANTAGE[:, None], np.nan)
    other = policy_loss(spoilt[0], spoilt[1], worth, where=keep, reference_logprob=spoilt[2], kl_weight=0.2)
    assert gradient_of(other).tobytes() == gradient_of(plain).tobytes()
    assert (other.loss, other.kl, other.clip_share) == (plain.loss, plain.kl, plain.clip_share)
    assert (gradient_of(plain)[~keep] == 0).all()
    assert plain.left_out == {"where": int((~keep).sum())}
    by_length = policy_loss(LOGPROB, OLD, ADVANTAGE, where=keep, lengths=LENGTHS)
    assert gradient_of(by_length).tobytes() == gradient_of(policy_loss(LOGPROB, OLD, ADVANTAGE, where=keep)).tobytes()
    # More padding changes nothing, to the last bit.
    wide = [np.concatenate([x, np.full((N, 9), np.nan)], axis=1) for x in (LOGPROB, OLD)]
    for loss in ("grpo", "gspo", "cispo"):
        a, b = (policy_loss(*x, ADVANTAGE, loss=loss, lengths=LENGTHS) for x in ((LOGPROB, OLD), wide))  # type: ignore[misc]
        assert gradient_of(a).tobytes() == gradient_of(b)[:, :T].tobytes()
        assert a.loss == b.loss


def test_answers_without_tokens_count_as_answers() -> None:
    out = policy_loss([[-1.0], [-2.0]], [[-1.0], [-2.0]], [1.0, 3.0], loss="grpo", lengths=[1, 0])
    assert (out.empty, out.losses.tolist(), out.loss.value) == (1, [-1.0, 0.0], -0.5)
    assert gradient_of(out).tolist() == [[-0.5], [0.0]]
    assert out.kl.n == 1
    with pytest.raises(ValueError, match="logprob: expected at least one token that counts; got none of 2"):
        policy_loss([[-1.0], [-2.0]], [[-1.0], [-2.0]], [1.0, 3.0], lengths=[0, 0])


def test_estimates_are_those_of_the_tokens() -> None:
    out = policy_loss(LOGPROB, OLD, ADVANTAGE, lengths=LENGTHS, clusters=PROMPTS, clip=0.1)
    keep = np.arange(T) < LENGTHS[:, None]
    clusters = np.broadcast_to(PROMPTS[:, None], keep.shape)[keep]
    d = (LOGPROB - OLD)[keep]
    r, a = np.exp(d), np.broadcast_to(ADVANTAGE[:, None], keep.shape)[keep]
    high, low = (a > 0) & (r > 1.1), (a < 0) & (r < 0.9)
    want = {
        "loss": sy.estimate(-np.minimum(r * a, np.clip(r, 0.9, 1.1) * a), clusters=clusters),
        "ratio": sy.estimate(r, clusters=clusters),
        "kl": sy.estimate(np.expm1(d) - d, clusters=clusters),
        "clip_share": sy.estimate(high | low, clusters=clusters),
        "clip_share_low": sy.estimate(low, clusters=clusters),
        "clip_share_high": sy.estimate(high, clusters=clusters),
    }
    assert 0 < want["clip_share_low"].value < want["clip_share"].value
    for name, e in want.items():
        got = getattr(out, name)
        assert got.value == pytest.approx(e.value, rel=1e-12), name
        assert (got.low, got.high) == pytest.approx((e.low, e.high), rel=1e-9), name
        assert (got.n, got.n_clusters) == (LENGTHS.sum(), 4)
    assert out.reference_kl is None
    k1 = policy_loss(LOGPROB, OLD, ADVANTAGE, reference_logprob=REFERENCE, kl_estimator="k1")
    assert k1.reference_kl is not None
    same = sy.preference.kl(LOGPROB, REFERENCE, estimator="k1")
    assert k1.reference_kl.value == pytest.approx(same.value, rel=1e-12)
    assert k1.reference_kl.low == pytest.approx(same.low, rel=1e-9)
    assert k1.loss.value == policy_loss(LOGPROB, OLD, ADVANTAGE).loss.value  # no weight


def test_answers_are_the_unit_of_gspo_and_of_means_of_answers() -> None:
    out = policy_loss(LOGPROB, OLD, ADVANTAGE, loss="gspo", clip=0.02)
    s = np.exp((LOGPROB - OLD).mean(axis=1))
    clipped = ((ADVANTAGE > 0) & (s > 1.02)) | ((ADVANTAGE < 0) & (s < 0.98))
    assert out.ratio.value == pytest.approx(s.mean(), rel=1e-14)
    assert (out.ratio.n, out.clip_share.n) == (N, N)
    assert out.clip_share.value == clipped.mean()
    assert 0 < clipped.sum() < N
    want = sy.estimate(-np.minimum(s * ADVANTAGE, np.clip(s, 0.98, 1.02) * ADVANTAGE))
    assert out.loss.value == pytest.approx(want.value, rel=1e-13)
    assert out.loss.low == pytest.approx(want.low, rel=1e-9)
    assert (np.ptp(gradient_of(out), axis=1) == 0).all()
    same = policy_loss(LOGPROB, LOGPROB, ADVANTAGE, clusters=PROMPTS, loss="grpo")
    assert (same.ratio.value, same.kl.value, same.clip_share.value) == (1.0, 0.0, 0.0)
    assert same.ratio.low is None
    assert same.loss.n_clusters == 4


@pytest.mark.parametrize("loss", LOSSES)
def test_the_readable_reference(loss: Any) -> None:
    clip = tuple(
        REGISTRIES["preference.policy.loss"][loss].parameters[f"clip_{side}"].default for side in ("low", "high")
    )
    keep = np.arange(T) < LENGTHS[:, None]
    want = reference.policy.policy_loss(LOGPROB, OLD, ADVANTAGE, keep, loss=loss, clip=clip)  # type: ignore[arg-type]
    out = policy_loss(LOGPROB, OLD, ADVANTAGE, loss=loss, lengths=LENGTHS)
    np.testing.assert_allclose(gradient_of(out), want["gradient"], rtol=1e-14)
    assert out.loss.value == pytest.approx(want["loss"], rel=1e-13)


def test_types() -> None:
    single = [x.astype(np.float32) for x in (LOGPROB, OLD)]
    narrow, wide = policy_loss(*single, ADVANTAGE), policy_loss(*single, ADVANTAGE, dtype="float64")
    assert (gradient_of(narrow).dtype, gradient_of(wide).dtype) == (np.float32, np.float64)
    assert (gradient_of(narrow) == gradient_of(wide).astype(np.float32)).all()
    assert narrow.loss == wide.loss
    assert gradient_of(policy_loss(single[0], OLD, ADVANTAGE)).dtype == np.float64
    with pytest.warns(sy.errors.SteelyardWarning, match="logprob: float16 log-probabilities"):
        half = policy_loss(LOGPROB.astype(np.float16), OLD.astype(np.float16), ADVANTAGE)
    assert gradient_of(half).dtype == np.float32
    none = policy_loss(*single, ADVANTAGE, gradients=False)
    assert none.gradient is None
    assert none.loss == narrow.loss


def test_threads_change_no_bit() -> None:
    rng = np.random.default_rng(1)
    logprob, old = (-rng.random((3000, 100)).astype(np.float32) for _ in range(2))
    advantage, lengths = rng.standard_normal(3000), rng.integers(0, 101, 3000)
    made = []
    for threads in (1, 3):
        with sy.threads(threads):
            made.append(policy_loss(logprob, old, advantage, lengths=lengths, loss="gspo", clusters=lengths % 50))
    assert made[0] == made[1]
    assert made[0].loss == made[1].loss


def test_swapping_signs_swaps_the_sides_of_the_clip() -> None:
    up, down = (
        policy_loss(LOGPROB, OLD, np.full(N, 2.0), clip=0.1),
        policy_loss(LOGPROB, OLD, np.full(N, -2.0), clip=0.1),
    )
    assert (up.clip_share_low.value, down.clip_share_high.value) == (0.0, 0.0)
    assert up.clip_share_high.value > 0
    assert down.clip_share_low.value > 0


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"loss": "reinforce"}, "loss: expected one of ppo, grpo"),
        ({"kl_estimator": "k4"}, "kl_estimator: expected one of k1, k2, k3; got 'k4'"),
        ({"clip": (0.1, 0.2, 0.3)}, "clip: expected a number or a tuple"),
        ({"clip": (1.5, 0.2)}, "clip: expected for the limit below 1 a number that is at least 0 and at most 1; got 1.5"),
        ({"clip": (0.5, -0.2)}, "clip: expected for the limit above 1 a number that is at least 0 and finite; got -0.2"),
        ({"clip": "0.2"}, "clip: expected a number"),
        ({"kl_weight": 0.1}, "reference_logprob: expected log-probabilities of the reference, which kl_weight needs"),
        ({"kl_weight": -0.1, "reference_logprob": REFERENCE}, "kl_weight: expected a number that is at least 0"),
        ({"loss": "grpo", "divisor": 3}, "divisor: expected nothing: the loss 'grpo' does not use it"),
        ({"divisor": 0}, "divisor: expected a number that is above 0"),
        ({"dtype": "float32"}, "dtype: expected 'float64'"),
        ({"logprob": LOGPROB[0]}, r"logprob: expected tokens of answers, \[n, T\]; got shape \(40,\)"),
        ({"logprob": LOGPROB[:, :0]}, "logprob: expected at least one token"),
        ({"old_logprob": OLD[:, :5]}, r"old_logprob: expected the shape of logprob, \(12, 40\); got shape \(12, 5\)"),
        ({"advantage": ADVANTAGE[:3]}, r"advantage: expected one number per answer or per token"),
        ({"advantage": np.ones((N, T)), "loss": "gspo"}, r"advantage: expected one number per answer, shape \(12,\)"),
        ({"advantage": np.where(np.arange(N) == 4, np.nan, 1.0)}, r"advantage: expected finite values; got NaN at index \[4, 0\]"),
        ({"logprob": -LOGPROB}, r"logprob: expected log-probabilities, at most 0; got .* at index \[0, 0\]; negate it"),
        ({"old_logprob": np.where(np.arange(T) == 7, -np.inf, OLD)}, r"old_logprob: expected finite values; got -inf at index \[0, 7\]"),
        ({"advantage": np.full(N, -1e300), "old_logprob": OLD - 75}, "advantage: expected losses and gradients that float64 holds"),
        ({"lengths": [3]}, "lengths: expected 12 numbers, one per answer; got 1"),
        ({"lengths": np.full(N, 41)}, "lengths: expected whole numbers from 0 to 40; got 41 at index 0"),
        ({"where": np.ones(N, bool)}, r"where: expected shape \(12, 40\)"),
        ({"clusters": [1, 2]}, "clusters: expected one id per row"),
        ({"gradients": 1}, "gradients: expected True or False"),
    ],
)  # fmt: skip
def test_bad_input(change: dict[str, Any], message: str) -> None:
    given: dict[str, Any] = {"logprob": LOGPROB, "old_logprob": OLD, "advantage": ADVANTAGE} | change
    with pytest.raises((TypeError, ValueError), match=message):
        policy_loss(**given)


def test_float32_gradients_that_would_be_infinite_are_refused() -> None:
    single = [x.astype(np.float32) for x in (LOGPROB, OLD - 75)]
    with pytest.raises(
        ValueError, match="advantage: expected losses and gradients that float32 holds; got larger ones"
    ):
        policy_loss(*single, np.full(N, -1e10))
    assert np.isfinite(gradient_of(policy_loss(*single, np.full(N, -1e10), dtype="float64"))).all()

"""``preference.advantages``, ``penalised_reward`` and ``AdaptiveKL``."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import steelyard as sy
from steelyard.preference import AdaptiveKL, advantages, penalised_reward

RNG = np.random.default_rng(17)
REWARDS = RNG.standard_normal(24)
GROUPS = np.arange(24) % 6
VALUES = RNG.standard_normal((5, 9))
TOKENS = RNG.standard_normal((5, 9))


def test_the_group_is_the_baseline() -> None:
    table = REWARDS.reshape(4, 6)  # a column is a group
    for ddof in (0, 1):
        got = advantages(REWARDS, groups=GROUPS, ddof=ddof).advantages
        want = (table - table.mean(axis=0)) / table.std(axis=0, ddof=ddof)
        np.testing.assert_allclose(got, want.ravel(), rtol=1e-12)
    centred = advantages(REWARDS, groups=GROUPS, normalise="none").advantages
    np.testing.assert_allclose(centred, (table - table.mean(axis=0)).ravel(), rtol=1e-12, atol=1e-15)
    others = advantages(REWARDS, method="leave_one_out", groups=GROUPS).advantages
    want = table - (table.sum(axis=0) - table) / 3
    np.testing.assert_allclose(others, want.ravel(), rtol=1e-12, atol=1e-15)
    whitened = advantages(REWARDS, groups=GROUPS, normalise="batch").advantages
    assert whitened.mean() == pytest.approx(0.0, abs=1e-15)
    assert whitened.std(ddof=1) == pytest.approx(1.0)
    np.testing.assert_allclose(whitened * centred.std(ddof=1), centred, rtol=1e-12)


def test_the_order_of_rows_changes_no_bit() -> None:
    order = RNG.permutation(24)
    for method in ("group", "leave_one_out"):
        plain = advantages(REWARDS, method=method, groups=GROUPS)  # type: ignore[arg-type]
        mixed = advantages(REWARDS[order], method=method, groups=GROUPS[order])  # type: ignore[arg-type]
        assert plain.advantages[order].tobytes() == mixed.advantages.tobytes()


def test_equal_rewards_have_no_advantage() -> None:
    """In TRL and verl, ``(r - mean) / (std + 1e-4)`` makes one of what rounding leaves of equal rewards in float32."""
    equal = np.full(7, 0.1, np.float32)
    rounded = np.float32(sum(equal.tolist()) / 7 + 7e-9)  # a mean that is one step off, as a sum in float32 may give
    theirs = (equal - rounded) / (np.float32(0) + np.float32(1e-6))
    assert np.abs(theirs).max() > 0.005
    got = advantages(equal, groups=np.zeros(7, int))
    assert got.advantages.tolist() == [0.0] * 7
    assert (got.alone, got.equal) == (0, 1)


def test_an_answer_alone_has_no_advantage() -> None:
    """verl returns the reward itself for a group of one."""
    for method in ("group", "leave_one_out"):
        got = advantages([5.0, 1.0, 3.0], method=method, groups=["a", "b", "b"])  # type: ignore[arg-type]
        assert got.advantages[0] == 0.0
        assert (got.alone, got.equal) == (1, 0)
    two = advantages([1.0, 3.0], groups=[1, 1], ddof=2)
    assert (two.advantages.tolist(), two.alone) == ([0.0, 0.0], 1)


def test_missing_rewards() -> None:
    rewards = REWARDS.copy()
    rewards[3] = np.nan
    with pytest.raises(ValueError, match=r"rewards: expected finite values; got nan at index \[3\]; nan_policy='omit'"):
        advantages(rewards, groups=GROUPS)
    got = advantages(rewards, groups=GROUPS, nan_policy="omit")
    keep = np.arange(24) != 3
    want = advantages(REWARDS[keep], groups=GROUPS[keep])
    assert got.left_out == {"nan": 1}
    assert got.advantages[3] == 0.0
    assert got.advantages[keep].tobytes() == want.advantages.tobytes()


def test_gae_by_hand_and_at_its_ends() -> None:
    got = advantages([[0.0, 0.0, 1.0]], method="gae", values=[[0.5, 0.25, 0.75]], gamma=0.5, lam=0.5)
    deltas = [0.5 * 0.25 - 0.5, 0.5 * 0.75 - 0.25, 1.0 - 0.75]
    last, middle = deltas[2], deltas[1] + 0.25 * deltas[2]
    np.testing.assert_allclose(got.advantages, [[deltas[0] + 0.25 * middle, middle, last]], rtol=1e-15)
    assert got.returns is not None
    np.testing.assert_allclose(got.returns, got.advantages + np.array([[0.5, 0.25, 0.75]]), rtol=1e-15)
    # lam = 1: returns are discounted sums of rewards; lam = 0: one step.
    full = advantages(TOKENS, method="gae", values=VALUES, gamma=0.9, lam=1.0)
    assert full.returns is not None
    sums = np.zeros(5)
    for t in range(8, -1, -1):
        sums = TOKENS[:, t] + 0.9 * sums
        np.testing.assert_allclose(full.returns[:, t], sums, rtol=1e-12, atol=1e-14)
    step = advantages(TOKENS, method="gae", values=VALUES, gamma=0.9, lam=0.0, bootstrap=np.arange(5.0))
    following = np.concatenate([VALUES[:, 1:], np.arange(5.0)[:, None]], axis=1)
    np.testing.assert_allclose(step.advantages, TOKENS + 0.9 * following - VALUES, rtol=1e-12, atol=1e-14)


def test_gae_skips_what_does_not_count() -> None:
    lengths = np.array([9, 4, 1, 0, 7])
    keep = np.arange(9) < lengths[:, None]
    keep[0, 3:6] = False
    spoilt = [np.where(keep, x, np.nan) for x in (TOKENS, VALUES)]
    got = advantages(spoilt[0], method="gae", values=spoilt[1], where=keep, lengths=lengths)
    assert (got.advantages[~keep] == 0).all()
    packed = advantages(TOKENS[:1, keep[0]], method="gae", values=VALUES[:1, keep[0]])
    assert got.advantages[0, keep[0]].tobytes() == packed.advantages[0].tobytes()
    white = advantages(TOKENS, method="gae", values=VALUES, where=keep, normalise="batch")
    assert white.advantages[keep].mean() == pytest.approx(0.0, abs=1e-15)
    assert white.advantages[keep].std(ddof=1) == pytest.approx(1.0)
    assert (white.advantages[~keep] == 0).all()
    outcome = advantages([1.0, 2.0, 3.0, np.nan, 5.0], method="gae", values=VALUES, where=keep, lengths=lengths)
    placed = np.zeros((5, 9))
    placed[[0, 1, 2, 4], [8, 3, 0, 6]] = [1.0, 2.0, 3.0, 5.0]
    same = advantages(placed, method="gae", values=VALUES, where=keep, lengths=lengths)
    assert outcome.advantages.tobytes() == same.advantages.tobytes()


def test_advantages_feed_the_loss() -> None:
    logprob = -RNG.random((24, 6))
    worth = advantages(REWARDS, groups=GROUPS)
    out = sy.preference.policy_loss(logprob, logprob, worth.advantages, loss="grpo", clusters=GROUPS)
    assert out.loss.value == pytest.approx(0.0, abs=1e-15)  # before the first update


@pytest.mark.parametrize(
    ("call", "message"),
    [
        ({"method": "mean"}, "method: expected one of group, leave_one_out, gae; got 'mean'"),
        ({"groups": None}, "groups: expected the group of each answer; got None"),
        ({"groups": [1, 2]}, "groups: expected one id per row"),
        ({"groups": np.where(GROUPS == 5, np.nan, GROUPS)}, "groups: expected an id for every row; got none at index 5; leave those rows out"),
        ({"values": VALUES}, "values: expected nothing: the method 'group' does not use it"),
        ({"gamma": 0.9}, "gamma: expected nothing"),
        ({"normalise": "std"}, "normalise: expected one of group, batch, none; got 'std'"),
        ({"ddof": -1}, "ddof: expected a whole number, at least 0; got -1"),
        ({"epsilon": -1e-8}, "epsilon: expected a number that is at least 0"),
        ({"rewards": REWARDS.reshape(4, 6)}, "rewards: expected 1 axis"),
        ({"rewards": [], "groups": []}, "rewards: expected at least one value; got none"),
        ({"rewards": [1.0, np.inf], "groups": [1, 1]}, r"rewards: expected finite values; got inf at index \[1\]"),
        ({"rewards": [1e308, -1e308], "groups": [1, 1]}, "rewards: expected rewards whose differences float64 holds"),
        ({"method": "gae", "groups": None}, "values: expected the critic's values of the tokens"),
        ({"method": "gae"}, "groups: expected nothing: the method 'gae' does not use it"),
        ({"method": "gae", "groups": None, "values": VALUES, "normalise": "group"}, "normalise: expected 'batch' or 'none'"),
        ({"method": "gae", "groups": None, "values": VALUES, "lam": 1.5}, "lam: expected a share from 0 to 1"),
        ({"method": "gae", "groups": None, "values": VALUES}, r"rewards: expected shape \(5,\) or \(5, 9\)"),
        ({"method": "gae", "groups": None, "values": VALUES, "rewards": TOKENS, "bootstrap": [1.0]}, "bootstrap: expected 5 values"),
        ({"method": "gae", "groups": None, "values": VALUES * np.nan, "rewards": TOKENS}, "values: expected finite values; got nan"),
        ({"method": "gae", "groups": None, "values": np.full((5, 9), 1e308), "rewards": -np.full((5, 9), 1e308)}, "values: expected values and rewards whose sums float64 holds"),
    ],
)  # fmt: skip
def test_bad_input(call: dict[str, Any], message: str) -> None:
    with pytest.raises((TypeError, ValueError), match=message):
        advantages(**({"rewards": REWARDS, "groups": GROUPS} | call))


def test_penalised_rewards() -> None:
    logprob, other = -RNG.random((5, 9)), -RNG.random((5, 9))
    lengths = np.array([9, 4, 1, 0, 7])
    keep = np.arange(9) < lengths[:, None]
    d = other - logprob
    for name, terms in (("k1", -d), ("k2", d * d / 2), ("k3", np.expm1(d) - d)):
        got = penalised_reward(TOKENS, logprob, other, kl_weight=0.3, estimator=name, lengths=lengths)  # type: ignore[arg-type]
        np.testing.assert_allclose(got, np.where(keep, TOKENS - 0.3 * terms, 0.0), rtol=1e-12, atol=1e-15)
    placed = penalised_reward(np.arange(5.0), logprob, other, kl_weight=0.0, lengths=lengths)
    assert placed.sum(axis=1).tolist() == [0.0, 1.0, 2.0, 0.0, 4.0]
    assert placed[4, 6] == 4.0
    total = penalised_reward(np.zeros(5), logprob, other, kl_weight=1.0).sum()
    assert -total / 45 == pytest.approx(sy.preference.kl(logprob, other, estimator="k1").value)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"kl_weight": -1.0}, "kl_weight: expected a number that is at least 0"),
        ({"estimator": "full"}, "estimator: expected one of k1, k2, k3"),
        ({"logprob": VALUES * np.nan}, r"logprob: expected a finite log-probability; got nan at index \[0, 0\]"),
        ({"reference_logprob": np.ones((5, 9))}, "reference_logprob: expected a log-probability, at most 0; got 1.0"),
        ({"reference_logprob": np.ones((5, 8))}, "reference_logprob: expected the shape of logprob"),
        ({"rewards": np.ones(4)}, "rewards: expected shape"),
        ({"logprob": np.full((5, 9), -1000.0), "estimator": "k3"}, "reference_logprob: expected a difference from logprob"),
    ],
)  # fmt: skip
def test_bad_penalties(change: dict[str, Any], message: str) -> None:
    given: dict[str, Any] = {"rewards": TOKENS, "logprob": -np.ones((5, 9)), "reference_logprob": -np.ones((5, 9))}
    with pytest.raises((TypeError, ValueError), match=message):
        penalised_reward(**(given | {"kl_weight": 0.1} | change))


def test_the_weight_adapts() -> None:
    weight = AdaptiveKL(0.1, target=6.0, horizon=100)
    assert weight.update(6.0, 50) is weight
    assert weight.value == 0.1
    assert weight.update(600.0, 50).value == pytest.approx(0.1 * 1.1)
    assert weight.update(0.0, 50).value == pytest.approx(0.1 * 1.1 * 0.9)
    assert weight.update(6.3, 10).value == pytest.approx(0.099 * (1 + 0.05 * 0.1))
    e = sy.preference.kl([[-1.0, -2.0]], [[-1.5, -2.5]])
    assert AdaptiveKL(1.0, target=0.5, horizon=10).update(e, 1).value == pytest.approx(1 - 0.2 * 0.1)
    assert repr(AdaptiveKL(0.1, target=6, horizon=100)) == "AdaptiveKL(0.1, target=6.0, horizon=100.0)"
    for bad, message in (
        (lambda: AdaptiveKL(0.0, target=1, horizon=1), "value: expected a number that is above 0 and finite; got 0"),
        (lambda: AdaptiveKL(1.0, target=-1, horizon=1), "target: expected"),
        (lambda: AdaptiveKL(1.0, target=1, horizon=1).update(np.nan, 1), "kl: expected a finite number"),
        (lambda: AdaptiveKL(1.0, target=1, horizon=1).update(0.0, 5), "n: expected fewer than 5, five times the horizon"),
    ):  # fmt: skip
        with pytest.raises(ValueError, match=message):
            bad()


def test_a_reward_that_is_left_out_needs_no_group() -> None:
    rewards, groups = REWARDS.copy(), np.where(np.arange(24) == 3, np.nan, GROUPS)
    rewards[3] = np.nan
    got = advantages(rewards, groups=groups, nan_policy="omit")
    assert got.left_out == {"nan": 1}
    assert got.advantages.tobytes() == advantages(rewards, groups=GROUPS, nan_policy="omit").advantages.tobytes()

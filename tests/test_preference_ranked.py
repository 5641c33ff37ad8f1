"""Losses of ranked answers: Plackett-Luce and LiPO."""

from __future__ import annotations

import itertools
import json
import math
from typing import Any

import numpy as np
import pytest

import steelyard as sy
from steelyard.errors import SteelyardWarning
from steelyard.preference import ranked_loss

from .cases import normalish, words

LOSSES = ("plackett_luce", "lipo")


def lists(n: int, k: int, levels: int | None = None) -> tuple[np.ndarray, np.ndarray]:
    """Scores that are multiples of 2^-10, and labels: an order of each row, or ``levels`` with ties."""
    scores = np.round(normalish(n * k, 51) * 5 * 1024).reshape(n, k) / 1024
    if levels is not None:
        return scores, (words(n * k, 52) % np.uint64(levels)).astype(np.float64).reshape(n, k)
    return scores, np.argsort(normalish(n * k, 53).reshape(n, k), axis=1, kind="stable").astype(np.float64)


def with_ratios(x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    return np.minimum(x, 0.0), -np.maximum(x, 0.0)


def softplus(t: Any) -> Any:
    return np.logaddexp(0, t)


# -- definitions -----------------------------------------------------------------------------------------------


def test_two_answers_are_dpo_bit_for_bit() -> None:
    x, labels = lists(500, 2)
    x[:4] = [[-1e4, 1e4], [0.0, 0.0], [700.0, -1.0], [1e-300, 0.0]]
    policy, reference = with_ratios(x)
    high = labels.argmax(axis=1)
    row = np.arange(500)
    columns = (policy[row, high], policy[row, 1 - high], reference[row, high], reference[row, 1 - high])
    for beta in (0.1, 0.7):
        out = ranked_loss(policy, reference, labels=labels, beta=beta)
        pairs = sy.preference_loss(*columns, beta=beta)
        assert out.losses.tobytes() == pairs.losses.tobytes()
        assert out.grad is not None
        assert out.grad[row, high].tobytes() == pairs.grad_chosen.tobytes()
        assert out.grad[row, 1 - high].tobytes() == pairs.grad_rejected.tobytes()
        assert out.saturated == pairs.saturated
        assert out.reward_accuracy == pairs.reward_accuracy
        assert out.loss == pairs.loss


def test_two_answers_in_lipo_are_weighted_dpo() -> None:
    x, labels = lists(200, 2, levels=4)
    labels[labels[:, 0] == labels[:, 1], 0] += 1
    policy, reference = with_ratios(x)
    out = ranked_loss(policy, reference, labels=labels, loss="lipo", beta=0.3)
    turn = np.where(labels[:, 0] > labels[:, 1], 1, -1)
    weight = np.abs(2.0 ** labels[:, 0] - 2.0 ** labels[:, 1]) * (1 - 1 / math.log2(3))
    np.testing.assert_allclose(out.losses, weight * softplus(-0.3 * turn * (x[:, 0] - x[:, 1])), rtol=1e-13)


def test_plackett_luce_is_a_probability_of_orders() -> None:
    """Of all orders of four answers they add up to 1."""
    scores = np.array([0.3, -1.0, 2.0, 0.7])
    orders = np.array(list(itertools.permutations(range(4))), np.float64)
    out = ranked_loss(np.tile(scores, (24, 1)), labels=orders, beta=0.9)
    assert math.fsum(np.exp(-out.losses)) == pytest.approx(1, rel=1e-14)
    first = np.exp(0.9 * scores)
    want = -math.log(first[2] / first.sum() * first[1] / first[[0, 1, 3]].sum() * first[3] / first[[0, 3]].sum())
    one = ranked_loss(scores[None], labels=[[0, 2, 3, 1]], beta=0.9)
    assert one.losses[0] == pytest.approx(want, rel=1e-14)


def test_the_best_of_many_is_a_softmax() -> None:
    """Equal labels are not compared: of one best answer beside equal ones, the loss is the cross-entropy."""
    x, _ = lists(50, 6)
    labels = np.zeros((50, 6))
    labels[:, 2] = 1
    out = ranked_loss(x, labels=labels, beta=1.0)
    powers = np.exp(x - x.max(axis=1, keepdims=True))
    shares = powers / powers.sum(axis=1, keepdims=True)
    np.testing.assert_allclose(out.losses, -np.log(shares[:, 2]), rtol=1e-11, atol=1e-14)
    np.testing.assert_allclose(out.grad, shares - labels, rtol=1e-11, atol=1e-14)


def test_lipo_is_its_definition() -> None:
    x, labels = lists(40, 5, levels=3)
    out = ranked_loss(x, labels=labels, loss="lipo", beta=0.5)
    for row in range(40):
        rank = np.empty(5)
        rank[np.lexsort((-labels[row], -x[row]))] = np.arange(1, 6)
        loss = 0.0
        for i, j in itertools.permutations(range(5), 2):
            if labels[row, i] > labels[row, j]:
                gain = 2 ** labels[row, i] - 2 ** labels[row, j]
                discount = abs(1 / math.log2(1 + rank[i]) - 1 / math.log2(1 + rank[j]))
                loss += gain * discount * softplus(-0.5 * (x[row, i] - x[row, j]))
        if out.counted[row]:
            assert out.losses[row] == pytest.approx(loss, rel=1e-13)


def test_lipo_at_the_reference_ranks_by_the_labels() -> None:
    """All scores are equal there; if they shared one discount, no pair would have a weight, and training never begin."""
    out = ranked_loss([[-3.0, -4.0, -5.0]], [[-3.0, -4.0, -5.0]], labels=[[0, 2, 1]], loss="lipo", beta=0.1)
    d = [1.0, 1 / math.log2(3), 0.5]  # of the labels 2, 1, 0
    weight = 2 * (d[0] - d[1]) + 3 * (d[0] - d[2]) + 1 * (d[1] - d[2])
    assert out.losses[0] == pytest.approx(weight * math.log(2), rel=1e-15)
    assert out.grad is not None
    assert out.grad[0, 1] < 0 < out.grad[0, 0]


def test_answers_equal_in_score_and_label_share_their_discounts() -> None:
    out = ranked_loss([[1.0, 1.0, 0.0]], labels=[[1, 1, 0]], loss="lipo", beta=1.0)
    weight = (1 + 1 / math.log2(3)) / 2 - 0.5
    assert out.losses[0] == pytest.approx(2 * weight * softplus(-1.0), rel=1e-15)
    assert out.grad is not None
    assert out.grad[0, 0] == out.grad[0, 1]


def test_grades_need_not_be_whole() -> None:
    x = [[0.5, 0.0]]
    out = ranked_loss(x, labels=[[0.75, -2000.0]], loss="lipo", beta=1.0)
    assert out.losses[0] == pytest.approx(2**0.75 * (1 - 1 / math.log2(3)) * softplus(-0.5), rel=1e-14)


def test_plackett_luce_takes_the_order_of_labels_alone() -> None:
    x, labels = lists(30, 4)
    there, back = (ranked_loss(x, labels=of) for of in (labels, labels * 1e300 - 5))
    assert there.losses.tobytes() == back.losses.tobytes()


# -- gradients, digits, stability ------------------------------------------------------------------------------


@pytest.mark.parametrize("loss", LOSSES)
@pytest.mark.parametrize("levels", [None, 3])
def test_gradients_are_central_differences(loss: Any, levels: int | None) -> None:
    x, labels = lists(60, 5, levels)
    x += np.arange(5) * 2.0**-8  # no ties of scores, where the weights of "lipo" jump
    out = ranked_loss(x, labels=labels, loss=loss, beta=0.3)
    step = 1e-4
    for j in range(5):
        moved = [x + sign * step * (np.arange(5) == j) for sign in (1, -1)]
        losses = [ranked_loss(m, labels=labels, loss=loss, beta=0.3, gradients=False).losses for m in moved]
        assert out.grad is not None
        numeric = (losses[0] - losses[1])[out.counted] / (2 * step)
        np.testing.assert_allclose(out.grad[out.counted, j], numeric, rtol=1e-8, atol=1e-8)


@pytest.mark.parametrize("loss", LOSSES)
def test_losses_and_gradients_to_a_few_ulp_of_mpmath(loss: Any) -> None:
    """4 ulp of every term, which the largest bounds, times what the rounding of a margin of 700 moves it."""
    mpmath = pytest.importorskip("mpmath", reason="mpmath is the wider oracle; it comes with the dev extra")
    x, labels = lists(25, 4, levels=3)
    x[::5] *= 30
    out = ranked_loss(x, labels=labels, loss=loss, beta=1.0)
    assert out.grad is not None

    def value(scores: list[Any], own: list[float]) -> Any:
        total = mpmath.mpf(0)
        ranked = sorted(range(4), key=lambda i: (scores[i], own[i]), reverse=True)
        rank = {i: place + 1 for place, i in enumerate(ranked)}
        for i in range(4):
            below = [j for j in range(4) if own[j] < own[i]]
            if loss == "plackett_luce" and below:
                total += mpmath.log(sum(mpmath.exp(scores[j] - scores[i]) for j in (i, *below)))
            for j in below if loss == "lipo" else []:
                places = [1 / mpmath.log(1 + rank[k], 2) for k in (i, j)]
                weight = (2 ** mpmath.mpf(own[i]) - 2 ** mpmath.mpf(own[j])) * abs(places[0] - places[1])
                total += weight * mpmath.log1p(mpmath.exp(scores[j] - scores[i]))
        return total

    with mpmath.workdps(80):
        for row in np.flatnonzero(out.counted):
            exact, own = [mpmath.mpf(v) for v in x[row].tolist()], labels[row].tolist()
            if len(set(zip(x[row].tolist(), own, strict=True))) < 4:
                continue
            size = 1 + float(np.abs(x[row]).max())
            assert abs(out.losses[row].item() - value(exact, own)) <= 4 * np.spacing(abs(out.losses[row]) + size)
            for j in range(4):
                step = mpmath.mpf(10) ** -30
                moved = [value([*exact[:j], exact[j] + turn * step, *exact[j + 1 :]], own) for turn in (1, -1)]
                slope = (moved[0] - moved[1]) / (2 * step)
                assert abs(out.grad[row, j].item() - slope) <= 16 * np.spacing(3.0) * size


@pytest.mark.parametrize("loss", LOSSES)
def test_finite_far_out_and_counted(loss: Any) -> None:
    x = np.array([[1e4, 0.0, -1e4], [-1e4, 0.0, 1e4], [-1e5, -1e5, 1e5], [1.0, 2.0, 3.0]])
    out = ranked_loss(x, labels=[[2, 1, 0]] * 4, loss=loss, beta=1.0)
    assert np.isfinite(out.losses).all()
    assert np.isfinite(out.grad).all()  # type: ignore[arg-type]
    assert out.saturated == 3
    assert out.losses[0] == 0
    assert out.losses[1] > 1e4


@pytest.mark.parametrize("loss", LOSSES)
def test_only_differences_count_and_gradients_add_up_to_0(loss: Any) -> None:
    x, labels = lists(50, 6, levels=4)
    there, back = (ranked_loss(scores, labels=labels, loss=loss, beta=0.3) for scores in (x, x + 4096))
    np.testing.assert_allclose(there.losses, back.losses, rtol=1e-10)
    assert there.grad is not None
    np.testing.assert_allclose(there.grad.sum(axis=1), 0, atol=1e-14)


@pytest.mark.parametrize("loss", LOSSES)
def test_the_order_of_answers_and_of_prompts_does_not_matter(loss: Any) -> None:
    x, labels = lists(50, 6, levels=3)
    x[:, 3] = x[:, 4]
    columns, rows = np.array([5, 2, 0, 3, 1, 4]), np.arange(50)[::-1]
    there = ranked_loss(x, labels=labels, loss=loss)
    back = ranked_loss(x[rows][:, columns], labels=labels[rows][:, columns], loss=loss)
    assert there.losses[rows].tobytes() == back.losses.tobytes()
    assert there.grad is not None
    assert back.grad is not None
    np.testing.assert_allclose(there.grad[rows][:, columns], back.grad, rtol=1e-12, atol=1e-16)
    assert there.reward_accuracy.value == pytest.approx(back.reward_accuracy.value, rel=1e-14)


@pytest.mark.parametrize("loss", LOSSES)
def test_the_better_answer_up_is_better(loss: Any) -> None:
    x = np.zeros((9, 3))
    x[:, 0] = np.linspace(-4, 4, 9)
    out = ranked_loss(x, labels=np.tile([2.0, 1.0, 0.0], (9, 1)), loss=loss, beta=1.0)
    assert (np.diff(out.losses) < 0).all() or loss == "lipo"
    assert out.grad is not None
    assert (out.grad[:, 0] < 0).all()


# -- what counts -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("loss", LOSSES)
def test_a_masked_answer_is_as_if_it_were_not_there(loss: Any) -> None:
    x, labels = lists(40, 6)
    policy, reference = with_ratios(x)
    where = np.ones((40, 6), bool)
    where[:, 4:] = False
    policy[:, 4] = np.nan
    reference[:, 5] = np.inf
    labels[:, 5] = np.nan
    out = ranked_loss(policy, reference, labels=labels, loss=loss, where=where)
    alone = ranked_loss(policy[:, :4], reference[:, :4], labels=labels[:, :4], loss=loss)
    assert out.losses.tobytes() == alone.losses.tobytes()
    assert out.grad is not None
    assert out.grad[:, :4].tobytes() == alone.grad.tobytes()  # type: ignore[union-attr]
    assert (out.grad[:, 4:] == 0).all()
    assert np.isnan(out.rewards[:, 4:]).all()
    assert out.left_out == {"where": 80}
    gaps = policy.copy()
    gaps[:, 5] = np.nan
    omitted = ranked_loss(gaps, reference, labels=labels, loss=loss, nan_policy="omit")
    assert omitted.losses.tobytes() == alone.losses.tobytes()
    assert omitted.left_out == {"nan": 80}


def test_prompts_without_a_comparison_are_left_out_of_the_means() -> None:
    x, labels = lists(30, 3)
    labels[::3] = 1.0
    where = np.ones((30, 3), bool)
    where[1, :2] = False
    out = ranked_loss(x, labels=labels, where=where, clusters=np.arange(30) // 2)
    assert out.counted.sum() == 19
    assert np.isnan(out.losses[~out.counted]).all()
    assert out.loss.left_out == out.reward_accuracy.left_out == {"no comparison": 11}
    assert out.loss.n == 19
    keep = out.counted
    alone = ranked_loss(x[keep], labels=labels[keep], clusters=(np.arange(30) // 2)[keep])
    for name in ("loss", "reward_accuracy"):
        assert getattr(out, name).low == getattr(alone, name).low
    assert (out.compared[keep] == 3).all()


def test_the_accuracy_is_the_mean_share_of_pairs() -> None:
    x = np.array([[3.0, 2.0, 1.0], [1.0, 1.0, 0.0], [0.0, 1.0, 2.0], [5.0, 0.0, 1.0]])
    out = ranked_loss(x, labels=[[2, 1, 0], [2, 1, 0], [2, 1, 0], [1, 0, 0]])
    assert out.reward_accuracy.value == pytest.approx((1 + 2.5 / 3 + 0 + 1) / 4)
    same = ranked_loss(np.zeros((5, 3)), labels=[[2, 1, 0]] * 5)
    assert same.reward_accuracy.value == 0.5
    assert same.reward_accuracy.low is not None


@pytest.mark.parametrize("loss", LOSSES)
def test_copies_weigh_twice_and_clusters_know_it(loss: Any) -> None:
    x, labels = lists(40, 3)
    once = ranked_loss(x, labels=labels, loss=loss, clusters=np.arange(40))
    twice = ranked_loss(
        np.tile(x, (2, 1)), labels=np.tile(labels, (2, 1)), loss=loss, clusters=np.tile(np.arange(40), 2)
    )
    for name in ("loss", "reward_accuracy"):
        one, two = getattr(once, name), getattr(twice, name)
        assert two.value == pytest.approx(one.value, rel=1e-12)
        assert two.standard_error == pytest.approx(one.standard_error, rel=1e-9)


def test_types_and_text() -> None:
    x, labels = lists(20, 3)
    x = np.round(x * 4) / 4
    policy, reference = with_ratios(x)
    out = ranked_loss(policy, reference, labels=labels.astype(int))
    narrow = ranked_loss(policy.astype(np.float32), reference.astype(np.float32), labels=labels)
    assert narrow.losses.tobytes() == out.losses.tobytes()
    with pytest.warns(SteelyardWarning, match="policy: float16 log-probabilities"):
        ranked_loss(policy.astype(np.float16), reference, labels=labels)
    assert out.empty == int((x == 0).sum())
    assert ranked_loss(policy, labels=labels, gradients=False).grad is None
    assert repr(out).startswith("<RankedLoss loss ")
    assert json.loads(json.dumps(out.to_dict(), allow_nan=False))["saturated"] == 0


X, Y = [[-1.0, -2.0, -3.0]], [[2.0, 1.0, 0.0]]


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: ranked_loss(X, labels=[[1, 1, 1]]), "labels: expected a prompt with two answers that count and have diff"),
        (lambda: ranked_loss([[-1.0]], labels=[[1]]), "labels: expected a prompt with two answers"),
        (lambda: ranked_loss(np.zeros((0, 3)), labels=np.zeros((0, 3))), r"policy: expected at least one answer; got shape \(0, 3\)"),
        (lambda: ranked_loss(X[0], labels=Y[0]), r"policy: expected answers of prompts, \[n, k\]; got shape \(3,\)"),
        (lambda: ranked_loss(X, labels=[[2, 1]]), r"labels: expected the shape of policy, \(1, 3\); got shape \(1, 2\)"),
        (lambda: ranked_loss(X, [[-1.0, -2.0]], labels=Y), r"reference: expected the shape of policy, \(1, 3\)"),
        (lambda: ranked_loss(X, labels=[[2, 1, np.nan]]), r"labels: expected finite numbers; got nan at index \[0, 2\]; nan_p"),
        (lambda: ranked_loss(X, labels=[[2, 1, np.inf]]), r"labels: expected finite numbers; got inf at index \[0, 2\]"),
        (lambda: ranked_loss(X, labels=[[2, 1, 1000]], loss="lipo"), r"labels: expected grades below 1000 for 'lipo', whose"),
        (lambda: ranked_loss([[-1.0, -np.inf, 0.0]], labels=Y), r"policy: expected a finite log-probability or score; got -inf"),
        (lambda: ranked_loss([[-1.0, 5.0, 0.0]], X, labels=Y), r"policy: expected a log-probability, at most 0; got 5\.0"),
        (lambda: ranked_loss(X, labels=Y, loss="dpo"), "loss: expected one of plackett_luce, lipo; got 'dpo'"),  # type: ignore[arg-type]
        (lambda: ranked_loss(X, labels=Y, beta=0), "beta: expected a number that is above 0 and finite; got 0"),
        (lambda: ranked_loss([[-1e9, 0.0, 1.0]], labels=Y, beta=1e300), "beta: expected losses, rewards and gradients that"),
        (lambda: ranked_loss(X, labels=Y, where=[[False] * 3]), "policy: expected at least one answer that counts"),
        (lambda: ranked_loss(X, labels=Y, clusters=[1, 2, 3]), r"clusters: expected one id per row, shape \(1,\)"),
    ],
)  # fmt: skip
def test_what_is_refused(call: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        call()


@pytest.mark.parametrize("loss", LOSSES)
def test_a_row_that_is_computed_in_steps_has_the_bits_of_one_that_is_not(loss: Any) -> None:
    rng = np.random.default_rng(1)
    x, labels = -30 * rng.random((3, 1000)), rng.integers(0, 7, (3, 1000))
    near = ranked_loss(x, labels=labels, loss=loss)
    more = np.pad(x, ((0, 0), (0, 100)), constant_values=-5.0)  # beyond the width from which on rows have steps
    counts = np.pad(np.ones((3, 1000), bool), ((0, 0), (0, 100)))
    far = ranked_loss(more, labels=np.pad(labels, ((0, 0), (0, 100))), loss=loss, where=counts)
    assert far.losses.tobytes() == near.losses.tobytes()
    assert np.ascontiguousarray(far.grad[:, :1000]).tobytes() == near.grad.tobytes()
    assert not far.grad[:, 1000:].any()
    assert (far.compared == near.compared).all()
    assert float(far.reward_accuracy) == float(near.reward_accuracy)

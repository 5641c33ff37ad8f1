"""The metrics of preference pairs: shifts, displacement, length-controlled accuracy, agreement."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import steelyard as sy
from steelyard import _core
from steelyard._registries import names
from steelyard.preference.terms import settings_of, terms_of

from .cases import normalish
from .cases.preference import reads, scored

N = 200
WITH_REFERENCE = [loss for loss in names("preference.loss") if reads(loss, "reference")]


def columns(n: int = N) -> list[np.ndarray]:
    return [normalish(n, 60 + i) * 3 - 20 for i in range(4)]


# -- shifts and displacement -----------------------------------------------------------------------------------


def test_shifts_are_the_means_of_the_log_ratios() -> None:
    pc, pr, rc, rr = read = columns()
    ids = np.arange(N) // 4
    out = sy.preference_loss(*read, beta=0.3, clusters=ids)
    for found, x in ((out.chosen_shift, pc - rc), (out.rejected_shift, pr - rr)):
        want = sy.estimate(x, clusters=ids)
        assert found is not None
        assert (found.n_clusters, found.method) == (N // 4, "clustered t")
        got = (found.value, found.standard_error, found.low, found.high)
        assert got == pytest.approx((want.value, want.standard_error, want.low, want.high), rel=1e-12)


def test_displacement_is_a_chosen_answer_that_fell_while_the_margin_rose() -> None:
    x, y = np.array([-1.0, -2.0, 1.0, -1.0, 0.0, -3.0]), np.array([-2.0, -1.0, -3.0, -1.0, -1.0, -9.0])
    out = sy.preference_loss(np.minimum(x, 0), np.minimum(y, 0), -np.maximum(x, 0), -np.maximum(y, 0))
    assert out.displacement is not None
    assert (out.displacement.value, out.displacement.n, out.displacement.method) == (2 / 6, 6, "Wilson")
    ids = sy.preference_loss(*columns(), clusters=np.arange(N) // 5).displacement
    assert ids is not None
    assert ids.method == "clustered Wilson"


@pytest.mark.parametrize("loss", names("preference.loss"))
def test_what_moves_from_a_reference_needs_one(loss: Any) -> None:
    out = scored(columns(), loss=loss)
    moves = (out.chosen_shift, out.rejected_shift, out.displacement)
    assert [move is not None for move in moves] == [reads(loss, "reference")] * 3
    plain = out.to_dict()
    assert (plain["chosen_shift"] is None, plain["displacement"] is None) == (not reads(loss, "reference"),) * 2


def test_shifts_of_means_are_per_token_and_of_a_sweep_the_same_at_each_beta() -> None:
    pc, pr, rc, rr = read = columns()
    lengths = (1 + np.arange(N) % 7, 1 + np.arange(N) % 3)
    out = sy.preference_loss(*read, loss="sigmoid_norm", lengths=lengths, beta=[0.1, 2.0])
    for found, x in ((out.chosen_shift, (pc - rc) / lengths[0]), (out.rejected_shift, (pr - rr) / lengths[1])):
        assert found is not None
        np.testing.assert_allclose(found.value, [x.mean()] * 2, rtol=1e-12)
        assert found.value.shape == (2,)  # type: ignore[union-attr]


def test_at_the_first_step_no_interval_has_no_width() -> None:
    """The policy is its reference: all pairs tie, all margins are 0. TRL shows an accuracy of 0.0 there."""
    read = columns()
    for clusters in (None, np.arange(N) // 4):
        out = sy.preference_loss(read[0], read[1], read[0], read[1], clusters=clusters)
        state = sy.preference.PreferenceState().update(read[0], read[1], read[0], read[1], clusters=clusters).compute()
        for found in (out.reward_accuracy, state["reward_accuracy"]):
            assert found.value == 0.5
            assert found.low is not None
            assert found.high is not None
            assert found.high - found.low > 0.01
        for mean in (out.loss, out.reward_margin, out.chosen_shift, state["reward_margin"], state["loss"]):
            assert mean is not None
            assert (mean.low, mean.high, mean.standard_error) == (None, None, None)
        for share in (out.displacement, state["displacement"]):
            assert share is not None
            assert (share.value, share.low) == (0.0, 0.0)
            assert share.high is not None
            assert share.high > 0.01


# -- length-controlled accuracy --------------------------------------------------------------------------------


def by_hand(margins: np.ndarray, lengths: Any) -> float:
    wins = 0.5 * ((margins > 0).astype(float) + (margins >= 0))
    longer = np.sign(np.subtract(*lengths))
    both = (wins[longer == 1].mean() + wins[longer == -1].mean()) / 2
    share = (longer == 0).mean()
    return float((1 - share) * both + share * wins[longer == 0].mean())


def test_the_accuracies_of_both_kinds_of_pairs_count_the_same() -> None:
    margins = np.round(normalish(N, 5), 1)
    lengths = (np.arange(N) % 9, np.arange(N) % 4)
    found = sy.preference.length_controlled_accuracy(margins, lengths)
    assert found.value == pytest.approx(by_hand(margins, lengths), rel=1e-14)
    keep = np.arange(N) % 3 > 0
    part = sy.preference.length_controlled_accuracy(margins, lengths, where=keep)
    assert part.value == pytest.approx(by_hand(margins[keep], [n[keep] for n in lengths]), rel=1e-14)
    assert part.left_out == {"where": int((~keep).sum())}


def test_a_reward_that_is_the_length_has_one_half() -> None:
    """Whatever share of the chosen answers is longer, which its accuracy shows."""
    chosen = 50 + np.arange(100)
    rejected = np.where(np.arange(100) % 5 > 0, chosen - 7, chosen + 7)
    chosen, rejected = (np.append(side, [9, 9, 9]) for side in (chosen, rejected))
    out = sy.preference.length_controlled_accuracy(chosen - rejected, (chosen, rejected))
    assert out.value == pytest.approx(0.5, rel=1e-14)
    assert (chosen > rejected)[:100].mean() == 0.8


def test_equal_lengths_leave_the_accuracy() -> None:
    margins = normalish(N, 5)
    equal = np.full(N, 7)
    out = sy.preference.length_controlled_accuracy(margins, (equal, equal))
    assert out.value == pytest.approx((margins > 0).mean(), rel=1e-14)


def test_a_result_brings_its_pairs_and_clusters() -> None:
    read = columns()
    read[0][::11] = np.nan
    ids = np.arange(N) // 4
    lengths = (np.arange(N) % 9, np.arange(N) % 4)
    out = sy.preference_loss(*read, clusters=ids, nan_policy="omit", where=np.arange(N) % 7 > 0)
    found = sy.preference.length_controlled_accuracy(out, lengths)
    margins, keep = out.rewards_chosen - out.rewards_rejected, out.counted
    want = sy.preference.length_controlled_accuracy(margins, lengths, where=keep, clusters=ids)
    assert (found.value, found.low, found.high, found.n) == (want.value, want.low, want.high, want.n)
    assert (found.n_clusters, found.left_out) == (len(set(ids[keep])), out.left_out)


def test_its_interval_covers() -> None:
    """Simulated with accuracies of .8 and .6 where the chosen answer is longer in 3 of 4 pairs; decision 0080 has more."""
    rng = np.random.default_rng(7)
    covered = 0
    for _ in range(400):
        longer = rng.random(120) < 0.75
        wins = rng.random(120) < np.where(longer, 0.8, 0.6)
        lengths = (np.where(longer, 20, 10), np.full(120, 15))
        found = sy.preference.length_controlled_accuracy(np.where(wins, 1.0, -1.0), lengths)
        assert found.low is not None
        assert found.high is not None
        covered += found.low <= 0.7 <= found.high
    assert 0.93 <= covered / 400 <= 0.99


@pytest.mark.parametrize(
    ("margins", "lengths", "message"),
    [
        ([1.0, -1.0], ([3, 4], [1, 2]), "lengths: expected a pair whose rejected answer is the longer one; got only chosen"),
        ([1.0, -1.0], ([1, 2], [3, 4]), "lengths: expected a pair whose chosen answer is the longer one; got only rejected"),
        ([1.0, -1.0], ([1, 2], [3]), "lengths[1]: expected 2 values, one per pair; got 1"),
        ([1.0, -1.0], ([1, 2.5], [3, 3]), "lengths[0]: expected whole numbers of at least 0; got 2.5 at index 1"),
        ([1.0, -1.0], None, "lengths: expected (chosen, rejected), numbers of tokens; got None"),
        ([1.0, np.nan], ([1, 2], [3, 1]), "margins: expected margins that are numbers; got nan at index 1"),
        ("ab", ([1], [2]), "margins: expected an array"),
    ],
)  # fmt: skip
def test_bad_lengths(margins: Any, lengths: Any, message: str) -> None:
    with pytest.raises((TypeError, ValueError)) as caught:
        sy.preference.length_controlled_accuracy(margins, lengths)
    assert str(caught.value).startswith(message)


# -- agreement -------------------------------------------------------------------------------------------------


def test_agreement_counts_ties_of_one_as_half() -> None:
    a, b = [1.0, -1.0, 0.0, 0.0, 2.0], [2.0, 1.0, 0.0, 3.0, 0.1]
    found = sy.preference.agreement(a, b)
    assert found.value == pytest.approx((1 + 0 + 1 + 0.5 + 1) / 5)
    assert sy.preference.agreement(a, a).value == 1.0
    assert sy.preference.agreement(b, a) == found


def test_agreement_of_results_is_of_the_pairs_that_count_in_both() -> None:
    read, other = columns(), [column[::-1].copy() for column in columns()]
    read[0][3] = np.nan
    ids = np.arange(N) // 4
    one = sy.preference_loss(*read, nan_policy="omit", clusters=ids)
    two = sy.preference_loss(*other, where=np.arange(N) > 9)
    found = sy.preference.agreement(one, two)
    keep = one.counted & two.counted
    signs = [np.sign(out.rewards_chosen - out.rewards_rejected)[keep] for out in (one, two)]
    assert found.value == pytest.approx(float((signs[0] == signs[1]).mean()))
    assert (found.n, found.n_clusters) == (int(keep.sum()), len(set(ids[keep])))
    assert sum(found.left_out.values()) == N - int(keep.sum())


def test_agreement_refuses_what_has_no_margins() -> None:
    out = sy.preference_loss(*columns(), beta=[0.1, 0.2])
    with pytest.raises(ValueError, match=r"^a: expected a result of one setting; got one of 2"):
        sy.preference.agreement(out, out)
    with pytest.raises(ValueError, match=r"^b: expected 2 pairs, as many as a; got 3"):
        sy.preference.agreement([1.0, 2.0], [1.0, 2.0, 3.0])
    with pytest.raises(ValueError, match=r"^a: expected margins that are numbers; got nan at index 1"):
        sy.preference.agreement([1.0, np.nan], [1.0, 2.0])
    assert sy.preference.agreement([1.0, np.nan], [1.0, 2.0], nan_policy="omit").left_out == {"nan": 1}


def test_a_result_with_weights_is_no_column_of_margins() -> None:
    out = sy.preference_loss([-1.0, -2.0], [-2.0, -1.0], [0.0, 0.0], [0.0, 0.0], weights=[1.0, 2.0])
    with pytest.raises(ValueError, match="margins: expected a result without weights; got one with weights; pass"):
        sy.preference.length_controlled_accuracy(out, ([1, 2], [2, 1]))
    with pytest.raises(ValueError, match="a: expected a result without weights"):
        sy.preference.agreement(out, out)


# -- what the core tells of whole columns ------------------------------------------------------------------------


@pytest.mark.parametrize("place", [0, 4095, 4096, 5001])
@pytest.mark.parametrize("single", [False, True])
@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("divergence", ["reverse-kl", "forward-kl"])
def test_the_largest_numbers_of_all_columns(place: int, single: bool, weighted: bool, divergence: Any) -> None:
    n = 5002  # more than the core looks at together
    given = [column.astype(np.float32 if single else np.float64) for column in columns(n)]
    given[1][place] = -37.5  # a wrong margin beside all others
    weights = 0.5 + np.arange(n) % 5 if weighted else None
    terms = terms_of("dpo")
    (setting,), _ = settings_of(terms, divergence, beta=0.3)
    found = _core.preference_loss(
        given, terms=terms.weights, parameters=setting, single=single, gradients=True,
        beside={"lengths": None, "margin": None, "weights": weights},
    )  # fmt: skip
    assert found["largest"] == max(float(np.abs(column).max()) for column in given)
    assert found["highest"] == float(found["losses"].max())
    slopes = [np.abs(found[side]).astype(np.float64) for side in ("grad_chosen", "grad_rejected")]
    slopes = slopes if weights is None else [slope / weights for slope in slopes]
    of_scores = weighted or divergence != "reverse-kl"
    assert found["steepest"] == (max(float(slope.max()) for slope in slopes) if of_scores else 0.0)


def test_columns_of_several_types_have_their_own_steps() -> None:
    pc, pr, rc, rr = columns()
    mixed = sy.preference_loss(pc.astype(np.float32), pr, rc, rr)
    assert mixed._steps["margin"] == (0.1 * 2.0 ** (int(np.floor(np.log2(-pc.min()))) - 23),)
    assert sy.preference_loss(pc, pr, rc, rr)._steps["margin"] == (0.1 * float(np.spacing(np.abs(columns()).max())),)


@pytest.mark.parametrize("value", [0.0, -np.inf, 0.5])
def test_what_is_counted_is_found_wherever_it_stands(value: float) -> None:
    read = [column - 1.0 for column in columns(4500)]
    for place in (0, 127, 4095, 4096, 4499):
        given = [column.copy() for column in read]
        given[0][place] = given[2][place] = value
        given[1][place] = value if value > 0.0 else given[1][place]
        for margin in (None, np.zeros(4500)):  # one pass, and scores first
            if value == 0.0:
                assert sy.preference_loss(*given, margin=margin).empty == 1
            else:
                with pytest.raises(ValueError, match=f"index {place}"):
                    sy.preference_loss(*given, margin=margin)

"""Shards of a vocabulary: scores that are put together are those of all logits."""

from __future__ import annotations

import pickle
from typing import Any

import ml_dtypes
import numpy as np
import pytest

import steelyard as sy
from steelyard.tokens import TokenScores, TokenShard

RANKS = {"rank", "rank_ties", "top_k"}
COLUMNS = [
    "nll", "log_z", "top", "correct", "confidence", "probability", "margin", "entropy", "varentropy", "collision",
    "label_smoothed", "z_loss", "mean_logit",
]  # fmt: skip
RNG = np.random.default_rng(5)
LOGITS = (4 * RNG.standard_normal((3, 5, 700))).astype(np.float32)
TARGETS = RNG.integers(0, 700, (3, 5))
ENDS = [[700], [1, 700], [350, 700], [100, 101, 699, 700]]


def in_shards(x: Any, targets: Any, ends: list[int], **options: Any) -> list[TokenShard]:
    starts = [0, *ends[:-1]]
    bias = options.pop("bias", None)
    return [
        sy.token_scores(
            x[..., a:b], targets, vocabulary=range(a, b), bias=None if bias is None else bias[a:b], **options
        )
        for a, b in zip(starts, ends, strict=True)
    ]


def assert_near(got: TokenScores, want: TokenScores, wide: bool) -> None:
    """Each is within the stated bound of the truth, so both are within twice of it of one another."""
    assert np.array_equal(got.counted, want.counted)
    assert got.precision == want.precision == ("float64" if wide else "float32")
    bounds = want.error_bounds
    for name in COLUMNS:
        a, b = getattr(got, name), getattr(want, name)
        assert a.shape == b.shape, name
        absolute, relative = bounds.get(name, (2e-6, 1e-12))
        same = (a == b) | (np.isnan(a) & np.isnan(b))
        a, b = a[~same], b[~same]
        assert (np.abs(a - b) <= 2 * (absolute + relative * np.abs(b)) + 1e-13).all(), name


@pytest.mark.parametrize("ends", ENDS)
@pytest.mark.parametrize("dtype", [np.float32, np.float64, np.float16, ml_dtypes.bfloat16])
def test_shards_in_any_order_give_the_scores_of_all_logits(ends: list[int], dtype: Any) -> None:
    x = LOGITS.astype(dtype)
    x[0, 0, 300] = x[0, 0, 600] = 20  # twice the largest, in two shards
    x[1, 1, :500] = -np.inf
    targets = np.where(TARGETS % 7 == 0, -100, TARGETS)
    options: dict[str, Any] = {"columns": COLUMNS, "label_smoothing": 0.1, "where": targets % 5 != 0}
    want = sy.token_scores(x, targets, **options)
    shards = in_shards(x, targets, ends, **options)
    whole = sum(shards[1:], shards[0]).compute(700)
    assert_near(whole, want, dtype is np.float64)
    again = sum(reversed(shards), start=0)
    assert isinstance(again, TokenShard)
    for name in COLUMNS:
        assert getattr(again.compute(700), name).tobytes() == getattr(whole, name).tobytes()
        if len(ends) == 1:
            assert getattr(whole, name).tobytes() == getattr(want, name).tobytes()


def test_transformed_logits_with_candidates() -> None:
    targets = RNG.integers(0, 700, (3, 5, 4))
    options: dict[str, Any] = {
        "bias": RNG.standard_normal(700), "scale": 1.5, "softcap": 20.0, "temperature": 0.7, "columns": "all",
    }  # fmt: skip
    want = sy.token_scores(LOGITS, targets, **options)
    shards = in_shards(LOGITS, targets, [256, 700], **options)
    got = (shards[1] + shards[0]).compute(700)
    assert got.rank is None
    assert_near(got, want, wide=False)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_hidden_states_and_the_weights_of_some_classes(dtype: Any) -> None:
    hidden = RNG.standard_normal((150, 40)).astype(dtype)
    weight = RNG.standard_normal((700, 40)).astype(np.float32)
    targets = np.where(np.arange(150) % 3 == 0, -100, np.arange(150))
    want = sy.token_scores_from_hidden(hidden, weight, targets, columns=COLUMNS)
    left, right = (
        sy.token_scores_from_hidden(hidden, weight[a:b], targets, columns=COLUMNS, vocabulary=range(a, b))
        for a, b in [(0, 90), (90, 700)]
    )
    assert_near(left.merge(right).compute(700), want, dtype is np.float64)


def test_shards_travel_between_processes_and_threads_change_no_bit() -> None:
    shards = in_shards(LOGITS, TARGETS, [200, 700], columns=COLUMNS)
    got = [pickle.loads(pickle.dumps(shard)) for shard in shards]
    before = sy.show_config(mode="dicts")["threads"]
    want = (shards[0] + shards[1]).compute(700)
    try:
        sy.threads(3)
        scores = (got[0] + got[1]).compute(700)
    finally:
        sy.threads(before)
    assert all(getattr(scores, name).tobytes() == getattr(want, name).tobytes() for name in COLUMNS)
    assert len(pickle.dumps(shards[0])) < 15 * (72 + 17) + 1700


def test_one_row_and_one_token() -> None:
    left, right = in_shards(LOGITS[0, 0], 3, [300, 700])
    assert repr(left) == "<TokenShard of the classes 0..299: 1 token counted, 0 not>"
    assert repr(in_shards(LOGITS, TARGETS, [1, 2, 700])[0] + in_shards(LOGITS, TARGETS, [1, 2, 700])[2]) == (
        "<TokenShard of the classes 0..0, 2..699: 15 tokens counted, 0 not>"
    )
    got = (left + right).compute(700)
    assert got.nll.shape == ()
    assert abs(float(got.nll) - float(sy.token_scores(LOGITS[0, 0], 3).nll)) < 2e-6


def test_what_is_no_whole_is_refused() -> None:
    first, second, third = in_shards(LOGITS, TARGETS, [200, 400, 700])
    with pytest.raises(ValueError, match=r"n_vocab: expected shards of all 700 classes; got none with 200\.\.399"):
        (first + third).compute(700)
    with pytest.raises(ValueError, match=r"got none with 400\.\.699"):
        (first + second).compute(700)
    with pytest.raises(ValueError, match=r"got none with 0\.\.399"):
        third.compute(700)
    with pytest.raises(ValueError, match=r"n_vocab: expected at least 700, as shards have classes; got 650"):
        (first + second + third).compute(650)
    with pytest.raises(ValueError, match=r"classes that are in no other shard; got class 0 in 0\.\.199 and in 0"):
        first + first
    with pytest.raises(TypeError, match="other: expected a TokenShard"):
        first.merge(3)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="a shard with the same targets"):
        first + in_shards(LOGITS, TARGETS + 1, [200, 700])[1]
    with pytest.raises(ValueError, match=r"a shard with label_smoothing = 0\.0; got 0\.5"):
        first + in_shards(LOGITS, TARGETS, [200, 700], label_smoothing=0.5)[1]
    with pytest.raises(ValueError, match="a shard with precision = float32; got float64"):
        first + in_shards(LOGITS.astype(np.float64), TARGETS, [200, 700])[1]
    with pytest.raises(ValueError, match="a shard with temperature = None; got 2"):
        first + in_shards(LOGITS, TARGETS, [200, 700], temperature=2.0)[1]
    with pytest.raises(ValueError, match="a shard with columns"):
        first + in_shards(LOGITS, TARGETS, [200, 700], columns="entropy")[1]


def test_bad_input() -> None:
    with pytest.raises(TypeError, match="vocabulary: expected a range of classes"):
        sy.token_scores(LOGITS, TARGETS, vocabulary=(0, 700))  # type: ignore[call-overload]
    for vocabulary in (range(0, 699), range(0, 1400, 2), range(-1, 699)):
        with pytest.raises(ValueError, match="vocabulary: expected a range of the 700 classes that logits has"):
            sy.token_scores(LOGITS, TARGETS, vocabulary=vocabulary)
    with pytest.raises(ValueError, match="columns other than ranks for a shard"):
        sy.token_scores(LOGITS, TARGETS, vocabulary=range(700), columns=["nll", "rank"])
    with pytest.raises(ValueError, match="baseline: expected None where logits are a shard"):
        sy.token_scores(LOGITS, TARGETS, vocabulary=range(700), baseline=LOGITS)  # type: ignore[call-overload]
    with pytest.raises(ValueError, match=r"class indices from 0 up; got -1 at index \[0, 0\]"):
        sy.token_scores(LOGITS, TARGETS * 0 - 1, vocabulary=range(700))
    with pytest.raises(ValueError, match=r"targets: expected class indices below n_vocab = 700; got 701 at index"):
        sy.token_scores(LOGITS, TARGETS * 0 + 701, vocabulary=range(700)).compute(700)
    x = LOGITS.copy()
    x[0, 2] = -np.inf
    left, right = in_shards(x, TARGETS, [200, 700])
    with pytest.raises(ValueError, match=r"at least one class above -inf in every row that counts; got none in row"):
        (left + right).compute(700)
    x[0, 2, 7] = np.nan
    with pytest.raises(ValueError, match=r"logits: expected finite numbers.*got nan at index \[0, 2, 7\]"):
        in_shards(x, TARGETS, [200, 700])


def test_a_target_that_equals_the_class_that_stands_for_others() -> None:
    """Targets of other shards are looked up as class 0, which must neither be ignored nor counted as theirs."""
    x = LOGITS[0]
    for target, ignore in [(0, 0), (0, None), (650, 0)]:
        t = np.full(5, target)
        want = sy.token_scores(x, t, ignore_index=ignore)
        left, right = in_shards(x, t, [300, 700], ignore_index=ignore)
        got = (left + right).compute(700)
        assert np.array_equal(got.counted, want.counted)
        assert np.array_equal(np.isnan(got.nll), np.isnan(want.nll))
        assert np.allclose(got.nll, want.nll, atol=2e-6, equal_nan=True)

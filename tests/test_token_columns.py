"""The columns of token_scores: values that are known, candidates, transformed logits, rows read in parts."""

from __future__ import annotations

import math
from typing import Any

import mpmath
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import steelyard as sy
from steelyard import _core
from steelyard._registries import names
from steelyard.reference import tokens as reference
from steelyard.tokens._asked import OF_BASE, OF_ROW

from .cases import as_dtype, normalish, words

COLUMNS = names("tokens.columns")


def logits(rows: int, width: int, stream: int = 1) -> np.ndarray:
    return (4.0 * normalish(rows * width, stream)).reshape(rows, width).astype(np.float32)


def classes(rows: int, width: int, stream: int = 5) -> np.ndarray:
    return (words(rows, stream) % np.uint64(width)).astype(np.int64)


# -- values that are known ------------------------------------------------------------------------------


@pytest.mark.parametrize("width", [1, 2, 1000, 4097])
def test_equal_logits(width: int) -> None:
    t = sy.token_scores(np.full((2, width), 3.3, np.float32), [0, width - 1], columns="all")
    log_z = math.log(width) + float(np.float32(3.3))
    assert t.top.tolist() == [0, 0]
    assert t.correct.tolist() == [1.0, float(width == 1)]
    assert t.confidence.tolist() == t.probability.tolist() == [1 / width] * 2
    assert t.margin.tolist() == ([0.0, 0.0] if width > 1 else [math.inf] * 2)
    assert t.entropy.tolist() == [math.log(width)] * 2
    assert t.varentropy.tolist() == [0.0, 0.0]
    assert t.collision.tolist() == pytest.approx([1 / width] * 2, rel=1e-15)
    assert t.rank.tolist() == [1.0, 1.0]
    assert t.rank_ties.tolist() == [width, width]
    assert t.top_k.tolist() == [1.0, width]
    assert t.z_loss.tolist() == pytest.approx([log_z**2] * 2, rel=1e-14)
    assert t.mean_logit.tolist() == pytest.approx([float(np.float32(3.3))] * 2, rel=1e-14)


def test_one_class_that_is_not_masked() -> None:
    x = np.full((2, 3000), -np.inf, np.float32)
    x[:, 2000] = -7.5
    t = sy.token_scores(x, [2000, 3], columns="all", label_smoothing=0.1)
    assert t.top.tolist() == [2000, 2000]
    assert t.nll.tolist() == [0.0, math.inf]
    assert t.probability.tolist() == [1.0, 0.0]
    assert t.margin.tolist() == [math.inf, -math.inf]
    assert t.entropy.tolist() == t.varentropy.tolist() == [0.0, 0.0]
    assert t.collision.tolist() == t.confidence.tolist() == [1.0, 1.0]
    assert t.rank.tolist() == [1.0, 2.0]
    assert t.rank_ties.tolist() == [1.0, 3000.0]
    assert t.top_k.tolist() == [1.0, 5.0], "masked classes follow in their order"
    assert t.label_smoothed.tolist() == [math.inf, math.inf]
    assert t.mean_logit.tolist() == [-math.inf, -math.inf]


def test_ties_go_to_the_first_class() -> None:
    x = np.zeros((4, 2500), np.float32)
    x[:, [5, 1030, 2400]] = 2.0
    t = sy.token_scores(x, [5, 1030, 2400, 7], columns="all")
    assert t.top.tolist() == [5] * 4
    assert t.correct.tolist() == [1.0, 0.0, 0.0, 0.0]
    assert t.rank.tolist() == [1.0, 1.0, 1.0, 4.0]
    assert t.rank_ties.tolist() == [3.0, 3.0, 3.0, 2500.0]
    assert t.top_k.tolist() == [1.0, 2.0, 3.0, 4.0 + 6]
    assert t.margin.tolist() == [0.0, 0.0, 0.0, -2.0]


@given(st.integers(0, 2**32), st.integers(1, 80), st.booleans())
def test_top_k_is_a_stable_sort(stream: int, width: int, coarse: bool) -> None:
    """The rank of every class is its place after a stable sort by falling logit."""
    x = normalish(width, stream)
    x = (np.round(x) if coarse else x).astype(np.float32)
    t = sy.token_scores(np.tile(x, (width, 1)), np.arange(width), columns=("top_k", "rank", "rank_ties", "correct"))
    assert (np.argsort(-x, kind="stable") == np.argsort(t.top_k)).all()
    assert (t.rank <= t.top_k).all()
    assert (t.top_k <= t.rank_ties).all()
    assert ((t.top_k == 1) == (t.correct == 1)).all()


@pytest.mark.parametrize(("dtype", "itself", "beside"), [("float32", 1e-5, 1e-4), ("float64", 1e-11, 1e-10)])
def test_the_stated_error_of_varentropy(dtype: str, itself: float, beside: float) -> None:
    rows = [scale * normalish(3000, 7) for scale in (0.1, 1.0, 10.0, 100.0)]
    for below in (0.3, 5.3, 9.1, 11.6, 14.2, 40.0):
        rows.append(np.full(262_144, -below))
        rows[-1][77] = 0.1
    for row in rows:
        x = as_dtype(row, dtype)
        got = float(sy.token_scores(x[None], [0], columns="varentropy").varentropy[0])
        values, counts = np.unique(x.astype(np.float64), return_counts=True)
        with mpmath.workdps(40):
            terms = [(mpmath.mpf(v) - mpmath.mpf(values[-1]), int(n)) for v, n in zip(values, counts, strict=True)]
            z = mpmath.fsum(n * mpmath.exp(d) for d, n in terms)
            mean = mpmath.fsum(n * d * mpmath.exp(d) for d, n in terms) / z
            want = float(mpmath.fsum(n * (d - mean) ** 2 * mpmath.exp(d) for d, n in terms) / z)
        assert abs(got - want) <= itself * want + beside, (row[:3], got, want)
        assert got >= 0


def test_label_smoothing_is_that_of_torch() -> None:
    """torch mixes the target with the uniform distribution over all classes, the target's included."""
    x = np.array([[0.5, -1.0, 2.0], [3.0, 0.0, -0.25]])
    t = sy.token_scores(x, [2, 1], columns="label_smoothed", label_smoothing=0.1)
    log_p = x - np.log(np.exp(x).sum(1, keepdims=True))
    want = -0.9 * log_p[[0, 1], [2, 1]] - 0.1 * log_p.mean(1)
    np.testing.assert_allclose(t.label_smoothed, want, rtol=0, atol=1e-14)


# -- candidates and where -------------------------------------------------------------------------------


def test_candidates_share_the_columns_of_their_row() -> None:
    x, first, second = logits(7, 1500), classes(7, 1500), classes(7, 1500, 6)
    both = sy.token_scores(x, np.stack([first, second], axis=1), columns="all", label_smoothing=0.2)
    assert both.several
    for j, t in enumerate((first, second)):
        alone = sy.token_scores(x, t, columns="all", label_smoothing=0.2)
        for name in COLUMNS:
            got = getattr(both, name) if name in OF_ROW else getattr(both, name)[:, j]
            assert got.tobytes() == getattr(alone, name).tobytes(), name


def test_a_row_counts_where_a_candidate_does() -> None:
    x = logits(3, 40)
    x[2] = np.nan
    where = np.array([[True, False], [False, True], [False, False]])
    t = sy.token_scores(x, np.zeros((3, 2), int), where=where, columns="all")
    assert (t.counted == where).all()
    assert np.isnan(t.log_z).tolist() == [False, False, True]
    assert t.top[2] == -1
    assert (np.isnan(t.nll) == ~where).all()
    assert (np.isnan(t.rank) == ~where).all()


def test_where_needs_no_valid_target() -> None:
    t = sy.token_scores(logits(3, 40), [1, 99, -5], where=[True, False, False], ignore_index=None)
    assert t.counted.tolist() == [True, False, False]
    with pytest.raises(ValueError, match=r"got 99 at index \[1\]"):
        sy.token_scores(logits(3, 40), [1, 99, -5], where=[True, True, False])
    with pytest.raises(ValueError, match=r"got 99 at index \[1, 0\]"):
        sy.token_scores(logits(2, 40), [[1, 2], [99, 3]])


def test_candidates_are_no_sequence() -> None:
    t = sy.token_scores(logits(3, 40), np.zeros((3, 2), int))
    with pytest.raises(ValueError, match="alternatives"):
        _ = t.sequence_logprob
    with pytest.raises(ValueError, match="alternatives"):
        sy.perplexity(t)


@pytest.mark.parametrize("shape", [(2,), (3, 0), (3, 2, 2), (2, 3), ()])
def test_targets_of_another_shape_are_refused(shape: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match="targets: expected shape"):
        sy.token_scores(logits(3, 40), np.zeros(shape, int))


# -- transformed logits ---------------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", ["float32", "float64", "float16"])
def test_a_transformation_has_the_bits_of_the_transformed_array(dtype: str) -> None:
    x, t = logits(5, 2500).astype(dtype), classes(5, 2500)
    bias = normalish(2500, 9)
    ready = reference.transformed(x, bias=bias, scale=0.3, temperature=1.7)
    got = sy.token_scores(x, t, columns="all", bias=bias, scale=0.3, temperature=1.7)
    assert got == sy.token_scores(ready, t, columns="all")


def test_a_soft_cap() -> None:
    x, t = 30 * logits(5, 2500, 2), classes(5, 2500)
    got = sy.token_scores(x, t, softcap=30.0)
    want = sy.token_scores(30.0 * np.tanh(x.astype(np.float64) / 30.0), t)
    np.testing.assert_allclose(got.nll, want.nll, rtol=0, atol=2e-5)
    assert (got.nll <= 60 + math.log(2500)).all()


@pytest.mark.parametrize("options", [{"softcap": 2.0}, {"temperature": 3.0, "softcap": 30.0}])
def test_a_soft_cap_keeps_masks_and_refuses_what_is_no_logit(options: dict[str, float]) -> None:
    x = np.array([[0.0, -np.inf, 1.0]], np.float32)
    assert sy.token_scores(x, [1], **options).nll.tolist() == [math.inf]
    masked = sy.token_scores(np.zeros((1, 3), np.float32), [0], bias=[0.0, -np.inf, 0.0], **options)
    assert masked.nll.tolist() == pytest.approx([math.log(2)], abs=1e-6)
    with pytest.raises(ValueError, match="logits: expected at least one class above -inf"):
        sy.token_scores(np.full((1, 3), -np.inf), [0], **options)
    with pytest.raises(ValueError, match="logits: expected finite numbers"):
        sy.token_scores(np.array([[np.inf, 0.0]]), [0], **options)


def test_rows_of_frames_are_not_paired_by_position() -> None:
    pandas = pytest.importorskip("pandas")
    x = pandas.DataFrame(logits(3, 4), index=[1, 2, 3])
    with pytest.raises(ValueError, match="index"):
        sy.token_scores(x, pandas.Series([0, 1, 2], index=[1, 2, 3]), baseline=x[::-1])
    with pytest.raises(ValueError, match="index"):
        sy.token_scores(x, pandas.Series([0, 1, 2], index=[1, 2, 3]), where=pandas.Series([True] * 3, index=[3, 2, 1]))


@pytest.mark.parametrize(
    ("options", "text"),
    [
        ({"temperature": 0.0}, "temperature: expected a number above 0, or None; got 0.0"),
        ({"softcap": -1.0}, "softcap: expected a number above 0, or None; got -1.0"),
        ({"temperature": math.inf}, "temperature: expected a number above 0"),
        ({"scale": math.nan}, "scale: expected a finite number other than 0, or None; got nan"),
        ({"scale": 0.0}, "scale: expected a finite number other than 0"),
        ({"bias": [1.0, 2.0]}, "bias: expected one number per class, 40"),
        ({"bias": [math.nan] * 40}, "bias: expected float32 numbers, or -inf; got nan at index"),
        ({"bias": [1e300] * 40}, "bias: expected float32 numbers, or -inf; got 1e[+]300 at index"),
        ({"temperature": 1e-50}, "temperature: expected .* got 1e-50, which is 0.0 in float32"),
        ({"label_smoothing": 1.5}, "label_smoothing: expected a share from 0 to 1"),
        ({"where": [True]}, "where: expected"),
    ],
)
def test_bad_options_get_one_sentence(options: dict[str, Any], text: str) -> None:
    with pytest.raises(ValueError, match=text.replace("(", r"\(")):
        sy.token_scores(logits(3, 40), [1, 2, 3], **options)


# -- rows read in parts ---------------------------------------------------------------------------------


@pytest.mark.parametrize("transform", [{}, {"temperature": 1.25}])
def test_a_long_row_has_the_same_bits_on_any_number_of_threads(transform: dict[str, float]) -> None:
    x = logits(2, 1_000_003)
    x[1, 999_999] = x[1, 3] = 60.0
    targets = [999_999, 999_999]
    found = []
    for threads in (1, 2, 5):
        with sy.threads(threads):
            found.append(sy.token_scores(x, targets, columns="all", **transform))
    assert found[0] == found[1] == found[2]
    assert found[0].top[1] == 3
    assert found[0].top_k[1] == 2.0
    if not transform:
        want = reference.token_scores(x, targets)
        np.testing.assert_allclose(found[0].nll, want["nll"], rtol=0, atol=1e-6)
        np.testing.assert_allclose(found[0].entropy, want["entropy"], rtol=0, atol=1e-5)
        assert (found[0].rank == want["rank"]).all()


def test_the_core_says_what_is_wrong_when_called_alone() -> None:
    x, t = logits(3, 40), np.zeros(3, np.int64)
    with pytest.raises(ValueError, match="targets: expected one per row of logits, 3, or the same number for each"):
        _core.token_scores(x, np.zeros(4, np.int64), ignore_index=None, columns=["nll"])
    with pytest.raises(ValueError, match="counted: expected one per target"):
        _core.token_scores(x, t, ignore_index=None, columns=["nll"], counted=np.ones(2, bool))
    with pytest.raises(ValueError, match="bias: expected one number per class, 40"):
        _core.token_scores(x, t, ignore_index=None, columns=["nll"], bias=np.ones(2))


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_the_bounds_on_the_result_hold(dtype: str) -> None:
    x = (7 * np.random.default_rng(3).standard_normal((40, 3000))).astype(dtype)
    y = x + (0.3 * np.random.default_rng(4).standard_normal(x.shape)).astype(dtype)
    t = np.arange(40) * 71
    s = sy.token_scores(x, t, columns="all", baseline=y)
    want = {**reference.token_scores(x, t), **reference.token_pairs(x, y, t)}
    assert s.precision == dtype
    bounds = s.error_bounds
    assert set(want) - set(bounds) == {"counted", "mean_logit", "label_smoothed", *OF_BASE}
    for name, (absolute, relative) in bounds.items():
        error = np.abs(getattr(s, name) - want[name])
        assert (error <= absolute + relative * np.abs(want[name]) + 1e-13).all(), name
    assert set(sy.token_scores(x, t).error_bounds) == {"nll", "log_z"}
    assert sy.tokens.TokenScores(s.nll, s.log_z, s.counted).error_bounds == {}

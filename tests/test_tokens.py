"""The tokens room: scores of logits, perplexity, and its state."""

from __future__ import annotations

import json
import math
import pickle
import subprocess
import sys
import tracemalloc
from dataclasses import fields
from pathlib import Path
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
from steelyard.tokens import PerplexityState, TokenScores

from .cases import as_dtype, normalish, uniform, words

LN2 = math.log(2)


def logits(rows: int, width: int, dtype: str = "float32", stream: int = 1) -> np.ndarray:
    return as_dtype(4.0 * normalish(rows * width, stream), dtype).reshape(rows, width)


def targets(rows: int, width: int) -> np.ndarray:
    return (words(rows, 5) % np.uint64(width)).astype(np.int64)


# -- token_scores: what comes out -----------------------------------------------------------------------


@pytest.mark.parametrize("width", [1, 2, 1000, 4097, 128_256])
@pytest.mark.parametrize("level", [0.0, -11.75, 3.3])
def test_uniform_logits_give_the_number_of_classes(width: int, level: float) -> None:
    scores = sy.token_scores(np.full((3, width), level, np.float32), [0, width - 1, width // 2])
    assert scores.nll.tolist() == [math.log(width)] * 3
    assert float(sy.perplexity(scores)) == pytest.approx(width, rel=2e-15)


def test_a_certain_prediction_has_nll_zero_and_never_less() -> None:
    x = np.full((1, 5000), -200.0, np.float32)
    x[0, 7] = 300.0
    assert sy.token_scores(x, [7]).nll.tolist() == [0.0]
    assert (sy.token_scores(logits(50, 300), logits(50, 300).argmax(1)).nll >= 0).all()


def test_the_far_tail_is_not_the_logarithm_of_a_softmax() -> None:
    """torchmetrics takes softmax, then log: inf for these logits."""
    scores = sy.token_scores(np.array([[0.0, -104.5]], np.float32), [1])
    assert scores.nll.tolist() == [104.5]


def test_a_masked_target_is_infinitely_surprising_and_counts() -> None:
    x = np.zeros((2, 4), np.float32)
    x[0, 2] = -np.inf
    scores = sy.token_scores(x, [2, 2])
    assert scores.nll.tolist() == [np.inf, math.log(4)]
    assert scores.counted.all()
    assert scores.log_z[0] == pytest.approx(math.log(3), abs=1e-7)


@given(st.integers(0, 2**32), st.sampled_from([-512.0, -3.0, 0.125, 64.0]), st.sampled_from([7, 1500]))
def test_a_shift_changes_nothing(stream: int, shift: float, width: int) -> None:
    """Multiples of 1/64 below 2**10 shift exactly in float32."""
    x = np.round(logits(3, width, stream=stream) * 64) / 64
    a, b = (sy.token_scores(y.astype(np.float32), targets(3, width)) for y in (x, x + np.float32(shift)))
    assert a.nll.tobytes() == b.nll.tobytes()
    np.testing.assert_allclose(a.log_z + shift, b.log_z, rtol=0, atol=1e-12)


@pytest.mark.parametrize("width", [262_144])
@pytest.mark.parametrize("spread", [0.1, 1.0, 10.0, 100.0])
def test_the_stated_error_at_the_largest_vocabulary(width: int, spread: float) -> None:
    x = spread * normalish(width, 3)[None]
    for dtype, bound in (("float32", 1e-6), ("bfloat16", 1e-6), ("float16", 1e-6), ("float64", 1e-11)):
        y = as_dtype(x, dtype)
        got = sy.token_scores(y, [9])
        want = reference.token_scores(y, np.array([9]))
        assert abs(got.nll[0] - want["nll"][0]) <= bound
        assert abs(got.log_z[0] - want["log_z"][0]) <= bound


def test_sixteen_bit_logits_are_scored_as_their_float32_values() -> None:
    for dtype in ("bfloat16", "float16"):
        x = logits(5, 3000, dtype)
        a, b = sy.token_scores(x, targets(5, 3000)), sy.token_scores(x.astype(np.float32), targets(5, 3000))
        assert a.nll.tobytes() == b.nll.tobytes()
        assert a.log_z.tobytes() == b.log_z.tobytes()


def test_a_row_does_not_depend_on_its_batch() -> None:
    """mlx-lm's perplexity changed with the batch size."""
    x, t = logits(64, 777), targets(64, 777)
    whole = sy.token_scores(x, t).nll
    for size in (1, 3, 17):
        parts = [sy.token_scores(x[i : i + size], t[i : i + size]).nll for i in range(0, 64, size)]
        assert np.concatenate(parts).tobytes() == whole.tobytes()


def test_any_leading_shape() -> None:
    x, t = logits(24, 50).reshape(2, 3, 4, 50), targets(24, 50).reshape(2, 3, 4)
    scores = sy.token_scores(x, t)
    assert scores.nll.shape == scores.log_z.shape == scores.counted.shape == (2, 3, 4)
    assert scores.nll.tobytes() == sy.token_scores(x.reshape(24, 50), t.ravel()).nll.tobytes()
    one = sy.token_scores(x[0, 0, 0], t[0, 0, 0])
    assert one.nll.shape == ()
    assert one.nll == scores.nll[0, 0, 0]
    assert sy.token_scores(x[:0], t[:0]).nll.shape == (0, 3, 4)


def test_targets_of_every_integer_type() -> None:
    x, t = logits(6, 20), np.arange(6)
    want = sy.token_scores(x, t).nll.tolist()
    for dtype in ("int8", "uint8", "int32", "uint64", ">i4"):
        assert sy.token_scores(x, t.astype(dtype)).nll.tolist() == want
    assert sy.token_scores(x, t.tolist()).nll.tolist() == want


COLUMNS = names("tokens.columns")


@pytest.mark.parametrize("dtype", ["float32", "float64", "bfloat16"])
def test_a_column_has_the_same_bits_whatever_else_is_asked_for(dtype: str) -> None:
    x, t = logits(30, 2500, dtype), targets(30, 2500)
    t[::4] = -100
    whole = sy.token_scores(x, t, columns="all")
    assert {item.name for item in fields(TokenScores)} == {
        *COLUMNS, *names("tokens.pair_columns"), "counted", "baseline", "gradients", "precision"
    }  # fmt: skip
    assert sy.token_scores(x, t) == sy.token_scores(x, t, columns=["log_z"])
    for column in COLUMNS:
        assert getattr(sy.token_scores(x, t, columns=column), column).tobytes() == getattr(whole, column).tobytes()
        missing = whole.top == -1 if column == "top" else np.isnan(getattr(whole, column))
        assert (missing == ~whole.counted).all()


def test_results_cannot_be_written() -> None:
    scores = sy.token_scores(logits(2, 5), [0, 1])
    with pytest.raises(ValueError, match="read-only"):
        scores.nll[0] = 1.0
    with pytest.raises(AttributeError):
        scores.nll = scores.log_z  # type: ignore[misc]


# -- token_scores: entropy ------------------------------------------------------------------------------


def entropy(x: Any, columns: Any = "entropy") -> np.ndarray:
    found = sy.token_scores(x, np.zeros(len(x), int), columns=columns).entropy
    assert found is not None
    return found


def exact_entropy(row: np.ndarray) -> mpmath.mpf:
    """log Z - sum p x in 60 digits; equal logits are computed once."""
    values, counts = np.unique(row.astype(np.float64), return_counts=True)
    terms = [
        (mpmath.mpf(x) - mpmath.mpf(values[-1]), int(n)) for x, n in zip(values, counts, strict=True) if x > -np.inf
    ]
    with mpmath.workdps(60):
        z = mpmath.fsum(n * mpmath.exp(d) for d, n in terms)
        rest = mpmath.fsum(n * mpmath.exp(d) for d, n in terms[:-1]) + (terms[-1][1] - 1)
        return mpmath.log1p(rest) - mpmath.fsum(n * d * mpmath.exp(d) for d, n in terms) / z


def plateau(below: float, width: int, top: float, tops: int = 1) -> np.ndarray:
    x = np.full(width, top - below)
    x[width // 2 : width // 2 + tops] = top
    return x


@pytest.mark.parametrize(
    ("dtype", "bound", "nothing"), [("float32", 1e-5, 1e-30), ("float64", 1e-11, 1e-300), ("bfloat16", 1e-5, 1e-30)]
)
def test_the_stated_error_of_entropy(dtype: str, bound: float, nothing: float) -> None:
    """The stated absolute and relative error bounds hold: near 0, over huge ranges, at the largest vocabulary."""
    rows = [np.round(4 * scale * normalish(3000, 7)) / 4 for scale in (0.1, 1.0, 10.0, 100.0)]
    rows += [plateau(below, 262_144, top) for below in (5.3, 9.1, 10.35, 11.6, 14.2) for top in (0.0, 0.3, 100.1)]
    rows += [plateau(below, 40, 7.7, tops) for below in (0.001, 3.0, 40.0, 79.3, 86.9, 1e30) for tops in (1, 2)]
    rows += [np.array([x, y]) for x in (0.0, 1e-3, -37.0) for y in (0.0, 1e-7, -1e30, -np.inf, 5.0)]
    for row in rows:
        x = as_dtype(row, dtype)
        got, want = float(entropy(x[None])[0]), exact_entropy(x)
        assert got >= 0
        assert abs(got - want) <= bound * min(1, want) + nothing, (row[:3], got, want)


@given(st.integers(0, 2**32), st.integers(0, 3), st.integers(1, 70))
def test_entropy_lies_between_none_and_that_of_equal_logits(stream: int, decades: int, width: int) -> None:
    x = (10.0**decades * normalish(5 * width, stream)).reshape(5, width).astype(np.float32)
    x[1:, width // 3] = -np.inf
    x[:, 0] = np.maximum(x[:, 0], -10.0)
    found = entropy(x)
    classes = np.isfinite(x).sum(1)
    assert (found >= 0).all()
    assert (found <= np.log(classes) + 1e-5).all()
    assert (found[classes == 1] == 0).all()


def test_entropy_where_it_is_known() -> None:
    masked = np.full((1, 5000), -np.inf, np.float32)
    masked[0, 3000] = 7.0
    assert entropy(masked).tobytes() == np.zeros(1).tobytes(), "not -0 either"
    masked[0, [1, 2000, 4999]] = 7.0
    assert entropy(masked).tolist() == [math.log(4)]
    for dtype in ("float32", "float64", "bfloat16", "float16"):
        assert entropy(as_dtype(np.full((1, 3000), 1.5), dtype)).tolist() == [math.log(3000)]
        extremes = np.array([[0.0, float(np.finfo(np.float16).min), -np.inf]])
        assert entropy(as_dtype(extremes, dtype)).tolist() == [0.0]
    largest = np.finfo(np.float64).max
    assert entropy(np.array([[-largest] * 2000 + [largest], [largest] + [-largest] * 2000])).tolist() == [0.0, 0.0]


def test_entropy_does_not_see_where_the_largest_logit_stands() -> None:
    """Each place of the maximum rescales other sums; classes may change places within rounding of float64 sums."""
    x = np.sort(logits(1, 5000, "float64").ravel())
    found = entropy(np.array([x, x[::-1], np.roll(x, 2500), np.roll(x[::-1], 1024)]))
    np.testing.assert_allclose(found, found[0], rtol=1e-14)


def test_entropy_is_none_where_it_was_not_asked_for() -> None:
    scores = sy.token_scores(logits(2, 5), [0, 1])
    assert scores.entropy is None
    assert scores != sy.token_scores(logits(2, 5), [0, 1], columns="all")


# -- token_scores: memory and rows ----------------------------------------------------------------------


def test_strided_rows_are_read_where_they_lie() -> None:
    x = logits(4 * 33, 5000).reshape(4, 33, 5000)
    t = targets(4 * 32, 5000).reshape(4, 32)
    want = sy.token_scores(np.ascontiguousarray(x[:, :-1]), t).nll
    tracemalloc.start()
    got = sy.token_scores(x[:, :-1], t).nll
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert got.tobytes() == want.tobytes()
    assert peak < x.nbytes / 20
    assert sy.token_scores(x[::-1, 1:], t[::-1]).nll.tobytes() == sy.token_scores(x[:, 1:], t).nll[::-1].tobytes()


def test_more_than_two_to_the_thirty_one_elements() -> None:
    """One row seen 40,000 times: 2**31.3 elements for the memory of one."""
    row = logits(1, 65_536)
    x = np.lib.stride_tricks.as_strided(row, (40_000, 65_536), (0, 4), writeable=False)
    assert x.size > 2**31
    t = np.full(40_000, -100)
    t[[0, 39_999]] = 5
    scores = sy.token_scores(x, t)
    assert scores.nll[0] == scores.nll[39_999] == sy.token_scores(row, [5]).nll[0]
    assert scores.n_counted == 2


def test_no_array_of_the_size_of_the_logits() -> None:
    """In a fresh process: the peak of resident memory, which sees the core's allocations too."""
    script = """
import numpy as np, resource, steelyard as sy
x = np.ones((256, 65536), np.float32); t = np.zeros(256, np.int64)
sy.token_scores(x[:2], t[:2])
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
sy.token_scores(x, t)
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before)
"""
    if not sys.platform.startswith("linux"):
        pytest.skip("ru_maxrss is in KiB on Linux only")
    out = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=120, check=True)
    assert int(out.stdout) < 8 * 1024, "KiB; the logits are 65,536"


def test_progress_is_told_in_rows_and_its_exception_stops_the_work() -> None:
    x = np.lib.stride_tricks.as_strided(logits(1, 65_536), (20_000, 65_536), (0, 4), writeable=False)
    seen: list[tuple[int, int]] = []
    sy.token_scores(x[:2000], np.zeros(2000, int), progress=lambda done, total: seen.append((done, total)))
    assert seen[-1] == (2000, 2000)
    assert all(0 <= done <= total for done, total in seen)

    class StopHere(Exception):
        pass

    def stop(done: int, total: int) -> None:
        raise StopHere

    with pytest.raises(StopHere):
        sy.token_scores(x, np.zeros(20_000, int), progress=stop)


# -- token_scores: ignored positions --------------------------------------------------------------------


def test_an_ignored_position_never_counts() -> None:
    """torch returns 0.0 there; taken into a mean that gave a perplexity of 5.81 for 16.70."""
    x = np.zeros((1, 16, 16), np.float32)
    t = np.zeros((1, 16), np.int64)
    t[0, 10:] = -100
    scores = sy.token_scores(x, t)
    assert np.isnan(scores.nll[0, 10:]).all()
    assert np.isnan(scores.log_z[0, 10:]).all()
    assert scores.counted.tolist() == [[True] * 10 + [False] * 6]
    e = sy.perplexity(scores)
    assert float(e) == pytest.approx(16.0, rel=1e-15)
    assert e.n == 10
    assert e.left_out == {"ignored": 6}
    assert float(np.exp(np.nan_to_num(scores.nll).mean())) == pytest.approx(5.657, abs=1e-3)


def test_ignored_rows_are_not_even_read() -> None:
    x = logits(3, 9)
    x[1] = np.nan
    assert sy.token_scores(x, [1, -100, 2]).counted.tolist() == [True, False, True]
    assert sy.token_scores(x, [1, 7, 2], ignore_index=7).counted.tolist() == [True, False, True]
    with pytest.raises(ValueError, match=r"targets: .*; got -100 at index \[1\]"):
        sy.token_scores(x, [1, -100, 2], ignore_index=None)


def test_sequence_logprob_does_not_depend_on_padding() -> None:
    x, t = logits(12, 40).reshape(2, 6, 40), targets(12, 40).reshape(2, 6)
    short = sy.token_scores(x, t).sequence_logprob
    padded = np.concatenate([x, np.full((2, 9, 40), np.nan, np.float32)], 1)
    long = sy.token_scores(padded, np.concatenate([t, np.full((2, 9), -100)], 1))
    assert long.sequence_logprob.tobytes() == short.tobytes()
    want = [-math.fsum(row) for row in sy.token_scores(x, t).nll]
    np.testing.assert_allclose(short, want, rtol=1e-15)
    assert sy.token_scores(x, np.full((2, 6), -100)).sequence_logprob.tolist() == [0.0, 0.0]
    assert sy.token_scores(np.zeros((3, 0, 4)), np.zeros((3, 0), int)).sequence_logprob.tolist() == [0.0] * 3


# -- token_scores: what is refused ----------------------------------------------------------------------


@pytest.mark.parametrize("value", [np.nan, np.inf])
@pytest.mark.parametrize("column", [0, 31, 700, 1049])
@pytest.mark.parametrize("dtype", ["float32", "float64", "bfloat16", "float16"])
def test_what_has_no_meaning_is_named(value: float, column: int, dtype: str) -> None:
    x = logits(6, 1050, dtype).reshape(2, 3, 1050)
    x[1, 2, column] = value
    with pytest.raises(ValueError, match=rf"logits: .*; got {value} at index \[1, 2, {column}\]"):
        sy.token_scores(x, np.zeros((2, 3), int))


@pytest.mark.parametrize(
    ("x", "t", "error", "text"),
    [
        (np.zeros((2, 3, 4)), [[0, 1, 2], [3, 4, 0]], ValueError, r"V = 4.*ignore_index = -100; got 4 at index \[1, 1\]"),
        (np.zeros((2, 3)), [0, -1], ValueError, r"got -1 at index \[1\]"),
        (np.full((2, 3), -np.inf), [0, 0], ValueError, r"logits: .*above -inf.*row \[0\]"),
        (np.zeros((2, 3)), [0, 1, 2], ValueError, r"targets: expected shape \(2,\).*; got shape \(3,\)"),
        (np.zeros((2, 0)), [0, 1], ValueError, r"logits: expected classes .*; got shape \(2, 0\)"),
        (np.float32(1), 0, ValueError, r"logits: expected classes .*; got shape \(\)"),
        (np.zeros((3, 2)).T, [0, 1], ValueError, r"logits: .*contiguous.*strides \[8, 16\].*ascontiguousarray"),
        (np.zeros((2, 6))[:, ::2], [0, 1], ValueError, r"logits: .*contiguous"),
        (np.zeros((2, 3), int), [0, 1], TypeError, r"logits: expected float32 .*; got int64"),
        (np.zeros((2, 3), np.uint16), [0, 1], TypeError, r"logits: .*; got uint16 .*torch or ml_dtypes"),
        (np.zeros((2, 3), complex), [0, 1], TypeError, r"logits: .*complex128"),
        (np.ma.array(np.zeros((2, 3)), mask=[[0, 0, 0], [0, 1, 0]]), [0, 1], ValueError, r"logits: .*nan at index \[1, 1\]"),
        (None, [0, 1], TypeError, r"logits: .*None"),
        (np.zeros((2, 3)), [0.0, 1.0], TypeError, r"targets: expected integers; got float64"),
        (np.zeros((2, 3)), [True, False], TypeError, r"targets: expected integers; got bool"),
    ],
)  # fmt: skip
def test_bad_input_gets_one_sentence(x: Any, t: Any, error: type[Exception], text: str) -> None:
    with pytest.raises(error, match=text):
        sy.token_scores(x, t)


def test_bad_options_get_one_sentence() -> None:
    with pytest.raises(TypeError, match="ignore_index: expected a whole number or None; got float"):
        sy.token_scores(np.zeros((1, 2)), [0], ignore_index=1.5)  # type: ignore[arg-type]
    for columns in ("margins", ("nll", "margins")):
        with pytest.raises(ValueError, match=r"columns: expected one of nll, log_z, .*all; got 'margins'"):
            sy.token_scores(np.zeros((1, 2)), [0], columns=columns)
    with pytest.raises(TypeError, match=r"columns: expected one of nll, .*; got int"):
        sy.token_scores(np.zeros((1, 2)), [0], columns=[1])  # type: ignore[list-item]
    with pytest.raises(TypeError, match=r"columns: expected names of columns, of nll, .*; got int"):
        sy.token_scores(np.zeros((1, 2)), [0], columns=1)  # type: ignore[arg-type]
    with pytest.raises(TypeError, match="progress: expected"):
        sy.token_scores(np.zeros((1, 2)), [0], progress="yes")  # type: ignore[arg-type]


# -- perplexity -----------------------------------------------------------------------------------------


def test_the_exponential_of_the_mean_nll_and_its_clustered_error() -> None:
    nll = 3.0 * uniform(60, 1)
    clusters = (words(60, 2) % np.uint64(7)).astype(int)
    e = sy.perplexity(nll, clusters=clusters)
    mean, variance, df, _ = reference.mean_nll(nll, np.ones(60), clusters)
    value = math.exp(mean)
    assert float(e) == pytest.approx(value, rel=1e-14)
    assert e.standard_error == pytest.approx(value * math.sqrt(variance), rel=1e-12)
    assert e.detail["df"] == pytest.approx(df, rel=1e-12)
    assert (e.n, e.n_clusters, e.method) == (60, 7, "clustered t")
    t = (math.log(e.high) - math.log(e.value)) / math.sqrt(variance)
    assert math.log(e.value) - math.log(e.low) == pytest.approx(t * math.sqrt(variance), rel=1e-9)
    stats = pytest.importorskip("scipy.stats")
    assert t == pytest.approx(stats.t.ppf(0.975, df), rel=1e-9)


def test_equal_clusters_have_one_degree_of_freedom_less_than_their_number() -> None:
    e = sy.perplexity(uniform(40, 4).reshape(8, 5))
    assert e.detail["df"] == pytest.approx(7, rel=1e-12)
    assert e.n_clusters == 8


def test_units() -> None:
    nll = 5.0 * uniform(30, 6).reshape(6, 5)
    ppl, bits, nats = (sy.perplexity(nll, unit=unit) for unit in ("perplexity", "bits", "nats"))
    assert nats.value == pytest.approx(math.fsum(nll.ravel()) / 30, rel=1e-15)
    for name in ("value", "low", "high"):
        assert getattr(ppl, name) == pytest.approx(math.exp(getattr(nats, name)), rel=1e-14)
        assert getattr(bits, name) == pytest.approx(getattr(nats, name) / LN2, rel=1e-15)
    assert bits.standard_error == pytest.approx(nats.standard_error / LN2, rel=1e-15)
    assert ppl.standard_error == pytest.approx(nats.standard_error * ppl.value, rel=1e-15)


def test_per_word_and_per_byte_are_the_ratio_of_sums() -> None:
    """lm-evaluation-harness: exp(-sum ll / sum words), and bits per byte; it prints N/A for their errors."""
    ll = np.array([-120.5, -33.25, -250.0, -80.125])
    n_words, n_bytes = np.array([40, 12, 90, 25]), np.array([210, 60, 480, 130])
    word = sy.perplexity(-ll[:, None], per=n_words)
    assert float(word) == pytest.approx(math.exp(-ll.sum() / n_words.sum()), rel=1e-14)
    bits = sy.perplexity(-ll[:, None], per=n_bytes, unit="bits")
    assert float(bits) == pytest.approx(-ll.sum() / n_bytes.sum() / LN2, rel=1e-14)
    assert bits.standard_error is not None
    assert bits.detail["units"] == n_bytes.sum()
    assert bits.n == 4
    _, variance, _, _ = reference.mean_nll(-ll, n_bytes.astype(float), np.arange(4))
    assert bits.standard_error == pytest.approx(math.sqrt(variance) / LN2, rel=1e-12)


def test_per_a_token_and_per_a_row_agree() -> None:
    nll, per = uniform(12, 8).reshape(3, 4), np.arange(12).reshape(3, 4)
    by_token, by_row = sy.perplexity(nll, per=per), sy.perplexity(nll, per=per.sum(1))
    assert by_token == by_row
    assert sy.perplexity(nll[0], per=10.0, clusters="doc").detail == {"units": 10.0}
    where = np.ones((3, 4), bool)
    where[2] = False
    assert sy.perplexity(nll, per=per.sum(1), where=where).value == sy.perplexity(nll[:2], per=per[:2]).value


def test_ids_a_row_and_ids_a_token_agree() -> None:
    nll = uniform(12, 9).reshape(3, 4)
    a = sy.perplexity(nll, clusters=["x", "y", "x"])
    b = sy.perplexity(nll, clusters=np.array([["x"] * 4, ["y"] * 4, ["x"] * 4]))
    c = sy.perplexity(nll.ravel(), clusters=np.repeat([3, 5, 3], 4))
    assert a == b == c
    assert a.n_clusters == 2


def test_one_cluster_gives_a_value_and_no_interval() -> None:
    e = sy.perplexity(np.array([1.0, 2.0, 3.0]))
    assert e.value == pytest.approx(math.exp(2.0), rel=1e-15)
    assert e.standard_error is e.low is e.high is None
    assert "under two clusters" in str(e.reason)
    assert "no interval" in str(e)


def test_an_infinite_nll_counts() -> None:
    nll = np.array([[1.0, np.inf], [2.0, 0.5]])
    e = sy.perplexity(nll)
    assert (e.value, e.n, e.low, e.high) == (np.inf, 4, None, None)
    assert "1 counted token" in str(e.reason)
    assert sy.perplexity(nll, where=np.isfinite(nll)).value == pytest.approx(math.exp(3.5 / 3), rel=1e-15)
    assert sy.perplexity(nll, unit="bits").value == np.inf


def test_a_perplexity_past_the_largest_float_says_so() -> None:
    e = sy.perplexity(np.array([[800.0], [900.0]]))
    assert e.value == np.inf
    assert "overflows" in str(e.reason)
    assert sy.perplexity(np.array([[800.0], [900.0]]), unit="nats").value == 850.0


def test_nan_is_refused_or_counted() -> None:
    nll = np.array([[1.0, 2.0], [np.nan, 3.0]])
    with pytest.raises(ValueError, match=r"x: .*; got nan at index \[1, 0\]; use nan_policy"):
        sy.perplexity(nll)
    e = sy.perplexity(nll, nan_policy="omit", where=np.array([[True, True], [True, False]]))
    assert e.left_out == {"where": 1, "nan": 1}
    assert e.n == 2


def test_one_sided_limits() -> None:
    nll = uniform(40, 4).reshape(8, 5)
    less, greater = (sy.perplexity(nll, alternative=a, confidence_level=0.9) for a in ("less", "greater"))
    both = sy.perplexity(nll, confidence_level=0.8)
    assert (less.low, greater.high) == (0.0, np.inf)
    assert less.high == pytest.approx(both.high, rel=1e-12)
    assert greater.low == pytest.approx(both.low, rel=1e-12)


@pytest.mark.parametrize("dtype", ["float32", "float64", "bfloat16", "float16", "int64"])
def test_nll_of_every_dtype(dtype: str) -> None:
    x = np.round(8 * uniform(20, 3).reshape(4, 5)) / 4
    y = (4 * x).astype(np.int64) if dtype == "int64" else as_dtype(x, dtype)
    assert sy.perplexity(y).value == sy.perplexity(y.astype(np.float64)).value


@pytest.mark.parametrize(
    ("x", "options", "error", "text"),
    [
        ([[1.0, -0.5]], {}, ValueError, r"x: .*0 or more; got -0.5 at index \[0, 1\].*negative"),
        ([[1.0, -np.inf]], {}, ValueError, r"x: .*got -inf at index \[0, 1\]"),
        ([[1e30]], {}, ValueError, r"x: .*2\*\*62"),
        (3.0, {}, ValueError, "x: expected a token axis"),
        ([], {}, ValueError, "x: expected at least one token that counts; got none"),
        ([1.0], {"where": [False]}, ValueError, "got none .left out: 1 where."),
        ([1.0], {"where": [1]}, TypeError, "where: expected booleans"),
        ([1.0], {"where": [True, True]}, ValueError, r"where: expected shape \(1,\)"),
        ([[1.0, 2.0]], {"clusters": [1, 2, 3]}, ValueError, r"clusters: expected one id per token, shape \(1, 2\)"),
        ([1.0, 2.0], {"clusters": [0.5, 1.0]}, TypeError, "clusters: expected ids that are whole numbers"),
        ([1.0, 2.0], {"clusters": [1.0, np.nan]}, ValueError, "clusters: .*none at index 1"),
        ([1.0, 2.0], {"clusters": ([1, 2],)}, TypeError, "clusters: .*tuple"),
        ([1.0, 2.0], {"per": [1, 2, 3]}, ValueError, "per: expected one number per token"),
        ([1.0, 2.0], {"per": [1, -2]}, ValueError, r"per: expected counts.*; got -2 at index \[1\]"),
        ([1.0, 2.0], {"per": [1, np.inf]}, ValueError, r"per: expected counts.*; got inf at index \[1\]"),
        ([1.0, 2.0], {"per": [1, np.nan]}, ValueError, r"per: expected counts.*; got nan at index \[1\]"),
        ([1.0, 2.0], {"per": [0, 0]}, ValueError, "per: expected numbers that sum to more than 0"),
        ([[1.0, 2.0]], {"per": [3], "clusters": [[1, 2]]}, ValueError, "per: expected one number per token.*as clusters"),
        ([1.0, 2.0], {"unit": "bytes"}, ValueError, "unit: expected one of perplexity, bits, nats; got 'bytes'"),
        ([1.0, 2.0], {"nan_policy": "drop"}, ValueError, "nan_policy: expected one of raise, omit"),
        ([1.0, 2.0], {"confidence_level": 95}, ValueError, "confidence_level: expected"),
        (["a", "b"], {}, TypeError, "x: expected numbers"),
    ],
)  # fmt: skip
def test_bad_nll_gets_one_sentence(x: Any, options: dict[str, Any], error: type[Exception], text: str) -> None:
    with pytest.raises(error, match=text):
        sy.perplexity(x, **options)


# -- the state ------------------------------------------------------------------------------------------

documents = st.lists(
    st.tuples(st.sampled_from(["a", "b", "c", "d"]), st.lists(st.floats(0, 64), min_size=1, max_size=5)),
    min_size=1, max_size=12,
)  # fmt: skip


def state_of(rows: list[tuple[str, list[float]]]) -> PerplexityState:
    state = PerplexityState()
    for name, nll in rows:
        state.update(np.array(nll), clusters=name)
    return state


@given(documents, st.randoms())
def test_every_split_and_order_gives_the_same_bits(rows: list[tuple[str, list[float]]], random: Any) -> None:
    whole = sy.perplexity(np.concatenate([nll for _, nll in rows]), clusters=[name for name, nll in rows for _ in nll])
    want = state_of(rows)
    tokens = [(name, [x]) for name, nll in rows for x in nll]
    random.shuffle(tokens)
    cut = random.randrange(len(tokens) + 1)
    merged = state_of(tokens[:cut]) + state_of(tokens[cut:])
    assert merged == want
    assert merged.compute() == want.compute() == whole
    assert PerplexityState.from_bytes(merged.to_bytes()).compute() == whole


@given(documents, documents, documents)
def test_merging_is_a_commutative_monoid(a: Any, b: Any, c: Any) -> None:
    x, y, z = state_of(a), state_of(b), state_of(c)
    assert x + y == y + x
    assert (x + y) + z == x + (y + z)
    assert x + PerplexityState() == x == PerplexityState() + x
    assert x == state_of(a), "the operands stay as they were"


@given(st.lists(st.lists(st.floats(0, 64), min_size=3, max_size=3), min_size=1, max_size=9), st.randoms())
def test_rows_without_ids_come_in_any_order(rows: list[list[float]], random: Any) -> None:
    want = PerplexityState().update(np.array(rows))
    random.shuffle(rows)
    cut = random.randrange(len(rows) + 1)
    parts = [PerplexityState().update(np.array(part).reshape(-1, 3)) for part in (rows[:cut], rows[cut:])]
    assert parts[0] + parts[1] == want
    assert (parts[0] + parts[1]).compute() == want.compute() == sy.perplexity(np.array(rows))


def test_the_function_is_the_state() -> None:
    scores = sy.token_scores(logits(30, 99).reshape(5, 6, 99), targets(30, 99).reshape(5, 6))
    options: dict[str, Any] = {"unit": "bits", "confidence_level": 0.9, "alternative": "less", "nan_policy": "omit"}
    data = {"clusters": [0, 1, 0, 2, 2], "per": np.arange(1, 6)}
    assert sy.perplexity(scores, **data, **options) == PerplexityState(**options).update(scores, **data).compute()


def test_perplexity_of_shards_is_that_of_the_whole() -> None:
    nll = 3 * uniform(100, 7).reshape(20, 5)
    whole = sy.perplexity(nll)
    for shards in (2, 3, 20):
        states = [PerplexityState().update(part) for part in np.array_split(nll, shards)]
        total = states[-1]
        for state in states[:-1]:
            total = total + state
        assert total.compute() == whole


def test_whole_numbers_and_texts_are_different_ids() -> None:
    x = np.array([1.0, 2.0])
    assert PerplexityState().update(x, clusters=[1, 2]).update(x, clusters=["1", "2"]).compute().n_clusters == 4
    same = PerplexityState().update(x, clusters=np.array([1, 2], np.uint8)).update(x, clusters=[1.0, 2.0])
    assert same.update(x, clusters=np.array([1, 2])).compute().n_clusters == 2
    days = np.array(["2026-01-01", "2026-01-02"], "datetime64[D]")
    assert PerplexityState().update(x, clusters=days).update(x, clusters=days.astype(str)).compute().n_clusters == 2
    assert PerplexityState().update(x, clusters=np.array([b"p", b"q"])).compute().n_clusters == 2


def test_what_does_not_count_needs_no_id() -> None:
    nll, where = np.array([[1.0, 2.0], [3.0, 4.0], [5.0, 6.0]]), np.array([[True, True], [False, False], [True, False]])
    want = sy.perplexity(nll[[0, 2]], clusters=["a", "b"], where=where[[0, 2]])
    assert sy.perplexity(nll, clusters=["a", None, "b"], where=where).low == want.low
    tokens = sy.perplexity(nll.ravel(), clusters=["a", "a", None, None, "b", None], where=where.ravel())
    assert tokens.low == want.low
    with pytest.raises(ValueError, match="clusters: expected an id for every row"):
        sy.perplexity(nll, clusters=["a", None, "b"])
    holes = np.where(where, nll, np.nan)
    assert sy.perplexity(holes, clusters=["a", None, "b"], nan_policy="omit").low == want.low
    named = ["a", "a", None, None, "b", None]
    assert sy.perplexity(holes.ravel(), clusters=named, nan_policy="omit").low == want.low


def test_ids_and_no_ids_do_not_mix() -> None:
    state = PerplexityState().update(np.ones((2, 3)))
    with pytest.raises(TypeError, match="clusters: expected ids in every update"):
        state.update(np.ones((2, 3)), clusters=[1, 2])
    with pytest.raises(TypeError, match="clusters: expected ids in every update"):
        state.merge(PerplexityState().update(np.ones((2, 3)), clusters=[1, 2]))
    with pytest.raises(TypeError, match="per: expected in every update"):
        state.update(np.ones((2, 3)), per=[1, 2])
    assert state.compute().n == 6


def test_a_refused_update_leaves_the_state_as_it_was() -> None:
    state = PerplexityState().update(np.ones((2, 3)))
    before = state.to_bytes()
    for bad in (np.array([[1.0, np.nan]]), np.array([[1.0, -1.0]]), np.array([[1.0, 1e30]])):
        with pytest.raises(ValueError, match="x: "):
            state.update(bad)
    assert state.to_bytes() == before


def test_states_of_other_options_do_not_merge() -> None:
    with pytest.raises(ValueError, match="other: expected a state with unit = 'perplexity'; got 'bits'"):
        PerplexityState().merge(PerplexityState(unit="bits"))
    with pytest.raises(TypeError, match="other: expected a PerplexityState"):
        PerplexityState().merge(3)  # type: ignore[arg-type]
    with pytest.raises(TypeError):
        PerplexityState() + 3


def test_a_state_forgets_pickles_and_says_what_it_holds() -> None:
    state = PerplexityState(unit="bits").update(np.ones((2, 3)))
    assert repr(state) == "<PerplexityState: 6 tokens in 2 clusters>"
    again = pickle.loads(pickle.dumps(state))
    assert again == state
    assert again.compute() == state.compute()
    assert state.reset() is state
    assert state == PerplexityState(unit="bits")
    with pytest.raises(ValueError, match="at least one token"):
        state.compute()
    state.merge(again).merge(again)
    assert state.compute().n == 12
    assert state.merge(state).compute().n == 24


def test_damaged_bytes_are_refused() -> None:
    data = PerplexityState().update(np.ones(3), clusters=["a", "b", "a"]).to_bytes()
    for length in range(len(data)):
        with pytest.raises(ValueError, match="data: expected"):
            PerplexityState.from_bytes(data[:length])
    for bit in range(8 * len(data)):
        flipped = bytearray(data)
        flipped[bit // 8] ^= 1 << bit % 8
        with pytest.raises(ValueError, match="data: expected"):
            PerplexityState.from_bytes(bytes(flipped))
    with pytest.raises(TypeError, match="data: expected bytes; got str"):
        PerplexityState.from_bytes("SYST")  # type: ignore[arg-type]
    assert json.loads(data[12 : 12 + int.from_bytes(data[8:12], "little")])["unit"] == "perplexity"


def test_a_million_documents() -> None:
    nll = 4 * uniform(2_000_000, 5)
    ids = np.arange(2_000_000) // 2
    half = 1_000_001  # inside a document
    a = PerplexityState().update(nll[:half], clusters=ids[:half])
    b = PerplexityState().update(nll[half:], clusters=ids[half:])
    whole = sy.perplexity(nll, clusters=ids)
    assert (b + a).compute() == whole
    assert whole.n_clusters == 1_000_000
    assert float(whole) == pytest.approx(math.exp(math.fsum(nll) / len(nll)), rel=1e-14)


def test_exact_sums_where_float32_drifts() -> None:
    """torchmetrics keeps a float32 sum; after 1e6 batches it was 1.4e-5 off."""
    nll = np.full(3_000_000, np.float32(2.1), np.float32)
    assert sy.perplexity(nll, unit="nats").value == float(np.float32(2.1))


# -- coverage of the intervals ---------------------------------------------------------------------------


def test_the_interval_covers_where_independent_tokens_would_not() -> None:
    """Corpora of ten documents that differ in size and NLL: the clustered interval covers, the token-wise one fails."""
    rng = np.random.Generator(np.random.Philox(key=11))
    inside = naive = 0
    rounds, truth = 400, _true_mean()
    for _ in range(rounds):
        sizes = np.maximum(1, rng.lognormal(3, 0.7, 12)).astype(int)
        scales = 0.5 + np.maximum(0.0, rng.normal(0.5, 0.5, 12)) / 4
        nll = rng.gamma(4, np.repeat(scales, sizes))
        doc = np.repeat(np.arange(12), sizes)
        e = sy.perplexity(nll, clusters=doc, unit="nats")
        inside += e.low <= truth <= e.high
        half = 1.96 * nll.std(ddof=1) / math.sqrt(len(nll))
        naive += abs(nll.mean() - truth) <= half
    assert 0.90 <= inside / rounds <= 0.985
    assert naive / rounds < 0.75


def _true_mean() -> float:
    """E[4 (1/2 + max(0, e)/4)] with e normal(1/2, 1/2): 2 + E max(0, e)."""
    z = 1.0
    pdf = math.exp(-z * z / 2) / math.sqrt(2 * math.pi)
    cdf = 0.5 * math.erfc(-z / math.sqrt(2))
    return 2 + 0.5 * (z * cdf + pdf)


# -- real data ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("file", "want"),
    [
        ("densenet-bc-100-cifar-100", 1.225626911),
        ("wideresnet-16-4-cifar-100", 0.956449212),
        ("wideresnet-16-4-cifar-10", 0.378169586),
    ],
)
def test_nll_of_real_probabilities(data_dir: Path, file: str, want: float) -> None:
    with np.load(data_dir / "probabilities" / f"{file}.npz") as loaded:
        p, y = loaded["predictions"], loaded["ground_truth"].ravel().astype(int)
    with np.errstate(divide="ignore"):
        nll = -np.log(p[np.arange(len(y)), y].astype(np.float64))
        log_p = np.log(p.astype(np.float64))
    e = sy.perplexity(nll[:, None], unit="nats")
    assert e.value == pytest.approx(want, abs=5e-9)
    assert float(sy.perplexity(nll[:, None])) == pytest.approx(math.exp(want), rel=1e-8)
    # Log-probabilities are logits: scored, they give the same, but for rows that do not sum to 1 exactly.
    scores = sy.token_scores(log_p, y)
    assert sy.perplexity(scores.nll[:, None], unit="nats").value == pytest.approx(want, abs=1e-6)
    assert scores.n_counted == len(TokenScores(scores.nll, scores.log_z, scores.counted).nll) == 10_000


def test_the_core_says_what_is_wrong_when_called_alone() -> None:
    with pytest.raises(ValueError, match=r"targets: expected one per row of logits, 2, .*; got 3"):
        _core.token_scores(np.zeros((2, 3)), np.zeros(3, np.int64), ignore_index=None, columns=["nll"])
    with pytest.raises(ValueError, match=r"columns: expected one of nll, log_z.*; got 'margins'"):
        _core.token_scores(np.zeros((2, 3)), np.zeros(2, np.int64), ignore_index=None, columns=["margins"])
    with pytest.raises(ValueError, match="counted: expected one per token"):
        _core.sequence_nll(np.zeros(3), np.ones(2, bool), rows=1)
    with pytest.raises(ValueError, match="counted: expected one per token in 2 equal rows"):
        _core.sequence_nll(np.zeros(3), np.ones(3, bool), rows=2)

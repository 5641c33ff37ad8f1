"""token_scores with a baseline: two models' logits for the same tokens."""

from __future__ import annotations

import math
import pickle
from typing import Any

import mpmath
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import steelyard as sy
from steelyard import _core
from steelyard._registries import names
from steelyard.tokens._asked import ALWAYS, COMPARED, OF_BASE

from .cases import as_dtype, normalish, words

PAIRS = [name for name in names("tokens.pair_columns") if name not in OF_BASE]
DIVERGENCES = ("kl", "kl_reverse", "js", "tv")


def logits(rows: int, width: int, stream: int = 1) -> np.ndarray:
    return (4.0 * normalish(rows * width, stream)).reshape(rows, width).astype(np.float32)


def classes(rows: int, width: int) -> np.ndarray:
    return (words(rows, 5) % np.uint64(width)).astype(np.int64)


def exact(new: np.ndarray, base: np.ndarray) -> dict[str, float]:
    """The divergences of two rows by their definitions, in 40 digits."""
    with mpmath.workdps(40):

        def log_p(row: np.ndarray) -> list[mpmath.mpf]:
            x = [mpmath.mpf(float(v)) for v in row]
            z = mpmath.log(mpmath.fsum(mpmath.exp(v) for v in x))
            return [v - z for v in x]

        p, q = log_p(new), log_p(base)
        ep, eq = [mpmath.exp(v) for v in p], [mpmath.exp(v) for v in q]
        m = [mpmath.log((a + b) / 2) for a, b in zip(ep, eq, strict=True)]
        kl = mpmath.fsum(b * (y - x) for x, y, b in zip(p, q, eq, strict=True))
        reverse = mpmath.fsum(a * (x - y) for x, y, a in zip(p, q, ep, strict=True))
        js = mpmath.fsum((a * (x - z) + b * (y - z)) / 2 for x, y, z, a, b in zip(p, q, m, ep, eq, strict=True))
        tv = mpmath.fsum(abs(a - b) for a, b in zip(ep, eq, strict=True)) / 2
        return {"kl": float(kl), "kl_reverse": float(reverse), "js": float(js), "tv": float(tv)}


@pytest.mark.parametrize(("dtype", "itself", "of_tv"), [("float32", 1e-5, 2e-6), ("float64", 1e-11, 1e-11)])
@pytest.mark.parametrize("offset", [0.0, -100.0, 3e4])
@pytest.mark.parametrize("noise", [1e-4, 0.01, 0.3, 5.0, 100.0])
def test_the_stated_error_of_divergences(dtype: str, itself: float, of_tv: float, noise: float, offset: float) -> None:
    """Whatever is added to the logits of one model: log-probabilities are compared with raw logits."""
    base = np.concatenate([logits(1, 900), 5 * logits(1, 900, 3)]).astype(dtype)
    new = (base + noise * normalish(1800, 9).reshape(2, 900) + offset).astype(dtype)
    q = sy.token_scores(new, [0, 0], baseline=base, columns="all")
    for row in range(2):
        want = exact(new[row], base[row])
        for name in DIVERGENCES:
            got = getattr(q, name)[row]
            beside = (1e-6 if dtype == "float32" else 1e-11) if name == "tv" else 0.0
            assert abs(got - want[name]) <= itself * want[name] + of_tv * want["tv"] + beside, (name, got, want)


@pytest.mark.parametrize("dtype", ["float32", "float64", "bfloat16", "float16"])
def test_equal_rows_are_exactly_alike(dtype: str) -> None:
    x = as_dtype(logits(6, 3000) * 5, dtype)
    q = sy.token_scores(x, classes(6, 3000), baseline=x.copy(), columns="all")
    for name in (*DIVERGENCES, "delta_p", "flips", "nll_difference"):
        assert getattr(q, name).tobytes() == np.zeros(6).tobytes(), name
    assert q.same_top.tolist() == [1.0] * 6


@given(st.integers(0, 2**32), st.integers(1, 60), st.floats(1e-9, 50.0))
def test_divergences_are_never_negative(stream: int, width: int, noise: float) -> None:
    base = logits(4, width, stream)
    new = (base + noise * normalish(4 * width, stream + 1).reshape(4, width)).astype(np.float32)
    new[0, 0] = -np.inf if width > 1 else 0.0
    q = sy.token_scores(new, np.zeros(4, int), baseline=base, columns="all")
    for name in DIVERGENCES:
        assert (getattr(q, name) >= 0).all(), name
    assert (q.js <= math.log(2)).all()
    assert (q.tv <= 1).all()
    # Pinsker's inequality, with the error of both.
    assert (q.kl * (1 + 1e-4) + 1e-9 >= 2 * (q.tv - 1e-6).clip(0) ** 2).all()


def test_each_model_has_the_bits_that_it_has_alone() -> None:
    new, base, t = logits(9, 2500), logits(9, 2500, 2), classes(9, 2500)
    t[4] = -100
    columns = (*names("tokens.columns"), *PAIRS)
    q = sy.token_scores(new, t, baseline=base, columns=columns)
    for name in names("tokens.columns"):
        assert getattr(q, name).tobytes() == getattr(sy.token_scores(new, t, columns=name), name).tobytes(), name
    assert q.baseline == sy.token_scores(base, t, columns="all")
    for name in PAIRS:
        alone = sy.token_scores(new, t, baseline=base, columns=name)
        assert getattr(alone, name).tobytes() == getattr(q, name).tobytes(), name
        assert (np.isnan(getattr(q, name)) == ~q.counted).all()


def test_what_a_baseline_adds_by_default() -> None:
    q = sy.token_scores(logits(3, 40), [1, 2, 3], baseline=logits(3, 40, 2))
    given = {name for name in (*names("tokens.columns"), *PAIRS) if getattr(q, name) is not None}
    assert given == {*ALWAYS, *COMPARED}
    assert pickle.loads(pickle.dumps(q)) == q
    with pytest.raises(ValueError, match="columns: expected columns of one model where there is no baseline; got 'kl'"):
        sy.token_scores(logits(3, 40), [1, 2, 3], columns=("nll", "kl"))
    with pytest.raises(ValueError, match=r"baseline: expected the shape of logits, \(3, 40\); got shape \(3, 41\)"):
        sy.token_scores(logits(3, 40), [1, 2, 3], baseline=logits(3, 41))


def test_extreme_logits() -> None:
    def columns(new: list[float], base: list[float], dtype: Any = np.float32) -> list[float]:
        q = sy.token_scores(np.array([new], dtype), [0], baseline=np.array([base], dtype), columns="all")
        return [float(getattr(q, name)[0]) for name in DIVERGENCES]

    assert columns([-2e38, -2e38], [2e38, 2e38]) == [0.0] * 4
    assert columns([1.7e308, 1.7e308], [-1.7e308, -1.7e308], np.float64) == [0.0] * 4
    assert columns([1e8, 0.0], [0.0, 0.0])[3] == pytest.approx(0.5, rel=1e-6)
    apart = columns([5.0, -np.inf, -np.inf], [0.0, 1e30, 1e30])
    assert apart[2:] == [pytest.approx(math.log(2)), 1.0]


def test_the_difference_of_a_target_that_lost_all_probability() -> None:
    base = np.zeros((2, 4), np.float32)
    new = base.copy()
    new[:, 1] = -np.inf
    q = sy.token_scores(new, [1, 0], baseline=base, columns="all")
    assert q.kl.tolist() == [math.inf, math.inf]
    assert q.nll_difference.tolist() == [math.inf, pytest.approx(math.log(3 / 4))]
    assert q.delta_p.tolist() == [-0.25, pytest.approx(1 / 3 - 1 / 4)]
    assert q.kl_reverse.tolist() == pytest.approx([math.log(4 / 3)] * 2, rel=1e-6)
    assert q.js.tolist() == pytest.approx([exact_js()] * 2, rel=1e-5)
    both = sy.token_scores(new, [1, 0], baseline=new)
    assert both.nll_difference.tolist() == [0.0, 0.0]
    assert both.kl.tolist() == [0.0, 0.0]


def exact_js() -> float:
    """Of a third for three classes and none, and a quarter for four."""
    m = [(1 / 3 + 1 / 4) / 2] * 3 + [1 / 8]
    return (3 / 3 * math.log(1 / 3 / m[0]) + 3 / 4 * math.log(1 / 4 / m[0]) + 1 / 4 * math.log(2)) / 2


@pytest.mark.parametrize(("one", "other"), [("float32", "bfloat16"), ("float16", "float32"), ("float64", "float32")])
def test_models_of_different_types(one: str, other: str) -> None:
    x = logits(5, 1500).astype(np.float64)
    new, base, t = as_dtype(x, one), as_dtype(x + 0.01, other), classes(5, 1500)
    wide = np.float64 if "float64" in (one, other) else np.float32
    q = sy.token_scores(new, t, baseline=base, columns="all")
    assert q == sy.token_scores(new.astype(wide), t, baseline=base.astype(wide), columns="all")


def test_a_transformation_holds_for_both() -> None:
    new, base, t = logits(5, 1500), logits(5, 1500, 2), classes(5, 1500)
    q = sy.token_scores(new, t, baseline=base, temperature=2.0, columns="all")
    assert q == sy.token_scores(new / 2, t, baseline=base / 2, columns="all")


def test_candidates_of_two_models() -> None:
    new, base = logits(3, 40), logits(3, 40, 2)
    q = sy.token_scores(new, [[1, 2], [3, -100], [-100, -100]], baseline=base)
    assert q.delta_p.shape == (3, 2)
    assert np.isnan(q.kl).tolist() == [False, False, True]
    assert (np.isnan(q.nll_difference) == ~q.counted).all()


def test_the_fault_of_the_baseline_is_named() -> None:
    base = logits(3, 40)
    base[1, 7] = np.nan
    with pytest.raises(ValueError, match=r"baseline: expected finite numbers, .* got nan at index \[1, 7\]"):
        sy.token_scores(logits(3, 40), [1, 2, 3], baseline=base)


@pytest.mark.parametrize("width", [2500, 600_001])
def test_threads_do_not_change_a_bit(width: int) -> None:
    new, base, t = logits(2, width), logits(2, width, 2), classes(2, width)
    found = []
    for threads in (1, 2, 5):
        with sy.threads(threads):
            found.append(sy.token_scores(new, t, baseline=base, columns="all"))
    assert found[0] == found[1] == found[2]
    assert found[0].baseline == sy.token_scores(base, t, columns="all")


def test_the_core_says_what_is_wrong_when_called_alone() -> None:
    x, t = logits(3, 40), np.zeros(3, np.int64)
    options: dict[str, Any] = {"ignore_index": None, "columns": ["nll"], "pairs": ["kl"]}
    with pytest.raises(ValueError, match=r"baseline: expected the shape of logits, \[3, 40\]"):
        _core.token_pairs(x, logits(3, 41), t, **options)
    with pytest.raises(ValueError, match="counted: expected one per target"):
        _core.token_pairs(x, x, t, counted=np.ones(2, bool), **options)
    with pytest.raises(ValueError, match="bias: expected one number per class, 40"):
        _core.token_pairs(x, x, t, bias=np.ones(2), **options)


# -- calibration of tokens ------------------------------------------------------------------------------


def test_tokens_are_predictions_of_the_top_token() -> None:
    x, t = logits(60, 50).reshape(6, 10, 50), classes(60, 50).reshape(6, 10)
    t[:, 7:] = -100
    t[:4, :7] = x.argmax(-1)[:4, :7]
    scores = sy.token_scores(x, t, columns=("confidence", "correct"))
    keep = t >= 0
    want = sy.reliability(
        scores.confidence[keep], scores.correct[keep] == 1, clusters=np.arange(60).reshape(6, 10)[keep] // 10
    )
    got = sy.reliability(scores, clusters=np.arange(6))
    assert got.kind == "answers"
    assert (got.ece, got.table["count"].tolist()) == (want.ece, want.table["count"].tolist())
    assert float(got.accuracy) == pytest.approx(scores.correct[keep].mean())
    assert got.left_out == {"ignored": 18}
    some = sy.reliability(scores, where=np.arange(60).reshape(6, 10) < 30)
    assert some.left_out == {"ignored": 18, "where": 21}
    halves = sy.reliability(scores, by=["a", "a", "a", "b", "b", "b"])
    assert list(halves) == ["a", "b"]
    with pytest.raises(ValueError, match="probs: expected token scores with the columns confidence and correct"):
        sy.reliability(sy.token_scores(x, t))
    with pytest.raises(ValueError, match="targets: expected none with scores of tokens"):
        sy.reliability(scores, t)
    with pytest.raises(ValueError, match="classes: expected none with scores of tokens"):
        sy.reliability(scores, classes=[1, 2])
    with pytest.raises(TypeError, match="targets: expected what came true; got None"):
        sy.reliability([0.5, 0.2])
    with pytest.raises(ValueError, match=r"clusters: expected one a token, \(6, 10\), or one a sequence"):
        sy.reliability(scores, clusters=np.arange(5))

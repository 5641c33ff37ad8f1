"""Gradients of the loss of hidden states by hidden states, weights and bias."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import steelyard as sy
from steelyard.tokens import gradients as module

RNG = np.random.default_rng(5)
HIDDEN, WEIGHT, BIAS = RNG.normal(size=(3, 4, 6)), RNG.normal(size=(11, 6)), RNG.normal(size=11)
TARGETS = RNG.integers(0, 11, (3, 4))
TARGETS[1, 2] = -100
OPTIONS: dict[str, Any] = {"label_smoothing": 0.1, "scale": 0.8, "softcap": 4.0, "temperature": 1.3}


def loss(hidden: Any, weight: Any, bias: Any, **options: Any) -> float:
    t = sy.token_scores_from_hidden(hidden, weight, TARGETS, bias=bias, columns="label_smoothed", **options)
    assert t.label_smoothed is not None
    return float(np.nansum(t.label_smoothed))


@pytest.mark.parametrize("options", [{}, OPTIONS])
def test_they_are_central_differences_of_the_loss(options: dict[str, Any]) -> None:
    given = {"hidden": HIDDEN, "weight": WEIGHT, "bias": BIAS}
    found = sy.token_scores_from_hidden(HIDDEN, WEIGHT, TARGETS, bias=BIAS, gradients=True, **options).gradients
    assert found is not None
    for name, array in given.items():
        gradient = getattr(found, name)
        assert gradient.shape == array.shape
        for place in zip(*(RNG.integers(0, n, 12) for n in array.shape), strict=True):
            moved = []
            for step in (1e-5, -1e-5):
                other = array.copy()
                other[place] += step
                moved.append(loss(**{**given, name: other}, **options))
            assert abs(gradient[place] - (moved[0] - moved[1]) / 2e-5) < 1e-8, (name, place)
    assert not found.hidden[1, 2].any()


def test_blocks_of_rows_and_classes_change_rounding_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    whole = sy.token_scores_from_hidden(HIDDEN, WEIGHT, TARGETS, gradients=True, **OPTIONS).gradients
    monkeypatch.setattr(module, "CLASSES", 4)
    monkeypatch.setattr(module, "ROWS", 3)
    blocks = sy.token_scores_from_hidden(HIDDEN, WEIGHT, TARGETS, gradients=True, **OPTIONS).gradients
    assert whole is not None
    assert blocks is not None
    for name in ("hidden", "weight", "bias"):
        np.testing.assert_allclose(getattr(blocks, name), getattr(whole, name), rtol=0, atol=1e-14)


def test_threads_do_not_change_a_bit() -> None:
    hidden, weight = RNG.normal(size=(300, 40)).astype(np.float32), RNG.normal(size=(5000, 40)).astype(np.float32)
    targets = RNG.integers(0, 5000, 300)
    found = []
    for threads in (1, 2):
        with sy.threads(threads):
            found.append(sy.token_scores_from_hidden(hidden, weight, targets, gradients=True).gradients)
    first, second = found
    assert first is not None
    assert first == second
    assert first.weight.dtype == np.float32
    # What all probabilities of a row sum to: 1, less the target's 1.
    assert abs(float(first.bias.sum(dtype=np.float64))) < 1e-3


def test_16_bits_give_float32_and_no_row_gives_zeros() -> None:
    hidden, weight = HIDDEN.astype(np.float16), WEIGHT.astype(np.float16)
    found = sy.token_scores_from_hidden(hidden, weight, TARGETS, gradients=True).gradients
    wide = sy.token_scores_from_hidden(hidden.astype(float), weight.astype(float), TARGETS, gradients=True).gradients
    assert found is not None
    assert wide is not None
    assert found.hidden.dtype == np.float32
    np.testing.assert_allclose(found.weight, wide.weight, rtol=0, atol=1e-5)
    none = sy.token_scores_from_hidden(HIDDEN, WEIGHT, TARGETS, where=np.zeros((3, 4), bool), gradients=True).gradients
    assert none is not None
    assert not none.hidden.any()
    assert not none.weight.any()


def test_what_has_no_gradient_is_refused() -> None:
    with pytest.raises(ValueError, match=r"gradients: expected False, .* got True with a part of the vocabulary"):
        sy.token_scores_from_hidden(HIDDEN, WEIGHT, TARGETS, vocabulary=range(11), gradients=True)  # type: ignore[call-overload]
    with pytest.raises(ValueError, match=r"gradients: expected False, .* got True with several candidates a row"):
        sy.token_scores_from_hidden(HIDDEN, WEIGHT, TARGETS[..., None], gradients=True)
    with pytest.raises(TypeError, match="gradients: expected True or False"):
        sy.token_scores_from_hidden(HIDDEN, WEIGHT, TARGETS, gradients=1)  # type: ignore[call-overload]


def test_progress_counts_rows_and_then_blocks() -> None:
    seen: list[tuple[int, int]] = []
    sy.token_scores_from_hidden(
        HIDDEN, WEIGHT, TARGETS, gradients=True, progress=lambda done, total: seen.append((done, total))
    )
    assert seen[-1] == (1, 1)
    with pytest.raises(ZeroDivisionError):
        sy.token_scores_from_hidden(HIDDEN, WEIGHT, TARGETS, gradients=True, progress=lambda done, total: 1 // 0)

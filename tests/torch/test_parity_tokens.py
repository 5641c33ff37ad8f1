"""NLL against torch: its answers in float64, and its defects in float32 and bfloat16, which are not ours."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from torch.nn.functional import cross_entropy

import steelyard as sy


def batch(rows: int, classes: int, dtype: torch.dtype) -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(rows)
    logits = 3 * torch.randn(rows, classes, generator=generator, dtype=torch.float64)
    return logits.to(dtype), torch.randint(0, classes, (rows,), generator=generator)


@pytest.mark.parametrize("classes", [2, 17, 1000, 50_257])
@pytest.mark.parametrize(
    ("dtype", "bound"),
    [(torch.float64, 1e-11), (torch.float32, 1e-6), (torch.bfloat16, 1e-6), (torch.float16, 1e-6)],
)
def test_equals_torch_in_float64(classes: int, dtype: torch.dtype, bound: float) -> None:
    logits, targets = batch(20, classes, dtype)
    want = cross_entropy(logits.double(), targets, reduction="none").numpy()
    scores = sy.token_scores(logits, targets)
    np.testing.assert_allclose(scores.nll, want, rtol=0, atol=bound)
    np.testing.assert_allclose(scores.log_z, torch.logsumexp(logits.double(), -1).numpy(), rtol=0, atol=bound)


@pytest.mark.parametrize("classes", [2, 17, 50_257])
@pytest.mark.parametrize(("dtype", "bound"), [(torch.float64, 1e-11), (torch.float32, 1e-5), (torch.bfloat16, 1e-5)])
def test_entropy_is_that_of_categorical_in_float64(classes: int, dtype: torch.dtype, bound: float) -> None:
    logits, targets = batch(20, classes, dtype)
    want = torch.distributions.Categorical(logits=logits.double()).entropy().numpy()
    found = sy.token_scores(logits, targets, columns="entropy").entropy
    np.testing.assert_allclose(found, want, rtol=0, atol=bound)


def test_entropy_of_a_near_certain_prediction_keeps_its_digits(met: str) -> None:
    logits = torch.tensor([[0.0, -30.0]])
    exact = math.log1p(math.exp(-30)) + 30 / (1 + math.exp(30))
    theirs = torch.distributions.Categorical(logits=logits).entropy()
    found = sy.token_scores(logits, [0], columns="entropy").entropy
    np.testing.assert_allclose(found, exact, rtol=1e-5)
    assert abs(float(theirs[0]) / exact - 1) > 0.01, met


def test_bfloat16_logits_keep_their_digits(met: str) -> None:
    """torch returns bfloat16, one part in 256."""
    logits, targets = batch(200, 8192, torch.bfloat16)
    exact = cross_entropy(logits.double(), targets, reduction="none").numpy()
    ours = np.abs(sy.token_scores(logits, targets).nll - exact).max()
    theirs = np.abs(cross_entropy(logits, targets, reduction="none").double().numpy() - exact).max()
    assert ours < 1e-6
    assert theirs > 1e-3, met


def test_an_ignored_position_is_no_certain_prediction(met: str) -> None:
    logits = torch.zeros(4, 16)
    targets = torch.tensor([1, -100, 2, -100])
    theirs = cross_entropy(logits, targets, reduction="none")
    assert theirs[1] == 0, met
    scores = sy.token_scores(logits, targets)
    assert float(sy.perplexity(scores)) == pytest.approx(16, rel=1e-15)
    assert float(theirs.mean().exp()) == pytest.approx(4, rel=1e-6), met


def test_softmax_then_log_loses_the_tail(met: str) -> None:
    logits, targets = torch.tensor([[0.0, -104.5]]), torch.tensor([1])
    assert torch.softmax(logits, -1)[0, 1].log() == -math.inf, met
    assert sy.token_scores(logits, targets).nll.tolist() == [104.5]


def test_strided_views_of_tensors() -> None:
    logits, targets = batch(24, 50, torch.bfloat16)
    view = logits.reshape(2, 12, 50)[:, :-1]
    want = sy.token_scores(view.contiguous(), targets.reshape(2, 12)[:, 1:])
    assert sy.token_scores(view, targets.reshape(2, 12)[:, 1:]).nll.tobytes() == want.nll.tobytes()


def test_perplexity_of_tensors() -> None:
    logits, targets = batch(24, 50, torch.float32)
    nll = cross_entropy(logits, targets, reduction="none").reshape(4, 6)
    e = sy.perplexity(nll, where=torch.ones(4, 6, dtype=torch.bool), clusters=torch.tensor([3, 1, 3, 2]))
    assert float(e) == pytest.approx(float(nll.double().mean().exp()), rel=1e-12)
    assert e.n_clusters == 3
    with pytest.raises(TypeError, match="logits: expected a tensor on the CPU"):
        sy.token_scores(logits.to("meta"), targets)

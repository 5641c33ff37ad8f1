"""Texts scored by modules, and the metric of torchmetrics."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch

import steelyard as sy
from steelyard.torch import Perplexity, token_log_probs

V = 11


class Bigrams(torch.nn.Module):
    """A model whose next token depends on the one before, and on how many it was given."""

    def __init__(self, kind: str = "tensor") -> None:
        super().__init__()
        self.table = torch.nn.Embedding(V + 1, V)
        self.kind = kind

    def forward(self, ids: torch.Tensor) -> Any:
        logits = self.table(ids) * torch.arange(1, ids.shape[1] + 1)[:, None] ** 0.25
        return {"tensor": logits, "tuple": (logits, None), "object": SimpleNamespace(logits=logits)}[self.kind]


@pytest.mark.parametrize("kind", ["tensor", "tuple", "object"])
def test_each_token_is_scored_by_its_window(kind: str) -> None:
    torch.manual_seed(0)
    model, ids = Bigrams(kind), torch.randint(0, V, (40,))
    plan = sy.tokens.windows(40, context=16, stride=8, bos="every")
    seen: list[tuple[int, int]] = []
    t = token_log_probs(model, ids[None], windows=plan, bos=V, columns="entropy", progress=lambda *x: seen.append(x))
    assert seen[-1] == (len(plan), len(plan))
    assert t.counted.sum() == plan.n_scored
    for w in plan:
        logits = model(torch.from_numpy(w.prompt(ids.numpy(), bos_id=V))[None])
        logits = getattr(logits, "logits", logits[0] if kind == "tuple" else logits)[0]
        want = torch.log_softmax(logits.double(), -1)[w.score].gather(1, ids[w.targets, None])[:, 0]
        np.testing.assert_allclose(-t.nll[w.targets], want.detach().numpy(), atol=2e-6)
    assert t.entropy is not None
    assert np.isfinite(t.entropy[t.counted]).all()


def test_without_a_plan_the_text_is_one_window() -> None:
    model, ids = Bigrams(), torch.arange(V)
    t = token_log_probs(model, ids)
    want = torch.nn.functional.cross_entropy(model(ids[None])[0, :-1], ids[1:], reduction="none")
    assert t.counted.tolist() == [False] + [True] * (V - 1)
    np.testing.assert_allclose(t.nll[1:], want.detach().numpy(), atol=1e-5)


@pytest.mark.parametrize(
    ("model", "ids", "words"),
    [
        (lambda ids: torch.zeros(1, 2, V), torch.arange(3), "model: expected logits of each of 3 tokens"),
        (lambda ids: "text", torch.arange(3), "model: expected a module that returns logits"),
        (lambda ids: torch.zeros(2, 3, V), torch.arange(3), "model: expected a module that returns logits"),
        (Bigrams(), torch.zeros(2, 3, dtype=torch.int64), "input_ids: expected the ids of one text"),
        (Bigrams(), torch.zeros(0, dtype=torch.int64), "input_ids: expected the ids of one text"),
        (Bigrams(), torch.zeros(3), "input_ids"),
    ],
)
def test_what_is_refused(model: Any, ids: torch.Tensor, words: str) -> None:
    with pytest.raises((TypeError, ValueError), match=words):
        token_log_probs(model, ids)


def batches(dtype: torch.dtype = torch.float32) -> list[tuple[torch.Tensor, torch.Tensor]]:
    generator = torch.Generator().manual_seed(1)
    found = []
    for _ in range(4):
        preds = 3 * torch.randn(2, 8, 5, generator=generator)
        target = torch.randint(0, 5, (2, 8), generator=generator)
        target[0, 6:] = -100
        found.append((preds.to(dtype), target))
    return found


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.bfloat16])
def test_the_metric_equals_torchmetrics(dtype: torch.dtype) -> None:
    from torchmetrics.text import Perplexity as Theirs

    ours, theirs = Perplexity(ignore_index=-100), Theirs(ignore_index=-100)
    for preds, target in batches(dtype):
        got, want = ours(preds, target), theirs(preds.double(), target)  # the value of the batch
        assert got.item() == pytest.approx(want.item(), rel=2e-6)
    assert ours.compute().item() == pytest.approx(theirs.compute().item(), rel=2e-6)
    ours.reset()
    ours.update(*batches()[0])
    assert ours.count == 14


def test_the_metric_is_differentiable_and_can_be_pickled() -> None:
    import pickle

    preds, target = batches()[0]
    preds.requires_grad_()
    metric = Perplexity(ignore_index=-100)
    metric(preds, target).backward()
    assert preds.grad is not None
    assert preds.grad.abs().sum() > 0
    again = pickle.loads(pickle.dumps(Perplexity()))
    again.update(torch.zeros(1, 2, 5), torch.tensor([[0, 1]]))
    assert again.compute().item() == pytest.approx(5.0)


def test_a_probability_below_float32_has_its_own_nll() -> None:
    from torchmetrics.text import Perplexity as Theirs

    preds, target = torch.tensor([[[0.0, -104.5], [3.0, 0.0]]]), torch.tensor([[1, 0]])
    theirs, ours = Theirs(), Perplexity()
    theirs.update(preds, target)
    ours.update(preds, target)
    assert theirs.compute().isinf()
    nll = (104.5 + torch.log1p(torch.exp(torch.tensor(-3.0))).item()) / 2
    assert ours.compute().item() == pytest.approx(float(np.exp(nll)), rel=1e-5)


@pytest.mark.parametrize(
    ("preds", "target", "error"),
    [
        (torch.zeros(2, 5), torch.zeros(2, 5, dtype=torch.int64), ValueError),
        (torch.zeros(2, 3, 5), torch.zeros(2, dtype=torch.int64), ValueError),
        (torch.zeros(2, 3, 5), torch.zeros(2, 4, dtype=torch.int64), ValueError),
        (torch.zeros(2, 3, 5, dtype=torch.int64), torch.zeros(2, 3, dtype=torch.int64), TypeError),
        (torch.zeros(2, 3, 5), torch.zeros(2, 3), TypeError),
    ],
)
def test_the_metric_refuses_what_torchmetrics_refuses(
    preds: torch.Tensor, target: torch.Tensor, error: type[Exception]
) -> None:
    from torchmetrics.text import Perplexity as Theirs

    for metric in (Perplexity(), Theirs()):
        with pytest.raises(error):
            metric.update(preds, target)
    with pytest.raises(ValueError, match="ignore_index"):
        Perplexity(ignore_index=0.5)  # type: ignore[arg-type]


def test_a_text_of_one_token_has_nothing_to_score_but_after_a_bos() -> None:
    model = Bigrams()
    assert token_log_probs(model, torch.tensor([1])).counted.tolist() == [False]
    assert token_log_probs(model, torch.tensor([1]), bos=V).counted.tolist() == [True]


def test_sums_of_the_metric_are_float64_again_after_a_state_of_fewer_digits() -> None:
    metric = Perplexity()
    metric.count = torch.tensor(2.0**24)
    metric.update(torch.zeros(1, 1, 5), torch.tensor([[1]]))
    assert metric.count.item() == 2**24 + 1

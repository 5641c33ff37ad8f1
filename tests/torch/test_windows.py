"""Windows with a model of transformers: the loss that it computes itself, window by window, is that of the plan."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch

import steelyard as sy

transformers = pytest.importorskip("transformers", reason="transformers comes with the bench extra")
V, CONTEXT = 61, 32


@pytest.fixture(scope="module")
def model() -> Any:
    torch.manual_seed(0)
    config = transformers.GPT2Config(
        vocab_size=V, n_positions=CONTEXT, n_embd=32, n_layer=2, n_head=2, bos_token_id=0, eos_token_id=0
    )
    return transformers.GPT2LMHeadModel(config).eval()


def logits(model: Any, prompt: Any) -> Any:
    with torch.no_grad():
        return model(torch.as_tensor(prompt)[None]).logits[0]


def page(model: Any, ids: torch.Tensor, stride: int) -> tuple[float, int]:
    """The sum of the losses of the page's windows, each with the weight of the labels that its loss is a mean of."""
    total, count, before = 0.0, 0, 0
    for begin in range(0, len(ids), stride):
        end = min(begin + CONTEXT, len(ids))
        labels = ids[begin:end].clone()
        labels[: max(before - begin, 0)] = -100
        with torch.no_grad():
            loss = model(ids[None, begin:end], labels=labels[None]).loss
        counted = int((labels[1:] != -100).sum())
        total, count, before = total + float(loss) * counted, count + counted, end
        if end == len(ids):
            break
    return total, count


@pytest.mark.parametrize("n", [20, 32, 33, 100, 257])
@pytest.mark.parametrize("stride", [1, 7, 16, 31])
def test_the_page_of_transformers(model: Any, n: int, stride: int) -> None:
    ids = torch.as_tensor(np.random.default_rng(n).integers(0, V, n))
    plan = sy.tokens.windows(n, context=CONTEXT, stride=stride, convention="transformers")
    state = sy.tokens.PerplexityState(unit="nats")
    for w in plan:
        state.update(sy.token_scores(logits(model, w.prompt(ids))[w.score], ids[w.targets]), clusters="text")
    total, count = page(model, ids, stride)
    assert count == plan.n_scored
    assert state.compute().value == pytest.approx(total / count, rel=1e-6)


def test_a_plan_with_a_bos_in_every_window(model: Any) -> None:
    ids = np.random.default_rng(1).integers(1, V, 100)
    nll = np.full(100, np.nan)
    for w in sy.tokens.windows(100, context=CONTEXT, stride=16, bos="every"):
        nll[w.targets] = sy.token_scores(logits(model, w.prompt(ids, bos_id=0))[w.score], ids[w.targets]).nll
    assert not np.isnan(nll).any()
    alone = sy.token_scores(logits(model, np.array([0])), ids[:1]).nll
    assert nll[0] == pytest.approx(alone[0], rel=1e-5)

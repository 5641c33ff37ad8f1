"""The optimizers of ``steelyard.torch`` in the place of torch's: whole models, many tensors, a training step."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterable
from typing import Any

from .harness import Row, need, torch_with_threads

FUSED = "`clip_grad_norm_` + `AdamW(fused=True)`"


def with_gradients(shapes: Iterable[tuple[int, ...]]) -> list[Any]:
    """Return parameters of these shapes, each with a gradient."""
    torch = torch_with_threads()
    generator = torch.Generator().manual_seed(0)
    params = [torch.nn.Parameter(torch.randn(shape, generator=generator)) for shape in shapes]
    for param in params:
        param.grad = torch.randn(param.shape, generator=generator) * 1e-3
    return params


def by_decay(params: list[Any]) -> list[dict[str, Any]]:
    """Return the two usual groups: matrices, which decay, and vectors, which do not."""
    return [
        {"params": [p for p in params if p.ndim > 1], "weight_decay": 0.1},
        {"params": [p for p in params if p.ndim <= 1], "weight_decay": 0.0},
    ]


def both(groups: Any, params: list[Any], **options: Any) -> tuple[Callable[[], Any], Callable[[], Any]]:
    """Return a clipped step of ours and one of torch's on the same parameters, gradients and moments."""
    torch = torch_with_threads()
    (adapter,) = need("steelyard.torch")
    own = adapter.AdamW(copy.copy(groups), lr=1e-5, max_norm=1.0)
    peer = torch.optim.AdamW(copy.copy(groups), lr=1e-5, **options)
    own.step()
    for param in params:
        peer.state[param] = own.state[param] | {"step": torch.tensor(0.0)}

    def theirs() -> None:
        torch.nn.utils.clip_grad_norm_(params, 1.0)
        peer.step()

    return own.step, theirs


def gpt2_layout() -> Row:
    """steelyard.torch.AdamW, the tensors of GPT-2 124M in two groups"""
    width, layers = 768, 12
    block = [(width,), (width,), (3 * width, width), (3 * width,), (width, width), (width,), (width,), (width,),
             (4 * width, width), (4 * width,), (width, 4 * width), (width,)]  # fmt: skip
    params = with_gradients([(50_257, width), (1024, width), *(block * layers), (width,), (width,)])
    ours, theirs = both([dict(group) for group in by_decay(params)], params, fused=True)
    return Row(
        work="`steelyard.torch.AdamW`, clip, the tensors of GPT-2 124M in two groups",
        ours=ours, peer=theirs, against=FUSED, package="torch", at_least=1.25,
    )  # fmt: skip


def adapters() -> Row:
    """steelyard.torch.AdamW, 300 tensors of 16,384"""
    params = with_gradients([(16, 1024)] * 300)
    ours, theirs = both(params, params, fused=True)
    return Row(
        work="`steelyard.torch.AdamW`, clip, 300 tensors of 16,384 (LoRA)",
        ours=ours, peer=theirs, against=FUSED, package="torch", at_least=3.0,
    )  # fmt: skip


def many_tensors() -> Row:
    """steelyard.torch.AdamW, 2,000 tensors of 64"""
    params = with_gradients([(64,)] * 2000)
    ours, theirs = both(params, params, fused=True)
    return Row(
        work="`steelyard.torch.AdamW`, clip, 2,000 tensors of 64",
        ours=ours, peer=theirs, against=FUSED, package="torch", at_least=10.0,
    )  # fmt: skip


def as_most_run_it() -> Row:
    """steelyard.torch.AdamW, 1e7 f32, against torch's defaults"""
    params = with_gradients([(10_000_000,)])
    ours, theirs = both(params, params)
    return Row(
        work="`steelyard.torch.AdamW`, clip, 1e7 f32",
        ours=ours, peer=theirs, against="`clip_grad_norm_` + `AdamW()`, whose default is not fused", package="torch",
        at_least=8.0,
    )  # fmt: skip


def training_step() -> Row:
    """a training step of a small transformer"""
    torch = torch_with_threads()
    (adapter,) = need("steelyard.torch")
    torch.manual_seed(0)
    width, vocabulary = 256, 8192
    layer = torch.nn.TransformerEncoderLayer(width, 4, 4 * width, dropout=0.0, batch_first=True, norm_first=True)
    model = torch.nn.Sequential(
        torch.nn.Embedding(vocabulary, width),
        torch.nn.TransformerEncoder(layer, 4, enable_nested_tensor=False),
        torch.nn.Linear(width, vocabulary),
    )
    tokens = torch.randint(vocabulary, (4, 64))
    params = list(model.parameters())
    own = adapter.AdamW(params, lr=1e-5, max_norm=1.0)
    peer = torch.optim.AdamW(params, lr=1e-5, fused=True)

    def backward() -> None:
        for param in params:
            param.grad = None
        torch.nn.functional.cross_entropy(model(tokens).flatten(0, 1), tokens.flatten()).backward()

    def ours() -> None:
        backward()
        own.step()

    def theirs() -> None:
        backward()
        torch.nn.utils.clip_grad_norm_(params, 1.0)
        peer.step()

    return Row(
        work="a training step of a transformer of 7.4M parameters, 256 tokens: forward, backward, clip, AdamW",
        ours=ours, peer=theirs, against=FUSED, package="torch", at_least=1.0,
    )  # fmt: skip


ROWS = [gpt2_layout, adapters, many_tensors, as_most_run_it, training_step]

"""The optimizers of ``steelyard.torch`` in the place of torch's: whole models, many tensors, a training step."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterable
from typing import Any

import numpy as np

import steelyard as sy

from .harness import Row, need, torch_with_threads

FUSED = "`clip_grad_norm_` + `AdamW(fused=True)`"


def with_gradients(shapes: Iterable[tuple[int, ...]], dtype: Any = None) -> list[Any]:
    """Return parameters of these shapes, each with a gradient; float32 where no other type is given."""
    torch = torch_with_threads()
    generator = torch.Generator().manual_seed(0)
    params = [torch.nn.Parameter(torch.randn(shape, generator=generator, dtype=dtype)) for shape in shapes]
    for param in params:
        param.grad = torch.randn(param.shape, generator=generator, dtype=dtype) * 1e-3
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


def clipped(work: str, groups: Any, params: list[Any], *, at_least: float) -> Row:
    """Return the row of a clipped step on these parameters, beside torch's fused one."""
    ours, theirs = both(groups, params, fused=True)
    return Row(
        work=f"`steelyard.torch.AdamW`, clip, {work}",
        ours=ours, peer=theirs, against=FUSED, package="torch", at_least=at_least,
    )  # fmt: skip


def gpt2_layout() -> Row:
    """steelyard.torch.AdamW, the tensors of GPT-2 124M in two groups"""
    width, layers = 768, 12
    block = [(width,), (width,), (3 * width, width), (3 * width,), (width, width), (width,), (width,), (width,),
             (4 * width, width), (4 * width,), (width, 4 * width), (width,)]  # fmt: skip
    params = with_gradients([(50_257, width), (1024, width), *(block * layers), (width,), (width,)])
    return clipped(
        "the tensors of GPT-2 124M in two groups", [dict(group) for group in by_decay(params)], params, at_least=1.25
    )


def adapters() -> Row:
    """steelyard.torch.AdamW, 300 tensors of 16,384"""
    params = with_gradients([(16, 1024)] * 300)
    return clipped("300 tensors of 16,384 (LoRA)", params, params, at_least=3.0)


def many_tensors() -> Row:
    """steelyard.torch.AdamW, 2,000 tensors of 64"""
    params = with_gradients([(64,)] * 2000)
    return clipped("2,000 tensors of 64", params, params, at_least=10.0)


def as_most_run_it() -> Row:
    """steelyard.torch.AdamW, 1e7 f32, against torch's defaults"""
    params = with_gradients([(10_000_000,)])
    ours, theirs = both(params, params)
    return Row(
        work="`steelyard.torch.AdamW`, clip, 1e7 f32",
        ours=ours, peer=theirs, against="`clip_grad_norm_` + `AdamW()`, whose default is not fused", package="torch",
        at_least=8.0,
    )  # fmt: skip


def sixteen_bits() -> Row:
    """steelyard.torch.AdamW, 1e8 bfloat16"""
    torch = torch_with_threads()
    params = with_gradients([(100_000_000,)], torch.bfloat16)
    return clipped("1e8 bfloat16 (weights, gradients and moments)", params, params, at_least=1.6)


def offloaded() -> Row:
    """AdamW of float32 weights on the host, gradients and copies in bfloat16, 2e7"""
    torch = torch_with_threads()
    params = with_gradients([(20_000_000,)])
    (param,) = params
    grad, live = param.grad.to(torch.bfloat16), param.detach().to(torch.bfloat16)
    widened, other = torch.empty_like(param), live.clone()
    own = sy.AdamW([param.detach().clone()], lr=1e-5, nonfinite="propagate", copy_to=[live])
    peer = torch.optim.AdamW(params, lr=1e-5, fused=True)

    def theirs() -> None:
        param.grad = widened.copy_(grad)
        peer.step()
        other.copy_(param.detach())

    return Row(
        work="`AdamW(copy_to=)`, 2e7 f32 weights, gradients and copies in bfloat16 (offloading)",
        ours=lambda: own.step([grad]), peer=theirs, against="the gradients to f32, `AdamW(fused=True)`, the weights back",
        package="torch", at_least=1.2,
    )  # fmt: skip


def eight_bits(n: int, peer: Callable[[list[Any]], Any]) -> tuple[Callable[[], Any], Callable[[], Any]]:
    """Return a step with moments in 8 bits and one of a peer, on the same float32 weights and gradients."""
    (adapter,) = need("steelyard.torch")
    params = with_gradients([(n,)])
    return adapter.AdamW(params, lr=1e-5, state_dtype="8bit").step, peer(params).step


def eight_bits_beside_torch() -> Row:
    """steelyard.torch.AdamW, moments in 8 bits, 1e8 f32, beside moments in float32"""
    torch = torch_with_threads()
    ours, theirs = eight_bits(100_000_000, lambda params: torch.optim.AdamW(params, lr=1e-5, fused=True))
    return Row(
        work='`steelyard.torch.AdamW(state_dtype="8bit")`, 1e8 f32',
        ours=ours, peer=theirs, against="`AdamW(fused=True)`, whose moments take 4 times the memory", package="torch",
        at_least=1.0,
    )  # fmt: skip


def eight_bits_beside_bitsandbytes() -> Row:
    """steelyard.torch.AdamW, moments in 8 bits, 1e7 f32, beside bitsandbytes"""
    torch_with_threads()
    (bitsandbytes,) = need("bitsandbytes")
    ours, theirs = eight_bits(10_000_000, lambda params: bitsandbytes.optim.AdamW8bit(params, lr=1e-5))
    return Row(
        work='`steelyard.torch.AdamW(state_dtype="8bit")`, 1e7 f32',
        ours=ours, peer=theirs, against="`optim.AdamW8bit` on the CPU", package="bitsandbytes", at_least=20.0,
    )  # fmt: skip


def beside_deepspeed() -> Row:
    """steelyard.torch.AdamW, 10,000 tensors of 1,000, beside DeepSpeed"""
    torch_with_threads()
    adapter, deepspeed = need("steelyard.torch", "deepspeed.ops.adam")
    params = with_gradients([(1_000,)] * 10_000)
    try:
        peer = deepspeed.DeepSpeedCPUAdam(params, lr=1e-5)
    except Exception as error:  # it compiles its kernel when it is first made
        raise ImportError(f"DeepSpeed's kernel was not built: {error}") from error
    return Row(
        work="`steelyard.torch.AdamW`, 10,000 tensors of 1,000 f32",
        ours=adapter.AdamW(params, lr=1e-5).step, peer=peer.step, against="`DeepSpeedCPUAdam`", package="deepspeed",
        at_least=8.0,
    )  # fmt: skip


def beside_optax() -> Row:
    """AdamW, clip, 1e7 f32, beside optax"""
    jax, optax = need("jax", "optax")
    params = np.random.default_rng(0).standard_normal(10_000_000, np.float32)
    grads = np.random.default_rng(1).standard_normal(10_000_000, np.float32)
    rule = optax.chain(optax.clip_by_global_norm(1.0), optax.adamw(1e-5, weight_decay=0.01))

    def update(params: Any, state: Any, grads: Any) -> tuple[Any, Any]:
        updates, state = rule.update(grads, state, params)
        return optax.apply_updates(params, updates), state

    compiled = jax.jit(update, donate_argnums=(0, 1))
    given = jax.device_put(grads)
    held = [jax.device_put(params), rule.init(jax.device_put(params))]

    def theirs() -> None:
        held[:] = compiled(*held, given)
        jax.block_until_ready(held)

    optimizer = sy.AdamW(params, lr=1e-5, max_norm=1.0)
    return Row(
        work="clip + AdamW, 1e7 f32, on arrays of its own",
        ours=lambda: optimizer.step(grads), peer=theirs,
        against="`chain(clip_by_global_norm, adamw)`, compiled by `jax.jit` with its arguments donated", package="optax",
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


ROWS = [
    gpt2_layout, adapters, many_tensors, as_most_run_it, sixteen_bits, offloaded, eight_bits_beside_torch,
    eight_bits_beside_bitsandbytes, beside_deepspeed, beside_optax, training_step,
]  # fmt: skip

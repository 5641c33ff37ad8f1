"""AdamW with clipping, the global norm, schedules, and what denormal numbers cost."""

from __future__ import annotations

import itertools
import math
from typing import Any

import numpy as np

import steelyard as sy

from .harness import Growth, Row, four_streams, need, read_once, torch_with_threads

N = 100_000_000


def gradients(n: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).standard_normal(n, np.float32)


def torch_adamw(params: list[np.ndarray], grads: list[np.ndarray], moments: list[list[np.ndarray]]) -> Any:
    """Return a step of torch's optimizer on the same arrays."""
    torch = torch_with_threads()
    tensors = [torch.nn.Parameter(torch.from_numpy(p)) for p in params]
    peer = torch.optim.AdamW(tensors, fused=True)
    for tensor, grad, arrays in zip(tensors, grads, moments, strict=True):
        tensor.grad = torch.from_numpy(grad)
        state = {name: torch.from_numpy(array) for name, array in zip(("exp_avg", "exp_avg_sq"), arrays, strict=True)}
        peer.state[tensor] = {"step": torch.tensor(0.0), **state}

    def theirs() -> None:
        torch.nn.utils.clip_grad_norm_(tensors, 1.0)
        peer.step()

    return theirs


def one_large_array() -> Row:
    """clip + AdamW, 1e8 f32, one array"""
    need("torch")
    p, g, m, v = gradients(N, 1), gradients(N), np.zeros(N, np.float32), np.zeros(N, np.float32)
    theirs = torch_adamw([p], [g], [[m, v]])
    steps = itertools.count(1)

    def ours() -> Any:
        return sy.optim.adamw_(p, g, m, v, step=next(steps), max_norm=1.0)

    scan, update = read_once(g), four_streams(p, m, v, g)

    def limit() -> None:
        scan()
        update()

    return Row(
        work="clip + AdamW, 1e8 f32, one array",
        ours=ours,
        peer=theirs,
        against="`clip_grad_norm_` + `AdamW(fused=True)`",
        package="torch",
        at_least=1.2,
        limit=limit,
        limit_bytes=32 * N,
        at_most_limit=1 / 0.9,
    )


def many_small(count: int, size: int) -> tuple[Any, Any]:
    """Return a clipped step of ours and one of torch's on ``count`` arrays of ``size`` f32."""
    need("torch")
    params = [gradients(size, i) for i in range(count)]
    grads = [gradients(size, count + i) for i in range(count)]
    theirs = torch_adamw(params, grads, [[np.zeros_like(p), np.zeros_like(p)] for p in params])
    optimizer = sy.AdamW(params, max_norm=1.0)
    return lambda: optimizer.step(grads), theirs


def many_small_arrays() -> Row:
    """clip + AdamW, 10,000 arrays of 1,000 f32"""
    ours, theirs = many_small(10_000, 1_000)
    return Row(
        work="clip + AdamW, 10,000 arrays of 1,000 f32",
        ours=ours, peer=theirs, against="`clip_grad_norm_` + `AdamW(fused=True)`", package="torch", at_least=15.0,
    )  # fmt: skip


def many_small_arrays_cold() -> Row:
    """clip + AdamW, 10,000 arrays of 1,000 f32, caches cold"""
    ours, theirs = many_small(10_000, 1_000)
    return Row(
        work="clip + AdamW, 10,000 arrays of 1,000 f32, caches cold",
        ours=ours, peer=theirs, against="`clip_grad_norm_` + `AdamW(fused=True)`", package="torch", at_least=10.0,
        cold=True,
    )  # fmt: skip


def very_small_arrays() -> Row:
    """clip + AdamW, 2,000 arrays of 64 f32"""
    ours, theirs = many_small(2_000, 64)
    return Row(
        work="clip + AdamW, 2,000 arrays of 64 f32",
        ours=ours, peer=theirs, against="`clip_grad_norm_` + `AdamW(fused=True)`", package="torch", at_least=10.0,
    )  # fmt: skip


def in_one_piece() -> Row:
    """clip + AdamW, 10,000 arrays of 1,000 f32, beside one array of as many"""
    count, size = 10_000, 1_000
    arrays = [gradients(size, i) for i in range(count)]
    grads = [gradients(size, count + i) for i in range(count)]
    many, one = sy.AdamW(arrays, max_norm=1.0), sy.AdamW(np.concatenate(arrays), max_norm=1.0)
    joined = np.concatenate(grads)
    return Row(
        work="clip + AdamW, 10,000 arrays of 1,000 f32",
        ours=lambda: many.step(grads), peer=lambda: one.step(joined), against="the same step on one array of 1e7",
        package="steelyard", at_least=0.87,
    )  # fmt: skip


def norm() -> Row:
    """global norm, 1e8 f32"""
    torch = torch_with_threads()
    g = gradients(N)
    tensor = torch.from_numpy(g)

    def agree(ours: float, theirs: Any) -> None:
        exact = math.sqrt(sum(float(np.dot(part, part)) for part in np.array_split(g.astype(np.float64), 100)))
        assert abs(ours / exact - 1) < 1e-12, (ours, exact)
        print(f"  (torch's norm of the same values is {float(theirs) / exact - 1:+.2%} off)")

    return Row(
        work="global norm, 1e8 f32",
        ours=lambda: sy.global_norm(g),
        peer=lambda: torch.nn.utils.get_total_norm([tensor]),
        against="`get_total_norm`",
        package="torch",
        at_least=1.0,
        limit=read_once(g),
        limit_bytes=g.nbytes,
        at_most_limit=1 / 0.9,
        agree=agree,
    )


def largest() -> Row:
    """infinity norm, 1e8 f32"""
    torch = torch_with_threads()
    g = gradients(N)
    tensor = torch.from_numpy(g)

    def agree(ours: float, theirs: Any) -> None:
        assert ours == float(theirs) == float(max(g.max(), -g.min()))

    return Row(
        work="infinity norm, 1e8 f32",
        ours=lambda: sy.global_norm(g, math.inf),
        peer=lambda: torch.nn.utils.get_total_norm([tensor], math.inf),
        against="`get_total_norm`",
        package="torch",
        at_least=20.0,
        limit=read_once(g),
        limit_bytes=g.nbytes,
        at_most_limit=1 / 0.9,
        agree=agree,
    )


def schedule() -> Row:
    """1e6 schedule values"""
    need("torch")
    n = 1_000_000
    cosine = sy.schedules.cosine(3e-4, total_steps=n)
    steps = np.arange(n)

    def closed_form() -> list[float]:
        """torch's CosineAnnealingLR._get_closed_form_lr, one step at a time."""
        base, low = 3e-4, 0.0
        return [low + (base - low) * (1 + math.cos(math.pi * step / n)) / 2 for step in range(n)]

    return Row(
        work="1e6 values of a cosine schedule",
        ours=lambda: cosine(steps),
        peer=closed_form,
        against="a Python loop over the closed form of `CosineAnnealingLR`",
        package="torch",
        at_least=100.0,
        agree=lambda a, b: np.testing.assert_allclose(a, b, atol=1e-18),
    )


def denormal_states() -> Row:
    """AdamW, 1e7 f32, all states denormal"""
    n = 10_000_000

    def step(scale: float) -> Any:
        p, g = np.ones(n, np.float32), np.full(n, scale, np.float32)
        m, v = np.full(n, scale, np.float32), np.full(n, scale, np.float32)
        return lambda: sy.optim.adamw_(p, g, m, v, step=1000, lr=1e-6)

    return Row(
        work="AdamW, 1e7 f32, all states denormal (no flush to zero)",
        ours=step(1e-40),
        peer=step(1e-2),
        against="the same step on ordinary states",
        package="steelyard",
    )


def arrays_growth() -> Growth:
    """AdamW, f32 arrays of 64"""

    def make(count: int) -> Any:
        params = [np.ones(64, np.float32) for _ in range(count)]
        grads = [np.ones(64, np.float32) for _ in range(count)]
        opt = sy.AdamW(params, max_norm=1.0)
        return lambda: opt.step(grads)

    return Growth("AdamW, f32 arrays of 64", "array", [10, 100, 1000, 10_000, 100_000], make)


ROWS = [
    one_large_array, many_small_arrays, many_small_arrays_cold, very_small_arrays, in_one_piece, norm, largest, schedule,
    denormal_states,
]  # fmt: skip
GROWTH = [arrays_growth]

"""The body rule of ``torch.optim.AdamW(fused=True)``, bit for bit; and where torch leaves it.

torch's fused kernel uses another rule on the last ``n mod 8`` (float32), ``n mod 4`` (float64) or ``n mod 16``
(bfloat16, float16) elements of a tensor, where its second moment may differ in the last bit; there steelyard keeps one
rule. The 16-bit types are computed in float32, and every tensor is rounded once per step.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch

import steelyard as sy

WIDTH = {torch.float32: 8, torch.float64: 4, torch.bfloat16: 16, torch.float16: 16}
DTYPES = pytest.mark.parametrize("dtype", WIDTH, ids=[str(dtype).removeprefix("torch.") for dtype in WIDTH])
SIZES = [*range(1, 36), 61, 1000, 4096, 4097, 65_536 + 5, 100_003]
VARIANTS: dict[str, dict[str, Any]] = {
    "plain": {},
    "no decay": {"weight_decay": 0.0},
    "amsgrad": {"amsgrad": True},
    "maximize": {"maximize": True},
    "beta1 below one half": {"betas": (0.3, 0.999)},
    "beta1 one half": {"betas": (0.5, 0.9)},
    "beta1 zero": {"betas": (0.0, 0.999)},
    "large": {"lr": 0.3, "weight_decay": 0.7, "betas": (0.9, 0.95)},
    "all": {"amsgrad": True, "maximize": True, "betas": (0.2, 0.9), "eps": 1e-3},
}
STEPS = 5


def both(n: int, dtype: torch.dtype, options: dict[str, Any], steps: int = STEPS) -> list[dict[str, Any]]:
    """Every array of both optimizers after each of some steps on the same data."""
    generator = torch.Generator().manual_seed(n)
    draw = lambda: torch.randn(n, dtype=torch.float64, generator=generator).to(dtype)  # noqa: E731
    theirs = torch.nn.Parameter(draw())
    ours = theirs.detach().clone()
    options = {"lr": 1e-3} | options
    peer = torch.optim.AdamW([theirs], fused=True, **options)
    mine = sy.AdamW([ours], nonfinite="propagate", **options)
    seen = []
    for _ in range(steps):
        grad = draw()
        theirs.grad = grad.clone()
        peer.step()
        mine.step([grad])
        state, flat = peer.state[theirs], mine.state_dict()
        pairs = {"param": (array(theirs), array(ours))}
        for name in ("exp_avg", "exp_avg_sq", "max_exp_avg_sq"):
            if name in state:
                pairs[name] = (array(state[name]), flat[f"{name}/0"])
        seen.append(pairs)
    return seen


def array(x: torch.Tensor) -> np.ndarray:
    """A copy as an array; bfloat16 as its bits."""
    x = x.detach()
    return (x.view(torch.uint16) if x.dtype == torch.bfloat16 else x).numpy().copy()


def words(x: np.ndarray) -> np.ndarray:
    return x.view(f"u{x.dtype.itemsize}")


@DTYPES
@pytest.mark.parametrize("variant", VARIANTS)
def test_the_bits_of_torch_on_the_body(variant: str, dtype: torch.dtype, met: str) -> None:
    for n in SIZES:
        body = n - n % WIDTH[dtype]
        for step, pairs in enumerate(both(n, dtype, VARIANTS[variant]), 1):
            for name, (theirs, ours) in pairs.items():
                differ = np.flatnonzero(words(theirs)[:body] != words(ours)[:body])
                assert differ.size == 0, (
                    f"{name} differs at {differ[:5]} of {n} in step {step} ({variant}, {dtype}); met {met}: "
                    f"{theirs[differ[:3]]} {ours[differ[:3]]}"
                )


@DTYPES
def test_on_the_tail_the_second_moment_is_within_one_ulp(dtype: torch.dtype, met: str) -> None:
    for n in range(1, 36):
        pairs = both(n, dtype, {}, steps=1)[0]
        theirs, ours = pairs["exp_avg_sq"]
        gap = np.abs(words(theirs).astype(np.int64) - words(ours).astype(np.int64))
        assert gap.max() <= 1, met


@DTYPES
def test_special_values(dtype: torch.dtype, met: str) -> None:
    values = [0.0, -0.0, 1e-41, -1e-310, 1e20, 3e38, np.inf, -np.inf, np.nan, 1.0, -2.0, 5e-324, 1e-20, 7.0, 0.1, 9.0]
    grad = torch.tensor(values, dtype=torch.float64).to(dtype)
    for options in ({}, {"amsgrad": True}):
        theirs = torch.nn.Parameter(torch.ones(16, dtype=dtype))
        ours = torch.ones(16, dtype=dtype)
        peer = torch.optim.AdamW([theirs], fused=True, **options)
        mine = sy.AdamW([ours], nonfinite="propagate", **options)
        for _ in range(3):
            theirs.grad = grad.clone()
            peer.step()
            mine.step([grad])
            nan = torch.isnan(theirs.detach())
            assert torch.equal(nan, torch.isnan(ours)), met
            a, b = words(array(theirs)), words(array(ours))
            np.testing.assert_array_equal(a[~nan.numpy()], b[~nan.numpy()], err_msg=met)


def test_the_lost_decay_at_a_small_rate_is_torchs_too() -> None:
    """1 - lr * weight_decay is 1.0 in float32 at lr = 2e-6: both lose the decay; float64 keeps it."""
    for dtype, kept in ((torch.float32, False), (torch.float64, True)):
        ours, theirs = torch.ones(8, dtype=dtype), torch.nn.Parameter(torch.ones(8, dtype=dtype))
        theirs.grad = torch.zeros(8, dtype=dtype)
        torch.optim.AdamW([theirs], lr=2e-6, weight_decay=0.01, fused=True).step()
        sy.AdamW(ours, lr=2e-6, weight_decay=0.01).step(torch.zeros(8, dtype=dtype))
        assert bool((ours < 1).all()) is kept
        assert torch.equal(ours, theirs.detach())

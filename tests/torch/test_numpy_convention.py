"""``convention="torch"`` of the NumPy optimizers and of clipping: every bit of torch's, tails included.

As in ``test_convention.py`` these are the bits of torch with AVX2 or more, on one thread.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
import torch

import steelyard as sy

from .test_convention import DTYPES, VARIANTS

pytestmark = pytest.mark.skipif(
    torch.backends.cpu.get_cpu_capability() not in {"AVX2", "AVX512"}, reason="torch's rule without AVX2 is another"
)
SIZES = (1, 3, 7, 8, 15, 17, 33, 100, 1023, 4097, 65_541)


@pytest.fixture(autouse=True)
def _one_thread() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def drawn(seed: int, dtype: torch.dtype) -> list[torch.Tensor]:
    generator = torch.Generator().manual_seed(seed)
    return [torch.randn(n, dtype=torch.float64, generator=generator).to(dtype) for n in SIZES]


@DTYPES
@pytest.mark.parametrize("limit", [None, 0.7, 1e6])
@pytest.mark.parametrize("variant", ["plain", "amsgrad", "large"])
def test_every_bit_is_that_of_torchs_fused_step(dtype: torch.dtype, limit: float | None, variant: str) -> None:
    options = VARIANTS[variant]
    ours, theirs = drawn(0, dtype), [torch.nn.Parameter(x) for x in drawn(0, dtype)]
    mine = sy.AdamW(ours, convention="torch", max_norm=limit, **options)
    peer = torch.optim.AdamW(theirs, fused=True, **options)
    differs = False
    plain = drawn(0, dtype)
    other = sy.AdamW(plain, max_norm=limit, **options)
    for step in range(1, 5):
        grads = drawn(step, dtype)
        for param, grad in zip(theirs, grads, strict=True):
            param.grad = grad.clone()
        if limit is not None:
            norm = torch.nn.utils.clip_grad_norm_(theirs, limit)
        peer.step()
        info = mine.step(grads)
        other.step(grads)
        if limit is not None:
            assert info.grad_norm == norm.item()
        assert all(torch.equal(a, b) for a, b in zip(ours, theirs, strict=True))
        differs |= not all(torch.equal(a, b) for a, b in zip(plain, theirs, strict=True))
    assert differs or limit != 0.7 or dtype not in {torch.float32, torch.float64}  # our factor of clipping is another


@DTYPES
@pytest.mark.parametrize("limit", [0.7, 1e6])
def test_clipping_has_torchs_norm_and_factor(dtype: torch.dtype, limit: float) -> None:
    ours, theirs = drawn(3, dtype), [torch.nn.Parameter(torch.zeros_like(x)) for x in drawn(3, dtype)]
    for param, grad in zip(theirs, drawn(3, dtype), strict=True):
        param.grad = grad
    norm = torch.nn.utils.clip_grad_norm_(theirs, limit)
    assert sy.clip_by_global_norm_(ours, limit, convention="torch") == norm.item()
    assert all(torch.equal(a, b.grad) for a, b in zip(ours, theirs, strict=True) if b.grad is not None)


def test_what_torch_does_not_have_is_refused() -> None:
    refused: dict[str, Any] = {
        "cautious": True, "stable": True, "tight": True, "flush_denormals": True, "bias_correction": False,
        "decay": "independent", "state_dtype": "bfloat16", "rounding": "stochastic", "master": "kahan", "detail": True,
    }  # fmt: skip
    for option, value in refused.items():
        with pytest.raises(ValueError, match=f"{option}: expected .*convention='torch'"):
            sy.AdamW(np.ones(3, np.float16), convention="torch", **{option: value})
    opt = sy.AdamW(np.ones(3), convention="torch")
    for option in ("cautious", "detail"):
        with pytest.raises(ValueError, match=f"{option}: expected False with convention='torch'; got True"):
            setattr(opt, option, True)
    with pytest.raises(ValueError, match="convention: expected 'torch'; got 'numpy'"):
        sy.AdamW(np.ones(3), convention="numpy")  # type: ignore[arg-type]
    for given in ({"norm": 2.0}, {"norm_type": 1.0}):
        with pytest.raises(ValueError, match="convention: expected None with a norm"):
            sy.clip_by_global_norm_(np.ones(3), 1.0, convention="torch", **given)
    assert "convention='torch'" in repr(opt)

"""Moments in 8 bits: blocks of 256 codes with a scale, and the states of bitsandbytes and torchao that hold such codes.

A moment ``exp_avg`` is then a tensor of uint8 in the layout of its parameter, and ``exp_avg_scale`` has a float32 scale
for each block of 256 elements, in the order of memory.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from importlib import import_module
from typing import Any

import torch

from .. import _core
from .._descent import BESIDE, BLOCK, SCALE, SMALLEST
from ..errors import value_error
from ._tensors import empty_like, in_layout_of, is_laid_out_like, is_plain

__all__ = [
    "PLACES",
    "SCALE",
    "decoded",
    "encoded",
    "fitted",
    "from_others",
    "holds_codes",
    "takes_codes",
    "to_others",
    "to_torch",
    "zeros",
]

# The index that each moment has among those of its rule.
PLACES = {"exp_avg": 0, "momentum_buffer": 0, "exp_avg_sq": 1, "max_exp_avg_sq": 2}
# bitsandbytes' names for moments, and the key of the dictionary into which its state_dict puts them.
_THEIRS = {"exp_avg": "1", "momentum_buffer": "1", "exp_avg_sq": "2"}
_WRAPPED = "__bnb_optimizer_quant_state__"


def takes_codes(param: torch.Tensor) -> bool:
    """Whether the moments of a parameter are stored in 8 bits where that is asked for."""
    return param.numel() >= SMALLEST and param.dtype != torch.float64


def holds_codes(moment: Any) -> bool:
    """Whether a tensor holds codes."""
    return isinstance(moment, torch.Tensor) and moment.dtype == torch.uint8


def _signed(moment: str) -> bool:
    return _core.blocks8_signed(PLACES[moment])


def _flat(tensor: torch.Tensor) -> torch.Tensor:
    """The elements of a dense tensor in the order of memory."""
    return tensor.as_strided((tensor.numel(),), (1,))


def zeros(param: torch.Tensor, moment: str) -> tuple[torch.Tensor, torch.Tensor]:
    """The codes and scales of a moment of 0."""
    codes = empty_like(param, torch.uint8).fill_(127 if _signed(moment) else 0)
    return codes, torch.zeros(-(-param.numel() // BLOCK), dtype=torch.float32, device="cpu")


def encoded(param: torch.Tensor, values: torch.Tensor, moment: str) -> tuple[torch.Tensor, torch.Tensor]:
    """The codes and scales of a moment, in the layout of its parameter."""
    source = in_layout_of(param, values, torch.float32)
    found = _core.to_blocks8(_flat(source).numpy(), signed=_signed(moment))
    codes = empty_like(param, torch.uint8)
    _flat(codes).copy_(torch.from_numpy(found["codes"]))
    return codes, torch.from_numpy(found["scales"].copy())


def decoded(codes: torch.Tensor, scale: torch.Tensor, moment: str) -> torch.Tensor:
    """The values of a moment, in the layout of its codes."""
    dense = codes.detach().contiguous() if not is_plain(codes) else codes.detach()
    flat = _flat(dense).contiguous().numpy()
    values = torch.empty_like(dense, dtype=torch.float32, memory_format=torch.preserve_format)
    _flat(values).copy_(torch.from_numpy(_core.from_blocks8(flat, scale.contiguous().numpy(), signed=_signed(moment))))
    return values


def fitted(
    param: torch.Tensor, codes: torch.Tensor, scale: Any, moment: str, name: str
) -> tuple[torch.Tensor, torch.Tensor]:
    """Codes and scales in tensors that the core can take: coded anew where the parameter has another layout."""
    blocks = -(-codes.numel() // BLOCK)
    if not isinstance(scale, torch.Tensor) or scale.numel() != blocks:
        got = "none" if not isinstance(scale, torch.Tensor) else f"{scale.numel()}"
        raise value_error(f"{moment}{SCALE} of {name}", f"{blocks} scales, one for each block of {BLOCK} codes", got)
    scale = scale.detach().to("cpu", torch.float32).reshape(blocks).contiguous()
    if is_plain(codes) and codes.device.type == "cpu" and is_laid_out_like(codes, empty_like(param)):
        return codes, scale
    return encoded(param, decoded(codes.to("cpu"), scale, moment), moment)


def from_others(state: Mapping[Any, Any], kept: Sequence[str]) -> dict[Any, Any]:
    """The state of one parameter by the names used here, if it was saved by bitsandbytes or torchao.

    ``kept`` are the moments of the optimizer's rule.
    """
    found = {key: value for key, value in state.items() if key != _WRAPPED} | dict(state.get(_WRAPPED, {}))
    for moment in (moment for moment in kept if moment in _THEIRS):
        number = _THEIRS[moment]
        if f"state{number}" in found:
            value, scale = found.pop(f"state{number}"), found.pop(f"absmax{number}", None)
            _put(found, moment, value, scale, found.pop(f"qmap{number}", None))
    for moment, value in list(found.items()):
        if type(value).__name__ == "OptimState8bit":
            if value.block_size == BLOCK:
                _put(found, moment, value.codes, value.scale, value.qmap)
            else:
                found[moment] = value.dequantize(torch.float32)
    return found


def _put(found: dict[Any, Any], moment: str, value: torch.Tensor, scale: Any, qmap: Any) -> None:
    """Put a moment among the entries: its codes, or its values where the numbers of its codes are not those here."""
    found[moment] = value
    if not holds_codes(value):
        return
    own = torch.from_numpy(_core.blocks8_map(_signed(moment)).copy())
    # torch computes the table with or without a fused multiply-add, which changes its last two bits.
    if qmap is None or torch.allclose(qmap.to("cpu", torch.float32), own, rtol=1e-6, atol=0.0):
        found[moment + SCALE] = scale
        return
    scales = scale.repeat_interleave(BLOCK)[: value.numel()].reshape(value.shape)
    found[moment] = qmap[value.int()] * scales


def to_torch(state: Mapping[str, Any]) -> dict[str, Any]:
    """The state of one parameter as torch's optimizers have it."""
    own = {key: value for key, value in state.items() if not key.endswith(SCALE) and key not in BESIDE.values()}
    coded = [key for key in PLACES if key in own and holds_codes(own[key])]
    return own | {key: decoded(own[key], state[key + SCALE], key) for key in coded}


def to_others(state: Mapping[str, Any], library: str) -> dict[str, Any]:
    """The state of one parameter as ``"bitsandbytes"`` or ``"torchao"`` has it."""
    moments = [key for key in PLACES if key in state]
    if library == "torchao":
        if moments and "exp_avg_sq" not in moments:
            raise value_error("state_dict", "the state of AdamW or Adam, which torchao has in 8 bits", moments[0])
        own = {key: value for key, value in state.items() if not key.endswith(SCALE) and key not in BESIDE.values()}
        return own | {moment: _torchao(state, moment) for moment in moments}
    if "max_exp_avg_sq" in moments:
        raise value_error("state_dict", "no amsgrad, which bitsandbytes has not", "max_exp_avg_sq")
    wrapped: dict[str, Any] = {}
    for moment in moments:
        number, value = _THEIRS[moment], state[moment]
        wrapped[f"state{number}"] = value.contiguous() if not holds_codes(value) else _in_order(state, moment)[0]
        if holds_codes(value):
            wrapped[f"absmax{number}"] = _in_order(state, moment)[1]
            wrapped[f"qmap{number}"] = torch.from_numpy(_core.blocks8_map(_signed(moment)).copy())
    return {"step": int(state["step"].item()), _WRAPPED: wrapped}


def _in_order(state: Mapping[str, Any], moment: str) -> tuple[torch.Tensor, torch.Tensor]:
    """Codes and scales with the elements in their logical order, as a contiguous parameter has them."""
    codes, scale = state[moment], state[moment + SCALE]
    if codes.is_contiguous():
        return codes, scale
    values = decoded(codes, scale, moment).contiguous()
    return encoded(values, values, moment)


def _torchao(state: Mapping[str, Any], moment: str) -> Any:
    """A moment as torchao has it. It has no codes for tensors whose last block is not whole."""
    value = state[moment]
    if not holds_codes(value):
        return value
    codes, scale = _in_order(state, moment)
    if codes.numel() % BLOCK:
        return decoded(codes, scale, moment)
    kind = import_module("torchao.optim.subclass_8bit").OptimState8bit
    qmap = torch.from_numpy(_core.blocks8_map(_signed(moment)).copy())
    return kind(codes, scale, qmap, _signed(moment), torch.float32)

"""The state of a parameter: made at its first step, saved and loaded under the names of torch's AdamW."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch

from ..errors import shown, type_error, value_error
from ._tensors import empty_like, in_layout_of, is_laid_out_like, is_plain

__all__ = ["Kept", "keep", "prepare", "taken"]


# The number from which on float32 cannot count by ones.
_LAST_SINGLE = 2**24


def prepare(state: dict[str, Any], param: torch.Tensor, moments: tuple[str, ...], name: str) -> None:
    """Give a parameter the state that it lacks, with moments of 0, and put the state that it has into its layout."""
    if "step" not in state:
        # As in torch: a tensor without axes, in float64 where that is the default type.
        dtype = torch.float64 if torch.get_default_dtype() is torch.float64 else torch.float32
        state["step"] = torch.zeros((), dtype=dtype, device="cpu")
    for moment in moments:
        if moment not in state:
            state[moment] = empty_like(param).zero_()
        state[moment] = _fitting(state[moment], param, f"{moment} of {name}")
    state["step"] = _counter(state["step"], f"step of {name}")


def _fitting(moment: Any, param: torch.Tensor, name: str) -> torch.Tensor:
    """The moment, in a tensor that the core can take: a copy where it is not one already."""
    if not isinstance(moment, torch.Tensor):
        raise type_error(name, "a tensor", shown(moment))
    if moment.shape != param.shape:
        raise value_error(name, f"a tensor of shape {tuple(param.shape)}, like the parameter", f"{tuple(moment.shape)}")
    fits = is_plain(moment) and moment.dtype == param.dtype and moment.device == param.device
    if fits and is_laid_out_like(moment, empty_like(param)):
        return moment
    return in_layout_of(param, moment, param.dtype)


def _counter(step: Any, name: str) -> torch.Tensor:
    """The number of steps as a tensor that can count on: float32 as torch has it, float64 where that is not enough."""
    tensor = step if isinstance(step, torch.Tensor) else torch.tensor(float(step))
    if tensor.numel() != 1:
        raise value_error(name, "a tensor of one element", f"one of shape {tuple(tensor.shape)}")
    if tensor.dtype == torch.float32 and tensor.item() >= _LAST_SINGLE:
        return tensor.to("cpu", torch.float64)
    fits = is_plain(tensor) and tensor.dtype in (torch.float32, torch.float64) and tensor.device.type == "cpu"
    return tensor if fits else tensor.detach().to("cpu", torch.float32, copy=True)


class Kept:
    """A saved tensor on its way through ``torch.optim.Optimizer.load_state_dict``.

    That method casts every tensor of the state to the parameter's type. What it does not know it hands on unchanged.
    """

    def __init__(self, tensor: torch.Tensor) -> None:
        self.tensor = tensor


def keep(optimizer: Any, state_dict: dict[str, Any]) -> dict[str, Any]:
    """A hook before loading: wrap the saved tensors."""
    saved = state_dict["state"]
    return state_dict | {"state": {key: _wrapped(value) for key, value in saved.items()}}


def _wrapped(state: Any) -> Any:
    if not isinstance(state, Mapping):
        return state
    return {key: Kept(value) if isinstance(value, torch.Tensor) else value for key, value in state.items()}


def taken(param: torch.Tensor, state: Any, name: str) -> Any:
    """What was saved for a parameter, copied into tensors that are the optimizer's own."""
    if not isinstance(state, Mapping):
        raise type_error(f"state of {name}", "a dictionary", shown(state))
    return {key: _taken(param, key, value, name) for key, value in state.items()}


def _taken(param: torch.Tensor, key: str, value: Any, name: str) -> Any:
    if key == "step":
        tensor = value.tensor if isinstance(value, Kept) else torch.tensor(float(value))
        return tensor.detach().to("cpu", copy=True)
    if not isinstance(value, Kept):
        return value
    tensor = value.tensor
    if tensor.shape != param.shape:
        got = f"one of shape {tuple(tensor.shape)}"
        raise value_error(f"state of {name}: {key}", f"a tensor of shape {tuple(param.shape)}", got)
    return in_layout_of(param, tensor, param.dtype)

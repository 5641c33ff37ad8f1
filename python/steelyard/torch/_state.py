"""The state of a parameter: made at its first step, saved and loaded under the names of torch's AdamW."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch

from ..errors import shown, type_error, value_error
from ._tensors import empty_like, in_layout_of

__all__ = ["Kept", "begin", "keep", "taken"]


def begin(state: dict[str, Any], param: torch.Tensor, moments: tuple[str, ...]) -> None:
    """Give a parameter the state that it lacks, with moments of 0."""
    if "step" not in state:
        # As in torch: a tensor without axes, in float64 where that is the default type.
        dtype = torch.float64 if torch.get_default_dtype() is torch.float64 else torch.float32
        state["step"] = torch.zeros((), dtype=dtype, device="cpu")
    for moment in moments:
        if moment not in state:
            state[moment] = empty_like(param).zero_()


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

"""The options of parameter groups: read anew at every step, since users and schedulers edit them in place."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import Any, NamedTuple

import torch

from .._options import at_least_zero, choice, flag, number
from ..errors import shown, type_error, value_error

__all__ = ["Hyper", "check_own", "complete", "hyper_of", "place_of", "refuse_unsupported"]


class Hyper(NamedTuple):
    """The options with which the parameters of one group are updated in one step."""

    lr: float
    beta1: float
    beta2: float
    eps: float
    weight_decay: float
    maximize: bool
    amsgrad: bool


def place_of(index: int) -> str:
    """What messages call a group."""
    return f"param_groups[{index}]"


def hyper_of(group: Mapping[str, Any], place: str) -> Hyper:
    """Read and check the options of a group; ``place`` is what messages write before the option's name."""
    name = partial(named, place=place)
    beta1, beta2 = _betas(group["betas"], name("betas"))
    return Hyper(
        at_least_zero(name("lr"), _one(group["lr"])),
        beta1,
        beta2,
        at_least_zero(name("eps"), group["eps"]),
        at_least_zero(name("weight_decay"), group["weight_decay"]),
        flag(group["maximize"], name("maximize")),
        flag(group["amsgrad"], name("amsgrad")),
    )


def _one(value: Any) -> Any:
    """The number in a tensor of one element, which torch takes for a number whatever its axes."""
    return value.reshape(()) if isinstance(value, torch.Tensor) and value.numel() == 1 else value


def _betas(betas: Any, name: str) -> tuple[float, float]:
    if not (isinstance(betas, tuple | list) and len(betas) == 2):
        raise type_error(name, "two numbers", shown(betas))
    found = [number(_one(beta), f"{name}[{index}]") for index, beta in enumerate(betas)]
    for index, beta in enumerate(found):
        if not 0.0 <= beta < 1.0:
            raise value_error(f"{name}[{index}]", "at least 0 and below 1", repr(beta))
    return found[0], found[1]


def complete(group: dict[str, Any], own: Mapping[str, Any], defaults: Mapping[str, Any]) -> None:
    """Give a group that was saved, perhaps by torch's class, the options that it lacks; those for GPUs have no use."""
    for option, default in defaults.items():
        group.setdefault(option, own.get(option, default))
    for option in (*_UNSUPPORTED, "decoupled_weight_decay"):
        group[option] = defaults[option]


STATE_DTYPES = ("float32", "bfloat16", "8bit")


def check_own(group: dict[str, Any], place: str) -> None:
    """Check the options that torch's optimizers have not, and write them as a saved group can hold them.

    Those with their default are left out, so that groups look like torch's.
    """
    value = group.pop("state_dtype", None)
    if value is not None:
        text = str(value).removeprefix("torch.") if isinstance(value, torch.dtype) else value
        group["state_dtype"] = choice(text, named("state_dtype", place), STATE_DTYPES)


def named(option: str, place: str) -> str:
    """What messages call an option: of a group, or (without a place) of the optimizer."""
    return f"{place}[{option!r}]" if place else option


# What torch's optimizers offer and these do not, with what to use instead.
_UNSUPPORTED = {
    "capturable": "it captures steps in CUDA graphs, and these parameters are on the CPU; leave it out",
    "differentiable": "gradients do not flow through this step; use torch.optim for that",
}
# What holds for the whole optimizer, and so cannot differ between groups.
_GLOBAL = ("max_norm", "nonfinite")


def refuse_unsupported(group: Mapping[str, Any], place: str) -> None:
    """Refuse options that would change what a step does in a way that these optimizers do not offer."""
    for option, fix in _UNSUPPORTED.items():
        if group.get(option):
            raise value_error(named(option, place), "False", "True", fix)
    for option in _GLOBAL:
        if place and option in group:
            fix = "one norm is taken over all groups: pass it to the optimizer"
            raise value_error(named(option, place), "nothing", shown(group[option]), fix)

"""The options of parameter groups: read anew at every step, since users and schedulers edit them in place."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from math import inf
from typing import Any, NamedTuple

import torch

from .._options import at_least_zero, choice, flag, number
from ..errors import shown, type_error, value_error

__all__ = [
    "ADAM",
    "LION",
    "SGD",
    "Hyper",
    "Rule",
    "check_own",
    "complete",
    "hyper_of",
    "place_of",
    "refuse_unsupported",
]


class Rule(NamedTuple):
    """What the rule of an optimizer reads in a group, and what it keeps of each parameter."""

    name: str
    """The core's name of the rule."""
    options: tuple[str, ...]
    """What every group has."""
    own: tuple[str, ...]
    """What a group may have besides: options that torch's optimizers have not."""
    moments: Callable[[Mapping[str, Any]], tuple[str, ...]]
    """The keys of the moments in a parameter's state."""


class Hyper(NamedTuple):
    """How the parameters of one group are updated in one step."""

    options: dict[str, Any]
    """As the core takes them."""
    moments: tuple[str, ...]


_SHARED = ("decay", "max_lr", "tight", "flush_denormals")
ADAM = Rule(
    "adamw",
    ("lr", "betas", "eps", "weight_decay", "amsgrad", "maximize"),
    (*_SHARED, "bias_correction", "cautious", "stable"),
    lambda group: ("exp_avg", "exp_avg_sq", "max_exp_avg_sq")[: 3 if group["amsgrad"] else 2],
)
LION = Rule("lion", ("lr", "betas", "weight_decay", "maximize"), (*_SHARED, "cautious"), lambda group: ("exp_avg",))
SGD = Rule(
    "sgd",
    ("lr", "momentum", "dampening", "weight_decay", "nesterov", "maximize"),
    _SHARED,
    lambda group: ("momentum_buffer",) if group["momentum"] else (),
)

DECAYS = ("decoupled", "l2", "independent", "corrected")
# The kinds of decay that relate the rate to the largest one.
_RELATIVE = ("independent", "corrected")
STATE_DTYPES = ("float32", "bfloat16", "8bit")


def place_of(index: int) -> str:
    """What messages call a group."""
    return f"param_groups[{index}]"


def named(option: str, place: str) -> str:
    """What messages call an option: of a group, or (without a place) of the optimizer."""
    return f"{place}[{option!r}]" if place else option


def _one(value: Any) -> Any:
    """The number in a tensor of one element, which torch takes for a number whatever its axes."""
    return value.reshape(()) if isinstance(value, torch.Tensor) and value.numel() == 1 else value


def _betas(name: str, betas: Any) -> tuple[float, float]:
    if not (isinstance(betas, tuple | list) and len(betas) == 2):
        raise type_error(name, "two numbers", shown(betas))
    found = [number(_one(beta), f"{name}[{index}]") for index, beta in enumerate(betas)]
    for index, beta in enumerate(found):
        if not 0.0 <= beta < 1.0:
            raise value_error(f"{name}[{index}]", "at least 0 and below 1", repr(beta))
    return found[0], found[1]


def _state_dtype(name: str, value: Any) -> str:
    text = str(value).removeprefix("torch.") if isinstance(value, torch.dtype) else value
    return choice(text, name, STATE_DTYPES)


def _largest_rate(name: str, value: Any) -> float:
    found = number(_one(value), name)
    if not 0.0 < found < inf:
        raise value_error(name, "a finite rate above 0", repr(found))
    return found


def _amount(name: str, value: Any) -> float:
    return at_least_zero(name, _one(value))


def _flag(name: str, value: Any) -> bool:
    return flag(value, name)


# How each option is checked: its name in messages and its value in, the value as the core takes it out.
_CHECKS: dict[str, Callable[[str, Any], Any]] = {
    **dict.fromkeys(("lr", "eps", "weight_decay", "momentum"), _amount),
    **dict.fromkeys(("maximize", "amsgrad", "nesterov", "tight", "flush_denormals"), _flag),
    **dict.fromkeys(("bias_correction", "cautious", "stable"), _flag),
    "betas": _betas,
    "dampening": lambda name, value: number(_one(value), name),
    "decay": lambda name, value: choice(value, name, DECAYS),
    "max_lr": _largest_rate,
    "state_dtype": _state_dtype,
}
# The defaults of the options that torch's optimizers have not; groups that have the default do not name them.
_OWN: dict[str, Any] = {
    "decay": None,
    "max_lr": None,
    "bias_correction": True,
    "cautious": False,
    "stable": False,
    "tight": False,
    "flush_denormals": False,
    "state_dtype": None,
}


def hyper_of(group: Mapping[str, Any], place: str, rule: Rule) -> Hyper:
    """Read and check the options of a group; ``place`` is what messages write before an option's name."""
    # OneCycleLR keeps a max_lr of its own in the groups.
    unread = () if group.get("decay") in _RELATIVE else ("max_lr",)
    given = [*rule.options, *(option for option in rule.own if option in group and option not in unread)]
    found = {option: _CHECKS[option](named(option, place), group[option]) for option in given}
    found.setdefault("decay", "decoupled" if group.get("decoupled_weight_decay") else "l2")
    _check_together(found, place, rule)
    moments = rule.moments(found)
    found.pop("amsgrad", None)
    if "betas" in found:
        found["beta1"], found["beta2"] = found.pop("betas")
    return Hyper({"rule": rule.name, **found}, moments)


def _check_together(found: dict[str, Any], place: str, rule: Rule) -> None:
    """Refuse options that do not go together; add the largest rate where the decay needs it."""
    decay = found["decay"]
    if decay == "l2" and rule is LION and found["weight_decay"]:
        fix = "Lion takes the sign of the gradient, in which the size of a decay is lost"
        raise value_error(named("decay", place), "'decoupled', 'independent' or 'corrected'", "'l2'", fix)
    if decay == "l2" and found.get("tight"):
        fix = "decay='l2' is part of the gradient, so that a parameter is rounded once already"
        raise value_error(named("tight", place), "False with decay='l2'", "True", fix)
    if decay in _RELATIVE and "max_lr" not in found:
        expected = f"the largest learning rate, to which decay={decay!r} relates the rate"
        raise value_error(named("max_lr", place), expected, "None")
    if found.get("nesterov") and not (found["momentum"] > 0.0 and found["dampening"] == 0.0):
        got = f"True, with momentum={found['momentum']:g} and dampening={found['dampening']:g}"
        raise value_error(named("nesterov", place), "False unless momentum is above 0 and dampening 0", got)


def complete(group: dict[str, Any], own: Mapping[str, Any], defaults: Mapping[str, Any]) -> None:
    """Give a group that was saved, perhaps by torch's class, the options that it lacks; those for GPUs have no use."""
    for option, default in defaults.items():
        group.setdefault(option, own.get(option, default))
    for option in (*_UNSUPPORTED, "decoupled_weight_decay"):
        if option in defaults:
            group[option] = defaults[option]


def check_own(group: dict[str, Any], place: str, rule: Rule) -> None:
    """Check the options that torch's optimizers have not, and write them as a saved group can hold them.

    Those with their default are left out, so that groups look like torch's.
    """
    for option, default in _OWN.items():
        value = group.pop(option, default)
        if value is default:
            continue
        if option not in (*rule.own, "state_dtype"):
            raise value_error(named(option, place), f"nothing: {rule.name} does not take it", shown(value))
        if option == "max_lr" and not place and group.get("decay") not in _RELATIVE:
            fix = f"only {' and '.join(map(repr, _RELATIVE))} decay take it"
            raise value_error(option, "None with this decay", shown(value), fix)
        group[option] = _CHECKS[option](named(option, place), value)


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

"""The options of parameter groups: read anew at every step, since users and schedulers edit them in place."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from difflib import get_close_matches
from operator import is_
from typing import Any, NamedTuple

import torch

from .._descent import RELATIVE, beta, l2_of_lion, largest_rate, nesterov_alone, tight_with_l2, unused_largest_rate
from .._options import at_least_zero, choice, flag, number
from .._registries import names
from ..errors import shown, type_error, value_error

__all__ = [
    "ADAM",
    "LION",
    "MAX_LR",
    "SGD",
    "Hyper",
    "Hypers",
    "Rule",
    "check_own",
    "checked",
    "complete",
    "hyper_of",
    "name_all",
    "named",
    "own_default",
    "place_of",
    "refuse_unsupported",
    "without_defaults",
]


class Rule(NamedTuple):
    """What the rule of an optimizer reads in a group, and what it keeps of each parameter."""

    name: str
    """The core's name of the rule."""
    options: tuple[str, ...]
    """What every group has."""
    own: tuple[str, ...]
    """What a group may have besides: options that torch's optimizers have not."""
    decoupled: bool
    """Whether weight decay is decoupled where a group does not say how it enters."""
    moments: Callable[[Mapping[str, Any]], tuple[str, ...]]
    """The keys of the moments that an update with these options needs in a parameter's state."""
    kept: tuple[str, ...]
    """All keys of moments that may be there, in the order of the core."""
    always: tuple[str, ...]
    """Those of them that every state has."""


class Hyper(NamedTuple):
    """How the parameters of one group are updated in one step."""

    options: dict[str, Any]
    """As the core takes them."""
    moments: tuple[str, ...]
    state_dtype: str | None
    """What the moments are stored as; None: as the parameter."""


# A group has the largest rate under this name: OneCycleLR writes a max_lr of its own into groups.
MAX_LR = "decay_max_lr"
_SHARED = ("decay", MAX_LR, "tight", "flush_denormals", "state_dtype")
ADAM = Rule(
    name="adamw",
    options=("lr", "betas", "eps", "weight_decay", "amsgrad", "maximize", "decoupled_weight_decay"),
    own=(*_SHARED, "bias_correction", "cautious", "stable"),
    decoupled=True,
    moments=lambda group: ("exp_avg", "exp_avg_sq", "max_exp_avg_sq")[: 3 if group["amsgrad"] else 2],
    kept=("exp_avg", "exp_avg_sq", "max_exp_avg_sq"),
    always=("exp_avg", "exp_avg_sq"),
)
LION = Rule(
    name="lion",
    options=("lr", "betas", "weight_decay", "maximize"),
    own=(*_SHARED, "cautious"),
    decoupled=True,
    moments=lambda group: ("exp_avg",),
    kept=("exp_avg",),
    always=("exp_avg",),
)
SGD = Rule(
    name="sgd",
    options=("lr", "momentum", "dampening", "weight_decay", "nesterov", "maximize"),
    own=_SHARED,
    decoupled=False,
    moments=lambda group: ("momentum_buffer",) if group["momentum"] else (),
    kept=("momentum_buffer",),
    always=(),
)

STATE_DTYPES = ("float32", "bfloat16", "8bit")


def place_of(index: int | None) -> str:
    """What messages call a group; nothing for the options of the optimizer itself."""
    return "" if index is None else f"param_groups[{index}]"


def named(option: str, place: str) -> str:
    """What messages call an option: of a group, or (without a place) of the optimizer."""
    return f"{place}[{option!r}]" if place else {MAX_LR: "max_lr"}.get(option, option)


def _one(value: Any) -> Any:
    """The number in a tensor of one element, which torch takes for a number whatever its axes."""
    return value.reshape(()) if isinstance(value, torch.Tensor) and value.numel() == 1 else value


def _betas(name: str, betas: Any) -> tuple[float, float]:
    if not (isinstance(betas, tuple | list) and len(betas) == 2):
        raise type_error(name, "two numbers", shown(betas))
    first, second = (beta(_one(value), f"{name}[{index}]") for index, value in enumerate(betas))
    return first, second


def _decay(name: str, value: Any) -> str | None:
    return None if value is None else choice(value, name, names("optim.decay"))


def _state_dtype(name: str, value: Any) -> str | None:
    if value is None:
        return None
    text = str(value).removeprefix("torch.") if isinstance(value, torch.dtype) else value
    return choice(text, name, STATE_DTYPES)


def _largest_rate(name: str, value: Any) -> float | None:
    return None if value is None else largest_rate(_one(value), name)


def _amount(name: str, value: Any) -> float:
    return at_least_zero(name, _one(value))


def _flag(name: str, value: Any) -> bool:
    return flag(value, name)


# How each option is checked: its name in messages and its value in, the value as the core takes it out.
_CHECKS: dict[str, Callable[[str, Any], Any]] = {
    **dict.fromkeys(("lr", "eps", "weight_decay", "momentum"), _amount),
    **dict.fromkeys(("maximize", "amsgrad", "nesterov", "tight", "flush_denormals"), _flag),
    **dict.fromkeys(("bias_correction", "cautious", "stable", "decoupled_weight_decay"), _flag),
    "betas": _betas,
    "dampening": lambda name, value: number(_one(value), name),
    "decay": _decay,
    MAX_LR: _largest_rate,
    "state_dtype": _state_dtype,
}
# What the options that torch's optimizers have not are where neither a group nor its optimizer says anything.
_OWN: dict[str, Any] = {
    "decay": None,
    MAX_LR: None,
    "bias_correction": True,
    "cautious": False,
    "stable": False,
    "tight": False,
    "flush_denormals": False,
    "state_dtype": None,
}


def own_default(option: str) -> Any:
    """What an option that torch's optimizers have not is where nothing is said."""
    return _OWN[option]


def checked(option: str, index: int | None, value: Any) -> Any:
    """An option as the core takes it; ``index`` is that of its group, None for the options of the optimizer itself."""
    return _CHECKS[option](named(option, place_of(index)), value)


def hyper_of(group: Mapping[str, Any], place: str, rule: Rule) -> Hyper:
    """Read and check the options of a group; ``place`` is what messages write before an option's name."""
    given = [*rule.options, *(option for option in rule.own if option in group)]
    found = {option: _CHECKS[option](named(option, place), group[option]) for option in given}
    state_dtype = found.pop("state_dtype", None)
    decoupled = found.pop("decoupled_weight_decay", rule.decoupled)
    found["decay"] = found.get("decay") or ("decoupled" if decoupled else "l2")
    found["max_lr"] = found.pop(MAX_LR, None)
    _check_together(found, place, rule)
    if found["max_lr"] is None:
        del found["max_lr"]
    moments = rule.moments(found)
    found.pop("amsgrad", None)
    if "betas" in found:
        found["beta1"], found["beta2"] = found.pop("betas")
    return Hyper({"rule": rule.name, **found}, moments, state_dtype)


class Hypers:
    """The options of all groups, which are checked again only where somebody has written another value."""

    def __init__(self, rule: Rule, read: Callable[[Mapping[str, Any], str, Rule], Hyper]) -> None:
        self._rule, self._read = rule, read
        self._keys = (*rule.options, *rule.own, *_GLOBAL, *_UNSUPPORTED)
        self._known: dict[int, tuple[list[Any], Hyper]] = {}

    def read(self, group: Mapping[str, Any], place: str) -> Hyper:
        """Read and check the options of a group; ``place`` is what messages write before an option's name."""
        _refuse_whole(group, place)
        return self._read(group, place, self._rule)

    def of(self, groups: list[dict[str, Any]]) -> list[Hyper]:
        """Read the options of the groups as they are now."""
        return [self._of_group(index, group) for index, group in enumerate(groups)]

    def _of_group(self, index: int, group: dict[str, Any]) -> Hyper:
        values = list(map(group.get, self._keys))
        known = self._known.get(index)
        if known is not None and all(map(is_, values, known[0])):
            return known[1]
        hyper = self.read(group, place_of(index))
        if all(map(_stays, values)):
            self._known[index] = values, hyper
        return hyper


def _stays(value: Any) -> bool:
    """Whether a value cannot change in its place, as a tensor or a list can."""
    return all(map(_stays, value)) if type(value) is tuple else value is None or type(value) in (float, int, bool, str)


def _check_together(found: dict[str, Any], place: str, rule: Rule) -> None:
    """Refuse options that do not go together."""
    decay = found["decay"]
    if decay == "l2" and rule is LION:
        raise l2_of_lion(named("decay", place))
    if decay == "l2" and found.get("tight"):
        raise tight_with_l2(named("tight", place))
    if decay in RELATIVE and found["max_lr"] is None:
        expected = f"the largest learning rate, to which decay={decay!r} relates the rate"
        raise value_error(named(MAX_LR, place), expected, "None")
    if found.get("nesterov") and not (found["momentum"] > 0.0 and found["dampening"] == 0.0):
        raise nesterov_alone(named("nesterov", place), found["momentum"], found["dampening"])


def without_defaults(defaults: dict[str, Any], rule: Rule) -> dict[str, Any]:
    """The options of an optimizer without those of ours that say nothing: groups then have the keys of torch's."""
    for option, value in _OWN.items():
        if option in defaults:
            defaults[option] = _CHECKS[option](named(option, ""), defaults[option])
            if defaults[option] == value:
                del defaults[option]
    if MAX_LR in defaults and defaults.get("decay") not in RELATIVE:
        raise unused_largest_rate("max_lr", hyper_of(defaults, "", rule).options["decay"], defaults[MAX_LR])
    return defaults


def check_own(group: dict[str, Any], place: str, rule: Rule) -> None:
    """Check the options that torch's optimizers have not, and write them as a saved group can hold them."""
    if "max_lr" in group and group.get("decay") in RELATIVE:
        group.setdefault(MAX_LR, group.pop("max_lr"))
    for option, default in _OWN.items():
        if option not in group:
            continue
        if option in rule.own:
            group[option] = _CHECKS[option](named(option, place), group[option])
        elif group.pop(option) != default:
            raise value_error(named(option, place), f"nothing: {rule.name} does not take it", "it")


def name_all(groups: Iterable[dict[str, Any]], rule: Rule) -> None:
    """Let groups that are saved name all options that torch's have not, where one of them names any.

    So what was saved holds in an optimizer with other options. A state in which none is named is that of torch's class
    too, which says nothing about them.
    """
    groups = list(groups)
    if any(option in group for group in groups for option in rule.own):
        for group in groups:
            for option in rule.own:
                group.setdefault(option, _OWN[option])


def complete(
    group: dict[str, Any], own: Mapping[str, Any], defaults: Mapping[str, Any], rule: Rule, forced: tuple[str, ...]
) -> None:
    """Give a group that was saved, perhaps by torch's class, the options that it lacks.

    Those of ``forced`` are the optimizer's in any case, as are those for GPUs, which have no use, and a type of the
    moments that was asked for: it says how much memory there is here, and not how the training goes on.
    """
    for option in (*defaults, *rule.own):
        if option in own:
            group.setdefault(option, own[option])
    group.pop("copy_to", None)
    if "copy_to" in own:
        group["copy_to"] = own["copy_to"]
    if own.get("state_dtype") is not None:
        group["state_dtype"] = own["state_dtype"]
    for option in (*_UNSUPPORTED, *forced):
        if option in defaults:
            group[option] = defaults[option]


# What torch's optimizers offer and these do not, with what to use instead.
_UNSUPPORTED = {
    "capturable": "it captures steps in CUDA graphs, and these parameters are on the CPU; leave it out",
    "differentiable": "gradients do not flow through this step; use torch.optim for that",
}
# What holds for the whole optimizer, and so cannot differ between groups: why.
_GLOBAL = {
    "max_norm": "one norm is taken over all groups",
    "nonfinite": "a step is made for all groups or for none",
    "rounding": "it holds for all groups",
    "seed": "it holds for all groups",
    "master": "it holds for all groups",
    "detail": "it holds for all groups",
    "convention": "it holds for all groups",
}


def refuse_unsupported(group: Mapping[str, Any], place: str, rule: Rule) -> None:
    """Refuse options that would change what a step does in a way that these optimizers do not offer.

    Other entries are let through, as in torch: wrappers and schedulers keep theirs in groups. One that is spelt almost
    like an option is no such entry.
    """
    _refuse_whole(group, place)
    if not place:
        return
    known = (*rule.options, *rule.own, *_GLOBAL, *_UNSUPPORTED, "copy_to")
    for option in group:
        if option not in (*known, *_FOREIGN) and (near := get_close_matches(str(option), known, 1, 0.8)):
            raise value_error(place, f"options such as {near[0]!r}", repr(option))


def _refuse_whole(group: Mapping[str, Any], place: str) -> None:
    """Refuse what no group can have: what these optimizers do not offer, and what holds for all groups."""
    for option, fix in _UNSUPPORTED.items():
        if group.get(option):
            raise value_error(named(option, place), "False", "True", fix)
    if not place:
        return
    for option, reason in _GLOBAL.items():
        if option in group:
            fix = f"{reason}: pass it to the optimizer"
            raise value_error(named(option, place), "nothing", shown(group[option]), fix)


# Entries that torch's schedulers and optimizers write into groups, and that are spelt like others.
_FOREIGN = ("params", "param_names", "initial_lr", "max_lr", "min_lr", "swa_lr", "max_momentum", "base_momentum")

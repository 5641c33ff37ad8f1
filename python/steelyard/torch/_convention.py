"""``convention="torch"``: every bit of torch's fused step. What has no counterpart there is refused with it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from .._options import choice
from ..errors import shown, value_error
from ._groups import MAX_LR, Hyper, Rule, hyper_of, named, own_default

__all__ = ["READERS", "refuse_known_norm", "takes_torch"]


def takes_torch(convention: str | None, stochastic: bool) -> bool:
    """Whether an optimizer has torch's convention."""
    if convention is None:
        return False
    choice(convention, "convention", ("torch",))
    if stochastic:
        raise value_error("rounding", "'nearest' with convention='torch'", "'stochastic'")
    return True


def _as_torch(group: Mapping[str, Any], place: str, rule: Rule) -> Hyper:
    """The options of a group in torch's convention."""
    hyper = hyper_of(group, place, rule)
    own = {option: group.get(option, own_default(option)) for option in rule.own if option not in {"decay", MAX_LR}}
    for option, value in own.items():
        if value != own_default(option):
            raise value_error(named(option, place), f"{own_default(option)!r} with convention='torch'", shown(value))
    if hyper.options["decay"] not in {"decoupled", "l2"}:
        expected = "'decoupled' or 'l2' with convention='torch'"
        raise value_error(named("decay", place), expected, repr(hyper.options["decay"]))
    return hyper._replace(options=hyper.options | {"torch": True})


# How the options of a group are read: whether in torch's convention.
READERS = {False: hyper_of, True: _as_torch}


def refuse_known_norm(torchs: bool, norm: float | None) -> float | None:
    """Refuse a norm that was taken elsewhere, in another order than torch's; return it."""
    if torchs and norm is not None:
        fix = "leave the convention out: that norm is exact, and the same for every number of processes"
        expected = "None where the norm is taken during backward or over several processes"
        raise value_error("convention", expected, "'torch'", fix)
    return norm

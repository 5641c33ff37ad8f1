"""What a step of the core did, in the terms of torch: parameters by their names, elements in C order."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from .. import _core
from .._descent import reported
from ..optim import StepInfo, StepTensors
from ._distributed import local
from ._tensors import index_in_c_order

__all__ = ["element_of", "info_of"]


def info_of(last: _core._TensorOutcome, groups: list[dict[str, Any]], name: Callable[[int, int], str]) -> StepInfo:
    """Return what a step did; ``name`` returns what messages call a parameter."""
    first, tensors = last["first"], last["tensors"]
    return StepInfo(
        **reported(last),
        first_nonfinite=None if first is None else f"{name(*first)}.grad",
        first_element=element_of(groups, last),
        tensors=None if tensors is None else StepTensors(tuple(_names(groups, name)), **tensors),
    )


def element_of(groups: list[dict[str, Any]], last: _core._TensorOutcome) -> int | None:
    """Return the index of the first element that is not finite; of a shard, that in the part of this process."""
    first, place = last["first"], last["element"]
    if first is None or place is None:
        return None
    group, index = first
    return index_in_c_order(local(groups[group]["params"][index]), place)


def _names(groups: list[dict[str, Any]], name: Callable[[int, int], str]) -> Iterator[str]:
    """The names that parameters were given with, or what messages call them."""
    for index, group in enumerate(groups):
        rows = range(len(group["params"]))
        yield from group.get("param_names") or (name(index, row) for row in rows)

"""``copy_to``: tensors, such as those of a model in bfloat16, to which a step writes its parameters too.

They lie in the groups, ``group["copy_to"]`` beside ``group["params"]``, and in no saved state.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

import torch

from ..errors import shown, type_error, value_error
from ._distributed import is_shard
from ._tensors import check_parameter, is_laid_out_like, is_plain

__all__ = ["COPY", "check_copies", "copies_of", "spread"]

COPY = "copy_to"
# The parameters that are copied: those that are trained in full.
_WIDE = (torch.float32, torch.float64)


def _listed(copies: Any, name: str) -> list[Any]:
    if isinstance(copies, torch.Tensor):
        return [copies]
    if not isinstance(copies, Iterable) or isinstance(copies, str | dict):
        raise type_error(name, "a list of tensors, one (or None) for each parameter", shown(copies))
    return list(copies)


def spread(groups: list[dict[str, Any]], copies: Any) -> None:
    """Give each group its part of the copies of all parameters."""
    if copies is None:
        return
    listed = _listed(copies, COPY)
    sizes = [len(group["params"]) for group in groups]
    if len(listed) != sum(sizes):
        raise value_error(COPY, f"{sum(sizes)} tensors, one (or None) for each parameter", str(len(listed)))
    if any(COPY in group for group in groups):
        raise value_error(COPY, "copies for all parameters or by groups", "both", "leave out one of them")
    left = iter(listed)
    for group, size in zip(groups, sizes, strict=True):
        group[COPY] = [next(left) for _ in range(size)]


def copies_of(group: dict[str, Any], place: str) -> list[Any]:
    """The copies of a group, as many as it has parameters."""
    count = len(group["params"])
    if group.get(COPY) is None:
        return [None] * count
    copies = _listed(group[COPY], f"{place}[{COPY!r}]")
    if len(copies) != count:
        expected = f"{count} tensors, one (or None) for each of its parameters"
        raise value_error(f"{place}[{COPY!r}]", expected, str(len(copies)))
    return copies


def check_copies(group: dict[str, Any], place: str, names: Iterator[str], refused: str | None) -> None:
    """Check the copies of a group; ``refused`` is an option that does not go with any."""
    copies = copies_of(group, place)
    for param, copy, name in zip(group["params"], copies, names, strict=True):
        if copy is None:
            continue
        called = f"{COPY} of {name}"
        if refused is not None:
            raise value_error(called, f"None with {refused}", "a tensor")
        if not isinstance(copy, torch.Tensor):
            raise type_error(called, "a tensor or None", shown(copy))
        if is_shard(param) or is_shard(copy):
            raise type_error(called, "None where the parameter is a DTensor", "a tensor")
        if param.dtype not in _WIDE:
            fix = "master='float32' keeps float32 for it instead"
            raise type_error(called, "a parameter of float32 or float64", f"one of {param.dtype}", fix)
        check_parameter(copy, called)
        if copy.shape != param.shape:
            expected = f"a tensor of shape {tuple(param.shape)}, like the parameter"
            raise value_error(called, expected, f"one of shape {tuple(copy.shape)}")
        like = torch.empty_like(param, device="meta", memory_format=torch.preserve_format)
        if not (is_plain(copy) and is_laid_out_like(copy, like)):
            fix = "make it by torch.empty_like(parameter, dtype=...)"
            raise value_error(called, "a dense tensor in the layout of the parameter", f"strides {copy.stride()}", fix)

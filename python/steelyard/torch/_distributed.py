"""Parameters that are spread over processes (DTensor, as ``fully_shard`` makes them), and the norm of their gradients.

Each process steps its own shard. The squares of every row (an index of the first axis) are summed by themselves, and
these sums are added exactly, as integers; so the norm has the same bits however the rows are spread over processes.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch

from .. import _core
from ..errors import value_error
from ._state import counter, state_type
from ._tensors import empty_like

__all__ = ["array_of", "global_norm_over_processes", "is_shard", "local", "local_state", "refuse_whole_rules"]


def is_shard(tensor: torch.Tensor) -> bool:
    """Whether this is a DTensor: a tensor of which this process has a part."""
    return hasattr(tensor, "to_local")


def local(tensor: torch.Tensor) -> torch.Tensor:
    """The part of a DTensor that this process has; another tensor as it is."""
    if not is_shard(tensor):
        return tensor
    part: torch.Tensor = tensor.to_local()  # under no_grad the part itself, not a view
    wait = getattr(part, "wait", None)  # where a collective operation is still under way
    return part if wait is None else wait()


def refuse_whole_rules(group: Mapping[str, Any], place: str, seed: int | None) -> None:
    """Refuse what would depend on how a parameter is cut into shards."""
    refused = {
        f"{place}['state_dtype']": group.get("state_dtype") == "8bit",
        f"{place}['stable']": bool(group.get("stable")),
        "rounding": seed is not None,
    }
    for name, asked in refused.items():
        if asked:
            fix = "its result would depend on the number of processes"
            raise value_error(name, "another choice for parameters that are DTensors", "this one", fix)


def local_state(
    state: dict[str, Any], param: torch.Tensor, moments: Sequence[str], state_dtype: str | None
) -> dict[str, Any]:
    """The parts of a parameter's state; moments that are missing are made as DTensors, as torch makes them."""
    if "step" not in state:
        state["step"] = counter()
    for moment in moments:
        if moment not in state:
            state[moment] = empty_like(param, state_type(state_dtype, param)).zero_()
    return {key: local(value) if isinstance(value, torch.Tensor) else value for key, value in state.items()}


def array_of(tensor: torch.Tensor) -> np.ndarray[Any, Any]:
    """The elements for the core, which takes uint16 for the bits of bfloat16."""
    whole = tensor.detach().contiguous()
    return (whole.view(torch.uint16) if whole.dtype == torch.bfloat16 else whole).numpy()


def _row_length(grad: torch.Tensor) -> int:
    """How many elements are summed in float64 before they are added exactly: a row that no process has in part."""
    part = local(grad)
    by_rows = all(getattr(placement, "dim", 0) == 0 for placement in getattr(grad, "placements", ()))
    return max(1, part.numel() // part.shape[0]) if by_rows and part.ndim and part.shape[0] else 1


def _is_counted_here(grad: torch.Tensor, mesh: Any) -> bool:
    """Whether this process adds the part that it has: of several equal copies, the first process counts one."""
    place = mesh.get_coordinate()
    placements = getattr(grad, "placements", None)
    if placements is None:  # a tensor that each process has whole
        return not any(place)
    if any(placement.is_partial() for placement in placements):
        fix = "call grad.redistribute with the placements of the parameter first"
        raise value_error("gradients", "DTensors whose values are complete", f"placements {placements}", fix)
    copies = [place[dim] for dim, placement in enumerate(placements) if placement.is_replicate()]
    return not any(copies)


def global_norm_over_processes(grads: Sequence[torch.Tensor]) -> float | None:
    """The Euclidean norm of gradients of which some are DTensors; None where none is.

    Every process of the device mesh has to call this, and gets the same number.
    """
    meshes = list(dict.fromkeys(grad.device_mesh for grad in grads if is_shard(grad)))
    if not meshes:
        return None
    if len(meshes) > 1:
        fix = "give each mesh an optimizer of its own, or leave max_norm out"
        raise value_error("params", "parameters on one device mesh", f"{len(meshes)} meshes", fix)
    mesh: Any = meshes[0]
    counted = [grad for grad in grads if _is_counted_here(grad, mesh)]
    totals = _core.GlobalNormTotals()
    arrays = tuple(array_of(local(grad)) for grad in counted)
    bad = 0.0
    if not totals.add_rows(arrays, [_row_length(grad) for grad in counted]):
        bad = float("nan") if any(np.isnan(local(grad).float().numpy()).any() for grad in counted) else float("inf")
    for dim in range(mesh.ndim):
        totals, bad = _summed(totals, bad, mesh.get_group(dim))
    return bad or totals.norm()


def _summed(totals: _core.GlobalNormTotals, bad: float, group: Any) -> tuple[_core.GlobalNormTotals, float]:
    """The totals of all processes of a group; ``bad`` is not 0 where one of them has a NaN or an infinity."""
    found: list[Any] = [None] * torch.distributed.get_world_size(group)
    torch.distributed.all_gather_object(found, (totals.to_bytes(b""), bad), group=group)
    summed = _core.GlobalNormTotals()
    for part, _ in found:
        summed.merge(_core.GlobalNormTotals.from_bytes(part)[0])
    return summed, sum(worse for _, worse in found)

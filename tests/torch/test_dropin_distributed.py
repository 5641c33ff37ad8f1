"""Two gloo processes: DistributedDataParallel, ``fully_shard`` and ZeroRedundancyOptimizer around our optimizer.

Each scenario is a function that every process runs; what it returns is compared with the same scenario in one process,
bit for bit. A scenario that does not end within a minute and a half fails: processes that wait for each other are ended.

A process that has done its work leaves by ``os._exit``, which does not end the interpreter. At that end torch 2.15 aborts
now and then ("terminate called without an active exception"), also with its own AdamW alone (3 of 60 processes): a thread
of gloo drops the last reference to a tensor of a finished broadcast, asks for the interpreter's lock, and Python ends the
thread there by unwinding its stack, through a destructor that lets nothing through.
"""

from __future__ import annotations

import os
import sys
import warnings
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import distributed, nn

from steelyard.torch import AdamW

from .dropin import assert_same_bits, drawn, small_model

pytestmark = pytest.mark.skipif(
    not (distributed.is_available() and distributed.is_gloo_available()), reason="this torch has no gloo"
)
LIMIT = 90
X, Y = drawn(8, 16, seed=1), drawn(8, 16, seed=2)
Scenario = Callable[[int, int], dict[str, Any]]


def _process(rank: int, world: int, scenario: Scenario, folder: str) -> None:
    torch.set_num_threads(1)
    warnings.simplefilter("ignore")  # of torch's own start-up in a fresh process
    distributed.init_process_group(
        "gloo", init_method=f"file://{folder}/meet", rank=rank, world_size=world, timeout=timedelta(seconds=LIMIT / 2)
    )
    torch.save(scenario(rank, world), f"{folder}/{rank}.pt")
    distributed.barrier()
    distributed.destroy_process_group()
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(0)


def run(scenario: Scenario, world: int, folder: Path) -> list[dict[str, Any]]:
    """What each process returned."""
    folder.mkdir()
    context = torch.multiprocessing.get_context("spawn")
    processes = [context.Process(target=_process, args=(k, world, scenario, str(folder))) for k in range(world)]
    for process in processes:
        process.start()
    for process in processes:
        process.join(LIMIT)
    late = [process for process in processes if process.is_alive()]
    for process in late:
        process.kill()
        process.join()
    assert not late, "processes wait for each other"
    assert [process.exitcode for process in processes] == [0] * world
    return [torch.load(folder / f"{k}.pt") for k in range(world)]


def _whole(tensor: torch.Tensor) -> torch.Tensor:
    if tensor.dtype == torch.int16:  # which gloo cannot gather
        tensor = tensor.to(torch.int32)
    return (tensor.full_tensor() if hasattr(tensor, "full_tensor") else tensor).detach().clone()


def _result(model: nn.Module, optimizer: Any, **more: Any) -> dict[str, Any]:
    state = [_whole(v) for p in model.parameters() for v in optimizer.state[p].values()]
    return {"values": [*map(_whole, model.parameters()), *state], **more}


def _fit(model: nn.Module, optimizer: Any, rank: int, world: int, steps: int = 3) -> list[tuple[Any, ...]]:
    """Each process takes its part of the batch; the part of one process of two is a half, so that means are exact."""
    x, y = X.chunk(world)[rank], Y.chunk(world)[rank]
    seen = []
    for _ in range(steps):
        optimizer.zero_grad()
        nn.functional.mse_loss(model(x), y).backward()
        optimizer.step()
        info = getattr(optimizer, "step_info", None)
        seen.append(info and (info.grad_norm, info.clip_factor, info.skipped))
    return seen


# ---- fully_shard


def _sharded(rank: int, world: int, dtype: torch.dtype = torch.float32, **options: Any) -> dict[str, Any]:
    """Every process has the same batch, so that gradients do not depend on the number of processes."""
    from torch.distributed.fsdp import fully_shard

    model = nn.Sequential(nn.Linear(16, 33), nn.Tanh(), nn.Linear(33, 16)).to(dtype)
    with torch.no_grad():
        for k, param in enumerate(model.parameters()):
            param.copy_(drawn(*param.shape, seed=k) / 4)
    mesh = distributed.init_device_mesh("cpu", (world,))
    for layer in (model[0], model[2], model):
        fully_shard(layer, mesh=mesh)
    optimizer = AdamW(model.parameters(), lr=0.0625, **options)
    seen = []
    for _ in range(3):
        optimizer.zero_grad()
        (64 * nn.functional.mse_loss(model(X.to(dtype)), Y.to(dtype))).backward()
        optimizer.step()
        seen.append((optimizer.step_info.grad_norm, optimizer.step_info.clip_factor))
    kinds = {type(v).__name__ for p in model.parameters() for k, v in optimizer.state[p].items() if k != "step"}
    assert kinds == {"DTensor"}
    return _result(model, optimizer, seen=seen)


def sharded(rank: int, world: int) -> dict[str, Any]:
    return _sharded(rank, world)


def sharded_and_clipped(rank: int, world: int) -> dict[str, Any]:
    found = _sharded(rank, world, max_norm=0.5)
    assert all(factor < 1 for _, factor in found["seen"])
    return found


def sharded_bfloat16(rank: int, world: int) -> dict[str, Any]:
    return _sharded(rank, world, torch.bfloat16, max_norm=0.5, amsgrad=True)


def sharded_masters(rank: int, world: int) -> dict[str, Any]:
    found = [
        _sharded(rank, world, torch.bfloat16, max_norm=0.5, master=master) for master in ("split", "kahan", "float32")
    ]
    return {key: [value for one in found for value in one[key]] for key in ("values", "seen")}


def not_finite_on_one_process(rank: int, world: int) -> dict[str, Any]:
    """All processes leave the step out, or raise, though only one of them has the NaN."""
    from torch.distributed.fsdp import fully_shard

    model = small_model()
    fully_shard(model, mesh=distributed.init_device_mesh("cpu", (world,)))
    optimizer = AdamW(model.parameters(), max_norm=0.5, nonfinite="skip")
    model(X).square().sum().backward()
    before = [_whole(p) for p in model.parameters()]
    if rank == world - 1:
        next(model.parameters()).grad.to_local()[0, 0] = float("nan")
    optimizer.step()
    assert optimizer.step_info.skipped
    assert_same_bits([_whole(p) for p in model.parameters()], before)
    optimizer.nonfinite = "raise"
    with pytest.raises(ValueError, match=r"expected finite gradients|got a norm of nan"):
        optimizer.step()
    optimizer.nonfinite = "propagate"
    optimizer.step()
    assert all(bool(_whole(p).isnan().all()) for p in model.parameters())
    return {}


@pytest.mark.parametrize(
    "scenario", [sharded, sharded_and_clipped, sharded_bfloat16, sharded_masters], ids=lambda f: f.__name__
)
def test_two_processes_with_shards_are_one(scenario: Scenario, tmp_path: Path) -> None:
    two, one = run(scenario, 2, tmp_path / "two"), run(scenario, 1, tmp_path / "one")
    for found in two:
        assert found["seen"] == one[0]["seen"]
        assert_same_bits(found["values"], one[0]["values"])


def test_a_nan_on_one_process_stops_all(tmp_path: Path) -> None:
    assert run(not_finite_on_one_process, 2, tmp_path / "two") == [{}, {}]


# ---- DistributedDataParallel


def _parallel(rank: int, world: int, hooked: bool, view: bool = False, **options: Any) -> dict[str, Any]:
    model = nn.parallel.DistributedDataParallel(small_model(), gradient_as_bucket_view=view)
    optimizer = AdamW(model.parameters(), lr=0.0625, **options)
    if hooked:
        optimizer.hook_backward(model)
    seen = _fit(model, optimizer, rank, world)
    return _result(model, optimizer, seen=seen)


def parallel(rank: int, world: int) -> dict[str, Any]:
    return {
        f"{hooked} {view} {limit}": _parallel(rank, world, hooked, view, max_norm=limit)
        for hooked in (True, False)
        for view in (True, False)
        for limit in (None, 0.25)
    }


def test_data_parallel_with_and_without_hooks(tmp_path: Path) -> None:
    first, second = run(parallel, 2, tmp_path / "two")
    for name, found in first.items():
        assert found["seen"] == second[name]["seen"]
        assert_same_bits(found["values"], second[name]["values"])
        plain = first[name.replace("True", "False", 1) if name.startswith("True") else name]
        assert_same_bits(found["values"], plain["values"])
        for (norm, factor, skipped), expected in zip(found["seen"], plain["seen"], strict=True):
            assert norm == (None if expected[0] is None else pytest.approx(expected[0], rel=1e-15))
            assert (factor, skipped) == (pytest.approx(expected[1], rel=1e-15), False)


# ---- ZeroRedundancyOptimizer


def zero(rank: int, world: int) -> dict[str, Any]:
    from torch.distributed.optim import ZeroRedundancyOptimizer

    results = []
    for kind, options in ((AdamW, {}), (torch.optim.AdamW, {"fused": True})):
        model = nn.parallel.DistributedDataParallel(small_model())
        optimizer = ZeroRedundancyOptimizer(model.parameters(), optimizer_class=kind, lr=0.0625, **options)
        _fit(model, optimizer, rank, world)
        optimizer.consolidate_state_dict()
        if rank == 0:
            assert len(optimizer.state_dict()["state"]) == 4
        results.append([p.detach() for p in model.parameters()])
    assert_same_bits(*results)
    return {"values": results[0]}


def test_zero_redundancy(tmp_path: Path) -> None:
    first, second = run(zero, 2, tmp_path / "two")
    assert_same_bits(first["values"], second["values"])


def test_one_process_without_sharding_has_the_same_norm_and_weights(tmp_path: Path) -> None:
    """The same model without ``fully_shard``: its norm is added in another order, and differs in its last bits only."""
    model = nn.Sequential(nn.Linear(16, 33), nn.Tanh(), nn.Linear(33, 16))
    with torch.no_grad():
        for k, param in enumerate(model.parameters()):
            param.copy_(drawn(*param.shape, seed=k) / 4)
    optimizer = AdamW(model.parameters(), lr=0.0625, max_norm=0.5)
    seen = []
    for _ in range(3):
        optimizer.zero_grad()
        (64 * nn.functional.mse_loss(model(X), Y)).backward()
        optimizer.step()
        seen.append((optimizer.step_info.grad_norm, optimizer.step_info.clip_factor))
    (found,) = run(sharded_and_clipped, 1, tmp_path / "one")
    for got, expected in zip(found["seen"], seen, strict=True):
        assert got == pytest.approx(expected, rel=1e-12)
    for a, b in zip(found["values"], _result(model, optimizer)["values"], strict=True):
        torch.testing.assert_close(a, b)


def test_a_norm_of_local_shards_alone_underclips() -> None:
    """What this replaces: a norm of the local shards alone under-clips by about the root of the number of processes."""
    whole = [drawn(64, 16, seed=k) for k in range(2)]
    norm = torch.nn.utils.get_total_norm(whole).item()
    shard = torch.nn.utils.get_total_norm([x[:32] for x in whole]).item()
    assert norm / shard == pytest.approx(2**0.5, rel=0.1)

"""torch's own table of inputs for its AdamW (``torch.testing._internal.common_optimizers.optim_db``), as it installs.

Needs ``expecttest``, which torch's tests import. Options of CUDA alone (``capturable``) are not in the table for a CPU.
"""

from __future__ import annotations

import re
import warnings
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import nn

from steelyard.torch import AdamW

from .dropin import Make, assert_same_bits, assert_same_run, drawn, ours, parameters, theirs, train, values

common = pytest.importorskip(
    "torch.testing._internal.common_optimizers",
    reason="torch's table of optimizer inputs needs expecttest",
    exc_type=ImportError,
)
(INFO,) = (info for info in common.optim_db if info.optim_cls is torch.optim.AdamW)

DTYPES = [torch.float32, torch.float64, torch.bfloat16, torch.float16]
# What torch refuses only because one of its implementations cannot do it, and ours can.
WIDER = {
    "lr as Tensor doesn't work with foreach & not capturable",
    r"betas\[0\] as a Tensor is not supported for capturable=False and foreach=True",
    "betas must be either both floats or both Tensors",
}


def inputs(dtype: torch.dtype = torch.float32) -> list[Any]:
    return INFO.optim_inputs_func(device="cpu", dtype=dtype)


def with_inputs(function: Callable[..., None]) -> Callable[..., None]:
    return pytest.mark.parametrize("options", [pytest.param(i.kwargs, id=i.desc) for i in inputs()])(function)


def errors() -> list[Any]:
    found = INFO.optim_error_inputs_func("cpu", torch.float32)
    return [pytest.param(error, id=error.optimizer_error_input.desc) for error in found]


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
def test_every_input_has_the_bits_of_the_fused_step(dtype: torch.dtype, make: Make) -> None:
    for case in inputs(dtype):
        shapes = ((16, 8), (32,), (4, 4, 4), (1, 16), (0,))

        def script(make: Make, options: dict[str, Any] = case.kwargs) -> list[torch.Tensor]:
            return values(train(make(parameters(*shapes, dtype=dtype), **options), 5))  # noqa: B023

        assert_same_run(make, script)


@pytest.mark.parametrize("error", errors())
def test_every_error_input(error: Any, make: Make) -> None:
    """What torch refuses is refused; the sentences about options are ours."""
    case = error.optimizer_error_input
    params = case.params if case.params is not None else [nn.Parameter(torch.ones(3))]
    if make is ours and case.desc in WIDER:
        numbers = {"lr": float(case.kwargs["lr"])}
        if "betas" in case.kwargs:
            numbers["betas"] = tuple(float(beta) for beta in case.kwargs["betas"])
        taken = [values(train(ours(parameters(), **options))) for options in (case.kwargs, numbers)]
        assert_same_bits(*taken)
        return
    if issubclass(error.error_type, Warning):
        with pytest.warns(error.error_type, match=error.error_regex):
            make(params, **case.kwargs)
        return
    kinds = (TypeError, ValueError) if make is ours else error.error_type
    with pytest.raises(kinds) as caught:
        make(params, **case.kwargs)
    assert make is ours or re.search(error.error_regex, str(caught.value))


@with_inputs
@pytest.mark.parametrize("schedule", range(1 + len(INFO.scheduler_inputs[0])))
@pytest.mark.parametrize("contiguous", [True, False])
def test_goes_in_the_right_direction(options: dict[str, Any], schedule: int, contiguous: bool, make: Make) -> None:
    if contiguous:
        weight, bias = nn.Parameter(drawn(10, 5)), nn.Parameter(drawn(10, seed=1))
    else:
        weight, bias = nn.Parameter(drawn(10, 5, 2)[..., 0]), nn.Parameter(drawn(10, 2, seed=1)[..., 0])
    x = drawn(5, seed=2)
    fused = {} if make is ours else {"fused": contiguous}  # torch's fused step goes wrong on holes
    optimizer = make([weight, bias], **options, **fused)
    makers = [None, *INFO.scheduler_inputs[0]]
    scheduler = makers[schedule] and makers[schedule](optimizer)

    def closure() -> torch.Tensor:
        optimizer.zero_grad()
        loss = (weight.mv(x) + bias).pow(2).sum()
        loss.backward()
        return loss

    before = closure().item()
    for _ in range(20):
        loss = optimizer.step(closure)
        if isinstance(scheduler, torch.optim.lr_scheduler.ReduceLROnPlateau):
            scheduler.step(loss.detach())
        elif scheduler is not None:
            scheduler.step()
    after = closure().item()
    assert after > before if options.get("maximize") else after < before


@with_inputs
def test_is_near_the_for_loop(options: dict[str, Any], make: Make) -> None:
    """torch's default path, which most users have today, rounds differently: within a few ulps of the update."""
    shapes = ((20, 10), (33,))
    loop = values(train(torch.optim.AdamW(parameters(*shapes), foreach=False, **options), 5))
    for a, b in zip(values(train(make(parameters(*shapes), **options), 5)), loop, strict=True):
        torch.testing.assert_close(a, b)


@with_inputs
@pytest.mark.parametrize("shape", [(), (1,), (1, 1)])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64], ids=str)
def test_a_rate_that_is_a_tensor(
    options: dict[str, Any], shape: tuple[int, ...], dtype: torch.dtype, make: Make
) -> None:
    options = {key: value for key, value in options.items() if key != "lr"}

    def script(make: Make, as_tensor: bool = True) -> list[torch.Tensor]:
        lr = torch.full(shape, 0.0625, dtype=dtype)
        optimizer = make(parameters(), lr if as_tensor else 0.0625, **options)
        assert isinstance(optimizer.param_groups[0]["lr"], torch.Tensor) is as_tensor
        train(optimizer)
        if as_tensor:
            lr.fill_(0.25)  # seen, since the group holds the tensor itself
        else:
            optimizer.param_groups[0]["lr"] = 0.25
        return values(train(optimizer, seed=1))

    assert_same_run(make, script)
    assert_same_bits(script(make), script(make, as_tensor=False))


@with_inputs
def test_nothing_happens_without_gradients(options: dict[str, Any], make: Make) -> None:
    params = parameters()
    before = [p.detach().clone() for p in params]
    optimizer = make(params, **options)
    optimizer.step()
    assert_same_bits([p.detach() for p in params], before)
    assert not any(optimizer.state.values())


@with_inputs
@pytest.mark.parametrize("kind", ["zero", "none"])
def test_gradients_of_zero_count_and_missing_ones_do_not(options: dict[str, Any], kind: str, make: Make) -> None:
    def script(make: Make) -> list[torch.Tensor]:
        params = parameters()
        optimizer = make(params, **options)
        for step in range(4):
            params[0].grad = drawn(16, 8, seed=step)
            params[1].grad = None if kind == "none" and step % 2 else torch.zeros(32)
            optimizer.step()
        assert optimizer.state[params[1]]["step"] == (2 if kind == "none" else 4)
        return values(optimizer)

    assert_same_run(make, script)


@with_inputs
def test_can_be_printed(options: dict[str, Any]) -> None:
    mine = repr(AdamW(parameters(), **options))
    assert mine == repr(torch.optim.AdamW(parameters(), **options))


@with_inputs
def test_public_attributes_are_torchs_and_are_copied(options: dict[str, Any], make: Make) -> None:
    from copy import deepcopy

    optimizer = train(make(parameters(), **options))
    public = lambda o: {name for name in o.__dict__ if not name.startswith("_")}  # noqa: E731
    assert public(theirs(parameters())) <= public(optimizer)
    assert public(deepcopy(optimizer)) == public(optimizer)
    assert isinstance(optimizer, torch.optim.Optimizer)


def test_complex_parameters_are_refused_with_what_to_do() -> None:
    with pytest.raises(TypeError, match=r"params\[0\]: expected .* real numbers; got .*view_as_real"):
        AdamW([nn.Parameter(torch.ones(3, dtype=torch.complex64))])


def test_warnings_are_errors_here() -> None:
    """The other tests rely on it: whatever they call must not warn."""
    with pytest.raises(UserWarning, match="seen"):
        warnings.warn("seen", stacklevel=1)

"""``copy_to``: each step also writes its parameters, rounded, to other tensors, in the same pass."""

from __future__ import annotations

import copy
import pickle
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

import steelyard as sy
from steelyard.torch import SGD, AdamW, Lion

from .dropin import assert_same_bits, drawn, give_gradients, parameters, train, values

SHAPES = ((16, 8), (33,), (4, 3, 2, 5))
NARROW = (torch.bfloat16, torch.float16, torch.float32)


def pair(dtype: torch.dtype = torch.bfloat16) -> tuple[list[nn.Parameter], list[torch.Tensor]]:
    params = parameters(*SHAPES)
    return params, [torch.zeros_like(param, dtype=dtype) for param in params]


@pytest.mark.parametrize("dtype", NARROW)
@pytest.mark.parametrize("rule", [AdamW, Lion, SGD])
@pytest.mark.parametrize("options", [{}, {"max_norm": 0.5}, {"state_dtype": "bfloat16"}, {"detail": True}], ids=str)
def test_copies_are_the_rounded_parameters_of_the_same_step(
    rule: Any, dtype: torch.dtype, options: dict[str, Any]
) -> None:
    params, copies = pair(dtype)
    own, plain = rule(params, lr=0.125, copy_to=copies, **options), rule(parameters(*SHAPES), lr=0.125, **options)
    for step in range(3):
        train(own, 1, seed=step)
        train(plain, 1, seed=step)
        assert_same_bits(values(own), values(plain))
        assert_same_bits(copies, [param.detach().to(dtype) for param in params])


def test_the_bits_of_the_numpy_optimizer() -> None:
    params, copies = pair(torch.float16)
    own = AdamW(params, lr=0.125, copy_to=copies)
    arrays = [param.detach().numpy().copy() for param in params]
    halves = [np.zeros(array.shape, np.float16) for array in arrays]
    host = sy.AdamW(arrays, lr=0.125, copy_to=halves)
    for step in range(3):
        give_gradients(params, seed=step)
        host.step([param.grad.numpy() for param in params if param.grad is not None])
        own.step()
    assert_same_bits(copies, map(torch.from_numpy, halves))


def test_by_groups_and_where_there_is_none() -> None:
    params, copies = pair()
    own = AdamW([{"params": params[:2], "copy_to": [None, copies[1]]}, {"params": params[2:]}])
    own.add_param_group({"params": [late := nn.Parameter(drawn(8))], "copy_to": torch.zeros(8)})
    train(own, 1)
    assert [bool(x.any()) for x in copies] == [False, True, False]
    assert torch.equal(own.param_groups[2]["copy_to"][0], late.detach())
    own.param_groups[0]["copy_to"] = None
    before = copies[1].clone()
    train(own, 1)
    assert torch.equal(copies[1], before)


def test_parameters_without_a_gradient_are_not_copied() -> None:
    params, copies = pair()
    own = AdamW(params, copy_to=copies)
    give_gradients(params[:1])
    own.step()
    assert [bool(x.any()) for x in copies] == [True, False, False]


def test_slices_and_other_orders_of_axes() -> None:
    whole = nn.Parameter(drawn(8, 6).t())
    part = drawn(12, 2)[:, 0].requires_grad_()
    copies = [torch.empty_like(whole, dtype=torch.bfloat16), torch.zeros(12, dtype=torch.bfloat16)]
    train(AdamW([whole, part], lr=0.125, copy_to=copies), 2)
    assert_same_bits(copies, [whole.detach().bfloat16(), part.detach().bfloat16()])


def test_memory_that_has_moved_is_used_where_it_is_now() -> None:
    params, copies = pair()
    own = train(AdamW(params, copy_to=copies), 1)
    old = copies[0].detach()
    copies[0].set_(torch.zeros_like(old))
    copies[1].share_memory_()
    before = old.clone()
    train(own, 1)
    assert torch.equal(old, before)
    assert_same_bits(copies, [param.detach().bfloat16() for param in params])
    copies[0].untyped_storage().resize_(0)
    give_gradients(params)
    with pytest.raises(ValueError, match=r"copy_to of params\[0\]: expected a tensor with memory"):
        own.step()


def test_a_storage_that_shrinks_after_copies_were_taken_away_is_not_written() -> None:
    params, copies = pair()
    own = train(AdamW(params, copy_to=copies), 1)
    del own.param_groups[0]["copy_to"]
    for tensor in copies:
        tensor.untyped_storage().resize_(0)
    plain = train(AdamW(parameters(*SHAPES)), 2, seed=0)
    train(own, 1, seed=1)
    assert_same_bits(values(own), values(plain))


def test_memory_that_is_shared_is_refused_before_anything_is_written() -> None:
    params, copies = pair(torch.float32)
    before = [param.detach().clone() for param in params]
    whole = torch.zeros(200)
    inside = [whole[:128].view(16, 8), whole[100:133], copies[2]]
    for bad in ([params[0].detach(), *copies[1:]], inside, [copies[0], None, params[2].detach()]):
        own = AdamW(params, copy_to=bad)
        give_gradients(params)
        with pytest.raises(ValueError, match=r"overlaps .*put a \.clone\(\) in the place of one of them"):
            own.step()
    assert_same_bits(params, before)


def test_writing_a_copy_raises_its_version() -> None:
    params, copies = pair()
    own, versions = AdamW(params, copy_to=copies), [x._version for x in copies]
    train(own, 1)
    assert [x._version for x in copies] == [version + 1 for version in versions]


def test_states_have_no_copies_and_loading_keeps_those_that_are_there() -> None:
    params, copies = pair()
    own = train(AdamW(params, copy_to=copies), 1)
    saved = own.state_dict()
    assert all("copy_to" not in group for group in saved["param_groups"])
    torch.optim.AdamW(parameters(*SHAPES)).load_state_dict(saved)
    saved["param_groups"][0]["copy_to"] = "something else"
    own.load_state_dict(saved)
    train(own, 1)
    assert_same_bits(copies, [param.detach().bfloat16() for param in params])


@pytest.mark.parametrize("how", [copy.deepcopy, lambda x: pickle.loads(pickle.dumps(x))], ids=["deepcopy", "pickle"])
def test_a_copied_optimizer_has_copies_of_its_own(how: Any) -> None:
    params, copies = pair()
    own = train(AdamW(params, copy_to=copies), 1)
    again, before = how(own), [x.clone() for x in copies]
    train(again, 1)
    assert_same_bits(copies, before)
    [group] = again.param_groups
    assert_same_bits(group["copy_to"], [param.detach().bfloat16() for param in group["params"]])


@pytest.mark.parametrize("options", [{}, {"max_norm": 0.5}], ids=str)
def test_updates_during_backward_copy_too(options: dict[str, Any]) -> None:
    model = nn.Linear(8, 8)
    copies = [torch.zeros_like(param, dtype=torch.bfloat16) for param in model.parameters()]
    own = AdamW(model.parameters(), copy_to=copies, **options)
    own.hook_backward(model)
    model(drawn(4, 8)).sum().backward()
    own.step()
    assert_same_bits(copies, [param.detach().bfloat16() for param in model.parameters()])


@pytest.mark.parametrize(
    ("bad", "message"),
    [
        ([torch.zeros(3)], "copy_to: expected 3 tensors, one .* for each parameter; got 1"),
        ("text", "copy_to: expected a list of tensors"),
        ([torch.zeros(3), None, None], r"copy_to of params\[0\]: expected a tensor of shape \(16, 8\)"),
        ([None, 1.5, None], r"copy_to of params\[1\]: expected a tensor or None; got float 1.5"),
        ([None, torch.zeros(33, dtype=torch.int32), None], r"copy_to of params\[1\]: expected a tensor of float32"),
        ([torch.zeros(8, 16).t(), None, None], r"copy_to of params\[0\]: expected a dense tensor in the layout"),
    ],
)
def test_what_cannot_get_a_copy_is_refused(bad: Any, message: str) -> None:
    with pytest.raises((TypeError, ValueError), match=f"^{message}"):
        AdamW(parameters(*SHAPES), copy_to=bad)


def test_options_that_do_not_go_with_copies() -> None:
    halves = parameters((16,), dtype=torch.bfloat16)
    with pytest.raises(TypeError, match="expected a parameter of float32 or float64"):
        AdamW(halves, copy_to=[torch.zeros(16)])
    with pytest.raises(ValueError, match="expected None with convention='torch'"):
        AdamW(parameters((16,)), copy_to=[torch.zeros(16)], convention="torch")
    with pytest.raises(ValueError, match="expected None with master='kahan'"):
        AdamW([*halves, *parameters((16,))], copy_to=[None, torch.zeros(16)], master="kahan")


def test_a_group_that_was_edited_so_that_copies_do_not_fit_is_refused_by_the_step() -> None:
    params, copies = pair()
    own = train(AdamW(params, copy_to=copies), 1)
    own.param_groups[0]["params"].append(nn.Parameter(drawn(4)))
    give_gradients(own.param_groups[0]["params"])
    before = [param.detach().clone() for param in params]
    with pytest.raises(ValueError, match=r"^param_groups\[0\]\['copy_to'\]: expected 4 tensors"):
        own.step()
    copies[0] = torch.zeros(3)
    own.param_groups[0]["copy_to"] = [*copies, None]
    with pytest.raises(ValueError, match=r"^copy_to of params\[0\]: expected a tensor of shape"):
        own.step()
    assert_same_bits(params, before)

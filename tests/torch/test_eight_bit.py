"""Moments in 8 bits and random rounding in the torch optimizer; the states of bitsandbytes and torchao."""

from __future__ import annotations

import copy
from typing import Any

import numpy as np
import pytest
import torch

import steelyard as sy
from steelyard import _core
from steelyard.reference import random, rules, storage
from steelyard.torch import SGD, AdamW, Lion, convert_state_dict

SHAPES = [(64, 100), (4096,), (7,), (5, 1000)]  # the last one has no whole last block, the third is small


def parameters(dtype: torch.dtype = torch.float32, seed: int = 0) -> list[torch.nn.Parameter]:
    generator = torch.Generator().manual_seed(seed)
    return [torch.nn.Parameter(torch.randn(shape, generator=generator).to(dtype)) for shape in SHAPES]


def train(optimizer: Any, params: list[torch.nn.Parameter], steps: range) -> None:
    for step in steps:
        generator = torch.Generator().manual_seed(100 + step)
        for param in params:
            param.grad = torch.randn(param.shape, generator=generator).to(param.dtype)
        optimizer.step()


def bits(tensor: torch.Tensor) -> list[int]:
    width = {1: torch.uint8, 2: torch.int16, 4: torch.int32, 8: torch.int64}[tensor.element_size()]
    found: list[int] = tensor.detach().contiguous().view(width).ravel().tolist()
    return found


def all_bits(optimizer: Any, params: list[torch.nn.Parameter]) -> list[list[int]]:
    state = [bits(value) for param in params for value in optimizer.state[param].values()]
    return state + [bits(param) for param in params]


def test_a_step_is_that_of_the_decoded_moments() -> None:
    params = parameters()
    optimizer = AdamW(params, lr=1e-2, state_dtype="8bit")
    train(optimizer, params, range(1))
    large = params[0]
    state = optimizer.state[large]
    assert state["exp_avg"].dtype == torch.uint8
    assert optimizer.state[params[2]]["exp_avg"].dtype == torch.float32
    before = {"p": large.detach().numpy().copy().ravel()}
    for key, name, signed in (("m", "exp_avg", True), ("v", "exp_avg_sq", False)):
        codes, scales = state[name].numpy().ravel(), state[f"{name}_scale"].numpy()
        before[key] = storage.decode(codes, scales, signed)
    train(optimizer, params, range(1, 2))
    assert large.grad is not None
    grad = large.grad.numpy().ravel()
    after = rules.adam(before["p"], grad, before["m"], before["v"], step=2, lr=1e-2, betas=(0.9, 0.999), eps=1e-8,
                       weight_decay=1e-2)  # fmt: skip
    assert np.array_equal(large.detach().numpy().ravel(), after["p"])
    for key, name, signed in (("m", "exp_avg", True), ("v", "exp_avg_sq", False)):
        codes, scales = storage.encode(after[key], signed)
        assert np.array_equal(state[name].numpy().ravel(), codes)
        assert np.array_equal(state[f"{name}_scale"].numpy(), scales)


@pytest.mark.parametrize("options", [{"state_dtype": "8bit"}, {"rounding": "stochastic", "seed": 3}], ids=str)
def test_interrupted_equals_uninterrupted_on_any_number_of_threads(options: dict[str, Any]) -> None:
    dtype = torch.bfloat16 if "seed" in options else torch.float32
    whole, parts = parameters(dtype), parameters(dtype)
    through = AdamW(whole, lr=1e-2, **options)
    train(through, whole, range(6))
    first = AdamW(parts, lr=1e-2, **options)
    with sy.threads(1):
        train(first, parts, range(3))
    saved = copy.deepcopy(first.state_dict())
    second = AdamW(parts, lr=1e-2, **options)
    second.load_state_dict(saved)
    train(second, parts, range(3, 6))
    assert all_bits(through, whole) == all_bits(second, parts)


def test_random_rounding_is_keyed_by_seed_step_parameter_and_element() -> None:
    params, wide = parameters(torch.bfloat16), parameters(torch.bfloat16)
    optimizer = AdamW(params, lr=1e-3, rounding="stochastic", seed=11, state_dtype="float32")
    single = [torch.nn.Parameter(param.detach().float()) for param in wide]
    plain = AdamW(single, lr=1e-3, state_dtype="float32")
    train(optimizer, params, range(1))
    for param, own in zip(single, params, strict=True):
        assert own.grad is not None
        param.grad = own.grad.float()
    plain.step()
    for number, (own, param) in enumerate(zip(params, single, strict=True)):
        drawn = random.halves(11, number, 1, 0, own.numel())
        bits32 = param.detach().numpy().ravel().view(np.uint32)
        wanted = ((bits32 + drawn) >> np.uint32(16)).astype(np.uint16)
        assert np.array_equal(own.detach().view(torch.int16).numpy().ravel().view(np.uint16), wanted)


def test_random_rounding_keeps_updates_that_nearest_loses() -> None:
    """Ten thousand weights of 1 with a decay of 1e-4 per step, which is far below half of bfloat16's last place."""
    found = {}
    for rounding in ("nearest", "stochastic"):
        weight = torch.nn.Parameter(torch.ones(10_000, dtype=torch.bfloat16))
        weight.grad = torch.zeros_like(weight)
        optimizer = AdamW([weight], lr=1e-2, weight_decay=1e-2, rounding=rounding)
        for _ in range(100):
            optimizer.step()
        found[rounding] = weight.detach().double().mean().item()
    assert found["nearest"] == 1.0
    # The mean is 0.99005; a weight that has moved k places has a variance of about k/256^2 p (1 - p) per step.
    assert abs(found["stochastic"] - 0.9999**100) < 4 * np.sqrt(100 * 1e-4 / 256 / 10_000)


def test_channels_last_has_codes_in_the_order_of_memory() -> None:
    value = torch.randn(8, 64, 4, 4)
    grad = torch.randn(8, 64, 4, 4)
    found = []
    for layout in (torch.contiguous_format, torch.channels_last):
        param = torch.nn.Parameter(value.clone().to(memory_format=layout))
        optimizer = AdamW([param], state_dtype="8bit")
        param.grad = grad.clone().to(memory_format=layout)
        optimizer.step()
        state = optimizer.state[param]
        assert state["exp_avg"].stride() == param.stride()
        found.append(param.detach().contiguous())
    assert torch.equal(*found)  # the first step divides nothing by a code


def test_both_faces_keep_the_same_moments_in_8_bits() -> None:
    tree = {str(n): np.ones(n, np.float32) for n in (1, 4095, 4096, 5000)}
    params = [torch.nn.Parameter(torch.ones(len(x))) for x in tree.values()]
    optimizer, arrays = AdamW(params, lr=0.1, state_dtype="8bit"), sy.AdamW(tree, lr=0.1, state_dtype="8bit")
    for step in range(3):
        grads = {key: np.cos(np.arange(x.size, dtype=np.float32) + step) for key, x in tree.items()}
        arrays.step(grads)
        for param, grad in zip(params, grads.values(), strict=True):
            param.grad = torch.from_numpy(grad)
        optimizer.step()
    state = arrays.state_dict()
    for param, (key, x) in zip(params, tree.items(), strict=True):
        assert np.array_equal(param.detach().numpy(), x)
        for name, moment in optimizer.state[param].items():
            assert name == "step" or np.array_equal(moment.numpy(), state[f"{name}/{key}"])


def test_eight_bits_are_refused_where_they_cannot_be() -> None:
    with pytest.raises(ValueError, match="state_dtype"):
        AdamW(parameters(), state_dtype="4bit")
    with pytest.raises(ValueError, match="rounding"):
        AdamW(parameters(), rounding="up")
    params = parameters()
    optimizer = AdamW(params, state_dtype="8bit")
    train(optimizer, params, range(1))
    optimizer.state[params[0]]["exp_avg_scale"] = torch.zeros(3)
    before = bits(params[0])
    with pytest.raises(ValueError, match="exp_avg_scale"):
        train(optimizer, params, range(1, 2))
    assert bits(params[0]) == before


def test_moments_change_between_8_bits_and_float32() -> None:
    params = parameters()
    optimizer = AdamW(params, state_dtype="8bit")
    train(optimizer, params, range(2))
    saved = optimizer.state_dict()
    wide = AdamW(parameters(), state_dtype="float32")
    for group in saved["param_groups"]:
        group["state_dtype"] = "float32"
    wide.load_state_dict(saved)
    first = next(iter(wide.state.values()))
    assert first["exp_avg"].dtype == torch.float32
    assert "exp_avg_scale" not in first
    again = wide.state_dict()
    for group in again["param_groups"]:
        group["state_dtype"] = "8bit"
    narrow = AdamW(parameters(), state_dtype="8bit")
    narrow.load_state_dict(again)
    for own, other in zip(optimizer.state.values(), narrow.state.values(), strict=True):
        assert torch.equal(own["exp_avg_sq"], other["exp_avg_sq"])
        if "exp_avg_scale" in own:
            assert torch.equal(own["exp_avg_sq_scale"], other["exp_avg_sq_scale"])
            # The map has 1 and no -1: where the largest element is negative, it is 0.7 % smaller when it comes back.
            ratio = other["exp_avg_scale"] / own["exp_avg_scale"]
            assert ((ratio == 1) | ((ratio > 0.992) & (ratio < 0.994))).all()


@pytest.mark.parametrize("signed", [True, False])
def test_the_map_is_that_of_bitsandbytes(signed: bool) -> None:
    functional = pytest.importorskip("bitsandbytes.functional")
    theirs = functional.create_dynamic_map(signed=signed).numpy()
    assert np.array_equal(_core.blocks8_map(signed).view(np.uint32), theirs.view(np.uint32))


def test_bitsandbytes_codes_are_not_the_nearest_on_the_cpu() -> None:
    """bitsandbytes 0.50 finds codes by a coarse table: a zero beside a one comes back as another number."""
    functional = pytest.importorskip("bitsandbytes.functional")
    x = torch.zeros(256)
    x[0] = 1.0
    codes, scale = torch.ops.bitsandbytes.quantize_blockwise(x, functional.create_dynamic_map(signed=False), 256)
    assert (
        torch.ops.bitsandbytes.dequantize_blockwise(
            codes, scale, functional.create_dynamic_map(signed=False), 256, torch.float32
        )[1]
        > 0
    )
    ours = _core.to_blocks8(x.numpy(), signed=False)
    assert _core.from_blocks8(ours["codes"], ours["scales"], signed=False)[1] == 0.0


def test_states_of_bitsandbytes_go_both_ways() -> None:
    bnb = pytest.importorskip("bitsandbytes")
    theirs_params, params = parameters(), parameters()
    theirs = bnb.optim.AdamW8bit(theirs_params, lr=1e-2)
    train(theirs, theirs_params, range(3))
    optimizer = AdamW(params, lr=1e-2, state_dtype="8bit")
    optimizer.load_state_dict(theirs.state_dict())
    for own, other in zip(params, theirs_params, strict=True):
        found, wanted = optimizer.state[own], theirs.state[other]
        assert found["step"] == wanted["step"]
        assert torch.equal(found["exp_avg"], wanted["state1"])
        assert torch.equal(found["exp_avg_sq"], wanted["state2"])
        if found["exp_avg"].dtype == torch.uint8:
            assert torch.equal(found["exp_avg_scale"], wanted["absmax1"])
            assert torch.equal(found["exp_avg_sq_scale"], wanted["absmax2"])
    back = bnb.optim.AdamW8bit(parameters(), lr=1e-2)
    back.load_state_dict(convert_state_dict(optimizer.state_dict(), "bitsandbytes"))
    for own, other in zip(back.state.values(), theirs.state.values(), strict=True):
        for key in ("state1", "state2", "absmax1", "absmax2", "qmap1", "qmap2"):
            assert (key in own) == (key in other)
            assert key not in own or torch.equal(own[key], other[key])
    train(optimizer, params, range(3, 5))
    train(back, theirs_params, range(3, 4))


def test_states_of_torchao_go_both_ways() -> None:
    ao = pytest.importorskip("torchao.optim")
    params = parameters()
    optimizer = AdamW(params, lr=1e-2, state_dtype="8bit")
    train(optimizer, params, range(3))
    theirs_params = parameters()
    theirs = ao.AdamW8bit(theirs_params, lr=1e-2)
    theirs.load_state_dict(convert_state_dict(optimizer.state_dict(), "torchao"))
    back = AdamW(parameters(), lr=1e-2, state_dtype="8bit")
    back.load_state_dict(theirs.state_dict())
    for index, (own, other) in enumerate(zip(optimizer.state.values(), back.state.values(), strict=True)):
        assert own["step"] == other["step"]
        if index < 2:  # the last one has 5,000 elements, no multiple of 256
            for key in ("exp_avg", "exp_avg_scale", "exp_avg_sq", "exp_avg_sq_scale"):
                assert torch.equal(own[key], other[key]), key
    assert type(theirs.state[theirs_params[0]]["exp_avg"]).__name__ == "OptimState8bit"


RULES: dict[str, tuple[Any, Any, dict[str, Any], str]] = {
    "adamw": (AdamW, torch.optim.AdamW, {}, "exp_avg"),
    "sgd": (SGD, torch.optim.SGD, {"momentum": 0.9}, "momentum_buffer"),
    "lion": (Lion, None, {}, "exp_avg"),
}


@pytest.mark.parametrize("rule", RULES)
def test_the_momentum_of_every_rule_has_signed_codes_wherever_it_is_converted(rule: str) -> None:
    ours, theirs, options, moment = RULES[rule]
    params = parameters()
    optimizer = ours(params, lr=1e-2, state_dtype="8bit", **options)
    train(optimizer, params, range(2))
    coded = optimizer.state_dict()
    codes, scales = coded["state"][0][moment], coded["state"][0][f"{moment}_scale"]
    wanted = storage.decode(codes.numpy().ravel(), scales.numpy(), signed=True)
    assert 0.3 < (wanted < 0).mean() < 0.7
    wide = copy.deepcopy(coded)
    for group in wide["param_groups"]:
        group["state_dtype"] = "float32"
    loaded = ours(parameters(), **options)
    loaded.load_state_dict(wide)
    values = next(iter(loaded.state.values()))[moment]
    assert np.array_equal(values.numpy().ravel(), wanted)
    if theirs is None:
        return
    peers = parameters()
    peer = theirs(peers, lr=1e-2, **options)
    train(peer, peers, range(2))
    from_torch = ours(parameters(), state_dtype="8bit", **options)
    from_torch.load_state_dict(peer.state_dict())
    state = next(iter(from_torch.state.values()))
    back = storage.decode(state[moment].numpy().ravel(), state[f"{moment}_scale"].numpy(), signed=True)
    true = peer.state[peers[0]][moment].numpy().ravel()
    assert np.abs(back - true).max() < 0.01 * np.abs(true).max()


@pytest.mark.parametrize(("rule", "name"), [("sgd", "SGD8bit"), ("lion", "Lion8bit")])
def test_states_of_other_rules_of_bitsandbytes_go_both_ways(rule: str, name: str) -> None:
    bnb = pytest.importorskip("bitsandbytes")
    ours, _, options, moment = RULES[rule]
    params = parameters()
    optimizer = ours(params, lr=1e-2, state_dtype="8bit", **options)
    train(optimizer, params, range(2))
    theirs = getattr(bnb.optim, name)(parameters(), lr=1e-2, **options)
    theirs.load_state_dict(convert_state_dict(optimizer.state_dict(), "bitsandbytes"))
    back = ours(parameters(), lr=1e-2, state_dtype="8bit", **options)
    back.load_state_dict(theirs.state_dict())
    for own, other, again in zip(optimizer.state.values(), theirs.state.values(), back.state.values(), strict=True):
        assert torch.equal(own[moment], other["state1"])
        for key in own:
            assert torch.equal(own[key], again[key]), key
    with pytest.raises(
        ValueError, match=r"^state_dict: expected the state of AdamW or Adam, which torchao has in 8 bits"
    ):
        convert_state_dict(optimizer.state_dict(), "torchao")


def test_amsgrad_in_8_bits() -> None:
    """The largest second moment so far, of the decoded moments, in codes of its own; resumed it is the same."""
    params = parameters()
    optimizer = AdamW(params, lr=1e-2, state_dtype="8bit", amsgrad=True)
    train(optimizer, params, range(2))
    large, keys = params[0], {"m": ("exp_avg", True), "v": ("exp_avg_sq", False), "vmax": ("max_exp_avg_sq", False)}
    state = optimizer.state[large]
    before = {
        key: storage.decode(state[name].numpy().ravel(), state[f"{name}_scale"].numpy(), signed)
        for key, (name, signed) in keys.items()
    }
    p = large.detach().numpy().copy().ravel()
    saved = copy.deepcopy(optimizer.state_dict())
    twins = [torch.nn.Parameter(param.detach().clone()) for param in params]
    train(optimizer, params, range(2, 3))
    assert large.grad is not None
    after = rules.adam(p, large.grad.numpy().ravel(), before["m"], before["v"], before["vmax"], step=3, lr=1e-2,
                       betas=(0.9, 0.999), eps=1e-8, weight_decay=1e-2)  # fmt: skip
    assert np.array_equal(large.detach().numpy().ravel(), after["p"])
    assert not np.array_equal(after["v"], after["vmax"])
    for key, (name, signed) in keys.items():
        codes, scales = storage.encode(after[key], signed)
        assert np.array_equal(state[name].numpy().ravel(), codes)
        assert np.array_equal(state[f"{name}_scale"].numpy(), scales)
    again = AdamW(twins, lr=1e-2, state_dtype="8bit", amsgrad=True)
    again.load_state_dict(saved)
    train(again, twins, range(2, 3))
    assert all_bits(optimizer, params) == all_bits(again, twins)


def test_codes_become_numbers_for_torch_and_codes_that_were_cast_are_refused() -> None:
    weight = torch.nn.Parameter(torch.randn(64, 100))
    optimizer = AdamW([weight], state_dtype="8bit")
    weight.grad = torch.randn(64, 100)
    optimizer.step()
    peer = torch.optim.AdamW([weight])
    peer.load_state_dict(convert_state_dict(optimizer.state_dict(), "torch"))
    assert set(peer.state[weight]) == {"step", "exp_avg", "exp_avg_sq"}
    assert peer.state[weight]["exp_avg"].dtype == torch.float32
    torch.testing.assert_close(peer.state[weight]["exp_avg"], 0.1 * weight.grad, rtol=0.0, atol=0.005)
    peer.step()
    AdamW([weight]).load_state_dict(peer.state_dict())
    peer.load_state_dict(optimizer.state_dict())  # torch casts the codes
    with pytest.raises(ValueError, match=r"exp_avg of params.*another optimizer has cast them"):
        AdamW([weight]).load_state_dict(peer.state_dict())

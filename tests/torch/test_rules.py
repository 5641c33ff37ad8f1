"""The rules of optimizers against torch (bit for bit), timm, optax, and StableAdamW as its authors' formula in torch."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch

import steelyard as sy
from steelyard.reference import rules

STEPS = 4
DTYPES = [torch.float32, torch.float64]
TORCH_ADAM: dict[str, dict[str, Any]] = {
    "plain": {},
    "decay": {"weight_decay": 0.1},
    "amsgrad": {"weight_decay": 0.01, "amsgrad": True},
    "maximize": {"weight_decay": 0.3, "maximize": True, "betas": (0.3, 0.95)},
}
TORCH_SGD: dict[str, dict[str, Any]] = {
    "plain": {},
    "decay": {"weight_decay": 0.1},
    "momentum": {"momentum": 0.9},
    "dampening": {"momentum": 0.9, "dampening": 0.3, "weight_decay": 0.1},
    "Nesterov": {"momentum": 0.8, "nesterov": True, "weight_decay": 0.01},
    "maximize": {"momentum": 0.9, "weight_decay": 0.01, "maximize": True},
}


def data(n: int, dtype: torch.dtype) -> list[torch.Tensor]:
    """A parameter and the gradients of some steps."""
    generator = torch.Generator().manual_seed(n)
    return [torch.randn(n, dtype=torch.float64, generator=generator).to(dtype) for _ in range(STEPS + 1)]


def trained(optimizer: type, drawn: list[torch.Tensor], **options: Any) -> list[dict[str, np.ndarray]]:
    """The parameter and the state of a peer after each step."""
    p = torch.nn.Parameter(drawn[0].clone())
    peer = optimizer([p], **options)
    seen = []
    for grad in drawn[1:]:
        p.grad = grad.clone()
        peer.step()
        state = {key: value.numpy().copy() for key, value in peer.state[p].items() if torch.is_tensor(value)}
        seen.append(state | {"p": p.detach().numpy().copy()})
    return seen


def stepped(rule: Any, drawn: list[torch.Tensor], moments: tuple[str, ...], **options: Any) -> list[dict[str, Any]]:
    """The reference's arrays after each step."""
    state = {"p": drawn[0].numpy()} | {name: np.zeros_like(drawn[0].numpy()) for name in moments}
    seen = []
    for step, grad in enumerate(drawn[1:], 1):
        count = {} if rule is rules.lion else {"step": step}
        state = rule(g=grad.numpy(), **count, **options, **state)
        seen.append(state)
    return seen


def words(x: np.ndarray) -> np.ndarray:
    return x.view(np.uint32 if x.dtype == np.float32 else np.uint64)


def assert_bits(ours: list[dict[str, Any]], theirs: list[dict[str, Any]], names: dict[str, str], met: str) -> None:
    for step, (a, b) in enumerate(zip(ours, theirs, strict=True), 1):
        for name, peers in names.items():
            np.testing.assert_array_equal(words(a[name]), words(b[peers]), err_msg=f"{name} in step {step}; {met}")


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
@pytest.mark.parametrize("variant", TORCH_ADAM)
def test_adam_with_l2_has_the_bits_of_torch(variant: str, dtype: torch.dtype, met: str) -> None:
    drawn, options = data(160, dtype), TORCH_ADAM[variant]
    rest = {"lr": 1e-3, "betas": (0.9, 0.999), "eps": 1e-8, "weight_decay": 0.0, "decay": "l2"} | options
    names = {"p": "p", "m": "exp_avg", "v": "exp_avg_sq"}
    names |= {"vmax": "max_exp_avg_sq"} if rest.pop("amsgrad", False) else {}
    theirs = trained(torch.optim.Adam, drawn, fused=True, lr=1e-3, **options)
    assert_bits(stepped(rules.adam, drawn, tuple(names)[1:], **rest), theirs, names, met)


@pytest.mark.parametrize("fused", [False, True], ids=["loop", "fused"])
@pytest.mark.parametrize("dtype", DTYPES, ids=str)
@pytest.mark.parametrize("variant", TORCH_SGD)
def test_sgd_has_the_bits_of_torch(variant: str, dtype: torch.dtype, fused: bool, met: str) -> None:
    """Both of torch's CPU paths; the for-loop's on all elements, the fused kernel's but for its last few."""
    drawn, options = data(160 if fused else 163, dtype), TORCH_SGD[variant]
    moments = ("m",) if options.get("momentum") else ()
    ours = stepped(rules.sgd, drawn, moments, lr=0.1, **options)
    theirs = trained(torch.optim.SGD, drawn, lr=0.1, foreach=False, fused=fused, **options)
    assert_bits(ours, theirs, {"p": "p", "m": "momentum_buffer"} if moments else {"p": "p"}, met)


def assert_near(ours: list[dict[str, Any]], theirs: list[dict[str, Any]], names: dict[str, str], ulps: float) -> None:
    for a, b in zip(ours, theirs, strict=True):
        for name, peers in names.items():
            limit = ulps * float(np.finfo(a[name].dtype).eps) * np.maximum(1.0, np.abs(b[peers]))
            assert (np.abs(a[name] - b[peers]) <= limit).all(), name


@pytest.mark.parametrize("caution", [False, True], ids=["plain", "cautious"])
@pytest.mark.parametrize("corrected", [False, True], ids=["decoupled", "corrected"])
@pytest.mark.parametrize("dtype", DTYPES, ids=str)
def test_cautious_and_corrected_are_timms(dtype: torch.dtype, corrected: bool, caution: bool) -> None:
    timm = pytest.importorskip("timm.optim")
    drawn = data(333, dtype)
    shared = {"lr": 3e-3, "weight_decay": 0.1}
    peers = {"caution": caution, "corrected_weight_decay": corrected, "foreach": False, **shared}
    # Where no schedule runs, timm's largest rate is the rate; one with another largest rate follows below.
    ours = {"cautious": caution, "decay": "corrected" if corrected else "decoupled", "max_lr": 3e-3, **shared}
    theirs = trained(timm.AdamWLegacy, drawn, **peers)
    mine = stepped(rules.adam, drawn, ("m", "v"), betas=(0.9, 0.999), eps=1e-8, **ours)
    assert_near(mine, theirs, {"p": "p", "m": "exp_avg", "v": "exp_avg_sq"}, 4)
    theirs = trained(timm.Lion, drawn, **peers)
    mine = stepped(rules.lion, drawn, ("m",), betas=(0.9, 0.99), **ours)
    assert_near(mine, theirs, {"p": "p", "m": "exp_avg"}, 4)


def test_the_corrected_decay_of_timm_below_its_largest_rate() -> None:
    timm = pytest.importorskip("timm.optim")
    drawn = data(100, torch.float64)
    p = torch.nn.Parameter(drawn[0].clone())
    peer = timm.AdamWLegacy([p], lr=0.4, weight_decay=0.1, corrected_weight_decay=True, foreach=False)
    state = {"p": drawn[0].numpy(), "m": np.zeros(100), "v": np.zeros(100)}
    options: dict[str, Any] = {"betas": (0.9, 0.999), "eps": 1e-8, "weight_decay": 0.1, "max_lr": 0.4}
    for step, grad in enumerate(drawn[1:], 1):
        rate = 0.4 / step
        peer.param_groups[0]["lr"] = rate
        p.grad = grad.clone()
        peer.step()
        state = rules.adam(g=grad.numpy(), step=step, lr=rate, decay="corrected", **options, **state)
        np.testing.assert_allclose(state["p"], p.detach().numpy(), rtol=1e-14, atol=1e-15)


def test_lion_adam_and_sgd_are_optaxs() -> None:
    """optax in float32: its powers and roots are within a few ulp."""
    optax = pytest.importorskip("optax")
    drawn = data(200, torch.float32)
    peers = {
        "lion": (optax.lion(1e-2, b1=0.9, b2=0.99, weight_decay=0.1), rules.lion, ("m",)),
        "adamw": (optax.adamw(1e-2, weight_decay=0.1), rules.adam, ("m", "v")),
        "sgd": (optax.sgd(1e-2, momentum=0.9, nesterov=True), rules.sgd, ("m",)),
    }
    options: dict[str, dict[str, Any]] = {
        "lion": {"betas": (0.9, 0.99), "weight_decay": 0.1},
        "adamw": {"betas": (0.9, 0.999), "eps": 1e-8, "weight_decay": 0.1},
        "sgd": {"momentum": 0.9, "nesterov": True},
    }
    for name, (peer, rule, moments) in peers.items():
        p = drawn[0].numpy()
        state = peer.init(p)
        for mine, grad in zip(stepped(rule, drawn, moments, lr=1e-2, **options[name]), drawn[1:], strict=True):
            updates, state = peer.update(grad.numpy(), state, p)
            p = np.asarray(optax.apply_updates(p, updates))
            np.testing.assert_allclose(mine["p"], p, rtol=0, atol=1e-6, err_msg=name)


def stable_by_its_authors(
    drawn: list[torch.Tensor], lr: float, betas: tuple[float, float], eps: float, wd: float
) -> Any:
    """StableAdamW as Wortsman et al. (2023, algorithm 2) print it: betas that are debiased before they are used."""
    p = drawn[0].clone()
    m, u = torch.zeros_like(p), torch.zeros_like(p)
    for t, g in enumerate(drawn[1:], 1):
        b1, b2 = (beta * (1 - beta ** (t - 1)) / (1 - beta**t) for beta in betas)
        m = b1 * m + (1 - b1) * g
        u = b2 * u + (1 - b2) * g**2
        rms = (g**2 / torch.clamp(u, min=eps**2)).mean().sqrt().item()
        rate = lr / max(1.0, rms)
        p = p - rate * wd * p - rate * m / (u.sqrt() + eps)
        yield p.numpy()


def test_stable_is_that_of_its_paper() -> None:
    drawn = data(500, torch.float64)
    drawn[3] = drawn[3] * 40  # a gradient far beyond the second moment, whose rate is clipped
    options: dict[str, Any] = {"lr": 0.02, "betas": (0.9, 0.99), "eps": 1e-6}
    ours = stepped(rules.adam, drawn, ("m", "v"), weight_decay=0.1, stable=True, **options)
    for mine, theirs in zip(ours, stable_by_its_authors(drawn, wd=0.1, **options), strict=True):
        np.testing.assert_allclose(mine["p"], theirs, rtol=0, atol=1e-14)
    unclipped = stepped(rules.adam, drawn, ("m", "v"), weight_decay=0.1, **options)
    assert np.abs(ours[2]["p"] - unclipped[2]["p"]).max() > 1e-3


HALVES = [torch.bfloat16, torch.float16]


def halves(rule: Any, drawn: list[torch.Tensor], moments: tuple[str, ...], **options: Any) -> list[dict[str, Any]]:
    """The reference on 16-bit storage: everything in float32, each array rounded once in each step."""
    kept = {"p": drawn[0]} | {name: torch.zeros_like(drawn[0]) for name in moments}
    seen = []
    for step, grad in enumerate(drawn[1:], 1):
        wide = {name: array.float().numpy() for name, array in kept.items()}
        result = rule(g=grad.float().numpy(), step=step, **options, **wide)
        kept = {name: torch.tensor(array).to(grad.dtype) for name, array in result.items()}
        seen.append({name: array.view(torch.int16).numpy() for name, array in kept.items()})
    return seen


@pytest.mark.parametrize("dtype", HALVES, ids=str)
@pytest.mark.parametrize("variant", ["sgd " + name for name in TORCH_SGD] + ["adam " + name for name in TORCH_ADAM])
def test_16_bit_tensors_have_the_bits_of_torchs_fused_step(variant: str, dtype: torch.dtype, met: str) -> None:
    rule, _, name = variant.partition(" ")
    drawn = data(160, dtype)
    if rule == "sgd":
        options, optimizer = {"lr": 0.1, **TORCH_SGD[name]}, torch.optim.SGD
        names = {"p": "p", "m": "momentum_buffer"} if "momentum" in options else {"p": "p"}
        mine: dict[str, Any] = options
    else:
        options, optimizer = {"lr": 1e-3, **TORCH_ADAM[name]}, torch.optim.Adam
        mine = {"betas": (0.9, 0.999), "eps": 1e-8, "weight_decay": 0.0, "decay": "l2"} | options
        names = {"p": "p", "m": "exp_avg", "v": "exp_avg_sq"}
        names |= {"vmax": "max_exp_avg_sq"} if mine.pop("amsgrad", False) else {}
    p = torch.nn.Parameter(drawn[0].clone())
    peer = optimizer([p], fused=True, **options)
    ours = halves(getattr(rules, rule), drawn, tuple(names)[1:], **mine)
    for step, (state, grad) in enumerate(zip(ours, drawn[1:], strict=True), 1):
        p.grad = grad.clone()
        peer.step()
        theirs = {key: value for key, value in peer.state[p].items() if torch.is_tensor(value)} | {"p": p.detach()}
        for key, peers in names.items():
            bits = theirs[peers].view(torch.int16).numpy()
            np.testing.assert_array_equal(state[key], bits, err_msg=f"{key} in step {step}; {met}")


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
@pytest.mark.parametrize("variant", ["sgd " + name for name in TORCH_SGD] + ["adam " + name for name in TORCH_ADAM])
def test_the_classes_have_the_bits_of_torch(variant: str, dtype: torch.dtype, met: str) -> None:
    rule, _, name = variant.partition(" ")
    peer, make = (torch.optim.SGD, sy.optim.SGD) if rule == "sgd" else (torch.optim.Adam, sy.optim.Adam)
    options = {"lr": 1e-2} | (TORCH_SGD if rule == "sgd" else TORCH_ADAM)[name]
    for n in (8, 64, 4096, 65_536 + 16):
        drawn = data(n, dtype)
        ours = drawn[0].clone()
        opt = make([ours], **options)
        for grad, theirs in zip(drawn[1:], trained(peer, drawn, fused=True, **options), strict=True):
            opt.step([grad])
            np.testing.assert_array_equal(words(ours.numpy()), words(theirs["p"]), err_msg=met)
            for key, moment in opt.state_dict().items():
                if key.endswith("/0"):
                    np.testing.assert_array_equal(words(moment), words(theirs[key.removesuffix("/0")]), err_msg=met)

"""``steelyard.torch.preference_loss``: values and gradients of every loss, also where the reference requires grad."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from torch.nn.functional import logsigmoid

import steelyard as sy
from steelyard._registries import REGISTRIES
from steelyard.torch import cross_entropy, preference_loss
from steelyard.torch.preference_formulas import FORMULAS, formula_losses

LOSSES = list(REGISTRIES["preference.loss"])


def columns(dtype: torch.dtype = torch.float64, n: int = 7) -> list[torch.Tensor]:
    generator = torch.Generator().manual_seed(3)
    found = [-5 - 10 * torch.rand(n, generator=generator, dtype=torch.float64) for _ in range(4)]
    return [column.to(dtype).requires_grad_() for column in found]


def options_of(loss: str, n: int = 7) -> tuple[int, dict[str, Any]]:
    """How many columns a loss reads, and its other arguments."""
    reads = REGISTRIES["preference.loss"][loss].columns
    lengths = {"lengths": (np.arange(3, 3 + n), np.arange(5, 5 + n))} if "lengths" in reads else {}
    return 4 if "reference" in reads else 2, {"loss": loss, "beta": 0.3, **lengths}


@pytest.mark.parametrize("loss", LOSSES)
def test_values_and_gradients_are_those_of_the_call_without_torch(loss: str) -> None:
    reads, options = options_of(loss)
    given = columns()[:reads]
    for x in given[2:]:
        x.requires_grad_(loss != "aot")
    want = sy.preference_loss(*(x.detach().numpy() for x in given), **options)
    got = preference_loss(*given, reduction="none", **options)
    assert got.detach().numpy().tobytes() == want.losses.tobytes()
    slope = torch.linspace(0.5, 2.0, len(got), dtype=torch.float64)
    got.backward(slope)
    assert want.grad_chosen is not None
    assert want.grad_rejected is not None
    for i, x in enumerate(given[:2] if loss == "aot" else given):
        sign, grad = (1.0 if i < 2 else -1.0), (want.grad_chosen, want.grad_rejected)[i % 2]
        assert x.grad is not None
        assert torch.equal(x.grad, sign * slope * torch.from_numpy(grad.copy()))


def test_numbers_of_every_kind() -> None:
    given = columns()
    want = preference_loss(*given, beta=0.5, label_smoothing=0.25)
    for kind in (np.float32, np.float64, np.array, torch.tensor):
        assert preference_loss(*given, beta=kind(0.5), label_smoothing=kind(0.25)) == want


@pytest.mark.parametrize("loss", [name for name in LOSSES if name != "hinge"])
def test_gradcheck(loss: str) -> None:
    reads, options = options_of(loss)
    given = columns()[:reads]
    for x in given[2:]:
        x.requires_grad_(loss != "aot")
    assert torch.autograd.gradcheck(lambda *x: preference_loss(*x, reduction="none", **options), given)


@pytest.mark.parametrize("reduction", ["none", "sum", "mean"])
def test_gradcheck_of_mixtures_with_margins_and_weights(reduction: Any) -> None:
    options: Any = {
        "loss": {"dpo": 0.8, "hinge": 0.2}, "sft": 0.25, "margin": torch.linspace(-1, 1, 7), "beta": 0.3,
        "weights": [0.5, 1.0, 0.0, 2.0, 1.0, 1.0, 0.25], "reduction": reduction,
    }  # fmt: skip
    assert torch.autograd.gradcheck(lambda *x: preference_loss(*x, **options), columns())


def test_weights_are_those_of_cross_entropy() -> None:
    """The mean is divided by their sum, and without a reduction each loss is multiplied by its own."""
    weights = torch.tensor([0.5, 1.0, 0.0, 2.0, 1.0, 1.0, 0.25], dtype=torch.float64)
    plain, given = preference_loss(*columns(), reduction="none"), {"weights": weights}
    torch.testing.assert_close(preference_loss(*columns(), reduction="none", **given), plain * weights)  # type: ignore[arg-type]
    torch.testing.assert_close(preference_loss(*columns(), **given), (plain * weights).sum() / weights.sum())  # type: ignore[arg-type]
    want = sy.preference_loss(*(x.detach().numpy() for x in columns()), weights=weights.numpy())
    assert preference_loss(*columns(), **given).item() == pytest.approx(float(want.loss), rel=1e-14)  # type: ignore[arg-type]


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_dpo_is_torchs_formula(dtype: torch.dtype) -> None:
    mine, theirs = columns(dtype), columns(dtype)
    got = preference_loss(*mine, beta=0.1)
    want = -logsigmoid(0.1 * ((theirs[0] - theirs[1]) - (theirs[2] - theirs[3]))).mean()
    got.backward()
    want.backward()
    assert got.dtype == dtype
    torch.testing.assert_close(got, want, rtol=1e-6, atol=1e-6)
    for a, b in zip(mine, theirs, strict=True):
        assert a.grad is not None
        assert b.grad is not None
        assert a.grad.dtype == dtype
        torch.testing.assert_close(a.grad, b.grad, rtol=1e-5, atol=1e-8)
    torch.testing.assert_close(preference_loss(*columns(dtype), reduction="sum"), 7 * preference_loss(*columns(dtype)))


def test_a_convention_has_the_gradients_of_what_the_library_adds() -> None:
    """SimPO as TRL has it: with the negative log-likelihood of the chosen answers, over all their tokens in the batch."""
    mine, theirs = columns()[:2], columns()[:2]
    lengths = (np.arange(3, 10), np.arange(5, 12))
    counts = [torch.from_numpy(length) for length in lengths]
    got = preference_loss(*mine, loss="simpo", convention="trl", beta=0.3, gamma=0.5, lengths=lengths)
    chosen, rejected = (x / n for x, n in zip(theirs, counts, strict=True))
    want = -logsigmoid(0.3 * (chosen - rejected) - 0.5).mean() - theirs[0].sum() / counts[0].sum()
    got.backward()
    want.backward()
    torch.testing.assert_close(got, want, rtol=1e-13, atol=0)
    for a, b in zip(mine, theirs, strict=True):
        torch.testing.assert_close(a.grad, b.grad, rtol=1e-12, atol=0)


def test_only_what_requires_grad_gets_one() -> None:
    given = columns()
    given[2].requires_grad_(False)
    given[3].requires_grad_(False)
    preference_loss(*given).backward()
    assert given[0].grad is not None
    assert given[2].grad is None
    assert not preference_loss(*(x.detach() for x in given)).requires_grad


def test_from_logits_through_the_token_scorer() -> None:
    generator = torch.Generator().manual_seed(1)
    logits = torch.randn(2, 3, 11, 40, generator=generator, dtype=torch.float64).requires_grad_()
    labels = torch.randint(0, 40, (2, 3, 11), generator=generator)
    labels[:, :, 8:] = -100

    def sums(log_probs: torch.Tensor) -> torch.Tensor:
        return (log_probs * (labels != -100)).sum(-1)

    ours = sums(-cross_entropy(logits.movedim(-1, 1), labels, reduction="none"))
    reference = -30 * torch.ones(2, 3, dtype=torch.float64)
    got = preference_loss(*ours, *reference)
    got.backward()
    again = logits.detach().clone().requires_grad_()
    plain = sums(torch.log_softmax(again, -1).gather(-1, labels.clamp(min=0)[..., None])[..., 0])
    want = -logsigmoid(0.1 * ((plain[0] - plain[1]) - (reference[0] - reference[1]))).mean()
    want.backward()
    torch.testing.assert_close(got, want)
    torch.testing.assert_close(logits.grad, again.grad)


# -- as formulas, which can be differentiated twice -------------------------------------------------------------

UNSET: dict[str, Any] = dict.fromkeys(
    ("label_smoothing", "shift", "temperature", "gamma", "alpha", "sft", "lengths", "margin", "weights", "convention")
)
# What the names alone do not reach: parameters, divergences, mixtures and what stands beside the columns.
BESIDE: dict[str, dict[str, Any]] = {
    "smoothing": {"loss": "dpo", "label_smoothing": 0.2},
    "robust": {"loss": "robust", "label_smoothing": 0.2},
    "exo": {"loss": "exo_pair", "label_smoothing": 0.1},
    "shift": {"loss": "bco_pair", "shift": 0.7},
    "warm": {"loss": "discopop", "temperature": 0.8},
    "forward-kl": {"loss": "dpo", "divergence": "forward-kl"},
    "js": {"loss": "apo_zero", "divergence": "js"},
    "alpha": {"loss": "bco_pair", "divergence": "alpha"},
    "alpha .3": {"loss": "dpo", "divergence": "alpha", "alpha": 0.3},
    "gamma": {"loss": "simpo", "gamma": 0.25, "lengths": (torch.arange(3, 10), torch.arange(5, 12))},
    "bent": {"loss": "alphapo", "alpha": -0.5, "lengths": (np.arange(3, 10), np.arange(5, 12))},
    "likelihood": {"loss": "cpo", "sft": 0.3},
    "mixture": {"loss": {"dpo": 0.8, "bco_pair": 0.2}, "sft": 0.25, "shift": 0.1},
    "mixture without a reference": {"loss": {"cpo": 2.0}, "sft": 0.5},
    "margin": {"loss": "ipo", "margin": torch.linspace(-1, 1, 7)},
    "weights": {"loss": "dpo", "weights": torch.tensor([0.5, 1.0, 0.0, 2.0, 1.0, 1.0, 0.25])},
}


def formula_case(name: str) -> tuple[list[torch.Tensor], dict[str, Any]]:
    """The columns of a loss, and its options."""
    reads, options = (4, BESIDE[name] | {"beta": 0.3}) if name in BESIDE else options_of(name)
    if not isinstance(options["loss"], dict):
        reads = options_of(options["loss"])[0]
    elif "cpo" in options["loss"]:
        reads = 2
    given = columns()[:reads]
    for x in given[2:]:
        x.requires_grad_(options["loss"] != "aot")
    return given, options


def by_formula(given: list[torch.Tensor], options: dict[str, Any]) -> torch.Tensor:
    return formula_losses(given, UNSET | {"divergence": "reverse-kl"} | options)


@pytest.mark.parametrize("name", [*LOSSES, *BESIDE])
def test_a_formula_is_what_the_kernels_compute(name: str) -> None:
    assert set(FORMULAS) == set(LOSSES)
    given, options = formula_case(name)
    got, want = by_formula(given, options), preference_loss(*given, reduction="none", **options)
    torch.testing.assert_close(got, want, rtol=1e-12, atol=1e-14)
    of = [x for x in given if x.requires_grad]
    pairs = zip(torch.autograd.grad(got.sum(), of), torch.autograd.grad(want.sum(), of), strict=True)
    for mine, theirs in pairs:
        torch.testing.assert_close(mine, theirs, rtol=1e-11, atol=1e-14)


@pytest.mark.parametrize("name", [name for name in (*LOSSES, *BESIDE) if name != "hinge"])
def test_second_derivatives(name: str) -> None:
    """``create_graph=True`` goes through the formula; the first derivatives are still the kernels' without it."""
    given, options = formula_case(name)
    assert torch.autograd.gradgradcheck(lambda *x: preference_loss(*x, reduction="none", **options), given)


@pytest.mark.parametrize("loss", LOSSES)
def test_a_formula_is_finite_where_the_kernels_are(loss: str) -> None:
    """Margins of 1e4 in both directions, and answers without tokens."""
    reads, options = options_of(loss, n=4)
    far = torch.tensor([-1.0, -1e4, -0.5, 0.0], dtype=torch.float64)
    given = [x.clone().requires_grad_() for x in (far, far.flip(0).roll(1), far.flip(0), far)[:reads]]
    for x in given[2:]:
        x.requires_grad_(loss != "aot")
    if "lengths" in options:
        counts = [torch.where((x == 0) & (y == 0), 0, 3) for x, y in zip(given[:2], given[-2:], strict=True)]
        options["lengths"] = tuple(counts)
    got, want = by_formula(given, options), preference_loss(*given, reduction="none", **options)
    torch.testing.assert_close(got, want, rtol=1e-6, atol=1e-12)
    of = [x for x in given if x.requires_grad]
    pairs = zip(torch.autograd.grad(got.sum(), of), torch.autograd.grad(want.sum(), of), strict=True)
    for mine, theirs in pairs:
        torch.testing.assert_close(mine, theirs, rtol=1e-6, atol=1e-12)


def test_what_is_refused() -> None:
    given = columns()
    with pytest.raises(RuntimeError, match="preference_loss with convention='trl': expected backward without create"):
        preference_loss(*given, loss="sigmoid", convention="trl").backward(create_graph=True)
    with pytest.raises(TypeError, match="policy_chosen: expected a tensor; got list"):
        preference_loss([0.0], *given[1:])  # type: ignore[arg-type]
    with pytest.raises(TypeError, match="policy_rejected: expected a dense tensor of"):
        preference_loss(given[0], torch.ones(7, dtype=torch.int64), *given[2:])
    with pytest.raises(ValueError, match="reference_rejected: expected log-probabilities of the reference for both"):
        preference_loss(*given[:3])
    for name in ("beta", "label_smoothing"):
        for sweep in ([0.1, 0.2], [0.1], torch.tensor([0.1, 0.2])):
            with pytest.raises(ValueError, match=f"{name}: expected one number, since a sweep has no one gradient"):
                preference_loss(*given, **{name: sweep})  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="reference_chosen: expected a reference that requires no grad for 'aot'"):
        preference_loss(*given, loss="aot")
    for name in ("margin", "weights"):
        with pytest.raises(
            ValueError, match=f"{name}: expected a constant; got a tensor that requires grad; pass {name}.detach"
        ):
            preference_loss(*given, **{name: torch.ones(7, requires_grad=True)})  # type: ignore[arg-type]
    one = torch.tensor(0.25, requires_grad=True)
    for name in ("beta", "label_smoothing"):
        with pytest.raises(ValueError, match=f"{name}: expected a constant; got a tensor that requires grad"):
            preference_loss(*given, **{name: one})  # type: ignore[arg-type]
    moving = torch.arange(1.0, 8.0).requires_grad_()
    with pytest.raises(ValueError, match=r"lengths\[1\]: expected a constant; got a tensor that requires grad"):
        preference_loss(*given[:2], loss="simpo", lengths=(moving.detach(), moving))
    with pytest.raises(TypeError, match="where"):
        preference_loss(*given, where=[True] * 7)  # type: ignore[call-arg]
    with pytest.raises(ValueError, match="loss: expected one of"):
        preference_loss(*given, loss="dpa")
    with pytest.raises(ValueError, match="reduction: expected one of"):
        preference_loss(*given, reduction="average")  # type: ignore[arg-type]
    for x in given:
        assert x.grad is None

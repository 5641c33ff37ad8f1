"""``convention=``: the numbers of the libraries' own functions, where a library is installed.

None of them is a dependency. Where one is absent its tests are skipped; decision 0080 says which versions they have
passed with.
"""

from __future__ import annotations

import importlib
import importlib.util
import sys
from collections import defaultdict
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch

import steelyard as sy
from steelyard.preference.dialects import DIALECTS

N, LONGEST = 5, 6
LENGTHS = (np.array([3, 1, 6, 4, 2]), np.array([2, 5, 6, 1, 3]))
# What a loss is given beside beta, in the parameters of this package.
GIVEN: dict[str, dict[str, float]] = {
    "exo_pair": {"label_smoothing": 0.1}, "robust": {"label_smoothing": 0.2}, "discopop": {"temperature": 0.3},
}  # fmt: skip


def library(name: str) -> ModuleType:
    """A module of a library, or a skipped test."""
    return pytest.importorskip(name, reason=f"{name.partition('.')[0]} is compared where it is installed")


def file_of(package: str, *path: str, beside: dict[str, str] | None = None) -> ModuleType:
    """A file of an installed package by itself: its package imports much that the file does not need.

    ``beside`` names what the file imports from other files of the library (name: module) and the test does not call.
    """
    found = importlib.util.find_spec(package)
    if found is None or found.submodule_search_locations is None:
        pytest.skip(f"{package} is compared where it is installed")
    folder = Path(next(iter(found.submodule_search_locations))).joinpath(*path[:-1])
    parent = ModuleType(f"_{package}")
    parent.__path__ = [str(folder)]
    sys.modules[parent.__name__] = parent
    for name, module in (beside or {}).items():
        neighbour = ModuleType(module if "." in module else f"{parent.__name__}.{module}")
        setattr(neighbour, name, None)
        sys.modules[neighbour.__name__] = neighbour
    return importlib.import_module(f"{parent.__name__}.{path[-1]}")


def tokens(side: int, seed: int) -> np.ndarray:
    """Log-probabilities of tokens, 0 behind the end of an answer."""
    drawn = -np.random.default_rng(seed).exponential(1.0, (N, LONGEST))
    return np.where(np.arange(LONGEST) < LENGTHS[side][:, None], drawn, 0.0)


def columns() -> list[np.ndarray]:
    """The log-probabilities of answers: of the policy and of the reference, the chosen and the rejected ones."""
    return [tokens(side, 10 * model + side).sum(1) for model in (0, 1) for side in (0, 1)]


def ours(loss: str, convention: str, **options: Any) -> sy.preference.PreferenceLoss:
    row = DIALECTS[convention][loss]
    names = sy.preference.losses.REGISTRIES["preference.loss"][row.loss].columns
    if "lengths" in names or (row.likelihood and options.get("sft") != 0):
        options["lengths"] = LENGTHS
    given = columns() if "reference" in names else columns()[:2]
    return sy.preference_loss(*given, loss=loss, convention=convention, beta=0.3, **options)


# -- torchtune, OpenRLHF ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("smoothing", [0.0, 0.1])
def test_torchtune_dpo(smoothing: float) -> None:
    theirs = file_of("torchtune", "rlhf", "loss", "dpo").DPOLoss(beta=0.3, label_smoothing=smoothing)
    losses, chosen, rejected = theirs(*map(torch.from_numpy, columns()))
    found = ours("DPOLoss", "torchtune", label_smoothing=smoothing)
    np.testing.assert_allclose(found.losses, losses, rtol=1e-13)
    np.testing.assert_allclose([found.rewards_chosen, found.rewards_rejected], [chosen, rejected], rtol=1e-13)


def test_torchtune_rso() -> None:
    losses, *_ = file_of("torchtune", "rlhf", "loss", "dpo").RSOLoss(gamma=0.3)(*map(torch.from_numpy, columns()))
    np.testing.assert_allclose(ours("RSOLoss", "torchtune").losses, losses, rtol=1e-13, atol=1e-15)


@pytest.mark.parametrize(("name", "smoothing"), [("dpo", 0.0), ("dpo", 0.1), ("ipo", 0.0), ("ipo", 0.1)])
def test_openrlhf(name: str, smoothing: float) -> None:
    module = file_of("openrlhf", "models", "loss", beside={"masked_mean": "utils"})
    theirs = module.DPOLoss(0.3, smoothing, ipo=name == "ipo")
    loss, chosen, _ = theirs(*map(torch.from_numpy, columns()))
    if (name, smoothing) == ("ipo", 0.1):
        with pytest.warns(sy.errors.SteelyardWarning, match="label_smoothing: OpenRLHF ignores it for 'ipo'"):
            found = ours(name, "openrlhf", label_smoothing=smoothing)
    else:
        found = ours(name, "openrlhf", label_smoothing=smoothing or None)
    assert float(found.loss) == pytest.approx(loss.item(), rel=1e-13)
    np.testing.assert_allclose(found.rewards_chosen, chosen, rtol=1e-13)


# -- TRL -------------------------------------------------------------------------------------------------------


def identity(x: Any) -> Any:
    return x


ACCELERATOR = SimpleNamespace(gather=identity, gather_for_metrics=identity, device=torch.device("cpu"))


def of_trl(loss: str, dtype: torch.dtype = torch.float64, **options: Any) -> tuple[float, Any, Any, Any]:
    """DPOTrainer's loss by its own code, its gradients by answer (of the mean), and the means of its rewards."""
    trainer = library("trl.trainer.dpo_trainer").DPOTrainer
    logps = torch.from_numpy(np.concatenate([tokens(0, 0), tokens(1, 1)])).to(dtype).requires_grad_()
    lengths = np.concatenate(LENGTHS)
    mask = torch.from_numpy(np.arange(-1, LONGEST) < lengths[:, None]).long()
    mask[:, 0] = 0  # the prompt
    own = SimpleNamespace(
        model=SimpleNamespace(training=True), accelerator=ACCELERATOR, aux_loss_enabled=False, ld_alpha=None,
        precompute_ref_logps=True, beta=0.3, loss_types=[loss], loss_weights=[1.0], use_weighting=False,
        f_divergence_type=options.get("f_divergence_type", "reverse_kl"), f_alpha_divergence_coef=0.5,
        label_smoothing=options.get("label_smoothing", 0.0),
        args=SimpleNamespace(discopop_tau=options.get("temperature", 0.05)),
        _metrics=defaultdict(lambda: defaultdict(list)), _total_train_tokens=0, _tp_size=1,
    )  # fmt: skip
    outputs = SimpleNamespace(
        log_probs=logps, entropy=0 * logps, mean_logits=0 * logps, is_top1=logps > 0, log_sum_sq_probs=0 * logps
    )
    reference = [torch.from_numpy(column).to(dtype) for column in columns()[2:]]
    inputs = {
        "completion_mask": mask, "input_ids": mask, "attention_mask": mask, "ref_chosen_logps": reference[0],
        "ref_rejected_logps": reference[1],
    }  # fmt: skip
    found = trainer._compute_loss(own, lambda **_: outputs, inputs, False)
    found.backward()
    assert logps.grad is not None
    metrics = own._metrics["train"]
    return (
        found.item(),
        *logps.grad[:, 0].double().chunk(2),
        (metrics["rewards/chosen"][0], metrics["rewards/margins"][0]),
    )


OF_DPO = [name for name in DIALECTS["trl"] if name not in ("cpo", "simpo", "alphapo")]


@pytest.mark.parametrize("loss", OF_DPO)
def test_trl_dpo(loss: str) -> None:
    options = GIVEN.get(loss, {})
    theirs, by_chosen, by_rejected, rewards = of_trl(loss, **options)
    found = ours(loss, "trl", **options)
    bound = 1e-6 if loss == "exo_pair" else 1e-11  # TRL takes the logarithms of its label smoothing in float32
    assert float(found.loss) == pytest.approx(theirs, rel=bound)
    np.testing.assert_allclose(found.grad_chosen, N * by_chosen, rtol=bound, atol=1e-3 * bound)
    np.testing.assert_allclose(found.grad_rejected, N * by_rejected, rtol=bound, atol=1e-3 * bound)
    got = found.rewards_chosen.mean(), float(found.reward_margin)
    assert got == pytest.approx(rewards, rel=1e-12)


@pytest.mark.parametrize("loss", sorted(name for name in OF_DPO if "label_smoothing" in DIALECTS["trl"][name].ignores))
def test_trl_ignores_label_smoothing(loss: str) -> None:
    theirs = of_trl(loss, label_smoothing=0.1)[0]
    assert theirs == of_trl(loss)[0]
    with pytest.warns(sy.errors.SteelyardWarning, match=f"label_smoothing: TRL ignores it for '{loss}'"):
        found = ours(loss, "trl", label_smoothing=0.1)
    assert float(found.loss) == pytest.approx(theirs, rel=1e-12)


@pytest.mark.parametrize(
    ("theirs", "own"), [("forward_kl", "forward-kl"), ("js_divergence", "js"), ("alpha_divergence", "alpha")]
)
@pytest.mark.parametrize("loss", ["sigmoid", "hinge", "robust"])
def test_trl_divergences(loss: str, theirs: str, own: Any) -> None:
    """In float32, since TRL's clamp of the divergence "alpha" knows no float64."""
    loss_there, by_chosen, _, rewards = of_trl(loss, torch.float32, f_divergence_type=theirs)
    found = ours(loss, "trl", divergence=own)
    assert float(found.loss) == pytest.approx(loss_there, rel=1e-5)
    np.testing.assert_allclose(found.grad_chosen, N * by_chosen, rtol=1e-4, atol=1e-6)
    assert (found.rewards_chosen.mean(), float(found.reward_margin)) == pytest.approx(rewards, rel=1e-5)


@pytest.mark.parametrize("sft", [0.0, 1.0, 0.25])
@pytest.mark.parametrize("loss", ["cpo", "simpo", "alphapo"])
def test_trl_cpo(loss: str, sft: float) -> None:
    """The whole number of a batch: the losses and what CPOTrainer adds to them, with its gradients."""
    trainer = library("trl.experimental.cpo.cpo_trainer").CPOTrainer
    summed = [torch.from_numpy(column).requires_grad_() for column in columns()[:2]]
    counts = [torch.from_numpy(length) for length in LENGTHS]
    nll = -summed[0].sum() / counts[0].sum()
    seen = summed if loss == "cpo" else [a / n for a, n in zip(summed, counts, strict=True)]
    alpha = 0.4 if loss == "alphapo" else 0.0
    own = SimpleNamespace(
        alpha=alpha, beta=0.3, simpo_gamma=0.7, label_smoothing=0.0, accelerator=ACCELERATOR, cpo_alpha=sft,
        loss_type="sigmoid" if loss == "cpo" else "simpo", aux_loss_enabled=False,
        concatenated_forward=lambda model, batch: (*seen, torch.zeros(1), torch.zeros(1), nll),
    )  # fmt: skip
    own.cpo_loss = lambda *given: trainer.cpo_loss(own, *given)
    theirs, metrics = trainer.get_batch_loss_metrics(own, None, {})
    theirs.backward()
    options: dict[str, float] = {"sft": sft}
    options |= {} if loss == "cpo" else {"gamma": 0.7}
    options |= {"alpha": alpha} if alpha else {}
    found = ours(loss, "trl", **options)
    assert float(found.loss) == pytest.approx(theirs.item(), rel=1e-12)
    for got, of in zip((found.grad_chosen, found.grad_rejected), summed, strict=True):
        assert of.grad is not None
        np.testing.assert_allclose(got, N * of.grad, rtol=1e-11, atol=1e-14)
    assert float(found.reward_margin) == pytest.approx(metrics["rewards/margins"], rel=1e-12)
    if sft == 1.0:  # the default there as here
        del options["sft"]
        assert ours(loss, "trl", **options).losses.tolist() == found.losses.tolist()


# -- Liger -----------------------------------------------------------------------------------------------------


def of_liger(made: Any, with_reference: bool) -> tuple[float, list[np.ndarray]]:
    """The loss of a layer of Liger for hidden states, and the log-probabilities of the answers that these have."""
    rng = np.random.default_rng(5)
    hidden, base = (torch.from_numpy(rng.normal(size=(2 * N, LONGEST, 4))) for _ in range(2))
    weight, base_weight = (torch.from_numpy(rng.normal(size=(9, 4))) for _ in range(2))
    counted = torch.from_numpy(np.arange(LONGEST) < np.concatenate(LENGTHS)[:, None])
    target = torch.where(counted, torch.from_numpy(rng.integers(0, 9, (2 * N, LONGEST))), -100)

    def summed(states: Any, matrix: Any) -> Any:
        logps = (states @ matrix.t()).log_softmax(-1).gather(-1, target.clamp(min=0).unsqueeze(-1)).squeeze(-1)
        return (logps * counted).sum(1).chunk(2)

    also = (None, base, base_weight) if with_reference else ()
    loss, *_ = made(weight, hidden, target, *also)
    models = [(hidden, weight)] + ([(base, base_weight)] if with_reference else [])
    return loss.item(), [column.numpy() for model in models for column in summed(*model)]


@pytest.mark.parametrize("loss", [name for name in DIALECTS["liger"] if name not in ("cpo", "simpo", "orpo")])
@pytest.mark.parametrize("smoothing", [0.0, 0.1])
def test_liger_dpo(loss: str, smoothing: float) -> None:
    layer = library("liger_kernel.chunked_loss.dpo_loss").LigerFusedLinearDPOLoss
    row, options = DIALECTS["liger"][loss], {"beta": 0.3}
    if "label_smoothing" in row.needs and not smoothing:
        with pytest.raises(ValueError, match="label_smoothing must be > 0"):
            layer(loss_type=loss)
        return
    made = layer(loss_type=loss, label_smoothing=smoothing, compiled=False, **options)
    theirs, given = of_liger(made, with_reference=True)
    options |= {"label_smoothing": smoothing} if smoothing and "label_smoothing" in row.takes else {}
    found = sy.preference_loss(*given, loss=loss, convention="liger", **options)
    # Liger adds up in float32.
    assert float(found.loss) == pytest.approx(theirs, rel=3e-6)


@pytest.mark.parametrize(
    ("loss", "file", "layer"),
    [
        ("cpo", "cpo_loss", "LigerFusedLinearCPOLoss"), ("simpo", "simpo_loss", "LigerFusedLinearSimPOLoss"),
        ("orpo", "orpo_loss", "LigerFusedLinearORPOLoss"),
    ],
)  # fmt: skip
def test_liger_without_a_reference(loss: str, file: str, layer: str) -> None:
    made = getattr(library(f"liger_kernel.chunked_loss.{file}"), layer)(beta=0.3, compiled=False)
    theirs, given = of_liger(made, with_reference=False)
    found = sy.preference_loss(*given, loss=loss, convention="liger", beta=0.3, lengths=LENGTHS)
    assert float(found.loss) == pytest.approx(theirs, rel=3e-6)


def test_liger_has_no_ipo() -> None:
    layer = library("liger_kernel.chunked_loss.dpo_loss").LigerFusedLinearDPOLoss
    with pytest.raises(ValueError, match="Unsupported loss_type"):
        layer(loss_type="ipo")
    with pytest.raises(ValueError, match="Liger Kernel's 'ipo' cannot be had: Liger has not implemented it"):
        sy.preference_loss(*columns(), loss="ipo", convention="liger")


# -- axolotl ---------------------------------------------------------------------------------------------------


def test_axolotl_configures_trl() -> None:
    """Its own code: which of the fields of its configuration become arguments of TRL's trainers."""
    unused = {"AxolotlDPOTrainer": "axolotl.core.trainers.dpo.trainer"}
    strategy = file_of("axolotl", "core", "trainers", "dpo", "__init__", beside=unused).DPOStrategy
    kind = library("axolotl.utils.schemas.enums").RLType
    fields = dict.fromkeys(
        ("dpo_loss_type", "dpo_loss_weights", "sequence_len", "dpo_use_weighting", "dpo_padding_free",
         "dpo_use_liger_kernel", "precompute_ref_log_probs")
    )  # fmt: skip
    ipo = strategy.set_training_args_kwargs(SimpleNamespace(rl=kind.IPO, dpo_label_smoothing=0.1, **fields))
    dpo = strategy.set_training_args_kwargs(SimpleNamespace(rl=kind.DPO, dpo_label_smoothing=0.1, **fields))
    assert (ipo["loss_type"], ipo.get("label_smoothing")) == (["ipo"], None)
    assert (dpo.get("loss_type"), dpo["label_smoothing"]) == (None, 0.1)
    for name, same in (("dpo", "sigmoid"), ("sigmoid", "sigmoid"), ("ipo", "ipo"), ("robust", "robust")):
        here, there = ours(name, "axolotl"), ours(same, "trl")
        assert here.losses.tolist() == there.losses.tolist()

"""What other libraries mean by the name of a preference loss: one row for each library and name.

A row says which loss of this package it is, which parameters the library reads there and which it has but does not
read, what it adds, and what its rewards are. The rows were read in the sources and, where a library can be installed,
compared with its functions (``tests/torch/test_preference_dialects.py``; versions in decision 0080).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal, NamedTuple

__all__ = ["DIALECTS", "LACKING", "LIBRARIES", "Convention", "Dialect", "Spelt"]

Convention = Literal["steelyard", "reference", "trl", "liger", "torchtune", "openrlhf", "axolotl"]
Spelt = Literal["sigmoid", "DPOLoss", "RSOLoss"]
"""The names of losses that only other libraries have."""
Rewards = Literal["compared", "log-ratio", "mean"]

SUMMED = "the log-ratios are summed over tokens, as in the paper"
AVERAGED = "the log-ratios are averaged over tokens; the paper sums them"
TIES = "the accuracy that it logs counts a tie as a loss"
OF_BATCH = "adds sft times the chosen answers' negative log-likelihood, averaged over all their tokens in the batch"
CLAMPED = "exponents of the divergence 'alpha' stop at 80 there, with the gradient 0"


class Dialect(NamedTuple):
    """A library's loss of one name, in terms of this package's."""

    loss: str
    """The loss of this package."""
    takes: tuple[str, ...] = ()
    """The parameters beside ``beta`` that the library reads for this loss."""
    ignores: tuple[str, ...] = ()
    """The parameters that the library has and does not read for this loss."""
    beyond: tuple[str, ...] = ()
    """The parameters that the library reads for this loss and this package's loss does not have."""
    needs: tuple[str, ...] = ()
    """The parameters that have no default there."""
    spelt: Mapping[str, str] = {}
    """What the library calls a parameter, where it has another name."""
    likelihood: float | None = None
    """The default weight of the chosen answers' negative log-likelihood, averaged over all their tokens in the batch,
    which the library adds; None where it adds nothing."""
    rewards: Rewards = "compared"
    """What beta is multiplied with to give a reward: what the loss compares, the log-ratio of the whole answer, or the
    mean log-probability of a token."""
    note: str = ""


LIBRARIES: dict[str, str] = {
    "reference": "eric-mitchell/direct-preference-optimization",
    "trl": "TRL",
    "liger": "Liger Kernel",
    "torchtune": "torchtune",
    "openrlhf": "OpenRLHF",
    "axolotl": "axolotl",
}
"""The convention's library by its own name."""

_SMOOTHING = ("label_smoothing",)
_DPO_OPTIONS = ("label_smoothing", "temperature")
_DIVERGENCE = ("divergence", "alpha")
_NAMES = {"temperature": "discopop_tau"}
_TRL_NAMES = _NAMES | {"divergence": "f_divergence_type", "alpha": "f_alpha_divergence_coef"}


def _unread(*read: str) -> tuple[str, ...]:
    """The options of a trainer of DPO losses that a loss does not read."""
    return tuple(option for option in _DPO_OPTIONS if option not in read)


def _own(name: str, *read: str, needs: tuple[str, ...] = ()) -> Dialect:
    """A loss that has this package's name and formula in TRL and Liger."""
    return Dialect(name, read, _unread(*read), needs=needs, spelt=_NAMES)


_SHARED: dict[str, Dialect] = {
    "hinge": _own("hinge"),
    "exo_pair": _own("exo_pair", "label_smoothing", needs=_SMOOTHING),
    "nca_pair": _own("nca_pair"),
    "robust": _own("robust", "label_smoothing"),
    "bco_pair": _own("bco_pair")._replace(note="without the shift, a running mean of rewards in the paper"),
    "sppo_hard": _own("sppo_hard"),
    "apo_zero": _own("apo_zero"),
    "apo_down": _own("apo_down"),
    "discopop": _own("discopop", "temperature"),
}
"""The losses that DPOTrainer of TRL and LigerFusedLinearDPOLoss have by the same names and formulas as this package."""

_SIGMOID = Dialect(
    "dpo", (), _DPO_OPTIONS, spelt=_NAMES, note="label smoothing has no effect, so conservative DPO cannot be asked for"
)
_IPO_OF_MEANS = Dialect("ipo_norm", (), _DPO_OPTIONS, spelt=_NAMES, rewards="log-ratio", note=AVERAGED)
_SIGMOID_NORM = Dialect("sigmoid_norm", (), _DPO_OPTIONS, spelt=_NAMES, rewards="log-ratio")
_CPO = Dialect("cpo", ("sft",), beyond=_SMOOTHING, spelt={"sft": "cpo_alpha"}, likelihood=1.0, note=OF_BATCH)
_SIMPO = Dialect(
    "simpo", ("gamma", "sft"), beyond=_SMOOTHING, spelt={"gamma": "simpo_gamma", "sft": "cpo_alpha"}, likelihood=1.0,
    note=f"{OF_BATCH}, unless sft is 0; the margin is written gamma / beta inside beta (...), which is gamma",
)  # fmt: skip


def _diverging(row: Dialect) -> Dialect:
    """A loss of the margin, for which TRL takes a divergence."""
    note = "; ".join(said for said in (row.note, CLAMPED) if said)
    return row._replace(takes=(*row.takes, *_DIVERGENCE), spelt={**row.spelt, **_TRL_NAMES}, note=note)


def _of_axolotl(row: Dialect, note: str = "") -> Dialect:
    """A loss of TRL's DPOTrainer as axolotl configures it: by its smoothing alone."""
    takes, ignores = (tuple(option for option in of if option in _SMOOTHING) for of in (row.takes, row.ignores))
    spelt = {"beta": "rl_beta", "label_smoothing": "dpo_label_smoothing"}
    return row._replace(takes=takes, ignores=ignores, spelt=spelt, note=note or row.note)


DIALECTS: dict[str, dict[str, Dialect]] = {
    "reference": {
        "dpo": Dialect("dpo", _SMOOTHING, note="label smoothing is conservative DPO"),
        "ipo": Dialect("ipo", (), _SMOOTHING, note=SUMMED),
    },
    "torchtune": {
        "DPOLoss": Dialect("dpo", _SMOOTHING, note="label smoothing is conservative DPO"),
        "RSOLoss": Dialect("hinge", spelt={"beta": "gamma"}),
    },
    "openrlhf": {
        "dpo": Dialect(
            "dpo", _SMOOTHING, note=f"label smoothing is conservative DPO; {TIES}, and averages means of batches"
        ),
        "ipo": Dialect(
            "ipo", (), _SMOOTHING, note=f"asked for by ipo_enable; {SUMMED}; {TIES}, and averages means of batches"
        ),
    },
    "trl": {
        "sigmoid": _diverging(_SIGMOID),
        "hinge": _diverging(_SHARED["hinge"]),
        "ipo": _IPO_OF_MEANS,
        **{name: row for name, row in _SHARED.items() if name not in ("hinge", "exo_pair", "robust", "discopop")},
        **{name: _diverging(_SHARED[name]) for name in ("exo_pair", "robust", "discopop")},
        "sigmoid_norm": _SIGMOID_NORM,
        "cpo": _CPO._replace(note=f"CPOTrainer; {OF_BATCH}"),
        "simpo": _SIMPO._replace(note=f"CPOTrainer; {_SIMPO.note}"),
        "alphapo": _SIMPO._replace(
            loss="alphapo", takes=(*_SIMPO.takes, "alpha"), needs=("alpha",),
            note=f"CPOTrainer with loss_type='simpo' and alpha; {OF_BATCH}, unless sft is 0; "
            "probabilities underflow in float32 below a mean log-probability of -103",
        ),
    },
    "liger": {
        "sigmoid": _SIGMOID,
        **_SHARED,
        "cpo": _CPO._replace(spelt={"sft": "alpha"}),
        "simpo": _SIMPO._replace(
            spelt={"sft": "alpha"}, note=f"{OF_BATCH}, unless sft is 0; the margin gamma is subtracted outside"
        ),
        "orpo": Dialect(
            "orpo", likelihood=1.0, rewards="mean",
            note="the chosen answers' negative log-likelihood is averaged over all their tokens in the batch; the "
            "log-odds are log1p(-exp(l)), which is -inf near 0",
        ),
    },
    "axolotl": {
        "dpo": _of_axolotl(_SIGMOID, f"rl: dpo, which is TRL's sigmoid; {_SIGMOID.note}"),
        "sigmoid": _of_axolotl(_SIGMOID),
        "ipo": _of_axolotl(_IPO_OF_MEANS, f"rl: ipo; {AVERAGED}"),
        **{name: _of_axolotl(row) for name, row in _SHARED.items()},
        "sigmoid_norm": _of_axolotl(_SIGMOID_NORM),
        "simpo": _SIMPO._replace(
            spelt={"beta": "rl_beta", "gamma": "simpo_gamma", "sft": "cpo_alpha"}, beyond=(), needs=("gamma",),
            note=f"rl: simpo, by TRL's CPOTrainer; {_SIMPO.note}",
        ),
    },
}  # fmt: skip
"""The losses of each library by the names that it has for them."""

_WITH_PROMPT = "its negative log-likelihood runs over prompts as well, which these columns do not hold"
_SORTED = "it sorts the differences of a batch; 'aot' without a convention sorts those of the call"
_SINGLE = "it is a loss of single answers, not of pairs: steelyard.preference.unpaired_loss has one of that name"
_OF_TOKENS = "it is a mean over tokens of chosen answers alone, no comparison"
LACKING: dict[str, dict[str, str]] = {
    "trl": {
        "orpo": _WITH_PROMPT, "aot": _SORTED, "aot_unpaired": _SINGLE, "sft": _OF_TOKENS, "kto": _SINGLE,
        "bco": _SINGLE,
    },
    "liger": {"ipo": "Liger has not implemented it, since it keeps no lengths", "kto": _SINGLE},
    "axolotl": {
        "orpo": _WITH_PROMPT, "aot": _SORTED, "aot_unpaired": _SINGLE, "sft": _OF_TOKENS, "kto": _SINGLE,
    },
}  # fmt: skip
"""What a library has, or lists, and cannot be computed here, and why."""

"""Vectors of preference losses: ``python -m tests.conformance.preference`` writes ``preference.json`` beside this file.

The formulas are mpmath's, of 600 digits, written here once more from the papers and from the libraries' sources: nothing
is taken from the package or from its reference. Gradients are central differences of the same functions at a step of 1e-220:
a gradient of 1e-160 beside a loss of 1 has its 17 digits all the same.

All inputs, means over tokens, and products with beta are exact in float64, so that an implementation in float64 has only the
rounding of its own formula.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import mpmath
from mpmath import mpf

PATH = Path(__file__).with_suffix(".json")
DIGITS = 600
COLUMNS = ("policy_chosen", "policy_rejected", "reference_chosen", "reference_rejected")

# Pairs with margins on both sides and far out, and a tie; and pairs whose log-ratios a divergence can take.
SETS: dict[str, dict[str, list[Any]]] = {
    "wide": {
        "policy_chosen": [-0.5, -10.0, -1.0, -40.25, -120.5, -7.25, -64.0, -800.0, -16.0, -3.5],
        "policy_rejected": [-0.5, -30.0, -21.0, -12.5, -110.0, -9.5, -320.0, -40.0, -16.5, -96.0],
        "reference_chosen": [-0.5, -10.25, -0.25, -38.0, -60.5, -9.0, -66.0, -60.0, -15.0, -4.0],
        "reference_rejected": [-0.5, -20.25, -0.5, -14.0, -118.0, -7.75, -16.0, -44.0, -17.5, -4.5],
        "lengths_chosen": [1, 4, 2, 16, 64, 8, 32, 256, 8, 4],
        "lengths_rejected": [1, 8, 4, 4, 32, 4, 64, 16, 8, 16],
    },
    "moderate": {
        "policy_chosen": [-3.5, -10.0, -1.0, -40.25, -20.5, -7.25, -64.0, -16.0],
        "policy_rejected": [-0.5, -30.0, -21.0, -12.5, -22.0, -9.5, -96.0, -16.5],
        "reference_chosen": [-3.5, -10.25, -0.25, -38.0, -18.5, -9.0, -62.0, -15.0],
        "reference_rejected": [-0.5, -28.25, -18.5, -14.0, -22.5, -7.75, -95.0, -17.5],
        "lengths_chosen": [2, 4, 2, 16, 64, 8, 32, 8],
        "lengths_rejected": [1, 8, 4, 4, 32, 4, 64, 8],
    },
}


def log_s(t: Any) -> Any:
    """The logarithm of the logistic function."""
    return -mpmath.log1p(mpmath.exp(-t)) if t > 0 else t - mpmath.log1p(mpmath.exp(t))


def s(t: Any) -> Any:
    return 1 / (1 + mpmath.exp(-t))


def _smoothed(z: Any, e: Any) -> Any:
    return -(1 - e) * log_s(z) - e * log_s(-z)


def _exo(z: Any, e: Any) -> Any:
    return s(z) * (log_s(z) - mpmath.log(1 - e)) + s(-z) * (log_s(-z) - mpmath.log(e))


def _discopop(z: Any, t: Any) -> Any:
    m = s(z / t)
    return (1 - m) * -log_s(z) + m * mpmath.exp(-z)


# Of the scores x and y of the answers and the parameters p.
LOSSES: dict[str, Callable[[Any, Any, Any], Any]] = {
    "dpo": lambda x, y, p: _smoothed(p.beta * (x - y), p.label_smoothing),
    "robust": lambda x, y, p: (
        (-(1 - p.label_smoothing) * log_s(p.beta * (x - y)) + p.label_smoothing * log_s(-p.beta * (x - y)))
        / (1 - 2 * p.label_smoothing)
    ),
    "hinge": lambda x, y, p: max(mpf(0), 1 - p.beta * (x - y)),
    "ipo": lambda x, y, p: (x - y - 1 / (2 * p.beta)) ** 2,
    "exo_pair": lambda x, y, p: _exo(p.beta * (x - y), p.label_smoothing),
    "discopop": lambda x, y, p: _discopop(p.beta * (x - y), p.temperature),
    "apo_zero": lambda x, y, p: s(-p.beta * x) + s(p.beta * y),
    "apo_down": lambda x, y, p: s(p.beta * x) + s(-p.beta * (x - y)),
    "nca_pair": lambda x, y, p: -log_s(p.beta * x) - (log_s(-p.beta * x) + log_s(-p.beta * y)) / 2,
    "bco_pair": lambda x, y, p: -log_s(p.beta * x - p.shift) - log_s(p.shift - p.beta * y),
    "sppo_hard": lambda x, y, p: (x - 1 / (2 * p.beta)) ** 2 + (y + 1 / (2 * p.beta)) ** 2,
    "cpo": lambda x, y, p: -log_s(p.beta * (x - y)) - p.sft * x,
    "simpo": lambda x, y, p: -log_s(p.beta * (x - y) - p.gamma),
    # Of log-odds, whose -log s is the negative log-likelihood of a token.
    "orpo": lambda x, y, p: -log_s(x) - p.beta * log_s(x - y),
}
LOSSES |= {
    name: LOSSES[of]
    for name, of in (("sigmoid_norm", "dpo"), ("ipo_norm", "ipo"), ("alphapo", "simpo"), ("aot", "dpo"))
}

# Of a log-ratio r, or the mean log-probability of a token, and alpha.
SCORES: dict[str, Callable[[Any, Any], Any]] = {
    "reverse-kl": lambda r, _: r,
    "forward-kl": lambda r, _: 1 - mpmath.exp(-r),
    "js": lambda r, _: mpmath.log(2) + log_s(r),
    "alpha": lambda r, a: (mpmath.exp((a - 1) * r) - 1) / (a - 1),
    "alphapo": lambda r, a: (1 - mpmath.exp(-a * r)) / a,
    "orpo": lambda r, _: r - mpmath.log(1 - mpmath.exp(r)),
}
MEANS = ("sigmoid_norm", "ipo_norm", "simpo", "alphapo", "orpo")
WITHOUT_REFERENCE = ("cpo", "simpo", "alphapo", "orpo")
PLAIN = {
    "label_smoothing": 0.0, "temperature": 0.05, "shift": 0.0, "gamma": 0.5, "alpha": 0.25, "sft": 1.0,
}  # fmt: skip
# The losses with the parameters that they are computed at; every number is exact in float64.
OWN: list[dict[str, Any]] = [
    {"loss": "dpo"}, {"loss": "dpo", "label_smoothing": 0.125}, {"loss": "robust", "label_smoothing": 0.125},
    {"loss": "hinge"}, {"loss": "ipo"}, {"loss": "exo_pair", "label_smoothing": 0.125},
    {"loss": "exo_pair", "label_smoothing": 0.0009765625}, {"loss": "discopop", "temperature": 0.0625},
    {"loss": "discopop", "temperature": 0.5}, {"loss": "apo_zero"}, {"loss": "apo_down"}, {"loss": "nca_pair"},
    {"loss": "bco_pair"}, {"loss": "bco_pair", "shift": 0.25}, {"loss": "sppo_hard"}, {"loss": "sigmoid_norm"},
    {"loss": "ipo_norm"}, {"loss": "cpo"}, {"loss": "cpo", "sft": 0.0}, {"loss": "simpo", "gamma": 0.5},
    {"loss": "alphapo", "alpha": 0.25, "gamma": 0.5}, {"loss": "alphapo", "alpha": -0.5, "gamma": 0.5},
    {"loss": "orpo"},
    *({"loss": "dpo", "divergence": name} for name in ("forward-kl", "js")),
    {"loss": "dpo", "divergence": "alpha", "alpha": 0.5}, {"loss": "ipo", "divergence": "js"},
    {"loss": "apo_zero", "divergence": "alpha", "alpha": 0.5}
]  # fmt: skip
# Of all pairs of a set at once.
OF_BATCH: list[dict[str, Any]] = [{"loss": "aot"}]
_SHARED = ("hinge", "nca_pair", "bco_pair", "sppo_hard", "apo_zero", "apo_down")
_SMOOTHED = {"exo_pair": {"label_smoothing": 0.125}, "robust": {"label_smoothing": 0.125}}
_COOL = {"discopop": {"temperature": 0.0625}}
# What each library computes for a name: the formula, and its parameters. "likelihood" is the weight of the chosen answers'
# negative log-likelihood, averaged over all their tokens in the batch, which the library adds in the place of the formula's
# own.
THEIRS: dict[tuple[str, str], dict[str, Any]] = {
    ("reference", "dpo"): {"loss": "dpo", "label_smoothing": 0.125},
    ("reference", "ipo"): {"loss": "ipo"},
    ("torchtune", "DPOLoss"): {"loss": "dpo", "label_smoothing": 0.125},
    ("torchtune", "RSOLoss"): {"loss": "hinge"},
    ("openrlhf", "dpo"): {"loss": "dpo", "label_smoothing": 0.125},
    ("openrlhf", "ipo"): {"loss": "ipo"},
    **{
        (library, name): {"loss": loss}
        for library in ("trl", "axolotl")
        for name, loss in (("sigmoid", "dpo"), ("ipo", "ipo_norm"), ("sigmoid_norm", "sigmoid_norm"))
    },
    ("liger", "sigmoid"): {"loss": "dpo"},
    ("axolotl", "dpo"): {"loss": "dpo"},
    **{
        (library, name): {"loss": name, **given.get(name, {})}
        for library, given in (("trl", _SMOOTHED | _COOL), ("liger", _SMOOTHED | _COOL), ("axolotl", _SMOOTHED))
        for name in (*_SHARED, *_SMOOTHED, *_COOL)
    },
    **{(library, "cpo"): {"loss": "cpo", "likelihood": 1.0} for library in ("trl", "liger")},
    **{
        (library, "simpo"): {"loss": "simpo", "gamma": 0.5, "likelihood": 1.0}
        for library in ("trl", "liger", "axolotl")
    },
    ("trl", "alphapo"): {"loss": "alphapo", "alpha": 0.25, "gamma": 0.5, "likelihood": 1.0},
    ("liger", "orpo"): {"loss": "orpo", "likelihood": 1.0},
}  # fmt: skip
BETAS = (0.25, 0.5)


def columns_of(loss: str, divergence: str) -> str:
    """The set of pairs for a loss."""
    return "wide" if divergence == "reverse-kl" and loss not in WITHOUT_REFERENCE else "moderate"


def vectors() -> Iterator[dict[str, Any]]:
    """What is computed: the name and the parameters of each vector, without its results."""
    cases = [(None, given["loss"], given) for given in OWN]
    cases += [(library, name, given) for (library, name), given in THEIRS.items()]
    cases += [(None, given["loss"], given) for given in OF_BATCH]
    for i, (library, name, given) in enumerate(cases):
        formula = {key: value for key, value in given.items() if key != "loss"}
        divergence, likelihood = formula.pop("divergence", "reverse-kl"), formula.pop("likelihood", 0.0)
        yield {
            "convention": library, "loss": name, "formula": given["loss"], "pairs": columns_of(given["loss"], divergence),
            "divergence": divergence, "parameters": {"beta": BETAS[i % 2], **formula}, "likelihood": likelihood,
        }  # fmt: skip


def _function(vector: dict[str, Any]) -> Callable[..., Any]:
    """A pair's loss as a function of its log-probabilities; ``of`` holds what else it depends on."""
    formula, given = vector["formula"], vector["parameters"]
    p = SimpleNamespace(**{name: mpf(given.get(name, value)) for name, value in {**PLAIN, "beta": None}.items()})
    weight = mpf(vector["likelihood"])
    of_score = SCORES[formula if formula in SCORES else vector["divergence"]]

    def loss(chosen: Any, rejected: Any, of: Any) -> Any:
        ratios = []
        for policy, reference, length in ((chosen, of.references[0], of.n[0]), (rejected, of.references[1], of.n[1])):
            ratio = policy if formula in WITHOUT_REFERENCE else policy - reference
            ratios.append(ratio / length if formula in MEANS else ratio)
        x, y = (of_score(r, p.alpha) for r in ratios)
        own = LOSSES[formula](x, y, p)
        if weight:
            own += {"cpo": p.sft * x, "orpo": log_s(x)}.get(formula, 0)
        return own - weight * chosen * of.pairs / of.tokens

    return loss


def computed(vector: dict[str, Any]) -> dict[str, list[str]]:
    """The losses of a vector and their gradients, to 17 digits."""
    with mpmath.workdps(DIGITS):
        function, step = _function(vector), mpf(10) ** -220
        pairs = {name: [mpf(value) for value in column] for name, column in SETS[vector["pairs"]].items()}
        found: dict[str, list[str]] = {"losses": [], "grad_chosen": [], "grad_rejected": []}
        partners = _partners(vector, pairs)
        for i in range(len(pairs["policy_chosen"])):
            of = SimpleNamespace(
                references=[pairs[name][partners[i]] for name in COLUMNS[2:]], pairs=len(pairs["policy_chosen"]),
                n=[pairs[name][i] for name in ("lengths_chosen", "lengths_rejected")],
                tokens=mpmath.fsum(pairs["lengths_chosen"]),
            )  # fmt: skip
            at = pairs["policy_chosen"][i], pairs["policy_rejected"][i]
            moved = {(a, b): function(at[0] + a * step, at[1] + b * step, of) for a, b in MOVES}
            slopes = ((moved[1, 0] - moved[-1, 0]) / (2 * step), (moved[0, 1] - moved[0, -1]) / (2 * step))
            for column, value in zip(found.values(), (moved[0, 0], *slopes), strict=True):
                column.append(mpmath.nstr(value, 17, strip_zeros=True, min_fixed=-4, max_fixed=17))
    return found


def _partners(vector: dict[str, Any], pairs: dict[str, list[Any]]) -> list[int]:
    """The pair whose reference each pair has: itself, or for "aot" the one of equal rank, ties in their order."""
    n = len(pairs["policy_chosen"])
    if vector["formula"] != "aot":
        return list(range(n))
    of_policy, of_reference = (
        sorted(range(n), key=lambda i, w=who: pairs[f"{w}_chosen"][i] - pairs[f"{w}_rejected"][i])  # type: ignore[misc]
        for who in ("policy", "reference")
    )
    found = [0] * n
    for own, other in zip(of_policy, of_reference, strict=True):
        found[own] = other
    return found


MOVES = ((0, 0), (1, 0), (-1, 0), (0, 1), (0, -1))


def document() -> dict[str, Any]:
    """All that the file holds."""
    return {
        "about": "Preference losses and their gradients with respect to the policy's log-probabilities; see "
        "docs/preference-conformance.md",
        "sets": SETS,
        "vectors": [vector | computed(vector) for vector in vectors()],
    }


def written(found: dict[str, Any]) -> str:
    """The document as JSON, a line for each set and each vector."""
    sets = ",\n".join(f"  {json.dumps(name)}: {json.dumps(columns)}" for name, columns in found["sets"].items())
    lines = ",\n".join(f"  {json.dumps(vector)}" for vector in found["vectors"])
    about = json.dumps(found["about"])
    return f'{{\n "about": {about},\n "sets": {{\n{sets}\n }},\n "vectors": [\n{lines}\n ]\n}}\n'


if __name__ == "__main__":
    PATH.write_text(written(document()))
    print(f"{len(list(vectors()))} vectors, {PATH.stat().st_size:,} bytes")

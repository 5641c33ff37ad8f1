"""The preference room's rows of the shared test table."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from functools import cache
from typing import Any

import numpy as np

import steelyard as sy
import steelyard.reference.preference
from steelyard import _core, reference
from steelyard._arrays import floats
from steelyard._registries import REGISTRIES

from . import Case, Inputs, Outputs, as_dtype, normalish

PARAMETERS = {
    "label_smoothing": 0.1, "shift": 0.25, "temperature": 0.5, "gamma": 1.25, "alpha": -0.5, "sft": 0.0,
}  # fmt: skip
DIVERGENCES: list[dict[str, Any]] = [
    {"divergence": "forward-kl"}, {"divergence": "js"}, {"divergence": "alpha"}, {"divergence": "alpha", "alpha": 0.0},
]  # fmt: skip
BOUNDED = ("losses", "grad_chosen", "grad_rejected")


def variants() -> list[dict[str, Any]]:
    """Options of every loss: without its parameters, and with each that it takes."""
    found: list[dict[str, Any]] = []
    for loss, row in REGISTRIES["preference.loss"].items():
        found.append({"loss": loss})
        found += [{"loss": loss, name: PARAMETERS[name]} for name in row.parameters if name != "beta"]
    return found + [{"loss": "dpo", **divergence} for divergence in DIVERGENCES] + [{"loss": "ipo", "divergence": "js"}]


def reads(loss: str, column: str) -> bool:
    """Whether the loss reads the ``"reference"``, or the ``"lengths"`` of answers."""
    return column in REGISTRIES["preference.loss"][loss].columns


def tokens(n: int) -> tuple[np.ndarray, np.ndarray]:
    return 1 + np.arange(n) % 7, 1 + np.arange(n) % 5


def scored(columns: Any, *, loss: Any = "dpo", lengths: Any = None, **options: Any) -> sy.preference.PreferenceLoss:
    """``preference_loss`` of four columns, of which the loss gets those that it reads, and lengths where it reads them."""
    if reads(loss, "lengths"):
        options["lengths"] = tokens(len(columns[0])) if lengths is None else lengths
    if any(np.ndim(options.get(name, 0)) for name in ("beta", *PARAMETERS)):
        options.setdefault("columns", True)  # of a sweep too
    return sy.preference_loss(*(columns if reads(loss, "reference") else columns[:2]), loss=loss, **options)


def terms(x: np.ndarray, y: np.ndarray, loss: str, beta: float, temperature: float = 0.05, **_: float) -> Any:
    """The size of the terms of the gradient of "discopop", whose zeros no formula gives; 0 for other losses."""
    if loss != "discopop":
        return 0.0
    z = beta * (x - y)
    m, rest = (np.exp(-np.logaddexp(0, turn * z / temperature)) for turn in (-1, 1))
    logistic, exponential = np.logaddexp(0, -z), np.exp(-z - np.logaddexp(0, -z / temperature))
    return beta * (rest / temperature * (exponential + m * logistic) + rest * np.exp(-np.logaddexp(0, z)) + exponential)


def ulps(loss: str, name: str) -> int:
    """How far a gradient may be from the exact function; some are products of more factors."""
    return 8 if loss == "exo_pair" or (loss, name) == ("apo_down", "grad_chosen") else 4


VARIANTS = [options | {"beta": (0.1, 0.7, 0.25)[i % 3]} for i, options in enumerate(variants())]


def _make(dtype: str, n: int) -> Inputs:
    spread = np.where(np.arange(n) % 5 == 0, 400.0, 5.0)
    columns = [as_dtype(-np.abs(normalish(n, 70 + i) * spread - 40.0), dtype) for i in range(4)]
    return {"columns": columns}


def matched(columns: Sequence[np.ndarray], loss: str) -> Sequence[np.ndarray]:
    """The columns as the loss reads them: for "aot" with those of the reference of the pairs of equal rank."""
    if not reads(loss, "batch"):
        return columns
    a, b, c, d = (np.asarray(column, np.float64) for column in columns)
    partners = reference.preference.of_equal_rank(a - b, c - d)
    return a, b, c[partners], d[partners]


def compared(columns: Sequence[np.ndarray], variant: dict[str, Any]) -> tuple[Any, Any]:
    """What the loss compares: the scores of both answers, and their derivatives, as the reference has them."""
    columns = matched(columns, variant["loss"])
    loss, options = variant["loss"], {k: v for k, v in variant.items() if k == "alpha"}
    of = loss if loss in reference.preference.SCORES else variant.get("divergence", "reverse-kl")
    if loss == "alphapo":
        options.setdefault("alpha", 0.25)
    sides = zip(columns[:2], columns[2:], tokens(len(columns[0])), strict=True)
    found = []
    for policy, other, lengths in sides:
        log_ratios = np.asarray(policy, np.float64) - (np.asarray(other, np.float64) if reads(loss, "reference") else 0)
        divided = lengths if reads(loss, "lengths") else None
        found.append(reference.preference.scores(log_ratios, of=of, lengths=divided, **options))
    (x, by_chosen), (y, by_rejected) = found
    return (x, y), (by_chosen, by_rejected)


def own(variant: dict[str, Any]) -> dict[str, Any]:
    """The options of the formula alone."""
    found = {k: v for k, v in variant.items() if k not in ("divergence", "alpha")}
    return {"gamma": 0.5} | found if "gamma" in REGISTRIES["preference.loss"][variant["loss"]].parameters else found


def bent(variant: dict[str, Any]) -> bool:
    """Whether scores are more than log-ratios or their means, so that they are themselves rounded."""
    return variant["loss"] in reference.preference.SCORES or "divergence" in variant


def _run(inputs: Inputs) -> Outputs:
    out: dict[str, Any] = {}
    for i, variant in enumerate(VARIANTS):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", sy.errors.SteelyardWarning)  # of 16 bits
            found = scored(inputs["columns"], dtype="float64", **variant)
        out |= {f"{i} {name}": getattr(found, name) for name in (*BOUNDED, "saturated")}
    return out


def _exact(inputs: Inputs, i: int) -> Outputs:
    """The reference's results, the gradients with respect to the log-probabilities."""
    return _exact_of(i, tuple(np.asarray(column, np.float64).tobytes() for column in inputs["columns"]))


@cache  # decimals are slow, and each bound asks again
def _exact_of(i: int, columns: tuple[bytes, ...]) -> Outputs:
    (x, y), (by_chosen, by_rejected) = compared([np.frombuffer(column) for column in columns], VARIANTS[i])
    found = reference.preference.preference_loss(x, y, **own(VARIANTS[i]))
    chained = {"grad_chosen": found["grad_chosen"] * by_chosen, "grad_rejected": found["grad_rejected"] * by_rejected}
    return found | chained | {"x": x, "y": y}


def _reference(inputs: Inputs) -> Outputs:
    out: dict[str, Any] = {}
    for i in range(len(VARIANTS)):
        exact = _exact(inputs, i)
        out |= {f"{i} {name}": exact[name] for name in BOUNDED}
        far = np.maximum(np.abs(exact["x"]), np.abs(exact["y"])) > 1e147
        out[f"{i} saturated"] = int(np.count_nonzero((exact["extents"] > 700) | far))
    return out


def _four_ulp(i: int, name: str) -> Any:
    """4 ulp of the exact value for gradients; for losses of the larger term, which the extent + 1 bounds.

    The derivative of a score adds its own rounding; where scores are rounded themselves, a logistic function of them moves
    by as much as they do.
    """
    variant = VARIANTS[i]
    loss, beta = variant["loss"], variant["beta"]

    def bound(inputs: Inputs) -> np.ndarray:
        exact = _exact(inputs, i)
        size, extents = np.abs(exact[name]), exact["extents"]
        moved = 0.0
        if bent(variant):
            with np.errstate(over="ignore"):
                moved = 2.0**-50 * (1 if loss == "orpo" else beta) * (np.abs(exact["x"]) + np.abs(exact["y"]) + 1)
        if name == "losses":
            smoothed = "label_smoothing" in REGISTRIES["preference.loss"][loss].parameters
            steep = 2 * np.sqrt(size) / beta if loss == "ipo" else 1.0
            return 4 * np.spacing(size + (extents + 1 if smoothed else 0.0)) + moved * (steep + size)
        size = size + terms(exact["x"], exact["y"], **own(variant))
        step = (ulps(loss, name) + (2 if not reads(loss, "reference") or reads(loss, "lengths") else 0)) * np.spacing(
            size
        )
        vanishing = 2 * moved / beta if loss == "ipo" else 0.0  # the gradient of "ipo" vanishes at the margin 1/2
        return np.where(extents <= 700, step, np.maximum(step, 1e-300)) + moved * size + vanishing

    return bound


BETAS = (0.1, 0.7, 2.5)
MPO: Any = {"dpo": 0.8, "bco_pair": 0.2}


def _make_sweep(dtype: str, n: int) -> Inputs:
    return {"columns": [as_dtype(-np.abs(normalish(n, 70 + i) * 5 - 40.0), dtype) for i in range(4)]}


def _run_sweep(inputs: Inputs) -> Outputs:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", sy.errors.SteelyardWarning)  # of 16 bits
        out = sy.preference_loss(*inputs["columns"], loss=MPO, beta=BETAS)
    found = {"loss": out.loss.value, "saturated": out.saturated, "margin": out.reward_margin.value}
    return found | {"error": np.nan_to_num(out.loss.standard_error, nan=-1.0)}


def _reference_sweep(inputs: Inputs) -> Outputs:
    a, b, c, d = (np.asarray(column, np.float64) for column in inputs["columns"])
    found = [reference.preference.mixture(a - c, b - d, loss=MPO, beta=beta) for beta in BETAS]
    n = len(a)
    errors = [np.std(one["losses"], ddof=1) / np.sqrt(n) if n > 1 else -1.0 for one in found]
    return {
        "loss": np.array([one["losses"].mean() for one in found]),
        "saturated": np.array([np.count_nonzero(one["extents"] > 700) for one in found]),
        "margin": np.array([(beta * ((a - c) - (b - d))).mean() for beta in BETAS]),
        "error": np.array(errors),
    }


def _relative(name: str) -> Any:
    def bound(inputs: Inputs) -> np.ndarray:
        return 1e-11 * (1 + np.abs(_reference_sweep(inputs)[name]))

    return bound


def _run_ranks(inputs: Inputs) -> Outputs:
    return {"partners": _core.preference_ranks([floats(column, "columns") for column in inputs["columns"]])}


def _reference_ranks(inputs: Inputs) -> Outputs:
    a, b, c, d = (np.asarray(column, np.float64) for column in inputs["columns"])
    return {"partners": reference.preference.of_equal_rank(a - b, c - d)}


CASES = [
    Case(
        name="preference.preference_sweep",
        covers=("preference_sweep",),
        make=_make_sweep,
        run=_run_sweep,
        reference=_reference_sweep,
        lengths=(1, 3, 33, 257),
        bound={name: _relative(name) for name in ("loss", "margin", "error")},
    ),
    Case(
        name="preference.of_equal_rank",
        covers=("preference_ranks",),
        make=_make_sweep,
        run=_run_ranks,
        reference=_reference_ranks,
        lengths=(1, 3, 33, 1000),
    ),
    Case(
        name="preference.preference_loss",
        covers=("preference_loss", "preference_steepest"),
        make=_make,
        run=_run,
        reference=_reference,
        lengths=(1, 3, 8, 33, 257),
        bound={f"{i} {name}": _four_ulp(i, name) for i in range(len(VARIANTS)) for name in BOUNDED},
    ),
]

"""The rows of preference losses of single and of ranked answers in the shared test table."""

from __future__ import annotations

from fractions import Fraction
from typing import Any

import numpy as np

from steelyard import _core
from steelyard.reference import preference_sets

from . import Case, Inputs, Outputs, normalish, words

BETA = 0.3


def _margins(_: str, n: int) -> Inputs:
    return {"margins": normalish(n, 81) * np.where(np.arange(n) % 3 == 0, 200.0, 3.0)}


def _terms(of: Any) -> Any:
    def run(inputs: Inputs) -> Outputs:
        out = {}
        for bounded in (False, True):
            found = of(inputs["margins"], bounded=bounded)
            out |= {f"{bounded} {name}": found[name] for name in ("losses", "slopes")}
        return out

    return run


def _four_ulp(name: str) -> Any:
    def bound(inputs: Inputs) -> Any:
        size = np.abs(_terms(preference_sets.logistic_losses)(inputs)[name])
        far = np.abs(inputs["margins"]) > 700
        return np.where(far, 1e-300, 0.0) + 4 * np.spacing(size)

    return bound


def _samples(_: str, n: int) -> Inputs:
    values = np.round(normalish(n, 82) * 16) / 4  # with ties
    values[::5] *= 100
    return {"chosen": values[: max(1, n // 3)], "rejected": values[max(1, n // 3) :]}


def _sides(of: Any) -> Any:
    def run(inputs: Inputs) -> Outputs:
        sides = of(inputs["chosen"], inputs["rejected"], beta=BETA)
        return {f"{i} {name}": side[name] for i, side in enumerate(sides) for name in SIDE}

    return run


SIDE = ("losses", "slopes", "potentials", "extents")


def _few_ulp(name: str) -> Any:
    def bound(inputs: Inputs) -> Any:
        want = _sides(preference_sets.sorted_losses)(inputs)
        side = name[0]
        # The rounding of a margin moves a loss by as much, and a slope by as many ulp.
        moved = 2.0**-49 * (1 + want[f"{side} extents"])
        return 2.0**-49 * np.abs(want[name]) + moved * (100 if "potentials" in name else 1)

    return bound


def _lists(_: str, n: int) -> Inputs:
    k = 1 + n % 7
    scores = np.round(normalish(n * k, 83) * 64).reshape(n, k) / 4
    scores[::4] *= 50
    labels = (words(n * k, 84) % np.uint64(4)).astype(np.float64).reshape(n, k)
    labels[words(n * k, 85).reshape(n, k) % np.uint64(6) == 0] = np.nan
    return {"scores": scores, "labels": labels}


def _ranked(inputs: Inputs) -> Outputs:
    out: dict[str, Any] = {}
    for loss in preference_sets.RANKED:
        found = _core.ranked_losses(
            inputs["scores"], inputs["labels"], width=inputs["scores"].shape[1], loss=loss, beta=BETA
        )
        gradients = found["gradients"].reshape(inputs["scores"].shape)
        out |= {
            f"{loss} losses": found["losses"],
            f"{loss} gradients": gradients,
            f"{loss} compared": found["compared"],
        }
    return out


def _ranked_reference(inputs: Inputs) -> Outputs:
    out: dict[str, Any] = {}
    for loss in preference_sets.RANKED:
        found = preference_sets.ranked_losses(inputs["scores"], inputs["labels"], loss=loss, beta=BETA)
        out |= {f"{loss} {name}": column for name, column in found.items()}
    return out


def _of_rows(inputs: Inputs) -> Any:
    """A few ulp of the largest terms: weights of up to 2^3 of each pair, times the size of the margins."""
    k = inputs["scores"].shape[1]
    return 2.0**-49 * 8 * k * k * (1 + BETA * np.abs(inputs["scores"]).max(axis=1, initial=0.0))


def _of_answers(inputs: Inputs) -> Any:
    return np.broadcast_to(_of_rows(inputs)[:, None], inputs["scores"].shape)


def _exact_mean(inputs: Inputs) -> Outputs:
    return {"mean": _core.exact_mean(inputs["margins"])}


def _fractions(inputs: Inputs) -> Outputs:
    return {"mean": float(sum(map(Fraction, inputs["margins"].tolist())) / len(inputs["margins"]))}


CASES = [
    Case(
        name="preference.logistic_losses",
        covers=("logistic_losses",),
        make=_margins,
        run=_terms(_core.logistic_losses),
        reference=_terms(preference_sets.logistic_losses),
        dtypes=("float64",),
        lengths=(0, 1, 127, 128, 129, 1000),
        bound={f"{b} {name}": _four_ulp(f"{b} {name}") for b in (False, True) for name in ("losses", "slopes")},
    ),
    Case(
        name="preference.sorted_losses",
        covers=("sorted_losses",),
        make=_samples,
        run=_sides(_core.sorted_losses),
        reference=_sides(preference_sets.sorted_losses),
        dtypes=("float64",),
        lengths=(2, 3, 8, 33, 60),
        bound={f"{i} {name}": _few_ulp(f"{i} {name}") for i in (0, 1) for name in SIDE},
    ),
    Case(
        name="preference.ranked_losses",
        covers=("ranked_losses",),
        make=_lists,
        run=_ranked,
        reference=_ranked_reference,
        dtypes=("float64",),
        lengths=(0, 1, 2, 3, 11, 39),
        bound={
            f"{loss} {name}": bound
            for loss in preference_sets.RANKED
            for name, bound in (("losses", _of_rows), ("gradients", _of_answers))
        },
    ),
    Case(
        name="preference.exact_mean",
        covers=("exact_mean",),
        make=_margins,
        run=_exact_mean,
        reference=_fractions,
        dtypes=("float64",),
        lengths=(1, 2, 1000),
    ),
]

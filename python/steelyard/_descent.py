"""What the optimizers of arrays and those of torch's tensors check alike, in the same words."""

from __future__ import annotations

from math import inf
from typing import Any, Literal

from . import _core
from ._options import number
from .errors import shown, value_error

__all__ = [
    "BESIDE", "BLOCK", "RELATIVE", "SCALE", "SMALLEST", "Master", "beta", "l2_of_lion", "largest_rate",
    "nesterov_alone", "no_upper_half", "not_finite", "nothing_to_keep", "reported", "tight_with_l2",
    "unused_largest_rate",
]  # fmt: skip

# The kinds of decay that relate the rate to the largest one.
RELATIVE = ("independent", "corrected")
# The elements that share a scale where moments are in 8 bits, and the suffix of the key of these scales.
BLOCK = 256
SCALE = "_scale"
# Smaller arrays keep float32 moments, as in bitsandbytes and torchao: they are biases and the weights of norms, whose
# moments take no memory to speak of.
SMALLEST = 4096
Master = Literal["split", "kahan", "float32"]
# What is kept beside a parameter of 16 bits, by the way in which it keeps more.
BESIDE = {"split": "low", "kahan": "rest", "float32": "master"}


def beta(value: Any, name: str) -> float:
    """Return how much of a moment a step keeps, if it is from 0 to below 1."""
    found = number(value, name)
    if not 0.0 <= found < 1.0:
        raise value_error(name, "at least 0 and below 1", repr(found))
    return found


def largest_rate(value: Any, name: str) -> float:
    """Return the largest rate of a training, if it is finite and above 0."""
    found = number(value, name)
    if not 0.0 < found < inf:
        raise value_error(name, "a finite rate above 0", repr(found))
    return found


def unused_largest_rate(name: str, decay: str, value: Any) -> ValueError:
    """The error for a largest rate that this kind of decay does not use."""
    fix = f"only {' and '.join(map(repr, RELATIVE))} decay take it"
    return value_error(name, f"None with decay={decay!r}", shown(value), fix)


def tight_with_l2(name: str) -> ValueError:
    """The error for ``tight`` beside a decay that is added to the gradient."""
    fix = "decay='l2' is part of the gradient, so that a parameter is rounded once already"
    return value_error(name, "False with decay='l2'", "True", fix)


def l2_of_lion(name: str) -> ValueError:
    """The error for a decay of Lion's that is added to the gradient."""
    fix = "Lion takes the sign of the gradient, in which the size of a decay is lost"
    return value_error(name, "'decoupled', 'independent' or 'corrected'", "'l2'", fix)


def nesterov_alone(name: str, momentum: float, dampening: float) -> ValueError:
    """The error for Nesterov's momentum without momentum, or with dampening."""
    got = f"True, with momentum={momentum:g} and dampening={dampening:g}"
    return value_error(name, "False unless momentum is above 0 and dampening 0", got)


def reported(outcome: _core._StepOutcome | _core._TensorOutcome) -> dict[str, Any]:
    """Return what a report of a step takes over from the core as it is, by the names of its attributes."""
    kept = ("step", "lr", "grad_norm", "clip_factor", "nonfinite", "left_out")
    return {key: value for key, value in outcome.items() if key in kept} | {"skipped": not outcome["applied"]}


def not_finite(grad: str, count: int, element: int | None, overflow: bool) -> ValueError:
    """The error for gradients that are not finite, or (``overflow``) with which a moment would not be."""
    fix = "nothing was written; nonfinite='skip' goes on"
    if overflow:
        got = f"{count} too large: a moment would be infinite"
        return value_error(grad, "gradients whose squares fit the moments' type", got, fix)
    got = f"{count} NaN or infinite, the first at element {element}"
    return value_error(grad, "finite gradients", got, fix)


def nothing_to_keep(master: str, types: set[str]) -> ValueError:
    """The exception where no parameter is one of 16 bits."""
    got = f"{master!r} with {', '.join(sorted(types))}"
    return value_error("master", "None, or a parameter of bfloat16 or float16", got)


def no_upper_half(name: str) -> ValueError:
    """The exception for a float16 parameter, which is not the upper half of a float32 number."""
    expected = "bfloat16 with 'split': the upper half of float32"
    return value_error("master", expected, f"float16 at {name}", "use 'kahan'")

"""How far token scores can be from those of exact arithmetic on the same logits."""

from __future__ import annotations

from typing import Literal, NamedTuple

__all__ = ["BOUNDS", "Bound", "Precision"]

# The type in which exponentials are computed: float64 for float64 logits, float32 for all others.
Precision = Literal["float32", "float64"]


class Bound(NamedTuple):
    """The error is at most ``absolute + relative * |value|``."""

    absolute: float
    relative: float


ROUNDING = 2.3e-16  # of one operation of float64
SMALLEST = 5e-324  # what probabilities below the normal numbers are multiples of


def _table(unit: float, divergence: Bound, varentropy: float) -> dict[str, Bound]:
    """The bounds where exponentials have a relative error of ``unit``."""
    exact = Bound(0.0, 0.0)
    return {
        "nll": Bound(unit, ROUNDING), "log_z": Bound(unit, ROUNDING), "margin": Bound(0.0, ROUNDING),
        "top": exact, "correct": exact, "rank": exact, "rank_ties": exact, "top_k": exact,
        "confidence": Bound(0.0, unit), "probability": Bound(SMALLEST, unit), "collision": Bound(0.0, 3 * unit),
        "entropy": Bound(1e-30, divergence.relative), "varentropy": Bound(varentropy, divergence.relative),
        # Twice the error of log Z times log Z, which is at most half of its square plus one.
        "z_loss": Bound(unit * 1.001, unit),
        "kl": divergence, "kl_reverse": divergence, "js": divergence, "tv": divergence,
        "delta_p": Bound(2 * unit, 0.0), "nll_difference": Bound(2 * unit, 0.0), "same_top": exact, "flips": exact,
    }  # fmt: skip


# Means of logits, and what is smoothed with them, have the error of a sum in float64, which depends on the logits.
BOUNDS: dict[Precision, dict[str, Bound]] = {
    "float32": _table(1e-6, Bound(2e-6, 1e-5), 1e-4),
    "float64": _table(1e-11, Bound(1e-11, 1e-11), 1e-10),
}

"""The words of a sign-flip test: its name, and the smallest p that it can give."""

from __future__ import annotations

from .. import _core
from .._options import Confidence

__all__ = ["flipped_signs"]

# Where a sign-flip test has fewer signs than this to flip, the result states the smallest p that is possible.
FEW_SIGNS = 10
EXACT = 1e-6  # the name of the test says "exact" where the relative error of p is at most this


def flipped_signs(found: _core._SignFlip, confidence: Confidence) -> tuple[float, str, dict[str, float]]:
    """The p-value, the name of the test, and what ``detail`` says of the smallest p."""
    error = found["error"]
    test = "sign-flip, exact" if error <= EXACT else f"sign-flip, p within {100 * error:.2g} %"
    return found["p"], test, _smallest_p(found["nonzero"], confidence)


def _smallest_p(signs: int, confidence: Confidence) -> dict[str, float]:
    """The smallest possible p of a sign-flip test with ``signs`` signs, for ``detail``; empty where they are many.

    It is the share of the patterns in which all signs agree: 1 of 2^signs, or 2 of them for a two-sided test.
    """
    if signs >= FEW_SIGNS:
        return {}
    patterns = 2 if confidence.alternative == "two-sided" and signs else 1
    return {"signs": float(signs), "smallest_p": patterns / (1 << signs)}

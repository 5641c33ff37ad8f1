"""The sentences of errors that concern a whole step."""

from __future__ import annotations

from ..errors import value_error

__all__ = ["not_finite"]


def not_finite(grad: str, count: int, element: int | None, overflow: bool) -> ValueError:
    """The error for gradients that are not finite, or (``overflow``) with which a moment would not be."""
    fix = "nothing was written; nonfinite='skip' goes on"
    if overflow:
        got = f"{count} too large: a moment would be infinite"
        return value_error(grad, "gradients whose squares fit the type of the moments", got, fix)
    got = f"{count} NaN or infinite, the first at element {element}"
    return value_error(grad, "finite gradients", got, fix)

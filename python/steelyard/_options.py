"""Checks of the options that calls of several rooms take: one word, one rule, one sentence."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal, NamedTuple

import numpy as np

from .errors import type_error, value_error

__all__ = ["Alternative", "Confidence", "NanPolicy", "at_least_zero", "choice", "confidence", "omits_nan", "whole"]

Alternative = Literal["two-sided", "less", "greater"]
NanPolicy = Literal["raise", "omit"]


def choice(value: object, name: str, choices: Sequence[str]) -> str:
    """``value`` where it is one of ``choices``."""
    if not isinstance(value, str):
        raise type_error(name, f"one of {', '.join(choices)}", f"{type(value).__name__} {value!r}")
    if value not in choices:
        raise value_error(name, f"one of {', '.join(choices)}", repr(value))
    return value


def omits_nan(nan_policy: object) -> bool:
    """Whether rows with a NaN are left out; else they raise."""
    return choice(nan_policy, "nan_policy", ("raise", "omit")) == "omit"


def whole(value: Any, name: str, low: int, high: int | None = None, what: str = "a whole number") -> int:
    """``value`` as an int where it is a whole number from ``low`` to ``high``; ``what`` says of what."""
    if isinstance(value, bool | np.bool_) or not isinstance(value, int | np.integer):
        raise type_error(name, what, f"{type(value).__name__} {value!r}")
    if value < low or (high is not None and value > high):
        bounds = f", at least {low}" if high is None else f" from {low} to {high}"
        raise value_error(name, f"{what}{bounds}", str(value))
    return int(value)


def number_of(name: str, value: Any) -> float:
    """``value`` as a float; text and truth values are no numbers."""
    try:
        if isinstance(value, str | bytes | bool | np.bool_):
            raise TypeError
        return float(value)
    except (TypeError, ValueError):
        raise type_error(name, "a number", repr(value)) from None


def state_bytes(data: Any) -> bytes:
    """The bytes of a saved state."""
    if not isinstance(data, bytes | bytearray | memoryview):
        raise type_error("data", "bytes", type(data).__name__)
    return bytes(data)


def at_least_zero(name: str, value: Any, infinite: bool = False) -> float:
    """``value`` as a float that is finite (or not, where that has a meaning) and not negative."""
    number = number_of(name, value)
    if not (number >= 0.0 and (infinite or number < float("inf"))):
        raise value_error(name, "a number that is at least 0", repr(value))
    return number


class Confidence(NamedTuple):
    """How sure an interval is to be, and on which sides."""

    level: float
    alternative: str


def confidence(confidence_level: float, alternative: str) -> Confidence:
    """Check the two options that every interval has."""
    if isinstance(confidence_level, bool) or not isinstance(confidence_level, float | int | np.number):
        raise type_error(
            "confidence_level", "a number inside (0, 1)", f"{type(confidence_level).__name__} {confidence_level!r}"
        )
    if not 0 < confidence_level < 1:
        fix = f"pass {float(confidence_level) / 100:g}" if 1 < confidence_level < 100 else ""
        raise value_error("confidence_level", "a number inside (0, 1)", f"{confidence_level}", fix)
    return Confidence(float(confidence_level), choice(alternative, "alternative", ("two-sided", "less", "greater")))

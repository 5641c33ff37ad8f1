"""Checks of the options that several public calls share, so that each is checked and explained in the same way."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from numbers import Real
from typing import Any, Literal, NamedTuple, NoReturn, TypedDict

import numpy as np

from ._foreign import is_refusal
from ._numbers import as_share
from ._registries import REGISTRIES, names
from .errors import shown, type_error, value_error

__all__ = [
    "Alternative", "Confidence", "NanPolicy", "at_least_zero", "choice", "confidence_of", "flag",
    "foreign_options", "fraction", "number", "omits_nan", "parameter", "read_options", "refuse_unused", "state_bytes",
    "whole", "written_options",
]  # fmt: skip

Alternative = Literal["two-sided", "less", "greater"]
NanPolicy = Literal["raise", "omit"]


def choice(value: object, name: str, choices: Sequence[str]) -> str:
    """Return ``value`` if it is one of ``choices``; raise otherwise."""
    expected = f"one of {', '.join(choices)}" if len(choices) > 1 else repr(choices[0])
    if not isinstance(value, str):
        raise type_error(name, expected, shown(value))
    if value not in choices:
        raise value_error(name, expected, repr(value))
    return value


def omits_nan(nan_policy: object) -> bool:
    """Whether rows with a NaN are left out (``"omit"``) rather than an error (``"raise"``)."""
    return choice(nan_policy, "nan_policy", ("raise", "omit")) == "omit"


def _figure(value: object) -> str:
    try:
        return str(value)
    except ValueError:  # Python refuses to convert an int of more than 4,300 digits to text
        return "a number of thousands of digits"


def whole(value: Any, name: str, low: int, high: int | None = None, what: str = "a whole number") -> int:
    """Return ``value`` as an int if it is a whole number from ``low`` to ``high`` (None: no upper limit).

    ``what`` describes the number in the error message.
    """
    if isinstance(value, bool | np.bool_) or not isinstance(value, int | np.integer):
        raise type_error(name, what, shown(value))
    if value < low or (high is not None and value > high):
        bounds = f", at least {low}" if high is None else f" from {low} to {high}"
        raise value_error(name, f"{what}{bounds}", _figure(value))
    return int(value)


def written_options(options: Mapping[str, Any]) -> bytes:
    """Serialise the options of a state as JSON; equal options give equal bytes."""
    import json

    return json.dumps(options, sort_keys=True, separators=(",", ":")).encode()


def read_options(written: bytes, of: str) -> dict[str, Any]:
    """Parse what :func:`written_options` wrote; ``of`` names the class of the state.

    The caller checks each option, writes them again and compares the bytes. Only bytes that this package wrote come out
    equal: no key occurs twice, and every number is spelt as Python spells it.
    """
    import json

    try:
        options = json.loads(written)
    except (ValueError, RecursionError):
        options = None
    if not isinstance(options, dict):
        raise foreign_options(written, of)
    return options


def foreign_options(written: bytes, of: str) -> ValueError:
    """The error for bytes that do not hold options of the class ``of``."""
    return value_error("data", f"the options of a {of}", repr(written[:80]))


def state_bytes(data: Any) -> bytes:
    """Return the bytes of a saved state as ``bytes``; raise for any other type."""
    if not isinstance(data, bytes | bytearray | memoryview):
        raise type_error("data", "bytes", type(data).__name__)
    return bytes(data)


def flag(value: object, name: str) -> bool:
    """Return ``value`` as a bool if it is True or False, of Python or of NumPy; raise otherwise."""
    if not isinstance(value, bool | np.bool_):
        raise type_error(name, "True or False", shown(value))
    return bool(value)


def number(value: Any, name: str, expected: str = "a number") -> float:
    """Return ``value`` as a float if it is one real number; texts such as "1" and booleans are refused."""
    scalar = value[()] if isinstance(value, np.ndarray) and value.ndim == 0 else value
    if not isinstance(scalar, np.generic) and getattr(scalar, "shape", None) == ():
        try:
            scalar = scalar.item()  # a tensor or a JAX array without axes
        except Exception as error:
            if not is_refusal(error):
                raise
            raise type_error(name, expected, shown(value)) from None
    if isinstance(scalar, bool | np.bool_) or not isinstance(scalar, Real | np.floating | np.integer):
        raise type_error(name, expected, shown(value))
    try:
        return float(scalar)
    except OverflowError:
        raise value_error(name, expected, _figure(value)) from None
    except TypeError:  # a timedelta64 counts as a NumPy integer
        raise type_error(name, expected, shown(value)) from None


def at_least_zero(name: str, value: Any, infinite: bool = False) -> float:
    """Return ``value`` as a float that is at least 0; infinity is allowed only with ``infinite``."""
    found = number(value, name)
    if not (found >= 0.0 and (infinite or found < float("inf"))):
        raise value_error(name, "a number that is at least 0", _figure(value))
    return found


def fraction(value: Any, name: str) -> float:
    """Return ``value`` as a float from 0 to 1."""
    found = number(value, name, "a share from 0 to 1")
    if not 0.0 <= found <= 1.0:
        fix = as_share(found) if 1 < found <= 100 else ""
        raise value_error(name, "a share from 0 to 1", _figure(value), fix)
    return found


def refuse_unused(key: str, variant: str, name: str, value: object) -> NoReturn:
    """Refuse a parameter that the variant does not use: ignored silently, it would seem to have had an effect."""
    argument = key.rpartition(".")[2]
    raise value_error(name, f"nothing: the {argument} {variant!r} does not use it", _figure(value))


def parameter(key: str, variant: str, name: str, value: Any) -> float | None:
    """Return the value of a variant's parameter, checked against its range; its default where ``value`` is None.

    Returns None where the variant has no such parameter.
    """
    taken = REGISTRIES[key][variant].parameters.get(name)
    if taken is None:
        return None if value is None else refuse_unused(key, variant, name, value)
    if value is None:
        return taken.default
    found = number(value, name)
    if not taken.allows(found):
        raise value_error(name, taken.expected, _figure(value))
    return found


class ConfidenceKeywords(TypedDict):
    """A :class:`Confidence` as keywords of a call."""

    confidence_level: float
    alternative: str


class Confidence(NamedTuple):
    """The confidence level of an interval, and whether it has one limit or two."""

    level: float
    alternative: str

    @property
    def keywords(self) -> ConfidenceKeywords:
        """The two as keywords of a call."""
        return {"confidence_level": self.level, "alternative": self.alternative}

    @property
    def tail(self) -> float:
        """The probability beyond a limit."""
        return (1.0 - self.level) / (2.0 if self.alternative == "two-sided" else 1.0)

    @property
    def sides(self) -> tuple[Literal["low", "high"], ...]:
        """The limits that the alternative asks for; the other one is where the range of the values ends."""
        if self.alternative == "two-sided":
            return "low", "high"
        return ("high",) if self.alternative == "less" else ("low",)


def confidence_of(confidence_level: float, alternative: str) -> Confidence:
    """Check the two options that every interval has."""
    level = number(confidence_level, "confidence_level", "a number inside (0, 1)")
    if not 0 < level < 1:
        fix = f"pass {level / 100:g}" if 1 < level < 100 else ""
        raise value_error("confidence_level", "a number inside (0, 1)", f"{level:g}", fix)
    if 1 - level == 1:
        # Below 2**-53 the difference 1 - level rounds to 1, and an interval of width 0 would come out.
        raise value_error("confidence_level", "a number inside (0, 1), at least 2**-53", f"{level:g}")
    return Confidence(level, choice(alternative, "alternative", names("interval.alternative")))

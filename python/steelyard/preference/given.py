"""What a preference loss is given: its parameters and columns, checked, as the core takes them."""

from __future__ import annotations

import math
from collections.abc import Sequence
from numbers import Real
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .._arrays import floats, to_float64
from .._options import choice, parameter
from .._registries import REGISTRIES, names
from .._rows import Rows
from ..errors import shown, type_error, value_error, warn

__all__ = [
    "COLUMNS", "as_columns", "blanked", "columns_given", "lengths_by_name", "loss_parameters", "settings_of", "step",
    "token_counts", "warn_rounded",
]  # fmt: skip

Floats = NDArray[np.float64]
COLUMNS = ("policy_chosen", "policy_rejected", "reference_chosen", "reference_rejected")


def loss_parameters(loss: str, divergence: str = "reverse-kl", **given: float | None) -> dict[str, Any]:
    """Return the loss's parameters as the core takes them, with a harmless number for those that it does not use."""
    row = REGISTRIES["preference.loss"][loss]
    choice(divergence, "divergence", names("preference.divergence"))
    if divergence != "reverse-kl" and row.columns != ("reference",):
        raise value_error("divergence", f"nothing: the loss {loss!r} does not use it", repr(divergence))
    alpha = given.pop("alpha", None)
    key, variant = ("preference.loss", loss) if "alpha" in row.parameters else ("preference.divergence", divergence)
    checked = {name: parameter("preference.loss", loss, name, value) for name, value in given.items()}
    checked["alpha"] = parameter(key, variant, "alpha", alpha)
    rate = checked.get("label_smoothing") or 0.0
    return {
        "label_smoothing": rate,
        "crossing": crossing(rate),
        "temperature": checked.get("temperature") or 1.0,
        "divergence": divergence,
        **{name: checked.get(name) or 0.0 for name in ("shift", "gamma", "alpha", "sft")},
    }


def columns_given(loss: str, columns: Sequence[Any], lengths: Any) -> dict[str, Any]:
    """Return the columns that the loss reads by name; raise where one is missing, or one would be ignored."""
    reads = REGISTRIES["preference.loss"][loss].columns
    found = dict(zip(COLUMNS, columns, strict=True))
    for name in COLUMNS[2:]:
        if "reference" not in reads and found[name] is not None:
            raise value_error(name, f"nothing: the loss {loss!r} does not use it", shown(found[name]))
        if "reference" in reads and found[name] is None:
            raise value_error(name, f"log-probabilities of the reference, which the loss {loss!r} needs", "None")
    if "lengths" in reads and lengths is None:
        raise value_error("lengths", f"(chosen, rejected), numbers of tokens, which the loss {loss!r} needs", "None")
    if "lengths" not in reads and lengths is not None:
        raise value_error("lengths", f"nothing: the loss {loss!r} does not use it", shown(lengths))
    return {name: column for name, column in found.items() if column is not None}


def lengths_by_name(lengths: Any) -> dict[str, Any]:
    """Return both columns of lengths by the names that messages give them; raise for what is no tuple of two."""
    if lengths is None:
        return {}
    if not isinstance(lengths, tuple) or len(lengths) != 2:
        raise type_error("lengths", "a tuple (chosen, rejected) of columns of whole numbers", shown(lengths))
    return {"lengths[0]": lengths[0], "lengths[1]": lengths[1]}


def token_counts(
    lengths: Any, columns: Sequence[NDArray[Any]], keep: NDArray[np.bool_] | None
) -> tuple[Floats, Floats]:
    """Return the numbers of tokens; raise where one is no whole number, or 0 beside a log-probability that is not 0.

    Pairs that do not count (``keep``; None: all count) get one token.
    """
    found = []
    for side, (place, given) in enumerate(lengths_by_name(lengths).items()):
        counts = to_float64(floats(given, place, ndim=1, numbers=True))
        if len(counts) != len(columns[0]):
            raise value_error(place, f"{len(columns[0])} values, one per pair", str(len(counts)))
        counts = counts if keep is None else np.where(keep, counts, 1.0)
        bad = ~((counts >= 0) & (counts == np.floor(counts)) & (counts < np.inf))
        if bad.any():
            i = int(np.argmax(bad))
            raise value_error(place, "whole numbers of at least 0", f"{counts[i]} at index {i}")
        for column, name in zip(columns[side::2], COLUMNS[side : len(columns) : 2], strict=True):
            bad = (counts == 0) & (to_float64(column) != 0)
            if bad.any():
                i = int(np.argmax(bad))
                raise value_error(place, f"at least 1 where {name} is not 0", f"0 at index {i}")
        found.append(counts)
    return found[0], found[1]


def crossing(rate: float) -> tuple[float, float]:
    """Return ``log((1 - e) / e)`` as a sum of two float64; decimal logarithms are the same on every machine."""
    if rate == 0.0:
        return 0.0, 0.0
    from decimal import Context, Decimal

    exact = Context(prec=60)
    e = Decimal(rate)
    crossing = exact.ln(exact.divide(exact.subtract(Decimal(1), e), e))
    high = float(crossing)
    return high, float(exact.subtract(crossing, Decimal(high)))


def settings_of(loss: str, divergence: str, *, beta: Any, **given: Any) -> tuple[list[dict[str, Any]], bool]:
    """Return the parameters of each setting as the core takes them, and whether they are a sweep.

    They are one where a parameter is a column. Several columns of one length give the settings side by side.
    """
    read = {name: _numbers(value, name) for name, value in given.items() if _is_column(value)}
    columns = {name: values for name, values in read.items() if values.ndim}
    betas = _numbers(beta, "beta")
    if betas.ndim:
        columns = {"beta": betas, **columns}
    first, count = next(((name, len(column)) for name, column in columns.items()), ("beta", 1))
    for name, column in columns.items():
        if len(column) != count:
            raise value_error(name, f"{count} values, as many as {first}", str(len(column)))
    settings = []
    for i in range(count):
        one = {name: columns[name][i].item() if name in columns else value for name, value in given.items()}
        checked = parameter("preference.loss", loss, "beta", betas.reshape(-1)[i if "beta" in columns else 0].item())
        settings.append(loss_parameters(loss, divergence, **one) | {"beta": checked})
    return settings, bool(columns)


def _is_column(value: Any) -> bool:
    return not (value is None or isinstance(value, str | Real | np.generic) or getattr(value, "shape", None) == ())


def _numbers(value: Any, name: str) -> Floats:
    """Return a number or a column of numbers as an array; raise for anything else."""
    array = floats(value, name, numbers=True, bits=True)
    if array.dtype == np.bool_ or array.ndim > 1:
        raise type_error(name, "a number or a column of numbers", f"{array.dtype} of shape {array.shape}")
    if not array.size:
        raise value_error(name, "at least one value", "none")
    return to_float64(array)


def as_columns(given: dict[str, Any]) -> list[NDArray[Any]]:
    """Return the columns of log-probabilities as arrays; raise where their lengths differ."""
    columns = [floats(x, name, ndim=1, numbers=True) for name, x in given.items()]
    n = len(columns[0])
    for column, name in zip(columns, given, strict=True):
        if len(column) != n:
            raise value_error(name, f"{n} values, one per pair", str(len(column)))
    return columns


def blanked(columns: list[NDArray[Any]], rows: Rows) -> tuple[list[NDArray[Any]], NDArray[np.bool_] | None]:
    """Return the columns in one dtype, with -1 where a pair does not count, and the mask of these pairs, if any.

    -1 is an ordinary log-probability for every loss; 0 would be that of an empty or certain answer.
    """
    if len({column.dtype for column in columns}) > 1:
        columns = [to_float64(column) for column in columns]
    if rows.keep is None:
        return columns, None
    blanks = (
        np.uint16(0xBF80) if column.dtype == np.uint16 else column.dtype.type(-1) for column in columns
    )  # bfloat16
    return [np.where(rows.keep, column, blank) for column, blank in zip(columns, blanks, strict=True)], ~rows.keep


def _digits(dtype: np.dtype[Any]) -> int:
    """The number of binary digits of a float type; uint16 stands for bfloat16."""
    return {np.dtype(np.uint16): 8, np.dtype(np.float16): 11, np.dtype(np.float32): 24, np.dtype(float): 53}[dtype]


def step(column: NDArray[Any], dtype: np.dtype[Any]) -> float:
    """One unit in the last place, in ``dtype``, of the log-probability that is largest in absolute value."""
    values = to_float64(column) if column.dtype == np.uint16 else column
    largest = max(float(values.max()), -float(values.min()))
    return math.ldexp(1.0, math.frexp(largest)[1] - _digits(dtype)) if largest else 0.0


def warn_rounded(columns: Sequence[NDArray[Any]], called: Sequence[str] = COLUMNS) -> None:
    """Warn how far a 16-bit type rounds log-probabilities of this size: by half a step at the median of a sample."""
    for column, name in zip(columns, called[: len(columns)], strict=True):
        if column.dtype.itemsize != 2:
            continue
        size = np.abs(to_float64(column[:: max(1, len(column) // 4096)]))
        size = size[(size > 0) & (size < np.inf)]
        if not len(size):
            continue
        typical = float(np.median(size))
        kind, digits = ("bfloat16", 8) if column.dtype == np.uint16 else ("float16", 11)
        half = math.ldexp(1.0, math.frexp(typical)[1] - digits - 1)
        warn(
            f"{name}: {kind} log-probabilities of about {-typical:.3g} are rounded by up to {half:.2g} nats each; "
            "sum and keep them in float32 or float64"
        )
        return

"""What the losses of single answers are given: log-probabilities, checked, as log-ratios."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from .._arrays import first_index, floats, to_float64
from .._columns import Mask
from ..errors import value_error
from .given import step, warn_rounded

__all__ = ["CERTAIN", "POSITIVE", "Ratios", "finite", "log_ratios", "of_one_shape", "refuse", "the_first"]

Floats = NDArray[np.float64]
NAMES = ("policy", "reference")
POSITIVE = 0.05
"""More than rounding makes of the log-probability of a token, or of every answer, that is certain."""
CERTAIN = 1.0
"""More than rounding makes of the log-probability of one answer that is certain."""


class Ratios(NamedTuple):
    """The log-ratios of answers, or their log-probabilities or scores where there is no reference."""

    values: Floats
    """0 where an answer does not count."""
    step: float
    """One rounding step of the largest number that they come from."""
    empty: int
    """How many answers that count have a log-probability of exactly 0 in policy and reference."""


def the_first(
    bad: Mask, x: NDArray[Any], name: str, expected: str, fix: str = "", *, of_nan: str | None = None
) -> None:
    """Raise for the first bad value of ``x``, if there is one; ``of_nan`` is the advice for a NaN."""
    if bad.any():
        place = first_index(bad.reshape(x.shape))
        fix = of_nan if of_nan is not None and np.isnan(x[place]) else fix
        raise value_error(name, expected, f"{x[place]} at index {list(place)}", fix)


def refuse(bad: Mask, x: NDArray[Any], name: str, expected: str, fix: str = "") -> None:
    """As :func:`the_first`, in calls that take ``nan_policy``."""
    the_first(bad, x, name, expected, fix, of_nan="nan_policy='omit' leaves it out")


def of_one_shape(given: dict[str, Any], ndim: int, axes: str) -> list[NDArray[Any]]:
    """Return the columns as arrays of floats; raise where they have another number of axes, or differ in shape."""
    columns = [floats(x, name, numbers=True) for name, x in given.items()]
    first, shape = next(iter(given)), columns[0].shape
    if len(shape) != ndim:
        raise value_error(first, axes, f"shape {shape}")
    for column, name in zip(columns, given, strict=True):
        if column.shape != shape:
            raise value_error(name, f"the shape of {first}, {shape}", f"shape {column.shape}")
    return columns


def log_ratios(columns: Sequence[NDArray[Any]], keep: Mask | None) -> Ratios:
    """Return policy less reference, or the policy's numbers alone; raise for what is no log-probability.

    Without a reference the numbers may be scores of any size. ``keep`` has the shape of the columns.
    """
    warn_rounded(columns, NAMES)
    numbers = [to_float64(column) for column in columns]
    if keep is not None:
        numbers = [np.where(keep, x, 0.0) for x in numbers]  # what does not count may be anything
    expected = "a finite log-probability" if len(columns) > 1 else "a finite log-probability or score"
    for name, x in zip(NAMES[: len(numbers)], numbers, strict=True):
        refuse(~np.isfinite(x), x, name, expected)
    nats = max(step(x, column.dtype) for x, column in zip(numbers, columns, strict=True))
    if len(numbers) == 1:
        return Ratios(numbers[0], nats, 0)
    for name, x in zip(NAMES, numbers, strict=True):
        fix = "negate it, if it is a negative log-likelihood"
        refuse(x > CERTAIN, x, name, "a log-probability, at most 0", fix)
        if (x > POSITIVE).all() if keep is None else (x[keep] > POSITIVE).all():
            refuse(x > POSITIVE, x, name, "a log-probability, at most 0", fix)
    nothing = (numbers[0] == 0) & (numbers[1] == 0)
    if keep is not None:
        nothing &= keep
    with np.errstate(over="ignore"):
        ratios = numbers[0] - numbers[1]
    refuse(~np.isfinite(ratios), ratios, "reference", "a difference from policy that float64 holds")
    return Ratios(ratios, nats, int(np.count_nonzero(nothing)))


def finite(beta: float, *results: NDArray[Any]) -> None:
    """Raise where a result is not finite although all that it comes from is."""
    for result in results:
        if not np.isfinite(result).all():
            raise value_error(
                "beta", "losses, rewards and gradients that float64 holds", f"larger ones with beta = {beta!r}"
            )

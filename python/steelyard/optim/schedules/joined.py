"""Schedules made of schedules: one after another, and the product of several."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..._mode import Number, standard_mode, standard_mode_methods
from ...errors import shown, type_error, value_error
from .rates import Rates, Steps, steps_of

__all__ = ["Chain", "Product", "chain", "product"]


def _schedules(given: Any, least: int) -> tuple[Rates, ...]:
    if not isinstance(given, list | tuple) or len(given) < least or not all(isinstance(x, Rates) for x in given):
        raise type_error("schedules", f"a list of {least} or more schedules", shown(given))
    return tuple(given)


def _loaded(given: Mapping[str, Any], keys: set[str]) -> tuple[Rates, ...]:
    """The schedules in a dictionary that ``to_dict`` wrote."""
    if set(given) != {"shape", "schedules", *keys} or not isinstance(given["schedules"], list):
        raise value_error(
            "fields", f"a dictionary of shape, schedules{''.join(f', {key}' for key in keys)}", shown(given)
        )
    return tuple(Rates.from_dict(fields) for fields in given["schedules"])


@standard_mode_methods
@dataclass(frozen=True, repr=False)
class Chain(Rates):
    """Schedules one after another, as :func:`chain` makes them.

    Attributes
    ----------
    schedules : tuple of schedules
    at : tuple of int
        The step at which each schedule but the first begins, there with its own step 0.
    lr : float
        The highest ``lr`` of the schedules.

    Examples
    --------
    >>> import steelyard as sy
    >>> joined = sy.schedules.chain([sy.schedules.constant(1.0), sy.schedules.constant(0.5)], at=[3])
    >>> joined.at, joined(2), joined(3)
    ((3,), 1.0, 0.5)
    """

    schedules: tuple[Rates, ...]
    at: tuple[int, ...]
    shape = "chain"

    def __post_init__(self) -> None:
        object.__setattr__(self, "schedules", _schedules(self.schedules, 1))
        if not isinstance(self.at, list | tuple):
            raise type_error("at", "a list of steps", shown(self.at))
        at = tuple(steps_of(f"at[{i}]", step) for i, step in enumerate(self.at))
        if len(at) != len(self.schedules) - 1 or list(at) != sorted(set(at)):
            raise value_error(
                "at", f"{len(self.schedules) - 1} increasing steps, one between each two schedules", shown(self.at)
            )
        object.__setattr__(self, "at", at)

    @property
    def lr(self) -> float:  # type: ignore[override]
        """The highest ``lr`` of the schedules."""
        return Number(max(part.lr for part in self.schedules))

    def _rates(self, steps: Steps) -> NDArray[np.float64]:
        rates = np.empty(steps.shape, np.float64)
        which = np.searchsorted(np.array(self.at, np.uint64), steps, side="right")
        for i, (part, begin) in enumerate(zip(self.schedules, (0, *self.at), strict=True)):
            here = which == i
            if here.any():
                rates[here] = part._rates(steps[here] - np.uint64(begin))
        return rates

    def _seams(self) -> list[int]:
        found = set(self.at)
        for part, begin, until in zip(self.schedules, (0, *self.at), (*self.at, None), strict=True):
            found |= {begin + seam for seam in part._seams() if until is None or begin + seam < until}
        return sorted(found)

    def _end(self) -> int | None:
        begin, last = (0, *self.at)[-1], self.schedules[-1]._end()
        flat = last is None and last_is_constant(self.schedules[-1])
        return begin if flat and begin else None if last is None else begin + last

    def _view(self) -> int:
        return (0, *self.at)[-1] + self.schedules[-1]._view()

    def _traced(self, step: Any, xp: Any) -> Any:
        rate = self.schedules[0]._traced(step, xp)
        for part, begin in zip(self.schedules[1:], self.at, strict=True):
            rate = xp.where(step < begin, rate, part._traced(xp.maximum(step - begin, 0), xp))
        return rate

    def to_dict(self) -> dict[str, Any]:
        """Return the chain as a dictionary in types that JSON has."""
        return {"shape": "chain", "schedules": [part.to_dict() for part in self.schedules], "at": list(self.at)}

    @classmethod
    def _from(cls, given: Mapping[str, Any]) -> Chain:
        return cls(_loaded(given, {"at"}), given["at"])

    def __repr__(self) -> str:
        return f"schedules.chain({list(self.schedules)!r}, at={list(self.at)!r})"


def last_is_constant(part: Rates) -> bool:
    """Whether a schedule has the same rate at every step."""
    return part.shape == "constant" and not part._seams()


@standard_mode_methods
@dataclass(frozen=True, repr=False)
class Product(Rates):
    """The product of schedules, as :func:`product` makes it.

    Attributes
    ----------
    schedules : tuple of schedules
    lr : float
        The product of the ``lr`` of the schedules.

    Examples
    --------
    >>> import steelyard as sy
    >>> half = sy.schedules.constant(0.5)
    >>> sy.schedules.product([half, half])(0)
    0.25
    """

    schedules: tuple[Rates, ...]
    shape = "product"

    def __post_init__(self) -> None:
        object.__setattr__(self, "schedules", _schedules(self.schedules, 1))

    @property
    def lr(self) -> float:  # type: ignore[override]
        """The product of the ``lr`` of the schedules."""
        product = 1.0
        for part in self.schedules:
            product *= part.lr
        return Number(product)

    def _rates(self, steps: Steps) -> NDArray[np.float64]:
        rates = self.schedules[0]._rates(steps)
        for part in self.schedules[1:]:
            rates = rates * part._rates(steps)
        return rates

    def _seams(self) -> list[int]:
        return sorted({seam for part in self.schedules for seam in part._seams()})

    def _end(self) -> int | None:
        ends = [part._end() for part in self.schedules if not last_is_constant(part)]
        return max((end for end in ends if end is not None), default=None) if None not in ends else None

    def _view(self) -> int:
        return max(part._view() for part in self.schedules)

    def _traced(self, step: Any, xp: Any) -> Any:
        rate = self.schedules[0]._traced(step, xp)
        for part in self.schedules[1:]:
            rate = rate * part._traced(step, xp)
        return rate

    def to_dict(self) -> dict[str, Any]:
        """Return the product as a dictionary in types that JSON has."""
        return {"shape": "product", "schedules": [part.to_dict() for part in self.schedules]}

    @classmethod
    def _from(cls, given: Mapping[str, Any]) -> Product:
        return cls(_loaded(given, set()))

    def __repr__(self) -> str:
        return f"schedules.product({list(self.schedules)!r})"


@standard_mode
def chain(schedules: Sequence[Rates], *, at: Sequence[int]) -> Chain:
    """Return schedules one after another.

    Before ``at[0]`` the first one holds: its rate of s. From ``at[i]`` on, schedule i + 1 does: its rate of
    s - ``at[i]``, so that each begins with its own step 0. This is ``optax.join_schedules``, and what torch's
    ``SequentialLR`` does with closed forms.

    Parameters
    ----------
    schedules : list of schedules
    at : list of int
        Increasing steps, one fewer than schedules.

    Returns
    -------
    Chain

    Raises
    ------
    TypeError, ValueError
        For what is no schedule, or steps that do not increase or are too many or too few.

    Examples
    --------
    >>> import steelyard as sy
    >>> first = sy.schedules.linear(1.0, total_steps=4, end=0.5)
    >>> sy.schedules.chain([first, sy.schedules.exponential(0.5, gamma=0.5)], at=[4])([0, 2, 4, 5, 6])
    array([1.   , 0.75 , 0.5  , 0.25 , 0.125])
    """
    return Chain(tuple(schedules) if isinstance(schedules, list) else schedules, at)  # type: ignore[arg-type]


@standard_mode
def product(schedules: Sequence[Rates]) -> Product:
    """Return the product of schedules: the rates of a step, multiplied in the order given.

    One of them has the rate, the others are factors with ``lr=1``. torch's ``ChainedScheduler`` multiplies the factors
    of its schedulers in this way.

    Parameters
    ----------
    schedules : list of schedules

    Returns
    -------
    Product

    Raises
    ------
    TypeError
        For what is no schedule.

    Examples
    --------
    >>> import steelyard as sy
    >>> halves = sy.schedules.step(1.0, decay_steps=10, gamma=0.5)
    >>> sy.schedules.product([sy.schedules.constant(0.1, warmup_steps=2), halves])([0, 1, 10])
    array([0.05, 0.1 , 0.05])
    """
    return Product(tuple(schedules) if isinstance(schedules, list) else schedules)  # type: ignore[arg-type]

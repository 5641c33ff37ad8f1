"""A rate that falls when a metric stops improving."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any, Literal, get_args

from ..._mode import Number, standard_mode_methods
from ..._options import at_least_zero, choice, fraction, number, whole
from ...errors import shown, value_error

__all__ = ["Plateau"]

Mode = Literal["min", "max"]
ThresholdMode = Literal["rel", "abs"]


@standard_mode_methods
@dataclass(kw_only=True)
class Plateau:
    """A rate that is multiplied by ``factor`` when a metric has stopped improving.

    A metric is an improvement where it is below ``best (1 - threshold)`` (``threshold_mode="rel"``) or
    ``best - threshold`` (``"abs"``); with ``mode="max"``, above ``best (1 + threshold)`` or ``best + threshold``. After
    more than ``patience`` calls of :meth:`update` in a row without one, the rate becomes ``max(lr factor, min_lr)``,
    and the next ``cooldown`` calls are not counted. A NaN is never an improvement.

    The object is a state: what it does depends on the metrics alone, in their order, and :meth:`to_dict` holds all of
    it. Pass it as the ``lr`` of an optimizer; called with a step, it returns the current rate.

    Parameters
    ----------
    lr : float
        The first rate, at least 0.
    factor : float
        From 0 to 1, and below 1.
    patience : int
        How many calls without improvement are tolerated.
    threshold : float
        The least improvement, at least 0.
    threshold_mode : {"rel", "abs"}
    cooldown : int
        How many calls after a reduction are not counted.
    min_lr : float
        The lowest rate.
    eps : float
        Reductions by no more than this are not made.
    mode : {"min", "max"}
        Whether a lower or a higher metric is better.

    Attributes
    ----------
    best : float or None
        The best metric so far.
    bad : int
        Calls without improvement since the last one or the last reduction.
    waiting : int
        Calls of the cooldown that are left.

    Raises
    ------
    TypeError, ValueError
        For numbers outside their ranges.

    Examples
    --------
    >>> import steelyard as sy
    >>> rate = sy.schedules.Plateau(lr=1.0, factor=0.5, patience=1)
    >>> [rate.update(metric) for metric in (3.0, 2.0, 2.0, 2.0, 2.0)]
    [1.0, 1.0, 1.0, 0.5, 0.5]
    >>> sy.schedules.Plateau.from_dict(rate.to_dict()) == rate
    True

    References
    ----------
    torch's ``ReduceLROnPlateau``, whose arguments and rates these are (its ``num_bad_epochs`` is ``bad``).
    """

    lr: float
    factor: float = 0.1
    patience: int = 10
    threshold: float = 1e-4
    threshold_mode: ThresholdMode = "rel"
    cooldown: int = 0
    min_lr: float = 0.0
    eps: float = 1e-8
    mode: Mode = "min"
    best: float | None = None
    bad: int = 0
    waiting: int = 0

    def __post_init__(self) -> None:
        for name in ("lr", "threshold", "min_lr", "eps"):
            setattr(self, name, at_least_zero(name, getattr(self, name)))
        self.factor = fraction(self.factor, "factor")
        if self.factor == 1:
            raise value_error("factor", "below 1", "1")
        for name in ("patience", "cooldown", "bad", "waiting"):
            setattr(self, name, whole(getattr(self, name), name, 0))
        choice(self.mode, "mode", get_args(Mode))
        choice(self.threshold_mode, "threshold_mode", get_args(ThresholdMode))
        self.best = None if self.best is None else number(self.best, "best")

    def __call__(self, step: int) -> float:
        """Return the current rate, whatever the step."""
        return Number(self.lr)

    def update(self, metric: float) -> float:
        """Take the metric of one evaluation, and return the rate from now on."""
        value = number(metric, "metric")
        if self.best is None or self._better(value, self.best):
            self.best = value
            self.bad = 0
        else:
            self.bad += 1
        if self.waiting:
            self.waiting -= 1
            self.bad = 0
        if self.bad > self.patience:
            self.waiting, self.bad = self.cooldown, 0
            lower = max(self.lr * self.factor, self.min_lr)
            if self.lr - lower > self.eps:
                self.lr = lower
        return Number(self.lr)

    def _better(self, value: float, best: float) -> bool:
        sign = -1.0 if self.mode == "min" else 1.0
        limit = best * (1.0 + sign * self.threshold) if self.threshold_mode == "rel" else best + sign * self.threshold
        return value < limit if self.mode == "min" else value > limit

    def to_dict(self) -> dict[str, Any]:
        """Return the state as a dictionary in types that JSON has."""
        return {item.name: getattr(self, item.name) for item in fields(self)}

    @classmethod
    def from_dict(cls, given: Mapping[str, Any]) -> Plateau:
        """Return the state that :meth:`to_dict` wrote."""
        known = {item.name for item in fields(cls)}
        if not isinstance(given, Mapping) or not set(given) <= known or "lr" not in given:
            raise value_error("given", f"a dictionary with keys among {sorted(known)}", shown(given))
        return cls(**given)

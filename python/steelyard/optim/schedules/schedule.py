"""One shape with its warm-up."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from ... import _core
from ..._mode import standard_mode_methods
from ..._options import at_least_zero, choice, parameter, refuse_unused
from ..._registries import REGISTRIES, Parameter, names
from ...errors import shown, type_error, value_error
from .rates import LAST, Rates, Steps, steps_of

__all__ = ["Curve", "Interpolate", "Schedule", "Shape", "Warmup", "points_of"]

Shape = Literal[
    "constant", "linear", "cosine", "inverse_sqrt", "cosine_wave", "cosine_restarts", "polynomial", "exponential",
    "step", "multi_step", "cyclic", "wsd", "rex", "tanh", "piecewise",
]  # fmt: skip
Warmup = Literal["linear", "cosine", "log", "1-sqrt"]
Curve = Literal["linear", "cosine", "1-sqrt", "square"]
Interpolate = Literal["linear", "cosine", "constant"]


@standard_mode_methods
@dataclass(frozen=True, repr=False)
class Schedule(Rates):
    """A learning-rate schedule: call it with the number of updates already made, or an array of such numbers.

    The functions of :mod:`steelyard.schedules` make schedules and say what each shape takes; those parameters are the
    attributes here, ``None`` where the shape has none of that name.

    Attributes
    ----------
    shape : {"constant", "linear", "cosine", "inverse_sqrt", "cosine_wave", "cosine_restarts", "polynomial", \
"exponential", "step", "multi_step", "cyclic", "wsd", "rex", "tanh", "piecewise"}
    lr : float
        The highest rate.
    total_steps : int or None
        The step at which the rate reaches ``end``; ``None`` for shapes without an end.
    warmup_steps : int
        The number of steps at the beginning during which the rate rises; they are part of ``total_steps``.
    start, end : float
        The rate at step 0, and at the end. With ``start=None`` the rate at step 0 is ``lr / warmup_steps``, the first
        of ``warmup_steps`` equal steps from 0 to ``lr``.
    warmup : {"linear", "cosine", "log", "1-sqrt"}
        The curve of the warm-up: with x the share of it that is done, from 0 to 1, the rate has risen by x,
        (1 - cos(pi x))/2, 1 - sqrt(1 - x), or the logarithm of the steps made as a share of that of all warm-up steps.
    offset : int
        How many steps the shape is ahead: t = s - warmup_steps + offset.
    curve : {"linear", "cosine", "1-sqrt", "square"} or None
        The curve of the fall of ``"wsd"``.
    interpolate : {"linear", "cosine", "constant"} or None
        What lies between the points of ``"piecewise"``.

    Examples
    --------
    >>> import steelyard as sy
    >>> schedule = sy.schedules.linear(1.0, total_steps=4)
    >>> schedule(1), schedule.to_dict()["shape"]
    (0.75, 'linear')
    >>> sy.schedules.Schedule.from_dict(schedule.to_dict()) == schedule
    True
    >>> schedule
    schedules.linear(1.0, total_steps=4)
    """

    shape: Shape
    lr: float
    total_steps: int | None = None
    warmup_steps: int = 0
    start: float | None = None
    end: float = 0.0
    warmup: Warmup = field(default="linear", kw_only=True)
    offset: int = field(default=0, kw_only=True)
    cycles: float | None = field(default=None, kw_only=True)
    waves: float | None = field(default=None, kw_only=True)
    power: float | None = field(default=None, kw_only=True)
    k: float | None = field(default=None, kw_only=True)
    cycle_steps: int | None = field(default=None, kw_only=True)
    growth: float | None = field(default=None, kw_only=True)
    decay: float | None = field(default=None, kw_only=True)
    restarts: int | None = field(default=None, kw_only=True)
    timescale: int | None = field(default=None, kw_only=True)
    gamma: float | None = field(default=None, kw_only=True)
    decay_steps: int | None = field(default=None, kw_only=True)
    milestones: tuple[int, ...] | None = field(default=None, kw_only=True)
    low: float | None = field(default=None, kw_only=True)
    rise_steps: int | None = field(default=None, kw_only=True)
    fall_steps: int | None = field(default=None, kw_only=True)
    cooldown_steps: int | None = field(default=None, kw_only=True)
    curve: Curve | None = field(default=None, kw_only=True)
    lower: float | None = field(default=None, kw_only=True)
    upper: float | None = field(default=None, kw_only=True)
    points: tuple[tuple[float, float], ...] | None = field(default=None, kw_only=True)
    interpolate: Interpolate | None = field(default=None, kw_only=True)

    def __post_init__(self) -> None:
        choice(self.shape, "shape", names("schedule.shape"))
        self._check_numbers()
        choice(self.warmup, "warmup", names("schedule.warmup"))
        self._set("offset", steps_of("offset", self.offset))
        self._set("start", None if self.start is None else at_least_zero("start", self.start))
        self._check_curves()
        if self.start is not None and not self.warmup_steps:
            raise value_error("start", "warmup_steps of at least 1 beside it, to rise over", "warmup_steps = 0")
        if self.total_steps is not None and self.warmup_steps >= self.total_steps:
            raise value_error("warmup_steps", f"fewer than total_steps = {self.total_steps}", str(self.warmup_steps))
        if self.shape == "inverse_sqrt" and not self.timescale:
            steps_of("warmup_steps", self.warmup_steps, 1)
        if self.cooldown_steps is not None and self.total_steps is not None:
            most = self.total_steps - self.warmup_steps
            if self.cooldown_steps > most:
                raise value_error(
                    "cooldown_steps", f"at most total_steps - warmup_steps = {most}", str(self.cooldown_steps)
                )
        if self.growth is not None and 1 < self.growth < 1.01:
            raise value_error("growth", "1, or at least 1.01", repr(self.growth))
        if self.lower is not None and self.upper is not None and not self.lower < self.upper:
            raise value_error("upper", f"more than lower = {self.lower:g}", f"{self.upper:g}")

    def _set(self, name: str, value: Any) -> None:
        object.__setattr__(self, name, value)

    def _check_numbers(self) -> None:
        """Check every number that the shape takes, and refuse those that it does not."""
        self._set("lr", at_least_zero("lr", self.lr))
        taken = REGISTRIES["schedule.shape"][self.shape].parameters
        for name in NUMBERS:
            value = getattr(self, name)
            if name not in taken:
                if value != DEFAULTS[name]:
                    refuse_unused("schedule.shape", self.shape, name, value)
            elif taken[name].high == LAST:
                given = taken[name].default if value is None else value
                self._set(
                    name, _steps(taken[name], int(given) if isinstance(given, float) and value is None else given)
                )
            elif value is None and taken[name].default is None:
                raise type_error(name, taken[name].expected, "None")
            else:
                self._set(name, parameter("schedule.shape", self.shape, name, value))

    def _check_curves(self) -> None:
        """Check what is no number: curves, milestones and points."""
        for name, shape, default in (("curve", "wsd", "linear"), ("interpolate", "piecewise", "linear")):
            value = getattr(self, name)
            if self.shape == shape:
                self._set(name, choice(default if value is None else value, name, names(f"schedule.{name}")))
            elif value is not None:
                refuse_unused("schedule.shape", self.shape, name, value)
        for name, shape, check in (("milestones", "multi_step", _milestones), ("points", "piecewise", points_of)):
            value = getattr(self, name)
            if self.shape == shape:
                self._set(name, check(value))
            elif value is not None:
                refuse_unused("schedule.shape", self.shape, name, shown(value))
        if self.points is not None and self.lr != (highest := max(rate for _, rate in self.points)):
            raise value_error("lr", f"the highest rate of the points, {highest!r}", repr(self.lr))

    def _rates(self, steps: Steps) -> NDArray[np.float64]:
        taken = REGISTRIES["schedule.shape"][self.shape].parameters
        at: tuple[float, ...] = self.milestones or ()
        values: tuple[float, ...] = ()
        if self.points is not None:
            at, values = zip(*self.points, strict=True)
        return _core.schedule_rates(
            steps,
            shape=self.shape,
            peak=self.lr,
            description={
                "numbers": [getattr(self, name) for name in taken],
                "start": self.start,
                "warmup": self.warmup,
                "offset": self.offset,
                "cooldown": self.curve or "linear",
                "interpolate": self.interpolate or "linear",
                "at": at,
                "values": values,
            },
        )

    def _seams(self) -> list[int]:
        w, ahead = self.warmup_steps, self.offset
        seams = {w}
        if self.curve is not None and self.total_steps is not None and self.cooldown_steps is not None:
            seams |= {self.total_steps - self.cooldown_steps - ahead}
        seams |= {w + milestone - ahead for milestone in self.milestones or ()}
        seams |= {w + ceiling(step) - ahead for step, _ in self.points or ()}
        if (end := self._end()) is not None:
            seams.add(end)
        return sorted(seam for seam in seams if seam > 0)

    def _end(self) -> int | None:
        """The first step from which on the rate stays the same; None where there is none."""
        if self.shape == "constant":
            return self.warmup_steps or None
        if self.milestones or self.points:
            last = self.milestones[-1] if self.milestones else ceiling(self.points[-1][0]) if self.points else 0
            return max(self.warmup_steps + last - self.offset, 1)
        if self.total_steps is not None and self.shape != "cosine_wave":
            return max(self.total_steps - self.offset, self.warmup_steps, 1)
        return None

    def _view(self) -> int:
        """The last step that a plot shows: the end, or what tells the shape."""
        w, end = self.warmup_steps, self._end()
        if self.cycle_steps is not None:
            return w + (self._cycles(self.restarts or 4) if (self.restarts or 4) <= 64 else 64 * self.cycle_steps)
        if self.rise_steps is not None:
            return w + 4 * (self.rise_steps + (self.fall_steps or self.rise_steps))
        if self.decay_steps is not None:
            falls = 1 / (1 - self.gamma) if self.gamma is not None and self.gamma < 1 else 20
            return w + max(int(5 * falls * self.decay_steps), 5)
        if self.shape == "inverse_sqrt":
            return w + 8 * (self.timescale or w)
        if self.shape == "cosine_wave" and self.total_steps is not None:
            return 2 * self.total_steps - w
        if end is None or self.shape == "constant":
            return max(2 * w, 100)
        return end + end // 5 if self.milestones or self.points else end

    def _cycles(self, count: int) -> int:
        """The steps of the first cycles of restarts, together."""
        length, total = float(self.cycle_steps or 0), 0.0
        for _ in range(count):
            total, length = total + length, length * (self.growth or 1.0)
        return ceiling(min(total, LAST))

    def _traced(self, step: Any, xp: Any) -> Any:
        from ...reference import schedules

        return schedules.schedule(xp, step, **self._fields())

    def _fields(self) -> dict[str, Any]:
        """The shape, the rate, and every other field that differs from its default."""
        default = {item.name: item.default for item in fields(self)}
        taken = REGISTRIES["schedule.shape"][self.shape].parameters
        default |= {name: found.default for name, found in taken.items() if found.default is not None}
        always = ("shape", "lr")
        return {name: value for name, value in asdict(self).items() if name in always or value != default[name]}

    def to_dict(self) -> dict[str, Any]:
        """Return the schedule as a dictionary in types that JSON has."""
        lists = {name: [list(x) if isinstance(x, tuple) else x for x in value]
                 for name, value in self._fields().items() if isinstance(value, tuple)}  # fmt: skip
        return self._fields() | lists

    @classmethod
    def _from(cls, given: Mapping[str, Any]) -> Schedule:
        known = {item.name for item in fields(cls)}
        if not isinstance(given, Mapping) or not set(given) <= known or not {"shape", "lr"} <= set(given):
            expected = "a dictionary with 'shape', 'lr' and other attributes of a schedule"
            raise value_error("fields", expected, shown(given))
        return cls(**given)

    def __repr__(self) -> str:
        given = self._fields()
        shape, lr = given.pop("shape"), given.pop("lr")
        first = [] if self.points else [repr(lr)]
        return f"schedules.{shape}({', '.join(first + [f'{name}={value!r}' for name, value in given.items()])})"


def _numbers() -> dict[str, Any]:
    """Every number that some shape takes, with the value of a schedule whose shape does not take it."""
    taken = {name for shape in REGISTRIES["schedule.shape"].values() for name in shape.parameters}
    return {item.name: item.default for item in fields(Schedule) if item.name in taken}


DEFAULTS = _numbers()
NUMBERS = tuple(DEFAULTS)


def _steps(taken: Parameter, value: Any) -> int:
    return steps_of(taken.name, value, int(taken.low))


def ceiling(step: float) -> int:
    """The first whole step that is not before ``step``."""
    return int(step) + (int(step) < step)


def _milestones(given: Any) -> tuple[int, ...]:
    """Steps in increasing order; a step may stand twice, and counts twice."""
    if not isinstance(given, list | tuple):
        raise type_error("milestones", "a list of steps", shown(given))
    found = tuple(steps_of(f"milestones[{i}]", step) for i, step in enumerate(given))
    if list(found) != sorted(found):
        raise value_error("milestones", "steps in increasing order", shown(given))
    return found


def points_of(given: Any) -> tuple[tuple[float, float], ...]:
    """Pairs of a step and a rate, the steps increasing."""
    if not isinstance(given, list | tuple) or not given:
        raise type_error("points", "a list of pairs of a step and a rate", shown(given))
    found: list[tuple[float, float]] = []
    for i, pair in enumerate(given):
        if not isinstance(pair, list | tuple) or len(pair) != 2:
            raise type_error(f"points[{i}]", "a pair of a step and a rate", shown(pair))
        step, rate = at_least_zero(f"points[{i}][0]", pair[0]), at_least_zero(f"points[{i}][1]", pair[1])
        if step > LAST or (found and step <= found[-1][0]):
            raise value_error(f"points[{i}][0]", "a later step than the point before", repr(pair[0]))
        found.append((int(step) if step == int(step) else step, rate))
    return tuple(found)

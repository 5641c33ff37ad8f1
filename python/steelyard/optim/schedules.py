"""Learning-rate schedules: pure functions of the number of updates already made.

With ``s`` updates made (s = 0 for the first update), ``w = warmup_steps``, ``N = total_steps`` and ``peak = lr``::

    s < w:  peak (s + 1) / w            (with start given: start + (peak - start) s / w)
    else:   u = min((s - w) / (N - w), 1)
            constant: peak
            linear:   peak + (end - peak) u
            cosine:   end + (peak - end) (1 + cos(pi u)) / 2
            inverse_sqrt: peak sqrt(w / s), without an end

After its last step a schedule keeps its last rate. The rate of the first update is 0 only with ``start=0``, the
convention of the library transformers.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, Literal, ParamSpec, Self, overload

import numpy as np
from numpy.typing import ArrayLike, NDArray

from .. import _core
from .._arrays import plain
from .._forest import legend
from .._mode import Number, standard_mode, standard_mode_methods
from .._options import at_least_zero, choice, refuse_unused, whole
from .._registries import REGISTRIES, Parameter, names
from ..errors import shown, type_error, value_error

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["Schedule", "constant", "cosine", "inverse_sqrt", "linear"]

Shape = Literal["constant", "linear", "cosine", "inverse_sqrt"]
P = ParamSpec("P")


@standard_mode_methods
@dataclass(frozen=True)
class Schedule:
    """A learning-rate schedule: call it with the number of updates already made, or an array of such numbers.

    Attributes
    ----------
    shape : {"constant", "linear", "cosine", "inverse_sqrt"}
    lr : float
        The highest rate.
    total_steps : int or None
        The step at which the rate reaches ``end``; ``None`` for ``"constant"`` and ``"inverse_sqrt"``.
    warmup_steps : int
        The number of steps at the beginning during which the rate rises; they are part of ``total_steps``.
    start, end : float
        The rate at step 0, and at the end. With ``start=None`` the rate at step 0 is ``lr / warmup_steps``, the first
        of ``warmup_steps`` equal steps from 0 to ``lr``.

    Examples
    --------
    >>> import steelyard as sy
    >>> schedule = sy.schedules.linear(1.0, total_steps=4)
    >>> schedule(1), schedule.to_dict()["shape"]
    (0.75, 'linear')
    >>> sy.schedules.Schedule.from_dict(schedule.to_dict()) == schedule
    True
    """

    shape: Shape
    lr: float
    total_steps: int | None = None
    warmup_steps: int = 0
    start: float | None = None
    end: float = 0.0

    def __post_init__(self) -> None:
        choice(self.shape, "shape", names("schedule.shape"))
        taken = REGISTRIES["schedule.shape"][self.shape].parameters
        for name, unused in (("total_steps", None), ("end", 0.0)):
            if name not in taken and (value := getattr(self, name)) != unused:
                refuse_unused("schedule.shape", self.shape, name, value)
        checked: dict[str, float | None] = {name: at_least_zero(name, getattr(self, name)) for name in ("lr", "end")}
        checked["start"] = None if self.start is None else at_least_zero("start", self.start)
        for name in ("total_steps", "warmup_steps"):
            if name in taken:
                checked[name] = _steps(taken[name], getattr(self, name))
        for name, value in checked.items():
            object.__setattr__(self, name, value)
        if self.start is not None and not self.warmup_steps:
            raise value_error("start", "warmup_steps of at least 1 beside it, to rise over", "warmup_steps = 0")
        if self.total_steps is not None and self.warmup_steps >= self.total_steps:
            raise value_error("warmup_steps", f"fewer than total_steps = {self.total_steps}", str(self.warmup_steps))

    @overload
    def __call__(self, step: int) -> float: ...
    @overload
    def __call__(self, step: ArrayLike) -> NDArray[np.float64]: ...
    def __call__(self, step: Any) -> float | NDArray[np.float64]:
        """Return the rate after ``step`` updates: a float, or an array for an array of steps."""
        if isinstance(step, int | np.integer) and not isinstance(step, bool):
            if step < 0:
                raise value_error("step", "at least 0, the number of updates already made", str(step))
            # The core takes steps below 2**64. Beyond, the rate is taken at the last of these steps.
            return Number(self._rates(np.array([min(step, 2**64 - 1)], np.uint64))[0])
        steps = plain(step, "step")
        if steps.dtype.kind not in "iu":
            raise type_error("step", "whole numbers", f"{steps.dtype}")
        if steps.size and steps.min() < 0:
            raise value_error("step", "at least 0, the number of updates already made", str(steps.min()))
        flat = np.ascontiguousarray(steps).reshape(-1)
        # All values are at least 0, and such a number has the same bits in int64 and uint64.
        counts = flat.view(np.uint64) if flat.dtype == np.int64 else flat.astype(np.uint64)
        return self._rates(counts).reshape(steps.shape)

    def _rates(self, steps: NDArray[np.uint64]) -> NDArray[np.float64]:
        return _core.schedule_rates(
            steps, shape=self.shape, peak=self.lr, end=self.end, start=self.start, warmup=self.warmup_steps,
            total=self.total_steps or 0,
        )  # fmt: skip

    def to_dict(self) -> dict[str, Any]:
        """Return the schedule as a dictionary in types that JSON has."""
        return asdict(self)

    @classmethod
    def from_dict(cls, fields: Mapping[str, Any]) -> Self:
        """Return the schedule that :meth:`to_dict` wrote."""
        known = set(cls.__dataclass_fields__)
        if not isinstance(fields, Mapping) or not set(fields) <= known or not {"shape", "lr"} <= set(fields):
            raise value_error("fields", f"a dictionary with keys among {sorted(known)}", shown(fields))
        return cls(**fields)

    def plot(self, ax: Axes | None = None, *, label: str | None = None) -> Axes:
        """Draw the rate over the steps, with a ``label`` in a legend; returns the Axes."""
        import matplotlib.pyplot as plt

        if ax is None:
            _, ax = plt.subplots(figsize=(6, 3), layout="constrained")
        last = self.total_steps or max(2 * self.warmup_steps, 100)
        steps = np.unique(np.linspace(0, last, 1001).astype(np.int64))
        ax.plot(steps, self(steps), label=label)
        ax.set(xlabel="updates made", ylabel="learning rate", ylim=(0, None))
        if label is None:
            ax.set_title(f"{self.shape} schedule")
        else:
            legend(ax)
        return ax


def _steps(taken: Parameter, value: Any) -> int:
    return whole(value, taken.name, int(taken.low), int(taken.high), "a whole number of steps")


_PARAMETERS = {
    "lr": """float
    The highest rate, at least 0.""",
    "total_steps": """int
    The step at which the rate has fallen to ``end``, counted from the first step of the warm-up.""",
    "warmup_steps": """int
    How many steps the rate rises for: 0 or more, and fewer than ``total_steps`` where there is one.""",
    "start": """float, optional
    The rate at step 0, where there is a warm-up. Without it that rate is ``lr / warmup_steps``, the first of equal
    steps up from 0.""",
    "end": """float
    The rate at ``total_steps`` and after, at least 0.""",
}
_RETURNS_AND_RAISES = """
Returns
-------
Schedule
    Call it with the number of updates already made, one or an array of them.

Raises
------
TypeError, ValueError
    For a rate that is negative or not finite, or steps that are no whole numbers or do not fit.

"""


def _documented(function: Callable[P, Schedule]) -> Callable[P, Schedule]:
    """Add to a docstring, before its examples, the sections that all schedules share."""
    text, examples, rest = inspect.cleandoc(function.__doc__ or "").partition("Examples\n")
    taken = "".join(f"{name} : {_PARAMETERS[name]}\n" for name in inspect.signature(function).parameters)
    function.__doc__ = f"{text}Parameters\n----------\n{taken}{_RETURNS_AND_RAISES}{examples}{rest}"
    return function


@standard_mode
@_documented
def constant(lr: float, *, warmup_steps: int = 0, start: float | None = None) -> Schedule:
    """Return a rate that rises over ``warmup_steps`` and stays.

    With s updates made and w = ``warmup_steps``: ``lr (s + 1)/w`` for s < w (``start + (lr - start) s/w`` with
    ``start``), then ``lr``.

    Examples
    --------
    >>> import steelyard as sy
    >>> sy.schedules.constant(1.0, warmup_steps=4)([0, 1, 2, 3, 100])
    array([0.25, 0.5 , 0.75, 1.  , 1.  ])
    """
    return Schedule("constant", lr, None, warmup_steps, start)


@standard_mode
@_documented
def linear(
    lr: float, *, total_steps: int, warmup_steps: int = 0, start: float | None = None, end: float = 0.0
) -> Schedule:
    """Return a rate that rises over ``warmup_steps`` and falls in a straight line to ``end``.

    After the rise of :func:`constant`: ``lr + (end - lr) u``, u = min((s - w)/(N - w), 1), N = ``total_steps``.

    Examples
    --------
    >>> import steelyard as sy
    >>> sy.schedules.linear(10.0, total_steps=10, warmup_steps=2, start=0.0)([0, 1, 2, 6, 10, 99])
    array([ 0.,  5., 10.,  5.,  0.,  0.])
    """
    return Schedule("linear", lr, total_steps, warmup_steps, start, end)


@standard_mode
@_documented
def cosine(
    lr: float, *, total_steps: int, warmup_steps: int = 0, start: float | None = None, end: float = 0.0
) -> Schedule:
    """Return a rate that rises over ``warmup_steps`` and falls along half a cosine to ``end``.

    After the rise of :func:`constant`: ``end + (lr - end) (1 + cos(pi u))/2``, u = min((s - w)/(N - w), 1),
    N = ``total_steps``.

    Examples
    --------
    >>> import steelyard as sy
    >>> sy.schedules.cosine(10.0, total_steps=10, warmup_steps=2)([0, 1, 6, 10])
    array([ 5., 10.,  5.,  0.])

    References
    ----------
    Loshchilov and Hutter, "SGDR: Stochastic Gradient Descent with Warm Restarts", ICLR 2017. transformers'
    ``get_cosine_schedule_with_warmup`` has ``start=0``: its first update has a rate of 0.
    """
    return Schedule("cosine", lr, total_steps, warmup_steps, start, end)


@standard_mode
@_documented
def inverse_sqrt(lr: float, *, warmup_steps: int, start: float | None = None) -> Schedule:
    """Return a rate that rises over ``warmup_steps`` and falls as one over the square root of the steps, without end.

    After the rise of :func:`constant`: ``lr sqrt(w/s)``, with w = ``warmup_steps`` of at least 1: ``lr`` at s = w, half
    of it at s = 4 w.

    Examples
    --------
    >>> import steelyard as sy
    >>> sy.schedules.inverse_sqrt(10.0, warmup_steps=2)([0, 1, 2, 8, 200])
    array([ 5., 10., 10.,  5.,  1.])

    References
    ----------
    Vaswani et al., "Attention Is All You Need", NeurIPS 2017, whose rate after s updates is the one here after s + 1
    with ``start=0``; ``lr`` is its highest rate, ``(d_model w) ** -0.5``. transformers' ``get_inverse_sqrt_schedule``
    has ``start=0`` and, unless told otherwise, the warm-up as its ``timescale``. T5's rate, which stays for w steps
    before it falls, has ``start=lr``.
    """
    return Schedule("inverse_sqrt", lr, None, warmup_steps, start)

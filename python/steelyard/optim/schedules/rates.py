"""What all schedules have in common: the call, the plot, the dictionary, and what is made from one schedule."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, ClassVar, overload

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ..._arrays import plain
from ..._forest import legend
from ..._mode import Number, standard_mode, standard_mode_methods
from ..._options import number, whole
from ...errors import shown, type_error, value_error

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["LAST", "Rates", "Steps", "steps_of"]

Steps = NDArray[np.uint64]
# The largest number of steps: the kernels count in float64, which holds every whole number up to 2**53.
LAST = 2**53 - 1


def steps_of(name: str, value: Any, low: int = 0) -> int:
    """Return a number of steps as an int if it is whole and at least ``low``."""
    return whole(value, name, low, LAST, "a whole number of steps")


@standard_mode_methods
class Rates(ABC):
    """A rate for every step: the base class of :class:`Schedule`, :class:`Chain` and :class:`Product`.

    Attributes
    ----------
    lr : float
        The highest rate.
    shape : str
        The name of the shape, ``"chain"`` or ``"product"``.

    Examples
    --------
    >>> import steelyard as sy
    >>> isinstance(sy.schedules.constant(1.0), sy.schedules.Rates)
    True
    >>> sy.schedules.Rates.from_dict({"shape": "constant", "lr": 1.0})
    schedules.constant(1.0)
    """

    lr: float
    shape: str
    # The classes derived from this one, by their names: those files import this one.
    _kinds: ClassVar[dict[str, Any]] = {}

    def __init_subclass__(cls) -> None:
        Rates._kinds[cls.__name__] = cls

    @abstractmethod
    def _rates(self, steps: Steps) -> NDArray[np.float64]:
        """The rate at each of a one-dimensional array of steps."""

    @abstractmethod
    def _seams(self) -> list[int]:
        """The steps at which one part ends and the next begins, in increasing order."""

    @abstractmethod
    def _end(self) -> int | None:
        """The first step from which on the rate stays the same; None where it never does."""

    @abstractmethod
    def _view(self) -> int:
        """The last step that a plot shows."""

    @abstractmethod
    def _traced(self, step: Any, xp: Any) -> Any:
        """The rates at ``step``, computed by the array module ``xp``."""

    @abstractmethod
    def to_dict(self) -> dict[str, Any]:
        """Return the schedule as a dictionary in types that JSON has."""

    @staticmethod
    @standard_mode
    def from_dict(fields: Mapping[str, Any]) -> Any:
        """Return the schedule that :meth:`to_dict` wrote, with this version or an older one."""
        shape = fields.get("shape") if isinstance(fields, Mapping) else None
        kind = shape.title() if shape in ("chain", "product") else "Schedule"
        return Rates._kinds[kind]._from(fields)

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

    def cooldown(self, at: int, steps: int, shape: str = "1-sqrt", *, end: float = 0.0) -> Rates:
        """Return this schedule up to step ``at``, and from there a fall to ``end`` over ``steps`` steps.

        The fall begins at the rate of step ``at``. A model that is trained at a constant rate can so be finished at any
        step, and the trunk continued later: the fork does not change this schedule.

        Parameters
        ----------
        at : int
            The first step of the cooldown.
        steps : int
            Its length, at least 1.
        shape : {"linear", "cosine", "1-sqrt", "square"}
            The curve, as the ``cooldown`` of :func:`wsd`.
        end : float
            The rate at and after step ``at + steps``.

        Returns
        -------
        Chain

        Raises
        ------
        TypeError, ValueError
            For steps that are no whole numbers, or a curve that does not exist.

        Examples
        --------
        >>> import steelyard as sy
        >>> trunk = sy.schedules.constant(1.0, warmup_steps=2)
        >>> trunk.cooldown(at=100, steps=4, shape="linear")([0, 50, 100, 101, 103, 104, 200])
        array([0.5 , 1.  , 1.  , 0.75, 0.25, 0.  , 0.  ])

        References
        ----------
        Haegele et al., "Scaling Laws and Compute-Optimal Training Beyond Fixed Training Durations", NeurIPS 2024.
        """
        at, steps = steps_of("at", at), steps_of("steps", steps, 1)
        fall = self._kinds["Schedule"]("wsd", self(at), steps, end=end, cooldown_steps=steps, curve=shape)
        chain: Rates = self._kinds["Chain"]((self, fall), (at,))
        return chain

    def jax(self) -> Callable[[Any], Any]:
        """Return the schedule as a plain function of the step for JAX, which traces under ``jax.jit``.

        It takes a whole number, a JAX array of them or a tracer, and returns a JAX array of JAX's default floating
        type: float32, or float64 under ``jax_enable_x64``. Rates differ from the schedule's own by at most 2e-15 of the
        highest rate in float64, and 2e-6 in float32 for steps below 2**24, up to which float32 counts exactly (in
        shapes with steep powers or many cycles the rounding of the share of the steps is multiplied by the slope).

        Returns
        -------
        callable

        Raises
        ------
        ImportError
            Where JAX is not installed.

        Examples
        --------
        >>> import jax, steelyard as sy
        >>> schedule = sy.schedules.cosine(1.0, total_steps=100)
        >>> round(float(jax.jit(schedule.jax())(50)), 6)
        0.5
        """
        import jax.numpy as jnp

        return lambda step: self._traced(jnp.asarray(step), jnp)

    def lint(self, *, step: int | None = None, rate: float | None = None) -> list[str]:
        """Return what is unusual about the schedule, in plain sentences; an empty list where nothing is.

        Found are: updates with a rate of 0 before the end; rates above ``lr``, and an ``end`` above it; a warm-up that
        takes more than half of the steps; jumps where one part passes to the next; a rate that rises again after or
        towards the end.

        Parameters
        ----------
        step, rate : int and float, optional
            What a checkpoint says: the number of updates made, and the rate of the next one. A difference of more than
            one in a million from this schedule's rate is reported as a jump.

        Returns
        -------
        list of str

        Examples
        --------
        >>> import steelyard as sy
        >>> for finding in sy.schedules.cosine(1.0, total_steps=9, warmup_steps=2, convention="transformers").lint():
        ...     print(finding)
        the rate is 0 at step 0: that update changes nothing (start=None begins above 0)
        the rate rises again after its end at step 9: it is 1 at step 16
        """
        from .lint import findings

        if (step is None) != (rate is None):
            raise value_error("step", "a step and its rate, or neither", f"step={shown(step)}, rate={shown(rate)}")
        saved = None if step is None else (steps_of("step", step), number(rate, "rate"))
        return findings(self, saved)

    def plot(self, ax: Axes | None = None, *, label: str | None = None) -> Axes:
        """Draw the rate over the steps, with a ``label`` in a legend; returns the Axes."""
        import matplotlib.pyplot as plt

        if ax is None:
            _, ax = plt.subplots(figsize=(6, 3), layout="constrained")
        seams = self._seams()
        last = min(self._view(), LAST)
        # The steps around each seam too, so that a jump is drawn upright.
        edges = [edge for seam in seams if 0 < seam < last for edge in (seam - 1, seam)][:10_000]
        steps = np.unique(np.concatenate([np.linspace(0, last, 1001).astype(np.int64), np.array(edges, np.int64)]))
        ax.plot(steps, self(steps), label=label)
        ax.set(xlabel="updates made", ylabel="learning rate", ylim=(0, None))
        if label is None:
            ax.set_title(f"{self.shape} schedule")
        else:
            legend(ax)
        return ax

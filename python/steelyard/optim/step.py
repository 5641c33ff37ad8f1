"""One step of an optimizer, and what it did."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, fields
from typing import Any

from numpy.typing import NDArray

from .. import _core
from .._descent import not_finite
from .._mode import standard_mode_methods
from .._text import html_table, printable
from .options import Options
from .policies import limit_for_core

__all__ = ["StepInfo"]

Array = NDArray[Any]


@standard_mode_methods
@dataclass(frozen=True)
class StepInfo:
    """What one step did.

    Attributes
    ----------
    step : int
        How many updates have been made, this one included.
    lr : float
        The learning rate of this step.
    grad_norm : float or None
        The global norm of the gradients before clipping; ``None`` where they were not looked at
        (``nonfinite="propagate"`` without ``max_norm``).
    clip_factor : float
        The factor of the gradients: 1.0 where they were not clipped.
    nonfinite : int
        Gradient elements that are NaN or infinite, or, where none is, so large that a moment would be infinite.
    first_nonfinite : str or None
        The path of the first gradient that has such an element.
    first_element : int or None
        The index of that element in the gradient, counted in C order.
    skipped : bool
        Whether nothing was updated because of them (``nonfinite="skip"``).
    left_out : int
        The number of parameters without a gradient (None), which the step did not touch.

    Examples
    --------
    >>> import numpy as np, steelyard as sy
    >>> opt = sy.AdamW({"w": np.ones(2)}, nonfinite="skip")
    >>> info = opt.step({"w": np.array([1.0, np.nan])})
    >>> info.skipped, info.nonfinite, info.first_nonfinite, info.first_element
    (True, 1, 'grads["w"]', 1)
    """

    step: int
    lr: float
    grad_norm: float | None
    clip_factor: float
    nonfinite: int = 0
    first_nonfinite: str | None = None
    skipped: bool = False
    left_out: int = 0
    first_element: int | None = None

    def _repr_html_(self) -> str:
        """Render as the table a notebook shows."""
        return html_table([item.name.replace("_", " "), printable(getattr(self, item.name))] for item in fields(self))


def update(
    options: Options,
    plan: _core.OptimizerPlan,
    paths: list[str],
    grads: tuple[Array | None, ...] | None,
    array_of: Callable[[int], Array],
) -> StepInfo:
    """Let the core make one step, and return what it did."""
    step = plan.steps
    outcome = plan.step(
        grads,
        array_of,
        step=step + 1,
        groups=options.groups_at(step),
        of_row=options.groups.of_row if options.groups else None,
        max_norm=limit_for_core(options.max_norm),
        scan=options.nonfinite != "propagate" or options.max_norm is not None,
        stop_nonfinite=options.nonfinite != "propagate",
        seed=options.random_seed,
    )
    info = info_of(outcome, paths)
    if info.skipped and options.nonfinite == "raise":
        raise _refused(info, overflow=outcome["overflow"])
    return info


def info_of(outcome: _core._StepOutcome, paths: list[str]) -> StepInfo:
    first = outcome["first"]
    return StepInfo(
        step=outcome["step"],
        lr=outcome["lr"],
        grad_norm=outcome["grad_norm"],
        clip_factor=outcome["clip_factor"],
        nonfinite=outcome["nonfinite"],
        first_nonfinite=None if first is None else f"grads{paths[first]}",
        skipped=not outcome["applied"],
        left_out=outcome["left_out"],
        first_element=outcome["element"],
    )


def _refused(info: StepInfo, overflow: bool) -> ValueError:
    """The error that says why a step was not made."""
    return not_finite(str(info.first_nonfinite), info.nonfinite, info.first_element, overflow)

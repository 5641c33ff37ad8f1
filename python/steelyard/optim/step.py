"""One step of an optimizer, and what it did."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, fields
from math import isnan
from typing import Any

from numpy.typing import NDArray

from .. import _core
from .._descent import not_finite, reported
from .._mode import standard_mode_methods
from .._text import html_table, printable
from .options import Options
from .policies import limit_for_core

__all__ = ["StepInfo", "StepTensors"]

Array = NDArray[Any]

# How many tensors a printed table shows.
_SHOWN = 40


@standard_mode_methods
@dataclass(frozen=True, repr=False, eq=False)
class StepTensors:
    """What one step did to each tensor, as an optimizer with ``detail=True`` reports it.

    Printed, it is a table. A tensor that had no gradient has NaN in every column, so that the tensors are the same at
    every step. Where the step was skipped only the norms of the gradients are known. The norms have a relative error of
    at most 1e-12, and their bits do not depend on the number of threads.

    Attributes
    ----------
    names : tuple of str
        The names of the tensors: their paths, such as ``"layers/0/w"``; of torch parameters the names that they were
        given with, else their places.
    grad_norm : array of float64
        The norm of each gradient as it came: before clipping, after the division by a gradient scaler's scale.
    param_norm : array of float64
        The norm of each parameter before the step.
    update_norm : array of float64
        The norm of what the rule added to the parameter, decay included: ``-lr (weight_decay p + ...)``, before it was
        rounded into the parameter.
    ratio : array of float64
        ``update_norm / param_norm``; infinite for a parameter of zeros, NaN where both are 0.
    lost : array of float64
        The share of elements that rounding left as they were, although something other than 0 was to be added. It is
        judged by the value that is stored: the sum of value and rest with Kahan's summation, the whole number of a
        parameter that is split in two halves.

    Examples
    --------
    >>> import numpy as np, steelyard as sy
    >>> opt = sy.AdamW({"w": np.array([1.0, 100.0], np.float16)}, lr=1e-3, weight_decay=0.0, detail=True)
    >>> found = opt.step({"w": np.array([3.0, 4.0], np.float16)}).tensors
    >>> print(found)
    name  grad_norm  param_norm  update_norm     ratio    lost
    w             5         100      0.00141  1.41e-05  50.00%
    """

    names: tuple[str, ...]
    grad_norm: Array
    param_norm: Array
    update_norm: Array
    ratio: Array
    lost: Array

    def _bits(self) -> tuple[Any, ...]:
        """What two equal ones have in common; NaN equals NaN."""
        columns = (getattr(self, item.name) for item in fields(self)[1:])
        return self.names, *(column.tobytes() for column in columns)

    def __eq__(self, other: object) -> bool:
        return self._bits() == other._bits() if isinstance(other, StepTensors) else NotImplemented

    def __hash__(self) -> int:
        return hash(self._bits())

    def __repr__(self) -> str:
        return f"<StepTensors of {len(self.names)} tensors>"

    def __str__(self) -> str:
        rows = [self._head(), *self._rows()]
        widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
        lines = [
            "  ".join(
                [row[0].ljust(widths[0]), *(cell.rjust(width) for cell, width in zip(row[1:], widths[1:], strict=True))]
            )
            for row in rows
        ]
        more = len(self.names) - _SHOWN
        return "\n".join([*lines, f"... and {more:,} more"] if more > 0 else lines)

    def _head(self) -> list[str]:
        return [item.name.removesuffix("s") for item in fields(self)]

    def _rows(self) -> list[list[str]]:
        norms = (self.grad_norm, self.param_norm, self.update_norm, self.ratio)
        columns = [[_shown(x, "{:.3g}") for x in norm[:_SHOWN].tolist()] for norm in norms]
        lost = [_shown(x, "{:.2%}") for x in self.lost[:_SHOWN].tolist()]
        names = [printable(name) for name in self.names[:_SHOWN]]
        return [list(row) for row in zip(names, *columns, lost, strict=True)]

    def _repr_html_(self) -> str:
        """Render as the table a notebook shows."""
        return html_table(self._rows(), head=self._head())


def _shown(x: float, form: str) -> str:
    return "-" if isnan(x) else form.format(x)


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
    tensors : StepTensors or None
        What the step did to each tensor; ``None`` unless the optimizer has ``detail=True``.
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
    tensors: StepTensors | None = None

    def _repr_html_(self) -> str:
        """Render as the table a notebook shows."""
        values = {item.name.replace("_", " "): getattr(self, item.name) for item in fields(self)}
        values["tensors"] = repr(self.tensors)  # a line; as text it is a table
        return html_table([name, printable(value)] for name, value in values.items())


def update(
    options: Options,
    plan: _core.OptimizerPlan,
    paths: list[str],
    grads: tuple[Array | None, ...] | None,
    array_of: Callable[[int], Array],
    *,
    keys: list[str] | None = None,
) -> StepInfo:
    """Let the core make one step, and return what it did; with ``keys`` also to each tensor, under these names."""
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
        detail=keys is not None,
    )
    info = info_of(outcome, paths, keys)
    if info.skipped and options.nonfinite == "raise":
        raise _refused(info, overflow=outcome["overflow"])
    return info


def info_of(outcome: _core._StepOutcome, paths: list[str], keys: list[str] | None) -> StepInfo:
    first, tensors = outcome["first"], outcome["tensors"]
    return StepInfo(
        **reported(outcome),
        first_nonfinite=None if first is None else f"grads{paths[first]}",
        first_element=outcome["element"],
        tensors=None if tensors is None else StepTensors(tuple(key or "params" for key in keys or ()), **tensors),
    )


def _refused(info: StepInfo, overflow: bool) -> ValueError:
    """The error that says why a step was not made."""
    return not_finite(str(info.first_nonfinite), info.nonfinite, info.first_element, overflow)

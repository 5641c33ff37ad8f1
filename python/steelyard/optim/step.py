"""One step of AdamW: its options, checked, and what it did."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass, fields
from typing import Any, Literal, get_args

from numpy.typing import NDArray

from .. import _core
from .._mode import standard_mode_methods
from .._options import at_least_zero, choice, flag, number
from .._text import html_table, printable
from ..errors import shown, type_error, value_error
from .schedules import Schedule

__all__ = ["StepInfo"]

Array = NDArray[Any]
NonFinite = Literal["raise", "skip", "propagate"]
LearningRate = float | Callable[[int], float]


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
    skipped : bool
        Whether nothing was updated because of them (``nonfinite="skip"``).

    Examples
    --------
    >>> import numpy as np, steelyard as sy
    >>> opt = sy.AdamW({"w": np.ones(2)}, nonfinite="skip")
    >>> info = opt.step({"w": np.array([1.0, np.nan])})
    >>> info.skipped, info.nonfinite, info.first_nonfinite
    (True, 1, 'grads["w"]')
    """

    step: int
    lr: float
    grad_norm: float | None
    clip_factor: float
    nonfinite: int = 0
    first_nonfinite: str | None = None
    skipped: bool = False

    def _repr_html_(self) -> str:
        """Render as the table a notebook shows."""
        return html_table([item.name.replace("_", " "), printable(getattr(self, item.name))] for item in fields(self))


@dataclass(frozen=True)
class Options:
    """The hyperparameters of a step, checked; and the step itself."""

    lr: LearningRate
    betas: tuple[float, float]
    eps: float
    weight_decay: float
    max_norm: float | None
    nonfinite: NonFinite
    maximize: bool

    def __post_init__(self) -> None:
        if not callable(self.lr):
            object.__setattr__(self, "lr", at_least_zero("lr", self.lr))
        if not (isinstance(self.betas, tuple | list) and len(self.betas) == 2):
            raise type_error("betas", "two numbers", shown(self.betas))
        object.__setattr__(self, "betas", tuple(number(b, f"betas[{i}]") for i, b in enumerate(self.betas)))
        for i, beta in enumerate(self.betas):
            if not 0.0 <= beta < 1.0:
                raise value_error(f"betas[{i}]", "at least 0 and below 1", repr(beta))
        for name in ("eps", "weight_decay"):
            object.__setattr__(self, name, at_least_zero(name, getattr(self, name)))
        if self.max_norm is not None:
            object.__setattr__(self, "max_norm", at_least_zero("max_norm", self.max_norm, infinite=True))
        choice(self.nonfinite, "nonfinite", get_args(NonFinite))
        object.__setattr__(self, "maximize", flag(self.maximize, "maximize"))

    def update(
        self,
        plan: _core.AdamWPlan,
        paths: list[str],
        grads: tuple[Array, ...],
        array_of: Callable[[int], Array],
    ) -> StepInfo:
        """Let the core make one step, and return what it did."""
        step = plan.steps
        rate = at_least_zero("lr", self.lr(step)) if callable(self.lr) else self.lr
        outcome = plan.step(
            grads,
            array_of,
            step=step + 1,
            lr=rate,
            beta1=self.betas[0],
            beta2=self.betas[1],
            eps=self.eps,
            weight_decay=self.weight_decay,
            maximize=self.maximize,
            max_norm=self.max_norm,
            scan=self.nonfinite != "propagate" or self.max_norm is not None,
            stop_nonfinite=self.nonfinite != "propagate",
        )
        info = info_of(outcome, paths)
        if info.skipped and self.nonfinite == "raise":
            raise _refused(info, overflow=outcome["overflow"])
        return info

    def shown(self) -> str:
        """The options that a reader looks for first, for a repr."""
        lr = self.lr if callable(self.lr) else f"{self.lr:g}"
        decay = f"weight_decay={self.weight_decay:g}"
        return f"lr={lr}, betas={self.betas}, eps={self.eps:g}, {decay}, max_norm={self.max_norm}"

    def to_json(self) -> str:
        """The options as JSON, without the learning rate where that is a function of the caller's."""
        lr = self.lr.to_dict() if isinstance(self.lr, Schedule) else None if callable(self.lr) else self.lr
        return json.dumps({"lr": lr} | {name: getattr(self, name) for name in _SAVED})

    def with_json(self, text: str) -> Options:
        """The options that :meth:`to_json` wrote, with the learning rate of ``self`` where none was written."""
        saved = json.loads(text)
        if not isinstance(saved, dict) or set(saved) != {"lr", *_SAVED}:
            raise ValueError(f"no object of lr, {', '.join(_SAVED)}")
        lr = saved.pop("lr")
        rate = self.lr if lr is None else Schedule.from_dict(lr) if isinstance(lr, dict) else lr
        return Options(rate, **saved)


_SAVED = ("betas", "eps", "weight_decay", "max_norm", "nonfinite", "maximize")


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
    )


def _refused(info: StepInfo, overflow: bool) -> ValueError:
    """The error that says why a step was not made."""
    fix = "nothing was written; nonfinite='skip' goes on"
    if overflow:
        got = f"{info.nonfinite} too large: a moment would be infinite"
        return value_error(str(info.first_nonfinite), "gradients whose squares fit the parameters' type", got, fix)
    return value_error(str(info.first_nonfinite), "finite gradients", f"{info.nonfinite} NaN or infinite", fix)

"""The options of optimizers, checked; what the core takes of them for one step; and how they are saved."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass, fields
from typing import Any, Literal, get_args

from .. import _core
from .._options import at_least_zero, choice, flag, number
from ..errors import shown, type_error, value_error
from .schedules import Rates

__all__ = ["AdamOptions", "LearningRate", "NonFinite", "Options"]

NonFinite = Literal["raise", "skip", "propagate"]
LearningRate = float | Callable[[int], float]


@dataclass(frozen=True, kw_only=True)
class Options:
    """The options that all rules share. A class derived from this adds those of its rule."""

    lr: LearningRate
    weight_decay: float
    max_norm: float | None
    nonfinite: NonFinite
    maximize: bool

    def __post_init__(self) -> None:
        self._check()

    def _check(self) -> None:
        """Check each option, and keep it in the type that it is declared with."""
        if not callable(self.lr):
            self._keep("lr", at_least_zero("lr", self.lr))
        self._keep("weight_decay", at_least_zero("weight_decay", self.weight_decay))
        if self.max_norm is not None:
            self._keep("max_norm", at_least_zero("max_norm", self.max_norm, infinite=True))
        choice(self.nonfinite, "nonfinite", get_args(NonFinite))
        self._keep("maximize", flag(self.maximize, "maximize"))

    def _keep(self, name: str, value: Any) -> None:
        object.__setattr__(self, name, value)

    def check_fit(self, *, float32: bool) -> None:
        """Raise where the parameters' type cannot hold an option; ``float32`` says that some parameter is one."""

    def rate(self, step: int) -> float:
        """The learning rate after ``step`` updates."""
        return at_least_zero("lr", self.lr(step)) if callable(self.lr) else self.lr

    def scalars(self) -> dict[str, Any]:
        """The numbers of the rule, as the core takes them."""
        return {"weight_decay": self.weight_decay, "maximize": self.maximize}

    def shown(self) -> str:
        """The options that a reader looks for first, for a repr."""
        return f"lr={self.lr if callable(self.lr) else f'{self.lr:g}'}"

    def to_json(self) -> str:
        """The options as JSON, without the learning rate where that is a function of the caller's."""
        lr = self.lr.to_dict() if isinstance(self.lr, Rates) else None if callable(self.lr) else self.lr
        return json.dumps({name: getattr(self, name) for name in self._names()} | {"lr": lr})

    def with_json(self, text: str) -> Options:
        """The options that :meth:`to_json` wrote, with the learning rate of ``self`` where none was written."""
        saved = json.loads(text)
        if not isinstance(saved, dict) or saved.keys() != set(self._names()):
            raise ValueError(f"no object of {', '.join(self._names())}")
        lr = saved.pop("lr")
        rate = self.lr if lr is None else Rates.from_dict(lr) if isinstance(lr, dict) else lr
        return type(self)(lr=rate, **saved)

    @classmethod
    def _names(cls) -> list[str]:
        return [field.name for field in fields(cls)]


@dataclass(frozen=True, kw_only=True)
class AdamOptions(Options):
    """The options of Adam and its variants."""

    betas: tuple[float, float]
    eps: float

    def _check(self) -> None:
        super()._check()
        self._keep("betas", pair_of_betas(self.betas))
        self._keep("eps", at_least_zero("eps", self.eps))

    def check_fit(self, *, float32: bool) -> None:
        """Raise where ``eps`` is 0 in the parameters' type."""
        _core.check_eps(self.eps, float32)

    def scalars(self) -> dict[str, Any]:
        """The numbers of the rule, as the core takes them."""
        beta1, beta2 = self.betas
        return super().scalars() | {"beta1": beta1, "beta2": beta2, "eps": self.eps}

    def shown(self) -> str:
        """The options that a reader looks for first, for a repr."""
        decay = f"weight_decay={self.weight_decay:g}"
        return f"{super().shown()}, betas={self.betas}, eps={self.eps:g}, {decay}, max_norm={self.max_norm}"


def pair_of_betas(betas: object) -> tuple[float, float]:
    """Check the decay rates of two moments."""
    if not (isinstance(betas, tuple | list) and len(betas) == 2):
        raise type_error("betas", "two numbers", shown(betas))
    first, second = (number(beta, f"betas[{i}]") for i, beta in enumerate(betas))
    for i, beta in enumerate((first, second)):
        if not 0.0 <= beta < 1.0:
            raise value_error(f"betas[{i}]", "at least 0 and below 1", repr(beta))
    return first, second

"""The options of optimizers, checked; what the core takes of them for one step; and how they are saved."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass, fields
from math import inf
from typing import Any, ClassVar, Literal, get_args

from .. import _core
from .._options import at_least_zero, choice, flag, number
from ..errors import shown, type_error, value_error
from .schedules import Rates

__all__ = ["AdamOptions", "LearningRate", "LionOptions", "NonFinite", "Options", "SGDOptions", "WeightDecay"]

NonFinite = Literal["raise", "skip", "propagate"]
WeightDecay = Literal["decoupled", "l2", "independent", "corrected"]
LearningRate = float | Callable[[int], float]
# The kinds of decay that relate the rate to the largest one.
_RELATIVE = ("independent", "corrected")


@dataclass(frozen=True, kw_only=True)
class Options:
    """The options that all rules share. A class derived from this adds those of its rule."""

    RULE: ClassVar[str]

    lr: LearningRate
    weight_decay: float
    decay: WeightDecay = "decoupled"
    max_lr: float | None = None
    tight: bool = False
    flush_denormals: bool = False
    max_norm: float | None = None
    nonfinite: NonFinite = "raise"
    maximize: bool = False

    def __post_init__(self) -> None:
        self._check()

    def _check(self) -> None:
        """Check each option, and keep it in the type that it is declared with."""
        if not callable(self.lr):
            self._keep("lr", at_least_zero("lr", self.lr))
        self._keep("weight_decay", at_least_zero("weight_decay", self.weight_decay))
        choice(self.decay, "decay", get_args(WeightDecay))
        self._keep("max_lr", self._largest_rate())
        if self.max_norm is not None:
            self._keep("max_norm", at_least_zero("max_norm", self.max_norm, infinite=True))
        choice(self.nonfinite, "nonfinite", get_args(NonFinite))
        self._flags("tight", "flush_denormals", "maximize")
        if self.tight and self.decay == "l2":
            fix = "decay='l2' is part of the gradient, so that a parameter is rounded once already"
            raise value_error("tight", "False with decay='l2'", "True", fix)

    def _largest_rate(self) -> float | None:
        """What ``max_lr`` says, or what follows from the rate where it says nothing."""
        if self.decay not in _RELATIVE:
            if self.max_lr is not None:
                fix = f"only {' and '.join(map(repr, _RELATIVE))} decay take it"
                raise value_error("max_lr", f"None with decay={self.decay!r}", shown(self.max_lr), fix)
            return None
        given = self.lr.lr if isinstance(self.lr, Rates) else self.lr
        if self.max_lr is None and callable(given):
            expected = f"the largest learning rate, to which decay={self.decay!r} relates the rate"
            raise value_error("max_lr", expected, "None, with a function as lr")
        found = number(given if self.max_lr is None else self.max_lr, "max_lr")
        if not 0.0 < found < inf:
            raise value_error("max_lr", "a finite rate above 0", repr(found))
        return found

    def _flags(self, *names: str) -> None:
        for name in names:
            self._keep(name, flag(getattr(self, name), name))

    def _keep(self, name: str, value: Any) -> None:
        object.__setattr__(self, name, value)

    def check_fit(self, *, float32: bool) -> None:
        """Raise where the parameters' type cannot hold an option; ``float32`` says that some parameter is one."""

    def rate(self, step: int) -> float:
        """The learning rate after ``step`` updates."""
        return at_least_zero("lr", self.lr(step)) if callable(self.lr) else self.lr

    def moments(self) -> tuple[str, ...]:
        """The names of the moments that the rule keeps, as in a saved state."""
        raise NotImplementedError

    def scalars(self) -> dict[str, Any]:
        """The numbers of the rule, as the core takes them."""
        return {
            "rule": self.RULE,
            "weight_decay": self.weight_decay,
            "decay": self.decay,
            "max_lr": 1.0 if self.max_lr is None else self.max_lr,
            "tight": self.tight,
            "flush_denormals": self.flush_denormals,
            "maximize": self.maximize,
        }

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

    RULE = "adamw"

    betas: tuple[float, float]
    eps: float
    amsgrad: bool = False
    bias_correction: bool = True
    cautious: bool = False
    stable: bool = False

    def _check(self) -> None:
        super()._check()
        self._keep("betas", pair_of_betas(self.betas))
        self._keep("eps", at_least_zero("eps", self.eps))
        self._flags("amsgrad", "bias_correction", "cautious", "stable")

    def moments(self) -> tuple[str, ...]:
        """The first and the second moment; for amsgrad also the largest second one so far."""
        return ("exp_avg", "exp_avg_sq", "max_exp_avg_sq")[: 2 + self.amsgrad]

    def check_fit(self, *, float32: bool) -> None:
        """Raise where ``eps`` is 0 in the parameters' type."""
        _core.check_eps(self.eps, float32)

    def scalars(self) -> dict[str, Any]:
        """The numbers of the rule, as the core takes them."""
        beta1, beta2 = self.betas
        return super().scalars() | {
            "beta1": beta1,
            "beta2": beta2,
            "eps": self.eps,
            "bias_correction": self.bias_correction,
            "cautious": self.cautious,
            "stable": self.stable,
        }

    def shown(self) -> str:
        """The options that a reader looks for first, for a repr."""
        decay = f"weight_decay={self.weight_decay:g}"
        return f"{super().shown()}, betas={self.betas}, eps={self.eps:g}, {decay}, max_norm={self.max_norm}"


@dataclass(frozen=True, kw_only=True)
class LionOptions(Options):
    """The options of Lion."""

    RULE = "lion"

    betas: tuple[float, float]
    cautious: bool = False

    def _check(self) -> None:
        super()._check()
        self._keep("betas", pair_of_betas(self.betas))
        self._flags("cautious")
        if self.decay == "l2":
            fix = "Lion takes the sign of the gradient, in which the size of a decay is lost"
            raise value_error("decay", "'decoupled', 'independent' or 'corrected'", "'l2'", fix)

    def moments(self) -> tuple[str, ...]:
        """The momentum."""
        return ("exp_avg",)

    def scalars(self) -> dict[str, Any]:
        """The numbers of the rule, as the core takes them."""
        beta1, beta2 = self.betas
        return super().scalars() | {"beta1": beta1, "beta2": beta2, "cautious": self.cautious}

    def shown(self) -> str:
        """The options that a reader looks for first, for a repr."""
        return f"{super().shown()}, betas={self.betas}, weight_decay={self.weight_decay:g}, max_norm={self.max_norm}"


@dataclass(frozen=True, kw_only=True)
class SGDOptions(Options):
    """The options of SGD."""

    RULE = "sgd"

    momentum: float
    dampening: float
    nesterov: bool

    def _check(self) -> None:
        super()._check()
        self._keep("momentum", at_least_zero("momentum", self.momentum))
        self._keep("dampening", number(self.dampening, "dampening"))
        self._flags("nesterov")
        if self.nesterov and not (self.momentum > 0.0 and self.dampening == 0.0):
            got = f"True, with momentum={self.momentum:g} and dampening={self.dampening:g}"
            raise value_error("nesterov", "False unless momentum is above 0 and dampening 0", got)

    def moments(self) -> tuple[str, ...]:
        """The momentum, where there is one."""
        return ("momentum_buffer",) if self.momentum else ()

    def scalars(self) -> dict[str, Any]:
        """The numbers of the rule, as the core takes them."""
        return super().scalars() | {
            "momentum": self.momentum,
            "dampening": self.dampening,
            "nesterov": self.nesterov,
        }

    def shown(self) -> str:
        """The options that a reader looks for first, for a repr."""
        decay = f"weight_decay={self.weight_decay:g}"
        return f"{super().shown()}, momentum={self.momentum:g}, {decay}, max_norm={self.max_norm}"


def pair_of_betas(betas: object) -> tuple[float, float]:
    """Check the decay rates of two moments."""
    if not (isinstance(betas, tuple | list) and len(betas) == 2):
        raise type_error("betas", "two numbers", shown(betas))
    first, second = (number(beta, f"betas[{i}]") for i, beta in enumerate(betas))
    for i, beta in enumerate((first, second)):
        if not 0.0 <= beta < 1.0:
            raise value_error(f"betas[{i}]", "at least 0 and below 1", repr(beta))
    return first, second

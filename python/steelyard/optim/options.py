"""The options of optimizers, checked; what the core takes of them for one step; and how they are saved."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from dataclasses import dataclass, fields, replace
from typing import Any, ClassVar, Literal, Self, get_args

import numpy as np
from numpy.typing import NDArray

from .. import _core
from .._descent import (
    RELATIVE,
    Master,
    beta,
    l2_of_lion,
    largest_rate,
    nesterov_alone,
    tight_with_l2,
    unused_largest_rate,
)
from .._lazy import lazy
from .._options import at_least_zero, choice, flag, number, whole
from ..errors import did_you_mean, shown, type_error, value_error
from .groups import Group, Groups
from .policies import ClipPolicy, limit_of, limit_to_save
from .schedules import Rates

__all__ = [
    "AdamOptions", "Betas", "Convention", "LearningRate", "LionOptions", "NonFinite", "Options", "Rounding",
    "SGDOptions", "Scheduled", "StateDtype", "WeightDecay", "pair_of_betas",
]  # fmt: skip

NonFinite = Literal["raise", "skip", "propagate"]
WeightDecay = Literal["decoupled", "l2", "independent", "corrected"]
StateDtype = Literal["float32", "bfloat16", "8bit"]
Rounding = Literal["nearest", "stochastic"]
Convention = Literal["torch"]
# A number, or a function of the number of updates already made, such as a schedule.
Scheduled = float | Callable[[int], float]
LearningRate = Scheduled
Betas = tuple[Scheduled, Scheduled]
# The options that hold for all groups together.
_GLOBAL = {"max_norm", "nonfinite", "state_dtype", "rounding", "seed", "master", "convention"}
# The options of variants that torch's fused step lacks.
_NOT_TORCHS = ("bias_correction", "cautious", "stable", "tight", "flush_denormals", "state_dtype", "rounding", "master")
# The option of a group by which the learning rate is multiplied.
_LR_SCALE = "lr_scale"


@dataclass(frozen=True, kw_only=True)
class Options:
    """The options that all rules share. A class derived from this adds those of its rule."""

    RULE: ClassVar[str]

    lr: LearningRate
    weight_decay: Scheduled
    decay: WeightDecay = "decoupled"
    max_lr: float | None = None
    tight: bool = False
    flush_denormals: bool = False
    max_norm: float | ClipPolicy | None = None
    nonfinite: NonFinite = "raise"
    maximize: bool = False
    state_dtype: StateDtype | None = None
    rounding: Rounding = "nearest"
    seed: int = 0
    master: Master | None = None
    groups: Groups | None = None

    def __post_init__(self) -> None:
        self._check()
        if self.groups is not None:
            self.kinds  # noqa: B018 # makes them, and so checks the options of groups
            self._keep("groups", replace(self.groups, groups=tuple(map(self._with_largest_rate, self.groups.groups))))

    def _check(self) -> None:
        """Check each option, and keep it in the type that it is declared with."""
        for name in ("lr", "weight_decay"):
            if not callable(value := getattr(self, name)):
                self._keep(name, at_least_zero(name, value))
        choice(self.decay, "decay", get_args(WeightDecay))
        self._no_functions("max_lr", "max_norm")
        self._keep("max_lr", self._largest_rate())
        self._keep("max_norm", limit_of(self.max_norm))
        choice(self.nonfinite, "nonfinite", get_args(NonFinite))
        self._flags("tight", "flush_denormals", "maximize")
        for name, choices in (("state_dtype", StateDtype), ("master", Master)):
            if getattr(self, name) is not None:
                choice(getattr(self, name), name, get_args(choices))
        choice(self.rounding, "rounding", get_args(Rounding))
        self._keep("seed", whole(self.seed, "seed", 0, 2**64 - 1))
        if self.tight and self.decay == "l2":
            raise tight_with_l2("tight")

    def _largest_rate(self) -> float | None:
        """What ``max_lr`` says, or what follows from the rate where it says nothing."""
        if self.decay not in RELATIVE:
            if self.max_lr is not None:
                raise unused_largest_rate("max_lr", self.decay, self.max_lr)
            return None
        given = self.lr.lr if isinstance(self.lr, Rates) else self.lr
        if self.max_lr is None and callable(given):
            expected = f"the largest learning rate, to which decay={self.decay!r} relates the rate"
            raise value_error("max_lr", expected, "None, with a function as lr")
        return largest_rate(given if self.max_lr is None else self.max_lr, "max_lr")

    def changed(self, **options: Any) -> Self:
        """These options with some of them replaced. Where a new kind of decay has no use for it, ``max_lr`` goes."""
        if options.get("decay", RELATIVE[0]) not in RELATIVE:
            options.setdefault("max_lr", None)
        return replace(self, **options)

    def _with_largest_rate(self, group: Group) -> Group:
        """The group; where its ``max_lr`` follows from the rate of all, with the value that it has now for good."""
        checked, _ = self._of_group(group.options)
        if "max_lr" in group.options or "lr" in group.options or checked.max_lr in (None, self.max_lr):
            return group
        return replace(group, options=group.options | {"max_lr": checked.max_lr})

    def _no_functions(self, *names: str) -> None:
        """Refuse functions of the step in the place of options that stay the same."""
        for name in names:
            if callable(value := getattr(self, name)) and not isinstance(value, ClipPolicy):
                fix = "set the attribute between steps instead; lr, weight_decay and betas may be functions"
                raise type_error(name, "a number, the same at every step", shown(value), fix)

    def _flags(self, *names: str) -> None:
        for name in names:
            self._keep(name, flag(getattr(self, name), name))

    def _keep(self, name: str, value: Any) -> None:
        object.__setattr__(self, name, value)

    def check_fit(self, *, float32: bool) -> None:
        """Raise where the parameters' type cannot hold an option; ``float32`` says that some parameter is one."""

    def check_kinds(self, float32: NDArray[np.bool_]) -> None:
        """:meth:`check_fit` for each kind of parameters; ``float32`` says of each parameter whether it is one."""
        for index, (kind, _) in enumerate(self.kinds):
            own = float32 if self.groups is None else float32[self.groups.of_row == index]
            kind.check_fit(float32=bool(own.any()))

    def at(self, step: int) -> Self:
        """These options after ``step`` updates: each function of the step is replaced by its value."""
        found = self._values(step)
        return replace(self, **found) if found else self

    def _values(self, step: int) -> dict[str, Any]:
        """The values of those options that are functions."""
        named = {name: getattr(self, name) for name in ("lr", "weight_decay")}
        found: dict[str, Any] = {name: number(value(step), name) for name, value in named.items() if callable(value)}
        betas: Betas | tuple[()] = getattr(self, "betas", ())
        if any(map(callable, betas)):
            given = enumerate(betas)
            found["betas"] = tuple(number(b(step), f"betas[{i}]") if callable(b) else b for i, b in given)
        return found

    def moments(self) -> tuple[str, ...]:
        """The names of the moments that the rule keeps, as in a saved state."""
        raise NotImplementedError

    def kept(self) -> tuple[Any, ...]:
        """What decides which arrays an optimizer keeps of a parameter."""
        return self.moments(), self.state_dtype, self.master

    @property
    def random_seed(self) -> int | None:
        """The seed of random rounding; None where rounding is to nearest."""
        return self.seed if self.rounding == "stochastic" else None

    def scalars(self) -> dict[str, Any]:
        """The numbers of the rule, as the core takes them; of options that hold no functions (see :meth:`at`)."""
        return {
            "rule": self.RULE,
            "weight_decay": self.weight_decay,
            "decay": self.decay,
            "max_lr": 1.0 if self.max_lr is None else self.max_lr,
            "tight": self.tight,
            "flush_denormals": self.flush_denormals,
            "maximize": self.maximize,
        }

    @lazy
    def kinds(self) -> list[tuple[Options, float]]:
        """The options of each kind of parameters (see :class:`Groups`), and the factor of its learning rate."""
        if self.groups is None:
            return [(self, 1.0)]
        return [self._of_kind(self.groups, number, decays) for number, decays in self.groups.kinds]

    def _of_kind(self, groups: Groups, number: int, decays: bool) -> tuple[Options, float]:
        name = f"groups[{number - 1}]"
        try:
            options, scale = self._of_group(groups.groups[number - 1].options if number else {})
        except (TypeError, ValueError) as error:
            raise type(error)(_of_a_group(name, f"{error}")) from None
        return (options if decays else replace(options, weight_decay=0.0)), scale

    def _of_group(self, own: dict[str, Any]) -> tuple[Options, float]:
        scale = at_least_zero(_LR_SCALE, own.get(_LR_SCALE, 1.0))
        own = {name: value for name, value in own.items() if name != _LR_SCALE}
        allowed = [name for name in self._names() if name not in _GLOBAL]
        if unknown := [name for name in own if name not in allowed]:
            expected = f"{_LR_SCALE} and the rule's own, such as {', '.join(allowed[:2])}"
            raise value_error("options", expected, repr(unknown[0]), _instead(unknown[0], [*allowed, _LR_SCALE]))
        if "lr" in own:
            own.setdefault("max_lr", None)  # that of the group follows from its own rate
        options = self.changed(groups=None, **own)
        if options.moments() != self.moments():
            raise value_error("options", "those with which the same moments are kept", repr(own))
        return options, scale

    def groups_at(self, step: int) -> list[dict[str, Any]]:
        """The numbers of the rule for each kind of parameters, as the core takes them, after ``step`` updates."""
        values = self._values(step)  # once: a function of the caller's may count its calls
        found = []
        for kind, scale in self.kinds:
            shared = {name: value for name, value in values.items() if getattr(kind, name) == getattr(self, name)}
            now = (replace(kind, groups=None, **shared) if shared else kind).at(step)
            scalars = now.scalars()
            # Where the scale is 0 the rate is 0 too, and any largest rate will do.
            lr, max_lr = at_least_zero("lr", now.lr) * scale, scalars["max_lr"] * (scale or 1.0)
            found.append(scalars | {"lr": lr, "max_lr": max_lr})
        return found

    def shown(self) -> str:
        """The options that a reader looks for first, for a repr."""
        return f"lr={_shown(self.lr)}"

    def shown_storage(self) -> str:
        """How numbers are kept and rounded, and by whose rules, where it is not the usual way, for a repr."""
        defaults = {item.name: item.default for item in fields(self)}
        names = ("state_dtype", "rounding", "master", "convention")
        given = [name for name in names if name in defaults and getattr(self, name) != defaults[name]]
        return "".join(f", {name}={getattr(self, name)!r}" for name in given)

    def to_json(self) -> str:
        """The options as JSON, without those that are functions of the caller's."""
        return json.dumps({name: _written(getattr(self, name)) for name in self._names()})

    def with_json(self, text: str) -> Options:
        """The options that :meth:`to_json` wrote, with the functions of ``self`` where none were written."""
        saved = json.loads(text)
        if not isinstance(saved, dict) or saved.keys() != set(self._names()):
            raise ValueError(_not_these(saved, self._names()))
        for name in _SCHEDULED & saved.keys():
            saved[name] = _read(saved[name], getattr(self, name))
        return type(self)(groups=self.groups, **saved)

    def groups_json(self, keys: list[str]) -> str:
        """The groups as JSON: which parameters belong to which, by their paths ``keys``, and the options of each."""
        if self.groups is None:
            return json.dumps(None)
        options = [self._group_written(group.options) for group in self.groups.groups]
        return json.dumps(self.groups.to_dict(keys) | {"options": options})

    def _group_written(self, own: dict[str, Any]) -> dict[str, Any]:
        """The options of a group in types that JSON has, whatever types of numbers the caller gave."""
        checked, scale = self._of_group(own)
        return {name: _written(scale if name == _LR_SCALE else getattr(checked, name)) for name in own}

    def with_groups_json(self, text: str, keys: list[str]) -> Options:
        """The options of groups that :meth:`groups_json` wrote; the groups must have the same parameters as ours."""
        saved = json.loads(text)
        if self.groups is None:
            raise ValueError("groups, which this optimizer lacks; make it with them, or take 'groups' out of the state")
        own = self.groups.to_dict(keys)
        members = ("group_of", "no_decay")
        if len(saved["options"]) != len(own["match"]) or any(saved[name] != own[name] for name in members):
            raise ValueError("groups with other members than those of this optimizer")
        groups = []
        for group, options in zip(self.groups.groups, saved["options"], strict=True):
            for name in _SCHEDULED & options.keys():
                options[name] = _read(options[name], group.options.get(name, getattr(self, name)))
            groups.append(replace(group, options=options))
        return replace(self, groups=replace(self.groups, groups=tuple(groups)))

    @classmethod
    def _names(cls) -> list[str]:
        return [field.name for field in fields(cls) if field.name != "groups"]


@dataclass(frozen=True, kw_only=True)
class AdamOptions(Options):
    """The options of Adam and its variants."""

    RULE = "adamw"

    betas: Betas
    eps: float
    amsgrad: bool = False
    bias_correction: bool = True
    cautious: bool = False
    stable: bool = False
    convention: Convention | None = None

    def _check(self) -> None:
        super()._check()
        self._keep("betas", pair_of_betas(self.betas, functions=True))
        self._no_functions("eps")
        self._keep("eps", at_least_zero("eps", self.eps))
        self._flags("amsgrad", "bias_correction", "cautious", "stable")
        if self.convention is not None:
            choice(self.convention, "convention", get_args(Convention))
            self._check_torchs()

    def _check_torchs(self) -> None:
        """Refuse what has no counterpart in torch's fused step."""
        if self.decay not in {"decoupled", "l2"}:
            raise value_error("decay", "'decoupled' or 'l2' with convention='torch'", repr(self.decay))
        for name in _NOT_TORCHS:
            default = next(item.default for item in fields(self) if item.name == name)
            if (value := getattr(self, name)) != default:
                raise value_error(name, f"{default!r} with convention='torch'", repr(value))

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
            "torch": self.convention == "torch",
        }

    def shown(self) -> str:
        """The options that a reader looks for first, for a repr."""
        decay = f"weight_decay={_shown(self.weight_decay)}"
        return f"{super().shown()}, betas={self.betas}, eps={self.eps:g}, {decay}, max_norm={self.max_norm}"


@dataclass(frozen=True, kw_only=True)
class LionOptions(Options):
    """The options of Lion."""

    RULE = "lion"

    betas: Betas
    cautious: bool = False

    def _check(self) -> None:
        super()._check()
        self._keep("betas", pair_of_betas(self.betas, functions=True))
        self._flags("cautious")
        if self.decay == "l2":
            raise l2_of_lion("decay")

    def moments(self) -> tuple[str, ...]:
        """The momentum."""
        return ("exp_avg",)

    def scalars(self) -> dict[str, Any]:
        """The numbers of the rule, as the core takes them."""
        beta1, beta2 = self.betas
        return super().scalars() | {"beta1": beta1, "beta2": beta2, "cautious": self.cautious}

    def shown(self) -> str:
        """The options that a reader looks for first, for a repr."""
        return (
            f"{super().shown()}, betas={self.betas}, weight_decay={_shown(self.weight_decay)}, max_norm={self.max_norm}"
        )


@dataclass(frozen=True, kw_only=True)
class SGDOptions(Options):
    """The options of SGD."""

    RULE = "sgd"

    momentum: float
    dampening: float
    nesterov: bool

    def _check(self) -> None:
        super()._check()
        self._no_functions("momentum", "dampening")
        self._keep("momentum", at_least_zero("momentum", self.momentum))
        self._keep("dampening", number(self.dampening, "dampening"))
        self._flags("nesterov")
        if self.nesterov and not (self.momentum > 0.0 and self.dampening == 0.0):
            raise nesterov_alone("nesterov", self.momentum, self.dampening)

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
        decay = f"weight_decay={_shown(self.weight_decay)}"
        return f"{super().shown()}, momentum={self.momentum:g}, {decay}, max_norm={self.max_norm}"


def pair_of_betas(betas: object, *, functions: bool = False) -> Betas:
    """Check the decay rates of two moments; with ``functions`` each may be a function of the step."""
    if not (isinstance(betas, tuple | list) and len(betas) == 2):
        raise type_error("betas", "two numbers", shown(betas))
    first, second = (_beta(beta, f"betas[{i}]", functions) for i, beta in enumerate(betas))
    return first, second


def _beta(given: Any, name: str, functions: bool) -> Scheduled:
    if functions and callable(given):
        function: Callable[[int], float] = given
        return function
    return beta(given, name)


def _not_these(saved: object, names: list[str]) -> str:
    """How what was saved differs from an object with these names."""
    if not isinstance(saved, dict):
        return f"{shown(saved)}, which is no object"
    lacking = [f"without {name!r}" for name in names if name not in saved]
    return "options " + ", ".join(lacking[:3] + [f"with {name!r}" for name in saved if name not in names][:3])


def _instead(name: Any, allowed: list[str]) -> str:
    """What to do about an option that a group does not take."""
    if name in _GLOBAL:
        return f"{name} holds for all groups: give it to the optimizer"
    if name == "params":
        return "a pattern or a function selects the parameters"
    return did_you_mean(str(name), allowed, 0.7)


def _of_a_group(group: str, sentence: str) -> str:
    """The sentence of an error about an option, as one about the option of a group."""
    if sentence.startswith("options: "):  # about all of them
        return group + sentence.removeprefix("options")
    return re.sub(r"^\w+", lambda option: f"{group}[{option[0]!r}]", sentence)


def _shown(value: Scheduled) -> str:
    return str(value) if callable(value) else f"{value:g}"


# The options that may be functions of the step.
_SCHEDULED = {"lr", "weight_decay", "betas"}


def _written(value: Any) -> Any:
    """An option in types that JSON has; None for a function of the caller's."""
    if isinstance(value, tuple):
        return [_written(item) for item in value]
    value = limit_to_save(value)
    return value.to_dict() if isinstance(value, Rates) else None if callable(value) else value


def _read(value: Any, own: Any) -> Any:
    """What :func:`_written` wrote; what the optimizer has itself where nothing was written."""
    if isinstance(value, list) and isinstance(own, tuple) and len(own) == len(value):
        return tuple(_read(item, one) for item, one in zip(value, own, strict=True))
    if value is None:
        return own
    return Rates.from_dict(value) if isinstance(value, dict) else value

"""The rules of optimizers and their variants in the shared test table; AdamW itself is in ``optim``."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

import steelyard as sy
import steelyard.reference.rules
from steelyard import reference
from steelyard._arrays import to_float64

from . import Case, Inputs, Outputs, Share, as_dtype, normalish

STEPS = 3
Options = dict[str, Any]

ADAM: list[Options] = [
    {"decay": "l2", "weight_decay": 0.0, "amsgrad": True},
    {"decay": "l2", "weight_decay": 0.3, "maximize": True, "betas": (0.3, 0.95)},
    {"decay": "independent", "max_lr": 0.5, "weight_decay": 0.01, "bias_correction": False},
    {"decay": "corrected", "max_lr": 0.5, "weight_decay": 0.7, "eps": 0.1, "amsgrad": True},
    {"cautious": True, "weight_decay": 0.1},
    {"cautious": True, "tight": True, "amsgrad": True, "flush_denormals": True, "maximize": True},
    {"cautious": True, "decay": "l2", "weight_decay": 0.1, "bias_correction": False},
    {"tight": True, "weight_decay": 0.1},
    {"tight": True, "decay": "corrected", "max_lr": 0.5, "weight_decay": 0.1, "amsgrad": True},
    {"flush_denormals": True, "weight_decay": 0.1, "betas": (0.0, 0.0)},
]
STABLE: list[Options] = [
    {"stable": True, "weight_decay": 0.1, "betas": (0.9, 0.5)},
    {"stable": True, "cautious": True, "tight": True, "amsgrad": True, "betas": (0.9, 0.5)},
    {"stable": True, "decay": "independent", "max_lr": 0.5, "eps": 0.01, "betas": (0.5, 0.5)},
]
LION: list[Options] = [
    {},
    {"weight_decay": 0.1, "maximize": True, "betas": (0.3, 0.5)},
    {"weight_decay": 0.1, "cautious": True, "decay": "corrected", "max_lr": 0.5},
    {
        "weight_decay": 0.1,
        "cautious": True,
        "tight": True,
        "flush_denormals": True,
        "decay": "independent",
        "max_lr": 2,
    },
]
SGD: list[Options] = [
    {},
    {"weight_decay": 0.1, "maximize": True},
    {"momentum": 0.9, "weight_decay": 0.1, "dampening": 0.3},
    {"momentum": 0.9, "weight_decay": 0.1, "nesterov": True, "decay": "decoupled"},
    {"momentum": 0.5, "weight_decay": 0.1, "tight": True, "flush_denormals": True, "decay": "corrected", "max_lr": 0.5},
]
# The names of the reference's arrays, and those of the moments in a saved state.
MOMENTS = {"m": "exp_avg", "v": "exp_avg_sq", "vmax": "max_exp_avg_sq"}


def _gradient(dtype: str, n: int, step: int) -> np.ndarray:
    g = normalish(n, 70 + step)
    special = [np.inf, np.nan, -0.0, 1e-41, 3e38, 0.0, -np.inf, 1e-30, -1e-320]
    if step == 2 and n > 200:
        g[n // 2 : n // 2 + len(special)] = special
    return as_dtype(g, dtype)


def _make(dtype: str, n: int) -> Inputs:
    with np.errstate(over="ignore"):
        grads = [_gradient(dtype, n, step) for step in range(1, STEPS + 1)]
    return {"p": as_dtype(normalish(n, 69), dtype), "grads": grads}


def _make_tame(dtype: str, n: int) -> Inputs:
    """Without special values, of which one would make the size of a whole tensor infinite; the last is large."""
    grads = [as_dtype(normalish(n, 70 + step) * 10.0 ** (step == STEPS), dtype) for step in range(1, STEPS + 1)]
    return {"p": as_dtype(normalish(n, 69), dtype), "grads": grads}


def _values(x: np.ndarray) -> np.ndarray:
    """The values of 16-bit types as float64, where a NaN is one: to compare any two arrays."""
    return to_float64(x) if x.dtype.itemsize == 2 else x


def _run(optimizer: type, variants: list[Options], lr: float) -> Callable[[Inputs], Outputs]:
    def run(inputs: Inputs) -> Outputs:
        out: dict[str, Any] = {}
        for i, variant in enumerate(variants):
            p = inputs["p"].copy()
            opt = optimizer([p], lr=lr, nonfinite="propagate", **variant)
            for g in inputs["grads"]:
                opt.step([g])
            moments = {f"{i} {k}": _values(v) for k, v in opt.state_dict().items() if k.endswith("/0")}
            out |= {f"{i} p": _values(p)} | moments
        return out

    return run


def _of_step(rule: Any, options: Options, step: int) -> Options:
    """The options of the reference's rule at a step; it keeps a largest moment where it is given one."""
    given = {key: value for key, value in options.items() if key != "amsgrad"}
    return given if rule is reference.rules.lion else given | {"step": step}


def _states(rule: Any, inputs: Inputs, options: Options) -> list[dict[str, Any]]:
    """The reference's arrays before the first step, and after each."""
    names = ["p", *list(MOMENTS)[: _count(rule, options)]]
    states = [{name: inputs["p"] if name == "p" else np.zeros_like(inputs["p"]) for name in names}]
    for step, g in enumerate(inputs["grads"], 1):
        states.append(reference.rules.stored(rule, g, states[-1], **_of_step(rule, options, step)))
    return states


def _reference(rule: Any, variants: list[Options], lr: float, defaults: Options) -> Callable[[Inputs], Outputs]:
    def run(inputs: Inputs) -> Outputs:
        out: dict[str, Any] = {}
        for i, variant in enumerate(variants):
            last = _states(rule, inputs, {"lr": lr} | defaults | variant)[-1]
            called = MOMENTS | ({"m": "momentum_buffer"} if rule is reference.rules.sgd else {})
            out |= {f"{i} {'p' if k == 'p' else called[k] + '/0'}": _values(x) for k, x in last.items()}
        return out

    return run


def _count(rule: Any, options: Options) -> int:
    """How many moments the rule keeps."""
    if rule is reference.rules.adam:
        return 2 + options.get("amsgrad", False)
    return int(rule is reference.rules.lion or "momentum" in options)


_ADAM = {"betas": (0.9, 0.999), "eps": 1e-8, "weight_decay": 0.01}
_DTYPES = ("float32", "float64", "bfloat16", "float16")
_stable_reference = _reference(reference.rules.adam, STABLE, 1e-2, _ADAM)


def _near(name: str) -> Callable[[Inputs], Any]:
    """A few units in the last place of the parameter: the sums over a tensor are rounded in another order."""

    def bound(inputs: Inputs) -> Any:
        unit = {"float32": 2.0**-23, "float64": 2.0**-52, "bfloat16": 2.0**-7, "float16": 2.0**-10}
        p = np.abs(_stable_reference(inputs)[name].astype(np.float64))
        return 4 * unit[str(inputs["p"].dtype)] * (p + 1e-3)

    return bound


DETAILED: list[tuple[type, Any, Options]] = [
    (sy.AdamW, reference.rules.adam, _ADAM),
    (sy.AdamW, reference.rules.adam, _ADAM | {"decay": "l2", "cautious": True, "amsgrad": True}),
    (sy.optim.Lion, reference.rules.lion, {"betas": (0.9, 0.99), "weight_decay": 0.1}),
    (sy.optim.SGD, reference.rules.sgd, {"momentum": 0.9, "nesterov": True, "weight_decay": 0.1}),
    (sy.optim.SGD, reference.rules.sgd, {"decay": "decoupled", "weight_decay": 0.1}),
]
_COLUMNS = ("grad_norm", "param_norm", "update_norm", "ratio", "lost")
# Small enough for updates to be lost in the 16-bit types.
_DETAILED_LR = 1e-4


def _run_detail(inputs: Inputs) -> Outputs:
    out: dict[str, Any] = {}
    for i, (optimizer, _, options) in enumerate(DETAILED):
        opt = optimizer([inputs["p"].copy()], lr=_DETAILED_LR, detail=True, nonfinite="propagate", **options)
        for g in inputs["grads"]:
            tensors = opt.step([g]).tensors
        out |= {f"{i} {name}": getattr(tensors, name) for name in _COLUMNS}
    return out


def _reference_detail(inputs: Inputs) -> Outputs:
    out: dict[str, Any] = {}
    for i, (_, rule, given) in enumerate(DETAILED):
        options = {"lr": _DETAILED_LR} | given
        before = _states(rule, inputs, options)[-2]
        found = reference.rules.changes(rule, inputs["grads"][-1], before, **_of_step(rule, options, STEPS))
        out |= {f"{i} {name}": np.array([found[name]]) for name in _COLUMNS}
    return out


CASES = [
    Case(
        name="optim.detail",
        covers=("OptimizerPlan",),
        make=_make_tame,
        run=_run_detail,
        reference=_reference_detail,
        dtypes=_DTYPES,
        lengths=(1, 33, 1003),
        # The relative error that the docstring states.
        bound={f"{i} {name}": Share(1e-12) for i in range(len(DETAILED)) for name in _COLUMNS if name != "lost"},
    ),
    Case(
        name="optim.adam_variants",
        covers=("OptimizerPlan",),
        make=_make,
        run=_run(sy.AdamW, ADAM, 1e-2),
        reference=_reference(reference.rules.adam, ADAM, 1e-2, _ADAM),
        dtypes=_DTYPES,
        lengths=(1, 7, 33, 1003),
    ),
    Case(
        name="optim.stable_adamw",
        covers=("OptimizerPlan",),
        make=_make_tame,
        run=_run(sy.AdamW, STABLE, 1e-2),
        reference=_stable_reference,
        dtypes=_DTYPES,
        lengths=(1, 33, 1100),
        bound={f"{i} p": _near(f"{i} p") for i in range(len(STABLE))},
    ),
    Case(
        name="optim.lion",
        covers=("OptimizerPlan",),
        make=_make,
        run=_run(sy.optim.Lion, LION, 1e-2),
        reference=_reference(reference.rules.lion, LION, 1e-2, {"betas": (0.9, 0.99), "weight_decay": 0.0}),
        dtypes=_DTYPES,
        lengths=(1, 33, 1003),
    ),
    Case(
        name="optim.sgd",
        covers=("OptimizerPlan",),
        make=_make,
        run=_run(sy.optim.SGD, SGD, 1e-2),
        reference=_reference(reference.rules.sgd, SGD, 1e-2, {}),
        dtypes=_DTYPES,
        lengths=(1, 33, 1003),
    ),
]

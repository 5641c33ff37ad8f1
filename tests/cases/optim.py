"""The optimizer room's rows of the shared test table."""

from __future__ import annotations

from typing import Any

import numpy as np

import steelyard as sy
import steelyard.reference.optim
import steelyard.reference.random
import steelyard.reference.rules
import steelyard.reference.schedules
import steelyard.reference.storage
from steelyard import _core, reference
from steelyard._arrays import to_float64
from steelyard._registries import REGISTRIES, names
from steelyard.optim.schedules import Schedule

from ..fake_tensors import FakeTensor, fresh_state, tensor_plan, tensor_step
from . import Case, Inputs, Outputs, as_dtype, normalish, uniform

VARIANTS: list[dict[str, Any]] = [
    {"betas": (0.9, 0.999), "eps": 1e-8, "weight_decay": 0.01, "maximize": False, "amsgrad": False},
    {"betas": (0.9, 0.999), "eps": 1e-8, "weight_decay": 0.0, "maximize": True, "amsgrad": True},
    {"betas": (0.3, 0.95), "eps": 1e-6, "weight_decay": 0.7, "maximize": False, "amsgrad": True},
    {"betas": (0.0, 0.0), "eps": 0.1, "weight_decay": 0.01, "maximize": False, "amsgrad": False},
]
STEPS = 3


def _gradient(dtype: str, n: int, step: int) -> np.ndarray:
    g = normalish(n, 50 + step)
    special = [np.inf, np.nan, -0.0, 1e-41, 3e38, 0.0, -np.inf]
    if step == 2 and n > 200:
        g[n // 2 : n // 2 + len(special)] = special
    return as_dtype(g, dtype)


def _make_adamw(dtypes: str, n: int) -> Inputs:
    """Inputs of the type of the parameter and, after a plus, that of the gradients where it is another."""
    param, _, grad = dtypes.partition("+")
    with np.errstate(over="ignore"):
        grads = [_gradient(grad or param, n, step) for step in range(1, STEPS + 1)]
    return {"p": as_dtype(normalish(n, 40), param), "grads": grads}


def _values(x: np.ndarray) -> np.ndarray:
    """The values of 16-bit types as float64, where a NaN is one: to compare any two arrays."""
    return to_float64(x) if x.dtype.itemsize == 2 else x


def _run_adamw(inputs: Inputs) -> Outputs:
    out: dict[str, Any] = {}
    for i, variant in enumerate(VARIANTS):
        p = inputs["p"].copy()
        opt = sy.AdamW([p], lr=1e-2, max_norm=None, nonfinite="propagate", **variant)
        for g in inputs["grads"]:
            opt.step([g])
        moments = {f"{i} {k}": _values(v) for k, v in opt.state_dict().items() if k.endswith("/0")}
        out |= {f"{i} p": _values(p)} | moments
    return out


def _reference_adamw(inputs: Inputs) -> Outputs:
    out: dict[str, Any] = {}
    names = {"m": "exp_avg/0", "v": "exp_avg_sq/0", "vmax": "max_exp_avg_sq/0"}
    for i, variant in enumerate(VARIANTS):
        rest = {key: value for key, value in variant.items() if key != "amsgrad"}
        zero = np.zeros_like(inputs["p"])
        state = {"p": inputs["p"], "m": zero, "v": zero} | ({"vmax": zero} if variant["amsgrad"] else {})
        for step, g in enumerate(inputs["grads"], 1):
            state = reference.rules.stored(reference.rules.adam, g, state, step=step, lr=1e-2, **rest)
        out |= {f"{i} p": _values(state["p"])} | {f"{i} {names[k]}": _values(v) for k, v in state.items() if k != "p"}
    return out


def _run_tensors(inputs: Inputs) -> Outputs:
    out: dict[str, Any] = {}
    for i, variant in enumerate(VARIANTS):
        param = FakeTensor(inputs["p"].copy())
        options = {**variant, "lr": 1e-2, "scan": False, "stop_nonfinite": False}
        options["beta1"], options["beta2"] = options.pop("betas")
        plan, state = tensor_plan(), fresh_state([param], variant["amsgrad"])
        for g in inputs["grads"]:
            param.grad = FakeTensor(g)
            assert tensor_step(plan, [param], state, **options)["applied"]
        moments = {f"{key}/0": value.array for key, value in state[param].items() if key != "step"}
        out |= {f"{i} p": param.array} | {f"{i} {key}": value for key, value in moments.items()}
    return out


def _make_norm(dtype: str, n: int) -> Inputs:
    scale = 1e200 if dtype == "float64" else 1.0
    return {"tree": {"a": as_dtype(normalish(n, 60) * scale, dtype), "b": [as_dtype(uniform(7, 61), dtype)]}}


ORDERS = (2.0, 1.0, np.inf, 0.5, 3.0, 7.25)


def _run_norm(inputs: Inputs) -> Outputs:
    found = {f"{p:g}": sy.global_norm(inputs["tree"], p, detail=True) for p in ORDERS}
    return {p: info.norm for p, info in found.items()} | {f"{p} last": info.norms[-1] for p, info in found.items()}


def _reference_norm(inputs: Inputs) -> Outputs:
    a, b = inputs["tree"]["a"], inputs["tree"]["b"][0]
    whole = {f"{p:g}": reference.optim.global_norm([a, b], p) for p in ORDERS}
    return whole | {f"{p:g} last": reference.optim.global_norm([b], p) for p in ORDERS}


def _norm_bound(p: float) -> Any:
    """The relative error that the docstring states, made absolute; the infinity norm is exact."""
    share = 0.0 if p == np.inf else 1e-12 / min(p, 1.0)
    return lambda inputs: share * reference.optim.global_norm([inputs["tree"]["a"], inputs["tree"]["b"][0]], p)


def _run_blocks(inputs: Inputs) -> Outputs:
    g = [inputs["g"].copy(), inputs["g"][:1].copy()]
    clipped = sy.optim.clip_by_block_norm_(g, inputs["norm"])
    return {"0": g[0], "1": g[1], "clipped": clipped}


def _reference_blocks(inputs: Inputs) -> Outputs:
    parts = [inputs["g"], inputs["g"][:1]]
    norms = [sy.global_norm([g]) for g in parts]  # its own row compares it with the exact norm
    limit = inputs["norm"]
    out = [reference.optim.clip(g, limit / n) if n > limit else g for g, n in zip(parts, norms, strict=True)]
    return {"0": out[0], "1": out[1], "clipped": sum(n > limit for n in norms)}


def _make_value(dtype: str, n: int) -> Inputs:
    from . import as_dtype

    special = np.array([np.inf, np.nan, -0.0, -np.inf, 0.3, -0.3, 1e-8])
    return {"g": as_dtype(np.concatenate([normalish(n, 63), special]), dtype)}


def _run_value(inputs: Inputs) -> Outputs:
    g = inputs["g"].copy()
    sy.optim.clip_by_value_([g], 0.3, nonfinite="propagate")
    return {"g": g}


def _reference_value(inputs: Inputs) -> Outputs:
    return {"g": reference.optim.clip_value(inputs["g"], 0.3)}


AXES: dict[str, dict[str, Any]] = {"timm": {1: (), 2: (0,), 4: (0,)}, "optax": {1: (), 2: (1,), 4: (3,)}}


def _make_units(dtype: str, n: int) -> Inputs:
    from . import as_dtype

    shapes = {1: (n,), 2: (n // 5 + 1, 5), 4: (2, 3, n // 70 + 1, 66)}
    make = {
        rank: [normalish(int(np.prod(shape)), 64 + rank).reshape(shape) for _ in "gw"] for rank, shape in shapes.items()
    }
    spread = {
        rank: 2.0 ** -(np.arange(shape[0]) % 9.0).reshape(-1, *[1] * (rank - 1)) for rank, shape in shapes.items()
    }
    return {f"{rank}": (as_dtype(g * spread[rank], dtype), as_dtype(w[::-1], dtype)) for rank, (g, w) in make.items()}


def _run_units(inputs: Inputs) -> Outputs:
    out: dict[str, Any] = {}
    for axes in AXES:
        g = {rank: pair[0].copy() for rank, pair in inputs.items()}
        sy.optim.adaptive_clip_(g, {rank: pair[1] for rank, pair in inputs.items()}, 0.4, axes=axes)  # type: ignore[arg-type]
        out |= {f"{axes} {rank}": as_wide(clipped) for rank, clipped in g.items()}
    return out


def as_wide(x: np.ndarray) -> np.ndarray:
    """float64, in which differences of the 16-bit types can be taken."""
    return x.astype(np.float64)


def _reference_units(inputs: Inputs) -> Outputs:
    return {
        f"{axes} {rank}": as_wide(
            reference.optim.clip_units(g, w, clip_factor=0.4, eps=1e-3, kept=AXES[axes][int(rank)])
        )
        for axes in AXES
        for rank, (g, w) in inputs.items()
    }


def _units_bound(inputs: Inputs) -> float:
    """An ulp of the largest element, and the errors of norms, whose columns have up to 2,000 rows."""
    digits = {"float64": 52, "float32": 23, "float16": 10, "bfloat16": 7}[inputs["1"][0].dtype.name]
    return (2.0**-digits + 2e-13) * max(float(np.abs(as_wide(g)).max(initial=0.0)) for g, _ in inputs.values())


def _make_clip(dtype: str, n: int) -> Inputs:
    spread = 2.0 ** -(np.arange(n) % 40)  # down to numbers that are subnormal in float16, and become 0
    return {"g": as_dtype(normalish(n, 62) * spread, dtype), "norm": 0.5}


def _run_clip(inputs: Inputs) -> Outputs:
    g = inputs["g"].copy()
    norm = sy.clip_by_global_norm_([g], inputs["norm"])
    return {"g": g, "norm": norm}


def _reference_clip(inputs: Inputs) -> Outputs:
    g = inputs["g"]
    norm = sy.global_norm([g])  # its own row compares it with the exact norm
    return {"g": reference.optim.clip(g, inputs["norm"] / norm) if norm > inputs["norm"] else g, "norm": norm}


def _make_blocks8(dtype: str, n: int) -> Inputs:
    """Numbers of many magnitudes; one block of subnormal numbers, and one with an infinity."""
    with np.errstate(over="ignore", under="ignore"):
        x = (normalish(n, 63) * 2.0 ** -(np.arange(n) % 23)).astype(np.float32)
        x[256:512] *= np.float32(2.0**-140)
    x[513:514] = np.inf
    return {"x": x}


def _run_blocks8(inputs: Inputs) -> Outputs:
    out: dict[str, Any] = {}
    for moment in (0, 1):
        signed = _core.blocks8_signed(moment)
        found = _core.to_blocks8(inputs["x"], signed=signed)
        out |= {f"{signed} codes": found["codes"], f"{signed} scales": found["scales"]}
        out[f"{signed} back"] = _core.from_blocks8(found["codes"], found["scales"], signed=signed)
        out[f"{signed} map"] = _core.blocks8_map(signed)
    return out


def _reference_blocks8(inputs: Inputs) -> Outputs:
    out: dict[str, Any] = {}
    for signed in (True, False):
        codes, scales = reference.storage.encode(inputs["x"], signed)
        out |= {f"{signed} codes": codes, f"{signed} scales": scales}
        out[f"{signed} back"] = reference.storage.decode(codes, scales, signed)
        out[f"{signed} map"] = reference.storage.dynamic_map(signed)
    return out


ROUNDED_AT = {"seed": 2**63 + 5, "tensor": 3, "step": 70_000, "array": 1}


def _make_rounded(dtype: str, n: int) -> Inputs:
    with np.errstate(over="ignore", under="ignore"):
        x = (normalish(n, 64) * 2.0 ** (17 - np.arange(n) % 61)).astype(np.float32)
    special = [np.inf, -np.inf, np.nan, 65_530.0, -3.4e38]
    x[7:12] = special[: max(n - 7, 0)]
    return {"x": x, "dtype": dtype}


def _run_rounded(inputs: Inputs) -> Outputs:
    half = inputs["dtype"] == "float16"
    whole = _core.round_at_random(inputs["x"], half=half, **ROUNDED_AT)
    later = _core.round_at_random(inputs["x"][5:], half=half, first=5, **ROUNDED_AT)
    return {"values": _of_bits(whole, inputs["dtype"]), "later": _of_bits(later, inputs["dtype"])}


def _of_bits(bits: np.ndarray, dtype: str) -> np.ndarray:
    return to_float64(bits.view(as_dtype(np.empty(0), dtype).dtype))


def _reference_rounded(inputs: Inputs) -> Outputs:
    random = reference.random.halves(**ROUNDED_AT, n=inputs["x"].size)
    rounded = reference.storage.at_random(inputs["x"], random, as_dtype(np.empty(0), inputs["dtype"]).dtype)
    return {"values": to_float64(rounded), "later": to_float64(rounded[5:])}


GIVEN: dict[str, Any] = {
    "total_steps": 900, "warmup_steps": 100, "end": 1e-5, "cycle_steps": 150, "growth": 1.5, "decay": 0.75,
    "restarts": 3, "cycles": 2.5, "waves": 1.25, "power": 1.5, "k": 2.0, "timescale": 250, "gamma": 0.9995,
    "decay_steps": 70, "low": 2e-5, "rise_steps": 60, "fall_steps": 90, "cooldown_steps": 300, "lower": -6.0,
    "upper": 4.0,
}  # fmt: skip
LISTS: dict[str, dict[str, Any]] = {
    "multi_step": {"milestones": [3, 200, 200, 700]},
    "piecewise": {"points": [(2.5, 1e-4), (100, 3e-4), (250.5, 0.0), (900, 2e-5)]},
}


ZCLIP = {"z_thresh": 1.5, "alpha": 0.9, "warmup_steps": 5, "max_norm": 9.5, "eps": 1e-6}
AUTOCLIP: dict[str, dict[str, Any]] = {"all": {"percentile": 10.0}, "last": {"percentile": 77.7, "window": 7}}


def _run_policies(inputs: Inputs) -> Outputs:
    policies = {"zclip": sy.optim.ZClip(**ZCLIP)}  # type: ignore[arg-type]
    made = policies | {name: sy.optim.AutoClip(**options) for name, options in AUTOCLIP.items()}
    norms = inputs["norms"].tolist()
    return {name: np.array([policy.limit(norm) for norm in norms]) for name, policy in made.items()}


def _reference_policies(inputs: Inputs) -> Outputs:
    norms = inputs["norms"].tolist()
    out = {"zclip": reference.optim.zclip(norms, **ZCLIP)}  # type: ignore[arg-type]
    out |= {name: reference.optim.autoclip(norms, **options) for name, options in AUTOCLIP.items()}
    return {name: np.array(limits, np.float64) for name, limits in out.items()}


def schedules() -> dict[str, dict[str, Any]]:
    """Options of every shape: with nothing but what it needs, with everything that it takes, and with every curve."""
    found: dict[str, dict[str, Any]] = {}
    for shape, row in REGISTRIES["schedule.shape"].items():
        first = {"shape": shape} | LISTS.get(shape, {})
        needed = {name for name, parameter in row.parameters.items() if parameter.default is None}
        # Its timescale is the warm-up where none is given.
        needed |= {"warmup_steps"} if shape == "inverse_sqrt" else set()
        found[f"{shape} bare"] = first | {name: GIVEN[name] for name in row.parameters if name in needed}
        found[f"{shape} rising"] = first | {name: GIVEN[name] for name in row.parameters}
        found[f"{shape} started"] = found[f"{shape} rising"] | {"start": 1e-4}
    for curve in names("schedule.warmup"):
        found[f"warmup {curve}"] = found["constant rising"] | {"warmup": curve}
        found[f"warmup {curve} started"] = found["linear started"] | {"warmup": curve, "offset": 9}
    for curve in names("schedule.curve"):
        found[f"curve {curve}"] = found["wsd rising"] | {"curve": curve}
    for curve in names("schedule.interpolate"):
        found[f"interpolate {curve}"] = found["piecewise rising"] | {"interpolate": curve, "offset": 3}
    return found


SCHEDULES = schedules()


def _run_schedules(inputs: Inputs) -> Outputs:
    return {name: Schedule(lr=3e-4, **options)(inputs["steps"]) for name, options in SCHEDULES.items()}


def _reference_schedules(inputs: Inputs) -> Outputs:
    with np.errstate(all="ignore"):  # the shape of the steps of the warm-up is not used
        return {
            name: reference.schedules.schedule(np, inputs["steps"], lr=3e-4, **options)
            for name, options in SCHEDULES.items()
        }


CASES = [
    Case(
        name="optim.adamw",
        covers=("OptimizerPlan", "check_eps", "convert_unreadable"),
        make=_make_adamw,
        run=_run_adamw,
        reference=_reference_adamw,
        dtypes=(
            "float32",
            "float64",
            "bfloat16",
            "float16",
            "float32+bfloat16",
            "bfloat16+float32",
            "float64+float16",
        ),
        lengths=(1, 7, 8, 33, 1003, 1300),
    ),
    Case(
        name="optim.adamw of tensors",
        covers=("TensorPlan",),
        make=_make_adamw,
        run=_run_tensors,
        reference=_reference_adamw,
        dtypes=("float32", "float64"),
        lengths=(1, 33, 1003),
    ),
    Case(
        name="optim.global_norm",
        covers=("sum_of_squares", "GlobalNormTotals", "global_norms"),
        make=_make_norm,
        run=_run_norm,
        reference=_reference_norm,
        lengths=(0, 1, 31, 32, 33, 70_001),
        bound={f"{p:g}": _norm_bound(p) for p in ORDERS} | {f"{p:g} last": _norm_bound(p) for p in ORDERS},
    ),
    Case(
        name="optim.clip_by_block_norm_",
        covers=("clip_each_in_place",),
        make=_make_clip,
        run=_run_blocks,
        reference=_reference_blocks,
        lengths=(1, 33, 140_001),
    ),
    Case(
        name="optim.clip_by_value_",
        covers=("clamp_in_place",),
        make=_make_value,
        run=_run_value,
        reference=_reference_value,
        lengths=(0, 1, 33, 140_001),
    ),
    Case(
        name="optim.adaptive_clip_",
        covers=("clip_units_in_place",),
        make=_make_units,
        run=_run_units,
        reference=_reference_units,
        lengths=(1, 33, 4_001),
        bound={f"{axes} {rank}": _units_bound for axes, ranks in AXES.items() for rank in ranks},
    ),
    Case(
        name="optim.clip_by_global_norm_",
        covers=("clip_in_place",),
        make=_make_clip,
        run=_run_clip,
        reference=_reference_clip,
        lengths=(1, 33, 140_001),
    ),
    Case(
        name="optim.blocks8",
        covers=("to_blocks8", "from_blocks8", "blocks8_map", "blocks8_signed"),
        make=_make_blocks8,
        run=_run_blocks8,
        reference=_reference_blocks8,
        dtypes=("float32",),
        lengths=(1, 255, 257, 1003),
    ),
    Case(
        name="optim.round_at_random",
        covers=("round_at_random",),
        make=_make_rounded,
        run=_run_rounded,
        reference=_reference_rounded,
        dtypes=("bfloat16", "float16"),
        lengths=(1, 127, 129, 1003, 70_001),
    ),
    Case(
        name="optim.schedules",
        covers=("schedule_rates",),
        make=lambda dtype, n: {"steps": np.arange(n, dtype=np.int64)},
        run=_run_schedules,
        reference=_reference_schedules,
        dtypes=("",),
        lengths=(0, 1, 17, 1000, 70_000),
        bound=dict.fromkeys(SCHEDULES, 1e-15 * 3e-4),
    ),
    Case(
        name="optim.policies",
        covers=("ClipPolicy",),
        make=lambda dtype, n: {"norms": 9.0 * uniform(n, 66) + (np.arange(n) % 11 == 10) * 20.0},
        run=_run_policies,
        reference=_reference_policies,
        dtypes=("",),
        lengths=(0, 1, 5, 6, 200),
    ),
]

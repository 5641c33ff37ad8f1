"""Levels, threads and floating-point modes: whatever is asked, and of whatever data, the bytes are the same.

Each trial draws a public call with its inputs (lengths, types, strides, special values, options), makes it at the
baseline on one thread in the standard mode, and compares what it returns, prints or raises with other levels, thread
counts, flush-to-zero and rounding.
"""

from __future__ import annotations

import sys
import warnings
from collections.abc import Callable
from dataclasses import fields, is_dataclass
from random import Random
from typing import Any

import numpy as np

import steelyard as sy
from steelyard import _core
from steelyard._registries import REGISTRIES, names
from steelyard.optim.schedules import Schedule

from ..cases.optim import SCHEDULES
from ..cases.preference import scored
from ._frame import run

ROUNDINGS = ("nearest", "up", "down", "toward zero")
LENGTHS = (1, 2, 3, 15, 16, 17, 33, 1000, 4097)
LONG = (65_536, 70_001, 140_003)  # several chunks, and enough bytes to wake the pool
WAYS = 6
PROPORTIONS = names("proportion.method")

Call = Callable[[], Any]


# -- inputs: drawn in the standard mode ---------------------------------------------------------------------


def length(rng: Random, long: float = 0.1) -> int:
    return rng.choice(LONG) if rng.random() < long else rng.choice(LENGTHS)


def values(rng: Random, n: int, dtype: str | None = None, low: float = -np.inf) -> np.ndarray:
    """Finite floats of one of several kinds, at least ``low``, in some type and with some strides."""
    draw = np.random.Generator(np.random.Philox(rng.randrange(2**63)))
    kind = rng.choice(("ordinary", "ordinary", "ties", "bits", "subnormal", "huge", "constant"))
    dtype = dtype or rng.choice(("float64", "float64", "float32", "float16"))
    limits = np.finfo(dtype)
    if kind == "bits":
        x = draw.integers(0, 256, n * limits.bits // 8, np.uint8).view(dtype)
        x = np.where(np.isfinite(x), x, 0).astype(dtype)
    else:
        wide = {
            "ordinary": lambda: draw.normal(size=n),
            "ties": lambda: draw.integers(-2, 3, n) / 2,
            "subnormal": lambda: draw.integers(-9, 10, n) * float(limits.smallest_subnormal),
            "huge": lambda: draw.uniform(-1, 1, n) * float(limits.max) * 0.999,
            "constant": lambda: np.full(n, 0.1 * rng.randrange(10)),
        }[kind]()
        x = wide.astype(dtype)
    if low > -np.inf:
        x = np.maximum(np.abs(x), np.asarray(low, dtype))
    return strided(rng, x)


def strided(rng: Random, x: np.ndarray) -> np.ndarray:
    """The same values in other places of memory."""
    way = rng.randrange(4)
    if way == 0 and x.ndim:
        return np.repeat(x, 2, axis=0)[::2]
    if way == 1 and x.ndim:
        return x[::-1].copy()[::-1]
    return np.asfortranarray(x) if way == 2 else x


def shares(rng: Random, n: int, dtype: str | None = None) -> np.ndarray:
    """Numbers in [0, 1], the smallest subnormal and 1 among them."""
    draw = np.random.Generator(np.random.Philox(rng.randrange(2**63)))
    dtype = dtype or rng.choice(("float64", "float32"))
    x = draw.uniform(0, 1, n).astype(dtype)
    ends = np.array([0.0, 1.0, np.finfo(dtype).smallest_subnormal], dtype)
    where = draw.uniform(size=n) < rng.choice((0.0, 0.1, 0.9))
    return strided(rng, np.where(where, draw.choice(ends, n), x).astype(dtype))


def answers(rng: Random, n: int) -> np.ndarray:
    draw = np.random.Generator(np.random.Philox(rng.randrange(2**63)))
    return draw.uniform(size=n) < rng.choice((0.0, 0.03, 0.5, 0.97, 1.0))


def groups(rng: Random, n: int) -> np.ndarray | None:
    draw = np.random.Generator(np.random.Philox(rng.randrange(2**63)))
    return None if rng.random() < 0.5 else draw.integers(0, max(1, n // rng.choice((2, 7, 50))), n)


def rows(rng: Random, n: int) -> dict[str, Any]:
    """The options that calls on rows have in common."""
    return {
        "clusters": groups(rng, n),
        "confidence_level": rng.choice((0.95, 0.9, 0.5, rng.uniform(0.001, 0.999))),
        "alternative": rng.choice(("two-sided", "less", "greater")),
    }


# -- calls --------------------------------------------------------------------------------------------------


def estimate(rng: Random) -> Call:
    n = length(rng)
    x, options = answers(rng, n) if rng.random() < 0.3 else values(rng, n), rows(rng, n)
    if rng.random() < 0.3:
        options["weights"] = shares(rng, n, "float64")
    if rng.random() < 0.2:
        options["by"] = groups(rng, n)
    if rng.random() < 0.1:
        x = np.full(n, x[0])
    return lambda: sy.estimate(x, **options)


def proportion(rng: Random) -> Call:
    n = rng.choice((1, 2, 20, 1000, 10**9, 2**53))
    k, method = rng.randint(0, n), rng.choice(PROPORTIONS)
    options = rows(rng, 1)
    del options["clusters"]
    if rng.random() < 0.5:
        options["test"] = rng.choice((0.5, 0.25, 1e-9))
    return lambda: sy.proportion(k, n, method=method, **options)


def compare(rng: Random) -> Call:
    n = length(rng, long=0.03)
    make = answers if rng.random() < 0.5 else values
    a, b, c, options = make(rng, n), make(rng, n), make(rng, n), rows(rng, n)
    models, margin = (a if rng.random() < 0.5 else {"a": a, "b": b}), rng.choice((0.0, 0.01, 0.1))

    def call() -> Any:
        made = sy.compare(models, baseline=c, **options)
        return made, made.table, made.verdict(margin)

    return call


def samples(rng: Random) -> Call:
    """Two samples of different rows; each option is for one side or for both."""
    make = answers if rng.random() < 0.5 else values
    lengths = {"new": length(rng, long=0.03), "baseline": length(rng, long=0.03)}
    scores = {side: make(rng, n) for side, n in lengths.items()}
    of_side = {side: rows(rng, n) for side, n in lengths.items()}
    options = dict(of_side["new"])
    for name in ("where", "clusters"):
        given = {side: of[name] for side, of in of_side.items() if of.get(name) is not None}
        options[name] = given or None
    margin = rng.choice((0.0, 0.01, 0.1))

    def call() -> Any:
        made = sy.compare(scores["new"], baseline=scores["baseline"], paired=False, **options)
        return made, made.table, made.verdict(margin)

    return call


def bootstrap(rng: Random) -> Call:
    n = length(rng, long=0.02)
    x, options = values(rng, n), rows(rng, n)
    method, seed = rng.choice(("bca", "basic", "percentile")), rng.randrange(2**64)
    return lambda: sy.bootstrap(x, method=method, n_resamples=199, seed=seed, **options)


def tokens(rng: Random) -> Call:
    n, width = rng.choice((1, 7, 40)), rng.choice((1, 2, 15, 16, 17, 1000, 5003))
    logits = values(rng, n * width).reshape(n, width)
    targets = np.array([rng.randrange(width) if rng.random() < 0.9 else -100 for _ in range(n)])
    return lambda: sy.token_scores(logits, targets)


def perplexity(rng: Random) -> Call:
    n, width = rng.choice((1, 2, 40, 500)), rng.choice((1, 16, 33))
    nll = np.ascontiguousarray(values(rng, n * width, low=0.0)).reshape(n, width)
    per = [rng.randrange(1, 9) for _ in range(n)] if rng.random() < 0.3 else None
    unit, options = rng.choice(("perplexity", "bits", "nats")), rows(rng, n)

    def call() -> Any:
        state = sy.tokens.PerplexityState(unit=unit, **{k: v for k, v in options.items() if k != "clusters"})
        state.update(nll, clusters=options["clusters"], per=per)
        return state.to_bytes(), state.compute()

    return call


def reliability(rng: Random) -> Call:
    n, options = length(rng), rows(rng, 1)
    if rng.random() < 0.3:
        table = shares(rng, n * 3, "float64").reshape(n, 3) + 1e-9
        probs, right = table / table.sum(1, keepdims=True), np.arange(n) % 3
    else:
        probs, right = shares(rng, n), answers(rng, n)
    bins = rng.choice((1, 10, 15, 33))
    return lambda: sy.reliability(probs, right, n_bins=bins, **options)


def preference(rng: Random) -> Call:
    n, dtype, options = length(rng), rng.choice(("float64", "float32")), {}
    columns = [-values(rng, n, dtype, low=0.0) for _ in range(4)]
    loss = options["loss"] = rng.choice(names("preference.loss"))
    options["beta"] = rng.choice((0.1, 1e-310, [0.1, 2.0], rng.uniform(0, 5)))
    if "label_smoothing" in REGISTRIES["preference.loss"][loss].parameters:
        options["label_smoothing"] = rng.choice((0.01, 0.1, 0.3))
    clusters = groups(rng, n)

    def call() -> Any:
        made = scored(columns, clusters=clusters, **options)
        return made, made.loss, made.reward_accuracy, made.reward_margin

    return call


def norms(rng: Random) -> Call:
    arrays = [np.ascontiguousarray(values(rng, length(rng), rng.choice(("float32", "float64")))) for _ in range(3)]
    limit = rng.choice((0.0, 1.0, 1e-320, 1e300, rng.uniform(0, 100)))

    def call() -> Any:
        mine = [x.copy() for x in arrays]
        state = sy.optim.GlobalNormState().update(mine[0]).update(mine[1:])
        return sy.global_norm(mine), state.to_bytes(), state.compute(), sy.clip_by_global_norm_(mine, limit), mine

    return call


def optimizers(rng: Random) -> Call:
    n, dtype = length(rng), rng.choice(("float16", "float32", "float64"))
    start = np.ascontiguousarray(values(rng, n, dtype))
    grads = [np.ascontiguousarray(values(rng, n, dtype)) for _ in range(3)]
    options = {
        "lr": rng.choice((0.1, 1e-310, sy.schedules.cosine(0.1, total_steps=9, warmup_steps=2))),
        "weight_decay": rng.choice((0.0, 0.01)),
        "decay": rng.choice(names("optim.decay")),
        "max_lr": 0.1,
        "tight": rng.random() < 0.3,
        "flush_denormals": rng.random() < 0.3,
        "max_norm": rng.choice((None, 1.0, 1e-300)),
        "nonfinite": "propagate",
    }
    if options["decay"] in {"decoupled", "l2"}:
        del options["max_lr"]
    make, own = rng.choice(RULES)
    options |= {name: rng.choice(choices) for name, choices in own.items()}

    def call() -> Any:
        mine = start.copy()
        optimizer = make(mine, **options)
        told = [optimizer.step(grad) for grad in grads]
        return told, mine, {key: np.array(value) for key, value in optimizer.state_dict().items()}

    return call


BETAS = ((0.9, 0.999), (0.3, 0.5), (0.0, 0.9))
SWITCH = (False, True)
# The optimizers, each with the options that only its rule has.
RULES = (
    (sy.AdamW, {"betas": BETAS, "amsgrad": SWITCH, "bias_correction": SWITCH, "cautious": SWITCH, "stable": SWITCH}),
    (sy.optim.Lion, {"betas": BETAS, "cautious": SWITCH}),
    (sy.optim.SGD, {"momentum": (0.0, 0.9), "dampening": (0.0,), "nesterov": (False,)}),
    (sy.optim.SGD, {"momentum": (0.9,), "dampening": (0.0, 0.1), "nesterov": (False,)}),
    (sy.optim.SGD, {"momentum": (0.9,), "dampening": (0.0,), "nesterov": (True,)}),
)


def schedules(rng: Random) -> Call:
    options = dict(rng.choice(list(SCHEDULES.values())))
    if "end" in options:
        options["end"] = rng.choice((0, 1e-310, options["end"]))
    schedule = Schedule(lr=3e-4, **options)
    last = 10 ** rng.randrange(1, 7)
    return lambda: (repr(schedule), schedule(np.arange(0, last, max(1, last // 50))))


def functions(rng: Random) -> Call:
    name = rng.choice(
        ("math_exp", "math_expm1", "math_log", "math_log1p", "math_cos", "math_erfc", "math_lgamma", "normal_cdf",
         "normal_sf", "normal_quantile", "t_cdf", "t_quantile", "beta_cdf", "beta_quantile")
    )  # fmt: skip
    n = rng.choice((1, 17, 1000))
    first = {"t": 1, "b": 2}.get(name[0], 0)
    shapes = [np.ascontiguousarray(shares(rng, n, "float64") * 30 + 1e-3) for _ in range(first)]
    last = shares(rng, n, "float64") if name.endswith("quantile") or first else values(rng, n, "float64")
    arguments = [np.ascontiguousarray(x) for x in ((last, *shapes) if first == 1 else (*shapes, last))]
    return lambda: getattr(_core, name)(*arguments)


CALLS = (
    estimate, proportion, compare, samples, bootstrap, tokens, perplexity, reliability, preference, norms, optimizers,
    schedules, functions,
)  # fmt: skip


# -- comparison ---------------------------------------------------------------------------------------------


def bits(result: Any) -> Any:
    """What two results have in common exactly where they are equal; every NaN is the same."""
    if isinstance(result, np.ndarray):
        array = result.copy()
        if array.dtype.kind == "f":
            array[np.isnan(array)] = np.nan
        return array.dtype.str, array.shape, array.tobytes()
    if isinstance(result, float):
        return "nan" if result != result else result.hex()
    if is_dataclass(result):
        return {item.name: bits(getattr(result, item.name)) for item in fields(result)}
    if isinstance(result, dict):
        return {key: bits(value) for key, value in result.items()}
    if isinstance(result, list | tuple):
        return [bits(item) for item in result]
    return result


def outcome(call: Call, level: str, threads: int, flush: bool, rounding: str) -> Any:
    """What the call returns and how that prints, or what it raises."""
    _core.force_isa(level)
    _core.set_threads(threads)
    printed = []
    _core.set_mode_for_tests(flush, rounding)
    try:
        result = call()
        printed = [str(item) for item in (result if isinstance(result, tuple) else (result,)) if is_dataclass(item)]
    except (ValueError, TypeError, OverflowError) as error:
        result = [type(error).__name__, str(error)]
    finally:
        _core.set_mode_for_tests()
        _core.set_threads(None)
        _core.force_isa(None)
    return bits([result, printed])


def trial(rng: Random) -> str:
    make = rng.choice(CALLS)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        call = make(rng)
        want = outcome(call, "baseline", 1, False, "nearest")
        for _ in range(WAYS):
            way = (
                rng.choice(_core.isa_available()), rng.choice((1, 2, 5)), rng.random() < 0.5, rng.choice(ROUNDINGS)
            )  # fmt: skip
            got = outcome(call, *way)
            assert got == want, f"{make.__name__} at {way}:\n{got!r:.2000}\nnot\n{want!r:.2000}"
    refused = isinstance(want[0], list) and want[0] and isinstance(want[0][0], str) and want[0][0].endswith("Error")
    return f"{make.__name__} refused" if refused else make.__name__


if __name__ == "__main__":
    sys.exit(run("modes", trial))

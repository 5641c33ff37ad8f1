"""The preference room's rows of the shared test table: losses of a policy, and advantages."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np

import steelyard as sy
from steelyard import reference
from steelyard._registries import REGISTRIES

from . import Case, Inputs, Outputs, as_dtype, normalish, uniform

WIDTH = 37
VARIANTS: list[dict[str, Any]] = [
    *({"loss": loss} for loss in REGISTRIES["preference.policy.loss"]),
    *(
        {"loss": "grpo", "kl_weight": 0.3, "kl_estimator": name}
        for name in REGISTRIES["preference.policy.kl_estimator"]
    ),
    {"loss": "cispo", "kl_weight": 0.1, "clip": (0.1, 0.1)},
    {"loss": "gspo", "kl_weight": 0.1, "clip": 0.05},
    {"loss": "dapo", "divisor": 1234.5},
    {"loss": "ppo", "per_token": True},
]
SUMS = ("low", "high", "ratio", "kl", "reference")


def _make(dtype: str, n: int) -> Inputs:
    size = n * WIDTH
    far = np.where(np.arange(size) % 101 == 7, 95.0, 0.0)
    logprob = -np.abs(normalish(size, 91)) * 3
    old = np.minimum(logprob + 0.3 * normalish(size, 92), 0.0) - far
    other = np.minimum(logprob + 0.3 * normalish(size, 93), 0.0)
    tables = {name: as_dtype(x, dtype).reshape(n, WIDTH) for name, x in
              (("logprob", logprob), ("old", old), ("reference", other))}  # fmt: skip
    where = (uniform(size, 94) < 0.9).reshape(n, WIDTH)
    lengths = np.arange(n) * 7 % (WIDTH + 1)
    lengths[0] = WIDTH
    return {**tables, "advantage": normalish(size, 95).reshape(n, WIDTH), "where": where, "lengths": lengths}


def _options(variant: dict[str, Any], inputs: Inputs) -> tuple[Any, dict[str, Any]]:
    """The advantages and the keywords of a variant."""
    options = {name: value for name, value in variant.items() if name != "per_token"}
    if "kl_weight" in options:
        options["reference_logprob"] = inputs["reference"]
    return inputs["advantage"] if "per_token" in variant else inputs["advantage"][:, 0].copy(), options


def _run(inputs: Inputs) -> Outputs:
    out: dict[str, Any] = {}
    for i, variant in enumerate(VARIANTS):
        advantage, options = _options(variant, inputs)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", sy.errors.SteelyardWarning)  # of 16 bits
            found = sy.preference.policy_loss(
                inputs["logprob"], inputs["old"], advantage, where=inputs["where"], lengths=inputs["lengths"],
                dtype="float64", **options,
            )  # fmt: skip
        out |= {f"{i} gradient": found.gradient, f"{i} losses": found.losses, f"{i} saturated": found.saturated}
        zeros = np.zeros(len(found.losses))
        out |= {f"{i} {name}": found._sums.get(name, zeros) for name in SUMS}
    return out


def _exact(inputs: Inputs, i: int) -> dict[str, Any]:
    advantage, options = _options(VARIANTS[i], inputs)
    tables = {name: np.asarray(inputs[name], np.float64) for name in ("logprob", "old", "reference")}
    keep = inputs["where"] & (np.arange(WIDTH) < inputs["lengths"][:, None])
    row = REGISTRIES["preference.policy.loss"][options["loss"]].parameters
    clip = options.get("clip", (row["clip_low"].default, row["clip_high"].default))
    found = reference.policy.policy_loss(
        tables["logprob"], tables["old"], advantage, keep, loss=options["loss"],
        clip=clip if isinstance(clip, tuple) else (clip, clip),
        reference=tables["reference"] if "kl_weight" in options else None,
        kl_weight=options.get("kl_weight", 0.0), estimator=options.get("kl_estimator", "k3"),
        divisor=options.get("divisor"),
    )  # fmt: skip
    alone = d = np.where(keep, tables["logprob"] - tables["old"], 0.0)
    if options["loss"] == "gspo":
        counts = np.maximum(keep.sum(axis=1), 1)
        d = np.broadcast_to((d.sum(axis=1) / counts)[:, None], d.shape)
    apart = np.abs(tables["reference"] - tables["logprob"])
    worth = np.abs(advantage if advantage.ndim == 2 else advantage[:, None]) * np.exp(np.minimum(d, 80.0))
    terms = worth * (1 + np.maximum(d - 80, 0)) * (1 + np.abs(tables["logprob"])) + options.get("kl_weight", 0) * (
        np.expm1(apart) + apart + 1
    )
    with np.errstate(divide="ignore", invalid="ignore"):
        share = np.where(found["slopes"] != 0, found["gradient"] / found["slopes"], 0.0)
    return found | {"size": np.where(keep, terms, 0.0), "share": np.abs(share), "d": alone}


def _reference(inputs: Inputs) -> Outputs:
    out: dict[str, Any] = {}
    for i in range(len(VARIANTS)):
        found = _exact(inputs, i)
        out |= {f"{i} {name}": found[name] for name in ("gradient", "losses", "saturated", *SUMS)}
    return out


def _bound(i: int, name: str) -> Any:
    """Some ulp of the terms that are added."""

    def bound(inputs: Inputs) -> np.ndarray:
        found = _exact(inputs, i)
        if name == "gradient":
            return np.where(found["share"] > 0, 8 * np.spacing(found["size"] * found["share"]), 0.0)
        if name == "losses":
            n, width = found["size"].shape
            whole = {"tokens": found["counts"].sum(), "room": n * width}.get(
                reference.policy.DIVISORS[VARIANTS[i]["loss"]]
            )
            over = np.maximum(found["counts"], 1) if whole is None else VARIANTS[i].get("divisor", whole) / n
            return 1e-14 * found["size"].sum(axis=1) / over
        apart = np.abs(np.asarray(inputs["reference"], np.float64) - np.asarray(inputs["logprob"], np.float64))
        d = apart if name == "reference" else np.maximum(found["d"], 0)
        return 2e-13 * (np.exp(np.minimum(d, 80.0)) * (1 + np.maximum(d - 80, 0)) + 1 + 200 * (d > 0)).sum(axis=1)

    return bound


BOUNDED = ("gradient", "losses", "ratio", "kl", "reference")


def _make_groups(dtype: str, n: int) -> Inputs:
    rewards = as_dtype(normalish(n, 96), dtype)
    rewards[n // 2 :] = np.round(np.asarray(rewards[n // 2 :], np.float64))  # with groups without spread
    return {"rewards": rewards, "groups": np.arange(n) * 5 % (n // 3 + 1)}


COMPARISONS: list[dict[str, Any]] = [
    {"method": "group"},
    {"method": "group", "ddof": 0, "epsilon": 1e-4},
    {"method": "group", "normalise": "none"},
    {"method": "leave_one_out"},
]


def _compared(inputs: Inputs) -> Outputs:
    return {
        str(i): sy.preference.advantages(inputs["rewards"], groups=inputs["groups"], **options).advantages
        for i, options in enumerate(COMPARISONS)
    }


def _compared_reference(inputs: Inputs) -> Outputs:
    rewards = np.asarray(inputs["rewards"], np.float64)
    return {
        str(i): reference.policy.within_groups(
            rewards, inputs["groups"], leave_one_out=options["method"] == "leave_one_out",
            scaled=options["method"] == "group" and "normalise" not in options,
            ddof=options.get("ddof", 1), epsilon=options.get("epsilon", 0.0),
        )
        for i, options in enumerate(COMPARISONS)
    }  # fmt: skip


def _make_along(_: str, n: int) -> Inputs:
    of = _make("float64", n)
    size = n * WIDTH
    rewards, values = (normalish(size, stream).reshape(n, WIDTH) for stream in (97, 98))
    return of | {"rewards": rewards, "values": values, "bootstrap": normalish(n, 99)}


def _along(inputs: Inputs) -> Outputs:
    found = sy.preference.advantages(
        inputs["rewards"], method="gae", values=inputs["values"], bootstrap=inputs["bootstrap"], gamma=0.97, lam=0.9,
        where=inputs["where"], lengths=inputs["lengths"],
    )  # fmt: skip
    assert found.returns is not None
    return {"advantages": found.advantages, "returns": found.returns}


def _along_reference(inputs: Inputs) -> Outputs:
    keep = inputs["where"] & (np.arange(WIDTH) < inputs["lengths"][:, None])
    worth, returns = reference.policy.along_tokens(
        inputs["rewards"], inputs["values"], keep, inputs["bootstrap"], gamma=0.97, lam=0.9
    )
    return {"advantages": worth, "returns": returns}


CASES = [
    Case(
        name="preference.policy_loss",
        covers=("policy_loss",),
        make=_make,
        run=_run,
        reference=_reference,
        lengths=(1, 3, 33),
        bound={f"{i} {name}": _bound(i, name) for i in range(len(VARIANTS)) for name in BOUNDED},
    ),
    Case(
        name="preference.group_advantages",
        covers=("group_advantages",),
        make=_make_groups,
        run=_compared,
        reference=_compared_reference,
        lengths=(1, 2, 15, 100),
        bound={str(i): 1e-14 for i in range(len(COMPARISONS))},
    ),
    Case(
        name="preference.token_advantages",
        covers=("token_advantages",),
        dtypes=("",),
        make=_make_along,
        run=_along,
        reference=_along_reference,
        lengths=(1, 3, 33),
        bound={"advantages": 1e-13, "returns": 1e-13},
    ),
]

"""Rows of the power of 0/1 answers, against the sum over every outcome."""

from __future__ import annotations

import numpy as np

from steelyard import _core
from steelyard._registries import names
from steelyard.reference import power

from . import Case, Inputs, Outputs
from .uncertainty_proportions import _fisher, _limits, _mcnemar, _paired_limits, _unpaired_limits

HOW = {"confidence_level": 0.95, "alternative": "two-sided"}
ALPHA = 1.0 - 0.95
MARGIN = 0.125


def _settings(dtype: str, n: int) -> Inputs:
    """Settings of n rows, of which the shares lie on both sides of what is asked."""
    wins = np.array([0.5, 0.25, 0.0, 1.0, 0.4])
    return {
        "n": np.full(len(wins), n, np.int64), "m": np.full(len(wins), 1 + n // 2, np.int64), "wins": wins,
        "losses": np.array([0.125, 0.25, 0.0, 0.0, 0.0]), "q": np.array([0.25, 0.5, 0.75, 0.0, 0.4]),
    }  # fmt: skip


def _share(method: str):
    def run(inputs: Inputs) -> Outputs:
        of = {"n": inputs["n"], "p": inputs["wins"], "above": inputs["q"]}
        return {"power": _core.proportion_power(**of, method=method, **HOW)}

    def reference(inputs: Inputs) -> Outputs:
        def one(n: int, p: float, above: float) -> float:
            return power.of_share(n, p, lambda k: _limits(method, k, n)[0] > above)

        rows = zip(*(inputs[name].tolist() for name in ("n", "wins", "q")), strict=True)
        return {"power": np.array([one(*row) for row in rows])}

    return run, reference


def _pairs(method: str, test: str | None):
    def run(inputs: Inputs) -> Outputs:
        margin = np.full(len(inputs["n"]), 0.0 if test else MARGIN)
        of = {name: inputs[name] for name in ("n", "wins", "losses")}
        return {"power": _core.paired_power(**of, margin=margin, method=method, test=test, **HOW)}

    def reference(inputs: Inputs) -> Outputs:
        def decides(n: int, b: int, c: int) -> bool:
            if test:
                return _mcnemar(test, "two-sided", b, c) <= ALPHA
            return _paired_limits(method, 0, b, c, n - b - c)[0] > -MARGIN

        rows = zip(*(inputs[name].tolist() for name in ("n", "wins", "losses")), strict=True)
        found = [power.of_pairs(n, up, down, lambda b, c, n=n: decides(n, b, c)) for n, up, down in rows]
        return {"power": np.array(found)}

    return run, reference


def _samples(method: str, test: str | None):
    def run(inputs: Inputs) -> Outputs:
        margin = np.full(len(inputs["n"]), 0.0 if test else MARGIN)
        of = {"n": inputs["n"], "m": inputs["m"], "p": inputs["wins"], "q": inputs["q"]}
        return {"power": _core.unpaired_power(**of, margin=margin, method=method, test=test, **HOW)}

    def reference(inputs: Inputs) -> Outputs:
        def decides(sizes: tuple[int, int], k: int, j: int) -> bool:
            if test:
                return _fisher(test, "two-sided", (k, j), sizes) <= ALPHA
            return _unpaired_limits(method, (k, j), sizes)[0] > -MARGIN

        rows = zip(*(inputs[name].tolist() for name in ("n", "m", "wins", "q")), strict=True)
        found = [power.of_samples((n, m), (p, q), lambda k, j, n=n, m=m: decides((n, m), k, j)) for n, m, p, q in rows]
        return {"power": np.array(found)}

    return run, reference


def _case(name: str, core: str, made: tuple, lengths: tuple[int, ...]) -> Case:
    run, reference = made
    return Case(
        name=f"uncertainty.power_{name}", covers=(core,), make=_settings, run=run, reference=reference, dtypes=("",),
        lengths=lengths, bound={"power": 1e-12},
    )  # fmt: skip


SHARES = ("wilson", "clopper-pearson", "mid-p")
CASES = [
    *(_case(f"share_{method}", "proportion_power", _share(method), (1, 2, 17, 60)) for method in SHARES),
    *(
        _case(f"pairs_{method}", "paired_power", _pairs(method, None), (1, 2, 17))
        for method in ("tango", "bonett-price")
    ),
    *(_case(f"pairs_{test}", "paired_power", _pairs("tango", test), (1, 2, 17, 30)) for test in names("answers.test")),
    *(
        _case(f"samples_{method}", "unpaired_power", _samples(method, None), (1, 2, 12))
        for method in names("unpaired.method")
    ),
    *(
        _case(f"samples_{test}", "unpaired_power", _samples("newcombe", test), (1, 2, 17))
        for test in names("answers.test")
    ),
]

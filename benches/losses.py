"""What each preference loss takes beside DPO: ``python -m benches.losses [PAIRS]`` prints the ratios of
``docs/decisions/0080-preference.md``, in CPU time of one thread, of whole calls and of the core's part of them.
"""

from __future__ import annotations

import statistics
import sys
import time
from collections.abc import Callable
from typing import Any

import numpy as np

import steelyard as sy
from steelyard import _core
from steelyard._registries import REGISTRIES, names

ROUNDS = 15
VARIANTS: dict[str, dict[str, Any]] = {
    "dpo": {},
    "dpo, label_smoothing": {"label_smoothing": 0.1},
    **{f"dpo, {name}": {"divergence": name} for name in ("forward-kl", "js", "alpha")},
    "dpo, margin": {"margin": True},
    "dpo, weights": {"weights": True},
    "dpo, float64 results": {"dtype": "float64"},
    **{name: {"loss": name} for name in names("preference.loss") if name != "dpo"},
}


class Spent:
    """Stands in front of the core's call and adds up the CPU time that it takes."""

    def __init__(self) -> None:
        self.seconds = 0.0
        self.call = _core.preference_loss

    def __call__(self, *args: Any, **options: Any) -> Any:
        start = time.process_time()
        found = self.call(*args, **options)
        self.seconds += time.process_time() - start
        return found


def calls(pairs: int) -> dict[str, Callable[[], Any]]:
    """Return a call for each variant, on float32 columns and whole lengths."""
    rng = np.random.default_rng(0)
    policy = [-100 + 15 * rng.standard_normal(pairs) for _ in range(2)]
    reference = [column + 2 * rng.standard_normal(pairs) for column in policy]
    columns = [np.minimum(column, -1.0).astype(np.float32) for column in (*policy, *reference)]
    lengths = tuple(rng.integers(20, 400, pairs) for _ in range(2))
    beside = {"margin": rng.random(pairs), "weights": rng.random(pairs) + 0.5}

    def call(options: dict[str, Any]) -> Callable[[], Any]:
        reads = REGISTRIES["preference.loss"][options.get("loss", "dpo")].columns
        given = {name: beside.get(name, value) for name, value in options.items()}
        given |= {"lengths": lengths} if "lengths" in reads else {}
        some = columns if "reference" in reads or "batch" in reads else columns[:2]
        return lambda: sy.preference_loss(*some, **given)

    return {name: call(options) for name, options in VARIANTS.items()}


def main(pairs: int) -> None:
    """Measure all variants in turn, round after round, and print the medians."""
    made = calls(pairs)
    spent = Spent()
    whole: dict[str, list[float]] = {name: [] for name in made}
    core: dict[str, list[float]] = {name: [] for name in made}
    _core.preference_loss = spent  # type: ignore[assignment]
    with sy.threads(1):
        for turn in range(ROUNDS):
            for name in list(made) if turn % 2 == 0 else reversed(list(made)):
                made[name]()
                spent.seconds = 0.0
                start = time.process_time()
                made[name]()
                whole[name].append(time.process_time() - start)
                core[name].append(spent.seconds)
    _core.preference_loss = spent.call
    print(f"{pairs} pairs; dpo: {1e9 * statistics.median(whole['dpo']) / pairs:.2f} ns a pair")
    print(f"{'':24} call  core  core, ns a pair")
    for name in made:
        calls_, cores = (
            statistics.median(a / b for a, b in zip(of[name], of["dpo"], strict=True)) for of in (whole, core)
        )
        print(f"{name:24} {calls_:4.1f}  {cores:4.1f}  {1e9 * statistics.median(core[name]) / pairs:.2f}")


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 1_000_000)

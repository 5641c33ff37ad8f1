"""How often confidence sequences ever miss the mean, and their widths beside those of intervals for a fixed n."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from functools import lru_cache
from typing import Any, NamedTuple

import numpy as np

import steelyard as sy
from steelyard.errors import SteelyardWarning
from steelyard.uncertainty import ConfidenceSequenceState, confidence_sequence

SETS = 500
LONGEST = 10_000
LOOKS = (10, 20, 50, 100, 200, 500, 1000, 2000, 5000, LONGEST)
WIDTHS = (100, 1000, LONGEST)
ORDERED = ("betting", "empirical-bernstein")
COUNTED = "beta-binomial"


class Scores(NamedTuple):
    """A stream of scores, of a model or of a model and its baseline."""

    new: np.ndarray
    base: np.ndarray | None = None


Draw = Callable[[np.random.Generator], Scores]


def answers(share: float) -> Draw:
    return lambda rng: Scores((rng.random(LONGEST) < share).astype(np.float64))


def pairs(rng: np.random.Generator) -> Scores:
    """0/1 answers that differ on a fifth of the items: 60 % of them are wins."""
    base = rng.random(LONGEST) < 0.7
    differ = rng.random(LONGEST) < 0.2
    new = np.where(differ, rng.random(LONGEST) < 0.6, base)
    return Scores(new.astype(np.float64), np.where(differ, 1.0 - new, base))


def graded(rng: np.random.Generator) -> Scores:
    """Shares whose differences are small: the model's are the baseline's, moved a little to either side."""
    base = rng.beta(4, 4, LONGEST)
    return Scores(base + rng.uniform(-0.5, 0.5, LONGEST) * np.minimum(base, 1.0 - base), base)


DESIGNS: tuple[tuple[str, Draw, float], ...] = (
    ("0/1, .5", answers(0.5), 0.5),
    ("0/1, .9", answers(0.9), 0.9),
    ("0/1, .99", answers(0.99), 0.99),
    ("uniform", lambda rng: Scores(rng.random(LONGEST)), 0.5),
    ("beta(10, 30)", lambda rng: Scores(rng.beta(10, 30, LONGEST)), 0.25),
    ("pairs of 0/1, a fifth differ", pairs, 0.2 * (0.6 - 0.4)),
    ("pairs, graded", graded, 0.0),
)


def _until(x: Scores, n: int) -> tuple[np.ndarray, ...]:
    return tuple(column[:n] for column in x if column is not None)


def _ordered(method: Any, x: Scores) -> tuple[np.ndarray, np.ndarray]:
    """Limits at the looks, each the tightest of all times before: the last ones say whether any missed."""
    path = ConfidenceSequenceState(method=method).update(*_until(x, LONGEST)).path(LOOKS)
    return path.low, path.high


@lru_cache(1 << 20)
def _of_counts(k: int, n: int) -> tuple[float, float]:
    e = confidence_sequence(np.repeat([1.0, 0.0], [k, n - k]), method=COUNTED)
    return float(e.low), float(e.high)  # type: ignore[arg-type]


def _counted(x: Scores) -> tuple[np.ndarray, np.ndarray]:
    """Limits at the looks and, to see whether any misses, at every time up to 200 and every twentieth later."""
    times = np.concatenate([np.arange(1, 200), np.arange(200, LONGEST + 1, 20)])
    k = np.cumsum(x.new).astype(np.int64)[times - 1]
    low, high = np.array([_of_counts(*pair) for pair in zip(k.tolist(), times.tolist(), strict=True)]).T
    return low, high


def _fixed(x: Scores) -> tuple[np.ndarray, np.ndarray]:
    """The intervals for a fixed n at the looks."""
    found = [
        sy.estimate(*_until(x, n)) if x.base is None else sy.compare(x.new[:n], baseline=x.base[:n]).difference
        for n in LOOKS
    ]
    low, high = np.array([(float(e.low), float(e.high)) for e in found]).T  # type: ignore[arg-type]
    return low, high


class Found(NamedTuple):
    missed: float
    widths: list[float]


def missed(draw: Draw, truth: float, sets: int) -> dict[str, Found]:
    """For each kind of interval the share of streams in which one ever misses, and the mean width at some times."""
    kinds: dict[str, Callable[[Scores], Any]] = {
        "betting": lambda x: _ordered("betting", x),
        "empirical Bernstein": lambda x: _ordered("empirical-bernstein", x),
    }
    rng = np.random.Generator(np.random.Philox(31))
    first = draw(rng)
    if first.base is None and np.isin(first.new, (0.0, 1.0)).all():
        kinds["beta-binomial"] = _counted
    kinds["for a fixed n"] = _fixed
    at = [LOOKS.index(n) for n in WIDTHS]
    ever, total, known = dict.fromkeys(kinds, 0), np.zeros((len(kinds), len(at))), np.zeros((len(kinds), len(at)))
    for stream in range(sets):
        x = draw(np.random.Generator(np.random.Philox(stream)))
        for row, (kind, limits) in enumerate(kinds.items()):
            low, high = limits(x)
            ever[kind] += bool((~((low <= truth) & (truth <= high))).any())
            if kind == "beta-binomial":
                low, high = np.array([_of_counts(int(x.new[:n].sum()), n) for n in LOOKS]).T
            width = (high - low)[at]  # NaN where the limits of different times leave no mean
            known[row] += ~np.isnan(width)
            total[row] += np.nan_to_num(width)
    widths = (total / known).tolist()
    return {kind: Found(ever[kind] / sets, widths[row]) for row, kind in enumerate(kinds)}


def section(scale: float = 1.0) -> str:
    sets = max(1, int(SETS * scale))
    lines = [
        "## Confidence sequences",
        "",
        f"95 %; {sets:,} streams of {LONGEST:,} scores per design (standard error {np.sqrt(0.05 * 0.95 / sets):.3f} at .05): "
        "in what share of the streams an interval ever missed the mean, and the mean width after some scores. Betting and "
        "empirical Bernstein are looked at after every score, beta-binomial after each of the first 200 and every "
        f"twentieth later, and the interval for a fixed n (`estimate`, `compare`), which is not made for it, {len(LOOKS)} "
        f"times: after {', '.join(f'{n:,}' for n in LOOKS)}. Seeds: 0 on.",
        "",
        f"| scores | interval | ever missed | {' | '.join(f'width, n = {n:,}' for n in WIDTHS)} |",
        f"|---|---|---|{'---|' * len(WIDTHS)}",
    ]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", SteelyardWarning)
        for name, draw, truth in DESIGNS:
            for kind, found in missed(draw, truth, sets).items():
                cells = " | ".join(f"{width:.4f}" for width in found.widths)
                lines.append(f"| {name} | {kind} | {found.missed:.3f} | {cells} |")
    return "\n".join(lines)

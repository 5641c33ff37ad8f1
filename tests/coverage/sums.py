"""How often the intervals of statistics of sums contain the true value."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

import steelyard as sy

Columns = tuple[np.ndarray, ...]
Draw = Callable[[np.random.Generator, int], Columns]
SETS = 1000
SIZES = (20, 50, 200)
CLUSTERS, ROWS = 20, 8


def normal(rng: np.random.Generator, n: int) -> Columns:
    return (rng.normal(size=n),)


def exponential(rng: np.random.Generator, n: int) -> Columns:
    return (rng.exponential(size=n),)


def uniform(rng: np.random.Generator, n: int) -> Columns:
    return (rng.random(n),)


def log_normal(rng: np.random.Generator, n: int) -> Columns:
    return (np.exp(rng.normal(size=n)),)


def pairs(rho: float) -> Draw:
    """Normal pairs of unit variances and this correlation, which is the slope too."""

    def draw(rng: np.random.Generator, n: int) -> Columns:
        x = rng.normal(size=n)
        return x, rho * x + np.sqrt(1 - rho**2) * rng.normal(size=n)

    return draw


def predicted(rng: np.random.Generator, n: int) -> Columns:
    """Targets of unit variance, of which the predictions explain 81 %."""
    x, y = pairs(0.9)(rng, n)
    return 0.9 * x, y


def documents(rng: np.random.Generator, n: int) -> Columns:
    """Documents of 5 to 50 tokens with exponential NLL of mean 1."""
    tokens = rng.integers(5, 51, n)
    return rng.gamma(tokens.astype(np.float64)), tokens.astype(np.float64)


def answers(ones: float, sensitivity: float, specificity: float) -> Draw:
    def draw(rng: np.random.Generator, n: int) -> Columns:
        targets = rng.random(n) < ones
        right = rng.random(n) < np.where(targets, sensitivity, specificity)
        return (targets == right).astype(np.float64), targets.astype(np.float64)

    return draw


def truth(statistic: str, ones: float, sensitivity: float, specificity: float) -> float:
    """The value of a statistic of answers in the population."""
    tp, fn = ones * sensitivity, ones * (1 - sensitivity)
    tn, fp = (1 - ones) * specificity, (1 - ones) * (1 - specificity)
    said = tp + fp
    chance = said * ones + (1 - said) * (1 - ones)
    return {
        "accuracy": tp + tn,
        "precision": tp / said,
        "recall": sensitivity,
        "f1": 2 * tp / (2 * tp + fp + fn),
        "balanced_accuracy": (sensitivity + specificity) / 2,
        "mcc": (tp - said * ones) / np.sqrt(said * (1 - said) * ones * (1 - ones)),
        "kappa": (tp + tn - chance) / (1 - chance),
    }[statistic]


def forecasts(rng: np.random.Generator, n: int) -> Columns:
    """Calibrated probabilities, uniform in [0, 1]: a Brier score of 1/6 and a log loss of 1/2."""
    p = rng.random(n)
    return p, (rng.random(n) < p).astype(np.float64)


def sentences(rng: np.random.Generator, n: int) -> Columns:
    """The counts of BLEU: 5 to 39 words, of whose k-grams a share q^k matches, q uniform in [.3, .9]; 0 to 3 words miss."""
    lengths, share = rng.integers(5, 40, n), rng.uniform(0.3, 0.9, n)
    totals = [lengths - k for k in range(4)]
    matches = [rng.binomial(total, share ** (k + 1)) for k, total in enumerate(totals)]
    return tuple(column.astype(np.float64) for column in (lengths, lengths + rng.integers(0, 4, n), *matches, *totals))


def translations(rng: np.random.Generator, n: int) -> Columns:
    """The counts of chrF, of the same sentences with characters for words."""
    lengths, share = rng.integers(30, 200, n), rng.uniform(0.3, 0.9, n)
    longer, found = lengths + rng.integers(0, 10, n), []
    for k in range(6):
        found += [lengths - k, longer - k, rng.binomial(lengths - k, share ** (k + 1))]
    return tuple(column.astype(np.float64) for column in found)


def expected_share(k: int) -> float:
    """The mean of q^k, q uniform in [.3, .9]."""
    return (0.9 ** (k + 1) - 0.3 ** (k + 1)) / (k + 1) / 0.6


BLEU = 100 * float(np.exp(1 - 23.5 / 22) * np.prod([expected_share(k) for k in range(1, 5)]) ** 0.25)
PRECISION = float(np.mean([expected_share(k) for k in range(1, 7)]))
RECALL = float(np.mean([expected_share(k + 1) * (114.5 - k) / (119 - k) for k in range(6)]))
CHRF = 100 * 5 * PRECISION * RECALL / (4 * PRECISION + RECALL)
BALANCED, FEW, GOOD = (0.5, 0.8, 0.8), (0.2, 0.7, 0.9), (0.5, 0.95, 0.95)
DESIGNS: tuple[tuple[str, str, Draw, float], ...] = (
    ("sum of 1 a row", "sum", exponential, 1.0),
    ("geometric_mean", "geometric_mean", log_normal, 1.0),
    ("perplexity", "perplexity", documents, float(np.e)),
    ("variance, normal", "variance", normal, 1.0),
    ("variance, uniform", "variance", uniform, 1 / 12),
    ("variance, exponential", "variance", exponential, 1.0),
    ("std, normal", "std", normal, 1.0),
    ("skewness, normal", "skewness", normal, 0.0),
    ("skewness, exponential", "skewness", exponential, 2.0),
    ("kurtosis, normal", "kurtosis", normal, 0.0),
    ("kurtosis, exponential", "kurtosis", exponential, 6.0),
    ("correlation 0", "correlation", pairs(0.0), 0.0),
    ("correlation .9", "correlation", pairs(0.9), 0.9),
    ("slope .5", "slope", pairs(0.5), 0.5),
    ("rmse", "rmse", predicted, float(np.sqrt(0.19))),
    ("r2", "r2", predicted, 0.81),
    ("brier", "brier", forecasts, 1 / 6),
    ("log_loss", "log_loss", forecasts, 0.5),
    *(
        (f"{statistic}, {name}", statistic, answers(*rates), truth(statistic, *rates))
        for statistic in ("precision", "recall", "f1", "balanced_accuracy", "mcc", "kappa")
        for name, rates in (("half ones", BALANCED), ("a fifth ones", FEW), ("95 % right", GOOD))
    ),
    ("bleu", "bleu", sentences, BLEU),
    ("chrf", "chrf", translations, CHRF),
)


def of_clusters(draw: Draw, rng: np.random.Generator) -> tuple[Columns, np.ndarray]:
    """Clusters of 1 to 15 rows, of which every second one repeats the first of its cluster."""
    sizes = rng.integers(1, 2 * ROWS, CLUSTERS)
    ids = np.repeat(np.arange(CLUSTERS), sizes)
    place = np.arange(len(ids)) - np.repeat(np.cumsum(sizes) - sizes, sizes)
    first = np.arange(len(ids)) - place
    source = np.where(place % 2 == 0, first, np.arange(len(ids)))
    return tuple(column[source] for column in draw(rng, len(ids))), ids


def held(statistic: str, draw: Draw, value: float, n: int, trials: int, seed: int) -> tuple[float, float]:
    """The share of intervals that contain the true value, and the share of sets that have an interval."""
    rng = np.random.Generator(np.random.Philox(seed))
    inside = limits = 0
    for _ in range(trials):
        columns, ids = (draw(rng, n), None) if n else of_clusters(draw, rng)
        try:
            found = sy.estimate(columns if len(columns) > 1 else columns[0], statistic, clusters=ids)  # type: ignore[call-overload]
        except ValueError:  # a sample without a value of the statistic, such as one without a predicted one
            continue
        if found.low is None:
            continue
        # Of a sum the clusters are what is drawn, so that the number of rows varies.
        true = value * (n or CLUSTERS * ROWS) if statistic == "sum" else value
        limits += 1
        inside += found.low <= true <= found.high
    return inside / max(limits, 1), limits / trials


def section(scale: float = 1.0) -> str:
    """The table as Markdown."""
    trials = max(20, int(scale * SETS))
    lines = [
        "## Statistics of sums",
        "",
        f"95 % intervals of `estimate(columns, statistic)` over {SETS:,} sets per design (standard error 0.007 at .95): n "
        f"independent rows, or {CLUSTERS} clusters of 1 to {2 * ROWS - 1} rows of which every second one repeats the first "
        "row of its cluster. `half ones`: 50 % ones, sensitivity and specificity .8; `a fifth ones`: 20 % ones, .7 and .9; "
        "`95 % right`: 50 % ones, .95 and .95. `of` gives the share of the sets that have limits. Seeds: ten times n, and "
        "the place of the row.",
        "",
        f"| statistic | {' | '.join(f'n = {n}' for n in SIZES)} | {CLUSTERS} clusters |",
        "|---|" + "---|" * (len(SIZES) + 1),
    ]
    for place, (name, statistic, draw, value) in enumerate(DESIGNS):
        cells = []
        for n in (*SIZES, 0):
            share, known = held(statistic, draw, value, n, trials, 10 * n + place)
            cells.append(f"{share:.3f}{'' if known == 1.0 else f' of {known:.3f}'}")
        lines.append(f"| {name} | {' | '.join(cells)} |")
    return "\n".join(lines) + "\n"

"""What ``llama-perplexity --kl-divergence`` prints, by its formulas, and what the 16 bits of its files cost."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .. import _core
from .._estimate import json_ready
from .._mode import standard_mode_methods
from .._result import Result
from .._text import html_table
from ..errors import shown, type_error, value_error

__all__ = ["KLFigures", "figures_of"]

Floats = NDArray[np.float64]
# The shares of sorted values that are printed, from the largest down.
OF_KLD = (0.999, 0.99, 0.95, 0.9, 0.5, 0.1, 0.05, 0.01, 0.001)
OF_DELTA_P = (0.999, 0.99, 0.95, 0.9, 0.75, 0.5, 0.25, 0.1, 0.05, 0.01, 0.001)
NEEDED = ("kl_llama_cpp", "same_top")


@standard_mode_methods
@dataclass(frozen=True, eq=False)
class KLFigures(Result):
    """The figures that llama.cpp prints when it compares a model Q with a base file, under the names that it prints.

    ``figures["Mean KLD"]`` is the pair of a value and its standard error, None where llama.cpp prints none; ``print``
    shows all of them, and what the 16 bits of the base cost. Correlation, changes of probability and the share of equal
    tops are in per cent, as printed.

    Attributes
    ----------
    values, errors : dict of str to float
        The value of each figure, and of some the standard error for independent tokens (n - 1, Gaussian propagation).
    n : int
        The tokens that count.
    largest_step : float
        The largest difference of log-probabilities that a code of the base stands for, in nats.
    log_totals : (float, float)
        The logarithm of what the stored probabilities of a row sum to, the smallest and the largest: 0 would be exact.
        llama.cpp's divergence of a model from itself lies about as far from 0.

    Examples
    --------
    >>> import numpy as np
    >>> import steelyard as sy
    >>> logits = 3 * np.sin(np.arange(2 * 8 * 5.0)).reshape(2, 8, 5).astype(np.float32)
    >>> base = sy.tokens.KLBase.write("base.kld", logits, np.arange(16).reshape(2, 8) % 5)
    >>> figures = base.figures(sy.token_scores(logits[:, 4:7].round(), base.targets, baseline=base))
    >>> figures.n, f"{figures['Mean KLD'][0]:.4f} ± {figures['Mean KLD'][1]:.4f}", figures["Same top p"][0]
    (6, '0.0175 ± 0.0039', 100.0)
    """

    values: dict[str, float]
    errors: dict[str, float]
    n: int
    largest_step: float
    log_totals: tuple[float, float]

    def __getitem__(self, name: str) -> tuple[float, float | None]:
        if name not in self.values:
            raise value_error("name", f"one of {', '.join(self.values)}", repr(name))
        return self.values[name], self.errors.get(name)

    def cost(self) -> str:
        """What the 16 bits of the base cost, in a sentence."""
        low, high = map(_exp, self.log_totals)
        return (
            f"The base is in 16 bits: a code is {self.largest_step:.1e} nats at most, what is more than 16 nats below "
            f"the largest is cut off, and the probabilities of a row sum to {low:.6f} up to {high:.6f}, which is "
            "why these KLD may be below 0"
        )

    def to_dict(self) -> dict[str, Any]:
        """Return the figures in types that JSON has."""
        names = ("values", "errors", "n", "largest_step", "log_totals")
        return {name: json_ready(getattr(self, name)) for name in names}

    def __str__(self) -> str:
        wide = max(map(len, self.values))
        lines = []
        for name, value in self.values.items():
            unit = " %" if _is_percent(name) else ""
            error = f" ± {self.errors[name]:10.6f}" if name in self.errors else ""
            lines.append(f"{name:{wide}}: {value:11.6f}{error}{unit}")
        return "\n".join([*lines, self.cost()])

    def _repr_html_(self) -> str:
        """Render as the table a notebook shows."""
        rows = [
            [name, f"{value:.6f}", f"{self.errors[name]:.6f}" if name in self.errors else ""]
            for name, value in self.values.items()
        ]
        return html_table(rows, ["figure", "value", "error"], self.cost())


def _is_percent(name: str) -> bool:
    return name.endswith("Δp") or name.startswith(("Cor(", "Same top"))


def figures_of(scores: Any, steps: NDArray[np.float32]) -> KLFigures:
    """The figures of :meth:`KLBase.figures`, with the step of each row of the file."""
    if getattr(scores, "baseline", None) is None:
        raise type_error("scores", "token_scores(logits, base.targets, baseline=base)", shown(scores))
    if missing := [name for name in NEEDED if getattr(scores, name) is None]:
        expected = "the columns that a base gives by default"
        raise value_error("scores", expected, f"none of {missing[0]!r}", "leave columns= out")
    n_rows = steps.size
    if scores.nll.size != n_rows or scores.several:
        raise value_error("scores", f"one target for each of {n_rows} rows", f"shape {scores.nll.shape}")
    keep = scores.counted.reshape(-1)
    n = int(np.count_nonzero(keep))
    if n < 2:
        raise value_error("scores", "at least two tokens that count", str(n))
    column = {name: getattr(scores, name).reshape(-1)[keep] for name in ("nll", "kl_llama_cpp", "same_top")}
    totals = scores.baseline.log_z.reshape(-1)[keep]
    # As the file has it, log p is the logit of a row that is normalised to find the NLL.
    stored = scores.baseline.nll.reshape(-1)[keep] - totals
    nll, kld = column["nll"], column["kl_llama_cpp"]
    delta = _core.math_exp(-nll) - _core.math_exp(-stored)
    values: dict[str, float] = {}
    errors: dict[str, float] = {}
    _perplexities(nll, stored, values, errors)
    values["Mean KLD"], errors["Mean KLD"] = _mean(kld)
    _quantiles("KLD", kld, OF_KLD, 1.0, values)
    mean, error = _mean(delta)
    values["Mean Δp"], errors["Mean Δp"] = 100.0 * mean, 100.0 * error
    _quantiles("Δp", delta, OF_DELTA_P, 100.0, values)
    square, error = _mean(delta * delta)
    root = math.sqrt(square)
    values["RMS Δp"], errors["RMS Δp"] = 100.0 * root, 100.0 * (0.5 / root * error if root > 0 else 0.0)
    same = math.fsum(column["same_top"]) / n
    values["Same top p"], errors["Same top p"] = 100.0 * same, 100.0 * math.sqrt(same * (1.0 - same) / (n - 1))
    step = float(steps.reshape(-1)[keep].max())
    return KLFigures(values, errors, n, step, (float(totals.min()), float(totals.max())))


def _mean(x: Floats) -> tuple[float, float]:
    """The mean and its standard error: the root of the mean square deviation / (n - 1)."""
    mean = math.fsum(x) / len(x)
    off = x - mean
    return mean, math.sqrt(math.fsum(off * off) / len(x) / (len(x) - 1))


def _exp(x: float) -> float:
    return float(_core.math_exp(np.array([x]))[0])


def _perplexities(nll: Floats, stored: Floats, values: dict[str, float], errors: dict[str, float]) -> None:
    """Perplexities of both, their ratio and difference, with the covariance of both logarithms in the errors."""
    n = len(nll)
    new, e_new = _mean(nll)
    base, e_base = _mean(stored)
    covariance = math.fsum((nll - new) * (stored - base)) / n / (n - 1)
    both = e_new * e_base
    ppl, ppl_base = _exp(new), _exp(base)
    values["Mean PPL(Q)"], errors["Mean PPL(Q)"] = ppl, ppl * e_new
    values["Mean PPL(base)"], errors["Mean PPL(base)"] = ppl_base, ppl_base * e_base
    values["Cor(ln(PPL(Q)), ln(PPL(base)))"] = 100.0 * (covariance / both if both > 0 else math.nan)
    of_ratio = math.sqrt(max(0.0, e_new * e_new + e_base * e_base - 2.0 * covariance))
    values["Mean ln(PPL(Q)/PPL(base))"], errors["Mean ln(PPL(Q)/PPL(base))"] = new - base, of_ratio
    ratio = _exp(new - base)
    values["Mean PPL(Q)/PPL(base)"], errors["Mean PPL(Q)/PPL(base)"] = ratio, ratio * of_ratio
    own, other = ppl * e_new, ppl_base * e_base
    squares = own * own + other * other - 2.0 * ppl * ppl_base * covariance
    values["Mean PPL(Q)-PPL(base)"] = ppl - ppl_base
    errors["Mean PPL(Q)-PPL(base)"] = math.sqrt(max(0.0, squares))


def _quantiles(what: str, x: Floats, shares: tuple[float, ...], unit: float, values: dict[str, float]) -> None:
    """The extremes and the shares between them: values and places in float32, linear between neighbours."""
    ordered = np.sort(x.astype(np.float32), kind="stable")
    last = len(ordered) - 1
    values[f"Maximum {what}"] = unit * float(ordered[-1])
    for share in shares:
        if share == 0.5:
            middle = np.float32(0.5) * (ordered[last // 2] + ordered[(last + 1) // 2])
            values[f"Median {what}"] = unit * float(middle)
            continue
        place = np.float32(share) * np.float32(last)
        below = int(place)
        rest = place - np.float32(below)
        between = (np.float32(1) - rest) * ordered[below] + rest * ordered[min(below + 1, last)]
        values[f"{100 * share:.1f}% {what}"] = unit * float(between)
    values[f"Minimum {what}"] = unit * float(ordered[0])

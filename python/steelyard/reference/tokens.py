"""Token scores and mean NLL as formulas, in float64 with exact sums."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .. import _core

__all__ = [
    "coded_rows", "decoded_rows", "hidden_gradients", "mean_nll", "same_mean", "sequence_nll", "sketch", "sketch_kl",
    "token_gradients", "token_pairs", "token_scores", "token_scores_from_hidden",
]  # fmt: skip

Floats = NDArray[np.float64]
# Relative differences between the means of clusters that the rounding of their tokens explains: 8 steps at 1 in float64
# and float32. In 16 bits, 8 steps would be 1 or 6 per cent, so there it is one step, which is what storing can change.
ROUNDING = {"float64": 8 * 2.0**-52, "float32": 8 * 2.0**-23, "float16": 2.0**-10, "bfloat16": 2.0**-7}


def log_sum_exp(row: Floats) -> float:
    """``log(sum(exp(row)))``, with the maximum factored out and an exact sum; relative error at most 4e-15."""
    top = float(row.max())
    return top + math.log(math.fsum(np.exp(row - top)))


def nll(row: Floats, target: int) -> float:
    """Negative log-likelihood of ``target`` under the softmax of ``row``."""
    return log_sum_exp(row - row.max()) + float(row.max() - row[target])


def log_z(row: Floats, target: int) -> float:
    """Logarithm of the sum of exponentials; the target is not used."""
    return log_sum_exp(row)


def entropy(row: Floats, target: int) -> float:
    """``-sum(p * log(p))`` with p the softmax of ``row``; the target is not used.

    It is log Z - sum p x, written so that nothing cancels: log(1 + rest) - sum d exp(d) / (1 + rest), where
    d = row - max and rest is the sum of exp(d) over all elements but one maximum.
    """
    d = np.delete(row - row.max(), row.argmax())
    d = d[d > -np.inf]
    rest = math.fsum(np.exp(d))
    return math.log1p(rest) - math.fsum(d * np.exp(d)) / (1 + rest)


def varentropy(row: Floats, target: int) -> float:
    """Variance of ``-log(p)`` under p, the softmax of ``row``; the target is not used.

    It is the mean of (d + H - log S)**2, so that nothing cancels: d = row - max, and H - log S is minus the mean of d.
    """
    d = row - row.max()
    d = d[d > -np.inf]
    p = np.exp(d) / math.fsum(np.exp(d))
    return math.fsum(p * (d - math.fsum(p * d)) ** 2)


def collision(row: Floats, target: int) -> float:
    """``sum(p**2)``, the probability that two draws from the softmax of ``row`` are equal; the target is not used."""
    e = np.exp(row - row.max())
    return math.fsum(e * e) / math.fsum(e) ** 2


def top(row: Floats, target: int) -> float:
    """The class with the largest logit, the first of equal ones; the target is not used."""
    return float(row.argmax())


def correct(row: Floats, target: int) -> float:
    """1 where the target is the top class, else 0."""
    return float(row.argmax() == target)


def confidence(row: Floats, target: int) -> float:
    """Probability of the top class; the target is not used."""
    return 1 / math.fsum(np.exp(row - row.max()))


def probability(row: Floats, target: int) -> float:
    """Probability of the target."""
    return math.exp(row[target] - row.max()) / math.fsum(np.exp(row - row.max()))


def margin(row: Floats, target: int) -> float:
    """Logit of the target minus the largest of the others, which is also the difference of their log-probabilities."""
    return float(row[target] - np.delete(row, target).max(initial=-np.inf))


def rank(row: Floats, target: int) -> float:
    """1 plus the number of classes with a larger logit than the target's."""
    return float(1 + np.count_nonzero(row > row[target]))


def rank_ties(row: Floats, target: int) -> float:
    """The number of classes whose logit is at least the target's, itself included."""
    return float(np.count_nonzero(row >= row[target]))


def top_k(row: Floats, target: int) -> float:
    """The smallest k for which the target is among the k largest logits, the first of equal ones going first."""
    return rank(row, target) + np.count_nonzero(row[:target] == row[target])


def z_loss(row: Floats, target: int) -> float:
    """The square of log Z; the target is not used."""
    return log_sum_exp(row) ** 2


def mean_logit(row: Floats, target: int) -> float:
    """Mean of the logits, ``-inf`` where a class is masked; the target is not used."""
    return math.fsum(row) / len(row)


def label_smoothed(row: Floats, target: int, label_smoothing: float = 0.0) -> float:
    """Cross-entropy against the target with probability 1 - e, e spread evenly over all classes, the target's included.

    (1 - e) nll + e (log Z - mean of the logits).
    """
    if label_smoothing == 0:
        return nll(row, target)
    shifted = row - row.max()
    spread = log_sum_exp(shifted) - math.fsum(shifted) / len(row)
    return (1 - label_smoothing) * nll(row, target) + label_smoothing * spread


COLUMNS: dict[str, Callable[[Floats, int], float]] = {
    "nll": nll, "log_z": log_z, "top": top, "correct": correct, "confidence": confidence, "probability": probability,
    "margin": margin, "entropy": entropy, "varentropy": varentropy, "collision": collision, "rank": rank,
    "rank_ties": rank_ties, "top_k": top_k, "label_smoothed": label_smoothed, "z_loss": z_loss,
    "mean_logit": mean_logit,
}  # fmt: skip
# Columns that do not depend on the target.
OF_ROW = ("log_z", "top", "confidence", "entropy", "varentropy", "collision", "z_loss", "mean_logit")


def transformed(
    logits: Any, *, scale: float = 1.0, softcap: float | None = None, temperature: float = 1.0, bias: Any = None
) -> NDArray[Any]:
    """The logits that are scored: ``softcap * tanh(scale * (x + bias) / softcap) / temperature``.

    Every step is rounded in float64 for float64 logits and in float32 for all others. A masked class stays at -inf.
    """
    x = np.asarray(logits)
    real = np.dtype(np.float64 if x.dtype == np.float64 else np.float32).type
    x = x.astype(real)
    if bias is not None:
        x = x + np.asarray(bias).astype(real)
    x = x * real(scale)
    if softcap is not None:
        x = np.where(np.isfinite(x), real(softcap) * np.tanh(x / real(softcap)), x)
    return np.asarray(x / real(temperature))


def token_scores(
    logits: Any,
    targets: Any,
    ignore_index: int | None = -100,
    *,
    where: Any = True,
    label_smoothing: float = 0.0,
    **transform: Any,
) -> dict[str, NDArray[Any]]:
    """All columns of each row of ``[..., V]`` logits, NaN where the row does not count, and ``counted``.

    ``targets`` has the shape ``[...]``, or ``[..., m]`` for m candidates a row. The kernel computes exponentials in
    float32 (in float64 for float64 logits). It differs from this function by at most 1e-6 nats for up to 262,144
    classes, or 1e-11 for float64 logits; entropy by ten times that in float32.
    """
    x = np.asarray(transformed(logits, **transform), np.float64)
    t = np.asarray(targets)
    counted = np.broadcast_to(np.asarray(where, bool), t.shape) & (ignore_index is None or t != ignore_index)
    columns = COLUMNS | {"label_smoothed": lambda row, target: label_smoothed(row, target, label_smoothing)}
    shapes = {name: x.shape[:-1] if name in OF_ROW else t.shape for name in columns}
    found = {name: np.full(shape, np.nan) for name, shape in shapes.items()}
    for place in zip(*np.nonzero(counted), strict=True):
        row = place[: x.ndim - 1]
        for name, column in columns.items():
            found[name][row if name in OF_ROW else place] = column(x[row], t[place])
    return {**found, "counted": counted}


def token_scores_from_hidden(hidden: Any, weight: Any, targets: Any, **options: Any) -> dict[str, NDArray[Any]]:
    """``token_scores`` of ``hidden @ weight.T``, with every product and sum in float64.

    The kernel sums in float32, or in float64 where one of both is float64: in the order of the elements, in stretches
    of 256.
    """
    x, w = np.asarray(hidden, np.float64), np.asarray(weight, np.float64)
    sums = [math.fsum(row * of_class) for row in x.reshape(-1, w.shape[1]) for of_class in w]
    return token_scores(np.reshape(sums, (*x.shape[:-1], len(w))), targets, **options)


def token_gradients(
    logits: Any,
    targets: Any,
    factors: Any,
    *,
    ignore_index: int | None = -100,
    softcap: float | None = None,
    label_smoothing: float = 0.0,
    z_loss: float = 0.0,
) -> Floats:
    """The gradient of ``sum(factors * loss)`` by ``[n, V]`` logits x; y = softcap tanh(x / softcap), p its softmax.

    loss = (1 - e) nll + e (log Z - mean(y)) + z log Z^2 has the slope (p (1 + 2 z log Z) - e / V - (1 - e) [v = t]) by
    y, times dy/dx = 1 - (y / softcap)^2; 0 in rows that do not count.
    """
    x, e = np.asarray(logits, np.float64), label_smoothing
    y = x if softcap is None else np.where(np.isfinite(x), softcap * np.tanh(x / softcap), x)
    found = np.zeros_like(x)
    for i, (row, t, factor) in enumerate(zip(y, targets, factors, strict=True)):
        if ignore_index is None or t != ignore_index:
            z = log_sum_exp(row)
            slope = np.exp(row - z) * (1 + 2 * z_loss * z) - e / len(row)
            slope[t] -= 1 - e
            inner = 1.0 if softcap is None else np.where(np.isfinite(row), 1 - (row / softcap) ** 2, 0.0)
            found[i] = factor * slope * inner
    return found


def hidden_gradients(
    hidden: Any, weight: Any, targets: Any, *, bias: Any = None, scale: float | None = None, **options: Any
) -> dict[str, Floats]:
    """The gradients of the sum of the losses of ``[n, H]`` hidden states x: G W, G^T x and the column sums of G.

    G is :func:`token_gradients` by the logits ``scale (x W^T + bias)``, times ``scale``. The kernel sums in float32, or
    in float64 where one of both is float64.
    """
    x, w = np.asarray(hidden, np.float64), np.asarray(weight, np.float64)
    shift, factor = 0.0 if bias is None else np.asarray(bias, np.float64), 1.0 if scale is None else scale
    logits = factor * (np.einsum("nh,vh->nv", x, w) + shift)
    slopes = factor * token_gradients(logits, targets, np.ones(len(x)), **options)
    by_state, by_weight = np.einsum("nv,vh->nh", slopes, w), np.einsum("nv,nh->vh", slopes, x)
    return {"hidden": by_state, "weight": by_weight, "bias": slopes.sum(axis=0)}


def _log_softmax(row: Floats) -> Floats:
    """Log-probabilities of all classes."""
    shifted: Floats = row - row.max()
    return np.asarray(shifted - log_sum_exp(shifted))


def _divergence(p: Floats, q: Floats) -> float:
    """KL divergence of the log-probabilities p from q, as the sum of q log(q / p) - q + p: no term is negative."""
    real, given = np.exp(p), np.exp(q)
    with np.errstate(invalid="ignore"):
        terms = np.where(given > 0, given * (q - p), 0.0) - given + real
    return math.fsum(terms) if np.isfinite(terms).all() else math.inf


def kl(new: Floats, base: Floats, target: int) -> float:
    """``sum(q * log(q / p))`` with p of the new row and q of the base; the target is not used."""
    return _divergence(_log_softmax(new), _log_softmax(base))


def kl_reverse(new: Floats, base: Floats, target: int) -> float:
    """``sum(p * log(p / q))``; the target is not used."""
    return _divergence(_log_softmax(base), _log_softmax(new))


def js(new: Floats, base: Floats, target: int) -> float:
    """The mean of the KL divergences of the mean of both distributions from each; the target is not used."""
    p, q = _log_softmax(new), _log_softmax(base)
    with np.errstate(divide="ignore"):
        m = np.log((np.exp(p) + np.exp(q)) / 2)
    return (_divergence(m, p) + _divergence(m, q)) / 2


def tv(new: Floats, base: Floats, target: int) -> float:
    """Half the sum of the absolute differences of the probabilities; the target is not used."""
    return math.fsum(np.abs(np.exp(_log_softmax(new)) - np.exp(_log_softmax(base)))) / 2


def delta_p(new: Floats, base: Floats, target: int) -> float:
    """The target's probability under the new row minus that under the base."""
    return probability(new, target) - probability(base, target)


def same_top(new: Floats, base: Floats, target: int) -> float:
    """1 where both have the same top class; the target is not used."""
    return float(new.argmax() == base.argmax())


def flips(new: Floats, base: Floats, target: int) -> float:
    """1 where the target is the top class of exactly one of both."""
    return float((new.argmax() == target) != (base.argmax() == target))


def nll_difference(new: Floats, base: Floats, target: int) -> float:
    """NLL of the target under the new row minus that under the base; 0 where both are infinite."""
    of_new, of_base = nll(new, target), nll(base, target)
    return 0.0 if of_new == of_base else of_new - of_base


def kl_llama_cpp(new: Floats, base: Floats, target: int) -> float:
    """``sum(exp(b) * (b - log(p)))`` over the classes with b > -16, b the base row as it is; the target is not used.

    This is llama.cpp's divergence from a base file. A number above 0 is no log-probability and counts as 0.
    """
    b = np.minimum(base, 0.0)
    keep = b > -16.0
    return math.fsum(np.exp(b[keep]) * (b[keep] - _log_softmax(new)[keep]))


PAIR_COLUMNS: dict[str, Callable[[Floats, Floats, int], float]] = {
    "kl": kl, "kl_reverse": kl_reverse, "js": js, "tv": tv, "delta_p": delta_p, "same_top": same_top, "flips": flips,
    "nll_difference": nll_difference, "kl_llama_cpp": kl_llama_cpp,
}  # fmt: skip


def token_pairs(
    logits: Any, baseline: Any, targets: Any, ignore_index: int | None = -100
) -> dict[str, NDArray[np.float64]]:
    """The columns that compare ``[..., V]`` logits with a baseline's, NaN where the row does not count."""
    new, base, t = np.asarray(logits, np.float64), np.asarray(baseline, np.float64), np.asarray(targets)
    found = {name: np.full(t.shape, np.nan) for name in PAIR_COLUMNS}
    for place in np.ndindex(t.shape):
        for name, column in PAIR_COLUMNS.items():
            if ignore_index is None or t[place] != ignore_index:
                found[name][place] = column(new[place], base[place], int(t[place]))
    return found


def coded_rows(logits: Any) -> NDArray[np.uint16]:
    """The rows of ``[..., V]`` logits as llama.cpp's base files hold them, ``[..., 2 ceil(V / 2) + 4]`` in 16 bits.

    The first four numbers of a row hold two float32, the step and the least log-probability; then comes a code for each
    class. Every step is rounded in float32, but the sum of the exponentials is float64.
    """
    x = np.asarray(logits).astype(np.float32)
    reach, largest, one = np.float32(16), np.float32(65535), np.float32(1)
    top = x.max(-1, keepdims=True)
    low = np.maximum(x.min(-1, keepdims=True), top - reach)
    sums = np.exp(x.astype(np.float64) - top).sum(-1, keepdims=True)
    step = (top - low) / largest
    with np.errstate(divide="ignore", over="ignore", invalid="ignore"):
        inverse = one / step
        codes = np.where((x > low) & (inverse < np.inf), np.rint(inverse * (x - low)), 0).astype(np.uint16)
    step = np.where(inverse < np.inf, step, np.float32(0))
    numbers = np.concatenate([step, low - top - np.log(sums).astype(np.float32)], -1)
    odd = np.zeros((*x.shape[:-1], x.shape[-1] % 2), np.uint16)
    return np.concatenate([numbers.view(np.uint16), codes, odd], -1)


def decoded_rows(codes: NDArray[np.uint16], n_vocab: int) -> NDArray[np.float32]:
    """The log-probabilities ``step * code + least`` of such rows, rounded twice in float32."""
    numbers = np.ascontiguousarray(codes[..., :4]).view(np.float32)
    found: NDArray[np.float32] = numbers[..., :1] * codes[..., 4 : 4 + n_vocab].astype(np.float32) + numbers[..., 1:]
    return found


def sketch(row: Floats, k: int) -> dict[str, Any]:
    """The k largest logits of a row with their classes, log Z, the probability of all other classes, the entropy."""
    ids = np.argsort(-row, kind="stable")[:k]
    rest = np.delete(row, ids)
    tail = math.exp(log_sum_exp(rest) - log_sum_exp(row)) if rest.max(initial=-np.inf) > -np.inf else 0.0
    return {"ids": ids, "logits": row[ids], "log_z": log_sum_exp(row), "tail": tail, "entropy": entropy(row, 0)}


def sketch_kl(new: Floats, base: Floats, k: int) -> float:
    """KL divergence of two rows in which all but the k largest classes of the base are one: at most that of all."""
    ids = sketch(base, k)["ids"]

    def merged(row: Floats) -> Floats:
        log_p = _log_softmax(row)
        rest = np.delete(log_p, ids)
        return np.append(log_p[ids], log_sum_exp(rest) if rest.max(initial=-np.inf) > -np.inf else -np.inf)

    return _divergence(merged(new), merged(base))


def sequence_nll(nll: Floats, counted: NDArray[np.bool_]) -> Floats:
    """Sums over the counted tokens of the last axis, exact except for one rounding.

    The kernel first truncates each term to a multiple of 2**-64, so its sums differ by less than 2**-64 per token.
    """
    rows = zip(nll, counted, strict=True)
    return np.array([math.fsum(row[counts]) for row, counts in rows], np.float64)


def mean_nll(nll: Floats, sizes: Floats, clusters: Any) -> tuple[float, float, float, float]:
    """Return m, its variance V, degrees of freedom, and the 97.5 % quantile of Student's t, from one entry per token.

    m = sum nll / sum n; with cluster sums S_g and sizes n_g, r_g = S_g - m n_g and f_g = n_g/N:
    V = sum r_g^2 / (1 - f_g) / N^2 (CR2), df = 1/(sum f^2 + (sum a)^2 - sum a^2) with a = f^2/(1 - f).
    The perplexity is exp(m), its interval exp(m +- t sqrt(V)), its standard error exp(m) sqrt(V).
    """
    ids = np.unique(clusters)
    sums = np.array([math.fsum(nll[clusters == i]) for i in ids])
    n = np.array([math.fsum(sizes[clusters == i]) for i in ids])
    total = math.fsum(n)
    m = math.fsum(nll) / total
    f = n / total
    a = f * f / (1 - f)
    r = sums - m * n
    variance = math.fsum(r * r / (1 - f)) / (total * total)
    df = 1 / (math.fsum(f * f) + math.fsum(a) * math.fsum(a) - math.fsum(a * a))
    return m, variance, df, _core.t_quantile(0.975, df)


def same_mean(sums: Floats, sizes: Floats, precision: str) -> bool:
    """Whether the mean NLL of every cluster equals that of the first, up to the rounding of the tokens.

    If it does, there is no interval. ``precision`` names the coarsest type that the tokens came in.
    """
    means, pooled = sums / sizes, math.fsum(sums) / math.fsum(sizes)
    return bool(np.all(np.abs(means - means[0]) <= ROUNDING[precision] * pooled))

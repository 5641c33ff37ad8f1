"""Two models' logits for the same tokens, compared: perplexity, divergences and flips, and where they come from."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .. import tokens, uncertainty
from .._estimate import Estimate
from .._intervals import stricter
from .._intervals import verdict as verdict_of
from .._mode import standard_mode, standard_mode_methods
from .._options import confidence_of, number
from .._progress import Progress
from ..config import show_config
from ..errors import value_error
from .build import plain
from .forms import Forms, View
from .logits_read import Scored, scored
from .logits_results import Band, LogitsContents, Margin, TokenChange
from .words import one

__all__ = ["LogitsReport", "compare_logits"]

Floats = NDArray[np.float64]
BANDS = 12  # of positions
SHARES = 10  # of tokens by entropy
MOST_TOKENS = 20
QUANTILES = {"median": 0.5, "99 %": 0.99, "99.9 %": 0.999}


@standard_mode_methods
@dataclass(frozen=True)
class LogitsReport(Forms, LogitsContents):
    """How a model's logits differ from a baseline's: data; ``str``, ``to_html``, ``to_markdown``, ``to_dict`` show it.

    Attributes
    ----------
    new, baseline : str
        The models' names.
    ratio, difference : Estimate
        The ratio of the perplexities, and its logarithm: the mean change of NLL in nats.
    perplexity, baseline_perplexity : Estimate
    kl : Estimate
        The mean KL divergence of the model from the baseline, in nats.
    kl_quantiles : dict of str to Estimate
        ``"median"``, ``"99 %"`` and ``"99.9 %"``.
    kl_largest : float
    same_top, flips : Estimate
        The share of tokens for which both have the same top class, and of those for which exactly one of both has the
        target as its top class.
    delta_p, delta_p_rms : Estimate
        Mean and root mean square of the change of the target's probability.
    margins : tuple of Margin
        What decides the exit code of the command.
    positions, entropies : tuple of Band
        By position in the sequence, and by the entropy of the baseline's distribution (tenths of the tokens).
    documents : dict of arrays
        ``id``, ``tokens``, mean ``kl``, mean ``difference`` and the baseline's mean ``nll`` of each document (sequence,
        chunk), the largest KL first; empty where none are known.
    changed : tuple of TokenChange
        The tokens with the largest KL.
    figures : KLFigures or None
        What llama.cpp prints, where the baseline is one of its files.
    infinite : int
        Tokens at which a class lost all its probability: their KL is infinite, and they are not in its mean.
    unit : str
        What the intervals are clustered by: ``"document"``, ``"sequence"`` or ``"chunk"``; "" where they take tokens as
        independent.
    confidence_level : float
    notes : tuple of str
        What was read and how.
    """

    def _view(self) -> View:
        from . import logits_page

        return logits_page

    def to_dict(self) -> dict[str, Any]:
        """Return the report in types that JSON has."""
        config = show_config(mode="dicts")
        made_by = {"version": config["version"], "numerics": config["numerics"]}
        names = [item.name for item in fields(self) if item.name != "sample"]
        return {"steelyard": made_by, **{name: plain(getattr(self, name)) for name in names}}


@standard_mode
def compare_logits(
    new: Any,
    baseline: Any,
    targets: Any = None,
    *,
    documents: Any = None,
    vocabulary: Mapping[str, int] | Sequence[str] | None = None,
    names: tuple[str, str] = ("base", "new"),
    margin: float = 0.0,
    margin_kl: float | None = None,
    margin_flips: float | None = None,
    confidence_level: float = 0.95,
    title: str | None = None,
    sources: Sequence[str] = (),
    progress: Progress = False,
) -> LogitsReport:
    """Report how a model's logits differ from a baseline's for the same tokens: a quantised model from its original.

    Everything is clustered: by ``documents`` where they are given, else by the sequences of ``[B, T, V]`` logits or the
    chunks of a base file. Logits ``[n, V]`` without documents are tokens that are taken as independent, which the
    report says; such intervals are too narrow.

    Parameters
    ----------
    new : float array [n, V] or [B, T, V], or tokens.KLBase
        The model's logits, possibly memory-mapped: they are read once. Against a base file they may be of all tokens of
        its chunks. A base file is decoded chunk by chunk.
    baseline : float array of that shape, or tokens.KLBase
        The logits of the model to compare with.
    targets : integer array [n] or [B, T], optional
        The tokens that come next; -100 does not count. A base file has its own.
    documents : ids, one per target or one per row of targets, optional
    vocabulary : list of V texts, or mapping from text to id, optional
        The tokens' texts, for the list of tokens that changed most.
    names : (str, str)
        What to call the baseline and the model.
    margin : float
        The share by which the perplexity may rise: 0.01 allows a ratio of 1.01.
    margin_kl, margin_flips : float, optional
        The largest mean KL in nats, and the largest share of tokens that may flip.
    confidence_level : float
    title : str, optional
        What the page is called.
    sources : sequence of str
        Files that the page must not overwrite.
    progress : bool or callable
        As of :func:`steelyard.token_scores`.

    Returns
    -------
    LogitsReport

    Raises
    ------
    TypeError, ValueError
        As of :func:`steelyard.token_scores`; for margins below 0, documents of another shape, and base files of
        different texts.

    Examples
    --------
    >>> import numpy as np
    >>> from steelyard import report
    >>> base = np.sin(np.arange(40 * 6 * 9.0)).reshape(40, 6, 9).astype(np.float32)
    >>> made = report.compare_logits(base.round(1), base, np.arange(240).reshape(40, 6) % 9, margin=0.01)
    >>> made.margins[0].verdict, made.kl.value < 0.001, made.same_top.value > 0.8
    ('not_worse', True, True)
    """
    limits = {"perplexity": number(margin, "margin", "a number of at least 0")}
    limits |= {
        name: number(value, f"margin_{name}", "a number of at least 0, or None")
        for name, value in (("kl", margin_kl), ("flips", margin_flips))
        if value is not None
    }
    for name, value in limits.items():
        most = 1.0 if name == "flips" else math.inf
        if not (0.0 <= value <= most and value < math.inf):
            expected = "a share from 0 to 1" if name == "flips" else "0 or more"
            raise value_error("margin" if name == "perplexity" else f"margin_{name}", expected, f"{value:g}")
    level = confidence_of(confidence_level, "two-sided").level
    of = scored(new, baseline, targets, documents=documents, vocabulary=vocabulary, progress=progress)
    known = np.isfinite(of.kl)
    if not known.any():
        raise value_error("new", "a token at which no class lost all of its probability", "none", "mask both alike")
    estimates = _Estimates(of, known, level)
    many = len(limits)
    strict = _Estimates(of, known, stricter(confidence_of(level, "two-sided"), many).level) if many > 1 else estimates
    lost = int(len(known) - np.count_nonzero(known))
    ratio = estimates.perplexities()
    every = max(1, len(of.kl) // 1500)
    return LogitsReport(
        new=names[1], baseline=names[0], ratio=_ratio(ratio), difference=ratio.difference,
        perplexity=tokens.perplexity(of.nll, clusters=of.ids, confidence_level=level),
        baseline_perplexity=tokens.perplexity(of.base_nll, clusters=of.ids, confidence_level=level),
        kl=estimates.kl(),
        kl_quantiles={
            name: estimates.of(of.kl[known], known, uncertainty.quantile(q)) for name, q in QUANTILES.items()
        },
        kl_largest=float(of.kl.max()),
        same_top=estimates.of(of.same_top), flips=estimates.flips(),
        delta_p=estimates.graded(of.delta_p), delta_p_rms=_root(estimates.graded(of.delta_p * of.delta_p)),
        margins=tuple(_margin(name, value, strict, lost) for name, value in limits.items()),
        positions=_bands(estimates, _even(of.position)), entropies=_bands(estimates, _tenths(of.entropy)),
        documents=_documents(of, known), changed=_changed(of), figures=of.figures, infinite=lost,
        unit=of.unit, confidence_level=level, notes=of.notes, sources=tuple(sources), title=title,
        sample={"entropy": of.entropy[known][::every], "kl": of.kl[known][::every]},
    )  # fmt: skip


class _Estimates:
    """The estimates of a comparison at one confidence level."""

    def __init__(self, of: Scored, known: NDArray[np.bool_], level: float) -> None:
        self.scores, self.known, self.level = of, known, level

    def of(self, x: Floats, keep: NDArray[np.bool_] | None = None, statistic: Any = "mean") -> Estimate:
        """The mean, or another statistic, of one number a token, those of ``keep``."""
        clusters = self.scores.clusters
        ids = None if clusters is None else clusters if keep is None else clusters[keep]
        return uncertainty.estimate(x, statistic, clusters=ids, confidence_level=self.level)

    def graded(self, x: Floats, keep: NDArray[np.bool_] | None = None) -> Estimate:
        """The mean of numbers that are no answers of yes and no, also where all of them are 0."""
        if x.any():
            return self.of(x, keep)
        clusters = self.scores.clusters
        found = None if clusters is None else len(np.unique(clusters if keep is None else clusters[keep]))
        reason = "all are 0, and no spread is no certainty"
        return Estimate(
            value=0.0, low=None, high=None, confidence_level=self.level, standard_error=None, n=len(x),
            n_clusters=found, method="no interval", reason=reason,
        )  # fmt: skip

    def kl(self) -> Estimate:
        return self.graded(self.scores.kl[self.known], self.known)

    def flips(self) -> Estimate:
        return self.of(self.scores.flips)

    def perplexities(self) -> uncertainty.Comparison:
        of = self.scores
        found: uncertainty.Comparison = uncertainty.compare(
            of.nll, baseline=of.base_nll, statistic="perplexity", clusters=of.ids, confidence_level=self.level
        )
        return found


def _ratio(found: uncertainty.Comparison) -> Estimate:
    assert found.ratio is not None
    return found.ratio


def _root(square: Estimate) -> Estimate:
    """The root of a mean square, with the roots of its limits."""

    def root(x: float | None) -> float | None:
        return None if x is None else math.sqrt(max(0.0, x))

    value = math.sqrt(float(square))
    spread = one(square.standard_error)
    return Estimate(
        value=value, low=root(one(square.low)), high=root(one(square.high)), confidence_level=square.confidence_level,
        standard_error=None if spread is None or value == 0 else 0.5 / value * spread,
        n=square.n, n_clusters=square.n_clusters, method=square.method, reason=square.reason,
    )  # fmt: skip


def _margin(name: str, margin: float, at: _Estimates, lost: int) -> Margin:
    """The verdict on one margin: less is better."""
    e = _ratio(at.perplexities()) if name == "perplexity" else at.kl() if name == "kl" else at.flips()
    low, high = one(e.low), one(e.high)
    if name == "kl" and lost:
        return Margin(name, margin, e, "worse")
    if low is None or high is None:
        return Margin(name, margin, e, "undecided")
    same = 1.0 if name == "perplexity" else 0.0
    return Margin(name, margin, e, verdict_of(same - high, same - low, margin))


def _even(values: Floats) -> tuple[NDArray[np.int64], list[tuple[float, float]]]:
    """Bands of equal width of whole numbers: the band of each value, and the limits of all bands."""
    low, high = int(values.min()), int(values.max())
    width = -(-(high - low + 1) // BANDS)
    codes = ((values - low) // width).astype(np.int64)
    last = int(codes.max())
    return codes, [(low + width * k, min(high, low + width * (k + 1) - 1)) for k in range(last + 1)]


def _tenths(values: Floats) -> tuple[NDArray[np.int64], list[tuple[float, float]]]:
    """Bands of equal numbers of tokens by rising value."""
    order = np.argsort(values, kind="stable")
    bands = min(SHARES, len(values))
    codes = np.empty(len(values), np.int64)
    codes[order] = np.arange(len(values)) * bands // len(values)
    edges = [values[codes == k] for k in range(bands)]
    return codes, [(float(edge.min()), float(edge.max())) for edge in edges]


def _bands(estimates: _Estimates, bands: tuple[NDArray[np.int64], list[tuple[float, float]]]) -> tuple[Band, ...]:
    of, known = estimates.scores, estimates.known
    codes, limits = bands
    found = []
    for k, (low, high) in enumerate(limits):
        mine = codes == k
        if not (both := mine & known).any():
            continue
        kl = estimates.graded(of.kl[both], both)
        n = int(np.count_nonzero(mine))
        change, flips = (math.fsum(x[mine]) / n for x in (of.nll - of.base_nll, of.flips))
        found.append(Band(low, high, n, kl, change, flips))
    return tuple(found)


def _documents(of: Scored, known: NDArray[np.bool_]) -> dict[str, NDArray[Any]]:
    """What each document's tokens are on the mean, the largest KL first."""
    if of.clusters is None:
        return {}
    names, codes = np.unique(of.clusters[known], return_inverse=True)
    sizes = np.bincount(codes, minlength=len(names)).astype(np.float64)
    means = {
        name: np.bincount(codes, x[known], len(names)) / sizes
        for name, x in (("kl", of.kl), ("difference", of.nll - of.base_nll), ("nll", of.base_nll))
    }
    order = np.argsort(-means["kl"], kind="stable")
    return {"id": names[order].astype(np.str_), "tokens": sizes[order].astype(np.int64)} | {
        name: x[order] for name, x in means.items()
    }


def _changed(of: Scored) -> tuple[TokenChange, ...]:
    order = np.argsort(-of.kl, kind="stable")[:MOST_TOKENS]
    return tuple(
        TokenChange(
            place=of.place(i),
            document="" if of.clusters is None else str(of.clusters[i]),
            target=of.text(int(of.target[i])), baseline_top=of.text(int(of.base_top[i])), top=of.text(int(of.top[i])),
            context=of.context(i), baseline_probability=float(of.base_probability[i]),
            probability=float(of.probability[i]), kl=float(of.kl[i]),
        )
        for i in map(int, order)
    )  # fmt: skip

"""The loss of a policy on its answers, with what is told of the step as Estimates."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .. import _intervals
from .._estimate import Estimate
from .._lazy import lazy
from .._mode import standard_mode_methods
from .._options import Confidence
from .._result import Result
from .._rows import Clusters, Rows
from .._text import html_table

__all__ = ["PolicyLoss"]

Floats = NDArray[np.float64]
LINES = ("loss", "clip_share", "ratio", "kl", "reference_kl")


@standard_mode_methods
@dataclass(frozen=True, eq=False, kw_only=True, repr=False)
class PolicyLoss(Result):
    """The loss of a policy on answers, its gradient, and what is told of the step, with intervals.

    Means over tokens weigh every token alike, as one ratio of sums over all answers, never a mean of batch means; their
    intervals take answers, or the prompts given as ``clusters``, as what was drawn. For "gspo" clips and ratios are
    those of whole answers and their means are over answers. Where all values are equal, as the ratios are before the
    first update, a mean has no interval.

    Attributes
    ----------
    losses : ndarray, shape [n]
        The share of each answer in the loss: their mean is the loss. 0 for an answer without tokens that count.
    gradient : ndarray, shape [n, T], or None
        The derivative of the loss (all of it, divisor included) with respect to ``logprob``; 0 for tokens that do not
        count. ``None`` with ``gradients=False``.
    n_tokens : ndarray of int, shape [n]
        The number of tokens of each answer that count.
    loss : Estimate
        The loss.
    clip_share, clip_share_low, clip_share_high : Estimate
        The share of tokens whose ratio was clipped: at all, below (for "cispo" whatever the advantage, else where it is
        negative), above (where it is positive).
    ratio : Estimate
        The mean of ``exp(logprob - old_logprob)``, which is 1 in expectation over tokens of the old policy.
    kl : Estimate
        The divergence of the policy from the old one, per token, by k3: the mean of ``r - 1 - log r``.
    reference_kl : Estimate or None
        The divergence from the reference, per token, by ``kl_estimator``.
    saturated : int
        The number of tokens with ``logprob - old_logprob > 80`` (for "gspo" of answers by their mean), or for k3
        with ``reference_logprob - logprob > 80``: their exponential went on in a straight line.
    empty : int
        The number of answers without a token that counts.
    left_out : dict
        ``"where"``: the number of tokens that ``where`` left out.

    Examples
    --------
    >>> import steelyard as sy
    >>> out = sy.preference.policy_loss([[-1.0, -2.0], [-0.5, -1.5]], [[-1.5, -2.0], [-0.5, -1.4]], [1.0, -1.0])
    >>> out.clip_share.value, out.n_tokens.tolist()
    (0.25, [2, 2])
    """

    losses: Floats
    gradient: NDArray[Any] | None
    n_tokens: NDArray[np.int64]
    saturated: int
    empty: int
    left_out: dict[str, int]
    _sums: dict[str, Floats]
    """For each answer its sums over tokens: losses, clips, ratios less 1, divergences."""
    _clusters: Clusters | None
    """The clusters of the answers."""
    _of_answers: bool
    """Whether ratios are those of whole answers."""
    _per_token: bool
    """Whether the loss is a mean over tokens."""
    _confidence: Confidence
    _steps: dict[str, float]
    """One rounding step of the largest log-probability, in ``"nats"``, and how far it moves the ``"loss"`` at most."""

    @lazy
    def loss(self) -> Estimate:
        """The loss."""
        step = self._steps["loss"]
        if self._per_token:
            return self._over_tokens("loss", self._sums["loss"], step)
        rows = Rows(None, self._clusters, self.left_out)
        return _intervals.mean(
            self.losses, self._confidence, rows, name="losses", kind="graded", bounded=False, step=step
        )

    @lazy
    def clip_share(self) -> Estimate:
        """The share of ratios that were clipped."""
        return self._share(self._sums["low"] + self._sums["high"])

    @lazy
    def clip_share_low(self) -> Estimate:
        """The share of ratios that were clipped below."""
        return self._share(self._sums["low"])

    @lazy
    def clip_share_high(self) -> Estimate:
        """The share of ratios that were clipped above."""
        return self._share(self._sums["high"])

    @lazy
    def ratio(self) -> Estimate:
        """The mean ratio."""
        sums = self._sums["ratio"]
        if not self._of_answers:
            return self._over_tokens("ratio", sums, self._steps["nats"], shift=1.0)
        return self._over_answers(1.0 + self._mean_of_each(sums), "ratios")

    @lazy
    def kl(self) -> Estimate:
        """The divergence of the policy from the old one, per token."""
        return self._over_tokens("kl", self._sums["kl"], self._steps["nats"])

    @lazy
    def reference_kl(self) -> Estimate | None:
        """The divergence of the policy from the reference, per token."""
        sums = self._sums.get("reference")
        return None if sums is None else self._over_tokens("reference_kl", sums, self._steps["nats"])

    @property
    def _filled(self) -> NDArray[np.bool_]:
        """The answers that have tokens."""
        filled: NDArray[np.bool_] = self.n_tokens > 0
        return filled

    def _mean_of_each(self, sums: Floats) -> Floats:
        """The mean of each answer that has tokens."""
        filled = self._filled
        means: Floats = sums[filled] / self.n_tokens[filled]
        return means

    def _by_cluster(self) -> Clusters:
        """The clusters of the answers that have tokens; each answer is one where none are given."""
        filled = self._filled
        if self._clusters is None:
            count = int(np.count_nonzero(filled))
            return Clusters(np.arange(count), count)
        kept, codes = np.unique(self._clusters.codes[filled], return_inverse=True)
        return Clusters(codes.astype(np.int64), len(kept))

    def _over_tokens(self, name: str, sums: Floats, step: float, shift: float = 0.0) -> Estimate:
        """The mean over tokens of values of which these are sums by answer, less ``shift`` a token."""
        means = self._mean_of_each(sums)
        facts = self._facts(float(means.min()) + shift, float(means.max()) + shift, step, "unknown")
        return self._quotient(name, sums, facts, "t", shift)

    def _share(self, counts: Floats) -> Estimate:
        """The share of tokens, or of answers, of which there are so many in each answer."""
        if self._of_answers:
            return self._over_answers(self._mean_of_each(counts) > 0.5, "clips")
        return self._quotient("clip_share", counts, self._facts(0.0, 1.0, 0.0, "share"), "answers")

    def _facts(self, low: float, high: float, step: float, kind: str) -> _intervals.ValueFacts:
        return _intervals.ValueFacts(low=low, high=high, step=step, rows=float(self.n_tokens.sum()), range=kind)

    def _quotient(
        self, name: str, sums: Floats, facts: _intervals.ValueFacts, score: _intervals.Score, shift: float = 0.0
    ) -> Estimate:
        filled, clusters = self._filled, self._by_cluster()
        tokens = int(self.n_tokens.sum())
        summed, sizes = (
            np.bincount(clusters.codes, weights=column[filled], minlength=clusters.total).astype(np.float64, copy=False)
            for column in (sums, self.n_tokens)
        )
        return _intervals.ratio(
            summed, sizes, self._confidence, name=name, n=tokens, score=score, shift=shift, left_out=self.left_out,
            values=facts,
        )  # fmt: skip

    def _over_answers(self, values: NDArray[Any], name: str) -> Estimate:
        clusters = None if self._clusters is None else self._by_cluster()
        rows = Rows(None, clusters, self.left_out)
        return _intervals.mean(values, self._confidence, rows, name=name, bounded=values.dtype == np.bool_)

    def to_dict(self) -> dict[str, Any]:
        """Return the Estimates and counts in types that JSON has."""
        found = {name: getattr(self, name) for name in (*LINES, "clip_share_low", "clip_share_high")}
        return {
            **{name: None if e is None else e.to_dict() for name, e in found.items()},
            "saturated": self.saturated,
            "empty": self.empty,
            "left_out": dict(self.left_out),
        }

    def _shown(self) -> list[tuple[str, str]]:
        found = [(name, getattr(self, name)) for name in LINES]
        return [(name.replace("_", " "), str(e)) for name, e in found if e is not None]

    def _repr_html_(self) -> str:
        """Render as the table a notebook shows: a row per Estimate."""
        return html_table(self._shown(), (), f"{len(self.losses)} answers, {int(self.n_tokens.sum())} tokens")

    def __repr__(self) -> str:
        lines = "\n  ".join(f"{name} {e}" for name, e in self._shown())
        return f"<PolicyLoss {lines}>"

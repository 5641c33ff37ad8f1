"""The losses of preference pairs, with their metrics as Estimates."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .. import _intervals
from .._columns import columns as columns_of
from .._estimate import Estimate
from .._lazy import lazy
from .._mode import standard_mode_methods
from .._options import Confidence
from .._result import Result
from .._rows import Rows
from .._text import html_table
from .work import Metrics, accuracy_of, displaced, margin_of, shift_of

__all__ = ["ALWAYS", "BESIDE_REFERENCE", "PreferenceLoss"]

Column = NDArray[Any]
ALWAYS = ("loss", "reward_accuracy", "reward_margin")
"""The means that every loss has."""
BESIDE_REFERENCE = ("chosen_shift", "rejected_shift", "displacement")
"""Those that need a reference."""


@standard_mode_methods
@dataclass(frozen=True, eq=False, kw_only=True, repr=False)
class PreferenceLoss(Result):
    """Losses, gradients and rewards of preference pairs, and their means with intervals.

    Where all losses or margins are equal, as at the start of training when the policy equals the reference, they show
    no spread and their means have no interval. The reward accuracy always has one, inside [0, 1].

    With an array ``beta`` (or another parameter) of length K every Estimate has shape ``(K,)``, and the arrays are not
    made; with ``columns=True`` every array of a pair's numbers below is ``[n, K]``.

    The means are those of the arrays as they are returned (in float32 rounded to that); without arrays, of float64.

    Attributes
    ----------
    losses : ndarray, shape [n], or None
        The loss of each pair, without its weight; NaN where it is not counted. ``None`` where no columns are made.
    grad_chosen, grad_rejected : ndarray, shape [n], or None
        The gradient of each pair's own loss (no 1/n) with respect to the policy's log-probability of the
        chosen and the rejected answer, times the pair's weight where there are ``weights``: the gradient of the sum of
        all losses, each with its weight. 0 where a pair is not counted. ``None`` with ``gradients=False``.
    rewards_chosen, rewards_rejected : ndarray, shape [n], or None
        The implicit rewards: ``beta`` times what the loss compares, which is ``policy - reference``, or its score (a
        ``divergence``, a mean over tokens, for losses without a reference the policy's alone).
    counted : ndarray of bool, shape [n]
        Which pairs count.
    loss : Estimate
        The mean loss.
    reward_accuracy : Estimate
        The share of pairs whose chosen answer has the higher reward; a tie counts one half. Its interval is Wilson's.
        With ties it is Wilson's with p (1 - p)/V in place of n, where V is the variance of the mean, and Student's t in
        place of z, so that it stays inside [0, 1].
    reward_margin : Estimate
        The mean of ``rewards_chosen - rewards_rejected``.
    chosen_shift, rejected_shift : Estimate, or None
        The mean of what the loss compares, without beta: how far the policy has moved from its reference in the
        log-probability of the chosen (rejected) answer, ``policy - reference``; per token for losses of means, a score
        with a ``divergence``. ``None`` for losses without a reference.
    displacement : Estimate, or None
        The share of pairs whose chosen answer has become less likely although its margin is positive: a chosen reward
        below 0 and a rejected one below that (likelihood displacement). ``None`` for losses without a reference.
    saturated : int or ndarray
        The number of counted pairs with ``|z| > 700``, where a logistic loss is flat or linear; for losses of the two
        answers each by itself ("apo_zero", "nca_pair", "bco_pair", "sppo_hard") with ``|beta x|`` or ``|beta y|``
        (less ``shift``) above 700, for "apo_down" with ``|beta x|`` or ``|z|``, for "orpo" with ``|x|`` or ``|x - y|``.
        In float32 also those with a result beyond 3.4e38, which is set to that.
    empty : int
        The number of counted pairs in which the log-probability of an answer is exactly 0 in policy and reference, as
        that of an empty answer is, or its length is 0.
    left_out : dict
        The numbers of pairs that do not count, by reason: ``"where"``, ``"nan"`` and ``"zero weight"``.

    Examples
    --------
    >>> import steelyard as sy
    >>> out = sy.preference_loss([-1.0, -2.0], [-3.0, -1.0], [-2.0, -2.0], [-2.0, -2.0], beta=[0.1, 0.5])
    >>> out.losses, out.reward_margin.value.round(3).tolist()
    (None, [0.05, 0.25])
    """

    losses: Column | None
    grad_chosen: Column | None
    grad_rejected: Column | None
    rewards_chosen: Column | None
    rewards_rejected: Column | None
    counted: NDArray[np.bool_]
    saturated: int | NDArray[np.int64]
    empty: int
    left_out: dict[str, int]
    _rows: Rows
    """The pairs that count, with their clusters, over which the means are taken."""
    _confidence: Confidence
    _betas: tuple[float, ...]
    """The beta of each setting; none where no columns are made."""
    _reference: bool
    """Whether the loss has a reference."""
    _steps: dict[str, tuple[float, ...]]
    """For loss and margin at each setting: how far one rounding step of the largest log-probability moves them."""
    _metrics: Metrics | None = None
    """The means, where they were computed without columns."""

    @lazy
    def loss(self) -> Estimate:
        """The mean loss."""
        if self._metrics is not None:
            return self._metrics.loss
        return self._each(self._mean_loss, self.losses, name="losses")

    @lazy
    def reward_accuracy(self) -> Estimate:
        """The share of pairs whose chosen answer has the higher reward; a tie counts one half."""
        if self._metrics is not None:
            return self._metrics.reward_accuracy
        return self._each(self._mean_accuracy, self.rewards_chosen, self.rewards_rejected, name="x")

    @lazy
    def reward_margin(self) -> Estimate:
        """The mean reward margin."""
        if self._metrics is not None:
            return self._metrics.reward_margin
        return self._each(self._mean_margin, self.rewards_chosen, self.rewards_rejected, name="reward margins")

    @lazy
    def chosen_shift(self) -> Estimate | None:
        """The mean move of the chosen answers from the reference."""
        return self._shift("chosen_shift", self.rewards_chosen)

    @lazy
    def rejected_shift(self) -> Estimate | None:
        """The mean move of the rejected answers from the reference."""
        return self._shift("rejected_shift", self.rewards_rejected)

    @lazy
    def displacement(self) -> Estimate | None:
        """The share of pairs whose chosen answer has become less likely while the margin rose."""
        if self._metrics is not None or not self._reference:
            return None if self._metrics is None else self._metrics.displacement
        return self._each(self._mean_displaced, self.rewards_chosen, self.rewards_rejected, name="x")

    def _shift(self, which: str, rewards: Column | None) -> Estimate | None:
        if self._metrics is not None or not self._reference:
            return None if self._metrics is None else getattr(self._metrics, which)
        return self._each(self._mean_shift, rewards, name="log-ratios")

    def _mean_shift(self, name: str, i: int, rewards: Column) -> Estimate:
        beta, step = self._betas[i], self._steps["margin"][i] / self._betas[i]
        return shift_of(rewards, beta, self._confidence, self._rows, step=step, name=name)

    def _mean_displaced(self, name: str, _: int, chosen: Column, rejected: Column) -> Estimate:
        return _intervals.mean(displaced(chosen, rejected), self._confidence, self._rows, name=name)

    def _mean_loss(self, name: str, i: int, losses: Column) -> Estimate:
        step = self._steps["loss"][i]
        return _intervals.mean(losses, self._confidence, self._rows, name=name, kind="graded", bounded=False, step=step)

    def _mean_accuracy(self, name: str, _: int, chosen: Column, rejected: Column) -> Estimate:
        return accuracy_of(chosen, rejected, self._confidence, self._rows, name=name)

    def _mean_margin(self, name: str, i: int, chosen: Column, rejected: Column) -> Estimate:
        return margin_of(chosen, rejected, self._confidence, self._rows, step=self._steps["margin"][i], name=name)

    def _each(self, mean: Callable[..., Estimate], *tables: Column | None, name: str) -> Estimate:
        """The mean of one setting, or of each setting of a sweep."""
        found = [columns_of(table, name) for table in tables]
        settings = zip(*(of.items for of in found), strict=True)
        parts = [mean(sides[0][0], i, *(column for _, column in sides)) for i, sides in enumerate(settings)]
        return _intervals.stack(parts, None) if found[0].many else parts[0]

    def to_dict(self) -> dict[str, Any]:
        """Return the Estimates and counts in types that JSON has."""
        saturated = self.saturated.tolist() if isinstance(self.saturated, np.ndarray) else self.saturated
        means = {name: getattr(self, name) for name in (*ALWAYS, *BESIDE_REFERENCE)}
        return {
            **{name: None if mean is None else mean.to_dict() for name, mean in means.items()},
            "saturated": saturated,
            "empty": self.empty,
            "left_out": dict(self.left_out),
        }

    def _repr_html_(self) -> str:
        """Render as the table a notebook shows: a row per setting, and a column per mean."""
        means = (self.loss, self.reward_accuracy, self.reward_margin)
        rows = zip(*means, strict=True) if isinstance(self.saturated, np.ndarray) else [means]
        head = ["loss", "reward accuracy", "reward margin"]
        return html_table((map(str, row) for row in rows), head, f"{len(self.counted)} pairs")

    def __repr__(self) -> str:
        if isinstance(self.saturated, np.ndarray):
            return f"<PreferenceLoss of {len(self.counted)} pairs at {len(self.saturated)} settings>"
        return (
            f"<PreferenceLoss loss {self.loss}\n"
            f"  reward accuracy {self.reward_accuracy}\n"
            f"  reward margin {self.reward_margin}>"
        )

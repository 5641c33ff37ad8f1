"""The losses of preference pairs, with their metrics as Estimates."""

from __future__ import annotations

from collections.abc import Sequence
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

__all__ = ["PreferenceLoss"]

Floats = NDArray[np.float64]


@standard_mode_methods
@dataclass(frozen=True, eq=False, kw_only=True, repr=False)
class PreferenceLoss(Result):
    """Losses, gradients and rewards of preference pairs, and their means with intervals.

    Where all losses or margins are equal, as at the start of training when the policy equals the reference, they show
    no spread and their means have no interval. The reward accuracy always has one, inside [0, 1].

    With an array ``beta`` (or another parameter) of length K every array below is ``[n, K]`` and every Estimate has
    shape ``(K,)``.

    Attributes
    ----------
    losses : ndarray, shape [n]
        The loss of each pair; NaN where it is not counted.
    grad_chosen, grad_rejected : ndarray, shape [n], or None
        The gradient of each pair's own loss (no 1/n) with respect to the policy's log-probability of the
        chosen and the rejected answer; 0 where a pair is not counted. ``None`` with ``gradients=False``.
    rewards_chosen, rewards_rejected : ndarray, shape [n]
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
    saturated : int or ndarray
        The number of counted pairs with ``|z| > 700``, where a logistic loss is flat or linear; for losses of the two
        answers each by itself ("apo_zero", "nca_pair", "bco_pair", "sppo_hard") with ``|beta x|`` or ``|beta y|``
        (less ``shift``) above 700, for "apo_down" with ``|beta x|`` or ``|z|``, for "orpo" with ``|x|`` or ``|x - y|``.
    empty : int
        The number of counted pairs in which the log-probability of an answer is exactly 0 in policy and reference, as
        that of an empty answer is, or its length is 0.
    left_out : dict
        The numbers of pairs that do not count, by reason: ``"where"`` and ``"nan"``.

    Examples
    --------
    >>> import steelyard as sy
    >>> out = sy.preference_loss([-1.0, -2.0], [-3.0, -1.0], [-2.0, -2.0], [-2.0, -2.0], beta=[0.1, 0.5])
    >>> out.losses.shape, out.reward_margin.value.round(3).tolist()
    ((2, 2), [0.05, 0.25])
    """

    losses: Floats
    grad_chosen: Floats | None
    grad_rejected: Floats | None
    rewards_chosen: Floats
    rewards_rejected: Floats
    counted: NDArray[np.bool_]
    saturated: int | NDArray[np.int64]
    empty: int
    left_out: dict[str, int]
    _rows: Rows
    """The pairs that count, with their clusters, over which the means are taken."""
    _confidence: Confidence
    _steps: dict[str, tuple[float, ...]]
    """For loss and margin at each setting: how far one rounding step of the largest log-probability moves them."""

    @lazy
    def loss(self) -> Estimate:
        """The mean loss."""
        return self._mean("losses", self.losses, kind="graded", bounded=False, steps=self._steps["loss"])

    @lazy
    def reward_accuracy(self) -> Estimate:
        """The share of pairs whose chosen answer has the higher reward; a tie counts one half."""
        chosen, rejected = self.rewards_chosen, self.rewards_rejected
        # Counted in halves (2, 1 or 0) in one-byte integers; float64 intermediates would take three times as long.
        return self._mean("x", 0.5 * np.add(chosen > rejected, chosen >= rejected, dtype=np.uint8), kind="ties")

    @lazy
    def reward_margin(self) -> Estimate:
        """The mean reward margin."""
        with np.errstate(over="ignore"):  # an overflow is refused by the mean, which must be finite
            margins = self.rewards_chosen - self.rewards_rejected
        return self._mean("reward margins", margins, kind="graded", bounded=False, steps=self._steps["margin"])

    def _mean(self, name: str, values: Floats, steps: Sequence[float] = (), **options: Any) -> Estimate:
        found = columns_of(values, name)
        parts = [
            _intervals.mean(
                column, self._confidence, self._rows, name=label, step=steps[i] if steps else 0.0, **options
            )
            for i, (label, column) in enumerate(found.items)
        ]
        return _intervals.stack(parts, None) if found.many else parts[0]

    def to_dict(self) -> dict[str, Any]:
        """Return the Estimates and counts in types that JSON has."""
        saturated = self.saturated.tolist() if isinstance(self.saturated, np.ndarray) else self.saturated
        return {
            "loss": self.loss.to_dict(),
            "reward_accuracy": self.reward_accuracy.to_dict(),
            "reward_margin": self.reward_margin.to_dict(),
            "saturated": saturated,
            "empty": self.empty,
            "left_out": dict(self.left_out),
        }

    def _repr_html_(self) -> str:
        """Render as the table a notebook shows: a row per setting, and a column per mean."""
        means = (self.loss, self.reward_accuracy, self.reward_margin)
        rows = zip(*means, strict=True) if self.losses.ndim == 2 else [means]
        head = ["loss", "reward accuracy", "reward margin"]
        return html_table((map(str, row) for row in rows), head, f"{len(self.losses)} pairs")

    def __repr__(self) -> str:
        if self.losses.ndim == 2:
            return f"<PreferenceLoss of {len(self.losses)} pairs at {self.losses.shape[1]} settings>"
        return (
            f"<PreferenceLoss loss {self.loss}\n"
            f"  reward accuracy {self.reward_accuracy}\n"
            f"  reward margin {self.reward_margin}>"
        )

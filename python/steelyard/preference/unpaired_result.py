"""The losses of answers that are not paired, with their metrics as Estimates."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .. import _core, _intervals
from .._estimate import Estimate
from .._lazy import lazy
from .._mode import standard_mode_methods
from .._options import Confidence
from .._result import Result
from .._rows import Rows
from .work import halves_of

__all__ = ["UnpairedLoss"]

Floats = NDArray[np.float64]


@standard_mode_methods
@dataclass(frozen=True, eq=False, kw_only=True, repr=False)
class UnpairedLoss(Result):
    """Losses, gradients and rewards of answers that are not paired, and their means with intervals.

    Attributes
    ----------
    losses : ndarray, shape [n]
        The loss of each answer; NaN where it is not counted. Of "aot_unpaired" the mean loss over the quantiles that
        the answer stands for: the mean over the desirable answers, over the undesirable ones and over all is the same.
    grad : ndarray, shape [n], or None
        The derivative of the sum of ``losses`` by the policy's log-probability of each answer (no 1/n); 0 where it is
        not counted. Answers of one kind whose log-ratios are equal share theirs in "aot_unpaired", which has a corner
        there. ``None`` with ``gradients=False``.
    rewards : ndarray, shape [n]
        ``beta (policy - reference)``; NaN where an answer is not counted.
    labels : ndarray of bool, shape [n]
        Which answers are desirable.
    counted : ndarray of bool, shape [n]
        Which answers count.
    kl : Estimate or None
        The mean of the mismatched log-ratios that were given, before it is cut off at 0; None for a number.
    point : float or None
        The reward by which an answer is measured: ``beta kl`` of "kto", the ``shift`` of "bco".
    loss : Estimate
        The mean loss. Its interval takes ``point`` as a number that is known. Of "aot_unpaired" the standard error is
        that of an optimal transport between two samples: of the potentials that each answer adds (Kantorovich's
        duality).
    reward_accuracy : Estimate or None
        The share of answers on the right side of ``point``, a tie one half; None for "aot_unpaired".
    reward_desirable, reward_undesirable : Estimate or None
        The mean reward of the answers of each kind; None where none of a kind counts.
    reward_margin : Estimate or None
        The mean reward of desirable answers less that of undesirable ones, clustered over both; None where one is None.
    saturated : int
        The number of counted answers with a margin (what s is taken of) above 700 in magnitude.
    empty : int
        The number of counted answers whose log-probability is exactly 0 in policy and reference.
    left_out : dict
        The numbers of answers that do not count, by reason: ``"where"`` and ``"nan"``.

    Examples
    --------
    >>> import steelyard as sy
    >>> out = sy.preference.unpaired_loss([-1.0, -2.0, -3.0], [-2.0, -2.0, -2.0], [True, False, False], loss="bco")
    >>> out.point, out.reward_accuracy.value, round(out.reward_margin.value, 3)
    (0.0, 0.8333333333333334, 0.15)
    """

    losses: Floats
    grad: Floats | None
    rewards: Floats
    labels: NDArray[np.bool_]
    counted: NDArray[np.bool_]
    kl: Estimate | None
    point: float | None
    saturated: int
    empty: int
    left_out: dict[str, int]
    _adds: Floats
    """Numbers whose mean is that of the losses, and whose spread tells how exact it is."""
    _rows: Rows
    _confidence: Confidence
    _steps: dict[str, float]
    """How far one rounding step of the largest log-probability moves a loss, and a reward."""

    @lazy
    def loss(self) -> Estimate:
        """The mean loss."""
        return self._mean("losses", self._adds, step="loss")

    @lazy
    def reward_accuracy(self) -> Estimate | None:
        """The share of answers on the right side of the point; a tie counts one half."""
        if self.point is None:
            return None
        above = halves_of(self.rewards, self.point)
        right = np.where(self.labels, above, 1.0 - above)
        return _intervals.mean(right, self._confidence, self._rows, name="x", kind="ties")

    @lazy
    def reward_desirable(self) -> Estimate | None:
        """The mean reward of desirable answers."""
        return self._of_kind(self.labels)

    @lazy
    def reward_undesirable(self) -> Estimate | None:
        """The mean reward of undesirable answers."""
        return self._of_kind(~self.labels)

    @lazy
    def reward_margin(self) -> Estimate | None:
        """The mean reward of desirable answers less that of undesirable ones."""
        kinds = [self.counted & self.labels, self.counted & ~self.labels]
        if not (kinds[0].any() and kinds[1].any()):
            return None
        means = [_core.exact_mean(self.rewards[kind]) for kind in kinds]
        margin, n = means[0] - means[1], int(np.count_nonzero(self.counted))
        # The margin is the mean of these, and its error that of the two means, also where clusters have both kinds.
        adds = np.full(len(self.rewards), np.nan)
        for kind, mean, turn in zip(kinds, means, (1.0, -1.0), strict=True):
            share = n / np.count_nonzero(kind)
            adds[kind] = margin + turn * share * (self.rewards[kind] - mean)
        return self._mean("rewards", adds, step="reward")

    def _of_kind(self, labels: NDArray[np.bool_]) -> Estimate | None:
        """The mean reward of one kind, if there is an answer of it."""
        if not (self.counted & labels).any():
            return None
        return self._mean("rewards", self.rewards, step="reward", rows=self._kind(labels))

    def _kind(self, labels: NDArray[np.bool_]) -> Rows:
        """The answers of one kind."""
        kind = self.counted & labels
        clusters = self._rows.clusters
        if clusters is not None:
            clusters = clusters.of(np.flatnonzero(kind[self.counted]))
        return self._rows._replace(keep=kind, clusters=clusters)

    def _mean(self, name: str, values: Floats, *, step: str, rows: Rows | None = None) -> Estimate:
        rows = self._rows if rows is None else rows
        return _intervals.mean(
            values, self._confidence, rows, name=name, kind="graded", bounded=False, step=self._steps[step]
        )

    def to_dict(self) -> dict[str, Any]:
        """Return the Estimates and counts in types that JSON has."""
        estimates = ("kl", "loss", "reward_accuracy", "reward_desirable", "reward_undesirable", "reward_margin")
        found = {name: getattr(self, name) for name in estimates}
        return {
            **{name: None if estimate is None else estimate.to_dict() for name, estimate in found.items()},
            "point": self.point,
            "saturated": self.saturated,
            "empty": self.empty,
            "left_out": dict(self.left_out),
        }

    def __repr__(self) -> str:
        lines = [f"<UnpairedLoss loss {self.loss}"]
        if self.reward_accuracy is not None:
            lines.append(f"reward accuracy {self.reward_accuracy}")
        if self.reward_margin is not None:
            lines.append(f"reward margin {self.reward_margin}")
        return "\n  ".join(lines) + ">"

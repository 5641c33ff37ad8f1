"""The loss of a reward model: the Bradley-Terry likelihood of its rewards."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from .. import _core, _intervals
from .._arrays import aligned, floats, to_float64
from .._estimate import Estimate
from .._lazy import lazy
from .._mode import standard_mode, standard_mode_methods
from .._options import Alternative, Confidence, NanPolicy, at_least_zero, confidence_of, flag, number
from .._progress import Progress, reporter
from .._result import Result
from .._rows import Rows, Selection
from ..errors import value_error
from .answers import of_one_shape, refuse
from .given import step
from .terms import is_column
from .work import accuracy_of, largest_slope

__all__ = ["RewardLoss", "reward_loss"]

Floats = NDArray[np.float64]


@standard_mode
def reward_loss(
    chosen: ArrayLike,
    rejected: ArrayLike,
    *,
    margin: float | ArrayLike | None = None,
    center: float = 0.0,
    where: Any = None,
    clusters: Any = None,
    nan_policy: NanPolicy = "raise",
    confidence_level: float = 0.95,
    alternative: Alternative = "two-sided",
    gradients: bool = True,
    progress: Progress = False,
) -> RewardLoss:
    r"""Compute the loss of a reward model on pairs of answers, with its exact gradients.

    With the rewards ``c = chosen`` and ``r = rejected`` and the logistic function ``s``, the loss of a pair is::

        -log s(c - r - margin) + center (c + r)^2

    minus the log-likelihood of Bradley and Terry that the chosen answer wins, by a ``margin`` that says how clear the
    preference was; the second term keeps the rewards near 0, which the first knows only up to a constant. Without both
    this is :func:`steelyard.preference_loss` with "dpo", beta 1 and references of 0, bit for bit.

    Up to ``|c - r - margin| = 700`` the first term and its derivative are within 4 ulp of the exact function of the
    margin that float64 computes; beyond, they are finite and the pair counts as saturated.

    Parameters
    ----------
    chosen, rejected : array of float, shape [n]
        The rewards of both answers of each pair; any finite numbers.
    margin : float or array of float, shape [n], optional
        What the difference of the rewards should exceed; default: 0.
    center : float
        The weight of the squared sum of the rewards, at least 0 (TRL's center_rewards_coefficient).
    where : array of bool, shape [n], optional
        The pairs that count; default: all.
    clusters : array, shape [n], optional
        The cluster of each pair, such as its prompt; the intervals are then cluster-robust.
    nan_policy : {"raise", "omit"}
        What happens where a reward or margin is NaN: raise, or leave the pair out and count it in ``left_out``.
    confidence_level, alternative
        As in :func:`steelyard.estimate`.
    gradients : bool
        Whether to return the gradients.
    progress : bool or callable
        ``True`` draws a progress bar on standard error; a callable is called with ``(done, total)``.

    Returns
    -------
    RewardLoss
        Losses and gradients of each pair, and means as Estimates.

    Raises
    ------
    TypeError, ValueError
        For columns that do not hold numbers or differ in length, and for values that are infinite or NaN (unless
        omitted).

    Examples
    --------
    >>> import steelyard as sy
    >>> out = sy.preference.reward_loss([1.5, 0.2, 3.0], [0.5, 0.2, 3.5], margin=[0.5, 0.0, 0.0], center=0.01)
    >>> out.losses.round(4), out.grad_chosen.round(4)
    (array([0.5141, 0.6947, 1.3966]), array([-0.3375, -0.492 , -0.4925]))
    >>> out.reward_accuracy.value
    0.5

    References
    ----------
    R. A. Bradley, M. E. Terry, "Rank Analysis of Incomplete Block Designs", 1952. Touvron et al., "Llama 2", 2023
    (margin). Eisenstein et al., "Helping or Herding?", 2023 (centred rewards). OpenRLHF's LogExpLoss writes ``log(1 +
    exp(-z))``, which overflows in float32 from a margin of -88 on, and leaves its margin argument unused.
    """
    gradients = flag(gradients, "gradients")
    weight = at_least_zero("center", center)
    confidence = confidence_of(confidence_level, alternative)
    several = {"margin": margin} if is_column(margin) else {}
    aligned(chosen=chosen, rejected=rejected, where=where, clusters=clusters, **several)
    columns = of_one_shape({"chosen": chosen, "rejected": rejected}, 1, "one reward per pair, [n]")
    margins = _margins(margin, len(columns[0]))
    rows = Selection(where, clusters, nan_policy, unit="pair").rows("chosen", *columns, *(m for m in margins if m.ndim))
    keep = np.ones(len(columns[0]), np.bool_) if rows.keep is None else rows.keep
    c, r, apart = (np.where(keep, to_float64(x), 0.0) for x in (*columns, *margins))
    for name, x in (("chosen", c), ("rejected", r), ("margin", apart)):
        refuse(~np.isfinite(x), x, name, "finite numbers")
    with np.errstate(over="ignore", invalid="ignore"):
        z, both = (c - r) - apart, c + r
        pull, squares = 2.0 * (weight * both), weight * (both * both)
    if not weight:
        squares = np.zeros(len(c))  # infinity times 0 is not 0
    refuse(~np.isfinite(z) | ~np.isfinite(squares), c, "chosen", "rewards whose difference and squared sum are finite")
    terms = _core.logistic_losses(z, bounded=False, progress=reporter(progress))
    losses, slopes = terms["losses"], [terms["slopes"], -terms["slopes"]]
    if weight:
        losses, slopes = losses + squares, [pull + slope for slope in slopes]
    nats = max(step(x, column.dtype) for x, column in zip((c, r), columns, strict=True))
    grads = [np.where(keep, slope, 0.0) if gradients else None for slope in slopes]
    return RewardLoss(
        losses=np.where(keep, losses, np.nan),
        grad_chosen=grads[0],
        grad_rejected=grads[1],
        rewards_chosen=np.where(keep, c, np.nan),
        rewards_rejected=np.where(keep, r, np.nan),
        counted=keep,
        saturated=int(np.count_nonzero(keep & (np.abs(z) > 700))),
        left_out=rows.left_out,
        _rows=rows,
        _confidence=confidence,
        _steps={"loss": largest_slope([slope[keep] for slope in slopes], None) * nats, "reward": nats},
    )


def _margins(margin: Any, n: int) -> list[NDArray[Any]]:
    """The margins as a column, or as one number without axes."""
    if margin is None or not is_column(margin):
        return [np.array(0.0 if margin is None else number(margin, "margin"))]
    column = floats(margin, "margin", ndim=1, numbers=True)
    if len(column) != n:
        raise value_error("margin", f"one number, or {n}, one per pair", str(len(column)))
    return [column]


@standard_mode_methods
@dataclass(frozen=True, eq=False, kw_only=True, repr=False)
class RewardLoss(Result):
    """Losses and gradients of the rewards of pairs, and means with intervals.

    Attributes
    ----------
    losses : ndarray, shape [n]
        The loss of each pair; NaN where it is not counted.
    grad_chosen, grad_rejected : ndarray, shape [n], or None
        The gradient of each pair's own loss (no 1/n) with respect to the reward of the chosen and of the rejected
        answer; 0 where a pair is not counted. ``None`` with ``gradients=False``.
    rewards_chosen, rewards_rejected : ndarray, shape [n]
        The rewards in float64; NaN where a pair is not counted.
    counted : ndarray of bool, shape [n]
        Which pairs count.
    loss : Estimate
        The mean loss.
    reward_accuracy : Estimate
        The share of pairs whose chosen answer has the higher reward, whatever the margin; a tie counts one half.
    reward_margin : Estimate
        The mean of ``chosen - rejected``.
    reward_chosen, reward_rejected : Estimate
        The mean rewards.
    saturated : int
        The number of counted pairs with ``|chosen - rejected - margin| > 700``.
    left_out : dict
        The numbers of pairs that do not count, by reason: ``"where"`` and ``"nan"``.

    Examples
    --------
    >>> import steelyard as sy
    >>> out = sy.preference.reward_loss([2.0, 1.0, 0.0], [1.0, 1.0, 1.0])
    >>> out.reward_accuracy.value, out.reward_margin.value
    (0.5, 0.0)
    """

    losses: Floats
    grad_chosen: Floats | None
    grad_rejected: Floats | None
    rewards_chosen: Floats
    rewards_rejected: Floats
    counted: NDArray[np.bool_]
    saturated: int
    left_out: dict[str, int]
    _rows: Rows
    _confidence: Confidence
    _steps: dict[str, float]
    """How far one rounding step of the largest reward moves a loss, and a reward."""

    @lazy
    def loss(self) -> Estimate:
        """The mean loss."""
        return self._mean("losses", self.losses, "loss")

    @lazy
    def reward_accuracy(self) -> Estimate:
        """The share of pairs whose chosen answer has the higher reward; a tie counts one half."""
        return accuracy_of(self.rewards_chosen, self.rewards_rejected, self._confidence, self._rows, name="x")

    @lazy
    def reward_margin(self) -> Estimate:
        """The mean difference of the rewards."""
        return self._mean("reward margins", self.rewards_chosen - self.rewards_rejected, "reward")

    @lazy
    def reward_chosen(self) -> Estimate:
        """The mean reward of chosen answers."""
        return self._mean("rewards", self.rewards_chosen, "reward")

    @lazy
    def reward_rejected(self) -> Estimate:
        """The mean reward of rejected answers."""
        return self._mean("rewards", self.rewards_rejected, "reward")

    def _mean(self, name: str, values: Floats, step: str) -> Estimate:
        return _intervals.mean(
            values, self._confidence, self._rows, name=name, kind="graded", bounded=False, step=self._steps[step]
        )

    def to_dict(self) -> dict[str, Any]:
        """Return the Estimates and counts in types that JSON has."""
        estimates = ("loss", "reward_accuracy", "reward_margin", "reward_chosen", "reward_rejected")
        return {
            **{name: getattr(self, name).to_dict() for name in estimates},
            "saturated": self.saturated,
            "left_out": dict(self.left_out),
        }

    def __repr__(self) -> str:
        lines = [f"loss {self.loss}", f"reward accuracy {self.reward_accuracy}", f"reward margin {self.reward_margin}"]
        return "<RewardLoss " + "\n  ".join(lines) + ">"

"""Losses of ranked answers: several answers to each prompt, of which some are better than others."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from .. import _core, _intervals
from .._arrays import aligned, booleans, to_float64
from .._estimate import Estimate
from .._lazy import lazy
from .._mode import standard_mode, standard_mode_methods
from .._options import Alternative, Confidence, NanPolicy, choice, confidence_of, flag, parameter
from .._progress import Progress, reporter
from .._registries import names
from .._result import Result
from .._rows import Rows, Selection
from ..errors import value_error
from .answers import finite, log_ratios, of_one_shape, refuse
from .work import largest_slope

__all__ = ["RankedLoss", "ranked_loss"]

Floats = NDArray[np.float64]
KEY = "preference.ranked.loss"
Loss = Literal["plackett_luce", "lipo"]


@standard_mode
def ranked_loss(
    policy: ArrayLike,
    reference: ArrayLike | None = None,
    *,
    labels: ArrayLike,
    loss: Loss = "plackett_luce",
    beta: float = 0.1,
    where: Any = None,
    clusters: Any = None,
    nan_policy: NanPolicy = "raise",
    confidence_level: float = 0.95,
    alternative: Alternative = "two-sided",
    gradients: bool = True,
    progress: Progress = False,
) -> RankedLoss:
    r"""Compute the loss and its exact gradients of prompts with several answers that are ranked by labels.

    With ``x = policy - reference`` of each answer (without a reference, ``x = policy``), the logistic function ``s``
    and ``d(rank) = 1 / log2(1 + rank)``, the loss of a prompt is the sum over its answers i::

        "plackett_luce"  -log(exp(beta x_i) / (exp(beta x_i) + sum of exp(beta x_j) over the j with lower labels))

    or over the pairs of its answers of which i has the higher label::

        "lipo"           (2^label_i - 2^label_j) |d(rank_i) - d(rank_j)| (-log s(beta (x_i - x_j)))

    "plackett_luce" is minus the log-likelihood of the order, in which every answer is drawn from those that are left;
    of two answers it is :func:`steelyard.preference_loss` with "dpo", bit for bit. "lipo" weighs each pair by what an
    exchange of both would change in the discounted cumulative gain of the ranks that the scores x give; the weights are
    constants to the gradient. Of two answers it is "dpo" times ``(2^label_1 - 2^label_2) (1 - 1/log2(3))``.

    Answers with equal labels are not compared with each other. (A likelihood of ties, such as Breslow's, would draw
    their scores together.) Equal scores are ranked by their labels, the higher first, so that at policy = reference the
    ranks are those of the labels; answers that are equal in both share the mean of their discounts. The order in which
    answers stand does not matter.

    Losses and gradients are sums and differences of terms, each of which is within 4 ulp of the exact function of the
    margin that float64 computes. The exponentials of an order are added from its end, in logarithms, and cannot
    overflow.

    Parameters
    ----------
    policy : array of float, shape [n, k]
        Log-probabilities in nats of k answers to each of n prompts.
    reference : array of float, shape [n, k], optional
        The same under the reference. Without it ``policy`` may hold scores of any size, such as those of a reward
        model.
    labels : array of numbers, shape [n, k]
        How good each answer is, a higher number being better: of ranks (1 is the best) pass ``-ranks``.
        "plackett_luce" takes their order alone, "lipo" their values as grades, below 1000.
    loss : {"plackett_luce", "lipo"}
        The formula; see above.
    beta : float
        Above 0.
    where : array of bool, shape [n, k], optional
        The answers that count, where prompts have fewer than k; default: all.
    clusters : array, shape [n], optional
        What belongs together, one id per prompt; default: each prompt by itself.
    nan_policy : {"raise", "omit"}
        What happens where a log-probability or label is NaN: raise, or leave the answer out and count it in
        ``left_out``.
    confidence_level, alternative
        As in :func:`steelyard.estimate`.
    gradients : bool
        Whether to return the gradients.
    progress : bool or callable
        ``True`` draws a progress bar on standard error; a callable is called with ``(done, total)``.

    Returns
    -------
    RankedLoss
        The loss of each prompt, gradients and rewards of each answer, and means over prompts as Estimates.

    Raises
    ------
    TypeError, ValueError
        For what is no table of numbers, other shapes, values that are infinite, NaN (unless omitted) or, with a
        reference, clearly positive, and where no prompt has two answers with different labels.

    Warns
    -----
    SteelyardWarning
        For log-probabilities in float16 or bfloat16, stating how far they are rounded, in nats.

    Examples
    --------
    >>> import steelyard as sy
    >>> policy, reference = [[-4.0, -7.0, -6.0]], [[-5.0, -6.5, -6.0]]
    >>> out = sy.preference.ranked_loss(policy, reference, labels=[[2, 1, 0]], beta=0.5)
    >>> out.losses.round(4), out.grad.round(4)
    (array([1.5578]), array([[-0.2595, -0.1675,  0.427 ]]))
    >>> sy.preference.ranked_loss(policy, reference, labels=[[2, 1, 0]], loss="lipo", beta=0.5).losses.round(4)
    array([1.0199])
    >>> out.reward_accuracy.value
    0.6666666666666666

    References
    ----------
    R. L. Plackett, "The Analysis of Permutations", 1975. Rafailov et al., "Direct Preference Optimization", 2023
    (appendix A.3). Liu et al., "LiPO: Listwise Preference Optimization through Learning-to-Rank", 2024, which writes
    the discount with a logarithm of no stated base; with the natural one, losses are those here over log 2.
    """
    choice(loss, "loss", names(KEY))
    factor = parameter(KEY, loss, "beta", beta)
    assert factor is not None
    gradients = flag(gradients, "gradients")
    confidence = confidence_of(confidence_level, alternative)
    aligned(policy=policy, reference=reference, labels=labels, where=where)
    models = {"policy": policy} | ({} if reference is None else {"reference": reference})
    *columns, grades = of_one_shape(models | {"labels": labels}, 2, "answers of prompts, [n, k]")
    shape = grades.shape
    if not grades.size:
        raise value_error("policy", "at least one answer", f"shape {shape}")
    counts = None if where is None else booleans(where, "where", shape).reshape(-1)
    flat = [column.reshape(-1) for column in (*columns, grades)]
    answers = Selection(counts, None, nan_policy, unit="answer").rows("policy", *flat)
    keep = None if answers.keep is None else answers.keep.reshape(shape)
    ratios = log_ratios(columns, keep)
    marks = to_float64(grades)
    marks = _marks(marks if keep is None else np.where(keep, marks, np.nan), keep, loss)
    found = _core.ranked_losses(
        ratios.values, marks, width=shape[1], loss=loss, beta=factor, progress=reporter(progress)
    )
    counted = found["compared"] > 0
    if not counted.any():
        raise value_error("labels", "a prompt with two answers that count and have different labels", "none")
    grad = found["gradients"].reshape(shape)
    with np.errstate(over="ignore"):
        rewards = factor * ratios.values
    finite(factor, rewards, grad, found["losses"][counted])
    rows = Selection(counted, clusters, "raise", unit="prompt").rows("policy", found["losses"])
    missing = int(np.count_nonzero(~counted))
    return RankedLoss(
        losses=found["losses"],
        grad=grad if gradients else None,
        rewards=rewards if keep is None else np.where(keep, rewards, np.nan),
        counted=counted,
        compared=found["compared"].astype(np.int64),
        saturated=found["saturated"],
        empty=ratios.empty,
        left_out=answers.left_out,
        _right=found["right"],
        _rows=rows._replace(left_out={"no comparison": missing} if missing else {}),
        _confidence=confidence,
        _step=largest_slope([grad], None) * ratios.step,
    )


def _marks(marks: Floats, keep: NDArray[np.bool_] | None, loss: Loss) -> Floats:
    """The labels, NaN where an answer does not count; raise for what is no label of the loss."""
    counts = np.ones(marks.shape, np.bool_) if keep is None else keep
    refuse(counts & ~np.isfinite(marks), marks, "labels", "finite numbers")
    if loss == "lipo":
        refuse(counts & (marks >= 1000), marks, "labels", "grades below 1000 for 'lipo', whose gain is 2**label")
    return marks


@standard_mode_methods
@dataclass(frozen=True, eq=False, kw_only=True, repr=False)
class RankedLoss(Result):
    """The losses of prompts with ranked answers, gradients and rewards of the answers, and means with intervals.

    Attributes
    ----------
    losses : ndarray, shape [n]
        The loss of each prompt, a sum over its answers or pairs; NaN where no two of its answers have different labels.
    grad : ndarray, shape [n, k], or None
        The gradient of each prompt's own loss (no 1/n) with respect to the policy's log-probability of each answer; 0
        where an answer is not counted. ``None`` with ``gradients=False``.
    rewards : ndarray, shape [n, k]
        ``beta (policy - reference)``; NaN where an answer is not counted.
    counted : ndarray of bool, shape [n]
        Which prompts count: those with two answers of different labels.
    compared : ndarray of int, shape [n]
        The number of pairs of answers with different labels.
    loss : Estimate
        The mean loss over prompts.
    reward_accuracy : Estimate
        The share of a prompt's pairs with different labels whose better answer has the higher reward, equal rewards one
        half; the mean over prompts.
    saturated : int
        The number of counted prompts with a margin (what s is taken of, or an answer less all below it) above 700.
    empty : int
        The number of counted answers whose log-probability is exactly 0 in policy and reference.
    left_out : dict
        The numbers of answers that do not count, by reason: ``"where"`` and ``"nan"``. (Prompts without a comparison
        are in ``loss.left_out``.)

    Examples
    --------
    >>> import steelyard as sy
    >>> out = sy.preference.ranked_loss([[1.0, 0.5, -1.0], [0.0, 2.0, 1.0]], labels=[[3, 2, 1], [1, 1, 1]])
    >>> out.compared.tolist(), out.loss.left_out
    ([3, 0], {'no comparison': 1})
    """

    losses: Floats
    grad: Floats | None
    rewards: Floats
    counted: NDArray[np.bool_]
    compared: NDArray[np.int64]
    saturated: int
    empty: int
    left_out: dict[str, int]
    _right: Floats
    """How many pairs of each prompt are in the right order; equal rewards count one half."""
    _rows: Rows
    """The prompts that count, with their clusters."""
    _confidence: Confidence
    _step: float
    """How far one rounding step of the largest log-probability moves a loss."""

    @lazy
    def loss(self) -> Estimate:
        """The mean loss over prompts."""
        return _intervals.mean(
            self.losses, self._confidence, self._rows, name="losses", kind="graded", bounded=False, step=self._step
        )

    @lazy
    def reward_accuracy(self) -> Estimate:
        """The share of a prompt's pairs that are in the right order; the mean over prompts."""
        shares = self._right / np.maximum(self.compared, 1)
        return _intervals.mean(shares, self._confidence, self._rows, name="x", kind="ties")

    def to_dict(self) -> dict[str, Any]:
        """Return the Estimates and counts in types that JSON has."""
        return {
            "loss": self.loss.to_dict(),
            "reward_accuracy": self.reward_accuracy.to_dict(),
            "saturated": self.saturated,
            "empty": self.empty,
            "left_out": dict(self.left_out),
        }

    def __repr__(self) -> str:
        return f"<RankedLoss loss {self.loss}\n  reward accuracy {self.reward_accuracy}>"

"""Preference losses of log-probabilities, with exact gradients, and metrics with intervals."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from . import _core, _intervals
from ._arrays import aligned, floats, to_float64
from ._columns import columns as columns_of
from ._estimate import Estimate
from ._lazy import lazy
from ._mode import standard_mode, standard_mode_methods
from ._options import Alternative, Confidence, NanPolicy, choice, confidence_of, flag, parameter
from ._progress import Progress, reporter
from ._registries import REGISTRIES, names
from ._result import Result
from ._rows import Rows, Selection
from ._strides import side_by_side
from ._text import html_table
from .errors import type_error, value_error, warn

__all__ = ["PreferenceLoss", "preference_loss"]

Floats = NDArray[np.float64]
Loss = Literal["dpo", "robust", "hinge", "ipo", "apo_zero", "nca_pair"]
COLUMNS = ("policy_chosen", "policy_rejected", "reference_chosen", "reference_rejected")


@standard_mode_methods
@dataclass(frozen=True, eq=False, kw_only=True, repr=False)
class PreferenceLoss(Result):
    """Losses, gradients and rewards of preference pairs, and their means with intervals.

    Where all losses or margins are equal, as at the start of training when the policy equals the reference, they show
    no spread and their means have no interval. The reward accuracy always has one, inside [0, 1].

    With an array ``beta`` of length K every array below is ``[n, K]`` and every Estimate has shape ``(K,)``.

    Attributes
    ----------
    losses : ndarray, shape [n]
        The loss of each pair; NaN where it is not counted.
    grad_chosen, grad_rejected : ndarray, shape [n], or None
        The gradient of each pair's own loss (no 1/n) with respect to the policy's log-probability of the
        chosen and the rejected answer; 0 where a pair is not counted. ``None`` with ``gradients=False``.
    rewards_chosen, rewards_rejected : ndarray, shape [n]
        ``beta (policy - reference)``, the implicit rewards.
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
        The number of counted pairs with ``|z| > 700``, where a logistic loss is flat or linear; for "apo_zero" and
        "nca_pair" with ``|beta x|`` or ``|beta y|`` above 700.
    empty : int
        The number of counted pairs in which the log-probability of an answer is exactly 0 in policy and reference, as
        that of an empty answer is.
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
    """For loss and margin at each beta: how far one rounding step of the largest log-probability moves them."""

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
        """Render as the table a notebook shows: a row per setting of beta, and a column per mean."""
        means = (self.loss, self.reward_accuracy, self.reward_margin)
        rows = zip(*means, strict=True) if self.losses.ndim == 2 else [means]
        head = ["loss", "reward accuracy", "reward margin"]
        return html_table((map(str, row) for row in rows), head, f"{len(self.losses)} pairs")

    def __repr__(self) -> str:
        if self.losses.ndim == 2:
            return f"<PreferenceLoss of {len(self.losses)} pairs at {self.losses.shape[1]} values of beta>"
        return (
            f"<PreferenceLoss loss {self.loss}\n"
            f"  reward accuracy {self.reward_accuracy}\n"
            f"  reward margin {self.reward_margin}>"
        )


@standard_mode
def preference_loss(
    policy_chosen: ArrayLike,
    policy_rejected: ArrayLike,
    reference_chosen: ArrayLike,
    reference_rejected: ArrayLike,
    *,
    loss: Loss = "dpo",
    beta: float | ArrayLike = 0.1,
    label_smoothing: float | None = None,
    where: Any = None,
    clusters: Any = None,
    nan_policy: NanPolicy = "raise",
    confidence_level: float = 0.95,
    alternative: Alternative = "two-sided",
    gradients: bool = True,
    progress: Progress = False,
) -> PreferenceLoss:
    r"""Compute the loss, its exact gradients and the rewards of preference pairs from their log-probabilities.

    With ``x = policy_chosen - reference_chosen``, ``y = policy_rejected - reference_rejected``, the reward
    margin ``z = beta (x - y)``, the logistic function ``s`` and ``e = label_smoothing``::

        "dpo"      -(1 - e) log s(z) - e log s(-z)
        "robust"   (-(1 - e) log s(z) + e log s(-z)) / (1 - 2 e)
        "hinge"    max(0, 1 - z)
        "ipo"      ((z - 1/2) / beta)^2 = (x - y - 1/(2 beta))^2
        "apo_zero" (1 - s(beta x)) + s(beta y)
        "nca_pair" -log s(beta x) - (log s(-beta x) + log s(-beta y)) / 2

    All arithmetic is float64. For |z| <= 700 ("apo_zero" and "nca_pair": |beta x| and |beta y|) a gradient is within
    4 ulp of the exact function of what float64 computes there; beyond, it is finite and monotone and the pair counts as
    saturated.

    Parameters
    ----------
    policy_chosen, policy_rejected, reference_chosen, reference_rejected : array of float, shape [n]
        Log-probabilities of whole answers, in nats, such as ``token_scores(...).sequence_logprob``: at most 0 up to
        rounding. (Log-densities may be larger; subtract one number from both the policy's and the reference's.) Keep
        them in float32 or float64: near -300 one step of bfloat16 is 2 nats. Tensors that require grad are refused:
        pass ``x.detach()``, and pass ``grad_chosen`` to ``x.backward``.
    loss : {"dpo", "robust", "hinge", "ipo", "apo_zero", "nca_pair"}
        The formula; see above. "ipo" takes summed log-probabilities, and ``beta`` is its tau (the convention of the
        paper and of torchtune; TRL averages over tokens). "dpo" with ``label_smoothing`` is the conservative DPO of the
        reference implementation (TRL ignores the parameter there).
    beta : float or array of float, shape [K]
        Above 0. With an array, each value is a problem of its own.
    label_smoothing : float, optional
        The probability that a label is wrong, in [0, 1/2); for "dpo" and "robust" only.
    where : array of bool, shape [n], optional
        The pairs that count; default: all.
    clusters : array, shape [n], optional
        The cluster of each pair (a prompt, a source); the intervals are then cluster-robust.
    nan_policy : {"raise", "omit"}
        What happens where a log-probability is NaN: raise, naming its index, or leave the pair out and count it in
        ``left_out``.
    confidence_level : float
        The confidence level of the intervals, inside (0, 1).
    alternative : {"two-sided", "less", "greater"}
        ``"less"`` gives upper limits alone, ``"greater"`` lower ones.
    gradients : bool
        Whether to compute the gradients.
    progress : bool or callable
        ``True`` draws a progress bar on standard error; a callable is called with ``(done, total)``.

    Returns
    -------
    PreferenceLoss
        Losses, gradients and rewards of each pair, and their means as Estimates.

    Raises
    ------
    TypeError, ValueError
        For columns that do not hold floats or differ in length; for values that are infinite, NaN (unless omitted) or
        clearly positive (one above 1, or both of one model's pair above .05, a sign that negative log-likelihoods were
        passed); for a ``beta`` that is not above 0; and for a parameter that the loss does not use.

    Warns
    -----
    SteelyardWarning
        For log-probabilities in float16 or bfloat16, stating how far they are rounded, in nats.

    Examples
    --------
    >>> import steelyard as sy
    >>> out = sy.preference_loss([-0.5, -10, -1], [-0.1, -30, -21], [-0.5, -10.1, -0.1], [-0.1, -20.1, -0.1])
    >>> out.losses.round(4)
    array([0.6931, 0.3133, 0.1269])
    >>> out.grad_chosen.round(4)
    array([-0.05  , -0.0269, -0.0119])
    >>> float(out.reward_accuracy)
    0.8333333333333334

    References
    ----------
    Rafailov et al., "Direct Preference Optimization", 2023. Azar et al., "A General Theoretical Paradigm to
    Understand Learning from Human Preferences", 2023. Chowdhury et al., "Provably Robust DPO", 2024. D'Oosterlinck et
    al., "Anchored Preference Optimization", 2024. Chen et al., "Noise Contrastive Alignment of Language Models with
    Explicit Rewards", 2024.
    """
    choice(loss, "loss", names("preference.loss"))
    smoothing = parameter("preference.loss", loss, "label_smoothing", label_smoothing) or 0.0
    gradients = flag(gradients, "gradients")
    betas, sweep = _betas(loss, beta)
    confidence = confidence_of(confidence_level, alternative)
    given = (policy_chosen, policy_rejected, reference_chosen, reference_rejected)
    aligned(**dict(zip(COLUMNS, given, strict=True)), where=where, clusters=clusters)
    columns = _columns(given)
    types = [column.dtype for column in columns]
    rows = Selection(where, clusters, nan_policy, unit="pair").rows(COLUMNS[0], *columns)
    _warn_rounded(columns)
    columns, absent = _blanked(columns, rows)
    crossing = _crossing(smoothing)
    scored = [
        _core.preference_loss(
            columns,
            loss=loss,
            beta=value,
            label_smoothing=smoothing,
            crossing=crossing,
            gradients=gradients,
            progress=reporter(progress),
        )
        for value in betas
    ]

    def column(arrays: Sequence[Floats], blank: float) -> Floats:
        """One output for every beta, with ``blank`` where a pair does not count; read-only like all results."""
        values = side_by_side(arrays) if sweep else arrays[0]
        if absent is not None:
            values[absent] = blank
        values.setflags(write=False)
        return values

    def slope(arrays: Sequence[Floats | None]) -> Floats | None:
        """A gradient of every beta, if gradients are asked for."""
        asked = [array for array in arrays if array is not None]
        return column(asked, 0.0) if asked else None

    losses = column([of["losses"] for of in scored], np.nan)
    rewards_chosen = column([of["rewards_chosen"] for of in scored], np.nan)
    rewards_rejected = column([of["rewards_rejected"] for of in scored], np.nan)
    grad_chosen, grad_rejected = (slope([of[side] for of in scored]) for side in ("grad_chosen", "grad_rejected"))
    saturated = [of["saturated"] for of in scored]
    # All extremes are finite: the core refuses what is not.
    nats = max(_step(column, dtype) for column, dtype in zip(columns, types, strict=True))
    steps = {
        "margin": tuple(value * nats for value in betas),
        "loss": tuple(
            _core.preference_steepest(
                loss, largest=float(np.fmax.reduce(of["losses"], initial=0.0)), beta=value, label_smoothing=smoothing
            )
            * nats
            for value, of in zip(betas, scored, strict=True)
        ),
    }
    return PreferenceLoss(
        losses=losses,
        grad_chosen=grad_chosen,
        grad_rejected=grad_rejected,
        rewards_chosen=rewards_chosen,
        rewards_rejected=rewards_rejected,
        counted=np.ones(len(columns[0]), np.bool_) if rows.keep is None else rows.keep,
        saturated=np.array(saturated, np.int64) if sweep else saturated[0],
        # Pairs that do not count were passed to the core as zeros, which it counted as empty answers.
        empty=scored[0]["empty"] - sum(rows.left_out.values()),
        left_out=rows.left_out,
        _steps=steps,
        _rows=rows,
        _confidence=confidence,
    )


def _crossing(rate: float) -> tuple[float, float]:
    """Return ``log((1 - e) / e)`` as a sum of two float64; decimal logarithms are the same on every machine."""
    if rate == 0.0:
        return 0.0, 0.0
    from decimal import Context, Decimal

    exact = Context(prec=60)
    e = Decimal(rate)
    crossing = exact.ln(exact.divide(exact.subtract(Decimal(1), e), e))
    high = float(crossing)
    return high, float(exact.subtract(crossing, Decimal(high)))


def _betas(loss: str, beta: Any) -> tuple[list[float], bool]:
    """Return the values of beta, and whether they are a sweep."""
    taken = REGISTRIES["preference.loss"][loss].parameters["beta"]
    array = floats(beta, "beta", numbers=True, bits=True)
    if array.dtype == np.bool_ or array.ndim > 1:
        raise type_error("beta", "a number or a column of numbers", f"{array.dtype} of shape {array.shape}")
    betas = to_float64(array).reshape(-1).tolist()
    if not betas:
        raise value_error("beta", "at least one value", "none")
    for value in betas:
        if not taken.allows(value):
            raise value_error("beta", taken.expected, repr(value))
    return betas, array.ndim == 1


def _columns(given: Sequence[Any]) -> list[NDArray[Any]]:
    """Return the four columns as arrays; raise where their lengths differ."""
    columns = [floats(x, name, ndim=1, numbers=True) for x, name in zip(given, COLUMNS, strict=True)]
    n = len(columns[0])
    for column, name in zip(columns, COLUMNS, strict=True):
        if len(column) != n:
            raise value_error(name, f"{n} values, one per pair", str(len(column)))
    return columns


def _blanked(columns: list[NDArray[Any]], rows: Rows) -> tuple[list[NDArray[Any]], NDArray[np.bool_] | None]:
    """Return the columns in one dtype, with 0 where a pair does not count, and the mask of these pairs, if any."""
    if len({column.dtype for column in columns}) > 1:
        columns = [to_float64(column) for column in columns]
    if rows.keep is None:
        return columns, None
    return [np.where(rows.keep, column, column.dtype.type(0)) for column in columns], ~rows.keep


def _digits(dtype: np.dtype[Any]) -> int:
    """The number of binary digits of a float type; uint16 stands for bfloat16."""
    return {np.dtype(np.uint16): 8, np.dtype(np.float16): 11, np.dtype(np.float32): 24, np.dtype(float): 53}[dtype]


def _step(column: NDArray[Any], dtype: np.dtype[Any]) -> float:
    """One unit in the last place, in ``dtype``, of the log-probability that is largest in absolute value."""
    values = to_float64(column) if column.dtype == np.uint16 else column
    largest = max(float(values.max()), -float(values.min()))
    return math.ldexp(1.0, math.frexp(largest)[1] - _digits(dtype)) if largest else 0.0


def _warn_rounded(columns: Sequence[NDArray[Any]]) -> None:
    """Warn how far a 16-bit type rounds log-probabilities of this size: by half a step at the median of a sample."""
    for column, name in zip(columns, COLUMNS, strict=True):
        if column.dtype.itemsize != 2:
            continue
        size = np.abs(to_float64(column[:: max(1, len(column) // 4096)]))
        size = size[(size > 0) & (size < np.inf)]
        if not len(size):
            continue
        typical = float(np.median(size))
        kind, digits = ("bfloat16", 8) if column.dtype == np.uint16 else ("float16", 11)
        half = math.ldexp(1.0, math.frexp(typical)[1] - digits - 1)
        warn(
            f"{name}: {kind} log-probabilities of about {-typical:.3g} are rounded by up to {half:.2g} nats each; "
            "sum and keep them in float32 or float64"
        )
        return

"""Rewards less the divergence from a reference, and a weight of that divergence that adapts."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from .._arrays import aligned, to_float64
from .._mode import standard_mode, standard_mode_methods
from .._options import at_least_zero, choice, number
from ..errors import value_error
from .advantages import rewards_of_tokens
from .answers import the_first
from .kl import ESTIMATORS, POSITIVE, Estimator, terms
from .tokens_given import counted_of, table

__all__ = ["AdaptiveKL", "penalised_reward"]

STEP = 0.2
"""How far from its target the divergence counts at most, as a share of it."""


@standard_mode
def penalised_reward(
    rewards: ArrayLike,
    logprob: ArrayLike,
    reference_logprob: ArrayLike,
    *,
    kl_weight: float,
    estimator: Estimator = "k1",
    where: Any = None,
    lengths: Any = None,
) -> NDArray[np.float64]:
    """Subtract the divergence from a reference from the rewards of tokens, ``kl_weight`` times.

    With ``d = reference_logprob - logprob`` each token gets ``-kl_weight`` times its term of :func:`kl` ("k1": ``-d``,
    "k2": ``d^2 / 2``, "k3": ``exp(d) - 1 - d``), and the rewards are added.

    Parameters
    ----------
    rewards : array of float, shape [n] or [n, T]
        The reward of each answer, which goes to its last token that counts, or of each token.
    logprob, reference_logprob : array of float, shape [n, T]
        Log-probabilities, in nats, of the tokens under the policy that wrote them and under the reference.
    kl_weight : float
        At least 0, such as the value of an :class:`AdaptiveKL`.
    estimator : {"k1", "k2", "k3"}
        "k1" alone makes the expected reward the one that is meant: in a reward, "k3" has another gradient.
    where, lengths
        The tokens that count, as in :func:`policy_loss`.

    Returns
    -------
    ndarray of float64, shape [n, T]
        The rewards of tokens, 0 for those that do not count.

    Raises
    ------
    TypeError, ValueError
        For other types and shapes, and among the tokens that count for log-probabilities that are not finite or above
        0.05, and rewards that are not finite.

    Examples
    --------
    >>> import steelyard as sy
    >>> sy.preference.penalised_reward([1.0], [[-1.0, -2.0]], [[-1.5, -1.5]], kl_weight=0.5)
    array([[-0.25,  1.25]])

    Notes
    -----
    Ziegler et al., "Fine-Tuning Language Models from Human Preferences", 2019. TRL's PPO and verl do this with "k1" by
    default.
    """
    choice(estimator, "estimator", ESTIMATORS)
    weight = at_least_zero("kl_weight", kl_weight)
    aligned(rewards=rewards, logprob=logprob, reference_logprob=reference_logprob, where=where, lengths=lengths)
    policy = to_float64(table(logprob, "logprob"))
    other = to_float64(table(reference_logprob, "reference_logprob", policy.shape, "logprob"))
    counted = counted_of(where, lengths, policy.shape)
    keep = counted.mask()
    for name, x in (("logprob", policy), ("reference_logprob", other)):
        the_first(keep & ~np.isfinite(x), x, name, "a finite log-probability", "leave such tokens out with where=")
        the_first(keep & (x > POSITIVE), x, name, "a log-probability, at most 0", "turn the sign of an NLL")
    worth = rewards_of_tokens(rewards, counted)
    with np.errstate(over="ignore", invalid="ignore"):
        d = np.where(keep, other, 0.0) - np.where(keep, policy, 0.0)
        penalised = worth - weight * terms(d, estimator)
    the_first(~np.isfinite(penalised), d, "reference_logprob", "a difference from logprob whose term is finite")
    return penalised


@standard_mode_methods
class AdaptiveKL:
    """A weight of the divergence from a reference that rises where the divergence exceeds a target, and else falls.

    Each update multiplies the weight by ``1 + clip(kl / target - 1, -0.2, 0.2) n / horizon``.

    Parameters
    ----------
    value : float
        The first weight, above 0.
    target : float
        The divergence that is wanted, above 0, in the unit of what :meth:`update` gets (per token or per answer).
    horizon : float
        The number of answers over which the weight may change by about a fifth, above 0.

    Attributes
    ----------
    value : float
        The weight.

    Raises
    ------
    TypeError, ValueError
        For what is no number, or not above 0 and finite.

    Examples
    --------
    >>> import steelyard as sy
    >>> weight = sy.preference.AdaptiveKL(0.1, target=6.0, horizon=1000)
    >>> weight.update(9.0, 100).value
    0.10200000000000001

    Notes
    -----
    Ziegler et al., "Fine-Tuning Language Models from Human Preferences", 2019, with their constant 0.2.
    """

    def __init__(self, value: float, *, target: float, horizon: float) -> None:
        given = {"value": value, "target": target, "horizon": horizon}
        self.value, self._target, self._horizon = (_positive(name, x) for name, x in given.items())

    def update(self, kl: Any, n: float) -> AdaptiveKL:
        """Adapt the weight to the divergence (a number or an Estimate) of a step of n answers; return this object."""
        apart = number(float(kl), "kl") / self._target - 1.0
        if apart != apart:
            raise value_error("kl", "a finite number", f"{kl}")
        factor = 1.0 + min(max(apart, -STEP), STEP) * _positive("n", n) / self._horizon
        if not factor > 0.0:
            raise value_error("n", f"fewer than {self._horizon / STEP:g}, five times the horizon", f"{n:g}")
        self.value *= factor
        return self

    def __repr__(self) -> str:
        return f"AdaptiveKL({self.value!r}, target={self._target!r}, horizon={self._horizon!r})"


def _positive(name: str, value: Any) -> float:
    found = number(value, name)
    if not 0.0 < found < float("inf"):
        raise value_error(name, "a number that is above 0 and finite", f"{found:g}")
    return found

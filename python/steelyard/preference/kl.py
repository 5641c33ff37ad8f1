"""How far a policy has moved from its reference, from the log-probabilities of sampled tokens."""

from __future__ import annotations

from typing import Any, Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from .. import _core, _intervals
from .._arrays import aligned, booleans, flat_ids, floats, shape_of, to_float64
from .._estimate import Estimate
from .._mode import standard_mode
from .._options import Alternative, NanPolicy, choice, confidence_of
from .._rows import Selection
from ..errors import value_error
from .answers import POSITIVE, refuse
from .given import warn_rounded

__all__ = ["ESTIMATORS", "POSITIVE", "Estimator", "kl", "terms"]

Estimator = Literal["k1", "k2", "k3"]
ESTIMATORS = ("k1", "k2", "k3")


@standard_mode
def kl(
    policy: ArrayLike,
    reference: ArrayLike,
    *,
    estimator: Estimator = "k3",
    where: Any = None,
    clusters: Any = None,
    nan_policy: NanPolicy = "raise",
    confidence_level: float = 0.95,
    alternative: Alternative = "two-sided",
) -> Estimate:
    """Estimate the Kullback-Leibler divergence of a reference from a policy, per token, from tokens the policy drew.

    With ``d = reference - policy``, the log-probabilities of a token that was drawn from the policy, the divergence
    ``KL(policy, reference) = E[-d]`` is estimated by the mean over tokens of::

        "k1"  -d                unbiased; single tokens may be negative, and so may the mean of few
        "k2"  d**2 / 2          biased where policy and reference are far apart, with a small variance near them
        "k3"  exp(d) - 1 - d    unbiased and never negative

    All three are monitors of one divergence. As losses of tokens that the policy drew they are something else: in
    expectation the gradient of k1 is 0, that of k2 is the gradient of ``KL(policy, reference)``, and that of k3 is the
    gradient of ``KL(reference, policy)``.

    Where the logits of both models are at hand, no sampling is needed: the divergence itself, summed over the
    vocabulary, is the column ``kl_reverse`` of ``token_scores(policy_logits, targets, baseline=reference_logits)``.

    Parameters
    ----------
    policy, reference : array of float, shape [n] or [B, T]
        Log-probabilities, in nats, of the same tokens, drawn from the policy.
    estimator : {"k1", "k2", "k3"}
        See above.
    where : array of bool, the shape of ``policy``, optional
        The tokens that count: those of the answers, without padding.
    clusters : array of ids, one per token or one per row of [B, T], optional
        What belongs together, such as the prompt; default: each row of [B, T], and each token of [n].
    nan_policy : {"raise", "omit"}
        What happens where a log-probability is NaN: raise, or leave the token out and count it in ``left_out``.
    confidence_level, alternative
        As in :func:`steelyard.estimate`.

    Returns
    -------
    Estimate
        The mean per token in nats, its standard error and interval.

    Raises
    ------
    TypeError, ValueError
        For what is no array of floats, other shapes, values that are infinite or clearly above 0 (a sign that negative
        log-likelihoods were passed), and no token that counts.

    Warns
    -----
    SteelyardWarning
        For log-probabilities in float16 or bfloat16, stating how far they are rounded, in nats.

    Examples
    --------
    >>> import steelyard as sy
    >>> policy, reference = [[-1.0, -0.5, -2.0], [-0.2, -1.1, -0.9]], [[-1.2, -0.4, -2.1], [-0.3, -1.5, -0.9]]
    >>> print(sy.preference.kl(policy, reference))
    0.017 [-0.081, 0.116] (95 %, clustered t, n = 6, 2 clusters)

    Notes
    -----
    J. Schulman, "Approximating KL Divergence", 2020. k3 is computed without cancellation: as ``exp(d) - d - 1`` in
    float32, as trainers write it, it is wrong by 5 % at d = 1e-3 and 0 below d = 3e-4.
    """
    choice(estimator, "estimator", ESTIMATORS)
    confidence = confidence_of(confidence_level, alternative)
    aligned(policy=policy, reference=reference, where=where)
    p, q = (floats(x, name, numbers=True) for x, name in ((policy, "policy"), (reference, "reference")))
    if p.ndim not in (1, 2):
        raise value_error("policy", "tokens, [n] or [B, T]", f"shape {p.shape}")
    if q.shape != p.shape:
        raise value_error("reference", f"the shape of policy, {p.shape}", f"shape {q.shape}")
    keep = None if where is None else booleans(where, "where", p.shape).reshape(-1)
    columns = [np.ascontiguousarray(x).reshape(-1) for x in (p, q)]
    selection = Selection(keep, _ids(clusters, p.shape), nan_policy, unit="token")
    rows = selection.rows("policy", *columns)
    warn_rounded(columns, ("policy", "reference"))
    numbers = [to_float64(x) for x in columns]
    if rows.keep is not None:
        numbers = [np.where(rows.keep, x, 0.0) for x in numbers]  # what does not count may be anything
    for name, x in zip(("policy", "reference"), numbers, strict=True):
        refuse(~np.isfinite(x), x.reshape(p.shape), name, "a finite log-probability")
        refuse(x > POSITIVE, x.reshape(p.shape), name, "a log-probability, at most 0", "turn the sign of an NLL")
    with np.errstate(over="ignore"):
        d = numbers[1] - numbers[0]
        values = terms(d, estimator)
    refuse(~np.isfinite(values), d.reshape(p.shape), "reference", "a difference from policy whose term is finite")
    return _intervals.mean(values, confidence, rows, name="the terms", kind="graded", bounded=False)


def terms(d: NDArray[np.float64], estimator: Estimator) -> NDArray[np.float64]:
    """What each token adds, for ``d = reference - policy``."""
    match estimator:
        case "k1":
            return -d
        case "k2":
            return 0.5 * d * d
    return _core.math_bend(d)


def _ids(clusters: Any, shape: tuple[int, ...]) -> Any:
    """The cluster of each token."""
    if clusters is None:
        return np.repeat(np.arange(shape[0]), shape[1]) if len(shape) == 2 else None
    given = shape_of(clusters, "clusters")
    if given == shape:
        return flat_ids(clusters, "clusters") if len(shape) == 2 else clusters
    if len(shape) == 2 and given == shape[:1]:
        return np.repeat(np.asarray(clusters), shape[1])
    raise value_error(
        "clusters", f"one id per token, {shape}" + (f", or per row, {shape[:1]}" * (len(shape) == 2)), f"shape {given}"
    )

"""The function ``reliability``: from probabilities and outcomes to a reliability diagram in one call."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, TypedDict, Unpack, overload

from .._arrays import aligned
from .._mode import standard_mode
from .._options import Alternative, NanPolicy, confidence_of
from .._progress import Progress
from .._rows import Selection
from ..errors import shown, value_error
from ._groups import by_group
from ._tokens import predictions
from .diagram import Reliability
from .state import ReliabilityState

__all__ = ["reliability"]


class _Options(TypedDict, total=False):
    """The keywords of ``reliability`` other than ``by``, which decides the type of the result."""

    n_bins: int
    classes: Any
    where: Any
    weights: Any
    clusters: Any
    confidence_level: float
    alternative: Alternative
    nan_policy: NanPolicy
    progress: Progress


@overload
def reliability(probs: Any, targets: Any = None, *, by: None = None, **options: Unpack[_Options]) -> Reliability: ...
@overload
def reliability(
    probs: Any, targets: Any = None, *, by: object, **options: Unpack[_Options]
) -> dict[str, Reliability]: ...
@standard_mode
def reliability(
    probs: Any,
    targets: Any = None,
    *,
    n_bins: int = 15,
    classes: Any = None,
    where: Any = None,
    weights: Any = None,
    clusters: Any = None,
    by: Any = None,
    confidence_level: float = 0.95,
    alternative: Alternative = "two-sided",
    nan_policy: NanPolicy = "raise",
    progress: Progress = False,
) -> Reliability | dict[str, Reliability]:
    r"""Measure how far probabilities lie from frequencies, with intervals and the noise floor.

    With :math:`n_b` predictions in bin :math:`b`, their mean probability :math:`\bar p_b` and the share
    :math:`y_b` of them that came true, the gap is :math:`g_b = \bar p_b - y_b`, the weight
    :math:`w_b = n_b / n`, and

    .. math:: \mathrm{ece} = \sum_b w_b |g_b|, \quad
              \mathrm{rmsce} = \sqrt{\sum_b w_b g_b^2}, \quad \mathrm{mce} = \max_b |g_b|.

    These plain errors are biased: a calibrated model has an ``ece`` of about
    ``noise_floor`` :math:`= \sqrt{2/\pi} \sum_b w_b \sqrt{\bar p_b (1 - \bar p_b) / n_b}`, not 0. The intervals
    account for this bias by inversion: they contain the errors under which the observed one would not be surprising.
    Nothing is resampled, so the same data give the same bits. In simulations, 95 per cent intervals of ``ece`` and
    ``rmsce`` cover 92 to 98 per cent from n = 300 on; at n = 100 as few as 88 where gaps are about as large as the
    noise of a bin.

    Rows count as independent unless ``clusters`` says which belong together. Answers about one document tend to be
    right or wrong together: with the excess :math:`M_{gb} = \sum (p - y)` of cluster :math:`g` in bin :math:`b`, the
    gaps of a calibrated model have the covariance
    :math:`\Sigma_{bc} = \frac{G}{G - 1} \sum_g M_{gb} M_{gc} / (n_b n_c)`. The noise floor and the intervals then use
    it (with :math:`M_{gb} - g_b n_{gb}` where the model is not calibrated, and Student's t with :math:`G - 1` degrees
    of freedom). In 18 simulated designs with clusters (docs/coverage.md), 5 to 53 per cent of calibrated models are
    called over- or underconfident if the rows are taken as independent, and 1 to 5 per cent with ``clusters``.

    With ``weights``, every sum over rows becomes a weighted sum: in :math:`n_b`, :math:`\bar p_b`, :math:`y_b`,
    :math:`w_b`, :math:`M_{gb}` and the clustered limits of the shares. Where no ``clusters`` are given, each row is a
    cluster of its own.

    Parameters
    ----------
    probs : array of float, shape [n] or [n, K]
        ``[n]``: the probability that something is true (a positive class, an answer). ``[n, K]``: rows of class
        probabilities, of which the largest counts (top label; the first of equals). Each row must sum to 1 within
        1e-3, or within 5e-3 where all its values are 16-bit floats, even if they arrive in a wider type, since
        rounding alone can move a sum by 4e-3 (such rows are counted as ``"rounded"`` in ``left_out``). Values in
        (1, 1 + 1e-6] are taken as 1 and counted as ``"clamped"``. Anything else outside [0, 1] is refused; logits are
        never guessed and converted. Scores of tokens with the columns ``confidence`` and ``correct`` need no
        ``targets``: every counted token is a prediction of the top token; ``where`` has the shape of the scores,
        ``weights``, ``clusters`` and ``by`` that shape, or one entry a sequence.
    targets : array of int or bool, shape [n]
        ``[n]``: 0 or 1, whether it came true. ``[n, K]``: the true class, as a column number or one of ``classes``.
    n_bins : int
        The number of equal-width bins; ``bin_low < p <= bin_high``, with 0 in the first bin. Edges ``k / n_bins`` are
        rounded to the dtype of ``probs``, so that 0.3 falls on the same side in every dtype.
    classes : array, optional
        The label of each column (scikit-learn's ``classes_``).
    where : array of bool, shape [n], optional
        Rows that count.
    weights : array of numbers, shape [n], optional
        Sampling weights, 0 or more, as in :func:`steelyard.estimate`: how many of the population a row stands for.
        Their scale does not matter. A row of weight 0 is left out and counted. Weights of ``1/k`` for the k rows of
        each id, with the ids as ``clusters``, let every id count the same.
    clusters : array of ids, shape [n], optional
        What rows have in common, such as a document or a user: whole numbers or texts. With fewer than two clusters,
        the results have values but no limits.
    by : array of ids, shape [n], optional
        The group of each row (a subject, a language). Each group is measured from its own rows. ``strata`` are not
        offered: gaps of different groups may cancel in a bin, so that no one number stands for them.
    confidence_level : float
        The confidence level of the intervals.
    alternative : {"two-sided", "greater", "less"}
        Only lower limits (``"greater"``), only upper limits (``"less"``), or both.
    nan_policy : {"raise", "omit"}
        ``"omit"`` leaves out rows with a NaN, a null or no label, and counts them in ``left_out`` as ``nan``; with
        ``by`` also rows without an id, as ``no group``.
    progress : bool or callable
        ``True`` draws a progress bar on standard error; a callable is called with ``(done, total)``.

    Returns
    -------
    Reliability
        ``ece``, ``rmsce``, ``mce`` and the signed ``gap`` as Estimates, ``noise_floor``, ``verdict()``, ``table``,
        ``plot()``; ``base_rate`` for ``[n]``, ``accuracy`` for ``[n, K]``. With weights, ``n`` and ``table["count"]``
        still count rows, ``table["weight"]`` is the share of each bin in the sum of all weights, and the Estimates have
        ``n_effective``, (sum w)^2 / sum w^2. With ``by`` a dict of one Reliability per group, by the ids as text, in
        their order; with m groups, ``detail["simultaneous_low"]`` and ``["simultaneous_high"]`` of the Estimates hold
        the limits at 1 - alpha/m, which hold for all groups at once.

    Raises
    ------
    TypeError
        If probabilities are not a float array, or labels are not integers or booleans.
    ValueError
        If shapes do not fit, if probabilities, sums, labels or weights are out of range (the message names the first
        index), or if no row counts.

    Notes
    -----
    The bins are those of Guo et al. (2017), of equal width over the probability of the top label, as in most papers.
    torchmetrics uses ``[low, high)`` and puts 1.0 into a bin of its own; netcal uses different edges for counts and
    for means in float32; scikit-learn's ``calibration_curve`` agrees in float64. With two classes, ``[n]`` and
    ``[n, 2]`` answer different questions: about the positive class, and about the top label.

    References
    ----------
    C. Guo, G. Pleiss, Y. Sun, K. Q. Weinberger, "On Calibration of Modern Neural Networks", ICML 2017.

    Examples
    --------
    A hundred answers at 80 per cent confidence, 80 of them right:

    >>> import numpy as np
    >>> import steelyard as sy
    >>> rel = sy.reliability(np.full(100, 0.8), np.arange(100) < 80)
    >>> f"{rel.ece:.3f}", f"{rel.noise_floor:.3f}"
    ('0.000 [0.000, 0.073]', '0.032')
    >>> filled = rel.table["count"] > 0
    >>> rel.table["low"][filled].round(4).tolist(), rel.table["high"][filled].round(4).tolist()
    ([0.7112], [0.8666])
    """
    tokens = targets is None
    left_out: dict[str, int] = {}
    if tokens:
        if classes is not None:
            raise value_error("classes", "none with scores of tokens", shown(classes))
        probs, targets, weights, clusters, by, left_out = predictions(probs, where, weights, clusters, by)
        where = None
    elif hasattr(probs, "counted") and hasattr(probs, "nll"):
        raise value_error("targets", "none with scores of tokens, which know what was right", shown(targets))
    if by is not None:
        aligned(probs=probs, targets=targets, where=where, weights=weights, clusters=clusters, by=by)

    def answer(where: Any, level: float) -> Reliability:
        state = ReliabilityState(
            n_bins, classes=classes, confidence_level=level, alternative=alternative, nan_policy=nan_policy
        )
        found = state.update(
            probs, targets, where=where, weights=weights, clusters=clusters, progress=progress
        ).compute()
        return replace(found, kind="answers", left_out=left_out | found.left_out) if tokens else found

    if by is None:
        return answer(where, confidence_level)
    level = confidence_of(confidence_level, alternative).level
    return by_group(probs, Selection(where, None, nan_policy, by=by), level, answer)

"""The one call: probabilities and outcomes become a reliability diagram."""

from __future__ import annotations

from typing import Any

from .._mode import standard_mode
from .._options import Alternative, NanPolicy
from .._progress import Progress
from .diagram import Reliability
from .state import ReliabilityState

__all__ = ["reliability"]


@standard_mode
def reliability(
    probs: Any,
    targets: Any,
    *,
    n_bins: int = 15,
    classes: Any = None,
    where: Any = None,
    weights: Any = None,
    clusters: Any = None,
    confidence_level: float = 0.95,
    alternative: Alternative = "two-sided",
    nan_policy: NanPolicy = "raise",
    progress: Progress = False,
) -> Reliability:
    r"""Measure how far probabilities lie from frequencies, with intervals and the floor that noise sets.

    With :math:`n_b` predictions in bin :math:`b`, their mean probability :math:`\bar p_b` and the share
    :math:`y_b` of them that came true, the gap is :math:`g_b = \bar p_b - y_b`, the weight
    :math:`w_b = n_b / n`, and

    .. math:: \mathrm{ece} = \sum_b w_b |g_b|, \quad
              \mathrm{rmsce} = \sqrt{\sum_b w_b g_b^2}, \quad \mathrm{mce} = \max_b |g_b|.

    These plain errors are biased: a calibrated model has an ``ece`` of about
    ``noise_floor`` :math:`= \sqrt{2/\pi} \sum_b w_b \sqrt{\bar p_b (1 - \bar p_b) / n_b}`, not 0. The intervals
    account for it by inversion (no resampling: same data, same bits). Simulated, 95 per cent intervals of ``ece``
    and ``rmsce`` cover 92 to 98 per cent from n = 300 on; at n = 100 as few as 88 where gaps are about as large as
    the noise of a bin.

    Rows count as independent unless ``clusters`` says what they have in common. Answers about one document are right
    or wrong together: with the excess :math:`M_{gb} = \sum (p - y)` of cluster :math:`g` in bin :math:`b` the gaps
    of a calibrated model have the covariance
    :math:`\Sigma_{bc} = \frac{G}{G - 1} \sum_g M_{gb} M_{gc} / (n_b n_c)`, which floor and intervals then use
    (with :math:`M_{gb} - g_b n_{gb}` where the model is not calibrated, and Student's t with :math:`G - 1` degrees of
    freedom). Row by row, 5 to 53 per cent of calibrated
    models are called over- or underconfident there, with clusters 1 to 5 (18 designs in docs/coverage.md).

    With ``weights`` every sum over rows becomes a sum of their weights: :math:`n_b`, :math:`\bar p_b`, :math:`y_b`,
    :math:`w_b`, :math:`M_{gb}` and the clustered limits of the shares; where no ``clusters`` are given each row is a
    cluster of its own.

    Parameters
    ----------
    probs : array of float, shape [n] or [n, K]
        ``[n]``: the probability that a thing is true (a positive class, an answer). ``[n, K]``: a row of
        class probabilities, of which the largest counts (top label; the first of equals). Rows sum to 1
        within 1e-3; within 5e-3 where all their values are 16-bit floats, also widened ones, since rounding alone
        can move a sum by 4e-3 (counted as ``"rounded"`` in ``left_out``). Values in
        (1, 1 + 1e-6] count as 1 and are counted; anything else outside [0, 1] is refused: logits are never
        guessed.
    targets : array of int or bool, shape [n]
        ``[n]``: 0 or 1, whether it came true. ``[n, K]``: the class, a column number or one of ``classes``.
    n_bins : int
        Equal-width bins of (0, 1]; ``bin_low < p <= bin_high``, 0 in the first. Edges ``k / n_bins`` are
        rounded to the dtype of ``probs``, so that 0.3 falls on the same side in every dtype.
    classes : array, optional
        The label of each column (scikit-learn's ``classes_``).
    where : array of bool, shape [n], optional
        Rows that count.
    weights : array of numbers, shape [n], optional
        Sampling weights, 0 or more, as in :func:`steelyard.estimate`: how many of the population a row stands for.
        Their scale is of no account. A row of weight 0 is left out and counted. ``1/k`` for the k rows of each id, with
        the ids as ``clusters``, gives every id one say.
    clusters : array of ids, shape [n], optional
        What rows have in common: a document, a user. Whole numbers or texts. Under two clusters there are values and
        no limits.
    confidence_level : float
        Of the intervals.
    alternative : {"two-sided", "greater", "less"}
        Lower limits alone (``"greater"``), upper ones alone, or both.
    nan_policy : {"raise", "omit"}
        ``"omit"`` leaves rows with a NaN, a null or no label out and counts them in ``left_out``, as ``nan``.
    progress : bool or callable
        Tell how far it is.

    Returns
    -------
    Reliability
        ``ece``, ``rmsce``, ``mce`` and the signed ``gap`` as Estimates, ``noise_floor``, ``verdict()``, ``table``,
        ``plot()``; ``base_rate`` for ``[n]``, ``accuracy`` for ``[n, K]``. With weights ``n`` and ``table["count"]``
        are still rows, ``table["weight"]`` is the share that each bin has of all weights, and the Estimates say
        ``n_effective``, (sum w)^2 / sum w^2.

    Raises
    ------
    TypeError
        For what is not a float array, or labels that are not integers or booleans.
    ValueError
        For shapes, probabilities, sums, labels or weights out of range (with the first index), or where no row counts.

    Notes
    -----
    The binning of Guo et al. (2017), equal width over the top label, as in most papers. torchmetrics bins
    ``[low, high)`` and puts 1.0 into a bin of its own; netcal bins counts and means by different edges in
    float32; scikit-learn's ``calibration_curve`` agrees in float64. For two classes ``[n]`` and ``[n, 2]``
    are two questions: the positive class, and the top label.

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
    state = ReliabilityState(
        n_bins,
        classes=classes,
        confidence_level=confidence_level,
        alternative=alternative,
        nan_policy=nan_policy,
    )
    return state.update(probs, targets, where=where, weights=weights, clusters=clusters, progress=progress).compute()

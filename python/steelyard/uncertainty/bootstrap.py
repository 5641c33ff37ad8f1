"""The bootstrap of a statistic, with the Monte-Carlo error of its limits, or without any."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import fields
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .. import _core, _intervals
from .._arrays import aligned
from .._columns import Array, columns, differ, only_column
from .._groups import groups
from .._mode import standard_mode
from .._options import Alternative, NanPolicy, choice, confidence_of, whole
from .._progress import OnProgress, Progress, reporter
from .._registries import titles
from .._rows import Rows, Selection
from .._strata import Average, stratum_ids
from ..errors import value_error
from ._abc import ABC, abc_limits, of_sums_alone
from ._beside import alike
from ._callables import Called, Request, called, of_callable, tuple_columns
from ._designs import PLAIN, Design, design_of, raise_if_drawn_empty
from ._ideal import able, ideal_limits
from ._replicates import METHODS as READ_REPLICATES
from ._request import Options, infinite, room_for
from ._statistics import (
    Chosen,
    Statistic,
    chosen,
    column_names,
    for_core,
    is_of_sums,
    refusal,
    several_columns,
)  # fmt: skip
from ._tolerance import until
from .blocks import Blocks, Kind, blocks_of
from .bootstrap_estimate import Again, BootstrapEstimate, Known
from .calibration_error import doubt
from .sampling import Drawn, Sampling, sampling_of

__all__ = ["BootstrapEstimate", "bootstrap", "stacked"]

Floats = NDArray[np.float64]

METHODS = titles("bootstrap.method")
PROPORTION = "0/1 values: the interval of steelyard.proportion covers better, and takes no simulation"

_Statistic = Statistic | Chosen | Callable[..., Any]


@standard_mode
def bootstrap(
    x: Any,
    statistic: _Statistic | tuple[_Statistic, ...] = "mean",
    /,
    *,
    where: Any = None,
    weights: Any = None,
    clusters: Any = None,
    by: Any = None,
    strata: Any = None,
    average: Average = "micro",
    blocks: Kind | Blocks | None = None,
    sampling: Sampling | Drawn = "multinomial",
    nan_policy: NanPolicy = "raise",
    method: str | None = None,
    n_resamples: float = 9999,
    tolerance: float | None = None,
    confidence_level: float = 0.95,
    alternative: Alternative = "two-sided",
    seed: int = 0,
    progress: Progress = False,
) -> BootstrapEstimate:
    """Estimate a statistic by resampling its rows, or its clusters, with replacement.

    With c_r the counts of replicate r, exactly Multinomial(n; 1/n, ..., 1/n), and B = ``n_resamples``:

    - replicates m*_r = sum c_ri x_i / n; with ``clusters`` sum c_rg S_g / sum c_rg n_g over cluster sums S_g and
      sizes n_g, whole clusters being drawn; of the ratio sum c_ri x_i / sum c_ri y_i, or of the clusters' sums; of
      the other statistics their value where row i stands c_ri times (with clusters, as often as its cluster);
    - ``"percentile"``: the order statistics (B + 1) a of the replicates, linear between neighbours, a = (1 -
      ``confidence_level``)/2 and 1 - a; ``"basic"``: these mirrored at the value;
    - ``"expanded"``: the percentile limits at a' = Phi(sqrt(n/(n - 1)) t_a), Student's t with n - 1 degrees of freedom
      of the n rows (or clusters), since replicates spread too little by sqrt((n - 1)/n) (Hesterberg 2015);
    - ``"normal"``: 2 m - mean(m*) -+ z sd(m*), the value without the bias of the replicates (Davison and Hinkley 1997);
    - ``"studentized"``: m - s t*_(1 - a) and m - s t*_a, the quantiles of t*_r = (m*_r - m)/s*_r, for statistics of
      sums; s^2 = sum U^2 with the influences U below, s*_r^2 = sum c_ri U_ri^2 with those at the sums of the replicate
      (for a mean s = sd/sqrt(n), with divisor n); t* is infinite where s*_r = 0 (Efron 1981);
    - ``"beta_t"``: the same with weights W/mean(W) in place of the counts, W/4 independent Beta(1/2, 3/2): no weight is
      0, so that t* is finite, and the limits are closer together than those of ``"studentized"`` (Owen 2025);
    - ``"bca"``: the percentile limits at a' = Phi(z0 + (z0 + z_a)/(1 - A (z0 + z_a))), z0 = Phi^-1((#{m* < m} +
      #{m* = m}/2)/B), and in closed form A = sum U^3/(6 (sum U^2)^1.5), U_i = x_i - m or U_g = S_g - m n_g; of the
      ratio r, U_i = x_i - r y_i; of the other statistics of sums their derivative along the sums of the row or cluster;
      of those of sorted rows (from ``"median"`` on) the differences of the jackknife, which leaves out one row (or
      cluster) at a time, or with more than 500 of them one in 500; ``"bc"`` (Efron 1981): the same with A = 0;
    - ``"double"``, for statistics of sums: the percentile limits at the quantiles a and 1 - a of u_r, the share of C =
      8 sqrt(B) (rounded up) resamples of resample r whose statistic lies below m, that is, anywhere from k/(C + 1) to
      (k + e + 1)/(C + 1) with k of them below m and e equal to it, but for rounding, or without a value: the levels at
      which the interval would hold in the resamples (Beran 1987, Hall 1992). It takes B C n draws, which for B = 9999
      are those of 8 million resamples;
    - ``"abc"``: an approximation of these without any resamples, for statistics of sums. With T(P) the statistic where
      rows (or clusters) have weights P, once 1/n each, U as above, s^2 = sum U^2 and V the second derivatives towards
      each row: d = U/(n s), c = d'T''d/(2 s), b = sum V/(2 n^2), z0 = Phi^-1(2 Phi(A) Phi(c - b/s)), and with
      w = z0 + z_a the limit is T(P + d w/(1 - A w)^2) (DiCiccio and Efron 1992). ``n_resamples`` and ``seed`` have no
      effect. In strata n is the stratum's number, and U has mean 0 there.

    =======================  =================  ===========================================================
    statistic                x                  what it is
    =======================  =================  ===========================================================
    ``"mean"``               x                  sum x / n
    ``"ratio"``              (x, y)             sum x / sum y
    ``"median"``             x                  the quantile at .5
    ``"quantile"``           x                  named by ``steelyard.uncertainty.quantile(q)``
    ``"trimmed_mean"``       x                  without the 10 % smallest and largest, or another share:
                                                ``steelyard.uncertainty.trimmed_mean(share)``
    ``"iqr"``                x                  the quantile at .75 minus that at .25
    ``"mad"``                x                  the median of abs(x - median), not scaled
    ``"auc"``                (scores, targets)  P(score of a 1 > score of a 0), ties half
    ``"gini"``               (scores, targets)  2 AUC - 1
    ``"average_precision"``  (scores, targets)  sum (R_k - R_k-1) P_k over the thresholds
    ``"ks"``                 (scores, targets)  max abs(F1 - F0) of the scores
    ``"spearman"``           (x, y)             the correlation of the ranks, ties at their mean rank
    ``"ece"``                (p, outcomes)      of :func:`steelyard.reliability`, whose interval covers: see
                                                ``steelyard.uncertainty.ece(n_bins)``
    =======================  =================  ===========================================================

    :func:`steelyard.estimate` has a table of the other statistics of sums: ``"sum"``, ``"weighted_mean"``,
    ``"geometric_mean"``, ``"perplexity"``, ``"variance"``, ``"std"``, ``"skewness"``, ``"kurtosis"``,
    ``"correlation"``, ``"slope"``, ``"rmse"``, ``"r2"``, ``"accuracy"``, ``"precision"``, ``"recall"``, ``"f1"``,
    ``"balanced_accuracy"``, ``"mcc"``, ``"kappa"``, ``"brier"``, ``"log_loss"``, ``"bleu"``, ``"chrf"`` and
    ``"chrf++"``. Two of them that take the same columns have a quotient, named as in ``"mean/std"`` or
    ``"slope/correlation"``.

    A statistic may also be a Python function of the column, or of the columns of the tuple, that returns one finite
    number. Its resamples are those of the other statistics. Where it takes ``sample_weight``, as scikit-learn's metrics
    do, it is given the columns and how often each row counts; where it takes ``axis``, many resamples as the rows of
    tables, with ``axis=-1``; else the rows of one resample, each as often as it counts (with ``blocks`` block after
    block; else their order says nothing). Its acceleration is that of the jackknife, in strata with U the value of all
    rows minus that without one (or without some of a stratum, where there are more than 500), less the stratum's mean
    of these; in blocks and several kinds of clusters it has none, and the method is ``"percentile"`` unless another one
    is asked for. ``sample_weight`` has ``weights`` in it: a row's weight, as often as it counts.

    With ``n_resamples=math.inf`` these are the limits that infinitely many resamples would give: quantiles of the
    distribution of m* itself, P(m* <= t), by inversion of its characteristic function (E exp(i t x*))^n or by
    enumeration, and of a quantile by binomial probabilities: j of the n draws fall up to the k-th smallest value with
    probability C(n, j) (k/n)^j (1 - k/n)^(n - j), and in strata a sum of such numbers, one of each stratum.
    There are no replicates then, no seed, and no Monte-Carlo error. Each stratum is a further factor of the
    characteristic function, and weights make a ratio of the mean. The t* of ``"studentized"`` need all resamples listed
    (up to 1.2 million that differ, as of 11 rows or of any number of 0/1 rows), or a column whose values are
    a few steps apart (80 grades from 0 to 4).

    Parameters
    ----------
    x : array [n] or [n, M], list, mapping from name to array [n], or frame; or a tuple of arrays [n]
        Numbers or booleans; several columns are several problems, resampled with the same counts. A tuple holds the
        columns of one problem, for a statistic that takes several; ``targets`` are 0 or 1. Those of a function may be
        tables [n, K].
    statistic : str, function, what ``uncertainty.quantile`` or ``trimmed_mean`` returns, or a tuple of these
        What to estimate; by position; see above. A tuple asks for several statistics of one problem, each from the
        same resamples.
    where : boolean array [n], optional
        The rows that count; default: all.
    weights : array of numbers [n], optional
        Sampling weights, as in :func:`steelyard.estimate`: rows (or clusters) are drawn alike, and a replicate is the
        weighted statistic of those drawn. For the mean, the ratio and the other statistics of sums, and for a function
        that takes ``sample_weight``.
    clusters : array of ids [n], tuple of these, or mapping of two from name to these, optional
        The cluster of each row (a document, a user). Whole clusters are drawn instead of rows. A tuple nests, outermost
        first: outer clusters are drawn, and each time one is drawn, as many of the clusters inside it as it has, and so
        on; the rows of the innermost clusters stay together. An id inside two outer clusters is two clusters. More
        levels give more variable replicates, by the spread inside the outer clusters: the error of a mean is estimated
        better by the outermost ids alone, which contain that spread already (Davison and Hinkley 1997, 3.8). A mapping
        crosses, as in ``{"item": items, "judge": judges}``: clusters of either kind are drawn by themselves, and a row
        counts the product (the pigeonhole bootstrap, Owen 2007), which errs on the safe side: what is neither the
        items' nor the judges' counts up to three times in the variance.
    by : array of ids [n], optional
        The group of each row (a subject, a language); the result is one BootstrapEstimate of many, named by the ids as
        text. Each group is resampled as it would be alone with the same seed, so that the replicates of two groups are
        not independent of each other.
    strata : array of ids [n], optional
        The stratum of each row (a task, a language). Each stratum is resampled within itself and keeps its number of
        rows (or clusters), of which it must have two; a cluster must lie inside one stratum. With ``by`` each group has
        strata of its own.
    average : {"micro", "macro"}
        With ``strata``: ``"micro"`` is the statistic of all rows, ``"macro"`` the mean of the strata's statistics (for
        statistics of sums).
    blocks : {"moving", "circular", "stationary"}, or what ``uncertainty.blocks(kind, length)`` returns, optional
        The rows are a series in time, and blocks of neighbours are drawn, which keep its dependence: ``"moving"`` ones
        lie inside the series (Künsch 1989), for ``"circular"`` and ``"stationary"`` ones its beginning follows its end;
        the lengths of the latter are geometric with a mean (Politis and Romano 1992, 1994). Where none is given, the
        length is that of Politis and White (2004, corrected 2009) for the influences of the rows on the statistic (for
        a statistic of sorted rows and a function, their values); ``detail`` has it as ``block_length``. With ``by``
        each group is a series. Rows that are left out make their neighbours adjacent.
    sampling : {"multinomial", "balanced", "poisson", "bayesian", "smoothed"}, or what ``uncertainty.smoothed(h)`` or
        ``uncertainty.subsample(m)`` returns
        How rows (or clusters) are drawn. ``"multinomial"``: as above. ``"balanced"``: n draws too, in such a way that
        each row is drawn B times over all resamples (Davison, Hinkley and Schechtman 1986), of at most 100,000 rows or
        clusters. ``"poisson"``: counts are independent, Poisson with mean 1 (Chamandy et al. 2012). ``"bayesian"``:
        rows have exponential weights, so that limits are those of a posterior (Rubin 1981). ``"subsample"``: m draws
        (Bickel, Götze and van Zwet 1997), in strata dealt out to these. Sums are of n counts: sum c_i x_i n / sum c_i.
        Each stratum is drawn so by itself. ``"smoothed"``: normal noise is added to each draw (Silverman and Young
        1987), for statistics and functions of one column of rows. With ``"bayesian"``, ``"smoothed"`` and
        ``"subsample"`` the methods ``"percentile"`` (the default of the former two), ``"basic"`` (of the last) and
        ``"normal"``. Not with ``blocks``, several kinds of clusters and ``n_resamples=math.inf``.
    nan_policy : {"raise", "omit"}
        ``"omit"`` leaves out rows with a NaN or a null, and counts them in ``left_out`` under ``nan``.
    method : {"bca", "bc", "percentile", "expanded", "basic", "normal", "studentized", "beta_t", "double", "abc"},
        optional
        How the limits are computed from the replicates; see above. Default: ``"bca"``; but ``"beta_t"`` for a mean of
        fewer than 50 rows (or clusters) that are not all 0 or 1, asked for alone, with a finite ``n_resamples`` and
        without weights, strata, blocks and sampling: BCa's intervals are too short there, as ``docs/coverage.md``
        shows; ``"percentile"`` for a function in blocks or several kinds of clusters; and ``"basic"`` for the
        ece.
    n_resamples : int or math.inf
        The number of resamples B, from 1 to 2**32 - 1, or ``math.inf`` for the limits of infinitely many. The default
        is 9999 rather than 10000 because (B + 1) a is then a whole number for the usual confidence levels, and no
        interpolation is needed.
    tolerance : float, optional
        The Monte-Carlo error that a limit may have (``low_error`` and ``high_error``), in the units of the statistic.
        Where ``n_resamples`` leave a larger one, more are made, up to 1000 times as many: the result is that of the
        same call with so many.
    confidence_level : float
        Inside (0, 1).
    alternative : {"two-sided", "less", "greater"}
        SciPy's names: ``"less"`` gives an upper limit alone, ``"greater"`` a lower one.
    seed : int
        From 0 to 2**64 - 1. The same seed gives the same bits on every machine and for any number of threads; any two
        seeds give unrelated replicates.
    progress : bool or callable
        ``True`` draws a progress bar on standard error; a callable is called with ``(done, total)``.

    Returns
    -------
    BootstrapEstimate
        An Estimate with ``replicates``, ``low_error`` and ``high_error``. Replicates differ from those of exact
        arithmetic by at most 1e-12 mean |x - m|, for n up to 10**9. The memory needed is that of the replicates.

    Raises
    ------
    TypeError
        For data that are not numbers, and for a function that returns anything else.
    ValueError
        For NaN (unless omitted) and infinities, naming the first index; where all values (or cluster means) are equal,
        since their resamples show no spread; where the sum of y is 0 in the data or in a resample, or where y has
        values of both signs and the confidence interval of its sum contains 0; where targets are not 0 or 1, or where
        a resample has only one of them; where a statistic has no value otherwise (a precision without a predicted one);
        where all replicates are equal; where a function returns an array, or a number that is not finite, which names
        the resample; where a limit would lie beyond the smallest or
        largest replicate; for ``n_resamples=math.inf`` where the statistic is no mean, sum, ratio, weighted mean or
        quantile (of rows, in strata or not), or the macro average is one of ratios whose denominators vary, or the
        numerical error of the distribution would exceed 1e-5, or the method needs the replicates (``"normal"``,
        ``"beta_t"``, ``"double"``; ``"studentized"`` where resamples can neither be listed nor lie on a lattice); for
        ``"studentized"`` where a limit is infinite; for ``"abc"``
        where the statistic bends back before a limit; and for unknown options.

    Notes
    -----
    The ideal limits (``n_resamples=math.inf``) take the time of a few passes over the data. A quantile is the smallest
    value that the wanted share of all resamples does not exceed. The acceleration of a ratio is that of the influence
    of its linear approximation; R's ``bcanon`` takes the jackknife's, which may differ (.0022 and -.0112 for the city
    data of Efron and Tibshirani).

    For means and proportions :func:`steelyard.estimate` gives an interval without simulation. Percentile intervals of
    small samples are too short: with ten exponential values they cover 0.863 instead of the nominal 0.95, Student's t
    0.903 and expanded ones 0.906. Statistics of sorted rows (from the median on) are sorted once; a replicate is one
    scan over the sorted rows.

    Source: Efron, "Better bootstrap confidence intervals", JASA 82 (1987). SciPy's ``bootstrap`` differs in three
    ways: it interpolates quantiles as ``numpy.quantile`` does, counts only replicates strictly below the value in z0,
    and returns NaN where this function raises.

    Examples
    --------
    >>> import numpy as np, steelyard as sy
    >>> x = np.array([10, 12, 12.5, 12.5, 13.9, 15, 21, 22, 23, 34, 50, 81, 89, 121, 134, 213])
    >>> boot = sy.bootstrap(x, n_resamples=9999)
    >>> print(boot)
    54 [28, 98] (95 %, beta bootstrap-t, n = 16)
    >>> boot.reason
    "fewer than 50 rows or clusters, where BCa's intervals are too short"
    >>> print(sy.bootstrap(x, method="bca"))
    54 [32, 91] (95 %, BCa bootstrap, n = 16)
    >>> boot.replicates.shape
    (9999,)
    >>> print(sy.bootstrap(x, n_resamples=float("inf")))
    54 [32, 91] (95 %, ideal BCa bootstrap, n = 16)
    >>> y = np.array([1, 2, 2, 2, 3, 2, 3, 3, 2, 4, 5, 7, 8, 9, 9, 15])
    >>> print(sy.bootstrap((x, y), "ratio"))
    11.2 [9.4, 12.8] (95 %, BCa bootstrap, n = 16)
    >>> print(sy.bootstrap(x, "std", method="abc"))
    57 [37, 84] (95 %, ABC bootstrap, n = 16)
    >>> print(sy.bootstrap(x, "mean/std"))
    0.95 [0.68, 1.25] (95 %, BCa bootstrap, n = 16)
    >>> print(sy.bootstrap(x, ("median", "iqr"), method="percentile"))
    median  22 [14, 81] (95 %, percentile bootstrap, n = 16)
    iqr     69 [10, 120] (95 %, percentile bootstrap, n = 16)
    >>> print(sy.bootstrap((x, y), lambda x, y: x.max() / y.max(), method="percentile"))
    14.2 [11.1, 14.9] (95 %, percentile bootstrap, n = 16)
    """
    several = isinstance(statistic, tuple)
    asked = statistic if isinstance(statistic, tuple) else (statistic,)
    of = [called(one) if callable(one) else chosen(one) for one in asked]
    if not of:
        raise value_error("statistic", "at least one statistic", "none")
    differ(of, "statistic")
    doubt(of)
    options = Options(
        of[0],
        "" if method is None else choice(method, "method", tuple(METHODS)),
        "as asked",
        several,
        math.inf if infinite(n_resamples) else whole(n_resamples, "n_resamples", 1, 2**32 - 1),
        whole(seed, "seed", 0, 2**64 - 1),
        confidence_of(confidence_level, alternative),
        blocks_of(blocks),
        sampling_of(sampling),
    )
    if options.method == ABC:
        of_sums_alone(*of)
    elif options.n_resamples == math.inf:
        able(*of)
    if by is not None and several:
        raise value_error("by", "one statistic with it", f"{len(of)} statistics")
    aligned(x=x, where=where, weights=weights, clusters=clusters, by=by, strata=strata)
    select = partial(
        Selection, where, clusters, nan_policy, weights=weights, by=by, strata=stratum_ids(strata, average), levels=True
    )
    again = partial(_made, x, of, select, options)
    if tolerance is not None:
        found = until(partial(again, progress=progress), tolerance, options.n_resamples)
    else:
        found = again(n_resamples=options.n_resamples, progress=progress)
    object.__setattr__(found, "_again", Again(again))
    return found


def _made(
    x: Any,
    of: list[Chosen | Called],
    select: Callable[..., Selection],
    options: Options,
    *,
    n_resamples: float,
    progress: Progress,
    known: NDArray[np.float64] | None = None,
) -> BootstrapEstimate:
    """The bootstrap with so many resamples; ``known`` are the first replicates, where these were made before."""
    if options.method != ABC and math.isfinite(n_resamples):
        room_for(int(n_resamples))
    options = options._replace(n_resamples=n_resamples, known=known)
    on_progress = reporter(progress)
    parts = [_of_statistic(x, select, options._replace(statistic=one), options.several, on_progress) for one in of]
    return stacked(parts, tuple(map(str, of))) if options.several else parts[0]


def _of_statistic(
    x: Any, select: Callable[..., Selection], options: Options, several: bool, on_progress: OnProgress
) -> BootstrapEstimate:
    """The bootstrap of one statistic, of each column where there are several problems; ``several``: one of many."""
    if isinstance(options.statistic, Called):
        if isinstance(x, tuple):
            together = tuple_columns(x)
            each = [column for table in together.values() for column in np.atleast_2d(table.T)]
            return _of_groups(together, each, select(), options, on_progress)
    elif len(column_names(options.statistic.name)) > 1:
        together = several_columns(x, options.statistic.name)
        return _of_groups(together, list(together.values()), select(), options, on_progress)
    found = columns(x, "x")
    if found.many and several:
        raise value_error("statistic", "one statistic of several columns, or several of one problem", "several columns")
    selection = select(left_out=found.left_out)
    if selection.by is not None:
        name, values = only_column(found, "by")
        return _of_groups({name: values}, [values], selection, options, on_progress)
    chosen_rows = ((name, x, selection.rows(name, x)) for name, x in found.items)
    beside = found.many and options.n_resamples != math.inf and is_of_sums(options.statistic.name)
    plain = options.draws_alike(selection)
    if beside and plain and options.method != ABC and isinstance(options.statistic, Chosen):
        parts = [part for same in alike(chosen_rows) for part in _each(same, options, on_progress)]
    else:
        parts = [_one({name: x}, rows, options, on_progress) for name, x, rows in chosen_rows]
    return stacked(parts, found.names) if found.many else parts[0]


def _each(same: list[tuple[str, Array, Rows]], options: Options, on_progress: OnProgress) -> list[BootstrapEstimate]:
    """The bootstraps of several columns, of the same rows, which share the random numbers."""
    rows = same[0][2]
    codes, total = rows.clusters or (None, 0)
    values = for_core(rows.of(x) for _, x, _ in same)
    asked = {options.resolved(x, rows) for x in values}
    if len(asked) > 1:
        return [_one({name: x}, rows, options, on_progress) for name, x, _ in same]
    options = asked.pop()
    found = _core.bootstrap_each(
        values, options.statistic.name, codes=codes, clusters=total,
        method=options.method, n_resamples=int(options.n_resamples), seed=options.seed,
        confidence_level=options.confidence.level, alternative=options.confidence.alternative, progress=on_progress,
    )  # fmt: skip
    return [_described(one, {name: x}, rows, options) for one, (name, x, rows) in zip(found, same, strict=True)]


def _of_groups(
    together: Mapping[str, NDArray[Any]],
    each: list[NDArray[Any]],
    selection: Selection,
    options: Options,
    on_progress: OnProgress,
) -> BootstrapEstimate:
    """The bootstrap of columns ``together``, or of each group of their rows; ``each`` of them has one dimension."""
    if selection.by is None:
        return _one(together, selection.rows("x", *each), options, on_progress)
    found = groups(selection, "x" if len(together) > 1 else next(iter(together)), *each)
    return stacked([_one(together, rows, options, on_progress) for rows in found.values()], tuple(found))


def _one(
    columns: Mapping[str, NDArray[Any]], rows: Rows, options: Options, on_progress: OnProgress
) -> BootstrapEstimate:
    """The bootstrap of one problem: calls the core and describes its outcome in words."""
    values = for_core(map(rows.of, columns.values()))
    options = options.resolved(values[0], rows)
    if options.method == ABC and isinstance(options.statistic, Chosen):
        found, design = abc_limits(values, columns, rows, options, on_progress)
        return _described(found, columns, rows, options._replace(n_resamples=math.inf), design)
    codes, total = rows.clusters or (None, 0)
    design = design_of(rows, options, columns)
    if isinstance(options.statistic, Called):
        count = int(options.n_resamples)
        request = Request(options.method, count, options.seed, options.known, options.confidence, design.keywords)
        found = of_callable(options.statistic, columns, rows, request, on_progress)
    elif options.n_resamples == math.inf:
        found = ideal_limits(
            values, options.statistic, rows, design, method=options.method, confidence=options.confidence,
            progress=on_progress,
        )  # fmt: skip
    else:
        found = _core.bootstrap(
            values, options.statistic.name, parameters=options.statistic.parameters,
            method=options.method, n_resamples=int(options.n_resamples), seed=options.seed, known=options.known,
            confidence_level=options.confidence.level, alternative=options.confidence.alternative, progress=on_progress,
            **{"codes": codes, "clusters": total} | design.keywords,
        )  # fmt: skip
    return _described(found, columns, rows, options, design)


def _described(
    found: Mapping[str, Any],
    columns: Mapping[str, NDArray[Any]],
    rows: Rows,
    options: Options,
    design: Design = PLAIN,
) -> BootstrapEstimate:
    """The outcome of one problem in words, or the error where it was refused."""
    if "refused" in found:
        if found["refused"] == "empty resample":
            raise_if_drawn_empty(rows, options)
        raise refusal(found, options.statistic.name, columns, rows)
    detail: dict[str, Any] = {"acceleration": found["acceleration"]} if options.method == "bca" else {}
    detail |= {"n_inner": found["inner"]} if options.method == "double" else {}
    detail |= {"n_resamples": options.n_resamples} | found.get("detail", {"seed": options.seed})
    reason = PROPORTION if found["binary"] else options.reason
    said = found.get("ideal", "") + design.scheme + METHODS[options.method]
    detail |= design.detail
    made = BootstrapEstimate(
        value=found["value"], standard_error=found["standard_error"] if options.n_resamples > 1 else None,
        low=found["low"], high=found["high"], low_error=found["low_error"], high_error=found["high_error"],
        replicates=found["replicates"], confidence_level=options.confidence.level,
        n=rows.count(next(iter(columns.values()))), n_clusters=rows.n_clusters,
        method=said, reason=reason + design.kind + found.get("doubt", ""), left_out=rows.left_out, detail=detail,
    )  # fmt: skip
    if made.replicates is not None:
        adds = options.sampling is None and options.method in READ_REPLICATES
        correction = found["units"], found["acceleration"], found["tie"]
        known = Known(str(options.statistic), options.method, options.confidence, adds, *correction)
        object.__setattr__(made, "_known", known)
    return made


def stacked(parts: list[BootstrapEstimate], names: tuple[str, ...] | None) -> BootstrapEstimate:
    """Combine estimates into one of many problems, with arrays whose last axis runs over ``parts``."""
    shared = _intervals.stack(parts, names)
    said: Mapping[str, Any] = {item.name: getattr(shared, item.name) for item in fields(shared)}
    made = [part.replicates for part in parts if part.replicates is not None]
    return BootstrapEstimate(
        **said,
        replicates=np.stack(made, axis=1) if made else None,
        low_error=np.array([part.low_error for part in parts], np.float64),
        high_error=np.array([part.high_error for part in parts], np.float64),
    )

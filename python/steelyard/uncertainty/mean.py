"""Estimation of a mean, or of another statistic of sums over rows, in closed form."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any, NamedTuple

from .. import _intervals
from .._arrays import aligned
from .._columns import Array, columns, only_column
from .._estimate import Estimate
from .._groups import groups
from .._intervals import MEANS
from .._mode import standard_mode
from .._options import Alternative, Confidence, NanPolicy, choice, confidence_of
from .._progress import OnProgress, Progress, reporter
from .._rows import Rows, Selection
from .._strata import Average, stratum_ids
from ..errors import keyword, shown, value_error
from ._independence import TESTED, TESTS, independent
from ._judged import judged
from ._ordered import SORTED, of_sorted
from ._ratio import ratio
from ._statistics import Chosen, Statistic, chosen, column_names, is_of_sums, of_sums_by_name, several_columns
from ._sums import of_sums

__all__ = ["estimate"]


@standard_mode
def estimate(
    x: Any,
    statistic: Statistic | Chosen = "mean",
    /,
    *,
    where: Any = None,
    weights: Any = None,
    clusters: Any = None,
    by: Any = None,
    strata: Any = None,
    average: Average = "micro",
    judge: Any = None,
    judge_mean: Any = None,
    nan_policy: NanPolicy = "raise",
    method: str | None = None,
    test: str | None = None,
    confidence_level: float = 0.95,
    alternative: Alternative = "two-sided",
    progress: Progress = False,
) -> Estimate:
    """Estimate a mean or another statistic, with its standard error and interval in closed form, without simulation.

    With m the mean of the n rows of ``x`` that count and s their standard deviation (divisor n - 1):

    - graded values: m +- t s/sqrt(n), Student's t with n - 1 degrees of freedom;
    - 0/1 values: Wilson's interval (see :func:`steelyard.proportion`);
    - with ``clusters``: from the cluster sums S_g and sizes n_g, N = sum n_g, r_g = S_g - m n_g, f_g = n_g/N,
      the cluster-robust variance (CR2) V = sum r_g^2/(1 - f_g) / N^2 and m +- t sqrt(V), t with
      1/(sum f^2 + (sum a)^2 - sum a^2) degrees of freedom, a = f^2/(1 - f), which is G - 1 for G equal clusters; for
      0/1 values Wilson's interval with p (1 - p)/V effective rows and that t for z;
    - with ``clusters`` of two kinds that cross, V = V_a + V_b - V_ab (Cameron, Gelbach and Miller 2011): that of either
      kind and of their pairs, each by the formula above (for clusters of one size the factor G/(G - 1), as in
      statsmodels); where this is below V_a or V_b, the larger one of these; t has the smaller degrees of freedom;
    - with ``weights`` w: m = sum w x / sum w, and the same V and t with weighted sums for S_g and n_g, each row its own
      cluster where no ``clusters`` are given;
    - with ``strata`` (rows, or clusters, drawn separately in each of H strata): m_h, N_h, G_h the mean, size and number
      of clusters of stratum h, each row its own cluster where no ``clusters`` are given, f_g = n_g/N_h and
      r_g = S_g - m_h n_g; ``average="macro"``: m = sum m_h/H and v_h = sum r_g^2/(1 - f_g) / (H N_h)^2;
      ``average="micro"``: the mean of all rows, v_h = sum e_g^2 / N^2 with e_g = r_g/sqrt(1 - f_g) +
      (m_h - m) (n_g - N_h/G_h)/sqrt(1 - 1/G_h), whose second term is 0 for clusters of one size. V = sum v_h, and t
      has V^2/sum (v_h^2/df_h) degrees of freedom (Satterthwaite), df_h those of the stratum's clusters. For 0/1 values
      Wilson's interval with p (1 - p)/V rows and that t;
    - with ``judge``, labels x of n rows (NaN elsewhere) and a judge's scores f of all rows: the prediction-powered
      mean m = mean x - lambda D, D the mean of f over the labelled rows less that over the others. With a_g, b_g, c_g
      the residuals r_g/(n sqrt(1 - f_g)) of a cluster's (or row's) labels, of their scores, and of its other scores (of
      theirs), lambda = sum a_g (b_g - c_g) / S, S = sum (b_g - c_g)^2, makes V smallest (power tuning); V = sum (a_g -
      lambda (b_g - c_g))^2 d/(d - 1) (1 + D^2/(d S)), which counts the error of lambda, and t has d - 1 degrees of
      freedom, d Satterthwaite's of the sum. With ``judge_mean``, D is the mean of f less that number, and c_g = 0. For
      0/1 labels Wilson's interval with m (1 - m)/V rows (at least the labelled ones) and that t;
    - graded values (or cluster means) that are all equal, or differ by rounding alone, show no spread, but that does
      not make their mean certain. Where all n of them lie in [0, 1] the interval is [m (1 - q), m + q (1 - m)],
      q = z^2/(n + z^2) (Wilson's upper limit for 0 of n); elsewhere there is no interval;
    - ``"ratio"``: r = sum x / sum y (with weights sum w x / sum w y), with the same V and t, where r_g is a cluster's
      sum of x - r y and n_g its sum of y; each row is its own cluster where no ``clusters`` are given. With y = 1 it is
      the mean. Values of y may be 0, their sum may not. Where y has values of both signs and Student's interval of its
      sum contains 0, there are no limits;
    - all other statistics are smooth functions f of sums over rows, with the same V and t, where r_g is the derivative
      of f along the sums of a cluster, and n_g its part in the denominator of f.

    ======================= ============================ =================================== ===================
    statistic               columns                      value                               interval
    ======================= ============================ =================================== ===================
    ``"sum"``               x                            sum x                               +- t
    ``"weighted_mean"``     (x, weights)                 sum w x / sum w                     +- t
    ``"geometric_mean"``    x, above 0                   exp(mean of log x)                  t of the log
    ``"perplexity"``        (nll, tokens), in nats       exp(sum nll / sum tokens)           t of the log
    ``"variance"``          x                            mean of (x - m)^2                   t of the log
    ``"std"``               x                            its root                            t of the log
    ``"skewness"``          x                            m3/m2^1.5                           +- t
    ``"kurtosis"``          x                            m4/m2^2 - 3                         t of log(value + 3)
    ``"correlation"``       (x, y)                       Pearson's r                         t of artanh
    ``"slope"``             (x, y)                       of y on x, least squares            +- t
    ``"rmse"``              (predictions, targets)       root of the mean of (p - t)^2       t of the log
    ``"r2"``                (predictions, targets)       1 - sum (p - t)^2/sum (t - mean)^2  t of log(1 - value)
    ``"accuracy"``          (predictions, targets), 0/1  share of p = t                      Wilson
    ``"precision"``         (predictions, targets), 0/1  TP/(TP + FP)                        Wilson
    ``"recall"``            (predictions, targets), 0/1  TP/(TP + FN)                        Wilson
    ``"f1"``                (predictions, targets), 0/1  2 TP/(2 TP + FP + FN)               Wilson of J
    ``"balanced_accuracy"`` (predictions, targets), 0/1  (TP/(TP + FN) + TN/(TN + FP))/2     Wilson
    ``"mcc"``               (predictions, targets), 0/1  Matthews' correlation               t of artanh
    ``"kappa"``             (predictions, targets), 0/1  Cohen's kappa                       t of artanh
    ``"brier"``             (probabilities, targets)     mean of (p - t)^2                   Wilson
    ``"log_loss"``          (probabilities, targets)     mean of -log p(t), in nats          t of the log
    ``"bleu"``              counts [n, 10]               BLEU of a corpus, 0 to 100          Wilson of it/100
    ``"chrf"``              counts [n, 18]               chrF2 of a corpus, 0 to 100         Wilson of it/100
    ``"chrf++"``            counts [n, 24]               chrF2++ of a corpus, 0 to 100       Wilson of it/100
    ======================= ============================ =================================== ===================

    Two of these statistics (but for the sum) that take the same columns have a quotient, such as ``"mean/std"`` or
    ``"slope/correlation"``: the derivative of f/g along the sums of a cluster is (f' - (f/g) g')/g, and the interval is
    +- t.

    Statistics of sorted rows have intervals of their own (without ``weights`` and ``strata``):

    - ``"median"``, and ``steelyard.uncertainty.quantile(q)``: the order statistics x_(l) and x_(u) with the largest l
      such that P(Bin(n, q) < l), and the smallest u such that P(Bin(n, q) >= u), is at most the tail (Clopper and
      Pearson; the coverage is at least the level for any distribution); with ``clusters`` the values at which the
      empirical distribution reaches Wilson's limits for a share q, with the clustered variance of the share of rows up
      to the quantile and Student's t with G - 1 degrees of freedom (Woodruff). The standard error is the width of the
      two-sided interval over 2z;
    - ``"auc"`` of (scores, targets), and ``"gini"`` = 2 AUC - 1: DeLong's variance S1/n1 + S0/n0 of the placements,
      +- t on the scale of the logit, t with the degrees of freedom of Welch and Satterthwaite; with ``clusters``
      Obuchowski's variance and G - 1. A perfect ranking has Wilson's share of the rarer target's rows.

    Moments have the divisor n (``np.var``, ``scipy.stats.skew`` and ``kurtosis`` by default). J = TP/(TP + FP + FN) =
    F1/(2 - F1) is a share of rows. Wilson's interval takes value (1 - value)/V rows and t in place of z; independent
    rows of equal weight have the plain one.

    Parameters
    ----------
    x : array [n] or [n, M], list, mapping from name to array [n], or frame; or a tuple of the columns of the statistic
        Numbers or booleans. Several columns are several problems; the result is then one Estimate that holds arrays.
        Statistics of two columns take a tuple of them, such as ``(predictions, targets)``; those of counts one table
        ``[n, K]``, or a tuple of its columns.
    statistic : str
        What to estimate; by position: ``"mean"``, ``"ratio"`` (sum x / sum y of a tuple (x, y), such as clicks per
        view), one of the table, or the quotient of two as in ``"mean/std"``.
    where : boolean array [n], optional
        The rows that count; default: all.
    weights : array of numbers [n], optional
        Sampling weights, at least 0: how many members of the population each row represents. Only their ratios matter,
        so whole-number weights are not counts of rows: two rows of weight 1 carry more information than one row of
        weight 2. A row of weight 0 is left out, and counted in ``left_out``. To let every id count once, give each of
        its k rows the weight ``1/k`` and pass the ids as ``clusters``.
    clusters : array of ids [n], tuple of these, or mapping of two from name to these, optional
        The cluster of each row (a document, a user, an item asked several times). Rows of one cluster are not
        independent of each other. A tuple nests, outermost first, as in ``(school, pupil)``, and the error is that of
        the outermost clusters: these alone are independent, and what varies inside them varies their sums too (the
        "ultimate clusters" of survey sampling). A mapping crosses, as in ``{"item": items, "judge": judges}``, for
        means without strata.
    by : array of ids [n], optional
        The group of each row (a subject, a language). Each group is estimated from its own rows, with its own clusters
        and weights; the result is one Estimate of many, named by the ids as text, in the order of the ids. ``x`` must
        then be one column.
    strata : array of ids [n], optional
        The stratum of each row (a task, a language), where each stratum is a sample of its own and all together give
        one answer. Each must have two rows (or clusters) that count, and each cluster must lie inside one stratum.
        Where clusters cross strata (one question in several languages), leave ``strata`` out; weights of 1/(rows of
        the stratum) then give the macro average. With ``by`` each group has strata of its own.
    average : {"micro", "macro"}
        With ``strata``: ``"micro"`` is the statistic of all rows, in which a stratum counts as much as its rows (or
        their weights); ``"macro"`` is the mean of the strata's statistics, in which every stratum counts once.
    judge : array of numbers [n], optional
        A cheap score of every row, such as that of a judge model or of a metric, for the mean of labels that few rows
        have: ``x`` holds NaN or null where a row has none (whatever ``nan_policy`` says). Which rows have a label must
        be chance. The scores may be on any scale, and may fall where labels rise. Not with ``strata``.
    judge_mean : float, optional
        The mean of the judge's scores over the population, where that is known exactly: f is then a control variate.
        Rows without a label are left out, counted under ``no label``.
    nan_policy : {"raise", "omit"}
        ``"omit"`` leaves out rows with a NaN or a null, counted in ``left_out`` under ``nan``, and rows without an id
        in ``by`` or ``strata``, counted under ``no group`` or ``no stratum``.
    method : str, optional
        The kind of interval, instead of the choice above: ``"t"``, ``"wilson"``, ``"clopper-pearson"``,
        ``"jeffreys"``, ``"agresti-coull"`` or ``"wald"``; with clusters, weights or strata ``"t"`` or ``"wilson"``.
        With clusters also ``"cr3"``, Student's t with G - 1 degrees of freedom and the jackknife's variance (G - 1)/G
        sum (m_g - m)^2 of the means without each cluster; and for up to 20 clusters ``"wild"``, the means m0 that the
        wild cluster bootstrap-t does not reject: of all patterns of weights v_g, a share of more than 1 -
        ``confidence_level`` (twice that for one side) has abs(t*) >= abs(t), with the residuals S_g - m0 n_g in t*. The
        weights are -1 and 1, and for up to 8 clusters also these times the roots of 1/2 and 3/2 (Webb). For the mean
        (and ``"t"`` for the ratio) only.
    test : {"permutation", "rank-permutation"}, optional
        With ``"correlation"`` (or ``"slope"``) of independent rows: the test that the two columns are independent.
        ``detail`` then has ``"p_value"`` and ``"test"``. p is the share of all orders of one column beside the other
        whose correlation is at least as large (two-sided twice the smaller share), of the values or of their ranks
        (Spearman's, equal values share a rank): of all orders of up to 10 rows, else (1 + #{as large})/10,000 from
        9,999 random ones, the same in every call. Their time grows with the rows: about half a minute for 100,000 of
        them on two cores (see ``progress``). More than 262,144 rows are refused.
    confidence_level : float
        Inside (0, 1).
    alternative : {"two-sided", "less", "greater"}
        SciPy's names: ``"less"`` gives an upper limit alone, ``"greater"`` a lower one.
    progress : bool or callable
        ``True`` draws a progress bar on standard error; a callable is called with ``(done, total)``.

    Returns
    -------
    Estimate
        ``standard_error`` is s/sqrt(n), or sqrt(V); where there is no spread it is the width of the interval divided by
        2z, so never 0. With fewer than two clusters, for one graded value, and for values without spread outside
        [0, 1], the standard error and the limits are None and ``reason`` says why. ``n_effective`` is
        (sum w)^2 / sum w^2 for graded values with weights; for 0/1 values with clusters or weights it is the number of
        rows in Wilson's interval. ``detail["df"]`` holds the degrees of freedom. With m groups in ``by``,
        ``detail["simultaneous_low"]`` and ``["simultaneous_high"]`` hold the limits at 1 - alpha/m, which hold for all
        groups at once; ``left_out`` of a group counts its own rows and all rows without a group. With ``judge``,
        ``detail`` has ``"lambda"``, ``"n_labelled"``, ``"effective_labels"``: how many labels alone would tell as much,
        n times the variance of their mean over V, and ``"apart"``: D in standard errors, of which ``reason`` doubts
        those that chance has once in a thousand times. Where lambda is 0 (every row has a label, fewer than five have
        one or none, scores or labels that do not vary, graded labels that the scores give exactly) the result is that
        of the labels alone, and ``reason`` says why. The rounding error of the mean is below 2^-40 of mean |x| for up
        to 10^9 rows of any dtype.

    Raises
    ------
    TypeError
        For data that are not numbers.
    ValueError
        For NaN (unless omitted) and infinities, naming the first index; for negative weights; where no row counts; for
        shapes that do not match; for a sum of y that is 0; for columns that the statistic does not take, or of which
        it has no value (a precision without a predicted one, a correlation of a constant); for ``"cr3"`` and
        ``"wild"`` without clusters, with strata or with clusters of two kinds, and for ``"wild"`` with more than 20 of
        them; for clusters of two kinds with strata; for a labelled row without a judge's score (unless omitted), and
        no label at all; and for unknown options.

    Warns
    -----
    SteelyardWarning
        With ``judge``, where the labelled rows' mean score is farther from that of the others than chance sets it once
        in a thousand times, such as scores of 0 in place of missing ones; ``reason`` says so as well.

    Notes
    -----
    lm-evaluation-harness and Inspect report the same s/sqrt(n), but 0.0 where all answers are equal. Inspect's
    clustered standard error is CR1 (with the factor G/(G - 1)), which equals CR2 for clusters of equal size. With ten
    clusters of unequal size, the 95 % interval by CR2 with these degrees of freedom covers 94 %, that by CR1 with
    Student's t 88 %.

    Strata in which all clusters have one mean show no spread of their own. Together they add to V the square of the
    standard error of values without spread, q w R/(2z): w is the sum of their shares in the mean, w_h = 1/H or N_h/N,
    k = w^2/sum (w_h^2/G_h), q = z^2/(k + z^2) and R the width of the range (1 for values in [0, 1], else that of the
    values seen). Where no stratum has a spread, the rule for equal values applies with k in place of n.

    A ``"log_loss"`` is infinite, without limits, where a probability of 0 was given to what happened. Where all
    rows (or clusters) add the same to a statistic, such as errors that are all 0, there are no limits, except where
    counts bound it: accuracy, precision, recall, F1, balanced accuracy, BLEU and chrF then have Wilson's interval with
    the number of units, mcc and kappa [v - q (1 + v), v + q (1 - v)] with q as above. (With P ones among the n targets,
    balanced accuracy, mcc and kappa count 4 P (n - P)/n^2 of the units.) 95 % intervals of a variance, and more so of a
    skewness or kurtosis, cover less in small samples of heavy-tailed values: .77 for the variance of 20 exponential
    values, .48 for their kurtosis.

    The counts of BLEU and chrF have a row for each sentence, with sacreBLEU's columns: the lengths of system and
    reference, the matching n-grams of orders 1 to 4 and all n-grams of the system; or for each order the n-grams of
    the system, of the reference, and matching. The value is sacreBLEU's of the corpus (``smooth_method="exp"``,
    ``effective_order=False``; beta 2 for chrF). sacreBLEU 2 makes them from texts::

        metric = sacrebleu.BLEU()                    # or CHRF(), CHRF(word_order=2)
        counts = metric._extract_corpus_statistics(hypotheses, [references])
        sy.estimate(counts, "bleu", clusters=document)

    A judge that was right about all of 20 labels may be wrong about one row in ten. For 0/1 labels V is therefore at
    least q/(2 u), with u the labelled rows (one more than the degrees of freedom of their clusters) and q =
    z^2/(u + z^2): half of Wilson's upper limit for 0 of u is the share missed by 1. ``ppi_py`` takes lambda from [0, 1]
    by the pooled variance of the scores, divides by n and has normal limits: with 20 labels its 95 % interval covers
    92 % for normal values, and 52 to 85 % for 0/1 labels of which the judge takes some wrong ones for right; this one
    95 % and 97 to 99 %. Where the same clusters have rows with and without a label, the scores cannot tell what is
    special about these clusters: label rows of more clusters rather than more rows of each.

    Sources: Bell and McCaffrey, Survey Methodology 28 (2002); Cameron, Gelbach and Miller, Journal of Business and
    Economic Statistics 29 (2011), and for ``"wild"`` Review of Economics and Statistics 90 (2008); Miller, "Adding
    error bars to evals", arXiv 2411.00640; Angelopoulos et al., "Prediction-powered inference", Science 382 (2023), and
    Angelopoulos, Duchi and Zrnic, "PPI++", arXiv 2311.01453.

    Examples
    --------
    >>> import numpy as np, steelyard as sy
    >>> print(sy.estimate(np.arange(10.0)))
    4.5 [2.3, 6.7] (95 %, t, n = 10)
    >>> print(sy.estimate([1, 1, 1, 0, 1, 1, 0, 1, 1, 1], clusters=[0, 0, 1, 1, 2, 2, 3, 3, 4, 4]))
    0.80 [0.37, 0.96] (95 %, clustered Wilson, n = 10, 5 clusters)
    >>> print(sy.estimate([0.2, 0.4, 0.9], weights=[2, 1, 1]))
    0.4 [-0.6, 1.4] (95 %, weighted t, n = 3)
    >>> print(sy.estimate([0.5, 0.25, 1, 0, 0.75], by=["math", "law", "math", "law", "math"]))
    law   0.1 [-1.5, 1.7] (95 %, t, n = 2)
    math  0.75 [0.13, 1.37] (95 %, t, n = 3)
    >>> print(sy.estimate([0.5, 0.25, 1, 0, 0.75], strata=["math", "law", "math", "law", "math"], average="macro"))
    0.44 [0.13, 0.75] (95 %, macro stratified t, n = 5)
    >>> print(sy.estimate(([3, 1, 4, 1, 5], [9, 2, 6, 5, 8]), "ratio"))
    0.47 [0.18, 0.75] (95 %, t, n = 5)
    >>> print(sy.estimate(([1, 0, 1, 1, 0, 1, 0, 1], [1, 0, 0, 1, 0, 1, 1, 1]), "f1"))
    0.80 [0.46, 0.95] (95 %, Wilson, n = 8)
    >>> print(sy.estimate(np.arange(100.0), "median"))
    50 [39, 60] (95 %, order statistics, n = 100)
    >>> print(sy.estimate(([0.1, 0.4, 0.35, 0.8, 0.7, 0.2], [0, 0, 1, 1, 1, 0]), "auc"))
    0.89 [0.09, 1.00] (95 %, DeLong, n = 6)
    >>> print(sy.estimate([0.5] * 20), sy.estimate([7.0] * 20).low)
    0.500 [0.419, 0.581] (95 %, no spread, n = 20) None
    >>> nan, judge = float("nan"), [3, 9, 4, 8, 2, 7, 9, 3, 8, 6, 2, 9, 8, 7, 3, 8]
    >>> e = sy.estimate([0.2, 0.9, 0.5, 0.7, 0.3, 0.8] + [nan] * 10, judge=judge)
    >>> print(e, round(e.detail["lambda"], 3), round(e.detail["effective_labels"], 1))
    0.61 [0.44, 0.79] (95 %, prediction-powered t, n = 16) 0.06 12.9
    >>> print(sy.estimate({"old": np.arange(10.0), "new": np.arange(10.0) + 1}))
    old  4.5 [2.3, 6.7] (95 %, t, n = 10)
    new  5.5 [3.3, 7.7] (95 %, t, n = 10)
    """
    confidence = confidence_of(confidence_level, alternative)
    closed_form = _closed_form(statistic)
    if method is not None and not closed_form.methods:
        raise value_error("method", f"None for statistic={statistic!r}, which has one kind of interval", repr(method))
    how = None if method is None else choice(method, "method", closed_form.methods)
    if isinstance(clusters, Mapping) and str(statistic) != "mean":
        fix = "steelyard.bootstrap takes two kinds"
        raise value_error(
            "clusters", f"one kind for statistic={str(statistic)!r}", f"{len(clusters)} in a mapping", fix
        )
    _for_judge(statistic, judge, method=method, judge_mean=judge_mean)
    aligned(x=x, where=where, weights=weights, clusters=clusters, by=by, strata=strata, judge=judge)
    on_progress = reporter(progress)
    if test is not None:
        choice(test, "test", tuple(TESTS))
        _testable(statistic, test, weights=weights, clusters=clusters, by=by, strata=strata)
    select = partial(
        Selection, where, clusters, nan_policy, weights=weights, by=by, strata=stratum_ids(strata, average), levels=True
    )
    if judge is not None:
        return judged(x, judge, judge_mean, select, confidence=confidence, on_progress=on_progress)
    found = closed_form.answer(x, select, confidence, how, on_progress)
    if test is None:
        return found
    pair = several_columns(x, chosen(statistic).name)
    rows = select().rows("x", *pair.values())
    return independent(found, pair, rows, confidence, test=test, progress=on_progress)


def _for_judge(statistic: object, judge: Any, *, method: str | None, judge_mean: Any) -> None:
    """Refuse what does not go with a judge, and what goes with one alone."""
    if judge is None:
        if judge_mean is not None:
            raise value_error("judge_mean", f"None without {keyword('judge')}", shown(judge_mean))
        return
    if str(chosen(statistic)) != "mean":
        raise value_error("judge", "None but for statistic='mean'", f"a judge with {str(chosen(statistic))!r}")
    if method is not None:
        raise value_error("method", f"None with {keyword('judge')}, which has one kind of interval", repr(method))


def _testable(statistic: object, test: str, **groups: Any) -> None:
    """Refuse a test of independence where there are no two columns of independent rows."""
    if chosen(statistic).name not in TESTED:
        raise value_error("test", f"None but for statistic={' or '.join(map(repr, TESTED))}", repr(test))
    for name, value in groups.items():
        if value is not None:
            raise value_error(name, "None with test, whose rows are independent and alike", f"{name} as well")


def _of_mean(
    x: Any, select: Callable[..., Selection], confidence: Confidence, method: str | None, on_progress: OnProgress
) -> Estimate:
    """The mean of each column."""
    found = columns(x, "x")
    selection = select(left_out=found.left_out)

    def answer(name: str, values: Any, rows: Rows, level: Confidence) -> Estimate:
        return _intervals.mean(values, level, rows, name=name, method=method, progress=on_progress)

    if selection.by is not None:
        name, values = only_column(found, "by")
        return _intervals.by_group(groups(selection, name, values), confidence, partial(answer, name, values))
    parts = [answer(name, values, selection.rows(name, values), confidence) for name, values in found.items]
    return _intervals.stack(parts, found.names) if found.many else parts[0]


def _of_ratio(
    x: Any, select: Callable[..., Selection], confidence: Confidence, _method: str | None, on_progress: OnProgress
) -> Estimate:
    """The ratio of the sums of two columns."""
    pair = several_columns(x, "ratio")
    selection = select()
    if selection.strata is not None:
        return _of_columns(pair, selection, confidence, partial(_ratio_in_strata, pair, progress=on_progress))
    return _of_columns(pair, selection, confidence, partial(ratio, pair, progress=on_progress))


def _ratio_in_strata(
    pair: Mapping[str, Array], rows: Rows, confidence: Confidence, *, progress: OnProgress = None
) -> Estimate:
    """The ratio of a stratified sample, whose denominators must be of one sign: their sum is then certainly not 0."""
    (_, y) = pair.items()
    low = _intervals.column(rows.of(y[1]), y[0], rows=rows, progress=progress).low
    if low < 0.0:
        got = f"values from {low:g} on"
        raise value_error(y[0], "values of at least 0 with strata", got, "by= gives the ratio of each stratum")
    return of_sums(pair, rows, confidence, statistic="ratio", progress=progress)


def _of_columns(
    columns: Mapping[str, Array], selection: Selection, confidence: Confidence, answer: Callable[..., Estimate]
) -> Estimate:
    """The statistic of several columns together, or of each group of their rows."""
    if selection.by is not None:
        return _intervals.by_group(groups(selection, "x", *columns.values()), confidence, answer)
    return answer(selection.rows("x", *columns.values()), confidence)


def _of_rows(
    statistic: Chosen,
    x: Any,
    select: Callable[..., Selection],
    confidence: Confidence,
    _method: str | None,
    on_progress: OnProgress,
) -> Estimate:
    """A statistic of sums or of sorted rows: of each column, or of several columns together."""
    if statistic.name in SORTED:
        of = partial(of_sorted, statistic=statistic, progress=on_progress)
    else:
        of = partial(of_sums, statistic=statistic.name, progress=on_progress)
    if len(column_names(statistic.name)) > 1:
        several = several_columns(x, statistic.name)
        return _of_columns(several, select(), confidence, partial(of, several))
    found = columns(x, "x")
    selection = select(left_out=found.left_out)
    if selection.by is not None:
        name, values = only_column(found, "by")
        return _of_columns({name: values}, selection, confidence, partial(of, {name: values}))
    parts = [of({name: values}, selection.rows(name, values), confidence) for name, values in found.items]
    return _intervals.stack(parts, found.names) if found.many else parts[0]


class _ClosedForm(NamedTuple):
    """The estimate of one statistic, and the kinds of interval that it may have."""

    answer: Callable[[Any, Callable[..., Selection], Confidence, str | None, OnProgress], Estimate]
    methods: tuple[str, ...]


# The statistics with functions of their own.
CLOSED_FORMS: Mapping[str, _ClosedForm] = {
    "mean": _ClosedForm(_of_mean, MEANS),
    "ratio": _ClosedForm(_of_ratio, ("t",)),
}


def _closed_form(statistic: object) -> _ClosedForm:
    """The estimate of a statistic; raises for a name that is of none, or of one without a closed form."""
    of = chosen(statistic)
    known = (*of_sums_by_name(), *SORTED)
    if not is_of_sums(of.name) and of.name not in SORTED:
        fix = "use steelyard.reliability" if of.name == "ece" else "use steelyard.bootstrap"
        raise value_error("statistic", f"one of {', '.join(known)}", repr(of.name), fix)
    return CLOSED_FORMS.get(of.name) or _ClosedForm(partial(_of_rows, of), ())

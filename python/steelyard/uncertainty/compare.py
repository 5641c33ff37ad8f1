"""Comparison of models, on the same rows or as samples: chooses the test and the interval that suit the data."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from typing import Any, overload

import numpy as np
from numpy.typing import NDArray

from .._arrays import aligned
from .._columns import columns, frame, one_column
from .._groups import groups
from .._mode import standard_mode
from .._options import Alternative, Confidence, NanPolicy, choice, confidence_of, flag
from .._progress import OnProgress, Progress, reporter
from .._rows import Selection
from .._strata import Average, stratum_ids
from ..errors import keyword, type_error, value_error
from ._answers import Asked, asked_of
from ._compare_checks import check_adjustment, check_for_judge, check_for_ranks, no_groups
from ._comparisons import comparison_of
from ._differences import COMPARED, LOWER_IS_BETTER, baseline_of, compared
from ._joint import JOINT, joint
from ._judged_pairs import judged_pair
from ._paired import paired as on_pairs
from ._perplexity import log_ratio, ratio_of, token_models
from ._samples import resampled_method
from ._sequential import on_sequence, sequence_bounds
from ._unpaired import unpaired
from .comparison import Comparison, Pair
from .items import Compared
from .ranking import Ranking, ranking

__all__ = ["compare"]

Array = NDArray[Any]
STATISTICS = ("mean", "perplexity", *COMPARED)


@overload
def compare(
    new: Any,
    baseline: Any,
    *,
    statistic: str = "mean",
    paired: bool = True,
    method: str | None = None,
    test: str | None = None,
    n_resamples: float | None = None,
    where: Any = None,
    clusters: Any = None,
    per: Any = None,
    by: Any = None,
    strata: Any = None,
    average: Average = "micro",
    judge: Any = None,
    sequential: bool = False,
    bounds: tuple[float, float] | None = None,
    nan_policy: NanPolicy = "raise",
    confidence_level: float = 0.95,
    alternative: Alternative = "two-sided",
    higher_is_better: bool | None = None,
    adjust: str | None = "holm",
    progress: Progress = False,
) -> Comparison: ...
@overload
def compare(
    new: Any,
    *,
    where: Any = None,
    clusters: Any = None,
    nan_policy: NanPolicy = "raise",
    confidence_level: float = 0.95,
    higher_is_better: bool = True,
    progress: Progress = False,
) -> Ranking: ...
@standard_mode
def compare(
    new: Any,
    baseline: Any = None,
    *,
    statistic: str = "mean",
    paired: bool = True,
    method: str | None = None,
    test: str | None = None,
    n_resamples: float | None = None,
    where: Any = None,
    clusters: Any = None,
    per: Any = None,
    by: Any = None,
    strata: Any = None,
    average: Average = "micro",
    judge: Any = None,
    sequential: bool = False,
    bounds: tuple[float, float] | None = None,
    nan_policy: NanPolicy = "raise",
    confidence_level: float = 0.95,
    alternative: Alternative = "two-sided",
    higher_is_better: bool | None = None,
    adjust: str | None = "holm",
    progress: Progress = False,
) -> Comparison | Ranking:
    """Compare models with a baseline, on the same rows or (``paired=False``) as two samples of different rows.

    Paired, what is estimated is the mean of the differences d = new - base of the rows.

    Without ``baseline``, all models of ``new`` are compared with each other and ranked (see below).

    - 0/1 answers, independent rows: Tango's score interval and McNemar's mid-p. With b wins and c losses of n the
      interval holds the D with abs(b - c - n D) <= z sqrt(n (2 q + D (1 - D))), q the likelihood estimate of a loss
      given D. Others by name (``method``): ``"newcombe"``, the Wilson limits of both shares combined like those of two
      samples (below), but for the correlation phi of the answers: d - sqrt(x^2 - 2 phi x y + y^2); ``"bonett-price"``,
      Wald's formula for b + 1 wins and c + 1 losses of n + 2; ``"exact"``, Fay and Lumbard's, which leaves zero out
      exactly where McNemar's exact test rejects: the limits of T (2 B - 1), where T (the share of discordant pairs) and
      B (that of wins among them) have the distributions that their exact binomial limits are quantiles of
      (from 2^24 pairs on it is Tango's).
    - Graded scores: Student's interval of the differences, and the exact sign-flip p: the share of all 2^m sign
      patterns of the m non-zero differences whose sum is at least as far from zero. No random patterns are drawn, so
      that p has no lower bound other than 2^-m (two-sided: 2^(1 - m)).
    - With ``clusters`` (either kind): the clustered (CR2) interval of the differences (see
      :func:`steelyard.estimate`), and the sign-flip test of the cluster sums.
    - With ``strata`` (either kind): the stratified interval of the differences (see :func:`steelyard.estimate`), and
      the sign-flip test of the differences or cluster sums. For the macro average these are divided by the number of
      rows N_h of their stratum, so that it is the test of the macro average. Flips ignore the strata: where the mean
      difference varies between strata, p is larger than need be, never smaller.
    - ``statistic="perplexity"``: of NLL of the same tokens, D = sum (nll_new - nll_base) / N is the difference in nats
      per token and ``ratio``, exp(D), the ratio of the perplexities. Its interval is the clustered (CR2) one, its p the
      sign flip of the cluster sums; lower is better.
    - ``statistic="bleu"``, ``"f1"`` or another statistic of sums (see :func:`steelyard.estimate`): the statistic of new
      minus that of base, with the linearised (CR2) interval of the difference, and p = (1 + #{abs(D* - D) >=
      abs(D)})/(B + 1) with the differences D* of B = 9,999 resamples of the rows (or clusters), the same in every call;
      one-sided D* - D >= D or <= D. ``new`` and ``baseline`` hold the columns of one model, such as counts ``[n, 10]``.
      (sacreBLEU's ``--paired-bs`` compares abs(D*) less its mean with abs(D), and rejects 11 % of true hypotheses at
      5 %.)
    - With ``judge`` (either kind): labels of few rows and a judge's scores of all: the prediction-powered mean of the
      labels' differences (see :func:`steelyard.estimate`), with the judge's scores of the differences, and p by its t.
      ``wins``, ``losses`` and ``ties`` count labelled rows. Where lambda is 0 it is the comparison of these alone.
    - With ``sequential`` (either kind): the rows are taken one after another, in their order, and the interval of the
      mean difference holds at all times at once, so that the comparison may be repeated as rows come in, and collection
      stopped because of what it says: hedged betting (see :func:`steelyard.uncertainty.confidence_sequence`). p is 1
      over the larger of the stakes against a difference of 0 at its largest, which holds at all times as well.
    - With ``by``: each group is a comparison of its own rows; p-values are adjusted for the number of groups.
    - Without ``baseline``: with S the sum and Q the sum of squares of a pair's differences (of the cluster sums, where
      there are ``clusters``), all claims "i is better than j" are tested by S/sqrt(Q), an increasing function of
      Student's t, the largest first. The p of a claim is the share of 9,999 random patterns of signs (all patterns
      where there are fewer) in which the largest S*/sqrt(Q) of all claims not yet tested reaches its own; a pattern
      flips an item in all pairs at once. The random patterns are the same in every call. A model's rank is from
      1 + the number of models that are surely better to M - the number that are surely worse.

    Unpaired, it is the difference of the two means:

    - 0/1 answers, independent rows: Newcombe's score interval, whose limits are d - sqrt((a - a_low)^2 + (b_high -
      b)^2) and d + sqrt((a_high - a)^2 + (b - b_low)^2) by the Wilson limits of both sides; and the mid-p of Fisher's
      test, two-sided twice the smaller of the one-sided ones. Others by name: ``"miettinen-nurminen"``, the score
      interval, which holds the D with abs(a - b - D) <= z sqrt((p (1 - p)/n + q (1 - q)/m) N/(N - 1)), N = n + m, with
      the likelihood estimates p = q + D given D; ``"agresti-caffo"``, Wald's formula for one more right and one more
      wrong answer on each side.
    - Graded scores: Welch's t, with the variance V + W of the difference and (V + W)^2/(V^2/df_V + W^2/df_W) degrees
      of freedom. With ``test="permutation"``, p is the share of all ways to deal the scores to the two sides in which
      the difference is at least as large, two-sided twice the smaller share. It is exact for the hypothesis that both
      sides have one distribution; where only their means are equal and the smaller side varies more, it rejects too
      often.
    - With ``clusters``: V and W are the clustered (CR2) variances with their degrees of freedom. Graded scores have the
      t interval of these, 0/1 answers Newcombe's of the two clustered Wilson intervals; p is that of t = d/sqrt(V + W).
    - With ``n_resamples=math.inf`` (either kind): the limits that infinitely many bootstrap resamples of both sides
      would give, each within itself, without resampling: see :func:`steelyard.bootstrap`, whose strata the sides are.
      Clusters of a side must be of one size.
    - A side without spread (see :func:`steelyard.estimate`) takes the limits of its own mean, and both are combined
      like Newcombe's; where both show none, p is the mid-p of Fisher's test of which rows hold the larger value. Where
      the spread of a side cannot be known there is no interval, and p is 1.

    Parameters
    ----------
    new : array [n] or [n, M], mapping from name to array [n], or frame
        Scores; row i of every model must be the same item. (:func:`steelyard.records.read` pairs records by id.) Where
        the two sides have different float types, scores within one rounding step of the coarser type count as ties.
        Unpaired, arrays may have any lengths. For ``statistic="perplexity"`` a TokenScores or an array ``[B, T]`` or
        ``[T]`` of NLL in nats, or a mapping of such: position i must be the same token.
    baseline : array [n], or str, optional
        The scores to compare with, or the name of one of the models in the mapping. Without it ``new`` must hold
        several models.
    statistic : str
        What is compared: ``"mean"`` scores, the ``"perplexity"`` (see :func:`steelyard.perplexity`), or another
        statistic of sums but the ratio.
    paired : bool
        False for two samples of different rows, such as models that answered different questions. Where the rows are
        the same, the paired comparison is sharper: both models find the same items hard.
    method : {"tango", "newcombe", "bonett-price", "exact"} or {"newcombe", "miettinen-nurminen", "agresti-caffo"}
        The interval of 0/1 answers of independent rows, paired or not (see above); default: the first one. With
        ``n_resamples=math.inf`` that of the bootstrap: ``"bca"``, ``"bc"``, ``"percentile"``, ``"expanded"`` or
        ``"basic"``.
    test : {"mid-p", "exact", "chi-squared"} or {"t", "permutation"}, optional
        The test of 0/1 answers of independent rows, McNemar's or (unpaired) Fisher's, or that of two samples of graded
        scores; default: the first one. Pairs of graded scores have the sign-flip test. For 0/1 answers, given the
        number of discordant pairs, or of right answers, the wins or the right answers of the new model are binomial or
        hypergeometric: ``"exact"`` is their whole tail, ``"mid-p"`` counts the observed number half, both twice for two
        sides. ``"chi-squared"`` takes (b - c)/sqrt(b + c) as normal; unpaired (a - b)/sqrt(p (1 - p)(1/n + 1/m)
        N/(N - 1)), p the share of all right answers. ``"permutation"`` needs scores that are multiples of one step
        (such as tenths, up to about 1,200 of them), or at most 4,194,304 ways to deal them, to be exact; else p is
        (1 + #{as far out})/10,000 of 9,999 random ways, the same in every call, and ``test`` says so; at most 262,144
        scores.
    n_resamples : math.inf, optional
        Unpaired: asks for the limits of the bootstrap with infinitely many resamples; p stays that of the test.
    where : boolean array [n], optional
        The rows that count; default: all. Unpaired: a mapping of such arrays for ``"new"``, ``"baseline"`` or both.
    clusters : array of ids [n], optional
        Which cluster each row belongs to: rows of one cluster are not independent. Unpaired: a mapping of such arrays
        for ``"new"``, ``"baseline"`` or both (each row of the other side is then a cluster of its own); clusters of the
        two sides are independent even where their ids are equal. For perplexities: an id per token or per row; by
        default each row of ``[B, T]`` is its own cluster, and ``[T]`` is one, which has no interval.
    per : array of numbers, one per token or one per row, optional
        For perplexities: the numbers whose sum to divide by instead of the number of tokens, such as words or bytes.
        Models with different tokens are compared by document: ``new`` and ``baseline`` hold the sum of NLL of each
        document, ``per`` its bytes and ``clusters`` is ``range(n)``.
    by : array of ids [n], optional
        The group of each row (a subject, a language). The result compares the one model in each group, and is named by
        the ids as text, in their order. Paired rows only.
    strata : array of ids [n], optional
        The stratum of each row, where each stratum is a sample of its own and all give one answer. Each must have two
        rows (or clusters) that count, and each cluster must lie inside one stratum. Paired rows only.
    average : {"micro", "macro"}
        With ``strata``: ``"micro"`` is the mean difference of all rows, ``"macro"`` the mean of the strata's mean
        differences, in which every stratum counts once.
    judge : array of numbers [n], or mapping {"new": array [n], "baseline": array [n]}, optional
        Where few rows have labels (``new`` and ``baseline`` hold NaN elsewhere): a judge's scores of every row, of both
        models, or of the difference, such as the preference of a judge that saw both. Models of a mapping may have
        their own names in place of "new" and "baseline". Rows with a label of one model alone count as unlabelled;
        ``difference.detail["half_labelled"]`` says how many. One model, paired rows.
    sequential : bool
        True where scores are looked at while they come in. Independent paired rows, two-sided.
    bounds : tuple of two floats, optional
        With ``sequential``: the least and the largest score that is possible; default: (0, 1).
    nan_policy : {"raise", "omit"}
        ``"omit"`` leaves out a row where either score is NaN or null, and counts it in ``difference.left_out``.
    confidence_level : float
        Inside (0, 1).
    alternative : {"two-sided", "less", "greater"}
        The claim about new - base; p-values and intervals are one-sided for ``"less"`` and ``"greater"``.
    higher_is_better : bool, optional
        By default False for ``"perplexity"``, ``"rmse"``, ``"brier"`` and ``"log_loss"``, else True.
        ``False`` where lower is better, as for losses: ``wins`` are then rows where new is lower, and ``verdict``
        changes the sign of the difference.
    adjust : {"holm", "bonferroni", "hochberg", "bh", "by", "max-t", "romano-wolf"} or None
        How the p-values of several models (or groups) are adjusted for their number (see
        :func:`steelyard.uncertainty.adjust`); ``None``: not at all. ``"max-t"`` and ``"romano-wolf"`` use how models
        depend on each other (paired scores, no groups or strata): with S/sqrt(Q) of each model's differences as above,
        the p is the share of shared sign patterns, on the rows on which all models count, in which the largest
        S*/sqrt(Q) of all models reaches the model's own; step-down (Romano and Wolf) of all models whose own is not
        larger. Neither is smaller than the model's own p. Verdicts and limits do not depend on it.
    progress : bool or callable
        ``True`` draws a progress bar on standard error; a callable is called with ``(done, total)``.

    Returns
    -------
    Comparison, or Ranking without ``baseline``
        The differences with their intervals, p-values, wins, losses and ties, and ``verdict``; or the models, the best
        first, with the ranks that each may have and which of them cannot be told from the best. For several models or
        groups, ``difference.detail`` has the limits at 1 - alpha/m beside each difference's own.

    Raises
    ------
    TypeError, ValueError
        As for :func:`steelyard.estimate`, and where the rows are paired and new and baseline differ in their number.

    Warns
    -----
    SteelyardWarning
        With ``judge``, where the labelled rows' mean score is farther from that of the others than chance sets it once
        in a thousand times, such as scores of 0 in place of missing ones; ``difference.reason`` says so as well.

    Notes
    -----
    The p-value and the interval may disagree about zero in borderline cases: mid-p and Tango do in 14 of 7,260 tables
    of 200 pairs. ``verdict`` reads the interval alone. ``test="chi-squared"`` agrees with Tango's interval and
    (unpaired) with Miettinen and Nurminen's in every table: p is below alpha where the interval leaves zero out. Where
    clusters of 0/1 pairs show no spread at all, the interval is Tango's, computed with as many pairs as there are
    clusters. Comparing two separate intervals instead of paired differences is much weaker, because it ignores that
    both models find the same items hard.

    For independent 0/1 answers, turning a right answer of the new model into a wrong one never improves the verdict.
    For graded scores, means over epochs and clusters it can: the mean falls, but if the answer was an outlier, the
    spread falls more.

    The sign-flip p takes milliseconds even for a million rows. Where there are few patterns (up to 40 non-zero
    differences) or few that are as far from zero, they are counted. Otherwise the characteristic function
    prod cos(t abs(d_i)) is inverted, along a contour that keeps the relative precision of a p as small as 1e-300.
    Differences that are multiples of one step up to rounding (scores in tenths, counts) are treated as exact
    multiples, so that equal sums tie; rounding is that of float64 or, from 12 differences on, of float32. ``test`` is
    "sign-flip, exact" where the relative error of p is at most 1e-6; otherwise it states the error. A p below 2.2e-308,
    the smallest normal float64, is returned as that number and printed with "<=".

    Sources: Tango, Statistics in Medicine 17 (1998); Fagerland, Lydersen and Laake, BMC Medical Research Methodology
    13 (2013); Newcombe, Statistics in Medicine 17 (1998), method 10 of either paper; Bonett and Price, Journal of
    Educational and Behavioral Statistics 37 (2012); Fay and Lumbard, Statistics in Medicine 40 (2021);
    Miettinen and Nurminen, Statistics in Medicine 4 (1985);
    Agresti and Caffo, American Statistician 54 (2000); Campbell, Statistics in Medicine 26 (2007); Zou and Donner,
    Statistics in Medicine 27 (2008);
    Welch, Biometrika 34 (1947); Holm, Scandinavian Journal of Statistics 6 (1979); Lugannani and Rice, Advances in
    Applied Probability 12 (1980); Romano and Wolf, Journal of the American Statistical Association 100 (2005); for
    ranks: Mogstad, Romano, Shaikh and Wilhelm, Review of Economic Studies 91 (2024).

    Examples
    --------
    >>> import steelyard as sy
    >>> base = [1] * 100 + [0] * 100
    >>> new = [0] * 10 + [1] * 102 + [0] * 88
    >>> diff = sy.compare(new, baseline=base)
    >>> print(diff)
    new - baseline: 0.010 [-0.038, 0.059] (95 %, Tango, n = 200)
      p = 0.678 (McNemar mid-p), 12 wins, 10 losses, 178 ties
    >>> diff.verdict(margin=0.02)
    'undecided'
    >>> print(sy.compare({"a": [1, 1, 1, 0] * 25, "b": [1, 1, 0, 1] * 25, "c": [0, 1, 0, 0] * 25}))
    1-2  a  0.750 [0.657, 0.825] (95 %, Wilson, n = 100)  *
    1-2  b  0.750 [0.657, 0.825] (95 %, Wilson, n = 100)  *
      3  c  0.250 [0.175, 0.343] (95 %, Wilson, n = 100)
    * cannot be told from the best (95 % for all pairs, step-down max-t over 9,999 random sign flips, one sign per row)
    >>> nll = [[2.0, 1.5], [3.0, 0.5], [2.5, 1.0]]
    >>> print(sy.compare([[1.9, 1.5], [2.7, 0.4], [2.4, 1.0]], baseline=nll, statistic="perplexity").ratio)
    0.90 [0.73, 1.12] (95 %, clustered t, n = 6, 3 clusters)
    >>> nan = float("nan")
    >>> new = [0.9, 0.8, 1, 0.4, 0.7, 0.9, 0.6, 0.8] + [nan] * 8
    >>> base = [0.7, 0.8, 0.6, 0.5, 0.4, 0.8, 0.1, 0.7] + [nan] * 8
    >>> print(sy.compare(new, baseline=base, judge=[4, 1, 7, -2, 6, 2, 8, 1, 3, 5, 0, 4, 6, -1, 7, 2]))
    new - baseline: 0.18 [0.07, 0.29] (95 %, prediction-powered t, n = 16)
      p = 0.00298 (prediction-powered t), 6 wins, 1 losses, 1 ties
    >>> print(sy.compare([1] * 56 + [0] * 14, baseline=[1] * 48 + [0] * 32, paired=False))
    new - baseline: 0.20 [0.05, 0.33] (95 %, Newcombe, n = 150)
      p = 0.00845 (Fisher mid-p), unpaired: 70 rows against 80
    """
    confidence, ids = confidence_of(confidence_level, alternative), stratum_ids(strata, average)
    named = choice(statistic, "statistic", STATISTICS)
    ranked = baseline is None and _several(new)
    within = sequence_bounds(
        sequential, bounds, confidence, statistic=named, paired=paired, ranked=ranked, method=method, test=test,
        n_resamples=n_resamples, clusters=clusters, per=per, strata=strata, judge=judge,
    )  # fmt: skip
    shared = named == "mean" and bool(paired) and by is None and strata is None and within is None
    check_adjustment(adjust, shared=shared)
    higher_is_better = (
        named not in LOWER_IS_BETTER if higher_is_better is None else flag(higher_is_better, "higher_is_better")
    )
    other_rows = {
        f"with statistic={named!r}": named != "mean", "without a baseline": ranked,
        "with clusters": clusters is not None, "with strata": strata is not None,
        "with judge=": judge is not None,
    }  # fmt: skip
    resampled = resampled_method(n_resamples, method, paired=flag(paired, "paired"))
    asked = asked_of(method if resampled is None else None, test, paired=paired, other_rows=other_rows)
    if judge is not None or named != "mean":
        return _other_than_means(
            named, new, baseline, confidence, paired=paired, where=where, clusters=clusters, per=per, by=by, strata=ids,
            judge=judge, asked=asked, nan_policy=nan_policy, higher=higher_is_better, adjust=adjust,
            progress=reporter(progress),
        )  # fmt: skip
    no_groups("statistic='perplexity'", "the mean of scores counts rows", per=per)
    if ranked:
        check_for_ranks(confidence, adjust, paired=paired, by=by, strata=strata)
        aligned(new=new, where=where, clusters=clusters)
        found = columns(new, "new")
        selection = Selection(where, clusters, nan_policy, found.left_out)
        return ranking(found, selection, confidence, higher=higher_is_better, progress=reporter(progress))
    models, base_name, base = _split(new, baseline)
    found = columns(models, "new")
    base_label = "baseline" if base_name is None else f"new[{base_name!r}]"
    names, on_progress = found.names, reporter(progress)
    count = len(names) if names is not None else (np.shape(models)[1] if found.many else 1)
    gathered = partial(
        comparison_of, names=names, baseline=base_name, higher=higher_is_better, adjust=adjust, many=found.many
    )
    if not paired:
        no_groups("paired rows", "compare the rows of each group or stratum on their own", by=by, strata=strata)
        table = frame(new)
        given = baseline if table is None or base_name is None else table[base_name]
        of_sides = unpaired(
            models, found, (base_label, given, base), where=where, clusters=clusters, nan_policy=nan_policy,
            asked=asked, resampled=resampled, confidence=confidence, models=count, progress=on_progress,
        )  # fmt: skip
        return gathered(list(of_sides), paired=False)
    aligned(new=new, baseline=baseline, where=where, clusters=clusters, by=by, strata=strata)
    left_out = found.left_out or dict(getattr(new, "left_out", {}))
    selection = Selection(where, clusters, nan_policy, left_out, by=by, strata=ids)
    if by is not None and count > 1:
        raise value_error("new", f"one model with {keyword('by')}", f"{count} models", "compare one at a time")
    pairs, items = list[Pair](), list(found.items)
    for name, values in items:
        _same_rows(name, values, base_label, base)
        how = partial(on_pairs, asked=asked) if within is None else partial(on_sequence, bounds=within)
        of_rows = partial(how, (name, values), (base_label, base), confidence=confidence, on_progress=on_progress)
        if by is None:
            pairs.append(of_rows(selection.rows(name, values, base), problems=count))
        else:
            parts = groups(selection, name, values, base)
            pairs = [of_rows(rows, problems=len(parts)) for rows in parts.values()]
            model = names[0] if names is not None else "new"
            gathered = partial(gathered, names=tuple(parts), many=True, model=model)
    if adjust in JOINT:
        scores = (base, *(values for _, values in items))
        gathered = partial(gathered, joint=joint(adjust, scores, selection, confidence, on_progress))
    return gathered(pairs)._compared_from(
        Compared(
            models, base if base_name is None else new[base_name], selection.with_ids(), nan_policy,
            Compared.ids_of(new), higher_is_better=higher_is_better,
            counts=_counts(pairs, higher=higher_is_better, together=by is not None),
        )
    )  # fmt: skip


def _same_rows(name: str, values: Array, base_label: str, base: Array) -> None:
    """Refuse a model that has not as many rows as the baseline."""
    if len(values) != len(base):
        fix = (
            f"pair them by id first (steelyard.records does), or pass {keyword('paired', False)} to compare two "
            "samples of different rows"
        )
        raise value_error(name, f"{len(base)} rows, as {base_label} has", str(len(values)), fix)


def _counts(pairs: list[Pair], *, higher: bool, together: bool) -> tuple[tuple[int | None, int | None], ...]:
    """Wins and losses of each pair; ``together``: of all, since the groups of one model are one list of items."""
    counts = tuple((p.wins, p.losses) if higher else (p.losses, p.wins) for p in pairs)
    if not together:
        return counts
    wins, losses = (sum(count or 0 for count in side) for side in zip(*counts, strict=True))
    return ((wins, losses),)


def _other_than_means(
    statistic: str,
    new: Any,
    baseline: Any,
    confidence: Confidence,
    *,
    paired: bool,
    where: Any,
    clusters: Any,
    per: Any,
    by: Any,
    strata: Any,
    judge: Any,
    asked: Asked,
    nan_policy: NanPolicy,
    higher: bool,
    adjust: str | None,
    progress: OnProgress,
) -> Comparison:
    """Compare another statistic of models, their perplexities on the same tokens, or few labels with a judge's help."""
    if judge is not None:
        check_for_judge(statistic, baseline, paired=paired, by=by, per=per, strata=strata)
        aligned(new=new, baseline=baseline, where=where, clusters=clusters, judge=judge)
        selection = Selection(where, clusters, nan_policy, dict(getattr(new, "left_out", {})))
        pair, base_name, names = _with_judge(
            new, baseline, judge, selection, asked=asked, confidence=confidence, progress=progress
        )
        return comparison_of([pair], names, base_name, higher=higher, adjust=adjust, many=names is not None)
    tokens = statistic == "perplexity"
    no_groups('statistic="mean"', f"compare the {'tokens' if tokens else 'rows'} of each group on their own", by=by)
    if not paired:
        fix = "score the same tokens by both" if tokens else "compare the same rows"
        raise value_error("paired", f"True with statistic={statistic!r}", "False", fix)
    if tokens:
        no_groups('statistic="mean"', "compare the tokens of each group on their own", strata=strata)
        return _perplexities(
            new, baseline, confidence, where=where, clusters=clusters, per=per, nan_policy=nan_policy, higher=higher,
            adjust=adjust, progress=progress,
        )  # fmt: skip
    no_groups("statistic='perplexity'", "only tokens are counted in other units", per=per)
    baseline_of(statistic, baseline)
    aligned(new=new, baseline=baseline, where=where, clusters=clusters)
    selection = Selection(where, clusters, nan_policy, {}, strata=strata)
    models, names, base_name, base = token_models(new, baseline)
    given = ("baseline" if base_name is None else f"new[{base_name!r}]", base)
    pairs = [
        compared(
            of, given, selection, statistic=statistic, confidence=confidence, problems=len(models), progress=progress
        )
        for of in models.items()
    ]
    return comparison_of(pairs, names, base_name, higher=higher, adjust=adjust, many=names is not None)


def _with_judge(
    new: Any,
    baseline: Any,
    judge: Any,
    selection: Selection,
    *,
    asked: Asked,
    confidence: Confidence,
    progress: OnProgress,
) -> tuple[Pair, str | None, tuple[str, ...] | None]:
    """One model compared with the baseline by few labels; the names of both."""
    models, base_name, base = _split(new, baseline)
    items = list((found := columns(models, "new")).items)
    base_label = "baseline" if base_name is None else f"new[{base_name!r}]"
    if len(items) > 1:
        raise value_error("new", f"one model with {keyword('judge')}", f"{len(items)} models", "compare one at a time")
    ((name, values),) = items
    if len(values) != len(base):
        fix = "rows without a label have NaN there"
        raise value_error(name, f"{len(base)} labels, as {base_label} has", str(len(values)), fix)
    sides = ((name, values), (base_label, base))
    both = None if base_name is None or found.names is None else (found.names[0], base_name)
    pair = judged_pair(*sides, judge, selection, names=both, asked=asked, confidence=confidence, progress=progress)
    return pair, base_name, found.names


def _perplexities(
    new: Any,
    baseline: Any,
    confidence: Confidence,
    *,
    higher: bool,
    adjust: str | None,
    **of_tokens: Any,
) -> Comparison:
    """Compare the perplexities of models that scored the same tokens."""
    models, names, base_name, base = token_models(new, baseline)
    base_label = "baseline" if base_name is None else f"new[{base_name!r}]"
    pairs = [
        log_ratio(name, scores, (base_label, base), confidence=confidence, problems=len(models), **of_tokens)
        for name, scores in models.items()
    ]
    found = comparison_of(
        pairs, names, base_name, higher=higher, adjust=adjust, many=names is not None,
    )  # fmt: skip
    return replace(found, ratio=ratio_of(found.difference))


def _several(new: Any) -> bool:
    """Whether ``new`` is a mapping or a table of several models, which can be compared with each other."""
    if (named := frame(new)) is not None:
        return len(named) > 1
    return isinstance(new, np.ndarray | list) and np.ndim(new) == 2 and np.shape(new)[1] > 1


def _split(new: Any, baseline: Any) -> tuple[Any, str | None, Array]:
    """The models, the baseline's name where it is one of them, and its column."""
    named = frame(new)
    if baseline is None:
        given = f", one of {list(map(str, named))}" if named is not None else ""
        raise type_error("baseline", f"an array of scores, or a model's name{given}", "None")
    if not isinstance(baseline, str):
        return new, None, one_column(baseline, "baseline")
    if named is None:
        raise type_error("baseline", "an array of scores, since new is not a mapping of names", repr(baseline))
    if baseline not in named:
        raise value_error("baseline", f"one of {list(map(str, named))}", repr(baseline))
    others = {name: scores for name, scores in named.items() if name != baseline}
    if not others:
        raise value_error("new", f"at least one model beside {baseline!r}", "none")
    return others, baseline, one_column(named[baseline], f"new[{baseline!r}]")

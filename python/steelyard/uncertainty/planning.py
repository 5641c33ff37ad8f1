"""Planning: the power of a comparison, how many rows it needs, and the least difference that it can show."""

from __future__ import annotations

from typing import Any

from .._mode import standard_mode
from .._options import Alternative
from ._planned import planned
from ._solve import analysed
from .power_analysis import PowerAnalysis

__all__ = ["minimum_detectable", "power", "sample_size"]


@standard_mode
def power(
    n: Any,
    difference: Any,
    *,
    margin: Any = 0.0,
    baseline: Any = None,
    discordance: Any = None,
    sd: Any = None,
    pilot: Any = None,
    paired: bool = True,
    ratio: Any = 1.0,
    clusters: Any = None,
    cluster_size: Any = 1.0,
    icc: Any = None,
    answers: Any = 1,
    answer_icc: Any = None,
    method: str | None = None,
    test: str | None = None,
    confidence_level: float = 0.95,
    alternative: Alternative = "two-sided",
    comparisons: int = 1,
) -> PowerAnalysis:
    """Predict how often a comparison of ``n`` rows will show a true ``difference``: its power.

    One of ``baseline``, ``discordance``, ``sd`` and ``pilot`` says what is compared. The power is the chance of the
    verdict "better": that the lower limit of the interval which :func:`steelyard.proportion` or
    :func:`steelyard.compare` has by default exceeds 0 (one share: exceeds ``baseline``). With a ``margin`` it is the
    chance of "better" or "not_worse": the limit exceeds -margin. At ``difference=0`` it is the chance of a false alarm.

    - *One share* (``baseline``): of n answers, right with probability baseline + difference, Wilson's interval.
    - *Two samples of 0/1 answers* (``baseline``, ``paired=False``): n answers of the new model and ratio * n of the
      baseline, right with probability ``baseline``; Newcombe's interval.
    - *Pairs of 0/1 answers* (``discordance`` psi): both models answer n items; new wins with probability
      (psi + difference)/2 and loses with (psi - difference)/2; Tango's interval.
    - *Graded pairs* (``sd``): differences with that standard deviation; Student's interval.
    - *Two samples of graded scores* (``sd``, ``paired=False``): Welch's interval.

    For independent 0/1 answers the power is the sum of the probabilities of all outcomes that decide, each by the very
    interval (error below 1e-12; beyond 131,072 rows the normal distribution). Otherwise it is that of the noncentral t
    distribution, P(T > t) with df and delta = (difference + margin)/sqrt(V/n), which is exact where the means of rows
    or clusters are normal. V is the variance of a row's difference, times

    - 1 + (m - 1) icc, the design effect, for rows in clusters of m (``cluster_size``): n counts rows, df is n/m - 1;
    - (1 + (K - 1) answer_icc)/K where K ``answers`` (epochs) to each item are averaged: n counts items.

    Parameters
    ----------
    n : int or array of ints
        Rows: items, or pairs of answers to them; of two samples those of new. This and all other numbers may be arrays
        of settings, which are broadcast.
    difference : float or array
        The true difference, new - base or share - baseline.
    margin : float or array
        The loss that is acceptable, at least 0.
    baseline : float or array, optional
        Of one share, the known share in [0, 1] to compare with, such as what guessing gets right; with ``paired=False``
        the true share of the baseline's sample.
    discordance : float or array, optional
        The share of items on which the two models' 0/1 answers differ, at least abs(difference).
    sd : float or array, or tuple of two, optional
        The standard deviation of the differences of graded pairs; with ``paired=False`` that of the scores, or those of
        (new, base).
    pilot : array [n] or [n, K], or tuple of two, optional
        The differences new - base of a pilot's items, a row for K answers to each. Where all are -1, 0 or 1 (and K is
        1, without ``clusters``) the pilot says the discordance, which is raised to a difference that is larger; else
        the standard deviation. With ``paired=False`` the scores (new, base). ``low`` and ``high`` of the result are the
        answers at the limits of what the pilot says, at ``confidence_level``: Wilson's of a share, those of
        chi-squared of a variance.
    paired : bool
        False for two samples of different rows.
    ratio : float or array
        Of two samples, the baseline's rows for each row of new (rounded up).
    clusters : array of ids [n], optional
        The cluster of each of the pilot's rows; rows to come are taken to be in clusters of the same kind.
    cluster_size : float or array
        Without a pilot, the rows in a cluster, taken as equal: clusters of sizes with a coefficient of variation c need
        about as many rows as equal ones of size (1 + c^2) m.
    icc : float or array, optional
        The intraclass correlation: that of the differences (of one model or two samples: the scores) of two rows of a
        cluster. Needed where ``cluster_size`` is above 1.
    answers : int or array
        How many answers to each item are averaged.
    answer_icc : float or array, optional
        The correlation of the differences (or scores) of two answers to one item. Needed without a pilot where
        ``answers`` is above 1; a pilot ``[n, K]`` shows it.
    method : str, optional
        Another interval of independent 0/1 answers: those of :func:`steelyard.proportion` for one share;
        ``"newcombe"``, ``"miettinen-nurminen"`` or ``"agresti-caffo"`` for two samples; ``"tango"`` or
        ``"bonett-price"`` for pairs.
    test : {"mid-p", "exact", "chi-squared"}, optional
        Asks instead that the p of McNemar's test (pairs) or of Fisher's (two samples) be at most alpha; two-sided a
        difference of either sign counts. ``margin`` must be 0.
    confidence_level : float
        Inside (0, 1); alpha is 1 - confidence_level.
    alternative : {"two-sided", "less", "greater"}
        As the comparison will have it. ``"less"`` asks that the upper limit be below 0 (or ``margin``), for scores that
        are better when lower; differences are then below 0.
    comparisons : int
        How many verdicts have to hold together, each on an interval at 1 - alpha/comparisons.

    Returns
    -------
    PowerAnalysis
        ``n``, ``difference`` and ``power``, and ``plot()``, which draws the power against n.

    Raises
    ------
    TypeError
        For arguments of the wrong kind.
    ValueError
        For numbers outside their range, differences that cannot be, arrays that do not broadcast, and pilots without
        spread.

    Notes
    -----
    statsmodels' ``power_proportions_2indep`` and ``NormalIndPower`` use the normal distribution, ``TTestPower`` the
    noncentral t. G*Power and the R package MESS sum McNemar's exact test over the number of discordant pairs as here;
    SAS's ``PAIREDFREQ`` calls that unconditional power of the exact conditional test.

    Sources: Connor, Biometrics 43 (1987), for pairs; Miller, arXiv 2411.00640, for clusters and repeated answers.

    Examples
    --------
    >>> import steelyard as sy
    >>> found = sy.uncertainty.power(400, 0.05, discordance=0.2)
    >>> print(found)
    400 rows, difference 0.05: power 0.616
    Power: the chance that the lower limit of the 95 % interval (Tango) lies above 0; exact, the sum over all outcomes.
    Assumed: pairs of 0/1 answers, a share of 0.2 answered differently.
    >>> sy.uncertainty.power([100, 200, 400], 0.05, sd=0.3).power.round(3).tolist()
    [0.378, 0.65, 0.914]
    >>> round(sy.uncertainty.power(50, 0.24, discordance=0.4, test="exact", alternative="greater").power, 6)
    0.839357
    """
    found = planned(
        {"n": n, "difference": difference},
        margin=margin, baseline=baseline, discordance=discordance, sd=sd, pilot=pilot, paired=paired, ratio=ratio,
        clusters=clusters, cluster_size=cluster_size, icc=icc, answers=answers, answer_icc=answer_icc,
        method=method, test=test, confidence_level=confidence_level, alternative=alternative,
        comparisons=comparisons,
    )  # fmt: skip
    return analysed(found, "power")


@standard_mode
def sample_size(
    difference: Any,
    *,
    power: Any = 0.8,
    margin: Any = 0.0,
    baseline: Any = None,
    discordance: Any = None,
    sd: Any = None,
    pilot: Any = None,
    paired: bool = True,
    ratio: Any = 1.0,
    clusters: Any = None,
    cluster_size: Any = 1.0,
    icc: Any = None,
    answers: Any = 1,
    answer_icc: Any = None,
    method: str | None = None,
    test: str | None = None,
    confidence_level: float = 0.95,
    alternative: Alternative = "two-sided",
    comparisons: int = 1,
) -> PowerAnalysis:
    """Find how many rows a comparison needs to show a true ``difference`` with the probability ``power``.

    The power of 0/1 answers does not rise evenly with n: it is a saw, which falls wherever one more row asks for one
    more right answer. What is returned is the smallest n *from which on* the power stays at least as large, so that a
    few rows more never hurt; it is looked for among the next 4 sqrt(n) + 16 numbers of rows (for one share up to 3/p,
    at most 16,384, where those are more). The first n that reaches the power may be smaller. Rows in clusters come in
    whole clusters.

    Parameters
    ----------
    difference : float or array
        The true difference; above -margin.
    power : float or array
        Inside (0, 1), and above the chance of a false alarm.
    margin, baseline, discordance, sd, pilot, paired, ratio, clusters, cluster_size, icc, answers, answer_icc, method
        As in :func:`steelyard.uncertainty.power`.
    test, confidence_level, alternative, comparisons
        Likewise.

    Returns
    -------
    PowerAnalysis
        ``n``, and the ``power`` that it has.

    Raises
    ------
    TypeError, ValueError
        As for :func:`steelyard.uncertainty.power`, and for differences that no number of rows shows.

    Notes
    -----
    The saw is described by Chernick and Liu, The American Statistician 56 (2002), who advise as is done here. G*Power
    and MESS return the first n; statsmodels solves a smooth formula, whose n is not whole.

    Examples
    --------
    >>> import steelyard as sy
    >>> sy.uncertainty.sample_size(0.05, discordance=[0.1, 0.2, 0.3]).n.tolist()
    [291, 622, 935]
    >>> wanted = sy.uncertainty.sample_size(0.02, sd=0.4, answers=[1, 4], answer_icc=0.5)
    >>> wanted.n.tolist()
    [3142, 1965]
    >>> found = sy.uncertainty.sample_size(0.1, pilot=[0, 1, 0, 0, 1, -1, 0, 0, 0, 1] * 5)
    >>> found.n, found.low, found.high
    (311, 211, 419)
    """
    found = planned(
        {"difference": difference, "power": power},
        margin=margin, baseline=baseline, discordance=discordance, sd=sd, pilot=pilot, paired=paired, ratio=ratio,
        clusters=clusters, cluster_size=cluster_size, icc=icc, answers=answers, answer_icc=answer_icc,
        method=method, test=test, confidence_level=confidence_level, alternative=alternative,
        comparisons=comparisons,
    )  # fmt: skip
    return analysed(found, "n")


@standard_mode
def minimum_detectable(
    n: Any,
    *,
    power: Any = 0.8,
    margin: Any = 0.0,
    baseline: Any = None,
    discordance: Any = None,
    sd: Any = None,
    pilot: Any = None,
    paired: bool = True,
    ratio: Any = 1.0,
    clusters: Any = None,
    cluster_size: Any = 1.0,
    icc: Any = None,
    answers: Any = 1,
    answer_icc: Any = None,
    method: str | None = None,
    test: str | None = None,
    confidence_level: float = 0.95,
    alternative: Alternative = "two-sided",
    comparisons: int = 1,
) -> PowerAnalysis:
    """Find the least true difference that a comparison of ``n`` rows shows with the probability ``power``.

    For a given n the power rises with the difference, so that the answer is unique; it lies above -margin, or with
    ``alternative="less"`` below margin. Where no possible difference has the power, it is NaN.

    Parameters
    ----------
    n : int or array of ints
        Rows: items, or pairs of answers to them; of two samples those of new.
    power : float or array
        Inside (0, 1), and above the chance of a false alarm.
    margin, baseline, discordance, sd, pilot, paired, ratio, clusters, cluster_size, icc, answers, answer_icc, method
        As in :func:`steelyard.uncertainty.power`.
    test, confidence_level, alternative, comparisons
        Likewise.

    Returns
    -------
    PowerAnalysis
        ``difference``, and the ``power`` that it has.

    Raises
    ------
    TypeError, ValueError
        As for :func:`steelyard.uncertainty.power`.

    Examples
    --------
    >>> import steelyard as sy
    >>> found = sy.uncertainty.minimum_detectable([200, 1000, 5000], baseline=0.7, paired=False)
    >>> found.difference.round(4).tolist()
    [0.1189, 0.0557, 0.0253]
    """
    found = planned(
        {"n": n, "power": power},
        margin=margin, baseline=baseline, discordance=discordance, sd=sd, pilot=pilot, paired=paired, ratio=ratio,
        clusters=clusters, cluster_size=cluster_size, icc=icc, answers=answers, answer_icc=answer_icc,
        method=method, test=test, confidence_level=confidence_level, alternative=alternative,
        comparisons=comparisons,
    )  # fmt: skip
    return analysed(found, "difference")

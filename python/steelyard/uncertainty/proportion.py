"""Estimation of a proportion from counts."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .. import _arrays, _core, _intervals
from .._estimate import Estimate
from .._intervals import PROPORTIONS
from .._mode import standard_mode
from .._options import Alternative, Confidence, choice, confidence_of
from ..errors import type_error, value_error
from ._multinomial import METHODS, simultaneous
from ._shares import broadcast, difference, place

__all__ = ["proportion"]


@standard_mode
def proportion(
    k: Any,
    n: Any = None,
    *,
    method: str | None = None,
    test: Any = None,
    baseline: Any = None,
    both: Any = None,
    confidence_level: float = 0.95,
    alternative: Alternative = "two-sided",
) -> Estimate:
    """Estimate a proportion from ``k`` successes of ``n``, or with ``baseline`` the difference of two of them.

    With p = k/n, z the normal quantile of ``confidence_level`` and X binomial:

    - ``"wilson"``: (k + z^2/2 +- z sqrt(k (n - k)/n + z^2/4)) / (n + z^2), the default: its coverage is close to the
      confidence level for every n, and its width is never 0;
    - ``"clopper-pearson"``: quantiles of Beta(k, n - k + 1) and Beta(k + 1, n - k); its coverage is at least the
      confidence level for every p, so it is wider;
    - ``"jeffreys"``: quantiles of Beta(k + 1/2, n - k + 1/2); the lower limit is 0 at k = 0, the upper 1 at k = n;
    - ``"agresti-coull"``: Wald's formula at (k + z^2/2) of (n + z^2);
    - ``"wald"``: p +- z sqrt(p (1 - p)/n), which many tools print. For n = 10 it covers 78 % instead of 95 % on
      average, and its width is 0 at k = 0 and k = n. A warning is issued where k or n - k is below 10;
    - ``"wilson-cc"``: Wilson's interval with a correction for continuity, its lower limit that of k - 1/2 and its upper
      that of k + 1/2; about as wide as Clopper-Pearson's;
    - ``"mid-p"``: the p for which neither P(X > k) + P(X = k)/2 nor P(X < k) + P(X = k)/2 is below half of alpha;
    - ``"blaker"``: from the smallest to the largest p that Blaker's exact test does not reject: covers at least the
      level, and lies inside Clopper-Pearson's interval (of which it is the one-sided form);
    - ``"arcsine"``: sin^2(arcsin(sqrt((k + 3/8)/(n + 3/4))) +- z/(2 sqrt(n))); 0 at k = 0, 1 at k = n;
    - ``"logit"``: log-odds of log(k/(n - k)) +- z sqrt(1/k + 1/(n - k)). At k = 0 and k = n both counts are 1/2 larger,
      and the interval does not reach p itself (0 or 1);
    - ``"likelihood"``: the p whose log-likelihood is at most z^2/2 below that of k/n;
    - ``"scas"``: the score interval corrected for skewness: the p with abs(k/n - p - (z^2 - 1)(1 - 2p)/(6n)) at most
      z sqrt(p (1 - p)/n); misses about as often on either side.

    With ``baseline=(j, m)`` the difference k/n - j/m of two samples is estimated, and with ``both`` that of pairs, of
    which ``both`` rows were right on both sides: the numbers that :func:`steelyard.compare` has for the same answers,
    with its ``method`` and ``test``, for many problems in one call.

    The shares of all K categories of one sample, counted in ``k``, hold together, with the probability
    ``confidence_level``, by

    - ``"goodman"``: Wilson's interval of each at 1 - alpha/K;
    - ``"sison-glaz"``: the same number of rows below every count, and a few more above it, so that a multinomial count
      with these shares stays within them with that probability (by Edgeworth's expansion). Shorter where K is large;
      it covers too little where counts are small or very unequal.

    ``docs/coverage.md`` has their exact coverage.

    Parameters
    ----------
    k, n : int or integer array
        Successes and trials, 0 <= k <= n, n >= 1. Arrays are broadcast; each entry is one problem. For the shares of
        categories their counts, along the last axis of ``k``, and ``n`` may be left out.
    method : str, optional
        The kind of interval; see above. Default: ``"wilson"``; with ``baseline`` ``"newcombe"``, or for pairs
        ``"tango"`` (see :func:`steelyard.compare` for these and others).
    test : float or array, or str with ``baseline``, optional
        A hypothesis about the proportion, inside (0, 1), such as the share that guessing gets right: ``detail`` then
        has its ``"p_value"``, and ``"test"`` says by which test. It is the one that the interval inverts, so that the
        p-value is below alpha where the interval does not contain the hypothesis: the exact binomial one for
        Clopper-Pearson, mid-P and Blaker's, the score test for the Wilson intervals and SCAS, the likelihood ratio. The
        other intervals invert none, or one that misses its level: the test is then the exact binomial one. But for
        Blaker's, a two-sided p-value is twice the smaller of the one-sided ones. With ``baseline`` the name of the test
        of no difference: ``"mid-p"`` (default), ``"exact"`` or ``"chi-squared"``, Fisher's or for pairs McNemar's.
    baseline : tuple of two ints or integer arrays, optional
        Successes and trials of what is measured against.
    both : int or integer array, optional
        For pairs: of how many rows both were successes; the other two kinds of pairs follow.
    confidence_level : float
        Inside (0, 1).
    alternative : {"two-sided", "less", "greater"}
        SciPy's names: ``"less"`` gives an upper limit alone (``low`` is 0), ``"greater"`` a lower one; ``test`` is then
        one-sided too.

    Returns
    -------
    Estimate
        ``standard_error`` is sqrt(p (1 - p)/(n - 1)), that of the mean of n answers of 0 or 1. Where all of them are
        equal it is the width of the two-sided Wilson interval divided by 2z, so never 0. With ``test``, ``detail`` has
        ``"p_value"``, ``"p0"`` (the hypothesis) and ``"test"``. With ``baseline`` it always has ``"p_value"`` and
        ``"test"``, and ``"n_new"`` and ``"n_baseline"``, or the ``"wins"`` and ``"losses"`` of pairs.

    Raises
    ------
    TypeError
        Where ``k`` or ``n`` does not hold integers.
    ValueError
        Where they are out of range, and for unknown options.

    Warns
    -----
    SteelyardWarning
        For ``"wald"`` with fewer than ten successes or failures.

    Notes
    -----
    statsmodels' ``proportion_confint`` defaults to Wald (``"normal"``); its ``"beta"`` is Clopper-Pearson. R's
    ``prop.test`` gives ``"wilson-cc"``, and ``binom.test`` Clopper-Pearson's interval beside a p-value that adds up all
    outcomes that are not more likely than the one observed. SciPy's ``binomtest`` has that p-value too.

    Sources: Brown, Cai and DasGupta, Statistical Science 16 (2001); Newcombe, Statistics in Medicine 17 (1998), method
    4; Goodman, Technometrics 7 (1965); Sison and Glaz, Journal of the American Statistical Association 90 (1995);
    Lancaster, Journal of the American Statistical Association 56 (1961); Blaker, Canadian Journal of Statistics 28
    (2000); Anscombe, Biometrika 35 (1948) and 43 (1956); Laud, Pharmaceutical Statistics 16 (2017).

    Examples
    --------
    >>> import steelyard as sy
    >>> print(sy.proportion(870, 1000))
    0.870 [0.848, 0.889] (95 %, Wilson, n = 1000)
    >>> print(sy.proportion(20, 20))
    1.000 [0.839, 1.000] (95 %, Wilson, n = 20)
    >>> guessed = sy.proportion(9, 20, method="mid-p", test=0.25)
    >>> print(guessed, f"p = {guessed.detail['p_value']:.3f} ({guessed.detail['test']})")
    0.45 [0.25, 0.67] (95 %, mid-P, n = 20) p = 0.055 (binomial, mid-p)
    >>> print(sy.proportion([56, 9], [70, 10], baseline=([48, 3], [80, 10])))
    0  0.20 [0.05, 0.33] (95 %, Newcombe, n = 150)
    1  0.60 [0.17, 0.81] (95 %, Newcombe, n = 20)
    """
    confidence = confidence_of(confidence_level, alternative)
    if isinstance(method, str) and method in METHODS:
        for name, value in (("test", test), ("baseline", baseline), ("both", both)):
            if value is not None:
                raise value_error(name, f"None with method={method!r}", f"{name} as well")
        return simultaneous(k, n, confidence, method=method)
    if n is None:
        raise type_error("n", "the number of trials", "None", "only shares of categories add up to it themselves")
    if baseline is not None:
        return difference(k, n, baseline, both, confidence, method=method, test=test)
    if both is not None:
        raise value_error("both", "None without baseline", "both alone", "pass baseline=(k, n) of the other model")
    chosen = "wilson" if method is None else choice(method, "method", (*PROPORTIONS, *METHODS))
    _arrays.aligned(k=k, n=n, test=test)
    hits, all_ = _arrays.integers(k, "k"), _arrays.integers(n, "n")
    p0 = None if test is None else _hypotheses(test)
    hits, all_, *rest = broadcast({"k": hits, "n": all_} | ({} if p0 is None else {"test": p0}))
    _check(hits, all_)
    if hits.ndim == 0:
        found = _intervals.proportion(int(hits), int(all_), confidence, method=chosen)
    else:
        # Copied, because NumPy warns when the result of a broadcast is viewed.
        found = _intervals.proportion(np.array(hits), np.array(all_), confidence, method=chosen)
    return _tested(found, (hits, all_, rest[0]), chosen, confidence) if rest else found


def _hypotheses(test: Any) -> NDArray[np.float64]:
    """The hypotheses about the proportion as an array, each inside (0, 1)."""
    p0 = _arrays.to_float64(_arrays.floats(test, "test", numbers=True))
    outside = ~((p0 > 0.0) & (p0 < 1.0))
    if outside.any():
        i, at = place(outside)
        raise value_error("test", "a proportion inside (0, 1)", f"{np.atleast_1d(p0)[i]}{at}")
    return p0


def _tested(found: Estimate, problem: tuple[Any, Any, Any], method: str, confidence: Confidence) -> Estimate:
    """The estimate with the p-value of a hypothesis in its detail; the ``problem`` is k, n and the hypothesis."""
    hits, all_, hypotheses = (np.array(x).reshape(-1) for x in problem)
    shape = np.shape(problem[0])
    of = _core.proportion_tests(k=hits, n=all_, p0=hypotheses, method=method, alternative=confidence.alternative)

    def as_given(column: NDArray[np.float64]) -> Any:
        return column.reshape(shape) if shape else column.item()

    detail = {"p_value": as_given(of["p"]), "p0": as_given(hypotheses), "test": of["test"]}
    return replace(found, detail=found.detail | detail)


def _check(k: Any, n: Any) -> None:
    for name, expected, bad in (("n", "at least 1", n < 1), ("k", "0 <= k <= n", (k < 0) | (k > n))):
        if bad.any():
            i, at = place(bad)
            k1, n1 = np.atleast_1d(k)[i], np.atleast_1d(n)[i]
            raise value_error(name, expected, f"{n1}{at}" if name == "n" else f"k = {k1}, n = {n1}{at}")

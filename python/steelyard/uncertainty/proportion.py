"""Estimation of a proportion from counts."""

from __future__ import annotations

from typing import Any

import numpy as np

from .. import _arrays, _intervals
from .._estimate import Estimate
from .._intervals import PROPORTIONS
from .._mode import standard_mode
from .._options import Alternative, choice, confidence_of
from ..errors import value_error

__all__ = ["proportion"]


@standard_mode
def proportion(
    k: Any,
    n: Any,
    *,
    method: str = "wilson",
    confidence_level: float = 0.95,
    alternative: Alternative = "two-sided",
) -> Estimate:
    """Estimate a proportion from ``k`` successes of ``n``.

    With p = k/n and z the normal quantile of ``confidence_level``:

    - ``"wilson"``: (k + z^2/2 +- z sqrt(k (n - k)/n + z^2/4)) / (n + z^2), the default: its coverage is close to the
      confidence level for every n, and its width is never 0;
    - ``"clopper-pearson"``: quantiles of Beta(k, n - k + 1) and Beta(k + 1, n - k); its coverage is at least the
      confidence level for every p, so it is wider;
    - ``"jeffreys"``: quantiles of Beta(k + 1/2, n - k + 1/2); the lower limit is 0 at k = 0, the upper 1 at k = n;
    - ``"agresti-coull"``: Wald's formula at (k + z^2/2) of (n + z^2);
    - ``"wald"``: p +- z sqrt(p (1 - p)/n), which many tools print. For n = 10 it covers 78 % instead of 95 % on
      average, and its width is 0 at k = 0 and k = n. A warning is issued where k or n - k is below 10.

    Parameters
    ----------
    k, n : int or integer array
        Successes and trials, 0 <= k <= n, n >= 1. Arrays are broadcast; each entry is one problem.
    method : str
        The kind of interval; see above.
    confidence_level : float
        Inside (0, 1).
    alternative : {"two-sided", "less", "greater"}
        SciPy's names: ``"less"`` gives an upper limit alone (``low`` is 0), ``"greater"`` a lower one.

    Returns
    -------
    Estimate
        ``standard_error`` is sqrt(p (1 - p)/(n - 1)), that of the mean of n answers of 0 or 1. Where all of them are
        equal it is the width of the two-sided Wilson interval divided by 2z, so never 0.

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
    statsmodels' ``proportion_confint`` defaults to Wald (``"normal"``); its ``"beta"`` is Clopper-Pearson.

    Source: Brown, Cai and DasGupta, "Interval estimation for a binomial proportion", Statistical Science 16 (2001).

    Examples
    --------
    >>> import steelyard as sy
    >>> print(sy.proportion(870, 1000))
    0.870 [0.848, 0.889] (95 %, Wilson, n = 1000)
    >>> print(sy.proportion(20, 20))
    1.000 [0.839, 1.000] (95 %, Wilson, n = 20)
    """
    confidence = confidence_of(confidence_level, alternative)
    chosen = choice(method, "method", tuple(PROPORTIONS))
    _arrays.aligned(k=k, n=n)
    hits, all_ = _arrays.integers(k, "k"), _arrays.integers(n, "n")
    try:
        hits, all_ = np.broadcast_arrays(hits, all_)
    except ValueError:
        raise value_error("k, n", "shapes that broadcast", f"{np.shape(k)} and {np.shape(n)}") from None
    _check(hits, all_)
    if hits.ndim == 0:
        return _intervals.proportion(int(hits), int(all_), confidence, method=chosen)
    # Copied, because NumPy warns when the result of a broadcast is viewed.
    return _intervals.proportion(np.array(hits), np.array(all_), confidence, method=chosen)


def _check(k: Any, n: Any) -> None:
    for name, expected, bad in (("n", "at least 1", n < 1), ("k", "0 <= k <= n", (k < 0) | (k > n))):
        if bad.any():
            i = tuple(int(at[0]) for at in np.nonzero(np.atleast_1d(bad)))
            at = f" at index {i[0] if len(i) == 1 else i}" if bad.ndim else ""
            k1, n1 = np.atleast_1d(k)[i], np.atleast_1d(n)[i]
            raise value_error(name, expected, f"{n1}{at}" if name == "n" else f"k = {k1}, n = {n1}{at}")

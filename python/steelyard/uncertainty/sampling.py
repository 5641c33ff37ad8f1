"""How the rows, or the clusters, of a resample are drawn."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from .._mode import standard_mode
from .._options import choice, number, whole
from .._registries import REGISTRIES, titles
from ..errors import shown, type_error, value_error

__all__ = ["SMOOTHED", "Drawn", "Sampling", "sampling_of", "smoothed", "subsample"]

KEY = "bootstrap.sampling"
Sampling = Literal["multinomial", "balanced", "poisson", "bayesian", "smoothed", "subsample"]
TITLES = titles(KEY)
SMOOTHED = "smoothed"
EXPECTED = "a number that is above 0 and finite"
NAMES = ", ".join(name for name, row in REGISTRIES[KEY].items() if not row.parameters or name == SMOOTHED)
# The methods that read no more from replicates than how they lie about the value.
ABOUT_THE_VALUE = ("percentile", "basic", "normal")


@dataclass(frozen=True)
class Drawn:
    """A way of drawing with the number that it takes: the m of :func:`subsample`, the bandwidth of :func:`smoothed`."""

    kind: str
    parameters: tuple[float, ...] = ()
    """Of m draws in strata, the number of each stratum."""
    sizes: Mapping[str, int] | None = field(default=None, hash=False)
    """The draws of each stratum by its name, where they were given or the strata are known."""

    def __str__(self) -> str:
        if self.sizes is not None:
            return f"subsample({self.sizes})" if len(self.sizes) < 5 else "subsample(m of each stratum)"
        return repr(self.kind) if not self.parameters else f"{self.kind}({self.parameters[0]:g})"

    @property
    def title(self) -> str:
        """The word before the method."""
        return f"{TITLES[self.kind]} "

    @property
    def said(self) -> str:
        """What ``reason`` says."""
        return {
            "balanced": " in balanced resamples",
            "poisson": " by Poisson counts",
            "bayesian": " by exponential weights",
            "smoothed": f" with noise of standard deviation {self.parameters[0]:.4g}" if self.parameters else "",
            "subsample": f" by {self._m} draws each" if self.parameters else "",
        }[self.kind]

    @property
    def detail(self) -> dict[str, Any]:
        """What ``detail`` says."""
        said: dict[str, Any] = {"sampling": self.kind}
        if self.kind == SMOOTHED:
            return said | {"bandwidth": self.parameters[0]}
        if self.sizes is not None:
            said |= {"m_strata": dict(self.sizes)}
        return said | ({"m": self._m} if self.parameters else {})

    @property
    def _m(self) -> int:
        """The number of draws of a resample."""
        return sum(map(int, self.parameters))

    @property
    def default(self) -> str:
        """The method where none is asked for."""
        return {"bayesian": "percentile", SMOOTHED: "percentile", "subsample": "basic"}.get(self.kind, "bca")

    def check(self, method: str) -> None:
        """Raise for a method whose correction is that of n multinomial draws."""
        if self.kind in ("bayesian", SMOOTHED, "subsample") and method not in ABOUT_THE_VALUE:
            expected = f"one of {', '.join(ABOUT_THE_VALUE)} with sampling={self}"
            raise value_error("method", expected, repr(method))


@standard_mode
def subsample(m: int | Mapping[Any, int]) -> Drawn:
    """Name m draws in each resample for the ``sampling`` of :func:`steelyard.bootstrap`: the m-out-of-n bootstrap.

    Each draw is any of the n rows (or clusters). Replicates are theta + sqrt(m/n) (theta* - theta) with theta* the
    statistic of the m draws and theta its value, so that their spread is that of n draws. Where m grows more slowly
    than n, it serves statistics for which the usual bootstrap fails, such as a parameter at its bound.

    With ``strata`` stratum h of n_h rows (or clusters) has m_h draws, each of which counts n_h/m_h times, so that a
    stratum keeps its share. With L = max sqrt(m_h/n_h), replicates are theta + L (theta* - theta); for statistics of
    sums a row weighs 1 + (sqrt(m_h/n_h)/L) (c n_h/m_h - 1) in theta*, where it was drawn c times, so that the
    deviations of each stratum are multiplied by its own sqrt(m_h/n_h). Where all m_h/n_h are equal, theta* is the
    statistic of the draws alone. Statistics of sorted rows always are those of the draws: where the m_h/n_h differ, L
    makes their limits wider than they need be.

    Parameters
    ----------
    m : int, or mapping from stratum to int
        The number of draws, at least 1; usually fewer than there are rows. With ``strata`` a number is dealt out in
        proportion to the rows (or clusters) of the strata, by largest remainders, to each stratum at least one draw; a
        mapping has the number of each stratum, under its id or its id as text. ``detail`` has it as ``m`` and
        ``m_strata``.

    Returns
    -------
    sampling

    Raises
    ------
    TypeError, ValueError
        Where m is not such a number. By ``bootstrap``: for a mapping without strata, or of other strata; for fewer
        draws than strata; for statistics of sorted rows in strata where no whole counts of at most 2**30 in all give
        each stratum its share.

    Notes
    -----
    Source: Bickel, Götze and van Zwet, "Resampling fewer than n observations: gains, losses, and remedies for losses",
    Statistica Sinica 7 (1997). The rate sqrt(n) is that of regular statistics. In strata: Rao and Wu, "Resampling
    inference with complex survey data", JASA 83 (1988), whose factor is sqrt(m_h/(n_h - 1)); this one makes the
    variance that of n_h draws, as without strata.

    Examples
    --------
    >>> import numpy as np, steelyard as sy
    >>> x = np.sqrt(np.arange(400.0))
    >>> print(sy.bootstrap(x, sampling=sy.uncertainty.subsample(60)))
    13.31 [12.85, 13.79] (95 %, m-out-of-n basic bootstrap, n = 400)
    >>> half = np.repeat(["a", "b"], [100, 300])
    >>> boot = sy.bootstrap(x, strata=half, sampling=sy.uncertainty.subsample(60))
    >>> print(boot)
    13.31 [13.04, 13.58] (95 %, stratified m-out-of-n basic bootstrap, n = 400)
    >>> boot.detail["m_strata"]
    {'a': 15, 'b': 45}
    """
    if isinstance(m, Mapping):
        return _of_strata(m)
    return Drawn("subsample", (float(whole(m, "m", 1, 2**40)),))


def _of_strata(m: Mapping[Any, int]) -> Drawn:
    """Name m draws with the number of each stratum."""
    sizes: dict[str, int] = {}
    for stratum, size in m.items():
        if str(stratum) in sizes:
            raise value_error("m", "one number of draws for each stratum", f"two for {str(stratum)!r}")
        sizes[str(stratum)] = whole(size, f"m[{stratum!r}]", 1, 2**40)
    if not sizes:
        raise value_error("m", "a number of draws for every stratum", "an empty mapping")
    return Drawn("subsample", (float(sum(sizes.values())),), sizes)


@standard_mode
def smoothed(bandwidth: float | None = None) -> Drawn:
    """Name the noise for the ``sampling`` of :func:`steelyard.bootstrap`: the smoothed bootstrap.

    Each of the n draws is x_i + h e with e normal, mean 0 and variance 1: a draw from the kernel estimate of the
    density, whose variance is that of the rows plus h^2. It serves medians and other quantiles of few rows, whose usual
    replicates are a few of the values alone.

    Parameters
    ----------
    bandwidth : float, optional
        The standard deviation h of the noise, above 0, in the units of the values. Default: Silverman's rule
        .9 min(s, IQR/1.34) n^(-1/5), with the divisor n - 1 in s (s alone where the quartiles are equal), as the
        ``bw.nrd0`` of R. It stands in ``detail`` as ``bandwidth``.

    Returns
    -------
    sampling

    Raises
    ------
    TypeError, ValueError
        Where the bandwidth is not such a number.

    Notes
    -----
    For one column of rows, at most 100,000. Draws stand in the order of the rows and have the counts of the usual
    bootstrap with the same seed; the deviates are the normal quantiles of the numbers of 64 bits of purpose 3.
    Source: Silverman and Young, "The bootstrap: to smooth or not to smooth?", Biometrika 74 (1987); Silverman, "Density
    Estimation for Statistics and Data Analysis" (1986), 3.31.

    Examples
    --------
    >>> import numpy as np, steelyard as sy
    >>> x = np.array([1.1, 1.9, 2.4, 3.0, 3.3, 4.7, 5.2, 6.8, 9.4])
    >>> print(sy.bootstrap(x, "median", sampling=sy.uncertainty.smoothed(0.5)))
    3.3 [2.1, 6.1] (95 %, smoothed percentile bootstrap, n = 9)
    """
    return Drawn(SMOOTHED, () if bandwidth is None else (_bandwidth(bandwidth),))


def _bandwidth(value: float) -> float:
    given = number(value, "bandwidth", EXPECTED)
    if not 0.0 < given < math.inf:
        raise value_error("bandwidth", EXPECTED, f"{given:g}", "None chooses one by Silverman's rule")
    return given


def sampling_of(asked: object) -> Drawn | None:
    """The argument ``sampling``, checked; None for multinomial draws."""
    if isinstance(asked, Drawn):
        return asked
    if not isinstance(asked, str):
        raise type_error("sampling", f"one of {NAMES}, or steelyard.uncertainty.subsample(m)", shown(asked))
    found = choice(asked, "sampling", tuple(REGISTRIES[KEY]))
    if REGISTRIES[KEY][found].parameters and found != SMOOTHED:
        raise value_error("sampling", "steelyard.uncertainty.subsample(m), since it takes a number", repr(found))
    return None if found == "multinomial" else Drawn(found)

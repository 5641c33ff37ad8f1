"""How the rows, or the clusters, of a resample are drawn."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

from .._mode import standard_mode
from .._options import choice, whole
from .._registries import REGISTRIES, titles
from ..errors import shown, type_error, value_error

__all__ = ["Drawn", "Sampling", "sampling_of", "subsample"]

KEY = "bootstrap.sampling"
Sampling = Literal["multinomial", "balanced", "poisson", "bayesian", "subsample"]
TITLES = titles(KEY)
NAMES = ", ".join(name for name, row in REGISTRIES[KEY].items() if not row.parameters)
# The methods that read no more from replicates than how they lie about the value.
ABOUT_THE_VALUE = ("percentile", "basic", "normal")


@dataclass(frozen=True)
class Drawn:
    """A way of drawing with the number that it takes: the m of :func:`subsample`."""

    kind: str
    parameters: tuple[float, ...] = ()

    def __str__(self) -> str:
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
            "subsample": f" by {self.parameters[0]:g} draws each" if self.parameters else "",
        }[self.kind]

    @property
    def detail(self) -> dict[str, Any]:
        """What ``detail`` says."""
        return {"sampling": self.kind} | ({"m": int(self.parameters[0])} if self.parameters else {})

    @property
    def default(self) -> str:
        """The method where none is asked for."""
        return {"bayesian": "percentile", "subsample": "basic"}.get(self.kind, "bca")

    def check(self, method: str) -> None:
        """Raise for a method whose correction is that of n multinomial draws."""
        if self.kind in ("bayesian", "subsample") and method not in ABOUT_THE_VALUE:
            expected = f"one of {', '.join(ABOUT_THE_VALUE)} with sampling={self}"
            raise value_error("method", expected, repr(method))


@standard_mode
def subsample(m: int) -> Drawn:
    """Name m draws in each resample for the ``sampling`` of :func:`steelyard.bootstrap`: the m-out-of-n bootstrap.

    Each draw is any of the n rows (or clusters). Replicates are theta + sqrt(m/n) (theta* - theta) with theta* the
    statistic of the m draws and theta its value, so that their spread is that of n draws. Where m grows more slowly
    than n, it serves statistics for which the usual bootstrap fails, such as a parameter at its bound.

    Parameters
    ----------
    m : int
        The number of draws, at least 1; usually fewer than there are rows.

    Returns
    -------
    sampling

    Raises
    ------
    TypeError, ValueError
        Where m is not such a number.

    Notes
    -----
    Source: Bickel, Götze and van Zwet, "Resampling fewer than n observations: gains, losses, and remedies for losses",
    Statistica Sinica 7 (1997). The rate sqrt(n) is that of regular statistics.

    Examples
    --------
    >>> import numpy as np, steelyard as sy
    >>> x = np.sqrt(np.arange(400.0))
    >>> print(sy.bootstrap(x, sampling=sy.uncertainty.subsample(60)))
    13.31 [12.85, 13.79] (95 %, m-out-of-n basic bootstrap, n = 400)
    """
    return Drawn("subsample", (float(whole(m, "m", 1, 2**40)),))


def sampling_of(asked: object) -> Drawn | None:
    """The argument ``sampling``, checked; None for multinomial draws."""
    if isinstance(asked, Drawn):
        return asked
    if not isinstance(asked, str):
        raise type_error("sampling", f"one of {NAMES}, or steelyard.uncertainty.subsample(m)", shown(asked))
    found = choice(asked, "sampling", tuple(REGISTRIES[KEY]))
    if REGISTRIES[KEY][found].parameters:
        raise value_error("sampling", "steelyard.uncertainty.subsample(m), since it takes a number", repr(found))
    return None if found == "multinomial" else Drawn(found)

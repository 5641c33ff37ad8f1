"""A planned study: what is assumed of it in each setting, and the probability that it decides as asked."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from .. import _core
from .._options import Confidence
from .._result import Result

__all__ = ["Decision", "Floats", "Kind", "Rows", "Study"]

Floats = NDArray[np.float64]
Rows = NDArray[np.int64]
Kind = Literal["share", "samples", "pairs", "scores", "two scores"]
COUNTED = ("share", "samples", "pairs")
MOST = _core.POWER_ROWS


@dataclass(frozen=True)
class Decision:
    """What has to happen: the lower limit of an interval exceeds -margin, or the p of a test is at most alpha."""

    confidence: Confidence
    """Two-sided or greater; ``less`` is turned into ``greater`` before."""
    method: str | None
    test: str | None

    @property
    def tail(self) -> float:
        """The probability beyond a limit."""
        alpha = 1.0 - self.confidence.level
        return alpha / 2.0 if self.confidence.alternative == "two-sided" else alpha

    @property
    def turns(self) -> bool:
        """Whether a difference below 0 is seen as well as one above."""
        return self.test is not None and self.confidence.alternative == "two-sided"


@dataclass(frozen=True, eq=False)
class Study(Result):
    """A design with one value of each assumption in each setting.

    ``of`` holds columns, all of one length:

    - ``margin``; ``cluster_size`` (1: rows are independent) and ``inflation``, by which clusters and repeated answers
      multiply the variance of a row; ``known``, the share of a cluster's degree of freedom that it adds;
    - ``baseline`` of a share and of samples, ``discordance`` of pairs, ``variance`` of scores (of one side of two),
      ``variance_base``, and ``ratio``, the baseline's rows for each row of new.
    """

    kind: Kind
    of: dict[str, Floats]
    decision: Decision
    least_discordance: bool = False
    """Whether the discordance is a pilot's, which is raised to a difference that is larger."""

    def at(self, **columns: Floats) -> Study:
        """The study with other values of some columns."""
        return replace(self, of=self.of | columns)

    def holding(self, difference: Floats | None) -> Study:
        """The study with the nearest baseline of two samples that leaves baseline + difference in [0, 1]."""
        if self.kind != "samples" or difference is None:
            return self
        least, most = np.maximum(-difference, 0.0), np.minimum(1.0 - difference, 1.0)
        return self.at(baseline=np.minimum(np.maximum(self.of["baseline"], least), most))

    @property
    def largest(self) -> Floats:
        """The largest difference that is possible."""
        if self.kind in ("share", "samples"):
            return 1.0 - self.of["baseline"]
        if self.kind == "pairs":
            psi = self.of["discordance"]
            return np.ones_like(psi) if self.least_discordance else psi.copy()
        return np.full_like(self.of["margin"], np.inf)

    @property
    def independent(self) -> NDArray[np.bool_]:
        """In which settings rows are independent 0/1 answers, whose outcomes can be gone through."""
        if self.kind not in COUNTED:
            return np.zeros(len(self.of["margin"]), np.bool_)
        found: NDArray[np.bool_] = (self.of["cluster_size"] == 1.0) & (self.of["inflation"] == 1.0)
        return found

    def chance(self, settings: Rows, n: Floats, difference: Floats) -> Floats:
        """The probability of the decision in each of these settings, with ``n`` rows and a true ``difference``."""
        counted = self.independent[settings] & (n <= MOST)
        if self.kind == "samples":
            counted &= self.beside(settings, n) <= MOST
        found = np.zeros(len(settings))
        for where, by in ((counted, self._counted), (~counted, self._by_t)):
            if where.any():
                found[where] = by(settings[where], n[where], difference[where])
        return found

    def beside(self, settings: Rows, n: Floats) -> Floats:
        """The baseline's rows beside ``n`` rows of new, at least one."""
        found: Floats = np.maximum(np.ceil(self.of["ratio"][settings] * n * (1.0 - 1e-15)), 1.0)
        return found

    def _psi(self, settings: Rows, d: Floats) -> Floats:
        psi: Floats = self.of["discordance"][settings]
        return np.maximum(psi, abs(d)) if self.least_discordance else psi

    def _counted(self, settings: Rows, n: Floats, d: Floats) -> Floats:
        """By the sum over all outcomes."""
        of = {name: column[settings] for name, column in self.of.items()}
        rows, how = n.astype(np.int64), self.decision.confidence.keywords
        if self.kind == "share":
            assert self.decision.method is not None
            p, above = _inside(of["baseline"] + d), of["baseline"] - of["margin"]
            return _core.proportion_power(n=rows, p=p, above=above, method=self.decision.method, **how)
        by = {"method": self.decision.method or "", "test": self.decision.test, "margin": of["margin"], **how}
        if self.kind == "samples":
            m, p = self.beside(settings, n).astype(np.int64), _inside(of["baseline"] + d)
            return _core.unpaired_power(n=rows, m=m, p=p, q=of["baseline"], **by)  # type: ignore[arg-type]
        psi = self._psi(settings, d)
        wins, losses = _inside((psi + d) / 2.0), _inside((psi - d) / 2.0)
        return _core.paired_power(n=rows, wins=wins, losses=losses, **by)  # type: ignore[arg-type]

    def _by_t(self, settings: Rows, n: Floats, d: Floats) -> Floats:
        """By the noncentral t distribution: exact where means of rows or clusters are normal."""
        of = {name: column[settings] for name, column in self.of.items()}
        usual, true = self._variances(settings, d)
        true = true * of["inflation"]
        df = self._df(settings, n)
        gain, error = d + of["margin"], np.sqrt(true / n)
        known, spread = df >= 1.0, error > 0.0
        found = np.where(known & ~spread & (gain > 0.0), 1.0, 0.0)  # no row differs from the others
        left = known & spread
        if left.any():
            critical = -_core.t_quantile(np.full(left.sum(), self.decision.tail), df[left])
            critical *= np.sqrt(usual[left] * of["inflation"][left] / true[left])
            found[left] = _core.noncentral_t_sf(critical, df[left], gain[left] / error[left])
            if self.decision.turns:
                found[left] += _core.noncentral_t_sf(critical, df[left], -gain[left] / error[left])
        return found

    def _variances(self, settings: Rows, d: Floats) -> tuple[Floats, Floats]:
        """The variance of a row's difference that the limit is computed with, and the true one."""
        of = {name: column[settings] for name, column in self.of.items()}
        if self.kind == "scores":
            return of["variance"], of["variance"]
        if self.kind == "two scores":
            both = of["variance"] + of["variance_base"] / of["ratio"]
            return both, both
        if self.kind == "pairs":
            psi = self._psi(settings, d)
            true = np.maximum(psi - d * d, 0.0)
            return np.where(self.independent[settings], psi - of["margin"] * of["margin"], true), true
        q = of["baseline"]
        p, hypothesis = _inside(q + d), q - of["margin"]
        if self.kind == "share":
            return hypothesis * (1.0 - hypothesis), p * (1.0 - p)
        both = p * (1.0 - p) + q * (1.0 - q) / of["ratio"]
        return both, both

    def _df(self, settings: Rows, n: Floats) -> Floats:
        """Degrees of freedom: one less than the clusters; of two sides by Satterthwaite; infinite for answers."""
        of = {name: column[settings] for name, column in self.of.items()}
        df = n / of["cluster_size"] * of["known"] - 1.0
        if self.kind in ("samples", "two scores"):
            m = of["ratio"] * n
            other = m / of["cluster_size"] * of["known"] - 1.0
            v, w = np.ones_like(n) / n, 1.0 / m
            if self.kind == "two scores":
                v, w = v * of["variance"], w * of["variance_base"]
            all_ = v + w
            with np.errstate(divide="ignore", invalid="ignore"):
                both = all_ * all_ / (v * v / df + w * w / other)
            df = np.where((df > 0.0) & (other > 0.0) & (all_ > 0.0), both, np.minimum(df, other))
        return np.where(self.independent[settings], np.inf, df)

    def guess(self, settings: Rows, difference: Floats, power: Floats) -> Floats:
        """About how many rows it takes: the normal formula, to start a search from."""
        usual, true = self._variances(settings, difference)
        z = -_core.normal_quantile(np.full(len(power), self.decision.tail))
        gain = abs(difference + self.of["margin"][settings])
        root = (z * np.sqrt(np.maximum(usual, 0.0)) + _core.normal_quantile(power) * np.sqrt(true)) / gain
        found: Floats = np.maximum(root * root * self.of["inflation"][settings], 1.0)
        return found


def _inside(p: Floats) -> Floats:
    """Shares that rounding may have put outside [0, 1]."""
    found: Floats = np.minimum(np.maximum(p, 0.0), 1.0)
    return found

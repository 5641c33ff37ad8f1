"""The mean of few labels with the help of many scores of a judge: the judge's tuned weight, and the variance."""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from .. import _core, _intervals
from .._arrays import to_float64
from .._columns import Array, Mask
from .._intervals import Column
from .._levels import Clusters
from .._rows import Rows, is_nan
from ._exact import exact_sum

__all__ = ["NO_LABEL", "Labelled", "Tuned", "labelled", "tuned"]

Floats = NDArray[np.float64]
FEWEST = 5
"""As many rows (or clusters of one size) must have a label, and as many none, for a weight to be estimated."""
ROUNDING = 1e-12
"""What rounding leaves, as a share, of labels that the judge's scores give exactly."""
NO_LABEL = "no label"
# Why the judge has no weight.
UNLABELLED = "lambda = 0: every row has a label"
FEW = "lambda = 0: fewer than {fewest} {what} (or clusters of one size) do not tell how good the judge is"
STILL = "lambda = 0: {what} do not vary"
EXACT = "lambda = 0: the judge's scores give all labels exactly, which does not bound its error elsewhere"


class Labelled(NamedTuple):
    """The rows that count, all of which have a judge's score, and which of them have a label."""

    labels: Array
    judge: Floats
    rows: Rows
    with_label: Rows
    without: Rows
    bare: Mask
    """Of the rows that count, those without a label."""

    @property
    def n_labelled(self) -> int:
        return self.with_label.count(self.labels)


class Tuned(NamedTuple):
    """The mean of the labels, corrected by the judge's scores."""

    value: float
    variance: float
    df: float
    weight: float
    """Lambda: by how much a difference between the judge's mean scores moves the mean of the labels."""
    alone: float
    """The variance of the mean of the labels without the judge."""
    units: float
    """The number of labelled rows, or of clusters of one size that have as many degrees of freedom."""
    apart: float
    """The judge's mean score of the labelled rows less that of the others, in standard errors."""


class _Part(NamedTuple):
    """The means of some columns over the rows with a label, or those without, and what each cluster adds to them."""

    means: list[float]
    residuals: list[Floats]
    """For each column, the residual of a cluster's sum, divided by the rows and by CR2's sqrt(1 - share)."""
    shares: Floats
    """The share of each cluster in the rows."""
    df: float
    """Satterthwaite's degrees of freedom of the sum of the squared residuals."""


def labelled(labels: Array, judge: Array, rows: Rows) -> Labelled:
    """Part the rows that count into those with a label and those without."""
    if rows.group is not None:
        at = rows.group
    else:
        at = np.arange(len(labels)) if rows.keep is None else np.flatnonzero(rows.keep)
    bare = is_nan(labels[at])

    def part(mine: Mask, left_out: dict[str, int]) -> Rows:
        clusters = None if rows.clusters is None else rows.clusters.of(np.flatnonzero(mine))
        weights = None if rows.weights is None else rows.weights[mine]
        return Rows(None, clusters, left_out, weights, group=at[mine])

    unused = int(np.count_nonzero(bare))
    left_out = rows.left_out | ({NO_LABEL: unused} if unused else {})
    return Labelled(labels, to_float64(judge), rows, part(~bare, left_out), part(bare, {}), bare)


def tuned(of: Labelled, own: Column, scores: Column, *, known: float | None, bounded: bool, name: str) -> Tuned | str:
    """The mean of the labels with the weight of the judge that makes its variance smallest; or why it has none.

    Parameters
    ----------
    own, scores : Column
        The summaries of the labels, and of the judge's scores of all rows.
    known : float, optional
        The mean of the judge's scores over the population, where it is known: rows without a label are then not used.
    bounded : bool
        Whether the caller bounds the error of a judge that gives all labels exactly.
    name : str
        The caller's name of the labels.
    """
    if known is None and not of.bare.any():
        return UNLABELLED
    y, f = to_float64(of.with_label.of(of.labels)), of.with_label.of(of.judge)
    for what, low, high, step in (
        ("the labels", own.low, own.high, own.step),
        ("the judge's scores of the labelled rows", float(f.min()), float(f.max()), scores.step),
    ):
        if high - low <= 8.0 * step:  # equal but for rounding
            return STILL.format(what=what)
    mine = _part(of.with_label, _codes(of, ~of.bare), y, f)
    if mine.df < (FEWEST - 1) * (1.0 - ROUNDING):
        return FEW.format(fewest=FEWEST, what="labels")
    a, b = mine.residuals
    units = mine.df + 1.0
    for what, of_units, step in (
        ("the labels", a, own.step),
        ("the judge's scores of the labelled rows", b, scores.step),
    ):
        if exact_sum(of_units * of_units) * units <= 16.0 * step * step:  # clusters of one mean, but for rounding
            return STILL.format(what=what)
    left = a - exact_sum(a * b) / exact_sum(b * b) * b
    if not bounded and exact_sum(left * left) <= ROUNDING * ROUNDING * exact_sum(a * a):
        return EXACT
    theirs = None
    if known is None:
        theirs = _part(of.without, _codes(of, of.bare), of.without.of(of.judge))
        if theirs.df < (FEWEST - 1) * (1.0 - ROUNDING):
            return FEW.format(fewest=FEWEST, what="rows without a label")
    # Few scores may happen to lie close together, so they vary at least as independent ones of the spread of all rows.
    least = 0.0 if known is not None else scores.squares / (scores.n - 1) / _effective(of.without)
    found = _least_variance(mine, theirs, known, least, clustered=of.rows.clusters is not None)
    if isinstance(found, Tuned) and not np.isfinite((found.value, found.variance, found.df)).all():
        raise _intervals.too_large(name, f"{own.n} labels whose sums or squares do not")
    return found


def _least_variance(
    mine: _Part, theirs: _Part | None, known: float | None, least: float, *, clustered: bool
) -> Tuned | str:
    """The weight of the smallest variance, and the variance with the error of that weight.

    ``least`` is the smallest variance that the judge's mean score of the rows without a label may have.
    """
    a, b = mine.residuals
    if theirs is None:
        assert known is not None
        apart, more, c, shared = mine.means[1] - known, 0.0, np.zeros(1), 0.0
    else:
        (c,), (other,) = theirs.residuals, theirs.means
        apart, more = mine.means[1] - other, max(least - exact_sum(c * c), 0.0)
        shared = _cross(mine.shares, theirs.shares) if clustered else 0.0  # else no row is in both parts
    both = theirs is not None and clustered
    cc, ac, bc = exact_sum(c * c) + more, exact_sum(a * c) if both else 0.0, exact_sum(b * c) if both else 0.0
    spread = exact_sum(b * b) - 2.0 * bc + cc
    weight = (exact_sum(a * b) - ac) / spread if spread > 0.0 else 0.0
    if weight == 0.0:
        return STILL.format(what="the judge's scores with the labels")
    own = a - weight * b
    left, right = exact_sum(own * own), weight * weight * cc
    own = own + weight * c if both else own
    variance = exact_sum(own * own) + weight * weight * (more if both else cc)
    if variance <= 0.0:
        return EXACT
    tails = left * left / mine.df
    tails += 0.0 if theirs is None else right * right / theirs.df + 2.0 * left * right * shared
    df = (left + right) * (left + right) / tails
    # The weight costs a degree of freedom, and its error moves the mean by as much as the judge's means lie apart.
    variance *= df / (df - 1.0) * (1.0 + apart * apart / (spread * df))
    return Tuned(
        mine.means[0] - weight * apart,
        variance,
        df - 1.0,
        weight,
        exact_sum(a * a),
        mine.df + 1.0,
        apart / math.sqrt(spread),
    )


def _part(rows: Rows, clusters: Clusters | None, *columns: Floats) -> _Part:
    """What the columns of some rows add; ``clusters`` number those of all rows."""
    means, residuals = [], []
    shares, df = np.zeros(0), 0.0
    for x in columns:
        shift = _core.exact_mean(x)
        if clusters is None:
            sizes = np.ones(len(x)) if rows.weights is None else rows.weights
            sums = (x - shift) * sizes
        else:
            sums, sizes = _core.cluster_sums(
                x, clusters.codes, clusters=clusters.total, shift=shift, weights=rows.weights
            )
        total = exact_sum(sizes)
        shares = sizes / total
        if float(shares.max()) == 1.0:  # one cluster alone has no spread
            return _Part([], [], shares, 0.0)
        beyond = exact_sum(sums) / total
        means.append(shift + beyond)
        residuals.append((sums - beyond * sizes) / total / np.sqrt(1.0 - shares))
        df = 1.0 / _cross(shares, shares)
    return _Part(means, residuals, shares, df)


def _codes(of: Labelled, part: Mask) -> Clusters | None:
    """The clusters of some of the rows that count, numbered as those of all of them are."""
    clusters = of.rows.clusters
    return None if clusters is None else Clusters(clusters.codes[part], clusters.total)


def _effective(rows: Rows) -> float:
    """How many rows of equal weight have a mean as uncertain."""
    return float(rows.count(np.zeros(0))) if rows.weights is None else _core.effective_weights(rows.weights)


def _cross(f: Floats, h: Floats) -> float:
    """The trace of the product of the covariance matrices of two parts' residuals, rows being independent.

    Such a matrix has the shares f on its diagonal and -f_g f_k/sqrt((1 - f_g)(1 - f_k)) elsewhere (times the variance).
    """
    both = f * h / np.sqrt((1.0 - f) * (1.0 - h))
    total = exact_sum(both)
    return exact_sum(f * h) + total * total - exact_sum(both * both)

"""Estimates over Spark DataFrames: every partition becomes a row with the bytes of a state, and tasks merge the rows.

All work on rows is Arrow's and the core's (``mapInArrow``): no Python function is called for each row. The result has
the same bits for every number and order of partitions, where a worker is lost and its tasks run again, and where Spark
evaluates a DataFrame twice. Spark's workers need pyarrow and this package. See ``docs/distributed.md``.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from .._engines import answer_of, job_of, states_of
from .._estimate import Estimate
from .._options import Alternative, NanPolicy, whole
from .._state import State
from .._strata import Average
from ..calibration import Reliability, ReliabilityState
from ..errors import value_error
from ..tokens import PerplexityState
from ..uncertainty import BootstrapEstimate, BootstrapState, CompareState, Comparison, EstimateState
from ._rounds import reduced

__all__ = ["bootstrap", "compare", "estimate", "perplexity", "reliability", "scan"]


def scan(
    source: Any, columns: Any, state: State | Mapping[str, State], *, by: str | None = None, depth: int = 2
) -> Any:
    """Add the partitions of a Spark DataFrame to a state, as :func:`steelyard.scan` adds a table.

    It is an action: Spark evaluates the DataFrame. The state has the bits of one ``update`` with the whole table.

    Parameters
    ----------
    source : Spark DataFrame
        Only the columns that are asked for are read.
    columns : str, tuple, list or mapping
        Which columns the state is given, as in :func:`steelyard.scan`.
    state : State, or mapping from names to states
        States to which nothing has been added, such as :class:`~steelyard.uncertainty.EstimateState`; they are not
        changed.
    by : str, optional
        A column of ids: a state for each of its values.
    depth : int, default 2
        In how many rounds the states of partitions are merged: 1 merges all of them in the driver, 2 by 8 tasks before,
        3 by 64 and 8. Spark's ``treeAggregate`` has the same argument.

    Returns
    -------
    State or mapping
        A state, or a mapping of states; with ``by`` a mapping from ids (whole numbers or texts) to these.

    Raises
    ------
    TypeError, ValueError
        For columns that the frame does not have, before anything runs, and for a value that the state refuses; the
        message names the column and the partition, counted from 0.

    Examples
    --------
    >>> state = sy.spark.scan(table, {"x": "right", "clusters": "user"}, sy.uncertainty.EstimateState())
    >>> print(state.compute())
    0.67 [0.16, 0.96] (95 %, clustered Wilson, n = 6, 4 clusters)
    """
    return reduced(source, job_of(columns, state, by), _depth(depth), states_of)


def _depth(depth: int) -> int:
    return whole(depth, "depth", 1, 6)


def _answer(source: Any, state: State, by: Any, depth: int, given: dict[str, Any]) -> Any:
    """What a state computes from the columns that its arguments were given."""
    columns = {name: column for name, column in given.items() if column is not None}
    return reduced(source, job_of(columns, state, by), _depth(depth), answer_of)


def estimate(
    source: Any,
    x: str | tuple[str, ...],
    /,
    *,
    statistic: str = "mean",
    where: str | None = None,
    clusters: str | None = None,
    weights: str | None = None,
    strata: str | None = None,
    by: str | None = None,
    method: str | None = None,
    average: Average = "micro",
    nan_policy: NanPolicy = "raise",
    confidence_level: float = 0.95,
    alternative: Alternative = "two-sided",
    depth: int = 2,
) -> Estimate:
    """Estimate a mean, or another statistic of sums, over all partitions.

    It is ``EstimateState(statistic, ...).update(x, where=, clusters=, weights=, strata=).compute()`` of the whole
    column, bit for bit: for means of 0/1 values without clusters also :func:`steelyard.estimate` bit for bit, and
    otherwise up to the rounding of the sums there. ``weights`` and ``strata`` need ``clusters``.

    Parameters
    ----------
    source : Spark DataFrame
        The other arguments are names of its columns.
    x : str, or tuple of str
        The column of the values; by position.
    statistic : str, default "mean"
        As in :class:`steelyard.uncertainty.EstimateState`; one of several columns takes a tuple of them as ``x``.
    where, clusters, weights, strata, by : str, optional
        Columns as in :func:`steelyard.estimate`. ``by`` does what ``groupBy`` does: an answer for each group.
    method, average, nan_policy, confidence_level, alternative
        As in :func:`steelyard.estimate`.
    depth
        As in :func:`scan`.

    Returns
    -------
    Estimate
        With ``by`` one of many, named by the ids, with limits that hold for all groups at once in its ``detail``.

    Raises
    ------
    TypeError, ValueError
        As :func:`scan`.

    Examples
    --------
    >>> print(sy.spark.estimate(table, "right", clusters="user"))
    0.67 [0.16, 0.96] (95 %, clustered Wilson, n = 6, 4 clusters)
    """
    state = EstimateState(
        statistic, method=method, average=average, nan_policy=nan_policy, confidence_level=confidence_level,
        alternative=alternative,
    )  # fmt: skip
    given = {"x": x, "where": where, "clusters": clusters, "weights": weights, "strata": strata}
    found: Estimate = _answer(source, state, by, depth, given)
    return found


def bootstrap(
    source: Any,
    x: str | tuple[str, ...],
    /,
    *,
    statistic: str = "mean",
    where: str | None = None,
    clusters: str | None = None,
    by: str | None = None,
    method: Any = "percentile",
    n_resamples: int = 2000,
    seed: int = 0,
    nan_policy: NanPolicy = "raise",
    confidence_level: float = 0.95,
    alternative: Alternative = "two-sided",
    depth: int = 2,
) -> BootstrapEstimate:
    """Bootstrap a statistic of sums over all partitions, with Poisson counts that follow from the ids.

    It is ``BootstrapState(...).update(x, where=, clusters=).compute()`` of the whole column, bit for bit: how often a
    row counts in a replicate follows from ``seed``, the replicate and its id alone, so that a partition that is read
    again draws nothing new. See :class:`steelyard.uncertainty.BootstrapState`.

    Parameters
    ----------
    source, x
        As in :func:`estimate`.
    clusters
        The id of each row, or of the cluster that it belongs to: whole numbers or texts. It is needed, since a
        partition does not know the numbers of its rows among all.
    where, by
        As in :func:`estimate`.
    statistic, method, n_resamples, seed, nan_policy, confidence_level, alternative
        As in :class:`steelyard.uncertainty.BootstrapState`.
    depth
        As in :func:`scan`.

    Returns
    -------
    BootstrapEstimate
        With ``by`` one of many, named by the ids.

    Raises
    ------
    TypeError, ValueError
        As :func:`scan`.

    Examples
    --------
    >>> print(sy.spark.bootstrap(table, "right", clusters="user", n_resamples=99))
    0.67 [0.50, 1.00] (95 %, clustered percentile bootstrap by Poisson counts, n = 6)
    """
    if clusters is None:
        fix = "the counts of a row follow from its id; a row may have one of its own"
        raise value_error("clusters", "a column of ids", "None", fix)
    state = BootstrapState(
        statistic, method=method, n_resamples=n_resamples, seed=seed, nan_policy=nan_policy,
        confidence_level=confidence_level, alternative=alternative,
    )  # fmt: skip
    given = {"x": x, "where": where, "clusters": clusters}
    found: BootstrapEstimate = _answer(source, state, by, depth, given)
    return found


def compare(
    source: Any,
    new: str,
    baseline: str,
    /,
    *,
    where: str | None = None,
    clusters: str | None = None,
    by: str | None = None,
    method: str | None = None,
    test: str | None = None,
    nan_policy: NanPolicy = "raise",
    confidence_level: float = 0.95,
    alternative: Alternative = "two-sided",
    higher_is_better: bool = True,
    depth: int = 2,
) -> Comparison:
    """Compare two columns of all partitions with each other: paired, as :func:`steelyard.compare` does.

    For 0/1 answers without clusters it is that comparison, bit for bit. For graded scores, and with clusters, the
    difference, its interval, wins, losses and the verdict are the same; p is Student's in place of the sign flips',
    which need every difference (see :class:`steelyard.uncertainty.CompareState`).

    Parameters
    ----------
    source : Spark DataFrame
        The other arguments are names of its columns.
    new, baseline : str
        The columns of scores; by position.
    where, clusters, by : str, optional
        Columns as in :func:`steelyard.compare`.
    method, test, nan_policy, confidence_level, alternative, higher_is_better
        As in :class:`steelyard.uncertainty.CompareState`.
    depth
        As in :func:`scan`.

    Returns
    -------
    Comparison
        With ``by`` one that compares in each group, with Holm's p-values.

    Examples
    --------
    >>> print(sy.spark.compare(table, "right", "before"))
    new - baseline: 0.17 [-0.29, 0.56] (95 %, Tango, n = 6)
      p = 0.5 (McNemar mid-p), 1 wins, 0 losses, 5 ties
    """
    state = CompareState(
        method=method, test=test, nan_policy=nan_policy, confidence_level=confidence_level, alternative=alternative,
        higher_is_better=higher_is_better,
    )  # fmt: skip
    given = {"new": new, "baseline": baseline, "where": where, "clusters": clusters}
    found: Comparison = _answer(source, state, by, depth, given)
    return found


def perplexity(
    source: Any,
    x: str,
    /,
    *,
    where: str | None = None,
    clusters: str | None = None,
    per: str | None = None,
    by: str | None = None,
    unit: Any = "perplexity",
    nan_policy: NanPolicy = "raise",
    confidence_level: float = 0.95,
    alternative: Alternative = "two-sided",
    depth: int = 2,
) -> Estimate:
    """Estimate a perplexity over all partitions, with the bits of :func:`steelyard.perplexity`.

    Parameters
    ----------
    source : Spark DataFrame
        The other arguments are names of its columns.
    x : str
        The column of NLL in nats, one per row; by position.
    where, per, by : str, optional
        Columns as in :func:`steelyard.perplexity`.
    clusters : str
        The column of documents. It is needed: a partition is no document.
    unit, nan_policy, confidence_level, alternative
        As in :func:`steelyard.perplexity`.
    depth
        As in :func:`scan`.

    Returns
    -------
    Estimate
        As for :func:`estimate`.

    Examples
    --------
    >>> print(sy.spark.perplexity(tokens, "nll", clusters="doc"))
    8.0 [3.9, 16.5] (95 %, clustered t, n = 6, 3 clusters)
    """
    if clusters is None:
        raise value_error("clusters", "the column of documents", "None", "a partition is not a document")
    state = PerplexityState(
        unit=unit, nan_policy=nan_policy, confidence_level=confidence_level, alternative=alternative
    )
    given = {"x": x, "where": where, "clusters": clusters, "per": per}
    found: Estimate = _answer(source, state, by, depth, given)
    return found


def reliability(
    source: Any,
    probs: Any,
    targets: str,
    /,
    *,
    where: str | None = None,
    weights: str | None = None,
    clusters: str | None = None,
    by: str | None = None,
    n_bins: int = 15,
    classes: Any = None,
    nan_policy: NanPolicy = "raise",
    confidence_level: float = 0.95,
    alternative: Alternative = "two-sided",
    depth: int = 2,
) -> Reliability | dict[str, Reliability]:
    """Compute a reliability diagram over all partitions, with the bits of :func:`steelyard.reliability`.

    Parameters
    ----------
    source : Spark DataFrame
        The other arguments are names of its columns.
    probs : str or list of str
        The column of probabilities (or of arrays of them), or one for each class; by position.
    targets : str
        The column of what came true; by position.
    where, weights, clusters, by : str, optional
        Columns as in :func:`steelyard.reliability`.
    n_bins, classes, nan_policy, confidence_level, alternative
        As in :func:`steelyard.reliability`.
    depth
        As in :func:`scan`.

    Returns
    -------
    Reliability
        With ``by`` a dict of one for each group.

    Examples
    --------
    >>> sy.spark.reliability(predictions, "p", "right", n_bins=5).table["count"].tolist()
    [1, 0, 1, 1, 1]
    """
    state = ReliabilityState(
        n_bins, classes=classes, confidence_level=confidence_level, alternative=alternative, nan_policy=nan_policy
    )
    given = {"probs": probs, "targets": targets, "where": where, "weights": weights, "clusters": clusters}
    found: Reliability | dict[str, Reliability] = _answer(source, state, by, depth, given)
    return found

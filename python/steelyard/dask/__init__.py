"""Estimates over dask DataFrames and arrays: every partition becomes a state, and a tree of tasks merges them.

What a call returns is lazy: ``.compute()``, ``dask.compute`` or a client of ``dask.distributed`` runs it, with the
dashboard's progress. The result has the same bits for every number and order of partitions, on every scheduler, and
where a worker is lost and its tasks run again. See ``docs/distributed.md``.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from dask.delayed import Delayed

from .._engines import answer_of, job_of, states_of
from .._options import Alternative, NanPolicy
from .._state import State
from .._strata import Average
from ..calibration import ReliabilityState
from ..errors import value_error
from ..tokens import PerplexityState
from ..uncertainty import BootstrapState, CompareState, EstimateState
from ._graph import reduced
from ._pieces import arguments_of, first_of, pieces_of, two_of

__all__ = ["bootstrap", "compare", "estimate", "perplexity", "reliability", "scan"]


def scan(source: Any, columns: Any, state: State | Mapping[str, State], *, by: str | None = None) -> Delayed:
    """Add the partitions of a dask frame, or of dask arrays, to a state, as :func:`steelyard.scan` adds a table.

    Every partition is added to an empty state of the same options, whose bytes a tree of tasks merges, eight at a time.
    The state has the bits of one ``update`` with the whole table.

    Parameters
    ----------
    source : dask DataFrame, or mapping from names to dask arrays or Series
        Arrays have rows on their first axis, and equal numbers of blocks.
    columns : str, tuple, list or mapping
        Which columns the state is given, as in :func:`steelyard.scan`.
    state : State, or mapping from names to states
        States to which nothing has been added, such as :class:`~steelyard.uncertainty.EstimateState`; they are not
        changed.
    by : str, optional
        A column of ids: a state for each of its values.

    Returns
    -------
    Delayed
        Of the state, or of a mapping of states; with ``by`` of a mapping from ids (whole numbers or texts) to these.

    Raises
    ------
    TypeError, ValueError
        At once for columns that the frame does not have. When it is computed, for a value that the state refuses, a
        partition that lacks a column, and columns that hold numbers in one partition and texts in another: the message
        names the column and the partition, counted from 0.

    Examples
    --------
    >>> import dask.dataframe as dd, pandas as pd, steelyard as sy, steelyard.dask
    >>> table = pd.DataFrame({"right": [1, 0, 1, 1, 0, 1], "user": ["ann", "ann", "bob", "cyd", "cyd", "dan"]})
    >>> columns = {"x": "right", "clusters": "user"}
    >>> lazy = sy.dask.scan(dd.from_pandas(table, npartitions=3), columns, sy.uncertainty.EstimateState())
    >>> print(lazy.compute().compute())
    0.67 [0.16, 0.96] (95 %, clustered Wilson, n = 6, 4 clusters)
    """
    job = job_of(columns, state, by)
    return reduced(job, pieces_of(source, job.columns), states_of)


def _answer(source: Any, state: State, by: Any, given: dict[str, Any]) -> Delayed:
    """What a state computes from the columns or arrays that its arguments were given."""
    table, columns = arguments_of(source, {**given, "by": by})
    group = columns.pop("by", None)
    job = job_of(columns, state, group)
    return reduced(job, pieces_of(table, job.columns), answer_of)


def estimate(
    source: Any,
    x: Any = None,
    /,
    *,
    statistic: str = "mean",
    where: Any = None,
    clusters: Any = None,
    weights: Any = None,
    strata: Any = None,
    by: Any = None,
    method: str | None = None,
    average: Average = "micro",
    nan_policy: NanPolicy = "raise",
    confidence_level: float = 0.95,
    alternative: Alternative = "two-sided",
) -> Delayed:
    """Estimate a mean, or another statistic of sums, over all partitions, lazily.

    It is ``EstimateState(statistic, ...).update(x, where=, clusters=, weights=, strata=).compute()`` of the whole
    column, bit for bit: for means of 0/1 values without clusters also :func:`steelyard.estimate` bit for bit, and
    otherwise up to the rounding of the sums there. ``weights`` and ``strata`` need ``clusters``.

    Parameters
    ----------
    source : dask DataFrame, or dask array or Series
        With a DataFrame, the other arguments are names of its columns: ``estimate(df, "score", clusters="doc")``. With
        an array or Series, which is then the data, they are arrays or Series of as many partitions: ``estimate(x,
        clusters=ids)``.
    x : str, or tuple of str
        The column of the values, beside a DataFrame; by position.
    statistic : str, default "mean"
        As in :class:`steelyard.uncertainty.EstimateState`; one of several columns takes a tuple of them as ``x``.
    where, clusters, weights, strata, by
        As in :func:`steelyard.estimate`.
    method, average, nan_policy, confidence_level, alternative
        As in :func:`steelyard.estimate`.

    Returns
    -------
    Delayed
        Of an Estimate; with ``by`` of one of many, named by the ids, with limits that hold for all groups at once in
        its ``detail``.

    Raises
    ------
    TypeError, ValueError
        As :func:`scan`.

    Examples
    --------
    >>> import dask.array as da, steelyard.dask
    >>> lazy = steelyard.dask.estimate(da.from_array([1, 0, 1, 1, 0, 1, 1, 1], chunks=3))
    >>> print(lazy.compute())
    0.75 [0.41, 0.93] (95 %, Wilson, n = 8)
    """
    state = EstimateState(
        statistic, method=method, average=average, nan_policy=nan_policy, confidence_level=confidence_level,
        alternative=alternative,
    )  # fmt: skip
    given = {"x": first_of(source, x, "x"), "where": where, "clusters": clusters, "weights": weights, "strata": strata}
    return _answer(source, state, by, given)


def bootstrap(
    source: Any,
    x: Any = None,
    /,
    *,
    statistic: str = "mean",
    where: Any = None,
    clusters: Any = None,
    by: Any = None,
    method: Any = "percentile",
    n_resamples: int = 2000,
    seed: int = 0,
    nan_policy: NanPolicy = "raise",
    confidence_level: float = 0.95,
    alternative: Alternative = "two-sided",
) -> Delayed:
    """Bootstrap a statistic of sums over all partitions, lazily, with Poisson counts that follow from the ids.

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

    Returns
    -------
    Delayed
        Of a BootstrapEstimate; with ``by`` of one of many, named by the ids.

    Raises
    ------
    TypeError, ValueError
        As :func:`scan`.

    Examples
    --------
    >>> import dask.dataframe as dd, pandas as pd, steelyard.dask
    >>> table = pd.DataFrame({"score": [0.9, 0.4, 0.7, 0.8, 0.6, 0.2, 0.5, 0.8], "id": range(8)})
    >>> lazy = steelyard.dask.bootstrap(dd.from_pandas(table, npartitions=3), "score", clusters="id")
    >>> print(lazy.compute())
    0.61 [0.43, 0.78] (95 %, clustered percentile bootstrap by Poisson counts, n = 8)
    """
    if clusters is None:
        fix = "the counts of a row follow from its id; a row may have one of its own"
        raise value_error("clusters", "a column or an array of ids", "None", fix)
    state = BootstrapState(
        statistic, method=method, n_resamples=n_resamples, seed=seed, nan_policy=nan_policy,
        confidence_level=confidence_level, alternative=alternative,
    )  # fmt: skip
    given = {"x": first_of(source, x, "x"), "where": where, "clusters": clusters}
    return _answer(source, state, by, given)


def compare(
    source: Any,
    new: Any = None,
    baseline: Any = None,
    /,
    *,
    where: Any = None,
    clusters: Any = None,
    by: Any = None,
    method: str | None = None,
    test: str | None = None,
    nan_policy: NanPolicy = "raise",
    confidence_level: float = 0.95,
    alternative: Alternative = "two-sided",
    higher_is_better: bool = True,
) -> Delayed:
    """Compare two columns of all partitions with each other, lazily: paired, as :func:`steelyard.compare` does.

    For 0/1 answers without clusters it is that comparison, bit for bit. For graded scores, and with clusters, the
    difference, its interval, wins, losses and the verdict are the same; p is Student's in place of the sign flips',
    which need every difference (see :class:`steelyard.uncertainty.CompareState`).

    Parameters
    ----------
    source, new, baseline
        A dask DataFrame and the names of two columns, or two dask arrays or Series: ``compare(new, baseline)``.
    where, clusters, by
        Columns or arrays as in :func:`steelyard.compare`.
    method, test, nan_policy, confidence_level, alternative, higher_is_better
        As in :class:`steelyard.uncertainty.CompareState`.

    Returns
    -------
    Delayed
        Of a Comparison; with ``by`` of one that compares in each group, with Holm's p-values.

    Examples
    --------
    >>> import dask.array as da, steelyard.dask
    >>> new, base = (da.from_array(x, chunks=3) for x in ([1, 1, 0, 1, 1, 1, 0, 1], [0, 1, 0, 0, 1, 0, 1, 0]))
    >>> print(steelyard.dask.compare(new, base).compute())
    new - baseline: 0.38 [-0.18, 0.74] (95 %, Tango, n = 8)
      p = 0.219 (McNemar mid-p), 4 wins, 1 losses, 3 ties
    """
    state = CompareState(
        method=method, test=test, nan_policy=nan_policy, confidence_level=confidence_level, alternative=alternative,
        higher_is_better=higher_is_better,
    )  # fmt: skip
    new, baseline = two_of(source, (new, baseline), ("new", "baseline"))
    return _answer(source, state, by, {"new": new, "baseline": baseline, "where": where, "clusters": clusters})


def perplexity(
    source: Any,
    x: Any = None,
    /,
    *,
    where: Any = None,
    clusters: Any = None,
    per: Any = None,
    by: Any = None,
    unit: Any = "perplexity",
    nan_policy: NanPolicy = "raise",
    confidence_level: float = 0.95,
    alternative: Alternative = "two-sided",
) -> Delayed:
    """Estimate a perplexity over all partitions, lazily, with the bits of :func:`steelyard.perplexity`.

    Parameters
    ----------
    source, x
        As in :func:`estimate`: NLL in nats, one per row, or an array ``[B, T]``.
    where, per, by
        Columns or arrays as in :func:`steelyard.perplexity`.
    clusters
        The document of each token. It is needed where ``x`` has one NLL per row: a partition is no document.
    unit, nan_policy, confidence_level, alternative
        As in :func:`steelyard.perplexity`.

    Returns
    -------
    Delayed
        Of an Estimate, as for :func:`estimate`.

    Examples
    --------
    >>> import dask.dataframe as dd, pandas as pd, steelyard.dask
    >>> tokens = pd.DataFrame({"nll": [2.0, 2.5, 1.0, 3.5, 2.0, 1.5], "doc": list("aabbcc")})
    >>> frame = dd.from_pandas(tokens, npartitions=3)
    >>> print(steelyard.dask.perplexity(frame, "nll", clusters="doc").compute())
    8.0 [3.9, 16.5] (95 %, clustered t, n = 6, 3 clusters)
    """
    if clusters is None and not (hasattr(source, "chunks") and source.ndim > 1):
        raise value_error("clusters", "the document of each token", "None", "a partition is not a document")
    state = PerplexityState(
        unit=unit, nan_policy=nan_policy, confidence_level=confidence_level, alternative=alternative
    )
    given = {"x": first_of(source, x, "x"), "where": where, "clusters": clusters, "per": per}
    return _answer(source, state, by, given)


def reliability(
    source: Any,
    probs: Any = None,
    targets: Any = None,
    /,
    *,
    where: Any = None,
    weights: Any = None,
    clusters: Any = None,
    by: Any = None,
    n_bins: int = 15,
    classes: Any = None,
    nan_policy: NanPolicy = "raise",
    confidence_level: float = 0.95,
    alternative: Alternative = "two-sided",
) -> Delayed:
    """Compute a reliability diagram over all partitions, lazily, with the bits of :func:`steelyard.reliability`.

    Parameters
    ----------
    source, probs, targets
        A dask DataFrame and the names of two columns (for classes, a list of names of columns and a name), or two dask
        arrays: ``reliability(probs, targets)``, of shapes ``[n]`` or ``[n, K]`` and ``[n]``.
    where, weights, clusters, by
        Columns or arrays as in :func:`steelyard.reliability`.
    n_bins, classes, nan_policy, confidence_level, alternative
        As in :func:`steelyard.reliability`.

    Returns
    -------
    Delayed
        Of a Reliability; with ``by`` of a dict of one for each group.

    Examples
    --------
    >>> import dask.dataframe as dd, pandas as pd, steelyard.dask
    >>> table = pd.DataFrame({"p": [0.9, 0.2, 0.8, 0.6], "right": [1, 0, 1, 0]})
    >>> found = steelyard.dask.reliability(dd.from_pandas(table, npartitions=2), "p", "right", n_bins=5).compute()
    >>> found.table["count"].tolist()
    [1, 0, 1, 1, 1]
    """
    state = ReliabilityState(
        n_bins, classes=classes, confidence_level=confidence_level, alternative=alternative, nan_policy=nan_policy
    )
    probs, targets = two_of(source, (probs, targets), ("probs", "targets"))
    given = {"probs": probs, "targets": targets, "where": where, "weights": weights, "clusters": clusters}
    return _answer(source, state, by, given)

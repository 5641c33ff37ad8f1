"""The state behind ``reliability``: counts and sums for each bin, filled in one pass over any number of batches."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from .. import _core
from .._arrays import aligned, describe, integers
from .._arrays import labels as known_labels
from .._clusters import by_weight, codes_and_names
from .._estimate import Estimate
from .._intervals import ONE_CLUSTER, ONE_WEIGHT, ValueFacts, proportion, ratio
from .._mode import standard_mode_methods
from .._options import Alternative, NanPolicy, confidence_of, omits_nan, whole
from .._progress import Progress, reporter
from .._rows import Selection, less, nonzero, nothing_counts
from .._state import State
from .._weights import weightless
from ..errors import type_error, value_error
from ._inputs import class_labels, columns_of, probabilities, rows_of_nan, without
from .diagram import Form, Reliability

__all__ = ["ReliabilityState"]

Array = NDArray[Any]
Mask = NDArray[np.bool_]

FORMS: tuple[Form, ...] = ("probabilities", "top labels")


@standard_mode_methods
class ReliabilityState(State):
    """Counts and exact sums of a reliability diagram, in one pass over any number of batches.

    For each bin the state holds the number of predictions, how many of them came true, and the sum of their
    probabilities in fixed point (multiples of 2**-64). With ``clusters`` it holds the same for each pair of cluster and
    bin that occurs, and with ``weights`` for each weight too (with weights but without clusters, each row of data is
    kept). These numbers are integers, so every split into batches (even inside a cluster), every order of merging and
    every number of threads gives the same bits, and counts stay right beyond 2**24 rows. All updates of one state must
    have clusters or none, and all must have weights or none.

    Parameters
    ----------
    n_bins : int
        The number of equal-width bins, 1 to 10,000.
    classes : array, optional
        The label of each column (scikit-learn's ``classes_``); without it, labels are column numbers. If each row holds
        one probability, these are the labels of false and true.
    confidence_level : float
        The confidence level of the intervals, in (0, 1).
    alternative : {"two-sided", "greater", "less"}
        ``"greater"`` gives only lower limits (the upper ones are 1), ``"less"`` only upper ones.
    nan_policy : {"raise", "omit"}
        ``"omit"`` leaves out rows with a NaN, a null or no label, and counts them in ``left_out`` as ``nan``.

    Examples
    --------
    >>> import steelyard as sy
    >>> first = sy.calibration.ReliabilityState(n_bins=5).update([0.9, 0.2], [1, 0])
    >>> second = sy.calibration.ReliabilityState(n_bins=5).update([0.8], [1])
    >>> (first + second).compute().table["count"].tolist()
    [1, 0, 0, 1, 1]
    """

    _CORE = _core.ReliabilityTotals

    def __init__(
        self,
        n_bins: int = 15,
        *,
        classes: Any = None,
        confidence_level: float = 0.95,
        alternative: Alternative = "two-sided",
        nan_policy: NanPolicy = "raise",
    ) -> None:
        self._n_bins = whole(n_bins, "n_bins", 1, _core.MAX_BINS, "a whole number of bins")
        self._classes = class_labels(classes)
        self._confidence = confidence_of(confidence_level, alternative)
        self._omit_nan = omits_nan(nan_policy)
        self._form: Form | None = None
        super().__init__()

    def update(
        self,
        probs: Any,
        targets: Any,
        *,
        where: Any = None,
        weights: Any = None,
        clusters: Any = None,
        progress: Progress = False,
    ) -> Self:
        """Add a batch; if an error is raised, nothing is added.

        Parameters
        ----------
        probs : array of float, shape [n] or [n, K]
            Probabilities in [0, 1] (see :func:`reliability`).
        targets : array of int or bool, shape [n]
            What came true.
        where : array of bool, shape [n], optional
            Rows that count.
        weights : array of numbers, shape [n], optional
            Sampling weights, 0 or more (see :func:`reliability`), on one scale in all updates.
        clusters : array of ids, shape [n], optional
            What rows have in common, such as a document or a user: whole numbers or texts. A cluster may continue in
            later updates.
        progress : bool or callable
            ``True`` draws a progress bar on standard error; a callable is called with ``(done, total)``.

        Returns
        -------
        ReliabilityState
            The state itself.
        """
        aligned(probs=probs, targets=targets, where=where, weights=weights, clusters=clusters)
        array = probabilities(probs)
        form: Form = "top labels" if array.ndim == 2 else "probabilities"
        if self._form not in (None, form):
            raise value_error("probs", f"{self._form}, as in earlier batches", f"shape {array.shape}")
        n = len(array)
        selection = self._selection(where, weights, clusters)
        keep, of_rows, zeros = selection.mask("probs", (n,)), selection.weights, 0
        # Where rows without a probability are left out, they need neither a weight nor an id.
        nan = rows_of_nan(array) if selection.omit and not (weights is None is clusters) else None
        if of_rows is not None:
            present = keep if nan is None else less(keep, nan)[0]
            keep, zero = less(keep, weightless(of_rows, n, "probs", present))
            zeros = int(np.count_nonzero(zero))
        labels, unknown = self._labels(targets, array, keep)
        if unknown is not None:
            array = without(array, unknown)
            nan = None if nan is None else nan | unknown
        present = keep if nan is None else less(keep, nan)[0]
        if of_rows is not None and present is not None:
            of_rows[~present] = 1.0
        codes, names = (None, None) if clusters is None else codes_and_names(clusters, "clusters", n, present)
        if codes is not None and names is not None and of_rows is not None:
            codes, names, of_rows = by_weight(codes, names, of_rows, present)
        mask = None if keep is None else keep.view(np.uint8)
        self._totals.update(
            array, labels, keep=mask, omit_nan=selection.omit, codes=codes, names=names, weights=of_rows,
            weightless=zeros, progress=reporter(progress),
        )  # fmt: skip
        self._form = form
        return self

    def _selection(self, where: Any, weights: Any, clusters: Any) -> Selection:
        """``where``, ``weights`` and ``clusters``, checked.

        The last two need the covariance matrix of the bins, so there may be fewer bins with them.
        """
        for argument, given in (("clusters", clusters), ("weights", weights)):
            if given is not None and self._n_bins > _core.MAX_CLUSTERED_BINS:
                expected = f"at most {_core.MAX_CLUSTERED_BINS} bins with {argument}"
                raise value_error("n_bins", expected, str(self._n_bins))
        policy = "omit" if self._omit_nan else "raise"
        return Selection(where, clusters, policy, weights=weights)

    def _labels(self, targets: Any, probs: Array, keep: Mask | None) -> tuple[Array, Mask | None]:
        """Labels as column numbers, without ``classes`` in the integer type they have; and which rows have no label."""
        n, width = len(probs), probs.shape[1] if probs.ndim == 2 else 2
        if self._classes is not None:
            if len(self._classes) != width:
                raise value_error("classes", f"{width} labels, one per column", f"{len(self._classes)}")
            return columns_of(targets, self._classes, n, keep, self._omit_nan)
        labels, unknown = known_labels(targets, "targets", keep, self._omit_nan)
        if labels.size == 0 or (unknown is not None and unknown.all()):  # without a label there is no type to check
            labels = labels.astype(np.int64)
        if labels.dtype.kind not in "iub":
            fix = "pass classes= to map labels to columns" if labels.dtype.kind in "US" else ""
            if probs.ndim == 1 and labels.dtype.kind == "f" and np.isin(labels, (0, 1)).all():
                fix = "pass targets == 1, such as run.score == 1"
            raise type_error("targets", "integers or booleans", describe(targets), fix)
        if labels.shape != (n,):
            raise value_error("targets", f"one label per row, shape ({n},)", f"shape {labels.shape}")
        if labels.dtype.kind == "b":
            return np.ascontiguousarray(labels), unknown
        return integers(labels, "targets", native=True), unknown

    def _options(self) -> dict[str, Any]:
        return {
            "n_bins": self._n_bins,
            "classes": self._classes,
            **self._confidence.keywords,
            "nan_policy": "omit" if self._omit_nan else "raise",
        }

    def _empty(self) -> _core.ReliabilityTotals:
        return _core.ReliabilityTotals(self._n_bins)

    def _header(self) -> dict[str, Any]:
        return {**self._options(), "form": self._form}

    @classmethod
    def _read(cls, totals: _core.ReliabilityTotals, header: dict[str, Any]) -> Self:
        form = header.pop("form", None)
        state = super()._read(totals, header)
        counts = totals.bins()["count"]
        empty = not (any(counts) or any(totals.left_out().values()))
        if len(counts) != state._n_bins or form not in (None, *FORMS) or not (form or empty):
            raise value_error("data", "options that fit the rows", repr(form))
        state._form = form
        return state

    def merge(self, other: Self) -> Self:
        """Add a state with the same options and form to this one, and return this one. ``a + b`` makes a new state."""
        if isinstance(other, ReliabilityState) and self._form and other._form and self._form != other._form:
            raise value_error("other", f"a state of {self._form}", f"one of {other._form}")
        super().merge(other)
        self._form = self._form or other._form
        return self

    def copy(self) -> Self:
        """Make an independent copy."""
        made = super().copy()
        made._form = self._form
        return made

    def reset(self) -> Self:
        """Forget all data but keep the options; return the state itself."""
        self._form = None
        return super().reset()

    def __repr__(self) -> str:
        rows = sum(self._totals.bins()["count"])
        clusters = " and clusters" if self._totals.clustered() else ""
        weights = " with weights" if self._totals.weighted() else ""
        return f"<ReliabilityState of {rows} rows{weights} in {self._n_bins} bins{clusters}>"

    def compute(self) -> Reliability:
        """Return the errors, intervals and table for all data added so far.

        Raises
        ------
        ValueError
            If no row counts.
        """
        totals = self._totals.copy()  # because another thread may add data meanwhile
        said = totals.summary(**self._confidence.keywords)
        gone = totals.left_out()
        left_out = nonzero({
            "where": gone["excluded"], "zero weight": gone["weightless"], "nan": gone["nan"],
            "clamped": gone["clamped"], "rounded": gone["rounded"],
        })  # fmt: skip
        if said is None:
            raise nothing_counts("probs", "row", left_out)
        rows = totals.bins()
        n = sum(rows["count"])
        clusters = len(said["clusters"]["n"]) if said["clusters"] and totals.clustered() else None
        known = said["ece"]["low"] is not None
        filled = said["bins"]
        wording = _Wording(said["certain"], len(filled["index"]), clusters, weighted=totals.weighted(), known=known)
        common: dict[str, Any] = {
            "n": n,
            "n_effective": said["effective"],
            "n_clusters": clusters,
            "confidence_level": self._confidence.level,
            "left_out": left_out,
        }
        bins = {"n_bins": self._n_bins, "filled_bins": wording.filled}
        largest = filled["index"][int(np.argmax(np.abs(filled["gap"])))]
        return Reliability(
            ece=Estimate(**said["ece"], method=wording.inversion, reason=wording.spread, detail=bins, **common),
            rmsce=Estimate(**said["rmsce"], method=wording.inversion, reason=wording.spread, detail=bins, **common),
            mce=Estimate(
                **said["mce"],
                method=wording.wilson,
                reason=wording.shared,
                detail={**bins, "bin_n": rows["count"][largest]},
                **common,
            ),
            gap=Estimate(**said["gap"], method=wording.gap, reason=wording.rows, **common),
            noise_floor=said["noise_floor"],
            frequency=self._frequency(rows, said, wording.rows, left_out),
            table=self._table(rows, filled),
            n=n,
            n_clusters=clusters,
            left_out=left_out,
            kind=self._form or "probabilities",
        )

    def _frequency(
        self,
        rows: _core._BinCounts,
        said: _core._Summary,
        reason: str,
        left_out: dict[str, int],
    ) -> Estimate:
        """The share of rows that came true, with its interval."""
        n, sums = sum(rows["count"]), said["clusters"]
        if sums is None:
            return proportion(sum(rows["correct"]), n, self._confidence, reason=reason, left_out=left_out)
        return ratio(
            sums["correct"], sums["n"], self._confidence, name="targets", n=n,
            values=ValueFacts(low=0.0, high=1.0, step=0.0, rows=float(n), range="share"),
            score="answers", effective=said["effective"], of_rows=not self._totals.clustered(), left_out=left_out,
        )  # fmt: skip

    def _table(self, rows: _core._BinCounts, bins: _core._Bins) -> dict[str, Array]:
        n_bins = self._n_bins
        numbers = np.arange(n_bins + 1) / n_bins
        table: dict[str, Array] = {
            "bin_low": numbers[:-1],
            "bin_high": numbers[1:],
            "count": np.array(rows["count"], dtype=np.int64),
            "correct": np.array(rows["correct"], dtype=np.int64),
        }

        def every(values: Array, empty: float) -> Array:
            """One value per bin, where the core has one per filled bin."""
            column = np.full(n_bins, empty)
            column[bins["index"]] = values
            return column

        if self._totals.weighted():
            table["weight"] = every(bins["weight"], 0.0)
        for name in ("mean_probability", "accuracy", "gap", "low", "high"):
            table[name] = every(bins[name], np.nan)
        for column in table.values():
            column.setflags(write=False)
        return table


@dataclass(frozen=True)
class _Wording:
    """The texts of ``method`` and ``reason``, which say how the intervals were made."""

    certain: bool
    filled: int
    clusters: int | None
    weighted: bool
    known: bool
    """Whether there are intervals."""

    @property
    def rows(self) -> str:
        rows = "rows with weights" if self.weighted else "rows"
        if self.clusters is None:
            return f"{rows} count as independent" if self.known else ONE_WEIGHT
        return f"{rows} in clusters" if self.known else ONE_CLUSTER

    @property
    def spread(self) -> str:
        if not self.certain or not self.known:
            return self.rows
        alone = "all rows show one gap a bin" if self.weighted else "every probability is 0 or 1 and came true"
        sure = alone if self.clusters is None else "all clusters show one gap a bin"
        return f"{self.rows}; {sure}: limits by Wilson's limits of the bins"

    @property
    def shared(self) -> str:
        if not self.known:
            return self.rows
        bins = f"{self.filled} filled bins" if self.filled > 1 else "1 filled bin"
        return f"{self.rows}; half the error is shared by {bins}; a maximum has no standard error"

    @property
    def inversion(self) -> str:
        return f"{self._scheme}inversion"

    @property
    def wilson(self) -> str:
        return f"{self._scheme}Wilson a bin"

    @property
    def gap(self) -> str:
        return f"{self._scheme}t"

    @property
    def _scheme(self) -> str:
        return "clustered " if self.clusters is not None else "weighted " if self.weighted else ""

"""Calibration: whether probabilities mean what they say."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal, Self

import numpy as np
from numpy.typing import NDArray

from . import _core
from ._arrays import booleans, codes, describe, floats, integers, plain
from ._intervals import proportion
from ._options import Alternative, NanPolicy, confidence, omits_nan, state_bytes, whole
from ._progress import Progress, reporter
from .errors import type_error, value_error
from .estimate import Estimate, json_ready, percent

__all__ = ["Reliability", "ReliabilityState", "reliability"]

Form = Literal["probabilities", "top labels"]
Array = NDArray[Any]

MAX_BINS = 10_000


@dataclass(frozen=True, eq=False, kw_only=True, repr=False)
class Reliability:
    """How far predicted probabilities lie from observed frequencies.

    Attributes
    ----------
    ece, rmsce, mce : Estimate
        Expected (mean absolute), root mean squared and maximum calibration error over the filled bins, in
        probability units, each with its interval.
    noise_floor : float
        What ``ece`` is expected to be for a calibrated model with these probabilities: not 0. An ``ece``
        near it says nothing against the model.
    accuracy : Estimate
        The share of predictions that came true.
    table : dict of str to ndarray
        One entry a bin: ``bin_low``, ``bin_high``, ``count``, ``correct``, ``mean_probability``,
        ``accuracy``, ``gap`` (mean probability less accuracy: positive is overconfident) and the Wilson
        limits ``low``, ``high`` of the accuracy; NaN in empty bins.
    n : int
        Rows that count.
    left_out : dict of str to int
        ``"where"``: rows that ``where`` excluded; ``"nan"``: rows omitted for a NaN; ``"clamped"``:
        probabilities in (1, 1 + 1e-6], which counted as 1. Only what happened is listed.

    Examples
    --------
    >>> import steelyard as sy
    >>> rel = sy.reliability([0.1, 0.3, 0.8, 0.9], [0, 1, 1, 1], n_bins=2)
    >>> rel.table["count"].tolist(), rel.table["gap"].round(3).tolist()
    ([2, 2], [-0.3, -0.15])
    """

    ece: Estimate
    rmsce: Estimate
    mce: Estimate
    noise_floor: float
    accuracy: Estimate
    table: dict[str, Array]
    n: int
    left_out: dict[str, int]

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Reliability):
            return NotImplemented
        return repr(self.to_dict()) == repr(other.to_dict())

    def __hash__(self) -> int:
        return hash((self.ece, self.rmsce, self.mce, self.n))

    def _lines(self) -> list[tuple[str, str]]:
        errors = {"ece": self.ece, "rmsce": self.rmsce, "mce": self.mce, "accuracy": self.accuracy}
        lines = [(name, str(error)) for name, error in errors.items()]
        return [*lines[:1], ("noise floor", f"{self.noise_floor:.3g}"), *lines[1:]]

    def __str__(self) -> str:
        return "\n".join(f"{name:<13}{text}" for name, text in self._lines())

    def __repr__(self) -> str:
        return f"<Reliability ece {self.ece}, noise floor {self.noise_floor:.3g}>"

    def _repr_html_(self) -> str:
        """Render as the tables a notebook shows: the errors, and the bins."""
        from html import escape  # loaded by a notebook, not by every import

        errors = "".join(f"<tr><td>{escape(a)}</td><td>{escape(b)}</td></tr>" for a, b in self._lines())
        head = "".join(f"<th>{escape(name.replace('_', ' '))}</th>" for name in self.table)
        rows = zip(*(column.tolist() for column in self.table.values()), strict=True)
        cells = ["".join(f"<td>{_cell(value)}</td>" for value in row) for row in rows]
        body = "".join(f"<tr>{row}</tr>" for row in cells)
        return f"<table>{errors}</table><table><tr>{head}</tr>{body}</table>"

    def to_dict(self) -> dict[str, Any]:
        """Return everything in types that JSON has (NaN as null)."""
        return {
            "ece": self.ece.to_dict(),
            "rmsce": self.rmsce.to_dict(),
            "mce": self.mce.to_dict(),
            "noise_floor": self.noise_floor,
            "accuracy": self.accuracy.to_dict(),
            "table": json_ready(self.table),
            "n": self.n,
            "left_out": dict(self.left_out),
        }

    def plot(self, ax: Any = None) -> Any:
        """Draw the reliability diagram: accuracy against mean probability with Wilson limits, counts above.

        Parameters
        ----------
        ax : matplotlib.axes.Axes, optional
            Where to draw; a new figure without it.

        Returns
        -------
        matplotlib.axes.Axes
        """
        if ax is None:
            import matplotlib.pyplot as plt

            _, ax = plt.subplots(figsize=(5, 5.6), layout="constrained")
        table = {name: column[self.table["count"] > 0] for name, column in self.table.items()}
        x, y = table["mean_probability"], table["accuracy"]
        ax.plot([0, 1], [0, 1], color="0.6", linewidth=1, linestyle="--", zorder=1, label="calibrated")
        # A limit may lie a rounding beyond the frequency it belongs to.
        bars = np.maximum([y - table["low"], table["high"] - y], 0.0)
        label = f"observed, {percent(self.ece.confidence_level)} limits"
        style = {"fmt": "o", "markersize": 4.5, "capsize": 2, "linewidth": 1.2, "zorder": 3, "clip_on": False}
        ax.errorbar(x, y, yerr=bars, label=label, **style)
        ax.set(xlim=(0, 1), ylim=(0, 1), xlabel="mean probability", ylabel="observed frequency")
        ax.legend(loc="upper left", frameon=False)
        counts = ax.inset_axes((0, 1.05, 1, 0.16), sharex=ax)
        width = self.table["bin_high"] - self.table["bin_low"]
        counts.bar(self.table["bin_low"], self.table["count"], width, align="edge", color="0.75", edgecolor="white")
        counts.tick_params(labelbottom=False)
        counts.set_ylabel("rows")
        counts.spines[["top", "right"]].set_visible(False)
        counts.set_title(f"ECE {self.ece:.2%}, noise floor {self.noise_floor:.2%}, n = {self.n}", fontsize="medium")
        return ax


def _cell(value: float) -> str:
    if isinstance(value, int):
        return str(value)
    return "" if value != value else f"{value:.4f}"


class ReliabilityState:
    """Counts and exact sums of a reliability diagram, in one pass over any number of batches.

    The state is a row a bin: predictions, true ones, and the sum of their probabilities in fixed point
    (multiples of 2**-64). Rows are integers, so every split into batches, every order of merging and every
    number of threads gives the same bits, and counts stay right past 2**24 rows.

    Parameters
    ----------
    n_bins : int
        Equal-width bins, 1 to 10,000.
    classes : array, optional
        The label of each column (scikit-learn's ``classes_``); without it labels are column numbers. For one
        probability a row: the labels of false and true.
    confidence_level : float
        Of the intervals, in (0, 1).
    alternative : {"two-sided", "greater", "less"}
        ``"greater"`` gives lower limits alone (upper ones are 1), ``"less"`` upper ones.
    nan_policy : {"raise", "omit"}
        ``"omit"`` leaves rows with a NaN out and counts them in ``left_out``.

    Examples
    --------
    >>> import steelyard as sy
    >>> first = sy.calibration.ReliabilityState(n_bins=5).update([0.9, 0.2], [1, 0])
    >>> second = sy.calibration.ReliabilityState(n_bins=5).update([0.8], [1])
    >>> (first + second).compute().table["count"].tolist()
    [1, 0, 0, 1, 1]
    """

    def __init__(
        self,
        n_bins: int = 15,
        *,
        classes: Any = None,
        confidence_level: float = 0.95,
        alternative: Alternative = "two-sided",
        nan_policy: NanPolicy = "raise",
    ) -> None:
        self._n_bins = whole(n_bins, "n_bins", 1, MAX_BINS, "a whole number of bins")
        self._classes = _classes(classes)
        self._how = confidence(confidence_level, alternative)
        self._omit_nan = omits_nan(nan_policy)
        self._form: Form | None = None
        self._tally = _core.ReliabilityTally(self._n_bins)

    def update(self, probs: Any, targets: Any, *, where: Any = None, progress: Progress = False) -> Self:
        """Add a batch; nothing is added where it raises.

        Parameters
        ----------
        probs : array of float, shape [n] or [n, K]
            Probabilities in [0, 1] (see :func:`reliability`).
        targets : array of int or bool, shape [n]
            What came true.
        where : array of bool, shape [n], optional
            Rows that count.
        progress : bool or callable
            Tell how far it is.

        Returns
        -------
        ReliabilityState
            Itself.
        """
        array = _probabilities(probs)
        form: Form = "top labels" if array.ndim == 2 else "probabilities"
        if self._form not in (None, form):
            raise value_error("probs", f"{self._form}, as in earlier batches", f"shape {array.shape}")
        n = len(array)
        keep = None if where is None else booleans(where, "where", (n,))
        labels = self._labels(targets, array, keep)
        tally = self._tally.updated(
            array, labels, None if keep is None else keep.view(np.uint8), self._omit_nan, reporter(progress)
        )
        self._tally, self._form = tally, form
        return self

    def _labels(self, targets: Any, probs: Array, keep: NDArray[np.bool_] | None) -> Array:
        """Labels as column numbers, in their own integer type where no ``classes`` are given."""
        n, width = len(probs), probs.shape[1] if probs.ndim == 2 else 2
        if self._classes is not None:
            if len(self._classes) != width:
                raise value_error("classes", f"{width} labels, one a column", f"{len(self._classes)}")
            return _columns(targets, self._classes, n, keep)
        labels = plain(targets, "targets")
        if labels.size == 0:  # an empty list has no integer dtype
            labels = labels.astype(np.int64)
        if labels.dtype.kind not in "iub":
            fix = "pass classes= to map labels to columns" if labels.dtype.kind in "US" else ""
            raise type_error("targets", "integers or booleans", describe(targets), fix)
        if labels.shape != (n,):
            raise value_error("targets", f"one label a row, shape ({n},)", f"shape {labels.shape}")
        if labels.dtype.kind == "b":
            return np.ascontiguousarray(labels)
        return integers(labels, "targets", native=True)

    def _config(self) -> dict[str, Any]:
        return {
            "n_bins": self._n_bins,
            "classes": self._classes,
            "confidence_level": self._how.level,
            "alternative": self._how.alternative,
            "nan_policy": "omit" if self._omit_nan else "raise",
        }

    def merge(self, other: ReliabilityState) -> Self:
        """Add another state of the same options; returns itself. ``a + b`` makes a new one."""
        if not isinstance(other, ReliabilityState):
            raise type_error("other", "a ReliabilityState", type(other).__name__)
        mine, its = self._config(), other._config()
        for option, value in mine.items():
            if its[option] != value:
                raise value_error("other", f"a state with {option} = {value!r}", repr(its[option]))
        if self._form and other._form and self._form != other._form:
            raise value_error("other", f"a state of {self._form}", f"one of {other._form}")
        self._tally, self._form = self._tally.merged(other._tally), self._form or other._form
        return self

    def copy(self) -> Self:
        """Make an independent copy."""
        made = type(self)(**self._config())
        made._tally, made._form = self._tally, self._form
        return made

    def __add__(self, other: object) -> Self:
        return self.copy().merge(other) if isinstance(other, ReliabilityState) else NotImplemented

    def __radd__(self, other: object) -> Self:
        # sum() starts from 0.
        return self.copy() if isinstance(other, int) and other == 0 else NotImplemented

    def reset(self) -> Self:
        """Forget all data, keep the options; returns itself."""
        self._tally, self._form = _core.ReliabilityTally(self._n_bins), None
        return self

    def to_bytes(self) -> bytes:
        """Write options, counts and sums: equal states have equal bytes on every machine."""
        import json

        config = {**self._config(), "form": self._form}
        return self._tally.to_bytes(json.dumps(config, sort_keys=True, separators=(",", ":")).encode())

    @classmethod
    def from_bytes(cls, data: bytes) -> Self:
        """Read what :meth:`to_bytes` wrote; damaged or foreign bytes are refused.

        Raises
        ------
        TypeError, ValueError
            For anything but the whole, unchanged bytes of such a state.
        """
        import json

        tally, written = _core.ReliabilityTally.from_bytes(state_bytes(data))
        try:
            config = json.loads(written)
            form = config.pop("form")
            state = cls(**config)
        except (ValueError, TypeError, KeyError, AttributeError):
            raise value_error("data", "the options of a ReliabilityState", repr(written[:80])) from None
        if state._n_bins != len(tally.rows()) or form not in (None, "probabilities", "top labels"):
            raise value_error("data", "options that fit the rows", repr(written[:80]))
        state._tally, state._form = tally, form
        return state

    def __reduce__(self) -> tuple[Callable[[bytes], Self], tuple[bytes]]:
        return type(self).from_bytes, (self.to_bytes(),)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, ReliabilityState):
            return NotImplemented
        return self.to_bytes() == other.to_bytes()

    __hash__ = None  # type: ignore[assignment]  # it changes

    def __repr__(self) -> str:
        rows = sum(count for count, _, _ in self._tally.rows())
        return f"<ReliabilityState of {rows} rows in {self._n_bins} bins>"

    def compute(self) -> Reliability:
        """Return errors, intervals and table of what was added so far.

        Raises
        ------
        ValueError
            Where no row counts.
        """
        said = self._tally.summary(*self._how)
        excluded, nan, clamped = self._tally.left_out()
        left_out = {why: k for why, k in (("where", excluded), ("nan", nan), ("clamped", clamped)) if k}
        if said is None:
            raise value_error("probs", "at least one row that counts", f"none (left out: {left_out})")
        rows = self._tally.rows()
        n, correct = sum(count for count, _, _ in rows), sum(correct for _, correct, _ in rows)
        common: dict[str, Any] = {
            "n": n,
            "confidence_level": self._how.level,
            "left_out": left_out,
            "detail": {"n_bins": self._n_bins, "filled_bins": len(said["bins"])},
        }
        reason = "rows count as independent"
        sure = "; every probability is 0 or 1 and came true: upper limit by Wilson's limits of the bins"
        spread = reason + (sure if said["certain"] else "")
        shared = f"{reason}; the error is shared by {len(said['bins'])} filled bins; a maximum has no standard error"
        return Reliability(
            ece=_error(said["ece"], method="inversion", reason=spread, **common),
            rmsce=_error(said["rmsce"], method="inversion", reason=spread, **common),
            mce=_error(said["mce"], method="Wilson a bin", reason=shared, **common),
            noise_floor=said["noise_floor"],
            accuracy=proportion(correct, n, self._how, reason=reason, left_out=left_out),
            table=self._table(rows, said["bins"]),
            n=n,
            left_out=left_out,
        )

    def _table(
        self, rows: list[tuple[int, int, int]], bins: list[tuple[int, float, float, float, float, float]]
    ) -> dict[str, Array]:
        n_bins = self._n_bins
        numbers = np.arange(n_bins + 1) / n_bins
        table: dict[str, Array] = {
            "bin_low": numbers[:-1],
            "bin_high": numbers[1:],
            "count": np.array([count for count, _, _ in rows], dtype=np.int64),
            "correct": np.array([correct for _, correct, _ in rows], dtype=np.int64),
        }
        columns = np.full((5, n_bins), np.nan)
        for index, *values in bins:
            columns[:, index] = values
        table |= dict(zip(("mean_probability", "accuracy", "gap", "low", "high"), columns, strict=True))
        for column in table.values():
            column.setflags(write=False)
        return table


def _error(limits: tuple[float, float | None, float, float], **common: Any) -> Estimate:
    value, standard_error, low, high = limits
    return Estimate(value=value, standard_error=standard_error, low=low, high=high, **common)


def _classes(classes: Any) -> list[Any] | None:
    """Class labels as Python values, in column order."""
    if classes is None:
        return None
    listed = classes if isinstance(classes, list) else plain(classes, "classes").tolist()
    if not isinstance(listed, list) or not all(isinstance(item, str | int | float) for item in listed):
        raise type_error("classes", "one axis of integers, strings or numbers", describe(classes))
    if any(item != item for item in listed):
        raise value_error("classes", "labels", "NaN")
    if len(set(listed)) != len(listed):
        raise value_error("classes", "distinct labels", repr(listed))
    return listed


def _columns(targets: Any, classes: list[Any], n: int, keep: NDArray[np.bool_] | None) -> NDArray[np.int64]:
    """Column of each label."""
    code, unique = codes(targets, "targets", n)
    column = {label: k for k, label in enumerate(classes)}
    found = np.array([column.get(label, -1) for label in unique.tolist()], dtype=np.int64)
    labels = found[code] if n else code
    unknown = labels < 0 if keep is None else (labels < 0) & keep
    if unknown.any():
        first = int(np.flatnonzero(unknown)[0])
        raise value_error("targets", "labels in classes", f"{unique[code[first]].item()!r} at index {first}")
    return labels


def _probabilities(probs: Any) -> Array:
    """One axis in one piece, or rows whose last axis is."""
    array = floats(probs, "probs", ndim=(1, 2), contiguous=False, numbers=True)
    rows_lie_whole = array.ndim == 2 and (array.shape[1] <= 1 or array.strides[1] == array.itemsize)
    return array if rows_lie_whole else np.ascontiguousarray(array)


def reliability(
    probs: Any,
    targets: Any,
    *,
    n_bins: int = 15,
    classes: Any = None,
    where: Any = None,
    confidence_level: float = 0.95,
    alternative: Alternative = "two-sided",
    nan_policy: NanPolicy = "raise",
    progress: Progress = False,
) -> Reliability:
    r"""Measure how far probabilities lie from frequencies, with intervals and the floor that noise sets.

    With :math:`n_b` predictions in bin :math:`b`, their mean probability :math:`\bar p_b` and the share
    :math:`y_b` of them that came true, the gap is :math:`g_b = \bar p_b - y_b`, the weight
    :math:`w_b = n_b / n`, and

    .. math:: \mathrm{ece} = \sum_b w_b |g_b|, \quad
              \mathrm{rmsce} = \sqrt{\sum_b w_b g_b^2}, \quad \mathrm{mce} = \max_b |g_b|.

    These plain errors are biased: a calibrated model has an ``ece`` of about
    ``noise_floor`` :math:`= \sqrt{2/\pi} \sum_b w_b \sqrt{\bar p_b (1 - \bar p_b) / n_b}`, not 0. The intervals
    account for it by inversion (no resampling: same data, same bits); rows count as independent. Simulated,
    95 per cent intervals of ``ece`` and ``rmsce`` cover 92 to 98 per cent from n = 300 on; at n = 100 as few as
    88 where gaps are about as large as the noise of a bin.

    Parameters
    ----------
    probs : array of float, shape [n] or [n, K]
        ``[n]``: the probability that a thing is true (a positive class, an answer). ``[n, K]``: a row of
        class probabilities, of which the largest counts (top label; the first of equals). Rows sum to 1
        within 1e-3 (within 5e-3 in bfloat16, whose rounding alone can move a sum by 4e-3). Values in
        (1, 1 + 1e-6] count as 1 and are counted; anything else outside [0, 1] is refused: logits are never
        guessed.
    targets : array of int or bool, shape [n]
        ``[n]``: 0 or 1, whether it came true. ``[n, K]``: the class, a column number or one of ``classes``.
    n_bins : int
        Equal-width bins of (0, 1]; ``bin_low < p <= bin_high``, 0 in the first. Edges ``k / n_bins`` are
        rounded to the dtype of ``probs``, so that 0.3 falls on the same side in every dtype.
    classes : array, optional
        The label of each column (scikit-learn's ``classes_``).
    where : array of bool, shape [n], optional
        Rows that count.
    confidence_level : float
        Of the intervals.
    alternative : {"two-sided", "greater", "less"}
        Lower limits alone (``"greater"``), upper ones alone, or both.
    nan_policy : {"raise", "omit"}
        ``"omit"`` leaves rows with a NaN out and counts them in ``left_out``.
    progress : bool or callable
        Tell how far it is.

    Returns
    -------
    Reliability
        ``ece``, ``rmsce``, ``mce`` as Estimates, ``noise_floor``, ``table``, ``plot()``.

    Raises
    ------
    TypeError
        For what is not a float array, or labels that are not integers or booleans.
    ValueError
        For shapes, probabilities, sums or labels out of range (with the first index), or where no row counts.

    Notes
    -----
    The binning of Guo et al. (2017), equal width over the top label, as in most papers. torchmetrics bins
    ``[low, high)`` and puts 1.0 into a bin of its own; netcal bins counts and means by different edges in
    float32; scikit-learn's ``calibration_curve`` agrees in float64. For two classes ``[n]`` and ``[n, 2]``
    are two questions: the positive class, and the top label.

    References
    ----------
    C. Guo, G. Pleiss, Y. Sun, K. Q. Weinberger, "On Calibration of Modern Neural Networks", ICML 2017.

    Examples
    --------
    A hundred answers at 80 per cent confidence, 80 of them right:

    >>> import numpy as np
    >>> import steelyard as sy
    >>> rel = sy.reliability(np.full(100, 0.8), np.arange(100) < 80)
    >>> f"{rel.ece:.3f}", f"{rel.noise_floor:.3f}"
    ('0.000 [0.000, 0.073]', '0.032')
    >>> filled = rel.table["count"] > 0
    >>> rel.table["low"][filled].round(4).tolist(), rel.table["high"][filled].round(4).tolist()
    ([0.7112], [0.8666])
    """
    state = ReliabilityState(
        n_bins,
        classes=classes,
        confidence_level=confidence_level,
        alternative=alternative,
        nan_policy=nan_policy,
    )
    return state.update(probs, targets, where=where, progress=progress).compute()

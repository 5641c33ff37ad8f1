"""The result type of every estimate: a value with its standard error and confidence interval."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, fields, replace
from typing import TYPE_CHECKING, Any, ClassVar, NoReturn, Self

import numpy as np
from numpy.typing import NDArray

from ._mode import standard_mode_methods
from ._numbers import decimals, percent
from ._result import Result
from ._text import html_table, printable
from .errors import shown, type_error

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["Estimate"]

Floats = NDArray[np.float64]
Number = float | Floats
MaybeNumber = float | Floats | None


def json_ready(value: Any) -> Any:
    """``value`` in types that JSON has: arrays as lists, NaN as null, infinities as texts."""
    if isinstance(value, np.ndarray):
        return [json_ready(item) for item in value.tolist()]
    if isinstance(value, np.generic):
        return json_ready(value.item())
    if isinstance(value, float) and value != value:
        return None
    if isinstance(value, float) and value in (float("inf"), float("-inf")):
        return "Infinity" if value > 0 else "-Infinity"
    if isinstance(value, dict):
        return {str(key): json_ready(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [json_ready(item) for item in value]
    return value


def _missing(value: float | None) -> bool:
    return value is None or value != value


@standard_mode_methods
@dataclass(frozen=True, eq=False, kw_only=True, repr=False)
class Estimate(Result):
    """A value, its standard error and interval, how they were computed, and which rows were left out.

    An estimate of one problem holds plain numbers. One of many problems (several columns, or an array of settings)
    holds arrays of one shape; ``estimate[0]`` picks one of them, and so does ``estimate["name"]`` where ``names`` is
    given.

    An Estimate is not a number that compares: two intervals side by side do not answer whether one model is
    better than another, so ``<``, ``-`` and ``bool`` raise and name :func:`steelyard.compare`. ``==``
    compares every field bit for bit. ``float(e)`` is the value; ``f"{e:.1%}"`` formats value and interval.

    Attributes
    ----------
    value, standard_error, low, high : float or ndarray
        ``None`` (NaN in arrays) where the data do not determine one; ``reason`` says why.
    confidence_level : float
        Of the interval [low, high].
    n : int or ndarray
        Rows that count.
    n_effective : float or ndarray or None
        The effective sample size where clusters, weights or ties make it differ from n: for 0/1 values, the number of
        independent rows that would carry as much information; for graded values with weights, (sum w)^2 / sum w^2.
        With a judge of graded labels, the number of labels that would alone carry as much.
    n_clusters : int or None
        The number of clusters, where rows were clustered.
    method, reason : str or tuple of str
        How the interval was computed, and why that way.
    left_out : dict
        For each reason why rows do not count, how many; an array where the problems differ.
    names : tuple of str or None
        The names of the problems, where there are many.
    detail : dict
        Further figures of the method, such as the degrees of freedom ``"df"``.

    Examples
    --------
    >>> import steelyard as sy
    >>> e = sy.proportion(870, 1000)
    >>> print(e)
    0.870 [0.848, 0.889] (95 %, Wilson, n = 1000)
    >>> f"{e:.1%}"
    '87.0% [84.8%, 88.9%]'
    """

    value: Number
    standard_error: MaybeNumber = None
    low: MaybeNumber = None
    high: MaybeNumber = None
    confidence_level: float = 0.95
    n: int | NDArray[np.int64] = 0
    n_effective: MaybeNumber = None
    n_clusters: int | NDArray[np.int64] | None = None
    method: str | tuple[str, ...] = ""
    reason: str | tuple[str, ...] = ""
    left_out: dict[str, Any] = field(default_factory=dict)
    names: tuple[str, ...] | None = None
    detail: dict[str, Any] = field(default_factory=dict)

    # NumPy must not turn `np.float64(1) - estimate` into arithmetic.
    __array_ufunc__: ClassVar[None] = None

    # -- one of many ------------------------------------------------------------------------------------

    @property
    def _many(self) -> bool:
        return isinstance(self.value, np.ndarray)

    def __len__(self) -> int:
        if not isinstance(self.value, np.ndarray):
            raise TypeError("this Estimate is of one problem; it has no length")
        return self.value.size

    def __getitem__(self, key: str | int) -> Self:
        """Pick one problem, by name or position (row by row where there are several axes)."""
        if not isinstance(self.value, np.ndarray):
            raise TypeError("this Estimate is of one problem; there is nothing to pick")
        if not isinstance(key, str | int | np.integer):
            raise type_error("key", "a name or a position", shown(key))
        if isinstance(key, str):
            if self.names is None or key not in self.names:
                raise KeyError(f"no estimate is named {key!r}; the names are {list(self.names or ())}")
            key = self.names.index(key)
        if not -len(self) <= key < len(self):
            # An IndexError is how Python's loops recognise the end of a sequence.
            raise IndexError(f"key: expected a position below {len(self)}; got {key}")
        return self._pick(int(key) % len(self))

    def _pick(self, index: int) -> Self:
        """Take problem ``index``: its entry on the last axes of every array, the entry of every tuple."""
        place = self._place(index)

        def one(value: Any) -> Any:
            if isinstance(value, np.ndarray):
                picked: Any = value[(..., *place)]  # type: ignore[arg-type]
                return picked if picked.ndim else picked.item()
            return value[index] if isinstance(value, tuple) else value

        picked = {item.name: one(getattr(self, item.name)) for item in fields(self) if item.name != "names"}
        for name in ("standard_error", "low", "high", "n_effective"):
            if _missing(picked[name]):
                picked[name] = None
        known = {key: one(value) for key, value in self.detail.items()}
        picked["detail"] = {
            key: value for key, value in known.items() if not isinstance(value, float) or value == value
        }
        counts = {why: one(count) for why, count in self.left_out.items()}
        picked["left_out"] = {why: count for why, count in counts.items() if count}
        return replace(self, names=None, **picked)

    def _place(self, index: int) -> tuple[int, ...]:
        return tuple(int(i) for i in np.unravel_index(index, np.shape(self.value)))

    def __iter__(self) -> Iterator[Self]:
        return (self[i] for i in range(len(self)))

    # -- one number -------------------------------------------------------------------------------------

    def __float__(self) -> float:
        if isinstance(self.value, np.ndarray):
            raise TypeError("this Estimate is of many problems; pick one, or use .value")
        return self.value

    def _no_order(self, other: object) -> NoReturn:
        raise TypeError(
            "an Estimate has no order and no difference: whether two intervals overlap does not answer whether "
            "the values differ; use steelyard.compare on the paired data, or .value if you want the number alone"
        )

    __lt__ = __le__ = __gt__ = __ge__ = __sub__ = __rsub__ = _no_order

    def __bool__(self) -> NoReturn:
        raise TypeError(
            "an Estimate is neither true nor false; use steelyard.compare for a decision, or .value for the number"
        )

    # -- words ------------------------------------------------------------------------------------------

    def __format__(self, spec: str) -> str:
        if not spec:
            return str(self)
        if isinstance(self.value, np.ndarray):
            return "\n".join(f"{label}{one:{spec}}" for label, one in self._labelled())
        if self.low is None or self.high is None:
            return format(self.value, spec)
        return f"{self.value:{spec}} [{self.low:{spec}}, {self.high:{spec}}]"

    def _labelled(self) -> list[tuple[str, Estimate]]:
        labels = map(printable, self.names or [", ".join(map(str, self._place(i))) for i in range(len(self))])
        rows = list(zip(labels, self, strict=True))
        width = max((len(label) for label, _ in rows), default=0) + 2
        return [(f"{label:<{width}}", one) for label, one in rows]

    def _spec(self) -> str:
        """Choose the number of decimals that shows two significant digits of the interval's half-width."""
        if self.low is None or self.high is None:
            return ".6g"
        half = (float(self.high) - float(self.low)) / 2
        if not half < float("inf"):
            return ".6g"
        return f".{decimals(half)}f" if half > 0 else ".6g"

    def _facts(self) -> str:
        facts = []
        if self.low is not None:
            facts += [f"{percent(self.confidence_level)}"]
        facts += [str(self.method)] if self.method else []
        facts += [f"n = {self.n}"]
        plural = "" if self.n_clusters == 1 else "s"
        facts += [f"{self.n_clusters} cluster{plural}"] if self.n_clusters is not None else []
        facts += [f"no interval: {self.reason}"] if self.low is None and self.reason else []
        facts += [f"left out: {_counts(self.left_out)}"] if self.left_out else []
        return ", ".join(facts)

    def __str__(self) -> str:
        if self._many:
            return "\n".join(f"{label}{one}" for label, one in self._labelled())
        return f"{self:{self._spec()}} ({self._facts()})"

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self}>"

    def _repr_html_(self) -> str:
        """Render as the table a notebook shows."""
        rows = self._labelled() if self._many else [("", self)]
        cells = [
            [label.strip(), *_number_cells(one), str(one.n), str(one.method), _counts(one.left_out)]
            for label, one in rows
        ]
        head = ["", "value", "low", "high", "standard error", "n", "method", "left out"]
        return html_table(cells, head, f"{percent(self.confidence_level)} intervals")

    def plot(self, ax: Axes | None = None, *, label: str | None = None) -> Axes:
        """Draw the value with its interval, one row per problem.

        Parameters
        ----------
        ax : matplotlib Axes, optional
            The axes to draw on; new ones are made where it is not given.
        label : str, optional
            The name of this result in a legend; a second result on the same axes joins the legend.

        Returns
        -------
        matplotlib Axes
        """
        from ._forest import axes_for, forest

        parts = self._labelled() if self._many else [("", self)]
        columns = [[getattr(one, field) for _, one in parts] for field in ("value", "low", "high")]
        numbers = [np.array([np.nan if v is None else v for v in column], np.float64) for column in columns]
        interval = f"value with {percent(self.confidence_level)} interval"
        names = [name.strip() for name, _ in parts]
        return forest(axes_for(ax, len(parts)), names, *numbers, axis=interval, label=label)

    def to_dict(self) -> dict[str, Any]:
        """Return every field in types that JSON has (NaN as null, infinities as strings)."""
        return {item.name: json_ready(getattr(self, item.name)) for item in fields(self)}


def _counts(left_out: dict[str, Any]) -> str:
    return ", ".join(f"{count} {printable(why)}" for why, count in left_out.items())


def _number_cells(one: Estimate) -> list[str]:
    spec = one._spec()
    numbers = (one.value, one.low, one.high, one.standard_error)
    return ["" if number is None else format(number, spec) for number in numbers]

"""The result of planning: how many rows, which power, which difference; how it is printed and drawn."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, NoReturn

import numpy as np
from numpy.typing import NDArray

from .._estimate import json_ready
from .._forest import legend
from .._mode import standard_mode_methods
from .._numbers import count
from .._result import Result
from .._text import html_table
from ..errors import value_error
from ._planned import Planned

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["PowerAnalysis"]

Number = float | NDArray[np.float64]
Count = int | NDArray[np.int64]
CURVES, POINTS = 10, 48


@standard_mode_methods
@dataclass(frozen=True, kw_only=True, eq=False, repr=False)
class PowerAnalysis(Result):
    """The number of rows, the true difference and the power that go together, and what was assumed.

    Attributes
    ----------
    solved : {"power", "n", "difference"}
        Which of the three was computed from the other two.
    n : int or ndarray
        Rows (items); of two samples those of the new model.
    difference : float or ndarray
        The true difference; NaN where ``solved`` and no difference reaches the power.
    power : float or ndarray
        The probability of the decision at this n and difference, so it may exceed the power that was asked for.
    low, high : float or ndarray or None
        With a pilot: the least and the largest of the answers at what the pilot says and at its limits at
        ``confidence_level``. A limit of the baseline of two samples at which the difference is impossible is moved to
        the nearest share at which it is possible; a limit at which no difference reaches the power is left out. None
        without a pilot.
    n_baseline : int or ndarray or None
        The rows of the baseline of two samples.
    n_clusters : int or ndarray or None
        The clusters that the rows come in.
    decision : str
        What the power is the probability of.
    design : str
        What was assumed about the data, in words; ``assumed`` has it as numbers.
    method : str
        How the power was computed.
    margin : float or ndarray
        The loss that is still acceptable.
    confidence_level, alternative, comparisons
        Of the interval or test that decides.
    assumed : dict
        The assumptions: ``baseline``, ``discordance``, ``sd``, ``icc`` and others; of a pilot what it showed.

    Examples
    --------
    >>> import steelyard as sy
    >>> found = sy.uncertainty.sample_size(0.05, discordance=0.2)
    >>> found.n, round(found.power, 4), found.solved
    (622, 0.8006, 'n')
    """

    solved: Literal["power", "n", "difference"]
    n: Count
    difference: Number
    power: Number
    low: Number | None
    high: Number | None
    n_baseline: Count | None
    n_clusters: Count | None
    decision: str
    design: str
    method: str
    margin: Number
    confidence_level: float
    alternative: str
    comparisons: int
    assumed: dict[str, Any]

    @property
    def value(self) -> Any:
        """The number that was computed: the power, n or the difference."""
        return getattr(self, self.solved)

    def __float__(self) -> float:
        return float(self.value)

    def __bool__(self) -> NoReturn:
        raise TypeError("a PowerAnalysis is neither true nor false; ask its n, difference or power")

    @property
    def table(self) -> dict[str, NDArray[Any]]:
        """One row per setting, as ``{column: array}``."""
        names = ("n", "n_baseline", "n_clusters", "difference", "margin", "power", "low", "high")
        columns = {name: getattr(self, name) for name in names}
        columns |= {name: x for name, x in self.assumed.items() if isinstance(x, np.ndarray)}
        if not np.any(self.margin):
            columns.pop("margin")
        return {name: np.ravel(np.asarray(x)) for name, x in columns.items() if x is not None}

    def to_dict(self) -> dict[str, Any]:
        """Return every field in types that JSON has."""
        names = (
            "solved", "n", "difference", "power", "low", "high", "n_baseline", "n_clusters", "decision", "design",
            "method", "margin", "confidence_level", "alternative", "comparisons", "assumed",
        )  # fmt: skip
        return {name: json_ready(getattr(self, name)) for name in names}

    def _sentence(self, i: int) -> str:
        """One setting in words."""
        row = {name: column[i].item() for name, column in self.table.items()}
        rows = (
            f"{count(row['n'])} rows"
            if "n_baseline" not in row
            else f"{count(row['n'])} + {count(row['n_baseline'])} rows"
        )
        if "n_clusters" in row:
            rows += f" in {count(row['n_clusters'])} clusters"
        if row["difference"] != row["difference"]:
            return f"{rows}: no difference is seen with so much power"
        said = f"{rows}, difference {row['difference']:.4g}: power {row['power']:.3f}"
        if "low" in row:
            shown = count if self.solved == "n" else "{:.3g}".format
            name = {"n": "rows", "power": "power", "difference": "difference"}[self.solved]
            said += f" ({name} {shown(row['low'])} to {shown(row['high'])} by the pilot)"
        others = [f"{name} {row[name]:g}" for name in row if name in self.assumed or name == "margin"]
        return ", ".join([said, *others]) if len(self.table["n"]) > 1 else said

    def __str__(self) -> str:
        lines = [self._sentence(i) for i in range(len(self.table["n"]))]
        how = f"Power: the chance that {self.decision}; {self.method}."
        return "\n".join([*lines, how, f"Assumed: {self.design}."])

    def __repr__(self) -> str:
        return f"<PowerAnalysis\n{self}>"

    def _repr_html_(self) -> str:
        """Render as the table a notebook shows."""
        cells = zip(*(column.tolist() for column in self.table.values()), strict=True)
        shown = [[f"{x:.4g}" if isinstance(x, float) else count(x) for x in row] for row in cells]
        return html_table(shown, [name.replace("_", " ") for name in self.table], f"{self.decision}; {self.design}")

    def _planned_as(self, planned: Planned) -> PowerAnalysis:
        """Attach what the curves are computed from. It is no field, since ``==`` is about the results."""
        vars(self)["_planned"] = planned
        return self

    def plot(self, ax: Axes | None = None, *, label: str | None = None) -> Axes:
        """Draw the power against the number of rows: a line for each setting, and a point at its n and power.

        Parameters
        ----------
        ax : matplotlib Axes, optional
            The axes to draw on; new ones are made where it is not given.
        label : str, optional
            The name of this result in a legend; a second result on the same axes joins the legend.

        Returns
        -------
        matplotlib Axes

        Raises
        ------
        ValueError
            For more than ten settings, whose lines could not be told apart.
        """
        table, planned = self.table, vars(self)["_planned"]
        if len(table["n"]) > CURVES:
            fix = "draw some of the settings"
            raise value_error("ax", f"at most {CURVES} settings to draw", str(len(table["n"])), fix)
        if ax is None:
            import matplotlib.pyplot as plt

            ax = plt.subplots(layout="constrained")[1]
        assert ax is not None
        for i in range(len(table["n"])):
            if table["difference"][i] == table["difference"][i]:
                self._curve(ax, planned, i, label)
        ax.set(xlabel="rows", ylabel="power", ylim=(0.0, 1.02))
        if (len(table["n"]) > 1 or label is not None) and ax.get_legend_handles_labels()[1]:
            legend(ax, loc="lower right")
        return ax

    def _curve(self, ax: Axes, planned: Planned, i: int, named: str | None) -> None:
        table = self.table
        sign = -1.0 if planned.mirrored else 1.0
        d, n = sign * float(table["difference"][i]), int(table["n"][i])
        rows = np.unique(np.ceil(np.linspace(max(n / POINTS, 1.0), max(1.6 * n, 4.0), POINTS)))
        settings = np.full(len(rows), i)
        power = planned.study.chance(settings, rows, np.full(len(rows), d))
        varying = [name for name, column in table.items() if name in self.assumed or name in ("difference", "margin")]
        varying = [name for name in varying if (table[name] != table[name][0]).any()]
        parts = [] if named is None else [named]
        label = ", ".join(parts + [f"{name} {table[name][i]:.4g}" for name in varying]) or None
        (line,) = ax.plot(rows, power, label=label)
        ax.plot([n], [float(table["power"][i])], "o", color=line.get_color())

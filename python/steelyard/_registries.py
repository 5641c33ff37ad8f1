"""The tables of named variants, as the core states them: names, words, columns and parameters of each."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from . import _core

__all__ = ["REGISTRIES", "Parameter", "Variant", "names", "titles"]

INFINITY = float("inf")


class Parameter(NamedTuple):
    """A number that a variant takes."""

    name: str
    low: float
    low_allowed: bool
    high: float
    high_allowed: bool
    default: float | None
    """What it is when nothing is said; ``None`` where it must be said."""

    def allows(self, value: float) -> bool:
        """Whether ``value`` lies in the range."""
        above = self.low <= value if self.low_allowed else self.low < value
        return above and (value <= self.high if self.high_allowed else value < self.high)

    @property
    def expected(self) -> str:
        """The range, as a sentence says it: ``a number that is at least 0 and below 0.5``."""
        low = [f"{'at least' if self.low_allowed else 'above'} {self.low:g}"] if self.low > -INFINITY else []
        high = [f"{'at most' if self.high_allowed else 'below'} {self.high:g}"] if self.high < INFINITY else ["finite"]
        return f"a number that is {' and '.join(low + high)}"


class Variant(NamedTuple):
    """One row of a table."""

    name: str
    title: str
    """What results call it, where that is not the name."""
    summary: str
    source: str
    columns: tuple[str, ...]
    """The columns it reads, where variants of one table differ in that."""
    parameters: dict[str, Parameter]


def _parameter(name: str, low: tuple[float, bool], high: tuple[float, bool], default: float | None) -> Parameter:
    return Parameter(name, *low, *high, default)


def _read() -> dict[str, dict[str, Variant]]:
    """The tables by key, each variant by its name."""
    tables = {}
    for key, rows in _core.registries().items():
        variants = [
            Variant(
                row["name"], row["title"], row["summary"], row["source"], tuple(row["columns"]),
                {parameter["name"]: _parameter(**parameter) for parameter in row["parameters"]},
            )
            for row in rows
        ]  # fmt: skip
        tables[key] = {variant.name: variant for variant in variants}
    return tables


REGISTRIES: Mapping[str, Mapping[str, Variant]] = _read()


def names(key: str) -> tuple[str, ...]:
    """The names of the variants of one table, in its order."""
    return tuple(REGISTRIES[key])


def titles(key: str) -> dict[str, str]:
    """What results call each variant of one table."""
    return {name: variant.title or name for name, variant in REGISTRIES[key].items()}

"""The registries of named variants (losses, methods, schedules, ...), read once from the core, which defines them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from . import _core

__all__ = ["REGISTRIES", "Parameter", "Variant", "names", "titles"]

INFINITY = float("inf")


class Parameter(NamedTuple):
    """A numeric parameter of a variant: its range and its default."""

    name: str
    low: float
    low_allowed: bool
    high: float
    high_allowed: bool
    default: float | None
    """The default; ``None`` where the parameter must be given."""

    def allows(self, value: float) -> bool:
        """Whether ``value`` lies in the range."""
        above = self.low <= value if self.low_allowed else self.low < value
        return above and (value <= self.high if self.high_allowed else value < self.high)

    @property
    def expected(self) -> str:
        """The range in words, for an error message: ``a number that is at least 0 and below 0.5``."""
        low = [f"{'at least' if self.low_allowed else 'above'} {self.low:g}"] if self.low > -INFINITY else []
        high = [f"{'at most' if self.high_allowed else 'below'} {self.high:g}"] if self.high < INFINITY else ["finite"]
        return f"a number that is {' and '.join(low + high)}"


class Variant(NamedTuple):
    """One variant: a row of a registry."""

    name: str
    title: str
    """Its name in results, where that differs from ``name``; else empty."""
    summary: str
    source: str
    columns: tuple[str, ...]
    """The columns it reads, in registries whose variants read different columns."""
    needs: str
    """What its rows must have for it to have a value; else empty."""
    parameters: dict[str, Parameter]


def _parameter(name: str, low: tuple[float, bool], high: tuple[float, bool], default: float | None) -> Parameter:
    return Parameter(name, *low, *high, default)


def _read() -> dict[str, dict[str, Variant]]:
    """The registries by key, and in each the variants by name."""
    tables = {}
    for key, rows in _core.registries().items():
        variants = [
            Variant(
                row["name"], row["title"], row["summary"], row["source"], tuple(row["columns"]), row["needs"],
                {parameter["name"]: _parameter(**parameter) for parameter in row["parameters"]},
            )
            for row in rows
        ]  # fmt: skip
        tables[key] = {variant.name: variant for variant in variants}
    return tables


REGISTRIES: Mapping[str, Mapping[str, Variant]] = _read()


def names(key: str) -> tuple[str, ...]:
    """The names of the variants of one registry, in its order."""
    return tuple(REGISTRIES[key])


def titles(key: str) -> dict[str, str]:
    """The name of each variant of one registry as results show it."""
    return {name: variant.title or name for name, variant in REGISTRIES[key].items()}

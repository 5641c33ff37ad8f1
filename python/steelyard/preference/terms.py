"""The loss of a call: one by name, or a mixture of several with weights; and its parameters as the core takes them."""

from __future__ import annotations

import math
from collections.abc import Mapping
from numbers import Real
from types import MappingProxyType
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from .._arrays import floats, to_float64
from .._options import at_least_zero, choice, number, parameter
from .._registries import REGISTRIES, names
from ..errors import type_error, value_error

__all__ = ["Terms", "crossing", "is_column", "loss_parameters", "numbers_of", "settings_of", "terms_of"]

Floats = NDArray[np.float64]


class Terms(NamedTuple):
    """The losses that are added, with their weights; one alone has the weight 1."""

    weights: tuple[tuple[str, float], ...]
    mixed: bool
    """Whether they were given as a mapping."""

    @property
    def names(self) -> tuple[str, ...]:
        """Their names."""
        return tuple(name for name, _ in self.weights)

    @property
    def said(self) -> str:
        """The loss as messages name it."""
        return f"the loss {self.names[0]!r}" if len(self.names) == 1 else f"the mixture of {', '.join(self.names)}"

    def reads(self, column: str) -> bool:
        """Whether every loss reads the column (those of the reference and lengths are read by all losses or none)."""
        return all(column in REGISTRIES["preference.loss"][name].columns for name in self.names)

    def without(self, column: str) -> str:
        """The first loss that does not read the column, as messages name it."""
        return f"the loss {next(n for n in self.names if column not in REGISTRIES['preference.loss'][n].columns)!r}"

    @property
    def of_ratios(self) -> bool:
        """Whether they compare log-ratios of answers, so that a divergence can make scores of these."""
        return self.reads("reference") and not (self.reads("lengths") or self.reads("batch"))


def terms_of(loss: Any) -> Terms:
    """Return the loss of a name, or of a mapping of names to weights; raise for anything else."""
    known = names("preference.loss")
    if not isinstance(loss, Mapping):
        return Terms(((choice(loss, "loss", known), 1.0),), mixed=False)
    if not loss:
        raise value_error("loss", "at least one loss with its weight", "none")
    found: list[tuple[str, float]] = []
    for name, given in loss.items():
        choice(name, "loss", known)
        weight = number(given, f"loss[{name!r}]", "a weight above 0")
        if not 0 < weight < math.inf:
            raise value_error(f"loss[{name!r}]", "a weight that is above 0 and finite", str(given))
        found.append((name, weight))
    _alike([name for name, _ in found])
    return Terms(tuple(found), mixed=True)


def _alike(mixed: list[str]) -> None:
    """Raise where losses cannot be mixed, since they compare different things."""
    if "aot" in mixed:
        raise value_error("loss", "losses of each pair by itself in a mixture", "'aot'", "call it alone")
    columns = [{*REGISTRIES["preference.loss"][name].columns} - {"margin"} for name in mixed]
    for name, reads in zip(mixed, columns, strict=True):
        if reads != columns[0] or (name in ("alphapo", "orpo")):
            other = next(n for n in mixed if n != name)
            raise value_error("loss", "losses that compare the same scores", f"{other!r} and {name!r}")


def loss_parameters(loss: str | Terms, divergence: str = "reverse-kl", **given: float | None) -> dict[str, Any]:
    """Return the loss's parameters as the core takes them, with a harmless number for those that it does not use."""
    terms = Terms(((loss, 1.0),), mixed=False) if isinstance(loss, str) else loss
    choice(divergence, "divergence", names("preference.divergence"))
    if divergence != "reverse-kl" and not terms.of_ratios:
        raise value_error("divergence", f"nothing: {terms.said} does not use it", repr(divergence))
    alpha = given.pop("alpha", None)
    bent = any("alpha" in REGISTRIES["preference.loss"][name].parameters for name in terms.names)
    key, variant = ("preference.loss", terms.names[0]) if bent else ("preference.divergence", divergence)
    checked = {name: _shared(terms, name, value) for name, value in given.items()}
    checked["alpha"] = parameter(key, variant, "alpha", alpha)
    rate = checked.get("label_smoothing") or 0.0
    return {
        "label_smoothing": rate,
        "crossing": crossing(rate),
        "temperature": checked.get("temperature") or 1.0,
        "divergence": divergence,
        **{name: checked.get(name) or 0.0 for name in ("shift", "gamma", "alpha", "sft")},
    }


def _shared(terms: Terms, name: str, value: float | None) -> float | None:
    """A parameter that all losses of a mixture share which take it; its default where ``value`` is None."""
    if name == "sft" and terms.mixed and "cpo" not in terms.names:
        return 0.0 if value is None else at_least_zero("sft", value)
    takers = [loss for loss in terms.names if name in REGISTRIES["preference.loss"][loss].parameters]
    found = [parameter("preference.loss", loss, name, value) for loss in takers or terms.names[:1]]
    if len(set(found)) > 1:
        first = next(i for i, default in enumerate(found) if default != found[0])
        expected = f"a number, since {takers[0]!r} and {takers[first]!r} have different defaults"
        raise value_error(name, expected, "None")
    return found[0]


def crossing(rate: float) -> tuple[float, float]:
    """Return ``log((1 - e) / e)`` as a sum of two float64; decimal logarithms are the same on every machine."""
    if rate == 0.0:
        return 0.0, 0.0
    from decimal import Context, Decimal

    exact = Context(prec=60)
    e = Decimal(rate)
    crossing = exact.ln(exact.divide(exact.subtract(Decimal(1), e), e))
    high = float(crossing)
    return high, float(exact.subtract(crossing, Decimal(high)))


def settings_of(
    terms: Terms, divergence: str, beside: Mapping[str, int] = MappingProxyType({}), *, beta: Any, **given: Any
) -> tuple[list[dict[str, Any]], bool]:
    """Return the parameters of each setting as the core takes them, and whether they are a sweep.

    They are one where a parameter is a column. Several columns of one length give the settings side by side; those
    ``beside`` them, which are no parameters of the loss, are given by their lengths.
    """
    read = {name: numbers_of(value, name) for name, value in given.items() if is_column(value)}
    columns = {name: values for name, values in read.items() if values.ndim}
    betas = numbers_of(beta, "beta")
    if betas.ndim:
        columns = {"beta": betas, **columns}
    lengths = {name: len(column) for name, column in columns.items()} | dict(beside)
    first, count = next(iter(lengths.items()), ("beta", 1))
    for name, length in lengths.items():
        if length != count:
            raise value_error(name, f"{count} values, as many as {first}", str(length))
    settings: list[dict[str, Any]] = []
    for i in range(count):
        one = {name: columns[name][i].item() if name in columns else value for name, value in given.items()}
        b = betas.reshape(-1)[i if "beta" in columns else 0].item()
        checked = parameter("preference.loss", terms.names[0], "beta", b)
        # Where nothing but beta differs, the rest need not be checked again.
        rest = settings[0] if i and set(columns) == {"beta"} else loss_parameters(terms, divergence, **one)
        settings.append(rest | {"beta": checked})
    return settings, bool(lengths)


def is_column(value: Any) -> bool:
    """Whether the value of a parameter is several numbers, or is to be read as such."""
    return not (value is None or isinstance(value, str | Real | np.generic) or getattr(value, "shape", None) == ())


def numbers_of(value: Any, name: str) -> Floats:
    """Return a number or a column of numbers as an array; raise for anything else."""
    array = floats(value, name, numbers=True, bits=True)
    if array.dtype == np.bool_ or array.ndim > 1:
        raise type_error(name, "a number or a column of numbers", f"{array.dtype} of shape {array.shape}")
    if not array.size:
        raise value_error(name, "at least one value", "none")
    return to_float64(array)

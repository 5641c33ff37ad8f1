"""The adjustment of p-values at hand for their number."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, overload

import numpy as np
from numpy.typing import NDArray

from .. import _arrays, _intervals
from .._arrays import first_index
from .._mode import standard_mode
from .._options import choice, number
from .._registries import names
from ..errors import value_error

__all__ = ["adjust"]

Floats = NDArray[np.float64]


@overload
def adjust(p_values: Mapping[str, float], method: str = "holm") -> dict[str, float]: ...
@overload
def adjust(p_values: Any, method: str = "holm") -> Floats: ...
@standard_mode
def adjust(p_values: Any, method: str = "holm") -> Floats | dict[str, float]:
    """Adjust the p-values of several tests for their number.

    An adjusted p-value is at most alpha where the method rejects its hypothesis at alpha. With m tests, p_(i) the i-th
    smallest and c = 1 + 1/2 + ... + 1/m, the adjusted p_(i) is at most 1 and

    - ``"bonferroni"``: m p_(i);
    - ``"holm"``: the largest of (m - j + 1) p_(j) over j <= i. Like Bonferroni's it controls the chance of one or more
      false rejections under any dependence of the tests, and it is never larger;
    - ``"hochberg"``: the smallest of (m - j + 1) p_(j) over j >= i; the same chance, for independent (or positively
      dependent) tests;
    - ``"bh"`` (Benjamini and Hochberg): the smallest of m p_(j)/j over j >= i. It controls the expected share of false
      rejections among all rejections, for independent (or positively dependent) tests;
    - ``"by"`` (Benjamini and Yekutieli): the smallest of c m p_(j)/j over j >= i; the same share, under any dependence.

    Parameters
    ----------
    p_values : array of any shape, or mapping from name to number
        p-values inside [0, 1]; all of them are one family of tests.
    method : {"holm", "bonferroni", "hochberg", "bh", "by"}
        See above.

    Returns
    -------
    ndarray, or dict
        The adjusted p-values, of the shape or under the names of ``p_values``.

    Raises
    ------
    TypeError
        Where ``p_values`` does not hold numbers.
    ValueError
        For a p-value that is NaN or outside [0, 1], and for an unknown method.

    Notes
    -----
    R's ``p.adjust`` and statsmodels' ``multipletests`` compute the same (``"fdr_bh"``, ``"simes-hochberg"``); a NaN is
    refused, since it counts in m with some tools and not with others.

    Sources: Holm, Scandinavian Journal of Statistics 6 (1979); Hochberg, Biometrika 75 (1988); Benjamini and Hochberg,
    Journal of the Royal Statistical Society B 57 (1995); Benjamini and Yekutieli, Annals of Statistics 29 (2001).

    Examples
    --------
    >>> import steelyard as sy
    >>> sy.uncertainty.adjust([0.01, 0.02, 0.03, 0.5]).tolist()
    [0.04, 0.06, 0.06, 0.5]
    >>> sy.uncertainty.adjust({"maths": 0.01, "law": 0.04}, "bonferroni")
    {'maths': 0.02, 'law': 0.08}
    """
    chosen = choice(method, "method", names("adjust.method"))
    if isinstance(p_values, Mapping):
        keys = list(p_values)
        named = [number(p_values[key], f"p_values[{key!r}]") for key in keys]
        _check(np.array(named, np.float64), [f"under {key!r}" for key in keys])
        found = _intervals.adjusted(np.array(named, np.float64), chosen)
        return dict(zip(keys, found.tolist(), strict=True))
    p = _arrays.to_float64(_arrays.floats(p_values, "p_values", numbers=True))
    _check(p)
    return _intervals.adjusted(p.reshape(-1), chosen).reshape(p.shape)


def _check(p: Floats, places: list[str] | None = None) -> None:
    """Refuse what is no p-value, naming its index (or what ``places`` says of it)."""
    bad = ~((p >= 0.0) & (p <= 1.0))
    if not bad.any():
        return
    i = first_index(bad)
    at = f"at index {i[0] if len(i) == 1 else i}" if places is None else places[i[0]]
    fix = "leave it out: it was not tested" if np.isnan(np.atleast_1d(p)[i]) else ""
    raise value_error("p_values", "numbers inside [0, 1]", f"{np.atleast_1d(p)[i]} {at}", fix)

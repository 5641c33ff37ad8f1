"""How many draws of the m-out-of-n bootstrap each stratum has."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from .._clusters import texts
from .._strata import Strata
from ..errors import value_error
from .sampling import Drawn

__all__ = ["drawn_in_strata"]


def drawn_in_strata(sampling: Drawn, strata: Strata, of_units: NDArray[np.int64]) -> Drawn:
    """The sampling with a number of draws for each of the ``strata``, in which the units are as ``of_units`` says."""
    names = texts(strata.ids, "strata")
    if sampling.sizes is None:
        sizes = np.bincount(of_units, minlength=len(names)).tolist()
        draws = _allotted(int(sampling.parameters[0]), sizes)
    else:
        draws = _named(sampling.sizes, names)
    return replace(sampling, parameters=tuple(map(float, draws)), sizes=dict(zip(names, draws, strict=True)))


def _named(sizes: Mapping[str, int], names: list[str]) -> list[int]:
    """The numbers in the order of the strata, whose names they must have."""
    known = set(names)
    for name in names:
        if name not in sizes:
            raise value_error("m", "a number of draws for every stratum", f"none for {name!r}")
    for name in sizes:
        if name not in known:
            raise value_error(
                "m",
                "numbers of draws for strata that the rows have (with by=, those of every group)",
                f"one for {name!r}",
            )
    return [sizes[name] for name in names]


def _allotted(m: int, sizes: list[int]) -> list[int]:
    """Deal out m draws in proportion to ``sizes``, by largest remainders (of equals the first), at least one each."""
    if m < len(sizes):
        raise value_error("m", f"at least one draw for each of {len(sizes)} strata", str(m))
    draws, left, free = [1] * len(sizes), m, list(range(len(sizes)))
    while True:
        total = sum(sizes[h] for h in free)
        enough = [h for h in free if left * sizes[h] >= total]
        if len(enough) == len(free):
            break
        left, free = left - (len(free) - len(enough)), enough
    for h in free:
        draws[h] = left * sizes[h] // total
    missing = left - sum(draws[h] for h in free)
    for h in sorted(free, key=lambda h: -(left * sizes[h] % total))[:missing]:
        draws[h] += 1
    return draws

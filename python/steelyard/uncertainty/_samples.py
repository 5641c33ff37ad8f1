"""The ideal bootstrap of the difference of two means, each of a sample of its own."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .. import _core
from .._arrays import to_float64
from .._estimate import Estimate
from .._options import Confidence, choice
from .._progress import OnProgress
from .._registries import titles
from .._rows import Clusters
from ..errors import value_error
from ._ideal import doubt_of
from ._request import infinite

__all__ = ["ideal_difference", "resampled_method"]

TITLES = titles("bootstrap.method")
FINITE = "n_resamples: expected a finite number"
INSTEAD = "without n_resamples= the interval is Welch's"
METHODS = ("percentile", "basic", "bca", "bc", "expanded")  # those that read the distribution of the replicates alone


def resampled_method(n_resamples: object, method: object, *, paired: bool) -> str | None:
    """The method of the bootstrap that ``n_resamples`` asks for; None where it asks for none."""
    if n_resamples is None:
        return None
    if not infinite(n_resamples):
        fix = "resampling adds noise to limits that are known without it"
        raise value_error("n_resamples", "None or math.inf", repr(n_resamples), fix)
    if paired:
        fix = "steelyard.bootstrap(new - baseline, n_resamples=math.inf) has the limits of pairs"
        raise value_error("n_resamples", "None with paired=True", "math.inf", fix)
    return "bca" if method is None else choice(method, "method", METHODS)


def ideal_difference(
    estimate: Estimate,
    sides: Sequence[NDArray[Any]],
    groups: Sequence[Clusters],
    names: Sequence[str],
    *,
    method: str,
    confidence: Confidence,
    progress: OnProgress,
) -> Estimate:
    """The estimate with the limits that infinitely many resamples of both sides give; ``groups`` may be empty."""
    units = [of.total for of in groups] or [len(side) for side in sides]
    for name, count in zip(names, units, strict=True):
        if count < 2:
            expected = f"at least two {'clusters' if groups else 'scores'} of each side with n_resamples=math.inf"
            raise value_error(name, expected, "one")
    both = sides if sides[0].dtype == sides[1].dtype else [to_float64(side) for side in sides]
    codes = np.concatenate([groups[0].codes, groups[1].codes + units[0]]) if groups else None
    try:
        found = _core.ideal_bootstrap(
            [np.concatenate(both)], "mean", codes=codes, clusters=sum(units) if groups else 0,
            stratum_codes=np.repeat([0, 1], units), strata=2, average="difference", method=method,
            confidence_level=confidence.level, alternative=confidence.alternative, progress=progress,
        )  # fmt: skip
    except ValueError as error:
        # The core names another number of resamples, which a comparison of two samples does not take.
        if not str(error).startswith(FINITE):
            raise
        where, _, got = str(error).removeprefix(FINITE).rpartition("; ")[0].partition("; got ")
        raise value_error("n_resamples", f"None{where}", got, INSTEAD) from None
    if "refused" in found:
        what = "means of clusters" if groups else "scores"
        raise value_error(names[0], f"{what} that differ on one of the sides", "equal ones on both", INSTEAD)
    known = {"n_new", "n_baseline", "clusters_new", "clusters_baseline"}
    detail = {key: value for key, value in estimate.detail.items() if key in known}
    detail |= {"n_resamples": math.inf, "engine": found["engine"], "error": found["error"]}
    detail |= {"acceleration": found["acceleration"]} if method == "bca" else {}
    detail |= {"z0": found["bias"]} if method in ("bc", "bca") else {}
    return replace(
        estimate, standard_error=found["standard_error"], low=found["low"], high=found["high"], detail=detail,
        method=f"ideal {TITLES[method]}", reason=f"as asked, two samples{doubt_of(found['error'])}",
    )  # fmt: skip

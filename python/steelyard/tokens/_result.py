"""What the core found as a perplexity, as an Estimate with its words."""

from __future__ import annotations

import numpy as np

from .. import _core
from .._estimate import Estimate
from .._intervals import ONE_CLUSTER
from .._options import Confidence
from .._rows import nonzero, nothing_counts
from .._strata import Strata, scheme_of
from ..errors import value_error

__all__ = ["estimate_of"]


def estimate_of(
    found: _core._Perplexity | None,
    counts: _core._TokenCounts,
    confidence: Confidence,
    precision: str,
    strata: Strata | None = None,
) -> Estimate:
    """What the core ``found``, as an Estimate; ``precision`` is the coarsest float type that tokens came in."""
    left_out = nonzero({"ignored": counts["ignored"], "where": counts["excluded"], "nan": counts["nan"]})
    if found is None:
        raise nothing_counts("x", "token", left_out)
    if found["units"] == 0:
        raise value_error("per", "numbers that sum to more than 0", "0")
    detail = {} if found["df"] is None else {"df": found["df"]}
    if found["units"] != found["tokens"]:
        detail["units"] = found["units"]
    return Estimate(
        value=found["value"], standard_error=found["standard_error"], low=found["low"], high=found["high"],
        confidence_level=confidence.level, n=found["tokens"], n_clusters=found["clusters"],
        method=f"{scheme_of(strata)}clustered t", left_out=left_out, detail=detail,
        reason=_reason(counts["infinite"], found, confidence, precision, strata),
    )  # fmt: skip


def _reason(
    infinite: int, found: _core._Perplexity, confidence: Confidence, precision: str, strata: Strata | None
) -> str:
    """The ``reason`` of the estimate; ``precision`` is the coarsest float type that tokens came in."""
    kind = f"tokens in clusters{'' if strata is None else strata.kind}"
    if infinite:
        tokens = "1 counted token has" if infinite == 1 else f"{infinite} counted tokens have"
        return f"{tokens} probability 0 and an infinite NLL"
    if found["value"] == np.inf:
        return 'the exponential overflows; unit="nats" shows the mean NLL'
    if found["df"] is None and strata is not None:
        return f"{kind}; all clusters of a stratum have the same mean NLL, and no spread is no certainty"
    if found["df"] is None:
        return f"{ONE_CLUSTER}; clusters= says which tokens belong together"
    if np.inf in (found["standard_error"], *(found[side] for side in confidence.sides)):
        return f'{kind}; the exponential overflows in error or limits, which unit="nats" shows'
    if found["standard_error"] is None:
        rounding = "" if precision == "float64" else f" but for the rounding of {precision}"
        return f"all clusters have the same mean NLL{rounding}, and no spread is no certainty"
    return kind

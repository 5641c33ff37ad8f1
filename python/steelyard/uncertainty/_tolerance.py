"""As many resamples as a tolerance needs."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from .._options import at_least_zero
from ..errors import value_error
from .bootstrap_estimate import BootstrapEstimate, reusable

MOST = 1000  # times the first number of resamples: more are not made for a tolerance
MARGIN = 1.2  # the error of an error: that of the next run may be a little larger than foreseen


def until(call: Callable[..., BootstrapEstimate], tolerance: Any, n_resamples: float) -> BootstrapEstimate:
    """The bootstrap with enough resamples that the Monte-Carlo error of no limit is above ``tolerance``.

    The error falls as one over the square root of the number of resamples, by which the next number is foreseen.
    """
    allowed = at_least_zero("tolerance", tolerance)
    last = min(2**32 - 1, MOST * (n_resamples + 1) - 1)
    known = None
    while True:
        found = call(n_resamples=n_resamples, known=known)
        error = max(float(np.max(found.low_error)), float(np.max(found.high_error)))
        if error <= allowed:
            return found
        if n_resamples >= last:
            got = f"{tolerance:g}, while {n_resamples} resamples leave an error of {error:.3g}"
            raise value_error("tolerance", "an error that can be reached", got, "give a larger one, or n_resamples")
        needed = MARGIN * (error / allowed) * (error / allowed) if allowed > 0 else math.inf
        times = MOST if not needed < MOST else max(2, int(needed) + 1)
        n_resamples = min(last, times * (n_resamples + 1) - 1)
        known = reusable(found)

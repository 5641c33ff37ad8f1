"""Estimates with confidence intervals: proportions, means, ratios, the bootstrap and paired comparisons of models."""

from .bootstrap import BootstrapEstimate, bootstrap
from .compare import compare
from .comparison import Comparison
from .mean import estimate
from .proportion import proportion
from .quantiles import quantile, trimmed_mean
from .ranking import Ranking
from .state import EstimateState

__all__ = [
    "BootstrapEstimate",
    "Comparison",
    "EstimateState",
    "Ranking",
    "bootstrap",
    "compare",
    "estimate",
    "proportion",
    "quantile",
    "trimmed_mean",
]

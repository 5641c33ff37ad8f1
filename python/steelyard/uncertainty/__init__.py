"""Estimates with confidence intervals: proportions, means, ratios, the bootstrap and paired comparisons of models."""

from .adjust import adjust
from .blocks import blocks
from .bootstrap import BootstrapEstimate, bootstrap
from .calibration_error import ece
from .compare import compare
from .comparison import Comparison
from .krippendorff import krippendorff_alpha
from .mean import estimate
from .proportion import proportion
from .quantiles import quantile, trimmed_mean
from .quotients import quotient
from .ranking import Ranking
from .sampling import smoothed, subsample
from .scipy_bootstrap import scipy_bootstrap
from .state import EstimateState

__all__ = [
    "BootstrapEstimate",
    "Comparison",
    "EstimateState",
    "Ranking",
    "adjust",
    "blocks",
    "bootstrap",
    "compare",
    "ece",
    "estimate",
    "krippendorff_alpha",
    "proportion",
    "quantile",
    "quotient",
    "scipy_bootstrap",
    "smoothed",
    "subsample",
    "trimmed_mean",
]

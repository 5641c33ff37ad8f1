"""Estimates with confidence intervals: proportions, means, ratios, the bootstrap, comparisons and their power."""

from .adjust import adjust
from .blocks import blocks
from .bootstrap import BootstrapEstimate, bootstrap
from .bootstrap_state import BootstrapState
from .calibration_error import ece
from .compare import compare
from .compare_state import CompareState
from .comparison import Comparison
from .krippendorff import krippendorff_alpha
from .mean import estimate
from .planning import minimum_detectable, power, sample_size
from .power_analysis import PowerAnalysis
from .proportion import proportion
from .quantile_state import QuantileState
from .quantiles import quantile, trimmed_mean
from .quotients import quotient
from .ranking import Ranking
from .rated import Ratings
from .ratings import ratings
from .sampling import smoothed, subsample
from .scipy_bootstrap import scipy_bootstrap
from .sequence_path import SequencePath
from .sequences import ConfidenceSequenceState, confidence_sequence
from .state import EstimateState

__all__ = [
    "BootstrapEstimate",
    "BootstrapState",
    "CompareState",
    "Comparison",
    "ConfidenceSequenceState",
    "EstimateState",
    "PowerAnalysis",
    "QuantileState",
    "Ranking",
    "Ratings",
    "SequencePath",
    "adjust",
    "blocks",
    "bootstrap",
    "compare",
    "confidence_sequence",
    "ece",
    "estimate",
    "krippendorff_alpha",
    "minimum_detectable",
    "power",
    "proportion",
    "quantile",
    "quotient",
    "ratings",
    "sample_size",
    "scipy_bootstrap",
    "smoothed",
    "subsample",
    "trimmed_mean",
]

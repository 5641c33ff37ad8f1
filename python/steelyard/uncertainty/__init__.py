"""The answer, its error, the decision: proportions, means, paired comparisons."""

from .bootstrap import BootstrapEstimate, bootstrap
from .compare import compare
from .comparison import Comparison
from .mean import estimate
from .proportion import proportion
from .state import EstimateState

__all__ = ["BootstrapEstimate", "Comparison", "EstimateState", "bootstrap", "compare", "estimate", "proportion"]

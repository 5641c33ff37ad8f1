"""The answer, its error, the decision: proportions, means, paired comparisons."""

from .compare import Comparison, compare
from .mean import estimate
from .proportion import proportion

__all__ = ["Comparison", "compare", "estimate", "proportion"]

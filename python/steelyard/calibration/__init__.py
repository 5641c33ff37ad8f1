"""Calibration: whether probabilities mean what they say."""

from .diagram import Reliability
from .reliability import reliability
from .state import ReliabilityState

__all__ = ["Reliability", "ReliabilityState", "reliability"]

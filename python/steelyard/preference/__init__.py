"""Preference losses of log-probabilities, with exact gradients, and metrics with intervals."""

from .losses import preference_loss
from .result import PreferenceLoss

__all__ = ["PreferenceLoss", "preference_loss"]

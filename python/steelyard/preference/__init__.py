"""Preference losses of log-probabilities, with exact gradients, and metrics with intervals."""

from .kl import kl
from .losses import preference_loss
from .result import PreferenceLoss

__all__ = ["PreferenceLoss", "kl", "preference_loss"]

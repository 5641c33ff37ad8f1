"""Optimization on the CPU: AdamW, clipping by the global norm, learning-rate schedules."""

from . import schedules
from .adamw import AdamW, adamw_
from .norm import GlobalNormState, clip_by_global_norm_, global_norm
from .step import StepInfo

__all__ = ["AdamW", "GlobalNormState", "StepInfo", "adamw_", "clip_by_global_norm_", "global_norm", "schedules"]

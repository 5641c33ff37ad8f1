"""Optimization on the CPU: AdamW, norms and clipping of gradients, learning-rate schedules."""

from . import schedules
from .adamw import AdamW, adamw_
from .clip import adaptive_clip_, clip_by_block_norm_, clip_by_global_norm_, clip_by_value_
from .norm import GlobalNormState, NormInfo, global_norm
from .step import StepInfo

__all__ = [
    "AdamW", "GlobalNormState", "NormInfo", "StepInfo", "adamw_", "adaptive_clip_", "clip_by_block_norm_",
    "clip_by_global_norm_", "clip_by_value_", "global_norm", "schedules",
]  # fmt: skip

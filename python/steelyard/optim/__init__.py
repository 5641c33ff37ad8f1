"""Optimization on the CPU: AdamW and its variants, Lion, SGD, norms and clipping of gradients, learning rates."""

from . import schedules
from .adam import Adam
from .adamw import AdamW, adamw_
from .clip import adaptive_clip_, clip_by_block_norm_, clip_by_global_norm_, clip_by_value_
from .lion import Lion
from .norm import GlobalNormState, NormInfo, global_norm
from .policies import AutoClip, ZClip
from .sgd import SGD
from .step import StepInfo, StepTensors

__all__ = [
    "SGD", "Adam", "AdamW", "AutoClip", "GlobalNormState", "Lion", "NormInfo", "StepInfo", "StepTensors", "ZClip",
    "adamw_", "adaptive_clip_",
    "clip_by_block_norm_", "clip_by_global_norm_", "clip_by_value_", "global_norm", "schedules",
]  # fmt: skip

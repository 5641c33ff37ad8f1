"""Weigh a model's numbers: exact, fast evaluation with uncertainty, and CPU training updates."""

from . import _core, calibration, config, errors, optim, preference, tokens, uncertainty
from .calibration import reliability
from .config import show_config, threads
from .estimate import Estimate
from .optim import AdamW, clip_by_global_norm_, global_norm, schedules
from .preference import preference_loss
from .tokens import perplexity, token_scores
from .uncertainty import bootstrap, compare, estimate, proportion

config.configure_from_environment()
__version__: str = _core.version()

__all__ = [
    "AdamW",
    "Estimate",
    "__version__",
    "bootstrap",
    "calibration",
    "clip_by_global_norm_",
    "compare",
    "errors",
    "estimate",
    "global_norm",
    "optim",
    "perplexity",
    "preference",
    "preference_loss",
    "proportion",
    "reliability",
    "schedules",
    "show_config",
    "threads",
    "token_scores",
    "tokens",
    "uncertainty",
]

"""Weigh a model's numbers: exact, fast evaluation with uncertainty, and CPU training updates."""

from importlib import import_module
from typing import TYPE_CHECKING

from . import _core, calibration, config, errors, optim, preference, tokens, uncertainty
from .calibration import reliability
from .config import show_config, threads
from .estimate import Estimate
from .optim import AdamW, clip_by_global_norm_, global_norm, schedules
from .preference import preference_loss
from .tokens import perplexity, token_scores
from .uncertainty import bootstrap, compare, estimate, proportion

if TYPE_CHECKING:
    from . import reference as reference
else:

    def __getattr__(name: str) -> object:
        """Import the reference when it is first read: few programs need it."""
        if name == "reference":
            return import_module(".reference", __name__)
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


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

"""Weigh a model's numbers: exact, fast evaluation with uncertainty, and CPU training updates."""

from . import _core, calibration, config, errors, tokens
from .calibration import reliability
from .config import show_config, threads
from .estimate import Estimate
from .tokens import token_scores

config.configure_from_environment()
__version__: str = _core.version()

__all__ = [
    "Estimate",
    "__version__",
    "calibration",
    "errors",
    "reliability",
    "show_config",
    "threads",
    "token_scores",
    "tokens",
]

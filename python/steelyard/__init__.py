"""Weigh a model's numbers: exact, fast evaluation with uncertainty, and CPU training updates."""

from . import _core, config, errors
from .config import show_config, threads
from .estimate import Estimate

config.configure_from_environment()
__version__: str = _core.version()

__all__ = ["Estimate", "__version__", "errors", "show_config", "threads"]

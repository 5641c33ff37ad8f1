"""Weigh a model's numbers: exact, fast evaluation with uncertainty, and CPU training updates."""

from importlib import import_module
from typing import TYPE_CHECKING

from . import _exit as _exit  # first: from here on, whatever fails ends the command with a code of its own

# isort: split
from . import _core, calibration, config, errors, tokens, uncertainty
from ._estimate import Estimate
from .calibration import reliability
from .config import show_config, threads
from .tokens import perplexity, token_scores
from .uncertainty import bootstrap, compare, estimate, proportion

if TYPE_CHECKING:
    from . import optim, preference
    from . import reference as reference
    from .optim import AdamW, clip_by_global_norm_, global_norm, schedules
    from .preference import preference_loss
else:
    # Who evaluates seldom trains, and few programs need the reference: imported when first read.
    _LATER = {
        **dict.fromkeys(("optim", "AdamW", "clip_by_global_norm_", "global_norm", "schedules"), "optim"),
        **dict.fromkeys(("preference", "preference_loss"), "preference"),
        "reference": "reference",
    }

    def __getattr__(name: str) -> object:
        """Import a room when one of its names is first read."""
        if name not in _LATER:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        # The caller may have set another floating-point mode by now, in which Python compiles 0.999 to another number.
        room = _core.in_standard_mode(import_module, (f".{_LATER[name]}", __name__), {})
        value = globals()[name] = room if name == _LATER[name] else getattr(room, name)
        return value

    def __dir__() -> list[str]:
        return sorted({*globals(), *__all__})


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

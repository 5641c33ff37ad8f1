"""Fast evaluation statistics with confidence intervals, paired comparisons, calibration and CPU training updates."""

from importlib import import_module
from typing import TYPE_CHECKING

from . import _exit as _exit  # must come first: it installs the hook that gives failures of the command an exit code

# isort: split
from . import _core, calibration, config, errors, tokens, uncertainty
from ._estimate import Estimate
from .calibration import reliability
from .config import show_config, threads
from .tokens import perplexity, token_scores
from .uncertainty import bootstrap, compare, estimate, proportion

if TYPE_CHECKING:
    from . import optim, preference
    from . import records as records
    from . import reference as reference
    from . import report as report
    from .optim import AdamW, clip_by_global_norm_, global_norm, schedules
    from .preference import preference_loss
else:
    # Many programs do not need the training functions, the readers of files or the reports, and few need the reference
    # implementation. They are imported when first used, so that `import steelyard` stays fast.
    _LATER = {
        **dict.fromkeys(("optim", "AdamW", "clip_by_global_norm_", "global_norm", "schedules"), "optim"),
        **dict.fromkeys(("preference", "preference_loss"), "preference"),
        **{module: module for module in ("records", "reference", "report")},
    }

    def __getattr__(name: str) -> object:
        """Import a room when one of its names is first read."""
        if name not in _LATER:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        # Compiling a module parses its float literals. In a floating-point mode that the caller has set meanwhile,
        # Python may parse 0.999 to another number, so the import runs in the standard mode.
        room = _core.in_standard_mode(import_module, (f".{_LATER[name]}", __name__), {})
        value = globals()[name] = room if name == _LATER[name] else getattr(room, name)
        return value

    def __dir__() -> list[str]:
        return sorted({*globals(), *__all__, *_LATER})


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

"""Fast evaluation statistics with confidence intervals, paired comparisons, calibration and CPU training updates."""

from importlib import import_module
from typing import TYPE_CHECKING

from . import _exit as _exit  # must come first: it installs the hook that gives failures of the command an exit code

# isort: split
from . import _core, config, errors
from .config import show_config, threads

if TYPE_CHECKING:
    from . import calibration, optim, preference, tokens, uncertainty
    from . import records as records
    from . import reference as reference
    from . import report as report
    from ._estimate import Estimate
    from ._scan import scan

    # mypy first takes a function that is called like its module for that module, and then for a second definition.
    from .calibration import reliability  # type: ignore[no-redef]
    from .optim import AdamW, clip_by_global_norm_, global_norm, schedules
    from .preference import preference_loss
    from .tokens import perplexity, token_scores, token_scores_from_hidden  # type: ignore[no-redef]
    from .uncertainty import bootstrap, compare, estimate, proportion  # type: ignore[no-redef]
else:
    # A program uses some of the rooms and seldom all of them. Each is imported when one of its names is first read, so
    # that `import steelyard` stays fast.
    _ROOMS = {
        "calibration": ["reliability"],
        "optim": ["AdamW", "clip_by_global_norm_", "global_norm", "schedules"],
        "preference": ["preference_loss"],
        "tokens": ["perplexity", "token_scores", "token_scores_from_hidden"],
        "uncertainty": ["bootstrap", "compare", "estimate", "proportion"],
        "_estimate": ["Estimate"],
        "_scan": ["scan"],
        "records": [],
        "reference": [],
        "report": [],
    }
    _LATER = {name: room for room, names in _ROOMS.items() for name in (room, *names)}

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
    "scan",
    "schedules",
    "show_config",
    "threads",
    "token_scores",
    "token_scores_from_hidden",
    "tokens",
    "uncertainty",
]

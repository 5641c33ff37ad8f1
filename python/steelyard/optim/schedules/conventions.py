"""What other libraries mean by a shape: a convention is a set of values for the same parameters.

It is applied once, when a schedule is made. The schedule itself then says everything in its own parameters, and stays
what it is whatever a later version of the library does.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Literal

from ..._options import choice
from .schedule import Schedule

__all__ = ["Convention", "made"]

Convention = Literal["transformers", "torch", "optax", "timm", "deepspeed"]
Fields = dict[str, Any]


def _start(fields: Fields, rate: float) -> None:
    """Let the warm-up begin at ``rate`` where nothing else is asked for."""
    if fields.get("warmup_steps") and fields.get("start") is None:
        fields["start"] = rate


def _transformers(fields: Fields) -> None:
    """``optimization.py``: from 0, so that the first update changes nothing; a cosine that comes back after its end."""
    _start(fields, fields["end"] or 0.0 if fields["shape"] == "wsd" else 0.0)
    if fields["shape"] == "cosine" and fields["cycles"] == fields["power"] == fields["k"] == 1.0:
        _wave(fields)
    if fields["shape"] == "polynomial" and fields["end"] is None:
        fields["end"] = 1e-7
    if fields["shape"] == "inverse_sqrt" and not fields["timescale"] and not fields["warmup_steps"]:
        fields["timescale"] = 10_000


def _torch(fields: Fields) -> None:
    """``lr_scheduler``: a warm-up by ``LinearLR`` begins at a third; ``CosineAnnealingLR`` comes back after its end."""
    _start(fields, fields["lr"] / 3)
    if fields["shape"] == "cosine":
        _wave(fields)


def _wave(fields: Fields) -> None:
    del fields["cycles"], fields["power"], fields["k"]
    fields |= {"shape": "cosine_wave", "waves": 0.5}


def _optax(fields: Fields) -> None:
    """``optax.schedules``: from ``init_value``, 0 where none is given."""
    _start(fields, 0.0)


def _timm(fields: Fields) -> None:
    """``timm.scheduler``: ``total_steps`` is ``t_initial``, and the shape runs underneath the warm-up."""
    _start(fields, 0.0)
    w = fields["warmup_steps"]
    if fields["shape"] == "multi_step":
        fields["offset"] = 1
    elif fields["shape"] != "step":
        fields["offset"] = w
        if "total_steps" in fields:
            fields["total_steps"] += w


def _deepspeed(fields: Fields) -> None:
    """``lr_schedules.py``: a logarithmic warm-up from 0 of at least 2 steps; a cosine that is one step ahead."""
    if fields["shape"] in ("cosine", "piecewise"):
        fields["offset"] = 1
    if fields["shape"] == "cosine" and fields["end"] is None:
        fields["end"] = 1e-4 * fields["lr"]
    if fields.get("warmup_steps"):
        fields["warmup_steps"] = max(2, fields["warmup_steps"])
        fields["warmup"] = fields["warmup"] or "log"
        _start(fields, 0.0)


CONVENTIONS: dict[str, tuple[Callable[[Fields], None], tuple[str, ...]]] = {
    "transformers": (
        _transformers, ("constant", "linear", "cosine", "cosine_wave", "polynomial", "inverse_sqrt", "wsd"),
    ),
    "torch": (
        _torch,
        (
            "constant", "linear", "cosine", "cosine_wave", "cosine_restarts", "polynomial", "exponential", "step",
            "multi_step", "cyclic", "piecewise",
        ),
    ),
    "optax": (_optax, ("constant", "linear", "cosine", "polynomial", "exponential", "step", "piecewise")),
    "timm": (_timm, ("cosine", "cosine_restarts", "polynomial", "tanh", "step", "multi_step")),
    "deepspeed": (_deepspeed, ("constant", "linear", "cosine", "piecewise")),
}  # fmt: skip


def made(shape: str, convention: str | None, **fields: Any) -> Schedule:
    """Return the schedule with these fields, changed to what ``convention`` means by them."""
    fields["shape"] = shape
    if convention is not None:
        known = [name for name, (_, shapes) in CONVENTIONS.items() if shape in shapes]
        CONVENTIONS[choice(convention, "convention", known)][0](fields)
    for name, default in (("end", 0.0), ("warmup", "linear")):
        if fields.get(name, default) is None:
            fields[name] = default
    return Schedule(**fields)

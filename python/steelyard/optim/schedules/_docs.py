"""The sections that the docstrings of all schedules share."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import ParamSpec, TypeVar

__all__ = ["documented"]

P = ParamSpec("P")
R = TypeVar("R")

_PARAMETERS = {
    "lr": """float
    The highest rate, at least 0.""",
    "total_steps": """int
    The step at which the rate has fallen to ``end``, counted from the first step of the warm-up.""",
    "warmup_steps": """int
    How many steps the rate rises for: 0 or more, and fewer than ``total_steps`` where there is one.""",
    "start": """float, optional
    The rate at step 0, where there is a warm-up. Without it that rate is ``lr / warmup_steps``, the first of equal
    steps up from 0.""",
    "end": """float
    The rate at ``total_steps`` and after, at least 0. Where there are no ``total_steps``: the rate that no other passes
    (0: none).""",
    "warmup": """{"linear", "cosine", "log", "1-sqrt"}
    The curve of the warm-up. With x the share that is done: x, (1 - cos(pi x))/2, log(1 + s)/log(w) (one step ahead
    without ``start``), or 1 - sqrt(1 - x).""",
    "offset": """int
    How many steps the shape is ahead: it begins at t = ``offset`` after the warm-up.""",
    "convention": """{"transformers", "torch", "optax", "timm", "deepspeed"}, optional
    Give the numbers of that library: other values for the parameters, as said under References.""",
    "cycles": """float
    How often the rate falls from ``lr`` to ``end``, each time from the top again; above 0.""",
    "waves": """float
    The number of full periods until ``total_steps``, above 0: 0.5 falls once, 1 comes back up.""",
    "power": """float
    The exponent of the curve, above 0.""",
    "k": """float
    The exponent of the share of the steps, above 0 (k-decay): above 1 the rate stays high longer.""",
    "cycle_steps": """int
    The length of the first cycle, at least 1.""",
    "growth": """float
    How many times longer each cycle is than the one before: 1, or at least 1.01.""",
    "decay": """float
    The factor of the height of each cycle, beside the one before; at least 0.""",
    "restarts": """int
    How many cycles there are, after which the rate is ``end``; 0: without end.""",
    "timescale": """int
    The number of steps after which the rate is lower by the square root of two; 0: ``warmup_steps``.""",
    "gamma": """float
    The factor, above 0.""",
    "decay_steps": """int
    The number of steps after which the rate has been multiplied by ``gamma`` once.""",
    "milestones": """list of int
    The steps after the warm-up at which the rate is multiplied by ``gamma``, in increasing order.""",
    "low": """float
    The lowest rate, at least 0.""",
    "rise_steps": """int
    The steps of a cycle on the way up, at least 1.""",
    "fall_steps": """int
    The steps of a cycle on the way down; 0: as many.""",
    "cooldown_steps": """int
    How many of the last steps the rate falls over, at most ``total_steps - warmup_steps``.""",
    "curve": """{"linear", "cosine", "1-sqrt", "square"}
    The curve of the fall. With x the share that is done, what is left of the height is 1 - x, (1 + cos(pi x))/2,
    1 - sqrt(x), or 1 - x^2.""",
    "lower": """float
    Where the tanh begins: the rate begins at (1 - tanh(lower))/2 of the height.""",
    "upper": """float
    Where the tanh ends, above ``lower``.""",
    "points": """list of (step, rate)
    The steps, after the warm-up, increase and need not be whole; rates are at least 0.""",
    "interpolate": """{"linear", "cosine", "constant"}
    What lies between two points: a straight line, half a period of a cosine, or the rate of the point before.""",
    "rise_share": """float
    The share of the steps that the rate rises for, from 0 to 1.""",
    "fall_share": """float, optional
    The share after which the rate is back at ``start``, from where it falls to ``end``: three phases instead of
    two.""",
}
# What one_cycle means by names that other shapes use too.
_ONE_CYCLE = {
    "start": """float, optional
    The rate at step 0; ``lr / 25`` without it.""",
    "end": """float, optional
    The rate at the end; ``start / 10_000`` without it.""",
    "interpolate": """{"cosine", "linear"}
    The curve of each phase.""",
}
_RETURNS_AND_RAISES = """
Returns
-------
Schedule
    Call it with the number of updates already made, one or an array of them.

Raises
------
TypeError, ValueError
    For a rate that is negative or not finite, or steps that are no whole numbers or do not fit.

"""


def documented(function: Callable[P, R]) -> Callable[P, R]:
    """Add to a docstring, before its examples, the sections that all schedules share."""
    text, examples, rest = inspect.cleandoc(function.__doc__ or "").partition("Examples\n")
    words = _PARAMETERS | (_ONE_CYCLE if function.__name__ == "one_cycle" else {})
    taken = "".join(f"{name} : {words[name]}\n" for name in inspect.signature(function).parameters)
    function.__doc__ = f"{text}Parameters\n----------\n{taken}{_RETURNS_AND_RAISES}{examples}{rest}"
    return function

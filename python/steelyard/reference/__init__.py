"""A readable NumPy implementation of each kernel: the definition of the kernel, with which its tests compare it.

The code is written to be read, not to be fast. Element-wise kernels give the same bits as their reference; reductions
differ from it by at most the bound stated in the docstring.
"""

from . import (
    abc,
    answers,
    bootstrap,
    calibration,
    designs,
    double,
    fma,
    ideal,
    intervals,
    max_t,
    multinomial,
    optim,
    ordered,
    policy,
    power,
    preference,
    preference_sets,
    proportions,
    random,
    ratings,
    repeats,
    rules,
    schedules,
    sequences,
    shuffles,
    storage,
    studentized,
    sums,
    tokens,
)  # fmt: skip

__all__ = [
    "abc", "answers", "bootstrap", "calibration", "designs", "double", "fma", "ideal", "intervals", "max_t",
    "multinomial", "optim", "ordered", "policy", "power", "preference", "preference_sets", "proportions", "random",
    "ratings", "repeats", "rules", "schedules", "sequences", "shuffles", "storage", "studentized", "sums", "tokens",
    "units",
]  # fmt: skip

"""Forks while a thread is inside a random call, and random calls in the children."""

from __future__ import annotations

import sys
import warnings
from random import Random

from ..forks import ACTS, forked
from ._frame import run

CHILDREN = 20


def trial(rng: Random) -> str:
    """One thread's call, and the calls of a few children."""
    inside = rng.choice(ACTS)
    others = [inside, *rng.choices(ACTS, k=CHILDREN - 1)]
    wrong = forked(inside, others, rng)
    assert wrong == [], wrong
    return f"times {CHILDREN} children"


if __name__ == "__main__":
    # Python 3.12 warns of every fork of a process with threads.
    warnings.filterwarnings("ignore", "This process", DeprecationWarning)
    sys.exit(run("forks", trial))

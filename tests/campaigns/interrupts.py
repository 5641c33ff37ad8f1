"""Ctrl-C at a random moment of a random call of ten million rows, alone or beside another thread's call.

It is answered within ``STEELYARD_INTERRUPT_LIMIT`` seconds, the best of six attempts at that moment: half a second without
it, for machines that have other things to do; 0.1, which the package promises, on a quiet one.
"""

from __future__ import annotations

import os
import sys
from contextlib import nullcontext
from random import Random

from ..calls import CALLS
from ..interrupts import busy, latest, length, listen, moments
from ._frame import run

ROWS = 10_000_000
LIMIT = float(os.environ.get("STEELYARD_INTERRUPT_LIMIT", "0.5"))
ENOUGH = 0.1  # seconds: no further attempt at that moment
MOMENTS = 8
LONGEST = 4.0  # seconds of a call that are looked at


def trial(rng: Random) -> str:
    """Prepare a call's data once, and interrupt it a few times."""
    call, beside = rng.choice(CALLS), rng.random() < 0.5
    data = call.prepare(ROWS)
    with busy() if beside else nullcontext():
        takes = length(call, data, LONGEST)
        for delay in moments(takes, rng, MOMENTS):
            late = latest(call, data, delay, min(ENOUGH, LIMIT))
            assert late <= LIMIT, f"{call.name}: {late * 1e3:.0f} ms after a signal at {delay:.3f} s of {takes:.3f} s"
    return "beside another call" if beside else "alone"


if __name__ == "__main__":
    listen()
    sys.exit(run("interrupts", trial))

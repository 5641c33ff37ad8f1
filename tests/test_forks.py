"""A child forked while another thread is inside any call can make any call itself.

A sample of the pairs; all of them with ``STEELYARD_FORK_MATRIX=all`` (some minutes).
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from random import Random

import pytest

import steelyard as sy

from .forks import ACTS, forked
from .test_process import linux

ALL = os.environ.get("STEELYARD_FORK_MATRIX") == "all"
SAMPLE = 6  # children of each thread's call, the first of which makes the same call on the same data
ROWS = 20  # thread's calls in one process
WATCHDOG = 1200 if ALL else 240


def pairs(first: int) -> None:
    """Print the pairs that went wrong: the program of the child process."""
    for inside in ACTS[first : first + ROWS]:
        rng = Random(inside.name)
        others = ACTS if ALL else [inside, *rng.choices(ACTS, k=SAMPLE - 1)]
        for wrong in forked(inside, others, rng):
            print(wrong, flush=True)


@linux
@pytest.mark.timeout(WATCHDOG + 10)
@pytest.mark.parametrize("first", range(0, len(ACTS), ROWS), ids=lambda first: f"{ACTS[first].name} and on")
def test_every_call_in_a_thread_and_every_call_in_the_child(first: int) -> None:
    # Python 3.12 warns of every fork of a process with threads: these tests fork on purpose.
    options = ["-W", "error", "-W", "ignore:This process:DeprecationWarning"]
    program = f"from tests.test_forks import pairs; pairs({first})"
    child = subprocess.run(
        [sys.executable, *options, "-c", program],
        cwd=Path(__file__).parents[1], env=os.environ | {"PYTHONPATH": str(Path(sy.__file__).parents[1])},
        capture_output=True, text=True, timeout=WATCHDOG, check=False,
    )  # fmt: skip
    assert child.returncode == 0, child.stderr
    assert child.stdout == "", child.stderr

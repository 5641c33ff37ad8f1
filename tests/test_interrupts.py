"""Every call that reads data answers Ctrl-C soon, alone and beside another thread's long call.

Each call is interrupted in each half of its time; every fourth one beside another call too.
``tests.campaigns.interrupts`` does the same for as long as one likes, on more data and within the bound that one names.
"""

from __future__ import annotations

import json
import os
import platform
import subprocess
import sys
from contextlib import nullcontext
from pathlib import Path
from random import Random
from typing import Any

import pytest

import steelyard as sy

from .calls import CALLS
from .interrupts import busy, latest, length, listen, moments

ROWS = 2_000_000
PROMISED = 0.1  # enough for an attempt
GENEROUS = 0.4  # for a machine that has other things to do
LONGEST = 0.5  # only this many seconds of a longer call are tested
LONG = 0.15  # seconds of a call in which an interrupt makes a clear difference
WATCHDOG = 240

if platform.system() == "Windows":
    pytest.skip("needs the system's interval timer", allow_module_level=True)


def child(program: str) -> list[list[Any]]:
    """The lines of JSON that a call of this file prints in a process of its own."""
    environment = os.environ | {"PYTHONPATH": str(Path(sy.__file__).parents[1])}
    ended = subprocess.run(
        [sys.executable, "-c", f"from tests import test_interrupts; test_interrupts.{program}"],
        cwd=Path(__file__).parents[1], env=environment, capture_output=True, text=True, timeout=WATCHDOG, check=False,
    )  # fmt: skip
    assert ended.returncode == 0, ended.stderr
    return [json.loads(line) for line in ended.stdout.splitlines()]


def sweep(beside: bool) -> None:
    """Print the latest answer of each call, one JSON line each: the program of the child process."""
    listen()
    with busy() if beside else nullcontext():
        for call in CALLS[:: 4 if beside else 1]:
            data = call.prepare(ROWS)
            takes = length(call, data, LONGEST)
            late = [latest(call, data, moment, PROMISED) for moment in moments(takes, Random(call.name), 2)]
            print(json.dumps([call.name, takes, max(late)]), flush=True)


@pytest.mark.timeout(WATCHDOG)
@pytest.mark.parametrize("beside", [False, True], ids=["alone", "beside another call"])
def test_ctrl_c_is_answered(beside: bool) -> None:
    answers = child(f"sweep({beside})")
    assert len(answers) == len(CALLS[:: 4 if beside else 1])
    tardy = [f"{name}: {late:.3f} s late in {takes:.3f} s" for name, takes, late in answers if late > GENEROUS]
    assert tardy == []
    interrupted = [name for name, _, late in answers if late > 0]  # the others had ended before
    assert len(interrupted) > len(answers) / 2, interrupted


def end_sign_flips() -> None:
    """Interrupt the sign flips early, and print what share of their time they took nevertheless.

    The smallest share of three: another process may hold one attempt up, but an interrupt that is ignored holds up all.
    """
    listen()
    for call in CALLS:
        if call.name.startswith("sign flips"):
            takes, rows = 0.0, ROWS
            while takes < LONG and rows <= 8 * ROWS:  # the core looks for an interrupt every 25 ms
                data = call.prepare(rows)
                takes = min(length(call, data, 10 * LONGEST) for _ in range(2))
                rows *= 2
            late = min(latest(call, data, takes / 10, takes / 10) for _ in range(3))
            print(json.dumps([call.name, (takes / 10 + late) / takes]), flush=True)


@pytest.mark.timeout(WATCHDOG)
def test_ctrl_c_ends_the_sign_flips() -> None:
    """They are given up, not waited for: counting takes a tenth of a second, which would pass for an answer."""
    shares = child("end_sign_flips()")
    assert len(shares) == 3
    assert [name for name, share in shares if share > 0.75] == []


# What has no row, and why.
WRITES = {"AdamW", "optim.AdamW", "optim.Adam", "optim.Lion", "optim.SGD", "optim.adamw_", "clip_by_global_norm_", "optim.adaptive_clip_",
          "optim.clip_by_block_norm_", "optim.clip_by_global_norm_", "optim.clip_by_value_"}  # fmt: skip
NO_DATA = {"threads", "uncertainty.blocks", "uncertainty.SequencePath", "uncertainty.ece", "uncertainty.quantile", "uncertainty.quotient", "uncertainty.smoothed", "uncertainty.subsample", "uncertainty.trimmed_mean", "show_config", "__version__", "optim.AutoClip", "optim.NormInfo", "optim.StepInfo", "optim.StepTensors", "optim.ZClip", "preference.AdaptiveKL", "tokens.Window", "tokens.Windows", "tokens.tensors", "tokens.windows", "PerplexityState.n_positions", "TokenState.n_positions", "TokenState.reset", "PerplexityState.reset", "ReliabilityState.reset",
           "GlobalNormState.reset", "EstimateState.reset", "ConfidenceSequenceState.reset", "PreferenceState.reset", "preference.Explanation", "preference.explain", "CompareState.reset", "BootstrapState.reset", "QuantileState.reset", "BootstrapState.rows_seen"}  # fmt: skip
ROOMS = ("calibration", "errors", "optim", "preference", "schedules", "tokens", "uncertainty")


def _public_names() -> set[str]:
    names = {name for name in sy.__all__ if name not in ROOMS}
    for room in ("calibration", "optim", "preference", "schedules", "tokens", "uncertainty"):
        names |= {f"{room}.{name}" for name in getattr(sy, room).__all__ if name != "schedules"}
    for state in (
        sy.calibration.ReliabilityState, sy.optim.GlobalNormState, sy.tokens.PerplexityState, sy.tokens.TokenState,
        sy.uncertainty.EstimateState, sy.uncertainty.ConfidenceSequenceState, sy.preference.PreferenceState,
        sy.uncertainty.CompareState, sy.uncertainty.BootstrapState, sy.uncertainty.QuantileState,
    ):  # fmt: skip
        names |= {f"{state.__name__}.{name}" for name in dir(state) if not name.startswith("_")}
    return names


def test_every_public_name_that_reads_data_has_a_row() -> None:
    covered = {name for call in CALLS for name in call.covers}
    assert _public_names() - covered == WRITES | NO_DATA
    assert covered - _public_names() == set()
    assert len({call.name for call in CALLS}) == len(CALLS)

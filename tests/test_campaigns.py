"""The frame of the campaigns: what they find is reported, and can be repeated."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from random import Random

import pytest

from .campaigns import modes
from .campaigns._frame import run

FILES = [path for path in Path(__file__).parent.glob("campaigns/*.py") if not path.name.startswith("_")]


def test_a_campaign_counts_what_it_tried(capsys: pytest.CaptureFixture[str]) -> None:
    drawn = []

    def trial(rng: object) -> str:
        drawn.append(rng.random())
        return "even" if len(drawn) % 2 == 0 else "odd"

    assert run("sums", trial, ["--trials", "5", "--seed", "7"]) == 0
    assert "sums: 5 trials from seed 7 in 0 s, no difference (2 even, 3 odd)" in capsys.readouterr().out
    assert run("sums", trial, ["--trials", "1", "--seed", "9"]) == 0
    assert drawn[5] == drawn[2], "a trial is repeated by its seed"
    assert len(set(drawn)) == 5
    assert run("sums", trial, ["--seconds", "0"]) == 0
    assert "1 trials" in capsys.readouterr().out


def test_a_difference_fails_with_the_command_that_repeats_it(capsys: pytest.CaptureFixture[str]) -> None:
    def trial(rng: object) -> str:
        assert rng.random() < 0.5, "two results differ"
        return "sum"

    assert run("sums", trial, ["--seed", "0"]) == 1
    said = capsys.readouterr().err
    assert "two results differ" in said
    seed = said.split("--seed ")[1].strip()
    assert "python -m tests.campaigns.sums --trials 1 --seed " in said
    assert run("sums", trial, ["--seed", seed, "--trials", "1"]) == 1


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_every_campaign_is_one_program(path: Path) -> None:
    source = path.read_text("utf-8")
    assert 'if __name__ == "__main__":' in source
    assert f'run("{path.stem}", ' in source


@pytest.mark.parametrize("make", modes.CALLS, ids=lambda make: make.__name__)
def test_every_random_call_can_be_made(make: Callable[[Random], modes.Call]) -> None:
    """A new shape or option must not leave a campaign without it; a call may be refused, but not fail otherwise."""
    for seed in range(30):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            call = make(Random(seed))
            if seed < 3:
                with suppress(ValueError, TypeError, OverflowError):
                    call()

"""The runner that all campaigns share: it reads arguments, sets seeds, keeps the time and prints the last line."""

from __future__ import annotations

import argparse
import secrets
import sys
import time
import traceback
from collections import Counter
from collections.abc import Callable
from random import Random


def run(name: str, trial: Callable[[Random], str], arguments: list[str] | None = None) -> int:
    """Repeat ``trial`` until the time is over; the exit code: 0, or 1 after the first trial that raised.

    Parameters
    ----------
    name : the campaign's, as in ``python -m tests.campaigns.NAME``
    trial : draws from the generator it is given and from nothing else, checks, returns a word for what it tried, and
        raises where something is wrong. Every trial has a seed of its own, so that one can be repeated alone.
    arguments : the command line's, without the program
    """
    parser = argparse.ArgumentParser(prog=f"python -m tests.campaigns.{name}")
    parser.add_argument("--seconds", type=float, default=10.0, help="how long to go on")
    parser.add_argument("--seed", type=int, default=secrets.randbits(40), help="of the first trial; others count up")
    parser.add_argument("--trials", type=int, default=sys.maxsize, help="the most to make")
    options = parser.parse_args(arguments)
    tried: Counter[str] = Counter()
    start = time.monotonic()
    for seed in range(options.seed, options.seed + options.trials):
        try:
            tried[trial(Random(seed))] += 1
        except Exception:
            traceback.print_exc()
            print(f"repeat: python -m tests.campaigns.{name} --trials 1 --seed {seed}", file=sys.stderr)
            return 1
        if time.monotonic() - start >= options.seconds:
            break
    seconds = time.monotonic() - start
    kinds = ", ".join(f"{count} {kind}" for kind, count in sorted(tried.items()))
    print(f"{name}: {tried.total()} trials from seed {options.seed} in {seconds:.0f} s, no difference ({kinds})")
    return 0

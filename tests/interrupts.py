"""Measures how soon a call answers Ctrl-C; to be run in a process of its own, which it interrupts."""

from __future__ import annotations

import signal
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from random import Random
from typing import Any, NamedTuple

import numpy as np

import steelyard as sy

from .calls import Call


class Answer(NamedTuple):
    """The outcome of one attempt: the delay of the interrupt, or the duration of a call that had ended before it."""

    interrupted: bool
    seconds: float


def listen() -> None:
    """Let the timer's signal do what Ctrl-C's does."""
    signal.signal(signal.SIGALRM, signal.default_int_handler)


def attempt(call: Call, data: Any, delay: float) -> Answer:
    """Interrupt a call after ``delay`` seconds.

    The system's timer sends the signal: a thread that sent it would need the interpreter to do so.
    """
    start = time.monotonic()
    try:
        signal.setitimer(signal.ITIMER_REAL, delay)
        call.call(data)
        signal.setitimer(signal.ITIMER_REAL, 0)
    except KeyboardInterrupt:
        return Answer(True, time.monotonic() - start - delay)
    return Answer(False, time.monotonic() - start)


def length(call: Call, data: Any, longest: float) -> float:
    """How many seconds a call takes, at most ``longest``: longer calls do the same work for longer."""
    answer = attempt(call, data, longest)
    return longest if answer.interrupted else answer.seconds


def latest(call: Call, data: Any, delay: float, enough: float, attempts: int = 6) -> float:
    """The best of a few interrupts at one moment of a call, so that a busy machine does not decide."""
    best = float("inf")
    for _ in range(attempts):
        answer = attempt(call, data, delay)
        if not answer.interrupted:
            delay /= 2  # the call had ended before the interrupt, which is sent sooner next time
            continue
        best = min(best, answer.seconds)
        if best <= enough:
            break
    return best if best < float("inf") else 0.0


@contextmanager
def busy() -> Iterator[None]:
    """Keep the helpers busy with another thread's long call meanwhile."""
    stop = threading.Event()
    rows = 20_000_000
    logits = np.broadcast_to((np.arange(128_256) % 977).astype(np.float32) / 100, (rows, 128_256))

    def watched(done: int, total: int) -> None:
        if stop.is_set():
            raise InterruptedError

    def work() -> None:
        try:
            sy.token_scores(logits, np.zeros(rows, np.int64), progress=watched)
        except InterruptedError:
            return

    worker = threading.Thread(target=work)
    worker.start()
    try:
        yield
    finally:
        stop.set()
        worker.join()


def moments(takes: float, rng: Random, count: int) -> list[float]:
    """Moments inside a call, one in each of ``count`` equal parts of it."""
    return [max(0.0005, takes * (part + rng.random()) / count) for part in range(count)]

"""Forks while a thread is inside a call: the child, which lacks that thread, must not wait for it in its own call."""

from __future__ import annotations

import os
import signal
import threading
import time
import traceback
from collections.abc import Callable
from random import Random
from typing import Any, NamedTuple

import numpy as np

import steelyard as sy

from .calls import CALLS

ROWS = 4_000
WATCHDOG = 60.0  # seconds until a child counts as hung: on a machine with much else to do one waited 37 for a processor


class Act(NamedTuple):
    """What a thread does again and again, and a child does once, to the same data."""

    name: str
    prepare: Callable[[int], Any]
    call: Callable[[Any], object]


def _reported(logits: Any) -> object:
    """A call that is reporting progress most of its time."""
    return sy.token_scores(logits, np.zeros(len(logits), np.int64), progress=lambda done, total: time.sleep(0.001))


def _lazily(scores: Any) -> object:
    """Attributes that are computed when they are first read."""
    again = sy.tokens.TokenScores(scores.nll, scores.log_z, scores.counted)
    return again.n_counted, again.sequence_logprob


def _stepped(held: Any) -> object:
    grads, optimizer = held
    try:
        return optimizer.step(grads)
    except RuntimeError as error:
        # Its moments may be half-written by a thread that is not here, and the child is told so.
        if "fork" not in str(error):
            raise
        return None


def _optimizer(n: int) -> Any:
    params = {"w": np.ones(50 * n, np.float32)}
    return {"w": np.full(50 * n, 0.1, np.float32)}, sy.AdamW(params)


ACTS = [Act(call.name, call.prepare, call.call) for call in CALLS] + [
    Act("progress", lambda n: np.broadcast_to(np.zeros(100_000, np.float32), (n // 4, 100_000)), _reported),
    Act("lazy attributes", lambda n: sy.token_scores(np.zeros((n, 8), np.float32), np.zeros(n, np.int64)), _lazily),
    Act("AdamW.step", _optimizer, _stepped),
    Act("clip_by_global_norm_", lambda n: [np.ones(50 * n, np.float32)], lambda g: sy.clip_by_global_norm_(g, 1.0)),
    Act("threads", lambda n: None, lambda _: (sy.threads(3), sy.show_config(mode="dicts"), sy.threads(2))),
    Act("PerplexityState.update", lambda n: sy.tokens.PerplexityState(), lambda s: s.update(np.ones((50, 3)), clusters=np.arange(50))),
]  # fmt: skip


def _child(act: Act, data: Any, pooled: bool) -> None:
    """The child's life: the call, serially or with helpers of its own."""
    code = 1
    try:
        if pooled:
            sy.threads(2)
        act.call(data)
        code = 0
    except Exception:
        traceback.print_exc()
    finally:
        os._exit(code)


def _waited(pid: int) -> str:
    """What became of a child: ``ok``, ``failed``, or ``hung``, and then it is ended."""
    end = time.monotonic() + WATCHDOG
    while time.monotonic() < end:
        done, status = os.waitpid(pid, os.WNOHANG)
        if done:
            return "ok" if os.waitstatus_to_exitcode(status) == 0 else f"failed ({status})"
        time.sleep(0.0005)
    os.kill(pid, signal.SIGKILL)
    os.waitpid(pid, 0)
    return "hung"


def forked(inside: Act, others: list[Act], rng: Random) -> list[str]:
    """Fork once for each of ``others`` while a thread is inside a call; the pairs that went wrong."""
    sy.threads(2)
    held = inside.prepare(ROWS)
    inside.call(held)
    stop, wrong = threading.Event(), []

    def work() -> None:
        while not stop.is_set():
            inside.call(held)

    worker = threading.Thread(target=work)
    worker.start()
    try:
        for other in others:
            data = held if other is inside else other.prepare(ROWS)
            time.sleep(rng.random() * 0.005)
            pooled = rng.random() < 0.5
            pid = os.fork()
            if pid == 0:
                _child(other, data, pooled)
            outcome = _waited(pid)
            if outcome != "ok":
                wrong.append(f"{inside.name}, then {other.name}{' with helpers' if pooled else ''}: {outcome}")
    finally:
        stop.set()
        worker.join()
    return wrong

"""Without memory every call raises MemoryError, and arguments and states are as before.

``tests/campaigns/allocation.py`` makes every allocation of every kernel fail. This file runs the public calls under a
memory limit of the operating system, and tests the allocator's reserve and the handling of exceptions.
"""

from __future__ import annotations

import signal
import textwrap
from functools import partial
from typing import Any

import numpy as np
import pytest

import steelyard as sy
from steelyard import _core

from .campaigns import allocation
from .test_process import linux, run

FOREVER = 1 << 62


@pytest.fixture(autouse=True)
def _memory_comes_back() -> Any:
    yield
    _core.fail_allocations_for_tests(0, 0, 0)
    _core.set_threads(None)


# -- the public calls under a limit -------------------------------------------------------------------------------------

UNDER_A_LIMIT = """
import ctypes, resource
trim = getattr(ctypes.CDLL(None), "malloc_trim", lambda _: None)

def limited(call, room):
    trim(0)
    used = int(open("/proc/self/statm").read().split()[0]) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_AS, (used + room, resource.RLIM_INFINITY))
    try:
        call()
        said = "fitted"
    except MemoryError:
        said = "MemoryError"
    finally:
        resource.setrlimit(resource.RLIMIT_AS, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
    return said

for name in sy.__all__:  # rooms are imported when first used, and importing is not what is tried
    getattr(sy, name)
n = 150_000
x = (np.arange(n, dtype=np.uint32) * np.uint32(2654435761) >> np.uint32(8)).astype(np.float32) / 2**24
y = x[::-1].copy()
hit = x > 0.5
ids = np.arange(n) // 3
texts = [f"document {i}" for i in range(20_000)]
classes = np.arange(40_000 * 10, dtype=np.float32).reshape(-1, 10) % 7
chances = (classes + 1) / (classes + 1).sum(1, keepdims=True)
labels = np.arange(40_000) % 10
counts = np.arange(n) % 100
columns = -x.astype(np.float64), -y.astype(np.float64), -y.astype(np.float64), -x.astype(np.float64)
few = [np.full(7, i, np.float32) for i in range(9_000)]
large = [x.copy(), y.copy()]
grads_few, grads_large = [p.copy() for p in few], [p.copy() for p in large]
state = sy.tokens.PerplexityState().update(x, clusters=ids)
named = sy.tokens.PerplexityState().update(x[: len(texts)], clusters=texts)
tally = sy.calibration.ReliabilityState(9000).update(x, hit)
documents = sy.calibration.ReliabilityState().update(x, hit, clusters=ids)
norm = sy.optim.GlobalNormState().update(few)
opt_few, opt_large = sy.AdamW(few), sy.AdamW(large)
schedule = sy.schedules.cosine(1.0, total_steps=n)

CALLS = {
    "estimate": lambda: sy.estimate(x),
    "estimate of clusters": lambda: sy.estimate(x, clusters=ids),
    "proportion": lambda: sy.proportion(870, 1000),
    "proportion of arrays": lambda: sy.proportion(counts, counts + 5),
    "compare": lambda: sy.compare(x, y),
    "compare clusters": lambda: sy.compare(x, y, clusters=ids),
    "bootstrap": lambda: sy.bootstrap(x[:1000], n_resamples=999),
    "bootstrap of clusters": lambda: sy.bootstrap(x[:90_000], clusters=ids[:90_000], n_resamples=99, confidence_level=0.9),
    "token_scores": lambda: sy.token_scores(classes, labels),
    "perplexity": lambda: sy.perplexity(x),
    "perplexity of clusters": lambda: sy.perplexity(x, clusters=ids),
    "perplexity of texts": lambda: sy.perplexity(x[: len(texts)], clusters=texts),
    "PerplexityState.merge": lambda: sy.tokens.PerplexityState().merge(state),
    "PerplexityState + ": lambda: named + named,
    "PerplexityState.to_bytes": lambda: state.to_bytes(),
    "PerplexityState.compute": lambda: state.compute(),
    "PerplexityState.from_bytes": lambda: sy.tokens.PerplexityState.from_bytes(named.to_bytes()),
    "reliability": lambda: sy.reliability(x, hit),
    "reliability of classes": lambda: sy.reliability(chances, labels),
    "reliability of clusters": lambda: sy.reliability(x, hit, clusters=ids),
    "reliability of weights": lambda: sy.reliability(x, hit, weights=x + 0.5),
    "reliability of clusters and weights": lambda: sy.reliability(x, hit, weights=x + 0.5, clusters=ids),
    "reliability of texts": lambda: sy.reliability(x[: len(texts)], hit[: len(texts)], clusters=texts),
    "ReliabilityState + ": lambda: documents + documents,
    "ReliabilityState.compute in clusters": lambda: documents.compute(),
    "ReliabilityState.to_bytes": lambda: documents.to_bytes(),
    "ReliabilityState.from_bytes in clusters": lambda: sy.calibration.ReliabilityState.from_bytes(documents.to_bytes()),
    "ReliabilityState.compute": lambda: tally.compute(),
    "ReliabilityState.from_bytes": lambda: sy.calibration.ReliabilityState.from_bytes(tally.to_bytes()),
    "preference_loss": lambda: sy.preference_loss(*columns),
    "global_norm": lambda: sy.global_norm(few),
    "GlobalNormState.update": lambda: sy.optim.GlobalNormState().update(large),
    "GlobalNormState.to_bytes": lambda: norm.to_bytes(),
    "clip_by_global_norm_": lambda: sy.clip_by_global_norm_([g.copy() for g in few], 1.0),
    "AdamW": lambda: sy.AdamW([p.copy() for p in few]),
    "AdamW.step of many": lambda: opt_few.step(grads_few),
    "AdamW.step of large": lambda: opt_large.step(grads_large),
    "AdamW.state_dict": lambda: opt_large.state_dict(),
    "a schedule": lambda: schedule(np.arange(n)),
    "holm": lambda: sy._core.adjusted(x.astype(np.float64), method="holm"),
}
ROOMS = [0, 1 << 18, 1 << 20, 4 << 20]
"""


@linux
def test_no_public_call_dies_under_a_limit() -> None:
    """Each without room, and with a little more; afterwards it works."""
    out = run(
        UNDER_A_LIMIT
        + textwrap.dedent("""
        said = set()
        for name, call in CALLS.items():
            print(name, end=": ", file=sys.stderr, flush=True)
            for threads in (1, 2):
                sy.threads(threads)
                for room in ROOMS:
                    said.add(limited(call, room))
            call()
        print(sorted(said))
        """)
    )
    assert out == "['MemoryError', 'fitted']"


@linux
def test_a_pool_whose_threads_do_not_fit_is_no_error() -> None:
    out = run("""
        import resource
        sy.threads(64)
        rows = np.ones((64, 40_000), np.float32)
        token_scores = sy.token_scores  # imported before there is a limit
        used = int(open("/proc/self/statm").read().split()[0]) * resource.getpagesize()
        resource.setrlimit(resource.RLIMIT_AS, (used + (24 << 20),) * 2)
        found = token_scores(rows, np.zeros(64, np.int64)).nll
        print(len(set(found.tolist())), threading.active_count())
    """)
    assert out == "1 1"


# -- the reserve of memory ---------------------------------------------------------------------------------------------


def test_what_cannot_fail_is_served_when_there_is_no_memory() -> None:
    """An error's own text and box: far more of them than the reserve has bytes, since they come back to it."""
    x = np.ones(10)
    for _ in range(20_000):
        _core.fail_allocations_for_tests(0, FOREVER, 0)
        with pytest.raises(ValueError, match="confidence_level"):
            _core.mean_interval(
                mean=0.0,
                squares=1.0,
                n=9,
                confidence_level=2.0,
                alternative="two-sided",
                low=0.0,
                high=1.0,
                step=0.0,
                rows=9.0,
            )
        with pytest.raises(MemoryError, match=r"no memory for .* bytes"):
            _core.adjusted(x, method="holm")
    _core.fail_allocations_for_tests(0, 0, 0)
    assert _core.adjusted(x, method="holm").tolist() == [1.0] * 10


def test_the_error_says_how_much_was_asked_for() -> None:
    """With more elements than the memory of any earlier result has that is kept for later ones (64 MiB)."""
    n = 1 << 23
    zeros = np.zeros(n, np.int8)
    _core.fail_allocations_for_tests(0, 1, n + 1)
    with pytest.raises(MemoryError, match=r"^no memory for \d+ bytes$"):
        sy.proportion(zeros, zeros + np.int8(1))
    assert _core.fail_allocations_for_tests(0, 0, 0) == 0
    assert sy.estimate(np.ones(100_000)).value == 1.0


def test_a_step_without_memory_is_not_made_and_not_counted() -> None:
    params = [np.ones(5, np.float32) for _ in range(9000)]
    grads = [np.ones(5, np.float32) for _ in range(9000)]
    opt = sy.AdamW(params)
    for n in range(100):
        _core.fail_allocations_for_tests(n, FOREVER, allocation.LARGE)
        try:
            opt.step(grads)
        except MemoryError:
            _core.fail_allocations_for_tests(0, 0, 0)
            assert opt.state_dict()["step"] == 0
            assert all((p == 1).all() for p in params)
        else:
            break
        finally:
            _core.fail_allocations_for_tests(0, 0, 0)
    assert n > 3
    assert opt.state_dict()["step"] == 1


# -- exceptions of foreign code ------------------------------------------------------------------------------------------


class Interrupted(Exception):
    pass


class Raises:
    """What cannot be converted, for a reason of its own."""

    shape = ()

    def __init__(self, error: BaseException) -> None:
        self.error = error

    def __array__(self, dtype: Any = None, copy: Any = None) -> np.ndarray:
        raise self.error

    def item(self) -> float:
        raise self.error

    def __repr__(self) -> str:
        raise self.error


class Signals(Raises):
    """A signal comes while it is being converted."""

    def __init__(self) -> None:
        super().__init__(RuntimeError())

    def __array__(self, dtype: Any = None, copy: Any = None) -> np.ndarray:
        signal.raise_signal(signal.SIGINT)
        return np.ones(3)

    def item(self) -> float:
        signal.raise_signal(signal.SIGINT)
        return 0.5

    def __repr__(self) -> str:
        signal.raise_signal(signal.SIGINT)
        return "me"


CONVERSIONS = {
    "an array": sy.estimate,
    "a mask": lambda x: sy.estimate(np.ones(3), where=x),
    "ids": lambda x: sy.estimate(np.ones(3), clusters=x),
    "a number": lambda x: sy.AdamW([np.ones(3)], lr=x),
    "in a list": lambda x: sy.estimate([x, x]),
}


@pytest.mark.parametrize("convert", CONVERSIONS.values(), ids=CONVERSIONS)
@pytest.mark.parametrize(
    "error",
    [MemoryError("mine"), RecursionError(), KeyboardInterrupt(), SystemExit(3), Interrupted(), TimeoutError()],
    ids=repr,
)
def test_what_is_not_about_the_argument_keeps_its_type(convert: Any, error: BaseException) -> None:
    with pytest.raises(type(error)) as caught:
        convert(Raises(error))
    assert caught.value is error


@pytest.mark.parametrize("convert", CONVERSIONS.values(), ids=CONVERSIONS)
def test_what_refuses_to_be_an_array_is_a_sentence(convert: Any) -> None:
    for error in (RuntimeError("no"), ValueError("no"), TypeError("no")):
        with pytest.raises((TypeError, ValueError), match="expected"):
            convert(Raises(error))


class Handler:
    def method(self, *_: object) -> None:
        raise ValueError("the handler's")

    __call__ = method


def handler(*_: object, text: str = "the handler's") -> None:
    raise ValueError(text)


@pytest.mark.parametrize(
    "handler", [handler, partial(handler, text="the handler's"), Handler().method, Handler()], ids=["function", "partial", "method", "object"]
)  # fmt: skip
@pytest.mark.parametrize("convert", [CONVERSIONS["an array"], CONVERSIONS["a number"]], ids=["array", "number"])
def test_a_signal_handlers_exception_keeps_its_type(convert: Any, handler: Any) -> None:
    before = signal.signal(signal.SIGINT, handler)
    try:
        with pytest.raises(ValueError, match=r"^the handler's$"):
            convert(Signals())
    finally:
        signal.signal(signal.SIGINT, before)

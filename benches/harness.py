"""How a row of the benchmarks is measured: our call and a peer's take turns on the same buffers, in one process.

The file of a room lists in ``ROWS`` functions without arguments that make the buffers and return a ``Row``, and in
``GROWTH`` functions that return a ``Growth``. They are called one by one, so that the memory of one row is freed before
the next is made. Where a peer is not installed such a function raises ``ImportError``, and the row is reported as missing.
"""

from __future__ import annotations

import importlib
import importlib.metadata
import itertools
import statistics
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import numpy as np

import steelyard

THREADS = 2
SECONDS = 6.0  # about how long one row is measured
ROUNDS = (5, 200)  # the fewest and the most rounds of one row
REST = 0.01  # seconds of rest before each turn
Call = Callable[[], Any]


@dataclass(frozen=True)
class Row:
    """A claim about speed: how many times faster ours is than the peer.

    Attributes
    ----------
    work : what is computed, with its shape: "NLL, f32 [1024, 128256]"
    ours, peer : the two calls, ready to run on the same buffers
    against : the peer's call, as one would write it
    package : the distribution whose version is reported with it
    at_least : the ratio of times, peer / ours, that is claimed; None where none is claimed
    limit : a call that only moves the bytes that ours has to move, for example ``read_once`` of the input. It is measured
        in turn with the two: no call can be faster on this machine
    limit_bytes : how many bytes that is
    at_most_limit : how many times as long as the limit ours may take; None where nothing is claimed
    agree : is called once with both results, before anything is timed, and raises if they differ
    cold : the caches are filled with other data before each timed run, as a training loop fills them between two steps;
        otherwise the timed run follows an untimed one, which has left in the caches what fits there
    """

    work: str
    ours: Call
    peer: Call
    against: str
    package: str
    at_least: float | None = None
    limit: Call | None = None
    limit_bytes: int = 0
    at_most_limit: float | None = None
    agree: Callable[[Any, Any], None] | None = None
    cold: bool = False


@dataclass(frozen=True)
class Difference:
    """A claim that ours takes at most ``at_most_ms`` milliseconds longer than the peer, as for starting a process."""

    work: str
    ours: Call
    peer: Call
    against: str
    package: str
    at_most_ms: float


@dataclass(frozen=True)
class Growth:
    """How our time grows with the size of the input; there is no peer.

    Attributes
    ----------
    unit : what the time is divided by, such as a row; a call of size n has n of them, unless ``units`` says how many
    make : makes the call for a size
    units : how many units every call has, where the size counts something else, such as threads
    """

    work: str
    unit: str
    sizes: Sequence[int]
    make: Callable[[int], Call]
    units: int | None = None


def version(package: str) -> str:
    """Return "name version" of an installed distribution, or of this package however it was found."""
    if package == "steelyard":
        return f"steelyard {steelyard.__version__}"
    return f"{package} {importlib.metadata.version(package)}"


def need(*modules: str) -> list[Any]:
    """Import the peers; the ``ImportError`` where one is absent makes its row a missing one."""
    return [importlib.import_module(name) for name in modules]


def torch_with_threads() -> Any:
    """Return torch, set to the thread count of this run."""
    (torch,) = need("torch")
    torch.set_num_threads(THREADS)
    return torch


def parallel(work: Callable[[np.ndarray], Any], *arrays: np.ndarray) -> None:
    """Run ``work`` on equal slices of the arrays, each in a thread of its own (NumPy releases the interpreter)."""
    n = len(arrays[0])
    cuts = [n * i // THREADS for i in range(THREADS + 1)]
    parts = [tuple(a[i:j] for a in arrays) for i, j in itertools.pairwise(cuts)]
    list(_pool.map(lambda part: work(*part), parts))


_pool = ThreadPoolExecutor(THREADS)


def read_once(buffer: np.ndarray) -> Call:
    """Return a call that reads the buffer at the speed of the memory: it adds integers, which takes no longer."""
    words = buffer.reshape(-1).view(np.uint8)
    words = words[: words.size // 8 * 8].view(np.uint64)
    return lambda: parallel(np.add.reduce, words)


def four_streams(p: np.ndarray, m: np.ndarray, v: np.ndarray, g: np.ndarray) -> Call:
    """Return a call that moves as many bytes as an optimizer step: it reads four arrays and writes three of them.

    It goes by blocks that fit the cache, so that ``g`` is fetched from memory once.
    """

    def pass_over(p: np.ndarray, m: np.ndarray, v: np.ndarray, g: np.ndarray) -> None:
        for i in range(0, len(p), 1 << 15):
            block = slice(i, i + (1 << 15))
            for out in (p, m, v):
                np.add(out[block], g[block], out=out[block])

    return lambda: parallel(pass_over, p, m, v, g)


def seconds(call: Call) -> float:
    """Return how long one run takes."""
    start = time.perf_counter()
    call()
    return time.perf_counter() - start


def fill_caches() -> None:
    """Put other data in the place of whatever the caches hold."""
    np.add(_others, 1, out=_others)


_others = np.zeros(1 << 25, np.int64)  # 256 MiB: more than the last cache of the processors that one meets


def take_turns(calls: Sequence[Call], patience: int = 1, cold: bool = False) -> list[list[float]]:
    """Time the calls in turn, round after round, for about ``SECONDS`` (rests not counted); return a list for each call.

    In its turn a call rests, runs untimed, and runs again timed. Without the rest OpenMP's threads, which spin for
    milliseconds after their work is done, would keep the cores from the next call; the untimed run wakes the call's
    threads and brings its data into the cache. With ``cold`` the caches are filled with other data in place of it.
    """
    for call in calls:
        call()
    first = [seconds(call) for call in calls]
    rounds = int(min(max(patience * SECONDS / max(2 * sum(first), 1e-9), ROUNDS[0]), ROUNDS[1]))
    times: list[list[float]] = [[] for _ in calls]
    for turn in range(rounds):
        # Every second round runs backwards, so that no call always comes after the same other one.
        order = range(len(calls)) if turn % 2 == 0 else reversed(range(len(calls)))
        for i in order:
            time.sleep(REST)
            fill_caches() if cold else calls[i]()
            times[i].append(seconds(calls[i]))
    return times


def spread(values: Iterable[float]) -> list[float]:
    """Return the lower and the upper quartile."""
    low, _, high = statistics.quantiles(list(values), n=4)
    return [low, high]


def measure(row: Row) -> dict[str, Any]:
    """Measure one row."""
    if row.agree:
        row.agree(row.ours(), row.peer())
    calls = [row.ours, row.peer] + ([row.limit] if row.limit else [])
    ours, peer, *limit = take_turns(calls, cold=row.cold)
    ratios = [b / a for a, b in zip(ours, peer, strict=True)]
    out: dict[str, Any] = {
        "work": row.work,
        "against": row.against,
        "peer": version(row.package),
        "ratio": statistics.median(ratios),
        "spread": spread(ratios),
        "at_least": row.at_least,
        "ours_seconds": statistics.median(ours),
        "peer_seconds": statistics.median(peer),
        "rounds": len(ours),
    }
    met = row.at_least is None or out["ratio"] >= row.at_least
    if limit:
        times = [a / b for a, b in zip(ours, limit[0], strict=True)]
        out |= {
            "times_limit": statistics.median(times),
            "times_limit_spread": spread(times),
            "at_most_limit": row.at_most_limit,
            "limit_gb_per_s": row.limit_bytes / statistics.median(limit[0]) / 1e9,
        }
        met = met and (row.at_most_limit is None or out["times_limit"] <= row.at_most_limit)
    return out | {"met": met}


def measure_difference(row: Difference) -> dict[str, Any]:
    """Measure a row whose claim is a difference in milliseconds."""
    ours, peer = take_turns([row.ours, row.peer], patience=5)  # the difference is small beside the two times
    milliseconds = [1e3 * (a - b) for a, b in zip(ours, peer, strict=True)]
    difference = statistics.median(milliseconds)
    return {
        "work": row.work,
        "against": row.against,
        "peer": version(row.package),
        "difference_ms": difference,
        "spread": spread(milliseconds),
        "at_most_ms": row.at_most_ms,
        "rounds": len(ours),
        "met": difference <= row.at_most_ms,
    }


def measure_growth(growth: Growth) -> dict[str, Any]:
    """Measure the nanoseconds per unit at every size."""
    nanoseconds = []
    for size in growth.sizes:
        call = growth.make(size)
        call()
        once = seconds(call)
        times = [seconds(call) for _ in range(int(min(max(1.0 / max(once, 1e-9), 3), 100)))]
        nanoseconds.append(1e9 * statistics.median(times) / (growth.units or size))
    return {"work": growth.work, "unit": growth.unit, "sizes": list(growth.sizes), "ns_per_unit": nanoseconds}


def run(makers: Iterable[Callable[[], Row | Difference | Growth]]) -> Iterator[dict[str, Any]]:
    """Make and measure one row after another; where the peer is missing the row says so."""
    with steelyard.threads(THREADS):
        for make in makers:
            try:
                made = make()
            except ImportError as error:
                yield {"work": make.__doc__ or make.__name__, "missing": error.name or str(error)}
                continue
            if isinstance(made, Growth):
                yield measure_growth(made)
            elif isinstance(made, Difference):
                yield measure_difference(made)
            else:
                yield measure(made)
            del made

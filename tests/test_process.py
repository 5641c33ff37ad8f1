"""Processes, threads, signals and memory: tests that need a process of their own.

Every script runs in a new interpreter with warnings as errors; one that hangs is killed, and the test fails.
"""

from __future__ import annotations

import os
import platform
import signal
import subprocess
import sys
import textwrap
import time
from pathlib import Path

import numpy as np
import pytest

from steelyard import _core

WATCHDOG = 60  # seconds until a child counts as hung
linux = pytest.mark.skipif(platform.system() != "Linux", reason="needs fork and /proc as Linux has them")

# A call of any length without its memory: one row, seen many times.
PRELUDE = """
import os, sys, threading, time
import numpy as np
import steelyard as sy

ROW = (np.arange(128_256) % 977).astype(np.float32) / 100

def long_call(rows, **options):
    logits = np.broadcast_to(ROW, (rows, ROW.size))
    return sy.token_scores(logits, np.arange(rows) % ROW.size, **options).nll.tobytes()
"""


def start(script: str, env: dict[str, str] | None = None) -> subprocess.Popen[str]:
    """Start a script after the prelude."""
    # Python 3.12 warns of every fork of a process with threads: these tests fork on purpose.
    options = ["-W", "error", "-W", "ignore:This process:DeprecationWarning"]
    base = {k: v for k, v in os.environ.items() if not k.startswith(("STEELYARD_", "OMP_"))}
    return subprocess.Popen(
        [sys.executable, *options, "-c", PRELUDE + textwrap.dedent(script)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=base | (env or {}),
        start_new_session=True,
    )


def run(script: str, env: dict[str, str] | None = None) -> str:
    """Run a script to its end: its output."""
    child = start(script, env)
    try:
        out, err = child.communicate(timeout=WATCHDOG)
    except subprocess.TimeoutExpired:
        os.killpg(child.pid, signal.SIGKILL)  # with what it forked, which would hold the pipes open
        pytest.fail(f"hung for {WATCHDOG} s:\n{''.join(child.communicate())}")
    assert child.returncode == 0, err
    return out.strip()


@linux
def test_a_child_forked_after_the_pool_was_used_is_serial_and_right() -> None:
    out = run("""
        sy.threads(2)
        want = long_call(64)
        pid = os.fork()
        if pid == 0:
            assert sy.show_config(mode="dicts")["threads"] == 1, "a forked child is serial"
            same = long_call(64) == want
            sy.threads(2)
            assert sy.show_config(mode="dicts")["threads"] == 2, "until it asks"
            same = same and long_call(64) == want
            os._exit(0 if same else 1)
        _, status = os.waitpid(pid, 0)
        assert long_call(64) == want, "the parent's pool lives on"
        print(os.waitstatus_to_exitcode(status))
    """)
    assert out == "0"


@linux
def test_forks_during_a_pooled_call() -> None:
    out = run("""
        sy.threads(2)
        want = long_call(64)
        stop = threading.Event()
        def busy():
            while not stop.is_set():
                long_call(256)
        worker = threading.Thread(target=busy)
        worker.start()
        codes = []
        for _ in range(20):
            pid = os.fork()
            if pid == 0:
                same = long_call(8) == want[: 8 * 8]
                sy.threads(2)
                os._exit(0 if same and long_call(64) == want else 1)
            codes.append(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))
        stop.set()
        worker.join()
        print(sum(codes))
    """)
    assert out == "0"


@pytest.mark.parametrize("method", ["fork", "spawn", "forkserver"])
@linux
def test_multiprocessing(method: str, tmp_path_factory: pytest.TempPathFactory) -> None:
    folder = tmp_path_factory.mktemp("mp")
    (folder / "mp_worker.py").write_text(
        "import numpy as np, steelyard as sy\n"
        "def score(n):\n"
        "    logits = np.broadcast_to((np.arange(5000) % 977).astype(np.float32) / 100, (n, 5000))\n"
        "    return sy.token_scores(logits, np.zeros(n, np.int64)).nll.tobytes()\n"
    )
    script = f"""
        sys.path.insert(0, {str(folder)!r})
        import multiprocessing, mp_worker
        if __name__ == "__main__":
            want = [mp_worker.score(n) for n in (1, 300, 7)]
            with multiprocessing.get_context({method!r}).Pool(2) as pool:
                print(pool.map(mp_worker.score, (1, 300, 7)) == want)
    """
    path = os.pathsep.join(filter(None, [str(folder), os.environ.get("PYTHONPATH")]))
    assert run(script, {"PYTHONPATH": path}) == "True"


@pytest.mark.parametrize("threads", [1, 2])
@linux
def test_ctrl_c_ends_a_long_call_within_100_ms(threads: int) -> None:
    """The best of a few attempts, so that a busy machine does not decide; every attempt must end."""
    waits = []
    for _ in range(6):
        child = start(f"""
            import signal
            # A shell's background job, and so its children, are started with this signal ignored.
            signal.signal(signal.SIGINT, signal.default_int_handler)
            sy.threads({threads})
            long_call(64)
            print("ready", flush=True)
            try:
                long_call(4_000_000)
            except KeyboardInterrupt:
                print(time.monotonic(), flush=True)
        """)
        assert child.stdout is not None
        assert child.stdout.readline() == "ready\n", child.communicate()[1]
        time.sleep(0.2)
        sent = time.monotonic()
        child.send_signal(signal.SIGINT)
        try:
            out, err = child.communicate(timeout=WATCHDOG)
        except subprocess.TimeoutExpired:
            child.kill()
            child.communicate()
            pytest.fail("Ctrl-C was not answered")
        assert child.returncode == 0, err
        waits.append(float(out) - sent)
        if waits[-1] < 0.1:
            return
    pytest.fail(f"seconds from signal to KeyboardInterrupt: {waits}")


@linux
def test_ctrl_c_reaches_a_child_that_another_thread_forked() -> None:
    """The forking thread is the child's main one, whatever it was when it made its first call."""
    out = run("""
        import signal
        signal.signal(signal.SIGINT, signal.default_int_handler)

        def interrupted_child():
            signal.alarm(30)  # ends a child that does not answer
            threading.Timer(0.3, os.kill, (os.getpid(), signal.SIGINT)).start()
            try:
                long_call(4_000_000)  # more than a minute
            except KeyboardInterrupt:
                os._exit(7)
            os._exit(1)

        def work():
            long_call(64)
            pid = os.fork()
            if pid == 0:
                interrupted_child()
            print(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))

        worker = threading.Thread(target=work)
        worker.start()
        worker.join()
    """)
    assert out == "7"


def test_an_exception_of_progress_stops_the_work_and_is_what_the_caller_sees() -> None:
    out = run("""
        sy.threads(2)
        def stop(done, total):
            assert 0 <= done <= total == 4_000_000
            raise LookupError("enough")
        try:
            long_call(4_000_000, progress=stop)
        except LookupError as error:
            print(error, len(long_call(8)))
    """)
    assert out == "enough 64"


def test_a_panic_is_a_runtime_error_and_the_pool_lives_on() -> None:
    out = run("""
        sy.threads(2)
        want = long_call(64)
        for pooled in (False, True):
            try:
                sy._core.panic_for_tests(pooled)
            except RuntimeError as error:
                assert "internal error" in str(error) and "show_config" in str(error), error
                print("caught")
        assert long_call(64) == want
    """)
    # The panic's own line goes to standard error; the exception is what Python sees.
    assert out == "caught\ncaught"


def test_calls_from_many_threads_agree() -> None:
    out = run("""
        sy.threads(2)
        want = long_call(64)
        results = [None] * 8
        def work(i):
            results[i] = long_call(64)
        workers = [threading.Thread(target=work, args=(i,)) for i in range(8)]
        for w in workers: w.start()
        for w in workers: w.join()
        print(all(r == want for r in results))
    """)
    assert out == "True"


def test_the_interpreter_is_free_during_a_call() -> None:
    """Another thread of Python counts while a call runs."""
    out = run("""
        sy.threads(2)
        counted, stop = 0, threading.Event()
        def count():
            global counted
            while not stop.is_set():
                counted += 1
                time.sleep(0.001)
        worker = threading.Thread(target=count)
        sys.setswitchinterval(1000)  # a thread gives way only where it detaches
        worker.start()
        before = counted
        long_call(10_000)
        after = counted
        stop.set()
        worker.join()
        print(after - before > 10)
    """)
    assert out == "True"


def test_leaving_during_a_call_of_a_daemon_thread_does_not_hang() -> None:
    out = run("""
        sy.threads(2)
        threading.Thread(target=long_call, args=(4_000_000,), daemon=True).start()
        time.sleep(0.2)
        print("left", flush=True)
    """)
    assert out == "left"


THREADS = "print(sy.show_config(mode='dicts')['threads'])"


@pytest.mark.parametrize(
    ("env", "threads"),
    [
        ({"STEELYARD_NUM_THREADS": "3"}, "3"),
        ({"OMP_NUM_THREADS": "2"}, "2"),
        ({"OMP_NUM_THREADS": "4,2"}, "4"),
        ({"STEELYARD_NUM_THREADS": "3", "OMP_NUM_THREADS": "2"}, "3"),
        ({"STEELYARD_NUM_THREADS": "", "OMP_NUM_THREADS": "2"}, "2"),
    ],
)
def test_the_environment_sets_threads(env: dict[str, str], threads: str) -> None:
    assert run(THREADS, env) == threads
    assert run("sy.threads(5); " + THREADS, env) == "5"


@linux
def test_affinity_bounds_the_default() -> None:
    """Set before import: a batch system's way of giving a job its cores."""
    script = f"""
        import os, subprocess, sys
        os.sched_setaffinity(0, {{min(os.sched_getaffinity(0))}})
        code = "import steelyard as sy; {THREADS}"
        print(subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.strip())
    """
    assert run(script) == "1"


@pytest.mark.parametrize(
    ("env", "says"),
    [
        ({"STEELYARD_NUM_THREADS": "many"}, "STEELYARD_NUM_THREADS: expected a whole number of threads"),
        ({"STEELYARD_NUM_THREADS": "0"}, "at least 1"),
        ({"STEELYARD_ISA": "v5"}, "STEELYARD_ISA: expected one of baseline"),
    ],
)
def test_a_wrong_environment_is_refused_at_import(env: dict[str, str], says: str) -> None:
    child = start("", env)
    _, err = child.communicate(timeout=WATCHDOG)
    assert child.returncode != 0
    assert says in err.splitlines()[-1]


@pytest.mark.parametrize("level", _core.isa_available())
def test_the_environment_forces_a_level(level: str) -> None:
    assert run("print(sy.show_config(mode='dicts')['isa'])", {"STEELYARD_ISA": level}) == level


# Peak resident memory above what was resident before the call, in bytes.
MEMORY = """
def status(key):
    with open("/proc/self/status") as f:
        return next(int(line.split()[1]) * 1024 for line in f if line.startswith(key))

def extra(call):
    call()  # the pool, its stacks and the allocator's arenas exist from now on
    with open("/proc/self/clear_refs", "w") as f:
        f.write("5")
    before = status("VmRSS")
    call()
    return status("VmHWM") - before
"""
MIB = 1 << 20


@linux
def test_token_scores_take_under_one_mebibyte_a_thread() -> None:
    """128 MiB of logits in memory, and no copy of any of it."""
    script = MEMORY + textwrap.dedent("""
        sy.threads(2)
        logits = np.ones((256, 131_072), np.float32)
        targets = np.zeros(256, np.int64)
        print(extra(lambda: sy.token_scores(logits, targets)))
        print(extra(lambda: sy.token_scores(logits[:, :-1], targets)))
    """)
    contiguous, strided = map(int, run(script).split())
    assert contiguous < 2 * MIB
    assert strided < 2 * MIB


@linux
def test_a_base_file_is_never_decoded_whole(tmp_path: Path) -> None:
    """64 MiB of codes, whose pages the map holds already, would be 128 MiB in float32."""
    n_ctx, width = 512, 131_072
    path = tmp_path / "base"
    path.write_bytes(b"_logits_" + np.array([n_ctx, width, 1], np.int32).tobytes())
    os.truncate(path, 20 + 4 * n_ctx + 255 * 2 * (width + 4))
    script = MEMORY + textwrap.dedent(f"""
        sy.threads(2)
        base = sy.tokens.KLBase({str(path)!r})
        logits = np.broadcast_to(np.zeros(base.n_vocab, np.float32), base.shape)
        base.codes.max()
        print(extra(lambda: sy.token_scores(logits, base.targets, baseline=base)))
    """)
    assert int(run(script)) < 2 * MIB


@linux
def test_reliability_takes_memory_for_its_bins_only() -> None:
    script = MEMORY + textwrap.dedent("""
        sy.threads(2)
        probs = np.linspace(0, 1, 10_000_000, dtype=np.float32)
        labels = np.zeros(10_000_000, np.uint8)
        print(extra(lambda: sy.reliability(probs, labels)))
    """)
    assert int(run(script)) < 4 * MIB


@linux
def test_replicates_beyond_memory_are_refused_and_the_process_lives() -> None:
    out = run("""
        import resource
        resource.setrlimit(resource.RLIMIT_AS, (4 << 30, 4 << 30))
        try:
            sy.bootstrap(np.arange(9.0), n_resamples=10**9)
        except MemoryError as error:
            print(error)
    """)
    assert out == ("n_resamples: expected replicates that fit into memory; got 1000000000, which need 22.4 GiB")


@linux
def test_ten_million_rows_need_no_copy() -> None:
    out = run("""
        import resource
        sy.threads(2)
        n = 10_000_000
        x = ((np.arange(n, dtype=np.uint32) * np.uint32(2654435761)) >> 8).astype(np.float32) / 2**24
        hit = x > 0.5
        few = x[:200_000]
        def calls(x, hit):
            sy.estimate(x), sy.reliability(x, hit), sy.bootstrap(x, n_resamples=19, method="basic", confidence_level=0.5)
        calls(few, hit[: len(few)])  # starts the pool, whose stacks and arenas count as memory
        peak = lambda: resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        before = peak()
        calls(x, hit)
        print(peak() - before < 16 * 1024)  # the data is 40 MB
    """)
    assert out == "True"


def test_threads_that_update_one_state_lose_nothing() -> None:
    out = run("""
        state = sy.tokens.PerplexityState()
        tally = sy.calibration.ReliabilityState()
        norm = sy.optim.GlobalNormState()
        rows = np.ones((40, 500))
        refused = []
        def work():
            for _ in range(200):
                try:
                    state.update(rows)
                except Exception as error:
                    refused.append(error)
        sys.setswitchinterval(1e-6)
        threads = [threading.Thread(target=work) for _ in range(4)]
        [t.start() for t in threads], [t.join() for t in threads]
        print(state.compute().n == 20_000 * (800 - len(refused)), {str(e) for e in refused} or "none refused")
    """)
    assert out == "True none refused"


RESULTS = """
def scored(n, seed=0):
    columns = -np.abs(np.random.default_rng(seed).standard_normal((4, n)))
    return sy.preference_loss(*columns)

def columns(result):
    return [result.losses, result.grad_chosen, result.grad_rejected, result.rewards_chosen, result.rewards_rejected]
"""


def test_a_results_memory_is_used_again_once_nobody_has_it() -> None:
    run(
        RESULTS
        + textwrap.dedent("""
        n = 100_000
        first = scored(n)
        kept = first.losses[10:20]  # a view keeps what it looks at
        places = {c.ctypes.data for c in columns(first)} - {first.losses.ctypes.data}
        expected, tail = columns(first)[0].copy(), kept.copy()
        del first
        second = scored(n, seed=1)
        assert {c.ctypes.data for c in columns(second)} & places, "the memory was not used again"
        assert np.array_equal(kept, tail)
        third = scored(n)  # beside the second: nothing is shared
        every = columns(second) + columns(third) + [kept]
        assert not any(np.shares_memory(a, b) for i, a in enumerate(every) for b in every[:i])
        assert np.array_equal(third.losses, expected)
        # Memory of a longer result serves a shorter one: the same bits as in memory that nobody had.
        fewer = [-np.abs(c[: n - 1000]) for c in np.random.default_rng(2).standard_normal((4, n))]
        unused = [c.copy() for c in columns(sy.preference_loss(*fewer))]
        del second, third, every
        used = sy.preference_loss(*fewer)
        assert all(np.array_equal(a, b) for a, b in zip(unused, columns(used)))
        """)
    )


def test_memory_of_results_is_used_again_by_any_thread() -> None:
    run(
        RESULTS
        + textwrap.dedent("""
        wanted = {n: scored(n).losses.tobytes() for n in (20_000, 25_000, 60_000)}
        wrong = []
        def work():
            for i in range(60):
                n = list(wanted)[i % 3]
                if scored(n).losses.tobytes() != wanted[n]:
                    wrong.append(n)
        threads = [threading.Thread(target=work) for _ in range(6)]
        [t.start() for t in threads]
        [t.join() for t in threads]
        assert not wrong
        """)
    )


@linux
def test_memory_that_waits_for_results_is_bounded() -> None:
    """At most 64 MiB of memory are kept for later results, whatever was computed before."""
    script = """
        def resident():
            return int(open("/proc/self/statm").read().split()[1]) * os.sysconf("SC_PAGE_SIZE") / 2**20

        scored(1000)
        before = resident()
        many = [scored(n) for n in range(100_000, 1_000_000, 100_000)]
        assert resident() - before > 150
        del many
        print(resident() - before)
    """
    returned_at_once = {"MALLOC_MMAP_THRESHOLD_": "100000"}  # by malloc, so that what stays is ours
    assert 40 < float(run(RESULTS + textwrap.dedent(script), returned_at_once)) < 64 + 8


@linux
def test_a_result_beyond_memory_is_a_memory_error_and_the_process_lives() -> None:
    run(
        RESULTS
        + textwrap.dedent("""
        import resource
        column = np.zeros(20_000_000, np.float16)
        used = int(open("/proc/self/statm").read().split()[0]) * resource.getpagesize()
        resource.setrlimit(resource.RLIMIT_AS, (used + 2**28,) * 2)
        try:
            sy.preference_loss(column, column, column, column)
        except MemoryError as error:
            assert "bytes" in str(error)
        else:
            raise AssertionError("it fitted")
        assert scored(1000).losses.shape == (1000,)
        """)
    )

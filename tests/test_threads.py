"""Threads that share the core: simultaneous calls, the number of helpers, daemon threads at exit, forked children."""

from __future__ import annotations

from textwrap import dedent

import pytest

from .test_process import linux, run

# Whether this process may create namespaces, and a fork by system call, which the C library does not notice.
NAMESPACES = """
import ctypes, platform
libc = ctypes.CDLL(None, use_errno=True)
CLONE_NEWPID, CLONE_NEWUSER = 0x20000000, 0x10000000
"""


def test_a_short_call_does_not_wait_for_another_threads_long_one() -> None:
    out = run("""
        sy.threads(2)
        want = long_call(200)
        stop = threading.Event()
        def busy():
            def watched(done, total):
                if stop.is_set():
                    raise InterruptedError
            try:
                long_call(4_000_000, progress=watched)  # more than a minute
            except InterruptedError:
                pass
        worker = threading.Thread(target=busy)
        worker.start()
        time.sleep(0.2)
        for _ in range(3):
            assert long_call(200) == want
        print(worker.is_alive())
        stop.set()
        worker.join()
    """)
    assert out == "True"


def test_many_long_and_short_calls_beside_each_other_agree() -> None:
    out = run("""
        sy.threads(3)
        want = {n: long_call(n) for n in (1, 8, 64, 500)}
        wrong = []
        def work(sizes):
            for n in sizes:
                if long_call(n) != want[n]:
                    wrong.append(n)
        turns = [(500, 8, 500), (8,) * 40, (64, 1) * 20, (500, 500), (1,) * 80]
        workers = [threading.Thread(target=work, args=(sizes,)) for sizes in turns]
        for w in workers: w.start()
        for w in workers: w.join()
        print(wrong)
    """)
    assert out == "[]"


@linux
def test_asking_for_more_threads_adds_to_those_there_are() -> None:
    out = run("""
        def count():
            return len(os.listdir("/proc/self/task"))
        before = count()
        for n in (2, 3, 4, 8, 2, 5, 8, 1, 8):
            sy.threads(n)
            long_call(64)
        print(count() - before)
    """)
    assert out == "8"


@pytest.mark.parametrize("threads", [1, 2])
@pytest.mark.parametrize("callback", ["pass", "time.sleep(0.001)", "spin(0.01)", "time.sleep(0.05); spin(0.01)"])
def test_leaving_while_a_daemon_thread_reports_progress(callback: str, threads: int) -> None:
    """Python ends the daemon wherever it next asks for the interpreter, in the middle of its own code too."""
    script = f"""
        sy.threads({threads})
        def spin(seconds):
            end = time.monotonic() + seconds
            while time.monotonic() < end: pass
        def progress(done, total):
            {callback}
        for _ in range(3):
            threading.Thread(target=long_call, args=(4_000_000,), kwargs=dict(progress=progress), daemon=True).start()
        time.sleep(0.15)
        print("left", flush=True)
    """
    for _ in range(3):
        assert run(script) == "left"


@pytest.mark.parametrize(
    "call",
    ["sy.estimate(x)", "sy.perplexity(x, clusters=ids)", "str(sy.bootstrap(x, n_resamples=199))", "len(long_call(8))"],
)
def test_leaving_while_daemon_threads_make_calls(call: str) -> None:
    """Also where a thread is ended in Python's part of a call."""
    script = f"""
        sy.threads(2)
        x, ids = np.arange(1000.0), np.arange(1000) % 7
        def work():
            while True:
                {call}
        for _ in range(3):
            threading.Thread(target=work, daemon=True).start()
        time.sleep(0.1)
        print("left", flush=True)
    """
    for _ in range(3):
        assert run(script) == "left"


@linux
def test_a_fork_inside_progress_leaves_the_parent_whole_and_the_child_a_sentence() -> None:
    # On a busy machine the other thread may have done the rest by the time of the fork; the child then says 8.
    out = run("""
        sy.threads(2)
        want = long_call(4000)
        code = 8
        while code == 8:
            children = []
            def progress(done, total):
                if not children and done < total:
                    children.append(os.fork())
            try:
                got = long_call(4000, progress=progress)
            except RuntimeError as error:
                assert "forked inside this call" in str(error), error
                assert children == [0] and long_call(64) == want[: 8 * 64]
                sy.threads(2)
                os._exit(7 if long_call(4000) == want else 1)
            assert got == want
            if children == [0]:
                os._exit(8)
            if children:
                code = os.waitstatus_to_exitcode(os.waitpid(children[0], 0)[1])
        print(code)
    """)
    assert out == "7"


@linux
def test_a_fork_inside_the_progress_of_a_serial_call_goes_on_in_both() -> None:
    out = run("""
        sy.threads(1)
        want = long_call(4000)
        children = []
        def progress(done, total):
            if not children:
                children.append(os.fork())
        same = long_call(4000, progress=progress) == want
        if children == [0]:
            os._exit(7 if same else 1)
        print(same, os.waitstatus_to_exitcode(os.waitpid(children[0], 0)[1]))
    """)
    assert out == "True 7"


@linux
def test_a_child_that_c_forked_knows_that_it_is_one() -> None:
    """By the C library, which counts, and by the system call alone, which gives another process id."""
    out = run(
        NAMESPACES
        + dedent("""
        sy.threads(2)
        want = long_call(64)
        SYS_fork = {"x86_64": 57}.get(platform.machine())
        forks = [libc.fork] + ([lambda: libc.syscall(SYS_fork)] if SYS_fork else [])
        for fork in forks:
            pid = fork()
            if pid == 0:
                serial = sy.show_config(mode="dicts")["threads"] == 1
                os._exit(7 if serial and long_call(64) == want else 1)
            print(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 7)
    """)
    )
    assert set(out.split()) == {"True"}


@linux
def test_a_child_with_its_parents_process_id_knows_that_it_is_another() -> None:
    """Nested process-id namespaces: each first process is 1."""
    out = run(
        NAMESPACES
        + dedent("""
        def namespace():
            if libc.unshare(CLONE_NEWPID) and libc.unshare(CLONE_NEWUSER | CLONE_NEWPID):
                print("not allowed here"), sys.exit()
            pid = os.fork()
            if pid:
                status = os.waitpid(pid, 0)[1]
                return os.waitstatus_to_exitcode(status)
        code = namespace()
        if code is None:  # process 1
            sy.threads(2)
            want = long_call(64)
            code = namespace()
            if code is None:  # process 1 of process 1
                serial = sy.show_config(mode="dicts")["threads"] == 1
                same = long_call(64) == want
                sy.threads(2)
                os._exit(7 if os.getpid() == 1 and serial and same and long_call(64) == want else 1)
            os._exit(code)
        print(code)
    """)
    )
    if out == "not allowed here":
        pytest.skip("needs the right to make process-id namespaces")
    assert out == "7"

"""Writing and reading files, and every exit code: old files stay complete, and only a verdict exits with 1."""

from __future__ import annotations

import errno
import gzip
import io
import json
import os
import platform
import re
import signal
import socket
import stat
import subprocess
import sys
import threading
import time
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import steelyard as sy
from steelyard import _exit, _files, cli, records, report
from steelyard._text import in_markdown, printable
from steelyard.errors import RecordError
from steelyard.records import builder, source

WATCHDOG = 120
linux = pytest.mark.skipif(platform.system() != "Linux", reason="needs /dev and /proc as Linux has them")
not_root = pytest.mark.skipif(getattr(os, "geteuid", lambda: 1)() == 0, reason="the root user may write anywhere")

# Characters that control a terminal, are invisible, or are not valid text.
CONTROLS = [
    *map(chr, range(0x20)), "\x7f", *map(chr, range(0x80, 0xA0)), "\xad", "\u061c", "\u200b", "\u200d", "\u200e",
    "\u2028", "\u2029", "\u202a", "\u202e", "\u2066", "\u2069", "\ufeff", "\ud800", "\udcff", "\U000e0041",
]  # fmt: skip
HOSTILE = "\x1b]0;owned\x07\x1b[2J\r\b<b>\u202e@octocat #12 www.example.com $x$"


def lines(path: Path, right: list[bool], **more: Any) -> Path:
    path.write_text("".join(json.dumps({"id": i, "correct": ok, **more}) + "\n" for i, ok in enumerate(right)))
    return path


@pytest.fixture
def base(tmp_path: Path) -> Path:
    return lines(tmp_path / "base.jsonl", [i % 10 < 8 for i in range(400)])


@pytest.fixture
def worse(tmp_path: Path) -> Path:
    return lines(tmp_path / "worse.jsonl", [i % 10 < 6 for i in range(400)])


@pytest.fixture
def made(base: Path) -> report.Report:
    return report.build(records.read(base))


def environment(**more: str) -> dict[str, str]:
    ours = ("STEELYARD_", "OMP_", "GITHUB_", "FORCE_COLOR", "PYTHONWARNINGS")
    return {key: value for key, value in os.environ.items() if not key.startswith(ours)} | more


def command(*words: object, **options: Any) -> subprocess.CompletedProcess[str]:
    """The command in a process of its own, under a watchdog."""
    settings: dict[str, Any] = {"capture_output": True, "text": True, "timeout": WATCHDOG, "env": environment()}
    return subprocess.run([sys.executable, "-m", "steelyard", *map(str, words)], check=False, **settings | options)


@pytest.fixture
def inside(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Callable[..., Any]:
    """The command in this process: the same result in a tenth of the time."""
    for name in os.environ.keys() - environment().keys():
        monkeypatch.delenv(name)

    def call(*words: object) -> subprocess.CompletedProcess[str]:
        code = cli.run([str(word) for word in words])
        out, err = capsys.readouterr()
        return subprocess.CompletedProcess(words, code, out, err)

    return call


def one_sentence(done: subprocess.CompletedProcess[str], code: int, *said: str) -> None:
    assert done.returncode == code, (done.returncode, done.stderr)
    assert "Traceback" not in done.stderr
    assert len(done.stderr.splitlines()) == 1, done.stderr
    assert done.stderr.startswith("steelyard: ")
    for words in said:
        assert words in done.stderr


def left_behind(folder: Path) -> list[str]:
    return [name for name in os.listdir(folder) if name.endswith(".tmp")]


# ---- a file is written whole or not at all


def test_a_new_file_has_the_mode_of_the_umask_and_an_old_one_keeps_its_own(tmp_path: Path, made: report.Report) -> None:
    page = tmp_path / "page.html"
    before = os.umask(0o027)
    try:
        made.to_html(page)
        assert stat.S_IMODE(page.stat().st_mode) == 0o640
        page.chmod(0o604)
        made.to_html(str(page))
        assert stat.S_IMODE(page.stat().st_mode) == 0o604
    finally:
        os.umask(before)
    assert page.read_text(encoding="utf-8").endswith("</html>")
    assert left_behind(tmp_path) == []


def test_a_link_stays_a_link(tmp_path: Path, made: report.Report) -> None:
    folder = tmp_path / "real"
    folder.mkdir()
    (tmp_path / "link.html").symlink_to(folder / "page.html")
    for _ in range(2):  # a link to nothing, then to the page
        made.to_html(tmp_path / "link.html")
        assert (tmp_path / "link.html").is_symlink()
        assert (folder / "page.html").stat().st_size > 1000
    assert os.listdir(folder) == ["page.html"]


@pytest.mark.parametrize("at", ["write", "fsync", "replace", "open"])
@pytest.mark.parametrize(
    "error", [OSError(errno.ENOSPC, "No space left on device"), KeyboardInterrupt(), MemoryError()]
)
def test_what_fails_on_the_way_leaves_the_old_file(
    at: str, error: BaseException, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "page.html"
    path.write_text("old")

    def fails(*_: object, **__: object) -> None:
        raise error

    with monkeypatch.context() as patch:
        patch.setattr(_files.os, at, fails)
        with pytest.raises(type(error)) as caught:
            _files.write(path, "new" * 1000)
    if isinstance(error, OSError):
        assert caught.value.filename == str(path)  # the name that the caller knows
    assert path.read_text() == "old"
    assert os.listdir(tmp_path) == ["page.html"]


def test_a_disk_that_is_full_leaves_the_old_page(tmp_path: Path, made: report.Report) -> None:
    resource = pytest.importorskip("resource")
    path = tmp_path / "page.html"
    path.write_text("old")
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (4096, limits[1]))  # Python ignores SIGXFSZ: the write fails
    try:
        with pytest.raises(OSError, match="too large"):
            made.to_html(path)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert path.read_text() == "old"
    assert left_behind(tmp_path) == []


def test_a_reader_sees_a_whole_file_at_any_time(tmp_path: Path) -> None:
    path = tmp_path / "file"
    texts = {"a" * 300_000, "b" * 400_000}
    _files.write(path, "a" * 300_000)
    stop, seen = threading.Event(), []

    def look() -> None:
        while not stop.is_set():
            seen.append(path.read_text() in texts)

    reader = threading.Thread(target=look)
    reader.start()
    for _ in range(20):
        for text in texts:
            _files.write(path, text)
    stop.set()
    reader.join()
    assert seen
    assert all(seen)


def test_an_appended_summary_is_whole_or_as_before(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "summary.md"
    _files.append(path, "one\n")
    real = os.write

    def half(descriptor: int, data: Any) -> int:
        if len(data) < 3:
            raise OSError(errno.ENOSPC, "No space left on device")
        return real(descriptor, bytes(data)[: len(data) // 2])

    monkeypatch.setattr(_files.os, "write", half)
    with pytest.raises(OSError, match="No space"):
        _files.append(path, "two" * 50)
    assert path.read_text() == "one\n"


# ---- where it may not be written


def other_names(path: Path) -> Iterator[Path]:
    """Every way to name one file."""
    yield path
    yield path.parent / "." / path.name
    symlink, hard = path.parent / "symlink", path.parent / "hard"
    symlink.symlink_to(path.name)
    hard.hardlink_to(path)
    yield symlink
    yield hard


def test_never_onto_what_was_read(base: Path, made: report.Report, inside: Callable[..., Any]) -> None:
    before = base.read_bytes()
    for place in other_names(base):
        with pytest.raises(ValueError, match=r"path: expected a file of its own to write; got a file that is read"):
            made.to_html(place)
        for option in ("--html", "--json"):
            one_sentence(inside("report", base, option, place), 2, f"{option}: expected a file of its own to write")
    assert base.read_bytes() == before


def test_two_outputs_are_two_files(base: Path, tmp_path: Path, inside: Callable[..., Any]) -> None:
    out = tmp_path / "out"
    one_sentence(inside("report", base, "--html", out, "--json", tmp_path / "." / "out"), 2, "a place of its own")
    assert not out.exists()
    out.write_text("old")
    for place in other_names(out):
        one_sentence(inside("report", base, "--html", out, "--json", place), 2, "a place of its own")
    one_sentence(inside("report", base, "--html", "-", "--json", "-"), 2, "a place of its own")
    assert out.read_text() == "old"


def test_places_are_checked_before_anything_is_read(tmp_path: Path, inside: Callable[..., Any]) -> None:
    absent = tmp_path / "absent.jsonl"
    for place, said in (
        (tmp_path, "Is a directory"),
        (tmp_path / "no" / "page", "No such file"),
        ("x" * 300, "too long"),
    ):
        one_sentence(inside("report", absent, "--html", place), 2, said)
    loop = tmp_path / "loop"
    loop.symlink_to(loop)
    one_sentence(inside("report", absent, "--json", loop), 2, "symbolic links")


@not_root
def test_what_is_protected_stays(base: Path, tmp_path: Path, inside: Callable[..., Any]) -> None:
    folder = tmp_path / "closed"
    folder.mkdir()
    page = folder / "page.html"
    page.write_text("old")
    folder.chmod(0o500)
    one_sentence(inside("report", base, "--html", page), 2, "the folder takes no new file")
    folder.chmod(0o700)
    page.chmod(0o400)
    one_sentence(inside("report", base, "--html", page), 2, "Permission denied")
    assert page.read_text() == "old"


# ---- pipes, devices, standard output


@linux
def test_pipes_and_devices_are_written_to_directly(base: Path, tmp_path: Path) -> None:
    fifo = tmp_path / "fifo"
    os.mkfifo(fifo)
    got: list[str] = []
    reader = threading.Thread(target=lambda: got.append(fifo.read_text(encoding="utf-8")))
    reader.start()
    assert command("report", base, "--json", fifo).returncode == 0
    reader.join(WATCHDOG)
    assert json.loads(got[0])["models"][0]["name"] == "base"
    assert stat.S_ISFIFO(fifo.stat().st_mode)
    assert command("report", base, "--html", "/dev/null").returncode == 0
    assert stat.S_ISCHR(os.stat("/dev/null").st_mode)
    one_sentence(command("report", base, "--html", "/dev/full"), 2, "/dev/full", "No space left")


@linux
@pytest.mark.parametrize("place", ["-", "/dev/stdout", "/dev/fd/1", "/proc/self/fd/1"])
@pytest.mark.parametrize("kind", ["pipe", "file"])
def test_standard_output_has_the_data_and_nothing_else(place: str, kind: str, base: Path, tmp_path: Path) -> None:
    for option, begins in (("--json", "{"), ("--html", "<!doctype html>")):
        if kind == "pipe":
            done = command("report", base, option, place)
            text = done.stdout
        else:
            with (tmp_path / "out").open("w") as out:
                done = command("report", base, option, place, stdout=out, capture_output=False, stderr=subprocess.PIPE)
            text = (tmp_path / "out").read_text(encoding="utf-8")
        assert (done.returncode, done.stderr) == (0, "")
        assert text.startswith(begins)
        assert text.rstrip().endswith("}" if option == "--json" else "</html>")


def test_data_on_standard_output_is_utf_8_on_any_terminal(tmp_path: Path) -> None:
    path = lines(tmp_path / "a.jsonl", [True, False], model="modèle 模型")
    done = command("report", path, "--json", "-", env=environment(PYTHONIOENCODING="ascii"), text=False)
    assert json.loads(done.stdout.decode())["models"][0]["name"] == "modèle 模型"


@linux
def test_a_file_name_that_is_no_text(base: Path, tmp_path: Path) -> None:
    odd = os.fsencode(tmp_path) + b"/caf\xe9\x1b[31m.jsonl"
    Path(os.fsdecode(odd)).write_bytes(base.read_bytes())
    out, page = tmp_path / "out.json", os.fsencode(tmp_path) + b"/\xff.html"
    words = [sys.executable, "-m", "steelyard", "report", odd, "--json", out, "--html", page]
    done = subprocess.run(words, capture_output=True, timeout=WATCHDOG, env=environment(), check=False)
    assert done.returncode == 0, done.stderr
    assert b"\x1b" not in done.stdout + done.stderr
    assert os.fsencode(json.loads(out.read_text(encoding="utf-8"))["sources"][0]) == odd
    html = Path(os.fsdecode(page)).read_text(encoding="utf-8")
    assert r"\udce9\x1b[31m" in html


# ---- every way to end


def test_the_codes_are_one_table_in_the_help(inside: Callable[..., Any]) -> None:
    assert {code.value for code in _exit.Exit} == {0, 1, 2, 3, 130}
    said = " ".join(re.sub(r"[│|]", " ", inside("--help").stdout).split())
    readme = (Path(__file__).parents[1] / "README.md").read_text(encoding="utf-8").replace("`", "")
    for code, meaning in _exit.CODES.items():
        assert f"{code}: {meaning}".replace("`", "") in said.replace("`", "")
        assert f"| {code} | {meaning} |".replace("`", "") in readme


@pytest.mark.parametrize(
    ("name", "value"),
    [("STEELYARD_NUM_THREADS", "many"), ("STEELYARD_NUM_THREADS", "0"), ("STEELYARD_ISA", "v9\x1b[2J")],
)
def test_a_bad_environment_is_bad_input(name: str, value: str, base: Path, tmp_path: Path) -> None:
    script = tmp_path / "steelyard"
    script.write_text("from steelyard.__main__ import main\nmain()\n")
    for words in (["-m", "steelyard"], ["-msteelyard"], ["-W", "error", "-m", "steelyard"], [str(script)]):
        done = subprocess.run(
            [sys.executable, *words, "report", str(base)],
            capture_output=True, text=True, timeout=WATCHDOG, env=environment(**{name: value}), check=False,
        )  # fmt: skip
        one_sentence(done, 2, f"environment variable {name}: expected")
        assert "\x1b" not in done.stderr


def test_a_bad_environment_is_an_error_to_a_program() -> None:
    done = subprocess.run(
        [sys.executable, "-c", "import steelyard"],
        capture_output=True, text=True, timeout=WATCHDOG, env=environment(STEELYARD_NUM_THREADS="many"), check=False,
    )  # fmt: skip
    assert done.returncode == 1
    assert done.stderr.splitlines()[-1] == (
        "ValueError: environment variable STEELYARD_NUM_THREADS: expected a whole number of threads, at least 1; got 'many'"
    )


FAILURES = {
    "raise ValueError('numpy.dtype size changed')": 3,
    "raise ImportError('no libopenblas')": 3,
    "raise MemoryError": 3,
    "raise KeyboardInterrupt": 130,
    "f = lambda: f()\nf()": 3,
    "import warnings\nwarnings.warn('old', DeprecationWarning)": 3,  # under -W error
    "import nothing_of_that_name": 3,
}


@pytest.mark.parametrize("module", ["numpy", "rich", "typer"])
@pytest.mark.parametrize("text", FAILURES)
def test_an_import_that_fails_is_no_verdict(module: str, text: str, base: Path, tmp_path: Path) -> None:
    broken = tmp_path / "broken"
    broken.mkdir()
    (broken / f"{module}.py").write_text(text)
    path = os.pathsep.join([str(broken), *sys.path])
    done = subprocess.run(
        [sys.executable, "-W", "error", "-m", "steelyard", "report", str(base)],
        capture_output=True, text=True, timeout=WATCHDOG, env=environment(PYTHONPATH=path), check=False,
    )  # fmt: skip
    assert done.returncode == FAILURES[text], (done.returncode, done.stderr)
    assert "Traceback" not in done.stderr
    assert len(done.stderr.splitlines()) == (0 if done.returncode == 130 else 1)


def broken_command(
    base: Path, what: str, *, before: tuple[str, ...] = (), after: tuple[str, ...] = (), **variables: str
) -> subprocess.CompletedProcess[str]:
    """The command with a fault inside ``report.build``."""
    script = f"""
import sys
from steelyard import report
from steelyard.__main__ import main
def fault(*_, **__):
    {what}
report.build = fault
sys.argv = ["steelyard", *{before}, "report", {str(base)!r}, *{after}]
main()
"""
    return subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, timeout=WATCHDOG,
        env=environment(**variables), check=False,
    )  # fmt: skip


@pytest.mark.parametrize(
    "error",
    [
        "RuntimeError('core')",
        "AssertionError",
        "RecursionError",
        "UserWarning('w')",
        "KeyError('\\x1b[2J')",
        "EOFError",
    ],
)
def test_a_fault_of_ours_is_one_sentence_and_how_to_report_it(error: str, base: Path) -> None:
    one_sentence(broken_command(base, f"raise {error}"), 3, "unexpected failure", "please report it", "--debug shows")


def test_where_a_fault_of_ours_came_from_is_shown_when_asked(base: Path) -> None:
    for done in (
        broken_command(base, "raise RuntimeError('core')", STEELYARD_TRACEBACK="1"),
        broken_command(base, "raise RuntimeError('core')", before=("--debug",)),
        broken_command(base, "raise RuntimeError('core')", after=("--debug",)),
    ):
        assert done.returncode == 3
        assert "Traceback" in done.stderr
        assert done.stderr.splitlines()[-1].startswith("steelyard: unexpected failure, RuntimeError: core")


@pytest.mark.parametrize("error", ["ValueError('operands could not be broadcast')", "TypeError('no len()')"])
def test_a_fault_of_anybody_else_is_no_bad_input(error: str, base: Path) -> None:
    one_sentence(broken_command(base, f"raise {error}"), 3, "unexpected failure", error.partition("'")[2][:-2])


def test_a_fault_names_what_was_worked_on(base: Path) -> None:
    fault = "from steelyard.errors import while_at\n    with while_at('a.jsonl, column x'): [][1]"
    one_sentence(broken_command(base, fault), 3, "unexpected failure while at a.jsonl, column x, IndexError: list")


def test_an_error_of_the_system_without_a_place_is_no_bad_input(base: Path) -> None:
    one_sentence(broken_command(base, "raise OSError(11, 'Resource temporarily unavailable')"), 3, "unexpected failure")


def test_an_exit_that_another_module_asks_for_is_no_verdict(base: Path) -> None:
    for code in ("1", "None", "'text'"):
        one_sentence(broken_command(base, f"raise SystemExit({code})"), 3, "unexpected failure, SystemExit")
    assert _exit.because_of(SystemExit(2)) == 2


def test_no_memory_and_interrupts_have_codes_of_their_own(base: Path) -> None:
    one_sentence(broken_command(base, "raise MemoryError"), 3, "not enough memory")
    done = broken_command(base, "raise KeyboardInterrupt")
    assert (done.returncode, done.stdout, done.stderr) == (130, "", "")


@linux
def test_ctrl_c_while_a_pipe_has_nothing_to_say(tmp_path: Path) -> None:
    fifo = tmp_path / "fifo"
    os.mkfifo(fifo)
    child = subprocess.Popen(
        [sys.executable, "-m", "steelyard", "report", str(fifo)],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment(),
    )  # fmt: skip
    writer = os.open(fifo, os.O_WRONLY)  # returns when the command has opened it
    time.sleep(0.1)
    child.send_signal(signal.SIGINT)
    out, err = child.communicate(timeout=WATCHDOG)
    os.close(writer)
    assert (child.returncode, out, err) == (130, "", "")


@linux
def test_a_reader_that_leaves_changes_no_verdict(base: Path, worse: Path, tmp_path: Path) -> None:
    page = tmp_path / "page.html"
    for first, second, code in ((base, worse, 1), (worse, base, 0)):
        words = [sys.executable, "-m", "steelyard", "compare", str(first), str(second), "--html", str(page)]
        for closed in ("stdout", "stderr"):
            reading, writing = os.pipe()
            os.close(reading)
            other = {"stdout": "stderr", "stderr": "stdout"}[closed]
            done = subprocess.run(
                words, **{closed: writing, other: subprocess.PIPE}, timeout=WATCHDOG, env=environment(), check=False
            )
            os.close(writing)
            assert done.returncode == code
            assert b"Error" not in (done.stdout or b"") + (done.stderr or b"")
            assert page.read_text(encoding="utf-8").endswith("</html>")
            page.unlink()
    for words in (["--help"], ["config"]):
        reading, writing = os.pipe()
        os.close(reading)
        done = command(*words, stdout=writing, capture_output=False, stderr=subprocess.PIPE)
        os.close(writing)
        assert done.returncode == 0, words
        assert "Error" not in done.stderr


@linux
def test_output_that_is_lost_is_no_success(base: Path, worse: Path) -> None:
    with open("/dev/full", "w") as full:
        for words in (["compare", base, worse], ["report", base, "--json", "-"], ["config"]):
            done = command(*words, stdout=full, capture_output=False, stderr=subprocess.PIPE)
            one_sentence(done, 2, "standard output: expected a place", "No space left")
        assert (
            command("compare", base, worse, stderr=full, capture_output=False, stdout=subprocess.PIPE).returncode == 1
        )
        assert command("report", "absent", stderr=full, capture_output=False, stdout=subprocess.PIPE).returncode == 2


@linux
@pytest.mark.parametrize("closed", ["<&-", ">&-", "2>&-", ">&- 2>&-", "<&- >&- 2>&-"])
def test_closed_streams_change_no_verdict(closed: str, base: Path, worse: Path, tmp_path: Path) -> None:
    page = tmp_path / "page.html"
    for first, second, code in ((base, worse, 1), (base, "absent", 2)):
        words = f'exec "$0" -m steelyard compare "$1" "$2" --html "$3" {closed}'
        done = subprocess.run(
            ["sh", "-c", words, sys.executable, str(first), str(second), str(page)],
            capture_output=True, timeout=WATCHDOG, env=environment(), check=False,
        )  # fmt: skip
        assert done.returncode == code, done.stderr
        assert b"Traceback" not in done.stderr
    assert page.read_text(encoding="utf-8").endswith("</html>")


@pytest.mark.parametrize(
    "words",
    [
        ["bogus"], ["report"], ["compare"], ["report", "x", "--no\x1b[2J"], ["compare", "x", "y", "--fail-on", "some"],
        ["compare", "x", "y", "--margin", "much"], ["config", "x"], ["--margin"], ["report", ""], ["report", "x", "--html", ""],
    ],
)  # fmt: skip
def test_usage_errors_are_one_sentence(words: list[str], inside: Callable[..., Any]) -> None:
    done = inside(*words)
    one_sentence(done, 2)
    assert "\x1b" not in done.stderr


def test_without_the_packages_of_a_page(base: Path, tmp_path: Path) -> None:
    page, data = tmp_path / "page.html", tmp_path / "data.json"
    for name in ("jinja2", "markupsafe", "matplotlib"):
        broken = tmp_path / name
        broken.mkdir()
        (broken / f"{name}.py").write_text(f"raise ModuleNotFoundError('none', name={name!r})")
        env = environment(PYTHONPATH=os.pathsep.join([str(broken), *sys.path]))
        done = command("report", base, "--html", page, "--json", data, env=env)
        one_sentence(done, 2, f"to_html needs {name}; install with: pip install 'steelyard[cli]'")
        assert command("report", base, env=env).returncode == 0
    assert not page.exists()
    assert not data.exists()


# ---- names


@pytest.mark.parametrize("c", CONTROLS, ids=ascii)
def test_control_characters_become_escapes(c: str) -> None:
    shown = printable(f"a{c}b")
    assert shown.isprintable()
    assert shown.startswith("a\\")
    assert shown.encode("ascii").endswith(b"b")


def places_that_show_names(name: str) -> Iterator[str]:
    """What is printed of objects that hold a name from data."""
    estimate = sy.estimate({name: [0.0, 1.0, 0.5], "b": [1.0, 0.0, 0.25]})
    compared = sy.compare({name: [0.0, 1.0, 0.5], "b": [1.0, 0.0, 0.25]}, baseline="b")
    against = sy.compare({name: [0.0, 1.0, 0.5], "b": [1.0, 0.0, 0.25]}, baseline=name)
    for shown in (estimate, compared, against):
        yield from (str(shown), repr(shown), shown._repr_html_())
    yield f"{estimate:.2f}"
    for wrong in (
        lambda: estimate[name + "x"],
        lambda: sy.compare({name: [0.0, "x"]}, baseline=[0.0, 1.0]),
        lambda: sy.estimate({name: [float("nan")]}),
        lambda: sy.compare({"a": [0.0]}, baseline=name),
        lambda: sy.estimate([1.0], method=name),
    ):
        with pytest.raises((ValueError, TypeError, KeyError)) as caught:
            wrong()
        yield str(caught.value)


def test_whatever_is_printed_shows_no_control_characters() -> None:
    for text in places_that_show_names(HOSTILE):
        assert all(c.isprintable() or c == "\n" for c in text), ascii(text)


def test_plots_show_names_as_text() -> None:
    pytest.importorskip("matplotlib")
    from matplotlib.figure import Figure

    compared = sy.compare({"$x_1$ \x1b[m": [0.0, 1.0, 0.5], "b": [1.0, 0.0, 0.25]}, baseline="b")
    figure = Figure()
    axes = compared.plot(figure.add_subplot())
    figure.canvas.draw()
    assert [label.get_text() for label in axes.get_yticklabels()] == [r"$x_1$ \x1b[m"]


def test_the_commands_output_shows_no_control_characters(
    tmp_path: Path, inside: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    rows = [
        {"id": f"{HOSTILE}{i}", "model": m, "correct": (i * k) % 3 > 0, "cluster": f"{HOSTILE}{i // 2}", HOSTILE: 1}
        for k, m in enumerate((HOSTILE, f"{HOSTILE} 2"), 1)
        for i in range(30)
    ]
    path = tmp_path / "\u202ea\x1b[m.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    page = tmp_path / "p\x1b[m.html"
    summary = tmp_path / "summary.md"
    monkeypatch.setenv("GITHUB_STEP_SUMMARY", str(summary))
    for words, code in (
        (["report", path, "--html", page], 0),
        (["compare", path, "--baseline", HOSTILE, "--fail-on", "never"], 0),
        (["compare", path], 2),
        (["report", path, "--score", HOSTILE + "x"], 2),
        (["report", path, "--baseline", HOSTILE + "x"], 2),
        (["report", str(path) + "x"], 2),
    ):
        done = inside(*words)
        assert done.returncode == code, done.stderr
        for text in (done.stdout, done.stderr):
            assert all(c.isprintable() or c == "\n" for c in text), ascii(text)
    text = summary.read_text(encoding="utf-8")
    assert all(c.isprintable() or c == "\n" for c in text)
    for link in ("<b>", "@octocat", "#12", "www.example", "$x$"):
        assert link not in text


MARKDOWN = {
    "- list": "\\- list", "+ list": "\\+ list", "* list": "\\* list", "1. list": "1\\. list", "12) list": "12\\) list",
    "# heading": "\\# heading", "===": "\\===", "---": "\\---", "> quote": "&gt; quote", "    code": "&#32;&#32;&#32;&#32;code",
    "`code`": "\\`code\\`", "~~~": "\\~\\~\\~", "@octocat": "@<!-- -->octocat", "org/repo#12": "org/repo\\#<!-- -->12",
    "GH-12": "GH<!-- -->-12", "a|b": "a\\|b", "<img src=x>": "&lt;img src=x&gt;", "[a](b)": "\\[a\\](b)",
    "![a](b)": "!\\[a\\](b)", "https://a.b": "https:&#47;/a.b", "www.a.b": "www<!-- -->.a.b", "a@b.c": "a@<!-- -->b.c",
    "&lt;": "&amp;lt;", "$x$": "<span>$</span>x<span>$</span>", "a\n# b": "a\\\\n\\# b", "a\\": "a\\\\", "": "",
    "_a_ __b__": "\\_a\\_ \\_\\_b\\_\\_", "[^1]": "\\[^1\\]", "-0.5": "\\-0.5", "[ ] task": "\\[ \\] task",
}  # fmt: skip


@pytest.mark.parametrize("name", MARKDOWN)
def test_markdown_shows_names_as_they_are(name: str) -> None:
    assert in_markdown(name) == MARKDOWN[name]


def test_a_name_in_a_table_starts_no_line() -> None:
    assert in_markdown("-0.5", starts_line=False) == "-0.5"
    assert in_markdown("@a | b", starts_line=False) == "@<!-- -->a \\| b"


# ---- files in: pipes, devices, what changes


def through(fifo: Path, data: bytes, step: int) -> threading.Thread:
    """Write to a pipe in small pieces, so that no read gets all it asks for."""

    def feed() -> None:
        with fifo.open("wb", buffering=0) as out:
            for start in range(0, len(data), step):
                out.write(data[start : start + step])
                time.sleep(0)

    thread = threading.Thread(target=feed)
    thread.start()
    return thread


@linux
@pytest.mark.parametrize("step", [1, 7, 1 << 20])
def test_pipes_are_read_as_files_are(step: int, tmp_path: Path) -> None:
    pa = pytest.importorskip("pyarrow")
    pq = pytest.importorskip("pyarrow.parquet")
    rows = [{"id": i, "acc": i % 3 > 0} for i in range(300)]
    text = "".join(json.dumps(row) + "\n" for row in rows).encode()
    table_ = pa.table({"id": range(300), "acc": [i % 3 > 0 for i in range(300)]})
    pq.write_table(table_, tmp_path / "a.parquet")
    kinds = {
        "jsonl": text, "gz": gzip.compress(text), "json": json.dumps(rows).encode(),
        "csv": b"id,acc\n" + b"".join(b"%d,%d\n" % (i, i % 3 > 0) for i in range(300)),
        "parquet": (tmp_path / "a.parquet").read_bytes(), "whole": json.dumps(rows[0], indent=1).encode(),
    }  # fmt: skip
    for kind, data in kinds.items():
        fifo = tmp_path / f"pipe.{kind}"
        os.mkfifo(fifo)
        writer = through(fifo, data, step)
        seen: list[tuple[int, int]] = []
        try:
            runs = records.read(fifo, progress=lambda done, total, seen=seen: seen.append((done, total)))
        except RecordError:
            read = kind
        else:
            read = ""
            assert runs.runs[0].score.tolist() == [float(row["acc"]) for row in rows]
        assert read == ("whole" if kind == "whole" else "")  # one object is no file of records
        writer.join(WATCHDOG)
        assert all(0 <= done <= total for done, total in seen)


@linux
def test_a_pipe_is_read_once(tmp_path: Path, inside: Callable[..., Any]) -> None:
    fifo = tmp_path / "fifo"
    os.mkfifo(fifo)
    with pytest.raises(
        ValueError, match=r"paths: expected each pipe once; got .*fifo' twice; write its records to a file"
    ):
        records.read([fifo, tmp_path / "." / "fifo"], names=["a", "b"])
    one_sentence(inside("report", "-", "/dev/stdin"), 2, "twice")


@linux
def test_standard_input_and_process_substitution(base: Path) -> None:
    data = base.read_text()
    whole = json.loads(command("report", base, "--json", "-").stdout)["models"][0]["score"]
    for name in ("-", "/dev/stdin"):
        done = command("report", name, "--json", "-", input=data)
        assert json.loads(done.stdout)["models"][0]["score"] == whole, done.stderr
    with base.open() as file:
        done = command("report", "-", "--json", "-", stdin=file)
    assert json.loads(done.stdout)["models"][0]["score"] == whole
    packed = base.with_suffix(".gz")
    packed.write_bytes(gzip.compress(data.encode()))
    words = f'"$0" -m steelyard report <(gzip -dc "{packed}") <(cat "{packed}") --json -'
    done = subprocess.run(
        ["bash", "-c", words, sys.executable], capture_output=True, text=True, timeout=WATCHDOG, check=False
    )
    assert [model["score"] for model in json.loads(done.stdout)["models"]] == [whole, whole], done.stderr
    for name in ("-", "/dev/stdin"):
        one_sentence(
            command("report", name, stdin=subprocess.DEVNULL), 2, "steelyard: standard input: ", "an empty file"
        )
        one_sentence(command("compare", name, input='{"id": 1}'), 2, "steelyard: standard input: expected a score")
    one_sentence(command("report", os.devnull), 2, "an empty file")
    done = command("report", "-", input=data)
    assert "Read 400 records of standard input" in done.stdout
    assert re.search(r"^stdin +400 ", done.stdout, flags=re.M)


def zipped(*names: str) -> bytes:
    """A zip archive of empty files."""
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        for name in names:
            archive.writestr(name, "")
    return out.getvalue()


WORKBOOK = zipped("[Content_Types].xml", "xl/workbook.xml")


def sentence_of(path: str | Path, **options: Any) -> str:
    with pytest.raises(RecordError) as caught:
        records.read(path, **options)
    said = str(caught.value)
    assert printable(said) == said
    return said


@linux
def test_what_is_no_file_or_pipe_is_a_sentence(tmp_path: Path) -> None:
    for device in ("/dev/zero", "/dev/full", "/dev/urandom"):
        assert sentence_of(device) == f"{device}: expected a file or a pipe; got a device; write the records to a file"
    with socket.socket(socket.AF_UNIX) as door:
        name = str(tmp_path / "s")
        door.bind(name if len(name) < 100 else os.path.relpath(name))
        assert "got a socket" in sentence_of(tmp_path / "s")
    loop = tmp_path / "loop"
    loop.symlink_to(loop)
    assert "symbolic links" in sentence_of(loop)
    for name in ("a\0b", "x" * 300, str(tmp_path / "a" / "b" / "c")):
        assert "check the path" in sentence_of(name)
    with pytest.raises(ValueError, match=r"^paths: expected the name of a file; got ''"):
        records.read("")


@not_root
def test_a_file_that_may_not_be_read(base: Path, inside: Callable[..., Any]) -> None:
    base.chmod(0)
    assert "Permission denied" in sentence_of(base)
    one_sentence(inside("report", base), 2, "Permission denied")


def test_a_parquet_file_that_changes_after_reading(tmp_path: Path) -> None:
    pa = pytest.importorskip("pyarrow")
    pq = pytest.importorskip("pyarrow.parquet")
    path = tmp_path / "a.parquet"
    pq.write_table(pa.table({"acc": [1, 0], "subject": ["a", "b"], "other": [1, 2]}), path)
    (run,) = records.read(path)
    assert run.column("subject").tolist() == ["a", "b"]
    pq.write_table(pa.table({"acc": [1, 0, 1], "subject": ["c", "d", "e"], "other": [3, 4, 5]}), path)
    assert run.column("subject").tolist() == ["a", "b"]  # was read
    with pytest.raises(RecordError, match="as it was when it was opened; got a changed one; read it again"):
        run.column("other")


@linux
def test_a_parquet_file_whose_name_is_no_text(tmp_path: Path) -> None:
    pa = pytest.importorskip("pyarrow")
    pq = pytest.importorskip("pyarrow.parquet")
    path = Path(os.fsdecode(os.fsencode(tmp_path) + b"/caf\xe9.parquet"))
    with path.open("wb") as out:
        pq.write_table(pa.table({"acc": [1, 0]}), out)
    assert records.read(path).runs[0].score.tolist() == [1.0, 0.0]


def every_column(pa: Any) -> dict[str, Any]:
    """Columns of every kind that a Parquet file may have, with what Python cannot hold among their values."""
    return {
        "time_s": pa.array([1_700_000_000_000] * 2, pa.timestamp("s")), "time_ns": pa.array([123, 5], pa.timestamp("ns")),
        "zone": pa.array([123, 5], pa.timestamp("us", tz="UTC")), "duration": pa.array([123_456_789, 5], pa.duration("ns")),
        "date": pa.array([19_000, 2**31 - 1], pa.date32()), "date64": pa.array([0, 86_400_000], pa.date64()),
        "time32": pa.array([1, 2], pa.time32("s")), "time64": pa.array([1, 2], pa.time64("ns")),
        "list": pa.array([[1], None]), "struct": pa.array([{"a": 1, "b": {"c": "x"}}] * 2),
        "map": pa.array([[("a", 1)], []], pa.map_(pa.string(), pa.int64())), "lists": pa.array([[{"a": 1}], []]),
        "dictionary": pa.array(["a", "b"]).dictionary_encode(), "binary": pa.array([b"a", b"\xff"], pa.large_binary()),
        "fixed": pa.array([b"ab", b"cd"], pa.binary(2)), "null": pa.nulls(2), "half": pa.array(np.ones(2, np.float16)),
        "large": pa.array(["x", "y"], pa.large_string()), "wide": pa.array([2**64 - 1, 1], pa.uint64()),
    }  # fmt: skip


def test_a_column_without_a_role_cannot_stop_the_command(tmp_path: Path, inside: Callable[..., Any]) -> None:
    pa = pytest.importorskip("pyarrow")
    pq = pytest.importorskip("pyarrow.parquet")
    for int96 in (False, True):
        columns = every_column(pa)
        if int96:
            columns = {"time": pa.array([1_600_000_000_000_000] * 2, pa.timestamp("us"))}
        path = tmp_path / "all.parquet"
        pq.write_table(
            pa.table({"id": [1, 2], "correct": [1, 0], **columns}), path, use_deprecated_int96_timestamps=int96
        )
        (run,) = records.read(path)
        assert run.score.tolist() == [1.0, 0.0]
        for name in run._parts[0].table.columns:
            if name not in ("list", "lists", "map", "null"):
                assert len(run.column(name)) == 2  # and is there for who asks
    assert set(run._parts[0].table.columns) == {"id", "correct", "time"}
    done = inside("compare", path, path, "--names", "a,b", "--fail-on", "never")
    assert (done.returncode, done.stderr) == (0, "")


def test_times_are_text_when_asked_for(tmp_path: Path) -> None:
    pa = pytest.importorskip("pyarrow")
    pq = pytest.importorskip("pyarrow.parquet")
    path = tmp_path / "a.parquet"
    pq.write_table(pa.table({"correct": [1, 0], **every_column(pa)}), path)
    (run,) = records.read(path)
    assert run.column("time_ns").tolist() == ["1970-01-01 00:00:00.000000123", "1970-01-01 00:00:00.000000005"]
    assert run.column("date64").tolist() == ["1970-01-01", "1970-01-02"]
    assert run.column("time32").tolist() == ["00:00:01", "00:00:02"]
    assert run.column("duration").tolist() == ["123456789", "5"]


# ---- files in: large and damaged


def test_a_header_of_a_hundred_thousand_columns_takes_seconds(tmp_path: Path) -> None:
    path = tmp_path / "wide.csv"
    names = ",".join(f"c{i}" for i in range(100_000))
    path.write_text(f"id,correct,{names}\n" + "".join(f"{k},{k % 2},{'1,' * 99_999}1\n" for k in range(10)))
    began = time.process_time()
    assert len(records.read(path).runs[0]) == 10
    sentence_of(path, score="corect")
    assert time.process_time() - began < 20


def test_lines_nesting_and_unpacked_sizes_have_bounds(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "a.jsonl"
    deep: Any = 1
    for _ in range(builder.DEEPEST):
        deep = {"a": deep}
    path.write_text(json.dumps({"id": 1, "acc": 1, "d": deep}) + "\n")
    assert "line 1: expected a flat record; got a JSON object nested too deeply" in sentence_of(path)
    bomb = tmp_path / "bomb.gz"
    bomb.write_bytes(gzip.compress(b'{"acc": 1, "x": "' + b"0" * 30_000_000 + b'"}\n'))
    assert len(records.read(bomb).runs[0]) == 1
    monkeypatch.setattr(source, "LARGE_UNPACKED", 1_000_000)
    assert f"bomb.gz: expected a gzip file that unpacks to at most {source.MOST_UNPACKED} times" in sentence_of(bomb)
    monkeypatch.setattr("steelyard.records.formats.text.LONGEST_LINE", 1000)
    for name, text in (("b.jsonl", '{"acc": 1}\n{"x": "' + "0" * 2000), ("b.csv", "acc,b\n" + "0" * 2000)):
        (tmp_path / name).write_text(text)
        assert f"{name}, line 2: expected a line of less than 1,000 bytes; got a longer one" in sentence_of(
            tmp_path / name
        )


@pytest.mark.parametrize(
    ("name", "data", "said"),
    [
        ("a.xlsx", WORKBOOK, "an Excel workbook; save the sheet as CSV"),
        ("a.xls", b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + bytes(40), "an Excel workbook; save the sheet as CSV"),
        ("a.feather", b"ARROW1\0\0" + bytes(40), "an Arrow file; write it as Parquet"),
        ("a.jsonl", '{"acc": 1}\n'.encode("utf-16-le"), "text in UTF-16; save it as UTF-8"),
        ("a.json", '[{"acc": 1}]\n'.encode("utf-16-be"), "text in UTF-16; save it as UTF-8"),
        ("a.json", '[{"acc": 1}]\n'.encode("utf-16"), "text in UTF-16; save it as UTF-8"),
        ("a.csv", bytes(5000), "something else, beginning"),
        ("a.jsonl", b'{"acc": "\0"}\n', "line 1: expected a JSON object; got text that is not JSON"),
        ("a.jsonl", b'{"acc": ' + b"[" * 100_000 + b"]" * 100_000 + b"}\n", "nested too deeply; flatten it"),
    ],
)  # fmt: skip
def test_other_formats_and_damage(
    name: str, data: bytes, said: str, tmp_path: Path, inside: Callable[..., Any]
) -> None:
    path = tmp_path / name
    path.write_bytes(data)
    assert said in sentence_of(path)
    one_sentence(inside("report", path), 2, said)


def test_carriage_returns_and_marks_are_read_over(tmp_path: Path) -> None:
    for name, text in (
        ("a.jsonl", '{"id": 1, "acc": 1}\r\n{"id": 2, "acc": 0}\r\n'),
        ("a.csv", "id,acc\r\n1,1\r\n2,0\r\n"),
        ("a.json", '\r\n[{"id": 1, "acc": 1},\r\n{"id": 2, "acc": 0}]\r\n'),
    ):
        (tmp_path / name).write_bytes(b"\xef\xbb\xbf" + text.encode())
        assert records.read(tmp_path / name).runs[0].score.tolist() == [1.0, 0.0]


# ---- guesses that cannot be used


def test_a_guess_without_values_is_no_guess(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    rows = [
        {"id": i, "correct": i > 0, "model": None, "cluster": None, "epoch": None, "confidence": None, "n_tokens": None}
        for i in range(3)
    ]
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    runs = records.read(path)
    assert (runs.names, runs.guesses, runs.left_out) == (("a",), ("id = id", "score = correct"), {})
    assert runs.runs[0].confidence is None


def test_what_was_guessed_and_cannot_be_used_is_said_with_its_switch(
    tmp_path: Path, inside: Callable[..., Any]
) -> None:
    path = tmp_path / "a.jsonl"
    for column, value in (("confidence", "high"), ("prob", "0,5"), ("loglikelihood", "low")):
        lines(path, [True, False], **{column: value})
        role = "confidence" if column == "prob" else column
        done = inside("report", path)
        assert (done.returncode, done.stderr) == (0, "")
        said = " ".join(done.stdout.split())
        assert f"Note: '{column}' is not read as the {role}" in said
        assert f"or pass --{role} none" in said
        one_sentence(inside("report", path, f"--{role}", column), 2, f"--{role} none")
        assert inside("report", path, f"--{role}", "none").returncode == 0
    lines(path, [True, False], loglikelihood=-1.0, n_tokens=None)
    assert records.read(path).runs[0].n_tokens.tolist() == [1.0, 1.0]
    lines(path, [True, False], loglikelihood=-1.0, n_tokens="many")
    assert "or pass n_tokens='none'" in records.read(path).notes[0]


def test_one_object_is_not_a_file_of_models(tmp_path: Path) -> None:
    path = tmp_path / "one.json"
    path.write_text(json.dumps([{"summary": {"score": 0.5}, "eval": {"t1": {"score": 1}, "t2": {"score": 0}}}]))
    assert "expected one record for each answer; got a single one" in sentence_of(path)
    assert records.read(path, score="summary.score").runs[0].score.tolist() == [0.5]


def test_the_same_file_under_two_names(base: Path, inside: Callable[..., Any]) -> None:
    done = inside("compare", base, base, "--names", "a,b", "--json", "-")
    assert [(pair["model"], pair["baseline"]) for pair in json.loads(done.stdout)["pairs"]] == [("b", "a")]


def test_two_paths_name_one_file_or_not(tmp_path: Path) -> None:
    here, gone = tmp_path / "here", tmp_path / "gone"
    here.write_text("x")
    (tmp_path / "link").symlink_to(here)
    assert _files.same_target(here, tmp_path / "link")
    assert _files.same_target(gone, tmp_path / "." / "gone")
    assert not _files.same_target(here, gone)
    assert not _files.same_target(gone, here)


def test_nothing_is_added_to_a_file_that_is_read(tmp_path: Path) -> None:
    read = tmp_path / "records.jsonl"
    read.write_text("{}\n")
    with pytest.raises(ValueError, match="path: expected a file of its own to write; got a file that is read"):
        _files.append(read, "summary", others=[read])
    assert read.read_text() == "{}\n"

"""Help with examples that run, ``--quiet``, and completion by the shell."""

from __future__ import annotations

import json
import os
import re
import shlex
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pytest

from steelyard import cli
from steelyard._exit import Exit
from steelyard.cli.examples import EXAMPLES
from steelyard.tokens import KLBase

from .dumps import safetensors

EACH = [(command, example) for command, examples in EXAMPLES.items() for example in examples]


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The files that the examples name."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("GITHUB_STEP_SUMMARY", raising=False)
    (tmp_path / "runs").mkdir()
    for path, of in (("base.jsonl", 3), ("new.jsonl", 4), ("runs/base.jsonl", 3), ("runs/new.jsonl", 4)):
        rows = [
            {"id": i, "correct": i % of > 0, "verdict": ("good", "fair", "bad")[i % of % 3], "document": i // 4}
            | {"label": "xy"[i % 2], "prediction": "xyx"[i % of % 3]}
            for i in range(60)
        ]
        (tmp_path / path).write_text("".join(json.dumps(row) + "\n" for row in rows))
    logits = np.random.default_rng(0).normal(size=(4, 12, 9)).astype(np.float32)
    text = np.random.default_rng(1).integers(0, 9, (4, 12))
    for name, array in (("base", logits), ("new", logits + 0.01), ("targets", text)):
        np.save(tmp_path / f"{name}.npy", array)
    for name, decimals in (("f16", 3), ("q4", 1)):
        KLBase.write(tmp_path / f"{name}.kld", logits.round(decimals), text)
    (tmp_path / "wide.csv").write_text(
        "item,gpt,claude\n" + "".join(f"{i},{i % 2},{int(i % 3 > 0)}\n" for i in range(30))
    )
    for name in ("f16", "q4"):
        entries = {"logits": ("F32", logits), "targets": ("I64", text)}
        (tmp_path / f"{name}.safetensors").write_bytes(safetensors(entries))
    for name, array in {"logits": logits, "docs": np.arange(4)}.items():
        np.save(tmp_path / f"{name}.npy", array)
    pairs = [
        {"prompt": f"Why {i // 2}?", "chosen": "So " * (i % 5 + 1), "rejected": "No " * 3, "split": "test"}
        | {"subset": "ab"[i % 2], "policy_chosen": -9.0 - i % 4, "policy_rejected": -11.0 + i % 5}
        for i in range(40)
    ]
    for name in ("pairs", "scored"):
        (tmp_path / f"{name}.jsonl").write_text("".join(json.dumps(pair) + "\n" for pair in pairs))
    rolling = [{"loglikelihood": -3.0 - i % 4, "n_tokens": 2, "document": i // 2} for i in range(20)]
    (tmp_path / "rolling.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rolling))
    return tmp_path


def test_every_command_has_examples() -> None:
    assert {one.name or one.callback.__name__ for one in cli.app.registered_commands} == set(EXAMPLES)  # type: ignore[union-attr]


@pytest.mark.parametrize(("command", "example"), EACH)
def test_examples_run(folder: Path, command: str, example: str, capsys: pytest.CaptureFixture[str]) -> None:
    name, *words = shlex.split(example)
    assert (name, words[0]) == ("steelyard", command)
    assert cli.run(words) in (Exit.FINE, Exit.VERDICT), capsys.readouterr().err


@pytest.mark.parametrize(("command", "example"), EACH)
def test_the_help_shows_each_example_on_a_line(command: str, example: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.run([command, "--help"]) == 0
    assert example in [line.strip() for line in capsys.readouterr().out.splitlines()]


# ---- quiet


@pytest.mark.parametrize(
    ("words", "code"), [(["report"], 0), (["compare"], 0), (["compare", "--fail-on", "undecided"], 1)]
)
def test_quiet_prints_nothing_writes_files_and_keeps_the_code(
    folder: Path, words: list[str], code: int, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GITHUB_STEP_SUMMARY", str(folder / "summary.md"))
    files = ["base.jsonl", "base.jsonl", "--names", "a,b"]
    assert cli.run([*words, *files]) == code
    loud = capsys.readouterr()
    assert loud.out
    assert cli.run([*words, *files, "--quiet", "--json", "out.json", "--html", "page.html"]) == code
    out, err = capsys.readouterr()
    assert (out, err) == ("", f"{loud.err}page written to page.html\n")
    assert json.loads((folder / "out.json").read_text())
    assert (folder / "page.html").stat().st_size > 1000
    assert (folder / "summary.md").exists() == (words[0] == "compare")


def test_quiet_keeps_errors_and_what_a_dash_asks_for(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.run(["report", "absent.jsonl", "--quiet"]) == 2
    assert "absent.jsonl" in capsys.readouterr().err
    assert cli.run(["report", "base.jsonl", "--quiet", "--json", "-"]) == 0
    assert json.loads(capsys.readouterr().out)


# ---- completion


def command(environment: Mapping[str, str], *words: str) -> subprocess.CompletedProcess[str]:
    kept = {key: value for key, value in os.environ.items() if key not in ("SHELL", "HOME")}
    return subprocess.run(
        [sys.executable, "-m", "steelyard", *words],
        env={**kept, **environment}, capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip


@pytest.mark.parametrize(
    ("typed", "at", "expected"),
    [("steelyard re", 1, {"report"}), ("steelyard ", 1, set(EXAMPLES)), ("steelyard report --sc", 2, {"--score"})],
)
def test_a_shell_completes_commands_and_options(typed: str, at: int, expected: set[str]) -> None:
    asked = {"_STEELYARD_COMPLETE": "complete_bash", "COMP_WORDS": typed, "COMP_CWORD": str(at)}
    done = command(asked)
    assert (done.returncode, set(done.stdout.split())) == (0, expected), done.stderr


def test_completion_is_shown_and_installed_for_the_shell(tmp_path: Path) -> None:
    shells = {"_TYPER_COMPLETE_TEST_DISABLE_SHELL_DETECTION": "1", "HOME": str(tmp_path)}
    shown = command(shells, "--show-completion", "bash")
    assert shown.returncode == 0
    assert re.search(r"complete .* steelyard\n", shown.stdout)
    installed = command(shells, "--install-completion", "bash")
    assert installed.returncode == 0, installed.stderr
    assert "steelyard" in (tmp_path / ".bash_completions" / "steelyard.sh").read_text()


def test_a_shell_that_is_not_known_is_no_verdict(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Typer ends with 1 there, which is the code of a verdict."""
    shellingham = pytest.importorskip("shellingham")

    def unknown() -> None:
        raise shellingham.ShellDetectionFailure

    monkeypatch.setattr(shellingham, "detect_shell", unknown)
    monkeypatch.setenv("HOME", str(tmp_path))
    assert cli.run(["--install-completion"]) == 2
    assert not list(tmp_path.iterdir())

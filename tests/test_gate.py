"""The example of a gate in continuous integration: its script decides, and its workflow calls it as it is."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

GATE = Path(__file__).parents[1] / "examples" / "gate"
SHELL = shutil.which("sh")

pytestmark = pytest.mark.skipif(SHELL is None, reason="the gate is a script for sh, which is absent")


def records(path: Path, wrong: int, n: int = 600) -> None:
    path.write_text("".join(json.dumps({"id": i, "correct": int(i >= wrong)}) + "\n" for i in range(n)))


def step(name: str) -> str:
    """The command of one step of the workflow, which is on one line."""
    text = (GATE / "github-actions.yml").read_text("utf-8")
    found = re.search(rf"- name: {name}\n(?:\s+#.*\n)*\s+run: (.+)\n", text)
    assert found is not None, name
    return found[1]


def compare(folder: Path) -> tuple[int, str]:
    """Run the workflow's step in a checkout, as a runner of GitHub does; its exit code and the job summary."""
    (folder / "examples").symlink_to(GATE.parent)
    bin_ = folder / "bin"
    bin_.mkdir()
    command = bin_ / "steelyard"
    command.write_text(f'#!/bin/sh\nexec "{sys.executable}" -m steelyard "$@"\n')
    command.chmod(0o755)
    summary = folder / "summary.md"
    environment = os.environ | {"PATH": f"{bin_}{os.pathsep}{os.environ['PATH']}", "GITHUB_STEP_SUMMARY": str(summary)}
    assert SHELL is not None
    done = subprocess.run([SHELL, "-c", step("Compare")], cwd=folder, env=environment, check=False, timeout=200)
    return done.returncode, summary.read_text("utf-8") if summary.exists() else ""


@pytest.mark.parametrize(("wrong", "code", "verdict"), [(60, 0, "not worse"), (200, 1, "worse"), (20, 0, "better")])
def test_the_step_ends_with_the_verdict(tmp_path: Path, wrong: int, code: int, verdict: str) -> None:
    records(tmp_path / "base.jsonl", 61)
    records(tmp_path / "new.jsonl", wrong)
    found, summary = compare(tmp_path)
    assert found == code
    assert f"| {verdict} |" in summary
    assert (tmp_path / "gate.html").stat().st_size > 10_000
    (pair,) = json.loads((tmp_path / "gate.json").read_text())["pairs"]
    assert (pair["model"], pair["baseline"], pair["verdict"]) == ("new", "base", verdict.replace(" ", "_"))


def test_records_that_cannot_be_compared_end_with_2(tmp_path: Path) -> None:
    records(tmp_path / "base.jsonl", 61)
    (tmp_path / "new.jsonl").write_text('{"id": "other", "correct": 1}\n')
    assert compare(tmp_path) == (2, "")
    assert not (tmp_path / "gate.html").exists()

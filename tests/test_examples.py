"""The examples of training: each runs, and its loss falls."""

from __future__ import annotations

import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest

from examples import numpy_training

ROOT = Path(__file__).resolve().parents[1]


def test_numpy(capsys: pytest.CaptureFixture[str]) -> None:
    first, last = numpy_training.main()
    assert last < first / 50
    assert f"step {numpy_training.STEPS}  loss {last:.5f}" in capsys.readouterr().out


@pytest.mark.skipif(find_spec("jax") is None, reason="jax is not installed (pip install jax)")
def test_jax() -> None:
    """In a process of its own: JAX's threads would make every later fork of this one warn."""
    path = ROOT / "examples" / "jax_training.py"
    done = subprocess.run([sys.executable, path], capture_output=True, text=True, timeout=250, check=False)
    assert done.returncode == 0, done.stderr  # it asserts that its loss fell
    assert "step 300  loss 0.0" in done.stdout

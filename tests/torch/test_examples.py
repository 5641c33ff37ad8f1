"""The torch example runs, and its loss falls."""

from __future__ import annotations

import pytest

from examples import torch_training


def test_torch(capsys: pytest.CaptureFixture[str]) -> None:
    first, last = torch_training.main()
    assert last < first / 50
    assert f"step {torch_training.STEPS}  loss {last:.5f}" in capsys.readouterr().out

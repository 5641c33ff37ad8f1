"""Tests against torch: run by ``make test-torch``, which installs it; never collected by ``make test``."""

from __future__ import annotations

import pytest
import torch


def pytest_report_header() -> str:
    return f"torch {torch.__version__}, CPU capability {torch.backends.cpu.get_cpu_capability()}"


@pytest.fixture
def met() -> str:
    """What a failed comparison of bits should say it met: torch's bits are a build's, not a contract."""
    return f"torch {torch.__version__} at CPU capability {torch.backends.cpu.get_cpu_capability()}"

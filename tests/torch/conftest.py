"""Tests against torch: run by ``make test-torch``, which installs it; never collected by ``make test``."""

from __future__ import annotations

import pytest
import torch

from .dropin import MAKERS, Make


def pytest_report_header() -> str:
    return f"torch {torch.__version__}, CPU capability {torch.backends.cpu.get_cpu_capability()}"


@pytest.fixture
def met() -> str:
    """The torch build, for the message of a failed comparison: torch's bits depend on the build."""
    return f"torch {torch.__version__} at CPU capability {torch.backends.cpu.get_cpu_capability()}"


@pytest.fixture(params=MAKERS)
def make(request: pytest.FixtureRequest) -> Make:
    """AdamW by torch and by this package: what passes with the one has to pass with the other."""
    return MAKERS[request.param]

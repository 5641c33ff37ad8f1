"""The torch example runs, and its loss falls; the docstrings of the adapter are true."""

from __future__ import annotations

import doctest
import importlib
import pkgutil
from pathlib import Path

import pytest

import steelyard.torch
from examples import torch_training


def test_torch(capsys: pytest.CaptureFixture[str]) -> None:
    first, last = torch_training.main()
    assert last < first / 50
    assert f"step {torch_training.STEPS}  loss {last:.5f}" in capsys.readouterr().out


def documented() -> list[doctest.DocTest]:
    names = ["steelyard.torch", *(m.name for m in pkgutil.iter_modules(steelyard.torch.__path__, "steelyard.torch."))]
    finder = doctest.DocTestFinder(exclude_empty=True)
    return [test for name in names for test in finder.find(importlib.import_module(name)) if test.examples]


@pytest.mark.parametrize("test", documented(), ids=lambda test: test.name)
def test_docstring(test: doctest.DocTest) -> None:
    runner = doctest.DocTestRunner(optionflags=doctest.NORMALIZE_WHITESPACE | doctest.ELLIPSIS)
    assert runner.run(test).failed == 0


def test_the_page_about_optimizers() -> None:
    runner = doctest.DocTestRunner(optionflags=doctest.NORMALIZE_WHITESPACE | doctest.ELLIPSIS)
    page = (Path(__file__).parents[2] / "docs" / "optimizers.md").read_text("utf-8").replace("```", "")
    test = doctest.DocTestParser().get_doctest(page, {}, "optimizers.md", None, 0)
    assert len(test.examples) > 10
    assert runner.run(test).failed == 0

"""The examples of README, docstrings and examples/ run and print what they show; links point to existing files."""

from __future__ import annotations

import ast
import doctest
import importlib
import importlib.util
import os
import pkgutil
import re
import shutil
import subprocess
import sys
import types
from pathlib import Path

import pytest

import steelyard

ROOT = Path(__file__).resolve().parents[1]
README = ROOT / "README.md"
PAGES = sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md")])
FLAGS = doctest.ELLIPSIS
FENCE = re.compile(r"^```(\w+)\n(.*?)^```$", re.DOTALL | re.MULTILINE)
# An inline link or picture of Markdown, or an attribute of HTML.
LINK = re.compile(r"\]\(([^)\s]+)\)|(?:src|href)=\"([^\"]+)\"")
# What the commands may call; the rest of the README's shell lines install or build.
SAFE = ("steelyard ", "python examples/", "head ")
COMMAND_NEEDS = ("typer", "rich", "jinja2", "matplotlib", "pyarrow")


def blocks(language: str, page: Path = README) -> list[str]:
    return [text for kind, text in FENCE.findall(page.read_text("utf-8")) if kind == language]


def failures(test: doctest.DocTest) -> tuple[int, str]:
    """The number of examples that ran, and the messages of those that failed."""
    said: list[str] = []
    result = doctest.DocTestRunner(optionflags=FLAGS).run(test, out=said.append, clear_globs=False)
    return result.attempted, "".join(said) if result.failed else ""


def agree(expected: str, printed: str) -> bool:
    """Equal but for ``...``, which stands for anything."""
    return doctest.OutputChecker().check_output(expected, printed, FLAGS)


def test_the_checkers_see_a_wrong_answer() -> None:
    wrong = doctest.DocTestParser().get_doctest(">>> 1 + 1\n3\n", {}, "wrong", None, 0)
    assert failures(wrong)[0] == 1
    assert "Got:\n    2" in failures(wrong)[1]
    assert agree("a\n...\nd\n", "a\nb\nc\nd\n")
    assert not agree("a\n...\nd\n", "a\nb\nc\n")


# -- README ------------------------------------------------------------------------------------------------


def test_the_readme_is_one_session(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)  # it writes a file
    found = blocks("python")
    assert len(found) > 5
    assert all(text.startswith(">>> ") for text in found)
    test = doctest.DocTestParser().get_doctest("\n".join(found), {"__name__": "__main__"}, "README.md", str(README), 0)
    attempted, said = failures(test)
    assert attempted > 30
    assert said == ""


def commands(text: str) -> list[tuple[str, str]]:
    """The commands of a console block, each with what it prints."""
    parts = re.split(r"^\$ (.+)\n", text, flags=re.MULTILINE)
    assert parts[0] == ""
    return list(zip(parts[1::2], parts[2::2], strict=True))


@pytest.mark.parametrize("page", [README, ROOT / "docs" / "reports.md"], ids=lambda page: page.name)
def test_commands_print_what_a_page_says(page: Path, tmp_path: Path) -> None:
    missing = [name for name in COMMAND_NEEDS if importlib.util.find_spec(name) is None]
    if missing:
        pytest.skip(f"the command needs {', '.join(missing)} (pip install 'steelyard[cli]')")
    shell = shutil.which("bash")
    if shell is None:
        pytest.skip("the README's commands are for a shell: bash is absent")
    (tmp_path / "examples").symlink_to(ROOT / "examples")
    names = 'steelyard() { "$PYTHON" -m steelyard "$@"; }\npython() { "$PYTHON" "$@"; }\n'
    environment = {k: v for k, v in os.environ.items() if k not in ("GITHUB_STEP_SUMMARY", "FORCE_COLOR")}
    environment |= {"PYTHON": sys.executable, "COLUMNS": "80", "PYTHONWARNINGS": "error"}
    ran = [pair for text in blocks("console", page) for pair in commands(text)]
    assert {"report", "compare"} <= {words[1] for words, _ in ((c.split(), e) for c, e in ran)}
    for command, expected in ran:
        assert command.startswith(SAFE), command
        out = subprocess.run(
            [shell, "-c", names + command],
            cwd=tmp_path, env=environment, text=True, check=False, timeout=200,
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
        )  # fmt: skip
        assert agree(expected, out.stdout), f"$ {command}\n{out.stdout}"
        assert out.returncode == 0, command
    pages = [*tmp_path.glob("*.html"), *tmp_path.glob("out/report.html")]
    assert pages
    assert all(path.stat().st_size > 10_000 for path in pages)


def test_the_readme_names_the_two_commands_and_the_place_of_the_benchmarks() -> None:
    text = README.read_text("utf-8")
    targets = re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text("utf-8"), re.MULTILINE)
    used = set(re.findall(r"`make ([a-z-]+)`", text)) | set(re.findall(r"^make ([a-z-]+)", text, re.MULTILINE))
    assert {"demo", "test"} <= used <= set(targets)
    assert text.count("<!-- bench:begin -->") == text.count("<!-- bench:end -->") == 1


# -- docstrings --------------------------------------------------------------------------------------------


def public_modules() -> list[types.ModuleType]:
    """Every module but the compiled core, the foundation's private ones and the entry point."""
    found = [steelyard]
    for info in pkgutil.walk_packages(steelyard.__path__, "steelyard."):
        if info.name == "steelyard.spark":
            continue  # its examples need a cluster: tests/distributed runs them
        if not any(part.startswith("_") for part in info.name.split(".")):
            try:
                found.append(importlib.import_module(info.name))
            except ModuleNotFoundError as error:
                if (error.name or "").partition(".")[0] not in {*COMMAND_NEEDS, "torch", "dask", "pyspark"}:
                    raise
    return found


def documented() -> list[doctest.DocTest]:
    """The examples of public modules, and of public names that private modules define."""
    finder = doctest.DocTestFinder(exclude_empty=True)
    found = [test for module in public_modules() for test in finder.find(module)]
    for module in public_modules():
        for name in getattr(module, "__all__", ()):
            if "._" in getattr(value := getattr(module, name), "__module__", ""):
                found += finder.find(value, f"{value.__module__}.{name}", globs=vars(module))
    return [test for test in {test.name: test for test in found}.values() if test.examples]


@pytest.mark.parametrize("test", documented(), ids=lambda test: test.name)
def test_docstring(test: doctest.DocTest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("MPLBACKEND", "agg")
    test.globs = dict(test.globs)
    attempted, said = failures(test)
    assert attempted == len(test.examples)
    assert said == ""


def test_every_room_has_docstrings_that_run() -> None:
    names = " ".join(test.name for test in documented())
    for room in ("optim", "tokens", "calibration", "uncertainty", "preference", "records", "report"):
        assert f"steelyard.{room}" in names, room


# -- examples ----------------------------------------------------------------------------------------------


def imports(path: Path) -> set[str]:
    """The packages that a script imports."""
    nodes = list(ast.walk(ast.parse(path.read_text("utf-8"))))
    names = {alias.name for node in nodes if isinstance(node, ast.Import) for alias in node.names}
    names |= {node.module for node in nodes if isinstance(node, ast.ImportFrom) and node.module and not node.level}
    return {name.partition(".")[0] for name in names}


@pytest.mark.parametrize("script", sorted((ROOT / "examples").glob("*.py")), ids=lambda path: path.name)
def test_example_runs_without_a_warning(script: Path, tmp_path: Path) -> None:
    missing = sorted(name for name in imports(script) if importlib.util.find_spec(name) is None)
    if missing:
        pytest.skip(f"{script.name} needs {', '.join(missing)}")
    environment = os.environ | {"PYTHONWARNINGS": "error", "MPLBACKEND": "agg"}
    out = subprocess.run(
        [sys.executable, str(script)],
        cwd=tmp_path, env=environment, capture_output=True, text=True, check=False, timeout=200,
    )  # fmt: skip
    assert out.returncode == 0, out.stderr
    assert out.stdout


# -- links -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_links_lead_to_files(page: Path) -> None:
    text = FENCE.sub("", page.read_text("utf-8"))
    for link in (a or b for a, b in LINK.findall(text)):
        if "://" in link or link.startswith(("#", "mailto:")):
            continue
        assert (page.parent / link.partition("#")[0]).exists(), f"{page.name}: {link}"


def test_paths_that_the_pages_name_exist() -> None:
    """In backquotes, with a folder of the project in front: ``tests/golden.json``, ``benches/`` and so on."""
    tops = "rust|python|tests|benches|examples|docs"
    for page in (README, ROOT / "ARCHITECTURE.md", ROOT / "CONTRIBUTING.md"):
        for path in re.findall(rf"`((?:{tops})/[^`\s{{}}<>]*)`", page.read_text("utf-8")):
            assert any(ROOT.glob(path.rstrip("/"))) or (ROOT / path).exists(), f"{page.name}: {path}"

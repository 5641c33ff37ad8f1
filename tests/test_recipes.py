"""The recipes in docs/recipes agree with the source: the files they name exist and contain the code that they show."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
PAGES = sorted((ROOT / "docs/recipes").glob("*.md"))
FILES = [ROOT / "Makefile"] + [
    path
    for top in ("rust", "python", "tests", "benches")
    for path in sorted((ROOT / top).rglob("*"))
    if path.suffix in (".rs", ".py", ".pyi", ".json", ".toml") and "target" not in path.parts
]
CODE = re.compile(r"^```\w*\n(.*?)^```$", re.DOTALL | re.MULTILINE)
each_page = pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)


def quoted(page: Path) -> list[str]:
    """What stands in backquotes, outside the blocks of code."""
    return re.findall(r"`([^`\n]+)`", CODE.sub("", page.read_text("utf-8")))


def one_line(text: str) -> str:
    return re.sub(r"\s+", " ", text).strip()


def shown(page: Path) -> list[tuple[str, str]]:
    """The lines that the diffs of a page add or leave, each with its file; ``...`` stands for what is left out."""
    found = []
    for block in CODE.findall(page.read_text("utf-8")):
        path = ""
        for line in block.splitlines():
            if line.startswith("+++ "):
                path = line.removeprefix("+++ b/")
            elif not line.startswith(("-", "@@")) and line[1:].strip() not in ("", "..."):
                found.append((path, one_line(line[1:])))
    return found


def test_there_are_recipes() -> None:
    assert {"add-a-loss", "add-a-schedule"} <= {page.stem for page in PAGES}


@each_page
def test_a_recipe_has_its_parts(page: Path) -> None:
    text = CODE.sub("(code)", page.read_text("utf-8"))
    assert re.match(r"# Add an? .+\n\n(.+\n)+\nTouch:\n\n1\. ", text)
    assert re.search(r"\(code\)\n\nWhat fails until it is whole:\n\n- ", text)
    assert shown(page)


@each_page
def test_files_exist(page: Path) -> None:
    """By their path, or by the end of it; ``path::name`` is a test or another thing in that file."""
    names = [name.partition("::") for name in quoted(page) if re.fullmatch(r"[\w/.-]+(/\w*|\.\w+)(::\w+)?", name)]
    assert len(names) > 3
    for path, _, thing in names:
        assert (ROOT / path).exists() or any(file.as_posix().endswith(f"/{path}") for file in FILES), path
        assert not thing or thing in (ROOT / path).read_text("utf-8"), (path, thing)


@each_page
def test_symbols_exist(page: Path) -> None:
    words = {word for name in quoted(page) if "/" not in name for word in re.findall(r"[A-Za-z_]\w*", name)}
    known = {word for file in FILES for word in re.findall(r"[A-Za-z_]\w*", file.read_text("utf-8"))}
    assert sorted(words - known) == []


@each_page
def test_the_code_shown_stands_in_its_file(page: Path) -> None:
    text = {path: one_line((ROOT / path).read_text("utf-8")) for path, _ in shown(page)}
    assert [(path, line) for path, line in shown(page) if line not in text[path]] == []

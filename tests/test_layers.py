"""Who may import what: the table of layers in ARCHITECTURE.md, held against every import of the package."""

from __future__ import annotations

import ast
import importlib
import re
import sys
from collections.abc import Iterator
from fnmatch import fnmatchcase
from pathlib import Path
from typing import NamedTuple

import pytest

ROOT = Path(__file__).resolve().parents[1]
FACE = ROOT / "python" / "steelyard"
FILES = sorted(FACE.rglob("*.py"))
ANYBODY = {"numpy", *sys.stdlib_module_names}
THIRD = "third parties"


class Layer(NamedTuple):
    parts: tuple[str, ...]
    """Files and folders of the package, as patterns."""
    imports: tuple[str, ...]


def layers() -> dict[str, Layer]:
    """The table of ARCHITECTURE.md."""
    _, _, after = (ROOT / "ARCHITECTURE.md").read_text("utf-8").partition("| layer | in `python/steelyard` |")
    rows = [
        [cell.strip() for cell in line.strip("|").split("|")] for line in after.partition("\n\n")[0].splitlines()[2:]
    ]
    return {
        name: Layer(tuple(re.findall(r"`(.+?)`", parts)), tuple(imports.split(", "))) for name, parts, imports in rows
    }


LAYERS = layers()


def layer_of(part: str) -> str:
    """The layer of a file or folder of the package; a name without a pattern is the closer description."""
    found = [name for name, layer in LAYERS.items() if part in layer.parts]
    found = found or [name for name, layer in LAYERS.items() if any(fnmatchcase(part, like) for like in layer.parts)]
    assert len(found) == 1, f"{part} belongs to {found or 'no layer'}: ARCHITECTURE.md has the table of layers"
    return found[0]


def part_of(path: Path) -> str:
    return path.relative_to(FACE).parts[0].removesuffix(".py")


class Import(NamedTuple):
    line: int
    part: str
    """What is imported: a file or folder of the package, or the package of somebody else."""
    names: tuple[str, ...]
    """Inside it: the modules on the way, and the name."""
    ours: bool
    inside_function: bool


def imports(path: Path, source: str) -> Iterator[Import]:
    """Every import of a file, those for types alone too."""
    tree = ast.parse(source)
    inside = {
        id(node) for function in ast.walk(tree) if isinstance(function, ast.FunctionDef) for node in ast.walk(function)
    }
    inside |= {id(node) for test in ast.walk(tree) if _for_types(test) for node in ast.walk(test)}
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            found = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            start = ("steelyard", *path.parents[node.level - 1].relative_to(FACE).parts) if node.level else ()
            module = ".".join((*start, *filter(None, [node.module])))
            found = [f"{module}.{alias.name}" for alias in node.names]
        else:
            continue
        for dotted in found:
            ours = dotted.startswith("steelyard.")
            part, *rest = dotted.removeprefix("steelyard.").split(".")
            yield Import(node.lineno, part, tuple(rest), ours, id(node) in inside)


def _for_types(node: ast.AST) -> bool:
    return isinstance(node, ast.If) and isinstance(node.test, ast.Name) and node.test.id == "TYPE_CHECKING"


def used(source: str, room: str) -> Iterator[tuple[int, str]]:
    """Names that a file reads from a room that it imported as a module."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id == room:
            yield node.lineno, node.attr


def broken(path: Path, source: str) -> Iterator[str]:
    """What a file imports and must not."""
    part = part_of(path)
    mine, allowed = layer_of(part), LAYERS[layer_of(part)].imports
    place = path.relative_to(FACE).as_posix()
    for line, other, names, ours, inside_function in imports(path, source):
        if not ours:
            if other not in ANYBODY and not inside_function and THIRD not in allowed:
                yield f"{place}:{line}: {other} at module level"
            continue
        if other == part:
            continue
        layer = layer_of(other)
        if layer not in allowed:
            yield f"{place}:{line}: {mine} imports {other} of {layer}"
        elif layer == "rooms":
            read = [(line, names[-1])] if names else list(used(source, other))
            public = importlib.import_module(f"steelyard.{other}").__all__
            yield from (f"{place}:{at}: {other}.{name} is not public" for at, name in read if name not in public)
            if len(names) > 1:
                yield f"{place}:{line}: {'.'.join(names)} of {other}, past its door"


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.relative_to(FACE).as_posix())
def test_every_import_is_one_that_the_table_allows(path: Path) -> None:
    assert list(broken(path, path.read_text("utf-8"))) == []


@pytest.mark.parametrize(
    ("file", "line", "refusal"),
    [
        ("report/measure.py", "from .. import _core", "report imports _core of core"),
        ("report/measure.py", "from ..uncertainty.mean import estimate", "past its door"),
        ("report/measure.py", "from ..uncertainty import nothing", "uncertainty.nothing is not public"),
        ("report/measure.py", "from .. import uncertainty\nuncertainty.mean", "uncertainty.mean is not public"),
        ("records/read.py", "from ..report import build", "records imports report of report"),
        ("preference/losses.py", "from ..uncertainty import estimate", "rooms imports uncertainty of rooms"),
        ("tokens/scores.py", "from steelyard.calibration import reliability", "rooms imports calibration of rooms"),
        ("_arrays.py", "def f():\n    from .tokens import TokenScores", "foundation imports tokens of rooms"),
        ("_arrays.py", "import torch", "torch at module level"),
        ("cli/output.py", "from ..tokens import perplexity", "command imports tokens of rooms"),
    ],
)
def test_what_the_table_does_not_allow_is_found(file: str, line: str, refusal: str) -> None:
    (found,) = broken(FACE / file, line)
    assert found.endswith(refusal)


@pytest.mark.parametrize(
    ("file", "line"),
    [
        ("cli/output.py", "import typer"),
        ("report/html.py", "def page():\n    import jinja2"),
        ("report/measure.py", "from .. import uncertainty\nuncertainty.estimate"),
        ("tokens/scores.py", "import numpy as np\nfrom .. import _core\nfrom .perplexity import perplexity"),
    ],
)
def test_what_the_table_allows_is_not(file: str, line: str) -> None:
    assert list(broken(FACE / file, line)) == []


def test_every_layer_is_there() -> None:
    for name, layer in LAYERS.items():
        for part in layer.parts:
            assert any(fnmatchcase(file.name.partition(".")[0], part) for file in FACE.iterdir()), f"{name}: {part}"
        assert {*layer.imports} <= {*LAYERS, THIRD, ""}, name

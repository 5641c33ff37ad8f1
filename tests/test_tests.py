"""Rules that hold for the tests themselves, since a test that cannot fail is worse than none: it is believed."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
SOURCES = sorted(path for top in ("python", "tests", "benches", "examples") for path in (ROOT / top).rglob("*.py"))
TESTS = [path for path in SOURCES if path.is_relative_to(ROOT / "tests")]
# Functions of pytest that fail a test, beside those whose names begin with `assert`.
FAIL = {"raises", "warns", "fail"}


def _called(node: ast.Call) -> str:
    return node.func.id if isinstance(node.func, ast.Name) else getattr(node.func, "attr", "")


def _asserts(function: ast.AST) -> bool:
    """Whether something inside fails by itself: an assert statement, or a call that is known to fail."""
    return any(
        isinstance(node, ast.Assert)
        or (isinstance(node, ast.Call) and (_called(node) in FAIL or _called(node).startswith("assert")))
        for node in ast.walk(function)
    )


def _functions(trees: list[ast.Module]) -> Iterator[ast.FunctionDef]:
    yield from (node for tree in trees for node in ast.walk(tree) if isinstance(node, ast.FunctionDef))


def without_assertion(trees: list[ast.Module]) -> set[str]:
    """Tests that neither assert nor name a helper that does, directly or through further helpers."""
    functions = list(_functions(trees))
    sure = {function.name for function in functions if _asserts(function)}
    names = [(f.name, {node.id for node in ast.walk(f) if isinstance(node, ast.Name)}) for f in functions]
    before = -1
    while len(sure) != before:
        before = len(sure)
        sure |= {name for name, used in names if used & sure}
    return {function.name for function in functions if function.name.startswith("test_")} - sure


def swallowed(tree: ast.AST) -> Iterator[int]:
    """Lines of handlers that let any error of any kind pass unseen."""
    for node in ast.walk(tree):
        if isinstance(node, ast.ExceptHandler):
            wide = node.type is None or (isinstance(node.type, ast.Name) and node.type.id.endswith("Exception"))
            if wide and all(isinstance(line, ast.Pass | ast.Continue) for line in node.body):
                yield node.lineno


def wide_raises(tree: ast.AST) -> Iterator[int]:
    """Lines that expect an error of any kind, such as a misspelling inside."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and _called(node) == "raises":
            kinds = {kind.id for kind in ast.walk(node.args[0]) if isinstance(kind, ast.Name)} if node.args else set()
            if kinds & {"Exception", "BaseException"}:
                yield node.lineno


def loose_zips(tree: ast.AST) -> Iterator[int]:
    """Lines where a ``zip`` may stop at the end of the shorter side, and what is beyond it is compared with nothing."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and _called(node) == "zip" and len(node.args) > 1:
            strict = [word.value for word in node.keywords if word.arg == "strict"]
            if not (strict and isinstance(strict[0], ast.Constant) and strict[0].value is True):
                yield node.lineno


def same_on_both_sides(tree: ast.AST) -> Iterator[int]:
    """Lines that assert of a name or an attribute that it equals itself."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Assert) and isinstance(node.test, ast.Compare):
            left, right = node.test.left, node.test.comparators[0]
            plain = not any(isinstance(part, ast.Call) for part in ast.walk(left))
            if plain and isinstance(node.test.ops[0], ast.Eq | ast.Is) and ast.dump(left) == ast.dump(right):
                yield node.lineno


def test_the_rules_see_what_they_forbid() -> None:
    source = """
def helper(): assert 1
def test_by_a_helper(): helper()
def test_by_a_function_that_is_handed_on(): run(helper)
def test_by_pytest():
    with pytest.raises(ValueError): f()
def test_nothing(): f()
"""
    assert without_assertion([ast.parse(source)]) == {"test_nothing"}
    assert list(swallowed(ast.parse("try: f()\nexcept Exception: pass"))) == [2]
    assert list(swallowed(ast.parse("try: f()\nexcept KeyError: pass"))) == []
    assert list(wide_raises(ast.parse("pytest.raises(Exception)\npytest.raises((ValueError, Exception))"))) == [1, 2]
    assert list(wide_raises(ast.parse("pytest.raises(ValueError, match='x')"))) == []
    assert list(loose_zips(ast.parse("zip(a, b)\nzip(a, b, strict=False)\nzip(a, b, strict=True)"))) == [1, 2]
    assert list(same_on_both_sides(ast.parse("assert a.b == a.b\nassert f() == f()\nassert a == b"))) == [1]


def test_every_test_asserts() -> None:
    assert without_assertion([ast.parse(path.read_text("utf-8")) for path in TESTS]) == set()


@pytest.mark.parametrize("rule", [swallowed, wide_raises, loose_zips, same_on_both_sides])
def test_the_sources_keep_to(rule: object) -> None:
    trees = {path.relative_to(ROOT): ast.parse(path.read_text("utf-8")) for path in SOURCES}
    assert len(trees) > 100
    assert [f"{path}:{line}" for path, tree in trees.items() for line in rule(tree)] == []  # type: ignore[operator]


def test_a_parametrization_that_gives_no_case_is_an_error(pytestconfig: pytest.Config) -> None:
    """pytest would skip such a test, and a test of an empty table would never be missed."""
    assert pytestconfig.getini("empty_parameter_set_mark") == "fail_at_collect"

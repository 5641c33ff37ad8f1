"""Rules for the source: its names, its imports, and operations that it must not use."""

from __future__ import annotations

import ast
import graphlib
import inspect
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

import steelyard
from steelyard import _core

ROOT = Path(__file__).resolve().parents[1]
FACE = ROOT / "python" / "steelyard"
RUST = ROOT / "rust"

# `unsafe` may stand here and nowhere else.
UNSAFE = {
    "rust/kernels/src/simd/level.rs",
    "rust/kernels/src/simd/fpenv.rs",
    "rust/kernels/src/simd/lookup.rs",
    "rust/kernels/src/simd/mask.rs",
    "rust/kernels/src/simd/pair.rs",
    "rust/kernels/src/simd/stairs.rs",
    "rust/kernels/src/pool/process.rs",
    "rust/kernels/src/pool/team.rs",
    "rust/binding/src/arrays/blocks.rs",
    "rust/binding/src/arrays/fresh.rs",
    "rust/binding/src/arrays/loads.rs",
    "rust/binding/src/arrays/mod.rs",
    "rust/binding/src/arrays/owners.rs",
    "rust/binding/src/arrays/shim.rs",
    "rust/binding/src/arrays/tensor_claim.rs",
    "rust/binding/src/arrays/tensor_rows.rs",
    "rust/binding/src/arrays/written.rs",
    "rust/binding/src/give.rs",
    "rust/binding/src/reserve.rs",
    "rust/binding/src/callback.rs",
}

MATH = {"sqrt", "floor", "isfinite", "isnan", "fsum", "frexp", "ldexp", "isqrt", "inf", "nan"}  # all exact
# NumPy functions whose bits depend on the processor, the C library, BLAS or NumPy's version.
NUMPY = {
    "exp", "exp2", "expm1", "log", "log2", "log10", "log1p", "logaddexp", "logaddexp2", "power", "float_power",
    "cbrt", "hypot", "sin", "cos", "tan", "arcsin", "arccos", "arctan", "arctan2", "sinh", "cosh", "tanh", "arcsinh",
    "arccosh", "arctanh", "sinc", "i0", "dot", "vdot", "inner", "outer", "matmul", "tensordot", "einsum", "linalg",
    "fft", "random", "interp", "cov", "corrcoef", "convolve", "polyfit", "polyval", "logspace", "geomspace",
}  # fmt: skip
SORTS = {"sort", "argsort", "partition", "argpartition"}
# On a name that may be a list or a string these two are harmless: `items.sort()`, `text.partition(",")`.
HARMLESS_ELSEWHERE = {"sort", "partition"}


def _python_files() -> list[Path]:
    files = sorted(FACE.rglob("*.py"))
    assert len(files) > 3
    return files


def _rust_files() -> list[Path]:
    files = sorted(RUST.glob("*/src/**/*.rs"))
    assert len(files) > 5
    return files


def _name(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


def _without_comments(rust: str) -> str:
    return re.sub(r"//[^\n]*", "", rust)


def forbidden(source: str) -> Iterator[tuple[int, str]]:
    """Yield the line and text of everything whose bits are not fixed by IEEE 754."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name):
            module, name = node.value.id, node.attr
            if (module == "math" and name not in MATH) or (module in {"np", "numpy"} and name in NUMPY):
                yield node.lineno, f"{module}.{name}"
        elif isinstance(node, ast.Import):
            aliases = {"numpy": "np", "math": None}
            for a in node.names:
                if a.name in {"cmath", "statistics"} or (a.name in aliases and a.asname != aliases[a.name]):
                    yield node.lineno, f"import {a.name}" + (f" as {a.asname}" if a.asname else "")
        elif isinstance(node, ast.ImportFrom) and node.module in {"math", "cmath", "numpy"}:
            allowed = MATH if node.module == "math" else {"typing"}
            yield from (
                (node.lineno, f"from {node.module} import {a.name}") for a in node.names if a.name not in allowed
            )
        elif isinstance(node, ast.BinOp | ast.AugAssign):
            if isinstance(node.op, ast.MatMult):
                yield node.lineno, "@ (BLAS)"
            elif isinstance(node.op, ast.Pow) and not _integer_power(node):
                yield node.lineno, "** on what may be a float"
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "pow":
            yield node.lineno, "pow()"
        elif isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
            name = node.func.attr
            kind = next((k.value for k in node.keywords if k.arg == "kind"), None)
            stable = isinstance(kind, ast.Constant) and kind.value == "stable"
            on_numpy = isinstance(node.func.value, ast.Name) and node.func.value.id in {"np", "numpy"}
            if name in SORTS and not stable and (on_numpy or name not in HARMLESS_ELSEWHERE):
                yield node.lineno, f"{name} without kind='stable'"
            if name in {"dot", "matmul"}:
                yield node.lineno, f".{name}() (BLAS)"


def _integer_power(node: ast.BinOp | ast.AugAssign) -> bool:
    """Tell whether this is `2 ** k` or the like with a literal integer base: exact in Python's integers."""
    return isinstance(node, ast.BinOp) and isinstance(node.left, ast.Constant) and isinstance(node.left.value, int)


def test_the_checker_sees_what_it_forbids() -> None:
    bad = [
        "np.exp(x)", "math.log(x)", "from math import exp", "a @ b", "a @= b", "x ** 2", "x **= 0.5", "np.sort(x)",
        "x.argsort()", "np.argsort(x, kind='quicksort')", "a.dot(b)", "np.linalg.norm(x)", "np.random.rand()",
        "from numpy import exp", "2.0 ** n", "pow(x, y)", "import math as m", "import cmath",
    ]  # fmt: skip
    good = [
        "math.sqrt(x)",
        "np.sqrt(x)",
        "np.argsort(x, kind='stable')",
        "2 ** 64",
        "items.sort()",
        "t.partition(',')",
    ]
    assert [line for line in bad if not list(forbidden(line))] == []
    assert [line for line in good if list(forbidden(line))] == []


# The reference may use NumPy's functions: it is the oracle, not the result.
@pytest.mark.parametrize("path", [p for p in _python_files() if p.parent.name != "reference"], ids=_name)
def test_the_face_uses_nothing_whose_bits_may_differ(path: Path) -> None:
    found = [f"{_name(path)}:{line}: {what}" for line, what in forbidden(path.read_text("utf-8"))]
    assert found == [], "these go through steelyard._core:\n" + "\n".join(found)


@pytest.mark.parametrize("path", _rust_files(), ids=_name)
def test_unsafe_stands_in_these_modules_only(path: Path) -> None:
    source = _without_comments(path.read_text("utf-8"))
    if _name(path) not in UNSAFE:
        assert not re.search(r"\bunsafe\b|allow\(unsafe_code\)", source)


def test_the_modules_allowed_unsafe_exist_and_use_it() -> None:
    for name in UNSAFE:
        assert re.search(r"\bunsafe\b", _without_comments((ROOT / name).read_text("utf-8"))), name


@pytest.mark.parametrize("path", _rust_files(), ids=_name)
def test_only_the_pool_starts_threads(path: Path) -> None:
    source = _without_comments(path.read_text("utf-8")).split("#[cfg(test)]")[0]
    assert "rayon" not in source
    if _name(path) != "rust/kernels/src/pool/team.rs":
        assert not re.search(r"\bthread::(spawn|scope|Builder)\b", source)


def test_kernels_do_not_know_python() -> None:
    for path in _rust_files():
        if "kernels" in path.parts:
            assert not re.search(r"\b(pyo3|numpy)::", path.read_text("utf-8")), path


def _imported(path: Path) -> Iterator[Path]:
    """Files of the package that a file imports from, for types alone too."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.ImportFrom) and (node.level or (node.module or "").startswith("steelyard")):
            start = path.parents[node.level - 1] if node.level else FACE.parent
            base = start.joinpath(*(node.module or "").split("."))
            for name in (alias.name for alias in node.names):
                inside = (base / f"{name}.py", base / f"{name}.pyi", base / name / "__init__.py")
                yield next(file for file in (*inside, base.with_suffix(".py"), base / "__init__.py") if file.exists())


def test_no_two_files_import_from_each_other() -> None:
    imports = {path: set(_imported(path)) for path in _python_files()}
    assert FACE / "_estimate.py" in imports[FACE / "uncertainty" / "mean.py"]
    assert FACE / "calibration" / "__init__.py" in imports[FACE / "report" / "measure.py"]
    graphlib.TopologicalSorter(imports).prepare()  # a CycleError lists the files of a circle


def test_import_brings_numpy_and_the_core_alone() -> None:
    script = "import sys, numpy; before = set(sys.modules); import steelyard; print(*sorted(set(sys.modules) - before))"
    out = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=60, check=True).stdout
    roots = {name.split(".")[0] for name in out.split()}
    foreign = roots - set(sys.stdlib_module_names) - {"numpy", "steelyard"}
    assert foreign == set()
    heavy = {"argparse", "asyncio", "multiprocessing", "unittest", "json", "csv", "gzip", "html"}
    assert roots & heavy == set(), "import these inside the functions that need them"


def test_records_and_report_are_imported_when_they_are_first_read() -> None:
    script = """
import sys, steelyard as sy
assert not {"steelyard.records", "steelyard.report"} & set(sys.modules), "imported too early"
assert {"records", "report"} <= set(dir(sy))
sy.records.read, sy.report.build
assert sy.records is sys.modules["steelyard.records"]
try:
    sy.record
except AttributeError:
    print("fine")
"""
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=60, check=False)
    assert done.stdout == "fine\n", done.stderr


def _public(module: object, prefix: str) -> Iterator[tuple[str, object]]:
    for name in module.__all__:  # type: ignore[attr-defined]
        value = getattr(module, name)
        yield f"{prefix}.{name}", value
        if inspect.ismodule(value) and hasattr(value, "__all__"):
            yield from _public(value, f"{prefix}.{name}")


def test_every_public_name_exists_once_and_is_documented() -> None:
    assert len(set(steelyard.__all__)) == len(steelyard.__all__)
    undocumented = []
    for name, value in _public(steelyard, "steelyard"):
        if not (inspect.ismodule(value) or inspect.isclass(value) or callable(value)):
            continue
        if not inspect.getdoc(value):
            undocumented.append(name)
        if inspect.isclass(value):
            own = [(n, m) for n, m in vars(value).items() if not n.startswith("_")]
            members = [(n, getattr(m, "__func__", m)) for n, m in own if callable(m) or isinstance(m, property)]
            undocumented += [f"{name}.{n}" for n, m in members if not inspect.getdoc(m)]
    assert undocumented == []


def test_every_public_function_has_a_runnable_example() -> None:
    functions = [(n, v) for n, v in _public(steelyard, "steelyard") if inspect.isfunction(v)]
    without = [n for n, v in functions if ">>>" not in (inspect.getdoc(v) or "")]
    assert functions
    assert without == []


def test_data_comes_first_and_options_are_keywords() -> None:
    """More than three positional parameters are a sign of an option that should be keyword-only."""
    for name, value in _public(steelyard, "steelyard"):
        if inspect.isfunction(value):
            parameters = inspect.signature(value).parameters.values()
            positional = [p for p in parameters if p.kind is p.POSITIONAL_OR_KEYWORD]
            assert len(positional) <= 4, f"{name}: {[p.name for p in positional]}"


def test_every_core_function_is_in_the_stub() -> None:
    tree = ast.parse((FACE / "_core.pyi").read_text("utf-8"))
    stubbed = {node.name for node in tree.body if isinstance(node, ast.FunctionDef | ast.ClassDef)}
    stubbed |= {
        node.target.id for node in tree.body if isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name)
    }
    # What begins with an underscore is a type that only the stub knows.
    stubbed = {name for name in stubbed if not name.startswith("_")}
    compiled = {name for name in dir(_core) if not name.startswith("__")}
    assert compiled == stubbed


def test_versions_agree() -> None:
    cargo = (ROOT / "Cargo.toml").read_text("utf-8")
    version = re.search(r'^version = "(.+)"', cargo, re.MULTILINE)
    assert version
    assert steelyard.__version__ == version[1]
    assert f"## {version[1]}" in (ROOT / "CHANGELOG.md").read_text("utf-8")

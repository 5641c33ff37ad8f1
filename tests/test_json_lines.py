"""The plain lines that the core reads: the same columns, lines and errors as when every line is read by ``json``."""

from __future__ import annotations

import io
import json
import math
from collections.abc import Callable
from pathlib import Path
from random import Random
from typing import Any

import pytest

from steelyard import records
from steelyard._json_lines import PlainLines, plain_lines
from steelyard.errors import RecordError
from steelyard.records import builder
from steelyard.records.builder import TableBuilder
from steelyard.records.formats import json_records
from steelyard.records.table import LIST, shorten

NO_LINES = PlainLines(0, 0, [], [])

# ---- against the reader of every line by json


def outcome(data: bytes, asked: tuple[str, ...] = ()) -> Any:
    """What a file holds, or what is wrong with it; NaN as text, because it is equal to nothing."""

    def shown(value: Any) -> Any:
        if value is LIST:
            return "a list"
        return (type(value).__name__, repr(value))

    file = io.BufferedReader(io.BytesIO(data), 4096)  # type: ignore[arg-type]
    try:
        table = json_records.read_lines("a.jsonl", file, lambda: None, asked)
    except RecordError as error:
        return str(error)
    columns = {name: [shown(value) for value in table.columns[name]] for name in table.columns}
    return columns, list(table.lines), table.left_out, list(columns)


def both(data: bytes, monkeypatch: pytest.MonkeyPatch) -> tuple[Any, Any, int]:
    """The outcome with plain lines and without, and how many lines were plain."""
    plain = 0
    original = TableBuilder.extend_plain

    def counted(self: TableBuilder, data: bytes, line: int) -> Any:
        nonlocal plain
        found = original(self, data, line)
        plain += found.rows
        return found

    with monkeypatch.context() as patch:
        patch.setattr(TableBuilder, "extend_plain", counted)
        fast = outcome(data)
    with monkeypatch.context() as patch:
        patch.setattr(TableBuilder, "extend_plain", lambda *arguments: NO_LINES)
        return fast, outcome(data), plain


TEXTS = [
    "", "a", "yes", "é", "模型", "\U0001f600", "a\nb", 'say "x"', "back\\slash", "\x1f\x1c", "\u2028", "x" * 199, "x" * 200,
    "x" * 201, " " * 300, " " + "x" * 200 + "\n", "\x1c" + "y" * 250 + "\u3000", "é" * 201, "é" * 150, "7" * 250, "1" + "0" * 250,
    "7." + "0" * 250, "-7." + "0" * 250, "\U0001f600" * 200, "\U0001f600" * 201, "z" * 128, "z" * 5000, "NaN", "\ud800", "\x00",
]  # fmt: skip
NUMBERS = [
    "0", "-0", "1", "-1", "7.0", "0.1", "-0.0", "1e3", "1E+2", "1e-400", "1e400", "-1e400", "123456789012345678", "9" * 19,
    "9" * 400, "0.30000000000000004", "5e-324", "2.2250738585072011e-308", "179769313486231580793e289", "NaN", "Infinity",
    "-Infinity", "01", "1.", ".5", "+1", "1e", "- 1", "0x1", "1_000", "true", "false", "null", "True", "nul", "tru", "٣",
]  # fmt: skip


def value(rng: Random, depth: int = 0) -> str:
    """A value as text: mostly plain, at times one that only json can read, or nobody."""
    kind = rng.random()
    if kind < 0.35:
        return rng.choice(NUMBERS[:16]) if rng.random() < 0.995 else rng.choice(NUMBERS)
    if kind < 0.5:
        return rng.choice(["true", "false", "null"])
    if kind < 0.85 or depth > 3:
        text = rng.choice(TEXTS if rng.random() < 0.1 else TEXTS[:5])
        quoted = json.dumps(text, ensure_ascii=rng.random() < 0.3)
        return quoted.replace("/", "\\/") if rng.random() < 0.05 else quoted
    if kind < 0.95:
        return "[" + rng.choice([", ", ","]).join(value(rng, depth + 1) for _ in range(rng.randrange(4))) + "]"
    return obj(rng, ["x", "y", "x.y"], depth + 1)


def obj(rng: Random, keys: list[str], depth: int = 0) -> str:
    chosen = [key for key in keys if rng.random() < 0.97]
    if rng.random() < 0.05:
        rng.shuffle(chosen)
    if rng.random() < 0.003 and chosen:
        chosen.append(rng.choice(chosen))
    if rng.random() < 0.003:
        chosen.append(rng.choice(["new", "a.b", "é", "\\u0061", "k\\n", ""]))
    colon = rng.choice([":", ": ", " : ", "\t:\r"])
    members = [f'"{key}"{colon}{nested(rng, depth) if key == "d" else value(rng, depth)}' for key in chosen]
    return "{" + rng.choice(["", " "]) + rng.choice([",", ", "]).join(members) + "}"


def nested(rng: Random, depth: int) -> str:
    return obj(rng, ["p", "q", "d"] if depth < 2 else ["p"], depth + 1) if rng.random() < 0.98 else value(rng, depth)


def lines_of(rng: Random) -> bytes:
    keys = ["id", "a", "b", "d", "model"][: rng.randrange(1, 6)]
    lines = [obj(rng, keys) for _ in range(rng.choice([1, 3, 40, 400]))]
    for at in range(len(lines)):
        if rng.random() < 0.002:
            odd = [
                "",
                "  ",
                "[]",
                "7",
                "{",
                "{}",
                '{"a": 1} ',
                '{"a": 1},',
                '{"a": 1,}',
                "\ufeff{}",
                '{"a": "\t"}',
                "{a: 1}",
            ]
            lines[at] = rng.choice(odd)
    text = rng.choice(["\n", "\n", "\r\n"]).join(lines) + rng.choice(["", "\n"])
    data = text.encode("utf-8", "surrogatepass")
    if rng.random() < 0.1:
        at = rng.randrange(len(data))
        data = data[:at] + bytes([rng.randrange(256)]) + data[at + 1 :]
    return rng.choice([b"", b"", b"\xef\xbb\xbf"]) + data


@pytest.mark.parametrize("seed", range(60))
def test_plain_lines_are_read_as_json_reads_them(seed: int, monkeypatch: pytest.MonkeyPatch) -> None:
    rng = Random(seed)
    for _ in range(8):
        data = lines_of(rng)
        fast, exact, _ = both(data, monkeypatch)
        assert fast == exact


@pytest.mark.parametrize("text", [json.dumps(one) for one in TEXTS] + NUMBERS + [json.dumps(TEXTS, ensure_ascii=False)])
def test_each_value_is_read_as_json_reads_it(text: str, monkeypatch: pytest.MonkeyPatch) -> None:
    data = f'{{"a": 0, "b": 1}}\n{{"a": {text}, "b": 2}}\n{{"b": 3}}\n'.encode("utf-8", "surrogatepass")
    fast, exact, _ = both(data, monkeypatch)
    assert fast == exact


def test_usual_files_are_plain_but_for_few_lines(monkeypatch: pytest.MonkeyPatch) -> None:
    rows = [{"id": i, "doc": {"text": "é" * (i % 50), "n": [i]}, "acc": i / 3 if i % 5 else None} for i in range(3000)]
    rows[1700]["acc"] = math.nan
    fast, exact, plain = both("".join(json.dumps(row) + "\n" for row in rows).encode(), monkeypatch)
    assert fast == exact
    assert plain > 2500


def test_a_file_of_other_keys_on_every_line_is_looked_at_seldom(monkeypatch: pytest.MonkeyPatch) -> None:
    looks = 0
    original = TableBuilder.extend_plain

    def counted(self: TableBuilder, data: bytes, line: int) -> Any:
        nonlocal looks
        looks += 1
        return original(self, data, line)

    monkeypatch.setattr(TableBuilder, "extend_plain", counted)
    data = "".join(json.dumps({"acc": 1, f"key {i}": i}) + "\n" for i in range(4000)).encode()
    assert len(outcome(data)[0]) == 4001
    assert looks < 20


def test_dictionaries_that_close_are_counted_alike(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(builder, "MOST_COLUMNS", 200)
    rows = [{"id": i, "acc": 1, "votes": {"yes": i}} for i in range(500)]
    rows += [{"id": i, "acc": 0, "votes": {f"v{i}": 1}} for i in range(300)]
    rows += [{"id": i, "acc": 1, "votes": {"yes": i}} for i in range(500)]
    fast, exact, plain = both("".join(json.dumps(row) + "\n" for row in rows).encode(), monkeypatch)
    assert fast == exact
    assert fast[2] == {"dictionaries 'votes' of too many different keys": 1300}
    assert plain > 400


def test_lists_that_are_asked_for_are_kept() -> None:
    rows = [{"acc": 1, "ll": -0.5 if i < 1000 else [-0.5, -float(i)]} for i in range(2000)]
    data = "".join(json.dumps(row) + "\n" for row in rows).encode()
    file = io.BufferedReader(io.BytesIO(data), 4096)  # type: ignore[arg-type]
    table = json_records.read_lines("a.jsonl", file, lambda: None, ("ll",))
    kept = table.columns.elements("ll")
    assert kept is not None
    assert kept[:1000] == [None] * 1000
    assert kept[1000:] == [row["ll"] for row in rows[1000:]]


# ---- the core


def scan(text: str, columns: list[str], dictionaries: list[str] | None = None) -> Any:
    return plain_lines(text.encode(), columns, dictionaries or [], list_mark=LIST, longest=200, beginning=40)


def test_a_value_of_each_kind() -> None:
    found = scan(
        '{"a": 1, "d": {"b": [1, {"x": 2}], "c": "x"}}\n{"d": {}, "a": 0.5}\nnext', ["a", "d.b", "d.c", "e"], ["d"]
    )
    assert found.rows == 2
    assert found.columns == [[1, 0.5], [LIST, None], ["x", None], None]
    assert found.met == [2]
    assert found.bytes == len('{"a": 1, "d": {"b": [1, {"x": 2}], "c": "x"}}\n{"d": {}, "a": 0.5}\n')


@pytest.mark.parametrize(
    "line",
    [
        "", " ", "{}x", "[1]", '{"a": 1, "a": 1}', '{"x": 1}', '{"a": {}}', '{"d": 1}', '{"a": NaN}', '{"a": [NaN]}',
        '{"a": [{"x": 1, "x": 2}]}', '{"a": ' + "[" * 40 + "]" * 40 + "}", '{"a": "\\ud800"}', '{"a": "\\x41"}',
        '{"a": "\\u12"}', '{"a": "\\u12g4"}', '{"a": "\\u+123"}', '{"a": "\t"}', '{"\\u0061": 1}', '{"a": 1234567890123456789}',
        '{"a": 1', '{"a" 1}', '{"a": 1 "b": 2}', '{"a": 1}}', '{"d.b": 1, "d": {"b": 1}}', '{"d": {"b": 1}, "d": {}}',
    ],
)  # fmt: skip
def test_lines_that_are_left_to_the_caller(line: str) -> None:
    found = scan(f'{{"a": 1}}\n{line}\n{{"a": 1}}\n', ["a", "b", "d.b"], ["d"])
    assert (found.rows, found.bytes) == (1, 9)


@pytest.mark.parametrize("text", TEXTS[:-2])
def test_long_text_is_shortened_alike(text: str) -> None:
    (values,) = scan(json.dumps({"a": text}) + "\n", ["a"]).columns
    assert values is None or values == [shorten(text)]


def test_what_is_not_utf8_ends_the_plain_lines() -> None:
    data = b'{"a": 1}\n{"a": "\xff"}\n{"a": 1}\n'
    assert plain_lines(data, ["a"], [], list_mark=LIST, longest=200, beginning=40).rows == 1


def test_a_report_of_plain_lines_is_the_same(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "a.jsonl"
    rows = [{"id": i, "correct": i % 3 > 0, "confidence": i / 1000} for i in range(1000)]
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    (fast,) = records.read(path)
    monkeypatch.setattr(TableBuilder, "extend_plain", lambda *arguments: NO_LINES)
    (exact,) = records.read(path)
    for name in ("ids", "score", "confidence"):
        get: Callable[[Any], Any] = lambda run, name=name: getattr(run, name)  # noqa: E731
        assert get(fast).tolist() == get(exact).tolist()

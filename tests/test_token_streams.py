"""Token scores of data that do not fit in memory: iterators of batches, memory maps, safetensors files."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import ml_dtypes
import numpy as np
import pytest

import steelyard as sy
from steelyard.tokens import PerplexityState, TokenState, tensors

from .cases import normalish, words
from .dumps import headed, safetensors

ROWS, LENGTH, WIDTH = 12, 7, 23
X = (3.0 * normalish(ROWS * LENGTH * WIDTH, 3)).reshape(ROWS, LENGTH, WIDTH).astype(np.float32)
T = (words(ROWS * LENGTH, 4) % np.uint64(WIDTH)).astype(np.int64).reshape(ROWS, LENGTH)
T[4] = -100
DOCUMENTS = np.arange(ROWS) // 3
WHERE = words(ROWS * LENGTH, 6).reshape(ROWS, LENGTH) % np.uint64(5) > 0


def tuples(of: Any = slice(None)) -> Iterator[Any]:
    return ((X[i : i + 2], T[i : i + 2], DOCUMENTS[i : i + 2]) for i in range(0, ROWS, 2)[of])


def mappings() -> Iterator[Any]:
    names = ("logits", "targets", "clusters", "where")
    for i in range(0, ROWS, 2):
        yield dict(zip(names, (x[i : i + 2] for x in (X, T, DOCUMENTS, WHERE)), strict=True))


# -- iterators ---------------------------------------------------------------------------------------------------


def test_batches_of_every_form_give_the_same_state() -> None:
    want = TokenState(("nll", "rank")).update(X, T, clusters=DOCUMENTS)
    for batches in (tuples(), iter(list(tuples())), zip(X, T, DOCUMENTS.tolist(), strict=True)):
        assert TokenState(("nll", "rank")).update(batches) == want
    masked = TokenState(("nll", "rank")).update(X, T, where=WHERE, clusters=DOCUMENTS)
    assert TokenState(("nll", "rank")).update(mappings()) == masked
    columns = ("rank",)
    scores = ({"logits": sy.token_scores(x, t, columns=columns), "clusters": c} for x, t, c in tuples())
    assert TokenState(("nll", "rank")).update(scores) == want
    assert TokenState(("nll", "rank")).update(iter([])) == TokenState(("nll", "rank"))


def test_a_perplexity_takes_logits_and_batches() -> None:
    t = sy.token_scores(X, T)
    want = PerplexityState().update(t, clusters=DOCUMENTS)
    assert PerplexityState().update(X, T, clusters=DOCUMENTS) == want
    assert PerplexityState().update(tuples()) == want
    masked = PerplexityState().update(t, where=WHERE, clusters=DOCUMENTS)
    assert PerplexityState().update(mappings()) == masked
    assert PerplexityState().update(X, T, where=WHERE, clusters=DOCUMENTS) == masked
    assert PerplexityState().update({"x": x, "targets": y, "clusters": c} for x, y, c in tuples()) == want
    # Without ids each row is a document.
    rows = PerplexityState().update(t)
    assert PerplexityState().update(sy.token_scores(x, y) for x, y in zip(X[:, None], T[:, None], strict=True)) == rows
    assert PerplexityState().update(zip(X[:, None], T[:, None], strict=True)) == rows
    assert sy.perplexity(iter([t])) == sy.perplexity(t)
    per = np.full(ROWS, 9.0)
    whole = PerplexityState(unit="bits").update(X, T, clusters=DOCUMENTS, per=per)
    parts = ({"x": t.nll[i : i + 1], "where": t.counted[i : i + 1], "clusters": DOCUMENTS[i : i + 1],
              "per": per[i : i + 1]} for i in range(ROWS))  # fmt: skip
    assert PerplexityState(unit="bits").update(parts).compute().value == whole.compute().value


def test_excluded_logits_are_not_read() -> None:
    x = X.copy()
    x[~WHERE] = np.nan
    state = TokenState().update(x, T, where=WHERE, clusters=DOCUMENTS)
    assert state == TokenState().update(X, T, where=WHERE, clusters=DOCUMENTS)
    assert PerplexityState().update(x, T, where=WHERE) == PerplexityState().update(X, T, where=WHERE)


def test_progress_counts_batches(capsys: pytest.CaptureFixture[str]) -> None:
    seen: list[tuple[int, int]] = []
    TokenState().update(tuples(), progress=lambda *at: seen.append(at))
    assert seen == [(1, 0), (2, 0), (3, 0), (4, 0), (5, 0), (6, 0), (6, 6)]
    seen.clear()
    TokenState().update(iter(list(tuples())), progress=lambda *at: seen.append(at))
    assert seen == [(i, 6) for i in range(1, 7)]
    TokenState().update(tuples(slice(2)), progress=True)
    assert capsys.readouterr().err == "\rbatches: 1\rbatches: 2\rbatches: 2\n"
    with pytest.raises(TypeError, match=r"^progress: expected True"):
        TokenState().update(tuples(), progress=3)  # type: ignore[arg-type]


@pytest.mark.parametrize("of", [TokenState, PerplexityState])
def test_where_a_batch_fails_those_before_it_are_kept(of: Any) -> None:
    spoilt = X[4:6].copy()
    spoilt[1, 2, 0] = np.nan
    want = of().update(tuples(slice(2)))

    def failing(last: Any) -> Iterator[Any]:
        yield from tuples(slice(2))
        yield last()

    def interrupted() -> Any:
        raise KeyboardInterrupt

    state = of()
    with pytest.raises(ValueError, match="logits") as caught:
        state.update(failing(lambda: (spoilt, T[4:6], DOCUMENTS[4:6])))
    assert caught.value.__notes__ == ["in the batch of index 2; those before it have been added"]
    assert state == want
    for error in (KeyboardInterrupt, OSError):

        def stop(error: Any = error) -> Any:
            raise error

        state = of()
        with pytest.raises(error):
            state.update(failing(stop))
        assert state == want
        assert state.update(tuples(slice(2, None))) == of().update(tuples())


def test_batches_that_are_none() -> None:
    refused: dict[str, Any] = {
        "a tuple of 4": (X, T, DOCUMENTS, WHERE),
        "a tuple of 0": (),
        "'logits', 'labels'": {"logits": X, "labels": T},
        "'targets'": {"targets": T},
        "'progress'": {"logits": X, "targets": T, "progress": True},
        "none": {},
    }
    for got, batch in refused.items():
        with pytest.raises((TypeError, ValueError), match=rf"^logits: expected batches .*{got}"):
            TokenState().update(iter([batch]))
    with pytest.raises(ValueError, match=r"^x: expected batches with the key x"):
        PerplexityState().update(iter([{"x": X, "logits": X, "targets": T}]))
    for name, value in {"targets": T, "where": WHERE, "clusters": DOCUMENTS}.items():
        with pytest.raises(ValueError, match=f"^{name}: expected None beside an iterator of batches"):
            TokenState().update(tuples(), **{name: value})


INTERRUPTED = """
import os, signal, sys
import numpy as np, steelyard as sy
# A shell's background job, and so its children, are started with this signal ignored.
signal.signal(signal.SIGINT, signal.default_int_handler)
x = np.zeros((4, 5, 7), np.float32)

def batches():
    for i in range(100):
        yield x, np.full((4, 5), i % 7), np.arange(4)
        if i == 9:
            os.kill(os.getpid(), signal.SIGINT)

state = sy.tokens.TokenState(("nll", "log_z"))
try:
    state.update(batches())
except KeyboardInterrupt:
    done = state.n_positions // 20
    state.update((x, np.full((4, 5), i % 7), np.arange(4)) for i in range(done, 100))
    whole = sy.tokens.TokenState(("nll", "log_z")).update(
        (x, np.full((4, 5), i % 7), np.arange(4)) for i in range(100))
    print(done, state == whole)
"""


@pytest.mark.skipif(sys.platform == "win32", reason="no SIGINT to oneself")
def test_ctrl_c_leaves_the_state_after_the_last_whole_batch() -> None:
    done = subprocess.run([sys.executable, "-c", INTERRUPTED], capture_output=True, text=True, timeout=120, check=False)
    assert done.stdout == "10 True\n", done.stderr


# -- memory maps ---------------------------------------------------------------------------------------------------


def test_a_mapped_npy_is_read_as_an_array(tmp_path: Path) -> None:
    for dtype in (np.float32, np.float64, np.float16, ml_dtypes.bfloat16):
        x = X.astype(dtype)
        np.save(tmp_path / "x.npy", x)
        mapped = np.load(tmp_path / "x.npy", mmap_mode="r")
        want = sy.token_scores(x, T, columns="all")
        got = sy.token_scores(mapped, T, columns="all")
        assert [getattr(got, c).tobytes() for c in ("nll", "log_z", "entropy", "rank")] == [
            getattr(want, c).tobytes() for c in ("nll", "log_z", "entropy", "rank")
        ]
        again = sy.token_scores(mapped[:, :-1], T[:, :-1])
        assert again.nll.tobytes() == np.ascontiguousarray(want.nll[:, :-1]).tobytes()


MEMORY = """
import sys
import numpy as np, steelyard as sy

def own():
    with open("/proc/self/status") as status:
        kept = {line.split()[0]: line.split()[1] for line in status if line.startswith(("RssAnon", "RssFile"))}
    return int(kept["RssAnon:"]) // 1024

rows, width = 4096, 8192
if sys.argv[1].endswith("npy"):
    x = np.load(sys.argv[1], mmap_mode="r")
else:
    x = sy.tokens.tensors(sys.argv[1])["logits"]
t = np.zeros(rows, np.int64)
sy.threads(2)
sy.token_scores(x[:64], t[:64], columns="all")
before, peaks = own(), []
sy.tokens.TokenState(("nll", "entropy")).update(x, t, clusters="a", progress=lambda *at: peaks.append(own()))
print(max(peaks) - before)
"""


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="reads /proc")
@pytest.mark.parametrize("form", ["npy", "safetensors"])
def test_a_mapped_file_is_not_copied(tmp_path: Path, form: str) -> None:
    """64 MiB of logits in bfloat16; what the process itself holds grows by a small part of that."""
    path = tmp_path / f"x.{form}"
    x = np.zeros((4096, 8192), ml_dtypes.bfloat16)
    x[:, 1] = 1.0
    if form == "npy":
        np.save(path, x)
    else:
        write(path, {"logits": ("BF16", x)})
    done = subprocess.run(
        [sys.executable, "-c", MEMORY, str(path)], capture_output=True, text=True, timeout=120, check=False
    )
    assert done.returncode == 0, done.stderr
    assert int(done.stdout) < 8


# -- safetensors ---------------------------------------------------------------------------------------------------


def write(path: Path, arrays: dict[str, tuple[str, Any]], **changed: Any) -> Path:
    path.write_bytes(safetensors(arrays, **changed))
    return path


def raw(path: Path, header: bytes, data: bytes = b"", length: int | None = None) -> Path:
    path.write_bytes(headed(header, data, length))
    return path


def test_tensors_are_views_of_the_file(tmp_path: Path) -> None:
    arrays = {
        "logits": ("BF16", X.astype(ml_dtypes.bfloat16)), "hidden": ("F16", X.astype(np.float16)), "targets": ("I64", T),
        "x64": ("F64", X.astype(np.float64)), "x32": ("F32", X), "small": ("I32", T.astype(np.int32)),
        "scale": ("F32", np.array(2.5, np.float32)), "none": ("F32", np.zeros((3, 0), np.float32)),
        "mask": ("BOOL", WHERE), "bytes": ("U8", np.arange(5, dtype=np.uint8)),
        "eights": ("F8_E4M3", np.arange(6, dtype=np.uint8).reshape(2, 3)),
    }  # fmt: skip
    found = tensors(write(tmp_path / "dump.safetensors", arrays))
    assert list(found) == list(arrays)
    for name, (dtype, array) in arrays.items():
        assert found[name].shape == array.shape
        assert found[name].tobytes() == array.tobytes()
        assert not found[name].flags.writeable
        assert dtype.startswith(("BF", "F8")) or found[name].dtype == array.dtype
    assert (found["logits"].view(ml_dtypes.bfloat16) == arrays["logits"][1]).all()
    want = sy.token_scores(arrays["logits"][1], T)
    assert sy.token_scores(found["logits"], found["targets"]).nll.tobytes() == want.nll.tobytes()
    masked = sy.token_scores(found["logits"], found["targets"], where=found["mask"])
    assert masked.n_counted == int((WHERE & (T >= 0)).sum())
    state = TokenState().update(
        {"logits": d["logits"], "targets": d["targets"], "clusters": DOCUMENTS} for d in [found]
    )
    assert state == TokenState().update(arrays["logits"][1], T, clusters=DOCUMENTS)
    with pytest.raises(TypeError, match=r"^logits: expected float32"):
        sy.token_scores(found["eights"], [0, 1])


def test_a_tensor_may_begin_anywhere(tmp_path: Path) -> None:
    """A header that is not padded, as other writers leave it."""
    entry = {"dtype": "F32", "shape": list(X.shape), "data_offsets": [0, X.nbytes]}
    for blanks in range(4):
        header = json.dumps({"logits": entry}).encode() + b" " * blanks
        (tmp_path / "x.safetensors").write_bytes(len(header).to_bytes(8, "little") + header + X.tobytes())
        found = tensors(tmp_path / "x.safetensors")["logits"]
        assert sy.token_scores(found, T).nll.tobytes() == sy.token_scores(X, T).nll.tobytes()


SHORTENED = """
import os, sys
import numpy as np, steelyard as sy
x = sy.tokens.tensors(sys.argv[1])["logits"]
os.truncate(sys.argv[1], 4096)
try:
    sy.token_scores(x, np.zeros(len(x), int))
except ValueError as error:
    print(error)
"""


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="a mapped file cannot be shortened everywhere")
def test_a_file_that_was_made_shorter_is_refused(tmp_path: Path) -> None:
    path = write(tmp_path / "x.safetensors", {"logits": ("F32", np.zeros((64, 1024), np.float32))})
    done = subprocess.run(
        [sys.executable, "-c", SHORTENED, str(path)], capture_output=True, text=True, timeout=120, check=False
    )
    assert done.stdout.startswith("logits: expected memory that is still there"), done.stderr


EMPTY = b'{"dtype": "F32", "shape": [0], "data_offsets": [0, 0]}'


def test_files_that_are_not_what_they_say(tmp_path: Path) -> None:
    path = tmp_path / "dump.safetensors"
    good = {"logits": ("F32", X), "targets": ("I64", T)}
    spoilt: list[dict[str, Any]] = [
        {"shape": [ROWS, LENGTH]}, {"shape": [-1, 1]}, {"shape": "12"}, {"shape": [12.0]}, {"shape": [True]},
        {"dtype": "F64"}, {"dtype": None}, {"data_offsets": [4, 0]}, {"data_offsets": [0]}, {"data_offsets": None},
        {"shape": [2**62, 4], "data_offsets": [0, 2**63 - 1]}, {"shape": [2**40, 2**40]},
    ]  # fmt: skip
    for entry in spoilt:
        with pytest.raises(ValueError, match=r"^path: expected a (whole )?safetensors file; got"):
            tensors(write(path, good, logits=entry))
    with pytest.raises(ValueError, match=r"^path: expected tensors of F64, .*; got the dtype 'F4' of 'logits'"):
        tensors(write(path, good, logits={"dtype": "F4"}))
    for header, length in (
        (b"[]", None), (b"{", None), (b"\xff\xfe", None), (b"{}", 2**63), (b"{}", 9), (b'{"a": 1}', None),
        (b"[" * 100_000, None), (b'{"a": %b, "a": %b}' % (EMPTY, EMPTY), None), (b"7", None), (b"", None),
    ):  # fmt: skip
        with pytest.raises(ValueError, match=r"^path: expected a safetensors file; got"):
            tensors(raw(path, header, b"", length))
    whole = write(path, good).read_bytes()
    for end in (0, 7, 8, 40, len(whole) - 1):
        path.write_bytes(whole[:end])
        with pytest.raises(ValueError, match=r"^path: expected a (whole )?safetensors file; got"):
            tensors(path)
    assert tensors(raw(path, b"{}")) == {}
    assert list(tensors(raw(path, b'{"a": %b, "b": %b}' % (EMPTY, EMPTY)))) == ["a", "b"]
    with pytest.raises(FileNotFoundError):
        tensors(tmp_path / "absent")
    for nothing in (3, None, X):
        with pytest.raises(TypeError, match=r"^path: expected a path; got"):
            tensors(nothing)  # type: ignore[arg-type]

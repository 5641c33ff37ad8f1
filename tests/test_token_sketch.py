"""tokens.sketch: the k largest logits, the tail, the lower bound of the KL divergence, and the file."""

from __future__ import annotations

import errno
import os
import pickle
import struct
import zlib
from dataclasses import replace
from pathlib import Path
from typing import Any

import mpmath
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import steelyard as sy
from steelyard.tokens import Sketch, sketch

from .cases import as_dtype, normalish

DTYPES = ("float32", "float64", "bfloat16", "float16")


def logits(rows: int, width: int, stream: int = 1, scale: float = 4.0) -> np.ndarray:
    return (scale * normalish(rows * width, stream)).reshape(rows, width).astype(np.float32)


def allowed(exact: Any, double: bool = False) -> Any:
    """The numerical error of a bound and of the divergence that it is compared with."""
    return (1e-11 if double else 1e-5) * exact + (1e-11 if double else 4e-6)


# -- what is kept ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", DTYPES)
def test_the_largest_logits_are_kept_unrounded_and_ties_go_to_the_first(dtype: str) -> None:
    x = as_dtype(logits(6, 3000).round(), dtype)
    x[0, :] = 0.0
    x[1, 100:] = -np.inf
    found = sketch(x, 150)
    wide = x.astype(np.float64)
    ids = np.argsort(-wide, axis=-1, kind="stable")[:, :150]
    np.testing.assert_array_equal(found.ids, ids)
    np.testing.assert_array_equal(found.logits, np.take_along_axis(wide, ids, -1))
    assert found.logits.dtype == (np.float64 if dtype == "float64" else np.float32)
    assert (found.dtype, found.n_classes, found.k, found.shape) == (dtype, 3000, 150, (6,))


def test_log_z_and_entropy_have_the_bits_of_token_scores() -> None:
    x = logits(20, 5000)
    found, scores = sketch(x, 9), sy.token_scores(x, np.zeros(20, int), columns="entropy")
    np.testing.assert_array_equal(found.log_z, scores.log_z)
    np.testing.assert_array_equal(found.entropy, scores.entropy)


@pytest.mark.parametrize(("top", "rest"), [(0.0, 0.0), (30.0, 0.0), (80.0, 1.0), (200.0, -100.0), (600.0, 0.0)])
def test_the_tail_keeps_its_digits_however_small_it_is(top: float, rest: float) -> None:
    """1 minus the kept mass would be 0 from 40 nats on, and exponentials relative to the top from 88 on."""
    for real, error in ((np.float32, 3e-6), (np.float64, 3e-11)):
        x = (rest + 2.0 * normalish(5000, 3)).astype(real)
        x[[7, 4000]] = top, top - 1
        found = sketch(x, 2)
        with mpmath.workdps(40):
            all_terms = [mpmath.exp(mpmath.mpf(float(v))) for v in x]
            outside = [term for v, term in enumerate(all_terms) if v not in found.ids.tolist()]
            exact = mpmath.fsum(outside) / mpmath.fsum(all_terms)
            assert abs(float(found.tail) / exact - 1) <= error


def test_all_classes_leave_no_tail_and_more_than_all_are_all() -> None:
    found = sketch(logits(3, 50), 64)
    assert found.k == 50
    assert found.tail.tolist() == [0.0] * 3


def test_rows_that_do_not_count_are_not_read() -> None:
    x, keep = logits(12, 40).reshape(3, 4, 40), np.arange(12).reshape(3, 4) % 3 != 1
    x[~keep] = np.nan
    found, every = sketch(x, 5, where=keep), sketch(np.nan_to_num(x), 5)
    assert (found.ids[~keep] == -1).all()
    for name in ("logits", "log_z", "tail", "entropy"):
        values = getattr(found, name)
        assert np.isnan(values[~keep]).all()
        np.testing.assert_array_equal(values[keep], getattr(every, name)[keep])
    bounds = found.kl(x)
    assert np.isnan(bounds[~keep]).all()
    assert bounds[keep].tolist() == [0.0] * int(keep.sum())


@pytest.mark.parametrize("shape", [(7,), (0, 7), (2, 0, 7), (1, 1, 7)])
def test_any_leading_shape(shape: tuple[int, ...], tmp_path: Path) -> None:
    found = sketch(np.zeros(shape, np.float32), 3)
    assert (found.shape, found.ids.shape, found.kl(np.zeros(shape)).shape) == (shape[:-1], (*shape[:-1], 3), shape[:-1])
    found.save(tmp_path / "a")
    assert Sketch.load(tmp_path / "a") == found


# -- the bound -------------------------------------------------------------------------------------------------


@settings(max_examples=150, deadline=None)
@given(
    st.integers(0, 2**31), st.sampled_from([2, 3, 40, 700]), st.floats(0.01, 30), st.floats(0.001, 10),
    st.floats(0, 1), st.booleans(),
)  # fmt: skip
def test_the_bound_is_below_the_divergence_and_equals_it_where_all_classes_are_kept(
    seed: int, width: int, scale: float, change: float, masked: float, double: bool
) -> None:
    rng = np.random.default_rng(seed)
    base = scale * rng.standard_normal((4, width))
    base[:, 1:][rng.random((4, width - 1)) < masked / 2] = -np.inf
    new = base + change * rng.standard_normal((4, width))
    base, new = (x.astype(np.float64 if double else np.float32) for x in (base, new))
    exact = sy.token_scores(new, np.zeros(4, int), baseline=base).kl
    assert exact is not None
    before = np.zeros(4)
    for k in sorted({1, 2, width // 2, width - 1, width} - {0}):
        kept = sketch(base, k)
        bound = kept.kl(new)
        assert (bound >= 0).all()
        assert (bound <= exact + 2 * allowed(exact, double)).all(), (k, bound, exact)
        # A class that leaves the tail can only add to the bound.
        assert (bound >= before - 2 * allowed(before, double)).all()
        before = bound
        assert kept.kl(base).tolist() == [0.0] * 4
    assert (np.abs(before - exact) <= 2 * allowed(exact, double)).all()


@pytest.mark.parametrize("dtype", DTYPES)
def test_a_model_has_no_divergence_from_its_own_sketch(dtype: str, tmp_path: Path) -> None:
    x = as_dtype(logits(5, 4000), dtype)
    kept = sketch(x, 33)
    kept.save(tmp_path / "a")
    for base in (kept, Sketch.load(tmp_path / "a"), pickle.loads(pickle.dumps(kept))):
        assert base.kl(x).tolist() == [0.0] * 5


def test_the_bound_is_the_divergence_of_the_kept_classes_and_the_tail() -> None:
    base, new = logits(3, 300), logits(3, 300) + logits(3, 300, 2, 0.5)
    kept = sketch(base, 5)
    for row, found in enumerate(kept.kl(new).tolist()):
        with mpmath.workdps(30):
            p, q = ([mpmath.exp(mpmath.mpf(float(v))) for v in x[row]] for x in (new, base))
            p, q = ([term / mpmath.fsum(x) for term in x] for x in (p, q))
            ids = kept.ids[row].tolist()
            pairs = [(p[v], q[v]) for v in ids]
            pairs.append((1 - mpmath.fsum(p[v] for v in ids), 1 - mpmath.fsum(q[v] for v in ids)))
            exact = mpmath.fsum(b * mpmath.log(b / a) for a, b in pairs)
            assert abs(found - exact) <= 1e-6


def test_what_a_tail_hides_is_missing_and_masked_classes_are_infinite() -> None:
    base = np.array([[5.0, 1.0, 1.0, 0.0]])
    assert sketch(base, 2).kl(np.array([[5.0, 1.0, 0.0, 1.0]])).tolist() == [0.0]  # only the tail changed
    kept = sketch(base, 2)
    assert kept.kl(np.array([[5.0, -np.inf, 1.0, 0.0]])).tolist() == [np.inf]
    assert kept.kl(np.array([[5.0, 1.0, -np.inf, -np.inf]])).tolist() == [np.inf]
    assert np.isfinite(kept.kl(np.array([[5.0, 1.0, -np.inf, 0.0]]))).all()


def test_a_tail_too_small_for_exponentials_is_still_a_finite_lower_bound() -> None:
    """A tail of e^-200 that counted as 0 would give an infinite bound of a finite divergence."""
    base, new = np.zeros((1, 4), np.float32), np.array([[200.0, 200.0, 0.0, 0.0]], np.float32)
    for double in (False, True):
        of = np.float64 if double else np.float32
        exact = sy.token_scores(new.astype(of), [0], baseline=base.astype(of)).kl
        assert exact is not None
        bound = sketch(base.astype(of), 2).kl(new.astype(of))
        np.testing.assert_allclose(bound, exact, rtol=1e-5)  # equal tails hide nothing


def test_types_may_differ() -> None:
    base, new = logits(4, 900), logits(4, 900) + logits(4, 900, 2, 0.3)
    want = sketch(base.astype(np.float64), 20).kl(new.astype(np.float64))
    for kept in (sketch(base, 20), sketch(base.astype(np.float64), 20)):
        for x in (new, new.astype(np.float64)):
            np.testing.assert_allclose(kept.kl(x), want, rtol=1e-5, atol=4e-6)


def test_progress_counts_rows() -> None:
    done: list[tuple[int, int]] = []
    x = np.zeros((3000, 1000), np.float32)
    sketch(x, 4, progress=lambda *of: done.append(of)).kl(x, progress=lambda *of: done.append(of))
    assert done[-1] == (3000, 3000)
    assert done.count((3000, 3000)) == 2


# -- the file --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("dtype", "size"), [("bfloat16", 408), ("float16", 408), ("float32", 536), ("float64", 792)])
def test_a_file_has_the_bytes_that_it_promises_and_gives_the_same_sketch(dtype: str, size: int, tmp_path: Path) -> None:
    x = as_dtype(logits(50, 500).reshape(5, 10, 500), dtype)
    x[0, :, 20:] = -np.inf
    kept = sketch(x, where=np.arange(50).reshape(5, 10) % 7 != 2)
    kept.save(tmp_path / "a")
    assert kept.token_bytes == size
    assert os.path.getsize(tmp_path / "a") == 50 * size + 40 + 16 + 4
    again = Sketch.load(tmp_path / "a")
    assert again == kept
    assert (again.dtype, again.n_classes) == (dtype, 500)
    assert not again.ids.flags.writeable


@pytest.fixture
def whole(tmp_path: Path) -> Path:
    """A file."""
    path = tmp_path / "whole"
    sketch(logits(4, 30), 5).save(path)
    return path


def test_a_file_that_is_cut_at_any_place_is_refused(whole: Path, tmp_path: Path) -> None:
    content = whole.read_bytes()
    for length in range(len(content)):
        (tmp_path / "cut").write_bytes(content[:length])
        with pytest.raises(ValueError, match=r"^path: expected .*; got .*cut.*"):
            Sketch.load(tmp_path / "cut")
    (tmp_path / "cut").write_bytes(content + b"\0")
    with pytest.raises(ValueError, match=f"a sketch of {len(content)} bytes, as its head says; got {len(content) + 1}"):
        Sketch.load(tmp_path / "cut")


def test_a_changed_byte_is_found(whole: Path, tmp_path: Path) -> None:
    content = whole.read_bytes()
    for place in range(len(content)):
        damaged = bytearray(content)
        damaged[place] ^= 0x41
        (tmp_path / "damaged").write_bytes(damaged)
        with pytest.raises(ValueError, match=r"^path: expected "):
            Sketch.load(tmp_path / "damaged")


def test_foreign_files_are_refused(tmp_path: Path) -> None:
    np.save(tmp_path / "array.npy", np.zeros(100))
    with pytest.raises(ValueError, match=r"begins with 'SYSKETCH'; got b'\\x93NUMPY"):
        Sketch.load(tmp_path / "array.npy")
    with pytest.raises(FileNotFoundError):
        Sketch.load(tmp_path / "none")
    with pytest.raises(TypeError, match="path: expected the path of a file; got int 3"):
        Sketch.load(3)  # type: ignore[arg-type]


def test_a_head_that_asks_for_more_than_there_is_takes_no_memory(tmp_path: Path) -> None:
    for axes in ([2**40], [2**63, 2**63], [2**62] * 32):
        head = struct.pack(f"<8sIIQQQ{len(axes)}Q", b"SYSKETCH", 1, 0, 5, 30, len(axes), *axes)
        (tmp_path / "huge").write_bytes(head + struct.pack("<I", zlib.crc32(head)))
        with pytest.raises(ValueError, match="as its head says"):
            Sketch.load(tmp_path / "huge")


def test_a_sealed_file_with_values_that_no_row_has_is_refused(whole: Path, tmp_path: Path) -> None:
    """A checksum shows that bytes are unchanged, not who wrote them."""
    content = bytearray(whole.read_bytes()[:-4])
    ids = 48 + 3 * 8 * 4
    content[ids : ids + 4] = struct.pack("<i", 30)
    (tmp_path / "sealed").write_bytes(content + struct.pack("<I", zlib.crc32(content)))
    with pytest.raises(
        ValueError, match=r"ids: expected different classes from 0 up to, not including, n_classes = 30"
    ):
        Sketch.load(tmp_path / "sealed")


def test_a_file_that_cannot_be_written_leaves_the_old_one(whole: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    before = whole.read_bytes()

    def fail(*_: object) -> None:
        raise OSError(errno.ENOSPC, "no space left")

    monkeypatch.setattr("os.fsync", fail)
    with pytest.raises(OSError, match="no space left"):
        sketch(logits(9, 30), 5).save(whole)
    assert whole.read_bytes() == before
    assert [path.name for path in whole.parent.iterdir()] == [whole.name]


# -- what is refused -------------------------------------------------------------------------------------------

X = logits(4, 30)
KEPT = sketch(X, 5)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"ids": KEPT.ids.astype(np.int64)}, "ids: expected an aligned int32 array"),
        ({"ids": KEPT.ids[:, :4]}, "logits: expected shape"),
        ({"ids": np.zeros_like(KEPT.ids)}, "ids: expected different classes"),
        ({"ids": KEPT.ids - 30}, "ids: expected different classes"),
        ({"logits": KEPT.logits[:, ::-1].copy()}, "logits: expected float32 numbers, the largest first"),
        ({"dtype": "float16"}, "logits: expected float16 numbers"),
        ({"dtype": "bfloat16"}, "logits: expected bfloat16 numbers"),
        ({"dtype": "int8"}, "dtype: expected one of float32, float64, float16, bfloat16; got 'int8'"),
        ({"log_z": KEPT.log_z - 50}, "log_z: expected a finite number that is at least the largest logit"),
        ({"tail": KEPT.tail + 1}, r"tail: expected a probability; got 1\.\d+ at index \[0\]"),
        ({"tail": np.where(np.arange(4) == 2, np.nan, KEPT.tail)}, r"tail: expected a probability; got nan at index \[2\]"),
        ({"entropy": -KEPT.entropy}, "entropy: expected 0 or more"),
        ({"n_classes": 4}, "ids: expected 1 to n_classes = 4 ids a token"),
        ({"n_classes": 0}, "n_classes: expected a whole number"),
    ],
)  # fmt: skip
def test_a_sketch_that_no_logits_have_is_refused(change: dict[str, Any], message: str) -> None:
    with pytest.raises((TypeError, ValueError), match=message):
        replace(KEPT, **change)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: sketch(X, 0), "k: expected a whole number, at least 1; got 0"),
        (lambda: sketch(X, 2.5), "k: expected a whole number; got float 2.5"),
        (lambda: sketch(np.zeros((3, 0), np.float32)), "logits: expected 1 to 2147483647 classes"),
        (lambda: sketch(np.float32(1)), "logits: expected 1 to 2147483647 classes"),
        (lambda: sketch(np.arange(6)), "logits: expected"),
        (lambda: sketch(X, where=[True, False]), "where: expected"),
        (lambda: sketch(np.where(X[2, 7] == X, np.nan, X)), r"logits: expected finite .*; got nan at index \[2, 7\]"),
        (lambda: sketch(np.where(X[2, 7] == X, np.inf, X)), r"logits: expected finite .*; got inf at index \[2, 7\]"),
        (lambda: sketch(X * np.float32(0) - np.inf), r"at least one class above -inf .* row \[0\]; leave .* by where"),
        (lambda: KEPT.kl(X[:, :29]), r"logits: expected the shape of those that were sketched, \(4, 30\); got"),
        (lambda: KEPT.kl(np.where(X[2, 7] == X, np.nan, X)), r"logits: expected finite .*; got nan at index \[2, 7\]"),
    ],
)  # fmt: skip
def test_errors_name_the_argument(call: Any, message: str) -> None:
    with pytest.raises((TypeError, ValueError), match=message):
        call()

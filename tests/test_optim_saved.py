"""States of optimizers in files and as live views."""

from __future__ import annotations

import json
import os
import random
import signal
import sys
from pathlib import Path
from types import FrameType
from typing import Any

import numpy as np
import pytest

import steelyard as sy
from steelyard.optim import _archive

from .test_process import linux

SUFFIXES = [".npz", ".safetensors"]


def params() -> dict[str, Any]:
    return {"a": np.ones((3, 2), np.float32), "b": [np.ones(5), np.zeros((0, 3)), np.ones(())], "ü/é": np.ones(1)}


def gradients(step: int) -> dict[str, Any]:
    rng = np.random.default_rng(step)
    tree = params()
    draw = lambda x: rng.standard_normal(x.shape).astype(x.dtype)  # noqa: E731
    return {"a": draw(tree["a"]), "b": [draw(x) for x in tree["b"]], "ü/é": draw(tree["ü/é"])}


@pytest.mark.parametrize("suffix", SUFFIXES)
@pytest.mark.parametrize("amsgrad", [False, True])
def test_an_interrupted_run_goes_on_from_its_file(tmp_path: Path, suffix: str, amsgrad: bool) -> None:
    path = tmp_path / f"state{suffix}"
    options: dict[str, Any] = {"lr": sy.schedules.cosine(0.1, total_steps=9), "max_norm": 1.0, "amsgrad": amsgrad}
    whole = params()
    opt = sy.AdamW(whole, **options)
    for step in range(3):
        opt.step(gradients(step))
    opt.save(path)
    resumed = {"a": whole["a"].copy(), "b": [x.copy() for x in whole["b"]], "ü/é": whole["ü/é"].copy()}
    again = sy.AdamW(resumed, amsgrad=amsgrad)
    again.load(str(path))
    for step in range(3, 6):
        assert opt.step(gradients(step)) == again.step(gradients(step))
    assert all(x.tobytes() == y.tobytes() for x, y in zip(opt._params, again._params, strict=True))
    assert os.listdir(tmp_path) == [path.name]
    assert sy.AdamW(np.ones(2)).state_dict().keys() == {"step", "numerics", "options", "exp_avg", "exp_avg_sq"}


def test_the_safetensors_package_reads_and_writes_the_same(tmp_path: Path) -> None:
    package = pytest.importorskip("safetensors")
    numpy_io = pytest.importorskip("safetensors.numpy")
    opt = sy.AdamW(params(), amsgrad=True, weight_decay=0.5)
    opt.step(gradients(0))
    opt.save(tmp_path / "ours.safetensors")
    state = opt.state_dict()
    read = numpy_io.load_file(tmp_path / "ours.safetensors")
    assert read.keys() == state.keys() - {"options"}
    assert all(np.array_equal(read[key], state[key]) and read[key].dtype == state[key].dtype for key in read)
    with package.safe_open(tmp_path / "ours.safetensors", "np") as file:
        assert json.loads(file.metadata()["options"])["weight_decay"] == 0.5
    numpy_io.save_file(read, tmp_path / "theirs.safetensors", metadata={"format": "np"})
    other = sy.AdamW(params(), amsgrad=True)
    other.load(tmp_path / "theirs.safetensors")
    assert all(np.array_equal(other.state_dict()[key], read[key]) for key in read)


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_moments_in_16_bits_come_back_from_files(tmp_path: Path, suffix: str) -> None:
    ml_dtypes = pytest.importorskip("ml_dtypes")
    types = {"half": np.float16, "brain": ml_dtypes.bfloat16}
    begun = {key: np.linspace(-1, 1, 300).astype(dtype) for key, dtype in types.items()}
    w, again = ({key: x.copy() for key, x in begun.items()} for _ in range(2))
    opt, later = sy.AdamW(w, lr=0.1, amsgrad=True), sy.AdamW(again, amsgrad=True)
    grads = {key: np.cos(x.astype(np.float32)).astype(x.dtype) for key, x in begun.items()}
    opt.step(grads)
    opt.save(tmp_path / f"s{suffix}")
    for key in again:
        again[key][...] = w[key]
    later.load(tmp_path / f"s{suffix}")
    opt.step(grads)
    later.step(grads)
    assert all(w[key].tobytes() == again[key].tobytes() for key in w)
    state = opt.state_dict()
    assert (state["exp_avg/half"].dtype, state["exp_avg/brain"].dtype) == (np.float16, np.uint16)
    later.load_state_dict(state | {"exp_avg/brain": state["exp_avg/brain"].view(ml_dtypes.bfloat16)})
    if suffix == ".safetensors":
        package = pytest.importorskip("safetensors")
        with package.safe_open(tmp_path / "s.safetensors", "np") as file:
            found = [file.get_slice(f"exp_avg_sq/{key}").get_dtype() for key in types]
        assert found == ["F16", "BF16"]
    whole = sy.AdamW(np.ones(3, np.float32))
    bits = {"exp_avg": np.zeros(3, np.uint16)}
    with pytest.raises(ValueError, match=r"state\['exp_avg'\]: expected float32 of shape \(3,\).* got bfloat16"):
        whole.load_state_dict(whole.state_dict() | bits)


def test_every_type_comes_back_from_safetensors(tmp_path: Path) -> None:
    ml_dtypes = pytest.importorskip("ml_dtypes")
    state = {name: np.arange(7).astype(dtype) for name, dtype in _archive.DTYPES.items() if name != "BF16"}
    state |= {"BF16": np.arange(7).astype(ml_dtypes.bfloat16), "big": np.arange(3, dtype=">f4"), "none": np.zeros(0)}
    state |= {"turned": np.arange(6.0).reshape(2, 3).T, "one": np.array(3, np.int64)}
    _archive.write(tmp_path / "s.safetensors", state)
    read = _archive.read(tmp_path / "s.safetensors")
    assert read.keys() == state.keys()
    assert all(np.array_equal(read[key].view(state[key].dtype.newbyteorder("=")), state[key]) for key in state)


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        (lambda data: b"", "no header of safetensors"),
        (lambda data: data[:-1], "does not begin where"),
        (lambda data: data + b"\0", "bytes of tensors where the header says"),
        (lambda data: b"\xff" * 8 + data[8:], "no header"),
        (lambda data: data[:8] + b"[" + data[9:], "path: expected a file that save"),
        (lambda data: data.replace(b'"F64"', b'"F65"'), "path: expected"),
        (lambda data: data.replace(b'"shape":[5]', b'"shape":[6]'), "path: expected"),
        (lambda data: data.replace(b'"exp_avg/b/0"', b'"exp_avg/b/2"'), "a key stands twice"),
    ],
)
def test_damaged_safetensors_change_nothing(tmp_path: Path, change: Any, sentence: str) -> None:
    path = tmp_path / "s.safetensors"
    opt = sy.AdamW(params())
    opt.step(gradients(0))
    opt.save(path)
    data = change(path.read_bytes())
    path.write_bytes(data)
    before = opt.state_dict()
    with pytest.raises(ValueError, match="path: expected a file that save") as caught:
        opt.load(path)
    assert sentence in str(caught.value)
    assert all(np.array_equal(array, before[key]) for key, array in opt.state_dict().items())


def test_mutated_files_give_a_state_or_a_sentence(tmp_path: Path) -> None:
    rng = random.Random(5)
    opt = sy.AdamW(params())
    opt.step(gradients(0))
    for suffix in SUFFIXES:
        path = tmp_path / f"s{suffix}"
        opt.save(path)
        good = path.read_bytes()
        for _ in range(300):
            data = bytearray(good)
            for _ in range(rng.randint(1, 4)):
                data[rng.randrange(len(data))] = rng.randrange(256)
            path.write_bytes(data[: rng.choice([len(data), rng.randrange(len(data))])])
            try:
                opt.load(path)
            except (ValueError, TypeError) as error:
                assert "expected" in str(error)  # noqa: PT017


def test_paths_that_cannot_be_saved_to_are_refused(tmp_path: Path) -> None:
    opt = sy.AdamW(params())
    for call in (opt.save, opt.load):
        with pytest.raises(ValueError, match=r"path: expected a name that ends in .npz or .safetensors; got 's.pt'"):
            call("s.pt")
        with pytest.raises(TypeError, match="path: expected the name of a file; got"):
            call(5)
    with pytest.raises(FileNotFoundError):
        opt.load(tmp_path / "none.npz")
    with pytest.raises(FileNotFoundError):
        opt.save(tmp_path / "none" / "s.npz")


@linux
@pytest.mark.filterwarnings("ignore:os.fork\\(\\) was called:RuntimeWarning")  # of JAX, where another test imported it
@pytest.mark.parametrize("suffix", SUFFIXES)
def test_kill_9_during_save_leaves_the_old_file_whole(tmp_path: Path, suffix: str) -> None:
    """A forked child kills itself before the k-th line of Python that ``save`` runs, for many k."""
    path = tmp_path / f"s{suffix}"
    opt = sy.AdamW(params())
    opt.step(gradients(0))
    opt.save(path)
    old = path.read_bytes()
    lines = 0

    def count(frame: FrameType, event: str, arg: object) -> Any:
        nonlocal lines
        lines += 1
        return count

    opt.step(gradients(1))
    sys.settrace(count)
    opt.save(tmp_path / f"new{suffix}")
    sys.settrace(None)
    new = (tmp_path / f"new{suffix}").read_bytes()
    (tmp_path / f"new{suffix}").unlink()
    found = []
    for k in sorted({*range(0, lines, max(lines // 60, 1)), *range(lines - 25, lines + 1)}):
        path.write_bytes(old)
        child = os.fork()
        if not child:
            _save_and_die(opt, path, k)
        _, status = os.waitpid(child, 0)
        assert os.WIFSIGNALED(status)
        found.append(path.read_bytes())
    assert all(data in (old, new) for data in found)
    assert found[0] == old
    assert found[-1] == new


def _save_and_die(opt: sy.AdamW, path: Path, after: int) -> None:
    def trace(frame: FrameType, event: str, arg: object) -> Any:
        nonlocal after
        after -= 1
        if after < 0:
            os.kill(os.getpid(), signal.SIGKILL)
        return trace

    sys.settrace(trace)
    opt.save(path)
    sys.settrace(None)
    os.kill(os.getpid(), signal.SIGKILL)


def test_a_live_state_may_be_loaded_where_it_is() -> None:
    begun = {"large": np.ones(5000, np.float32), "small": np.ones(3)}
    opt = sy.AdamW(begun, state_dtype="8bit")
    opt.step({key: np.cos(np.arange(x.size)) for key, x in begun.items()})
    opt.accumulate({key: np.sin(np.arange(x.size)) for key, x in begun.items()})
    before = opt.state_dict()
    opt.load_state_dict(opt.state_dict(copy=False))
    after = opt.state_dict()
    assert before.keys() == after.keys()
    assert all(before[key].tobytes() == after[key].tobytes() for key in before)


def test_a_live_state_follows_and_cannot_be_written() -> None:
    opt = sy.AdamW(params())
    opt.step(gradients(0))
    live = opt.state_dict(copy=False)
    copied = opt.state_dict()
    assert live.keys() == copied.keys()
    assert all(np.array_equal(live[key], copied[key]) for key in live)
    opt.step(gradients(1))
    now = opt.state_dict()
    for key in (key for key in live if key.startswith("exp_avg")):
        assert live[key].tobytes() == now[key].tobytes()
        assert live[key].tobytes() != copied[key].tobytes() or not live[key].size
        with pytest.raises(ValueError, match="read-only"):
            live[key][...] = 1
        with pytest.raises(ValueError, match="WRITEABLE"):
            live[key].flags.writeable = True
    assert live["step"] == 1
    with pytest.raises(TypeError, match="copy"):
        opt.state_dict(copy=2)  # type: ignore[arg-type]


@pytest.mark.parametrize("steps", [2**24, 2**31 + 1, 2**53 + 1, 2**63 - 3])
def test_step_numbers_are_counted_exactly_however_large(steps: int) -> None:
    """So many steps leave no bias to correct: beta^t is 0."""
    opt, plain = sy.AdamW({"a": np.ones(5), "b": np.ones(2)}), sy.AdamW({"a": np.ones(5)}, bias_correction=False)
    opt.load_state_dict(opt.state_dict() | {"step": np.array(steps), "step/b": np.array(steps - 1)})
    grad = {"a": np.linspace(-1.0, 1.0, 5)}
    assert opt.step(grad | {"b": np.ones(2)}).step == steps + 1
    plain.step(grad)
    assert opt._params[0].tobytes() == plain._params[0].tobytes()
    assert (opt.state_dict()["step"], opt.state_dict()["step/b"]) == (steps + 1, steps)


@pytest.mark.parametrize("key", ["a\0b", "a\ud800"])
def test_a_key_that_no_file_can_hold_is_refused(key: str) -> None:
    with pytest.raises(ValueError, match="params: expected keys that a file can hold"):
        sy.AdamW({key: np.ones(2)})


def test_a_header_that_is_no_python_is_a_damaged_file(tmp_path: Path) -> None:
    sy.AdamW(np.ones(2)).save(tmp_path / "s.npz")
    data = (tmp_path / "s.npz").read_bytes()
    damaged = data.replace(b"{'descr'", b"{'''scr'")
    assert damaged != data
    (tmp_path / "s.npz").write_bytes(damaged)
    with pytest.raises(ValueError, match="a file that save"):
        sy.AdamW(np.ones(2)).load(tmp_path / "s.npz")


@pytest.mark.parametrize("shape", [(), (1,), (0, 3), (2, 3)])
def test_a_live_state_of_any_shape_can_be_loaded(shape: tuple[int, ...]) -> None:
    opt = sy.AdamW({"w": np.ones(shape)})
    if opt.state_dict()["exp_avg/w"].size:
        opt.step({"w": np.full(shape, 0.5)})
    opt.accumulate({"w": np.ones(shape)})
    live = opt.state_dict(copy=False)
    assert all(live[key].shape == shape and not live[key].flags.writeable for key in ("exp_avg/w", "grad_sum/w"))
    other = sy.AdamW({"w": np.ones(shape)})
    other.load_state_dict(live)
    assert other.state_dict()["exp_avg/w"].tobytes() == opt.state_dict()["exp_avg/w"].tobytes()


def test_a_state_of_other_options_says_which() -> None:
    """It names the option, what the state was saved with, and what the optimizer has."""
    plain: dict[str, Any] = {}
    pairs: list[tuple[Any, dict[str, Any], dict[str, Any], str]] = [
        (sy.AdamW, {"state_dtype": "8bit"}, plain, "saved with state_dtype='8bit', where .* state_dtype=None"),
        (sy.AdamW, {"state_dtype": "bfloat16"}, plain, "saved with state_dtype='bfloat16', where .* state_dtype=None"),
        (sy.AdamW, plain, {"amsgrad": True}, "saved with amsgrad=False, where .* amsgrad=True"),
        (sy.AdamW, {"master": "kahan"}, {"master": "float32"}, "saved with master='kahan', where .* master='float32'"),
        (sy.optim.SGD, {"momentum": 0.9}, plain, "saved with momentum=0.9, where .* momentum=0.0"),
    ]
    for kind, saved, own, message in pairs:
        made = [kind({"w": np.ones(5000, np.float16)}, **options) for options in (saved, own)]
        with pytest.raises(ValueError, match=f"state: expected .*{message}"):
            made[1].load_state_dict(made[0].state_dict())
    tree = sy.AdamW({"w": np.ones(2), "c": np.ones(2)}).state_dict()
    with pytest.raises(ValueError, match=r"no 'exp_avg/b'.*also 'exp_avg/c'.*; the state is of other parameters"):
        sy.AdamW({"w": np.ones(2), "b": np.ones(2)}).load_state_dict(tree)
    with pytest.raises(ValueError, match="of another class or version"):
        sy.AdamW({"w": np.ones(2)}).load_state_dict(sy.optim.Lion({"w": np.ones(2)}).state_dict())
    state = sy.AdamW({"w": np.ones(2)}).state_dict()
    with pytest.raises(ValueError, match=r"state\['options'\]: .* got options without 'weight_decay'"):
        sy.AdamW({"w": np.ones(2)}).load_state_dict(state | {"options": np.array('{"lr": 1}')})


def test_no_message_advises_to_load_pickles(tmp_path: Path) -> None:
    file = tmp_path / "state.npz"
    np.savez(file, step=np.array([{}], object))
    for content in (file.read_bytes(), b"not an archive", b""):
        file.write_bytes(content)
        with pytest.raises(ValueError, match=r"path: expected a file that save.* wrote") as caught:
            sy.AdamW(np.ones(2)).load(file)
        assert "allow_pickle" not in str(caught.value)

"""Safety of optimizers: no use of freed memory, no lost update or count, no loading of states that are impossible.

Tests of the memory of torch tensors are in ``tests/torch/test_memory.py``.
"""

from __future__ import annotations

import copy
import ctypes
import math
import mmap
import pickle
import shelve
import sys
from collections import OrderedDict, UserDict, namedtuple
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import steelyard as sy
from steelyard import _core
from steelyard.optim import adamw_

from .cases import as_dtype
from .test_process import linux, run

GONE = "expected memory that is still there; got an array whose owner"


# ---- memory that somebody else owns -------------------------------------------------------------------------


def test_a_view_of_an_array_that_was_resized_is_refused() -> None:
    for size in (1, 100_000):
        base = np.ones(1000)
        opt = sy.AdamW({"w": base[500:]})
        opt.step({"w": np.ones(500)})
        before = base.ctypes.data
        base.resize(size, refcheck=False)
        if size > 500 and base.ctypes.data == before:
            opt.step({"w": np.ones(500)})  # it grew where it stands, and the view is still there
            continue
        with pytest.raises(ValueError, match=rf'params\["w"\]: {GONE}'):
            opt.step({"w": np.ones(500)})


def test_a_gradient_whose_owner_was_resized_is_refused() -> None:
    base = np.ones(1000)
    view = base[500:]
    base.resize(1, refcheck=False)
    for call in (lambda: sy.AdamW(np.ones(500)).step(view), lambda: sy.global_norm(view), lambda: sy.AdamW(view)):
        with pytest.raises(ValueError, match=GONE):
            call()


@pytest.mark.parametrize("between", [memoryview, lambda a: np.lib.stride_tricks.as_strided(a, (len(a),))])
def test_what_stands_between_an_array_and_its_owner_is_looked_through(between: Callable[[np.ndarray], Any]) -> None:
    """A memory view remembers an address; what ``as_strided`` makes answers no question itself."""
    owner = np.ones(1000)
    for start in (0, 2):
        base = owner[start:]
        view = np.asarray(between(base))
        n = len(view)
        opt = sy.AdamW(view)
        opt.step(np.ones(n))
        assert sy.global_norm(np.asarray(between(base[::-1]))) > 0.0
        reads: list[Callable[[], Any]] = [lambda v=view: sy.global_norm(v), lambda v=view: sy.AdamW(v)]
        saved = owner.copy()
        owner.resize(1, refcheck=False)
        for call in (lambda o=opt, n=n: o.step(np.ones(n)), *reads):
            with pytest.raises(ValueError, match=GONE):
                call()
        owner = saved


class Interface:
    """Shows an array's memory as NumPy's older protocol does."""

    def __init__(self, array: np.ndarray) -> None:
        self.array = array

    @property
    def __array_interface__(self) -> dict[str, Any]:
        return self.array.__array_interface__


def test_owners_that_show_their_memory_in_other_ways_are_asked() -> None:
    owner = np.ones(300_000)
    opt = sy.AdamW(np.asarray(Interface(owner)))
    opt.step(np.ones(300_000))
    owner.resize(10, refcheck=False)
    block = (ctypes.c_double * 1000)()
    seen = sy.AdamW(np.ctypeslib.as_array(block))
    seen.step(np.ones(1000))
    ctypes.resize(block, 80_000_000)
    for stale, n in ((opt, 300_000), (seen, 1000)):
        with pytest.raises(ValueError, match=GONE):
            stale.step(np.ones(n))


def test_views_that_are_still_there_are_taken() -> None:
    """Reversed, Fortran-ordered, and zero-size owners have extents too."""
    base = np.zeros((6, 8), order="F")
    backwards = np.zeros(10)[::-1]
    params = [base[:, 2], backwards[3:3], np.zeros(9)[4:], memoryview(bytearray(80)).cast("d")]
    opt = sy.AdamW([params[0], params[1], params[2], np.asarray(params[3])], lr=0.1, weight_decay=0.0)
    opt.step([np.ones(6), np.ones(0), np.ones(5), np.ones(10)])
    assert base[:, 2].tolist() == pytest.approx([-0.1] * 6)
    assert params[3][0] == pytest.approx(-0.1)


def test_a_memory_map_that_was_closed_or_shortened_is_refused(tmp_path: Path) -> None:
    n = 100_000
    np.zeros(n).tofile(tmp_path / "w")

    def opened(offset: int = 0) -> np.memmap[Any, Any]:
        return np.memmap(tmp_path / "w", np.float64, "r+", offset=offset, shape=(n - offset // 8,))

    opt = sy.AdamW({"w": opened()}, lr=0.1, weight_decay=0.0)
    opt.step({"w": np.ones(n)})
    assert np.fromfile(tmp_path / "w").tolist() == pytest.approx([-0.1] * n)
    later = sy.AdamW(opened(offset=8 * 20_000))
    later.step(np.ones(n - 20_000))
    with (tmp_path / "w").open("r+b") as file:
        file.truncate(8 * (n - 1000))
    for stale, size in ((opt, n), (later, n - 20_000)):
        with pytest.raises(ValueError, match=GONE):
            stale.step({"w": np.ones(size)} if stale is opt else np.ones(size))

    whole = np.memmap(tmp_path / "w", np.float64, "r+")
    opt = sy.AdamW(whole)
    opt.step(np.ones(whole.size))
    whole._mmap.close()  # type: ignore[attr-defined]  # NumPy does not hinder it
    with pytest.raises(ValueError, match=GONE):
        opt.step(np.ones(n - 1000))


def test_a_map_and_a_bytearray_that_were_resized_are_refused() -> None:
    owners: list[tuple[Any, Callable[[Any], Any]]] = [
        (bytearray(8 * 1000), lambda owner: owner.extend(bytes(10_000_000))),
        (bytearray(8 * 1000), lambda owner: owner.clear()),
    ]
    if sys.platform == "linux":
        owners.append((mmap.mmap(-1, 8 * 1000), lambda owner: owner.close()))
    for owner, change in owners:
        w = np.ndarray(1000, np.float64, buffer=owner)
        opt = sy.AdamW(w, lr=0.1, weight_decay=0.0)
        opt.step(np.ones(1000))
        change(owner)
        if type(owner) is bytearray and owner and np.frombuffer(owner, np.uint8).ctypes.data == w.ctypes.data:
            opt.step(np.ones(1000))  # it grew where it stands
            continue
        with pytest.raises(ValueError, match=GONE):
            opt.step(np.ones(1000))


def test_moments_are_nobody_elses() -> None:
    """What is handed out are copies, so that nobody can free, resize or change what a step writes."""
    w = np.ones(1000)
    opt = sy.AdamW(w)
    for again in (opt, pickle.loads(pickle.dumps(opt)), copy.deepcopy(opt)):
        again.step(np.ones(1000))
        saved = again.state_dict()
        kept = saved["exp_avg"].copy()
        assert saved["exp_avg"].base is None
        again.step(np.full(1000, 9.0))
        assert saved["exp_avg"].tobytes() == kept.tobytes()
        assert (saved["step"], again.state_dict()["step"]) == (1, 2)
        before = again.state_dict()["exp_avg"]
        saved["exp_avg"][:] = np.nan
        assert again.state_dict()["exp_avg"].tobytes() == before.tobytes()


def test_loading_copies_too() -> None:
    opt = sy.AdamW(np.ones(3))
    opt.step(np.ones(3))
    state = opt.state_dict()
    opt.load_state_dict(state)
    kept = state["exp_avg"].copy()
    state["exp_avg"][:] = np.nan
    assert opt.state_dict()["exp_avg"].tobytes() == kept.tobytes()


# ---- trees ----------------------------------------------------------------------------------------------------


def test_mappings_that_return_copies_are_refused_where_they_are_written(tmp_path: Path) -> None:
    np.savez(tmp_path / "w.npz", w=np.ones(3))
    with np.load(tmp_path / "w.npz") as archive, shelve.open(str(tmp_path / "shelf")) as shelf:
        shelf["w"] = np.ones(3)
        shelf["deep"] = [np.ones(3)]
        for tree in (archive, shelf, {"model": archive}):
            with pytest.raises(TypeError, match="expected a mapping that keeps its arrays, to update in place; got a "):
                sy.AdamW(tree)
            with pytest.raises(TypeError, match=r"expected a mapping that keeps its arrays.*pass dict\(grads"):
                sy.clip_by_global_norm_(tree, 1.0)
            assert sy.global_norm({"w": archive["w"]}) == pytest.approx(math.sqrt(3))
        # Gradients are only read.
        w = np.ones(3)
        sy.AdamW({"w": w}).step(archive)
        assert w[0] < 1
    w = np.ones(2)
    sy.AdamW(UserDict(w=w)).step({"w": np.ones(2)})
    assert w[0] < 1


def test_named_tuples_are_matched_by_field() -> None:
    params = namedtuple("Params", "w b")(np.zeros(2), np.zeros(2))
    turned = namedtuple("Grads", "b w")(np.ones(2), -np.ones(2))
    opt = sy.AdamW(params, lr=0.1, weight_decay=0.0)
    opt.step(turned)
    assert params.w[0] > 0 > params.b[0]
    opt.step((-np.ones(2), np.ones(2)))  # a plain tuple has an order and nothing else
    assert "exp_avg/w" in opt.state_dict()
    other = namedtuple("Grads", "w c")(np.ones(2), np.ones(2))
    with pytest.raises(ValueError, match="grads: expected the fields w, b, like the parameters; got w, c"):
        opt.step(other)
    with pytest.raises(ValueError, match=r"grads\.b: expected float64 of shape \(2,\)"):
        opt.step(params._replace(w=np.ones(2), b=np.ones(3)))
    m, v = (params._replace(w=np.zeros(2), b=np.zeros(2)) for _ in range(2))
    adamw_(params, turned, m, v, step=1)
    assert m.w[0] < 0 < m.b[0]


def test_fields_that_are_none_make_no_named_tuple() -> None:
    class Listed(list):  # type: ignore[type-arg]
        _fields = ("a",)

    class Odd(tuple):  # type: ignore[type-arg]
        __slots__ = ()
        _fields: Any = 5

    for params in (Listed([np.ones(1), np.ones(2)]), Odd([np.ones(1), np.ones(2)])):
        assert sy.AdamW(params).step([np.ones(1), np.ones(2)]).step == 1


class Named(sy.AdamW):
    def __init__(self, params: Any, name: str) -> None:
        super().__init__(params)
        self.name = name


def test_a_subclass_keeps_what_it_adds() -> None:
    opt = Named(np.ones(2), "mine")
    opt.step(np.ones(2))
    for again in (pickle.loads(pickle.dumps(opt)), copy.deepcopy(opt), copy.copy(opt)):
        assert again.name == "mine"
        assert again.step(np.ones(2)).step == 2


def test_what_can_be_gone_through_once_is_a_list() -> None:
    arrays = [np.ones(2), np.ones(3)]
    opt = sy.AdamW((a for a in arrays), lr=0.1)
    opt.step(a.copy() for a in arrays)
    opt.step({0: np.ones(2), 1: np.ones(3)}.values())
    assert all((a < 1).all() for a in arrays)
    named = {"a": np.ones(2), "b": [np.ones(3)]}
    opt = sy.AdamW({"a": named["a"], "b": iter(named["b"])})
    opt.step(named | {"b": iter([np.ones(3)]), "a": np.ones(2)})
    assert sy.global_norm(iter([np.array([3.0]), np.array([4.0])])) == 5.0
    grads = [np.array([3.0]), np.array([4.0])]
    assert sy.clip_by_global_norm_(iter(grads), 1.0) == 5.0
    assert [g.item() for g in grads] == [3.0 * (1.0 / 5.0), 4.0 * (1.0 / 5.0)]
    with pytest.raises(TypeError, match=r"params\[0\]\[0\]: expected a NumPy array .* pass dict\(params\)"):
        sy.AdamW(iter(named.items()))
    with pytest.raises(ValueError, match="grads: expected 2 items, like the parameters; got 1"):
        sy.AdamW(iter(arrays)).step(iter([np.ones(2)]))


def test_trees_that_are_cyclic_or_too_deep_are_refused() -> None:
    ring: dict[str, Any] = {"w": np.ones(1), "next": []}
    ring["next"].append(ring)
    deep: Any = np.ones(1)
    for _ in range(100_000):
        deep = [deep]
    for call in (sy.AdamW, sy.global_norm, lambda tree: sy.clip_by_global_norm_(tree, 1.0)):
        with pytest.raises(ValueError, match=r'\["next"\]\[0\]: expected a container that is not inside itself'):
            call(ring)
        with pytest.raises(ValueError, match="expected containers nested at most 64 deep; got deeper ones"):
            call(deep)
    while isinstance(deep, list):  # from outside to inside: a long chain of destructors needs stack
        deep = deep[0]
    shared = [np.ones(1)]
    assert sy.global_norm([shared, shared]) == math.sqrt(2)  # twice is not inside itself
    nested: Any = np.ones(1)
    for _ in range(64):
        nested = [nested]
    opt = sy.AdamW(nested)
    opt = copy.deepcopy(pickle.loads(pickle.dumps(opt)))
    assert opt.step(nested).step == 1


def test_keys_that_a_saved_state_cannot_keep_apart_are_refused(tmp_path: Path) -> None:
    ones = lambda: np.ones(1)  # noqa: E731
    with pytest.raises(ValueError, match=r"numpy.load can tell apart; got 'w' and 'w.npy'; rename one of them"):
        sy.AdamW({"w": ones(), "w.npy": ones()})
    for tree in ({1: ones(), "1": ones()}, {"a": [ones()], "a/0": ones()}):
        with pytest.raises(ValueError, match="paths that stay apart in a saved state; got"):
            sy.AdamW(tree)
    opt = sy.AdamW(OrderedDict([("w.npy", np.ones(1)), ("", np.ones(2)), ("step", np.ones(3))]))
    opt.step({"w.npy": ones(), "": np.ones(2), "step": np.ones(3)})
    np.savez(tmp_path / "s.npz", **opt.state_dict())
    again = sy.AdamW({"w.npy": ones(), "": np.ones(2), "step": np.ones(3)})
    again.load_state_dict(np.load(tmp_path / "s.npz"))
    want = opt.state_dict()
    assert all(np.array_equal(again.state_dict()[key], want[key]) for key in want)


# ---- options are what they say ------------------------------------------------------------------------------


CHANGES = [
    ("lr", 0.25),
    ("lr", sy.schedules.constant(0.25)),
    ("betas", (0.5, 0.75)),
    ("eps", 0.5),
    ("weight_decay", 0.25),
    ("max_norm", 0.125),
    ("maximize", True),
    ("amsgrad", True),
]


@pytest.mark.parametrize(("name", "value"), CHANGES)
def test_an_option_that_is_set_is_that_of_an_optimizer_made_with_it(name: str, value: Any) -> None:
    one, other, plain = np.ones(5), np.ones(5), np.ones(5)
    later, made, before = sy.AdamW(one, lr=0.1), sy.AdamW(other, **{"lr": 0.1, name: value}), sy.AdamW(plain, lr=0.1)
    setattr(later, name, value)
    assert getattr(later, name) == value
    for step in range(3):
        grad = np.linspace(-1.0, 1.0, 5) / 100**step
        assert later.step(grad) == made.step(grad)
        before.step(grad)
    assert one.tobytes() == other.tobytes() != plain.tobytes()


def test_options_that_are_set_are_checked() -> None:
    opt = sy.AdamW(np.ones(2, np.float32), weight_decay=0.25)
    for name, value in (
        ("lr", -1.0), ("betas", (1.0, 0.5)), ("eps", -1.0), ("eps", 1e-60), ("weight_decay", np.inf), ("max_norm", -1),
        ("nonfinite", "ignore"), ("maximize", 2), ("amsgrad", 2),
    ):  # fmt: skip
        before = getattr(opt, name)
        with pytest.raises((TypeError, ValueError), match=name):
            setattr(opt, name, value)
        assert getattr(opt, name) == before
    opt.nonfinite = "skip"
    assert opt.step(np.array([1, np.nan], np.float32)).skipped
    for name in ("weigth_decay", "foreach", "step_info"):
        with pytest.raises(AttributeError):
            setattr(opt, name, True)
    opt.step(np.ones(2, np.float32))
    opt.amsgrad = False
    with pytest.raises(
        AttributeError, match="amsgrad: expected to be set before the first step; got True after step 1"
    ):
        opt.amsgrad = True
    assert not opt.amsgrad


def test_a_state_holds_the_options_and_loading_takes_them() -> None:
    w = np.ones(2)
    schedule = sy.schedules.cosine(0.1, total_steps=9, warmup_steps=2)
    opt = sy.AdamW(w, lr=schedule, betas=(0.5, 0.75), eps=1e-3, weight_decay=0.5, max_norm=2.0, maximize=True)
    opt.step(np.ones(2))
    state = opt.state_dict()
    other = sy.AdamW(w)
    other.load_state_dict(state)
    assert (other.lr, other.betas, other.eps, other.weight_decay) == (schedule, (0.5, 0.75), 1e-3, 0.5)
    assert (other.max_norm, other.maximize, other.nonfinite) == (2.0, True, "raise")
    # A function of the caller's own is not saved; and without options the optimizer keeps its own.
    free = sy.AdamW(w, lr=lambda step: 0.125)
    other.load_state_dict(free.state_dict())
    assert (other.lr, other.betas) == (schedule, (0.9, 0.999))
    other = sy.AdamW(w, lr=0.5)
    del state["options"]
    other.load_state_dict(state)
    assert (other.lr, other.state_dict()["step"]) == (0.5, 1)


def test_a_start_without_a_rise_is_refused() -> None:
    for make in (sy.schedules.constant, lambda lr, **o: sy.schedules.linear(lr, total_steps=4, **o)):
        with pytest.raises(ValueError, match="start: expected warmup_steps of at least 1 beside it"):
            make(1.0, start=0.5)
    with pytest.raises(ValueError, match=r"end: expected nothing: the shape 'constant' does not use it; got 0.5"):
        sy.schedules.Schedule("constant", 1.0, end=0.5)
    with pytest.raises(ValueError, match="total_steps: expected nothing: the shape 'constant' does not use it; got 5"):
        sy.schedules.Schedule("constant", 1.0, total_steps=5)


# ---- what overflows is seen -----------------------------------------------------------------------------------


@pytest.mark.parametrize(("dtype", "huge"), [(np.float32, 6e20), (np.float32, 3.4e38), (np.float64, 1e200)])
def test_a_gradient_whose_square_overflows_is_not_finite(dtype: Any, huge: float) -> None:
    grads = {"a": np.ones(3, dtype), "b": np.array([1, huge, -huge], dtype)}
    params = {"a": np.zeros(3, dtype), "b": np.zeros(3, dtype)}
    opt = sy.AdamW(params, lr=0.1)
    with pytest.raises(ValueError, match=r'grads\["b"\]: expected gradients whose squares fit .* got 2 too large'):
        opt.step(grads)
    assert not params["a"].any()
    assert opt.state_dict()["step"] == 0
    info = sy.AdamW(params, nonfinite="skip").step(grads)
    assert (info.skipped, info.nonfinite, info.first_nonfinite) == (True, 2, 'grads["b"]')
    assert np.isfinite(info.grad_norm or math.nan)
    # Clipped they fit, and who asks for it gets infinite moments.
    assert sy.AdamW(params, max_norm=1.0).step(grads).step == 1
    opt = sy.AdamW(params, nonfinite="propagate")
    opt.step(grads)
    assert np.isinf(opt.state_dict()["exp_avg_sq/b"]).tolist() == [False, True, True]
    state = opt.state_dict()
    opt.load_state_dict(state)  # such a state is one that these steps can have made
    with pytest.raises(ValueError, match="expected finite moments"):
        sy.AdamW(params).load_state_dict({k: v for k, v in state.items() if k != "options"})


@pytest.mark.parametrize("n", [1, 4, 70_001])
def test_a_norm_beyond_float64_clips_right(n: int) -> None:
    g = np.full(n, np.finfo(np.float64).max)
    norm = sy.clip_by_global_norm_(g, 1.0)
    assert norm == (math.inf if n > 1 else np.finfo(np.float64).max)
    np.testing.assert_allclose(g, 1 / math.sqrt(n), rtol=1e-12)
    w = np.zeros(n)
    m, v = np.zeros(n), np.zeros(n)
    info = adamw_(w, np.full(n, np.finfo(np.float64).max), m, v, step=1, max_norm=1.0)
    assert info.nonfinite == 0
    np.testing.assert_allclose(m, 0.1 / math.sqrt(n), rtol=1e-12)


@pytest.mark.parametrize("limit", [1.0, 1e-3, 1e-9, 1e-30])
def test_a_factor_below_float32_keeps_its_digits(limit: float) -> None:
    g = np.array([3e38, -1e38], np.float32)
    want = g.astype(np.float64) * (limit / sy.global_norm(g))
    clipped = g.copy()
    sy.clip_by_global_norm_(clipped, limit)
    np.testing.assert_allclose(clipped, want, rtol=3e-7)
    m, v = np.zeros(2, np.float32), np.zeros(2, np.float32)
    adamw_(np.zeros(2, np.float32), g, m, v, step=1, max_norm=limit)
    np.testing.assert_allclose(m, 0.1 * want, rtol=3e-7)


BOUNDS = {"float64": 2.0**-52 + 1e-15, "float32": 2.0**-23, "float16": 2.0**-11, "bfloat16": 2.0**-8}


@pytest.mark.parametrize("dtype", BOUNDS)
def test_a_clipped_norm_is_at_most_what_the_documentation_says(dtype: str) -> None:
    rng = np.random.default_rng(3)
    large = 4 if dtype == "float16" else 6
    for _ in range(200):
        n = rng.integers(1, 3000)
        g = as_dtype(rng.standard_normal(n) * 10.0 ** rng.integers(-1 if dtype == "float16" else -5, large), dtype)
        limit = float(sy.global_norm(g) * rng.uniform(1e-3, 0.999))
        sy.clip_by_global_norm_(g, limit)
        assert sy.global_norm(g) <= limit * (1 + BOUNDS[dtype])


@pytest.mark.parametrize("dtype", ["float16", "bfloat16"])
def test_sixteen_bits_are_multiplied_exactly_and_rounded_once(dtype: str) -> None:
    """Every finite number of the type, by factors that leave ties, subnormals and zeros."""
    infinity = 0x7C00 if dtype == "float16" else 0x7F80
    codes = np.arange(infinity, dtype=np.uint16)
    finite = np.concatenate([codes, codes | 0x8000]).view(as_dtype(np.zeros(0), dtype).dtype)
    norm = sy.global_norm(finite)
    for factor in (0.5, 0.75, 1 - 2.0**-12, 1 / 3, 2.0**-7, 1e-3, 1e-9):
        g = finite.copy()
        sy.clip_by_global_norm_(g, norm * factor)
        product = finite.astype(np.float64) * (norm * factor / norm)
        got = g.astype(np.float64)
        assert np.all(np.abs(got) <= np.abs(finite.astype(np.float64)))  # so that nothing can overflow
        for beside in (-1, 1):  # no neighbour is nearer, and one that is as near is odd
            code = g.view(np.uint16).astype(np.int32)
            there = (code & 0x7FFF != 0) | (beside > 0)  # below 0 there is none of the same sign
            other = (code + there * beside).astype(np.uint16).view(g.dtype).astype(np.float64)
            nearer = np.abs(other - product) - np.abs(got - product)
            assert np.all(nearer >= 0)
            assert not np.any(code[there & (nearer == 0)] & 1)


def test_types_are_clipped_together_and_nothing_is_written_where_one_is_refused() -> None:
    def tree() -> list[Any]:
        values = np.array([3.0, -4.0, 12.0])
        return [as_dtype(values, dtype) for dtype in BOUNDS]

    grads = tree()
    assert sy.clip_by_global_norm_(grads, 13.0) == 26.0  # a factor of 1/2: exact in all of them
    for before, after in zip(tree(), grads, strict=True):
        assert before.dtype == after.dtype
        np.testing.assert_array_equal(after.astype(np.float64) * 2, before.astype(np.float64))
    memory, readonly = np.ones(8, np.float16), np.ones(3, np.float16)
    readonly.flags.writeable = False
    resized = np.ones(100_000, np.float16)
    view = resized[10:]
    resized.resize(10, refcheck=False)
    bits = tree()[-1].view(np.uint16)
    refused: list[tuple[Any, str]] = [
        (np.ones(3, np.int64), r"grads\[4\]: expected an aligned array of floats"),
        (np.ones(3, np.complex64), r"grads\[4\]: expected an aligned array of floats"),
        (bits, r"grads\[4\]: expected .*bfloat16; got uint16.*for bfloat16 pass a torch or ml_dtypes array"),
        (tree()[-1][::2], r"grads\[4\]: expected a C-contiguous array"),
        (np.ones(3, ">f2"), "native byte order"),
        (readonly, r"grads\[4\]: expected a writeable array"),
        (np.frombuffer(bytearray(9), np.uint8)[1:].view(np.float16), r"grads\[4\]: expected an aligned array"),
        (view, r"grads\[4\]: expected memory that is still there"),
    ]
    for other, message in refused:
        grads = tree()
        with pytest.raises((TypeError, ValueError), match=message):
            sy.clip_by_global_norm_([*grads, other], 1.0)
        for before, after in zip(tree(), grads, strict=True):
            assert before.tobytes() == after.tobytes()
    with pytest.raises(ValueError, match=r"grads\[0\]: expected memory of its own; it overlaps grads\[1\]"):
        sy.clip_by_global_norm_([memory, memory.view(np.float32)[1:]], 1.0)
    assert memory.tobytes() == np.ones(8, np.float16).tobytes()


@pytest.mark.parametrize("bad", [math.nan, math.inf])
def test_propagate_means_the_same_in_every_call(bad: float) -> None:
    start = np.array([1.0, 2.0, bad, 3.0])
    clipped = start.copy()
    sy.clip_by_global_norm_(clipped, 1.0, nonfinite="propagate")
    with np.errstate(invalid="ignore"):
        by_hand = start * (1.0 / sy.global_norm(start, nonfinite="propagate"))
    np.testing.assert_array_equal(clipped, by_hand)
    moments = []
    opt = sy.AdamW(np.zeros(4), max_norm=1.0, nonfinite="propagate")
    opt.step(start)
    moments.append(opt.state_dict()["exp_avg"])
    m, v = np.zeros(4), np.zeros(4)
    adamw_(np.zeros(4), start, m, v, step=1, max_norm=1.0, nonfinite="propagate")
    moments.append(m)
    m, v = np.zeros(4), np.zeros(4)
    adamw_(np.zeros(4), clipped, m, v, step=1, nonfinite="propagate")
    moments.append(m)
    for moment in moments:
        np.testing.assert_array_equal(moment, moments[0])
        assert np.isnan(moment).tolist() == ([True] * 4 if math.isnan(bad) else [False, False, True, False])


def test_scalars_that_the_element_type_cannot_hold_are_refused() -> None:
    single, double = np.ones(2, np.float32), np.ones(2)
    for eps in (0.0, 1e-46):
        with pytest.raises(ValueError, match=r"eps: expected more than 0 in float32"):
            sy.AdamW([double, single], eps=eps)
    with pytest.raises(ValueError, match="eps: expected more than 0 in float64"):
        sy.AdamW(double, eps=0.0)
    sy.AdamW(double, eps=5e-324).step(np.zeros(2))
    assert np.isfinite(double).all()
    m, v = np.zeros(2, np.float32), np.zeros(2, np.float32)
    with pytest.raises(ValueError, match="eps: expected more than 0 in float32"):
        adamw_(single, single.copy(), m, v, step=1, eps=1e-50)
    for options, said in (({"lr": 1e39}, "lr: expected a rate that float32"), ({"lr": 1e37, "weight_decay": 1e37}, "")):
        with pytest.raises(ValueError, match=said or r"(lr|weight_decay): expected"):
            sy.AdamW(single, **options).step(np.ones(2, np.float32))
    assert single.tolist() == [1.0, 1.0]


# ---- interrupts and forks -------------------------------------------------------------------------------------


@linux
def test_a_step_and_its_count_are_one_act() -> None:
    """A handler that raises at random moments: what was updated was counted, and step_info knows it."""
    out = run("""
        import random, signal
        class Stop(BaseException): pass
        def handler(signum, frame): raise Stop
        signal.signal(signal.SIGALRM, handler)
        w = np.zeros(50)
        opt = sy.AdamW(w, lr=1.0, betas=(0.0, 0.0), eps=1e-30, weight_decay=0.0)
        g = np.full(50, -1.0)      # each update adds 1 to every element
        stopped, end = 0, time.monotonic() + 4
        random.seed(0)
        while time.monotonic() < end:
            try:
                signal.setitimer(signal.ITIMER_REAL, random.uniform(1e-6, 3e-4))
                while True:
                    opt.step(g)
            except Stop:
                stopped += 1
            counted = int(opt.state_dict()["step"])
            assert w[0] == counted == (opt.step_info.step if opt.step_info else 0), (w[0], counted, opt.step_info)
            assert (w == w[0]).all()
        assert stopped > 50, stopped
        print("right")
    """)
    assert out == "right"


@linux
def test_loading_is_whole_or_not_begun() -> None:
    out = run("""
        import random, signal
        class Stop(BaseException): pass
        def handler(signum, frame): raise Stop
        signal.signal(signal.SIGALRM, handler)
        n, arrays = 200, 40
        def states():
            for value in (1.0, 2.0):
                opt = sy.AdamW([np.zeros(n) for _ in range(arrays)], weight_decay=value)
                for _ in range(int(value)):
                    opt.step([np.full(n, value)] * arrays)
                yield opt.state_dict()
        kinds = {float(s["exp_avg_sq/0"][0]): s for s in states()}
        opt = sy.AdamW([np.zeros(n) for _ in range(arrays)])
        opt.load_state_dict(next(iter(kinds.values())))
        random.seed(1)
        stopped, end = 0, time.monotonic() + 4
        while time.monotonic() < end:
            try:
                signal.setitimer(signal.ITIMER_REAL, random.uniform(1e-6, 2e-3))
                while True:
                    for state in kinds.values():
                        opt.load_state_dict(state)
            except Stop:
                stopped += 1
            found = opt.state_dict()
            want = kinds[float(found["exp_avg_sq/0"][0])]
            assert all(np.array_equal(found[k], want[k]) for k in want), "a mixture"
        assert stopped > 20, stopped
        print("right")
    """)
    assert out == "right"


@linux
def test_a_fork_during_a_step_leaves_a_sentence_or_a_usable_optimizer() -> None:
    out = run("""
        sy.threads(1)
        n = 4_000_000
        w = np.zeros(n)
        opt = sy.AdamW(w)
        g = np.ones(n)
        stop = threading.Event()
        def busy():
            while not stop.is_set():
                opt.step(g)
        worker = threading.Thread(target=busy)
        worker.start()
        said = {}
        for _ in range(30):
            time.sleep(0.003)
            read, write = os.pipe()
            pid = os.fork()
            if pid == 0:
                try:
                    for call in (lambda: opt.step(g), opt.state_dict, lambda: opt.step(g)):
                        call()
                    word = b"usable"
                except RuntimeError as error:
                    assert "forked while another thread was inside a step" in str(error), error
                    w[:] = 0.0
                    fresh = sy.AdamW(np.zeros(n))
                    fresh.step(g)
                    bad = fresh.state_dict() | {"exp_avg_sq": np.full(n, -1.0)}
                    for call in (lambda: opt.load_state_dict(bad), lambda: opt.step(g)):   # nothing is begun anew
                        try:
                            call()
                        except (ValueError, RuntimeError):
                            continue
                        raise AssertionError
                    opt.load_state_dict(fresh.state_dict())     # makes it usable
                    assert opt.step(g).step == 2
                    word = b"sentence"
                os.write(write, word)
                os._exit(0)
            os.close(write)
            word = os.read(read, 100).decode()
            os.close(read)
            assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0, word
            said[word] = said.get(word, 0) + 1
        stop.set()
        worker.join()
        assert sum(said.values()) == 30 and said.get("sentence", 0) > 0, said
        print("right")
    """)
    assert out == "right"


def test_two_threads_that_step_one_optimizer_lose_nothing() -> None:
    out = run("""
        n = 1_000_000
        w = np.zeros(n)
        opt = sy.AdamW(w, lr=1.0, betas=(0.0, 0.0), eps=1e-30, weight_decay=0.0)
        g = np.full(n, -1.0)
        refused, made = [], []
        def work():
            for _ in range(20):
                try:
                    made.append(opt.step(g).step)
                except RuntimeError as error:
                    assert "another thread is inside this optimizer's step" in str(error)
                    refused.append(1)
                opt.state_dict()     # waits
        workers = [threading.Thread(target=work) for _ in range(3)]
        for worker in workers: worker.start()
        for worker in workers: worker.join()
        assert sorted(made) == list(range(1, len(made) + 1))
        assert (w == len(made)).all() and len(made) + len(refused) == 60
        print("right")
    """)
    assert out == "right"


def test_what_reading_does_to_the_optimizer_itself_is_seen() -> None:
    """A gradient that makes a step when it is read: the rate is that of the step that is made."""
    w = np.zeros(2)
    opt = sy.AdamW(w, lr=lambda step: 10.0**-step)

    class Sly:
        def __array__(self, dtype: Any = None, copy: Any = None) -> np.ndarray:
            assert opt.step(np.ones(2)).lr == 1.0
            return np.ones(2)

    info = opt.step(Sly())
    assert (info.step, info.lr) == (2, 0.1)


def test_the_core_refuses_a_step_out_of_order() -> None:
    w = np.ones(2)
    plan = _core.OptimizerPlan(
        paths=["a"], given=[w], params=[w], moments=[[np.zeros(2)], [np.zeros(2)]], steps=7, options="anything"
    )
    options: Any = {"groups": [{"lr": 0.1}], "of_row": None, "max_norm": None, "scan": True, "stop_nonfinite": True}
    with pytest.raises(RuntimeError, match="another thread is inside"):
        plan.step((np.ones(2),), lambda row: w, step=7, **options)
    assert plan.step((np.ones(2),), lambda row: w, step=8, **options)["step"] == plan.steps == 8
    assert plan.options == "anything"
    assert not plan.forked


@pytest.mark.parametrize(
    "call",
    [
        sy.estimate,
        lambda x: sy.bootstrap(x, n_resamples=99),
        lambda x: sy.reliability(x, np.zeros(x.size, np.int64)),
        sy.perplexity,
        lambda x: sy.token_scores(x.reshape(10, -1), np.zeros(10, np.int64)),
        lambda x: sy.preference_loss(x, *np.zeros((3, x.size))),
        sy.global_norm,
    ],
)
def test_calls_that_only_read_refuse_memory_that_is_gone(call: Callable[[np.ndarray], Any], tmp_path: Path) -> None:
    n = 100_000
    np.zeros(n).tofile(tmp_path / "x")
    mapped = np.memmap(tmp_path / "x", np.float64, "r", shape=(n,))
    with (tmp_path / "x").open("r+b") as file:
        file.truncate(4096)
    base = np.zeros(n)
    view = base[n // 2 :]
    base.resize(10, refcheck=False)
    for gone in (mapped, view):
        with pytest.raises(ValueError, match=GONE):
            call(gone)

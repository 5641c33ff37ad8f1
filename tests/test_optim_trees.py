"""The trees that an optimizer takes: dataclasses, pytrees that JAX knows, memory maps, places without a parameter."""

from __future__ import annotations

import copy
import pickle
import subprocess
import sys
from collections import OrderedDict, namedtuple
from dataclasses import dataclass, field
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

import steelyard as sy
from steelyard.optim import adamw_


@dataclass
class Layer:
    w: Any
    b: Any


@dataclass(frozen=True)
class Model:
    layers: list[Layer]
    head: Any = None
    kept: dict[str, Any] = field(default_factory=dict)


def model(value: float) -> Model:
    full = lambda n: np.full(n, value, np.float32)  # noqa: E731
    return Model([Layer(full(3), full(2)), Layer(full(4), None)], kept={"scale": full(1)})


def test_dataclasses_are_containers() -> None:
    params = model(1.0)
    opt = sy.AdamW(params, lr=0.1, weight_decay=0.0)
    opt.step(model(1.0))
    assert params.layers[1].w == pytest.approx(np.full(4, 0.9))
    wanted = ["exp_avg/layers/0/w", "exp_avg/layers/0/b", "exp_avg/layers/1/w", "exp_avg/kept/scale"]
    assert [key for key in opt.state_dict() if key.startswith("exp_avg/")] == wanted
    with pytest.raises(ValueError, match=r"grads\.layers\[0\]\.w: expected float32 of shape \(3,\)"):
        opt.step(Model([Layer(np.ones(1, np.float32), np.ones(2, np.float32)), model(1.0).layers[1]], kept=params.kept))
    with pytest.raises(TypeError, match=r"grads\.layers\[0\]: expected a list or tuple, like the parameters; got str"):
        opt.step(Model(["x", params.layers[1]], kept=params.kept))  # type: ignore[list-item]
    with pytest.raises(
        ValueError, match=r"grads\.layers\[0\]: expected the fields w, b, like the parameters; got b, c"
    ):
        opt.step(Model([namedtuple("Other", "b c")(0, 0), params.layers[1]], kept=params.kept))  # type: ignore[list-item]
    with pytest.raises(TypeError, match=r"params\.w: expected a NumPy array or a torch CPU tensor"):
        sy.AdamW(Layer("x", None))
    for again in (copy.deepcopy(opt), pickle.loads(pickle.dumps(opt))):
        assert again.step(model(1.0)).step == 2


def test_a_parameter_that_is_none_is_not_there() -> None:
    params = {"a": np.ones(2), "frozen": None, "deep": [None, {"b": np.ones(3)}]}
    opt = sy.AdamW(params, lr=0.1)
    grads = {"a": np.ones(2), "frozen": None, "deep": [None, {"b": np.ones(3)}]}
    opt.step(grads)
    assert opt.state_dict().keys() - {"step", "options", "numerics"} == {
        "exp_avg/a", "exp_avg/deep/1/b", "exp_avg_sq/a", "exp_avg_sq/deep/1/b",
    }  # fmt: skip
    for twin in (opt, copy.deepcopy(opt), pickle.loads(pickle.dumps(opt))):
        with pytest.raises(
            ValueError, match=r'grads\["frozen"\]: expected None, as there is no parameter here; got float64'
        ):
            twin.step(grads | {"frozen": np.ones(1)})
        with pytest.raises(
            ValueError, match="grads: expected the keys of the parameters; got a dictionary without 'frozen'"
        ):
            twin.step({key: value for key, value in grads.items() if key != "frozen"})
        assert twin.step(grads).step == 2
    with pytest.raises(ValueError, match="params: expected at least one array; got none"):
        sy.AdamW([None, {"a": None}])
    state = {"a": np.zeros(2), "frozen": None, "deep": [None, {"b": np.zeros(3)}]}
    adamw_(params, grads, copy.deepcopy(state), state, step=1)
    assert state["a"][0] > 0
    assert sy.global_norm({"w": np.array([3.0, 4.0]), "b": None}) == 5.0
    clipped = {"w": np.array([3.0, 4.0]), "b": None}
    assert sy.clip_by_global_norm_(clipped, 1.0) == 5.0
    assert clipped["w"][0] == pytest.approx(0.6)


def test_a_memory_map_is_trained_in_its_file(tmp_path: Path) -> None:
    np.ones(1000, np.float32).tofile(tmp_path / "w")
    w = np.memmap(tmp_path / "w", np.float32, "r+", shape=(10, 100))
    plain = np.ones((10, 100), np.float32)
    ours, same = sy.AdamW({"w": w}, lr=0.1), sy.AdamW({"w": plain}, lr=0.1)
    grad = np.memmap(tmp_path / "w", np.float32, "r", shape=(10, 100)).copy()
    for opt in (ours, same):
        opt.step({"w": grad})
    w.flush()  # the caller's to do
    assert np.fromfile(tmp_path / "w", np.float32).tobytes() == plain.tobytes()
    with pytest.raises(ValueError, match=r'params\["w"\]: expected a writeable array; got a read-only one'):
        sy.AdamW({"w": np.memmap(tmp_path / "w", np.float32, "r")})


def test_objects_that_are_no_containers_are_refused_with_what_to_pass() -> None:
    with pytest.raises(TypeError, match=r"params: expected a NumPy array .* got SimpleNamespace; pass vars\(params\)"):
        sy.AdamW(SimpleNamespace(w=np.ones(2)))
    attrs = pytest.importorskip("attrs")
    Pair = attrs.make_class("Pair", ["w", "b"])
    with pytest.raises(TypeError, match=r"got Pair; pass attrs.asdict\(params\[0\], recurse=False\)"):
        sy.AdamW([Pair(np.ones(2), np.ones(2))])


def test_pytrees_that_jax_knows_are_containers() -> None:
    jax = pytest.importorskip("jax")

    @jax.tree_util.register_pytree_node_class
    class Listed:
        def __init__(self, *items: Any) -> None:
            self.items = items

        def tree_flatten(self) -> tuple[Any, None]:
            return self.items, None

        @classmethod
        def tree_unflatten(cls, aux: None, items: Any) -> Any:
            return cls(*items)

    @jax.tree_util.register_dataclass
    @dataclass
    class Dense:
        w: Any
        name: str = field(default="dense", metadata={"static": True})

    params = {"a": Listed(np.ones(2, np.float32), None), "b": Dense(np.ones(3, np.float32))}
    opt = sy.AdamW(params, lr=0.1, weight_decay=0.0)
    assert "exp_avg/a/0" in opt.state_dict()
    assert "exp_avg/b/w" in opt.state_dict()

    def loss(p: Any) -> Any:
        return p["a"].items[0].sum() + (2 * p["b"].w).sum()

    grads = jax.grad(loss)(params)
    opt.step(grads)
    assert params["a"].items[0] == pytest.approx(np.full(2, 0.9))
    assert params["b"].w == pytest.approx(np.full(3, 0.9))
    assert sy.global_norm(grads) == pytest.approx(np.sqrt(2 + 3 * 4))
    with pytest.raises(ValueError, match=r'grads\["a"\]: expected 2 items, like the parameters; got 1'):
        opt.step({"a": Listed(grads["a"].items[0]), "b": grads["b"]})
    with pytest.raises(TypeError, match=r"params: expected a NumPy array .*; copy it once with numpy.array\(params\)"):
        sy.AdamW(jax.numpy.ones(3))


def test_jax_is_not_imported_for_a_tree() -> None:
    code = (
        "import sys, numpy as np, steelyard as sy\n"
        "from collections import namedtuple\n"
        "p = namedtuple('P', 'a b')(np.ones(2), None)\n"
        "sy.AdamW(p).step(p._replace(a=np.ones(2)))\n"
        "print('jax' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "False\n"


def test_other_dictionaries_than_those_of_the_parameters_are_still_matched_by_key() -> None:
    params = OrderedDict(b=np.ones(2), a=np.ones(3))
    opt = sy.AdamW(params, lr=0.1, weight_decay=0.0)
    opt.step({"a": np.ones(3), "b": -np.ones(2)})
    assert params["b"][0] > 1 > params["a"][0]

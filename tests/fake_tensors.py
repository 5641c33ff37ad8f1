"""Arrays that answer like torch tensors, for tests of the core where torch is not installed."""

from __future__ import annotations

from typing import Any

import numpy as np

from steelyard import _core

STRIDED = "strided"
MOMENTS = ("exp_avg", "exp_avg_sq", "max_exp_avg_sq")


class FakeTensor:
    """What the core asks of a tensor, answered by a NumPy array."""

    def __init__(self, array: np.ndarray, grad: np.ndarray | None = None) -> None:
        self.array = array
        self.grad = None if grad is None else FakeTensor(grad)
        self.layout, self.is_cpu = STRIDED, True

    @property
    def dtype(self) -> np.dtype:
        return self.array.dtype

    @property
    def shape(self) -> tuple[int, ...]:
        return self.array.shape

    def stride(self) -> tuple[int, ...]:
        return tuple(stride // self.array.itemsize for stride in self.array.strides)

    def data_ptr(self) -> int:
        return self.array.ctypes.data if self.array.size else 0

    def storage_offset(self) -> int:
        return 0

    def untyped_storage(self) -> FakeTensor:
        return self

    def nbytes(self) -> int:
        return self.array.nbytes


DTYPES = [(np.dtype(name), name) for name in ("float32", "float64", "float16", "int16")]
# NumPy has no bfloat16: arrays of uint16 stand for its bits.
DTYPES.append((np.dtype("uint16"), "bfloat16"))


def tensor_plan(*plain: type) -> _core.TensorPlan:
    return _core.TensorPlan(shim=None, plain=plain or (FakeTensor,), dtypes=DTYPES, strided=STRIDED)


def tensor_step(plan: _core.TensorPlan, params: list[FakeTensor], state: dict, **options: Any) -> Any:
    """A step with the options of AdamW, of which all have a default."""
    group = {"lr": 1e-3, "beta1": 0.9, "beta2": 0.999, "eps": 1e-8, "weight_decay": 0.01, "maximize": False}
    group = {name: options.pop(name, value) for name, value in group.items()}
    hyper = (group, MOMENTS[: 3 if options.pop("amsgrad", False) else 2])
    settings = {"instead": None, "max_norm": None, "scan": True, "stop_nonfinite": True, "grad_scale": 1.0}
    settings |= {"norm": None, "skip": False, "tell": len, "name": lambda group, index: f"params[{index}]"} | options
    return plan.step([params], state, hypers=[hyper], **settings)


def fresh_state(params: list[FakeTensor], largest: bool = False) -> dict:
    """Moments of 0 for every parameter."""
    names = MOMENTS[: 3 if largest else 2]
    return {
        param: {name: FakeTensor(np.zeros_like(param.array)) for name in names}
        | {"step": FakeTensor(np.zeros((), np.float32))}
        for param in params
    }

"""The core's object that steps torch tensors, and how it finds where they are."""

from __future__ import annotations

import torch

from .. import _core
from ._tensors import BITS, CODES, DTYPES, PLAIN

__all__ = ["new_plan"]


def _shim() -> tuple[str, list[tuple[torch.Tensor, int, int]]] | None:
    """By which library the core finds torch's C functions, and by which tensors it learns where a tensor is."""
    samples = [torch.empty(2), torch.empty(()), torch.nn.Parameter(torch.empty(3))]
    try:
        path = torch._C.__file__
        return path, [(tensor, tensor._cdata, tensor.untyped_storage()._cdata) for tensor in samples]
    except AttributeError:
        return None


_SHIM = _shim()


def new_plan() -> _core.TensorPlan:
    """What knows where the tensors of an optimizer are."""
    return _core.TensorPlan(shim=_SHIM, plain=PLAIN, dtypes=(*DTYPES, CODES, BITS), strided=torch.strided)

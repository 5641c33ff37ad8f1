"""Clipping of gradients with the signatures of ``torch.nn.utils``, computed by the core on the CPU."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterable
from math import isfinite
from types import GeneratorType
from typing import Any, Literal, TypeAlias

import torch

from .._mode import standard_mode
from ..errors import type_error, value_error
from ..optim import clip_by_global_norm_, clip_by_value_, global_norm
from ._tensors import DTYPES, dtype_name, is_dense, overlaps_itself

__all__ = ["clip_grad_norm_", "clip_grad_value_", "clip_grads_with_norm_", "get_total_norm"]

Tensors: TypeAlias = "torch.Tensor | Iterable[torch.Tensor]"
NonFinite = Literal["raise", "skip", "propagate"]


def _listed(tensors: Tensors) -> list[torch.Tensor]:
    return [tensors] if isinstance(tensors, torch.Tensor) else list(tensors)


def _check(tensor: torch.Tensor, name: str) -> None:
    """Refuse a tensor that the core cannot read, with what to do instead."""
    if hasattr(tensor, "to_local"):
        fix = (
            "take get_total_norm of the local shards (.to_local()), reduce it over the processes (norm**p adds up), "
            "and pass it to clip_grads_with_norm_ for the shards"
        )
        raise type_error(name, "a tensor whose elements are all here", "a DTensor", fix)
    got = ""
    if tensor.layout is not torch.strided or tensor.is_quantized:
        got = f"one of layout {dtype_name(tensor.layout)}"
    elif tensor.device.type != "cpu":
        got = f"one on {tensor.device}"
    elif tensor.dtype not in dict(DTYPES):
        got = f"one of {dtype_name(tensor.dtype)}"
    if got:
        expected = f"a dense CPU tensor of {', '.join(known for _, known in DTYPES)}"
        raise type_error(name, expected, got, "use torch.nn.utils for it")


def _in_memory_order(tensor: torch.Tensor) -> torch.Tensor | None:
    """The elements as one axis, on the tensor's own memory; None where they do not fill it without holes."""
    tensor = tensor.detach()
    if tensor.is_contiguous():
        return tensor.view(-1)
    return tensor.as_strided((tensor.numel(),), (1,)) if is_dense(tensor) else None


class _Gradients:
    """Gradients as arrays for the core: on their own memory where that has no holes, else copies."""

    def __init__(self, parameters: Tensors) -> None:
        self.arrays: dict[int, torch.Tensor] = {}
        self.copied: dict[int, torch.Tensor] = {}
        for i, parameter in enumerate(_listed(parameters)):
            if (grad := parameter.grad) is not None:
                self._add(i, grad)

    def _add(self, i: int, grad: torch.Tensor) -> None:
        name = f"parameters[{i}].grad"
        _check(grad, name)
        own = _in_memory_order(grad)
        if own is None:
            if overlaps_itself(grad):
                expected = "a tensor whose elements each have memory of their own"
                raise value_error(name, expected, "an expanded one", "call .contiguous() on it before clipping")
            self.copied[i] = grad
            own = grad.detach().contiguous().view(-1)
        self.arrays[i] = own

    def change(self, clip: Callable[[dict[int, torch.Tensor]], Any]) -> Any:
        """Let ``clip`` write the arrays; what was computed in copies is then copied back."""
        found = clip(self.arrays)
        for i, grad in self.copied.items():
            grad.detach().copy_(self.arrays[i].view(grad.shape))
        return found


def _refuse(norm: float, norm_type: float) -> None:
    if not isfinite(norm):
        raise RuntimeError(
            f"The total norm of order {norm_type} for gradients from `parameters` is non-finite, so it cannot be "
            "clipped. To disable this error and scale the gradients by the non-finite norm anyway, set "
            "`error_if_nonfinite=False`"
        )


def _as_tensor(norm: float) -> torch.Tensor:
    return torch.tensor(norm, dtype=torch.float64)


@standard_mode
def get_total_norm(
    tensors: Tensors, norm_type: float = 2.0, error_if_nonfinite: bool = False, foreach: bool | None = None
) -> torch.Tensor:
    """Return the norm of all elements of all tensors, ``(sum |x|^p)^(1/p)``; ``torch.nn.utils.get_total_norm``.

    Parameters
    ----------
    tensors : tensor or iterable of tensors
        Dense CPU tensors of float32, float64, bfloat16 or float16, which may be mixed, of any strides; only read.
    norm_type : float
        The order p, above 0, or infinity (also as ``"inf"``).
    error_if_nonfinite : bool
        Raise where the norm is NaN or infinite.
    foreach : bool, optional
        Taken for torch's signature; it changes nothing.

    Returns
    -------
    tensor
        The norm as a float64 tensor without axes, whatever the tensors' types: torch rounds it to their type, in
        which it may be infinite or off by as much as the type's precision. 0.0 where there are no elements.

    Raises
    ------
    TypeError, ValueError
        For a tensor that cannot be read here (on another device, sparse, complex, a DTensor), and for a ``norm_type``
        that is not above 0.
    RuntimeError
        For a norm that is not finite, with ``error_if_nonfinite``; in torch's words.

    Examples
    --------
    >>> import torch
    >>> from steelyard.torch import get_total_norm
    >>> get_total_norm([torch.tensor([3.0, 0.0]), torch.tensor([[4.0]])])
    tensor(5., dtype=torch.float64)

    Notes
    -----
    torch adds the squares of float32 values in eight float32 sums: its norm of 1e8 values is 1 % too small, that of
    values from 1.8e19 on infinite, and that of values of 1e-25 zero. See :func:`steelyard.global_norm`.
    """
    order = float(norm_type)
    arrays = []
    for i, tensor in enumerate(_listed(tensors)):
        _check(tensor, f"tensors[{i}]")
        own = _in_memory_order(tensor)
        arrays.append(tensor.detach().contiguous().view(-1) if own is None else own)
    norm = global_norm(arrays, order, nonfinite="propagate")
    if error_if_nonfinite:
        _refuse(norm, order)
    return _as_tensor(norm)


@standard_mode
def clip_grad_norm_(
    parameters: Tensors,
    max_norm: float,
    norm_type: float = 2.0,
    error_if_nonfinite: bool = False,
    foreach: bool | None = None,
    *,
    nonfinite: NonFinite = "propagate",
) -> torch.Tensor:
    """Scale the gradients in place so that their global norm is at most ``max_norm``; return the norm before.

    ``torch.nn.utils.clip_grad_norm_`` with an exact limit: where ``norm > max_norm`` every gradient is multiplied by
    ``max_norm / norm``, otherwise nothing is written. torch always multiplies by ``min(1, max_norm / (norm + 1e-6))``.

    Parameters
    ----------
    parameters : tensor or iterable of tensors
        Parameters; those without a gradient are passed over. Gradients may be of mixed types and any strides.
    max_norm : float
        The largest norm allowed, at least 0.
    norm_type : float
        The order of the norm, as in :func:`get_total_norm`.
    error_if_nonfinite : bool
        Raise where the norm is NaN or infinite; nothing has been written then.
    foreach : bool, optional
        Taken for torch's signature; it changes nothing.
    nonfinite : {"propagate", "raise", "skip"}
        What happens where elements are NaN or infinite: compute with them, as torch does (a NaN makes every gradient
        NaN; infinities become NaN and all others 0); raise a ValueError that names the first parameter that has one; or
        leave every gradient as it is.

    Returns
    -------
    tensor
        The norm before clipping, as a float64 tensor without axes.

    Raises
    ------
    TypeError, ValueError
        As :func:`get_total_norm`; also for a ``max_norm`` below 0, with which torch turns the gradients around, for
        gradients that share memory (a parameter that is listed twice, which torch scales twice), and for expanded ones.
    RuntimeError
        For a norm that is not finite, with ``error_if_nonfinite``.

    Examples
    --------
    >>> import torch
    >>> from steelyard.torch import clip_grad_norm_
    >>> w = torch.nn.Parameter(torch.zeros(2))
    >>> w.grad = torch.tensor([3.0, 4.0])
    >>> clip_grad_norm_([w], max_norm=1.0)
    tensor(5., dtype=torch.float64)
    >>> w.grad
    tensor([0.6000, 0.8000])
    """
    order = float(norm_type)
    found = _listed(parameters)
    if isinstance(parameters, GeneratorType) and not found:
        warnings.warn("`parameters` is an empty generator, no gradient clipping will occur.", stacklevel=2)
    grads = _Gradients(found)
    known = None
    if error_if_nonfinite:
        known = global_norm(grads.arrays, order, nonfinite="propagate")
        _refuse(known, order)
    norm: float = grads.change(
        lambda arrays: clip_by_global_norm_(arrays, max_norm, order, norm=known, nonfinite=nonfinite)
    )
    return _as_tensor(norm)


@standard_mode
def clip_grads_with_norm_(
    parameters: Tensors, max_norm: float, total_norm: torch.Tensor | float, foreach: bool | None = None
) -> None:
    """Scale the gradients in place by ``max_norm / total_norm`` where ``total_norm`` is larger than ``max_norm``.

    ``torch.nn.utils.clip_grads_with_norm_``, for a norm that was computed before, such as one reduced over processes.

    Parameters
    ----------
    parameters : tensor or iterable of tensors
        As in :func:`clip_grad_norm_`.
    max_norm : float
        The largest norm allowed, at least 0.
    total_norm : tensor or float
        The norm of the gradients, at least 0. A NaN makes every gradient NaN, an infinity makes it 0, as in torch.
    foreach : bool, optional
        Taken for torch's signature; it changes nothing.

    Raises
    ------
    TypeError, ValueError
        As :func:`clip_grad_norm_`, and for a ``total_norm`` below 0.

    Examples
    --------
    >>> import torch
    >>> from steelyard.torch import clip_grads_with_norm_
    >>> w = torch.nn.Parameter(torch.zeros(2))
    >>> w.grad = torch.tensor([3.0, 4.0])
    >>> clip_grads_with_norm_(w, 1.0, torch.tensor(10.0))
    >>> w.grad
    tensor([0.3000, 0.4000])
    """
    norm = float(total_norm)
    if norm < 0.0:
        raise value_error("total_norm", "a number that is at least 0", repr(norm))
    _Gradients(parameters).change(
        lambda arrays: clip_by_global_norm_(arrays, max_norm, norm=norm, nonfinite="propagate")
    )


@standard_mode
def clip_grad_value_(parameters: Tensors, clip_value: float, foreach: bool | None = None) -> None:
    """Move the elements of all gradients into ``[-clip_value, clip_value]``; ``torch.nn.utils.clip_grad_value_``.

    Parameters
    ----------
    parameters : tensor or iterable of tensors
        As in :func:`clip_grad_norm_`.
    clip_value : float
        The largest magnitude allowed, at least 0; it is rounded to the type of each gradient. Infinities are moved too,
        a NaN stays, as in torch.
    foreach : bool, optional
        Taken for torch's signature; it changes nothing.

    Raises
    ------
    TypeError, ValueError
        As :func:`clip_grad_norm_`; also for a ``clip_value`` below 0, with which torch sets every element to it.

    Examples
    --------
    >>> import torch
    >>> from steelyard.torch import clip_grad_value_
    >>> w = torch.nn.Parameter(torch.zeros(2))
    >>> w.grad = torch.tensor([0.5, -3.0])
    >>> clip_grad_value_(w, 1.0)
    >>> w.grad
    tensor([ 0.5000, -1.0000])
    """
    _Gradients(parameters).change(lambda arrays: clip_by_value_(arrays, clip_value, nonfinite="propagate"))

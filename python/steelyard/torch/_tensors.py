"""Which tensors a step can take, and how it reads them: a sentence for each kind that it cannot."""

from __future__ import annotations

from typing import Any

import torch

from ..errors import type_error, value_error

__all__ = [
    "BITS",
    "CODES",
    "DTYPES",
    "PLAIN",
    "check_gradient",
    "check_parameter",
    "dtype_name",
    "empty_like",
    "goes_with",
    "in_layout_of",
    "index_in_c_order",
    "is_dense",
    "is_laid_out_like",
    "is_plain",
    "overlaps_itself",
]

PLAIN = (torch.Tensor, torch.nn.Parameter)
# The types that the core knows, with its names for them.
DTYPES = (
    (torch.float32, "float32"),
    (torch.float64, "float64"),
    (torch.bfloat16, "bfloat16"),
    (torch.float16, "float16"),
)
# Codes of moments in 8 bits.
CODES = (torch.uint8, "uint8")
# The lower halves of float32 numbers: torch can pickle no uint16.
BITS = (torch.int16, "int16")
_TYPES = tuple(dtype for dtype, _ in DTYPES)


def check_parameter(tensor: torch.Tensor, name: str) -> None:
    """Refuse a parameter that cannot be updated here, with what to do instead."""
    _refuse_kind(tensor, name)
    if tensor.dtype not in _TYPES:
        expected = "a tensor of float32, float64, bfloat16 or float16"
        raise type_error(name, expected, f"one of {dtype_name(tensor.dtype)}")
    if overlaps_itself(tensor):
        fix = "call .contiguous() (or .clone()) before making a parameter of it"
        raise value_error(name, "a tensor whose elements each have memory of their own", "an expanded one", fix)


def check_gradient(grad: torch.Tensor, like: torch.Tensor, name: str) -> None:
    """Refuse a gradient that cannot be read here, with what to do instead."""
    _refuse_kind(grad, name)
    if grad.shape != like.shape:
        expected = f"a tensor of shape {tuple(like.shape)}, like the parameter"
        raise value_error(name, expected, f"one of shape {tuple(grad.shape)}")
    if not goes_with(like.dtype, grad.dtype):
        raise type_error(name, f"a gradient for a parameter of {dtype_name(like.dtype)}", dtype_name(grad.dtype))


def goes_with(param: torch.dtype, other: torch.dtype) -> bool:
    """Whether a parameter may have a gradient or a moment of this type.

    Steps are computed in float64 where the parameter is stored so, and in float32 otherwise.
    """
    return other in _TYPES and (other != torch.float64 or param == torch.float64)


def _refuse_kind(tensor: torch.Tensor, name: str) -> None:
    if tensor.layout is not torch.strided:
        fix = f"pass {name}.to_dense(), or use torch.optim.SparseAdam"
        raise type_error(name, "a dense tensor", f"one of layout {dtype_name(tensor.layout)}", fix)
    if tensor.is_quantized:
        raise type_error(name, "a tensor of floats", "a quantized one", f"pass {name}.dequantize()")
    if tensor.device.type == "meta":
        fix = "give the module memory first: module.to_empty(device='cpu'), then initialize it"
        raise type_error(name, "a tensor on the CPU", "one on meta, which has no memory", fix)
    if tensor.device.type != "cpu":
        fix = f"move it with .cpu(), or use torch.optim.AdamW(fused=True) on {tensor.device.type}"
        raise type_error(name, "a tensor on the CPU", f"one on {tensor.device}", fix)
    if tensor.is_complex():
        fix = "optimize torch.view_as_real of it, or use torch.optim.AdamW"
        raise type_error(name, "a tensor of real numbers", f"one of {dtype_name(tensor.dtype)}", fix)


def dtype_name(value: Any) -> str:
    """A type or layout of torch, without the module's name."""
    return str(value).removeprefix("torch.")


def _axes(tensor: torch.Tensor) -> list[tuple[int, int]]:
    """Stride and length of the axes along which there is more than one element, from the smallest stride on."""
    return sorted((stride, n) for n, stride in zip(tensor.shape, tensor.stride(), strict=True) if n > 1)


def is_dense(tensor: torch.Tensor) -> bool:
    """Whether the elements fill their memory without holes, in some order of the axes."""
    expected = 1
    for stride, n in _axes(tensor):
        if stride != expected:
            return False
        expected *= n
    return True


def overlaps_itself(tensor: torch.Tensor) -> bool:
    """Whether two elements may share memory: an axis does not step over what the smaller ones span."""
    span = 1
    for stride, n in _axes(tensor):
        if stride < span:
            return True
        span += stride * (n - 1)
    return False


def is_plain(tensor: Any) -> bool:
    """Whether the core can take the tensor as it is: of no foreign class, and aligned."""
    return type(tensor) in PLAIN and tensor.data_ptr() % tensor.element_size() == 0


def is_laid_out_like(tensor: torch.Tensor, other: torch.Tensor) -> bool:
    """Whether elements at the same place in memory have the same indices; axes of one element do not matter."""
    axes = zip(tensor.shape, tensor.stride(), other.stride(), strict=True)
    return tensor.shape == other.shape and all(n == 1 or a == b for n, a, b in axes)


def empty_like(param: torch.Tensor, dtype: torch.dtype | None = None) -> torch.Tensor:
    """An uninitialised tensor with the parameter's shape, and its layout where that is dense."""
    return torch.empty_like(param.detach(), dtype=dtype, memory_format=torch.preserve_format)


def in_layout_of(param: torch.Tensor, tensor: torch.Tensor, dtype: torch.dtype | None = None) -> torch.Tensor:
    """A copy of the tensor in the layout of the parameter's state."""
    return empty_like(param, dtype or tensor.dtype).copy_(tensor.detach())


def index_in_c_order(param: torch.Tensor, place: int) -> int:
    """The index, in C order, of the element at a place in the memory of a tensor like the parameter."""
    like = torch.empty_like(param, device="meta", memory_format=torch.preserve_format)
    index = 0
    for n, stride in zip(like.shape, like.stride(), strict=True):
        index = index * n + (place // stride % n if n > 1 else 0)
    return index

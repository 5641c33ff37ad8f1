"""Clipping of gradients in place: by their global norm, by the norm of each array or unit, or by value."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache, partial
from math import isfinite
from typing import Any, Literal, get_args

from .. import _core
from .._arrays import floats
from .._mode import Number, standard_mode
from .._options import at_least_zero, choice, number
from ..errors import value_error
from ._tree import Array, matching, paths, refuse_parameter, teller, to_write, unfold
from .norm import order_of, refuse_not_finite
from .options import Convention, NonFinite

__all__ = ["adaptive_clip_", "clip_by_block_norm_", "clip_by_global_norm_", "clip_by_value_"]

Axes = Literal["timm", "optax"]


class _Edit:
    """A tree of arrays to be clipped."""

    def __init__(self, grads: Any, nonfinite: str) -> None:
        self.nonfinite = choice(nonfinite, "nonfinite", get_args(NonFinite))
        self.outline, self.values = unfold(grads, "grads", written=True)
        self.places = cache(lambda: paths(self.outline))  # written out only where one is needed

    def name(self, index: int) -> str:
        return f"grads{self.places()[index]}"

    def array(self, index: int) -> Array:
        value, name = self.values[index], self.name(index)
        refuse_parameter(value, name)
        return to_write(value, name)

    def clip(self, clip: Callable[..., Any], **options: Any) -> Any:
        """Let ``clip``, a function of the core, change the arrays; return its record."""
        arrays = _core.convert_unreadable(self.values, self.array)
        if "shapes" in options:
            options["shapes"] = options["shapes"](arrays)
        found = clip(
            given=self.values,
            arrays=arrays,
            name=self.name,
            stop_nonfinite=self.nonfinite != "propagate",
            tell=None if arrays is self.values else teller(self.values),
            **options,
        )
        if self.nonfinite == "raise":
            of = "params" if found.get("of_params") else "grads"
            fix = "nothing was written; nonfinite='skip' goes on"
            refuse_not_finite(found, lambda i: f"{of}{self.places()[i]}", fix)
        return found


@standard_mode
def clip_by_global_norm_(
    grads: Any,
    max_norm: float,
    norm_type: float = 2.0,
    *,
    norm: float | None = None,
    nonfinite: NonFinite = "raise",
    convention: Convention | None = None,
) -> float:
    """Scale gradients in place so that their global norm is at most ``max_norm``; return the norm before.

    Where ``norm > max_norm`` every element is multiplied by ``max_norm / norm``; otherwise nothing is written. The
    threshold is exact, without an epsilon: this is optax's convention, while torch always multiplies by
    ``min(1, max_norm / (norm + 1e-6))``. float32 and float64 elements are multiplied in their own type, to which the
    factor is rounded first; bfloat16 and float16 elements are multiplied in float64 and the product is rounded once, to
    nearest, ties to even. The norm after clipping is therefore at most ``max_norm (1 + 2^-52)`` in float64,
    ``max_norm (1 + 2^-23)`` in float32, ``max_norm (1 + 2^-11)`` in float16 and ``max_norm (1 + 2^-8)`` in bfloat16
    (where elements are not subnormal). This also holds where the norm exceeds the range of float64, or where the factor
    is below the range of the element type.

    Parameters
    ----------
    grads : tree of arrays
        float32, float64, bfloat16 or float16, which may be mixed: writable NumPy arrays (bfloat16 of ml_dtypes) or
        torch CPU tensors.
    max_norm : float
        The largest norm allowed, at least 0.
    norm_type : float
        The order of the norm, above 0 or infinity, as in :func:`global_norm`.
    norm : float, optional
        The norm of the gradients, where it is known already: reduced over processes, say. The gradients are then not
        measured.
    nonfinite : {"raise", "skip", "propagate"}
        What happens where elements are NaN or infinite: raise, leave every array as it is, or compute with them. In
        the last case a NaN makes the norm, the factor and every element NaN; infinities without a NaN make the factor
        0, which turns them into NaN and all other elements into 0 (the convention of torch and of :class:`AdamW`). It
        is decided before anything is written.
    convention : {None, "torch"}
        "torch": the norm, the factor and the bits of ``torch.nn.utils.clip_grad_norm_`` on x86-64 with AVX2, on one
        thread, for gradients of one type: a float32 norm in a few serial lanes (which for 1e7 elements is wrong by
        about 4e-4, and overflows) and the factor ``min(1 / (norm + 1e-6) * max_norm, 1)``. For comparisons with runs
        of torch; for norms of order 2 that are measured here.

    Returns
    -------
    float
        The norm before clipping; inf where it exceeds the range of float64.

    Raises
    ------
    TypeError
        For a leaf that is not an array of one of these types, naming its path, and for a torch parameter, because its
        gradient is what should be passed.
    ValueError
        For a negative ``max_norm`` (with which torch turns the gradients around), for NaN or infinities (unless
        another policy is chosen), and for read-only, overlapping or non-contiguous arrays, naming the path. Nothing has
        been written then.

    Examples
    --------
    >>> import numpy as np
    >>> import steelyard as sy
    >>> g = np.array([3.0, 4.0])
    >>> sy.clip_by_global_norm_(g, max_norm=1.0)
    5.0
    >>> g
    array([0.6, 0.8])
    """
    limit = at_least_zero("max_norm", max_norm, infinite=True)
    known, order = None if norm is None else _known(norm, nonfinite), order_of(norm_type)
    torchs = convention is not None and choice(convention, "convention", get_args(Convention)) == "torch"
    if torchs and (known is not None or order != 2.0):
        got = f"norm_type={order:g}" if known is None else f"norm={known:g}"
        raise value_error(
            "convention", "None with a norm that is given or of another order than 2", f"'torch' with {got}"
        )
    options = {"max_norm": limit, "norm_type": order, "norm": known, "torch": torchs}
    found = _Edit(grads, nonfinite).clip(_core.clip_in_place, **options)
    return Number(found["norm"])


def _known(norm: Any, nonfinite: str) -> float | None:
    """A norm that the caller has computed."""
    found = number(norm, "norm")
    if found < 0.0 or (nonfinite != "propagate" and not isfinite(found)):
        fix = "" if found < 0.0 else "nonfinite='propagate' goes on"
        raise value_error("norm", "a finite number that is at least 0", repr(found), fix)
    return found


@standard_mode
def clip_by_block_norm_(grads: Any, max_norm: float, norm_type: float = 2.0, *, nonfinite: NonFinite = "raise") -> int:
    """Scale each array in place so that its own norm is at most ``max_norm``; return how many arrays were scaled.

    Each array is clipped by the rule of :func:`clip_by_global_norm_`, with its own norm in the place of the global one.
    The direction of the whole gradient changes, other than with a global norm.

    Parameters
    ----------
    grads : tree of arrays
        As in :func:`clip_by_global_norm_`.
    max_norm : float
        The largest norm allowed for each array, at least 0.
    norm_type : float
        The order of the norm, above 0 or infinity, as in :func:`global_norm`.
    nonfinite : {"raise", "skip", "propagate"}
        As in :func:`clip_by_global_norm_`. With ``"propagate"``, only arrays that have NaN or infinities are affected
        by them.

    Returns
    -------
    int
        The number of arrays that were scaled.

    Raises
    ------
    TypeError, ValueError
        As :func:`clip_by_global_norm_`.

    Examples
    --------
    >>> import numpy as np
    >>> import steelyard as sy
    >>> grads = {"w": np.array([3.0, 4.0]), "b": np.array([0.5])}
    >>> sy.optim.clip_by_block_norm_(grads, max_norm=1.0)
    1
    >>> grads
    {'w': array([0.6, 0.8]), 'b': array([0.5])}
    """
    limit = at_least_zero("max_norm", max_norm, infinite=True)
    found = _Edit(grads, nonfinite).clip(_core.clip_each_in_place, max_norm=limit, norm_type=order_of(norm_type))
    clipped: int = found["clipped"]
    return clipped


@standard_mode
def clip_by_value_(grads: Any, clip_value: float, *, nonfinite: NonFinite = "raise") -> int:
    """Move every element above ``clip_value`` to it and every one below ``-clip_value`` to that; return how many.

    Parameters
    ----------
    grads : tree of arrays
        As in :func:`clip_by_global_norm_`.
    clip_value : float
        The largest magnitude allowed, at least 0. It is rounded to the type of each array, to nearest, as torch and
        NumPy do.
    nonfinite : {"raise", "skip", "propagate"}
        As in :func:`clip_by_global_norm_`. With ``"propagate"``, infinities become ``clip_value`` with their sign, and
        a NaN stays (as in torch's ``clip_grad_value_``).

    Returns
    -------
    int
        The number of elements that were moved.

    Raises
    ------
    TypeError, ValueError
        As :func:`clip_by_global_norm_`; also for a negative ``clip_value``, with which torch sets every element to it.

    Examples
    --------
    >>> import numpy as np
    >>> import steelyard as sy
    >>> g = np.array([0.5, -3.0])
    >>> sy.optim.clip_by_value_(g, 1.0)
    1
    >>> g
    array([ 0.5, -1. ])
    """
    limit = at_least_zero("clip_value", clip_value, infinite=True)
    clipped: int = _Edit(grads, nonfinite).clip(_core.clamp_in_place, limit=limit)["clipped"]
    return clipped


@standard_mode
def adaptive_clip_(
    grads: Any,
    params: Any,
    clip_factor: float = 0.01,
    eps: float = 1e-3,
    *,
    axes: Axes = "timm",
    nonfinite: NonFinite = "raise",
) -> int:
    """Clip each unit of the gradients to a share of the norm of the parameter's unit (AGC); return how many units were.

    With ``||.||`` the Euclidean norm of a unit, ``g`` a unit of the gradient and ``w`` the same unit of the parameter::

        limit = clip_factor max(||w||, eps)
        g <- g limit / ||g||    where ||g|| > limit

    Parameters
    ----------
    grads, params : trees of arrays
        The gradients, which are scaled in place, and the parameters, in the same structure and shapes, which are only
        read. Their types may differ.
    clip_factor : float
        The share, at least 0.
    eps : float
        The least norm of a parameter's unit that counts, so that units of zeros can grow; at least 0.
    axes : {"timm", "optax"}
        What a unit is. ``"timm"``: one index of the first axis, for weights stored as torch does, ``[out, in, ...]``.
        ``"optax"``: one index of the axes that its code keeps, for weights stored as ``[in, out]``, ``[in, heads,
        dim]``, ``[height, width, in, out]`` or ``[depth, height, width, in, out]``: all but the first of two or three
        axes, the last of four or five. An array of one axis is one unit, also one of zero axes, and for ``"optax"``
        one that has a single axis longer than 1.
    nonfinite : {"raise", "skip", "propagate"}
        As in :func:`clip_by_global_norm_`, for gradients and parameters. With ``"propagate"``, only units that have
        NaN or infinities are affected by them.

    Returns
    -------
    int
        The number of units that were scaled.

    Raises
    ------
    TypeError, ValueError
        As :func:`clip_by_global_norm_`, and for a parameter whose shape is not that of its gradient, or that has more
        than five axes with ``"optax"``.

    Examples
    --------
    >>> import numpy as np
    >>> import steelyard as sy
    >>> w, g = np.array([[3.0, 4.0], [0.0, 0.0]]), np.array([[0.3, 0.4], [0.0, 1e-6]])
    >>> sy.optim.adaptive_clip_(g, w)
    1
    >>> g
    array([[3.e-02, 4.e-02],
           [0.e+00, 1.e-06]])

    References
    ----------
    Brock, De, Smith and Simonyan, "High-Performance Large-Scale Image Recognition Without Normalization", 2021.
    timm (``adaptive_clip_grad``) and optax (``adaptive_grad_clip``) divide by ``max(||g||, 1e-6)``; here a norm below
    1e-6 is clipped exactly too. optax documents axes 0 to 2 as one unit for three axes; its code reduces axis 0.
    """
    share, least = at_least_zero("clip_factor", clip_factor), at_least_zero("eps", eps)
    choice(axes, "axes", get_args(Axes))
    edit = _Edit(grads, nonfinite)
    weights = matching(params, edit.outline, "params")

    def weight(i: int) -> Array:
        return floats(weights[i], f"params{edit.places()[i]}", weights=True)

    # Converted before the gradients are looked at: conversion runs Python code, which may move arrays.
    read = _core.convert_unreadable(weights, weight)

    def shapes(arrays: tuple[Array, ...]) -> list[tuple[int, int, bool]]:
        for i, (array, like) in enumerate(zip(read, arrays, strict=True)):
            if array.shape != like.shape:
                got, expected = f"shape {array.shape}", f"shape {like.shape}, like the gradient"
                raise value_error(f"params{edit.places()[i]}", expected, got)
        return [_units(array.shape, array.size, axes, partial(edit.name, i)) for i, array in enumerate(arrays)]

    clipped: int = edit.clip(_core.clip_units_in_place, params=read, shapes=shapes, clip_factor=share, eps=least)[
        "clipped"
    ]
    return clipped


def _units(shape: tuple[int, ...], size: int, axes: Axes, name: Callable[[], str]) -> tuple[int, int, bool]:
    """The array as a matrix: its rows, its columns, and whether the units are its columns."""
    longer = len(shape) if axes == "timm" else sum(n > 1 for n in shape)
    if longer <= 1 or size == 0:
        return 1, size, False
    if axes == "timm":
        return shape[0], size // shape[0], False
    if len(shape) > 5:
        raise value_error(name(), "at most five axes, as axes='optax' asks for", f"shape {shape}")
    columns = 1
    for n in shape[1 if len(shape) <= 3 else -1 :]:
        columns *= n
    return size // columns, columns, True

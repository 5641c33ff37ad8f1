"""Norms of gradients: of all of them together, and of each."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from typing import Any, Literal, Self, overload

from .. import _core
from .._mode import Number, standard_mode, standard_mode_methods
from .._options import choice, flag, number
from .._state import State
from ..errors import value_error
from ._tree import Array, all_to_read, paths, unfold

__all__ = ["GlobalNormState", "NormInfo", "global_norm"]

Policy = Literal["raise", "propagate"]


@standard_mode_methods
@dataclass(frozen=True)
class NormInfo:
    """The norms of arrays, as :func:`global_norm` returns them with ``detail=True``.

    Attributes
    ----------
    norm : float
        The norm of all elements together.
    norms : array of float64
        The norm of each array, in the order of ``paths``.
    paths : tuple of str
        The path of each array.
    nonfinite : int
        How many elements are NaN or infinite.
    first_nonfinite : str or None
        The path of the first array that has such an element.
    first_element : int or None
        The index of the first such element in that array, counted in C order.

    Examples
    --------
    >>> import numpy as np, steelyard as sy
    >>> grads = {"w": np.array([3.0, np.inf]), "b": np.array([4.0])}
    >>> info = sy.global_norm(grads, nonfinite="propagate", detail=True)
    >>> info.norm, info.norms, info.first_nonfinite, info.first_element
    (inf, array([inf,  4.]), 'grads["w"]', 1)
    """

    norm: float
    norms: Array
    paths: tuple[str, ...]
    nonfinite: int = 0
    first_nonfinite: str | None = None
    first_element: int | None = None


def order_of(norm_type: Any) -> float:
    """Return the order of a norm, checked."""
    order = number(norm_type, "norm_type")
    if not order > 0.0:
        raise value_error("norm_type", "a number above 0, or infinity", repr(order), "below 1 it is not a norm either")
    return order


def refuse_not_finite(found: _core._NonFinite, name: Callable[[int], str], fix: str = "") -> None:
    """Raise where elements are not finite; ``name`` returns what a message calls an array."""
    if found["first"] is not None:
        got = f"{found['nonfinite']} NaN or infinite, the first at element {found['element']}"
        raise value_error(name(found["first"]), "finite values", got, fix)


class _Tree:
    """The arrays of a tree, and their names."""

    def __init__(self, grads: Any) -> None:
        self.outline, values = unfold(grads, "grads")
        self.names = cache(lambda: [f"grads{path}" for path in paths(self.outline)])  # only where one is needed
        self.arrays = all_to_read(values, self.name)

    def name(self, index: int) -> str:
        return self.names()[index]


@overload
def global_norm(
    grads: Any, norm_type: float = 2.0, *, nonfinite: Policy = "raise", detail: Literal[False] = False
) -> float: ...
@overload
def global_norm(
    grads: Any, norm_type: float = 2.0, *, nonfinite: Policy = "raise", detail: Literal[True]
) -> NormInfo: ...
@standard_mode
def global_norm(
    grads: Any, norm_type: float = 2.0, *, nonfinite: Policy = "raise", detail: bool = False
) -> float | NormInfo:
    """Return the norm of all elements of all arrays, ``(sum |x|^p)^(1/p)`` with ``p = norm_type``.

    ``p = 2`` is the Euclidean norm, ``p = inf`` the largest magnitude, which is exact. The relative error is at most
    1e-12 for p = 1 and 2 and ``1e-12 / min(p, 1)`` for any other p, for 1e8 elements. This also holds where float32
    values are as large as 1e20 or as small as 1e-25, and where powers of float64 values would overflow. The bits do not
    depend on the number of threads.

    Parameters
    ----------
    grads : tree of arrays
        float32, float64, bfloat16 or float16; NumPy arrays, torch CPU tensors, JAX arrays; only read.
    norm_type : float
        The order p, above 0, or infinity. (Between 0 and 1 the triangle inequality does not hold.)
    nonfinite : {"raise", "propagate"}
        Raise for NaN and infinities, naming the first array that has one, or return a norm of NaN or inf: NaN where any
        element is a NaN, else infinity.
    detail : bool
        Return the norm of each array too, and which elements are not finite; from the same pass.

    Returns
    -------
    float or NormInfo
        The norm, at least 0; 0.0 where there are no elements.

    Raises
    ------
    TypeError
        For a leaf that is not an array of floats, naming its path, and for a torch parameter, because its gradient is
        what should be passed.
    ValueError
        For NaN and infinities (unless they propagate), with the path of the first array that has one, and for a
        ``norm_type`` that is not above 0.

    Examples
    --------
    >>> import numpy as np
    >>> import steelyard as sy
    >>> grads = {"w": np.array([3.0, 12.0]), "b": np.array([-4.0])}
    >>> sy.global_norm(grads), sy.global_norm(grads, 1), sy.global_norm(grads, np.inf)
    (13.0, 19.0, 12.0)
    >>> sy.global_norm(grads, np.inf, detail=True).norms
    array([12.,  4.])

    Notes
    -----
    torch's ``clip_grad_norm_`` and ``get_total_norm`` add the squares of float32 values in eight float32 sums. Their
    result is 1 % too small for 1e8 elements, inf for values of 1.8e19 and more, and 0 for values of 1e-25. They also
    take orders of 0 and below; these are refused here, since nothing can be clipped by them.
    """
    choice(nonfinite, "nonfinite", ("raise", "propagate"))
    detailed = flag(detail, "detail")
    order = order_of(norm_type)
    tree = _Tree(grads)
    found = _core.global_norms(tree.arrays, norm_type=order)
    if nonfinite == "raise":
        refuse_not_finite(found, tree.name, "nonfinite='propagate' lets the norm be NaN or infinite")
    if not detailed:
        return Number(found["norm"])
    first = found["first"]
    return NormInfo(
        norm=found["norm"],
        norms=found["each"],
        paths=tuple(paths(tree.outline)),
        nonfinite=found["nonfinite"],
        first_nonfinite=None if first is None else tree.name(first),
        first_element=found["element"],
    )


@standard_mode_methods
class GlobalNormState(State):
    """The global norm of arrays that are spread over batches, shards or ranks.

    The norm is ``sqrt(sum x^2)`` over all elements of all updates. The sum of squares of each update is a float64, and
    these are added exactly, as integers, so that any order of updates and merges gives the same bits. Splitting the
    arrays of one update into several updates, however, may change the last bit.

    Examples
    --------
    >>> import numpy as np
    >>> import steelyard as sy
    >>> a, b = sy.optim.GlobalNormState(), sy.optim.GlobalNormState()
    >>> (a.update(np.array([3.0])) + b.update(np.array([4.0]))).compute()
    5.0
    """

    _CORE = _core.GlobalNormTotals

    def _options(self) -> dict[str, Any]:
        return {}

    def update(self, grads: Any) -> Self:
        """Add the squares of one tree of arrays, as :func:`global_norm` takes it; returns self."""
        tree = _Tree(grads)
        found = _core.sum_of_squares(tree.arrays)
        refuse_not_finite(found, tree.name)
        self._totals.add(found["sum"], found["exponent"])
        return self

    def compute(self) -> float:
        """Return the norm: the square root of the exact total, rounded once."""
        return Number(self._totals.norm())

    def __repr__(self) -> str:
        return f"<GlobalNormState norm {self.compute():.6g}>"

"""The global norm of gradients, and clipping by it."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import Any, Literal, Self, get_args

from .. import _core
from .._mode import Number, standard_mode, standard_mode_methods
from .._options import at_least_zero, choice
from .._state import State
from ..errors import value_error
from ._tree import Array, all_to_read, paths, refuse_parameter, teller, to_write, unfold
from .options import NonFinite

__all__ = ["GlobalNormState", "clip_by_global_norm_", "global_norm"]


def _measured_tree(grads: Any, nonfinite: str, fix: str = "") -> _core._SumOfSquares:
    """The sum of squares as a number times a power of four, and the norm."""
    outline, values = unfold(grads, "grads")
    names = cache(lambda: [f"grads{path}" for path in paths(outline)])  # written out only where one is needed
    arrays = all_to_read(values, lambda i: names()[i])
    found = _core.sum_of_squares(arrays)
    if nonfinite == "raise":
        _refuse_not_finite(found, names, fix)
    return found


def _refuse_not_finite(found: _core._Measured, names: Callable[[], list[str]], fix: str) -> None:
    if found["first"] is not None:
        raise value_error(names()[found["first"]], "finite values", f"{found['nonfinite']} NaN or infinite", fix)


@standard_mode
def global_norm(grads: Any, *, nonfinite: Literal["raise", "propagate"] = "raise") -> float:
    """Return the Euclidean norm of all elements of all arrays, ``sqrt(sum x^2)``.

    The relative error is at most 1e-12 for 1e8 elements, also where float32 values are as large as 1e20 or as small as
    1e-25, and the bits do not depend on the number of threads.

    Parameters
    ----------
    grads : tree of arrays
        float32, float64, bfloat16 or float16; NumPy arrays, torch CPU tensors, JAX arrays; only read.
    nonfinite : {"raise", "propagate"}
        Raise for NaN and infinities, naming the first array that has one, or return a norm of NaN or inf.

    Returns
    -------
    float
        The norm, at least 0; 0.0 where there are no elements.

    Raises
    ------
    TypeError
        For a leaf that is not an array of floats, naming its path, and for a torch parameter, because its gradient is
        what should be passed.
    ValueError
        For NaN and infinities (unless they propagate), with the path of the first array that has one.

    Examples
    --------
    >>> import numpy as np
    >>> import steelyard as sy
    >>> sy.global_norm({"w": np.array([3.0]), "b": np.array([4.0])})
    5.0

    Notes
    -----
    torch's ``clip_grad_norm_`` and ``get_total_norm`` add the squares of float32 values in eight float32 sums. Their
    result is 1 % too small for 1e8 elements, inf for values of 1.8e19 and more, and 0 for values of 1e-25.
    """
    choice(nonfinite, "nonfinite", ("raise", "propagate"))
    return Number(_measured_tree(grads, nonfinite, "nonfinite='propagate' lets the norm be NaN or infinite")["norm"])


@standard_mode
def clip_by_global_norm_(grads: Any, max_norm: float, *, nonfinite: NonFinite = "raise") -> float:
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
    nonfinite : {"raise", "skip", "propagate"}
        What happens where elements are NaN or infinite: raise, leave every array as it is, or compute with them. In
        the last case a NaN makes the norm, the factor and every element NaN; infinities without a NaN make the factor
        0, which turns them into NaN and all other elements into 0 (the convention of torch and of :class:`AdamW`). It
        is decided before anything is written.

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
        For a negative ``max_norm``, for NaN or infinities (unless another policy is chosen), and for read-only,
        overlapping or non-contiguous arrays, naming the path. Nothing has been written then.

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
    choice(nonfinite, "nonfinite", get_args(NonFinite))
    outline, values = unfold(grads, "grads", written=True)
    names = cache(lambda: [f"grads{path}" for path in paths(outline)])  # written out only where one is needed

    def array(i: int) -> Array:
        refuse_parameter(values[i], names()[i])
        return to_write(values[i], names()[i])

    arrays = _core.convert_unreadable(values, array)
    stop = nonfinite != "propagate"
    tell = None if arrays is values else teller(values)
    found = _core.clip_in_place(
        given=values, arrays=arrays, name=lambda i: names()[i], max_norm=limit, stop_nonfinite=stop, tell=tell
    )
    if nonfinite == "raise":
        _refuse_not_finite(found, names, "nothing was written; nonfinite='skip' goes on")
    return Number(found["norm"])


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
        found = _measured_tree(grads, "raise")
        self._totals.add(found["sum"], found["exponent"])
        return self

    def compute(self) -> float:
        """Return the norm: the square root of the exact total, rounded once."""
        return Number(self._totals.norm())

    def __repr__(self) -> str:
        return f"<GlobalNormState norm {self.compute():.6g}>"

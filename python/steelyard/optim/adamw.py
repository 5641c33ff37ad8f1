"""AdamW over a tree of arrays, updated in place."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, get_args

import numpy as np
from numpy.typing import NDArray

from .. import _core
from .._options import at_least_zero, choice, flag, number, whole
from ..errors import shown, type_error, value_error
from ._tree import all_to_read, leaves, matching, outline, tensors, to_write, wrote

__all__ = ["AdamW", "StepInfo", "adamw_"]

Array = NDArray[Any]
NonFinite = Literal["raise", "skip", "propagate"]
LearningRate = float | Callable[[int], float]


@dataclass(frozen=True)
class StepInfo:
    """What one step did.

    Attributes
    ----------
    step : int
        Updates made so far, this one included.
    lr : float
        The learning rate of this step.
    grad_norm : float or None
        The global norm of the gradients before clipping; ``None`` where they were not looked at
        (``nonfinite="propagate"`` without ``max_norm``).
    clip_factor : float
        What the gradients were multiplied by: 1.0 where nothing was clipped.
    nonfinite : int
        Gradient elements that are NaN or infinite.
    first_nonfinite : str or None
        The path of the first gradient that has one.
    skipped : bool
        Whether the update was left out because of them (``nonfinite="skip"``).

    Examples
    --------
    >>> import numpy as np, steelyard as sy
    >>> opt = sy.AdamW({"w": np.ones(2)}, nonfinite="skip")
    >>> info = opt.step({"w": np.array([1.0, np.nan])})
    >>> info.skipped, info.nonfinite, info.first_nonfinite
    (True, 1, 'grads["w"]')
    """

    step: int
    lr: float
    grad_norm: float | None
    clip_factor: float
    nonfinite: int = 0
    first_nonfinite: str | None = None
    skipped: bool = False


@dataclass(frozen=True)
class _Settings:
    """The hyperparameters, checked."""

    betas: tuple[float, float]
    eps: float
    weight_decay: float
    max_norm: float | None
    nonfinite: NonFinite
    maximize: bool

    def __post_init__(self) -> None:
        if not (isinstance(self.betas, tuple | list) and len(self.betas) == 2):
            raise type_error("betas", "two numbers", shown(self.betas))
        object.__setattr__(self, "betas", tuple(number(b, f"betas[{i}]") for i, b in enumerate(self.betas)))
        for i, beta in enumerate(self.betas):
            if not 0.0 <= beta < 1.0:
                raise value_error(f"betas[{i}]", "at least 0 and below 1", repr(beta))
        for name in ("eps", "weight_decay"):
            object.__setattr__(self, name, at_least_zero(name, getattr(self, name)))
        if self.max_norm is not None:
            object.__setattr__(self, "max_norm", at_least_zero("max_norm", self.max_norm, infinite=True))
        choice(self.nonfinite, "nonfinite", get_args(NonFinite))
        object.__setattr__(self, "maximize", flag(self.maximize, "maximize"))

    def update(
        self, plan: _core.AdamWPlan, paths: list[str], grads: tuple[Array, ...], step: int, lr: float
    ) -> StepInfo:
        """Run one step of the core and say what it did."""
        norm, factor, bad, first, applied = plan.step(
            grads,
            step=step,
            lr=lr,
            beta1=self.betas[0],
            beta2=self.betas[1],
            eps=self.eps,
            weight_decay=self.weight_decay,
            maximize=self.maximize,
            max_norm=self.max_norm,
            scan=self.nonfinite != "propagate" or self.max_norm is not None,
            stop_nonfinite=self.nonfinite != "propagate",
        )
        where = None if first is None else f"grads{paths[first]}"
        if not applied and self.nonfinite == "raise":
            raise value_error(
                str(where),
                "finite gradients",
                f"{bad} NaN or infinite",
                "nothing was written; nonfinite='skip' goes on",
            )
        return StepInfo(step if applied else step - 1, lr, norm, factor, bad, where, not applied)


class AdamW:
    r"""AdamW with decoupled weight decay and optional clipping, in place, in one pass over memory.

    With ``t`` the number of this step (the first is 1), ``g`` the gradient times the clip factor::

        p <- p (1 - lr weight_decay)
        m <- m + (1 - beta1) (g - m)
        v <- beta2 v + (1 - beta2) g^2
        p <- p - lr / (1 - beta1^t)  m / (sqrt(v) / sqrt(1 - beta2^t) + eps)

    and, with ``max_norm``, the clip factor ``min(1, max_norm / ||grads||)``, the norm taken over all arrays
    together and applied in registers: gradients are only read. The clip is exact: up to ``max_norm`` nothing
    is multiplied.

    Each element gets the bits of ``torch.optim.AdamW(fused=True)``, but for the last few elements of a
    tensor, where torch changes its own rule; here one rule holds wherever an element stands. As there, the
    decay ``p * (1 - lr weight_decay)`` is rounded to the element type, so in float32 a decay below 6e-8 a
    step is lost (lr = 2e-6 with weight_decay = 0.01, for example); use float64 parameters where that counts.

    Parameters
    ----------
    params : tree of arrays
        A writable float32 or float64 array, or dictionaries, lists and tuples of them; NumPy arrays or torch
        CPU tensors (which are detached, and whose version counter is raised so that a backward pass that
        needed the old value raises). C-contiguous, none overlapping another.
    lr : float or callable
        The learning rate, or a function of the number of updates already made, such as
        :func:`steelyard.schedules.cosine`.
    betas : (float, float)
        Decay of the first and the second moment, in [0, 1).
    eps : float
        Added to the denominator, outside the root.
    weight_decay : float
        Decoupled; the parameter shrinks by ``lr * weight_decay`` a step.
    max_norm : float, optional
        Clip the gradients to this global norm; at least 0.
    nonfinite : {"raise", "skip", "propagate"}
        What NaN or infinite gradients do, decided before anything is written: raise, leave the step out, or
        take part. The gradients are not scanned for ``"propagate"`` without ``max_norm``.
    maximize : bool
        Go up the gradient.
    amsgrad : bool
        Divide by the largest second moment so far.

    Raises
    ------
    TypeError, ValueError
        In one sentence with the path of the array, such as ``params["layers"][3]["w"]``; nothing is written.

    Examples
    --------
    >>> import numpy as np
    >>> import steelyard as sy
    >>> params = {"w": np.ones(3, np.float32), "b": np.zeros(1, np.float32)}
    >>> opt = sy.AdamW(params, lr=0.1, max_norm=1.0)
    >>> info = opt.step({"w": np.full(3, 2.0, np.float32), "b": np.ones(1, np.float32)})
    >>> info.step, round(info.grad_norm, 4), round(info.clip_factor, 4)
    (1, 3.6056, 0.2774)
    >>> params["w"].round(3)
    array([0.899, 0.899, 0.899], dtype=float32)

    References
    ----------
    Loshchilov and Hutter, "Decoupled Weight Decay Regularization", ICLR 2019. Defaults are torch's.
    """

    def __init__(
        self,
        params: Any,
        lr: LearningRate = 1e-3,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 0.01,
        *,
        max_norm: float | None = None,
        nonfinite: NonFinite = "raise",
        maximize: bool = False,
        amsgrad: bool = False,
    ) -> None:
        self._settings = _Settings(betas, eps, weight_decay, max_norm, nonfinite, maximize)
        self.lr: LearningRate = lr if callable(lr) else at_least_zero("lr", lr)
        self._outline = outline(params)
        self._step = 0
        found = list(leaves(params))
        if not found:
            raise value_error("params", "at least one array", "none")
        self._paths = [leaf.path for leaf in found]
        self._keys = [leaf.key for leaf in found]
        self._params = [leaf.value for leaf in found]
        if len(set(self._keys)) < len(self._keys):
            twice = next(key for key in self._keys if self._keys.count(key) > 1)
            raise value_error("params", "paths that stay apart in a saved state", f"{twice!r} twice")
        arrays = self._arrays()
        _core.check_writable(arrays, [f"params{path}" for path in self._paths])
        names = ["exp_avg", "exp_avg_sq"] + (["max_exp_avg_sq"] if flag(amsgrad, "amsgrad") else [])
        self._state = {name: _fixed([np.zeros_like(array) for array in arrays]) for name in names}
        self._plan = _core.AdamWPlan(self._paths, arrays, *map(_fixed, self._state.values()))
        self._tensors = tensors(self._params)

    def _arrays(self) -> list[Array]:
        """The memory of the parameters."""
        return [to_write(param, f"params{path}") for param, path in zip(self._params, self._paths, strict=True)]

    def __getstate__(self) -> dict[str, Any]:
        """Everything but the plan, which holds addresses."""
        return {name: value for name, value in self.__dict__.items() if name != "_plan"}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
        self._state = {name: _fixed(arrays) for name, arrays in self._state.items()}
        self._plan = _core.AdamWPlan(self._paths, self._arrays(), *map(_fixed, self._state.values()))

    def step(self, grads: Any) -> StepInfo:
        """Update every parameter once; ``grads`` has the containers of ``params`` and is only read.

        Returns
        -------
        StepInfo
            Step number, learning rate, gradient norm, clip factor, what was not finite.
        """
        given = matching(grads, self._outline, "grads")
        arrays = all_to_read(given, lambda i: f"grads{self._paths[i]}")
        lr = at_least_zero("lr", self.lr(self._step) if callable(self.lr) else self.lr)
        info = self._settings.update(self._plan, self._paths, arrays, self._step + 1, lr)
        self._step = info.step
        if not info.skipped:
            wrote(self._tensors)
        return info

    def state_dict(self) -> dict[str, Array]:
        """Return step and moments as flat arrays that ``numpy.savez`` takes: ``"exp_avg/layers/0/w"``.

        The moments are the optimizer's own arrays, not copies: save them, or copy them, before the next step. A step
        writes them whatever their ``writeable`` flag says.
        """
        flat: dict[str, Array] = {"step": np.array(self._step, np.int64), "numerics": np.array(_core.numerics())}
        for name, arrays in self._state.items():
            flat |= {f"{name}/{key}" if key else name: array for key, array in zip(self._keys, arrays, strict=True)}
        return flat

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Copy a saved state in, so that training goes on bit for bit as if never interrupted.

        Parameters
        ----------
        state : mapping
            What :meth:`state_dict` returned, or ``numpy.load`` of what was saved from it.

        Raises
        ------
        ValueError
            Where a key is lacking or unknown, or an array has another dtype or shape; nothing is changed.
        """
        if not isinstance(state, Mapping):
            raise type_error("state", "a mapping, as state_dict() returns", shown(state))
        own = self.state_dict()
        lacking = [key for key in own if key not in state and key != "numerics"]
        extra = [key for key in state if key not in own]
        if lacking or extra:
            got = ", ".join([f"no {key!r}" for key in lacking[:3]] + [f"also {key!r}" for key in extra[:3]])
            raise value_error("state", "the keys of this optimizer's state_dict()", got)
        loaded = {key: np.asarray(state[key]) for key in own if key in state}
        for key, array in own.items():
            if key in ("step", "numerics"):
                continue
            if loaded[key].dtype != array.dtype or loaded[key].shape != array.shape:
                got = f"{loaded[key].dtype} of shape {loaded[key].shape}"
                raise value_error(f"state[{key!r}]", f"{array.dtype} of shape {array.shape}", got)
            if not array.flags.writeable:
                raise value_error(f"state_dict()[{key!r}]", "a writeable array, to load into", "a read-only one")
        step = loaded["step"]
        if step.shape != () or step.dtype.kind not in "iu" or int(step) < 0:
            raise value_error("state['step']", "one whole number, at least 0", repr(step))
        for key, array in own.items():
            if key not in ("step", "numerics"):
                np.copyto(array, loaded[key])
        self._step = int(step)

    def __repr__(self) -> str:
        s = self._settings
        lr = self.lr if not isinstance(self.lr, float) else f"{self.lr:g}"
        return (
            f"AdamW({len(self._paths)} arrays, step {self._step}, lr={lr}, betas={s.betas}, eps={s.eps:g}, "
            f"weight_decay={s.weight_decay:g}, max_norm={s.max_norm})"
        )


def _fixed(arrays: list[Array]) -> list[Array]:
    """Views: the core remembers where moments lie, and NumPy resizes no view, nor what a view looks at.

    Unless it is told not to check: with ``refcheck=False`` every view of an array is lost.
    """
    return [array[...] for array in arrays]


def adamw_(
    params: Any,
    grads: Any,
    exp_avg: Any,
    exp_avg_sq: Any,
    *,
    step: int,
    max_exp_avg_sq: Any = None,
    lr: float = 1e-3,
    betas: tuple[float, float] = (0.9, 0.999),
    eps: float = 1e-8,
    weight_decay: float = 0.01,
    max_norm: float | None = None,
    nonfinite: NonFinite = "raise",
    maximize: bool = False,
) -> StepInfo:
    """Do one AdamW step on arrays that the caller keeps, in place: the formula of :class:`AdamW`.

    Parameters
    ----------
    params, exp_avg, exp_avg_sq : trees of arrays
        Written; of one structure, as in :class:`AdamW`.
    grads : tree of arrays
        Only read.
    step : int
        The number of this step; the first is 1.
    max_exp_avg_sq : tree of arrays, optional
        Given: amsgrad, and written.
    lr, betas, eps, weight_decay, max_norm, nonfinite, maximize
        As in :class:`AdamW`.

    Returns
    -------
    StepInfo

    Raises
    ------
    TypeError, ValueError
        As :class:`AdamW`, with the path of the array; nothing is written.

    Examples
    --------
    >>> import numpy as np
    >>> import steelyard as sy
    >>> w, m, v = np.ones(2), np.zeros(2), np.zeros(2)
    >>> sy.optim.adamw_(w, np.array([0.5, -0.5]), m, v, step=1, lr=0.1).grad_norm
    0.7071067811865476
    >>> w.round(6)
    array([0.899, 1.099])
    """
    step, rate = whole(step, "step", 1, 2**63 - 1), at_least_zero("lr", lr)
    settings = _Settings(betas, eps, weight_decay, max_norm, nonfinite, maximize)
    found = list(leaves(params))
    paths = [leaf.path for leaf in found]
    like = outline(params)
    roles: dict[str, Sequence[Any]] = {"params": [leaf.value for leaf in found]}
    moments = {"exp_avg": exp_avg, "exp_avg_sq": exp_avg_sq, "max_exp_avg_sq": max_exp_avg_sq}
    for name, tree in moments.items():
        if tree is not None or name != "max_exp_avg_sq":
            roles[name] = matching(tree, like, name)
    arrays = [
        [to_write(value, f"{name}{path}") for value, path in zip(values, paths, strict=True)]
        for name, values in roles.items()
    ]
    # Before the plan remembers where the arrays lie: converting runs Python code, which may move them.
    read = all_to_read(matching(grads, like, "grads"), lambda i: f"grads{paths[i]}")
    plan = _core.AdamWPlan(paths, *arrays)
    info = settings.update(plan, paths, read, step, rate)
    if not info.skipped:
        wrote(tensors([value for values in roles.values() for value in values]))
    return info

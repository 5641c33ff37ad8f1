"""AdamW over a tree of arrays, updated in place."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .. import _core
from .._arrays import floats
from .._mode import standard_mode, standard_mode_methods
from .._options import at_least_zero, flag, whole
from ..errors import shown, type_error, value_error
from ._tree import Outline, all_to_read, all_to_write, keys, matching, paths, teller, to_write, unfold
from .step import LearningRate, NonFinite, Options, StepInfo, info_of

__all__ = ["AdamW", "adamw_"]

Array = NDArray[Any]
_MOMENTS = ("exp_avg", "exp_avg_sq", "max_exp_avg_sq")
# The last step after which another one can be counted.
LAST_STEP = 2**63 - 2


def _option(name: str, doc: str) -> Any:
    """One of the options as an attribute, to be read."""

    def get(self: AdamW) -> Any:
        return getattr(self._plan.options, name)

    def put(self: AdamW, value: Any) -> None:
        raise AttributeError(
            f"{name}: expected when the optimizer is made, not later; got {shown(value)}; make a new one with it, and "
            "load this one's state without its 'options'"
        )

    return property(get, put, doc=doc)


@standard_mode_methods
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
        A writable float32 or float64 array, or dictionaries, lists and (named) tuples of them, or what goes through
        them once, such as ``module.parameters()``; NumPy arrays or torch CPU tensors (which are detached, and whose
        version counter is raised so that a backward pass that needed the old value raises). C-contiguous, none
        overlapping another. Where their memory is, is asked again at each step.
    lr : float or callable
        The learning rate, or a function of the number of updates already made, such as
        :func:`steelyard.schedules.cosine`.
    betas : (float, float)
        Decay of the first and the second moment, in [0, 1).
    eps : float
        Added to the denominator, outside the root; more than 0 in the parameters' type.
    weight_decay : float
        Decoupled; the parameter shrinks by ``lr * weight_decay`` a step.
    max_norm : float, optional
        Clip the gradients to this global norm; at least 0.
    nonfinite : {"raise", "skip", "propagate"}
        What gradients do that are NaN or infinite, or so large that a moment would be infinite, decided before anything
        is written: raise, leave the step out, or take part (as in :func:`clip_by_global_norm_`). The gradients are not
        scanned for ``"propagate"`` without ``max_norm``.
    maximize : bool
        Go up the gradient.
    amsgrad : bool
        Divide by the largest second moment so far.

    Attributes
    ----------
    lr, betas, eps, weight_decay, max_norm, nonfinite, maximize, amsgrad
        The options; ``lr`` can be set.
    step_info : StepInfo or None
        What the last step did.

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

    # No other attribute can be set, and so none be taken for an option.
    __slots__ = ("__weakref__", "_has_float32", "_keys", "_names", "_outline", "_params", "_paths", "_plan")

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
        options = Options(lr, betas, eps, weight_decay, max_norm, nonfinite, maximize)
        found, values = unfold(params, "params", written=True)
        if not values:
            raise value_error("params", "at least one array", "none")
        names = _MOMENTS if flag(amsgrad, "amsgrad") else _MOMENTS[:2]
        self._make(found, values, names, options)

    def _make(
        self,
        found: Outline | None,
        params: tuple[Any, ...],
        names: tuple[str, ...],
        options: Options,
        *,
        steps: int = 0,
        moments: list[list[Array]] | None = None,
    ) -> None:
        """Begin with these parameters, and moments of 0 unless others are given."""
        self._outline, self._params, self._names = found, params, names
        self._paths, self._keys = paths(found), keys(found)
        _refuse_collisions(self._keys)
        self._plan = self._begun(params, options, steps=steps, moments=moments)
        _core.check_eps(options.eps, self._has_float32)

    def _begun(
        self,
        params: tuple[Any, ...],
        options: Options,
        *,
        steps: int = 0,
        moments: list[list[Array]] | None = None,
    ) -> _core.AdamWPlan:
        """Return a plan for these parameters, with moments of 0 unless others are given."""
        arrays = all_to_write(params, lambda row: f"params{self._paths[row]}")
        if moments is None:
            moments = [[np.zeros_like(array) for array in arrays] for _ in self._names]
        self._has_float32 = any(array.dtype == np.float32 for array in arrays)
        tell = teller(params)
        return _core.AdamWPlan(
            paths=self._paths, given=params, params=arrays, moments=moments, steps=steps, options=options, tell=tell
        )

    def _array(self, row: int) -> Array:
        """The memory of a parameter, where it is now."""
        return to_write(self._params[row], f"params{self._paths[row]}")

    @property
    def lr(self) -> LearningRate:
        """The learning rate, or the function that gives it; the one option that can be set."""
        options: Options = self._plan.options
        return options.lr

    @lr.setter
    def lr(self, value: LearningRate) -> None:
        self._plan.options = replace(self._plan.options, lr=value)

    betas = _option("betas", "Decay of the first and the second moment.")
    eps = _option("eps", "Added to the denominator.")
    weight_decay = _option("weight_decay", "The decoupled decay.")
    max_norm = _option("max_norm", "What the global norm of the gradients is clipped to; ``None``: it is not.")
    nonfinite = _option("nonfinite", "What gradients that are not finite do.")
    maximize = _option("maximize", "Whether steps go up the gradient.")

    @property
    def amsgrad(self) -> bool:
        """Whether the largest second moment so far is divided by."""
        return len(self._names) == len(_MOMENTS)

    @property
    def step_info(self) -> StepInfo | None:
        """What the last step did: what :meth:`step` returned, or would have, had not an interrupt come in between."""
        outcome = self._plan.last
        return None if outcome is None else info_of(outcome, self._paths)

    def __getstate__(self) -> dict[str, Any]:
        """Parameters, moments, options and what a subclass has added; not the plan, which holds addresses."""
        return {
            "outline": self._outline, "params": self._params, "names": self._names,
            **self._plan.state(), "attributes": getattr(self, "__dict__", {}),
        }  # fmt: skip

    def __setstate__(self, state: dict[str, Any]) -> None:
        rows = len(state["params"])
        moments = [state["moments"][i * rows : (i + 1) * rows] for i in range(len(state["names"]))]
        self._make(
            state["outline"], state["params"], state["names"], state["options"], steps=state["steps"], moments=moments
        )
        if state["attributes"]:  # of a subclass
            vars(self).update(state["attributes"])

    def step(self, grads: Any) -> StepInfo:
        """Update every parameter once; ``grads`` has the containers of ``params`` and is only read.

        Where the memory of each parameter is, is asked again: a torch tensor whose data were replaced, or moved (by
        ``share_memory_()``, say), is updated where it is now, and one of another shape or type is refused. The update
        and its count are one act, which no signal comes between: where an interrupt keeps this from returning,
        :attr:`step_info` says what was done.

        Returns
        -------
        StepInfo
            Step number, learning rate, gradient norm, clip factor, what was not finite.

        Raises
        ------
        RuntimeError
            Where another thread is inside a step of this optimizer, or was when this process was forked.
        """
        plan = self._plan
        given = matching(grads, self._outline, "grads")
        arrays = all_to_read(given, lambda i: f"grads{self._paths[i]}")
        options: Options = plan.options
        return options.update(plan, self._paths, arrays, self._array)

    def state_dict(self) -> dict[str, Array]:
        """Return what :meth:`load_state_dict` takes, as flat arrays for ``numpy.savez``.

        The number of steps, the options (as JSON; a learning rate that is a function of the caller's own is left out)
        and the ``numerics`` of its updates, then copies of the moments, such as ``"exp_avg/layers/0/w"``: all of one
        moment in time, which later steps do not change.
        """
        state = self._plan.state()
        flat = {
            "step": np.array(state["steps"], np.int64),
            "numerics": np.array(_core.state_numerics()["AdamW"]),
            "options": np.array(state["options"].to_json()),
        }
        return flat | dict(zip(self._moment_keys(), state["moments"], strict=True))

    def _moment_keys(self) -> list[str]:
        return [f"{name}/{key}" if key else name for name in self._names for key in self._keys]

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Copy a saved state in, so that training goes on bit for bit as if never interrupted.

        The options are taken over too, as in torch; set ``opt.lr``, say, afterwards to go on with another one. All of
        it is loaded, or nothing.

        Parameters
        ----------
        state : mapping
            What :meth:`state_dict` returned, or ``numpy.load`` of what was saved from it. Without ``"options"`` the
            optimizer keeps its own.

        Raises
        ------
        TypeError, ValueError
            Where a key is lacking or unknown, an array has another dtype or shape, the bits are of other ``numerics``,
            or no step can have made what is there (a negative second moment, NaN); nothing is changed.
        """
        if not isinstance(state, Mapping):
            raise type_error("state", "a mapping, as state_dict() returns", shown(state))
        wanted = self._moment_keys()
        lacking = [key for key in ("step", *wanted) if key not in state]
        known = {"step", "numerics", "options", *wanted}
        extra = [key for key in state if key not in known]
        if lacking or extra:
            got = ", ".join([f"no {key!r}" for key in lacking[:3]] + [f"also {key!r}" for key in extra[:3]])
            raise value_error("state", "the keys of this optimizer's state_dict()", got)
        steps = whole(np.asarray(state["step"])[()], "state['step']", 0, LAST_STEP)
        self._check_numerics(state)
        options = self._saved_options(state)
        names = [f"state[{key!r}]" for key in wanted]
        moments = tuple(floats(state[key], name, weights=True) for key, name in zip(wanted, names, strict=True))
        plan = self._plan
        if plan.forked:  # a step that has no thread here holds the plan for ever
            plan = self._begun(self._params, plan.options)
        any_value = options.nonfinite == "propagate"
        plan.load(moments, names=names, steps=steps, options=options, any_value=any_value)
        self._plan = plan

    def _check_numerics(self, state: Mapping[str, Any]) -> None:
        if "numerics" not in state:
            return
        found, own = whole(np.asarray(state["numerics"])[()], "state['numerics']", 0), _core.state_numerics()["AdamW"]
        if found != own:
            fix = "other bits would follow; take 'numerics' out of the state to load it all the same"
            raise value_error("state['numerics']", f"{own}, as this version of steelyard has", str(found), fix)

    def _saved_options(self, state: Mapping[str, Any]) -> Options:
        own: Options = self._plan.options
        if "options" not in state:
            return own
        try:
            options = own.with_json(str(np.asarray(state["options"]).item()))
            _core.check_eps(options.eps, self._has_float32)
        except (TypeError, ValueError, RecursionError) as error:
            raise value_error("state['options']", "what state_dict() wrote", f"{error}") from None
        return options

    def __repr__(self) -> str:
        o: Options = self._plan.options
        lr = o.lr if callable(o.lr) else f"{o.lr:g}"
        return (
            f"AdamW({len(self._paths)} arrays, step {self._plan.steps}, lr={lr}, betas={o.betas}, eps={o.eps:g}, "
            f"weight_decay={o.weight_decay:g}, max_norm={o.max_norm})"
        )


def _refuse_collisions(saved: list[str]) -> None:
    """Refuse paths that one saved state could not keep apart: ``numpy.load`` takes the end ".npy" from a name."""
    seen = set(saved)
    if len(seen) < len(saved):
        twice = next(key for key in saved if saved.count(key) > 1)
        raise value_error("params", "paths that stay apart in a saved state", f"{twice!r} twice")
    for key in saved:
        if key.endswith(".npy") and key.removesuffix(".npy") in seen:
            got = f"{key.removesuffix('.npy')!r} and {key!r}"
            raise value_error("params", "paths that numpy.load can tell apart", got, "rename one of them")


@standard_mode
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
    step = whole(step, "step", 1, LAST_STEP + 1)
    options = Options(at_least_zero("lr", lr), betas, eps, weight_decay, max_norm, nonfinite, maximize)
    found, given = unfold(params, "params", written=True)
    places = paths(found)
    roles: dict[str, tuple[Any, ...]] = {"params": given}
    for name, tree in zip(_MOMENTS, (exp_avg, exp_avg_sq, max_exp_avg_sq), strict=True):
        if tree is not None or name != "max_exp_avg_sq":
            roles[name] = matching(tree, found, name)
    arrays, *moments = (_role_to_write(name, values, places) for name, values in roles.items())
    # Before the plan looks at any of them: converting runs Python code, which may move them.
    read = all_to_read(matching(grads, found, "grads"), lambda i: f"grads{places[i]}")
    tell = teller([value for values in roles.values() for value in values])
    plan = _core.AdamWPlan(
        paths=places, given=given, params=arrays, moments=moments, steps=step - 1, options=None, tell=tell
    )
    return options.update(plan, places, read, lambda row: to_write(given[row], f"params{places[row]}"))


def _role_to_write(name: str, values: tuple[Any, ...], places: list[str]) -> tuple[Array, ...]:
    return all_to_write(values, lambda row: f"{name}{places[row]}")

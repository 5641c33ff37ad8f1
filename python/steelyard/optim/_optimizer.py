"""What the optimizers of this room share: parameters in a tree, options, the step, and the state that is saved."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .. import _core
from .._arrays import describe, floats
from .._mode import standard_mode_methods
from .._options import flag, whole
from ..errors import shown, type_error, value_error
from . import _archive
from ._kept import Kept, check_master, fresh, names
from ._saved import made_with, moment_of, read_only, refuse_collisions
from ._tree import Outline, all_that_there_are, all_to_write, keys, matching, paths, teller, to_write, unfold
from .groups import Given, Groups, Leaves, decaying, selected
from .options import Options
from .step import StepInfo, info_of, update

__all__ = ["LAST_STEP", "Optimizer", "option"]

Array = NDArray[Any]
# The last step after which another one can be counted.
LAST_STEP = 2**63 - 2


def checked_detail(value: Any, options: Options) -> bool:
    """Check the option that is not among the others, since it is not saved."""
    detail = flag(value, "detail")
    if detail and getattr(options, "convention", None) is not None:
        raise value_error("detail", "False with convention='torch'", "True", "max_norm gives grad_norm there")
    return detail


def option(name: str, doc: str) -> Any:
    """One of the options as an attribute; what is set is checked, and takes effect at the next step."""

    def get(self: Optimizer) -> Any:
        return getattr(self._plan.options, name)

    def put(self: Optimizer, value: Any) -> None:
        old: Options = self._plan.options
        options = old.changed(**{name: value})
        options.check_kinds(self._float32)
        checked_detail(self._detail, options)
        if options.kept() == old.kept():
            self._plan.options = options
            return
        if self._plan.steps:
            raise AttributeError(
                f"{name}: expected to be set before the first step; got {value} after step {self._plan.steps}, which "
                "kept other moments; make a new optimizer"
            )
        if self._plan.accumulated:
            raise AttributeError(
                f"{name}: expected to be set before accumulate(); got {value} with gradients that wait for a step"
            )
        self._plan = self._begun(self._params, options)

    return property(get, put, doc=doc)


@standard_mode_methods
class Optimizer:
    """A tree of parameters with its moments, updated in place; :class:`AdamW` and the others add their rule."""

    # With slots, setting an unknown attribute raises, so that a misspelt option is noticed.
    __slots__ = (
        "__weakref__", "_copies", "_detail", "_float32", "_keys", "_names", "_outline", "_params", "_paths", "_plan",
        "_state_keys",
    )  # fmt: skip

    def __init__(
        self,
        params: Any,
        options: Options,
        *,
        groups: Given = (),
        decay_mask: Any = None,
        copy_to: Any = None,
        detail: bool = False,
    ) -> None:
        self._detail = checked_detail(detail, options)
        found, values = unfold(params, "params", written=True)
        if not values:
            raise value_error("params", "at least one array", "none")
        leaves = Leaves(keys(found), values, found)
        options = replace(options, groups=Groups.of(*selected(groups, leaves), decaying(decay_mask, leaves)))
        self._make(found, values, options, copies=None if copy_to is None else matching(copy_to, found, "copy_to"))

    def _make(
        self,
        found: Outline | None,
        params: tuple[Any, ...],
        options: Options,
        *,
        copies: tuple[Any, ...] | None,
        steps: int = 0,
        counts: list[int] | None = None,
        moments: Kept | None = None,
        sums: list[Array | None] | None = None,
        calls: int = 0,
    ) -> None:
        """Initialise with these parameters, and with moments of 0 where none are given."""
        self._outline, self._params, self._copies = found, params, copies
        self._paths, self._keys = paths(found), keys(found)
        refuse_collisions(self._keys)
        self._plan = self._begun(params, options, steps=steps, counts=counts, moments=moments, sums=sums, calls=calls)

    def _begun(
        self,
        params: tuple[Any, ...],
        options: Options,
        *,
        steps: int = 0,
        counts: list[int] | None = None,
        moments: Kept | None = None,
        sums: list[Array | None] | None = None,
        calls: int = 0,
    ) -> _core.OptimizerPlan:
        """Return the core's plan for these parameters, with moments of 0 where none are given."""
        arrays = all_to_write(params, lambda row: f"params{self._paths[row]}")
        check_master(options, arrays, self._paths)
        kept_names = names(options, arrays)
        moments = fresh(options, arrays) if moments is None else moments
        copies = self._copies
        if copies is not None and options.master is not None:
            raise value_error("copy_to", f"None with master={options.master!r}", describe(copies))
        written = params if copies is None else (*params, *copies)
        tell = teller(written)
        float32 = np.array([array.dtype != np.float64 for array in arrays])
        options.check_kinds(float32)
        plan = _core.OptimizerPlan(
            paths=self._paths,
            given=written,
            params=arrays,
            moments=moments,
            steps=steps,
            options=options,
            names=kept_names,
            counts=counts,
            tell=tell,
            copies=None if copies is None else [self._array(len(arrays) + row) for row in range(len(copies))],
            gathered=None if sums is None else self._gathered(sums, calls, float32),
        )
        # Only now, so that an optimizer for which no plan could be made stays as it was.
        self._float32 = float32
        self._names = kept_names
        self._state_keys = [
            None if array is None else f"{name}/{key}" if key else name
            for name, kept in zip(kept_names, moments, strict=True)
            for key, array in zip(self._keys, kept, strict=True)
        ]
        return plan

    def _gathered(
        self, sums: list[Array | None], calls: int, float32: NDArray[np.bool_]
    ) -> tuple[tuple[Array, ...], list[bool], int]:
        """Sums of gradients as the core takes them: an array for each parameter, and whether it holds something."""
        arrays = tuple(self._sum(row, float32) if array is None else array for row, array in enumerate(sums))
        return arrays, [array is not None for array in sums], calls

    def _sum(self, row: int, float32: NDArray[np.bool_]) -> Array:
        """An array for the sum of a parameter's gradients."""
        return np.empty(self._array(row).shape, np.float32 if float32[row] else np.float64)

    def _array(self, index: int) -> Any:
        """The current memory of a parameter as an array, or, counted on behind the parameters, of a copy of one."""
        rows = len(self._params)
        if index < rows or self._copies is None:
            return to_write(self._params[index], f"params{self._paths[index]}")
        copy = self._copies[index - rows]
        return None if copy is None else to_write(copy, f"copy_to{self._paths[index - rows]}")

    lr = option("lr", "The learning rate, or the function that gives it.")
    weight_decay = option("weight_decay", "The weight decay.")
    decay = option("decay", "How the weight decay enters.")
    max_lr = option("max_lr", "The largest rate, to which decay of two kinds relates the rate; ``None`` with others.")
    tight = option("tight", "Whether a parameter is rounded once per step.")
    flush_denormals = option("flush_denormals", "Whether moments below the smallest normal number become 0.")
    max_norm = option("max_norm", "What the global norm of the gradients is clipped to; ``None``: it is not.")
    nonfinite = option("nonfinite", "What gradients that are not finite do.")
    maximize = option("maximize", "Whether steps go up the gradient.")
    state_dtype = option("state_dtype", "The type of the moments; ``None``: that of their parameters.")
    rounding = option("rounding", "How arrays of 16 bits are rounded.")
    seed = option("seed", "Of the random numbers by which arrays of 16 bits are rounded.")
    master = option("master", "How parameters of 16 bits keep more than that.")

    @property
    def detail(self) -> bool:
        """Whether :attr:`step_info` says what a step did to each tensor."""
        return self._detail

    @detail.setter
    def detail(self, value: bool) -> None:
        self._detail = checked_detail(value, self._plan.options)

    @property
    def groups(self) -> tuple[tuple[str, Mapping[str, Any]], ...]:
        """The groups: of each its pattern (or the name of its predicate) and its options."""
        found: Groups | None = self._plan.options.groups
        return () if found is None else found.given()

    @groups.setter
    def groups(self, value: Given) -> None:
        old: Groups | None = self._plan.options.groups
        self._regroup(*selected(value, self._leaves()), None if old is None else old.decays)

    @property
    def decay_mask(self) -> Mapping[str, bool] | None:
        """Whether the weight of each parameter decays, by its path; None: that of all."""
        found: Groups | None = self._plan.options.groups
        return None if found is None else found.mask(self._keys)

    @decay_mask.setter
    def decay_mask(self, value: Any) -> None:
        old: Groups | None = self._plan.options.groups
        none = np.zeros(len(self._keys), np.uint32)
        groups, group_of = ((), none) if old is None else (old.groups, old.group_of)
        self._regroup(groups, group_of, decaying(value, self._leaves()))

    def _leaves(self) -> Leaves:
        return Leaves(self._keys, self._params, self._outline)

    def _regroup(self, *found: Any) -> None:
        options = replace(self._plan.options, groups=Groups.of(*found))
        options.check_kinds(self._float32)
        self._plan.options = options

    @property
    def step_info(self) -> StepInfo | None:
        """What the last step did, even if an interrupt kept :meth:`step` from returning it; None before the first."""
        outcome = self._plan.last
        return None if outcome is None else info_of(outcome, self._paths, self._keys)

    def __getstate__(self) -> dict[str, Any]:
        """Parameters, moments, options and attributes of a subclass, but not the plan, which holds addresses."""
        return {
            "outline": self._outline, "params": self._params, "copies": self._copies,
            "detail": self._detail,
            **self._plan.state(copy=True), "attributes": getattr(self, "__dict__", {}),
        }  # fmt: skip

    def __setstate__(self, state: dict[str, Any]) -> None:
        rows, self._detail = len(state["params"]), state["detail"]
        moments = [state["moments"][start : start + rows] for start in range(0, len(state["moments"]), rows)]
        self._make(
            state["outline"],
            state["params"],
            state["options"],
            copies=state["copies"],
            steps=state["steps"],
            counts=state["counts"],
            moments=moments,
            sums=state["sums"],
            calls=state["calls"],
        )
        if state["attributes"]:  # of a subclass
            vars(self).update(state["attributes"])

    def accumulate(self, grads: Any) -> None:
        """Add gradients to those that wait for a step: ``step()`` without gradients uses their mean over the calls.

        A gradient of a batch is then computed in parts that fit into memory. The sums are float32 (float64 for float64
        parameters), whatever the type of the gradients, and are kept by the optimizer: 4 bytes per element. A gradient
        that is None counts as 0 in this call; a parameter that had none in any call is left out of the step. Whether
        gradients are finite, and their norm, is looked at by the step, for their mean.

        Parameters
        ----------
        grads : tree of arrays
            As for :meth:`step`. They are only read, and may be used for other things afterwards.

        Raises
        ------
        TypeError, ValueError
            As :meth:`step`; nothing has been added.
        RuntimeError
            As :meth:`step`.

        Examples
        --------
        >>> import numpy as np
        >>> import steelyard as sy
        >>> w = np.ones(2)
        >>> opt = sy.optim.SGD(w, lr=0.1)
        >>> for part in (np.array([1.0, 2.0]), np.array([3.0, 0.0])):
        ...     opt.accumulate(part)
        >>> round(opt.step().grad_norm, 4)  # of the mean, [2, 1]
        2.2361
        >>> w
        array([0.8, 0.9])
        """
        self._plan.accumulate(self._grads(grads), self._sums)

    def _sums(self) -> tuple[Array, ...]:
        """Arrays for the sums of gradients."""
        return tuple(self._sum(row, self._float32) for row in range(len(self._params)))

    def _grads(self, grads: Any) -> tuple[Array | None, ...]:
        """The gradients in the order of the parameters."""
        given = matching(grads, self._outline, "grads")
        return all_that_there_are(given, lambda i: f"grads{self._paths[i]}")

    def step(self, grads: Any = None) -> StepInfo:
        """Update every parameter that has a gradient, once.

        A parameter whose gradient is None is left as it is: its moments stay, and so does the number of its own steps,
        by which its moments are corrected for their bias (as in torch). A key that is missing is an error, since it
        may be misspelt.

        The address of each parameter is looked up again: a torch tensor whose data were replaced or moved (for example
        by ``share_memory_()``) is updated where it is now; one whose shape or type has changed is refused. The update
        and its count cannot be separated by a signal: where an interrupt keeps this call from returning,
        :attr:`step_info` says what was done.

        Parameters
        ----------
        grads : tree of arrays, optional
            The gradients, in the structure of ``params``; None for a parameter, or for a container of parameters,
            without one. They are only read. Without them the mean of those that :meth:`accumulate` was given is used,
            which are then forgotten, also where the step is skipped or refused because they are not finite.

        Returns
        -------
        StepInfo
            Step number, learning rate, gradient norm, clip factor, the count of gradients that are not finite, and that
            of parameters without a gradient.

        Raises
        ------
        TypeError, ValueError
            As :class:`AdamW`, with the path of the array, where no parameter has a gradient, and where gradients are
            given while others wait; nothing has been written.
        RuntimeError
            Where another thread is inside a step of this optimizer, or was when this process was forked.
        """
        plan = self._plan
        given = None if grads is None else self._grads(grads)
        return update(plan.options, plan, self._paths, given, self._array, keys=self._keys if self._detail else None)

    def state_dict(self, *, copy: bool = True) -> dict[str, Array]:
        """Return the state as a flat dictionary of arrays, for ``numpy.savez`` and :meth:`load_state_dict`.

        It holds the number of steps (and, under keys such as ``"step/layers/0/w"``, those of parameters that were left
        out of some), the options (as JSON, without a learning rate that is the caller's own function), the groups, the
        version of the arithmetic of updates (``numerics``), and the moments under keys such as
        ``"exp_avg/layers/0/w"``. NumPy has no bfloat16: moments of that type are arrays of uint16 with their bits. All
        of it is copied at one point in time, and later steps do not change it.

        Parameters
        ----------
        copy : bool
            ``False`` returns the moments as live, read-only views, which needs no memory: their values are always
            those of the last step, while the number of steps beside them stays. To be read before the next step.
        """
        state = self._plan.state(copy=flag(copy, "copy"))
        flat = {
            "step": np.array(state["steps"], np.int64),
            "numerics": np.array(_core.state_numerics()["AdamW"]),
            "options": np.array(state["options"].to_json()),
        }
        if state["options"].groups is not None:
            flat["groups"] = np.array(state["options"].groups_json(self._keys))
        if state["counts"] is not None:
            counts = zip(self._keys, state["counts"], strict=True)
            flat |= {f"step/{key}": np.array(n, np.int64) for key, n in counts if n != state["steps"]}
        kept = zip(self._state_keys, state["moments"], strict=True)
        moments = {key: array for key, array in kept if key is not None and array is not None}
        if state["sums"] is not None:
            flat["accumulated"] = np.array(state["calls"], np.int64)
            sums = zip(self._sum_keys(), state["sums"], strict=True)
            moments |= {key: array for key, array in sums if array is not None}
        return flat | (moments if copy else {key: read_only(array) for key, array in moments.items()})

    def _sum_keys(self) -> list[str]:
        return [f"grad_sum/{key}" if key else "grad_sum" for key in self._keys]

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Load a saved state, so that training continues with the same bits as if it had not been interrupted.

        The options are loaded too, as in torch; to continue with another learning rate, set ``opt.lr`` afterwards.
        Where the call raises, nothing has been changed.

        Parameters
        ----------
        state : mapping
            What :meth:`state_dict` returned, or what ``numpy.load`` reads of it. Without the key ``"options"`` the
            optimizer keeps its own options.

        Raises
        ------
        TypeError, ValueError
            Where a key is missing or unknown, an array has another dtype or shape, the state was saved with another
            version of the arithmetic (``numerics``), or it holds values that no step can have made (a negative second
            moment, NaN).
        """
        if not isinstance(state, Mapping):
            raise type_error("state", "a mapping, as state_dict() returns", shown(state))
        self._check_keys(state)
        steps = whole(np.asarray(state["step"])[()], "state['step']", 0, LAST_STEP)
        counts = self._saved_counts(state, steps)
        self._check_numerics(state)
        options = self._saved_options(state)
        called = [f"state[{key!r}]" for key in self._state_keys]
        keys = zip(self._state_keys, called, strict=True)
        moments = tuple(None if key is None else moment_of(state[key], name) for key, name in keys)
        any_value = options.nonfinite == "propagate"
        gathered = self._saved_sums(state, any_value)
        plan = self._plan
        if plan.forked:  # forked during a step: the thread that holds the plan does not exist here
            plan = self._begun(self._params, plan.options)
        plan.load(
            moments,
            names=called,
            steps=steps,
            counts=counts,
            options=options,
            any_value=any_value,
            gathered=gathered,
        )
        self._plan = plan

    def save(self, path: Any) -> None:
        """Write :meth:`state_dict` to a file. The parameters are not in it.

        The file is written under another name and renamed when it is complete, so that a crash during the call leaves
        the old file as it was.

        Parameters
        ----------
        path : str or path
            The suffix says the format: ``.npz`` or ``.safetensors``.

        Raises
        ------
        TypeError, ValueError
            Where the path has another suffix.
        OSError
            Where the file cannot be written.
        """
        state = self.state_dict()
        bits = {key for key, array in state.items() if array.dtype == np.uint16 and not key.startswith("low")}
        _archive.write(path, state, bits)

    def load(self, path: Any) -> None:
        """Load what :meth:`save` wrote, as :meth:`load_state_dict` does.

        Parameters
        ----------
        path : str or path
            A file whose name ends in ``.npz`` or ``.safetensors``.

        Raises
        ------
        TypeError, ValueError
            As :meth:`load_state_dict`, and where the file is damaged; nothing has been changed.
        OSError
            Where the file cannot be read.
        """
        self.load_state_dict(_archive.read(path))

    def _check_keys(self, state: Mapping[str, Any]) -> None:
        wanted = [key for key in self._state_keys if key is not None]
        lacking = [key for key in ("step", *wanted) if key not in state]
        known = {"step", "numerics", "options", "groups", *wanted, *(f"step/{key}" for key in self._keys)}
        known |= {"accumulated", *self._sum_keys()}
        extra = [key for key in state if key not in known]
        if lacking or extra:
            got = ", ".join([f"no {key!r}" for key in lacking[:3]] + [f"also {key!r}" for key in extra[:3]])
            fix = made_with(state, self._plan.options) if "options" in state else ""
            raise value_error("state", "the keys of this optimizer's state_dict()", got, fix)

    def _check_numerics(self, state: Mapping[str, Any]) -> None:
        if "numerics" not in state:
            return
        found, own = whole(np.asarray(state["numerics"])[()], "state['numerics']", 0), _core.state_numerics()["AdamW"]
        if found != own:
            fix = "other bits would follow; take 'numerics' out of the state to load it all the same"
            raise value_error("state['numerics']", f"{own}, as this version of steelyard has", str(found), fix)

    def _saved_counts(self, state: Mapping[str, Any], steps: int) -> list[int] | None:
        """The number of steps of each parameter; None where all have made all of them."""
        names = [f"step/{key}" for key in self._keys]
        if not any(name in state for name in names):
            return None
        return [whole(np.asarray(state.get(name, steps))[()], f"state[{name!r}]", 0, steps) for name in names]

    def _saved_sums(
        self, state: Mapping[str, Any], any_value: bool
    ) -> tuple[tuple[Array, ...], list[bool], int] | None:
        """The sums of gradients that wait, copied; None where there are none."""
        keys = self._sum_keys()
        if "accumulated" not in state:
            if extra := [key for key in keys if key in state]:
                raise value_error("state", "'accumulated', the number of calls", f"none, but {extra[0]!r}")
            return None
        calls = whole(np.asarray(state["accumulated"])[()], "state['accumulated']", 1, LAST_STEP)
        sums = [self._saved_sum(row, state[key], any_value) if key in state else None for row, key in enumerate(keys)]
        if all(array is None for array in sums):
            raise value_error("state", f"sums of gradients, such as {keys[0]!r}", "none")
        return self._gathered(sums, calls, self._float32)

    def _saved_sum(self, row: int, value: Any, any_value: bool) -> Array:
        name = f"state[{self._sum_keys()[row]!r}]"
        found = floats(value, name, weights=True)
        own = self._sum(row, self._float32)
        if found.shape != own.shape or found.dtype != own.dtype:
            raise value_error(name, f"{own.dtype} of shape {own.shape}", describe(found))
        if not (any_value or np.isfinite(found).all()):
            raise value_error(name, "finite sums", "a NaN or infinity", "nothing was loaded")
        own[...] = found
        return own

    def _saved_options(self, state: Mapping[str, Any]) -> Options:
        def loaded(key: str, load: Callable[[str], Options]) -> Options:
            try:
                options = load(str(np.asarray(state[key]).item()))
                options.check_kinds(self._float32)
            except (TypeError, ValueError, LookupError, AttributeError, RecursionError) as error:
                raise value_error(f"state[{key!r}]", "what state_dict() wrote", f"{error}") from None
            return options

        own: Options = self._plan.options
        options = loaded("options", own.with_json) if "options" in state else own
        if options.kept() != own.kept():
            fix = made_with(state, own)
            raise value_error("state", "the moments that this optimizer keeps", "others", fix)
        keys = self._keys
        return loaded("groups", lambda text: options.with_groups_json(text, keys)) if "groups" in state else options

    def __repr__(self) -> str:
        o: Options = self._plan.options
        groups = "" if o.groups is None else f", groups: {o.groups.shown()}"
        shown = f"{o.shown()}{o.shown_storage()}{groups}"
        return f"{type(self).__name__}({len(self._paths)} arrays, step {self._plan.steps}, {shown})"

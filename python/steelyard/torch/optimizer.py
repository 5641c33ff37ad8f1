"""The base of the optimizers: groups, state and hooks as torch has them, and one step over all groups."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from itertools import accumulate
from math import isfinite
from typing import Any, NamedTuple

import torch

from .. import _core
from .._descent import not_finite
from .._mode import standard_mode
from .._options import at_least_zero, choice, flag, whole
from ..errors import value_error
from ..optim import AutoClip, StepInfo, ZClip
from ._backward import BackwardHooks, checked_parameters
from ._convention import READERS, refuse_known_norm, takes_torch
from ._copies import COPY, check_copies, copies_of, spread
from ._distributed import global_norm_over_processes, is_shard, local, local_state, refuse_whole_rules
from ._groups import (
    Hyper,
    Hypers,
    Rule,
    check_own,
    checked,
    complete,
    name_all,
    place_of,
    refuse_unsupported,
    without_defaults,
)
from ._info import element_of, info_of
from ._kept import begin_kept, check_master, check_narrow, check_split, fit_kept, kept_by, with_moments_of
from ._plans import new_plan
from ._schedules import Schedules
from ._state import begins, convert, keep, most_steps, prepare, taken, without_begun
from ._tensors import (
    check_gradient,
    check_parameter,
    in_layout_of,
    is_dense,
    is_laid_out_like,
    is_plain,
)

__all__ = ["Optimizer", "Policy"]

Policy = AutoClip | ZClip

NONFINITE = ("raise", "skip", "propagate")
ROUNDING = ("nearest", "stochastic")


# How often a step looks at the tensors: as they are, and once or twice after what had to be prepared.
_LOOKS = 4


class _Row(NamedTuple):
    """What a step uses instead of tensors that the core cannot take as they are."""

    param: torch.Tensor
    grad: torch.Tensor
    state: dict[str, Any]
    begins: bool
    """Whether the momentum begins with this step, after steps without one."""
    target: torch.Tensor
    """The optimizer's parameter, which the result is copied to."""


# Where torch has this C function it is preferred: it runs no Python code, which a signal could interrupt.
increment_version = getattr(torch._C, "_increment_version", None) or torch.autograd.graph.increment_version


# The entry of a saved group (here the first) that has what a policy for max_norm has seen.
_POLICY = "max_norm_state"


def _complete_saved(optimizer: Optimizer, saved: dict[str, Any]) -> None:
    """What is added to the state that torch's class makes."""
    name_all(saved["param_groups"], optimizer._RULE)
    optimizer._schedules.save(optimizer.param_groups, saved["param_groups"])
    for group in saved["param_groups"]:
        group.pop(COPY, None)
    if isinstance(optimizer.max_norm, Policy) and saved["param_groups"]:
        saved["param_groups"][0][_POLICY] = optimizer.max_norm.state_dict()


def _written(rows: list[_Row], copies: dict[int, torch.Tensor], params: list[torch.Tensor]) -> None:
    """Copy back what was computed in other tensors, and tell torch which tensors were written.

    ``copies`` are those of parameters, by the identity of the parameter.
    """
    for row in rows:
        if row.param is not row.target:
            row.target.copy_(row.param)
    increment_version(params)
    if found := [copies[id(param)] for param in params if id(param) in copies]:
        increment_version(found)


class Optimizer(torch.optim.Optimizer):
    """An optimizer of torch parameters on the CPU; the rule of the update comes from the class derived from it."""

    # GradScaler then hands over its scale and whether it found an infinity, instead of writing the gradients.
    _step_supports_amp_scaling = True
    _RULE: Rule
    # Options of groups that are the class's own, whatever was saved.
    _FORCED: tuple[str, ...] = ()

    def __init__(
        self,
        params: Any,
        defaults: dict[str, Any],
        *,
        max_norm: float | Policy | None = None,
        nonfinite: str = "propagate",
        rounding: str = "nearest",
        seed: int = 0,
        master: str | None = None,
        convention: str | None = None,
        copy_to: Any = None,
        detail: bool = False,
    ) -> None:
        self.max_norm, self.nonfinite = max_norm, nonfinite
        stochastic = choice(rounding, "rounding", ROUNDING) == "stochastic"
        self._as_torch = takes_torch(convention, stochastic)
        self._master = check_master(master, self._as_torch)
        self.detail = detail
        seed = whole(seed, "seed", 0, 2**64 - 1)
        self._seed = seed if stochastic else None
        self._plan, self._hypers, self._schedules = new_plan(), self._new_hypers(), Schedules(checked)
        self._stored_as: list[str | None] = []
        self._hooks: BackwardHooks | None = None
        self._latest = self._plan
        refuse_unsupported(defaults, "", self._RULE)
        self._schedules.take_defaults(defaults)
        self._hypers.read(defaults, "")
        super().__init__(params, without_defaults(defaults, self._RULE))
        spread(self.param_groups, copy_to)
        for index in range(len(self.param_groups)):
            self._check_copies(index)
        check_narrow(self._master, (param for group in self.param_groups for param in group["params"]))

    def _new_hypers(self) -> Hypers:
        return Hypers(self._RULE, with_moments_of(self._master, READERS[self._as_torch]))

    @property
    def max_norm(self) -> float | Policy | None:
        """What the global norm of the gradients is clipped to; None: they are not clipped."""
        return self._max_norm

    @max_norm.setter
    def max_norm(self, value: Any) -> None:
        taken = value is None or isinstance(value, Policy)
        self._max_norm = value if taken else at_least_zero("max_norm", value, infinite=True)

    @property
    def nonfinite(self) -> str:
        """What gradients do that are not finite."""
        return self._nonfinite

    @nonfinite.setter
    def nonfinite(self, value: Any) -> None:
        self._nonfinite = choice(value, "nonfinite", NONFINITE)

    @property
    def detail(self) -> bool:
        """Whether :attr:`step_info` says what a step did to each parameter."""
        return self._detail

    @detail.setter
    def detail(self, value: Any) -> None:
        detail = flag(value, "detail")
        if detail and self._as_torch:
            raise value_error("detail", "False with convention='torch'", "True", "max_norm gives grad_norm there")
        self._detail = detail

    @property
    def step_info(self) -> StepInfo | None:
        """What the last step did, even if an interrupt kept :meth:`step` from returning; None before the first."""
        last = self._latest.last
        if last is None:
            return None
        return info_of(last, self.param_groups, self._name)

    def add_param_group(self, param_group: dict[str, Any]) -> None:
        """Add a group of parameters, as in torch; its options are checked."""
        index = len(self.param_groups)
        if isinstance(param_group, dict):
            refuse_unsupported(param_group, place_of(index), self._RULE)
            self._schedules.give_defaults(param_group)
        super().add_param_group(param_group)
        try:
            self._schedules.set(self.param_groups, self._plan.updates)
            self._check_group(index)
        except (TypeError, ValueError):
            del self.param_groups[index], self._stored_as[index:]
            raise

    def _check_group(self, index: int) -> None:
        group = self.param_groups[index]
        place = place_of(index)
        check_own(group, place, self._RULE)
        self._stored_as[index:] = [self._hypers.read(group, place).state_dtype]
        for row, param in enumerate(group["params"]):
            check_parameter(param, self._name(index, row))
            check_split(self._master, param, self._name(index, row))
        self._check_copies(index)

    def _check_copies(self, index: int) -> None:
        group, place = self.param_groups[index], place_of(index)
        if group.get(COPY) is not None:
            group[COPY] = copies_of(group, place)
            refused = "convention='torch'" if self._as_torch else None
            refused = f"master={self._master!r}" if self._master is not None else refused
            names = (self._name(index, row) for row in range(len(group["params"])))
            check_copies(group, place, names, refused)

    def _copies(self) -> list[list[Any]] | None:
        """The copies of all parameters, by groups; None where there are none."""
        if all(group.get(COPY) is None for group in self.param_groups):
            return None
        return [copies_of(group, place_of(index)) for index, group in enumerate(self.param_groups)]

    def _name(self, group: int, row: int) -> str:
        """What messages call a parameter."""
        found = self.param_groups[group]
        if "param_names" in found:
            return f'params["{found["param_names"][row]}"]'
        return f"params[{row}]" if len(self.param_groups) == 1 else f"{place_of(group)}['params'][{row}]"

    def step(self, closure: Callable[[], Any] | None = None) -> Any:
        """Update every parameter that has a gradient, once.

        Parameters
        ----------
        closure : callable, optional
            Called first, with gradients enabled; it computes the loss and the gradients anew.

        Returns
        -------
        object
            What ``closure`` returned; None without one. :attr:`step_info` says what the step did.
        """
        loss = None
        if closure is not None:
            with torch.enable_grad():
                loss = closure()
        self._update()
        return loss

    def hook_backward(self, model: torch.nn.Module) -> BackwardHooks:
        """Do work of the step during ``backward``, while each gradient is still in the processor's caches.

        - Without ``max_norm``, and where gradients that are not finite propagate, each parameter is updated as soon as
          its gradient is complete, and the gradient is freed. ``step`` then only counts the update, so every
          ``backward`` is one update (:meth:`BackwardHooks.paused` lets gradients add up), and a GradScaler cannot be
          used.
        - Otherwise (also with stochastic rounding) in two phases, since no parameter may be updated before the norm of
          all gradients is known: the squares of each gradient are added up during ``backward``, and ``step`` updates
          with that norm. A gradient that is replaced or written to in between is measured again, if torch counts the
          write (``grad._version``) or a GradScaler made it: writes through ``grad.data`` or ``grad.numpy()`` are not
          seen. The norm adds the sums of the parameters exactly; in its last bit it may differ from that of a step
          without hooks.

        Which of the two it is follows from the options as they are when ``backward`` runs.

        In a model of DistributedDataParallel, the hooks see gradients after their reduction over the processes: each
        bucket is measured as soon as it is reduced, and parameters are updated when ``backward`` ends. Parameters of
        ``fully_shard`` need no hooks.

        Parameters
        ----------
        model : torch.nn.Module
            The module whose parameters are hooked: those of them that this optimizer has.

        Returns
        -------
        BackwardHooks
            With ``remove()`` and ``paused()``.

        Raises
        ------
        TypeError, ValueError
            For what is not a module, or has no parameter of this optimizer; where there are hooks already.

        Examples
        --------
        >>> import torch
        >>> from steelyard.torch import AdamW
        >>> model = torch.nn.Linear(3, 1)
        >>> optimizer = AdamW(model.parameters(), max_norm=1.0)
        >>> hooks = optimizer.hook_backward(model)
        >>> model(torch.ones(2, 3)).sum().backward()
        >>> optimizer.step()
        >>> round(optimizer.step_info.grad_norm, 4)  # 2 for each weight and for the bias
        4.0
        """
        if self._hooks is not None and self._hooks.active:
            raise value_error("model", "an optimizer without hooks", "one that has some", "call remove() of them first")
        own = {param for group in self.param_groups for param in group["params"]}
        params = checked_parameters(model, own)
        refuse_known_norm(self._as_torch, None if self._updates_at_once() else 0.0)
        self._hooks = BackwardHooks(model, params, self._update_alone(params), self._updates_at_once)
        return self._hooks

    def _updates_at_once(self) -> bool:
        """Whether a parameter may be updated as soon as its gradient is complete."""
        return not self._scans and self._seed is None

    @property
    def _scans(self) -> bool:
        """Whether a step needs the norm of all gradients before it may update."""
        return self.max_norm is not None or self.nonfinite != "propagate"

    def _places(self) -> dict[torch.Tensor, tuple[int, int]]:
        """The group of each parameter, and its index there."""
        return {
            param: (index, row)
            for index, group in enumerate(self.param_groups)
            for row, param in enumerate(group["params"])
        }

    def _is_at(self, param: torch.Tensor, place: tuple[int, int] | None) -> bool:
        """Whether a parameter is still where it was, since groups are edited in place."""
        if place is None or place[0] >= len(self.param_groups):
            return False
        group = self.param_groups[place[0]]["params"]
        return place[1] < len(group) and group[place[1]] is param

    def _update_alone(self, params: list[torch.Tensor]) -> Callable[[torch.Tensor], bool]:
        """A function that updates one of these parameters, with a plan of its own, if it is the optimizer's still."""
        places = self._places()
        plans = {param: new_plan() for param in params}

        def update(param: torch.Tensor) -> bool:
            nonlocal places
            if not self._is_at(param, places.get(param)):
                places = self._places()
                if param not in places:
                    return False
            index, row = places[param]
            self._latest = plans[param]
            self._latest.updates = self._plan.updates
            groups: list[list[torch.Tensor]] = [[] for _ in self.param_groups]
            groups[index] = [param]
            copies: list[list[Any]] | None = None
            if self.param_groups[index].get(COPY) is not None:
                copies = [[] for _ in groups]
                copies[index] = [copies_of(self.param_groups[index], place_of(index))[row]]
            self._step(plans[param], groups, lambda group, _: self._name(group, row), copies=copies)
            return True

        return update

    @torch._disable_dynamo
    @torch.no_grad()
    @standard_mode
    def _update(self) -> None:
        groups = [group["params"] for group in self.param_groups]
        norm = None
        hooks = self._hooks if self._hooks is not None and self._hooks.active else None
        if hooks is not None and self._scans:
            # A GradScaler whose unscale_() was called has no scale left to hand over.
            unscaled = getattr(self, "found_inf", None) is not None and getattr(self, "grad_scale", None) is None
            found = [param for group in groups for param in group if param.grad is not None]
            norm = refuse_known_norm(self._as_torch, hooks.norm(found, unscaled=unscaled))
        updated = hooks is not None and hooks.take_updated()
        if updated and getattr(self, "grad_scale", None) is not None:
            fix = "leave the scaler or the hooks out, or set max_norm, with which the update waits for step()"
            raise value_error("grad_scale", "nothing, since backward has updated already", "that of a GradScaler", fix)
        if not updated:
            self._latest = self._plan
        applied = self._step(self._plan, groups, self._name, norm, copies=self._copies())
        if updated and not applied:
            self._plan.updates += 1

    def _step(
        self,
        plan: _core.TensorPlan,
        groups: list[list[torch.Tensor]],
        name_of: Callable[[int, int], str],
        norm: float | None = None,
        *,
        copies: list[list[Any]] | None,
    ) -> bool:
        """Update the parameters in ``groups``, and whether it did.

        ``norm`` is that of all gradients, where it is known; ``copies`` are what get copies of the parameters.
        """
        self._schedules.set(self.param_groups, self._plan.updates)
        hypers = self._hypers.of(self.param_groups)
        found_inf, scale = getattr(self, "found_inf", None), getattr(self, "grad_scale", None)
        self._store_as([hyper.state_dtype for hyper in hypers])
        instead: dict[int, _Row] = {}
        copied = {
            id(param): copy
            for params, found in ([] if copies is None else zip(groups, copies, strict=True))
            for param, copy in zip(params, found, strict=True)
            if copy is not None
        }
        begun: list[tuple[dict[str, Any], float]] = []
        try:
            for _ in range(_LOOKS):
                outcome = plan.step(
                    groups,
                    self.state,
                    hypers=[hyper[:2] for hyper in hypers],
                    name=name_of,
                    tell=partial(_written, list(instead.values()), copied) if instead or copied else increment_version,
                    instead={row: used[:4] for row, used in instead.items()},
                    max_norm=limit.core if isinstance(limit := self.max_norm, Policy) else limit,
                    norm=norm,
                    scan=self._scans,
                    stop_nonfinite=self.nonfinite != "propagate",
                    grad_scale=1.0 if scale is None else scale.item(),
                    skip=found_inf is not None and found_inf.item() != 0,
                    seed=self._seed,
                    kept=kept_by(self._master),
                    copies=copies,
                    detail=self._detail and plan is self._plan,
                )
                if not outcome["unready"]:
                    break
                instead |= self._prepared(outcome["unready"], groups, hypers, name_of, begun)
                if norm is None and self._scans:
                    found = [param.grad for group in groups for param in group if param.grad is not None]
                    norm = refuse_known_norm(self._as_torch, global_norm_over_processes(found))
            else:
                name = name_of(*outcome["unready"][0])
                raise RuntimeError(f"{name}: its tensors do not stay as they are prepared; please report this")
        finally:
            without_begun(begun)
        first = outcome["first"]
        if self.nonfinite == "raise" and first is not None:
            element = element_of(self.param_groups, outcome)
            raise not_finite(f"{name_of(*first)}.grad", outcome["nonfinite"], element, outcome["overflow"])
        if self.nonfinite == "raise" and norm is not None and not isfinite(norm):
            fix = "nothing was written; nonfinite='skip' goes on"
            raise value_error("gradients", "finite ones", f"a norm of {norm}", fix)
        return outcome["applied"]

    def _store_as(self, kinds: list[str | None]) -> None:
        """Convert the moments of groups whose ``state_dtype`` somebody has changed."""
        if kinds == self._stored_as:
            return
        converted: dict[torch.Tensor, dict[str, Any]] = {}
        for index, group in enumerate(self.param_groups):
            if kinds[index] in self._stored_as[index : index + 1]:
                continue
            for row, param in enumerate(group["params"]):
                if param not in self.state:
                    continue
                if is_shard(param):
                    refuse_whole_rules(group, place_of(index), self._seed)
                converted[param] = dict(self.state[param])
                convert(converted[param], param, self._name(index, row), kinds[index])
        for param, state in converted.items():
            self.state[param] = state
        self._stored_as = kinds

    def _prepared(
        self,
        unready: list[tuple[int, int]],
        groups: list[list[torch.Tensor]],
        hypers: list[Hyper],
        name_of: Callable[[int, int], str],
        begun: list[tuple[dict[str, Any], float]],
    ) -> dict[int, _Row]:
        """Prepare parameters for a step; the tensors to use instead of their own, by the number of the parameter.

        ``begun`` gets the states whose momentum begins with this step, and their numbers of steps.
        """
        before = [0, *accumulate(map(len, groups))]
        instead = {}
        for index in sorted({group for group, _ in unready}):
            self._check_copies(index)
        for group, index in unready:
            param, name = groups[group][index], name_of(group, index)
            check_parameter(param, name)
            check_gradient(param.grad, param, f"{name}.grad")
            _, moments, state_dtype = hypers[group]
            state, target, grad = self.state[param], local(param), local(param.grad)
            if begin := begins(state, moments):
                begun.append((state, float(state["step"])))
            begin_kept(state, param, self._master)
            if is_shard(param):
                refuse_whole_rules(self.param_groups[group], place_of(group), self._seed)
                state = local_state(state, param, moments, state_dtype)
            prepare(state, target, moments, name, state_dtype)
            fit_kept(state, target, self._master, name)
            self.state[param]["step"] = state["step"]
            own = target if is_plain(target) and is_dense(target) else in_layout_of(target, target)
            if not (is_plain(grad) and is_laid_out_like(grad, own)):
                grad = in_layout_of(own, grad)
            if own is not param or grad is not param.grad or begin:
                instead[before[group] + index] = _Row(own, grad, state, begin, target)
        return instead

    def state_dict(self) -> dict[str, Any]:
        """Return the state in torch's form, for ``torch.save`` and the ``load_state_dict`` of either class.

        Where a group names an option that torch's class has not, every group names all of them. The first has an entry
        ``max_norm_state`` where ``max_norm`` is a policy: what that has seen. A group in which a number holds in place
        of a schedule has an entry ``schedule_gave``: the number that the schedule gave last.
        """
        self._schedules.take(self.param_groups, self._plan.updates)
        handle = self.register_state_dict_post_hook(_complete_saved, prepend=True)
        try:
            return super().state_dict()
        finally:
            handle.remove()

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Load a saved state, of this class or of torch's, without a bit lost; it is copied.

        - A schedule of this optimizer goes on from the number of steps in the state, whatever number the state has
          for it, unless that number was saved here as one that holds in place of a schedule: it then still does.
        - ``state_dtype``, where this optimizer's group says one, is what the moments are stored as from now on.
        - What is said once for all groups (``max_norm``, ``nonfinite``, ``rounding``, ...) stays as it is.

        Where the call raises, nothing has been changed.
        """
        self._schedules.take(self.param_groups, self._plan.updates)
        handle = self.register_load_state_dict_pre_hook(keep)
        try:
            super().load_state_dict(state_dict)
        finally:
            handle.remove()

    def __getstate__(self) -> dict[str, Any]:
        """What torch saves of an optimizer, and the options that torch's have not."""
        own: dict[str, Any] = {"_max_norm": self.max_norm, "_nonfinite": self.nonfinite, "_seed": self._seed}
        own |= {"_schedules": self._schedules, "_stored_as": self._stored_as, "_as_torch": self._as_torch}
        own |= {"_detail": self._detail, "_master": self._master}
        return super().__getstate__() | own | {"_updates": self._plan.updates}

    def __setstate__(self, state: dict[str, Any]) -> None:
        """Take what was pickled or copied, or, from :meth:`load_state_dict`, saved groups and state."""
        if "_updates" not in state:
            self._load(state)
            return
        own = dict(state)
        updates = own.pop("_updates")
        super().__setstate__(own)
        self._plan, self._hypers, self._hooks = new_plan(), self._new_hypers(), None
        self._latest = self._plan
        self._plan.updates = updates

    def _load(self, saved: dict[str, Any]) -> None:
        """Check what was saved, and only then take it."""
        for index, group in enumerate(saved["param_groups"]):
            complete(group, self.param_groups[index], self.defaults, self._RULE, self._FORCED)
        before, groups = self.param_groups, saved["param_groups"]
        policies = [group.pop(_POLICY) for group in groups if _POLICY in group]
        stored_as = [self._hypers.read(group, place_of(index)).state_dtype for index, group in enumerate(groups)]
        known = {
            param: (self._name(index, row), stored_as[index])
            for index, group in enumerate(groups)
            for row, param in enumerate(group["params"])
        }
        state = taken(saved["state"], known, self._RULE, self._master)
        if policies and isinstance(self.max_norm, Policy):
            self.max_norm.load_state_dict(policies[0])  # the last that may refuse
        super().__setstate__(saved | {"state": state})
        self._stored_as = stored_as
        self._schedules.load(before, self.param_groups)
        self._plan.updates = most_steps(state)

"""The state of a parameter: made at its first step, saved and loaded under the names of torch's AdamW."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import Any

import torch

from .._options import number
from ..errors import shown, type_error, value_error
from ._eight_bit import PLACES, SCALE, decoded, encoded, fitted, from_others, holds_codes, takes_codes, zeros
from ._groups import Rule
from ._kept import check_kept
from ._tensors import DTYPES, dtype_name, empty_like, goes_with, in_layout_of, is_laid_out_like, is_plain

__all__ = ["begins", "convert", "keep", "most_steps", "prepare", "taken", "without_begun"]


# The number from which on float32 cannot count by ones.
_LAST_SINGLE = 2**24
# The last number of steps that float64 can count to.
_LAST = 2**53
_INTEGERS = (torch.int64, torch.int32, torch.int16, torch.int8, torch.uint8)


def prepare(
    state: dict[str, Any], param: torch.Tensor, moments: tuple[str, ...], name: str, state_dtype: str | None
) -> None:
    """Give a parameter the state that it lacks, with moments of 0, and put the state that it has into its layout."""
    if "step" not in state:
        state["step"] = counter()
    for moment in moments:
        if moment not in state:
            if state_dtype == "8bit" and takes_codes(param):
                state[moment], state[moment + SCALE] = zeros(param, moment)
            else:
                state[moment] = empty_like(param, state_type(state_dtype, param)).zero_()
        state[moment] = _fitting(state[moment], param, moment, name)
        if holds_codes(state[moment]):
            codes, scale = fitted(param, state[moment], state.get(moment + SCALE), moment, name)
            state[moment], state[moment + SCALE] = codes, scale
    state["step"] = _counter(state["step"], f"step of {name}")


def counter() -> torch.Tensor:
    """A number of steps, 0; as in torch a tensor without axes, in float64 where that is the default type."""
    dtype = torch.float64 if torch.get_default_dtype() is torch.float64 else torch.float32
    return torch.zeros((), dtype=dtype, device="cpu")


def begins(state: dict[str, Any], moments: tuple[str, ...]) -> bool:
    """Whether SGD's momentum begins in the middle of a training: torch's is then the gradient, as in the first step."""
    return "momentum_buffer" in moments and "momentum_buffer" not in state and float(state.get("step", 0)) > 0


def without_begun(states: list[tuple[dict[str, Any], float]]) -> None:
    """Take momentum that has not begun out of states again, where no step was made since: the next one begins it."""
    for state, steps in states:
        if float(state["step"]) == steps:
            state.pop("momentum_buffer")
            state.pop("momentum_buffer" + SCALE, None)


def _fitting(moment: Any, param: torch.Tensor, moment_name: str, name: str) -> torch.Tensor:
    """The moment, in a tensor that the core can take: a copy where it is not one already."""
    if not isinstance(moment, torch.Tensor):
        raise type_error(f"{moment_name} of {name}", "a tensor", shown(moment))
    if moment.shape != param.shape:
        expected = f"shape {tuple(moment.shape)}, as its {moment_name} has"
        fix = "make a new optimizer for parameters of another shape, or delete its state"
        raise value_error(name, expected, f"{tuple(param.shape)}", fix)
    if holds_codes(moment):
        return moment
    fits = is_plain(moment) and goes_with(param.dtype, moment.dtype) and moment.device == param.device
    if fits and is_laid_out_like(moment, empty_like(param)):
        return moment
    return in_layout_of(param, moment, _kept_type(moment, param, None))


def _counter(step: Any, name: str) -> torch.Tensor:
    """The number of steps as a tensor that can count on: float32 as torch has it, float64 where that is not enough."""
    given = isinstance(step, torch.Tensor)
    tensor = step if given else torch.tensor(number(step, name, "a number of steps"), dtype=torch.float64)
    if tensor.numel() != 1:
        raise value_error(name, "a tensor of one element", f"one of shape {tuple(tensor.shape)}")
    if not (tensor.is_floating_point() or tensor.dtype in _INTEGERS):
        raise type_error(name, "a number of steps", f"a tensor of {dtype_name(tensor.dtype)}")
    if not (0 <= tensor.item() <= _LAST and tensor.item() % 1 == 0):
        raise value_error(name, "a whole number of steps, at least 0", f"{tensor.item()}")
    large = tensor.item() >= _LAST_SINGLE
    types = (torch.float64,) if large else (torch.float32, torch.float64)
    fits = given and is_plain(tensor) and tensor.dtype in types and tensor.device.type == "cpu"
    return tensor if fits else tensor.detach().to("cpu", types[0], copy=True)


class _Kept:
    """A saved value on its way through ``torch.optim.Optimizer.load_state_dict``.

    That method casts every tensor of the state to the parameter's type, and makes a generator of a text. What it does
    not know it hands on unchanged.
    """

    def __init__(self, value: Any) -> None:
        self.value = value


def keep(optimizer: Any, state_dict: dict[str, Any]) -> dict[str, Any]:
    """A hook before loading: wrap the saved values."""
    saved, kept = state_dict["state"], optimizer._RULE.kept
    return state_dict | {"state": {key: _wrapped(value, kept) for key, value in saved.items()}}


def _wrapped(state: Any, kept: Sequence[str]) -> Any:
    if not isinstance(state, Mapping):
        return state
    found = from_others(state, kept)
    return {key: _Kept(value) for key, value in found.items()}


def _unwrapped(state: Any) -> Any:
    if not isinstance(state, Mapping):
        return state
    return {key: value.value if isinstance(value, _Kept) else value for key, value in state.items()}


def taken(
    saved: Mapping[Any, Any], known: Mapping[torch.Tensor, tuple[str, str | None]], rule: Rule, master: str | None
) -> defaultdict[Any, Any]:
    """What was saved, by parameter, copied into tensors that are the optimizer's own; other entries as they are.

    ``known`` are the name and the ``state_dtype`` of each parameter.
    """
    state: defaultdict[Any, Any] = defaultdict(dict)
    for key, given in saved.items():
        values = _unwrapped(given)
        if not isinstance(key, torch.Tensor):
            state[key] = values
            continue
        name, state_dtype = known[key]
        if not isinstance(values, Mapping):
            raise type_error(f"state of {name}", "a dictionary", shown(values))
        kept = {entry: value for entry, value in values.items() if value is not None}
        if "momentum_buffer" in kept:  # torch's SGD does not count, and has a buffer from the first step on
            kept.setdefault("step", 1)
        _check_rule(kept, rule, name)
        entries = {entry: _taken(key, entry, value, name, state_dtype) for entry, value in kept.items()}
        _take_codes(entries, key, name, state_dtype)
        check_kept(entries, key, master, name)
        state[key] = entries
    return state


def _check_rule(entries: Mapping[Any, Any], rule: Rule, name: str) -> None:
    """Refuse the state of another rule: with it the moments that are missing would begin at 0 in the middle."""
    found = [moment for moment in PLACES if moment in entries]
    needed = ("step", *rule.always)
    if all(key in entries for key in needed) and set(found) <= set(rule.kept):
        return
    if found or "step" in entries:
        expected = f"{' and '.join(needed)}" + (f", and perhaps {rule.kept[-1]}," if rule.always != rule.kept else "")
        got = ", ".join(key for key in ("step", *found) if key in entries)
        raise value_error(f"state of {name}", f"{expected} as {rule.name} keeps them", got)


def most_steps(state: Mapping[Any, Any]) -> int:
    """The number of steps of the parameter that has made the most."""
    counters = (values["step"] for key, values in state.items() if isinstance(key, torch.Tensor) and "step" in values)
    return max((int(counter.item()) for counter in counters), default=0)


def _taken(param: torch.Tensor, key: str, value: Any, name: str, state_dtype: str | None) -> Any:
    if key == "step":
        step = value.detach().to("cpu", copy=True) if isinstance(value, torch.Tensor) else value
        return _counter(step, f"step of {name}")
    if not isinstance(value, torch.Tensor):
        return value
    if key not in PLACES:
        return value.detach().clone()
    if value.shape != param.shape:
        expected = f"a tensor of shape {tuple(param.shape)}, like the parameter"
        raise value_error(f"{key} of {name}", expected, f"one of shape {tuple(value.shape)}")
    if holds_codes(value):
        return value.detach().clone()
    return in_layout_of(param, value, _kept_type(value, param, state_dtype))


def convert(state: dict[Any, Any], param: torch.Tensor, name: str, state_dtype: str | None) -> None:
    """Store the moments of a parameter as ``state_dtype`` says from now on; None: as the parameter."""
    dtype = state_type(state_dtype, param)
    for moment, value in state.items():
        if moment in PLACES and isinstance(value, torch.Tensor) and not holds_codes(value):
            state[moment] = value.to(dtype)
    _take_codes(state, param, name, state_dtype or dtype_name(param.dtype))


def _take_codes(entries: dict[Any, Any], param: torch.Tensor, name: str, state_dtype: str | None) -> None:
    """Code the moments of a state, or decode them, where the type that was asked for says so."""
    for moment in [moment for moment in PLACES if moment in entries]:
        value = entries[moment]
        if holds_codes(value):
            codes, scale = fitted(param, value, entries.get(moment + SCALE), moment, name)
            entries[moment], entries[moment + SCALE] = codes, scale
            if state_dtype not in (None, "8bit") or not takes_codes(param):
                del entries[moment + SCALE]
                values = decoded(codes, scale, moment)
                entries[moment] = in_layout_of(param, values, _kept_type(values, param, state_dtype))
        elif moment + SCALE in entries:
            fix = "another optimizer has cast them; give it what convert_state_dict(state, 'torch') returns"
            raise value_error(f"{moment} of {name}", "codes of uint8 beside their scales", dtype_name(value.dtype), fix)
        elif state_dtype == "8bit" and takes_codes(param):
            entries[moment], entries[moment + SCALE] = encoded(param, value, moment)


def _kept_type(moment: torch.Tensor, param: torch.Tensor, state_dtype: str | None) -> torch.dtype:
    """The type that was asked for; otherwise the parameter's if that loses no bit of a moment, or the moment's own.

    torch casts to the parameter's type in any case; here that is left for float64, which no other type computes with.
    """
    if state_dtype is not None:
        return state_type(state_dtype, param)
    kept = torch.promote_types(moment.dtype, param.dtype)
    return kept if goes_with(param.dtype, kept) else param.dtype


def state_type(state_dtype: str | None, param: torch.Tensor) -> torch.dtype:
    """The type of a parameter's moments: the parameter's where no other is asked for."""
    if state_dtype is None or param.dtype == torch.float64:
        return param.dtype
    if state_dtype == "8bit":
        return torch.float32
    return next(dtype for dtype, name in DTYPES if name == state_dtype)

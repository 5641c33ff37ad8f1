"""What is kept beside parameters of 16 bits, so that they have more digits than their tensors hold."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any, get_args

import torch

from .._descent import BESIDE, Master, no_upper_half, nothing_to_keep
from .._options import choice
from ..errors import shown, type_error, value_error
from ._groups import Hyper, Rule
from ._tensors import dtype_name, empty_like, in_layout_of, is_laid_out_like, is_plain

__all__ = [
    "begin_kept",
    "check_kept",
    "check_master",
    "check_narrow",
    "check_split",
    "fit_kept",
    "kept_by",
    "with_moments_of",
]

_NARROW = (torch.bfloat16, torch.float16)
# With these the parameter is one of float32, of which the tensor holds a part or a copy; so are the moments.
_SINGLE = {"split", "float32"}
_BY = {key: master for master, key in BESIDE.items()}

Reader = Callable[[Mapping[str, Any], str, Rule], Hyper]


def check_master(master: Any, torchs: bool) -> str | None:
    """Check the option; ``torchs`` says that the optimizer has torch's convention."""
    if master is None:
        return None
    found = choice(master, "master", get_args(Master))
    if torchs:
        raise value_error("master", "None with convention='torch'", repr(found))
    return found


def kept_by(master: str | None) -> str | None:
    """The key in the states of parameters of 16 bits."""
    return None if master is None else BESIDE[master]


def with_moments_of(master: str | None, read: Reader) -> Reader:
    """How the options of a group are read, where moments may be float32 because the master is."""
    if master not in _SINGLE:
        return read

    def single(group: Mapping[str, Any], place: str, rule: Rule) -> Hyper:
        hyper = read(group, place, rule)
        return hyper._replace(state_dtype=hyper.state_dtype or "float32")

    return single


def check_narrow(master: str | None, params: Iterable[torch.Tensor]) -> None:
    """Raise where no parameter can keep more than it has."""
    types = {param.dtype for param in params}
    if master is not None and types.isdisjoint(_NARROW):
        raise nothing_to_keep(master, set(map(dtype_name, types)))


def check_split(master: str | None, param: torch.Tensor, name: str) -> None:
    """Raise for a parameter that is no upper half of a float32 number where it should be one."""
    if master == "split" and param.dtype == torch.float16:
        raise no_upper_half(name)


def begin_kept(state: dict[str, Any], param: torch.Tensor, master: str | None) -> None:
    """Give the state of a parameter what it keeps, if it lacks that: it begins from the parameter as it is."""
    if master is None:
        return
    key = BESIDE[master]
    if param.dtype not in _NARROW:
        state.pop(key, None)  # of a parameter that was one of 16 bits
    elif key not in state:
        dtype = _type_of(key, param)
        single = key == "master"
        state[key] = in_layout_of(param, param, dtype) if single else empty_like(param, dtype).zero_()


def fit_kept(state: dict[str, Any], param: torch.Tensor, master: str | None, name: str) -> None:
    """Put what a parameter keeps into a tensor that the core can take."""
    check_split(master, param, name)
    key = kept_by(master)
    if key is None or key not in state:
        return
    value = state[key]
    _check_tensor(value, key, param, name)
    if not (is_plain(value) and is_laid_out_like(value, empty_like(param)) and value.device == param.device):
        state[key] = in_layout_of(param, value)


def check_kept(entries: dict[str, Any], param: torch.Tensor, master: str | None, name: str) -> None:
    """Refuse what was saved with another ``master``; what was saved with this one is put into the layout here."""
    for key in [key for key in _BY if key in entries]:
        if key != kept_by(master) or param.dtype not in _NARROW:
            expected = f"what master={master!r} keeps of a parameter of {dtype_name(param.dtype)}"
            fix = f"make the optimizer with master={_BY[key]!r}, or take {key!r} out of the state to go on without it"
            raise value_error(f"state of {name}", expected, repr(key), fix)
        _check_tensor(entries[key], key, param, name)
        entries[key] = in_layout_of(param, entries[key])


def _check_tensor(value: Any, key: str, param: torch.Tensor, name: str) -> None:
    if not isinstance(value, torch.Tensor):
        raise type_error(f"{key} of {name}", "a tensor", shown(value))
    dtype = _type_of(key, param)
    if value.dtype != dtype:
        fix = f"delete {key!r} from its state, and it begins from the parameter"
        raise type_error(
            f"{key} of {name}", f"a tensor of {dtype_name(dtype)}", f"one of {dtype_name(value.dtype)}", fix
        )
    if value.shape != param.shape:
        expected = f"a tensor of shape {tuple(param.shape)}, like the parameter"
        raise value_error(f"{key} of {name}", expected, f"one of shape {tuple(value.shape)}")


def _type_of(key: str, param: torch.Tensor) -> torch.dtype:
    return {"low": torch.int16, "rest": param.dtype, "master": torch.float32}[key]

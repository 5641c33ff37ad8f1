"""The state of an optimizer as other libraries have it."""

from __future__ import annotations

from typing import Any, Literal, get_args

import torch

from .._mode import standard_mode
from .._options import choice
from ._eight_bit import to_others, to_torch

__all__ = ["convert_state_dict"]

Library = Literal["bitsandbytes", "torchao", "torch"]


@standard_mode
def convert_state_dict(state_dict: dict[str, Any], library: Library) -> dict[str, Any]:
    """Return ``state_dict()`` as the optimizer of another library loads it.

    The 8-bit optimizers of bitsandbytes and torchao get codes and scales unchanged. torch's optimizers would take codes
    for numbers: for them moments are decoded to float32, and what ``master`` keeps is left out. The other way needs no
    call: ``load_state_dict`` takes the states of all three as they are.

    Parameters
    ----------
    state_dict : dict
        What ``state_dict`` of :class:`AdamW`, :class:`Adam`, :class:`Lion` or :class:`SGD` returned. Moments may be in
        8 bits or not.
    library : {"bitsandbytes", "torchao", "torch"}
        ``bitsandbytes.optim.AdamW8bit`` and those of the other rules, ``torchao.optim.AdamW8bit`` and ``Adam8bit``, or
        ``torch.optim``.
        torchao has no 8-bit moments of tensors whose size is no multiple of 256: they become float32.

    Returns
    -------
    dict
        The same groups, and the state of each parameter in the other library's form.

    Raises
    ------
    ValueError
        For another library, for a state of amsgrad, which bitsandbytes has not, and for one of Lion or SGD, which
        torchao has not.

    Examples
    --------
    >>> import torch
    >>> from steelyard.torch import AdamW, convert_state_dict
    >>> weight = torch.nn.Parameter(torch.ones(4096))
    >>> optimizer = AdamW([weight], state_dtype="8bit")
    >>> weight.grad = torch.ones(4096)
    >>> optimizer.step()
    >>> converted = convert_state_dict(optimizer.state_dict(), "bitsandbytes")
    >>> sorted(converted["state"][0]["__bnb_optimizer_quant_state__"])
    ['absmax1', 'absmax2', 'qmap1', 'qmap2', 'state1', 'state2']
    """
    choice(library, "library", get_args(Library))
    groups = [dict(group) for group in state_dict["param_groups"]]
    if library == "torchao":  # whose optimizers refuse a learning rate that is no tensor
        for group in groups:
            group["lr"] = torch.as_tensor(group["lr"], dtype=torch.float32)
    if library == "torch":
        groups = [{name: None if name == "state_dtype" else value for name, value in group.items()} for group in groups]
        return {"state": {key: to_torch(values) for key, values in state_dict["state"].items()}, "param_groups": groups}
    state = {key: to_others(values, library) for key, values in state_dict["state"].items()}
    return {"state": state, "param_groups": groups}

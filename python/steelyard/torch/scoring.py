"""Scores of a text under any torch module that returns logits, window by window."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import torch

from .._arrays import integers
from .._progress import Progress, reporter
from ..errors import called, type_error, value_error
from ..tokens import TokenScores, Windows, token_scores
from ..tokens import windows as windows_of

__all__ = ["token_log_probs"]


def _logits(output: object) -> torch.Tensor:
    """The logits of what a module returned: a tensor, an object with ``logits``, or a tuple that begins with them."""
    found = getattr(output, "logits", output)
    if isinstance(found, tuple | list) and found:
        found = found[0]
    if not isinstance(found, torch.Tensor) or found.ndim not in (2, 3) or (found.ndim == 3 and len(found) != 1):
        shape = f" of shape {tuple(found.shape)}" if isinstance(found, torch.Tensor) else ""
        raise type_error("model", "a module that returns logits [1, T, V]", f"{type(found).__name__}{shape}")
    return found.detach()[0] if found.ndim == 3 else found.detach()


def token_log_probs(
    model: Callable[[torch.Tensor], Any],
    input_ids: torch.Tensor,
    *,
    windows: Windows | None = None,
    bos: int | None = None,
    columns: Any = None,
    progress: Progress = False,
) -> TokenScores:
    """Score every token of a text under a module that returns logits.

    The module is called once per window, with the ids of its tokens as ``[1, T]``, in ``torch.inference_mode``. Each
    token is scored once, by the window that the plan says. Log-probabilities are ``-t.nll``.

    Parameters
    ----------
    model : callable
        Takes ids ``[1, T]`` and returns logits ``[1, T, V]``: a tensor, an object with ``logits`` (as transformers
        has), or a tuple that begins with them. It should be in ``eval`` mode.
    input_ids : integer tensor, shape [n] or [1, n]
        The text.
    windows : Windows or None
        The plan, from :func:`steelyard.tokens.windows`. ``None``: one window with the whole text.
    bos : int or None
        The id of the BOS token, where the plan has one.
    columns : names or None
        As in :func:`steelyard.token_scores`.
    progress : bool or callable
        Called with ``(done, total)`` windows.

    Returns
    -------
    TokenScores
        One entry per token of the text; a token that no window scores (the first, where nothing stands before it) does
        not count.

    Raises
    ------
    TypeError
        For ids that are not integers, and a module that returns something else.
    ValueError
        For a plan of another length.

    Examples
    --------
    >>> import torch
    >>> from steelyard.torch import token_log_probs
    >>> table = torch.nn.Embedding.from_pretrained(torch.eye(4) * 3)
    >>> t = token_log_probs(table, torch.tensor([0, 0, 1, 1]))
    >>> t.counted.tolist(), t.nll.round(3).tolist()
    ([False, True, True, True], [nan, 0.139, 3.139, 0.139])
    """
    ids = integers(input_ids, "input_ids")
    ids = ids[0] if ids.ndim == 2 and len(ids) == 1 else ids
    if ids.ndim != 1 or not len(ids):
        raise value_error("input_ids", "the ids of one text, [n] or [1, n]", f"shape {ids.shape}")
    plan = windows
    if plan is None:
        plan = windows_of(len(ids), context=len(ids) + 1, stride=len(ids), bos="none" if bos is None else "every")
    if not isinstance(plan, Windows):
        raise type_error("windows", "a plan made by steelyard.tokens.windows, or None", type(plan).__name__)
    report = reporter(progress)
    nan = np.full(len(ids), np.nan)
    found: dict[str, Any] = {"nll": nan, "log_z": nan.copy(), "counted": np.zeros(len(ids), bool)}
    for done, window in enumerate(plan):
        with called({"bos_id": "bos", "ids": "input_ids"}):
            prompt = window.prompt(ids, bos_id=bos)
        with torch.inference_mode():
            logits = _logits(model(torch.from_numpy(prompt)[None]))
        if len(logits) != len(prompt):
            raise value_error("model", f"logits of each of {len(prompt)} tokens", f"those of {len(logits)}")
        scores = token_scores(logits[window.score], ids[window.targets], ignore_index=None, columns=columns)
        _place(found, scores, window.targets, len(ids))
        found["precision"] = scores.precision
        if report is not None:
            report(done + 1, len(plan))
    return TokenScores(**found)


def _place(found: dict[str, Any], scores: TokenScores, places: slice, n: int) -> None:
    """Put the columns of a window where its tokens stand in the text."""
    for name, column in vars(scores).items():
        if isinstance(column, np.ndarray):
            nothing = {"counted": False, "top": -1}.get(name, np.nan)
            found.setdefault(name, np.full(n, nothing, column.dtype))[places] = column

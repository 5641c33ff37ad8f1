"""Configuration: the number of threads, the instruction-set level, and the versions to state in a bug report."""

from __future__ import annotations

import atexit
import os
import platform
import sys
from types import TracebackType
from typing import Any, Literal, overload

import numpy as np

from . import _core, _exit
from ._options import choice, whole
from .errors import value_error

__all__ = ["show_config", "threads"]

# More than any machine has; the limit keeps a typing error from starting a million threads.
MOST_THREADS = 65_536


def _count(name: str, text: str) -> int:
    """Read a thread count from an environment variable."""
    try:
        n = int(text)
    except ValueError:
        n = 0
    if n < 1:
        raise value_error(f"environment variable {name}", "a whole number of threads, at least 1", repr(text))
    return n


def configure_from_environment() -> None:
    """Apply ``STEELYARD_NUM_THREADS``, else ``OMP_NUM_THREADS``, and ``STEELYARD_ISA``; called at import."""
    try:
        _configure()
    except ValueError as error:
        if _exit.is_command():
            sys.exit(_exit.refuse(error))
        raise


def _configure() -> None:
    n: int | None = None
    if text := os.environ.get("STEELYARD_NUM_THREADS"):
        n = _count("STEELYARD_NUM_THREADS", text)
    elif text := os.environ.get("OMP_NUM_THREADS"):
        # OpenMP allows a list ("4,2") with one count per level of nesting; the first is that of the outer level.
        outer = text.split(",")[0].strip()
        n = int(outer) if outer.isdigit() and int(outer) > 0 else None
    _core.set_default_threads(n)
    atexit.register(_core.stop_attaching)
    if isa := os.environ.get("STEELYARD_ISA"):
        if isa not in _core.isa_available():
            available = ", ".join(_core.isa_available())
            raise value_error(
                "environment variable STEELYARD_ISA",
                f"one of {available} (what this processor has)",
                repr(isa),
            )
        _core.force_isa(isa)


class threads:
    """Set how many threads large calls of this process use, from now on or inside a ``with`` block.

    Results do not depend on the number of threads. The default is ``STEELYARD_NUM_THREADS``, else
    ``OMP_NUM_THREADS``, else the number of cores that CPU affinity and quota allow. A forked child process uses one
    thread until it calls this itself.

    Parameters
    ----------
    n : int or None
        The number of threads, from 1 to 65,536; ``None`` returns to the default.

    Raises
    ------
    TypeError, ValueError
        Where ``n`` is not a whole number in that range.

    Examples
    --------
    >>> import steelyard as sy
    >>> with sy.threads(1):
    ...     sy.show_config(mode="dicts")["threads"]
    1
    """

    def __init__(self, n: int | None) -> None:
        asked = None if n is None else whole(n, "n", 1, MOST_THREADS, "a whole number of threads")
        self._before = _core.asked_threads()
        _core.set_threads(asked)

    def __enter__(self) -> threads:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        _core.set_threads(self._before)

    def __repr__(self) -> str:
        return f"threads({_core.threads()})"


@overload
def show_config(mode: Literal["stdout"] = "stdout") -> None: ...
@overload
def show_config(mode: Literal["dicts"]) -> dict[str, Any]: ...
def show_config(mode: str = "stdout") -> dict[str, Any] | None:
    """Print or return the versions, the instruction-set level and the number of threads.

    Parameters
    ----------
    mode : {"stdout", "dicts"}
        Print, or return a dictionary; the words are those of ``numpy.show_config``.

    Returns
    -------
    dict or None
        With ``mode="dicts"``: ``version``; ``numerics``, the version of the arithmetic (two installations with the same
        number give the same bits; saved states carry a number of their own); ``isa``, the instruction-set level in use;
        ``isa_available``; ``threads``; and the versions of Python, NumPy and the platform.

    Raises
    ------
    TypeError, ValueError
        For any other ``mode``.

    Examples
    --------
    >>> import steelyard as sy
    >>> sorted(sy.show_config(mode="dicts"))[:3]
    ['isa', 'isa_available', 'numerics']
    """
    found: dict[str, Any] = {
        "version": _core.version(),
        "numerics": _core.numerics(),
        "isa": _core.isa(),
        "isa_available": _core.isa_available(),
        "threads": _core.threads(),
        "python": platform.python_version(),
        "numpy": np.__version__,
        "platform": f"{platform.system()} {platform.machine()}",
    }
    if choice(mode, "mode", ("stdout", "dicts")) == "dicts":
        return found
    for key, value in found.items():
        print(f"{key + ':':<15}{', '.join(value) if isinstance(value, list) else value}")
    return None

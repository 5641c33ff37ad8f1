"""A partition that waits until a worker has been killed, so that one certainly dies in the middle of its work."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable
from pathlib import Path

SECONDS = 60


class Killing:
    """A folder in which partitions say that they have begun, and in which process."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    @property
    def begun(self) -> list[int]:
        """The process of each partition that was begun, as often as it was."""
        return [int(path.name.partition("-")[0]) for path in self.folder.glob("*-*")]

    def begin(self) -> None:
        """Called in a worker: a partition has begun; wait until one of those that have been begun is killed."""
        (self.folder / f"{os.getpid()}-{time.monotonic_ns()}").touch()
        self._wait((self.folder / "killed").exists)

    def kill_one(self, after: int) -> int:
        """Kill the process of a partition, once so many have been begun."""
        self._wait(lambda: len(self.begun) >= after)
        pid = self.begun[0]
        os.kill(pid, signal.SIGKILL)
        (self.folder / "killed").touch()
        return pid

    @staticmethod
    def _wait(until: Callable[[], bool]) -> None:
        end = time.monotonic() + SECONDS
        while not until():
            if time.monotonic() > end:
                raise TimeoutError("nothing was killed, or nothing begun")
            time.sleep(0.01)

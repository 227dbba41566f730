"""Whether a process is there, and waiting for what must become true."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from pathlib import Path


def alive(pid: int) -> bool:
    """Whether the process runs; one that has ended and only waits for its parent to notice does not."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    if not Path("/proc/self/stat").exists():
        return True
    try:
        status = Path(f"/proc/{pid}/stat").read_text()
    except (FileNotFoundError, ProcessLookupError):  # it was reaped between the question and the answer
        return False
    return status.rpartition(")")[2].split()[0] != "Z"


def comes_true(claim: Callable[[], bool], *, seconds: float = 10.0) -> bool:
    """Whether `claim()` holds within `seconds`."""
    deadline = time.monotonic() + seconds
    while not claim():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.02)
    return True

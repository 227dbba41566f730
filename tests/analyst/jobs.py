"""Jobs to test the schedule with. They run in processes of their own, so they stand in a module of theirs."""

from __future__ import annotations

import os
import time
from pathlib import Path

from pipeline.analyst import Figures
from pipeline.settings import Settings


def counts(settings: Settings) -> Figures:
    """Done at once: how often it was so far."""
    file = settings.worker_data_dir
    with file.open("a") as lines:
        lines.write(f"{os.getpid()}\n")
    return {"turns": len(file.read_text().split())}


def fails(settings: Settings) -> Figures:
    """Fails with a reason."""
    raise ValueError(f"nothing to count in {settings.topics_prefix}")


def dies(settings: Settings) -> Figures:
    """Ends without a word, as a process out of memory does."""
    os._exit(9)


def never_ends(settings: Settings) -> Figures:
    """Is never done, and says who it is."""
    Path(settings.worker_data_dir).write_text(str(os.getpid()))
    while True:
        time.sleep(60)

"""Where and how a worker under test strikes itself down: `STEP:TIMES`, or `STEP:TIMES:` and STOP, BLOCK or RAISE.

A STEP is one of the engine's, TIMES counts this process's arrivals there. The strike is SIGKILL unless it says STOP
(SIGSTOP), BLOCK (the step never ends) or RAISE (the step fails, and each time it is come to again). `committing` lies
between two steps: the commit is under way in its thread when the signal comes, after a time drawn from a seed.
"""

from __future__ import annotations

import os
import random
import signal
import threading
import time
from collections import Counter
from collections.abc import Callable

from pipeline.engine.task import STEPS

COMMITTING = "committing"
_COMMIT_SECONDS = 0.008
"""A commit takes a few milliseconds on this broker: a strike comes within."""


def striking(strike: str) -> Callable[[str], None]:
    """What the engine calls at each step; strikes this process when it comes to the one named."""
    step, times, name = ([*strike.split(":"), "KILL"])[:3] if strike else ("", "0", "KILL")
    assert step in (*STEPS, COMMITTING, ""), step
    seen: Counter[str] = Counter()

    def strike_now() -> None:
        if name == "BLOCK":
            threading.Event().wait()
        os.kill(os.getpid(), signal.Signals[f"SIG{name}"])

    def strike_soon() -> None:
        time.sleep(random.Random(strike).uniform(0, _COMMIT_SECONDS))
        strike_now()

    def at(reached: str) -> None:
        seen[reached] += 1
        if name == "RAISE" and reached == step and seen[reached] >= int(times):
            raise RuntimeError(f"struck at {step}")
        if seen[reached] != int(times):
            return
        if reached == step:
            strike_now()
        elif (step, reached) == (COMMITTING, "flushed"):
            threading.Thread(target=strike_soon).start()

    return at

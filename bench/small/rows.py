"""The rows of the table: each engine with its guarantee, its command, and how its state is read from its changelog."""

from __future__ import annotations

import json
import struct
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Final

from bench.small.engines import wafa_job
from bench.small.environments import HERE, java_of, python_of
from bench.small.job import Output
from pipeline.engine.changelog import POSITION_KEY

COMMIT_SECONDS: Final = 0.2
"""How often every engine is told to commit. Wafa's closes a partition's transaction after 8,000 records or 0.05 s of
work: under this load, with four partitions, some 0.2 s from one to the next."""

Reading = Callable[[bytes, bytes], Output | None]


@dataclass(frozen=True, slots=True)
class Row:
    """One line of the table. `prepare` gives the command, without what differs from run to run; may raise Absent."""

    name: str
    label: str
    guarantee: str
    prepare: Callable[[], Sequence[str]]
    changelog: str | None = None
    """The changelog's topic; None: state is kept elsewhere."""
    read: Reading | None = None
    is_ours_to_make: bool = False
    """The engine makes no topics itself."""


def _python(lock: str, script: str, *options: str) -> Callable[[], Sequence[str]]:
    return lambda: [str(python_of(lock)), str(HERE / "engines" / script), *options]


def _pair(text: bytes) -> tuple[int, int]:
    count, amount = json.loads(text)
    return count, amount


def read_faust(key: bytes, value: bytes) -> Output:
    return Output(json.loads(key), *_pair(value))


def read_quix(key: bytes, value: bytes) -> Output:
    return Output(json.loads(key.partition(b"|")[0]), *_pair(value))


def read_streams(key: bytes, value: bytes) -> Output:
    return Output(key.decode(), *struct.unpack(">qq", value))


def read_wafa(key: bytes, value: bytes) -> Output | None:
    return None if key == POSITION_KEY else Output(key.decode(), *wafa_job.total_of(value))


ROWS: Final = (
    Row(
        "faust", "Faust", "at least once", _python("faust", "faust_job.py"),
        "{prefix}faust-totals-changelog", read_faust,
    ),
    *(
        Row(
            f"quix-{option}", "Quix Streams", option.replace("-", " "), _python("quix", "quix_job.py", option),
            "changelog__{prefix}quix--small-in--default", read_quix,
        )
        for option in ("at-least-once", "exactly-once")
    ),
    Row("bytewax", "Bytewax", "at least once", _python("bytewax", "bytewax_job.py")),
    *(
        Row(
            f"kafka-streams-{name}", "Kafka Streams (Java)", name.replace("-", " "),
            partial(java_of, option), "{prefix}streams-totals-changelog", read_streams,
        )
        for name, option in (("at-least-once", "at_least_once"), ("exactly-once", "exactly_once_v2"))
    ),
    Row(
        "wafa", "Wafa's engine", "exactly once", lambda: [sys.executable, "-m", "bench.small.engines.wafa_job"],
        "{prefix}state", read_wafa, is_ours_to_make=True,
    ),
    Row(
        "ceiling", "consume, decode, no more", "none",
        lambda: [sys.executable, str(HERE / "engines" / "ceiling.py")],
    ),
)  # fmt: skip
"""In the order of the table; a run goes through them in this order."""

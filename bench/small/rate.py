"""Events a second, by one rule for every engine: from what the broker received, when it received it.

An output names its customer and count, hence the input record behind it, hence how far its partition had come.
`done(t)` is the sum of that over the partitions. The first fifth of what a run did is left out (starting, warming up):
rate = (done(last) - done(first)) / (last - first).
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from statistics import median
from typing import Final

from bench.small.job import Output, Truth

WARM_FRACTION: Final = 0.2


@dataclass(frozen=True, slots=True)
class Run:
    """What one run of one engine came to. `events` were timed; the warm-up is not among them."""

    events: int
    seconds: float
    outputs: int
    complete: bool
    problems: tuple[str, ...] = ()
    engine_cpu_seconds: float | None = None
    broker_cpu_seconds: float | None = None
    others_fraction: float | None = None
    """The share of the machine that neither engine nor broker had while this was timed: above 0.1 look twice."""

    @property
    def events_per_second(self) -> float:
        return self.events / self.seconds


@dataclass(frozen=True, slots=True)
class Timed:
    """What was done between two moments (seconds since 1970)."""

    events: int
    start: float
    end: float


def measure(truth: Truth, received: Iterable[tuple[float, Output]]) -> Timed:
    """What was done after the warm-up, from outputs with the second in which the broker received them."""
    reached = dict.fromkeys(truth.ends, 0)
    course: list[tuple[float, int]] = []
    for at, said in sorted(received):
        cause = truth.causes.get((said.customer, said.count))
        if cause is not None:
            reached[cause.partition] = max(reached[cause.partition], cause.offset + 1)
        if course and course[-1][0] == at:
            course.pop()
        course.append((at, sum(reached.values())))
    if not course:
        raise ValueError("nothing came out")
    last_at, last = course[-1]
    first_at, first = next(each for each in course if each[1] >= last * WARM_FRACTION)
    if last_at <= first_at:
        raise ValueError(f"too few events to time: {last}, all within one millisecond")
    return Timed(last - first, first_at, last_at)


RATIOS: Final = {
    "small_vs_faust": "faust",
    "small_vs_quix_exactly_once": "quix-exactly-once",
    "small_vs_kafka_streams_exactly_once": "kafka-streams-exactly-once",
    "small_vs_ceiling": "ceiling",
}
"""By name: the row that Wafa's is divided by."""


def ratios(rates: dict[str, list[float]]) -> dict[str, float | None]:
    """Wafa's median rate over the other row's; None where either row is absent."""
    medians = {name: median(each) for name, each in rates.items() if each}
    ours = medians.get("wafa")
    return {
        name: ours / medians[other] if ours is not None and other in medians else None for name, other in RATIOS.items()
    }

"""The worker's wall clock jumps: time in the log never goes back, nothing is decided twice, the state stays the core's.

A forward jump is believed: whoever would have been silent for so long is told so. That is why the log is what counts,
and why a wrong clock is the operator's to mend (`docs/operations/runbook.md`).
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

from pipeline import topics
from pipeline.inquiry import scan
from pipeline.schemas import logged
from tests.faults.four_ways import armed, check
from tests.faults.test_workers import WEEKS, chunks
from tests.pipeline.shop import Shop, at

DAY = 86_400.0
TICKS_A_SECOND = {"WAFA_CLOCK_SOURCE": "wall", "WAFA_CLOCK_TICK_SECONDS": "0.2"}


def lately(rounds: int) -> Iterator[list[dict[str, Any]]]:
    """A shop's history that ends now."""
    later = datetime.now(UTC) - at(7 * WEEKS + 4)
    for events in chunks(30, rounds, seed=10):
        yield [
            {**event, "occurred_at": (datetime.fromisoformat(event["occurred_at"]) + later).isoformat()}
            for event in events
        ]


def ticks(shop: Shop) -> list[datetime]:
    """The Ticks as the first partition's customers have seen them."""
    events = (logged.decode(each.value or b"") for each in scan(shop.settings, topics.CUSTOMER_EVENTS, [0]))
    return [event.as_of for event in events if isinstance(event, logged.Tick)]


def test_a_wall_clock_that_jumps_ahead_and_back_never_takes_time_back_and_doubles_nothing(shop: Shop) -> None:
    wrong = shop.folder / "wrong"
    wrong.write_text("0")
    first = armed(shop, FAULTS_CLOCK=str(wrong), **TICKS_A_SECOND)
    pieces = list(lately(3))
    shop.publish(pieces[0])
    shop.wait(lambda: len(ticks(shop)) > 2, "time passes")
    now = ticks(shop)[-1]

    wrong.write_text(str(20 * DAY))
    shop.publish(pieces[1])
    shop.wait(lambda: (ticks(shop)[-1] - now).total_seconds() > 19 * DAY, "it is weeks later")

    wrong.write_text(str(-20 * DAY))
    appended = controls(shop)
    shop.wait(lambda: controls(shop) > appended + 2, "the clock says what it believes, weeks back")
    shop.publish(pieces[2])
    first.kill()
    wrong.write_text("0")
    second = armed(shop, FAULTS_CLOCK=str(wrong), **TICKS_A_SECOND)  # and the next one's is right again
    shop.wait(lambda: second.metric('wafa_worker_state{state="running"}') == 1, "it works")

    wrong.write_text(str(21 * DAY))
    before = len(ticks(shop))
    shop.wait(lambda: len(ticks(shop)) > before, "once past where it was, time goes on")
    seen = ticks(shop)
    assert seen == sorted(set(seen)), "time in the log only goes forward"
    second.end()
    armed(shop)  # without a clock of its own, so that it comes to rest
    check(shop, published=sum(map(len, pieces)))


def controls(shop: Shop) -> int:
    """How many controls were appended, those that nobody heeds included."""
    return sum(1 for _ in scan(shop.settings, topics.CONTROLS))

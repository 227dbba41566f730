"""The worker's wall clock jumps: nobody is taken for silent, time in the log never goes back, nothing is decided twice.

What a clock ahead of the broker's says is refused; one that is right again goes on (`docs/operations/runbook.md`).
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
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


def test_a_wall_clock_that_jumps_ahead_and_back_tells_nobody_that_weeks_have_passed_and_doubles_nothing(
    shop: Shop,
) -> None:
    wrong = shop.folder / "wrong"
    wrong.write_text("0")
    first = armed(shop, FAULTS_CLOCK=str(wrong), **TICKS_A_SECOND)
    pieces = list(lately(3))
    shop.publish(pieces[0])
    shop.wait(lambda: len(ticks(shop)) > 2, "time passes")
    now = ticks(shop)[-1]

    wrong.write_text(str(20 * DAY))
    shop.publish(pieces[1])
    shop.wait(lambda: first.metric("wafa_ticks_refused_total") > 2, "it would be weeks later")

    wrong.write_text(str(-20 * DAY))
    appended = controls(shop)
    shop.wait(lambda: controls(shop) > appended + 2, "the clock says what it believes, weeks back")
    assert ticks(shop)[-1] - now < timedelta(days=1)
    shop.publish(pieces[2])
    first.kill()
    second = armed(shop, FAULTS_CLOCK=str(wrong), **TICKS_A_SECOND)
    shop.wait(lambda: second.metric('wafa_worker_state{state="running"}') == 1, "it works")

    before = len(ticks(shop))
    wrong.write_text("0")
    shop.wait(lambda: len(ticks(shop)) > before + 2, "once it is right, time goes on")
    seen = ticks(shop)
    assert seen == sorted(set(seen)), "time in the log only goes forward"
    assert seen[-1] <= datetime.now(UTC)
    second.end()
    armed(shop)  # without a clock of its own, so that it comes to rest
    check(shop)


def controls(shop: Shop) -> int:
    """How many controls were appended, those that nobody heeds included."""
    return sum(1 for _ in scan(shop.settings, topics.CONTROLS))

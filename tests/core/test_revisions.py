"""Channel costs counted anew: one source a month, revised when changed, what is odd named, within bounds."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest

from pipeline.core.acquisition import WHOLE
from pipeline.core.controls import INITIAL, SCOPES_MAX, Controls, adopt, scope_of
from pipeline.core.revisions import CHANNELS_MAX, Odd, Remark, Revised, Spend, Won, revised
from tests.core.builders import day
from tests.core.test_acquisition import revised as told

Place = tuple[str, str]
JANUARY = ("search", "2026-01")


def counted(
    controls: Controls = INITIAL, events: Mapping[Place, int] | None = None,
    file: Mapping[Place, int | None] | None = None, won: Mapping[Place, int] | None = None, *, on: float = 60,
) -> Revised:  # fmt: skip
    """The revisions of day `on`; `won` customers are each one channel's alone."""
    customers = won or {}
    parts = {place: count * WHOLE for place, count in customers.items()}
    return revised(controls, Spend(events or {}, file or {}), Won(parts, customers), day(on))


def after(controls: Controls, found: Revised) -> Controls:
    """The controls with the revisions in force."""
    for each in found.revisions:
        controls = adopt(controls, each)
    return controls


def amounts(found: Revised) -> list[tuple[int, int, str]]:
    """(spent, customers, who tells it) of each revision."""
    return [(each.spend_minor, each.acquisitions, each.told_by) for each in found.revisions]


def test_spend_by_costs_becomes_a_revision_late_spend_a_second_and_nothing_new_none() -> None:
    first = counted(events={JANUARY: 1_000}, won={JANUARY: 2})
    assert amounts(first) == [(1_000, 2, "events")]
    assert (first.revisions[0].version, first.revisions[0].shares) == (1, 2 * WHOLE)
    controls = after(INITIAL, first)
    late = counted(controls, {JANUARY: 1_600}, won={JANUARY: 2}, on=61)
    assert [(each.spend_minor, each.version) for each in late.revisions] == [(1_600, 2)]
    assert counted(after(controls, late), {JANUARY: 1_600}, won={JANUARY: 2}, on=62).revisions == ()


def test_a_customer_more_is_a_revision_too() -> None:
    controls = after(INITIAL, counted(events={JANUARY: 1_000}, won={JANUARY: 2}))
    assert amounts(counted(controls, {JANUARY: 1_000}, won={JANUARY: 3}, on=61)) == [(1_000, 3, "events")]


def test_a_file_stands_in_the_place_of_the_costs_until_it_gives_the_month_back() -> None:
    controls = after(INITIAL, counted(events={JANUARY: 1_000}, won={JANUARY: 1}))
    by_file = counted(controls, {JANUARY: 1_000}, {JANUARY: 1_500}, {JANUARY: 1}, on=61)
    assert amounts(by_file) == [(1_500, 1, "file")]
    assert by_file.remarks == (Remark(Odd.TOLD_TWICE, *JANUARY, 1_000),)
    controls = after(controls, by_file)
    later = counted(controls, {JANUARY: 1_100}, won={JANUARY: 1}, on=62)
    assert later.revisions == (), "more costs change nothing"
    assert later.remarks == (Remark(Odd.TOLD_TWICE, *JANUARY, 1_100),), "but are named, every time"
    back = counted(controls, {JANUARY: 1_100}, {JANUARY: None}, {JANUARY: 1}, on=63)
    assert amounts(back) == [(1_100, 1, "events")]
    assert back.remarks == ()


def test_a_revision_from_before_costs_were_counted_is_the_files() -> None:
    controls = adopt(INITIAL, told("search", 500, 1, parts=WHOLE))
    assert counted(controls, {JANUARY: 9}, won={JANUARY: 1}).revisions == ()


def test_a_file_may_say_that_nothing_was_spent() -> None:
    assert amounts(counted(events={JANUARY: 9}, file={JANUARY: 0})) == [(0, 0, "file")]


@pytest.mark.parametrize(
    ("events", "won", "remark", "is_revised"),
    [
        ({JANUARY: 70}, {}, Remark(Odd.NOBODY_WON, *JANUARY, 70), True),
        ({JANUARY: -70}, {JANUARY: 1}, Remark(Odd.BELOW_ZERO, *JANUARY, -70), True),
        ({("", "2026-01"): 70}, {}, Remark(Odd.NO_CHANNEL, "", "2026-01", 70), False),
    ],
)
def test_what_is_odd_is_named_and_named_again_while_it_lasts(
    events: Any,
    won: Any,
    remark: Remark,
    is_revised: bool,  # noqa: FBT001 - a column of the table
) -> None:
    found = counted(events=events, won=won)
    assert found.remarks == (remark,)
    assert bool(found.revisions) is is_revised
    again = counted(after(INITIAL, found), events, won=won, on=61)
    assert (again.revisions, again.remarks) == ((), (remark,))


def test_a_month_of_which_all_was_taken_back_is_no_revision_and_nothing_odd() -> None:
    assert counted(events={JANUARY: 0}) == Revised((), (), 0)


def test_of_more_channels_than_there_is_place_for_those_that_spent_most_are_kept_and_the_rest_named() -> None:
    events = {(f"c{number:03}", "2026-01"): 1_000 + number for number in range(CHANNELS_MAX + 2)}
    found = counted(events=events, won=dict.fromkeys(events, 1))
    assert len(found.revisions) == found.months == CHANNELS_MAX
    assert found.remarks == (
        Remark(Odd.TOO_MANY, "c000", "2026-01", 1_000), Remark(Odd.TOO_MANY, "c001", "2026-01", 1_001),
    )  # fmt: skip
    later = counted(after(INITIAL, found), {**events, ("c000", "2026-01"): 10**9}, won=dict.fromkeys(events, 1), on=61)
    assert [each.channel for each in later.revisions] == [], "who has a place keeps it"
    assert later.remarks[0] == Remark(Odd.TOO_MANY, "c000", "2026-01", 10**9)


def test_when_all_places_are_taken_the_latest_month_has_the_last_one() -> None:
    months = [f"{2000 + number // 12}-{number % 12 + 1:02}" for number in range(SCOPES_MAX + 1)]
    before = {month: told("search", 1, 1, month=month) for month in months[: SCOPES_MAX - 1]}
    controls = Controls(
        latest={scope_of(each): each for each in before.values()},
        spent={month: {"search": each} for month, each in before.items()},
    )
    events = {("search", month): 5 for month in months[SCOPES_MAX - 1 :]}
    found = counted(controls, events, won={("search", month): 1 for month in months})
    assert {each.cohort_month for each in found.revisions} - set(months[: SCOPES_MAX - 1]) == {months[-1]}
    assert [each for each in found.remarks if each.odd is Odd.TOO_MANY] == [
        Remark(Odd.TOO_MANY, "search", months[SCOPES_MAX - 1], 5)
    ]
    newest = ("search", "2999-12")
    later = counted(after(controls, found), {newest: 10**9}, won={newest: 1}, on=61)
    assert Remark(Odd.TOO_MANY, *newest, 10**9) in later.remarks, "who has a place keeps it, whatever the month"
    assert newest[1] not in {each.cohort_month for each in later.revisions}


def test_a_revision_dated_by_a_clock_that_was_ahead_does_not_stand_for_ever() -> None:
    controls = after(INITIAL, counted(events={JANUARY: 1_000}, won={JANUARY: 1}, on=4_000))
    mended = counted(controls, {JANUARY: 1_200}, won={JANUARY: 1}, on=61)
    assert mended.remarks == ()
    assert after(controls, mended).latest["ChannelCostRevised/search/2026-01"].spend_minor == 1_200


def test_two_that_count_at_once_do_no_harm_in_whatever_order_their_revisions_come() -> None:
    early = counted(events={JANUARY: 1_000}, won={JANUARY: 1}, on=60).revisions
    late = counted(events={JANUARY: 1_300}, won={JANUARY: 2}, on=60.1).revisions
    for order in ((*early, *late), (*late, *early), (*late, *late, *early)):
        controls = INITIAL
        for each in order:
            controls = adopt(controls, each)
        (in_force,) = (each for each in controls.latest.values())
        assert in_force == late[0]

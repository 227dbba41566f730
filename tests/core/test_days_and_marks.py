"""Days are the shop's, zone data is the pinned wheel's, and ids are the same from the same."""

from __future__ import annotations

import zoneinfo
from datetime import UTC, date, datetime
from importlib.metadata import version
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.core.codec import VERSION, UnknownVersion, pack, peek, unpack
from pipeline.core.days import EPOCH_ORDINAL, date_of, day_of, month_of_year, running_month
from pipeline.core.marks import MARK_BYTES, event_mark, is_marked, mark, spread, trigger_id
from pipeline.core.profile import Profile
from tests.core.lives import STEADY

ZONES = ("UTC", "Europe/Berlin", "Asia/Tehran", "Asia/Kathmandu", "Pacific/Apia", "America/St_Johns", "Africa/Monrovia")


@STEADY
@given(st.integers(0, 4_000_000_000), st.sampled_from(ZONES))
def test_a_day_is_the_calendar_day_in_the_zone(at: int, zone: str) -> None:
    expected = datetime.fromtimestamp(at, UTC).astimezone(ZoneInfo(zone)).date()
    assert date_of(day_of(at, zone)) == expected.isoformat()


@pytest.mark.parametrize(
    ("at", "zone", "on"),
    [
        ("2026-03-28T22:59:59Z", "Europe/Berlin", "2026-03-28"),  # 23:59:59, the night before summer time
        ("2026-03-28T23:00:00Z", "Europe/Berlin", "2026-03-29"),
        ("2026-03-29T21:59:59Z", "Europe/Berlin", "2026-03-29"),  # a day of 23 hours
        ("2026-03-29T22:00:00Z", "Europe/Berlin", "2026-03-30"),
        ("2011-12-30T09:59:59Z", "Pacific/Apia", "2011-12-29"),  # Samoa had no 30 December in 2011
        ("2011-12-30T10:00:00Z", "Pacific/Apia", "2011-12-31"),
    ],
)
def test_days_where_clocks_change(at: str, zone: str, on: str) -> None:
    assert date_of(day_of(int(datetime.fromisoformat(at).timestamp()), zone)) == on


@pytest.mark.parametrize(
    ("on", "running", "of_year"),
    [
        ("1969-12-31", 1969 * 12 + 11, 11),
        ("1970-01-01", 1970 * 12, 0),
        ("2025-12-31", 2025 * 12 + 11, 11),
        ("2026-01-01", 2026 * 12, 0),
        ("2027-01-31", 2027 * 12, 0),
    ],
)
def test_months_are_counted_on_over_the_years_or_anew_in_each(on: str, running: int, of_year: int) -> None:
    day = date.fromisoformat(on).toordinal() - EPOCH_ORDINAL
    assert (running_month(day), month_of_year(day)) == (running, of_year)


def test_zone_data_is_the_pinned_wheels_and_not_the_machines() -> None:
    assert zoneinfo.TZPATH == ()
    assert version("tzdata")


def test_marks_are_found_whole_and_only_whole() -> None:
    marks = [event_mark("shop", f"{number}") for number in range(32)]
    together = b"".join(marks)
    assert all(len(each) == MARK_BYTES and is_marked(together, each) for each in marks)
    assert not is_marked(together, event_mark("shop", "32"))
    assert not is_marked(together, together[1 : 1 + MARK_BYTES])
    assert not is_marked(b"", marks[0])
    repeated = b"\x01" * (2 * MARK_BYTES)
    assert is_marked(b"\x00" * MARK_BYTES + repeated, b"\x01" * MARK_BYTES)
    assert not is_marked(b"\x00\x01\x01\x01\x01" + b"\x01\x00\x00\x00\x00", b"\x01" * MARK_BYTES)


def test_a_source_and_an_id_are_not_confused() -> None:
    assert event_mark("shop", "1") == event_mark("shop", "1")
    assert (
        len({event_mark("shop", "1"), event_mark("shop1", ""), event_mark("sho", "p1"), event_mark("", "shop1")}) == 4
    )


def test_trigger_ids_are_of_customer_rule_key_and_edition_and_of_nothing_else() -> None:
    one = trigger_id("c", "win_back", "2026-01-01", 1)
    assert trigger_id("c", "win_back", "2026-01-01", 1) == one
    others = {trigger_id("d", "win_back", "2026-01-01", 1), trigger_id("c", "retention_offer", "2026-01-01", 1),
              trigger_id("c", "win_back", "2026-01-02", 1), trigger_id("c", "win_back", "2026-01-01", 2)}  # fmt: skip
    assert len(others | {one}) == 5


def test_customers_are_spread_evenly_and_for_good() -> None:
    places = [spread(f"customer {number}", 24) for number in range(24_000)]
    assert places == [spread(f"customer {number}", 24) for number in range(24_000)]
    assert all(800 < places.count(hour) < 1_200 for hour in range(24))


def test_marks_fit_where_they_are_kept() -> None:
    assert all(0 <= mark(f"order {number}") < 2**63 for number in range(10_000))


def test_a_glance_tells_what_unpacking_does() -> None:
    packed = pack(Profile(first_seen_at=1, as_of=2, next_review_at=77, stage=2, lifecycle=5))
    assert peek(packed) == (77, "collaborative", "won_back")


def test_bytes_of_another_version_are_not_guessed_at() -> None:
    packed = bytes([VERSION + 1]) + pack(Profile(first_seen_at=1, as_of=2))[1:]
    for read in (unpack, peek):
        with pytest.raises(UnknownVersion, match=f"expected version 1 to {VERSION}, got {VERSION + 1}"):
            read(packed)

"""What is said of the brand, counted by day and platform: each mention once, and nothing else."""

from __future__ import annotations

import msgspec
import pytest

from pipeline.agents.reputation import SEEN_MAX, Reputation
from pipeline.engine.processor import Batch, Outbox, State
from pipeline.engine.transport import FetchedRecord
from pipeline.schemas.mentions import Mention, ReputationDay


def batch(*values: bytes | None, first: int = 0) -> Batch:
    """Records of these values."""
    records = [
        FetchedRecord("mentions", 0, first + at, 1_772_452_800_000, b"2026-03-02", value, ())
        for at, value in enumerate(values)
    ]
    return Batch("mentions", 0, records, first + len(records), flush=False)


def said(name: str, sentiment: float | None = None, reach: int = 0) -> bytes:
    """A mention on Mastodon on a day in March."""
    mention = Mention(mention=name, day="2026-03-02", platform="mastodon", sentiment=sentiment, reach=reach)
    return msgspec.json.encode(mention)


def the_day(state: State) -> ReputationDay:
    """That day on Mastodon."""
    return msgspec.json.decode(state.get(b"2026-03-02/mastodon") or b"", type=ReputationDay)


@pytest.mark.parametrize(
    "stray",
    [None, b"", b"\xff\xfe", b"not json", b"[]", b'{"mention": "c"}', b'{"mention": 1, "day": "x", "platform": "y"}'],
)
def test_what_is_no_mention_is_passed_over_and_the_rest_counts(stray: bytes | None) -> None:
    state = State()
    taken = Reputation(state).process(batch(said("a", 0.5, 100), stray, said("b", -0.25, 11)), state, Outbox())
    assert taken == 3
    day = the_day(state)
    assert (day.mentions, day.reach, day.sentiment_sum) == (2, 111, 0.25)


def test_a_mention_told_again_counts_once_also_by_who_comes_after() -> None:
    state = State()
    Reputation(state).process(batch(said("a"), said("b"), said("a")), state, Outbox())
    Reputation(state).process(batch(said("b"), said("c"), first=3), state, Outbox())
    assert the_day(state).mentions == 3


def test_of_mentions_long_ago_no_more_is_remembered_than_is_stated() -> None:
    state = State()
    processor = Reputation(state)
    processor.process(batch(*(said(str(number)) for number in range(SEEN_MAX + 1))), state, Outbox())
    processor.process(batch(said(str(SEEN_MAX)), said("1"), first=SEEN_MAX + 1), state, Outbox())
    assert the_day(state).mentions == SEEN_MAX + 1
    processor.process(batch(said("0"), first=SEEN_MAX + 3), state, Outbox())
    assert the_day(state).mentions == SEEN_MAX + 2

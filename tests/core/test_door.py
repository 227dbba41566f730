"""At the door: what the log may hold goes in, what names a person goes beside it, what cannot be right is refused."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta, timezone
from typing import Any

import msgspec
import pytest

from pipeline.core.door import AHEAD_MAX, Admitted, Refusal, Shop, admit
from pipeline.core.rates import Rates, read_rates
from pipeline.schemas import logged
from pipeline.schemas.dead_letters import Reason
from pipeline.schemas.events import AMOUNT_MINOR_MAX, InboundEvent
from tests.core.builders import day
from tests.core.inbound import KINDS, TELLING, inbound, telling

SHOP = Shop("EUR", read_rates("date,currency,rate\n2026-01-01,USD,0.9\n2026-01-01,JPY,0.006\n2026-01-01,KWD,1e9\n"))


def let_in(event: InboundEvent, shop: Shop = SHOP, **given: Any) -> Admitted:
    """The event let in."""
    admitted = admit(event, received_at=day(0), shop=shop, **given)
    assert isinstance(admitted, Admitted), admitted
    return admitted


def entry(kind: str, **fields: Any) -> Any:
    """What the log keeps of an event."""
    return let_in(inbound(kind, **fields)).logged


def refusal(kind: str, **fields: Any) -> Refusal:
    """Why an event is not let in."""
    refused = admit(inbound(kind, **fields), received_at=day(0), shop=SHOP)
    assert isinstance(refused, Refusal), refused
    return refused


# -- nobody is named ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", KINDS)
def test_nothing_that_names_a_person_and_no_free_text_gets_into_the_log(kind: str) -> None:
    admitted = let_in(telling(kind))
    log = logged.encode(admitted.logged).decode().lower()
    mention = (admitted.mention or b"").decode().lower()
    for secret in TELLING:
        assert secret not in log
        assert secret not in mention


@pytest.mark.parametrize("kind", KINDS)
def test_what_goes_into_the_log_comes_back_from_it(kind: str) -> None:
    kept = let_in(telling(kind)).logged
    assert logged.decode(logged.encode(kept)) == kept
    assert type(kept).__name__ == kind
    assert (kept.id, kept.source, kept.occurred_at, kept.received_at) == (f"{kind}-1", "shop", day(0), day(0))


def test_how_to_reach_them_goes_beside_the_log_and_the_log_says_that_it_can() -> None:
    admitted = let_in(telling("CustomerIdentified"))
    address = msgspec.json.decode(admitted.address or b"")
    assert address["email"] == "secret@example.org"
    assert address["postal_address"] == "Secret Street 1"
    assert "customer_id" not in address
    assert isinstance(admitted.logged, logged.CustomerIdentified)
    assert admitted.logged.reachable_by == ("email", "phone", "handle")


@pytest.mark.parametrize(
    "kind",
    ["TouchRecorded", "ContactMade", "ConsentChanged", "MentionPosted", "ReviewPosted", "SurveyAnswered",
     "TicketOpened", "TicketUpdated", "TicketResolved"],
)  # fmt: skip
def test_words_go_beside_the_log(kind: str) -> None:
    written = msgspec.json.decode(let_in(telling(kind)).text or b"")
    assert (written["event"], written["text"]) == (kind, "secret words")
    assert let_in(inbound(kind)).text is None


def test_of_a_page_they_came_from_only_the_host_is_kept() -> None:
    assert entry("TouchRecorded", referrer="https://u:p@Search.Example:8080/a?q=b").referrer_host == "search.example"
    assert entry("TouchRecorded", referrer="search.example/a").referrer_host == "search.example"
    assert entry("TouchRecorded", referrer="https://[broken").referrer_host is None


def test_a_mention_leaves_a_trace_without_who_and_what() -> None:
    trace = msgspec.json.decode(let_in(telling("MentionPosted")).mention or b"")
    assert set(trace) == {"mention", "day", "platform", "sentiment", "reach"}
    other = msgspec.json.decode(let_in(inbound("MentionPosted", mention_id="p2")).mention or b"")
    assert trace["mention"] != other["mention"]
    assert let_in(telling("ReviewPosted")).mention is None


def test_of_the_friend_a_referral_brought_the_log_has_the_pseudonym() -> None:
    assert let_in(telling("ReferralMade")).logged.referred_customer_id is None
    admitted = let_in(telling("ReferralMade"), referred_customer_id="pseudonym")
    assert admitted.logged.referred_customer_id == "pseudonym"


# -- time -------------------------------------------------------------------------------------------------------------


def test_an_event_from_the_future_is_refused_beyond_five_minutes() -> None:
    assert entry("OrderShipped", occurred_at=(day(0) + AHEAD_MAX).isoformat())
    late = (day(0) + AHEAD_MAX + timedelta(milliseconds=1)).isoformat()
    refused = refusal("OrderShipped", occurred_at=late)
    assert refused.reason is Reason.TOO_FAR_AHEAD
    assert refused.problems == ("occurred_at: expected at most 0:05:00 after its arrival, got 0:05:00.001000 after",)


def test_the_past_is_no_reason_to_refuse() -> None:
    assert entry("OrderShipped", occurred_at="1990-01-01T00:00:00Z").occurred_at == datetime(1990, 1, 1, tzinfo=UTC)


def test_times_are_kept_in_utc_to_the_millisecond() -> None:
    teheran = timezone(timedelta(hours=3, minutes=30))
    at = datetime(2026, 1, 1, 15, 0, 0, 123_999, tzinfo=teheran)
    assert entry("OrderShipped", occurred_at=at.isoformat()).occurred_at == datetime(
        2026, 1, 1, 11, 30, 0, 123_000, tzinfo=UTC
    )
    promised = entry("OrderPromised", promised_at=at.isoformat()).promised_at
    assert promised == datetime(2026, 1, 1, 11, 30, 0, 123_000, tzinfo=UTC)


# -- money ------------------------------------------------------------------------------------------------------------


def test_the_shops_own_currency_stays_as_it_is() -> None:
    kept = entry("OrderCompleted", discount_minor=50)
    assert (kept.revenue_minor, kept.discount_minor, kept.currency) == (1_050, 50, "EUR")
    assert (kept.paid_minor, kept.paid_currency, kept.rate_on) == (None, None, None)


def test_another_currency_is_converted_and_what_was_paid_stands_beside_it() -> None:
    items = [{"product_id": "p", "amount_minor": 1_000}]
    kept = entry("OrderCompleted", currency="USD", discount_minor=500, items=items)
    assert (kept.revenue_minor, kept.discount_minor, kept.items[0].amount_minor) == (945, 450, 900)  # x 0.9
    assert (kept.currency, kept.paid_minor, kept.paid_currency) == ("EUR", 1_050, "USD")
    assert kept.rate_on == date(2026, 1, 1)


def test_a_currency_without_cents_is_converted_to_cents() -> None:
    assert entry("OrderCompleted", currency="JPY", revenue_minor=1_000).revenue_minor == 600  # 1000 x 0.006 = 6.00


def test_refunds_costs_and_service_costs_are_converted_too() -> None:
    kept = entry("OrderRefunded", amount_minor=1_000, currency="USD")
    assert (kept.amount_minor, kept.currency, kept.paid_minor, kept.paid_currency) == (900, "EUR", 1_000, "USD")
    whole = entry("OrderRefunded", currency="USD")
    assert (whole.amount_minor, whole.currency) == (None, "EUR")
    kept = entry("CostRecorded", amount_minor=-1_000, currency="USD")
    assert (kept.amount_minor, kept.currency) == (-900, "EUR")
    assert entry("TicketOpened", service_cost_minor=1_000, currency="USD").service_cost_minor == 900
    kept = entry("ReferralMade", reward_minor=1_000, currency="USD")
    assert (kept.reward_minor, kept.currency) == (900, "EUR")


_AMOUNT = {"TicketOpened": {"service_cost_minor": 1}, "ReferralMade": {"reward_minor": 1}}


@pytest.mark.parametrize("kind", ["OrderCompleted", "OrderRefunded", "CostRecorded", "TicketOpened", "ReferralMade"])
def test_money_without_a_rate_is_refused(kind: str) -> None:
    refused = refusal(kind, currency="GBP", **_AMOUNT.get(kind, {}))
    assert refused.reason is Reason.NO_RATE
    assert refused.problems == ("currency: expected one with a rate for 2026-01-01, got GBP",)
    refused = refusal("OrderCompleted", currency="USD", occurred_at="2025-12-31T00:00:00Z")
    assert refused.reason is Reason.NO_RATE, "the first rate is of the next day"


def test_an_amount_that_grows_beyond_reason_is_refused() -> None:
    refused = refusal("OrderCompleted", currency="KWD", revenue_minor=AMOUNT_MINOR_MAX)
    assert refused.reason is Reason.SCHEMA_VIOLATION
    assert "amount: expected at most 1000000000000 minor units of EUR" in refused.problems[0]


# -- what is learned --------------------------------------------------------------------------------------------------


def test_sentiment_is_the_sources_or_else_the_readers_and_texts_alone_are_read() -> None:
    read: list[str] = []

    def reader(text: str, language: str | None) -> tuple[float | None, str | None]:
        read.append(text)
        return 0.25, language or "en"

    shop = Shop("EUR", Rates(), reader)
    given = let_in(inbound("MentionPosted", text="so", sentiment=-1.0), shop).logged
    toned = let_in(inbound("MentionPosted", text="so", tone="negative"), shop).logged
    assert (given.sentiment, toned.sentiment, read) == (-1.0, -0.5, [])
    told = let_in(inbound("MentionPosted", text="well"), shop).logged
    assert (told.sentiment, told.language) == (0.25, "en")
    assert let_in(inbound("TicketOpened", text="hm"), shop).logged.sentiment == 0.25
    assert let_in(inbound("TicketOpened"), shop).logged.sentiment is None
    assert read == ["well", "hm"]


@pytest.mark.parametrize(
    ("rating", "lowest", "highest", "fraction"), [(1, 1, 5, 0), (5, 1, 5, 1), (3, 1, 5, 0.5), (7.5, 0, 10, 0.75)]
)
def test_a_rating_is_kept_as_a_share_of_its_scale(
    rating: float, lowest: float, highest: float, fraction: float
) -> None:
    kept = entry("ReviewPosted", rating=float(rating), rating_min=float(lowest), rating_max=float(highest))
    assert kept.rating_fraction == fraction


@pytest.mark.parametrize(("priority", "severity"), [("urgent", 5), ("high", 4), ("normal", 3), ("low", 2)])
def test_a_tickets_priority_stands_for_a_severity_that_is_not_given(priority: str, severity: int) -> None:
    assert entry("TicketOpened", priority=priority).severity == severity
    assert entry("TicketOpened", priority=priority, severity=1).severity == 1

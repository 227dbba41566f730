"""An inbound event as the customer's log keeps it: learned facts and the shop's currency, no identifier, no text.

The log's contract (`schemas.logged`) names what is kept: of an inbound event exactly the fields of that name go over,
and with them what is reckoned here. Direct identifiers and free text have no name there, so they cannot.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from hashlib import blake2b
from typing import Any, Final, get_args
from urllib.parse import urlsplit

import msgspec

from pipeline.core.rates import Rates
from pipeline.schemas import events, logged
from pipeline.schemas.dead_letters import Reason
from pipeline.schemas.events import AMOUNT_MINOR_MAX, EARLIEST, InboundEvent

_SEVERITY_OF_PRIORITY: Final = {"urgent": 5, "high": 4, "normal": 3, "low": 2}
_SENTIMENT_OF_TONE: Final = {"positive": 0.5, "neutral": 0.0, "negative": -0.5}
_HOST_CHARS_MAX: Final = 100

ReadSentiment = Callable[[str, str | None], tuple[float | None, str | None]]
"""(text, language) -> (sentiment -1..1, language); None for what cannot be told."""


def read_nothing(text: str, language: str | None) -> tuple[float | None, str | None]:
    """A reader that cannot tell: sentiment stays what the source says."""
    del text
    return None, language


@dataclass(frozen=True, slots=True)
class Shop:
    """What the door needs to know of the shop: currency, rates for the others, who reads texts, since when it is."""

    currency: str
    rates: Rates
    sentiment: ReadSentiment = read_nothing
    opened_at: datetime = EARLIEST
    """Nothing can have happened before: a clock that stands at its maker's default says such dates."""


class NotAdmitted(Exception):
    """The event cannot be put into the log. Never leaves `core`: `door.admit` returns it as a refusal."""

    def __init__(self, reason: Reason, problem: str) -> None:
        super().__init__(problem)
        self.reason = reason
        self.problem = problem


def utc(at: datetime) -> datetime:
    """The instant in UTC, cut to milliseconds: as fine as Kafka tells time."""
    if at.utcoffset():
        at = at.astimezone(UTC)
    return datetime(at.year, at.month, at.day, at.hour, at.minute, at.second, at.microsecond // 1000 * 1000, UTC)


def mention_hash(platform: str, mention_id: str) -> str:
    """What tells two mentions apart without leading to who wrote them."""
    return blake2b(f"{platform}/{mention_id}".encode(), digest_size=16).hexdigest()


def entry_of(event: InboundEvent, at: datetime, received_at: datetime, shop: Shop) -> logged.CustomerEvent:
    """The log's event of an inbound one. `at` is its `occurred_at` in UTC. Raises NotAdmitted."""
    kind = event.__class__
    fields = {**event.__dict__, "occurred_at": at, "received_at": received_at}
    reckon = _RECKONED.get(kind)
    if reckon is not None:
        fields |= reckon(event, at, shop)
    entry: logged.CustomerEvent = msgspec.convert(fields, _ENTRIES[kind], from_attributes=True)
    return entry


class _Exchange:
    """The amounts of one event, to the shop's currency at the rate of its day. Raises NotAdmitted."""

    __slots__ = ("_currency", "_rate", "_shop_currency", "rate_on")

    def __init__(self, currency: str, at: datetime, shop: Shop) -> None:
        rate = shop.rates.rate(currency, at.date())
        if rate is None:
            problem = f"currency: expected one with a rate for {at.date()}, got {currency}"
            raise NotAdmitted(Reason.NO_RATE, problem)
        self._currency = currency
        self._shop_currency = shop.currency
        self._rate = rate
        self.rate_on = rate.since

    def __call__(self, amount_minor: int) -> int:
        converted = self._rate.convert(amount_minor, self._currency, self._shop_currency)
        if abs(converted) > AMOUNT_MINOR_MAX:
            problem = f"amount: expected at most {AMOUNT_MINOR_MAX} minor units of {self._shop_currency}, got more"
            raise NotAdmitted(Reason.SCHEMA_VIOLATION, problem)
        return converted

    def items(self, given: tuple[events.Item, ...]) -> list[dict[str, Any]]:
        return [{**item.__dict__, "amount_minor": self(item.amount_minor)} for item in given]


def _order(event: events.OrderCompleted, at: datetime, shop: Shop) -> dict[str, Any]:
    if event.currency == shop.currency:
        return {}
    exchange = _Exchange(event.currency, at, shop)
    return {
        "revenue_minor": exchange(event.revenue_minor),
        "currency": shop.currency,
        "discount_minor": exchange(event.discount_minor),
        "items": exchange.items(event.items),
        "commission_minor": None if event.commission_minor is None else exchange(event.commission_minor),
        "paid_minor": event.revenue_minor,
        "paid_currency": event.currency,
        "rate_on": exchange.rate_on,
    }


def _refund(event: events.OrderRefunded, at: datetime, shop: Shop) -> dict[str, Any]:
    if event.currency is None or event.currency == shop.currency:
        return {}
    exchange = _Exchange(event.currency, at, shop)
    amount_minor = None if event.amount_minor is None else exchange(event.amount_minor)
    return {
        "amount_minor": amount_minor,
        "currency": shop.currency,
        "items": exchange.items(event.items),
        "paid_minor": event.amount_minor,
        "paid_currency": event.currency,
        "rate_on": exchange.rate_on,
    }


def _cost(event: events.CostRecorded, at: datetime, shop: Shop) -> dict[str, Any]:
    if event.currency == shop.currency:
        return {}
    return {"amount_minor": _Exchange(event.currency, at, shop)(event.amount_minor), "currency": shop.currency}


def _identified(event: events.CustomerIdentified, at: datetime, shop: Shop) -> dict[str, Any]:
    del at, shop
    ways = (("email", event.email), ("phone", event.phone), ("handle", event.handle or event.handles))
    return {"reachable_by": [kind for kind, value in ways if value]}


def _touch(event: events.TouchRecorded, at: datetime, shop: Shop) -> dict[str, Any]:
    del at, shop
    return {"referrer_host": _host(event.referrer)} if event.referrer else {}


def _host(url: str) -> str | None:
    try:
        host = urlsplit(url if "//" in url else f"//{url}").hostname
    except ValueError:
        return None
    return host[:_HOST_CHARS_MAX] if host else None


def _promise(event: events.OrderPromised, at: datetime, shop: Shop) -> dict[str, Any]:
    del at, shop
    return {"promised_at": utc(event.promised_at)}


def _consent(event: events.ConsentChanged, at: datetime, shop: Shop) -> dict[str, Any]:
    del at, shop
    return {} if event.valid_until is None else {"valid_until": utc(event.valid_until)}


def _mention(event: events.MentionPosted, at: datetime, shop: Shop) -> dict[str, Any]:
    del at
    given = event.sentiment
    if given is None and event.tone is not None:
        given = _SENTIMENT_OF_TONE[event.tone]
    sentiment, language = _felt(given, event.text, event.language, shop)
    mention_id = mention_hash(event.platform, event.mention_id)
    return {"mention_id": mention_id, "sentiment": sentiment, "language": language}


def _felt(given: float | None, text: str | None, language: str | None, shop: Shop) -> tuple[float | None, str | None]:
    """The sentiment the source gives, else what its text says; and the language."""
    if given is not None or text is None:
        return given, language
    return shop.sentiment(text, language)


def _referral(event: events.ReferralMade, at: datetime, shop: Shop) -> dict[str, Any]:
    reckoned: dict[str, Any] = {"referred_customer_id": None}  # what came is the publisher's own id; the door knows who
    if event.reward_minor is not None and event.currency is not None and event.currency != shop.currency:
        reward_minor = _Exchange(event.currency, at, shop)(event.reward_minor)
        reckoned |= {"reward_minor": reward_minor, "currency": shop.currency}
    return reckoned


def _review(event: events.ReviewPosted, at: datetime, shop: Shop) -> dict[str, Any]:
    del at
    fraction = (event.rating - event.rating_min) / (event.rating_max - event.rating_min)
    return {
        "rating_fraction": round(fraction, 9),
        "sentiment": _felt(event.sentiment, event.text, event.language, shop)[0],
    }


def _survey(event: events.SurveyAnswered, at: datetime, shop: Shop) -> dict[str, Any]:
    del at
    return {"sentiment": _felt(event.sentiment, event.comment, event.language, shop)[0]}


def _ticket(
    event: events.TicketOpened | events.TicketUpdated | events.TicketResolved, at: datetime, shop: Shop
) -> dict[str, Any]:
    reckoned: dict[str, Any] = {"sentiment": _felt(event.sentiment, event.text, event.language, shop)[0]}
    if event.severity is None and event.priority is not None:
        reckoned["severity"] = _SEVERITY_OF_PRIORITY[event.priority]
    if event.promised_at is not None:
        reckoned["promised_at"] = utc(event.promised_at)
    if event.service_cost_minor and event.currency is not None and event.currency != shop.currency:
        reckoned["service_cost_minor"] = _Exchange(event.currency, at, shop)(event.service_cost_minor)
    return reckoned


_RECKONED: Final[dict[type[InboundEvent], Callable[[Any, datetime, Shop], dict[str, Any]]]] = {
    events.CustomerIdentified: _identified,
    events.TouchRecorded: _touch,
    events.OrderCompleted: _order,
    events.OrderRefunded: _refund,
    events.OrderPromised: _promise,
    events.ConsentChanged: _consent,
    events.MentionPosted: _mention,
    events.ReviewPosted: _review,
    events.ReferralMade: _referral,
    events.SurveyAnswered: _survey,
    events.TicketOpened: _ticket,
    events.TicketUpdated: _ticket,
    events.TicketResolved: _ticket,
    events.CostRecorded: _cost,
}
_LOGGED_BY_NAME: Final = {entry.__name__: entry for entry in get_args(logged.CustomerEvent)}
_ENTRIES: Final[dict[type[InboundEvent], Any]] = {
    kind: _LOGGED_BY_NAME[kind.__name__] for kind in get_args(InboundEvent)
}
assert set(_LOGGED_BY_NAME.values()) == {*_ENTRIES.values(), *logged.BETWEEN_CUSTOMERS}, "the log holds what comes in"

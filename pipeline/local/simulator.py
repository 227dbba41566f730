"""A shop around real purchases: how its customers came, what they read, wrote and complained of, and what it cost.

Only the purchases are real (`cdnow`). All else is invented from a seed, and marked `simulated`. Week by week, so that
what lies ahead is never more than the few weeks that a delivery or a complaint takes. The same seed gives the same.
"""

from __future__ import annotations

import random
from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, time, timedelta
from typing import Any, Final

from pipeline.local import people, sayings
from pipeline.local.cdnow import Purchase
from pipeline.local.people import CHANNELS, OPENED_ON, WEEKS, Person, midday, week_of

LETTER_EVERY_WEEKS: Final = 9
_STRANGERS: Final = 400
_ZONES: Final = ("America/New_York", "America/Chicago", "America/Denver", "America/Los_Angeles")
_DAYS: Final = 7
_CHANCES: Final = {
    # of a person
    "allows marketing": 0.78, "allows feedback": 0.70, "says so": 0.97, "states interests": 0.20,
    "says how often": 0.25,
    # of an order
    "promised": 0.40, "delivery known": 0.93, "refund": 0.02, "in full": 0.50, "review": 0.07, "survey": 0.06,
    "ticket": 0.05, "mention": 0.02, "referral": 0.015, "call": 0.02, "gift": 0.03,
    # of a ticket
    "updated": 0.30, "resolved": 0.93,
    # of a letter that is not due, for want of consent
    "sent by mistake": 0.005,
    # of a letter
    "bounces": 0.004, "opened by a machine": 0.05, "clicked": 0.22, "unsubscribed": 0.02, "called spam": 0.003,
}  # fmt: skip
_HAPPY, _CONTENT = 0.6, 0.35

Event = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Week:
    """What the shop's systems had to say in seven days, in order. `ends_at` is the first instant after them."""

    number: int
    ends_at: datetime
    events: list[Event]


class Simulator:
    """The shop. `weeks` is to be read once."""

    def __init__(self, purchases: Sequence[Purchase], *, seed: int, customers_max: int | None = None) -> None:
        by_customer: dict[str, list[Purchase]] = defaultdict(list)
        for purchase in purchases:
            by_customer[purchase.customer].append(purchase)
        self._seed = seed
        self._random = random.Random(f"{seed}/shop")
        chosen = list(by_customer)[:customers_max]
        self.customers = len(chosen)
        self.prospects = round(self.customers * people.PROSPECTS_FRACTION)
        self._people = [people.customer(seed, number, by_customer[number]) for number in chosen]
        self._people += [people.prospect(seed, number) for number in range(self.prospects)]
        self._ahead: dict[int, list[tuple[datetime, Event]]] = defaultdict(list)
        self._week = 0
        self._count = 0

    def weeks(self, weeks_max: int | None = None) -> Iterator[Week]:
        """Every week, or the first so many."""
        for self._week in range(min(WEEKS, weeks_max or WEEKS)):
            begins_at = datetime.combine(OPENED_ON, time(), UTC) + timedelta(weeks=self._week)
            for index, person in enumerate(self._people):
                self._live(person, begins_at, gets_letter=(self._week + index) % LETTER_EVERY_WEEKS == 0)
            self._strangers_talk(begins_at)
            self._pay_for_channels(begins_at)
            told = sorted(self._ahead.pop(self._week, []), key=lambda pair: pair[0])
            yield Week(self._week, begins_at + timedelta(weeks=1), [event for _, event in told])

    # -- a week of theirs -------------------------------------------------------------------------------------------

    def _live(self, person: Person, begins_at: datetime, *, gets_letter: bool) -> None:
        arrives_in = (person.arrives_at - begins_at).days // 7
        if arrives_in == 0:
            self._arrive(person)
        for index, purchase in enumerate(person.purchases.get(self._week, ())):
            self._buy(person, purchase, index)
        if gets_letter and arrives_in < 0 and (person.subscribed or self._is_mistaken_for_a_subscriber(person)):
            self._write_to(person, begins_at + self._within(days=5))

    def _arrive(self, person: Person) -> None:
        at = person.arrives_at
        self._say(at, "TouchRecorded", "web", person, channel=person.channel, campaign_id=f"{at:%Y-%m}", followed=True)
        if not person.is_named:
            return
        draw = self._random
        name = f"{draw.choice(sayings.FIRST_NAMES)} {draw.choice(sayings.LAST_NAMES)}"
        known_at = at + timedelta(minutes=draw.randrange(1, 25))
        self._say(
            known_at, "CustomerIdentified", "web", person, email=person.email, handle=person.handle, name=name,
            language="en", country="US", time_zone=draw.choice(_ZONES),
        )  # fmt: skip
        for purpose in ("marketing", "feedback"):
            state = "granted" if self._happens(f"allows {purpose}") else "denied"
            if self._happens("says so"):  # the rest never said, which is no yes
                if purpose == "marketing":
                    person.subscribed = state == "granted"
                self._say(known_at, "ConsentChanged", "web", person, purpose=purpose, channel="email", state=state)
        if self._happens("states interests"):
            interests = draw.sample(("jazz", "rock", "classical", "folk", "electronic", "soul"), 2)
            how_often = draw.choice((1, 2, 4)) if self._happens("says how often") else None
            self._say(
                known_at, "PreferenceStated", "web", person, interests=interests, reason_for_buying="own_use",
                contacts_per_month_max=how_often,
            )  # fmt: skip

    def _buy(self, person: Person, purchase: Purchase, index: int) -> None:
        """The real purchase, and what is invented around it."""
        order_id = f"{purchase.customer}-{purchase.bought_on:%Y%m%d}-{index}"
        at = midday(purchase.bought_on) + timedelta(minutes=index)
        cents = int(purchase.usd * 100)
        order = {
            "type": "OrderCompleted", "id": f"order-{order_id}", "source": "cdnow", "occurred_at": at.isoformat(),
            "customer_id": person.customer_id, "order_id": order_id, "revenue_minor": cents, "currency": "USD",
            "items": [{"product_id": "cd", "quantity": max(1, purchase.cds), "amount_minor": cents}],
        }  # fmt: skip
        self._plan(at, order)
        if promised := self._happens("promised"):
            promised_at = at + timedelta(days=6)
            self._say(
                at + timedelta(minutes=9), "OrderPromised", "shop", person, order_id=order_id,
                promised_at=promised_at.isoformat(),
            )  # fmt: skip
            self._say(at + timedelta(days=1), "OrderShipped", "shop", person, order_id=order_id)
        delivered_at = at + timedelta(days=3) + self._within(days=4)
        if self._happens("delivery known") or promised:  # who promises knows whether it was kept
            self._say(delivered_at, "OrderDelivered", "shop", person, order_id=order_id)
        for what, follow in (
            ("refund", self._refund), ("review", self._review), ("survey", self._survey), ("mention", self._talk),
            ("ticket", self._turn_to_service), ("referral", self._refer), ("call", self._be_called),
            ("gift", self._get_a_gift),
        ):  # fmt: skip
            if self._happens(what):
                follow(person, order_id, delivered_at, cents)

    # -- what follows an order --------------------------------------------------------------------------------------

    def _refund(self, person: Person, order_id: str, at: datetime, cents: int) -> None:
        part: Event = {} if self._happens("in full") else {"amount_minor": cents // 2, "currency": "USD"}
        self._say(
            at + self._within(days=14), "OrderRefunded", "shop", person, order_id=order_id, refund_id=f"r-{order_id}",
            reason="damaged", **part,
        )  # fmt: skip

    def _review(self, person: Person, order_id: str, at: datetime, cents: int) -> None:
        text, rating = self._opinion(person)
        self._say(
            at + self._within(days=15), "ReviewPosted", "shop", person, review_id=f"v-{order_id}", order_id=order_id,
            rating=rating, text=text, language="en",
        )  # fmt: skip

    def _survey(self, person: Person, order_id: str, at: datetime, cents: int) -> None:
        text, rating = self._opinion(person)
        self._say(
            at + self._within(days=15), "SurveyAnswered", "survey", person, survey_id=f"s-{order_id}", kind="nps",
            score=min(10, 2 * rating + self._random.randrange(2)), score_max=10, order_id=order_id, comment=text,
        )  # fmt: skip

    def _turn_to_service(self, person: Person, order_id: str, at: datetime, cents: int) -> None:
        draw = self._random
        kind, texts = draw.choices(
            (
                ("complaint", sayings.BAD), ("question", sayings.QUESTIONS), ("compliment", sayings.COMPLIMENTS),
                ("suggestion", sayings.IDEAS),
            ),
            (0.6, 0.2, 0.12, 0.08),
        )[0]  # fmt: skip
        ticket: Event = {"ticket_id": f"t-{order_id}", "kind": kind, "order_id": order_id}
        severity = draw.randrange(2, 6) if kind == "complaint" else None
        opened_at = at + self._within(days=6)
        self._say(
            opened_at, "TicketOpened", "helpdesk", person, **ticket, severity=severity, channel="email",
            promised_at=(opened_at + timedelta(days=2)).isoformat(), text=draw.choice(texts), language="en",
        )  # fmt: skip
        cost: Event = {"service_minutes": draw.randrange(3, 25), "currency": "USD"}
        if self._happens("updated"):
            opened_at += self._within(days=2)
            self._say(
                opened_at, "TicketUpdated", "helpdesk", person, **ticket, **cost, status="pending",
                service_cost_minor=200,
            )  # fmt: skip
        if self._happens("resolved"):
            self._say(
                opened_at + self._within(days=8), "TicketResolved", "helpdesk", person, **ticket, **cost,
                status="solved", service_cost_minor=draw.randrange(150, 900),
                csat="good" if draw.random() < person.mood else "bad",
            )  # fmt: skip

    def _talk(self, person: Person, order_id: str, at: datetime, cents: int) -> None:
        if person.handle is not None:
            self._mention(at + self._within(days=9), person.handle.partition(":")[2], self._opinion(person)[0])

    def _refer(self, person: Person, order_id: str, at: datetime, cents: int) -> None:
        self._say(
            at + self._within(days=20), "ReferralMade", "web", person, referral_id=f"f-{order_id}",
            referred_email=f"friend-of-{person.customer_id}@example.com",
        )  # fmt: skip

    def _be_called(self, person: Person, order_id: str, at: datetime, cents: int) -> None:
        self._say(
            at + self._within(days=10), "ContactMade", "crm", person, department="sales", channel="phone",
            service_minutes=self._random.randrange(2, 12),
        )  # fmt: skip

    def _get_a_gift(self, person: Person, order_id: str, at: datetime, cents: int) -> None:
        self._say(
            at, "CostRecorded", "finance", person, department="marketing", activity="gift", amount_minor=350,
            currency="USD", order_id=order_id,
        )  # fmt: skip

    # -- letters and talk -------------------------------------------------------------------------------------------

    def _write_to(self, person: Person, at: datetime) -> None:
        """A newsletter, and what becomes of it. Mailing systems know the address, not the shop's number."""
        draw, letter = self._random, {"email_id": f"letter-{self._week:02}", "campaign_id": f"news-{at:%Y-%m}"}
        if self._happens("bounces"):
            self._say(at, "EmailBounced", "mailer", person, by_email=True, **letter, bounce_type="hard")
            person.subscribed = False
            return
        self._say(at, "EmailDelivered", "mailer", person, by_email=True, **letter)
        if self._happens("opened by a machine"):
            self._say(at, "EmailOpened", "mailer", person, by_email=True, **letter, is_machine=True)
        if draw.random() >= person.reads:
            return
        opened_at = at + self._within(days=1)
        self._say(opened_at, "EmailOpened", "mailer", person, by_email=True, **letter)
        for what, kind in (
            ("clicked", "EmailClicked"), ("unsubscribed", "EmailUnsubscribed"), ("called spam", "EmailMarkedAsSpam"),
        ):  # fmt: skip
            if self._happens(what):
                person.subscribed = person.subscribed and kind == "EmailClicked"
                self._say(opened_at + timedelta(minutes=2), kind, "mailer", person, by_email=True, **letter)

    def _is_mistaken_for_a_subscriber(self, person: Person) -> bool:
        """A real shop keeps a list or two that nobody took the noes out of: what it owes its customers shows them."""
        return person.is_named and self._happens("sent by mistake")

    def _strangers_talk(self, begins_at: datetime) -> None:
        """Mentions by people nobody knows: they count in the brand's reputation, and for no customer."""
        draw = self._random
        for _ in range(1 + len(self._people) // 500 + draw.randrange(3)):
            text = draw.choice(draw.choice((sayings.GOOD, sayings.MIXED, sayings.BAD)))
            self._mention(begins_at + self._within(days=7), f"stranger{draw.randrange(_STRANGERS)}", text)

    def _mention(self, at: datetime, author: str, text: str) -> None:
        self._count += 1
        self._say(
            at, "MentionPosted", "listening", None, mention_id=f"m-{self._count}", platform="forum",
            author_handle=author, reach=self._random.randrange(5, 800), text=text, language="en",
        )  # fmt: skip

    def _pay_for_channels(self, begins_at: datetime) -> None:
        arriving = Counter(each.channel for each in self._people if 0 <= (each.arrives_at - begins_at).days < _DAYS)
        for channel, (_, cents) in CHANNELS.items():
            if cents:
                first = begins_at.date()
                self._say(
                    begins_at + timedelta(days=6, hours=20), "CostRecorded", "finance", None, department="marketing",
                    activity="advertising", channel=channel, amount_minor=5_000 + cents * arriving[channel],
                    currency="USD", period_start_on=first.isoformat(),
                    period_end_on=(first + timedelta(days=6)).isoformat(),
                )  # fmt: skip

    def _opinion(self, person: Person) -> tuple[str, int]:
        """A text and its stars."""
        luck = self._random.gauss(person.mood, 0.25)
        texts, stars = (
            (sayings.GOOD, 5) if luck > _HAPPY else (sayings.MIXED, 3) if luck > _CONTENT else (sayings.BAD, 1)
        )  # fmt: skip
        return self._random.choice(texts), stars

    # -- saying it --------------------------------------------------------------------------------------------------

    def _within(self, *, days: int) -> timedelta:
        return timedelta(minutes=self._random.randrange(days * 24 * 60))

    def _happens(self, what: str) -> bool:
        return self._random.random() < _CHANCES[what]

    def _say(
        self, at: datetime, kind: str, source: str, person: Person | None, /, *, by_email: bool = False, **fields: Any
    ) -> None:
        """An invented event, under an id that the same seed gives again."""
        self._count += 1
        event = {
            "type": kind, "id": f"{self._seed}-{self._count}", "source": source, "occurred_at": at.isoformat(),
            "simulated": True, **{name: value for name, value in fields.items() if value is not None},
        }  # fmt: skip
        if person is not None:
            event["email" if by_email else "customer_id"] = person.email if by_email else person.customer_id
        self._plan(at, event)

    def _plan(self, at: datetime, event: Event) -> None:
        """To be told in its week; what lies beyond the last is never told."""
        week = max(self._week, week_of(at.date()))
        if week < WEEKS:
            self._ahead[week].append((at, event))

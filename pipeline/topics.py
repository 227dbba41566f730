"""Every topic of Wafa: what keys it, how it is split, how long it is kept, and which agent reads it.

The only place where a topic's name, partition count or retention is written. `wafa topics`, the AsyncAPI document, the
docs' table and the tests' brokers are made from these rows. Partition counts of topics with state never change in
place. The count of the customers' log and of its changelog is a setting; the rows have the usual one.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Final

DAY_MS: Final = 24 * 60 * 60 * 1000
FOREVER_MS: Final = -1
LINK_PREFIX: Final = b"link/"
"""Begins the key of an alias's link on `identities.v1`; the topic's other keys are `identify`'s own."""
MAX_RECORD_BYTES: Final = 1024 * 1024
"""What a publisher may send in one record, as the broker counts it."""
_BROKER_BYTES_MAX: Final = MAX_RECORD_BYTES + 12
"""What a topic takes in one batch that says nothing of its own: Kafka's default."""


@dataclass(frozen=True, slots=True, eq=False)
class Topic:
    """One topic as it should stand on the broker. `name` is without the prefix (`crm.` unless set otherwise)."""

    name: str
    key: str
    about: str
    partitions: int
    cleanup: str  # "delete" or "compact"
    retention_ms: int | None = None
    log_append_time: bool = False
    restricted: bool = False
    """Holds personal data: readers need a reason."""
    config: MappingProxyType[str, str] = field(default_factory=lambda: MappingProxyType({}))

    def broker_config(self) -> dict[str, str]:
        """The topic's settings as Kafka names them."""
        settings = {"cleanup.policy": self.cleanup, **self.config}
        if self.retention_ms is not None:
            settings["retention.ms"] = str(self.retention_ms)
        if self.log_append_time:
            settings["message.timestamp.type"] = "LogAppendTime"
        return settings

    @property
    def batch_bytes_max(self) -> int:
        """The largest batch the broker takes for it, as sent: compressed if it came so."""
        return int(self.config.get("max.message.bytes", _BROKER_BYTES_MAX))


def _source(name: str, key: str, about: str) -> Topic:
    return Topic(
        name, key, about, partitions=2, cleanup="delete", retention_ms=14 * DAY_MS, log_append_time=True,
        restricted=True,
        config=MappingProxyType({"max.message.bytes": str(MAX_RECORD_BYTES + 64 * 1024)}),
    )  # fmt: skip


CONTACTS = _source("contacts.v1", "any", "Who customers are, what they prefer, how marketing reached them.")
PURCHASES = _source("purchases.v1", "any", "Orders, refunds, cancellations, promises and deliveries.")
EMAILS = _source("emails.v1", "any", "What became of e-mails, and consent.")
SOCIALS = _source("socials.v1", "any", "Mentions, reviews, referrals, survey answers.")
COMPLAINTS = _source("complaints.v1", "any", "Tickets: complaints, compliments, suggestions, product ideas.")
COSTS = _source("costs.v1", "channel", "What marketing, sales and service spent.")
SOURCES: Final = (CONTACTS, PURCHASES, EMAILS, SOCIALS, COMPLAINTS, COSTS)

_STATE_PARTITIONS: Final = 8
# Compacted topics that are read whole at start are kept short: small segments, so that little stays uncompacted.
_COMPACT_SOON = MappingProxyType(
    {"segment.bytes": str(32 * 1024 * 1024), "min.cleanable.dirty.ratio": "0.2", "max.compaction.lag.ms": str(DAY_MS)}
)
_PERSONAL = MappingProxyType(
    {"segment.ms": str(DAY_MS), "max.compaction.lag.ms": str(3 * DAY_MS), "delete.retention.ms": str(7 * DAY_MS)}
)

CUSTOMER_EVENTS = Topic(
    "customer-events.v1", "customer id", "The system of record: one ordered log per customer, and the controls.",
    partitions=_STATE_PARTITIONS, cleanup="delete", retention_ms=FOREVER_MS,
)  # fmt: skip
TRIGGERS = Topic(
    "triggers.v1", "customer id", "What marketing automation is told to do, as CloudEvents.",
    partitions=_STATE_PARTITIONS, cleanup="delete", retention_ms=30 * DAY_MS,
)  # fmt: skip
DECISIONS = Topic(
    "decisions.v1", "customer id", "Every trigger considered: sent, held, withheld, expired, cancelled, with reasons.",
    partitions=_STATE_PARTITIONS, cleanup="delete", retention_ms=90 * DAY_MS,
)  # fmt: skip
PROFILES = Topic(
    "profiles.v1", "customer id", "Each customer's latest view.", partitions=_STATE_PARTITIONS, cleanup="compact",
    config=_PERSONAL,
)  # fmt: skip
DEAD_LETTERS = Topic(
    "dead-letters.v1", "as it came", "Records refused: their bytes as they came, origin and every reason in headers.",
    partitions=2, cleanup="delete", retention_ms=14 * DAY_MS, restricted=True,
    config=MappingProxyType({"max.message.bytes": str(2 * MAX_RECORD_BYTES)}),
)  # fmt: skip
CONTROLS = Topic(
    "controls.v1", "kind", "Ticks, policies, models and channel costs, before they are copied to every partition.",
    partitions=1, cleanup="delete", retention_ms=FOREVER_MS, log_append_time=True,
)  # fmt: skip
POSITIONS = Topic(
    "positions.v1", "task", "Where each task without a changelog of its own stands in its input.",
    partitions=16, cleanup="compact", config=_COMPACT_SOON,
)  # fmt: skip
IDENTITIES = Topic(
    "identities.v1", "keyed hash of an alias", "Which customer an alias belongs to; changelog of `identify`.",
    partitions=_STATE_PARTITIONS, cleanup="compact", restricted=True, config=_COMPACT_SOON,
)  # fmt: skip
UNIDENTIFIED_EVENTS = Topic(
    "unidentified-events.v1", "keyed hash of the strongest alias", "Events whose customer is not known yet.",
    partitions=_STATE_PARTITIONS, cleanup="delete", retention_ms=7 * DAY_MS, restricted=True,
    config=MappingProxyType({"max.message.bytes": str(2 * MAX_RECORD_BYTES)}),
)  # fmt: skip
ADDRESSES = Topic(
    "addresses.v1", "customer id", "How to reach a customer: e-mail, phone, handle, name, locale, zone.",
    partitions=_STATE_PARTITIONS, cleanup="compact", restricted=True, config=_PERSONAL,
)  # fmt: skip
TEXTS = Topic(
    "texts.v1", "customer id/event id", "What customers wrote, word for word.",
    partitions=_STATE_PARTITIONS, cleanup="compact", restricted=True, config=_PERSONAL,
)  # fmt: skip
CUSTOMER_STATE = Topic(
    "customer-state.v1", "customer id", "Each customer's packed profile and the position: changelog of `customers`.",
    partitions=_STATE_PARTITIONS, cleanup="compact", config=_COMPACT_SOON,
)  # fmt: skip
MENTIONS = Topic(
    "mentions.v1", "day", "Public mentions of the brand, by anybody, without who and what.",
    partitions=1, cleanup="delete", retention_ms=7 * DAY_MS,
)  # fmt: skip
REPUTATION = Topic(
    "reputation.v1", "day/platform",
    "The brand's reputation by day: volume, sentiment, reach; changelog of `reputation`.",
    partitions=1, cleanup="compact", config=_COMPACT_SOON,
)  # fmt: skip

SHOP_COSTS = Topic(
    "shop-costs.v1", "hash of source and id",
    "What was spent on no customer: on a channel, a campaign, an affiliate, a partner. Each cost once.",
    partitions=1, cleanup="compact", config=_COMPACT_SOON,
)  # fmt: skip

TOPICS: Final = (
    *SOURCES, CUSTOMER_EVENTS, TRIGGERS, DECISIONS, PROFILES, DEAD_LETTERS, CONTROLS, POSITIONS, IDENTITIES,
    UNIDENTIFIED_EVENTS, ADDRESSES, TEXTS, CUSTOMER_STATE, MENTIONS, REPUTATION,
    SHOP_COSTS,
)  # fmt: skip

_EVENTS_OF: Final = {
    CONTACTS: ("CustomerIdentified", "TouchRecorded", "PreferenceStated", "ContactMade"),
    PURCHASES: (
        "OrderCompleted", "OrderRefunded", "OrderCancelled", "OrderPromised", "OrderShipped", "OrderDelivered",
    ),
    EMAILS: (
        "EmailDelivered", "EmailOpened", "EmailClicked", "EmailBounced", "EmailUnsubscribed", "EmailMarkedAsSpam",
        "ConsentChanged",
    ),
    SOCIALS: ("MentionPosted", "ReviewPosted", "ReferralMade", "SurveyAnswered"),
    COMPLAINTS: ("TicketOpened", "TicketUpdated", "TicketResolved"),
    COSTS: ("CostRecorded",),
}  # fmt: skip
SOURCE_OF_EVENT: Final = {event: source.name for source, events in _EVENTS_OF.items() for event in events}
"""The source topic (without prefix) that each type of event belongs on."""


def partition_of(key: bytes, partitions: int) -> int:
    """The partition Java's default partitioner, aiokafka and our producers put this key on (murmur2)."""
    return (_murmur2(key) & 0x7FFFFFFF) % partitions


def _murmur2(data: bytes) -> int:
    """Kafka's 32-bit murmur2, seed 0x9747b28c. Source: Apache Kafka, `Utils.murmur2`."""
    mask, m = 0xFFFFFFFF, 0x5BD1E995
    h = (0x9747B28C ^ len(data)) & mask
    whole = len(data) & ~3
    for i in range(0, whole, 4):
        k = (int.from_bytes(data[i : i + 4], "little") * m) & mask
        k = ((k ^ (k >> 24)) * m) & mask
        h = ((h * m) & mask) ^ k
    tail = data[whole:]
    if tail:
        h = ((h ^ int.from_bytes(tail, "little")) * m) & mask
    h = ((h ^ (h >> 13)) * m) & mask
    return h ^ (h >> 15)

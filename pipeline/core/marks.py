"""Short marks for long ids, and ids that are derived: the same from the same, on every replay."""

from __future__ import annotations

from hashlib import blake2b
from typing import Final
from uuid import UUID, uuid5

_TRIGGERS: Final = UUID("0d9f6a52-7d0e-5c41-8f5e-6b1f3f1f8f10")


def mark(text: str) -> int:
    """Eight bytes that stand for a publisher's id inside one customer's profile, below 2**63."""
    return int.from_bytes(blake2b(text.encode(), digest_size=8).digest(), "big") >> 1


def event_mark(source: str, event_id: str) -> int:
    """The duplicate key of an event."""
    return mark(f"{source}\0{event_id}")


def trigger_id(customer_id: str, rule: str, business_key: str, edition: int) -> str:
    """The same cause under the same rule is the same trigger, however often it is decided."""
    return str(uuid5(_TRIGGERS, f"{customer_id}/{rule}/{business_key}/{edition}"))


def spread(customer_id: str, below: int) -> int:
    """A number in [0, below) that belongs to this customer for good: so that not everybody is due at one instant."""
    return int.from_bytes(blake2b(customer_id.encode(), digest_size=4).digest(), "big") % below

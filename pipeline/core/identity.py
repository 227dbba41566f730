"""Who an event is about: its aliases, strongest first, normalised and hashed; and which events may make a customer."""

from __future__ import annotations

import re
from functools import lru_cache
from hashlib import blake2b
from typing import Final
from uuid import UUID, uuid5

from pipeline.schemas.events import InboundEvent, ReferralMade

Alias = tuple[str, str]
"""(kind, normalised value)"""

Named = tuple[str | None, str | None, str | None, str | None]
"""How an event names somebody: customer id, e-mail, phone, handle, as given."""

KINDS: Final = ("customer_id", "email", "phone", "handle")
"""Strongest first: the publisher's own id names one person, a handle may change hands."""

MAY_CREATE: Final = frozenset(
    (
        "CustomerIdentified", "TouchRecorded", "PreferenceStated", "ContactMade", "OrderCompleted", "OrderPromised",
        "ConsentChanged", "ReviewPosted", "ReferralMade", "SurveyAnswered", "TicketOpened",
    )
)  # fmt: skip
"""Events that may make a customer of somebody unknown. The rest tell of something that had a beginning elsewhere (a
refund, an opened e-mail) or of anybody (a mention): they wait until their person is known."""

_CUSTOMERS: Final = UUID("5f0a7f0c-3f1e-5b3c-9d7e-2a4c6b8d0e1f")
_BLOCKED: Final = frozenset(("-1", "null", "none", "nil", "nan", "undefined", "anonymous", "guest", "unknown", "n/a"))
_ZEROS: Final = re.compile(r"[0-]*")
_NOT_DIGITS: Final = re.compile(r"\D")
_REMEMBERED_MAX: Final = 100_000


def named(event: InboundEvent) -> Named:
    """Whom the event names, in its own words."""
    handle = event.handle
    if handle is None and event.type == "MentionPosted" and event.author_handle is not None:
        handle = f"{event.platform}:{event.author_handle}"
    return (event.customer_id, event.email, event.phone, handle)


def aliases(named: Named) -> list[Alias]:
    """The aliases that somebody is named by, strongest first.

    Values that mean nobody are none: `0`, `null`, and those of which nothing can be seen (NUL, a zero-width space).
    """
    found: list[Alias] = []
    for kind, value in zip(KINDS, named, strict=True):
        if value is not None:
            _add(found, kind, value)
    return found


def referred_alias(event: ReferralMade) -> Alias | None:
    """The friend who was sent to us, as far as the referral names them."""
    found: list[Alias] = []
    if event.referred_customer_id is not None:
        _add(found, "customer_id", event.referred_customer_id)
    if event.referred_email is not None:
        _add(found, "email", event.referred_email)
    return found[0] if found else None


def possible_aliases(text: str) -> list[Alias]:
    """What a person may mean who types `text` to find somebody."""
    found: list[Alias] = []
    for kind in KINDS:
        _add(found, kind, text)
    return found


def _add(found: list[Alias], kind: str, value: str) -> None:
    alias = _alias(kind, value)
    if alias is not None:
        found.append(alias)


@lru_cache(maxsize=_REMEMBERED_MAX)
def _alias(kind: str, value: str) -> Alias | None:
    """The alias a value is, None if it means nobody. Remembered for a while, since regulars come often."""
    normal = normalised(kind, value)
    if (
        not any(sign.isprintable() and not sign.isspace() for sign in normal)
        or normal.lower() in _BLOCKED
        or _ZEROS.fullmatch(normal)
    ):
        return None
    return (kind, normal)


def normalised(kind: str, value: str) -> str:
    """The one form of an alias: addresses and handles in lower case, phones as digits with a plus if one was given."""
    value = value.strip()
    if kind == "phone":
        digits = _NOT_DIGITS.sub("", value)
        return f"+{digits}" if digits.strip("0") and value.startswith("+") else digits
    return value if kind == "customer_id" else value.lower()


def alias_hash(kind: str, value: str, key: bytes) -> str:
    """A keyed hash of an alias, 32 hex digits: says nothing to who lacks the key."""
    return blake2b(f"{kind}\0{value}".encode(), digest_size=16, key=key[:64]).hexdigest()


def mint(partition: int, offset: int) -> str:
    """A newcomer's id, from the place where they first appeared: not derivable from any alias."""
    return str(uuid5(_CUSTOMERS, f"{partition}/{offset}"))

"""Short marks for long ids, and ids that are derived: the same from the same, on every replay."""

from __future__ import annotations

from functools import lru_cache
from hashlib import blake2b, sha1
from typing import Final
from uuid import UUID

MARK_BYTES: Final = 5
MARKS_KEPT: Final = 65_536
"""Publishers' ids remembered with their mark, and as many customers with their place among reviews."""
_UUID_CHARS: Final = 36
_UUID_BYTES: Final = 16
_TRIGGERS: Final = UUID("0d9f6a52-7d0e-5c41-8f5e-6b1f3f1f8f10").bytes


@lru_cache(maxsize=MARKS_KEPT)
def mark(text: str) -> int:
    """Eight bytes that stand for a publisher's id inside one customer's profile, below 2**63."""
    return int.from_bytes(blake2b(text.encode(), digest_size=8).digest(), "big") >> 1


def short_mark(text: str) -> int:
    """Four bytes that stand for one of a few texts."""
    return shortened(mark(text))


def shortened(of: int) -> int:
    """The short mark of what has this mark."""
    return of & 0xFFFFFFFF


def event_mark(source: str, event_id: str) -> bytes:
    """The duplicate key of an event: `MARK_BYTES` long, so that of 30 billion new events one is taken for known."""
    return blake2b(f"{source}\0{event_id}".encode(), digest_size=MARK_BYTES).digest()


def is_marked(marks: bytes, this: bytes) -> bool:
    """Whether a mark is among those, as long as it, put one after the other."""
    place = marks.find(this)
    while place > 0 and place % len(this):
        place = marks.find(this, place + 1)
    return place >= 0


def packed_id(text: str) -> str | tuple[int, int]:
    """A publisher's id as it is kept: as most are UUIDs, those as two numbers, which take half the bytes."""
    if len(text) != _UUID_CHARS:
        return text
    try:
        digits = bytes.fromhex(text.replace("-", ""))
    except ValueError:
        return text
    if len(digits) != _UUID_BYTES or _uuid(digits) != text:
        return text
    half = _UUID_BYTES // 2
    return int.from_bytes(digits[:half], "big"), int.from_bytes(digits[half:], "big")


def unpacked_id(packed: str | tuple[int, int]) -> str:
    """The publisher's id again, to the letter."""
    if isinstance(packed, str):
        return packed
    half = _UUID_BYTES // 2
    return _uuid(packed[0].to_bytes(half, "big") + packed[1].to_bytes(half, "big"))


def _uuid(digits: bytes | bytearray) -> str:
    text = digits.hex()
    return f"{text[:8]}-{text[8:12]}-{text[12:16]}-{text[16:20]}-{text[20:]}"


def trigger_id(customer_id: str, rule: str, business_key: str, edition: int) -> str:
    """The same cause under the same rule is the same trigger, however often it is decided."""
    # A version 5 UUID, by hand: the library's takes five times as long, and one is made for every decision.
    name = f"{customer_id}/{rule}/{business_key}/{edition}".encode()
    digest = bytearray(sha1(_TRIGGERS + name, usedforsecurity=False).digest()[:16])
    digest[6] = digest[6] & 0x0F | 0x50
    digest[8] = digest[8] & 0x3F | 0x80
    return _uuid(digest)


@lru_cache(maxsize=MARKS_KEPT)
def spread(customer_id: str, below: int) -> int:
    """A number in [0, below) that belongs to this customer for good: so that not everybody is due at one instant."""
    return int.from_bytes(blake2b(customer_id.encode(), digest_size=4).digest(), "big") % below

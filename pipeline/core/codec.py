"""A profile as bytes, as the table and the changelog hold it, and back; and a glance at the few fields ahead of it.

Header: version, next review (seconds), stage, lifecycle, flags. Then the profile as MessagePack arrays. The same
profile is the same bytes: nothing in it is unordered, and no float is in it.
"""

from __future__ import annotations

import struct
from typing import Final, NamedTuple

import msgspec

from pipeline.core.profile import Lifecycle, Profile, Stage

VERSION: Final = 1
_HEADER: Final = struct.Struct(">BIBBB")
_STANDING: Final = slice(5, 7)
"""Where in it stage and lifecycle are."""
_PROSPECT_OVERDUE: Final = 1
_COMPLAINT_OPEN: Final = 2

_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(Profile).decode
_STAGES: Final = tuple(stage.label for stage in Stage)
_LIFECYCLES: Final = tuple(lifecycle.label for lifecycle in Lifecycle)


class UnknownVersion(Exception):
    """Packed by a version this one cannot read."""


class Peek(NamedTuple):
    """What can be known of a packed profile without unpacking it."""

    next_review_at: int
    stage: str
    lifecycle: str


def pack(profile: Profile) -> bytes:
    """The profile's bytes."""
    flags = (_PROSPECT_OVERDUE if profile.prospect_overdue else 0) | (
        _COMPLAINT_OPEN if profile.tickets and any(ticket.is_complaint for ticket in profile.tickets) else 0
    )
    review_at = min(max(profile.next_review_at, 0), 0xFFFFFFFF)
    return _HEADER.pack(VERSION, review_at, profile.stage, profile.lifecycle, flags) + _encode(profile)


def unpack(packed: bytes) -> Profile:
    """The profile of these bytes. Raises UnknownVersion."""
    if packed[0] != VERSION:
        raise UnknownVersion(f"packed profile: expected version {VERSION}, got {packed[0]}")
    return _decode(memoryview(packed)[_HEADER.size :])


def peek(packed: bytes) -> Peek:
    """The header of these bytes. Raises UnknownVersion."""
    next_review_at, stage, lifecycle = peek_codes(packed)
    return Peek(next_review_at, _STAGES[stage], _LIFECYCLES[lifecycle])


def peek_codes(packed: bytes) -> tuple[int, int, int]:
    """The same with stage and lifecycle as numbers, for who looks at a million. Raises UnknownVersion."""
    version, next_review_at, stage, lifecycle, _ = _HEADER.unpack_from(packed)
    if version != VERSION:
        raise UnknownVersion(f"packed profile: expected version {VERSION}, got {version}")
    return next_review_at, stage, lifecycle


def labels(stage: int, lifecycle: int) -> tuple[str, str]:
    """What these numbers of a header are called."""
    return _STAGES[stage], _LIFECYCLES[lifecycle]


def stand_alike(one: bytes, other: bytes) -> bool:
    """Whether two packed profiles have the same stage and lifecycle."""
    return one[_STANDING] == other[_STANDING]

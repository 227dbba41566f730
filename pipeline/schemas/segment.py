"""Segment and RudderStack calls."""
from __future__ import annotations
from typing import Any, Final
MARK: Final = b'"messageId"'
def events_of(value: bytes, *, received_ms: int) -> list[dict[str, Any]] | None:
    return None

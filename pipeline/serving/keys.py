"""The keys in Redis: a contract for whoever reads them without us. `docs/operations/redis.md` says what each holds."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

LAYOUT: Final = 1
"""Raised when keys or values change shape: views of another layout are dropped and built anew."""

RECENT_TRIGGERS_MAX: Final = 1_000
CUSTOMER_TRIGGERS_MAX: Final = 20
CUSTOMER_TRIGGERS_DAYS: Final = 30
REPUTATION_DAYS_MAX: Final = 400


@dataclass(frozen=True, slots=True)
class Keys:
    """Every key, under one prefix."""

    prefix: str

    @property
    def meta(self) -> str:
        """Hash: what the views were built from, and when they were last written."""
        return f"{self.prefix}meta"

    @property
    def positions(self) -> str:
        """Hash: next offset to read, by `topic/partition`."""
        return f"{self.prefix}positions"

    @property
    def population(self) -> str:
        """Hash: number of customers, by `stage/lifecycle`."""
        return f"{self.prefix}population"

    @property
    def recent_triggers(self) -> str:
        """Sorted set: the latest triggers, by when they were sent."""
        return f"{self.prefix}triggers:recent"

    @property
    def reputation_days(self) -> str:
        """Sorted set: the days for which there is reputation."""
        return f"{self.prefix}reputation:days"

    @property
    def gone(self) -> str:
        """Sorted set: profiles deleted lately, so that a trigger read after its customer's end is not kept."""
        return f"{self.prefix}gone"

    def profile(self, customer_id: str) -> str:
        """String: the customer's view, JSON."""
        return f"{self.prefix}profile:{customer_id}"

    def triggers_of(self, customer_id: str) -> str:
        """Sorted set: the customer's latest triggers."""
        return f"{self.prefix}triggers:of:{customer_id}"

    def reputation(self, day: str) -> str:
        """Hash: one day's reputation, JSON by platform."""
        return f"{self.prefix}reputation:on:{day}"

    def is_ours(self, key: str) -> bool:
        """Whether a key is one of these, and may be dropped when the views are built anew."""
        rest = key.removeprefix(self.prefix)
        return key.startswith(self.prefix) and (
            rest in ("meta", "positions", "population", "triggers:recent", "reputation:days", "gone")
            or rest.startswith(("profile:", "triggers:of:", "reputation:on:"))
        )

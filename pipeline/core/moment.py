"""When an event happens, and under which rules: what every function that applies one is given."""

from __future__ import annotations

from typing import Any, NamedTuple

from pipeline.core.controls import Controls
from pipeline.core.days import day_of
from pipeline.schemas.dead_letters import Reason

Changes = dict[str, Any]
"""New values of profile fields."""


class Note(NamedTuple):
    """What a dead letter says of an event that counts, but not as it stands."""

    reason: Reason
    problem: str


class Moment:
    """When the event happened, when it is now, and the rules: what every function here is given."""

    __slots__ = (
        "arrived_at", "as_of", "at", "customer_id", "day", "first_tick_at", "models", "notes", "policy", "today",
    )  # fmt: skip

    def __init__(self, customer_id: str, at: int, as_of: int, controls: Controls) -> None:
        policy, first_tick_at = controls.policy, controls.first_tick_at
        self.customer_id = customer_id
        self.at = at
        self.as_of = as_of
        self.first_tick_at = first_tick_at
        self.policy = policy
        self.models = controls.models
        self.arrived_at = as_of if first_tick_at and as_of > at else 0
        """When it came, as the ledger keeps it."""
        self.notes: list[Note] = []
        """What is odd about the event, though it counts."""
        zone = policy.shop.time_zone
        self.day = day_of(at, zone)
        self.today = self.day if at == as_of else day_of(as_of, zone)

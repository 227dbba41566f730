"""What moved a customer: the event of a moment, or the time that had passed by then."""

from __future__ import annotations

from typing import Any, Final, Protocol

from pipeline.core.explain import happened_at
from pipeline.core.lived import Moment
from pipeline.core.step import Outcome
from pipeline.schemas import logged

COUNTED: Final = (Outcome.ACCEPTED, Outcome.LATE)
"""What became of an event that changed something."""


class Watching(Protocol):
    """Looks at a customer's moments, one after another, and gathers what it is about."""

    def see(self, moment: Moment) -> None:
        """The next one."""


def cause_of(moment: Moment) -> dict[str, Any]:
    """The event that moved them; a Tick is time itself, and has no id."""
    event = moment.event
    return {
        "type": type(event).__name__,
        "id": event.id if isinstance(event, logged.Event) else None,
        "source": event.source if isinstance(event, logged.Event) else None,
        "at": happened_at(event),
    }

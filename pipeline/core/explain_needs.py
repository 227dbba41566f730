"""Why we think that a customer needs what they need: who said each fact and when, and what each inference rests on."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

from msgspec.structs import replace

from pipeline.core import needs
from pipeline.core.days import DAY_SECONDS, day_of, instant, instant_or_none
from pipeline.core.explain import happened_at
from pipeline.core.explain_moves import COUNTED, cause_of
from pipeline.core.explain_orders import OrdersTold
from pipeline.core.lived import Life, Moment
from pipeline.core.needs import Fact
from pipeline.core.profile import QUARTERS_KEPT
from pipeline.core.quarters import quarter_of
from pipeline.core.reckoned import reckoned
from pipeline.core.responses import CODES, YEAR_DAYS
from pipeline.core.view_needs import needs_view
from pipeline.schemas import logged

_Heard = tuple[str | None, str]
"""A channel, and what passed by it: we `tried`, they `answered`, they `asked` for service; or any sign of `life`."""
_OF_MAIL: Final = (logged.EmailDelivered, logged.EmailOpened, logged.EmailClicked)


class NeedsTold:
    """Gathers the event behind each fact, what passed by channels, and orders."""

    def __init__(self) -> None:
        self.orders = OrdersTold()
        self.heard: list[tuple[Moment, _Heard]] = []
        self.said: dict[tuple[str, str], tuple[object, dict[str, Any]]] = {}
        """(fact, how we know it) to what it was, and the event that made it so."""

    def see(self, moment: Moment) -> None:
        """What this moment told of their needs."""
        if moment.after is None:
            return
        for fact in needs.facts(moment.after, moment.controls.policy.needs):
            is_now = (fact.value, fact.confirmed_at)
            key = (fact.name, fact.source)
            if key not in self.said or self.said[key][0] != is_now:
                self.said[key] = is_now, cause_of(moment)
        if moment.outcome not in COUNTED:
            return
        self.orders.see(moment)
        told = _HEARD.get(type(moment.event))
        heard = told(moment.event) if told is not None else None
        if heard is not None and (_is_mail(moment) or _changes_what_was_heard(moment)):
            self.heard.append((moment, heard))


def _is_mail(moment: Moment) -> bool:
    return isinstance(moment.event, _OF_MAIL)


def _changes_what_was_heard(moment: Moment) -> bool:
    before, after = moment.before, moment.after
    if before is None or after is None:
        return True
    return (before.needs.heard, before.needs.answers) != (after.needs.heard, after.needs.answers)


def needs_document(life: Life, told: NeedsTold) -> dict[str, Any] | None:
    """The whole explanation; None before anything is known of them."""
    if life.profile is None:
        return None
    as_of, controls = life.as_of, life.controls
    profile = replace(life.profile, as_of=as_of)
    rules = controls.policy.needs
    return {
        "needs": needs_view(profile, controls, reckoned(profile, controls)),
        "facts": [
            {
                **_fact(fact, as_of),
                "holds_until_at": instant_or_none(needs.holds_until(fact, rules)),
                "event": told.said[fact.name, fact.source][1] if (fact.name, fact.source) in told.said else None,
            }
            for fact in needs.facts(profile, rules)
        ],
        "heard": _heard(told, life),
        "orders": told.orders.standing(as_of),
    }


def _fact(fact: Fact, as_of: int) -> dict[str, Any]:
    return {
        "fact": fact.name,
        "value": list(fact.value) if isinstance(fact.value, tuple) else [str(fact.value)],
        "source": fact.source,
        "confirmed_at": instant_or_none(fact.confirmed_at),
        "age_days": (as_of - fact.confirmed_at) // DAY_SECONDS if fact.confirmed_at else None,
        "stale": fact.is_stale,
    }


def _heard(told: NeedsTold, life: Life) -> list[dict[str, Any]]:
    """What passed by channels and still counts: e-mails of a year, all else of the quarters that are kept."""
    zone = life.controls.policy.shop.time_zone
    today = day_of(life.as_of, zone)
    found = []
    for moment, (channel, what) in told.heard:
        at = int(happened_at(moment.event).timestamp())
        day = day_of(at, zone)
        counts = today - day < YEAR_DAYS if _is_mail(moment) else quarter_of(today) - quarter_of(day) < QUARTERS_KEPT
        if counts:
            found.append(
                {
                    "channel": channel, "what": what, "at": instant(at), "age_days": (life.as_of - at) // DAY_SECONDS,
                    "event": cause_of(moment),
                }
            )  # fmt: skip
    return found


# -- what an event says of channels -----------------------------------------------------------------------------------


def _by(channel: str | None, what: str) -> _Heard:
    return (channel, what) if channel in CODES else (None, "life")


def _touch(event: logged.TouchRecorded) -> _Heard | None:
    if event.channel not in CODES:
        return None
    if event.followed or event.referrer_host is not None:
        return event.channel, "answered"
    return (event.channel, "tried") if event.channel != "email" else None


def _contact(event: logged.ContactMade) -> _Heard | None:
    if not event.is_inbound:
        return (event.channel, "tried") if event.channel in CODES else None
    return _by(event.channel, "asked" if event.department == "service" else "answered")


def _by_person(event: logged.EmailOpened | logged.EmailClicked) -> _Heard | None:
    return None if event.is_machine else ("email", "answered")


_HEARD: Final[dict[type, Callable[[Any], _Heard | None]]] = {
    logged.TouchRecorded: _touch,
    logged.ContactMade: _contact,
    logged.TicketOpened: lambda event: _by(event.channel, "asked"),
    logged.EmailDelivered: lambda event: ("email", "tried"),
    logged.EmailOpened: _by_person,
    logged.EmailClicked: _by_person,
    logged.MentionPosted: lambda event: (None, "life"),
    logged.ReviewPosted: lambda event: (None, "life"),
    logged.SurveyAnswered: lambda event: (None, "life"),
}
"""As `apply` has it; a ticket known already, and what changes nothing, is left out."""

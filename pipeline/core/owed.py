"""What we owe them, and whether we keep to it: our own record, by department.

Three kinds of promise. *Sales*: an order delivered by the day promised. *Service*: a ticket answered by the time
promised. *Marketing*: no message without consent; it never should be broken, so that it is gives the count. A promise
is made once: of several days named for one thing the earliest counts. Broken is what was not done when its time had
passed, whether it was done later or not. An order cancelled before its day, and before it came, was owed no more.

Kept, broken and open are told from the promises as of an instant, so time needs no event to break one. The latest eight
of each kind are kept one by one; older ones are counted, and news of them comes too late to change the count.
"""

from __future__ import annotations

from typing import Final, NamedTuple

from msgspec.structs import replace

from pipeline.core import ledger as ledgers
from pipeline.core.days import HOUR_SECONDS
from pipeline.core.folded import is_folded
from pipeline.core.marks import mark, short_mark, shortened
from pipeline.core.profile import (
    DELIVERIES_MAX,
    EVERY_CHANNEL,
    UNCONSENTED_MAX,
    UNPROMISED_MAX,
    Case,
    Consent,
    Dealings,
    Delivery,
    Ledger,
    Profile,
    Settled,
)  # fmt: skip
from pipeline.core.words import forms

_MARKETING: Final = forms("marketing")
_MAIL_CHANNELS: Final = forms("email") + forms(EVERY_CHANNEL)


class Owed(NamedTuple):
    """Promises of one kind."""

    kept: int = 0
    broken: int = 0
    open: int = 0

    @property
    def made(self) -> int:
        """All of them."""
        return self.kept + self.broken + self.open

    def plus(self, other: Owed) -> Owed:
        """Both together; of customers, of departments."""
        return Owed(self.kept + other.kept, self.broken + other.broken, self.open + other.open)


class Promise(NamedTuple):
    """A promise that is remembered one by one."""

    department: str
    what: str
    """A delivery, an answer, or a message without consent."""
    key: int
    """The short mark of its order or ticket; of a message the instant."""
    due_at: int
    done_at: int
    outcome: str
    """Kept, broken or open."""


class Open(NamedTuple):
    """A promise whose time has not come."""

    what: str
    due_at: int
    shipped_at: int


# -- what is told of an order ------------------------------------------------------------------------------------------


def with_promise(dealings: Dealings, ledger: Ledger, order_id: str, *, promised_at: int, at: int) -> Dealings:
    """The dealings with a promise to deliver; the ledger knows whether the order has arrived already."""
    key = short_mark(order_id)
    before = _find(dealings, key)
    entry = ledgers.find(ledger, mark(order_id))
    is_gone = entry is None and (at <= ledger.folded_through_at or is_folded(ledger, mark(order_id)))
    if before is None and (_is_too_late(dealings, at) or is_gone):
        return dealings
    base = before or Delivery(key)
    delivered_at = base.delivered_at or (entry.delivered_at if entry is not None else 0)
    after = replace(
        base, promised_at=min(base.promised_at or promised_at, promised_at), delivered_at=delivered_at,
        shipped_at=0 if delivered_at else base.shipped_at,
    )  # fmt: skip
    return _with(dealings, before, after, at)


def with_shipping(dealings: Dealings, ledger: Ledger, order_id: str, *, at: int) -> Dealings:
    """The dealings with an order on its way, unless it has arrived already."""
    key = short_mark(order_id)
    before = _find(dealings, key)
    if before is None:
        entry = ledgers.find(ledger, mark(order_id))
        has_arrived = entry is not None and entry.delivered_at > 0
        if has_arrived or _is_too_late(dealings, at) or at <= ledger.folded_through_at:
            return dealings
    elif before.delivered_at:
        return dealings
    base = before or Delivery(key)
    return _with(dealings, before, replace(base, shipped_at=min(base.shipped_at or at, at)), at)


def with_delivery(dealings: Dealings, order_id: str, *, at: int) -> Dealings:
    """The dealings with an order delivered, at the earliest instant said."""
    before = _find(dealings, short_mark(order_id))
    if before is None:
        return dealings  # the ledger keeps it, should a promise be told later
    if not before.promised_at and not before.cancelled_at:
        return replace(dealings, deliveries=tuple(each for each in dealings.deliveries if each is not before))
    delivered_at = min(before.delivered_at or at, at)
    return _with(dealings, before, replace(before, delivered_at=delivered_at, shipped_at=0), at)


def with_cancellation(dealings: Dealings, order_id: str, *, at: int) -> Dealings:
    """The dealings with an order void: nothing is owed, unless its day had passed already."""
    before = _find(dealings, short_mark(order_id))
    if before is None and _is_too_late(dealings, at):
        return dealings
    base = before or Delivery(short_mark(order_id))
    return _with(dealings, before, replace(base, cancelled_at=min(base.cancelled_at or at, at)), at)


def _find(dealings: Dealings, key: int) -> Delivery | None:
    for each in dealings.deliveries:
        if each.order == key:
            return each
    return None


def _is_too_late(dealings: Dealings, at: int) -> bool:
    return dealings.deliveries_settled is not None and at <= dealings.deliveries_settled.through_at


def _with(dealings: Dealings, before: Delivery | None, after: Delivery, at: int) -> Dealings:
    if before == after:
        return dealings
    if before is not None:
        deliveries = tuple(after if each is before else each for each in dealings.deliveries)
        if before.promised_at or not after.promised_at:
            return replace(dealings, deliveries=deliveries)
    else:
        deliveries = (*dealings.deliveries, after)
    unpromised = [each for each in deliveries if not each.promised_at]
    if len(unpromised) > UNPROMISED_MAX:
        least = min(unpromised, key=lambda each: (each.shipped_at or each.cancelled_at, each.order))
        return replace(dealings, deliveries=tuple(each for each in deliveries if each is not least))
    if len(deliveries) - len(unpromised) <= DELIVERIES_MAX:
        return replace(dealings, deliveries=deliveries)
    return _without_oldest(replace(dealings, deliveries=deliveries), at)


def _without_oldest(dealings: Dealings, at: int) -> Dealings:
    """The dealings without the promise that is over for longest, which is counted.

    If none is over, without the one due first: it is counted as broken if its day has passed, else not at all.
    """
    promised = [each for each in dealings.deliveries if each.promised_at]
    over = [each for each in promised if each.delivered_at or each.cancelled_at] or promised
    oldest = min(over, key=lambda each: (each.promised_at, each.order))
    known, ended = dealings.deliveries_settled or Settled(), of_delivery(oldest, at)
    ended_at = min(oldest.promised_at, oldest.delivered_at or oldest.cancelled_at or at)
    settled = Settled(known.kept + ended.kept, known.broken + ended.broken, max(known.through_at, ended_at))
    kept = tuple(each for each in dealings.deliveries if each is not oldest)
    return replace(dealings, deliveries=kept, deliveries_settled=settled)


# -- messages and consent ----------------------------------------------------------------------------------------------


def was_allowed(consents: tuple[Consent, ...], at: int, *, grace_hours: int) -> bool:
    """Whether a marketing e-mail of that instant had their consent, as far as their latest word tells.

    A no, and the end of a grant, take so many hours to reach whoever sends. An e-mail from before their latest word is
    not judged by it; but before their first yes none was allowed, and a no is none.
    """
    latest: Consent | None = None
    had_agreed = False
    for consent in consents:
        if _is_to_mail(consent):
            had_agreed = had_agreed or 0 < consent.first_yes_at <= at
            word = (consent.changed_at, -consent.granted)
            if latest is None or word > (latest.changed_at, -latest.granted):
                latest = consent
    if latest is None or not had_agreed:
        return False
    grace = grace_hours * HOUR_SECONDS
    if not latest.granted:
        return at < latest.changed_at + grace
    return not latest.valid_until or at < latest.valid_until + grace


def _is_to_mail(consent: Consent) -> bool:
    """Whether it is about marketing by e-mail."""
    return consent.purpose_code in _MARKETING and consent.channel_code in _MAIL_CHANNELS


def with_message(dealings: Dealings, at: int) -> Dealings:
    """The dealings with a message sent without consent. Of the latest few the instants are kept."""
    kept = sorted((*dealings.unconsented_at, at))
    more = max(0, len(kept) - UNCONSENTED_MAX)
    return replace(dealings, unconsented=dealings.unconsented + more, unconsented_at=tuple(kept[more:]))


def forgiven(dealings: Dealings, consents: tuple[Consent, ...], *, grace_hours: int) -> Dealings:
    """The dealings after a word on consent: a yes from before a message, told after it, was there all the same."""
    kept = tuple(at for at in dealings.unconsented_at if not was_allowed(consents, at, grace_hours=grace_hours))
    return dealings if len(kept) == len(dealings.unconsented_at) else replace(dealings, unconsented_at=kept)


# -- how it stands -----------------------------------------------------------------------------------------------------


def by_department(profile: Profile, as_of: int) -> dict[str, Owed]:
    """What each department owes them, has kept and has broken, as of an instant."""
    dealings = profile.dealings
    broken = dealings.unconsented + len(dealings.unconsented_at)
    sales, service = _of(dealings.deliveries_settled), _of(dealings.answers_settled)
    for delivery in dealings.deliveries:
        sales = sales.plus(of_delivery(delivery, as_of))
    for case in dealings.cases:
        service = service.plus(of_answer(case, as_of))
    return {"marketing": Owed(max(profile.messages - broken, 0), broken), "sales": sales, "service": service}


def one_by_one(dealings: Dealings, as_of: int) -> list[Promise]:
    """The promises remembered one by one, the one due last first; of messages those sent without consent."""
    found = [Promise("marketing", "message", at, at, at, "broken") for at in dealings.unconsented_at]
    for each in dealings.deliveries:
        owed = of_delivery(each, as_of)
        if owed.made:
            found.append(Promise("sales", "delivery", each.order, each.promised_at, each.delivered_at, _outcome(owed)))
    for case in dealings.cases:
        if case.promised_at:
            outcome = _outcome(of_answer(case, as_of))
            found.append(Promise("service", "answer", case.ticket, case.promised_at, case.answered_at, outcome))
    return sorted(found, key=lambda each: (-each.due_at, each.what, each.key))


def _outcome(owed: Owed) -> str:
    return "kept" if owed.kept else "broken" if owed.broken else "open"


def in_numbers(profile: Profile) -> dict[str, Owed]:
    """The rest, known by its number alone: messages with consent, and what is too old to be remembered one by one."""
    dealings = profile.dealings
    broken = dealings.unconsented + len(dealings.unconsented_at)
    return {
        "marketing": Owed(max(profile.messages - broken, 0), dealings.unconsented),
        "sales": _of(dealings.deliveries_settled),
        "service": _of(dealings.answers_settled),
    }


def deliveries_ended(dealings: Dealings, as_of: int) -> list[tuple[int, int, bool]]:
    """(order, when it was decided, whether it was kept) of each delivery promised, of those told one by one."""
    ended = []
    for each in dealings.deliveries:
        kept, broken, _ = of_delivery(each, as_of)
        if kept or broken:
            ended.append((each.order, each.delivered_at if kept else each.promised_at, bool(kept)))
    return ended


def is_promised(dealings: Dealings, order: int) -> bool:
    """Whether a day was promised for the order of this mark."""
    key = shortened(order)
    return any(each.order == key and each.promised_at for each in dealings.deliveries)


def was_late(dealings: Dealings, order: int) -> bool:
    """Whether the order of this mark came later than promised."""
    if not dealings.deliveries:
        return False
    key = shortened(order)
    return any(each.order == key and each.delivered_at > each.promised_at > 0 for each in dealings.deliveries)


def let_go_late(before: Dealings, after: Dealings, at: int) -> frozenset[int]:
    """Short marks of the orders whose promise is no longer kept one by one and was not held to."""
    kept = {each.order for each in after.deliveries}
    gone = [each for each in before.deliveries if each.order not in kept]
    return frozenset(each.order for each in gone if 0 < each.promised_at < (each.delivered_at or at))


def still_open(dealings: Dealings, as_of: int) -> list[Open]:
    """The promises whose time has not come, the next one first."""
    found = [
        Open("delivery", each.promised_at, each.shipped_at)
        for each in dealings.deliveries
        if of_delivery(each, as_of).open
    ]
    found += [
        Open("answer", each.promised_at, 0)
        for each in dealings.cases
        if each.promised_at and not each.answered_at and as_of <= each.promised_at
    ]
    return sorted(found, key=lambda each: (each.due_at, each.what))


def next_due(dealings: Dealings, as_of: int) -> int:
    """The first instant after `as_of` at which time alone breaks a promise; 0: none is open."""
    due_at = 0
    for each in dealings.deliveries:
        at = each.promised_at
        if at >= as_of and not each.delivered_at and not each.cancelled_at and (not due_at or at < due_at):
            due_at = at
    for case in dealings.cases:
        at = case.promised_at
        if at >= as_of and not case.answered_at and (not due_at or at < due_at):
            due_at = at
    return due_at + 1 if due_at else 0


def _of(settled: Settled | None) -> Owed:
    return Owed() if settled is None else Owed(settled.kept, settled.broken)


def of_delivery(each: Delivery, as_of: int) -> Owed:
    """How a promised delivery stands. Of an order cancelled before it came none was owed from then on, come or not."""
    if not each.promised_at:
        return Owed()
    if each.cancelled_at and not 0 < each.delivered_at <= each.cancelled_at:
        return Owed(broken=1) if each.cancelled_at > each.promised_at else Owed()
    return _owed(each.promised_at, each.delivered_at, as_of)


def of_answer(case: Case, as_of: int) -> Owed:
    """How a promised answer stands."""
    return _owed(case.promised_at, case.answered_at, as_of) if case.promised_at else Owed()


def _owed(due_at: int, done_at: int, as_of: int) -> Owed:
    if done_at:
        return Owed(kept=1) if done_at <= due_at else Owed(broken=1)
    return Owed(broken=1) if as_of > due_at else Owed(open=1)

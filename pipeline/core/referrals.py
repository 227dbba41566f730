"""What somebody is worth through those they sent to us: their friends' worth, through at most three steps.

A customer knows who sent them, and tells that one's log what they brought, each time it changes; who is told tells
their own referrer. So every amount reaches each customer above it once. A path travels along: nobody on it is told
again, so a circle ends. What is told are differences, so that the order of arrival is of no matter, and they are told
to somebody else if an earlier referral turns up.

A referral counts from whom the earliest one names, if it is not after the first purchase. Referral value stands beside
a customer's value, and never in a sum over customers: there it would count twice.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final, NamedTuple

from msgspec.structs import replace

from pipeline.core import ledger as ledgers
from pipeline.core.days import instant
from pipeline.core.marks import mark, packed_id, short_mark, trigger_id, unpacked_id
from pipeline.core.moment import Changes, Moment, Note
from pipeline.core.money import rounded
from pipeline.core.policy import ValueRules
from pipeline.core.profile import CREDITS_MAX, FRIENDS_MAX, REFERRALS_MAX, Credit, Profile, Reward
from pipeline.schemas import logged
from pipeline.schemas.dead_letters import Reason

DEPTH_MAX: Final = 3
"""Steps from who brought something to who is credited with it."""
SOURCE: Final = "wafa"
"""Of events that customers' logs tell each other."""
_PERMILLE: Final = 1000

Rewards = tuple[Reward, ...]
Path = tuple[int, ...]
"""Short marks of the customers an amount has come through, who brought it first."""


class Told(NamedTuple):
    """An event for another customer's log."""

    customer_id: str
    event: logged.CustomerReferred | logged.ReferralCredited


def referral_value_minor(profile: Profile, rules: ValueRules) -> int:
    """The stated share of what friends brought, its square of what theirs did, its cube of the third step's."""
    if not profile.credited_minor:
        return 0
    share = rules.referral_share_permille
    weighed = 0
    for depth, amount in enumerate(profile.credited_minor, 1):
        weighed += amount * share**depth * _PERMILLE ** (DEPTH_MAX - depth)
    return rounded(weighed, _PERMILLE**DEPTH_MAX)


# -- what arrives -----------------------------------------------------------------------------------------------------


def rewarded(rewards: Rewards, referral: int, reward_minor: int) -> tuple[Rewards, int]:
    """The rewards with one for a referral, and how much more they are: of one told again the greatest counts."""
    known = _known(rewards, referral)
    had = known.amount_minor if known else 0
    if reward_minor <= had:
        return rewards, 0
    return _with(rewards, replace(known or Reward(referral, 0), amount_minor=reward_minor)), reward_minor - had


def _known(rewards: Rewards, referral: int) -> Reward | None:
    return next((each for each in rewards if each.referral == referral), None)


def _with(rewards: Rewards, told: Reward) -> Rewards:
    """With what is known of a referral, in its place if there was something."""
    if _known(rewards, told.referral) is None:
        if len(rewards) >= REFERRALS_MAX:  # what cost nothing goes first: told again, it cannot be counted twice
            gone = next((each for each in rewards if not each.amount_minor), rewards[0])
            rewards = tuple(each for each in rewards if each is not gone)
        return (*rewards, told)
    return tuple(told if each.referral == told.referral else each for each in rewards)


def _dated(rewards: Rewards, referral: int, at: int, friend: str | None) -> Rewards:
    """With the earliest date of a referral, and whom it names; if its words name several, one of them always."""
    known = _known(rewards, referral) or Reward(referral, 0)
    names = [name for name in (unpacked_id(known.friend), friend) if name]
    told_at = min(known.told_at or at, at)
    told = replace(known, told_at=told_at, friend=packed_id(min(names)) if names else "")
    return rewards if told == known else _with(rewards, told)


def is_of_oneself(customer_id: str, event: logged.ReferralMade) -> bool:
    """Whether somebody names themselves as the friend they sent: that is no referral."""
    return event.referred_customer_id == customer_id


def made(profile: Profile, event: logged.ReferralMade, now: Moment) -> Changes | None:
    """They sent somebody to us. Told again, it is the same referral, with its earliest date and with its friend."""
    friend = event.referred_customer_id
    if is_of_oneself(now.customer_id, event):
        now.notes.append(Note(Reason.SELF_REFERRAL, "referred_customer_id: expected somebody else; not counted"))
        return {}
    changes: Changes = {}
    referral = mark(event.referral_id)
    rewards, more = rewarded(profile.rewards, referral, event.reward_minor or 0)
    if more:
        changes["retention_cost_minor"] = profile.retention_cost_minor + more
    rewards = _dated(rewards, referral, now.at, friend)
    if rewards is not profile.rewards:
        changes["rewards"] = rewards
    if referral not in profile.referrals:
        changes["referrals"] = (*profile.referrals, referral)[-REFERRALS_MAX:]
    if friend is not None and short_mark(friend) not in profile.friends:
        changes["friends"] = (*profile.friends, short_mark(friend))[-FRIENDS_MAX:]
    return changes or None


def referred(profile: Profile, event: logged.CustomerReferred, now: Moment) -> Changes:
    """Somebody sent them to us: the earliest counts, of two at one instant the one of the lower id."""
    if profile.referrer and (profile.referrer_at, profile.referrer) <= (now.at, event.referrer_id):
        return {}
    return {"referrer": event.referrer_id, "referrer_at": now.at}


def credited(profile: Profile, event: logged.ReferralCredited, now: Moment) -> Changes:
    """Somebody they sent to us, or who came through such, brought something, or gave it back."""
    if short_mark(now.customer_id) in event.path:
        now.notes.append(Note(Reason.CIRCULAR_REFERRAL, "path: expected others, got the customer; not counted"))
        return {}
    sums = [*profile.credited_minor, *[0] * DEPTH_MAX][:DEPTH_MAX]
    sums[len(event.path) - 1] += event.amount_minor
    kept = {credit.path: credit.amount_minor for credit in profile.credits}
    kept[event.path] = kept.get(event.path, 0) + event.amount_minor
    credits_now = tuple(Credit(path, amount) for path, amount in kept.items() if amount)
    return {"credited_minor": tuple(sums), "credits": credits_now[-CREDITS_MAX:]}


# -- what is told on --------------------------------------------------------------------------------------------------


def told_on(
    customer_id: str, before: Profile | None, after: Profile, event: logged.CustomerEvent
) -> tuple[Profile, tuple[Told, ...], tuple[Note, ...]]:
    """The customer after telling others what an event means for them, what is told, and what is odd about it."""
    if isinstance(event, logged.ReferralMade):
        return after, tuple(_introduced(customer_id, before, after, event)), ()
    if not after.referrer and not after.brought_told_minor:
        return after, (), ()
    to, was = referrer_of(after), referrer_of(before) if before is not None else ""
    currency = event.currency if isinstance(event, logged.ReferralCredited) else after.currency
    teller = _Teller(customer_id, event, currency, after.brought_told_minor)
    brought = after.brought_told_minor if to == was else 0
    if to and (to != was or before is None or after.ledger is not before.ledger):
        brought = ledgers.worth_of(after.ledger).brought_minor
    if to != was:
        _moved(teller, (before, was), (after, to), brought)
    else:
        teller.tell(to, (), brought - after.brought_told_minor)
        if isinstance(event, logged.ReferralCredited) and short_mark(customer_id) not in event.path:
            teller.tell(to, event.path, event.amount_minor)
            _doubt(teller, before, event, to)
    if brought != after.brought_told_minor:
        after = replace(after, brought_told_minor=brought)
    return after, tuple(teller.told), tuple(teller.notes)


def referrer_of(profile: Profile) -> str:
    """Who sent them, if they had not bought before; else nobody."""
    first_at = profile.ledger.first_at
    return profile.referrer if not first_at or profile.referrer_at <= first_at else ""


class _Teller:
    """Puts together what one event makes a customer tell.

    A publisher may send several versions of an order, or several refunds, under one event id. So that equal
    differences of theirs are not taken for one, their ids are also made of the event's date and of what the customer
    had told before.
    """

    __slots__ = ("_cause", "_currency", "_event", "_me", "_own_id", "notes", "told")

    def __init__(self, customer_id: str, event: logged.CustomerEvent, currency: str, told_minor: int) -> None:
        self._cause = f"{event.source}\0{event.id}\0{event.occurred_at.isoformat()}\0{told_minor}"
        self._currency = currency
        self._own_id = customer_id
        self._me = short_mark(customer_id)
        self._event = event
        self.told: list[Told] = []
        self.notes: list[Note] = []

    def tell(self, to: str, path: Path, amount_minor: int) -> None:
        """Tell a referrer of an amount that came by this path, unless they are on it, or too far."""
        if not to or not amount_minor or len(path) >= DEPTH_MAX or short_mark(to) in path:
            return
        key = f"{self._cause}\0{to}\0{path}\0{amount_minor}\0{len(self.told)}"
        event = logged.ReferralCredited(
            id=trigger_id(self._own_id, "referral_credited", key, 1), source=SOURCE,
            occurred_at=self._event.occurred_at, received_at=self._event.received_at, simulated=self._event.simulated,
            path=(*path, self._me), amount_minor=amount_minor,
            currency=self._currency,
        )  # fmt: skip
        self.told.append(Told(to, event))


def _moved(teller: _Teller, was: tuple[Profile | None, str], now: tuple[Profile, str], brought: int) -> None:
    """Another referrer: take back from the one before what they were told, and tell the new one all of it."""
    before, before_to = was
    if before is not None:
        teller.tell(before_to, (), -before.brought_told_minor)
        for credit in before.credits:
            teller.tell(before_to, credit.path, -credit.amount_minor)
    after, to = now
    teller.tell(to, (), brought)
    for credit in after.credits:
        teller.tell(to, credit.path, credit.amount_minor)


def _doubt(teller: _Teller, before: Profile | None, event: logged.ReferralCredited, to: str) -> None:
    """Note, the first time, that an amount would go round in a circle."""
    is_new = before is None or all(credit.path != event.path for credit in before.credits)
    if to and is_new and short_mark(to) in event.path:
        teller.notes.append(Note(Reason.CIRCULAR_REFERRAL, "referrer: expected nobody on the path; told no further"))


def _introduced(customer_id: str, before: Profile | None, after: Profile, event: logged.ReferralMade) -> Iterator[Told]:
    """The friend's log learns who sent them and when, and again when an earlier date turns up."""
    if is_of_oneself(customer_id, event):
        return
    referral = mark(event.referral_id)
    known, told = _known(before.rewards if before else (), referral), _known(after.rewards, referral)
    assert told is not None, "just put there"
    friend = event.referred_customer_id or unpacked_id(told.friend)
    if not friend or (before is not None and known is not None and not _is_news(before, known, told, friend)):
        return
    at = told.told_at
    key = f"{event.referral_id}\0{friend}\0{at}"
    yield Told(
        friend,
        logged.CustomerReferred(
            id=trigger_id(customer_id, "customer_referred", key, 1), source=SOURCE, occurred_at=instant(at),
            received_at=event.received_at, simulated=event.simulated, referrer_id=customer_id,
            referral_id=event.referral_id,
        ),
    )  # fmt: skip


def _is_news(before: Profile, known: Reward, told: Reward, friend: str) -> bool:
    """Whether a friend has not been told yet of a referral that was known, or not of so early a one."""
    return told.told_at < known.told_at or not known.friend or short_mark(friend) not in before.friends

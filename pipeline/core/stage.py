"""How far the relationship has grown, and on what evidence.

The four stages as the sources define them: *exploratory*, first contact; *basic*, we know who they are and at least
one need, and a message made from it was answered, no order required; *collaborative*, they bought, and at least two of
marketing, sales and service have dealt with them well in the last cycle; *bonded*, loyal over several cycles with no
complaint open (a referral is evidence, never a condition). A cycle is the policy's, or longer by their own rhythm, so
that who buys twice a year, regularly, can be loyal.

A stage rises one step at a time, as soon as its evidence is there. It is kept on less than it took to reach it (one
department may do, and an open complaint takes nothing away), falls one step after two checks in a row that did not find
even that, and what was lost is regained at the next check at the earliest: so nobody flickers. While a serious
complaint is new and open it neither rises nor falls, and a solved complaint is no evidence.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from typing import Final

from pipeline.core import buckets, cases, owed
from pipeline.core import ledger as ledgers
from pipeline.core.buckets import Measure
from pipeline.core.days import DAY_SECONDS, day_of
from pipeline.core.folded import older_quarters
from pipeline.core.policy import Policy
from pipeline.core.profile import DAYS_MAX, NEVER_WELL, Order, Profile, Stage
from pipeline.core.quarters import QUARTER_DAYS

FAILED_CHECKS_MAX: Final = 2


def cycle_days(profile: Profile, policy: Policy) -> int:
    """How long a cycle of theirs is: the policy's, or longer by their own typical gap between purchases."""
    rules, gap = policy.stage, profile.dealings.gap_days
    own = gap * rules.own_cycle_permille // 1000
    return rules.cycle_days if own <= rules.cycle_days else min(own, rules.cycle_days_max)


def need_known_at(profile: Profile) -> int:
    """Since when we know a need of theirs; 0: of none."""
    return profile.dealings.need_since_at or profile.need_at


def need_confirmed_at(profile: Profile) -> int:
    """When a need of theirs was last said, or seen in what they bought; 0: never."""
    return max(_confirmed(profile))


def _confirmed(profile: Profile) -> tuple[int, int, int]:
    """What is known of when: the first word of a need, the last they said, the last purchase told by its lines."""
    bought_at = profile.ledger.last_at if profile.needs.categories else 0
    return profile.dealings.need_since_at, profile.need_at, bought_at


def need_answered_at(profile: Profile) -> int:
    """When they last answered a message made from a need of theirs; 0: never.

    One that names its need, or, naming none, one of marketing's after a need was known.
    """
    known_at = need_known_at(profile)
    if known_at and profile.answered_at >= known_at:
        return max(profile.answered_at, profile.dealings.need_met_at)
    return profile.dealings.need_met_at


def is_known(profile: Profile, as_of: int, policy: Policy) -> bool:
    """We know who they are and a need of theirs, and they answered a message made from it."""
    if not profile.identified:
        return False
    dealings = profile.dealings  # `need_answered_at`, in short: every step asks
    return dealings.need_met_at > 0 or 0 < (dealings.need_since_at or profile.need_at) <= profile.answered_at


def is_known_of_late(profile: Profile, as_of: int, policy: Policy) -> bool:
    """The same, and what they answered was not made from a need too old to be used by then."""
    return is_known(profile, as_of, policy) and not is_need_stale(profile, policy)


def is_need_stale(profile: Profile, policy: Policy) -> bool:
    """Whether what we knew of their needs was too old to be used when they last answered, naming none."""
    if profile.dealings.need_met_at:
        return False
    *said, bought_at = _confirmed(profile)
    if bought_at > profile.answered_at:  # and before that, as far as days are kept
        bought = ledgers.history(profile.ledger, policy.shop.time_zone)
        bought_at = max((at for at, _ in bought if at <= profile.answered_at), default=0)
    before = max((at for at in (*said, bought_at) if at <= profile.answered_at), default=0)
    return profile.answered_at - before >= _life_seconds(policy)


def is_need_fresh(profile: Profile, as_of: int, policy: Policy) -> bool:
    """Whether a need of theirs is known now that is not too old to be used, answered or not."""
    confirmed_at = need_confirmed_at(profile)
    return confirmed_at > 0 and as_of - confirmed_at < _life_seconds(policy)


def _life_seconds(policy: Policy) -> int:
    return max(policy.needs.interests_life_days, policy.needs.reason_life_days) * DAY_SECONDS


def dealt_at(profile: Profile, as_of: int, policy: Policy) -> dict[str, int]:
    """When each department last dealt with them well, 0: never.

    Sales: a delivery, if not later than promised and not all sent back; a contact; or an order that has stood for some
    days with nothing of it given back. Service: a ticket solved that was no complaint, if answered in time and not
    called bad; a contact. What went badly takes nothing from what went well before.
    """
    return {
        "marketing": profile.marketing_at,
        "sales": _sales_at(profile, as_of, policy),
        "service": _service_at(profile),
    }


def _service_at(profile: Profile) -> int:
    at = profile.service_at  # contacts, and what is no longer kept one by one
    for case in profile.dealings.cases:
        if case.solved_after and case.solved_at > at and cases.was_served_well(case):
            at = case.solved_at
    return at


def _sales_at(profile: Profile, as_of: int, policy: Policy) -> int:
    sales_at, ledger = profile.sold_at, profile.ledger
    for order in ledger.orders:
        if order.delivered_at > sales_at and _was_delivered_well(profile, order):
            sales_at = order.delivered_at
    stood = as_of - policy.stage.order_stands_days * DAY_SECONDS
    if ledger.first_at > stood:
        return sales_at
    for order in ledger.orders:
        at = order.purchased_at
        if sales_at < at <= stood and _stands(profile, order):
            sales_at = at
    return sales_at


def sales_at_after(profile: Profile, orders: Collection[Order]) -> int:
    """What a profile keeps of when sales dealt with them well, once these orders of theirs fold.

    Nothing but the ledger while all that fold stand: what has folded can be given back no more.
    """
    if not orders or (not profile.sales_at and all(_stands(profile, each) for each in orders)):
        return profile.sales_at
    came = [each.delivered_at for each in orders if _was_delivered_well(profile, each)]
    stand = [each.purchased_at for each in orders if _stands(profile, each)]
    return max(profile.sold_at, *came, *stand, NEVER_WELL)


def _was_delivered_well(profile: Profile, order: Order) -> bool:
    """Whether an order came, no later than promised if a day was, and they kept some of it."""
    if not order.delivered_at or order.came_late:
        return False
    return not owed.was_late(profile.dealings, order.order) and not ledgers.is_void(profile.ledger, order)


def _stands(profile: Profile, order: Order) -> bool:
    """Whether an order is one that they kept, as far as nothing better is told of it: no delivery and no promise."""
    if not order.known or order.cancelled or order.delivered_at:
        return False
    is_given_back = ledgers.is_given_back(profile.ledger, order.order)
    return not is_given_back and not owed.is_promised(profile.dealings, order.order)


def departments(profile: Profile, as_of: int, policy: Policy) -> list[str]:
    """Which departments have dealt with them well in the last cycle."""
    since = as_of - cycle_days(profile, policy) * DAY_SECONDS
    return [name for name, at in dealt_at(profile, as_of, policy).items() if at and at > since]


def is_worked_on_together(profile: Profile, as_of: int, policy: Policy) -> bool:
    """They bought, and enough departments have dealt with them well in the last cycle."""
    return _is_dealt_with(profile, as_of, policy, policy.stage.departments_for_collaborative)


def is_still_worked_on(profile: Profile, as_of: int, policy: Policy) -> bool:
    """The same with fewer departments: what was reached is kept on less than it takes to reach it."""
    return _is_dealt_with(profile, as_of, policy, policy.stage.departments_to_keep)


def _is_dealt_with(profile: Profile, as_of: int, policy: Policy, wanted: int) -> bool:
    if not profile.ledger.last_at:
        return False
    since = as_of - cycle_days(profile, policy) * DAY_SECONDS
    dealt = (profile.marketing_at > since) + (_service_at(profile) > since)
    if dealt >= wanted or dealt + 1 < wanted:
        return dealt >= wanted
    return _sales_at(profile, as_of, policy) > since


def bought_in_cycles(
    profile: Profile, as_of: int, policy: Policy, purchase_days: Sequence[int] | None = None
) -> list[bool]:
    """Whether they bought in each of the last cycles of theirs, the newest first. Their purchase days may be given.

    Of who buys so often that their latest 32 purchase days reach back less far, what came before is known to the day or
    week for a year, and then to the quarter: a cycle that a quarter with a purchase lies in, or reaches into, counts.
    """
    zone, length, cycles = policy.shop.time_zone, cycle_days(profile, policy), policy.stage.cycles_for_bonded
    today = day_of(as_of, zone)
    days = ledgers.purchase_days(profile.ledger, zone) if purchase_days is None else purchase_days
    if len(days) == DAYS_MAX:  # they buy so often that these reach back less far than the buckets
        days = [*ledgers.all_days(profile.ledger, zone), *buckets.days_with(profile.buckets, Measure.ORDERS)]
    bought = {(today - day) // length for day in days}
    for quarter in older_quarters(profile.ledger) if len(bought) < cycles else ():
        ends, begins = (quarter + 1) * QUARTER_DAYS - 1, quarter * QUARTER_DAYS
        bought |= set(range((today - ends) // length, (today - begins) // length + 1))
    return [cycle in bought for cycle in range(cycles)]


def is_loyal(profile: Profile, as_of: int, policy: Policy) -> bool:
    """They bought in each of their last cycles, and no complaint is open."""
    return is_still_loyal(profile, as_of, policy) and not cases.has_open_complaint(profile)


def is_still_loyal(profile: Profile, as_of: int, policy: Policy) -> bool:
    """They bought in each of their last cycles: an open complaint by itself ends no loyalty."""
    length, cycles = cycle_days(profile, policy), policy.stage.cycles_for_bonded
    first_at, last_at = profile.ledger.first_at, profile.ledger.last_at
    if as_of - first_at < (length * (cycles - 1) - 1) * DAY_SECONDS:
        return False
    zone = policy.shop.time_zone
    today = day_of(as_of, zone)
    if today - day_of(first_at, zone) < length * (cycles - 1) or today - day_of(last_at, zone) >= length:
        return False  # nothing in the oldest of the cycles, or nothing in the newest: spares looking at every purchase
    return all(bought_in_cycles(profile, as_of, policy))


def is_frozen(profile: Profile, as_of: int, policy: Policy) -> bool:
    """Whether an open complaint is so serious, or of a severity unknown, and so new that the stage stays as it is."""
    return bool(profile.dealings.cases) and as_of < frozen_until(profile, policy)


def frozen_until(profile: Profile, policy: Policy) -> int:
    """Until when an open complaint holds the stage where it is, should it not be solved before; 0: none does."""
    serious = policy.stage.serious_from_severity
    opened_at = 0
    for case in profile.dealings.cases:
        if cases.is_open_complaint(case) and (not case.severity or case.severity >= serious):
            opened_at = max(opened_at, cases.opened_at(case))
    return opened_at + policy.stage.frozen_days_max * DAY_SECONDS if opened_at else 0


Evidence = Callable[[Profile, int, Policy], bool]

HOLDS: Final[dict[Stage, tuple[Evidence, ...]]] = {
    Stage.EXPLORATORY: (),
    Stage.BASIC: (is_known_of_late,),
    Stage.COLLABORATIVE: (is_known, is_worked_on_together),
    Stage.BONDED: (is_known, is_worked_on_together, is_loyal),
}
"""What must hold for a stage to be reached."""
TO_KEEP: Final[dict[Evidence, Evidence]] = {
    is_known_of_late: is_known, is_worked_on_together: is_still_worked_on, is_loyal: is_still_loyal,
}  # fmt: skip
"""What less is enough to keep it."""
KEEPS: Final = {stage: tuple(TO_KEEP.get(each, each) for each in some) for stage, some in HOLDS.items()}
"""What must hold for a stage to be kept."""
_EVIDENCE: Final = tuple(HOLDS[stage][::-1] for stage in sorted(HOLDS))
"""What is a stage's own comes first: it is missing most often, and every step asks."""
_TO_KEEP: Final = tuple(KEEPS[stage][::-1] for stage in sorted(KEEPS))

REASONS: Final = {
    Stage.EXPLORATORY: "first_contact",
    Stage.BASIC: "known_and_answered",
    Stage.COLLABORATIVE: "departments_work_together",
    Stage.BONDED: "loyal_over_cycles",
}
FALL_REASON: Final = "evidence_gone"
_LOWEST: Final = int(Stage.EXPLORATORY)
_HIGHEST: Final = int(Stage.BONDED)


def holds(some: tuple[Evidence, ...], profile: Profile, as_of: int, policy: Policy) -> bool:
    """Whether all of some evidence is there."""
    for evidence in some:  # noqa: SIM110 - a plain loop: every step asks, and a generator costs a third more
        if not evidence(profile, as_of, policy):
            return False
    return True


def checked(profile: Profile, as_of: int, policy: Policy) -> dict[str, object]:
    """What changes in the profile when its stage is looked at now: nothing, a step up, a failed check, a step down."""
    changes = _found(profile, as_of, policy)
    return {} if changes and is_frozen(profile, as_of, policy) else changes


def _found(profile: Profile, as_of: int, policy: Policy) -> dict[str, object]:
    """The same, if nothing holds the stage where it is: hardly any look finds a change."""
    stage = profile.stage
    may_rise = stage < _HIGHEST and (stage >= profile.stage_peak or as_of >= may_rise_at(profile, policy))
    if may_rise and holds(_EVIDENCE[stage + 1], profile, as_of, policy):
        return _moved(profile, stage + 1, "", as_of)
    if as_of < profile.stage_checked_at + policy.stage.check_every_days * DAY_SECONDS:
        return {}
    if stage == _LOWEST or holds(_TO_KEEP[stage], profile, as_of, policy):
        return {"stage_checked_at": as_of, "stage_failed_checks": 0}
    if profile.stage_failed_checks + 1 < FAILED_CHECKS_MAX:
        return {"stage_checked_at": as_of, "stage_failed_checks": profile.stage_failed_checks + 1}
    return _moved(profile, stage - 1, FALL_REASON, as_of)


def may_rise_at(profile: Profile, policy: Policy) -> int:
    """From when on they may rise: at once to a stage that is new to them, else at the check after the last move."""
    if profile.stage >= profile.stage_peak:
        return 0
    return profile.stage_since_at + policy.stage.check_every_days * DAY_SECONDS


def reason(profile: Profile) -> str:
    """Why they are in their stage. What leads up to it goes without saying in the profile."""
    return profile.stage_reason or REASONS[Stage(profile.stage)]


def _moved(profile: Profile, stage: int, reason: str, as_of: int) -> dict[str, object]:
    return {
        "stage": stage,
        "stage_reason": reason,
        "stage_since_at": as_of,
        "stage_checked_at": as_of,
        "stage_failed_checks": 0,
        "stage_peak": max(stage, profile.stage_peak),
    }

"""How far the relationship has grown, and on what evidence.

The four stages as the sources define them: *exploratory*, first contact; *basic*, we know who they are and have
answered a need, no order required; *collaborative*, they bought, and at least two of marketing, sales and service have
dealt with them well in the last cycle; *bonded*, loyal over several cycles with no complaint open (a referral is
evidence, never a condition). A stage rises one step at a time, as soon as its evidence is there; it falls one step
after two failed checks in a row, so that nobody flickers. While a complaint is open it does neither, and a solved
complaint is no evidence.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from pipeline.core import buckets
from pipeline.core import ledger as ledgers
from pipeline.core.buckets import Measure
from pipeline.core.days import DAY_SECONDS, day_of
from pipeline.core.policy import Policy
from pipeline.core.profile import DAYS_MAX, Profile, Stage

FAILED_CHECKS_MAX: Final = 2


def cycle_days(profile: Profile, policy: Policy) -> int:
    """How long a cycle of theirs is."""
    return policy.stage.cycle_days


def need_known_at(profile: Profile) -> int:
    """When they last said a need of theirs; 0: never."""
    return profile.need_at


def need_answered_at(profile: Profile) -> int:
    """When they last answered a message of ours; 0: never."""
    return profile.answered_at


def is_known(profile: Profile, as_of: int, policy: Policy) -> bool:
    """We know who they are, and a message of ours has met a need: they answered it, or said what they need."""
    return bool(profile.identified and (profile.need_at or profile.answered_at))


def dealt_at(profile: Profile, as_of: int, policy: Policy) -> dict[str, int]:
    """When each department last dealt with them well, 0: never."""
    return {"marketing": profile.marketing_at, "sales": profile.sales_at, "service": profile.service_at}


def departments(profile: Profile, as_of: int, policy: Policy) -> list[str]:
    """Which departments have dealt with them well in the last cycle."""
    since = as_of - cycle_days(profile, policy) * DAY_SECONDS
    return [name for name, at in dealt_at(profile, as_of, policy).items() if at and at > since]


def is_worked_on_together(profile: Profile, as_of: int, policy: Policy) -> bool:
    """They bought, and enough departments have dealt with them well in the last cycle."""
    if not profile.ledger.last_at:
        return False
    return len(departments(profile, as_of, policy)) >= policy.stage.departments_for_collaborative


def bought_in_cycles(profile: Profile, as_of: int, policy: Policy) -> list[bool]:
    """Whether they bought in each of the last cycles of theirs, the newest first."""
    zone, length, cycles = policy.shop.time_zone, cycle_days(profile, policy), policy.stage.cycles_for_bonded
    today = day_of(as_of, zone)
    days = ledgers.purchase_days(profile.ledger, zone)
    if len(days) == DAYS_MAX:  # they buy so often that these reach back less far than the buckets
        days += buckets.days_with(profile.buckets, Measure.ORDERS)
    bought = {(today - day) // length for day in days}
    return [cycle in bought for cycle in range(cycles)]


def is_loyal(profile: Profile, as_of: int, policy: Policy) -> bool:
    """They bought in each of the last cycles, and no complaint is open."""
    if has_open_complaint(profile):
        return False
    zone, length, cycles = policy.shop.time_zone, cycle_days(profile, policy), policy.stage.cycles_for_bonded
    first_at, last_at = ledgers.first_and_last(profile.ledger)
    today = day_of(as_of, zone)
    if today - day_of(first_at, zone) < length * (cycles - 1) or today - day_of(last_at, zone) >= length:
        return False  # nothing in the oldest of the cycles, or nothing in the newest: spares looking at every purchase
    return all(bought_in_cycles(profile, as_of, policy))


def has_open_complaint(profile: Profile) -> bool:
    """Whether a complaint of theirs waits for us."""
    return bool(profile.tickets) and any(ticket.is_complaint for ticket in profile.tickets)


def is_frozen(profile: Profile, policy: Policy) -> bool:
    """Whether the stage stays where it is, whatever happens: a complaint is open."""
    return has_open_complaint(profile)


Evidence = Callable[[Profile, int, Policy], bool]

HOLDS: Final[dict[Stage, tuple[Evidence, ...]]] = {
    Stage.EXPLORATORY: (),
    Stage.BASIC: (is_known,),
    Stage.COLLABORATIVE: (is_known, is_worked_on_together),
    Stage.BONDED: (is_known, is_worked_on_together, is_loyal),
}
"""What must hold for a stage to be reached, and to be kept."""
_EVIDENCE: Final = tuple(HOLDS[stage] for stage in sorted(HOLDS))

REASONS: Final = {
    Stage.EXPLORATORY: "first_contact",
    Stage.BASIC: "known_and_answered",
    Stage.COLLABORATIVE: "departments_work_together",
    Stage.BONDED: "loyal_over_cycles",
}
FALL_REASON: Final = "evidence_gone"
_LOWEST: Final = int(Stage.EXPLORATORY)
_HIGHEST: Final = int(Stage.BONDED)


def holds(stage: int, profile: Profile, as_of: int, policy: Policy) -> bool:
    """Whether the evidence for a stage is there."""
    for evidence in _EVIDENCE[stage]:  # noqa: SIM110 - a plain loop: every step asks, and a generator costs a third more
        if not evidence(profile, as_of, policy):
            return False
    return True


def checked(profile: Profile, as_of: int, policy: Policy) -> dict[str, object]:
    """What changes in the profile when its stage is looked at now: nothing, a step up, a failed check, a step down."""
    if has_open_complaint(profile):
        return {}
    stage = profile.stage
    if stage < _HIGHEST and holds(stage + 1, profile, as_of, policy):
        return _moved(profile, Stage(stage + 1), REASONS[Stage(stage + 1)], as_of)
    if as_of < profile.stage_checked_at + policy.stage.check_every_days * DAY_SECONDS:
        return {}
    if stage == _LOWEST or holds(stage, profile, as_of, policy):
        return {"stage_checked_at": as_of, "stage_failed_checks": 0}
    if profile.stage_failed_checks + 1 < FAILED_CHECKS_MAX:
        return {"stage_checked_at": as_of, "stage_failed_checks": profile.stage_failed_checks + 1}
    return _moved(profile, Stage(stage - 1), FALL_REASON, as_of)


def reason(profile: Profile) -> str:
    """Why they are in their stage."""
    return profile.stage_reason


def _moved(profile: Profile, stage: Stage, reason: str, as_of: int) -> dict[str, object]:
    return {
        "stage": int(stage),
        "stage_reason": reason,
        "stage_since_at": as_of,
        "stage_checked_at": as_of,
        "stage_failed_checks": 0,
        "stage_peak": max(int(stage), profile.stage_peak),
    }

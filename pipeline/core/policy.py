"""The shop's rules as data: read from a file a marketer can edit, checked whole, adopted through the log."""

from __future__ import annotations

import json
import tomllib
from hashlib import blake2b
from importlib.resources import files
from typing import Any, Final, get_origin
from zoneinfo import ZoneInfoNotFoundError

import msgspec

from pipeline.core.days import zone_named
from pipeline.core.profile import DAYS_MAX, MESSAGES_MAX, MESSAGES_WINDOW_DAYS_MAX


class BadPolicy(Exception):
    """The policy refuses itself; the message lists every problem."""


class _Section(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Every field is needed, none else is known."""


class ShopRules(_Section, frozen=True):
    """What holds for the whole shop."""

    time_zone: str


class LifecycleRules(_Section, frozen=True):
    """When silence means something."""

    at_risk_after_days: int
    lapsed_after_days: int
    active_from_purchases: int
    prospect_limit_days: int


class StageRules(_Section, frozen=True):
    """What a relationship stage asks for, and how often it is checked."""

    cycle_days: int
    check_every_days: int
    departments_for_collaborative: int
    cycles_for_bonded: int
    own_cycle_permille: int = 1500
    cycle_days_max: int = 730
    order_stands_days: int = 14
    serious_from_severity: int = 3
    departments_to_keep: int = 1
    frozen_days_max: int = 90


class LedgerRules(_Section, frozen=True):
    """How long an order may still change."""

    refund_window_days: int


class ValueRules(_Section, frozen=True):
    """What revenue leaves, and what things cost us. Rates are whole thousandths, amounts the shop's minor units."""

    margin_permille: int
    affiliate_commission_permille: int
    email_cost_per_thousand_minor: int
    service_hour_cost_minor: int
    return_cost_minor: int
    attribution: str
    attribution_window_days: int
    cpa_prior_customers: int
    referral_share_permille: int
    margin_permille_by_category: dict[str, int] = {}


class NeedsRules(_Section, frozen=True):
    """How long a fact about a customer holds, and how much it takes to infer one. Shares are whole thousandths."""

    channel_life_days: int
    frequency_life_days: int
    interests_life_days: int
    reason_life_days: int
    person_life_days: int
    answers_life_days: int
    usual_response_permille: int
    response_prior_tries: int
    response_tries_min: int
    attributed_within_days: int
    service_contacts_min: int
    time_answers_min: int
    price_orders_min: int
    price_prior_orders: int
    offers_only_permille: int
    full_price_permille: int
    just_bought_days: int
    shift_orders_min: int
    shift_distance_permille: int


class ForecastRules(_Section, frozen=True):
    """How far ahead is looked, and when silence is news. They count once a model is in force."""

    alarms_per_thousand_a_week: int = 10
    return_horizon_days: int = 90
    value_horizon_days: int = 1095
    discount_permille_a_year: int = 150
    at_risk_min_days: int = 3
    at_risk_max_days: int = 365
    lapsed_after_deadlines: int = 3


class TierRules(_Section, frozen=True):
    """Where the lines between tiers run. Shares, chances and slack are whole thousandths."""

    mvc_top_permille: int = 150
    mvc_return_permille: int = 500
    mgc_top_permille: int = 300
    bz_certainty_permille: int = 800
    bz_serve_permille: int = 750
    bz_orders_min: int = 3
    bz_gaps_min: int = 2
    slack_permille: int = 100
    hold_days: int = 30


class OwedRules(_Section, frozen=True):
    """What we promise everybody."""

    consent_grace_hours: int = 24


class SatisfactionRules(_Section, frozen=True):
    """What each kind of evidence weighs, for how long, and what counts as satisfied. Thousandths."""

    half_life_days: int = 180
    survey_weight_permille: int = 1000
    review_weight_permille: int = 800
    mention_weight_permille: int = 500
    ticket_weight_permille: int = 800
    promise_weight_permille: int = 300
    prior_permille: int = 500
    prior_weight_permille: int = 500
    least_weight_permille: int = 100
    solved_in_time_days: int = 3
    answered_in_time_hours: int = 24
    satisfied_from_permille: int = 700
    dissatisfied_below_permille: int = 400


class GuardRails(_Section, frozen=True):
    """What protects the customer from us."""

    messages_max: int
    messages_window_days: int
    complaint_cool_down_days: int


class Rule(_Section, frozen=True):
    """One trigger's rule."""

    enabled: bool
    purpose: str
    channel: str
    wait_days: int
    expires_after_days: int
    cool_down_days: int
    priority: int
    edition: int
    wait_after_delivery_days: int = 0


class Rules(_Section, frozen=True):
    """Every trigger Wafa knows."""

    retention_offer: Rule
    feedback_request: Rule


class MoneyGoal(_Section, frozen=True):
    """An amount to reach in each period, and who answers for it; 0 sets none."""

    target_minor: int = 0
    owner: str = "shared"


class ShareGoal(_Section, frozen=True):
    """A share to reach in each period, and who answers for it; 0 sets none."""

    target_permille: int = 0
    owner: str = "shared"


class GoalRules(_Section, frozen=True):
    """What the shop wants of each period."""

    period: str = "month"
    sales: MoneyGoal = MoneyGoal(owner="sales")
    repeat_share: ShareGoal = ShareGoal(owner="sales")
    retention: ShareGoal = ShareGoal()
    cpa: MoneyGoal = MoneyGoal(owner="marketing")
    value_per_customer: MoneyGoal = MoneyGoal()
    satisfaction: ShareGoal = ShareGoal(owner="service")
    promises_kept: ShareGoal = ShareGoal(owner="service")


class Policy(_Section, frozen=True):
    """The whole policy."""

    shop: ShopRules
    lifecycle: LifecycleRules
    stage: StageRules
    ledger: LedgerRules
    value: ValueRules
    guard_rails: GuardRails
    rules: Rules
    needs: NeedsRules
    forecast: ForecastRules = ForecastRules()
    tiers: TierRules = TierRules()
    owed: OwedRules = OwedRules()
    satisfaction: SatisfactionRules = SatisfactionRules()
    goals: GoalRules = GoalRules()


# Smallest and largest sensible value of each number, by its path.
_BOUNDS: Final[dict[str, tuple[int, int]]] = {
    "lifecycle.at_risk_after_days": (1, 3650),
    "lifecycle.lapsed_after_days": (2, 3650),
    "lifecycle.active_from_purchases": (2, DAYS_MAX),
    "lifecycle.prospect_limit_days": (1, 3650),
    "stage.cycle_days": (7, 730),
    "stage.check_every_days": (1, 365),
    "stage.departments_for_collaborative": (1, 3),
    "stage.cycles_for_bonded": (1, 12),
    "stage.own_cycle_permille": (0, 5000),
    "stage.cycle_days_max": (7, 1460),
    "stage.order_stands_days": (0, 365),
    "stage.serious_from_severity": (1, 5),
    "stage.departments_to_keep": (0, 3),
    "stage.frozen_days_max": (0, 730),
    "ledger.refund_window_days": (1, 730),
    "value.margin_permille": (-1000, 1000),
    "value.affiliate_commission_permille": (0, 1000),
    "value.email_cost_per_thousand_minor": (0, 1_000_000_000),
    "value.service_hour_cost_minor": (0, 1_000_000_000),
    "value.return_cost_minor": (0, 1_000_000_000),
    "value.attribution_window_days": (1, 730),
    "value.cpa_prior_customers": (5, 1000),
    "value.referral_share_permille": (0, 1000),
    "needs.channel_life_days": (1, 3650),
    "needs.frequency_life_days": (1, 3650),
    "needs.interests_life_days": (1, 3650),
    "needs.reason_life_days": (1, 3650),
    "needs.person_life_days": (1, 3650),
    "needs.answers_life_days": (30, 3650),
    "needs.usual_response_permille": (1, 999),
    "needs.response_prior_tries": (1, 1000),
    "needs.response_tries_min": (1, 1000),
    "needs.attributed_within_days": (0, 30),
    "needs.service_contacts_min": (1, 100),
    "needs.time_answers_min": (2, 100),
    "needs.price_orders_min": (1, 100),
    "needs.price_prior_orders": (1, 100),
    "needs.offers_only_permille": (501, 1000),
    "needs.full_price_permille": (0, 499),
    "needs.just_bought_days": (0, 365),
    "needs.shift_orders_min": (1, 100),
    "needs.shift_distance_permille": (100, 1000),
    "forecast.alarms_per_thousand_a_week": (1, 500),
    "forecast.return_horizon_days": (7, 365),
    "forecast.value_horizon_days": (30, 3650),
    "forecast.discount_permille_a_year": (0, 1000),
    "forecast.at_risk_min_days": (1, 365),
    "forecast.at_risk_max_days": (1, 3650),
    "forecast.lapsed_after_deadlines": (2, 10),
    "tiers.mvc_top_permille": (50, 500),
    "tiers.mvc_return_permille": (0, 950),
    "tiers.mgc_top_permille": (50, 900),
    "tiers.bz_certainty_permille": (500, 999),
    "tiers.bz_serve_permille": (500, 950),
    "tiers.bz_orders_min": (2, 100),
    "tiers.bz_gaps_min": (1, 20),
    "tiers.slack_permille": (0, 500),
    "tiers.hold_days": (0, 365),
    "guard_rails.messages_max": (1, MESSAGES_MAX),
    "guard_rails.messages_window_days": (1, MESSAGES_WINDOW_DAYS_MAX),
    "guard_rails.complaint_cool_down_days": (0, 365),
    "owed.consent_grace_hours": (0, 240),
    "satisfaction.half_life_days": (7, 3650),
    "satisfaction.survey_weight_permille": (0, 10_000),
    "satisfaction.review_weight_permille": (0, 10_000),
    "satisfaction.mention_weight_permille": (0, 10_000),
    "satisfaction.ticket_weight_permille": (0, 10_000),
    "satisfaction.promise_weight_permille": (0, 10_000),
    "satisfaction.prior_permille": (0, 1000),
    "satisfaction.prior_weight_permille": (0, 10_000),
    "satisfaction.least_weight_permille": (1, 10_000),
    "satisfaction.solved_in_time_days": (1, 365),
    "satisfaction.answered_in_time_hours": (1, 8760),
    "satisfaction.satisfied_from_permille": (1, 1000),
    "satisfaction.dissatisfied_below_permille": (0, 1000),
}
_RULE_BOUNDS: Final[dict[str, tuple[int, int]]] = {
    "wait_days": (0, 365),
    "wait_after_delivery_days": (0, 365),
    "expires_after_days": (1, 365),
    "cool_down_days": (0, 730),
    "priority": (1, 100),
    "edition": (1, 1_000_000),
}
_COMES_BEFORE: Final = "must come before"
_AT_MOST: Final = "must not exceed"
_IN_ORDER: Final = (
    ("lifecycle.at_risk_after_days", _COMES_BEFORE, "lifecycle.lapsed_after_days"),
    ("forecast.at_risk_min_days", _AT_MOST, "forecast.at_risk_max_days"),
    ("stage.cycle_days", _AT_MOST, "stage.cycle_days_max"),
    ("stage.departments_to_keep", _AT_MOST, "stage.departments_for_collaborative"),
    ("satisfaction.dissatisfied_below_permille", _AT_MOST, "satisfaction.satisfied_from_permille"),
)
"""Numbers that make sense only in this order."""
GOALS: Final = tuple(name for name in GoalRules.__struct_fields__ if name != "period")
GOAL_BOUNDS: Final = {"target_minor": (0, 10**15), "target_permille": (0, 1000)}
GOAL_PERIODS: Final = ("week", "month", "quarter", "year")
GOAL_OWNERS: Final = ("marketing", "sales", "service", "shared")
_CAME_LATER: Final = ("value", "forecast", "tiers", "needs", "owed", "satisfaction", "goals")
"""Sections that logs of an earlier version have no word of."""
CATEGORIES_MAX: Final = 200
"""Product categories with a margin of their own."""
_CHANNELS: Final = ("email", "sms", "push", "phone", "post", "messenger")
ATTRIBUTIONS: Final = ("linear", "position", "first", "last")
_PURPOSES: Final = ("marketing", "feedback")


def default_text() -> str:
    """The default policy file, with its comments."""
    return files("pipeline.core").joinpath("policy.toml").read_text(encoding="utf-8")


def load_policy(text: str) -> Policy:
    """The policy a file's text says. Raises BadPolicy with every problem at once."""
    try:
        document = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise BadPolicy(f"Policy that cannot be read: {error}") from error
    return from_dict(document)


def from_dict(document: dict[str, Any]) -> Policy:
    """The policy in a document, checked whole. Raises BadPolicy with every problem at once."""
    sound = _sound(document, Policy)  # so that what is wrong by itself does not hide what is wrong beside it
    problems = [*_shape_problems(document, Policy, ""), *_bound_problems(sound), *_sense_problems(sound)]
    if problems:
        raise _bad(problems)
    return msgspec.convert(document, Policy)


def from_logged(document: dict[str, Any]) -> Policy:
    """A policy the log holds. A section that there was not yet when it was adopted is as the defaults have it."""
    whole = {section: to_dict(DEFAULT)[section] for section in _CAME_LATER} | document
    rails = whole.get("guard_rails")
    if isinstance(rails, dict) and isinstance(rails.get("messages_window_days"), int):  # could once be a year
        window = min(rails["messages_window_days"], MESSAGES_WINDOW_DAYS_MAX)
        whole["guard_rails"] = {**rails, "messages_window_days": window}
    return from_dict(whole)


def to_dict(policy: Policy) -> dict[str, Any]:
    """The policy as a document, for the log."""
    document: dict[str, Any] = msgspec.to_builtins(policy)
    return document


def policy_hash(policy: Policy) -> str:
    """Sixteen hex digits that change with any rule."""
    canonical = json.dumps(to_dict(policy), sort_keys=True, separators=(",", ":"))
    return blake2b(canonical.encode(), digest_size=8).hexdigest()


def _bad(problems: list[str]) -> BadPolicy:
    return BadPolicy("Policy that cannot work:\n" + "\n".join(f"  {problem}" for problem in problems))


def _shape_problems(document: object, section: type[msgspec.Struct], path: str) -> list[str]:
    """What is missing, unknown or of another kind, in this section and below."""
    if not isinstance(document, dict):
        return [f"{path.rstrip('.') or 'policy'}: expected a section, got {type(document).__name__}"]
    fields = {field.name: field for field in msgspec.structs.fields(section)}
    problems = [
        f"{path}{name}: unknown; expected one of {', '.join(fields)}" for name in document if name not in fields
    ]
    for name, field in fields.items():
        if name not in document:
            if field.required:
                problems.append(f"{path}{name}: expected, got nothing")
        elif isinstance(field.type, type) and issubclass(field.type, msgspec.Struct):
            problems.extend(_shape_problems(document[name], field.type, f"{path}{name}."))
        elif get_origin(field.type) is dict:
            problems.extend(_table_problems(document[name], f"{path}{name}"))
        elif type(document[name]) is not field.type:
            wanted = getattr(field.type, "__name__", str(field.type))
            problems.append(f"{path}{name}: expected {wanted}, got {document[name]!r}")
    return problems


def _table_problems(table: object, path: str) -> list[str]:
    """What is wrong with a table of whole numbers by name."""
    if not isinstance(table, dict):
        return [f"{path}: expected a table, got {table!r}"]
    return [f"{path}.{name}: expected int, got {each!r}" for name, each in table.items() if type(each) is not int]


def _sound(document: object, section: type[msgspec.Struct]) -> dict[str, Any]:
    """What a document has of the right kind in this section and below, and the defaults of what it leaves out."""
    given = document if isinstance(document, dict) else {}
    sound: dict[str, Any] = {}
    for field in msgspec.structs.fields(section):
        if field.name not in given and field.default is not msgspec.NODEFAULT:
            sound[field.name] = msgspec.to_builtins(field.default)
            continue
        value = given.get(field.name)
        if isinstance(field.type, type) and issubclass(field.type, msgspec.Struct):
            sound[field.name] = _sound(value, field.type)
        elif get_origin(field.type) is dict:
            table = value if isinstance(value, dict) else {}
            sound[field.name] = {name: each for name, each in table.items() if type(each) is int}
        elif type(value) is field.type:
            sound[field.name] = value
    return sound


def _bound_problems(sound: dict[str, Any]) -> list[str]:
    problems = []
    for path, bounds in _BOUNDS.items():
        problems.extend(_outside(path, _at(sound, path), bounds))
    by_category = sound["value"]["margin_permille_by_category"]
    if len(by_category) > CATEGORIES_MAX:
        problems.append(f"value.margin_permille_by_category: expected at most {CATEGORIES_MAX}, got {len(by_category)}")
    for name, rate in by_category.items():
        problems.extend(_outside(f"value.margin_permille_by_category.{name}", rate, _BOUNDS["value.margin_permille"]))
    for rule, fields in sound["rules"].items():
        for name, bounds in _RULE_BOUNDS.items():
            problems.extend(_outside(f"rules.{rule}.{name}", fields.get(name), bounds))
    for goal in GOALS:
        for name, bounds in GOAL_BOUNDS.items():
            problems.extend(_outside(f"goals.{goal}.{name}", sound["goals"][goal].get(name), bounds))
    return problems


def _at(sound: dict[str, Any], path: str) -> Any:
    """What is at a path such as `stage.cycle_days`; None if that is wrong by itself."""
    section, name = path.split(".")
    return sound[section].get(name)


def _outside(path: str, value: int | None, bounds: tuple[int, int]) -> list[str]:
    low, high = bounds
    return [] if value is None or low <= value <= high else [f"{path}: expected {low} to {high}, got {value}"]


def _sense_problems(sound: dict[str, Any]) -> list[str]:
    problems = []
    for less, rule, more in _IN_ORDER:
        first, second = _at(sound, less), _at(sound, more)
        if first is not None and second is not None and first + (rule == _COMES_BEFORE) > second:
            problems.append(f"{less} ({first}) {rule} {more} ({second})")
    zone = _at(sound, "shop.time_zone")
    if zone is not None and not _is_zone(zone):
        problems.append(f"shop.time_zone: expected an IANA zone such as Europe/Berlin, got {zone!r}")
    problems.extend(_none_of("value.attribution", _at(sound, "value.attribution"), ATTRIBUTIONS))
    for name, rule in sound["rules"].items():
        problems.extend(_none_of(f"rules.{name}.channel", rule.get("channel"), _CHANNELS))
        problems.extend(_none_of(f"rules.{name}.purpose", rule.get("purpose"), _PURPOSES))
    problems.extend(_none_of("goals.period", _at(sound, "goals.period"), GOAL_PERIODS))
    for name in GOALS:
        problems.extend(_none_of(f"goals.{name}.owner", sound["goals"][name].get("owner"), GOAL_OWNERS))
    return problems


def _is_zone(name: str) -> bool:
    try:
        zone_named(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        return False
    return True


def _none_of(path: str, value: str | None, choices: tuple[str, ...]) -> list[str]:
    if value is None or value in choices:
        return []
    return [f"{path}: expected one of {', '.join(choices)}, got {value!r}"]


DEFAULT: Final = load_policy(default_text())

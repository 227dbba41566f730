"""What holds for every customer, whatever happens to them and in whatever order it is told."""

from __future__ import annotations

import random
import subprocess
import sys
from collections import Counter
from datetime import datetime, timedelta
from itertools import permutations
from typing import Any, get_args
from unittest.mock import patch
from uuid import NAMESPACE_URL, uuid5

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from msgspec.structs import replace

from pipeline.core import decide
from pipeline.core import ledger as ledgers
from pipeline.core.apply import APPLY
from pipeline.core.codec import pack, stand_alike, unpack
from pipeline.core.lifecycle import ON_PURCHASE, ON_SILENCE, ON_VOID, limit_of
from pipeline.core.marks import trigger_id
from pipeline.core.policy import DEFAULT
from pipeline.core.profile import Lifecycle, Profile
from pipeline.core.stage import HOLDS, REASONS
from pipeline.core.step import Outcome
from pipeline.core.view import view
from pipeline.schemas import logged
from tests.conftest import REPOSITORY
from tests.core.builders import cancelled, consent, day, opened, order, policy, refund, resolved, said, seconds, ticket
from tests.core.lives import HASTY, MOVES, STEADY, histories, live, lived, lives, naive_value
from tests.driver import Driver, replay

ARRIVAL = {"stage_since_at", "offset"}
"""What a view says of when we noticed, not of what happened."""
DECIDED = {"considerations_open", "last_decision", "next_review_at"}
"""What it says of decisions, which rest on what was known when they were made."""


def shown(driver: Driver, *, without: set[str] = ARRIVAL) -> dict[str, Any]:
    """The customer's view, but for some fields."""
    seen = view("c", driver.profiles["c"], driver.controls, partition=0, offset=0)
    return {name: value for name, value in seen.items() if name not in without}


def arrived(history: list[Any], *, first_tick: float | None = None) -> Driver:
    """A history told as it comes, then three Ticks; before it the log's first one, where asked for."""
    driver = Driver(HASTY)
    if first_tick is not None:
        driver.tick(day(first_tick))
    live(history, driver)
    for tick in (410, 420, 430):  # more than a week apart, so that each visits everybody
        driver.tick(day(tick))
    return driver


# -- value ------------------------------------------------------------------------------------------------------------


@STEADY
@given(histories, st.randoms(use_true_random=False), st.sampled_from((None, 400)))
def test_any_order_of_arrival_and_any_repetition_of_a_history_is_one_state_and_its_value(
    history: list[Any], chance: random.Random, first_tick: float | None
) -> None:
    told = arrived(history, first_tick=first_tick)
    muddle = [*history, *chance.sample(history, chance.randrange(len(history) + 1))]
    chance.shuffle(muddle)
    without = ARRIVAL if first_tick is None else ARRIVAL | DECIDED
    assert shown(arrived(muddle, first_tick=first_tick), without=without) == shown(told, without=without)
    expected = naive_value(history)
    assert ledgers.totals(told.profiles["c"].ledger) == (
        expected["orders"], expected["revenue"], expected["refunded"], expected["discount"],
    )  # fmt: skip
    bought = [at for at, _ in expected["bought"]]
    first_and_last = (int(bought[0].timestamp()), int(bought[-1].timestamp())) if bought else (0, 0)
    assert ledgers.first_and_last(told.profiles["c"].ledger) == first_and_last


@STEADY
@given(histories)
def test_rolling_figures_of_purchases_equal_a_count_over_the_days(history: list[Any]) -> None:
    seen = shown(arrived(history))["windows"]
    for days in (7, 30, 90):
        since = (day(430) - timedelta(days=days - 1)).date()
        in_window = [revenue for at, revenue in naive_value(history)["bought"] if at.date() >= since]
        assert seen[f"days_{days}"]["orders"] == len(in_window)
        assert seen[f"days_{days}"]["revenue_minor"] == sum(in_window)


def test_a_refund_counts_on_its_own_day_in_whatever_order_refunds_arrive() -> None:
    history = [order(0, "A", 100), refund(5, "A", "R", 60), refund(20, "A", "S", 60)]
    for told in (history, history[::-1], [history[0], history[2], history[1]]):
        driver = live(told, Driver())
        driver.tick(day(20))
        windows = shown(driver)["windows"]
        assert windows["days_7"]["refunded_minor"] == 100 - 60
        assert windows["days_30"]["refunded_minor"] == 100


def test_a_refund_told_anew_moves_to_its_later_day_with_its_later_amount_in_whatever_order_it_is_told() -> None:
    history = [order(0, "A", 100), refund(5, "A", "R", 60), refund(18, "A", "R", 40), refund(6, "A", "S", 10)]
    for told in permutations(history):
        driver = live(told, Driver())
        driver.tick(day(20))
        windows = shown(driver)["windows"]
        assert windows["days_7"]["refunded_minor"] == 40
        assert windows["days_30"]["refunded_minor"] == 40 + 10


@STEADY
@given(histories)
def test_folding_changes_no_total_and_forgets_no_purchase_day(history: list[Any]) -> None:
    driver = live(history, Driver(policy(ledger__refund_window_days=700)))
    before = driver.profiles["c"].ledger
    driver.tick(day(400))
    driver.tick(day(1200))
    after = driver.profiles["c"].ledger
    assert after.orders == ()
    assert after.refunds == ()
    assert ledgers.totals(after) == ledgers.totals(before)
    assert ledgers.first_and_last(after) == ledgers.first_and_last(before)
    assert ledgers.purchase_days(after, "UTC") == ledgers.purchase_days(before, "UTC")


@STEADY
@given(lives)
def test_totals_are_of_all_that_was_told_however_late_it_came(life: list[Any]) -> None:
    told = [event for event in life if not isinstance(event, logged.Tick)]
    assume(told)
    driver = live(life, Driver(policy(ledger__refund_window_days=730)))
    expected = naive_value(told)
    assert ledgers.totals(driver.profiles["c"].ledger) == (
        expected["orders"], expected["revenue"], expected["refunded"], expected["discount"],
    )  # fmt: skip


# -- repetition, order, replay ----------------------------------------------------------------------------------------


@STEADY
@given(lives)
def test_an_event_told_twice_in_a_row_is_one_event(life: list[Any]) -> None:
    twice = [each for event in life for each in (event, event)]
    assert live(twice).profiles == live(life).profiles
    assert live(twice).decisions == live(life).decisions


@STEADY
@given(lives)
def test_what_is_refused_or_known_already_changes_nothing(life: list[Any]) -> None:
    driver = Driver(HASTY)
    for event in life:
        before = driver.profiles.get("c")
        if isinstance(event, logged.Tick):
            driver.control(event)
            continue
        stepped = driver.feed(event)
        if stepped.outcome in (Outcome.TOO_OLD, Outcome.DUPLICATE):
            assert stepped.profile is before
            assert stepped.decisions == ()


@STEADY
@given(lives, lives, st.randoms(use_true_random=False))
def test_two_customers_do_not_touch_each_other(one: list[Any], two: list[Any], chance: random.Random) -> None:
    ticks = [event for event in one if isinstance(event, logged.Tick)]
    told = [("a", event) for event in one] + [
        ("b", event) for event in two if not isinstance(event, logged.Tick)
    ]  # fmt: skip
    apart: dict[str, Driver] = {"a": Driver(HASTY), "b": Driver(HASTY)}
    together = Driver(HASTY)
    for whom, event in _shuffled(told, chance):
        if isinstance(event, logged.Tick):
            for driver in (together, *apart.values()):
                driver.control(event)
        else:
            together.feed(event, whom)
            apart[whom].feed(event, whom)
    assert len(ticks) <= len(one)
    assert together.profiles == {**apart["a"].profiles, **apart["b"].profiles}
    assert Counter(map(str, together.decisions)) == Counter(map(str, apart["a"].decisions + apart["b"].decisions))


def _shuffled(told: list[tuple[str, Any]], chance: random.Random) -> list[tuple[str, Any]]:
    """The two customers' events interleaved at random, each customer's in their order."""
    whose = {whom: iter([each for each in told if each[0] == whom]) for whom in "ab"}
    places = [whom for whom, _ in told]
    chance.shuffle(places)
    return [next(whose[whom]) for whom in places]


@STEADY
@given(lives)
def test_a_replay_gives_the_same_bytes_and_the_same_decisions(life: list[Any]) -> None:
    records = [
        (logged.CONTROL_KEY if isinstance(event, logged.Tick) else b"c", logged.encode(event)) for event in life
    ]  # fmt: skip
    lived_once = live(life, Driver())
    replayed = replay(records)
    assert replayed.profiles == {customer: pack(profile) for customer, profile in lived_once.profiles.items()}
    assert replayed.decisions == lived_once.decisions


@pytest.mark.parametrize("seed", range(40))
def test_looking_only_at_what_may_move_decides_what_looking_at_everything_does(seed: int) -> None:
    chance = random.Random(seed)  # long lives: what is left out by mistake shows only after some looks
    life = list(
        lived([(chance.choice(MOVES), chance.choice((0, 0.25, 1, 3)), chance.randrange(4), 0) for _ in range(80)])
    )
    quick = live(life, Driver(policy=HASTY))
    with patch.object(decide, "waiting", return_value=0):
        thorough = live(life, Driver(policy=HASTY))
    assert quick.decisions == thorough.decisions
    assert quick.profiles == thorough.profiles


@STEADY
@given(lives)
def test_a_packed_profile_is_the_profile(life: list[Any]) -> None:
    for profile in live(life).profiles.values():
        assert unpack(pack(profile)) == profile
        assert pack(unpack(pack(profile))) == pack(profile)


SEEDED = """
import random
from hashlib import blake2b
from pipeline.core.codec import pack
from tests.core.lives import MOVES, live, lived

chance = random.Random(7)
moves = [(chance.choice(MOVES), chance.choice((0, .25, 1, 3)), chance.randrange(4), 0) for _ in range(600)]
driver = live(lived(moves))
print(len(driver.decisions), blake2b(pack(driver.profiles["c"]) + repr(driver.decisions).encode()).hexdigest())
"""


def test_bytes_and_decisions_are_the_same_under_another_hash_seed() -> None:
    said = [
        subprocess.run(
            [sys.executable, "-c", SEEDED], cwd=REPOSITORY, env={"PYTHONHASHSEED": seed}, check=True, text=True,
            stdout=subprocess.PIPE,
        ).stdout
        for seed in ("1", "2")
    ]  # fmt: skip
    assert said[0] == said[1]
    assert int(said[0].split()[0]) > 20, "much was decided"


@STEADY
@given(lives)
def test_how_often_the_clock_ticks_changes_no_value_and_no_lifecycle(life: list[Any]) -> None:
    told = [event for event in life if not isinstance(event, logged.Tick)]
    assume(told)
    told.sort(key=lambda event: event.occurred_at)
    rare, often = Driver(HASTY), Driver(HASTY)
    rare.tick(day(0))
    often.tick(day(0))
    now = day(0)
    for event in told:
        while now < event.occurred_at:
            now += timedelta(hours=36)
            often.tick(min(now, event.occurred_at))
        rare.feed(event)
        often.feed(event)
    for tick in (700, 710, 720):
        rare.tick(day(tick))
        often.tick(day(tick))
    without = ARRIVAL | DECIDED | {"stage", "stage_reason", "stage_evidence"}
    assert shown(rare, without=without) == shown(often, without=without)


# -- decisions --------------------------------------------------------------------------------------------------------


def may_send(told: list[Any], purpose: str, channel: str, at: datetime) -> bool:
    """Whether the last word on consent, by its date, is a yes that has not ended: reckoned from all said so far."""
    words = []
    for event in told:
        match event:
            case logged.ConsentChanged() if event.purpose == purpose and event.channel in (None, channel):
                is_over = event.valid_until is not None and at >= event.valid_until
                words.append((event.occurred_at, event.state != "granted" or is_over))
            case logged.EmailUnsubscribed() if channel == "email" and event.list_id is None:
                words.append((event.occurred_at, True))
    return bool(words) and not max(words)[1]


def wanted(told: list[Any], at: datetime) -> int | None:
    """How many messages a month they want at most, by the last word of it that is not too old: of two, the fewer."""
    words = [
        (event.occurred_at, -event.contacts_per_month_max)
        for event in told
        if isinstance(event, logged.PreferenceStated) and event.contacts_per_month_max is not None
    ]
    said_at, wish = max(words, default=(at, None))
    life = timedelta(days=HASTY.needs.frequency_life_days)
    return None if wish is None or at >= said_at + life else -wish


def complaints_open(told: list[Any]) -> set[str]:
    """Complaints opened and not yet solved, in the order they were told."""
    opened_now: set[str] = set()
    solved: set[str] = set()
    for event in told:
        if isinstance(event, logged.TicketOpened) and event.kind == "complaint" and event.ticket_id not in solved:
            opened_now.add(event.ticket_id)
        elif isinstance(event, logged.TicketResolved):
            opened_now.discard(event.ticket_id)
            solved.add(event.ticket_id)
    return opened_now


@STEADY
@given(lives)
def test_nothing_is_sent_without_consent_during_a_complaint_in_cool_down_or_too_often(life: list[Any]) -> None:
    driver, told, sent = Driver(HASTY), [], []
    rails = HASTY.guard_rails
    for event in life:
        decided = len(driver.decisions)
        if not isinstance(event, logged.Tick):
            told.append(event)
        live([event], driver)
        for each in driver.decisions[decided:]:
            if each.outcome != "sent":
                continue
            rule = getattr(HASTY.rules, each.rule)
            assert may_send(told, rule.purpose, each.channel, each.decided_at)
            assert not complaints_open(told)
            closed = [e.occurred_at for e in told if isinstance(e, logged.TicketResolved) and e.kind == "complaint"]
            assert all(at + timedelta(days=rails.complaint_cool_down_days) <= each.decided_at for at in closed)
            window = timedelta(days=rails.messages_window_days)
            assert sum(each.decided_at - one.decided_at < window for one in sent) < rails.messages_max
            wish, month = wanted(told, each.decided_at), timedelta(days=31)
            assert wish is None or sum(each.decided_at - one.decided_at < month for one in sent) < wish
            same = [one.decided_at for one in sent if one.rule == each.rule]
            assert all(each.decided_at - at >= timedelta(days=rule.cool_down_days) for at in same)
            assert each.decided_at < each.expires_at
            sent.append(each)


@STEADY
@given(lives)
def test_considered_is_sent_and_withheld_and_expired_and_cancelled_and_still_held(life: list[Any]) -> None:
    driver = live(life)
    moves: dict[str, list[str]] = {}
    for each in driver.decisions:
        moves.setdefault(each.trigger_id, []).append(each.outcome)
    for outcomes in moves.values():
        assert outcomes[0] == "held" or len(outcomes) == 1
        assert "held" not in outcomes[1:]
        assert len(outcomes) <= 2
    still_held = {
        trigger_id("c", each.rule, each.business_key, each.edition)
        for profile in driver.profiles.values()
        for each in profile.considerations
    }
    assert still_held == {trigger for trigger, outcomes in moves.items() if outcomes[-1] == "held"}


def test_the_lives_drawn_here_do_send_hold_withhold_expire_and_cancel() -> None:
    """Else the invariants above would say little."""
    chance = random.Random(3)
    from tests.core.lives import MOVES, lived  # noqa: PLC0415 - only this test draws its own

    outcomes: Counter[str] = Counter()
    for _ in range(30):
        moves = [(chance.choice(MOVES), chance.choice((0, 0.25, 1, 2, 3)), chance.randrange(4), 0) for _ in range(120)]
        outcomes.update(str(each.outcome) for each in live(list(lived(moves))).decisions)
    assert min(outcomes[name] for name in ("sent", "held", "withheld", "expired", "cancelled")) >= 5, outcomes


# -- tables -----------------------------------------------------------------------------------------------------------

EXAMPLES: dict[type, Any] = {
    type(event): event
    for event in (
        said(logged.CustomerIdentified, 9), said(logged.TouchRecorded, 9, channel="affiliate"),
        said(logged.PreferenceStated, 9, interests=("shoes",)), said(logged.ContactMade, 9, department="sales"),
        order(9, "Z"), refund(9, "A"), cancelled(9, "Y"),
        said(logged.OrderPromised, 9, order_id="A", promised_at=day(12)),
        said(logged.OrderShipped, 9, order_id="A"), said(logged.OrderDelivered, 9, order_id="A"),
        said(logged.EmailDelivered, 9, email_id="m"), opened(9), said(logged.EmailClicked, 9, email_id="m"),
        said(logged.EmailBounced, 9, email_id="m", bounce_type="hard"), said(logged.EmailUnsubscribed, 9, email_id="m"),
        said(logged.EmailMarkedAsSpam, 9, email_id="m"), consent(9),
        said(logged.MentionPosted, 9, mention_id="p", platform="forum", sentiment=-0.4),
        said(logged.ReviewPosted, 9, review_id="r", rating_fraction=0.5), said(logged.ReferralMade, 9, referral_id="f"),
        said(logged.SurveyAnswered, 9, survey_id="s", kind="nps", score=9.0, score_max=10.0), ticket(9), resolved(9),
        said(logged.TicketUpdated, 9, ticket_id="T", status="open"),
        said(logged.CostRecorded, 9, department="sales", amount_minor=100, currency="USD"),
        said(logged.CustomerReferred, 9, referrer_id="d", referral_id="f"),
        said(logged.ReferralCredited, 9, path=(2**62,), amount_minor=500),
    )
}  # fmt: skip
HISTORY_OF = {
    Lifecycle.PROSPECT: [],
    Lifecycle.NEW: [order(0)],
    Lifecycle.ACTIVE: [order(0), order(1, "B")],
    Lifecycle.AT_RISK: [order(-60)],
    Lifecycle.LAPSED: [order(-180)],
    Lifecycle.WON_BACK: [order(-180), order(0, "B")],
}
AFTER_ORDER = {
    Lifecycle.PROSPECT: Lifecycle.NEW, Lifecycle.NEW: Lifecycle.ACTIVE, Lifecycle.ACTIVE: Lifecycle.ACTIVE,
    Lifecycle.AT_RISK: Lifecycle.ACTIVE, Lifecycle.LAPSED: Lifecycle.WON_BACK, Lifecycle.WON_BACK: Lifecycle.ACTIVE,
}  # fmt: skip


def test_tables_are_whole() -> None:
    assert set(ON_PURCHASE) == set(Lifecycle)
    assert set(ON_SILENCE) == set(Lifecycle) - {Lifecycle.PROSPECT, Lifecycle.LAPSED}
    assert all((limit_of(state, DEFAULT) is not None) == (state in ON_SILENCE) for state in Lifecycle)
    assert ON_VOID[0] is Lifecycle.PROSPECT
    assert set(HOLDS) == set(REASONS)
    assert set(APPLY) == set(get_args(logged.CustomerEvent)) == set(EXAMPLES)


@pytest.mark.parametrize("state", list(Lifecycle), ids=lambda state: state.label)
@pytest.mark.parametrize("kind", list(EXAMPLES), ids=lambda kind: kind.__name__)
def test_every_lifecycle_has_an_answer_to_every_event_and_only_an_order_moves_it(kind: type, state: Lifecycle) -> None:
    driver = Driver()
    driver.feed(said(logged.TouchRecorded, -1, channel="email"))
    live(HISTORY_OF[state], driver)
    for tick in (1, 2, 3):
        driver.tick(day(tick))
    assert driver.profiles["c"].lifecycle == state
    driver.feed(EXAMPLES[kind])
    expected = AFTER_ORDER[state] if kind is logged.OrderCompleted else state
    assert driver.profiles["c"].lifecycle == expected


def test_a_tick_for_nobody_is_a_mistake() -> None:
    from pipeline.core.step import step  # noqa: PLC0415 - the only direct call here

    with pytest.raises(ValueError, match="customers that are there"):
        step("c", None, logged.Tick(as_of=day(1)), Driver().controls)


# -- size -------------------------------------------------------------------------------------------------------------


def ordinary_year(*, has_lines: bool = False) -> list[Any]:
    """12 orders (and what they were of), 60 e-mail events, 4 mentions or reviews, 1 ticket; with consent and a name."""
    year: list[Any] = [said(logged.CustomerIdentified, 0, language="en", time_zone="Europe/Berlin"), consent(0)]
    year.append(consent(0, "feedback"))
    kinds = (logged.EmailDelivered, logged.EmailOpened, logged.EmailDelivered, logged.EmailClicked)
    year += [said(kinds[number % 4], 6 * number + number % 3, email_id=f"mail-{number}") for number in range(60)]
    lines = [(logged.Item(product_id="p", category=name),) for name in ("shoes", "socks", "shirts", "sport/outdoor")]
    year += [order(30 * number + 3, f"order-2026-{number:06}", 4_999 + 731 * number,
                   **({"items": lines[number % 4]} if has_lines else {})) for number in range(12)]  # fmt: skip
    year += [said(logged.MentionPosted, 80 * number, mention_id=f"p{number}", platform="forum", sentiment=0.4)
             for number in (1, 3)]  # fmt: skip
    year += [said(logged.ReviewPosted, 80 * number, review_id=f"r{number}", rating_fraction=0.8) for number in (2, 4)]
    year += [ticket(100, "ticket-1", channel="phone"), resolved(102, "ticket-1")]
    return sorted(year, key=lambda event: event.occurred_at)


def uuid(name: str) -> str:
    """An id as long as most are."""
    return str(uuid5(NAMESPACE_URL, name))


def lived_daily(year: list[Any], days: int, *controls: logged.ModelFitted) -> tuple[Profile, int]:
    """The customer at the end of it with a Tick a day, and the largest they were on the way, packed."""
    driver, largest = Driver(), 0
    for control in controls:
        driver.control(control)
    waiting = [replace(event, id=uuid(f"{number} {event.id}")) for number, event in enumerate(year)]
    for today in range(days):
        driver.tick(day(today))
        while waiting and waiting[0].occurred_at <= day(today):
            driver.feed(waiting.pop(0))
        if "c" in driver.profiles:
            largest = max(largest, len(pack(driver.profiles["c"])))
    return driver.profiles["c"], largest


@pytest.mark.parametrize("has_lines", [False, True])
def test_an_ordinary_year_packs_to_a_kibibyte(*, has_lines: bool) -> None:
    _, largest = lived_daily(ordinary_year(has_lines=has_lines), 366)
    assert largest <= 1024, f"{largest} bytes"


def test_a_heavy_customer_packs_to_four() -> None:
    """Every week an order, of 23 categories in all, a ticket and a mention; an e-mail opened and clicked every day."""
    heavy: list[Any] = [consent(0), consent(0, "feedback")]
    for number in range(400):
        heavy += [
            said(kind, number, email_id="m")
            for kind in (logged.EmailDelivered, logged.EmailOpened, logged.EmailClicked)
        ]
        if number % 7 == 0:
            lines = (logged.Item(product_id="p", category=f"category {(number + each) % 23:03}") for each in range(3))
            heavy.append(order(number, uuid(f"o{number}"), 10_000 + number, items=tuple(lines)))
            heavy.append(said(logged.MentionPosted, number, mention_id="p", platform="forum", sentiment=0.5))
            heavy += [ticket(number, f"t{number}"), resolved(number, f"t{number}")]
    _, largest = lived_daily(heavy, 400)
    assert largest <= 4096, f"{largest} bytes"


def test_the_heaviest_customer_there_can_be_is_bounded() -> None:
    """Every kind of thing, every week of a year and then every day of a quarter: all bounds of the profile at once."""
    life: list[Any] = []
    for number in (*range(0, 308, 7), *range(308, 400)):
        examples = (replace(event, occurred_at=day(number)) for event in EXAMPLES.values() if not is_given_by_id(event))
        life += [*examples, order(number, uuid(f"a{number}"), 10**9), order(number, uuid(f"b{number}"), 10**9)]
        life += [refund(number, uuid(f"a{number}"), uuid(f"r{number}"), 10**6), ticket(number, f"t{number}")]
    profile, largest = lived_daily(life, 400)
    assert len(profile.ledger.orders) + len(profile.ledger.refunds) <= 64
    assert largest <= 12_288, f"{largest} bytes"


def is_given_by_id(event: Any) -> bool:
    """Whether it would be the same event every day."""
    return isinstance(event, logged.OrderCompleted | logged.OrderRefunded | logged.OrderCancelled | logged.TicketOpened)


def test_the_times_of_a_profile_are_whole_seconds() -> None:
    driver = live([order(0.000_001)], Driver())
    assert driver.profiles["c"].as_of == seconds(0)


def test_packed_profiles_show_whether_stage_and_lifecycle_are_the_same() -> None:
    standings = [(stage, lifecycle) for stage in range(4) for lifecycle in range(6)]
    packed = [pack(Profile(first_seen_at=1, as_of=2, stage=stage, lifecycle=state)) for stage, state in standings]
    later = [pack(Profile(first_seen_at=9, as_of=9, next_review_at=7, stage=a, lifecycle=b)) for a, b in standings]
    for one, each in zip(standings, packed, strict=True):
        for other, that in zip(standings, later, strict=True):
            assert stand_alike(each, that) is (one == other)

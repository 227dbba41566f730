"""What is known of a customer's wishes: stated beats inferred, the latest word counts, and no fact holds for ever."""

from __future__ import annotations

import random
from itertools import permutations
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from pipeline.core.codec import pack, unpack
from pipeline.core.guardrails import channel_of
from pipeline.core.needs import facts
from pipeline.core.profile import Profile
from pipeline.core.view import view
from pipeline.schemas import logged
from tests.core.builders import cancelled, consent, day, opened, order, policy, refund, said, ticket
from tests.core.lives import STEADY, live
from tests.driver import Driver

CATEGORIES = ("shoes", "socks", "shirts", "hats")


def lines(*categories: str) -> dict[str, Any]:
    """The lines of an order, one of each category."""
    return {"items": tuple(logged.Item(product_id=f"p {name}", category=name, amount_minor=900) for name in categories)}


def wish(on: float, **fields: Any) -> logged.PreferenceStated:
    return said(logged.PreferenceStated, on, **fields)


def known(on: float, **fields: Any) -> logged.CustomerIdentified:
    return said(logged.CustomerIdentified, on, **fields)


def contact(on: float, channel: str, *, inbound: bool = False, department: str = "sales") -> logged.ContactMade:
    return said(logged.ContactMade, on, channel=channel, is_inbound=inbound, department=department)


def shown(driver: Driver) -> dict[str, Any]:
    """The block `needs` of the customer's view."""
    seen: dict[str, Any] = view("c", driver.profiles["c"], driver.controls, partition=0, offset=0)["needs"]
    return seen


def fact(driver: Driver, name: str) -> list[tuple[list[str], str, bool]]:
    """(value, source, stale) of each line about a fact."""
    return [
        (each["value"], each["source"], each["stale"]) for each in shown(driver)["facts"] if each["fact"] == name
    ]  # fmt: skip


# -- what they say ----------------------------------------------------------------------------------------------------


def test_the_latest_word_counts_whichever_arrives_first() -> None:
    words = [
        wish(1, marketing_channel="sms", interests=("shoes",), reason_for_buying="gift", contacts_per_month_max=4),
        wish(5, marketing_channel="phone", contacts_per_month_max=2),
        wish(3, interests=("hats", "socks"), reason_for_buying="work"),
    ]
    for told in permutations(words):
        driver = live(told)
        assert fact(driver, "marketing_channel") == [(["phone"], "stated", False)]
        assert fact(driver, "interests") == [(["hats", "socks"], "stated", False)]
        assert fact(driver, "reason_for_buying") == [(["work"], "stated", False)]
        assert fact(driver, "contacts_per_month_max") == [(["2"], "stated", False)]


def test_an_identification_changes_what_it_says_and_keeps_the_rest() -> None:
    words = [
        known(1, language="fa", time_zone="Asia/Tehran", country="IR"),
        known(9, language="de", kind="company"),
        known(4, country="DE", time_zone="Europe/Berlin"),
    ]
    for told in permutations(words):
        driver = live(told)
        assert fact(driver, "language") == [(["de"], "stated", False)]
        assert fact(driver, "time_zone") == [(["Europe/Berlin"], "stated", False)]
        assert fact(driver, "country") == [(["DE"], "stated", False)]
        assert fact(driver, "kind") == [(["company"], "stated", False)]
        dates = {each["fact"]: each["confirmed_at"] for each in shown(driver)["facts"]}
        assert dates == {"language": day(9), "time_zone": day(4), "country": day(4), "kind": day(9)}


def test_of_two_words_at_one_instant_one_counts_in_either_order() -> None:
    words = [wish(1, marketing_channel="sms", id="a"), wish(1, marketing_channel="email", id="b")]
    assert fact(live(words), "marketing_channel") == fact(live(words[::-1]), "marketing_channel")


def test_saying_it_again_confirms_it() -> None:
    driver = live([wish(1, interests=("shoes",)), wish(300, interests=("shoes",))])
    assert shown(driver)["facts"][0]["confirmed_at"] == day(300)


def test_past_its_life_a_fact_is_shown_as_stale_to_the_day() -> None:
    driver = live([wish(0, interests=("shoes",))], Driver(policy(needs__interests_life_days=30)))
    for on, stale in ((29.9, False), (30, True)):
        driver.tick(day(on))
        driver.feed(opened(on))
        assert fact(driver, "interests") == [(["shoes"], "stated", stale)]


def test_a_profile_from_before_dates_were_kept_dates_what_was_said_from_when_they_were_first_seen() -> None:
    before = Profile(first_seen_at=100, as_of=200, language="fa", time_zone="Asia/Tehran")
    said_at = {each.name: each.confirmed_at for each in facts(unpack(pack(before)), policy().needs)}
    assert said_at == {"language": 100, "time_zone": 100}


# -- stated and inferred ----------------------------------------------------------------------------------------------


def answers_by_phone(start: float) -> list[Any]:
    """Somebody who calls us and leaves e-mails unopened."""
    mails = [said(logged.EmailDelivered, start + number, email_id=f"m{number}") for number in range(12)]
    calls = [contact(start + number, "phone", inbound=True) for number in range(1, 6)]
    return [*mails, *calls]


def reviewed(told: list[Any], on: float, **changes: Any) -> Driver:
    """The customer as the reviews up to a day find them."""
    driver = Driver(policy(**changes))
    driver.tick(day(-1))
    live(sorted(told, key=lambda event: event.occurred_at), driver)
    for late in (0, 8, 16):
        driver.tick(day(on + late - 16))
    return driver


def test_a_channel_is_inferred_from_response_and_only_where_none_is_stated() -> None:
    told = [*answers_by_phone(0), consent(0, channel=None)]
    rule = policy().rules.retention_offer
    driver = reviewed(told, 40)
    assert fact(driver, "marketing_channel") == [(["phone"], "inferred", False)]
    assert channel_of(driver.profiles["c"], rule, driver.controls.policy) == "phone"
    driver = reviewed([*told, wish(20, marketing_channel="sms")], 40)
    assert fact(driver, "marketing_channel") == [(["sms"], "stated", False)]
    assert channel_of(driver.profiles["c"], rule, driver.controls.policy) == "sms"


def test_a_stale_wish_is_not_used_and_what_is_inferred_takes_its_place() -> None:
    told = [consent(0, channel=None), wish(1, marketing_channel="sms")]
    rule = policy().rules.retention_offer
    driver = reviewed(told, 40, needs__channel_life_days=30)
    assert fact(driver, "marketing_channel") == [(["sms"], "stated", True)]
    assert channel_of(driver.profiles["c"], rule, driver.controls.policy) == "email"
    driver = reviewed([*told, *answers_by_phone(20)], 40, needs__channel_life_days=30)
    assert fact(driver, "marketing_channel") == [(["sms"], "stated", True), (["phone"], "inferred", False)]
    assert channel_of(driver.profiles["c"], rule, driver.controls.policy) == "phone"


def test_an_inferred_channel_has_a_life_too() -> None:
    told = [*answers_by_phone(0), consent(0, channel=None)]
    driver = reviewed(told, 60, needs__channel_life_days=30)
    assert fact(driver, "marketing_channel") == []
    assert channel_of(driver.profiles["c"], policy().rules.retention_offer, driver.controls.policy) == "email"


def test_an_inferred_channel_is_as_old_as_their_last_answer_by_it_however_much_came_since() -> None:
    """Five calls until day 4, then twelve of 48 mails opened, which push them out of the latest ten signs of life."""
    mails = [opened(10 + 5 * number, f"m{number}") for number in range(12)]
    mails += [said(logged.EmailDelivered, 10 + number, email_id=f"m{number}") for number in range(48)]
    told = [*answers_by_phone(0), *mails, consent(0, channel=None)]
    for life_days, expected in ((70, []), (80, [(["phone"], "inferred", False)])):
        driver = reviewed(told, 80, needs__channel_life_days=life_days)
        found = [each for each in fact(driver, "marketing_channel") if each[0] == ["phone"]]
        assert found == expected, life_days


def test_an_inferred_channel_without_their_consent_to_it_is_not_used() -> None:
    driver = reviewed([*answers_by_phone(0), consent(0, channel="email")], 40)
    assert channel_of(driver.profiles["c"], policy().rules.retention_offer, driver.controls.policy) == "email"


def test_a_held_message_takes_another_channel_when_the_wish_it_went_by_grows_stale() -> None:
    driver = Driver(policy(needs__channel_life_days=30, rules__feedback_request__wait_days=31))
    driver.tick(day(0))
    agreed = [consent(0, "feedback", channel="sms"), consent(0, "feedback", channel="email")]
    live([*agreed, wish(0, marketing_channel="sms"), order(0)], driver)
    for on in range(1, 33):
        driver.tick(day(on))
    (held, sent) = driver.decisions
    assert (held.outcome, held.channel, sent.outcome, sent.channel) == ("held", "sms", "sent", "email")


def test_they_are_served_where_they_turn_to_us_unless_they_said_another_place() -> None:
    turned = [ticket(1, "T", "question", channel="chat"), ticket(5, "U", "question", channel="chat")]
    turned.append(ticket(6, "V", "question", channel="phone"))
    driver = live(turned)
    assert fact(driver, "service_channel") == [(["chat"], "inferred", False)]
    driver.feed(wish(9, service_channel="phone"))
    assert fact(driver, "service_channel") == [(["phone"], "stated", False)]


def test_one_question_is_too_little_to_say_where_they_want_to_be_served() -> None:
    assert fact(live([ticket(1, "T", "question", channel="chat")]), "service_channel") == []


def test_a_language_is_heard_in_what_they_write_until_they_say_theirs() -> None:
    posts = [
        said(logged.MentionPosted, on, mention_id=f"p{on}", platform="forum", language=language)
        for on, language in ((1, "en"), (7, "ar"), (4, "fa"), (9, None))
    ]  # fmt: skip
    for told in permutations(posts):
        assert fact(live(told), "language") == [(["ar"], "inferred", False)]
    assert fact(live([*posts, known(2, language="de")]), "language") == [(["de"], "stated", False)]


# -- any order --------------------------------------------------------------------------------------------------------

_DAYS = st.integers(0, 400)
_KINDS = st.sets(st.sampled_from(CATEGORIES), max_size=3).map(sorted)
_CHANNELS = st.sampled_from(("email", "sms", "phone", "chat", None))
_IDS = st.sampled_from("ABCD")
_WORDS = st.sampled_from(("a", "b", "c"))

said_and_done = st.one_of(
    st.builds(lambda on, which, kinds, off: order(on, which, 900, discount_minor=off, **lines(*kinds)),
              _DAYS, _IDS, _KINDS, st.sampled_from((0, 50))),
    st.builds(lambda on, kinds: order(on, f"order of {on}", 900, **lines(*kinds)), _DAYS, _KINDS),
    st.builds(refund, _DAYS, _IDS),
    _IDS.map(lambda which: cancelled(200, which)),
    st.builds(lambda on, by, what: wish(on, marketing_channel=by if by != "chat" else None, interests=tuple(what)),
              _DAYS, _CHANNELS, st.lists(_WORDS, max_size=2)),
    st.builds(lambda on, most, why: wish(on, contacts_per_month_max=most, reason_for_buying=why),
              _DAYS, st.none() | st.integers(0, 9), st.none() | _WORDS),
    st.builds(lambda on, tongue, zone, land, kind: known(on, language=tongue, time_zone=zone, country=land, kind=kind),
              _DAYS, st.sampled_from((None, "fa", "de")), st.sampled_from((None, "Asia/Tehran", "Europe/Berlin")),
              st.sampled_from((None, "IR", "DE")), st.sampled_from(("person", "company"))),
    st.builds(lambda on, by, way, whose: contact(on, by or "post", inbound=way, department=whose),
              _DAYS, _CHANNELS, st.booleans(), st.sampled_from(("marketing", "service"))),
    st.builds(lambda on, by: said(logged.TouchRecorded, on, channel=by or "paid_search"), _DAYS, _CHANNELS),
    st.builds(lambda on, kind: said(kind, on, email_id="m"), _DAYS,
              st.sampled_from((logged.EmailDelivered, logged.EmailOpened, logged.EmailClicked))),
    st.builds(lambda on, by: ticket(on, f"T{on}", "question", channel=by), _DAYS, _CHANNELS),
    st.builds(lambda on, tongue: said(logged.MentionPosted, on, mention_id="p", platform="forum", language=tongue),
              _DAYS, st.sampled_from((None, "ar", "en"))),
)  # fmt: skip
lives_of_needs = st.lists(said_and_done, min_size=1, max_size=24, unique_by=lambda event: event.id)


def ended(told: list[Any], first_tick: float | None) -> Driver:
    """Told in this order, then reviewed until nothing moves."""
    driver = Driver()
    if first_tick is not None:
        driver.tick(day(first_tick))
    live(told, driver)
    for on in (430, 440, 450):
        driver.tick(day(on))
    return driver


@STEADY
@given(lives_of_needs, st.randoms(use_true_random=False), st.sampled_from((None, 420)))
def test_any_order_of_arrival_and_any_repetition_leaves_the_same_needs(
    told: list[Any], chance: random.Random, first_tick: float | None
) -> None:
    muddle = [*told, *chance.sample(told, chance.randrange(min(len(told), 7) + 1))]
    chance.shuffle(muddle)
    one, other = ended(told, first_tick), ended(muddle, first_tick)
    assert other.profiles["c"].needs == one.profiles["c"].needs
    assert shown(other) == shown(one)


@STEADY
@given(lives_of_needs)
def test_folding_the_ledger_changes_nothing_that_is_shown_but_the_day_of_a_last_purchase(told: list[Any]) -> None:
    seen = []
    for window in (730, 1):
        driver = Driver(policy(ledger__refund_window_days=window))
        live(told, driver)
        for on in (430, 440, 450, 460, 470):  # the orders fold 30 days after the first Tick, if their window is over
            driver.tick(day(on))
        folded = shown(driver)
        for each in folded["affinity"]:
            each["last_on"] = None
        folded["channels"] = {  # orders after an answer are told from the ledger
            each["channel"]: (each["tried"], each["answered"]) for each in folded["channels"] if each["tried"]
        }
        del folded["preferred_time"]
        seen.append(folded)
    assert seen[0] == seen[1]

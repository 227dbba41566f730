"""What somebody is worth through whom they sent: through three steps, once each, in any order, and no circle."""

from __future__ import annotations

import random
from fractions import Fraction
from itertools import permutations
from math import floor
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from pipeline.core import ledger as ledgers
from pipeline.core.explain import REFERRAL, explained
from pipeline.core.profile import CREDITS_MAX, REFERRALS_MAX, Profile, Reward
from pipeline.core.referrals import DEPTH_MAX, referral_value_minor
from pipeline.core.value import value
from pipeline.core.view import view
from pipeline.schemas import logged
from pipeline.schemas.dead_letters import Reason
from tests.core.builders import cancelled, day, order, policy, refund, said
from tests.core.lives import STEADY
from tests.driver import Driver

RULES = policy(value__referral_share_permille=100, value__margin_permille=400)


def refers(on: float, friend: str | None, referral_id: str = "f", **fields: Any) -> Any:
    """They sent somebody to us."""
    return said(logged.ReferralMade, on, referral_id=referral_id, referred_customer_id=friend, **fields)


def lived(*told: tuple[str, Any], chance: random.Random | None = None) -> Driver:
    """Each customer's events as given; what their logs tell each other comes in between, each log's in its order."""
    driver, waiting = Driver(RULES), list(told)
    while waiting or driver.told:
        if driver.told and (not waiting or chance is None or chance.random() < 0.4):
            driver.deliver()
        else:
            who, event = waiting.pop(0)
            driver.feed(event, who)
    return driver


def worth(driver: Driver, who: str) -> int:
    """Their referral value."""
    return referral_value_minor(driver.profiles[who], RULES.value)


def test_a_friends_order_is_credited_by_a_tenth_a_hundredth_and_a_thousandth() -> None:
    driver = lived(
        ("a", refers(0, "b")), ("b", refers(1, "c")), ("c", refers(2, "d")), ("d", refers(3, "e")),
        ("e", order(5, "E", 1_000_000)),
    )  # fmt: skip
    assert [worth(driver, who) for who in "abcd"] == [0, 400, 4_000, 40_000]


def test_what_goes_back_is_taken_back_and_a_cancelled_order_brought_nothing() -> None:
    told = [
        ("a", refers(0, "b")),
        ("b", order(1, "A", 10_000, discount_minor=1_000, affiliate_id="x", commission_minor=100)),
    ]
    brought = 4_400 - 1_000 - 100
    assert lived(*told).profiles["a"].credited_minor == (brought, 0, 0)
    driver = lived(*told, ("b", refund(2, "A", "R", 5_000)), ("b", order(3, "B", 2_000)), ("b", cancelled(4, "B")))
    assert driver.profiles["a"].credited_minor == (brought // 2, 0, 0)


@pytest.mark.parametrize("late", [False, True])
def test_what_was_brought_before_the_friend_was_known_is_credited_then(late: bool) -> None:  # noqa: FBT001 - a case
    bought, sent = ("c", order(5, "A", 10_000)), [("b", refers(1, "c")), ("a", refers(0, "b"))]
    driver = lived(*sent, bought) if not late else lived(bought, *sent)
    assert (worth(driver, "b"), worth(driver, "a")) == (400, 40)


def test_equal_differences_told_under_one_event_id_are_two() -> None:
    """An order of 100.00, then 200.00, 100.00, 200.00 and 300.00: 40.00 of margin more or less with each word."""
    words = [
        order(on, "A", amount, id="order-A") for on, amount in enumerate((10_000, 20_000, 10_000, 20_000, 30_000), 1)
    ]
    told = [("a", refers(0, "b")), *(("b", word) for word in words)]
    driver = lived(*told)
    assert driver.profiles["a"].credited_minor == (30_000 * 4 // 10, 0, 0)
    assert lived(*told, *told[1:]).profiles == driver.profiles, "told again, it is nothing new"
    driver = lived(*told, ("b", refund(9, "A", "R")))
    assert driver.profiles["a"].credited_minor == (0, 0, 0)


@pytest.mark.parametrize("later", [0, 1])
def test_two_equal_refunds_told_under_one_event_id_both_go_back(later: int) -> None:
    driver = lived(
        ("a", refers(0, "b")), ("b", order(1, "A", 10_000)),
        ("b", refund(2, "A", "R1", 2_500, id="A")), ("b", refund(2 + later, "A", "R2", 2_500, id="A")),
    )  # fmt: skip
    assert driver.profiles["a"].credited_minor == ((10_000 - 2 * 2_500) * 4 // 10, 0, 0)


def test_what_a_log_tells_is_derived_from_it_alone() -> None:
    def told() -> list[str]:
        driver = Driver(RULES)
        driver.feed(said(logged.CustomerReferred, 0, referrer_id="a", referral_id="f"), "b")
        for on, amount in ((1, 10_000), (2, 20_000)):
            driver.feed(order(on, "A", amount, id="A"), "b")
        return [each.event.id for each in driver.told]

    assert told() == told()
    assert len(set(told())) == 2


def test_who_had_bought_before_was_not_sent_by_anybody() -> None:
    driver = lived(("b", order(0, "A", 10_000)), ("a", refers(1, "b")))
    assert worth(driver, "a") == 0
    driver = lived(("b", order(5, "A", 10_000)), ("a", refers(1, "b")), ("b", order(0, "B", 10_000)))
    assert driver.profiles["a"].credited_minor == (0, 0, 0), "an older purchase turned up"


def test_the_earliest_referral_counts_in_whatever_order_they_are_told() -> None:
    history = [("early", refers(0, "b")), ("late", refers(2, "b")), ("b", order(5, "A", 10_000))]
    for told in (history, history[::-1], [history[1], history[2], history[0]]):
        driver = lived(*told)
        assert (worth(driver, "early"), worth(driver, "late")) == (400, 0)


def test_a_referral_told_again_names_its_friend_and_counts_once() -> None:
    driver = lived(
        ("a", refers(0, None)), ("b", order(5, "A", 10_000)), ("a", refers(0, "b")), ("a", refers(0, "b")),
    )  # fmt: skip
    assert worth(driver, "a") == 400
    assert len(driver.profiles["a"].referrals) == 1
    assert worth(lived(("a", refers(6, "b")), ("b", order(5, "A", 10_000))), "a") == 0


def test_a_referral_is_known_by_its_id_in_the_whole_shop_whichever_source_tells_it() -> None:
    told = refers(0, "b", "1", reward_minor=500)
    driver = lived(("a", told), ("a", replace(told, source="app", id="other", reward_minor=300)))
    assert driver.profiles["a"].retention_cost_minor == 500
    assert len(driver.profiles["a"].referrals) == 1


@pytest.mark.parametrize(("first", "again"), [("b", "b"), (None, "b"), ("b", None)])
def test_a_referral_told_again_has_its_earliest_date_whichever_word_comes_first(
    first: str | None, again: str | None
) -> None:
    """Sent on day 1, told again on day 5, bought for 100.00 on day 3, of which 40.00 are margin."""
    history = [("a", refers(1, first)), ("a", refers(5, again)), ("b", order(3, "B", 10_000))]
    for told in permutations(history):
        driver = lived(*told, *told)
        assert worth(driver, "a") == 400
        assert len(driver.profiles["a"].referrals) == 1
    late = [("a", refers(4, first)), ("a", refers(5, again)), ("b", order(3, "B", 10_000))]
    assert {worth(lived(*told), "a") for told in permutations(late)} == {0}


def test_a_repetition_of_a_referral_tells_its_friend_nothing() -> None:
    driver = Driver(RULES)
    for each in (refers(1, "b"), refers(1, "b"), refers(5, "b"), refers(5, None)):
        driver.feed(each, "a")
    assert [told.customer_id for told in driver.told] == ["b"]
    driver.feed(refers(0, None), "a")
    assert [(told.customer_id, told.event.occurred_at) for told in driver.told] == [("b", day(1)), ("b", day(0))]
    assert len({told.event.id for told in driver.told}) == 2


def test_a_referral_remembered_from_before_its_date_was_kept_is_dated_by_the_next_word_of_it() -> None:
    driver = lived(("a", refers(1, None, reward_minor=70)))
    known = driver.profiles["a"]
    driver.profiles["a"] = replace(known, rewards=(Reward(known.rewards[0].referral, 70),))
    driver.feed(refers(2, "b"), "a")
    assert [told.event.occurred_at for told in driver.told] == [day(2)]
    assert driver.profiles["a"].retention_cost_minor == 70


def test_nobody_sends_themselves() -> None:
    driver = lived(("a", refers(0, "a", reward_minor=500)), ("a", order(1, "A", 10_000)))
    assert [note.reason for note in driver.notes] == [Reason.SELF_REFERRAL]
    assert (worth(driver, "a"), driver.profiles["a"].referrals) == (0, ())
    assert value(driver.profiles["a"], driver.controls).marketing_cost_minor == 0


def test_a_reward_is_a_cost_of_marketings_once_a_referral_and_the_most_that_was_told() -> None:
    """15.00 for one friend, told thrice and once without it; 5.00 for another of nobody known."""
    told = [
        ("a", refers(0, None, "f")), ("a", refers(1, "b", "f", reward_minor=1_500)),
        ("a", refers(2, "b", "f", reward_minor=1_000)), ("a", refers(3, None, "g", reward_minor=500)),
    ]  # fmt: skip
    for chance in range(6):
        muddle = [*told, *told]
        random.Random(chance).shuffle(muddle)
        driver = lived(*muddle)
        parts = value(driver.profiles["a"], driver.controls)
        assert (parts.marketing_cost_minor, parts.value_to_date_minor) == (2_000, -2_000)
    made_of = explained("a", [(b"a", logged.encode(event)) for _, event in told])
    assert [(each.part, each.amount_minor, each.type) for each in made_of.entries] == [
        ("marketing_cost_minor", 1_500, "ReferralMade"), ("marketing_cost_minor", 500, "ReferralMade"),
    ]  # fmt: skip


def test_a_reward_is_not_counted_again_for_all_that_is_told_of_others_without_one() -> None:
    first = refers(0, None, "first", reward_minor=500)
    others = [refers(1 + number, None, f"r{number}") for number in range(REFERRALS_MAX)]
    driver = lived(("a", first), *(("a", each) for each in others), ("a", replace(first, id="again")))
    assert driver.profiles["a"].retention_cost_minor == 500


def test_rewards_are_remembered_as_long_as_their_referrals() -> None:
    driver = lived(*(("a", refers(0, None, f"f{number}", reward_minor=10)) for number in range(REFERRALS_MAX + 1)))
    assert len(driver.profiles["a"].rewards) == len(driver.profiles["a"].referrals) == REFERRALS_MAX
    assert driver.profiles["a"].retention_cost_minor == 10 * (REFERRALS_MAX + 1)


def test_a_circle_ends_and_is_named_once() -> None:
    driver = lived(
        ("a", refers(0, "b")), ("b", refers(1, "c")), ("c", refers(2, "a")),
        *((who, order(5 + number, f"{who}{number}", 10_000)) for number in range(3) for who in "abc"),
    )  # fmt: skip
    # Each has two above: three orders of 40.00 margin, a tenth of one friend's and a hundredth of the other's.
    assert [worth(driver, who) for who in "abc"] == [1_200 + 120] * 3
    assert [note.reason for note in driver.notes] == [Reason.CIRCULAR_REFERRAL] * 3


@pytest.mark.parametrize(("people", "is_named"), [("ab", True), ("abcd", True), ("abcde", False), ("abcdefg", False)])
def test_a_circle_too_wide_for_an_amount_to_come_round_changes_no_figure_and_has_no_reason(
    people: str, *, is_named: bool
) -> None:
    """Each bought for 100.00, of which 40.00 are margin, and has up to three others above."""
    sent = [(who, refers(0, friend)) for who, friend in zip(people, people[1:] + people[0], strict=True)]
    driver = lived(*sent, *((who, order(1, f"order of {who}", 10_000)) for who in people))
    for who in people:
        assert worth(driver, who) == sum(4_000 // 10**depth for depth in range(1, min(len(people) - 1, DEPTH_MAX) + 1))
    assert {note.reason for note in driver.notes} == ({Reason.CIRCULAR_REFERRAL} if is_named else set())


@STEADY
@given(
    st.lists(st.tuples(st.sampled_from("abcdefg"), st.sampled_from("abcdefg"), st.integers(0, 6)), max_size=9),
    st.lists(st.tuples(st.sampled_from("abcdefg"), st.integers(0, 9), st.integers(0, 9_000)), min_size=1, max_size=9),
    st.randoms(use_true_random=False),
)
def test_in_any_order_and_any_tangle_each_amount_reaches_each_above_it_once(
    sent: list[tuple[str, str, int]], bought: list[tuple[str, int, int]], chance: random.Random
) -> None:
    told: list[tuple[str, Any]] = [
        (who, refers(on, friend, f"{who} {friend} {on}")) for who, friend, on in sent if who != friend
    ]
    told += [(who, order(on, f"{number}", amount)) for number, (who, on, amount) in enumerate(bought)]
    told += [(who, refund(10, f"{number}", f"R{number}", 50)) for number, (who, _, _) in enumerate(bought[::2])]
    chance.shuffle(told)
    driver = lived(*told, chance=chance)
    first = {who: min(on for each, on, _ in bought if each == who) for who, _, _ in bought}
    above: dict[str, str] = {}
    for friend in "abcdefg":
        claims = [(on, who) for who, claimed, on in sent if claimed == friend != who]
        if claims and (friend not in first or min(claims)[0] <= first[friend]):
            above[friend] = min(claims)[1]
    expected = dict.fromkeys("abcdefg", Fraction(0))
    for origin, profile in driver.profiles.items():
        path, at = [origin], origin
        for depth in range(1, DEPTH_MAX + 1):
            at = above.get(at, "")
            if not at or at in path:
                break
            path.append(at)
            expected[at] += Fraction(ledgers.worth_of(profile.ledger).brought_minor, 10**depth)
    for who in driver.profiles:
        assert worth(driver, who) == floor(expected[who] + Fraction(1, 2)), who


def test_referral_value_stands_beside_the_value_and_is_explained() -> None:
    driver = lived(("a", order(0, "A", 10_000)), ("a", refers(0, "b")), ("b", order(1, "B", 10_000)))
    shown = view("a", driver.profiles["a"], driver.controls, partition=0, offset=0)["value"]
    assert value(driver.profiles["a"], driver.controls).value_to_date_minor == 4_000
    assert (shown["value_to_date_minor"], shown["referral_value_minor"], shown["value_with_referrals_minor"]) == (
        4_000, 400, 4_400,
    )  # fmt: skip
    credit = said(logged.ReferralCredited, 1, path=(7,), amount_minor=4_000)
    made_of = explained("a", [(b"a", logged.encode(credit))])
    assert [(entry.part, entry.amount_minor) for entry in made_of.entries] == [(REFERRAL, 400)]


def test_paths_are_bounded_and_what_they_brought_is_not_forgotten() -> None:
    driver = lived(
        *((("a"), refers(0, f"friend {number}", f"f{number}")) for number in range(CREDITS_MAX + 8)),
        *((f"friend {number}", order(1, f"o{number}", 1_000)) for number in range(CREDITS_MAX + 8)),
    )  # fmt: skip
    profile: Profile = driver.profiles["a"]
    assert len(profile.credits) == CREDITS_MAX
    assert profile.credited_minor == (400 * (CREDITS_MAX + 8), 0, 0)

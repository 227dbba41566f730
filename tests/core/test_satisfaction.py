"""Satisfaction: the formula by hand, what it rests on, and that neither order, repetition nor spend changes it."""

from __future__ import annotations

import random
from itertools import permutations
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.core.policy import DEFAULT
from pipeline.core.satisfaction import Satisfaction, satisfaction
from pipeline.schemas import logged
from tests.core.builders import day, order, policy, resolved, said, seconds, ticket
from tests.core.lives import STEADY
from tests.driver import Driver


def survey(on: float, score: float, of: float = 10.0) -> Any:
    return said(logged.SurveyAnswered, on, survey_id=f"s{on}", kind="nps", score=score, score_max=of)


def review(on: float, fraction: float) -> Any:
    return said(logged.ReviewPosted, on, review_id=f"r{on}", rating_fraction=fraction)


def mention(on: float, sentiment: float | None) -> Any:
    return said(logged.MentionPosted, on, mention_id=f"p{on}", platform="forum", sentiment=sentiment)


def after(*events: Any, until: float = 0.0, rules: Any = DEFAULT) -> Satisfaction:
    """The satisfaction on a day, after what was said."""
    driver = Driver(rules)
    for event in events:
        driver.feed(event)
    driver.tick(day(until))
    driver.feed_tick("c", logged.Tick(as_of=day(until)))
    profile = driver.profiles["c"]
    return satisfaction(profile, profile.as_of, driver.controls.policy)


def test_the_example_of_the_page_comes_out_as_it_says() -> None:
    """A survey of 9 of 10 half a year ago, a question solved in time today: 0.74."""
    found = after(
        survey(0, 9), ticket(179, "T", "question"), said(logged.TicketResolved, 180, ticket_id="T", kind="question"),
        until=180,
    )  # fmt: skip
    assert found.fraction == pytest.approx((0.5 * 0.5 + 0.5 * 0.9 + 0.8 * 0.8) / (0.5 + 0.5 + 0.8), abs=1e-9)
    assert found.fraction == pytest.approx(0.74, abs=0.005)
    assert found.level == "satisfied"


def test_the_band_is_ninety_per_cent_of_a_beta_distribution_and_narrows_with_evidence() -> None:
    """Twenty surveys cannot be kept: eight, that say 0.9, beside the prior. A Beta of mean m and n observations."""
    one, many = after(survey(0, 9)), after(*(survey(number, 9) for number in range(8)), until=7)
    for found, weight in ((one, 1.0), (many, sum(0.5 ** (number / 180) for number in range(8)))):
        assert found.fraction is not None
        assert found.low is not None
        assert found.high is not None
        mean = (0.25 + 0.9 * weight) / (0.5 + weight)
        half = 1.644854 * (mean * (1 - mean) / (1.5 + weight)) ** 0.5
        assert found.fraction == pytest.approx(mean, abs=1e-6)
        assert (found.low, found.high) == pytest.approx((max(mean - half, 0), min(mean + half, 1)), abs=1e-6)
    assert one.high - one.low > many.high - many.low


def test_spend_is_no_evidence() -> None:
    frugal, lavish = after(review(0, 0.4)), after(review(0, 0.4), *(order(0, f"o{n}", 10**9) for n in range(9)))
    assert frugal == lavish
    assert after(order(0)).level == "unknown"


def test_each_kind_of_evidence_is_told_with_its_count_mean_and_latest_day() -> None:
    found = after(survey(0, 8), survey(2, 10), review(1, 0.5), mention(3, -1.0), mention(3.1, None), until=3.5)
    told = {each.kind: (each.pieces, each.mean_fraction) for each in found.evidence}
    assert told == {"survey": (2, 0.9), "review": (1, 0.5), "mention": (1, 0.0)}
    latest = {each.kind: each.latest_day for each in found.evidence}
    assert (latest["survey"] - latest["review"], latest["mention"] - latest["review"]) == (1, 2)


def test_what_they_said_of_a_ticket_beats_what_became_of_it_and_the_last_word_counts() -> None:
    solved = (ticket(0), resolved(1))
    called = [said(logged.TicketUpdated, on, ticket_id="T", csat=csat) for on, csat in ((2, "good"), (3, "bad"))]
    by_ticket = [
        {each.kind: each.mean_fraction for each in after(*events, until=4).evidence}["ticket"]
        for events in (solved, (*solved, called[0]), (*solved, *called), (*called[::-1], *solved[::-1]))
    ]
    assert by_ticket == [0.7, 1.0, 0.0, 0.0]


def question(on: float) -> Any:
    return ticket(on, "Q", "question")


def answer(on: float) -> Any:
    return said(logged.TicketUpdated, on, ticket_id="Q", kind="question", status="pending")


def solution(on: float) -> Any:
    return resolved(on, "Q", "question")


def updated(on: float) -> Any:
    return said(logged.TicketUpdated, on, ticket_id="Q", kind="question", status="open")


HOUR = 1 / 24


@pytest.mark.parametrize(
    ("told", "score"),
    [
        ((question(0), answer(24 * HOUR), solution(2)), 0.8),
        ((question(0), answer(25 * HOUR), solution(2)), 0.5),  # they waited longer than we let anybody wait
        ((question(0), solution(2)), 0.8),  # no answer is told apart, so none was late
        ((question(0), answer(1 * HOUR), solution(4)), 0.5),  # answered soon, and solved too late
        ((question(0), answer(1 * HOUR), answer(40 * HOUR), solution(2)), 0.8),  # the first answer counts
        ((answer(30 * HOUR), solution(2)), 0.8),  # when they asked is not known
        ((question(0), answer(30 * HOUR), solution(30 * HOUR)), 0.5),  # told apart, though at one instant
    ],
)
def test_a_ticket_without_a_promise_is_judged_by_how_long_they_waited_for_the_first_answer(
    told: tuple[Any, ...], score: float
) -> None:
    for events in permutations(told):
        assert after(*events, until=5).evidence[0].mean_fraction == score


def test_a_promise_counts_in_place_of_the_hours_for_everybody_and_the_policy_sets_those() -> None:
    promised = ticket(0, "Q", "question", promised_at=day(2))
    assert after(promised, answer(40 * HOUR), solution(2), until=5).evidence[0].mean_fraction == 0.8
    patient = policy(satisfaction__answered_in_time_hours=48)
    assert after(question(0), answer(40 * HOUR), solution(2), until=5, rules=patient).evidence[0].mean_fraction == 0.8


def test_a_first_answer_that_was_the_solution_is_no_late_answer_when_it_is_opened_again() -> None:
    again = said(logged.TicketUpdated, 1.5, ticket_id="Q", kind="question", status="open")
    told = (question(0), solution(30 * HOUR), again, answer(1.6), solution(2))
    assert {after(*events, until=5).evidence[0].mean_fraction for events in permutations(told)} == {0.8}


def closing(on: float, kind: type = logged.TicketUpdated) -> Any:
    """As help desks do by themselves, days after it was solved."""
    return said(kind, on, ticket_id="Q", kind=None, status="closed")


@pytest.mark.parametrize(
    ("told", "score", "solved_on"),
    [
        ((question(0), solution(2), closing(9)), 0.8, 2),
        ((question(0), answer(1 * HOUR), solution(2), closing(9)), 0.8, 2),
        ((question(0), answer(1 * HOUR), solution(2), solution(5)), 0.8, 2),  # told with every later event, as some do
        ((question(0), answer(1 * HOUR), closing(9)), 0.5, 9),  # nobody said before that it was solved
        ((question(0), solution(2), updated(3), solution(6)), 0.5, 6),  # it was not
        (
            (question(0), updated(1), answer(1.1), solution(2), closing(9)),
            0.5,
            2,
        ),  # open is no new word before a solution
        ((question(0), answer(1 * HOUR), updated(1), solution(2), closing(9, logged.TicketResolved)), 0.8, 2),
    ],
)
def test_a_ticket_is_solved_when_it_was_and_not_when_it_is_closed(
    told: tuple[Any, ...], score: float, solved_on: int
) -> None:
    for events in permutations(told):
        (evidence,) = after(*events, until=20).evidence
        assert (evidence.mean_fraction, evidence.latest_day) == (score, seconds(solved_on) // 86_400)


def test_a_new_policy_weighs_old_evidence_anew() -> None:
    events = (survey(0, 10), review(0, 0.0))
    assert after(*events).fraction == pytest.approx((0.25 + 1.0) / 2.3)
    heavier = policy(satisfaction__review_weight_permille=4000, satisfaction__prior_weight_permille=0)
    assert after(*events, rules=heavier).fraction == pytest.approx(1 / 5)


def test_levels_hold_from_their_bounds_on() -> None:
    bounds = policy(satisfaction__prior_weight_permille=0)
    levels = [after(review(0, score / 100), rules=bounds).level for score in (39, 40, 69, 70)]
    assert levels == ["dissatisfied", "mixed", "mixed", "satisfied"]


def test_a_compliment_known_from_an_answer_alone_ages_like_any_other() -> None:
    answered = said(logged.TicketUpdated, 0, ticket_id="T", kind="compliment", status="pending")
    told = [after(answered, until=until).evidence[0] for until in (0, 180)]
    assert told[0].latest_day == told[1].latest_day == seconds(0) // 86_400
    assert told[1].weight == pytest.approx(told[0].weight / 2), "half of it after half a year"


PIECES = st.one_of(
    st.builds(survey, st.integers(0, 60), st.integers(0, 10)),
    st.builds(review, st.integers(0, 60), st.sampled_from((0.0, 0.25, 0.5, 1.0))),
    st.builds(mention, st.integers(0, 60), st.sampled_from((-1.0, 0.0, 0.7, None))),
)


@STEADY
@given(st.lists(PIECES, min_size=1, max_size=30), st.randoms(use_true_random=False))
def test_the_order_of_arrival_changes_nothing_however_much_is_said(pieces: list[Any], chance: random.Random) -> None:
    muddle = list(pieces)
    chance.shuffle(muddle)
    unique = {event.id: event for event in muddle}.values()
    in_order = {event.id: event for event in pieces}.values()
    assert after(*unique, until=61) == after(*in_order, until=61)


@STEADY
@given(st.lists(PIECES, min_size=1, max_size=30))
def test_satisfaction_lies_in_its_band_between_nothing_and_one(pieces: list[Any]) -> None:
    found = after(*pieces, until=61)
    assert all(each.pieces <= 8 for each in found.evidence)
    if found.fraction is None:
        assert (found.low, found.high, found.level) == (None, None, "unknown")
    else:
        assert found.low is not None
        assert found.high is not None
        assert 0 <= found.low <= found.fraction <= found.high <= 1

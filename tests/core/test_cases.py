"""Tickets: what is open, what was a complaint, and how grave, told from their events in any order of arrival."""

from __future__ import annotations

import random
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from pipeline.core import stage as stages
from pipeline.core.cases import Kind, has_open_complaint
from pipeline.core.policy import DEFAULT
from pipeline.core.profile import CASES_MAX, COMPLAINTS_MAX, Profile
from pipeline.core.satisfaction import satisfaction
from pipeline.schemas import logged
from tests.core.builders import day, resolved, said, seconds, ticket
from tests.core.lives import STEADY, live
from tests.driver import Driver


def updated(on: float, ticket_id: str = "T", **fields: Any) -> logged.TicketUpdated:
    return said(logged.TicketUpdated, on, ticket_id=ticket_id, **{"kind": None, **fields})


def after(*told: Any) -> Profile:
    """The customer on day 40."""
    driver = Driver()
    driver.tick(day(0))
    live(told, driver)
    driver.tick(day(40))
    return driver.profiles["c"]


def test_a_question_that_turns_into_a_complaint_holds_offers_until_it_is_solved() -> None:
    told = [ticket(1, kind="question"), updated(2, kind="complaint", severity=5)]
    assert has_open_complaint(after(*told))
    assert stages.is_frozen(after(*told), seconds(40), DEFAULT)
    assert after(*told).complaints == 1
    solved = after(*told, updated(3, status="solved"))
    assert not has_open_complaint(solved)
    assert solved.complaint_closed_at == seconds(3)


def test_an_update_that_does_not_say_what_a_ticket_is_makes_no_complaint_of_it() -> None:
    profile = after(ticket(1, kind="question"), updated(2, status="pending"))
    assert (profile.complaints, has_open_complaint(profile)) == (0, False)
    assert profile.dealings.cases[0].kind == Kind.OTHER


def test_a_complaint_is_as_grave_as_the_gravest_word_of_it() -> None:
    """Severity 1 freezes no stage, 3 does; and none told, as none is known."""
    slight = ticket(1, severity=1)
    assert not stages.is_frozen(after(slight), seconds(40), DEFAULT)
    assert stages.is_frozen(after(slight, updated(5, severity=3)), seconds(40), DEFAULT)
    assert stages.is_frozen(after(ticket(1)), seconds(40), DEFAULT)


def test_a_complaint_whose_opening_comes_after_its_solution_was_one_all_the_same() -> None:
    opened, solved = ticket(1), said(logged.TicketResolved, 3, ticket_id="T", kind=None)
    for told in ((opened, solved), (solved, opened)):
        profile = after(*told)
        assert (profile.complaints, has_open_complaint(profile)) == (1, False)
        assert profile.complaint_closed_at == seconds(3)
        assert stages.dealt_at(profile, seconds(40), DEFAULT)["service"] == 0


def test_what_was_promised_and_not_answered_is_bad_service_before_it_is_answered_too() -> None:
    told = ticket(1, kind="question", promised_at=day(4))
    assert satisfaction(after(told), seconds(3), DEFAULT).level == "unknown", "its time has not come"
    found = satisfaction(after(told), seconds(40), DEFAULT)
    (evidence,) = found.evidence
    assert (found.level, evidence.kind, evidence.mean_fraction) == ("dissatisfied", "ticket", 0.1)
    assert evidence.latest_day == seconds(4) // 86_400


def test_open_complaints_are_kept_before_anything_else_and_no_more_than_sixteen_of_them() -> None:
    complaints = [ticket(1 + number, f"C{number}") for number in range(3 * COMPLAINTS_MAX)]
    profile = after(*complaints)
    assert len(profile.dealings.cases) == COMPLAINTS_MAX
    assert has_open_complaint(profile)
    some = [*complaints[:10], *(ticket(20 + number, f"Q{number}", "question") for number in range(20))]
    profile = after(*some)
    assert [case.kind for case in profile.dealings.cases] == [Kind.COMPLAINT] * 10
    solved = after(*some, *(resolved(50, f"C{number}") for number in range(10)), ticket(51, "Q", "question"))
    assert len(solved.dealings.cases) == CASES_MAX
    assert not has_open_complaint(solved)


def test_every_complaint_of_many_is_counted_once_in_any_order_and_a_word_after_it_was_let_go_counts_nothing() -> None:
    """Twelve, of which eight are kept one by one, and four by their marks; each closed again days later."""
    told = [
        each for number in range(12) for each in (ticket(1 + number, f"C{number}"), resolved(2 + number, f"C{number}"))
    ]
    closed = [updated(6 + number, f"C{number}", status="closed", kind="complaint") for number in range(12)]
    for seed in range(20):
        shuffled = list(told)
        random.Random(seed).shuffle(shuffled)
        profile = after(*shuffled)
        assert (profile.complaints, has_open_complaint(profile)) == (12, False), seed
    profile = after(*sorted([*told, *closed], key=lambda event: event.occurred_at))
    assert profile.complaints == 12


def test_service_is_remembered_of_a_question_that_was_let_go_whichever_of_its_words_came_first() -> None:
    question = [ticket(3, "Q", "question"), resolved(3.5, "Q", "question")]
    others = [ticket(5 + number, f"C{number}") for number in range(8)]
    for first in ([*question, *others], [*others, question[1], question[0]]):
        assert stages.dealt_at(after(*first), seconds(40), DEFAULT)["service"] == seconds(3.5)


def test_an_answer_that_came_too_late_has_gone_badly_as_long_as_nothing_is_solved() -> None:
    told = [ticket(1, kind="question", promised_at=day(4)), updated(20, status="pending")]
    (evidence,) = satisfaction(after(*told), seconds(40), DEFAULT).evidence
    assert (evidence.mean_fraction, evidence.latest_day) == (0.1, seconds(4) // 86_400)


TICKETS = st.lists(
    st.builds(
        lambda kind, on, name, told, status: (
            ticket(on, name, told or "complaint", severity=status[1])
            if kind == "opened"
            else resolved(on, name, told)  # type: ignore[arg-type] # what does not say
            if kind == "resolved"
            else updated(on, name, kind=told, status=status[0], severity=status[1])
        ),
        st.sampled_from(("opened", "updated", "resolved")),
        st.integers(1, 30),
        st.sampled_from("ABC"),
        st.sampled_from(("complaint", "question", "compliment", "suggestion", None)),
        st.tuples(st.sampled_from((None, "open", "pending", "solved")), st.sampled_from((None, 1, 4))),
    ),
    min_size=1,
    max_size=10,
)


@STEADY
@given(told=TICKETS, chance=st.randoms(use_true_random=False))
def test_any_order_of_arrival_and_any_repetition_leaves_the_same_tickets(
    told: list[Any], chance: random.Random
) -> None:
    shuffled = [*told, *told]
    chance.shuffle(shuffled)
    assert known(after(*shuffled)) == known(after(*told))


def known(profile: Profile) -> tuple[Any, ...]:
    """All that tickets move in a customer."""
    return (
        sorted(profile.dealings.cases, key=lambda case: case.ticket),
        profile.complaints, profile.complaint_closed_at, profile.need_at, profile.dealings.need_since_at,
        stages.dealt_at(profile, seconds(40), DEFAULT), has_open_complaint(profile), profile.buckets,
        satisfaction(profile, seconds(40), DEFAULT),
    )  # fmt: skip

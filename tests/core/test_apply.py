"""What single events change, at the bounds of what is kept of a customer and when they come late."""

from __future__ import annotations

from pipeline.core.cases import has_open_complaint
from pipeline.core.guardrails import channel_of, has_consent
from pipeline.core.profile import CASES_MAX, CONSENTS_MAX, Profile, Stage
from pipeline.schemas import logged
from tests.core.builders import consent, day, opened, order, policy, resolved, said, seconds, ticket
from tests.core.lives import live
from tests.driver import Driver


def profile_after(*events: logged.CustomerEvent) -> Profile:
    """The customer after these events of a log that ticks."""
    driver = Driver()
    driver.tick(day(0))
    return live(events, driver).profiles["c"]


def test_an_open_complaint_is_not_forgotten_over_any_number_of_other_tickets() -> None:
    questions = [ticket(1 + number, f"question {number}", "question") for number in range(3 * CASES_MAX)]
    profile = profile_after(ticket(0), *questions)
    assert has_open_complaint(profile)
    assert len(profile.dealings.cases) == CASES_MAX
    assert not has_open_complaint(profile_after(ticket(0), *questions, resolved(100)))


def test_a_no_is_not_forgotten_over_any_number_of_words_on_other_purposes() -> None:
    others = [consent(2, f"a{number}", "granted", None) for number in range(2 * CONSENTS_MAX)]
    profile = profile_after(consent(0, "marketing", "granted", None), consent(1, "marketing", "denied"), *others)
    assert len(profile.consents) == CONSENTS_MAX
    assert not has_consent(profile, "marketing", "email", profile.as_of)
    assert has_consent(profile, "marketing", "sms", profile.as_of)


def test_a_yes_and_a_no_at_one_instant_are_a_no_in_either_order() -> None:
    yes, no = consent(1), consent(1, state="denied")
    for said_first, said_then in ((yes, no), (no, yes)):
        assert not has_consent(profile_after(said_first, said_then), "marketing", "email", seconds(2))


def test_what_they_prefer_is_what_they_said_last_and_not_what_arrived_last() -> None:
    for channel in ("marketing_channel", "service_channel"):
        late = said(logged.PreferenceStated, 1, **{channel: "email"})
        latest = said(logged.PreferenceStated, 5, **{channel: "sms"})
        assert getattr(profile_after(latest, late), channel) == "sms"
        assert getattr(profile_after(late, latest), channel) == "sms"


def test_a_message_goes_where_they_want_it_if_they_said_yes_there() -> None:
    rule = policy().rules.retention_offer
    wants_sms = said(logged.PreferenceStated, 1, marketing_channel="sms")
    assert channel_of(profile_after(consent(0), wants_sms), rule, policy()) == "email"
    assert channel_of(profile_after(consent(0, channel="sms"), wants_sms), rule, policy()) == "sms"
    assert channel_of(profile_after(consent(0, channel=None), wants_sms), rule, policy()) == "sms"


def test_a_complaint_is_counted_once_whatever_becomes_of_it() -> None:
    reopened = said(logged.TicketUpdated, 3, ticket_id="T", status="open")
    assert profile_after(ticket(1), resolved(2), reopened, resolved(4)).complaints == 1
    assert profile_after(resolved(2), ticket(1)).complaints == 1
    assert profile_after(ticket(1), ticket(2), resolved(3), resolved(4)).complaints == 1


def test_a_referral_is_counted_once_though_told_under_two_event_ids() -> None:
    one = said(logged.ReferralMade, 1, referral_id="f")
    again = said(logged.ReferralMade, 2, referral_id="f", id="another")
    assert len(profile_after(one, again).referrals) == 1


def test_who_buys_all_the_time_is_as_loyal_as_who_buys_now_and_then() -> None:
    driver = Driver(policy(rules__feedback_request__enabled=False))
    driver.tick(day(0))
    driver.feed(said(logged.CustomerIdentified, 0))
    driver.feed(said(logged.PreferenceStated, 0, interests=("shoes",)))
    for number in range(0, 400, 2):
        driver.feed(order(number, f"o{number}"))
        driver.feed(opened(number, f"m{number}"))
        driver.feed(said(logged.ContactMade, number, department="sales"))
        if number == 172:
            assert driver.profiles["c"].stage == Stage.COLLABORATIVE, (
                "two cycles of ninety days, to a week, are not three"
            )
        if number >= 190:  # the third cycle back, to a week
            assert driver.profiles["c"].stage == Stage.BONDED


def test_considerations_are_bounded_and_what_is_over_the_bound_is_said() -> None:
    driver = Driver()
    driver.tick(day(0))
    for number in range(20):
        driver.feed(order(1, f"o{number}"))
    outcomes = [(str(each.outcome), str(each.reasons[0])) for each in driver.decisions]
    assert len(driver.profiles["c"].considerations) == 16
    assert outcomes.count(("withheld", "too_many_open")) == 4

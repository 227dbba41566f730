"""What the terminal says of a customer's stage, satisfaction and of what we owe them."""

from __future__ import annotations

import json

import msgspec

from pipeline.core.view import view
from pipeline.schemas import logged
from pipeline.telling_dealings import MISSING, dealings_lines
from tests.core.builders import consent, day, opened, order, said, ticket
from tests.driver import Driver


def told(driver: Driver) -> dict[str, str]:
    shown = view("c", driver.profiles["c"], driver.controls, partition=0, offset=0)
    return dict(dealings_lines(json.loads(msgspec.json.encode(shown))))


def test_a_customer_is_told_with_what_the_stage_rests_on_and_wants_and_what_we_owe() -> None:
    driver = Driver()
    driver.tick(day(0))
    for event in (
        said(logged.CustomerIdentified, 0), said(logged.PreferenceStated, 0, interests=("shoes",)), opened(1),
        order(2), said(logged.OrderPromised, 2, order_id="A", promised_at=day(6)),
        said(logged.OrderShipped, 3, order_id="A"),
        said(logged.SurveyAnswered, 4, survey_id="s", kind="csat", score=4.0, score_max=5.0),
        consent(4), said(logged.EmailDelivered, 5, email_id="m", campaign_id="spring"),
        said(logged.ReferralMade, 5, referral_id="f"), ticket(5, promised_at=day(4.5)),
    ):  # fmt: skip
        driver.feed(event)
    lines = told(driver)
    assert lines["why"] == (
        "we know who they are; a need known since 2026-01-01; answered 2026-01-02; marketing 2026-01-05; "
        "bought in 1 of the last 3 cycles of 90 days; friends sent: 1; a serious complaint holds it where it is"
    )
    assert lines["for collaborative"] == "more departments to deal with them well; their complaint solved"
    assert lines["satisfaction"].startswith(f"mixed, {(0.5 * 0.5 + 0.8 + 0.8 * 0.1) / (0.5 + 1 + 0.8):.0%} (")
    assert lines["satisfaction"].endswith(
        "by surveys 80% (1, the latest of 2026-01-05), tickets 10% (1, the latest of 2026-01-06)"
    )
    assert lines["we owe"] == (
        "to write only with consent: 1 of 1 kept, 0 broken, 0 open; deliveries: 0 of 1 kept, 0 broken, 1 open; "
        "answers: 0 of 1 kept, 1 broken, 0 open; delivery due 2026-01-07 12:00, shipped 2026-01-04"
    )


def test_of_who_has_only_come_little_is_told() -> None:
    driver = Driver()
    driver.feed(said(logged.TouchRecorded, 0, channel="ad"))
    lines = told(driver)
    assert lines["satisfaction"] == "unknown: they have said nothing yet"
    assert lines["we owe"] == "nothing promised so far"
    assert lines["for basic"] == "; ".join(MISSING[each] for each in ("identity", "need", "answer"))


def test_evidence_too_old_is_told_as_such() -> None:
    driver = Driver()
    driver.tick(day(0))
    driver.feed(said(logged.ReviewPosted, 0, review_id="r", rating_fraction=1.0))
    driver.tick(day(900))
    assert told(driver)["satisfaction"] == (
        "unknown: all that was said is too old: reviews 100% (1, the latest of 2026-01-01)"
    )


def test_a_view_from_before_is_told_too() -> None:
    old = {"stage_evidence": {"identified": True, "departments": [], "failed_checks": 0}}
    assert list(dealings_lines(old)) == []

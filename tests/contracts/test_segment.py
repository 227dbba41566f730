"""Segment and RudderStack calls end in the same models: every row of Segment's vocabulary, and its loose habits.

Expected amounts are the call's decimal numbers times the currency's minor units (ISO 4217), by hand.
"""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from pipeline import topics
from pipeline.schemas import events
from pipeline.schemas.dead_letters import Reason
from pipeline.schemas.parse import parse_batch
from pipeline.schemas.segment_track import CONSENT_UPDATED, ROWS
from tests.contracts.records import RECEIVED_MS, Given, event_of, events_of, refusal_of

AT = "2026-02-06T20:03:41.000Z"
ENVELOPE = {"messageId": "ajs-next-1770408221-7", "userId": "C-104233", "timestamp": AT}
ORDER = {"order_id": "100234", "revenue": 144.7, "currency": "EUR"}
ORDERED = {"type": "OrderCompleted", "order_id": "100234", "revenue_minor": 14470, "currency": "EUR", "items": ()}


def track(event: str, properties: dict[str, Any], **more: Any) -> dict[str, Any]:
    return {"type": "track", "event": event, **ENVELOPE, "properties": properties, **more}


def identify(traits: dict[str, Any], **more: Any) -> dict[str, Any]:
    return {"type": "identify", **ENVELOPE, "traits": traits, **more}


def said(call: dict[str, Any]) -> dict[str, Any]:
    """The one event a call becomes, by what it says and not by its envelope."""
    event = event_of(call)
    assert (event.id, event.source, event.customer_id) == (ENVELOPE["messageId"], "segment", "C-104233")
    assert event.occurred_at == datetime(2026, 2, 6, 20, 3, 41, tzinfo=UTC)
    told = event.model_dump(exclude_unset=True, exclude_none=True)
    return {name: value for name, value in told.items() if name not in ("id", "source", "occurred_at", "customer_id")}


PRODUCTS = [
    {
        "product_id": "CUR-LIN-140-NAT",
        "sku": "4012",
        "category": "curtains",
        "price": 59.9,
        "quantity": 2,
        "position": 1,
    },
    {"sku": "ROD-160", "price": "24.90"},
]
MAIL = {
    "email_id": "newsletter-2026-06",
    "email_subject": "Frühling",
    "campaign_id": "spring",
    "campaign_name": "Spring",
}
MAILED = {"email_id": "newsletter-2026-06", "campaign_id": "spring"}

TRACKS: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {
    "Order Completed": (
        {"checkout_id": "ck-1", "order_id": "100234", "affiliation": "Web Shop", "subtotal": 154.7, "total": 177.09,
         "revenue": 144.7, "shipping": 4.9, "tax": 27.49, "discount": 10, "coupon": "WELCOME10", "currency": "EUR",
         "products": PRODUCTS},
        {"type": "OrderCompleted", "order_id": "100234", "revenue_minor": 14470, "currency": "EUR",
         "discount_minor": 1000, "shipping_minor": 490, "tax_minor": 2749, "coupon": "WELCOME10", "channel": "web_shop",
         "items": (
             {"product_id": "CUR-LIN-140-NAT", "category": "curtains", "quantity": 2, "amount_minor": 11980},
             {"product_id": "ROD-160", "quantity": 1, "amount_minor": 2490})},
    ),
    "Completed Order": (ORDER, ORDERED),
    "Order Updated": (ORDER, ORDERED),
    "Order Cancelled": ({**ORDER, "cancel_reason": "Out of stock"},
                        {"type": "OrderCancelled", "order_id": "100234", "reason": "out_of_stock"}),
    "Order Canceled": (ORDER, {"type": "OrderCancelled", "order_id": "100234"}),
    "Order Refunded": (
        {"order_id": "100234", "total": 24.9, "currency": "EUR", "products": PRODUCTS[1:]},
        {"type": "OrderRefunded", "order_id": "100234", "refund_id": ENVELOPE["messageId"], "amount_minor": 2490,
         "currency": "EUR", "items": ({"product_id": "ROD-160", "quantity": 1, "amount_minor": 2490},)},
    ),
    "ecommerce.order_refunded": (
        {"order_id": "100234", "total_value": 24.9, "currency": "EUR"},
        {"type": "OrderRefunded", "order_id": "100234", "refund_id": ENVELOPE["messageId"], "amount_minor": 2490,
         "currency": "EUR", "items": ()},
    ),
    "Product Reviewed": (
        {"product_id": "CUR-LIN-140-NAT", "review_id": "30311", "review_body": "Schöner Stoff", "rating": "4"},
        {"type": "ReviewPosted", "review_id": "30311", "product_id": "CUR-LIN-140-NAT", "rating": 4.0,
         "rating_max": 5.0, "rating_min": 1.0, "text": "Schöner Stoff"},
    ),
    "Email Delivered": (MAIL, {"type": "EmailDelivered", **MAILED}),
    "Email Opened": ({**MAIL, "machine_open": True}, {"type": "EmailOpened", **MAILED, "is_machine": True}),
    "Email Link Clicked": ({**MAIL, "link_id": "hero", "link_url": "https://shop.example/"},
                           {"type": "EmailClicked", **MAILED, "is_machine": False, "link_id": "hero"}),
    "Email Bounced": ({**MAIL, "bounce_type": "Hard"}, {"type": "EmailBounced", **MAILED, "bounce_type": "hard"}),
    "Email Marked as Spam": (MAIL, {"type": "EmailMarkedAsSpam", **MAILED}),
    "Unsubscribed": ({**MAIL, "list_id": "weekly", "list_name": "Weekly"},
                     {"type": "EmailUnsubscribed", **MAILED, "list_id": "weekly"}),
    "SMS Subscribed": ({"source_id": "s", "flow_id": "f"},
                       {"type": "ConsentChanged", "purpose": "marketing", "channel": "sms", "state": "granted"}),
    "SMS Unsubscribed": ({"source_id": "s", "flow_id": "f"},
                         {"type": "ConsentChanged", "purpose": "marketing", "channel": "sms", "state": "revoked"}),
    "Survey Question Answered": (
        {"survey_id": "after-delivery", "survey_name": "After delivery", "survey_type": "NPS", "score": 9,
         "survey_comment": "Schnell."},
        {"type": "SurveyAnswered", "survey_id": "after-delivery", "kind": "nps", "score": 9.0, "score_max": 10.0,
         "comment": "Schnell."},
    ),
    "Referral Advocate Reward Earned": (
        {"email": "m.haddad@example.com", "referral_code": "MAYA-15", "campaign_id": "friends", "reward_value": "15.00",
         "reward_currency": "eur", "friend_email": "jo.lenz@example.com"},
        {"type": "ReferralMade", "email": "m.haddad@example.com", "referral_id": ENVELOPE["messageId"],
         "code": "MAYA-15", "campaign_id": "friends", "reward_minor": 1500, "currency": "EUR",
         "referred_email": "jo.lenz@example.com"},
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", TRACKS)
def test_a_track_call_is_the_event_it_means(name: str) -> None:
    properties, expected = TRACKS[name]
    assert said(track(name, properties)) == expected


def test_every_row_is_tested() -> None:
    assert {name.lower() for name in TRACKS} == ROWS.keys()


@pytest.mark.parametrize("name", TRACKS)
def test_names_are_matched_trimmed_and_in_any_case(name: str) -> None:
    properties, expected = TRACKS[name]
    for spelled in (name.upper(), name.lower(), f"  {name}\n"):
        assert said(track(spelled, properties)) == expected


# -- money ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("amounts", "revenue_minor"),
    [
        ({"revenue": 144.7, "subtotal": 154.7, "total": 177.09}, 14470),
        ({"subtotal": 154.7, "total": 177.09}, 15470),
        ({"total": 177.09, "shipping": 4.9, "tax": 27.49}, 14470),
        ({"total": 177.09, "shipping": 4.9}, 17219),
        ({"total": "177.09"}, 17709),
        ({"revenue": 0}, 0),
        ({"revenue": "", "total": 5}, 500),
        ({"revenue": None, "subtotal": 1}, 100),
    ],
)
def test_value_is_revenue_else_subtotal_else_total_less_shipping_and_tax(
    amounts: dict[str, Any], revenue_minor: int
) -> None:
    assert (
        said(track("Order Completed", {"order_id": "1", "currency": "EUR", **amounts}))["revenue_minor"]
        == revenue_minor
    )


@pytest.mark.parametrize(
    ("written", "currency", "minor"),
    [
        ("144.70", "EUR", 14470),
        ("0.1", "EUR", 10),
        ("19.99", "EUR", 1999),  # 19.99 * 100 is 1998.9999999999998 in binary floats
        ("1.15", "EUR", 115),  # 1.15 * 100 is 114.99999999999999
        ("8192.01", "EUR", 819201),
        ("1e2", "EUR", 10000),
        ("5400", "JPY", 5400),
        ("5400.4", "JPY", 5400),
        ("12.345", "KWD", 12345),
        ("12.3455", "KWD", 12346),  # a half to the even neighbour
        ("0.005", "EUR", 0),
        ("0.015", "EUR", 2),
        ("9999999999.99", "EUR", 999_999_999_999),
    ],
)
def test_amounts_are_read_as_written_and_not_as_floats(written: str, currency: str, minor: int) -> None:
    call = json.dumps(track("Order Completed", {"order_id": "1", "currency": currency, "revenue": "?"}))
    for form in (written, f'"{written}"'):
        event = event_of(call.replace('"?"', form).encode())
        assert isinstance(event, events.OrderCompleted)
        assert (event.revenue_minor, event.currency) == (minor, currency)


@pytest.mark.parametrize(
    ("revenue", "problem"),
    [
        ("144,70", "properties.revenue: expected a decimal number, got a string of 6"),
        ("EUR 144", "properties.revenue: expected a decimal number, got a string of 7"),
        ("NaN", "properties.revenue: expected a decimal number, got a string of 3"),
        ("Infinity", "properties.revenue: expected a decimal number, got a string of 8"),
        ("1e30", "properties.revenue: expected a decimal number, got a string of 4"),
        (1e30, "properties.revenue: expected a decimal number, got a number"),
        (10**30, "properties.revenue: expected a decimal number, got an integer"),
        (True, "properties.revenue: expected a decimal number, got true"),
        ([1], "properties.revenue: expected a decimal number, got a list of 1"),
        ({}, "properties.revenue: expected a decimal number, got an object"),
        (-1, "revenue_minor: expected greater than or equal to 0, got -100"),
        (10**11, "revenue_minor: expected less than or equal to 1000000000000, got 10000000000000"),
        (None, "properties.revenue: expected this, subtotal or total, as a decimal number, got nothing"),
    ],
)
def test_an_amount_that_is_none_is_refused(revenue: object, problem: str) -> None:
    refused = refusal_of(track("Order Completed", {**ORDER, "revenue": revenue}))
    assert (refused.reason, refused.problems) == (Reason.SCHEMA_VIOLATION, (problem,))


def test_an_exponent_beyond_every_number_is_refused_and_not_raised() -> None:
    call = json.dumps(track("Order Completed", {**ORDER, "revenue": "?"})).replace('"?"', "1e99999999999999999999")
    assert refusal_of(call.encode()).reason is Reason.SCHEMA_VIOLATION


def test_currency_may_be_small_but_must_be_known() -> None:
    assert said(track("Order Completed", {**ORDER, "currency": " eur "}))["currency"] == "EUR"
    unknown = refusal_of(track("Order Completed", {**ORDER, "currency": "BTC"}))
    assert (unknown.reason, unknown.problems) == (
        Reason.UNKNOWN_CURRENCY, ("properties.currency: expected an ISO 4217 currency such as EUR, got a string of 3",)
    )  # fmt: skip
    missing = refusal_of(track("Order Completed", {"order_id": "1", "revenue": 1}))
    assert missing.problems == ("properties.currency: expected a string, got nothing",)


@pytest.mark.parametrize(
    ("properties", "amount_minor"),
    [
        ({}, None),  # with the order's id alone, all that is left
        ({"refund_amount": 24.9, "total": 144.7}, 2490),
        ({"total_value": "24.90"}, 2490),
        ({"total": 24.9, "products": PRODUCTS}, 2490),
        ({"products": PRODUCTS}, 2 * 5990 + 2490),
        ({"total": 5400, "currency": "JPY"}, 5400),
        ({"total": 65, "shipping": 5, "tax": 10}, 6500 - 500 - 1000),
        ({"total_value": 65, "tax": "10"}, 6500 - 1000),
        ({"total": 130, "subtotal": 110, "shipping": 10, "tax": 20}, 11000),
        ({"total": 130, "revenue": 100, "subtotal": 110, "shipping": 10, "tax": 20}, 10000),
        ({"total": 30, "revenue": 100}, 3000),  # the whole order's revenue beside what went back
        ({"refund_amount": 65, "revenue": 100, "shipping": 5, "tax": 10}, 6500),  # said of what went back, in whole
        ({"total": 5, "shipping": 5, "products": PRODUCTS}, 0),  # nothing but the shipping
    ],
)
def test_a_refund_is_of_its_amount_else_its_products_else_the_whole(
    properties: dict[str, Any], amount_minor: int | None
) -> None:
    refund = said(track("Order Refunded", {"order_id": "100234", "currency": "EUR", **properties}))
    assert refund.get("amount_minor") == amount_minor
    assert ("currency" in refund) == (amount_minor is not None)


def test_a_refund_is_lessened_by_shipping_and_tax_as_its_order_is() -> None:
    told = {"order_id": "100234", "currency": "EUR", "total": 130, "shipping": 10, "tax": 20}
    order, refund = said(track("Order Completed", told)), said(track("Order Refunded", told))
    assert order["revenue_minor"] == refund["amount_minor"] == 13000 - 1000 - 2000


def test_a_refund_of_less_than_its_shipping_and_tax_is_refused() -> None:
    call = track("Order Refunded", {"order_id": "1", "currency": "EUR", "total": 10, "shipping": 5, "tax": 6})
    assert refusal_of(call).reason is Reason.SCHEMA_VIOLATION


def test_a_refund_may_name_itself_and_snowplows_names_are_read_too() -> None:
    refund = said(
        track("Order Refunded", {"transaction_id": "100234", "refund_id": "R-771", "refund_reason": "Too short"})
    )
    assert (refund["order_id"], refund["refund_id"], refund["reason"]) == ("100234", "R-771", "too_short")


def test_products_without_prices_are_no_refund_of_nothing() -> None:
    refused = refusal_of(
        track("Order Refunded", {"order_id": "1", "currency": "EUR", "products": [{"sku": "ROD-160"}]})
    )
    assert refused.problems == ("properties.total: expected an amount, or products with prices, got neither",)


def test_a_product_without_a_name_is_left_out_and_one_with_a_wrong_price_refused() -> None:
    order = {**ORDER, "products": [{"price": 1}, None, "x", {"id": 77, "price": 2}]}
    assert [item["product_id"] for item in said(track("Order Completed", order))["items"]] == ["77"]
    wrong = {**ORDER, "products": [{"sku": "a"}, {"sku": "b", "price": "cheap"}]}
    assert refusal_of(track("Order Completed", wrong)).problems == (
        "properties.products[1].price: expected a decimal number, got a string of 5",
    )


@pytest.mark.parametrize(
    ("rating", "read"),
    [("4", (4, 5, 1)), (4.5, (4.5, 5, 1)), ("4/5", (4, 5, 1)), ("8 / 10", (8, 10, 0)), (8, (8, 10, 0)),
     ("87", (87, 100, 0)), ("5 stars", (5, 5, 1)), ("3 out of 5", (3, 5, 1)), (0, (0, 5, 0))],
)  # fmt: skip
def test_a_rating_finds_its_scale(rating: object, read: tuple[float, float, float]) -> None:
    review = said(track("Product Reviewed", {"product_id": "P", "rating": rating}))
    assert (review["rating"], review["rating_max"], review["rating_min"]) == read


def test_a_rating_in_words_is_refused() -> None:
    refused = refusal_of(track("Product Reviewed", {"product_id": "P", "rating": "superb"}))
    assert refused.problems == ("properties.rating: expected a number such as 4 or 4/5, got something else",)


# -- who and when -----------------------------------------------------------------------------------------------------


def test_userid_is_read_in_both_spellings_and_as_a_number() -> None:
    nobody = {name: value for name, value in track("Order Completed", ORDER).items() if name != "userId"}
    for spelled in ({"userId": "104233"}, {"user_id": "104233"}, {"userId": 104233}, {"userId": " 104233 "}):
        assert event_of({**nobody, **spelled}).customer_id == "104233"
    assert (
        event_of({**nobody, "context": {"traits": {"email": "m.haddad@example.com"}}}).email == "m.haddad@example.com"
    )
    for browser in ({"anonymousId": "507f191e"}, {"userId": ""}, {"userId": None}, {"userId": ["x"]}):
        assert refusal_of({**nobody, **browser}).reason is Reason.NO_ALIAS


def test_a_clock_that_is_wrong_is_put_right_by_when_it_was_sent() -> None:
    """Segment's rule: timestamp = receivedAt - (sentAt - originalTimestamp)."""
    call = {name: value for name, value in track("Order Completed", ORDER).items() if name != "timestamp"}
    received = datetime.fromtimestamp(RECEIVED_MS / 1000, UTC)
    ahead = {"originalTimestamp": "2031-01-01T00:00:00Z", "sentAt": "2031-01-01T00:00:07Z"}
    assert event_of({**call, **ahead}).occurred_at == received - timedelta(seconds=7)
    assert event_of({**call, **ahead, "receivedAt": AT}).occurred_at == datetime(2026, 2, 6, 20, 3, 34, tzinfo=UTC)
    assert event_of({**call, "originalTimestamp": AT}).occurred_at == datetime(2026, 2, 6, 20, 3, 41, tzinfo=UTC)
    assert event_of(call).occurred_at == received
    far = {"originalTimestamp": "0001-01-01T00:00:00Z", "sentAt": "9999-12-31T00:00:00Z"}
    assert refusal_of({**call, **far}).problems[0].startswith("originalTimestamp: expected one near sentAt")


@pytest.mark.parametrize("timestamp", ["yesterday", "2026-02-06T20:03:41", 1770408221, [AT], ""])
def test_a_time_that_is_none_is_refused(timestamp: object) -> None:
    refused = refusal_of(track("Order Completed", ORDER, timestamp=timestamp))
    assert refused.problems[0].startswith("timestamp: expected an RFC 3339 instant with an offset, such as ")


def test_the_source_tells_senders_apart_without_telling_their_key() -> None:
    def source(**more: Any) -> str:
        return event_of(track("Order Completed", ORDER, **more)).source

    assert source() == "segment"
    assert source(projectId="shop-eu") == "segment:shop-eu"
    assert source(context={"library": {"name": "analytics.js"}}) == "segment:analytics.js"
    assert source(writeKey="wk-1") != source(writeKey="wk-2")
    assert "wk-1" not in source(writeKey="wk-1")


@pytest.mark.parametrize("message_id", ["", None, "m" * 101, [], {"a": 1}])
def test_a_message_id_that_is_none_is_refused(message_id: object) -> None:
    refused = refusal_of({**track("Order Completed", ORDER), "messageId": message_id})
    assert refused.problems[0].startswith("messageId: expected a string of 1 to 100, got ")


@pytest.mark.parametrize("kind", [{}, [], 5, None, "trak"])
def test_what_only_looks_like_a_call_is_refused_as_an_event(kind: object) -> None:
    assert (
        refusal_of({**track("Order Completed", ORDER), "type": kind}).problems[0].startswith("type: expected the name")
    )


@pytest.mark.parametrize(
    ("call", "problem"),
    [
        (track("Product Viewed", {}), "event: expected one Wafa knows, got 'Product Viewed'"),
        (track("Product Shared", {"recipient": "x"}), "event: expected one Wafa knows, got 'Product Shared'"),
        ({**ENVELOPE, "type": "group"}, "type: expected identify, track or a campaign's page, got 'group'"),
        ({**ENVELOPE, "type": "page"}, "type: expected identify, track or a campaign's page, got 'page'"),
    ],
)
def test_what_wafa_does_not_know_is_refused_by_its_name(call: dict[str, Any], problem: str) -> None:
    refused = refusal_of(call)
    assert (refused.reason, refused.problems) == (Reason.UNKNOWN_TYPE, (problem,))


@pytest.mark.parametrize("name", [None, "", "  ", 7, ["Order Completed"], {"a": []}])
def test_a_track_call_needs_the_name_of_its_event(name: object) -> None:
    assert refusal_of({**track("x", ORDER), "event": name}).problems[0].startswith("event: expected a string, got ")


@pytest.mark.parametrize("topic", topics.SOURCES, ids=lambda topic: topic.name)
def test_any_source_takes_calls_since_a_stream_of_them_is_mixed(topic: topics.Topic) -> None:
    assert event_of(track("Email Opened", MAIL), topic).type == "EmailOpened"


# -- identify, campaigns, consent -------------------------------------------------------------------------------------


def test_identify_says_who_they_are() -> None:
    traits = {
        "email": "m.haddad@example.com", "phone": "+49 30 901820", "firstName": "Maya", "lastName": "Haddad",
        "title": "Architect", "company": {"name": "Haddad & Lenz"}, "createdAt": "2020-01-01", "age": 41,
        "address": {"street": "Karl-Marx-Allee 34", "postalCode": "10178", "city": "Berlin", "state": "BE",
                    "country": "de"},
    }  # fmt: skip
    identified = said(identify(traits, context={"locale": "de_DE", "timezone": "Europe/Berlin", "ip": "192.0.2.1"}))
    assert identified == {
        "type": "CustomerIdentified", "email": "m.haddad@example.com", "phone": "+49 30 901820", "name": "Maya Haddad",
        "language": "de-DE", "time_zone": "Europe/Berlin", "country": "DE", "area": "BE",
        "postal_address": "Karl-Marx-Allee 34, 10178, Berlin, BE, de", "job": "Architect", "company": "Haddad & Lenz",
    }  # fmt: skip


def test_what_only_adds_is_dropped_where_it_is_wrong() -> None:
    traits = {
        "email": "none",
        "phone": "call me",
        "name": "M" * 301,
        "timezone": "Atlantis",
        "locale": "German!",
        "address": 5,
    }
    assert said(identify(traits)) == {"type": "CustomerIdentified"}


def test_a_campaign_in_the_context_is_a_touch_of_its_own() -> None:
    campaign = {"name": "spring", "source": "wohnblog", "medium": "Affiliate", "term": "linen curtains", "content": "b"}
    context = {"campaign": campaign, "page": {"referrer": "https://www.wohnblog.example/"}}
    order, touch = events_of(track("Order Completed", ORDER, context=context))
    assert isinstance(order, events.OrderCompleted)
    assert isinstance(touch, events.TouchRecorded)
    assert touch.model_dump(exclude_none=True) == {
        "type": "TouchRecorded", "id": f"{ENVELOPE['messageId']}/touch", "source": "segment", "customer_id": "C-104233",
        "occurred_at": order.occurred_at, "simulated": False, "channel": "affiliate", "campaign_id": "spring",
        "followed": True,
        "search_term": "linen curtains", "referrer": "https://www.wohnblog.example/", "affiliate_id": "wohnblog",
    }  # fmt: skip


def test_a_campaigns_page_is_a_touch_and_nothing_else() -> None:
    page = {"type": "page", **ENVELOPE, "context": {"campaign": {"source": "Google Ads"}}}
    (touch,) = events_of(page)
    assert isinstance(touch, events.TouchRecorded)
    assert (touch.channel, touch.affiliate_id) == ("google_ads", None)


def test_consent_is_taken_only_where_it_is_said_outright() -> None:
    preferences = {"Advertising": True, "Analytics": False, "Functional": None, "Other": "true"}
    context = {"consent": {"categoryPreferences": preferences}}
    call = {**track(CONSENT_UPDATED.title(), {}), "context": context}
    states = {event.purpose: event.state for event in events_of(call) if isinstance(event, events.ConsentChanged)}
    assert states == {"advertising": "granted", "analytics": "denied"}
    identified, *consents = events_of(identify({}, context=context))
    assert identified.type == "CustomerIdentified"
    assert len(consents) == 2
    # The context of any other call repeats what was said before.
    assert [event.type for event in events_of(track("Order Completed", ORDER, context=context))] == ["OrderCompleted"]


def test_of_yes_and_no_for_one_purpose_no_counts() -> None:
    context = {"consent": {"categoryPreferences": {"Marketing": True, "marketing": False, " MARKETING ": True}}}
    (consent,) = events_of(track(CONSENT_UPDATED, {}, context=context))
    assert isinstance(consent, events.ConsentChanged)
    assert consent.state == "denied"


def test_a_consent_update_that_says_nothing_is_refused() -> None:
    refused = refusal_of(track(CONSENT_UPDATED, {}))
    assert refused.problems == ("context.consent: expected a category that is true or false, got none",)


def test_what_comes_along_has_ids_of_its_own_that_fit_and_repeat() -> None:
    context = {"campaign": {"medium": "email"}, "consent": {"categoryPreferences": {"x" * 64: True}}}
    call = identify({}, messageId="m" * 100, context=context)
    ids = [event.id for event in events_of(call)]
    assert len(set(ids)) == 3
    assert max(map(len, ids)) <= 100
    assert ids == [event.id for event in events_of(call)]


def test_a_record_of_which_a_part_is_wrong_is_refused_whole() -> None:
    call = track("Order Completed", {**ORDER, "revenue": -1}, context={"campaign": {"medium": "email"}})
    parsed, refused = parse_batch([Given(json.dumps(call).encode())], topics.PURCHASES.name)
    assert parsed == []
    assert len(refused) == 1

"""Segment's track events, one row each: which event of Wafa they are, and how their properties say it.

Names are matched trimmed and in any case. A property with several names in the field is read under each of them.
Sources: Segment's e-commerce and e-mail specifications; Friendbuy, Delighted and Yotpo as Segment sources.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, Final

from pipeline.schemas.segment_fields import (
    Fields,
    bad_field,
    code,
    currency,
    flag,
    minor,
    number,
    required,
    short,
    text,
)

_P: Final = "properties"
_RATING: Final = re.compile(r"\s*(\d+(?:\.\d+)?)\s*(?:(?:/|out of)\s*(\d+(?:\.\d+)?))?\s*(?:stars?)?\s*", re.IGNORECASE)
_SCORE_MAX: Final = {"nps": 10, "ces": 7, "csat": 5}
_STARS: Final = 5
_BOUNCES: Final = frozenset({"hard", "soft"})


@dataclass(frozen=True, slots=True)
class Call:
    """A track call as far as a row needs it."""

    message_id: str
    properties: Fields


Row = Callable[[Call], dict[str, Any]]


def _order(call: Call) -> dict[str, Any]:
    given = call.properties
    paid_in = currency(given, _P)
    return {
        "type": "OrderCompleted",
        "order_id": required(given, _P, "order_id", "transaction_id"),
        "currency": paid_in,
        "revenue_minor": minor(_revenue(given), paid_in),
        **{
            f"{name}_minor": minor(amount, paid_in)
            for name in ("discount", "shipping", "tax")
            if (amount := number(given, _P, name)) is not None
        },
        "coupon": short(given, "coupon"),
        "items": _items(given, paid_in),
        "channel": code(short(given, "affiliation")),
    }


def _revenue(given: Fields) -> Decimal:
    revenue = _net(given, "total")
    if revenue is None:
        problem = f"{_P}.revenue: expected this, subtotal or total, as a decimal number, got nothing"
        raise bad_field(given, "revenue", 1, problem)
    return revenue


def _net(given: Fields, *totals: str) -> Decimal | None:
    """After discount, without shipping and tax: `revenue`, else `subtotal`, else a total less shipping and tax."""
    net = _first_number(given, "revenue", "subtotal")
    if net is not None:
        return net
    total = _first_number(given, *totals)
    if total is None:
        return None
    return total - (number(given, _P, "shipping") or Decimal(0)) - (number(given, _P, "tax") or Decimal(0))


def _items(given: Fields, paid_in: str) -> list[dict[str, Any]]:
    products = given.get("products")
    found = []
    for index, product in enumerate(products if isinstance(products, list) else []):
        if not isinstance(product, dict):
            continue
        product_id = short(product, "product_id", "sku", "id")
        if product_id is None:
            continue
        where = f"{_P}.products[{index}]"
        quantity = number(product, where, "quantity")
        quantity = Decimal(1) if quantity is None else quantity
        price = number(product, where, "price") or Decimal(0)
        item = {
            "product_id": product_id,
            "category": short(product, "category"),
            "quantity": max(1, round(quantity)),
            "amount_minor": minor(price * quantity, paid_in),
        }
        found.append(item)
    return found


def _refund(call: Call) -> dict[str, Any]:
    """With an amount or products, that much; with `order_id` alone, all that is left.

    `refund_amount` is taken for what it says; other amounts are told as an order's are, and lessened as they are. A
    revenue above the total is the whole order's, told beside what went back.
    """
    given = call.properties
    refund: dict[str, Any] = {
        "type": "OrderRefunded",
        "order_id": required(given, _P, "order_id", "transaction_id"),
        "refund_id": text(given, "refund_id") or call.message_id,
        "reason": code(text(given, "refund_reason", "reason")),
    }
    amount = number(given, _P, "refund_amount")
    if amount is None:
        told = (_net(given, "total_value", "total"), _first_number(given, "total_value", "total"))
        amount = min((each for each in told if each is not None), default=None)
    if amount is None and not given.get("products"):
        return refund
    paid_in = currency(given, _P)
    items = _items(given, paid_in)
    amount_minor = sum(item["amount_minor"] for item in items) if amount is None else minor(amount, paid_in)
    if amount is None and not amount_minor:
        raise bad_field(given, "total", 1, f"{_P}.total: expected an amount, or products with prices, got neither")
    return {**refund, "currency": paid_in, "amount_minor": amount_minor, "items": items}


def _first_number(given: Fields, *names: str) -> Decimal | None:
    for name in names:
        amount = number(given, _P, name)
        if amount is not None:
            return amount
    return None


def _cancelled(call: Call) -> dict[str, Any]:
    given = call.properties
    reason = code(text(given, "cancel_reason", "reason"))
    return {"type": "OrderCancelled", "order_id": required(given, _P, "order_id", "transaction_id"), "reason": reason}


def _review(call: Call) -> dict[str, Any]:
    given = call.properties
    rating, best = _rating(given)
    return {
        "type": "ReviewPosted",
        "review_id": text(given, "review_id") or call.message_id,
        "product_id": short(given, "product_id"),
        "order_id": short(given, "order_id"),
        "rating": float(rating),
        "rating_max": float(best),
        "rating_min": 1.0 if best == _STARS and rating >= 1 else 0.0,
        "text": text(given, "review_body"),
    }


def _rating(given: Fields) -> tuple[Decimal, Decimal]:
    """The rating and its best: said by `rating_max` or in the text (`4/5`), else five stars, ten or a hundred."""
    match = _RATING.fullmatch(short(given, "rating", at_most=20) or str(number(given, _P, "rating")))
    if match is None:
        raise bad_field(given, "rating", 1, f"{_P}.rating: expected a number such as 4 or 4/5, got something else")
    rating = Decimal(match[1])
    best = number(given, _P, "rating_max") or (Decimal(match[2]) if match[2] else None)
    if best is None:
        best = next((Decimal(scale) for scale in (_STARS, 10) if rating <= scale), Decimal(100))
    return rating, best


def _email(kind: str) -> Row:
    def row(call: Call) -> dict[str, Any]:
        given = call.properties
        return {
            "type": kind,
            "email_id": text(given, "email_id") or call.message_id,
            "campaign_id": short(given, "campaign_id", "campaign_name"),
            "trigger_id": short(given, "trigger_id"),
            "need": code(text(given, "need")),
        }

    return row


def _opened(call: Call) -> dict[str, Any]:
    is_machine = flag(call.properties, "machine_open", "is_machine", "proxy_open")
    return {**_email("EmailOpened")(call), "is_machine": is_machine}


def _clicked(call: Call) -> dict[str, Any]:
    given = call.properties
    return {**_email("EmailClicked")(call), "is_machine": flag(given, "bot_click", "is_machine"),
            "link_id": short(given, "link_id")}  # fmt: skip


def _bounced(call: Call) -> dict[str, Any]:
    bounce = code(text(call.properties, "bounce_type"))
    return {**_email("EmailBounced")(call), "bounce_type": bounce if bounce in _BOUNCES else "other"}


def _unsubscribed(call: Call) -> dict[str, Any]:
    """From one list if it is named and `scope` does not say all; else from all marketing e-mail."""
    given = call.properties
    one_list = None if code(text(given, "scope")) == "all" else short(given, "list_id")
    return {**_email("EmailUnsubscribed")(call), "list_id": one_list}


def _sms(state: str) -> Row:
    def row(call: Call) -> dict[str, Any]:
        del call
        return {"type": "ConsentChanged", "purpose": "marketing", "channel": "sms", "state": state}

    return row


def _survey(call: Call) -> dict[str, Any]:
    given = call.properties
    kind = code(text(given, "survey_type")) or ""
    score = _first_number(given, "score", "survey_score", "survey_question_score", "survey_question_answer")
    if score is None:
        raise bad_field(given, "score", 1, f"{_P}.score: expected a number, got nothing")
    best = number(given, _P, "score_max") or Decimal(_SCORE_MAX.get(kind, 10))
    return {
        "type": "SurveyAnswered",
        "survey_id": required(given, _P, "survey_id"),
        "kind": kind,
        "score": float(score),
        "score_max": float(best),
        "order_id": short(given, "order_id"),
        "comment": text(given, "comment", "survey_comment"),
    }


def _referral(call: Call) -> dict[str, Any]:
    """Friendbuy tells of the friend when the advocate's reward is earned: only then did somebody come."""
    given = call.properties
    reward = number(given, _P, "reward_value")
    referral: dict[str, Any] = {
        "type": "ReferralMade",
        "referral_id": short(given, "referral_id") or call.message_id,
        "referred_customer_id": short(given, "friend_customer_id"),
        "referred_email": short(given, "friend_email", at_most=320),
        "code": short(given, "referral_code"),
        "campaign_id": short(given, "campaign_id", "campaign_name"),
    }
    if reward is not None and text(given, "reward_currency"):
        referral["currency"] = currency(given, _P, "reward_currency")
        referral["reward_minor"] = minor(reward, referral["currency"])
    return referral


ROWS: Final[dict[str, Row]] = {
    "order completed": _order,
    "completed order": _order,
    "order updated": _order,
    "order refunded": _refund,
    "ecommerce.order_refunded": _refund,
    "order cancelled": _cancelled,
    "order canceled": _cancelled,
    "product reviewed": _review,
    "email delivered": _email("EmailDelivered"),
    "email opened": _opened,
    "email link clicked": _clicked,
    "email bounced": _bounced,
    "email marked as spam": _email("EmailMarkedAsSpam"),
    "unsubscribed": _unsubscribed,
    "sms subscribed": _sms("granted"),
    "sms unsubscribed": _sms("revoked"),
    "survey question answered": _survey,
    "referral advocate reward earned": _referral,
}
"""By the event's name in lower case."""

CONSENT_UPDATED: Final = "segment consent preference updated"
"""Says nothing itself: what it changes is in `context.consent`."""

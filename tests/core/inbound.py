"""Events as publishers send them, every kind with all that may name a person or be free text filled in."""

from __future__ import annotations

import json
from typing import Any, Final

from pipeline.schemas.events import InboundEvent
from tests.core.builders import day

KINDS: Final = {kind.__name__: kind for kind in InboundEvent.__args__}

NEEDED: Final[dict[str, dict[str, Any]]] = {
    "CustomerIdentified": {},
    "TouchRecorded": {"channel": "paid_search"},
    "PreferenceStated": {"interests": ["shoes"]},
    "ContactMade": {"department": "sales"},
    "OrderCompleted": {"order_id": "o1", "revenue_minor": 1_050, "currency": "EUR"},
    "OrderRefunded": {"order_id": "o1", "refund_id": "r1"},
    "OrderCancelled": {"order_id": "o1"},
    "OrderPromised": {"order_id": "o1", "promised_at": day(9).isoformat()},
    "OrderShipped": {"order_id": "o1"},
    "OrderDelivered": {"order_id": "o1"},
    "EmailDelivered": {"email_id": "m1"},
    "EmailOpened": {"email_id": "m1"},
    "EmailClicked": {"email_id": "m1"},
    "EmailBounced": {"email_id": "m1"},
    "EmailUnsubscribed": {"email_id": "m1"},
    "EmailMarkedAsSpam": {"email_id": "m1"},
    "ConsentChanged": {"purpose": "marketing", "state": "granted"},
    "MentionPosted": {"mention_id": "p1", "platform": "insta"},
    "ReviewPosted": {"review_id": "v1", "rating": 4.0},
    "ReferralMade": {"referral_id": "f1"},
    "SurveyAnswered": {"survey_id": "s1", "kind": "nps", "score": 9.0, "score_max": 10.0},
    "TicketOpened": {"ticket_id": "t1"},
    "TicketUpdated": {"ticket_id": "t1"},
    "TicketResolved": {"ticket_id": "t1"},
    "CostRecorded": {"department": "sales", "amount_minor": 100, "currency": "EUR"},
}

SECRET: Final[dict[str, Any]] = {
    "customer_id": "secret-customer", "email": "secret@example.org", "phone": "+49 30 777111",
    "handle": "insta:secret-handle", "handles": ["x:secret-handle"], "name": "Secret Name", "area": "Secret Area",
    "postal_address": "Secret Street 1", "job": "secret job", "company": "Secret Ltd", "search_term": "secret words",
    "referrer": "https://secret:secret@search.example/secret?q=secret", "text": "secret words",
    "comment": "secret words", "evidence": "secret words", "author_handle": "secret-author", "url": "https://insta.example/secret-author",
    "referred_customer_id": "secret-friend", "referred_email": "secret.friend@example.org", "code": "SECRET-CODE",
    "link_id": "secret-link",
}  # fmt: skip
"""What may not get into the log, by field."""
TELLING: Final = ("secret", "777111")


def inbound(kind: str, **fields: Any) -> InboundEvent:
    """A valid event of this kind on day 0, its other fields as given; None leaves one out."""
    document = {
        "type": kind, "id": f"{kind}-1", "source": "shop", "occurred_at": day(0).isoformat(), "customer_id": "c1",
        **NEEDED[kind], **fields,
    }  # fmt: skip
    given = {name: value for name, value in document.items() if value is not None}
    return KINDS[kind].model_validate_json(json.dumps(given))


def telling(kind: str) -> InboundEvent:
    """An event with everything in it that the log may not hold."""
    return inbound(kind, **{name: value for name, value in SECRET.items() if name in KINDS[kind].model_fields})

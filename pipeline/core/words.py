"""Words that profiles hold often, and the one character that each is packed as.

The place in the list is the format: add at the end, never take out. A word that is not here is packed as it is.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Final

WORDS: Final = (
    "first_contact", "known_and_answered", "departments_work_together", "loyal_over_cycles", "evidence_gone",
    "no_purchase_yet", "first_purchase", "bought_again", "came_back", "silent_since_purchase", "silent_for_long",
    "purchases_cancelled",
    "retention_offer", "feedback_request",
    "sent", "held", "withheld", "expired", "cancelled",
    "at_risk", "order_done", "too_soon", "no_consent", "complaint_open", "complaint_recent", "cap", "cool_down",
    "stale", "purchased", "order_void", "too_many_open", "rule_off",
    "marketing", "feedback", "email", "sms", "push", "phone", "post", "messenger", "en", "de", "fr", "es", "ar", "fa",
    "USD", "EUR", "GBP", "UTC",
    "America/New_York", "America/Chicago", "America/Los_Angeles", "America/Sao_Paulo", "America/Mexico_City",
    "Europe/London", "Europe/Berlin", "Europe/Paris", "Europe/Madrid", "Europe/Rome", "Europe/Istanbul",
    "Africa/Cairo", "Africa/Lagos", "Asia/Riyadh", "Asia/Dubai", "Asia/Tehran", "Asia/Kolkata", "Asia/Shanghai",
    "Asia/Tokyo", "Australia/Sydney",
    "wish",
    "admission_failed",
)  # fmt: skip
CODES_MAX: Final = 127
"""Beyond it a character takes two bytes."""
CODE_BY_WORD: Final = {word: chr(place) for place, word in enumerate(WORDS, 1)}
WORD_BY_CODE: Final = {code: word for word, code in CODE_BY_WORD.items()}


_AS_IT_IS: Final = "\0"
"""Before a single character that stands for itself, such as the `*` of all channels."""


def short(word: str) -> str:
    """Any word as it is packed."""
    return _AS_IT_IS + word if len(word) == 1 else CODE_BY_WORD.get(word, word)


FORMS_KEPT: Final = 256
"""Words remembered in every form in which they may be packed: purposes and channels are few."""


@lru_cache(maxsize=FORMS_KEPT)
def forms(word: str) -> tuple[str, ...]:
    """Every way in which a word may be packed: also as it is, by who packed it before it was among these words."""
    return (short(word),) if len(word) == 1 else (short(word), word)


@lru_cache(maxsize=FORMS_KEPT)
def full(code: str) -> str:
    """The word that is packed so."""
    return code[1:] if code.startswith(_AS_IT_IS) else WORD_BY_CODE.get(code, code)

"""Words that profiles hold often, and the one character that each is packed as.

The place in the list is the format: add at the end, never take out. A word that is not here is packed as it is.
"""

from __future__ import annotations

from typing import Final

WORDS: Final = (
    "first_contact", "known_and_answered", "departments_work_together", "loyal_over_cycles", "evidence_gone",
    "no_purchase_yet", "first_purchase", "bought_again", "came_back", "silent_since_purchase", "silent_for_long",
    "purchases_cancelled",
    "retention_offer", "feedback_request",
    "sent", "held", "withheld", "expired", "cancelled",
    "at_risk", "order_done", "too_soon", "no_consent", "complaint_open", "complaint_recent", "cap", "cool_down",
    "stale", "purchased", "order_void", "too_many_open", "rule_off",
)  # fmt: skip
CODES_MAX: Final = 127
"""Beyond it a character takes two bytes."""
CODE_BY_WORD: Final = {word: chr(place) for place, word in enumerate(WORDS, 1)}
WORD_BY_CODE: Final = {code: word for word, code in CODE_BY_WORD.items()}

"""Text to sentiment. Bounded, deterministic, and silent where it cannot tell: no guess is better than a wrong one."""

from __future__ import annotations

import re
from functools import cache
from typing import Any, Final

TEXT_CHARS_MAX: Final = 500
"""Of a text, as much is read: at most 1 ms."""

_WORDS_MIN: Final = 3
_ENGLISH_FRACTION_MIN: Final = 0.15
_WORD: Final = re.compile(r"[^\W\d_]+(?:'[^\W\d_]+)?")
# The commonest English words that are no word of its neighbours (hence not: in, is, was, so, me, for, have, at, of).
_ENGLISH_WORDS: Final = (
    "the and you that this with has my your they were been not very it's i'm i've what when which would could should"
    " will can't don't didn't isn't wasn't won't never again than just only because about after before their them"
    " these those are but it"
)
_ENGLISH: Final = frozenset(_ENGLISH_WORDS.split())


def sentiment(text: str, language: str | None) -> tuple[float | None, str | None]:
    """How a text sounds, -1 (bad) to 1 (good), and its language; None for what nobody can tell.

    English is read with VADER (Hutto & Gilbert 2014), its compound score. Without a `language` the text must show that
    it is English by its commonest words; other languages are not read.
    """
    head = text[:TEXT_CHARS_MAX]
    if language is None and _is_english(head):
        language = "en"
    if language is None or language.partition("-")[0].lower() != "en":
        return None, language
    return float(_analyzer().polarity_scores(head)["compound"]), language


def _is_english(text: str) -> bool:
    words = [word.lower() for word in _WORD.findall(text)]
    return len(words) >= _WORDS_MIN and sum(word in _ENGLISH for word in words) >= _ENGLISH_FRACTION_MIN * len(words)


@cache
def _analyzer() -> Any:
    from vaderSentiment.vaderSentiment import SentimentIntensityAnalyzer  # noqa: PLC0415 - reads its lexicon: 50 ms

    return SentimentIntensityAnalyzer()

"""What is said of the brand: one public mention without who and what, and what they add up to by day and platform."""

from __future__ import annotations

from typing import Annotated

import msgspec
from msgspec import Meta

NEUTRAL_MAX = 0.05
"""Sentiment up to here either way is neutral, as VADER has it."""


class Mention(msgspec.Struct, frozen=True, kw_only=True):
    """One mention."""

    mention: Annotated[str, Meta(description="A hash that tells two apart.")]
    day: Annotated[str, Meta(description="Its UTC day, YYYY-MM-DD.")]
    platform: Annotated[str, Meta(description="Where, such as `instagram`.")]
    sentiment: Annotated[float | None, Meta(description="-1 (bad) to 1 (good); none where nobody could tell.")] = None
    reach: Annotated[int, Meta(description="People who may have seen it.")] = 0

    @property
    def tone(self) -> str:
        """negative, neutral or positive (VADER's bounds: beyond .05 either way), or unknown."""
        if self.sentiment is None:
            return "unknown"
        if self.sentiment <= -NEUTRAL_MAX:
            return "negative"
        return "positive" if self.sentiment >= NEUTRAL_MAX else "neutral"


class ReputationDay(msgspec.Struct, frozen=True, kw_only=True):
    """A day's reputation on a platform. Mean sentiment is `sentiment_sum` over the mentions that have one."""

    day: Annotated[str, Meta(description="UTC, YYYY-MM-DD.")]
    platform: Annotated[str, Meta(description="Where, such as `instagram`.")]
    mentions: Annotated[int, Meta(description="How many.")] = 0
    reach: Annotated[int, Meta(description="People who may have seen them, added up.")] = 0
    negative: Annotated[int, Meta(description="Of sentiment -0.05 or worse.")] = 0
    neutral: Annotated[int, Meta(description="Of sentiment between these.")] = 0
    positive: Annotated[int, Meta(description="Of sentiment 0.05 or better.")] = 0
    unknown: Annotated[int, Meta(description="Of no known sentiment.")] = 0
    sentiment_sum: Annotated[float, Meta(description="Of those of known sentiment.")] = 0.0

    def plus(self, mention: Mention) -> ReputationDay:
        """The day with one mention more."""
        return msgspec.structs.replace(
            self,
            mentions=self.mentions + 1,
            reach=self.reach + mention.reach,
            sentiment_sum=round(self.sentiment_sum + (mention.sentiment or 0.0), 9),
            **{mention.tone: getattr(self, mention.tone) + 1},
        )

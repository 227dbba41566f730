"""The source of socials: mentions, reviews, referrals and survey answers."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable

from pipeline import topics
from pipeline.engine.shell import AgentFunction
from pipeline.engine.transport import FetchedRun

SOURCE = topics.SOCIALS


def socials(take: Callable[[FetchedRun], None]) -> AgentFunction:
    """The agent: every fetched run goes to its partition's door (`ingest`)."""

    async def agent(runs: AsyncIterator[FetchedRun]) -> None:
        async for run in runs:
            take(run)

    return agent

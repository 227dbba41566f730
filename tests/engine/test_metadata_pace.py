"""A consumer that finds no leader asks who it is again and again, and does nothing else: not as fast as it can."""

from __future__ import annotations

import asyncio
import time

from aiokafka.client import AIOKafkaClient

from pipeline.engine.transport import _METADATA_REST_SECONDS, pace_metadata
from pipeline.local.kafka import KafkaServer

TIMES = 6


async def seconds_of_asking(bootstrap: str) -> float:
    """How long it takes to ask so often, one time after the other, as aiokafka's fetcher does."""
    client = AIOKafkaClient(bootstrap_servers=bootstrap)
    pace_metadata(client)
    await client.bootstrap()
    try:
        await client.force_metadata_update()
        begun_at = time.monotonic()
        answers = [await client.force_metadata_update() for _ in range(TIMES)]
        assert all(answers), "each was answered"
        return time.monotonic() - begun_at
    finally:
        await client.close()


def test_metadata_is_asked_for_with_a_rest_between(kafka: KafkaServer) -> None:
    assert asyncio.run(seconds_of_asking(kafka.bootstrap_servers)) >= (TIMES - 1) * _METADATA_REST_SECONDS

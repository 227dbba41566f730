"""A shop's topics on the session's Kafka."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from pipeline.local.kafka import KafkaServer
from tests.pipeline.shop import Shop


@pytest.fixture
def shop(kafka: KafkaServer, tmp_path: Path) -> Iterator[Shop]:
    """Topics of its own, no process."""
    shop = Shop(kafka.bootstrap_servers, "redis://127.0.0.1:1/0", tmp_path)
    try:
        shop.create()
        yield shop
    finally:
        shop.stop()

"""Shops on the session's Kafka and Valkey, gone with their processes after the test or the module."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from pipeline.local.kafka import KafkaServer
from pipeline.local.valkey import ValkeyServer
from tests.pipeline.shop import Shop


@contextmanager
def opened(kafka: KafkaServer, valkey: ValkeyServer, folder: Path, **extra: str) -> Iterator[Shop]:
    """A shop with topics of its own and no process yet; `extra` is in the environment of all of them."""
    shop = Shop(kafka.bootstrap_servers, valkey.url, folder, extra)
    try:
        shop.create()
        yield shop
    finally:
        shop.stop()


@pytest.fixture
def shop(kafka: KafkaServer, valkey: ValkeyServer, tmp_path: Path) -> Iterator[Shop]:
    """Topics of its own, no process yet."""
    with opened(kafka, valkey, tmp_path) as shop:
        yield shop


@pytest.fixture(scope="module")
def running(kafka: KafkaServer, valkey: ValkeyServer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shop]:
    """One worker that a module's tests share; each has customers of its own. Its fuses never blow."""
    folder = tmp_path_factory.mktemp("running")
    with opened(kafka, valkey, folder, WAFA_WORKER_FUSE_REFUSED_FRACTION="1") as shop:
        shop.start()
        yield shop

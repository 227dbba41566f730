"""Settings of one test: the session's broker, names of its own."""

from __future__ import annotations

import pytest

from pipeline.local.kafka import KafkaServer
from pipeline.settings import Settings, load


@pytest.fixture
def settings(kafka: KafkaServer, request: pytest.FixtureRequest) -> Settings:
    """The session's broker, under a prefix and a group that only this test uses."""
    name = request.node.name.replace("_", "-").replace("[", "-").replace("]", "").lower()[-60:]
    return load(
        kafka_bootstrap_servers=kafka.bootstrap_servers, topics_prefix=f"{name}.", worker_app_id=name.lstrip("-")
    )

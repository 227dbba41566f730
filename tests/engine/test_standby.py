"""A standby follows its changelog without a hole, however often what is followed changes hands."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from confluent_kafka import Producer
from confluent_kafka.admin import AdminClient, NewTopic

from pipeline.engine.changelog import POSITION_KEY, Position, encode_position, frame
from pipeline.engine.copies import Copies, Log
from pipeline.engine.processor import ChangelogPlace
from pipeline.engine.standby import Standbys
from pipeline.local.kafka import KafkaServer

LOG = Log("the topic's id", low=0, end=1 << 40)


def wait(condition: Callable[[], bool], what: str) -> None:
    """Until `condition` holds."""
    deadline = time.monotonic() + 30
    while not condition():
        assert time.monotonic() < deadline, f"{what}: not in 30 s"
        time.sleep(0.002)


class Changelog:
    """One partition of a changelog, written a transaction at a time, as its owner would."""

    def __init__(self, bootstrap: str, topic: str) -> None:
        admin = AdminClient({"bootstrap.servers": bootstrap})
        admin.create_topics([NewTopic(topic, 1, 1)])[topic].result(30)
        self.place = ChangelogPlace(topic, 0)
        self.written = 0
        self._producer = Producer({"bootstrap.servers": bootstrap, "transactional.id": topic, "log_level": 0})
        self._producer.init_transactions(30)

    def write(self, transactions: int) -> None:
        """In each one key more and the position."""
        for sequence in range(self.written + 1, self.written + transactions + 1):
            self._producer.begin_transaction()
            position = encode_position(Position(sequence, sequence, sequence))
            self._producer.produce(self.place.topic, frame(b"%d" % sequence, sequence), b"key %d" % sequence, 0)
            self._producer.produce(self.place.topic, position, POSITION_KEY, 0)
            self._producer.commit_transaction(30)
        self.written += transactions

    @property
    def end(self) -> int:
        """Behind the last position: entry, position and the commit's own record for each transaction."""
        return 3 * self.written - 1

    @property
    def entries(self) -> dict[bytes, bytes]:
        """What a reader of all of it has."""
        return {b"key %d" % number: b"%d" % number for number in range(1, self.written + 1)}


@pytest.fixture
def changelog(kafka: KafkaServer, tmp_path: Path) -> Changelog:
    """An empty one on the session's broker."""
    return Changelog(kafka.bootstrap_servers, f"standby-{os.getpid()}-{tmp_path.name}")


@pytest.fixture(params=["memory", "disk"])
def standbys(kafka: KafkaServer, tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[Standbys]:
    """A worker's, with nothing followed yet."""
    copies = Copies(kind=request.param, folder=tmp_path, cache_bytes=1 << 22, has_standbys=True)
    standbys = Standbys(copies, {"bootstrap.servers": kafka.bootstrap_servers}, lambda place: LOG)
    yield standbys
    standbys.stop()


def test_a_partition_taken_over_and_lost_again_at_once_is_followed_without_a_hole(
    standbys: Standbys, changelog: Changelog
) -> None:
    """The former reading's consumer is ahead of the new reading: what lies between was lost to the standby."""
    place = changelog.place
    changelog.write(20)
    standbys.follow([place])
    for _ in range(3):
        wait(lambda: standbys.status().get(place, 0) >= changelog.end, "all is read")
        reading = standbys.take(place, LOG)
        assert reading is not None
        assert dict(reading.state.items()) == changelog.entries
        changelog.write(20)
        reading.state.close()
        standbys.follow([place])
        changelog.write(1)

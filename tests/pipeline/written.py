"""A customers' log and a changelog written by hand, as workers might have left them: no worker runs.

What the changelog should hold is computed by `tests.driver`, the naive core.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from confluent_kafka import Producer

from pipeline import topics
from pipeline.core.codec import pack
from pipeline.core.controls import to_entries
from pipeline.engine.changelog import POSITION_KEY, Position, encode_position, frame
from pipeline.schemas import logged
from tests.driver import Driver
from tests.pipeline.shop import Shop

Entry = tuple[bytes, logged.Logged]


def customers_of(partition: int, count: int, partitions: int = topics.CUSTOMER_EVENTS.partitions) -> list[str]:
    """So many ids that lie in this partition."""
    found: list[str] = []
    number = 0
    while len(found) < count:
        if topics.partition_of(f"customer-{number}".encode(), partitions) == partition:
            found.append(f"customer-{number}")
        number += 1
    return found


def write_log(shop: Shop, partition: int, entries: Iterable[Entry]) -> None:
    """Append to the customers' log; the first of an empty partition has offset 0, and so on."""
    producer = Producer({"bootstrap.servers": shop.bootstrap, "enable.idempotence": True, "linger.ms": 5})
    for key, event in entries:
        producer.produce(shop.settings.topic(topics.CUSTOMER_EVENTS.name), logged.encode(event), key, partition)
        producer.poll(0)
    assert producer.flush(30) == 0


def write_state(
    shop: Shop, partition: int, entries: Mapping[bytes, bytes | None], *, position: int | None, sequence: int = 1,
    flushed: int = 1,
) -> None:  # fmt: skip
    """Append to the changelog: entries (None: a tombstone), then the position."""
    producer = Producer({"bootstrap.servers": shop.bootstrap, "enable.idempotence": True, "linger.ms": 5})
    name = shop.settings.topic(topics.CUSTOMER_STATE.name)
    for key, value in entries.items():
        producer.produce(name, None if value is None else frame(value, sequence), key, partition)
        producer.poll(0)
    if position is not None:
        producer.produce(name, encode_position(Position(position, sequence, flushed)), POSITION_KEY, partition)
    assert producer.flush(30) == 0


def lived(entries: Sequence[Entry]) -> Driver:
    """One partition's customers after these."""
    driver = Driver()
    for key, event in entries:
        if key == logged.CONTROL_KEY:
            driver.control(event)
        else:
            driver.feed(event, key.decode())
    return driver


def state_of(driver: Driver) -> dict[bytes, bytes]:
    """What a changelog holds of them."""
    controls = {logged.CONTROL_KEY + b"/" + name.encode(): value for name, value in to_entries(driver.controls).items()}
    return {who.encode(): pack(profile) for who, profile in driver.profiles.items()} | controls

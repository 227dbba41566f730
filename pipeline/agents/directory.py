"""Who is who, on this worker: every alias's keyed hash and the customer it belongs to.

A reader of `crm.identities.v1` in a thread of its own; the worker starts no task before it has read to the end. It only
ever learns more: a link, once made, does not move.
"""

from __future__ import annotations

import threading
from collections.abc import Mapping

import structlog
from confluent_kafka import OFFSET_BEGINNING, Consumer, KafkaError, TopicPartition

from pipeline.core.identity import Named
from pipeline.engine.changelog import payload_of
from pipeline.topics import LINK_PREFIX

log = structlog.get_logger("wafa.directory")

_READ_RECORDS = 5_000
_READ_SECONDS = 0.2
_REGULARS_MAX = 500_000


class Directory:
    """Customer ids by alias hash. Memory: some 200 bytes an alias."""

    def __init__(self, client: Mapping[str, object], topic: str) -> None:
        self._links: dict[str, str] = {}
        self._regulars: dict[Named, str] = {}
        self._client = client
        self._topic = topic
        self._ready = threading.Event()
        self._stopping = threading.Event()
        self._failure: str | None = None
        self._thread = threading.Thread(target=self._read, name="wafa-directory", daemon=True)

    def start(self) -> None:
        """Begin reading."""
        self._thread.start()

    def wait_until_read(self, timeout_seconds: float) -> bool:
        """Wait until every link there was at the start is known."""
        return self._ready.wait(timeout_seconds)

    def stop(self) -> None:
        """Stop reading."""
        self._stopping.set()
        if self._thread.is_alive():
            self._thread.join(timeout=5)

    def customer_of(self, alias: str) -> str | None:
        """The customer an alias (its keyed hash) belongs to, as far as known here."""
        return self._links.get(alias)

    def regular(self, named: Named) -> str | None:
        """The customer whom an event named so before; None does not mean unknown. Spares naming and hashing aliases."""
        return self._regulars.get(named)

    def remember(self, named: Named, customer_id: str) -> None:
        """Take note that all these aliases are linked to a customer: links do not move, so it stays right.

        When there are too many all are forgotten.
        """
        if len(self._regulars) >= _REGULARS_MAX:
            self._regulars.clear()
        self._regulars[named] = customer_id

    def __len__(self) -> int:
        return len(self._links)

    def _read(self) -> None:
        consumer = Consumer(
            {
                **self._client,
                "group.id": "wafa-reader-directory",  # required by the client, never joined
                "enable.auto.commit": False,
                "enable.partition.eof": True,
                "isolation.level": "read_committed",
                "fetch.wait.max.ms": 50,
            }
        )
        try:
            partitions = consumer.list_topics(self._topic, timeout=30).topics[self._topic].partitions
            consumer.assign([TopicPartition(self._topic, number, OFFSET_BEGINNING) for number in partitions])
            unread = set(partitions)
            while not self._stopping.is_set():
                for message in consumer.consume(_READ_RECORDS, _READ_SECONDS):
                    error = message.error()
                    if error is None:
                        self._learn(message.key(), message.value())
                    elif error.code() == KafkaError._PARTITION_EOF:
                        unread.discard(message.partition())
                        if not unread:
                            self._ready.set()
                    else:
                        log.info("directory_read", error=str(error))  # transient: the client goes on by itself
        finally:
            consumer.close()

    def _learn(self, key: bytes | None, value: bytes | None) -> None:
        if key is None or not key.startswith(LINK_PREFIX):
            return
        alias = key[len(LINK_PREFIX) :].decode()
        if value is None:
            self._links.pop(alias, None)
        else:
            self._links[alias] = payload_of(value).decode()

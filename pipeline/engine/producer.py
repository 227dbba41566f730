"""One task's transactional producer: initialise (which fences the former owner), then one transaction a batch.

Blocking calls are named so and are made in threads. A producer that failed once is never used again.
"""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Callable, Mapping

from confluent_kafka import KafkaError, KafkaException, Message, Producer

from pipeline import metrics
from pipeline.engine.processor import Outbox
from pipeline.fatal import FatalRaised

_INIT_SECONDS = 30.0
_COMMIT_SECONDS = 30.0
_REASON_SECONDS = 0.5
_QUEUE_RECORDS = 500_000


class Fenced(Exception):
    """Another worker initialised this task's producer after us: it owns the task now."""


class Uncertain(Exception):
    """The transaction failed, or nobody knows whether it did: state and producer must be made anew."""


_FENCED_CODES = frozenset((KafkaError._FENCED, KafkaError.INVALID_PRODUCER_EPOCH, KafkaError.PRODUCER_FENCED))


_FATAL = KafkaError._FATAL
_MISSING = {
    KafkaError.TRANSACTIONAL_ID_AUTHORIZATION_FAILED: "WRITE on this TransactionalId is missing",
    KafkaError.TOPIC_AUTHORIZATION_FAILED: "WRITE on a Topic is missing: the client's own line before this names it",
}
"""What it takes to mend a refusal, which no retry does."""


def _failure(kafka_error: KafkaError, doing: str) -> Exception:
    missing = _MISSING.get(kafka_error.code())
    kind = Fenced if kafka_error.code() in _FENCED_CODES else Uncertain
    metrics.PRODUCER_ERRORS.labels(fatal="true" if kafka_error.fatal() else "false").inc()
    return kind(f"{doing}: {f'{missing}: ' if missing else ''}{kafka_error.name()}: {kafka_error.str()}")


def transactional_id(app_id: str, processor: str, topic: str, partition: int) -> str:
    """A task's, the same on every worker: whoever initialises it last owns the task."""
    return f"{app_id}-{processor}-{topic}-{partition}"


class TransactionalProducer:
    """The transactions of one task. `transactional_id` is the same on every worker, so that the last one wins."""

    def __init__(
        self, client: Mapping[str, object], transactional_id: str, *, transaction_timeout_seconds: float
    ) -> None:
        self.transactional_id = transactional_id
        self.position_offset = 0
        """Where the position of the last committed transaction lies in its changelog."""
        self._producer = Producer(
            {
                **client,
                "transactional.id": transactional_id,
                "transaction.timeout.ms": int(transaction_timeout_seconds * 1000),
                "delivery.timeout.ms": int(transaction_timeout_seconds * 1000),
                "partitioner": "murmur2_random",
                "linger.ms": 5,
                "compression.type": "lz4",
                "batch.size": 512 * 1024,
                "message.max.bytes": 3 * 1024 * 1024,
                "queue.buffering.max.messages": _QUEUE_RECORDS,
                "queue.buffering.max.kbytes": 512 * 1024,
            }
        )

    def initialise_blocking(self) -> None:
        """Fence whoever had this id, and end the transaction they had open."""
        try:
            self._producer.init_transactions(_INIT_SECONDS)
        except KafkaException as error:
            raise self._failed(error, f"init_transactions {self.transactional_id}") from error
        self._begin()

    def _begin(self) -> None:
        """Open the next transaction. Local: the broker hears of it with its first record."""
        try:
            self._producer.begin_transaction()
        except KafkaException as error:
            raise self._failed(error, f"begin_transaction {self.transactional_id}") from error

    def send(self, outbox: Outbox) -> None:
        """Queue everything the batch has to say. Raises Uncertain when the queue stays full.

        One call a record: `produce_batch` is no faster and ignores a message's partition (confluent-kafka 2.16.1).
        """
        produce = self._producer.produce
        try:
            for topic, value, key, partition, headers in outbox.messages:
                while True:
                    try:
                        if headers:
                            produce(topic, value, key, partition, headers=list(headers))
                        else:
                            produce(topic, value, key, partition)
                        break
                    except BufferError:
                        self._make_room()
        except KafkaException as error:
            raise self._failed(error, f"produce {self.transactional_id}") from error
        self._poll(0)

    def send_position(self, topic: str, key: bytes, value: bytes, partition: int) -> None:
        """Queue the transaction's position, the last of its records, and learn where it lies."""
        while True:
            try:
                self._producer.produce(topic, value, key, partition, on_delivery=self._position_delivered)
                return
            except BufferError:
                self._make_room()
            except KafkaException as error:
                raise self._failed(error, f"produce {self.transactional_id}") from error

    def _position_delivered(self, error: KafkaError | None, message: Message) -> None:
        if error is None:
            self.position_offset = message.offset() or 0

    def _failed(self, error: KafkaException, doing: str) -> Exception:
        """What it means that a call failed. After a fatal error calls say only that there was one: ask for it."""
        kafka_error, deadline = error.args[0], time.monotonic() + _REASON_SECONDS
        try:
            while kafka_error.code() == _FATAL and time.monotonic() < deadline:
                with FatalRaised():
                    self._producer.poll(_REASON_SECONDS / 10)
        except KafkaException as reason:
            kafka_error = reason.args[0]
        return _failure(kafka_error, doing)

    def _poll(self, seconds: float) -> None:
        try:
            with FatalRaised():
                self._producer.poll(seconds)
        except KafkaException as error:
            raise self._failed(error, f"produce {self.transactional_id}") from error

    def _make_room(self) -> None:
        deadline = time.monotonic() + _COMMIT_SECONDS
        before = len(self._producer)
        while len(self._producer) >= before:
            self._poll(0.1)
            if time.monotonic() > deadline:
                raise Uncertain(f"produce {self.transactional_id}: the queue stayed full for {_COMMIT_SECONDS:.0f} s")

    def commit_blocking(self, at: Callable[[str], None] = lambda step: None) -> None:
        """Commit, and begin the next. Raises Fenced, or Uncertain for all else: never try again on this producer."""
        try:
            with FatalRaised():
                self._producer.flush(_COMMIT_SECONDS)  # the commit would do it first
                at("flushed")
                self._producer.commit_transaction(_COMMIT_SECONDS)
        except KafkaException as error:
            raise self._failed(error, f"commit_transaction {self.transactional_id}") from error
        self._begin()

    def abandon(self) -> None:
        """Throw the producer away with whatever it holds; the next initialisation of its id aborts what is open.

        Closing may block for as long as the broker is away, and nothing waits for it: it has a thread of its own.
        """
        threading.Thread(target=self._close_blocking, name=f"wafa-abandon-{self.transactional_id}", daemon=True).start()

    def _close_blocking(self) -> None:
        with contextlib.suppress(KafkaException), FatalRaised():
            self._producer.purge()
            self._producer.close()

"""The error that ends a Kafka client, told as an exception that can be caught."""

from __future__ import annotations

from types import TracebackType

from confluent_kafka import KafkaError, KafkaException


class FatalRaised:
    """Raises a client's fatal error as KafkaException. Around what polls a producer with delivery callbacks.

    confluent-kafka 2.16.1 calls delivery callbacks while it raises such an error. What then comes out is a SystemError
    or a bare KafkaError, which is no exception to Python: no `except` with a class stops it, a thread of a pool dies of
    it, and who waits for that thread waits for ever.
    """

    def __enter__(self) -> None:
        pass

    def __exit__(self, _kind: object, error: object, _traceback: TracebackType | None) -> None:
        if isinstance(error, SystemError) and isinstance(error.__cause__, KafkaException):
            raise error.__cause__ from None
        if isinstance(error, KafkaError):
            raise KafkaException(error) from None

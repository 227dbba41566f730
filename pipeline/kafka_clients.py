"""The one place where settings become a Kafka client's configuration: servers, security, and who hears of its troubles.

librdkafka tells nobody why it cannot connect: a wrong password shows as a transport failure, and in a callback. So
every client made here reports to `COMPLAINTS`, which counts, logs now and then, and names the cause to probes.
"""

from __future__ import annotations

import logging
import ssl
import threading
import time
from typing import Final

import structlog
from confluent_kafka import Consumer, KafkaError, KafkaException, TopicPartition

from pipeline import metrics
from pipeline.settings import Settings

log = structlog.get_logger("wafa.kafka")

_LOG_EVERY_SECONDS: Final = 10.0
_AUTHENTICATION: Final = frozenset(
    (
        "_AUTHENTICATION", "SASL_AUTHENTICATION_FAILED", "TOPIC_AUTHORIZATION_FAILED", "GROUP_AUTHORIZATION_FAILED",
        "CLUSTER_AUTHORIZATION_FAILED", "TRANSACTIONAL_ID_AUTHORIZATION_FAILED",
    )
)  # fmt: skip
_UNREACHABLE: Final = frozenset(("_ALL_BROKERS_DOWN", "_TRANSPORT", "_RESOLVE", "_SSL", "_TIMED_OUT"))


class Complaints:
    """What this process's Kafka clients complained of last. Safe from any thread."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._latest: dict[str, tuple[float, str]] = {}
        self._logged_at: dict[str, float] = {}

    def add(self, kind: str, servers: str, detail: str) -> None:
        """Take a complaint of kind authentication, unreachable or other."""
        now = time.monotonic()
        what = {
            "authentication": f"Kafka at {servers} refuses us (user, password, certificate or rights): {detail}",
            "unreachable": f"Kafka at {servers} cannot be reached: {detail}",
        }.get(kind, f"Kafka at {servers}: {detail}")
        with self._lock:
            self._latest[kind] = (now, what)
            is_due = now - self._logged_at.get(kind, -_LOG_EVERY_SECONDS) >= _LOG_EVERY_SECONDS
            if is_due:
                self._logged_at[kind] = now
        metrics.KAFKA_ERRORS.labels(kind=kind).inc()
        if is_due:
            log.warning("kafka_trouble", kind=kind, problem=what)

    def latest(self, within_seconds: float = 30.0) -> str | None:
        """The gravest complaint of the last seconds (being refused before being unreachable), or None."""
        oldest = time.monotonic() - within_seconds
        with self._lock:
            for kind in ("authentication", "unreachable", "other"):
                at, what = self._latest.get(kind, (0.0, ""))
                if what and at >= oldest:
                    return what
        return None


COMPLAINTS: Final = Complaints()
"""Of every client in this process."""


def _kind(error: KafkaError) -> str:
    text = error.str().lower()
    if error.name() in _AUTHENTICATION or "authentication" in text or "certificate" in text:
        return "authentication"
    return "unreachable" if error.name() in _UNREACHABLE else "other"


_MISSING: Final = {
    "TOPIC_AUTHORIZATION_FAILED": "a right on a Topic is missing",
    "GROUP_AUTHORIZATION_FAILED": "a right on a Group is missing",
    "TRANSACTIONAL_ID_AUTHORIZATION_FAILED": "WRITE on a TransactionalId is missing",
    "CLUSTER_AUTHORIZATION_FAILED": "WRITE is missing on every Topic",  # what Kafka then calls a right on the cluster
}


class RightMissing(Exception):
    """Kafka knows us, and does not let us; the message names the right."""


def told(error: KafkaError) -> str:
    """What a client says, and which kind of right is missing, if that is it."""
    missing = _MISSING.get(error.name())
    return f"{error.name()}: {error.str()}" + (f": {missing}" if missing else "")


def reading_failed(error: KafkaError, *, topic: str, group: str) -> Exception:
    """What to raise where a reader hears of an error."""
    missing = {
        "TOPIC_AUTHORIZATION_FAILED": f"READ on Topic {topic}",
        "GROUP_AUTHORIZATION_FAILED": f"DESCRIBE on Group {group}",
    }.get(error.name())
    return KafkaException(error) if missing is None else RightMissing(f"{missing} is missing ({error.name()})")


def librdkafka_config(settings: Settings, *, client_id: str = "wafa") -> dict[str, object]:
    """What every confluent_kafka client of Wafa begins with; callers add what they are for.

    Its errors go to `COMPLAINTS` whenever the client is polled, its own log lines to the logger `librdkafka`.
    """
    servers = settings.kafka_bootstrap_servers

    def on_error(error: KafkaError) -> None:
        COMPLAINTS.add(_kind(error), servers, f"{error.name()}: {error.str()}")

    config: dict[str, object] = {
        "bootstrap.servers": servers,
        "client.id": client_id,
        "security.protocol": settings.kafka_security_protocol,
        "reconnect.backoff.ms": 100,
        "reconnect.backoff.max.ms": 2000,
        "socket.keepalive.enable": True,
        "error_cb": on_error,
        "logger": logging.getLogger("librdkafka"),
        "log_level": 4,
    }
    if settings.kafka_security_protocol.startswith("SASL"):
        config["sasl.mechanism"] = settings.kafka_sasl_mechanism
        config["sasl.username"] = settings.kafka_sasl_username
        config["sasl.password"] = _secret(settings)
    files = {
        "ssl.ca.location": settings.kafka_ssl_ca_file,
        "ssl.certificate.location": settings.kafka_ssl_cert_file,
        "ssl.key.location": settings.kafka_ssl_key_file,
    }
    return config | {name: str(path) for name, path in files.items() if path is not None}


_NOT_KNOWN_YET: Final = frozenset(("_UNKNOWN_PARTITION", "NOT_LEADER_FOR_PARTITION", "LEADER_NOT_AVAILABLE"))
_KNOWN_SECONDS: Final = 10.0
_ASKED_AGAIN_SECONDS: Final = 0.1


def bounds(consumer: Consumer, place: TopicPartition, *, timeout_seconds: float) -> tuple[int, int]:
    """Where a partition begins and ends now, as the consumer's isolation sees it. Raises KafkaException.

    A client just made does not know yet who leads the partition, and a leader may have changed: asked again for 10 s.
    """
    deadline = time.monotonic() + _KNOWN_SECONDS
    while True:
        try:
            low, end = consumer.get_watermark_offsets(place, timeout=timeout_seconds, cached=False)
        except KafkaException as error:
            if error.args[0].name() not in _NOT_KNOWN_YET or time.monotonic() > deadline:
                raise
            time.sleep(_ASKED_AGAIN_SECONDS)
            consumer.list_topics(place.topic, timeout=timeout_seconds)  # else it asks for leaders every five minutes
        else:
            return low, end


def refusal(settings: Settings, *, within_seconds: float) -> str | None:
    """What the broker has against who we say we are; None where it says nothing of the kind in that time. Blocking."""
    heard: list[KafkaError] = []
    asked = Consumer(
        {**librdkafka_config(settings), "group.id": "wafa-reader-refusal", "error_cb": heard.append}  # never joined
    )
    deadline = time.monotonic() + within_seconds
    try:
        while time.monotonic() < deadline:
            asked.poll(0.1)
            for error in heard:
                if _kind(error) == "authentication":
                    return told(error)
    finally:
        asked.close()
    return None


def kafka_python_config(settings: Settings, *, client_id: str = "wafa") -> dict[str, object]:
    """The same for kafka-python's clients; only `admin` makes any."""
    config: dict[str, object] = {
        "bootstrap_servers": [server.strip() for server in settings.kafka_bootstrap_servers.split(",")],
        "client_id": client_id,
        "security_protocol": settings.kafka_security_protocol,
    }
    if settings.kafka_security_protocol.startswith("SASL"):
        config["sasl_mechanism"] = settings.kafka_sasl_mechanism
        config["sasl_plain_username"] = settings.kafka_sasl_username
        config["sasl_plain_password"] = _secret(settings)
    files = {
        "ssl_cafile": settings.kafka_ssl_ca_file,
        "ssl_certfile": settings.kafka_ssl_cert_file,
        "ssl_keyfile": settings.kafka_ssl_key_file,
    }
    return config | {name: str(path) for name, path in files.items() if path is not None}


def tls_context(settings: Settings) -> ssl.SSLContext | None:
    """The same for Faust, None without TLS. Faust with SASL and no context talks plaintext, silently: pass this."""
    if not settings.kafka_security_protocol.endswith("SSL"):
        return None
    context = ssl.create_default_context(cafile=settings.kafka_ssl_ca_file)
    if settings.kafka_ssl_cert_file is not None:
        context.load_cert_chain(settings.kafka_ssl_cert_file, settings.kafka_ssl_key_file)
    return context


def _secret(settings: Settings) -> str:
    password = settings.kafka_sasl_password
    return "" if password is None else password.get_secret_value()

"""A Kafka that asks who we are: every client gets in with the right password, and a wrong one is named as such."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from confluent_kafka import Consumer

from pipeline import metrics, topics
from pipeline.admin import Admin, BrokerUnreachable
from pipeline.kafka_clients import Complaints, librdkafka_config, refusal, tls_context
from pipeline.local.kafka import run_kafka
from pipeline.local.process import free_port
from pipeline.settings import Settings, load
from tests.guarded import listeners, sasl_address


@pytest.fixture(scope="module")
def guarded(tmp_path_factory: pytest.TempPathFactory, jar_cache: Path) -> Iterator[str]:
    """The address of a broker that lets in `wafa` with the password `right`."""
    login = 'org.apache.kafka.common.security.plain.PlainLoginModule required user_wafa="right";'
    plain = free_port()
    settings = listeners(plain, "PLAIN", login)
    with run_kafka(tmp_path_factory.mktemp("guarded"), cache=jar_cache, port=plain, settings=settings):
        yield sasl_address(settings)


def settings_for(address: str, password: str) -> Settings:
    return load(
        kafka_bootstrap_servers=address, kafka_security_protocol="SASL_PLAINTEXT", kafka_sasl_mechanism="PLAIN",
        kafka_sasl_username="wafa", kafka_sasl_password=password,
    )  # fmt: skip


def test_the_right_password_opens_the_broker_to_every_client(guarded: str) -> None:
    settings = settings_for(guarded, "right")
    with Admin(settings) as admin:
        assert admin.create_topics((topics.CONTROLS,))[0].outcome == "created"
    consumer = Consumer({**librdkafka_config(settings), "group.id": "g"})
    assert settings.topic(topics.CONTROLS.name) in consumer.list_topics(timeout=10).topics
    consumer.close()


def test_a_wrong_password_is_named_as_such_and_never_shown(guarded: str, monkeypatch: pytest.MonkeyPatch) -> None:
    settings = settings_for(guarded, "wrong-password")
    complaints = Complaints()
    monkeypatch.setattr("pipeline.kafka_clients.COMPLAINTS", complaints)
    refused = metrics.KAFKA_ERRORS.labels(kind="authentication")
    before = refused._value.get()
    with Admin(settings) as admin, pytest.raises(BrokerUnreachable, match=f"{guarded}: it refuses us") as raised:
        admin.end_offsets([topics.CONTROLS])
    consumer = Consumer({**librdkafka_config(settings), "group.id": "g"})
    deadline = time.monotonic() + 20
    while complaints.latest() is None:
        consumer.poll(0.1)
        assert time.monotonic() < deadline
    consumer.close()
    said = complaints.latest() or ""
    assert f"Kafka at {guarded} refuses us" in said
    assert "wrong-password" not in said + str(raised.value)
    assert refused._value.get() > before


def test_complaints_age_and_the_gravest_comes_first() -> None:
    complaints = Complaints()
    assert complaints.latest() is None
    complaints.add("unreachable", "a:1", "down")
    complaints.add("authentication", "a:1", "wrong password")
    assert "wrong password" in (complaints.latest() or "")
    assert complaints.latest(within_seconds=-1) is None


def test_files_and_mechanism_reach_librdkafka_under_its_names(tmp_path: Path) -> None:
    for name in ("ca", "cert", "key"):
        (tmp_path / name).touch()
    settings = load(
        kafka_security_protocol="SASL_SSL", kafka_sasl_username="u", kafka_sasl_password="p",
        kafka_ssl_ca_file=tmp_path / "ca", kafka_ssl_cert_file=tmp_path / "cert", kafka_ssl_key_file=tmp_path / "key",
    )  # fmt: skip
    config = librdkafka_config(settings)
    assert {name: config[name] for name in config if name.startswith(("sasl.", "ssl.", "security."))} == {
        "security.protocol": "SASL_SSL", "sasl.mechanism": "SCRAM-SHA-512", "sasl.username": "u", "sasl.password": "p",
        "ssl.ca.location": str(tmp_path / "ca"), "ssl.certificate.location": str(tmp_path / "cert"),
        "ssl.key.location": str(tmp_path / "key"),
    }  # fmt: skip


def test_there_is_a_tls_context_exactly_where_there_is_tls() -> None:
    assert tls_context(load()) is None
    context = tls_context(load(kafka_security_protocol="SSL"))
    assert context is not None
    assert context.check_hostname


def test_a_refusal_that_the_administration_client_did_not_hear_is_named_all_the_same(guarded: str) -> None:
    """It drops what comes together with the connection's end; the other client is asked then."""
    assert "AUTHENTICATION" in (refusal(settings_for(guarded, "wrong"), within_seconds=10) or "")
    assert refusal(settings_for(guarded, "right"), within_seconds=0.5) is None
    with (
        Admin(settings_for(guarded, "wrong"), timeout_seconds=0.01) as admin,
        pytest.raises(BrokerUnreachable) as raised,
    ):
        admin.end_offsets([topics.CONTROLS])
    assert "it refuses us" in str(raised.value)

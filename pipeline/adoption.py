"""A policy comes into force through the log: checked whole here, appended as `PolicyAdopted`, taken up everywhere."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Final

import tomli_w
from confluent_kafka import KafkaError, Message, Producer

from pipeline import topics
from pipeline.admin import Admin
from pipeline.core.policy import BadPolicy, Policy, default_text, from_logged, load_policy, policy_hash, to_dict
from pipeline.fatal import FatalRaised
from pipeline.inquiry import need_topics, scan
from pipeline.kafka_clients import librdkafka_config, told
from pipeline.schemas import logged
from pipeline.settings import Settings

_DELIVERY_SECONDS: Final = 30.0


class NotDelivered(Exception):
    """The broker did not take the control in time."""


def append_control(settings: Settings, control: logged.Control) -> None:
    """Append a control and wait until the broker has it. Raises NotDelivered."""
    append_controls(settings, [control])


def append_controls(settings: Settings, controls: Sequence[logged.Control]) -> None:
    """Append controls, in this order, and wait until the broker has them all. Raises NotDelivered."""
    producer = Producer(
        {
            **librdkafka_config(settings),
            "enable.idempotence": True,
            "delivery.timeout.ms": int(_DELIVERY_SECONDS * 1000),
        }
    )
    failures: list[str] = []

    def delivered(error: KafkaError | None, _message: Message) -> None:
        if error is not None:
            failures.append(told(error))

    for control in controls:
        producer.produce(
            settings.topic(topics.CONTROLS.name), logged.encode(control), type(control).__name__.encode(), 0,
            on_delivery=delivered,
        )  # fmt: skip
    with FatalRaised():
        left = producer.flush(_DELIVERY_SECONDS + 1)
    if left or failures:
        why = "; ".join(failures[:1]) or f"no answer within {_DELIVERY_SECONDS:.0f} s"
        kinds = ", ".join(sorted({type(control).__name__ for control in controls}))
        raise NotDelivered(f"{kinds} was not delivered to {settings.kafka_bootstrap_servers}: {why}")


def given_at(before: datetime | None) -> datetime:
    """The date of a control given now, later than that of the last of its kind, whose clock may have been ahead."""
    now = datetime.now(UTC).replace(microsecond=0)  # noqa: TID251 - a control's date is the moment somebody gave it
    return now if before is None or before < now else before + timedelta(seconds=1)


def adopt_policy(settings: Settings, text: str) -> str:
    """Check a policy file's text and put it into force; its hash. Raises BadPolicy with every problem."""
    policy = load_policy(text)
    need_topics(settings, topics.CONTROLS)
    _refuse_another_zone(settings, policy)
    digest = policy_hash(policy)
    before = _last_adopted(settings)
    adopted_at = given_at(None if before is None else before.adopted_at)
    append_control(settings, logged.PolicyAdopted(adopted_at=adopted_at, policy_hash=digest, policy=to_dict(policy)))
    return digest


def _refuse_another_zone(settings: Settings, policy: Policy) -> None:
    """A day is the calendar day in the shop's zone: what has been counted by day cannot be counted anew."""
    zone = load_policy(policy_in_force(settings)).shop.time_zone
    if policy.shop.time_zone == zone:
        return
    with Admin(settings) as admin:
        has_begun = any(admin.end_offsets(topics.SOURCES).values())
    if has_begun:
        raise BadPolicy(
            f"Policy that cannot work:\n  shop.time_zone: expected {zone}, under which the log has begun, got "
            f"{policy.shop.time_zone}"
        )


def policy_in_force(settings: Settings) -> str:
    """The last adopted policy as a file, else the defaults with their comments."""
    need_topics(settings, topics.CONTROLS)
    latest = _last_adopted(settings)
    if latest is None:
        return default_text()
    return f"# Adopted at {latest.adopted_at:%Y-%m-%d %H:%M:%S} UTC, hash {latest.policy_hash}.\n" + tomli_w.dumps(
        to_dict(from_logged(latest.policy))
    )


def _last_adopted(settings: Settings) -> logged.PolicyAdopted | None:
    """The adoption that counts: the latest by its date, and of two of one date the first."""
    latest: logged.PolicyAdopted | None = None
    for found in scan(settings, topics.CONTROLS):
        control = logged.decode(found.value or b"")
        if isinstance(control, logged.PolicyAdopted) and (latest is None or control.adopted_at > latest.adopted_at):
            latest = control
    return latest

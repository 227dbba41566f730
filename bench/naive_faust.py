"""Ordinary Faust doing what Wafa does to an event, as its manual teaches: an agent, a table, one event at a time.

The same parse, admission, identity and `step`; at least once, as Faust is. Run by `python -m bench`, as a process:
`python -m bench.naive_faust BOOTSTRAP PREFIX FOLDER`. It prints how many events it has stepped, and when.
"""

from __future__ import annotations

import sys
import time
from datetime import UTC, datetime
from typing import Any

import faust
import msgspec

from pipeline import topics
from pipeline.core import identity
from pipeline.core.codec import pack, unpack
from pipeline.core.controls import INITIAL, adopt
from pipeline.core.decisions import trigger
from pipeline.core.door import Admitted, Shop, admit
from pipeline.core.rates import Rates
from pipeline.core.step import step
from pipeline.schemas import logged
from pipeline.schemas.parse import parse_batch

TELL_EVERY = 500


class Record:
    """A Faust message as the parser wants it."""

    def __init__(self, message: Any) -> None:
        self.partition, self.offset = message.partition, message.offset
        self.timestamp = int(message.timestamp * 1000)
        self.key, self.value, self.headers = message.key, message.value, ()


def make_app(bootstrap: str, prefix: str, folder: str) -> faust.App:  # noqa: C901 - closures, as Faust's manual has it
    app = faust.App(
        f"{prefix}naive", broker=f"kafka://{bootstrap}", env={}, datadir=folder, web_enabled=False, store="memory://",
        topic_partitions=topics.CUSTOMER_EVENTS.partitions, consumer_auto_offset_reset="earliest",
        topic_disable_leader=True, value_serializer="raw", key_serializer="raw",
    )  # fmt: skip
    events = app.topic(f"{prefix}naive-events", key_serializer="raw", value_serializer="raw", partitions=8)
    triggers = app.topic(f"{prefix}naive-triggers", key_serializer="raw", value_serializer="raw", partitions=8)
    raw: faust.Schema[bytes, bytes] = faust.Schema(
        key_type=bytes, value_type=bytes, key_serializer="raw", value_serializer="raw"
    )
    profiles = app.Table("profiles", schema=raw)
    shop = Shop("EUR", Rates())
    controls = adopt(INITIAL, logged.Tick(as_of=datetime(2020, 1, 1, tzinfo=UTC)))
    ids: dict[str, bytes] = {}
    stepped = 0

    def source_agent(source: topics.Topic) -> None:
        async def ingest(stream: Any) -> None:
            async for event in stream.events():
                record = Record(event.message)
                for parsed in parse_batch([record], source.name)[0]:
                    received_at = datetime.fromtimestamp(record.timestamp / 1000, UTC)
                    admitted = admit(parsed.event, received_at=received_at, shop=shop)
                    aliases = identity.aliases(identity.named(parsed.event))
                    if isinstance(admitted, Admitted) and aliases:
                        alias = identity.alias_hash(*aliases[0], b"key")
                        key = ids.setdefault(alias, identity.mint(0, len(ids)).encode())
                        await events.send(key=key, value=logged.encode(admitted.logged))

        channel = app.topic(f"{prefix}{source.name}", key_serializer="raw", value_serializer="raw")
        app.agent(channel, name=source.name.replace(".", "-"))(ingest)

    for source in topics.SOURCES:
        source_agent(source)

    @app.agent(events, name="customers")
    async def customers(stream: Any) -> None:
        nonlocal stepped
        async for key, value in stream.items():
            packed = profiles.get(key)
            profile = unpack(packed) if packed is not None else None
            after = step(key.decode(), profile, logged.decode(value), controls)
            profiles[key] = pack(after.profile)
            for decision in after.decisions:
                if decision.outcome == "sent":
                    await triggers.send(key=key, value=msgspec.json.encode(trigger(decision)))
            stepped += 1
            if stepped % TELL_EVERY == 0:
                print(stepped, time.time(), flush=True)

    return app


if __name__ == "__main__":
    faust.Worker(
        make_app(*sys.argv[1:4]), loglevel="WARN", quiet=True, redirect_stdouts=False
    ).execute_from_commandline()

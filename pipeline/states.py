"""Every customer's state as Kafka holds it, a partition after the other: for who reckons over the whole shop."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

import msgspec

from pipeline import topics
from pipeline.core import controls as core_controls
from pipeline.core.codec import unpack
from pipeline.core.controls import Controls
from pipeline.core.profile import Profile
from pipeline.engine.changelog import POSITION_KEY, payload_of
from pipeline.inquiry import scan
from pipeline.schemas import logged
from pipeline.settings import Settings

_CONTROL_PREFIX: Final = logged.CONTROL_KEY + b"/"
_OURS: Final = b"__"


@dataclass(frozen=True, slots=True)
class Partition:
    """What a partition's changelog holds, customers packed."""

    number: int
    next_offset: int
    """How far in its log that is."""
    controls: Controls
    packed: dict[bytes, bytes]

    def customers(self) -> Iterator[tuple[bytes, Profile]]:
        """Each customer by key, unpacked one at a time."""
        for key, packed in self.packed.items():
            yield key, unpack(packed)


def partitions(settings: Settings) -> Iterator[Partition]:
    """Each partition as it stands when its turn comes; one is held at a time. Raises as reading Kafka does."""
    for number in range(settings.partitions(topics.CUSTOMER_STATE)):
        yield _read(settings, number)


def _read(settings: Settings, number: int) -> Partition:
    next_offset, packed, entries = 0, dict[bytes, bytes](), dict[str, bytes]()
    for record in scan(settings, topics.CUSTOMER_STATE, [number]):
        key = record.key or b""
        if key == POSITION_KEY:
            next_offset = json.loads(record.value or b"{}")["next_offset"]
        elif key.startswith(_CONTROL_PREFIX) and record.value is not None:
            entries[key[len(_CONTROL_PREFIX) :].decode()] = payload_of(record.value)
        elif not key.startswith(_OURS):
            if record.value is None:
                packed.pop(key, None)
            else:
                packed[key] = payload_of(record.value)
    return Partition(number, next_offset, core_controls.from_entries(entries), packed)


def lived(settings: Settings, partition: Partition) -> Iterator[tuple[bytes, logged.Logged]]:
    """The partition's log up to where its state stands: (key, event), controls under their own key.

    What the worker could not read either is left out.
    """
    for record in scan(settings, topics.CUSTOMER_EVENTS, [partition.number]):
        if record.offset >= partition.next_offset:
            break
        if record.value is None:
            continue
        try:
            event = logged.decode(record.value)
        except msgspec.MsgspecError:
            continue
        yield record.key or b"", event

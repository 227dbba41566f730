"""Which processor reads a topic, and where it keeps its position (and its state, if it has one)."""

from __future__ import annotations

from collections.abc import Callable
from types import MappingProxyType
from typing import Final

from pipeline import topics
from pipeline.engine.processor import ChangelogPlace
from pipeline.settings import Settings
from pipeline.topics import Topic

PROCESSORS: Final = MappingProxyType(
    {
        **dict.fromkeys((topic.name for topic in topics.SOURCES), "ingest"),
        topics.UNIDENTIFIED_EVENTS.name: "identify",
        topics.CONTROLS.name: "controls",
        topics.CUSTOMER_EVENTS.name: "customers",
        topics.MENTIONS.name: "reputation",
    }
)
"""The processor of each topic that is read, by the topic's name without prefix."""
_SHARED: Final = (*topics.SOURCES, topics.CONTROLS)
_OWN: Final = MappingProxyType(
    {
        topics.UNIDENTIFIED_EVENTS.name: topics.IDENTITIES,
        topics.CUSTOMER_EVENTS.name: topics.CUSTOMER_STATE,
        topics.MENTIONS.name: topics.REPUTATION,
    }
)
"""The changelogs of those that have one; the others keep their position (and what little they have) on one topic."""


def place_of(settings: Settings, topic: Topic) -> Callable[[int], ChangelogPlace]:
    """Where the tasks that read a topic keep their positions, by partition."""
    own = _OWN.get(topic.name)
    if own is not None:
        name = settings.topic(own.name)
        return lambda partition: ChangelogPlace(name, partition)
    first = sum(each.partitions for each in _SHARED[: _SHARED.index(topic)])
    shared = settings.topic(topics.POSITIONS.name)

    def place(partition: int) -> ChangelogPlace:
        prefix = f"{topic.name}/{partition}/".encode()
        return ChangelogPlace(shared, (first + partition) % topics.POSITIONS.partitions, prefix)

    return place

"""A task's table, as its processor sees it, and where a copy of it on this machine's disk stands.

What is read back is what was put, at once; on the log it appears with the batch's commit or not at all. On failure it
is dropped and made anew from the log, whatever else is kept of it.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Anchor:
    """A position record of the changelog by which everything before it was flushed: where to read on from.

    `sequence` is the transaction it ended. None: only where the log begins is known.
    """

    offset: int
    sequence: int | None = None


@dataclass(frozen=True, slots=True)
class Mark:
    """How far a copy on disk has come, in the same write with it: never ahead of the log."""

    topic_id: str
    """Kafka's own for the changelog: a topic made anew under the same name has another."""
    anchor: Anchor
    sequence: int
    """The last transaction that is in the copy."""
    written_at: float
    """Seconds since 1970."""


class State:
    """A task's table in memory: packed bytes by key, with the keys that the batch in hand has changed."""

    __slots__ = ("_entries", "changed")
    is_on_disk = False

    def __init__(self) -> None:
        self._entries: dict[bytes, bytes] = {}
        self.changed: dict[bytes, None] = {}

    def get(self, key: bytes) -> bytes | None:
        """The bytes under `key`, or None."""
        return self._entries.get(key)

    def put(self, key: bytes, value: bytes) -> None:
        """Keep `value` under `key`."""
        self._entries[key] = value
        self.changed[key] = None

    def delete(self, key: bytes) -> None:
        """Forget `key`: a tombstone in the changelog. An absent key is no change."""
        if self._entries.pop(key, None) is not None:
            self.changed[key] = None

    def items(self) -> Iterator[tuple[bytes, bytes]]:
        """Every entry, one at a time, in no order that means anything."""
        return iter(self._entries.items())

    def __contains__(self, key: bytes) -> bool:
        return self.get(key) is not None

    def __len__(self) -> int:
        """How many entries; on disk, about how many."""
        return len(self._entries)

    # -- what the engine calls ------------------------------------------------------------------------------------

    def restore(self, key: bytes, value: bytes | None) -> None:
        """Take over an entry read from the changelog; for recovery only."""
        if value is None:
            self._entries.pop(key, None)
        else:
            self._entries[key] = value

    def restore_many(self, entries: dict[bytes, bytes]) -> None:
        """Take over entries of a snapshot; for recovery only."""
        self._entries.update(entries)

    def copied(self) -> dict[bytes, bytes]:
        """All of it as it is now, the bytes themselves shared: a million take some 30 ms."""
        return self._entries.copy()

    def keep(self, mark: Mark) -> None:
        """What has changed is on the log now. On disk: write it, with how far that is. May block."""
        self.changed.clear()

    def close(self) -> None:
        """Let go of files; the state is of no use afterwards."""

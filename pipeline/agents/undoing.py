"""A task's table while one record is taken in: what the record changed can be undone, should it fail half way."""

from __future__ import annotations

from pipeline.engine.processor import State


class Attempt(State):
    """Writes to the table at once, and remembers what was there before."""

    __slots__ = ("_before", "_table")

    def __init__(self, table: State) -> None:
        super().__init__()
        self._table = table
        self._before: dict[bytes, bytes | None] = {}

    def begin(self) -> None:
        """What was done so far stays."""
        self._before.clear()

    def get(self, key: bytes) -> bytes | None:
        """As the table has it now."""
        return self._table.get(key)

    def put(self, key: bytes, value: bytes) -> None:
        """Into the table."""
        self._before.setdefault(key, self._table.get(key))
        self._table.put(key, value)

    def delete(self, key: bytes) -> None:
        """Out of the table."""
        self._before.setdefault(key, self._table.get(key))
        self._table.delete(key)

    def undo(self) -> list[bytes]:
        """Make the table what it was when the attempt began; the keys that were touched."""
        for key, value in self._before.items():
            if value is None:
                self._table.delete(key)
            else:
                self._table.put(key, value)
        return list(self._before)

"""A state on disk, for more customers than memory holds: RocksDB, one folder a task, written only after the commit.

The changes of the batch in hand are in memory; what is on disk is what the log had when `Mark` was written, in the same
write. RocksDB's own write-ahead log is off: what a crash loses, the changelog has. Needs the package `rocksdict`.
"""

from __future__ import annotations

import shutil
from collections import OrderedDict
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any, Final, NoReturn

import msgspec
import structlog

from pipeline.engine.state import Mark, State

log = structlog.get_logger("wafa.engine")

_ENTRY: Final = b"e"
_AFTER_ENTRIES: Final = b"f"
_MARK_KEY: Final = b"m"
_RESTORED_BYTES_MAX: Final = 4 * 1024 * 1024
"""Restored entries wait in memory up to here, then are written at once."""
_WRITE_BUFFER_BYTES: Final = 8 * 1024 * 1024
_WRITE_BUFFERS_MAX: Final = 3
_LOG_FILES_MAX: Final = 2
_OPEN_FILES_MAX: Final = 128
_BLOOM_BITS: Final = 10

_decode_mark: Final = msgspec.msgpack.Decoder(Mark).decode


class StoreFailed(Exception):
    """The store cannot be opened, read or written; the message names the folder and what the system said."""


class NotInstalled(Exception):
    """A store on disk was asked for, and the package for it is not there."""


@cache
def _rocksdict() -> Any:
    try:
        import rocksdict  # noqa: PLC0415 - an optional dependency, loaded where it is asked for
    except ImportError as error:
        raise NotInstalled(
            "WAFA_STORE_KIND=disk needs the package rocksdict, which is not installed: pip install 'wafa[disk]'"
        ) from error
    return rocksdict


def require_rocksdb() -> None:
    """Raises NotInstalled where a store on disk would fail later."""
    _rocksdict()


@cache
def _shared_cache(cache_bytes: int) -> Any:
    """One cache of blocks for every store of the process."""
    return _rocksdict().Cache(cache_bytes)


class DiskState(State):
    """A state whose entries are on disk, with the latest used beside it in memory, up to `cache_bytes`."""

    __slots__ = ("_batch", "_cache_bytes", "_db", "_folder", "_is_corrupt", "_recent", "_recent_bytes", "_uncommitted")
    is_on_disk = True

    def __init__(self, folder: Path, *, cache_bytes: int, block_cache_bytes: int) -> None:
        super().__init__()
        self._folder = folder
        self._cache_bytes = cache_bytes
        self._uncommitted: dict[bytes, bytes | None] = {}
        self._recent: OrderedDict[bytes, bytes] = OrderedDict()
        self._recent_bytes = 0
        self._is_corrupt = False
        self._batch = self._new_batch()
        folder.parent.mkdir(parents=True, exist_ok=True)
        try:
            self._db: Any = _rocksdict().Rdict(str(folder), _options(block_cache_bytes))
        except Exception as error:  # noqa: BLE001 - rocksdict raises nothing more particular
            self._db = None
            if "orruption" in str(error):
                self._is_corrupt = True
                self.close()
            self._raise(error)

    def mark(self) -> Mark | None:
        """How far the store stands; None: it is new, or was never whole."""
        raw = self._read(_MARK_KEY)
        try:
            return None if raw is None else _decode_mark(raw)
        except msgspec.MsgspecError as error:
            self._is_corrupt = True
            raise StoreFailed(f"{self._folder}: its mark cannot be read: {error}") from error

    def get(self, key: bytes) -> bytes | None:
        """The bytes under `key`, or None."""
        if key in self._uncommitted:
            return self._uncommitted[key]
        value = self._recent.get(key)
        if value is not None:
            self._recent.move_to_end(key)
        elif (value := self._read(_ENTRY + key)) is not None:
            self._remember(key, value)
        return value

    def put(self, key: bytes, value: bytes) -> None:
        """Keep `value` under `key`."""
        self._uncommitted[key] = value
        self.changed[key] = None

    def delete(self, key: bytes) -> None:
        """Forget `key`: a tombstone in the changelog. An absent key is no change."""
        if self.get(key) is not None:
            self._uncommitted[key] = None
            self.changed[key] = None

    def items(self) -> Iterator[tuple[bytes, bytes]]:
        """Every entry, one at a time, straight from the disk: nothing of it stays in memory."""
        self._write(None)
        options = _rocksdict().ReadOptions()
        options.fill_cache(False)  # noqa: FBT003 - RocksDB's signature: no block-based filter - rocksdict's own
        options.set_readahead_size(1 << 20)
        uncommitted = dict(self._uncommitted)
        skip = len(_ENTRY)
        try:
            for raw, value in self._db.items(from_key=_ENTRY, read_opt=options):
                if raw >= _AFTER_ENTRIES:
                    break
                if (key := raw[skip:]) not in uncommitted:
                    yield key, value
        except Exception as error:  # noqa: BLE001 - rocksdict raises nothing more particular
            self._raise(error)
        for key, changed in uncommitted.items():
            if changed is not None:
                yield key, changed

    def is_empty(self) -> bool:
        """Whether there is no entry at all."""
        return next(self.items(), None) is None

    def __len__(self) -> int:
        estimate: int | None = self._db.property_int_value("rocksdb.estimate-num-keys")
        return max(0, (estimate or 0) - 1)

    def restore(self, key: bytes, value: bytes | None) -> None:
        """Take over an entry read from the changelog; for recovery only. On disk by the next `keep`."""
        if value is None:
            self._batch.delete(_ENTRY + key)
        else:
            self._batch.put(_ENTRY + key, value)
        if self._batch.size_in_bytes() > _RESTORED_BYTES_MAX:
            self._write(None)

    def keep(self, mark: Mark) -> None:
        """Write what the log has now, and how far that is, at once or not at all."""
        batch = self._batch
        for key, value in self._uncommitted.items():
            if value is None:
                batch.delete(_ENTRY + key)
            else:
                batch.put(_ENTRY + key, value)
        self._write(mark)
        for key, value in self._uncommitted.items():
            if value is None:
                self._forget(key)
            else:
                self._remember(key, value)
        self._uncommitted.clear()
        self.changed.clear()

    def close(self) -> None:
        """Close the files, what was written flushed to them. A corrupt store is thrown away."""
        db, self._db = self._db, None
        if db is not None:
            try:
                db.close()
            except Exception as error:  # noqa: BLE001 - what is not flushed is in the log
                log.warning("store_not_flushed", folder=str(self._folder), error=str(error))
        if self._is_corrupt:
            shutil.rmtree(self._folder, ignore_errors=True)

    # -- the disk -------------------------------------------------------------------------------------------------

    def _read(self, key: bytes) -> bytes | None:
        try:
            value: bytes | None = self._db.get(key)
        except Exception as error:  # noqa: BLE001 - rocksdict raises nothing more particular
            self._raise(error)
        return value

    def _write(self, mark: Mark | None) -> None:
        batch = self._batch
        if mark is not None:
            batch.put(_MARK_KEY, msgspec.msgpack.encode(mark))
        if batch.is_empty():
            return
        self._batch = self._new_batch()
        options = _rocksdict().WriteOptions()
        options.disable_wal = True
        try:
            self._db.write(batch, options)
        except Exception as error:  # noqa: BLE001 - rocksdict raises nothing more particular
            self._raise(error)

    def _raise(self, error: Exception) -> NoReturn:
        said = str(error)
        self._is_corrupt = self._is_corrupt or "orruption" in said
        advice = (
            "it is thrown away and made anew from the log" if self._is_corrupt
            else "another worker has it: give each its own WAFA_STORE_DIR" if "lock" in said.lower()
            else "is the disk full, or not ours to write?"
        )  # fmt: skip
        raise StoreFailed(f"the store in {self._folder} failed ({said}): {advice}") from error

    @staticmethod
    def _new_batch() -> Any:
        return _rocksdict().WriteBatch(raw_mode=True)

    def _remember(self, key: bytes, value: bytes) -> None:
        self._forget(key)
        self._recent[key] = value
        self._recent_bytes += len(key) + len(value)
        while self._recent_bytes > self._cache_bytes:
            oldest, gone = self._recent.popitem(last=False)
            self._recent_bytes -= len(oldest) + len(gone)

    def _forget(self, key: bytes) -> None:
        value = self._recent.pop(key, None)
        if value is not None:
            self._recent_bytes -= len(key) + len(value)


def _options(block_cache_bytes: int) -> Any:
    rocksdict = _rocksdict()
    options = rocksdict.Options(raw_mode=True)
    options.create_if_missing(True)  # noqa: FBT003 - rocksdict's own, as below
    options.set_write_buffer_size(_WRITE_BUFFER_BYTES)
    options.set_max_write_buffer_number(_WRITE_BUFFERS_MAX)
    options.set_max_open_files(_OPEN_FILES_MAX)
    options.set_keep_log_file_num(_LOG_FILES_MAX)
    options.set_compression_type(rocksdict.DBCompressionType.lz4())
    blocks = rocksdict.BlockBasedOptions()
    blocks.set_block_cache(_shared_cache(block_cache_bytes))
    blocks.set_cache_index_and_filter_blocks(True)
    blocks.set_bloom_filter(_BLOOM_BITS, False)  # noqa: FBT003 - RocksDB's signature: no block-based filter
    options.set_block_based_table_factory(blocks)
    return options

"""A state as one file, written whole beside the work now and then, read whole at a start.

The file: a magic line; how far it stands; pieces, each with its length and checksum; the count at the end. It comes
under another name and is put in its place when whole. A bad one is as good as none: the log has it all.
"""

from __future__ import annotations

import os
import struct
import threading
import zlib
from collections.abc import Callable, Iterator
from itertools import islice
from pathlib import Path
from typing import BinaryIO, Final

import msgspec

from pipeline.engine.state import Mark, State

_MAGIC: Final = b"wafa snapshot 1\n"
_PIECE: Final = struct.Struct(">II")
_PIECE_ENTRIES: Final = 4_096
"""Some milliseconds of work each: between two of them others get their turn."""
_PIECE_BYTES_MAX: Final = 1 << 31

_encode: Final = msgspec.msgpack.Encoder().encode
_decode: Final = msgspec.msgpack.Decoder(dict[bytes, bytes]).decode
_decode_mark: Final = msgspec.msgpack.Decoder(Mark).decode
_decode_count: Final = msgspec.msgpack.Decoder(int).decode


class BadSnapshot(Exception):
    """The file is cut, changed, or of another make."""


def write_snapshot(
    path: Path, entries: dict[bytes, bytes], mark: Mark, *, should_stop: Callable[[], bool] = lambda: False
) -> bool:
    """Put `entries` in the place of what `path` held; False if stopped before. Raises OSError: `path` is unharmed.

    The kernel writes it to the disk when it likes: a machine that loses power may leave a bad file, which shows.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    arriving = path.with_name(f"{path.name}.{os.getpid()}-{threading.get_ident()}.arriving")
    try:
        with arriving.open("wb") as file:
            file.write(_MAGIC)
            _write_piece(file, _encode(mark))
            rest = iter(entries.items())
            while piece := dict(islice(rest, _PIECE_ENTRIES)):
                if should_stop():
                    return False
                _write_piece(file, _encode(piece))
            _write_piece(file, b"")
            _write_piece(file, _encode(len(entries)))
        arriving.replace(path)
    finally:
        arriving.unlink(missing_ok=True)
    return True


def _write_piece(file: BinaryIO, piece: bytes) -> None:
    file.write(_PIECE.pack(len(piece), zlib.crc32(piece)))
    file.write(piece)


def read_mark(path: Path) -> Mark:
    """How far the snapshot stands. Raises BadSnapshot, FileNotFoundError."""
    with path.open("rb") as file:
        return _read_mark(path, file)


def read_snapshot(path: Path, state: State) -> Mark:
    """Fill an empty state; how far it stands. Raises BadSnapshot (the state is of no use then), FileNotFoundError."""
    count = 0
    with path.open("rb") as file:
        mark = _read_mark(path, file)
        pieces = _pieces(path, file)
        while piece := next(pieces, b""):
            try:
                entries = _decode(piece)
            except msgspec.MsgspecError as error:
                raise BadSnapshot(f"{path}: {error}") from error
            count += len(entries)
            state.restore_many(entries)
        expected = next(pieces, b"")
        if not expected or _decode_count(expected) != count or file.read(1):
            raise BadSnapshot(f"{path}: expected its end after {count} entries, got another")
    return mark


def _read_mark(path: Path, file: BinaryIO) -> Mark:
    if file.read(len(_MAGIC)) != _MAGIC:
        raise BadSnapshot(f"{path}: expected {_MAGIC!r} in front, got something else")
    try:
        return _decode_mark(next(_pieces(path, file), b""))
    except msgspec.MsgspecError as error:
        raise BadSnapshot(f"{path}: {error}") from error


def _pieces(path: Path, file: BinaryIO) -> Iterator[bytes]:
    while head := file.read(_PIECE.size):
        length, checksum = _PIECE.unpack(head) if len(head) == _PIECE.size else (_PIECE_BYTES_MAX, 0)
        piece = file.read(length) if length < _PIECE_BYTES_MAX else b""
        if len(piece) != length or zlib.crc32(piece) != checksum:
            raise BadSnapshot(f"{path}: a piece of it is cut or changed")
        yield piece

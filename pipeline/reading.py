"""What a file to be published says: its lines as events ready to be sent, or what is wrong with each.

JSON lines go out as they came; a row of a customer list becomes the events it stands for. Each passes the door's own
checks here, before anything is sent. Whatever the file, memory is bounded: a line or a row too long is passed over.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from datetime import UTC, datetime
from typing import BinaryIO, Final, NamedTuple

from pipeline import topics
from pipeline.core import identity
from pipeline.core.door import Refusal, Shop, admit
from pipeline.schemas.customers_csv import BadColumns, read_customers
from pipeline.schemas.events import CostRecorded, InboundEvent
from pipeline.schemas.parse import parse_batch

CSV_SOURCE: Final = "customers-csv"
"""The `source` of events made of a CSV: always the same, so that a renamed file is still the same import."""
CSV_LINE_BYTES_MAX: Final = 100_000
CSV_ROW_LINES_MAX: Final = 100
CHUNK_BYTES: Final = 256 * 1024
_BOM: Final = b"\xef\xbb\xbf"


class Line(NamedTuple):
    """A line, in the form of a record that the door reads. Its offset is its number; a value of None was too long."""

    offset: int
    timestamp: int
    value: bytes | None
    partition: int = 0
    key: bytes | None = None
    headers: tuple[tuple[str, bytes], ...] = ()


class Ready(NamedTuple):
    """What one line comes to: events to send (topic, key, value), or what is wrong with it."""

    line: int
    events: tuple[tuple[str, bytes | None, bytes], ...]
    problem: str | None = None


def now() -> datetime:
    """The moment a line is read: what its arrival will be, near enough."""
    return datetime.now(UTC)  # noqa: TID251 - a line arrives when it is read


class LineReader:
    """The lines of a stream in runs, each run what was there to read. A line over `bytes_max` is passed over."""

    def __init__(self, source: BinaryIO, bytes_max: int) -> None:
        self.bytes_read = 0
        self.bytes_max = bytes_max
        self._source = source
        self._number = 0
        self._begun = bytearray()  # a line whose end has not come
        self._is_too_long = False

    def runs(self) -> Iterator[list[Line]]:
        """Every line but blank ones."""
        while chunk := self._chunk():
            *whole, begun = chunk.split(b"\n")
            lines = [self._line(end) for end in whole]
            self._take(begun)
            yield [line for line in lines if line.value is None or line.value.strip()]
        if self._begun or self._is_too_long:
            line = self._line(b"")
            if line.value is None or line.value.strip():
                yield [line]

    def _chunk(self) -> bytes:
        chunk: bytes = self._source.read1(CHUNK_BYTES)  # type: ignore[attr-defined]  # every buffered stream has it
        self.bytes_read += len(chunk)
        return chunk

    def _take(self, part: bytes) -> None:
        if not self._is_too_long:
            self._begun += part
            if len(self._begun) > self.bytes_max:
                self._is_too_long = True
                self._begun.clear()

    def _line(self, end: bytes) -> Line:
        self._take(end)
        value = None if self._is_too_long else bytes(self._begun)
        self._begun.clear()
        self._is_too_long = False
        self._number += 1
        if self._number == 1 and value is not None:
            value = value.removeprefix(_BOM)
        return Line(self._number, int(now().timestamp() * 1000), value)


# -- JSON lines --------------------------------------------------------------------------------------------------------


def events_of_lines(reader: LineReader, shop: Shop, topic: str | None) -> Iterator[Ready]:
    """Every line as the event it is; its bytes go out as they came, without the space around them."""
    for run in reader.runs():
        lines = [line._replace(value=line.value.strip()) for line in run if line.value is not None]
        parsed, refused = parse_batch(lines, topic)
        events: dict[int, list[InboundEvent]] = defaultdict(list)
        for item in parsed:
            events[lines[item.index].offset].append(item.event)
        problems = {lines[item.index].offset: "; ".join(item.problems) for item in refused}
        values = {line.offset: line.value for line in lines}
        for line in run:
            value = values.get(line.offset)
            if value is None:
                yield Ready(line.offset, (), _too_long(reader.bytes_max))
            elif line.offset in problems:
                yield Ready(line.offset, (), problems[line.offset])
            else:
                yield _admitted(line.offset, events[line.offset], value, shop, topic)


def _admitted(number: int, events: list[InboundEvent], value: bytes, shop: Shop, topic: str | None) -> Ready:
    """One line's record, if the log would take its events."""
    problem = _problem_of(events, shop)
    key = next(filter(None, map(_key, events)), None)
    if problem is None and len(value) + len(key or b"") > topics.MAX_RECORD_BYTES:
        problem = _too_long(topics.MAX_RECORD_BYTES)
    if problem is not None:
        return Ready(number, (), problem)
    return Ready(number, ((topic or topics.SOURCE_OF_EVENT[events[0].type], key, value),))


def _problem_of(events: Iterable[InboundEvent], shop: Shop) -> str | None:
    received_at = now()
    for event in events:
        admitted = admit(event, received_at=received_at, shop=shop)
        if isinstance(admitted, Refusal):
            return "; ".join(admitted.problems)
    return None


def _key(event: InboundEvent) -> bytes | None:
    """The strongest alias, so that a person's events stay in order; a channel's costs go by channel."""
    aliases = identity.aliases(identity.named(event))
    if aliases:
        return aliases[0][1].encode()
    return event.channel.encode() if isinstance(event, CostRecorded) and event.channel else None


def _too_long(bytes_max: int) -> str:
    return f"expected at most {bytes_max:,} bytes, got more"


# -- CSV ---------------------------------------------------------------------------------------------------------------


class _OpenQuote(Exception):
    """A row has no end."""


class _Text:
    """Lines as the CSV reader wants them. What is wrong with a line waits for the row that holds it."""

    def __init__(self, reader: LineReader) -> None:
        self._lines = (line for run in reader.runs() for line in run)
        self._bytes_max = reader.bytes_max
        self._bad: list[str] = []
        self._number = 0
        self._of_row = 0

    def __iter__(self) -> Iterator[str]:
        for line in self._lines:
            while self._number + 1 < line.offset:  # blank ones count, so that numbers stay right
                self._number += 1
                yield "\n"
            self._number, self._of_row = line.offset, self._of_row + 1
            if self._of_row > CSV_ROW_LINES_MAX:
                raise _OpenQuote
            yield self._decoded(line)

    def _decoded(self, line: Line) -> str:
        if line.value is None:
            self._bad.append(_too_long(self._bytes_max))
            return "\ufffd\n"
        try:
            text = line.value.decode()
        except UnicodeDecodeError as error:
            self._bad.append(f"expected UTF-8, got another byte at {error.start}")
            text = line.value.decode(errors="replace")
        if line.offset == 1 and self._bad:
            raise BadColumns(f"header: {self._bad[0]}")
        return text.rstrip("\r").replace("\r", " ") + "\n"

    def row_ended(self) -> list[str]:
        """What was wrong with the lines of the row just read."""
        bad, self._bad, self._of_row = self._bad, [], 0
        return bad

    def rest(self) -> int | None:
        """The number of the first line not read, if one is left."""
        return next((line.offset for line in self._lines), None)


def events_of_customers(reader: LineReader, shop: Shop, columns: Mapping[str, str], as_of: datetime) -> Iterator[Ready]:
    """Every row as the events it stands for; a row with a fault as none."""
    text, last = _Text(reader), 1
    rows = read_customers(text, source=CSV_SOURCE, as_of=as_of, shop_currency=shop.currency, columns=columns)
    try:
        for row in rows:
            last = row.line
            problems = text.row_ended() or list(row.problems)
            problem = "; ".join(problems) or _problem_of(row.events, shop)
            if problem:
                yield Ready(row.line, (), problem)
            else:
                yield Ready(row.line, tuple(map(_record, row.events)))
    except _OpenQuote:
        problem = f"row: expected its end within {CSV_ROW_LINES_MAX} lines, got none (a quote left open?)"
        yield Ready(last + 1, (), problem)
    rest = text.rest()
    if rest is not None:
        yield Ready(rest, (), "nothing from here to the end of the file was read; mend the row before and try again")


def _record(event: InboundEvent) -> tuple[str, bytes | None, bytes]:
    return topics.SOURCE_OF_EVENT[event.type], _key(event), event.model_dump_json(exclude_unset=True).encode()

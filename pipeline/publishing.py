"""A file's events to their source topics: JSON lines as they are, or a CSV of customers as the events it stands for.

Each line passes the door's own checks before anything is sent, so that what a worker would refuse is said here, with
its line. Ids come from the publisher or from the content: publishing a file again changes nothing. Whatever the file,
memory is bounded: a long line is passed over, refusals are kept up to a limit and then counted, the queue has an end.
"""

from __future__ import annotations

import contextlib
import sys
import time
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import BinaryIO, Final, Self

from confluent_kafka import KafkaError, KafkaException, Message, Producer
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

from pipeline import topics
from pipeline.core.door import Shop
from pipeline.core.rates import load_rates
from pipeline.fatal import FatalRaised
from pipeline.inquiry import need_topics
from pipeline.kafka_clients import librdkafka_config, told
from pipeline.reading import CSV_LINE_BYTES_MAX, LineReader, Ready, events_of_customers, events_of_lines, now
from pipeline.schemas.customers_csv import BadColumns
from pipeline.settings import Settings

REFUSED_KEPT_MAX: Final = 1_000
DELIVERY_SECONDS: Final = 30.0
"""How long the broker may be away before what waits counts as not delivered."""

_QUEUE_RECORDS_MAX: Final = 50_000
_QUEUE_KIB_MAX: Final = 64 * 1024
_INTERRUPTED_SECONDS: Final = 5.0
_SERVE_EVERY: Final = 256
_PLAIN_EVERY_SECONDS: Final = 10.0


class NotPublished(Exception):
    """The file, its columns or the options cannot work; nothing was sent."""


@dataclass(slots=True)
class Report:
    """What became of a file's lines."""

    lines: int = 0
    """Read, without blank ones."""
    published: int = 0
    """Events the broker has. A line may stand for several."""
    refused: list[tuple[int, str]] = field(default_factory=list)
    """The first refused lines, with what is wrong with each."""
    refused_count: int = 0
    failed_count: int = 0
    """Events sent that the broker did not confirm."""
    failure: str | None = None
    """Why the first of them failed."""
    is_interrupted: bool = False
    seconds: float = 0.0

    def refuse(self, line: int, problem: str) -> None:
        """Count a refused line, and keep it while there is room."""
        self.refused_count += 1
        if len(self.refused) < REFUSED_KEPT_MAX:
            self.refused.append((line, problem))

    def fail(self, why: str, count: int = 1) -> None:
        """Count events that were not delivered, and keep the first reason."""
        self.failed_count += count
        self.failure = self.failure or why


def publish_file(
    settings: Settings, file: str, *, topic: str | None, columns: Mapping[str, str], console: Console
) -> Report:
    """Publish a file (`-` is standard input). Refused lines and progress go to `console` as they come.

    A CSV is known by its name (.csv, .tsv) or by having `columns`; all else is JSON lines. `topic` is the source they
    go to, instead of each event's own. Stops at the first event that cannot be delivered, and when interrupted: the
    report says so. Raises NotPublished, BrokerUnreachable, TopicsMissing, BadRates.
    """
    wanted = _source_topic(settings, topic)
    is_csv = bool(columns) or file.lower().endswith((".csv", ".tsv"))
    if is_csv and wanted is not None:
        raise NotPublished("--topic: for JSON lines only; the events of a customer list have topics of their own")
    shop = Shop(settings.shop_currency, load_rates(settings.shop_rates_file), opened_at=settings.shop_opened_at)
    report, began_at = Report(), time.monotonic()
    with _opened(file) as source:
        need_topics(settings, *topics.SOURCES)  # not there, or no broker: known before anything is read
        sender = _Sender(settings, report)
        reader = LineReader(source, CSV_LINE_BYTES_MAX if is_csv else topics.MAX_RECORD_BYTES)
        if is_csv:
            ready = events_of_customers(reader, shop, columns, _as_of(file))
        else:
            ready = events_of_lines(reader, shop, wanted)
        with _Shown(console, report, reader, _size(file)) as shown, FatalRaised():
            try:
                _send_all(ready, sender, report, shown)
            except KeyboardInterrupt:
                report.is_interrupted = True
            except OSError as error:
                report.fail(f"reading {file}: {error.strerror or error}", 0)
            except BadColumns as error:
                raise NotPublished(str(error)) from error
            sender.finish(_INTERRUPTED_SECONDS if report.is_interrupted else DELIVERY_SECONDS + 5)
    report.seconds = time.monotonic() - began_at
    return report


def _send_all(ready: Iterable[Ready], sender: _Sender, report: Report, shown: _Shown) -> None:
    for each in ready:
        report.lines += 1
        if each.problem is not None:
            report.refuse(each.line, each.problem)
            shown.refusal(each.line, each.problem)
        for source, key, value in each.events:
            sender.send(each.line, source, key, value)
        if report.failure is not None:
            return
        shown.go_on()


# -- the file ----------------------------------------------------------------------------------------------------------


def _source_topic(settings: Settings, topic: str | None) -> str | None:
    names = [source.name for source in topics.SOURCES]
    plain = None if topic is None else topic.removeprefix(settings.topics_prefix)
    if plain is not None and plain not in names:
        raise NotPublished(f"--topic: expected one of {', '.join(names)}, got {topic!r}")
    return plain


@contextlib.contextmanager
def _opened(file: str) -> Iterator[BinaryIO]:
    if file == "-":
        yield sys.stdin.buffer
        return
    try:
        source = Path(file).open("rb")  # noqa: SIM115 - closed below; only opening it is explained
    except OSError as error:
        raise NotPublished(f"{file}: {error.strerror or error}") from error
    with source:
        yield source


def _size(file: str) -> int | None:
    return None if file == "-" else Path(file).stat().st_size or None


def _as_of(file: str) -> datetime:
    """What dates an undated customer: when the file was written, so that publishing it again says the same."""
    if file == "-":
        return now()
    return min(datetime.fromtimestamp(Path(file).stat().st_mtime, UTC), now())


# -- to Kafka ----------------------------------------------------------------------------------------------------------


class _Sender:
    """Hands events to the broker in order and counts what it confirms."""

    def __init__(self, settings: Settings, report: Report) -> None:
        self._topic = settings.topic
        self._report = report
        self._sent = 0
        self._producer = Producer(
            {
                **librdkafka_config(settings, client_id=f"{settings.worker_app_id}-publish"),
                "enable.idempotence": True,
                "partitioner": "murmur2_random",
                "linger.ms": 20,
                "compression.type": "lz4",
                "message.max.bytes": topics.MAX_RECORD_BYTES + 64 * 1024,
                "queue.buffering.max.messages": _QUEUE_RECORDS_MAX,
                "queue.buffering.max.kbytes": _QUEUE_KIB_MAX,
                "delivery.timeout.ms": int(DELIVERY_SECONDS * 1000),
            }
        )

    def send(self, line: int, source: str, key: bytes | None, value: bytes) -> None:
        """Queue an event; waits while the queue is full."""

        def delivered(error: KafkaError | None, _message: Message) -> None:
            if error is None:
                self._report.published += 1
            else:
                self._report.fail(f"line {line}: {told(error)}")

        while True:  # ends: what waits in a full queue is delivered or fails after DELIVERY_SECONDS
            try:
                self._producer.produce(self._topic(source), value, key, on_delivery=delivered)
            except BufferError:
                self._producer.poll(0.2)
            except KafkaException as error:
                return self._report.fail(f"line {line}: {error}")
            else:
                break
        self._sent += 1
        if self._sent % _SERVE_EVERY == 0:
            self._producer.poll(0)
        return None

    def finish(self, seconds: float) -> None:
        """Wait until everything sent is confirmed or has failed."""
        left = self._producer.flush(seconds)
        if left:
            self._report.fail(f"not confirmed within {seconds:.0f} s", left)


class _Shown:
    """How it goes: a bar with the rate on a terminal, else a line now and then."""

    def __init__(self, console: Console, report: Report, reader: LineReader, size: int | None) -> None:
        self._console = console
        self._report = report
        self._reader = reader
        self._began_at = self._shown_at = time.monotonic()
        self._every = 0.1 if console.is_terminal else _PLAIN_EVERY_SECONDS
        bar = TextColumn("{task.description}"), BarColumn(), TextColumn("{task.fields[said]}"), TimeElapsedColumn()
        self._progress = Progress(*bar, console=console, transient=True, disable=not console.is_terminal)
        self._task = self._progress.add_task("publishing", total=size, said="")

    def __enter__(self) -> Self:
        self._progress.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._progress.stop()

    def refusal(self, line: int, problem: str) -> None:
        """A refused line, while there are not too many."""
        count = self._report.refused_count
        if count <= REFUSED_KEPT_MAX:
            self._console.print(f"line {line}: {problem}", markup=False, highlight=False, soft_wrap=True)
        elif count == REFUSED_KEPT_MAX + 1:
            self._console.print("More lines are refused; from here on they are only counted.", highlight=False)

    def go_on(self) -> None:
        """Show where it stands, if that was long ago."""
        at = time.monotonic()
        if at - self._shown_at < self._every:
            return
        self._shown_at = at
        said = f"{self._report.lines:,} lines, {self._report.lines / (at - self._began_at):,.0f}/s"
        if self._console.is_terminal:
            self._progress.update(self._task, completed=self._reader.bytes_read, said=said)
        else:
            self._console.print(said, highlight=False)

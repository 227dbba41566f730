"""A shop under test: its own topics on a real broker, worker processes, publishing, and the comparison with the core.

The comparison is the point: state and decisions must be what the pure core computes from the same customer log.
"""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from itertools import count
from pathlib import Path
from typing import Any

import pytest
from confluent_kafka import KafkaError, Message, Producer

from pipeline import topics
from pipeline.admin import Admin
from pipeline.core import door
from pipeline.core.rates import Rates
from pipeline.engine.changelog import POSITION_KEY, payload_of
from pipeline.inquiry import scan
from pipeline.language import sentiment
from pipeline.schemas import logged
from pipeline.settings import Settings, load
from tests.engine.checking import read_records
from tests.pipeline.judging import READ, Run, Sent, behind_the_log, problems
from tests.pipeline.progress import Place, Progress

REPOSITORY = Path(__file__).resolve().parents[2]
_numbers = count()


def free_port() -> int:
    """A port nobody listens on now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
    return port


_SHOWN_LINES, _SHOWN_CHARACTERS = 50, 240


@dataclass
class Process:
    """A worker or views process of the shop."""

    popen: subprocess.Popen[bytes]
    log_path: Path
    metrics_port: int

    def get(self, path: str) -> tuple[int, str]:
        """GET from its metrics server; 0 when it does not answer."""
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{self.metrics_port}{path}", timeout=5) as answer:
                return answer.status, answer.read().decode()
        except urllib.error.HTTPError as error:
            return error.code, error.read().decode()
        except OSError:
            return 0, ""

    @property
    def last_words(self) -> str:
        """What it said last, and what it says of itself now."""
        lines = [line[:_SHOWN_CHARACTERS] for line in self.log().splitlines()[-_SHOWN_LINES:]]
        state = f"ready? {self.get('/readyz')}" if self.popen.poll() is None else f"ended with {self.popen.returncode}"
        return "\n".join([f"--- {self.log_path.name}: {state}", *lines])

    def metric(self, line_start: str) -> float:
        """The sum of all samples whose line begins so."""
        _, text = self.get("/metrics")
        return sum(float(line.rsplit(" ", 1)[1]) for line in text.splitlines() if line.startswith(line_start))

    def reasons(self, path: str) -> list[str]:
        """Why a probe says no; empty when it says yes or does not answer."""
        _, text = self.get(path)
        reasons: list[str] = json.loads(text)["reasons"] if text else []
        return reasons

    def log(self) -> str:
        """What it said."""
        return self.log_path.read_text(errors="replace")

    def send(self, number: signal.Signals) -> None:
        """Send it a signal."""
        self.popen.send_signal(number)

    def end(self, number: signal.Signals = signal.SIGTERM, seconds: float = 10.0) -> int:
        """Tell it to end; its exit code, which must come in time."""
        self.popen.send_signal(number)
        return self.popen.wait(seconds)

    def kill(self) -> None:
        """SIGKILL, and see it gone."""
        self.popen.kill()
        self.popen.wait(10)


@dataclass
class Shop:
    """Topics, processes and what was published."""

    bootstrap: str
    redis_url: str
    folder: Path
    extra: Mapping[str, str] = field(default_factory=dict)
    prefix: str = field(default_factory=lambda: f"shop{os.getpid()}-{next(_numbers)}.")
    processes: list[Process] = field(default_factory=list)
    sent: list[Sent] = field(default_factory=list)
    """What was published."""

    def __post_init__(self) -> None:
        self.settings: Settings = load(
            kafka_bootstrap_servers=self.bootstrap, redis_url=self.redis_url, topics_prefix=self.prefix,
            worker_app_id=self.prefix.replace(".", "-") + "app", redis_key_prefix=self.prefix,
        )  # fmt: skip
        self.producer = Producer(
            {"bootstrap.servers": self.bootstrap, "linger.ms": 5, "enable.idempotence": True, "log_level": 0}
        )
        self._progress: Progress | None = None

    def create(self) -> None:
        """Make every topic."""
        with Admin(self.settings) as admin:
            admin.create_topics()

    def environment(self, **extra: str) -> dict[str, str]:
        """What a process of this shop is told."""
        return {
            **os.environ,
            "WAFA_KAFKA_BOOTSTRAP_SERVERS": self.bootstrap,
            "WAFA_REDIS_URL": self.redis_url,
            "WAFA_REDIS_KEY_PREFIX": self.prefix,
            "WAFA_TOPICS_PREFIX": self.prefix,
            "WAFA_WORKER_APP_ID": self.settings.worker_app_id,
            "WAFA_CLOCK_SOURCE": "publisher",
            "WAFA_KAFKA_SESSION_TIMEOUT_SECONDS": "2",
            "WAFA_KAFKA_HEARTBEAT_SECONDS": "0.5",
            "WAFA_WORKER_VIEWS_SECONDS": "0.2",
            **self.extra,
            **extra,
        }

    def start(self, command: str = "worker", *, program: str = "pipeline", **extra: str) -> Process:
        """One process more."""
        port = free_port()
        number = len(self.processes)
        told = {
            "WAFA_WORKER_DATA_DIR": str(self.folder / f"data{number}"),
            "WAFA_STORE_DIR": str(self.folder / f"store{number}"),
            "WAFA_METRICS_PORT": str(port),
        }
        environment = self.environment(**told | extra)
        log_path = self.folder / f"{command}{number}.log"
        with log_path.open("wb") as log:
            popen = subprocess.Popen(
                [sys.executable, "-m", program, command], cwd=REPOSITORY, env=environment,
                stdout=log, stderr=subprocess.STDOUT,
            )  # fmt: skip
        process = Process(popen, log_path, port)
        self.processes.append(process)
        return process

    def wafa(self, *words: str) -> subprocess.CompletedProcess[str]:
        """Run a command to its end, as an operator would."""
        return subprocess.run(
            [sys.executable, "-m", "pipeline", *words], cwd=REPOSITORY, env=self.environment(COLUMNS="200"),
            capture_output=True, text=True, timeout=60, check=False,
        )  # fmt: skip

    def publish(self, events: Iterable[Mapping[str, Any]]) -> dict[Place, int]:
        """Send events to their sources, in Wafa's own JSON; once the broker has them, the first offset by partition."""
        firsts: dict[Place, int] = {}
        for event in events:
            source = topics.SOURCE_OF_EVENT[event["type"]]
            who = event.get("customer_id") or event.get("email") or event.get("phone") or ""

            def arrived(error: KafkaError | None, message: Message, source: str = source) -> None:
                assert error is None, error
                firsts.setdefault((source, message.partition()), message.offset())

            self.publish_raw(source, json.dumps(event).encode(), key=str(who).encode(), on_delivery=arrived)
        assert self.producer.flush(30) == 0
        return firsts

    def begin(self, events: Iterable[Mapping[str, Any]]) -> None:
        """Publish, and return as soon as some worker has done some of it: it is in the middle of it.

        By what is committed, not by what a worker counts: it counts a commit some milliseconds after it.
        """
        firsts = self.publish(events)
        self.wait(lambda: self.progress.has_begun(firsts), "in the middle of it", 30)

    def publish_raw(
        self,
        source: str,
        value: bytes | None,
        *,
        key: bytes | None = None,
        headers: Mapping[str, bytes] | None = None,
        on_delivery: Callable[[KafkaError | None, Message], None] | None = None,
    ) -> None:
        """Send bytes as they are."""
        self.producer.produce(
            self.settings.topic(source), value, key,
            headers=list(headers.items()) if headers else None, on_delivery=on_delivery,
        )  # fmt: skip
        self.sent.append((source, key, value))
        self.producer.poll(0)

    def tick(self, as_of: datetime) -> None:
        """Let time pass, once everything published is in the log."""
        self.wait_until_drained(topics.SOURCES)
        self.wait_until_drained((topics.UNIDENTIFIED_EVENTS,))
        self.control(logged.encode(logged.Tick(as_of=as_of)), "Tick")

    def control(self, value: bytes, kind: str) -> None:
        """Append a control, with nothing looked at before."""
        self.producer.produce(self.settings.topic(topics.CONTROLS.name), value, kind.encode(), 0)
        assert self.producer.flush(30) == 0

    def wait(self, condition: Callable[[], bool], what: str, seconds: float = 60.0) -> None:
        """Until `condition` holds, or fail with the processes' logs."""
        deadline = time.monotonic() + seconds
        while not condition():
            if time.monotonic() > deadline:
                pytest.fail("\n".join([f"{what}: not in {seconds} s", *[each.last_words for each in self.processes]]))
            time.sleep(0.02)

    def wait_until_drained(self, wanted: Sequence[topics.Topic] = topics.SOURCES, seconds: float = 60.0) -> None:
        """Until everything on these topics has had its effect."""
        assert self.producer.flush(30) == 0
        self.wait(lambda: self.is_done(wanted), f"drained {[topic.name for topic in wanted]}", seconds)

    def is_done(self, wanted: Sequence[topics.Topic]) -> bool:
        """Whether everything on these topics has had its effect. No, while the broker is away."""
        return self.progress.is_done(wanted)

    @property
    def progress(self) -> Progress:
        """How far the workers have come; opened when first asked."""
        if self._progress is None:
            self._progress = Progress(self.settings)
        return self._progress

    def wait_until_done(self, seconds: float = 60.0) -> None:
        """Until everything published so far has had all its effects."""
        stages = (
            topics.SOURCES,
            (topics.UNIDENTIFIED_EVENTS,),
            (topics.CONTROLS,),
            (topics.CUSTOMER_EVENTS, topics.MENTIONS),
        )
        for wanted in stages:
            self.wait_until_drained(wanted, seconds)

    def log(self) -> dict[int, list[tuple[bytes, bytes]]]:
        """The customers' log as committed, by partition."""
        found: dict[int, list[tuple[bytes, bytes]]] = {}
        for record in scan(self.settings, topics.CUSTOMER_EVENTS):
            found.setdefault(record.partition, []).append((record.key or b"", record.value or b""))
        return found

    def entries(self) -> list[tuple[bytes, bytes]]:
        """The customers' log as committed: every (key, value), partition by partition."""
        return [entry for records in self.log().values() for entry in records]

    def state(self) -> dict[bytes, bytes]:
        """Each customer's packed profile, as the changelog has it."""
        return {key: value for key, value in self.changelog().items() if not key.startswith(b"__")}

    def changelog(self) -> dict[bytes, bytes]:
        """Every entry of the customers' changelog, controls and marks included."""
        found = {}
        for record in scan(self.settings, topics.CUSTOMER_STATE):
            key = record.key or b""
            if record.value is None:
                found.pop(key, None)
            elif key != POSITION_KEY:
                found[key] = payload_of(record.value)
        return found

    def decisions(self) -> list[dict[str, Any]]:
        """Every committed decision, by partition in order."""
        return [json.loads(record.value or b"{}") for record in scan(self.settings, topics.DECISIONS)]

    def triggers(self) -> list[dict[str, Any]]:
        """Every committed trigger, by partition in order."""
        return [json.loads(record.value or b"{}") for record in scan(self.settings, topics.TRIGGERS)]

    def dead_letters(self) -> list[tuple[bytes | None, bytes | None, dict[str, str]]]:
        """Every committed dead letter: key, value, headers."""
        return [
            (record.key, record.value, {name: value.decode(errors="replace") for name, value in record.headers})
            for record in scan(self.settings, topics.DEAD_LETTERS)
        ]

    def run(self) -> Run:
        """Everything published through `publish` and `publish_raw`, and everything committed."""
        records = {
            topic.name: read_records(self.bootstrap, self.settings.topic(topic.name), self.settings.partitions(topic))
            for topic in READ
        }
        return Run(self.sent, records, door.Shop(self.settings.shop_currency, Rates(), sentiment))

    def check_against_core(self) -> None:
        """State, decisions and triggers are the core's over the log: byte for byte, each once, in order."""
        assert behind_the_log(self.run()) == []

    def check(self) -> None:
        """From the sources on, each event had its effects once and in order: `judging`."""
        assert problems(self.run()) == []

    def stop(self) -> None:
        """End every process."""
        for process in self.processes:
            if process.popen.poll() is None:
                process.popen.send_signal(signal.SIGCONT)
                process.popen.terminate()
        for process in self.processes:
            try:
                process.popen.wait(15)
            except subprocess.TimeoutExpired:
                process.popen.kill()
                process.popen.wait(5)
        if self._progress is not None:
            self._progress.close()


def at(day: int, hour: int = 12) -> datetime:
    """An instant some days after the shop opened."""
    return datetime.fromtimestamp(1_700_000_000 // 86_400 * 86_400 + day * 86_400 + hour * 3_600, UTC)

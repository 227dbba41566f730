"""What an operator sets: the sole reader of the environment.

Every variable is `WAFA_<AREA>_<NAME>[_<UNIT>]`. All problems are listed in one message; nothing starts before they are
mended. What a marketer sets is policy (`pipeline/core/policy.toml`), not here.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Annotated, Final, Literal, Protocol
from urllib.parse import urlsplit

from pydantic import AfterValidator, Field, SecretStr, ValidationError, model_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

LOOPBACK = ("127.0.0.1", "localhost", "::1")
DEMONSTRATION_KEY = "wafa-demonstration-key"


_CURRENCY = re.compile("[A-Z]{3}")


LOG_TOPICS: Final = ("customer-events.v1", "customer-state.v1")
"""What `wafa repartition` writes anew."""
LOG_PARTITIONS: Final = 8


class TopicRow(Protocol):
    """What must be known of a topic to say how it is split."""

    @property
    def name(self) -> str:
        """Without prefix."""

    @property
    def partitions(self) -> int:
        """As its row says."""


class BadSettings(Exception):
    """The environment does not make a Wafa that can start; the message lists every problem."""


def _servers(value: str) -> str:
    for server in value.split(","):
        host, _, port = server.strip().rpartition(":")
        if not host or not port.isdigit():
            raise ValueError(f"expected host:port[,host:port...], got {server!r}")
    return value


def _currency(value: str) -> str:
    if not _CURRENCY.fullmatch(value):
        raise ValueError(f"expected an ISO 4217 code such as EUR, got {value!r}")
    return value


class Settings(BaseSettings):
    """One process's settings, read once, then frozen."""

    model_config = SettingsConfigDict(env_prefix="WAFA_", frozen=True, extra="ignore", env_ignore_empty=True)

    kafka_bootstrap_servers: Annotated[str, AfterValidator(_servers)] = Field(
        "127.0.0.1:9092", description="Kafka's addresses, host:port, separated by commas."
    )
    kafka_security_protocol: Literal["PLAINTEXT", "SASL_PLAINTEXT", "SASL_SSL", "SSL"] = Field(
        "PLAINTEXT", description="How to talk to Kafka."
    )
    kafka_sasl_mechanism: Literal["PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512"] = Field(
        "SCRAM-SHA-512", description="How to sign in, where the protocol is SASL_*."
    )
    kafka_sasl_username: str | None = Field(None, description="Kafka user.")
    kafka_sasl_password: SecretStr | None = Field(None, description="Kafka password.")
    kafka_ssl_ca_file: Path | None = Field(
        None, description="The authority that signed the brokers' certificates (PEM)."
    )
    kafka_ssl_cert_file: Path | None = Field(None, description="Our certificate (PEM).")
    kafka_ssl_key_file: Path | None = Field(None, description="Our certificate's key (PEM).")
    kafka_replication_factor: int = Field(1, ge=1, le=9, description="Copies of each topic `wafa topics create` makes.")
    kafka_session_timeout_seconds: float = Field(
        6.0, ge=1, le=300, description="A worker silent for this long loses its partitions."
    )
    kafka_heartbeat_seconds: float = Field(1.5, ge=0.1, le=100, description="How often a worker shows it is alive.")
    redis_url: str = Field("redis://127.0.0.1:6379/0", description="Redis or Valkey, for the views only.")
    redis_key_prefix: str = Field("wafa:", description="Begins every key in Redis.")

    topics_prefix: str = Field("crm.", pattern=r"^[a-z0-9.-]*$", description="Begins every topic's name.")
    log_partitions: int = Field(
        LOG_PARTITIONS,
        ge=1,
        le=1000,
        description="Partitions of the customers' log and state, as `wafa repartition` left them; part of their names.",
    )
    worker_app_id: str = Field(
        "wafa",
        pattern=r"^[a-z0-9][a-z0-9-]*$",
        description="Consumer group (or its start), and start of every transactional.id.",
    )
    worker_role: Literal["all", "doors", "customers"] = Field(
        "all", description="What a worker does: all, or only one half, so that each half can have processes of its own."
    )
    worker_data_dir: Path = Field(Path(".wafa/worker"), description="Where Faust may write; nothing of value is there.")
    worker_batch_records_max: int = Field(8000, ge=1, le=100_000, description="Records in one transaction, at most.")
    worker_batch_seconds_max: float = Field(
        0.05, gt=0, le=1, description="Work in one transaction, at most (aimed at)."
    )
    worker_linger_seconds: float = Field(0.025, ge=0, le=1, description="How long a batch waits for more records.")
    worker_transactions_per_second: float = Field(
        250, ge=10, le=100_000, description="Small transactions a worker begins; beyond it batches linger longer."
    )
    worker_transaction_timeout_seconds: float = Field(
        10.0, ge=1, le=900, description="The broker aborts a transaction open for longer."
    )
    worker_stall_seconds: float = Field(
        120.0, ge=5, description="A worker whose work stands still this long, while Kafka answers, ends itself."
    )
    worker_grace_seconds: float = Field(
        20.0, ge=2, le=600, description="A worker told to end does so within this time, whatever it waits for."
    )
    worker_instance_id: str | None = Field(
        None,
        pattern=r"^[A-Za-z0-9._-]{1,249}$",
        description="Static membership: a name of this worker's own, kept over restarts. A restart within "
        "`WAFA_KAFKA_SESSION_TIMEOUT_SECONDS` (give it 45) then moves no partition; a dead worker's wait that long.",
    )
    worker_fuse_refused_fraction: float = Field(
        0.5, gt=0, le=1, description="Stop consuming a source when more than this share is refused; 1 never stops."
    )
    worker_fuse_records_min: int = Field(200, ge=1, description="Records of a source before its fuse may blow.")
    worker_views_seconds: float = Field(
        1.0,
        ge=0.05,
        le=60,
        description="A changed profile's view goes out this often; more seldom while there is much to do.",
    )

    store_kind: Literal["memory", "snapshot", "disk"] = Field(
        "memory",
        description="Where customers and links are kept: in memory, there with a snapshot now and then, or on disk.",
    )
    store_dir: Path = Field(
        Path(".wafa/store"), description="Folder of snapshots and stores, each worker's own; the log can replace it."
    )
    store_cache_mib: int = Field(
        256, ge=16, le=1_048_576, description="Memory for what was used last, where the store is on disk; MiB."
    )
    store_snapshot_seconds: float = Field(
        60.0, ge=1, le=86_400, description="Snapshots of one partition are at least so far apart."
    )
    store_standby: bool = Field(
        default=False, description="Follow the changelogs of other workers' partitions, to take over quickly."
    )

    clock_source: Literal["wall", "publisher"] = Field(
        "wall", description="Who says what time it is: the wall clock, or whoever publishes Ticks (demo, back-test)."
    )
    clock_tick_seconds: float = Field(60.0, ge=0.1, le=3600, description="How often time passes, in the log.")

    analyst_channel_costs_seconds: float = Field(
        3600.0, ge=1, le=604_800, description="What channels cost is counted this often."
    )
    analyst_fit_seconds: float = Field(
        86_400.0, ge=1, le=2_678_400, description="The shop's model is learned anew this often."
    )
    analyst_goals_seconds: float = Field(
        3600.0, ge=1, le=604_800, description="How far the goals are is reckoned this often."
    )
    analyst_job_seconds_max: float = Field(
        900.0, ge=1, le=86_400, description="A job of the analyst is ended after this time, and tried at its next turn."
    )

    shop_currency: Annotated[str, AfterValidator(_currency)] = Field(
        "USD", description="The currency values are kept in."
    )
    shop_rates_file: Path | None = Field(
        None, description="Exchange rates, CSV `date,currency,rate`: shop currency for one unit of `currency`."
    )
    identity_key: SecretStr = Field(
        SecretStr(DEMONSTRATION_KEY), description="Secret that hashes aliases. Changing it forgets who is who."
    )

    metrics_host: str = Field("127.0.0.1", description="Where /metrics and the probes are served.")
    metrics_port: int = Field(9464, ge=0, le=65535, description="Port of /metrics and the probes; 0 takes a free one.")
    log_level: Literal["debug", "info", "warning", "error"] = Field("info", description="What is logged.")
    log_format: Literal["json", "console"] = Field("json", description="One JSON object a line, or for eyes.")
    local_cache_dir: Path = Field(Path(".wafa/cache"), description="Downloaded jars and data sets.")

    @model_validator(mode="after")
    def _hold_together(self) -> Settings:
        problems = []
        if self.kafka_heartbeat_seconds * 3 > self.kafka_session_timeout_seconds:
            problems.append(
                "WAFA_KAFKA_HEARTBEAT_SECONDS: expected at most a third of WAFA_KAFKA_SESSION_TIMEOUT_SECONDS "
                f"({self.kafka_session_timeout_seconds}), got {self.kafka_heartbeat_seconds}"
            )
        if self.kafka_security_protocol.startswith("SASL") and not (
            self.kafka_sasl_username and self.kafka_sasl_password
        ):
            problems.append("WAFA_KAFKA_SASL_USERNAME and WAFA_KAFKA_SASL_PASSWORD: expected with SASL, got none")
        remote = any(s.strip().rpartition(":")[0] not in LOOPBACK for s in self.kafka_bootstrap_servers.split(","))
        if remote and self.identity_key.get_secret_value() == DEMONSTRATION_KEY:
            problems.append("WAFA_IDENTITY_KEY: expected a secret of your own for a Kafka that is not on this machine")
        if urlsplit(self.redis_url).scheme not in ("redis", "rediss", "unix"):
            problems.append(f"WAFA_REDIS_URL: expected redis://, rediss:// or unix://, got {self.redis_url!r}")
        if self.shop_rates_file is not None and not self.shop_rates_file.is_file():
            problems.append(f"WAFA_SHOP_RATES_FILE: expected a file, got {str(self.shop_rates_file)!r}")
        if problems:
            raise ValueError("\n".join(problems))
        return self

    def worker_group(self, role: str) -> str:
        """The consumer group of the workers in this role."""
        return self.worker_app_id if role == "all" else f"{self.worker_app_id}-{role}"

    def topic(self, name: str) -> str:
        """A topic's full name on the broker. A log of another count than the usual has the count in its name."""
        is_usual = name not in LOG_TOPICS or self.log_partitions == LOG_PARTITIONS
        return f"{self.topics_prefix}{name}" + ("" if is_usual else f".p{self.log_partitions}")

    def partitions(self, topic: TopicRow) -> int:
        """How many partitions a topic has: its row's, but for the customers' log and its changelog."""
        return self.log_partitions if topic.name in LOG_TOPICS else topic.partitions


def load(**given: object) -> Settings:
    """The settings from the environment, `given` ones first. Raises BadSettings with every problem in one message."""
    try:
        return Settings(**given)  # type: ignore[arg-type]  # the names are checked by pydantic, with better messages
    except ValidationError as error:
        lines = []
        for problem in error.errors():
            if problem["loc"]:
                name = "WAFA_" + str(problem["loc"][0]).upper()
                lines.append(f"{name}: {problem['msg']}, got {problem['input']!r}")
            else:
                lines.extend(problem["msg"].removeprefix("Value error, ").splitlines())
        raise BadSettings("Settings that cannot work:\n" + "\n".join(f"  {line}" for line in lines)) from error

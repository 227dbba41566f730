"""What an operator sets: the sole reader of the environment.

Every variable is `WAFA_<AREA>_<NAME>[_<UNIT>]`, and one that is none of these is a mistake. All problems are listed in
one message, which quotes no secret; nothing starts before they are mended. What a marketer sets is policy
(`pipeline/core/policy.toml`), not here.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, date, datetime, time
from difflib import get_close_matches
from pathlib import Path
from typing import Annotated, Final, Literal, Protocol
from urllib.parse import urlsplit

from pydantic import AfterValidator, Field, SecretStr, ValidationError
from pydantic_settings import BaseSettings, SettingsConfigDict

from pipeline.schemas.currencies import EXPONENTS

LOOPBACK = ("127.0.0.1", "localhost", "::1")
DEMONSTRATION_KEY = "wafa-demonstration-key"

_PREFIX: Final = "WAFA_"
_PORT_MAX: Final = 65535
_KUBERNETES: Final = re.compile(r"\w+_SERVICE_(HOST|PORT(_\w+)?)|\w+_PORT_\d+_(TCP|UDP|SCTP)(_(PROTO|PORT|ADDR))?")
"""What Kubernetes tells every container of a service whose name begins with `wafa`; and `..._PORT` with a URL."""
_NOT_SHOWN: Final = frozenset(("kafka_sasl_password", "identity_key", "redis_url"))
"""Secrets, and what may hold one."""

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
        if not host or not (port.isascii() and port.isdigit() and 1 <= int(port) <= _PORT_MAX):
            raise ValueError(f"expected host:port[,host:port...], ports from 1 to {_PORT_MAX}")
    return value


def _redis(value: str) -> str:
    try:
        url = urlsplit(value)
        is_one = (
            bool(url.path)
            if url.scheme == "unix"
            else url.scheme in ("redis", "rediss")
            and url.port != 0
            and re.fullmatch("(/[0-9]*)?", url.path) is not None
        )
    except ValueError:  # such as a port that is no number
        is_one = False
    if not is_one:
        raise ValueError("expected redis://host:port/number, rediss://... or unix:///path")
    return value


def _currency(value: str) -> str:
    if value not in EXPONENTS:
        raise ValueError("expected an ISO 4217 code such as EUR")
    return value


def _readable(file: Path) -> Path:
    try:
        file.open("rb").close()
    except OSError as error:
        raise ValueError(f"expected a file that can be read ({error.strerror})") from error
    return file


def _not_blank(secret: SecretStr) -> SecretStr:
    if not secret.get_secret_value().strip():
        raise ValueError("expected a secret that is not blank")
    return secret


ReadableFile = Annotated[Path, AfterValidator(_readable)]


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
    kafka_ssl_ca_file: ReadableFile | None = Field(
        None, description="The authority that signed the brokers' certificates (PEM)."
    )
    kafka_ssl_cert_file: ReadableFile | None = Field(None, description="Our certificate (PEM).")
    kafka_ssl_key_file: ReadableFile | None = Field(None, description="Our certificate's key (PEM).")
    kafka_replication_factor: int = Field(1, ge=1, le=9, description="Copies of each topic `wafa topics create` makes.")
    kafka_session_timeout_seconds: float = Field(
        6.0, ge=1, le=300, description="A worker silent for this long loses its partitions."
    )
    kafka_heartbeat_seconds: float = Field(1.5, ge=0.1, le=100, description="How often a worker shows it is alive.")
    redis_url: Annotated[str, AfterValidator(_redis)] = Field(
        "redis://127.0.0.1:6379/0", repr=False, description="Redis or Valkey, for the views only."
    )
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
    shop_rates_file: ReadableFile | None = Field(
        None, description="Exchange rates, CSV `date,currency,rate`: shop currency for one unit of `currency`."
    )
    shop_opened_on: date = Field(
        date(1990, 1, 1),
        ge=date(1990, 1, 1),
        description="The day the shop opened, UTC: what is dated before is refused.",
    )
    identity_key: Annotated[SecretStr, AfterValidator(_not_blank)] = Field(
        SecretStr(DEMONSTRATION_KEY), description="Secret that hashes aliases. Changing it forgets who is who."
    )

    metrics_host: str = Field("127.0.0.1", description="Where /metrics and the probes are served.")
    metrics_port: int = Field(9464, ge=0, le=65535, description="Port of /metrics and the probes; 0 takes a free one.")
    log_level: Literal["debug", "info", "warning", "error"] = Field("info", description="What is logged.")
    log_format: Literal["json", "console"] = Field("json", description="One JSON object a line, or for eyes.")
    local_cache_dir: Path = Field(Path(".wafa/cache"), description="Downloaded jars and data sets.")

    def worker_group(self, role: str) -> str:
        """The consumer group of the workers in this role."""
        return self.worker_app_id if role == "all" else f"{self.worker_app_id}-{role}"

    @property
    def shop_opened_at(self) -> datetime:
        """The beginning of the day the shop opened."""
        return datetime.combine(self.shop_opened_on, time(), UTC)

    def topic(self, name: str) -> str:
        """A topic's full name on the broker. A log of another count than the usual has the count in its name."""
        is_usual = name not in LOG_TOPICS or self.log_partitions == LOG_PARTITIONS
        return f"{self.topics_prefix}{name}" + ("" if is_usual else f".p{self.log_partitions}")

    def partitions(self, topic: TopicRow) -> int:
        """How many partitions a topic has: its row's, but for the customers' log and its changelog."""
        return self.log_partitions if topic.name in LOG_TOPICS else topic.partitions


def _heartbeat(given: Settings) -> str | None:
    if given.kafka_heartbeat_seconds * 3 <= given.kafka_session_timeout_seconds:
        return None
    return (
        "WAFA_KAFKA_HEARTBEAT_SECONDS: expected at most a third of WAFA_KAFKA_SESSION_TIMEOUT_SECONDS "
        f"({given.kafka_session_timeout_seconds}), got {given.kafka_heartbeat_seconds}"
    )


def _sign_in(given: Settings) -> str | None:
    if not given.kafka_security_protocol.startswith("SASL") or (
        given.kafka_sasl_username and given.kafka_sasl_password
    ):
        return None
    return "WAFA_KAFKA_SASL_USERNAME and WAFA_KAFKA_SASL_PASSWORD: expected with SASL, got none"


def _own_key(given: Settings) -> str | None:
    is_remote = any(s.strip().rpartition(":")[0] not in LOOPBACK for s in given.kafka_bootstrap_servers.split(","))
    if not is_remote or given.identity_key.get_secret_value() != DEMONSTRATION_KEY:
        return None
    return "WAFA_IDENTITY_KEY: expected a secret of your own for a Kafka that is not on this machine"


_BETWEEN: Final[tuple[tuple[frozenset[str], Callable[[Settings], str | None]], ...]] = (
    (frozenset(("kafka_heartbeat_seconds", "kafka_session_timeout_seconds")), _heartbeat),
    (frozenset(("kafka_security_protocol", "kafka_sasl_username", "kafka_sasl_password")), _sign_in),
    (frozenset(("kafka_bootstrap_servers", "identity_key")), _own_key),
)
"""What must hold between settings, and which: it is asked where each of them is right by itself."""


def load(**given: object) -> Settings:
    """The settings from the environment, `given` ones first. Raises BadSettings with every problem in one message."""
    problems = list(_unknown(os.environ))  # noqa: TID251 - here is where it is read
    wrong: set[str] = set()
    try:
        settings = Settings(**given)  # type: ignore[arg-type]  # the names are checked by pydantic, with better messages
    except ValidationError as error:
        for problem in error.errors():
            name = str(problem["loc"][0])
            wrong.add(name)
            expected = problem["msg"].removeprefix("Value error, ")
            problems.append(f"{_PREFIX}{name.upper()}: {expected}, got {_shown(name, problem['input'])}")
        usual = {name: Settings.model_fields[name].default for name in wrong}
        settings = Settings(**{**given, **usual})
    problems += [said for names, check in _BETWEEN if not names & wrong and (said := check(settings)) is not None]
    if problems:
        raise BadSettings("Settings that cannot work:\n" + "\n".join(f"  {problem}" for problem in problems))
    return settings


def _shown(name: str, value: object) -> str:
    """A value as the message quotes it; not where it is, or looks as if it held, a password."""
    return "one that is not shown" if name in _NOT_SHOWN or "@" in str(value) else repr(value)


def _unknown(environment: Mapping[str, str]) -> Iterator[str]:
    """Variables that look like settings and are none, each with the setting it may have been meant as."""
    known = [_PREFIX + name.upper() for name in Settings.model_fields]
    for name, value in sorted(environment.items()):
        capitals = name.upper()
        if not capitals.startswith(_PREFIX) or capitals in known:
            continue
        if _KUBERNETES.fullmatch(capitals) or (capitals.endswith("_PORT") and "://" in value):
            continue
        meant = get_close_matches(capitals, known, 1)
        yield f"{name}: there is no such setting" + "".join(f"; is {each} meant?" for each in meant)

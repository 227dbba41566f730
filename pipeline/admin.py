"""What stands on the broker, and how far behind it we are: topics made and checked, end offsets, the group's positions.

The sole user of kafka-python. Every call is bounded in time, may come from any thread, and outlives broker restarts: a
client that failed is thrown away and made anew. Partition counts are never changed in place: a customer's events would
move to another partition, away from their order and their state.
"""

from __future__ import annotations

import contextlib
import re
import socket
import threading
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, Literal, Self, TypeVar

from kafka import IsolationLevel, TopicPartition
from kafka.admin import ConfigResource, ConfigResourceType, KafkaAdminClient, OffsetSpec
from kafka.errors import AuthorizationError, BrokerResponseError, KafkaError, SaslAuthenticationFailedError
from kafka.net.compat import KafkaNetClient
from kafka.net.inet import KafkaNetSocket

from pipeline import topics as rows
from pipeline.kafka_clients import kafka_python_config, refusal
from pipeline.settings import LOG_TOPICS, Settings
from pipeline.topics import Topic

T = TypeVar("T")

DOOR_INPUTS: Final = (*rows.SOURCES, rows.UNIDENTIFIED_EVENTS, rows.CONTROLS, rows.MENTIONS)
INPUTS_OF_ROLE: Final[dict[str, tuple[Topic, ...]]] = {
    "all": (*DOOR_INPUTS, rows.CUSTOMER_EVENTS),
    "doors": DOOR_INPUTS,
    "customers": (rows.CUSTOMER_EVENTS,),
}
"""What a worker consumes, by its role."""
WORKER_INPUTS: Final = INPUTS_OF_ROLE["all"]
"""What the worker consumes, and so can be behind on."""

SEALED: Final = "100"
"""The `max.message.bytes` of a log that is being repartitioned: the broker takes no record of ours."""
RETIRED: Final = "101"
"""The same of a log in whose place there is one of another count."""
_LIMIT: Final = "max.message.bytes"
_CLOSED: Final = {
    SEALED: "sealed: a repartition is not finished; run it again, or `wafa repartition --abandon`",
    RETIRED: "retired: it was repartitioned, and WAFA_LOG_PARTITIONS is not the count it has now",
}
_TIMEOUT_SECONDS: Final = 10.0
_RETRY_SECONDS: Final = 0.2
_SHOWN_SECONDS: Final = 10.0
"""A broker busy with other things shows a changed setting within this time."""
_REPLICATED: Final = 3
_TOPIC_EXISTS: Final = 36  # Kafka's error codes
_UNKNOWN_TOPIC: Final = 3
_NOT_ALLOWED: Final = 29
_REFUSAL_SECONDS: Final = 3.0
"""How long a broker that has not answered is asked, by another client, whether it refuses us."""
_REFUSED: Final = "it refuses us (user, password or rights)"


class BrokerUnreachable(Exception):
    """Kafka did not answer in time, or does not let us in; the message names the servers and the cause."""


class BrokerRefused(Exception):
    """Kafka answered, and will not do what was asked."""


class TopicsMissing(Exception):
    """Topics that Wafa needs are not on the broker."""


@dataclass(frozen=True, slots=True)
class TopicState:
    """A topic as it stands on the broker. `id` changes when a topic is deleted and made anew under its name."""

    name: str
    id: str
    partitions: int
    replication: int


@dataclass(frozen=True, slots=True)
class Difference:
    """One way in which a topic is not as it should be. `what`: topic, partitions, replication, or a setting's name."""

    topic: str
    what: str
    expected: str
    got: str
    is_fixable: bool

    def __str__(self) -> str:
        """As a line for people."""
        return f"{self.topic}: {self.what}: expected {self.expected}, got {self.got}"


@dataclass(frozen=True, slots=True)
class TopicOutcome:
    """What `create_topics` did about a topic."""

    topic: str
    outcome: Literal["created", "right", "fixed", "differs"]
    differences: tuple[Difference, ...] = ()


@dataclass(frozen=True, slots=True)
class Lag:
    """How far a partition's reader is behind. `position` is None where it never committed: all records count then."""

    topic: str
    partition: int
    position: int | None
    end: int
    records: int


class _Connecting(KafkaNetSocket):  # type: ignore[misc]  # kafka-python has no types
    """The library's way to a broker, which in 3.0.12 leaves the socket of a refused connection open.

    The library finds it by the scheme of its `proxy_url`.
    """

    SCHEMES: Final = ("wafa-direct",)

    async def sock_connect(self, net: Any, sock: socket.socket, sockaddr: Any, timeout_at: float | None = None) -> Any:
        """The socket, connected; closed where it cannot be, also when the client is closed meanwhile."""
        try:
            return await super().sock_connect(net, sock, sockaddr, timeout_at=timeout_at)
        except BaseException:
            sock.close()
            raise


class _Client(KafkaAdminClient):  # type: ignore[misc]  # kafka-python has no types
    """The library's client without four faults of 3.0.12.

    When it could not connect it left its thread running and the socket open, and said only that time was out, even
    where the broker had refused the password; and it closed sockets under that thread's hands.
    """

    def __init__(self, **config: object) -> None:
        self._refusal: Exception | None = None
        try:
            super().__init__(**config, kafka_client=self._watched, proxy_url=f"{_Connecting.SCHEMES[0]}://")
        except (KafkaError, OSError) as error:
            self._closed = False
            self.close()
            refusal: Exception | None = self._refusal  # set meanwhile by `_note`, in another thread
            raise error if refusal is None else refusal from error

    def _watched(self, **config: object) -> KafkaNetClient:
        """The library's connections, each of which tells why it could not be made."""
        client = KafkaNetClient(**config)
        connect = client._manager.get_connection  # noqa: SLF001 - a private name, watched by tests/admin/test_security.py

        def get_connection(*args: object, **options: object) -> Any:  # as above
            connection = connect(*args, **options)
            connection.init_future.add_errback(self._note)
            return connection

        client._manager.get_connection = get_connection  # noqa: SLF001 - as above
        return client

    def _note(self, error: Exception) -> None:
        if isinstance(error, SaslAuthenticationFailedError | AuthorizationError):
            self._refusal = error

    def close(self) -> None:
        """End the connections on the thread that owns them, then the thread."""
        with contextlib.suppress(KafkaError, OSError, RuntimeError):  # thrown away; a second failure says nothing new
            self._manager.run(self._manager.close)
            super().close()


class Admin:
    """A connection for questions about the broker, to be kept open. Threads may share it; they wait for each other."""

    def __init__(self, settings: Settings, *, timeout_seconds: float = _TIMEOUT_SECONDS) -> None:
        """Connects at the first question, not here. `timeout_seconds` bounds every question, reconnecting included."""
        self.settings = settings
        self._timeout_seconds = timeout_seconds
        self._lock = threading.Lock()
        self._client: Any = None  # kafka-python has no types

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Hang up. A later question connects again."""
        with self._lock:
            self._drop()

    # -- topics -----------------------------------------------------------------------------------------------------

    def create_topics(self, wanted: Sequence[Topic] = rows.TOPICS, *, fix: bool = False) -> list[TopicOutcome]:
        """Make what is missing; with `fix`, also set settings that differ. Partition counts are left as they are."""
        found = self.check_topics(wanted)
        missing = {difference.topic for difference in found if difference.what == "topic"}
        if any(difference.what == "log" for difference in found):  # an empty log beside it would forget everybody
            missing -= {self.settings.topic(name) for name in LOG_TOPICS}
        if missing:
            self._create({self.settings.topic(t.name): t for t in wanted if self.settings.topic(t.name) in missing})
        differences = self.check_topics(wanted)
        fixable = [difference for difference in differences if difference.is_fixable]
        if fix and fixable:
            self._set(fixable)
            deadline = time.monotonic() + _SHOWN_SECONDS
            differences = self.check_topics(wanted)
            while any(each.is_fixable for each in differences) and time.monotonic() < deadline:
                time.sleep(_RETRY_SECONDS)
                differences = self.check_topics(wanted)
        fixed = {difference.topic for difference in fixable} if fix else set()
        outcomes = []
        for name in (self.settings.topic(topic.name) for topic in wanted):
            left = tuple(difference for difference in differences if difference.topic == name)
            outcome: Literal["created", "right", "fixed", "differs"] = (
                "differs" if left else "created" if name in missing else "fixed" if name in fixed else "right"
            )
            outcomes.append(TopicOutcome(name, outcome, left))
        return outcomes

    def check_topics(self, wanted: Sequence[Topic] = rows.TOPICS) -> list[Difference]:
        """Every way in which the broker's topics are not as they should be; an empty list means all is right."""
        states = self.topic_states(wanted, missing_ok=True)
        configs = self._configs(states)
        differences = []
        for topic in wanted:
            name = self.settings.topic(topic.name)
            state = states.get(name)
            if state is None:
                differences.append(Difference(name, "topic", "one", "none", is_fixable=False))
                continue
            expected_count = self.settings.partitions(topic)
            if state.partitions != expected_count:
                differences.append(
                    Difference(name, "partitions", str(expected_count), str(state.partitions), is_fixable=False)
                )
            if configs[name].get(_LIMIT) in (SEALED, RETIRED):
                differences.append(Difference(name, "use", "open", _CLOSED[configs[name][_LIMIT]], is_fixable=False))
            if state.replication < self.settings.kafka_replication_factor:
                expected = f"at least {self.settings.kafka_replication_factor}"
                differences.append(Difference(name, "replication", expected, str(state.replication), is_fixable=False))
            for setting, expected in expected_config(topic, self.settings).items():
                got = configs[name].get(setting, "none")
                if got != expected:
                    differences.append(Difference(name, setting, expected, got, is_fixable=True))
        if any(topic.name in LOG_TOPICS for topic in wanted):
            differences.extend(
                Difference(
                    self.settings.topic(rows.CUSTOMER_EVENTS.name), "log", "the only one", other, is_fixable=False
                )
                for other in self.other_logs()
            )
        return differences

    # -- the customers' log under another count -----------------------------------------------------------------------

    def other_logs(self) -> list[str]:
        """Logs of the customers under another count that are not retired: while there are any, none may be used."""
        base = self.settings.topics_prefix + rows.CUSTOMER_EVENTS.name
        ours = self.settings.topic(rows.CUSTOMER_EVENTS.name)
        pattern = re.compile(re.escape(base) + r"(\.p\d+)?")
        found = [name for name in self._ask(lambda client: client.list_topics()) if pattern.fullmatch(name)]
        others = sorted(name for name in found if name != ours)
        configs = self._configs(others)
        return [name for name in others if configs.get(name, {}).get(_LIMIT) != RETIRED]

    def seal(self, topic: str, use: str | None) -> None:
        """Have the broker refuse records on a topic (SEALED, RETIRED), or take them again (None).

        A limit of 100 bytes stops every record of ours and lets the marks that end transactions through (78 bytes).
        """
        setting: Any = ("DELETE", None) if use is None else use
        self._alter({topic: {_LIMIT: setting}})
        deadline = time.monotonic() + self._timeout_seconds
        while self.use_of(topic) != use:
            if time.monotonic() > deadline:
                raise BrokerRefused(f"{topic}: {_LIMIT} was set, and is not so after {self._timeout_seconds:g} s")
            time.sleep(_RETRY_SECONDS)

    def use_of(self, topic: str) -> str | None:
        """SEALED, RETIRED, or None for a topic in use, or not there."""
        use = self._configs([topic]).get(topic, {}).get(_LIMIT) if self.is_there(topic) else None
        return use if use in (SEALED, RETIRED) else None

    def is_there(self, topic: str) -> bool:
        """Whether there is a topic of this full name."""
        described = self._ask(lambda client: client.describe_topics([topic]))
        return any(each["name"] == topic and each["error_code"] == 0 for each in described)

    def make_log(self) -> None:
        """Make the customers' log and changelog of the settings' count, whatever other log there is."""
        self._create({self.settings.topic(each.name): each for each in (rows.CUSTOMER_EVENTS, rows.CUSTOMER_STATE)})

    def delete(self, topics: Sequence[str]) -> None:
        """Delete these topics, and wait until nobody finds them."""
        there = [topic for topic in topics if self.is_there(topic)]
        if there:
            self._ask(lambda client: client.delete_topics(there))
        deadline = time.monotonic() + self._timeout_seconds
        while any(self.is_there(topic) for topic in there):
            if time.monotonic() > deadline:
                raise BrokerRefused(f"deleting {', '.join(there)}: still there after {self._timeout_seconds:g} s")
            time.sleep(_RETRY_SECONDS)

    # -- what is there ------------------------------------------------------------------------------------------------

    def topic_states(self, wanted: Iterable[Topic], *, missing_ok: bool = False) -> dict[str, TopicState]:
        """The topics as they stand, by full name. Raises TopicsMissing unless `missing_ok`."""
        names = [self.settings.topic(topic.name) for topic in wanted]
        described = self._ask(lambda client: client.describe_topics(names)) if names else []
        states = {
            topic["name"]: TopicState(
                topic["name"], str(topic["topic_id"]), len(topic["partitions"]),
                min((len(partition["replica_nodes"]) for partition in topic["partitions"]), default=0),
            )
            for topic in described
            if topic["error_code"] == 0
        }  # fmt: skip
        failed = {t["name"]: t["error_code"] for t in described if t["error_code"] not in (0, _UNKNOWN_TOPIC)}
        if hidden := [name for name, code in failed.items() if code == _NOT_ALLOWED]:
            raise self._right_missing("DESCRIBE", hidden)
        if failed:
            raise BrokerRefused(f"describing topics: error codes by topic {failed}")
        absent = [name for name in names if name not in states]
        if absent and not missing_ok:
            raise TopicsMissing(f"not on the broker: {', '.join(absent)}; `wafa topics create` makes them")
        return states

    def _configs(self, names: Iterable[str]) -> dict[str, dict[str, str]]:
        resources = [ConfigResource(ConfigResourceType.TOPIC, name) for name in names]
        if not resources:
            return {}
        described = self._ask(lambda client: client.describe_configs(resources, config_filter="all"))
        found = {
            name: {setting: str(entry["value"]) for setting, entry in entries.items()}
            for name, entries in described.get("topic", {}).items()
        }
        # The library says nothing of a refusal; who took it for a topic without settings would miss a seal.
        if hidden := [each.name for each in resources if not found.get(each.name)]:
            raise self._right_missing("DESCRIBE_CONFIGS", hidden)
        return found

    def _create(self, wanted: Mapping[str, Topic]) -> None:
        new = {
            name: {
                "num_partitions": self.settings.partitions(topic),
                "replication_factor": self.settings.kafka_replication_factor,
                "configs": expected_config(topic, self.settings),
            }
            for name, topic in wanted.items()
        }
        answer = self._ask(lambda client: client.create_topics(new, raise_errors=False))
        if hidden := [topic["name"] for topic in answer["topics"] if topic["error_code"] == _NOT_ALLOWED]:
            raise self._right_missing("CREATE", hidden)
        refused = [
            f"{topic['name']}: error {topic['error_code']}: {topic['error_message']}"
            for topic in answer["topics"]
            if topic["error_code"] not in (0, _TOPIC_EXISTS)
        ]
        if refused:
            raise BrokerRefused("creating topics: " + "; ".join(refused))
        self._ask(lambda client: client.wait_for_topics(list(wanted), timeout_ms=int(self._timeout_seconds * 1000)))

    def _set(self, differences: Iterable[Difference]) -> None:
        by_topic: dict[str, dict[str, str]] = {}
        for difference in differences:
            by_topic.setdefault(difference.topic, {})[difference.what] = difference.expected
        self._alter(by_topic)

    def _alter(self, by_topic: Mapping[str, Mapping[str, Any]]) -> None:
        resources = [ConfigResource(ConfigResourceType.TOPIC, name, dict(told)) for name, told in by_topic.items()]
        answer = self._ask(lambda client: client.alter_configs(resources))
        said_of = answer.get("topic", {})
        if hidden := [name for name, said in said_of.items() if "TopicAuthorizationFailed" in said]:
            raise self._right_missing("ALTER_CONFIGS", hidden)
        refused = [f"{name}: {said}" for name, said in said_of.items() if said != "OK"]
        if refused:
            raise BrokerRefused("setting topics: " + "; ".join(refused))

    # -- offsets ----------------------------------------------------------------------------------------------------

    def end_offsets(self, wanted: Iterable[Topic], *, committed_only: bool = False) -> dict[tuple[str, int], int]:
        """The next offset to be written, by (full topic name, partition).

        With `committed_only`, as far as a read-committed consumer can come: short of the first open transaction.
        """
        states = self.topic_states(wanted).values()
        isolation = IsolationLevel.READ_COMMITTED if committed_only else IsolationLevel.READ_UNCOMMITTED
        return self._offsets(states, OffsetSpec.LATEST, isolation)

    def _offsets(
        self,
        states: Iterable[TopicState],
        which: OffsetSpec,
        isolation: IsolationLevel = IsolationLevel.READ_UNCOMMITTED,
    ) -> dict[tuple[str, int], int]:
        specs = {TopicPartition(s.name, partition): which for s in states for partition in range(s.partitions)}
        if not specs:
            return {}
        timeout_ms = int(self._timeout_seconds * 1000)
        found = self._ask(lambda client: client.list_partition_offsets(specs, isolation, timeout_ms=timeout_ms))
        return {(place.topic, place.partition): at.offset for place, at in found.items()}

    def positions(self) -> dict[tuple[str, int], int]:
        """How far the workers have come, in whatever roles, by (full topic name, partition); none where nobody was."""
        reached: dict[tuple[str, int], int] = {}
        for role in INPUTS_OF_ROLE:  # a position never goes back: of two groups' the later is right
            for place, position in self.group_positions(self.settings.worker_group(role)).items():
                reached[place] = max(position, reached.get(place, 0))
        return reached

    def group_positions(self, group: str) -> dict[tuple[str, int], int]:
        """What a consumer group committed, by (full topic name, partition). A group nobody knows has none."""
        found = self._ask(lambda client: client.list_group_offsets(group))
        return {
            (place.topic, place.partition): at.offset for place, at in found.get(group, {}).items() if at.offset >= 0
        }

    def workers(self) -> list[str]:
        """Every worker that is in its group now, in whatever role, as `client@host`."""
        return [who for role in INPUTS_OF_ROLE for who in self.group_members(self.settings.worker_group(role))]

    def workers_beside(self, role: str) -> list[str]:
        """Workers in other roles that consume what one in this role does.

        Raises where this role's own group may not be asked for: who joins it all the same hears nothing, and waits.
        """
        self.group_members(self.settings.worker_group(role))
        ours = INPUTS_OF_ROLE[role]
        beside = [
            other for other, inputs in INPUTS_OF_ROLE.items() if other != role and not set(inputs).isdisjoint(ours)
        ]
        return [f"{who} ({other})" for other in beside for who in self.group_members(self.settings.worker_group(other))]

    def group_members(self, group: str) -> list[str]:
        """Who is in a consumer group, as `client@host`. A group nobody knows has nobody."""
        found = self._ask(lambda client: client.describe_groups([group]))
        return [f"{each['client_id']}@{each['client_host'].lstrip('/')}" for each in found[group]["members"]]

    def lag(self, wanted: Sequence[Topic] = WORKER_INPUTS) -> list[Lag]:
        """How far the workers are behind, by topic and partition.

        Positions are read before ends, so lag is never understated. The groups' offsets are published about once a
        second for tools such as this; the worker itself resumes from its changelogs.
        """
        positions = self.positions()
        states = self.topic_states(wanted)
        ends = self._offsets(states.values(), OffsetSpec.LATEST)
        unread = {
            name: state
            for name, state in states.items()
            if any((name, p) not in positions for p in range(state.partitions))
        }
        begins = self._offsets(unread.values(), OffsetSpec.EARLIEST)
        lags = []
        for (name, partition), end in sorted(ends.items()):
            position = positions.get((name, partition))
            since = begins[name, partition] if position is None else position
            lags.append(Lag(name, partition, position, end, max(0, end - since)))
        return lags

    def _right_missing(self, operation: str, names: Sequence[str]) -> BrokerUnreachable:
        return BrokerUnreachable(f"{self._whom}: it refuses us: {operation} on Topic {', '.join(names)} is missing")

    # -- the connection ---------------------------------------------------------------------------------------------

    def _ask(self, question: Callable[[Any], T]) -> T:
        """Ask, connecting anew after a failure, until answered or out of time. One question at a time."""
        deadline = time.monotonic() + self._timeout_seconds
        with self._lock:
            while True:
                try:
                    return question(self._connected(deadline))
                except (SaslAuthenticationFailedError, AuthorizationError) as error:
                    self._drop()
                    raise BrokerUnreachable(f"{self._whom}: {_REFUSED}: {_said(error)}") from error
                except (KafkaError, OSError, RuntimeError) as error:
                    if isinstance(error, BrokerResponseError) and not error.retriable:
                        raise BrokerRefused(f"{self._whom}: {_said(error)}") from error
                    self._drop()
                    if time.monotonic() + _RETRY_SECONDS >= deadline:
                        raise BrokerUnreachable(f"{self._whom}: {self._why_silent(error)}") from error
                time.sleep(_RETRY_SECONDS)

    def _why_silent(self, error: Exception) -> str:
        """Why there was no answer: nobody there, or one that kafka-python does not hear.

        It drops what comes together with the connection's end, so that a refused password can look like silence.
        """
        if self.settings.kafka_security_protocol.startswith("SASL"):
            refused = refusal(self.settings, within_seconds=_REFUSAL_SECONDS)
            if refused is not None:
                return f"{_REFUSED}: {refused}"
        return f"no answer within {self._timeout_seconds:g} s: {_said(error)}"

    def _connected(self, deadline: float) -> Any:  # kafka-python has no types
        if self._client is None:
            self._knock(deadline)
            self._client = _Client(
                **kafka_python_config(self.settings, client_id=f"{self.settings.worker_app_id}-admin"),
                bootstrap_timeout_ms=max(1, int((deadline - time.monotonic()) * 1000)),
                request_timeout_ms=max(1, int(self._timeout_seconds * 500)),
                reconnect_backoff_max_ms=1000,
            )
        return self._client

    def _knock(self, deadline: float) -> None:
        """Raise OSError unless one of the servers listens: says why, which the library would only log."""
        refused = OSError("no server given")
        for server in self.settings.kafka_bootstrap_servers.split(","):
            host, _, port = server.strip().rpartition(":")
            try:
                socket.create_connection((host.strip("[]"), int(port)), max(0.1, deadline - time.monotonic())).close()
            except OSError as error:
                refused = error
            else:
                return
        raise refused

    def _drop(self) -> None:
        client, self._client = self._client, None
        if client is not None:
            client.close()

    @property
    def _whom(self) -> str:
        return f"Kafka at {self.settings.kafka_bootstrap_servers}"


def expected_config(topic: Topic, settings: Settings) -> dict[str, str]:
    """The settings a topic should have on the broker: its row's, and what follows from them."""
    config = topic.broker_config()
    if topic.retention_ms == rows.FOREVER_MS:
        config["retention.bytes"] = "-1"  # else a broker-wide size limit would delete history
    if settings.kafka_replication_factor >= _REPLICATED:
        config["min.insync.replicas"] = "2"  # an acknowledged record survives the loss of a broker
    return config


def create_topics(settings: Settings, *, fix: bool = False) -> list[TopicOutcome]:
    """As `Admin.create_topics`, once."""
    with Admin(settings) as admin:
        return admin.create_topics(fix=fix)


def check_topics(settings: Settings) -> list[Difference]:
    """As `Admin.check_topics`, once."""
    with Admin(settings) as admin:
        return admin.check_topics()


def lag(settings: Settings) -> list[Lag]:
    """As `Admin.lag`, once."""
    with Admin(settings) as admin:
        return admin.lag()


def _said(error: BaseException) -> str:
    return f"{type(error).__name__}: {error}" if str(error) else type(error).__name__

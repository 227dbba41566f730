"""The composition root: settings in, a worker out. Everything else is handed what it needs from here."""

from __future__ import annotations

import asyncio
import gc
import ssl
import time
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from datetime import UTC, datetime
from itertools import product
from typing import Any, Final

import faust
import structlog
from confluent_kafka import KafkaError, KafkaException, Message, Producer
from faust.types.auth import CredentialsT

from pipeline import metrics, topics
from pipeline.admin import INPUTS_OF_ROLE, Admin
from pipeline.agents import (
    clock,
    complaints,
    contacts,
    controls,
    costs,
    customers,
    emails,
    identify,
    ingest,
    purchases,
    reputation,
    socials,
)  # fmt: skip
from pipeline.agents.directory import Directory
from pipeline.core.door import Shop
from pipeline.core.profile import Lifecycle, Stage
from pipeline.core.rates import load_rates
from pipeline.engine.copies import Copies
from pipeline.engine.disk import NotInstalled, require_rocksdb
from pipeline.engine.processor import ProcessorFactory, Spec
from pipeline.engine.runtime import Engine, TaskStatus
from pipeline.engine.shell import Shell, attach, faust_app
from pipeline.engine.task import Limits, Phase
from pipeline.fatal import FatalRaised
from pipeline.kafka_clients import librdkafka_config, tls_context
from pipeline.language import sentiment
from pipeline.places import PROCESSORS, place_of
from pipeline.settings import Settings
from pipeline.watchdog import Pulse, Standstill, Watchdog

log = structlog.get_logger("wafa.worker")

AGENTS: Final = {
    topics.CONTACTS: contacts.contacts,
    topics.PURCHASES: purchases.purchases,
    topics.EMAILS: emails.emails,
    topics.SOCIALS: socials.socials,
    topics.COMPLAINTS: complaints.complaints,
    topics.COSTS: costs.costs,
    topics.UNIDENTIFIED_EVENTS: identify.identify,
    topics.CONTROLS: controls.controls,
    topics.CUSTOMER_EVENTS: customers.customers,
    topics.MENTIONS: reputation.reputation,
}
_DIRECTORY_SECONDS: Final = 120.0
_WATCH_SECONDS: Final = 1.0


class CannotStart(Exception):
    """Something the worker needs is not there; the message names it and the remedy."""


class Worker:
    """One worker process: the engine, its Faust app, the directory, the clock, metrics and probes."""

    def __init__(
        self,
        settings: Settings,
        *,
        at: Callable[[str], None] = lambda step: None,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),  # noqa: TID251 - where the wall clock comes in
    ) -> None:
        self.settings = settings
        self._client = librdkafka_config(settings)
        self._directory = Directory(self._client, settings.topic(topics.IDENTITIES.name))
        self._admin = Admin(settings)
        self._shop = Shop(
            settings.shop_currency, load_rates(settings.shop_rates_file), sentiment, settings.shop_opened_at
        )
        self.engine = Engine(
            self._specs(), app_id=settings.worker_app_id, client=self._client, limits=_limits(settings),
            copies=_copies(settings), at=at,
        )  # fmt: skip
        self.app = self._faust_app()
        self._pulse = Pulse(self._client, settings.topic(topics.CUSTOMER_EVENTS.name))
        self._watchdog = Watchdog(
            self._pulse,
            stall_seconds=settings.worker_stall_seconds,
            grace_seconds=settings.worker_grace_seconds,
            is_stopping=lambda: self.app.should_stop,
        )
        self._now = now
        self._append: Producer | None = None
        self._started = False
        self._late_seconds = 0.0

    # -- what runs ------------------------------------------------------------------------------------------------

    def _specs(self) -> list[Spec]:
        settings, name = self.settings, self.settings.topic
        door_names, log_names = ingest.Names.of(name), customers.Names.of(name)
        key = settings.identity_key.get_secret_value().encode()
        sources = {}
        for source in topics.SOURCES:
            fuse = ingest.Fuse(
                source.name,
                refused_fraction=settings.worker_fuse_refused_fraction,
                records_min=settings.worker_fuse_records_min,
            )
            sources[source] = ingest.factory(
                source, names=door_names, directory=self._directory, key=key, shop=self._shop, fuse=fuse
            )
        copied = controls.factory(
            name(topics.CUSTOMER_EVENTS.name), settings.partitions(topics.CUSTOMER_EVENTS),
            is_clock_ours=settings.clock_source == "wall",
        )  # fmt: skip
        specs = [
            *(self._spec(source, door) for source, door in sources.items()),
            self._spec(topics.UNIDENTIFIED_EVENTS, identify.factory(door_names), is_large=True),
            self._spec(topics.CONTROLS, copied),
            self._spec(
                topics.CUSTOMER_EVENTS, customers.factory(log_names), flush_seconds=settings.worker_views_seconds,
                is_large=True,
            ),
            self._spec(topics.MENTIONS, reputation.factory()),
        ]  # fmt: skip
        inputs = {name(topic.name) for topic in INPUTS_OF_ROLE[settings.worker_role]}
        return [spec for spec in specs if spec.topic in inputs]

    def _spec(self, topic: topics.Topic, factory: ProcessorFactory, **more: Any) -> Spec:
        """The processor of a topic; `more`: what it has beyond the usual."""
        place = place_of(self.settings, topic)
        return Spec(PROCESSORS[topic.name], self.settings.topic(topic.name), factory, place, **more)

    def _faust_app(self) -> faust.App:
        settings = self.settings
        tls = tls_context(settings)
        shell = Shell(
            app_id=settings.worker_group(settings.worker_role),
            bootstrap_servers=settings.kafka_bootstrap_servers,
            data_dir=settings.worker_data_dir,
            session_timeout_seconds=settings.kafka_session_timeout_seconds,
            heartbeat_seconds=settings.kafka_heartbeat_seconds,
            records_max=settings.worker_batch_records_max,
            credentials=_credentials(settings, tls),
            tls=tls,
            instance_id=settings.worker_instance_id,
        )
        app = faust_app(shell, self.engine)
        for topic in INPUTS_OF_ROLE[settings.worker_role]:
            agent = AGENTS[topic]
            attach(app, agent.__name__, settings.topic(topic.name), agent(self.engine.take))
        app.task(self._watch)
        app.on_before_shutdown.connect(self._finish, weak=False)
        if settings.clock_source == "wall" and topics.CONTROLS in INPUTS_OF_ROLE[settings.worker_role]:
            app.task(self._keep_time)
        return app

    # -- its life -------------------------------------------------------------------------------------------------

    def prepare(self) -> None:
        """Look whether everything is there, and learn who is who. Raises CannotStart."""
        if self.settings.store_kind == "disk":
            try:
                require_rocksdb()
            except NotInstalled as error:
                raise CannotStart(str(error)) from error
        blocking = []
        for difference in self._admin.check_topics():
            if difference.is_fixable:  # a setting: said, and worked with
                log.warning("topic_differs", topic=difference.topic, problem=str(difference))
            else:
                blocking.append(difference)
        if blocking:
            listed = "\n".join(f"  {difference}" for difference in blocking)
            raise CannotStart(
                f"The broker's topics are not as Wafa needs them (`wafa topics create` makes them):\n{listed}"
            )
        self._wait_for_other_roles()
        if self.settings.worker_role != "customers":  # who is who is asked at the doors
            self._directory.start()
            if not self._directory.wait_until_read(_DIRECTORY_SECONDS):
                raise CannotStart(f"crm.identities.v1 was not read to its end in {_DIRECTORY_SECONDS:.0f} s")
            log.info("directory_read", aliases=len(self._directory))
        self._started = True
        for topic in INPUTS_OF_ROLE[self.settings.worker_role]:  # as checked just now
            metrics.TOPIC_PARTITIONS.labels(topic=self.settings.topic(topic.name)).set(self.settings.partitions(topic))

    def _wait_for_other_roles(self) -> None:
        """Who has our inputs in another role would fence us, and we them. One that died is a member for a while yet."""
        deadline = time.monotonic() + self.settings.kafka_session_timeout_seconds + _WATCH_SECONDS
        while others := self._admin.workers_beside(self.settings.worker_role):
            if time.monotonic() > deadline:
                raise CannotStart(
                    f"WAFA_WORKER_ROLE={self.settings.worker_role}: expected no worker in another role with the same "
                    f"inputs, got {', '.join(others)}; end them first"
                )
            time.sleep(_WATCH_SECONDS)

    def run(self) -> None:
        """Work until told to stop (SIGTERM, SIGINT). Does not return: Faust's worker ends the process."""
        self.settings.worker_data_dir.mkdir(parents=True, exist_ok=True)
        collect_rarely()
        # Logging is set up already (`logs`); Faust would put its own in its place, and terminal codes into the output.
        worker = faust.Worker(self.app, override_logging=False, redirect_stdouts=False, quiet=True)
        worker.spinner = None
        self._watchdog.start()
        worker.execute_from_commandline()

    async def _finish(self, *_: Any, **__: Any) -> None:
        """Told to end: commit what is in hand, and let go of everything."""
        await self.engine.stop()
        await asyncio.to_thread(self._directory.stop)

    async def _watch(self) -> None:
        """Every second: the gauges, and what does not move. Silent stalls are the best-known fault of what is below."""
        while not self.app.should_stop:
            before = time.monotonic()
            await asyncio.sleep(_WATCH_SECONDS)
            self._late_seconds = max(0.0, time.monotonic() - before - _WATCH_SECONDS)
            metrics.EVENT_LOOP_LAG.set(self._late_seconds)
            self.engine.look()
            statuses = self.engine.status()
            _show(statuses, self.engine.topics)
            metrics.STANDBY_PARTITIONS.set(len(self.engine.standbys()))
            metrics.set_worker_state(self._state(statuses))
            self._watchdog.beat(_standing(self.engine))

    def _state(self, statuses: list[TaskStatus]) -> str:
        if self.app.should_stop:
            return "stopping"
        if not self.engine.is_assigned:
            return "rebalancing" if statuses else "starting"
        return "recovering" if any(each.phase is Phase.RECOVERING for each in statuses) else "running"

    async def _keep_time(self) -> None:
        settings = self.settings
        around = clock.Surroundings(
            is_ours=lambda: self.engine.owns(settings.topic(topics.CONTROLS.name), 0),
            end_offsets=self._admin.end_offsets,
            reached=self._admin.positions,
            append=self._append_control,
            now=self._now,
        )
        await clock.keep_time(
            around,
            first=topics.SOURCES,
            then=(topics.UNIDENTIFIED_EVENTS,),
            tick_seconds=settings.clock_tick_seconds,
            sleep=asyncio.sleep,
            should_stop=lambda: self.app.should_stop,
        )

    def _append_control(self, kind: bytes, value: bytes) -> None:
        if self._append is None:
            self._append = Producer({**self._client, "enable.idempotence": True, "delivery.timeout.ms": 30_000})
        failed: list[KafkaError] = []

        def delivered(error: KafkaError | None, _message: Message) -> None:
            if error is not None:
                failed.append(error)

        self._append.produce(self.settings.topic(topics.CONTROLS.name), value, kind, 0, on_delivery=delivered)
        with FatalRaised():
            left = self._append.flush(30.0)
        if failed:
            raise KafkaException(failed[0])
        if left:
            raise TimeoutError("the control was not delivered within 30 s")

    # -- what probes ask ------------------------------------------------------------------------------------------

    def probes(self) -> metrics.Probes:
        """Startup: everything was there once. Live: the work moves. Ready: every partition is recovered and flows."""
        return metrics.Probes(startup=self._is_started, live=self._is_live, ready=self._is_ready)

    def _is_started(self) -> tuple[bool, list[str]]:
        return self._started, [] if self._started else ["topics not checked, or directory not read yet"]

    def _is_live(self) -> tuple[bool, list[str]]:
        stalled = self._watchdog.stalled()
        return not stalled, stalled

    def _is_ready(self) -> tuple[bool, list[str]]:
        reasons = self._pulse.reasons()
        if not self.engine.is_assigned:
            reasons.append("no partitions assigned yet")
        for each in self.engine.status():
            if each.phase is not Phase.RUNNING:
                left = f", {each.recovery_remaining} records to restore" if each.recovery_remaining else ""
                reasons.append(f"{each.topic}[{each.partition}]: {each.phase}{left} {each.reason}".rstrip())
        return not reasons, reasons


def collect_rarely() -> None:
    """Let the cyclic garbage collector run a hundred times less often: parsing costs half as much.

    A batch makes tens of thousands of small objects that die by themselves; cycles are rare here, and still collected.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(100_000, 50, 100)


def _standing(engine: Engine) -> list[Standstill]:
    """What should move and does not: for the watchdog, which knows how long is too long."""
    standing = [
        Standstill(
            f"{each.topic}[{each.partition}]: {each.phase}, {_behind(each)}, at {each.position}"
            + (f": {each.reason}" if each.reason else ""),
            each.stands_still_seconds,
        )
        for each in engine.standing()
    ]
    if engine.unassigned_seconds:
        standing.append(Standstill("no partitions are assigned", engine.unassigned_seconds))
    return standing


def _behind(status: TaskStatus) -> str:
    if status.phase is Phase.RUNNING and not status.lag_records:
        return "nobody asks for more"
    return f"{status.lag_records} records behind"


def _limits(settings: Settings) -> Limits:
    return Limits(
        batch_records_max=settings.worker_batch_records_max,
        batch_seconds_max=settings.worker_batch_seconds_max,
        linger_seconds=settings.worker_linger_seconds,
        transactions_per_second=settings.worker_transactions_per_second,
        transaction_timeout_seconds=settings.worker_transaction_timeout_seconds,
        refenced_after_seconds=settings.kafka_session_timeout_seconds + 4.0,
    )


def _copies(settings: Settings) -> Copies:
    large = {topics.CUSTOMER_EVENTS, topics.UNIDENTIFIED_EVENTS} & set(INPUTS_OF_ROLE[settings.worker_role])
    return Copies(
        kind=settings.store_kind,
        folder=settings.store_dir,
        cache_bytes=settings.store_cache_mib * 1024 * 1024,
        stores=sum(map(settings.partitions, large)),
        snapshot_seconds=settings.store_snapshot_seconds,
        has_standbys=settings.store_standby,
    )


def _credentials(settings: Settings, tls: ssl.SSLContext | None) -> CredentialsT | None:
    """Faust's form of the Kafka settings."""
    if settings.kafka_security_protocol.startswith("SASL"):
        password = settings.kafka_sasl_password
        return faust.SASLCredentials(
            username=settings.kafka_sasl_username,
            password=password.get_secret_value() if password else None,
            mechanism=settings.kafka_sasl_mechanism,
            ssl_context=tls,
        )
    return None if tls is None else faust.SSLCredentials(tls)


def _show(statuses: list[TaskStatus], inputs: Iterable[str]) -> None:
    """Put the tasks' state of affairs into the gauges."""
    assigned: Counter[str] = Counter()
    for each in statuses:
        place: Mapping[str, str] = {"topic": each.topic, "partition": str(each.partition)}
        assigned[each.topic] += 1
        metrics.POSITION_OFFSET.labels(**place).set(each.position)
        metrics.END_OFFSET.labels(**place).set(each.position + each.lag_records)
        metrics.CONSUMER_LAG_RECORDS.labels(**place).set(each.lag_records)
        metrics.OLDEST_UNPROCESSED_AGE.labels(**place).set(each.oldest_age_seconds)
        metrics.RECOVERY_REMAINING_RECORDS.labels(**place).set(each.recovery_remaining)
        if each.committed_at is not None:
            metrics.LAST_COMMIT_TIMESTAMP.labels(**place).set(each.committed_at)
    for topic in inputs:  # also those that went elsewhere
        metrics.ASSIGNED_PARTITIONS.labels(topic=topic).set(assigned[topic])
    population: Counter[tuple[str, str]] = Counter()
    tables = customers.live()
    metrics.MODEL_FITTED_TIMESTAMP.set(max((table.model_fitted_at for table in tables), default=0.0))
    for table in tables:
        population.update(table.population)
        metrics.PROFILES.labels(topic=table.topic, partition=str(table.partition)).set(table.population.total())
    for stage, lifecycle in product(Stage, Lifecycle):  # all: who moved or went elsewhere is no longer here
        metrics.CUSTOMERS.labels(stage=stage.label, lifecycle=lifecycle.label).set(
            population[stage.label, lifecycle.label]
        )

"""Every Prometheus metric of Wafa, and the small server that shows them beside the probes.

The sole user of prometheus_client. A metric is a constant here, named as on the wire without `wafa_` and its unit.
Labels are closed and few, never a customer's id: what a sum over them means is said in `docs/metrics.md`. What happens
once a record is counted once a batch (`inc(n)`, `Durations.observe_many`), for the hot path has 10 us a record in all.
"""

from __future__ import annotations

import errno
import itertools
import json
import platform
import threading
import time
from bisect import bisect_left, bisect_right
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from importlib.metadata import version
from socket import AF_INET, AF_INET6, socket
from typing import Final, TypeVar

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, ProcessCollector, disable_created_metrics
from prometheus_client.exposition import choose_encoder, generate_latest
from prometheus_client.metrics_core import HistogramMetricFamily, Metric
from prometheus_client.registry import Collector

disable_created_metrics()  # type: ignore[no-untyped-call]  # prometheus_client leaves this one untyped
REGISTRY: Final = CollectorRegistry()
"""Wafa's own: nothing is in it that this module did not put there."""


class DurationSeries:
    """One labelled series of `Durations`: integer buckets, filled a batch at a time."""

    __slots__ = ("_bounds", "_counts", "_lock", "_sum")

    def __init__(self, bounds: Sequence[float]) -> None:
        self._bounds = bounds
        self._counts = [0] * (len(bounds) + 1)
        self._sum = 0.0
        self._lock = threading.Lock()

    def observe(self, value: float, count: int = 1) -> None:
        """`count` durations of `value` seconds each; a negative one (clocks differ) is 0."""
        value = max(0.0, value)
        with self._lock:
            self._counts[bisect_left(self._bounds, value)] += count
            self._sum += value * count

    def observe_many(self, values: Sequence[float]) -> None:
        """A batch of durations in seconds: one sort (they come nearly sorted) and one bisection a bucket."""
        ordered = sorted(values)
        positive_from = bisect_right(ordered, 0.0)
        below = 0
        with self._lock:
            for i, bound in enumerate(self._bounds):
                through = bisect_right(ordered, bound)
                self._counts[i] += through - below
                below = through
            self._counts[-1] += len(ordered) - below
            self._sum += sum(ordered[positive_from:] if positive_from else ordered)

    def read(self) -> tuple[list[int], float]:
        """Counts a bucket (the last one above every bound), and the sum of seconds."""
        with self._lock:
            return list(self._counts), self._sum


class Durations(Collector):
    """A histogram cheap enough for every record; on the wire a Prometheus histogram like any other."""

    def __init__(self, name: str, about: str, labels: Sequence[str] = (), *, buckets: Sequence[float]) -> None:
        self.name, self.about, self.label_names = name, about, tuple(labels)
        self._bounds = tuple(float(bound) for bound in buckets)
        self._series: dict[tuple[str, ...], DurationSeries] = {}
        if not labels:
            self.labels()
        REGISTRY.register(self)

    def labels(self, **labels: str) -> DurationSeries:
        """The series of these label values, made at its first use."""
        if set(labels) != set(self.label_names):
            raise ValueError(f"{self.name}: expected labels {self.label_names}, got {tuple(labels)}")
        key = tuple(labels[name] for name in self.label_names)
        series = self._series.get(key)
        return series if series is not None else self._series.setdefault(key, DurationSeries(self._bounds))

    def observe(self, value: float, count: int = 1) -> None:
        """As `DurationSeries.observe`, where there are no labels."""
        self.labels().observe(value, count)

    def observe_many(self, values: Sequence[float]) -> None:
        """As `DurationSeries.observe_many`, where there are no labels."""
        self.labels().observe_many(values)

    def describe(self) -> Iterator[Metric]:
        """The family without its series: lets the registry refuse a name taken twice."""
        yield HistogramMetricFamily(self.name, self.about, labels=self.label_names)

    def collect(self) -> Iterator[Metric]:
        """The family as Prometheus reads it: cumulative buckets."""
        family = HistogramMetricFamily(self.name, self.about, labels=self.label_names)
        for key, series in list(self._series.items()):
            counts, total = series.read()
            names = [*(repr(bound) for bound in self._bounds), "+Inf"]
            family.add_metric(key, list(zip(names, itertools.accumulate(counts), strict=True)), total)
        yield family


AnyMetric = TypeVar("AnyMetric", Counter, Gauge, Histogram, Durations)


def now_seconds() -> float:
    """The wall clock, in seconds since 1970: for ages and latencies that are measured, never for what is decided."""
    return time.time()  # noqa: TID251 - the one place where measuring reads the clock


def declare(metric: AnyMetric, **values: Iterable[str]) -> AnyMetric:
    """Start every series of these label values at 0, so that a rate sees the first event. Returns the metric."""
    for combination in itertools.product(*values.values()):
        metric.labels(**dict(zip(values, combination, strict=True)))
    return metric


def _counter(name: str, about: str, *labels: str) -> Counter:
    return Counter(name, about, labels, registry=REGISTRY)


def _gauge(name: str, about: str, *labels: str) -> Gauge:
    return Gauge(name, about, labels, registry=REGISTRY)


def _histogram(name: str, about: str, buckets: Sequence[float], *labels: str) -> Histogram:
    return Histogram(name, about, labels, buckets=buckets, registry=REGISTRY)


_PROCESSING_BUCKETS: Final = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60)
_EVENT_BUCKETS: Final = (0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300, 3600, 86400)
_PHASE_BUCKETS: Final = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 5)
_RECORD_BUCKETS: Final = (1, 3, 10, 30, 100, 300, 1000, 3000, 10000)
_GROUP_BUCKETS: Final = (0.1, 0.5, 1, 5, 10, 30, 60, 300)
_REDIS_BUCKETS: Final = (0.0001, 0.0005, 0.001, 0.005, 0.01, 0.05, 0.1, 1, 5)

# -- flow -------------------------------------------------------------------------------------------------------------
EVENTS = _counter(
    "wafa_events_total", "Events, by the source they came from and what became of them.", "source", "outcome"
)
DEAD_LETTERS = _counter("wafa_dead_letters_total", "Records refused, by topic and first reason.", "topic", "reason")
FUSE_OPEN = _gauge("wafa_fuse_open", "1 while a source is not consumed because too much of it was refused.", "topic")
DECISIONS = _counter("wafa_decisions_total", "Decisions, by rule and outcome.", "type", "outcome", "arm")
DECISIONS_UNSENT = _counter(
    "wafa_decisions_unsent_total", "Decisions other than sent, by rule and first reason.", "type", "reason"
)
WAITING_EVENTS = _gauge("wafa_waiting_events", "Events that wait for their customer to be known.", "topic", "partition")
REPUTATION_MENTIONS = declare(
    _counter("wafa_reputation_mentions_total", "Public mentions of the brand, by sentiment.", "sentiment"),
    sentiment=("negative", "neutral", "positive", "unknown"),
)

# -- time -------------------------------------------------------------------------------------------------------------
EVENT_LATENCY = Durations(
    "wafa_event_latency_seconds", "From an event's occurrence until its effect is committed.", buckets=_EVENT_BUCKETS
)
PROCESSING = Durations(
    "wafa_processing_seconds", "From a record's receipt by the broker until its effect is committed.", ("topic",),
    buckets=_PROCESSING_BUCKETS,
)  # fmt: skip
TRIGGER_LATENCY = Durations(
    "wafa_trigger_latency_seconds", "From the receipt of a trigger's cause at its source until the trigger is held.",
    buckets=_PROCESSING_BUCKETS,
)  # fmt: skip

# -- batch ------------------------------------------------------------------------------------------------------------
BATCH_RECORDS = _histogram("wafa_batch_records", "Records in one transaction.", _RECORD_BUCKETS)
BATCH_SECONDS = declare(
    _histogram("wafa_batch_seconds", "Time of one transaction's phases.", _PHASE_BUCKETS, "phase"),
    phase=("process", "produce", "commit"),
)
COMMITS = declare(
    _counter("wafa_commits_total", "Transactions, by how they ended.", "outcome"),
    outcome=("committed", "aborted", "uncertain", "fenced"),
)

# -- partition --------------------------------------------------------------------------------------------------------
POSITION_OFFSET = _gauge("wafa_position_offset", "Next offset to process, as committed.", "topic", "partition")
END_OFFSET = _gauge("wafa_end_offset", "End of the log, as last seen.", "topic", "partition")
CONSUMER_LAG_RECORDS = _gauge("wafa_consumer_lag_records", "Records behind the end of the log.", "topic", "partition")
OLDEST_UNPROCESSED_AGE = _gauge(
    "wafa_oldest_unprocessed_age_seconds", "Since the oldest record not processed was received.", "topic", "partition"
)
LAST_COMMIT_TIMESTAMP = _gauge(
    "wafa_last_commit_timestamp_seconds", "When the last transaction was committed, since 1970.", "topic", "partition"
)
ASSIGNED_PARTITIONS = _gauge("wafa_assigned_partitions", "Partitions that this process has.", "topic")
TOPIC_PARTITIONS = _gauge("wafa_topic_partitions", "Partitions that the topic has.", "topic")

# -- group ------------------------------------------------------------------------------------------------------------
WORKER_STATES: Final = ("starting", "rebalancing", "recovering", "running", "stopping")
WORKER_STATE = declare(_gauge("wafa_worker_state", "1 for the state the worker is in.", "state"), state=WORKER_STATES)
REBALANCES = _counter("wafa_rebalances_total", "Rebalances this worker took part in.")
REBALANCE_SECONDS = _histogram("wafa_rebalance_seconds", "Time from revocation to assignment.", _GROUP_BUCKETS)
RECOVERY_SECONDS = _histogram("wafa_recovery_seconds", "Time to restore one partition.", _GROUP_BUCKETS)
RECOVERY_REMAINING_RECORDS = _gauge(
    "wafa_recovery_remaining_records",
    "Changelog records still to read before the partition runs.",
    "topic",
    "partition",
)
RECOVERIES = declare(
    _counter("wafa_recoveries_total", "Partitions restored, by what the state was begun from.", "source"),
    source=("log", "snapshot", "disk", "standby"),
)
SNAPSHOTS = declare(
    _counter("wafa_snapshots_total", "Snapshots of partitions' states, by how it went.", "outcome"),
    outcome=("written", "failed"),
)
COPIES_THROWN_AWAY = _counter(
    "wafa_copies_thrown_away_total", "Copies of states on this machine's disk that did not hold, and were deleted."
)
STANDBY_PARTITIONS = _gauge("wafa_standby_partitions", "Partitions of other workers whose changelog is followed here.")

# -- Kafka's clients --------------------------------------------------------------------------------------------------
PRODUCER_ERRORS = declare(
    _counter(
        "wafa_producer_errors_total", "Errors of producers; after a fatal one the producer is made anew.", "fatal"
    ),
    fatal=("true", "false"),
)
KAFKA_ERRORS = declare(
    _counter("wafa_kafka_errors_total", "What Kafka's client libraries complained of.", "kind"),
    kind=("authentication", "unreachable", "other"),
)

# -- serving ----------------------------------------------------------------------------------------------------------
REDIS_OPERATIONS: Final = ("positions", "write", "read")
REDIS_COMMAND_SECONDS = declare(
    _histogram(
        "wafa_redis_command_seconds", "Round trips to Redis, a pipelined batch being one.", _REDIS_BUCKETS, "op"
    ),
    op=REDIS_OPERATIONS,
)
REDIS_ERRORS = declare(
    _counter("wafa_redis_errors_total", "Round trips to Redis that failed.", "op"), op=REDIS_OPERATIONS
)
VIEW_STALENESS = _gauge(
    "wafa_view_staleness_seconds", "Age of the oldest committed record that Redis does not show yet; 0 when level."
)
VIEWS_WRITTEN = declare(
    _counter(
        "wafa_views_written_total",
        "Records brought to Redis, by kind; `older` ones changed nothing.",
        "view",
        "outcome",
    ),
    view=("profile", "trigger", "reputation"),
    outcome=("written", "older", "deleted", "unreadable"),
)
VIEW_REBUILDS = _counter(
    "wafa_view_rebuilds_total",
    "Times the views were built from the start, Redis being empty or of another layout or log.",
)

# -- business ---------------------------------------------------------------------------------------------------------
CUSTOMERS = _gauge("wafa_customers", "Customers of this process's partitions.", "stage", "lifecycle")
STAGE_TRANSITIONS = _counter("wafa_stage_transitions_total", "Moves between relationship stages.", "from", "to")
LIFECYCLE_TRANSITIONS = _counter("wafa_lifecycle_transitions_total", "Moves between lifecycles.", "from", "to")
LAST_TICK_TIMESTAMP = _gauge("wafa_last_tick_timestamp_seconds", "The instant of the last Tick, since 1970.")
TICKS_REFUSED = _counter(
    "wafa_ticks_refused_total", "Ticks more than 5 minutes ahead of the broker's clock: a worker's wall clock is wrong."
)
MODEL_FITTED_TIMESTAMP = _gauge(
    "wafa_model_fitted_timestamp_seconds",
    "When the shop's model in force was fitted, since 1970; 0 before the first.",
)
TICK_INTERVAL = _gauge("wafa_tick_interval_seconds", "How often a Tick is due.")

# -- analyst ----------------------------------------------------------------------------------------------------------
ANALYST_RUNS = _counter("wafa_analyst_runs_total", "Turns of the analyst's jobs, by how they ended.", "type", "outcome")
ANALYST_RUN_SECONDS = _gauge("wafa_analyst_run_seconds", "How long the job's last turn took.", "type")
ANALYST_LAST_SUCCESS = _gauge(
    "wafa_analyst_last_success_timestamp_seconds", "When the job was last done, since 1970.", "type"
)
ANALYST_INTERVAL = _gauge("wafa_analyst_interval_seconds", "How often the job has its turn.", "type")
CHANNEL_MONTHS = _gauge("wafa_channel_months", "Months of channels whose cost is in force.")
CHANNEL_MONTHS_ODD = _gauge("wafa_channel_months_odd", "Months of channels with something odd, by what.", "reason")

# -- goals ------------------------------------------------------------------------------------------------------------
GOAL_AMOUNT = _gauge("wafa_goal_amount_minor", "Goals in money in the period there is now.", "goal", "owner", "figure")
GOAL_SHARE = _gauge(
    "wafa_goal_fraction", "Goals that are shares in the period there is now.", "goal", "owner", "figure"
)

# -- process ----------------------------------------------------------------------------------------------------------
BUILD_INFO = _gauge("wafa_build_info", "Always 1; what runs here.", "version", "python")
BUILD_INFO.labels(version=version("wafa"), python=platform.python_version()).set(1)
PROFILES = _gauge("wafa_profiles", "Customers in the partition's table.", "topic", "partition")
STANDSTILL = _gauge(
    "wafa_standstill_seconds",
    "How long the work that moves least has stood still; past WAFA_WORKER_STALL_SECONDS the worker ends itself.",
)
KAFKA_SILENT = _gauge("wafa_kafka_silent_seconds", "How long ago Kafka last answered the worker's small question.")
EVENT_LOOP_LAG = _gauge("wafa_event_loop_lag_seconds", "How late the event loop's last timer was.")
ProcessCollector(registry=REGISTRY)

_OF_A_PARTITION: Final = (
    WAITING_EVENTS, POSITION_OFFSET, END_OFFSET, CONSUMER_LAG_RECORDS, OLDEST_UNPROCESSED_AGE, LAST_COMMIT_TIMESTAMP,
    RECOVERY_REMAINING_RECORDS, PROFILES,
)  # fmt: skip


def forget_partition(topic: str, partition: int) -> None:
    """Drop the partition's series: it is another worker's now, or nobody's."""
    for metric in _OF_A_PARTITION:
        metric.remove_by_labels({"topic": topic, "partition": str(partition)})


def set_worker_state(state: str) -> None:
    """The worker is in this state of `WORKER_STATES`, and in no other."""
    if state not in WORKER_STATES:
        raise ValueError(f"worker state: expected one of {WORKER_STATES}, got {state!r}")
    for each in WORKER_STATES:
        WORKER_STATE.labels(state=each).set(each == state)


# -- the server -------------------------------------------------------------------------------------------------------
Probe = Callable[[], tuple[bool, list[str]]]
"""Whether it is so, and if not, why not. Called from the server's threads; must return at once."""


@dataclass(frozen=True, slots=True)
class Probes:
    """The three questions a scheduler asks. The default answer is yes."""

    startup: Probe = lambda: (True, [])
    live: Probe = lambda: (True, [])
    ready: Probe = lambda: (True, [])


class PortTaken(Exception):
    """Metrics and probes cannot be served where the settings say."""


_JSON: Final = "application/json; charset=utf-8"
_CONNECTIONS_MAX: Final = 32
_CLIENT_SECONDS: Final = 5.0


def _asked(probe: Probe) -> tuple[int, str, bytes]:
    try:
        is_ok, reasons = probe()
    except Exception as error:  # noqa: BLE001 - a probe that cannot answer has not passed, and must say so
        is_ok, reasons = False, [f"the probe itself failed: {type(error).__name__}: {error}"]
    return (200 if is_ok else 503), _JSON, json.dumps({"ok": is_ok, "reasons": reasons}).encode()


class _Handler(BaseHTTPRequestHandler):
    timeout = _CLIENT_SECONDS
    server_version, sys_version = "wafa", ""
    server: _Server

    def _answer(self) -> tuple[int, str, bytes]:
        path = self.path.partition("?")[0]
        probes = self.server.probes
        match path:
            case "/metrics":
                encode, content_type = choose_encoder(self.headers.get("Accept", ""))
                return 200, content_type, encode(REGISTRY)
            case "/startupz":
                return _asked(probes.startup)
            case "/livez":
                return _asked(probes.live)
            case "/readyz":
                return _asked(probes.ready)
            case _:
                return 404, _JSON, b'{"error": "expected /metrics, /startupz, /livez or /readyz"}'

    def do_GET(self) -> None:  # the name is http.server's
        self._reply(*self._answer())

    def _refuse(self) -> None:
        self._reply(405, _JSON, b'{"error": "expected GET"}')

    def __getattr__(self, name: str) -> Callable[[], None]:
        if name.startswith("do_"):  # how http.server asks for a method
            return self._refuse
        raise AttributeError(name)

    def _reply(self, status: int, content_type: str, body: bytes) -> None:
        self.send_response(status)
        self.send_header("Content-Type", content_type)
        self.send_header("Content-Length", str(len(body)))
        self.send_header("Allow", "GET")
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Nothing: scrapes and probes are not news."""


class _Server(ThreadingHTTPServer):
    daemon_threads = True

    def __init__(self, host: str, port: int, probes: Probes) -> None:
        self.probes = probes
        self.address_family = AF_INET6 if ":" in host else AF_INET
        self._free = threading.BoundedSemaphore(_CONNECTIONS_MAX)
        super().__init__((host, port), _Handler)

    def process_request(self, request: socket | tuple[bytes, socket], client_address: object) -> None:
        """A thread for each connection, up to a bound; one more is hung up on."""
        if self._free.acquire(blocking=False):
            super().process_request(request, client_address)
        else:
            self.shutdown_request(request)

    def process_request_thread(self, request: socket | tuple[bytes, socket], client_address: object) -> None:
        try:
            super().process_request_thread(request, client_address)
        finally:
            self._free.release()

    def handle_error(self, request: object, client_address: object) -> None:
        """Nothing: a client that hung up is no error of ours."""


class MetricsServer:
    """/metrics and the probes, on a thread of their own."""

    def __init__(self, server: _Server) -> None:
        self._server = server
        self._thread = threading.Thread(
            target=server.serve_forever, kwargs={"poll_interval": 0.1}, name="wafa-metrics", daemon=True
        )
        self._thread.start()

    @property
    def port(self) -> int:
        """Where it listens; of use when it was asked for port 0."""
        return int(self._server.server_address[1])

    def close(self) -> None:
        """Stop answering and free the port."""
        self._server.shutdown()
        self._server.server_close()
        self._thread.join(_CLIENT_SECONDS)


def serve(host: str, port: int, probes: Probes) -> MetricsServer:
    """Serve /metrics, /startupz, /livez and /readyz from now on. Raises PortTaken."""
    try:
        return MetricsServer(_Server(host, port, probes))
    except OSError as error:
        why = "something else listens there" if error.errno == errno.EADDRINUSE else str(error)
        raise PortTaken(
            f"metrics and probes at {host}:{port}: {why}; set WAFA_METRICS_PORT (0: any free port) or WAFA_METRICS_HOST"
        ) from error


def show_goals(figures: Mapping[str, float]) -> None:
    """`goal.owner.unit.figure` of the latest report to its value, in place of those of the one before."""
    GOAL_AMOUNT.clear()
    GOAL_SHARE.clear()
    for name, value in figures.items():
        goal, owner, unit, figure = name.split(".")
        gauge = GOAL_AMOUNT if unit == "money" else GOAL_SHARE
        gauge.labels(goal=goal, owner=owner, figure=figure).set(value)


def goals_text() -> str:
    """The goals alone, as a file that Prometheus' node exporter reads."""
    goals = REGISTRY.restricted_registry(["wafa_goal_amount_minor", "wafa_goal_fraction"])
    return generate_latest(goals).decode()

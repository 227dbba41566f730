"""The metrics, their page, and the server that shows them."""

from __future__ import annotations

import json
import re
import socket
import threading
from collections.abc import Iterator
from http.client import HTTPConnection, HTTPResponse
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from prometheus_client import Histogram
from prometheus_client.openmetrics.parser import text_string_to_metric_families as parse_openmetrics
from prometheus_client.parser import text_string_to_metric_families as parse_text

from pipeline import metrics

PIPELINE = Path(metrics.__file__).parent
PAGE = Path(__file__).parent.parent / "docs" / "metrics.md"
ROW = re.compile(r"^\| `(?P<name>wafa_\w+)`(?P<labels>[^|]*)\| (?P<kind>\w+) \| (?P<about>.+) \|$", re.MULTILINE)


def documented() -> dict[str, tuple[tuple[str, ...], str]]:
    return {
        row["name"]: (tuple(re.findall(r"`(\w+)`", row["labels"])), row["kind"])
        for row in ROW.finditer(PAGE.read_text("utf-8"))
    }


def registered() -> dict[str, tuple[tuple[str, ...], str]]:
    """Name on the wire, labels and kind of every metric that the module holds."""
    found = {}
    for constant in vars(metrics).values():
        if isinstance(constant, metrics.Durations):
            found[constant.name] = (constant.label_names, "histogram")
        elif hasattr(constant, "_labelnames"):
            kind = constant._type
            name = constant._name + ("_total" if kind == "counter" else "")
            found[name] = (tuple(constant._labelnames), kind)
    return found


def test_every_metric_is_on_its_page_and_every_row_is_a_metric() -> None:
    assert documented() == registered()


def test_every_metric_of_the_registry_is_a_constant_named_as_on_the_wire() -> None:
    wire = {family.name for family in metrics.REGISTRY.collect() if family.name.startswith("wafa_")}
    assert wire == {name.removesuffix("_total") for name in registered()}


def test_every_metric_is_set_by_somebody() -> None:
    source = "".join(path.read_text("utf-8") for path in PIPELINE.rglob("*.py") if path.stem != "metrics")
    source += PIPELINE.joinpath("metrics.py").read_text("utf-8").partition("class MetricsServer")[2]
    constants = {
        name for name, constant in vars(metrics).items()
        if isinstance(constant, metrics.Durations) or hasattr(constant, "_labelnames")
    }  # fmt: skip
    set_at_start = {"BUILD_INFO", "WORKER_STATE", "GOAL_AMOUNT", "GOAL_SHARE"}  # in `metrics` itself
    assert {name for name in constants - set_at_start if f"metrics.{name}" not in source} == set()


def test_no_metric_has_a_customer_or_a_free_text_for_a_label() -> None:
    labels = {label for labels, _ in registered().values() for label in labels}
    assert labels <= {
        "arm", "fatal", "figure", "from", "goal", "kind", "lifecycle", "op", "outcome", "owner", "partition",
        "phase", "python", "reason", "sentiment", "source", "stage", "state", "to", "topic", "type", "version", "view",
    }  # fmt: skip


seconds = st.floats(-1, 100, allow_nan=False)


@given(batches=st.lists(st.lists(seconds, max_size=30), max_size=5))
def test_durations_count_as_prometheus_own_histogram_does(batches: list[list[float]]) -> None:
    bounds = (0.005, 0.1, 1.0, 10.0)
    ours, theirs = metrics.DurationSeries(bounds), Histogram("h", "h", buckets=bounds, registry=None)
    for batch in batches:
        ours.observe_many(batch)
        for value in batch:
            theirs.observe(max(0.0, value))
    counts, total = ours.read()
    assert counts == [bucket.get() for bucket in theirs._buckets]
    assert total == pytest.approx(theirs._sum.get())


def test_one_duration_counted_many_times_is_many_durations() -> None:
    once, many = metrics.DurationSeries((1.0,)), metrics.DurationSeries((1.0,))
    once.observe(0.5, 3)
    many.observe_many([0.5, 0.5, 0.5])
    assert once.read() == many.read() == ([3, 0], 1.5)


def test_labels_of_durations_are_those_declared() -> None:
    with pytest.raises(ValueError, match=r"expected labels \('topic',\), got \('topics',\)"):
        metrics.PROCESSING.labels(topics="x")


def test_a_name_cannot_be_taken_twice() -> None:
    with pytest.raises(ValueError, match="wafa_event_latency_seconds"):
        metrics.Durations("wafa_event_latency_seconds", "again", buckets=(1,))


def test_a_partition_that_went_elsewhere_leaves_no_series() -> None:
    for partition in (0, 1):
        metrics.CONSUMER_LAG_RECORDS.labels(topic="t-forget", partition=partition).set(5)
        metrics.PROFILES.labels(topic="t-forget", partition=partition).set(5)
    metrics.forget_partition("t-forget", 0)
    left = [
        s.labels["partition"]
        for m in metrics.REGISTRY.collect()
        for s in m.samples
        if s.labels.get("topic") == "t-forget"
    ]
    assert left == ["1", "1"]


def test_the_worker_is_in_one_state() -> None:
    metrics.set_worker_state("recovering")
    metrics.set_worker_state("running")
    values = {s.labels["state"]: s.value for s in next(iter(metrics.WORKER_STATE.collect())).samples}
    assert values == {"starting": 0, "rebalancing": 0, "recovering": 0, "running": 1, "stopping": 0}
    with pytest.raises(ValueError, match="got 'asleep'"):
        metrics.set_worker_state("asleep")


@pytest.fixture
def answers() -> dict[str, tuple[bool, list[str]]]:
    """What the probes say; tests change it."""
    return {"startup": (True, []), "live": (True, []), "ready": (False, ["recovering: 12 records to go"])}


@pytest.fixture
def server(answers: dict[str, tuple[bool, list[str]]]) -> Iterator[metrics.MetricsServer]:
    server = metrics.serve(
        "127.0.0.1", 0, metrics.Probes(lambda: answers["startup"], lambda: answers["live"], lambda: answers["ready"])
    )
    yield server
    server.close()


def ask(server: metrics.MetricsServer, path: str, method: str = "GET", **headers: str) -> tuple[HTTPResponse, bytes]:
    connection = HTTPConnection("127.0.0.1", server.port, timeout=5)
    connection.request(method, path, headers=headers)
    response = connection.getresponse()
    body = response.read()
    connection.close()
    return response, body


def test_probes_answer_with_reasons(server: metrics.MetricsServer) -> None:
    said = {path: ask(server, path) for path in ("/startupz", "/livez", "/readyz")}
    assert [response.status for response, _ in said.values()] == [200, 200, 503]
    assert json.loads(said["/readyz"][1]) == {"ok": False, "reasons": ["recovering: 12 records to go"]}


def test_a_probe_that_fails_itself_has_not_passed(server: metrics.MetricsServer, answers: dict[str, object]) -> None:
    del answers["live"]
    response, body = ask(server, "/livez")
    assert (response.status, json.loads(body)["reasons"]) == (503, ["the probe itself failed: KeyError: 'live'"])


@pytest.mark.parametrize(("path", "method", "status"), [
    ("/", "GET", 404), ("/metrics/", "GET", 404), ("/livezz", "GET", 404), ("/livez?verbose", "GET", 200),
    ("/metrics", "POST", 405), ("/livez", "HEAD", 405), ("/", "BREW", 405),
])  # fmt: skip
def test_only_the_four_pages_are_there_and_only_to_be_read(
    server: metrics.MetricsServer, path: str, method: str, status: int
) -> None:
    assert ask(server, path, method)[0].status == status


def test_metrics_are_served_as_text_and_as_openmetrics(server: metrics.MetricsServer) -> None:
    metrics.PROCESSING.labels(topic="crm.purchases.v1").observe(0.003, 2)
    text, body = ask(server, "/metrics")
    assert (text.headers["Content-Type"] or "").startswith("text/plain")
    open_text, open_body = ask(server, "/metrics", Accept="application/openmetrics-text; version=1.0.0")
    assert (open_text.headers["Content-Type"] or "").startswith("application/openmetrics-text")
    for families in (parse_text(body.decode()), parse_openmetrics(open_body.decode())):
        samples = [sample for family in families for sample in family.samples]
        bucket = {"topic": "crm.purchases.v1", "le": "5.0"}
        assert any(s.name == "wafa_processing_seconds_bucket" and s.labels == bucket and s.value >= 2 for s in samples)
        assert any(s.name == "wafa_commits_total" and s.labels == {"outcome": "fenced"} for s in samples)
        assert not any(s.name.endswith("_created") for s in samples)


def test_a_port_that_is_taken_is_said_plainly(server: metrics.MetricsServer) -> None:
    with pytest.raises(
        metrics.PortTaken, match=f"127.0.0.1:{server.port}: something else listens there; set WAFA_METRICS_PORT"
    ):
        metrics.serve("127.0.0.1", server.port, metrics.Probes())


def test_the_port_is_free_once_the_server_is_closed(server: metrics.MetricsServer) -> None:
    port = server.port
    server.close()
    metrics.serve("127.0.0.1", port, metrics.Probes()).close()


def test_clients_that_say_nothing_neither_pile_up_nor_keep_others_waiting(server: metrics.MetricsServer) -> None:
    before = threading.active_count()
    idle = [socket.create_connection(("127.0.0.1", server.port)) for _ in range(20)]
    assert ask(server, "/livez")[0].status == 200
    idle += [socket.create_connection(("127.0.0.1", server.port)) for _ in range(60)]
    assert threading.active_count() - before <= metrics._CONNECTIONS_MAX
    for connection in idle:
        connection.close()

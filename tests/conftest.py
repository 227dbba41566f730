"""What every test may ask for: one Kafka and one Valkey a session.

Isolation is by topic prefix, app id and database.
"""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from pipeline.local.kafka import KafkaServer, run_kafka
from pipeline.local.valkey import ValkeyServer, run_valkey

# A shell that runs the tests in the background has them ignore Ctrl-C, and every process they start with them.
signal.signal(signal.SIGINT, signal.default_int_handler)

QUICK_FAILOVER = {"group.min.session.timeout.ms": "1000"}
"""Lets a test's worker be missed after 2 s instead of 6."""
QUICK = {"analysis", "contracts", "core", "report"}
"""Folders of tests that start nothing."""
REPOSITORY = Path(__file__).resolve().parent.parent


def pytest_addoption(parser: pytest.Parser) -> None:
    """`--long`, as `make faults` gives it; `--store`, where workers keep their customers."""
    parser.addoption("--long", action="store_true", help="the long form of the fault tests: hundreds of kills")
    parser.addoption("--store", choices=("memory", "snapshot", "disk"), help="WAFA_STORE_KIND of every worker started")


def pytest_configure(config: pytest.Config) -> None:
    """Workers take their environment from ours."""
    if store := config.getoption("--store"):
        os.environ["WAFA_STORE_KIND"] = store
        os.environ["WAFA_STORE_SNAPSHOT_SECONDS"] = "1"


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """What waits for brokers and workers goes first, beside itself; the quick folders fill in at the end.

    Files are handed out whole and in this order: the longest begun last would be waited for by itself.
    """
    items.sort(key=lambda item: item.path.parent.name in QUICK or item.path.parent == REPOSITORY / "tests")


@pytest.fixture(scope="session")
def long(pytestconfig: pytest.Config) -> bool:
    """Whether the long form was asked for."""
    return bool(pytestconfig.getoption("--long"))


@pytest.fixture(scope="session")
def jar_cache() -> Path:
    """Where Kafka's jars are kept: shared with `wafa kafka`, so that they are fetched once a checkout."""
    return REPOSITORY / ".wafa" / "cache"


@pytest.fixture(scope="session")
def kafka(tmp_path_factory: pytest.TempPathFactory, jar_cache: Path) -> Iterator[KafkaServer]:
    """The session's broker. A test that kills or stops a broker starts its own."""
    with run_kafka(tmp_path_factory.mktemp("kafka"), cache=jar_cache, settings=QUICK_FAILOVER) as server:
        yield server


@pytest.fixture(scope="session")
def valkey(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ValkeyServer]:
    """The session's Valkey."""
    with run_valkey(tmp_path_factory.mktemp("valkey")) as server:
        yield server

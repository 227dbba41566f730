"""Jobs on the session's broker."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path

import pytest

from pipeline.local.kafka import KafkaServer
from tests.engine.job import Job

AT_ONCE = 4
"""Most of a scenario is waiting for a session to end: several wait together."""


@pytest.fixture
def job(kafka: KafkaServer, tmp_path: Path) -> Iterator[Job]:
    """A job on the session's broker."""
    job = Job(kafka.bootstrap_servers, tmp_path)
    job.create()
    try:
        yield job
    finally:
        job.stop()


@pytest.fixture(scope="module")
def at_once(
    kafka: KafkaServer, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Callable[[Callable[[Job], None], Sequence[str]], dict[str, Future[None]]]]:
    """Plays scenarios, each on a job of its own, several at a time; a test waits for its own."""

    def played(scenario: Callable[[Job, str], None], name: str) -> None:
        job = Job(kafka.bootstrap_servers, tmp_path_factory.mktemp("job"))
        job.create()
        try:
            scenario(job, name)
        finally:
            job.stop()

    with ThreadPoolExecutor(AT_ONCE) as pool:
        yield lambda scenario, names: {name: pool.submit(played, scenario, name) for name in names}

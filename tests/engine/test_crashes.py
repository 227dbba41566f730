"""Every effect once, wherever a worker is struck: the engine on a real broker, against the plain computation."""

from __future__ import annotations

import signal
from collections.abc import Callable, Sequence
from concurrent.futures import Future

import pytest

from pipeline.engine.task import STEPS
from tests.engine.job import Job
from tests.engine.strikes import COMMITTING

AtOnce = Callable[[Callable[[Job, str], None], Sequence[str]], dict[str, Future[None]]]
CHAINS = (
    "initialised:2 flushed:6 restoring:1 fetched:3",
    "stepped:4 restored:2 committing:3 kept:5",
    "produced:2 committed:3 committing:2 produced:5",
    "committed:1 revoking:1",
    "restored:3 revoked:2",
)
"""One worker after the other, each killed at its step; a last one finishes. Later ones meet what earlier ones left."""
ZOMBIES = ("stepped:3:STOP", "flushed:3:STOP", "committed:3:STOP", "initialised:2:STOP")


def killed_in_turn(job: Job, chain: str) -> None:
    for strike in chain.split():
        job.publish(2_000)
        worker = job.start(strike, batch=100)
        if strike.startswith("revok"):
            before = job.reached()
            job.wait(lambda: job.reached() > before, "the one that will lose partitions works")  # noqa: B023 - called before the loop goes on
            job.start(batch=100)
        job.wait_until_struck(worker, strike)
    job.start()
    job.publish(1_000)
    job.wait_until_done()
    job.check()


def stopped_and_woken(job: Job, strike: str) -> None:
    """A worker stands still at a step, beyond its session; another does its work; it goes on as if nothing was."""
    job.publish(6_000)
    zombie = job.start(strike, batch=100)
    job.wait_until_struck(zombie, strike)
    reader = job.watch()
    job.start()
    job.publish(2_000)
    job.wait_until_done()
    job.wait(lambda: reader.count > 0, "a reader reads on, past what the zombie left open")
    zombie.send_signal(signal.SIGCONT)
    job.publish(2_000)
    job.wait_until_done()
    job.check()


@pytest.fixture(scope="module")
def scenarios(at_once: AtOnce) -> dict[str, Future[None]]:
    return at_once(killed_in_turn, CHAINS) | at_once(stopped_and_woken, ZOMBIES)


@pytest.mark.parametrize("chain", CHAINS)
def test_workers_killed_at_steps_of_the_protocol_leave_every_effect_exactly_once(
    scenarios: dict[str, Future[None]], chain: str
) -> None:
    scenarios[chain].result()


@pytest.mark.parametrize("strike", ZOMBIES)
def test_a_worker_that_was_stopped_and_wakes_again_is_fenced_and_nothing_of_it_is_seen(
    scenarios: dict[str, Future[None]], strike: str
) -> None:
    scenarios[strike].result()


def test_every_step_is_struck() -> None:
    struck = {strike.partition(":")[0] for chain in CHAINS for strike in chain.split()}
    assert struck == {*STEPS, COMMITTING}

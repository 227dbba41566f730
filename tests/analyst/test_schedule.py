"""The schedule: jobs in processes of their own, bounded, failing alone, ended with the analyst."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from pipeline import metrics
from pipeline.analyst import Analyst, Job, Outcome, run_analyst
from pipeline.settings import Settings, load
from tests.analyst import jobs

REGISTRY = metrics.REGISTRY


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    """Jobs have some seconds, and write to a file of the test's."""
    return load(worker_data_dir=tmp_path / "said", analyst_job_seconds_max=8, metrics_port=0)


def job(run: Callable[..., object], *, every: float = 3600, **fields: object) -> Job:
    """A job named as its function."""
    return Job(run.__name__, lambda settings: every, run, **fields)


def runs(name: str, outcome: str) -> float:
    """How many turns of the job ended so."""
    return REGISTRY.get_sample_value("wafa_analyst_runs_total", {"type": name, "outcome": outcome}) or 0.0


@contextmanager
def at_work(analyst: Analyst) -> Iterator[threading.Event]:
    """The analyst in a thread, until told to end."""
    stop = threading.Event()
    thread = threading.Thread(target=analyst.run, args=(stop,))
    thread.start()
    try:
        yield stop
    finally:
        stop.set()
        thread.join(10)
        assert not thread.is_alive()


def wait(condition: Callable[[], bool]) -> None:
    """Until it holds, at most half a minute."""
    deadline = time.monotonic() + 30
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def is_alive(pid: int) -> bool:
    """Whether the process is there."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


def test_a_job_that_is_done_shows_its_figures(settings: Settings) -> None:
    shown: list[object] = []
    analyst = Analyst(settings, [job(jobs.counts, show=shown.append)])
    turn = analyst.take_turn(analyst.jobs[0], threading.Event())
    assert (turn.outcome, turn.problem, shown) == (Outcome.DONE, "", [{"turns": 1}])
    assert os.getpid() != int(settings.worker_data_dir.read_text()), "in a process of its own"
    assert analyst.probes.ready() == (True, [])
    assert (REGISTRY.get_sample_value("wafa_analyst_last_success_timestamp_seconds", {"type": "counts"}) or 0) > 10**9
    assert (REGISTRY.get_sample_value("wafa_analyst_run_seconds", {"type": "counts"}) or 0) > 0


@pytest.mark.parametrize(
    ("run", "outcome", "problem"),
    [
        (jobs.fails, Outcome.FAILED, "ValueError: nothing to count in crm."),
        (jobs.dies, Outcome.FAILED, "ended without an answer (exit code 9)"),
        (jobs.never_ends, Outcome.TIMED_OUT, "expected to be done in 8 s (WAFA_ANALYST_JOB_SECONDS_MAX), was not"),
    ],
)
def test_a_job_that_is_not_done_is_named_counted_and_keeps_no_other_from_its_turn(
    settings: Settings, run: Callable[..., object], outcome: Outcome, problem: str
) -> None:
    before = runs(run.__name__, outcome)
    analyst = Analyst(settings, [job(run), job(jobs.counts)])
    with at_work(analyst):
        wait(lambda: analyst._standing["counts"].turn is not None)
    assert runs(run.__name__, outcome) == before + 1
    assert analyst._standing["counts"].turn.outcome is Outcome.DONE
    assert analyst.probes.ready() == (False, [f"{run.__name__}: {problem}"])
    assert analyst.probes.live()[0]


def test_a_job_that_failed_is_tried_at_its_next_turn(settings: Settings) -> None:
    before = runs("fails", Outcome.FAILED)
    with at_work(Analyst(settings, [job(jobs.fails, every=0.1)])):
        wait(lambda: runs("fails", Outcome.FAILED) >= before + 2)


def test_a_job_has_its_turns_at_its_interval(settings: Settings) -> None:
    analyst = Analyst(settings, [job(jobs.counts, every=0.1)])
    with at_work(analyst):
        wait(lambda: settings.worker_data_dir.exists() and len(settings.worker_data_dir.read_text().split()) >= 3)
    assert len(set(settings.worker_data_dir.read_text().split())) >= 3, "each in a process of its own"


def test_told_to_end_the_analyst_ends_the_job_at_work_and_itself(tmp_path: Path) -> None:
    settings = load(worker_data_dir=tmp_path / "said", metrics_port=0)
    stop = threading.Event()
    thread = threading.Thread(
        target=run_analyst, args=(settings, [job(jobs.never_ends)]), kwargs={"stop": stop}, daemon=True
    )
    thread.start()
    wait(lambda: settings.worker_data_dir.exists() and settings.worker_data_dir.read_text() != "")
    pid = int(settings.worker_data_dir.read_text())
    assert is_alive(pid)
    begun = time.monotonic()
    stop.set()
    thread.join(10)
    assert not thread.is_alive()
    assert time.monotonic() - begun < 5
    assert not is_alive(pid)


def test_a_job_whose_package_is_not_installed_is_off_and_the_others_are_not(settings: Settings) -> None:
    analyst = Analyst(settings, [job(jobs.fails, needs="no_such_package"), job(jobs.counts, needs="json")])
    assert [each.name for each in analyst.jobs] == ["counts"]


def test_an_analyst_with_nothing_to_do_waits(settings: Settings) -> None:
    with at_work(Analyst(settings, [])):
        pass

"""The process `wafa analyst`: what crosses customers, reckoned on a schedule and put into the log as controls.

One job at a time, each turn in a process of its own: so it can be ended when it takes too long, its memory is given
back, and one that fails fails alone, to be tried at its next turn. A second analyst does no harm: each job reads
everything anew, and of two controls of one scope the later counts.
"""

from __future__ import annotations

import multiprocessing
import signal
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from enum import StrEnum
from importlib.util import find_spec
from multiprocessing.connection import Connection
from multiprocessing.process import BaseProcess
from typing import Final, NamedTuple

import structlog

from pipeline import logs, metrics
from pipeline.settings import Settings

log = structlog.get_logger("wafa.analyst")

Figures = Mapping[str, float]
"""What a turn found, by name: few and closed, for metrics."""

LIVE_SECONDS: Final = 30.0
_LOOK_SECONDS: Final = 0.2
_END_SECONDS: Final = 2.0
"""What a job told to end has for it, before it is killed."""


@dataclass(frozen=True, slots=True)
class Job:
    """One thing done on a schedule. `run` is called in a process of its own: a function of a module, by its name."""

    name: str
    every_seconds: Callable[[Settings], float]
    run: Callable[[Settings], Figures]
    show: Callable[[Figures], None] = lambda figures: None
    """Puts what a turn found into metrics, in the analyst's own process."""
    needs: str | None = None
    """A package that may not be installed (the extra `analysis`): without it the job is off, and said to be."""


class Outcome(StrEnum):
    """How a turn ended. Closed: it labels a metric."""

    DONE = "done"
    FAILED = "failed"
    TIMED_OUT = "timed_out"


class Turn(NamedTuple):
    """One run of a job, ended."""

    outcome: Outcome
    figures: Figures
    problem: str
    seconds: float


class Interrupted(Exception):
    """The analyst was told to end while a job ran; the job was ended with it."""


@dataclass
class _Standing:
    """Where a job stands."""

    due_at: float
    turn: Turn | None = None
    done_at: float | None = None


def run_analyst(settings: Settings, jobs: Sequence[Job], *, stop: threading.Event) -> None:
    """Serve metrics and probes, and give each job its turns, until `stop` is set. Raises only PortTaken."""
    analyst = Analyst(settings, jobs)
    server = metrics.serve(settings.metrics_host, settings.metrics_port, analyst.probes)
    log.info("analyst_serving", metrics_port=server.port, jobs=[job.name for job in analyst.jobs])
    try:
        analyst.run(stop)
    finally:
        server.close()


@dataclass
class Analyst:
    """The schedule. `run` belongs to one thread; the probes may be asked from any."""

    settings: Settings
    given: Sequence[Job]
    jobs: tuple[Job, ...] = ()
    _standing: dict[str, _Standing] = field(default_factory=dict)
    _beat_at: float = field(default_factory=time.monotonic)
    _has_begun: bool = False

    def __post_init__(self) -> None:
        absent = {job.name: job.needs for job in self.given if job.needs is not None and find_spec(job.needs) is None}
        for name, package in absent.items():
            log.warning("analyst_job_off", job=name, needs=package, remedy="pip install 'wafa[analysis]'")
        self.jobs = tuple(job for job in self.given if job.name not in absent)
        self.probes = metrics.Probes(startup=self._startup, live=self._live, ready=self._ready)
        for job in self.jobs:
            self._standing[job.name] = _Standing(due_at=time.monotonic())
            metrics.declare(metrics.ANALYST_RUNS, type=[job.name], outcome=list(Outcome))
            metrics.ANALYST_INTERVAL.labels(type=job.name).set(job.every_seconds(self.settings))

    def run(self, stop: threading.Event) -> None:
        """Each job at once, in their order, then each in its interval from the beginning of its last turn."""
        self._has_begun = True
        while not stop.is_set():
            self._beat_at = time.monotonic()
            job = min(self.jobs, key=lambda each: self._standing[each.name].due_at, default=None)
            if job is None or self._standing[job.name].due_at > self._beat_at:
                stop.wait(_LOOK_SECONDS)
                continue
            try:
                self.take_turn(job, stop)
            except Interrupted:
                log.info("analyst_job_ended", job=job.name, why="told to end; its next turn does it anew")

    def take_turn(self, job: Job, stop: threading.Event) -> Turn:
        """Run a job once, and say how it went. Raises Interrupted."""
        standing, began_at = self._standing[job.name], time.monotonic()
        turn = self._turn(job, stop, began_at)
        standing.turn = turn
        standing.due_at = max(began_at + job.every_seconds(self.settings), time.monotonic())
        metrics.ANALYST_RUNS.labels(type=job.name, outcome=turn.outcome).inc()
        metrics.ANALYST_RUN_SECONDS.labels(type=job.name).set(turn.seconds)
        if turn.outcome is Outcome.DONE:
            standing.done_at = time.monotonic()
            metrics.ANALYST_LAST_SUCCESS.labels(type=job.name).set(metrics.now_seconds())
            job.show(turn.figures)
            log.info("analyst_job_done", job=job.name, seconds=round(turn.seconds, 3), figures=dict(turn.figures))
        else:
            log.error("analyst_job_failed", job=job.name, outcome=turn.outcome, problem=turn.problem)
        return turn

    def _turn(self, job: Job, stop: threading.Event, began_at: float) -> Turn:
        limit = self.settings.analyst_job_seconds_max
        process, answers = _started(job, self.settings)
        try:
            while not answers.poll(_LOOK_SECONDS) and process.is_alive():
                self._beat_at = time.monotonic()
                if stop.is_set():
                    raise Interrupted
                if self._beat_at - began_at > limit:
                    problem = f"expected to be done in {limit:g} s (WAFA_ANALYST_JOB_SECONDS_MAX), was not"
                    return Turn(Outcome.TIMED_OUT, {}, problem, self._beat_at - began_at)
            figures, problem = _answer(process, answers)
            outcome = Outcome.FAILED if problem else Outcome.DONE
            return Turn(outcome, figures, problem, time.monotonic() - began_at)
        finally:
            answers.close()
            _end(process)

    # -- how it goes ------------------------------------------------------------------------------------------------

    def _startup(self) -> tuple[bool, list[str]]:
        return self._has_begun, [] if self._has_begun else ["not begun yet"]

    def _live(self) -> tuple[bool, list[str]]:
        still = time.monotonic() - self._beat_at
        return still < LIVE_SECONDS, [] if still < LIVE_SECONDS else [f"no sign of life for {still:.0f} s"]

    def _ready(self) -> tuple[bool, list[str]]:
        reasons = [
            f"{name}: {standing.turn.problem}"
            for name, standing in self._standing.items()
            if standing.turn is not None and standing.turn.problem
        ]
        return not reasons, reasons


def _started(job: Job, settings: Settings) -> tuple[BaseProcess, Connection]:
    """The job's process, begun afresh (no thread, client or lock of ours is in it), and where it will answer."""
    context = multiprocessing.get_context("spawn")
    answers, question = context.Pipe(duplex=False)
    process = context.Process(target=_work, args=(job.run, settings, question), name=f"wafa-{job.name}", daemon=True)
    process.start()
    question.close()  # so that the end of the process ends the pipe
    return process, answers


def _work(run: Callable[[Settings], Figures], settings: Settings, answers: Connection) -> None:
    """The job's process: what it found, or what went wrong in a sentence."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # a terminal's Ctrl-C goes to both; the analyst ends its jobs itself
    logs.configure(settings)
    answer: tuple[dict[str, float], str]
    try:
        answer = (dict(run(settings)), "")
    except Exception as error:  # noqa: BLE001 - whatever it is, the job has failed, and the others have not
        answer = ({}, f"{type(error).__name__}: {error}")
    with suppress(BrokenPipeError):  # nobody listens any more: time was over
        answers.send(answer)


def _answer(process: BaseProcess, answers: Connection) -> tuple[Figures, str]:
    try:
        figures, problem = answers.recv()
    except EOFError:
        process.join(_END_SECONDS)
        return {}, f"ended without an answer (exit code {process.exitcode})"
    return figures, problem


def _end(process: BaseProcess) -> None:
    """See the process gone, whatever it does."""
    process.join(_LOOK_SECONDS)
    for end in (process.terminate, process.kill):
        if process.is_alive():
            end()
            process.join(_END_SECONDS)

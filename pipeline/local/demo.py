"""`wafa demo`: a real shop's history through the whole pipeline, on this machine, in about a minute.

The plot: fetch and check what is needed, start the cast, then week by week publish what happened and let time pass; at
the end read everything back and say whether it adds up. Nothing is left behind but the cache, unless asked for.
"""

from __future__ import annotations

import contextlib
import os
import re
import secrets
import shutil
import signal
import sys
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from datetime import time as time_of_day
from pathlib import Path
from types import FrameType
from typing import Final, NamedTuple

from confluent_kafka import KafkaException
from rich.console import Console
from rich.table import Table

from pipeline import logs
from pipeline.admin import BrokerRefused, BrokerUnreachable
from pipeline.local import cdnow, foresight, supervisor
from pipeline.local.cast import Cast
from pipeline.local.choices import Choices
from pipeline.local.forms import Sender
from pipeline.local.kafka import resolve_kafka
from pipeline.local.people import OPENED_ON, WEEKS
from pipeline.local.process import ServerFailed
from pipeline.local.publisher import Publisher
from pipeline.local.screen import shown
from pipeline.local.simulator import Simulator
from pipeline.local.summary import Summary, print_summary, summarise
from pipeline.local.watch import Seen, Watcher
from pipeline.serving.read import RedisUnreachable
from pipeline.settings import Settings

_LEVEL_SECONDS: Final = 15.0
_LEVEL_POLL_SECONDS: Final = 0.25
_LAST_WORDS_CHARS: Final = 300
_STOPS: Final = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
_CONTROL_CODES: Final = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]|[\x00-\x1f]")
_SOMEBODY: Final = "cdnow-00021@example.com"
_LOCK: Final = "lock"
_KEPT: Final = "kept"


class DemoFailed(Exception):
    """The demonstration could not go on; the message says why, and where the logs are."""


@dataclass(slots=True)
class _Times:
    """How long what took, in seconds."""

    started: float = field(default_factory=time.monotonic)
    up: float = 0.0
    done: float = 0.0
    learning: float = 0.0


class _Show(NamedTuple):
    """What a run shows and times, and who plays in it."""

    seen: Seen
    times: _Times
    cast: Cast


_DEMONSTRATION: Final = Choices()


def run_demo(settings: Settings, console: Console, choices: Choices = _DEMONSTRATION) -> Summary:
    """Shows the whole of it; the figures of its end. Raises DemoFailed, and KeyboardInterrupt when told to stop."""
    with contextlib.ExitStack() as stack:
        stack.enter_context(_stopped_by_signals())
        folder = stack.enter_context(run_folder(choices))
        stack.enter_context(_logging_to(folder / "demo.log", settings))
        cast = Cast(settings, folder, run=f"wafa-demo-{folder.name}")
        try:
            return _play(cast, console, choices, stack)
        except (
            BrokerRefused, BrokerUnreachable, KafkaException, OSError, RedisUnreachable, ServerFailed, cdnow.NoData,
        ) as error:  # fmt: skip
            raise DemoFailed(_explained(error, cast)) from error
        except KeyboardInterrupt:
            console.print("Stopping everybody.")
            raise
        finally:
            _turn_deaf()
            cast.stop(gently=choices.keep)
            for left in cast.left:
                console.print(f"Could not be removed: {left}", highlight=False, soft_wrap=True)


def _play(cast: Cast, console: Console, choices: Choices, stack: contextlib.ExitStack) -> Summary:
    """All of it but the end. What must be closed when the cast is gone is put on `stack`."""
    times = _Times()
    cache = cast.settings.local_cache_dir
    purchases = cdnow.read(cdnow.fetch(cache, console), choices.which)
    if not cast.own_kafka:
        resolve_kafka(cache)
    shop = Simulator(purchases, seed=choices.seed, customers_max=choices.customers_max)
    seen = Seen(weeks=min(WEEKS, choices.weeks_max or WEEKS))
    title = f"Wafa demo: CDNOW, {shop.customers:,} real customers; all but their purchases is simulated"
    with shown(seen, console, title):
        cast.start(lambda what: setattr(seen, "phase", what))
        stack.callback(Watcher(cast.settings, cast.metrics_url("worker"), seen).close)
        publisher = Publisher(cast.settings, cast.check)
        stack.callback(publisher.close)
        expected = _publish(publisher, shop, _Show(seen, times, cast), choices)
        publisher.wait_until_done()
        times.done = time.monotonic()
        summary = _once_level(cast)
        summary.foresight = foresight.outcome(cast.settings, expected)
    print_summary(summary, console, title=f"What came of {seen.weeks} weeks", notes=_notes(summary, seen, times, shop))
    _say_where_to_look(cast, console, choices)
    if choices.keep:
        _wait_for_the_end(cast, console)
    return summary


def _publish(publisher: Publisher, shop: Simulator, show: _Show, choices: Choices) -> foresight.Expected | None:
    """Week by week: what happened, then the Tick that says that the week is over. The log begins with a Tick too.

    On the way the shop learns what to expect of its customers.
    """
    seen, times, cast = show
    sender, learns_after, expected = Sender(seed=choices.seed), foresight.week_to_learn(seen.weeks), None
    over_at = datetime.combine(OPENED_ON, time_of_day(), UTC)
    publisher.tick(over_at)
    publisher.wait_until_ingested()
    times.up = time.monotonic()
    for week in shop.weeks(choices.weeks_max):
        publisher.publish(sender.records_of(week))
        if week.number:  # while ingest takes this week, the one before is identified, and ends
            publisher.tick(over_at)
        publisher.wait_until_ingested()
        over_at = week.ends_at
        seen.published, seen.week = publisher.published, week.number + 1
        seen.shop_date = (over_at - timedelta(days=1)).date()
        if seen.week == learns_after:
            publisher.tick(over_at)
            publisher.wait_until_done()
            began_at = time.monotonic()
            expected = foresight.learn(cast)
            times.learning = time.monotonic() - began_at
    publisher.tick(over_at)
    publisher.publish(sender.left())
    seen.published = publisher.published
    return expected


def _once_level(cast: Cast) -> Summary:
    """The figures, once Redis shows what the worker has."""
    deadline = time.monotonic() + _LEVEL_SECONDS
    while True:
        summary = summarise(cast.settings, cast.metrics_url("worker"))
        if all(holds for _, holds in summary.checks()) or time.monotonic() > deadline:
            return summary
        cast.check()
        time.sleep(_LEVEL_POLL_SECONDS)


def _notes(summary: Summary, seen: Seen, times: _Times, shop: Simulator) -> list[str]:
    took, records = times.done - times.up - times.learning, sum(summary.records.values())
    speed = (
        f"{seen.weeks} weeks and {records:,} records in {took:.1f} s, {records / took:,.0f} records/s; up in "
        f"{times.up - times.started:.1f} s. Each week waits for its Tick; what Wafa can do, `make bench` measures."
    )
    invented = (
        f"{shop.customers:,} customers and their purchases are real (CDNOW); {shop.prospects:,} prospects and all "
        "other events are invented, and marked as simulated."
    )
    learned = "" if not times.learning else f" Learning what to expect took {times.learning:.1f} s more."
    return [speed + learned, "Each effect once, from source topic to topics, for read-committed readers.", invented]


# -- what is left ------------------------------------------------------------------------------------------------------


def _say_where_to_look(cast: Cast, console: Console, choices: Choices) -> None:
    wafa = _command()
    look = Table.grid(padding=(0, 2))
    look.add_column(no_wrap=True)
    if choices.keep:
        console.print(f"\n[bold]All is still running.[/] In another terminal, in {Path.cwd()}:", soft_wrap=True)
        for name in ("kafka_bootstrap_servers", "redis_url", "topics_prefix", "worker_app_id", "redis_key_prefix"):
            if name in cast.settings.model_fields_set:
                console.print(f"  export WAFA_{name.upper()}={getattr(cast.settings, name)}", soft_wrap=True)
        look.add_row(f"  {wafa} customer {_SOMEBODY}", "a customer, and why")
        look.add_row(f"  {wafa} report --html report.html", "how the shop does, as a page with plots")
        look.add_row(f"  {wafa} triggers", "the latest triggers")
        look.add_row(f"  {wafa} lag", "is it level?")
        end = (
            f"Metrics: {cast.metrics_url('worker')} and {cast.metrics_url('views')}\n"
            f"Data and logs: {cast.folder} (they stay). No more time passes in there. Ctrl-C ends it."
        )
    else:
        console.print("\n[bold]Where to look next[/]")
        look.add_row(f"  {wafa} demo --keep", "the same, left running")
        look.add_row(f"  {wafa} policy show --defaults", "the rules, as a file to edit")
        look.add_row(f"  {wafa} topics show", "where your own events go")
        end = f"Data and logs were in {cast.folder}; they are thrown away now."
    console.print(look)
    console.print(end, highlight=False, soft_wrap=True)


def _command() -> str:
    """How the user calls us from here."""
    called = Path(sys.argv[0])
    if called.name != "wafa":
        return "wafa"
    return "wafa" if shutil.which("wafa") == str(called) else os.path.relpath(called)


def _wait_for_the_end(cast: Cast, console: Console) -> None:
    with contextlib.suppress(KeyboardInterrupt):
        while True:
            cast.check()
            time.sleep(_LEVEL_POLL_SECONDS)
    console.print("Ending everything.")


def _explained(error: Exception, cast: Cast) -> str:
    """The failure as a sentence or two, and where the logs are."""
    reason, end, log = str(error).partition("\nThe end of ")
    last = _CONTROL_CODES.sub("", log.splitlines()[-1]).strip() if end else ""
    said = f" Its last words: {last[:_LAST_WORDS_CHARS]}" if last and last != "(empty)" else ""
    found = [str(path) for path in cast.logs() if path.exists()]
    where = f"\nLogs: {', '.join(found)} (until the next demo)." if found else ""
    return f"{reason.rstrip('.')}.{said}{where}"


# -- folders and signals -----------------------------------------------------------------------------------------------


@contextlib.contextmanager
def _logging_to(path: Path, settings: Settings) -> Iterator[None]:
    """What our own clients have to say goes to a file, for it would run across the screen."""
    with path.open("a", encoding="utf-8") as file:
        logs.configure(settings, stream=file)
        try:
            yield
        finally:
            logs.configure(settings)


@contextlib.contextmanager
def run_folder(choices: Choices) -> Iterator[Path]:
    """A folder of this run's own, locked while it lasts. Those that ended without cleaning up are removed first."""
    for earlier in choices.folder.iterdir() if choices.folder.exists() else ():
        if (earlier / _LOCK).exists() and not (earlier / _KEPT).exists():
            _remove(earlier)
    folder = choices.folder / f"{os.getpid()}-{secrets.token_hex(3)}"
    folder.mkdir(parents=True)
    if choices.keep:
        (folder / _KEPT).touch()
    alone = supervisor.lock(folder / _LOCK, seconds=0)
    failed = False
    try:
        yield folder
    except DemoFailed:
        failed = True
        raise
    finally:
        alone.close()
        if not failed and not choices.keep:
            _remove(folder)


def _remove(folder: Path) -> None:
    """A run's folder, unless the run lives."""
    with contextlib.suppress(supervisor.InUse), supervisor.lock(folder / _LOCK, seconds=0):
        shutil.rmtree(folder, ignore_errors=True)
    with contextlib.suppress(OSError):
        folder.parent.rmdir()  # the last one leaves nothing


@contextlib.contextmanager
def _stopped_by_signals() -> Iterator[None]:
    """SIGTERM and a closed terminal end the demonstration as Ctrl-C does: everybody is ended, nothing is left."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def stop(number: int, frame: FrameType | None) -> None:
        _turn_deaf()
        raise KeyboardInterrupt

    before = {number: signal.signal(number, stop) for number in _STOPS}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _turn_deaf() -> None:
    """While everybody is being ended, which takes a second or two, another Ctrl-C changes nothing."""
    if threading.current_thread() is threading.main_thread():
        for number in _STOPS:
            signal.signal(number, signal.SIG_IGN)

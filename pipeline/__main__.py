"""The command line, installed as `wafa`: one command a question or a process. It asks, prints, exits; decides nothing.

Exit codes: 0 done; 1 something was refused, differs or was not found; 2 bad settings, policy, file or arguments; 3
Kafka or Redis cannot be reached; 70 the worker ended itself because its work stood still; 130 interrupted.
"""

from __future__ import annotations

import json
import logging
import signal
import sys
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING, Annotated, Any, Final, NoReturn

import typer
from rich.markup import escape
from rich.table import Column, Table

from pipeline import settings as settings_module
from pipeline.analysis.report.calendar import PeriodKind
from pipeline.analysis.report.table import Report
from pipeline.local.choices import Choices, Which
from pipeline.plain import PlainConsole
from pipeline.schemas.dead_letters import Reason
from pipeline.settings import Settings

if TYPE_CHECKING:  # numpy comes with the first
    from pipeline.measuring import NothingToMeasure
    from pipeline.schemas.logged import ModelFitted

OUT: Final = PlainConsole()
ERR: Final = PlainConsole(stderr=True)
_PIPE_COLUMNS: Final = 160
if not OUT.is_terminal:  # a file or pipe has no width; a table there should not be cut to 80
    OUT.width = max(OUT.width, _PIPE_COLUMNS)

app = typer.Typer(
    name="wafa",
    help="Wafa keeps each customer's value and relationship stage current, and says what to do next.\n\n"
    "Start with `wafa demo`. Settings are environment variables, WAFA_... (docs/settings.md); the first to set is\n"
    "WAFA_KAFKA_BOOTSTRAP_SERVERS. Exit codes: 0 done, 1 something was refused, differs or was not found, 2 bad\n"
    "settings, policy, file or arguments, 3 Kafka or Redis cannot be reached, 70 the worker ended itself because its\n"
    "work stood still, 130 interrupted.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode="markdown",
)
topics_app = typer.Typer(no_args_is_help=True, help="The topics on Kafka: create, check or show them.")
policy_app = typer.Typer(no_args_is_help=True, help="The shop's rules: show, check or adopt them.")
PROCESSES, DATA, QUESTIONS, RULES = "Processes", "Data in and out", "Questions", "Rules and contracts"
app.add_typer(topics_app, name="topics", rich_help_panel=PROCESSES)
app.add_typer(policy_app, name="policy", rich_help_panel=RULES)

REFUSED, BAD_INPUT, UNREACHABLE, INTERRUPTED = 1, 2, 3, 130
_PAUSE_MAX: Final = 31 * 86_400
_LAG_COLUMNS: Final = ("partition", "position", "end", "lag (records)")


def _end(message: str, code: int) -> NoReturn:
    ERR.print(f"[bold red]wafa:[/] {escape(message)}", highlight=False, soft_wrap=True)
    raise typer.Exit(code)


@contextmanager
def _needing(extra: str) -> Iterator[None]:
    """What is imported within comes with an extra; said where it is not installed."""
    try:
        yield
    except ModuleNotFoundError as error:
        _end(f"{error.name} is not installed; it comes with the extra `{extra}`: pip install 'wafa[{extra}]'", REFUSED)


@contextmanager
def _explained() -> Iterator[None]:
    """Whatever can go wrong between us and the world, as a sentence and an exit code."""
    from confluent_kafka import KafkaException

    from pipeline.admin import BrokerRefused, BrokerUnreachable, TopicsMissing
    from pipeline.adoption import NotDelivered
    from pipeline.core.policy import BadPolicy
    from pipeline.core.rates import BadRates
    from pipeline.engine.changelog import BadChangelog
    from pipeline.engine.producer import Fenced, Uncertain
    from pipeline.inquiry import NotAnswered
    from pipeline.kafka_clients import RightMissing, told
    from pipeline.replaying import LogSilent
    from pipeline.serving.read import RedisUnreachable

    try:
        yield
    except BadPolicy as error:
        _end(str(error), BAD_INPUT)
    except BadRates as error:
        _end(f"WAFA_SHOP_RATES_FILE: {error}", BAD_INPUT)
    except Fenced as error:
        _end(f"somebody took the partition meanwhile, and has it as it was (a worker that runs?): {error}", REFUSED)
    except (
        BrokerUnreachable, RightMissing, RedisUnreachable, NotAnswered, NotDelivered, LogSilent, Uncertain,
    ) as error:  # fmt: skip
        _end(str(error), UNREACHABLE)
    except KafkaException as error:
        _end(f"Kafka: {told(error.args[0])}", UNREACHABLE)
    except (BrokerRefused, TopicsMissing, BadChangelog) as error:
        _end(str(error), REFUSED)
    except KeyboardInterrupt:
        raise typer.Exit(INTERRUPTED) from None


def _settings(**given: object) -> Settings:
    from pipeline import logs

    try:
        settings = settings_module.load(**given)
    except settings_module.BadSettings as error:
        _end(str(error), BAD_INPUT)
    logs.configure(settings)
    return settings


def _quiet_settings() -> Settings:
    """For a question: what goes wrong is told once, as a sentence, and not by Kafka's clients as well."""
    settings = _settings(log_level="error")
    for library in ("kafka", "librdkafka"):
        logging.getLogger(library).setLevel(logging.CRITICAL)
    return settings


@contextmanager
def _until_told() -> Iterator[threading.Event]:
    """An event that SIGTERM and SIGINT set."""
    stop = threading.Event()

    def tell(_number: int, _frame: FrameType | None) -> None:
        stop.set()

    before = {number: signal.signal(number, tell) for number in (signal.SIGTERM, signal.SIGINT)}
    try:
        yield stop
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


# -- processes ---------------------------------------------------------------------------------------------------------


@app.command()
def demo(
    which: Annotated[
        Which, typer.Option("--data", help="CDNOW purchases to publish: sample (2,357 customers) or master (23,570).")
    ] = "sample",
    keep: Annotated[
        bool, typer.Option("--keep", help="Leave Kafka, Valkey, worker and views running at the end.")
    ] = False,
) -> None:
    """A real shop's history, live: starts Kafka, Valkey, worker and views here, publishes, shows, ends by itself."""
    with _needing("local"):
        from pipeline.local.demo import DemoFailed, run_demo
    with _explained():
        try:
            run_demo(_settings(log_level="warning"), OUT, Choices(which=which, keep=keep))
        except DemoFailed as error:
            _end(str(error), REFUSED)


@app.command(rich_help_panel=PROCESSES)
def worker() -> None:
    """Run a worker: takes events in, keeps every customer current, decides what to send.

    Start several to share the work; they divide the partitions among themselves, and if one dies the others go on
    where it stood. Metrics and probes are at WAFA_METRICS_HOST and WAFA_METRICS_PORT.
    """
    from pipeline import metrics
    from pipeline.app import CannotStart, Worker

    settings = _settings()
    with _explained():
        this = Worker(settings)
        try:
            metrics.serve(settings.metrics_host, settings.metrics_port, this.probes())
            this.prepare()
        except (CannotStart, metrics.PortTaken) as error:
            _end(str(error), REFUSED)
        this.run()


@app.command(rich_help_panel=PROCESSES)
def views() -> None:
    """Run the views: keeps Redis current with the profiles, triggers and reputation that workers put out."""
    from pipeline import metrics
    from pipeline.serving.views import run_views

    settings = _settings()
    with _explained(), _until_told() as stop:
        try:
            run_views(settings, stop=stop)
        except metrics.PortTaken as error:
            _end(str(error), REFUSED)


@app.command(rich_help_panel=PROCESSES)
def analyst(
    *,
    once: Annotated[bool, typer.Option("--once", help="Each job once, then end; exit 1 if one failed.")] = False,
) -> None:
    """Run the analyst: what channels cost, what to expect of customers, how far the goals are, on a schedule.

    Costs and models go into the log, goals to the metrics. One is enough, and a second does no harm. How often:
    WAFA_ANALYST_... Metrics and probes are at WAFA_METRICS_HOST and WAFA_METRICS_PORT.
    """
    from pipeline import metrics
    from pipeline.analyst import Analyst, Interrupted, run_analyst
    from pipeline.analyst_jobs import JOBS

    settings = _settings()
    with _explained(), _until_told() as stop:
        try:
            if not once:
                run_analyst(settings, JOBS, stop=stop)
                return
            this = Analyst(settings, JOBS)
            failed = [job.name for job in this.jobs if this.take_turn(job, stop).problem]
        except metrics.PortTaken as error:
            _end(str(error), REFUSED)
        except Interrupted:
            raise typer.Exit(INTERRUPTED) from None
    if failed:
        _end(f"not done: {', '.join(failed)} (the lines above say why)", REFUSED)


@app.command(rich_help_panel=PROCESSES)
def kafka(
    port: Annotated[int | None, typer.Option(help="Port; a free one unless given.", min=1, max=65535)] = None,
    data: Annotated[Path, typer.Option(help="Where the broker keeps its data, from one run to the next.")] = Path(
        ".wafa/kafka"
    ),
) -> None:
    """Run a Kafka broker on this machine, for trying things out: no Docker, no Java, no root. Ctrl-C stops it."""
    from pipeline.local.process import ServerFailed
    from pipeline.local.supervisor import InUse

    settings = _settings()
    with _explained():
        try:
            _run_kafka(settings, data, port)
        except (ServerFailed, InUse) as error:
            _end(str(error), REFUSED)
        except ModuleNotFoundError as error:
            _end(f"{error.name} is not installed: pip install 'wafa[local]'", REFUSED)


def _run_kafka(settings: Settings, data: Path, port: int | None) -> None:
    from pipeline.local.kafka import run_kafka

    with _until_told() as stop, run_kafka(data, cache=settings.local_cache_dir, port=port) as server:
        OUT.print(f"Kafka is up: [bold]export WAFA_KAFKA_BOOTSTRAP_SERVERS={server.bootstrap_servers}[/]")
        OUT.print(f"Data in {data}, log in {server.log_path}. Ctrl-C stops it.", highlight=False, soft_wrap=True)
        while not stop.wait(1.0):
            if not server.running:
                _end(f"the broker ended by itself; its log: {server.log_path}", REFUSED)


@app.command("rebuild", rich_help_panel=PROCESSES)
def rebuild_command(
    *,
    check: Annotated[
        bool, typer.Option("--check", help="Only compare, and name who differs; workers may run.")
    ] = False,
    retry_skipped: Annotated[
        bool, typer.Option("--retry-skipped", help="Try again what failed and was passed over: for a mended version.")
    ] = False,
    partition: Annotated[
        list[int] | None, typer.Option(help="Only this partition; repeatable. All of them unless given.", min=0)
    ] = None,
) -> None:
    """Derive every customer's state anew from their log, and put it in place of what is kept. Sends nothing.

    Stop the workers first. With --check: exit 1 if the state is not what the log leads to, and nothing is changed.
    """
    from pipeline.progress import Shown
    from pipeline.rebuilding import CannotRebuild, need_no_worker, rebuild

    settings = _quiet_settings()
    events = customers = differences = 0
    with _explained(), Shown(ERR) as shown:
        try:
            if not check:
                need_no_worker(settings)
            for each in rebuild(
                settings, partitions=partition, check=check, retry_skipped=retry_skipped, on_progress=shown.at
            ):
                events, customers = events + each.events, customers + each.customers
                differences += each.differences_count
                for line in each.lines():
                    shown.say(line)
        except CannotRebuild as error:
            _end(str(error), REFUSED)
    told = "differ" if check else "were put right"
    OUT.print(
        f"{events:,} events, {customers:,} customers: {differences:,} entries {told}." if differences else
        f"{events:,} events, {customers:,} customers: the state is what the log leads to.",
        highlight=False,
    )  # fmt: skip
    if check and differences:
        raise typer.Exit(REFUSED)


@app.command("lost", rich_help_panel=PROCESSES)
def lost_command(
    *,
    accept: Annotated[
        bool,
        typer.Option("--accept", help="What is gone is lost: go on where the log begins now. Stop the workers first."),
    ] = False,
) -> None:
    """What was deleted before its task had read it, and stopped the task. With --accept the task goes on without it.

    Exit 1 if something is lost (with --accept: if it is of a log that is kept for ever, which is never passed over).
    """
    from pipeline.lost import find, go_on
    from pipeline.rebuilding import CannotRebuild, need_no_worker

    settings = _quiet_settings()
    with _explained():
        try:
            if accept:
                need_no_worker(settings)
        except CannotRebuild as error:
            _end(str(error), REFUSED)
        found = find(settings)
        for each in found:
            OUT.print(each.told(), highlight=False, soft_wrap=True)
            if accept and each.may_go_on:
                go_on(settings, each)
                OUT.print(f"  goes on at {each.begin}", highlight=False)
            elif not each.may_go_on:
                OUT.print("  kept for ever: what follows from it is no longer known; find out who deleted it")
    if not found:
        OUT.print("Nothing is lost.")
    if any(not (accept and each.may_go_on) for each in found):
        raise typer.Exit(REFUSED)


@app.command("repartition", rich_help_panel=PROCESSES)
def repartition_command(
    count: Annotated[
        int | None, typer.Argument(metavar="N", help="How many partitions the customers' log shall have.", min=1)
    ] = None,
    *,
    give_up: Annotated[
        bool, typer.Option("--abandon", help="Give an unfinished one up: the log is used as it was.")
    ] = False,
) -> None:
    """Write the customers' log and state with another partition count; order and state are kept, nothing is sent.

    Stop the workers first, and afterwards set WAFA_LOG_PARTITIONS for every process. The old topics stay, sealed.
    """
    from pipeline.progress import Shown
    from pipeline.rebuilding import CannotRebuild
    from pipeline.recutting import CannotRepartition
    from pipeline.repartitioning import abandon, repartition

    settings = _quiet_settings()
    if (count is None) != give_up:
        _end("expected a partition count, or --abandon", BAD_INPUT)
    with _explained(), Shown(ERR) as shown:
        try:
            if count is None:
                abandon(settings)
                OUT.print("Abandoned: the log is used as it was.")
                return
            done = repartition(settings, count, on_progress=shown.at)
        except (CannotRepartition, CannotRebuild) as error:
            _end(str(error), REFUSED)
    OUT.print(
        f"{done.events:,} records, {done.customers:,} customers: the log has {count} partitions. Set "
        f"WAFA_LOG_PARTITIONS={count} for every process, and start the workers. {' and '.join(done.old_topics)} are "
        "sealed; delete them when you no longer want them.",
        highlight=False, soft_wrap=True,
    )  # fmt: skip


# -- topics and lag ----------------------------------------------------------------------------------------------------


@topics_app.command("create")
def topics_create(
    *,
    fix: Annotated[bool, typer.Option("--fix", help="Also set settings that differ; partition counts stay.")] = False,
) -> None:
    """Make the topics that are missing. Exit 1 if any that was there differs."""
    from pipeline.admin import create_topics

    settings = _quiet_settings()
    with _explained():
        outcomes = create_topics(settings, fix=fix)
    table = Table("topic", "outcome", "differs in")
    for each in outcomes:
        table.add_row(each.topic, each.outcome, "\n".join(map(str, each.differences)))
    OUT.print(table)
    if any(each.outcome == "differs" for each in outcomes):
        raise typer.Exit(REFUSED)


@topics_app.command("check")
def topics_check() -> None:
    """Compare the topics on Kafka with what Wafa needs. Exit 1 if they differ."""
    from pipeline.admin import check_topics

    settings = _quiet_settings()
    with _explained():
        differences = check_topics(settings)
    missing = [each.topic for each in differences if each.what == "topic"]
    for topic in missing:
        OUT.print(f"[red]missing[/] {topic}", highlight=False)
    for each in differences:
        if each.topic not in missing:
            OUT.print(f"[red]differs[/] {escape(str(each))}", highlight=False, soft_wrap=True)
    if differences:
        OUT.print("`wafa topics create` makes what is missing; with --fix it sets the settings that differ.")
        raise typer.Exit(REFUSED)
    OUT.print("Every topic is as it should be.")


@topics_app.command("show")
def topics_show() -> None:
    """Every topic Wafa uses: what it holds, what keys it, how it is split and kept. Asks no broker."""
    from pipeline import topics

    settings = _quiet_settings()
    table = Table("topic", "key", "partitions", "kept", "about")
    for topic in topics.TOPICS:
        days = (
            "for ever"
            if topic.retention_ms == topics.FOREVER_MS
            else f"{(topic.retention_ms or 0) // topics.DAY_MS} days"
        )
        kept = "latest by key" if topic.cleanup == "compact" else days
        table.add_row(settings.topic(topic.name), topic.key, str(settings.partitions(topic)), kept, topic.about)
    OUT.print(table)


@app.command(rich_help_panel=QUESTIONS)
def lag() -> None:
    """How far the workers are behind: records not processed yet, by topic and partition."""
    from pipeline import admin

    settings = _quiet_settings()
    with _explained():
        lags = admin.lag(settings)
    table = Table(Column("topic", no_wrap=True), *(Column(name, justify="right") for name in _LAG_COLUMNS))
    for each in lags:
        position = "never committed" if each.position is None else f"{each.position:,}"
        table.add_row(each.topic, str(each.partition), position, f"{each.end:,}", f"{each.records:,}")
    OUT.print(table)
    OUT.print(f"In all {sum(each.records for each in lags):,} records behind.", highlight=False)


# -- policy ------------------------------------------------------------------------------------------------------------


def _text(file: Path, *, encoding: str = "utf-8") -> str:
    try:
        return file.read_text(encoding=encoding)
    except OSError as error:
        _end(f"{file}: {error.strerror or error}", BAD_INPUT)
    except UnicodeDecodeError as error:
        _end(f"{file}: expected UTF-8, got another byte at {error.start}", BAD_INPUT)


@policy_app.command("show")
def policy_show(
    *,
    defaults: Annotated[bool, typer.Option("--defaults", help="The defaults, without asking Kafka.")] = False,
) -> None:
    """Print the policy in force as a file to edit and adopt: the last adopted, else the defaults."""
    from pipeline.adoption import policy_in_force
    from pipeline.core.policy import default_text

    if defaults:
        sys.stdout.write(default_text())
        return
    settings = _quiet_settings()
    with _explained():
        sys.stdout.write(policy_in_force(settings))


@policy_app.command("check")
def policy_check(file: Annotated[Path, typer.Argument(help="A policy file (TOML).")]) -> None:
    """Check a policy file, and list every problem. Asks no broker, changes nothing."""
    from pipeline.core.policy import load_policy, policy_hash

    with _explained():
        policy = load_policy(_text(file))
    OUT.print(f"{file} is sound; its hash is {policy_hash(policy)}.", highlight=False, soft_wrap=True)


@policy_app.command("adopt")
def policy_adopt(file: Annotated[Path, typer.Argument(help="A policy file (TOML).")]) -> None:
    """Check a policy file and put it into force, for every worker, through the log."""
    from pipeline.adoption import adopt_policy

    text = _text(file)
    settings = _quiet_settings()
    with _explained():
        digest = adopt_policy(settings, text)
    OUT.print(f"Adopted: {digest}. Each customer takes it up at their next event or review.", highlight=False)


@app.command(rich_help_panel=RULES)
def spend(
    file: Annotated[
        Path | None,
        typer.Argument(help="CSV: channel,month,spend_minor. Without it, costs and customers are counted anew."),
    ] = None,
) -> None:
    """What channels spent, by month: spread over whom they won, late spend included. `wafa analyst` does so hourly.

    What a channel spent is the sum of the costs that name it, unless a line of a file says it: the channel's whole
    spend on a month (YYYY-MM), in minor units of the shop's currency, or `events` to let the costs count again.
    """
    from pipeline.spending import BadSpend, read_spend, revise, together
    from pipeline.telling_value import money

    told: dict[tuple[str, str], int | None] = {}
    if file is not None:
        try:
            told = read_spend(_text(file, encoding="utf-8-sig").splitlines())
        except BadSpend as error:
            _end(f"{file}: {error}", BAD_INPUT)
    settings = _quiet_settings()
    with _explained():
        revised = revise(settings, told)
    for each in revised.revisions:
        spent = money(each.spend_minor, settings.shop_currency)
        won = f"{each.acquisitions:,} customers won"
        OUT.print(f"{each.channel}, {each.cohort_month}: {spent} spent, {won}.", highlight=False)
    for odd in together(revised.remarks, settings.shop_currency):
        OUT.print(f"[yellow]odd[/] {escape(odd)}", highlight=False)
    OUT.print(
        f"{len(revised.revisions):,} revised. Each customer takes it up at their next event or review.", highlight=False
    )


@app.command(rich_help_panel=RULES)
def fit(
    *,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Fit and say what was found; the log stays as it is.")
    ] = False,
    every: Annotated[
        str | None, typer.Option(help="Again and again, so much time between: 90m, 24h, 7d. Ends on SIGTERM.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="The report as JSON.")] = False,
) -> None:
    """Learn what to expect of customers from what all of them did, and put the model into the log.

    Reads every customer's state. How they buy is learned anew only where that would have foretold the last four weeks
    no worse than the model in force. Exit 1 if there is nothing to learn from yet. Needs the extra `analysis`.
    """
    with _needing("analysis"):
        from pipeline.fitting import document, print_report
        from pipeline.learning import learn
    pause = None if every is None else _seconds(every)
    settings = _quiet_settings()

    def once() -> bool:
        found = learn(settings, dry_run=dry_run)
        if as_json:
            sys.stdout.write(json.dumps(document(found.report)) + "\n")
            sys.stdout.flush()
        else:
            print_report(found.report, OUT, settings.shop_currency)
            _show_population(settings, found.population, dry_run=dry_run)
            _show_affinity(found.affinity, dry_run=dry_run)
        return bool(found.report.told)

    with _explained():
        if pause is None:
            if not once():
                raise typer.Exit(REFUSED)
            return
        with _until_told() as stop:
            once()
            while not stop.wait(pause):
                once()


_UNIT_SECONDS: Final = {"m": 60, "h": 3_600, "d": 86_400}


def _seconds(text: str) -> float:
    """A length of time such as 90m, 24h or 7d."""
    number, unit = text[:-1], text[-1:]
    if not number.isdecimal() or unit not in _UNIT_SECONDS or not 0 < int(number) * _UNIT_SECONDS[unit] <= _PAUSE_MAX:
        _end(f"--every: expected minutes, hours or days such as 90m, 24h or 7d, at most 31d, got {text!r}", BAD_INPUT)
    return float(int(number) * _UNIT_SECONDS[unit])


@app.command(rich_help_panel=RULES)
def tiers(
    *,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only measure and show; the log stays as it is.")] = False,
) -> None:
    """Measure where the shop's customers lie, by the model in force: the cuts that tiers and RFM scores go by.

    `wafa fit` does it too, each time. Exit 1 if there is nothing to measure yet. Needs the extra `analysis`.
    """
    with _needing("analysis"):
        from pipeline.adoption import append_control
        from pipeline.measuring import NothingToMeasure, measure_population
    settings = _quiet_settings()
    with _explained():
        try:
            found = measure_population(settings)
        except NothingToMeasure as nothing:
            _show_population(settings, nothing, dry_run=dry_run)
            raise typer.Exit(REFUSED) from nothing
        if not dry_run:
            append_control(settings, found)
    _show_population(settings, found, dry_run=dry_run)


def _show_population(settings: Settings, found: ModelFitted | NothingToMeasure, *, dry_run: bool) -> None:
    from pipeline.measuring import NothingToMeasure, print_population

    if isinstance(found, NothingToMeasure):
        OUT.print(f"No tiers: {found}.", highlight=False, soft_wrap=True)
        return
    print_population(found, OUT, settings.shop_currency)
    OUT.print(
        "Not put into the log." if dry_run else "Each customer takes it up when money moves, or at their review.",
        highlight=False,
    )


@app.command(rich_help_panel=RULES)
def affinity(
    *,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Measure and show it; put nothing into the log.")] = False,
) -> None:
    """Measure what goes with what: categories bought by the same customers, for `next best` in a customer's view.

    Also how many orders have a discount, and how many messages are answered. `wafa fit` does it too, each time. Needs
    the extra `analysis`.
    """
    with _needing("analysis"):
        from pipeline.adoption import append_control
        from pipeline.affinities import measure_affinity
    settings = _quiet_settings()
    with _explained():
        found = measure_affinity(settings)
        if not dry_run:
            append_control(settings, found)
    _show_affinity(found, dry_run=dry_run)


def _show_affinity(found: ModelFitted, *, dry_run: bool) -> None:
    from pipeline.affinities import told

    for line in told(found):
        OUT.print(line, highlight=False, soft_wrap=True)
    ending = "Not put into the log." if dry_run else "Each customer takes it up at their next event or review."
    OUT.print(ending, highlight=False)


# -- in and out --------------------------------------------------------------------------------------------------------


@app.command(rich_help_panel=DATA)
def publish(
    file: Annotated[str, typer.Argument(help="JSON lines, or a CSV (.csv, .tsv); - reads standard input.")],
    topic: Annotated[
        str | None, typer.Option(help="JSON lines: send all to this source, such as purchases.v1.")
    ] = None,
    column: Annotated[
        list[str] | None,
        typer.Option("--map", help="CSV: FIELD=COLUMN, repeated, where the header has names of its own."),
    ] = None,
) -> None:
    """Publish events, or the customers you have.

    JSON lines: one event a line, in Wafa's own form, as a Segment or RudderStack call, or as a CloudEvent; each goes to
    the source its type belongs on. CSV: one customer or one order a row, with a header such as
    `email,name,consent_email,order_id,order_at,order_amount`. Lines that a worker would refuse are told, and not sent.
    Publishing a file again changes nothing.
    """
    from pipeline.publishing import NotPublished, publish_file

    settings = _quiet_settings()
    with _explained():
        try:
            report = publish_file(settings, file, topic=topic, columns=_columns(column or []), console=ERR)
        except NotPublished as error:
            _end(str(error), BAD_INPUT)
    rate = report.lines / report.seconds if report.seconds else 0
    OUT.print(
        f"{report.lines:,} lines read ({rate:,.0f} a second): {report.published:,} events published, "
        f"{report.refused_count:,} lines refused.",
        highlight=False,
    )
    if report.is_interrupted:
        _end("interrupted. What is published stays; publish the file again for the rest.", INTERRUPTED)
    if report.failure is not None:
        _end(
            f"stopped: {report.failed_count:,} events were not delivered to {settings.kafka_bootstrap_servers} (first: "
            f"{report.failure}). Publish the file again for the rest.",
            UNREACHABLE,
        )
    if report.refused_count:
        raise typer.Exit(REFUSED)


def _columns(pairs: list[str]) -> dict[str, str]:
    columns = {}
    for pair in pairs:
        field, separator, column = pair.partition("=")
        if not separator:
            _end(f"--map: expected FIELD=COLUMN, got {pair!r}", BAD_INPUT)
        columns[field] = column
    return columns


@app.command(rich_help_panel=DATA)
def redrive(
    *,
    reason: Annotated[
        Reason | None, typer.Option(metavar="REASON", help="Only letters refused for this reason, such as no_rate.")
    ] = None,
    topic: Annotated[str | None, typer.Option(help="Only letters from this topic, such as purchases.v1.")] = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Count them, with what was wrong, and send nothing.")
    ] = False,
) -> None:
    """Send dead letters again: records that were refused, as they came, to where they came from.

    For when the cause is mended. Each letter is sent once for the same choice of reason and topic.
    """
    from pipeline import topics
    from pipeline.redriving import redrive_letters

    settings = _quiet_settings()
    plain = None if topic is None else topic.removeprefix(settings.topics_prefix)
    names = [each.name for each in topics.TOPICS]
    if plain is not None and plain not in names:
        _end(f"--topic: expected one of {', '.join(names)}, got {topic!r}", BAD_INPUT)
    with _explained():
        redriven = redrive_letters(settings, reason=reason, topic=plain, dry_run=dry_run)
    table = Table("topic", "reason", Column("letters", justify="right"), "the latest (UTC)", "where", "what was wrong")
    for kind, count in sorted(redriven.counts.items()):
        latest = redriven.latest[kind]
        when, place = f"{latest.received_at:%Y-%m-%d %H:%M}", f"{latest.partition}@{latest.offset}"
        table.add_row(*kind, f"{count:,}", when, place, escape("; ".join(latest.problems)))
    if table.row_count:
        OUT.print(table)
    total = redriven.counts.total()
    OUT.print(f"{total:,} letters {'would be sent' if dry_run else 'sent'} again.", highlight=False)
    if redriven.not_carried:
        OUT.print(
            f"{redriven.not_carried:,} more are about records too large to be kept in a letter; these are only where "
            "they were sent.",
            highlight=False,
        )
    if redriven.too_large:
        OUT.print(
            f"{redriven.too_large:,} more are larger than their topic takes when not compressed, and would be refused "
            "again: passed over.",
            highlight=False,
        )


@app.command(rich_help_panel=QUESTIONS)
def triggers(
    *,
    follow: Annotated[bool, typer.Option("--follow", "-f", help="Go on with new ones until Ctrl-C.")] = False,
    limit: Annotated[int, typer.Option(help="How many of the latest to show first.", min=0, max=10_000)] = 20,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object a line.")] = False,
) -> None:
    """What marketing is told to do: the latest triggers, oldest first, and why each was sent."""
    from pipeline.inquiry import follow_triggers
    from pipeline.telling import in_words

    settings = _quiet_settings()
    shown = 0
    with _explained():
        try:
            for trigger in follow_triggers(settings, limit=limit, follow=follow, stop=threading.Event()):
                shown += 1
                if as_json:
                    sys.stdout.write(json.dumps(trigger) + "\n")
                    sys.stdout.flush()
                else:
                    OUT.print(escape(in_words(trigger)), highlight=False, soft_wrap=True)
        except KeyboardInterrupt:
            if not follow:  # with it, this is how one ends it
                raise
    if not shown and limit:
        ERR.print("No triggers yet.")


@app.command(rich_help_panel=QUESTIONS)
def books(
    *,
    as_json: Annotated[bool, typer.Option("--json", help="The report as JSON.")] = False,
) -> None:
    """Does it add up: customers' value by part and by channel, against what the log and the channels say, line by line.

    Reads the state and the whole log. Exit 1 if a line differs.
    """
    from pipeline.bookkeeping import document, print_books, read_books

    settings = _quiet_settings()
    with _explained():
        found = read_books(settings)
    if as_json:
        sys.stdout.write(json.dumps(document(found), indent=2) + "\n")
    else:
        print_books(found, OUT, settings.shop_currency)
    if not found.adds_up:
        _end("the books differ: see the differences, and the dead letters for what was refused", REFUSED)


@app.command(rich_help_panel=QUESTIONS)
def report(  # noqa: PLR0913 - an option is a parameter
    *,
    first: Annotated[
        datetime | None, typer.Option("--from", formats=["%Y-%m-%d"], help="First day; else a year or so back.")
    ] = None,
    last: Annotated[
        datetime | None, typer.Option("--to", formats=["%Y-%m-%d"], help="Last day; else of the period there is now.")
    ] = None,
    period: Annotated[
        PeriodKind | None, typer.Option(help="By what the time is divided; else as the goals are.")
    ] = None,
    csv: Annotated[Path | None, typer.Option(help="Write every table there, as CSV.")] = None,
    html: Annotated[Path | None, typer.Option(help="Write one page with plots, complete in itself.")] = None,
    metrics: Annotated[Path | None, typer.Option(help="Write the goals there, as Prometheus metrics.")] = None,
) -> None:
    """How the shop does: funnel, channels, costs against revenue, who comes back, goals, tiers, needs.

    Reads the state and the whole log. What each figure means: docs/report.md.
    """
    from pipeline.analysis.report.files import csv_files
    from pipeline.reporting import Asked, NobodyYet, read_report
    from pipeline.telling_report import print_report

    settings = _quiet_settings()
    with _explained():
        try:
            asked = Asked(period, first.date() if first else None, last.date() if last else None)
            found = read_report(settings, asked)
        except NobodyYet as error:
            _end(str(error), REFUSED)
        except ValueError as error:
            _end(f"--from, --to, --period: {error}", BAD_INPUT)
    print_report(found, OUT)
    files = {} if csv is None else {csv / name: text for name, text in csv_files(found).items()}
    if metrics is not None:
        files[metrics] = _goals(found)
    problems = _write(files)
    if html is not None:  # last: where it cannot be drawn or written, all the rest is there
        problems += _write({html: _page(found)})
    if problems:
        _end("; ".join(problems), BAD_INPUT)


def _page(found: Report) -> str:
    with _needing("analysis"):
        from pipeline.analysis.report.page import page
    return page(found)


def _goals(found: Report) -> str:
    from pipeline import metrics
    from pipeline.analysis.report.goals import goal_figures

    metrics.show_goals(goal_figures(found))
    return metrics.goals_text()


def _write(files: Mapping[Path, str]) -> list[str]:
    """Writes what can be written, and tells what cannot: a folder once for all that should be in it."""
    unwritten: dict[tuple[Path, str], list[Path]] = {}
    for path, text in files.items():
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text, encoding="utf-8")
        except OSError as error:
            unwritten.setdefault((path.parent, error.strerror or str(error)), []).append(path)
    return [
        f"{paths[0]}: {why}" if len(paths) == 1 else f"{folder}: {why} ({len(paths)} files not written)"
        for (folder, why), paths in unwritten.items()
    ]


@app.command(rich_help_panel=QUESTIONS)
def customer(
    who: Annotated[
        str, typer.Argument(help="Your customer id, an e-mail, phone or handle, or Wafa's id (its start will do).")
    ],
    *,
    why: Annotated[
        str | None,
        typer.Option(
            "--why",
            metavar="QUESTION",
            help="Only why it is so: value, stage, lifecycle, tier, prediction, satisfaction, needs, owed, rfm, or a "
            "rule such as retention_offer.",
        ),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Everything, as one JSON document.")] = False,
    events: Annotated[int, typer.Option(help="How many of the latest events to show.", min=0, max=10_000)] = 25,
) -> None:
    """One customer: who they are, what happened, and why each trigger was sent or was not.

    With --why: the entries behind their value, the evidence behind their stage, what moved their lifecycle and tier,
    the inputs behind a prediction, the pieces behind satisfaction, needs, promises and RFM scores, or all that became
    of a rule's triggers and why others were never considered.
    """
    from pipeline.core.why import QUESTIONS
    from pipeline.inquiry import PREFIX_CHARS_MIN, customer_document, customer_ids, explanation
    from pipeline.telling import print_customer
    from pipeline.telling_why import print_explanation

    settings = _quiet_settings()
    question = None if why is None else why.replace("-", "_")
    if question is not None and question not in QUESTIONS:
        _end(f"--why: expected one of {', '.join(QUESTIONS)}, got {why!r}", BAD_INPUT)
    with _explained():
        found = customer_ids(settings, who)
        if not found:
            short = f"; of an id its first {PREFIX_CHARS_MIN} characters will do" if len(who) < PREFIX_CHARS_MIN else ""
            _end(f"nobody is known by {who!r} (or no worker has come so far: `wafa lag`){short}", REFUSED)
        if len(found) > 1:
            _end(f"{who!r} means {len(found)} customers: {', '.join(found[:5])}", REFUSED)
        document: dict[str, Any] = (
            customer_document(settings, found[0]) if question is None else explanation(settings, found[0], question)
        )
    if as_json:
        sys.stdout.write(json.dumps(document, indent=2) + "\n")
    elif question is not None:
        print_explanation(document, OUT)
    else:
        print_customer(document, OUT, events=events)


@app.command(rich_help_panel=RULES)
def contracts(
    folder: Annotated[Path, typer.Argument(help="Where the documents are.")] = Path("docs/contracts"),
    *,
    check: Annotated[
        bool, typer.Option("--check", help="Only compare; exit 1 if a document is not as the models say.")
    ] = False,
) -> None:
    """Write what publishers and consumers may rely on: JSON Schemas and an AsyncAPI document, made from the models."""
    from pipeline.schemas.contracts import documents

    stale = []
    for name, content in documents().items():
        path = folder / name
        if path.is_file() and path.read_text(encoding="utf-8") == content:
            continue
        stale.append(path)
        if not check:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(content, encoding="utf-8")
    for path in stale:
        OUT.print(f"{'differs' if check else 'written'}: {path}")
    if check and stale:
        raise typer.Exit(REFUSED)


def main() -> None:
    """Run the command line."""
    run: Callable[[], None] = app
    run()


if __name__ == "__main__":
    main()

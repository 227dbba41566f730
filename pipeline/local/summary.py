"""What came of a demonstration, read back from Kafka, the worker's metrics and Redis; and whether it adds up."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

import msgspec
from rich.columns import Columns
from rich.console import Console
from rich.padding import Padding
from rich.rule import Rule
from rich.table import Table

from pipeline import topics
from pipeline.admin import Admin
from pipeline.core.profile import Tier
from pipeline.inquiry import scan
from pipeline.local.foresight import Outcome
from pipeline.local.screen import plain_table, population_table
from pipeline.local.watch import Population, samples
from pipeline.schemas.dead_letters import read_dead_letter
from pipeline.serving.read import Views
from pipeline.settings import Settings

OUTCOMES: Final = ("accepted", "late", "duplicate", "refused", "waiting")
TIERS: Final = {
    Tier.MVC: "most valuable", Tier.MGC: "most growable", Tier.REST: "the rest", Tier.BZ: "below zero",
    Tier.UNKNOWN: "not told yet",
}  # fmt: skip
MOVES: Final = ("sent", "withheld", "expired", "cancelled", "held")


class _Sent(msgspec.Struct):
    """A trigger, as far as counting it needs."""

    trigger_id: str
    rule: str


class _Move(msgspec.Struct):
    """A decision, as far as counting it needs."""

    trigger_id: str
    rule: str
    outcome: str
    reasons: tuple[str, ...] = ()


@dataclass(slots=True)
class Summary:
    """The figures. Every one can be read again from where it came."""

    records: Mapping[str, int] = field(default_factory=dict)
    """In each source topic: from Kafka."""
    events: Mapping[tuple[str, str], int] = field(default_factory=dict)
    """By source and outcome: from the worker's metrics."""
    population: Population = field(default_factory=dict)
    """From the worker's metrics."""
    population_in_redis: Population = field(default_factory=dict)
    moves: Mapping[tuple[str, str], int] = field(default_factory=dict)
    """Where each consideration stands, by rule and outcome: from the decisions on Kafka, the last of each id."""
    decisions: Mapping[str, int] = field(default_factory=dict)
    """Moves that were made, by outcome: from the worker's metrics."""
    reasons: Mapping[tuple[str, str, str], int] = field(default_factory=dict)
    """Why not (yet) sent, by rule, outcome and reason: from the decisions on Kafka."""
    triggers: Mapping[str, int] = field(default_factory=dict)
    """Triggers by rule: from Kafka."""
    trigger_ids: int = 0
    """How many different ids they have."""
    dead_letters: Mapping[tuple[str, str], int] = field(default_factory=dict)
    """By topic and reason: from Kafka."""
    foresight: Outcome = field(default_factory=Outcome)
    """From the customers' states on Kafka."""

    def checks(self) -> list[tuple[str, bool]]:
        """What must hold, in words, and whether it does."""
        sent, considered = sum(self.triggers.values()), sum(self.moves.values())
        held = sum(count for (_, outcome), count in self.moves.items() if outcome == "held")
        ended = {outcome: self.decisions.get(outcome, 0) for outcome in MOVES if outcome != "held"}
        published, taken = sum(self.records.values()), sum(self.events.values())
        letters = sum(self.dead_letters.values())
        refused = sum(count for (_, outcome), count in self.events.items() if outcome == "refused")
        together = " + ".join(f"{count:,} {outcome}" for outcome, count in ended.items())
        return [
            (
                f"{published:,} records = {taken:,} events accepted, late, duplicate, refused or waiting",
                published == taken,
            ),
            (f"{refused:,} events refused = {letters:,} dead letters", letters == refused),
            (f"{considered:,} considered = {together} + {held:,} held", considered == sum(ended.values()) + held),
            (f"{sent:,} triggers, {self.trigger_ids:,} different ids", sent == self.trigger_ids == ended["sent"]),
            ("Redis shows the customers that the worker has", self.population == self.population_in_redis),
        ]

    def buyers(self) -> tuple[str, bool]:
        """Whether everybody who has bought is in a tier, in words."""
        buyers = sum(count for row in self.population.values() for name, count in row.items() if name != "prospect")
        tiers = {tier: found.customers for tier, found in sorted(self.foresight.tiers.items(), reverse=True)}
        told = " + ".join(f"{count:,} {TIERS[tier]}" for tier, count in tiers.items())
        return f"{buyers:,} customers who bought = {told}", buyers == sum(tiers.values())


def summarise(settings: Settings, worker_metrics_url: str) -> Summary:
    """Reads everything back."""
    summary = Summary()
    with Admin(settings) as admin:
        records: Counter[str] = Counter()
        for (name, _), end in admin.end_offsets(topics.SOURCES).items():
            records[name.removeprefix(settings.topics_prefix)] += end
        summary.records = records
    _read_metrics(summary, worker_metrics_url)
    with Views(settings) as views:
        summary.population_in_redis = views.stage_counts()
    _read_decisions(summary, settings)
    letters: Counter[tuple[str, str]] = Counter()
    for found in scan(settings, topics.DEAD_LETTERS):
        letter = read_dead_letter(found)
        letters[letter.topic, letter.reason] += 1
    summary.dead_letters = letters
    return summary


def _read_metrics(summary: Summary, url: str) -> None:
    events: Counter[tuple[str, str]] = Counter()
    decisions: Counter[str] = Counter()
    population: dict[str, dict[str, int]] = defaultdict(dict)
    for name, labels, value in samples(url):
        if name == "wafa_events_total" and value:
            events[labels["source"], labels["outcome"]] += int(value)
        elif name == "wafa_waiting_events" and value:
            events["(all)", "waiting"] += int(value)
        elif name == "wafa_decisions_total":
            decisions[labels["outcome"]] += int(value)
        elif name == "wafa_customers" and value:
            population[labels["stage"]][labels["lifecycle"]] = int(value)
    summary.events, summary.decisions, summary.population = events, decisions, dict(population)


def _read_decisions(summary: Summary, settings: Settings) -> None:
    decode, decode_trigger = msgspec.json.Decoder(_Move).decode, msgspec.json.Decoder(_Sent).decode
    latest: dict[str, _Move] = {}
    for found in scan(settings, topics.DECISIONS):
        move = decode(found.value or b"")
        latest[move.trigger_id] = move
    moves: Counter[tuple[str, str]] = Counter()
    reasons: Counter[tuple[str, str, str]] = Counter()
    for move in latest.values():
        moves[move.rule, move.outcome] += 1
        if move.outcome != "sent":
            reasons[move.rule, move.outcome, move.reasons[0] if move.reasons else ""] += 1
    triggers: Counter[str] = Counter()
    ids: set[str] = set()
    for found in scan(settings, topics.TRIGGERS):
        sent = decode_trigger(found.value or b"")
        triggers[sent.rule] += 1
        ids.add(sent.trigger_id)
    summary.moves, summary.reasons, summary.triggers, summary.trigger_ids = moves, reasons, triggers, len(ids)


# -- shown ------------------------------------------------------------------------------------------------------------


def print_summary(summary: Summary, console: Console, *, title: str, notes: Sequence[str]) -> None:
    """The figures for eyes, whether they add up, and `notes` under them."""
    console.print(Rule(title, style="cyan"))
    console.print(_events_table(summary))
    console.print(population_table(summary.population, title="Customers by stage and lifecycle"))
    if summary.foresight.has_tiers:
        console.print(_tiers_table(summary))
    console.print(_moves_table(summary))
    console.print(Columns([_reasons_table(summary), _letters_table(summary)], padding=(0, 2)))
    claims = Table.grid(padding=(0, 2))
    for claim, holds in [*summary.checks(), *([summary.buyers()] if summary.foresight.has_tiers else [])]:
        claims.add_row("[green]adds up[/]" if holds else "[bold red]DIFFERS[/]", claim)
    claims.add_row()
    for note in [*_foretold(summary), *notes]:
        claims.add_row("[dim]note[/]", note)
    console.print(Padding(claims, (0, 1)))


def _table(title: str, first: tuple[str, ...], figures: tuple[str, ...]) -> Table:
    table = plain_table(title)
    for name in first:
        table.add_column(name, no_wrap=True)
    for name in figures:
        table.add_column(name, justify="right", no_wrap=True)
    return table


def _figures(counts: list[int]) -> list[str]:
    return [f"{count:,}" if count else "" for count in counts]


def _events_table(summary: Summary) -> Table:
    table = _table("Events by source and outcome", ("source",), ("records", *OUTCOMES))
    for source in topics.SOURCES:
        counts = [summary.events.get((source.name, outcome), 0) for outcome in OUTCOMES]
        table.add_row(source.name, *_figures([summary.records.get(source.name, 0), *counts]))
    sums = [sum(count for (_, each), count in summary.events.items() if each == outcome) for outcome in OUTCOMES]
    table.add_section()
    table.add_row("all", *_figures([sum(summary.records.values()), *sums]), style="bold")
    return table


def _moves_table(summary: Summary) -> Table:
    table = _table("Triggers by rule", ("rule",), ("considered", *MOVES))
    for rule in sorted({rule for rule, _ in summary.moves}):
        counts = [summary.moves.get((rule, outcome), 0) for outcome in MOVES]
        table.add_row(rule.replace("_", " "), *_figures([sum(counts), *counts]))
    return table


def _tiers_table(summary: Summary) -> Table:
    title = "Customers by what one is worth on average, in USD"
    table = _table(title, ("tier",), ("customers", "worth so far", "expected", "in all"))
    for tier, found in sorted(summary.foresight.tiers.items(), reverse=True):
        worth = (found.actual_minor, found.ahead_minor, found.actual_minor + found.ahead_minor)
        each = [f"{minor / found.customers / 100:,.2f}" for minor in worth] if tier else [""] * len(worth)
        table.add_row(TIERS[tier], f"{found.customers:,}", *each)
    return table


def _foretold(summary: Summary) -> list[str]:
    came = summary.foresight.came
    if came is None:
        return []
    expected = f"{came.expected:,.0f} orders of {came.customers:,} customers in {came.days} days"
    return [f"Foretold on {came.on}, from what was known then: {expected}. {came.orders:,} came."]


def _reasons_table(summary: Summary) -> Table:
    table = _table("Why not (yet) sent", ("rule", "outcome", "reason"), ("triggers",))
    for (rule, outcome, reason), count in sorted(summary.reasons.items(), key=lambda item: (item[0][:2], -item[1])):
        table.add_row(rule.replace("_", " "), outcome, reason.replace("_", " "), f"{count:,}")
    return table


def _letters_table(summary: Summary) -> Table:
    table = _table("Dead letters by source and reason", ("source", "reason"), ("letters",))
    for (topic, reason), count in sorted(summary.dead_letters.items()):
        table.add_row(topic, reason.replace("_", " "), f"{count:,}")
    return table

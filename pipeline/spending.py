"""What channels spent, counted against whom they won: `ChannelCostRevised` through the controls.

Spend is the sum of the costs that name the channel (`crm.shop-costs.v1`, each once), or what a file says of a month in
its place. Whom a channel won is counted from every customer's state at that moment.
"""

from __future__ import annotations

import csv
import re
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from typing import Final

import msgspec

from pipeline import states, topics
from pipeline.adoption import append_controls
from pipeline.core import controls as core_controls
from pipeline.core.acquisition import cohort_month, shares
from pipeline.core.controls import SCOPES_MAX, Controls
from pipeline.core.revisions import CHANNELS_MAX, EVENTS, Odd, Remark, Revised, Spend, Won, revised
from pipeline.core.shop_costs import ChannelMonth, summed
from pipeline.inquiry import need_topics, scan
from pipeline.schemas import shop_costs
from pipeline.schemas.events import AMOUNT_MINOR_MAX
from pipeline.settings import Settings
from pipeline.telling_value import money

COLUMNS: Final = ("channel", "month", "spend_minor")
PROBLEMS_MAX: Final = 20
_CHANNEL: Final = re.compile(r"[a-z0-9][a-z0-9_.-]{0,63}")
_MONTH: Final = re.compile(r"\d{4}-(0[1-9]|1[0-2])")


class BadSpend(Exception):
    """The file refuses itself; the message lists every problem, the first 20."""


def read_spend(lines: Sequence[str]) -> dict[ChannelMonth, int | None]:
    """What a CSV says each channel spent on each month, in the shop's minor units; None where costs count again.

    Raises BadSpend.
    """
    reader = csv.DictReader(lines)
    if tuple(reader.fieldnames or ()) != COLUMNS:
        raise BadSpend(f"header: expected {','.join(COLUMNS)}, got {','.join(reader.fieldnames or ())}")
    found: dict[ChannelMonth, int | None] = {}
    problems = []
    for number, row in enumerate(reader, 2):
        channel, month, spend = (str(row[name] or "").strip() for name in COLUMNS)
        if not _CHANNEL.fullmatch(channel):
            problems.append(f"line {number}: channel: expected a code such as paid_search, got {channel!r}")
        elif not _MONTH.fullmatch(month):
            problems.append(f"line {number}: month: expected YYYY-MM, got {month!r}")
        elif spend != EVENTS and (not spend.isdecimal() or int(spend) > AMOUNT_MINOR_MAX):
            problems.append(
                f"line {number}: spend_minor: expected whole minor units from 0 up, or {EVENTS}, got {spend!r}"
            )
        elif (channel, month) in found:
            problems.append(f"line {number}: {channel}, {month}: expected once, got it again")
        else:
            found[channel, month] = None if spend == EVENTS else int(spend)
    if len(found) > SCOPES_MAX:
        problems.append(f"file: expected at most {SCOPES_MAX} channels and months, got {len(found)}")
    if problems:
        raise BadSpend("\n".join(problems[:PROBLEMS_MAX]))
    return found


def revise(settings: Settings, by_file: Mapping[ChannelMonth, int | None]) -> Revised:
    """Sum what channels spent, count whom they won, and put into the log what has changed.

    Dated when the reading begins: of two that run at once the one that began later counts, and neither counts twice.
    Raises as reading Kafka and appending do.
    """
    need_topics(settings, topics.CUSTOMER_STATE, topics.CONTROLS, topics.SHOP_COSTS)
    revised_at = datetime.now(UTC)  # noqa: TID251 - a control's date is the moment somebody gave it
    controls, won = _won(settings)
    by_events = summed(costs_told(settings), controls.policy.shop.time_zone)
    found = revised(controls, Spend(by_events, by_file), won, revised_at)
    if found.revisions:
        append_controls(settings, found.revisions)
    return found


ODD: Final = {
    Odd.NOBODY_WON: "spent, and no customer of that month came by it",
    Odd.BELOW_ZERO: "more was taken back than spent",
    Odd.TOLD_TWICE: "told by costs too, which do not count: the file's word does",
    Odd.NO_CHANNEL: "spent for no channel, so spread over nobody",
    Odd.TOO_MANY: f"no place for it among {CHANNELS_MAX} channels and {SCOPES_MAX} months of them: spread over nobody",
}
"""Each odd thing in words."""


def in_words(remark: Remark, currency: str) -> str:
    """A remark as a sentence; money in the shop's currency."""
    what = f"{remark.channel}, {remark.cohort_month}" if remark.channel else remark.cohort_month
    return f"{what}: {money(remark.amount_minor, currency)} {ODD[remark.odd]} ({remark.odd})"


def together(remarks: Sequence[Remark], currency: str) -> list[str]:
    """Remarks as sentences; a channel's months of one kind are one, with the money of all."""
    months: dict[tuple[str, Odd], list[Remark]] = {}
    for remark in remarks:
        months.setdefault((remark.channel, remark.odd), []).append(remark)
    told = []
    for (channel, odd), each in months.items():
        if len(each) == 1:
            told.append(in_words(each[0], currency))
            continue
        first, last = min(one.cohort_month for one in each), max(one.cohort_month for one in each)
        when = f"{channel}, {first} to {last}" if channel else f"{first} to {last}"
        amount = money(sum(one.amount_minor for one in each), currency)
        told.append(f"{when}: {amount} in {len(each)} months {ODD[odd]} ({odd})")
    return told


def costs_told(settings: Settings) -> Iterator[shop_costs.ShopCost]:
    """Every cost once, in the word of it that arrived last.

    Not in the one dated latest: compaction keeps the last, at some time, and a sum must not depend on when.
    """
    latest: dict[bytes, bytes] = {}
    for record in scan(settings, topics.SHOP_COSTS):
        if record.value is None:
            latest.pop(record.key or b"", None)
        else:
            latest[record.key or b""] = record.value
    for value in latest.values():
        try:
            yield shop_costs.decode(value)
        except msgspec.MsgspecError:
            continue  # not ours: the door writes none such


def _won(settings: Settings) -> tuple[Controls, Won]:
    """The controls in force, and whom each channel won: one partition's packed customers after another's."""
    controls = core_controls.INITIAL
    parts: dict[ChannelMonth, int] = {}
    customers: dict[ChannelMonth, int] = {}
    for partition in states.partitions(settings):
        controls, policy = core_controls.newest(controls, partition.controls), partition.controls.policy
        for _, profile in partition.customers():
            month = cohort_month(profile, policy.shop.time_zone) or ""
            for channel, share in shares(profile, policy.value).items():
                parts[channel, month] = parts.get((channel, month), 0) + share
                customers[channel, month] = customers.get((channel, month), 0) + 1
    return controls, Won(parts, customers)

"""What channels spent, told by the shop and counted against whom they won: `ChannelCostRevised` through the controls.

A file says what each channel spent on each month, in whole; told again with more, it is late spend. Whom a channel won
is counted from every customer's state at that moment, so telling again without a file counts anew.
"""

from __future__ import annotations

import csv
import re
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Final

from pipeline import topics
from pipeline.adoption import append_control
from pipeline.bookkeeping import read_state
from pipeline.core import controls as core_controls
from pipeline.core.acquisition import cohort_month, shares
from pipeline.core.codec import unpack
from pipeline.core.controls import SCOPES_MAX
from pipeline.inquiry import need_topics
from pipeline.schemas import logged
from pipeline.schemas.events import AMOUNT_MINOR_MAX
from pipeline.settings import Settings

COLUMNS: Final = ("channel", "month", "spend_minor")
PROBLEMS_MAX: Final = 20
_CHANNEL: Final = re.compile(r"[a-z0-9][a-z0-9_.-]{0,63}")
_MONTH: Final = re.compile(r"\d{4}-(0[1-9]|1[0-2])")

ChannelMonth = tuple[str, str]


class BadSpend(Exception):
    """The file refuses itself; the message lists every problem, the first 20."""


def read_spend(lines: Sequence[str]) -> dict[ChannelMonth, int]:
    """What a CSV says each channel spent on each month, in the shop's minor units. Raises BadSpend."""
    reader = csv.DictReader(lines)
    if tuple(reader.fieldnames or ()) != COLUMNS:
        raise BadSpend(f"header: expected {','.join(COLUMNS)}, got {','.join(reader.fieldnames or ())}")
    found: dict[ChannelMonth, int] = {}
    problems = []
    for number, row in enumerate(reader, 2):
        channel, month, spend = (str(row[name] or "").strip() for name in COLUMNS)
        if not _CHANNEL.fullmatch(channel):
            problems.append(f"line {number}: channel: expected a code such as paid_search, got {channel!r}")
        elif not _MONTH.fullmatch(month):
            problems.append(f"line {number}: month: expected YYYY-MM, got {month!r}")
        elif not spend.isdecimal() or int(spend) > AMOUNT_MINOR_MAX:
            problems.append(f"line {number}: spend_minor: expected whole minor units from 0 up, got {spend!r}")
        elif (channel, month) in found:
            problems.append(f"line {number}: {channel}, {month}: expected once, got it again")
        else:
            found[channel, month] = int(spend)
    if len(found) > SCOPES_MAX:
        problems.append(f"file: expected at most {SCOPES_MAX} channels and months, got {len(found)}")
    if problems:
        raise BadSpend("\n".join(problems[:PROBLEMS_MAX]))
    return found


def revise(settings: Settings, spend: Mapping[ChannelMonth, int]) -> list[logged.ChannelCostRevised]:
    """Count whom each channel won, and put into the log what has changed. Raises as reading Kafka and appending do."""
    need_topics(settings, topics.CUSTOMER_STATE, topics.CONTROLS)
    controls = core_controls.INITIAL
    parts: dict[ChannelMonth, int] = {}
    customers: dict[ChannelMonth, int] = {}
    for number in range(settings.partitions(topics.CUSTOMER_STATE)):
        partition = read_state(settings, number)
        policy = core_controls.from_entries(partition.controls).policy
        for control in core_controls.from_entries(partition.controls).latest.values():
            controls = core_controls.adopt(controls, control)
        for packed in partition.profiles.values():
            profile = unpack(packed)
            month = cohort_month(profile, policy.shop.time_zone) or ""
            for channel, share in shares(profile, policy.value).items():
                parts[channel, month] = parts.get((channel, month), 0) + share
                customers[channel, month] = customers.get((channel, month), 0) + 1
    revised_at = datetime.now(UTC)  # noqa: TID251 - a control's date is the moment somebody gave it
    told = _told_before(controls)
    revisions = []
    for channel, month in sorted({*spend, *told}):
        before = told.get((channel, month))
        spent = spend.get((channel, month), before.spend_minor if before else 0)
        counted = (spent, customers.get((channel, month), 0), parts.get((channel, month), 0))
        if before is not None and counted == (before.spend_minor, before.acquisitions, before.shares):
            continue
        revision = logged.ChannelCostRevised(
            revised_at=revised_at, channel=channel, cohort_month=month, version=before.version + 1 if before else 1,
            spend_minor=counted[0], acquisitions=counted[1], shares=counted[2],
        )  # fmt: skip
        append_control(settings, revision)
        revisions.append(revision)
    return revisions


def _told_before(controls: core_controls.Controls) -> dict[ChannelMonth, logged.ChannelCostRevised]:
    return {
        (control.channel, control.cohort_month): control
        for control in controls.latest.values()
        if isinstance(control, logged.ChannelCostRevised)
    }

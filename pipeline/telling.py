"""Customers and triggers in words, for a terminal: what they are, what happened to them, and why."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from pipeline.telling_dealings import dealings_lines
from pipeline.telling_forecast import forecast_lines
from pipeline.telling_needs import needs_lines
from pipeline.telling_tier import tier_lines
from pipeline.telling_value import COSTS, money, print_value

REASONS: Final = {
    "at_risk": "silent for {days_since_purchase} days since the last purchase",
    "order_done": "they bought: how was it?",
    "too_soon": "too soon after its cause; it waits",
    "no_consent": "they have not agreed to {purpose} by {channel}",
    "complaint_open": "a complaint of theirs is open",
    "complaint_recent": "a complaint of theirs was solved only lately",
    "cap": "they had {messages_in_window} messages lately, which is all the policy allows",
    "cool_down": "they had one of its kind not long ago",
    "stale": "it could not be sent before {expires_at}; now it is too late",
    "purchased": "they bought again by themselves",
    "order_void": "the order was cancelled or given back",
    "too_many_open": "too many others wait already",
    "rule_off": "the policy switched this rule off",
    "wish": "they want at most {contacts_per_month_max} a month, and in 31 days had {messages_in_month}",
}
"""Each reason of a decision as a sentence; in braces its own fields and numbers."""
OUTCOME_STYLES: Final = {"sent": "green", "held": "yellow", "withheld": "red", "expired": "dim", "cancelled": "dim"}

_QUIET: Final = frozenset(
    ("type", "id", "source", "occurred_at", "received_at", "partition", "offset", "currency", "simulated", "path")
)
_FIELD: Final = re.compile(r"{(\w+)}")
_WORDS_BY_DAYS: Final = {"days_7": "7 days", "days_30": "30 days", "days_90": "90 days", "days_365": "365 days"}


# -- in words ---------------------------------------------------------------------------------------------------------


def in_words(trigger: Mapping[str, Any]) -> str:
    """A trigger as a sentence."""
    told = f"{_moment(trigger['decided_at'])}  {_plain(trigger['rule'])} for {trigger['customer_id'][:8]}"
    told += f" by {trigger['channel']}" if trigger.get("channel") else ""
    numbers = _numbers(trigger, besides=_named_in(trigger))
    return f"{told}: {why(trigger)}" + (f" ({numbers})" if numbers else "")


def why(decision: Mapping[str, Any]) -> str:
    """A decision's or trigger's reasons as a sentence."""
    values = {**decision, **decision.get("numbers", {}), "expires_at": _day(decision.get("expires_at"))}
    return "; ".join(
        _FIELD.sub(lambda name: str(values.get(name[1], "?")), REASONS.get(reason, _plain(reason)))
        for reason in decision.get("reasons", ())
    )


def _named_in(decision: Mapping[str, Any]) -> frozenset[str]:
    """The numbers that its reasons' sentences say already."""
    return frozenset(name for reason in decision.get("reasons", ()) for name in _FIELD.findall(REASONS.get(reason, "")))


def numbers_of(decision: Mapping[str, Any]) -> str:
    """The numbers of a decision that its reasons' sentences do not say."""
    return _numbers(decision, besides=_named_in(decision))


def _numbers(decision: Mapping[str, Any], *, besides: frozenset[str] = frozenset()) -> str:
    numbers = decision.get("numbers", {})
    return ", ".join(
        f"{_label(name)} {_shown(name, value, numbers)}"
        for name, value in numbers.items()
        if name not in _QUIET | besides
    )


def _label(name: str) -> str:
    return _plain(name.removesuffix("_minor").removesuffix("_at").removesuffix("_on"))


def _plain(name: str) -> str:
    return name.replace("_", " ")


def _shown(name: str, value: object, beside: Mapping[str, Any]) -> str:
    """A field's value for eyes: money in its currency, instants to the minute."""
    if name.endswith("_minor") and isinstance(value, int):
        return money(value, beside.get("currency"))
    if name.endswith("_at") and isinstance(value, str):
        return _moment(value)
    if isinstance(value, Mapping):
        return " ".join(f"{_label(key)} {_shown(key, each, value)}" for key, each in value.items() if each is not None)
    if isinstance(value, list):
        return ", ".join(_shown(name, each, beside) for each in value)
    return {True: "yes", False: "no"}[value] if isinstance(value, bool) else str(value)


def _moment(instant: object) -> str:
    """To the minute, as in the log: UTC."""
    return str(instant)[:16].replace("T", " ")


def _day(instant: object) -> str:
    return str(instant)[:10]


# -- one customer -----------------------------------------------------------------------------------------------------


def print_customer(document: Mapping[str, Any], console: Console, *, events: int) -> None:
    """The document for eyes: who they are now, what happened (latest first), and what was decided, and why."""
    console.rule(f"customer {document['customer_id']}")
    if document["profile"] is None:
        console.print("No profile yet: a worker has still to take up the events below (`wafa lag`).")
    else:
        _print_profile(document["profile"], console)
        print_value(document, console)
    _print_timeline(document["events"], console, events)
    _print_decisions(document["decisions"], console)


def _print_profile(profile: Mapping[str, Any], console: Console) -> None:
    table = Table.grid(padding=(0, 2))
    for title, told in _profile_lines(profile):
        table.add_row(f"[bold]{title}[/]", escape(told))
    console.print(table)
    windows = profile["windows"]
    table = Table("in the last", *_WORDS_BY_DAYS.values(), title="What happened lately")
    for column in table.columns[1:]:
        column.justify = "right"
    for name in windows["days_365"]:
        figures = [windows[days][name] for days in _WORDS_BY_DAYS]
        if any(figures):
            currency = {"currency": profile["value"]["currency"]}
            table.add_row(
                _label(name), *("" if each is None else escape(_shown(name, each, currency)) for each in figures)
            )
    if table.row_count:
        console.print(table)


def _profile_lines(profile: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """What a person wants to know first, one line each."""
    made_up = ", some of it made up by a simulator" if profile["simulated"] else ""
    yield "as of", f"{_moment(profile['as_of'])} UTC (first seen {_day(profile['first_seen_at'])}{made_up})"
    well = ", ".join(profile["stage_evidence"]["departments"]) or "nobody yet"
    since = f"since {_day(profile['stage_since_at'])}: {_plain(profile['stage_reason'])}"
    yield "stage", f"{profile['stage']} {since}; dealt with them well: {well}"
    yield from dealings_lines(profile)
    since = f"since {_day(profile['lifecycle_since_at'])}: {_plain(profile['lifecycle_reason'])}"
    overdue = "; a prospect for too long" if profile["prospect_overdue"] else ""
    yield "lifecycle", f"{_plain(profile['lifecycle'])} {since}{overdue}"
    yield "value", _value(profile["value"])
    yield from forecast_lines(profile)
    yield from tier_lines(profile)
    yield from _past(profile)
    yield "consents", "; ".join(map(_consent, profile["consents"])) or "none: nothing may be sent"
    yield from needs_lines(profile.get("needs"))
    for held in profile["considerations_open"]:
        yield "waiting", f"{_plain(held['rule'])} ({held['business_key']}), until {_moment(held['expires_at'])}"
    if profile["next_review_at"]:
        yield "next look", f"{_moment(profile['next_review_at'])}, should nothing happen before"


def _past(profile: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """What they bought and complained of, if anything."""
    if profile["last_purchase_at"]:
        first, last = _day(profile["first_purchase_at"]), _day(profile["last_purchase_at"])
        yield "purchases", f"first {first}, last {last}, {profile['days_since_purchase']} days before"
    if profile["complaints"] or profile["open_tickets"]:
        state = "one is open: no promotion" if profile["complaint_open"] else "none open"
        solved = f", last solved {_day(profile['complaint_closed_at'])}" if profile["complaint_closed_at"] else ""
        yield (
            "complaints",
            f"{profile['complaints']}, {state}{solved}; open tickets of any kind: {profile['open_tickets']}",
        )


def _value(value: Mapping[str, Any]) -> str:
    if not value["currency"]:
        return "nothing bought yet"
    net = money(value["net_revenue_minor"], value["currency"])
    parts = [f"margin {money(value['margin_minor'], value['currency'])} on {value['orders']} orders of {net} net"]
    parts += [f"{_label(name)} {money(value[name], value['currency'])}" for name in COSTS if value[name]]
    return f"{money(value['value_to_date_minor'], value['currency'])} to date = " + " - ".join(parts)


def _consent(consent: Mapping[str, Any]) -> str:
    where = "everywhere" if consent["channel"] == "*" else f"by {consent['channel']}"
    until = f", until {_day(consent['valid_until'])}" if consent["valid_until"] else ""
    return (
        f"{consent['purpose']} {where}: {'yes' if consent['granted'] else 'no'} "
        f"since {_day(consent['changed_at'])}{until}"
    )


def _print_timeline(events: Sequence[Mapping[str, Any]], console: Console, count: int) -> None:
    in_order = sorted(events, key=lambda event: (str(event["occurred_at"]), event["offset"]))
    latest = in_order[-count:] if count else []
    title = f"Timeline, latest first: {len(latest)} of {len(events)} events"
    table = Table("when (UTC)", "event", "what", "partition@offset", title=title)
    for event in reversed(latest):
        what = ", ".join(
            f"{_label(name)} {_shown(name, value, event)}"
            for name, value in event.items()
            if name not in _QUIET and value not in (None, "", 0, [])
        )
        place = f"{event['partition']}@{event['offset']}"
        table.add_row(_moment(event["occurred_at"]), event["type"], escape(what), place)
    console.print(table)


def _print_decisions(decisions: Sequence[Mapping[str, Any]], console: Console) -> None:
    if not decisions:
        console.print("Nothing decided: no rule had a cause yet, or time has not passed in the log (no tick).")
        return
    table = Table("decided (UTC)", "trigger", "about", "outcome", "why", "numbers", title="Decisions, latest first")
    for decision in reversed(decisions):
        style = OUTCOME_STYLES.get(decision["outcome"], "")
        table.add_row(
            _moment(decision["decided_at"]), _plain(decision["rule"]), escape(decision["business_key"]),
            f"[{style}]{decision['outcome']}[/]" if style else decision["outcome"],
            escape(why(decision)), escape(_numbers(decision, besides=_named_in(decision))),
        )  # fmt: skip
    console.print(table)

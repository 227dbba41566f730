"""Why a figure is what it is, in words, for a terminal: one page for each question."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, Final

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from pipeline.telling import OUTCOME_STYLES, numbers_of, why
from pipeline.telling_entries import (
    day,
    event_in_words,
    moment,
    plain,
    print_needs,
    print_owed,
    print_rfm,
    print_satisfaction,
)  # fmt: skip
from pipeline.telling_tier import TIER_REASONS, TIERS, kept_line, potential_line
from pipeline.telling_value import PARTS, money

Document = Mapping[str, Any]

CONDITIONS: Final = {
    "known": "we know who they are and a need of theirs, and they answered a message made from it",
    "known_of_late": "the same, by a need that was not too old to be used",
    "worked_on_together": "they bought, and enough departments dealt with them well lately",
    "still_worked_on": "they bought, and of the departments enough to keep it dealt with them well lately",
    "loyal": "they bought in each of the last cycles, and no complaint is open",
    "still_loyal": "they bought in each of the last cycles",
}
"""What each condition of a stage says; one without a row is told by its name."""
WHY_NOT: Final = {
    "no_purchase_yet": "they have not bought yet",
    "not_silent_for_long": "they have not been silent for long enough",
    "no_tick_yet": "no time has passed in the log yet, so no silence is proven",
    "considered_for_this_silence": "it was considered for this silence",
    "fell_silent_unseen": "they fell silent where it could not count: before the log's first Tick, or the rule was off",
    "next_order": "their next order is the next cause",
    "before_first_tick": "before the log's first Tick: an import sends nothing",
    "late": "told more than a day late",
    "too_old": "dated before what is folded",
    "step_failed": "the record failed, and is a dead letter",
    "rule_off": "the policy had switched the rule off",
    "known_before": "considered before: an order told anew, or the same silence",
    "no_model": "no model has been fitted yet (wafa fit)",
    "no_purchase": "they have not bought yet",
}
"""Each reason for which something is not so, as a sentence."""
_IN_THE_WAY: Final = {
    "no_consent": "they have not agreed to it",
    "complaint_open": "a complaint of theirs is open",
    "complaint_recent": "a complaint of theirs was solved only lately",
    "cap": "they had as many messages lately as the policy allows",
    "cool_down": "they had one of its kind not long ago",
    "wish": "they had as many messages in the last month as they want",
}


_LIMITS_OF: Final = {True: "their own rhythm", False: "the policy, for everybody"}
"""Whose limits of silence count: whether they are the customer's own."""


def print_explanation(document: Document, console: Console) -> None:
    """The answer to `--why`, for eyes."""
    question = str(document["why"])
    console.rule(f"{question.replace('_', ' ')} of customer {document['customer_id']}")
    part = question if question in _PRINT else "rule"
    answer = document[part]
    if answer is None:
        console.print("Nothing is known of them in the log yet (`wafa lag`).")
        return
    console.print(f"as of {moment(document['as_of'])} UTC", highlight=False)
    _PRINT[part](answer, console)


def _print_value(answer: Document, console: Console) -> None:
    currency = answer["currency"]
    if not answer["entries"]:
        console.print("Nothing was bought yet, and nothing spent on them: their value to date is 0.")
        return
    table = Table("part", "when", "amount", "event", "order", title="Every entry, part by part")
    table.columns[2].justify = "right"
    words = {
        "net_revenue_minor": "net revenue (beside it: the margin is a part)", **PARTS,
        "referral_value_minor": "beside it, through referrals",
    }  # fmt: skip
    for part, told in words.items():
        entries = [entry for entry in answer["entries"] if entry["part"] == part]
        sign = 1 if part in ("margin_minor", "referral_value_minor", "net_revenue_minor") else -1
        for entry in entries:
            amount = money(sign * entry["amount_minor"], currency)
            friend = entry.get("friend_id")
            what = f"{entry['type']} {entry['id']}".strip() + (f", through {friend}" if friend else "")
            table.add_row(told, moment(entry["at"]), amount, escape(what), escape(entry["order_id"] or ""))
        if entries:
            total = sign * sum(entry["amount_minor"] for entry in entries)
            table.add_row(
                f"[bold]{told}[/]",
                "",
                f"[bold]{money(total, currency)}[/]",
                "1 entry" if len(entries) == 1 else f"{len(entries)} entries",
                "",
            )
            table.add_section()
    table.add_row("[bold]value to date[/]", "", f"[bold]{money(answer['value_to_date_minor'], currency)}[/]", "", "")
    console.print(table)
    _print_channels(answer["channels"], currency, console)


def _print_channels(channels: Sequence[Document], currency: str | None, console: Console) -> None:
    """What winning them cost, channel by channel."""
    if not channels:
        return
    table = Table(
        "channel", "touches", "part", "spent that month", "won", "their cost", "one costs (9 in 10 lie between)",
        title="Who won them", caption="What one costs is drawn to what one costs through all channels of that month.",
    )  # fmt: skip
    for each in channels:
        spent, cpa = each["spend_minor"], each["cpa_minor"]
        low, high = each["cpa_low_minor"], each["cpa_high_minor"]
        table.add_row(
            escape(each["channel"]), " ".join(day(at) for at in each["touches_at"]), f"{each['share_fraction']:.0%}",
            "not told" if spent is None else f"{money(spent, currency)} ({each['cohort_month']})",
            "" if spent is None else f"{each['customers_won']:.1f}", money(each["cost_minor"], currency),
            "" if cpa is None else f"{money(cpa, currency)} ({money(low, currency)} to {money(high, currency)})",
        )  # fmt: skip
    console.print(table)


def _print_stage(answer: Document, console: Console) -> None:
    console.print(f"{answer['stage']} since {day(answer['since_at'])}: {plain(answer['reason'])}", highlight=False)
    _print_moves(answer["moves"], console, "What moved it", lambda move: _told(move["conditions"]))
    if answer["holds"]:
        _print_conditions(f"{answer['stage']} asks for, to be kept,", answer["holds"], console)
    if answer["next_stage"] is not None:
        _print_conditions(f"the next, {answer['next_stage']}, asks for", answer["next_asks"], console)
    if answer["frozen_by_complaint"]:
        until = day(answer["frozen_until_at"])
        told = f"A serious complaint is open: the stage does not move until it is solved, or until {until}."
        console.print(told, highlight=False)
    if answer["failed_checks"]:
        failed = f"{answer['failed_checks']} of {answer['failed_checks_max']}"
        console.print(f"Checks in a row that found evidence gone: {failed}.", highlight=False)


def _print_conditions(title: str, conditions: Sequence[Document], console: Console) -> None:
    table = Table("what", "holds", "figures", title=title)
    for each in conditions:
        holds = "[green]yes[/]" if each["holds"] else "[red]missing[/]"
        table.add_row(CONDITIONS.get(each["name"], plain(each["name"])), holds, escape(_facts(each["facts"])))
    console.print(table)


def _told(conditions: Sequence[Document]) -> str:
    return "; ".join(
        f"{plain(each['name'])}: {'yes' if each['holds'] else 'no'}"
        + (f" ({_facts(each['facts'])})" if each["facts"] else "")
        for each in conditions
    )


def _print_lifecycle(answer: Document, console: Console) -> None:
    since = f"since {day(answer['since_at'])}: {plain(answer['reason'])}"
    console.print(f"{plain(answer['lifecycle'])} {since}", highlight=False)
    limits = f"at risk after {answer['at_risk_after_days']} days of silence, lapsed after {answer['lapsed_after_days']}"
    silent = "; nothing bought yet" if answer["silent_days"] is None else f"; silent for {answer['silent_days']} days"
    console.print(f"{limits} (by {_LIMITS_OF[answer['limits_are'] == 'own_rhythm']}){silent}", highlight=False)
    limit = {"at_risk": answer["at_risk_after_days"], "lapsed": answer["lapsed_after_days"]}.get(answer["lifecycle"])
    if limit is not None and answer["silent_days"] is not None and answer["silent_days"] < limit:
        told = "they moved by the limits of that time (below); longer ones bring nobody back, only a purchase does"
        console.print(told, highlight=False)
    if answer["next_at"] is not None:
        told = f"{plain(answer['next_lifecycle'])} from {day(answer['next_at'])}, should they not buy before"
        console.print(told if answer["is_proven"] else f"{told} (once time passes in the log)", highlight=False)
    console.print(f"purchase days: {', '.join(map(str, answer['purchase_days'])) or 'none'}", highlight=False)
    _print_moves(answer["moves"], console, "What moved it", _silence)


def _silence(move: Document) -> str:
    if move["silent_days"] is None or move["limit_days"] is None:
        return ""
    whose = _LIMITS_OF[move["at_risk_after_days"] is not None]
    return f"{move['silent_days']} days since the last purchase; the limit was {move['limit_days']} (by {whose})"


def _print_moves(moves: Sequence[Document], console: Console, title: str, told: Callable[[Document], str]) -> None:
    table = Table("when (UTC)", "from", "to", "why", "by", "evidence then", title=title)
    for move in reversed(moves):
        table.add_row(
            moment(move["at"]), plain(move["left"] or "-"), plain(move["reached"]), plain(move["reason"]),
            escape(event_in_words(move["cause"])), escape(told(move)),
        )  # fmt: skip
    console.print(table)


def _print_tier(answer: Document, console: Console) -> None:
    table = Table("when (UTC)", "from", "to", "why", "by", title="What moved it")
    for move in reversed(answer["moves"]):
        to = move["reached"]
        table.add_row(
            moment(move["cause"]["at"]), TIERS[move["left"]], TIERS[to["tier"]], TIER_REASONS[to["tier_reason"]],
            escape(event_in_words(move["cause"])),
        )  # fmt: skip
    if table.row_count:
        console.print(table)
    now, lines = answer["tier"], answer["lines"]
    since = f" since {now['since_on']}" if now["since_on"] else ""
    told = f"{TIERS[now['tier']]}{since}: {TIER_REASONS[now['tier_reason']]}; treatment: {now['treatment']}"
    console.print(told, highlight=False)
    if lines is None or now["checked_on"] is None:
        return
    table = Table(
        "figure", f"theirs ({now['checked_on']})", f"the shop's line (of {lines['measured_on']})",
        caption=f"The shop's lines: of its {lines['customers']:,} customers who had bought.",
    )  # fmt: skip
    for row in _beside(now, lines, answer["currency"]):
        table.add_row(*row)
    console.print(table)
    if answer["kept"] is not None:
        console.print(kept_line(answer["kept"], now["tier"]), highlight=False)
    if answer["potential"] is not None:
        console.print(escape(potential_line(answer["potential"], answer["currency"])), highlight=False)
    for name, amount in answer["pulled_down_by"].items():
        what = plain(name.removesuffix("_minor"))
        console.print(f"pulled down by {what}: {money(amount, answer['currency'])}", highlight=False)


def _beside(now: Document, lines: Document, currency: str | None) -> Iterator[tuple[str, str, str]]:
    """Each figure of the customer beside the shop's line for it."""

    def of(figures: Document, *names: str) -> str:
        return money(sum(figures[name] for name in names), currency)

    yield "so far, with referrals", of(now, "actual_minor"), ""
    yield "expected from now on", of(now, "expected_minor"), ""
    yield "worth in all", of(now, "actual_minor", "expected_minor"), f"MVC from {of(lines, 'mvc_from_minor')}"
    yield "to come back", f"{now['p_return']:.0%}", f"MVC above {lines['mvc_returns_above']:.0%}"
    yield "might be worth from now on", of(now, "potential_minor"), ""
    gap = of(now, "gap_minor")
    yield "more than expected, by their chance to come back", gap, f"MGC from {of(lines, 'mgc_gap_from_minor')}"
    serve = of(now, "cost_to_serve_per_order_minor")
    yield "to serve an order", serve, f"BZ above {of(lines, 'bz_serve_above_minor')}"
    below = "not in doubt" if now["p_below_zero"] is None else f"{now['p_below_zero']:.0%}"
    yield "worth less than nothing", below, f"BZ above {lines['bz_certainty_above']:.0%}"


def _print_prediction(answer: Document, console: Console) -> None:
    if answer["absent"] is not None:
        console.print(f"No prediction: {WHY_NOT[answer['absent']]}.")
        return
    model, seen, made = answer["model"], answer["purchases"], answer["made_of"]
    found = answer["prediction"]
    table = Table.grid(padding=(0, 2))
    table.add_row("[bold]model[/]", f"of {model['scope']}, fitted {moment(model['fitted_at'])}, learned until "
                  f"{model['learned_until_on']}")  # fmt: skip
    days = f"{seen['purchase_days']} days, {seen['first_on']} to {seen['last_on']}"
    gap = f", {seen['mean_gap_days']:.1f} days apart" if seen["mean_gap_days"] is not None else ""
    table.add_row("[bold]purchases[/]", f"{days}{gap}; silent for {seen['days_since_purchase']} days of the calendar")
    table.add_row("[bold]rests on[/]", found["basis"])
    table.add_row("[bold]still a customer[/]", f"{made['p_alive']:.1%}")
    corrected = ", corrected by what came of earlier ones" if made["is_calibrated"] else ""
    table.add_row("[bold]returns[/]", f"{found['p_return']:.1%} within {found['return_days']} days{corrected}")
    names = ("margin_an_order_minor", "margin_an_order_of_the_shop_minor")
    margin, shops = (money(round(made[name]), answer["currency"]) for name in names)
    poor = money(seen["poor_margin_minor"], answer["currency"])
    without = f", {poor} in all on {seen['poor_days']} others" if seen["poor_days"] else ""
    own = f"{money(seen['mean_margin_minor'], answer['currency'])} on {seen['spend_days']} days"
    table.add_row("[bold]margin of an order[/]", f"{margin} (the shop's {shops}; theirs so far {own}{without})")
    low, high = (money(answer["band"][f"value_ahead_{end}_minor"], answer["currency"]) for end in ("low", "high"))
    ahead, share = money(found["value_ahead_minor"], answer["currency"]), f"{answer['band']['share']:.0%}"
    table.add_row("[bold]value ahead[/]", f"{ahead} within {found['value_ahead_days']} days, discounted; "
                  f"{share} of those like them end up with {low} to {high}")  # fmt: skip
    console.print(table)
    band, currency = answer["band"], answer["currency"]
    mostly = f"{band['share']:.0%} end up with"
    table = Table("within", "orders if they stay", "season", "orders expected", "margin", mostly, title="Made of")
    for factors, ahead, of in zip(made["ahead"], found["ahead"], band["ahead"], strict=True):
        low, high = (money(of[name], currency) for name in ("margin_low_minor", "margin_high_minor"))
        table.add_row(
            f"{factors['days']} days", f"{factors['orders_if_they_stay']:.3f}", f"{factors['season_factor']:.3f}",
            f"{ahead['orders']:.3f}", money(ahead["margin_minor"], currency),
            f"{of['orders_low']} to {of['orders_high']}, {low} to {high}",
        )  # fmt: skip
    console.print(table)
    numbers = ", ".join(f"{name} {number:.6g}" for name, number in model["parameters"].items())
    console.print(f"parameters: {numbers}", highlight=False)


def _print_rule(answer: Document, console: Console) -> None:
    if not answer["enabled"]:
        console.print("The policy in force has switched this rule off.")
    table = Table("decided (UTC)", "about", "outcome", "why", "numbers", title="Every consideration, latest first")
    for each in reversed(answer["considerations"]):
        for move in reversed(each["moves"]):
            style = OUTCOME_STYLES.get(move["outcome"], "")
            table.add_row(
                moment(move["decided_at"]), escape(each["business_key"]),
                f"[{style}]{move['outcome']}[/]" if style else move["outcome"],
                escape(why({**answer, **each, **move})), escape(numbers_of(move)),
            )  # fmt: skip
    console.print(table if table.row_count else "Never considered: its cause has not occurred where it counts.")
    for each in answer["passed_over"]:
        told = f"{moment(each['at'])} {event_in_words(each['cause'])}: no trigger considered, {WHY_NOT[each['reason']]}"
        console.print(escape(told), highlight=False)
    if answer["cause"] is not None:
        cause = answer["cause"]
        when = f" ({day(cause['at'])})" if cause["at"] is not None else ""
        console.print(f"its cause: {plain(cause['state'])}, {WHY_NOT[cause['reason']]}{when}", highlight=False)
    if answer["in_the_way"] is not None:
        stop = answer["in_the_way"]
        until = f", until {moment(stop['until_at'])}" if stop["until_at"] is not None else ""
        told = _IN_THE_WAY.get(stop["reason"], plain(stop["reason"]))
        console.print(f"in the way of a message now: {told}{until} ({stop['reason']})", highlight=False)
    else:
        console.print("nothing is in the way of a message now")


_PRINT: Final[Mapping[str, Callable[[Document, Console], None]]] = {
    "value": _print_value,
    "stage": _print_stage,
    "lifecycle": _print_lifecycle,
    "tier": _print_tier,
    "prediction": _print_prediction,
    "rule": _print_rule,
    "satisfaction": print_satisfaction,
    "needs": print_needs,
    "owed": print_owed,
    "rfm": print_rfm,
}


def _facts(facts: Document) -> str:
    return ", ".join(f"{plain(name.removesuffix('_at'))} {_fact(name, value)}" for name, value in facts.items())


def _fact(name: str, value: object) -> str:
    if isinstance(value, list):
        return " ".join(_fact("", each) for each in value) or "none"
    if name.endswith("_at") and value is not None:
        return day(value)
    if value is None:
        return "never"
    return str(value) if not isinstance(value, bool) else "yes" if value else "no"

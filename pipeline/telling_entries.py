"""What lies behind satisfaction, needs, promises and RFM scores, entry by entry, for a terminal."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from pipeline.telling_dealings import satisfaction_line
from pipeline.telling_needs import needs_lines
from pipeline.telling_value import money

Document = Mapping[str, Any]

_HEARD: Final = {
    "tried": "we tried",
    "answered": "they answered",
    "asked": "they asked for service",
    "life": "a sign of life",
}
_NO_SCORES: Final = {
    "no_purchase": "they have not bought yet",
    "no_population": "the shop has not been measured yet (wafa tiers)",
}
_SCORED: Final = {"recency": "days_since_purchase", "frequency": "purchase_days", "monetary": "spent_minor"}
"""Each score, and what it is of."""
_SCORED_IN_WORDS: Final = {
    "recency": "days since purchase, by the calendar",
    "frequency": "purchase days of a year",
    "monetary": "net revenue of a year",
}


def print_satisfaction(answer: Document, console: Console) -> None:
    """Each piece with its score and weight, and the mean they come to."""
    console.print(satisfaction_line(answer["satisfaction"]), highlight=False)
    table = Table("day", "age", "what", "about", "score", "weight", "by", title="Every piece of evidence, latest first")
    for each in answer["entries"]:
        what = each["kind"] if each["what"] is None else f"{each['kind']}, {plain(each['what'])}"
        table.add_row(
            day(each["on"]), _age(each), what, escape(each["about"] or ""), f"{each['score']:.0%}",
            f"{each['weight']:.2f}", escape(_by(each["events"])),
        )  # fmt: skip
    fraction, weight = answer["prior_fraction"], answer["prior_weight"]
    table.add_row("", "", "what is thought of anybody", "", f"{fraction:.0%}", f"{weight:.2f}", "")
    console.print(table)


def print_owed(answer: Document, console: Console) -> None:
    """Each promise and what became of it, and the rest in numbers."""
    table = Table("due (UTC)", "done (UTC)", "department", "what", "about", "outcome", "age", "by", title="Promises")
    for each in answer["entries"]:
        what = "message without consent" if each["what"] == "message" else each["what"]
        done = moment(each["done_at"]) if each["done_at"] else "not yet"
        table.add_row(
            moment(each["due_at"]), done, each["department"], what, escape(each["about"] or ""), each["outcome"],
            _age(each), escape(_by(each["events"])),
        )  # fmt: skip
    console.print(table if table.row_count else "No promise is remembered one by one.")
    for each in answer["counted"]:
        what = "messages with consent, and older ones" if each["department"] == "marketing" else "older ones"
        console.print(f"{each['department']}, {what}: {each['kept']} kept, {each['broken']} broken", highlight=False)
    for each in answer["departments"]:
        told = f"{each['kept']} kept, {each['broken']} broken, {each['open']} open"
        console.print(f"{each['department']} in all: {told}, of {each['made']} made", highlight=False)


def print_needs(answer: Document, console: Console) -> None:
    """Each fact with who told it, and what the rest is inferred from."""
    for title, line in needs_lines(answer["needs"]):
        console.print(f"{title}: {line}", highlight=False, markup=False)
    table = Table("fact", "value", "how", "when (UTC)", "age", "holds until", "by", title="Facts")
    for each in answer["facts"]:
        by = _by([each["event"]]) if each["event"] else ""
        until = "too old: not used" if each["stale"] else day(each["holds_until_at"])
        when = moment(each["confirmed_at"]) if each["confirmed_at"] else ""
        how = "said" if each["source"] == "stated" else "inferred"
        value = escape(", ".join(each["value"]))
        table.add_row(plain(each["fact"]), value, how, when, _age(each), until, escape(by))
    console.print(table)
    table = Table("when (UTC)", "age", "channel", "what", "by", title="Behind channels and time of day, latest first")
    for each in reversed(answer["heard"]):
        told = (each["channel"] or "-", _HEARD[each["what"]], escape(_by([each["event"]])))
        table.add_row(moment(each["at"]), _age(each), *told)
    console.print(table)
    title = "Behind categories, a shift in them and price, latest first"
    table = Table("when (UTC)", "age", "order", "categories", "discount", title=title)
    for each in reversed(answer["orders"]):
        discount = "yes" if each["has_discount"] else "no"
        told = (escape(each["order_id"]), escape(", ".join(each["categories"])), discount)
        table.add_row(moment(each["at"]), _age(each), *told)
    console.print(table)


def print_rfm(answer: Document, console: Console) -> None:
    """The scores beside the shop's cuts, and the purchases they are of."""
    habits, cuts, scores = answer["habits"], answer["cuts"], answer["scores"]
    if answer["absent"] is not None:
        console.print(f"No scores: {_NO_SCORES[answer['absent']]}.", highlight=False)
    else:
        console.print(f"{plain(scores['segment'])}, of {cuts['customers']:,} customers who bought", highlight=False)
    if habits is not None:
        since = f" ({cuts['measured_on']})" if cuts else ""
        table = Table("what", "theirs", "score", f"the shop's cuts{since}")
        for score, figure in _SCORED.items():
            lines = " ".join(_amount(figure, each, answer["currency"]) for each in cuts[figure]) if cuts else ""
            theirs = _amount(figure, habits[figure], answer["currency"])
            table.add_row(_SCORED_IN_WORDS[score], theirs, str(scores[score]) if scores else "-", lines)
        console.print(table)
    if not answer["entries"]:
        console.print("No purchase and no refund within a year.")
        return
    table = Table("when (UTC)", "age", "order", "amount", "by", title="Purchases and refunds of a year, latest first")
    for each in reversed(answer["entries"]):
        amount = money(each["amount_minor"], answer["currency"])
        table.add_row(moment(each["at"]), _age(each), escape(each["order_id"]), amount, escape(_by(each["events"])))
    console.print(table)


def _amount(figure: str, amount: int, currency: str | None) -> str:
    return money(amount, currency) if figure.endswith("_minor") else str(amount)


# -- words -------------------------------------------------------------------------------------------------------------


def event_in_words(told: Document) -> str:
    """An event by its kind and id; a Tick is time."""
    return "time passed" if told["type"] == "Tick" else f"{told['type']} {told['id'] or ''}".strip()


def _by(events: Sequence[Document]) -> str:
    """Each event, with its source."""
    return "; ".join(event_in_words(each) + (f" ({each['source']})" if each["source"] else "") for each in events)


def _age(entry: Document) -> str:
    return "" if entry["age_days"] is None else f"{entry['age_days']} d"


def plain(name: str) -> str:
    """A code as people write it."""
    return name.replace("_", " ")


def moment(instant: object) -> str:
    """An instant to the minute."""
    return str(instant)[:16].replace("T", " ")


def day(instant: object) -> str:
    """The day of an instant."""
    return str(instant)[:10]

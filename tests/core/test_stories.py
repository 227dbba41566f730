"""Customers' stories, each a table a marketer could have written: day, what happens, where they stand, what follows.

A story is `# what it claims`, `policy path = value` lines if it varies the policy, then lines of columns two spaces or
more apart:

    day  60  tick              at_risk/basic   sends retention_offer

The third column is lifecycle/stage (the stage may be left out; `-` for nobody yet). What follows is the whole of what
follows, in order: every decision (`sends`, or `holds`, `withholds`, `expires`, `cancels` with the reason), what became
of an event that is not simply accepted (`late`, `duplicate`, `too_old`), `flagged` or `unflagged` as an overdue
prospect; and, where it is of interest, `net` revenue, what a department `owes` (kept/broken/open promises) and how
satisfied they are (`is mixed`). `dated 3` means that it happened on day 3 and is told now.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from pipeline.core.ledger import totals
from pipeline.core.owed import by_department
from pipeline.core.policy import Policy
from pipeline.core.profile import Lifecycle, Profile, Stage
from pipeline.core.satisfaction import satisfaction
from pipeline.schemas import logged
from tests.core.builders import adopted, cancelled, day, order, policy, refund, resolved, said, ticket
from tests.driver import Driver

STORIES = Path(__file__).parent / "stories"
LINE = re.compile(r"day +([0-9.]+)  +(\S.*?)(?:  +(\S+))(?:  +(\S.*))?")
VERBS = {"held": "holds", "sent": "sends", "withheld": "withholds", "expired": "expires", "cancelled": "cancels"}


@dataclass
class Line:
    """One line of a story."""

    number: int
    on: float
    words: list[str]
    stands: str
    follows: list[str]


@dataclass
class Story:
    """One story."""

    file: str
    title: str
    policy: dict[str, Any] = field(default_factory=dict)
    lines: list[Line] = field(default_factory=list)


def stories() -> Iterator[Story]:
    """Every story of every file."""
    for path in sorted(STORIES.glob("*.txt")):
        story = None
        for number, text in enumerate(path.read_text().splitlines(), 1):
            if text.startswith("# "):
                if story is not None:
                    yield story
                story = Story(path.name, text[2:])
            elif text.startswith("policy "):
                assert story is not None
                story.policy |= setting(text.removeprefix("policy "))
            elif text:
                assert story is not None, f"{path.name}:{number}: expected a title first"
                found = LINE.fullmatch(text.rstrip())
                assert found, f"{path.name}:{number}: expected day, words and lifecycle, got {text!r}"
                follows = [each for each in re.split(", *", found[4] or "") if each]
                story.lines.append(Line(number, float(found[1]), found[2].split(), found[3], follows))
        if story is not None:
            yield story


def setting(text: str) -> dict[str, Any]:
    """`path = value` as a change of policy."""
    path, value = text.split(" = ")
    return {path.replace(".", "__"): tomllib.loads(f"value = {value}")["value"]}


def minor(amount: str) -> int:
    """30.00 in cents."""
    return int(Decimal(amount) * 100)


def _order(on: float, words: list[str]) -> Any:
    match words:
        case [order_id, amount, "of", category]:
            return order(on, order_id, minor(amount), items=(logged.Item(product_id=category, category=category),))
        case [order_id, amount, "with", coupon]:
            return order(on, order_id, minor(amount), coupon=coupon)
    return order(on, words[0], minor(words[1]))


def _refund(on: float, words: list[str]) -> Any:
    amount = None if words[1] == "all" else minor(words[1])
    return refund(on, words[0], f"{words[0]} {on} {words[1]}", amount)


def _ticket(on: float, words: list[str]) -> Any:
    ticket_id, *rest = words
    updates = {"reopened": {"status": "open"}, "answered": {"status": "pending"}}
    match rest:
        case ["resolved", *kind]:
            return resolved(on, ticket_id, *kind)
        case ["called", csat]:
            return said(logged.TicketUpdated, on, ticket_id=ticket_id, csat=csat)
        case [word] if word in updates:
            return said(logged.TicketUpdated, on, ticket_id=ticket_id, **updates[word])
        case [kind, "promised", promised]:
            return ticket(on, ticket_id, kind, promised_at=day(float(promised)))
        case [kind, "severity", severity]:
            return ticket(on, ticket_id, kind, severity=int(severity))
    return ticket(on, ticket_id, *rest)


MAILS: dict[str, tuple[type, dict[str, Any]]] = {
    "delivered": (logged.EmailDelivered, {}),
    "opened": (logged.EmailOpened, {}),
    "opened by machine": (logged.EmailOpened, {"is_machine": True}),
    "clicked": (logged.EmailClicked, {}),
    "hard bounce": (logged.EmailBounced, {"bounce_type": "hard"}),
    "soft bounce": (logged.EmailBounced, {"bounce_type": "soft"}),
    "unsubscribed": (logged.EmailUnsubscribed, {}),
    "unsubscribed from news": (logged.EmailUnsubscribed, {"list_id": "news"}),
    "spam": (logged.EmailMarkedAsSpam, {}),
}


def _mail(on: float, words: list[str]) -> Any:
    named: dict[str, str] = {}
    for word, field_name in (("about", "need"), ("of", "campaign_id"), ("for", "trigger_id")):
        if words[-2:-1] == [word]:
            named, words = {field_name: words[-1]}, words[:-2]
    kind, fields = MAILS[" ".join(words)]
    return said(kind, on, email_id="m", **fields, **named)


def _consent(on: float, words: list[str]) -> Any:
    until = None
    if words[-2] == "until":
        until, words = day(float(words[-1])), words[:-2]
    purpose, *channel, state = words
    return said(
        logged.ConsentChanged, on, purpose=purpose, channel=channel[0] if channel else None, state=state,
        valid_until=until,
    )  # fmt: skip


EVENTS: dict[str, Callable[[float, list[str]], Any]] = {
    "touch": lambda on, words: said(logged.TouchRecorded, on, channel=words[0]),
    "identified": lambda on, words: said(logged.CustomerIdentified, on, reachable_by=("email",)),
    "wants": lambda on, words: said(logged.PreferenceStated, on, interests=tuple(words)),
    "wishes": lambda on, words: said(logged.PreferenceStated, on, contacts_per_month_max=int(words[0])),
    "contact": lambda on, words: said(logged.ContactMade, on, department=words[0]),
    "order": _order,
    "refund": _refund,
    "cancel": lambda on, words: cancelled(on, words[0]),
    "promise": lambda on, words: said(logged.OrderPromised, on, order_id=words[0], promised_at=day(float(words[2]))),
    "ship": lambda on, words: said(logged.OrderShipped, on, order_id=words[0]),
    "survey": lambda on, words: said(
        logged.SurveyAnswered, on, survey_id=f"s{on}", kind="csat", score=float(words[0]), score_max=float(words[2])
    ),
    "review": lambda on, words: said(logged.ReviewPosted, on, review_id=f"r{on}", rating_fraction=float(words[0])),
    "post": lambda on, words: said(
        logged.MentionPosted, on, mention_id=f"p{on}", platform="forum", sentiment=float(words[0])
    ),
    "deliver": lambda on, words: said(logged.OrderDelivered, on, order_id=words[0]),
    "mail": _mail,
    "consent": _consent,
    "ticket": _ticket,
}


def standing(profile: Profile, policy: Policy) -> Iterator[str]:
    """How satisfied they are, and what each department owes: said only where it is of interest."""
    yield f"is {satisfaction(profile, profile.as_of, policy).level}"
    for department, of in by_department(profile, profile.as_of).items():
        yield f"{department} owes {of.kept}/{of.broken}/{of.open}"


def told(story: Story) -> Iterator[tuple[Line, str, list[str]]]:
    """Live through a story: each line with where the customer stands and what followed."""
    driver = Driver(policy(**story.policy))
    rules, was_flagged = dict(story.policy), False
    for line in story.lines:
        follows: list[str] = []
        decided = len(driver.decisions)
        words, on = line.words, line.on
        if words == ["tick"]:
            driver.tick(day(on))
        elif words[0] == "policy":
            rules |= setting(" ".join(words[1:]))
            driver.control(adopted(policy(**rules), on + line.number / 1e6))
        else:
            if words[-2:-1] == ["dated"]:
                words, on = words[:-2], float(words[-1])
            outcome = driver.feed(EVENTS[words[0]](on, words[1:])).outcome
            follows += [outcome] if outcome != "accepted" else []
        for each in driver.decisions[decided:]:
            reason = "" if each.outcome == "sent" else f" {each.reasons[0]}"
            follows.append(f"{VERBS[each.outcome]} {each.rule}{reason}")
        profile = driver.profiles.get("c")
        if profile is None:
            yield line, "-", follows
            continue
        if bool(profile.prospect_overdue) != was_flagged:
            was_flagged = not was_flagged
            follows.append("flagged" if was_flagged else "unflagged")
        if any(each.startswith("net ") for each in line.follows):
            _, revenue, refunded, _ = totals(profile.ledger)
            follows.append(f"net {Decimal(revenue - refunded) / 100:.2f}")
        follows += [each for each in standing(profile, driver.controls.policy) if each in line.follows]
        stands = Lifecycle(profile.lifecycle).label
        if "/" in line.stands:
            stands += f"/{Stage(profile.stage).label}"
        yield line, stands, follows


@pytest.mark.parametrize("story", list(stories()), ids=lambda story: f"{story.file}: {story.title}")
def test_story(story: Story) -> None:
    for line, stands, follows in told(story):
        place = f"{story.file}:{line.number} day {line.on:g} {' '.join(line.words)}"
        assert (stands, sorted(follows)) == (line.stands, sorted(line.follows)), place


def test_a_story_that_says_too_little_or_too_much_fails() -> None:
    text = [Line(1, 0, ["tick"], "-", []), Line(2, 0, ["order", "A", "30.00"], "new", [])]
    assert [follows for _, _, follows in told(Story("", "", lines=text))] == [[], ["holds feedback_request too_soon"]]


def test_every_story_is_told_under_a_policy_that_holds() -> None:
    assert all(isinstance(policy(**story.policy), Policy) for story in stories())
    assert len({(story.file, story.title) for story in stories()}) == len(list(stories())) > 30

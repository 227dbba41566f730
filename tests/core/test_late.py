"""Whatever comes, however late and in whatever order: it counts as it was told, or a reason says that it does not.

Histories with time passing between their events, so that orders fold before news of them; what is refused or let go is
taken out of the history by its reason, and what is left must be the figures, reckoned from all of it at once.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from random import Random
from typing import Any, Final, NamedTuple

from hypothesis import assume, given, settings
from hypothesis import strategies as st

from pipeline.core import ledger as ledgers
from pipeline.core.books import Log
from pipeline.core.moment import Note
from pipeline.core.profile import ENTRIES_MAX, FOLDED_MARKS_MAX
from pipeline.core.step import Outcome
from pipeline.schemas import logged
from pipeline.schemas.dead_letters import Reason
from tests.core.builders import cancelled, day, order, policy, refund, said
from tests.core.lives import PAID, STEADY, latest_refunds, naive_value, order_told, paid_in
from tests.driver import Driver

WINDOW_DAYS: Final = 30
RULES: Final = policy(ledger__refund_window_days=WINDOW_DAYS)
_UNCOUNTED: Final = {"too_old", Reason.REFUND_WITHOUT_ORDER, Reason.CANCELLATION_WITHOUT_ORDER}
_OWN: Final = "AAB"
_FILLING: Final = [order(number / 8, f"filling {number}", 1) for number in range(FOLDED_MARKS_MAX - len(_OWN))]
"""So many orders before all others that some fold early, and not so many that one is forgotten."""


class Told(NamedTuple):
    """Something told of an order, and how many days pass before it."""

    kind: str
    order_id: str
    refund_id: str
    amount_minor: int
    """Of an order; of a refund a quarter of it, below zero all of the order."""
    paid: tuple[str, int]
    late: int
    gap: int


def event_of(told: Told, on: float) -> Any:
    """The event, told on a day, of some days before."""
    at, amount = max(on - told.late, 0), max(told.amount_minor, 0)
    match told.kind:
        case "order":
            return order(at, told.order_id, amount, discount_minor=7, **paid_in(told.paid, amount))
        case "refund":
            part = None if told.amount_minor < 0 else amount // 4
            return refund(at, told.order_id, told.refund_id, part, **paid_in(told.paid, part))
        case "delivery":
            return said(logged.OrderDelivered, at, order_id=told.order_id)
        case "cost":
            return said(
                logged.CostRecorded, at, department="sales", amount_minor=5, currency="USD", order_id=told.order_id
            )
        case _:
            return cancelled(at, told.order_id)


_KINDS = st.sampled_from((*4 * ("order",), *5 * ("refund",), "cancellation", "delivery", "cost"))
_AMOUNTS = st.integers(-500, 5_000)
_LATE, _GAPS = st.sampled_from((0, 0, 1, 20, 70)), st.sampled_from((0, 0, 0, 0, 1, 9, 32, 70))
_TOLD = st.builds(Told, _KINDS, st.sampled_from(_OWN), st.sampled_from("RS"), _AMOUNTS, PAID, _LATE, _GAPS)
_BEFORE = st.sampled_from(([], _FILLING))
histories = st.lists(_TOLD, min_size=3, max_size=16).map(lambda told: list(happened(told)))


def happened(told: Sequence[Told]) -> Iterator[Any]:
    """The events as they arrive, and Ticks where time passes; then so much time that nothing can wait any more."""
    on, void = 10.0, set()
    yield logged.Tick(as_of=day(on))
    for each in told:
        on += each.gap
        if each.gap:
            yield logged.Tick(as_of=day(on))
        if each.kind != "cancellation" or each.order_id not in void:  # an order is cancelled on one day
            yield event_of(each, on)
        if each.kind == "cancellation":
            void.add(each.order_id)
    for later in (100, 110, 220):
        yield logged.Tick(as_of=day(on + later))


class Lived(NamedTuple):
    """Who lived through a history, and what of it was not said not to count."""

    driver: Driver
    counted: list[Any]
    named: set[str]


def lived(history: Sequence[Any]) -> Lived:
    """Live through it, and take out what a reason says."""
    driver, counted, named = Driver(RULES), list[Any](), set[str]()
    for each in history:
        noted = len(driver.notes)
        if isinstance(each, logged.Tick):
            driver.control(each)
        elif driver.feed(each).outcome is Outcome.TOO_OLD:
            named.add("too_old")
        else:
            counted.append(each)
        notes = driver.notes[noted:]
        named.update(note.reason for note in notes)
        counted = without(counted, [note for note in notes if note.reason in _UNCOUNTED])
    return Lived(driver, counted, named)


def without(counted: list[Any], notes: Sequence[Note]) -> list[Any]:
    """The history without the refunds and cancellations that these say have waited in vain."""
    bought = {each.order_id for each in counted if isinstance(each, logged.OrderCompleted)}
    waiting = {order_id: each for order_id, each in latest_refunds(counted).items() if order_id not in bought}
    for note in notes:
        if note.reason is Reason.CANCELLATION_WITHOUT_ORDER:
            gone = {each.order_id for each in counted if isinstance(each, logged.OrderCancelled)} - bought
            assume(len(gone) == 1)  # of several no reason says which: another history
            counted = [x for x in counted if not (isinstance(x, logged.OrderCancelled) and x.order_id in gone)]
            continue
        found = re.search(r"window of (\S+), got none; (.+) not counted", note.problem)
        assert found is not None
        refunds = [
            (each.order_id, each.refund_id)
            for of_order in waiting.values()
            for each in of_order
            if (str(each.occurred_at.date()), amount_of(each)) == found.groups()
        ]
        assert refunds, "a reason is about something that was told"
        assume(len(refunds) == 1)
        counted = [
            x for x in counted if not (isinstance(x, logged.OrderRefunded) and (x.order_id, x.refund_id) in refunds)
        ]
    return counted


def amount_of(told: logged.OrderRefunded) -> str:
    """As a reason tells it."""
    return "all of it" if told.amount_minor is None else str(told.amount_minor)


def back_minor(told: logged.OrderRefunded) -> int:
    """How much it gives back, in the currency it says that in."""
    return told.paid_minor or told.amount_minor or 0


def must_be_named(counted: Sequence[Any]) -> set[str]:
    """What is odd about the orders that stand: refunds of more than one, and its money in two currencies."""
    latest: dict[str, logged.OrderCompleted] = {}
    void = {each.order_id for each in counted if isinstance(each, logged.OrderCancelled)}
    for each in counted:
        if isinstance(each, logged.OrderCompleted) and each.order_id not in void:
            latest[each.order_id] = max(each, latest.get(each.order_id, each), key=order_told)
    odd = set()
    for order_id, refunds in latest_refunds(counted).items():
        if order_id not in latest:
            continue
        mine = latest[order_id]
        amounts = [each for each in refunds if each.amount_minor is not None]
        if any(each.paid_currency != mine.paid_currency for each in amounts):
            odd.add(str(Reason.ORDER_IN_TWO_CURRENCIES))
            continue
        all_of_it_at = min((each.occurred_at for each in refunds if each.amount_minor is None), default=None)
        later = [each for each in amounts if all_of_it_at is not None and each.occurred_at > all_of_it_at]
        whole = mine.paid_minor or mine.revenue_minor
        if any(map(back_minor, later)) or sum(map(back_minor, amounts)) > whole:
            odd.add(str(Reason.REFUND_ABOVE_ORDER))
    return odd


OFTEN: Final = settings(STEADY, max_examples=150)


@OFTEN
@given(_BEFORE, histories)
def test_a_history_is_its_figures_but_for_what_a_reason_takes_out(before: list[Any], history: list[Any]) -> None:
    driver, counted, named = lived([*before, *history])
    ledger, expected = driver.profiles["c"].ledger, naive_value(counted)
    figures = (expected["orders"], expected["revenue"], expected["refunded"], expected["discount"])
    assert ledgers.totals(ledger) == figures
    assert (ledger.orders, ledger.refunds) == ((), ()), "nothing waits for ever"
    assert must_be_named(counted) <= named
    log = Log()
    for each in counted:
        log.tell(b"c", each)
    assert sum(each.net_revenue_minor for each in log.accounts()) == expected["revenue"] - expected["refunded"]
    bought = {each.order_id for each in counted if isinstance(each, logged.OrderCompleted)}
    for each in counted:  # what takes something off an order is not left lying without one
        if isinstance(each, logged.OrderRefunded | logged.OrderCancelled):
            assert each.order_id in bought


@OFTEN
@given(_BEFORE, histories, st.randoms(use_true_random=False))
def test_a_wrong_figure_never_comes_without_a_reason(before: list[Any], history: list[Any], chance: Random) -> None:
    """Told in any order, some of it twice, with time passing in between."""
    *ticks, last, later, end = (each for each in history if isinstance(each, logged.Tick))
    events = [each for each in history if not isinstance(each, logged.Tick)]
    events += chance.sample(events, chance.randrange(len(events) + 1))
    chance.shuffle(events)
    for place, tick in zip(sorted(chance.choices(range(len(events) + 1), k=len(ticks))), ticks, strict=True):
        events.insert(place + ticks.index(tick), tick)
    driver, _, named = lived([*before, *events, last, later, end])
    expected = naive_value([*before, *history])
    figures = (expected["orders"], expected["revenue"], expected["refunded"], expected["discount"])
    assert named & _UNCOUNTED or ledgers.totals(driver.profiles["c"].ledger) == figures


@OFTEN
@given(histories)
def test_nothing_is_refused_or_let_go_while_it_can_still_count(history: list[Any]) -> None:
    """With a window longer than the history nothing is late."""
    events = [each for each in history if not isinstance(each, logged.Tick)]
    driver = Driver(policy(ledger__refund_window_days=730))
    for each in history[:-3]:
        if isinstance(each, logged.Tick):
            driver.control(each)
        else:
            driver.feed(each)
    assert Outcome.TOO_OLD not in driver.outcomes
    assert not _UNCOUNTED & {note.reason for note in driver.notes}
    expected = naive_value(events)
    ledger = driver.profiles["c"].ledger
    assert ledgers.totals(ledger)[:3] == (expected["orders"], expected["revenue"], expected["refunded"])
    assert len(ledger.orders) + len(ledger.refunds) <= ENTRIES_MAX


def test_the_histories_drawn_here_do_meet_every_reason() -> None:
    met: set[str] = set()

    @OFTEN
    @given(histories)
    def meet(history: list[Any]) -> None:
        met.update(lived(history).named)

    meet()
    assert met >= {*_UNCOUNTED, Reason.REFUND_ABOVE_ORDER, Reason.ORDER_IN_TWO_CURRENCIES}

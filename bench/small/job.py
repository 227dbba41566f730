"""The small job: decode an order, count and sum per customer, say so at every 50th. What goes in, and what is right.

Input record: key `c-NUMBER`, value a JSON order; a customer's orders lie in partition NUMBER % 4. Output at every 50th
order of a customer: key the customer, value `{"customer": ..., "count": ..., "sum": ...}`. The last record of each
partition makes an output (a closing customer's 50th order): a run is over exactly when the four of them are seen.
"""

from __future__ import annotations

import json
import random
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Final, NamedTuple

PARTITIONS: Final = 4
CUSTOMERS: Final = 100_000
EVERY: Final = 50


class Order(NamedTuple):
    """One input record, before it is written down."""

    partition: int
    customer: str
    number: int
    revenue_minor: int

    def value(self) -> bytes:
        return json.dumps(
            {
                "type": "OrderCompleted", "id": f"e-{self.number:07d}", "order_id": f"o-{self.number:07d}",
                "occurred_at": "2026-03-02T12:00:00Z", "revenue_minor": self.revenue_minor, "currency": "EUR",
                "channel": "web",
            }
        ).encode()  # fmt: skip


class Output(NamedTuple):
    """What the job says of a customer; also its state."""

    customer: str
    count: int  # type: ignore[assignment]  # hides tuple's own, which nobody calls
    sum: int


class Place(NamedTuple):
    """Where an input record lies."""

    partition: int
    offset: int


def orders(count: int, *, seed: int = 1) -> Iterator[Order]:
    """`count` orders from a seed (few customers buy much, most little), then the closing customers' 50 each."""
    dice = random.Random(seed)
    for number in range(count):
        customer = int(CUSTOMERS * dice.random() ** 3)
        yield Order(customer % PARTITIONS, f"c-{customer}", number, dice.randrange(100, 20_000))
    for number in range(count, count + PARTITIONS * EVERY):
        closing = CUSTOMERS + number % PARTITIONS
        yield Order(closing % PARTITIONS, f"c-{closing}", number, 1)


@dataclass
class Truth:
    """What is right, computed plainly: each customer's running sums, and the input record behind each output."""

    records: int = 0
    ends: dict[int, int] = field(default_factory=dict)
    sums: dict[str, list[int]] = field(default_factory=dict)
    causes: dict[tuple[str, int], Place] = field(default_factory=dict)

    @classmethod
    def of(cls, given: Iterable[Order]) -> Truth:
        truth = cls()
        for order in given:
            offset = truth.ends.get(order.partition, 0)
            sums = truth.sums.setdefault(order.customer, [])
            sums.append((sums[-1] if sums else 0) + order.revenue_minor)
            if len(sums) % EVERY == 0:
                truth.causes[order.customer, len(sums)] = Place(order.partition, offset)
            truth.ends[order.partition] = offset + 1
            truth.records += 1
        return truth

    def holds(self, said: Output) -> bool:
        """Whether the customer once had this count and this sum."""
        sums = self.sums.get(said.customer, [])
        return 1 <= said.count <= len(sums) and sums[said.count - 1] == said.sum

    def problems(self, outputs: Iterable[Output], state: Iterable[Output] | None, *, complete: bool) -> list[str]:
        """What is wrong with a run without failures: nothing, if each output came once, in order, with the right sum.

        An incomplete run must have every output up to its last in each partition. `state` None: kept out of sight.
        """
        found: list[str] = []
        seen: dict[str, int] = {}
        reached = dict.fromkeys(self.ends, -1)
        for said in outputs:
            if said.count != seen.get(said.customer, 0) + EVERY or not self.holds(said):
                found.append(f"after {seen.get(said.customer, 0)} orders of {said.customer} came {said}")
                return found  # what follows is wrong because of it
            seen[said.customer] = said.count
            cause = self.causes[said.customer, said.count]
            reached[cause.partition] = max(reached[cause.partition], cause.offset)
        due = sum(1 for cause in self.causes.values() if complete or cause.offset <= reached[cause.partition])
        had = sum(count // EVERY for count in seen.values())
        if due != had:
            found.append(f"expected {due} outputs, got {had}")
        if state is None:
            return found
        latest = {each.customer: each for each in state}
        wrong = [each for each in latest.values() if not self.holds(each)]
        if wrong:
            found.append(f"state of {len(wrong)} customers, first {wrong[0]}")
        if complete and sum(each.count for each in latest.values()) != self.records:
            counted = sum(each.count for each in latest.values())
            found.append(f"expected {self.records} orders counted in the state, got {counted}")
        return found

"""What an event costs, stage by stage: microseconds of processor time, in this process, without Kafka.

    python -m bench.stages [--events 40000] [--customers 20000] [--profile]
    valgrind --tool=cachegrind --cache-sim=no python -m bench.stages --steps tiers --rounds 2   # and --rounds 1

The doors and the customers' processor run on the reference load as the worker runs them, in batches. The best of three
rounds is printed: what the code costs, not what else the machine was doing.

`step` is also given for purchases alone, each from the customer as it found them. What value, stage, tier and
prediction cost is what `step` takes with a model and tiers in force more than with none, and what looking at the stage
of every customer after every event takes by itself: the one is not in `step` before a model, the other always is.
Where the clock is not to be trusted, count instructions: `--steps` does nothing but these steps, so the difference of
two counts is what a round takes, to a hundredth.
"""

from __future__ import annotations

import argparse
import cProfile
import json
import pstats
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, NamedTuple

import msgspec

from bench import load
from pipeline import topics
from pipeline.agents import customers, ingest
from pipeline.agents.directory import Directory
from pipeline.app import collect_rarely
from pipeline.core import identity, stage
from pipeline.core.controls import INITIAL, Controls, adopt
from pipeline.core.door import Admitted, Shop, admit
from pipeline.core.policy import DEFAULT, from_dict, policy_hash, to_dict
from pipeline.core.population import EVERY, Population, alike
from pipeline.core.population import SCOPE as POPULATION_SCOPE
from pipeline.core.population import to_parameters as as_numbers
from pipeline.core.predict import Model, to_parameters
from pipeline.core.profile import Profile
from pipeline.core.rates import Rates
from pipeline.core.rhythm import Rhythm
from pipeline.core.spend import Spend
from pipeline.core.step import step
from pipeline.core.timing import Timing
from pipeline.core.view import view
from pipeline.engine.processor import Batch, Outbox, State
from pipeline.schemas import logged
from pipeline.schemas.parse import parse_batch

BATCH_RECORDS = 2_000
ROUNDS = 3
NOW = datetime(2026, 3, 2, 12, tzinfo=UTC)
KEY = b"bench"
TIMING = Timing(0.525, 6.183, 0.891, 1.614)
MODEL = Model(
    TIMING,
    Spend(6.25, 3.74, 1_544.0),
    Rhythm(TIMING, (0.6, 0.3, 0.1)),
    level=0.05,
    fitted_on=0,
    second_order_weeks=28.6,
)
"""CDNOW's buying, and regular customers beside."""
FITTED = logged.ModelFitted(fitted_at=NOW - timedelta(hours=2), parameters=to_parameters(MODEL))
POPULATION = Population(
    measured_on=0, customers=20_000, value=tuple(range(0, 19_000, 1_000)), gap=tuple(range(0, 9_500, 500)),
    serve=tuple(range(0, 190, 10)), upkeep_minor=50, recency=(-200, -100, -50, -10), frequency=(1, 1, 2, 3),
    monetary=(500, 900, 2_000, 5_000), best_ahead_minor={alike(EVERY, EVERY): 9_000},
)  # fmt: skip
"""Some shop's cuts."""
MEASURED = logged.ModelFitted(
    fitted_at=NOW - timedelta(hours=2), scope=POPULATION_SCOPE, parameters=as_numbers(POPULATION)
)
_IN_FORCE = {"none": (), "model": (FITTED,), "tiers": (FITTED, MEASURED)}
SHOP = Shop("EUR", Rates())


@dataclass
class Given:
    """A record as the consumer hands it over."""

    topic: str
    value: bytes
    key: bytes | None
    offset: int = 0
    partition: int = 0
    timestamp: int = int(NOW.timestamp() * 1000)
    headers: tuple[tuple[str, bytes], ...] = ()


class Known(Directory):
    """A directory that knows everybody already."""

    def __init__(self, people: int) -> None:
        super().__init__({}, "never read")
        for number in range(people):
            customer_id = identity.mint(0, number)
            for alias in (("customer_id", f"customer-{number}"), ("email", f"customer{number}@example.com")):
                self._links[identity.alias_hash(*alias, KEY)] = customer_id


def batches(records: list[Given], topic: str) -> list[Batch]:
    return [
        Batch(topic, 0, records[at : at + BATCH_RECORDS], at + BATCH_RECORDS, flush=False)
        for at in range(0, len(records), BATCH_RECORDS)
    ]


def best(rounds: int, work: Callable[[], None]) -> float:
    """Seconds of processor time of the quickest round, of work that does not measure itself."""
    times = []
    for _ in range(rounds):
        before = time.process_time()
        work()
        times.append(time.process_time() - before)
    return min(times)


def segment_order(number: int) -> bytes:
    """An order as Segment says it, with the campaign it came from: two events."""
    return json.dumps(
        {
            "type": "track", "event": "Order Completed", "messageId": f"m-{number}", "userId": f"customer-{number}",
            "timestamp": "2026-01-06T10:00:00.000Z",
            "context": {"library": {"name": "analytics.js"}, "campaign": {"name": "spring", "medium": "email"}},
            "properties": {"order_id": f"o-{number}", "revenue": 25.5, "currency": "EUR",
                           "products": [{"product_id": "p-1", "price": 25.5, "quantity": 1}]},
        }
    ).encode()  # fmt: skip


class Stepped(NamedTuple):
    """Seconds of processor time of a `step`: of any event, of a purchase; and of a look at the stage by itself."""

    event: float
    purchase: float
    stage: float

    @classmethod
    def best(cls, rounds: list[Stepped]) -> Stepped:
        """Of each the quickest round."""
        return cls(*map(min, zip(*rounds, strict=True)))


class Stages:
    """The load, made ready for each stage."""

    def __init__(self, count: int, people: int) -> None:
        self.count = count
        self.directory = Known(people)
        self.sources: dict[str, list[Given]] = {}
        given = [*load.people(people, NOW - timedelta(days=1)), *load.events(count, NOW, customers=people)]
        for each in given[-count:]:
            self.sources.setdefault(each.topic.name, []).append(Given(each.topic.name, each.value, each.key))
        names = ingest.Names.of(lambda name: name)
        self.doors = {
            topic.name: ingest.Ingest(
                topic, names=names, directory=self.directory, key=KEY, shop=SHOP,
                fuse=ingest.Fuse(topic.name, refused_fraction=1, records_min=200),
            )
            for topic in topics.SOURCES
        }  # fmt: skip
        self.calls = [Given(topics.PURCHASES.name, segment_order(number), None) for number in range(count)]
        self.parsed = [parsed for name, records in self.sources.items() for parsed in parse_batch(records, name)[0]]
        admitted = [admit(each.event, received_at=NOW, shop=SHOP) for each in self.parsed]
        self.admitted = [each for each in admitted if isinstance(each, Admitted)]
        # As the log has it: everybody known first, in one partition, in order.
        log: list[Given] = []
        for each in given:
            for parsed in parse_batch([Given(each.topic.name, each.value, each.key)], each.topic.name)[0]:
                entry = admit(parsed.event, received_at=NOW, shop=SHOP)
                aliases = identity.aliases(identity.named(parsed.event))
                if isinstance(entry, Admitted) and aliases:
                    known = self.directory.customer_of(identity.alias_hash(*aliases[0], KEY))
                    assert known is not None
                    log.append(Given("log", logged.encode(entry.logged), known.encode(), offset=len(log)))
        self.log = log[-count:]
        self.before = log[:-count]

    def ingest(self) -> None:
        for name, records in self.sources.items():
            for batch in batches(records, name):
                self.doors[name].process(batch, State(), Outbox())

    def parse(self) -> None:
        for name, records in self.sources.items():
            for at in range(0, len(records), BATCH_RECORDS):
                parse_batch(records[at : at + BATCH_RECORDS], name)

    def parse_segment(self) -> None:
        parse_batch(self.calls, topics.PURCHASES.name)

    def admit(self) -> None:
        for each in self.parsed:
            admit(each.event, received_at=NOW, shop=SHOP)

    def encode(self) -> None:
        for each in self.admitted:
            logged.encode(each.logged)

    def table(self) -> tuple[customers.Customers, State]:
        """A partition's processor and state in which everybody is known."""
        state = State()
        processor = customers.Customers(0, state, (), names=customers.Names.of(lambda name: name))
        tick = logged.encode(logged.Tick(as_of=NOW - timedelta(hours=1)))
        controls = [
            Given("log", logged.encode(self.policy()), logged.CONTROL_KEY),
            Given("log", tick, logged.CONTROL_KEY),
        ]
        for batch in batches([*self.before, *controls], "log"):
            processor.process(batch, state, Outbox())
        state.changed.clear()
        return processor, state

    @staticmethod
    def policy() -> logged.PolicyAdopted:
        document = to_dict(DEFAULT)
        document["rules"]["feedback_request"] |= {"wait_days": 0, "cool_down_days": 0}
        document["guard_rails"] |= {"messages_max": 16, "messages_window_days": 1}
        policy = from_dict(document)
        return logged.PolicyAdopted(
            adopted_at=NOW - timedelta(days=1), policy_hash=policy_hash(policy), policy=document
        )

    def controls(self) -> Controls:
        return adopt(adopt(INITIAL, self.policy()), logged.Tick(as_of=NOW - timedelta(hours=1)))

    def customers(self) -> float:
        """Seconds of processor time: what makes the table ready is not counted."""
        processor, state = self.table()
        before = time.process_time()
        for batch in batches(self.log, "log"):
            processor.process(batch, state, Outbox())
            state.changed.clear()
        return time.process_time() - before

    def ready(self, *fitted: logged.ModelFitted) -> tuple[Controls, dict[bytes, Profile], list[tuple[str, bytes, Any]]]:
        """What is given in force, everybody known, and the events, each with its customer as text and as key."""
        controls = self.controls()
        for control in fitted:
            controls = adopt(controls, control)
        profiles: dict[bytes, Profile] = {}
        for each in self.before:
            key = each.key or b""
            profiles[key] = step(key.decode(), profiles.get(key), logged.decode(each.value), controls).profile
        events = [((each.key or b"").decode(), each.key or b"", logged.decode(each.value)) for each in self.log]
        return controls, profiles, events

    def step_only(self, rounds: int, *fitted: logged.ModelFitted) -> None:
        """Nothing but `step`, so many rounds, each from the same customers."""
        controls, profiles, ready = self.ready(*fitted)
        for _ in range(rounds):
            found = dict(profiles)
            for name, key, event in ready:
                found[key] = step(name, found.get(key), event, controls).profile

    def steps(self, *fitted: logged.ModelFitted) -> Stepped:
        """`step` alone, nothing packed in between, with what is given in force."""
        controls, profiles, ready = self.ready(*fitted)
        everybody, purchases, afters = dict(profiles), [], []
        before = time.process_time()
        for name, key, event in ready:
            profiles[key] = step(name, profiles.get(key), event, controls).profile
        in_all = time.process_time() - before
        for name, key, event in ready:  # once more, to keep what each event found and left
            if isinstance(event, logged.OrderCompleted):
                purchases.append((name, everybody.get(key), event))
            everybody[key] = step(name, everybody.get(key), event, controls).profile
            afters.append(everybody[key])
        before = time.process_time()
        for name, found, purchase in purchases:
            step(name, found, purchase, controls)
        of_purchases = time.process_time() - before
        before = time.process_time()
        for profile in afters:
            stage.checked(profile, profile.as_of, controls.policy)
        return Stepped(in_all / len(ready), of_purchases / len(purchases), (time.process_time() - before) / len(afters))

    def views(self) -> float:
        """Seconds of a view, encoded, of each event's customer, with a model and tiers in force."""
        controls = adopt(adopt(self.controls(), FITTED), MEASURED)
        profiles: dict[bytes, Profile] = {}
        for each in (*self.before, *self.log):
            key = each.key or b""
            profiles[key] = step(key.decode(), profiles.get(key), logged.decode(each.value), controls).profile
        encode = msgspec.json.Encoder().encode
        before = time.process_time()
        for each in self.log:
            key = each.key or b""
            encode(view(key.decode(), profiles[key], controls, partition=0, offset=each.offset))
        return time.process_time() - before

    def decode(self) -> None:
        for each in self.log:
            logged.decode(each.value)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--events", type=int, default=40_000)
    parser.add_argument("--customers", type=int, default=20_000)
    parser.add_argument("--profile", action="store_true", help="also where the time goes, function by function")
    parser.add_argument("--steps", choices=_IN_FORCE, help="only `step`, with this in force: to count instructions")
    parser.add_argument("--rounds", type=int, default=1, help="so many times")
    given = parser.parse_args()
    stages = Stages(given.events, given.customers)
    collect_rarely()
    if given.steps:
        stages.step_only(given.rounds, *_IN_FORCE[given.steps])
        return
    print(f"{given.events} events of {given.customers} customers; microseconds an event:")
    none, model, tiers = (Stepped.best([stages.steps(*fitted) for _ in range(ROUNDS)]) for fitted in _IN_FORCE.values())
    rows = [
        ("the door, in all", best(ROUNDS, stages.ingest)),
        ("  of it: parse, all checks", best(ROUNDS, stages.parse)),
        ("  of it: admit", best(ROUNDS, stages.admit)),
        ("  of it: encode for the log", best(ROUNDS, stages.encode)),
        ("a Segment order with a campaign, parsed", best(ROUNDS, stages.parse_segment)),
        ("the customers, in all", min(stages.customers() for _ in range(ROUNDS))),
        ("  of it: decode", best(ROUNDS, stages.decode)),
        ("a view, encoded, with a model and tiers", min(stages.views() for _ in range(ROUNDS))),
    ]
    steps = [
        ("  of it: step", none.event),
        ("  of it: step, with a model in force", model.event),
        ("  of it: step, with a model and tiers", tiers.event),
        ("    of it: value, stage, tier and prediction", tiers.event - none.event + none.stage),
        ("a purchase's step", none.purchase),
        ("a purchase's step, with a model in force", model.purchase),
        ("a purchase's step, with a model and tiers", tiers.purchase),
        ("  of it: value, stage, tier and prediction", tiers.purchase - none.purchase + none.stage),
    ]
    for name, seconds in [*((name, seconds / given.events) for name, seconds in rows), *steps]:
        print(f"  {seconds * 1e6:6.2f}  {name}")
    if given.profile:
        for work in (stages.ingest, stages.customers):
            profile = cProfile.Profile()
            profile.runcall(work)
            pstats.Stats(profile).sort_stats("tottime").print_stats(28)


if __name__ == "__main__":
    main()

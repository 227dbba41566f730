"""A made-up shop of three months, drawn from a seed: what docs/report.md shows. Run as a module it draws that."""

from __future__ import annotations

import random
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

from pipeline.analysis.report.plots import plots_of
from pipeline.analysis.report.table import Report
from pipeline.schemas import logged
from tests.analysis.report.shops import Told, report_of
from tests.core.builders import day, order, policy, said, ticket
from tests.core.test_acquisition import revised, touch

RULES: Final = policy(
    value__margin_permille=300,
    value__margin_permille_by_category={"shoes": 550},
    value__email_cost_per_thousand_minor=150,
    value__service_hour_cost_minor=2_400,
    value__return_cost_minor=350,
    goals__sales__target_minor=900_000,
    goals__repeat_share__target_permille=500,
    goals__retention__target_permille=400,
    goals__cpa__target_minor=2_500,
    goals__value_per_customer__target_minor=1_200,
    goals__satisfaction__target_permille=800,
    goals__promises_kept__target_permille=700,
)
_CHANNELS: Final = ("search", "ad", "affiliate", "influencer")
_SPENT: Final = {"search": 30_000, "ad": 90_000, "affiliate": 5_000, "influencer": 2_000}
_DOCS: Final = Path(__file__).parents[3] / "docs"


def _bought(draw: random.Random, who: str, name: str, on: float) -> Iterator[Told]:
    category, product_id = draw.choice((("shoes", "boot"), ("shoes", "sandal"), ("hats", "cap")))
    line = logged.Item(product_id=product_id, category=category, amount_minor=1_000)
    yield who, order(on, name, draw.randrange(1_000, 9_000), items=(line,))
    if draw.random() < 0.3:
        yield who, said(logged.OrderPromised, on, order_id=name, promised_at=day(on + 3))
        yield who, said(logged.OrderDelivered, on + draw.uniform(1, 4), order_id=name)
    if draw.random() < 0.15:
        reason = draw.choice(("damaged", "too_small"))
        yield (
            who,
            said(logged.OrderRefunded, on + 2, order_id=name, refund_id=f"r{name}", amount_minor=500, reason=reason),
        )
    if draw.random() < 0.2:
        kind, about = draw.choice(("complaint", "suggestion", "product_idea")), draw.choice(("delivery", "size"))
        yield who, ticket(on + 1, f"t{name}", kind, order_id=name, category=about, service_minutes=12.0)
    if draw.random() < 0.3:
        score = float(draw.randrange(4, 11))
        yield who, said(logged.SurveyAnswered, on + 3, survey_id=f"s{name}", kind="nps", score=score, score_max=10.0)


def lives(customers: int = 300, days: int = 80, seed: int = 2) -> list[Told]:
    """What happened to everybody, in order."""
    draw = random.Random(seed)
    told: list[Told] = []
    for number in range(customers):
        who, start = f"c{number}", draw.uniform(0, days)
        told += [(who, touch(start - draw.uniform(0, 10), draw.choice(_CHANNELS))) for _ in range(draw.randrange(3))]
        told.append((who, said(logged.CustomerIdentified, start, reachable_by=("email",))))
        on, orders = start, 0
        while on < days and draw.random() < 0.7:
            told += _bought(draw, who, f"{number}.{orders}", on)
            on, orders = on + draw.expovariate(1 / 20), orders + 1
        if draw.random() < 0.3:
            told.append((who, said(logged.EmailDelivered, start + 5, email_id="welcome")))
        if number and draw.random() < 0.1:
            friend = {"referral_id": who, "referred_customer_id": who}
            told.append((f"c{number - 1}", said(logged.ReferralMade, start - 1, **friend)))
    return sorted((each for each in told if each[1].occurred_at <= day(days)), key=lambda each: each[1].occurred_at)


def example(**asked: Any) -> Report:
    """Its report, on the 80th day."""
    spent = [
        revised(channel, amount, 20, month=month, on=79)
        for channel, amount in _SPENT.items()
        for month in ("2026-01", "2026-02", "2026-03")
    ]
    return report_of(lives(), *spent, rules=RULES, now=80, **asked)


if __name__ == "__main__":
    report = example()
    for part, wanted in (("channels", "winning"), ("goals", "goals")):
        for name, _, svg in plots_of(report, report.part(part)):
            if name == wanted:
                (_DOCS / f"report-{name}.svg").write_text(svg + "\n", encoding="utf-8")

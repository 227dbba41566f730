"""The picture fits the terminal, from 80 columns and 24 lines up, and says in figures what was seen."""

from __future__ import annotations

import io
from datetime import date

import pytest
from rich.console import Console
from rich.spinner import Spinner

from pipeline.local.screen import picture, plain_line
from pipeline.local.watch import Seen

TRIGGER = {
    "rule": "retention_offer", "customer_id": "5a02ed7b-0000", "channel": "email", "reasons": ["at_risk"],
    "decided_at": "1997-04-02T00:00:00Z", "expires_at": "1997-04-16T00:00:00Z", "purpose": "marketing",
    "numbers": {"days_since_purchase": 60, "orders": 1, "net_revenue_minor": 2_933, "currency": "USD"},
}  # fmt: skip


def large() -> Seen:
    """As wide as it gets: all 23,570 customers."""
    population = {
        "exploratory": {"prospect": 1_204, "new": 6_500, "active": 1_100, "at_risk": 10_215, "lapsed": 2_385},
        "basic": {"prospect": 45, "lapsed": 10_453, "won_back": 1_024},
        "collaborative": {"at_risk": 1_086, "active": 1_154},
        "bonded": {"active": 1_049},
    }
    return Seen(
        week=60, weeks=78, shop_date=date(1998, 2, 24), published=460_021, processed=459_871, rate=12_345.6, lag=150,
        dead_letters={"not_json": 30}, decisions={("win_back", "sent"): 61_234, ("win_back", "held"): 9},
        population=population, population_before={"basic": {"prospect": 12_000}}, triggers=[dict(TRIGGER)] * 40,
    )  # fmt: skip


def drawn(seen: Seen, width: int, height: int) -> list[str]:
    file = io.StringIO()
    console = Console(file=file, width=width, height=height, force_terminal=True, color_system=None)
    console.print(picture(seen, console, "Wafa demo: CDNOW, 23,570 real customers", Spinner("dots")))
    return file.getvalue().rstrip("\n").split("\n")


@pytest.mark.parametrize(("width", "height"), [(80, 24), (100, 30), (132, 43), (220, 60)])
def test_it_fits_and_fills_the_height_without_scrolling(width: int, height: int) -> None:
    lines = drawn(large(), width, height)
    assert all(len(line) <= width for line in lines)
    assert len(lines) == min(height - 1, 16 + 40)


def test_no_figure_is_cut_in_80_columns() -> None:
    lines = drawn(large(), 80, 24)
    table = [line for line in lines if "retention offer" not in line]
    assert not any("…" in line for line in table)
    # by hand: 1,204 + 6,500 + 1,100 + 10,215 + 2,385 and so on; 3,303 = 1,100 + 1,154 + 1,049
    (every,) = [line for line in lines if line.strip().startswith("all")]
    assert every.split() == ["all", "1,249", "6,500", "3,303", "11,301", "12,838", "1,024", "36,215"]
    (stage,) = [line for line in lines if line.strip().startswith("basic")]
    assert stage.split() == ["basic", "45", "10,453", "1,024", "11,522", "-478"]


def test_before_anything_is_seen_it_says_what_is_starting() -> None:
    lines = drawn(Seen(phase="Kafka"), 80, 24)
    assert "Starting Kafka" in lines[1]


def test_without_a_terminal_a_line_says_it_all() -> None:
    assert plain_line(large()) == (
        "1998-02-24  week 60/78  460,021 published, 459,871 processed, 12,346/s, lag 150, 36,215 customers, "
        "61,234 triggers, 30 dead letters"
    )

"""The customer on the page about needs is one that was lived through."""

from __future__ import annotations

from typing import Any

from pipeline.schemas import logged
from pipeline.telling_needs import needs_lines
from tests.conftest import REPOSITORY
from tests.core.builders import consent, day, order, said
from tests.core.test_needs import known, lines, shown, wish
from tests.driver import Driver

TABLE = {
    ">hats": 0.1, ">shoes": 0.3, ">socks": 0.2, ">tents": 0.05, ">stoves": 0.03, "tents>stoves": 0.4,
    "shoes>socks": 0.35, "discounted_fraction": 0.3, "response_fraction": 0.2,
}  # fmt: skip


def a_hiker() -> Driver:
    """They bought shoes and socks, then tents; opened every third mail in the evening, and like hats."""
    told: list[Any] = [
        known(0, language="fa", time_zone="Asia/Tehran", country="IR"),
        consent(0),
        wish(0, interests=("hats",)),
    ]
    for number in range(12):
        of = ("shoes", "socks") if number % 2 else ("shoes",)
        told.append(order(12 * number, f"o{number}", 4_000, discount_minor=500 * (number % 4 == 0), **lines(*of)))
    for number in range(30):
        told.append(said(logged.EmailDelivered, 5.2 + 6 * number, email_id=f"m{number}"))
        if number % 3 == 0:
            told.append(said(logged.EmailOpened, 5.2 + 6 * number, email_id=f"m{number}"))
    told += [order(150.3 + 5 * number, f"n{number}", 9_000, **lines("tents")) for number in range(9)]
    driver = Driver()
    driver.control(logged.ModelFitted(fitted_at=day(0), scope="affinity", parameters=TABLE))
    for event in sorted(told, key=lambda event: event.occurred_at):
        driver.tick(event.occurred_at)
        driver.feed(event)
    for on in (195, 205, 215):
        driver.tick(day(on))
    return driver


def test_the_page_shows_what_the_command_says_of_them() -> None:
    told = "".join(f"{title:12} {words}\n" for title, words in needs_lines(shown(a_hiker())))
    page = (REPOSITORY / "docs/needs.md").read_text("utf-8")
    assert f"```\n{told}```" in page

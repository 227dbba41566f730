"""`wafa books` in words: whose value it is, and costs as what they take away."""

from __future__ import annotations

import io

from rich.console import Console

from pipeline.bookkeeping import print_books
from tests.core.builders import order
from tests.core.test_acquisition import revised, touch
from tests.core.test_books import lived


def test_costs_are_taken_away_and_who_has_not_bought_is_not_called_a_customer() -> None:
    """30.00 of margin less 10.00 on search; the second is known by a touch alone."""
    books = lived(
        ("a", touch(0, "search")), ("a", order(1, "A", 10_000)), ("b", touch(2, "ad")),
        controls=(revised("search", 1_000, 1),),
    )  # fmt: skip
    out = io.StringIO()
    print_books(books, Console(file=out, width=160), "USD")
    lines = [[cell.strip() for cell in line.strip("│").split("│")] for line in out.getvalue().splitlines()]
    assert ["margin", "30.00 USD"] in lines
    assert ["channels that won them", "-10.00 USD"] in lines
    assert ["value to date", "20.00 USD"] in lines
    assert ["(no purchase, or no touch before it)", "1.00", "0.00 USD"] in lines
    assert "Value to date of 2 people, buyers or not" in out.getvalue()

"""Dated rates: which one holds, what an amount is worth, and what a table is refused for."""

from __future__ import annotations

from datetime import date, timedelta
from decimal import Decimal
from pathlib import Path

import pytest

from pipeline.core.rates import BadRates, Rate, Rates, load_rates, read_rates

HEAD = "date,currency,rate\n"


@pytest.mark.parametrize(
    ("amount_minor", "currency", "rate", "shop", "worth_minor"),
    [
        (1_050, "USD", "0.9", "EUR", 945),  # 10.50 x 0.9 = 9.45
        (1_000, "JPY", "0.006", "EUR", 600),  # the yen has no cents: 1000 x 0.006 = 6.00
        (600, "EUR", "166.67", "JPY", 1_000),  # 6.00 x 166.67 = 1000.02
        (1_234, "KWD", "3", "EUR", 370),  # thousandths: 1.234 x 3 = 3.702
        (25, "USD", "0.1", "EUR", 2),  # half a cent to the even one: 2.5
        (35, "USD", "0.1", "EUR", 4),  # 3.5
        (-25, "USD", "0.1", "EUR", -2),
        (10**12, "USD", "1e9", "EUR", 10**21),  # exact, whatever the size
        (0, "USD", "0.9", "EUR", 0),
    ],
)
def test_an_amount_is_converted_exactly_and_rounded_once(
    amount_minor: int, currency: str, rate: str, shop: str, worth_minor: int
) -> None:
    assert Rate(date(2026, 1, 1), Decimal(rate)).convert(amount_minor, currency, shop) == worth_minor


def test_a_rate_holds_from_its_day_until_the_next_and_at_most_35_days() -> None:
    rates = read_rates(HEAD + "2026-01-01,USD,0.9\n2026-01-10,USD,0.8\n")
    assert rates.rate("USD", date(2025, 12, 31)) is None
    assert rates.rate("USD", date(2026, 1, 1)) == Rate(date(2026, 1, 1), Decimal("0.9"))
    assert rates.rate("USD", date(2026, 1, 9)) == Rate(date(2026, 1, 1), Decimal("0.9"))
    assert rates.rate("USD", date(2026, 1, 10)) == Rate(date(2026, 1, 10), Decimal("0.8"))
    assert rates.rate("USD", date(2026, 1, 10) + timedelta(days=35)) is not None
    assert rates.rate("USD", date(2026, 1, 10) + timedelta(days=36)) is None
    assert rates.rate("GBP", date(2026, 1, 10)) is None


def test_rows_may_stand_in_any_order_and_twice_if_they_agree() -> None:
    rows = ["2026-01-10,USD,0.8\n", "2026-01-01,USD,0.9\n", "2026-01-01,GBP,1.1\n", "2026-01-01,USD,0.90\n"]
    assert read_rates(HEAD + "".join(rows)) == read_rates(HEAD + "".join(rows[::-1]).replace("0.90", "0.9"))


def test_every_problem_is_listed_with_its_line() -> None:
    bad = ["2026-01-01,XXY,1", "1.1.2026,USD,1", "2026-01-01,USD,cheap", "2026-01-01,USD,0", "2026-01-01,USD,NaN",
           "2026-01-01,USD,1e10", "2026-01-01", "2026-01-02,USD,1", "2026-01-02,USD,2"]  # fmt: skip
    with pytest.raises(BadRates) as refused:
        read_rates(HEAD + "\n".join(bad))
    lines = str(refused.value).splitlines()
    assert [line.split(": ")[0] for line in lines] == [f"line {number}" for number in (2, 3, 4, 5, 6, 7, 8, 10)]
    assert lines[0] == "line 2: currency: expected an ISO 4217 code, got 'XXY'"
    assert "given before for USD on 2026-01-02, 1, got 2" in lines[-1]


def test_the_list_of_problems_is_bounded() -> None:
    with pytest.raises(BadRates) as refused:
        read_rates(HEAD + "nonsense,USD,1\n" * 1_000)
    assert len(str(refused.value).splitlines()) == 50


@pytest.mark.parametrize("text", ["", "date;currency;rate\n", "date,currency\n2026-01-01,USD\n"])
def test_a_table_without_its_columns_is_refused(text: str) -> None:
    with pytest.raises(BadRates, match="expected the columns date, currency, rate"):
        read_rates(text)


def test_no_file_is_no_rates_and_a_byte_order_mark_does_no_harm(tmp_path: Path) -> None:
    assert load_rates(None) == Rates()
    file = tmp_path / "rates.csv"
    file.write_text("\ufeff" + HEAD + "2026-01-01,USD,0.9\n", "utf-8")
    assert load_rates(file).rate("USD", date(2026, 1, 2)) is not None

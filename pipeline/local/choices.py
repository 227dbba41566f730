"""What may be chosen about a demonstration."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

Which = Literal["sample", "master"]
"""Which file of purchases: 2,357 customers, or all 23,570."""


@dataclass(frozen=True, slots=True)
class Choices:
    """How much of the shop's history is shown, and where it happens. The defaults are the demonstration."""

    which: Which = "sample"
    keep: bool = False
    """Leave everything running at the end, until interrupted."""
    customers_max: int | None = None
    """Only so many of the file's customers; None: all."""
    weeks_max: int | None = None
    """Only so many weeks; None: all 78."""
    seed: int = 1997
    """Of what is invented around the purchases."""
    folder: Path = Path(".wafa/demo")
    """Each run has a folder of its own in it."""

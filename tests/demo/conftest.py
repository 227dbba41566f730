"""The data set, fetched once into the checkout's cache, as the demonstration does."""

from __future__ import annotations

from pathlib import Path

import pytest
from rich.console import Console

from pipeline.local import cdnow


@pytest.fixture(scope="session")
def wheel(jar_cache: Path) -> Path:
    return cdnow.fetch(jar_cache, Console(stderr=True))

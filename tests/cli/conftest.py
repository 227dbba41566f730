"""Commands asked in the tests' own process, which is quicker; what starts something gets a process of its own."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator

import pytest
import structlog
from typer.testing import CliRunner

from pipeline.__main__ import app
from pipeline.logs import _LIBRARIES

Ask = Callable[..., tuple[int, str, str]]


@pytest.fixture
def ask() -> Iterator[Ask]:
    """A command run in this process, and its logging undone: exit code, standard output, standard error."""
    root = logging.getLogger()
    handlers, structure = root.handlers[:], structlog.get_config()
    levels = {name: logging.getLogger(name).level for name in ("root", *_LIBRARIES)}

    def run_here(*words: str, **environment: str) -> tuple[int, str, str]:
        result = CliRunner().invoke(app, words, env=environment)
        assert result.exception is None or isinstance(result.exception, SystemExit)
        return result.exit_code, result.stdout, result.stderr

    yield run_here
    root.handlers[:] = handlers
    for name, level in levels.items():
        logging.getLogger(name).setLevel(level)
    logging.captureWarnings(capture=False)
    structlog.configure(**structure)

"""How the processes speak."""

from __future__ import annotations

import io
import json
import logging
from collections.abc import Iterator

import pytest
import structlog

from pipeline import logs
from pipeline.settings import load


@pytest.fixture
def lines() -> Iterator[io.StringIO]:
    """Where the lines go; logging is put back as it was."""
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    yield io.StringIO()
    root.handlers[:] = handlers
    root.setLevel(level)
    logging.captureWarnings(capture=False)
    structlog.reset_defaults()


def said(lines: io.StringIO) -> list[dict[str, object]]:
    return [json.loads(line) for line in lines.getvalue().splitlines()]


def test_ours_and_the_libraries_lines_are_one_json_object_each_with_the_same_fields(lines: io.StringIO) -> None:
    logs.configure(load(), stream=lines)
    structlog.get_logger("wafa.engine").info("task_recovered", task="customers/3", records=12)
    logging.getLogger("faust.app").warning("Consumer %s stopped", "worker-1")
    ours, theirs = said(lines)
    assert {"event", "level", "logger", "at"} == ours.keys() & theirs.keys()
    assert (ours["event"], ours["task"], ours["records"]) == ("task_recovered", "customers/3", 12)
    assert (theirs["event"], theirs["level"], theirs["logger"]) == ("Consumer worker-1 stopped", "warning", "faust.app")


def test_libraries_are_quiet_below_a_warning_unless_debugging(lines: io.StringIO) -> None:
    logs.configure(load(), stream=lines)
    logging.getLogger("aiokafka.consumer").info("joined")
    structlog.get_logger("wafa.x").debug("detail")
    assert said(lines) == []
    logs.configure(load(log_level="debug"), stream=lines)
    logging.getLogger("aiokafka.consumer").info("joined")
    structlog.get_logger("wafa.x").debug("detail")
    assert [line["event"] for line in said(lines)] == ["joined", "detail"]


def test_fields_that_could_hold_a_person_are_not_logged_by_whoever(lines: io.StringIO) -> None:
    logs.configure(load(), stream=lines)
    person = {
        "email": "ada@example.com",
        "customer_id": "c-77",
        "value": b'{"phone": "the red one"}',
        "text": "I love it",
    }
    structlog.get_logger("wafa.x").warning("refused", partition=3, **person)
    logging.getLogger("faust").warning("Bad record", extra=person)
    assert not any(word in lines.getvalue() for word in ("ada@", "c-77", "the red one", "love"))
    assert said(lines)[0]["partition"] == 3


def test_a_traceback_carries_no_values_of_variables(lines: io.StringIO) -> None:
    logs.configure(load(), stream=lines)

    def fails(address: str) -> None:
        raise RuntimeError(f"address of length {len(address)}")

    try:
        fails("12 Secret Street")
    except RuntimeError:
        structlog.get_logger("wafa.x").exception("failed")
        logging.getLogger("faust").exception("failed")
    assert [line["exception"][0]["exc_type"] for line in said(lines)] == ["RuntimeError", "RuntimeError"]
    assert "Secret Street" not in lines.getvalue()


def test_lines_for_eyes_are_lines_for_eyes(lines: io.StringIO) -> None:
    logs.configure(load(log_format="console"), stream=lines)
    structlog.get_logger("wafa.x").info("assigned", tasks=3)
    assert "assigned" in lines.getvalue()
    assert not lines.getvalue().startswith("{")

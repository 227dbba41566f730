"""What a person is told who asks in the wrong way, or without a broker: every problem, an exit code, no traceback."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import click
import pytest
from typer.main import get_command
from typer.testing import CliRunner

from pipeline.__main__ import app
from pipeline.core.policy import default_text
from tests.cli.conftest import Ask
from tests.pipeline.shop import REPOSITORY, free_port


def commands(group: click.Command, *path: str) -> Iterator[tuple[str, ...]]:
    """Every command there is, as one types it."""
    yield path
    for name, command in getattr(group, "commands", {}).items():
        yield from commands(command, *path, name)


def start(*words: str, **environment: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", "pipeline", *words], cwd=REPOSITORY, env={**os.environ, "COLUMNS": "200", **environment},
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, stdin=subprocess.DEVNULL, text=True,
    )  # fmt: skip


def run(*words: str, **environment: str) -> tuple[int, str, str]:
    """A process of its own, for what would start something."""
    process = start(*words, **environment)
    out, error = process.communicate(timeout=60)
    return process.returncode, out, error


@pytest.mark.parametrize("path", list(commands(get_command(app))), ids=" ".join)
def test_every_command_explains_itself(path: tuple[str, ...]) -> None:
    result = CliRunner().invoke(app, [*path, "--help"])
    assert result.exit_code == 0
    assert "Usage:" in result.stdout


def test_bad_settings_are_listed_whole_and_nothing_starts(tmp_path: Path) -> None:
    port = free_port()
    code, out, error = run(
        "worker", WAFA_METRICS_PORT=str(port), WAFA_WORKER_DATA_DIR=str(tmp_path / "data"),
        WAFA_KAFKA_BOOTSTRAP_SERVERS="nowhere", WAFA_SHOP_CURRENCY="euro", WAFA_WORKER_BATCH_RECORDS_MAX="many",
    )  # fmt: skip
    assert code == 2
    assert out == ""
    for expected in (
        "WAFA_KAFKA_BOOTSTRAP_SERVERS: expected host:port[,host:port...], ports from 1 to 65535, got 'nowhere'",
        "WAFA_SHOP_CURRENCY: expected an ISO 4217 code such as EUR, got 'euro'",
        "WAFA_WORKER_BATCH_RECORDS_MAX: ",
    ):
        assert expected in error
    assert "Traceback" not in error
    assert not (tmp_path / "data").exists()


def test_a_bad_table_of_rates_is_told_before_anything_starts(tmp_path: Path) -> None:
    rates = tmp_path / "rates.csv"
    rates.write_text("date,currency,rate\n2024-01-01,EUR,0\nyesterday,EUR,1\n")
    code, out, error = run("worker", WAFA_SHOP_RATES_FILE=str(rates), WAFA_METRICS_PORT="0")
    assert (code, out) == (2, "")
    assert error.startswith("wafa: WAFA_SHOP_RATES_FILE: line 2: ")
    assert "line 3: " in error
    assert "Traceback" not in error


def test_a_table_of_rates_in_another_encoding_is_told(ask: Ask, tmp_path: Path) -> None:
    rates = tmp_path / "rates.csv"
    rates.write_bytes("date,currency,rate\n".encode("utf-16"))
    code, _, error = ask("publish", "x.csv", WAFA_SHOP_RATES_FILE=str(rates))
    assert (code, error) == (2, "wafa: WAFA_SHOP_RATES_FILE: expected UTF-8, got another byte at 0\n")


def test_a_bad_policy_is_listed_whole(ask: Ask, tmp_path: Path) -> None:
    file = tmp_path / "policy.toml"
    text = default_text().replace("lapsed_after_days = 180", "lapsed_after_days = 30")
    text = text.replace("messages_max = 2 ", "messages_max = 99 ").replace("cycle_days = 90 ", "cycle_days = 1 ")
    file.write_text(text)
    for command in ("check", "adopt"):  # adopt needs no broker to see it
        code, out, error = ask("policy", command, str(file))
        assert (code, out) == (2, "")
        for name in ("lapsed_after_days", "messages_max", "cycle_days"):
            assert name in error
        assert "Traceback" not in error


def test_a_file_that_cannot_be_read_is_refused(ask: Ask, tmp_path: Path) -> None:
    latin = tmp_path / "latin.toml"
    latin.write_bytes(b'[shop]\ntime_zone = "Zo\xeb"\n')
    for file, said in (
        (tmp_path / "nowhere.toml", "No such file or directory"),
        (latin, "expected UTF-8, got another byte at 22"),
    ):
        for command in (("policy", "check"), ("spend",)):
            code, _, error = ask(*command, str(file))
            assert (code, error) == (2, f"wafa: {file}: {said}\n")


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("publish", "x.csv", "--map", "email"), "--map: expected FIELD=COLUMN, got 'email'"),
        (("publish", "nowhere.jsonl"), "nowhere.jsonl: No such file or directory"),
        (("customer", "c1", "--why", "birthday"), "--why: expected one of value, stage, lifecycle, tier, prediction"),
        (("redrive", "--topic", "bills.v1"), "--topic: expected one of contacts.v1, purchases.v1"),
        (("redrive", "--reason", "bad"), "'not_json'"),
        (("triggers", "--limit", "-1"), "--limit"),
        (("report", "--from", "2026-02-30"), "--from"),
        (("report", "--period", "day"), "--period"),
        (("report", "--from", "2026-02-02", "--to", "2026-02-01"), "a time that ends on 2026-02-02 or later, got 2026"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, tuple) else "",
)
def test_arguments_that_cannot_work_are_explained(ask: Ask, words: tuple[str, ...], said: str) -> None:
    code, out, error = ask(*words)
    assert (code, out) == (2, "")
    assert said in error
    assert "Traceback" not in error


def test_without_a_broker_every_command_says_so_in_a_sentence(tmp_path: Path) -> None:
    servers = f"127.0.0.1:{free_port()}"
    policy, events = tmp_path / "policy.toml", tmp_path / "events.jsonl"
    policy.write_text(default_text())
    events.write_text("{}\n")
    asked = (
        ("topics", "check"), ("lag",), ("triggers", "--follow"), ("customer", "c1"), ("redrive", "--dry-run"),
        ("report",), ("policy", "adopt", str(policy)), ("publish", str(events)), ("worker",),
    )  # fmt: skip
    at_once = [start(*words, WAFA_KAFKA_BOOTSTRAP_SERVERS=servers, WAFA_METRICS_PORT="0") for words in asked]
    for words, process in zip(asked, at_once, strict=True):
        out, error = process.communicate(timeout=60)
        assert process.returncode == 3, (words, error)
        assert out == "", words
        assert error.startswith(f"wafa: Kafka at {servers}: no answer within 10 s: "), (words, error)
        assert len(error.splitlines()) == 1, (words, error)


def test_contracts_are_compared_and_written(ask: Ask, tmp_path: Path) -> None:
    code, out, _ = ask("contracts", str(tmp_path), "--check")
    assert code == 1
    assert f"differs: {tmp_path / 'asyncapi.json'}" in out
    assert list(tmp_path.iterdir()) == []
    assert ask("contracts", str(tmp_path))[0] == 0
    assert ask("contracts", str(tmp_path), "--check") == (0, "", "")


def test_the_topology_is_shown_without_a_broker(ask: Ask) -> None:
    code, out, _ = ask("topics", "show", WAFA_TOPICS_PREFIX="myshop.", WAFA_KAFKA_BOOTSTRAP_SERVERS="127.0.0.1:1")
    assert code == 0
    assert "myshop.customer-events.v1" in out


@pytest.mark.parametrize("text", ["24", "h", "0h", "90s", "-1d", "32d"])
def test_a_schedule_of_fits_that_makes_no_sense_is_refused(ask: Ask, text: str) -> None:
    code, _, error = ask("fit", f"--every={text}")
    assert code == 2
    expected = f"--every: expected minutes, hours or days such as 90m, 24h or 7d, at most 31d, got {text!r}"
    assert " ".join(error.split()) == f"wafa: {expected}"


def test_a_fit_without_its_packages_says_which_extra_has_them(tmp_path: Path) -> None:
    (tmp_path / "numpy.py").write_text("raise ModuleNotFoundError(\"No module named 'numpy'\", name='numpy')\n")
    code, out, error = run("fit", PYTHONPATH=str(tmp_path))
    assert (code, out) == (1, "")
    assert error == "wafa: numpy is not installed; it comes with the extra `analysis`: pip install 'wafa[analysis]'\n"

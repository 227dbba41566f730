"""What an operator sets, and its page. `python -m tests.test_settings` writes the page anew."""

from __future__ import annotations

import re
from datetime import date
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
listed in one message, which quotes no secret, and nothing starts before they are mended. A variable that begins with
`WAFA_` and is none of these is such a problem: it is a setting misspelt, or one of another version. (What Kubernetes
sets for a service named `wafa...`, such as `..._SERVICE_HOST`, is let pass.) What a marketer sets is policy
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
    return {
        str: "text",
        int: "whole number",
        float: "number",
        bool: "yes or no",
        Path: "file",
        SecretStr: "secret",
        date: "day",
    }[annotation]


def bounds(field: FieldInfo) -> str:
    """What the field's constraints allow, in words."""
    said = []
    for constraint in field.metadata:
        for name, words in (("gt", "more than"), ("ge", "at least"), ("lt", "less than"), ("le", "at most")):
            if (bound := getattr(constraint, name, None)) is not None:
                said.append(f"{words} {bound if isinstance(bound, date) else format(bound, 'g')}")
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


def problems_of(**given: object) -> list[str]:
    with pytest.raises(BadSettings) as raised:
        load(**given)
    opening, *problems = str(raised.value).splitlines()
    assert opening == "Settings that cannot work:"
    return sorted(problem.strip() for problem in problems)


def test_every_problem_is_listed_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of one setting, between two, and of a name: none hides another, and each is told once."""
    monkeypatch.setenv("WAFA_SHOP_CURENCY", "EUR")
    problems = problems_of(
        kafka_security_protocol="SASL_SSL", kafka_heartbeat_seconds=5, redis_url="http://x", shop_rates_file="/nowhere",
        kafka_bootstrap_servers="broker", metrics_port=70000, shop_currency="euro",
    )  # fmt: skip
    assert problems == [
        "WAFA_KAFKA_BOOTSTRAP_SERVERS: expected host:port[,host:port...], ports from 1 to 65535, got 'broker'",
        "WAFA_KAFKA_HEARTBEAT_SECONDS: expected at most a third of WAFA_KAFKA_SESSION_TIMEOUT_SECONDS (6.0), got 5.0",
        "WAFA_KAFKA_SASL_USERNAME and WAFA_KAFKA_SASL_PASSWORD: expected with SASL, got none",
        "WAFA_METRICS_PORT: Input should be less than or equal to 65535, got 70000",
        "WAFA_REDIS_URL: expected redis://host:port/number, rediss://... or unix:///path, got one that is not shown",
        "WAFA_SHOP_CURENCY: there is no such setting; is WAFA_SHOP_CURRENCY meant?",
        "WAFA_SHOP_CURRENCY: expected an ISO 4217 code such as EUR, got 'euro'",
        "WAFA_SHOP_RATES_FILE: expected a file that can be read (No such file or directory), got '/nowhere'",
    ]


def test_what_hangs_on_a_setting_that_is_wrong_is_not_guessed() -> None:
    """A server that cannot be read is neither here nor elsewhere: whether it needs a key of its own is not known."""
    assert len(problems_of(kafka_bootstrap_servers="kafka.example")) == 1
    assert len(problems_of(kafka_session_timeout_seconds="long", kafka_heartbeat_seconds=90)) == 1


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("shop_currency", "ZZZ"), ("shop_currency", "XAU"), ("kafka_bootstrap_servers", "127.0.0.1:99999"),
        ("kafka_bootstrap_servers", "127.0.0.1:0"), ("kafka_bootstrap_servers", "127.0.0.1:9092,"),
        ("identity_key", "  "), ("identity_key", "\n"), ("kafka_ssl_ca_file", "/nonexistent"),
        ("kafka_ssl_cert_file", "/"), ("shop_rates_file", "/"), ("redis_url", "redis://h:notaport/0"),
        ("redis_url", "redis://h:70000/0"), ("redis_url", "redis://h:0"), ("redis_url", "redis://h/first"),
        ("redis_url", "unix://"), ("redis_url", "localhost:6379"), ("redis_url", "redis://u:p#w@h:6379"),
    ],
)  # fmt: skip
def test_a_value_that_would_fail_later_is_told_before_anything_starts(name: str, value: str) -> None:
    (problem,) = problems_of(**{name: value})
    assert problem.startswith(f"WAFA_{name.upper()}: expected ")


@pytest.mark.parametrize(
    "url", ["redis://h", "redis://u:pw@h:6379/2", "rediss://[::1]:6380/", "unix:///run/valkey.sock"]
)
def test_every_usual_way_to_redis_is_taken(url: str) -> None:
    assert load(redis_url=url).redis_url == url


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("redis_url", "http://u:secretpw@x"), ("redis_url", "redis://u:secretpw@h:notaport/0"),
        ("redis_url", "u:secretpw"), ("kafka_bootstrap_servers", "u:secretpw@broker"),
        ("identity_key", b"secretpw\xff"), ("kafka_sasl_password", ["secretpw"]),
        ("shop_rates_file", "https://u:secretpw@files/rates.csv"),
    ],
)  # fmt: skip
def test_a_problem_quotes_no_secret(name: str, value: object) -> None:
    (problem,) = problems_of(**{name: value})
    assert problem.startswith(f"WAFA_{name.upper()}: ")
    assert problem.endswith("got one that is not shown")
    assert "secretpw" not in problem


def test_what_kubernetes_sets_for_a_service_of_ours_is_no_setting(monkeypatch: pytest.MonkeyPatch) -> None:
    """Source: Kubernetes, "Accessing the Service", environment variables in Docker's form."""
    for name, value in {
        "WAFA_SERVICE_HOST": "10.0.0.11", "WAFA_SERVICE_PORT": "9464", "WAFA_SERVICE_PORT_METRICS": "9464",
        "WAFA_PORT": "tcp://10.0.0.11:9464", "WAFA_PORT_9464_TCP": "tcp://10.0.0.11:9464",
        "WAFA_VIEWS_PORT_9464_TCP_PROTO": "tcp", "WAFA_PORT_9464_TCP_PORT": "9464",
        "WAFA_PORT_9464_TCP_ADDR": "10.0.0.11",
    }.items():  # fmt: skip
        monkeypatch.setenv(name, value)
    load()
    monkeypatch.setenv("WAFA_METRIC_PORT", "9464")
    assert problems_of() == ["WAFA_METRIC_PORT: there is no such setting; is WAFA_METRICS_PORT meant?"]


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
    settings = load(kafka_sasl_password="hunter2", redis_url="redis://u:hunter3@h")
    assert "hunter3" not in f"{settings} {settings!r}"
    assert "hunter2" not in f"{settings} {settings!r} {settings.model_dump_json()}"
    assert DEMONSTRATION_KEY not in f"{settings}"


if __name__ == "__main__":
    PAGE.write_text(page(), "utf-8")


@pytest.mark.parametrize(("role", "stores"), [("all", 3 + 8), ("customers", 3), ("doors", 8)])
def test_stores_on_disk_share_their_memory_among_as_many_as_there_can_be(role: str, stores: int) -> None:
    """A log of three partitions, and the eight of who is who."""
    assert _copies(load(worker_role=role, log_partitions=3)).stores == stores

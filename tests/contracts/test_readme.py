"""What docs/contracts/README.md tells a publisher to send is accepted, and its tables are whole."""

from __future__ import annotations

import io
import json
import re
import shlex
from datetime import UTC, datetime

import pytest
from jsonschema import Draft202012Validator

from pipeline import topics
from pipeline.schemas.contracts import DIRECTORY
from pipeline.schemas.customers_csv import FIELDS, read_customers
from pipeline.schemas.dead_letters import Reason, header_schema
from pipeline.schemas.parse import parse_batch
from pipeline.schemas.segment_track import ROWS
from pipeline.settings import Settings
from tests.contracts.records import Given, event_of, refusal_of

README = (DIRECTORY / "README.md").read_text("utf-8")
BLOCKS = re.findall(r"^```(\S+)(?: (\S+))?\n(.*?)^```$", README, flags=re.MULTILINE | re.DOTALL)
VALUES = [(place.removeprefix("crm."), text) for kind, place, text in BLOCKS if kind == "json" and place != "headers"]
(HEADERS,) = (
    [(name, value.encode()) for name, value in json.loads(text).items()]
    for _, place, text in BLOCKS
    if place == "headers"
)
BINARY = VALUES[-1]


def table(column: str) -> str:
    """The first column of the table that is headed so."""
    rows = README.partition(f"| {column} |")[2].partition("\n\n")[0]
    return "\n".join(re.findall(r"^\| (.*?) \|", rows, flags=re.MULTILINE))


def test_there_is_an_example_of_every_form_and_they_are_json() -> None:
    assert len(VALUES) == 8
    assert {place for place, _ in VALUES} <= {topic.name for topic in topics.SOURCES}


@pytest.mark.parametrize(("place", "text"), VALUES[:-1])
def test_an_example_is_accepted_where_the_page_says(place: str, text: str) -> None:
    parsed, refused = parse_batch([Given(text.encode())], place)
    assert refused == []
    value = json.loads(text)
    assert len(parsed) == (2 if "campaign" in text else 1)
    if parsed[0].event.type == value["type"]:  # Wafa's own JSON: the schema must take it too
        name = re.sub(r"(?<=[a-z])(?=[A-Z])", "-", value["type"]).lower()
        schema = json.loads((DIRECTORY / f"schemas/{name}.v1.json").read_text("utf-8"))
        assert [error.message for error in Draft202012Validator(schema).iter_errors(value)] == []


def test_the_binary_example_is_the_structured_one() -> None:
    topic = next(topic for topic in topics.SOURCES if topic.name == BINARY[0])
    assert event_of(BINARY[1].encode(), topic, HEADERS) == event_of(VALUES[-2][1].encode(), topic)


def test_the_csv_example_is_read_with_the_map_of_the_command_below_it() -> None:
    (text,) = (text for kind, _, text in BLOCKS if kind == "csv")
    words = shlex.split(next(text for kind, _, text in BLOCKS if kind == "sh" and "--map" in text))
    columns = dict(words[index + 1].split("=") for index, word in enumerate(words) if word == "--map")
    rows = list(
        read_customers(io.StringIO(text), source="import", as_of=datetime(2026, 3, 1, tzinfo=UTC), columns=columns)
    )
    assert [(row.problems, [event.type for event in row.events]) for row in rows] == [
        ((), ["CustomerIdentified", "ConsentChanged", "OrderCompleted"]),
        ((), ["CustomerIdentified", "ConsentChanged"]),
    ]
    assert {event.customer_id for row in rows for event in row.events} == {"C-104233", "C-104234"}


def test_the_problems_shown_are_those_given() -> None:
    order = json.loads(VALUES[0][1])
    for change in ({"revenue_minor": -100}, {"email": "Maya Haddad <m.haddad@example.com>"}):
        (problem,) = refusal_of({**order, **change}).problems
        assert f"    {problem}\n" in README


def test_every_source_topic_is_told() -> None:
    assert re.findall(r"`crm\.(.*?)`", table("Topic")) == [topic.name for topic in topics.SOURCES]


def test_every_reason_is_told() -> None:
    assert set(re.findall(r"`(\w+)`", table("Reason"))) == {reason.value for reason in Reason}


def test_every_csv_field_is_told() -> None:
    assert set(re.findall(r"`(\w+)`", table("Field"))) == set(FIELDS)


def test_every_call_is_told() -> None:
    told = table("Call").lower()
    for name in ROWS.keys() - {"ecommerce.order_refunded", "order canceled"}:  # other spellings of what is told
        assert name in told or name.removeprefix("email ") in told


def test_settings_and_metrics_named_here_exist() -> None:
    settings = {f"WAFA_{name.upper()}" for name in Settings.model_fields}
    assert set(re.findall(r"WAFA_\w+", README)) <= settings
    for name in re.findall(r"`(wafa_\w+)`", README):
        assert name in [*header_schema()["properties"], "wafa_fuse_open"]
    assert "wafa_fuse_open" in (DIRECTORY.parent / "metrics.md").read_text("utf-8")

"""The committed documents say what the code does: schemas, AsyncAPI, the reference page."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator
from typer.testing import CliRunner

from pipeline import topics
from pipeline.__main__ import app
from pipeline.schemas import contracts
from pipeline.schemas.contracts import DIRECTORY, documents
from pipeline.schemas.dead_letters import Reason

DOCUMENTS = documents()
ASYNCAPI: dict[str, Any] = json.loads(DOCUMENTS["asyncapi.json"])
SCHEMAS: dict[str, dict[str, Any]] = {
    schema["title"]: schema
    for name, text in DOCUMENTS.items()
    if name.startswith("schemas/")
    for schema in [json.loads(text)]
}
REFERENCE = DOCUMENTS["reference.md"]
INTERNAL = {
    topics.CONTROLS, topics.POSITIONS, topics.IDENTITIES, topics.UNIDENTIFIED_EVENTS, topics.CUSTOMER_STATE,
}  # fmt: skip
"""Wafa's own working memory: no contract with anybody."""


@pytest.mark.parametrize("name", DOCUMENTS)
def test_a_committed_document_is_what_the_models_say(name: str) -> None:
    assert (DIRECTORY / name).read_text("utf-8") == DOCUMENTS[name], "run `wafa contracts`"


def test_no_document_is_left_over() -> None:
    found = {str(path.relative_to(DIRECTORY)) for path in DIRECTORY.rglob("*") if path.is_file()}
    assert found == {*DOCUMENTS, "README.md"}


def test_the_command_tells_whether_the_documents_are_current(tmp_path: Path) -> None:
    runner = CliRunner()
    assert runner.invoke(app, ["contracts", "--check"]).exit_code == 0
    missing = runner.invoke(app, ["contracts", str(tmp_path), "--check"])
    assert missing.exit_code == 1
    assert list(tmp_path.iterdir()) == []


def test_the_command_and_the_module_write_the_same(tmp_path: Path) -> None:
    assert CliRunner().invoke(app, ["contracts", str(tmp_path / "command")]).exit_code == 0
    contracts.write(tmp_path / "module")
    for folder in (tmp_path / "command", tmp_path / "module"):
        assert {name: (folder / name).read_text("utf-8") for name in DOCUMENTS} == DOCUMENTS


@pytest.mark.parametrize("name", SCHEMAS)
def test_a_schema_is_one(name: str) -> None:
    Draft202012Validator.check_schema(SCHEMAS[name])


def test_no_two_schemas_share_an_id() -> None:
    assert len({schema["$id"] for schema in SCHEMAS.values()}) == len(SCHEMAS)


# -- AsyncAPI ---------------------------------------------------------------------------------------------------------


def _references(node: object) -> Iterator[str]:
    if isinstance(node, dict):
        if "$ref" in node:
            yield node["$ref"]
        for value in node.values():
            yield from _references(value)
    elif isinstance(node, list):
        for value in node:
            yield from _references(value)


def _resolve(reference: str, root: dict[str, Any]) -> Any:
    file, _, pointer = reference.partition("#")
    node: Any = json.loads((DIRECTORY / file).read_text("utf-8")) if file else root
    for part in pointer.split("/")[1:]:
        node = node[part]
    return node


@pytest.mark.parametrize("name", [name for name in DOCUMENTS if name.endswith(".json")])
def test_every_reference_leads_somewhere(name: str) -> None:
    root = json.loads(DOCUMENTS[name])
    for reference in _references(root):
        assert _resolve(reference, root)


def test_every_topic_that_is_not_our_own_memory_is_a_channel() -> None:
    addresses = {channel["address"] for channel in ASYNCAPI["channels"].values()}
    assert addresses == {f"crm.{topic.name}" for topic in topics.TOPICS if topic not in INTERNAL}


def test_sources_are_received_and_the_rest_is_sent() -> None:
    actions = {}
    for operation in ASYNCAPI["operations"].values():
        actions[_resolve(operation["channel"]["$ref"], ASYNCAPI)["address"]] = operation["action"]
    sources = {f"crm.{topic.name}" for topic in topics.SOURCES}
    assert actions == {
        channel["address"]: "receive" if channel["address"] in sources else "send"
        for channel in ASYNCAPI["channels"].values()
    }


@pytest.mark.parametrize("topic", topics.SOURCES, ids=lambda topic: topic.name)
def test_a_source_lists_every_event_that_belongs_there(topic: topics.Topic) -> None:
    channel = next(each for each in ASYNCAPI["channels"].values() if each["address"] == f"crm.{topic.name}")
    assert set(channel["messages"]) == {event for event, name in topics.SOURCE_OF_EVENT.items() if name == topic.name}
    assert channel["bindings"]["kafka"]["partitions"] == topic.partitions
    assert channel["bindings"]["kafka"]["topicConfiguration"]["retention.ms"] == topic.retention_ms


def test_a_channel_has_one_operation_and_its_messages_a_payload_or_headers() -> None:
    assert len(ASYNCAPI["operations"]) == len(ASYNCAPI["channels"])
    for channel in ASYNCAPI["channels"].values():
        assert channel["messages"]
        for name, reference in channel["messages"].items():
            message = _resolve(reference["$ref"], ASYNCAPI)
            assert message["name"] == name
            assert "payload" in message or "headers" in message


def test_no_schema_uses_a_word_that_asyncapi_reads_otherwise() -> None:
    """There `discriminator` is a field's name; OpenAPI's object of that name makes parsers refuse all."""
    assert not any('"discriminator"' in text for text in DOCUMENTS.values())


# -- the reference page -----------------------------------------------------------------------------------------------


def _tables() -> dict[str, dict[str, tuple[str, str, str]]]:
    """The page's tables by heading: field to (shown, type, meaning)."""
    tables: dict[str, dict[str, tuple[str, str, str]]] = {}
    for part in re.split(r"^#+ ", REFERENCE, flags=re.MULTILINE)[1:]:
        heading, _, body = part.partition("\n")
        rows = re.findall(r"^\| (\*{0,2}`(\w+(?:-\w+)*)`\*{0,2}) \| (.*?) \| (.*) \|$", body, flags=re.MULTILINE)
        tables[heading] = {name: (shown, kind, meaning) for shown, name, kind, meaning in rows}
    return tables


TABLES = _tables()
COMMON = TABLES["What comes in"]


def _sections(name: str, schema: dict[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    if "properties" in schema:
        yield name, schema
    for inner, definition in schema.get("$defs", {}).items():
        if "properties" in definition:
            yield f"{name}: {inner}", definition


@pytest.mark.parametrize("name", SCHEMAS)
def test_the_reference_has_every_field_with_its_meaning(name: str) -> None:
    sections = dict(_sections(name, SCHEMAS[name]))
    assert sections
    inbound = name in topics.SOURCE_OF_EVENT
    for heading, schema in sections.items():
        table = {**COMMON, **TABLES[heading]} if inbound and heading == name else TABLES[heading]
        fields = schema["properties"].keys() - ({"type"} if inbound and heading == name else set())
        assert fields <= table.keys()
        for field in fields:
            shown, kind, meaning = table[field]
            assert meaning or f"{name}: {kind}" in TABLES, (heading, field)
            assert shown.startswith("**") == (field in schema.get("required", ()))


def test_the_reference_says_where_each_event_goes() -> None:
    for event, topic in topics.SOURCE_OF_EVENT.items():
        section = REFERENCE.partition(f"### {event}\n")[2].partition("\n### ")[0]
        assert f"On `crm.{topic}`." in section


def test_the_reference_lists_every_reason_of_refusal() -> None:
    meaning = TABLES["DeadLetterHeaders"]["wafa_reason"][2]
    assert re.findall(r"`(\w+)`", meaning.partition("one of ")[2]) == [reason.value for reason in Reason]

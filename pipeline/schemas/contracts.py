"""The contracts as documents: JSON Schemas, an AsyncAPI 3 document and a reference page, made from models and topics.

`wafa contracts` writes them to `docs/contracts`; a test holds the committed ones to the models.
"""

from __future__ import annotations

import inspect
import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final, get_args

import msgspec
from pydantic import BaseModel
from pydantic.json_schema import GenerateJsonSchema, JsonSchemaMode

from pipeline import topics
from pipeline.schemas import (
    dead_letters,
    decisions,
    events,
    explanations,
    logged,
    mentions,
    personal,
    shop_costs,
    triggers,
    views,
)
from pipeline.schemas.contract_pages import reference
from pipeline.topics import SOURCE_OF_EVENT, SOURCES, Topic

DIRECTORY: Final = Path("docs/contracts")
MAJOR: Final = 1
_PREFIX: Final = "crm."
_DIALECT: Final = "https://json-schema.org/draft/2020-12/schema"
_HUMP: Final = re.compile(r"(?<=[a-z])(?=[A-Z])")

Json = dict[str, Any]


class _Untitled(GenerateJsonSchema):
    """Without a title for each field, which repeats its name."""

    def field_title_should_be_set(self, schema: Any) -> bool:
        """Never."""
        del schema
        return False


def inbound() -> tuple[type[BaseModel], ...]:
    """Every event publishers may send."""
    return get_args(events.InboundEvent)


def documents() -> dict[str, str]:
    """Every generated document, by its path under `docs/contracts`."""
    schemas = _schemas()
    found = {_file(name): _text(schema) for name, schema in schemas.items()}
    found["asyncapi.json"] = _text(_asyncapi())
    inbound_names = [kind.__name__ for kind in inbound()]
    topic_by_event = {name: _PREFIX + SOURCE_OF_EVENT[name] for name in inbound_names}
    found["reference.md"] = reference(schemas, topic_by_event, tuple(events.Inbound.model_fields))
    return found


def write(directory: Path = DIRECTORY) -> None:
    """Put every document in its place."""
    for name, content in documents().items():
        path = directory / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content, encoding="utf-8")


def _text(document: Json) -> str:
    return json.dumps(document, indent=2, ensure_ascii=False) + "\n"


def _kebab(name: str) -> str:
    return _HUMP.sub("-", name).lower()


def _file(name: str) -> str:
    return f"schemas/{_kebab(name)}.v{MAJOR}.json"


def _schemas() -> dict[str, Json]:
    """JSON Schema of every contract, by name."""
    found = {kind.__name__: _of_model(kind, "validation") for kind in inbound()}
    for model in (triggers.Trigger, decisions.Decision, views.ProfileView, explanations.Explanation):
        found[model.__name__] = _of_model(model, "serialization")
    found["DeadLetterHeaders"] = _named("DeadLetterHeaders", dead_letters.header_schema())
    structs = (personal.Address, personal.WrittenText, mentions.Mention, mentions.ReputationDay, shop_costs.ShopCost)
    for struct in structs:
        found[struct.__name__] = _of_type(struct.__name__, struct)
    found["CustomerEvent"] = _told(_of_type("CustomerEvent", logged.Logged))
    return found


_LOG: Final = "What `customer-events` holds: one of the events below, or one of the controls at the end."
_ONLY_LOGGED: Final = {
    "received_at": "When the broker took it.",
    "reachable_by": "Kinds of alias given (`email`, `phone`, `handle`); never the aliases.",
    "referrer_host": "Host they came from.",
    "paid_minor": "What was paid, where that was in another currency.",
    "paid_currency": "That currency.",
    "rate_on": "The day of the rate it was converted by.",
    "rating_fraction": "0 (worst) to 1 (best).",
    "as_of": "It is now.",
    "adopted_at": "When.",
    "policy_hash": "Of the policy.",
    "policy": "The whole policy.",
    "fitted_at": "When.",
    "scope": "Of what.",
    "parameters": "By name.",
    "diagnostics": "By name.",
    "revised_at": "When.",
    "cohort_month": "YYYY-MM.",
    "version": "The higher, the later.",
    "channel": "Which.",
    "currency": "ISO 4217 code of the amounts beside it.",
    "spend_minor": "Spent in all.",
    "acquisitions": "First purchases in which it had a part.",
    "told_by": "Who told the spend: `events` (costs that name the channel) or `file`; empty: a file.",
    "shares": "Its parts in them, in 720,720ths of a customer; 0: all of them whole.",
    "referrer_id": "Wafa's own id of who sent them.",
    "path": "A mark of each customer it came through, who brought it first.",
}
"""Fields of the log that publishers do not have, in words; the others keep the publisher's."""
_BETWEEN_CUSTOMERS: Final = {
    "id": "Derived from what it was told for.",
    "source": "`wafa`.",
    "occurred_at": "When what it was told for happened.",
    "referral_id": "The referral it was told for.",
    "amount_minor": "What they brought, or below zero what they gave back.",
}
"""What fields mean in events that customers' logs tell each other."""


def _told(log: Json) -> Json:
    """The log's schema with the meaning of each field, and which of its texts are instants and days."""
    for name, kind in log["$defs"].items():
        between = name in {kind.__name__ for kind in logged.BETWEEN_CUSTOMERS}
        model = events.Inbound if between else getattr(events, name, None)
        fields = {} if model is None else model.model_fields
        words = _BETWEEN_CUSTOMERS if between else {}
        for field, schema in kind["properties"].items():
            about = (
                words.get(field) or (fields[field].description if field in fields else None) or _ONLY_LOGGED.get(field)
            )
            if about:
                schema["description"] = about
            for variant in schema.get("anyOf", [schema]):
                if variant.get("type") == "string" and field.endswith(("_at", "_on", "as_of")):
                    variant["format"] = "date" if field.endswith("_on") else "date-time"
    log.pop("discriminator", None)  # OpenAPI's word; JSON Schema has none, and AsyncAPI takes only a name there
    return {**log, "description": _LOG}


def _of_model(model: type[BaseModel], mode: JsonSchemaMode) -> Json:
    return _named(model.__name__, model.model_json_schema(mode=mode, schema_generator=_Untitled))


def _of_type(name: str, kind: Any) -> Json:
    schema = msgspec.json.schema(kind)
    if "$ref" in schema:  # a struct by itself: it is the document, not a definition in it
        schema = schema["$defs"].pop(name)
    return _named(name, _unindented(schema))


def _unindented(schema: Json) -> Json:
    """With the docstrings among its descriptions as they read: Python 3.13 strips their indentation, 3.12 does not."""
    return {
        key: inspect.cleandoc(value) if key == "description" and isinstance(value, str)
        else _unindented(value) if isinstance(value, dict) else value
        for key, value in schema.items()
    }  # fmt: skip


def _named(name: str, schema: Mapping[str, Any]) -> Json:
    return {"$schema": _DIALECT, "$id": f"urn:wafa:contract:{_kebab(name)}:v{MAJOR}", "title": name, **schema}


# -- AsyncAPI ---------------------------------------------------------------------------------------------------------

_SENT: Final[dict[Topic, tuple[str, ...]]] = {
    topics.TRIGGERS: ("Trigger",),
    topics.DECISIONS: ("Decision",),
    topics.PROFILES: ("ProfileView",),
    topics.CUSTOMER_EVENTS: ("CustomerEvent",),
    topics.ADDRESSES: ("Address",),
    topics.TEXTS: ("WrittenText",),
    topics.MENTIONS: ("Mention",),
    topics.REPUTATION: ("ReputationDay",),
    topics.SHOP_COSTS: ("ShopCost",),
    topics.DEAD_LETTERS: ("DeadLetter",),
}
"""What others may read, and what lies there. Topics not named here are Wafa's own working memory."""

_FORMS: Final = (
    "Wafa's own JSON as given here; or a CloudEvent (structured or binary) around it; or a Segment or RudderStack call "
    "that means it."
)


def _asyncapi() -> Json:
    channels: Json = {}
    operations: Json = {}
    for topic in (*SOURCES, *_SENT):
        name = _channel(topic)
        channels[name] = _described(topic)
        is_source = topic in SOURCES
        operations[("receive" if is_source else "send") + name[0].upper() + name[1:]] = {
            "action": "receive" if is_source else "send",
            "channel": {"$ref": f"#/channels/{name}"},
            "summary": topic.about,
            **({"description": _FORMS} if is_source else {}),
        }
    return {
        "asyncapi": "3.0.0",
        "info": {
            "title": "Wafa",
            "version": f"{MAJOR}.0.0",
            "description": "A real-time relationship-marketing pipeline: events of customers in, triggers out. "
            "Addresses show the default prefix of topics.",
            "license": {"name": "Apache-2.0"},
        },
        "defaultContentType": "application/json",
        "servers": {"local": {"host": "127.0.0.1:9092", "protocol": "kafka", "description": "The embedded broker."}},
        "channels": channels,
        "operations": operations,
        "components": {"messages": {name: _message(name) for name in _message_names()}},
    }


def _channel(topic: Topic) -> str:
    first, *rest = topic.name.removesuffix(f".v{MAJOR}").split("-")
    return first + "".join(part.capitalize() for part in rest)


def _messages_of(topic: Topic) -> tuple[str, ...]:
    if topic in SOURCES:
        return tuple(name for name, source in SOURCE_OF_EVENT.items() if source == topic.name)
    return _SENT[topic]


def _message_names() -> list[str]:
    return [name for topic in (*SOURCES, *_SENT) for name in _messages_of(topic)]


def _described(topic: Topic) -> Json:
    return {
        "address": _PREFIX + topic.name,
        "description": f"{topic.about} Keyed by {topic.key}." + (" Restricted: personal data." * topic.restricted),
        "messages": {name: {"$ref": f"#/components/messages/{name}"} for name in _messages_of(topic)},
        "bindings": {
            "kafka": {
                "topic": _PREFIX + topic.name,
                "partitions": topic.partitions,
                "topicConfiguration": _configuration(topic),
                "bindingVersion": "0.5.0",
            }
        },
    }


def _configuration(topic: Topic) -> Json:
    config: Json = dict(sorted(topic.broker_config().items()))
    for name in ("retention.ms", "delete.retention.ms", "max.message.bytes"):
        if name in config:
            config[name] = int(config[name])
    config["cleanup.policy"] = config["cleanup.policy"].split(",")
    return config


def _message(name: str) -> Json:
    message: Json = {"name": name, "contentType": "application/json"}
    if name == "Trigger":
        message["headers"] = _trigger_headers()
        message["summary"] = "A CloudEvent in binary mode."
    if name == "DeadLetter":
        headers = {"$ref": f"./{_file('DeadLetterHeaders')}"}
        return {"name": name, "summary": "The refused record, unharmed; what was wrong in headers.", "headers": headers}
    return {**message, "payload": {"$ref": f"./{_file(name)}"}}


def _trigger_headers() -> Json:
    texts = {
        "ce_specversion": "Always 1.0.",
        "ce_id": "The trigger's id; the same id is the same trigger.",
        "ce_type": "crm.<rule>.v1, such as crm.win-back.v1.",
        "ce_source": f"Always {triggers.SOURCE}.",
        "ce_time": "When it was decided, RFC 3339.",
        "ce_subject": "The customer.",
        "content-type": "Always application/json.",
    }
    properties = {name: {"type": "string", "description": text} for name, text in texts.items()}
    return {"type": "object", "required": list(properties), "properties": properties}


if __name__ == "__main__":
    write()

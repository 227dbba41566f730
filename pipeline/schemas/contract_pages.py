"""A page for people from the JSON Schemas: per contract its fields, what they mean, and what holds for them."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from typing import Any, Final

Schema = Mapping[str, Any]

_LIMITS: Final = {
    "minimum": "at least {}",
    "exclusiveMinimum": "more than {}",
    "maximum": "at most {}",
    "exclusiveMaximum": "less than {}",
    "minLength": "at least {} character",
    "maxLength": "at most {} characters",
    "maxItems": "at most {} items",
    "pattern": "matches `{}`",
}
_CHOICES_MAX: Final = 30
_HEAD: Final = """\
# Contracts, field by field

Made from the models by `wafa contracts`; do not edit. How to publish, and how contracts change,
is in [README.md](README.md). Fields in bold are required. An instant is RFC 3339 with an offset, a day `YYYY-MM-DD`.
"""
_COMMON: Final = """\
## What comes in

Every event has these fields, and at least one of `customer_id`, `email`, `phone` and `handle`. (A mention may be by
anybody; a cost may be of a channel, campaign, affiliate or partner, but an order's names the customer.)
"""


def reference(schemas: Mapping[str, Schema], topic_by_event: Mapping[str, str], common: Collection[str]) -> str:
    """The page: what comes in, by topic, then what goes out. `common` are the fields every inbound event has."""
    first = schemas[next(iter(topic_by_event))]
    parts = [_HEAD, _COMMON, "\n".join(_table(first, [name for name in first["properties"] if name in common]))]
    for name, topic in topic_by_event.items():
        own = [field for field in schemas[name]["properties"] if field not in common and field != "type"]
        parts.append(_page(name, schemas[name], f"On `{topic}`.", own))
    parts.append("## What goes out\n")
    parts += [_page(name, schema, "") for name, schema in schemas.items() if name not in topic_by_event]
    return "\n".join(parts)


def _page(name: str, schema: Schema, where: str, fields: Collection[str] | None = None) -> str:
    lines = [f"### {name}\n"]
    about = " ".join(part for part in (_plain(schema.get("description", "")), where) if part)
    if about:
        lines.append(about + "\n")
    lines += _table(schema, schema.get("properties", {}) if fields is None else fields)
    for key, value in schema.get("$defs", {}).items():
        if "properties" in value:
            about = _plain(value.get("description", ""))
            lines += [f"#### {name}: {key}\n", about + "\n", *_table(value, value["properties"])]
    return "\n".join(lines)


def _table(schema: Schema, names: Collection[str]) -> Iterator[str]:
    if not names:
        return
    yield "| Field | Type | Meaning |"
    yield "|---|---|---|"
    for name in names:
        field = schema["properties"][name]
        shown = f"**`{name}`**" if name in schema.get("required", ()) else f"`{name}`"
        told = [_plain(field.get("description", "")), _constraints(field)]
        yield f"| {shown} | {_type(field)} | {' '.join(part for part in told if part)} |"
    yield ""


def _variants(field: Schema) -> list[Schema]:
    return [variant for variant in field.get("anyOf", [field]) if variant.get("type") != "null"]


def _type(field: Schema) -> str:
    return " or ".join(dict.fromkeys(_type_of(variant) for variant in _variants(field)))


def _type_of(field: Schema) -> str:
    if "$ref" in field:
        return str(field["$ref"]).rpartition("/")[2]
    if field.get("type") == "array":
        return f"list of {_type(field.get('items', {}))}"
    if field.get("format") in ("date-time", "date"):
        return "instant" if field["format"] == "date-time" else "day"
    return str(field.get("type", "string"))


def _constraints(field: Schema) -> str:
    told: list[str] = []
    for variant in (field, *_variants(field)):
        if "format" not in variant:  # how an instant or a day is written is said once, by its type
            told += [text.format(variant[key]) for key, text in _LIMITS.items() if key in variant]
        choices = variant.get("enum", [])
        if "const" in variant or len(choices) == 1:
            told.append(f"is `{variant.get('const', *choices)}`")
        elif choices:
            few = len(choices) <= _CHOICES_MAX
            told.append("one of " + ", ".join(f"`{c}`" for c in choices) if few else f"one of {len(choices)} codes")
    if field.get("default") not in (None, [], ()):
        told.append(f"`{str(field['default']).lower()}` unless said")
    told = list(dict.fromkeys(told))
    return f"Constraints: {'; '.join(told)}.".replace("|", "\\|") if told else ""


def _plain(text: str) -> str:
    return " ".join(text.split()).replace("|", "\\|")

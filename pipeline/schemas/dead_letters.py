"""What was refused: a record's bytes exactly as they came, with where it came from and every reason.

A dead letter is the original key, value and headers, followed by our own headers, so that nothing has to be decoded to
keep it or to send it again. Problems name fields, expectations and types; they never quote what a person is called,
where they live or what they wrote. Reasons are a closed set: they label metrics.
"""

from __future__ import annotations

import json
import traceback
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from pathlib import Path
from typing import Final, NamedTuple, Protocol

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field

from pipeline import topics


class Reason(StrEnum):
    """Why a record was refused."""

    NOT_JSON = "not_json"
    INVALID_UTF8 = "invalid_utf8"
    SCHEMA_VIOLATION = "schema_violation"
    UNKNOWN_TYPE = "unknown_type"
    WRONG_TOPIC = "wrong_topic"
    EMPTY_VALUE = "empty_value"
    TOO_LARGE = "too_large"
    TOO_FAR_AHEAD = "too_far_ahead"
    BEFORE_THE_SHOP = "before_the_shop"
    NO_ALIAS = "no_alias"
    UNKNOWN_CURRENCY = "unknown_currency"
    NO_RATE = "no_rate"
    NOBODY_KNOWN = "nobody_known"
    TOO_OLD = "too_old"
    STEP_FAILED = "step_failed"
    ADMISSION_FAILED = "admission_failed"
    ERASED = "erased"
    REFUND_ABOVE_ORDER = "refund_above_order"
    REFUND_OF_OTHER_LINES = "refund_of_other_lines"
    REFUND_WITHOUT_ORDER = "refund_without_order"
    CANCELLATION_WITHOUT_ORDER = "cancellation_without_order"
    ORDER_IN_TWO_CURRENCIES = "order_in_two_currencies"
    COST_BELOW_ZERO = "cost_below_zero"
    SELF_REFERRAL = "self_referral"
    CIRCULAR_REFERRAL = "circular_referral"


Headers = Sequence[tuple[str, bytes | None]]
"""A record's headers as Kafka has them: a value may be null."""

LETTER_BYTES_MAX: Final = 2 * topics.MAX_RECORD_BYTES - 64 * 1024
"""What a dead letter carries of a refused record, ours not counted: its topic takes 2 MiB, compressed or not.

Larger records can come, since the broker's limit on a source is on what it stores, compressed.
"""
PROBLEMS_BYTES_MAX: Final = 4096
PROBLEM_CHARS_MAX: Final = 500

_HEADERS: Final = (
    "wafa_reason",
    "wafa_problems",
    "wafa_topic",
    "wafa_partition",
    "wafa_offset",
    "wafa_timestamp_ms",
)
_HEADER_OVERHEAD: Final = 10
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)


LET_GO: Final = frozenset((Reason.REFUND_WITHOUT_ORDER, Reason.CANCELLATION_WITHOUT_ORDER))
"""Of what has waited for its order and is let go only marks are left; time shows it, and no record of its own."""
_MAY_CARRY_NOTHING: Final = LET_GO | {Reason.TOO_LARGE}
"""A record too large for a letter stays where it lies."""


class NotADeadLetter(Exception):
    """The record does not end with the headers of a dead letter."""


class Letter(Protocol):
    """A record of the dead-letter topic, as far as reading it needs."""

    @property
    def key(self) -> bytes | None:
        """The refused record's own."""

    @property
    def value(self) -> bytes | None:
        """The refused record's own."""

    @property
    def headers(self) -> Headers:
        """The refused record's own, then ours."""


class Record(Protocol):
    """What Kafka carries, as far as the door needs it."""

    @property
    def partition(self) -> int:
        """Where it lay."""

    @property
    def offset(self) -> int:
        """Its place there."""

    @property
    def timestamp(self) -> int:
        """When the broker took it, in milliseconds since 1970."""

    @property
    def key(self) -> bytes | None:
        """As it came."""

    @property
    def value(self) -> bytes | None:
        """As it came."""

    @property
    def headers(self) -> Headers:
        """As they came."""


class OutRecord(NamedTuple):
    """A record to be written. A NamedTuple, since ingest makes one for each refusal of a batch."""

    key: bytes | None
    value: bytes | None
    headers: tuple[tuple[str, bytes | None], ...]


class Original(NamedTuple):
    """A dead letter's record as its publisher sent it, and the topic (without prefix) it was sent to."""

    topic: str
    key: bytes | None
    value: bytes | None
    headers: tuple[tuple[str, bytes | None], ...]


class DeadLetter(BaseModel):
    """What the headers of a dead letter say. Its key and value are the refused record's own."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    reason: Reason = Field(description="The kind of refusal (`wafa_reason`).")
    problems: tuple[str, ...] = Field(description="Each thing wrong (`wafa_problems`, a JSON list).")
    topic: str = Field(description="Where it was sent, without the prefix (`wafa_topic`).")
    partition: int = Field(ge=0, description="Its partition there (`wafa_partition`).")
    offset: int = Field(ge=0, description="Its offset there (`wafa_offset`).")
    received_at: AwareDatetime = Field(description="When the broker took it (`wafa_timestamp_ms`, milliseconds).")


def dead_letter(record: Record, topic: str, reason: Reason, problems: Sequence[str]) -> OutRecord:
    """The dead letter of `record`, refused on `topic` (without prefix). `problems` are cut to 4 KiB in all.

    A record too large even for a dead letter is not in it: it stays where it lies, and the first problem says where.
    """
    size = record_bytes(record)
    if size > LETTER_BYTES_MAX:
        where = f"{topic}[{record.partition}]@{record.offset}"
        problems = (f"record: expected at most {LETTER_BYTES_MAX} bytes, got {size}; it is at {where} only", *problems)
    ours = (
        reason.value.encode(),
        _bounded(problems),
        topic.encode(),
        b"%d" % record.partition,
        b"%d" % record.offset,
        b"%d" % record.timestamp,
    )
    said = zip(_HEADERS, ours, strict=True)
    if size > LETTER_BYTES_MAX:
        return OutRecord(None, None, tuple(said))
    return OutRecord(record.key, record.value, (*record.headers, *said))


def fault(error: Exception) -> str:
    """A defect of ours as a problem: its kind and place. Not its text, which may quote what a person wrote."""
    frames = [frame for frame in traceback.extract_tb(error.__traceback__) if "site-packages" not in frame.filename]
    place = f" in {Path(frames[-1].filename).name}, line {frames[-1].lineno}" if frames else ""
    return f"expected to be taken in, got {type(error).__name__}{place}"


def record_bytes(record: Record | Original) -> int:
    """A record's size: key, value, and headers with what Kafka adds to each."""
    headers = sum(len(name.encode()) + len(text or b"") + _HEADER_OVERHEAD for name, text in record.headers)
    return len(record.key or b"") + len(record.value or b"") + headers


def is_carried(letter: DeadLetter, value: bytes | None) -> bool:
    """Whether the refused record is in its dead letter (whose value this is), and can be sent again from there."""
    return letter.reason not in _MAY_CARRY_NOTHING or value is not None


def _bounded(problems: Sequence[str]) -> bytes:
    """A JSON list of as many problems as fit, and how many did not."""
    kept: list[str] = []
    size = 2
    for index, problem in enumerate(problems):
        text = _clean(problem)
        more = len(problems) - index
        size += len(json.dumps(text)) + 2
        if size > PROBLEMS_BYTES_MAX - 40:
            kept.append(f"and {more} more")
            break
        kept.append(text)
    return json.dumps(kept).encode()


def _clean(problem: str) -> str:
    return problem if len(problem) <= PROBLEM_CHARS_MAX else problem[: PROBLEM_CHARS_MAX - 3] + "..."


def read_dead_letter(record: Letter) -> DeadLetter:
    """What a dead letter says of itself. Raises NotADeadLetter, naming what is missing."""
    ours = record.headers[-len(_HEADERS) :]
    names = tuple(name for name, _ in ours)
    if names != _HEADERS:
        raise NotADeadLetter(f"headers: expected to end with {', '.join(_HEADERS)}, got {', '.join(names) or 'none'}")
    texts = [(value or b"").decode("utf-8", "replace") for _, value in ours]
    reason, problems, topic, partition, offset, timestamp = texts
    try:
        return DeadLetter(
            reason=Reason(reason),
            problems=tuple(json.loads(problems)),
            topic=topic,
            partition=int(partition),
            offset=int(offset),
            received_at=_EPOCH + timedelta(milliseconds=int(timestamp)),
        )
    except (ValueError, TypeError, OverflowError, RecursionError) as error:
        raise NotADeadLetter(f"headers: expected those of a dead letter, got {error}") from error


def redrive_record(record: Letter) -> Original:
    """The refused record as it came, to be sent to its topic again. Raises NotADeadLetter."""
    letter = read_dead_letter(record)
    return Original(letter.topic, record.key, record.value, tuple(record.headers[: -len(_HEADERS)]))


def header_schema() -> dict[str, object]:
    """JSON Schema of the headers a dead letter adds to the refused record's own."""
    fields = zip(_HEADERS, DeadLetter.model_fields.values(), strict=True)
    properties: dict[str, dict[str, object]] = {
        name: {"type": "string", "description": field.description} for name, field in fields
    }
    properties["wafa_reason"]["enum"] = [reason.value for reason in Reason]
    about = "What a dead letter's record has in headers, after the refused record's own."
    return {"description": about, "type": "object", "required": list(_HEADERS), "properties": properties}

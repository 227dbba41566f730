"""How Wafa's processes speak: one JSON object a line, or lines for eyes, on standard error.

Ours (structlog) and the libraries' (logging) lines pass through one formatter. Quiet by default: what a metric counts
is not logged once a record, and no library below a warning. Never logged: a record's key, value or headers, an address,
a name, a text. So libraries' tracebacks carry no local variables, and fields named like contents are dropped.
"""

from __future__ import annotations

import logging
import sys
from collections.abc import Mapping, MutableMapping
from typing import Any, Final, TextIO

import structlog

from pipeline.settings import Settings

_LIBRARIES: Final = (
    "faust",
    "mode",
    "aiokafka",
    "kafka",
    "librdkafka",
    "asyncio",
    "redis",
    "confluent_kafka",
    "urllib3",
)
_NEVER: Final = frozenset(
    ("address", "body", "customer_id", "email", "handle", "headers", "key", "name", "payload", "phone", "text", "value")
)
"""Fields that could hold what a person is called, where they are reached or what they wrote."""

_AGAIN_SECONDS: Final = 10.0
_SAYINGS_MAX: Final = 1_000

_Event = MutableMapping[str, Any]


class _NowAndThen(logging.Filter):
    """Lets a library say the same thing once in ten seconds.

    While a broker is away each of a worker's forty clients says so ten times a second; what goes on is in the metrics.
    """

    def __init__(self) -> None:
        super().__init__()
        self._said_at: dict[tuple[str, str, str], float] = {}

    def filter(self, record: logging.LogRecord) -> bool:
        """Whether this was not said just now. The words count, not what is filled into them."""
        if record.name.partition(".")[0] not in _LIBRARIES or record.levelno < logging.WARNING:
            return True
        first = record.args[0] if isinstance(record.args, tuple) and record.args else ""
        kind = str(first) if record.name == "librdkafka" else ""  # its words are all in one form: the first is the kind
        said = (record.name, str(record.msg), kind)
        if record.created - self._said_at.get(said, -_AGAIN_SECONDS) < _AGAIN_SECONDS:
            return False
        if len(self._said_at) >= _SAYINGS_MAX:
            self._said_at.clear()
        self._said_at[said] = record.created
        return True


def _drop_personal(_logger: object, _method: str, event: _Event) -> Mapping[str, Any]:
    """Fields named like contents do not get out, whoever logged them."""
    for field in _NEVER.intersection(event):
        event[field] = "[not logged]"
    return event


_SHARED: Final[tuple[structlog.types.Processor, ...]] = (
    structlog.contextvars.merge_contextvars,
    structlog.stdlib.add_logger_name,
    structlog.stdlib.add_log_level,
    structlog.stdlib.PositionalArgumentsFormatter(),
    structlog.processors.TimeStamper(fmt="iso", utc=True, key="at"),
    structlog.processors.StackInfoRenderer(),
    _drop_personal,
)


def configure(settings: Settings, *, stream: TextIO | None = None) -> None:
    """Set logging up for this process; may be called again (tests do). Lines go to `stream`, else standard error."""
    renderers: list[structlog.types.Processor]
    if settings.log_format == "json":
        plain = structlog.tracebacks.ExceptionDictTransformer(show_locals=False)
        renderers = [structlog.processors.ExceptionRenderer(plain), structlog.processors.JSONRenderer()]
    else:
        renderers = [structlog.dev.ConsoleRenderer(exception_formatter=structlog.dev.plain_traceback)]
    structlog.configure(
        processors=[structlog.stdlib.filter_by_level, *_SHARED, structlog.stdlib.ProcessorFormatter.wrap_for_formatter],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.stdlib.BoundLogger,
        cache_logger_on_first_use=False,
    )
    handler = logging.StreamHandler(stream or sys.stderr)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=list(_SHARED),
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, *renderers],
        )
    )
    handler.addFilter(_NowAndThen())
    root = logging.getLogger()
    root.handlers[:] = [handler]
    level = settings.log_level.upper()
    root.setLevel(level)
    for library in _LIBRARIES:
        logging.getLogger(library).setLevel("DEBUG" if level == "DEBUG" else max(logging.WARNING, root.level))
    logging.captureWarnings(capture=True)

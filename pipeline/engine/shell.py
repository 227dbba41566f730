"""The Faust app around the engine: everything of Faust that would bite is set here, once.

Faust would read some eighty unprefixed environment variables, and they beat arguments: it is given an empty
environment. Its web server shows tables to anyone, its exactly-once is not, its leader and table machinery are unused.
"""

from __future__ import annotations

import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import faust
from faust.types.auth import CredentialsT

from pipeline.engine.runtime import Engine
from pipeline.engine.transport import BatchTopic, BatchTransport, FetchedRun

AgentFunction = Callable[[AsyncIterator[FetchedRun]], Awaitable[None]]


@dataclass(frozen=True, slots=True)
class Shell:
    """How the Faust app talks to Kafka."""

    app_id: str
    bootstrap_servers: str
    data_dir: Path
    session_timeout_seconds: float = 6.0
    heartbeat_seconds: float = 1.5
    records_max: int = 8000
    credentials: CredentialsT | None = None
    tls: ssl.SSLContext | None = None
    instance_id: str | None = None


def faust_app(shell: Shell, engine: Engine) -> faust.App:
    """A Faust app whose consumer feeds `engine`. Agents are attached by the caller."""
    app = faust.App(
        shell.app_id,
        env={},
        broker=[f"kafka://{server.strip()}" for server in shell.bootstrap_servers.split(",")],
        broker_credentials=shell.credentials,
        ssl_context=shell.tls,
        broker_session_timeout=shell.session_timeout_seconds,
        broker_heartbeat_interval=shell.heartbeat_seconds,
        broker_rebalance_timeout=60.0,
        broker_request_timeout=max(40.0, shell.session_timeout_seconds + 10),
        broker_commit_interval=1.0,
        broker_commit_every=1_000_000_000,
        broker_max_poll_records=shell.records_max,
        broker_check_crcs=True,
        consumer_max_fetch_size=4 * 1024 * 1024,
        consumer_auto_offset_reset="earliest",
        consumer_group_instance_id=shell.instance_id,
        stream_buffer_maxsize=8,
        stream_wait_empty=False,
        stream_recovery_delay=0.0,
        topic_allow_declare=False,
        topic_disable_leader=True,
        web_enabled=False,
        datadir=str(shell.data_dir),
        store="memory://",
        Topic=BatchTopic,
    )
    transport = BatchTransport(app.conf.broker_consumer, app)
    transport.runtime = engine
    app.transport = transport
    return app


def attach(app: faust.App, name: str, topic: str, function: AgentFunction) -> None:
    """Let `function` consume the fetched runs of `topic`, one instance to a worker."""
    agent: Any = function  # to Faust an agent consumes a stream of anything
    app.agent(app.topic(topic), name=name, concurrency=1)(agent)

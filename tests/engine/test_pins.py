"""What we override or call in Faust's and aiokafka's private parts is still there, as we know it.

A version that renames one of these fails here, by name, and not as a worker that silently stands still.
"""

from __future__ import annotations

import inspect
from importlib.metadata import version

import aiokafka
import pytest
from aiokafka.client import AIOKafkaClient
from aiokafka.consumer import fetcher
from aiokafka.consumer.subscription_state import TopicPartitionState
from aiokafka.record import default_records, memory_records
from faust.app import App
from faust.channels import Channel
from faust.topics import Topic
from faust.transport.consumer import Consumer, ThreadDelegateConsumer
from faust.transport.drivers import aiokafka as driver

from pipeline.engine.transport import _KeptRecords, _LeanRecords

PINNED = {"faust-streaming": "0.15.3", "mode-streaming": "0.7.1", "aiokafka": "0.14.0"}

OVERRIDDEN = [
    (Consumer, "_drain_messages", ["self", "fetcher"]),
    (Topic, "decode", ["self", "message", "propagate"]),
    (Topic, "_compile_decode", ["self"]),
    (Channel, "_create_event", ["self", "key", "value", "headers", "message"]),
    (driver.AIOKafkaConsumerThread, "_create_worker_consumer", ["self", "transport"]),
    (
        driver.AIOKafkaConsumerThread,
        "_fetch_records",
        ["self", "consumer", "active_partitions", "timeout", "max_records"],
    ),
    (driver.AIOKafkaConsumerThread, "_commit", ["self", "offsets"]),
    (_LeanRecords.__mro__[1], "_consumer_record", ["self", "tp", "record"]),
    (_LeanRecords.__mro__[1], "_unpack_records", ["self"]),
    (_LeanRecords.__mro__[1], "__iter__", ["self"]),
    (default_records._DefaultRecordBatchPy, "_maybe_uncompress", ["self"]),
    (memory_records._MemoryRecordsPy, "has_next", ["self"]),
    (memory_records._MemoryRecordsPy, "next_batch", ["self", "_min_slice", "_magic_offset"]),
    (AIOKafkaClient, "_metadata_update", ["self", "cluster_metadata", "topics"]),
    (driver.Consumer, "_new_consumer_thread", ["self"]),
    (Consumer, "getmany", ["self", "timeout"]),
    (Consumer, "on_partitions_revoked", ["self", "revoked"]),
    (Consumer, "on_partitions_assigned", ["self", "assigned", "generation_id"]),
    (Consumer, "on_buffer_drop", ["self", "tp"]),
    (Consumer, "resume_partitions", ["self", "tps"]),
    (Consumer, "perform_seek", ["self"]),
    (ThreadDelegateConsumer, "_seek", ["self", "partition", "offset"]),
    (Consumer, "force_commit", ["self", "topics", "start_new_transaction"]),
    (Consumer, "ack", ["self", "message"]),
    (Consumer, "_add_gap", ["self", "tp", "offset_from", "offset_to"]),
    (Consumer, "verify_all_partitions_active", ["self"]),
]
CALLED = [
    (Consumer, "_wait_next_records"),
    (Consumer, "_get_active_partitions"),
    (Consumer, "on_buffer_full"),
    (Consumer, "seek"),
    (ThreadDelegateConsumer, "assignment"),
    (driver.AIOKafkaConsumerThread, "call_thread"),
    (TopicPartitionState, "has_valid_position"),
    (TopicPartitionState, "position"),
    (App, "_new_consumer"),
]


@pytest.mark.parametrize(("package", "expected"), PINNED.items())
def test_the_versions_are_those_whose_private_parts_we_know(package: str, expected: str) -> None:
    assert version(package) == expected


@pytest.mark.parametrize(
    ("owner", "name", "parameters"), OVERRIDDEN, ids=lambda part: getattr(part, "__name__", str(part))
)
def test_what_we_override_is_there_with_its_parameters(owner: type, name: str, parameters: list[str]) -> None:
    assert list(inspect.signature(getattr(owner, name)).parameters) == parameters


@pytest.mark.parametrize(("owner", "name"), CALLED, ids=lambda part: getattr(part, "__name__", str(part)))
def test_what_we_call_is_there(owner: type, name: str) -> None:
    assert hasattr(owner, name)


def test_a_consumer_has_its_client_where_we_look_for_it() -> None:
    assert "self._client = AIOKafkaClient(" in inspect.getsource(aiokafka.AIOKafkaConsumer)
    assert "await self._metadata_update(" in inspect.getsource(AIOKafkaClient)


def test_a_fetch_that_is_answered_leaves_its_time_and_its_end_where_we_look_for_them() -> None:
    source = inspect.getsource(fetcher.Fetcher._proc_fetch_request)
    assert "tp_state.lso = lso" in source
    assert "tp_state.timestamp = now_ms" in source


def test_aiokafka_makes_its_records_by_the_class_that_we_put_there() -> None:
    assert fetcher.PartitionRecords is _LeanRecords
    assert fetcher.MemoryRecords is _KeptRecords
    assert "MemoryRecords(" in inspect.getsource(fetcher.Fetcher)
    assert "PartitionRecords(" in inspect.getsource(fetcher.Fetcher)

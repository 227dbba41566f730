"""A record whose header has a name that is not UTF-8 passes, and so does everything around it."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
from aiokafka import TopicPartition
from aiokafka.errors import CorruptRecordException
from aiokafka.record.default_records import DefaultRecordBatch, _DefaultRecordBatchBuilderPy
from kafka import KafkaProducer

from pipeline.engine.transport import FetchedRecord, _KeptRecords, _LeanRecords
from tests.engine.job import Job

NONE, GZIP = DefaultRecordBatch.CODEC_NONE, DefaultRecordBatch.CODEC_GZIP


class Latin(str):
    """A text as a careless publisher encodes it."""

    __slots__ = ()

    def encode(self, *_: str) -> bytes:
        return super().encode("latin-1")


def batch(first_offset: int, names: Sequence[str], codec: int = NONE) -> bytearray:
    """One fetched batch with a record for each name of a header."""
    builder = _DefaultRecordBatchBuilderPy(
        magic=2, compression_type=codec, is_transactional=False, producer_id=-1, producer_epoch=-1, base_sequence=-1,
        batch_size=1_000_000,
    )  # fmt: skip
    for number, name in enumerate(names):
        builder.append(number, timestamp=1_000, key=b"k", value=b"%d" % number, headers=[(name, b"v")])
    built: bytearray = builder.build()
    built[0:8] = first_offset.to_bytes(8, "big")  # which the checksum leaves out
    return built


def read(fetched: bytes, from_offset: int = 0) -> list[FetchedRecord]:
    return list(
        _LeanRecords(TopicPartition("t", 0), _KeptRecords(fetched), [], from_offset, None, None, True, 1)  # noqa: FBT003 - aiokafka's signature
    )


@pytest.mark.parametrize("codec", [NONE, GZIP])
def test_a_name_that_is_no_text_is_written_out_and_no_record_is_lost_or_repeated(codec: int) -> None:
    fetched = bytes(
        batch(0, ["a", "b"], codec)
        + batch(2, ["c", Latin("caf\xe9"), "d"], codec)
        + batch(5, ["e", Latin("\xff")], codec)
        + batch(7, ["f"], codec)
    )
    records = read(fetched)
    assert [record.offset for record in records] == list(range(8))
    names = [name for record in records for name, _ in record.headers]
    assert names == ["a", "b", "c", "caf\\xe9", "d", "e", "\\xff", "f"]
    assert [record.value for record in records] == [b"0", b"1", b"0", b"1", b"2", b"0", b"1", b"0"]


def test_a_fetch_that_begins_in_the_middle_begins_there() -> None:
    records = read(bytes(batch(2, ["c", Latin("\xe9"), "d"])), from_offset=3)
    assert [record.offset for record in records] == [3, 4]


def test_a_batch_that_is_damaged_is_still_refused() -> None:
    fetched = batch(0, ["a", "b"])
    fetched[-1] ^= 0xFF
    with pytest.raises(CorruptRecordException):
        read(bytes(fetched))


def test_a_partition_with_such_a_record_goes_on(job: Job) -> None:
    job.publish(500)
    careless = KafkaProducer(bootstrap_servers=job.bootstrap)
    for number in range(20):
        careless.send(f"{job.prefix}in", b'{"n": 1}', b"c%d" % number, headers=[(Latin("caf\xe9"), b"v")])
    careless.close()
    job.published += 20
    job.publish(500)
    job.start()
    job.wait_until_done()
    job.check()

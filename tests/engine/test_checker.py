"""The checker of the fault tests passes a good run, and catches every kind of bad one."""

from __future__ import annotations

import json

import pytest

from tests.engine.checking import POSITION_KEY, Pair, differences
from tests.engine.oracle import EVERY

Run = tuple[list[Pair], list[Pair], list[Pair]]


def entry(count: int, transaction: int) -> Pair:
    return b"a", b"\x01" + transaction.to_bytes(8, "big") + json.dumps([count, count]).encode()


def position(next_offset: int, transaction: int) -> Pair:
    return POSITION_KEY, json.dumps({"next_offset": next_offset, "sequence": transaction}).encode()


def good_run() -> Run:
    """One key, thirty inputs in three transactions, three outputs, its changelog: by hand, not by the code tested."""
    inputs = [(b"a", json.dumps({"n": 1}).encode()) for _ in range(3 * EVERY)]
    outputs = [(b"a", json.dumps([n * EVERY, n * EVERY]).encode()) for n in (1, 2, 3)]
    changelog = [each for n in (1, 2, 3) for each in (entry(n * EVERY, n), position(n * EVERY, n))]
    return inputs, outputs, changelog


def test_a_good_run_passes() -> None:
    assert differences(*good_run()) == []


def _spoilt() -> dict[str, Run]:
    inputs, outputs, changelog = good_run()
    return {
        "a dropped output": (inputs, outputs[1:], changelog),
        "a repeated output": (inputs, [*outputs, outputs[-1]], changelog),
        "two swapped outputs": (inputs, [outputs[1], outputs[0], outputs[2]], changelog),
        "a cut tail": (inputs, outputs[:-1], changelog),
        "an output that should not be": (inputs, [*outputs, (b"b", b"[10, 10]")], changelog),
        "a lost state": (inputs, outputs, []),
        "a state counted twice": (inputs, outputs, [*changelog[:-2], entry(4 * EVERY, 3), changelog[-1]]),
        "a torn transaction: no position": (inputs, outputs, changelog[:-1]),
        "a torn transaction: a position alone, healed by the next": (inputs, outputs, changelog[:2] + changelog[3:]),
        "a transaction lost, healed by the next": (inputs, outputs, changelog[:2] + changelog[4:]),
        "a transaction twice": (inputs, outputs, [*changelog, *changelog[-2:]]),
    }


@pytest.mark.parametrize("name", _spoilt())
def test_a_bad_run_is_caught(name: str) -> None:
    assert differences(*_spoilt()[name])

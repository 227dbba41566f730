"""The more tasks are at work, the longer each waits for its turn; one alone hardly does, and none waits for ever."""

from __future__ import annotations

import asyncio

import pytest

from pipeline.engine.pace import AT_WORK_SECONDS, REST_SECONDS_MAX, Pace, Turns


def test_one_task_alone_may_begin_as_often_as_the_worker() -> None:
    pace = Pace(250.0)
    assert pace.next_at("a", 10.0) == 10.0, "its first need not wait"
    pace.begin("a", 10.0)
    assert pace.next_at("a", 10.001) == pytest.approx(10.004)


def test_twenty_tasks_at_work_share_the_workers_transactions() -> None:
    pace = Pace(250.0)
    for number in range(20):
        pace.begin(str(number), 10.0 + number / 1000)
    assert pace.next_at("0", 10.05) == pytest.approx(10.0 + 20 / 250)


def test_who_has_not_begun_lately_or_is_gone_takes_no_share() -> None:
    pace = Pace(250.0)
    for number in range(20):
        pace.begin(str(number), 10.0)
    later = 10.0 + AT_WORK_SECONDS + 0.1
    pace.begin("0", later)
    pace.begin("1", later)
    pace.forget("1")
    assert pace.next_at("0", later) == pytest.approx(later + 1 / 250)


def test_none_waits_longer_than_stated() -> None:
    pace = Pace(10.0)
    for number in range(100):
        pace.begin(str(number), 10.0)
    assert pace.next_at("7", 10.0) == pytest.approx(10.0 + REST_SECONDS_MAX)


def test_a_worker_is_behind_for_a_second_after_a_task_of_it_left_a_whole_batch_waiting() -> None:
    pace = Pace(250.0)
    assert not pace.is_behind(0.5)
    pace.begin("a", 10.0, is_behind=True)
    pace.begin("b", 10.2)
    assert pace.is_behind(10.9)
    assert not pace.is_behind(11.0)


async def told_in_order(turns: Turns, names: str, *, ends: asyncio.Event) -> list[str]:
    """Who had a turn, in order, each holding it until `ends`."""
    began: list[str] = []

    async def work(name: str) -> None:
        async with turns.taken():
            began.append(name)
            await ends.wait()

    async with asyncio.TaskGroup() as group:
        for name in names:
            group.create_task(work(name))
        await asyncio.sleep(0)
        assert began == list(names[:2]), "two at a time"
        ends.set()
    return began


def test_of_those_that_wait_the_longest_waiting_has_the_next_turn() -> None:
    async def scene() -> list[str]:
        return await told_in_order(Turns(2), "abcde", ends=asyncio.Event())

    assert asyncio.run(scene()) == list("abcde")


def test_turns_that_never_end_hold_nobody_up_for_longer_than_stated() -> None:
    async def scene() -> float:
        turns, loop = Turns(1), asyncio.get_running_loop()
        async with asyncio.timeout(30), turns.taken():
            before = loop.time()
            async with turns.taken():
                return loop.time() - before

    assert asyncio.run(scene()) >= 0.9 * REST_SECONDS_MAX, "it was waited for, and not for ever"


def test_a_turn_that_failed_is_free_again() -> None:
    async def scene() -> bool:
        turns = Turns(1)
        with pytest.raises(RuntimeError):
            async with turns.taken():
                raise RuntimeError("the transaction failed")
        async with asyncio.timeout(REST_SECONDS_MAX / 2), turns.taken():
            return True

    assert asyncio.run(scene())

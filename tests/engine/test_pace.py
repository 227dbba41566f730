"""The more tasks are at work, the longer each waits for its turn; one alone hardly does, and none waits for ever."""

from __future__ import annotations

import pytest

from pipeline.engine.pace import AT_WORK_SECONDS, REST_SECONDS_MAX, Pace


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

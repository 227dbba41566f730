"""A busy task flushes seldom, by its share of time; one at rest soon, however long the last flush took."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any, cast

import pytest

from pipeline.engine.flushing import REST_SECONDS_MAX, SHARE, SHARE_AT_EASE, Flushing
from pipeline.engine.pace import Pace
from pipeline.engine.processor import ChangelogPlace, Spec
from pipeline.engine.task import Task


def test_a_busy_task_gives_flushes_their_share_of_time() -> None:
    flushing = Flushing(1.0)
    flushing.flushed(100.0, 0.02, is_left=True, is_busy=True)
    for at in (100.5, 101.0, 101.5, 102.0, 102.5, 103.0, 103.5):
        flushing.worked(at)
    assert flushing.due_at(is_behind=False) == pytest.approx(100.0 + 0.02 / SHARE)


def test_a_task_that_has_come_to_rest_does_not_wait_for_a_slow_flush_to_be_made_up_for() -> None:
    flushing = Flushing(1.0)
    flushing.flushed(100.0, 0.5, is_left=False, is_busy=False)
    assert flushing.due_at(is_behind=False) == 101.0
    flushing.worked(107.0)
    assert flushing.due_at(is_behind=False) == 108.0


def test_what_is_left_goes_out_at_once_where_nothing_else_waits() -> None:
    flushing = Flushing(1.0)
    flushing.worked(98.0)
    flushing.flushed(100.0, 0.5, is_left=True, is_busy=False)
    assert flushing.due_at(is_behind=False) == 100.0


def test_while_records_come_and_none_waits_flushes_get_a_larger_share_and_not_all_there_is() -> None:
    flushing = Flushing(1.0)
    flushing.worked(99.9)
    flushing.flushed(100.0, 0.05, is_left=True, is_busy=False)
    for at in (100.4, 100.8, 101.2, 101.6, 102.0, 102.4):
        flushing.worked(at)
    assert flushing.due_at(is_behind=False) == pytest.approx(100.0 + 0.05 / SHARE_AT_EASE)


def test_quick_flushes_are_as_far_apart_as_the_settings_say() -> None:
    flushing = Flushing(1.0)
    flushing.flushed(100.0, 0.001, is_left=False, is_busy=False)
    flushing.worked(100.1)
    assert flushing.due_at(is_behind=False) == 101.0


def test_a_flush_in_which_the_machine_stood_still_does_not_put_the_next_off_for_hours() -> None:
    flushing = Flushing(1.0)
    flushing.flushed(100.0, 90.0, is_left=True, is_busy=True)
    flushing.worked(100.5 + REST_SECONDS_MAX)
    assert flushing.due_at(is_behind=False) == 100.0 + REST_SECONDS_MAX
    assert flushing.due_at(is_behind=True) == 100.0 + REST_SECONDS_MAX


def test_while_the_worker_is_behind_a_task_without_records_keeps_to_its_share() -> None:
    """It has none because others have the processor: where it flushed as if at rest, the rest fell further behind."""
    flushing = Flushing(1.0)
    flushing.worked(99.0)
    flushing.flushed(100.0, 0.02, is_left=True, is_busy=True)
    assert flushing.due_at(is_behind=True) == pytest.approx(100.0 + 0.02 / SHARE)
    assert flushing.due_at(is_behind=False) == 101.0


def test_a_task_whose_worker_is_behind_puts_its_flush_off_and_asks_again_within_a_second() -> None:
    pace = Pace(250.0)
    spec = Spec("flush", "in", cast("Any", None), lambda partition: ChangelogPlace("state", partition))
    task = Task(spec, 0, cast("Any", SimpleNamespace(pace=pace)))
    task._flushing.flushed(100.0, 0.02, is_left=True, is_busy=True)
    assert task._flush_in(101.5) == 0.0
    pace.begin("another", 101.0, is_behind=True)
    assert task._flush_in(101.5) == 1.0
    assert task._flush_in(102.5) == 0.0

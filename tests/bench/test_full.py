"""What the table shows of several rounds."""

from __future__ import annotations

from bench.__main__ import medians


def test_what_is_measured_every_round_is_shown_by_its_median_and_what_once_as_it_is() -> None:
    rounds = [
        {"full": {"events_per_second": 18_000.0}, "faust": {"events_per_second": 3_000.0}},
        {"full": {"events_per_second": 12_000.0}, "faust": {"events_per_second": 3_300.0}},
        {"full": {"events_per_second": 17_000.0}, "faust": {"events_per_second": 1_000.0}, "latency": {"p50": 0.2}},
    ]
    assert medians(rounds) == {
        "full": {"events_per_second": 17_000.0}, "faust": {"events_per_second": 3_000.0}, "latency": {"p50": 0.2},
    }  # fmt: skip

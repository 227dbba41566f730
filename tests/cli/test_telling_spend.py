"""What is odd about channels' spend, in words: a channel's months together, so that years of it are no flood."""

from __future__ import annotations

from pipeline.core.revisions import Odd, Remark
from pipeline.spending import together


def test_a_channels_months_of_one_kind_are_one_sentence_with_the_money_of_all() -> None:
    odd = [Remark(Odd.NOBODY_WON, "print", f"2026-{month:02}", 1_050) for month in (1, 2, 4)]
    odd += [Remark(Odd.BELOW_ZERO, "print", "2026-03", -500), Remark(Odd.NO_CHANNEL, "", "2026-01", 5)]
    assert together(odd, "EUR") == [
        "print, 2026-01 to 2026-04: 31.50 EUR in 3 months spent, and no customer of that month came by it (nobody_won)",
        "print, 2026-03: -5.00 EUR more was taken back than spent (below_zero)",
        "2026-01: 0.05 EUR spent for no channel, so spread over nobody (no_channel)",
    ]

"""What an event costs us, by the rates in force when it arrived, in thousandths of a minor unit: an e-mail is cheap.

Thousandths add up without rounding; `value` rounds the sum once.
"""

from __future__ import annotations

from typing import Final

from pipeline.core.money import rounded
from pipeline.core.policy import ValueRules

MILLI: Final = 1000
"""Thousandths of a minor unit."""
_MINUTES_OF_HOUR: Final = 60


def send_milli(rules: ValueRules) -> int:
    """One e-mail: a thousand of them cost `email_cost_per_thousand_minor`."""
    return rules.email_cost_per_thousand_minor


def service_time_milli(minutes: float, rules: ValueRules) -> int:
    """A person's time, exact to a thousandth of a minute."""
    if not rules.service_hour_cost_minor or not minutes:
        return 0
    return rounded(round(minutes * 1000) * rules.service_hour_cost_minor, _MINUTES_OF_HOUR)

"""Controls: of each kind and scope only the newest counts, and a changelog gives them back."""

from __future__ import annotations

from itertools import permutations
from typing import Any

import pytest

from pipeline.core.controls import (
    INITIAL,
    SCOPES_MAX,
    Controls,
    adopt,
    changed_entries,
    from_entries,
    spending,
    to_entries,
)
from pipeline.core.policy import BadPolicy
from pipeline.schemas import logged
from tests.core.builders import adopted, day, policy
from tests.core.test_acquisition import revised
from tests.core.test_forecast import fitted


def tick(on: float) -> logged.Tick:
    """It is day `on`."""
    return logged.Tick(as_of=day(on))


def cost(on: float, month: str = "2026-01", version: int = 1, channel: str = "search") -> logged.ChannelCostRevised:
    """A channel's cost, counted on day `on`."""
    return logged.ChannelCostRevised(
        revised_at=day(on), channel=channel, cohort_month=month, version=version, spend_minor=100, acquisitions=3
    )


def all_of(*controls: Any, before: Controls = INITIAL) -> Controls:
    """The control state after these."""
    for control in controls:
        before = adopt(before, control)
    return before


def test_a_control_not_newer_than_the_last_of_its_kind_changes_nothing() -> None:
    state = all_of(tick(2), adopted(policy(guard_rails__messages_max=3), 2), cost(2, version=2))
    for old in (
        tick(2),
        tick(1),
        adopted(policy(guard_rails__messages_max=9), 2),
        cost(2, version=2),
        cost(1, version=9),
    ):
        assert adopt(state, old) is state
    assert adopt(state, cost(2, version=3)) is not state
    assert adopt(state, cost(1, month="2026-02")) is not state


def test_kinds_may_come_in_any_order() -> None:
    controls = (tick(2), adopted(policy(guard_rails__messages_max=3), 1), cost(1), logged.ModelFitted(fitted_at=day(1)))
    states = [all_of(*order) for order in permutations(controls)]
    assert all(to_entries(state) == to_entries(states[0]) for state in states)
    assert states[0].policy.guard_rails.messages_max == 3


@pytest.mark.parametrize("scopes", list(permutations(("shop", "channel/email", "cohort/2026-01"))), ids=" ".join)
def test_models_of_one_fit_are_in_force_together_in_whatever_order_they_come(scopes: tuple[str, ...]) -> None:
    """And those that the next fit found for nobody are withdrawn; a changelog gives the same back at every moment."""
    state = all_of(*(fitted(1, scope=scope) for scope in ("shop", "channel/email", "cohort/2026-01")))
    for number, scope in enumerate(scopes, 1):
        state = adopt(state, fitted(2, scope=scope))
        assert from_entries(to_entries(state)) == state
        expected = set(scopes[:number]) - {"shop"} if "shop" in scopes[:number] else None
        if expected is not None:
            assert set(state.models.segments) == expected
    state = all_of(fitted(3), adopted(policy(forecast__at_risk_max_days=99), 3), before=state)
    assert state.models.segments == {}
    assert from_entries(to_entries(state)) == state


def test_the_first_tick_is_remembered_and_the_last_one_counts() -> None:
    state = all_of(tick(1), tick(5), tick(3))
    assert (state.first_tick_at, state.tick_at) == (day(1).timestamp(), day(5).timestamp())


def test_a_changelog_gives_the_same_state_back() -> None:
    entries: dict[str, bytes] = {}
    state = INITIAL
    for control in (
        tick(1),
        adopted(policy(guard_rails__messages_max=3), 1),
        cost(1),
        tick(2),
        cost(2),
        cost(2, "2026-02"),
    ):
        after = adopt(state, control)
        changed = changed_entries(state, after)
        assert changed, "a new control changes an entry"
        entries |= changed
        state = after
    assert entries == to_entries(state)
    assert from_entries(dict(reversed(entries.items()))) == state
    assert changed_entries(state, adopt(state, tick(2))) == {}


def test_a_policy_this_version_does_not_understand_stops_it() -> None:
    control = logged.PolicyAdopted(adopted_at=day(1), policy_hash="x", policy={"shop": {"time_zone": "UTC"}})
    with pytest.raises(BadPolicy, match="lifecycle: expected, got nothing"):
        adopt(INITIAL, control)


def test_scopes_are_bounded_but_time_and_policy_always_pass() -> None:
    state = Controls(latest={f"ChannelCostRevised/{number}/2026-01": cost(1) for number in range(SCOPES_MAX)})
    assert adopt(state, cost(1, channel="one more")) is state
    assert "ModelFitted/shop" in adopt(state, logged.ModelFitted(fitted_at=day(1))).latest, "a kind has its own bound"
    models = Controls(latest={f"ModelFitted/{n}": logged.ModelFitted(fitted_at=day(1)) for n in range(SCOPES_MAX)})
    assert adopt(models, logged.ModelFitted(fitted_at=day(1), scope="one more")) is models
    assert adopt(state, tick(1)).tick_at == day(1).timestamp()
    assert adopt(state, adopted(policy(guard_rails__messages_max=3), 1)).policy.guard_rails.messages_max == 3


def test_what_channels_spent_is_found_by_month_as_it_is_found_by_scope() -> None:
    told = [("search", 100, "2026-02", 2), ("email", 40, "2026-01", 3), ("search", 70, "2026-02", 1)]
    state = INITIAL
    for channel, spent, month, on in told:
        state = adopt(state, revised(channel, spent, 1, on=on, month=month))
    assert {month: {name: each.spend_minor for name, each in of.items()} for month, of in state.spent.items()} == {
        "2026-02": {"search": 100}, "2026-01": {"email": 40},
    }  # fmt: skip
    assert [(each.channel, each.spend_minor) for each in spending(state)] == [("email", 40), ("search", 100)]
    assert from_entries(to_entries(state)).spent == state.spent

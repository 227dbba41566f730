"""What applies to every customer of a partition: the time, the policy, models and channel costs, as the log gave them.

A control not newer than the last of its kind and scope changes nothing, so that repetition and order of arrival of
different kinds do no harm.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Final

import msgspec
from msgspec.structs import replace

from pipeline.core import affinity as affinities
from pipeline.core.affinity import Affinity
from pipeline.core.days import instant
from pipeline.core.models import NO_MODELS, Models, under, with_model
from pipeline.core.policy import DEFAULT, Policy, from_logged, policy_hash
from pipeline.core.population import SCOPE as POPULATION
from pipeline.core.population import Population, population_of
from pipeline.core.predict import Model
from pipeline.core.tier_lines import Lines, lines_of
from pipeline.schemas import logged

SCOPES_MAX: Final = 64 * 36
"""Scopes kept of each kind of control (channels x months of channel costs): beyond it a new one is not taken up."""
_ALWAYS: Final = (logged.Tick, logged.PolicyAdopted)
"""Taken up however many scopes there are."""
_FIRST: Final = "FirstTick"


class Controls(msgspec.Struct, frozen=True, kw_only=True):
    """A partition's control state."""

    policy: Policy = DEFAULT
    policy_hash: str = policy_hash(DEFAULT)
    tick_at: int = 0
    """The last Tick, and the first; 0 before there was one: nothing that did not happen is proven yet."""
    first_tick_at: int = 0
    affinity: Affinity = affinities.NONE
    """What goes with what in the shop."""
    latest: Mapping[str, logged.Control] = {}
    """The last control of each kind and scope."""
    spent: Mapping[str, Mapping[str, logged.ChannelCostRevised]] = {}
    """What channels spent among them, by month and by channel."""
    models: Models = NO_MODELS
    """The models among them, decoded."""
    population: Population | None = None
    """Where the shop's customers lie; decoded from them too."""
    lines: tuple[Lines, ...] = ()
    """Where that and the policy have the tiers' lines run, for those in each; none before a population."""

    @property
    def model(self) -> Model | None:
        """The shop's model; None before the first fit."""
        return self.models.shop


INITIAL: Final = Controls()


def known_until(controls: Controls, as_of: int) -> int:
    """The latest instant that is known of whoever was last seen at `as_of`: a Tick says how late it is for all."""
    return max(controls.tick_at, as_of)


def fitted_at(controls: Controls, scope: str) -> datetime | None:
    """When what is in force of a scope was fitted."""
    control = controls.latest.get(f"ModelFitted/{scope}")
    return control.fitted_at if isinstance(control, logged.ModelFitted) else None


def spending(controls: Controls) -> list[logged.ChannelCostRevised]:
    """What channels spent, as last told: by channel, then by month."""
    told = (each for of_month in controls.spent.values() for each in of_month.values())
    return sorted(told, key=lambda each: (each.channel, each.cohort_month))


def is_latest(controls: Controls, control: logged.Control) -> bool:
    """Whether this is the control that was adopted last, of its kind and scope."""
    return controls.latest.get(scope_of(control)) == control


def scope_of(control: logged.Control) -> str:
    """Kind and scope: of these only the newest counts."""
    if isinstance(control, logged.ModelFitted):
        return f"ModelFitted/{control.scope}"
    if isinstance(control, logged.ChannelCostRevised):
        return f"ChannelCostRevised/{control.channel}/{control.cohort_month}"
    return type(control).__name__


def _age(control: logged.Control) -> tuple[datetime, int]:
    match control:
        case logged.Tick():
            return control.as_of, 0
        case logged.PolicyAdopted():
            return control.adopted_at, 0
        case logged.ModelFitted():
            return control.fitted_at, 0
        case logged.ChannelCostRevised():
            return control.revised_at, control.version


def _count(controls: Controls, kind: type) -> int:
    return sum(type(each) is kind for each in controls.latest.values())


def adopt(controls: Controls, control: logged.Control) -> Controls:
    """The control state after a control; the same object if it is nothing new."""
    scope = scope_of(control)
    before = controls.latest.get(scope)
    if before is not None and _age(control) <= _age(before):
        return controls
    if before is None and not isinstance(control, _ALWAYS) and _count(controls, type(control)) >= SCOPES_MAX:
        return controls
    latest = {**controls.latest, scope: control}
    if isinstance(control, logged.Tick):
        tick_at = int(control.as_of.timestamp())
        return replace(controls, latest=latest, tick_at=tick_at, first_tick_at=controls.first_tick_at or tick_at)
    if isinstance(control, logged.PolicyAdopted):
        # Checked when it was adopted; a version that no longer understands it must stop, not guess.
        policy = from_logged(control.policy)
        models = under(controls.models, policy.forecast)
        return replace(
            controls, latest=latest, policy=policy, policy_hash=control.policy_hash, models=models,
            lines=_lines(controls.population, policy),
        )  # fmt: skip
    if isinstance(control, logged.ModelFitted):
        return _with_fitted(replace(controls, latest=latest), control)
    month = control.cohort_month
    of_month = {**controls.spent.get(month, {}), control.channel: control}
    return replace(controls, latest=latest, spent={**controls.spent, month: of_month})


def _with_fitted(controls: Controls, control: logged.ModelFitted) -> Controls:
    """The controls with what was fitted decoded."""
    if control.scope == affinities.SCOPE:
        return replace(controls, affinity=affinities.from_parameters(control.parameters))
    if control.scope == POPULATION:
        population = population_of(controls.latest)
        return replace(controls, population=population, lines=_lines(population, controls.policy))
    models = with_model(controls.models, control, controls.latest, controls.policy.forecast)
    return replace(controls, models=models)


def _lines(population: Population | None, policy: Policy) -> tuple[Lines, ...]:
    return () if population is None else lines_of(population, policy.tiers)


def newest(controls: Controls, others: Controls) -> Controls:
    """Of two partitions' controls the newest of each kind and scope: they differ only in how far each has come."""
    for control in others.latest.values():
        controls = adopt(controls, control)
    return controls


def to_entries(controls: Controls) -> dict[str, bytes]:
    """The control state for a changelog: a value for each kind and scope."""
    entries = {scope: logged.encode(control) for scope, control in controls.latest.items()}
    if controls.first_tick_at:
        entries[_FIRST] = _first_tick(controls)
    return entries


def changed_entries(before: Controls, after: Controls) -> dict[str, bytes]:
    """What a changelog must be told when `before` has become `after`."""
    if before is after:
        return {}
    changed = {
        scope: logged.encode(control)
        for scope, control in after.latest.items()
        if before.latest.get(scope) is not control
    }
    if before.first_tick_at != after.first_tick_at:
        changed[_FIRST] = _first_tick(after)
    return changed


def _first_tick(controls: Controls) -> bytes:
    return logged.encode(logged.Tick(as_of=instant(controls.first_tick_at)))


def from_entries(entries: Mapping[str, bytes]) -> Controls:
    """The control state that a changelog holds."""
    controls = INITIAL
    first: logged.Control | None = None
    for scope, value in sorted(entries.items()):
        control = logged.decode(value)
        if scope == _FIRST:
            first = control
        else:
            controls = adopt(controls, control)
    if isinstance(first, logged.Tick):
        controls = replace(controls, first_tick_at=int(first.as_of.timestamp()))
    return controls

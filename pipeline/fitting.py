"""The shop's model, fitted to what its customers' states hold and put into the log: `ModelFitted` through the controls.

Reads every customer's state, a partition at a time; keeps their purchase days and the categories they buy of. A process
of its own: it needs numpy and scipy (the extra `analysis`), which workers do without.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from math import log1p
from typing import Any, Final

from rich.console import Console
from rich.table import Table

from pipeline import states, topics
from pipeline.adoption import append_controls, given_at
from pipeline.affinities import count
from pipeline.analysis.affinity import Tally
from pipeline.analysis.fit import Fitted, Refusal, Terms, fit_model
from pipeline.analysis.gather import Gathering
from pipeline.analysis.overdue import Limits
from pipeline.analysis.segments import segment_models
from pipeline.core import controls as core_controls
from pipeline.core.controls import Controls
from pipeline.core.days import date_of, day_of
from pipeline.core.models import SHOP
from pipeline.core.plausible import REVENUE_RATE_MAX
from pipeline.core.policy import ForecastRules, ValueRules
from pipeline.core.predict import Model, to_parameters
from pipeline.inquiry import need_topics
from pipeline.schemas import logged
from pipeline.settings import Settings
from pipeline.telling_value import money

WEEKS_A_YEAR: Final = 52.0
_DIGITS: Final = 9


@dataclass(frozen=True, slots=True)
class Report:
    """What a fit found, and what went into the log."""

    day: int
    """The day up to which buying counted: the last whole one."""
    customers: int
    fitted: Fitted | Refusal
    told: tuple[logged.ModelFitted, ...] = ()
    """The shop's model, then those of segments; none where the fit was refused."""
    is_dry: bool = False
    """Whether it was left out of the log."""

    @property
    def segments(self) -> tuple[logged.ModelFitted, ...]:
        """Those of channels and cohorts."""
        return self.told[1:]


@dataclass(frozen=True, slots=True)
class Everybody:
    """What one reading of every customer's state leaves: all that a fit and the table of what goes with what need."""

    gathered: Gathering
    tally: Tally
    controls: Controls
    """What applies to everybody: the newest of all partitions."""
    last_at: int
    """The latest instant anybody was seen at."""


def read_everybody(settings: Settings) -> Everybody:
    """Read the state of every customer once; a partition's is held at a time. Raises as reading Kafka does."""
    need_topics(settings, topics.CUSTOMER_STATE, topics.CONTROLS)
    gathered, tally, controls, last_at = Gathering(), Tally(), core_controls.INITIAL, 0
    for partition in states.partitions(settings):
        controls = core_controls.newest(controls, partition.controls)
        for _, profile in partition.customers():
            last_at = max(last_at, profile.as_of)
            gathered.add(profile, partition.controls.policy)
            count(tally, profile, partition.controls)
    return Everybody(gathered, tally, controls, last_at)


def fit_shop(settings: Settings, everybody: Everybody, *, dry_run: bool = False) -> Report:
    """Fit the shop's model to its customers as they stood, and put it into the log. Raises as appending does."""
    gathered, controls = everybody.gathered, everybody.controls
    policy = controls.policy
    day = day_of(core_controls.known_until(controls, everybody.last_at), policy.shop.time_zone) - 1
    purchases = gathered.purchases
    budget = policy.forecast.alarms_per_thousand_a_week * purchases.repeat_customers(day) / 1000.0
    terms = _terms(policy.forecast, policy.value, gathered)
    fitted = fit_model(purchases, day, controls.model, alarms_a_week=budget, terms=terms)
    if not isinstance(fitted, Fitted):
        return Report(day, gathered.count, fitted, is_dry=dry_run)
    fitted_at = given_at(controls.models.fitted_at)
    told = [_control(SHOP, fitted.model, fitted_at, dict(fitted.diagnostics))]
    for scope, (model, customers) in segment_models(fitted.model, purchases, day, gathered.scopes).items():
        told.append(_control(scope, model, fitted_at, {"customers": customers}))
    if not dry_run:
        append_controls(settings, told)
    return Report(day, gathered.count, fitted, tuple(told), dry_run)


def _terms(rules: ForecastRules, value: ValueRules, gathered: Gathering) -> Terms:
    if gathered.brought_minor > 0:
        rate = min(max(gathered.revenue_minor / gathered.brought_minor, 0.0), REVENUE_RATE_MAX)
    else:
        rate = 1000.0 / value.margin_permille if value.margin_permille > 0 else 1.0
    return Terms(
        value_weeks=rules.value_horizon_days / 7.0,
        discount=log1p(rules.discount_permille_a_year / 1000.0) / WEEKS_A_YEAR,
        return_days=rules.return_horizon_days,
        revenue_rate=rate,
        limits=Limits(rules.at_risk_min_days, rules.at_risk_max_days),
    )


def _control(scope: str, model: Model, fitted_at: datetime, diagnostics: dict[str, float]) -> logged.ModelFitted:
    numbers = {name: round(number, _DIGITS) for name, number in diagnostics.items()}
    return logged.ModelFitted(fitted_at=fitted_at, scope=scope, parameters=to_parameters(model), diagnostics=numbers)


def document(report: Report) -> dict[str, Any]:
    """The report for machines."""
    found: dict[str, Any] = {"customers": report.customers, "up_to": date_of(report.day)}
    if not isinstance(report.fitted, Fitted):
        return {**found, "refused": report.fitted, "remarks": [], "models": []}
    models = [
        {"scope": each.scope, "fitted_at": each.fitted_at.isoformat(), "parameters": each.parameters,
         "diagnostics": each.diagnostics}
        for each in report.told
    ]  # fmt: skip
    return {
        **found, "refused": None, "in_log": not report.is_dry, "remarks": list(report.fitted.remarks),
        "models": models,
    }  # fmt: skip


def print_report(report: Report, console: Console, currency: str) -> None:
    """The report for eyes."""
    console.print(f"{report.customers:,} buyers, up to {date_of(report.day)}.", highlight=False)
    if not isinstance(report.fitted, Fitted):
        console.print(f"No model: {report.fitted}.", highlight=False)
        return
    table = Table("what was learned", "", title="The shop's model")
    table.columns[1].justify = "right"
    for words, told in _learned(report.fitted, currency):
        table.add_row(words, told)
    console.print(table)
    for remark in report.fitted.remarks:
        console.print(f"- {remark}", highlight=False, soft_wrap=True)
    if report.segments:
        names = ", ".join(each.scope for each in report.segments)
        console.print(f"Models of their own: {names}.", highlight=False, soft_wrap=True)
    ending = "Not put into the log." if report.is_dry else "Each customer takes it up at their next event or review."
    console.print(ending, highlight=False)


def _learned(fitted: Fitted, currency: str) -> list[tuple[str, str]]:
    """In words that a marketer could follow."""
    model, seen = fitted.model, fitted.diagnostics
    timing = model.timing
    rows = [
        ("bought on two days or more", f"{seen['repeat_customers']:,.0f}"),
        ("orders a year of somebody who stays, on average", f"{timing.r / timing.alpha * WEEKS_A_YEAR:.2f}"),
        ("chance to leave for good after a purchase, on average", f"{timing.a / (timing.a + timing.b):.0%}"),
        ("margin of a purchase day, on average", money(round(model.spend.mean_minor), currency)),
        ("who bought once is overdue after", f"{model.second_order_weeks:.1f} weeks"),
        ("overdue: of a customer's own gaps, so many count as rare", f"{model.level:.2%}"),
        ("orders lately, against what the model alone expects", f"{model.season.level:.2f}"),
        ("how buying was learned up to", date_of(model.fitted_on)),
    ]
    if "alarms_a_week" in seen:
        rows.append(("so called at risk a week, of who bought twice or more", f"{seen['alarms_a_week']:.1f}"))
    if "orders_90_days_low" in seen:
        told = f"{seen['orders_90_days_low']:.0f} to {seen['orders_90_days_high']:.0f}"
        rows.append(("orders of these customers within 90 days, four times in five", told))
    if "held_out_gain" in seen:
        rows.append(
            (
                "last four weeks foretold better than by the model before (log-likelihood)",
                f"{seen['held_out_gain']:+.1f}",
            )
        )
    if "log_loss_calibrated" in seen:
        told = f"{seen['log_loss_calibrated']:.4f} ({seen['log_loss_raw']:.4f} without)"
        rows.append(("log-loss of the chance of return, corrected by what came", told))
    if "spend_dependence" in seen:
        rows.append(
            ("correlation of margin and frequency (0: as the model has it)", f"{seen['spend_dependence']:+.2f}")
        )
    return rows

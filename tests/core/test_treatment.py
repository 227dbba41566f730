"""How much is done for whom."""

from __future__ import annotations

import pytest

from pipeline.core.profile import Stage, Tier
from pipeline.core.treatment import BUYER, PROSPECT, Treatment, treatment


def test_there_is_a_treatment_for_every_stage_and_tier() -> None:
    assert set(BUYER) == {(stage, tier) for stage in Stage for tier in Tier}
    assert set(PROSPECT) == set(Stage)


def test_a_prospect_we_only_just_met_is_enticed_and_not_followed_up() -> None:
    assert treatment(Stage.EXPLORATORY, Tier.UNKNOWN, has_bought=False) is Treatment.BASIC


@pytest.mark.parametrize("stage", Stage)
@pytest.mark.parametrize("tier", Tier)
def test_who_has_bought_is_at_least_reactive_and_who_costs_more_than_they_bring_at_most(
    stage: Stage, tier: Tier
) -> None:
    level = treatment(stage, tier, has_bought=True)
    assert level >= Treatment.REACTIVE
    if tier is Tier.BZ:
        assert level is Treatment.REACTIVE


@pytest.mark.parametrize(
    ("stage", "usual", "best"),
    [
        (Stage.EXPLORATORY, Treatment.REACTIVE, Treatment.ACCOUNTABLE),
        (Stage.BASIC, Treatment.REACTIVE, Treatment.ACCOUNTABLE),
        (Stage.COLLABORATIVE, Treatment.ACCOUNTABLE, Treatment.PROACTIVE),
        (Stage.BONDED, Treatment.PROACTIVE, Treatment.PROACTIVE),
    ],
)
def test_the_most_valuable_and_the_most_growable_are_treated_one_level_up(
    stage: Stage, usual: Treatment, best: Treatment
) -> None:
    of = {tier: treatment(stage, tier, has_bought=True) for tier in Tier}
    assert of[Tier.REST] is of[Tier.UNKNOWN] is usual
    assert of[Tier.MVC] is of[Tier.MGC] is best

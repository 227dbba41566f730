"""The models in force: the shop's, and those of channels and cohorts from the same fit. Decoded once, when adopted."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Final

import msgspec
from msgspec.structs import replace

from pipeline.core.marks import short_mark
from pipeline.core.policy import ForecastRules
from pipeline.core.predict import Model, from_parameters
from pipeline.core.rhythm import LONGEST_COUNTS
from pipeline.schemas import logged

SHOP: Final = "shop"
_MARK_BITS: Final = 0xFFFF


class Models(msgspec.Struct, frozen=True):
    """What the last fit found."""

    shop: Model | None = None
    segments: Mapping[str, Model] = {}
    """By scope: `channel/email`, `cohort/2026-01`. Only those of the shop's own fit: what is older is withdrawn."""
    fitted_at: datetime | None = None
    mark: int = 0
    """The shop's model, the policy's rules of forecasts and how much they count in a deadline, in short."""

    def of(self, scope: str) -> Model:
        """The model of a scope that has one."""
        if scope == SHOP:
            assert self.shop is not None
            return self.shop
        return self.segments[scope]


NO_MODELS: Final = Models()


class BadModel(Exception):
    """Parameters that are no model, or one of no shop; the message says which."""


def model_of(fitted: logged.ModelFitted) -> Model:
    """The model in a control. Raises BadModel."""
    try:
        return from_parameters(fitted.parameters)
    except KeyError as error:
        raise BadModel(f"ModelFitted {fitted.scope}: parameters: expected {error.args[0]}, got none") from error
    except (ValueError, OverflowError) as error:
        raise BadModel(f"ModelFitted {fitted.scope}: parameters: {error}") from error


def with_model(
    models: Models, fitted: logged.ModelFitted, latest: Mapping[str, logged.Control], rules: ForecastRules
) -> Models:
    """The models in force after a fit is adopted; `latest`: the last control of each scope, this one among them.

    Parameters that cannot be read are no model: what they say is not guessed at.
    """
    if fitted.scope == SHOP:
        shop = _read(fitted)
        if shop is None:
            return NO_MODELS
        same = [each for each in latest.values() if isinstance(each, logged.ModelFitted) and each is not fitted]
        read = {each.scope: _read(each) for each in same if each.fitted_at == fitted.fitted_at}
        segments = {scope: model for scope, model in sorted(read.items()) if model is not None}
        return under(Models(shop, segments, fitted.fitted_at), rules)
    model = _read(fitted) if models.fitted_at == fitted.fitted_at else None
    if model is None and fitted.scope not in models.segments:
        return models
    others = {scope: each for scope, each in models.segments.items() if scope != fitted.scope}
    if model is not None:
        others[fitted.scope] = model
    return replace(models, segments=dict(sorted(others.items())))


def under(models: Models, rules: ForecastRules) -> Models:
    """The same models under these rules of the policy."""
    if models.fitted_at is None:
        return models
    return replace(models, mark=short_mark(f"{models.fitted_at.timestamp()} {rules} {LONGEST_COUNTS}") & _MARK_BITS)


def _read(control: logged.ModelFitted) -> Model | None:
    try:
        return model_of(control)
    except BadModel:
        return None

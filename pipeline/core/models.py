"""The models in force: the shop's, and those of channels and cohorts from the same fit. Decoded once, when adopted."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

import msgspec

from pipeline.core.marks import short_mark
from pipeline.core.policy import ForecastRules
from pipeline.core.predict import Model, from_parameters
from pipeline.schemas import logged

SHOP: Final = "shop"
PREFIX: Final = "ModelFitted/"
_MARK_BITS: Final = 0xFFFF


class Models(msgspec.Struct, frozen=True):
    """What the last fit found."""

    shop: Model | None = None
    segments: Mapping[str, Model] = {}
    """By scope: `channel/email`, `cohort/2026-01`. Only those of the shop's own fit: what is older is withdrawn."""
    fitted_at: int = 0
    mark: int = 0
    """The shop's model and the policy's rules of forecasts, in short."""

    def of(self, scope: str) -> Model:
        """The model of a scope that has one."""
        if scope == SHOP:
            assert self.shop is not None
            return self.shop
        return self.segments[scope]


NO_MODELS: Final = Models()


class BadModel(Exception):
    """Parameters that are no model; the message says which."""


def model_of(fitted: logged.ModelFitted) -> Model:
    """The model in a control. Raises BadModel."""
    try:
        return from_parameters(fitted.parameters)
    except KeyError as error:
        raise BadModel(f"ModelFitted {fitted.scope}: parameters: expected {error.args[0]}, got none") from error
    except (ValueError, OverflowError) as error:
        raise BadModel(f"ModelFitted {fitted.scope}: parameters: {error}") from error


def models_of(latest: Mapping[str, logged.Control], rules: ForecastRules) -> Models:
    """The models among the last controls. One that cannot be read is none: what it says is not guessed at."""
    shop = latest.get(PREFIX + SHOP)
    if not isinstance(shop, logged.ModelFitted):
        return NO_MODELS
    mark = short_mark(f"{shop.fitted_at.timestamp()} {rules}") & _MARK_BITS
    found = _read(shop)
    if found is None:
        return NO_MODELS
    segments = {}
    for name, control in sorted(latest.items()):
        if isinstance(control, logged.ModelFitted) and control is not shop and control.fitted_at == shop.fitted_at:
            model = _read(control)
            if model is not None:
                segments[name.removeprefix(PREFIX)] = model
    return Models(found, segments, int(shop.fitted_at.timestamp()), mark)


def _read(control: logged.ModelFitted) -> Model | None:
    try:
        return model_of(control)
    except BadModel:
        return None

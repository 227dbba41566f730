"""All that is learned from every customer at once: what to expect, where they lie by it, and what goes with what."""

from __future__ import annotations

from dataclasses import dataclass

from pipeline.adoption import append_controls
from pipeline.affinities import table_of
from pipeline.fitting import Report, fit_shop, read_everybody
from pipeline.measuring import NothingToMeasure, measure_population
from pipeline.schemas import logged
from pipeline.settings import Settings


@dataclass(frozen=True, slots=True)
class Learned:
    """What was found, whether or not it went into the log."""

    report: Report
    population: logged.ModelFitted | NothingToMeasure
    affinity: logged.ModelFitted


def learn(settings: Settings, *, dry_run: bool = False) -> Learned:
    """Fit, measure by what was fitted (or by what is in force, where the fit was refused), and put it into the log.

    Reads the state of every customer twice, a partition at a time: for the fit and what goes with what; then for where
    they lie by what was fitted; docs/prediction.md says what is held besides. Raises as reading Kafka and appending do.
    """
    everybody = read_everybody(settings)
    report = fit_shop(settings, everybody, dry_run=dry_run)
    affinity = table_of(everybody.tally, everybody.controls)
    del everybody  # the second reading has arrays of its own
    population: logged.ModelFitted | NothingToMeasure
    try:
        population = measure_population(settings, report.told)
    except NothingToMeasure as error:
        population = error
    if not dry_run:
        append_controls(settings, [each for each in (population, affinity) if isinstance(each, logged.ModelFitted)])
    return Learned(report, population, affinity)

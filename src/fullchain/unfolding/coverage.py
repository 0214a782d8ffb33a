"""Pulls of a method over independent pseudo-experiments of the Gaussian case."""

import json
from pathlib import Path
from typing import Annotated, Any

from pydantic import TypeAdapter

from fullchain.atomic import write_text
from fullchain.errors import InputError
from fullchain.seeds import derive, stream
from fullchain.step import Given, Option, Output
from fullchain.unfolding import coverage_fits, gaussian, pulls
from fullchain.unfolding.binning import METRIC, edges_of
from fullchain.unfolding.coverage_fits import QUANTITIES
from fullchain.unfolding.evaluation_settings import CoverageSettings
from fullchain.unfolding.ibu_settings import IbuSettings
from fullchain.unfolding.moments import moments
from fullchain.unfolding.observable_settings import ObservableSettings
from fullchain.unfolding.sample import Array, Problem
from fullchain.unfolding.toy_settings import OBSERVABLE, DetectorToySettings


def main(
    *,
    method: Annotated[str, Option("name in unfolding.methods")],
    coverage: Annotated[Path, Output("pulls of mean and width, JSON")],
    settings: Given,
) -> None:
    """Draw pseudo-experiments, unfold, write the pulls.

    Raises
    ------
    InputError
        The method is of no kind that is known, or does not fit the Gaussian case.
    """
    how = settings.model("unfolding.coverage", CoverageSettings).for_method(method)
    x = settings.model(f"unfolding.observables.{OBSERVABLE}", ObservableSettings)
    edges = edges_of(x, METRIC)
    problems = [experiment(how, settings.seed, number) for number in range(how.experiments)]
    unfold = _method(method, how, edges, settings)
    found = coverage_fits.estimates(unfold, problems, edges, how.bootstrapped)
    content = {
        "method": method,
        "method_kind": settings[f"unfolding.methods.{method}.kind"],
        "settings": how.model_dump(mode="json", exclude={"methods", "of_method"}),
        "quantities": {
            name: pulls.summary(
                found.values[:, column],
                _true(how, edges, name),
                found.uncertainties[:, column],
                float(found.freedom[column]),
            )
            for column, name in enumerate(QUANTITIES)
        },
    }
    write_text(coverage, json.dumps(content, indent=1, allow_nan=False) + "\n")


def experiment(how: CoverageSettings, seed: int, number: int) -> Problem:
    """Draw one pseudo-experiment: its own simulation, data and simulated background."""
    chance = stream(seed, "unfolding", "coverage", number)
    simulated, measured = how.simulation, how.data
    simulation = gaussian.signal(
        chance,
        simulated.events,
        gaussian.Normal(simulated.mean, simulated.width),
        _detector(simulated.detector),
    )
    under, below, unwanted, fraction = measured.background, None, None, 0.0
    if under is not None:
        shape, fraction = gaussian.Normal(under.mean, under.width), under.fraction
        below = gaussian.Background(shape, fraction)
        unwanted = gaussian.background(chance, how.background_events, shape)
    data = gaussian.data(
        chance,
        measured.events,
        gaussian.Normal(measured.mean, measured.width),
        _detector(measured.detector),
        below,
    )
    return gaussian.problem(simulation, data, unwanted, fraction)


def _method(
    name: str, how: CoverageSettings, edges: Array, settings: Given
) -> coverage_fits.Unfold:
    where = f"unfolding.methods.{name}"
    kind = settings[f"{where}.kind"]
    seed = derive(settings.seed, "unfolding", "coverage", "replicas")
    if kind == "ibu":
        return coverage_fits.binned_iterative(
            settings.model(where, IbuSettings), edges, how.replicas, seed
        )
    if kind == "omnifold":
        # Only here, for it needs torch.
        from fullchain.unfolding.coverage_omnifold import reweighted
        from fullchain.unfolding.omnifold_settings import OmnifoldSettings

        return reweighted(settings.model(where, OmnifoldSettings), edges, how.replicas, seed)
    if kind in ("cinn", "flow_matching"):
        from fullchain.unfolding.coverage_generative import generated
        from fullchain.unfolding.generative_settings import Generative

        chosen: Generative = TypeAdapter(Generative).validate_python(settings[where])
        observable = settings.model(f"unfolding.observables.{OBSERVABLE}", ObservableSettings)
        return generated(chosen, observable, edges, how.replicas, seed)
    raise InputError(
        f"unfolding.coverage.methods: {name} is of the kind {kind}, for which pulls are not made; "
        "take one of the kind ibu, omnifold, cinn or flow_matching"
    )


def _true(how: CoverageSettings, edges: Array, name: str) -> float:
    """Mean or width of the truth, in the same bins as the estimates."""
    shape = gaussian.Normal(how.data.mean, how.data.width)
    found: Any = moments(gaussian.expected_counts(edges, shape, 1.0), edges)
    return float(getattr(found, name))


def _detector(chosen: DetectorToySettings) -> gaussian.Detector:
    return gaussian.Detector(chosen.smearing, chosen.inefficiency, chosen.fakes)

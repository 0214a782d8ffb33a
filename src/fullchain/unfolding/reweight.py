"""Unfold a measurement by OmniFold: weights for the particle-level events of the simulation."""

import json
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

import numpy as np

from fullchain.atomic import write_text
from fullchain.errors import InputError
from fullchain.learning import device
from fullchain.progress import progress
from fullchain.seeds import derive
from fullchain.step import Given, Input, Option, Output
from fullchain.unfolding import diagnostics, particle_inputs, problem, unfolded_file
from fullchain.unfolding.binning import counted
from fullchain.unfolding.counting import effective_sample_size
from fullchain.unfolding.fits import Fit, fits_of, with_nominal
from fullchain.unfolding.measurement_settings import MeasurementSettings
from fullchain.unfolding.members import members_of
from fullchain.unfolding.observable_settings import ObservableSettings
from fullchain.unfolding.omnifold import Outcome, mean_history, unfold
from fullchain.unfolding.omnifold_settings import OmnifoldSettings
from fullchain.unfolding.particle_inputs import Cut
from fullchain.unfolding.sample import Array, Problem
from fullchain.unfolding.unfolded import ENSEMBLE, OF_OBSERVABLE, Unfolded


def main(
    *,
    simulation: Annotated[list[Path], Input("tables of simulated events, Parquet")],
    data: Annotated[list[Path], Input("tables of measured events, Parquet")],
    background: Annotated[list[Path], Input("tables of background events, Parquet")] = [],  # noqa: B006
    measurement: Annotated[str, Option("name in unfolding.measurements")],
    method: Annotated[str, Option("name in unfolding.methods, of the kind omnifold")],
    alternative: Annotated[
        str, Option("name of the other simulation, whose nominal result alone is made")
    ] = "",
    unfolded: Annotated[Path, Output("particle-level events with weights, Parquet")],
    history: Annotated[Path, Output("diagnostics of iterations and trainings, JSON")],
    settings: Given,
) -> None:
    """Read tables, unfold once for each fit, write weighted events and diagnostics.

    Raises
    ------
    InputError
        Tables or weights are unusable, or a class of a classification is empty.
    """
    chosen = settings.model(f"unfolding.methods.{method}", OmnifoldSettings)
    posed = problem.pose(
        simulation,
        data,
        background,
        settings.model(f"unfolding.measurements.{measurement}", MeasurementSettings),
        settings.seed,
        particles=chosen.inputs == "particles",
        alternative=alternative or None,
    )
    cuts = _cuts(posed, chosen)
    for what, cut in cuts.items():
        if cut.jets:
            print(f"{measurement}, {method}: {what}, {_said(cut, chosen)}", file=sys.stderr)
    fits = fits_of(
        posed,
        settings.seed,
        measurement,
        ensemble=chosen.ensemble,
        data_replicas=0 if alternative else chosen.data_replicas,
        simulation_replicas=0 if alternative else chosen.simulation_replicas,
        shifts=not alternative,
    )
    support = diagnostics.outside_support(posed)
    if warning := support.warning():
        print(f"{measurement}, {method}: {warning}", file=sys.stderr)
    # Not the name of the alternative: what differs is then due to the simulation.
    seed = derive(settings.seed, "unfolding", measurement, method)
    total = len(members_of(fits, posed, chosen)) * chosen.iterations
    try:
        with (
            device.repeatable(chosen.threads),
            device.keeping_memory(),
            progress(f"{method} of {measurement}", total, "network iterations") as advance,
        ):
            outcome = unfold(posed, fits, chosen, seed, advance)
    except InputError as found:
        raise InputError(f"measurement {measurement}, method {method}: {found}") from None
    content = _history(posed, outcome, fits, chosen, support)
    if cuts:
        content["particles_left_out"] = {what: cut.as_dict() for what, cut in cuts.items()}
    observables = {
        name: ObservableSettings.model_validate(settings["unfolding.observables"][name])
        for name in posed.simulation.names
    }
    for number, entry in enumerate(content["iterations"]):
        entry["spectra"] = _spectra(posed, outcome, observables, number)
    units = {name: one.unit for name, one in observables.items()}
    about = {
        "measurement": measurement,
        "method": method,
        "kind": chosen.kind,
        "inputs": chosen.inputs,
        "alternative": alternative,
        "units": units,
        "iterations": len(content["iterations"]),
        "outside_support": support.beyond.value,
    }
    unfolded_file.write(unfolded, _unfolded(posed, outcome, chosen, about))
    write_text(history, json.dumps(content, indent=1, allow_nan=False) + "\n")


def _cuts(posed: Problem, settings: OmnifoldSettings) -> dict[str, Cut]:
    """What the largest number of particles leaves out of each sample; empty for observables."""
    if settings.inputs != "particles":
        return {}
    simulation, background = posed.simulation, posed.background
    samples = {
        "data": posed.data.particles,
        "background": None if background is None else background.particles,
        "simulation, particle level": simulation.gen.particles,
        "simulation, detector level": simulation.reco.particles,
    }
    return {
        what: particle_inputs.cut(particles, settings.particle_inputs.largest)
        for what, particles in samples.items()
        if particles is not None
    }


def _said(cut: Cut, settings: OmnifoldSettings) -> str:
    return (
        f"{100 * cut.jets:.3g} % of the jets have more than particle_inputs.largest "
        f"({settings.particle_inputs.largest}; the most {cut.most}): {100 * cut.particles:.3g} % "
        f"of all particles, {100 * cut.momentum:.3g} % of the sum of pT, are left out"
    )


def _unfolded(
    posed: Problem, outcome: Outcome, settings: OmnifoldSettings, about: dict[str, Any]
) -> Unfolded:
    events = posed.simulation
    passed = events.gen.passed
    prior: Array = events.weight[passed]
    return Unfolded(
        events.names,
        events.gen.values[passed],
        events.ids[passed],
        prior,
        with_nominal(outcome.weights, events.names if settings.inputs == "unifold" else ()),
        about,
    )


def _spectra(
    posed: Problem, outcome: Outcome, observables: Mapping[str, ObservableSettings], number: int
) -> dict[str, list[float]]:
    """Counts after an iteration, as mean of the ensemble, in the bins of the comparison."""
    gen = posed.simulation.gen
    values = gen.values[gen.passed]
    found = {}
    for column, (name, one) in enumerate(observables.items()):
        own = [
            weights[number]
            for fit, weights in outcome.by_iteration.items()
            if OF_OBSERVABLE not in fit or fit.endswith(f"{OF_OBSERVABLE}{name}")
        ]
        found[name] = counted(values[:, column], np.mean(own, axis=0), one)
    return found


def _history(
    posed: Problem,
    outcome: Outcome,
    fits: list[Fit],
    settings: OmnifoldSettings,
    support: diagnostics.Support,
) -> dict[str, Any]:
    ensemble = [name for name in outcome.history if name.startswith(f"{ENSEMBLE}_")]
    passed = posed.simulation.gen.passed
    return {
        "iterations": mean_history(outcome.history, ensemble),
        **support.record(),
        "stopped": outcome.stopped,
        "members": outcome.history,
        "ensemble": len(ensemble),
        "fits": [fit.name for fit in fits],
        "events": {
            "data": len(posed.data),
            "background": 0 if posed.background is None else len(posed.background),
            "simulation": len(posed.simulation),
            "particle_level": int(passed.sum()),
            "inefficient": int((passed & ~posed.simulation.reco.passed).sum()),
            "fake": int((posed.simulation.reco.passed & ~passed).sum()),
        },
        "prior_effective_sample_size": float(
            effective_sample_size(posed.simulation.weight[passed])
        ),
        "sum_of_weights": {name: float(np.sum(weight)) for name, weight in outcome.weights.items()},
        "inputs": settings.inputs,
    }

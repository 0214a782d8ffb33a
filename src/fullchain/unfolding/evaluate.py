"""Measure one method of one measurement: against truth and prior, and back at the detector."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any

import numpy as np

from fullchain.atomic import write_text
from fullchain.saved_numbers import read_numbers
from fullchain.step import Given, Input, Option, Output
from fullchain.unfolding import (
    diagnosis,
    event_table,
    prior_dependence,
    problem,
    spectrum_file,
    unfolded_file,
)
from fullchain.unfolding.binning import BINNINGS, METRIC
from fullchain.unfolding.covariances import NETWORK
from fullchain.unfolding.evaluation import Evaluation
from fullchain.unfolding.evaluation_settings import EvaluationSettings
from fullchain.unfolding.measurement_settings import MeasurementSettings
from fullchain.unfolding.observable_settings import ObservableSettings
from fullchain.unfolding.spectrum_file import STAGE
from fullchain.unfolding.unfolded import MODEL


def main(
    *,
    spectra: Annotated[Path, Input("spectra.json of the method")],
    unfolded: Annotated[
        list[Path], Input("unfolded.parquet of the method; none for one of bins")
    ] = [],  # noqa: B006 - the command line makes a new list of it
    history: Annotated[
        list[Path], Input("history.json of the method; none for one without training")
    ] = [],  # noqa: B006
    simulation: Annotated[list[Path], Input("tables of simulated events")],
    data: Annotated[list[Path], Input("tables of (pseudo-)data")],
    background: Annotated[list[Path], Input("tables of the background; none without")] = [],  # noqa: B006
    measurement: Annotated[str, Option("name in unfolding.measurements")],
    method: Annotated[str, Option("name in unfolding.methods")],
    performance: Annotated[Path, Output("numbers and spectra, JSON")],
    settings: Given,
) -> None:
    """Read result and tables, compare, write the numbers."""
    chosen = settings.model(f"unfolding.measurements.{measurement}", MeasurementSettings)
    how = settings.model("unfolding.evaluation", EvaluationSettings)
    observables = {
        name: ObservableSettings.model_validate(settings[f"unfolding.observables.{name}"])
        for name in chosen.observables
    }
    found, about = spectrum_file.read(spectra)
    events = unfolded_file.read(unfolded[0]) if unfolded else None
    posed = problem.pose(simulation, data, background, chosen, settings.seed)
    pseudo = problem.part(problem.read(data, chosen), chosen.data, settings.seed)
    evaluation = Evaluation(
        posed, pseudo, _known(data, chosen), events, settings.seed, measurement, how.replicas
    )
    replicas = spectrum_file.read_replicas(spectra)
    report = read_numbers(history[0], STAGE) if history else {}

    def measured(name: str) -> dict[str, Any]:
        one: dict[str, Any] = {"label": observables[name].label, "unit": observables[name].unit}
        for binning in BINNINGS:
            spectrum = found[binning][name]
            own = replicas.get(binning, {}).get(name, {})
            one[binning] = evaluation.compared(spectrum, binning, own)
            one[binning]["prior_dependence"] = [
                *diagnosis.on_prior(about, binning, name),
                *_on_other_priors(one[binning], prior_dependence.other_priors(chosen)),
            ]
            if binning == METRIC:
                counts = diagnosis.counts_by_iteration(about, report, binning, name)
                one["iterations"] = {
                    "diagnostics": diagnosis.iterations(about, report, binning, name),
                    "triangular": evaluation.by_iteration(spectrum, own, counts),
                }
        return one

    content = {
        "measurement": measurement,
        "method": method,
        "kind": chosen.kind,
        "method_kind": settings[f"unfolding.methods.{method}.kind"],
        "inputs": settings[f"unfolding.methods.{method}"].get("inputs"),
        "simulation": list(chosen.simulation.samples),
        "data": list(chosen.data.samples),
        "stress": None if chosen.data.stress is None else chosen.data.stress.model_dump(),
        "sizes": evaluation.sizes(),
        "observables": {name: measured(name) for name in chosen.observables},
        "diagnosis": diagnosis.diagnosed(about, report, METRIC),
    }
    write_text(performance, json.dumps(content, indent=1, allow_nan=False) + "\n")


def _on_other_priors(one: Mapping[str, Any], names: Sequence[str]) -> list[dict[str, Any]]:
    """Dependence of a compared spectrum on the prior, by alternatives that differ by it."""
    deviation = np.array(one["deviation"])
    network = np.array(one["sources"].get(NETWORK, np.zeros(len(deviation))))
    return [
        prior_dependence.of_alternative(
            name, np.array(one["shifts"][f"{MODEL}_{name}"]), deviation, network
        )
        for name in names
    ]


def _known(data: Sequence[Path], chosen: MeasurementSettings) -> Mapping[str, Any]:
    """Truth by formula of the data, where they are a toy that is used as it is."""
    plain = chosen.data.half == "all" and chosen.data.stress is None and len(data) == 1
    known: Mapping[str, Any] = event_table.about(data[0]).get("known", {}) if plain else {}
    return known

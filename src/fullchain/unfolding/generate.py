"""Generative unfolding of a measurement: cINN or flow matching, with all its uncertainties."""

import json
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import numpy.typing as npt
import torch
from pydantic import TypeAdapter

from fullchain.atomic import write_text
from fullchain.dag.closure import code
from fullchain.errors import InputError
from fullchain.learning import checkpoint, device
from fullchain.learning.training import Resumption
from fullchain.seeds import derive
from fullchain.step import Given, Input, Option, Output
from fullchain.unfolding import (
    diagnostics,
    generative_samples,
    generative_unfolding,
    unfolded_file,
)
from fullchain.unfolding.binning import counted
from fullchain.unfolding.generative_settings import Generative
from fullchain.unfolding.generative_unfolding import Fitted
from fullchain.unfolding.measurement_settings import MeasurementSettings
from fullchain.unfolding.observable_settings import ObservableSettings
from fullchain.unfolding.problem import pose
from fullchain.unfolding.unfolded import Unfolded

Array = npt.NDArray[np.float64]


def main(
    *,
    simulation: Annotated[list[Path], Input("tables of simulated events")],
    data: Annotated[list[Path], Input("tables of measured events")],
    background: Annotated[list[Path], Input("tables of simulated background, if any")] = [],  # noqa: B006
    measurement: Annotated[str, Option("name in unfolding.measurements")],
    method: Annotated[str, Option("name in unfolding.methods")],
    alternative: Annotated[str, Option("name of another simulation, whose files are given")] = "",
    unfolded: Annotated[Path, Output("unfolded sample, Parquet")],
    history: Annotated[Path, Output("losses, iterations and diagnostics, JSON")],
    settings: Given,
) -> None:
    """Read tables, fit, draw, write the unfolded sample.

    Raises
    ------
    InputError
        The method is none of these, tables are unusable, or too few events pass both levels.
    """
    chosen = settings.model(f"unfolding.measurements.{measurement}", MeasurementSettings)
    how: Generative = TypeAdapter(Generative).validate_python(
        settings[f"unfolding.methods.{method}"]
    )
    observables = {
        name: ObservableSettings.model_validate(value)
        for name, value in settings["unfolding.observables"].items()
    }
    # Trained under an alternative, networks start as those of the nominal simulation.
    seed = derive(settings.seed, "unfolding", measurement, method)
    states: list[Path] = []

    def resume(name: str, arrays: Mapping[str, Array]) -> Resumption:
        # Alternatives of a method are in one folder, and may be made at the same time.
        path = unfolded.with_name(f"checkpoint_{unfolded.stem}_{name.replace(' ', '_')}.pt")
        identity = {
            "code": code("unfolding.generate"),
            "training": name,
            "measurement": measurement,
            "method": method,
            "alternative": alternative,
        }
        place = device.choose(how.training.device).type
        tensors = {key: torch.from_numpy(np.ascontiguousarray(arrays[key])) for key in arrays}
        states.append(path)
        return Resumption(
            path, checkpoint.of_training(identity, settings.values, place, {"pairs": tensors})
        )

    try:
        problem = pose(
            simulation,
            data,
            background,
            chosen,
            settings.seed,
            alternative=alternative or None,
        )
        support = diagnostics.outside_support(problem)
        if warning := support.warning():
            print(f"{measurement}, {method}: {warning}", file=sys.stderr)
        fitted = generative_unfolding.fitted(
            problem,
            observables,
            how,
            seed=seed,
            measurement=measurement,
            replica_seed=settings.seed,
            only_nominal=bool(alternative),
            resume=resume,
        )
        if fitted.kept.learned is False:
            print(
                f"{measurement}, {method}: the background has too few events to learn its shape; "
                "each event of the data loses the same part. Simulate more",
                file=sys.stderr,
            )
        replicas = 0 if alternative else how.data_replicas
        sample, tests = generative_samples.unfolded(fitted, measurement, settings.seed, replicas)
    except InputError as problem_found:
        raise InputError(f"{measurement}, {method}: {problem_found}") from None
    about = {
        "method": method,
        "kind": how.kind,
        "measurement": measurement,
        "alternative": alternative,
        "units": {name: observables[name].unit for name in sample.names},
        "data_events": len(problem.data),
        "simulated_events": len(problem.simulation),
        "iterations": len(fitted.iterations),
        "outside_support": support.beyond.value,
    }
    unfolded_file.write(
        unfolded,
        Unfolded(sample.names, sample.values, sample.ids, sample.prior, sample.weights, about),
    )
    content: dict[str, Any] = {
        **about,
        "iterations": [
            {**record, "spectra": _spectra(fitted, observables, log_weight)}
            for record, log_weight in zip(fitted.iterations, fitted.priors, strict=True)
        ],
        "stopped": fitted.stopped,
        "members": len(fitted.owners),
        "parameters": sum(weights.numel() for weights in fitted.posterior.parameters()),
        "losses": fitted.losses,
        "acceptance": {
            "efficiency_learned": fitted.accepted.efficiency.learned.tolist(),
            "fakes_learned": fitted.accepted.genuine.learned.tolist(),
            "background_learned": fitted.kept.learned,
        },
        **support.record(),
        **tests,
    }
    write_text(history, json.dumps(content, indent=1, allow_nan=False) + "\n")
    for path in states:
        path.unlink(missing_ok=True)


def _spectra(
    fitted: Fitted, observables: Mapping[str, ObservableSettings], log_weight: Array
) -> dict[str, list[float]]:
    """Particle level that an iteration found, the next prior, in the bins of the comparison."""
    simulation = fitted.problem.simulation
    gen = simulation.gen
    weight = simulation.weight[gen.passed] * np.exp(log_weight).mean(axis=1)
    return {
        name: counted(gen.values[gen.passed, column], weight, observables[name])
        for column, name in enumerate(simulation.names)
    }

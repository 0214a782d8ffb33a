"""Unfold each observable by itself, iteratively in bins (IBU), and sets of observables together.

The spectra of all observables of a measurement, in the bins in which methods are compared and in
those that are published. See `ibu` for the method and `binned_diagnostics` for what is reported.
"""

import sys
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Any

from fullchain.errors import InputError
from fullchain.step import Given, Input, Option, Output
from fullchain.unfolding import binned_unfolding, problem, spectrum_file
from fullchain.unfolding.binned_problem import BinnedProblem, Factors
from fullchain.unfolding.binned_unfolding import Result
from fullchain.unfolding.binning import BINNINGS, PUBLISHED, edges_of
from fullchain.unfolding.ibu_settings import IbuSettings
from fullchain.unfolding.measurement_settings import MeasurementSettings
from fullchain.unfolding.observable_settings import ObservableSettings
from fullchain.unfolding.sample import Problem
from fullchain.unfolding.unfolded import MODEL, Spectrum


def main(
    *,
    simulation: Annotated[list[Path], Input("tables of simulated events")],
    data: Annotated[list[Path], Input("tables of the data")],
    background: Annotated[list[Path], Input("tables of the background, where there is one")] = [],  # noqa: B006 - the command line makes a new list of it
    measurement: Annotated[str, Option("name in unfolding.measurements")],
    method: Annotated[str, Option("name in unfolding.methods")],
    alternatives: Annotated[
        list[Path], Input("tables of other simulations, whose results are shifts; none without")
    ] = [],  # noqa: B006
    names: Annotated[
        list[str], Option("name of the other simulation of each of these files, in order")
    ] = [],  # noqa: B006
    spectra: Annotated[Path, Output("unfolded spectra with covariance and diagnostics, JSON")],
    settings: Given,
) -> None:
    """Read the tables, unfold, write the spectra.

    Raises
    ------
    InputError
        A table, a weight, a selection or the edges of an observable are unusable.
    """
    chosen = settings.model(f"unfolding.methods.{method}", IbuSettings)
    what = settings.model(f"unfolding.measurements.{measurement}", MeasurementSettings)
    observables = {
        name: ObservableSettings.model_validate(one)
        for name, one in settings["unfolding.observables"].items()
    }
    posed = problem.pose(simulation, data, background, what, settings.seed)
    factors = Factors.drawn(
        posed, chosen.data_replicas, chosen.simulation_replicas, settings.seed, measurement
    )
    single = _single(posed, observables, chosen, factors)
    joint = _joint(posed, observables, chosen, factors)
    if len(alternatives) != len(names):
        raise InputError(f"{len(alternatives)} files of other simulations have {len(names)} names")
    for name in dict.fromkeys(names):
        files = [path for path, own in zip(alternatives, names, strict=True) if own == name]
        other = problem.pose(files, data, background, what, settings.seed, alternative=name)
        _add_model(single, joint, other, name, observables, chosen)
    found: dict[str, dict[str, Spectrum]] = {
        binning: {name: one.spectrum(name) for name, one in results.items()}
        for binning, results in single.items()
    }
    for binning, results in single.items():
        _warn(binning, results)
    about = {
        "method": method,
        "kind": chosen.kind,
        "measurement": measurement,
        "alternatives": list(dict.fromkeys(names)),
        "data_replicas": len(factors.data),
        "simulation_replicas": len(factors.simulation),
        "unfoldings": {
            binning: {name: dict(one.about) for name, one in results.items()}
            for binning, results in single.items()
        },
        "joint": {" x ".join(names): dict(one.about) for names, one in joint.items()},
    }
    replicas = {
        binning: {
            name: {source: one.cells.inner(counts) for source, counts in one.replicas.items()}
            for name, one in results.items()
        }
        for binning, results in single.items()
    }
    spectrum_file.write(
        spectra,
        found,
        about,
        replicas=replicas if chosen.keep_replicas else None,
        joint={" x ".join(names): one.joint(names) for names, one in joint.items()},
    )


def _single(
    posed: Problem,
    observables: dict[str, ObservableSettings],
    chosen: IbuSettings,
    factors: Factors,
) -> dict[str, dict[str, Result]]:
    """Unfold each observable by itself, in each binning."""
    names = posed.simulation.names
    for name in names:
        _settings_of(name, observables)
    return {
        binning: {
            name: binned_unfolding.unfold(
                BinnedProblem.of(posed, [name], [edges_of(observables[name], binning)]),
                chosen,
                factors,
            )
            for name in names
        }
        for binning in BINNINGS
    }


def _joint(
    posed: Problem,
    observables: dict[str, ObservableSettings],
    chosen: IbuSettings,
    factors: Factors,
) -> dict[tuple[str, ...], Result]:
    """Unfold sets of observables; not those of which the measurement has not all."""
    found = {}
    for names in chosen.joint:
        edges = [edges_of(_settings_of(name, observables), PUBLISHED) for name in names]
        if set(names) <= set(posed.simulation.names):
            case = BinnedProblem.of(posed, names, edges)
            found[names] = binned_unfolding.unfold(case, chosen, factors, details=False)
    return found


def _add_model(
    single: dict[str, dict[str, Result]],
    joint: dict[tuple[str, ...], Result],
    other: Problem,
    name: str,
    observables: dict[str, ObservableSettings],
    chosen: IbuSettings,
) -> None:
    """Add the nominal results with another simulation as a shift."""
    nominal_only = Factors.none()

    def with_model(one: Result, of_other: Result) -> Result:
        shifts = {**one.shifts, f"{MODEL}_{name}": of_other.counts}
        return replace(one, shifts=shifts)

    for binning, results in _single(other, observables, chosen, nominal_only).items():
        for observable, found in results.items():
            single[binning][observable] = with_model(single[binning][observable], found)
    for names, found in _joint(other, observables, chosen, nominal_only).items():
        joint[names] = with_model(joint[names], found)


def _settings_of(name: str, observables: dict[str, ObservableSettings]) -> ObservableSettings:
    if name not in observables:
        raise InputError(
            f"observable {name!r} is not in unfolding.observables ({', '.join(observables)})"
        )
    return observables[name]


def _warn(binning: str, results: dict[str, Result]) -> None:
    """Say on the terminal what could not be used; the file has it in numbers."""
    for name, one in results.items():
        about: dict[str, Any] = dict(one.about)
        complaints = []
        if about["outside_support"] > 0:
            complaints.append(
                f"{100 * about['outside_support']:.3g} % of the data are in bins that no simulated "
                "event fills, and are lost"
            )
        if about["without_efficiency"]["cells"]:
            complaints.append(
                f"{len(about['without_efficiency']['cells'])} bins of the particle level have no "
                "efficiency and keep the simulated shape"
            )
        if about["background_above_data"]["cells"]:
            complaints.append(
                f"the background is larger than the data in "
                f"{about['background_above_data']['cells']} bins, by "
                f"{about['background_above_data']['events']:.3g} events"
            )
        for complaint in complaints:
            print(f"{name}, {binning} bins: {complaint}", file=sys.stderr)

"""Make the spectra of all observables, with their covariance, of an unfolded sample."""

from pathlib import Path
from typing import Annotated

from fullchain.errors import InputError
from fullchain.step import Given, Input, Option, Output
from fullchain.unfolding import spectrum_file, unfolded_file
from fullchain.unfolding.binned_events import Values
from fullchain.unfolding.binning import BINNINGS, edges_of
from fullchain.unfolding.observable_settings import ObservableSettings
from fullchain.unfolding.projection import Histogram, column, histograms, of_observable
from fullchain.unfolding.unfolded import Array, Unfolded


def main(
    *,
    unfolded: Annotated[Path, Input("unfolded sample of a method, unfolded.parquet")],
    alternatives: Annotated[
        list[Path], Input("the same unfolding with other simulations, unfolded.parquet")
    ] = [],  # noqa: B006 - the command line makes a new list of it
    names: Annotated[list[str], Option("name of each of the alternatives, in order")] = [],  # noqa: B006
    spectra: Annotated[Path, Output("spectra of all observables, spectra.json")],
    settings: Given,
) -> None:
    """Read the samples, fill all observables in both binnings, write the spectra."""
    if len(alternatives) != len(names) or len(set(names)) < len(names):
        raise InputError(
            f"--names: {len(names)} names ({', '.join(names)}) for {len(alternatives)} "
            "alternatives; give each one its own"
        )
    sample = unfolded_file.read(unfolded)
    others = dict(zip(names, map(unfolded_file.read, alternatives), strict=True))
    known = settings["unfolding.observables"]
    observables = {}
    for name in sample.names:
        if name not in known:
            raise InputError(
                f"{unfolded}: the observable {name!r} has no entry in unfolding.observables "
                f"({', '.join(known)}); add it there"
            )
        observables[name] = ObservableSettings.model_validate(known[name])
    for path, other in zip(alternatives, others.values(), strict=True):
        if other.names != sample.names:
            raise InputError(
                f"{path}: observables {', '.join(other.names)}, and {unfolded} has "
                f"{', '.join(sample.names)}; unfold the same ones"
            )
    # Replica k varies the same events for all observables, whose weights may be of their own.
    filled: dict[str, dict[str, Histogram]] = {
        binning: {
            name: histograms(
                of_observable(sample, name),
                {name: (_values(name), edges_of(observables[name], binning))},
                alternatives={what: of_observable(one, name) for what, one in others.items()},
            )
            for name in sample.names
        }
        for binning in BINNINGS
    }
    known_sources = next(iter(filled[BINNINGS[0]].values())).replicas
    spectrum_file.write(
        spectra,
        {
            binning: {name: one.spectrum(name) for name, one in several.items()}
            for binning, several in filled.items()
        },
        {
            **sample.about,
            "events": len(sample.values),
            "replicas": {source: len(counts) for source, counts in known_sources.items()},
            "alternatives": list(others),
        },
        replicas={
            binning: {name: one.replicas for name, one in several.items()}
            for binning, several in filled.items()
        },
    )


def _values(name: str) -> Values:
    def values(sample: Unfolded) -> Array:
        return column(sample, name)

    return values

"""Make the spectra of all observables, with their covariance, of an unfolded sample."""

from pathlib import Path
from typing import Annotated

from fullchain.errors import InputError
from fullchain.step import Given, Input, Option, Output
from fullchain.unfolding import spectrum_file
from fullchain.unfolding.binned_events import Values
from fullchain.unfolding.binning import BINNINGS, edges_of
from fullchain.unfolding.observable_settings import ObservableSettings
from fullchain.unfolding.projection import Histogram, column, histograms, of_observable
from fullchain.unfolding.unfolded import Array, Unfolded
from fullchain.unfolding.unfolded_record import by_name, with_alternatives


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
    sample = with_alternatives(unfolded, by_name(alternatives, names))
    known = settings["unfolding.observables"]
    observables = {}
    for name in sample.names:
        if name not in known:
            raise InputError(
                f"{unfolded}: the observable {name!r} has no entry in unfolding.observables "
                f"({', '.join(known)}); add it there"
            )
        observables[name] = ObservableSettings.model_validate(known[name])
    # Replica k varies the same events for all observables, whose weights may be of their own.
    filled: dict[str, dict[str, Histogram]] = {
        binning: {
            name: histograms(
                of_observable(sample, name),
                {name: (_values(name), edges_of(observables[name], binning))},
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
            "alternatives": list(sample.alternatives),
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

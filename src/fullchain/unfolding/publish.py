"""Write the HEPData submission of one method of a measurement: spectra, covariances, sample."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Any

import numpy as np

from fullchain.checksums import checksum
from fullchain.errors import InputError
from fullchain.hepdata_columns import Axis
from fullchain.hepdata_submission import Submission, check_name, write
from fullchain.step import Given, Input, Option, Output
from fullchain.unfolding import spectrum_file, unfolded_file
from fullchain.unfolding.binning import PUBLISHED
from fullchain.unfolding.hepdata_record import NOT_A_MEASUREMENT, documents
from fullchain.unfolding.observable_settings import ObservableSettings
from fullchain.unfolding.projection import column, histogram, of_observable
from fullchain.unfolding.publication_settings import PublicationSettings
from fullchain.unfolding.unfolded import NOMINAL, Spectrum

AGREEMENT = 1e-6
"""Largest relative difference between spectra and sample; files of JSON round no more."""


def main(
    *,
    spectra: Annotated[Path, Input("spectra of the method, spectra.json")],
    unfolded: Annotated[
        list[Path], Input("its unfolded sample, unfolded.parquet; none for a method in bins")
    ] = [],  # noqa: B006 - the command line makes a new list of it
    measurement: Annotated[str, Option("name of the measurement")],
    method: Annotated[str, Option("name of the method")],
    submission: Annotated[Path, Output("archive for upload to HEPData, tar.gz")],
    listing: Annotated[Path, Output("submission.yaml of the same as a folder")],
    settings: Given,
) -> None:
    """Read spectra and sample, write and validate the submission.

    Raises
    ------
    InputError
        A file is unusable or does not belong to the others, or HEPData would refuse the tables.
    """
    check_name(listing)
    chosen = settings.model("unfolding.publication", PublicationSettings)
    found = _spectra(spectra)
    for name, one in found.items():
        if not one.covariances and not one.shifts:
            raise InputError(
                f"{spectra}: the spectrum of {name!r} has no uncertainty of any kind; ask the "
                "method for replicas before it is published"
            )
    axes = {name: _axis(name, settings["unfolding.observables"]) for name in found}
    replicas = spectrum_file.read_replicas(spectra).get(PUBLISHED, {})
    if len(unfolded) > 1:
        raise InputError(f"--unfolded: one sample at most, not {len(unfolded)}")
    for path in unfolded:
        _check_sample(path, spectra, found)
    resources, attached = _resources(unfolded, chosen)
    whole = Submission(
        _comment(chosen, measurement, method, unfolded),
        {
            "reactions": list(chosen.reactions),
            "observables": list(chosen.observables),
            "cmenergies": [chosen.energy],
            "phrases": list(chosen.phrases),
        },
        {"name": chosen.licence.name, "url": chosen.licence.url},
        documents(list(found.values()), replicas, axes, chosen, method),
        resources,
        attached,
    )
    write(whole.files(), listing, submission, f"{measurement}_{method}")


def _spectra(path: Path) -> dict[str, Spectrum]:
    found, _ = spectrum_file.read(path)
    if not found.get(PUBLISHED):
        raise InputError(
            f"{path}: no spectra in the binning {PUBLISHED!r} (it has {', '.join(found)}); rerun "
            "the step that writes it"
        )
    for name, one in found[PUBLISHED].items():
        arrays = [one.edges, one.counts, *one.covariances.values(), *one.shifts.values()]
        if not all(np.isfinite(array).all() for array in arrays):
            raise InputError(f"{path}: spectrum of {name!r}: a number is NaN or infinite")
        if not one.counts.sum() > 0:
            raise InputError(f"{path}: spectrum of {name!r}: no events in its bins")
    return found[PUBLISHED]


def _axis(name: str, known: Mapping[str, Any]) -> Axis:
    if name not in known:
        raise InputError(
            f"unfolding.observables: no entry for {name!r}, whose spectrum is to be published; "
            f"there are {', '.join(known)}"
        )
    observable = ObservableSettings.model_validate(known[name])
    return Axis(observable.label, observable.unit)


def _check_sample(path: Path, spectra: Path, found: Mapping[str, Spectrum]) -> None:
    """Check that the spectra are those of the sample."""
    sample = unfolded_file.read(path)
    for name, one in found.items():
        if name not in sample.names:
            raise InputError(f"{path}: no observable {name!r}, of which {spectra} has a spectrum")
        own = of_observable(sample, name)
        nominal = replace(own, weights={NOMINAL: own.weights[NOMINAL]})
        counts = histogram(nominal, column(sample, name), one.edges).counts
        if not np.allclose(counts, one.counts, rtol=AGREEMENT, atol=AGREEMENT * counts.max()):
            raise InputError(
                f"{spectra}: the spectrum of {name!r} is not that of {path}; project the sample "
                "again"
            )


def _resources(
    unfolded: Sequence[Path], chosen: PublicationSettings
) -> tuple[tuple[Mapping[str, str], ...], dict[str, bytes]]:
    attached: dict[str, bytes] = {}
    resources = []
    for path in unfolded:
        what = (
            "Unfolded events with nominal, replica and systematic weights, Parquet, of which "
            "histograms of other observables can be made with their covariance; SHA-256 "
            f"{checksum(path)}"
        )
        if chosen.sample_url is not None:
            location = chosen.sample_url
        elif path.stat().st_size <= 1e6 * chosen.attached_up_to:
            location = path.name
            attached[location] = path.read_bytes()
        else:
            continue
        resources.append({"location": location, "description": what, "type": "Parquet"})
    return tuple(resources), attached


def _comment(
    chosen: PublicationSettings, measurement: str, method: str, unfolded: Sequence[Path]
) -> str:
    parts = [f"{chosen.title}. {chosen.abstract}"]
    if chosen.pseudo_data:
        parts.append(NOT_A_MEASUREMENT)
    parts.append(f"Unfolding {measurement!r} with the method {method!r}.")
    for path in unfolded:
        parts.append(
            f"The unfolded sample is the file {path.name}, {path.stat().st_size} bytes, SHA-256 "
            f"{checksum(path)}."
        )
    return " ".join(parts)

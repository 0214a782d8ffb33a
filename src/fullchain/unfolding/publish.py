"""Write the HEPData submission of one method of a measurement: spectra, covariances, sample."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated, Any

import numpy as np

from fullchain.checksums import checksum
from fullchain.errors import InputError
from fullchain.hepdata_columns import Axis
from fullchain.hepdata_submission import Submission, check_name, write
from fullchain.step import Given, Input, Option, Output
from fullchain.unfolding import spectrum_file
from fullchain.unfolding.binned_events import Values
from fullchain.unfolding.binning import PUBLISHED
from fullchain.unfolding.hepdata_record import NOT_A_MEASUREMENT, documents
from fullchain.unfolding.observable_settings import ObservableSettings
from fullchain.unfolding.projection import column, histogram, of_observable
from fullchain.unfolding.publication_settings import PublicationSettings
from fullchain.unfolding.unfolded import MODEL, NOMINAL, Spectrum
from fullchain.unfolding.unfolded_record import by_name, location, with_alternatives

AGREEMENT = 1e-6
"""Largest relative difference between spectra and sample; files of JSON round no more."""


def main(
    *,
    spectra: Annotated[Path, Input("spectra of the method, spectra.json")],
    unfolded: Annotated[
        list[Path], Input("its unfolded sample, unfolded.parquet; none for a method in bins")
    ] = [],  # noqa: B006 - the command line makes a new list of it
    alternatives: Annotated[
        list[Path], Input("the same unfolding with other simulations, where there is a sample")
    ] = [],  # noqa: B006
    names: Annotated[list[str], Option("name of each of the alternatives, in order")] = [],  # noqa: B006
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
    if alternatives and not unfolded:
        raise InputError("--alternatives: other simulations without a sample; give --unfolded")
    others = by_name(alternatives, names)
    for path in unfolded:
        _check_sample(path, others, spectra, found)
    files = _files(unfolded, others)
    resources, attached = _resources(files, chosen)
    whole = Submission(
        _comment(chosen, measurement, method, files),
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


def _check_sample(
    path: Path, others: Mapping[str, Path], spectra: Path, found: Mapping[str, Spectrum]
) -> None:
    """Check that the spectra are those of the sample and of its alternatives."""
    sample = with_alternatives(path, others)
    for name, one in found.items():
        if name not in sample.names:
            raise InputError(f"{path}: no observable {name!r}, of which {spectra} has a spectrum")
        own = of_observable(sample, name)
        nominal = replace(own, weights={NOMINAL: own.weights[NOMINAL]})
        filled = histogram(nominal, _values(name), one.edges)
        models = {shift for shift in one.shifts if shift.startswith(f"{MODEL}_")}
        if models != set(filled.shifts):
            raise InputError(
                f"{spectra}: the spectrum of {name!r} has the other simulations "
                f"{_listed(models)}, and --names are {_listed(filled.shifts)}; give the samples "
                "that it was made of"
            )
        close = {"rtol": AGREEMENT, "atol": AGREEMENT * filled.counts.max()}
        for other, counts, expected in (
            (path, one.counts, filled.counts),
            *((others[_bare(m)], one.shifts[m], filled.shifts[m]) for m in sorted(models)),
        ):
            if not np.allclose(expected, counts, **close):
                raise InputError(
                    f"{spectra}: the spectrum of {name!r} is not that of {other}; project the "
                    "sample again"
                )


def _values(name: str) -> Values:
    return lambda sample: column(sample, name)


def _bare(model: str) -> str:
    return model.removeprefix(f"{MODEL}_")


def _listed(models: Iterable[str]) -> str:
    return ", ".join(sorted(map(_bare, models))) or "none"


@dataclass(frozen=True)
class _File:
    """A file of the sample: its name in the record, its path, and what it is."""

    name: str
    path: Path
    what: str

    @property
    def digest(self) -> str:
        return f"SHA-256 {checksum(self.path)}"


def _files(unfolded: Sequence[Path], others: Mapping[str, Path]) -> list[_File]:
    about = (
        "Unfolded events with nominal, replica and systematic weights, Parquet, of which "
        "histograms of other observables can be made with their covariance"
    )
    files = [_File(path.name, path, about) for path in unfolded]
    for name, path in others.items():
        what = (
            f"Events unfolded with the simulation {name!r} in place of the nominal one, Parquet; "
            "what a histogram of them differs by is the uncertainty of the model, which the file "
            "of the nominal one does not have"
        )
        files.append(_File(location(name), path, what))
    return files


def _resources(
    files: Sequence[_File], chosen: PublicationSettings
) -> tuple[tuple[Mapping[str, str], ...], dict[str, bytes]]:
    """Attach all files or none: a sample without its alternatives has too small errors."""
    size = sum(one.path.stat().st_size for one in files)
    if chosen.sample_url is None and size > 1e6 * chosen.attached_up_to:
        return (), {}
    resources = tuple(
        {
            "location": chosen.sample_url or one.name,
            "description": f"{one.what}; {one.digest}",
            "type": "Parquet",
        }
        for one in files
    )
    attached = {} if chosen.sample_url else {one.name: one.path.read_bytes() for one in files}
    return resources, attached


def _comment(
    chosen: PublicationSettings, measurement: str, method: str, files: Sequence[_File]
) -> str:
    parts = [f"{chosen.title}. {chosen.abstract}"]
    if chosen.pseudo_data:
        parts.append(NOT_A_MEASUREMENT)
    parts.append(f"Unfolding {measurement!r} with the method {method!r}.")
    for which, one in enumerate(files):
        role = "An alternative to it is" if which else "The unfolded sample is"
        size = one.path.stat().st_size
        parts.append(f"{role} the file {one.name}, {size} bytes, {one.digest}.")
    if len(files) > 1:
        parts.append(
            "Histograms of other observables have the uncertainty of the model only with the "
            "alternatives."
        )
    return " ".join(parts)

"""Tables of unfolded spectra as HEPData has them: independent and dependent variables.

The format is that of https://hepdata-submission.readthedocs.io; a table is a mapping with the keys
`independent_variables` and `dependent_variables`.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np

from fullchain.hepdata_columns import Axis, Table, bins, header, matrices, number, ranges
from fullchain.unfolding.covariances import (
    correlation,
    normalisation_jacobian,
    paired,
    shift_covariances,
    total_covariance,
)
from fullchain.unfolding.joint_spectra import JointSpectra
from fullchain.unfolding.unfolded import DATA, SIMULATION, Array, Spectrum

STATISTICAL = (DATA, SIMULATION, "sampling")


def normalised(spectrum: Spectrum) -> Spectrum:
    """Give the spectrum as density of unit integral over its bins.

    Covariances are propagated by the derivatives; each shift is divided by its own integral.
    """
    widths = np.diff(spectrum.edges)
    jacobian = normalisation_jacobian(spectrum.counts) / widths[:, None]
    density = spectrum.counts / spectrum.counts.sum() / widths
    shifted = {name: spectrum.counts + change for name, change in spectrum.shifts.items()}
    total = spectrum.counts.sum()
    return Spectrum(
        spectrum.observable,
        spectrum.edges,
        density,
        (spectrum.outside[0] / total, spectrum.outside[1] / total),
        {name: jacobian @ matrix @ jacobian.T for name, matrix in spectrum.covariances.items()},
        {name: one / one.sum() / widths - density for name, one in shifted.items()},
    )


def spectrum_table(
    spectrum: Spectrum, axis: Axis, qualifiers: Sequence[Mapping[str, Any]]
) -> Table:
    """Give the table of one observable: number of events, and density of unit integral.

    An error of a shift has the signed change of the bin under it, so that its plus and minus move
    all bins together; of a shift to one side only the minus is the opposite of the plus.
    """
    density = normalised(spectrum)
    return {
        "independent_variables": [bins(spectrum.edges, axis)],
        "dependent_variables": [
            _dependent("Unfolded events", "", spectrum, qualifiers),
            _dependent(
                f"(1/N) dN/d({axis.label})",
                f"1/{axis.unit}" if axis.unit else "",
                density,
                qualifiers,
            ),
        ],
    }


def covariance_table(
    spectrum: Spectrum, axis: Axis, qualifiers: Sequence[Mapping[str, Any]]
) -> Table:
    """Give the table of the covariances of the bins of one observable, by source and in all."""
    count = len(spectrum.counts)
    low, high = spectrum.edges[:-1], spectrum.edges[1:]
    rows = [
        {**header(f"{axis.label}, {which} bin", axis.unit), "values": ranges(low[i], high[i])}
        for which, i in (
            ("first", np.repeat(np.arange(count), count)),
            ("second", np.tile(np.arange(count), count)),
        )
    ]
    total = total_covariance(spectrum.covariances, spectrum.shifts)
    density = normalised(spectrum)
    columns = {
        "Covariance of events, total": total,
        "Correlation of events, total": correlation(total),
        **{
            f"Covariance of events, {label(source)}": matrix
            for source, matrix in _by_source(spectrum.covariances, spectrum.shifts).items()
        },
        "Covariance of the density, total": total_covariance(density.covariances, density.shifts),
    }
    return {
        "independent_variables": rows,
        "dependent_variables": matrices(columns, qualifiers),
    }


def joint_table(
    joint: JointSpectra, axes: Mapping[str, Axis], qualifiers: Sequence[Mapping[str, Any]]
) -> Table:
    """Give the table of all observables after each other, whose bins have a number."""
    numbers = [{"value": number + 1} for number in range(sum(len(s.counts) for s in joint.spectra))]
    names = [{"value": one.observable} for one in joint.spectra for _ in range(len(one.counts))]
    intervals = [entry for s in joint.spectra for entry in ranges(s.edges[:-1], s.edges[1:])]
    units = [
        {"value": axes[one.observable].unit or "1"}
        for one in joint.spectra
        for _ in range(len(one.counts))
    ]
    values = [entry for one in joint.spectra for entry in _dependent("", "", one, ())["values"]]
    return {
        "independent_variables": [
            {**header("Number of the bin"), "values": numbers},
            {**header("Observable"), "values": names},
            {**header("Bin"), "values": intervals},
            {**header("Unit of the bin"), "values": units},
        ],
        "dependent_variables": [
            {**header("Unfolded events"), "qualifiers": list(qualifiers), "values": values}
        ],
    }


def joint_covariance_table(joint: JointSpectra, qualifiers: Sequence[Mapping[str, Any]]) -> Table:
    """Give the covariance between the bins of all observables, by their numbers."""
    total = joint.covariance()
    numbers = np.arange(len(total)) + 1
    columns = {
        "Covariance of events, total": total,
        "Correlation of events, total": correlation(total),
    }
    if DATA in joint.covariances:
        columns[f"Covariance of events, {label(DATA)}"] = joint.covariances[DATA]
    rows = (np.repeat(numbers, len(total)), np.tile(numbers, len(total)))
    return {
        "independent_variables": [
            {
                **header(f"Number of the {which} bin"),
                "values": [{"value": int(number)} for number in column],
            }
            for which, column in zip(("first", "second"), rows, strict=True)
        ],
        "dependent_variables": matrices(columns, qualifiers),
    }


def label(source: str) -> str:
    """Name a source as HEPData names uncertainties.

    Examples
    --------
    >>> label("data"), label("jes"), label("model_a14")
    ('stat,data', 'sys,jes', 'sys,model_a14')
    """
    return f"{'stat' if source in STATISTICAL else 'sys'},{source}"


def _dependent(
    name: str, unit: str, spectrum: Spectrum, qualifiers: Sequence[Mapping[str, Any]]
) -> dict[str, Any]:
    deviations = {
        source: np.sqrt(np.clip(np.diag(matrix), 0, None))
        for source, matrix in spectrum.covariances.items()
    }
    shifts = paired(spectrum.shifts)
    values = []
    for i, count in enumerate(spectrum.counts):
        errors: list[dict[str, Any]] = [
            {"symerror": number(deviation[i]), "label": label(source)}
            for source, deviation in deviations.items()
        ]
        for source, (up, down) in shifts.items():
            opposite = -up[i] if down is None else down[i]
            sides = {"plus": number(up[i]), "minus": number(opposite)}
            errors.append({"asymerror": sides, "label": label(source)})
        entry: dict[str, Any] = {"value": number(count)}
        # HEPData refuses a value whose errors are all zero, as those of an empty bin are.
        if any(_sizes(errors)):
            entry["errors"] = errors
        values.append(entry)
    return {**header(name, unit), "qualifiers": list(qualifiers), "values": values}


def _sizes(errors: Iterable[Mapping[str, Any]]) -> Iterable[float]:
    for error in errors:
        yield from error["asymerror"].values() if "asymerror" in error else [error["symerror"]]


def _by_source(covariances: Mapping[str, Array], shifts: Mapping[str, Array]) -> dict[str, Array]:
    return {**covariances, **shift_covariances(shifts)}

"""The tables of a HEPData record of unfolded spectra, with what is said of each."""

from collections.abc import Mapping, Sequence
from typing import Any

from fullchain.hepdata_columns import Axis
from fullchain.hepdata_submission import Document
from fullchain.unfolding import hepdata_tables
from fullchain.unfolding.joint_spectra import JointSpectra, join
from fullchain.unfolding.publication_settings import PublicationSettings
from fullchain.unfolding.unfolded import Array, Spectrum

NOT_A_MEASUREMENT = (
    "The data are simulated events that take the place of data (pseudo-data): this is a test of "
    "the method and no measurement."
)
SOURCES = (
    "Uncertainties: stat,data and stat,simulation from Poisson bootstrap replicas of data and "
    "simulation; sys,network from the spread of single trainings; others from shifts of the "
    "detector, variations of the simulation (plus and minus are the changes of the result under "
    "the shift up and down; of one without a counterpart minus is the opposite of plus), and other "
    "simulations (sys,model_...)."
)
SHIFTS = (
    "Under a shift all bins move together; of a shift up and down the covariance is half the sum "
    "of those of the two. The sources are independent and add up to the total."
)


def documents(
    spectra: Sequence[Spectrum],
    replicas: Mapping[str, Mapping[str, Array]],
    axes: Mapping[str, Axis],
    chosen: PublicationSettings,
    method: str,
) -> tuple[Document, ...]:
    """Give the tables: of each observable, of its covariance, and of all observables together."""
    notes = f" {NOT_A_MEASUREMENT}" if chosen.pseudo_data else ""
    qualifiers: list[dict[str, Any]] = [
        {"name": "SQRT(S)", "value": chosen.energy, "units": "GeV"},
        {"name": "Method", "value": method},
    ]
    if chosen.luminosity is not None:
        luminosity = {"name": "Luminosity", "value": chosen.luminosity, "units": "fb$^{-1}$"}
        qualifiers.append(luminosity)
    known = next(iter(replicas.values()), {})
    numbers = ", ".join(f"{len(counts)} of {source}" for source, counts in known.items())
    if numbers:
        notes = f" Replicas: {numbers}.{notes}"
    tables = []
    for one in spectra:
        axis = axes[one.observable]
        inside = f"{100 * one.counts.sum() / (one.counts.sum() + sum(one.outside)):.4g}"
        tables += [
            Document(
                one.observable,
                f"Unfolded spectrum of {axis.label} at particle level: number of events in each "
                f"bin, and density of unit integral over the bins, which hold {inside} % of the "
                f"events. {SOURCES}{notes}",
                hepdata_tables.spectrum_table(one, axis, qualifiers),
            ),
            Document(
                f"{one.observable} covariance",
                f"Covariance and correlation of the bins of {axis.label}, of all sources and of "
                f"each. {SHIFTS}{notes}",
                hepdata_tables.covariance_table(one, axis, qualifiers),
            ),
        ]
    if len(spectra) > 1:
        tables += _joint(join(spectra, replicas), axes, qualifiers, notes)
    return tuple(tables)


def _joint(
    joint: JointSpectra,
    axes: Mapping[str, Axis],
    qualifiers: Sequence[Mapping[str, Any]],
    notes: str,
) -> list[Document]:
    missing = ""
    if joint.unknown:
        missing = (
            f" Between observables the covariance of {', '.join(joint.unknown)} is not known and "
            "taken as 0."
        )
    return [
        Document(
            "all observables",
            "The spectra of all observables after each other, with the numbers by which the "
            f"covariance between observables names their bins. {SOURCES}{notes}",
            hepdata_tables.joint_table(joint, axes, qualifiers),
        ),
        Document(
            "all observables covariance",
            "Covariance and correlation between the bins of all observables, which are of the "
            f"same events; bins have the numbers of the table 'all observables'.{missing} "
            f"{SHIFTS}{notes}",
            hepdata_tables.joint_covariance_table(joint, qualifiers),
        ),
    ]

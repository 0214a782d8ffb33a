"""Published generators of showers beside which ours are set: quality, time and size.

From the final results of the CaloChallenge (C. Krause et al., 2410.21611). Its showers are those of
Geant4; whether ours are the same ones depends on where the set of showers comes from.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

SOURCE = "CaloChallenge final results, 2410.21611"

KIND = "showers_kind"
"""Where saved numbers say of which kind their set of showers is."""

OURS = {
    "parameterised": "ours are of a parameterisation, another data set",
    "geant4": "ours are of Geant4 in a calorimeter of our own, another data set",
    "files": "ours are read from files, the same data set only if these are those of the challenge",
}
"""What our showers are beside those of the challenge, by the kind of the set."""

UNKNOWN = "whether ours are the same is not known here"

GEANT4, CALOINN = "Geant4 against itself", "CaloINN"
"""Entries beside which a second sample of the full simulation, and models, are set."""

BATCHES = (1, 100, 10000)
"""Batch sizes of the published times."""


@dataclass(frozen=True)
class PublishedModel:
    """One entry.

    Parameters
    ----------
    name
        Of the model.
    low, high
        AUC of the low- and of the high-level classifier.
    fpd
        Frechet distance, or None.
    cpu_ms
        Milliseconds per shower on a CPU at `BATCHES`, or None.
    parameters
        Number of trained numbers, or None.
    """

    name: str
    low: float
    high: float
    fpd: float | None = None
    cpu_ms: tuple[float, float, float] | None = None
    parameters: float | None = None


# The distance of CaloFlow is given once for teacher and student, and is left out.
SETS: dict[int, tuple[str, tuple[PublishedModel, ...]]] = {
    368: (
        "set 1, photons",
        (
            PublishedModel(GEANT4, 0.499, 0.500, 0.12e-3),
            PublishedModel(CALOINN, 0.626, 0.638, 3.90e-3, (37.9, 2.78, 2.88), 18.8e6),
            PublishedModel("CaloDiffusion", 0.635, 0.536, 0.65e-3, (15677, 4266, 4500), 0.52e6),
            PublishedModel("CaloFlow teacher", 0.733, 0.636, None, None, 28e6),
            PublishedModel("CaloFlow student", 0.761, 0.667, None, (576, 11.1, 6.1), 57e6),
            PublishedModel("BoloGAN", 0.927, 0.966, 142e-3, (106, 1.73, 0.55), 0.37e6),
        ),
    ),
    6480: (
        "set 2, electrons",
        (
            PublishedModel("CaloDREAM", 0.531, 0.521, 24.6e-3, (16942, 5052, 5727), 28.4e6),
            PublishedModel(CALOINN, 0.743, 0.865, 733e-3, (388, 60, 46), 271e6),
        ),
    ),
    40500: ("set 3, electrons", (PublishedModel("CaloDREAM", 0.630, 0.524, 20.7e-3, None, 8.3e6),)),
}
"""By the number of voxels: name of the data set, and entries."""


def published(voxels: int) -> tuple[str, tuple[PublishedModel, ...]]:
    """Give the data set with so many voxels and its entries; none for another geometry."""
    return SETS.get(voxels, ("", ()))


def beside(role: str, voxels: int) -> str:
    """Name of the published entry that numbers of ours are set beside: of the same kind.

    For models that of the coupling flow, or of the first model where there is none.
    """
    if role == "reference":
        return GEANT4
    models = [model.name for model in published(voxels)[1] if model.name != GEANT4]
    return CALOINN if CALOINN in models or not models else models[0]


def note(kind: str | None, voxels: int) -> str:
    """What must be known to compare a number of ours with a published one.

    Parameters
    ----------
    kind
        Of our set of showers, if it is known.
    """
    return f"for Geant4 showers ({published(voxels)[0]}); {OURS.get(kind or '', UNKNOWN)}"


def statement(kind: str | None, voxels: int) -> str:
    """Say where published entries come from, and what they are worth beside ours."""
    return (
        f"Published entries are of the CaloChallenge (final results, 2410.21611), "
        f"{note(kind, voxels)}; its times are of another machine, and its classifiers those of "
        "the official mode. On another data set they show what is usual, and are no comparison of "
        "like with like"
    )


def with_kinds(
    contents: Sequence[Mapping[str, Any]], showers: Sequence[Mapping[str, Any]]
) -> list[Mapping[str, Any]]:
    """Give contents with the kind of their sets, as the `showers.json` of these say it."""
    kinds = {one["set"]: one["kind"] for one in showers}
    return [
        {**one, KIND: kinds[one["set"]]} if one.get("set") in kinds else one for one in contents
    ]

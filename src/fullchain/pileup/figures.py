"""Which figures the stage draws: known to the workflow before anything is drawn."""

from collections.abc import Iterable, Sequence

AGAINST_INTERACTIONS = (
    "jet_pt",
    "jet_mass",
    "dijet_mass",
    "met",
    "small_jets",
    "error_iqr",
    "correlation",
    "kept_against",
)
"""What is drawn against the number of interactions."""

OVER_PUPPI = "over_puppi"
"""Drawn against it, too, where there are learned weights."""


DISCRIMINATION = ("top_auc", "substructure")
"""What is drawn for each pair of samples."""

DISCRIMINATION_INTERACTIONS = ("top_auc_interactions", "substructure_interactions")
"""What is drawn for all pairs together, against the number of interactions."""


def of_pairs(pairs: Iterable[str]) -> list[str]:
    """Give the names of the figures of top tagging, for these pairs of samples."""
    found = [f"{name}_{pair}" for pair in pairs for name in DISCRIMINATION]
    return [*DISCRIMINATION_INTERACTIONS, *found] if found else []


def names(evaluated: Sequence[str], compared: Sequence[str], learned: bool = False) -> list[str]:
    """Give the names of all figures, for these samples, with or without learned weights."""
    found = []
    for sample in evaluated:
        found += [f"{quantity}_{sample}" for quantity in AGAINST_INTERACTIONS]
        if learned:
            found.append(f"{OVER_PUPPI}_{sample}")
        found.append(f"kept_{sample}")
    if evaluated:
        found.append("cost")
    found += [f"stored_{sample}" for sample in compared]
    return found

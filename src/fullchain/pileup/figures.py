"""Which figures the stage draws: known to the workflow before anything is drawn."""

from collections.abc import Sequence

METHODS = ("jet_pt", "jet_mass", "met")
"""Quantities that are drawn against the number of interactions."""


def names(evaluated: Sequence[str], compared: Sequence[str]) -> list[str]:
    """Give the names of all figures, for these samples."""
    found = []
    for sample in evaluated:
        found += [f"{quantity}_{sample}" for quantity in METHODS]
        found.append(f"kept_{sample}")
    if evaluated:
        found.append("cost")
    found += [f"stored_{sample}" for sample in compared]
    return found

"""Which figures the stage draws: known to the workflow before anything is drawn."""

from fullchain.decorrelation.settings import DecorrelationSettings

OF_TAGGER = ("frontier", "sculpting")
"""Figures of all classifiers of a tagger, for each column that they are decorrelated against."""

OF_FITS = ("strength", "spurious")
"""Figures of the mass fits with all classifiers of a tagger."""


def names(chosen: DecorrelationSettings) -> list[str]:
    """Give the names of all figures."""
    found = []
    fits = chosen.evaluation.mass_fit is not None
    for tagger in chosen.taggers:
        found.append(f"roc_{tagger}")
        found += [f"{kind}_{tagger}_{name}" for kind in OF_TAGGER for name in chosen.against]
        found += [f"{kind}_{tagger}" for kind in OF_FITS if fits]
    for name in (*chosen.taggers, *chosen.variants):
        found += [f"shapes_{name}_{column}" for column in chosen.against]
        found += [f"fit_{name}"] if fits else []
    return found

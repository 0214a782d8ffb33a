"""Which jets are kept."""

import numpy as np

from fullchain.jets.arrays import Array
from fullchain.jets.settings import SelectionSettings
from fullchain.jets.substructure import EnergyFractions


def identified(fractions: EnergyFractions, settings: SelectionSettings) -> Array:
    """Tell which jets are no misreconstructed leptons, photons or noise.

    A fraction that is not known (NaN) passes.
    """
    good = np.ones(len(fractions.muons), bool)
    if settings.identification:
        for fraction, limit in (
            (fractions.neutral_hadrons, settings.max_neutral_hadron_fraction),
            (fractions.photons, settings.max_photon_fraction),
            (fractions.electrons, settings.max_electron_fraction),
            (fractions.muons, settings.max_muon_fraction),
        ):
            good &= ~(fraction > limit)
    return good


def select(
    pt: Array, good: Array, event: Array, settings: SelectionSettings
) -> tuple[Array, Array]:
    """Choose the jets of one variation.

    Parameters
    ----------
    pt
        (n) shifted transverse momenta [GeV].
    good
        (n) whether the jet passes identification and the cut in eta.
    event
        (n) number of the event of each jet.

    Returns
    -------
    chosen
        Places of the chosen jets, by event and falling pT.
    rank
        Place of each among the good jets of its event.
    """
    places = np.flatnonzero(good & (pt >= settings.loose_pt_fraction * settings.pt_min))
    # stable in the place, so that equal momenta cannot change the order
    order = places[np.lexsort((places, -pt[places], event[places]))]
    rank = np.arange(len(order)) - np.searchsorted(event[order], event[order], side="left")
    kept = (
        (rank < settings.jets_per_event)
        & (pt[order] >= settings.pt_min)
        & (pt[order] < settings.pt_max)
    )
    return order[kept], rank[kept]

"""Object shifts: what a systematic variation does to jets or candidates."""

import numpy as np

from fullchain.jets.arrays import Array
from fullchain.jets.chance import normal, uniform
from fullchain.jets.settings import ResolutionShift, ScaleShift, TrackEfficiencyShift

REFERENCE_PT = 600.0
"""pT [GeV] at which the slope of a scale shift has no effect."""

MATCH_RESOLUTIONS = 3.0
"""Largest difference in pT of a matched particle-level jet, in resolutions (CMS)."""


def scale_factors(shift: ScaleShift, pt: Array, eta: Array) -> Array:
    """Give the factor on each jet's four-momentum.

    Parameters
    ----------
    pt, eta
        Of the jets; pT in GeV and positive.
    """
    change = shift.shift + shift.eta_slope * np.abs(eta)
    return np.asarray(1.0 + change + shift.pt_slope * np.log(pt / REFERENCE_PT))


def resolution(shift: ResolutionShift, pt: Array) -> Array:
    """Give the relative resolution of pT: noise, stochastic and constant term in quadrature."""
    squared = (shift.noise / pt) ** 2 + shift.stochastic**2 / pt + shift.constant**2
    return np.asarray(np.sqrt(squared))


def smearing_factors(
    shift: ResolutionShift, pt: Array, gen_pt: Array, words: Array, number: Array
) -> Array:
    """Give the factor on each jet's four-momentum that changes the resolution by `shift.factor`.

    The hybrid method of CMS: the difference to a matched particle-level jet is scaled; a jet
    without one is smeared by chance, which can only make the resolution worse, so with a factor
    below 1 such a jet stays.

    Parameters
    ----------
    pt, gen_pt
        pT of the jets and of the particle-level jets matched in direction, NaN without [GeV].
    words, number
        Word of the event and number of each jet in it, see `chance`.
    """
    width = resolution(shift, pt)
    difference = pt - gen_pt
    matched = np.abs(difference) < MATCH_RESOLUTIONS * width * pt
    scaled = 1.0 + (shift.factor - 1.0) * np.where(matched, difference, 0.0) / pt
    extra = np.sqrt(max(shift.factor**2 - 1.0, 0.0))
    smeared = 1.0 + normal(words, number) * width * extra
    # a factor below zero would turn the jet round
    return np.asarray(np.maximum(np.where(matched, scaled, smeared), 0.01))


def kept_tracks(shift: TrackEfficiencyShift, charge: Array, words: Array, number: Array) -> Array:
    """Tell which candidates survive the loss of tracks; neutral ones all do.

    Parameters
    ----------
    charge
        (n) of the candidates.
    words, number
        (n) word of the event and number of each candidate in it, see `chance`.
    """
    return np.asarray((charge == 0) | (uniform(words, number) >= shift.loss))

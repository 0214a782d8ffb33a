"""Tracks of charged particles: efficiency, momentum and impact parameter resolution."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fullchain.ntuples.detector_settings import TrackerSettings
from fullchain.ntuples.helix import impact_parameters
from fullchain.ntuples.particles import Particles

Array = NDArray[Any]

PION_MASS = 0.13957
ELECTRON_MASS = 0.000511
MUON_MASS = 0.10566
# A muon needs this momentum to reach the muon chambers, an electron this pT to be told from a pion.
MUON_MOMENTUM_MIN = 3.0
ELECTRON_PT_MIN = 4.0
ELECTRON_RADIUS_MAX = 2.0  # cm; a track that begins further out is one of a conversion


@dataclass(frozen=True)
class Tracks:
    """Flat arrays, one entry per track; GeV, cm.

    `particle` is the position in the particles; `z` is that of closest approach to the beam line;
    `pdg_id` is the reconstructed species: 11, 13 or 211 with the sign of the charge.
    """

    particle: Array
    event: Array
    interaction: Array
    pdg_id: Array
    charge: Array
    pt: Array
    eta: Array
    phi: Array
    d0: Array
    d0_error: Array
    z: Array
    z_error: Array

    @property
    def momentum(self) -> Array:
        """Magnitude of the momentum [GeV]."""
        return self.pt * np.cosh(self.eta)


def efficiency(
    pt: Array, eta: Array, species: Array, radius: Array, settings: TrackerSettings
) -> Array:
    """Probability that a track is found.

    Parameters
    ----------
    pt, eta
        True transverse momentum [GeV] and pseudorapidity.
    species
        Absolute PDG code.
    radius
        Transverse distance of the production vertex from the beam line [cm].

    Notes
    -----
    Plateaus and their fall in the endcap resemble those of CMS, arXiv:1405.6569: 94 % for
    |eta| < 0.9 and 85 % from there to 2.5, averaged over prompt charged particles of
    pT > 0.9 GeV in top pairs. The fall to zero with the production radius is a choice of ours; the
    value beyond |eta| = 2.5, which the pixel detector of 2017 added, and the turn-on are
    set so that density and spectrum of charged candidates match `cms_reference.json`. The turn-on
    falls with |eta|, as it does there (0.28 GeV in the barrel, 0.20 GeV at |eta| = 2.7): of the
    same pT, a track in the endcap has more momentum and scatters less.
    """
    reach = np.abs(eta)
    plateau = np.select(
        [reach < 1.5, reach < 2.5, reach < 3.0],
        [settings.efficiency_barrel, settings.efficiency_endcap, settings.efficiency_edge],
        0.0,
    )
    scaled = np.maximum(pt, 1e-6) * np.cosh(eta) ** settings.turn_on_fall
    found = plateau / (1.0 + (settings.turn_on / scaled) ** settings.turn_on_power)
    found = np.where(species == 11, found * settings.efficiency_electron, found)
    muon = (species == 13) & (reach < 2.5)
    found = np.where(muon & (pt > 1.0), settings.efficiency_muon, found)
    return np.where(
        scaled > settings.pt_min,
        found * np.clip(1.0 - radius / settings.displacement, 0.0, 1.0),
        0.0,
    )


def pt_resolution(pt: Array, eta: Array) -> Array:
    """Relative resolution of pT: multiple scattering and, growing with pT, the measured sagitta.

    The numbers are those of cards/delphes_card_CMS.tcl of Delphes 3 (arXiv:1307.6346) for muons;
    for charged hadrons the card has the same constants and larger slopes (1.5, 2.5, 5.5 x 1e-4).
    """
    reach = np.abs(eta)
    scattering = np.select([reach < 0.5, reach < 1.5], [0.010, 0.015], 0.025)
    sagitta = np.select([reach < 0.5, reach < 1.5], [1.0e-4, 1.5e-4], 3.5e-4)
    return np.hypot(scattering, sagitta * pt)


def impact_resolution(pt: Array, eta: Array, settings: TrackerSettings) -> tuple[Array, Array]:
    """Resolution of d0 and dz [cm].

    sigma = constant + scattering / pT^0.75, in quadrature, fitted by eye to the medians of d0Err
    and dzErr of the tracks with |eta| < 1 in the CMS file of `cms_reference.json`; towards the
    endcaps more material is crossed, at a longer lever arm: cosh(eta)^0.5 and cosh(eta)^1.5, powers
    that are choices of ours.
    """
    slope = np.maximum(pt, 0.1) ** -0.75
    path = np.cosh(eta)
    d0 = np.hypot(settings.d0_constant, settings.d0_scattering * slope) * np.sqrt(path)
    dz = np.hypot(settings.dz_constant, settings.dz_scattering * slope) * path**1.5
    return d0, dz


def reconstruct(
    particles: Particles, settings: TrackerSettings, random: np.random.Generator
) -> Tracks:
    """Find tracks of charged particles and smear them.

    Electrons below `ELECTRON_PT_MIN` and muons below `MUON_MOMENTUM_MIN` are tracks of charged
    hadrons, as in a particle-flow event.
    """
    charged = np.flatnonzero(particles.charge)
    chosen = particles.select(charged)
    pt, eta, species = chosen.pt, chosen.eta, np.abs(chosen.pdg_id)
    made_at = np.hypot(chosen.x, chosen.y)
    found = random.random(len(charged)) < efficiency(pt, eta, species, made_at, settings)
    charged, chosen = charged[found], chosen.select(found)
    pt, eta, species = pt[found], eta[found], species[found]

    sigma_d0, sigma_z = impact_resolution(pt, eta, settings)
    d0, z = impact_parameters(chosen, settings.field)
    noise = random.standard_normal((3, len(charged)))
    # Smeared in 1/pT, in which a sagitta is Gaussian; the cut keeps the charge.
    measured = pt / np.maximum(1.0 + pt_resolution(pt, eta) * noise[0], 0.2)
    muon = (species == 13) & (measured * np.cosh(eta) > MUON_MOMENTUM_MIN)
    prompt = np.hypot(chosen.x, chosen.y) < ELECTRON_RADIUS_MAX
    electron = (species == 11) & (measured > ELECTRON_PT_MIN) & prompt
    code = np.select([electron, muon], [-11, -13], 211)  # charge +1 is the antilepton
    return Tracks(
        particle=charged,
        event=chosen.event,
        interaction=chosen.interaction,
        pdg_id=code * chosen.charge,
        charge=chosen.charge,
        pt=measured,
        eta=eta,
        phi=chosen.phi,
        d0=d0 + sigma_d0 * noise[1],
        d0_error=sigma_d0,
        z=z + sigma_z * noise[2],
        z_error=sigma_z,
    )


def mass_of(pdg_id: Array) -> Array:
    """Mass [GeV] that particle flow gives to a track: electron, muon, otherwise pion."""
    code = np.abs(pdg_id)
    return np.select([code == 11, code == 13], [ELECTRON_MASS, MUON_MASS], PION_MASS)

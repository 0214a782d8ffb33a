"""Calorimeter clusters: granularity, summed deposits and energy resolution."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fullchain.ntuples.detector_settings import CalorimeterSettings

Array = NDArray[Any]

BARREL_END = 1.5
TRACKER_END = 2.5
ENDCAP_END = 3.0
FORWARD_PHOTON_END = 4.0
FORWARD_END = 5.2
# Cells per region and event fit into this, so that event and cell make one integer.
CELLS = 1 << 22


@dataclass(frozen=True)
class Deposits:
    """What particles leave in one calorimeter: flat arrays, energy in GeV.

    `track` is the momentum [GeV] of the track that belongs to the deposit, 0 without one; `hard`
    says whether the particle comes from the hard collision.
    """

    event: Array
    eta: Array
    phi: Array
    x: Array
    y: Array
    z: Array
    energy: Array
    track: Array
    hard: Array


@dataclass(frozen=True)
class Clusters:
    """Deposits summed over cells: flat arrays, GeV and cm.

    `energy` is the true sum, `track` that of the momenta of tracks that point at the cell,
    `hard_fraction` the part of the energy without track that comes from the hard collision (of all
    energy, where each deposit has a track). Positions are means weighted with the energy without
    track, because that is what a neutral candidate is made of.
    """

    event: Array
    eta: Array
    x: Array
    y: Array
    z: Array
    energy: Array
    track: Array
    hard_fraction: Array


def cell_number(eta: Array, phi: Array, sizes: tuple[float, float, float]) -> Array:
    """Number the cells of barrel, endcap and forward calorimeter; `sizes` in eta and phi."""
    region = np.digitize(np.abs(eta), (BARREL_END, ENDCAP_END))
    size = np.asarray(sizes)[region]
    # The number of cells in phi is whole; eta is counted from the most negative edge.
    around = np.maximum(np.round(2.0 * np.pi / size), 1.0)
    column = np.floor((phi + np.pi) / (2.0 * np.pi) * around) % around
    row = np.floor((eta + FORWARD_END) / size)
    every = np.asarray(sizes)
    rows = np.ceil(2.0 * FORWARD_END / every)
    cells = (rows + 1.0) * np.round(2.0 * np.pi / every)
    first = np.concatenate([[0.0], np.cumsum(cells)])[region]
    return (first + row * around + column).astype(np.int64)


def cluster(deposits: Deposits, sizes: tuple[float, float, float]) -> Clusters:
    """Sum deposits over the cells of each event.

    Raises
    ------
    ValueError
        The cells are so small that their numbers overflow.
    """
    cell = cell_number(deposits.eta, deposits.phi, sizes)
    if len(cell) and cell.max() >= CELLS:
        raise ValueError(f"calorimeter cells of {sizes} are too small to be numbered")
    key = deposits.event.astype(np.int64) * CELLS + cell
    order = np.argsort(key, kind="stable")
    ordered = key[order]
    begin = np.flatnonzero(np.r_[True, ordered[1:] != ordered[:-1]]) if len(ordered) else order

    def total(values: Array) -> Array:
        return np.add.reduceat(values[order], begin) if len(begin) else np.zeros(0)

    energy = total(deposits.energy)
    loose = np.where(deposits.track > 0, 0.0, deposits.energy)
    has_loose = total(loose) > 0
    # Where every deposit has a track, an excess is a fluctuation: share it like the whole energy.
    share = np.empty(len(loose))
    share[order] = np.repeat(has_loose, np.diff(np.r_[begin, len(ordered)]))
    weight = np.where(share > 0, loose, deposits.energy)
    norm = np.maximum(total(weight), 1e-30)
    x, y, z = (total(weight * position) / norm for position in (deposits.x, deposits.y, deposits.z))
    return Clusters(
        event=deposits.event[order][begin],
        eta=np.arcsinh(z / np.maximum(np.hypot(x, y), 1e-9)),
        x=x,
        y=y,
        z=z,
        energy=energy,
        track=total(deposits.track),
        hard_fraction=total(weight * deposits.hard) / norm,
    )


def ecal_resolution(energy: Array, eta: Array, settings: CalorimeterSettings) -> Array:
    """Standard deviation [GeV] of the energy of a photon.

    |eta| < 3: stochastic and noise term of the CMS test beam (2.8 %, 0.12 GeV; JINST 2 (2007)
    P04004), with a constant term of 0.7 % for calibration in situ in the place of the test beam's
    0.3 %. Beyond: HF, whose test beam gave 198 % and 9 % (Eur. Phys. J. C 53 (2008) 139); the
    stochastic term is lowered to 140 %, with which the tail of the spectrum in
    `cms_reference.json` is met.
    """
    forward = np.abs(eta) >= ENDCAP_END
    stochastic = np.where(forward, settings.forward_em_stochastic, settings.ecal_stochastic)
    constant = np.where(forward, settings.forward_em_constant, settings.ecal_constant)
    noise = np.where(forward, 0.0, settings.ecal_noise)
    return np.sqrt(stochastic**2 * energy + (constant * energy) ** 2 + noise**2)


def hcal_resolution(energy: Array, eta: Array, settings: CalorimeterSettings) -> Array:
    """Standard deviation [GeV] of the energy of a hadron in ECAL and HCAL together.

    |eta| < 3: 110 %/sqrt(E) + 9 % (CMS particle flow, arXiv:1706.04965, section 2). Beyond: HF,
    280 % and 11 % in the test beam (Eur. Phys. J. C 53 (2008) 139) and in the CMS card of Delphes 3
    (arXiv:1307.6346), lowered to 180 % for the same reason as in `ecal_resolution`.
    """
    forward = np.abs(eta) >= ENDCAP_END
    stochastic = np.where(forward, settings.forward_had_stochastic, settings.hcal_stochastic)
    constant = np.where(forward, settings.forward_had_constant, settings.hcal_constant)
    return np.sqrt(stochastic**2 * energy + (constant * energy) ** 2)


def response(
    energy: Array, eta: Array, electromagnetic: Array, settings: CalorimeterSettings
) -> Array:
    """Mean visible part of a particle's energy.

    |eta| < 3: one for photons and electrons, 1 - exp(-E / hadron_response_energy) for hadrons,
    which resembles the calibrated response of CMS: one above some 5 GeV, and falling below, where a
    hadron stops in front of the HCAL or stays under its thresholds (arXiv:1706.04965, section 3.4).
    Beyond, `forward_response` for all, since candidates there carry no calibration. The two numbers
    are set so that densities and spectra match `cms_reference.json`.
    """
    if settings.hadron_response_energy == 0:
        hadrons = np.ones(len(energy))
    else:
        hadrons = -np.expm1(-energy / settings.hadron_response_energy)
    central = np.where(electromagnetic, 1.0, hadrons)
    return np.where(np.abs(eta) >= ENDCAP_END, settings.forward_response, central)


def photon_efficiency(energy: Array, eta: Array, settings: CalorimeterSettings) -> Array:
    """Probability that an electromagnetic cluster becomes a photon candidate.

    One in the barrel. In the endcaps (|eta| < 2.5, and up to 3) a soft cluster is lost with the
    probability that brings the density of photons to that of `cms_reference.json`; the loss dies
    out with exp(-E / soft_photon_energy). Beyond |eta| = 4 the forward calorimeter tells only a
    part of the electromagnetic clusters from hadrons in the same tower.
    """
    reach = np.abs(eta)
    soft = np.exp(-energy / settings.soft_photon_energy)
    lost = np.select(
        [reach < BARREL_END, reach < TRACKER_END, reach < ENDCAP_END, reach < FORWARD_PHOTON_END],
        [
            np.zeros(len(reach)),
            (1.0 - settings.soft_photon_efficiency_endcap) * soft,
            (1.0 - settings.soft_photon_efficiency_edge) * soft,
            np.zeros(len(reach)),
        ],
        1.0 - settings.forward_em_efficiency,
    )
    return 1.0 - lost


def smear(energy: Array, sigma: Array, random: np.random.Generator) -> Array:
    """Draw measured energies with exact mean and standard deviation, never negative.

    A gamma distribution: nearly Gaussian where the resolution is good, and with the long tail of a
    sampled shower where it is of the order of the energy. A Gaussian cut at zero would raise the
    mean.
    """
    safe = np.maximum(energy, 1e-9)
    scale = np.maximum(sigma, 1e-9) ** 2 / safe
    return np.asarray(random.gamma(safe / scale, scale))

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
# Between these |eta| the threshold of neutral hadrons grows from that of the barrel to that of the
# endcap, as the lowest energies in the CMS file of `cms_reference.json` do.
GROWTH_BEGIN = 1.8
GROWTH_END = 2.1
# Cells per region and event fit into this, so that event and cell make one integer.
CELLS = 1 << 22

Sizes = tuple[float, float, float, float]


@dataclass(frozen=True)
class Deposits:
    """What particles leave in one calorimeter: flat arrays, energy in GeV.

    `track` is the momentum [GeV] of the track that belongs to the deposit, 0 without one; `hard`
    says whether the particle comes from the hard collision. `showered` is the part of the energy
    [GeV] that is made of showers and has fluctuated already; None: nothing of any deposit.
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
    showered: Array | None = None


@dataclass(frozen=True)
class Clusters:
    """Deposits summed over cells: flat arrays, GeV and cm.

    `energy` is the true sum, `track` that of the momenta of tracks that point at the cell,
    `hard_fraction` the part of the energy without track that comes from the hard collision (of all
    energy, where each deposit has a track). Positions are means weighted with the energy without
    track, because that is what a neutral candidate is made of. `key` is the number of event and
    cell (`cell_key`), by which clusters are ordered. `showered` is the sum of that of the deposits.
    """

    event: Array
    key: Array
    eta: Array
    x: Array
    y: Array
    z: Array
    energy: Array
    track: Array
    hard_fraction: Array
    showered: Array | None = None


def cell_sizes(electromagnetic: bool, settings: CalorimeterSettings) -> Sizes:
    """Size of the cells of one calorimeter in barrel, endcap, its edge and HF.

    The towers at the edge of HCAL are coarse, and a cluster there spreads over its neighbours: the
    size is set so that number and energy of neutral hadrons match `cms_reference.json`.
    """
    s = settings
    if electromagnetic:
        return s.ecal_cell, s.ecal_cell, s.ecal_cell, s.forward_cell
    return s.hcal_cell_barrel, s.hcal_cell_endcap, s.hcal_cell_edge, s.forward_cell


def cell_number(eta: Array, phi: Array, sizes: Sizes) -> Array:
    """Number the cells of barrel, endcap, its edge and HF; `sizes` in eta and phi."""
    region = np.digitize(np.abs(eta), (BARREL_END, TRACKER_END, ENDCAP_END))
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


def cell_key(event: Array, eta: Array, phi: Array, sizes: Sizes) -> Array:
    """Make one number of event and cell.

    Raises
    ------
    ValueError
        The cells are so small that their numbers overflow.
    """
    cell = cell_number(eta, phi, sizes)
    if len(cell) and cell.max() >= CELLS:
        raise ValueError(f"calorimeter cells of {sizes} are too small to be numbered")
    return np.asarray(event.astype(np.int64) * CELLS + cell)


def cluster(deposits: Deposits, sizes: Sizes) -> Clusters:
    """Sum deposits over the cells of each event.

    Raises
    ------
    ValueError
        The cells are so small that their numbers overflow.
    """
    return summed(deposits, cell_key(deposits.event, deposits.eta, deposits.phi, sizes))


def summed(deposits: Deposits, key: Array) -> Clusters:
    """Sum the deposits of equal keys; deposits of two events have different ones."""
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
        key=ordered[begin],
        eta=np.arcsinh(z / np.maximum(np.hypot(x, y), 1e-9)),
        x=x,
        y=y,
        z=z,
        energy=energy,
        track=total(deposits.track),
        hard_fraction=total(weight * deposits.hard) / norm,
        showered=None if deposits.showered is None else total(deposits.showered),
    )


def ecal_resolution(energy: Array, eta: Array, settings: CalorimeterSettings) -> Array:
    """Standard deviation [GeV] of the energy of a photon.

    |eta| < 3: the stochastic term of the CMS test beam (2.8 %; JINST 2 (2007) P04004). Its constant
    term of 0.3 % is raised to 0.7 % for calibration in situ; that and the noise of 0.12 GeV are
    choices of ours. Beyond: HF, 140 % and 9 %, chosen so that the tail of the spectrum in
    `cms_reference.json` is met (208 % and 10.7 % in cards/delphes_card_CMS.tcl of Delphes 3).
    """
    forward = np.abs(eta) >= ENDCAP_END
    stochastic = np.where(forward, settings.forward_em_stochastic, settings.ecal_stochastic)
    constant = np.where(forward, settings.forward_em_constant, settings.ecal_constant)
    noise = np.where(forward, 0.0, settings.ecal_noise)
    return np.sqrt(stochastic**2 * energy + (constant * energy) ** 2 + noise**2)


def hcal_resolution(energy: Array, eta: Array, settings: CalorimeterSettings) -> Array:
    """Standard deviation [GeV] of the energy of a hadron in ECAL and HCAL together.

    |eta| < 3: 110 %/sqrt(E) + 9 %. Beyond: HF, 180 %/sqrt(E) + 11 %, for the same reason as in
    `ecal_resolution`. Both are choices of ours; cards/delphes_card_CMS.tcl of Delphes 3
    (arXiv:1307.6346) has 150 % and 5 %, beyond |eta| = 3 270 % and 13 %. For soft hadrons the
    formula exceeds the energy itself; `hcal_relative_max` bounds it, which also keeps them from
    reaching far above their energy, where `cms_reference.json` has few.
    """
    forward = np.abs(eta) >= ENDCAP_END
    stochastic = np.where(forward, settings.forward_had_stochastic, settings.hcal_stochastic)
    constant = np.where(forward, settings.forward_had_constant, settings.hcal_constant)
    sigma = np.sqrt(stochastic**2 * energy + (constant * energy) ** 2)
    return np.where(forward, sigma, np.minimum(sigma, settings.hcal_relative_max * energy))


def response(
    energy: Array, eta: Array, electromagnetic: Array, settings: CalorimeterSettings
) -> Array:
    """Mean visible part of a particle's energy.

    |eta| < 3: one for photons and electrons, 1 - exp(-E / hadron_response_energy) for hadrons,
    which resembles the calibrated response of CMS: one above some 5 GeV, and falling below, where a
    hadron stops in front of the HCAL or stays under its thresholds (cf. arXiv:1706.04965).
    From 2.5 to 3, hadrons keep `hcal_response_edge` of that. Beyond, `forward_response` for all,
    since candidates there carry no calibration. The three numbers are set so that densities and
    spectra match `cms_reference.json`.
    """
    if settings.hadron_response_energy == 0:
        hadrons = np.ones(len(energy))
    else:
        hadrons = -np.expm1(-energy / settings.hadron_response_energy)
    reach = np.abs(eta)
    hadrons = np.where(reach < TRACKER_END, hadrons, settings.hcal_response_edge * hadrons)
    central = np.where(electromagnetic, 1.0, hadrons)
    return np.where(reach >= ENDCAP_END, settings.forward_response, central)


def threshold(eta: Array, electromagnetic: bool, settings: CalorimeterSettings) -> Array:
    """Lowest raw energy [GeV] of a candidate.

    Photons have one per region. That of hadrons is constant up to `GROWTH_BEGIN`, then grows
    exponentially to `GROWTH_END`, towards the noisier, irradiated towers. They are set after the
    lowest energies of candidates in the CMS file, which are (calibrated, see `calibrated`) 0.29,
    0.8 and about 3 GeV for photons, 1.0 GeV for hadrons of |eta| < 1.7 and some 5 GeV for those
    beyond 2.1, and in HF 1.4 and 3.6 GeV.
    """
    s = settings
    reach = np.abs(eta)
    if electromagnetic:
        regions = [reach < BARREL_END, reach < TRACKER_END, reach < ENDCAP_END]
        lowest = [s.ecal_threshold_barrel, s.ecal_threshold_endcap, s.ecal_threshold_edge]
        return np.select(regions, lowest, s.forward_em_threshold)
    growth = s.hcal_threshold_endcap / s.hcal_threshold_barrel
    way = np.clip((reach - GROWTH_BEGIN) / (GROWTH_END - GROWTH_BEGIN), 0.0, 1.0)
    central = s.hcal_threshold_barrel * growth**way
    return np.where(reach < ENDCAP_END, central, s.forward_had_threshold)


def visibility(
    energy: Array, eta: Array, electromagnetic: bool, settings: CalorimeterSettings
) -> Array:
    """Probability that a cluster of this raw energy [GeV] makes a candidate.

    Zero below `threshold`. Where noise differs from tower to tower and so do thresholds, clusters
    become visible with 1 - exp(-(E - threshold) / w): all in HF, with w = `threshold_width` times
    the threshold, and hadrons beyond `GROWTH_BEGIN`, with the threshold less that of the barrel in
    its place.

    Soft photons of |eta| < 3 are lost with a probability that dies out as exp(-E / scale): they end
    in clusters of tracks or, in the endcaps, in the preshower. It begins at
    1 - `soft_photon_efficiency` in the barrel and at one beyond. For |eta| > 4, only the part
    `forward_em_efficiency` of electromagnetic clusters is told from hadrons in the same tower. The
    numbers are set so that spectra match `cms_reference.json`.
    """
    s = settings
    reach = np.abs(eta)
    forward = reach >= ENDCAP_END
    lowest = threshold(eta, electromagnetic, s)
    central = 0.0 if electromagnetic else lowest - s.hcal_threshold_barrel
    width = s.threshold_width * np.where(forward, lowest, central)
    above = np.maximum(energy - lowest, 0.0)
    seen = -np.expm1(-above / np.maximum(width, 1e-9))
    if not electromagnetic:
        return seen
    barrel = reach < BARREL_END
    missed = np.where(barrel, 1.0 - s.soft_photon_efficiency, 1.0)
    scale = np.where(barrel, s.soft_photon_energy_barrel, s.soft_photon_energy_endcap)
    found = 1.0 - missed * np.exp(-np.maximum(energy, 0.0) / scale)
    told = np.where(reach < FORWARD_PHOTON_END, 1.0, s.forward_em_efficiency)
    return np.asarray(seen * np.where(forward, told, found))


def calibrated(
    energy: Array, eta: Array, electromagnetic: bool, settings: CalorimeterSettings
) -> Array:
    """Energy [GeV] of the candidate that a cluster of this raw energy becomes.

    sqrt(E^2 + (b T)^2) for |eta| < 3, T being the threshold (of hadrons, that of the barrel) and b
    `threshold_bias`: what is just above the threshold has mostly fluctuated upwards, and the
    calibration replaces what lies in cells below their own thresholds. In the CMS file spectra pile
    up right above the lowest energy, which this reproduces.
    """
    s = settings
    lowest = threshold(eta, True, s) if electromagnetic else s.hcal_threshold_barrel
    bias = np.where(np.abs(eta) < ENDCAP_END, s.threshold_bias * lowest, 0.0)
    return np.hypot(energy, bias)


def smear(energy: Array, sigma: Array, random: np.random.Generator) -> Array:
    """Draw measured energies with exact mean and standard deviation, never negative.

    A gamma distribution: nearly Gaussian where the resolution is good, and with the long tail of a
    sampled shower where it is of the order of the energy. A Gaussian cut at zero would raise the
    mean.
    """
    safe = np.maximum(energy, 1e-9)
    scale = np.maximum(sigma, 1e-9) ** 2 / safe
    return np.asarray(random.gamma(safe / scale, scale))

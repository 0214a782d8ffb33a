"""Particles of jets with the resolution of a trigger: whole numbers of steps of pT and angles."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fullchain.firmware.inputs_settings import InputsSettings
from fullchain.jets import arrays
from fullchain.jets.arrays import offsets_of, sums

Array = NDArray[Any]

FIELDS = ("pt", "eta", "phi", "mass", "charge", "pdgId")
"""Of the particles of jets, in this order."""

PHOTON, ELECTRON, MUON = 22, 11, 13


@dataclass(frozen=True)
class Particles:
    """Particles of all jets one after the other, in falling pT within a jet.

    Parameters
    ----------
    pt, eta, phi
        (n) [GeV, rad]; angles of coarse particles are those to the axis of the jet.
    mass
        (n) [GeV]; 0 for coarse ones.
    charge, code
        (n) electric charge [e] and PDG code.
    offsets
        (jets + 1) where the particles of each jet begin.
    """

    pt: Array
    eta: Array
    phi: Array
    mass: Array
    charge: Array
    code: Array
    offsets: Array

    @classmethod
    def of(cls, padded: Array) -> "Particles":
        """From (jets, particles, `FIELDS`) with zeros where there is no particle."""
        there = padded[..., 0] > 0
        pt, eta, phi, mass, charge, code = padded[there].astype(np.float64).T.copy()
        return cls(pt, eta, phi, mass, charge, code, offsets_of(there.sum(axis=1)))

    @property
    def jet(self) -> NDArray[np.intp]:
        """Number of the jet of each particle, (n)."""
        return np.repeat(np.arange(len(self.offsets) - 1), np.diff(self.offsets))

    def where(self, keep: NDArray[np.bool_]) -> "Particles":
        """Give the particles of a mask, in as many jets."""
        counts = np.bincount(self.jet[keep], minlength=len(self.offsets) - 1)
        return Particles(
            self.pt[keep],
            self.eta[keep],
            self.phi[keep],
            self.mass[keep],
            self.charge[keep],
            self.code[keep],
            offsets_of(counts),
        )

    def leading(self, number: int | None) -> "Particles":
        """Give the first `number` particles of each jet; None gives all."""
        if number is None:
            return self
        return self.where(np.arange(len(self.pt)) - self.offsets[self.jet] < number)

    def momenta(self) -> Array:
        """Give px, py, pz, E [GeV], (n, 4)."""
        return arrays.momenta(self.pt, self.eta, self.phi, self.mass)


def _steps(values: Array, step: float) -> Array:
    """Round to whole numbers of steps, halves upwards."""
    return np.floor(values / step + 0.5)


def coarsen(particles: Particles, axis: Array, settings: InputsSettings) -> Particles:
    """Give the particles as a trigger sees them: massless, angles relative to the coarse axis.

    Each of pT, eta and phi is rounded to whole steps, and so is the axis; pT saturates at
    2^pt_bits - 1 steps, differences of angles at -2^(angle_bits - 1) and 2^(angle_bits - 1) - 1.
    Particles whose pT rounds to zero, or that are below a threshold, are dropped.

    Parameters
    ----------
    particles
        With full resolution.
    axis
        (jets, 2) eta and phi of the jets.
    settings
        Steps, bits and thresholds.
    """
    jet = particles.jet
    highest = 2.0**settings.pt_bits - 1.0
    pt = np.minimum(_steps(particles.pt, settings.pt_step), highest) * settings.pt_step
    coarse_axis = _steps(np.asarray(axis, dtype=np.float64), settings.angle_step)
    eta = _steps(particles.eta, settings.angle_step) - coarse_axis[jet, 0]
    phi = _steps(particles.phi, settings.angle_step) - coarse_axis[jet, 1]
    turn = 2.0 * np.pi / settings.angle_step
    phi = np.rint(phi - turn * np.rint(phi / turn))
    reach = 2.0 ** (settings.angle_bits - 1)
    eta, phi = (np.clip(angle, -reach, reach - 1.0) * settings.angle_step for angle in (eta, phi))
    kept = (pt > 0) & (pt >= settings.pt_min)
    kept &= (particles.charge == 0) | (pt >= settings.charged_pt_min)
    massless = np.zeros_like(pt)
    code = np.abs(particles.code)
    coarse = Particles(pt, eta, phi, massless, particles.charge, code, particles.offsets)
    return coarse.where(kept)


def quantities(coarse: Particles, names: Sequence[str], number: int) -> NDArray[np.float32]:
    """Give named quantities of the leading particles.

    Parameters
    ----------
    coarse
        What `coarsen` gives.
    names
        As in `inputs_settings.Quantity`. `pt_share` is pT over the sum over all coarse particles of
        the jet, also those that are not among the leading ones.
    number
        How many particles of each jet.

    Returns
    -------
        (jets, number, names), zeros where there is no particle.
    """
    neutral = coarse.charge == 0
    total = sums(coarse.pt, coarse.offsets)[coarse.jet]
    known = {
        "pt": coarse.pt,
        "pt_share": coarse.pt / total,
        "deta": coarse.eta,
        "dphi": coarse.phi,
        "charge": coarse.charge,
        "photon": coarse.code == PHOTON,
        "neutral_hadron": neutral & (coarse.code != PHOTON),
        "electron": coarse.code == ELECTRON,
        "muon": coarse.code == MUON,
    }
    place = np.arange(len(coarse.pt)) - coarse.offsets[coarse.jet]
    first = place < number
    result = np.zeros((len(coarse.offsets) - 1, number, len(names)), dtype=np.float32)
    for index, name in enumerate(names):
        result[coarse.jet[first], place[first], index] = known[name][first]
    return result

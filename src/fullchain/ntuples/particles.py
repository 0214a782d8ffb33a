"""Particles of many events as one structure of flat arrays."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]

# Electric charge of the particle (not antiparticle) of species that can reach a detector.
CHARGE = {
    11: -1, 12: 0, 13: -1, 14: 0, 15: -1, 16: 0, 22: 0, 130: 0, 211: 1, 310: 0, 321: 1,
    2112: 0, 2212: 1, 3112: -1, 3122: 0, 3222: 1, 3312: -1, 3322: 0, 3334: -1,
}  # fmt: skip
NEUTRINOS = (12, 14, 16)

_SPECIES = np.array(sorted(CHARGE))
_CHARGES = np.array([CHARGE[species] for species in sorted(CHARGE)], dtype=np.int8)


@dataclass(frozen=True)
class Particles:
    """Flat arrays, one entry per particle, in any order.

    `interaction` is 0 for the hard collision and counts the pile-up collisions of an event from 1.
    Momenta and energies in GeV, production vertices (x, y, z) in cm.
    """

    event: Array
    interaction: Array
    pdg_id: Array
    charge: Array
    px: Array
    py: Array
    pz: Array
    e: Array
    x: Array
    y: Array
    z: Array

    def __len__(self) -> int:
        """Number of particles."""
        return len(self.event)

    def select(self, chosen: Array) -> Particles:
        """Give the particles of a mask or of an index array."""
        return Particles(**{f.name: getattr(self, f.name)[chosen] for f in fields(self)})

    @property
    def pt(self) -> Array:
        """Transverse momentum [GeV]."""
        return np.hypot(self.px, self.py)

    @property
    def phi(self) -> Array:
        """Azimuth of the momentum."""
        return np.arctan2(self.py, self.px)

    @property
    def eta(self) -> Array:
        """Pseudorapidity of the momentum."""
        return pseudorapidity(self.pt, self.pz)


def concatenate(parts: Sequence[Particles]) -> Particles:
    """Put particles together, in the order of `parts`."""
    return Particles(
        **{f.name: np.concatenate([getattr(p, f.name) for p in parts]) for f in fields(Particles)}
    )


def pseudorapidity(pt: Array, pz: Array) -> Array:
    """Pseudorapidity from transverse and longitudinal component (of a momentum or a position)."""
    return np.arcsinh(pz / np.maximum(pt, 1e-12))


def charge_of(pdg_id: Array) -> Array:
    """Electric charge of stable particles, int8.

    Raises
    ------
    ValueError
        A species is not in `CHARGE`.
    """
    species = np.abs(pdg_id)
    place = np.minimum(np.searchsorted(_SPECIES, species), len(_SPECIES) - 1)
    unknown = _SPECIES[place] != species
    if unknown.any():
        raise ValueError(f"no charge known of the species {sorted(set(species[unknown].tolist()))}")
    return np.sign(pdg_id).astype(np.int8) * _CHARGES[place]


def offsets_of(event: Array, events: int) -> Array:
    """Where each event begins in arrays ordered by `event`; shape (events + 1,)."""
    return np.concatenate([[0], np.cumsum(np.bincount(event, minlength=events))]).astype(np.int64)

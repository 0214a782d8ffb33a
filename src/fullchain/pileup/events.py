"""Events as pile-up mitigation sees them: candidates of all of them in flat arrays, and the truth.

What weighs candidates, by whatever method, takes `Events` and gives one weight for each candidate.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fullchain.jets.arrays import momenta, offsets_of, sums

Array = NDArray[Any]


@dataclass(frozen=True)
class Objects:
    """Jets of n events by falling pT: (jets) each [GeV], and (n + 1) where each event begins."""

    pt: Array
    eta: Array
    phi: Array
    mass: Array
    event_offsets: Array

    @property
    def events(self) -> Array:
        """(jets) number of the event of each."""
        return np.repeat(np.arange(len(self.event_offsets) - 1), np.diff(self.event_offsets))

    @property
    def ranks(self) -> Array:
        """(jets) 0 for the leading one of its event, and so on."""
        return np.arange(len(self.pt)) - self.event_offsets[self.events]


@dataclass(frozen=True)
class Truth:
    """What the generator knows of n events.

    Parameters
    ----------
    hard_fraction
        (candidates) part of the energy that is from the hard collision.
    interactions
        (n) number of pile-up interactions.
    weight
        (n) of the event.
    fat_jets, jets
        Particle-level jets, anti-kT with R = 0.8 and 0.4.
    missing
        (n, 2) x and y of the transverse momentum of neutrinos [GeV].
    """

    hard_fraction: Array
    interactions: Array
    weight: Array
    fat_jets: Objects
    jets: Objects
    missing: Array


@dataclass(frozen=True)
class Events:
    """Candidates of n events.

    Parameters
    ----------
    run, luminosity_block, event
        (n) identity.
    vertices
        (n) number of reconstructed vertices.
    event_offsets
        (n + 1) where the candidates of each event begin.
    pt, eta, phi, mass
        (candidates) before any weight [GeV].
    charge, pdg_id, from_pv, dz
        (candidates) as in `fullchain.ntuples.layouts.base`; dz [cm] is NaN without a track.
    stored_weight
        (candidates) PUPPI weight of the file, 1 where it has none.
    truth
        None where it was not asked for.
    """

    run: Array
    luminosity_block: Array
    event: Array
    vertices: Array
    event_offsets: Array
    pt: Array
    eta: Array
    phi: Array
    mass: Array
    charge: Array
    pdg_id: Array
    from_pv: Array
    dz: Array
    stored_weight: Array
    truth: Truth | None = None

    def __len__(self) -> int:
        return len(self.event_offsets) - 1

    @property
    def counts(self) -> Array:
        """(n) number of candidates."""
        return np.diff(self.event_offsets)

    def weighted(self, weights: Array) -> tuple[Array, Array]:
        """Apply weights and leave out what has none.

        Returns
        -------
        momenta
            (kept, 4) px, py, pz, E [GeV].
        event_offsets
            (n + 1).
        """
        kept = weights > 0
        momentum = momenta(self.pt[kept], self.eta[kept], self.phi[kept], self.mass[kept])
        counts = sums(kept.astype(np.float64), self.event_offsets).astype(np.int64)
        return momentum * weights[kept][:, None], offsets_of(counts)

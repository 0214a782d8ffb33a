"""Photons and electrons as showers that share crystals with their neighbours.

A shower lies around the line of sight from the centre of the detector to the point where the
particle meets the calorimeter, along which crystals point: its voxels are projected on the face,
r cos(alpha) along eta and r sin(alpha) along phi, whatever their depth. Crystals that many showers
reach have the sum of their energies; clusters are those of `crystal_clusters`.

The energy of a particle is the sum of its voxels over their mean sum at that energy: leakage is
corrected on average. What fluctuates beside is added once: of the resolution formula of the
calorimeter (stochastic and constant term) the part that the showers do not have by themselves at
that energy, and the noise, once for each cluster.
"""

from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fullchain.errors import InputError
from fullchain.ntuples import calorimeter
from fullchain.ntuples.calorimeter import ENDCAP_END, Clusters, Deposits
from fullchain.ntuples.detector_settings import CalorimeterSettings
from fullchain.ntuples.electromagnetic_settings import ShowerResponse
from fullchain.ntuples.shower_crystals import (
    Crystals,
    Grid,
    Hits,
    in_crystals,
    joined,
    picked,
    pointlike,
    together,
)
from fullchain.ntuples.shower_points import points
from fullchain.ntuples.shower_source import ShowerSource, calibrate

Array = NDArray[Any]

CHUNK = 1000
"""Showers that are drawn at once, in the order of falling distance from the beam."""


@dataclass
class Counts:
    """How many photons and electrons of |eta| < 3 there were, and with how much energy [GeV]."""

    number: dict[str, int] = field(default_factory=dict)
    energy: dict[str, float] = field(default_factory=dict)

    def add(self, what: str, energy: Array) -> None:
        """Count particles."""
        self.number[what] = self.number.get(what, 0) + len(energy)
        self.energy[what] = self.energy.get(what, 0.0) + float(energy.sum())


SHOWERED, SOFT, BELOW, ABOVE = "showered", "soft", "below_range", "above_range"


class Showering:
    """The electromagnetic calorimeter with showers, as `detector.reconstruct` takes it.

    Parameters
    ----------
    source
        What showers come from.
    settings
        Crystals, least energy, clusters.
    random
        Stream of the calibration.

    Attributes
    ----------
    random
        Stream of the numbers of a block of events; set with `of_block`.
    counts
        Of all blocks so far.
    crystals
        Of the last block.
    """

    def __init__(
        self, source: ShowerSource, settings: ShowerResponse, random: np.random.Generator
    ) -> None:
        self.source = source
        self.settings = settings
        self.calibration = calibrate(
            source, settings.least_energy, settings.calibration_showers, random
        )
        self.points = points(source.places)
        self.counts = Counts()
        self.crystals: Crystals | None = None
        self.random = random

    def of_block(self, random: np.random.Generator) -> "Showering":
        """Take a stream for the next block of events."""
        self.random = random
        return self

    def clusters(self, deposits: Deposits, photons: Array, calo: CalorimeterSettings) -> Clusters:
        """Make clusters.

        Parameters
        ----------
        deposits
            Of photons and electrons, each in the point where the particle meets the calorimeter.
        photons
            Whether they are photons, (n).
        calo
            Face and cells of the calorimeter.
        """
        chosen = self._chosen(deposits)
        spread = [pointlike(picked(deposits, ~chosen), Grid.of(self.settings, calo))]
        for species in (True, False):
            of_kind = np.flatnonzero(chosen & (photons == species))
            # Near the beam a shower covers more eta; similar ones go together.
            distance = np.hypot(deposits.x[of_kind], deposits.y[of_kind])
            of_kind = of_kind[np.argsort(-distance, kind="stable")]
            for first in range(0, len(of_kind), CHUNK):
                some = picked(deposits, of_kind[first : first + CHUNK])
                spread.append(self._showered(some, species, calo))
        clusters, self.crystals = joined(together(spread), self.settings, calo)
        return clusters

    def _chosen(self, deposits: Deposits) -> Array:
        """Find what becomes a shower, and count what does not."""
        energy = deposits.energy
        central = np.abs(deposits.eta) < ENDCAP_END
        soft = central & (energy < self.settings.least_energy)
        below = central & ~soft & (energy < self.source.lowest)
        above = central & (energy > self.source.highest)
        chosen = central & ~soft & ~below & ~above
        for what, which in ((SHOWERED, chosen), (SOFT, soft), (BELOW, below), (ABOVE, above)):
            self.counts.add(what, energy[which])
        return chosen

    def check(self) -> None:
        """Check that few particles were outside the energies of the source.

        Raises
        ------
        InputError
            More than `most_outside`; says how many, and where they lie.
        """
        number = self.counts.number
        outside = number.get(BELOW, 0) + number.get(ABOVE, 0)
        total = outside + number.get(SHOWERED, 0)
        if outside > self.settings.most_outside * total:
            raise InputError(
                f"{self.source.name}: showers are made for {self.source.lowest:g} to "
                f"{self.source.highest:g} GeV, and of {total} photons and electrons above "
                f"{self.settings.least_energy:g} GeV {number.get(BELOW, 0)} lie below and "
                f"{number.get(ABOVE, 0)} above; train at these energies, or raise "
                "least_energy or most_outside"
            )

    def summary(self) -> str:
        """Say what was done with how many particles."""
        number, energy = self.counts.number, self.counts.energy
        total = max(sum(energy.values()), 1e-30)
        words = {
            SHOWERED: "became showers",
            SOFT: f"below {self.settings.least_energy:g} GeV kept the resolution formula",
            BELOW: f"below the {self.source.lowest:g} GeV of the showers kept the formula",
            ABOVE: f"above the {self.source.highest:g} GeV of the showers kept the formula",
        }
        parts = [
            f"{number[what]} photons and electrons ({energy[what] / total:.2%} of the energy) {how}"
            for what, how in words.items()
            if number.get(what)
        ]
        return f"{self.source.name}: {'; '.join(parts) or 'no photons and electrons'}"

    def _showered(self, some: Deposits, photons: bool, calo: CalorimeterSettings) -> Hits:
        """Spread particles over crystals."""
        voxels = self.source.showers(some.energy, photons, self.random)
        mean, spread = self.calibration.at(some.energy, np.full(len(some.energy), photons))
        wanted = calorimeter.ecal_resolution(some.energy, some.eta, calo) ** 2 - calo.ecal_noise**2
        own = (spread / mean * some.energy) ** 2
        missing = np.sqrt(np.maximum(wanted - own, 0.0))
        factor = np.ones(len(mean))
        smeared = missing > 0
        drawn = calorimeter.smear(some.energy[smeared], missing[smeared], self.random)
        factor[smeared] = drawn / some.energy[smeared]
        energies = self.points.energies(voxels) * (factor / mean)[:, None]
        return in_crystals(some, energies, self.points, Grid.of(self.settings, calo))

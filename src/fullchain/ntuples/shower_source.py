"""What showers come from, and the calibration of their mean response."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fullchain.errors import InputError
from fullchain.ntuples.shower_points import VoxelPlaces

Array = NDArray[Any]

GEV = 1000.0  # MeV
STEPS_PER_OCTAVE = 1.0
LARGEST_ENERGY = 4000.0  # GeV; that calibration goes up to

Draw = Callable[[Array, bool, np.random.Generator], Array]


@dataclass(frozen=True)
class ShowerSource:
    """What showers come from.

    Parameters
    ----------
    name
        For messages.
    draw
        Gives voxels [MeV], (n, voxels), for energies [MeV], (n), whether the particles are photons,
        and a stream of random numbers.
    places
        Where the voxels lie.
    lowest, highest
        Energies that it can be asked for [GeV].
    tells_electrons
        Whether showers of electrons differ from those of photons.
    """

    name: str
    draw: Draw
    places: VoxelPlaces
    lowest: float
    highest: float
    tells_electrons: bool

    def showers(self, energy: Array, photons: bool, random: np.random.Generator) -> Array:
        """Draw voxels [GeV], (n, voxels), for energies [GeV], (n).

        Raises
        ------
        InputError
            What comes is not finite, negative, or of another number of voxels.
        """
        voxels = np.asarray(self.draw(energy * GEV, photons, random)) / GEV
        if voxels.shape != (len(energy), len(self.places.radii)):
            raise InputError(
                f"{self.name}: {len(energy)} showers have shape {voxels.shape}, and the geometry "
                f"has {len(self.places.radii)} voxels"
            )
        wrong = ~np.isfinite(voxels).all(axis=1) | (voxels < 0).any(axis=1)
        if wrong.any():
            raise InputError(
                f"{self.name}: {int(wrong.sum())} of {len(energy)} showers have voxels that are "
                f"negative or not finite, first at {energy[wrong][0]:g} GeV"
            )
        return voxels


@dataclass(frozen=True)
class Calibration:
    """Mean and spread of the sum of voxels over the energy of the particle.

    Parameters
    ----------
    energy
        Where it was measured [GeV], rising, (n).
    mean, spread
        For electrons and photons, (2, n).
    error
        Statistical error of the mean, (2, n).
    """

    energy: Array
    mean: Array
    spread: Array
    error: Array

    def at(self, energy: Array, photons: Array) -> tuple[Array, Array]:
        """Mean and spread at energies [GeV], along lines in log E."""
        where, known = np.log(energy), np.log(self.energy)

        def value(table: Array) -> Array:
            electron, photon = (np.interp(where, known, row) for row in table)
            return np.where(photons, photon, electron)

        return value(self.mean), value(self.spread)

    def described(self) -> dict[str, Any]:
        """Give the numbers for a file."""
        return {
            "energy_gev": self.energy.tolist(),
            **{
                species: {
                    name: getattr(self, name)[row].tolist() for name in ("mean", "spread", "error")
                }
                for row, species in enumerate(("electrons", "photons"))
            },
        }


def calibrate(
    source: ShowerSource, least: float, number: int, random: np.random.Generator
) -> Calibration:
    """Measure the response of a source.

    Parameters
    ----------
    least
        Lowest energy [GeV] that matters.
    number
        Showers at each energy, of which there is one in each octave.

    Raises
    ------
    InputError
        Showers have no energy at all at some energy, or no energy is left to ask for.
    """
    low, high = max(source.lowest, least), min(source.highest, LARGEST_ENERGY)
    if low >= high:
        raise InputError(
            f"{source.name}: showers are made for {source.lowest:g} to {source.highest:g} GeV, and "
            f"are asked for above {least:g} GeV; lower least_energy, or train at higher energies "
            "(1000 MeV are one GeV)"
        )
    energies = np.geomspace(low, high, int(np.ceil(np.log2(high / low) * STEPS_PER_OCTAVE)) + 1)
    species = (False, True) if source.tells_electrons else (True,)
    table = []
    for photons in species:
        drawn = source.showers(np.repeat(energies, number), photons, random).sum(axis=1)
        part = drawn.reshape(-1, number) / energies[:, None]
        spread = part.std(axis=1, ddof=1)
        table.append((part.mean(axis=1), spread, spread / np.sqrt(number)))
        empty = table[-1][0] <= 0
        if empty.any():
            raise InputError(f"{source.name}: no energy in showers of {energies[empty][0]:g} GeV")
    mean, spread, error = (
        np.stack([(table[0], table[-1])[k][n] for k in (0, 1)]) for n in range(3)
    )
    return Calibration(energies, mean, spread, error)

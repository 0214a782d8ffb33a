"""Showers of the full parameterisation for the electromagnetic calorimeter of `ntuples`."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from fullchain.calorimetry import detector, gflash
from fullchain.calorimetry.detector_settings import DetectorSettings
from fullchain.calorimetry.voxel_places import voxel_places
from fullchain.ntuples.shower_source import ShowerSource

Array = NDArray[Any]


def parameterised(name: str, settings: DetectorSettings) -> ShowerSource:
    """Give the showers of a detector of calorimetry.detectors.

    Parameters
    ----------
    name, settings
        Of the detector.

    Raises
    ------
    InputError
        The detector cannot be built.
    """
    built = detector.build(settings)

    def draw(energies: Array, photons: bool, random: np.random.Generator) -> Array:
        return gflash.showers(energies, built, random, photons=photons)

    return ShowerSource(
        f"parameterised showers in {name}",
        draw,
        voxel_places(built.geometry),
        lowest=0.0,
        highest=np.inf,
        tells_electrons=True,
    )

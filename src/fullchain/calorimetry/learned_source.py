"""Showers of a generative model for the electromagnetic calorimeter of `ntuples`."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from fullchain.calorimetry import geometry as geometry_module
from fullchain.calorimetry import model_file
from fullchain.calorimetry.detector_settings import DetectorSettings
from fullchain.calorimetry.shower_model import ShowerModel
from fullchain.calorimetry.voxel_places import voxel_places
from fullchain.errors import InputError
from fullchain.learning.device import keeping_memory, repeatable
from fullchain.ntuples.shower_source import ShowerSource

Array = NDArray[Any]

MEV = 1e-3  # GeV


@contextmanager
def opened(path: Path, detector: str, settings: DetectorSettings) -> Iterator[ShowerSource]:
    """Give the showers of a model file, with deterministic kernels on one thread.

    Parameters
    ----------
    path
        What the training wrote.
    detector, settings
        Name of the detector whose showers are wanted, and what it is.

    Raises
    ------
    InputError
        The file cannot be read, or the model was trained for another geometry.
    """
    model = model_file.read(path)[0]
    with repeatable(1), keeping_memory():
        yield learned(model, str(path), detector, settings)


def learned(
    model: ShowerModel, name: str, detector: str, settings: DetectorSettings
) -> ShowerSource:
    """Give the showers of a model.

    Electrons have the showers of the particle that the model was trained with, like all others.

    Raises
    ------
    InputError
        The model was trained for another geometry.
    """
    own, wanted = model.preprocessing.geometry, geometry_module.load(settings.geometry)
    if own.layers != wanted.layers:
        raise InputError(
            f"{name}: the model was trained for the geometry {own.name!r} with "
            f"{len(own.layers)} layers and {own.voxels} voxels; that of calorimetry.detectors."
            f"{detector} has {len(wanted.layers)} layers and {wanted.voxels} voxels"
            + ("" if own.voxels != wanted.voxels else ", with other edges")
            + "; train a model with showers of this detector"
        )
    model.eval()
    low, high = model.preprocessing.energy_range.tolist()

    def draw(energies: Array, photons: bool, random: np.random.Generator) -> Array:
        generator = torch.Generator().manual_seed(int(random.integers(2**62)))
        incident = torch.from_numpy(np.clip(energies, low, high)).float().view(-1, 1)
        return np.asarray(model.sample(incident, generator).numpy())

    return ShowerSource(name, draw, voxel_places(own), low * MEV, high * MEV, tells_electrons=False)

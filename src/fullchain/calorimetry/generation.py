"""Draw showers of a model batch by batch."""

from collections.abc import Iterator
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from fullchain.calorimetry.shower_model import ShowerModel
from fullchain.seeds import derive

Array = NDArray[Any]


def batches(model: ShowerModel, energies: Array, size: int, seed: int) -> Iterator[Array]:
    """Draw showers.

    Parameters
    ----------
    model
        Ready to draw from, on its device.
    energies
        Of the particles [MeV], (n).
    size
        Showers of a batch; what is drawn depends on it.
    seed
        Of the chance; each batch has its own.

    Yields
    ------
    Energies of voxels [MeV], (batch, voxels), float32, for the energies in order.
    """
    place = model.preprocessing.energy_range.device
    for number, first in enumerate(range(0, len(energies), size)):
        generator = torch.Generator(place).manual_seed(derive(seed, "batch", number))
        incident = torch.from_numpy(energies[first : first + size]).float().view(-1, 1)
        yield model.sample(incident.to(place), generator).cpu().numpy().astype(np.float32)

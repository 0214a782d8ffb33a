"""Showers divided into energies of layers and shapes of layers."""

from dataclasses import dataclass

import torch
from torch import Tensor

from fullchain.calorimetry.energy_ratios import SMALLEST
from fullchain.calorimetry.geometry import Geometry
from fullchain.calorimetry.shower_file import Showers
from fullchain.errors import InputError


@dataclass(frozen=True)
class Parts:
    """Showers divided into energies of layers and the shapes of layers, float32.

    Parameters
    ----------
    incident
        Energy of the incident particle [MeV], (n, 1).
    ratios
        u_0, u_1, ... of the module, (n, layers).
    fractions
        Of the energy of the layer in each voxel, (n, voxels); 0 in an empty layer.
    """

    incident: Tensor
    ratios: Tensor
    fractions: Tensor

    @property
    def tensors(self) -> tuple[Tensor, Tensor, Tensor]:
        """Incident energies, ratios and fractions."""
        return self.incident, self.ratios, self.fractions

    def select(self, chosen: Tensor) -> "Parts":
        """Give some of the showers."""
        return Parts(self.incident[chosen], self.ratios[chosen], self.fractions[chosen])

    def columns(self) -> dict[str, Tensor]:
        """Give the named columns that a training loop takes."""
        return {"incident": self.incident, "ratios": self.ratios, "fractions": self.fractions}


def divide(showers: Showers, geometry: Geometry) -> Parts:
    """Divide showers.

    Raises
    ------
    InputError
        A shower without any energy has no shape.
    """
    layers = torch.from_numpy(geometry.layer_energies(showers.voxels))
    incident = torch.from_numpy(showers.energies).view(-1, 1)
    total = layers.sum(dim=1, keepdim=True)
    empty = int((total <= 0).sum())
    if empty:
        raise InputError(
            f"{empty} of {len(showers)} showers have no energy in any voxel; leave out the lowest "
            "energies or lower the threshold"
        )
    # What is left from each layer on; the last ratio would always be one.
    left = layers.flip(1).cumsum(1).flip(1)
    ratios = torch.cat([total / incident, layers[:, :-1] / left[:, :-1].clamp_min(SMALLEST)], dim=1)
    voxels = torch.from_numpy(showers.voxels)
    own = layers.float().clamp_min(SMALLEST)
    fractions = torch.cat(
        [voxels[:, place] / own[:, [number]] for number, place in enumerate(geometry.slices)], dim=1
    )
    return Parts(incident.float(), ratios.float(), fractions)

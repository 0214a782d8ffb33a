"""CaloFlow: autoregressive flows of layer energies and of voxels.

C. Krause and D. Shih, 2106.05285: flow I learns the energies of layers given the incident energy,
flow II the voxels given both; each is a stack of masked networks (MADE) that shape
rational-quadratic splines. The density takes one pass.
"""

import torch
from torch import Tensor

from fullchain.calorimetry.autoregressive_settings import AutoregressiveSettings
from fullchain.calorimetry.masked_flow import MaskedFlow
from fullchain.calorimetry.masked_flow_settings import MaskedFlowSettings
from fullchain.calorimetry.preprocessing import Preprocessing
from fullchain.calorimetry.shower_model import ShowerModel

FAINT = 1e-3
"""Energies of layers below it are as good as none to the condition [MeV]."""

CENTRE, SCALE = 3.0, 1.5
"""What makes logarithms of energies of layers [log10(E/MeV)] numbers of order one."""


class AutoregressiveModel(ShowerModel):
    """Both flows.

    Parameters
    ----------
    preprocessing
        Measured on the showers of the training.
    energy_flow, shower_flow
        Sizes of flow I and flow II.
    inverse
        Whether flow II has fast samples (inverse autoregressive) instead of fast densities.
    """

    def __init__(
        self,
        preprocessing: Preprocessing,
        energy_flow: MaskedFlowSettings,
        shower_flow: MaskedFlowSettings,
        inverse: bool = False,
    ) -> None:
        super().__init__(preprocessing)
        self.layers = preprocessing.layers
        self.energy_flow, self.shower_flow = energy_flow, shower_flow
        groups = [layer.voxels for layer in preprocessing.geometry.layers]
        self.energies = MaskedFlow([self.layers], 1, energy_flow)
        self.shower = MaskedFlow(groups, 1 + 2 * self.layers, shower_flow, inverse)

    def loss(self, numbers: Tensor, condition: Tensor) -> Tensor:
        """Negative logarithm of the density of numbers (n, numbers) given (n, 1), (n)."""
        energies, voxels = numbers[:, : self.layers], numbers[:, self.layers :]
        shape = self.shower.log_density(voxels, self.given(energies, condition))
        return -self.energies.log_density(energies, condition) - shape

    @torch.no_grad()
    def draw(self, condition: Tensor, generator: torch.Generator) -> Tensor:
        """Draw numbers for conditions (n, 1), (n, numbers)."""
        rows, size = len(condition), self.preprocessing.size
        normal = torch.randn(rows, size, generator=generator, device=condition.device)
        energies = self.energies.sampled(normal[:, : self.layers], condition)
        given = self.given(energies, condition)
        voxels = self.shower.sampled(normal[:, self.layers :], given)
        return torch.cat([energies, voxels], dim=1)

    def given(self, energies: Tensor, condition: Tensor) -> Tensor:
        """Give the condition of flow II, (n, 1 + 2 layers).

        It has the incident energy, the numbers of energies (n, layers), and, as in the paper, the
        logarithms of the energies of layers, on which the number of voxels above threshold depends.
        """
        layers = self.preprocessing.energies_of_layers(energies, condition)
        logarithms = (layers.clamp_min(FAINT).log10() - CENTRE) / SCALE
        return torch.cat([condition, energies, logarithms.to(energies.dtype)], dim=1)


def build(settings: AutoregressiveSettings, preprocessing: Preprocessing) -> AutoregressiveModel:
    """Make an untrained model."""
    return AutoregressiveModel(preprocessing, settings.energy_flow, settings.shower_flow)

"""Showers as numbers with normal marginals, and back.

The first ratio stays as it is, the others are odds of layers: log of the energy of a layer minus
the log of that of all deeper ones. A voxel is the log of its energy over the threshold. An empty
layer or voxel gets an energy drawn evenly below the threshold. The quantiles of odds are tabulated
at the incident energy, those of voxels at the energy of their layer, for each ring of a layer.
"""

import numpy as np
import torch
from torch import Tensor, nn

from fullchain.calorimetry import occupancy
from fullchain.calorimetry.energy_ratios import layer_energies, without_faint
from fullchain.calorimetry.geometry import Geometry
from fullchain.calorimetry.normal_marginals import NormalMarginals
from fullchain.calorimetry.parts import Parts
from fullchain.calorimetry.preprocessing_settings import PreprocessingSettings

FAINTEST = 1e-4
"""Least energy with which what is empty is filled, of the threshold."""

LARGEST = 40.0
"""Log of the energy of a voxel over the threshold, at most."""

POOLED_SHOWERS = 20_000
"""Most showers at one node whose voxels are pooled."""


class NormalNumbers(nn.Module):
    """See the module.

    Parameters
    ----------
    geometry
        Voxels.
    settings
        With marginals: normal.
    """

    def __init__(self, geometry: Geometry, settings: PreprocessingSettings) -> None:
        super().__init__()
        self.geometry, self.settings = geometry, settings
        layers, how = len(geometry.layers), settings.normal
        rings, first = [], 0
        for layer in geometry.layers:
            rings.append(np.tile(first + np.arange(layer.rings), layer.angles))
            first += layer.rings
        self.of_ratios = NormalMarginals(
            np.arange(layers), np.zeros(layers, dtype=int), how.nodes, how.knots
        )
        self.of_voxels = NormalMarginals(
            np.concatenate(rings), geometry.layer_of_voxel, how.nodes, how.knots
        )
        belongs = torch.from_numpy(geometry.layer_of_voxel.astype(np.int64))
        self.belongs: Tensor
        self.register_buffer("belongs", belongs, persistent=False)

    @torch.no_grad()
    def measure(self, parts: Parts, generator: torch.Generator | None = None) -> None:
        """Set the tables to showers."""
        odds, layers, occupied = self._odds(*parts.tensors, generator)
        self._measure_ratios(parts.incident.log().view(-1).double().numpy(), odds.double().numpy())
        energy = layers.clamp_min(self.settings.threshold).log().numpy()
        measured = np.zeros((self.of_voxels.groups, self.of_voxels.nodes), dtype=bool)
        first = 0
        for number, (layer, place) in enumerate(
            zip(self.geometry.layers, self.geometry.slices, strict=True)
        ):
            there = np.flatnonzero(occupied[:, number].numpy())
            own = energy[there, number]
            self.of_voxels.place_nodes(own, number)
            for node, position, rows in self.of_voxels.windows(own, number):
                rows = rows[:: 1 + len(rows) // POOLED_SHOWERS]
                chosen = torch.from_numpy(there[rows])
                # As if the layer had the energy of the node.
                smear = self._smear(torch.zeros(len(rows), 1), generator)
                factor = torch.from_numpy(np.exp(position - own[rows]))[:, None] * smear
                share = parts.fractions[chosen][:, place]
                values = self._values(share * layers[chosen][:, [number]], factor, generator)
                rings = values.numpy().reshape(len(rows), layer.angles, layer.rings)
                for ring in range(layer.rings):
                    self.of_voxels.set_table(first + ring, node, rings[:, :, ring].reshape(-1))
                measured[first : first + layer.rings, node] = True
            first += layer.rings
        self.of_voxels.complete(measured)

    def _measure_ratios(self, energy: np.ndarray, odds: np.ndarray) -> None:
        table = self.of_ratios
        table.place_nodes(energy, 0)
        measured = np.zeros((table.groups, table.nodes), dtype=bool)
        for node, position, rows in table.windows(energy, 0):
            offset = energy[rows] - position
            # Without the trend inside the window, which would widen what is narrow at an energy.
            spread = float(((offset - offset.mean()) ** 2).sum())
            for column, values in enumerate(odds[rows].T):
                slope = float((offset * (values - values.mean())).sum()) / spread if spread else 0.0
                table.set_table(column, node, values - slope * offset)
            measured[:, node] = True
        table.complete(measured)

    def forward(
        self,
        incident: Tensor,
        ratios: Tensor,
        fractions: Tensor,
        generator: torch.Generator | None = None,
    ) -> Tensor:
        """Give the numbers (n, layers + voxels), with fresh noise."""
        odds, layers, occupied = self._odds(incident, ratios, fractions, generator)
        first = self.of_ratios(odds, incident.log())
        energy = layers.clamp_min(self.settings.threshold).log().float()
        factor = (self.of_voxels.held(energy) - energy).exp()
        factor = factor * self._smear(factor, generator)
        voxels = fractions * layers.float()[:, self.belongs]
        values = self._values(voxels, factor[:, self.belongs], generator)
        numbers = self.of_voxels(values, energy)
        # The voxels of an empty layer do not matter.
        free = torch.randn(numbers.shape, generator=generator, device=numbers.device)
        return torch.cat([first, torch.where(occupied[:, self.belongs], numbers, free)], dim=1)

    def inverse(self, numbers: Tensor, incident: Tensor) -> Tensor:
        """Give showers [MeV], (n, voxels), of numbers (n, layers + voxels) and energies (n, 1)."""
        size, threshold = len(self.geometry.layers), self.settings.threshold
        layers = without_faint(self.energies_of_layers(numbers[:, :size], incident), threshold)
        energy = layers.clamp_min(threshold).log().float()
        values = self.of_voxels.inverse(numbers[:, size:], energy).clamp_max(LARGEST)
        voxels = threshold * values.exp()
        return occupancy.scaled(layers, voxels, self.geometry, threshold)

    def energies_of_layers(self, numbers: Tensor, incident: Tensor) -> Tensor:
        """Energies of layers [MeV], (n, layers), of numbers of ratios (n, layers)."""
        odds = self.of_ratios.inverse(numbers, incident.log().float())
        ratios = torch.cat([odds[:, :1].exp(), odds[:, 1:].double().sigmoid()], dim=1)
        return layer_energies(incident, ratios)

    def _odds(
        self,
        incident: Tensor,
        ratios: Tensor,
        fractions: Tensor,
        generator: torch.Generator | None,
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Log of the first ratio and log odds of layers, energies of layers, whether occupied."""
        threshold = self.settings.threshold
        layers = layer_energies(incident, ratios)
        occupied = torch.stack(
            [(fractions[:, place] > 0).any(dim=1) for place in self.geometry.slices], dim=1
        )
        fill = torch.rand(layers.shape, generator=generator, device=layers.device)
        faint = threshold * fill.clamp_min(FAINTEST).double()
        filled = torch.where(occupied, layers.clamp_min(threshold), faint)
        # Not a cumulative sum, which is not repeatable on CUDA.
        deeper = filled @ filled.new_ones(2 * filled.shape[1:]).tril(-1)
        odds = filled[:, :-1].log() - deeper[:, :-1].log()
        first = ratios[:, :1].clamp_min(1e-30).log()
        return torch.cat([first, odds.float()], dim=1), layers, occupied

    def _smear(self, like: Tensor, generator: torch.Generator | None) -> Tensor:
        normal = torch.randn(like.shape, generator=generator, device=like.device)
        return (self.settings.normal.smear * normal).exp()

    def _values(self, voxels: Tensor, factor: Tensor, generator: torch.Generator | None) -> Tensor:
        """Log of the energy over the threshold, with a factor on what is above it."""
        fill = torch.rand(voxels.shape, generator=generator, device=voxels.device)
        above = (voxels / self.settings.threshold - 1.0) * factor
        # Rounding may have taken a voxel a little below the threshold.
        kept = above > -1e-3
        filled = torch.log1p(torch.where(kept, above.clamp_min(0.0), 0.0))
        return torch.where(kept, filled, fill.clamp_min(FAINTEST).log()).float()

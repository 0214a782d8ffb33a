r"""Showers as numbers that a density is learned of, and back: the same for all models.

Energies of layers become ratios as in CaloFlow (C. Krause and D. Shih, 2106.05285) and CaloINN
(F. Ernst et al., 2312.09290): u_0 = E_tot / E_inc, u_i = E_{i-1} / \sum_{j \ge i-1} E_j; a voxel
becomes its part of the energy of its layer. Uniform noise fills empty voxels, the logarithm
(CaloINN) or the logit (CaloDREAM, L. Favaro et al., 2405.09629) spreads them, and at last each
number is standardised. On the way back the energy of each layer is kept exactly.
"""

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn

from fullchain.calorimetry.energy_ratios import (
    SMALLEST,
    layer_energies,
    lone_largest,
    without_faint,
)
from fullchain.calorimetry.geometry import Geometry, turned_voxels
from fullchain.calorimetry.normal_numbers import NormalNumbers
from fullchain.calorimetry.parts import Parts, divide
from fullchain.calorimetry.preprocessing_settings import PreprocessingSettings

__all__ = ["SMALLEST", "Parts", "Preprocessing", "divide", "join", "layer_energies"]


def join(
    incident: Tensor, ratios: Tensor, weights: Tensor, geometry: Geometry, threshold: float
) -> Tensor:
    """Make showers of ratios and of what is proportional to the energy of voxels within a layer.

    The energies of layers are kept: a voxel below the threshold gives its energy to the others of
    its layer, and a layer below the threshold to the other layers; the total energy is what the
    first ratio says, unless it is itself below the threshold, and then the shower is empty.

    Parameters
    ----------
    incident, ratios
        (n, 1) [MeV] and (n, layers).
    weights
        Not negative, (n, voxels).
    threshold
        Least energy of a voxel that is not empty [MeV].

    Returns
    -------
    Energies of voxels [MeV], (n, voxels), float32.
    """
    layers = without_faint(layer_energies(incident, ratios), threshold).float()
    parts = []
    for number, place in enumerate(geometry.slices):
        own, energy = weights[:, place], layers[:, [number]]
        # A layer with energy but no voxel would lose it.
        own = torch.where((own.sum(dim=1, keepdim=True) > 0), own, torch.ones_like(own))
        voxels = own * (energy / own.sum(dim=1, keepdim=True))
        kept = voxels >= threshold
        kept = torch.where(kept.any(dim=1, keepdim=True), kept, lone_largest(voxels))
        voxels = torch.where(kept, voxels, 0.0)
        parts.append(voxels * (energy / voxels.sum(dim=1, keepdim=True).clamp_min(SMALLEST)))
    return torch.cat(parts, dim=1)


class Preprocessing(nn.Module):
    """The numbers of a geometry: first those of ratios (layers), then those of voxels.

    Parameters
    ----------
    geometry
        Voxels.
    settings
        Transformation.

    Notes
    -----
    What is measured on showers is a buffer: nothing is changed before `measure`.
    """

    def __init__(self, geometry: Geometry, settings: PreprocessingSettings) -> None:
        super().__init__()
        self.geometry = geometry
        self.settings = settings
        self.layers = len(geometry.layers)
        self.size = self.layers + geometry.voxels
        self.mean: Tensor
        self.width: Tensor
        self.energy_range: Tensor
        self.energy_scale: Tensor
        self.showers: Tensor
        self.register_buffer("energy_range", torch.tensor([0.0, torch.inf]))
        self.register_buffer("energy_scale", torch.tensor([0.0, 1.0]))
        self.register_buffer("showers", torch.tensor(1.0))
        self.normal: NormalNumbers | None = None
        if settings.marginals == "normal":
            self.normal = NormalNumbers(geometry, settings)
        else:
            self.register_buffer("mean", torch.zeros(self.size))
            self.register_buffer("width", torch.ones(self.size))
        turns = torch.from_numpy(turned_voxels(geometry))
        self.register_buffer("turns", turns, persistent=False)

    @torch.no_grad()
    def measure(self, parts: Parts, generator: torch.Generator | None = None) -> None:
        """Set what is measured (quantiles, means, widths, range and number) to those of showers."""
        logarithm = parts.incident.log()
        spread = float(logarithm.std()) if len(logarithm) > 1 else 0.0
        self.energy_scale.copy_(torch.tensor([float(logarithm.mean()), max(spread, 1e-3)]))
        self.energy_range.copy_(torch.stack([parts.incident.min(), parts.incident.max()]))
        self.showers.fill_(len(parts.incident))
        if self.normal is not None:
            self.normal.measure(parts, generator)
        else:
            raw = self._raw(parts.ratios, parts.fractions, generator)
            self.mean.copy_(raw.mean(dim=0))
            self.width.copy_(raw.std(dim=0).clamp_min(1e-3))

    def condition(self, incident: Tensor) -> Tensor:
        """Standardised logarithm of the incident energy [MeV], (n, 1)."""
        return (incident.log() - self.energy_scale[0]) / self.energy_scale[1]

    def energies_of_layers(self, numbers: Tensor, condition: Tensor) -> Tensor:
        """Energies of layers [MeV] of the numbers of ratios and the condition.

        Parameters
        ----------
        numbers, condition
            (n, layers), and (n, 1) as `condition` gives it.

        Returns
        -------
        (n, layers), float64.
        """
        incident = (condition * self.energy_scale[1] + self.energy_scale[0]).exp()
        if self.normal is not None:
            return self.normal.energies_of_layers(numbers, incident)
        raw = numbers * self.width[: self.layers] + self.mean[: self.layers]
        return layer_energies(incident, self._ratios_of(raw))

    def turned(self, fractions: Tensor) -> Tensor:
        """Turn and reflect each shower (n, voxels) at random, if settings say so."""
        if not self.settings.symmetric:
            return fractions
        turns: Tensor = self.turns  # type: ignore[assignment]
        chosen = torch.randint(len(turns), (len(fractions),), device=fractions.device)
        return fractions.gather(1, turns[chosen])

    def forward(
        self,
        ratios: Tensor,
        fractions: Tensor,
        generator: torch.Generator | None = None,
        *,
        incident: Tensor | None = None,
    ) -> Tensor:
        """Give the numbers (n, layers + voxels), with fresh noise.

        Parameters
        ----------
        ratios, fractions
            Of `Parts`, (n, layers) and (n, voxels).
        generator
            Of the noise; torch's own if None.
        incident
            Energies [MeV], (n, 1): needed for normal marginals.
        """
        if self.normal is not None:
            if incident is None:
                raise ValueError("normal marginals need the incident energies")
            return self.normal(incident, ratios, fractions, generator)
        return (self._raw(ratios, fractions, generator) - self.mean) / self.width

    def inverse(self, numbers: Tensor, incident: Tensor) -> Tensor:
        """Give showers [MeV], (n, voxels), of numbers (n, layers + voxels) and energies (n, 1)."""
        if self.normal is not None:
            return self.normal.inverse(numbers, incident)
        raw = numbers * self.width + self.mean
        ratios = self._ratios_of(raw[:, : self.layers])
        weights = self._fractions_of(raw[:, self.layers :])
        return join(incident, ratios, weights, self.geometry, self.settings.threshold)

    def _raw(self, ratios: Tensor, fractions: Tensor, generator: torch.Generator | None) -> Tensor:
        how = self.settings
        noise = how.noise * torch.rand(fractions.shape, generator=generator, device=ratios.device)
        total, others = ratios[:, :1].clamp_min(SMALLEST).log(), _logit(ratios[:, 1:], how.edge)
        voxels = fractions + noise
        if how.transform == "log":
            voxels = voxels.clamp_min(SMALLEST).log()
        else:
            voxels = _logit(voxels / (1.0 + how.noise), how.edge)
        return torch.cat([total, others, voxels], dim=1)

    def _ratios_of(self, raw: Tensor) -> Tensor:
        return torch.cat([raw[:, :1].exp(), _expit(raw[:, 1:], self.settings.edge)], dim=1)

    def _fractions_of(self, raw: Tensor) -> Tensor:
        how = self.settings
        if how.transform == "log":
            # One part is the most that there can be.
            voxels = raw.clamp_max(0.0).exp()
        else:
            voxels = _expit(raw, how.edge) * (1.0 + how.noise)
        return (voxels - how.noise).clamp_min(0.0)

    def describe(self) -> Mapping[str, Any]:
        """Give size and range, for messages."""
        low, high = self.energy_range.tolist()
        return {"voxels": self.geometry.voxels, "lowest": low, "highest": high}


def _logit(values: Tensor, edge: float) -> Tensor:
    inside = edge + (1.0 - 2.0 * edge) * values.clamp(0.0, 1.0)
    return inside.log() - (1.0 - inside).log()


def _expit(values: Tensor, edge: float) -> Tensor:
    return ((values.sigmoid() - edge) / (1.0 - 2.0 * edge)).clamp(0.0, 1.0)

"""Energies of layers of the ratios that are learned instead of them."""

import torch
from torch import Tensor

SMALLEST = 1e-30


def layer_energies(incident: Tensor, ratios: Tensor) -> Tensor:
    """Undo the ratios: energies of layers [MeV], (n, layers), float64."""
    ratios = ratios.double()
    left = incident.double() * ratios[:, :1]
    energies = []
    for number in range(1, ratios.shape[1]):
        energies.append(left * ratios[:, [number]])
        left = left - energies[-1]
    return torch.cat([*energies, left], dim=1)


def without_faint(layers: Tensor, threshold: float) -> Tensor:
    """Give the energy of layers below the threshold to the others in proportion."""
    total = layers.sum(dim=1, keepdim=True)
    kept = torch.where(layers >= threshold, layers, 0.0)
    # Where the energy is spread so thinly that no layer reaches it, the largest takes all.
    largest = torch.where(lone_largest(layers), layers, 0.0)
    kept = torch.where((kept > 0).any(dim=1, keepdim=True), kept, largest)
    scaled = kept * (total / kept.sum(dim=1, keepdim=True).clamp_min(SMALLEST))
    return torch.where(total >= threshold, scaled, 0.0)


def lone_largest(values: Tensor) -> Tensor:
    """Say of values (n, k) which is the largest of its row: one, where several are equal, too."""
    found = torch.zeros_like(values, dtype=torch.bool)
    return found.scatter_(1, values.argmax(dim=1, keepdim=True), True)

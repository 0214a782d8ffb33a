"""PUMML (Komiske, Metodiev, Nachman, Schwartz, 1707.08600): network and loss.

Layers, paddings and activations are those of the authors' program (pkomiske/PUMML, pumml_arch.py).
"""

from collections.abc import Mapping

import torch
from torch import Tensor, nn

from fullchain.pileup.pumml_settings import PummlSettings

CHANNELS = 3
"""Charged from the leading vertex, charged pile-up, neutral (see `pumml_images`)."""


class PummlNetwork(nn.Module):
    """Two strided convolutions and a projection: a quarter of the pixels along each side.

    36 pixels become 18 and 9; 4711 parameters with 10 filters of 6 x 6. No output is negative.
    """

    def __init__(self, settings: PummlSettings) -> None:
        super().__init__()
        filters, size = settings.filters, settings.filter_size
        padding = (size - 2) // 2
        self.first = nn.Conv2d(CHANNELS, filters, size, stride=2, padding=padding)
        self.second = nn.Conv2d(filters, filters, size, stride=2, padding=padding)
        self.projection = nn.Conv2d(filters, 1, 1)
        for layer in (self.first, self.second, self.projection):
            nn.init.kaiming_uniform_(layer.weight, nonlinearity="relu")
            assert layer.bias is not None
            nn.init.zeros_(layer.bias)
        # The program leaves it to chance that the last ReLU lets anything through at the start.
        with torch.no_grad():
            self.projection.weight.abs_()

    def forward(self, images: Tensor) -> Tensor:
        """Map images (images, 3, pixels, pixels) [GeV] to (images, pixels / 4, pixels / 4) [GeV].

        The output is the pT of neutral particles from the leading vertex.
        """
        rows = torch.relu(self.first(images))
        rows = torch.relu(self.second(rows))
        return torch.relu(self.projection(rows)).squeeze(1)


class LogarithmicLoss:
    """Mean over pixels of ln((p' + pbar) / (p + pbar))^2.

    The logarithm makes a wrong soft pixel count beside a wrong hard one; pbar, that zeros do not.
    """

    def __init__(self, settings: PummlSettings) -> None:
        self.pbar = settings.pbar

    def __call__(self, model: nn.Module, batch: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Give the mean over the images of a batch: `image`, and `target`, the true output."""
        found = model(batch["image"]).float()
        ratio = torch.log((found + self.pbar) / (batch["target"] + self.pbar))
        return {"loss": (ratio**2).mean()}

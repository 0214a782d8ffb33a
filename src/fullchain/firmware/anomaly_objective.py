"""Losses of anomaly models, which see background only."""

from collections.abc import Mapping, Sequence
from itertools import pairwise

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from fullchain.errors import InputError
from fullchain.firmware.anomaly_settings import AnomalySettings, BackgroundSettings
from fullchain.firmware.trigger_jets import Labelled
from fullchain.learning.training import weighted_mean

_EVALUATION_SEED = 20210803
"""Of the noise in evaluation: the same each time, so that the best epoch is that of the model."""


class VariationalObjective(nn.Module):
    """Negative evidence lower bound of Kingma and Welling (arXiv:1312.6114), per input.

    The encoder gives latent means mu(x). Posteriors are normal with variances that are parameters
    of their own, one for each latent dimension and the same for all jets (exact for a linear
    model), so that firmware needs the means only. With D inputs and noise s of the decoder

        loss = |x - decoder(z)|^2 / D + 2 s^2 / D * KL,    z = mu + sigma * normal numbers,

    which is 2 s^2 / D times the bound, up to a constant.

    Parameters
    ----------
    settings
        Decoder, latent dimensions, noise.
    inputs
        Number of inputs of a jet, those of candidates one after the other.
    """

    def __init__(self, settings: AnomalySettings, inputs: int) -> None:
        super().__init__()
        self.clip = settings.clip
        self.price = 2.0 * settings.noise**2 / inputs
        self.decoder = _dense([settings.dimensions, *settings.decoder, inputs])
        self.log_variance = nn.Parameter(torch.zeros(settings.dimensions))

    def forward(self, outputs: Tensor, batch: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Give "loss", "reconstruction" and "divergence", means over the rows of the batch.

        Parameters
        ----------
        outputs
            (rows, dimensions) latent means.
        batch
            "inputs" (rows, ...) as the network got them, before they are clipped and rounded;
            "weight" (rows) with mean one.
        """
        rows, weight = _wanted(batch, self.clip), batch["weight"]
        decoded = self.decoder(self._sampled(outputs))
        reconstruction = weighted_mean((rows - decoded).square().mean(dim=1), weight)
        divergence = weighted_mean(divergences(outputs, self.log_variance).sum(dim=1), weight)
        return {
            "loss": reconstruction + self.price * divergence,
            "reconstruction": reconstruction,
            "divergence": divergence,
        }

    def _sampled(self, means: Tensor) -> Tensor:
        deviation = (0.5 * self.log_variance).exp()
        if self.training:
            return means + deviation * torch.randn_like(means)
        generator = torch.Generator().manual_seed(_EVALUATION_SEED)
        normal = torch.randn(means.shape, generator=generator, dtype=means.dtype)
        return means + deviation * normal.to(means.device)


class ReconstructionObjective(nn.Module):
    """Mean squared difference of outputs and inputs.

    Parameters
    ----------
    clip
        Largest absolute value of an input.
    """

    def __init__(self, clip: float) -> None:
        super().__init__()
        self.clip = clip

    def forward(self, outputs: Tensor, batch: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Give "loss" and "reconstruction"; arguments as in `VariationalObjective`."""
        rows = _wanted(batch, self.clip)
        loss = weighted_mean((rows - outputs).square().mean(dim=1), batch["weight"])
        return {"loss": loss, "reconstruction": loss}


def divergences(means: Tensor, log_variance: Tensor) -> Tensor:
    """Give the Kullback-Leibler divergence of N(mean, variance) from N(0, 1), of each dimension.

    (mean^2 + variance - 1 - log variance) / 2, with the shape of `means` (rows, dimensions).
    """
    return 0.5 * (means.square() + log_variance.exp() - 1.0 - log_variance)


def trained_on(
    settings: BackgroundSettings, jets: Labelled, classes: Sequence[str]
) -> NDArray[np.bool_]:
    """Give a mask of the jets that the model may see, (jets): its background, of all parts.

    Raises
    ------
    InputError
        A class or a sample that there is not; names it.
    """
    mask = np.zeros(len(jets.target), dtype=bool)
    for name in settings.classes:
        if name not in classes:
            raise InputError(
                f"an anomaly model is to train on class {name}, which is none of "
                f"{', '.join(classes)}; see firmware.classes"
            )
        mask |= jets.target == list(classes).index(name)
    for name in settings.samples:
        if name not in jets.samples:
            raise InputError(
                f"an anomaly model is to train on sample {name}; there are jets of "
                f"{', '.join(jets.samples)}"
            )
        mask |= jets.sample == jets.samples.index(name)
    return mask


def _wanted(batch: Mapping[str, Tensor], clip: float) -> Tensor:
    """Give what is to be reconstructed, (rows, inputs): as far as the network can see it."""
    return batch["inputs"].flatten(start_dim=1).clamp(-clip, clip)


def _dense(sizes: Sequence[int]) -> nn.Sequential:
    layers: list[nn.Module] = []
    for below, above in pairwise(sizes):
        layers += [nn.Linear(below, above), nn.ReLU()]
    return nn.Sequential(*layers[:-1])

r"""Disentangled latent classifier: few independent numbers in place of a network's last layer.

Three networks are trained together on the activations h of the penultimate layer of a trained
tagger, standardised: an encoder z(h) to a few dimensions, a classifier on z, and a decoder from z
back to h. The loss has three terms,

    L = CE(classifier(z), class) + a <|decoder(z) - h|^2> / width + b mean_{k<l} dCor^2(z_k, z_l)

with cross entropy for what z must know, the mean squared error for what it must keep of h, and the
squared distance correlation of each pair of dimensions in the batch for what its dimensions must
not share. The idea is that of Vent, Winterhalder and Plehn (2507.21214); these terms are a form of
ours, and not taken from their paper.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from fullchain.learning.distance_correlation import distance_correlations
from fullchain.learning.settings import TrainingSettings
from fullchain.learning.training import Batch, initialised, train, weighted_mean
from fullchain.tagging.association import Array, weighted_covariance
from fullchain.tagging.explanation_settings import DisentangledSettings
from fullchain.tagging.pfn import dense


class DisentangledClassifier(nn.Module):
    """Encoder, classifier and decoder.

    Parameters
    ----------
    mean, scale
        Of the activations, (width,): they are standardised with them; a scale of zero leaves an
        activation out.
    classes
        Number of classes.
    dimensions
        Numbers that the encoder gives.
    layers
        Hidden layers of each of the three networks.
    """

    mean: Tensor
    inverse: Tensor

    def __init__(
        self, mean: Tensor, scale: Tensor, classes: int, dimensions: int, layers: tuple[int, ...]
    ) -> None:
        super().__init__()
        width = len(mean)
        self.register_buffer("mean", mean)
        self.register_buffer("inverse", torch.where(scale > 0, 1.0 / scale, 0.0))
        self.encoder = _network(width, layers, dimensions)
        self.classifier = _network(dimensions, layers, classes)
        self.decoder = _network(dimensions, layers, width)

    def forward(self, latent: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """Give z (jets, dimensions), logits, reconstruction and standardised activations."""
        standard = (latent - self.mean) * self.inverse
        z = self.encoder(standard)
        return z, self.classifier(z), self.decoder(z), standard


def _network(inputs: int, layers: tuple[int, ...], outputs: int) -> nn.Sequential:
    return nn.Sequential(dense(inputs, layers), nn.Linear(layers[-1], outputs))


@dataclass(frozen=True)
class ThreeTerms:
    """The loss: classification, reconstruction and decorrelation, the latter two with factors."""

    reconstruction: float
    decorrelation: float

    def __call__(self, model: nn.Module, batch: Batch) -> dict[str, Tensor]:
        """Give the terms as means over the batch (`latent`, `target`, `weight`), and their sum."""
        z, logits, decoded, standard = model(batch["latent"])
        weight = batch["weight"]
        right = cross_entropy(logits, batch["target"], reduction="none")
        classification = weighted_mean(right, weight)
        reconstruction = weighted_mean(((decoded - standard) ** 2).mean(dim=1), weight)
        decorrelation = pair_mean(distance_correlations(z, weight))
        return {
            "loss": classification
            + self.reconstruction * reconstruction
            + self.decorrelation * decorrelation,
            "classification": classification,
            "reconstruction": reconstruction,
            "decorrelation": decorrelation,
        }


def pair_mean(table: Tensor) -> Tensor:
    """Mean over the pairs of different columns of a (columns, columns) table; zero without any."""
    number = len(table)
    if number < 2:
        return table.new_zeros(())
    return table[~torch.eye(number, dtype=torch.bool, device=table.device)].mean()


@dataclass(frozen=True)
class Part:
    """Jets of one part: activations (jets, width), class and weight, each (jets,)."""

    latent: Array
    target: Any
    weight: Array

    def batch(self) -> dict[str, Tensor]:
        """Give the tensors of the training, with a mean weight of one."""
        return {
            "latent": torch.from_numpy(self.latent.astype(np.float32)),
            "target": torch.from_numpy(np.asarray(self.target, dtype=np.int64)),
            "weight": torch.from_numpy((self.weight / self.weight.mean()).astype(np.float32)),
        }


def fit(
    training: Part,
    validation: Part,
    classes: int,
    how: DisentangledSettings,
    *,
    decorrelation: float,
    threads: int,
    seed: int,
) -> DisentangledClassifier:
    """Train encoder, classifier and decoder; the best epoch is that of the least loss.

    `decorrelation` is the factor b of the third term. Raises InputError as `learning.train`.
    """
    mean, covariance = weighted_covariance(training.latent, training.weight)
    scale = np.sqrt(np.clip(covariance.diagonal(), 0.0, None))
    # What does not vary cannot be reconstructed, and a trace of rounding would blow up.
    scale = np.where(scale > 1e-6 * max(float(scale.max(initial=0.0)), 1e-30), scale, 0.0)

    def build() -> nn.Module:
        centre, width = (torch.from_numpy(one.astype(np.float32)) for one in (mean, scale))
        return DisentangledClassifier(centre, width, classes, how.dimensions, how.layers)

    model = initialised(seed, build)
    train(
        model,
        ThreeTerms(how.reconstruction, decorrelation),
        training.batch(),
        validation.batch(),
        TrainingSettings(
            epochs=how.epochs,
            batch_size=how.batch_size,
            learning_rate=how.learning_rate,
            threads=threads,
        ),
        seed=seed,
        description="disentangled classifier",
    )
    assert isinstance(model, DisentangledClassifier)
    return model


@torch.no_grad()
def apply(model: DisentangledClassifier, latent: Array) -> tuple[Array, Array, float]:
    """Give z (jets, dimensions), logits (jets, classes), and the variance left unexplained.

    The latter is the mean squared error of the standardised activations, per activation.
    """
    z, logits, decoded, standard = model(torch.from_numpy(latent.astype(np.float32)))
    error = ((decoded - standard) ** 2).mean()
    return z.double().numpy(), logits.double().numpy(), float(error)

"""Particle Flow Network: Deep Sets for jets."""

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from fullchain.tagging.cloud import ParticleCloud


def dense(inputs: int, sizes: Sequence[int], dropout: float = 0.0) -> nn.Sequential:
    """Linear layers of the given sizes, each followed by ReLU (and dropout)."""
    layers: list[nn.Module] = []
    for size in sizes:
        linear = nn.Linear(inputs, size)
        nn.init.kaiming_uniform_(linear.weight, nonlinearity="relu")
        nn.init.zeros_(linear.bias)
        layers += [linear, nn.ReLU()]
        if dropout > 0:
            layers.append(nn.Dropout(dropout))
        inputs = size
    return nn.Sequential(*layers)


class ParticleFlowNetwork(nn.Module):
    r"""Function of a set of particles, F(\sum_i \Phi(p_i)), arXiv:1810.05165.

    Blind to the order of the particles and to padding by construction. Initial weights are those
    of the authors' package EnergyFlow (He uniform). The sum is divided by a constant, which the
    first layer of F could as well undo: the functions are those of the paper, but the first steps
    of training do not have to undo an output that is as many times too large as there are
    particles.

    Parameters
    ----------
    features
        Number of features of a particle.
    classes
        Number of outputs.
    phi, f
        Sizes of the layers of Phi (the last is the latent dimension) and of F.
    typical
        Number of particles that the sum is divided by, the same for all jets.
    dropout
        Dropout in the layers of F.
    """

    def __init__(
        self,
        features: int,
        classes: int,
        *,
        phi: Sequence[int] = (100, 100, 256),
        f: Sequence[int] = (100, 100, 100),
        typical: int = 1,
        dropout: float = 0.0,
    ) -> None:
        super().__init__()
        self.phi = dense(features, phi)
        self.f = dense(phi[-1], f, dropout)
        self.output = nn.Linear(f[-1], classes)
        self.typical = typical

    def forward(self, cloud: ParticleCloud) -> Tensor:
        """Give the logits of the classes, shape (jets, classes)."""
        return self.output(self.latent(cloud))

    def latent(self, cloud: ParticleCloud) -> Tensor:
        """Give what the last layer sees, shape (jets, width)."""
        if torch.compiler.is_compiling() or torch.compiler.is_exporting():
            # How many particles there are may not decide the shapes of a graph.
            total = (self.phi(cloud.features) * cloud.mask.unsqueeze(-1)).sum(dim=1)
        else:
            total = self._sum_over_particles(cloud)
        return self.f(total / self.typical)

    def _sum_over_particles(self, cloud: ParticleCloud) -> Tensor:
        """Sum Phi over the particles of each jet; no time goes into padding."""
        jets, particles = cloud.mask.shape
        real = cloud.mask.flatten().nonzero()[:, 0]
        rows = self.phi(cloud.features.flatten(0, 1).index_select(0, real))
        return rows.new_zeros(jets, rows.shape[1]).index_add(0, real // particles, rows)

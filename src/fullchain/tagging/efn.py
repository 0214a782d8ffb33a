"""Energy Flow Network: what an infrared- and collinear-safe network can know of a jet."""

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from fullchain.tagging.cloud import ParticleCloud
from fullchain.tagging.pfn import dense

_SMALL = 1e-12
"""Smallest sum of pT that is divided by, GeV: a jet without particles has none."""


class EnergyFlowNetwork(nn.Module):
    r"""Score of a jet, F(\sum_i z_i \Phi(\Delta\eta_i, \Delta\phi_i)), arXiv:1810.05165.

    z_i is the particle's part of the sum of pT. The latent sum is linear in z, and Phi sees
    nothing but directions: a particle whose pT goes to zero, or one that splits into two along its
    direction, changes no score. Masses, charges and kinds of particles are not used, and neither
    are the features of the cloud, whose logarithms of pT would break this.

    A split also leaves pT and axis of the jet as they were, to which angles and parts refer.

    Parameters
    ----------
    features
        Number of features of a particle in the cloud; not used.
    classes
        Number of classes.
    phi, f
        Sizes of the layers of Phi (the last is the latent dimension) and of F.
    dropout
        Dropout in the layers of F.
    conditions
        Last features of the cloud that are the same for all particles of a jet: Phi sees them
        beside the angles, which breaks nothing of the above.
    """

    def __init__(
        self,
        features: int,
        classes: int,
        *,
        phi: Sequence[int] = (100, 100, 256),
        f: Sequence[int] = (100, 100, 100),
        dropout: float = 0.0,
        conditions: int = 0,
    ) -> None:
        super().__init__()
        self.conditions = conditions
        self.phi = dense(2 + conditions, phi)
        self.f = dense(phi[-1], f, dropout)
        self.output = nn.Linear(f[-1], classes)

    def forward(self, cloud: ParticleCloud) -> Tensor:
        """Give one logit per class, shape (jets, classes)."""
        return self.output(self.latent(cloud))

    def latent(self, cloud: ParticleCloud) -> Tensor:
        """Give what the last layer sees, shape (jets, width)."""
        mask = cloud.mask.unsqueeze(-1)
        # Not by multiplication: padding may be so large that Phi of it is infinite.
        angles = torch.where(mask, cloud.angles, 0.0)
        if self.conditions:
            own = torch.where(mask, cloud.features[..., -self.conditions :], 0.0)
            angles = torch.cat((angles, own), dim=-1)
        parts = pt_fractions(cloud.momenta.to(angles.dtype), cloud.mask)
        total = (parts.unsqueeze(1) @ self.phi(angles)).squeeze(1)
        return self.f(total)


def pt_fractions(momenta: Tensor, mask: Tensor) -> Tensor:
    """Each particle's part of the sum of pT of its jet, shape (jets, particles), padding zero.

    `momenta` (jets, particles, 4) are E, px, py, pz [GeV]; `mask` (jets, particles).
    """
    px, py = momenta[..., 1], momenta[..., 2]
    pt = torch.sqrt(torch.where(mask, px, 0.0) ** 2 + torch.where(mask, py, 0.0) ** 2 + _SMALL**2)
    pt = torch.where(mask, pt, 0.0)
    return pt / pt.sum(dim=1, keepdim=True).clamp(min=_SMALL)

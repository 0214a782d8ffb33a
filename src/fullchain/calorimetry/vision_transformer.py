"""A transformer of patches of voxels for the velocity of voxels, for large regular geometries."""

import torch
from torch import Tensor, nn

from fullchain.calorimetry.embedding import TimeEmbedding, dense, zeroed
from fullchain.calorimetry.patches import Patches
from fullchain.calorimetry.transformer_block import TransformerBlock


class VisionTransformer(nn.Module):
    """Patches, learned embeddings of their positions, blocks modulated by time and condition.

    The architecture is the diffusion transformer of Peebles and Xie (2212.09748) as CaloDREAM
    (2405.09629) takes it for showers.

    Parameters
    ----------
    patches
        How the voxels are cut.
    conditions
        Of what voxels are conditional on.
    width, heads, blocks
        Of the transformer.
    """

    def __init__(
        self, patches: Patches, conditions: int, width: int, heads: int, blocks: int
    ) -> None:
        super().__init__()
        self.patches = patches
        self.time = TimeEmbedding(width)
        self.condition = dense(width + conditions, width, width)
        self.first = nn.Linear(patches.voxels, width)
        self.place = nn.Parameter(0.02 * torch.randn(patches.number, width))
        self.blocks = nn.ModuleList(
            TransformerBlock(width, heads, condition=width) for _ in range(blocks)
        )
        self.norm = nn.LayerNorm(width, elementwise_affine=False)
        self.modulation = nn.Sequential(nn.SiLU(), zeroed(nn.Linear(width, 2 * width)))
        self.last = zeroed(nn.Linear(width, patches.voxels))

    def forward(self, position: Tensor, time: Tensor, condition: Tensor) -> Tensor:
        """Give the rest of the velocity: (n, numbers), (n, 1), (n, conditions) -> (n, numbers)."""
        given = self.condition(torch.cat([self.time(time), condition], dim=1))
        places = self.first(self.patches.cut(position)) + self.place
        for block in self.blocks:
            places = block(places, given)
        shift, scale = self.modulation(given).unsqueeze(1).chunk(2, dim=-1)
        return self.patches.joined(self.last(self.norm(places) * (1 + scale) + shift))

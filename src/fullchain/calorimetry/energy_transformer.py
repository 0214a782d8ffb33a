r"""Energies of layers by a transformer with conditional flow matching, one after another.

As in CaloDREAM (L. Favaro et al., 2405.09629): a causal transformer turns the incident energy and
the ratios u_0, ..., u_{i-1} into a condition, and a small network of this condition, of time and of
position gives the velocity of u_i, so that p(u | E) = \prod_i p(u_i | u_0, ..., u_{i-1}, E).
"""

import torch
from torch import Tensor, nn

from fullchain.calorimetry.embedding import TimeEmbedding, dense, zeroed
from fullchain.calorimetry.transformer_block import TransformerBlock

TIME = 16


class EnergyTransformer(nn.Module):
    """The transformer and the network of the velocity.

    Parameters
    ----------
    ratios
        How many.
    width, heads, blocks
        Of the transformer.
    hidden
        Dense layers of the network of the velocity.
    """

    def __init__(
        self, ratios: int, width: int, heads: int, blocks: int, hidden: tuple[int, ...]
    ) -> None:
        super().__init__()
        self.ratios = ratios
        self.energy = dense(1, width, width)
        self.before = dense(1, width, width)
        self.start = nn.Parameter(torch.zeros(width))
        self.place = nn.Parameter(0.02 * torch.randn(ratios, width))
        self.blocks = nn.ModuleList(
            TransformerBlock(width, heads, causal=True) for _ in range(blocks)
        )
        self.norm = nn.LayerNorm(width)
        self.time = TimeEmbedding(TIME)
        self.rest = dense(1 + TIME + width, *hidden, 1)
        last = self.rest[-1]
        assert isinstance(last, nn.Linear)
        zeroed(last)

    def conditions(self, ratios: Tensor, condition: Tensor) -> Tensor:
        """Give what the velocity of each ratio depends on.

        Parameters
        ----------
        ratios
            All but the last one, or the first ones, (n, m).
        condition
            (n, 1).

        Returns
        -------
        (n, m + 1, width).
        """
        first = self.start.expand(len(ratios), 1, -1)
        places = torch.cat([first, self.before(ratios.unsqueeze(-1))], dim=1)
        places = places + self.place[: places.shape[1]] + self.energy(condition).unsqueeze(1)
        for block in self.blocks:
            places = block(places)
        result: Tensor = self.norm(places)
        return result

    def forward(self, position: Tensor, time: Tensor, condition: Tensor) -> Tensor:
        """Give the rest of the velocity: (n, 1), (n, 1), (n, width) -> (n, 1)."""
        result: Tensor = self.rest(torch.cat([position, self.time(time), condition], dim=-1))
        return result

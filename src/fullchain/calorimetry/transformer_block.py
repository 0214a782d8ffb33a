"""A block of attention and dense layers, with or without modulation by a condition."""

import torch
from torch import Tensor, nn
from torch.nn.functional import scaled_dot_product_attention

from fullchain.calorimetry.embedding import dense, zeroed

GROWTH = 4
"""Width of the dense layer over that of the block."""


class TransformerBlock(nn.Module):
    """Attention, then a dense layer at each place, each after a layer norm and added.

    With a condition, shift and scale after each norm and a gate before each sum are linear in it
    and zero at the start, so that the block is the identity then (adaLN-zero: Peebles and Xie
    2212.09748).

    Parameters
    ----------
    width, heads
        Of the places, and of the attention.
    condition
        Width of the condition; None for a block without.
    causal
        Whether a place sees itself and those before it only.
    """

    def __init__(
        self, width: int, heads: int, condition: int | None = None, causal: bool = False
    ) -> None:
        super().__init__()
        if width % heads:
            raise ValueError(f"{heads} heads do not divide a width of {width}")
        self.heads = heads
        self.causal = causal
        learned = condition is None
        self.first = nn.LayerNorm(width, elementwise_affine=learned)
        self.second = nn.LayerNorm(width, elementwise_affine=learned)
        self.entries = nn.Linear(width, 3 * width)
        self.out = nn.Linear(width, width)
        self.dense = dense(width, GROWTH * width, width)
        self.modulation = None
        if condition is not None:
            self.modulation = nn.Sequential(nn.SiLU(), zeroed(nn.Linear(condition, 6 * width)))

    def forward(self, places: Tensor, condition: Tensor | None = None) -> Tensor:
        """Map (n, places, width), with conditions (n, width of conditions)."""
        if self.modulation is None:
            places = places + self._attention(self.first(places))
            result: Tensor = places + self.dense(self.second(places))
            return result
        shift, scale, gate, shift_dense, scale_dense, gate_dense = (
            self.modulation(condition).unsqueeze(1).chunk(6, dim=-1)
        )
        places = places + gate * self._attention(self.first(places) * (1 + scale) + shift)
        return torch.addcmul(
            places, gate_dense, self.dense(self.second(places) * (1 + scale_dense) + shift_dense)
        )

    def _attention(self, places: Tensor) -> Tensor:
        rows, number, width = places.shape
        parts = self.entries(places).view(rows, number, 3, self.heads, -1).permute(2, 0, 3, 1, 4)
        query, key, value = parts.unbind(0)
        mixed = scaled_dot_product_attention(query, key, value, is_causal=self.causal)
        result: Tensor = self.out(mixed.transpose(1, 2).reshape(rows, number, width))
        return result

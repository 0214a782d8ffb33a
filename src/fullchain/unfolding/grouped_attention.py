"""Blocks of attention of several independent networks in one computation."""

import torch
from torch import Tensor, nn

from fullchain.learning.grouped import GroupedLinear


class GroupedNorm(nn.Module):
    """Layer norm of the last dimension, with weights of each member.

    Takes and gives (members, ..., size).
    """

    def __init__(self, members: int, size: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(members, size))
        self.bias = nn.Parameter(torch.zeros(members, size))

    def forward(self, rows: Tensor) -> Tensor:
        """Normalise each vector."""
        size = rows.shape[-1]
        shape = (len(self.weight), *[1] * (rows.dim() - 2), size)
        normal = nn.functional.layer_norm(rows, (size,))
        return normal * self.weight.view(shape) + self.bias.view(shape)


class AttentionBlock(nn.Module):
    """Attention among the particles of a jet, and dense layers on each; norms before both.

    Parameters
    ----------
    members, width, heads
        Networks, size of what is known of a particle, heads that share it.
    hidden
        Size of the dense layer between.
    """

    def __init__(self, members: int, width: int, heads: int, hidden: int) -> None:
        super().__init__()
        self.heads = heads
        self.before = GroupedNorm(members, width)
        self.triple = GroupedLinear(members, width, 3 * width)
        self.mix = GroupedLinear(members, width, width)
        self.dense = _Dense(members, width, hidden)

    def forward(self, cloud: Tensor, mask: Tensor) -> Tensor:
        """Take and give (members, jets, places, width); `mask` is (jets, places)."""
        query, key, value = self.triple(self.before(cloud)).chunk(3, dim=-1)
        cloud = cloud + self.mix(_attention(query, key, value, mask, self.heads))
        return self.dense(cloud)


class ClassAttentionBlock(nn.Module):
    """A token of the jet attends to the particles and to itself (2103.17239), then dense layers.

    Parameters are those of `AttentionBlock`.
    """

    def __init__(self, members: int, width: int, heads: int, hidden: int) -> None:
        super().__init__()
        self.heads = heads
        self.before = GroupedNorm(members, width)
        self.query = GroupedLinear(members, width, width)
        self.memory = GroupedLinear(members, width, 2 * width)
        self.mix = GroupedLinear(members, width, width)
        self.dense = _Dense(members, width, hidden)

    def forward(self, token: Tensor, cloud: Tensor, mask: Tensor) -> Tensor:
        """Take and give a token (members, jets, width); `cloud` and `mask` as above."""
        both = self.before(torch.cat((token.unsqueeze(2), cloud), dim=2))
        key, value = self.memory(both).chunk(2, dim=-1)
        query = self.query(both[:, :, :1])
        # The token is there in a jet without particles, too.
        mask = torch.cat((mask.new_ones(len(mask), 1), mask), dim=1)
        token = token + self.mix(_attention(query, key, value, mask, self.heads)).squeeze(2)
        return self.dense(token)


class _Dense(nn.Module):
    """Two dense layers with GELU between, added to their input."""

    def __init__(self, members: int, width: int, hidden: int) -> None:
        super().__init__()
        self.before = GroupedNorm(members, width)
        self.wide = GroupedLinear(members, width, hidden)
        self.narrow = GroupedLinear(members, hidden, width)

    def forward(self, rows: Tensor) -> Tensor:
        return rows + self.narrow(nn.functional.gelu(self.wide(self.before(rows))))


def _attention(query: Tensor, key: Tensor, value: Tensor, mask: Tensor, heads: int) -> Tensor:
    """Attention of (members, jets, queries, width) to keys that `mask` (jets, keys) has."""
    members, jets, _, width = query.shape

    def divided(rows: Tensor) -> Tensor:
        return rows.reshape(members * jets, -1, heads, width // heads).transpose(1, 2)

    # Very negative, not infinite: a jet without particles would have 0/0 in places no one reads.
    scores = torch.zeros(mask.shape, dtype=query.dtype).masked_fill(~mask, _NEVER)
    scores = scores.repeat(members, 1)[:, None, None, :]
    found = nn.functional.scaled_dot_product_attention(
        divided(query), divided(key), divided(value), attn_mask=scores
    )
    return found.transpose(1, 2).reshape(query.shape)


_NEVER = -1e9
"""Score of a place without a particle; the exponential of it is zero beside any other."""

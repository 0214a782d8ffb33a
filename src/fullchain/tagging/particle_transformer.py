"""Particle Transformer, ParT: attention between particles, biased by what each pair looks like.

Structure and initial weights are those of the authors' implementation (weaver-core) of 2202.03772.
Where the paper leaves a choice, its choice is taken: batch norm before the embedding, a layer norm
before each of its layers; one learned factor per head after the projection of the attention; a
learned factor per channel on the second residual (NormFormer, 2110.09456); queries of the class
token without layer norm (cf. CaiT, 2103.17239).
"""

import math
from collections.abc import Callable, Sequence
from functools import partial

import torch
from torch import Tensor, nn
from torch.nn import functional

from fullchain.tagging import packed_attention, packed_layers
from fullchain.tagging.cloud import ParticleCloud
from fullchain.tagging.masked_norm import MaskedBatchNorm
from fullchain.tagging.pair_embedding import FORBIDDEN, PairEmbedding

_Spread = Callable[[Tensor], Tensor]


class ParticleTransformer(nn.Module):
    """Logits of a jet from its particles (2202.03772); the defaults are the published sizes.

    Parameters
    ----------
    features
        Number of features of a particle.
    classes
        Number of classes.
    embedding
        Layers of the embedding of a particle; the last is the width of the network.
    pairs
        Layers on pairs of particles, before the one that has an output per head.
    heads
        Attention heads; they divide the width.
    blocks, class_blocks
        Particle attention blocks, and class attention blocks after them.
    expansion
        Size of the feed-forward layers in units of the width.
    dropout
        Dropout in the particle attention blocks (on attention, activations, both residuals).

    Raises
    ------
    ValueError
        Where the heads do not divide the width.
    """

    def __init__(
        self,
        features: int,
        classes: int,
        *,
        embedding: Sequence[int] = (128, 512, 128),
        pairs: Sequence[int] = (64, 64, 64),
        heads: int = 8,
        blocks: int = 8,
        class_blocks: int = 2,
        expansion: int = 4,
        dropout: float = 0.1,
    ) -> None:
        super().__init__()
        width = embedding[-1]
        if width % heads:
            raise ValueError(f"{heads} heads do not divide the width {width}")
        self.embedding = _Embedding(features, embedding)
        self.pairs = PairEmbedding(pairs, heads)
        self.blocks = nn.ModuleList(
            _ParticleBlock(width, heads, expansion, dropout) for _ in range(blocks)
        )
        self.class_blocks = nn.ModuleList(
            _ClassBlock(width, heads, expansion, 0.0) for _ in range(class_blocks)
        )
        self.class_token = nn.Parameter(torch.empty(1, 1, width))
        nn.init.trunc_normal_(self.class_token, std=0.02)
        self.norm = nn.LayerNorm(width)
        self.output = nn.Linear(width, classes)

    def forward(self, cloud: ParticleCloud) -> Tensor:
        """Give the logits, shape (jets, classes)."""
        return self.output(self.latent(cloud))

    def latent(self, cloud: ParticleCloud) -> Tensor:
        """Give what the last layer sees, shape (jets, width)."""
        mask = cloud.mask
        tokens, spread = self._packed(cloud) if self._packs(cloud) else self._padded(cloud)
        token = self.class_token.expand(mask.shape[0], -1, -1)
        seen = torch.where(mask, 0.0, FORBIDDEN).to(tokens.dtype)
        # The class token always sees itself, so that a jet may be without particles.
        seen = functional.pad(seen, (1, 0)).unsqueeze(0).unsqueeze(2)
        for block in self.class_blocks:
            token = block(token, tokens, seen, spread)
        return self.norm(token.squeeze(1))

    def _padded(self, cloud: ParticleCloud) -> tuple[Tensor, _Spread]:
        """Give tokens (jets, particles, width) after the particle attention blocks."""
        bias = self.pairs(cloud.momenta, cloud.mask)
        tokens = self.embedding(cloud.features, cloud.mask)
        for block in self.blocks:
            tokens = block(tokens, partial(_attention_of_heads, bias=bias))
        return tokens, _as_is

    def _packed(self, cloud: ParticleCloud) -> tuple[Tensor, _Spread]:
        """Give tokens (all particles, width), and what brings such to (jets, particles, width)."""
        packing = packed_attention.Packing.of(cloud.mask)
        bias = self.pairs.packed(cloud.momenta, cloud.mask, packing)
        tokens = self.embedding.packed(packing.packed(cloud.features))
        for block in self.blocks:
            tokens = block(tokens, partial(packed_attention.attention, bias=bias, packing=packing))
        return tokens, packing.padded

    def _packs(self, cloud: ParticleCloud) -> bool:
        """Whether jets are packed: in training, where our kernels do more than those of torch."""
        return self.training and _has_kernels(cloud.features)


class _Embedding(nn.Module):
    """Batch norm, then layers "layer norm, linear, GELU"; zero for padding."""

    def __init__(self, features: int, sizes: Sequence[int]) -> None:
        super().__init__()
        self.norm = MaskedBatchNorm(features)
        layers: list[nn.Module] = []
        for size in sizes:
            layers += [nn.LayerNorm(features), nn.Linear(features, size), nn.GELU()]
            features = size
        self.layers = nn.Sequential(*layers)

    def forward(self, features: Tensor, mask: Tensor) -> Tensor:
        # Before anything else: padding may hold any number, and zero times infinity is NaN.
        features = torch.where(mask.unsqueeze(-1), features, 0.0)
        return torch.where(mask.unsqueeze(-1), self.layers(self.norm(features, mask)), 0.0)

    def packed(self, features: Tensor) -> Tensor:
        """Embed features of particles alone, shape (particles, features)."""
        every = torch.ones(len(features), dtype=torch.bool)
        x = self.norm(features, every)
        for layer in self.layers:
            x = _gelu(x) if isinstance(layer, nn.GELU) else layer(x)
        return x


class _Layers(nn.Module):
    """Attention and a feed-forward network, with the norms and factors of NormFormer."""

    def __init__(self, width: int, heads: int, expansion: int, dropout: float) -> None:
        super().__init__()
        self.heads = heads
        self.dropout = dropout
        self.before_attention = nn.LayerNorm(width)
        self.projections = nn.Linear(width, 3 * width)
        nn.init.xavier_uniform_(self.projections.weight)
        nn.init.zeros_(self.projections.bias)
        self.mixing = nn.Linear(width, width)
        nn.init.zeros_(self.mixing.bias)
        self.head_scale = nn.Parameter(torch.ones(heads))
        self.after_attention = nn.LayerNorm(width)
        self.before_feed = nn.LayerNorm(width)
        self.expand = nn.Linear(width, expansion * width)
        self.inside_feed = nn.LayerNorm(expansion * width)
        self.contract = nn.Linear(expansion * width, width)
        self.residual_scale = nn.Parameter(torch.ones(width))

    @property
    def _dropout(self) -> float:
        return self.dropout if self.training else 0.0

    def _mixed(self, found: Tensor) -> Tensor:
        """Mix what the heads found, shape (..., width)."""
        mixed = self.mixing(found)
        mixed = (mixed.unflatten(-1, (self.heads, -1)) * self.head_scale.unsqueeze(1)).flatten(-2)
        return dropped(self.after_attention(mixed), self._dropout)

    def _feed(self, x: Tensor) -> Tensor:
        probability = self._dropout
        inside = dropped(_gelu(self.expand(self.before_feed(x))), probability)
        found = dropped(self.contract(self.inside_feed(inside)), probability)
        return torch.addcmul(found, self.residual_scale, x)


class _ParticleBlock(_Layers):
    """Particle attention block."""

    def forward(self, tokens: Tensor, attend: Callable[..., Tensor]) -> Tensor:
        """Let the particles look at each other.

        `tokens` has shape (..., width); `attend` makes of queries, keys and values (..., 3 width)
        what the heads find (..., width), with a probability of dropout.
        """
        projected = self.projections(self.before_attention(tokens))
        found = attend(projected, dropout=self._dropout)
        return self._feed(self._mixed(found) + tokens)


class _ClassBlock(_Layers):
    """Class attention block."""

    def forward(self, token: Tensor, tokens: Tensor, bias: Tensor, spread: _Spread) -> Tensor:
        """Let the class token (jets, 1, width) look at itself and at the particles.

        `bias` has shape (1, jets, 1, 1 + particles); `spread` brings what there is of the particles
        to shape (jets, particles, n).
        """
        width = token.shape[-1]
        weight, offset = self.projections.weight, self.projections.bias
        query = functional.linear(token, weight[:width], offset[:width])
        own, others = (
            functional.linear(self.before_attention(x), weight[width:], offset[width:])
            for x in (token, tokens)
        )
        key, value = torch.cat((own, spread(others)), dim=1).chunk(2, dim=-1)
        query, key, value = (_heads_first(x, self.heads) for x in (query, key, value))
        found = _heads_last(attention(query, key, value, bias, self._dropout))
        return self._feed(self._mixed(found) + token)


def _heads_first(x: Tensor, heads: int) -> Tensor:
    """From (jets, particles, width) to (heads, jets, particles, width / heads)."""
    return x.unflatten(-1, (heads, -1)).permute(2, 0, 1, 3)


def _heads_last(x: Tensor) -> Tensor:
    """From (heads, jets, particles, width / heads) to (jets, particles, width)."""
    # A copy and not a view: an exported graph has other strides than the kernel of eager torch.
    return x.permute(1, 2, 0, 3).clone(memory_format=torch.contiguous_format).flatten(2)


def _attention_of_heads(projected: Tensor, bias: Tensor, dropout: float) -> Tensor:
    """Attention of padded jets, from (jets, particles, 3 width) to (jets, particles, width)."""
    query, key, value = (_heads_first(x, bias.shape[0]) for x in projected.chunk(3, dim=-1))
    return _heads_last(attention(query, key, value, bias, dropout))


def _as_is(x: Tensor) -> Tensor:
    return x


def attention(
    query: Tensor, key: Tensor, value: Tensor, bias: Tensor, dropout: float = 0.0
) -> Tensor:
    """Scaled dot-product attention with an additive bias and dropout on its weights.

    All of shape (heads, jets, items, channels), `bias` (heads, jets, items, items).
    """
    if dropout == 0.0 or not _has_kernels(query):
        return functional.scaled_dot_product_attention(
            query, key, value, attn_mask=bias, dropout_p=dropout
        )
    # torch leaves its fused kernel for dropout anyway, and then most time goes into Bernoulli
    # numbers and copies.
    heads, jets, items, channels = query.shape
    query, key, value = (x.reshape(heads * jets, -1, channels) for x in (query, key, value))
    logits = torch.baddbmm(
        bias.reshape(heads * jets, items, -1),
        query,
        key.transpose(1, 2),
        alpha=1 / math.sqrt(channels),
    )
    weights = dropped(torch.softmax(logits, dim=-1), dropout)
    return torch.bmm(weights, value).view(heads, jets, items, channels)


def dropped(x: Tensor, probability: float) -> Tensor:
    """Dropout: zero with the given probability, else larger by as much as keeps the mean."""
    if probability == 0.0 or not _has_kernels(x):
        return functional.dropout(x, probability)
    return packed_attention.dropped(x, probability)


def _gelu(x: Tensor) -> Tensor:
    """GELU; our own where it has a gradient, as that of torch takes longer for both."""
    if torch.is_grad_enabled() and _has_kernels(x):
        return packed_layers.gelu(x)
    return functional.gelu(x)


def _has_kernels(x: Tensor) -> bool:
    """Whether there is machine code of ours for this: CPU, single precision, nothing traced."""
    return (
        x.device.type == "cpu"
        and x.dtype == torch.float32
        and not torch.is_autocast_enabled("cpu")
        and not torch.compiler.is_compiling()
    )

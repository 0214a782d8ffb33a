"""Classifiers of jets on their particles, those of several fits in one computation.

Both are blind to the order of the particles, to the content of padding and to how much of it there
is. What is known of a whole jet goes in beside its particles, as `values`.
"""

from collections.abc import Sequence
from itertools import pairwise

import torch
from torch import Tensor, nn

from fullchain.learning.grouped import GroupedLinear, Inputs
from fullchain.seeds import derive
from fullchain.unfolding.grouped_attention import AttentionBlock, ClassAttentionBlock, GroupedNorm
from fullchain.unfolding.particle_network_settings import (
    ParticleNetworkSettings,
    PfnClassifierSettings,
    TransformerClassifierSettings,
)


def build(
    settings: ParticleNetworkSettings, members: int, n_features: int, seed: int, n_values: int = 0
) -> "GroupedParticleFlowNetwork | GroupedParticleTransformer":
    """Make the networks of several fits.

    Parameters
    ----------
    members
        Number of fits.
    n_features
        Features of a particle.
    seed
        Initial weights of member k follow from it and from k, however many members there are.
    n_values
        Values of the whole jet that are taken from `values` of the inputs; with 0, no `values`.
    """
    # Layers draw weights as they are made, which are overwritten: no other stream may move by it.
    with torch.random.fork_rng(devices=[]):
        network: GroupedParticleFlowNetwork | GroupedParticleTransformer
        if isinstance(settings, PfnClassifierSettings):
            network = GroupedParticleFlowNetwork(settings, members, n_features, n_values)
        else:
            network = GroupedParticleTransformer(settings, members, n_features, n_values)
    network.initialise([derive(seed, "particle_network", k) for k in range(members)])
    return network


class GroupedParticleFlowNetwork(nn.Module):
    r"""Logits of jets, F(\sum_i \Phi(p_i), values), of several members; 1810.05165.

    As OmniFold used it (1911.09107), but with one logit in place of two outputs of a softmax, and
    with the sum divided by a constant, which changes no function that can be learned. Initial
    weights are those of EnergyFlow (He uniform, the last layer Glorot uniform; biases 0).

    Parameters
    ----------
    settings
        Sizes.
    members, n_features, n_values
        Fits, features of a particle, and values of a jet that F sees beside the sum.
    """

    def __init__(
        self, settings: PfnClassifierSettings, members: int, n_features: int, n_values: int = 0
    ) -> None:
        super().__init__()
        self.members = members
        self.n_values = n_values
        self.typical = settings.typical
        self.latent = settings.phi[-1]
        self.phi = _layers(members, n_features, settings.phi)
        self.f = _layers(members, settings.phi[-1] + n_values, settings.f)
        self.output = GroupedLinear(members, settings.f[-1], 1)

    def forward(self, inputs: Inputs) -> Tensor:
        """Give logits (members, rows)."""
        hidden = self._sums(inputs["particles"], inputs["mask"]) / self.typical
        if self.n_values:
            hidden = torch.cat((hidden, _own_values(inputs, self.members, self.n_values)), dim=-1)
        for layer in self.f:
            hidden = torch.relu(layer(hidden))
        return self.output(hidden).squeeze(-1)

    def initialise(self, seeds: Sequence[int]) -> None:
        """Draw the weights of each member from its own seed."""
        for member, seed in enumerate(seeds):
            generator = torch.Generator().manual_seed(seed)
            for layer in [*self.phi, *self.f]:
                _draw(layer, member, 6.0 / layer.weight.shape[1], generator)
            _draw_glorot(self.output, member, generator)

    def _sums(self, particles: Tensor, mask: Tensor) -> Tensor:
        """Sum Phi over the particles (members, rows, latent); no time goes into padding."""
        rows, places = mask.shape
        real = mask.flatten().nonzero()[:, 0]
        if not len(real):
            return particles.new_zeros(self.members, rows, self.latent)
        hidden = particles.flatten(0, 1).index_select(0, real)
        hidden = torch.relu(self.phi[0](hidden, shared=True))
        for layer in list(self.phi)[1:]:
            hidden = torch.relu(layer(hidden))
        sums = hidden.new_zeros(self.members, rows, hidden.shape[-1])
        return sums.index_add(1, real // places, hidden)


class GroupedParticleTransformer(nn.Module):
    """Logits of jets of several members by attention among the particles, without position.

    Two dense layers embed each particle; blocks of attention and dense layers with norms before
    each (2002.04745) follow; then a token of the jet attends to the particles and to itself, and a
    linear layer makes the logit of it. This is the body and the head of the Point-Edge Transformer
    of OmniLearn (2404.16091), with the token of CaiT (2103.17239), less what that network has
    beyond attention: features of nearest neighbours, scales of layers, dropout, and tasks other
    than classification. Norms are over the features of one particle, there over all places of a
    jet, which counts padding. No interactions of pairs are given to the attention, other than in
    ParT (2202.03772). Values of the jet shift the token at the start.

    Parameters
    ----------
    settings
        Sizes.
    members, n_features, n_values
        Fits, features of a particle, and values of a jet.
    """

    def __init__(
        self,
        settings: TransformerClassifierSettings,
        members: int,
        n_features: int,
        n_values: int = 0,
    ) -> None:
        super().__init__()
        self.members = members
        self.n_values = n_values
        width, hidden = settings.width, settings.expansion * settings.width
        self.embed = GroupedLinear(members, n_features, hidden)
        self.project = GroupedLinear(members, hidden, width)
        self.token = nn.Parameter(torch.zeros(members, 1, width))
        self.shift = GroupedLinear(members, n_values, width) if n_values else None
        self.blocks = nn.ModuleList(
            AttentionBlock(members, width, settings.heads, hidden) for _ in range(settings.blocks)
        )
        self.class_blocks = nn.ModuleList(
            ClassAttentionBlock(members, width, settings.heads, hidden)
            for _ in range(settings.class_blocks)
        )
        self.norm = GroupedNorm(members, width)
        self.output = GroupedLinear(members, width, 1)

    def forward(self, inputs: Inputs) -> Tensor:
        """Give logits (members, rows)."""
        particles, mask = _without_common_padding(inputs["particles"], inputs["mask"])
        # Not by multiplication: padding may be anything, and not finite either.
        cloud = torch.where(mask.unsqueeze(-1), particles, 0.0)
        cloud = nn.functional.gelu(self.embed(cloud, shared=True))
        cloud = self.project(cloud)
        for block in self.blocks:
            cloud = block(cloud, mask)
        token = self.token.expand(-1, len(mask), -1)
        if self.shift is not None:
            token = token + self.shift(_own_values(inputs, self.members, self.n_values))
        for block in self.class_blocks:
            token = block(token, cloud, mask)
        return self.output(self.norm(token)).squeeze(-1)

    def initialise(self, seeds: Sequence[int]) -> None:
        """Draw the weights of each member from its own seed: Glorot uniform, biases 0."""
        layers = [module for module in self.modules() if isinstance(module, GroupedLinear)]
        for member, seed in enumerate(seeds):
            generator = torch.Generator().manual_seed(seed)
            for layer in layers:
                _draw_glorot(layer, member, generator)
            with torch.no_grad():
                self.token[member].normal_(0.0, 0.02, generator=generator)


def _layers(members: int, inputs: int, sizes: Sequence[int]) -> nn.ModuleList:
    ends = [inputs, *sizes]
    return nn.ModuleList(GroupedLinear(members, before, after) for before, after in pairwise(ends))


def _draw(layer: GroupedLinear, member: int, square: float, generator: torch.Generator) -> None:
    """Draw the weights of a member uniformly within +-sqrt(square), and set its bias to zero."""
    with torch.no_grad():
        layer.weight[member].uniform_(-(square**0.5), square**0.5, generator=generator)
        layer.bias[member].zero_()


def _draw_glorot(layer: GroupedLinear, member: int, generator: torch.Generator) -> None:
    _, inputs, outputs = layer.weight.shape
    _draw(layer, member, 6.0 / (inputs + outputs), generator)


def _own_values(inputs: Inputs, members: int, expected: int) -> Tensor:
    """Values of the jets (members, rows, values), of all members the same or not."""
    values = inputs["values"]
    if values.shape[-1] != expected:
        raise ValueError(f"{values.shape[-1]} values of a jet, where the network takes {expected}")
    return values.expand(members, *values.shape[-2:])


def _without_common_padding(particles: Tensor, mask: Tensor) -> tuple[Tensor, Tensor]:
    """Leave out the last places in which no jet of the batch has a particle."""
    used = mask.any(dim=0).nonzero()[:, 0]
    places = int(used[-1]) + 1 if len(used) else 1
    return particles[:, :places], mask[:, :places]

"""ParticleNet as weaver-core has it, written for tests: the names of its weights, and what it does.

Neighbours are found edge by edge, padding is kept, pushed far away and zeroed after each block.
"""

from collections.abc import Sequence

import torch
from torch import Tensor, nn


class Convolution(nn.Module):
    """A block on channels first, edge by edge, with the names of weaver-core."""

    def __init__(self, inputs: int, sizes: Sequence[int], neighbours: int) -> None:
        super().__init__()
        self.neighbours = neighbours
        before = [2 * inputs, *sizes]
        self.convs = nn.ModuleList(
            nn.Conv2d(one, two, 1, bias=False) for one, two in zip(before, sizes, strict=False)
        )
        self.bns = nn.ModuleList(nn.BatchNorm2d(size) for size in sizes)
        self.sc: nn.Conv1d | None = None
        if inputs != sizes[-1]:
            self.sc = nn.Conv1d(inputs, sizes[-1], 1, bias=False)
            self.sc_bn = nn.BatchNorm1d(sizes[-1])

    def forward(self, points: Tensor, features: Tensor) -> Tensor:
        k = self.neighbours
        order = torch.cdist(points.mT, points.mT, compute_mode="donot_use_mm_for_euclid_dist")
        nearest = order.argsort(dim=2, stable=True)[:, :, 1 : k + 1]
        jets, channels, particles = features.shape
        edges = torch.empty(jets, 2 * channels, particles, k, dtype=features.dtype)
        for jet in range(jets):
            for particle in range(particles):
                own = features[jet, :, particle, None].expand(channels, k)
                others = features[jet][:, nearest[jet, particle]]
                edges[jet, :, particle] = torch.cat([own, others - own])
        for conv, bn in zip(self.convs, self.bns, strict=True):
            edges = bn(conv(edges)).relu()
        around = features if self.sc is None else self.sc_bn(self.sc(features))
        return (around + edges.mean(dim=3)).relu()


class Weaver(nn.Module):
    """The network; points (jets, 2, particles), features and mask alike; logits (jets, classes)."""

    def __init__(
        self,
        features: int,
        classes: int,
        *,
        neighbours: int,
        blocks: Sequence[Sequence[int]],
        fc: Sequence[int],
        fusion: bool = False,
    ) -> None:
        super().__init__()
        self.bn_fts = nn.BatchNorm1d(features)
        widths = [features, *(sizes[-1] for sizes in blocks)]
        self.edge_convs = nn.ModuleList(
            Convolution(inputs, sizes, neighbours)
            for inputs, sizes in zip(widths, blocks, strict=False)
        )
        last = widths[-1]
        self.fusion_block: nn.Sequential | None = None
        if fusion:
            last = 128
            joined = nn.Conv1d(sum(widths[1:]), last, 1, bias=False)
            self.fusion_block = nn.Sequential(joined, nn.BatchNorm1d(last), nn.ReLU())
        layers: list[nn.Module] = []
        for size in fc:
            layers.append(nn.Sequential(nn.Linear(last, size), nn.ReLU(), nn.Dropout(0.1)))
            last = size
        self.fc = nn.Sequential(*layers, nn.Linear(last, classes))

    def forward(self, points: Tensor, features: Tensor, mask: Tensor) -> Tensor:
        points, features = points * mask, features * mask
        far = 1e9 * (mask == 0)
        features = self.bn_fts(features) * mask
        outputs = []
        for number, block in enumerate(self.edge_convs):
            place = features if number else points
            features = block(place + far, features) * mask
            outputs.append(features)
        if self.fusion_block is not None:
            features = self.fusion_block(torch.cat(outputs, dim=1)) * mask
        return self.fc(features.sum(dim=2) / mask.sum(dim=2).clamp(min=1))


def with_moments(network: Weaver, seed: int) -> Weaver:
    """The network in double precision, its batch norms as if they had seen something."""
    torch.manual_seed(seed)
    network = network.double()
    for module in network.modules():
        if isinstance(module, nn.BatchNorm1d | nn.BatchNorm2d):
            nn.init.uniform_(module.weight, 0.5, 1.5)
            nn.init.normal_(module.bias)
            assert module.running_mean is not None and module.running_var is not None
            module.running_mean.normal_()
            module.running_var.uniform_(0.5, 2.0)
    return network.eval()

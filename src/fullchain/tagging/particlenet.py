"""ParticleNet: convolutions on the graph of nearest particles (1902.08570)."""

from collections.abc import Sequence
from typing import cast

import torch
from torch import Tensor, nn

from fullchain.tagging.cloud import ParticleCloud
from fullchain.tagging.edge_network import (
    Moments,
    Normalisation,
    edge_mean,
    edge_mean_by_layers,
    edge_mean_fixed,
    number_of_edges,
)

MOMENTUM = 0.1
"""What a batch contributes to the running moments of the normalisations; torch's own value."""

_NONE = 2**62
"""Larger than any key by which neighbours are put in order."""


class ParticleNet(nn.Module):
    """Score of the particles of a jet, seen as a graph of nearest neighbours, arXiv:1902.08570.

    The inputs are batch-normalised. EdgeConv blocks follow, the first with the neighbours in eta
    and phi, the others with those in the features that the block before gives; then the mean over
    the particles and dense layers. The defaults are the published sizes of ParticleNet; those of
    ParticleNet-Lite are in `particlenet_settings.LITE`.

    All layers see the particles one below the other, without the padding: their normalisations
    cannot see it, and take no time on it. A jet with fewer than k + 1 particles has neighbours too
    few. In their place stands a particle whose features are zero at the entrance of the block (not
    at that of the network), so that a particle has k edges always; padding has that part in the
    implementation that the official weights were trained with, which are understood here.

    Parameters
    ----------
    features
        Number of features of a particle.
    classes
        Number of classes.
    neighbours
        Nearest neighbours of a particle, k.
    blocks
        Sizes of the layers on the edges, for each block.
    fc
        Sizes of the layers on the mean over the particles.
    dropout
        Dropout in these.
    fusion
        Join the outputs of all blocks in a layer on the particles, before the mean. The paper does
        not; some official weights do.
    """

    def __init__(
        self,
        features: int,
        classes: int,
        *,
        neighbours: int = 16,
        blocks: Sequence[Sequence[int]] = ((64, 64, 64), (128, 128, 128), (256, 256, 256)),
        fc: Sequence[int] = (256,),
        dropout: float = 0.1,
        fusion: bool = False,
    ) -> None:
        super().__init__()
        self.neighbours = neighbours
        self.normalise = nn.BatchNorm1d(features)
        widths = [features, *(sizes[-1] for sizes in blocks)]
        self.blocks = nn.ModuleList(
            EdgeConv(inputs, sizes) for inputs, sizes in zip(widths, blocks, strict=False)
        )
        self.fusion = _Fusion(widths[1:]) if fusion else None
        sizes = [self.fusion.size if self.fusion else widths[-1], *fc]
        self.fc = nn.ModuleList(
            nn.Linear(inputs, outputs) for inputs, outputs in zip(sizes, fc, strict=False)
        )
        self.dropout = nn.Dropout(dropout)
        self.output = nn.Linear(fc[-1], classes)

    def forward(self, cloud: ParticleCloud) -> Tensor:
        """Give one logit per class, shape (jets, classes)."""
        return self.output(self.latent(cloud))

    def latent(self, cloud: ParticleCloud) -> Tensor:
        """Give what the last layer sees, shape (jets, width)."""
        packing = (_Padded if torch.compiler.is_exporting() else _Packing)(cloud.mask)
        rows = self.normalise(packing.packed(cloud.features))
        distance = plane_distance(cloud.angles)
        outputs: list[Tensor] = []
        for block in self.blocks:
            if outputs:
                distance = feature_distance(packing.padded(rows.detach()))
            rows = block(rows, packing.nearest(distance, self.neighbours))
            outputs.append(rows)
        if self.fusion is not None:
            rows = self.fusion(outputs)
        counts = cloud.mask.sum(dim=1, keepdim=True).clamp(min=1)
        latent = packing.padded(rows).sum(dim=1) / counts
        for linear in self.fc:
            latent = self.dropout(linear(latent).relu())
        return latent


class EdgeConv(nn.Module):
    """Mean over the neighbours j of a network of (x_i, x_j - x_i), plus a shortcut of x_i.

    Batch normalisation in training uses the k edges of each particle, and no padding; where several
    processes share a batch, the edges of all.

    Parameters
    ----------
    features
        Number of features of a particle.
    sizes
        Sizes of the layers on the edges. Linear without bias, batch normalisation, ReLU each.
    """

    def __init__(self, features: int, sizes: Sequence[int]) -> None:
        super().__init__()
        inputs = [2 * features, *sizes]
        self.linears = nn.ModuleList(
            nn.Linear(before, after, bias=False)
            for before, after in zip(inputs, sizes, strict=False)
        )
        self.norms = nn.ModuleList(nn.BatchNorm1d(size) for size in sizes)
        self.shortcut: nn.Linear | None = None
        self.shortcut_norm: nn.BatchNorm1d | None = None
        if features != sizes[-1]:
            self.shortcut = nn.Linear(features, sizes[-1], bias=False)
            self.shortcut_norm = nn.BatchNorm1d(sizes[-1])

    def forward(self, rows: Tensor, neighbours: Tensor) -> Tensor:
        """Give new features of the particles, shape (particles, sizes[-1]).

        `rows` has shape (particles, features); `neighbours` (particles, k) has the rows of the
        neighbours, the number of particles standing for one whose features are zero.
        """
        edges = (self._normalised if self.training else self._fixed)(rows, neighbours)
        return torch.relu(self._around(rows) + edges)

    def _around(self, rows: Tensor) -> Tensor:
        if self.shortcut is None or self.shortcut_norm is None:
            return rows
        if self.training:
            return self.shortcut_norm(self.shortcut(rows))
        scale, shift = _as_linear(self.shortcut_norm)
        return torch.addmm(shift, rows, (self.shortcut.weight * scale[:, None]).T)

    def _weights(self) -> tuple[Tensor, Tensor, list[Tensor]]:
        """Weights of x_i and of x_j in the first layer, and those of the other layers.

        W (x_i, x_j - x_i) = (W_1 - W_2) x_i + W_2 x_j: k times fewer products.
        """
        first, *weights = (linear.weight for linear in cast("list[nn.Linear]", self.linears))
        of_centre, of_difference = first.chunk(2, dim=1)
        return of_centre - of_difference, of_difference, weights

    def _normalised(self, rows: Tensor, index: Tensor) -> Tensor:
        """Edges with their own moments, which the running ones follow."""
        of_centre, of_neighbour, weights = self._weights()
        centre, neighbour = rows @ of_centre.T, _with_zero(rows @ of_neighbour.T)
        modules = cast("list[nn.BatchNorm1d]", self.norms)
        norms = [Normalisation(norm.weight, norm.bias, norm.eps) for norm in modules]
        function = edge_mean if rows.device.type == "cpu" else edge_mean_by_layers
        edges, moments = function(centre, neighbour, index, weights, norms)
        number = number_of_edges(index)
        unbiased = number / max(1.0, number - 1.0)
        with torch.no_grad():
            for norm, (mean, variance) in zip(modules, moments, strict=True):
                running = _running(norm)
                running.mean.lerp_(mean, MOMENTUM)
                running.variance.lerp_(variance * unbiased, MOMENTUM)
        return edges

    def _fixed(self, rows: Tensor, index: Tensor) -> Tensor:
        """Edges with the moments from training, as part of the linear layers."""
        of_centre, of_neighbour, weights = self._weights()
        modules = cast("list[nn.BatchNorm1d]", self.norms)
        scales, shifts = zip(*map(_as_linear, modules), strict=True)
        first, *others = (scale[:, None] for scale in scales)
        return edge_mean_fixed(
            torch.addmm(shifts[0], rows, (of_centre * first).T),
            _with_zero(rows @ (of_neighbour * first).T),
            index,
            [weight * scale for weight, scale in zip(weights, others, strict=True)],
            shifts[1:],
        )


def _as_linear(norm: nn.BatchNorm1d) -> tuple[Tensor, Tensor]:
    """Factor and shift of a batch normalisation with the moments from training."""
    mean, variance = _running(norm)
    scale = norm.weight * torch.rsqrt(variance + norm.eps)
    return scale, norm.bias - mean * scale


def _running(norm: nn.BatchNorm1d) -> Moments:
    assert norm.running_mean is not None and norm.running_var is not None
    return Moments(norm.running_mean, norm.running_var)


class _Fusion(nn.Module):
    """One layer on the outputs of all blocks; its size is the inputs' in full multiples of 128."""

    def __init__(self, widths: Sequence[int]) -> None:
        super().__init__()
        self.size = min(max(sum(widths) // 128 * 128, 128), 1024)
        self.linear = nn.Linear(sum(widths), self.size, bias=False)
        self.norm = nn.BatchNorm1d(self.size)

    def forward(self, outputs: list[Tensor]) -> Tensor:
        return torch.relu(self.norm(self.linear(torch.cat(outputs, dim=1))))


class _Packing:
    """Particles one below the other without padding, and back."""

    def __init__(self, mask: Tensor) -> None:
        self.mask = mask
        flat = mask.reshape(-1)
        self.slots = flat.nonzero().squeeze(1)
        """Where each row is among all entries."""
        ordinal = flat.long().cumsum(0)
        self.total = ordinal[-1:] if flat.numel() else ordinal.new_zeros(1)
        """Number of rows, (1,); as the index of a row, the one below the last."""
        self.rows = torch.where(flat, ordinal - 1, self.total)
        """Row of each entry, for padding the one below the last."""

    def packed(self, values: Tensor) -> Tensor:
        """From (jets, entries, n) to (particles, n)."""
        return values.flatten(0, 1).index_select(0, self.slots)

    def padded(self, rows: Tensor) -> Tensor:
        """From (particles, n) to (jets, entries, n), with zeros as padding."""
        return _with_zero(rows).index_select(0, self.rows).view(*self.mask.shape, rows.shape[1])

    def nearest(self, distance: Tensor, k: int) -> Tensor:
        """Rows of the k nearest other particles of each particle, shape (particles, k).

        `distance` (jets, entries, entries) is not negative and grows with the distance of two
        particles; of those at the same distance the first is taken. Where a jet has no more
        particles, the row is the number of particles.
        """
        entries = self.mask.shape[1]
        # Numbers that are not negative have the order of their bits. With the place behind them no
        # two are equal, so that no ordering of equals by the algorithm decides.
        place = torch.arange(entries, device=distance.device)
        keys = self.packed(distance.float()).view(torch.int32).long().mul_(entries).add_(place)
        column = self.slots.remainder(entries).unsqueeze(1)
        outside = ~self.mask.index_select(0, self.slots.div(entries, rounding_mode="floor"))
        keys.masked_fill_(outside, _NONE).scatter_(1, column, _NONE)
        keys = nn.functional.pad(keys, (0, max(0, k - entries)), value=_NONE)
        found = keys.topk(k, dim=1, largest=False, sorted=False)
        first = self.slots - self.slots.remainder(entries)
        rows = self.rows[first.unsqueeze(1) + found.indices.clamp(max=entries - 1)]
        return torch.where(found.values == _NONE, self.total, rows)


class _Padded(_Packing):
    """The same with the padding left where it is, for a graph whose sizes no mask may change."""

    def __init__(self, mask: Tensor) -> None:
        self.mask = mask
        # Counted on a tensor: a number made of sizes would become a constant of the graph.
        self.total = torch.ones_like(mask.reshape(-1)).long().sum().view(1)

    def packed(self, values: Tensor) -> Tensor:
        """From (jets, entries, n) to (jets * entries, n)."""
        return values.flatten(0, 1)

    def padded(self, rows: Tensor) -> Tensor:
        """From (jets * entries, n) to (jets, entries, n), with zeros as padding."""
        values = rows.view(*self.mask.shape, rows.shape[1])
        return torch.where(self.mask.unsqueeze(2), values, 0.0)

    def nearest(self, distance: Tensor, k: int) -> Tensor:
        """As for packed particles; ONNX takes the first of those at the same distance."""
        jets, entries = self.mask.shape
        place = torch.arange(entries, device=distance.device)
        others = self.mask.unsqueeze(1) & (place.unsqueeze(1) != place)
        far = torch.where(others, distance, torch.inf)
        found = far.topk(min(k, entries), dim=2, largest=False, sorted=False)
        first = (torch.arange(jets, device=distance.device) * entries).view(-1, 1, 1)
        rows = torch.where(torch.isinf(found.values), self.total, first + found.indices)
        if k > entries:
            rows = torch.cat([rows, self.total.expand(jets, entries, k - entries)], dim=2)
        return rows.flatten(0, 1)


def plane_distance(angles: Tensor) -> Tensor:
    """Squared distances in eta and phi: from (jets, particles, 2) to (jets, particles, particles).

    From differences, as products would round away the distances inside a core of a jet.
    """
    # Of their own each, as they are read once for each pair.
    eta, phi = (one.contiguous() for one in angles.unbind(-1))
    delta_eta = eta.unsqueeze(2) - eta.unsqueeze(1)
    delta_phi = phi.unsqueeze(2) - phi.unsqueeze(1)
    return delta_eta * delta_eta + delta_phi * delta_phi


def feature_distance(features: Tensor) -> Tensor:
    """Squared distances from (jets, particles, n) to (jets, particles, particles), float32.

    |x_i|^2 + |x_j|^2 - 2 x_i x_j in double precision: in single, what is left of the difference
    where particles are near is rounding, and that would choose the neighbours.
    """
    exact = features.double()
    square = exact.square().sum(dim=2)
    both = square.unsqueeze(1) + square.unsqueeze(2)
    distance = torch.baddbmm(both, exact, exact.transpose(1, 2), alpha=-2)
    return distance.clamp(min=0).float()


def _with_zero(rows: Tensor) -> Tensor:
    """The rows and a last one of zeros."""
    return torch.cat([rows, rows.new_zeros(1, rows.shape[1])])

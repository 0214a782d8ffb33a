"""Attention pooling over neighbours, ABCNet (Mikuni, Canelli, 2001.05311)."""

import itertools

import torch
from torch import Tensor, nn
from torch.nn.functional import leaky_relu

from fullchain.pileup.cloud_graph import Neighbourhood, Points, near_in_direction, near_in_features
from fullchain.pileup.graph_settings import AttentionBlockSettings, AttentionSettings
from fullchain.tagging.masked_norm import MaskedBatchNorm


class AttentionHead(nn.Module):
    r"""One head of a graph-attention-pooling layer.

    From the point x_i and its edges y_ij = x_i - x_j, with h a linear layer, batch norm and ReLU:

        x'_i = h(x_i),  y'_ij = h(y_ij),  c_ij = softmax_j LeakyReLU(a(x'_i) + b(y'_ij)),

    and the output is ReLU(sum_j c_ij y'_ij + bias). The graph features y' are given, too.
    """

    def __init__(self, features: int, size: int) -> None:
        super().__init__()
        self.point = nn.Linear(features, size, bias=False)
        self.point_norm = nn.BatchNorm1d(size)
        self.edge = nn.Linear(features, size, bias=False)
        self.edge_norm = MaskedBatchNorm(size)
        self.of_point = nn.Linear(size, 1)
        self.of_edge = nn.Linear(size, 1)
        self.bias = nn.Parameter(torch.zeros(size))

    def forward(self, x: Tensor, near: Neighbourhood) -> tuple[Tensor, Tensor]:
        """Give the pooled features (n, size) and the graph features (n, k, size), 0 if absent."""
        point = torch.relu(self.point_norm(self.point(x)))
        # A linear layer of a difference is the difference of the layer: fewer products.
        projected = self.edge(x)
        difference = projected.unsqueeze(1) - near.of(projected)
        edge = torch.relu(self.edge_norm(difference, near.present))
        edge = edge * near.present.unsqueeze(2)
        score = leaky_relu(self.of_point(point) + self.of_edge(edge).squeeze(2), 0.2)
        # A point without neighbours has no edge: a large number instead of infinity avoids NaN.
        share = torch.softmax(score.masked_fill(~near.present, -1e30), dim=1)
        pooled = torch.bmm((share * near.present).unsqueeze(1), edge).squeeze(1)
        return torch.relu(pooled + self.bias), edge


class _Dense(nn.Sequential):
    """Linear layer, batch norm, ReLU on each row."""

    def __init__(self, before: int, after: int) -> None:
        super().__init__(nn.Linear(before, after, bias=False), nn.BatchNorm1d(after), nn.ReLU())


class AttentionBlock(nn.Module):
    """Heads side by side, then layers on each candidate; takes the inputs along, as published."""

    def __init__(self, settings: AttentionBlockSettings, before: int, inputs: int) -> None:
        super().__init__()
        self.heads = nn.ModuleList(
            AttentionHead(before, settings.size) for _ in range(settings.heads)
        )
        widths = (inputs + settings.heads * settings.size, *settings.layers)
        self.layers = nn.ModuleList(_Dense(a, b) for a, b in itertools.pairwise(widths))

    def forward(
        self, x: Tensor, inputs: Tensor, near: Neighbourhood
    ) -> tuple[list[Tensor], Tensor]:
        """Give the output of each layer, and the largest of the graph features, per candidate."""
        found = [head(x, near) for head in self.heads]
        rows = torch.cat([inputs, *(pooled for pooled, _ in found)], dim=1)
        outputs = []
        for layer in self.layers:
            rows = layer(rows)
            outputs.append(rows)
        # graph features are not negative, and 0 where there is no neighbour
        largest = torch.cat([edge.amax(dim=1) for _, edge in found], dim=1)
        return outputs, largest


class AttentionLayers(nn.Module):
    """Attention blocks, the mean over the window, and layers on each candidate.

    Different from the authors' program: one logit and not two, and features of the event go
    through a layer without batch norm, since a batch has few events.
    """

    def __init__(self, settings: AttentionSettings, features: int, of_event: int) -> None:
        super().__init__()
        self.settings = settings
        self.blocks = nn.ModuleList()
        before = features
        width = settings.globals_size
        for block in settings.blocks:
            self.blocks.append(AttentionBlock(block, before, features))
            before = block.layers[-1]
            width += sum(block.layers) + block.heads * block.size
        self.of_event = nn.Sequential(nn.Linear(of_event, settings.globals_size), nn.ReLU())
        self.joined = _Dense(width, settings.pooled)
        last: list[nn.Module] = []
        width = 2 * settings.pooled
        for number, wide in enumerate(settings.fc):
            last.append(_Dense(width, wide))
            if number < len(settings.fc) - 1:
                last.append(nn.Dropout(settings.dropout))
            width = wide
        self.last = nn.Sequential(*last, nn.Linear(width, 1))

    def forward(self, points: Points) -> Tensor:
        """Give logits (n)."""
        x = points.features
        parts = [self.of_event(points.event_features)]
        for block, settings in zip(self.blocks, self.settings.blocks, strict=True):
            if settings.space == "direction":
                near = near_in_direction(points, self.settings.radius, self.settings.neighbours)
            else:
                near = near_in_features(x, points.offsets, self.settings.neighbours)
            outputs, largest = block(x, points.features, near)
            parts += [*outputs, largest]
            x = outputs[-1]
        rows = self.joined(torch.cat(parts, dim=1))
        group, groups = points.group, len(points.offsets) - 1
        counts = points.offsets.diff().clamp(min=1).to(rows.device, rows.dtype)
        sums = rows.new_zeros((groups, rows.shape[1])).index_add(0, group, rows)
        means = (sums / counts.unsqueeze(1)).index_select(0, group)
        logits: Tensor = self.last(torch.cat([means, rows], dim=1)).squeeze(1)
        return logits

"""LundNet: a graph network on the tree of declusterings of a jet."""

from collections.abc import Sequence
from itertools import pairwise

import torch
from torch import Tensor, nn

from fullchain.tagging.masked_norm import MaskedBatchNorm

PUBLISHED_BLOCKS = ((32, 32), (32, 32), (64, 64), (64, 64), (128, 128), (128, 128))


class LundNetwork(nn.Module):
    """LundNet (Dreyer, Qu, arXiv:2012.08526), on padded arrays.

    Batch norm of the coordinates; EdgeConv blocks along the edges of the tree, in both directions;
    a layer on the outputs of all blocks; the mean over declusterings; a dense layer. The order of
    operations is that of the authors' code. All means and all statistics of batch norms are over
    what is not padding. A jet of fewer than two particles has no declustering: its mean is zero.

    Parameters
    ----------
    features
        Number of coordinates of a declustering: 5 (LundNet-5) or 3 (LundNet-3).
    classes
        Number of classes.
    blocks
        Layers of the network on edges, for each block.
    fusion
        Size of the layer on the outputs of all blocks. By default that of the authors: their sum,
        rounded down to a multiple of 128, between 128 and 1024.
    head
        Layers after the mean.
    dropout
        Dropout in the layers of the head.
    """

    def __init__(
        self,
        features: int,
        classes: int,
        *,
        blocks: Sequence[Sequence[int]] = PUBLISHED_BLOCKS,
        fusion: int | None = None,
        head: Sequence[int] = (256,),
        dropout: float = 0.1,
    ) -> None:
        super().__init__()
        self.norm = MaskedBatchNorm(features)
        widths = [features, *(sizes[-1] for sizes in blocks)]
        self.blocks = nn.ModuleList(
            EdgeConv(inputs, sizes) for inputs, sizes in zip(widths, blocks, strict=False)
        )
        total = sum(widths[1:])
        size = min(max(total // 128 * 128, 128), 1024) if fusion is None else fusion
        self.fusion = nn.Linear(total, size)
        self.fusion_norm = MaskedBatchNorm(size)
        layers: list[nn.Module] = []
        for outputs in head:
            layers += [nn.Linear(size, outputs), nn.ReLU(), nn.Dropout(dropout)]
            size = outputs
        self.head = nn.Sequential(*layers, nn.Linear(size, classes))

    def forward(self, features: Tensor, mask: Tensor, neighbours: Tensor) -> Tensor:
        """Give logits, shape (jets, classes).

        `features` (jets, nodes, coordinates), `mask` (jets, nodes), `neighbours` (jets, nodes, 3)
        as in `lund_tree.LundTrees`; what stands in padded nodes does not matter.
        """
        return self.head[-1](self.latent(features, mask, neighbours))

    def latent(self, features: Tensor, mask: Tensor, neighbours: Tensor) -> Tensor:
        """Give what the last layer sees, shape (jets, width); arguments as of `forward`."""
        own = torch.arange(mask.shape[1], device=mask.device)[None, :, None]
        neighbours = torch.where(mask.unsqueeze(-1), neighbours, own)
        edges = neighbours != own
        x = self.norm(torch.where(mask.unsqueeze(-1), features, 0.0), mask)
        outputs = []
        for block in self.blocks:
            x = block(x, mask, neighbours, edges)
            outputs.append(x)
        x = torch.relu(self.fusion(torch.cat(outputs, dim=-1)))
        return self.head[:-1](_mean(self.fusion_norm(x, mask), mask))


class EdgeConv(nn.Module):
    r"""Edge convolution (arXiv:1801.07829) in the form of LundNet.

    The message of neighbour j to node i starts as \theta (x_i - x_j) + \phi x_j, passes batch norm,
    ReLU and the further layers; the messages are averaged, and a shortcut of the node is added. As
    \theta and \phi are linear, they are applied to nodes, which are fewer than edges.

    Parameters
    ----------
    inputs
        Features of a node.
    sizes
        Layers of the network on edges.
    """

    def __init__(self, inputs: int, sizes: Sequence[int]) -> None:
        super().__init__()
        self.theta = nn.Linear(inputs, sizes[0], bias=False)
        self.phi = nn.Linear(inputs, sizes[0], bias=False)
        self.layers = nn.ModuleList(
            nn.Linear(before, after, bias=False) for before, after in pairwise(sizes)
        )
        self.norms = nn.ModuleList(MaskedBatchNorm(size) for size in sizes)
        self.shortcut: nn.Linear | None = None
        self.shortcut_norm: MaskedBatchNorm | None = None
        if inputs != sizes[-1]:
            self.shortcut = nn.Linear(inputs, sizes[-1], bias=False)
            self.shortcut_norm = MaskedBatchNorm(sizes[-1])

    def forward(self, x: Tensor, mask: Tensor, neighbours: Tensor, edges: Tensor) -> Tensor:
        """Give new features of the nodes.

        `x` (jets, nodes, inputs), `mask` (jets, nodes), `neighbours` (jets, nodes, k), `edges`
        (jets, nodes, k) true where there is a neighbour.
        """
        theta, phi = self.theta(x), self.phi(x)
        messages = theta.unsqueeze(2) + _gathered(phi - theta, neighbours)
        for index, norm in enumerate(self.norms):
            if index > 0:
                messages = self.layers[index - 1](messages)
            messages = torch.relu(norm(messages, edges))
        result = _mean(messages, edges)
        if self.shortcut is not None and self.shortcut_norm is not None:
            x = self.shortcut_norm(self.shortcut(x), mask)
        return torch.relu(result + x)


def _mean(x: Tensor, mask: Tensor) -> Tensor:
    """Mean over the last dimension but one of what is not masked, zero where there is nothing."""
    weight = mask.to(x.dtype).unsqueeze(-1)
    return (x * weight).sum(-2) / weight.sum(-2).clamp(min=1.0)


def _gathered(x: Tensor, neighbours: Tensor) -> Tensor:
    """Features of the neighbours, (jets, nodes, k, size), from those of the nodes."""
    jets, nodes, k = neighbours.shape
    index = neighbours.reshape(jets, nodes * k, 1).expand(-1, -1, x.shape[-1])
    return torch.gather(x, 1, index).reshape(jets, nodes, k, x.shape[-1])

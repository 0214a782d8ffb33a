"""The network on the edges of an EdgeConv block, trained in little memory on the CPU.

An edge runs from particle i to a neighbour j. Its first layer is linear in (x_i, x_j - x_i), so
that it is a sum of a term of i and a term of j: both are computed once per particle, and gathered
for the edges. Each layer is followed by batch normalisation and ReLU, the last by the mean over
the edges of a particle (1801.07829 takes the maximum, 1902.08570 the mean).

There are k edges for each particle, and everything that happens to them but the products of
matrices is bound by memory. `edge_mean` therefore works on pieces of edges that fit into the cache
of a core, does all that a piece needs while it is there, and keeps nothing for the gradients but
the values before each normalisation; `edge_mean_by_layers` is the same for a GPU, layer by layer.

Where several processes share a training, the moments are those of the edges of all of them.
"""

from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable
from torch.nn.functional import batch_norm

from fullchain.learning import shared_sums

PIECE = 2**17
"""Values of one layer in a piece: 512 KiB, so that those in use stay in a cache."""


class Normalisation(NamedTuple):
    """Batch normalisation of one layer: its trained factor and shift, and its fixed epsilon."""

    weight: Tensor
    bias: Tensor
    epsilon: float


class Moments(NamedTuple):
    """Mean and (biased) variance of each channel over the edges, each (channels,)."""

    mean: Tensor
    variance: Tensor


def number_of_edges(index: Tensor) -> float:
    """Count the edges of this batch, over all processes of the training."""
    if not shared_sums.several():
        return float(index.numel())
    own = torch.tensor(index.numel(), dtype=torch.float64, device=index.device)
    return float(shared_sums.total(own))


def gathered(centre: Tensor, neighbour: Tensor, index: Tensor) -> Tensor:
    """Give the first layer on the edges, shape (particles, k, channels).

    `centre` (particles, channels) and `neighbour` (rows, channels) are the terms of x_i and x_j;
    `index` (particles, k) has the rows of the neighbours.
    """
    terms = neighbour.index_select(0, index.reshape(-1))
    return terms.view(*index.shape, neighbour.shape[1]).add_(centre.unsqueeze(1))


def edge_mean_by_layers(
    centre: Tensor,
    neighbour: Tensor,
    index: Tensor,
    weights: Sequence[Tensor],
    norms: Sequence[Normalisation],
) -> tuple[Tensor, list[Moments]]:
    """As `edge_mean`, written layer by layer with torch's own gradients; fast on a GPU."""
    values = gathered(centre, neighbour, index).flatten(0, 1)
    edges = number_of_edges(index) if shared_sums.several() else None
    moments = []
    for number, norm in enumerate(norms):
        if number:
            values = values @ weights[number - 1].T
        values, found = (
            _by_this_process(values, norm)
            if edges is None
            else _by_all_processes(values, norm, edges)
        )
        moments.append(found)
        values = values.relu()
    return values.view(*index.shape, -1).mean(dim=1), moments


def _by_this_process(values: Tensor, norm: Normalisation) -> tuple[Tensor, Moments]:
    with torch.no_grad():
        variance, mean = torch.var_mean(values, dim=0, correction=0)
    values = batch_norm(values, None, None, norm.weight, norm.bias, training=True, eps=norm.epsilon)
    return values, Moments(mean, variance)


def _by_all_processes(values: Tensor, norm: Normalisation, edges: float) -> tuple[Tensor, Moments]:
    exact = values if values.dtype == torch.float64 else values.float()
    mean = shared_sums.total(exact.sum(dim=0)) / edges
    variance = shared_sums.total((exact - mean).square().sum(dim=0)) / edges
    scale = norm.weight * torch.rsqrt(variance + norm.epsilon)
    values = (exact * scale + (norm.bias - mean * scale)).to(values.dtype)
    return values, Moments(mean.detach(), variance.detach())


def edge_mean_fixed(
    centre: Tensor,
    neighbour: Tensor,
    index: Tensor,
    weights: Sequence[Tensor],
    shifts: Sequence[Tensor],
) -> Tensor:
    """As `edge_mean` with normalisations that are already part of its linear layers.

    `shifts` are those of the layers from the second on. Where no gradients are asked for, the
    edges are taken in pieces; an exported graph takes them in one.
    """
    if torch.is_grad_enabled() or torch.compiler.is_compiling() or centre.device.type != "cpu":
        return _fixed(centre, neighbour, index, weights, shifts)
    widest = max(centre.shape[1], *(len(shift) for shift in shifts)) if shifts else centre.shape[1]
    pieces = [
        _fixed(centre[piece], neighbour, index[piece], weights, shifts)
        for piece in _pieces(index, widest)
    ]
    return torch.cat(pieces) if pieces else centre.new_zeros(0, widest)


def _fixed(
    centre: Tensor,
    neighbour: Tensor,
    index: Tensor,
    weights: Sequence[Tensor],
    shifts: Sequence[Tensor],
) -> Tensor:
    values = gathered(centre, neighbour, index).flatten(0, 1).relu()
    for weight, shift in zip(weights, shifts, strict=True):
        values = torch.addmm(shift, values, weight.T).relu()
    return values.view(*index.shape, values.shape[1]).mean(dim=1)


def edge_mean(
    centre: Tensor,
    neighbour: Tensor,
    index: Tensor,
    weights: Sequence[Tensor],
    norms: Sequence[Normalisation],
) -> tuple[Tensor, list[Moments]]:
    """Mean of the network over the edges of each particle, normalised with the edges' own moments.

    Parameters
    ----------
    centre, neighbour
        The first layer's terms of a particle as centre (particles, channels) and as neighbour
        (rows, channels).
    index
        Rows of the k neighbours of each particle, (particles, k).
    weights
        Matrices (out, in) of the layers from the second on.
    norms
        Normalisation of each layer, one more than there are matrices.

    Returns
    -------
        The means, shape (particles, channels), and the moments of each layer (no gradients).
    """
    flat = [tensor for norm in norms for tensor in norm[:2]]
    epsilons = tuple(norm.epsilon for norm in norms)
    mean, *moments = _EdgeMean.apply(centre, neighbour, index, epsilons, *weights, *flat)
    return mean, [Moments(*pair) for pair in zip(moments[::2], moments[1::2], strict=True)]


class _Layer(NamedTuple):
    """One layer after its moments are known: y -> relu(y * scale + shift)."""

    scale: Tensor
    shift: Tensor
    mean: Tensor
    variance: Tensor
    inverse: Tensor
    """One over the square root of the variance and epsilon."""

    def activated(self, values: Tensor) -> Tensor:
        return torch.addcmul(self.shift, values, self.scale).relu_()


class _Sum:
    """Sums over the edges of the gradient after normalisation, alone and times the values."""

    def __init__(self, like: Tensor) -> None:
        self.gradient = torch.zeros_like(like)
        self.product = torch.zeros_like(like)

    def add(self, gradient: Tensor, values: Tensor) -> None:
        self.gradient += gradient.sum(dim=0)
        self.product += (values * gradient).sum(dim=0)


def _pieces(index: Tensor, channels: int) -> Iterator[slice]:
    size = max(1, PIECE // (index.shape[1] * channels))
    for start in range(0, len(index), size):
        yield slice(start, min(start + size, len(index)))


def _combined(counts: list[int], moments: list[tuple[Tensor, Tensor]]) -> Moments:
    """Moments of all pieces from those of each (Chan, Golub and LeVeque 1983)."""
    share = torch.tensor(counts, dtype=torch.float64, device=moments[0][0].device)[:, None]
    share = share / share.sum()
    means = torch.stack([mean for mean, _ in moments])
    inside = torch.stack([variance for _, variance in moments])
    mean = (share * means).sum(dim=0)
    variance = (share * (inside + (means - mean) ** 2)).sum(dim=0)
    return Moments(mean.to(means.dtype), variance.to(means.dtype))


def _of_all_processes(edges: float, own: int, moments: Moments) -> Moments:
    """Moments of all edges from those of the edges of each process, `own` of them in this one."""
    if not shared_sums.several():
        return moments
    mean, variance = (one.double() for one in moments)
    common = shared_sums.total(own * mean) / edges
    spread = shared_sums.total(own * (variance + (mean - common) ** 2)) / edges
    return Moments(common.to(moments.mean.dtype), spread.to(moments.mean.dtype))


class _EdgeMean(torch.autograd.Function):
    @staticmethod
    def forward(
        context: Any,
        centre: Tensor,
        neighbour: Tensor,
        index: Tensor,
        epsilons: tuple[float, ...],
        *parameters: Tensor,
    ) -> tuple[Tensor, ...]:
        weights = parameters[: len(epsilons) - 1]
        norms = parameters[len(weights) :]
        widest = max(len(norm) for norm in norms)
        pieces = list(_pieces(index, widest))
        counts = [index[piece].numel() for piece in pieces]
        edges = number_of_edges(index)
        values: list[list[Tensor]] = []
        layers: list[_Layer] = []
        for number, epsilon in enumerate(epsilons):
            made, moments = [], []
            for place, piece in enumerate(pieces):
                if number == 0:
                    new = gathered(centre[piece], neighbour, index[piece]).flatten(0, 1)
                else:
                    new = layers[-1].activated(values[-1][place]) @ weights[number - 1].T
                made.append(new)
                moments.append(torch.batch_norm_update_stats(new, None, None, 0.0))
            values.append(made)
            found = _combined(counts, moments)
            mean, variance = _of_all_processes(edges, index.numel(), found)
            inverse = (variance + epsilon).rsqrt()
            scale = norms[2 * number] * inverse
            shift = norms[2 * number + 1] - mean * scale
            layers.append(_Layer(scale, shift, mean, variance, inverse))
        result = torch.cat(
            [
                layers[-1].activated(piece).view(-1, index.shape[1], piece.shape[1]).mean(dim=1)
                for piece in values[-1]
            ]
        )
        context.values, context.layers, context.pieces = values, layers, pieces
        context.rows, context.edges = len(neighbour), edges
        context.save_for_backward(index, *weights)
        moments_out = [part for layer in layers for part in (layer.mean, layer.variance)]
        context.mark_non_differentiable(*moments_out)
        return (result, *moments_out)

    @staticmethod
    @once_differentiable
    def backward(context: Any, gradient: Tensor, *unused: Tensor) -> tuple[Tensor | None, ...]:
        index, *weights = context.saved_tensors
        values, layers, pieces = context.values, context.layers, context.pieces
        edges, k = context.edges, index.shape[1]
        of_weights = [torch.zeros_like(weight) for weight in weights]
        of_norms: list[Tensor] = []
        total = _Sum(layers[-1].mean)
        flowing = []
        for place, piece in enumerate(pieces):
            here = values[-1][place]
            active = layers[-1].activated(here).view(-1, k, here.shape[1])
            share = (gradient[piece] / k).unsqueeze(1).expand_as(active)
            through = torch.ops.aten.threshold_backward(share, active, 0).flatten(0, 1)
            total.add(through, here)
            flowing.append(through)
        of_centre = []
        of_neighbour = torch.zeros(
            context.rows, len(layers[0].mean), dtype=gradient.dtype, device=gradient.device
        )
        for number in reversed(range(len(layers))):
            layer = layers[number]
            of_factor = (total.product - layer.mean * total.gradient) * layer.inverse
            of_norms[:0] = [of_factor, total.gradient]
            # scale * (g - mean(g) - x * mean(g x)), x the normalised y, as slope * y + scale * g
            # + constant: two operations on the edges.
            # Moments are of all processes, and so is what flows through them; the gradients of
            # the parameters are those of this process.
            of_mean, of_spread = shared_sums.total(torch.stack([total.gradient, of_factor]))
            slope = -layer.scale * layer.inverse * of_spread / edges
            constant = -layer.scale * of_mean / edges - slope * layer.mean
            below = layers[number - 1] if number else layer
            total = _Sum(below.mean)
            for place, piece in enumerate(pieces):
                through = torch.addcmul(constant, values[number][place], slope)
                through.addcmul_(flowing[place], layer.scale)
                if number == 0:
                    of_centre.append(through.view(-1, k, through.shape[1]).sum(dim=1))
                    of_neighbour.index_add_(0, index[piece].reshape(-1), through)
                    continue
                before = values[number - 1][place]
                activated = below.activated(before)
                of_weights[number - 1].addmm_(through.T, activated)
                down = torch.ops.aten.threshold_backward(
                    through @ weights[number - 1], activated, 0
                )
                total.add(down, before)
                flowing[place] = down
        return (torch.cat(of_centre), of_neighbour, None, None, *of_weights, *of_norms)

r"""Pairs of particles as an attention bias: the interaction matrix of the Particle Transformer.

Four logarithms describe a pair (2202.03772): of kT = min(pT_a, pT_b) dR, of
z = min(pT_a, pT_b) / (pT_a + pT_b), of dR = sqrt(dy^2 + dphi^2) and of the squared mass m^2.
Layers "linear, batch norm, GELU", the same for all pairs, turn them into one number per head.

A pair has no order, so only one of (a, b) and (b, a) goes through the layers, and pairs with
padding do not at all. That halves the work for full jets and does more for the usual ones.
"""

import math
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.autograd.function import once_differentiable
from torch.nn import functional

from fullchain.tagging.packed_attention import Packing
from fullchain.tagging.packed_attention import pair_features as packed_features
from fullchain.tagging.packed_layers import linear_gelu, sums

FEATURES = ("ln_kt", "ln_z", "ln_delta_r", "ln_m2")

_SMALL = 1e-8
"""Smallest argument of a logarithm, as in the authors' implementation (weaver-core)."""

FORBIDDEN = -1e9
"""Bias where a particle must not look: its weight is exactly zero in single precision.

Finite, so that a jet without particles gives numbers and not NaN.
"""


def kinematics(momenta: Tensor, mask: Tensor) -> Tensor:
    """Give pT, rapidity, phi, transverse mass and squared mass, shape (5, jets * particles).

    `momenta` has shape (jets, particles, 4): E, px, py, pz [GeV]. Whatever padding holds is
    replaced by a particle at rest. The result is in double precision.
    """
    real = torch.where(mask.unsqueeze(-1), momenta.double(), 0.0)
    energy, px, py, pz = real.flatten(0, 1).unbind(-1)
    pt2 = px * px + py * py
    pt = torch.sqrt(pt2)
    # Products and not powers, which onnxruntime calculates one number at a time.
    # Not E^2 - p^2: the difference of two squares loses twice the digits.
    momentum = torch.sqrt(pt2 + pz * pz)
    mass2 = (energy - momentum) * (energy + momentum)
    # What is left of a massless particle is rounding.
    mass2 = torch.where(mass2 > 1e-14 * (energy * energy), mass2, 0.0)
    transverse_mass = torch.sqrt(pt2 + mass2)
    slope = pz.abs() / transverse_mass.clamp(min=_SMALL)
    rapidity = torch.sign(pz) * torch.log(slope + torch.sqrt(slope * slope + 1))
    # onnxruntime has the arc tangent in single precision alone: one step of Newton's from there.
    phi = torch.atan2(py.float(), px.float()).double()
    phi = phi + (py * torch.cos(phi) - px * torch.sin(phi)) / pt.clamp(min=_SMALL)
    return torch.stack((pt, rapidity, phi, transverse_mass, mass2))


def centred(particles: Tensor, jets: int, entries: int) -> Tensor:
    """Give `kinematics` in single precision, rapidity and phi from the first entry of each jet.

    Only differences matter, and between neighbours they keep their digits like this.
    """
    pt, rapidity, phi, *masses = particles.view(5, jets, entries).unbind(0)
    around = phi - phi[:, :1]
    around = around - 2 * math.pi * torch.round(around / (2 * math.pi))
    beyond = rapidity - rapidity[:, :1]
    values = torch.stack((pt, beyond, around, *masses))
    return values.float().flatten(1)


def pair_features(first: Tensor, second: Tensor) -> Tensor:
    """Give the logarithms of `FEATURES` for pairs, shape (4, pairs).

    `first` and `second` are columns of `kinematics`, shape (5, pairs). The squared mass is a sum
    of positive terms, so that it is right for collinear particles, too.
    """
    pt1, rapidity1, phi1, mt1, squared1 = first.unbind(0)
    pt2, rapidity2, phi2, mt2, squared2 = second.unbind(0)
    delta_y = rapidity1 - rapidity2
    delta_phi = phi1 - phi2
    delta_phi = delta_phi - 2 * math.pi * torch.round(delta_phi / (2 * math.pi))
    delta = torch.sqrt(delta_y * delta_y + delta_phi * delta_phi)
    softer = torch.minimum(pt1, pt2)
    mt_product, pt_product = mt1 * mt2, pt1 * pt2
    # mT mT' - pT pT', written without a difference
    at_rest = squared1 * (mt2 * mt2) + squared2 * (pt1 * pt1)
    at_rest = at_rest / (mt_product + pt_product).clamp(min=_SMALL)
    rise, turn = torch.sinh(delta_y / 2), torch.sin(delta_phi / 2)
    opening = mt_product * (rise * rise) + pt_product * (turn * turn)
    mass2 = squared1 + squared2 + 2 * at_rest + 4 * opening
    # Nothing but rounding tells the mass of a fast particle in single precision, and a particle
    # with itself has no other: where the directions agree, mass is zero as the distance is.
    mass2 = torch.where(delta > 0, mass2, 0.0)
    arguments = (softer * delta, softer / (pt1 + pt2).clamp(min=_SMALL), delta, mass2)
    return torch.log(torch.stack(arguments).clamp(min=_SMALL))


def _lower_triangle(size: int, device: torch.device) -> tuple[Tensor, Tensor]:
    """Give `torch.tril_indices` by arithmetic, which a graph can do for any size."""
    number = torch.arange(size * (size + 1) // 2, device=device)
    # The first pair of row r has number r (r + 1) / 2: there the root is exact.
    rows = torch.floor((torch.sqrt((8 * number + 1).double()) - 1) / 2).long()
    return rows, number - rows * (rows + 1) // 2


class _Moments(torch.autograd.Function):
    """First and second moments of the columns of x, shape (channels, pairs).

    What autograd makes of a mean and a product takes two products and a sum over all pairs on the
    way back; one product does.
    """

    @staticmethod
    def forward(ctx: Any, x: Tensor, n: float | Tensor) -> tuple[Tensor, Tensor]:
        ctx.save_for_backward(x)
        ctx.n = n
        return x.sum(1) / n, x @ x.t() / n

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, mean: Tensor, second: Tensor) -> tuple[Tensor, None]:
        (x,) = ctx.saved_tensors
        return torch.addmm((mean / ctx.n).unsqueeze(1), (second + second.t()) / ctx.n, x), None


class _Symmetric(torch.autograd.Function):
    """Put the value of each pair at both of its places in the matrices, `FORBIDDEN` elsewhere."""

    @staticmethod
    def forward(ctx: Any, values: Tensor, lower: Tensor, upper: Tensor, size: int) -> Tensor:
        ctx.save_for_backward(lower, upper)
        matrices = values.new_full((values.shape[0], size), FORBIDDEN)
        matrices.index_copy_(1, lower, values)
        return matrices.index_copy_(1, upper, values)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None, None, None]:
        lower, upper = ctx.saved_tensors
        both = gradient.index_select(1, lower) + gradient.index_select(1, upper)
        # A particle with itself has one place, which has just been counted twice.
        return both.mul_(torch.where(lower == upper, 0.5, 1.0).to(both.dtype)), None, None, None


class _Layer(nn.Module):
    """Linear map and batch norm of all pairs at once, x of shape (channels, pairs).

    Mean and variance of W x follow from those of x, so the norm becomes part of the map: the pairs
    are gone through once, not three times. A bias before the norm would cancel, so there is none.
    """

    running_mean: Tensor
    running_variance: Tensor

    def __init__(self, inputs: int, outputs: int, momentum: float = 0.1) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.empty(outputs, inputs))
        nn.init.kaiming_uniform_(self.weight, a=math.sqrt(5))
        self.scale = nn.Parameter(torch.ones(outputs))
        self.shift = nn.Parameter(torch.zeros(outputs))
        self.register_buffer("running_mean", torch.zeros(outputs))
        self.register_buffer("running_variance", torch.ones(outputs))
        self.momentum = momentum

    def forward(self, x: Tensor, real: Tensor | None) -> Tensor:
        weight, offset = self._map(*self._statistics(x, real))
        return torch.addmm(offset.unsqueeze(1), weight, x)

    def packed(self, x: Tensor, total: Tensor, second: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Give this layer and a GELU, and the sums of the result, from x and its sums."""
        n = float(max(x.shape[1], 1))
        weight, offset = self._map(*self._learned(total / n, second / n, n))
        return linear_gelu(x, weight, offset)

    def _map(self, mean: Tensor, variance: Tensor) -> tuple[Tensor, Tensor]:
        """Give weight and offset of the map with its norm."""
        factor = self.scale * torch.rsqrt(variance + 1e-5)
        return self.weight * factor.unsqueeze(1), self.shift - mean * factor

    def _statistics(self, x: Tensor, real: Tensor | None) -> tuple[Tensor, Tensor]:
        if not self.training:
            return self.running_mean, self.running_variance
        n: float | Tensor = float(max(x.shape[1], 1))
        if real is not None:
            x, n = x * real, real.sum().clamp(min=1)
        mean, second = _Moments.apply(x, n)
        return self._learned(mean, second, n)

    def _learned(self, mean: Tensor, second: Tensor, n: float | Tensor) -> tuple[Tensor, Tensor]:
        """Mean and variance of W x from the moments of x; the running ones follow them."""
        covariance = second - torch.outer(mean, mean)
        variance = ((self.weight @ covariance) * self.weight).sum(1).clamp(min=0)
        mean = self.weight @ mean
        with torch.no_grad():
            self.running_mean.lerp_(mean, self.momentum)
            self.running_variance.lerp_(variance * (n / (n - 1 + 1e-6)), self.momentum)
        return mean, variance


class _Standardise(nn.Module):
    """Batch norm of the features of pairs, without the affine part that the next layer has."""

    running_mean: Tensor
    running_variance: Tensor

    def __init__(self, channels: int, momentum: float = 0.1) -> None:
        super().__init__()
        self.register_buffer("running_mean", torch.zeros(channels))
        self.register_buffer("running_variance", torch.ones(channels))
        self.momentum = momentum

    def forward(self, x: Tensor, real: Tensor | None) -> Tensor:
        mean, variance = self.running_mean, self.running_variance
        if self.training and x.shape[1] > 0:
            weight = torch.ones_like(x[:1]) if real is None else real.unsqueeze(0)
            n = weight.sum().clamp(min=1)
            mean = (x * weight).sum(1) / n
            variance = ((x - mean.unsqueeze(1)) ** 2 * weight).sum(1) / n
            self.running_mean.lerp_(mean, self.momentum)
            self.running_variance.lerp_(variance, self.momentum)
        return (x - mean.unsqueeze(1)) * torch.rsqrt(variance + 1e-5).unsqueeze(1)


class PairEmbedding(nn.Module):
    """Attention bias from the momenta of pairs (2202.03772).

    The momenta get no gradient, as in the authors' implementation.

    Parameters
    ----------
    layers
        Sizes of the hidden layers; published 64, 64, 64.
    heads
        Number of heads, the size of the last layer.
    """

    def __init__(self, layers: Sequence[int], heads: int) -> None:
        super().__init__()
        sizes = (len(FEATURES), *layers, heads)
        self.standardise = _Standardise(len(FEATURES))
        self.layers = nn.ModuleList(map(_Layer, sizes[:-1], sizes[1:]))

    def forward(self, momenta: Tensor, mask: Tensor) -> Tensor:
        """Give the bias, shape (heads, jets, particles, particles).

        `momenta` has shape (jets, particles, 4): E, px, py, pz [GeV]; `mask` (jets, particles).
        Pairs with padding get `FORBIDDEN`.
        """
        # A graph that is to be compiled or exported cannot have as many pairs as the data want.
        if torch.compiler.is_compiling():
            return self._all_pairs(momenta, mask)
        return self._real_pairs(momenta, mask)

    def packed(self, momenta: Tensor, mask: Tensor, packing: Packing) -> Tensor:
        """Give the bias of the pairs (0, 0), (1, 0), (1, 1), ... of each jet, (heads, pairs)."""
        own = self._particles(momenta, mask).index_select(1, packing.index)
        with torch.no_grad():
            values = self.standardise(packed_features(own, packing), None)
        total, second = sums(values)
        for layer in self.layers:
            assert isinstance(layer, _Layer)
            values, total, second = layer.packed(values, total, second)
        return values

    def _real_pairs(self, momenta: Tensor, mask: Tensor) -> Tensor:
        jets, particles = mask.shape
        rows, columns = torch.tril_indices(particles, particles, device=mask.device)
        jet, pair = (mask[:, rows] & mask[:, columns]).nonzero(as_tuple=True)
        row, column = rows[pair], columns[pair]
        first, second = jet * particles + row, jet * particles + column
        own = self._particles(momenta, mask)
        values = self._embedded(own.index_select(1, first), own.index_select(1, second), None)
        lower, upper = first * particles + column, second * particles + row
        matrices = _Symmetric.apply(values, lower, upper, jets * particles**2)
        return matrices.view(len(values), jets, particles, particles)

    def _all_pairs(self, momenta: Tensor, mask: Tensor) -> Tensor:
        jets, particles = mask.shape
        rows, columns = _lower_triangle(particles, mask.device)
        # Jets last: a pair is then copied for all jets at once, and not number by number.
        own = self._particles(momenta, mask).view(5, jets, particles).transpose(1, 2)
        first, second = (own.index_select(1, which).flatten(1) for which in (rows, columns))
        inside = mask.t()
        real = inside.index_select(0, rows) & inside.index_select(0, columns)
        values = self._embedded(first, second, real.flatten().to(own.dtype))
        values = torch.where(real, values.view(len(values), rows.shape[0], jets), FORBIDDEN)
        place = torch.arange(particles, device=mask.device)
        low = torch.minimum(place.unsqueeze(0), place.unsqueeze(1))
        high = torch.maximum(place.unsqueeze(0), place.unsqueeze(1))
        # Number of the pair (high, low) when those of the lower triangle are counted by rows.
        number = (high * (high + 1) // 2 + low).flatten()
        matrices = values.index_select(1, number).transpose(1, 2)
        return matrices.reshape(len(values), jets, particles, particles)

    @torch.no_grad()
    def _particles(self, momenta: Tensor, mask: Tensor) -> Tensor:
        return centred(kinematics(momenta, mask), *mask.shape)

    def _embedded(self, first: Tensor, second: Tensor, real: Tensor | None) -> Tensor:
        """Give one number per head for pairs of columns, shape (heads, pairs).

        `real` has one for pairs to learn from and zero for padding, shape (pairs,), where there is
        any.
        """
        with torch.no_grad():
            values = self.standardise(pair_features(first, second), real)
        for layer in self.layers:
            values = functional.gelu(layer(values, real))
        return values

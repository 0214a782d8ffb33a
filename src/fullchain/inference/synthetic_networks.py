"""Dense networks of several members, with forward derivatives and a backward pass in one direction.

Events are columns: an array of inputs is (blocks, members, features, events). All members take
their products of matrices together, and what comes of one does not depend on the others.

The loss of INFERNO needs the derivative of the yields with respect to each nuisance, which runs
forward beside the network: through a ReLU it is cut where the network is, by a matrix it is
multiplied as the network is. Of these derivatives the gradient of the loss needs one combination
only (`inferno.variance_and_gradients`), so that what runs backward is signal, background and one
derivative. Written out, this takes 60 % of the time of automatic differentiation or less.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import torch
from torch import Tensor

from fullchain.inference.inferno import variance_and_gradients

_cut = torch.ops.aten.threshold_backward


@dataclass(frozen=True)
class Networks:
    """Dense layers with ReLU between, of each member.

    Parameters
    ----------
    weights
        Of each layer, (members, outputs, inputs).
    biases
        Of each layer, (members, outputs, 1).
    """

    weights: list[Tensor]
    biases: list[Tensor]

    @classmethod
    def drawn(cls, sizes: Sequence[int], chances: Sequence[np.random.Generator]) -> "Networks":
        """Start with weights uniform by X. Glorot and Y. Bengio, biases 0; one generator each."""
        weights, biases = [], []
        for below, above in pairwise(sizes):
            bound = math.sqrt(6.0 / (below + above))
            drawn = [chance.uniform(-bound, bound, (above, below)) for chance in chances]
            weights.append(torch.from_numpy(np.stack(drawn)).float())
            biases.append(torch.zeros(len(chances), above, 1))
        return cls(weights, biases)

    @property
    def parameters(self) -> list[Tensor]:
        """All weights and biases."""
        return [*self.weights, *self.biases]

    def copy(self) -> "Networks":
        """The same in memory of its own."""
        return Networks([one.clone() for one in self.weights], [one.clone() for one in self.biases])

    def keep(self, others: "Networks", chosen: Tensor) -> None:
        """Take the weights of others for the chosen members (members, bool)."""
        for mine, other in zip(self.parameters, others.parameters, strict=True):
            mine[chosen] = other[chosen]

    def __call__(self, rows: Tensor) -> Tensor:
        """Map (members, inputs, events) or (inputs, events) to (members, outputs, events)."""
        if rows.dim() == 2:
            rows = rows.expand(len(self.weights[0]), *rows.shape)
        last = len(self.weights) - 1
        for number, (weight, bias) in enumerate(zip(self.weights, self.biases, strict=True)):
            rows = torch.bmm(weight, rows).add_(bias)
            if number < last:
                rows.clamp_min_(0.0)
        return rows

    def step(self, gradients: Sequence[Tensor], learning_rate: float) -> None:
        """Go down the gradients, in the order of `parameters`."""
        torch._foreach_add_(self.parameters, list(gradients), alpha=-learning_rate)


@dataclass(frozen=True)
class Passed:
    """What a forward pass leaves.

    Parameters
    ----------
    inputs
        Of each layer, (blocks, members, features, events): signal, background, derivatives of
        background with respect to each nuisance.
    logits
        (blocks, members, outputs, events), of the same blocks.
    """

    inputs: list[Tensor]
    logits: Tensor


def forward(networks: Networks, blocks: Tensor) -> Passed:
    """Pass signal, background and the derivatives of background: (2 + shapes, members, 3, events).

    The derivatives are those of the inputs, and become those of the logits.
    """
    inputs, count = [blocks], len(blocks)
    last = len(networks.weights) - 1
    for number, (weight, bias) in enumerate(zip(networks.weights, networks.biases, strict=True)):
        members, above, below = weight.shape
        repeated = weight.expand(count, -1, -1, -1).reshape(-1, above, below)
        rows = torch.bmm(repeated, inputs[-1].view(count * members, below, -1))
        rows = rows.view(count, members, above, -1)
        rows[:2].add_(bias)
        if number < last:
            rows[:2].clamp_min_(0.0)
            if count > 2:
                derivatives = rows[2:]
                mask = rows[1:2].expand_as(derivatives)
                _cut.grad_input(derivatives, mask, 0, grad_input=derivatives)
        inputs.append(rows)
    logits = inputs.pop()
    return Passed(inputs, logits)


@dataclass(frozen=True)
class Expectation:
    """What the loss is made of.

    Parameters
    ----------
    signal, background
        Expected events of each.
    precision
        (1 + nuisances) of the constraints.
    free_background
        Whether the last nuisance is the yield of background.
    temperature
        Of the softmax.
    """

    signal: float
    background: float
    precision: Tensor
    free_background: bool
    temperature: float


@dataclass(frozen=True)
class _Soft:
    """Memberships (2, members, bins, events), and their derivatives (shapes, members, ...)."""

    parts: Tensor
    derivatives: Tensor
    logit_derivatives: Tensor
    yields: Tensor
    slopes: Tensor


def _soft(logits: Tensor, what: Expectation) -> _Soft:
    parts = torch.softmax(logits[:2] / what.temperature, dim=2)
    slopes = logits[2:] / what.temperature
    part = parts[1]
    derivatives = part * (slopes - (part * slopes).sum(dim=2, keepdim=True))
    means = parts.mean(dim=-1)
    yields = what.signal * means[0] + what.background * means[1]
    stacked = [means[:1], what.background * derivatives.mean(dim=-1)]
    if what.free_background:
        stacked.append(means[1:])
    return _Soft(parts, derivatives, slopes, yields, torch.cat(stacked).transpose(0, 1))


def variance(networks: Networks, blocks: Tensor, what: Expectation) -> Tensor:
    """The loss of each member (members): the expected variance of s."""
    soft = _soft(forward(networks, blocks).logits, what)
    return variance_and_gradients(soft.yields, soft.slopes, what.precision)[0]


def variance_of_parts(networks: Networks, parts: Sequence[Tensor], what: Expectation) -> Tensor:
    """The loss (members) of events that come in several parts of equal size, all together."""
    found = [_soft(forward(networks, blocks).logits, what) for blocks in parts]
    # Added one after the other: the order must not depend on the number of members.
    yields, slopes = found[0].yields.double(), found[0].slopes.double()
    for one in found[1:]:
        yields, slopes = yields + one.yields, slopes + one.slopes
    yields, slopes = yields / len(found), slopes / len(found)
    return variance_and_gradients(yields, slopes, what.precision)[0]


def variance_gradients(
    networks: Networks, blocks: Tensor, what: Expectation
) -> tuple[Tensor, list[Tensor]]:
    """The loss of each member, and its gradients in the order of `Networks.parameters`."""
    passed = forward(networks, blocks)
    soft = _soft(passed.logits, what)
    loss, w, v = variance_and_gradients(soft.yields, soft.slopes, what.precision)
    events, shapes = blocks.shape[-1], len(blocks) - 2
    # Gradients by the derivatives are -2 w v.
    by_signal = what.signal * w**2 - 2.0 * v[:, :1] * w
    by_background = what.background * w**2
    if what.free_background:
        by_background = by_background - 2.0 * v[:, -1:] * w
    by_part = (torch.stack([by_signal, by_background]).float() / events).unsqueeze(-1)
    if shapes:
        along = v[:, 1 : 1 + shapes].float().T[..., None, None]
        slope = (along * soft.logit_derivatives).sum(dim=0)
        factor = (-2.0 * what.background / events * w).float().unsqueeze(-1)
        part = soft.parts[1]
        mean = (part * factor).sum(dim=1, keepdim=True)
        moved = slope - (part * slope).sum(dim=1, keepdim=True)
        more = factor * moved - slope * mean
        by_part = torch.stack([by_part[0].expand_as(part), by_part[1] + more])
        by_slope_logit = (part * (factor - mean)).unsqueeze(0)
    inner = (soft.parts * by_part).sum(dim=2, keepdim=True)
    by_logit = soft.parts * (by_part - inner)
    if shapes:
        by_logit = torch.cat([by_logit, by_slope_logit])
    by_logit = by_logit / what.temperature
    inputs = passed.inputs
    if shapes:
        inputs = [
            torch.cat([one[:2], (along * one[2:]).sum(dim=0, keepdim=True)]) for one in inputs
        ]
    return loss, _backward(networks, inputs, by_logit)


def classifier_gradients(networks: Networks, rows: Tensor) -> tuple[Tensor, list[Tensor]]:
    """Cross-entropy of each member and its gradients; the first half of the events is signal.

    Rows are (members, 3, events); of the two outputs the first is that of signal.
    """
    inputs, last = [rows], len(networks.weights) - 1
    for number, (weight, bias) in enumerate(zip(networks.weights, networks.biases, strict=True)):
        rows = torch.baddbmm(bias, weight, rows)
        if number < last:
            rows.clamp_min_(0.0)
        inputs.append(rows)
    logits = inputs.pop()
    events = logits.shape[-1]
    half = events // 2
    parts = torch.softmax(logits, dim=1)
    loss = cross_entropy(logits)
    parts[:, 0, :half] -= 1.0
    parts[:, 1, half:] -= 1.0
    return loss, _backward(
        networks, [one.unsqueeze(0) for one in inputs], parts.unsqueeze(0) / events
    )


def cross_entropy(logits: Tensor) -> Tensor:
    """Mean cross-entropy (members) of (members, 2, events), the first half of them signal."""
    half = logits.shape[-1] // 2
    difference = logits[:, 1] - logits[:, 0]
    wrong = torch.cat([difference[:, :half], -difference[:, half:]], dim=1)
    return torch.nn.functional.softplus(wrong).mean(dim=1)


def _backward(networks: Networks, inputs: Sequence[Tensor], by_logit: Tensor) -> list[Tensor]:
    """Gradients, of those by the logits; the third block, a derivative, has no bias."""
    weights: list[Tensor] = []
    biases: list[Tensor] = []
    found = by_logit
    for number in reversed(range(len(networks.weights))):
        weight, below = networks.weights[number], inputs[number]
        blocks, members, outputs, events = found.shape
        flat = found.reshape(blocks * members, outputs, events)
        product = torch.bmm(flat, below.reshape(blocks * members, -1, events).transpose(1, 2))
        weights.append(product.view(blocks, members, outputs, -1).sum(dim=0))
        biases.append(found[:2].sum(dim=(0, -1)).unsqueeze(-1))
        if number:
            repeated = weight.transpose(1, 2).expand(blocks, -1, -1, -1)
            found = torch.bmm(repeated.reshape(blocks * members, -1, outputs), flat)
            found = found.view(blocks, members, -1, events)
            _cut.grad_input(found[:2], below[:2], 0, grad_input=found[:2])
            if blocks > 2:
                _cut.grad_input(found[2], below[1], 0, grad_input=found[2])
    return [*reversed(weights), *reversed(biases)]

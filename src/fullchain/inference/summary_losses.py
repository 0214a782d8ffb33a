"""Losses of summaries of events, made for the uncertainty on a signal strength.

A summary puts each event into bins, softly while it is trained. From the events of all processes
come the expected yields of the bins and their derivatives by all parameters, the signal strength
first; from these come the losses:

* `inferno`: the expected uncertainty on the signal strength from the inverse Fisher information
  with constraints (P. de Castro and T. Dorigo, 1806.04743);
* `significance`: one over the expected significance of a discovery with uncertain backgrounds
  (G. Cowan, "Discovery sensitivity for a counting experiment with background uncertainty", 2012;
  as a loss: A. Elwood and D. Krücker, 1806.00322), of the events that a score selects;
* `likelihood`: one over the root of the profile likelihood ratio of no signal, in bins of a score
  whose edges are parameters (in the spirit of neos, 2203.05570);
* `cross_entropy`: of signal and background, which knows of no nuisance parameter.

Members, networks of several seeds, stand in the first axis of all tensors.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, cast

import torch
from torch import Tensor, nn

from fullchain.inference.inferno import uncertainty_of_poi

Bins = Callable[[Tensor], Tensor]
"""Features (members, events, features) to bin memberships (members, events, bins)."""

SMALLEST = 1e-6
"""Yield that is added to each bin: one that the network leaves empty divides nothing by zero."""

STEPS = 15
"""Newton's steps of the profiling; the likelihood is convex in the parameters."""


@dataclass(frozen=True)
class Events:
    """Events of a batch, scaled to the expected yields.

    Parameters
    ----------
    features
        (members, events, features) at nominal parameters; of an event that only a variation
        selects, those of the variation.
    weight
        (members, events) expected events that each stands for; 0 if it is not selected nominally.
    signal
        (members, events) whether the signal strength scales it.
    rates
        (members, parameters, events) derivatives of the weight by the nuisance parameters: shower
        weights, normalisations, and gain and loss of events under object shifts.
    tangents
        (members, shifts, events, features) derivatives of the features by the parameters of object
        shifts.
    shifts
        Places among the nuisance parameters that these belong to.
    varied, varied_weight
        (members, shifts, 2, events, features) features one standard deviation up and down, and
        (members, shifts, 2, events) factors with which memberships there add up to the derivative
        of the yields; only for differences in the place of tangents.
    repeats
        Times that the events were multiplied to stand for all of the simulation: batches.
    unseen
        Variance of each bin for what limited simulation may have missed there: of one event of each
        background. A bin that no simulated background falls into is not known to be free of it, and
        a network finds such bins in no time.
    """

    features: Tensor
    weight: Tensor
    signal: Tensor
    rates: Tensor
    tangents: Tensor
    shifts: tuple[int, ...]
    varied: Tensor | None = None
    varied_weight: Tensor | None = None
    repeats: float = 1.0
    unseen: float = 0.0


@dataclass(frozen=True)
class Yields:
    """Soft bins: what the losses are made of.

    Parameters
    ----------
    total, signal
        (members, bins) expected events of all processes, and of the signal.
    derivatives
        (members, parameters, bins) by the nuisance parameters.
    simulation
        (members, bins) variances from limited simulation; zero where they are to be ignored.
    """

    total: Tensor
    signal: Tensor
    derivatives: Tensor
    simulation: Tensor


def soft_yields(bins: Bins, events: Events, *, simulation: bool = True) -> Yields:
    """Expected yields and their derivatives at the nominal parameters.

    With quadratic interpolation of weights and features between down, nominal and up, the
    derivative at the nominal point is half the difference of the sides. It goes through the network
    in forward mode: one further evaluation for each object shift, in which the gradient of the loss
    flows as through any other.
    """
    if events.varied is None and events.tangents.shape[1]:
        memberships, changes = _with_tangents(bins, events)
    else:
        memberships, changes = bins(events.features), None
    total = _sum(events.weight, memberships)
    signal = _sum(torch.where(events.signal, events.weight, 0.0), memberships)
    derivatives = events.rates @ memberships
    if events.varied is not None and events.varied_weight is not None:
        derivatives = _replaced(derivatives, events.shifts, _differences(bins, events))
    elif changes is not None:
        moved = torch.einsum("me,mkeb->mkb", events.weight, changes)
        place = torch.tensor(events.shifts, device=moved.device)
        derivatives = derivatives.index_add(1, place, moved)
    variance = _sum(events.weight**2, memberships**2) / events.repeats + events.unseen
    if not simulation:
        variance = torch.zeros_like(total)
    # Double precision from here: a signal much smaller than its background must survive.
    return Yields(
        total.double() + SMALLEST, signal.double(), derivatives.double(), variance.double()
    )


def _sum(weight: Tensor, memberships: Tensor) -> Tensor:
    return (weight.unsqueeze(-2) @ memberships).squeeze(-2)


def _with_tangents(bins: Bins, events: Events) -> tuple[Tensor, Tensor]:
    """Memberships, and their derivatives (members, shifts, events, bins) along the tangents."""

    def along(tangent: Tensor) -> tuple[Tensor, Tensor]:
        found, change = torch.func.jvp(bins, (events.features,), (tangent,))[:2]
        return found, change

    # The network itself is evaluated once: it has no axis of the tangents.
    of_all: Any = torch.func.vmap(along, in_dims=1, out_dims=cast(Any, (None, 1)))
    memberships, changes = of_all(events.tangents)
    return memberships, changes


def _differences(bins: Bins, events: Events) -> Tensor:
    """Differences (members, shifts, bins) of the yields at the varied features."""
    assert events.varied is not None and events.varied_weight is not None
    members, shifts, sides, rows, features = events.varied.shape
    memberships = bins(events.varied.reshape(members, shifts * sides * rows, features))
    return torch.einsum(
        "mkse,mkseb->mkb",
        events.varied_weight,
        memberships.reshape(members, shifts, sides, rows, -1),
    )


def _replaced(derivatives: Tensor, places: tuple[int, ...], found: Tensor) -> Tensor:
    place = torch.tensor(places, device=found.device)
    return derivatives.index_copy(1, place, found)


def inferno(yields: Yields, precision: Tensor) -> Tensor:
    """Expected uncertainty (members) on the signal strength, at a signal strength of one.

    Parameters
    ----------
    yields
        Of soft bins.
    precision
        (parameters) inverse variances of the constraints of the nuisance parameters.
    """
    derivatives = torch.cat([yields.signal.unsqueeze(-2), yields.derivatives], dim=-2)
    constraints = torch.cat([precision.new_zeros(1), precision])
    # A parameter of its own for the simulation of each bin, profiled, adds its variance.
    return uncertainty_of_poi(yields.total + yields.simulation, derivatives, constraints)


def asimov_significance(signal: Tensor, background: Tensor, variance: Tensor) -> Tensor:
    """Cowan's expected significance of a discovery in a bin with an uncertain background.

    Parameters
    ----------
    signal, background
        Expected events.
    variance
        Of the background; the formula is that of a background known from a Poisson count of its
        own, and becomes the familiar one without uncertainty where this is zero.

    Examples
    --------
    >>> one = torch.tensor(1.0)
    >>> float(asimov_significance(10 * one, 100 * one, 0 * one))  # doctest: +ELLIPSIS
    0.98...
    """
    return squared_significance(signal, background, variance).sqrt()


def squared_significance(signal: Tensor, background: Tensor, variance: Tensor) -> Tensor:
    """The square of `asimov_significance`, whose gradient exists for no signal, too."""
    relative = torch.clamp(variance / background, min=1e-9)
    total = signal + background
    counted = total * (
        torch.log(total / background)
        + torch.log1p(relative)
        - torch.log1p(relative * total / background)
    )
    known = background / relative * torch.log1p(relative / (1.0 + relative) * signal / background)
    return torch.clamp(2.0 * (counted - known), min=0.0)


def significance(yields: Yields, precision: Tensor) -> Tensor:
    """One over the expected significance (members), bins added in quadrature.

    The variance of the background of each bin is the sum over the constrained nuisance parameters
    and the limited simulation. Correlations between bins are not known to this formula: it takes
    the uncertainties of bins as independent, and many bins with one common uncertainty would gain
    what no fit gains. Summaries are therefore trained with it in one bin. A free parameter has no
    variance, and is left out.
    """
    background = torch.clamp(yields.total - yields.signal, min=SMALLEST)
    width2 = torch.where(precision > 0, 1.0 / precision.clamp(min=1e-12), 0.0)
    variance = torch.einsum("p,mpb->mb", width2, yields.derivatives**2) + yields.simulation
    squared = squared_significance(yields.signal, background, variance).sum(dim=-1)
    return 1.0 / torch.sqrt(squared + 1e-12)


def likelihood(yields: Yields, precision: Tensor) -> Tensor:
    """One over the root (members) of the profile likelihood ratio of no signal.

    Of the Asimov data at a signal strength of one: `1 / sqrt(q0)`, close to the expected relative
    uncertainty. Yields are linear in all nuisance parameters, those of limited simulation included,
    and the likelihood has one maximum, which Newton's steps find. Where it lies does not change the
    ratio to first order: the gradient is the partial one at the maximum.
    """
    background = torch.clamp(yields.total - yields.signal, min=SMALLEST)
    data = background + yields.signal
    spread = torch.sqrt(yields.simulation + 1e-12)
    slopes = torch.cat([yields.derivatives, torch.diag_embed(spread)], dim=-2)
    constraints = torch.cat([precision, precision.new_ones(data.shape[-1])])
    found = _profiled(background.detach(), data.detach(), slopes.detach(), constraints.detach())
    expected = background + torch.einsum("mp,mpb->mb", found, slopes)
    ratio = torch.log(data / expected.clamp(min=1e-3 * SMALLEST))
    squared = 2.0 * (data * ratio - data + expected).sum(dim=-1)
    squared = squared + (constraints * found**2).sum(dim=-1)
    return 1.0 / torch.sqrt(squared.clamp(min=1e-12))


@torch.no_grad()
def _profiled(background: Tensor, data: Tensor, slopes: Tensor, constraints: Tensor) -> Tensor:
    """Parameters (members, parameters) that describe the data best without signal."""
    bins = data.shape[-1]
    spread = slopes[..., -bins:, :].diagonal(dim1=-2, dim2=-1)
    found = slopes.new_zeros(slopes.shape[:-1])
    # What the simulation of each bin would do by itself: a start at which no bin is near zero.
    found[..., -bins:] = (data - background) * spread / (spread**2 + data)
    # A free parameter that acts on no bin must not make the equations singular.
    floor = torch.diag(constraints + 1e-9)
    expected = background + torch.einsum("mp,mpb->mb", found, slopes)
    for _ in range(STEPS):
        gradient = torch.einsum("mpb,mb->mp", slopes, 1.0 - data / expected) + constraints * found
        curvature = (slopes * (data / expected**2).unsqueeze(-2)) @ slopes.transpose(-1, -2) + floor
        step = torch.linalg.solve(curvature, gradient.unsqueeze(-1)).squeeze(-1)
        change = torch.einsum("mp,mpb->mb", step, slopes)
        # No further than most of the way to where a bin would expect nothing.
        length = 1.0 / (change / (0.9 * expected)).amax(dim=-1, keepdim=True).clamp(min=1.0)
        found = found - length * step
        expected = expected - length * change
    return found


def cross_entropy(logits: Tensor, events: Events) -> Tensor:
    """Binary cross entropy (members) with both classes scaled to equal sums; logits (m, events)."""
    ones = torch.where(events.signal, events.weight, 0.0)
    zeros = torch.where(events.signal, 0.0, events.weight)
    ones = ones / ones.sum(dim=-1, keepdim=True)
    zeros = zeros / zeros.sum(dim=-1, keepdim=True)
    softplus = nn.functional.softplus
    return 0.5 * (ones * softplus(-logits) + zeros * softplus(logits)).sum(dim=-1)


def softmax_bins(logits: Tensor, temperature: float) -> Tensor:
    """Memberships (..., bins) of logits (..., bins)."""
    return torch.softmax(logits / temperature, dim=-1)


class LearnedEdges(nn.Module):
    """Bins of a score between 0 and 1 whose edges are parameters, for each member.

    Parameters
    ----------
    members, bins
        Number of scores, and of bins of each.
    temperature
        Width of the sigmoids at the edges, as a fraction of the mean width of a bin.

    Notes
    -----
    Widths are a softmax of the parameters, so that edges stay in order; they start as equal ones.
    """

    def __init__(self, members: int, bins: int, temperature: float) -> None:
        super().__init__()
        self.widths = nn.Parameter(torch.zeros(members, bins))
        self.temperature = temperature / bins

    def edges(self) -> Tensor:
        """Inner edges (members, bins - 1)."""
        return torch.softmax(self.widths, dim=-1).cumsum(dim=-1)[:, :-1]

    def forward(self, score: Tensor) -> Tensor:
        """Memberships (members, ..., bins) of scores (members, ...)."""
        edges = self.edges().reshape(len(score), *(1,) * (score.dim() - 1), -1)
        above = torch.sigmoid((score.unsqueeze(-1) - edges) / self.temperature)
        one, none = torch.ones_like(above[..., :1]), torch.zeros_like(above[..., :1])
        return torch.cat([one, above], dim=-1) - torch.cat([above, none], dim=-1)

    def hard(self, score: Tensor) -> Tensor:
        """Numbers (members, events) of the bins of scores (members, events)."""
        return torch.searchsorted(self.edges().contiguous(), score.contiguous(), right=True)


LOSSES: dict[str, Callable[[Yields, Tensor], Tensor]] = {
    "inferno": inferno,
    "significance": significance,
    "likelihood": likelihood,
}
"""Losses of soft yields; cross entropy is one of logits."""

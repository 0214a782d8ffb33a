r"""Likelihood ratios learned by classifiers.

A network that tells events of a density p from those of q knows p/q. With cross-entropy its logit
is log p/q; the maximum-likelihood-classifier (MLC) loss -E_p[log r] + E_q[r - 1] (1806.02350) has
its minimum at r = p/q itself, for any positive parametrisation r of the output. 2305.10500 compares
losses and parametrisations. Here all give log r.

A ratio that depends on a nuisance parameter, p(x|t)/p(x|0), is learned from events drawn at many
values t in [-reach, reach]: its output is a polynomial in t without a constant term, with
coefficients that are functions of x. So it is exactly one at t = 0, one evaluation serves all
values of t, and derivatives are exact.

Networks of an ensemble are trained in one computation, each with its own events.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from fullchain.errors import InputError
from fullchain.inference.ratio_settings import Link, Loss
from fullchain.learning.dense_network import GroupedNetwork
from fullchain.learning.settings import TrainingSettings
from fullchain.learning.standardise import Standardisation, Standardise, measure
from fullchain.learning.training import History, initialised, train
from fullchain.seeds import derive

LEAST = 1e-6
"""Smallest ratio that the parametrisations other than the exponential give."""

_SOFT_ONE = math.log(math.e - 1.0)
"""Where softplus is one."""


def log_ratio(output: Tensor, link: Link) -> Tensor:
    """Log of the ratio for an output of any shape; an output of zero is a ratio of one."""
    if link == "exponential":
        return output
    if link == "square":
        return torch.log((1.0 + output) ** 2 + LEAST)
    return torch.log(nn.functional.softplus(output + _SOFT_ONE) + LEAST)


def loss(one: Tensor, zero: Tensor, one_weight: Tensor, zero_weight: Tensor, kind: Loss) -> Tensor:
    """Loss of each pair of events.

    Parameters
    ----------
    one, zero
        Log ratio of an event of the numerator's class, and of one of the denominator's.
    one_weight, zero_weight
        Their weights, of mean one.
    kind
        Which loss.
    """
    if kind == "cross_entropy":
        softplus = nn.functional.softplus
        return one_weight * softplus(-one) + zero_weight * softplus(zero)
    return zero_weight * torch.expm1(zero) - one_weight * one


@dataclass(frozen=True)
class Events:
    """Events of one class.

    Parameters
    ----------
    x
        (events, members, features); members is 1 where all members share the events.
    weight
        (events, members).
    """

    x: Tensor
    weight: Tensor


class RatioNetworks(nn.Module):
    """An ensemble of ratios.

    Parameters
    ----------
    members, layers
        Number of networks and their hidden layers.
    standardisation
        Of the features.
    link
        From the output to the ratio.
    degree
        Of the polynomial in the nuisance parameter; 0 for a ratio without one.
    reach
        Largest absolute value of the nuisance parameter.
    """

    def __init__(
        self,
        members: int,
        layers: tuple[int, ...],
        standardisation: Standardisation,
        link: Link,
        degree: int = 0,
        reach: float = 1.0,
    ) -> None:
        super().__init__()
        self.inputs = len(standardisation.subtract)
        self.members, self.sizes = members, tuple(layers)
        self.link, self.degree, self.reach = link, degree, reach
        self.standardise = Standardise(standardisation, clip=10.0)
        self.network = GroupedNetwork(members, self.inputs, layers, max(degree, 1), last=0.1)

    def forward(self, x: Tensor, nuisance: Tensor | None = None) -> Tensor:
        """Log ratios (members, events) for x (members, events, features), or (events, features).

        `nuisance` is (members, events) or, for all the same, a number.
        """
        outputs = self.network(self.standardise(x), shared=x.dim() == 2)
        if not self.degree:
            return log_ratio(outputs[..., 0], self.link)
        if nuisance is None:
            raise ValueError("this ratio needs a value of the nuisance parameter")
        powers = (nuisance / self.reach).unsqueeze(-1) ** torch.arange(1, self.degree + 1)
        return log_ratio((outputs * powers).sum(-1), self.link)

    def shape(self) -> dict[str, Any]:
        """Give what a network of the same shape is built of."""
        return {
            "members": self.members,
            "layers": list(self.sizes),
            "inputs": self.inputs,
            "link": self.link,
            "degree": self.degree,
            "reach": self.reach,
        }

    @torch.no_grad()
    def at(self, x: Tensor, nodes: Tensor, at_once: int = 20_000) -> Tensor:
        """Log ratios (members, events, nodes) in float64.

        Without nuisance parameter there is one node.
        """
        self.eval()
        powers = (nodes / self.reach)[:, None] ** torch.arange(1, self.degree + 1)
        found = []
        for part in x.float().split(at_once):
            outputs = self.network(self.standardise(part), shared=True).double()
            if self.degree:
                outputs = outputs @ powers.T.to(outputs)
            found.append(log_ratio(outputs, self.link))
        return torch.cat(found, dim=1)


def check(events: Events, what: str) -> None:
    """Raise InputError where events cannot be learned from."""
    if not len(events.x):
        raise InputError(f"{what}: there are no events, so that there is no ratio to learn")
    if not torch.isfinite(events.x).all():
        place = (~torch.isfinite(events.x)).nonzero()[0].tolist()
        raise InputError(
            f"{what}: feature {place[2]} of event {place[0]} is not a finite number; drop such "
            "events or replace the value before the networks see it"
        )
    if not torch.isfinite(events.weight).all() or (events.weight < 0).any():
        raise InputError(f"{what}: weights must be finite and not negative")
    if (events.weight.sum(0) <= 0).any():
        raise InputError(f"{what}: the weights sum to zero, so that there is nothing to learn from")


def learn(
    one: Mapping[str, Events],
    zero: Mapping[str, Events],
    nuisance: Mapping[str, Tensor] | None,
    networks: RatioNetworks,
    kind: Loss,
    settings: TrainingSettings,
    seed: int,
    what: str,
) -> History:
    """Train all members in place, and leave them with the weights of the best epoch.

    Parameters
    ----------
    one, zero
        Events of numerator and denominator, under `training` and `validation`. The smaller class
        is repeated until it has as many rows as the larger.
    nuisance
        (events, members) value for each event of the numerator; the event of the denominator that
        is paired with it takes the same one, so that the values themselves tell nothing.
    networks, kind, settings, seed, what
        What is trained, with which loss, how, from which seed; its name for messages.

    Raises
    ------
    InputError
        A class is empty, has values that are not finite or weights of sum zero; or the loss is not
        finite.
    """
    parts = {}
    for part in ("training", "validation"):
        check(one[part], f"{what}, numerator, {part}")
        check(zero[part], f"{what}, denominator, {part}")
        parts[part] = _rows(one[part], zero[part], None if nuisance is None else nuisance[part])

    def objective(model: nn.Module, batch: Mapping[str, Tensor]) -> Mapping[str, Tensor]:
        value = batch["nuisance"].T if "nuisance" in batch else None
        terms = loss(
            model(batch["one"].transpose(0, 1), value),
            model(batch["zero"].transpose(0, 1), value),
            batch["one_weight"].T,
            batch["zero_weight"].T,
            kind,
        )
        return {"loss": terms.mean(1).sum()}

    try:
        return train(
            networks,
            objective,
            parts["training"],
            parts["validation"],
            settings,
            seed=seed,
            description=what,
        )
    except InputError as problem:
        raise InputError(f"{what}: {problem}") from None


def build(
    members: int,
    layers: tuple[int, ...],
    scale_on: Events,
    link: Link,
    seed: int,
    degree: int = 0,
    reach: float = 1.0,
) -> RatioNetworks:
    """Give networks with weights that depend on the seed only, standardised on some events."""
    check(scale_on, "standardisation")
    x, weight = scale_on.x[:, 0].numpy(), scale_on.weight[:, 0].numpy()
    standardisation = measure(x, weight)
    found = initialised(
        derive(seed, "build"),
        lambda: RatioNetworks(members, layers, standardisation, link, degree, reach),
    )
    assert isinstance(found, RatioNetworks)
    return found


def _rows(one: Events, zero: Events, nuisance: Tensor | None) -> dict[str, Tensor]:
    rows = max(len(one.x), len(zero.x))
    found = {}
    for name, events in (("one", one), ("zero", zero)):
        index = torch.arange(rows) % len(events.x)
        weight = events.weight[index]
        found[name] = events.x[index].float()
        found[f"{name}_weight"] = (weight / weight.mean(0)).float()
    members = max(one.x.shape[1], zero.x.shape[1], one.weight.shape[1])
    found["one"] = found["one"].expand(-1, members, -1)
    found["zero"] = found["zero"].expand(-1, members, -1)
    for name in ("one_weight", "zero_weight"):
        found[name] = found[name].expand(-1, members)
    if nuisance is not None:
        found["nuisance"] = nuisance[torch.arange(rows) % len(nuisance)].float().expand(-1, members)
    return found

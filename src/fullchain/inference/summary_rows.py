"""Events of learned summaries as tensors: weights, rates of change, shifted features."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from fullchain.inference import summary_losses
from fullchain.inference.summary_events import Events
from fullchain.inference.summary_nuisances import Nuisance, varied_weight
from fullchain.inference.template_file import NOMINAL

Array = NDArray[np.float64]


@dataclass(frozen=True)
class Rows:
    """Events as tensors, without members: see `summary_losses.Events`.

    `stratum` numbers the samples: batches take the same fraction of each.
    """

    features: Tensor
    weight: Tensor
    signal: Tensor
    rates: Tensor
    tangents: Tensor
    shifts: tuple[int, ...]
    varied: Tensor
    varied_weight: Tensor
    stratum: NDArray[np.int64]
    unseen: float

    def batch(self, members: int, derivative: str) -> summary_losses.Events:
        """All rows, the same for all members."""

        def shared(values: Tensor) -> Tensor:
            return values.expand(members, *values.shape)

        difference = derivative == "difference" and bool(self.shifts)
        return summary_losses.Events(
            shared(self.features),
            shared(self.weight),
            shared(self.signal),
            shared(self.rates),
            shared(self.tangents),
            self.shifts,
            shared(self.varied) if difference else None,
            shared(self.varied_weight) if difference else None,
            unseen=self.unseen,
        )

    def part(
        self, index: Tensor, scale: Tensor, repeats: float, derivative: str
    ) -> summary_losses.Events:
        """Rows (members, rows) of each member, their weights multiplied by `scale` (rows,)."""
        difference = derivative == "difference" and bool(self.shifts)
        return summary_losses.Events(
            self.features[index],
            self.weight[index] * scale,
            self.signal[index],
            (self.rates[:, index] * scale).transpose(0, 1),
            self.tangents[:, index].transpose(0, 1),
            self.shifts,
            self.varied[:, :, index].permute(2, 0, 1, 3, 4) if difference else None,
            (self.varied_weight[:, :, index] * scale).permute(2, 0, 1, 3) if difference else None,
            repeats,
            self.unseen,
        )


def rows(events: Events, nuisances: Sequence[Nuisance], signals: frozenset[str]) -> Rows:
    """Turn events into tensors with their derivatives by all nuisance parameters."""
    base = base_features(events)
    real = events.alternative == ""
    nominal = np.where(real & events.member[NOMINAL], events.weight, 0.0)
    shifts = tuple(place for place, one in enumerate(nuisances) if one.kind == "shift")
    rates = (
        np.stack([_rate(one, events, nominal) for one in nuisances], axis=0)
        if nuisances
        else (np.zeros((0, len(events))))
    )
    moved = [_moved(nuisances[place], events, base, nominal) for place in shifts]
    empty = np.zeros((0, len(events)))
    tangents = [tangent for tangent, _, _ in moved] or np.zeros((0, *base.shape))
    varied = [found for _, found, _ in moved] or np.zeros((0, 2, *base.shape))
    factors = [found for _, _, found in moved] or np.zeros((0, 2, len(events)))
    names = {pair: number for number, pair in enumerate(events.samples())}
    pairs = zip(events.process.tolist(), events.alternative.tolist(), strict=True)

    def tensor(values: object) -> Tensor:
        return torch.as_tensor(np.asarray(values), dtype=torch.float32)

    return Rows(
        tensor(base),
        tensor(nominal),
        torch.as_tensor(np.isin(events.process, list(signals)) & real),
        tensor(rates if len(rates) else empty),
        tensor(tangents),
        shifts,
        tensor(varied),
        tensor(factors),
        np.array([names[pair] for pair in pairs], dtype=np.int64),
        unseen(events, nominal, signals),
    )


def unseen(events: Events, nominal: Array, signals: frozenset[str]) -> float:
    """Sum over the backgrounds of the square of the weight of one typical event."""
    found = 0.0
    for process, alternative in events.samples():
        if process in signals or alternative:
            continue
        weight = nominal[events.process == process]
        if weight.sum() > 0:
            found += float((weight**2).sum() / weight.sum()) ** 2
    return found


def base_features(events: Events) -> NDArray[np.float32]:
    """Nominal features; of an event that only variations select, those of the first that does."""
    base = events.features[NOMINAL].copy()
    missing = ~events.member[NOMINAL]
    for name, member in events.member.items():
        fill = missing & member
        base[fill] = events.features[name][fill]
        missing &= ~fill
    return base


def _coefficients(nuisance: Nuisance) -> tuple[float, float, float]:
    """Factors of up, nominal and down in the derivative at the nominal point."""
    if nuisance.sides == ("up",):
        return 1.0, -1.0, 0.0
    if nuisance.sides == ("down",):
        return 0.0, 1.0, -1.0
    return 0.5, 0.0, -0.5


def _rate(nuisance: Nuisance, events: Events, nominal: Array) -> Array:
    """Derivative of the weights of the events."""
    acts = np.isin(events.process, nuisance.processes) & (events.alternative == "")
    if nuisance.kind == "free":
        return np.where(acts, nominal, 0.0)
    if nuisance.kind in ("factor", "lumi"):
        rate = np.zeros(len(events))
        for process, (up, down) in nuisance.factors.items():
            slope = 0.5 * (up - down) if nuisance.kind == "lumi" else 0.5 * np.log(up / down)
            own = acts & (events.process == process)
            rate[own] = nominal[own] * slope
        return rate
    if nuisance.kind == "alternative":
        other = (events.alternative == nuisance.name) & events.member[NOMINAL]
        return np.where(other, events.weight, np.where(acts, -nominal, 0.0))
    up, middle, down = _coefficients(nuisance)
    rate = middle * nominal
    for side, factor in (("up", up), ("down", down)):
        rate = rate + factor * varied_weight(nuisance, side, events)[1]
    return np.where(acts, rate, 0.0)


def _moved(
    nuisance: Nuisance, events: Events, base: NDArray[np.float32], nominal: Array
) -> tuple[Array, Array, Array]:
    """Tangents, features at both sides, and factors of the memberships there.

    Where an event is not selected on a side it has no features there, and does not move to it: its
    loss is in the rates. The sum of both is the difference of the yields to first order.
    """
    acts = np.isin(events.process, nuisance.processes) & (events.alternative == "")
    up, middle, down = _coefficients(nuisance)
    tangent = middle * base
    sides, factors = [], []
    for side, factor in (("up", up), ("down", down)):
        variation, weight = varied_weight(nuisance, side, events)
        there = acts & events.member[variation]
        found = np.where(there[:, None], events.features[variation], base)
        tangent = tangent + factor * found
        sides.append(found)
        factors.append(np.where(acts, factor * weight, 0.0))
    if middle:
        # The side that there is not stands for the nominal one, with its factor.
        place = nuisance.sides == ("up",)
        sides[int(place)] = base
        factors[int(place)] = np.where(acts, middle * nominal, 0.0)
    tangent[~acts] = 0.0
    return tangent.astype(float), np.stack(sides).astype(float), np.stack(factors)

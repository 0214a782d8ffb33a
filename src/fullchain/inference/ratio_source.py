"""Where the events come from that ratios are learned from, calibrated with and fitted to."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import torch
from torch import Tensor

from fullchain.inference import synthetic_model
from fullchain.inference.likelihood_ratio import Events
from fullchain.inference.ratio_settings import RatioSettings
from fullchain.seeds import stream

Generator = np.random.Generator

SHARED = ("calibration", "check")
"""Parts that all members have in common."""


@dataclass(frozen=True)
class Simulated:
    """Events of the classes.

    Parameters
    ----------
    signal, nominal, varied
        Signal; background at the nominal value of the nuisance parameter; background at other
        values.
    nuisance
        (events, members) values for the varied events.
    """

    signal: Events
    nominal: Events
    varied: Events
    nuisance: Tensor


@dataclass(frozen=True)
class Experiments:
    """Data sets.

    Parameters
    ----------
    x
        (events of all sets, features).
    sizes
        (sets) numbers of events.
    auxiliary
        (sets) measured nuisance parameter.
    nuisance
        Its true value.
    """

    x: Tensor
    sizes: Tensor
    auxiliary: Tensor
    nuisance: float


@dataclass(frozen=True)
class TemplateEvents:
    """Events for histograms, each class with x (events, features) and weight (events).

    Parameters
    ----------
    signal
        Of the signal.
    background
        Of the background, at some values of the nuisance parameter.
    """

    signal: tuple[Tensor, Tensor]
    background: Sequence[tuple[float, Tensor, Tensor]]


class Source(Protocol):
    """Gives events."""

    independent: bool
    """Whether members have events of their own, and not bootstrap replicas of the same ones."""

    def events(self, part: str) -> Simulated:
        """Events of `training` or `validation` for all members, or of `calibration` or `check`."""
        ...

    def templates(self, values: Sequence[float]) -> TemplateEvents:
        """Events for the binned fit; `values` of the nuisance parameter are wished."""
        ...

    def experiments(self, nuisance: float, numbers: Sequence[int]) -> Experiments:
        """Pseudo-experiments of these numbers with a true value of the nuisance parameter."""
        ...

    def exact(self, x: Tensor, nodes: Tensor) -> tuple[Tensor, Tensor] | None:
        """Exact log ratios of signal (events) and background (events, nodes); None if unknown."""
        ...


class SyntheticSource:
    """The published synthetic problem with its shift r of the background, 1806.04743.

    Parameters
    ----------
    settings, seed
        Sizes and what is true; streams are of the seed, what the events are for, and the member.
    """

    independent = True

    def __init__(self, settings: RatioSettings, seed: int) -> None:
        self.settings, self.seed = settings, seed

    def _stream(self, *keys: str | int) -> Generator:
        return stream(self.seed, "inference", "ratio", *keys)

    def events(self, part: str) -> Simulated:
        """Draw events."""
        number = getattr(self.settings.events, part)
        members = 1 if part in SHARED else self.settings.network.members
        reach = self.settings.model.reach
        rows: dict[str, list[Tensor]] = {"signal": [], "nominal": [], "varied": [], "shift": []}
        for member in range(members):
            chance = self._stream(part, member)
            rows["signal"].append(_signal(number, chance))
            rows["nominal"].append(_background(number, 0.0, chance))
            shift = torch.from_numpy(chance.uniform(-reach, reach, number))
            shifted = _background(number, 0.0, chance)
            # What sample_background does with r, for a value of each event.
            shifted[:, 0] += shift
            rows["varied"].append(shifted)
            rows["shift"].append(shift)
        joined = {name: torch.stack(values, dim=1) for name, values in rows.items()}
        ones = torch.ones(number, members, dtype=torch.float64)
        return Simulated(
            Events(joined["signal"], ones),
            Events(joined["nominal"], ones),
            Events(joined["varied"], ones),
            joined["shift"],
        )

    def templates(self, values: Sequence[float]) -> TemplateEvents:
        """Draw events; those of all values are made of the same random numbers."""
        number = self.settings.events.templates
        ones = torch.ones(number, dtype=torch.float64)
        return TemplateEvents(
            (_signal(number, self._stream("templates", "signal")), ones),
            [
                (value, _background(number, value, self._stream("templates", "background")), ones)
                for value in values
            ],
        )

    def experiments(self, nuisance: float, numbers: Sequence[int]) -> Experiments:
        """Draw Poisson numbers of events, the events, and the auxiliary measurement."""
        model = self.settings.model
        x, sizes, auxiliary = [], [], []
        place = self.settings.experiments.nuisance.index(nuisance)
        for number in numbers:
            chance = self._stream("experiment", place, number)
            signal, background = chance.poisson(model.signal), chance.poisson(model.background)
            x.append(_signal(signal, chance))
            x.append(_background(background, nuisance, chance))
            sizes.append(signal + background)
            auxiliary.append(chance.normal(nuisance, model.constraint))
        return Experiments(
            torch.cat(x), torch.tensor(sizes), torch.tensor(auxiliary).double(), nuisance
        )

    def exact(self, x: Tensor, nodes: Tensor) -> tuple[Tensor, Tensor]:
        """Log ratios from the densities."""
        events = x.double().numpy()
        reference = synthetic_model.log_density_background(events)
        varied = [
            synthetic_model.log_density_background(events, float(r)) - reference for r in nodes
        ]
        signal = synthetic_model.log_density_signal(events) - reference
        return torch.from_numpy(signal), torch.from_numpy(np.stack(varied, axis=-1))


def _background(number: int, r: float, chance: Generator) -> Tensor:
    drawn = synthetic_model.sample_background(number, r, synthetic_model.RATE, chance)
    return torch.from_numpy(drawn)


def _signal(number: int, chance: Generator) -> Tensor:
    return torch.from_numpy(synthetic_model.sample_signal(number, chance))

"""What classifiers see of events, and the networks that see it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Protocol

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from fullchain.errors import InputError
from fullchain.learning.grouped import Inputs
from fullchain.learning.standardise import Standardisation, measure
from fullchain.unfolding import particle_inputs
from fullchain.unfolding.members import Member
from fullchain.unfolding.multilayer import Build, GroupedMultilayer
from fullchain.unfolding.omnifold_settings import OmnifoldSettings
from fullchain.unfolding.sample import Array, Particles, Problem

Integers = npt.NDArray[np.int64]

LARGEST = 10.0
"""Standardised values are clipped here: a few extreme ones must not rule a training."""


class Tables(Protocol):
    """Inputs of the classifications of one computation."""

    def detector(self) -> Inputs:
        """Give the data, then simulated events that pass the detector level."""
        ...

    def particle(self) -> Inputs:
        """Give simulated events that pass the particle level."""
        ...

    def background(self) -> Inputs:
        """Give the data, then the background."""
        ...


@dataclass(frozen=True)
class Rows:
    """Which simulated events are rows of a table at detector level and at particle level."""

    reco: Integers
    gen: Integers


def tables(
    problem: Problem, members: Sequence[Member], settings: OmnifoldSettings, rows: Rows
) -> Tables:
    """Give what makes the inputs of some members.

    Raises
    ------
    InputError
        Particles are asked for and were not read, or are unusable.
    """
    if settings.inputs == "particles":
        return ParticleTables(problem, members, settings, rows)
    return ObservableTables(problem, members, rows)


class ObservableTables:
    """Standardised observables: one table, or one for each member where they differ."""

    def __init__(self, problem: Problem, members: Sequence[Member], rows: Rows) -> None:
        self.problem = problem
        self.members = members
        self.rows = rows
        simulation = problem.simulation
        # One scale for all fits, whatever their weights and shifts are.
        self.scales = {
            name: measure(level.values[level.passed], simulation.weight[level.passed])
            for name, level in (("gen", simulation.gen), ("reco", simulation.reco))
        }

    def detector(self) -> Inputs:
        """Give the data, then simulated events; those under different shifts by member."""
        simulation, scale = self.problem.simulation, self.scales["reco"]
        data = self.problem.data.values
        return self._inputs(
            {
                shift: _scaled(
                    np.concatenate([data, simulation.level(shift).values[self.rows.reco]]), scale
                )
                for shift in dict.fromkeys(member.fit.shift for member in self.members)
            }
        )

    def particle(self) -> Inputs:
        """Give the particle level."""
        values = self.problem.simulation.gen.values[self.rows.gen]
        return self._same_for_all(_scaled(values, self.scales["gen"]))

    def background(self) -> Inputs:
        """Give the data, then the background."""
        assert self.problem.background is not None
        values = [self.problem.data.values, self.problem.background.values]
        return self._same_for_all(_scaled(np.concatenate(values), self.scales["reco"]))

    def _same_for_all(self, values: Array) -> Inputs:
        return self._inputs({member.fit.shift: values for member in self.members})

    def _inputs(self, values: Mapping[str, Array]) -> Inputs:
        first = self.members[0]
        seen = {(id(values[member.fit.shift]), member.columns) for member in self.members}
        if len(seen) == 1:
            return {"values": _tensor(values[first.fit.shift][:, first.columns])}
        own = [values[member.fit.shift][:, member.columns] for member in self.members]
        return {"values": _tensor(np.stack(own))}


class ParticleTables:
    """Particles of the jets; all members of a computation see the same."""

    def __init__(
        self, problem: Problem, members: Sequence[Member], settings: OmnifoldSettings, rows: Rows
    ) -> None:
        self.problem = problem
        self.settings = settings
        self.rows = rows
        self.shift = members[0].fit.shift
        simulation = problem.simulation
        weight = simulation.weight
        self.scales = {
            name: particle_inputs.measure(_found(level.particles), weight * level.passed)
            for name, level in (("gen", simulation.gen), ("reco", simulation.reco))
        }

    def detector(self) -> Inputs:
        """Give the data, then simulated events."""
        simulated = _found(self.problem.simulation.level(self.shift).particles)
        simulated = simulated.take(self.rows.reco)
        return self._inputs(joined(_found(self.problem.data.particles), simulated), "reco")

    def particle(self) -> Inputs:
        """Give the particle level."""
        particles = _found(self.problem.simulation.gen.particles)
        return self._inputs(particles.take(self.rows.gen), "gen")

    def background(self) -> Inputs:
        """Give the data, then the background."""
        assert self.problem.background is not None
        particles = [_found(one.particles) for one in (self.problem.data, self.problem.background)]
        return self._inputs(joined(*particles), "reco")

    def _inputs(self, particles: Particles, level: str) -> Inputs:
        prepared = particle_inputs.prepare(
            particles, self.settings.particle_inputs, self.scales[level]
        )
        return prepared.inputs()


def joined(first: Particles, second: Particles) -> Particles:
    """Give the jets of one sample after those of another."""
    return Particles(
        np.concatenate([first.features, second.features]),
        np.concatenate([first.offsets, first.offsets[-1] + second.offsets[1:]]),
        first.names,
    )


def networks(settings: OmnifoldSettings, inputs: Inputs) -> Build:
    """Give what makes networks for such inputs."""
    values = inputs["values"].shape[-1]
    if settings.inputs != "particles":
        return partial(_multilayer, values, settings.layers)
    from fullchain.unfolding import particle_networks

    features = inputs["particles"].shape[-1]

    def build(members: int, seed: int) -> nn.Module:
        network = settings.particle_network
        return particle_networks.build(network, members, features, seed, n_values=values)

    return build


def _multilayer(observables: int, layers: Sequence[int], members: int, seed: int) -> nn.Module:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return GroupedMultilayer(members, observables, layers)


def _found(particles: Particles | None) -> Particles:
    if particles is None:
        raise InputError(
            "inputs: the method takes particles, and the tables of events were read without them"
        )
    return particles


def _scaled(values: Array, scale: Standardisation) -> Array:
    """Standardise; events that fail, which have weight zero, get zeros."""
    scaled: Array = (values - scale.subtract) * scale.multiply
    return np.nan_to_num(np.clip(scaled, -LARGEST, LARGEST), nan=0.0)


def _tensor(values: Array) -> Tensor:
    return torch.from_numpy(np.ascontiguousarray(values)).float()

"""OmniFold (1911.09107; for events that fail a level 2105.04448): unfolding by reweighting.

An iteration has two steps. Data are classified against the simulation at detector level, which
gives each simulated event a weight omega. The particle level with omega is classified against
itself without, which turns omega into a function nu of the particle level. Products of nu and the
weights of the simulation are the unfolded events.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from fullchain.errors import InputError
from fullchain.unfolding.classifications import Classifications
from fullchain.unfolding.counting import effective_sample_size
from fullchain.unfolding.diagnostics import drift
from fullchain.unfolding.fits import Fit, with_nominal
from fullchain.unfolding.members import Member, computations, members_of
from fullchain.unfolding.omnifold_settings import OmnifoldSettings
from fullchain.unfolding.sample import NOMINAL, Array, Problem, check_weights
from fullchain.unfolding.unfolded import ENSEMBLE

Advance = Callable[[float], None]


@dataclass(frozen=True)
class Outcome:
    """Results of all fits.

    Parameters
    ----------
    weights
        (events that pass the particle level) by the name of the fit, with UniFold
        `<fit>@<observable>`: prior weight of the fit times nu.
    history
        Diagnostics after each iteration, in the same keys.
    by_iteration
        Weights after each iteration, of the ensemble, in the same keys.
    stopped
        Whether weights drifted less than demanded before the last iteration.
    """

    weights: dict[str, Array]
    history: dict[str, list[dict[str, float]]]
    by_iteration: dict[str, list[Array]]
    stopped: bool


def unfold(
    problem: Problem,
    fits: Sequence[Fit],
    settings: OmnifoldSettings,
    seed: int,
    advance: Advance = lambda _: None,
) -> Outcome:
    """Unfold the data of a problem, once for each fit.

    Parameters
    ----------
    problem
        Simulation, data, background.
    fits
        What is varied, see `fits`. The result of a fit does not depend on the others.
    seed
        Seed of starts, divisions and orders; numbers of starts come with the fits.
    advance
        Is told of iterations of networks: `fits x iterations` in all, for UniFold times
        observables.

    Raises
    ------
    InputError
        Weights are negative, not finite or sum to nothing; no event passes both levels; a class of
        a classification is empty; or weights of the outcome are unusable.
    """
    _check(problem)
    members = members_of(fits, problem, settings)
    observables = problem.simulation.names if settings.inputs == "unifold" else ()

    iterations = settings.iterations
    done: list[_Unfolding] = []
    if settings.least_drift is not None:
        # All fits must have as many iterations as the nominal one, which is therefore first.
        ensemble = [member for member in members if _of_ensemble(member)]
        parts = computations(ensemble, settings)
        done = [_Unfolding(problem, together, settings, seed) for together in parts]
        iterations = _until_stable(done, settings, observables, advance)
    first = {member.name for one in done for member in one.members}
    rest = [member for member in members if member.name not in first]
    for together in computations(rest, settings):
        one = _Unfolding(problem, together, settings, seed)
        done.append(one)
        for iteration in range(iterations):
            one.iterate(iteration)
            advance(len(together))
    advance(len(members) * (settings.iterations - iterations))
    weights, history, by_iteration = {}, {}, {}
    for one in done:
        weights.update(one.weights())
        history.update(one.diagnostics())
        by_iteration.update(one.trace)
    return Outcome(
        {member.name: weights[member.name] for member in members},
        {member.name: history[member.name] for member in members},
        by_iteration,
        iterations < settings.iterations,
    )


def _of_ensemble(member: Member) -> bool:
    return member.fit.name.startswith(f"{ENSEMBLE}_")


def _until_stable(
    ensemble: Sequence["_Unfolding"],
    settings: OmnifoldSettings,
    observables: Sequence[str],
    advance: Advance,
) -> int:
    """Iterate until the mean weights drift less than demanded; give the number of iterations.

    Of UniFold the largest drift of all observables counts.
    """

    def mean() -> dict[str, Array]:
        weights = {name: weight for one in ensemble for name, weight in one.weights().items()}
        found = with_nominal(weights, observables)
        return {name: weight for name, weight in found.items() if name.startswith(NOMINAL)}

    before = mean()
    for iteration in range(settings.iterations):
        for one in ensemble:
            one.iterate(iteration)
            advance(len(one.members))
        now = mean()
        largest = max(float(drift(weight, before[name])) for name, weight in now.items())
        if settings.least_drift is not None and largest < settings.least_drift:
            return iteration + 1
        before = now
    return settings.iterations


def _check(problem: Problem) -> None:
    simulation = problem.simulation
    check_weights(problem.data.weight, "data")
    if problem.background is not None:
        check_weights(problem.background.weight, "background")
    levels = [("particle level", simulation.gen), ("detector level", simulation.reco)]
    levels += [(f"detector level, {name}", level) for name, level in simulation.shifted.items()]
    for name, level in levels:
        check_weights(simulation.weight[level.passed], f"simulation, {name}")
        if not (level.passed & simulation.gen.passed).any():
            raise InputError(
                f"simulation, {name}: no event passes this and the particle level, so that one "
                "says nothing about the other; check the selections"
            )


class _Unfolding:
    """The fits of one computation."""

    def __init__(
        self, problem: Problem, members: Sequence[Member], settings: OmnifoldSettings, seed: int
    ) -> None:
        self.members = members
        self.settings = settings
        self.classify = Classifications(problem, members, settings, seed)
        simulation = problem.simulation
        self.gen = simulation.gen.passed
        self.reco = np.stack([simulation.level(one.fit.shift).passed for one in members])
        self.data = self._data(problem)
        self.prior = self._prior(problem)
        self.nu: Array = np.ones_like(self.prior)
        self.history: list[dict[str, Array]] = []
        self.trace: dict[str, list[Array]] = {one.name: [] for one in members if _of_ensemble(one)}

    def _data(self, problem: Problem) -> Array:
        """Weights of the data without the background, (members, data)."""
        data = _varied(problem.data.weight, [one.fit.data for one in self.members])
        if problem.background is None:
            return data
        background = problem.background.weight
        factors = [one.fit.background for one in self.members]
        return data * self.classify.without_background(data, _varied(background, factors))

    def _prior(self, problem: Problem) -> Array:
        """Weights of the simulation, (members, events), scaled to the nominal data."""
        total = problem.data.weight.sum()
        if problem.background is not None:
            total -= problem.background.weight.sum()
        weight = problem.simulation.weight
        prior = _varied(weight, [one.fit.simulation for one in self.members])
        for member, passed, own in zip(self.members, self.reco, prior, strict=True):
            check_weights(own[passed], f"simulation of {member.name}, detector level")
            check_weights(own[self.gen], f"simulation of {member.name}, particle level")
            own *= total / own[passed].sum()
        return prior

    def iterate(self, iteration: int) -> None:
        """Both steps."""
        omega = self._pull(iteration)
        before, self.nu = self.nu, self._push(omega, iteration)
        weights, old = self._unfolded(self.nu), self._unfolded(before)
        found = {
            "effective_sample_size": effective_sample_size(weights),
            "drift": drift(weights, old),
            "largest_weight": weights.max(axis=1) / weights.mean(axis=1),
            **self.classify.report(),
        }
        self.history.append(found)
        for member, weight in zip(self.members, weights, strict=True):
            if member.name in self.trace:
                self.trace[member.name].append(weight)

    def _pull(self, iteration: int) -> Array:
        """Step 1: omega of all events, (members, events)."""
        classify, gen = self.classify, self.gen
        weight = self.prior * self.nu
        omega = np.where(
            self.reco,
            self.nu * classify.detector(self.data, weight * self.reco, iteration),
            self.nu,
        )
        lost = gen & ~self.reco
        if self.settings.inefficiency == "classifier" and (gen & ~self.reco.all(axis=0)).any():
            both = self.prior * (gen & self.reco)
            mean = classify.mean_at_particle_level(both * omega, both, iteration)
            omega = np.where(lost, mean, omega)
        return omega

    def _push(self, omega: Array, iteration: int) -> Array:
        """Step 2: nu of all events, (members, events)."""
        classify, gen = self.classify, self.gen
        weight = self.prior * gen
        nu = np.where(gen, classify.particle(weight * omega, weight, iteration), self.nu)
        if self.settings.fakes == "classifier" and (self.reco & ~gen).any():
            both = self.prior * (gen & self.reco)
            mean = classify.mean_at_detector_level(both * nu, both, iteration)
            nu = np.where(self.reco & ~gen, mean, nu)
        return nu

    def _unfolded(self, nu: Array) -> Array:
        """Weights of the events that pass the particle level, (members, events)."""
        return np.ascontiguousarray((self.prior * nu)[:, self.gen])

    def weights(self) -> dict[str, Array]:
        """Weights of the unfolded events of each member by its name."""
        found = dict(zip((one.name for one in self.members), self._unfolded(self.nu), strict=True))
        for name, weight in found.items():
            check_weights(weight, f"unfolded events of {name}")
        return found

    def diagnostics(self) -> dict[str, list[dict[str, float]]]:
        """Diagnostics after each iteration of each member by its name."""
        return {
            member.name: [
                {name: float(values[number]) for name, values in one.items()}
                for one in self.history
            ]
            for number, member in enumerate(self.members)
        }


def _varied(weight: Array, factors: Sequence[Array | None]) -> Array:
    """Give the weights of each member, (members, rows)."""
    return np.stack([weight * (1.0 if factor is None else factor) for factor in factors])


def mean_history(
    history: Mapping[str, Sequence[Mapping[str, float]]], names: Sequence[str]
) -> list[dict[str, Any]]:
    """Give the diagnostics after each iteration, as the mean over some fits."""
    chosen = [history[name] for name in names]
    return [
        {key: float(np.mean([entry[key] for entry in entries])) for key in entries[0]}
        for entries in zip(*chosen, strict=True)
    ]

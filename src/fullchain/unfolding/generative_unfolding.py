"""Generative unfolding from a problem to an unfolded sample.

All fits of a method go together: the members of an ensemble first, whose prior is iterated; then,
trained on from them, the members under each shift, each factor on the weights and in each replica
of the simulation. The unfolded events are samples of the posteriors of all measured events.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from fullchain.errors import InputError
from fullchain.learning.settings import TrainingSettings
from fullchain.learning.training import Resumption, initialised
from fullchain.seeds import derive, stream
from fullchain.unfolding import acceptance, batch_median, preprocessing, prior_iteration
from fullchain.unfolding.batch_median import BatchMedian
from fullchain.unfolding.generative_settings import CinnSettings, Generative
from fullchain.unfolding.generative_variations import Levels, Variation, variations
from fullchain.unfolding.observable_settings import ObservableSettings
from fullchain.unfolding.posterior import Build, Posterior, descendants
from fullchain.unfolding.posterior_training import Pairs, draw, fit
from fullchain.unfolding.preprocessing import Preprocessing
from fullchain.unfolding.prior_iteration import Cloud
from fullchain.unfolding.sample import Measured, Problem, Simulation

Array = npt.NDArray[np.float64]
Flags = npt.NDArray[np.bool_]

LEAST_PAIRS = 100
"""Simulated events that pass both levels without which no density is learned."""

Resume = Callable[[str, Mapping[str, Array]], Resumption | None]
"""Gives where the state of a training of this name and with these arrays is kept."""


@dataclass(frozen=True)
class Fitted:
    """A generative unfolding, ready to be applied.

    Parameters
    ----------
    problem
        What is unfolded.
    settings, seed
        Of the method.
    chosen, levels
        Variations, and the detector levels that they use.
    particle, detector
        Transformations.
    accepted
        Efficiencies and fakes.
    kept
        What the subtraction of the background leaves of the data.
    posterior
        All members: those of the first variation, then of the second, ...
    log_weight
        (events that pass the particle level, members of the ensemble) logarithm of the iterated
        prior over that of the simulation.
    held
        (simulated events) which did not train the posterior.
    iterations
        Record of each iteration of the prior.
    priors
        `log_weight` after each iteration.
    losses
        Validation loss after each epoch of each training, and its best epoch.
    stopped
        Why iterations ended: "iterations" or "drift".
    median
        Medians of batches as a further condition; None without.
    """

    problem: Problem
    settings: Generative
    seed: int
    chosen: list[Variation]
    levels: Levels
    particle: Preprocessing
    detector: Preprocessing
    accepted: acceptance.Acceptance
    kept: acceptance.Kept
    posterior: Posterior
    log_weight: Array
    held: Flags
    iterations: list[dict[str, Any]]
    priors: list[Array]
    losses: list[dict[str, Any]]
    stopped: str
    median: BatchMedian | None = None

    @property
    def owners(self) -> list[int]:
        """For each member the number of its variation."""
        return [number for number, one in enumerate(self.chosen) for _ in one.ancestors]

    def conditions(self, values: Array, simulated: Flags | None = None) -> Array:
        """Conditions of the posterior for values (rows, observables) of the detector level.

        Of the data, or of the simulated events that are marked.
        """
        found = self.detector.certain(values)
        if self.median is None:
            return found
        median = self.median.data if simulated is None else self.median.simulated[simulated]
        return batch_median.appended(found, median)


def fitted(
    problem: Problem,
    observables: Mapping[str, ObservableSettings],
    settings: Generative,
    *,
    seed: int,
    measurement: str,
    replica_seed: int,
    only_nominal: bool = False,
    resume: Resume = lambda name, arrays: None,
) -> Fitted:
    """Fit everything that an unfolding needs.

    Parameters
    ----------
    seed
        Of this method and measurement.
    measurement, replica_seed
        Name, and seed of the configuration: factors of replicas depend on these.
    only_nominal
        Whether shifts, factors and replicas are left out.
    resume
        Where unfinished trainings are kept.

    Raises
    ------
    InputError
        Values are not finite, observables are constant, or too few events pass both levels.
    """
    _check(problem)
    simulation = problem.simulation
    chosen = variations(simulation, settings, replica_seed, measurement, only_nominal)
    levels = Levels.of(simulation, chosen)
    particle, detector = _scales(simulation, observables)
    accepted = acceptance.fit(
        simulation, chosen, levels, particle, detector, settings.classifier, derive(seed, "accept")
    )
    kept = acceptance.subtracted(
        problem.data, problem.background, detector, settings.classifier, seed
    )
    # Genuine events only: the prior is that of the events that pass both levels.
    genuine = problem.data.weight * kept.part * accepted.genuine_part(problem.data.values)[:, 0]
    median = None
    if settings.median_of is not None:
        if len(levels.names) > 1:
            raise InputError(
                "median_of: the medians of the simulation are those of the nominal detector level; "
                "set variations: false, or leave the shifts of the measurement out"
            )
        rest = (settings.median_of, settings.median_events, derive(seed, "median"))
        # With fakes, as the simulated batches have them.
        seen = problem.data.weight * kept.part
        median = batch_median.measured(simulation, problem.data, seen, *rest)
    training = _Training(
        simulation,
        chosen,
        levels,
        particle,
        detector,
        settings,
        derive(seed, "fit"),
        resume,
        median,
    )
    stopped = training.iterate(problem.data, genuine)
    posterior = training.conclude()
    return Fitted(
        problem,
        settings,
        seed,
        chosen,
        levels,
        particle,
        detector,
        accepted,
        kept,
        posterior,
        training.log_weight,
        training.held,
        training.iterations,
        training.priors,
        training.losses,
        stopped,
        median,
    )


class _Training:
    """The trainings one after the other, and what they share."""

    def __init__(
        self,
        simulation: Simulation,
        chosen: list[Variation],
        levels: Levels,
        particle: Preprocessing,
        detector: Preprocessing,
        settings: Generative,
        seed: int,
        resume: Resume,
        median: BatchMedian | None = None,
    ) -> None:
        self.median = median
        self.simulation, self.chosen, self.levels = simulation, chosen, levels
        self.particle, self.detector = particle, detector
        self.settings, self.seed, self.resume = settings, seed, resume
        gen = simulation.gen.passed
        self.certain = particle.certain(simulation.gen.values[gen])
        self.both = gen & levels.passed[:, 0]
        if self.both.sum() < LEAST_PAIRS:
            raise InputError(
                f"{int(self.both.sum())} simulated events pass both levels, and a posterior needs "
                f"{LEAST_PAIRS} at least"
            )
        rows = gen & levels.passed.any(axis=1)
        self.rows = rows
        self.held = acceptance.held_back(simulation, settings.validation, seed)
        conditions = acceptance.conditions(simulation, levels, detector)[rows]
        if median is not None:
            conditions = batch_median.appended(conditions, median.simulated[rows])
        self.pairs = Pairs(
            particle.forward(simulation.gen.values[rows], stream(seed, "smearing")),
            conditions,
            self.held[rows],
        )
        self.log_weight = np.zeros((int(gen.sum()), settings.ensemble))
        self.iterations: list[dict[str, Any]] = []
        self.priors: list[Array] = []
        self.losses: list[dict[str, Any]] = []
        ensemble = range(settings.ensemble)
        build = builder(len(simulation.names), settings)
        model = initialised(seed, lambda: build(ensemble))
        assert isinstance(model, Posterior)
        self.build, self.posterior = build, model

    def iterate(self, data: Measured, genuine: Array) -> str:
        """Train the ensemble and iterate its prior but for the last training."""
        self._train("first", self.settings.training, self.chosen[:1])
        for number in range(self.settings.iterations):
            step = self._reweighted(data, genuine, number)
            self.log_weight = step.log_weight
            self.iterations.append(step.record)
            self.priors.append(step.log_weight)
            if step.drift < self.settings.stop_drift:
                return "drift"
            if number + 1 < self.settings.iterations:
                self._train(f"iteration {number + 1}", self._further(), self.chosen[:1])
        return "iterations"

    def conclude(self) -> Posterior:
        """Train on with all variations, each from the members that it descends from."""
        lineage = [ancestor for one in self.chosen for ancestor in one.ancestors]
        self.posterior = descendants(self.posterior, lineage, self.build)
        self._train("last", self._further(), self.chosen)
        return self.posterior

    def _further(self) -> TrainingSettings:
        settings = self.settings
        rate = settings.training.learning_rate * settings.further_rate
        # Falling from the first epoch on: with a rate that rises first, the best epoch would often
        # be the first one, in which hardly anything is learned of new weights.
        epochs = settings.further_epochs
        changes = {"epochs": epochs, "learning_rate": rate, "schedule": "cosine"}
        return settings.training.model_copy(update=changes)

    def _train(self, name: str, how: TrainingSettings, chosen: Sequence[Variation]) -> None:
        gen = self.simulation.gen.passed
        prior = np.zeros((len(self.simulation), self.settings.ensemble))
        prior[gen] = np.exp(self.log_weight)
        weight, which = [], []
        for number, one in enumerate(chosen):
            level = self.levels.which[number]
            own = self.simulation.weight * one.factor * self.levels.passed[:, level]
            weight += [own * prior[:, ancestor] for ancestor in one.ancestors]
            which += [level] * len(one.ancestors)
        weights = np.stack(weight, axis=1)[self.rows]
        arrays = {
            "target": self.pairs.target,
            "conditions": self.pairs.conditions,
            "weight": weights,
        }
        history = fit(
            self.posterior,
            self.pairs,
            weights,
            which,
            how,
            seed=derive(self.seed, name),
            resumption=self.resume(name, arrays),
            description=f"posterior, {name}",
        )
        members = len(weight)
        self.losses.append(
            {
                "training": name,
                "members": members,
                # Means over the members, where the training has their sum.
                "train": [terms["loss"] / members for terms in history.train],
                "validation": [terms["loss"] / members for terms in history.validation],
                "best_epoch": history.best_epoch,
                "stopped_early": history.stopped_early,
            }
        )

    def _reweighted(self, data: Measured, genuine: Array, number: int) -> prior_iteration.Step:
        settings, seed = self.settings, derive(self.seed, "prior", number)
        events, samples = len(data), settings.prior_samples
        conditions = self.detector.certain(data.values)
        if self.median is not None:
            conditions = batch_median.appended(conditions, self.median.data)
        drawn = draw(self.posterior, conditions, samples, seed)
        flat = drawn.reshape(settings.ensemble, events * samples, -1)
        values = np.stack([self.particle.inverse(member) for member in flat], axis=1)
        certain = np.stack([self.particle.certain(member) for member in values.swapaxes(0, 1)], 1)
        held = stream(seed, "validation").random(events) < settings.classifier.validation
        both = self.both
        return prior_iteration.reweighted(
            Cloud(
                self.certain[both[self.simulation.gen.passed]],
                self.simulation.weight[both],
                self.held[both],
            ),
            self.log_weight,
            Cloud(certain, np.repeat(genuine / samples, samples), np.repeat(held, samples)),
            self.certain,
            both[self.simulation.gen.passed],
            settings,
            seed,
        )


def builder(observables: int, settings: Generative) -> Build:
    """Give what makes an untrained posterior for the kind of the settings."""
    conditions = observables + (settings.median_of is not None)

    def build(lineage: Sequence[int]) -> Posterior:
        # Each method imports its own: the other one's library is not needed.
        if isinstance(settings, CinnSettings):
            from fullchain.unfolding.cinn import Cinn

            return Cinn(lineage, observables, conditions, settings)
        from fullchain.unfolding.flow_matching import FlowMatching

        return FlowMatching(lineage, observables, conditions, settings)

    return build


def _scales(
    simulation: Simulation, observables: Mapping[str, ObservableSettings]
) -> tuple[Preprocessing, Preprocessing]:
    found = []
    for level, what in ((simulation.gen, "particle level"), (simulation.reco, "detector level")):
        values, weight = level.values[level.passed], simulation.weight[level.passed]
        found.append(
            preprocessing.measured(
                values, weight, simulation.names, observables, f"simulation, {what}"
            )
        )
    return found[0], found[1]


def _check(problem: Problem) -> None:
    for what, sample in (("data", problem.data), ("background", problem.background)):
        if sample is None:
            continue
        bad = ~np.isfinite(sample.values).all(axis=1)
        if bad.any() or len(sample) == 0:
            raise InputError(
                f"{what}: {int(bad.sum())} of {len(sample)} events have an observable that is not "
                "finite, or there is no event; check the selection"
            )
        if sample.names != problem.simulation.names:
            raise InputError(
                f"{what} has {', '.join(sample.names)}, the simulation "
                f"{', '.join(problem.simulation.names)}"
            )

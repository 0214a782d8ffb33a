"""The classifications of OmniFold: data against simulation, and what follows from it.

Each knows its table of events and its networks, which go on from iteration to iteration. From
weights of two classes it gives the ratio of their densities for all events of the table.
"""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import numpy.typing as npt
from torch import nn

from fullchain.errors import InputError
from fullchain.learning import device
from fullchain.learning.grouped import Inputs
from fullchain.seeds import derive, stream
from fullchain.unfolding.classifier_inputs import Rows, networks, tables
from fullchain.unfolding.grouped_training import Order, Weights, logits, train
from fullchain.unfolding.members import Member
from fullchain.unfolding.multilayer import started, undecided
from fullchain.unfolding.omnifold_settings import OmnifoldSettings
from fullchain.unfolding.sample import Array, Problem

Integers = npt.NDArray[np.int64]

ROWS_AT_ONCE = 4096
"""Rows of observables that are evaluated together; rows of particles, as many as train together."""

DETECTOR, PARTICLE = "detector", "particle"
MEAN_AT_PARTICLE_LEVEL, MEAN_AT_DETECTOR_LEVEL = "inefficient", "fake"
BACKGROUND = "background"


class Classifications:
    """All classifications of the fits of one computation.

    Parameters
    ----------
    problem, members, settings
        What is unfolded, for which fits, how.
    seed
        Of starts, divisions and orders.

    Notes
    -----
    Tables are: at detector level the data, then the simulated events that pass it, under any shift;
    at particle level the simulated events that pass it. Arguments and results are of all simulated
    events, (members, events).
    """

    def __init__(
        self, problem: Problem, members: Sequence[Member], settings: OmnifoldSettings, seed: int
    ) -> None:
        self.settings = settings
        self.members = members
        simulation = problem.simulation
        reco = simulation.reco.passed.copy()
        for level in simulation.shifted.values():
            reco |= level.passed
        self.events = len(simulation)
        self.measured = len(problem.data)
        self.reco = np.flatnonzero(reco)
        self.gen = np.flatnonzero(simulation.gen.passed)
        chance = {
            "data": self.measured,
            "simulation": self.events,
            "background": 0 if problem.background is None else len(problem.background),
        }
        self.chance = {
            start: {
                name: stream(seed, "division", start, name).random(rows)
                for name, rows in chance.items()
            }
            for start in dict.fromkeys(member.fit.start for member in members)
        }
        made = tables(problem, members, settings, Rows(self.reco, self.gen))
        data, events = np.arange(self.measured), self.measured + np.arange(len(self.reco))
        both_reco = np.flatnonzero(simulation.gen.passed[self.reco])
        both_gen = np.flatnonzero(reco[self.gen])
        at_detector, at_particle = made.detector(), made.particle()

        def classification(
            what: str, inputs: Inputs, parts: Sequence[tuple[str, Integers, Integers]]
        ) -> _Classification:
            orders = self._orders(seed, what, parts)
            return _Classification(what, inputs, orders, members, settings, seed)

        self.classifications = {
            DETECTOR: classification(
                DETECTOR,
                at_detector,
                [("data", data, data), ("simulation", self.reco, events)],
            ),
            PARTICLE: classification(
                PARTICLE, at_particle, [("simulation", self.gen, np.arange(len(self.gen)))]
            ),
        }
        if settings.inefficiency == "classifier":
            self.classifications[MEAN_AT_PARTICLE_LEVEL] = classification(
                MEAN_AT_PARTICLE_LEVEL,
                at_particle,
                [("simulation", self.gen[both_gen], both_gen)],
            )
        if settings.fakes == "classifier":
            self.classifications[MEAN_AT_DETECTOR_LEVEL] = classification(
                MEAN_AT_DETECTOR_LEVEL,
                at_detector,
                [("simulation", self.reco[both_reco], self.measured + both_reco)],
            )
        if problem.background is not None:
            rows = np.arange(len(problem.background))
            self.classifications[BACKGROUND] = classification(
                BACKGROUND,
                made.background(),
                [("data", data, data), ("background", rows, self.measured + rows)],
            )

    def _orders(
        self, seed: int, what: str, parts: Sequence[tuple[str, Integers, Integers]]
    ) -> list[Order]:
        """Divide rows: of each sample the events with the smallest random numbers validate.

        `parts` are, for each sample, its name, numbers of its events and their rows in the table.
        An event stays in its part in all iterations and classifications, as far as numbers allow.
        """
        orders = {}
        for start, chance in self.chance.items():
            training, validation = [], []
            for sample, events, rows in parts:
                count = round(self.settings.training.validation * len(rows))
                if not 0 < count < len(rows):
                    raise InputError(
                        f"{sample}: {len(rows)} events cannot be divided into training and "
                        "validation; take more events or another training.validation"
                    )
                ranked = rows[np.argsort(chance[sample][events], kind="stable")]
                validation.append(np.sort(ranked[:count]))
                training.append(np.sort(ranked[count:]))
            orders[start] = Order(
                np.concatenate(training),
                np.concatenate(validation),
                seed,
                ("order", start, what),
            )
        return [orders[member.fit.start] for member in self.members]

    def without_background(self, data: Array, background: Array) -> Array:
        """Give the part of the data (members, data) that is no background.

        Data and background with negative weight are classified against the data. Weights of data
        times the result sum to those of data less those of background. Single results may be above
        1 where there is no background, as networks are not exact.
        """
        nothing = np.zeros_like(background)
        one = np.concatenate([data, -background], axis=1)
        zero = np.concatenate([data, nothing], axis=1)
        short = one.sum(axis=1) <= 0
        if short.any():
            raise InputError(
                f"{self.members[int(np.argmax(short))].name}: as much background as data; nothing "
                "is left to unfold"
            )
        ratio = self.classifications[BACKGROUND].ratio(one, zero, 0, balanced=False)
        return ratio[:, : self.measured]

    def detector(self, data: Array, weight: Array, iteration: int) -> Array:
        """Classify data against simulation: ratio of densities for events that pass."""
        zero = self._beside_data(weight)
        one = np.zeros_like(zero)
        one[:, : self.measured] = data
        return self._of_reco(self.classifications[DETECTOR].ratio(one, zero, iteration))

    def particle(self, one: Array, zero: Array, iteration: int) -> Array:
        """Classify the particle level with new weights against the same with old ones."""
        classification = self.classifications[PARTICLE]
        return self._of_gen(classification.ratio(one[:, self.gen], zero[:, self.gen], iteration))

    def mean_at_particle_level(self, one: Array, zero: Array, iteration: int) -> Array:
        """Mean of one / zero over events of the same particle level."""
        of_class = one[:, self.gen], zero[:, self.gen]
        return self._of_gen(
            self.classifications[MEAN_AT_PARTICLE_LEVEL].ratio(*of_class, iteration)
        )

    def mean_at_detector_level(self, one: Array, zero: Array, iteration: int) -> Array:
        """Mean of one / zero over events of the same detector level."""
        classification = self.classifications[MEAN_AT_DETECTOR_LEVEL]
        found = classification.ratio(self._beside_data(one), self._beside_data(zero), iteration)
        return self._of_reco(found)

    def _beside_data(self, weight: Array) -> Array:
        """Weights of the rows at detector level, where those of the data are zero."""
        nothing = np.zeros((len(weight), self.measured))
        return np.concatenate([nothing, weight[:, self.reco]], axis=1)

    def _of_gen(self, ratio: Array) -> Array:
        found = np.ones((len(ratio), self.events))
        found[:, self.gen] = ratio
        return found

    def _of_reco(self, ratio: Array) -> Array:
        found = np.ones((len(ratio), self.events))
        found[:, self.reco] = ratio[:, self.measured :]
        return found

    def report(self) -> dict[str, Array]:
        """Give diagnostics of the last trainings, (members) each.

        `clipped_fraction` is the largest of all classifications.
        """
        found: dict[str, Array] = {}
        done = {what: one for what, one in self.classifications.items() if one.network is not None}
        for what, one in done.items():
            found[f"loss_{what}"] = one.loss
            found[f"epochs_{what}"] = one.epochs
            found[f"clipped_fraction_{what}"] = one.clipped
        clipped = np.max([one.clipped for one in done.values()], axis=0)
        return {"clipped_fraction": clipped, **found}


class _Classification:
    """One classification, with its networks."""

    def __init__(
        self,
        what: str,
        inputs: Inputs,
        orders: Sequence[Order],
        members: Sequence[Member],
        settings: OmnifoldSettings,
        seed: int,
    ) -> None:
        self.what = what
        self.inputs = inputs
        self.orders = orders
        self.members = members
        self.settings = settings
        self.seed = seed
        self.network: nn.Module | None = None
        self.loss = self.epochs = self.clipped = np.zeros(len(members))

    def ratio(self, one: Array, zero: Array, iteration: int, *, balanced: bool = True) -> Array:
        """Train, and give the ratio of the classes' densities in all rows, (members, rows).

        It is scaled so that class 0 times the ratio sums to class 1: clamped logits and what the
        network misses then change no total.
        """
        # Rows of members one after the other, so that sums round alike for any number of them.
        one, zero = np.ascontiguousarray(one), np.ascontiguousarray(zero)
        names = [member.name for member in self.members]
        limit = self.settings.logit_limit
        network = self._network(iteration)
        fitted = train(
            network,
            self.inputs,
            Weights(one, zero, balanced),
            self._orders_of(iteration),
            self.settings.training,
            names,
            f"classification {self.what!r}",
            None if balanced else limit,
        )
        particles = self.settings.inputs == "particles"
        at_once = self.settings.training.batch_size if particles else ROWS_AT_ONCE
        raw = logits(network, self.inputs, at_once)
        used = zero > 0
        self.clipped = (used & (np.abs(raw) >= limit)).sum(axis=1) / used.sum(axis=1)
        self.loss, self.epochs = fitted.loss, fitted.epochs.astype(float)
        ratio: Array = np.exp(np.clip(raw, -limit, limit) + fitted.log_prior[:, None])
        scale = one.sum(axis=1, keepdims=True) / (zero * ratio).sum(axis=1, keepdims=True)
        return ratio * scale

    def _network(self, iteration: int) -> nn.Module:
        fresh = self.network is None or not self.settings.warm_start
        if fresh:
            place = device.choose(self.settings.device)
            seeds = [
                derive(self.seed, "start", member.fit.start, self.what, iteration)
                for member in self.members
            ]
            build = networks(self.settings, self.inputs)
            self.network = started(build, seeds).to(place)
        assert self.network is not None
        # Simulated events have the ratios of earlier classifications of the data in their weights
        # already. Where the start is kept, since no epoch is seen to be better, the ratio of the
        # iteration before would be applied again, iteration after iteration.
        if fresh or self.what == DETECTOR:
            undecided(self.network)
        return self.network

    def _orders_of(self, iteration: int) -> list[Order]:
        """Give the orders of an iteration; members that share one share it still."""
        distinct = {id(order): order for order in self.orders}
        found = {
            key: replace(order, keys=(*order.keys, iteration)) for key, order in distinct.items()
        }
        return [found[id(order)] for order in self.orders]

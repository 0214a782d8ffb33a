"""What one method found in one measurement, compared with all that is known about it."""

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

import numpy as np
import numpy.typing as npt

from fullchain.errors import InputError
from fullchain.seeds import stream
from fullchain.unfolding import comparison, gaussian, refolding, replicas, triangular
from fullchain.unfolding.binning import METRIC
from fullchain.unfolding.chi_squared import agreement, groups, merged
from fullchain.unfolding.comparison import LEAST_CONTENT, Reference, total_covariance
from fullchain.unfolding.covariances import shift_covariances
from fullchain.unfolding.moments import moments
from fullchain.unfolding.response import Cells, sums
from fullchain.unfolding.sample import Array, Flags, Problem, Simulation
from fullchain.unfolding.unfolded import DATA, NOMINAL, SIMULATION, Spectrum, Unfolded

Replicas = Mapping[str, Array]
Draw = Callable[[int, str, int, int], Array]


class Evaluation:
    """Truth, prior and detector level of a measurement, with the replicas that all methods have.

    Parameters
    ----------
    problem
        What the method got.
    pseudo
        Events of the data with both levels; recorded data have none at particle level.
    known
        Truth by formula: `mean`, `width` and expected `events` of normal observables, by name.
    unfolded
        The unfolded sample; None for a method that gives spectra only.
    seed, measurement
        Of the configuration, and name.
    number
        Replicas where the method has none of the data.
    """

    def __init__(
        self,
        problem: Problem,
        pseudo: Simulation,
        known: Mapping[str, Any],
        unfolded: Unfolded | None,
        seed: int,
        measurement: str,
        number: int,
    ) -> None:
        self.problem, self.pseudo, self.known = problem, pseudo, known
        self.unfolded = unfolded
        self.seed, self.measurement, self.number = seed, measurement, number
        self._drawn: dict[tuple[str, int], npt.NDArray[np.uint8]] = {}

    def sizes(self) -> dict[str, Any]:
        """Numbers of events of the measurement."""
        simulation, below = self.problem.simulation, self.problem.background
        return {
            "data": len(self.problem.data),
            "background": 0 if below is None else len(below),
            "simulated_gen": int(simulation.gen.passed.sum()),
            "simulated_reco": int(simulation.reco.passed.sum()),
            "truth": int(self.pseudo.gen.passed.sum()),
        }

    def truth(self, spectrum: Spectrum, number: int) -> Reference | None:
        """The truth in the bins of a spectrum; None of recorded data.

        Parameters
        ----------
        number
            Replicas of the data; with 0 the truth stays as it is.
        """
        name = spectrum.observable
        formula = self.known.get(name)
        if formula is not None:
            shape = gaussian.Normal(formula["mean"], formula["width"])
            return Reference(gaussian.expected_counts(spectrum.edges, shape, formula["events"]))
        if not self.pseudo.gen.passed.any():
            return None
        return self._binned(self.pseudo, spectrum, self.data_factor, number)

    def prior(self, spectrum: Spectrum, number: int) -> Reference:
        """Particle level of the simulation in the bins of a spectrum."""
        return self._binned(self.problem.simulation, spectrum, self.simulation_factor, number)

    def _paired_prior(self, spectrum: Spectrum, found: Replicas) -> Reference:
        """The prior in as many replicas of the simulation as the method has.

        Where replicas are fewer than wanted they come again, and must do so in step.
        """
        number = _replicas(found, SIMULATION) or _replicas(found, DATA) or self.number
        return self.prior(spectrum, number)

    def data_factor(self, k: int) -> Array:
        """Factors of all events of the data, those that are not measured included."""
        seen: Flags = self.pseudo.reco.passed
        factor = np.empty(len(seen))
        measured = int(seen.sum())
        factor[seen] = replicas.data_factors(self.seed, self.measurement, k, measured)
        chance = stream(self.seed, "unfolding", self.measurement, "truth", k)
        factor[~seen] = chance.poisson(1.0, len(seen) - measured)
        return factor

    def simulation_factor(self, k: int) -> Array:
        """Factors of all simulated events."""
        rows = len(self.problem.simulation)
        return replicas.simulation_factors(self.seed, self.measurement, k, rows)

    def compared(self, spectrum: Spectrum, binning: str, found: Replicas) -> dict[str, Any]:
        """All numbers of one spectrum, for JSON.

        Parameters
        ----------
        found
            Counts of the method in its replicas, by source.
        """
        number = _replicas(found, DATA)
        truth, prior = self.truth(spectrum, number), self._paired_prior(spectrum, found)
        covariance = total_covariance(spectrum)
        content: dict[str, Any] = {
            "edges": spectrum.edges.tolist(),
            "counts": spectrum.counts.tolist(),
            "outside": list(spectrum.outside),
            "deviation": _deviation(covariance),
            "sources": {source: _deviation(one) for source, one in spectrum.covariances.items()},
            "systematic": _systematic(spectrum),
            "shifts": {name: one.tolist() for name, one in spectrum.shifts.items()},
            "prior": prior.counts.tolist(),
            "truth": None if truth is None else truth.counts.tolist(),
            "truth_is_known": spectrum.observable in self.known,
            "detector": self.detector(spectrum),
        }
        if truth is None:
            return content
        if binning != METRIC:
            return {**content, "closure": comparison.closure(spectrum, found, truth)}
        chance = self._chance(spectrum.observable, "spectra")
        changes = comparison.moved(spectrum, found, number or self.number, chance)
        return {
            **content,
            "triangular": comparison.discriminators(spectrum, changes, truth, prior),
            "moments": _moments(spectrum, found, truth, prior),
        }

    def by_iteration(
        self, spectrum: Spectrum, found: Replicas, counts: Array | None
    ) -> list[dict[str, float]] | None:
        """Discriminator to the truth after each iteration, of counts (iterations, bins).

        The fluctuations behind the errors are those of the last iteration. None without a truth,
        or where the counts were not kept.
        """
        number = _replicas(found, DATA)
        truth = self.truth(spectrum, number)
        if counts is None or truth is None:
            return None
        prior = self._paired_prior(spectrum, found)
        chance = self._chance(spectrum.observable, "spectra")
        changes = comparison.moved(spectrum, found, number or self.number, chance)
        return [
            comparison.discriminators(replace(spectrum, counts=one), changes, truth, prior)[
                "method"
            ]
            for one in counts
        ]

    def detector(self, spectrum: Spectrum) -> dict[str, Any]:
        """Detector level: data less background, simulation, and the refolded result.

        The errors are those of data, background and simulated events. The refolded result was made
        of these data: its chi-squared tells what does not fit, and is no test of the truth.
        """
        name, edges = spectrum.observable, spectrum.edges
        simulation = self.problem.simulation
        data, variance = refolding.measured(self.problem.data, self.problem.background, name, edges)
        before, before_variance = refolding.simulated(simulation, name, edges)
        factor = None if self.unfolded is None else _reweighting(self.unfolded, simulation, name)
        if factor is not None:
            how = "weights"
            after, after_variance = refolding.by_weights(simulation, name, edges, factor)
        else:
            how = "response"
            everything = np.concatenate(
                [[spectrum.outside[0]], spectrum.counts, [spectrum.outside[1]]]
            )
            after = refolding.through_response(simulation, name, edges, everything)
            after_variance = np.zeros_like(after)
        chance = self._chance(name, "detector")
        draws = chance.normal(size=(2, self.number, len(data)))
        drawn = data + draws[0] * np.sqrt(variance)
        return {
            "data": data.tolist(),
            "data_deviation": np.sqrt(variance).tolist(),
            "simulation": before.tolist(),
            "simulation_deviation": np.sqrt(before_variance).tolist(),
            "refolded": after.tolist(),
            "refolded_deviation": np.sqrt(after_variance).tolist(),
            "how": how,
            **{
                what: {
                    "triangular": _triangular(
                        counts, counts + draws[1] * np.sqrt(error), data, drawn, edges
                    ),
                    "chi_squared": _detector_chi_squared(counts - data, variance + error, data),
                }
                for what, counts, error in (
                    ("of_refolded", after, after_variance),
                    ("of_simulation", before, before_variance),
                )
            },
        }

    def _binned(
        self,
        events: Simulation,
        spectrum: Spectrum,
        factor: Callable[[int], Array],
        number: int,
    ) -> Reference:
        passed = events.gen.passed
        cells = Cells((spectrum.edges,))
        column = events.names.index(spectrum.observable)
        place = cells.numbers(events.gen.values[passed][:, [column]])
        weight = events.weight[passed]
        counts = cells.inner(sums(place, weight, cells.size))
        if number < 2:
            return Reference(counts)
        drawn = [
            cells.inner(sums(place, weight * self._small(factor, k)[passed], cells.size))
            for k in range(number)
        ]
        return Reference(counts, np.stack(drawn))

    def _small(self, factor: Callable[[int], Array], k: int) -> npt.NDArray[np.uint8]:
        """Factors of a replica, which are whole numbers; drawn once for all observables."""
        key = (factor.__name__, k)
        if key not in self._drawn:
            self._drawn[key] = factor(k).astype(np.uint8)
        return self._drawn[key]

    def _chance(self, observable: str, what: str) -> np.random.Generator:
        # Without the name of the method: the same numbers for all of them.
        return stream(self.seed, "unfolding", self.measurement, "evaluate", observable, what)


def _reweighting(unfolded: Unfolded, simulation: Simulation, observable: str) -> Array | None:
    """Factor of each simulated event at particle level; None where these are other events."""
    passed = simulation.gen.passed
    weight = simulation.weight[passed]
    if not np.array_equal(unfolded.ids, simulation.ids[passed]):
        return None
    # A method that unfolds each observable by itself has weights for each.
    own = f"{NOMINAL}@{observable}"
    nominal = unfolded.weights[own if own in unfolded.weights else NOMINAL]
    return np.divide(nominal, weight, out=np.zeros_like(weight), where=weight > 0)


def _replicas(found: Replicas, source: str) -> int:
    """Number of the replicas of a source; a single one is none, for it has no spread."""
    own = found.get(source)
    return 0 if own is None or len(own) < 2 else len(own)


def _deviation(covariance: Array) -> list[float]:
    found: list[float] = np.sqrt(np.clip(np.diag(covariance), 0.0, None)).tolist()
    return found


def _systematic(spectrum: Spectrum) -> list[float]:
    """Standard deviation of each bin of all shifts together."""
    found = shift_covariances(spectrum.shifts)
    return _deviation(np.sum([np.zeros((len(spectrum.counts),) * 2), *found.values()], axis=0))


def _moments(
    spectrum: Spectrum, found: Replicas, truth: Reference, prior: Reference
) -> dict[str, Any]:
    parts, of = comparison.difference_covariance(spectrum, found, truth)
    mine = moments(spectrum.counts, spectrum.edges, comparison.summed(parts))
    alone = moments(spectrum.counts, spectrum.edges, total_covariance(spectrum))
    true = moments(truth.counts, spectrum.edges)
    before = moments(prior.counts, spectrum.edges)
    return {
        "covariance_of": of,
        **{
            name: {
                "value": getattr(mine, name),
                "deviation": getattr(alone, f"{name}_error"),
                "truth": getattr(true, name),
                "prior": getattr(before, name),
                "difference": getattr(mine, name) - getattr(true, name),
                "difference_deviation": getattr(mine, f"{name}_error"),
            }
            for name in ("mean", "width")
        },
    }


def _triangular(
    counts: Array, drawn_counts: Array, data: Array, drawn: Array, edges: Array
) -> dict[str, float] | None:
    if not (counts.sum() > 0 and data.sum() > 0):
        return None
    found = triangular.discriminator(np.clip(drawn_counts, 0, None), np.clip(drawn, 0, None), edges)
    value = triangular.discriminator(counts, np.clip(data, 0, None), edges)
    return {"value": float(value), "deviation": float(found.std(ddof=1))}


def _detector_chi_squared(difference: Array, variance: Array, data: Array) -> dict[str, Any] | None:
    starts = groups(np.clip(data, 0.0, None), len(data), LEAST_CONTENT)
    try:
        found = agreement(merged(difference, starts), np.diag(merged(variance, starts)))
    except InputError:
        return None
    return found.plain()

"""Performance and resilience of a tagger between two generators, against its parameter r.

At each r the network is best for another mixture of the two, with a part r of the second. What is
measured on each simulation: area under the ROC curve, accuracy, 1/eB, calibration. What tells of
resilience: a cut is set on the first generator, and its efficiencies on both are compared. What
tells of the uncertainty: the cut at the working point stays, and the score is that of another r.

All replicas of the bootstrap are those of events with all values of r, so that the deviation of a
difference between two r on the same jets is that of the difference.
"""

from collections.abc import Callable, Mapping, Sequence
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt

from fullchain.errors import InputError
from fullchain.learning import roc, split
from fullchain.learning.bootstrap import event_factors
from fullchain.learning.calibration import calibration_error
from fullchain.seeds import derive
from fullchain.tagging import between_scores, comparisons, score_files
from fullchain.tagging.evaluation_settings import EvaluationSettings
from fullchain.tagging.performance import Sample, effective_number, rejection
from fullchain.tagging.replicas import Replicas, relative_difference
from fullchain.tagging.scored_jets import ScoredJets
from fullchain.tagging.settings import TaggerSettings

Array = npt.NDArray[np.float64]
Weights = Callable[[ScoredJets], Array]

FIRST, SECOND = "first", "second"
"""Names of the two generators among the simulations."""


def score_columns(tagger: TaggerSettings, how: EvaluationSettings) -> list[str]:
    """Columns of scores that are read; none for a tagger of one generator."""
    if tagger.between is None:
        return []
    own = _own(tagger)
    return [name for r in how.interpolation for name in between_scores.columns(own, r)]


def measure(
    sets: Mapping[str, ScoredJets],
    samples: Mapping[str, Mapping[str, str]],
    tagger: TaggerSettings,
    how: EvaluationSettings,
    working_point: float,
    as_trained: Weights,
    seed: int,
) -> dict[str, Any]:
    """Measure at the values of r in `how.interpolation` and at the working point, for JSON.

    Parameters
    ----------
    sets
        Jets of `first` and `second` in all parts, and of other simulations in the parts that were
        not trained on, each with the columns of `score_columns`.
    samples
        The samples of each of these, by name of those of the classes.
    working_point
        The r that the score itself is for.
    as_trained
        Gives the weights of training of some jets, (jets,).
    seed
        Seed of the bootstrap.

    Raises
    ------
    InputError
        A class has no jets in a simulation, or no replica of the bootstrap has both.
    """
    grid = sorted({*how.interpolation, working_point})
    simulations = {
        name: _Simulation(_measured(jets, name, tagger), tagger, grid, how, derive(seed, name))
        for name, jets in sets.items()
    }
    first, second = simulations[FIRST], simulations[SECOND]
    at = grid.index(working_point)
    cuts = first.thresholds
    return {
        "samples": {name: dict(samples[name]) for name in sets},
        "r": grid,
        "working_point": working_point,
        "best": tagger.between is not None and tagger.between.working_point == "best",
        "rule": _rule(
            {name: sets[name] for name in (FIRST, SECOND)}, tagger, how, as_trained, seed
        ),
        "simulations": {
            name: {
                "jets": one.numbers,
                "points": one.points(as_trained),
                "variation": one.variation(cuts[at], at),
            }
            for name, one in simulations.items()
        },
        "resilience": _resilience(first.passing(cuts), second.passing(cuts), grid, how),
    }


def _own(tagger: TaggerSettings) -> list[str]:
    return [score_files.SCORE, *score_files.score_columns(tagger.class_names)]


def _chances(jets: ScoredJets, tagger: TaggerSettings, r: float) -> Array:
    """Probabilities (jets, classes) at `r`: those of the column where there is one."""
    names = between_scores.columns(_own(tagger), r)
    if names[0] not in jets.columns:
        return jets.probabilities
    names = names[1:] or names
    return score_files.class_probabilities(jets.columns, names, tagger.class_names)


def _measured(jets: ScoredJets, name: str, tagger: TaggerSettings) -> ScoredJets:
    """Jets that performance is measured on: the test part of what was trained on."""
    if tagger.folds > 1 or name not in (FIRST, SECOND):
        return jets
    return jets.where(jets.columns["split"] == split.TEST)


class _Simulation:
    """The jets of one simulation with their discriminants at all values of r."""

    def __init__(
        self,
        jets: ScoredJets,
        tagger: TaggerSettings,
        grid: Sequence[float],
        how: EvaluationSettings,
        seed: int,
    ) -> None:
        names = tagger.class_names
        others = list(range(1, len(names)))
        self.jets, self.grid, self.how, self.seed = jets, grid, how, seed
        self.chances = [_chances(jets, tagger, r) for r in grid]
        self.samples = [
            comparisons.sample(jets.with_probabilities(chances), 0, others, names)
            for chances in self.chances
        ]
        self.rows = [roc.Sorted(one.score, one.is_signal, one.weight) for one in self.samples]
        self.curves = [rows.curve() for rows in self.rows]
        counts = np.bincount(jets.target, minlength=len(names)).tolist()
        self.numbers = dict(zip(names, counts, strict=True))

    @property
    def sample(self) -> Sample:
        """The jets at any r: signal, weight and event do not depend on it."""
        return self.samples[0]

    @cached_property
    def thresholds(self) -> Array:
        """Cuts on the discriminant, shape (values of r, working points)."""
        points = self.how.working_points
        return np.array([[roc.threshold(curve, one) for one in points] for curve in self.curves])

    @cached_property
    def replicas(self) -> list[npt.NDArray[Any]]:
        """Factors on the weight of each jet in those replicas that hold both classes."""
        sample, found = self.sample, []
        events = int(sample.event.max()) + 1
        for factor in event_factors(sample.event, self.how.replicas, self.seed):
            weight = sample.weight * factor
            if weight[sample.is_signal].sum() > 0 and weight[~sample.is_signal].sum() > 0:
                found.append(factor)
        if len(found) < 2:
            raise InputError(
                f"{events} events are too few for an uncertainty of a tagger between two "
                "generators; make more"
            )
        return found

    @cached_property
    def receivers(self) -> tuple[Replicas, Replicas, Replicas]:
        """Area and accuracy (values of r,), and background efficiency (values of r, points)."""
        points = list(self.how.working_points)

        def numbers(curve: roc.RocCurve) -> list[float]:
            passing = roc.background_efficiency(curve, points).tolist()
            return [roc.area(curve), roc.accuracy(curve, 0.5), *passing]

        value = np.array([numbers(curve) for curve in self.curves])
        draws = np.array(
            [
                [numbers(rows.curve(factor[rows.order])) for rows in self.rows]
                for factor in self.replicas
            ]
        )
        parts = (0, 1, slice(2, None))
        area, accuracy, passing = (Replicas(value[:, k], draws[:, :, k]) for k in parts)
        return area, accuracy, passing

    def passing(self, cuts: Array) -> Replicas:
        """Efficiencies of cuts (values of r, points): shape (values of r, points, 2).

        The last dimension is that of signal and background.
        """
        sample = self.sample
        above = np.stack([one.score for one in self.samples])[:, None, :] >= cuts[:, :, None]

        def parts(weight: Array) -> Array:
            sides = [np.where(side, weight, 0.0) for side in (sample.is_signal, ~sample.is_signal)]
            return np.stack([above @ side / side.sum() for side in sides], axis=-1)

        draws = [parts(sample.weight * factor) for factor in self.replicas]
        return Replicas(parts(sample.weight), np.array(draws))

    def points(self, as_trained: Weights) -> list[dict[str, Any]]:
        """Performance at each r."""
        area, accuracy, passing = self.receivers
        sample, trained = self.sample, as_trained(self.jets)
        background = effective_number(sample.weight[~sample.is_signal])
        return [
            {
                "r": r,
                "auc": area[index].number(),
                "accuracy": accuracy[index].number(),
                "calibration_error": self._calibration(self.chances[index], trained),
                "working_points": [
                    {
                        "signal_efficiency": point,
                        "rejection": rejection(passing[index, place].interval(), background),
                    }
                    for place, point in enumerate(self.how.working_points)
                ],
            }
            for index, r in enumerate(self.grid)
        ]

    def _calibration(self, chances: Array, weight: Array) -> dict[str, float]:
        found = calibration_error(
            chances,
            self.jets.target,
            weight,
            self.jets.event,
            bins=self.how.calibration_bins,
            replicas=self.how.replicas,
            seed=self.seed,
        )
        error = found.error
        return {
            "value": error.value,
            "deviation": error.deviation,
            "if_perfect": found.if_perfect,
        }

    def variation(self, cut: Array, at: int) -> dict[str, Any]:
        """What changes with r: the area, and the efficiencies of the cut of the working point.

        `cut` (points,) is the cut on the score at index `at`. Changes of the area are differences,
        those of efficiencies are relative. The uncertainty of a choice of r is half of what lies
        between the largest and the smallest value of all r.
        """
        area, _, _ = self.receivers
        change = area.less(at)
        passing = self.passing(np.tile(cut, (len(self.grid), 1))).over(at)
        best = Replicas(
            np.asarray(self.grid)[area.value.argmax(axis=0)],
            np.asarray(self.grid)[area.draws.argmax(axis=1)],
        )
        return {
            "best_r": best.number(),
            "auc": {"values": change.numbers(), "uncertainty": change.half_range().number()},
            "working_points": [
                {
                    "signal_efficiency": point,
                    "threshold": float(cut[place]),
                    **{
                        side: {
                            "values": passing[:, place, row].numbers(),
                            "uncertainty": passing[:, place, row].half_range().number(),
                        }
                        for row, side in enumerate(("signal", "background"))
                    },
                }
                for place, point in enumerate(self.how.working_points)
            ],
        }


def _resilience(
    first: Replicas, second: Replicas, grid: Sequence[float], how: EvaluationSettings
) -> list[dict[str, Any]]:
    """Efficiencies on the second generator less those on the first, over their mean, at equal cuts.

    The cut at each r is that on the first generator.
    """
    found = relative_difference(first, second)
    return [
        {
            "r": r,
            "working_points": [
                {
                    "signal_efficiency": point,
                    "signal": found[index, place, 0].number(),
                    "background": found[index, place, 1].number(),
                }
                for place, point in enumerate(how.working_points)
            ],
        }
        for index, r in enumerate(grid)
    ]


def _rule(
    both: Mapping[str, ScoredJets],
    tagger: TaggerSettings,
    how: EvaluationSettings,
    as_trained: Weights,
    seed: int,
) -> dict[str, Any]:
    """Mean cross entropies on the validation parts, and the r that `least_regret` chooses."""
    nominal, draws = [], []
    for name, every in both.items():
        jets = every.where(every.columns["split"] == split.VALIDATION)
        losses = np.stack(
            [
                between_scores.cross_entropy(_chances(jets, tagger, r), jets.target)
                for r in how.interpolation
            ]
        )
        weight = as_trained(jets)
        factors = event_factors(jets.event, how.replicas, derive(seed, name), "rule")
        nominal.append(np.average(losses, axis=1, weights=weight))
        draws.append([_mean(losses, weight * factor) for factor in factors])
    chosen = [
        between_scores.least_regret(how.interpolation, one, other)
        for one, other in zip(*draws, strict=True)
        if np.isfinite(one).all() and np.isfinite(other).all()
    ]
    return {
        "text": between_scores.RULE,
        "value": between_scores.least_regret(how.interpolation, *nominal),
        "deviation": float(np.std(chosen, ddof=1)) if len(chosen) > 1 else None,
        "r": list(how.interpolation),
        "loss": {name: loss.tolist() for name, loss in zip(both, nominal, strict=True)},
    }


def _mean(losses: Array, weight: Array) -> Array:
    total = weight.sum()
    return losses @ weight / total if total > 0 else np.full(len(losses), np.nan)

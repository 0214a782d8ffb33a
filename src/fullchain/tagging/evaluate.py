"""Measure a tagger: ROC, rejection, accuracy, calibration, robustness, with uncertainties.

On the test part or, where the tagger has folds, on all jets, each with the score of the training
that did not see it.
"""

import json
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import numpy.typing as npt

from fullchain.atomic import write_text
from fullchain.errors import InputError
from fullchain.learning import roc, split
from fullchain.learning.calibration import calibration_error, fit_temperature, probabilities
from fullchain.seeds import derive
from fullchain.step import Given, Input, Option, Output
from fullchain.tagging import (
    between_performance,
    comparisons,
    dependence,
    posterior_measures,
    score_files,
    scored_jets,
    selection,
)
from fullchain.tagging.evaluation_settings import EvaluationSettings
from fullchain.tagging.performance import (
    Sample,
    calibration,
    receiver,
    score_histogram,
    tau32_score,
)
from fullchain.tagging.posterior_columns import extra_columns
from fullchain.tagging.reweighting import tagger_weights
from fullchain.tagging.scored_jets import Files, ScoredJets
from fullchain.tagging.selection_settings import SelectionSettings
from fullchain.tagging.settings import TaggerSettings

SMALLEST = 1e-7
"""Least probability: single precision holds no difference from one below."""

READ = ("tau32", "msoftdrop")


def main(
    *,
    jets: Annotated[list[Path], Input("files of jets of all samples: Parquet, ROOT")],
    samples: Annotated[list[str], Option("name of the sample of each of these files, in order")],
    scores: Annotated[list[Path], Input("one file of scores for each sample, in their order")],
    tagger: Annotated[str, Option("name of the tagger in tagging.taggers")],
    performance: Annotated[Path, Output("curves, histograms and numbers, JSON")],
    settings: Given,
) -> None:
    """Read jets with their scores, measure, write the numbers."""
    chosen = settings.model(f"tagging.taggers.{tagger}", TaggerSettings)
    how = settings.model("tagging.evaluation", EvaluationSettings)
    trained = chosen.selection or settings.model("tagging.selection", SelectionSettings)
    window = selection.of_measurement(how.selection, trained)
    files = scored_jets.grouped(jets, samples, scores)
    measurement = _Measurement(files, chosen, how, window, settings.seed)
    content = {
        "tagger": tagger,
        "architecture": chosen.architecture.model_dump(mode="json"),
        "classes": {
            name: {
                "samples": list(chosen.classes[name].samples),
                "labels": list(chosen.classes[name].labels),
            }
            for name in chosen.class_names
        },
        "folds": chosen.folds,
        "selection": window.model_dump(mode="json"),
        **measurement.everything(),
    }
    write_text(performance, json.dumps(content, indent=1, allow_nan=False) + "\n")


class _Measurement:
    """All that is measured of one tagger."""

    def __init__(
        self,
        files: Files,
        tagger: TaggerSettings,
        how: EvaluationSettings,
        window: SelectionSettings,
        seed: int,
    ) -> None:
        self.files, self.tagger, self.how, self.window = files, tagger, how, window
        self.names = tagger.class_names
        self.others = list(range(1, len(self.names)))
        # The same replicas for every tagger, so that differences between taggers are not blurred.
        self.seed = derive(seed, "tagging", "evaluate")
        bins = [name.removeprefix("abs_") for name in how.bins]
        self.columns = list(dict.fromkeys((*READ, *tagger.reweighting.variables, *bins)))
        self.grid = between_performance.score_columns(tagger, how)
        extra = extra_columns(self.names, tagger.seeds) if tagger.bayesian else {}
        self.jets = scored_jets.read(
            files, tagger, window, self.columns, scores=[*self.grid, *extra]
        )
        parts = self.jets.columns["split"]
        everything = np.ones(len(self.jets), dtype=bool)
        self.test = self.jets.where(parts == split.TEST if tagger.folds == 1 else everything)
        self.sample = comparisons.sample(self.test, 0, self.others, self.names)

    def everything(self) -> dict[str, Any]:
        main = comparisons.compare(self.test, 0, self.others, self.names, self.how, self.seed)
        thresholds = {
            point["signal_efficiency"]: point["threshold"] for point in main["working_points"]
        }
        result = {
            "jets": dict(zip(self.names, np.bincount(self.test.target).tolist(), strict=True)),
            **main,
            "auc_train": self._auc_of_training(),
            "comparisons": self._pairs(),
            "scores": self._histograms(),
            **self._calibrations(),
            "dependence": self._dependence(thresholds),
            "alternatives": self._alternatives(thresholds),
            "baseline": self._baseline(),
        }
        if self.tagger.bayesian:
            result["posterior"] = posterior_measures.measure(
                self.test,
                self._as_trained(self.test),
                self.names,
                self.tagger.seeds,
                self.how,
                self.seed,
            )
        if self.tagger.between is not None:
            result["between"] = self._between()
        for point in result["working_points"]:
            # A cut is made on the score, not on the discriminant against the others.
            point["threshold"] = comparisons.score_of(point["threshold"], len(self.names))
        if len(self.names) > 2:
            result["class_accuracy"] = comparisons.class_accuracy(
                self.test, self.names, self.how.replicas, self.seed
            )
        return result

    def _part(self, name: str) -> ScoredJets:
        return self.jets.where(self.jets.columns["split"] == name)

    def _auc_of_training(self) -> float | None:
        if self.tagger.folds > 1:
            return None
        training = comparisons.sample(self._part(split.TRAIN), 0, self.others, self.names)
        return roc.area(roc.roc_curve(training.score, training.is_signal, training.weight))

    def _pairs(self) -> dict[str, Any]:
        """Pairs of classes; of two classes the only pair is what is measured anyway."""
        wanted = self.how.pairs
        if wanted is None:
            wanted = tuple((self.names[0], name) for name in self.names[1:])
        pairs = [
            tuple(self.names.index(name) for name in pair)
            for pair in wanted
            if set(pair) <= set(self.names)
        ]
        return {
            f"{self.names[one]}_vs_{self.names[other]}": comparisons.compare(
                self.test, one, [other], self.names, self.how, self.seed
            )
            for one, other in pairs
            if len(self.names) > 2 or (one, other) != (0, 1)
        }

    def _histograms(self) -> dict[str, Any]:
        """Scores of each class, in the training part (unless there are folds) and the test part."""
        bins = self.how.score_bins
        found: dict[str, Any] = {"edges": np.linspace(0.0, 1.0, bins + 1).tolist()}
        parts = {"test": self.test}
        if self.tagger.folds == 1:
            parts = {"train": self._part(split.TRAIN), **parts}
        for part, jets in parts.items():
            for number, name in enumerate(self.names):
                mine = jets.target == number
                found[f"{name}_{part}"] = score_histogram(
                    jets.probabilities[mine, 0], jets.columns["weight"][mine], bins
                )
        return found

    def _calibrations(self) -> dict[str, Any]:
        """Calibration of the score, and of all probabilities before and after temperature scaling.

        The temperature is that of the validation part, the errors are those of the test part.
        """
        validation, test = self._part(split.VALIDATION), self._part(split.TEST)
        found = fit_temperature(
            logits(validation.probabilities), validation.target, self._as_trained(validation)
        )
        scaled = probabilities(logits(test.probabilities), found.value)
        return {
            "calibration": self._calibration(self.test),
            "temperature": {
                **asdict(found),
                "before": self._calibration_error(test, probabilities(logits(test.probabilities))),
                "after": self._calibration_error(test, scaled),
                "calibration": self._calibration(test.with_probabilities(scaled)),
            },
        }

    def _calibration_error(
        self, jets: ScoredJets, chances: npt.NDArray[np.float64]
    ) -> dict[str, float]:
        found = calibration_error(
            chances,
            jets.target,
            self._as_trained(jets),
            jets.event,
            bins=self.how.calibration_bins,
            replicas=self.how.replicas,
            seed=self.seed,
        )
        return {
            "value": found.error.value,
            "deviation": found.error.deviation,
            "if_perfect": found.if_perfect,
        }

    def _calibration(self, jets: ScoredJets) -> dict[str, Any]:
        """Calibration with the weights of training, under which a score is a probability."""
        score = comparisons.discriminant(jets.probabilities, 0, self.others)
        sample = Sample(score, jets.target == 0, self._as_trained(jets), jets.event)
        return calibration(sample, self.how.calibration_bins, self.how.replicas, self.seed)

    def _as_trained(self, jets: ScoredJets) -> npt.NDArray[np.float64]:
        return as_trained({**jets.columns, "target": jets.target}, self.tagger)

    def _dependence(self, thresholds: Mapping[float, float]) -> dict[str, Any]:
        columns = {
            name: np.abs(self.test.columns[name.removeprefix("abs_")])
            if name.startswith("abs_")
            else self.test.columns[name]
            for name in self.how.bins
        }
        return dependence.efficiencies(self.sample, columns, self.how.bins, thresholds)

    def _alternatives(self, thresholds: Mapping[float, float]) -> dict[str, Any]:
        """The same cuts on other simulations, and the differences from the nominal one."""
        found = {}
        for name, stand_ins in self.how.alternatives.items():
            if not set(stand_ins) & set(self.tagger.samples):
                continue
            jets = scored_jets.read(
                self.files,
                self.tagger,
                self.window,
                self.columns,
                stand_ins=stand_ins,
                splits=[split.TEST] if self.tagger.folds == 1 else None,
            )
            other = comparisons.sample(jets, 0, self.others, self.names)
            points = []
            for point, threshold in thresholds.items():
                here, there = (
                    comparisons.fixed_cut(one, threshold, self.how.replicas, derive(self.seed, key))
                    for one, key in ((self.sample, "nominal"), (other, name))
                )
                points.append(
                    {
                        "working_point": point,
                        **there,
                        "difference": {
                            key: comparisons.difference(there[key], here[key]) for key in there
                        },
                    }
                )
            found[name] = {
                "samples": {s: t for s, t in stand_ins.items() if s in self.tagger.samples},
                "jets": dict(zip(self.names, np.bincount(jets.target).tolist(), strict=True)),
                "working_points": points,
            }
        return found

    def _between(self) -> dict[str, Any]:
        """Measure the tagger from one generator to the other, see `between_performance`."""
        assert self.tagger.between is not None
        second = self.tagger.between.samples
        own = {
            name: {old: new for old, new in stand_ins.items() if old in self.tagger.samples}
            for name, stand_ins in self.how.alternatives.items()
        }
        # An alternative that is the second generator would be measured twice.
        others = {name: found for name, found in own.items() if found not in ({}, second)}
        sets = {"second": second, **others}
        read = {
            name: scored_jets.read(
                self.files,
                self.tagger,
                self.window,
                self.columns,
                scores=self.grid,
                stand_ins=stand_ins,
                # Of the second generator the validation part is needed, too.
                splits=None if name == "second" or self.tagger.folds > 1 else [split.TEST],
            )
            for name, stand_ins in sets.items()
        }
        points = {score_files.working_point(scores) for _, scores in self.files.values()}
        if len(points) > 1:
            raise InputError(
                f"the scores are for different working points {sorted(points)}; predict again"
            )
        return between_performance.measure(
            {"first": self.jets, **read},
            {"first": {name: name for name in self.tagger.samples}, **sets},
            self.tagger,
            self.how,
            points.pop(),
            self._as_trained,
            self.seed,
        )

    def _baseline(self) -> dict[str, Any] | None:
        """The cut on substructure; None where jets straight from ROOT files do not tell it."""
        baseline, jets = self.how.baseline, self.test
        if any(np.isnan(jets.columns[name]).all() for name in READ):
            return None
        low, high = baseline.msoftdrop_min, baseline.msoftdrop_max
        score = tau32_score(jets.columns["tau32"], jets.columns["msoftdrop"], low, high)
        cut = Sample(score, self.sample.is_signal, self.sample.weight, self.sample.event)
        return {
            "name": "tau32",
            "window": [low, high],
            **receiver(
                cut,
                cut=2.0 - baseline.tau32_max,
                working_points=self.how.working_points,
                replicas=self.how.replicas,
                seed=self.seed,
            ),
        }


def logits(probabilities: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """Logits of probabilities (jets, classes), as far as single precision tells them apart."""
    return np.asarray(np.log(np.clip(probabilities, SMALLEST, None)))


def as_trained(
    columns: Mapping[str, npt.NDArray[Any]], tagger: TaggerSettings
) -> npt.NDArray[np.float64]:
    """Weights of training for jets with `target`, `weight` and the columns of reweighting.

    Raises InputError where those of a class do not sum to a positive number.
    """
    try:
        return tagger_weights(columns, tagger)
    except ValueError as problem:
        raise InputError(
            f"jets with the weights of training: {problem}; make more events, or take fewer "
            "tagging.taggers.*.reweighting.bins or other variables"
        ) from None

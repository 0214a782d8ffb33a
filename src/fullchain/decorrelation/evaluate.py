"""Measure a decorrelated classifier: rejection, sculpting of the background, use in a mass fit.

On the test part or, where the tagger has folds, on all jets, inside the selection of the tagger.
The same measurement of the scores of the tagger itself is the unconstrained reference.
"""

import json
import sys
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import numpy.typing as npt

from fullchain.atomic import write_text
from fullchain.decorrelation import (
    expected_yields,
    measured_jets,
    sculpting,
    signal_strength,
    spectra,
    spurious_signal,
)
from fullchain.decorrelation.evaluation_settings import EvaluationSettings, MassFitSettings
from fullchain.decorrelation.settings import (
    Classifiers,
    base_tagger,
    classifiers_of,
    seeds_of,
    variants,
)
from fullchain.errors import InputError
from fullchain.learning import roc
from fullchain.seeds import derive
from fullchain.step import Given, Input, Option, Output
from fullchain.tagging import comparisons, dependence, scored_jets
from fullchain.tagging.performance import Sample, receiver
from fullchain.tagging.scored_jets import Files
from fullchain.tagging.selection_settings import SelectionSettings
from fullchain.tagging.settings import TaggerSettings

Array = npt.NDArray[np.float64]


def main(
    *,
    jets: Annotated[list[Path], Input("files of jets of all samples: Parquet, ROOT")],
    samples: Annotated[list[str], Option("name of the sample of each of these files, in order")],
    scores: Annotated[list[Path], Input("one file of scores for each sample, in their order")],
    manifests: Annotated[
        list[Path], Input("manifests of the samples, for cross sections; none without a mass fit")
    ] = [],  # noqa: B006 - the command line makes a new list of it
    tagger: Annotated[str, Option("name of the tagger in tagging.taggers")],
    classifier: Annotated[
        str, Option("name in decorrelation.classifiers; empty for the tagger itself")
    ] = "",
    variant: Annotated[
        str, Option("name of the classifier with its strength; empty for the tagger itself")
    ] = "",
    performance: Annotated[Path, Output("curves, histograms and numbers, JSON")],
    settings: Given,
) -> None:
    """Read jets with their scores, measure, write the numbers."""
    chosen = settings.model(f"tagging.taggers.{tagger}", TaggerSettings)
    how = settings.model("decorrelation.evaluation", EvaluationSettings)
    selection = chosen.selection or settings.model("tagging.selection", SelectionSettings)
    about: dict[str, Any] = dict.fromkeys(("classifier", "source", "method", "strength"))
    about["name"] = tagger
    if classifier:
        classifiers = classifiers_of(settings["decorrelation.classifiers"])
        about = _described(classifier, variant, classifiers, tagger)
        seeds = seeds_of(classifiers, classifier) or chosen.seeds
        chosen = chosen.model_copy(update={"seeds": seeds})
    measurement = _Measurement(
        scored_jets.grouped(jets, samples, scores),
        manifests,
        chosen,
        how,
        selection,
        tuple(settings["decorrelation.against"]),
        settings.seed,
    )
    content = {
        **about,
        "tagger": tagger,
        "classes": {
            name: {
                "samples": list(chosen.classes[name].samples),
                "labels": list(chosen.classes[name].labels),
            }
            for name in chosen.class_names
        },
        "folds": chosen.folds,
        "selection": selection.model_dump(mode="json"),
        "signal_efficiency": how.signal_efficiency,
        "mass_bins": how.mass_bins,
        **measurement.everything(),
    }
    _warn(about["name"], content["mass_fit"])
    write_text(performance, json.dumps(content, indent=1, allow_nan=False) + "\n")


def _warn(name: str, fit: dict[str, Any] | None) -> None:
    """Tell on stderr of working points whose fit is quoted without describing the background."""
    for entry in fit["points"] if fit else ():
        problem = spurious_signal.complaint(entry)
        if problem:
            print(
                f"warning: {name}, mass fit at {100 * entry['signal_efficiency']:g} % signal: "
                f"{problem}; its uncertainty of the signal strength leaves that out. Raise "
                "decorrelation.evaluation.mass_fit.largest_order (and order, where it is given), "
                "or quote `total`",
                file=sys.stderr,
            )


def _described(
    classifier: str, variant: str, classifiers: Classifiers, tagger: str
) -> dict[str, Any]:
    """What a variant is. Raises InputError where the classifier has none of that name."""
    own, base = classifiers[classifier], base_tagger(classifiers, classifier)
    known = {one.name: one for one in variants(classifier, own.method)}
    if variant not in known or base != tagger:
        raise InputError(
            f"decorrelation.classifiers.{classifier} is of the tagger {base} and has the "
            f"variants {', '.join(known)}; there is no {variant!r} of the tagger {tagger}"
        )
    return {
        "name": variant,
        "classifier": classifier,
        "source": own.tagger if own.tagger != base else None,
        "method": own.method.model_dump(mode="json", exclude={"strengths"}),
        "strength": known[variant].strength,
    }


class _Measurement:
    """All that is measured of one classifier."""

    def __init__(
        self,
        files: Files,
        manifests: list[Path],
        tagger: TaggerSettings,
        how: EvaluationSettings,
        selection: SelectionSettings,
        against: tuple[str, ...],
        seed: int,
    ) -> None:
        self.tagger, self.how, self.against = tagger, how, against
        self.window, self.manifests = selection.ranges, manifests
        # The same replicas for every classifier, so that differences are not blurred.
        self.seed = derive(seed, "decorrelation", "evaluate")
        self.jets = measured_jets.read(files, tagger, selection, against)
        self.chosen = measured_jets.measured(self.jets, tagger.folds)
        self.test = self.jets.where(self.chosen)
        measured_jets.check_measured(self.test, tagger, selection)
        self.sample = self._sample(None)
        self.singles = [self._sample(number) for number in range(len(self.test.single))]
        self.columns = {name: np.asarray(self.test.columns[name], dtype=float) for name in against}
        background = {name: values[~self.sample.is_signal] for name, values in self.columns.items()}
        self.windows = spectra.windows(background, selection.ranges)

    def _sample(self, seed: int | None) -> Sample:
        names = self.tagger.class_names
        return comparisons.sample(self.test, 0, range(1, len(names)), names, seed=seed)

    def everything(self) -> dict[str, Any]:
        how, names = self.how, self.tagger.class_names
        curves = receiver(
            self.sample,
            working_points=how.points,
            cut=0.5,
            replicas=how.replicas,
            seed=self.seed,
        )
        thresholds = {
            point["signal_efficiency"]: point["threshold"] for point in curves["working_points"]
        }
        return {
            "jets": dict(zip(names, np.bincount(self.test.target).tolist(), strict=True)),
            "signal": names[0],
            "background": list(names[1:]),
            "against": list(self.against),
            "window": {name: list(ends) for name, ends in self.window.items()},
            **curves,
            "log_base": 2,
            "sculpting": sculpting.measure(
                self.sample,
                self.columns,
                self.windows,
                how.points,
                fine=how.mass_bins,
                coarse=how.efficiency_bins,
                replicas=how.replicas,
                random_cuts=how.random_cuts,
                seed=self.seed,
            ),
            "shapes": {
                name: spectra.shapes(
                    self.sample, values, self.windows[name], how.shape_bins, how.points
                )
                for name, values in self.columns.items()
            },
            "dependence": dependence.efficiencies(
                self.sample, self.columns, self._edges(), thresholds
            ),
            "seeds": self._seeds(),
            "mass_fit": None if how.mass_fit is None else self._mass_fit(how.mass_fit),
        }

    def _edges(self) -> dict[str, list[float]]:
        """Bins of equal occupancy of each column, in which the efficiency of a cut is given."""
        parts = np.linspace(0.0, 1.0, self.how.efficiency_bins + 1)
        found = {}
        for name, values in self.columns.items():
            inner = np.quantile(values[~self.sample.is_signal], parts)[1:-1]
            low, high = self.windows[name]
            # The largest value belongs to the last bin, whose upper edge is not of it.
            found[name] = np.unique([low, *inner, np.nextafter(high, np.inf)]).tolist()
        return found

    def _seeds(self) -> dict[str, Any] | None:
        """Rejection and divergence of single trainings; None where there is one."""
        if not self.singles:
            return None
        points = self.how.points
        rejections, divergences = [], []
        for single in self.singles:
            curve = roc.roc_curve(single.score, single.is_signal, single.weight)
            passing = roc.background_efficiency(curve, points)
            rejections.append(1.0 / np.where(passing > 0, passing, np.nan))
            divergences.append(
                sculpting.divergences(
                    single, self.columns, self.windows, points, fine=self.how.mass_bins
                )
            )
        return {
            "number": len(self.singles),
            "rejection": _over_seeds(np.array(rejections), points),
            "jsd": {
                name: _over_seeds(np.array([one[name] for one in divergences]), points)
                for name in self.columns
            },
        }

    def _mass_fit(self, how: MassFitSettings) -> dict[str, Any]:
        names, mass = self.tagger.class_names, self.against[0]
        if how.expected is not None:
            expected = expected_yields.from_numbers(
                self.test.columns["weight"], self.test.target, names, how.expected
            )
        else:
            # Only here, for it reads ROOT files, too.
            from fullchain.inference.template_file import read_manifests

            expected = expected_yields.from_cross_sections(
                self.jets,
                self.chosen,
                self.tagger.samples,
                read_manifests(self.manifests, list(self.tagger.samples)),
                how.luminosity,
            )
        return {
            "mass": mass,
            **signal_strength.measure(
                self.sample,
                self.singles,
                expected,
                self.columns[mass],
                self.windows[mass],
                self.how.points,
                how,
                self.seed,
            ),
        }


def _over_seeds(values: Array, points: tuple[float, ...]) -> list[dict[str, Any]]:
    """Values of the single trainings (seeds, points), their mean and standard deviation.

    None where a training has none at a working point.
    """
    rows = []
    for k, point in enumerate(points):
        mine = values[:, k]
        known = bool(np.isfinite(mine).all() and (mine > 0).all())
        rows.append(
            {
                "signal_efficiency": point,
                "values": mine.tolist() if known else None,
                "mean": float(mine.mean()) if known else None,
                "deviation": float(mine.std(ddof=1)) if known else None,
            }
        )
    return rows

"""Drop and smear the constituents of jets, and measure what becomes of the score.

The jets are nominal ones of the test part (with folds: of all parts, each with the score of the
trainings that did not see it), inside the window of the measurement before any change. After it,
momentum and observables of a jet are those of the changed constituents. A jet that is left with
nothing to look at has the score zero.
"""

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import numpy.typing as npt

from fullchain.atomic import write_text
from fullchain.errors import InputError
from fullchain.jets import chance
from fullchain.jets.settings import SubstructureSettings
from fullchain.learning import device, roc, split
from fullchain.progress import progress
from fullchain.seeds import derive
from fullchain.step import Given, Input, Option, Output
from fullchain.tagging import (
    comparisons,
    ensemble,
    jets_reading,
    members,
    perturbation,
    recomputed,
    robustness,
    selection,
)
from fullchain.tagging.evaluation_settings import EvaluationSettings
from fullchain.tagging.jets_reading import FULL, IDENTITY, Scalars
from fullchain.tagging.model_file import Trained, read_models, scored_with
from fullchain.tagging.robustness import Case, Compared
from fullchain.tagging.robustness_settings import RobustnessSettings
from fullchain.tagging.selection_settings import SelectionSettings
from fullchain.tagging.settings import SplitSettings
from fullchain.tagging.views import view_of

Array = npt.NDArray[Any]


def main(
    *,
    jets: Annotated[list[Path], Input("Parquet files of jets of all samples of the tagger")],
    samples: Annotated[list[str], Option("name of the sample of each of these files, in order")],
    models: Annotated[list[Path], Input("model.pt of each training of the tagger")],
    tagger: Annotated[str, Option("name of the tagger in tagging.taggers")],
    robustness: Annotated[Path, Output("areas and efficiencies for each change, JSON")],
    settings: Given,
) -> None:
    """Read jets, change them, score them, write the differences."""
    trained = read_models(models)
    study = _Study(trained, jets, samples, settings)
    content = {"tagger": tagger, **study.everything()}
    write_text(robustness, json.dumps(content, indent=1, allow_nan=False) + "\n")


@dataclass(frozen=True)
class _Chosen:
    """The jets of the study: columns (jets,), constituents with the fields of `FULL`."""

    scalars: Scalars
    constituents: npt.NDArray[np.float32]


class _Study:
    """One tagger, its jets, and what is done to them."""

    def __init__(
        self, trained: list[Trained], jets: list[Path], samples: list[str], settings: Given
    ) -> None:
        self.trained, self.tagger = trained, trained[0].settings
        self.files = _named(jets, samples, self.tagger.samples)
        self.settings = settings
        self.how = settings.model("tagging.robustness", RobustnessSettings)
        self.measured = settings.model("tagging.evaluation", EvaluationSettings)
        own = self.tagger.selection or settings.model("tagging.selection", SelectionSettings)
        self.window = selection.of_measurement(self.measured.selection, own)
        read = (*selection.COLUMNS, *self.window.ranges, *IDENTITY, "weight")
        self.columns = tuple(dict.fromkeys(read))
        self.fractions = settings.model("tagging.split", SplitSettings)
        self.radius = float(settings["jets.clustering.radius"])
        self.substructure = settings.model("jets.substructure", SubstructureSettings)
        self.view = view_of(self.tagger)
        kind, self.threads = scored_with(self.tagger, settings)
        self.place = device.choose(kind)
        self.names = self.tagger.class_names
        self.seed = derive(settings.seed, "tagging", "robustness")

    def everything(self) -> dict[str, Any]:
        """All numbers, for JSON."""
        jets = self._read()
        target = jets.scalars["target"]
        words, folds = jets.scalars["word"], self._folds(jets.scalars)
        random = perturbation.draws(words, jets.scalars["jet"], jets.constituents.shape[1])
        planned = self.how.perturbations
        left_out = {
            name: why
            for name, one in planned.items()
            if (why := perturbation.missing_knowledge(jets.constituents, one))
        }
        cases = [
            (name, strength)
            for name, one in planned.items()
            if name not in left_out
            for strength in one.strengths
        ]
        changed, lost = {}, {}
        with (
            device.repeatable(self.threads),
            progress("scores of changed jets", len(cases) + 1, "changes") as advance,
        ):
            nominal = self._score(jets.constituents, folds)
            if not np.isfinite(nominal).all():
                raise InputError(
                    f"{int((~np.isfinite(nominal)).sum())} jets have nothing that the tagger "
                    "looks at before any change; make the jets again"
                )
            advance(1)
            for name, strength in cases:
                particles = perturbation.perturbed(
                    jets.constituents, random, planned[name], strength
                )
                score = self._score(particles, folds)
                lost[name, strength] = int((~np.isfinite(score)).sum())
                changed[name, strength] = np.where(np.isfinite(score), score, 0.0)
                advance(1)
        found = self._compared(jets.scalars, nominal, changed)
        for case in found["cases"]:
            case["jets_lost"] = lost[case["perturbation"], case["strength"]]
        return {
            "signal": self.names[0],
            "jets": dict(zip(self.names, np.bincount(target).tolist(), strict=True)),
            "selection": self.window.model_dump(mode="json"),
            "perturbations": {
                name: one.model_dump(mode="json")
                for name, one in planned.items()
                if name not in left_out
            },
            "left_out": left_out,
            **found,
        }

    def _compared(
        self, scalars: Scalars, nominal: Array, changed: dict[Case, Array]
    ) -> dict[str, Any]:
        target = scalars["target"]
        others = range(1, len(self.names))
        comparisons.balanced(scalars["weight"], target, [0], self.names)
        weight = comparisons.balanced(scalars["weight"], target, others, self.names)
        event = roc.event_numbers(*(scalars[name] for name in ("sample", *IDENTITY[:3])))
        jets = Compared(target == 0, weight, event, nominal, changed)
        return robustness.compare(
            jets, self.measured.working_points, self.measured.replicas, self.seed
        )

    def _score(self, constituents: Array, folds: npt.NDArray[np.intp] | None) -> Array:
        """Discriminant of the signal against all others, (jets,); NaN with nothing to look at."""
        jets = recomputed.jets(
            constituents,
            self.view.columns,
            fields=self.view.fields,
            n_constituents=self.view.n_constituents,
            radius=self.radius,
            substructure=self.substructure,
        )
        found = ensemble.mean_probabilities(self.trained, self.view.arrays(jets), folds, self.place)
        exists = (constituents[..., 0] > 0).any(axis=1) & np.isfinite(found).all(axis=1)
        score = np.full(len(found), np.nan)
        score[exists] = comparisons.discriminant(found[exists], 0, range(1, len(self.names)))
        return score

    def _folds(self, scalars: Scalars) -> npt.NDArray[np.intp] | None:
        if self.tagger.folds == 1:
            return None
        return members.fold_of(scalars["fold"], self.tagger.folds)

    def _read(self) -> _Chosen:
        """Read the jets that are to be changed, with all their constituents."""
        limits = self._limits()
        room = max(jets_reading.most_particles(path) for path, _ in self.files)
        scalars, constituents = [], []
        for number, sample in enumerate(self.tagger.samples):
            keep = self._kept(sample, limits)
            found = jets_reading.read(
                [path for path, name in self.files if name == sample],
                self.columns,
                max(room, 1),
                keep,
                fields=FULL,
                variation="nominal",
            )
            known = self._known(found.scalars, sample)
            scalars.append(known | {"sample": np.full(len(found), number)})
            constituents.append(found.constituents)
        columns = {name: np.concatenate([one[name] for one in scalars]) for name in scalars[0]}
        return _Chosen(columns, np.concatenate(constituents))

    def _limits(self) -> list[float]:
        """For each class the largest hash of a jet that is taken: 1 where all are."""
        rows: list[tuple[Array, Array]] = []
        for sample in self.tagger.samples:
            known = self._kept(sample, None)
            for path in (path for path, name in self.files if name == sample):
                for batch in jets_reading.stream(path, self.columns, 0, variation="nominal"):
                    columns = self._known(batch.scalars, sample)
                    keep = known(batch.scalars)
                    rows.append((columns["target"][keep], columns["rank"][keep]))
        target, rank = (np.concatenate([row[k] for row in rows]) for k in (0, 1))
        limits = []
        for number in range(len(self.names)):
            mine = np.sort(rank[target == number])
            most = self.how.max_jets
            limits.append(float(mine[most - 1]) if len(mine) > most else 1.0)
        return limits

    def _kept(
        self, sample: str, limits: list[float] | None
    ) -> Callable[[Scalars], npt.NDArray[np.bool_]]:
        """Tell which jets of a sample are taken; without limits, all that may be."""

        def keep(scalars: Scalars) -> npt.NDArray[np.bool_]:
            known = self._known(scalars, sample)
            mask = selection.in_window(scalars, self.window) & (known["target"] >= 0)
            if self.tagger.folds == 1:
                parts = members.parts(known["fold"], 1, self.fractions, sample)
                mask &= parts == split.TEST
            if limits is not None:
                mask &= known["rank"] <= np.array(limits)[known["target"]]
            return np.asarray(mask)

        return keep

    def _known(self, scalars: Scalars, sample: str) -> Scalars:
        """Add class, hashes and random word of the events to columns."""
        run, block, event = (scalars[name] for name in IDENTITY[:3])
        keys = ("tagging", "robustness", sample)
        words = chance.event_words(self.settings.seed, run, block, event, keys=keys)
        rank = chance.event_words(self.settings.seed, run, block, event, keys=(*keys, "choice"))
        wanted = [self.tagger.classes[name] for name in self.names]
        return {
            **scalars,
            "target": selection.class_numbers(scalars, sample, wanted),
            "fold": split.fold(run, block, event, self.settings.seed),
            "word": words,
            "rank": chance.uniform(rank, np.zeros(len(rank), np.int64)),
        }


def _named(jets: list[Path], samples: list[str], wanted: tuple[str, ...]) -> list[tuple[Path, str]]:
    """Join files and names of their samples; InputError where they do not fit."""
    if len(jets) != len(samples):
        raise InputError(f"{len(jets)} files of jets and {len(samples)} names of samples")
    missing = [name for name in wanted if name not in samples]
    if missing:
        raise InputError(f"no files of jets of {', '.join(missing)}, which the tagger tells apart")
    return list(zip(jets, samples, strict=True))

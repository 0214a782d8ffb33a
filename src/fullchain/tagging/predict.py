"""Give the score of a tagger to every jet of a sample, in every variation.

The score is the mean over the seeds. Where a tagger has folds, a jet of a sample that it is trained
on, or of one that stands in for such a sample, gets the score of the training that did not see its
event; other jets get the mean over the folds. A Bayesian tagger gives each score a standard
deviation, too.

A tagger between two generators gives the score at its working point, and further ones on a grid
from the first generator to the second.
"""

from pathlib import Path
from typing import Annotated, Any

import numpy as np
import numpy.typing as npt
import torch

from fullchain.atomic import atomic
from fullchain.learning import device, split
from fullchain.progress import progress
from fullchain.step import Given, Input, Option, Output
from fullchain.tagging import between_scores, members
from fullchain.tagging.conditioned import at_parameter
from fullchain.tagging.ensemble import seed_probabilities
from fullchain.tagging.jets_reading import IDENTITY, Jets, count, stream
from fullchain.tagging.model_file import Trained, read_models, scored_with
from fullchain.tagging.posterior import seed_posteriors
from fullchain.tagging.posterior_columns import extra_columns, posterior_columns
from fullchain.tagging.score_files import SCORE, ScoreWriter, named_columns, score_columns
from fullchain.tagging.settings import SplitSettings
from fullchain.tagging.views import Arrays, view_of


def main(
    *,
    jets: Annotated[list[Path], Input("files of jets of one sample, in order: Parquet, ROOT")],
    sample: Annotated[str, Option("name of the sample")],
    models: Annotated[list[Path], Input("model.pt of each training of the tagger")],
    scores: Annotated[Path, Output("Parquet file, row by row the jets of all parts in order")],
    settings: Given,
) -> None:
    """Read jets batch by batch, write their scores."""
    trained = read_models(models)
    chosen = trained[0].settings
    fractions = settings.model("tagging.split", SplitSettings)
    alternatives = settings["tagging.evaluation.alternatives"] if chosen.folds > 1 else {}
    by_fold = sample in members.scored_by_fold(chosen.training_samples, alternatives)
    view = view_of(chosen)
    kind, threads = scored_with(chosen, settings)
    place = device.choose(kind)
    total = sum(count(path) for path in jets)
    seeds = len({one.member.seed for one in trained})
    grid: list[float] = []
    point = None
    if chosen.between is not None:
        grid = settings["tagging.evaluation.interpolation"]
        # As it was given: single precision has no 0.1.
        point = round(float(trained[0].tagger.working_point), 6)
    own = [SCORE, *score_columns(chosen.class_names)]
    further = between_scores.descriptions(own, grid)
    if chosen.bayesian is not None:
        further |= extra_columns(chosen.class_names, seeds)
    with (
        device.repeatable(threads),
        device.keeping_memory(),
        atomic(scores) as temporary,
        ScoreWriter(temporary, chosen.class_names, seeds, further, point) as writer,
        progress(f"scores of {sample}", total, "jets") as advance,
    ):
        for path in jets:
            for batch in stream(
                path,
                (*IDENTITY, *view.columns),
                view.n_constituents,
                fields=view.fields,
                required=view.columns,
            ):
                columns = {name: batch.scalars[name] for name in IDENTITY}
                columns["fold"] = hashes = _hashes(batch, settings.seed)
                columns["split"] = members.recorded_parts(hashes, chosen.folds, fractions, sample)
                folds = members.fold_of(hashes, chosen.folds) if by_fold else None
                arrays = view.arrays(batch)
                columns |= _scores(trained, arrays, folds, place)
                for r in grid:
                    found = seed_probabilities(trained, at_parameter(arrays, r), folds, place)
                    there = named_columns(found, chosen.class_names)
                    names = zip(own, between_scores.columns(own, r), strict=True)
                    columns |= {new: there[name] for name, new in names}
                writer.write(columns)
                advance(len(batch))


def _scores(
    trained: list[Trained],
    arrays: Arrays,
    folds: npt.NDArray[np.intp] | None,
    place: torch.device,
) -> dict[str, npt.NDArray[Any]]:
    """All columns of scores."""
    chosen = trained[0].settings
    if chosen.bayesian:
        found = seed_posteriors(trained, arrays, folds, place)
        return posterior_columns(found, chosen.class_names)
    single = seed_probabilities(trained, arrays, folds, place)
    return named_columns(single, chosen.class_names)


def _hashes(jets: Jets, seed: int) -> npt.NDArray[np.float64]:
    run, block, event = (jets.scalars[name] for name in ("run", "luminosityBlock", "event"))
    return split.fold(run, block, event, seed)

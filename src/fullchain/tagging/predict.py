"""Give the score of a tagger to every jet of a sample, in every variation.

The score is the mean over the seeds. Where a tagger has folds, a jet of a sample that it is trained
on, or of one that stands in for such a sample, gets the score of the training that did not see its
event; other jets get the mean over the folds.
"""

from pathlib import Path
from typing import Annotated

import numpy as np
import numpy.typing as npt
import torch

from fullchain.atomic import atomic
from fullchain.learning import device, split
from fullchain.progress import progress
from fullchain.step import Given, Input, Option, Output
from fullchain.tagging import members
from fullchain.tagging.jets_reading import IDENTITY, Jets, count, stream
from fullchain.tagging.members import Member
from fullchain.tagging.model_file import Trained, read_models
from fullchain.tagging.score_files import ScoreWriter, named_columns
from fullchain.tagging.settings import SplitSettings
from fullchain.tagging.tagger import probabilities
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
    by_fold = sample in _trained_on(trained[0], settings)
    view = view_of(chosen)
    place = device.choose(settings["tagging.training.device"])
    total = sum(count(path) for path in jets)
    seeds = len({one.member.seed for one in trained})
    with (
        device.repeatable(settings["tagging.training.threads"]),
        device.keeping_memory(),
        atomic(scores) as temporary,
        ScoreWriter(temporary, chosen.class_names, seeds) as writer,
        progress(f"scores of {sample}", total, "jets") as advance,
    ):
        for path in jets:
            for batch in stream(
                path, (*IDENTITY, *view.columns), view.n_constituents, fields=view.fields
            ):
                columns = {name: batch.scalars[name] for name in IDENTITY}
                columns["fold"] = hashes = _hashes(batch, settings.seed)
                columns["split"] = members.recorded_parts(hashes, chosen.folds, fractions, sample)
                folds = members.fold_of(hashes, chosen.folds) if by_fold else None
                found = seed_probabilities(trained, view.arrays(batch), folds, place)
                writer.write(columns | named_columns(found, chosen.class_names))
                advance(len(batch))


def seed_probabilities(
    trained: list[Trained],
    arrays: Arrays,
    folds: npt.NDArray[np.intp] | None,
    place: torch.device,
) -> npt.NDArray[np.float32]:
    """Probabilities of all seeds, shape (seeds, jets, classes).

    `folds` (jets,) numbers the fold of each event: its jets then get the score of the training
    without that fold. None for the mean over the folds.
    """
    by_member: dict[Member, Trained] = {one.member: one for one in trained}
    number = 1 + max(member.fold for member in by_member)
    found = []
    for seed in range(1 + max(member.seed for member in by_member)):
        here = [by_member[Member(fold, seed)].tagger for fold in range(number)]
        if folds is None or number == 1:
            found.append(np.mean([probabilities(one, arrays, place) for one in here], axis=0))
            continue
        rows = np.empty((len(folds), here[0].classes), dtype=np.float32)
        for fold, tagger in enumerate(here):
            mine = folds == fold
            chosen = {name: values[mine] for name, values in arrays.items()}
            rows[mine] = probabilities(tagger, chosen, place)
        found.append(rows)
    return np.stack(found).astype(np.float32)


def _hashes(jets: Jets, seed: int) -> npt.NDArray[np.float64]:
    run, block, event = (jets.scalars[name] for name in ("run", "luminosityBlock", "event"))
    return split.fold(run, block, event, seed)


def _trained_on(trained: Trained, settings: Given) -> set[str]:
    """Samples whose jets get the score of one fold: those of the tagger, and their stand-ins.

    A mean over folds is a better tagger than one of them: with it, a stand-in would differ for
    another reason than its simulation.
    """
    samples = set(trained.settings.samples)
    if trained.settings.folds == 1:
        return samples
    alternatives = settings["tagging.evaluation.alternatives"]
    return samples | {
        stand_in
        for names in alternatives.values()
        for name, stand_in in names.items()
        if name in samples
    }

"""Give the score of a tagger to every jet of a sample, in every variation."""

from pathlib import Path
from typing import Annotated

from fullchain.atomic import atomic
from fullchain.learning import device, split
from fullchain.progress import progress
from fullchain.step import Given, Input, Output
from fullchain.tagging.jets_reading import IDENTITY, count, stream
from fullchain.tagging.score_files import ScoreWriter
from fullchain.tagging.settings import SplitSettings
from fullchain.tagging.tagger import load
from fullchain.tagging.tagger import scores as tagger_scores


def main(
    *,
    jets: Annotated[list[Path], Input("Parquet files of jets of one sample, in order of parts")],
    model: Annotated[Path, Input("trained tagger, model.pt")],
    scores: Annotated[Path, Output("Parquet file, row by row the jets of all parts in order")],
    settings: Given,
) -> None:
    """Read jets batch by batch, write their scores."""
    tagger, chosen = load(model)
    fractions = settings.model("tagging.split", SplitSettings)
    place = device.choose(settings["tagging.training.device"])
    total = sum(count(path) for path in jets)
    with (
        device.repeatable(settings["tagging.training.threads"]),
        atomic(scores) as temporary,
        ScoreWriter(temporary) as writer,
        progress(f"scores of {scores.stem}", total, "jets") as advance,
    ):
        for path in jets:
            for batch in stream(path, IDENTITY, chosen.n_constituents):
                columns = {name: batch.scalars[name] for name in IDENTITY}
                folds = split.fold(
                    columns["run"], columns["luminosityBlock"], columns["event"], settings.seed
                )
                columns["score"] = tagger_scores(
                    tagger, batch.constituents, batch.jet_momentum(), place
                )
                columns["fold"] = folds
                columns["split"] = split.parts(folds, fractions.validation, fractions.test)
                writer.write(columns)
                advance(len(batch))

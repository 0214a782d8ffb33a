"""Make the scores of a tagger uniform over background at each mass, for every jet of a sample.

Where the tagger has folds, there is a flow for each: a jet of a sample that the tagger is trained
on, or of one that stands in for such a sample, is transformed by the flow of its own fold, which
has not seen it, and any other jet by the mean of the flows.

The file is like that of the tagger, for the same jets: `score` is the transformed mean of the
seeds, and each seed has its own transformed score. With more than two classes the probabilities of
the others keep their proportions.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import numpy.typing as npt

from fullchain.atomic import atomic
from fullchain.decorrelation.flow_file import FittedFlow, read_flows
from fullchain.decorrelation.marginal import chances
from fullchain.learning import device
from fullchain.progress import progress
from fullchain.step import Given, Input, Option, Output
from fullchain.tagging import members, score_files
from fullchain.tagging.jets_reading import count
from fullchain.tagging.score_files import SCORE, ScoreWriter, score_columns, seed_columns

Columns = Mapping[str, npt.NDArray[Any]]


def main(
    *,
    jets: Annotated[list[Path], Input("files of jets of one sample, in order: Parquet, ROOT")],
    sample: Annotated[str, Option("name of the sample")],
    scores: Annotated[Path, Input("the tagger's scores of these jets")],
    flows: Annotated[list[Path], Input("flow.pt of the mean, and of each of several seeds")],
    transformed: Annotated[Path, Output("Parquet file, row by row the jets of all parts in order")],
    settings: Given,
) -> None:
    """Read jets and scores batch by batch, write transformed scores.

    Raises
    ------
    InputError
        The flows do not belong together or to these scores, or the scores to these jets.
    """
    mean, single = read_flows(flows)
    classes, folds = mean.classes, len(mean.flow.flows)
    alternatives = settings["tagging.evaluation.alternatives"] if folds > 1 else {}
    by_fold = sample in members.scored_by_fold(mean.samples, alternatives)
    names = [score_columns(classes) or [SCORE], *seed_columns(classes, len(single))]
    also = [name for one in names for name in one if name != SCORE]
    with (
        device.repeatable(mean.settings.training.threads),
        atomic(transformed) as temporary,
        ScoreWriter(temporary, classes, len(single)) as writer,
        progress(f"scores of {sample}", sum(map(count, jets)), "jets") as advance,
    ):
        for batch in score_files.stream_scored(jets, scores, mean.against, [*also, "fold"]):
            columns = dict(batch)
            own_folds = members.fold_of(batch["fold"], folds) if by_fold else None
            for flow, own in zip([mean, *single], names, strict=True):
                columns |= _columns(flow, batch, own, own_folds)
            # Of more than two classes the file has the signal twice.
            columns[SCORE] = columns[names[0][0]]
            writer.write(columns)
            advance(len(batch["split"]))


def _columns(
    fitted: FittedFlow,
    jets: Columns,
    names: Sequence[str],
    folds: npt.NDArray[np.intp] | None,
) -> dict[str, Any]:
    """Transformed columns of one member, by the names of the columns."""
    run, block, event, jet = (jets[name] for name in ("run", "luminosityBlock", "event", "jet"))
    chance = chances(run, block, event, jet, fitted.chance_seed)
    against = np.stack([np.asarray(jets[name], dtype=float) for name in fitted.against], axis=1)
    found = score_files.class_probabilities(jets, names, fitted.classes)
    signal = fitted.flow.transformed(found[:, 0], against, chance, folds)
    if len(names) == 1:
        return {names[0]: signal}
    return dict(zip(names, rescaled(found, signal).T, strict=True))


def rescaled(
    probabilities: npt.NDArray[np.float64], signal: npt.NDArray[np.float64]
) -> npt.NDArray[np.float64]:
    """Give probabilities (jets, classes) another first column, the others in their proportions.

    Examples
    --------
    >>> rescaled(np.array([[0.5, 0.4, 0.1], [1.0, 0.0, 0.0]]), np.array([0.0, 0.8]))
    array([[0. , 0.8, 0.2],
           [0.8, 0.1, 0.1]])
    """
    others = probabilities[:, 1:]
    total = others.sum(axis=1, keepdims=True)
    shares = np.full_like(others, 1.0 / others.shape[1])
    np.divide(others, total, out=shares, where=total > 0)
    return np.concatenate([signal[:, None], (1.0 - signal[:, None]) * shares], axis=1)

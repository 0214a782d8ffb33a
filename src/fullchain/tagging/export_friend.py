"""Write the scores of a sample as ROOT trees, one entry per jet and one entry per event."""

from pathlib import Path
from typing import Annotated, Any

import numpy as np
import numpy.typing as npt
import uproot

from fullchain.errors import InputError
from fullchain.step import Given, Input, Option, Output
from fullchain.tagging.friend import EVENT, write_friend
from fullchain.tagging.score_files import SCORE, read_scores, score_names


def main(
    *,
    scores: Annotated[Path, Input("Parquet file of the scores of one sample")],
    ntuples: Annotated[
        list[Path], Input("ROOT files of its events, in order of parts; none for no tree Events")
    ] = [],  # noqa: B006 - the command line makes a new list of it
    tagger: Annotated[str, Option("name of the tagger")],
    friend: Annotated[Path, Output("ROOT file with the trees Jets and Events")],
    settings: Given,
) -> None:
    """Read scores and the identity of all events, write both trees."""
    names = [SCORE, *score_names(scores)]
    jets = read_scores(scores, names[1:])
    write_friend(friend, tagger, jets, names, _events(ntuples) if ntuples else None)


def _events(paths: list[Path]) -> dict[str, npt.NDArray[Any]]:
    pieces = []
    for path in paths:
        try:
            with uproot.open(path) as file:
                pieces.append(file["Events"].arrays(list(EVENT), library="np"))
        except (OSError, ValueError, KeyError) as problem:
            raise InputError(f"{path}: no events can be read ({problem})") from None
    return {name: np.concatenate([piece[name] for piece in pieces]) for name in EVENT}

"""Jets with their scores that decorrelated classifiers are measured on."""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from fullchain.errors import InputError
from fullchain.learning import split
from fullchain.tagging import scored_jets
from fullchain.tagging.scored_jets import Files, ScoredJets
from fullchain.tagging.selection import described
from fullchain.tagging.selection_settings import SelectionSettings
from fullchain.tagging.settings import TaggerSettings


def read(
    files: Files,
    tagger: TaggerSettings,
    selection: SelectionSettings,
    against: Sequence[str],
) -> ScoredJets:
    """Read the jets of all parts inside the selection of the tagger.

    Raises
    ------
    InputError
        As `scored_jets.read`, or no jets of a class are left.
    """
    found = scored_jets.read(files, tagger, selection, list(dict.fromkeys(against)))
    _check_classes(found, tagger, selection, "")
    return found


def measured(jets: ScoredJets, folds: int) -> npt.NDArray[np.bool_]:
    """Which jets are measured, (jets,): the test part or, with folds, all."""
    if folds > 1:
        return np.ones(len(jets), dtype=bool)
    return np.asarray(jets.columns["split"] == split.TEST)


def check_measured(jets: ScoredJets, tagger: TaggerSettings, selection: SelectionSettings) -> None:
    """Raise InputError where no jets of a class are measured."""
    _check_classes(jets, tagger, selection, " of the test part")


def _check_classes(
    jets: ScoredJets, tagger: TaggerSettings, selection: SelectionSettings, where: str
) -> None:
    for number, name in enumerate(tagger.class_names):
        if not (jets.target == number).any():
            raise InputError(
                f"there are no {name} jets{where} inside the selection of the tagger "
                f"({described(selection)}); widen it, or make more events"
            )

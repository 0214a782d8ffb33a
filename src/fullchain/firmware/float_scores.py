"""Scores of a model before it was quantised, whatever its kind."""

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from fullchain.errors import InputError
from fullchain.firmware.model_kinds import ANOMALY_SCORES
from fullchain.firmware.trigger_jets import TriggerJets

KINDS = ("network", *ANOMALY_SCORES, "trees")


def float_scores(kind: str, trained: Path, jets: TriggerJets) -> NDArray[np.float64]:
    """Give logits (jets, classes) or anomaly scores (jets, 1) of a trained model.

    Parameters
    ----------
    kind
        One of `KINDS`.
    trained
        float.pt of a network, forest.json of trees.
    jets
        Trigger jets, features in their own units.

    Raises
    ------
    InputError
        There is no such kind; the file is none of its kind; the jets lack a quantity.
    """
    # Only what the kind needs is imported: trees need no torch.
    if kind in ("network", *ANOMALY_SCORES):
        from fullchain.firmware import float_network

        network = float_network.read(trained)
        return float_network.judged_scores(network, network.inputs(jets))
    if kind == "trees":
        from fullchain.firmware import forest_file

        forest, _ = forest_file.read(trained)
        return forest.evaluate(forest.inputs_of(jets.quantities(forest.names, 0)))
    raise InputError(f"a model of kind {kind!r}: there are {', '.join(KINDS)}")

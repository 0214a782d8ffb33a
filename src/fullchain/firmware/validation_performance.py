"""Accuracy and AUC on the validation part, with bootstrap errors."""

from typing import cast

import numpy as np
from numpy.typing import NDArray

from fullchain.firmware import performance
from fullchain.firmware.performance import Truth

NUMBERS = {"accuracy": "balanced_accuracy", "auc": "auc.macro"}


def judge_classes(
    scores: NDArray[np.float64],
    target: NDArray[np.intp],
    event: NDArray[np.intp],
    classes: tuple[str, ...],
    replicas: int,
    seed: int,
) -> dict[str, tuple[float, float]]:
    """Give `accuracy` and `auc`, each with the standard deviation over replicas.

    All classes count the same: the accuracy is the mean of the parts of each class that are right;
    the AUC is the mean over classes of that of a class against an even mixture of the others.

    Parameters
    ----------
    scores
        (jets, classes) logits.
    target, event
        (jets) numbers of class and of event, from 0.
    classes
        Names of the classes.
    replicas, seed
        Of the bootstrap over events.

    Raises
    ------
    InputError
        A class has no jets, or too few for an uncertainty.
    """
    judged = performance.judge_classes(scores, Truth(target, event, classes), (), replicas, seed)
    found = judged.measured()
    # Neither is ever None, as there are jets of all classes.
    return {name: cast(tuple[float, float], tuple(found[of])) for name, of in NUMBERS.items()}

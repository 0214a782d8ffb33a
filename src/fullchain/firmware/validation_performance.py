"""Accuracy and AUC on the validation part, with bootstrap errors."""

import numpy as np
from numpy.typing import NDArray

from fullchain.learning import roc
from fullchain.learning.bootstrap import event_factors

Array = NDArray[np.float64]


def judge_classes(
    scores: Array,
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
        (jets) numbers of class and of event, from 0; each class has jets.
    classes
        Names of the classes.
    replicas, seed
        Of the bootstrap over events. Replicas in which a class has no jets are left out.
    """
    right = scores.argmax(axis=1) == target
    rows = [
        roc.Sorted(_log_odds(scores, number), target == number) for number in range(len(classes))
    ]
    found = []
    for factor in (np.ones(len(target)), *event_factors(event, replicas, seed)):
        sizes = np.bincount(target, weights=factor, minlength=len(classes))
        if sizes.min() > 0:
            weight = factor / sizes[target]
            areas = [roc.area(one.curve(weight[one.order])) for one in rows]
            found.append([(right * weight).sum() / len(classes), np.mean(areas)])
    values, errors = found[0], np.std(found[1:], axis=0, ddof=1) if len(found) > 2 else (0.0, 0.0)
    return {
        name: (float(value), float(error))
        for name, value, error in zip(("accuracy", "auc"), values, errors, strict=True)
    }


def _log_odds(scores: Array, number: int) -> Array:
    """Rises with the softmax of a class, and does not run into 1 as that does."""
    others = np.delete(scores, number, axis=1)
    top = others.max(axis=1)
    return np.asarray(scores[:, number] - top - np.log(np.exp(others - top[:, None]).sum(axis=1)))

"""One classifier, or one from each of several starts, trained and judged."""

from typing import Any

from numpy.typing import NDArray

from fullchain.calorimetry.classifier_scores import (
    Scores,
    averaged,
    calibrated,
    distribution,
    judged,
)
from fullchain.calorimetry.classifier_settings import ClassifierSettings
from fullchain.calorimetry.classifier_training import Rows, Trained, learn, plan, probability
from fullchain.seeds import derive

Array = NDArray[Any]


def judge(
    rows: Rows,
    some: tuple[Array, Array, Array],
    settings: ClassifierSettings,
    seed: int,
    what: str,
) -> tuple[dict[str, Any], Trained]:
    """Train from each start on the first of three parts and judge on the last.

    Returns
    -------
    Numbers, and the classifier of the first start.
    """
    training, validation, test = (rows.select(chosen) for chosen in some)
    threads = plan(settings)[1].threads
    several, first, shown = [], None, None
    for start in range(settings.seeds):
        text = what if settings.seeds == 1 else f"{what}, start {start + 1}"
        trained = learn(training, validation, settings, derive(seed, "start", start), text)
        scores = Scores(*probability(trained, test.values, threads), test.simulated, test.weight)
        several.append(judged(scores, settings.replicas, derive(seed, "bootstrap")))
        first, shown = first or trained, shown or scores
    assert first is not None
    assert shown is not None
    history = first.history
    return {
        **averaged(list(several)),
        "starts": [{name: value for name, (value, _) in one.items()} for one in several],
        "inputs": rows.values.shape[1],
        "parameters": sum(p.numel() for p in first.network.parameters()),
        "best_epoch": history.best_epoch,
        "history": {
            "training": [terms["loss"] for terms in history.train],
            "validation": [terms["loss"] for terms in history.validation],
        },
        "calibration": calibrated(shown, settings.replicas, derive(seed, "calibration")),
        "scores": distribution(shown),
    }, first

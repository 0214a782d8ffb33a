"""How good trees are on the validation part."""

from fullchain.firmware.fixed_point import Array
from fullchain.firmware.trigger_jets import Labelled
from fullchain.firmware.validation_performance import judge_classes
from fullchain.learning.split import VALIDATION


def validation_part(jets: Labelled) -> Labelled:
    """Give the jets of a class in the validation part."""
    return jets.where((jets.target >= 0) & (jets.part == VALIDATION))


def judged(
    scores: Array, jets: Labelled, classes: tuple[str, ...], replicas: int, seed: int
) -> dict[str, tuple[float, float]]:
    """Give accuracy and AUC with their errors, as `validation_performance.judge_classes`.

    Parameters
    ----------
    scores
        (jets, classes).
    jets
        Of `validation_part`.
    classes
        Names of the classes.
    replicas, seed
        Of the bootstrap over events.

    Raises
    ------
    InputError
        A class has no jets, or too few for an uncertainty.
    """
    return judge_classes(scores, jets.target, jets.events, classes, replicas, seed)

"""What networks are trained on and judged by: jets as tensors."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from fullchain.errors import InputError
from fullchain.firmware import tasks
from fullchain.firmware.distillation import teacher_probabilities
from fullchain.firmware.network_settings import TrainedNetworkSettings
from fullchain.firmware.trigger_jets import Labelled

Array = NDArray[np.float64]


@dataclass(frozen=True)
class Part:
    """Jets of one part that a network trains on.

    `quantities` and `scaled` have shape (jets, [candidates,] quantities), the others (jets);
    `teacher` (jets, classes) or None.
    """

    quantities: Array
    target: NDArray[np.intp]
    weight: Array
    event: NDArray[np.intp]
    teacher: Array | None

    def batch(self, scaled: Array) -> dict[str, Tensor]:
        """Give the tensors of the training, for inputs (jets, [candidates,] quantities)."""
        found = {
            "inputs": torch.from_numpy(scaled.astype(np.float32)),
            "target": torch.from_numpy(self.target.astype(np.int64)),
            "weight": torch.from_numpy(self.weight.astype(np.float32)),
        }
        if self.teacher is not None:
            found["teacher"] = torch.from_numpy(self.teacher.astype(np.float32))
        return found


def part_of(
    jets: Labelled,
    part: str,
    settings: TrainedNetworkSettings,
    quantities: Sequence[str],
    classes: Sequence[str],
    scores: Sequence[Path] = (),
) -> Part:
    """Give the jets of a part that the network of these settings trains on.

    Raises
    ------
    InputError
        There are none, a quantity is missing, or scores of a teacher are.
    """
    task = tasks.of(settings)
    names = tuple(classes)
    chosen = jets.where(task.trains_on(settings, jets, names) & (jets.part == part))
    if len(chosen.target) == 0:
        raise InputError(f"no jets of the {part} part to train on; make more events")
    scalars = chosen.jets.scalars
    weight = np.asarray(scalars["weight"], dtype=np.float64)
    if task.balanced:
        weight = balanced(weight, chosen.target, names, part)
    elif weight.sum() <= 0:
        raise InputError(f"the weights of the jets of the {part} part do not sum to more than 0")
    teacher = None
    if settings.distillation is not None:
        if not scores:
            raise InputError(
                f"distillation.tagger is {settings.distillation.tagger}, but no files of its "
                "scores were given"
            )
        theirs = [settings.distillation.classes.get(name, name) for name in names]
        teacher = teacher_probabilities(scores, chosen.samples, chosen.sample, scalars, theirs)
    values = chosen.jets.quantities(quantities, settings.architecture.used_candidates)
    return Part(values, chosen.target, weight / weight.mean(), chosen.events, teacher)


def balanced(weight: Array, target: NDArray[np.intp], classes: Sequence[str], part: str) -> Array:
    """Give weights whose sum is the same for each class.

    Raises
    ------
    InputError
        The weights of a class sum to nothing; names it.
    """
    sums = np.bincount(target, weights=weight, minlength=len(classes))
    for name, total in zip(classes, sums, strict=True):
        if not total > 0:
            raise InputError(
                f"the weights of jets of class {name} in the {part} part sum to {total:g}: make "
                "more events"
            )
    return np.asarray(weight / sums[target])


def chosen_quantities(settings: TrainedNetworkSettings, jets: Labelled) -> tuple[str, ...]:
    """Give the names of the inputs: those of the settings, or all there are."""
    architecture = settings.architecture
    if architecture.quantities is not None:
        return tuple(architecture.quantities)
    known = jets.jets.candidate_names if architecture.used_candidates else jets.jets.feature_names
    return tuple(known)


def judged(
    settings: TrainedNetworkSettings, scores: Array, part: Part, classes: Sequence[str], seed: int
) -> Mapping[str, Sequence[float | None]]:
    """Give numbers of scores (see `Task.judge`) of a part with bootstrap errors, by name."""
    judge = tasks.of(settings).judge
    return judge(scores, part.target, part.event, tuple(classes), settings.replicas, seed)

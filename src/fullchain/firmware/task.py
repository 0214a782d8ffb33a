"""What a network is trained for: everything that depends on the kind of a model."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from torch import nn

from fullchain.firmware.fixed_network import FixedPointNetwork
from fullchain.firmware.layer_plan import Kind
from fullchain.firmware.trigger_jets import Labelled

Classes = tuple[str, ...]


@dataclass(frozen=True)
class Task:
    """A kind of model.

    Parameters
    ----------
    settings
        Its settings, a `TrainedNetworkSettings` with `kind`.
    objective
        (settings, classes, quantities) -> a module whose forward(outputs, batch) gives named means
        over the rows of the batch, "loss" among them. `outputs` are (rows, width), those of the
        last dense layer. `quantities` is the number of inputs of a jet. The batch has `inputs`
        (rows, [candidates,] quantities) scaled, `target`, `weight` (mean one) and, with
        distillation, `teacher`. Parameters of the module are trained too.
    trains_on
        (settings, jets, classes) -> mask of the jets whose training and validation part it sees.
    width
        (settings, classes) -> outputs of the last dense layer.
    outputs
        (settings, classes) -> names of the outputs of the whole network.
    balanced
        Whether jets are weighted such that all classes count the same.
    last
        Layers behind the last dense one.
    judge
        (scores, target (jets), event (jets), classes, replicas, seed) -> numbers with their
        bootstrap errors, by name; of the jets of the validation part that it trains on. Scores as
        `float_network.judged_scores` gives them: (jets, classes) logits, or (jets, 1).
    finish
        What is made of the fixed-point network at last.
    """

    settings: type[Any]
    objective: Callable[[Any, Classes, int], nn.Module]
    trains_on: Callable[[Any, Labelled, Classes], NDArray[np.bool_]]
    width: Callable[[Any, Classes], int]
    outputs: Callable[[Any, Classes], tuple[str, ...]]
    balanced: bool
    last: tuple[Kind, ...]
    judge: Callable[..., Mapping[str, Sequence[float | None]]]
    finish: Callable[[FixedPointNetwork], FixedPointNetwork] = lambda network: network

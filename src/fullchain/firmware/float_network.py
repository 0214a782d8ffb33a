"""The network in floating point, and its file."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from fullchain.errors import InputError
from fullchain.firmware import tasks
from fullchain.firmware.input_scaling import scaled
from fullchain.firmware.layer_plan import LayerPlan, plan
from fullchain.firmware.model_kinds import ANOMALY_SCORES
from fullchain.firmware.network_settings import TrainedNetworkSettings
from fullchain.firmware.trigger_jets import TriggerJets
from fullchain.firmware.trigger_scores import Score, scores_of
from fullchain.learning import torch_file

Array = NDArray[np.float64]

FORMAT = 1
"""Raised when the content changes, so that an old file is not misread."""


class DenseLayer(nn.Module):
    """Product, bias and ReLU, with a mask of the weights that are not pruned.

    `weight` has shape (inputs, outputs), as in `fixed_network.Dense`.
    """

    mask: Tensor

    def __init__(self, layer: LayerPlan) -> None:
        super().__init__()
        self.relu = layer.relu
        gain = nn.init.calculate_gain("relu" if layer.relu else "linear")
        self.weight = nn.Parameter(torch.empty(layer.inputs, layer.outputs))
        nn.init.normal_(self.weight, 0.0, gain / np.sqrt(layer.inputs))
        self.bias = nn.Parameter(torch.zeros(layer.outputs))
        self.register_buffer("mask", torch.ones(layer.inputs, layer.outputs))

    def forward(self, values: Tensor) -> Tensor:
        """Map (..., inputs) to (..., outputs)."""
        sums = values @ (self.weight * self.mask) + self.bias
        return torch.relu(sums) if self.relu else sums


def pooled(layer: LayerPlan, values: Tensor) -> Tensor:
    """Apply a layer without weights: sum, flatten or squared norm."""
    if layer.kind == "sum":
        return values.sum(dim=1)
    if layer.kind == "flatten":
        return values.flatten(start_dim=1)
    return (values * values).sum(dim=-1, keepdim=True)


class FloatNetwork(nn.Module):
    """Dense layers on scaled inputs, which are clipped.

    Parameters
    ----------
    layers
        From `layer_plan.plan`; what follows the last dense layer is not applied in training.
    clip
        Largest absolute value of an input.
    """

    def __init__(self, layers: tuple[LayerPlan, ...], clip: float) -> None:
        super().__init__()
        self.plan, self.clip = layers, clip
        self.dense = nn.ModuleDict(
            {layer.name: DenseLayer(layer) for layer in layers if layer.kind == "dense"}
        )

    def forward(self, inputs: Tensor) -> Tensor:
        """Map scaled inputs, (rows, [candidates,] quantities), to those of the last dense layer."""
        return self._through(inputs, trained_only=True)

    def scores(self, inputs: Tensor) -> Tensor:
        """Give the outputs of all layers."""
        return self._through(inputs, trained_only=False)

    def _through(self, inputs: Tensor, trained_only: bool) -> Tensor:
        values = inputs.clamp(-self.clip, self.clip)
        for layer in self.plan:
            if layer.kind == "dense":
                values = self.dense[layer.name](values)
            elif layer.kind != "squared_norm" or not trained_only:
                values = pooled(layer, values)
        return values


@dataclass(frozen=True)
class Trained:
    """A trained network with all that is needed to use it.

    Parameters
    ----------
    network
        The network, in evaluation mode.
    settings
        Those of the model.
    quantities
        Names of its inputs.
    shift, exponent
        (quantities), see `input_scaling`.
    outputs
        Names of the outputs: classes, or the anomaly score.
    classes
        Names of all classes of the jets.
    objective
        State of the objective that it was trained with, where that has parameters of its own.
    """

    network: FloatNetwork
    settings: TrainedNetworkSettings
    quantities: tuple[str, ...]
    shift: Array
    exponent: NDArray[np.int64]
    outputs: tuple[str, ...]
    classes: tuple[str, ...]
    objective: Mapping[str, Tensor] = field(default_factory=dict)

    def inputs(self, jets: TriggerJets) -> Array:
        """Give scaled inputs, (jets, [candidates,] quantities).

        Raises
        ------
        InputError
            The jets lack a quantity, or one of theirs is not finite.
        """
        candidates = self.settings.architecture.used_candidates
        found = scaled(jets.quantities(self.quantities, candidates), self.shift, self.exponent)
        if not np.isfinite(found).all():
            row, *_, number = np.argwhere(~np.isfinite(found))[0]
            raise InputError(
                f"{self.quantities[number]} of jet {row} is not finite; look at the inputs"
            )
        return found


def build(
    settings: TrainedNetworkSettings, quantities: int, classes: tuple[str, ...]
) -> FloatNetwork:
    """Give a network with weights from torch's own generator."""
    task = tasks.of(settings)
    width = task.width(settings, classes)
    return FloatNetwork(plan(settings.architecture, quantities, width, task.last), settings.clip)


def scores(trained: Trained, jets: TriggerJets) -> Array:
    """Give the outputs, (jets, outputs), in float64. Raises as `Trained.inputs`."""
    return network_scores(trained.network, trained.inputs(jets))


def judged_scores(trained: Trained, inputs: Array) -> Array:
    """Give what a network is judged by: logits (jets, classes), or anomaly scores (jets, 1).

    `inputs` as `Trained.inputs` gives them.
    """
    # What an autoencoder was trained to reconstruct.
    clip = trained.settings.clip
    clipped = np.clip(inputs, -clip, clip).reshape(len(inputs), -1)
    score: Score = ANOMALY_SCORES.get(trained.settings.kind, "classes")
    return scores_of(network_scores(trained.network, inputs), clipped, score)


@torch.no_grad()
def network_scores(network: FloatNetwork, inputs: Array, rows_at_once: int = 65536) -> Array:
    """Give the outputs for scaled inputs, (rows, [candidates,] quantities), in float64."""
    network.double().eval()
    pieces = [
        network.scores(torch.from_numpy(inputs[start : start + rows_at_once])).numpy()
        for start in range(0, len(inputs), rows_at_once)
    ]
    network.float()
    return np.concatenate(pieces) if pieces else np.empty((0, network.plan[-1].outputs))


def write(path: Path, trained: Trained) -> None:
    """Write weights, scales and settings."""
    content: dict[str, Any] = {
        "format": FORMAT,
        "settings": trained.settings.model_dump(mode="json"),
        "quantities": list(trained.quantities),
        "shift": trained.shift.tolist(),
        "exponent": trained.exponent.tolist(),
        "classes": list(trained.classes),
        "state": {name: one.cpu() for name, one in trained.network.state_dict().items()},
        "objective": {name: one.cpu() for name, one in trained.objective.items()},
    }
    torch_file.write(path, content)


def read(path: Path) -> Trained:
    """Read what `write` wrote.

    Raises
    ------
    InputError
        There is no such file, or it is none of a trained network.
    """
    content = torch_file.read_format(
        path, FORMAT, "a network of a trigger", "train it first", "train again"
    )
    try:
        settings = tasks.settings_of(content["settings"], str(path))
        quantities, classes = tuple(content["quantities"]), tuple(content["classes"])
        network = build(settings, len(quantities), classes)
        network.load_state_dict(content["state"])
        shift = np.array(content["shift"], dtype=np.float64)
        exponent = np.array(content["exponent"], dtype=np.int64)
        objective = dict(content["objective"])
    except (KeyError, TypeError, RuntimeError) as problem:
        reason = str(problem).strip().splitlines()[0]
        raise InputError(f"{path}: not the weights of this network ({reason}); train again") from (
            None
        )
    network.eval()
    outputs = tasks.of(settings).outputs(settings, classes)
    return Trained(network, settings, quantities, shift, exponent, outputs, classes, objective)

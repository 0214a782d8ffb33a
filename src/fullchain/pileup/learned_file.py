"""A trained network on disk: `model.pt`, with everything that is needed to weigh candidates."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import ValidationError
from torch import nn

from fullchain.errors import InputError
from fullchain.learning import torch_file
from fullchain.learning.standardise import Standardisation
from fullchain.pileup.candidate_features import GLOBALS, names
from fullchain.pileup.graph_network import GraphNetwork
from fullchain.pileup.graph_settings import GraphSettings
from fullchain.pileup.learned_methods import method_of
from fullchain.pileup.pumml_network import PummlNetwork
from fullchain.pileup.pumml_settings import PummlSettings

FORMAT = 1
"""Raised when the content of `model.pt` changes, so that an old file is not misread."""


@dataclass(frozen=True)
class Trained:
    """A trained network, its settings, and its number among trainings with other seeds."""

    network: Any
    settings: GraphSettings | PummlSettings
    member: int


def save(
    path: Path, network: nn.Module, settings: GraphSettings | PummlSettings, member: int
) -> None:
    """Write the state dict, with the scale of the features, and the settings."""
    content = {
        "format": FORMAT,
        "settings": settings.model_dump(mode="json"),
        "member": member,
        "features": _features(settings),
        "state": {name: tensor.cpu() for name, tensor in network.state_dict().items()},
    }
    torch_file.write(path, content)


def load(path: Path) -> Trained:
    """Read `model.pt`. Raises InputError where it is none, or of another format."""
    content = torch_file.read_format(
        path, FORMAT, "a model of pile-up weights", "train it first", "train again"
    )
    try:
        settings = method_of(content["settings"])
        if content["features"] != _features(settings):
            raise InputError(f"{path}: trained with other features; train again")
        network = _network(settings, content["state"])
        network.load_state_dict(content["state"])
        member = int(content["member"])
    except (KeyError, TypeError, ValueError, RuntimeError, ValidationError) as problem:
        if isinstance(problem, InputError):
            raise
        reason = str(problem).strip().splitlines()[0]
        raise InputError(
            f"{path}: not the weights of this network ({reason}); train again"
        ) from None
    return Trained(network.eval(), settings, member)


def read_models(paths: list[Path]) -> list[Trained]:
    """Read trainings of one method, in order of their number.

    Raises InputError where there is none, one stands twice, or settings differ.
    """
    if not paths:
        raise InputError("no models were given")
    trained = sorted((load(path) for path in paths), key=lambda one: one.member)
    if any(one.settings != trained[0].settings for one in trained):
        raise InputError(
            f"{', '.join(map(str, paths))}: these models differ in their settings; train again"
        )
    numbers = [one.member for one in trained]
    if len(set(numbers)) < len(numbers):
        raise InputError(f"{', '.join(map(str, paths))}: a training stands twice: {numbers}")
    return trained


def _features(settings: GraphSettings | PummlSettings) -> list[str]:
    if isinstance(settings, PummlSettings):
        return []
    return [*names(settings.local_sums), *GLOBALS]


def _network(settings: GraphSettings | PummlSettings, state: Any) -> nn.Module:
    if isinstance(settings, PummlSettings):
        return PummlNetwork(settings)
    candidates, events = (
        Standardisation(
            tuple(state[f"{name}.subtract"].tolist()), tuple(state[f"{name}.multiply"].tolist())
        )
        for name in ("standardise", "standardise_event")
    )
    return GraphNetwork(settings, candidates, events)

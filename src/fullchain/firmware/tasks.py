"""Kinds of trained networks by name."""

from collections.abc import Mapping
from typing import Any

from pydantic import ValidationError

from fullchain.errors import InputError
from fullchain.firmware import anomaly_task, classification
from fullchain.firmware.network_settings import TrainedNetworkSettings
from fullchain.firmware.task import Task

TASKS: Mapping[str, Task] = {
    "network": classification.TASK,
    "anomaly": anomaly_task.LATENT,
    "autoencoder": anomaly_task.AUTOENCODER,
}


def settings_of(values: Mapping[str, Any], where: str) -> TrainedNetworkSettings:
    """Give the settings of a trained network of any kind.

    Raises
    ------
    InputError
        They are none; says where.
    """
    kind = values.get("kind", "network")
    if kind not in TASKS:
        raise InputError(
            f"{where}: kind {kind} is not one that is trained here ({', '.join(sorted(TASKS))})"
        )
    try:
        found = TASKS[kind].settings.model_validate(values)
    except ValidationError as problem:
        reasons = "; ".join(
            f"{'.'.join(map(str, error['loc']))}: {error['msg']}" for error in problem.errors()
        )
        raise InputError(f"{where}: {reasons}") from None
    assert isinstance(found, TrainedNetworkSettings)
    return found


def of(settings: TrainedNetworkSettings) -> Task:
    """Give what belongs to the kind of these settings."""
    return TASKS[settings.kind]

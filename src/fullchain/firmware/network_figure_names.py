"""Names of the figures of networks."""

from collections.abc import Mapping
from typing import Any

BITS, PROGRESS, TRAINING = "network_bits", "network_progress", "network_training"


def network_figure_names(models: Mapping[str, Mapping[str, Any]]) -> list[str]:
    """Give names for the raw settings of trained models, by name.

    One of each model, and of each point those of bits and, where it is trained, of the training.
    """
    found = []
    for model, values in models.items():
        found.append(f"{TRAINING}_{model}")
        for point, how in values["points"].items():
            found.append(f"{BITS}_{model}_{point}")
            if how.get("method", "aware") == "aware":
                found.append(f"{PROGRESS}_{model}_{point}")
    return found

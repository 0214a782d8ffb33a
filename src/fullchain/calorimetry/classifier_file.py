"""Files of trained classifiers of showers."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from fullchain.calorimetry import geometry
from fullchain.calorimetry.classifier_inputs import inputs
from fullchain.calorimetry.classifier_network import ShowerClassifier
from fullchain.calorimetry.classifier_settings import ClassifierSettings
from fullchain.calorimetry.classifier_training import Isotonic, Trained, plan, probability
from fullchain.calorimetry.geometry import Geometry
from fullchain.calorimetry.shower_file import Showers
from fullchain.learning import torch_file
from fullchain.learning.training import History

Array = NDArray[Any]

FORMAT = 1


@dataclass(frozen=True)
class Judges:
    """Trained classifiers, by level.

    Parameters
    ----------
    networks
        With their calibration.
    settings
        Of the training.
    geometry
        Voxels of the showers.
    threshold
        Of features [MeV].
    """

    networks: Mapping[str, Trained]
    settings: ClassifierSettings
    geometry: Geometry
    threshold: float

    def probability(self, showers: Showers, level: str) -> Array:
        """Give calibrated probabilities that showers are simulated ones, (n)."""
        assert level in ("low", "high")
        values = inputs(showers, self.geometry, level, self.settings.features, self.threshold)  # type: ignore[arg-type]
        threads = self.settings.training.threads
        return probability(self.networks[level], values, threads)[1]


def write(
    path: Path,
    networks: Mapping[str, Trained],
    settings: ClassifierSettings,
    xml: str,
    threshold: float,
) -> None:
    """Write the file."""
    torch_file.write(
        path,
        {
            "format": FORMAT,
            "settings": settings.model_dump_json(),
            "geometry": xml,
            "threshold": threshold,
            "levels": {
                level: {
                    "state": trained.network.state_dict(),
                    "learned": torch.from_numpy(trained.calibration.learned),
                    "right": torch.from_numpy(trained.calibration.right),
                    "ends": [trained.calibration.lowest, trained.calibration.highest],
                }
                for level, trained in networks.items()
            },
        },
    )


def read(path: Path) -> Judges:
    """Read what `write` wrote.

    Raises
    ------
    InputError
        It is no such file.
    """
    content = torch_file.read_format(
        path, FORMAT, "classifiers of showers", "run calorimetry classify", "classify again"
    )
    settings = ClassifierSettings.model_validate_json(content["settings"])
    layers, _, kind = plan(settings)
    networks = {}
    for level, found in content["levels"].items():
        network = ShowerClassifier(len(found["state"]["mean"]), layers).to(kind)
        network.load_state_dict(found["state"])
        network.eval()
        calibration = Isotonic(
            np.asarray(found["learned"]), np.asarray(found["right"]), *found["ends"]
        )
        networks[level] = Trained(network, calibration, History())
    return Judges(
        networks, settings, geometry.parse(content["geometry"], str(path)), content["threshold"]
    )

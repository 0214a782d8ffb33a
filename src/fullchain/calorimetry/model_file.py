"""A model of showers on disk: `model.pt`, with everything that is needed to draw from it."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pydantic import TypeAdapter, ValidationError

from fullchain.calorimetry import geometry
from fullchain.calorimetry.model_settings import ShowerModelSettings
from fullchain.calorimetry.models import build
from fullchain.calorimetry.preprocessing import Preprocessing
from fullchain.calorimetry.shower_model import ShowerModel
from fullchain.errors import InputError
from fullchain.learning import torch_file

FORMAT = 1
"""Raised when the content changes, so that an old file is not misread."""

_SETTINGS: TypeAdapter[ShowerModelSettings] = TypeAdapter(ShowerModelSettings)


def settings_of(values: Mapping[str, Any], where: str) -> ShowerModelSettings:
    """Give the settings of a model of any kind. Raises InputError where they are none."""
    try:
        return _SETTINGS.validate_python(values)
    except ValidationError as problem:
        reasons = "; ".join(
            f"{'.'.join(map(str, error['loc']))}: {error['msg']}" for error in problem.errors()
        )
        raise InputError(f"{where}: {reasons}") from None


def write(
    path: Path,
    model: ShowerModel,
    settings: ShowerModelSettings,
    extra: Mapping[str, Any] | None = None,
) -> None:
    """Write weights, what the preprocessing measured, geometry and settings.

    Parameters
    ----------
    extra
        Plain values and tensors that belong to the model, such as its name.
    """
    content = {
        "format": FORMAT,
        "settings": settings.model_dump(mode="json"),
        "geometry": geometry.as_xml(model.preprocessing.geometry),
        "state": {name: tensor.cpu() for name, tensor in model.state_dict().items()},
        "extra": dict(extra or {}),
    }
    torch_file.write(path, content)


def read(path: Path) -> tuple[ShowerModel, ShowerModelSettings, dict[str, Any]]:
    """Read a model, ready to draw from, its settings, and what else was written.

    Raises
    ------
    InputError
        There is no such file, or it is none of a model of showers.
    """
    content = torch_file.read_format(
        path, FORMAT, "a model of showers", "train it first", "train again"
    )
    try:
        settings = settings_of(content["settings"], str(path))
        voxels = geometry.parse(content["geometry"], f"{path}, geometry")
        model = build(settings, Preprocessing(voxels, settings.preprocessing))
        model.load_state_dict(content["state"])
    except (KeyError, TypeError, RuntimeError) as problem:
        reason = str(problem).strip().splitlines()[0]
        raise InputError(
            f"{path}: not the weights of this model of showers ({reason}); train again"
        ) from None
    model.eval()
    return model, settings, content["extra"]

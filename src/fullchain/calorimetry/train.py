"""Train a model of showers.

The state after each epoch is kept in `checkpoint.pt` beside the model until training ends, so that
the same command goes on where it was killed.
"""

import json
from pathlib import Path
from typing import Annotated, Any

import torch

from fullchain.atomic import write_text
from fullchain.calorimetry import geometry as geometries
from fullchain.calorimetry import model_file, shower_file
from fullchain.calorimetry.averaged import parameters_in_use
from fullchain.calorimetry.model_settings import ShowerModelSettings
from fullchain.calorimetry.models import FITS, build
from fullchain.calorimetry.parts import Parts
from fullchain.calorimetry.preprocessing import Preprocessing
from fullchain.calorimetry.shower_model import ShowerModel, objective
from fullchain.calorimetry.training_parts import below_threshold, training_and_validation
from fullchain.dag.closure import code
from fullchain.errors import InputError
from fullchain.learning import device
from fullchain.learning.checkpoint import of_training
from fullchain.learning.training import Resumption, initialised
from fullchain.learning.training import train as run
from fullchain.seeds import derive
from fullchain.step import Given, Input, Option, Output


def main(
    *,
    showers: Annotated[Path, Input("training showers, HDF5")],
    geometry: Annotated[Path, Input("their voxels, XML")],
    model: Annotated[str, Option("name of the model in calorimetry.models")],
    trained: Annotated[Path, Output("the model: weights, preprocessing, geometry, settings")],
    history: Annotated[Path, Output("loss per epoch and numbers of showers, JSON")],
    settings: Given,
) -> None:
    """Read showers, train, write the model of the best epoch.

    Raises
    ------
    InputError
        The file does not have showers of the geometry, or training failed.
    """
    how = model_file.settings_of(
        settings[f"calorimetry.models.{model}"], f"calorimetry.models.{model}"
    )
    voxels = geometries.load(str(geometry))
    seed = derive(settings.seed, "calorimetry", model)
    try:
        everything = shower_file.read(showers, voxels)
        training, validation = training_and_validation(everything, voxels, how, seed)
    except InputError as problem:
        raise InputError(f"{showers}: {problem}") from None
    faint = below_threshold(everything, how.preprocessing.threshold, how.showers)
    place = device.choose(how.training.device).type
    identity = {"code": code("calorimetry.train"), "model": model}
    parts = {"training": training.columns(), "validation": validation.columns()}
    resumption = Resumption(
        trained.with_name("checkpoint.pt"),
        of_training(identity, settings.values, place, parts),
    )
    preprocessing = Preprocessing(voxels, how.preprocessing)
    with device.repeatable(how.training.threads):
        noise = torch.Generator().manual_seed(derive(seed, "measure"))
        preprocessing.measure(training, noise)
    fit = FITS.get(how.kind, _fit)
    fitted, record = fit(how, preprocessing, training, validation, seed, resumption)
    model_file.write(trained, fitted, how, {"model": model, "leave_out": list(how.leave_out)})
    content = {
        "model": model,
        "kind": how.kind,
        "showers": how.showers,
        "leave_out": list(how.leave_out),
        "parameters": parameters_in_use(fitted),
        "rows": {name: len(part["incident"]) for name, part in parts.items()},
        "below_threshold": faint,
        "empty_showers": int((~everything.voxels.any(axis=1)).sum()),
        "device": place,
        **record,
    }
    write_text(history, json.dumps(content, indent=1, allow_nan=False) + "\n")
    # A model that is trained in parts keeps one of each part.
    for kept in trained.parent.glob(f"{resumption.path.name}*"):
        kept.unlink()


def _fit(
    how: ShowerModelSettings,
    preprocessing: Preprocessing,
    training: Parts,
    validation: Parts,
    seed: int,
    resumption: Resumption,
) -> tuple[ShowerModel, dict[str, Any]]:
    with device.repeatable(how.training.threads):
        fitted = initialised(seed, lambda: build(how, preprocessing))
    assert isinstance(fitted, ShowerModel)
    columns = training.columns(), validation.columns()
    record = run(
        fitted,
        objective,
        *columns,
        how.training,
        seed=seed,
        resumption=resumption,
        description=f"training the model ({how.kind})",
    )
    return fitted, record.as_dict()

"""Teach a model that gives samples faster by a trained one.

The state after each epoch is kept in `checkpoint.pt` beside the model until training ends, so that
the same command goes on where it was killed.
"""

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Annotated, Any

from fullchain.atomic import write_text
from fullchain.calorimetry import bespoke, model_file, shower_file, student
from fullchain.calorimetry import geometry as geometries
from fullchain.calorimetry.averaged import parameters_in_use
from fullchain.calorimetry.geometry import Geometry
from fullchain.calorimetry.shower_model import ShowerModel
from fullchain.calorimetry.training_parts import below_threshold, training_and_validation
from fullchain.dag.closure import code
from fullchain.errors import InputError
from fullchain.learning import device
from fullchain.learning.checkpoint import of_training
from fullchain.learning.training import Resumption
from fullchain.seeds import derive
from fullchain.step import Given, Input, Option, Output

STUDENTS: Mapping[str, Callable[..., tuple[ShowerModel, dict[str, Any]]]] = {
    "bespoke": bespoke.fit,
    "student": student.fit,
}
"""What trains each kind: (settings, teacher, training, validation, seed, resumption) -> the model
and its history. What a model took from its teacher stands in its `settings`."""


def main(
    *,
    showers: Annotated[Path, Input("training showers, HDF5")],
    geometry: Annotated[Path, Input("their voxels, XML")],
    teacher: Annotated[Path, Input("trained model to learn from")],
    model: Annotated[str, Option("name of the model in calorimetry.models")],
    trained: Annotated[Path, Output("the model: weights, preprocessing, geometry, settings")],
    history: Annotated[Path, Output("terms of the loss per epoch and numbers of showers, JSON")],
    settings: Given,
) -> None:
    """Read teacher and showers, train, write the model of the best epoch.

    Raises
    ------
    InputError
        Model and teacher do not go together, the teacher has another geometry, the showers are not
        of that geometry, or training failed.
    """
    path = f"calorimetry.models.{model}"
    how = model_file.settings_of(settings[path], path)
    if how.kind not in STUDENTS:
        raise InputError(
            f"{path}: kind {how.kind!r} has no teacher; kinds with one are {', '.join(STUDENTS)}"
        )
    voxels = geometries.load(str(geometry))
    known, taught, extra = model_file.read(teacher)
    check_geometry(known.preprocessing.geometry, voxels, str(teacher), str(geometry))
    seed = derive(settings.seed, "calorimetry", model)
    try:
        everything = shower_file.read(showers, voxels)
        training, validation = training_and_validation(everything, voxels, how, seed)
    except InputError as problem:
        raise InputError(f"{showers}: {problem}") from None
    faint = below_threshold(everything, known.preprocessing.settings.threshold, how.showers)
    place = device.choose(how.training.device).type
    identity = {"code": code("calorimetry.distil"), "model": model}
    parts = {
        "teacher": dict(known.state_dict()),
        "training": training.columns(),
        "validation": validation.columns(),
    }
    resumption = Resumption(
        trained.with_name("checkpoint.pt"),
        of_training(identity, settings.values, place, parts),
    )
    try:
        fitted, record = STUDENTS[how.kind](how, known, training, validation, seed, resumption)
    except InputError as problem:
        raise InputError(f"{path}, teacher {teacher} (kind {taught.kind}): {problem}") from None
    complete = getattr(fitted, "settings", how)
    named = {"model": model, "teacher": extra.get("model"), "leave_out": list(how.leave_out)}
    model_file.write(trained, fitted, complete, named)
    content = {
        **named,
        "kind": how.kind,
        "showers": how.showers,
        "parameters": parameters_in_use(fitted),
        "below_threshold": faint,
        "rows": {"training": len(training.incident), "validation": len(validation.incident)},
        "device": place,
        **record,
    }
    write_text(history, json.dumps(content, indent=1, allow_nan=False) + "\n")
    # A model that is trained in parts keeps one of each part.
    for kept in trained.parent.glob(f"{resumption.path.name}*"):
        kept.unlink()


def check_geometry(teacher: Geometry, showers: Geometry, first: str, second: str) -> None:
    """Check that a teacher and showers have the same voxels.

    Raises
    ------
    InputError
        They have not; names both.
    """
    if teacher.layers != showers.layers:
        raise InputError(
            f"{first} was trained on the geometry {described(teacher)}, {second} is "
            f"{described(showers)}: give a teacher of the same geometry"
        )


def described(geometry: Geometry) -> str:
    """Give name and sizes, for messages."""
    return f"{geometry.name!r} ({len(geometry.layers)} layers, {geometry.voxels} voxels)"

"""Grow the boosted trees of a model on trigger jets."""

import json
from pathlib import Path
from typing import Annotated

from fullchain.atomic import write_text
from fullchain.firmware import forest_file
from fullchain.firmware.forest_settings import ForestSettings
from fullchain.firmware.tree_growth import forest_of
from fullchain.firmware.trigger_jets import labelled
from fullchain.firmware.validation_performance import judge_classes
from fullchain.learning.parts_settings import PartsSettings
from fullchain.learning.split import TRAIN, VALIDATION
from fullchain.seeds import derive
from fullchain.step import Given, Input, Option, Output
from fullchain.tagging.class_settings import classes_of


def main(
    *,
    jets: Annotated[list[Path], Input("trigger jets of all samples, HDF5")],
    model: Annotated[str, Option("name of the model in firmware.models")],
    trained: Annotated[Path, Output("trees, JSON")],
    history: Annotated[Path, Output("losses, size and performance, JSON")],
    settings: Given,
) -> None:
    """Read jets, grow trees, write them and how good they are in floating point.

    How good their fixed-point versions are is written by `convert_trees`.
    """
    chosen = settings.model(f"firmware.models.{model}", ForestSettings)
    parts = settings.model("firmware.split", PartsSettings)
    classes = classes_of(settings["firmware.classes"])
    everything = labelled(jets, classes, parts.validation, parts.test, settings.seed)
    training, validation = everything.with_class(TRAIN), everything.with_class(VALIDATION)
    seed = derive(settings.seed, "firmware", model, "trees")
    quantities = (
        training.jets.quantities(chosen.features, 0),
        validation.jets.quantities(chosen.features, 0),
    )
    names = tuple(classes)
    forest, losses = forest_of(
        quantities, (training.target, validation.target), names, chosen, seed
    )
    scores = forest.evaluate(forest.inputs_of(quantities[1]))
    content = {
        "model": model,
        "kind": "trees",
        "algorithm": chosen.algorithm,
        "classes": list(names),
        "jets": {"train": len(training.target), "validation": len(validation.target)},
        "loss": losses,
        "rounds": len(forest.rounds),
        "trees": len(forest.trees),
        "cuts": forest.cuts,
        "depth": forest.depth,
        "float": judge_classes(
            scores, validation.target, validation.events, names, chosen.replicas, seed
        ),
    }
    forest_file.write(trained, forest, {"model": model})
    write_text(history, json.dumps(content, indent=1, allow_nan=False) + "\n")

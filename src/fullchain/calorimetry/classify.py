"""Train classifiers to tell generated showers from simulated ones, and say how well they do."""

import json
from pathlib import Path
from typing import Annotated, Any, Literal

from fullchain.atomic import write_text
from fullchain.calorimetry import classifier_file, geometry, shower_file
from fullchain.calorimetry.classifier_inputs import check_pair, inputs
from fullchain.calorimetry.classifier_judgement import judge
from fullchain.calorimetry.classifier_settings import TREES, ClassifierSettings
from fullchain.calorimetry.classifier_training import Rows, Trained, parts, plan
from fullchain.calorimetry.classifier_trees import judge_by_trees
from fullchain.seeds import derive, stream
from fullchain.step import Given, Input, Option, Output


def main(
    *,
    name: Annotated[str, Option("of what is judged, such as that of the model")],
    showers_set: Annotated[str, Option("name of the set of showers that both are of")],
    generated: Annotated[Path, Input("showers that are judged, HDF5")],
    test: Annotated[Path, Input("showers of the full simulation to compare with, HDF5")],
    geometry_xml: Annotated[Path, Input("voxels of both, XML")],
    threshold: Annotated[
        float, Option("energy below which a voxel is empty in features [MeV]")
    ] = 0.0,
    role: Annotated[
        Literal["model", "reference"],
        Option("reference: independent showers of the full simulation, the floor"),
    ] = "model",
    output: Annotated[Path, Output("AUC, divergence, calibration of each level, JSON")],
    model: Annotated[Path, Output("networks and their calibration, torch file")],
    settings: Given,
) -> None:
    """Train at each level, judge, write."""
    chosen = settings.model("calorimetry.classifiers", ClassifierSettings)
    voxels = geometry.load(str(geometry_xml))
    files = [shower_file.read(path, voxels) for path in (generated, test)]
    number = min(len(files[0]), len(files[1]), chosen.showers or len(files[0]))
    made, simulated = (showers.select(slice(number)) for showers in files)
    check_pair(made, simulated, (str(generated), str(test)))
    # Not of the name: all models are judged with the same division and the same starts.
    random = stream(settings.seed, "calorimetry", "classify")
    some = parts(number, number, chosen.validation, chosen.test, random)
    levels: dict[str, Any] = {}
    networks: dict[str, Trained] = {}
    for level in chosen.levels:
        rows = Rows.joined(
            *(
                inputs(showers, voxels, level, chosen.features, threshold)
                for showers in (simulated, made)
            )
        )
        seed = derive(settings.seed, "calorimetry", "classify", level)
        levels[level], networks[level] = judge(rows, some, chosen, seed, f"{name}, {level} level")
        if chosen.trees:
            levels[level + TREES] = judge_by_trees(rows, some, chosen, seed)
    layers, training, kind = plan(chosen)
    content = {
        "name": name,
        "set": showers_set,
        "role": role,
        "mode": chosen.mode,
        "layers": list(layers),
        "epochs": training.epochs,
        "precision": str(kind).removeprefix("torch."),
        "standardised": chosen.mode == "lite",
        "geometry": {"name": voxels.name, "voxels": voxels.voxels},
        "showers": {"of_each_kind": number, "training": len(some[0]), "test": len(some[2])},
        "levels": levels,
    }
    write_text(output, json.dumps(content, indent=1, allow_nan=False) + "\n")
    classifier_file.write(model, networks, chosen, geometry.as_xml(voxels), threshold)

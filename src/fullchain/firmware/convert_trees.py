"""Turn trees into C++, HLS and VHDL by conifer, and compare each emulation bit by bit."""

import json
import tempfile
from importlib.metadata import version
from pathlib import Path
from typing import Annotated, Any

import numpy as np

from fullchain.atomic import atomic, write_text
from fullchain.errors import InputError
from fullchain.firmware import conifer_project, forest_file, ghdl, project_archive
from fullchain.firmware import stimuli as vectors
from fullchain.firmware import tree_synthesis as synthesis
from fullchain.firmware.forest import FixedForest, Forest, quantised
from fullchain.firmware.forest_settings import ForestPointSettings, ForestSettings
from fullchain.firmware.jet_vectors import jet_vectors
from fullchain.firmware.stimuli import Stimuli
from fullchain.firmware.stimuli_settings import StimuliSettings
from fullchain.firmware.trigger_jets import Labelled, labelled
from fullchain.firmware.validation_performance import judge_classes
from fullchain.learning.parts_settings import PartsSettings
from fullchain.learning.split import VALIDATION
from fullchain.seeds import derive, stream
from fullchain.step import Given, Input, Option, Output
from fullchain.tagging.class_settings import classes_of


def main(
    *,
    trained: Annotated[Path, Input("trees, JSON")],
    jets: Annotated[list[Path], Input("trigger jets of all samples, HDF5")],
    model: Annotated[str, Option("name of the model in firmware.models")],
    point: Annotated[str, Option("name of the fixed-point version")],
    stimuli: Annotated[Path, Output("inputs and expected outputs, HDF5")],
    archive: Annotated[Path, Output("C++, HLS and VHDL projects, tar.gz")],
    outputs: Annotated[Path, Output("outputs of the C++ emulation, HDF5")],
    report: Annotated[Path, Output("comparisons, performance, latency and resources, JSON")],
    settings: Given,
) -> None:
    """Read trees and jets, write vectors, projects, outputs of the emulation and report."""
    chosen = settings.model(f"firmware.models.{model}.points.{point}", ForestPointSettings)
    wanted = settings.model("firmware.stimuli", StimuliSettings)
    parts = settings.model("firmware.split", PartsSettings)
    classes = classes_of(settings["firmware.classes"])
    forest, _ = forest_file.read(trained)
    if forest.classes != tuple(classes):
        raise InputError(f"{trained}: trees of other classes than firmware.classes; grow again")
    fixed = quantised(forest, chosen.input_bits, chosen.score_bits, chosen.score_integer)
    everything = labelled(jets, classes, parts.validation, parts.test, settings.seed)
    generator = stream(settings.seed, "firmware", model, "stimuli")
    made = jet_vectors(fixed.inputs, 0, fixed.evaluate, everything, wanted, generator)
    replicas = settings.model(f"firmware.models.{model}", ForestSettings).replicas
    seed = derive(settings.seed, "firmware", model, "trees")
    content: dict[str, Any] = {
        "model": model,
        "point": point,
        "tool": "conifer",
        "version": version("conifer"),
        "input_bits": chosen.input_bits,
        "score_bits": chosen.score_bits,
        "score_integer": int(fixed.score.integer[0]),
        "rounds": len(forest.rounds),
        "trees": len(forest.trees),
        "cuts": forest.cuts,
        "depth": forest.depth,
        "saturated_thresholds": fixed.saturated,
        "performance": _performance(forest, fixed, everything, replicas, seed),
        "emulations": {},
    }
    found = made.outputs
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        models = {
            name: conifer_project.write(
                fixed, backend, folder / "project" / name, chosen.part, chosen.clock_period
            )
            for name, backend in (("cpp", "cpp"), ("hls", "xilinxhls"), ("vhdl", "vhdl"))
        }
        packed = project_archive.packed(folder / "project")
        for name in ("cpp", "hls") if chosen.emulate_hls else ("cpp",):
            place = folder / "project" / name
            one = conifer_project.emulated(models[name], fixed, made.inputs, place)
            content["emulations"][name] = vectors.comparison(made.outputs, one, made.origin)
            found = one if name == "cpp" else found
        if chosen.simulate_vhdl or chosen.synthesise:
            place = folder / "project" / "vhdl"
            ghdl.analyse(place, len(classes))
            content["vhdl"] = {"tool": "GHDL", "version": ghdl.version()}
            if chosen.simulate_vhdl:
                content["emulations"]["vhdl"] = _simulated(fixed, made, place, chosen.vhdl_vectors)
                content["vhdl"] |= {"latency": ghdl.latency(place), "initiation_interval": 1}
            if chosen.synthesise:
                where = f"model {model}, point {point}"
                content["synthesis"] = synthesis.synthesise(place, chosen.family, where)
    if chosen.require_equal:
        _require_equal(content["emulations"], f"model {model}, point {point}")
    vectors.write(stimuli, made)
    vectors.write_outputs(outputs, found, "conifer")
    with atomic(archive) as unfinished:
        unfinished.write_bytes(packed)
    write_text(report, json.dumps(content, indent=1, allow_nan=False) + "\n")


def _performance(
    forest: Forest, fixed: FixedForest, jets: Labelled, replicas: int, seed: int
) -> dict[str, Any]:
    """Give accuracy and AUC on the validation part, in floating point and quantised."""
    validation = jets.with_class(VALIDATION)
    quantities = validation.jets.quantities(forest.names, 0)
    scores = {
        "float": forest.evaluate(forest.inputs_of(quantities)),
        "quantised": fixed.evaluate(fixed.inputs.quantise(quantities)),
    }
    return {
        name: judge_classes(
            values, validation.target, validation.events, forest.classes, replicas, seed
        )
        for name, values in scores.items()
    }


def _simulated(fixed: FixedForest, made: Stimuli, folder: Path, most: int) -> dict[str, Any]:
    number = min(most, len(made.inputs))
    rows = np.linspace(0, len(made.inputs) - 1, number).round().astype(int)
    steps = np.round(made.inputs[rows] / fixed.inputs.format.step[0]).astype(np.int64)
    found = ghdl.simulate(folder, steps) * fixed.score.step[0]
    return vectors.comparison(made.outputs[rows], found, made.origin[rows])


def _require_equal(emulations: dict[str, dict[str, Any]], where: str) -> None:
    for name, one in emulations.items():
        if one["mismatches"]:
            raise InputError(
                f"{where}: the {name} emulation of conifer differs from the fixed-point trees in "
                f"{one['mismatches']} of {one['vectors']} vectors, by up to "
                f"{one['largest_difference']:g}; set require_equal of the point to false to see "
                "the numbers"
            )

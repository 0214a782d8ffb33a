"""Weight generated showers by a discriminator, and say what that changes."""

import json
from pathlib import Path
from typing import Annotated, Any

import numpy as np
from numpy.typing import NDArray

from fullchain.atomic import write_text
from fullchain.calorimetry import (
    feature_bins,
    features,
    geometry,
    reweighting,
    shower_file,
    weight_file,
    weighted_features,
)
from fullchain.calorimetry.classifier_inputs import check_pair, inputs
from fullchain.calorimetry.classifier_judgement import judge
from fullchain.calorimetry.classifier_settings import TREES, Level, Seen
from fullchain.calorimetry.classifier_training import Rows, parts
from fullchain.calorimetry.classifier_trees import judge_by_trees
from fullchain.calorimetry.control_settings import ControlSettings
from fullchain.calorimetry.geometry import Geometry
from fullchain.calorimetry.shower_file import Showers
from fullchain.seeds import derive, stream
from fullchain.step import Given, Input, Option, Output

Array = NDArray[Any]

WEIGHT_EDGES = np.linspace(-3.0, 3.0, 61)
"""Of the histogram of log10 w."""

QUANTILES = (0.01, 0.16, 0.5, 0.84, 0.99)


def main(
    *,
    name: Annotated[str, Option("of the model")],
    showers_set: Annotated[str, Option("name of the set of showers that both are of")],
    generated: Annotated[Path, Input("showers of the model, HDF5")],
    test: Annotated[Path, Input("showers of the full simulation, HDF5")],
    geometry_xml: Annotated[Path, Input("voxels of both, XML")],
    threshold: Annotated[
        float, Option("energy below which a voxel is empty in features [MeV]")
    ] = 0.0,
    output: Annotated[Path, Output("weights, distributions, AUC before and after, JSON")],
    resampled: Annotated[
        Path | None, Output("generated showers that are accepted with their weights, HDF5")
    ] = None,
    weights: Annotated[
        Path | None,
        Output("weights and incident energies of the showers, in the order of the sample, HDF5"),
    ] = None,
    settings: Given,
) -> None:
    """Find weights, compare distributions, judge again, write."""
    chosen = settings.model("calorimetry.control", ControlSettings)
    voxels = geometry.load(str(geometry_xml))
    files = [shower_file.read(path, voxels) for path in (generated, test)]
    number = min(len(files[0]), len(files[1]), chosen.classifier.showers or len(files[0]))
    made, simulated = (showers.select(slice(number)) for showers in files)
    check_pair(made, simulated, (str(generated), str(test)))
    seed = derive(settings.seed, "calorimetry", "control")
    log_ratio = reweighting.log_ratios(
        _rows(simulated, made, voxels, chosen.level, chosen, threshold),
        chosen.folds,
        chosen.discriminator,
        chosen.calibration,
        chosen.classifier,
        seed,
        name,
    )
    raw = reweighting.weights(log_ratio[number:], made.energies, chosen.energy_groups)
    weight = reweighting.clipped(raw, chosen.maximum, made.energies, chosen.energy_groups)
    random = stream(settings.seed, "calorimetry", "control", "resampling")
    kept = reweighting.accepted(raw, chosen.maximum, random)
    content = {
        "name": name,
        "set": showers_set,
        "discriminator": chosen.discriminator,
        "level": chosen.level,
        "mode": chosen.classifier.mode,
        "folds": chosen.folds,
        "calibration": chosen.calibration,
        "geometry": {"name": voxels.name, "voxels": voxels.voxels},
        "showers": number,
        "weights": _described(log_ratio[:number], log_ratio[number:], raw, weight),
        "features": _features(simulated, made, weight, voxels, chosen, threshold, seed),
        "levels": {
            name: found
            for level in chosen.classifier.levels
            for name, found in _judged(
                simulated, made, weight, voxels, level, chosen, threshold, settings.seed
            ).items()
        },
        "resampling": {
            "maximum": chosen.maximum,
            "accepted": len(kept.rows),
            "efficiency": [
                kept.efficiency,
                float(np.sqrt(kept.efficiency * (1.0 - kept.efficiency) / number)),
            ],
            "weight_beyond": kept.beyond,
        },
    }
    if resampled is not None:
        shower_file.write(resampled, made.select(kept.rows))
    if weights is not None:
        weight_file.write(weights, made.energies, raw, weight, chosen.maximum)
    write_text(output, json.dumps(content, indent=1, allow_nan=False) + "\n")


def _rows(
    simulated: Showers,
    made: Showers,
    voxels: Geometry,
    level: Seen,
    chosen: ControlSettings,
    threshold: float,
    weight: Array | None = None,
) -> Rows:
    which = chosen.classifier.features
    both = [inputs(one, voxels, level, which, threshold) for one in (simulated, made)]
    return Rows.joined(both[0], both[1], weight)


def _described(
    of_simulated: Array, of_generated: Array, raw: Array, weight: Array
) -> dict[str, Any]:
    """Distribution of weights as the discriminator gives them, and what they are worth."""
    unscaled = np.exp(of_generated)
    found: dict[str, Any] = {
        "edges_log10": WEIGHT_EDGES.tolist(),
        # One for a ratio of densities.
        "mean": [float(unscaled.mean()), float(unscaled.std(ddof=1) / np.sqrt(len(unscaled)))],
        "effective_number": reweighting.effective_number(raw),
        "effective_number_clipped": reweighting.effective_number(weight),
        "largest": float(raw.max()),
    }
    low, high = WEIGHT_EDGES[0], WEIGHT_EDGES[-1]
    for name, values in (("simulated", of_simulated), ("generated", of_generated)):
        # What lies beyond counts in the outermost bins.
        inside = np.clip(values / np.log(10.0), low, high)
        counts = np.histogram(inside, WEIGHT_EDGES)[0]
        found[name] = {
            "parts": (counts / len(values)).tolist(),
            "errors": (np.sqrt(counts) / len(values)).tolist(),
            "quantiles": {
                f"{part:g}": float(np.exp(np.quantile(values, part))) for part in QUANTILES
            },
        }
    return found


def _features(
    simulated: Showers,
    made: Showers,
    weight: Array,
    voxels: Geometry,
    chosen: ControlSettings,
    threshold: float,
    seed: int,
) -> dict[str, Any]:
    expected = features.features(simulated, voxels, threshold)
    found = features.features(made, voxels, threshold)
    return {
        name: weighted_features.compared(
            values,
            found[name],
            weight,
            feature_bins.edges(name, values, voxels, threshold),
            chosen.replicas,
            derive(seed, "features"),
        )
        for name, values in expected.items()
    }


def _judged(
    simulated: Showers,
    made: Showers,
    weight: Array,
    voxels: Geometry,
    level: Level,
    chosen: ControlSettings,
    threshold: float,
    seed: int,
) -> dict[str, Any]:
    """AUC and divergence of new classifiers before and after, as `classify` finds them."""
    how = chosen.classifier
    own_seed = derive(seed, "calorimetry", "classify", level)
    random = stream(seed, "calorimetry", "classify")
    some = parts(len(simulated), len(made), how.validation, how.test, random)
    found: dict[str, Any] = {}
    for when, own in (("before", None), ("after", weight)):
        rows = _rows(simulated, made, voxels, level, chosen, threshold, own)
        text = f"{level} level, {when} weighting"
        judged: dict[str, Any] = {level: judge(rows, some, how, own_seed, text)[0]}
        if how.trees:
            judged[level + TREES] = judge_by_trees(rows, some, how, own_seed)
        for name, one in judged.items():
            kept = {key: one[key] for key in ("auc", "jsd", "auc_uncalibrated", "scores")}
            found.setdefault(name, {})[when] = kept
    return found

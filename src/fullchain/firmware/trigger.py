"""Find the rates, efficiencies and turn-ons of triggers on the scores of a model."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any

import numpy as np
from numpy.typing import NDArray

from fullchain.atomic import write_text
from fullchain.errors import InputError
from fullchain.firmware import stimuli as test_vectors
from fullchain.firmware import trigger_scores
from fullchain.firmware.float_scores import float_scores
from fullchain.firmware.implementation_names import FLOAT, LEVEL1, QUANTISED
from fullchain.firmware.model_kinds import ANOMALY_SCORES
from fullchain.firmware.stimuli import Stimuli
from fullchain.firmware.trigger_events import (
    events,
    level1_pt,
    normalise,
    read_generated,
)
from fullchain.firmware.trigger_jets import Labelled, labelled
from fullchain.firmware.trigger_judgement import (
    Candidates,
    Ranking,
    Replicas,
    curve_targets,
    differences,
    judge,
    ranking,
    resample,
    targets,
)
from fullchain.firmware.trigger_settings import PT_TRIGGER, TriggerSettings
from fullchain.firmware.vectors_of_jets import check_vectors
from fullchain.learning.parts_settings import PartsSettings
from fullchain.learning.split import TEST
from fullchain.seeds import derive
from fullchain.step import Given, Input, Option, Output
from fullchain.tagging.class_settings import classes_of

Array = NDArray[np.float64]

ANOMALY_TRIGGER = "anomaly"
"""Name of the only trigger of an anomaly model."""


def main(
    *,
    model: Annotated[str, Option("name of the model in firmware.models")],
    point: Annotated[str, Option("name of the quantisation")],
    stimuli: Annotated[Path, Input("test vectors of the point, HDF5")],
    jets: Annotated[list[Path], Input("trigger jets of all samples, HDF5")],
    outputs: Annotated[list[Path], Input("what implementations made of the vectors, HDF5")] = [],  # noqa: B006
    trained: Annotated[
        list[Path], Input("model before it was quantised: float.pt, or forest.json")
    ] = [],  # noqa: B006
    manifests: Annotated[
        list[Path], Input("manifests with cross sections, of ntuples or jets, JSON")
    ] = [],  # noqa: B006
    report: Annotated[Path, Output("thresholds, efficiencies, curves, turn-ons, JSON")],
    settings: Given,
) -> None:
    """Read jets and what implementations made of them, write what triggers would do."""
    chosen = settings.model("firmware.trigger", TriggerSettings)
    parts = settings.model("firmware.split", PartsSettings)
    classes = classes_of(settings["firmware.classes"])
    everything = labelled(jets, classes, parts.validation, parts.test, settings.seed)
    vectors = test_vectors.read(stimuli)
    tested = everything.where(everything.part == TEST)
    check_vectors(tested, vectors, stimuli)
    candidates = _candidates(tested, everything, manifests, chosen)

    implementations = _implementations(vectors, outputs)
    kind = str(settings[f"firmware.models.{model}.kind"])
    for path in trained:
        implementations = {FLOAT: float_scores(kind, path, tested.jets), **implementations}
    inputs = vectors.inputs[: vectors.jets]
    seed = derive(settings.seed, "firmware", "trigger")
    scores = {
        name: _scores(own, inputs, kind, list(classes), chosen)
        for name, own in implementations.items()
    }
    of_triggers: dict[str, dict[str, Array]] = {PT_TRIGGER: {LEVEL1: level1_pt(tested.jets)}}
    for trigger in scores[QUANTISED]:
        of_triggers[trigger] = {name: one[trigger] for name, one in scores.items()}
    content = {
        "model": model,
        "point": point,
        "kind": kind,
        "settings": chosen.model_dump(mode="json"),
        **_about(candidates),
        "triggers": {
            name: _judged(values, candidates, chosen, seed) for name, values in of_triggers.items()
        },
    }
    write_text(report, json.dumps(content, indent=1, allow_nan=False) + "\n")


def _candidates(
    tested: Labelled, everything: Labelled, manifests: Sequence[Path], chosen: TriggerSettings
) -> Candidates:
    found, complete = events(tested), events(everything)
    background = found.of(chosen.background, "firmware.trigger.background")
    generated = read_generated(manifests)
    sums = {
        name: float(complete.weight[complete.sample == number].sum())
        for number, name in enumerate(complete.samples)
    }
    normalised = normalise(background, found, sums, generated, chosen.luminosity)
    if chosen.rates and normalised.rate is None:
        raise InputError(
            "firmware.trigger.rates: rates in Hz need the cross section of the background; give "
            f"manifests of {', '.join(chosen.background)} with cross_section_pb, or set fractions"
        )
    signals, signal_jets = {}, {}
    for name, one in chosen.signals.items():
        signals[name] = found.of(one.samples, f"firmware.trigger.signals.{name}")
        mask = np.zeros(len(tested.target), dtype=bool)
        for sample in one.samples:
            of_sample = tested.sample == tested.samples.index(sample)
            mask |= of_sample & (tested.jets.classes(sample, [one]) == 0)
        signal_jets[name] = np.flatnonzero(mask)
    scalars = tested.jets.scalars
    return Candidates(
        found, background, normalised, signals, signal_jets,
        scalars["pt"].astype(np.float64), scalars["weight"].astype(np.float64),
    )  # fmt: skip


def _implementations(vectors: Stimuli, outputs: Sequence[Path]) -> dict[str, Array]:
    """Give the outputs of each implementation for the jets."""
    found = {QUANTISED: vectors.outputs[: vectors.jets]}
    for path in outputs:
        values, name = test_vectors.read_outputs(path)
        if name in found:
            raise InputError(f"{path}: outputs of {name} were given already")
        if values.shape != vectors.outputs.shape:
            raise InputError(
                f"{path}: outputs of shape {values.shape} for vectors whose outputs have shape "
                f"{vectors.outputs.shape}; emulate again"
            )
        found[name] = values[: vectors.jets]
    return found


def _scores(
    outputs: Array, inputs: Array, kind: str, classes: list[str], chosen: TriggerSettings
) -> dict[str, Array]:
    """Give the scores of the jets for each trigger of a model."""
    if kind in ANOMALY_SCORES:
        score = trigger_scores.anomaly(outputs, inputs, ANOMALY_SCORES[kind])
        return {ANOMALY_TRIGGER: score}
    if outputs.shape[1] != len(classes):
        raise InputError(
            f"{outputs.shape[1]} outputs for {len(classes)} classes ({', '.join(classes)}); train "
            "and quantise the model again"
        )
    return {
        name: trigger_scores.of_classes(
            outputs, trigger_scores.class_numbers(wanted, classes, name), chosen.score
        )
        for name, wanted in chosen.triggers.items()
    }


def _about(candidates: Candidates) -> dict[str, Any]:
    events = candidates.events
    return {
        "samples": {
            name: int((events.sample == number).sum()) for number, name in enumerate(events.samples)
        },
        "background": {
            "events": len(candidates.background),
            "rate": candidates.normalised.rate,
        },
        "signals": {
            name: {"events": len(one), "jets": len(candidates.signal_jets[name])}
            for name, one in candidates.signals.items()
        },
    }


def _judged(
    scores: Mapping[str, Array], candidates: Candidates, chosen: TriggerSettings, seed: int
) -> dict[str, Any]:
    """Judge all implementations of one trigger, and compare each with the quantised network."""
    fractions = targets(chosen, candidates.normalised.rate)
    curve = curve_targets(chosen, len(candidates.background))
    known: dict[str, tuple[Ranking, Replicas]] = {}
    judged = {}
    for name, values in scores.items():
        trigger = ranking(values, candidates)
        resampled = resample(trigger, fractions, curve, chosen.bootstraps, seed)
        known[name] = (trigger, resampled)
        judged[name] = judge(values, candidates, trigger, resampled, chosen)
    compared = {
        name: differences(known[name], known[QUANTISED], fractions)
        for name in known
        if name != QUANTISED and QUANTISED in known
    }
    return {"implementations": judged, "quantised_less": compared}

"""Measure a tagger on the test part: ROC, rejection, accuracy, calibration, with uncertainties."""

import json
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import numpy.typing as npt

from fullchain.atomic import write_text
from fullchain.errors import InputError
from fullchain.learning import roc, split
from fullchain.seeds import derive
from fullchain.step import Given, Input, Option, Output
from fullchain.tagging import selection
from fullchain.tagging.performance import (
    Sample,
    calibration,
    receiver,
    score_histogram,
    tau32_score,
)
from fullchain.tagging.reweighting import training_weights
from fullchain.tagging.score_files import stream_scored
from fullchain.tagging.settings import (
    ClassSettings,
    EvaluationSettings,
    SelectionSettings,
    TaggerSettings,
)

Columns = dict[str, npt.NDArray[Any]]

READ = (*selection.COLUMNS, "weight", "tau32", "msoftdrop")


def main(
    *,
    signal_jets: Annotated[list[Path], Input("files of jets of the signal samples")],
    signal_scores: Annotated[list[Path], Input("one file of scores for each signal sample")],
    background_jets: Annotated[list[Path], Input("files of jets of the background samples")],
    background_scores: Annotated[list[Path], Input("one file of scores for each of these")],
    tagger: Annotated[str, Option("name of the tagger in tagging.taggers")],
    performance: Annotated[Path, Output("curves, histograms and numbers, JSON")],
    settings: Given,
) -> None:
    """Read jets with their scores, measure, write the numbers."""
    chosen = settings.model(f"tagging.taggers.{tagger}", TaggerSettings)
    how = settings.model("tagging.evaluation", EvaluationSettings)
    window = how.selection or settings.model("tagging.selection", SelectionSettings)
    columns, is_signal = _read(
        [
            (signal_jets, signal_scores, chosen.signal),
            (background_jets, background_scores, chosen.background),
        ],
        chosen,
        window,
    )
    # The same replicas for every tagger, so that differences between taggers are not blurred.
    seed = derive(settings.seed, "tagging", "evaluate")
    testing = columns["split"] == split.TEST
    test = _sample(columns, is_signal, testing)
    baseline = how.baseline
    cut = Sample(
        tau32_score(
            columns["tau32"][testing],
            columns["msoftdrop"][testing],
            baseline.msoftdrop_min,
            baseline.msoftdrop_max,
        ),
        test.is_signal,
        test.weight,
        test.event,
    )
    measured: dict[str, Any] = {
        "working_points": how.working_points,
        "replicas": how.replicas,
        "seed": seed,
    }
    training = _sample(columns, is_signal, columns["split"] == split.TRAIN)
    content = {
        "tagger": tagger,
        "architecture": chosen.architecture.kind,
        "samples": {
            "signal": list(chosen.signal.samples),
            "background": list(chosen.background.samples),
        },
        "labels": {
            "signal": list(chosen.signal.labels),
            "background": list(chosen.background.labels),
        },
        "selection": window.model_dump(mode="json"),
        "jets": {
            "signal": int(test.is_signal.sum()),
            "background": int((~test.is_signal).sum()),
        },
        **receiver(test, cut=0.5, **measured),
        "auc_train": roc.area(roc.roc_curve(training.score, training.is_signal, training.weight)),
        "scores": _histograms({"train": training, "test": test}, how.score_bins),
        "calibration": calibration(
            _as_trained(columns, testing, test, chosen), how.calibration_bins, how.replicas, seed
        ),
        "baseline": {
            "name": "tau32",
            "window": [baseline.msoftdrop_min, baseline.msoftdrop_max],
            **receiver(cut, cut=2.0 - baseline.tau32_max, **measured),
        },
    }
    write_text(performance, json.dumps(content, indent=1, allow_nan=False) + "\n")


def _read(
    classes: list[tuple[list[Path], list[Path], ClassSettings]],
    tagger: TaggerSettings,
    window: SelectionSettings,
) -> tuple[Columns, npt.NDArray[np.bool_]]:
    """Jets of both classes in the window; `sample` numbers the samples of both."""
    pieces: list[Columns] = []
    is_signal = []
    names = (*READ, *tagger.reweighting.variables)
    for number, (jets, scores, wanted) in enumerate(classes):
        for batch in stream_scored(jets, scores, names):
            keep = selection.in_window(batch, window) & selection.of_class(batch, wanted)
            kept = {name: column[keep] for name, column in batch.items()}
            # One sample may feed both classes: an event of it is then one event, not two.
            name_of = {index: name for index, name in enumerate(wanted.samples)}
            kept["sample"] = np.array(
                [tagger.samples.index(name_of[int(index)]) for index in kept["sample"]], dtype=int
            )
            pieces.append(kept)
            is_signal.append(np.full(int(keep.sum()), number == 0))
    if not pieces:
        raise InputError(f"samples {', '.join(tagger.samples)}: no jets at all")
    columns = {name: np.concatenate([piece[name] for piece in pieces]) for name in pieces[0]}
    return columns, np.concatenate(is_signal)


def _sample(
    columns: Columns, is_signal: npt.NDArray[np.bool_], here: npt.NDArray[np.bool_]
) -> Sample:
    signal = is_signal[here]
    if not signal.any() or signal.all():
        raise InputError(
            f"{int(signal.sum())} signal and {int((~signal).sum())} background jets in one part of "
            "the events: make more events, widen tagging.selection, or change tagging.split"
        )
    score = columns["score"][here].astype(float)
    if not np.isfinite(score).all():
        raise InputError(f"{int((~np.isfinite(score)).sum())} jets have no score; predict again")
    event = roc.event_numbers(
        *(columns[name][here] for name in ("sample", "run", "luminosityBlock", "event"))
    )
    weight = columns["weight"][here].astype(float)
    for name, chosen in (("signal", signal), ("background", ~signal)):
        # Not "<= 0": a sum that is no number is no better.
        if not weight[chosen].sum() > 0:
            raise InputError(
                f"the weights of the {name} jets in one part of the events sum to "
                f"{weight[chosen].sum():g}, not to a positive number: look at the column weight "
                "of the jets, make more events, or widen tagging.selection"
            )
    return Sample(score, signal, weight, event)


def _as_trained(
    columns: Columns, here: npt.NDArray[np.bool_], test: Sample, tagger: TaggerSettings
) -> Sample:
    """The test jets with the weights of training, under which a score is a probability."""
    weighting = tagger.reweighting
    try:
        weight = training_weights(
            {name: columns[name][here] for name in weighting.variables},
            test.is_signal,
            test.weight,
            reference=weighting.reference,
            bins=weighting.bins,
            largest=weighting.largest,
        )
    except ValueError as problem:
        raise InputError(
            f"test jets with the weights of training: {problem}; make more events, or take fewer "
            "tagging.taggers.*.reweighting.bins"
        ) from None
    return Sample(test.score, test.is_signal, weight, test.event)


def _histograms(parts: dict[str, Sample], bins: int) -> dict[str, Any]:
    found: dict[str, Any] = {"edges": np.linspace(0.0, 1.0, bins + 1).tolist()}
    for name, part in parts.items():
        for label, chosen in (("signal", part.is_signal), ("background", ~part.is_signal)):
            found[f"{label}_{name}"] = score_histogram(
                part.score[chosen], part.weight[chosen], bins
            )
    return found

"""Train a tagger on labelled jets.

The state after each epoch is kept in `checkpoint.pt` beside the model until training ends, so that
the same command goes on where it was killed; a checkpoint of other code, settings or jets is left
aside.
"""

import json
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn
from torch.nn.functional import binary_cross_entropy_with_logits

from fullchain.atomic import write_text
from fullchain.dag.closure import code
from fullchain.errors import InputError
from fullchain.learning import device, split
from fullchain.learning.checkpoint import fingerprint
from fullchain.learning.settings import TrainingSettings
from fullchain.learning.standardise import Standardisation, measure
from fullchain.learning.training import (
    Batch,
    Objective,
    Resumption,
    initialised,
    train,
    weighted_mean,
)
from fullchain.seeds import derive
from fullchain.step import Given, Input, Option, Output
from fullchain.tagging import features, selection
from fullchain.tagging.jets_reading import IDENTITY, Jets, concatenate, read
from fullchain.tagging.reweighting import training_weights
from fullchain.tagging.settings import (
    ClassSettings,
    SelectionSettings,
    SplitSettings,
    TaggerSettings,
)
from fullchain.tagging.tagger import Tagger, save, save_onnx


def main(
    *,
    signal: Annotated[list[Path], Input("Parquet files of jets of the signal samples")],
    background: Annotated[list[Path], Input("Parquet files of jets of the background samples")],
    tagger: Annotated[str, Option("name of the tagger in tagging.taggers")],
    model: Annotated[Path, Output("trained model: state dict and settings")],
    onnx: Annotated[Path, Output("trained model as ONNX, preprocessing inside the graph")],
    history: Annotated[Path, Output("loss per epoch and numbers of jets, JSON")],
    settings: Given,
) -> None:
    """Read jets, train, write the model of the best epoch."""
    chosen = settings.model(f"tagging.taggers.{tagger}", TaggerSettings)
    window = settings.model("tagging.selection", SelectionSettings)
    how = settings.model("tagging.training", TrainingSettings)
    place = device.choose(how.device).type
    batches, numbers = _prepare(signal, background, chosen, window, settings)
    seed = derive(settings.seed, "tagging", tagger)
    scale = _standardisation(chosen, batches[split.TRAIN])
    network = initialised(seed, lambda: Tagger(chosen, scale))
    resumption = Resumption(
        model.with_name("checkpoint.pt"), _fingerprint(settings, tagger, place, batches)
    )
    record = train(
        network,
        _objective(chosen.rotate),
        batches[split.TRAIN],
        batches[split.VALIDATION],
        how,
        seed=seed,
        resumption=resumption,
        description=f"training {tagger}",
    )
    assert isinstance(network, Tagger)
    save(model, network, chosen, window)
    save_onnx(onnx, network, chosen)
    content = {
        "tagger": tagger,
        "parameters": sum(weights.numel() for weights in network.parameters()),
        "jets": numbers,
        "device": place,
        **record.as_dict(),
    }
    write_text(history, json.dumps(content, indent=1, allow_nan=False) + "\n")
    resumption.path.unlink(missing_ok=True)


def _prepare(
    signal: list[Path],
    background: list[Path],
    tagger: TaggerSettings,
    window: SelectionSettings,
    settings: Given,
) -> tuple[dict[str, dict[str, Tensor]], dict[str, dict[str, int]]]:
    """Give tensors and numbers of jets of each part.

    All other arrays are freed on return: training holds each of its jets in memory once.
    """
    jets, is_signal = _read_classes(signal, background, tagger, window)
    parts = _parts(jets, settings.model("tagging.split", SplitSettings), settings.seed)
    batches, numbers = {}, {}
    for part in (split.TRAIN, split.VALIDATION):
        here = parts == part
        numbers[part] = _numbers(part, is_signal[here])
        batches[part] = _batch(jets.where(here), is_signal[here], tagger)
    return batches, numbers


def _read_classes(
    signal: list[Path], background: list[Path], tagger: TaggerSettings, window: SelectionSettings
) -> tuple[Jets, npt.NDArray[np.bool_]]:
    classes = [
        _read_class("signal", signal, tagger.signal, tagger, window),
        _read_class("background", background, tagger.background, tagger, window),
    ]
    is_signal = np.repeat([True, False], [len(jets) for jets in classes])
    return concatenate(classes), is_signal


def _read_class(
    name: str,
    paths: list[Path],
    wanted: ClassSettings,
    tagger: TaggerSettings,
    window: SelectionSettings,
) -> Jets:
    columns = (*IDENTITY, *selection.COLUMNS, "weight", *tagger.reweighting.variables)
    inside = read(
        paths,
        columns,
        tagger.n_constituents,
        lambda scalars: selection.in_window(scalars, window),
        variation="nominal",
    )
    jets = inside.where(selection.of_class(inside.scalars, wanted))
    if not len(jets):
        raise InputError(
            f"no {name} jets in samples {', '.join(wanted.samples)}: labels "
            f"{', '.join(wanted.labels)}{', fully contained' if wanted.fully_contained else ''} "
            f"wanted; with pT {window.pt_min:g}-{window.pt_max:g} GeV and |eta| < "
            f"{window.abs_eta_max:g} there are: {selection.census(inside.scalars)}"
        )
    for column in ("weight", *tagger.reweighting.variables):
        if not np.isfinite(jets.scalars[column]).all():
            raise InputError(
                f"samples {', '.join(wanted.samples)}: the column {column} of some {name} jets is "
                "not finite; make the jets again"
            )
    return jets


def _parts(jets: Jets, fractions: SplitSettings, seed: int) -> npt.NDArray[np.str_]:
    scalars = jets.scalars
    folds = split.fold(scalars["run"], scalars["luminosityBlock"], scalars["event"], seed)
    return split.parts(folds, fractions.validation, fractions.test)


def _numbers(part: str, is_signal: npt.NDArray[np.bool_]) -> dict[str, int]:
    numbers = {"signal": int(is_signal.sum()), "background": int((~is_signal).sum())}
    if 0 in numbers.values():
        raise InputError(
            f"the {part} part has {numbers['signal']} signal and {numbers['background']} "
            "background jets: make more events, widen tagging.selection, or change tagging.split"
        )
    return numbers


def _batch(
    jets: Jets, is_signal: npt.NDArray[np.bool_], tagger: TaggerSettings
) -> dict[str, Tensor]:
    weighting = tagger.reweighting
    try:
        weight = training_weights(
            {name: jets.scalars[name] for name in weighting.variables},
            is_signal,
            jets.scalars["weight"],
            reference=weighting.reference,
            bins=weighting.bins,
            largest=weighting.largest,
        )
    except ValueError as problem:
        raise InputError(
            f"training weights: {problem}; look at the column weight of the jets"
        ) from None
    return {
        "constituents": torch.from_numpy(jets.constituents),
        "jet": torch.from_numpy(jets.jet_momentum()),
        "is_signal": torch.from_numpy(is_signal.astype(np.float32)),
        "weight": torch.from_numpy(weight.astype(np.float32)),
    }


def _standardisation(tagger: TaggerSettings, training: Batch) -> Standardisation:
    if tagger.standardisation == "published":
        return features.PUBLISHED[tagger.inputs]
    # Signal comes first: every k-th jet, so that both classes are in the sample.
    every = max(1, len(training["jet"]) // 50_000)
    momenta, jet = training["constituents"][::every], training["jet"][::every]
    mask = features.is_particle(momenta)
    values = features.FUNCTIONS[tagger.inputs](momenta, jet)[mask].numpy()
    weights = training["weight"][::every, None].expand(mask.shape)[mask].clamp(min=0).numpy()
    return measure(values, weights)


def _objective(rotate: bool) -> Objective:
    def objective(model: nn.Module, batch: Batch) -> dict[str, Tensor]:
        momenta, jet = batch["constituents"], batch["jet"]
        if rotate and model.training:
            momenta = features.rotated(momenta, jet)
        logits = model(momenta, jet)
        loss = binary_cross_entropy_with_logits(logits, batch["is_signal"], reduction="none")
        right = ((logits > 0) == (batch["is_signal"] > 0.5)).float()
        return {
            "loss": weighted_mean(loss, batch["weight"]),
            "accuracy": weighted_mean(right, batch["weight"]),
        }

    return objective


def _fingerprint(
    settings: Given, tagger: str, place: str, batches: dict[str, dict[str, Tensor]]
) -> str:
    texts: dict[str, Any] = {
        "code": code("tagging.train"),
        "settings": json.dumps(settings.values, sort_keys=True),
        "tagger": tagger,
        # The setting may be auto, and a training must not change its device halfway.
        "device": place,
    }
    tensors = {
        f"{part}.{name}": rows for part, batch in batches.items() for name, rows in batch.items()
    }
    return fingerprint(texts, tensors)

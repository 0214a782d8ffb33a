"""Collect the events of an analysis, one row each, for summaries that are trained on them."""

import json
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any

import numpy as np
from numpy.typing import NDArray

from fullchain.atomic import atomic, write_text
from fullchain.errors import InputError
from fullchain.inference.analysis_settings import Analysis, Selection
from fullchain.inference.building import samples_of
from fullchain.inference.jet_tables import OF_ALL_PARTS, check_numbers
from fullchain.inference.summaries_settings import SummariesSettings
from fullchain.inference.summary_events import (
    IDENTITY,
    Events,
    joined,
    pair,
    taken,
    write_events,
)
from fullchain.inference.summary_nuisances import nuisances
from fullchain.inference.template_file import NOMINAL, read_manifests
from fullchain.inference.yields import PER_FB
from fullchain.learning.split import fold, parts
from fullchain.parquet_check import read_columns, schema_of
from fullchain.progress import track
from fullchain.step import Given, Input, Option, Output
from fullchain.tagging import high_level

Array = NDArray[Any]


def main(
    *,
    jets: Annotated[list[Path], Input("Parquet files of jets, in folders named by sample")],
    scores: Annotated[
        list[Path], Input("Parquet files of scores that are compared, <name>/scores/<sample>")
    ],
    manifests: Annotated[list[Path], Input("manifests of the ntuple samples")],
    analysis: Annotated[str, Option("name of the analysis in inference.analyses")],
    events: Annotated[Path, Output("events with features, variations, weights and scores")],
    summary: Annotated[Path, Output("nuisance parameters, processes and standardisation")],
    settings: Given,
) -> None:
    """Take the leading jet of each event in the pT range of the analysis, without a score cut.

    The events are divided by their identity as those of the taggers are, so that none of the test
    part was trained on by a tagger whose score is compared, if the test fraction is not larger.
    """
    given = settings.model(f"inference.analyses.{analysis}", Analysis)
    # The signal is that of the first hypothesis, as in the workspace.
    first = next(iter(given.hypotheses.values()), None)
    given = given.model_copy(update={"samples": samples_of(given, first)})
    chosen = settings.model("inference.summaries", SummariesSettings)
    window = pt_window(given.selection)
    files = _parts(jets)
    score_files = {(path.parent.parent.name, path.stem): path for path in scores}
    wanted = chosen.score_names(given.tagger)
    used = _samples(given)
    normalisation = read_manifests(manifests, [name for name, _, _ in used])
    pieces: list[Events] = []
    raw: list[dict[str, Array]] = []
    for name, process, alternative in track(used, "events", unit="samples"):
        if name not in files:
            raise InputError(f"process {process}: there are no jets of sample {name!r}")
        lines = normalisation[name]
        cross_section = given.samples[process].cross_section_pb
        if alternative:
            nominal = normalisation[given.samples[process].ntuples[0]]
            cross_section = cross_section or nominal["cross_section_pb"]
        cross_section = cross_section or lines["cross_section_pb"]
        if cross_section is None:
            raise InputError(
                f"sample {name!r}: its manifest has no cross section; set "
                f"inference.analyses.{analysis}.samples.{process}.cross_section_pb"
            )
        expected = cross_section * PER_FB * given.luminosity.value / lines["sum_of_weights"]
        # Of an alternative whose yield alone counts, no bins are filled.
        needed = wanted
        if alternative and given.systematics[alternative].kind != "histosys":
            needed = []
        missing = [one for one in needed if (one, name) not in score_files]
        if missing:
            raise InputError(f"sample {name!r} has no scores of {', '.join(missing)}")
        own_scores = {one: score_files[one, name] for one in needed}
        found, inputs = _events(files[name], own_scores, window, chosen, settings.seed)
        pieces.append(
            Events(
                np.full(len(found["weight"]), process),
                np.full(len(found["weight"]), alternative),
                found["part"],
                found["weight"] * expected,
                found["factors"],
                found["member"],
                {},
                found["scores"],
            )
        )
        raw.append(inputs)
    standard = _standardisation(pieces, raw, chosen)
    subtract = np.array(standard.subtract, dtype=np.float32)
    multiply = np.array(standard.multiply, dtype=np.float32)
    pieces = [
        Events(
            one.process,
            one.alternative,
            one.part,
            one.weight,
            one.factors,
            one.member,
            {
                name: np.where(
                    one.member[name][:, None], _standardised(values, subtract, multiply), 0.0
                )
                for name, values in own.items()
            },
            one.scores,
        )
        for one, own in zip(pieces, raw, strict=True)
    ]
    together = joined(pieces)
    found_nuisances, simulation = nuisances(
        given.systematics, given.samples, given.luminosity.uncertainty, together
    )
    filled = ["", *(one.name for one in found_nuisances if one.kind == "alternative")]
    with atomic(events) as temporary:
        write_events(temporary, together.where(np.isin(together.alternative, filled)))
    signals = [name for name, one in given.samples.items() if one.role == "signal"]
    content = {
        "analysis": analysis,
        "pt_window": window,
        "features": list(chosen.features),
        "standardisation": asdict(standard),
        "scores": wanted,
        "poi": given.model.poi,
        "poi_range": given.model.poi_range,
        "signals": signals,
        "luminosity": given.luminosity.value,
        "luminosity_uncertainty": given.luminosity.uncertainty,
        "thresholds": [given.model.prune_normalisation, given.model.prune_shape],
        "largest_error": given.model.largest_simulation_error,
        "simulation": simulation,
        "nuisances": [asdict(one) for one in found_nuisances],
        "events": {
            process: {
                part: _counts(together, process, part) for part in ("train", "validation", "test")
            }
            for process in given.samples
        },
    }
    write_text(summary, json.dumps(content, indent=1, allow_nan=False) + "\n")


def pt_window(selection: Selection) -> tuple[float, float]:
    """Range of transverse momentum [GeV] that the regions of an analysis cover."""
    regions = selection.regions.values()
    return min(one.pt_min for one in regions), max(one.pt_max for one in regions)


def _samples(given: Analysis) -> list[tuple[str, str, str]]:
    """Ntuple sample, process, and systematic uncertainty whose alternative it is, else empty."""
    used = [
        (name, process, "") for process, sample in given.samples.items() for name in sample.ntuples
    ]
    return used + [
        (line.sample, line.samples[0], name)
        for name, line in given.systematics.items()
        if line.sample is not None
    ]


def _parts(jets: list[Path]) -> dict[str, list[Path]]:
    files: dict[str, list[Path]] = {}
    for path in jets:
        files.setdefault(path.parent.name, []).append(path)
    return {
        name: sorted(paths, key=lambda path: (len(path.name), path.name))
        for name, paths in files.items()
    }


def _read(path: Path, names: list[str], what: str) -> dict[str, Array]:
    table = read_columns(path, names, what)
    return {name: np.asarray(table[name].to_numpy()) for name in names}


def _events(
    files: list[Path],
    scores: Mapping[str, Path],
    window: tuple[float, float],
    chosen: SummariesSettings,
    seed: int,
) -> tuple[dict[str, Any], dict[str, Array]]:
    """Events of a sample, and their features by variation, not yet standardised."""
    needed = [*IDENTITY, "variation", "jet", "weight", "pt"]
    observables = high_level.columns(chosen.features)
    factors = [name for name in schema_of(files[0]).names if name.startswith("w_")]
    wanted = list(dict.fromkeys([*needed, *observables, *factors]))
    read = [_read(path, wanted, "table of jets") for path in files]
    columns = {name: np.concatenate([one[name] for one in read]) for name in wanted}
    check_numbers(columns, str(files[0].parent), OF_ALL_PARTS)
    first, rows = pair(columns, window)
    if NOMINAL not in rows:
        raise InputError(
            f"{files[0].parent}: no nominal jet with pT in {window[0]:g}-{window[1]:g} GeV"
        )
    inputs = high_level.inputs({name: columns[name] for name in observables}, chosen.features)
    found_scores: dict[str, dict[str, Array]] = {}
    for name, path in scores.items():
        own = _read(path, ["event", "variation", "jet", "score"], "file of scores")
        for column in ("event", "variation", "jet"):
            if not np.array_equal(own[column], columns[column]):
                raise InputError(
                    f"{path}: its rows are not the jets of {files[0].parent}; run the tagger on "
                    "this sample again"
                )
        found_scores[name] = {
            variation: taken(own["score"].astype(float), index, np.nan)
            for variation, index in rows.items()
        }
    run, block, event = (columns[name][first] for name in IDENTITY)
    folds = fold(run, block, event, seed)
    return {
        "part": parts(folds, chosen.split.validation, chosen.split.test),
        "weight": columns["weight"][first],
        "factors": {name: columns[name][first].astype(float) for name in factors},
        "member": {variation: index >= 0 for variation, index in rows.items()},
        "scores": found_scores,
    }, {variation: inputs[np.maximum(index, 0)] for variation, index in rows.items()}


def _standardisation(
    pieces: list[Events], raw: list[dict[str, Array]], chosen: SummariesSettings
) -> high_level.Standardisation:
    """Shift and scale, of the training events of all processes with equal sums."""
    values, weights = [], []
    for one, inputs in zip(pieces, raw, strict=True):
        mask = (one.part == "train") & (one.alternative == "") & one.member[NOMINAL]
        if mask.any():
            values.append(inputs[NOMINAL][mask])
            weights.append(np.full(int(mask.sum()), 1.0 / mask.sum()))
    if not values:
        raise InputError("no event is left to train on; generate more events")
    return high_level.measure(np.concatenate(values), np.concatenate(weights), chosen.features)


def _standardised(values: Array, subtract: Array, multiply: Array) -> Array:
    known = np.where(np.isnan(values), subtract, values)
    return np.clip((known - subtract) * multiply, -high_level.CLIP, high_level.CLIP)


def _counts(events: Events, process: str, part: str) -> dict[str, float]:
    own = (events.process == process) & (events.alternative == "") & (events.part == part)
    own &= events.member[NOMINAL]
    return {"events": int(own.sum()), "expected": float(events.weight[own].sum())}

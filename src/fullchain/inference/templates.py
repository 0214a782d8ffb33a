"""Fill the templates of the fit from jets and tagger scores."""

import json
from collections import defaultdict
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

import hist
import numpy as np
import uproot

from fullchain.atomic import atomic, write_text
from fullchain.errors import InputError
from fullchain.inference.filling import (
    efficiency_above,
    fill,
    kept_fraction,
    leading_per_event,
    threshold_at_efficiency,
)
from fullchain.inference.jet_tables import JetTable, group_by_sample, read_parts
from fullchain.inference.settings import Region, Selection, WorkingPoint
from fullchain.inference.template_file import NOMINAL, key, read_manifests, shift_name, weight_name
from fullchain.progress import track
from fullchain.step import Given, Input, Output

Files = Mapping[str, tuple[list[Path], Path]]
Histograms = dict[str, hist.Hist]

TRAINING = "train"


def main(
    *,
    jets: Annotated[list[Path], Input("Parquet files of jets, in folders named by sample")],
    scores: Annotated[list[Path], Input("Parquet files of scores, named by sample")],
    manifests: Annotated[list[Path], Input("manifests of the ntuple samples")],
    templates: Annotated[Path, Output("histograms: <region>/<sample>/<variation>")],
    summary: Annotated[Path, Output("score cut, normalisation and content of the templates")],
    settings: Given,
) -> None:
    """Fill efficiencies per bin: weights divided by the sum of weights of the generated events.

    Cross section and luminosity are left to the workspace, so that a change of either does not
    read the jets again. A sample that the tagger was trained on enters with the jets outside the
    training split only, scaled for those left out. All shifts and weights that the jets have are
    filled.
    """
    selection = settings.model("inference.selection", Selection)
    files = group_by_sample(jets, scores)
    normalisation = read_manifests(manifests, list(files))
    # The rule passes the data's settings only where they name a sample: anything else does not
    # matter here.
    data = settings.values["inference"].get("data", {}).get("sample")
    # One tagger: that of the score, or the one it was before it was decorrelated.
    (classes,) = (one["classes"] for one in settings["tagging.taggers"].values())
    trained_on = {name for wanted in classes.values() for name in wanted["samples"]}
    cut, found = _working_point(files, selection, selection.working_point)
    histograms: Histograms = {}
    samples: dict[str, Any] = {}
    unit = ""
    for name in track(files, "templates", unit="samples"):
        filled, summed = _fill_sample(
            name, files, selection, cut, is_data=name == data, trained_on=name in trained_on
        )
        unit = summed.pop("unit") or unit
        total = 1.0 if name == data else normalisation[name]["sum_of_weights"]
        histograms |= {path: one * (1.0 / total) for path, one in filled.items()}
        samples[name] = {**normalisation[name], "is_data": name == data, **summed}
    with atomic(templates) as temporary, uproot.recreate(temporary) as root:
        for path, histogram in histograms.items():
            root[path] = histogram
    content = {
        "working_point": found,
        "observable": {"name": selection.observable, "unit": unit},
        "regions": {name: region.model_dump() for name, region in selection.regions.items()},
        "samples": samples,
    }
    write_text(summary, json.dumps(content, indent=1, allow_nan=False) + "\n")


def _working_point(
    files: Files, selection: Selection, point: WorkingPoint
) -> tuple[float, dict[str, Any]]:
    """Set the score cut on validation jets, and say how it does on them and on test jets."""
    if point.sample not in files:
        raise InputError(
            f"inference.selection.working_point.sample: there are no jets of {point.sample!r}"
        )
    low = min(region.pt_min for region in selection.regions.values())
    high = max(region.pt_max for region in selection.regions.values())
    columns: dict[str, list[Any]] = defaultdict(list)
    for table in read_parts(point.sample, *files[point.sample], selection.observable):
        mask = (table["variation"] == NOMINAL) & (table["pt"] >= low) & (table["pt"] < high)
        if point.labels:
            mask &= np.isin(table["label"], point.labels)
        columns["score"].append(table.score[mask])
        columns["weight"].append(table["weight"][mask])
        columns["split"].append(table.split[mask])
    score, weight, split = (np.concatenate(columns[name]) for name in ("score", "weight", "split"))
    validation = split == "validation"
    cut = threshold_at_efficiency(
        score[validation],
        weight[validation],
        point.efficiency,
        f"validation jets of {point.sample} with pT in {low:g}-{high:g} GeV",
    )
    found: dict[str, Any] = {
        "sample": point.sample,
        "labels": point.labels,
        "target_efficiency": point.efficiency,
        "threshold": cut,
    }
    for name in ("validation", "test"):
        mask = split == name
        if weight[mask].sum() > 0:
            measured = efficiency_above(score[mask], weight[mask], cut)
            found[name] = {
                "efficiency": measured.value,
                "uncertainty": measured.uncertainty,
                "jets": measured.jets,
            }
    return cut, found


def _fill_sample(
    name: str, files: Files, selection: Selection, cut: float, *, is_data: bool, trained_on: bool
) -> tuple[Histograms, dict[str, Any]]:
    """Fill one sample in all regions and variations, scaled for the jets of the training split."""
    histograms: Histograms = {}
    weights: list[Any] = []
    kept: list[Any] = []
    entries: dict[str, int] = defaultdict(int)
    moved_by_weight: set[str] = set()
    weight_names: set[str] = set()
    unit = ""
    for table in read_parts(name, *files[name], selection.observable):
        unit = table.unit
        outside_training = table.split != TRAINING
        if is_data or not trained_on:
            outside_training = np.ones_like(outside_training, dtype=bool)
        nominal = table["variation"] == NOMINAL
        weights.append(table["weight"][nominal])
        kept.append(outside_training[nominal])
        weight_names |= set(table.weight_names())
        for region_name, region in selection.regions.items():
            for variation in np.unique(table["variation"][outside_training]):
                mask = outside_training & (table["variation"] == variation)
                chosen = _select(table.where(mask), region, cut, selection)
                if variation == NOMINAL:
                    entries[region_name] += len(chosen.score)
                for what, weight in _weights(chosen, str(variation), is_data).items():
                    if what not in (NOMINAL, shift_name(str(variation))) and np.any(
                        weight != chosen["weight"]
                    ):
                        moved_by_weight.add(what)
                    path = key(region_name, name, what)
                    filled = fill(
                        chosen[selection.observable],
                        weight,
                        region.edges,
                        underflow=selection.underflow,
                        overflow=selection.overflow,
                        where=f"region {region_name}, sample {name}, {what}",
                    )
                    histograms[path] = histograms[path] + filled if path in histograms else filled
    try:
        fraction = kept_fraction(np.concatenate(weights), np.concatenate(kept))
    except InputError as problem:
        raise InputError(f"sample {name}: {problem}") from None
    # A weight that is one everywhere is one that the input does not have; its template would pass
    # for a systematic uncertainty of zero.
    absent = {weight_name(one) for one in weight_names} - moved_by_weight
    scaled = {
        path: histogram * (1.0 / fraction)
        for path, histogram in histograms.items()
        if path.split("/")[-1] not in absent
    }
    summary = {
        "kept_fraction": fraction,
        "jets": {region: entries[region] for region in selection.regions},
        "variations": sorted({path.split("/")[-1] for path in scaled}),
        "absent": sorted(absent),
        "unit": unit,
    }
    return scaled, summary


def _select(table: JetTable, region: Region, cut: float, selection: Selection) -> JetTable:
    """Jets of one variation in a region; the leading one is chosen before the score is cut."""
    chosen = table.where((table["pt"] >= region.pt_min) & (table["pt"] < region.pt_max))
    if selection.jets == "leading":
        identity = (chosen[name] for name in ("run", "luminosityBlock", "event", "jet"))
        chosen = chosen.where(leading_per_event(*identity))
    if region.score == "any":
        return chosen
    return chosen.where((chosen.score > cut) == (region.score == "pass"))


def _weights(table: JetTable, variation: str, is_data: bool) -> dict[str, Any]:
    """Weights of each template that the jets of one variation go into."""
    if is_data:
        return {NOMINAL: np.ones(len(table.score))} if variation == NOMINAL else {}
    if variation != NOMINAL:
        return {shift_name(variation): table["weight"]}
    return {NOMINAL: table["weight"]} | {
        weight_name(name): table["weight"] * table[name] for name in table.weight_names()
    }

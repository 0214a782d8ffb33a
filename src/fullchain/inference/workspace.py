"""Build the pyhf workspace from templates and systematics."""

import json
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

from fullchain.atomic import write_text
from fullchain.errors import InputError
from fullchain.inference.histfactory import Array, Thresholds, channel, workspace
from fullchain.inference.likelihood import draw_data, load_model
from fullchain.inference.settings import InferenceSettings
from fullchain.inference.template_file import NOMINAL, read_json, read_templates
from fullchain.inference.yields import Templates, Yields, expectation, sample_input
from fullchain.seeds import stream
from fullchain.step import Given, Input, Output


def main(
    *,
    templates: Annotated[Path, Input("histograms: <region>/<sample>/<variation>")],
    summary: Annotated[Path, Input("what was written beside the templates")],
    workspace_json: Annotated[Path, Output("pyhf workspace")],
    report: Annotated[Path, Output("bins of the regions, and what was merged, pruned or mirrored")],
    settings: Given,
) -> None:
    """Scale efficiencies to yields, add systematics, and take or draw the data."""
    given = settings.model("inference", InferenceSettings)
    contents = read_json(summary)
    filled, filled_edges = read_templates(templates)
    yields = Yields(filled, contents["samples"], given.samples, given.luminosity.value)
    signals = frozenset(n for n, sample in given.samples.items() if sample.role == "signal")
    thresholds = Thresholds(given.model.prune_normalisation, given.model.prune_shape)
    channels, notes, observations, edges = [], [], {}, {}
    for region, all_bins in filled_edges.items():
        bins = yields.merge_bins(region, all_bins, given.model.largest_simulation_error)
        edges[region] = bins
        inputs = [
            sample_input(yields, region, process, given.systematics, given.model.poi)
            for process in given.samples
        ]
        made, noted = channel(
            region, inputs, bins, thresholds, signals, given.model.on_empty == "drop"
        )
        channels.append(made)
        notes += noted
        observations[region] = (
            recorded(yields.templates, region, given.data.sample)
            if given.data.sample
            else expectation(inputs, signals, given.data.mu)
        )
    specification = workspace(
        channels,
        observations,
        poi=given.model.poi,
        poi_range=given.model.poi_range,
        luminosity_uncertainty=given.luminosity.uncertainty,
    )
    model, _ = load_model(specification)
    if given.data.kind == "pseudo":
        random = stream(settings.seed, "inference", "pseudo-data")
        drawn = draw_data(model, given.data.mu, random, given.data.nuisances)
        for one in specification["observations"]:
            one["data"] = drawn[model.config.channel_slices[one["name"]]].tolist()
    write_text(workspace_json, json.dumps(specification, indent=1, allow_nan=False) + "\n")
    content = {
        "luminosity": given.luminosity.value,
        "data": given.data.model_dump(),
        "observable": contents["observable"],
        "edges": {region: bins.tolist() for region, bins in edges.items()},
        "filled_edges": {region: bins.tolist() for region, bins in filled_edges.items()},
        "signals": sorted(signals),
        "notes": [asdict(note) for note in notes],
    }
    write_text(report, json.dumps(content, indent=1, allow_nan=False) + "\n")


def recorded(templates: Templates, region: str, sample: str) -> Array:
    """Give the events of a sample of recorded data in the bins of a region."""
    try:
        return templates[region, sample, NOMINAL].values
    except KeyError:
        raise InputError(
            f"region {region}: there is no template of the data sample {sample!r}; fill the "
            "templates again"
        ) from None

"""Build the pyhf workspace from templates and systematics."""

import json
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any

from fullchain.atomic import write_text
from fullchain.errors import InputError
from fullchain.inference import building
from fullchain.inference.analysis_settings import Analysis
from fullchain.inference.histfactory import Array, workspace
from fullchain.inference.hypothesis_settings import Hypothesis
from fullchain.inference.likelihood import draw_data, load_model
from fullchain.inference.patches import Signal, difference
from fullchain.inference.patches import patchset as put_together
from fullchain.inference.template_file import NOMINAL, read_json, read_templates
from fullchain.inference.yields import Templates, Yields
from fullchain.seeds import stream
from fullchain.step import Given, Input, Option, Output


def main(
    *,
    templates: Annotated[Path, Input("histograms: <region>/<sample>/<variation>")],
    summary: Annotated[Path, Input("what was written beside the templates")],
    analysis: Annotated[str, Option("name of the analysis in inference.analyses")],
    workspace_json: Annotated[Path, Output("pyhf workspace, of the first signal hypothesis")],
    report: Annotated[Path, Output("bins of the regions, and all that was decided on the way")],
    patchset: Annotated[Path, Output("pyhf patchset: the workspace of each signal hypothesis")],
    settings: Given,
) -> None:
    """Scale efficiencies to yields, add systematics, and take or draw the data."""
    where = f"inference.analyses.{analysis}"
    given = settings.model(where, Analysis)
    contents = read_json(summary)
    filled, filled_edges = read_templates(templates)
    hypotheses: dict[str, Hypothesis | None] = dict(given.hypotheses) or {
        "+".join(building.signals(given.samples)): None
    }
    first = next(iter(hypotheses.values()))
    yields = Yields(
        filled,
        contents["samples"],
        building.samples_of(given, first),
        given.luminosity.value,
        where,
    )
    edges = {
        region: yields.merge_bins(region, bins, given.model.largest_simulation_error)
        for region, bins in filled_edges.items()
    }
    observations: dict[str, Array] = {}
    specification: dict[str, Any] = {}
    notes: list[dict[str, Any]] = []
    signals: list[Signal] = []
    about: list[dict[str, Any]] = []
    groups: dict[str, str] = {}
    for name, hypothesis in hypotheses.items():
        here = yields.of(building.samples_of(given, hypothesis))
        try:
            built = building.build(here, edges, given)
        except InputError as problem:
            raise InputError(
                f"hypothesis {name}: {problem}" if hypothesis else str(problem)
            ) from None
        if not observations:
            observations = _data(given, yields.templates, built, analysis, settings)
        made = _workspace(given, built.channels, observations)
        noted = [asdict(note) for note in built.notes]
        of_signal = set(building.signals(given.samples))
        if not specification:
            specification, notes = made, noted
        is_first = made is specification
        model, _ = load_model(made)
        # A parameter that only one hypothesis has is grouped, too.
        groups |= building.groups(model, given.systematics)
        mass = hypothesis.mass if hypothesis else None
        signals.append(Signal(_patch_name(name), mass, difference(specification, made)))
        about.append(
            {
                "name": name,
                "patch": None if is_first else _patch_name(name),
                "mass": mass,
                "cross_section_pb": sum(
                    here.cross_section(process, sample)
                    for process in of_signal
                    for sample in here.samples[process].ntuples
                ),
                "samples": [s for p in sorted(of_signal) for s in here.samples[p].ntuples],
                "notes": [] if is_first else [n for n in noted if n["sample"] in of_signal],
            }
        )
    write_text(workspace_json, json.dumps(specification, indent=1, allow_nan=False) + "\n")
    together = put_together(specification, signals, f"Signal hypotheses of the analysis {analysis}")
    write_text(patchset, json.dumps(together, indent=1, allow_nan=False) + "\n")
    content = {
        "luminosity": given.luminosity.value,
        "data": given.fitted.model_dump(),
        "blind": given.blind,
        "observable": contents["observable"],
        "edges": {region: bins.tolist() for region, bins in edges.items()},
        "filled_edges": {region: bins.tolist() for region, bins in filled_edges.items()},
        "signals": sorted(building.signals(given.samples)),
        "groups": groups,
        "hypotheses": about,
        "notes": notes,
    }
    write_text(report, json.dumps(content, indent=1, allow_nan=False) + "\n")


def _patch_name(name: str) -> str:
    return "".join(letter if letter.isalnum() else "_" for letter in name)


def _workspace(
    given: Analysis, channels: list[dict[str, Any]], observations: dict[str, Array]
) -> dict[str, Any]:
    return workspace(
        channels,
        observations,
        poi=given.model.poi,
        poi_range=given.model.poi_range,
        luminosity_uncertainty=given.luminosity.uncertainty,
    )


def _data(
    given: Analysis, templates: Templates, built: building.Built, analysis: str, settings: Given
) -> dict[str, Array]:
    """Events per bin by region: recorded, expected, or drawn."""
    if given.fitted.sample:
        return {
            region: recorded(templates, region, given.fitted.sample) for region in built.expected
        }
    if given.fitted.kind != "pseudo":
        return built.expected
    model, _ = load_model(_workspace(given, built.channels, built.expected))
    random = stream(settings.seed, "inference", analysis, "pseudo-data")
    drawn = draw_data(model, given.fitted.mu, random, given.fitted.nuisances)
    return {region: drawn[model.config.channel_slices[region]] for region in built.expected}


def recorded(templates: Templates, region: str, sample: str) -> Array:
    """Give the events of a sample of recorded data in the bins of a region."""
    try:
        return templates[region, sample, NOMINAL].values
    except KeyError:
        raise InputError(
            f"region {region}: there is no template of the data sample {sample!r}; fill the "
            "templates again"
        ) from None

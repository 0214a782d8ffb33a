"""Scan the profile likelihood along parameters, and over pairs of them."""

import json
from pathlib import Path
from typing import Annotated, Any

from fullchain.atomic import write_text
from fullchain.errors import InputError
from fullchain.inference.differentiable import HistFactory
from fullchain.inference.fitting import fit
from fullchain.inference.profile import points_around, profile
from fullchain.inference.results_input import ResultsInput, read_results_input
from fullchain.inference.results_settings import FitSettings, ScanSettings
from fullchain.learning.device import repeatable
from fullchain.step import Given, Input, Option, Output

LEVELS = {"68 %": 2.295748928898636, "95 %": 5.991464547107979}
"""Twice the fall of the log-likelihood that holds a pair of parameters with a probability."""


def main(
    *,
    workspace: Annotated[Path, Input("pyhf workspace")],
    report: Annotated[Path, Input("what the workspace was built from")],
    analysis: Annotated[str, Option("name of the analysis")],
    scans_json: Annotated[Path, Output("profile likelihoods on grids")],
    settings: Given,
) -> None:
    """Fit, then fit again at each point, to the data unless blind and to the expectation."""
    chosen = settings.model("inference.results.scan", ScanSettings)
    fitted = settings.model("inference.results.fit", FitSettings)
    given = read_results_input(workspace, report)
    scans: list[dict[str, Any]] = []
    contours: list[dict[str, Any]] = []
    try:
        with repeatable(threads=1):
            for dataset in given.datasets:
                found = _scan(given, dataset, chosen, fitted)
                scans += found[0]
                contours += found[1]
    except InputError as problem:
        raise InputError(f"{workspace}: {problem}") from None
    content = {
        "analysis": analysis,
        "poi": given.poi,
        "blind": given.blind,
        "scans": scans,
        "contours": contours,
    }
    write_text(scans_json, json.dumps(content, indent=1, allow_nan=False) + "\n")


def _scan(
    given: ResultsInput, dataset: str, chosen: ScanSettings, fitted: FitSettings
) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    model, data, what = given.model, given.datasets[dataset], f"the fit to {dataset}"
    best = fit(model, data, what=what, limits_are_errors=fitted.at_limit == "error")
    scans, contours = [], []
    for name in dict.fromkeys([given.poi, *chosen.parameters]):
        index = varying(model, name)
        points = points_around(model, best, index, chosen.reach, chosen.points)
        grid = profile(model, data, best, {index: points}, what)
        scans.append(
            {
                "dataset": dataset,
                "parameter": name,
                "best": float(best.values[index]),
                "uncertainty": float(best.uncertainties[index]),
                "points": points.tolist(),
                "twice_delta_nll": grid.twice_delta_nll.tolist(),
            }
        )
    for pair in chosen.contours:
        places = [varying(model, name) for name in pair]
        axes = {
            one: points_around(model, best, one, chosen.reach, chosen.contour_points)
            for one in places
        }
        grid = profile(model, data, best, axes, what)
        contours.append(
            {
                "dataset": dataset,
                "parameters": list(pair),
                "best": [float(best.values[one]) for one in places],
                "x": axes[places[0]].tolist(),
                "y": axes[places[1]].tolist(),
                # One row for each x.
                "twice_delta_nll": grid.twice_delta_nll.tolist(),
                "levels": LEVELS,
            }
        )
    return scans, contours


def varying(model: HistFactory, name: str) -> int:
    """Place of a parameter that can be scanned.

    Raises
    ------
    InputError
        There is no such parameter, or the model holds it fixed.
    """
    if name not in model.names:
        known = ", ".join(model.names)
        raise InputError(
            f"inference.results.scan: no parameter is called {name!r}; there are: {known}"
        )
    index = model.index(name)
    if bool(model.held[index]):
        raise InputError(f"inference.results.scan: the model holds the parameter {name!r} fixed")
    return index

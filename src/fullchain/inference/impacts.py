"""Impacts of nuisance parameters, alone and in groups, on the parameter of interest."""

import json
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any

import numpy as np

from fullchain.atomic import write_text
from fullchain.errors import InputError
from fullchain.inference import grouped_impacts, parameter_impacts
from fullchain.inference.fit_parameters import parameters
from fullchain.inference.fitting import fit, poi_index
from fullchain.inference.results_input import ResultsInput, read_results_input
from fullchain.inference.results_settings import FitSettings, ImpactSettings
from fullchain.learning.device import repeatable
from fullchain.step import Given, Input, Option, Output


def main(
    *,
    workspace: Annotated[Path, Input("pyhf workspace")],
    report: Annotated[Path, Input("what the workspace was built from, with groups of parameters")],
    analysis: Annotated[str, Option("name of the analysis")],
    impacts_json: Annotated[Path, Output("impacts by refit and by covariance")],
    settings: Given,
) -> None:
    """Fit, hold each parameter and each group, fit again, and compare with the covariance."""
    chosen = settings.model("inference.results.impacts", ImpactSettings)
    fitted = settings.model("inference.results.fit", FitSettings)
    given = read_results_input(workspace, report)
    try:
        with repeatable(threads=1):
            found = _impacts(given, chosen, fitted)
    except InputError as problem:
        raise InputError(f"{workspace}: {problem}") from None
    content = {"analysis": analysis, "blind": given.blind, **found}
    write_text(impacts_json, json.dumps(content, indent=1, allow_nan=False) + "\n")


def _impacts(given: ResultsInput, chosen: ImpactSettings, fitted: FitSettings) -> dict[str, Any]:
    dataset = given.dataset(chosen.dataset)
    model, data, what = given.model, given.datasets[dataset], f"the fit to {dataset}"
    best = fit(model, data, what=what, limits_are_errors=fitted.at_limit == "error")
    width = float(best.uncertainties[poi_index(model)])
    named = given.report.get("groups")
    members = grouped_impacts.groups(model, named, given.kinds)
    quick = parameter_impacts.by_covariance(model, best)
    grouped = grouped_impacts.by_covariance(model, best, members)
    parts = grouped_impacts.components(model, best, members)
    total: dict[str, float | None] = {"up": width, "down": -width}
    refits: dict[int, parameter_impacts.Impact] = {}
    refitted: dict[str, Any] = {}
    if chosen.refit:
        refits = parameter_impacts.by_refit(model, data, best, prefit=chosen.prefit, what=what)
        total, refitted = grouped_impacts.by_refit(model, data, best, members, what)
    known = parameters(model, best)
    return {
        "poi": given.poi,
        "dataset": dataset,
        "value": float(best.values[poi_index(model)]),
        "total": total,
        "total_hessian": width,
        "parameters": [
            {
                "name": known[one].name,
                "value": known[one].value,
                "uncertainty": known[one].uncertainty,
                "pull": known[one].pull,
                "constraint": known[one].constraint,
                "group": grouped_impacts.group_of(known[one].name, named, given.kinds),
                "refit": asdict(refits[one]) if one in refits else None,
                "covariance": asdict(impact),
            }
            for one, impact in quick.items()
        ],
        "groups": {
            group: {
                "refit": refitted.get(group),
                "covariance": impact,
                "component": parts[group],
                "parameters": len(members.get(group, ())),
            }
            for group, impact in grouped.items()
        },
        "sum_in_quadrature": {
            "covariance": float(np.sqrt(sum((one["up"] or 0.0) ** 2 for one in grouped.values()))),
            "component": float(np.sqrt(sum(one**2 for one in parts.values()))),
        },
    }

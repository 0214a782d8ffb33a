"""Fit the workspace: parameters, correlations, goodness of fit, significance, yields."""

import json
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any

import numpy as np
from numpy.typing import NDArray

from fullchain.atomic import write_text
from fullchain.errors import InputError
from fullchain.inference.differentiable import HistFactory
from fullchain.inference.fit_parameters import parameters, prefit_covariance
from fullchain.inference.fitting import Fit, discovery, fit
from fullchain.inference.goodness_of_fit import goodness_of_fit
from fullchain.inference.intervals import minos
from fullchain.inference.propagation import BinYields, yields
from fullchain.inference.results_input import ResultsInput, read_results_input
from fullchain.inference.results_settings import FitSettings
from fullchain.learning.device import repeatable
from fullchain.step import Given, Input, Option, Output

Array = NDArray[np.float64]


def main(
    *,
    workspace: Annotated[Path, Input("pyhf workspace")],
    report: Annotated[Path, Input("what the workspace was built from")],
    analysis: Annotated[str, Option("name of the analysis")],
    fit_json: Annotated[Path, Output("parameters, correlations, tests and yields")],
    settings: Given,
) -> None:
    """Fit the data of the workspace unless blind, and its expectation."""
    chosen = settings.model("inference.results.fit", FitSettings)
    given = read_results_input(workspace, report)
    try:
        with repeatable(threads=1):
            results = {
                name: _result(given, name, data, chosen) for name, data in given.datasets.items()
            }
    except InputError as problem:
        raise InputError(f"{workspace}: {problem}") from None
    content = {
        "analysis": analysis,
        "blind": given.blind,
        "luminosity": given.report["luminosity"],
        "observable": given.report["observable"],
        "data_kind": given.report["data"]["kind"],
        "data_mu": given.report["data"].get("mu"),
        **results,
    }
    write_text(fit_json, json.dumps(content, indent=1, allow_nan=False) + "\n")


def _result(given: ResultsInput, name: str, data: Array, chosen: FitSettings) -> dict[str, Any]:
    """What is found on one data set."""
    model, what = given.model, f"the fit to {name}"
    best = fit(model, data, what=what, limits_are_errors=chosen.at_limit == "error")
    quality = goodness_of_fit(model, data, best)
    tested = discovery(model, data, best, what)
    before = yields(model, model.init.numpy(), prefit_covariance(model))
    after = yields(model, best.values, best.covariance)
    return {
        "poi": given.poi,
        "parameters": _parameters(model, data, best, chosen, what),
        "correlation": best.correlation.tolist(),
        "at_limit": list(best.at_limit),
        "twice_nll": best.twice_nll,
        "distance_to_minimum": best.distance_to_minimum,
        "goodness_of_fit": None if quality is None else asdict(quality),
        "discovery": {**asdict(tested), "p_value": tested.p_value},
        "regions": _regions(model, data, given.report["edges"], before, after),
    }


def _parameters(
    model: HistFactory, data: Array, best: Fit, chosen: FitSettings, what: str
) -> list[dict[str, Any]]:
    of_interest = [] if model.poi is None else [model.poi]
    wanted = {"none": [], "poi": of_interest, "all": list(range(len(best.names)))}[chosen.minos]
    intervals = minos(model, data, best, wanted, what)
    found = []
    for index, one in enumerate(parameters(model, best)):
        interval = intervals.get(index)
        found.append(
            {
                **asdict(one),
                "minos": None if interval is None else list(interval),
                "pull": one.pull,
                "constraint": one.constraint,
            }
        )
    return found


def _regions(
    model: HistFactory,
    data: Array,
    edges: dict[str, list[float]],
    before: BinYields,
    after: BinYields,
) -> dict[str, Any]:
    """Observed and expected events per bin of each region, before and after the fit."""
    found = {}
    for column, (region, place) in enumerate(model.channel_slices.items()):
        found[region] = {"edges": edges[region], "observed": data[place].tolist()} | {
            name: {
                "samples": {
                    sample: {
                        "values": bins.values[row, place].tolist(),
                        "uncertainties": bins.uncertainties[row, place].tolist(),
                        "sum": float(bins.totals[row, column]),
                        "sum_uncertainty": float(bins.total_uncertainties[row, column]),
                    }
                    for row, sample in enumerate([*bins.samples, "total"])
                }
            }
            for name, bins in (("prefit", before), ("postfit", after))
        }
    return found

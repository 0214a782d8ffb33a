"""Fit the workspace: signal strength, pulls, significance, goodness of fit, yields."""

import json
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import pyhf

from fullchain.atomic import write_text
from fullchain.inference import fitting, likelihood
from fullchain.inference.fitting import BinYields, Discovery, Fit, GoodnessOfFit
from fullchain.inference.template_file import read_json
from fullchain.metrics import Metric, write_metrics
from fullchain.step import Given, Input, Output

ASYMPTOTIC = "asymptotic: the significance has unit variance"


def main(
    *,
    workspace: Annotated[Path, Input("pyhf workspace")],
    report: Annotated[Path, Input("what the workspace was built from")],
    fit_json: Annotated[Path, Output("parameters, correlations and yields")],
    metrics: Annotated[Path, Output("signal strength, significance, goodness of fit, yields")],
    settings: Given,
) -> None:
    """Fit the data of the workspace, and its expectation for the expected precision."""
    model, data = likelihood.load_model(read_json(workspace))
    about = read_json(report)
    best = fitting.fit(model, data)
    discovery = fitting.discovery(model, data, best)
    quality = fitting.goodness_of_fit(model, data, best)
    expectation = likelihood.asimov(model, mu=1.0)
    expected = fitting.fit(model, expectation)
    expected_discovery = fitting.discovery(model, expectation, expected)
    before = fitting.yields(
        model, np.array(model.config.suggested_init()), likelihood.prefit_covariance(model)
    )
    after = fitting.yields(model, best.values, best.covariance)
    poi = model.config.poi_name
    content = {
        "poi": poi,
        "luminosity": about["luminosity"],
        "data": about["data"],
        "observable": about["observable"],
        "parameters": [
            {**asdict(one), "pull": one.pull, "constraint": one.constraint}
            for one in fitting.parameters(model, best)
        ],
        "correlation": best.correlation.tolist(),
        "at_limit": list(best.at_limit),
        "twice_nll": best.twice_nll,
        "distance_to_minimum": best.distance_to_minimum,
        "goodness_of_fit": None if quality is None else asdict(quality),
        "discovery": {**asdict(discovery), "p_value": discovery.p_value},
        "expected": {
            "mu_uncertainty": float(expected.uncertainties[expected.index(poi)]),
            "significance": expected_discovery.significance,
        },
        "regions": _regions(model, data, about["edges"], before, after),
    }
    write_text(fit_json, json.dumps(content, indent=1, allow_nan=False) + "\n")
    write_metrics(
        metrics,
        "inference",
        [
            *_signal_strength(poi, best, expected, about["data"]),
            *_tests(discovery, expected_discovery, quality),
            *_yields(model, after),
        ],
    )


def _regions(
    model: pyhf.pdf.Model,
    data: Any,
    edges: dict[str, list[float]],
    before: BinYields,
    after: BinYields,
) -> dict[str, Any]:
    """Observed and expected events per bin of each region, before and after the fit."""
    found = {}
    for region in model.config.channels:
        place = model.config.channel_slices[region]
        found[region] = {"edges": edges[region], "observed": data[place].tolist()} | {
            name: {
                "samples": {
                    sample: {
                        "values": bins.values[row, place].tolist(),
                        "uncertainties": bins.uncertainties[row, place].tolist(),
                    }
                    for row, sample in enumerate([*bins.samples, "total"])
                }
            }
            for name, bins in (("prefit", before), ("postfit", after))
        }
    return found


def _signal_strength(poi: str, best: Fit, expected: Fit, data: dict[str, Any]) -> list[Metric]:
    place = best.index(poi)
    uncertainty = float(expected.uncertainties[place])
    recorded = data["kind"] == "sample"
    note = "recorded data" if recorded else f"{data['kind']} data made with {data['mu']:g}"
    if poi in best.at_limit:
        note += "; the fit ends at the limit of its range, where the uncertainty means little"
    return [
        Metric(
            "fit.mu",
            float(best.values[place]),
            float(best.uncertainties[place]),
            "Hessian of the likelihood",
            "signal strength",
            note=note,
        ),
        Metric(
            "fit.mu_expected",
            float(expected.values[place]),
            uncertainty,
            "Hessian of the likelihood",
            "signal strength, expected",
            note="fit to the expectation for a signal strength of one",
        ),
    ]


def _tests(
    discovery: Discovery, expected: Discovery, quality: GoodnessOfFit | None
) -> list[Metric]:
    found = [
        Metric(
            "fit.significance",
            discovery.significance,
            1.0,
            ASYMPTOTIC,
            "discovery significance",
            unit="sigma",
        ),
        Metric(
            "fit.significance_expected",
            expected.significance,
            1.0,
            ASYMPTOTIC,
            "discovery significance, expected",
            unit="sigma",
        ),
    ]
    if quality is not None:
        found.append(
            Metric(
                "fit.chi_squared",
                quality.chi_squared,
                float(np.sqrt(2 * quality.degrees_of_freedom)),
                "spread of chi-squared",
                "goodness of fit, saturated model",
                note=f"{quality.degrees_of_freedom} degrees of freedom, p = {quality.p_value:.2g} "
                "from the chi-squared distribution",
            )
        )
    return found


def _yields(model: pyhf.pdf.Model, after: BinYields) -> list[Metric]:
    return [
        Metric(
            f"yield.{region}.{sample}",
            float(after.totals[row, column]),
            float(after.total_uncertainties[row, column]),
            "postfit covariance",
            f"{sample} in {region}, after the fit",
            unit="events",
        )
        for column, region in enumerate(model.config.channels)
        for row, sample in enumerate([*after.samples, "total"])
    ]

"""Fit toys of an analysis: goodness of fit, coverage and pulls of the signal strength."""

import json
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import torch

from fullchain.atomic import write_text
from fullchain.inference.differentiable import HistFactory
from fullchain.inference.hypotest import poi_of
from fullchain.inference.likelihood import load_model
from fullchain.inference.limit_settings import ToySettings
from fullchain.inference.minimise import minimise
from fullchain.inference.repeated import Coverage, Goodness, coverage, goodness
from fullchain.inference.template_file import read_json
from fullchain.seeds import stream
from fullchain.step import Given, Input, Option, Output


def main(
    *,
    workspace: Annotated[Path, Input("pyhf workspace")],
    report: Annotated[Path, Input("what the workspace was built from")],
    analysis: Annotated[str, Option("name of the analysis")],
    toys: Annotated[Path, Output("goodness of fit, coverage and pulls from toys")],
    settings: Given,
) -> None:
    """Draw and fit; a blind analysis has no goodness of fit."""
    chosen = settings.model("inference.toys", ToySettings)
    made, observations = load_model(read_json(workspace))
    blind = bool(read_json(report).get("blind"))
    model, data = HistFactory(made), torch.as_tensor(observations)
    poi = poi_of(model)
    quality = spread = None
    if chosen.goodness and not blind:
        random = stream(settings.seed, "inference", analysis, "toys", "goodness")
        quality = goodness(model, data, chosen.goodness, random, chosen.most_failed)
    truth = model.init.clone()
    if chosen.truth == "best_fit" and not blind:
        truth = minimise(model, data).require("best fit", model.names).values[0]
    truth[poi] = chosen.mu
    if chosen.coverage:
        spread = coverage(
            model,
            truth,
            chosen.coverage,
            stream(settings.seed, "inference", analysis, "toys", "coverage"),
            draw_nuisances=chosen.nuisances == "drawn",
            most_failed=chosen.most_failed,
        )
    content = {
        "poi": model.names[poi],
        "analysis": analysis,
        "blind": blind,
        "truth": {"mu": chosen.mu, "nuisances": chosen.nuisances, "centre": chosen.truth},
        "goodness": quality and _goodness(quality),
        "coverage": spread and _coverage(spread),
        "pull": spread and _pull(spread),
        "failed": (quality.failed if quality else 0) + (spread.failed if spread else 0),
    }
    write_text(toys, json.dumps(content, indent=1, allow_nan=False) + "\n")


def _goodness(found: Goodness) -> dict[str, Any]:
    return {
        "observed": found.observed,
        "toys": found.toys.tolist(),
        "p_value": found.p_value.value,
        "uncertainty": found.p_value.error,
        "failed": found.failed,
    }


def _coverage(found: Coverage) -> dict[str, Any]:
    return {
        "toys": found.toys,
        "covered": found.covered,
        "fraction": found.likelihood.value,
        "uncertainty": found.likelihood.error,
        "hessian": {"fraction": found.hessian.value, "uncertainty": found.hessian.error},
        "failed": found.failed,
    }


def _pull(found: Coverage) -> dict[str, Any]:
    pulls, count = found.pulls, len(found.pulls)
    width = float(pulls.std(ddof=1))
    # For any distribution: the variance of a variance has the fourth moment in it.
    fourth = float(np.mean((pulls - pulls.mean()) ** 4))
    error = np.sqrt(max(fourth - width**4, 0.0) / count) / (2.0 * width)
    return {
        "mean": float(pulls.mean()),
        "mean_uncertainty": width / np.sqrt(count),
        "width": width,
        "width_uncertainty": float(error),
        "values": pulls.tolist(),
        "fitted": found.values.tolist(),
        "uncertainties": found.uncertainties.tolist(),
        "without_uncertainty": found.toys - count,
    }

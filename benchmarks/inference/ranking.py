"""Impacts of 50 nuisance parameters from the covariance against cabinetry's ranking by refits.

    python benchmarks/inference/ranking.py [--nuisances 50] [--bins 20] [--output x.json]

Ours: fit, Hessian, impacts (up and down are opposite). cabinetry: `fit.ranking`, four fits for
each parameter, from a fit that it is given, or with its own fit in the time. The model is
nearly Gaussian: many events, small and symmetric variations. For comparison also
our refits. CPU time of the process.
"""

import argparse
import json
import logging
import platform
import time
from pathlib import Path

import cabinetry
import iminuit
import numpy as np
import pyhf
import torch

from fullchain.inference import fitting, parameter_impacts
from fullchain.inference.differentiable import HistFactory
from fullchain.inference.likelihood import INTERPOLATION
from fullchain.inference.minimise import minimise


def model_of(nuisances: int, bins: int) -> tuple[pyhf.Model, np.ndarray]:
    """Half the nuisances change shapes, half yields; two backgrounds and a signal."""
    random = np.random.default_rng(7)
    x = (np.arange(bins) + 0.5) / bins
    contents = {
        "signal": 900.0 * np.exp(-0.5 * ((x - 0.5) / 0.1) ** 2),
        "falling": 20_000.0 * np.exp(-2.0 * x),
        "flat": np.full(bins, 3000.0),
    }
    modifiers: dict[str, list] = {name: [] for name in contents}
    modifiers["signal"].append({"name": "mu", "type": "normfactor", "data": None})
    for number in range(nuisances):
        sample = list(contents)[number % 3]
        nominal = contents[sample]
        name = f"nuisance_{number:02d}"
        if number % 2:
            size = random.uniform(0.005, 0.02)
            data = {"hi": 1 + size, "lo": 1 / (1 + size)}
            modifiers[sample].append({"name": name, "type": "normsys", "data": data})
        else:
            size = random.uniform(0.003, 0.012)
            wave = size * np.sin(2 * np.pi * (random.uniform(0.3, 1.5) * x + random.uniform()))
            data = {
                "hi_data": (nominal * (1 + wave)).tolist(),
                "lo_data": (nominal * (1 - wave)).tolist(),
            }
            modifiers[sample].append({"name": name, "type": "histosys", "data": data})
    samples = [
        {"name": name, "data": one.tolist(), "modifiers": modifiers[name]}
        for name, one in contents.items()
    ]
    made = pyhf.Model(
        {"channels": [{"name": "SR", "samples": samples}]},
        poi_name="mu",
        modifier_settings=INTERPOLATION,
    )
    expected = np.asarray(made.expected_data(made.config.suggested_init()))
    expected[:bins] = random.poisson(expected[:bins])
    return made, expected


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--nuisances", type=int, default=50)
    parser.add_argument("--bins", type=int, default=20)
    parser.add_argument("--output", type=Path)
    given = parser.parse_args()
    logging.getLogger("cabinetry").setLevel(logging.WARNING)
    torch.set_num_threads(1)
    made, observed = model_of(given.nuisances, given.bins)
    data = torch.tensor(observed)
    poi = made.config.poi_index

    fitting.fit(HistFactory(made), observed)
    before = time.process_time()
    model = HistFactory(made)
    best = fitting.fit(model, observed)
    ours = parameter_impacts.by_covariance(model, best)
    our_time = time.process_time() - before

    before = time.process_time()
    start = torch.as_tensor(best.values)[None]
    shifts = {}
    for place in ours:
        moved = best.values[place] + best.uncertainties[place] * np.array([1.0, -1.0])
        refit = minimise(model, data, start=start, fixed={place: torch.tensor(moved)})
        shifts[place] = refit.values[:, poi].numpy() - best.values[poi]
    refit_time = time.process_time() - before

    pyhf.set_backend("numpy", pyhf.optimize.minuit_optimizer())
    before = time.process_time()
    fitted = cabinetry.fit.fit(made, observed.tolist())
    their_fit = time.process_time() - before
    ranking = cabinetry.fit.ranking(made, observed.tolist(), fit_results=fitted)
    their_time = time.process_time() - before

    mean = 0.5 * (np.abs(ranking.postfit_up) + np.abs(ranking.postfit_down))
    place = {name: index for index, name in enumerate(made.config.par_names)}
    mine = np.array([abs(ours[place[name]].up) for name in ranking.labels])
    by_refit = np.array([np.abs(shifts[place[name]]).mean() for name in ranking.labels])
    large = mean > 0.02 * best.uncertainties[poi]
    found = {
        "nuisances": given.nuisances,
        "bins": given.bins,
        "cpu_s": {
            "covariance_with_fit": our_time,
            "our_refits": refit_time,
            "cabinetry_fit": their_fit,
            "cabinetry_with_fit": their_time,
            "cabinetry_ranking_alone": their_time - their_fit,
        },
        "ratio_with_fits": their_time / our_time,
        "ratio_ranking_alone": (their_time - their_fit) / our_time,
        "ratio_our_refits": (their_time - their_fit) / refit_time,
        "mu": [float(best.values[poi]), float(fitted.bestfit[poi])],
        "mu_uncertainty": [float(best.uncertainties[poi]), float(fitted.uncertainty[poi])],
        "largest_impact": float(mean.max()),
        "compared": int(large.sum()),
        "largest_relative_difference": float((np.abs(mine / mean - 1.0))[large].max()),
        "largest_difference_over_uncertainty": float(
            np.abs(mine - mean).max() / best.uncertainties[poi]
        ),
        "largest_relative_difference_of_our_refits": float(
            np.abs(by_refit / mean - 1.0)[large].max()
        ),
        "versions": {
            "python": platform.python_version(),
            "torch": torch.__version__,
            "pyhf": pyhf.__version__,
            "cabinetry": cabinetry.__version__,
            "iminuit": iminuit.__version__,
        },
    }
    print(json.dumps(found, indent=1))
    if given.output:
        given.output.write_text(json.dumps(found, indent=1) + "\n")


if __name__ == "__main__":
    main()

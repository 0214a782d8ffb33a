"""1000 toys: our batched fits against pyhf's, in CPU time, and whether both draw one distribution.

    python benchmarks/inference/toys.py [--toys 1000] [--pyhf-toys 1000] [--bins 10]

Both draw toys of the background and of signal plus background and compute qtilde of each at one
signal strength. pyhf: `ToyCalculator` with its NumPy backend and default optimiser (SLSQP).
CPU time of the process, so that other work on the machine does not count much.
"""

import argparse
import json
import platform
import time
from pathlib import Path

import numpy as np
import pyhf
import scipy
import torch
from scipy import stats

from fullchain.inference.differentiable import HistFactory
from fullchain.inference.likelihood import INTERPOLATION
from fullchain.inference.toy_tests import cls_by_toys


def model_of(bins: int) -> tuple[pyhf.Model, np.ndarray]:
    """Signal bump on a falling background: shapes, yields, luminosity and simulation errors."""
    x = (np.arange(bins) + 0.5) / bins
    background = 400.0 * np.exp(-2.0 * x)
    signal = 60.0 * np.exp(-0.5 * ((x - 0.5) / 0.12) ** 2)
    shape = {
        "hi_data": (background * (1 + 0.05 * (x - 0.5))).tolist(),
        "lo_data": (background * (1 - 0.05 * (x - 0.5))).tolist(),
    }
    samples = [
        {
            "name": "signal",
            "data": signal.tolist(),
            "modifiers": [
                {"name": "mu", "type": "normfactor", "data": None},
                {"name": "efficiency", "type": "normsys", "data": {"hi": 1.05, "lo": 0.95}},
            ],
        },
        {
            "name": "background",
            "data": background.tolist(),
            "modifiers": [
                {"name": "norm", "type": "normsys", "data": {"hi": 1.1, "lo": 0.91}},
                {"name": "shape", "type": "histosys", "data": shape},
                {"name": "st", "type": "staterror", "data": (0.03 * background).tolist()},
            ],
        },
    ]
    made = pyhf.Model(
        {"channels": [{"name": "SR", "samples": samples}]},
        poi_name="mu",
        modifier_settings=INTERPOLATION,
    )
    truth = made.config.suggested_init()
    truth[made.config.poi_index] = 0.3
    return made, np.asarray(made.expected_data(truth))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--toys", type=int, default=1000)
    parser.add_argument("--pyhf-toys", type=int, default=1000)
    parser.add_argument("--bins", type=int, default=10)
    parser.add_argument("--mu", type=float, default=1.0)
    parser.add_argument("--output", type=Path)
    given = parser.parse_args()
    torch.set_num_threads(1)
    made, observed = model_of(given.bins)
    model, data = HistFactory(made), torch.tensor(observed)

    cls_by_toys(model, data, given.mu, 5, np.random.default_rng(0))
    before = time.process_time()
    ours = cls_by_toys(model, data, given.mu, given.toys, np.random.default_rng(1))
    our_time = time.process_time() - before

    pyhf.set_backend("numpy")
    np.random.seed(2)  # noqa: NPY002 - pyhf draws from it
    calculator = pyhf.infer.calculators.ToyCalculator(
        observed, made, ntoys=given.pyhf_toys, track_progress=False
    )
    before = time.process_time()
    theirs = calculator.distributions(given.mu)
    their_time = time.process_time() - before

    found = {
        "parameters": len(model.names),
        "bins": given.bins,
        "ours": {"toys": given.toys, "cpu_s": our_time, "failed": ours.failed},
        "pyhf": {"toys": given.pyhf_toys, "cpu_s": their_time},
        "ratio_per_toy": (their_time / given.pyhf_toys) / (our_time / given.toys),
        "versions": {
            "python": platform.python_version(),
            "torch": torch.__version__,
            "pyhf": pyhf.__version__,
            "scipy": scipy.__version__,
        },
    }
    pairs = (
        ("signal", ours.toys_with_signal, np.asarray(theirs[0].samples)),
        ("background", ours.toys_background, np.asarray(theirs[1].samples)),
    )
    for name, one, other in pairs:
        one, other = np.round(one, 4), np.round(np.clip(other, 0, None), 4)
        test = stats.ks_2samp(one, other)
        found[name] = {
            "ks_distance": float(test.statistic),
            "ks_p_value": float(test.pvalue),
            "means": [float(one.mean()), float(other.mean())],
            "zeros": [float(np.mean(one == 0)), float(np.mean(other == 0))],
        }
    print(json.dumps(found, indent=1))
    if given.output:
        given.output.write_text(json.dumps(found, indent=1) + "\n")


if __name__ == "__main__":
    main()

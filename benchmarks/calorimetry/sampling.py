"""ms per shower of our coupling flow, against the parameterisation and zuko's stock NSF.

    python benchmarks/calorimetry/sampling.py [--batch 1000] [--repeats 7] [--output found.json]

All three draw showers of the set-1-photon geometry (368 voxels and 5 energies of layers) in one
process on one thread, in turns, so that other work on the machine touches all alike. zuko's
`NSF` is a chain of autoregressive spline transforms, whose inverse takes as many passes as there
are numbers; the same class with `passes=2` is a coupling flow, the fairer opponent, and is measured
too. Hidden layers, number of transforms and bins of zuko's flows are ours; their width is chosen
such that they have as many parameters as ours, as nearly as whole numbers allow. Weights are
untrained: the time does not depend on them. CPU time of the process; medians, and errors by the
bootstrap over turns.
"""

import argparse
import json
import platform
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
import zuko

from fullchain.calorimetry import coupling, detector, gflash
from fullchain.calorimetry.averaged import parameters_in_use
from fullchain.calorimetry.coupling_settings import CouplingSettings
from fullchain.calorimetry.detector_settings import default_detectors
from fullchain.calorimetry.preprocessing import Preprocessing
from fullchain.calorimetry.sampling_time import median
from fullchain.learning.device import keeping_memory


def stock(
    settings: CouplingSettings, numbers: int, wanted: int, passes: int | None
) -> zuko.flows.NSF:
    """zuko's NSF whose number of parameters is nearest to `wanted`."""

    def build(width: int) -> zuko.flows.NSF:
        return zuko.flows.NSF(
            numbers,
            1,
            bins=settings.bins,
            transforms=settings.blocks,
            hidden_features=[width] * settings.depth,
            passes=passes,
        )

    low, high = 1, 4 * settings.width
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (middle, high) if parameters_in_use(build(middle)) <= wanted else (low, middle)
    return min(build(low), build(high), key=lambda flow: abs(parameters_in_use(flow) - wanted))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--batch", type=int, default=1000)
    parser.add_argument("--repeats", type=int, default=7)
    parser.add_argument("--blocks", type=int, default=8)
    parser.add_argument("--width", type=int, default=128)
    parser.add_argument("--depth", type=int, default=2)
    parser.add_argument("--autoregressive-batch", type=int, default=100)
    parser.add_argument("--autoregressive-repeats", type=int, default=2)
    parser.add_argument("--output", type=Path)
    given = parser.parse_args()
    torch.set_num_threads(1)
    torch.manual_seed(1)
    random = np.random.default_rng(1)
    simulated = detector.build(default_detectors()["set1_photons"])
    settings = CouplingSettings(blocks=given.blocks, width=given.width, depth=given.depth)
    ours = coupling.build(settings, Preprocessing(simulated.geometry, settings.preprocessing))
    ours.eval()
    preprocessing = ours.preprocessing
    size = parameters_in_use(ours)
    energies = 2.0 ** random.integers(8, 23, given.batch)
    incident = torch.from_numpy(energies).float().view(-1, 1)
    flows = {
        "zuko_coupling": (stock(settings, preprocessing.size, size, 2), given.batch),
        "zuko_nsf": (stock(settings, preprocessing.size, size, None), given.autoregressive_batch),
    }
    chance = torch.Generator().manual_seed(1)

    def theirs(flow: zuko.flows.NSF, batch: int) -> Callable[[], object]:
        some = incident[:batch]

        def draw() -> object:
            numbers = flow(preprocessing.condition(some)).sample()
            return preprocessing.inverse(numbers, some)

        return draw

    ways: dict[str, tuple[Callable[[], object], int]] = {
        "parameterisation": (
            lambda: gflash.showers(energies, simulated, random, photons=True),
            given.batch,
        ),
        "coupling": (lambda: ours.sample(incident, chance), given.batch),
        **{name: (theirs(flow, batch), batch) for name, (flow, batch) in flows.items()},
    }
    measured: dict[str, list[float]] = {name: [] for name in ways}
    with torch.no_grad(), keeping_memory():
        for turn in range(given.repeats + 1):
            for name, (draw, batch) in ways.items():
                # A draw of it takes many seconds, whatever the batch.
                if name == "zuko_nsf" and not 1 <= turn <= given.autoregressive_repeats:
                    continue
                before = time.process_time()
                draw()
                if turn:
                    measured[name].append(1e3 * (time.process_time() - before) / batch)
    ratios = {
        name: median(np.array(some) / np.array(measured["coupling"][: len(some)]))
        for name, some in measured.items()
    }
    found = {
        "batch": {name: batch for name, (_, batch) in ways.items()},
        "parameters": {
            "coupling": size,
            **{name: parameters_in_use(flow) for name, (flow, _) in flows.items()},
        },
        "cpu_ms_per_shower": {name: median(np.array(some)) for name, some in measured.items()},
        "over_coupling": ratios,
        "versions": {
            "python": platform.python_version(),
            "torch": torch.__version__,
            "zuko": zuko.__version__,
        },
    }
    print(json.dumps(found, indent=1))
    if given.output:
        given.output.write_text(json.dumps(found, indent=1) + "\n")


if __name__ == "__main__":
    main()

"""Operations per second of networks of flow matching on one CPU thread.

    python benchmarks/calorimetry/evaluations.py

Evaluates untrained velocities of voxels and divides the operations that
`fullchain.calorimetry.job_sizes` counts by the CPU time: the time that `rules/calorimetry.smk` asks
for where solvers are compared follows from this number. Medians, and errors by the bootstrap over
repetitions.
"""

import argparse
import time

import numpy as np
import torch

from fullchain.calorimetry import geometry, job_sizes
from fullchain.calorimetry.matching_parts import ShowerMatching
from fullchain.calorimetry.matching_settings import MatchingSettings
from fullchain.calorimetry.preprocessing import Preprocessing
from fullchain.calorimetry.sampling_time import median
from fullchain.calorimetry.settings import CalorimetrySettings
from fullchain.learning.device import keeping_memory, repeatable

NETWORKS = {
    "resnet, 2 x 384, set 1": ("photons", {"network": "resnet"}, 500),
    "resnet, 2 x 2000, set 1": ("photons", {"network": "resnet", "width": 2000}, 500),
    "vit, 3 x 120, set 2": ("electrons", {"network": "vit", "width": 120, "blocks": 3}, 20),
    "vit, 6 x 480, set 2": ("electrons", {"network": "vit"}, 20),
}


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--repeats", type=int, default=5)
    repeats = parser.parse_args().repeats
    electrons = {"kind": "parameterised", "detector": "set2_electrons"}
    for name, (showers, network, rows) in NETWORKS.items():
        how = MatchingSettings.model_validate(
            {"showers": showers, "shower": network, "preprocessing": {"threshold": 0.01515}}
            if showers == "electrons"
            else {"showers": showers, "shower": network}
        )
        stage = CalorimetrySettings.model_validate(
            {
                "showers": {"electrons": electrons, "photons": {"kind": "parameterised"}},
                "models": {"one": how.model_dump(mode="json")},
                "downstream": None,
            }
        )
        chosen = stage.showers[showers]
        voxels = geometry.load(stage.detectors[chosen.detector].geometry)
        velocity = ShowerMatching(Preprocessing(voxels, how.preprocessing), how).network
        given = (
            torch.randn(rows, voxels.voxels),
            torch.rand(rows, 1),
            torch.randn(rows, 1 + len(voxels.layers)),
        )
        times = []
        with repeatable(1), keeping_memory(), torch.no_grad():
            for _ in range(repeats):
                start = time.process_time()
                velocity(*given)
                times.append(time.process_time() - start)
        speed = rows * job_sizes.operations(stage, "one") / np.array(times) / 1e9
        value, error = median(speed)
        print(f"{name}: {value:.0f} +- {error:.0f} x 10^9 operations per second")


if __name__ == "__main__":
    main()

"""Measure the time that a model, or the parameterisation itself, takes for a shower.

The time is that of the process on the CPU, for showers in memory: reading the model and writing
showers do not count.
"""

import json
import platform
from pathlib import Path
from typing import Annotated, Any

import torch
from numpy.typing import NDArray
from pydantic import TypeAdapter

from fullchain.atomic import write_text
from fullchain.calorimetry import detector as detectors
from fullchain.calorimetry import gflash, model_file, sampling_time, shower_file
from fullchain.calorimetry.averaged import parameters_in_use
from fullchain.calorimetry.detector_settings import DetectorSettings
from fullchain.calorimetry.showers_settings import ParameterisedSettings, ShowersSettings
from fullchain.calorimetry.timing_settings import TimingSettings
from fullchain.errors import InputError
from fullchain.learning.device import keeping_memory, repeatable
from fullchain.processor import processor
from fullchain.progress import progress
from fullchain.seeds import derive, stream
from fullchain.step import Given, Input, Option, Output

Array = NDArray[Any]


def main(
    *,
    name: Annotated[str, Option("of the model, or of what stands for the simulation")],
    showers_set: Annotated[
        str,
        Option("set of calorimetry.showers that it is of, itself drawn where no model is given"),
    ],
    model: Annotated[Path | None, Input("a trained model; without: the parameterisation")] = None,
    energies: Annotated[Path, Input("showers at whose energies is drawn, HDF5")],
    output: Annotated[Path, Output("times with errors, number of parameters, JSON")],
    settings: Given,
) -> None:
    """Draw, measure, write.

    Raises
    ------
    InputError
        No model is given and the set is not of parameterised showers, or all batches take too long.
    """
    chosen = settings.model("calorimetry.timing", TimingSettings)
    most = max(chosen.batches)
    with repeatable(chosen.threads), keeping_memory():
        if model is not None:
            network, how, _ = model_file.read(model)
            voxels = network.preprocessing.geometry
            at = shower_file.read(energies, voxels, 0, most).energies
            network.check_energies(torch.from_numpy(at), str(energies), extrapolate=True)
            chance = torch.Generator().manual_seed(derive(settings.seed, "calorimetry", "clock"))

            def draw(some: Array) -> object:
                return network.sample(torch.from_numpy(some).float().view(-1, 1), chance)

            content: dict[str, Any] = {
                "kind": how.kind,
                "parameters": parameters_in_use(network),
                "evaluations": sampling_time.evaluations(network, lambda: draw(at[:2])),
            }
        else:
            detector, photons = _parameterised(showers_set, settings)
            voxels = detector.geometry
            at = shower_file.read(energies, voxels, 0, most).energies
            random = stream(settings.seed, "calorimetry", "clock")

            def draw(some: Array) -> object:
                return gflash.showers(some, detector, random, photons)

            content = {"kind": "parameterised"}
        with progress(f"time of {name}", len(chosen.batches), "batch sizes") as advance:
            times, left_out = sampling_time.measure(draw, at, chosen, advance)
    if not times:
        raise InputError(
            f"{name}: a batch takes {min(left_out.values()):.3g} s or more, too long for "
            f"calorimetry.timing.limit_s = {chosen.limit_s:g}"
        )
    content = {
        "name": name,
        "set": showers_set,
        "role": "simulation" if model is None else "model",
        **content,
        "geometry": {"name": voxels.name, "voxels": voxels.voxels},
        "threads": chosen.threads,
        "processor": _processor(),
        "versions": {"python": platform.python_version(), "torch": torch.__version__},
        "times": [one.as_dict() for one in times],
        "left_out": {
            str(batch): {"foreseen_s": seconds, "limit_s": chosen.limit_s}
            for batch, seconds in left_out.items()
        },
    }
    write_text(output, json.dumps(content, indent=1, allow_nan=False) + "\n")


def _parameterised(name: str, settings: Given) -> tuple[gflash.Detector, bool]:
    chosen: Any = TypeAdapter(ShowersSettings).validate_python(
        settings[f"calorimetry.showers.{name}"]
    )
    if not isinstance(chosen, ParameterisedSettings):
        raise InputError(
            f"calorimetry.showers.{name} is of kind {chosen.kind}: only the time of the "
            "parameterisation is measured"
        )
    own = settings.model(f"calorimetry.detectors.{chosen.detector}", DetectorSettings)
    return detectors.build(own), chosen.particle == "photon"


def _processor() -> str:
    """Name of the processor, as the operating system gives it."""
    return processor().get("model name") or platform.processor() or platform.machine()

"""Draw showers of a trained model, in the format of the CaloChallenge.

    fullchain calorimetry sample --model model.pt --energies test.h5 --output samples.h5
    fullchain calorimetry sample --model model.pt --points 2^8..2^22:1000 --output samples.h5

What comes out has `incident_energies` (n, 1) and `showers` (n, voxels) in MeV, in the order of the
energies, as the evaluation of the challenge reads them.
"""

from pathlib import Path
from typing import Annotated

import torch

from fullchain.calorimetry import energy_points, model_file
from fullchain.calorimetry.generation import batches
from fullchain.calorimetry.shower_file import Showers
from fullchain.calorimetry.shower_writer import writing
from fullchain.errors import InputError
from fullchain.learning import device as devices
from fullchain.progress import progress
from fullchain.seeds import derive
from fullchain.step import Given, Input, Option, Output


def main(
    *,
    model: Annotated[Path, Input("a trained model, model.pt")],
    energies: Annotated[
        Path | None, Input("energies [MeV]: HDF5 with incident_energies, or text, one a line")
    ] = None,
    points: Annotated[
        list[str] | None,
        Option("energies [MeV] with counts instead: 1000:50, 2^8:100, 2^8..2^22:100"),
    ] = None,
    output: Annotated[Path, Output("showers, HDF5 of the CaloChallenge")],
    extrapolate: Annotated[bool, Option("allow energies outside the trained range")] = False,
    batch: Annotated[int, Option("showers drawn at once; part of what is drawn")] = 1000,
    device: Annotated[str, Option("cpu, cuda or auto")] = "cpu",
    settings: Given,
) -> None:
    """Read the model, check the energies, draw, write.

    Raises
    ------
    InputError
        No energies, both ways of giving them, or energies that the model cannot be asked for.
    """
    if (energies is None) == (not points):
        raise InputError("give either --energies (a file) or --points (energies with counts)")
    if batch < 1:
        raise InputError(f"--batch {batch}: at least one shower is drawn at once")
    if device not in ("cpu", "cuda", "auto"):
        raise InputError(f"--device {device}: it is cpu, cuda or auto")
    wanted = energy_points.read(energies) if energies else energy_points.points(points or [])
    if not len(wanted):
        raise InputError("no energies: no shower is asked for")
    found, how, extra = model_file.read(model)
    where = str(energies) if energies else "--points"
    found.check_energies(torch.from_numpy(wanted), where, extrapolate)
    place = devices.choose(device)
    seed = derive(settings.seed, "calorimetry", "sample", str(extra.get("model", how.kind)))
    size = found.preprocessing.geometry.voxels
    with (
        devices.repeatable(how.training.threads),
        writing(output, len(wanted), size) as append,
        progress("drawing", len(wanted), "showers") as advance,
    ):
        done = 0
        for showers in batches(found.to(place), wanted, batch, seed):
            last = done + len(showers)
            append(Showers(wanted[done:last], showers))
            done = last
            advance(len(showers))

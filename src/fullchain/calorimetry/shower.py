"""Make a set of showers: simulated, or from files of the CaloChallenge's format.

A set has showers to train with, to judge against, and further ones that are judged as if they were
generated.
"""

import json
from collections.abc import Callable, Iterable
from functools import partial
from pathlib import Path
from typing import Annotated, Any

import numpy as np
from pydantic import TypeAdapter

from fullchain.atomic import write_text
from fullchain.calorimetry import detector as detectors
from fullchain.calorimetry import geometry as geometry_module
from fullchain.calorimetry import (
    gflash,
    shower_blocks,
    shower_collection,
    shower_physics,
    shower_units,
)
from fullchain.calorimetry.detector_settings import DetectorSettings
from fullchain.calorimetry.geometry import Geometry
from fullchain.calorimetry.gflash import Detector
from fullchain.calorimetry.shower_file import Array, Showers
from fullchain.calorimetry.shower_physics import Lengths
from fullchain.calorimetry.shower_writer import writing
from fullchain.calorimetry.showers_settings import (
    FileSettings,
    Geant4Settings,
    ParameterisedSettings,
    ShowersSettings,
)
from fullchain.errors import InputError
from fullchain.progress import progress
from fullchain.seeds import derive, stream
from fullchain.step import Given, Input, Option, Output

PARTS = ("train", "test", "reference")

MEASURED = 20_000
"""Showers of `test` that physics is measured with, the first ones."""

Source = dict[str, tuple[int, Callable[[], Iterable[Showers]]]]
"""Number of showers of each part, and what gives them in blocks."""


def main(
    *,
    set: Annotated[str, Option("name of the set in calorimetry.showers")],
    train_files: Annotated[
        list[Path], Input("HDF5 files to learn from, instead of those of the settings")
    ] = [],  # noqa: B006 - the command line makes a new list of it
    test_files: Annotated[
        list[Path], Input("HDF5 files to judge against, instead of those of the settings")
    ] = [],  # noqa: B006
    binning: Annotated[
        list[Path], Input("XML file of the voxels, instead of that of the settings")
    ] = [],  # noqa: B006
    train: Annotated[Path, Output("showers to learn from, HDF5")],
    test: Annotated[Path, Output("showers to judge against, HDF5")],
    reference: Annotated[Path, Output("further showers, HDF5")],
    geometry: Annotated[Path, Output("voxels, XML")],
    numbers: Annotated[Path, Output("what the set is, and physics of its showers, JSON")],
    settings: Given,
) -> None:
    """Draw or read, measure, write.

    Raises
    ------
    InputError
        Files are missing, disagree with the geometry or cannot be showers; Geant4 is asked for and
        missing.
    """
    chosen: Any = TypeAdapter(ShowersSettings).validate_python(
        settings[f"calorimetry.showers.{set}"]
    )
    if len(binning) > 1:
        raise InputError(f"one XML file of voxels is needed, not {len(binning)}")
    detector: Detector | None = None
    if isinstance(chosen, FileSettings):
        # A file may have several particles.
        voxels = _geometry(chosen, binning)
        content: dict[str, Any] = {"detector": None, "threshold_mev": chosen.threshold}
        source = _files(chosen, voxels, train_files, test_files, settings.seed, set)
    else:
        if train_files or test_files:
            raise InputError(f"set {set!r} is of kind {chosen.kind}, and files are given")
        own = settings.model(f"calorimetry.detectors.{chosen.detector}", DetectorSettings)
        if binning:
            own = own.model_copy(update={"geometry": str(binning[0])})
        detector = detectors.build(own)
        voxels = detector.geometry
        content = {
            "detector": _described(chosen.detector, detector),
            "threshold_mev": detector.threshold,
            "energies": chosen.energies.model_dump(mode="json"),
        }
        draw: shower_blocks.Draw
        if isinstance(chosen, Geant4Settings):
            from fullchain.calorimetry.geant4 import Simulation

            calibration = derive(settings.seed, "calorimetry", "showers", set, "calibration")
            draw = simulation = Simulation(chosen, own, calibration)
            content["versions"] = simulation.versions
        else:
            draw = partial(_drawn, detector=detector, photons=chosen.particle == "photon")
        source = _simulated(draw, chosen, settings.seed, set)
    paths = dict(zip(PARTS, (train, test, reference), strict=True))
    lengths = _lengths(detector)
    reduced = _write(source, paths, voxels, lengths)
    geometry_module.write(voxels, geometry)
    content = {
        "set": set,
        "kind": chosen.kind,
        "particle": chosen.particle,
        "voxels": voxels.voxels,
        "layers": [layer.identifier for layer in voxels.layers],
        "counts": {part: number for part, (number, _) in source.items()},
        "range_mev": [float(reduced.energies.min()), float(reduced.energies.max())],
        **content,
        "measured": len(reduced.energies),
        "physics": shower_physics.summary(
            reduced,
            shower_physics.radii(voxels, lengths.moliere_radius),
            lengths,
            stream(settings.seed, "calorimetry", "showers", set, "bootstrap"),
        ),
    }
    write_text(numbers, json.dumps(content, indent=1, allow_nan=False) + "\n")


def _geometry(chosen: FileSettings, binning: list[Path]) -> Geometry:
    name = str(binning[0]) if binning else chosen.geometry
    if chosen.bin is None or name in geometry_module.packaged():
        return geometry_module.load(name)
    try:
        text = Path(name).read_text(encoding="utf-8")
    except FileNotFoundError:
        raise InputError(f"{name}: no such file") from None
    return geometry_module.parse(text, name, chosen.bin)


def _files(
    chosen: FileSettings,
    geometry: Geometry,
    train_files: list[Path],
    test_files: list[Path],
    seed: int,
    name: str,
) -> Source:
    """Showers of files."""
    first, second = (
        shower_collection.Collection(given or list(map(Path, own)), geometry, chosen.threshold)
        for given, own in ((train_files, chosen.train), (test_files, chosen.test))
    )
    random = stream(seed, "calorimetry", "showers", name, "files")
    flags = {
        "train": shower_collection.some(len(first), chosen.most, random),
        **shower_collection.split(len(second), chosen.reference, chosen.most, random),
    }
    if not chosen.in_mev:
        shower_units.check_files([*first.paths, *second.paths], geometry, chosen.threshold)
    found: Source = {}
    for part in PARTS:
        collection, number = first if part == "train" else second, int(flags[part].sum())
        if number < 1:
            raise InputError(f"set {name!r}: no showers are left for {part}")
        found[part] = (number, partial(collection.blocks, flags[part]))
    return found


def _drawn(
    energies: Array, random: np.random.Generator, detector: Detector, photons: bool
) -> Array:
    return gflash.showers(energies, detector, random, photons)


def _simulated(
    draw: shower_blocks.Draw,
    chosen: ParameterisedSettings | Geant4Settings,
    seed: int,
    name: str,
) -> Source:
    """Showers that are drawn here."""
    numbers = {"train": chosen.train, "test": chosen.test, "reference": chosen.reference}
    return {
        part: (
            number,
            partial(shower_blocks.blocks, draw, chosen.energies, number, seed, name, part),
        )
        for part, number in numbers.items()
    }


def _write(
    source: Source, paths: dict[str, Path], geometry: Geometry, lengths: Lengths
) -> shower_physics.Reduced:
    """Write all parts, and keep of the showers of `test` what physics needs."""
    at = shower_physics.radii(geometry, lengths.moliere_radius)
    kept: list[shower_physics.Reduced] = []
    with progress("showers", sum(number for number, _ in source.values()), "showers") as advance:
        for part, (number, give) in source.items():
            with writing(paths[part], number, geometry.voxels) as append:
                for showers in give():
                    append(showers)
                    have = sum(len(one.energies) for one in kept)
                    if part == "test" and have < MEASURED:
                        some = showers.select(slice(0, MEASURED - have))
                        kept.append(shower_physics.reduce(some, geometry, at))
                    advance(len(showers))
    return shower_physics.Reduced.joined(kept)


def _lengths(detector: Detector | None) -> Lengths:
    if detector is None:
        return Lengths()
    return Lengths(np.array(detector.depths), detector.medium.moliere_radius)


def _described(name: str, detector: Detector) -> dict[str, Any]:
    medium = detector.medium
    return {
        "name": name,
        "atomic_number": medium.atomic_number,
        "critical_energy_mev": medium.critical_energy,
        "moliere_radius_mm": medium.moliere_radius,
        "radiation_length_mm": medium.radiation_length,
        "resolution": medium.resolution,
        "sampling_frequency": None if medium.sampling is None else medium.sampling.frequency,
        "depth": detector.depths[-1][1],
    }
